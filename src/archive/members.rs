//! Members of an archive: what is in it, and what their names may be below an output folder.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::hash::{BuildHasher as _, RandomState};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::sniff::{self, Judgement};
use super::{Kind, Origin, Said, maildir};
use crate::text::escape_path;

/// The word for a member that is not unpacked.
pub(super) const REFUSED: &str = "member";
/// The longest component, the longest name, and the most folders it may name.
const MAX_COMPONENT: usize = 240;
const MAX_NAME: usize = 1024;
const MAX_DEPTH: usize = 64;
/// How much is shown of a longer one.
const SHOWN: usize = 100;
/// How long all names of an archive, as they are shown, and all folders in them may be together:
/// 160 bytes for each of 200,000 members.
const MAX_NAMES: usize = 32 << 20;

/// What an archive holds.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Files, links and devices, as they lie; folders are left out.
    pub(super) members: Vec<Member>,
    /// What kept the rest from being seen.
    pub(super) trouble: Option<&'static str>,
    names: usize,
    folders: HashSet<u64>,
    hash: RandomState,
}

impl Listing {
    /// Adds a member. One whose name is too long for a file is not read, and its name is cut; fails,
    /// and says why, where the names get too many to be held.
    pub(super) fn push(&mut self, mut member: Member) -> Result<(), &'static str> {
        let name = &mut member.name;
        let why = if name.len() > MAX_NAME {
            Some("its name is longer than a file's can be; it is not unpacked")
        } else if memchr::memchr_iter(b'/', name).count() > MAX_DEPTH {
            Some("it lies more than 64 folders deep; it is not unpacked")
        } else {
            None
        };
        if let Some(why) = why {
            name.truncate(SHOWN);
            name.extend_from_slice("…".as_bytes());
            member.found = Judgement::Unread(REFUSED, why);
        }
        let shown = escaped(name);
        self.names += shown.len();
        for (at, _) in shown.match_indices('/') {
            let folder = shown.get(..at).unwrap_or_default();
            if self.folders.insert(self.hash.hash_one(folder)) {
                self.names += folder.len();
            }
        }
        if self.names > MAX_NAMES {
            return Err("its members' names are longer together than is looked at");
        }
        self.members.push(member);
        Ok(())
    }
}

/// A member of an archive.
#[derive(Debug)]
pub(super) struct Member {
    /// As the archive has it.
    pub(super) name: Vec<u8>,
    pub(super) origin: Origin,
    pub(super) len: u64,
    /// What it is; [`Judgement::Unread`] with [`REFUSED`] or the word for a link where it is not
    /// unpacked.
    pub(super) found: Judgement,
}

impl Member {
    /// Why it may hold mail, though it is not read.
    pub(super) fn may_be_mail(&self) -> Option<&'static str> {
        match self.found {
            Judgement::Unread("symlink" | "device", _) => None,
            Judgement::Unread(_, why) => Some(why),
            _ => None,
        }
    }

    /// Whether it begins like mail, or is named like a message that is not read.
    pub(super) fn holds_mail(&self) -> bool {
        let name = self.name.to_ascii_lowercase();
        let named = [&b".eml"[..], b".mbox", b".msg", b".emlx"]
            .iter()
            .any(|end| name.ends_with(end));
        // A JAR's signature is a CMS object; an empty file may be an mbox, and is none here.
        let is_mail = matches!(self.found, Judgement::Mail(Kind::Mbox | Kind::Eml));
        self.len > 0 && (is_mail || named)
    }

    /// Judges it by its first bytes; `damaged`: not even those could be read.
    pub(super) fn judge(&mut self, head: &[u8], damaged: bool) {
        self.found = if damaged && head.is_empty() {
            Judgement::Unread(REFUSED, "it is damaged")
        } else {
            sniff::judge(head, Path::new(OsStr::from_bytes(&self.name)))
        };
    }
}

/// A member's name as reports show it.
pub(super) fn escaped(name: &[u8]) -> String {
    escape_path(Path::new(OsStr::from_bytes(name)))
}

/// The names of an archive's members below the output folder.
#[derive(Debug, Default)]
pub(super) struct Names {
    files: HashSet<String>,
    folders: HashSet<String>,
    /// The number that the next one of a name gets.
    next: HashMap<String, u64>,
}

impl Names {
    /// The name for a member, escaped; a second one of the same name gets a number. Fails, and
    /// says why, where it would lead elsewhere or cannot be a file.
    pub(super) fn take(&mut self, name: &[u8]) -> Result<String, &'static str> {
        if name.starts_with(b"/") {
            return Err("its name is absolute; it is not unpacked");
        }
        let parts: Vec<&[u8]> = name
            .split(|&b| b == b'/')
            .filter(|part| !part.is_empty() && *part != b".")
            .collect();
        if parts.contains(&b"..".as_slice()) {
            return Err("its name leads out of the archive; it is not unpacked");
        }
        let long = parts.iter().any(|part| part.len() > MAX_COMPONENT);
        if long || name.len() > MAX_NAME || parts.is_empty() || name.contains(&0) {
            return Err("it has no name that a file can have; it is not unpacked");
        }
        let plain = escaped(&parts.join(&b'/'));
        let folders: Vec<&str> = plain
            .match_indices('/')
            .filter_map(|(at, _)| plain.get(..at))
            .collect();
        if folders.iter().any(|folder| self.files.contains(*folder)) {
            return Err("its folder has the name of another file; it is not unpacked");
        }
        self.folders.extend(folders.into_iter().map(String::from));
        let mut unique = plain.clone();
        while self.folders.contains(&unique) || !self.files.insert(unique.clone()) {
            let number = self.next.entry(plain.clone()).or_insert(2);
            unique = format!("{plain}#{number}");
            *number += 1;
        }
        Ok(unique)
    }
}

