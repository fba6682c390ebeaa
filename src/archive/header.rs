//! The few header fields a container needs to know of a message: how long it says it is, which
//! boundary it opens, which flags it carries. Everything else about headers is `message::headers`.

use std::ops::Range;

/// A header is looked at this far; what lies beyond is body to the container.
pub(crate) const MAX_HEADER: usize = 256 << 10;

/// A field value is looked at this far.
const MAX_VALUE: usize = 8 << 10;

/// What a container reads in a message's header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// Where the body begins; the end of the bytes where no blank line comes.
    pub(crate) body: usize,
    /// Whether the blank line that ends the header is there.
    pub(crate) ended: bool,
    /// The first `Content-Length`.
    pub(crate) content_length: Option<u64>,
    /// The value of the first `Content-Type`.
    pub(crate) content_type: Option<Range<usize>>,
    /// The letters of `Status` and `X-Status`.
    pub(crate) status: String,
}

/// Reads the header that `bytes` begins with.
pub(crate) fn read(bytes: &[u8]) -> Header {
    let mut header = Header::default();
    let end = bytes.len().min(MAX_HEADER);
    (header.body, header.ended) = header_end(bytes.get(..end).unwrap_or_default());
    for field in fields_until(bytes, header.body) {
        let value = bytes.get(field.value.clone()).unwrap_or_default();
        match field.name {
            Known::ContentLength => header.content_length = header.content_length.or(length(value)),
            Known::ContentType => header.content_type = header.content_type.or(Some(field.value)),
            Known::Status => {
                let letters = value.iter().filter(|b| b.is_ascii_alphabetic()).take(16);
                header.status.extend(letters.map(|&b| char::from(b)));
            }
            Known::Lines => {}
        }
    }
    header
}

/// The boundary of a multipart `Content-Type` value.
pub(crate) fn boundary(content_type: &[u8]) -> Option<Vec<u8>> {
    let value = content_type.get(..content_type.len().min(MAX_VALUE))?;
    // As Latin-1: a boundary is compared bytewise, and the parser wants text.
    let unfolded: String = value
        .iter()
        .filter(|b| !matches!(b, b'\r' | b'\n'))
        .map(|&b| char::from(b))
        .collect();
    let parsed = mailparse::parse_content_type(unfolded.trim());
    if !parsed.mimetype.starts_with("multipart/") {
        return None;
    }
    let boundary = parsed.params.get("boundary")?.trim_end();
    let bytes: Option<Vec<u8>> = boundary
        .chars()
        .map(|c| u8::try_from(u32::from(c)).ok())
        .collect();
    // RFC 2046 §5.1.1 allows 70; an empty one would match any "--".
    bytes.filter(|bytes| (1..=200).contains(&bytes.len()))
}

/// A field that a container corrects when it writes a changed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    ContentLength,
    ContentType,
    Status,
    Lines,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: Known,
    /// The value with its folds, without the last line end.
    pub(crate) value: Range<usize>,
}

/// The known fields of the header that `bytes` begins with.
pub(crate) fn fields(bytes: &[u8]) -> impl Iterator<Item = Field> + '_ {
    let (end, _) = header_end(bytes.get(..bytes.len().min(MAX_HEADER)).unwrap_or_default());
    fields_until(bytes, end)
}

fn fields_until(bytes: &[u8], end: usize) -> impl Iterator<Item = Field> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < end {
            let start = at;
            at = field_end(bytes, start, end);
            let line = bytes.get(start..at).unwrap_or_default();
            if let Some((name, value)) = known(line) {
                let text = line.get(value..).unwrap_or_default().trim_ascii_end().len();
                return Some(Field {
                    name,
                    value: start + value..start + value + text,
                });
            }
        }
        None
    })
}

/// The end of the line that begins at `start`, and of the folded ones behind it.
fn field_end(bytes: &[u8], start: usize, end: usize) -> usize {
    let mut at = start;
    loop {
        let Some(rest) = bytes.get(at..end) else {
            return end;
        };
        let Some(newline) = memchr::memchr(b'\n', rest) else {
            return end;
        };
        at += newline + 1;
        if !matches!(bytes.get(at), Some(b' ' | b'\t')) || at >= end {
            return at.min(end);
        }
    }
}

