//! Compressed streams: told by their first bytes, read through all their members, within a budget.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::source;
use crate::error::{Error, Result};

/// The compressed bytes of a file.
type Raw = io::Take<File>;

/// What a decoder may hold of a stream to refer back to, in KiB: xz's largest preset asks for 65 MiB.
const WINDOW_KIB: u32 = 128 << 10;
/// The same for zstd, as a power of two: what its own program opens unasked.
const WINDOW_LOG: u32 = 27;
/// How many places are kept open, of all streams together, and what they may hold beside the last.
const CURSORS: usize = 3;
const HELD: u64 = 128 << 20;

/// How bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Packing {
    /// RFC 1952.
    Gzip,
    /// bzip2.
    Bzip2,
    /// The .xz format.
    Xz,
    /// RFC 8878.
    Zstd,
    /// A member of a ZIP archive, stored (method 0) or deflated (8), with its CRC-32 and size.
    Zip {
        /// Whether it is deflated.
        deflated: bool,
        /// Of its bytes.
        crc: u32,
        /// How many bytes it has.
        size: u64,
    },
}

impl Packing {
    /// What a stream that begins with `head` is compressed by.
    pub fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Self::Bzip2),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            // Or a frame that zstd skips: pzstd and others begin with one.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// What names of such files end with, and what `sources.csv` adds to their kind.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Bzip2 => "bz2",
            Self::Xz => "xz",
            Self::Zstd => "zst",
            Self::Zip { .. } => "zip",
        }
    }

    /// The word for such a file that is not read.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Zip { .. } => "zip",
        }
    }

    fn decoder(self, input: BufReader<Raw>) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Gzip => Box::new(Gunzip::Between(input, true)),
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
            Self::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(input, true, WINDOW_KIB)),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
                decoder.window_log_max(WINDOW_LOG)?;
                Box::new(decoder)
            }
            Self::Zip {
                deflated,
                crc,
                size,
            } => {
                let input: Box<dyn Read + Send> = if deflated {
                    Box::new(flate2::bufread::DeflateDecoder::new(input))
                } else {
                    Box::new(input)
                };
                Box::new(Checked {
                    input,
                    sum: flate2::Crc::new(),
                    crc,
                    left: size,
                })
            }
        })
    }
}

/// Why a compressed stream gives no more bytes. Carried inside an [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Its bytes are no such stream, or a checksum does not fit.
    Corrupt,
    /// It ends within a member.
    Cut,
    /// It gives more than the budget allows for its size.
    Budget,
    /// All its members are sound, but something else follows them.
    Trailing,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why())
    }
}

impl std::error::Error for Damage {}

impl Damage {
    /// In words.
    pub fn why(self) -> &'static str {
        match self {
            Self::Corrupt => "it is damaged",
            Self::Cut => "it ends too early",
            Self::Budget => "it unpacks to more than --max-unpack allows",
            Self::Trailing => "something else follows what is compressed",
        }
    }

    /// The damage that an error tells of, if it tells of one.
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }

    pub(super) fn error(self) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, self)
    }
}

/// A compressed stream in a file, that can be read from any place.
///
/// There is no way to begin in the middle, so readers that stopped are kept ([`Cursors`]), and the next
/// one goes on where one of them is: whoever reads on in order decompresses once.
#[derive(Debug)]
pub struct Packed {
    path: PathBuf,
    /// Where the compressed bytes begin in the file, and how many they are.
    raw: (u64, u64),
    packing: Packing,
    /// How many bytes it may give.
    most: u64,
    cursors: Cursors,
}

/// Readers that stopped within their streams, the last at the end: few, whatever the number of
/// streams that share them, since a decoder may hold 128 MiB and an open file.
#[derive(Debug, Clone, Default)]
pub struct Cursors(Arc<Mutex<Vec<Cursor>>>);

impl Cursors {
    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Cursor>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that is nearest before `offset` of a stream.
    fn take(&self, of: &Arc<Packed>, offset: u64) -> Option<Cursor> {
        let mut kept = self.kept();
        let (nearest, _) = kept
            .iter()
            .enumerate()
            .filter(|(_, cursor)| cursor.at <= offset && cursor.of.as_ptr() == Arc::as_ptr(of))
            .max_by_key(|(_, cursor)| cursor.at)?;
        Some(kept.remove(nearest))
    }

