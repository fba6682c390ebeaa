//! The reader of a retry: goes through the journal instead of the sources, and takes up the messages
//! that may come out otherwise.

use std::collections::HashSet;

use super::shelf::Shelf;
use super::turned_up::TurnedUp;
use crate::archive::{Kind, RawMessage, maildir};
use crate::engine::journal::{Entries, Entry, Journal};
use crate::engine::walker::{Batch, Held, Step};
use crate::error::{Error, Result};
use crate::report::record::{MessageRecord, Record};

const BATCH_MESSAGES: usize = 64;
const BATCH_BYTES: u64 = 1 << 20;
/// After so many lines whoever waits is given a sign of life.
const MOST_LINES: usize = 4096;

/// A place in a journal: the mailbox that its lines are about.
#[derive(Default)]
pub(super) struct Place {
    mailbox: String,
    /// Where its first message's line begins.
    first: u64,
    /// Where the next message begins in what was written, for an mbox.
    pub(super) begins: u64,
    ahead: Option<Ahead>,
}

/// What the journal says further on of the mailbox.
pub(super) struct Ahead {
    pub(super) kind: Kind,
    /// Maildir: the stems that several of its messages share.
    pub(super) shared_stems: HashSet<u64>,
}

impl Place {
    /// Comes to a message, whose line begins at `offset`.
    pub(super) fn enter(&mut self, record: &MessageRecord, offset: u64) {
        if record.mailbox != self.mailbox {
            *self = Self {
                mailbox: record.mailbox.clone(),
                first: offset,
                ..Self::default()
            };
        }
    }

    /// Leaves the message behind.
    pub(super) fn pass(&mut self, record: &MessageRecord) {
        let ends = record
            .places()
            .filter(|place| {
                record
                    .out
                    .as_ref()
                    .is_some_and(|out| out.mailbox == place.mailbox)
            })
            .map(|place| place.end);
        self.begins = self.begins.max(ends.max().unwrap_or_default());
    }

    /// Looks ahead, once a mailbox.
    pub(super) fn ahead(&mut self, journal: &Journal) -> Result<&Ahead> {
        if self.ahead.is_none() {
            self.ahead = Some(look_ahead(journal, self.first)?);
        }
        self.ahead.as_ref().ok_or_else(|| unended(&self.mailbox))
    }
}

fn look_ahead(journal: &Journal, first: u64) -> Result<Ahead> {
    let mut files = Vec::new();
    for entry in journal.entries_from(first)? {
        match entry? {
            Entry::Record(Record::Message(record)) => {
                files.extend(Some(record.file).filter(|file| !file.is_empty()));
            }
            Entry::Mailbox(done) => {
                let kind = Kind::named(&done.kind).ok_or_else(|| unended(&done.file.path))?;
                return Ok(Ahead {
                    kind,
                    shared_stems: maildir::shared_stems_of(files.iter().map(String::as_str)),
                });
            }
            _ => {}
        }
    }
    Err(unended("a mailbox"))
}

fn unended(mailbox: &str) -> Error {
    Error::Usage(format!(
        "the journal does not say how {mailbox} ended; see check"
    ))
}

/// Walks the journal of a finished run.
pub(super) struct Walk<'a> {
    journal: &'a Journal,
    entries: Entries,
    turned_up: TurnedUp<'a>,
    shelf: Shelf<'a>,
    place: Place,
    done: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        journal: &'a Journal,
        turned_up: TurnedUp<'a>,
        shelf: Shelf<'a>,
    ) -> Result<Self> {
        Ok(Self {
            journal,
            entries: journal.entries()?,
            turned_up,
            shelf,
            place: Place::default(),
            done: false,
        })
    }

    /// The next messages of one kind, none after many lines without any.
    fn batch(&mut self) -> Result<Batch> {
        let mut batch = Batch {
            messages: Vec::new(),
            held: Held {
                kind: Kind::Mbox,
                // A large one is left as it is.
                converts: true,
                known: false,
            },
        };
        for _ in 0..MOST_LINES {
            let Some(entry) = self.entries.next().transpose()? else {
                self.done = true;
                break;
            };
            match entry {
                Entry::Record(Record::Message(record)) => {
                    if let Some(raw) = self.message(&record)? {
                        batch.held.kind = self.place.ahead(self.journal)?.kind;
                        batch.messages.push(raw);
                    }
                    if batch.messages.len() >= BATCH_MESSAGES || batch.weight() >= BATCH_BYTES {
                        break;
                    }
                }
                Entry::Mailbox(_) if !batch.messages.is_empty() => break,
                _ => {}
            }
        }
        Ok(batch)
    }

    fn message(&mut self, record: &MessageRecord) -> Result<Option<RawMessage>> {
        self.place.enter(record, self.entries.offset());
        let begins = self.place.begins;
        self.place.pass(record);
        if !self.turned_up.concerns(&record.findings) {
            return Ok(None);
        }
        let kind = self.place.ahead(self.journal)?.kind;
        self.shelf.take(record, kind, begins)
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Result<Step<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let batch = self.batch();
        self.done |= batch.is_err();
        Some(batch.map(Step::Batch))
    }
}
