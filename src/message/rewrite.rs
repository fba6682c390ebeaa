//! Edits: a changed message as ranges of its source and owned pieces.

use std::io::Read as _;
use std::ops::Range;
use std::sync::Arc;

use super::headers::{Headers, LineEnding, without_junk};
use super::parts::Part;
use crate::bulk::{Bulk, Stretch};

/// A stretch of a changed message.
#[derive(Debug, Clone)]
pub enum Piece {
    /// Bytes of the message as stored.
    Source(Range<usize>),
    /// New bytes.
    Owned(Vec<u8>),
    /// New bytes, too many to hold.
    Large(Arc<dyn Bulk>),
}

impl PartialEq for Piece {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Source(one), Self::Source(other)) => one == other,
            (Self::Owned(one), Self::Owned(other)) => one == other,
            (Self::Large(one), Self::Large(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Piece {}

/// The changed message, in memory. A range that is not in `source`, and what cannot be read, gives
/// nothing.
pub fn apply(source: &[u8], pieces: &[Piece]) -> Vec<u8> {
    let mut out = Vec::with_capacity(len(pieces));
    for piece in pieces {
        match piece {
            Piece::Source(range) => {
                out.extend_from_slice(source.get(range.clone()).unwrap_or_default());
            }
            Piece::Owned(bytes) => out.extend_from_slice(bytes),
            Piece::Large(bulk) => {
                let _ = bulk
                    .open_at(0)
                    .and_then(|mut all| all.read_to_end(&mut out));
            }
        }
    }
    out
}

/// The changed message's length in bytes.
pub fn len(pieces: &[Piece]) -> usize {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Source(range) => range.len(),
            Piece::Owned(bytes) => bytes.len(),
            Piece::Large(bulk) => usize::try_from(bulk.len()).unwrap_or(0),
        })
        .sum()
}

/// Puts `entity` in the place of a message's content: its Content-* fields replace the outer ones
/// where the first of them stands, its body replaces the body byte for byte. All other outer
/// fields stay as they are; `MIME-Version: 1.0` is added if there is none. Content-Length is an
/// mbox's field, not MIME's, and stays.
///
/// An `entity` without a MIME header (RFC 8551 §3.1 wants one, but plain text is met) is all body.
/// Of one with a header, fields that are not Content-* are dropped.
pub fn replace_root(message: &[u8], headers: &Headers<'_>, entity: &[u8]) -> Vec<Piece> {
    replace_root_and(message, headers, entity, &[])
}

/// A change to a message's own header. Values are clean: folded lines with the header's line end,
/// none after the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderEdit {
    /// Puts a field of that value where the first one of that name stands, or at the header's
    /// end; the old ones keep their place under `displaced` and their name.
    Replace {
        /// The field's name.
        name: &'static str,
        /// What is put before an old field's name.
        displaced: &'static str,
        /// Its value.
        value: Vec<u8>,
    },
    /// Adds a field at the header's end.
    Add {
        /// The field's name.
        name: String,
        /// Its value.
        value: Vec<u8>,
    },
}

impl HeaderEdit {
    fn field(&self, ending: LineEnding) -> Vec<u8> {
        let (name, value) = match self {
            Self::Replace { name, value, .. } => (*name, value),
            Self::Add { name, value } => (name.as_str(), value),
        };
        [name.as_bytes(), b": ", value, ending.as_bytes()].concat()
    }
}

/// [`replace_root`], with changes to the header's other fields.
pub fn replace_root_and(
    message: &[u8],
    headers: &Headers<'_>,
    entity: &[u8],
    edits: &[HeaderEdit],
) -> Vec<Piece> {
    let (mut pieces, body) = replace_header(message, headers, entity, edits);
    pieces.owned(entity.get(body..).unwrap_or_default().to_vec());
    pieces.0
}

/// [`replace_root_and`] for an entity that is too large to hold; `head` is its beginning, which holds
/// all of its header.
pub fn replace_root_with_large(
    message: &[u8],
    headers: &Headers<'_>,
    (head, entity): (&[u8], &Arc<dyn Bulk>),
    edits: &[HeaderEdit],
) -> Vec<Piece> {
    let (mut pieces, body) = replace_header(message, headers, head, edits);
    let body = Stretch::new(Arc::clone(entity), body as u64..entity.len());
    pieces.0.push(Piece::Large(Arc::new(body)));
    pieces.0
}

