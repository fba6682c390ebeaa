//! Files that are one message: `.eml` trees, MH folders, bare CMS objects.

use std::fs::Metadata;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Content, Locator, Meta, Origin, RawMessage, source};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// A file that is one message, not yet read.
#[derive(Debug)]
pub struct Single {
    path: PathBuf,
    mailbox: Arc<str>,
    limit: u64,
}

impl Single {
    /// The file at `path`, under the name of its mailbox.
    pub fn new(path: PathBuf, mailbox: Arc<str>, limits: &Limits) -> Self {
        Self {
            path,
            mailbox,
            limit: limits.message_bytes,
        }
    }

    /// Reads it.
    pub fn read(self) -> Result<RawMessage> {
        let (content, metadata) = read_whole(&self.path, self.limit)?;
        Ok(RawMessage {
            locator: Locator {
                mailbox: self.mailbox,
                ordinal: 1,
                offset: 0,
                bytes: content.len(),
            },
            lead: Vec::new(),
            content,
            trail: Vec::new(),
            meta: Meta {
                modified: metadata.modified().ok(),
                ..Meta::default()
            },
        })
    }
}

/// A file's bytes, or its place where they are more than `limit`.
pub(super) fn read_whole(path: &Path, limit: u64) -> Result<(Content, Metadata)> {
    let mut file = source::open_regular(path)?;
    let metadata = file.metadata().map_err(Error::io("read", path))?;
    let large = |len| Content::TooLarge {
        origin: Origin::file(path.to_path_buf()),
        offset: 0,
        len,
    };
    if metadata.len() > limit {
        return Ok((large(metadata.len()), metadata));
    }
    // One byte of room more, so that the end is seen without growing the buffer.
    let mut bytes = Vec::with_capacity(
        usize::try_from(metadata.len())
            .unwrap_or(0)
            .saturating_add(1),
    );
    (&mut file)
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(Error::io("read", path))?;
    if bytes.len() as u64 > limit {
        let metadata = file.metadata().map_err(Error::io("read", path))?;
        return Ok((large(metadata.len()), metadata));
    }
    Ok((Content::Bytes(bytes), metadata))
}
