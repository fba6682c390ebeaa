//! Whether an output folder still is what was written, file by file, and in an mbox message by
//! message.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;

use super::journal::{Entry, Journal};
use super::layout::{Layout, MANIFEST, OWN, REPORT, vet, walk_error};
use super::manifest::{self, MAILBOX};
use super::proof::hash_file;
use crate::archive::{Kind, Mailbox};
use crate::crypto::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::report::rows::ManifestRow;
use crate::text::{escape_path, hex};

/// Something in an output folder that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// Below OUT, escaped.
    pub path: String,
    /// In an mbox, the message.
    pub ordinal: Option<u64>,
    /// In which way.
    pub what: What,
}

/// How something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Its bytes are others.
    Changed,
    /// It is not there.
    Missing,
    /// It was not written by p7mill.
    Extra,
    /// It cannot be read.
    Unreadable,
    /// The run that writes it has not ended.
    Unfinished,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            What::Changed => "changed",
            What::Missing => "missing",
            What::Extra => "extra",
            What::Unreadable => "cannot be read",
            What::Unfinished => "not finished; run the same command again",
        };
        let path = crate::text::terminal_safe(&self.path);
        match self.ordinal {
            Some(ordinal) => write!(f, "{path}: message {ordinal}: {what}"),
            None => write!(f, "{path}: {what}"),
        }
    }
}

/// Compares `out` with its manifest; nothing is written. No difference means that it is, byte for
/// byte, what p7mill wrote.
///
/// # Errors
/// [`Error::Usage`] where `out` is not an output folder.
pub fn check(out: &Path) -> Result<Vec<Difference>> {
    let layout = Layout::new(out);
    let mut found = Findings(Vec::new());
    let Some(seal) = seal(&layout, &mut found)? else {
        return Ok(found.0);
    };
    let Some(mut files) = expected(&layout, &seal, &mut found)? else {
        return Ok(found.0);
    };
    let mut altered = HashSet::new();
    for entry in walkdir::WalkDir::new(out).min_depth(1).sort_by_file_name() {
        let entry = entry.map_err(|e| walk_error(out, e))?;
        if entry.file_type().is_dir() {
            continue;
        }
        let path = escape_path(entry.path().strip_prefix(out).unwrap_or(entry.path()));
        if manifest::is_outside(&layout, entry.path()) {
            // A link, or what is no file at all, in the place of something of ours.
            let is_ours = [layout.lock(), layout.report().join("run.json")]
                .iter()
                .any(|ours| ours == entry.path());
            let is_told = found.0.iter().any(|difference| difference.path == path);
            if is_ours && !entry.file_type().is_file() && !is_told {
                found.add(path, None, What::Changed);
            }
            continue;
        }
        match (files.remove(&path), hash_file(entry.path())) {
            (None, _) => found.add(path, None, What::Extra),
            (Some(_), Err(_)) => found.add(path, None, What::Unreadable),
            (Some(row), Ok(hash)) if row.out_sha256 == hash => {}
            (Some(row), Ok(_)) if row.outcome == MAILBOX => drop(altered.insert(path)),
            (Some(_), Ok(_)) => found.add(path, None, What::Changed),
        }
    }
    for path in files.into_keys() {
        found.add(path, None, What::Missing);
    }
    own_folder(&layout, &mut found)?;
    messages(&layout, altered, &mut found)?;
    found.0.sort();
    Ok(found.0)
}

struct Findings(Vec<Difference>);

impl Findings {
    fn add(&mut self, path: impl Into<String>, ordinal: Option<u64>, what: What) {
        self.0.push(Difference {
            path: path.into(),
            ordinal,
            what,
        });
    }
}

/// What the journal's last line vouches for.
struct Seal {
    /// Empty where the journal is damaged.
    manifest_sha256: String,
}

/// Reads the journal; `None` where there is nothing to compare with.
fn seal(layout: &Layout, found: &mut Findings) -> Result<Option<Seal>> {
    layout.require_own()?;
    if !layout.has_journal() {
        if layout.manifest().is_file() {
            found.add(format!("{OWN}/journal"), None, What::Missing);
            return Ok(Some(Seal {
                manifest_sha256: String::new(),
            }));
        }
        return Err(Error::Usage(format!(
            "{} was not written by p7mill",
            layout.out.display()
        )));
    }
    let journal = Journal::read_only(&layout.journal())?;
    let mut seal = Seal {
        manifest_sha256: String::new(),
    };
    let mut run_sha256 = String::new();
    for entry in journal.entries()? {
        let entry = entry?;
        vet(layout, &entry)?;
        match entry {
            Entry::End(end) => {
                seal.manifest_sha256 = end.manifest_sha256;
                run_sha256 = end.run_sha256;
            }
            Entry::Restored(restored) => seal.manifest_sha256 = restored.manifest_sha256,
            _ => {}
        }
    }
    if journal.has_damaged_tail() {
        found.add(format!("{OWN}/journal"), None, What::Changed);
    } else if seal.manifest_sha256.is_empty() {
        found.add(String::from("."), None, What::Unfinished);
        return Ok(None);
    }
    check_run_file(layout, &run_sha256, found);
    Ok(Some(seal))
}

