//! How a changed message is written in its container: quoted where the container quotes, with the
//! lengths its header states made true, and ended so that the next message is found.

use std::borrow::Cow;
use std::fmt::Write as _;

use memchr::memmem;

use super::header::{self, Known};
use super::{Kind, RawMessage};
use crate::message::rewrite::Piece;

/// A changed message as its container holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The message's bytes.
    pub content: Vec<u8>,
    /// What separates it from the next one.
    pub trail: Vec<u8>,
}

/// Joins `edits` for a container of `kind`. `None` if the message is not in memory or an edit
/// names bytes that it does not have.
///
/// In an mbox that quotes, every line of an owned piece that is `From ` behind any number of `>`
/// gets one `>` more (mboxrd), so that it can be undone exactly; stored bytes are quoted already.
pub fn render(raw: &RawMessage, kind: Kind, edits: &[Piece]) -> Option<Rendered> {
    let source = raw.content.bytes()?;
    let quoting = kind == Kind::Mbox && raw.meta.quoting;
    let mut content = Vec::with_capacity(source.len());
    for piece in edits {
        match piece {
            Piece::Source(range) => content.extend_from_slice(source.get(range.clone())?),
            Piece::Owned(bytes) if quoting => {
                let starts_line = content.last().is_none_or(|&b| b == b'\n');
                content.extend_from_slice(&quote(bytes, starts_line));
            }
            Piece::Owned(bytes) => content.extend_from_slice(bytes),
            Piece::Large(_) => return None,
        }
    }
    if kind != Kind::Mbox {
        // A message that was cut out of an mbox may still say how long it was there.
        let is_mail = kind != Kind::Cms;
        return Some(Rendered {
            content: if is_mail {
                with_lengths(content)
            } else {
                content
            },
            trail: raw.trail.clone(),
        });
    }
    let states_length = header::fields(&content).any(|field| field.name == Known::ContentLength);
    let eol: &[u8] = if raw.lead.ends_with(b"\r\n") {
        b"\r\n"
    } else {
        b"\n"
    };
    // Only a true Content-Length can say that a message ends within a line.
    if !states_length && !content.ends_with(b"\n") {
        content.extend_from_slice(eol);
    }
    Some(Rendered {
        trail: trail(raw, source, &content, eol),
        content: with_lengths(content),
    })
}

/// The separator behind `content`: as it was, and where the new content needs more, more. Of `source`
/// and `content` the last three bytes are looked at.
pub(super) fn trail(raw: &RawMessage, source: &[u8], content: &[u8], eol: &[u8]) -> Vec<u8> {
    let blank = |bytes: &[u8]| bytes.ends_with(b"\n\n") || bytes.ends_with(b"\n\r\n");
    if !content.ends_with(b"\n") {
        let separator = if raw.trail.is_empty() && !blank(source) {
            b""
        } else {
            eol
        };
        return [eol, separator].concat();
    }
    if raw.trail.is_empty() && blank(source) && !blank(content) {
        return eol.to_vec();
    }
    raw.trail.clone()
}

/// mboxrd quoting. `starts_line`: whether the first byte stands at the start of a line.
pub fn quote(bytes: &[u8], starts_line: bool) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    let mut copied = 0;
    for found in memmem::find_iter(bytes, b"From ") {
        let before = bytes.get(..found).unwrap_or_default();
        let marks = before.iter().rev().take_while(|&&b| b == b'>').count();
        let line = found - marks;
        let at_start = if line == 0 {
            starts_line
        } else {
            before.get(line - 1) == Some(&b'\n')
        };
        if at_start {
            out.extend_from_slice(bytes.get(copied..line).unwrap_or_default());
            out.push(b'>');
            copied = line;
        }
    }
    if copied == 0 && out.is_empty() {
        return Cow::Borrowed(bytes);
    }
    out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// Undoes [`quote`]: takes one `>` off each line that is `From ` behind some.
