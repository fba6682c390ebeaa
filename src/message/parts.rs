//! The MIME tree of a message by byte ranges (RFC 2046 §5).
//!
//! One pass over the bytes, without recursion: open entities lie on a stack, and every line that
//! begins with `--` is looked up among the boundaries of the open multiparts. A boundary line of
//! an outer multipart ends all inner ones, closed or not.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use memchr::{memchr, memmem};

use super::condensed::Condensed;
use super::content_type::{ContentType, Encoding, encoding, file_name_of};
use super::headers::{Headers, Mode};
use crate::bulk::Bulk;
use crate::limits::{Budget, LimitExceeded, Limits};

/// Something about a part's structure that a judge of it may want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Note {
    /// An attached message in base64 or quoted-printable, which RFC 2046 §5.2.1 forbids; it is not
    /// looked into.
    EncodedMessage,
    /// A multipart without a usable boundary; it is taken as one opaque body.
    NoBoundary,
    /// A multipart whose closing boundary is missing: its last part runs to the end.
    Unclosed,
}

/// One entity: the message itself, a body part, or the root entity of an attached message.
#[derive(Debug, Clone)]
pub struct Part {
    /// IMAP section number (RFC 9051 §6.4.5): empty for the root, `1`, `2.1` … The root entity of
    /// an attached message has the section of its `message/rfc822` part if it is a multipart.
    pub section: String,
    /// The part it lies in.
    pub parent: Option<usize>,
    /// The parts directly in it, in order.
    pub children: Vec<usize>,
    /// 0 for the root.
    pub depth: u32,
    /// Header and body, exactly the bytes that a `multipart/signed` signature covers: up to but
    /// excluding the line end before the boundary line (RFC 1847 §2.1, RFC 2046 §5.1.1).
    pub entity: Range<usize>,
    /// What follows the header's blank line.
    pub body: Range<usize>,
    /// `text/plain` where nothing is said, `message/rfc822` in a digest.
    pub content_type: ContentType,
    /// How the body is encoded.
    pub encoding: Encoding,
    /// From Content-Disposition or Content-Type.
    pub file_name: Option<String>,
    /// The part that is the root entity of the message this one lies in: 0, or the child of a
    /// `message/rfc822` part.
    pub message: usize,
    /// What is odd about it.
    pub note: Option<Note>,
    /// How its header is read.
    mode: Mode,
}

/// A message's parts.
#[derive(Debug, Clone)]
pub struct Tree<'a> {
    /// The whole message.
    pub bytes: &'a [u8],
    /// The root first, then in order of appearance (preorder).
    pub parts: Vec<Part>,
    /// What ended the walk early; parts that follow are then missing and the open ones too long.
    pub limit: Option<LimitExceeded>,
    /// Where `bytes` are not all of the message: all of it, and what was left out.
    pub condensed: Option<&'a Condensed>,
}

impl<'a> Tree<'a> {
    /// The root entity.
    pub fn root(&self) -> Option<&Part> {
        self.parts.first()
    }

    /// A part's header.
    pub fn headers(&self, part: &Part) -> Headers<'a> {
        let entity = self.bytes.get(part.entity.clone()).unwrap_or_default();
        Headers::scan(entity, part.mode, |_| false)
    }

    /// A part's header and body.
    pub fn entity(&self, part: &Part) -> &'a [u8] {
        self.bytes.get(part.entity.clone()).unwrap_or_default()
    }

    /// A part's body as it stands in the message.
    pub fn body(&self, part: &Part) -> &'a [u8] {
        self.bytes.get(part.body.clone()).unwrap_or_default()
    }

    /// How many bytes a range of [`Tree::bytes`] has in the whole message.
    pub fn real_len(&self, range: &Range<usize>) -> u64 {
        self.condensed
            .map_or(range.len() as u64, |condensed| condensed.real_len(range))
    }

    /// All bytes of a range of [`Tree::bytes`], where some were left out.
    pub fn stretch(&self, range: &Range<usize>) -> Option<Arc<dyn Bulk>> {
        self.condensed
            .filter(|condensed| condensed.has_gap(range))
            .map(|condensed| condensed.stretch(range))
    }

    /// The first part of that section.
    pub fn find(&self, section: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.section == section)
    }
}

