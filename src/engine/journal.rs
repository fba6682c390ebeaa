//! What is committed. One file, only ever appended to; a line is the first eight bytes of the
//! SHA-256 of its JSON in hex, a space, the JSON, a line feed.
//!
//! Whatever a crash or a bad disk does to the file's end, the longest prefix of sound lines is
//! what happened: a line is written only after everything that it claims is durable.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::crypto::digest::sha256;
use crate::error::{Error, Result};
use crate::fsio;
use crate::report::record::{FileRecord, Record};
use crate::report::{Retried, Totals};
use crate::text::hex;

/// The format that this version writes.
pub const FORMAT: u32 = 1;

/// A longer line is no line of a journal: the largest message's findings stay well below.
const MAX_LINE: u64 = 64 << 20;

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// The first line.
    Header(Header),
    /// Something that the reports show.
    Record(Record),
    /// A mailbox was read to its end and has its final name.
    Mailbox(Box<MailboxDone>),
    /// Everything is done, reports and manifest included.
    End(Box<End>),
    /// The originals were put back.
    Restored(Restored),
    /// A retry wrote the message before this line under another name: what lies under this one goes.
    Superseded(Superseded),
    /// A retry has noted everything; what it staged may get its place.
    Retried(Retried),
}

/// What shapes the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: u32,
    /// Of p7mill.
    pub version: String,
    /// Such as `migrate`.
    pub command: String,
    /// What "now" was when the run began; a run that continues it judges by the same.
    pub now: i64,
    /// Everything that shapes the output, by name.
    pub options: BTreeMap<String, String>,
    /// Where this is a retry's: run.json of each run before it, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<serde_json::Value>,
}

impl Header {
    /// Whether a retry made the journal. It is then complete, and only its last steps may be open.
    pub fn is_retry(&self) -> bool {
        !self.earlier.is_empty()
    }
}

/// A mailbox after its last message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MailboxDone {
    /// Its row in sources.csv.
    pub file: FileRecord,
    /// How it is stored: `mbox`, `maildir`, `eml` or `cms`.
    pub kind: String,
    /// Of the file as written, lower-case hex; empty for a Maildir and without an output folder.
    pub out_sha256: String,
    /// Of the mailbox in the source without what it is wrapped in, lower-case hex; empty where it
    /// lies there as it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unwrapped_sha256: String,
}

impl MailboxDone {
    /// The SHA-256 of the source's mail, unwrapped: what restoring it gives.
    pub fn mail_sha256(&self) -> &String {
        if self.unwrapped_sha256.is_empty() {
            &self.file.sha256
        } else {
            &self.unwrapped_sha256
        }
    }
}

/// The end of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct End {
    /// The exit code.
    pub exit_code: u8,
    /// Of manifest.csv, lower-case hex.
    pub manifest_sha256: String,
    /// Of run.json, which differs from run to run and so is not in the manifest; empty where it
    /// lies outside of the output folder.
    pub run_sha256: String,
    /// What was counted.
    pub totals: Totals,
}

/// A restored output folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Restored {
    /// Of manifest.csv afterwards, lower-case hex.
    pub manifest_sha256: String,
}

/// A file of a Maildir that a retry has written anew under another name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Superseded {
    /// Below OUT, escaped.
    pub path: String,
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    file: fsio::File,
    path: PathBuf,
    /// A temporary journal dies with the run and is never synced.
    durable: bool,
    /// Where the sound prefix ends, in bytes.
    end: u64,
    /// Whether bytes lie behind `end` that have to go before anything is appended.
    tail: bool,
    pending: Vec<u8>,
}

impl Journal {
    /// A new journal at `path` that begins with `header`, durable before this returns.
    pub fn create(path: &Path, header: &Header) -> Result<Self> {
        fsio::require_plain(path)?;
        let mut journal = Self::at(fsio::open(path)?, path, true);
        journal.tail = true;
        journal.append(&Entry::Header(header.clone()))?;
        journal.commit()?;
        fsio::sync_dir(path.parent().unwrap_or(Path::new(".")))?;
        Ok(journal)
    }

    /// A journal that has no name and is gone with the process.
    pub fn temporary(header: &Header) -> Result<Self> {
        let dir = std::env::temp_dir();
        let mut journal = Self::at(fsio::nameless()?, &dir, false);
        journal.append(&Entry::Header(header.clone()))?;
        Ok(journal)
    }

    /// Opens the journal at `path` and finds its sound prefix. Nothing is written before
    /// something is appended.
    pub fn open(path: &Path) -> Result<Self> {
        fsio::require_plain(path)?;
        let mut journal = Self::at(fsio::open(path)?, path, true);
        journal.measure()?;
        Ok(journal)
    }

