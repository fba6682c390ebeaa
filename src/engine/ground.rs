//! Whether an output folder may be used, and what is there already.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::journal::{End, Entry, Header, Journal};
use super::originals;
use super::restore::restored_path;
use crate::archive::write::relative;
use crate::archive::{Found, Kind};
use crate::error::{Error, Result};
use crate::fsio::{self, FileSystem, Lock};
use crate::report::record::Record;
use crate::report::{self, Retried};
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

/// Removes what p7mill wrote below OUT; refuses, before anything is removed, where something else
/// is there too.
fn clear(layout: &Layout, found: Option<&Found>) -> Result<()> {
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
        if let Ok(rows) = super::manifest::read(layout) {
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

pub(super) fn walk_error(base: &Path, error: walkdir::Error) -> Error {
    let path = error.path().unwrap_or(base).to_path_buf();
    let source = error
        .into_io_error()
        .unwrap_or_else(|| std::io::Error::other("a loop of links"));
    Error::io("read", path)(source)
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
