//! A CMS object that is too large to hold: its structure without its content, and where that lies.
//!
//! The object is read once, from its beginning to its end. What comes of it is another object, which
//! [`parse`](super::parse) reads: the same recipients, certificates, signers and attributes, as they
//! came, around a content of no bytes. What is malformed is so here as there.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use super::ber::{Malformed, tag};
use super::der;
use super::oid::{self, Oid};
use crate::bulk::{Bulk, PIECE, Stretch, read_some};

/// Bytes of structure that are held.
const MOST: usize = 16 << 20;

/// How deep elements of indefinite length, and octet strings, may nest: as in `ber` and `octets`.
const MAX_DEPTH: usize = 64;
const MAX_OCTETS_DEPTH: usize = 8;

/// What is kept of a content's beginning and end.
const HEAD: usize = 1024;
const TAIL: usize = 64;

/// An object without its content.
#[derive(Debug, Clone)]
pub struct Outline {
    /// The object around a content of no bytes.
    pub object: Vec<u8>,
    /// Its content; `None` where it has none.
    pub content: Option<LargeContent>,
    /// Every byte after `RecipientInfos`, as in [`EnvelopedData::tail`](super::EnvelopedData::tail).
    pub tail: Option<Stretch>,
}

/// The content of an object, without the headers of its pieces.
#[derive(Debug, Clone)]
pub struct LargeContent {
    /// The object.
    of: Arc<dyn Bulk>,
    /// Where the content's element has its body; the end of one of indefinite length is not known.
    start: u64,
    end: Option<u64>,
    constructed: bool,
    len: u64,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl LargeContent {
    /// Its first bytes, 1024 where it has as many, and its last ones, 64.
    pub fn ends(&self) -> [&[u8]; 2] {
        [&self.head, &self.tail]
    }
}

/// Why there is no outline.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The object could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is none.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Its structure alone is too large to hold, or its content is what only small ones are.
    #[error("a structure too large to hold")]
    TooLarge,
}

/// Reads the object that `bytes` begin with.
pub fn outline(bytes: &Arc<dyn Bulk>) -> Result<Outline, Trouble> {
    let mut input = Input::new(bytes.open_at(0)?);
    let whole = input.enter(tag::SEQUENCE, End::Open, "no CMS object")?;
    let mut content_type = Vec::new();
    input.element(tag::OID, whole, &mut content_type, "no object identifier")?;
    let body = super::ber::Tlv::only(&content_type)?.body;
    let mut walk = Walk {
        input,
        of: bytes,
        children: Vec::new(),
        content: None,
        tail: None,
    };
    let Some(shape) = Shape::of(Oid(body)) else {
        return Ok(Outline {
            object: der::sequence(&[&content_type]),
            content: None,
            tail: None,
        });
    };
    // As in `content::parse`: programs forget the explicit tag, or take it for an implicit one.
    if walk.input.peek(whole)? == Some(tag::SEQUENCE) {
        let inside = walk.input.enter(tag::SEQUENCE, whole, "")?;
        walk.structure(shape, inside)?;
    } else {
        let what = "CMS object without its content";
        let explicit = walk.input.enter(tag::constructed(0), whole, what)?;
        if walk.input.peek(explicit)? == Some(tag::INTEGER) {
            walk.structure(shape, explicit)?;
        } else {
            let inside = walk
                .input
                .enter(tag::SEQUENCE, explicit, "CMS content is no sequence")?;
            walk.structure(shape, inside)?;
            walk.input.leave(explicit, "bytes after an element")?;
        }
    }
    walk.input.leave(whole, "CMS object with something more")?;
    let behind = walk.input.shown_behind()?;
    let structure = der::sequence(&[&walk.children]);
    let explicit = der::element(tag::constructed(0), &[&structure]);
    Ok(Outline {
        object: [der::sequence(&[&content_type, &explicit]), behind].concat(),
        content: walk.content,
        tail: walk.tail,
    })
}

/// What is known of an object's structure by its type.
#[derive(Clone, Copy)]
struct Shape {
    /// Which SEQUENCE of it, counted from 0, holds the content.
    holder: usize,
    /// That names a cipher before the content, whose tag is implicit.
    encrypted: bool,
    /// There are RecipientInfos before it.
    recipients: bool,
}

impl Shape {
    fn of(content_type: Oid<'_>) -> Option<Self> {
        let (holder, encrypted, recipients) = match content_type {
            oid::SIGNED_DATA => (0, false, false),
            oid::ENVELOPED_DATA | oid::AUTH_ENVELOPED_DATA => (0, true, true),
            oid::ENCRYPTED_DATA => (0, true, false),
            oid::DIGESTED_DATA | oid::COMPRESSED_DATA => (1, false, false),
            _ => return None,
        };
        Some(Self {
            holder,
            encrypted,
            recipients,
        })
    }
}

