//! A retry: a finished run's messages that stayed closed are processed again with the keys that are
//! at hand now. What comes out is what a run with all of these keys would have written.
//!
//! | file | answers |
//! |---|---|
//! | `turned_up` | which messages may come out otherwise |
//! | `walk` `shelf` | where the messages are taken from: OUT itself, since the sources may be gone |
//! | `renewer` `box_anew` | what is written, all of it aside |
//!
//! Until everything is written, synced and noted in a journal of its own, nothing that is there is
//! touched: a retry that stopped before that begins anew. Then that journal takes the old one's place, which
//! decides it; the rest (what was written aside gets its place, reports, store, manifest) can be
//! repeated and gives the same bytes.

use std::collections::HashSet;
use std::path::Path;

use super::ground::{KEYS, Past, remove_staging};
use super::journal::{Entry, Header, Journal};
use super::layout::{Layout, OWN, walk_error};
use super::originals::Originals;
use super::pipeline::{self, Mill};
use super::run::{Job, Run, stamped};
use crate::archive::write::make_folder_of;
use crate::error::{Error, Result};
use crate::fsio::{self, FileSystem};
use crate::keys::KeyRing;
use crate::ops::{Opening, Task};
use crate::report::Retried;
use crate::text::hex;
use renewer::Renewer;
use shelf::Shelf;
use turned_up::TurnedUp;
use walk::Walk;

mod box_anew;
mod renewer;
mod shelf;
#[cfg(test)]
mod tests;
mod turned_up;
mod walk;

/// Processes again what may come out otherwise. `None` where that is nothing, and the keys are those
/// of before.
pub(super) fn retry(
    run: &Run<'_>,
    layout: &Layout,
    past: &Past,
) -> Result<Option<(Journal, Retried)>> {
    let Run { job, context, .. } = *run;
    if !matches!(
        context.plan.task,
        Task::Mill(Opening::Decrypt | Opening::Rewrap | Opening::Content)
    ) {
        return Err(Error::Usage(
            "--retry-failed is for runs that open mail: decrypt, reencrypt, migrate with --keys"
                .into(),
        ));
    }
    if job.to_format.is_some() {
        return Err(Error::Usage(
            "--retry-failed does not go with --to-format: a message lies in OUT otherwise than in its source; \
             --start-over migrates anew"
                .into(),
        ));
    }
    require_keys_of_before(&past.header, &job.header(), &context.keyring)?;
    clear(layout)?;
    match note(run, layout, past) {
        Ok(Some((journal, retried))) => {
            let journal = journal.replace(&layout.journal())?;
            publish(layout, &journal)?;
            Ok(Some((journal, retried)))
        }
        Ok(None) => clear(layout).map(|()| None),
        Err(error) => {
            // Whatever it was: what is there is still what was there before.
            let _ = clear(layout);
            Err(error)
        }
    }
}

/// Writes everything aside, and the journal that says so.
fn note(run: &Run<'_>, layout: &Layout, past: &Past) -> Result<Option<(Journal, Retried)>> {
    let Run {
        job,
        context,
        process,
        reporter,
        ..
    } = *run;
    let header = Header {
        now: past.header.now,
        earlier: earlier(job, layout, past),
        ..job.header()
    };
    let staging = layout.staging();
    fsio::create_dir_all(&staging)?;
    let file_system = FileSystem::of(&staging)?;
    let known: HashSet<&str> = words(&past.header, KEYS).collect();
    let walk = Walk::new(
        &past.journal,
        TurnedUp::new(&context.keyring, &context.secrets, &known),
        Shelf {
            layout,
            roots: &job.roots,
            limits: &context.limits,
        },
    )?;
    let mut renewer = Renewer::new(
        layout,
        &context.limits,
        reporter,
        &past.journal,
        Journal::create(&layout.next_journal(), &header)?,
        job.originals.then(|| Originals::new(&staging)),
    )?;
    let stamped = |input: &crate::ops::Input<'_>| stamped(job.stamp, process, input);
    let mill = Mill::new(&stamped, &context.limits, None, false, reporter);
    if job.threads > 1 {
        pipeline::parallel(walk, &mill, job.threads, &mut renewer)?;
    } else {
        pipeline::sequential(walk, &mill, &mut renewer)?;
    }
    let (mut journal, retried) = renewer.finish()?;
    if retried.changed == 0 && retried.written == 0 && past.header.options == header.options {
        return Ok(None);
    }
    file_system.sync()?;
    journal.append(&Entry::Retried(retried))?;
    Ok(Some((journal, retried)))
}

