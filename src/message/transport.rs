//! An entity that arrives as it was sent: what a signature is made over, and what of a message it
//! is (RFC 8551 §3.1).
//!
//! Mail is changed on its way. Line ends are converted, `From ` at a line's start is quoted, white
//! space at its end is stripped, 8-bit text is encoded anew, long lines are cut. A signature lives
//! only on text that none of this touches, so parts that are not such text are encoded, one by one.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use super::headers::{Encoding, Headers, LineEnding};
use super::parts::{Part, Tree, parse_entity};
use super::transfer::{self, base64_lines, to_crlf};
use crate::limits::Budget;

/// The longest line that mail servers have to take (RFC 5322 §2.1.1).
const LONGEST_LINE: usize = 998;
/// The longest line of quoted-printable (RFC 2045 §6.7), less the `=` of a soft line break.
const QUOTED_LINE: usize = 75;

const CRLF: &[u8] = LineEnding::CrLf.as_bytes();
const TRANSFER_ENCODING: &str = "Content-Transfer-Encoding";

/// The entity that a message's content is: its Content-* fields, a blank line, its body. A message
/// without a Content-Type is `text/plain` (RFC 2045 §5.2), and its entity says so.
pub fn root_entity(message: &[u8], headers: &Headers<'_>) -> Vec<u8> {
    let ending = headers.line_ending().as_bytes();
    let mut out = Vec::with_capacity(message.len());
    if headers.first("Content-Type").is_none() {
        out.extend_from_slice(b"Content-Type: text/plain");
        out.extend_from_slice(ending);
    }
    for field in headers
        .fields()
        .filter(|field| is_content_field(field.name) && !field.hidden)
    {
        let raw = message.get(field.range).unwrap_or_default();
        for line in raw.trim_ascii_end().split(|byte| *byte == b'\n') {
            out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
            out.extend_from_slice(ending);
        }
    }
    out.extend_from_slice(ending);
    let body = message.get(headers.body_start()..).unwrap_or_default();
    if headers.is_cr_only() {
        out.extend(
            body.iter()
                .map(|byte| if *byte == b'\r' { b'\n' } else { *byte }),
        );
    } else {
        out.extend_from_slice(body);
    }
    out
}

fn is_content_field(name: &[u8]) -> bool {
    name.get(..8)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"content-"))
        && !name.eq_ignore_ascii_case(b"content-length")
}

/// The entity in 7-bit text with CRLF line ends that nothing on the way changes: parts that are not
/// such text are encoded, text in quoted-printable, all else in base64. What a
/// `multipart/signed` holds stays as it is, for its own signature's sake.
///
/// `None` where that cannot be: header fields, a signed part or text between parts that are not
/// transport-safe by themselves, or what goes past the limits.
pub fn seven_bit(entity: &[u8], budget: &mut Budget) -> Option<Vec<u8>> {
    let tree = parse_entity(entity, budget);
    if tree.limit.is_some() {
        return None;
    }
    let mut out = Vec::with_capacity(entity.len() + entity.len() / 8);
    let (mut at, mut index) = (0, 0);
    while let Some(part) = tree.parts.get(index) {
        between(entity.get(at..part.entity.start)?, &mut out)?;
        index += 1;
        if part.content_type.kind == "multipart/signed" {
            out.extend_from_slice(&unchanged(tree.entity(part))?);
            at = part.entity.end;
            let below = |next: &&Part| next.depth > part.depth;
            index += tree.parts.get(index..)?.iter().take_while(below).count();
            continue;
        }
        let headers = tree.headers(part);
        if part.children.is_empty() {
            let (encoding, body) = leaf(&tree, part, &headers)?;
            header(tree.entity(part), &headers, encoding, &mut out)?;
            out.extend_from_slice(&body);
            at = part.entity.end;
        } else {
            let encoding = is_wide(&headers).then_some("7bit");
            header(tree.entity(part), &headers, encoding, &mut out)?;
            at = part.entity.start + headers.body_start();
        }
    }
    between(entity.get(at..)?, &mut out)?;
    Some(out)
}