/// Where an element ends.
#[derive(Clone, Copy)]
enum End {
    /// At that byte.
    At(u64),
    /// With end-of-contents octets, inside of what ends at that byte, where that is known.
    Octets(Option<u64>),
    /// With the input.
    Open,
}

impl End {
    /// The byte that nothing inside may go past.
    fn bound(self) -> Option<u64> {
        match self {
            Self::At(end) => Some(end),
            Self::Octets(end) => end,
            Self::Open => None,
        }
    }
}

struct Walk<'a> {
    input: Input<'a>,
    of: &'a Arc<dyn Bulk>,
    children: Vec<u8>,
    content: Option<LargeContent>,
    tail: Option<Stretch>,
}

impl Walk<'_> {
    /// The elements of the structure, up to its end.
    fn structure(&mut self, shape: Shape, end: End) -> Result<(), Trouble> {
        let mut sequences = 0;
        let mut after_recipients = None;
        while let Some(next) = self.input.peek(end)? {
            if next == tag::SEQUENCE && sequences == shape.holder {
                self.holder(shape, end)?;
                sequences += 1;
                continue;
            }
            sequences += usize::from(next == tag::SEQUENCE);
            self.input.any_element(end, &mut self.children)?;
            if next == tag::SET && shape.recipients && after_recipients.is_none() {
                after_recipients = Some(self.input.at);
            }
        }
        let until = self.input.at;
        self.tail = after_recipients.map(|from| Stretch::new(Arc::clone(self.of), from..until));
        self.input.leave(end, "CMS content with something more")
    }

    /// The SEQUENCE that names the content's type and holds it.
    fn holder(&mut self, shape: Shape, parent: End) -> Result<(), Trouble> {
        let end = self.input.enter(tag::SEQUENCE, parent, "")?;
        let mut inside = Vec::new();
        self.input
            .element(tag::OID, end, &mut inside, "no object identifier")?;
        if shape.encrypted {
            let what = "no content information";
            self.input.element(tag::SEQUENCE, end, &mut inside, what)?;
        }
        match self.input.peek(end)? {
            None => {}
            Some(form) if shape.encrypted && form & !tag::CONSTRUCTED == tag::primitive(0) => {
                self.content = Some(self.octets(form, end)?);
                inside.extend_from_slice(&der::element(tag::primitive(0), &[]));
            }
            Some(form) if !shape.encrypted && form == tag::constructed(0) => {
                let wrapper = self.input.enter(form, end, "")?;
                if let Some(form) = self.input.peek(wrapper)? {
                    if !matches!(form, tag::OCTET_STRING | tag::OCTET_STRING_CONSTRUCTED) {
                        // PKCS #7 around something else: never mail, and never large.
                        return Err(Trouble::TooLarge);
                    }
                    self.content = Some(self.octets(form, wrapper)?);
                    let empty = der::octet_string(&[]);
                    inside.extend_from_slice(&der::element(tag::constructed(0), &[&empty]));
                }
                self.input.leave(wrapper, "bytes after an element")?;
            }
            Some(_) => {
                return Err(Malformed("content information with something else").into());
            }
        }
        let what = "content information with something more";
        self.input.leave(end, what)?;
        self.children.extend_from_slice(&der::sequence(&[&inside]));
        Ok(())
    }

    /// An OCTET STRING in whatever form; its bytes are passed over.
    fn octets(&mut self, form: u8, parent: End) -> Result<LargeContent, Trouble> {
        let end = self.input.header(parent, |_| {})?;
        let start = self.input.at;
        let mut ends = Ends::default();
        if form & tag::CONSTRUCTED == 0 {
            let End::At(until) = end else {
                return Err(Malformed("primitive element of indefinite length").into());
            };
            self.input.pass(until - start, |bytes| ends.see(bytes))?;
        } else {
            let mut pieces = Frames::new(end);
            while let Some(len) = pieces.next(&mut self.input)? {
                self.input.pass(len, |bytes| ends.see(bytes))?;
            }
        }
        Ok(LargeContent {
            of: Arc::clone(self.of),
            start,
            end: match end {
                End::At(until) => Some(until),
                _ => None,
            },
            constructed: form & tag::CONSTRUCTED != 0,
            len: ends.len,
            head: ends.head,
            tail: ends.tail,
        })
    }
}