    /// As [`Journal::open`], for reading only.
    pub fn read_only(path: &Path) -> Result<Self> {
        fsio::require_plain(path)?;
        let mut journal = Self::at(fsio::open_read_only(path)?, path, true);
        journal.measure()?;
        Ok(journal)
    }

    fn at(file: fsio::File, path: &Path, durable: bool) -> Self {
        Self {
            file,
            path: path.to_path_buf(),
            durable,
            end: 0,
            tail: false,
            pending: Vec::new(),
        }
    }

    fn measure(&mut self) -> Result<()> {
        let length = self.file.length()?;
        let mut entries = Entries::new(&self.file, &self.path, 0, length)?;
        for entry in &mut entries {
            entry?;
        }
        self.end = entries.sound;
        self.tail = self.end < length;
        Ok(())
    }

    /// Whether something that is no line follows the sound prefix.
    pub fn has_damaged_tail(&self) -> bool {
        self.tail
    }

    /// Adds a line, not yet written.
    pub fn append(&mut self, entry: &Entry) -> Result<()> {
        let json =
            serde_json::to_vec(entry).map_err(|e| Error::io("write", &self.path)(e.into()))?;
        // Reading would stop there, and lose what follows without a word.
        if json.len() as u64 + 18 > MAX_LINE {
            let long = std::io::Error::other("what is found in one message is too long to note");
            return Err(Error::io("write", &self.path)(long));
        }
        self.pending.extend_from_slice(checksum(&json).as_bytes());
        self.pending.push(b' ');
        self.pending.extend_from_slice(&json);
        self.pending.push(b'\n');
        // A temporary journal claims nothing to anybody; it need not be kept in memory.
        if !self.durable && self.pending.len() > 1 << 20 {
            self.commit()?;
        }
        Ok(())
    }

    /// Adds a line of another journal as it is, not yet written.
    pub fn append_line(&mut self, line: &[u8]) {
        self.pending.extend_from_slice(line);
    }

    /// How many bytes wait to be written.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Commits, and takes the place of the journal at `path`: durable before this returns.
    pub fn replace(mut self, path: &Path) -> Result<Self> {
        self.commit()?;
        fsio::rename(&self.path, path)?;
        fsio::sync_dir(path.parent().unwrap_or(Path::new(".")))?;
        self.path = path.to_path_buf();
        Ok(self)
    }

    /// Whether lines wait to be written.
    pub fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Writes what was added and makes it durable. What the lines claim must be so already.
    pub fn commit(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.tail = false;
        self.file.cut(self.end)?;
        self.file
            .write_all(&self.pending)
            .map_err(Error::io("write", &self.path))?;
        if self.durable {
            self.file.sync_data()?;
        }
        self.end += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Forgets every line from `offset` on; [`Entries::offset`] says where one began.
    pub fn cut(&mut self, offset: u64) {
        self.pending.clear();
        self.tail |= offset < self.end;
        self.end = self.end.min(offset);
    }

    /// Every committed line, in order.
    pub fn entries(&self) -> Result<Entries> {
        self.entries_from(0)
    }

    /// The committed lines from the one that begins at `offset` on.
    pub fn entries_from(&self, offset: u64) -> Result<Entries> {
        Entries::new(&self.file, &self.path, offset, self.end)
    }

    /// The first line.
    pub fn header(&self) -> Result<Option<Header>> {
        match self.entries()?.next().transpose()? {
            Some(Entry::Header(header)) => Ok(Some(header)),
            _ => Ok(None),
        }
    }

    /// Every committed line that reports are made of.
    pub fn records(&self) -> Result<impl Iterator<Item = Result<Record>> + use<>> {
        Ok(self.entries()?.filter_map(|entry| match entry {
            Ok(Entry::Record(record)) => Some(Ok(record)),
            Ok(Entry::Mailbox(done)) => Some(Ok(Record::File(done.file))),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        }))
    }
}

fn checksum(json: &[u8]) -> String {
    hex(sha256(json).get(..8).unwrap_or_default())
}

/// The lines of a journal's sound prefix.
#[derive(Debug)]
pub struct Entries {
    reader: BufReader<Window>,
    path: PathBuf,
    line: Vec<u8>,
    /// Where the line that was last given began.
    begun: u64,
    /// Where it ended.
    sound: u64,
    done: bool,
}

impl Entries {
    fn new(file: &fsio::File, path: &Path, offset: u64, end: u64) -> Result<Self> {
        let file = file.reader()?;
        Ok(Self {
            reader: BufReader::with_capacity(1 << 16, Window { file, offset, end }),
            path: path.to_path_buf(),
            line: Vec::new(),
            begun: offset,
            sound: offset,
            done: false,
        })
    }

