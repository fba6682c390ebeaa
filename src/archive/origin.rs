//! A stream of mail that can be opened again, so that a message need not be held to be read twice.

use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::packed::Packed;
use super::source;
use crate::error::{Error, Result};

/// Where a stream of bytes comes from: a file, what is compressed in one, or a stretch of either.
/// Offsets in it are those of the mail, whatever it is wrapped in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    path: PathBuf,
    packed: Option<Arc<Packed>>,
    stretch: Option<Stretch>,
    modified: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    offset: u64,
    len: u64,
}

impl Origin {
    /// A file as it is.
    pub fn file(path: PathBuf) -> Self {
        Self {
            path,
            packed: None,
            stretch: None,
            modified: None,
        }
    }

    /// What is compressed in a file.
    pub fn packed(packed: Packed) -> Self {
        let path = packed.path().to_path_buf();
        Self {
            packed: Some(Arc::new(packed)),
            ..Self::file(path)
        }
    }

    /// `len` bytes of it from `offset` on; of a whole one, not of a stretch.
    #[must_use]
    pub fn stretch(&self, offset: u64, len: u64) -> Self {
        Self {
            stretch: Some(Stretch { offset, len }),
            ..self.clone()
        }
    }

    /// With a time of its own, in Unix seconds: that of a member of an archive.
    #[must_use]
    pub fn with_time(self, seconds: u64) -> Self {
        Self {
            modified: Some(seconds),
            ..self
        }
    }

    /// The file that holds it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is a file, whole and as it lies.
    pub fn is_file(&self) -> bool {
        self.packed.is_none() && self.stretch.is_none()
    }

    /// When it was last modified: the file, or what an archive says of a member.
    pub fn modified(&self) -> Option<SystemTime> {
        if let Some(seconds) = self.modified {
            return SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        }
        std::fs::symlink_metadata(&self.path)
            .and_then(|found| found.modified())
            .ok()
    }

    /// Its bytes from `offset` on, in bytes. A stretch that has fewer than it should ends early.
    pub fn open_at(&self, offset: u64) -> Result<Box<dyn Read + Send>> {
        let Some(Stretch { offset: begin, len }) = self.stretch else {
            return self.whole_at(offset);
        };
        let left = len.saturating_sub(offset);
        let whole = self.whole_at(begin.saturating_add(offset.min(len)))?;
        Ok(Box::new(whole.take(left)))
    }

    fn whole_at(&self, offset: u64) -> Result<Box<dyn Read + Send>> {
        if let Some(packed) = &self.packed {
            return Ok(Box::new(packed.open_at(offset)?));
        }
        let mut file = source::open_regular(&self.path)?;
        file.seek(SeekFrom::Start(offset))
            .map_err(Error::io("seek in", &self.path))?;
        Ok(Box::new(file))
    }

    /// Its first `len` bytes, fewer where it has fewer; and why, where it has not ended there.
    pub fn head(&self, len: usize) -> Result<(Vec<u8>, Option<io::Error>)> {
        let mut bytes = Vec::new();
        let read = self.open_at(0)?.take(len as u64).read_to_end(&mut bytes);
        Ok((bytes, read.err()))
    }

    /// How many bytes it has, as far as that is known without reading it.
    pub(super) fn stated_len(&self) -> Option<u64> {
        match (self.stretch, &self.packed) {
            (Some(stretch), _) => Some(stretch.len),
            (None, Some(packed)) => packed.stated_len(),
            (None, None) => std::fs::symlink_metadata(&self.path).ok().map(|m| m.len()),
        }
    }

    /// Reads on to the end and counts.
    pub(super) fn measure(&self) -> io::Result<u64> {
        let mut input = self.open_at(0).map_err(super::packed::io_error)?;
        io::copy(&mut input, &mut io::sink())
    }
}
