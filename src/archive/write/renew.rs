//! Writes a changed message that is a file by itself once more, aside: under the name that it gets
//! in the output, below another folder, so that all of them can take their places together.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::Path;
use std::time::SystemTime;

use super::{OnContent, Written, folder, make_folder_of, misuse, relative, write_message};
use crate::archive::{Kind, RawMessage};
use crate::error::{Error, Result};
use crate::fsio;
use crate::message::rewrite::Piece;
use crate::text::escape_path;

/// How a message is written aside.
#[derive(Debug, Clone, Copy)]
pub struct Renewal<'a> {
    /// The folder that stands for the output.
    pub staging: &'a Path,
    /// The mailbox's name below the output.
    pub mailbox: &'a str,
    /// Of the mailbox; not [`Kind::Mbox`].
    pub kind: Kind,
    /// What the message's file gets as its modification time.
    pub modified: Option<SystemTime>,
    /// Maildir: the stems that several of its messages share.
    pub shared_stems: &'a HashSet<u64>,
}

/// Writes it; it is durable once the folder's file system is synced.
pub fn renew(
    renewal: &Renewal<'_>,
    raw: &RawMessage,
    ordinal: u64,
    edits: &[Piece],
    on_content: OnContent<'_>,
) -> Result<Written> {
    let mailbox = renewal.mailbox.to_owned();
    let mut bytes = Vec::new();
    let place = renewal.staging.join(relative(&mailbox)?);
    let size = write_message(
        &mut bytes,
        &place,
        raw,
        renewal.kind,
        Some(edits),
        on_content,
    )?;
    let (path, place) = match (renewal.kind, &raw.meta.file) {
        (Kind::Maildir, Some(file)) if folder::is_message_name(file) => {
            let name = folder::changed_name(file, &bytes, ordinal, renewal.shared_stems);
            (
                format!("{mailbox}/{}", escape_path(&name)),
                place.join(name),
            )
        }
        (Kind::Eml | Kind::Cms, _) => (mailbox.clone(), place),
        _ => return Err(misuse(&place, "not a message that is a file by itself")),
    };
    make_folder_of(&place)?;
    let mut file = fsio::create(&place)?;
    file.write_all(&bytes).map_err(Error::io("write", &place))?;
    if let Some(modified) = renewal.modified {
        file.set_modified(modified)?;
    }
    Ok(Written {
        mailbox,
        ordinal,
        offset: 0,
        bytes: size.content,
        end: if renewal.kind == Kind::Maildir {
            0
        } else {
            size.whole
        },
        path,
    })
}