    /// Where in the journal the line that was last given begins.
    pub fn offset(&self) -> u64 {
        self.begun
    }

    /// The line that was last given, as it stands in the journal.
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    fn parse(&self) -> Option<Entry> {
        let line = self.line.strip_suffix(b"\n")?;
        let (sum, json) = (line.get(..16)?, line.get(17..)?);
        (line.get(16) == Some(&b' ') && sum == checksum(json).as_bytes())
            .then(|| serde_json::from_slice(json).ok())
            .flatten()
    }
}

impl Iterator for Entries {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        self.line.clear();
        let read = (&mut self.reader)
            .take(MAX_LINE)
            .read_until(b'\n', &mut self.line);
        if let Err(source) = read {
            self.done = true;
            return Some(Err(Error::io("read", &self.path)(source)));
        }
        let entry = self.parse();
        self.done = entry.is_none();
        if entry.is_some() {
            self.begun = self.sound;
            self.sound += self.line.len() as u64;
        }
        entry.map(Ok)
    }
}

/// A file up to `end`, read at its own place: others may read and append meanwhile.
#[derive(Debug)]
struct Window {
    file: File,
    offset: u64,
    end: u64,
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
        let want = buffer.len().min(left);
        let Some(space) = buffer.get_mut(..want) else {
            return Ok(0);
        };
        let got = self.file.read_at(space, self.offset)?;
        self.offset += got as u64;
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::outcome::Action;
    use crate::report::testing;

    fn header() -> Header {
        Header {
            format: FORMAT,
            version: "1".into(),
            command: "migrate".into(),
            now: 0,
            options: BTreeMap::new(),
            earlier: Vec::new(),
        }
    }

    fn write(path: &Path, messages: u64) {
        let mut journal = Journal::create(path, &header()).unwrap();
        for ordinal in 1..=messages {
            let message = testing::message("m", ordinal, Action::Kept);
            journal
                .append(&Entry::Record(Record::Message(Box::new(message))))
                .unwrap();
            if ordinal % 2 == 0 {
                journal.commit().unwrap();
            }
        }
        journal.commit().unwrap();
    }

    fn ordinals(journal: &Journal) -> Vec<u64> {
        journal
            .records()
            .unwrap()
            .map(|record| match record.unwrap() {
                Record::Message(message) => message.ordinal,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn cut_anywhere_the_sound_prefix_is_used_and_continued() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        write(&path, 4);
        let whole = std::fs::read(&path).unwrap();
        let ends: Vec<usize> = (0..whole.len())
            .filter(|at| whole[*at] == b'\n')
            .map(|at| at + 1)
            .collect();
        for cut in 0..=whole.len() {
            for garbage in ["", "\n", "0123456789abcdef {}\n", "\0\0\0"] {
                fsio::create(&path)
                    .unwrap()
                    .write_all(&[&whole[..cut], garbage.as_bytes()].concat())
                    .unwrap();
                let mut journal = Journal::open(&path).unwrap();
                // A line feed right where the line's own was is the line's own.
                if garbage == "\n" && ends.contains(&(cut + 1)) {
                    continue;
                }
                let lines = ends.iter().filter(|end| **end <= cut).count();
                assert_eq!(
                    ordinals(&journal).len(),
                    lines.saturating_sub(1),
                    "cut at {cut}"
                );
                let partial = !ends.contains(&cut) && cut > 0;
                assert_eq!(journal.has_damaged_tail(), partial || !garbage.is_empty());
                if cut == whole.len() {
                    let more = testing::message("m", 5, Action::Kept);
                    journal
                        .append(&Entry::Record(Record::Message(Box::new(more))))
                        .unwrap();
                    journal.commit().unwrap();
                    assert_eq!(ordinals(&Journal::open(&path).unwrap()), [1, 2, 3, 4, 5]);
                }
            }
        }
    }

    #[test]
    fn a_flipped_bit_ends_the_prefix() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        write(&path, 3);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.iter().rposition(|byte| *byte == b'{').unwrap();
        bytes[at + 3] ^= 1;
        fsio::create(&path).unwrap().write_all(&bytes).unwrap();
        assert_eq!(ordinals(&Journal::open(&path).unwrap()), [1, 2]);
    }

    #[test]
    fn a_temporary_journal_reads_back_what_was_committed() {
        let mut journal = Journal::temporary(&header()).unwrap();
        let message = testing::message("m", 1, Action::Kept);
        journal
            .append(&Entry::Record(Record::Message(Box::new(message))))
            .unwrap();
        assert!(ordinals(&journal).is_empty());
        journal.commit().unwrap();
        assert_eq!(ordinals(&journal), [1]);
    }
}
