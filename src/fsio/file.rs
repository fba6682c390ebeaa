//! A file that is being written.

use std::io::{self, Write};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::change::{Change, allow, take};
use crate::error::{Error, Result};

/// A file that is being written; it knows its path, and where it stands.
#[derive(Debug)]
pub struct File {
    handle: std::fs::File,
    path: PathBuf,
    at: u64,
}

/// Opens a new file for writing, mode 0600; an existing one (never a symlink's target) is emptied.
pub fn create(path: &Path) -> Result<File> {
    let mut file = opened(path, "create")?;
    file.cut(0)?;
    Ok(file)
}

/// Opens a file for appending, cut to `len` bytes first; mode 0600 where it is new.
pub fn open_at(path: &Path, len: u64) -> Result<File> {
    let mut file = open(path)?;
    let found = file.length()?;
    if found < len {
        return Err(Error::Damaged {
            path: path.to_path_buf(),
            what: format!("{found} bytes where at least {len} were written; use --start-over"),
        });
    }
    file.cut(len)?;
    Ok(file)
}

/// Opens a file for reading and writing, made with mode 0600 where it is missing; never a
/// symlink's target, never a FIFO.
pub fn open(path: &Path) -> Result<File> {
    opened(path, "open")
}

fn opened(path: &Path, action: &'static str) -> Result<File> {
    allow(Change::Open(path))
        .and_then(|()| {
            std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(super::plain_flags())
                .open(path)
        })
        .map(|file| File::new(file, path))
        .map_err(Error::io(action, path))
}

/// Opens a file that is there for reading; writing to it fails.
pub fn open_read_only(path: &Path) -> Result<File> {
    std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(super::plain_flags())
        .open(path)
        .map(|file| File::new(file, path))
        .map_err(Error::io("open", path))
}

/// A file that has no name and is gone with the process.
pub fn nameless() -> Result<File> {
    let dir = std::env::temp_dir();
    tempfile::tempfile()
        .map(|file| File::new(file, &dir))
        .map_err(Error::io("create a temporary file in", &dir))
}

impl File {
    fn new(handle: std::fs::File, path: &Path) -> Self {
        Self {
            handle,
            path: path.to_path_buf(),
            at: 0,
        }
    }

    /// For reading, at places of the caller's choice.
    pub fn reader(&self) -> Result<std::fs::File> {
        self.handle
            .try_clone()
            .map_err(Error::io("open", &self.path))
    }

    /// Its length in bytes.
    pub fn length(&self) -> Result<u64> {
        let found = self
            .handle
            .metadata()
            .map_err(Error::io("read", &self.path));
        Ok(found?.len())
    }

    /// Makes it `len` bytes long; what is written next stands behind them.
    pub fn cut(&mut self, len: u64) -> Result<()> {
        if self.length()? != len {
            allow(Change::SetLen(&self.path, len))
                .and_then(|()| self.handle.set_len(len))
                .map_err(Error::io("truncate", &self.path))?;
        }
        self.at = len;
        Ok(())
    }

    /// Sets its modification time.
    pub fn set_modified(&self, time: SystemTime) -> Result<()> {
        allow(Change::SetModified(&self.path, time))
            .and_then(|()| self.handle.set_modified(time))
            .map_err(Error::io("set the time of", &self.path))
    }

    /// Sets its mode.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        allow(Change::SetMode(&self.path, mode))
            .and_then(|()| {
                let mode = std::fs::Permissions::from_mode(mode);
                self.handle.set_permissions(mode)
            })
            .map_err(Error::io("set the mode of", &self.path))
    }

    /// Makes content and attributes durable.
    pub fn sync(&self) -> Result<()> {
        allow(Change::Sync(&self.path))
            .and_then(|()| self.handle.sync_all())
            .map_err(Error::io("sync", &self.path))
    }

    /// Makes the content durable.
    pub fn sync_data(&self) -> Result<()> {
        allow(Change::SyncData(&self.path))
            .and_then(|()| self.handle.sync_data())
            .map_err(Error::io("sync", &self.path))
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = take(&self.path, self.at, bytes)?;
        let written = self.handle.write_at(bytes, self.at)?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The file system that a folder lies on.
#[derive(Debug)]
pub struct FileSystem {
    handle: std::fs::File,
    folder: PathBuf,
}

impl FileSystem {
    /// Of `folder`. Held from before the first write, it learns of any page that could not be
    /// written.
    pub fn of(folder: &Path) -> Result<Self> {
        let handle = std::fs::File::open(folder).map_err(Error::io("open", folder))?;
        Ok(Self {
            handle,
            folder: folder.to_path_buf(),
        })
    }

    /// Makes everything on it durable, which costs what the busiest writer there has left undone.
    pub fn sync(&self) -> Result<()> {
        allow(Change::SyncAll(&self.folder))
            .and_then(|()| rustix::fs::syncfs(&self.handle).map_err(io::Error::from))
            .map_err(Error::io("sync", &self.folder))
    }
}
