//! manifest.csv: SHA-256 in, SHA-256 out, a row a message, then a row a file.
//!
//! Message rows have an `out_ordinal`, file rows have none; the word in a file row's `outcome`
//! says what it is: `mailbox` (an mbox), `message` (a file that is one message), `copied`,
//! `original` or `report`. run.json differs from run to run and so is not in it; the journal's
//! last line holds its hash.

use std::path::Path;

use super::journal::{Entry, Journal};
use super::layout::{Layout, REPORT};
use super::originals;
use super::proof::{hash_file, open_plain};
use super::restore::restored_path;
use crate::error::{Error, Result};
use crate::fsio::{self, Pending};
use crate::ops::outcome::MessageFinding;
use crate::report::record::{MessageRecord, OutPlace, Record};
use crate::report::rows::ManifestRow;
use crate::report::{self, csv};

/// Words for file rows.
pub(super) const MAILBOX: &str = "mailbox";
pub(super) const MESSAGE: &str = "message";
const COPIED: &str = "copied";
const ORIGINAL: &str = "original";
const REPORT_FILE: &str = "report";
/// The outcome of a message whose original was put back.
const RESTORED: &str = "restored";

/// Writes the manifest of what `journal` says was written, as it is, or as it is once the
/// originals were put back; gives its SHA-256.
pub(super) fn write(layout: &Layout, journal: &Journal, restored: bool) -> Result<String> {
    let path = layout.manifest();
    let mut pending = Pending::create(&path)?;
    pending.write(|out| csv::header::<ManifestRow>(out))?;
    rows(layout, journal, restored, &mut |row| {
        pending.write(|out| csv::row(out, row))
    })?;
    pending.finish()?;
    hash_file(&path)
}

fn rows(
    layout: &Layout,
    journal: &Journal,
    restored: bool,
    each: &mut dyn FnMut(&ManifestRow) -> Result<()>,
) -> Result<()> {
    let back = |record: &MessageRecord, out: &OutPlace| restored && record.sha256 != out.sha256;
    for record in journal.records()? {
        if let Record::Message(record) = record?
            && let Some(out) = &record.out
        {
            each(&message_row(&record, out, back(&record, out)))?;
            for copy in record.copies.iter().filter(|_| !restored) {
                each(&message_row(&record, copy, false))?;
            }
        }
    }
    let mut any_back = false;
    let mut any_withheld = false;
    for entry in journal.entries()? {
        match entry? {
            Entry::Record(Record::Message(record)) => {
                any_withheld |= record.withheld;
                let Some(out) = &record.out else { continue };
                any_back |= back(&record, out);
                // What lies in a file of its own; an mbox has one row for all that it holds.
                let own = |copy: &&OutPlace| copy.end == 0 || copy.mailbox != out.mailbox;
                for copy in record.copies.iter().filter(own).filter(|_| !restored) {
                    each(&ManifestRow {
                        out_ordinal: None,
                        outcome: MESSAGE.into(),
                        ..message_row(&record, copy, false)
                    })?;
                }
                // A Maildir's messages are files of their own; other mailboxes follow below.
                if out.end == 0 {
                    let row = message_row(&record, out, back(&record, out));
                    each(&ManifestRow {
                        out_ordinal: None,
                        outcome: MESSAGE.into(),
                        ..row
                    })?;
                }
            }
            Entry::Record(Record::File(file)) => {
                if let Some(out_path) = file.out {
                    let hash = file.sha256;
                    each(&file_row(out_path, hash.clone(), hash, COPIED))?;
                }
            }
            Entry::Mailbox(done) => {
                let put_back = std::mem::take(&mut any_back);
                let withheld = std::mem::take(&mut any_withheld);
                if let Some(out_path) = done
                    .file
                    .out
                    .clone()
                    .filter(|_| !done.out_sha256.is_empty())
                {
                    let hash = if put_back && withheld {
                        // Something of the source is not there.
                        hash_file(&layout.below(&out_path)?)?
                    } else if put_back {
                        done.mail_sha256().clone()
                    } else {
                        done.out_sha256
                    };
                    let word = if done.kind == "mbox" {
                        MAILBOX
                    } else {
                        MESSAGE
                    };
                    each(&file_row(out_path, done.file.sha256, hash, word))?;
                }
            }
            _ => {}
        }
    }
    for sha256 in originals::list(&layout.out)? {
        each(&file_row(
            originals::name(&sha256),
            sha256.clone(),
            sha256,
            ORIGINAL,
        ))?;
    }
    let reports = layout.report();
    for name in report::files_in(&reports)
        .into_iter()
        .filter(|name| name != "run.json")
    {
        let hash = hash_file(&reports.join(&name))?;
        each(&file_row(
            format!("{REPORT}/{name}"),
            String::new(),
            hash,
            REPORT_FILE,
        ))?;
    }
    Ok(())
}

fn message_row(record: &MessageRecord, out: &OutPlace, back: bool) -> ManifestRow {
    let outcome = record
        .findings
        .messages
        .first()
        .map(|MessageFinding { action, .. }| action.as_str());
    ManifestRow {
        out_path: if back {
            restored_path(record, out)
        } else {
            out.path.clone()
        },
        out_ordinal: Some(out.ordinal),
        in_sha256: record.sha256.clone(),
        out_sha256: if back {
            record.sha256.clone()
        } else {
            out.sha256.clone()
        },
        outcome: if back {
            RESTORED
        } else {
            outcome.unwrap_or_default()
        }
        .into(),
    }
}

fn file_row(out_path: String, in_sha256: String, out_sha256: String, outcome: &str) -> ManifestRow {
    ManifestRow {
        out_path,
        out_ordinal: None,
        in_sha256,
        out_sha256,
        outcome: outcome.into(),
    }
}

/// Reads manifest.csv. Its cells are as they were written: no path begins like a formula that is
/// not neutralised, so a leading `'` before such a beginning is taken off again.
pub(super) fn read(layout: &Layout) -> Result<impl Iterator<Item = Result<ManifestRow>> + use<>> {
    let path = layout.manifest();
    fsio::require_plain(&path)?;
    let file = open_plain(&path)?;
    let reader = ::csv::Reader::from_reader(std::io::BufReader::new(file));
    Ok(reader.into_deserialize::<ManifestRow>().map(move |row| {
        let mut row = row.map_err(|error| Error::Damaged {
            path: path.clone(),
            what: format!(
                "not a manifest ({})",
                error.position().map_or(0, ::csv::Position::line)
            ),
        })?;
        row.out_path = raw(&row.out_path);
        Ok(row)
    }))
}

/// The path that [`csv::harmless`] made a cell of. Escaped paths hold no backslash but before an
/// `x`, so every `\u{…}` was put there by it.
fn raw(cell: &str) -> String {
    let path = csv::undone(cell);
    match path.strip_prefix('\'') {
        Some(rest) if csv::harmless(rest) == cell => rest.to_owned(),
        _ => path,
    }
}

/// Whether `path` is one that the manifest does not speak of.
pub(super) fn is_outside(layout: &Layout, path: &Path) -> bool {
    path == layout.manifest()
        || path.starts_with(layout.own())
        || path == layout.report().join("run.json")
}
