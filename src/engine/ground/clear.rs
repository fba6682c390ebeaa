//! What `--start-over` may remove: what p7mill wrote, and nothing else.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::archive::{Found, Kind};
use crate::engine::journal::{Entry, Journal};
use crate::engine::layout::{Layout, ORIGINALS, below, walk_error};
use crate::engine::manifest;
use crate::error::{Error, Result};
use crate::fsio;
use crate::report;
use crate::report::record::Record;

/// Removes what p7mill wrote below OUT; refuses, before anything is removed, where something else
/// is there too.
pub(super) fn clear(layout: &Layout, found: Option<&Found>) -> Result<()> {
    if !layout.has_journal() {
        return Ok(());
    }
    let ours = Ours::read(layout, found)?;
    let mut remove = Vec::new();
    let mut folders = Vec::new();
    for entry in walkdir::WalkDir::new(&layout.out)
        .min_depth(1)
        .contents_first(true)
    {
        let entry = entry.map_err(|e| walk_error(&layout.out, e))?;
        if entry.path() == layout.lock() {
            continue;
        }
        if entry.file_type().is_dir() {
            folders.push(entry.into_path());
        } else if ours.wrote(layout, entry.path()) {
            remove.push(entry.into_path());
        } else {
            return Err(Error::Usage(format!(
                "{} was not written by p7mill; move it away before --start-over",
                entry.path().display()
            )));
        }
    }
    // The journal goes last: as long as it is there, this can be done again.
    remove.sort_by_key(|path| *path == layout.journal());
    for path in remove {
        fsio::remove(&path)?;
    }
    for folder in folders.iter().filter(|folder| **folder != layout.own()) {
        fsio::remove_dir(folder)?;
    }
    fsio::sync_dir(&layout.own())?;
    fsio::sync_dir(&layout.out)
}

/// What a journal says was written.
struct Ours {
    files: HashSet<PathBuf>,
    /// Maildirs; an unfinished run may have put more into the last one than its journal says.
    maildirs: HashSet<PathBuf>,
    /// Files that hold one message, beside which copies for blind recipients may lie.
    singles: HashSet<PathBuf>,
}

impl Ours {
    fn read(layout: &Layout, found: Option<&Found>) -> Result<Self> {
        let mut ours = Self {
            files: HashSet::new(),
            maildirs: HashSet::new(),
            singles: HashSet::new(),
        };
        let out = |path: &str| layout.below(path);
        let mut ended = false;
        for entry in Journal::read_only(&layout.journal())?.entries()? {
            let record = match entry? {
                Entry::Record(record) => record,
                Entry::Mailbox(done) => Record::File(done.file),
                Entry::End(_) => {
                    ended = true;
                    continue;
                }
                Entry::Header(_)
                | Entry::Restored(_)
                | Entry::Superseded(_)
                | Entry::Retried(_) => continue,
            };
            match record {
                Record::Message(message) => {
                    for place in message.places() {
                        if place.end == 0 {
                            ours.maildirs.insert(out(&place.mailbox)?);
                        }
                        ours.files.insert(out(&place.path)?);
                        ours.files.insert(out(&place.mailbox)?);
                    }
                }
                Record::File(file) => {
                    ours.files.extend(file.out.as_deref().map(out).transpose()?);
                }
                Record::Certificate(_) | Record::Crl(_) => {}
            }
        }
        // What has its name and is not in the journal yet, where the run was broken off.
        let found = found.filter(|_| !ended);
        for file in found.iter().flat_map(|found| &found.files) {
            ours.files.insert(out(&file.name)?);
        }
        for mailbox in found.iter().flat_map(|found| &found.mailboxes) {
            match mailbox.kind {
                Kind::Maildir => ours.maildirs.insert(out(&mailbox.name)?),
                Kind::Eml | Kind::Cms => ours.singles.insert(out(&mailbox.name)?),
                Kind::Mbox => false,
            };
        }
        if let Ok(rows) = manifest::read(layout) {
            for row in rows.flatten() {
                let place = below(&layout.out, &row.out_path, &layout.manifest())?;
                ours.files.insert(place);
            }
        }
        Ok(ours)
    }

    fn wrote(&self, layout: &Layout, path: &Path) -> bool {
        let in_maildir = || {
            let folder = path
                .parent()
                .filter(|dir| dir.ends_with("cur") || dir.ends_with("new") || dir.ends_with("tmp"));
            folder
                .and_then(Path::parent)
                .is_some_and(|maildir| self.maildirs.contains(maildir))
        };
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        path.starts_with(layout.own())
            || path.starts_with(layout.out.join(ORIGINALS))
            || path == layout.manifest()
            || name.ends_with(fsio::TEMP_SUFFIX)
            || (path.parent() == Some(&layout.report()) && report::is_report(name))
            || self.files.contains(path)
            || in_maildir()
            || copied_from(path).is_some_and(|single| self.singles.contains(&single))
    }
}

/// The file beside which a copy for a blind recipient has this name.
fn copied_from(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let (stem, rest) = name.rsplit_once(".bcc")?;
    let extension = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
    (extension.len() < rest.len()).then(|| path.with_file_name(format!("{stem}{extension}")))
}
