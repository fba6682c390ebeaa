//! Whether an output folder may be used, and what is there already.

use std::collections::BTreeSet;
use std::path::Path;

use super::journal::{End, Entry, Header, Journal};
use super::layout::{Layout, OWN, REPORT, refuse_links, vet, walk_error};
use crate::archive::Found;
use crate::error::{Error, Result};
use crate::fsio::{self, FileSystem, Lock};
use crate::report::{self, Retried};
use clear::clear;

mod clear;

/// What an earlier run left.
pub(super) enum Ground {
    /// Nothing: the journal holds the header only.
    Fresh(Journal),
    /// An unfinished run.
    Begun(Journal),
    /// A finished one: nothing is to be written.
    Finished(Box<End>),
    /// A finished one, some of whose messages are to be processed again.
    Retry(Box<Past>),
    /// A retry that noted everything, and was stopped before its end.
    Retried(Journal, Retried),
}

/// A finished run.
pub(super) struct Past {
    pub(super) journal: Journal,
    pub(super) header: Header,
    pub(super) end: End,
}

/// What a run does with what an earlier one left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Approach {
    /// It goes on from there.
    Continue,
    /// It begins anew.
    StartOver,
    /// It processes again what stayed closed.
    Retry,
}

/// The options that a retry may change.
const KEY_OPTIONS: &[&str] = &[
    KEYS,
    "key files that stay locked",
    "--message-passphrase-file",
    "--message-key-file",
];
/// The option whose value is the keys at hand, by certificate or by file name.
pub(super) const KEYS: &str = "--keys";

/// What an earlier run left in an output folder, as far as a new run's settings depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier {
    /// What "now" was for it.
    pub now: i64,
    /// Whether it came to its end.
    pub finished: bool,
}

/// What an earlier run left in `out`; `None` where there was none.
pub fn earlier(out: &Path) -> Result<Option<Earlier>> {
    let layout = Layout::new(out);
    layout.require_own()?;
    if !layout.has_journal() {
        return Ok(None);
    }
    let path = layout.journal();
    let mut earlier = None;
    for entry in Journal::read_only(&path)?.entries()? {
        match (entry?, &mut earlier) {
            (Entry::Header(header), None) => {
                earlier = Some(Earlier {
                    now: header.now,
                    finished: false,
                });
            }
            (Entry::End(_), Some(earlier)) => earlier.finished = true,
            _ => {}
        }
    }
    Ok(earlier)
}

/// Takes hold of OUT for a run with this header; `found` is what it is to write there, where that is
/// known.
pub(super) fn take(
    layout: &Layout,
    header: &Header,
    approach: Approach,
    found: Option<&Found>,
) -> Result<(Lock, Ground)> {
    let planned = found;
    let found = inspect(layout)?;
    if matches!(found, State::Foreign) {
        return Err(Error::Usage(format!(
            "{} is not empty and was not written by p7mill; name a new folder",
            layout.out.display()
        )));
    }
    if approach == Approach::Retry && !layout.has_journal() {
        return Err(Error::Usage(format!(
            "{} holds no run whose messages could be tried again; leave --retry-failed out",
            layout.out.display()
        )));
    }
    refuse_links(layout)?;
    fsio::create_dir_all(&layout.own())?;
    let lock = Lock::take(&layout.lock(), &layout.out)?;
    if approach == Approach::StartOver {
        clear(layout, planned)?;
    }
    if !layout.has_journal() {
        return Ok((lock, Ground::Fresh(begin(layout, header)?)));
    }
    let journal = Journal::open(&layout.journal())?;
    let mut known = None;
    let mut end = None;
    let mut restored = false;
    let mut retried = None;
    for entry in journal.entries()? {
        let entry = entry?;
        vet(layout, &entry)?;
        match entry {
            Entry::Header(header) => known = Some(header),
            Entry::End(found) => end = Some(found),
            Entry::Restored(_) => restored = true,
            Entry::Retried(found) => retried = Some(found),
            Entry::Record(_) | Entry::Mailbox(_) | Entry::Superseded(_) => {}
        }
    }
    let Some(known) = known else {
        // Killed before the first line was whole: nothing was written yet.
        return Ok((lock, Ground::Fresh(begin(layout, header)?)));
    };
    compare(layout, &known, header, end.is_some(), approach)?;
    if restored {
        return Err(Error::Usage(format!(
            "the originals were put back into {}; --start-over migrates anew",
            layout.out.display()
        )));
    }
    let ground = match end {
        Some(end) if approach == Approach::Retry => Ground::Retry(Box::new(Past {
            journal,
            header: known,
            end: *end,
        })),
        Some(end) => Ground::Finished(end),
        None if known.is_retry() => match retried {
            Some(retried) => Ground::Retried(journal, retried),
            // It had its name only when it was whole.
            None => return Err(incomplete(layout)),
        },
        None => Ground::Begun(journal),
    };
    Ok((lock, ground))
}