    fn keep(&self, cursor: Cursor) {
        let mut kept = self.kept();
        kept.retain(|cursor| cursor.of.strong_count() > 0);
        kept.push(cursor);
        // A decoder holds no more than it has given.
        while kept.len() > CURSORS
            || kept.len() > 1 && kept.iter().map(|cursor| cursor.at).sum::<u64>() > HELD
        {
            kept.remove(0);
        }
    }
}

/// A reader and its place in the stream.
struct Cursor {
    of: Weak<Packed>,
    at: u64,
    input: Box<dyn Read + Send>,
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}", self.at)
    }
}

impl PartialEq for Packed {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, self.raw, self.packing) == (&other.path, other.raw, other.packing)
    }
}

impl Eq for Packed {}

impl Packed {
    /// The stream in `raw` (offset and length) of the file at `path`, which may give `most` bytes.
    pub fn new(path: PathBuf, raw: (u64, u64), packing: Packing, most: u64) -> Self {
        Self {
            path,
            raw,
            packing,
            most,
            cursors: Cursors::default(),
        }
    }

    /// With places in it kept open among those of others.
    #[must_use]
    pub fn sharing(self, cursors: &Cursors) -> Self {
        Self {
            cursors: cursors.clone(),
            ..self
        }
    }

    /// What it is compressed by.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// How many bytes it gives, where its container says so.
    pub(super) fn stated_len(&self) -> Option<u64> {
        match self.packing {
            Packing::Zip { size, .. } => Some(size),
            _ => None,
        }
    }

    /// The file that holds it.
    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Its bytes from `offset` on.
    pub(super) fn open_at(self: &Arc<Self>, offset: u64) -> Result<Reader> {
        let cursor = match self.cursors.take(self, offset) {
            Some(cursor) => cursor,
            None => self.begin().map_err(Error::io("read", &self.path))?,
        };
        let mut reader = Reader {
            packed: Arc::clone(self),
            cursor: Some(cursor),
        };
        let skip = offset.saturating_sub(reader.at());
        let skipped = io::copy(&mut (&mut reader).take(skip), &mut io::sink())
            .map_err(Error::io("read", &self.path))?;
        if skipped < skip {
            reader.cursor = None;
        }
        Ok(reader)
    }

    fn begin(self: &Arc<Self>) -> io::Result<Cursor> {
        let (offset, len) = self.raw;
        let mut file = source::open_regular(&self.path).map_err(io_error)?;
        file.seek(SeekFrom::Start(offset))?;
        let input = BufReader::with_capacity(1 << 16, file.take(len));
        Ok(Cursor {
            of: Arc::downgrade(self),
            at: 0,
            input: Box::new(Guarded {
                input: Some(self.packing.decoder(input)?),
                left: self.most,
            }),
        })
    }
}

pub(super) fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io { source, .. } => source,
        other => io::Error::other(other.to_string()),
    }
}

/// A stream's bytes from some place on.
#[derive(Debug)]
pub(super) struct Reader {
    packed: Arc<Packed>,
    /// `None` where nothing more comes.
    cursor: Option<Cursor>,
}

impl Reader {
    fn at(&self) -> u64 {
        self.cursor.as_ref().map_or(0, |cursor| cursor.at)
    }
}