/// A content's beginning, end and length.
#[derive(Default)]
struct Ends {
    head: Vec<u8>,
    tail: Vec<u8>,
    len: u64,
}

impl Ends {
    fn see(&mut self, bytes: &[u8]) {
        let room = HEAD - self.head.len();
        self.head
            .extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        let last = bytes.len().saturating_sub(TAIL);
        self.tail
            .extend_from_slice(bytes.get(last..).unwrap_or_default());
        let over = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..over);
        self.len += bytes.len() as u64;
    }
}

/// The constructed octet strings that a reading is inside of.
struct Frames(Vec<End>);

impl Frames {
    fn new(end: End) -> Self {
        Self(vec![end])
    }

    /// The length of the next piece, whose header was read; none at the end.
    fn next(&mut self, input: &mut Input<'_>) -> Result<Option<u64>, Trouble> {
        while let Some(&end) = self.0.last() {
            let Some(form) = input.peek(end)? else {
                input.leave(end, "")?;
                self.0.pop();
                continue;
            };
            match (form, input.header(end, |_| {})?) {
                (tag::OCTET_STRING, End::At(until)) => return Ok(Some(until - input.at)),
                (tag::OCTET_STRING_CONSTRUCTED, inner) if self.0.len() < MAX_OCTETS_DEPTH => {
                    self.0.push(inner);
                }
                (tag::OCTET_STRING_CONSTRUCTED, _) => {
                    return Err(Malformed("octet string nested too deeply").into());
                }
                _ => return Err(Malformed("octet string made of something else").into()),
            }
        }
        Ok(None)
    }
}

/// BER as it comes.
struct Input<'a> {
    reader: Box<dyn Read + Send + 'a>,
    buffer: Vec<u8>,
    /// What of the buffer has not been taken.
    waiting: Range<usize>,
    /// How many bytes have been taken.
    at: u64,
}

impl<'a> Input<'a> {
    fn new(reader: Box<dyn Read + Send + 'a>) -> Self {
        Self {
            reader,
            buffer: vec![0; PIECE],
            waiting: 0..0,
            at: 0,
        }
    }

    /// What is there, at least `want` bytes of it unless the input ends.
    fn look(&mut self, want: usize) -> io::Result<&[u8]> {
        if self.waiting.len() < want {
            self.buffer.copy_within(self.waiting.clone(), 0);
            let mut filled = self.waiting.len();
            let room = self.buffer.get_mut(filled..).unwrap_or_default();
            filled += read_some(&mut self.reader, room)?;
            self.waiting = 0..filled;
        }
        Ok(self.buffer.get(self.waiting.clone()).unwrap_or_default())
    }

    fn take(&mut self, count: usize) {
        self.waiting.start += count;
        self.at += count as u64;
    }

    /// Takes `count` bytes, and gives them to `sink` as they come.
    fn pass(&mut self, mut count: u64, mut sink: impl FnMut(&[u8])) -> Result<(), Trouble> {
        while count > 0 {
            let here = self.look(1)?;
            let most = usize::try_from(count).unwrap_or(usize::MAX).min(here.len());
            if most == 0 {
                return Err(Malformed::CUT_OFF.into());
            }
            sink(here.get(..most).unwrap_or_default());
            self.take(most);
            count -= most as u64;
        }
        Ok(())
    }

    /// The tag of the next element inside what ends at `end`; none where that ends here.
    fn peek(&mut self, end: End) -> Result<Option<u8>, Trouble> {
        match end {
            End::At(until) if self.at >= until => return Ok(None),
            End::Octets(_) if self.look(2)?.starts_with(&[0, 0]) => return Ok(None),
            _ => {}
        }
        match self.look(1)?.first() {
            Some(first) => Ok(Some(*first)),
            None => Err(Malformed::CUT_OFF.into()),
        }
    }

    /// Leaves an element, whose end has to be here.
    fn leave(&mut self, end: End, what: &'static str) -> Result<(), Trouble> {
        if self.peek(end)?.is_some() {
            return Err(Malformed(what).into());
        }
        if matches!(end, End::Octets(_)) {
            if end.bound().is_some_and(|bound| self.at + 2 > bound) {
                return Err(Malformed::CUT_OFF.into());
            }
            self.take(2);
        }
        Ok(())
    }

