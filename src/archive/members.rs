//! Members of an archive: what is in it, and what their names may be below an output folder.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::sniff::{self, Judgement};
use super::{Kind, Origin, Said, maildir};
use crate::text::escape_path;

/// The word for a member that is not unpacked.
pub(super) const REFUSED: &str = "member";
/// The longest component, and the longest name.
const MAX_COMPONENT: usize = 240;
const MAX_NAME: usize = 2048;

/// What an archive holds.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Files, links and devices, as they lie; folders are left out.
    pub(super) members: Vec<Member>,
    /// What kept the rest from being seen.
    pub(super) trouble: Option<&'static str>,
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
        let mut number = 2_u64;
        while self.folders.contains(&unique) || !self.files.insert(unique.clone()) {
            unique = format!("{plain}#{number}");
            number += 1;
        }
        Ok(unique)
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
    use super::*;

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
