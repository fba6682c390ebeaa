//! The committer: writes what the workers made, in archive order, and notes in the journal what is
//! durable. It alone writes.
//!
//! Order is everything here: mailboxes and originals are made durable, then the journal's lines
//! that claim them. So the journal never claims bytes that are absent.

mod converted;
mod copied;
mod recalled;

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use super::journal::{Entry, Journal, MailboxDone};
use super::layout::Layout;
use super::originals::Originals;
use super::pipeline::{Milled, Sink};
use super::proof;
use super::reporter::Reporter;
use super::walker::Closed;
use crate::archive::convert::Legend;
use crate::archive::{Kind, Mailbox, MailboxWriter, SourceFile, Written, write_beside};
use crate::crypto::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::fsio;
use crate::limits::Limits;
use crate::ops::outcome::Outcome;
use crate::report::record::{
    CertificateRecord, CrlRecord, FileRecord, MessageRecord, OutPlace, Record,
};
use crate::text::{escape_path, hex};
use recalled::{Past, changed, describe};

/// Messages, bytes and time between two commits: what a crash can cost.
const COMMIT_MESSAGES: usize = if cfg!(test) { 5 } else { 2000 };
const COMMIT_BYTES: u64 = 64 << 20;
const COMMIT_EVERY: Duration = Duration::from_secs(1);

/// Where messages are written.
pub(super) struct Output {
    pub(super) layout: Layout,
    /// `None` where they are not asked for.
    pub(super) originals: Option<Originals>,
    /// Whether what failed is left out: it would be readable among what is encrypted.
    pub(super) withholds: bool,
    /// The names that are taken.
    pub(super) names: HashSet<String>,
}

/// Writes and notes.
pub(super) struct Committer<'a> {
    journal: Journal,
    output: Option<Output>,
    limits: &'a Limits,
    hash: bool,
    reporter: &'a dyn Reporter,
    /// What the journal held when this run began, and has not been met again yet.
    past: Past,
    known: u64,
    /// SHA-256 of the certificates that the journal holds.
    certificates: HashSet<String>,
    current: Option<Current<'a>>,
    uncommitted: (usize, u64),
    committed: Instant,
}

/// The mailbox that is being written.
struct Current<'a> {
    mailbox: &'a Mailbox,
    writer: Option<MailboxWriter>,
    /// Messages read.
    messages: u64,
    /// Messages written to it.
    written: u64,
    /// Where the last committed message ended.
    end: u64,
    /// What reading it back must give.
    sum: proof::Sum,
    /// Where it is written in another form: what its messages' flags mean, and what of it has no
    /// place there, with the number of messages.
    legend: Legend,
    unheld: BTreeMap<&'static str, u64>,
    /// Files of messages that an earlier run committed, for a Maildir.
    paths: HashSet<String>,
}

impl<'a> Committer<'a> {
    /// Goes on where `journal` ends.
    pub(super) fn new(
        journal: Journal,
        output: Option<Output>,
        limits: &'a Limits,
        hash: bool,
        reporter: &'a dyn Reporter,
    ) -> Result<Self> {
        let mut certificates = HashSet::new();
        let mut known = 0;
        for record in journal.records()? {
            match record? {
                Record::Certificate(CertificateRecord { sha256, .. })
                | Record::Crl(CrlRecord { sha256, .. }) => drop(certificates.insert(sha256)),
                Record::Message(_) => known += 1,
                Record::File(_) => {}
            }
        }
        let past = Past(journal.entries()?);
        Ok(Self {
            journal,
            output,
            limits,
            hash,
            reporter,
            past,
            known,
            certificates,
            current: None,
            uncommitted: (0, 0),
            committed: Instant::now(),
        })
    }

