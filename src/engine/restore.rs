//! Puts originals back: the changed messages of an output folder as they were, in place or into
//! another folder. What comes out is, byte for byte, the source's mail.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::ground;
use super::journal::{Entry, Journal, MailboxDone, Restored as RestoredEntry};
use super::layout::{self, Layout, below, vet};
use super::reporter::Reporter;
use super::run::TO_FORMAT;
use super::{manifest, originals, proof};
use crate::archive::{Kind, Mailbox, write::write_message};
use crate::crypto::digest::{Digest, Hasher, sha256};
use crate::error::{Error, Result};
use crate::fsio::{self, Pending};
use crate::limits::Limits;
use crate::report::record::{MessageRecord, OutPlace, Record};
use crate::text::hex;

/// What was restored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// Messages that were changed and are as they were again.
    pub messages: u64,
    /// Mailboxes that held one.
    pub mailboxes: u64,
    /// Files written to the other folder, where one was named.
    pub copied: u64,
    /// Messages that the run did not write: only the source has them.
    pub withheld: u64,
    /// Files that the run did not write, since they may hold mail that it did not read.
    pub withheld_files: u64,
}

/// Restores the output folder `out`: in place, or into `to`, which must be new or empty.
///
/// # Errors
/// [`Error::Usage`] where `out` is not a finished output folder or originals were not kept;
/// [`Error::Damaged`] where something in it is not what was written.
pub fn restore(out: &Path, to: Option<&Path>, reporter: &dyn Reporter) -> Result<Restored> {
    let layout = Layout::new(out);
    if !layout.has_journal() {
        return Err(Error::Usage(format!(
            "{} was not written by p7mill",
            out.display()
        )));
    }
    layout::refuse_links(&layout)?;
    let _lock = fsio::Lock::take(&layout.lock(), out)?;
    let mut journal = Journal::open(&layout.journal())?;
    let mut ended = false;
    for entry in journal.entries()? {
        let entry = entry?;
        // Before anything is written: what leads out of OUT is not even begun with.
        vet(&layout, &entry)?;
        ended |= matches!(entry, Entry::End(_));
        if let Entry::Header(header) = &entry
            && let Some(format) = header.options.get(TO_FORMAT)
        {
            return Err(Error::Usage(format!(
                "{} was written as {format}: its source is not to be had from it; messages as they were lie in originals",
                out.display()
            )));
        }
    }
    // What is no line behind the end can only be the note of a restore that was broken off.
    if !ended {
        return Err(Error::Usage(format!(
            "{} is not finished, or damaged: see check",
            out.display()
        )));
    }
    let work = Work {
        layout: &layout,
        to: to.unwrap_or(out),
        in_place: to.is_none(),
    };
    if let Some(to) = to {
        super::apart::refuse_overlap(&[out.to_path_buf()], "--out", to)?;
        require_empty(to)?;
    }
    if work.in_place {
        ground::settle(&layout)?;
    }
    let restored = work.all(&journal, reporter)?;
    if to.is_none() {
        let manifest_sha256 = manifest::write(&layout, &journal, true)?;
        journal.append(&Entry::Restored(RestoredEntry { manifest_sha256 }))?;
        journal.commit()?;
    }
    Ok(restored)
}

/// Where a message's original lies below the folder that it is restored to.
pub(super) fn restored_path(record: &MessageRecord, out: &OutPlace) -> String {
    if record.file.is_empty() {
        out.path.clone()
    } else {
        format!("{}/{}", out.mailbox, record.file)
    }
}

fn require_empty(to: &Path) -> Result<()> {
    let holds_any = match std::fs::read_dir(to) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(Error::io("read", to)(error)),
    };
    if holds_any {
        Err(Error::Usage(format!("{} is not empty", to.display())))
    } else {
        Ok(())
    }
}

/// A message that was changed.
struct Change {
    ordinal: u64,
    in_sha256: String,
    out_sha256: String,
    /// Where it is, and where it was, below OUT.
    from: String,
    back: String,
    /// What separates it from the next message.
    trail: Vec<u8>,
}

/// What of a mailbox does not go back.
#[derive(Default)]
struct Drops {
    /// Ordinals of copies in an mbox.
    copies: HashSet<u64>,
    /// Some messages were never written, and are only in the source.
    withheld: bool,
}

struct Work<'a> {
    layout: &'a Layout,
    to: &'a Path,
    in_place: bool,
}

