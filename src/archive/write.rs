//! Writes a mailbox as it was found: an mbox grows beside the output until it is whole, a Maildir's
//! messages come by way of `tmp`, other files at once. Nothing half-written ever has a final name.

mod folder;
mod loose;
mod renew;

use std::io::{self, BufWriter, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use folder::Folder;
use loose::Loose;
pub(crate) use loose::files as loose_files;
pub use renew::{Renewal, renew};

use super::convert::Quoter;
use super::{Content, Kind, Mailbox, RawMessage, SourceFile, dialect, large, sniff};
use crate::error::{Error, Result};
use crate::fsio::{self, File, Pending};
use crate::message::rewrite::Piece;
use crate::text::{escape_path, unescape_path};

/// Where a message was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The mailbox's name, which is its path below the output folder.
    pub mailbox: String,
    /// The message's number in it, from 1.
    pub ordinal: u64,
    /// Where its From_ line begins; 0 where it is a file of its own.
    pub offset: u64,
    /// Its length without From_ line.
    pub bytes: u64,
    /// The file's length afterwards; 0 for a Maildir.
    pub end: u64,
    /// The file that holds it, below the output folder, escaped.
    pub path: String,
}

/// Sees a message's bytes as they are written, From_ line and separator excluded: the caller
/// hashes them.
pub type OnContent<'a> = &'a mut dyn FnMut(&[u8]);

/// Writes one mailbox.
#[derive(Debug)]
pub struct MailboxWriter {
    name: String,
    kind: Kind,
    ordinal: u64,
    /// The mailbox's place in the output.
    place: PathBuf,
    target: Target,
}

#[derive(Debug)]
enum Target {
    /// A file that grows beside the output. `None`: a single message that is not there yet, or
    /// has its final name already.
    File {
        staged: PathBuf,
        open: Option<BufWriter<File>>,
        end: u64,
        modified: Option<SystemTime>,
    },
    Folder(Folder),
    Loose(Loose),
}

impl MailboxWriter {
    /// Begins `mailbox` below `out`, or continues it: `resume` is how many messages are committed
    /// and where the last one ended; what was written behind it is cut off. `staging` is a folder
    /// on the same file system for what is not whole yet.
    pub fn open(
        out: &Path,
        staging: &Path,
        mailbox: &Mailbox,
        resume: Option<(u64, u64)>,
    ) -> Result<Self> {
        let relative = relative(&mailbox.out)?;
        let place = out.join(&relative);
        let (ordinal, end) = resume.unwrap_or_default();
        let target = match mailbox.to {
            Kind::Maildir => {
                let names = (!mailbox.converts()).then(|| mailbox.origin.path());
                Target::Folder(Folder::open(&place, names)?)
            }
            Kind::Eml if mailbox.converts() => Target::Loose(Loose::open(&place)?),
            kind => {
                let staged = staging.join(&relative);
                make_folder_of(&staged)?;
                make_folder_of(&place)?;
                let exists = |path: &Path| std::fs::symlink_metadata(path).is_ok();
                let whole = ordinal > 0 && !exists(&staged) && exists(&place);
                // Stopped between the rename and the note of it: an mbox goes back to where it grows.
                if whole && kind == Kind::Mbox {
                    fsio::rename(&place, &staged)?;
                }
                let wanted = kind == Kind::Mbox || (ordinal > 0 && !whole);
                let open = if wanted {
                    Some(BufWriter::with_capacity(
                        1 << 20,
                        fsio::open_at(&staged, end)?,
                    ))
                } else {
                    None
                };
                let modified = mailbox.origin.modified();
                Target::File {
                    staged,
                    open,
                    end,
                    modified,
                }
            }
        };
        Ok(Self {
            name: mailbox.out.clone(),
            kind: mailbox.to,
            ordinal,
            place,
            target,
        })
    }

