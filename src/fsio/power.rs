//! What a power cut can leave of the changes that were made to a disk.
//!
//! The model is stricter than any one file system. What was not synced may be there, be torn or
//! be missing, whatever came before and after it: bytes without those written earlier, a name
//! without its file's content, a length without its bytes. A name is durable once the folder that
//! holds it is synced, bytes once their file is, everything once the file system is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::fault::Made;

/// What a disk writes whole.
const SECTOR: usize = 512;

/// The files and folders that are there.
pub(crate) type Image = BTreeMap<PathBuf, Node>;

/// A folder, or a file and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Node {
    Folder,
    File {
        bytes: Vec<u8>,
        modified: Option<SystemTime>,
    },
}

/// The changes below a folder, and which of them last.
#[derive(Default)]
pub(crate) struct History {
    base: PathBuf,
    live: BTreeMap<PathBuf, Entry>,
    files: usize,
    effects: Vec<Effect>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    Folder,
    File(usize),
}

struct Effect {
    durable: bool,
    what: What,
}

enum What {
    /// In which folder it must be synced, and which names it sets or takes away.
    Names(PathBuf, Vec<(PathBuf, Option<Entry>)>),
    Bytes(usize, u64, Vec<u8>),
    Length(usize, u64),
    Modified(usize, SystemTime),
}

/// What becomes of a change that was not synced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Lost,
    Kept,
    /// Of the bytes, this many are there.
    Torn(usize),
    /// Of the bytes, only the room for them is there.
    Zeros,
}

impl History {
    /// An empty folder.
    pub(crate) fn below(base: &Path) -> Self {
        Self {
            base: base.to_path_buf(),
            ..Self::default()
        }
    }

    /// Goes on with what was made; what happens elsewhere does not matter.
    pub(crate) fn add(&mut self, made: &[Made]) {
        for change in made {
            self.change(change);
        }
    }

    fn change(&mut self, made: &Made) {
        let inside = |path: &Path| path.starts_with(&self.base) && path != self.base;
        match made {
            Made::MakeFolder(path) if inside(path) => {
                self.name(path, vec![(path.clone(), Some(Entry::Folder))]);
            }
            Made::Open(path) if inside(path) && !self.live.contains_key(path) => {
                let file = Entry::File(self.files);
                self.files += 1;
                self.name(path, vec![(path.clone(), Some(file))]);
            }
            Made::Write(path, at, bytes) if inside(path) => {
                let what = What::Bytes(self.file(path), *at, bytes.clone());
                self.push(what);
            }
            Made::SetLen(path, len) if inside(path) => {
                let what = What::Length(self.file(path), *len);
                self.push(what);
            }
            Made::SetModified(path, time) if inside(path) => {
                let what = What::Modified(self.file(path), *time);
                self.push(what);
            }
            Made::Rename(from, to) if inside(from) => {
                let entry = self.live.get(from).copied();
                assert!(entry.is_some(), "{} is not there", from.display());
                self.name(to, vec![(from.clone(), None), (to.clone(), entry)]);
            }
            Made::Remove(path) | Made::RemoveFolder(path) if self.live.contains_key(path) => {
                self.name(path, vec![(path.clone(), None)]);
            }
            Made::Sync(path) if inside(path) => {
                let file = self.file(path);
                self.sync(|what| what.is_of(file));
            }
            Made::SyncData(path) if inside(path) => {
                let file = self.file(path);
                self.sync(|what| what.is_of(file) && !matches!(what, What::Modified(..)));
            }
            Made::SyncFolder(folder) => {
                self.sync(|what| matches!(what, What::Names(place, _) if place == folder));
            }
            Made::SyncAll(_) => self.sync(|_| true),
            _ => {}
        }
    }

    fn file(&self, path: &Path) -> usize {
        match self.live.get(path) {
            Some(Entry::File(file)) => *file,
            _ => panic!("{} is no file", path.display()),
        }
    }

    fn name(&mut self, place: &Path, names: Vec<(PathBuf, Option<Entry>)>) {
        for (path, entry) in &names {
            match entry {
                Some(entry) => self.live.insert(path.clone(), *entry),
                None => self.live.remove(path),
            };
        }
        let folder = place.parent().unwrap().to_path_buf();
        self.push(What::Names(folder, names));
    }

    fn push(&mut self, what: What) {
        let durable = false;
        self.effects.push(Effect { durable, what });
    }

    fn sync(&mut self, of: impl Fn(&What) -> bool) {
        for effect in self.effects.iter_mut().filter(|effect| of(&effect.what)) {
            effect.durable = true;
        }
    }

    /// What is there as long as the power is on.
    pub(crate) fn now(&self) -> Image {
        self.image(|_| Fate::Kept)
    }

    /// What a power cut may leave, at most `most` images and a few that are always there.
    pub(crate) fn after_power_cut(&self, most: usize) -> BTreeSet<Image> {
        let pending: Vec<usize> = (0..self.effects.len())
            .filter(|at| !self.effects[*at].durable)
            .collect();
        let is_name = |at: usize| matches!(self.effects[at].what, What::Names(..));
        let kept = |kept: bool| if kept { Fate::Kept } else { Fate::Lost };
        let mut images = BTreeSet::from([
            self.image(|_| Fate::Lost),
            self.now(),
            // Names without content; with nothing but its length; content without names.
            self.image(|at| kept(is_name(at))),
            self.image(|at| if is_name(at) { Fate::Kept } else { Fate::Zeros }),
            self.image(|at| kept(!is_name(at))),
        ]);
        // Each by itself, each alone missing, and each torn behind what came before.
        let several = pending.len() * 3;
        for chosen in (0..several).step_by(several.div_ceil(most.max(1)).max(1)) {
            let this = pending[chosen / 3];
            images.insert(match chosen % 3 {
                0 => self.image(|at| kept(at == this)),
                1 => self.image(|at| kept(at != this)),
                _ => self.image(|at| match at.cmp(&this) {
                    std::cmp::Ordering::Less => Fate::Kept,
                    std::cmp::Ordering::Equal => self.torn(this),
                    std::cmp::Ordering::Greater => Fate::Lost,
                }),
            });
        }
        images
    }

