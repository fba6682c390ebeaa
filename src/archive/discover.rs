//! From the named paths to mailboxes: every file met is accounted for, none is followed out of the
//! tree, none that could act or wait is opened.

use std::collections::HashMap;
use std::fs::{FileType, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use super::sniff::{self, Judgement};
use super::{Kind, Mailbox, by_component, maildir, source};
use crate::error::{Error, Result};
use crate::text::escape_path;

/// A file that was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Relative to the named path's parent, `/`-joined, escaped.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// A word for what it is: `mbox`, `maildir`, `gzip`, `pst`, `symlink`, `text` …
    pub kind: String,
    /// Its size; of a Maildir that of its messages together.
    pub bytes: u64,
    /// What becomes of it.
    pub status: FileStatus,
}

impl SourceFile {
    /// Whether the output holds a copy of it: ordinary files, and unread ones that are files.
    pub fn is_copied(&self) -> bool {
        match self.status {
            FileStatus::Copied => true,
            FileStatus::Skipped(_) => !matches!(
                self.kind.as_str(),
                "symlink" | "fifo" | "socket" | "device" | "unreadable"
            ),
            FileStatus::Read | FileStatus::Dropped(_) => false,
        }
    }

    /// Why it may hold mail though it was not read: among encrypted mail a copy of it would be taken
    /// for encrypted. `None` of what is no mail, and of what is no file.
    pub fn may_be_mail(&self) -> Option<&'static str> {
        match self.status {
            FileStatus::Skipped(why) if self.is_copied() => Some(why),
            FileStatus::Copied if self.kind == maildir::HIDDEN && self.bytes > 0 => {
                Some("a hidden file, not read")
            }
            _ => None,
        }
    }
}

/// What becomes of a file that was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileStatus {
    /// It is a mailbox.
    Read,
    /// Not mail: copied.
    Copied,
    /// Not read, and why; a failure.
    Skipped(&'static str),
    /// Left out on purpose, and why; no failure.
    Dropped(&'static str),
}

/// What lies below the named paths. Both lists are sorted by name, component by component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Where there are messages.
    pub mailboxes: Vec<Mailbox>,
    /// Every file met; a Maildir is one entry.
    pub files: Vec<SourceFile>,
}

/// Walks `roots`. Two with the same base name, or one that does not exist, are [`Error::Usage`]; a
/// file or folder below that cannot be read is an entry of its own.
pub fn discover(roots: &[PathBuf]) -> Result<Found> {
    let mut names: HashMap<String, &Path> = HashMap::new();
    let mut walk = Walk::default();
    for root in roots {
        let name = base_name(root)?;
        if let Some(other) = names.insert(name.clone(), root) {
            let (a, b) = (other.display(), root.display());
            return Err(Error::Usage(format!(
                "{a} and {b} would both become {name}; name one at a time"
            )));
        }
        // A root may be a link: whoever named it meant what it points at.
        let path = std::fs::canonicalize(root).map_err(|e| missing(root, &e))?;
        walk.visit(path, name)?;
    }
    let Found {
        mut mailboxes,
        mut files,
    } = walk.found;
    mailboxes.sort_by(|a, b| by_component(&a.name, &b.name));
    files.sort_by(|a, b| by_component(&a.name, &b.name));
    Ok(Found { mailboxes, files })
}

fn missing(root: &Path, error: &std::io::Error) -> Error {
    Error::Usage(format!("cannot read {}: {error}", root.display()))
}

/// The last component of a named path; of `.` and the like that of the folder it stands for.
fn base_name(root: &Path) -> Result<String> {
    let name = match root.file_name() {
        Some(name) => name.to_os_string(),
        None => match std::fs::canonicalize(root)
            .map_err(|e| missing(root, &e))?
            .file_name()
        {
            Some(name) => name.to_os_string(),
            None => {
                return Err(Error::Usage(format!(
                    "{} has no name; name the folders in it",
                    root.display()
                )));
            }
        },
    };
    Ok(escape_path(Path::new(&name)))
}

/// A walk with its own stack: a tree may be deeper than a thread's.
#[derive(Default)]
struct Walk {
    found: Found,
    folders: Vec<(PathBuf, String)>,
}

impl Walk {
    fn visit(&mut self, path: PathBuf, name: String) -> Result<()> {
        let metadata = std::fs::symlink_metadata(&path).map_err(Error::io("read", &path))?;
        self.entry(path, name, &metadata);
        while let Some((path, name)) = self.folders.pop() {
            self.folder(&path, &name);
        }
        Ok(())
    }