fn check_run_file(layout: &Layout, sha256: &str, found: &mut Findings) {
    let path = layout.report().join("run.json");
    let name = format!("{REPORT}/run.json");
    if sha256.is_empty() {
        return;
    }
    match hash_file(&path) {
        Ok(hash) if hash == sha256 => {}
        Ok(_) => found.add(name, None, What::Changed),
        Err(_) => found.add(name, None, What::Missing),
    }
}

/// The file rows by path. Where the manifest is not what was written, that is all that can be
/// said of it, and the rest is compared with what can still be read of it.
fn expected(
    layout: &Layout,
    seal: &Seal,
    found: &mut Findings,
) -> Result<Option<HashMap<String, ManifestRow>>> {
    match hash_file(&layout.manifest()) {
        Err(_) => {
            found.add(MANIFEST, None, What::Missing);
            return Ok(None);
        }
        Ok(hash) if hash == seal.manifest_sha256 || seal.manifest_sha256.is_empty() => {}
        Ok(_) => {
            found.add(MANIFEST, None, What::Changed);
            return Ok(None);
        }
    }
    let mut files = HashMap::new();
    for row in manifest::read(layout)? {
        let row = row?;
        if row.out_ordinal.is_none() {
            files.insert(row.out_path.clone(), row);
        }
    }
    Ok(Some(files))
}

/// Nothing but p7mill's own may lie in its folder.
fn own_folder(layout: &Layout, found: &mut Findings) -> Result<()> {
    if !layout.own().is_dir() {
        return Ok(());
    }
    // A retry that was stopped before anything of it had its place.
    let retries = layout.next_journal().is_file();
    if retries {
        found.add(format!("{OWN}/journal.next"), None, What::Unfinished);
    }
    for entry in walkdir::WalkDir::new(layout.own())
        .min_depth(1)
        .sort_by_file_name()
    {
        let entry = entry.map_err(|e| walk_error(&layout.out, e))?;
        let own = [layout.journal(), layout.lock(), layout.redaction_key()];
        let known = own.iter().any(|path| path == entry.path())
            || (retries
                && (entry.path() == layout.next_journal()
                    || entry.path().starts_with(layout.staging())));
        if !known && !entry.file_type().is_dir() {
            let path = escape_path(
                entry
                    .path()
                    .strip_prefix(&layout.out)
                    .unwrap_or(entry.path()),
            );
            found.add(path, None, What::Extra);
        }
    }
    Ok(())
}

/// Names the messages that differ in mailboxes whose file does.
fn messages(layout: &Layout, altered: HashSet<String>, found: &mut Findings) -> Result<()> {
    if altered.is_empty() {
        return Ok(());
    }
    let mut expected: HashMap<String, Vec<String>> = HashMap::new();
    for row in manifest::read(layout)? {
        let row = row?;
        if row.out_ordinal.is_some() && altered.contains(&row.out_path) {
            expected
                .entry(row.out_path)
                .or_default()
                .push(row.out_sha256);
        }
    }
    for path in altered {
        let expected = expected.remove(&path).unwrap_or_default();
        let before = found.0.len();
        compare(layout, &path, &expected, found);
        // Bytes between messages, From_ lines above all, are part of none.
        if found.0.len() == before {
            found.add(path, None, What::Changed);
        }
    }
    Ok(())
}

/// Compares an mbox's messages by hash. A message that is not where it should be is sought
/// further on, so that one that is gone or new does not make all behind it differ.
fn compare(layout: &Layout, path: &str, expected: &[String], found: &mut Findings) {
    let Ok(actual) = layout.below(path).and_then(|file| hashes(&file, path)) else {
        return found.add(path, None, What::Unreadable);
    };
    let ordinal = |index: usize| Some(index as u64 + 1);
    let same_head = expected
        .iter()
        .zip(&actual)
        .take_while(|(a, b)| a == b)
        .count();
    let rest_expected = expected.get(same_head..).unwrap_or_default();
    let rest_actual = actual.get(same_head..).unwrap_or_default();
    let same_tail = rest_expected
        .iter()
        .rev()
        .zip(rest_actual.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let middle_expected = rest_expected.len() - same_tail;
    let middle_actual = rest_actual.len() - same_tail;
    let both = middle_expected.min(middle_actual);
    for index in 0..both {
        if rest_expected.get(index) != rest_actual.get(index) {
            found.add(path, ordinal(same_head + index), What::Changed);
        }
    }
    for index in both..middle_expected {
        found.add(path, ordinal(same_head + index), What::Missing);
    }
    for index in both..middle_actual {
        found.add(path, ordinal(same_head + index), What::Extra);
    }
}

fn hashes(path: &Path, name: &str) -> Result<Vec<String>> {
    let mailbox = Mailbox::new(name.to_owned(), path.to_path_buf(), Kind::Mbox);
    mailbox
        .messages(&Limits::default())?
        .map(|raw| {
            let mut hasher = Hasher::new(Digest::Sha256);
            raw?.content.each_piece(&mut |bytes| {
                hasher.update(bytes);
                Ok(())
            })?;
            Ok(hex(&hasher.finish()))
        })
        .collect()
}
