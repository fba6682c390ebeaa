//! Splits an mbox, of whatever dialect, into its messages.
//!
//! # What separates
//! A line separates two messages if it reads as a From_ line with a date ([`from_line`]), follows a
//! blank line, and is followed by a header field or the end of the file. Three things bend this:
//!
//! - **Boxes without blank lines.** Some programs write none. At the first From_ line that lacks
//!   one, the next MiB is counted: if most From_ lines with a one-word sender lack it, that is this
//!   box's way, and they separate too.
//! - **Dateless boxes.** Where the file's very first line is `From ` and at most a word, such lines
//!   separate in it as well.
//! - **From_ lines that are content**, below.
//!
//! # What does not, though it looks so
//! Delivery agents that do not quote leave mail inside mail: a mailbox attached in a multipart, text
//! between `----- Begin Included Message -----` marks, a body that Content-Length delimits. Every such
//! hint is written by whoever sent the message, so believing it is what an attacker would want: open a
//! boundary in one mail, close it in a later one, and everybody's mail between the two is gone from
//! view. So a hint never suffices. A From_ line counts as content only if
//!
//! 1. the hint's end really comes: the closing delimiter, the End mark, or the From_ line (or end
//!    of file) that Content-Length points at, within 16 MiB and 64 From_ lines, **and**
//! 2. every From_ line up to that end is dated *before* the message's own. What a message quotes was
//!    delivered earlier than itself, what follows it in the box later; and both dates were written by
//!    the receiving side, not by the sender.
//!
//! So two colluding messages hide nothing in a box in order of delivery. In a box that is not,
//! they would need luck with the order; and what was judged content is counted in
//! [`Meta::enclosed_from_lines`](super::Meta), so that it can be shown.
//! A boundary that is never closed has no effect at all. Where in doubt, the box is split: a message
//! cut in two is seen, a hidden one is not.
//!
//! Content-Length alone, without the dates, is believed only in boxes that keep it (mboxcl,
//! mboxcl2): it was true for all earlier messages but one in seventeen, or this is the first message and
//! the one it points at carries it too. There the delivery agent writes it over whatever was sent.
//!
//! # Where a disk fails
//! What cannot be read is passed over, page by page, and every message that a part is missing of
//! is left out and named, the one before too if its end cannot be seen. The next From_ line begins
//! the next one.
//!
//! # Cost
//! Linear. A look-ahead that fails ends the message it was made for and crosses at most 64 From_
//! lines, so a byte is looked at ahead of time at most 65 times; one that succeeds is not repeated
//! for what it covered. Memory: one message up to [`Limits::message_bytes`], the 16 MiB ahead, one MiB.

mod enclosed;
mod input;
mod separate;

use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::sync::Arc;

use memchr::memmem;

pub(crate) use input::{Input, Snapshot, Unwrapped};

use super::from_line::{self, FromLine};
use super::header::{self, Header};
use super::packed::Damage;
#[cfg(test)]
use super::window::CHUNK;
use super::window::Window;
use super::{Content, Locator, Meta, Origin, RawMessage, ReadSend, sniff, too_large_for_a_stream};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// What is kept behind the scan of a message too large to hold.
const TAIL: u64 = 4096;

/// The messages of one mbox.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    window: Window<R>,
    origin: Option<Origin>,
    mailbox: Arc<str>,
    limit: u64,
    opened: Option<Metadata>,
    /// Messages read, and how many of them could not be read whole.
    ordinal: u64,
    lost: u64,
    /// Where the next message's lead begins.
    at: u64,
    done: bool,
    /// What is wrong behind the last message, not yet told.
    untold: Option<Damage>,
    /// Messages with a true Content-Length, and the others.
    honest: u64,
    others: u64,
    /// Separators that followed a blank line.
    after_blank: u64,
    /// Whether this box has no blank lines between messages; unknown until the question comes up.
    without_blanks: Option<bool>,
    /// Whether this box's From_ lines have no date.
    dateless: bool,
}

/// The message being read.
struct Current {
    start: u64,
    date: Option<i64>,
    content_type: Vec<u8>,
    body: u64,
    /// Where Content-Length says the message ends, and the separator or end of file behind it.
    landing: Option<(u64, u64)>,
}

