//! Writes a mailbox as it was found: an mbox grows beside the output until it is whole, a Maildir's
//! messages come by way of `tmp`, other files at once. Nothing half-written ever has a final name.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use super::{
    Content, Kind, Mailbox, RawMessage, SourceFile, copy_stretch, dialect, maildir, sniff, source,
};
use crate::error::{Error, Result};
use crate::fsio;
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
}

/// A Maildir that is being written.
#[derive(Debug)]
struct Folder {
    /// Held from before the first write, so that it learns of any page that could not be written.
    handle: File,
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
        let relative = relative(&mailbox.name)?;
        let place = out.join(&relative);
        let (ordinal, end) = resume.unwrap_or_default();
        let target = match mailbox.kind {
            Kind::Maildir => Target::Folder(Folder::open(out, &place, &mailbox.path)?),
            kind => {
                let staged = staging.join(&relative);
                make_folders(staging, &staged)?;
                make_folders(out, &place)?;
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
                let modified = std::fs::symlink_metadata(&mailbox.path)
                    .and_then(|m| m.modified())
                    .ok();
                Target::File {
                    staged,
                    open,
                    end,
                    modified,
                }
            }
        };
        Ok(Self {
            name: mailbox.name.clone(),
            kind: mailbox.kind,
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
            Target::Folder(folder) => {
                let (file, bytes) =
                    folder.append(&self.place, self.ordinal, raw, edits, on_content)?;
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

    /// Makes everything appended so far durable.
    pub fn sync(&mut self) -> Result<()> {
        match &mut self.target {
            Target::File {
                staged,
                open: Some(out),
                ..
            } => {
                out.flush().map_err(Error::io("write", &*staged))?;
                out.get_ref()
                    .sync_all()
                    .map_err(Error::io("sync", &*staged))?;
                fsio::sync_dir(staged.parent().unwrap_or(Path::new(".")))
            }
            Target::File { open: None, .. } => Ok(()),
            Target::Folder(folder) => folder.sync(),
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
                out.get_ref()
                    .set_modified(modified)
                    .map_err(Error::io("set the time of", &*staged))?;
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

impl Folder {
    fn open(out: &Path, place: &Path, source: &Path) -> Result<Self> {
        make_folders(out, &place.join("cur"))?;
        for folder in ["cur", "new", "tmp"] {
            fsio::create_dir_all(&place.join(folder))?;
        }
        fsio::sync_dir(place)?;
        remove_temporaries(&place.join("tmp"))?;
        let handle = File::open(place).map_err(Error::io("open", place))?;
        let shared_stems = maildir::shared_stems(source)?;
        Ok(Self {
            handle,
            shared_stems,
            pending: Vec::new(),
        })
    }

    fn append(
        &mut self,
        place: &Path,
        ordinal: u64,
        raw: &RawMessage,
        edits: Option<&[Piece]>,
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
        let size = write_message(
            &mut out,
            &pending.temporary,
            raw,
            Kind::Maildir,
            edits,
            &mut |bytes| {
                lines.count(bytes);
                on_content(bytes);
            },
        )?;
        let file = out
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .map_err(Error::io("write", &pending.temporary))?;
        if let Some(modified) = raw.meta.modified {
            file.set_modified(modified)
                .map_err(Error::io("set the time of", &pending.temporary))?;
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
        let name = if edits.is_some() {
            self::sized(
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

    fn sync(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        // Many small files are one journal commit this way, and as many as there are otherwise.
        if self.pending.len() > 4 {
            rustix::fs::syncfs(&self.handle)
                .map_err(|e| Error::io("sync", Path::new("the output"))(e.into()))?;
        } else {
            for pending in &self.pending {
                let file = File::open(&pending.temporary)
                    .map_err(Error::io("open", &pending.temporary))?;
                file.sync_all()
                    .map_err(Error::io("sync", &pending.temporary))?;
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
            let _ = std::fs::remove_file(&pending.temporary);
        }
    }
}

/// What a message came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    let length = match (&rendered, &raw.content) {
        (Some(rendered), _) => {
            content(out, &rendered.content)?;
            rendered.content.len() as u64
        }
        (None, Content::Bytes(bytes)) => {
            content(out, bytes)?;
            bytes.len() as u64
        }
        (None, Content::TooLarge { path, offset, len }) => {
            copy_stretch(path, *offset, *len, &mut |bytes| content(out, bytes))?;
            *len
        }
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
    make_folders(out, &place)?;
    let mut input = source::open_regular(&file.path)?;
    let metadata = input.metadata().map_err(Error::io("read", &file.path))?;
    let mut unread = None;
    let mut length = 0;
    let written = fsio::write_atomic(&place, |out| {
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
        return Err(Error::io("read", &file.path)(error));
    }
    written?;
    let made = OpenOptions::new()
        .write(true)
        .open(&place)
        .map_err(Error::io("open", &place))?;
    let mode = metadata.permissions().mode() & 0o700 | 0o600;
    made.set_permissions(Permissions::from_mode(mode))
        .map_err(Error::io("set the mode of", &place))?;
    if let Ok(modified) = metadata.modified() {
        made.set_modified(modified)
            .map_err(Error::io("set the time of", &place))?;
    }
    Ok(length)
}

/// The path that an escaped name stands for, if it stays below the folder it is joined to.
fn relative(name: &str) -> Result<PathBuf> {
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

/// Makes the folders above `place`, durably, up to `base`.
fn make_folders(base: &Path, place: &Path) -> Result<()> {
    let parent = place.parent().unwrap_or(base);
    if parent.is_dir() {
        return Ok(());
    }
    fsio::create_dir_all(parent)?;
    for folder in parent
        .ancestors()
        .take_while(|folder| folder.starts_with(base))
    {
        fsio::sync_dir(folder)?;
    }
    Ok(())
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
            std::fs::remove_file(entry.path()).map_err(Error::io("remove", entry.path()))?;
        }
    }
    Ok(())
}

fn misuse(path: &Path, what: &'static str) -> Error {
    Error::io("write", path)(io::Error::new(io::ErrorKind::InvalidInput, what))
}

/// `cur/NAME` or `new/NAME`.
fn is_message_name(file: &Path) -> bool {
    let mut parts = file.components();
    matches!(parts.next(), Some(Component::Normal(folder)) if folder == "cur" || folder == "new")
        && matches!(parts.next(), Some(Component::Normal(_)))
        && parts.next().is_none()
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