pub fn unquote(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    let mut copied = 0;
    for found in memmem::find_iter(bytes, b">From ") {
        let before = bytes.get(..found).unwrap_or_default();
        let line = found - before.iter().rev().take_while(|&&b| b == b'>').count();
        if line == 0 || before.get(line - 1) == Some(&b'\n') {
            out.extend_from_slice(bytes.get(copied..line).unwrap_or_default());
            copied = line + 1;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(bytes);
    }
    out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

fn with_lengths(content: Vec<u8>) -> Vec<u8> {
    if !states_lengths(&content) {
        return content;
    }
    let body = content
        .get(header::read(&content).body..)
        .unwrap_or_default();
    let lines = memchr::memchr_iter(b'\n', body).count()
        + usize::from(!body.is_empty() && !body.ends_with(b"\n"));
    let body = body.len() as u64;
    correct_lengths(&content, lines as u64, body)
}

/// Whether a message's header has a `Content-Length` or `Lines`.
pub(super) fn states_lengths(content: &[u8]) -> bool {
    header::fields(content).any(|field| matches!(field.name, Known::ContentLength | Known::Lines))
}

/// Makes `Content-Length` and `Lines` true, where there are such fields. `content` may be a beginning that
/// holds all of the header.
pub(super) fn correct_lengths(content: &[u8], lines: u64, body: u64) -> Vec<u8> {
    let fields = header::fields(content)
        .filter(|field| matches!(field.name, Known::ContentLength | Known::Lines));
    let mut out = Vec::with_capacity(content.len() + 16);
    let mut copied = 0;
    for field in fields {
        let value = content.get(field.value.clone()).unwrap_or_default();
        let digits = field.value.start + value.len() - value.trim_ascii_start().len();
        out.extend_from_slice(content.get(copied..digits).unwrap_or_default());
        let mut number = String::new();
        if digits == field.value.start {
            number.push(' ');
        }
        let _ = write!(
            number,
            "{}",
            if field.name == Known::Lines {
                lines
            } else {
                body
            }
        );
        out.extend_from_slice(number.as_bytes());
        copied = field.value.end;
    }
    out.extend_from_slice(content.get(copied..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{Content, Locator, Meta};
    use proptest::prelude::*;

    fn raw(content: &[u8], trail: &[u8], quoting: bool) -> RawMessage {
        RawMessage {
            locator: Locator {
                mailbox: "a".into(),
                ordinal: 1,
                offset: 0,
                bytes: content.len() as u64,
            },
            lead: b"From a@b Thu Jul 16 03:13:49 1998\n".to_vec(),
            content: Content::Bytes(content.to_vec()),
            trail: trail.to_vec(),
            meta: Meta {
                quoting,
                ..Meta::default()
            },
        }
    }

    fn lines_unquoted(bytes: &[u8]) -> Vec<u8> {
        let lines = bytes.split_inclusive(|&b| b == b'\n').map(|line| {
            let marks = line.iter().take_while(|&&b| b == b'>').count();
            if marks > 0 && line[marks..].starts_with(b"From ") {
                &line[1..]
            } else {
                line
            }
        });
        lines.collect::<Vec<_>>().concat()
    }

    proptest! {
        #[test]
        fn quoting_is_undone_exactly(parts in proptest::collection::vec(
            prop_oneof!["\n", "\r\n", ">", "From ", "From", " ", "x"].prop_map(String::into_bytes), 0..40)) {
            let bytes = parts.concat();
            let quoted = quote(&bytes, true);
            prop_assert!(!quoted.starts_with(b"From ") && memmem::find(&quoted, b"\nFrom ").is_none());
            prop_assert_eq!(lines_unquoted(&quoted), bytes.clone());
            prop_assert_eq!(unquote(&quoted).into_owned(), bytes.clone());
            prop_assert_eq!(unquote(&bytes).into_owned(), lines_unquoted(&bytes));
        }
    }

    #[test]
    fn only_owned_pieces_are_quoted() {
        let raw = raw(b"A: b\n\nFrom stored\n", b"\n", true);
        let edits = [
            Piece::Source(0..6),
            Piece::Owned(b"From x\n>From y\n".to_vec()),
            Piece::Source(6..18),
        ];
        let made = render(&raw, Kind::Mbox, &edits).unwrap();
        assert_eq!(made.content, b"A: b\n\n>From x\n>>From y\nFrom stored\n");
        assert_eq!(made.trail, b"\n");
        let made = render(&raw, Kind::Maildir, &edits).unwrap();
        assert_eq!(made.content, b"A: b\n\nFrom x\n>From y\nFrom stored\n");
        assert!(render(&raw, Kind::Mbox, &[Piece::Source(0..99)]).is_none());
    }

    #[test]
    fn stated_lengths_become_true() {
        let raw = raw(
            b"Content-Length: 5\r\nlines:1\nX: y\n\nhello",
            b"\n\n",
            false,
        );
        let made = render(
            &raw,
            Kind::Mbox,
            &[
                Piece::Source(0..33),
                Piece::Owned(b"From here\nto there".to_vec()),
            ],
        )
        .unwrap();
        assert_eq!(
            made.content,
            b"Content-Length: 18\r\nlines: 2\nX: y\n\nFrom here\nto there"
        );
        assert_eq!(made.trail, b"\n\n");
    }

    #[test]
    fn a_changed_message_ends_so_that_the_next_is_found() {
        let with = |source: &[u8], trail: &[u8], new: &[u8]| {
            let raw = raw(source, trail, true);
            let made = render(&raw, Kind::Mbox, &[Piece::Owned(new.to_vec())]).unwrap();
            [made.content, made.trail].concat()
        };
        assert_eq!(with(b"A: b\n\nx\n", b"\n", b"A: b\n\ny"), b"A: b\n\ny\n\n");
        // A box without blank lines stays one.
        assert_eq!(with(b"A: b\n\nx\n", b"", b"A: b\n\ny"), b"A: b\n\ny\n");
        // Where Content-Length counted the blank line, it is there again.
        assert_eq!(
            with(b"A: b\n\nx\n\n", b"", b"A: b\n\ny\n"),
            b"A: b\n\ny\n\n"
        );
    }
}