/// Everything of the changed message up to its body, and where that begins in `entity`.
fn replace_header(
    message: &[u8],
    headers: &Headers<'_>,
    entity: &[u8],
    edits: &[HeaderEdit],
) -> (Pieces, usize) {
    let ending = headers.line_ending();
    let inner = EntityView::of(entity);
    let mut block = Vec::new();
    if headers.count("mime-version") == 0 {
        block.extend_from_slice(b"MIME-Version: 1.0");
        block.extend_from_slice(ending.as_bytes());
    }
    for raw in &inner.content_fields {
        push_field(raw, ending, &mut block);
    }

    let mut outer = Outer {
        message,
        cr_only: headers.is_cr_only(),
        ending,
        pieces: Pieces::default(),
    };
    let mut copied = 0;
    let mut block = Some(block);
    let mut waiting: Vec<Option<&HeaderEdit>> = edits.iter().map(Some).collect();
    let mut before = 0;
    // Where, before `before`, a field stands behind a bare CR in a line that is none.
    let mut foreign = 0..0;
    for field in headers.fields() {
        if is_content_field(field.name) {
            // A line that is no field reads as part of the header only before a field: one that
            // stands before a field that goes, goes with it, down to the field that it hides.
            if block.as_ref().is_some_and(|block| !block.is_empty()) {
                outer.keep_lines(copied..field.range.start);
            } else if copied <= foreign.start && !foreign.is_empty() {
                outer.keep_lines(copied..foreign.start);
                outer.keep_lines(foreign.end..before);
            } else {
                outer.keep_lines(copied..before.max(copied));
            }
            outer.pieces.owned(block.take().unwrap_or_default());
            copied = field.range.end;
            continue;
        }
        let passed_over = before.max(copied)..field.range.start;
        foreign = match (field.hidden, passed_over.is_empty()) {
            (true, true) => foreign,
            (true, false) => passed_over,
            (false, _) => 0..0,
        };
        before = field.range.end;
        let replacing = edits
            .iter()
            .position(|edit| matches!(edit, HeaderEdit::Replace { name, .. } if field.is(name)));
        if let Some(at) = replacing
            && let Some(HeaderEdit::Replace { displaced, .. }) = edits.get(at)
        {
            outer.keep_lines(copied..field.range.start);
            if let Some(edit) = waiting.get_mut(at).and_then(Option::take) {
                outer.pieces.owned(edit.field(ending));
            }
            outer.pieces.owned(displaced.as_bytes().to_vec());
            let raw = message.get(field.range.clone()).unwrap_or_default();
            copied = field.range.end - raw.trim_ascii_start().len();
        }
    }
    let mut last = block.unwrap_or_default();
    for edit in waiting.into_iter().flatten() {
        last.extend(edit.field(ending));
    }
    if last.is_empty() {
        outer.keep(copied..headers.end());
    } else {
        outer.keep_lines(copied..headers.end());
        outer.pieces.owned(last);
    }
    if headers.end() == headers.body_start() {
        outer.pieces.owned(ending.as_bytes().to_vec());
    } else {
        outer.keep(headers.end()..headers.body_start());
    }
    (outer.pieces, inner.body)
}

/// Puts `new_entity` in the place of a part; every other byte stays. Where the source has no line
/// end between the part and a boundary line beside it, one is added.
///
/// See [`super::parts::collides`] for an entity that holds one of the boundaries around it.
pub fn replace_part(message: &[u8], part: &Part, new_entity: &[u8]) -> Vec<Piece> {
    let ending = LineEnding::of(message).as_bytes();
    let (start, end) = (part.entity.start, part.entity.end);
    let mut pieces = Pieces::default();
    pieces.source(0..start);
    // A delimiter line without a line end, or with none left for the part.
    if start > 0 && message.get(start - 1) != Some(&b'\n') {
        pieces.owned(ending.to_vec());
    }
    pieces.owned(new_entity.to_vec());
    if matches!(message.get(end), Some(byte) if !matches!(byte, b'\r' | b'\n')) {
        pieces.owned(ending.to_vec());
    }
    pieces.source(end..message.len());
    pieces.0
}

/// A `message/rfc822` entity that holds `entity` as an attached message; an entity without a
/// header is given the blank line that makes it a body.
pub fn wrap_as_rfc822(entity: &[u8]) -> Vec<u8> {
    let ending = LineEnding::of(entity).as_bytes();
    let mut out = Vec::with_capacity(entity.len() + 80);
    out.extend_from_slice(b"Content-Type: message/rfc822");
    out.extend_from_slice(ending);
    if let Some(word) = transfer_word(entity) {
        out.extend_from_slice(b"Content-Transfer-Encoding: ");
        out.extend_from_slice(word);
        out.extend_from_slice(ending);
    }
    out.extend_from_slice(ending);
    if !begins_with_header(entity) {
        out.extend_from_slice(ending);
    }
    out.extend_from_slice(entity);
    out
}

/// The outer header on its way into pieces.
struct Outer<'a> {
    message: &'a [u8],
    cr_only: bool,
    ending: LineEnding,
    pieces: Pieces,
}