/// A leaf's body and, where it changes, its encoding.
fn leaf<'a>(
    tree: &Tree<'a>,
    part: &Part,
    headers: &Headers<'_>,
) -> Option<(Option<&'static str>, Cow<'a, [u8]>)> {
    let body = tree.body(part);
    let kind = part.content_type.kind.as_str();
    let base64 =
        |bytes: &[u8]| Some((Some("base64"), base64_lines(bytes, LineEnding::CrLf).into()));
    let quoted = |bytes: &[u8]| Some((Some("quoted-printable"), quoted_printable(bytes).into()));
    // Only their parts may be encoded (RFC 2045 §6.4, RFC 2046 §5.2).
    let composite = kind.starts_with("multipart/") || kind.starts_with("message/");
    match part.encoding {
        Encoding::Binary if !composite => base64(body),
        _ if is_safe(body) => Some((is_wide(headers).then_some("7bit"), to_crlf(body))),
        _ if composite => None,
        Encoding::Identity if kind.starts_with("text/") && has_lines(part, body) => quoted(body),
        Encoding::Identity | Encoding::Binary => base64(body),
        Encoding::QuotedPrintable => quoted(&transfer::decode(part.encoding, body).ok()?.bytes),
        Encoding::Base64 => {
            let decoded = transfer::decode(part.encoding, body).ok()?;
            (!decoded.trailing_text).then(|| base64(&decoded.bytes))?
        }
        Encoding::Unknown => None,
    }
}

/// Whether text is made of lines as ASCII has them: in UTF-16 a line end's bytes mean something else.
fn has_lines(part: &Part, body: &[u8]) -> bool {
    let charset = part.content_type.param("charset").unwrap_or_default();
    let charset = charset.to_ascii_lowercase();
    let wide = ["utf-16", "utf-32", "utf16", "utf32", "ucs-2", "iso-10646"];
    memchr(0, body).is_none() && !wide.iter().any(|name| charset.starts_with(name))
}

/// Whether the header says `8bit` or `binary`.
fn is_wide(headers: &Headers<'_>) -> bool {
    headers.all(TRANSFER_ENCODING).any(|value| {
        let value = value.to_ascii_lowercase();
        [&b"8bit"[..], b"8-bit", b"binary"]
            .iter()
            .any(|word| memmem::find(&value, word).is_some())
    })
}

/// Writes the header of an entity, `encoding` in place of the one it names, and its blank line.
fn header(
    entity: &[u8],
    headers: &Headers<'_>,
    encoding: Option<&str>,
    out: &mut Vec<u8>,
) -> Option<()> {
    let mut at = 0;
    if let Some(encoding) = encoding {
        for field in headers.fields().filter(|field| field.is(TRANSFER_ENCODING)) {
            field_lines(entity.get(at..field.range.start)?, out)?;
            at = field.range.end;
        }
        field_lines(entity.get(at..headers.end())?, out)?;
        out.extend_from_slice(format!("{TRANSFER_ENCODING}: {encoding}").as_bytes());
        out.extend_from_slice(CRLF);
    } else {
        field_lines(entity.get(at..headers.end())?, out)?;
    }
    out.extend_from_slice(CRLF);
    Some(())
}

/// Header lines without white space at their ends, which means nothing there.
fn field_lines(region: &[u8], out: &mut Vec<u8>) -> Option<()> {
    for (line, _) in lines(region) {
        let line = line.trim_ascii_end();
        // A line of white space alone would become the header's end.
        if line.is_empty() || !survives(line) {
            return None;
        }
        out.extend_from_slice(line);
        out.extend_from_slice(CRLF);
    }
    Some(())
}

