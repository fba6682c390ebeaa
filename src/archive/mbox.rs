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
//! # Cost
//! Linear. A look-ahead that fails ends the message it was made for and crosses at most 64 From_
//! lines, so a byte is looked at ahead of time at most 65 times; one that succeeds is not repeated
//! for what it covered. Memory: one message up to [`Limits::message_bytes`], the 16 MiB ahead, one MiB.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use memchr::memmem;

use super::from_line::{self, FromLine};
use super::header::{self, Header};
use super::window::Window;
#[cfg(test)]
use super::window::CHUNK;
use super::{Content, Locator, Meta, RawMessage, ReadSend, sniff, source, too_large_for_a_stream};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// How far ahead the end of enclosed mail may lie, in bytes and in From_ lines.
const LOOK_AHEAD: u64 = 16 << 20;
const LOOK_AHEAD_LINES: u32 = 64;

/// How much of a box is counted to learn whether it has blank lines between messages.
const SAMPLE: u64 = 1 << 20;

/// What is kept behind the scan of a message too large to hold.
const TAIL: u64 = 4096;

/// Content-Length is a box's way as long as at most one message in this many and one has no true one.
const CL_MAJORITY: u64 = 16;

const BEGIN_INCLUDED: &[u8] = b"----- Begin Included Message -----";
const END_INCLUDED: &[u8] = b"\n----- End Included Message -----";

/// Where an mbox's bytes come from.
pub(crate) trait Input: Read {
    /// Bytes elsewhere than the stream stands, if it can be asked.
    fn peek(&self, _offset: u64, _space: &mut [u8]) -> Option<io::Result<usize>> {
        None
    }

    /// What the file is now, where it is one.
    fn metadata(&self) -> Option<Metadata> {
        None
    }
}

/// A file as long as it was when it was opened: what is appended later may be half a message.
#[derive(Debug)]
pub(crate) struct Snapshot {
    file: File,
    len: u64,
    at: u64,
}

impl Read for Snapshot {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let got = (&self.file).take(self.len - self.at).read(space)?;
        self.at += got as u64;
        Ok(got)
    }
}

impl Input for Snapshot {
    fn peek(&self, offset: u64, space: &mut [u8]) -> Option<io::Result<usize>> {
        let room = usize::try_from(self.len.saturating_sub(offset))
            .unwrap_or(usize::MAX)
            .min(space.len());
        let mut got = 0;
        while let Some(rest) = space.get_mut(got..room).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + got as u64) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Some(Err(e)),
            }
        }
        Some(Ok(got))
    }

    fn metadata(&self) -> Option<Metadata> {
        self.file.metadata().ok()
    }
}

impl Input for Box<dyn ReadSend> {}

/// The messages of one mbox.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    window: Window<R>,
    path: Option<PathBuf>,
    mailbox: Arc<str>,
    limit: u64,
    opened: Option<Metadata>,
    /// Messages read.
    ordinal: u64,
    /// Where the next message's lead begins.
    at: u64,
    done: bool,
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

/// A line that may separate.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    from: Option<FromLine>,
    after_blank: bool,
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

/// What ends a stretch of enclosed mail.
enum Goal<'a> {
    Line(&'a [u8]),
    Offset(u64),
}