impl Read for Reader {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let Some(cursor) = &mut self.cursor else {
            return Ok(0);
        };
        match cursor.input.read(space) {
            Ok(0) if !space.is_empty() => {
                self.cursor = None;
                Ok(0)
            }
            Ok(got) => {
                cursor.at += got as u64;
                Ok(got)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Err(e),
            Err(e) => {
                self.cursor = None;
                Err(e)
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(cursor) = self.cursor.take() {
            self.packed.cursors.keep(cursor);
        }
    }
}

/// A decoder within its budget, whose errors are [`Damage`], whatever it does on hostile bytes.
struct Guarded {
    /// `None` once it has failed.
    input: Option<Box<dyn Read + Send>>,
    left: u64,
}

impl Guarded {
    fn decode(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let Some(input) = &mut self.input else {
            return Err(Damage::Corrupt.error());
        };
        let result = catch_unwind(AssertUnwindSafe(|| input.read(space)))
            .unwrap_or_else(|_| Err(Damage::Corrupt.error()));
        result.map_err(|error| {
            // What the operating system says is about the file, not about what is in it.
            if error.kind() == io::ErrorKind::Interrupted || error.raw_os_error().is_some() {
                return error;
            }
            self.input = None;
            let cut = error.kind() == io::ErrorKind::UnexpectedEof;
            let other = if cut { Damage::Cut } else { Damage::Corrupt };
            Damage::of(&error).unwrap_or(other).error()
        })
    }
}

impl Read for Guarded {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if space.is_empty() {
            return Ok(0);
        }
        if self.left == 0 {
            return match self.decode(&mut [0])? {
                0 => Ok(0),
                _ => Err(Damage::Budget.error()),
            };
        }
        let room = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(space.len());
        let got = self.decode(space.get_mut(..room).unwrap_or_default())?;
        self.left -= got as u64;
        Ok(got)
    }
}

/// The members of a gzip stream, one after another; zeros behind the last are padding.
enum Gunzip {
    /// Before a member; whether it is the first.
    Between(BufReader<Raw>, bool),
    Within(Box<flate2::bufread::GzDecoder<BufReader<Raw>>>),
    Ended,
}

impl Read for Gunzip {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(self, Self::Ended) {
                Self::Between(mut input, first) => {
                    match input.fill_buf()? {
                        [] if first => return Err(io::ErrorKind::UnexpectedEof.into()),
                        [] => return Ok(0),
                        [0x1f, ..] => {}
                        [0, ..] if !first => return only_zeros(&mut input),
                        _ if first => return Err(io::ErrorKind::InvalidData.into()),
                        _ => return Err(Damage::Trailing.error()),
                    }
                    let decoder = flate2::bufread::GzDecoder::new(input);
                    *self = Self::Within(Box::new(decoder));
                }
                Self::Within(mut decoder) => {
                    let got = decoder.read(space)?;
                    if got > 0 {
                        *self = Self::Within(decoder);
                        return Ok(got);
                    }
                    *self = Self::Between(decoder.into_inner(), false);
                }
                Self::Ended => return Ok(0),
            }
        }
    }
}

fn only_zeros(input: &mut BufReader<Raw>) -> io::Result<usize> {
    loop {
        let held = input.fill_buf()?;
        if held.iter().any(|&byte| byte != 0) {
            return Err(Damage::Trailing.error());
        }
        match held.len() {
            0 => return Ok(0),
            len => input.consume(len),
        }
    }
}

/// A ZIP member: as many bytes as were stated, with the checksum that was.
struct Checked {
    input: Box<dyn Read + Send>,
    sum: flate2::Crc,
    crc: u32,
    left: u64,
}

impl Read for Checked {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if space.is_empty() {
            return Ok(0);
        }
        if self.left == 0 {
            // More than was stated would escape the archive's budget.
            let more = self.input.read(&mut [0])? > 0;
            return if more || self.sum.sum() != self.crc {
                Err(Damage::Corrupt.error())
            } else {
                Ok(0)
            };
        }
        let room = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(space.len());
        let space = space.get_mut(..room).unwrap_or_default();
        let got = self.input.read(space)?;
        if got == 0 {
            return Err(Damage::Cut.error());
        }
        self.sum.update(space.get(..got).unwrap_or_default());
        self.left -= got as u64;
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_places_are_kept_open_whatever_the_number_of_streams() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let zeros = zstd::encode_all(io::repeat(0).take(140 << 20), 1).unwrap();
        crate::fsio::write_atomic(&path, |out| io::Write::write_all(out, &zeros)).unwrap();
        let cursors = Cursors::default();
        let packed = || {
            let raw = (0, zeros.len() as u64);
            Arc::new(Packed::new(path.clone(), raw, Packing::Zstd, 1 << 30).sharing(&cursors))
        };
        let streams: Vec<_> = (0..12).map(|_| packed()).collect();
        for stream in &streams {
            stream.open_at(10).unwrap();
        }
        assert_eq!(cursors.kept().len(), CURSORS);
        for stream in streams.iter().take(3) {
            stream.open_at(130 << 20).unwrap();
        }
        assert_eq!(cursors.kept().len(), 1);
        drop(streams);
        let last = packed();
        last.open_at(1).unwrap();
        assert_eq!(cursors.kept().len(), 1);
        assert!(cursors.take(&last, 0).is_none());
        assert!(cursors.take(&last, 2).is_some());
    }
}
