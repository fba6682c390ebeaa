//! A file that has its final name only once it is whole.

use std::io::{self, BufWriter, IntoInnerError, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::sum::{Sum, Summed};
use super::{File, create, remove, rename, sync_dir, temp_beside};
use crate::error::{Error, Result};

/// A file that has its final name only once it is whole and durable; dropped before, it leaves
/// nothing.
#[derive(Debug)]
pub struct Pending {
    path: PathBuf,
    temp: PathBuf,
    /// `None` once everything is written.
    out: Option<Summed<BufWriter<File>>>,
    modified: Option<SystemTime>,
    mode: Option<u32>,
    done: bool,
}

/// Writes a file whole or not at all: what `fill` writes is durable, and reads back alike, before it
/// has its name.
pub fn write_atomic<F>(path: &Path, fill: F) -> Result<()>
where
    F: FnOnce(&mut dyn Write) -> io::Result<()>,
{
    let mut pending = Pending::create(path)?;
    pending.write(fill)?;
    pending.finish()
}

impl Pending {
    /// Begins the file that will be `path`.
    pub fn create(path: &Path) -> Result<Self> {
        let temp = temp_beside(path);
        let out = Summed {
            out: BufWriter::with_capacity(1 << 16, create(&temp)?),
            sum: Sum::default(),
        };
        Ok(Self {
            path: path.to_path_buf(),
            temp,
            out: Some(out),
            modified: None,
            mode: None,
            done: false,
        })
    }

    /// Lets `fill` write more.
    pub fn write(&mut self, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        let filled = match &mut self.out {
            Some(out) => fill(out),
            None => Err(io::Error::other("it was closed")),
        };
        filled.map_err(Error::io("write", &self.path))
    }

    /// The modification time that it will have.
    pub fn set_modified(&mut self, time: SystemTime) {
        self.modified = Some(time);
    }

    /// The mode that it will have, instead of 0600.
    pub fn set_mode(&mut self, mode: u32) {
        self.mode = Some(mode);
    }

    /// Makes what was written durable, reads it back, and gives the file back to the system; nothing
    /// can be added. It has its name only after [`Pending::finish`].
    pub fn close(&mut self) -> Result<()> {
        let Some(Summed { out, sum }) = self.out.take() else {
            return Ok(());
        };
        let file = out
            .into_inner()
            .map_err(IntoInnerError::into_error)
            .map_err(Error::io("write", &self.path))?;
        self.mode.map_or(Ok(()), |mode| file.set_mode(mode))?;
        self.modified
            .map_or(Ok(()), |time| file.set_modified(time))?;
        file.sync()?;
        sum.require(&self.temp)
    }

    /// Makes it durable and gives it its name.
    pub fn finish(mut self) -> Result<()> {
        self.close()?;
        rename(&self.temp, &self.path)?;
        self.done = true;
        sync_dir(self.path.parent().unwrap_or(Path::new(".")))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.done {
            let _ = remove(&self.temp);
        }
    }
}
