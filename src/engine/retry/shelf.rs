//! Messages as they were, taken from what an earlier run wrote: an unchanged copy in OUT is the
//! message itself, a changed one has its original, and where originals were not kept the source may
//! still be there.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::archive::{Content, Kind, Locator, Meta, RawMessage};
use crate::crypto::digest::sha256;
use crate::engine::layout::Layout;
use crate::engine::originals;
use crate::engine::proof::open_plain;
use crate::engine::restore::trail;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::report::record::{MessageRecord, OutPlace};
use crate::text::{escape_path, hex, unescape_path};

/// More than any From_ line, with what may stand before the first one.
const MOST_LEAD: u64 = 1 << 16;

/// Where messages are taken from.
pub(super) struct Shelf<'a> {
    pub(super) layout: &'a Layout,
    pub(super) roots: &'a [PathBuf],
    pub(super) limits: &'a Limits,
}

impl Shelf<'_> {
    /// The message of `record`, whose stretch of an mbox in OUT begins at `begins`. `None` where it
    /// is nowhere to be had.
    ///
    /// # Errors
    /// [`Error::Damaged`] where OUT does not hold what was written.
    pub(super) fn take(
        &self,
        record: &MessageRecord,
        kind: Kind,
        begins: u64,
    ) -> Result<Option<RawMessage>> {
        let Some(out) = record
            .out
            .as_ref()
            .filter(|_| record.bytes <= self.limits.message_bytes)
        else {
            return Ok(None);
        };
        let path = self.layout.below(&out.path)?;
        let lead = if kind == Kind::Mbox {
            lead(&path, out, begins)?
        } else {
            Vec::new()
        };
        let content_at = begins + lead.len() as u64;
        let (content, trail) = if out.sha256 == record.sha256 {
            let at = if kind == Kind::Mbox { content_at } else { 0 };
            let content = stretch(&path, at, record.bytes)?;
            if hex(&sha256(&content)) != record.sha256 {
                return Err(altered(&path));
            }
            let behind = at + record.bytes;
            let trail = match kind {
                Kind::Mbox => stretch(&path, behind, out.end.saturating_sub(behind))?,
                _ => Vec::new(),
            };
            (content, trail)
        } else {
            let Some(content) = self.original(record)?.or_else(|| self.source(record, kind)) else {
                return Ok(None);
            };
            let trail = if kind == Kind::Mbox {
                trail(record)
            } else {
                Vec::new()
            };
            (content, trail)
        };
        let said = Meta::of_written(kind, &lead, &record.flags, &record.file, record.unquoted);
        let meta = Meta {
            received: said.received.or(record.arrived),
            ..said
        };
        Ok(Some(RawMessage {
            locator: Locator {
                mailbox: record.mailbox.as_str().into(),
                ordinal: record.ordinal,
                offset: record.offset,
                bytes: record.bytes,
            },
            lead,
            content: Content::Bytes(content),
            trail,
            meta,
        }))
    }

    fn original(&self, record: &MessageRecord) -> Result<Option<Vec<u8>>> {
        let path = originals::find(self.layout, &record.sha256)?;
        if !path.is_file() {
            return Ok(None);
        }
        let bytes = stretch(&path, 0, record.bytes)?;
        if hex(&sha256(&bytes)) == record.sha256 {
            Ok(Some(bytes))
        } else {
            Err(altered(&path))
        }
    }

    /// From the source, if that still holds it where it was.
    fn source(&self, record: &MessageRecord, kind: Kind) -> Option<Vec<u8>> {
        let first = record.mailbox.split('/').next().unwrap_or_default();
        let root = self.roots.iter().find(|root| {
            root.file_name()
                .is_some_and(|name| escape_path(name.as_ref()) == first)
        })?;
        let mailbox = root.parent()?.join(unescape_path(&record.mailbox));
        let (path, at) = match kind {
            Kind::Mbox => {
                let head = stretch(&mailbox, record.offset, MOST_LEAD.min(record.bytes)).ok()?;
                let line = memchr::memchr(b'\n', &head)? as u64 + 1;
                let from = if head.starts_with(b"From ") { line } else { 0 };
                (mailbox, record.offset + from)
            }
            Kind::Maildir => (mailbox.join(unescape_path(&record.file)), 0),
            Kind::Eml | Kind::Cms => (mailbox, 0),
        };
        let bytes = stretch(&path, at, record.bytes).ok()?;
        (hex(&sha256(&bytes)) == record.sha256).then_some(bytes)
    }
}

/// What stands before a message in an mbox: the From_ line, where there is one.
fn lead(path: &Path, out: &OutPlace, begins: u64) -> Result<Vec<u8>> {
    let room = out.end.saturating_sub(begins).min(MOST_LEAD);
    let mut head = stretch(path, begins, room)?;
    let from = usize::try_from(out.offset.saturating_sub(begins)).unwrap_or(usize::MAX);
    let line = head.get(from..).filter(|line| line.starts_with(b"From "));
    let end = match line.and_then(|line| memchr::memchr(b'\n', line)) {
        Some(at) => from + at + 1,
        None => 0,
    };
    head.truncate(end);
    Ok(head)
}

fn stretch(path: &Path, offset: u64, len: u64) -> Result<Vec<u8>> {
    let mut file: File = open_plain(path)?;
    file.seek(SeekFrom::Start(offset))
        .map_err(Error::io("seek in", path))?;
    let mut bytes = Vec::with_capacity(usize::try_from(len.min(1 << 20)).unwrap_or(0));
    file.take(len)
        .read_to_end(&mut bytes)
        .map_err(Error::io("read", path))?;
    if bytes.len() as u64 == len {
        Ok(bytes)
    } else {
        Err(altered(path))
    }
}

fn altered(path: &Path) -> Error {
    Error::Damaged {
        path: path.to_path_buf(),
        what: "it does not hold what was written; see check".into(),
    }
}