    fn folder(&mut self, path: &Path, name: &str) {
        let entries = match list(path) {
            Ok(entries) => entries,
            Err(e) => return self.unreadable(path.to_path_buf(), name.to_string(), e.kind()),
        };
        let is_maildir = maildir::is_maildir(path);
        if is_maildir {
            let listing = maildir::survey(path, name);
            self.found.files.extend(listing.files);
            self.folders.extend(listing.folders);
            self.add(
                path.to_path_buf(),
                name.to_string(),
                Kind::Maildir,
                listing.bytes,
            );
        }
        for (file_name, entry) in entries {
            if is_maildir
                && matches!(file_name.to_str(), Some("cur" | "new" | "tmp"))
                && entry.is_dir()
            {
                continue;
            }
            let child = path.join(&file_name);
            let child_name = format!("{name}/{}", escape_path(Path::new(&file_name)));
            match std::fs::symlink_metadata(&child) {
                Ok(metadata) => self.entry(child, child_name, &metadata),
                Err(e) => self.unreadable(child, child_name, e.kind()),
            }
        }
    }

    fn entry(&mut self, path: PathBuf, name: String, metadata: &Metadata) {
        let file_type = metadata.file_type();
        if file_type.is_dir() {
            self.folders.push((path, name));
        } else if let Some((kind, why)) = special(file_type) {
            self.file(path, name, kind, 0, FileStatus::Skipped(why));
        } else {
            self.regular(path, name);
        }
    }

    fn regular(&mut self, path: PathBuf, name: String) {
        let (head, bytes) = match source::head(&path, sniff::HEAD_BYTES) {
            Ok(read) => read,
            Err(e) => return self.unreadable(path, name, kind_of(&e)),
        };
        let (kind, status) = match sniff::judge(&head, &path) {
            Judgement::Mail(kind) => return self.add(path, name, kind, bytes),
            Judgement::Ordinary(kind) => (kind, FileStatus::Copied),
            Judgement::Unread(kind, why) => (kind, FileStatus::Skipped(why)),
            Judgement::Index(kind) => (
                kind,
                FileStatus::Dropped("an index that its program rebuilds"),
            ),
        };
        self.file(path, name, kind, bytes, status);
    }

    fn add(&mut self, path: PathBuf, name: String, kind: Kind, bytes: u64) {
        self.file(
            path.clone(),
            name.clone(),
            kind.as_str(),
            bytes,
            FileStatus::Read,
        );
        self.found.mailboxes.push(Mailbox { name, path, kind });
    }

    fn unreadable(&mut self, path: PathBuf, name: String, why: ErrorKind) {
        self.file(
            path,
            name,
            "unreadable",
            0,
            FileStatus::Skipped(why_unreadable(why)),
        );
    }

    fn file(&mut self, path: PathBuf, name: String, kind: &str, bytes: u64, status: FileStatus) {
        self.found.files.push(SourceFile {
            name,
            path,
            kind: kind.to_string(),
            bytes,
            status,
        });
    }
}

fn list(path: &Path) -> std::io::Result<Vec<(std::ffi::OsString, FileType)>> {
    std::fs::read_dir(path)?
        .map(|entry| entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?))))
        .collect()
}

/// The word for what is neither file nor folder, and why it is not read.
pub(super) fn special(file_type: FileType) -> Option<(&'static str, &'static str)> {
    if file_type.is_symlink() {
        Some(("symlink", "symbolic link, not followed; name its target"))
    } else if file_type.is_fifo() {
        Some(("fifo", "FIFO, not opened"))
    } else if file_type.is_socket() {
        Some(("socket", "socket, not opened"))
    } else if file_type.is_file() {
        None
    } else {
        Some(("device", "device, not opened"))
    }
}

pub(super) fn why_unreadable(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::PermissionDenied => "cannot read: permission denied",
        ErrorKind::NotFound => "cannot read: it vanished",
        ErrorKind::InvalidInput => "cannot read: no longer a regular file",
        _ => "cannot read: input/output error",
    }
}

pub(super) fn kind_of(error: &Error) -> ErrorKind {
    if let Error::Io { source, .. } = error {
        source.kind()
    } else {
        ErrorKind::Other
    }
}
