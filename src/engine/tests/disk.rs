//! What the sweeps over broken disks share: an archive, a run over it, and what has to come out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::*;
use crate::engine::journal::{Entry, Journal};
use crate::engine::layout::Layout;
use crate::fsio::fault::{Made, recorded};
use crate::fsio::power::{Image, Node};
use crate::report::record::Record;
use crate::text::{hex, unescape_path};

/// Whether the sweeps are to leave nothing out: see docs/dev/testing.md.
pub(super) fn is_whole() -> bool {
    std::env::var_os("P7MILL_SWEEP").is_some()
}

/// Up to `most` of `0..all`, evenly, the first and the last among them.
pub(super) fn some_of(all: usize, most: usize) -> Vec<usize> {
    if all <= most {
        return (0..all).collect();
    }
    (0..most)
        .map(|at| at * (all - 1) / (most - 1).max(1))
        .collect()
}

/// A file's bytes, and its time where that matters.
type Content = (Vec<u8>, Option<SystemTime>);

/// An archive, a folder for what is written, and a way to mill the one into the other.
pub(super) struct Ground {
    pub(super) base: tempfile::TempDir,
    pub(super) job: Job,
    process: fn(&Input<'_>) -> Outcome,
    /// What comes out when nothing goes wrong.
    pub(super) golden: Image,
    /// The changes that made it.
    pub(super) made: Vec<Made>,
}

impl Ground {
    /// Runs over an archive of so many messages, as `migrate` would, or as `encrypt`: with copies
    /// for blind recipients, and without what failed.
    pub(super) fn new(messages: usize, encrypts: bool) -> Self {
        // In memory, where that is possible: nothing here depends on a disk.
        let base = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let base = base.unwrap();
        archive(base.path(), messages);
        fsio::create_dir_all(&base.path().join("disk")).unwrap();
        let mut ground = Self {
            job: Job {
                withholds: encrypts,
                ..job(base.path(), "disk/out")
            },
            process: if encrypts { with_copies } else { fake },
            base,
            golden: Image::new(),
            made: Vec::new(),
        };
        let (done, made) = recorded(|| ground.run());
        done.unwrap();
        ground.made = made;
        ground.golden = ground.found();
        ground
    }

    pub(super) fn disk(&self) -> PathBuf {
        self.base.path().join("disk")
    }

    pub(super) fn out(&self) -> PathBuf {
        self.disk().join("out")
    }

    /// The run, as often as another test's child holds a copy of its lock.
    pub(super) fn run(&self) -> crate::Result<Finished> {
        for _ in 0..100 {
            match run_with(&self.job, &context(), &self.process, None, &Silent) {
                Err(Error::Busy(_)) => std::thread::sleep(std::time::Duration::from_millis(20)),
                done => return done,
            }
        }
        run_with(&self.job, &context(), &self.process, None, &Silent)
    }

    /// Puts the originals back, in place.
    pub(super) fn restore(&self) -> crate::Result<Restored> {
        for _ in 0..100 {
            match restore(&self.out(), None, &Silent) {
                Err(Error::Busy(_)) => std::thread::sleep(std::time::Duration::from_millis(20)),
                done => return done,
            }
        }
        restore(&self.out(), None, &Silent)
    }

    /// Files below OUT that have their names and are neither as they were nor as they will be.
    pub(super) fn halves(&self, before: &Image, after: &Image) -> Vec<String> {
        let own = self.out().join(".p7mill");
        let is_whole = |path: &Path, node: &Node| {
            path.starts_with(&own)
                || is_temporary(path)
                || path.ends_with("report/run.json")
                || [before, after]
                    .iter()
                    .any(|image| match (node, image.get(path)) {
                        (Node::Folder, _) => true,
                        (Node::File { bytes, .. }, Some(Node::File { bytes: known, .. })) => {
                            bytes == known
                        }
                        _ => false,
                    })
        };
        let found = self.found();
        let halves = found.iter().filter(|(path, node)| !is_whole(path, node));
        halves.map(|(path, _)| path.display().to_string()).collect()
    }

    /// What is there now.
    #[expect(clippy::filetype_is_file, reason = "nothing else is made here")]
    pub(super) fn found(&self) -> Image {
        walkdir::WalkDir::new(self.disk())
            .min_depth(1)
            .into_iter()
            .map(Result::unwrap)
            .map(|entry| {
                let node = if entry.file_type().is_file() {
                    Node::File {
                        bytes: std::fs::read(entry.path()).unwrap(),
                        modified: entry.metadata().unwrap().modified().ok(),
                    }
                } else {
                    Node::Folder
                };
                (entry.into_path(), node)
            })
            .collect()
    }

