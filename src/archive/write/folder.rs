//! Writes a Maildir: by way of `tmp`, durable before a message gets its name, under the name it had.

use std::collections::HashSet;
use std::hash::Hasher as _;
use std::io::{self, BufWriter};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use super::{OnContent, misuse, write_message};
use crate::archive::{Kind, RawMessage, maildir};
use crate::error::{Error, Result};
use crate::fsio::{self, FileSystem};
use crate::message::rewrite::Piece;

/// A Maildir that is being written.
#[derive(Debug)]
pub(super) struct Folder {
    file_system: FileSystem,
    /// Stems that several messages of the source share.
    shared_stems: HashSet<u64>,
    /// Written to `tmp`, not yet durable.
    pending: Vec<Pending>,
}

#[derive(Debug)]
struct Pending {
    temporary: PathBuf,
    place: PathBuf,
}

impl Folder {
    /// `names`: the Maildir whose messages keep their names.
    pub(super) fn open(place: &Path, names: Option<&Path>) -> Result<Self> {
        for folder in ["cur", "new", "tmp"] {
            fsio::create_dir_all(&place.join(folder))?;
        }
        remove_temporaries(&place.join("tmp"))?;
        let file_system = FileSystem::of(place)?;
        let shared_stems = names.map_or(Ok(HashSet::new()), maildir::shared_stems)?;
        Ok(Self {
            file_system,
            shared_stems,
            pending: Vec::new(),
        })
    }

    pub(super) fn append(
        &mut self,
        place: &Path,
        ordinal: u64,
        raw: &RawMessage,
        edits: Option<&[Piece]>,
        on_content: OnContent<'_>,
    ) -> Result<(PathBuf, u64)> {
        self.write(place, ordinal, raw, edits, false, on_content)
    }

    /// As [`Folder::append`], under another name than the message that `raw` is.
    pub(super) fn append_copy(
        &mut self,
        place: &Path,
        ordinal: u64,
        raw: &RawMessage,
        edits: &[Piece],
        on_content: OnContent<'_>,
    ) -> Result<(PathBuf, u64)> {
        self.write(place, ordinal, raw, Some(edits), true, on_content)
    }

    fn write(
        &mut self,
        place: &Path,
        ordinal: u64,
        raw: &RawMessage,
        edits: Option<&[Piece]>,
        copy: bool,
        on_content: OnContent<'_>,
    ) -> Result<(PathBuf, u64)> {
        let temporary = place
            .join("tmp")
            .join(format!("{ordinal}{}", fsio::TEMP_SUFFIX));
        let pending = Pending {
            temporary,
            place: PathBuf::new(),
        };
        let mut out = BufWriter::with_capacity(1 << 16, fsio::create(&pending.temporary)?);
        // Pending from here on, so that it is removed if anything below fails.
        self.pending.push(pending);
        let Some(pending) = self.pending.last_mut() else {
            return Err(misuse(place, "no pending message"));
        };
        let mut lines = LineCounter::default();
        let mut digest = std::hash::DefaultHasher::new();
        let size = write_message(
            &mut out,
            &pending.temporary,
            raw,
            Kind::Maildir,
            edits,
            &mut |bytes| {
                lines.count(bytes);
                digest.write(bytes);
                on_content(bytes);
            },
        )?;
        let file = out
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .map_err(Error::io("write", &pending.temporary))?;
        if let Some(modified) = raw.meta.modified {
            file.set_modified(modified)?;
        }
        let name = match &raw.meta.file {
            Some(file) if is_message_name(file) => file.clone(),
            Some(file) => return Err(misuse(file, "not the name of a message in a Maildir")),
            None => PathBuf::from(format!(
                "cur/{}.{ordinal}.p7mill:2,{}",
                raw.meta.received.unwrap_or(0),
                raw.meta.flags
            )),
        };
        let name = if copy {
            // What is encrypted is new each time, so nobody can have taken the name before.
            copied(&name, digest.finish())
        } else {
            name
        };
        let name = if edits.is_some() {
            sized(
                &name,
                size.content,
                size.content + lines.bare,
                ordinal,
                &self.shared_stems,
            )
        } else {
            name
        };
        pending.place = place.join(&name);
        Ok((name, size.content))
    }