    /// Writes one message: without `edits` byte for byte, From_ line and separator included, with
    /// them as [`dialect::render`] makes it.
    pub fn append(
        &mut self,
        raw: &RawMessage,
        edits: Option<&[Piece]>,
        on_content: OnContent<'_>,
    ) -> Result<Written> {
        self.ordinal += 1;
        match &mut self.target {
            Target::File {
                staged, open, end, ..
            } => {
                let out = match open {
                    Some(out) => out,
                    None => {
                        open.insert(BufWriter::with_capacity(1 << 16, fsio::open_at(staged, 0)?))
                    }
                };
                let offset = *end + sniff::leading_blanks(&raw.lead) as u64;
                let size = write_message(out, staged, raw, self.kind, edits, on_content)?;
                *end += size.whole;
                Ok(Written {
                    mailbox: self.name.clone(),
                    ordinal: self.ordinal,
                    offset,
                    bytes: size.content,
                    end: *end,
                    path: self.name.clone(),
                })
            }
            Target::Folder(_) | Target::Loose(_) => {
                let (file, bytes) = match &mut self.target {
                    Target::Folder(folder) => {
                        folder.append(&self.place, self.ordinal, raw, edits, on_content)?
                    }
                    Target::Loose(loose) => loose.append(self.ordinal, raw, on_content)?,
                    Target::File { .. } => return Err(misuse(&self.place, "no folder")),
                };
                Ok(Written {
                    mailbox: self.name.clone(),
                    ordinal: self.ordinal,
                    offset: 0,
                    bytes,
                    end: 0,
                    path: format!("{}/{}", self.name, escape_path(&file)),
                })
            }
        }
    }

    /// Writes another message behind the one that was just written, made of the same `raw`: a
    /// Maildir gives it a name of its own, an mbox its From_ line. A mailbox that is a file with
    /// one message holds no other: see [`write_beside`].
    pub fn append_copy(
        &mut self,
        raw: &RawMessage,
        edits: &[Piece],
        on_content: OnContent<'_>,
    ) -> Result<Written> {
        let Target::Folder(folder) = &mut self.target else {
            return self.append(raw, Some(edits), on_content);
        };
        self.ordinal += 1;
        let (file, bytes) =
            folder.append_copy(&self.place, self.ordinal, raw, edits, on_content)?;
        Ok(Written {
            mailbox: self.name.clone(),
            ordinal: self.ordinal,
            offset: 0,
            bytes,
            end: 0,
            path: format!("{}/{}", self.name, escape_path(&file)),
        })
    }

    /// Makes everything appended so far durable.
    pub fn sync(&mut self) -> Result<()> {
        match &mut self.target {
            Target::File {
                staged,
                open: Some(out),
                ..
            } => {
                out.flush().map_err(Error::io("write", &*staged))?;
                out.get_ref().sync()?;
                fsio::sync_dir(staged.parent().unwrap_or(Path::new(".")))
            }
            Target::File { open: None, .. } => Ok(()),
            Target::Folder(folder) => folder.sync(),
            Target::Loose(loose) => loose.sync(),
        }
    }

    /// Makes it durable, and gives it its name and the source's modification time.
    pub fn finish(mut self) -> Result<()> {
        if let Target::File {
            staged,
            open: Some(out),
            modified,
            ..
        } = &mut self.target
        {
            out.flush().map_err(Error::io("write", &*staged))?;
            if let Some(modified) = *modified {
                out.get_ref().set_modified(modified)?;
            }
        }
        self.sync()?;
        if let Target::File {
            staged,
            open: Some(_),
            ..
        } = &self.target
        {
            fsio::rename(staged, &self.place)?;
            fsio::sync_dir(self.place.parent().unwrap_or(Path::new(".")))?;
        }
        Ok(())
    }
}

/// Writes a message made of `raw` as a file of its own, `name` below `out`: whole or not at all.
pub fn write_beside(
    out: &Path,
    name: &str,
    raw: &RawMessage,
    edits: &[Piece],
    on_content: OnContent<'_>,
) -> Result<Written> {
    let place = out.join(relative(name)?);
    make_folder_of(&place)?;
    let mut pending = Pending::create(&place)?;
    let mut size = Ok(Size::default());
    pending.write(|file| {
        size = write_message(file, &place, raw, Kind::Eml, Some(edits), on_content);
        Ok(())
    })?;
    let bytes = size?.content;
    pending.finish()?;
    Ok(Written {
        mailbox: name.to_owned(),
        ordinal: 1,
        offset: 0,
        bytes,
        end: bytes,
        path: name.to_owned(),
    })
}

