//! What was written, read back: an independent look before anything is called done.

use std::path::Path;

use crate::archive::{Kind, Mailbox, Origin, loose_files};
use crate::crypto::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::text::{hex, unescape_path};

/// A sum over the hashes of a mailbox's messages, whatever their order: one that was renamed may
/// be listed at another place. Against accidents, not against forgers; for those there is the
/// manifest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum(u128);

impl Sum {
    /// Adds a message's SHA-256 in hex.
    pub(super) fn add(&mut self, sha256: &str) {
        let half = sha256
            .get(..32)
            .and_then(|digits| u128::from_str_radix(digits, 16).ok());
        self.0 = self.0.wrapping_add(half.unwrap_or_default());
    }
}

/// What reading back gave.
#[derive(Debug, Default)]
pub(super) struct Proof {
    /// Of the file; empty for a Maildir.
    pub(super) sha256: String,
    /// How it differs from what was written, if it does.
    pub(super) difference: Option<String>,
}

/// Reads `mailbox` back from `out`.
pub(super) fn read_back(
    out: &Path,
    mailbox: &Mailbox,
    limits: &Limits,
    messages: u64,
    sum: &Sum,
) -> Result<Proof> {
    let path = out.join(unescape_path(&mailbox.out));
    let mut written = Mailbox::new(mailbox.out.clone(), path, mailbox.to);
    let loose = mailbox.to == Kind::Eml && mailbox.converts();
    if loose && messages == 0 {
        return Ok(Proof::default());
    }
    if loose {
        let files = loose_files(written.origin.path(), messages);
        written.parts = files
            .map(|file| Mailbox::new(String::new(), file, Kind::Eml))
            .collect();
    }
    let mut file = Hasher::new(Digest::Sha256);
    let mut found = 0;
    let mut found_sum = Sum::default();
    for raw in written.messages(limits)? {
        let raw = raw?;
        found += 1;
        file.update(&raw.lead);
        let mut hasher = Hasher::new(Digest::Sha256);
        raw.content.each_piece(&mut |bytes| {
            file.update(bytes);
            hasher.update(bytes);
            Ok(())
        })?;
        file.update(&raw.trail);
        found_sum.add(&hex(&hasher.finish()));
    }
    let difference = if found != messages {
        Some(format!(
            "{messages} messages were written, {found} are read back"
        ))
    } else if found_sum != *sum {
        Some("what was written does not read back alike".into())
    } else {
        None
    };
    let sha256 = if mailbox.to == Kind::Maildir || loose {
        String::new()
    } else {
        hex(&file.finish())
    };
    Ok(Proof { sha256, difference })
}

/// The SHA-256 of a file, lower-case hex.
pub(super) fn hash_file(path: &Path) -> Result<String> {
    hash(open_plain(path)?, path)
}

/// The SHA-256 of a source, as it lies in its file or archive, lower-case hex.
pub(super) fn hash_source(origin: &Origin) -> Result<String> {
    hash(origin.open_at(0)?, origin.path())
}

fn hash(mut input: impl std::io::Read, path: &Path) -> Result<String> {
    let mut hasher = Hasher::new(Digest::Sha256);
    let mut buffer = vec![0; 1 << 18];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(hex(&hasher.finish())),
            Ok(got) => hasher.update(buffer.get(..got).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read", path)(error)),
        }
    }
}

/// Opens an ordinary file; never a link, never something that waits for a writer.
pub(super) fn open_plain(path: &Path) -> Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(crate::fsio::plain_flags())
        .open(path)
        .map_err(Error::io("open", path))?;
    let metadata = file.metadata().map_err(Error::io("read", path))?;
    if metadata.is_file() {
        Ok(file)
    } else {
        Err(Error::io("read", path)(std::io::Error::other(
            "not an ordinary file",
        )))
    }
}