impl Reader<Snapshot> {
    /// Opens an mbox file, waiting up to ten seconds, or until it is to give up, for a program that is
    /// writing to it.
    pub(crate) fn open(
        path: &Path,
        mailbox: Arc<str>,
        limits: &Limits,
        give_up: &dyn Fn() -> bool,
    ) -> Result<Self> {
        let (snapshot, opened) = Snapshot::open(path, give_up)?;
        let mut reader = Self::new(Window::new(snapshot), mailbox, limits);
        reader.origin = Some(Origin::file(path.to_path_buf()));
        reader.opened = Some(opened);
        Ok(reader)
    }
}

impl Reader<Unwrapped> {
    /// Reads an mbox that lies compressed, or in an archive.
    pub(crate) fn unwrap(origin: &Origin, mailbox: Arc<str>, limits: &Limits) -> Result<Self> {
        let (input, opened) = Unwrapped::open(origin)?;
        let mut reader = Self::new(Window::new(input), mailbox, limits);
        reader.origin = Some(origin.clone());
        reader.opened = Some(opened);
        Ok(reader)
    }
}

impl Reader<Box<dyn ReadSend>> {
    /// Reads an mbox from a stream.
    pub(crate) fn stream(input: Box<dyn ReadSend>, mailbox: Arc<str>, limits: &Limits) -> Self {
        Self::new(Window::new(input), mailbox, limits)
    }
}

impl<R: Input> Iterator for Reader<R> {
    type Item = Result<RawMessage>;

    fn next(&mut self) -> Option<Result<RawMessage>> {
        if self.done {
            let untold = self.untold.take();
            return match untold {
                Some(damage) => Some(Err(self.failed(damage.error()))),
                None => self.changed_meanwhile().map(Err),
            };
        }
        let message = self.message();
        let damage = self.window.input().damage();
        if let (true, Some(damage)) = (self.done, damage) {
            self.opened = None;
            // Nobody knows how the message before the damage would have gone on.
            if damage != Damage::Trailing || matches!(message, Ok(None)) {
                return Some(Err(self.failed(damage.error())));
            }
            self.untold = Some(damage);
        }
        message.unwrap_or_else(|error| {
            self.done = true;
            self.opened = None;
            Some(Err(error))
        })
    }
}

impl<R: Input> Reader<R> {
    fn new(window: Window<R>, mailbox: Arc<str>, limits: &Limits) -> Self {
        Self {
            window,
            origin: None,
            mailbox,
            limit: limits.message_bytes,
            opened: None,
            ordinal: 0,
            lost: 0,
            at: 0,
            done: false,
            untold: None,
            honest: 0,
            others: 0,
            after_blank: 0,
            without_blanks: None,
            dateless: false,
        }
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::io(
            "read",
            self.origin
                .as_ref()
                .map_or(Path::new("standard input"), Origin::path),
        )(source)
    }

    /// An error, once, if the file is not what it was when it was opened.
    fn changed_meanwhile(&mut self) -> Option<Error> {
        let before = self.opened.take()?;
        let now = self.window.input().metadata()?;
        let same = now.len() == before.len() && now.modified().ok() == before.modified().ok();
        (!same).then(|| self.failed(io::Error::other("it was changed while it was read")))
    }