/// The folder that holds the Maildir folder a member lies in, where it lies in `cur`, `new` or `tmp`,
/// and which of them it is.
fn maildir_of(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = name.rsplitn(3, |&byte| byte == b'/');
    let (_, folder) = (parts.next()?, parts.next()?);
    let known = [b"cur".as_slice(), b"new", b"tmp"].contains(&folder);
    known.then(|| (parts.next().unwrap_or_default(), folder))
}

/// The Maildirs in an archive.
#[derive(Debug, Default)]
pub(super) struct Maildirs(HashSet<Vec<u8>>);

impl Maildirs {
    /// Those that some of `members` are delivered to.
    pub(super) fn of(members: &[Member]) -> Self {
        let all = members.iter().filter_map(|member| maildir_of(&member.name));
        let delivered = all.filter(|(_, folder)| *folder != b"tmp");
        Self(delivered.map(|(maildir, _)| maildir.to_vec()).collect())
    }

    /// Whether a member is a message that was never delivered: it lies in the `tmp` of one.
    pub(super) fn is_temporary(&self, member: &Member) -> bool {
        let lies = maildir_of(&member.name);
        lies.is_some_and(|(maildir, folder)| folder == b"tmp" && self.0.contains(maildir))
            && !matches!(member.found, Judgement::Unread("symlink" | "device", _))
    }
}

/// What the name of a message in a packed Maildir says of it, and the name it gets: without stated
/// sizes, which a changed message does not keep.
pub(super) fn in_maildir(name: &str, kind: Kind) -> Option<(Said, String)> {
    let (folder, file) = name.rsplit_once('/')?;
    let below = folder.rsplit('/').next();
    if kind != Kind::Eml || !matches!(below, Some("cur" | "new")) {
        return None;
    }
    let said = Said {
        flags: maildir::flags(file.as_bytes()),
        received: maildir::epoch(file.as_bytes()),
    };
    let base = maildir::base(file.as_bytes()).len();
    let (base, info) = (file.get(..base)?, file.get(base..)?);
    let kept = base
        .split(',')
        .filter(|part| !part.starts_with("S=") && !part.starts_with("W="));
    let kept: Vec<&str> = kept.collect();
    Some((said, format!("{folder}/{}{info}", kept.join(","))))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn member(name: &[u8]) -> Member {
        Member {
            name: name.to_vec(),
            origin: Origin::file(PathBuf::new()),
            len: 1,
            found: Judgement::Ordinary("text"),
        }
    }

    #[test]
    fn names_are_short_shallow_and_not_too_many() {
        let mut listing = Listing::default();
        listing.push(member(b"a/b")).unwrap();
        for name in [vec![b'x'; 60_000], b"d/".repeat(65)] {
            listing.push(member(&name)).unwrap();
            let held = listing.members.last().unwrap();
            assert!(held.name.len() < 200);
            assert!(matches!(held.found, Judgement::Unread(REFUSED, _)));
        }
        let mut names = Listing::default();
        let deep = |n: usize| format!("{n:05}{}x", "/0123456789abcd".repeat(60));
        let pushed = (0..).take_while(|&n| names.push(member(deep(n).as_bytes())).is_ok());
        assert!((900..1300).contains(&pushed.count()));
        let mut same = Listing::default();
        for _ in 0..2000 {
            same.push(member(deep(0).as_bytes())).unwrap();
        }
    }

    #[test]
    fn many_of_one_name_are_numbered_on() {
        let mut names = Names::default();
        for _ in 1..100_000 {
            names.take(b"a").unwrap();
        }
        assert_eq!(names.take(b"a").unwrap(), "a#100000");
    }

    #[test]
    fn names_stay_inside_and_apart() {
        let mut names = Names::default();
        for (name, taken) in [
            ("./a/b", Some("a/b")),
            ("a//b", Some("a/b#2")),
            ("a", Some("a#2")),
            ("c", Some("c")),
            ("c/d", None),
            ("/etc/passwd", None),
            ("x/../../y", None),
            ("..", None),
            (".", None),
            ("", None),
            ("n\0l", None),
        ] {
            assert_eq!(names.take(name.as_bytes()).ok().as_deref(), taken, "{name}");
        }
        assert!(names.take(&[b'x'; 300]).is_err());
        assert_eq!(names.take(b"\xff").unwrap(), escaped(b"\xff"));
    }
}
