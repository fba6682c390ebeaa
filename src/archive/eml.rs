//! Files that are one message: `.eml` trees, MH folders, bare CMS objects.

use std::io::Read as _;
use std::sync::Arc;

use super::{Content, Locator, Mailbox, Meta, Origin, RawMessage, Said};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// A file that is one message, not yet read.
#[derive(Debug)]
pub struct Single {
    origin: Origin,
    mailbox: Arc<str>,
    said: Said,
    limit: u64,
}

impl Single {
    /// What is in `mailbox`, under the name it has there.
    pub fn new(mailbox: &Mailbox, name: Arc<str>, limits: &Limits) -> Self {
        Self {
            origin: mailbox.origin.clone(),
            mailbox: name,
            said: mailbox.said.clone(),
            limit: limits.message_bytes,
        }
    }

    /// Reads it.
    pub fn read(self) -> Result<RawMessage> {
        let content = read_whole(&self.origin, self.limit)?;
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
                flags: self.said.flags,
                received: self.said.received,
                modified: self.origin.modified(),
                ..Meta::default()
            },
        })
    }
}

/// All bytes of `origin`, or their place where they are more than `limit`.
pub(super) fn read_whole(origin: &Origin, limit: u64) -> Result<Content> {
    let failed = || Error::io("read", origin.path());
    let mut input = origin.open_at(0)?;
    let stated = origin.stated_len();
    let large = |len| Content::TooLarge {
        origin: origin.clone(),
        offset: 0,
        len,
    };
    if let Some(len) = stated.filter(|&len| len > limit) {
        return Ok(large(len));
    }
    // One byte of room more, so that the end is seen without growing the buffer.
    let room = usize::try_from(stated.unwrap_or(0)).unwrap_or(0);
    let mut bytes = Vec::with_capacity(room.saturating_add(1));
    (&mut input)
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed())?;
    if bytes.len() as u64 > limit {
        drop(input);
        return Ok(large(origin.measure().map_err(failed())?));
    }
    Ok(Content::Bytes(bytes))
}