impl Reader<Snapshot> {
    /// Opens an mbox file, waiting up to ten seconds for a program that is writing to it.
    pub(crate) fn open(path: &Path, mailbox: Arc<str>, limits: &Limits) -> Result<Self> {
        let file = source::open_regular(path)?;
        wait_for_writer(&file, path)?;
        let opened = file.metadata().map_err(Error::io("read", path))?;
        let snapshot = Snapshot {
            file,
            len: opened.len(),
            at: 0,
        };
        let mut reader = Self::new(Window::new(snapshot), mailbox, limits);
        reader.path = Some(path.to_path_buf());
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

/// Delivery agents hold a lock while they append: flock, fcntl or a `.lock` file. The lock is not
/// kept, so that a long run stops no delivery; what is appended meanwhile is noticed at the end.
fn wait_for_writer(file: &File, path: &Path) -> Result<()> {
    use rustix::fs::{FlockOperation, fcntl_lock, flock};
    use rustix::io::Errno;
    let mut dot_lock = path.as_os_str().to_os_string();
    dot_lock.push(".lock");
    let dot_lock = PathBuf::from(dot_lock);
    let busy = || {
        let taken = [
            flock(file, FlockOperation::NonBlockingLockShared),
            fcntl_lock(file, FlockOperation::NonBlockingLockShared),
        ];
        // A file system without locks has no writer that holds one.
        let busy = taken
            .iter()
            .any(|result| matches!(result, Err(Errno::WOULDBLOCK | Errno::ACCESS)));
        let _ = flock(file, FlockOperation::NonBlockingUnlock);
        let _ = fcntl_lock(file, FlockOperation::NonBlockingUnlock);
        busy || std::fs::symlink_metadata(&dot_lock).is_ok()
    };
    for _ in 0..100 {
        if !busy() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(Error::io("read", path)(io::Error::new(
        io::ErrorKind::WouldBlock,
        "another program keeps it locked",
    )))
}

impl<R: Input> Iterator for Reader<R> {
    type Item = Result<RawMessage>;

    fn next(&mut self) -> Option<Result<RawMessage>> {
        if self.done {
            return self.changed_meanwhile().map(Err);
        }
        let message = self.message().transpose()?;
        self.done |= message.is_err();
        if message.is_err() {
            self.opened = None;
        }
        Some(message)
    }
}

impl<R: Input> Reader<R> {
    fn new(window: Window<R>, mailbox: Arc<str>, limits: &Limits) -> Self {
        Self {
            window,
            path: None,
            mailbox,
            limit: limits.message_bytes,
            opened: None,
            ordinal: 0,
            at: 0,
            done: false,
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
            self.path.as_deref().unwrap_or(Path::new("standard input")),
        )(source)
    }

    /// An error, once, if the file is not what it was when it was opened.
    fn changed_meanwhile(&mut self) -> Option<Error> {
        let before = self.opened.take()?;
        let now = self.window.input().metadata()?;
        let same = now.len() == before.len() && now.modified().ok() == before.modified().ok();
        (!same).then(|| self.failed(io::Error::other("it was changed while it was read")))
    }

    fn message(&mut self) -> Result<Option<RawMessage>> {
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
        let (start, from) = self.from_line(lead_start, from_at)?;
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
            let path = self.path.clone().ok_or_else(too_large_for_a_stream)?;
            Content::TooLarge {
                path,
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
        Ok(Some(RawMessage {
            locator: Locator {
                mailbox: Arc::clone(&self.mailbox),
                ordinal: self.ordinal,
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
        }))
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
    fn from_line(&mut self, lead_start: u64, from_at: u64) -> Result<(u64, Option<FromLine>)> {
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

    /// The offset behind the line that begins at `start`; `None` where it is too long.
    fn line_end(&mut self, start: u64) -> Result<Option<u64>> {
        let max = start + from_line::MAX_LINE as u64;
        let mut searched = start;
        loop {
            let line = self.window.slice(searched, max);
            if let Some(newline) = memchr::memchr(b'\n', line) {
                return Ok(Some(searched + newline as u64 + 1));
            }
            searched += line.len() as u64;
            if searched >= max {
                return Ok(None);
            }
            if !self.reach(searched + 1)? {
                return Ok(Some(searched));
            }
        }
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

    /// Where Content-Length says the message ends, if a separator or the end of the file is there.
    fn landing(&mut self, header: &Header, body: u64) -> Result<Option<(u64, u64)>> {
        let Some(length) = header.content_length.filter(|_| header.ended) else {
            return Ok(None);
        };
        let Some(landing) = body.checked_add(length).filter(|&at| at < u64::MAX / 2) else {
            return Ok(None);
        };
        let bytes = self.peek(landing - 1, from_line::MAX_LINE + 512)?;
        // One byte before, to see whether a line ends there.
        let Some((before, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let mut skip = 0;
        let mut line_start = *before == b'\n';
        for _ in 0..2 {
            match rest.get(skip..) {
                Some([b'\n', ..]) => skip += 1,
                Some([b'\r', b'\n', ..]) => skip += 2,
                _ => break,
            }
            line_start = true;
        }
        let rest = rest.get(skip..).unwrap_or_default();
        let separator = landing + skip as u64;
        if rest.is_empty() {
            return Ok(Some((landing, separator)));
        }
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1);
        let (line, next) = rest.split_at(end);
        let separates = line_start
            && self.is_from_line(line)
            && (next.is_empty() || header::starts_header(next));
        Ok(separates.then_some((landing, separator)))
    }

    fn is_from_line(&self, line: &[u8]) -> bool {
        from_line::parse(line).is_some() || (self.dateless && from_line::is_dateless(line))
    }

    /// Up to `len` bytes at `offset`, wherever that is; a stream is read on as far as one message
    /// may go.
    fn peek(&mut self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let end = offset.saturating_add(len as u64);
        if end > self.window.end() && !self.window.ended() {
            let mut space = vec![0; len];
            if let Some(got) = self.window.input().peek(offset, &mut space) {
                space.truncate(got.map_err(|e| self.failed(e))?);
                return Ok(space);
            }
            if end - self.at > self.limit.saturating_add(TAIL) {
                return Ok(Vec::new());
            }
            self.reach(end)?;
        }
        Ok(self.window.slice(offset, end).to_vec())
    }

    /// Whether this box keeps Content-Length, so that it may hide lines that look like From_ lines.
    fn keeps_content_length(&mut self, first: bool, landing: Option<(u64, u64)>) -> Result<bool> {
        let Some((_, separator)) = landing else {
            return Ok(false);
        };
        if !first {
            return Ok(self.honest > 0 && self.others * CL_MAJORITY <= self.honest);
        }
        let next = self.peek(separator, 1 << 16)?;
        let line = memchr::memchr(b'\n', &next).map_or(next.len(), |newline| newline + 1);
        Ok(header::read(next.get(line..).unwrap_or_default())
            .content_length
            .is_some())
    }

    /// Where the message's stretch ends, and how many From_ lines in it are content. `trusted` is
    /// a separator that is believed without a look.
    fn end_of(&mut self, current: &Current, trusted: Option<u64>) -> Result<(u64, u64)> {
        // The newline that ends the From_ line may be the one before the next From_ line.
        let mut scan = current.start.saturating_sub(1).max(self.window.start());
        let mut content_until = trusted.unwrap_or(0);
        let mut enclosed = 0;
        while let Some(at) = self.next_from(scan, current.start)? {
            scan = at;
            if Some(at) == trusted {
                self.after_blank += u64::from(self.is_after_blank(at));
                return Ok((at, enclosed));
            }
            let Some(candidate) = self.candidate(at)? else {
                continue;
            };
            if at < content_until {
                enclosed += 1;
                continue;
            }
            if !candidate.after_blank && !self.separates_without_blank(at, candidate)? {
                continue;
            }
            if let Some(until) = self.enclosed_until(at, candidate, current)? {
                content_until = until;
                enclosed += 1;
                continue;
            }
            self.after_blank += u64::from(candidate.after_blank);
            return Ok((at, enclosed));
        }
        Ok((self.window.end(), enclosed))
    }

    /// The next `From ` at the start of a line behind `scan`. Lets go of a message that is too
    /// large to hold as it passes through.
    fn next_from(&mut self, mut scan: u64, start: u64) -> Result<Option<u64>> {
        loop {
            let held = self.window.slice(scan, self.window.end());
            if let Some(newline) = memmem::find(held, b"\nFrom ") {
                return Ok(Some(scan + newline as u64 + 1));
            }
            scan = scan.max(self.window.end().saturating_sub(5));
            if scan.saturating_sub(start) > self.limit.saturating_add(2 * TAIL) {
                if self.path.is_none() {
                    return Err(too_large_for_a_stream());
                }
                self.window.forget_before(scan - TAIL);
            }
            if !self.reach(self.window.end() + 1)? {
                return Ok(None);
            }
        }
    }

    fn is_after_blank(&self, at: u64) -> bool {
        let before = self
            .window
            .slice(at.saturating_sub(3).max(self.window.start()), at);
        before.ends_with(b"\n\n") || before.ends_with(b"\n\r\n")
    }

    /// What stands at `at`, if it reads as a From_ line before a header or the end.
    fn candidate(&mut self, at: u64) -> Result<Option<Candidate>> {
        let Some(end) = self.line_end(at)? else {
            return Ok(None);
        };
        let line = self.window.slice(at, end);
        let from = from_line::parse(line);
        if from.is_none() && !(self.dateless && from_line::is_dateless(line)) {
            return Ok(None);
        }
        self.reach(end + 128)?;
        let next = self.window.slice(end, end + 128);
        let separates = next.is_empty() || header::starts_header(next);
        Ok(separates.then(|| Candidate {
            from,
            after_blank: self.is_after_blank(at),
        }))
    }

    /// Whether a From_ line without a blank line before it separates in this box.
    fn separates_without_blank(&mut self, at: u64, candidate: Candidate) -> Result<bool> {
        let one_word = |candidate: Candidate| candidate.from.is_some_and(|from| from.one_word);
        if !one_word(candidate) {
            return Ok(false);
        }
        if let Some(known) = self.without_blanks {
            return Ok(known);
        }
        let (mut with, mut without) = (self.after_blank, 1_u64);
        let mut scan = at;
        self.reach(at + SAMPLE)?;
        while let Some(newline) = memmem::find(self.window.slice(scan, at + SAMPLE), b"\nFrom ") {
            scan += newline as u64 + 1;
            match self.candidate(scan)? {
                Some(other) if other.after_blank => with += 1,
                Some(other) if one_word(other) => without += 1,
                _ => {}
            }
        }
        self.without_blanks = Some(without > with);
        Ok(without > with)
    }

    /// Where the enclosed mail that begins at `at` ends, if it is enclosed.
    fn enclosed_until(
        &mut self,
        at: u64,
        candidate: Candidate,
        current: &Current,
    ) -> Result<Option<u64>> {
        let (Some(from), Some(date)) = (candidate.from, current.date) else {
            return Ok(None);
        };
        if from.date >= date {
            return Ok(None);
        }
        // The mark stands right before the From_ line, so it is asked first: looking for an open
        // boundary costs the whole message, and must not be done for every one of many marks.
        if self.follows_begin_mark(at, current.start)
            && let Some(until) = self.look_ahead(at, date, &Goal::Line(END_INCLUDED))?
        {
            return Ok(Some(until));
        }
        if let Some(boundary) = header::boundary(&current.content_type) {
            let delimiter = [b"\n--".as_slice(), &boundary].concat();
            if self.is_open(&delimiter, current.body, at) {
                let close = [delimiter.as_slice(), b"--"].concat();
                if let Some(until) = self.look_ahead(at, date, &Goal::Line(&close))? {
                    return Ok(Some(until));
                }
            }
        }
        match current.landing {
            Some((_, separator)) if separator > at => {
                self.look_ahead(at, date, &Goal::Offset(separator))
            }
            _ => Ok(None),
        }
    }

    fn follows_begin_mark(&self, at: u64, start: u64) -> bool {
        let before = self.window.slice(
            at.saturating_sub(64).max(start).max(self.window.start()),
            at,
        );
        let text = before.trim_ascii_end();
        let line = text.strip_suffix(BEGIN_INCLUDED);
        line.is_some_and(|line| line.is_empty() || line.ends_with(b"\n"))
    }

    /// Whether the last delimiter line before `at` opened a part.
    fn is_open(&self, delimiter: &[u8], body: u64, at: u64) -> bool {
        let from = body.saturating_sub(1).max(self.window.start());
        let mut text = self.window.slice(from, at);
        let finder = memmem::FinderRev::new(delimiter);
        while let Some(found) = finder.rfind(text) {
            match text.get(found + delimiter.len()..) {
                Some([b'-', b'-', ..]) => return false,
                Some([b'\r' | b'\n' | b' ' | b'\t', ..]) => return true,
                // A longer boundary that begins alike.
                _ => text = text.get(..found).unwrap_or_default(),
            }
        }
        false
    }

    /// Where `goal` is, if it comes before any From_ line that is not older than `date`.
    fn look_ahead(&mut self, at: u64, date: i64, goal: &Goal<'_>) -> Result<Option<u64>> {
        let limit = at + LOOK_AHEAD;
        let mut scan = at;
        let mut lines = 0;
        loop {
            let frontier = limit.min(self.window.end());
            let hit = memmem::find(self.window.slice(scan, frontier), b"\nFrom ")
                .map(|n| scan + n as u64 + 1);
            let reached = hit.unwrap_or(frontier);
            match goal {
                Goal::Offset(offset) if *offset <= reached => return Ok(Some(*offset)),
                Goal::Offset(_) => {}
                Goal::Line(line) => {
                    if let Some(found) = self.find_line(line, scan, reached, at) {
                        return Ok(Some(found));
                    }
                }
            }
            if let Some(hit) = hit {
                if let Some(other) = self.candidate(hit)?
                    && (other.after_blank || self.without_blanks == Some(true))
                {
                    lines += 1;
                    if lines > LOOK_AHEAD_LINES || other.from.is_none_or(|from| from.date >= date) {
                        return Ok(None);
                    }
                }
                scan = hit;
                continue;
            }
            scan = scan.max(frontier.saturating_sub(5));
            if frontier >= limit || !self.reach(self.window.end() + 1)? {
                return Ok(None);
            }
        }
    }

    /// Where a line that is `line` (written with the newline before it) and nothing but blanks
    /// ends before `to`; looked for from a little before `from`, never before `at`.
    fn find_line(&self, line: &[u8], from: u64, to: u64, at: u64) -> Option<u64> {
        let mut from = from.saturating_sub(line.len() as u64 + 1).max(at);
        loop {
            let text = self.window.slice(from, to);
            let found = memmem::find(text, line)?;
            let end = found + line.len();
            match text.get(end) {
                Some(b'\r' | b'\n' | b' ' | b'\t') => return Some(from + end as u64),
                None if from + end as u64 == self.window.end() && self.window.ended() => {
                    return Some(from + end as u64);
                }
                None => return None,
                Some(_) => from += found as u64 + 1,
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
