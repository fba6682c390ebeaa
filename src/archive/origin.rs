//! A stream of mail that can be opened again, so that a message need not be held to be read twice.

use std::io::{Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::source;
use crate::error::{Error, Result};

/// Where a stream of bytes comes from. Offsets in it are those of the mail, whatever it is wrapped
/// in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    path: PathBuf,
}

impl Origin {
    /// A file as it is.
    pub fn file(path: PathBuf) -> Self {
        Self { path }
    }

    /// The file that holds it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its bytes from `offset` on, in bytes.
    pub fn open_at(&self, offset: u64) -> Result<Box<dyn Read + Send>> {
        let mut file = source::open_regular(&self.path)?;
        file.seek(SeekFrom::Start(offset))
            .map_err(Error::io("seek in", &self.path))?;
        Ok(Box::new(file))
    }
}