fn incomplete(layout: &Layout) -> Error {
    Error::Damaged {
        path: layout.journal(),
        what: "the journal of a retry has lost its end; --start-over begins anew".into(),
    }
}

fn begin(layout: &Layout, header: &Header) -> Result<Journal> {
    fsio::create_dir_all(&layout.staging())?;
    Journal::create(&layout.journal(), header)
}

/// Two runs go on from each other only where they would write the same.
fn compare(
    layout: &Layout,
    known: &Header,
    header: &Header,
    finished: bool,
    approach: Approach,
) -> Result<()> {
    let out = layout.out.display();
    if known.format != header.format || (known.version != header.version && !finished) {
        return Err(Error::Usage(format!(
            "{out} was begun by p7mill {}, this is {}: finish it with that version, or --start-over",
            known.version, header.version
        )));
    }
    let mut changed: Vec<&str> = Vec::new();
    if known.command != header.command {
        changed.push("the command");
    }
    let names: BTreeSet<_> = known.options.keys().chain(header.options.keys()).collect();
    changed.extend(
        names
            .into_iter()
            .filter(|name| known.options.get(*name) != header.options.get(*name))
            .map(String::as_str),
    );
    if changed.is_empty() {
        return Ok(());
    }
    let only_keys = changed.iter().all(|name| KEY_OPTIONS.contains(name));
    if only_keys && finished {
        return match approach {
            Approach::Retry => Ok(()),
            _ => Err(Error::Usage(format!(
                "{out} was made with other keys; --retry-failed opens with these what stayed closed then"
            ))),
        };
    }
    if only_keys {
        return Err(Error::Usage(format!(
            "{out} was begun with other keys: finish it with those, then add these and --retry-failed; or --start-over"
        )));
    }
    Err(Error::Usage(format!(
        "{out} was made with other options ({} changed); name a new folder, or --start-over",
        changed.join(", ")
    )))
}

enum State {
    Usable,
    Foreign,
}

/// A folder that is missing, empty, p7mill's own, or holds only the reports of a dry run.
fn inspect(layout: &Layout) -> Result<State> {
    let entries = match std::fs::read_dir(&layout.out) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(State::Usable),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            return Err(Error::Usage(format!(
                "{} is not a folder",
                layout.out.display()
            )));
        }
        Err(error) => return Err(Error::io("read", &layout.out)(error)),
    };
    let mut foreign = false;
    let mut own = false;
    for entry in entries {
        let name = entry.map_err(Error::io("read", &layout.out))?.file_name();
        own |= name == OWN;
        foreign |= name != OWN && !(name == REPORT && only_reports(&layout.report()));
    }
    Ok(if foreign && !(own && layout.has_journal()) {
        State::Foreign
    } else {
        State::Usable
    })
}

fn only_reports(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| {
        entries.all(|entry| {
            entry.is_ok_and(|entry| entry.file_name().to_str().is_some_and(report::is_report))
        })
    })
}

/// Makes sure of what a killed run left under OUT: its temporary files go, and what else is there
/// is durable before anything relies on it.
pub(super) fn settle(layout: &Layout) -> Result<()> {
    FileSystem::of(&layout.out)?.sync()?;
    for entry in walkdir::WalkDir::new(&layout.out).min_depth(1) {
        let entry = entry.map_err(|e| walk_error(&layout.out, e))?;
        let is_temporary = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.ends_with(fsio::TEMP_SUFFIX));
        if is_temporary && entry.file_type().is_file() {
            fsio::remove(entry.path())?;
        }
    }
    Ok(())
}

/// Removes the folder in which mailboxes grew: everything has its final name by now.
pub(super) fn remove_staging(layout: &Layout) -> Result<()> {
    if !layout.staging().is_dir() {
        return Ok(());
    }
    for entry in walkdir::WalkDir::new(layout.staging()).contents_first(true) {
        let entry = entry.map_err(|e| walk_error(&layout.staging(), e))?;
        if entry.file_type().is_dir() {
            fsio::remove_dir(entry.path())?;
        } else {
            fsio::remove(entry.path())?;
        }
    }
    fsio::sync_dir(&layout.own())
}