    /// Takes the header of the next element, gives it to `keep`, and tells where the element ends.
    fn header(&mut self, parent: End, mut keep: impl FnMut(&[u8])) -> Result<End, Trouble> {
        /// Identifier octets up to six, and 127 of a length.
        const LONGEST: usize = 134;
        let here = self.look(LONGEST)?;
        let here = here.get(..LONGEST.min(here.len())).unwrap_or_default();
        let (first, length, rest) = super::ber::header(here)?;
        let count = here.len() - rest.len();
        keep(here.get(..count).unwrap_or_default());
        if first == 0 {
            return Err(Malformed("end-of-contents octets with a length").into());
        }
        self.take(count);
        let bound = parent.bound();
        let (end, last) = match length {
            super::ber::Length::Indefinite => (End::Octets(bound), self.at),
            super::ber::Length::Definite(len) => {
                let end = self.at.checked_add(len as u64).ok_or(Malformed::CUT_OFF)?;
                (End::At(end), end)
            }
        };
        if bound.is_some_and(|bound| last > bound) {
            return Err(Malformed::CUT_OFF.into());
        }
        Ok(end)
    }

    /// Enters the next element, which has to have this tag.
    fn enter(&mut self, tag: u8, parent: End, what: &'static str) -> Result<End, Trouble> {
        if self.peek(parent)? != Some(tag) {
            return Err(Malformed(what).into());
        }
        self.header(parent, |_| {})
    }

    /// Copies the next element, which has to have this tag.
    fn element(
        &mut self,
        tag: u8,
        parent: End,
        into: &mut Vec<u8>,
        what: &'static str,
    ) -> Result<(), Trouble> {
        if self.peek(parent)? != Some(tag) {
            return Err(Malformed(what).into());
        }
        self.any_element(parent, into)
    }

    /// Copies the next element, whatever it is.
    fn any_element(&mut self, parent: End, into: &mut Vec<u8>) -> Result<(), Trouble> {
        let mut open: Vec<End> = Vec::new();
        loop {
            let around = open.last().copied().unwrap_or(parent);
            if !open.is_empty() && self.peek(around)?.is_none() {
                self.leave(around, "")?;
                into.extend_from_slice(&[0, 0]);
                open.pop();
            } else {
                match self.header(around, |header| into.extend_from_slice(header))? {
                    End::At(until) => {
                        if until - self.at > (MOST - into.len().min(MOST)) as u64 {
                            return Err(Trouble::TooLarge);
                        }
                        self.pass(until - self.at, |bytes| into.extend_from_slice(bytes))?;
                    }
                    end if open.len() < MAX_DEPTH => open.push(end),
                    _ => return Err(Malformed("nested too deeply").into()),
                }
            }
            if into.len() > MOST {
                return Err(Trouble::TooLarge);
            }
            if open.is_empty() {
                return Ok(());
            }
        }
    }

    /// Some of what follows the object, other than padding; enough to tell that there is more than a
    /// stray byte.
    fn shown_behind(&mut self) -> Result<Vec<u8>, Trouble> {
        const ENOUGH: usize = 16;
        let mut behind = Vec::new();
        loop {
            let here = self.look(1)?;
            if here.is_empty() {
                return Ok(behind);
            }
            let shown = here
                .iter()
                .filter(|byte| **byte != 0 && !byte.is_ascii_whitespace());
            behind.extend(shown.take(ENOUGH.saturating_sub(behind.len())));
            let count = here.len();
            self.take(count);
        }
    }
}

impl Bulk for LargeContent {
    fn len(&self) -> u64 {
        self.len
    }

    fn open_at(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        if !self.constructed {
            let reader = self.of.open_at(self.start.saturating_add(from))?;
            return Ok(Box::new(reader.take(self.len.saturating_sub(from))));
        }
        let mut input = Input::new(self.of.open_at(self.start)?);
        input.at = self.start;
        let end = self.end.map_or(End::Octets(None), End::At);
        let mut pieces = Pieces {
            input,
            frames: Frames::new(end),
            left: 0,
        };
        io::copy(&mut (&mut pieces).take(from), &mut io::sink())?;
        Ok(Box::new(pieces))
    }
}

/// The pieces of a constructed octet string.
struct Pieces<'a> {
    input: Input<'a>,
    frames: Frames,
    /// Of the current one.
    left: u64,
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            match self.frames.next(&mut self.input) {
                Ok(Some(len)) => self.left = len,
                Ok(None) => return Ok(0),
                Err(Trouble::Io(error)) => return Err(error),
                // It was read before: it has changed since.
                Err(_) => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        let here = self.input.look(1)?;
        if here.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let count = most.min(here.len()).min(out.len());
        if let (Some(to), Some(bytes)) = (out.get_mut(..count), here.get(..count)) {
            to.copy_from_slice(bytes);
        }
        self.input.take(count);
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
