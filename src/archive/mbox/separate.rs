//! Which line ends a message.

use memchr::memmem;

use super::{Current, Input, Reader, TAIL};
use crate::archive::from_line::{self, FromLine};
use crate::archive::{header, too_large_for_a_stream};
use crate::error::Result;

/// How much of a box is counted to learn whether it has blank lines between messages.
const SAMPLE: u64 = 1 << 20;

/// A line that may separate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) from: Option<FromLine>,
    pub(super) after_blank: bool,
}

impl<R: Input> Reader<R> {
    /// Where the message's stretch ends, and how many From_ lines in it are content. `trusted` is
    /// a separator that is believed without a look.
    pub(super) fn end_of(&mut self, current: &Current, trusted: Option<u64>) -> Result<(u64, u64)> {
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
                if self.origin.is_none() {
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
    pub(super) fn candidate(&mut self, at: u64) -> Result<Option<Candidate>> {
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

    /// The offset behind the line that begins at `start`; `None` where it is too long.
    pub(super) fn line_end(&mut self, start: u64) -> Result<Option<u64>> {
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

    pub(super) fn is_from_line(&self, line: &[u8]) -> bool {
        from_line::parse(line).is_some() || (self.dateless && from_line::is_dateless(line))
    }
}
