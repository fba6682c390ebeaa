//! What was written, for a look whether it reads back alike.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher as _;
use std::io::{self, Read as _, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// A sum over bytes in order: against accidents, not against forgers.
#[derive(Debug, Clone, Default)]
pub struct Sum(DefaultHasher);

impl Sum {
    /// Adds more bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// Reads the file at `path` back.
    ///
    /// # Errors
    /// [`Error::Damaged`] where it does not hold these bytes.
    pub fn require(&self, path: &Path) -> Result<()> {
        let mut file = std::fs::File::open(path).map_err(Error::io("open", path))?;
        let mut found = Self::default();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(got) => found.add(buffer.get(..got).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read", path)(error)),
            }
        }
        if found.0.finish() == self.0.finish() {
            return Ok(());
        }
        Err(Error::Damaged {
            path: path.to_path_buf(),
            what: "it does not read back as it was written".into(),
        })
    }
}

/// Adds up what passes by.
#[derive(Debug)]
pub(super) struct Summed<W> {
    pub(super) out: W,
    pub(super) sum: Sum,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sum.add(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