    pub(super) fn sync(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        // Many small files are one journal commit this way, and as many as there are otherwise.
        if self.pending.len() > 4 {
            self.file_system.sync()?;
        } else {
            for pending in &self.pending {
                fsio::sync_file(&pending.temporary)?;
            }
        }
        let mut folders = HashSet::new();
        for pending in &self.pending {
            fsio::rename(&pending.temporary, &pending.place)?;
            folders.extend(pending.place.parent());
        }
        for folder in folders {
            fsio::sync_dir(folder)?;
        }
        self.pending.clear();
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        for pending in &self.pending {
            let _ = fsio::remove(&pending.temporary);
        }
    }
}

/// Removes what a killed run left in a Maildir's `tmp`.
fn remove_temporaries(tmp: &Path) -> Result<()> {
    for entry in std::fs::read_dir(tmp).map_err(Error::io("read", tmp))? {
        let entry = entry.map_err(Error::io("read", tmp))?;
        if entry
            .file_name()
            .as_bytes()
            .ends_with(fsio::TEMP_SUFFIX.as_bytes())
        {
            fsio::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// `cur/NAME` or `new/NAME`.
pub(super) fn is_message_name(file: &Path) -> bool {
    let mut parts = file.components();
    matches!(parts.next(), Some(Component::Normal(folder)) if folder == "cur" || folder == "new")
        && matches!(parts.next(), Some(Component::Normal(_)))
        && parts.next().is_none()
}

/// The name of a copy: that of the message with something behind its stem that tells it apart.
fn copied(file: &Path, digest: u64) -> PathBuf {
    let name = file.file_name().unwrap_or_default().as_bytes();
    let stem = maildir::base(name)
        .split(|&b| b == b',')
        .next()
        .unwrap_or_default();
    let info = name.get(stem.len()..).unwrap_or_default();
    // Room for the rest in the longest name that a file may have.
    let stem = stem.get(..stem.len().min(160)).unwrap_or_default();
    let mark = format!(".bcc-{digest:016x}");
    file.with_file_name(std::ffi::OsStr::from_bytes(
        &[stem, mark.as_bytes(), info].concat(),
    ))
}

/// The name of a changed message whose bytes these are.
pub(super) fn changed_name(
    file: &Path,
    bytes: &[u8],
    ordinal: u64,
    shared_stems: &HashSet<u64>,
) -> PathBuf {
    let mut lines = LineCounter::default();
    lines.count(bytes);
    let size = bytes.len() as u64;
    sized(file, size, size + lines.bare, ordinal, shared_stems)
}

/// A message's name with its stated sizes made true (`S=` as stored, `W=` with CRLF line ends).
/// Where several messages share the stem, a changed one's gets the ordinal, so that two never meet
/// under one name, whichever run writes them.
fn sized(
    file: &Path,
    size: u64,
    crlf_size: u64,
    ordinal: u64,
    shared_stems: &HashSet<u64>,
) -> PathBuf {
    let name = file.file_name().unwrap_or_default().as_bytes();
    let base = maildir::base(name);
    let info = name.get(base.len()..).unwrap_or_default();
    let mut made = Vec::with_capacity(name.len() + 16);
    for (index, part) in base.split(|&b| b == b',').enumerate() {
        if index > 0 {
            made.push(b',');
        }
        let stated = |key: &[u8]| {
            part.strip_prefix(key)
                .is_some_and(|n| !n.is_empty() && n.iter().all(u8::is_ascii_digit))
        };
        if index > 0 && stated(b"S=") {
            made.extend_from_slice(format!("S={size}").as_bytes());
        } else if index > 0 && stated(b"W=") {
            made.extend_from_slice(format!("W={crlf_size}").as_bytes());
        } else {
            made.extend_from_slice(part);
        }
        if index == 0 && shared_stems.contains(&maildir::stem_hash(name)) {
            made.extend_from_slice(format!(".p{ordinal}").as_bytes());
        }
    }
    made.extend_from_slice(info);
    // The longest name a file may have.
    if made.len() > 255 {
        file.to_path_buf()
    } else {
        file.with_file_name(std::ffi::OsStr::from_bytes(&made))
    }
}

/// Counts the line feeds that have no carriage return before them.
#[derive(Debug, Default)]
struct LineCounter {
    bare: u64,
    after_cr: bool,
}

impl LineCounter {
    fn count(&mut self, bytes: &[u8]) {
        for at in memchr::memchr_iter(b'\n', bytes) {
            let after_cr = if at == 0 {
                self.after_cr
            } else {
                bytes.get(at - 1) == Some(&b'\r')
            };
            self.bare += u64::from(!after_cr);
        }
        self.after_cr = bytes.last().map_or(self.after_cr, |&b| b == b'\r');
    }
}