/// Reads a message.
pub fn parse<'a>(bytes: &'a [u8], budget: &mut Budget) -> Tree<'a> {
    Walk::new(bytes).run(Mode::Message, budget)
}

/// Reads an entity that came out of a signature or an encryption: as [`parse`], but a blank first
/// line means that it has no header.
pub fn parse_entity<'a>(bytes: &'a [u8], budget: &mut Budget) -> Tree<'a> {
    Walk::new(bytes).run(Mode::Part, budget)
}

/// Whether `entity` in the place of `part` would not stay one part: it holds a boundary line of a
/// multipart around `part`, or a multipart with the same boundary as one of those, which would take
/// in the neighbours. Such an entity must be encoded before it is put there. One that goes past
/// the default limits is said to collide.
pub fn collides(tree: &Tree<'_>, part: &Part, entity: &[u8]) -> bool {
    let mut around = Boundaries::default();
    let mut parent = part.parent;
    while let Some(at) = parent
        && let Some(ancestor) = tree.parts.get(at)
    {
        if let Some(boundary) = usable_boundary(&ancestor.content_type) {
            around.open(boundary.as_bytes().to_vec(), at);
        }
        parent = ancestor.parent.filter(|next| *next < at);
    }
    if around.frames.is_empty() {
        return false;
    }
    if dashes(entity, 0).any(|at| around.matches(line_at(entity, at)).is_some()) {
        return true;
    }
    let inner = parse_entity(entity, &mut Budget::new(&Limits::default()));
    inner.limit.is_some()
        || inner
            .parts
            .iter()
            .filter_map(|part| usable_boundary(&part.content_type))
            .any(|boundary| around.frames.contains_key(boundary.as_bytes()))
}

/// The boundaries of the open multiparts; the innermost of equal ones counts.
#[derive(Debug, Default)]
struct Boundaries {
    frames: HashMap<Vec<u8>, Vec<usize>>,
    longest: usize,
}

impl Boundaries {
    fn open(&mut self, boundary: Vec<u8>, frame: usize) {
        self.longest = self.longest.max(boundary.len());
        self.frames.entry(boundary).or_default().push(frame);
    }

    fn close(&mut self, boundary: &[u8]) {
        if let Some(frames) = self.frames.get_mut(boundary) {
            frames.pop();
            if frames.is_empty() {
                self.frames.remove(boundary);
            }
        }
    }

    /// The frame whose boundary the line is, and whether it closes it. White space may follow the
    /// boundary; anything else makes it another line, for a boundary may begin with another one.
    fn matches(&self, line: &[u8]) -> Option<(usize, bool)> {
        let text = line.strip_prefix(b"--")?.trim_ascii_end();
        if self.frames.is_empty() || text.len() > self.longest + 2 {
            return None;
        }
        let innermost = |text: &[u8]| {
            self.frames
                .get(text)
                .and_then(|frames| frames.last())
                .copied()
        };
        let delimiter = innermost(text).map(|frame| (frame, false));
        let close = text
            .strip_suffix(b"--")
            .and_then(innermost)
            .map(|frame| (frame, true));
        delimiter.max(close)
    }
}

/// An entity whose end has not been met.
struct Frame {
    part: usize,
    /// Set while boundary lines are awaited.
    boundary: Option<Vec<u8>>,
}

struct Walk<'a> {
    bytes: &'a [u8],
    parts: Vec<Part>,
    stack: Vec<Frame>,
    boundaries: Boundaries,
}

