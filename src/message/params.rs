//! A field value and its parameters: RFC 2045 §5.1, and RFC 2231 for long and encoded ones.

use std::collections::BTreeMap;

use super::decode;

/// Parameters of one field that are read; later ones do not exist.
const MAX_PARAMS: usize = 10_000;

/// The text before the first semicolon, and the parameters.
pub(super) fn split(value: &[u8]) -> (String, Vec<(String, String)>) {
    let mut cursor = Cursor {
        bytes: value,
        at: 0,
    };
    let kind = cursor.token_until_semicolon();
    let mut params = Vec::new();
    let mut sections: BTreeMap<String, (usize, Vec<Section>)> = BTreeMap::new();
    let mut read = 0;
    while read < MAX_PARAMS
        && let Some((name, value)) = cursor.param()
    {
        read += 1;
        let Some((base, rest)) = name.split_once('*') else {
            params.push((name, decode::utf8_or_latin1(&value)));
            continue;
        };
        // RFC 2231: name*, name*0, name*0*. The place of the first section is the value's.
        let (number, encoded) = match rest.strip_suffix('*') {
            Some(number) => (number, true),
            None => (rest, rest.is_empty()),
        };
        let number = if number.is_empty() {
            Ok(0)
        } else {
            number.parse::<u32>()
        };
        let (Ok(number), false) = (number, base.is_empty()) else {
            continue;
        };
        let (_, known) = sections.entry(base.to_owned()).or_insert_with(|| {
            params.push((base.to_owned(), String::new()));
            (params.len() - 1, Vec::new())
        });
        known.push(Section {
            number,
            encoded,
            value,
        });
    }
    for (place, mut parts) in sections.into_values() {
        parts.sort_by_key(|section| section.number);
        if let Some((_, value)) = params.get_mut(place) {
            *value = join(&parts);
        }
    }
    (kind, params)
}

struct Section {
    number: u32,
    encoded: bool,
    value: Vec<u8>,
}

/// Joins the sections 0, 1, 2 … up to the first gap (RFC 2231 §3, §4.1).
fn join(sections: &[Section]) -> String {
    let mut bytes = Vec::new();
    let mut charset = String::new();
    let mut expected = 0;
    for section in sections {
        if section.number < expected {
            continue; // a duplicate; the first counts
        }
        if section.number != expected {
            break;
        }
        let mut value = section.value.as_slice();
        if section.encoded && expected == 0 {
            let mut pieces = value.splitn(3, |byte| *byte == b'\'');
            if let (Some(name), Some(_), Some(text)) = (pieces.next(), pieces.next(), pieces.next())
            {
                charset = String::from_utf8_lossy(name).to_ascii_lowercase();
                value = text;
            }
        }
        if section.encoded {
            percent_decode(value, &mut bytes);
        } else {
            bytes.extend_from_slice(value);
        }
        expected += 1;
    }
    match charset.as_str() {
        "" | "utf-8" | "us-ascii" => decode::utf8_or_latin1(&bytes),
        // An encoded word is the way to mailparse's charsets.
        other
            if other
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_:.".contains(&byte)) =>
        {
            let word = format!(
                "=?{other}?B?{}?=",
                base64_simd::STANDARD.encode_to_string(&bytes)
            );
            let text = decode::encoded_words(&word);
            if text == word {
                decode::utf8_or_latin1(&bytes)
            } else {
                text
            }
        }
        _ => decode::utf8_or_latin1(&bytes),
    }
}

fn percent_decode(value: &[u8], out: &mut Vec<u8>) {
    let hex = |byte: Option<&u8>| {
        byte.and_then(|byte| char::from(*byte).to_digit(16))
            .and_then(|n| u8::try_from(n).ok())
    };
    let mut at = 0;
    while let Some(&byte) = value.get(at) {
        if byte == b'%'
            && let (Some(high), Some(low)) = (hex(value.get(at + 1)), hex(value.get(at + 2)))
        {
            out.push(high << 4 | low);
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
}

/// Reads one field value from front to back.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// White space and comments.
    fn skip_filler(&mut self) {
        self.skip_space();
        while self.peek() == Some(b'(') {
            self.skip_comment();
            self.skip_space();
        }
    }

    fn skip_comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'(' => depth += 1,
                b')' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return;
                    }
                }
                _ => {}
            }
        }
    }

    /// The media type: everything but white space and comments up to the semicolon.
    fn token_until_semicolon(&mut self) -> String {
        let mut out = Vec::new();
        self.skip_filler();
        while let Some(byte) = self.peek() {
            match byte {
                b';' => break,
                b'(' => self.skip_comment(),
                byte if byte.is_ascii_whitespace() => {
                    // `text/plain charset=x`: the semicolon is missing.
                    self.skip_filler();
                    if self.at_param() {
                        break;
                    }
                }
                _ => {
                    out.push(byte);
                    self.at += 1;
                }
            }
        }
        decode::utf8_or_latin1(&out)
    }

    /// Whether `name=` stands here.
    fn at_param(&self) -> bool {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let name = rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'*'))
            .count();
        name > 0 && rest.get(name) == Some(&b'=')
    }

    /// The next `name=value`; things without a `=` are passed over.
    fn param(&mut self) -> Option<(String, Vec<u8>)> {
        loop {
            self.skip_filler();
            while self.peek() == Some(b';') {
                self.at += 1;
                self.skip_filler();
            }
            let start = self.at;
            while self.peek().is_some_and(|byte| {
                !byte.is_ascii_whitespace() && !matches!(byte, b';' | b'=' | b'(' | b'"')
            }) {
                self.at += 1;
            }
            let name = self.bytes.get(start..self.at).unwrap_or_default();
            self.skip_filler();
            match self.peek() {
                Some(b'=') => {
                    self.at += 1;
                    self.skip_filler();
                    let value = if self.peek() == Some(b'"') {
                        self.quoted()
                    } else {
                        self.bare_value()
                    };
                    if !name.is_empty() {
                        return Some((decode::utf8_or_latin1(name).to_ascii_lowercase(), value));
                    }
                }
                Some(b'"') => drop(self.quoted()),
                Some(_) => {}
                None => return None,
            }
        }
    }

    /// A quoted string, unfolded; one that is never closed runs to the end.
    fn quoted(&mut self) -> Vec<u8> {
        self.at += 1;
        let mut out = Vec::new();
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    if let Some(escaped) = self.peek() {
                        self.at += 1;
                        out.push(escaped);
                    }
                }
                b'\r' | b'\n' => {}
                _ => out.push(byte),
            }
        }
        out
    }

    /// An unquoted value: up to a semicolon, or to white space before a comment or before what
    /// looks like another parameter (`protocol=x micalg=y`). White space inside stays, because
    /// file names are met unquoted.
    fn bare_value(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(byte) = self.peek() {
            if byte == b';' {
                break;
            }
            if byte.is_ascii_whitespace() {
                self.skip_space();
                if matches!(self.peek(), None | Some(b';' | b'(')) || self.at_param() {
                    break;
                }
                out.push(b' ');
            } else {
                out.push(byte);
                self.at += 1;
            }
        }
        out
    }
}