/// A known name, and where its value begins.
fn known(line: &[u8]) -> Option<(Known, usize)> {
    if !matches!(
        line.first(),
        Some(b'C' | b'c' | b'S' | b's' | b'X' | b'x' | b'L' | b'l')
    ) {
        return None;
    }
    let colon = memchr::memchr(b':', line.get(..line.len().min(64))?)?;
    let name = line.get(..colon)?.trim_ascii_end();
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    let found = if is(b"Content-Length") {
        Known::ContentLength
    } else if is(b"Content-Type") {
        Known::ContentType
    } else if is(b"Status") || is(b"X-Status") {
        Known::Status
    } else if is(b"Lines") {
        Known::Lines
    } else {
        return None;
    };
    Some((found, colon + 1))
}

/// Where the body begins, and whether a blank line says so.
fn header_end(bytes: &[u8]) -> (usize, bool) {
    // A message may begin with its blank line: it has no header.
    for blank in [b"\n".as_slice(), b"\r\n"] {
        if bytes.starts_with(blank) {
            return (blank.len(), true);
        }
    }
    let mut at = 0;
    while let Some(newline) = bytes.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)) {
        at += newline + 1;
        match bytes.get(at..) {
            Some([b'\n', ..]) => return (at + 1, true),
            Some([b'\r', b'\n', ..]) => return (at + 2, true),
            _ => {}
        }
    }
    (bytes.len(), false)
}

/// A length in decimal digits; anything else is no length.
fn length(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    let plain = !digits.is_empty() && digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| {
        digits
            .iter()
            .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))
    })
}

/// Whether a line begins a header: a field name and a colon, or the `>From ` of a forwarded
/// From_ line.
pub(crate) fn starts_header(line: &[u8]) -> bool {
    line.starts_with(b">From ") || field_name(line).is_some()
}

/// The field name a line begins with: a letter, then letters, digits, `-`, `_` and `.`, then a
/// colon.
pub(crate) fn field_name(line: &[u8]) -> Option<&[u8]> {
    if !line.first()?.is_ascii_alphabetic() {
        return None;
    }
    let end = line
        .iter()
        .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')))?;
    let rest = line.get(end..)?;
    let colon = rest.iter().find(|b| !matches!(b, b' ' | b'\t'))?;
    if *colon == b':' && end <= 100 {
        line.get(..end)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_container_needs() {
        let text = b"Subject: a\r\nContent-Type: MULTIPART/mixed;\r\n  boundary=\"a b=\"\r\ncontent-length : 12\r\nStatus: RO\r\nX-Status: A\r\n\r\nbody";
        let header = read(text);
        assert_eq!(
            (header.content_length, header.status.as_str(), header.ended),
            (Some(12), "ROA", true)
        );
        assert_eq!(&text[header.body..], b"body");
        assert_eq!(
            boundary(&text[header.content_type.unwrap()]),
            Some(b"a b=".to_vec())
        );
    }

    #[test]
    fn the_body_is_not_read_as_header() {
        let header = read(b"\nContent-Length: 5\n");
        assert_eq!((header.content_length, header.body), (None, 1));
        assert_eq!(read(b"A: b\n\nContent-Length: 5\n").content_length, None);
        assert_eq!(
            read(b"Content-Length: 99999999999999999999\n").content_length,
            None
        );
    }

    #[test]
    fn field_names_are_strict() {
        for (line, expected) in [
            (&b"Subject: x"[..], true),
            (b"X-Foo_bar.baz : x", true),
            (b">From a", true),
            (b"hello world: x", false),
            (b": x", false),
            (b"9a: x", false),
            (b"http//", false),
            (b"", false),
        ] {
            assert_eq!(
                starts_header(line),
                expected,
                "{}",
                String::from_utf8_lossy(line)
            );
        }
    }
}