/// What the walk meets next.
enum Next {
    /// A new entity begins.
    Entity { at: usize, mode: Mode },
    /// The body of what is open goes on from here.
    Body(usize),
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            parts: Vec::new(),
            stack: Vec::new(),
            boundaries: Boundaries::default(),
        }
    }

    fn run(mut self, mode: Mode, budget: &mut Budget) -> Tree<'a> {
        let mut limit = None;
        let mut next = Some(Next::Entity { at: 0, mode });
        while let Some(step) = next {
            next = match step {
                Next::Entity { at, mode } => match self.enter(at, mode, budget) {
                    Ok(next) => Some(next),
                    Err(exceeded) => {
                        limit = Some(exceeded);
                        None
                    }
                },
                Next::Body(at) => self.seek_boundary(at),
            };
        }
        self.end_above(0, self.bytes.len());
        Tree {
            bytes: self.bytes,
            parts: self.parts,
            limit,
            condensed: None,
        }
    }

    /// Reads the header at `at` and puts the entity on the stack.
    fn enter(&mut self, at: usize, mode: Mode, budget: &mut Budget) -> Result<Next, LimitExceeded> {
        let depth = u32::try_from(self.stack.len()).unwrap_or(u32::MAX);
        budget.parts(1)?;
        let rest = self.bytes.get(at..).unwrap_or_default();
        let boundaries = &self.boundaries;
        let headers = Headers::scan(rest, mode, |line| boundaries.matches(line).is_some());
        let body = at + headers.body_start();

        let parent = self.stack.last().map(|frame| frame.part);
        let parent_part = parent.and_then(|parent| self.parts.get(parent));
        let in_digest =
            parent_part.is_some_and(|parent| parent.content_type.kind == "multipart/digest");
        let default = if in_digest {
            "message/rfc822"
        } else {
            "text/plain"
        };
        let content_type = super::content_type::content_type(&headers)
            .unwrap_or_else(|| ContentType::bare(default));
        let index = self.parts.len();
        let attached = parent_part.is_some_and(|parent| parent.content_type.is_message());
        let part = Part {
            section: section(parent_part, attached && content_type.is_multipart()),
            parent,
            children: Vec::new(),
            depth,
            entity: at..self.bytes.len(),
            body: body..self.bytes.len(),
            encoding: encoding(&headers),
            file_name: file_name_of(&headers, &content_type),
            message: if attached {
                index
            } else {
                parent_part.map_or(0, |parent| parent.message)
            },
            note: None,
            mode,
            content_type,
        };
        let mut frame = Frame {
            part: index,
            boundary: None,
        };
        let mut note = None;
        let mut next = Next::Body(body);
        if !headers.is_stopped() {
            if part.content_type.is_multipart() {
                match usable_boundary(&part.content_type) {
                    Some(boundary) => {
                        let boundary = boundary.as_bytes().to_vec();
                        self.boundaries.open(boundary.clone(), self.stack.len());
                        frame.boundary = Some(boundary);
                    }
                    None => note = Some(Note::NoBoundary),
                }
            } else if part.content_type.is_message() {
                match part.encoding {
                    Encoding::Identity | Encoding::Binary => {
                        next = Next::Entity {
                            at: body,
                            mode: Mode::Attached,
                        }
                    }
                    _ => note = Some(Note::EncodedMessage),
                }
            }
        }
        if let Some(parent) = parent.and_then(|parent| self.parts.get_mut(parent)) {
            parent.children.push(index);
        }
        self.parts.push(Part { note, ..part });
        self.stack.push(frame);
        budget.header_bytes(headers.body_start())?;
        if headers.is_cut() {
            return Err(LimitExceeded("limit-header"));
        }
        if depth >= budget.max_depth() {
            return Err(LimitExceeded("limit-depth"));
        }
        Ok(next)
    }

    /// Finds the next boundary line at or after `at`, which is a line's start, and ends what it
    /// ends.
    fn seek_boundary(&mut self, at: usize) -> Option<Next> {
        if self.boundaries.frames.is_empty() {
            return None;
        }
        let (line, (frame, closes)) = dashes(self.bytes, at).find_map(|line| {
            self.boundaries
                .matches(line_at(self.bytes, line))
                .map(|matched| (line, matched))
        })?;
        let after = line + line_at(self.bytes, line).len();
        self.end_above(frame + 1, line);
        if closes {
            if let Some(boundary) = self
                .stack
                .get_mut(frame)
                .and_then(|frame| frame.boundary.take())
            {
                self.boundaries.close(&boundary);
            }
            return Some(Next::Body(after));
        }
        Some(Next::Entity {
            at: after,
            mode: Mode::Part,
        })
    }

    /// Takes all frames from `keep` on off the stack; their entities end with the line before the
    /// one at `line`, whose line end belongs to the boundary.
    fn end_above(&mut self, keep: usize, line: usize) {
        let at_end = line == self.bytes.len();
        let before = self.bytes.get(..line).unwrap_or_default();
        let content = match before.strip_suffix(b"\n") {
            Some(cut) if !at_end => cut.strip_suffix(b"\r").unwrap_or(cut),
            _ => before,
        };
        while self.stack.len() > keep
            && let Some(frame) = self.stack.pop()
        {
            let end = content.len().max(self.earliest_end(frame.part));
            let Some(part) = self.parts.get_mut(frame.part) else {
                continue;
            };
            part.entity.start = part.entity.start.min(end);
            part.entity.end = end;
            part.body.start = part.body.start.min(end);
            part.body.end = end;
            if let Some(boundary) = frame.boundary {
                self.boundaries.close(&boundary);
                part.note = Some(Note::Unclosed);
            }
        }
    }

    /// Where the part at `index` ends if nothing is in it: where it begins, or, the root of an attached
    /// message, where the part begins that holds it. That part's own header may end in the line
    /// end that belongs to a boundary.
    fn earliest_end(&self, index: usize) -> usize {
        let mut at = self.parts.get(index);
        while let Some(part) = at
            && part.mode == Mode::Attached
            && let Some(parent) = part.parent
        {
            at = self.parts.get(parent);
        }
        at.map_or(0, |part| part.entity.start)
    }
}

