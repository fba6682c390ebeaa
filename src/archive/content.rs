//! A message's bytes, in memory or where they lie.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::origin::Origin;
use crate::bulk::Bulk;
use crate::error::{Error, Result};

/// What one read of a message that is not in memory asks for.
const PIECE: usize = 1 << 20;

/// A message's bytes, or where they lie if they are too many to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// In memory.
    Bytes(Vec<u8>),
    /// Over [`Limits::message_bytes`](crate::limits::Limits): streamed.
    TooLarge {
        /// What holds it.
        origin: Origin,
        /// Where it begins there, in bytes.
        offset: u64,
        /// How many bytes it has.
        len: u64,
    },
}

impl Content {
    /// Its bytes, where they are in memory.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::TooLarge { .. } => None,
        }
    }

    /// How many bytes it has.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::TooLarge { len, .. } => *len,
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes as a stream of exactly [`Content::len`]: one that ends before is an
    /// [`io::ErrorKind::UnexpectedEof`]. Opened anew each time.
    pub fn reader(&self) -> Result<Box<dyn Read + Send + '_>> {
        self.reader_from(0)
    }

    fn reader_from(&self, from: u64) -> Result<Box<dyn Read + Send + '_>> {
        let from = from.min(self.len());
        match self {
            Self::Bytes(bytes) => Ok(Box::new(
                usize::try_from(from)
                    .ok()
                    .and_then(|from| bytes.get(from..))
                    .unwrap_or_default(),
            )),
            Self::TooLarge {
                origin,
                offset,
                len,
            } => Ok(Box::new(Exactly {
                input: origin.open_at(offset.saturating_add(from))?,
                left: len - from,
            })),
        }
    }

    /// Its bytes, to be read where they lie.
    pub fn bulk(&self) -> Arc<dyn Bulk> {
        Arc::new(self.clone())
    }

    /// Shows its bytes to `sink`, piece by piece, so that a large message costs no memory.
    pub fn each_piece(&self, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.first_pieces(self.len(), sink)
    }

    /// As [`Content::each_piece`], with no more than its first `most` bytes.
    pub fn first_pieces(&self, most: u64, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let Self::TooLarge { origin, .. } = self else {
            let bytes = self.bytes().unwrap_or_default();
            let end = usize::try_from(most).map_or(bytes.len(), |most| most.min(bytes.len()));
            return sink(bytes.get(..end).unwrap_or_default());
        };
        let mut input = self.reader()?.take(most);
        let mut buffer = vec![0; PIECE];
        loop {
            let got = match input.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(got) => got,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(unread(origin.path(), e)),
            };
            sink(buffer.get(..got).unwrap_or_default())?;
        }
    }
}

impl Bulk for Content {
    fn len(&self) -> u64 {
        Self::len(self)
    }

    fn open_at(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        self.reader_from(from).map_err(|error| match error {
            Error::Io { source, .. } => source,
            other => io::Error::other(other),
        })
    }
}

fn unread(path: &Path, error: io::Error) -> Error {
    Error::io("read", path)(error)
}

/// `left` bytes of a stream; less is an error.
struct Exactly<R> {
    input: R,
    left: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(space.len());
        let Some(space) = space.get_mut(..room).filter(|space| !space.is_empty()) else {
            return Ok(0);
        };
        let got = self.input.read(space)?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= got as u64;
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_of_a_file_is_read_exactly_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        crate::fsio::write_atomic(&path, |out| out.write_all(b"0123456789")).unwrap();
        let stretch = |offset, len| Content::TooLarge {
            origin: Origin::file(path.clone()),
            offset,
            len,
        };
        let mut bytes = Vec::new();
        stretch(3, 4)
            .reader()
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        assert_eq!(bytes, b"3456");
        let mut seen = Vec::new();
        let mut keep = |piece: &[u8]| {
            seen.extend_from_slice(piece);
            Ok(())
        };
        stretch(8, 2).each_piece(&mut keep).unwrap();
        stretch(0, 9).first_pieces(2, &mut keep).unwrap();
        assert_eq!(seen, b"8901");
        assert!(stretch(8, 3).each_piece(&mut |_| Ok(())).is_err());
    }
}
