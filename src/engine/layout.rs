//! Where things lie below an output folder, and that nothing there leads elsewhere.

use std::path::{Path, PathBuf};

use super::journal::Entry;
use super::originals;
use super::restore::restored_path;
use crate::archive::write::relative;
use crate::error::{Error, Result};
use crate::report::record::Record;
use crate::text::terminal_safe;

/// p7mill's own folder below OUT.
pub(super) const OWN: &str = ".p7mill";
/// The manifest, below OUT.
pub(super) const MANIFEST: &str = "manifest.csv";
/// Changed messages as they were, below OUT.
pub(super) const ORIGINALS: &str = "originals";
/// The reports' usual place below OUT.
pub(super) const REPORT: &str = "report";

/// Where things lie below an output folder.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) out: PathBuf,
}

impl Layout {
    pub(super) fn new(out: &Path) -> Self {
        Self {
            out: out.to_path_buf(),
        }
    }

    pub(super) fn own(&self) -> PathBuf {
        self.out.join(OWN)
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.own().join("journal")
    }

    /// The journal of a retry, until it is complete.
    pub(super) fn next_journal(&self) -> PathBuf {
        self.own().join("journal.next")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.own().join("lock")
    }

    pub(super) fn redaction_key(&self) -> PathBuf {
        self.own().join("redaction.key")
    }

    /// Where plaintexts too large to hold lie until they are written, without a name.
    pub(super) fn scratch(&self) -> PathBuf {
        self.own()
    }

    pub(super) fn staging(&self) -> PathBuf {
        self.own().join("parts")
    }

    pub(super) fn manifest(&self) -> PathBuf {
        self.out.join(MANIFEST)
    }

    pub(super) fn report(&self) -> PathBuf {
        self.out.join(REPORT)
    }

    /// Whether anything has the journal's name, be it a link that leads nowhere.
    pub(super) fn has_journal(&self) -> bool {
        std::fs::symlink_metadata(self.journal()).is_ok()
    }

    /// The place below OUT that the journal names.
    pub(super) fn below(&self, name: &str) -> Result<PathBuf> {
        below(&self.out, name, &self.journal())
    }

    /// Refuses p7mill's own folder where it is a link to another.
    pub(super) fn require_own(&self) -> Result<()> {
        match std::fs::symlink_metadata(self.own()) {
            Ok(found) if !found.is_dir() => Err(Error::Damaged {
                path: self.own(),
                what: "it is not a folder".into(),
            }),
            _ => Ok(()),
        }
    }
}

/// The place below `base` that `name` stands for. Who sends an output folder writes its journal and
/// manifest too, and their checksums with them: no name of theirs may lead out of the folder.
pub(super) fn below(base: &Path, name: &str, named_by: &Path) -> Result<PathBuf> {
    match relative(name) {
        Ok(path) => Ok(base.join(path)),
        Err(_) => Err(Error::Damaged {
            path: named_by.to_path_buf(),
            what: format!(
                "it names a path outside the output folder: {}",
                terminal_safe(name)
            ),
        }),
    }
}

/// Refuses a line of the journal that names anything outside of OUT.
pub(super) fn vet(layout: &Layout, entry: &Entry) -> Result<()> {
    let vet_name = |name: &str| layout.below(name).map(drop);
    match entry {
        Entry::Record(Record::Message(record)) => {
            for place in record.places() {
                vet_name(&place.path)?;
                vet_name(&place.mailbox)?;
            }
            let Some(out) = &record.out else {
                return Ok(());
            };
            vet_name(&restored_path(record, out))?;
            if record.sha256 == out.sha256 {
                Ok(())
            } else {
                originals::find(layout, &record.sha256).map(drop)
            }
        }
        Entry::Record(Record::File(file)) => file.out.as_deref().map_or(Ok(()), vet_name),
        Entry::Mailbox(done) => done.file.out.as_deref().map_or(Ok(()), vet_name),
        Entry::Superseded(superseded) => vet_name(&superseded.path),
        Entry::Record(Record::Certificate(_) | Record::Crl(_))
        | Entry::Header(_)
        | Entry::End(_)
        | Entry::Restored(_)
        | Entry::Retried(_) => Ok(()),
    }
}

/// Refuses OUT where anything below it is a link or no file: writing, reading and removing would
/// follow it to elsewhere. p7mill itself never makes one. OUT itself may be a link.
pub(super) fn refuse_links(layout: &Layout) -> Result<()> {
    for entry in walkdir::WalkDir::new(&layout.out)
        .follow_links(false)
        .min_depth(1)
    {
        let entry = match entry {
            Ok(entry) => entry,
            // Not made yet, or renamed by another run: the lock will tell.
            Err(error)
                if error.io_error().map(std::io::Error::kind)
                    == Some(std::io::ErrorKind::NotFound) =>
            {
                continue;
            }
            Err(error) => return Err(walk_error(&layout.out, error)),
        };
        let kind = entry.file_type();
        if !kind.is_dir() && !kind.is_file() {
            let what = if kind.is_symlink() {
                "a symbolic link"
            } else {
                "not an ordinary file"
            };
            return Err(Error::Usage(format!(
                "{} is {what}; p7mill never makes one in its output: remove it, or name a new folder",
                entry.path().display()
            )));
        }
    }
    Ok(())
}

/// What stands in the way of walking `base`.
pub(super) fn walk_error(base: &Path, error: walkdir::Error) -> Error {
    let path = error.path().unwrap_or(base).to_path_buf();
    let source = error
        .into_io_error()
        .unwrap_or_else(|| std::io::Error::other("a loop of links"));
    Error::io("read", path)(source)
}
