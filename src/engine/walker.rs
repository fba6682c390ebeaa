//! The reader: sources in archive order, as steps for whoever commits them.

use super::proof;
use super::reporter::Reporter;
use crate::archive::discover::why_unreadable;
use crate::archive::{FileStatus, Found, Kind, Mailbox, Messages, RawMessage, SourceFile};
use crate::crypto::digest::{Digest, Hasher};
use crate::error::Result;
use crate::limits::Limits;
use crate::text::{escape_path, hex};

/// Messages that travel together: small ones should not cost a hand-over each.
const BATCH_MESSAGES: usize = 64;
const BATCH_BYTES: u64 = 1 << 20;

/// What comes next.
pub(super) enum Step<'a> {
    /// A mailbox begins.
    Open(&'a Mailbox),
    /// Messages of it.
    Batch(Batch),
    /// It has ended.
    Close(Closed<'a>),
    /// A file that is no mailbox.
    File(&'a SourceFile),
}

/// Messages of one mailbox, in order.
pub(super) struct Batch {
    pub(super) messages: Vec<RawMessage>,
    pub(super) held: Held,
}

/// What the messages of a batch have in common.
#[derive(Clone, Copy)]
pub(super) struct Held {
    /// How they are stored.
    pub(super) kind: Kind,
    /// Whether they are written in the form of another kind of mailbox.
    pub(super) converts: bool,
    /// Whether the journal holds them already: they are only compared with it.
    pub(super) known: bool,
}

impl Batch {
    /// What it weighs in memory; a message that is not held counts too, so that only one is worked on
    /// at a time.
    pub(super) fn weight(&self) -> u64 {
        self.messages.iter().map(weight).sum()
    }
}

fn weight(raw: &RawMessage) -> u64 {
    raw.content.len() + (raw.lead.len() + raw.trail.len() + 512) as u64
}

/// A mailbox that was read to its end, or as far as it goes.
pub(super) struct Closed<'a> {
    pub(super) mailbox: &'a Mailbox,
    /// Its size as it was met.
    pub(super) bytes: u64,
    /// The word for it in sources.csv.
    pub(super) kind: &'a str,
    /// Of the file; empty for a Maildir, and where hashes were not asked for.
    pub(super) sha256: String,
    /// Of the mail in the file, where that is wrapped in something.
    pub(super) unwrapped_sha256: String,
    /// What could not be read.
    pub(super) trouble: Option<String>,
}

/// As much of what could not be read is told; the rest is counted.
const TOLD: u64 = 20;

/// What could not be read.
#[derive(Default)]
struct Trouble {
    told: Vec<String>,
    more: u64,
}

impl Trouble {
    fn add(&mut self, mailbox: &Mailbox, error: &crate::Error) {
        if (self.told.len() as u64) < TOLD {
            self.told.push(cannot_read(mailbox, error));
        } else {
            self.more += 1;
        }
    }

    fn said(&self) -> Option<String> {
        let told = self.told.join("; ");
        match self.more {
            _ if told.is_empty() => None,
            0 => Some(told),
            more => Some(format!("{told}; and {more} more")),
        }
    }
}

/// Walks what was found.
pub(super) struct Walker<'a> {
    files: std::slice::Iter<'a, SourceFile>,
    mailboxes: std::slice::Iter<'a, Mailbox>,
    limits: &'a Limits,
    reporter: &'a dyn Reporter,
    hash: bool,
    /// How many more messages the journal holds.
    known: u64,
    current: Option<Current<'a>>,
}

struct Current<'a> {
    mailbox: &'a Mailbox,
    file: &'a SourceFile,
    messages: Option<Messages>,
    /// Whether hashes were asked for, and it has one.
    hashed: bool,
    /// Of the whole mailbox, as its stretches pass by.
    hasher: Option<Hasher>,
    /// Read, but too much for the last batch.
    held: Option<RawMessage>,
    trouble: Trouble,
}

impl<'a> Walker<'a> {
    /// `known` messages are in the journal; `hash` fills the hashes of files.
    pub(super) fn new(
        found: &'a Found,
        limits: &'a Limits,
        reporter: &'a dyn Reporter,
        hash: bool,
        known: u64,
    ) -> Self {
        Self {
            files: found.files.iter(),
            mailboxes: found.mailboxes.iter(),
            limits,
            reporter,
            hash,
            known,
            current: None,
        }
    }