    /// How what is there differs from what would be there had nothing gone wrong.
    pub(super) fn differs_from_golden(&self) -> Option<String> {
        let (golden, found) = (self.matters(&self.golden), self.matters(&self.found()));
        let names = golden.keys().chain(found.keys());
        let mut wrong = names
            .filter(|name| golden.get(*name) != found.get(*name))
            .map(|name| match (golden.get(name), found.get(name)) {
                (Some(_), None) => format!("{name} is missing"),
                (None, Some(_)) => format!("{name} should not be there"),
                (Some(Some((one, _))), Some(Some((other, _)))) if one != other => {
                    format!("{name} holds something else")
                }
                _ => format!("{name} has another time"),
            });
        wrong.next().or_else(|| {
            let found = check(&self.out()).unwrap();
            (!found.is_empty()).then(|| format!("check says {found:?}"))
        })
    }

    /// What must come out alike: everything but the journal's bytes, run.json and the times of
    /// what p7mill itself makes. Of its own folder, nothing but journal and lock may be left.
    fn matters(&self, image: &Image) -> BTreeMap<String, Option<Content>> {
        let mut matters = BTreeMap::new();
        for (path, node) in image {
            let name = path.strip_prefix(self.out()).unwrap_or(path);
            let name = name.to_str().unwrap().to_owned();
            let node = match node {
                _ if name.starts_with(".p7mill") || name == "report/run.json" => None,
                Node::Folder => None,
                Node::File { bytes, modified } => {
                    let copy = name == "archive/single.bcc1.eml";
                    let time = modified.filter(|_| name.starts_with("archive/") && !copy);
                    Some((bytes.clone(), time))
                }
            };
            matters.insert(name, node);
        }
        matters
    }

    /// What the journal that lies there claims and `image` does not hold.
    pub(super) fn false_claims(&self, image: &Image) -> Vec<String> {
        let layout = Layout::new(&self.out());
        if !layout.has_journal() {
            return Vec::new();
        }
        let mut wrong = Vec::new();
        let bytes = |path: &Path| match image.get(path) {
            Some(Node::File { bytes, .. }) => Some(bytes.as_slice()),
            _ => None,
        };
        let golden = |path: &Path| match &self.golden[path] {
            Node::File { bytes, .. } => bytes.as_slice(),
            Node::Folder => panic!(),
        };
        let hash =
            |path: &Path| bytes(path).map(|bytes| hex(&crate::crypto::digest::sha256(bytes)));
        let journal = Journal::read_only(&layout.journal()).unwrap();
        for entry in journal.entries().unwrap() {
            let ok = match entry.unwrap() {
                Entry::Record(Record::Message(record)) => {
                    let ok = record.places().all(|place| {
                        let there = layout.out.join(unescape_path(&place.path));
                        let grows = layout.staging().join(unescape_path(&place.path));
                        let end = match place.end {
                            0 => golden(&there).len(),
                            end => usize::try_from(end).unwrap(),
                        };
                        let written = golden(&there).get(..end).unwrap();
                        [there, grows].iter().any(|path| {
                            bytes(path).and_then(|bytes| bytes.get(..end)) == Some(written)
                        })
                    });
                    let original = layout.out.join(originals::name(&record.sha256));
                    let changed = record
                        .out
                        .as_ref()
                        .is_some_and(|out| out.sha256 != record.sha256);
                    let ok = ok && (!changed || hash(&original).as_ref() == Some(&record.sha256));
                    (!ok).then(|| format!("message {} of {}", record.ordinal, record.mailbox))
                }
                Entry::Record(Record::File(file)) => {
                    let there = file
                        .out
                        .as_ref()
                        .map(|out| layout.out.join(unescape_path(out)));
                    let ok = there.is_none_or(|path| hash(&path) == Some(file.sha256));
                    (!ok).then_some(file.path)
                }
                Entry::Mailbox(done) if !done.out_sha256.is_empty() => {
                    let path = layout.out.join(unescape_path(&done.file.path));
                    (hash(&path) != Some(done.out_sha256)).then_some(done.file.path)
                }
                Entry::End(end) => {
                    let ok = hash(&layout.manifest()) == Some(end.manifest_sha256);
                    (!ok).then(|| "the end".to_owned())
                }
                _ => None,
            };
            wrong.extend(ok.map(|what| format!("the journal claims {what}, which is not there")));
        }
        wrong
    }
}

/// Whether a file has no name yet.
pub(super) fn is_temporary(path: &Path) -> bool {
    path.to_str().unwrap().ends_with(fsio::TEMP_SUFFIX)
}

/// As an encryption with a blind recipient would: a copy beside each changed message.
fn with_copies(input: &Input<'_>) -> Outcome {
    let mut outcome = fake(input);
    if let Some(edits) = &outcome.edits {
        let mut copy = edits.clone();
        copy.push(Piece::Owned(b"\nfor another\n".to_vec()));
        outcome.copies.push(copy);
    }
    outcome
}