/// The IMAP section of the next child of `parent`. `inherits`: the root multipart of an attached
/// message, which has its container's.
fn section(parent: Option<&Part>, inherits: bool) -> String {
    let Some(parent) = parent else {
        return String::new();
    };
    // A message that is one single part is its own part 1.
    let single_root = parent.section.is_empty() && parent.content_type.is_message();
    let prefix = if single_root {
        "1"
    } else {
        parent.section.as_str()
    };
    if inherits {
        return prefix.to_owned();
    }
    let number = parent.children.len() + 1;
    if prefix.is_empty() {
        number.to_string()
    } else {
        format!("{prefix}.{number}")
    }
}

/// The boundary parameter, where it can be one: not empty, no line end in it.
pub(super) fn usable_boundary(content_type: &ContentType) -> Option<&str> {
    if !content_type.is_multipart() {
        return None;
    }
    let boundary = content_type.param("boundary")?.trim_ascii_end();
    (!boundary.is_empty()).then_some(boundary)
}

/// Where lines begin with `--`, from the line start `from` on.
fn dashes(bytes: &[u8], from: usize) -> impl Iterator<Item = usize> + '_ {
    let rest = bytes.get(from..).unwrap_or_default();
    let first = rest.starts_with(b"--").then_some(from);
    first
        .into_iter()
        .chain(memmem::find_iter(rest, b"\n--").map(move |at| from + at + 1))
}

/// The line at `at`, its line end included.
fn line_at(bytes: &[u8], at: usize) -> &[u8] {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.get(..memchr(b'\n', rest).map_or(rest.len(), |end| end + 1))
        .unwrap_or_default()
}
