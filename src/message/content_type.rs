//! Content-Type, Content-Transfer-Encoding and file names (RFC 2045 §5–6, RFC 2183, RFC 2231),
//! as written by real programs: comments, folds, missing semicolons, raw 8-bit names.

use std::collections::BTreeMap;

use super::decode;
use super::headers::Headers;

/// Parameters of one field that are read; later ones do not exist.
const MAX_PARAMS: usize = 10_000;

/// A media type and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    /// `type/subtype` in lower case.
    pub kind: String,
    /// Names in lower case, values unquoted and, after RFC 2231, decoded and joined; in order,
    /// duplicates included.
    pub params: Vec<(String, String)>,
}

impl ContentType {
    /// A type without parameters.
    pub fn bare(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            params: Vec::new(),
        }
    }

    /// Reads a raw field value. A value without a `type/subtype` is `text/plain` (RFC 2045 §5.2),
    /// with whatever parameters it has.
    pub fn parse(value: &[u8]) -> Self {
        let (kind, params) = split(value);
        let lower = kind.to_ascii_lowercase();
        let sound = matches!(lower.split_once('/'), Some((major, minor))
            if !major.is_empty() && !minor.is_empty() && !minor.contains('/') && !lower.contains(char::is_whitespace));
        Self {
            kind: if sound {
                lower
            } else {
                "text/plain".to_owned()
            },
            params,
        }
    }

    /// The first parameter of that name (given in lower case).
    pub fn param(&self, name: &str) -> Option<&str> {
        find(&self.params, name)
    }

    /// Whether this is a `multipart/…`.
    pub fn is_multipart(&self) -> bool {
        self.kind.starts_with("multipart/")
    }

    /// Whether this is a whole message: `message/rfc822` or `message/global` (RFC 6532).
    pub fn is_message(&self) -> bool {
        matches!(self.kind.as_str(), "message/rfc822" | "message/global")
    }
}

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// 7bit, 8bit or nothing said.
    Identity,
    /// Bytes that are not lines.
    Binary,
    /// RFC 2045 §6.7.
    QuotedPrintable,
    /// RFC 2045 §6.8.
    Base64,
    /// Anything else.
    Unknown,
}

/// The Content-Type; `None` where the header has none.
pub fn content_type(headers: &Headers<'_>) -> Option<ContentType> {
    headers.first("content-type").map(ContentType::parse)
}

/// The Content-Transfer-Encoding.
pub fn encoding(headers: &Headers<'_>) -> Encoding {
    let Some(value) = headers.first("content-transfer-encoding") else {
        return Encoding::Identity;
    };
    let bare = decode::without_comments(value.get(..1_000).unwrap_or(value));
    let word = bare
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    let word = word
        .strip_prefix(b"\"")
        .and_then(|word| word.strip_suffix(b"\""))
        .unwrap_or(word);
    match word.to_ascii_lowercase().as_slice() {
        b"" | b"7bit" | b"8bit" | b"7-bit" | b"8-bit" | b"8bits" | b"7bits" => Encoding::Identity,
        b"binary" => Encoding::Binary,
        b"quoted-printable" => Encoding::QuotedPrintable,
        b"base64" => Encoding::Base64,
        _ => Encoding::Unknown,
    }
}

/// The attachment's name: Content-Disposition's `filename`, else Content-Type's `name`; encoded
/// words in it decoded, although RFC 2047 §5 forbids them there.
pub fn file_name(headers: &Headers<'_>) -> Option<String> {
    let params = headers
        .first("content-disposition")
        .map(|value| split(value).1)
        .unwrap_or_default();
    if let Some(name) = find(&params, "filename") {
        return Some(decoded_name(name));
    }
    content_type(headers)?.param("name").map(decoded_name)
}

/// The same for a part whose Content-Type has been read.
pub(super) fn file_name_of(headers: &Headers<'_>, content_type: &ContentType) -> Option<String> {
    let params = headers
        .first("content-disposition")
        .map(|value| split(value).1)
        .unwrap_or_default();
    find(&params, "filename")
        .or_else(|| content_type.param("name"))
        .map(decoded_name)
}

fn decoded_name(name: &str) -> String {
    if name.contains("=?") {
        decode::text(name.as_bytes())
    } else {
        name.to_owned()
    }
}

fn find<'p>(params: &'p [(String, String)], name: &str) -> Option<&'p str> {
    params
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