    fn open(&mut self, file: &'a SourceFile) -> Option<Step<'a>> {
        let mailbox = self.mailboxes.find(|mailbox| mailbox.name == file.name)?;
        let mut trouble = Trouble::default();
        let messages = mailbox
            .messages_unless(self.limits, &|| self.reporter.interrupted().is_some())
            .map_err(|error| trouble.add(mailbox, &error))
            .ok();
        let hashed = self.hash && mailbox.kind != Kind::Maildir && mailbox.parts.is_empty();
        let hasher = hashed.then(|| Hasher::new(Digest::Sha256));
        self.current = Some(Current {
            mailbox,
            file,
            messages,
            hashed,
            hasher,
            held: None,
            trouble,
        });
        Some(Step::Open(mailbox))
    }
}

impl<'a> Iterator for Walker<'a> {
    type Item = Result<Step<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(current) = &mut self.current {
            let batch = match current.batch(self.known) {
                Ok(batch) => batch,
                Err(error) => return Some(Err(error)),
            };
            if !batch.messages.is_empty() {
                self.known = self.known.saturating_sub(batch.messages.len() as u64);
                return Some(Ok(Step::Batch(batch)));
            }
            let closed = self.current.take().map(Current::close);
            return closed.map(|closed| Ok(Step::Close(closed)));
        }
        let file = self.files.next()?;
        let opened = if file.status == FileStatus::Read {
            self.open(file)
        } else {
            None
        };
        Some(Ok(opened.unwrap_or(Step::File(file))))
    }
}

impl<'a> Current<'a> {
    /// The next messages, none at the end; not both known and new ones.
    fn batch(&mut self, known: u64) -> Result<Batch> {
        let most = match usize::try_from(known) {
            Ok(0) | Err(_) => BATCH_MESSAGES,
            Ok(known) => known.min(BATCH_MESSAGES),
        };
        let mut batch = Batch {
            messages: Vec::new(),
            held: Held {
                kind: self.mailbox.kind,
                converts: self.mailbox.converts(),
                known: known > 0,
            },
        };
        let mut bytes = 0;
        while batch.messages.len() < most {
            let Some(raw) = self.held.take().or_else(|| self.read()) else {
                break;
            };
            if !batch.messages.is_empty() && bytes + weight(&raw) > BATCH_BYTES {
                self.held = Some(raw);
                break;
            }
            bytes += weight(&raw);
            self.hash(&raw)?;
            batch.messages.push(raw);
        }
        Ok(batch)
    }

    fn read(&mut self) -> Option<RawMessage> {
        let messages = self.messages.as_mut()?;
        loop {
            match messages.next()? {
                Ok(raw) => return Some(raw),
                Err(error) => {
                    // The messages behind it are read all the same, where that can be done.
                    self.trouble.add(self.mailbox, &error);
                    self.hasher = None;
                }
            }
        }
    }

    fn hash(&mut self, raw: &RawMessage) -> Result<()> {
        let Some(hasher) = &mut self.hasher else {
            return Ok(());
        };
        hasher.update(&raw.lead);
        raw.content.each_piece(&mut |bytes| {
            hasher.update(bytes);
            Ok(())
        })?;
        hasher.update(&raw.trail);
        Ok(())
    }

    fn close(mut self) -> Closed<'a> {
        let mail = self.hasher.map(|hasher| hex(&hasher.finish()));
        let mail = mail.unwrap_or_default();
        let (sha256, unwrapped_sha256) = if self.mailbox.origin == self.file.origin {
            (mail, String::new())
        } else if self.hashed {
            match proof::hash_source(&self.file.origin) {
                Ok(file) => (file, mail),
                Err(error) => {
                    self.trouble.add(self.mailbox, &error);
                    (String::new(), mail)
                }
            }
        } else {
            (String::new(), String::new())
        };
        Closed {
            mailbox: self.mailbox,
            bytes: self.file.bytes,
            kind: &self.file.kind,
            sha256,
            unwrapped_sha256,
            trouble: self.trouble.said(),
        }
    }
}

/// What cannot be read, and why, as sources.csv says it.
fn cannot_read(mailbox: &Mailbox, error: &crate::Error) -> String {
    let crate::Error::Io { path, source, .. } = error else {
        return error.to_string();
    };
    let said = match source.raw_os_error() {
        Some(_) => why_unreadable(source.kind()).to_owned(),
        None => source.to_string(),
    };
    // Of a Maildir, the file; but no path outside: rows are the same wherever the archive lies.
    match path.strip_prefix(mailbox.origin.path()).map(escape_path) {
        Ok(file) if !file.is_empty() => format!("{file}: {said}"),
        _ => said,
    }
}
