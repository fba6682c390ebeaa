//! From the named paths to mailboxes: every file met is accounted for, none is followed out of the
//! tree, none that could act or wait is opened.

use std::collections::{HashMap, HashSet};
use std::fs::{FileType, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use super::members::{self, Listing, Member};
use super::packed::{Cursors, Packed, Packing};
use super::sniff::{self, Judgement};
use super::{Kind, Mailbox, Origin, Said, beside, by_component, maildir, source, tar, write, zip};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::text::escape_path;

/// A file that was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Relative to the named path's parent, `/`-joined, escaped.
    pub name: String,
    /// Its bytes as they lie, compressed or not.
    pub origin: Origin,
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
                "symlink" | "fifo" | "socket" | "device" | "unreadable" | members::REFUSED
            ),
            FileStatus::Read | FileStatus::Dropped(_) | FileStatus::Unpacked(_) => false,
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
            FileStatus::Copied if self.kind == sniff::WITH_MAIL => {
                Some("a document that holds messages, not read")
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
    /// An archive whose members follow as files of their own; what kept it from being read to its
    /// end.
    Unpacked(Option<&'static str>),
}

/// What lies below the named paths. Both lists are sorted by name, component by component; members
/// of an archive follow it as they lie in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Where there are messages.
    pub mailboxes: Vec<Mailbox>,
    /// Every file met; a Maildir is one entry.
    pub files: Vec<SourceFile>,
}

impl Found {
    /// The names that are taken below an output folder.
    pub fn taken(&self) -> HashSet<String> {
        let written = self.mailboxes.iter().map(|mailbox| mailbox.out.clone());
        let names = self.files.iter().map(|file| file.name.clone());
        written.chain(names).collect()
    }
}

/// Walks `roots`, unpacking within `limits`. Two with the same base name, or one that does not exist, are [`Error::Usage`]; a
/// file or folder below that cannot be read is an entry of its own.
pub fn discover(roots: &[PathBuf], limits: &Limits) -> Result<Found> {
    let mut names: HashMap<String, &Path> = HashMap::new();
    let mut walk = Walk {
        limits,
        cursors: Cursors::default(),
        met: Vec::new(),
        folders: Vec::new(),
    };
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
    Ok(in_order(walk.met))
}

/// Names at the top of an output folder that are p7mill's.
pub(super) const OURS: [&str; 4] = ["report", "originals", "manifest.csv", ".p7mill"];

/// Sorts what was met, and gives what is written under another name than it has one that a file can
/// have and no other file has; else it keeps its own.
fn in_order(mut met: Vec<Met>) -> Found {
    met.sort_by(|a, b| by_component(&a.sort, &b.sort).then(a.rank.cmp(&b.rank)));
    let mut taken: HashSet<String> = OURS.map(String::from).into();
    for Met { file, .. } in &met {
        let above = file.name.match_indices('/').map(|(at, _)| at);
        taken.extend(above.filter_map(|at| file.name.get(..at)).map(String::from));
        taken.insert(file.name.clone());
    }
    let mut found = Found::default();
    for Met { file, mailbox, .. } in met {
        if let Some(mut mailbox) = mailbox {
            if mailbox.out != mailbox.name
                && (write::relative(&mailbox.out).is_err() || !taken.insert(mailbox.out.clone()))
            {
                mailbox.out.clone_from(&mailbox.name);
            }
            found.mailboxes.push(mailbox);
        }
        found.files.push(file);
    }
    found
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
struct Walk<'a> {
    limits: &'a Limits,
    /// Of everything compressed that is met.
    cursors: Cursors,
    met: Vec<Met>,
    folders: Vec<(PathBuf, String)>,
}

/// A file that was met, and its place in the order: members of an archive stand behind it as they
/// lie in it.
struct Met {
    sort: String,
    rank: u64,
    file: SourceFile,
    mailbox: Option<Mailbox>,
}

