//! Bytes that are too many to hold: read as often as one likes, a piece at a time.

use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::fsio::Spool;

/// How much is read at once.
pub const PIECE: usize = 256 << 10;

/// Bytes too many to hold.
pub trait Bulk: fmt::Debug + Send + Sync {
    /// How many there are.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads them, from the byte `from` on.
    fn open_at(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>>;
}

impl Bulk for Vec<u8> {
    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }

    fn open_at(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        Ok(Box::new(self.get(from..).unwrap_or_default()))
    }
}

impl Bulk for Spool {
    fn len(&self) -> u64 {
        Self::len(self)
    }

    fn open_at(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(self.reader(from)))
    }
}

/// A range of other bytes.
#[derive(Debug, Clone)]
pub struct Stretch {
    of: Arc<dyn Bulk>,
    range: Range<u64>,
}

impl Stretch {
    /// The bytes `range` of `of`; what lies behind its end is left out.
    pub fn new(of: Arc<dyn Bulk>, range: Range<u64>) -> Self {
        let end = range.end.min(of.len());
        let range = range.start.min(end)..end;
        Self { of, range }
    }
}

impl Bulk for Stretch {
    fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    fn open_at(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let from = from.min(self.len());
        let reader = self.of.open_at(self.range.start + from)?;
        Ok(Box::new(reader.take(self.len() - from)))
    }
}

/// Some bytes behind others.
#[derive(Debug, Clone, Default)]
pub struct Chain(pub Vec<Arc<dyn Bulk>>);

impl Bulk for Chain {
    fn len(&self) -> u64 {
        self.0.iter().map(|link| link.len()).sum()
    }

    fn open_at(&self, mut from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let mut links = self.0.as_slice();
        while let Some((first, rest)) = links.split_first()
            && from >= first.len()
        {
            from -= first.len();
            links = rest;
        }
        Ok(Box::new(Links {
            left: links,
            from,
            reader: None,
        }))
    }
}

/// Reads one after the other, and opens each when its turn has come.
struct Links<'a> {
    left: &'a [Arc<dyn Bulk>],
    /// Where the next one is to be read from.
    from: u64,
    reader: Option<Box<dyn Read + Send + 'a>>,
}

impl Read for Links<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(reader) = &mut self.reader {
                let got = reader.read(buffer)?;
                if got > 0 || buffer.is_empty() {
                    return Ok(got);
                }
                self.reader = None;
            }
            let Some((next, rest)) = self.left.split_first() else {
                return Ok(0);
            };
            self.reader = Some(next.open_at(std::mem::take(&mut self.from))?);
            self.left = rest;
        }
    }
}

/// Gives all bytes to `sink`, a piece at a time.
pub fn each_piece<E: From<io::Error>>(
    bulk: &dyn Bulk,
    from: u64,
    mut sink: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut reader = bulk.open_at(from)?;
    let mut buffer = vec![0; PIECE];
    loop {
        let got = read_some(&mut reader, &mut buffer)?;
        if got == 0 {
            return Ok(());
        }
        sink(buffer.get(..got).unwrap_or_default())?;
    }
}

/// Reads until `buffer` is full or nothing comes any more.
pub fn read_some(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match reader.read(room) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The first bytes, at most `most`.
pub fn head(bulk: &dyn Bulk, most: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    bulk.open_at(0)?
        .take(most as u64)
        .read_to_end(&mut head)
        .map(|_| head)
}

/// Bytes made of others, piece by piece.
pub(crate) trait Change: Send {
    /// Takes a piece, the last one where `last`, and appends what is made of it.
    fn change(&mut self, piece: &[u8], last: bool, out: &mut Vec<u8>) -> io::Result<()>;
}

/// Reads what a [`Change`] makes.
pub(crate) struct Changed<'a, C> {
    from: Box<dyn Read + Send + 'a>,
    change: C,
    buffer: Vec<u8>,
    made: Vec<u8>,
    given: usize,
    ended: bool,
}

impl<'a, C: Change + 'a> Changed<'a, C> {
    /// Reads `of` changed, but for the first `skip` bytes of what comes of it.
    pub(crate) fn open(
        of: &'a dyn Bulk,
        change: C,
        skip: u64,
    ) -> io::Result<Box<dyn Read + Send + 'a>> {
        let mut reader = Self {
            from: of.open_at(0)?,
            change,
            buffer: vec![0; PIECE],
            made: Vec::new(),
            given: 0,
            ended: false,
        };
        io::copy(&mut (&mut reader).take(skip), &mut io::sink())?;
        Ok(Box::new(reader))
    }
}

impl<C: Change> Read for Changed<'_, C> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.given == self.made.len() && !self.ended {
            self.made.clear();
            self.given = 0;
            let got = read_some(&mut self.from, &mut self.buffer)?;
            self.ended = got == 0;
            let piece = self.buffer.get(..got).unwrap_or_default();
            self.change.change(piece, self.ended, &mut self.made)?;
        }
        let waiting = self.made.get(self.given..).unwrap_or_default();
        let count = waiting.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..count), waiting.get(..count)) {
            to.copy_from_slice(from);
        }
        self.given += count;
        Ok(count)
    }
}

/// Bytes that are not read any further once somebody says so.
#[derive(Debug, Clone)]
pub struct Stoppable {
    of: Arc<dyn Bulk>,
    stopped: Arc<AtomicBool>,
}

impl Stoppable {
    /// `of`, until `stopped` is set: from then on reading fails.
    pub fn new(of: Arc<dyn Bulk>, stopped: Arc<AtomicBool>) -> Self {
        Self { of, stopped }
    }
}

impl Bulk for Stoppable {
    fn len(&self) -> u64 {
        self.of.len()
    }

    fn open_at(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(UntilStopped {
            reader: self.of.open_at(from)?,
            stopped: &self.stopped,
        }))
    }
}

struct UntilStopped<'a> {
    reader: Box<dyn Read + Send + 'a>,
    stopped: &'a AtomicBool,
}

impl Read for UntilStopped<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(io::Error::other("stopped"));
        }
        self.reader.read(buffer)
    }
}