impl Outer<'_> {
    /// Keeps bytes as they are, unless all lines end in CR alone: the new body brings LFs, and
    /// beside them nobody would take those CRs for line ends.
    fn keep(&mut self, range: Range<usize>) {
        if !self.cr_only {
            return self.pieces.source(range);
        }
        let kept = self.message.get(range).unwrap_or_default();
        self.pieces.owned(
            kept.iter()
                .map(|byte| if *byte == b'\r' { b'\n' } else { *byte })
                .collect(),
        );
    }

    /// Keeps bytes and ends their last line, so that what follows is a field for every reader: a
    /// bare CR before it would hide it from most.
    fn keep_lines(&mut self, range: Range<usize>) {
        let last = self
            .message
            .get(range.clone())
            .and_then(<[u8]>::last)
            .copied();
        self.keep(range);
        match last {
            None | Some(b'\n') => {}
            Some(b'\r') if self.cr_only => {}
            Some(b'\r') => self.pieces.owned(b"\n".to_vec()),
            Some(_) => self.pieces.owned(self.ending.as_bytes().to_vec()),
        }
    }
}

/// What an unencoded body must be declared as (RFC 2045 §2.7–2.9): `None` for 7bit.
fn transfer_word(bytes: &[u8]) -> Option<&'static [u8]> {
    let long = bytes
        .split(|byte| *byte == b'\n')
        .any(|line| line.len() > 999);
    let bare_cr = memchr::memchr_iter(b'\r', bytes).any(|at| bytes.get(at + 1) != Some(&b'\n'));
    if long || bare_cr || memchr::memchr(0, bytes).is_some() {
        Some(b"binary")
    } else if bytes.is_ascii() {
        None
    } else {
        Some(b"8bit")
    }
}

/// An entity as its Content-* fields and its body.
struct EntityView<'a> {
    content_fields: Vec<&'a [u8]>,
    /// Where its body begins.
    body: usize,
}

impl<'a> EntityView<'a> {
    fn of(entity: &'a [u8]) -> Self {
        let headers = Headers::parse_part(entity);
        let content_fields: Vec<_> = headers
            .fields()
            .filter(|field| is_content_field(field.name) && !field.hidden)
            .filter_map(|field| entity.get(field.range))
            .collect();
        // Text such as `Note: call me` is no MIME header; taking it for one would lose it.
        let has_header =
            headers.fields().any(|field| is_mime_field(field.name)) || headers.end() == 0;
        let body_start = if has_header { headers.body_start() } else { 0 };
        Self {
            content_fields,
            body: body_start,
        }
    }
}

/// Whether readers would take the beginning of `entity` for a header.
fn begins_with_header(entity: &[u8]) -> bool {
    const USUAL: [&str; 9] = [
        "from",
        "to",
        "cc",
        "subject",
        "date",
        "message-id",
        "received",
        "return-path",
        "reply-to",
    ];
    let headers = Headers::parse_part(entity);
    let blank_first = headers.end() == 0 && headers.body_start() > 0;
    blank_first
        || headers
            .fields()
            .any(|field| is_mime_field(field.name) || USUAL.iter().any(|name| field.is(name)))
}

fn is_mime_field(name: &[u8]) -> bool {
    is_content_field(name) || without_junk(name).eq_ignore_ascii_case(b"mime-version")
}

/// By the name that readers see who drop control characters, as [`Headers::first`] does: a field
/// that one of them takes for a Content-Type must not stay beside the new one.
fn is_content_field(name: &[u8]) -> bool {
    let name = without_junk(name);
    name.get(..8)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"content-"))
        && !name.eq_ignore_ascii_case(b"content-length")
}

/// Adds a field with its line ends made `ending`. A stray CR becomes a space: some readers would
/// take it for the end of the field.
fn push_field(raw: &[u8], ending: LineEnding, out: &mut Vec<u8>) {
    for line in raw.trim_ascii_end().split(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        out.extend(
            text.iter()
                .map(|byte| if *byte == b'\r' { b' ' } else { *byte }),
        );
        out.extend_from_slice(ending.as_bytes());
    }
}

/// Pieces without empty ones.
#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn source(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        if let Some(Piece::Source(last)) = self.0.last_mut()
            && last.end == range.start
        {
            last.end = range.end;
            return;
        }
        self.0.push(Piece::Source(range));
    }

    fn owned(&mut self, bytes: Vec<u8>) {
        match self.0.last_mut() {
            _ if bytes.is_empty() => {}
            Some(Piece::Owned(last)) => last.extend_from_slice(&bytes),
            _ => self.0.push(Piece::Owned(bytes)),
        }
    }
}