/// Boundary lines, and what stands around parts.
fn between(region: &[u8], out: &mut Vec<u8>) -> Option<()> {
    for (line, ended) in lines(region) {
        let line = line.trim_ascii_end();
        if !survives(line) {
            return None;
        }
        out.extend_from_slice(line);
        if ended {
            out.extend_from_slice(CRLF);
        }
    }
    Some(())
}

/// What another signature covers; white space at line ends was its signer's risk, and stays.
fn unchanged(entity: &[u8]) -> Option<Cow<'_, [u8]>> {
    lines(entity)
        .all(|(line, _)| survives(line))
        .then(|| to_crlf(entity))
}

fn is_safe(body: &[u8]) -> bool {
    lines(body).all(|(line, _)| {
        survives(line) && !matches!(line.last(), Some(b' ' | b'\t')) && line != b"."
    })
}

/// Whether a line gets through mail servers, relays and mailboxes as it is.
fn survives(line: &[u8]) -> bool {
    line.len() <= LONGEST_LINE
        && line.is_ascii()
        && !is_from_line(line)
        && memchr::memchr2(0, b'\r', line).is_none()
}

/// Whether a mailbox would quote it: `From `, with any number of `>` before it.
fn is_from_line(line: &[u8]) -> bool {
    let quotes = line.iter().take_while(|byte| **byte == b'>').count();
    line.get(quotes..)
        .is_some_and(|rest| rest.starts_with(b"From "))
}

/// Lines without their ends, LF or CRLF, and whether they have one.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (&[u8], bool)> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(end) = memchr(b'\n', rest) else {
            return Some((std::mem::take(&mut rest), false));
        };
        let line = rest.get(..end).unwrap_or_default();
        rest = rest.get(end + 1..).unwrap_or_default();
        Some((line.strip_suffix(b"\r").unwrap_or(line), true))
    })
}

/// Text in quoted-printable with CRLF line ends (RFC 2045 §6.7). Besides what has to be, it encodes
/// at the start of a line what mailboxes quote, a dot, and what could be a boundary.
pub fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 4);
    for (line, ended) in lines(text) {
        quote_line(line, &mut out);
        if ended {
            out.extend_from_slice(CRLF);
        }
    }
    out
}

fn quote_line(line: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut column = 0;
    for (at, &byte) in line.iter().enumerate() {
        let rest = line.get(at..).unwrap_or_default();
        let plain = match byte {
            b' ' | b'\t' => rest.len() > 1,
            b'=' => false,
            _ => byte.is_ascii_graphic(),
        };
        if column + if plain { 1 } else { 3 } > QUOTED_LINE {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        let exposed = column == 0
            && (is_from_line(rest) || rest.starts_with(b".") || rest.starts_with(b"--"));
        if plain && !exposed {
            out.push(byte);
            column += 1;
        } else {
            let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'=', digit(byte >> 4), digit(byte & 15)]);
            column += 3;
        }
    }
}