/// Gives what was written aside its place. May be repeated.
pub(super) fn publish(layout: &Layout, journal: &Journal) -> Result<()> {
    let staging = layout.staging();
    let mut folders = HashSet::new();
    if staging.is_dir() {
        for entry in walkdir::WalkDir::new(&staging).min_depth(1) {
            let entry = entry.map_err(|e| walk_error(&staging, e))?;
            if !entry.file_type().is_file() {
                continue;
            }
            let below = entry.path().strip_prefix(&staging).unwrap_or(Path::new(""));
            if below.starts_with(OWN) {
                return Err(Error::Damaged {
                    path: entry.path().to_path_buf(),
                    what: "a retry writes nothing there".into(),
                });
            }
            let place = layout.out.join(below);
            make_folder_of(&place)?;
            fsio::rename(entry.path(), &place)?;
            folders.extend(place.parent().map(Path::to_path_buf));
        }
    }
    for folder in folders.drain() {
        fsio::sync_dir(&folder)?;
    }
    for entry in journal.entries()? {
        let Entry::Superseded(superseded) = entry? else {
            continue;
        };
        let path = layout.below(&superseded.path)?;
        if path.is_file() {
            fsio::remove(&path)?;
            folders.extend(path.parent().map(Path::to_path_buf));
        }
    }
    folders.iter().try_for_each(|folder| fsio::sync_dir(folder))
}

/// Removes what an earlier retry left that did not come to its turning point.
fn clear(layout: &Layout) -> Result<()> {
    remove_staging(layout)?;
    let next = layout.next_journal();
    if next.is_file() {
        fsio::remove(&next)?;
    }
    fsio::sync_dir(&layout.own())
}

/// run.json of every run so far. Where the last one's is not to be had, what its journal knows.
fn earlier(job: &Job, layout: &Layout, past: &Past) -> Vec<serde_json::Value> {
    let mut earlier = past.header.earlier.clone();
    let dir = job.report.clone().unwrap_or_else(|| layout.report());
    let written = std::fs::read(dir.join("run.json"))
        .ok()
        .filter(|bytes| {
            past.end.run_sha256.is_empty()
                || hex(&crate::crypto::digest::sha256(bytes)) == past.end.run_sha256
        })
        .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok())
        .filter(serde_json::Value::is_object);
    let mut last = written.unwrap_or_else(|| {
        let keys = words(&past.header, KEYS).filter(|_| !job.hidden.any());
        serde_json::json!({
            "command": past.header.command,
            "now": crate::text::rfc3339(past.header.now),
            "p7mill": past.header.version,
            "keys": keys.collect::<Vec<_>>(),
        })
    });
    if let Some(fields) = last.as_object_mut() {
        fields.remove("earlier");
    }
    earlier.push(last);
    earlier
}

/// What opened before must be there again: else what comes out would be no run's with one set of
/// keys.
fn require_keys_of_before(known: &Header, header: &Header, keyring: &KeyRing) -> Result<()> {
    let now: HashSet<&str> = words(header, KEYS)
        .chain(keyring.keys().iter().map(|key| key.name.as_str()))
        .collect();
    let gone: Vec<&str> = words(known, KEYS)
        .filter(|key| !now.contains(key))
        .collect();
    match gone.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(Error::Usage(format!(
            "--retry-failed takes more keys, and those of before with them: {} of these {} missing, such as {first}",
            gone.len(),
            if gone.len() == 1 { "is" } else { "are" },
        ))),
    }
}

fn words<'a>(header: &'a Header, option: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let list = header.options.get(option).map(String::as_str);
    list.unwrap_or_default().split_ascii_whitespace()
}
