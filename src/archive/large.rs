//! How a changed message that is too large to hold is written: as [`dialect::render`] makes a smaller
//! one, piece by piece.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use super::quoted::Quoted;
use super::write::{OnContent, Size};
use super::{Kind, RawMessage, dialect, header};
use crate::bulk::{Bulk, Chain, PIECE, Stretch, each_piece, head};
use crate::error::{Error, Result};
use crate::message::rewrite::Piece;

/// A header longer than this is not searched for lengths.
const MOST_HEADER: usize = 16 << 20;

/// Why writing ended.
enum Stopped {
    Read(io::Error),
    Write(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl Stopped {
    fn told(self, path: &Path) -> Error {
        match self {
            Self::Read(error) => Error::io("stream to", path)(error),
            Self::Write(error) => Error::io("write", path)(error),
        }
    }
}

/// Writes the message that `edits` make of `raw` to `out`, of which errors speak as `path`.
pub(super) fn write(
    out: &mut dyn Write,
    path: &Path,
    raw: &RawMessage,
    kind: Kind,
    edits: &[Piece],
    on_content: OnContent<'_>,
) -> Result<Size> {
    let made = Made::of(raw, kind, edits).map_err(|error| Stopped::Read(error).told(path))?;
    made.write(out, raw, kind, on_content)
        .map_err(|stopped| stopped.told(path))
}

/// The new content.
struct Made {
    content: Chain,
    /// Its beginning, which holds all of its header, and that with lengths that are true.
    head: Vec<u8>,
    corrected: Vec<u8>,
    states_content_length: bool,
}

impl Made {
    fn of(raw: &RawMessage, kind: Kind, edits: &[Piece]) -> io::Result<Self> {
        let source = raw.content.bulk();
        let quoting = kind == Kind::Mbox && raw.meta.quoting;
        let mut links: Vec<Arc<dyn Bulk>> = Vec::with_capacity(edits.len());
        for piece in edits {
            let starts_line = match links.iter().rev().find(|link| !link.is_empty()) {
                Some(before) => last_bytes(&**before, 1)? == b"\n",
                None => true,
            };
            links.push(match piece {
                Piece::Source(range) => {
                    let range = range.start as u64..range.end as u64;
                    Arc::new(Stretch::new(Arc::clone(&source), range))
                }
                Piece::Owned(bytes) if quoting => {
                    Arc::new(dialect::quote(bytes, starts_line).into_owned())
                }
                Piece::Owned(bytes) => Arc::new(bytes.clone()),
                Piece::Large(bulk) if quoting => {
                    Arc::new(Quoted::new(Arc::clone(bulk), starts_line)?)
                }
                Piece::Large(bulk) => Arc::clone(bulk),
            });
        }
        let content = Chain(links);
        let head = header_of(&content)?;
        let states_content_length =
            header::fields(&head).any(|field| field.name == header::Known::ContentLength);
        let corrected = if kind != Kind::Cms && dialect::states_lengths(&head) {
            let body = header::read(&head).body as u64;
            let (mut lines, mut len, mut last) = (0, 0, b'\n');
            each_piece(&content, body, |piece| {
                lines += memchr::memchr_iter(b'\n', piece).count() as u64;
                len += piece.len() as u64;
                last = piece.last().copied().unwrap_or(last);
                Ok::<_, io::Error>(())
            })?;
            dialect::correct_lengths(&head, lines + u64::from(last != b'\n'), len)
        } else {
            head.clone()
        };
        Ok(Self {
            content,
            head,
            corrected,
            states_content_length,
        })
    }

    fn write(
        &self,
        out: &mut dyn Write,
        raw: &RawMessage,
        kind: Kind,
        on_content: OnContent<'_>,
    ) -> std::result::Result<Size, Stopped> {
        let write =
            |out: &mut dyn Write, bytes: &[u8]| out.write_all(bytes).map_err(Stopped::Write);
        write(out, &raw.lead)?;
        let mut length = 0;
        let mut end = Vec::new();
        let mut content = |out: &mut dyn Write, bytes: &[u8]| {
            on_content(bytes);
            length += bytes.len() as u64;
            end.extend_from_slice(
                bytes
                    .get(bytes.len().saturating_sub(3)..)
                    .unwrap_or_default(),
            );
            let over = end.len().saturating_sub(3);
            end.drain(..over);
            write(out, bytes)
        };
        content(out, &self.corrected)?;
        each_piece(&self.content, self.head.len() as u64, |piece| {
            content(out, piece)
        })?;
        let eol: &[u8] = if raw.lead.ends_with(b"\r\n") {
            b"\r\n"
        } else {
            b"\n"
        };
        let lacks_end = last_bytes(&self.content, 1)? != b"\n";
        if kind == Kind::Mbox && !self.states_content_length && lacks_end {
            content(out, eol)?;
        }
        let trail = if kind == Kind::Mbox {
            let source = last_bytes(&*raw.content.bulk(), 3)?;
            dialect::trail(raw, &source, &end, eol)
        } else {
            raw.trail.clone()
        };
        write(out, &trail)?;
        Ok(Size {
            content: length,
            whole: raw.lead.len() as u64 + length + trail.len() as u64,
        })
    }
}

/// The beginning of a message that holds all of its header.
fn header_of(content: &dyn Bulk) -> io::Result<Vec<u8>> {
    let mut most = PIECE;
    loop {
        let found = head(content, most)?;
        if found.len() < most || most >= MOST_HEADER || header::read(&found).body < found.len() {
            return Ok(found);
        }
        most = most.saturating_mul(4);
    }
}

fn last_bytes(bulk: &dyn Bulk, most: u64) -> io::Result<Vec<u8>> {
    let mut last = Vec::new();
    let mut reader = bulk.open_at(bulk.len().saturating_sub(most))?;
    io::copy(&mut reader, &mut last).map(|_| last)
}