impl Work<'_> {
    fn all(&self, journal: &Journal, reporter: &dyn Reporter) -> Result<Restored> {
        let mut restored = Restored::default();
        let mut changes: Vec<Change> = Vec::new();
        let mut drops = Drops::default();
        for entry in journal.entries()? {
            if let Some(signal) = reporter.interrupted() {
                return Err(Error::Interrupted(signal));
            }
            match entry? {
                Entry::Record(Record::Message(record)) => {
                    drops.withheld |= record.withheld;
                    restored.withheld += u64::from(record.withheld);
                    let Some(out) = &record.out else { continue };
                    for copy in &record.copies {
                        if copy.end == 0 || copy.mailbox != out.mailbox {
                            self.remove(&copy.path)?;
                        } else {
                            drops.copies.insert(copy.ordinal);
                        }
                    }
                    let back = restored_path(&record, out);
                    let differs = record.sha256 != out.sha256;
                    if out.end == 0 && !differs && !self.in_place {
                        self.copy(&out.path)?;
                    }
                    if differs {
                        changes.push(Change {
                            ordinal: out.ordinal,
                            in_sha256: record.sha256.clone(),
                            out_sha256: out.sha256.clone(),
                            from: out.path.clone(),
                            back,
                            trail: trail(&record),
                        });
                    }
                    restored.copied += u64::from(!self.in_place && out.end == 0);
                }
                Entry::Mailbox(done) => {
                    let changes = std::mem::take(&mut changes);
                    restored.messages += changes.len() as u64;
                    restored.mailboxes += u64::from(!changes.is_empty());
                    restored.copied += u64::from(!self.in_place && done.kind != "maildir");
                    self.mailbox(&done, &changes, &std::mem::take(&mut drops))?;
                }
                Entry::Record(Record::File(file)) => {
                    restored.withheld_files += u64::from(file.is_left_out());
                    if let Some(path) = file.out.as_ref().filter(|_| !self.in_place) {
                        self.copy(path)?;
                        restored.copied += 1;
                    }
                }
                _ => {}
            }
        }
        Ok(restored)
    }

    fn mailbox(&self, done: &MailboxDone, changes: &[Change], drops: &Drops) -> Result<()> {
        let Some(name) = &done.file.out else {
            return Ok(());
        };
        match done.kind.as_str() {
            "mbox" if !changes.is_empty() => self.mbox(name, done, changes, drops),
            "mbox" => self.copy_unless_in_place(name),
            "maildir" => {
                for folder in ["cur", "new", "tmp"] {
                    fsio::create_dir_all(&self.place(name)?.join(folder))?;
                }
                changes.iter().try_for_each(|change| self.single(change))
            }
            _ if changes.is_empty() => self.copy_unless_in_place(name),
            _ => changes.iter().try_for_each(|change| self.single(change)),
        }
    }

    /// An mbox is written anew beside itself, checked against the source's hash, and renamed.
    fn mbox(
        &self,
        name: &str,
        done: &MailboxDone,
        changes: &[Change],
        drops: &Drops,
    ) -> Result<()> {
        let path = self.layout.below(name)?;
        let modified = modified(&path)?;
        let mailbox = Mailbox::new(name.to_owned(), path.clone(), Kind::Mbox);
        let changes: HashMap<u64, &Change> = changes
            .iter()
            .map(|change| (change.ordinal, change))
            .collect();
        // Without its copies already, where it was put back before: then its messages are fewer.
        let again = !drops.copies.is_empty() && proof::hash_file(&path)? != done.out_sha256;
        let mut ordinals = (1_u64..).filter(|ordinal| !again || !drops.copies.contains(ordinal));
        let target = self.target(name)?;
        let mut hasher = Hasher::new(Digest::Sha256);
        let mut failed = None;
        let mut pending = Pending::create(&target)?;
        pending.set_modified(modified);
        let written = pending.write(|out| {
            let mut out = Tee {
                out,
                hasher: &mut hasher,
            };
            let result = mailbox.messages(&Limits::default()).and_then(|messages| {
                for raw in messages {
                    let mut raw = raw?;
                    let ordinal = ordinals.next().unwrap_or_default();
                    if drops.copies.contains(&ordinal) {
                        continue;
                    }
                    if let Some(change) = changes.get(&ordinal) {
                        let bytes = self.original(change)?;
                        let is_known = raw.content.bytes().is_none_or(|now| {
                            let hash = hex(&sha256(now));
                            hash == change.out_sha256 || hash == change.in_sha256
                        });
                        if !is_known {
                            return Err(damaged(&path, "a message in it is not what was written"));
                        }
                        raw.content = crate::archive::Content::Bytes(bytes);
                        raw.trail.clone_from(&change.trail);
                    }
                    write_message(&mut out, &target, &raw, Kind::Mbox, None, &mut |_| {})?;
                }
                Ok(())
            });
            result.map_err(|error| {
                failed = Some(error);
                std::io::Error::other("restoring failed")
            })?;
            // Compared before the file has its name: whatever else is wrong, OUT stays as it is.
            let hash = hex(&std::mem::replace(out.hasher, Hasher::new(Digest::Sha256)).finish());
            if done.file.failed || drops.withheld || hash == *done.mail_sha256() {
                return Ok(());
            }
            failed = Some(damaged(
                &path,
                "it does not come out as its source was; see check",
            ));
            Err(std::io::Error::other("restoring failed"))
        });
        match (written, failed) {
            (Err(_), Some(error)) | (Err(error), None) => Err(error),
            (Ok(()), _) => pending.finish(),
        }
    }

    /// A message that is a file of its own.
    fn single(&self, change: &Change) -> Result<()> {
        let from = self.layout.below(&change.from)?;
        let target = self.target(&change.back)?;
        let now = [&from, &target].into_iter().find(|path| path.is_file());
        let Some(now) = now else {
            return Err(damaged(&from, "it is missing"));
        };
        let hash = proof::hash_file(now)?;
        if hash != change.out_sha256 && hash != change.in_sha256 {
            return Err(damaged(now, "it is not what was written"));
        }
        let modified = modified(now)?;
        let bytes = self.original(change)?;
        write(&target, modified, |out| out.write_all(&bytes))?;
        if self.in_place && from != target && from.is_file() {
            fsio::remove(&from)?;
            fsio::sync_dir(from.parent().unwrap_or(&self.layout.out))?;
        }
        Ok(())
    }

    fn original(&self, change: &Change) -> Result<Vec<u8>> {
        let path = originals::find(self.layout, &change.in_sha256)?;
        if !path.is_file() {
            return Err(Error::Usage(format!(
                "{} is missing: originals were not kept, or were removed",
                path.display()
            )));
        }
        let bytes = fsio::read(&path)?;
        if hex(&sha256(&bytes)) == change.in_sha256 {
            Ok(bytes)
        } else {
            Err(damaged(&path, "its content does not fit its name"))
        }
    }

    /// Removes what the source does not have.
    fn remove(&self, name: &str) -> Result<()> {
        let path = self.layout.below(name)?;
        if !self.in_place || !path.is_file() {
            return Ok(());
        }
        fsio::remove(&path)?;
        fsio::sync_dir(path.parent().unwrap_or(&self.layout.out))
    }

    fn copy_unless_in_place(&self, name: &str) -> Result<()> {
        if self.in_place {
            Ok(())
        } else {
            self.copy(name)
        }
    }

    fn copy(&self, name: &str) -> Result<()> {
        let from = self.layout.below(name)?;
        let target = self.target(name)?;
        let mut input = File::open(&from).map_err(Error::io("open", &from))?;
        write(&target, modified(&from)?, |out| {
            std::io::copy(&mut input, out).map(drop)
        })
    }

    /// Where what the journal names goes to.
    fn place(&self, name: &str) -> Result<PathBuf> {
        below(self.to, name, &self.layout.journal())
    }

    fn target(&self, name: &str) -> Result<PathBuf> {
        let target = self.place(name)?;
        if let Some(folder) = target.parent().filter(|folder| !folder.is_dir()) {
            fsio::create_dir_all(folder)?;
        }
        Ok(target)
    }
}

pub(super) fn trail(record: &MessageRecord) -> Vec<u8> {
    let stated = record
        .trail
        .as_ref()
        .and_then(|text| base64_simd::STANDARD.decode_to_vec(text).ok());
    stated.unwrap_or_else(|| b"\n".to_vec())
}

fn damaged(path: &Path, what: &str) -> Error {
    Error::Damaged {
        path: path.to_path_buf(),
        what: what.into(),
    }
}

fn modified(path: &Path) -> Result<SystemTime> {
    std::fs::symlink_metadata(path)
        .and_then(|found| found.modified())
        .map_err(Error::io("read", path))
}

/// Writes a file whole or not at all, with its modification time.
fn write<F>(target: &Path, modified: SystemTime, fill: F) -> Result<()>
where
    F: FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>,
{
    let mut pending = Pending::create(target)?;
    pending.set_modified(modified);
    pending.write(fill)?;
    pending.finish()
}

/// Hashes what passes by.
struct Tee<'a> {
    out: &'a mut dyn std::io::Write,
    hasher: &'a mut Hasher,
}

impl std::io::Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
