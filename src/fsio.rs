//! All file creation: private modes, temp + fsync + rename + fsync of the folder.
//!
//! Folders are made 0700 and files 0600, whatever the umask. A failed fsync is an error and is
//! never tried again: after it the kernel may have dropped the pages it could not write.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The suffix of every temporary file, so that a later run finds what a killed one left.
pub const TEMP_SUFFIX: &str = ".p7mill-tmp";

/// Makes `path` and its missing parents, mode 0700.
pub fn create_dir_all(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::io("create folder", path))
}

/// Makes what was renamed or created in `dir` durable.
pub fn sync_dir(dir: &Path) -> Result<()> {
    let dir = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    File::open(dir)
        .and_then(|handle| handle.sync_all())
        .map_err(Error::io("sync folder", dir))
}

/// Opens a new file for writing, mode 0600; an existing one (never a symlink's target) is emptied.
pub fn create(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(Error::io("create", path))
}

/// Opens a file for appending, cut to `len` bytes first; mode 0600 where it is new.
pub fn open_at(path: &Path, len: u64) -> Result<File> {
    use std::io::Seek as _;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(Error::io("open", path))?;
    let found = file.metadata().map_err(Error::io("read", path))?.len();
    if found < len {
        return Err(Error::Damaged {
            path: path.to_path_buf(),
            what: format!("{found} bytes where at least {len} were written; use --start-over"),
        });
    }
    file.set_len(len).map_err(Error::io("truncate", path))?;
    file.seek(io::SeekFrom::End(0))
        .map_err(Error::io("seek in", path))?;
    Ok(file)
}

/// Writes a file whole or not at all: `fill` writes to a temporary beside `path`, which is synced
/// and renamed over it, and the folder is synced.
pub fn write_atomic<F>(path: &Path, fill: F) -> Result<()>
where
    F: FnOnce(&mut dyn Write) -> io::Result<()>,
{
    let temp = Temporary(temp_beside(path));
    let file = create(&temp.0)?;
    let mut writer = BufWriter::with_capacity(1 << 16, file);
    fill(&mut writer)
        .and_then(|()| writer.flush())
        .map_err(Error::io("write", path))?;
    let file = writer
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)
        .map_err(Error::io("write", path))?;
    file.sync_all().map_err(Error::io("sync", path))?;
    drop(file);
    rename(&temp.0, path)?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// Renames within one file system; the caller syncs the folder.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(Error::io("rename into place", to))
}

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(Error::io("read", path))
}

/// Refuses, before it is opened, what is there but is no ordinary file: a link leads elsewhere, a
/// FIFO waits for ever. What is missing is left to whoever opens it.
pub fn require_plain(path: &Path) -> Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => Err(Error::Damaged {
            path: path.to_path_buf(),
            what: "it is not an ordinary file".into(),
        }),
        _ => Ok(()),
    }
}

/// Flags that open no link and wait for no writer.
pub fn plain_flags() -> i32 {
    (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK)
        .bits()
        .cast_signed()
}

/// The temporary's name for `path`: hidden, beside it.
pub fn temp_beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(TEMP_SUFFIX);
    path.with_file_name(name)
}

/// Removes its file when dropped, so that no failure or panic leaves a half file.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// An exclusive hold on a file, released when dropped or when the process dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock or says [`Error::Busy`] for `what`.
    pub fn take(path: &Path, what: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(plain_flags())
            .open(path)
            .map_err(Error::io("open lock", path))?;
        // A process that is just being started holds its parent's files until it has begun, so a
        // lock that was let go may look held for a moment.
        let mut tries = 50;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(std::fs::TryLockError::WouldBlock) if tries > 0 => {
                    tries -= 1;
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                Err(std::fs::TryLockError::WouldBlock) => {
                    return Err(Error::Busy(what.to_path_buf()));
                }
                Err(std::fs::TryLockError::Error(source)) => {
                    return Err(Error::io("lock", path)(source));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_atomic(&path, |out| out.write_all(b"old")).unwrap();
        let failed = write_atomic(&path, |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("full"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn the_second_holder_is_told_who_is_busy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::take(&path, dir.path()).unwrap();
        assert!(matches!(Lock::take(&path, dir.path()), Err(Error::Busy(_))));
        drop(first);
        assert!(Lock::take(&path, dir.path()).is_ok());
    }
}