    /// Makes everything so far durable and notes it.
    pub(super) fn commit(&mut self) -> Result<()> {
        if let Some(writer) = self
            .current
            .as_mut()
            .and_then(|current| current.writer.as_mut())
        {
            writer.sync()?;
        }
        if let Some(originals) = self
            .output
            .as_mut()
            .and_then(|output| output.originals.as_mut())
        {
            originals.sync()?;
        }
        self.journal.commit()?;
        self.uncommitted = (0, 0);
        self.committed = Instant::now();
        Ok(())
    }

    fn commit_if_due(&mut self) -> Result<()> {
        let due = self.uncommitted.0 >= COMMIT_MESSAGES
            || self.uncommitted.1 >= COMMIT_BYTES
            || self.committed.elapsed() >= COMMIT_EVERY;
        if due { self.commit() } else { Ok(()) }
    }

    /// How many messages the journal held when this run began.
    pub(super) fn known(&self) -> u64 {
        self.known
    }

    /// Ends the work: everything is committed, nothing of the past is left over.
    pub(super) fn finish(mut self) -> Result<Journal> {
        self.commit()?;
        match self.past.next().transpose()? {
            Some(entry) => Err(changed(&describe(&entry))),
            None => Ok(self.journal),
        }
    }

    /// Writes a message, and its copies behind it; gives their places.
    fn write(&mut self, milled: &Milled, outcome: &Outcome) -> Result<Places> {
        let Some(current) = &mut self.current else {
            return Ok(Places::default());
        };
        current.count(&milled.raw);
        let Some(output) = &mut self.output else {
            return Ok(Places::default());
        };
        if output.withholds && fails(outcome) {
            return Ok(Places {
                withheld: true,
                ..Places::default()
            });
        }
        let in_sha256 = milled.sha256.map(|sum| hex(&sum)).unwrap_or_default();
        if current.mailbox.converts() {
            return current.write_converted(output, milled, outcome, &in_sha256);
        }
        let writer = current.writer(&output.layout)?;
        let (written, sha256) = match &outcome.edits {
            None => (writer.append(&milled.raw, None, &mut |_| {})?, in_sha256),
            Some(edits) => {
                let mut hasher = Hasher::new(Digest::Sha256);
                let written =
                    writer.append(&milled.raw, Some(edits), &mut |bytes| hasher.update(bytes))?;
                if let Some(originals) = &mut output.originals {
                    originals.keep(&in_sha256, &milled.raw.content)?;
                }
                (written, hex(&hasher.finish()))
            }
        };
        current.written += 1;
        current.sum.add(&sha256);
        let mut places = Places {
            out: Some(place(written, sha256)),
            ..Places::default()
        };
        for edits in &outcome.copies {
            let mut hasher = Hasher::new(Digest::Sha256);
            let on_content = &mut |bytes: &[u8]| hasher.update(bytes);
            let beside = current.mailbox.holds_one();
            let written = if beside {
                let name = free_name(&mut output.names, &current.mailbox.out);
                write_beside(&output.layout.out, &name, &milled.raw, edits, on_content)?
            } else {
                let writer = current.writer(&output.layout)?;
                writer.append_copy(&milled.raw, edits, on_content)?
            };
            let sha256 = hex(&hasher.finish());
            if !beside {
                current.written += 1;
                current.sum.add(&sha256);
            }
            places.copies.push(place(written, sha256));
        }
        Ok(places)
    }

