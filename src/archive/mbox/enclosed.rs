//! Which From_ lines are content: what a message's hints are worth, and what they cost to check. The
//! reasons are told in [`super`].

use memchr::memmem;

use super::separate::Candidate;
use super::{Current, Input, Reader, TAIL};
use crate::archive::from_line;
use crate::archive::header::{self, Header};
use crate::error::Result;

/// How far ahead the end of enclosed mail may lie, in bytes and in From_ lines.
const LOOK_AHEAD: u64 = 16 << 20;
const LOOK_AHEAD_LINES: u32 = 64;

/// Content-Length is a box's way as long as at most one message in this many and one has no true one.
const CL_MAJORITY: u64 = 16;

const BEGIN_INCLUDED: &[u8] = b"----- Begin Included Message -----";
const END_INCLUDED: &[u8] = b"\n----- End Included Message -----";

/// What ends a stretch of enclosed mail.
enum Goal<'a> {
    Line(&'a [u8]),
    Offset(u64),
}

impl<R: Input> Reader<R> {
    /// Where the enclosed mail that begins at `at` ends, if it is enclosed.
    pub(super) fn enclosed_until(
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

    /// Where Content-Length says the message ends, if a separator or the end of the file is there.
    pub(super) fn landing(&mut self, header: &Header, body: u64) -> Result<Option<(u64, u64)>> {
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

    /// Whether this box keeps Content-Length, so that it may hide lines that look like From_ lines.
    pub(super) fn keeps_content_length(
        &mut self,
        first: bool,
        landing: Option<(u64, u64)>,
    ) -> Result<bool> {
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
}