/// The text with the line ends that a mailbox has; for what [`seven_bit`] gave, which is text
/// through and through.
pub fn with_ending(crlf: &[u8], ending: LineEnding) -> Cow<'_, [u8]> {
    match ending {
        LineEnding::CrLf => crlf.into(),
        LineEnding::Lf => transfer::to_lf_if_text(crlf).map_or(crlf.into(), Cow::Owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use proptest::prelude::*;

    fn safe(entity: &[u8]) -> Option<String> {
        let out = seven_bit(entity, &mut Budget::new(&Limits::default()))?;
        assert!(out.is_ascii());
        assert!(lines(&out).all(|(line, _)| survives(line)), "{out:?}");
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn text_that_is_safe_only_gets_its_line_ends() {
        assert_eq!(
            safe(b"Content-Type: text/plain \n\na\n\n b\r\nc").unwrap(),
            "Content-Type: text/plain\r\n\r\na\r\n\r\n b\r\nc"
        );
        assert_eq!(safe(b"\nno header").unwrap(), "\r\nno header");
    }

    #[test]
    fn parts_are_encoded_one_by_one() {
        let entity = "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n\
            --b  \nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\nContent-ID: <1>\n\n\
            gr\u{fc}n \nFrom me\n\n--b\n\nplain\n--b\nContent-Type: application/x\n\n\u{0}\u{e9}\n--b--\n";
        assert_eq!(
            safe(entity.as_bytes()).unwrap(),
            "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
             --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-ID: <1>\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\n\
             gr=C3=BCn=20\r\n=46rom me\r\n\r\n--b\r\n\r\nplain\r\n--b\r\nContent-Type: application/x\r\n\
             Content-Transfer-Encoding: base64\r\n\r\nAMOp\r\n\r\n--b--\r\n"
        );
    }

    #[test]
    fn what_cannot_be_encoded_is_said() {
        for entity in [
            &b"Content-Type: text/plain; name=\"\xe4\"\n\nx"[..],
            b"Content-Type: multipart/signed; boundary=b\n\n--b\n\n\xe4\n--b\n\nx\n--b--\n",
            b"Content-Type: multipart/mixed; boundary=b\n\n\xe4\n--b\n\nx\n--b--\n",
            b"Content-Type: message/rfc822\n\nFrom: a@b.example\nSubject: \xe4\n\nx\n",
            b"Content-Type: text/plain\nContent-Transfer-Encoding: x-uu\n\n\xe4\n",
        ] {
            assert_eq!(safe(entity), None);
        }
        let signed =
            b"Content-Type: multipart/signed; boundary=b\n\n--b\n\nspace \n--b\n\nx\n--b--\n";
        assert_eq!(
            safe(signed).unwrap().as_bytes(),
            &*to_crlf(signed),
            "a signed part stays as it is"
        );
    }

    #[test]
    fn lines_of_quoted_printable_are_short_and_harmless() {
        let text = format!("{}From {}", "x".repeat(75), "é".repeat(60));
        let written = quoted_printable(text.as_bytes());
        assert!(lines(&written).all(|(line, _)| line.len() <= 76 && survives(line)));
        assert_eq!(
            quoted_printable(b".\n--b\n>>From x\nFrom\t\n"),
            b"=2E\r\n=2D-b\r\n=3E>From x\r\nFrom=09\r\n"
        );
    }

    proptest! {
        #[test]
        fn quoted_printable_comes_back(text in any::<Vec<u8>>()) {
            let written = quoted_printable(&text);
            let read = transfer::decode(Encoding::QuotedPrintable, &written).unwrap();
            prop_assert_eq!(to_crlf(&read.bytes), to_crlf(&text));
        }

        #[test]
        fn a_body_is_the_same_to_its_reader(
            body in prop::collection::vec(prop::sample::select(
                vec![&b"From "[..], b">", b"\n", b"\r\n", b"\r", b" ", b"\t", b".", b"\xc3\xa9", b"\0", b"=", b"--", b"text"]), 0..40),
            kind in prop::sample::select(vec!["text/plain", "application/x-data"]),
            encoding in prop::sample::select(vec!["", "8bit", "binary"]),
        ) {
            let body = body.concat();
            let mut entity = format!("Content-Type: {kind}\n");
            if !encoding.is_empty() {
                entity.push_str(&format!("Content-Transfer-Encoding: {encoding}\n"));
            }
            let entity = [entity.as_bytes(), b"\n", &body].concat();
            let out = seven_bit(&entity, &mut Budget::new(&Limits::default())).unwrap();
            prop_assert!(lines(&out).all(|(line, _)| survives(line) && !line.ends_with(b" ") && line != b"."));
            let tree = parse_entity(&out, &mut Budget::new(&Limits::default()));
            let root = tree.root().unwrap();
            let read = transfer::decode(root.encoding, tree.body(root)).unwrap().bytes;
            prop_assert_eq!(to_crlf(&read), to_crlf(&body));
        }
    }
}