    fn note_message(&mut self, milled: Milled, outcome: Outcome, places: Places) -> Result<()> {
        for seen in &outcome.certificates {
            let sha256 = hex(&seen.sha256);
            if self.certificates.insert(sha256.clone()) {
                let der = base64_simd::STANDARD.encode_to_string(&seen.der);
                let record = CertificateRecord { sha256, der };
                self.journal
                    .append(&Entry::Record(Record::Certificate(record)))?;
            }
        }
        for seen in &outcome.crls {
            let sha256 = hex(&seen.sha256);
            if self.certificates.insert(sha256.clone()) {
                let der = base64_simd::STANDARD.encode_to_string(&seen.der);
                let record = CrlRecord { sha256, der };
                self.journal.append(&Entry::Record(Record::Crl(record)))?;
            }
        }
        let at = milled.raw.locator;
        let record = MessageRecord {
            mailbox: at.mailbox.to_string(),
            ordinal: at.ordinal,
            offset: at.offset,
            bytes: at.bytes,
            sha256: milled.sha256.map(|sum| hex(&sum)).unwrap_or_default(),
            flags: milled.raw.meta.flags,
            file: milled
                .raw
                .meta
                .file
                .map(|file| escape_path(&file))
                .unwrap_or_default(),
            trail: (outcome.edits.is_some() && milled.raw.trail != b"\n")
                .then(|| base64_simd::STANDARD.encode_to_string(&milled.raw.trail)),
            arrived: milled
                .raw
                .meta
                .received
                .filter(|_| matches!(milled.kind, Kind::Eml | Kind::Cms)),
            unquoted: milled.kind == Kind::Mbox && !milled.raw.meta.quoting,
            findings: outcome.findings,
            out: places.out,
            copies: places.copies,
            withheld: places.withheld,
        };
        self.journal
            .append(&Entry::Record(Record::Message(Box::new(record))))
    }

    /// Gives the mailbox its final name and reads it back.
    fn close_output(
        &self,
        mut current: Current<'a>,
        unread: bool,
    ) -> Result<(Option<String>, proof::Proof)> {
        let Some(output) = &self.output else {
            return Ok((None, proof::Proof::default()));
        };
        let single = current.mailbox.holds_one();
        if current.written == 0 && (unread && current.messages == 0 || single) {
            return Ok((None, proof::Proof::default()));
        }
        current.writer(&output.layout)?;
        let Current {
            mailbox,
            writer,
            written,
            sum,
            ..
        } = current;
        writer.map_or(Ok(()), MailboxWriter::finish)?;
        let proof = proof::read_back(&output.layout.out, mailbox, self.limits, written, &sum)?;
        Ok((Some(mailbox.out.clone()), proof))
    }
}

impl<'a> Sink<'a> for Committer<'a> {
    fn open(&mut self, mailbox: &'a Mailbox) -> Result<()> {
        self.current = Some(Current {
            mailbox,
            writer: None,
            messages: 0,
            written: 0,
            end: 0,
            sum: proof::Sum::default(),
            legend: Legend::of(mailbox),
            unheld: BTreeMap::new(),
            paths: HashSet::new(),
        });
        Ok(())
    }

    fn message(&mut self, mut milled: Milled) -> Result<()> {
        let bytes = milled.raw.locator.bytes;
        let Some(outcome) = milled.outcome.take() else {
            self.recall(&milled)?;
            self.reporter.message(bytes, None);
            return Ok(());
        };
        let root = outcome
            .findings
            .messages
            .first()
            .map(|message| message.action);
        let places = self.write(&milled, &outcome)?;
        self.note_message(milled, outcome, places)?;
        self.reporter
            .message(bytes, root.filter(|action| action.is_failure()));
        self.uncommitted.0 += 1;
        self.uncommitted.1 += bytes;
        self.commit_if_due()
    }

    fn close(&mut self, closed: Closed<'a>) -> Result<()> {
        if let Some(entry) = self.past.next().transpose()? {
            let Entry::Mailbox(done) = entry else {
                return Err(changed(&closed.mailbox.name));
            };
            self.current = None;
            let same = done.file.path == closed.mailbox.name && done.file.sha256 == closed.sha256;
            return if same || closed.trouble.is_some() {
                Ok(())
            } else {
                Err(changed(&closed.mailbox.name))
            };
        }
        let Some(current) = self.current.take() else {
            return Ok(());
        };
        let messages = current.messages;
        let unheld = current.unheld();
        let unread = closed.trouble.is_some();
        let (out, proof) = self.close_output(current, unread)?;
        let status = match (&closed.trouble, &proof.difference) {
            (Some(trouble), _) if messages == 0 => format!("skipped: {trouble}"),
            (Some(trouble), _) => format!("read in part: {trouble}"),
            (None, Some(difference)) => format!("read: {difference}"),
            (None, None) => format!("read{unheld}"),
        };
        let file = FileRecord {
            path: closed.mailbox.name.clone(),
            kind: closed.kind.into(),
            bytes: closed.bytes,
            sha256: closed.sha256,
            messages,
            status,
            failed: unread || proof.difference.is_some(),
            out,
        };
        let done = MailboxDone {
            file,
            kind: closed.mailbox.to.as_str().into(),
            out_sha256: proof.sha256,
            unwrapped_sha256: closed.unwrapped_sha256,
        };
        self.journal.append(&Entry::Mailbox(Box::new(done)))?;
        self.uncommitted.0 += 1;
        self.commit_if_due()
    }

    fn file(&mut self, file: &'a SourceFile) -> Result<()> {
        if let Some(entry) = self.past.next().transpose()? {
            let Entry::Record(Record::File(known)) = entry else {
                return Err(changed(&file.name));
            };
            let same = known.path == file.name
                && (known.sha256.is_empty()
                    || proof::hash_source(&file.origin).ok() == Some(known.sha256));
            return if same {
                Ok(())
            } else {
                Err(changed(&file.name))
            };
        }
        let record = self.copy(file)?;
        self.journal.append(&Entry::Record(Record::File(record)))?;
        self.uncommitted.0 += 1;
        self.commit_if_due()
    }
}

