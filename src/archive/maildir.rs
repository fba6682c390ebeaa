//! Maildir: a folder with `cur` and `new`, a file per message, its flags in the file's name
//! (<https://cr.yp.to/proto/maildir.html>). Subfolders, whether Maildir++ (`.Sent`) or nested, are
//! mailboxes of their own.

mod survey;

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

pub(super) use survey::survey;

use super::discover::kind_of;
use super::packed::{Packed, Packing};
use super::{Content, Locator, Meta, Origin, RawMessage, eml, sniff};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// How often a folder that changes is listed again.
const RELISTINGS: u32 = 32;

/// The two folders that hold messages. `new` is listed first: mail moves from there to `cur`, so a
/// message that moves meanwhile is met twice rather than never.
const FOLDERS: [&str; 2] = ["new", "cur"];

/// Whether `path` is a Maildir: it has `cur`, and `new` or `tmp`, or names in `cur` that only a
/// Maildir has. (Tools that drop empty folders drop `new` and `tmp`.)
pub(super) fn is_maildir(path: &Path) -> bool {
    let is_dir = |name: &str| std::fs::symlink_metadata(path.join(name)).is_ok_and(|m| m.is_dir());
    if !is_dir("cur") {
        return is_dir("new") && is_dir("tmp");
    }
    is_dir("new")
        || is_dir("tmp")
        || std::fs::read_dir(path.join("cur")).is_ok_and(|entries| {
            entries
                .take(16)
                .flatten()
                .any(|e| memchr::memmem::find(e.file_name().as_bytes(), b":2,").is_some())
        })
}

/// Enough to tell a compressed file.
const MAGIC_BYTES: usize = 16;

/// What a message's file holds that begins with `head`: the message, or what is compressed in it
/// whatever its name, as Dovecot's zlib plugin leaves it. Else the word for it and why it is not
/// read.
fn unwrapped(
    path: &Path,
    head: &[u8],
    limits: &Limits,
) -> Result<std::result::Result<Origin, (&'static str, &'static str)>> {
    let Some(packing) = Packing::of(head) else {
        return Ok(match sniff::compressed(head) {
            Some(other) => Err(other),
            None => Ok(Origin::file(path.to_path_buf())),
        });
    };
    let bytes = std::fs::symlink_metadata(path)
        .map_err(Error::io("read", path))?
        .len();
    let most = limits.unpacked(bytes);
    let packed = Packed::new(path.to_path_buf(), (0, bytes), packing, most);
    let origin = Origin::packed(packed);
    let (inner, error) = origin.head(MAGIC_BYTES)?;
    if error.is_some() {
        return Ok(Err((packing.word(), sniff::PACKED_DAMAGED)));
    }
    Ok(match sniff::compressed(&inner) {
        Some(_) => Err((packing.word(), sniff::PACKED_TWICE)),
        None => Ok(origin),
    })
}

/// A message's name without the letter `Z` among its flags, by which administrators mark what they
/// have compressed: it is written as it was before.
fn without_packed_mark(file: &Path) -> OsString {
    let name = file.file_name().unwrap_or_default().as_bytes();
    let Some(at) = info_start(name) else {
        return OsString::from_vec(name.to_vec());
    };
    let (stem, info) = name.split_at(at);
    let flags = info.iter().filter(|&&letter| letter != b'Z');
    OsString::from_vec(stem.iter().chain(flags).copied().collect())
}

/// The word for a message in `tmp`, and why it is left out.
pub(super) const TEMPORARY: &str = "maildir-tmp";
pub(super) const UNDELIVERED: &str = "undelivered temporary";
/// The word for a file that they pass over.
pub(super) const HIDDEN: &str = "hidden";

/// Readers of a Maildir pass over names that begin with a dot.
fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.as_bytes().starts_with(b".")
}

/// The part of a message's name that stays when its flags change.
pub(super) fn base(name: &[u8]) -> &[u8] {
    info_start(name).map_or(name, |at| name.get(..at).unwrap_or(name))
}

/// Where `:2,FLAGS` begins; `;` and `!` stand for the colon where a file system has none.
fn info_start(name: &[u8]) -> Option<usize> {
    let at = memchr::memmem::rfind(name, b"2,")?.checked_sub(1)?;
    matches!(name.get(at), Some(b':' | b';' | b'!')).then_some(at)
}

pub(super) fn flags(name: &[u8]) -> String {
    let info = info_start(name)
        .and_then(|at| name.get(at + 3..))
        .unwrap_or_default();
    info.iter()
        .filter(|b| b.is_ascii_alphabetic())
        .map(|&b| char::from(b))
        .collect()
}

/// The Unix seconds a name begins with.
pub(super) fn epoch(name: &[u8]) -> Option<i64> {
    let digits = name.iter().take_while(|b| b.is_ascii_digit()).count();
    if !(1..=12).contains(&digits) {
        return None;
    }
    name.get(..digits)?.iter().try_fold(0_i64, |sum, b| {
        sum.checked_mul(10)?.checked_add(i64::from(b - b'0'))
    })
}

