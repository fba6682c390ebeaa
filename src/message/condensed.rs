//! A message or entity that is too large to hold, as the bytes that tell its structure: the middles of
//! its long bodies are left out.
//!
//! Headers, boundary lines, short bodies (such as a detached signature) and the beginning and end of
//! every long one are kept, so that
//! [`parts::parse`] sees the same parts in what is left as in the whole. Where bytes were left out, a
//! line is joined of two that begins as its first one does, with a byte that is no hyphen: no boundary
//! comes about that way.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use memchr::{memchr, memmem};

use super::content_type::{ContentType, content_type};
use super::headers::{Headers, Mode};
use super::parts::{self, Tree};
use crate::bulk::{Bulk, Stretch, each_piece};
use crate::limits::{Budget, LimitExceeded, Limits};

/// What is kept of a body's end.
const TAIL: usize = 256;

/// Bytes that are kept of one message, all together.
const MOST_KEPT: usize = 24 << 20;

/// A line is looked at as far as this.
const LONGEST_LINE: usize = 64 << 10;

/// What an entity's first line may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// A message, as [`parts::parse`] reads it.
    Message,
    /// An entity, as [`parts::parse_entity`] does.
    Entity,
}

/// A condensed message or entity.
#[derive(Debug, Clone)]
pub struct Condensed {
    /// What was kept.
    pub bytes: Vec<u8>,
    /// All of it.
    pub whole: Arc<dyn Bulk>,
    gaps: Vec<Gap>,
}

/// Bytes that were left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gap {
    /// Where, in the kept bytes.
    at: usize,
    /// How many.
    len: u64,
}

impl Condensed {
    /// Reads `whole` once.
    ///
    /// # Errors
    /// [`LimitExceeded`] (`limit-message`) where the structure itself is too large to hold.
    pub fn of(
        whole: Arc<dyn Bulk>,
        root: Root,
        limits: &Limits,
    ) -> io::Result<Result<Self, LimitExceeded>> {
        let mut work = Work::new(root, limits);
        each_piece(&*whole, 0, |piece| {
            work.buffer.extend_from_slice(piece);
            work.go_on(false);
            Ok::<_, io::Error>(())
        })?;
        work.go_on(true);
        work.close_gap();
        if work.kept.len() > MOST_KEPT || work.longest > LONGEST_LINE / 2 {
            return Ok(Err(TOO_LARGE));
        }
        let condensed = Self {
            bytes: work.kept,
            whole,
            gaps: work.gaps,
        };
        let tree = match root {
            Root::Message => parts::parse(&condensed.bytes, &mut Budget::new(limits)),
            Root::Entity => parts::parse_entity(&condensed.bytes, &mut Budget::new(limits)),
        };
        let is_known = |boundary: &str| work.boundaries.contains(boundary.as_bytes());
        let seen = tree
            .parts
            .iter()
            .filter_map(|part| parts::usable_boundary(&part.content_type))
            .all(is_known);
        Ok(if seen { Ok(condensed) } else { Err(TOO_LARGE) })
    }

    /// Where a kept byte stands in the whole.
    pub fn place(&self, at: usize) -> u64 {
        let left_out: u64 = self
            .gaps
            .iter()
            .take_while(|gap| gap.at < at)
            .map(|gap| gap.len)
            .sum();
        at as u64 + left_out
    }

    /// The same for a range.
    pub fn places(&self, range: &Range<usize>) -> Range<u64> {
        self.place(range.start)..self.place(range.end)
    }

    /// How many bytes a range of the kept ones has in the whole.
    pub fn real_len(&self, range: &Range<usize>) -> u64 {
        let places = self.places(range);
        places.end - places.start
    }

    /// All bytes of a range of the kept ones.
    pub fn stretch(&self, range: &Range<usize>) -> Arc<dyn Bulk> {
        Arc::new(Stretch::new(Arc::clone(&self.whole), self.places(range)))
    }

    /// Whether nothing was left out.
    pub fn is_whole(&self) -> bool {
        self.gaps.is_empty()
    }

    /// Whether bytes of a range were left out.
    pub fn has_gap(&self, range: &Range<usize>) -> bool {
        self.gaps
            .iter()
            .any(|gap| range.start < gap.at && gap.at < range.end)
    }

    /// What was kept up to where bytes were first left out, and not more than `most` of it.
    pub fn head(&self, most: usize) -> &[u8] {
        let end = self.gaps.first().map_or(self.bytes.len(), |gap| gap.at);
        self.bytes.get(..end.min(most)).unwrap_or_default()
    }

