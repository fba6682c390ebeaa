//! Private temporaries without a name.

use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{File, TEMP_SUFFIX, create, create_dir_all, remove};
use crate::error::Error;

/// A folder for temporaries.
#[derive(Debug)]
pub struct Scratch {
    folder: PathBuf,
    next: AtomicU64,
}

impl Scratch {
    /// In `folder`, which is made when the first one is needed.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            next: AtomicU64::new(0),
        }
    }

    /// Where they lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A new temporary, empty, mode 0600. It loses its name before anything is written to it: what is
    /// in it is gone with this process, however that ends.
    pub fn spool(&self) -> io::Result<Spooling> {
        let made = create_dir_all(&self.folder).and_then(|()| {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let path = self.folder.join(format!(".{number}{TEMP_SUFFIX}"));
            let file = create(&path)?;
            remove(&path)?;
            Ok(Spooling { file, len: 0 })
        });
        made.map_err(|error| match error {
            Error::Io { source, .. } => source,
            other => io::Error::other(other),
        })
    }
}

/// A temporary that is being written.
#[derive(Debug)]
pub struct Spooling {
    file: File,
    len: u64,
}

impl Spooling {
    /// Ends writing: from here on it is read.
    pub fn finish(self) -> io::Result<Spool> {
        let handle = self.file.reader().map_err(io::Error::other)?;
        Ok(Spool {
            handle,
            len: self.len,
        })
    }
}

impl Write for Spooling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A temporary that is read, at several places at once.
#[derive(Debug)]
pub struct Spool {
    handle: std::fs::File,
    len: u64,
}

impl Spool {
    /// How many bytes it has.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads it from `at` on.
    pub fn reader(&self, at: u64) -> impl Read + Send + '_ {
        Reader {
            handle: &self.handle,
            at,
        }
    }
}

struct Reader<'a> {
    handle: &'a std::fs::File,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.handle.read_at(buffer, self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}