    fn torn(&self, at: usize) -> Fate {
        match &self.effects[at].what {
            What::Bytes(_, _, bytes) => Fate::Torn(bytes.len() / 2 / SECTOR * SECTOR),
            _ => Fate::Lost,
        }
    }

    /// What is there if `fate` decides over what was not synced.
    fn image(&self, fate: impl Fn(usize) -> Fate) -> Image {
        let mut names = BTreeMap::new();
        let mut files = vec![(Vec::new(), None); self.files];
        for (at, effect) in self.effects.iter().enumerate() {
            let fate = if effect.durable { Fate::Kept } else { fate(at) };
            if fate == Fate::Lost {
                continue;
            }
            match &effect.what {
                What::Names(_, changes) => {
                    for (path, entry) in changes {
                        match entry {
                            Some(entry) => names.insert(path.clone(), *entry),
                            None => names.remove(path),
                        };
                    }
                }
                What::Bytes(file, offset, bytes) => {
                    let content = &mut files[*file].0;
                    let start = usize::try_from(*offset).unwrap();
                    let place = start..start + bytes.len();
                    match fate {
                        Fate::Torn(len) => put(content, start..start + len, &bytes[..len]),
                        Fate::Zeros => put(content, place, &vec![0; bytes.len()]),
                        _ => put(content, place, bytes),
                    }
                }
                What::Length(file, len) => {
                    files[*file].0.resize(usize::try_from(*len).unwrap(), 0);
                }
                What::Modified(file, time) => files[*file].1 = Some(*time),
            }
        }
        let is_reached = |path: &Path| {
            path.ancestors()
                .skip(1)
                .take_while(|folder| *folder != self.base)
                .all(|folder| names.get(folder) == Some(&Entry::Folder))
        };
        names
            .iter()
            .filter(|(path, _)| is_reached(path))
            .map(|(path, entry)| {
                let node = match entry {
                    Entry::Folder => Node::Folder,
                    Entry::File(file) => {
                        let (bytes, modified) = files[*file].clone();
                        Node::File { bytes, modified }
                    }
                };
                (path.clone(), node)
            })
            .collect()
    }
}

impl What {
    fn is_of(&self, file: usize) -> bool {
        match self {
            Self::Names(..) => false,
            Self::Bytes(of, ..) | Self::Length(of, _) | Self::Modified(of, _) => *of == file,
        }
    }
}

fn put(content: &mut Vec<u8>, place: Range<usize>, bytes: &[u8]) {
    if content.len() < place.end {
        content.resize(place.end, 0);
    }
    content[place].copy_from_slice(bytes);
}

/// Makes the folder what the image says.
#[expect(clippy::disallowed_methods, reason = "made behind p7mill's back")]
pub(crate) fn lay_out(base: &Path, image: &Image) {
    use std::os::unix::fs::PermissionsExt as _;
    for entry in std::fs::read_dir(base).unwrap() {
        std::fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    for (path, node) in image {
        match node {
            Node::Folder => std::fs::create_dir(path).unwrap(),
            Node::File { bytes, modified } => {
                std::fs::write(path, bytes).unwrap();
                let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
                file.set_permissions(std::fs::Permissions::from_mode(0o600))
                    .unwrap();
                if let Some(modified) = modified {
                    file.set_modified(*modified).unwrap();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(images: &BTreeSet<Image>, path: &str) -> BTreeSet<Option<String>> {
        images
            .iter()
            .map(|image| match image.get(Path::new(path))? {
                Node::Folder => None,
                Node::File { bytes, .. } => Some(String::from_utf8(bytes.clone()).unwrap()),
            })
            .collect()
    }

    #[test]
    fn what_was_not_synced_may_be_there_or_not() {
        let file = PathBuf::from("/d/x");
        let write = |at, text: &str| Made::Write("/d/x".into(), at, text.into());
        let some = |texts: &[&str]| {
            texts
                .iter()
                .map(|t| Some((*t).to_owned()))
                .collect::<Vec<_>>()
        };
        let mut history = History::below(Path::new("/d"));
        history.add(&[Made::Open(file.clone()), write(0, "ab"), write(2, "cd")]);
        let left = texts(&history.after_power_cut(99), "/d/x");
        let all = ["", "\0\0\0\0", "\0\0cd", "ab", "abcd"];
        let expected: BTreeSet<_> = some(&all).into_iter().chain([None]).collect();
        assert_eq!(left, expected);
        // Bytes without the name do not help, nor the name without the bytes.
        history.add(&[Made::Sync(file.clone())]);
        let left = texts(&history.after_power_cut(99), "/d/x");
        assert_eq!(left, BTreeSet::from([None, Some("abcd".into())]));
        history.add(&[Made::SyncFolder("/d".into())]);
        let left = texts(&history.after_power_cut(99), "/d/x");
        assert_eq!(left, BTreeSet::from([Some("abcd".into())]));
        // A name that replaces another before its content is there.
        let temp = PathBuf::from("/d/t");
        history.add(&[
            Made::Open(temp.clone()),
            Made::Write(temp.clone(), 0, b"new".to_vec()),
            Made::Rename(temp, file.clone()),
        ]);
        let left = texts(&history.after_power_cut(99), "/d/x");
        let all = ["", "\0\0\0", "abcd", "new"];
        assert_eq!(left, some(&all).into_iter().collect());
    }
}