impl Walk<'_> {
    fn visit(&mut self, path: PathBuf, name: String) -> Result<()> {
        let metadata = std::fs::symlink_metadata(&path).map_err(Error::io("read", &path))?;
        self.entry(path, name, &metadata, Said::default());
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
            let listing = maildir::survey(path, name, self.limits);
            self.met.extend(listing.files.into_iter().map(|file| Met {
                sort: file.name.clone(),
                rank: 0,
                file,
                mailbox: None,
            }));
            self.folders.extend(listing.folders);
            let mailbox = Mailbox::new(name.to_string(), path.to_path_buf(), Kind::Maildir);
            let word = Kind::Maildir.as_str().to_owned();
            self.mailbox(mailbox.origin.clone(), mailbox, word, listing.bytes);
        }
        let sequences = beside::Sequences::read(path);
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
                Ok(metadata) => {
                    let said = sequences.said(&file_name);
                    self.entry(child, child_name, &metadata, said);
                }
                Err(e) => self.unreadable(child, child_name, e.kind()),
            }
        }
    }

    fn entry(&mut self, path: PathBuf, name: String, metadata: &Metadata, said: Said) {
        let file_type = metadata.file_type();
        if file_type.is_dir() {
            self.folders.push((path, name));
        } else if let Some((kind, why)) = special(file_type) {
            self.file(Origin::file(path), name, kind, 0, FileStatus::Skipped(why));
        } else {
            self.regular(path, name, said);
        }
    }

    fn regular(&mut self, path: PathBuf, name: String, said: Said) {
        let (head, bytes) = match source::head(&path, sniff::HEAD_BYTES) {
            Ok(read) => read,
            Err(e) => return self.unreadable(path, name, kind_of(&e)),
        };
        if let Some(packing) = Packing::of(&head) {
            return self.packed(path, name, packing, bytes);
        }
        if sniff::is_zip(&head) {
            let listing = zip::list(&path, self.limits, &self.cursors);
            return self.archive(Origin::file(path), name, "zip", bytes, listing);
        }
        if sniff::is_tar(&head) {
            let origin = Origin::file(path);
            let listing = tar::list(&origin, self.limits);
            return self.archive(origin, name, "tar", bytes, listing);
        }
        match sniff::judge(&head, &path) {
            Judgement::Unread(beside::EMLX, _) => self.emlx(path, name, &head, bytes),
            Judgement::Mail(kind) => {
                let mut mailbox = Mailbox::new(name, path, kind);
                mailbox.said = said;
                let word = kind.as_str().to_owned();
                self.mailbox(mailbox.origin.clone(), mailbox, word, bytes);
            }
            Judgement::Ordinary(word) => self.ordinary(path, name, word, bytes),
            judgement => self.judged(Origin::file(path), name, judgement, bytes),
        }
    }

    /// A file that does not begin like mail, but may be a ZIP archive behind something else, or a
    /// document with messages in it.
    fn ordinary(&mut self, path: PathBuf, name: String, word: &'static str, bytes: u64) {
        let mut word = word;
        if zip::ends_like_one(&path) {
            let listing = zip::list(&path, self.limits, &self.cursors);
            let holds_mail = listing.members.iter().any(Member::holds_mail);
            if holds_mail && word == sniff::DOCUMENT {
                word = sniff::WITH_MAIL;
            } else if holds_mail {
                return self.archive(Origin::file(path), name, "zip", bytes, listing);
            }
        }
        self.judged(Origin::file(path), name, Judgement::Ordinary(word), bytes);
    }

    /// A message of Apple Mail.
    fn emlx(&mut self, path: PathBuf, name: String, head: &[u8], bytes: u64) {
        let file = Origin::file(path.clone());
        match beside::emlx(&file, head, bytes) {
            Ok((origin, said)) => {
                let mut mailbox = Mailbox::new(name, path, Kind::Eml);
                if let Some(stem) = mailbox.name.strip_suffix(".emlx") {
                    mailbox.out = format!("{stem}.eml");
                }
                (mailbox.origin, mailbox.said) = (origin, said);
                self.mailbox(file, mailbox, beside::EMLX.to_owned(), bytes);
            }
            Err(why) => self.file(file, name, beside::EMLX, bytes, FileStatus::Skipped(why)),
        }
    }

    /// A compressed file: what is in it is judged.
    fn packed(&mut self, path: PathBuf, name: String, packing: Packing, bytes: u64) {
        let file = Origin::file(path.clone());
        let most = self.limits.unpacked(bytes);
        let packed = Packed::new(path.clone(), (0, bytes), packing, most);
        let origin = Origin::packed(packed.sharing(&self.cursors));
        let (head, error) = match origin.head(sniff::HEAD_BYTES) {
            Ok(read) => read,
            Err(e) => return self.unreadable(path, name, kind_of(&e)),
        };
        let suffix = packing.suffix();
        if head.is_empty() && error.is_some() {
            let status = FileStatus::Skipped(sniff::PACKED_DAMAGED);
            return self.file(file, name, packing.word(), bytes, status);
        }
        if Packing::of(&head).is_some() {
            let status = FileStatus::Skipped(sniff::PACKED_TWICE);
            return self.file(file, name, packing.word(), bytes, status);
        }
        if sniff::is_tar(&head) {
            let listing = tar::list(&origin, self.limits);
            return self.archive(file, name, &format!("tar.{suffix}"), bytes, listing);
        }
        let inner = without_suffix(&name);
        match sniff::judge(&head, Path::new(inner)) {
            Judgement::Mail(kind) => {
                let mut mailbox = Mailbox::new(name.clone(), path, kind);
                inner.clone_into(&mut mailbox.out);
                mailbox.origin = origin;
                let word = format!("{}.{suffix}", kind.as_str());
                self.mailbox(file, mailbox, word, bytes);
            }
            Judgement::Unread(word, why) => {
                let kind = format!("{word}.{suffix}");
                self.file(file, name, &kind, bytes, FileStatus::Skipped(why));
            }
            Judgement::Ordinary(word) | Judgement::Index(word) => {
                let status = if error.is_some() {
                    FileStatus::Skipped(sniff::PACKED_DAMAGED)
                } else {
                    FileStatus::Copied
                };
                self.file(file, name, &format!("{word}.{suffix}"), bytes, status);
            }
        }
    }

    /// An archive: its members follow it where one of them is mail; without mail it is copied.
    fn archive(&mut self, file: Origin, name: String, kind: &str, bytes: u64, listing: Listing) {
        let Listing {
            members, trouble, ..
        } = listing;
        let is_mail = |member: &Member| matches!(member.found, Judgement::Mail(_));
        if !members.iter().any(is_mail) {
            let unread = members.iter().find_map(Member::may_be_mail);
            let status = match trouble.or(unread) {
                Some(why) => FileStatus::Skipped(why),
                None => FileStatus::Copied,
            };
            return self.file(file, name, kind, bytes, status);
        }
        self.file(
            file,
            name.clone(),
            kind,
            bytes,
            FileStatus::Unpacked(trouble),
        );
        let mut names = members::Names::default();
        let maildirs = members::Maildirs::of(&members);
        for (rank, member) in (1..).zip(members) {
            let before = self.met.len();
            let temporary = maildirs.is_temporary(&member);
            self.member(&name, member, &mut names, temporary);
            for met in self.met.get_mut(before..).unwrap_or_default() {
                met.sort.clone_from(&name);
                met.rank = rank;
            }
        }
    }

    fn member(
        &mut self,
        archive: &str,
        member: Member,
        names: &mut members::Names,
        temporary: bool,
    ) {
        let inner = match names.take(&member.name) {
            Ok(inner) => inner,
            Err(why) => {
                let name = format!("{archive}/{}", members::escaped(&member.name));
                let status = FileStatus::Skipped(why);
                return self.file(member.origin, name, members::REFUSED, member.len, status);
            }
        };
        let name = format!("{archive}/{inner}");
        if temporary {
            let status = FileStatus::Dropped(maildir::UNDELIVERED);
            return self.file(member.origin, name, maildir::TEMPORARY, member.len, status);
        }
        let Judgement::Mail(kind) = member.found else {
            return self.judged(member.origin, name, member.found, member.len);
        };
        let mut mailbox = Mailbox::new(name, PathBuf::new(), kind);
        mailbox.origin = member.origin;
        if let Some((said, inner)) = members::in_maildir(&inner, kind) {
            mailbox.said = said;
            mailbox.out = format!("{archive}/{inner}");
        }
        let word = kind.as_str().to_owned();
        self.mailbox(mailbox.origin.clone(), mailbox, word, member.len);
    }

    fn judged(&mut self, origin: Origin, name: String, judgement: Judgement, bytes: u64) {
        let (kind, status) = match judgement {
            Judgement::Mail(kind) => (kind.as_str(), FileStatus::Read),
            Judgement::Ordinary(kind) => (kind, FileStatus::Copied),
            Judgement::Unread(kind, why) => (kind, FileStatus::Skipped(why)),
            Judgement::Index(kind) => (
                kind,
                FileStatus::Dropped("an index that its program rebuilds"),
            ),
        };
        self.file(origin, name, kind, bytes, status);
    }

    /// A mailbox, and the file as it lies that holds it.
    fn mailbox(&mut self, origin: Origin, mailbox: Mailbox, kind: String, bytes: u64) {
        let file = SourceFile {
            name: mailbox.name.clone(),
            origin,
            kind,
            bytes,
            status: FileStatus::Read,
        };
        self.meet(file, Some(mailbox));
    }

    fn unreadable(&mut self, path: PathBuf, name: String, why: ErrorKind) {
        let status = FileStatus::Skipped(why_unreadable(why));
        self.file(Origin::file(path), name, "unreadable", 0, status);
    }

    fn file(&mut self, origin: Origin, name: String, kind: &str, bytes: u64, status: FileStatus) {
        let file = SourceFile {
            name,
            origin,
            kind: kind.to_owned(),
            bytes,
            status,
        };
        self.meet(file, None);
    }

    fn meet(&mut self, file: SourceFile, mailbox: Option<Mailbox>) {
        self.met.push(Met {
            sort: file.name.clone(),
            rank: 0,
            file,
            mailbox,
        });
    }
}

/// A name without what says that the file is compressed.
fn without_suffix(name: &str) -> &str {
    const SUFFIXES: [&str; 6] = [".gz", ".gzip", ".bz2", ".xz", ".zst", ".zstd"];
    let stem = SUFFIXES.iter().find_map(|suffix| {
        let at = name.len().checked_sub(suffix.len())?;
        let (stem, end) = (name.get(..at)?, name.get(at..)?);
        end.eq_ignore_ascii_case(suffix).then_some(stem)
    });
    stem.filter(|stem| !stem.is_empty() && !stem.ends_with('/'))
        .unwrap_or(name)
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

/// What sources.csv says of what cannot be read.
pub(crate) fn why_unreadable(kind: ErrorKind) -> &'static str {
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