    /// The next message, or what could not be read of it: what follows can be read all the same.
    fn message(&mut self) -> Result<Option<Result<RawMessage>>> {
        let lead_start = self.at;
        let first = self.ordinal == 0;
        let from_at = if first {
            self.skip_leading()?
        } else {
            lead_start
        };
        if !self.reach(from_at + 1)? {
            self.done = true;
            if from_at == lead_start {
                return self.changed_meanwhile().map_or(Ok(None), Err);
            }
        }
        let (start, from) = self.lead_end(lead_start, from_at)?;
        let lead = self.window.slice(lead_start, start).to_vec();
        self.ordinal += 1;

        let header = self.header(start)?;
        let content_type = header.content_type.clone().map_or_else(Vec::new, |range| {
            self.window
                .slice(start + range.start as u64, start + range.end as u64)
                .to_vec()
        });
        let body = start + header.body as u64;
        let landing = self.landing(&header, body)?;
        let current = Current {
            start,
            date: from.map(|from| from.date),
            content_type,
            body,
            landing,
        };
        let trusted = if self.keeps_content_length(first, landing)? {
            landing
        } else {
            None
        };
        let (end, enclosed) = self.end_of(&current, trusted.map(|(_, separator)| separator))?;

        let true_length = landing
            .filter(|&(_, separator)| separator == end)
            .map(|(landing, _)| landing);
        let (content_end, trail) = self.split_trail(&current, end, true_length);
        let content = if content_end - start > self.limit {
            let origin = self.origin.clone().ok_or_else(too_large_for_a_stream)?;
            Content::TooLarge {
                origin,
                offset: start,
                len: content_end - start,
            }
        } else {
            Content::Bytes(self.window.slice(start, content_end).to_vec())
        };
        // Where quoting would only be a guess it is done: it can be undone, a false From_ line not.
        let quotes = |bytes: &[u8]| {
            bytes.starts_with(b">From ") || memmem::find(bytes, b"\n>From ").is_some()
        };
        let quoting =
            trusted.is_none() || true_length.is_none() || content.bytes().is_some_and(quotes);
        if true_length.is_some() {
            self.honest += 1;
        } else {
            self.others += 1;
        }
        self.at = end;
        self.window.forget_before(end);
        self.done |= !self.reach(end + 1)?;
        if let Some(error) = self.unread_between(lead_start, from_at, end) {
            self.lost += 1;
            return Ok(Some(Err(error)));
        }
        Ok(Some(Ok(RawMessage {
            locator: Locator {
                mailbox: Arc::clone(&self.mailbox),
                ordinal: self.ordinal - self.lost,
                offset: from_at,
                bytes: content.len(),
            },
            lead,
            content,
            trail,
            meta: Meta {
                flags: header.status,
                received: current.date,
                quoting,
                enclosed_from_lines: enclosed,
                ..Meta::default()
            },
        })))
    }

    /// What to say of a message where the disk failed; its lead begins at `start`.
    fn unread_between(&self, start: u64, from_at: u64, end: u64) -> Option<Error> {
        let mut missing = self.window.input().unread().iter();
        let first = missing.find(|missing| missing.start < end && start < missing.end)?;
        let last = missing
            .take_while(|missing| missing.start < end)
            .last()
            .unwrap_or(first);
        let said = format!(
            "bytes {} to {} cannot be read, so the message at {from_at} to {} is missing",
            first.start,
            last.end - 1,
            end - 1
        );
        Some(self.failed(io::Error::other(said)))
    }

    fn reach(&mut self, end: u64) -> Result<bool> {
        self.window.reach(end).map_err(|e| self.failed(e))
    }

    /// Where the first From_ line begins: behind a byte order mark and blank lines.
    fn skip_leading(&mut self) -> Result<u64> {
        self.reach(sniff::HEAD_BYTES as u64)?;
        let head = self.window.slice(0, sniff::HEAD_BYTES as u64);
        Ok(sniff::leading_blanks(head) as u64)
    }

    /// Where the content begins, and what the From_ line says. Without a From_ line the content
    /// begins where the lead does.
    fn lead_end(&mut self, lead_start: u64, from_at: u64) -> Result<(u64, Option<FromLine>)> {
        let Some(end) = self.line_end(from_at)? else {
            return Ok((lead_start, None));
        };
        let line = self.window.slice(from_at, end);
        if !line.starts_with(b"From ") {
            return Ok((lead_start, None));
        }
        let from = from_line::parse(line);
        if self.ordinal == 0 && from.is_none() {
            self.dateless = from_line::is_dateless(line);
        }
        Ok((end, from))
    }

    fn header(&mut self, start: u64) -> Result<Header> {
        let max = start + header::MAX_HEADER as u64;
        loop {
            let bytes = self.window.slice(start, max);
            let held = bytes.len();
            let header = header::read(bytes);
            if header.ended || held == header::MAX_HEADER || !self.reach(start + held as u64 + 1)? {
                return Ok(header);
            }
        }
    }

    /// Where the content ends, and the separating blank line behind it.
    fn split_trail(&self, current: &Current, end: u64, true_length: Option<u64>) -> (u64, Vec<u8>) {
        let content_end = true_length.unwrap_or_else(|| {
            let tail = self
                .window
                .slice(end.saturating_sub(3).max(current.start), end);
            if tail.ends_with(b"\n\r\n") || tail == b"\r\n" {
                end - 2
            } else if tail.ends_with(b"\n\n") || tail == b"\n" {
                end - 1
            } else {
                end
            }
        });
        (content_end, self.window.slice(content_end, end).to_vec())
    }
}

#[cfg(test)]
mod tests;