/// When a message was delivered, as the name of its file says, in Unix seconds.
pub(super) fn delivered(file: &Path) -> Option<i64> {
    epoch(file.file_name().unwrap_or_default().as_bytes())
}

/// The names of a Maildir's messages, packed: a folder may hold millions.
#[derive(Debug, Default)]
struct Names {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    epoch: Option<i64>,
    start: u64,
    len: u32,
    folder: u8,
}

impl Names {
    fn push(&mut self, folder: usize, name: &[u8]) {
        let entry = Entry {
            epoch: epoch(name),
            start: self.bytes.len() as u64,
            len: u32::try_from(name.len()).unwrap_or(0),
            folder: u8::try_from(folder).unwrap_or(0),
        };
        self.bytes.extend_from_slice(name);
        self.entries.push(entry);
    }

    fn name(&self, entry: Entry) -> &[u8] {
        name_in(&self.bytes, entry)
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        self.entries.sort_by(|&a, &b| {
            let key = |entry: Entry| (entry.epoch, name_in(bytes, entry), entry.folder);
            key(a).cmp(&key(b))
        });
    }
}

fn name_in(bytes: &[u8], entry: Entry) -> &[u8] {
    let start = usize::try_from(entry.start).unwrap_or(usize::MAX);
    bytes
        .get(start..start.saturating_add(entry.len as usize))
        .unwrap_or_default()
}

fn relative(folder: u8, name: &[u8]) -> PathBuf {
    let folder = FOLDERS.get(usize::from(folder)).copied().unwrap_or("cur");
    Path::new(folder).join(OsString::from_vec(name.to_vec()))
}

/// The messages of one Maildir, those of `cur` and `new` together by delivery time and name.
#[derive(Debug)]
pub(crate) struct Reader {
    path: PathBuf,
    mailbox: Arc<str>,
    limits: Limits,
    names: Names,
    next: usize,
    ordinal: u64,
    /// Where messages are now that were renamed since they were listed, by base name.
    moved: HashMap<Vec<u8>, PathBuf>,
    relistings: u32,
}

impl Reader {
    /// Lists the Maildir at `path`.
    pub(crate) fn open(path: &Path, mailbox: Arc<str>, limits: &Limits) -> Result<Self> {
        let mut names = list(path)?;
        names.sort();
        Ok(Self {
            path: path.to_path_buf(),
            mailbox,
            limits: limits.clone(),
            names,
            next: 0,
            ordinal: 0,
            moved: HashMap::new(),
            relistings: 0,
        })
    }

    /// Reads the file, under its new name if its flags have changed meanwhile. `None` if it is no
    /// message after all.
    fn read(&mut self, entry: Entry) -> Result<Option<RawMessage>> {
        let name = self.names.name(entry).to_vec();
        let mut file = relative(entry.folder, &name);
        let mut read = self.file(&file);
        while let Err(error) = &read
            && kind_of(error) == io::ErrorKind::NotFound
        {
            let Some(found) = self.find_again(&name, &file) else {
                break;
            };
            file = found;
            read = self.file(&file);
        }
        let Some((content, origin)) = read? else {
            return Ok(None);
        };
        if !origin.is_file() {
            file.set_file_name(without_packed_mark(&file));
        }
        self.ordinal += 1;
        let name = file.file_name().unwrap_or_default().as_bytes().to_vec();
        Ok(Some(RawMessage {
            locator: Locator {
                mailbox: Arc::clone(&self.mailbox),
                ordinal: self.ordinal,
                offset: 0,
                bytes: content.len(),
            },
            lead: Vec::new(),
            content,
            trail: Vec::new(),
            meta: Meta {
                flags: flags(&name),
                received: epoch(&name),
                file: Some(file),
                modified: origin.modified(),
                ..Meta::default()
            },
        }))
    }

    /// What is in a file, unwrapped; `None` where [`survey`] has listed it as no message.
    fn file(&self, file: &Path) -> Result<Option<(Content, Origin)>> {
        let path = self.path.join(file);
        let origin = Origin::file(path.clone());
        let content = eml::read_whole(&origin, self.limits.message_bytes)?;
        let mut head = Vec::new();
        content.first_pieces(MAGIC_BYTES as u64, &mut |bytes| {
            head.extend_from_slice(bytes);
            Ok(())
        })?;
        if Packing::of(&head).is_none() {
            let message = sniff::compressed(&head).is_none();
            return Ok(message.then_some((content, origin)));
        }
        drop(content);
        match unwrapped(&path, &head, &self.limits)? {
            Ok(origin) => {
                let content = eml::read_whole(&origin, self.limits.message_bytes)?;
                Ok(Some((content, origin)))
            }
            Err(_) => Ok(None),
        }
    }