    /// How many of the `most` bytes from `start` on are kept one behind the other.
    pub fn kept_from(&self, start: usize, most: usize) -> usize {
        let next = self.gaps.iter().find(|gap| gap.at > start);
        next.map_or(most, |gap| most.min(gap.at - start))
    }

    /// Its tree, as [`parts::parse`] or [`parts::parse_entity`] gives it.
    pub fn tree(&self, root: Root, budget: &mut Budget) -> Tree<'_> {
        let tree = match root {
            Root::Message => parts::parse(&self.bytes, budget),
            Root::Entity => parts::parse_entity(&self.bytes, budget),
        };
        Tree {
            condensed: Some(self),
            ..tree
        }
    }
}

const TOO_LARGE: LimitExceeded = LimitExceeded("limit-message");

/// Where the reading stands.
enum State {
    /// In a header, whose first byte was kept at `start`.
    Header {
        start: usize,
        mode: Mode,
        /// A line was seen that is not blank; blank ones may stand before a message's header.
        begun: bool,
        /// Bytes after which it is looked at again whether the header has not ended long ago.
        look_at: usize,
    },
    /// In a body of which so much was kept.
    Body { kept: usize },
    /// In one of which nothing is kept any more but the end.
    Within,
}

struct Work {
    /// Read, not yet done with.
    buffer: Vec<u8>,
    kept: Vec<u8>,
    gaps: Vec<Gap>,
    /// Since the last gap began: what may be the end of a body; and what was left out before it.
    tail: Vec<u8>,
    dropped: u64,
    state: State,
    /// Every boundary that a header has named so far.
    boundaries: HashSet<Vec<u8>>,
    longest: usize,
    /// The next byte is not the first of its line, and that line begins with a hyphen.
    in_line: bool,
    hyphen: bool,
    /// What is kept of a long body's beginning, and how much more of a short one.
    keep: usize,
    short: usize,
    header_bytes: usize,
}