impl Current<'_> {
    fn writer(&mut self, layout: &Layout) -> Result<&mut MailboxWriter> {
        if self.writer.is_none() {
            let resume = (self.written > 0).then_some((self.written, self.end));
            if self.mailbox.to == Kind::Maildir {
                self.remove_unclaimed(layout)?;
            }
            let writer = MailboxWriter::open(&layout.out, &layout.staging(), self.mailbox, resume)?;
            return Ok(self.writer.insert(writer));
        }
        self.writer
            .as_mut()
            .ok_or_else(|| changed(&self.mailbox.name))
    }

    /// Removes what a killed run wrote into a Maildir and did not live to note. Most of it would be
    /// written again under the same name; what was encrypted anew may have another size and name.
    fn remove_unclaimed(&mut self, layout: &Layout) -> Result<()> {
        let place = layout.below(&self.mailbox.out)?;
        let paths = std::mem::take(&mut self.paths);
        for folder in ["cur", "new"] {
            let folder = place.join(folder);
            let Ok(entries) = std::fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries {
                let path = entry.map_err(Error::io("read", &folder))?.path();
                let below = path
                    .strip_prefix(&layout.out)
                    .map(escape_path)
                    .unwrap_or_default();
                if !paths.contains(&below) {
                    fsio::remove(&path)?;
                }
            }
        }
        Ok(())
    }
}

/// Where a message was written.
#[derive(Default)]
struct Places {
    out: Option<OutPlace>,
    copies: Vec<OutPlace>,
    withheld: bool,
}

/// Whether the message itself, not one attached to it, failed.
pub(super) fn fails(outcome: &Outcome) -> bool {
    outcome
        .findings
        .messages
        .first()
        .is_none_or(|root| root.action.is_failure())
}

/// A name for a copy of the message in the file `name`, beside it and nobody else's.
fn free_name(taken: &mut HashSet<String>, name: &str) -> String {
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let mut number = 1_u64;
    loop {
        let candidate = format!("{stem}.bcc{number}{extension}");
        if taken.insert(candidate.clone()) {
            return candidate;
        }
        number += 1;
    }
}

fn place(written: Written, sha256: String) -> OutPlace {
    OutPlace {
        mailbox: written.mailbox,
        path: written.path,
        ordinal: written.ordinal,
        offset: written.offset,
        bytes: written.bytes,
        sha256,
        end: written.end,
    }
}