    /// Where the message `name`, which is no longer at `tried`, is now.
    fn find_again(&mut self, name: &[u8], tried: &Path) -> Option<PathBuf> {
        if let Some(found) = self
            .moved
            .get(base(name))
            .filter(|found| found.as_path() != tried)
        {
            return Some(found.clone());
        }
        // Each listing costs the whole folder, so a folder in constant change is not chased forever.
        self.relistings += 1;
        if self.relistings > RELISTINGS {
            return None;
        }
        self.moved.clear();
        let listed = list(&self.path).ok()?;
        for &entry in &listed.entries {
            let name = listed.name(entry);
            self.moved
                .insert(base(name).to_vec(), relative(entry.folder, name));
        }
        self.moved
            .get(base(name))
            .filter(|found| found.as_path() != tried)
            .cloned()
    }
}

impl Iterator for Reader {
    type Item = Result<RawMessage>;

    fn next(&mut self) -> Option<Result<RawMessage>> {
        loop {
            let entry = self.names.entries.get(self.next).copied()?;
            self.next += 1;
            if let Some(item) = self.read(entry).transpose() {
                return Some(item);
            }
        }
    }
}

/// The names of the messages in `new` and `cur`. A listing that deliveries or flag changes ran
/// into is made again and the two are joined.
fn list(path: &Path) -> Result<Names> {
    let mut listed = Names::default();
    let mut seen: HashSet<(u8, Vec<u8>)> = HashSet::new();
    let mut again = false;
    for _ in 0..3 {
        let before = changed_at(path);
        let mut names = Names::default();
        for (folder, dir) in FOLDERS.iter().enumerate() {
            let dir = path.join(dir);
            let entries = match std::fs::read_dir(&dir) {
                Ok(entries) => entries,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(Error::io("read", &dir)(e)),
            };
            for entry in entries {
                let entry = entry.map_err(Error::io("read", &dir))?;
                let name = entry.file_name();
                // A file type that is not known costs a look later, no more.
                if !is_hidden(&name) && entry.file_type().map_or(true, |kind| kind.is_file()) {
                    names.push(folder, name.as_bytes());
                }
            }
        }
        let quiet = changed_at(path) == before;
        if quiet && !again {
            return Ok(without_moved(path, names));
        }
        again = true;
        for &entry in &names.entries {
            if seen.insert((entry.folder, names.name(entry).to_vec())) {
                listed.push(usize::from(entry.folder), names.name(entry));
            }
        }
        if quiet {
            break;
        }
    }
    Ok(without_moved(path, listed))
}

fn changed_at(path: &Path) -> [Option<SystemTime>; 2] {
    FOLDERS.map(|folder| {
        std::fs::symlink_metadata(path.join(folder))
            .and_then(|m: Metadata| m.modified())
            .ok()
    })
}

/// Drops the earlier name of a message that was renamed between two looks. Two files that exist
/// are two messages, even under one base name.
fn without_moved(path: &Path, mut names: Names) -> Names {
    names.entries.sort_by(|&a, &b| {
        base(name_in(&names.bytes, a))
            .cmp(base(name_in(&names.bytes, b)))
            .then(a.start.cmp(&b.start))
    });
    let bytes = &names.bytes;
    let mut kept: Vec<Entry> = Vec::with_capacity(names.entries.len());
    for group in names
        .entries
        .chunk_by(|&a, &b| base(name_in(bytes, a)) == base(name_in(bytes, b)))
    {
        let exists = |entry: Entry| {
            std::fs::symlink_metadata(path.join(relative(entry.folder, name_in(bytes, entry))))
                .is_ok()
        };
        match group {
            [one] => kept.push(*one),
            many => {
                let before = kept.len();
                kept.extend(many.iter().copied().filter(|&entry| exists(entry)));
                if kept.len() == before {
                    kept.extend(many.last());
                }
            }
        }
    }
    names.entries = kept;
    names
}

/// What identifies a message whatever its size and flags: its name up to the first comma.
pub(super) fn stem_hash(name: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hasher as _};
    let stem = base(name).split(|&b| b == b',').next().unwrap_or_default();
    // Without random keys: a name must come out alike in every run.
    let mut hasher = DefaultHasher::new();
    hasher.write(stem);
    hasher.finish()
}

/// The stems that more than one message of the Maildir at `path` has.
pub(super) fn shared_stems(path: &Path) -> Result<HashSet<u64>> {
    let names = list(path)?;
    let stems = names.entries.iter();
    Ok(repeated(
        stems.map(|&entry| stem_hash(names.name(entry))).collect(),
    ))
}

/// The stems that more than one of these files has; each is `cur/NAME` or `new/NAME`, escaped.
pub(crate) fn shared_stems_of<'a>(files: impl Iterator<Item = &'a str>) -> HashSet<u64> {
    let stem = |file: &str| {
        let file = crate::text::unescape_path(file);
        stem_hash(file.file_name().unwrap_or_default().as_bytes())
    };
    repeated(files.map(stem).collect())
}

fn repeated(mut stems: Vec<u64>) -> HashSet<u64> {
    stems.sort_unstable();
    stems
        .windows(2)
        .filter_map(|pair| {
            if let [a, b] = pair {
                (a == b).then_some(*a)
            } else {
                None
            }
        })
        .collect()
}