impl Work {
    fn new(root: Root, limits: &Limits) -> Self {
        let keep = (limits.message_bytes / 64).clamp(2 << 10, 64 << 10);
        let short = (limits.message_bytes / 64).clamp(4 << 10, 1 << 20);
        let size = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            buffer: Vec::new(),
            kept: Vec::new(),
            gaps: Vec::new(),
            tail: Vec::new(),
            dropped: 0,
            state: header_at(
                0,
                match root {
                    Root::Message => Mode::Message,
                    Root::Entity => Mode::Part,
                },
            ),
            boundaries: HashSet::new(),
            longest: 0,
            in_line: false,
            hyphen: false,
            keep: size(keep),
            short: size(short),
            header_bytes: size(limits.header_bytes),
        }
    }

    /// Does as much of the buffer as can be done; all of it at the end.
    fn go_on(&mut self, last: bool) {
        let buffer = std::mem::take(&mut self.buffer);
        let mut rest = buffer.as_slice();
        while !rest.is_empty() && self.kept.len() <= MOST_KEPT {
            let done = match self.state {
                State::Within => self.pass_over(rest, last),
                _ => self.line(rest, last),
            };
            if done == 0 {
                break;
            }
            rest = rest.get(done..).unwrap_or_default();
        }
        if self.kept.len() <= MOST_KEPT {
            self.buffer = rest.to_vec();
        }
    }

    /// Keeps one line, or the beginning of one that is very long; 0 where more is needed to tell.
    fn line(&mut self, rest: &[u8], last: bool) -> usize {
        let end = match memchr(b'\n', rest) {
            Some(at) => at + 1,
            None if last || rest.len() >= LONGEST_LINE => rest.len(),
            None => return 0,
        };
        let line = rest.get(..end).unwrap_or(rest);
        let begins = !std::mem::replace(&mut self.in_line, !line.ends_with(b"\n"));
        if begins {
            self.hyphen = line.starts_with(b"-");
        }
        if begins && self.is_boundary(line) {
            self.kept.extend_from_slice(line);
            self.state = header_at(self.kept.len(), Mode::Part);
            return end;
        }
        match self.state {
            State::Header {
                start,
                mode,
                begun,
                look_at,
            } => {
                self.kept.extend_from_slice(line);
                let over = begun && begins && is_blank(line);
                let begun = begun || !line.trim_ascii().is_empty();
                self.state = State::Header {
                    start,
                    mode,
                    begun,
                    look_at,
                };
                let len = self.kept.len() - start;
                if over || len >= look_at {
                    self.look_at_header(over);
                }
            }
            State::Body { kept } if kept >= self.keep => {
                // A byte that is no hyphen: see above.
                let first = line.first().copied().unwrap_or(b'\n');
                let blank = begins && matches!(first, b'\n' | b'\r');
                if !self.hyphen && !blank {
                    self.kept.push(first);
                    self.in_line = first != b'\n';
                    if self.in_line {
                        self.state = State::Within;
                    }
                    return 1;
                }
                self.kept.extend_from_slice(line);
            }
            State::Body { kept } => {
                self.kept.extend_from_slice(line);
                self.state = State::Body {
                    kept: kept + line.len(),
                };
            }
            State::Within => return 0,
        }
        end
    }

    /// Sees whether the header that is being read has ended, as it has where it is `over`.
    fn look_at_header(&mut self, over: bool) {
        let State::Header {
            start,
            mode,
            begun,
            look_at,
        } = self.state
        else {
            return;
        };
        let block = self.kept.get(start..).unwrap_or_default();
        let headers = Headers::scan(block, mode, |_| false);
        let body = headers.body_start();
        if !over && body >= block.len() && block.len() <= self.header_bytes {
            self.state = State::Header {
                start,
                mode,
                begun,
                look_at: look_at.saturating_mul(2),
            };
            return;
        }
        let kept = block.len().saturating_sub(body);
        let content_type = content_type(&headers);
        let attached = content_type.as_ref().is_some_and(ContentType::is_message);
        if let Some(boundary) = content_type.as_ref().and_then(parts::usable_boundary) {
            self.longest = self.longest.max(boundary.len());
            self.boundaries.insert(boundary.as_bytes().to_vec());
        }
        self.state = if attached && kept == 0 {
            header_at(self.kept.len(), Mode::Attached)
        } else {
            State::Body { kept }
        };
    }

    fn is_boundary(&self, line: &[u8]) -> bool {
        let Some(text) = line.strip_prefix(b"--").map(<[u8]>::trim_ascii_end) else {
            return false;
        };
        text.len() <= self.longest + 2
            && (self.boundaries.contains(text)
                || text
                    .strip_suffix(b"--")
                    .is_some_and(|text| self.boundaries.contains(text)))
    }

    /// Passes over what holds no boundary line; 0 where more is needed to tell.
    fn pass_over(&mut self, rest: &[u8], last: bool) -> usize {
        for at in memmem::find_iter(rest, b"\n--") {
            let line = rest.get(at + 1..).unwrap_or_default();
            let whole = memchr(b'\n', line).map(|end| end + 1);
            if whole.is_none() && !last && line.len() < LONGEST_LINE {
                return self.drop_all(rest.get(..at).unwrap_or_default());
            }
            let line = line.get(..whole.unwrap_or(line.len())).unwrap_or(line);
            if self.is_boundary(line) {
                self.drop_all(rest.get(..=at).unwrap_or_default());
                self.close_gap();
                self.in_line = false;
                self.state = State::Body { kept: 0 };
                return at + 1;
            }
        }
        // The next piece may begin with the rest of what tells a line.
        let held = if last { 0 } else { 2 };
        self.drop_all(
            rest.get(..rest.len().saturating_sub(held))
                .unwrap_or_default(),
        )
    }

    /// Holds the end of a body; all of it while it may be a short one.
    fn drop_all(&mut self, bytes: &[u8]) -> usize {
        self.tail.extend_from_slice(bytes);
        let room = if self.dropped == 0 && self.kept.len() < MOST_KEPT / 2 {
            self.short
        } else {
            2 * TAIL
        };
        if self.tail.len() > room {
            let over = self.tail.len() - TAIL;
            self.tail.drain(..over);
            self.dropped += over as u64;
        }
        bytes.len()
    }

    /// Keeps the end of the body that was passed over.
    fn close_gap(&mut self) {
        if self.dropped > 0 {
            self.gaps.push(Gap {
                at: self.kept.len(),
                len: self.dropped,
            });
        }
        self.kept.append(&mut self.tail);
        self.dropped = 0;
    }
}

fn header_at(start: usize, mode: Mode) -> State {
    State::Header {
        start,
        mode,
        begun: mode == Mode::Part,
        look_at: LONGEST_LINE,
    }
}

fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n")
}

#[cfg(test)]
mod tests;