/// The text before the first semicolon, and the parameters.
fn split(value: &[u8]) -> (String, Vec<(String, String)>) {
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
            percent_decode(value, &mut bytes)
        } else {
            bytes.extend_from_slice(value)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> ContentType {
        ContentType::parse(value.as_bytes())
    }

    fn named(header: &[u8]) -> Option<String> {
        file_name(&Headers::parse(header))
    }

    #[test]
    fn types_are_read_as_they_are_written_in_the_wild() {
        let ct = parsed(
            "Multipart/Signed (c;o\\)m(ment)); protocol=\"application/pkcs7-signature\" micalg=SHA1;\r\n boundary=\"a\\\"b; c\"",
        );
        assert_eq!(ct.kind, "multipart/signed");
        assert_eq!(ct.param("protocol"), Some("application/pkcs7-signature"));
        assert_eq!(ct.param("micalg"), Some("SHA1"));
        assert_eq!(ct.param("boundary"), Some("a\"b; c"));
        assert_eq!(parsed("text / plain ; charset = utf-8").kind, "text/plain");
        assert_eq!(
            parsed("text / plain ; charset = utf-8").param("charset"),
            Some("utf-8")
        );
        assert_eq!(
            parsed("text/html charset=utf-8").param("charset"),
            Some("utf-8")
        );
        assert_eq!(
            parsed("application/pkcs7-mime;smime-type=enveloped-data;name=smime.p7m").param("name"),
            Some("smime.p7m")
        );
        assert_eq!(
            parsed("multipart/mixed; boundary=----=_Part_1(2)").param("boundary"),
            Some("----=_Part_1(2)")
        );
        assert_eq!(
            parsed("a/b; name=my file.p7m (old); x=y").param("name"),
            Some("my file.p7m")
        );
        assert_eq!(parsed("a/b; x=1; X=2").param("x"), Some("1"));
        for odd in ["", ";", "text", "a/b/c", "a b/c", "/", "a/", "\"a/b\"\""] {
            let _ = parsed(odd);
        }
        assert_eq!(parsed("text; boundary=x").kind, "text/plain");
    }

    #[test]
    fn rfc_2231_values_are_joined_and_decoded() {
        let ct = parsed(
            "a/b; name*1*=%e2%82%ac; name*0*=utf-8''eu; name*2=\".p7m\"; x*=iso-8859-1'de'%e4; y*0=a; y*2=c; z*=koi8-r''%c1",
        );
        assert_eq!(ct.param("name"), Some("eu€.p7m"));
        assert_eq!(ct.param("x"), Some("ä"));
        assert_eq!(ct.param("y"), Some("a"));
        assert_eq!(ct.param("z"), Some("а"));
        assert_eq!(parsed("a/b; n=; n*=utf-8''x").param("n"), Some(""));
        assert_eq!(
            parsed("a/b; n*0=a; n*00=b; n*1=c; n*4294967295=d; n*=e").param("n"),
            Some("ac")
        );
    }

    #[test]
    fn names_survive_raw_and_encoded_bytes() {
        assert_eq!(
            named(b"Content-Disposition: attachment; filename=\"\xe4.p7m\"\n\n"),
            Some("ä.p7m".into())
        );
        assert_eq!(
            named(b"Content-Type: a/b; name=\"=?utf-8?B?w6QucDdt?=\"\n\n"),
            Some("ä.p7m".into())
        );
        assert_eq!(
            named(b"Content-Disposition: attachment\nContent-Type: a/b; name=x\n\n"),
            Some("x".into())
        );
        assert_eq!(named(b"Content-Disposition: attachment\n\n"), None);
    }

    #[test]
    fn encodings_are_known_by_their_words() {
        let of = |value: &str| {
            encoding(&Headers::parse(
                format!("Content-Transfer-Encoding: {value}\n\n").as_bytes(),
            ))
        };
        assert_eq!(of("BASE64 (x)"), Encoding::Base64);
        assert_eq!(of("\"base64\";"), Encoding::Base64);
        assert_eq!(of("Quoted-Printable"), Encoding::QuotedPrintable);
        assert_eq!(of("8Bit"), Encoding::Identity);
        assert_eq!(of(""), Encoding::Identity);
        assert_eq!(of("x-uuencode"), Encoding::Unknown);
        assert_eq!(of("binary"), Encoding::Binary);
    }
}