/// What a message came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// The message.
    pub content: u64,
    /// With From_ line and separator.
    pub whole: u64,
}

/// Writes one message to `out` (of which errors speak as `path`), with From_ line and separator.
pub fn write_message(
    out: &mut dyn Write,
    path: &Path,
    raw: &RawMessage,
    kind: Kind,
    edits: Option<&[Piece]>,
    on_content: OnContent<'_>,
) -> Result<Size> {
    if let (Content::TooLarge { .. }, Some(edits)) = (&raw.content, edits) {
        return large::write(out, path, raw, kind, edits, on_content);
    }
    let rendered = match edits {
        Some(edits) => Some(
            dialect::render(raw, kind, edits)
                .ok_or_else(|| misuse(path, "edits outside the message"))?,
        ),
        None => None,
    };
    let write =
        |out: &mut dyn Write, bytes: &[u8]| out.write_all(bytes).map_err(Error::io("write", path));
    write(out, &raw.lead)?;
    let mut content = |out: &mut dyn Write, bytes: &[u8]| {
        on_content(bytes);
        write(out, bytes)
    };
    let length = if raw.meta.unquoted {
        let mut quoter = Quoter::new();
        let mut length = 0;
        let mut pass = |out: &mut dyn Write, bytes: &[u8]| {
            length += bytes.len() as u64;
            content(out, bytes)
        };
        raw.content
            .each_piece(&mut |bytes| pass(out, &quoter.quote(bytes)))?;
        pass(out, &quoter.finish())?;
        if !quoter.ended() {
            pass(out, b"\n")?;
        }
        length
    } else if let Some(rendered) = &rendered {
        content(out, &rendered.content)?;
        rendered.content.len() as u64
    } else {
        raw.content.each_piece(&mut |bytes| content(out, bytes))?;
        raw.content.len()
    };
    let trail = rendered
        .as_ref()
        .map_or(&raw.trail, |rendered| &rendered.trail);
    write(out, trail)?;
    Ok(Size {
        content: length,
        whole: raw.lead.len() as u64 + length + trail.len() as u64,
    })
}

/// Copies a file that is not mail below `out`, whole or not at all, with its modification time and
/// the owner's part of its mode. Gives its length.
pub fn copy_file(out: &Path, file: &SourceFile, on_content: OnContent<'_>) -> Result<u64> {
    let relative = relative(&file.name)?;
    let place = out.join(&relative);
    make_folder_of(&place)?;
    let path = file.origin.path();
    let mut input = file.origin.open_at(0)?;
    let metadata = std::fs::symlink_metadata(path).map_err(Error::io("read", path))?;
    let mut unread = None;
    let mut length = 0;
    let mut copy = Pending::create(&place)?;
    copy.set_mode(metadata.permissions().mode() & 0o700 | 0o600);
    if let Some(modified) = file.origin.modified() {
        copy.set_modified(modified);
    }
    let written = copy.write(|out| {
        let mut buffer = vec![0; 1 << 18];
        loop {
            let got = match input.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(got) => got,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    unread = Some(e);
                    return Err(io::ErrorKind::Other.into());
                }
            };
            let bytes = buffer.get(..got).unwrap_or_default();
            on_content(bytes);
            out.write_all(bytes)?;
            length += got as u64;
        }
    });
    if let Some(error) = unread {
        return Err(Error::io("read", path)(error));
    }
    written?;
    copy.finish()?;
    Ok(length)
}

/// The path that an escaped name stands for, if it stays below the folder it is joined to.
pub(crate) fn relative(name: &str) -> Result<PathBuf> {
    let path = unescape_path(name);
    let inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let exact =
        path.components().count() == path.as_os_str().as_bytes().split(|&b| b == b'/').count();
    if inside && exact && !path.as_os_str().as_bytes().contains(&0) {
        Ok(path)
    } else {
        Err(Error::Usage(format!(
            "{} cannot be written below the output folder",
            crate::text::terminal_safe(name)
        )))
    }
}

pub(crate) fn make_folder_of(place: &Path) -> Result<()> {
    place.parent().map_or(Ok(()), fsio::create_dir_all)
}

pub(super) fn misuse(path: &Path, what: &'static str) -> Error {
    Error::io("write", path)(io::Error::new(io::ErrorKind::InvalidInput, what))
}
