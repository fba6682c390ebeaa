//! All file creation, change and removal: private modes, temp + fsync + rename + fsync of the folder.
//!
//! Folders are made 0700 and files 0600, whatever the umask. A failed fsync is an error and is
//! never tried again: after it the kernel may have dropped the pages it could not write.

mod change;
#[cfg(test)]
pub(crate) mod fault;
mod file;
mod pending;
#[cfg(test)]
pub(crate) mod power;
mod scratch;
mod sum;

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

pub use file::{File, FileSystem, create, nameless, open, open_at, open_read_only};
pub use pending::{Pending, write_atomic};
pub use scratch::{Scratch, Spool, Spooling};
pub use sum::Sum;

use crate::error::{Error, Result};
use change::{Change, allow};

/// The suffix of every temporary file, so that a later run finds what a killed one left.
pub const TEMP_SUFFIX: &str = ".p7mill-tmp";

/// Makes `path` and its missing parents, mode 0700, durable before this returns.
pub fn create_dir_all(path: &Path) -> Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new(""));
    create_dir_all(parent)?;
    let made =
        allow(Change::MakeFolder(path)).and_then(|()| DirBuilder::new().mode(0o700).create(path));
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.map_err(Error::io("create folder", path)),
    }?;
    sync_dir(parent)
}

/// Makes what was renamed or created in `dir` durable.
pub fn sync_dir(dir: &Path) -> Result<()> {
    let dir = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    allow(Change::SyncFolder(dir))
        .and_then(|()| std::fs::File::open(dir))
        .and_then(|handle| handle.sync_all())
        .map_err(Error::io("sync folder", dir))
}

/// Makes a file durable that was written and let go of.
pub fn sync_file(path: &Path) -> Result<()> {
    allow(Change::Sync(path))
        .and_then(|()| std::fs::File::open(path))
        .and_then(|file| file.sync_all())
        .map_err(Error::io("sync", path))
}

/// Renames within one file system; the caller syncs the folder.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    allow(Change::Rename(from, to))
        .and_then(|()| std::fs::rename(from, to))
        .map_err(Error::io("rename into place", to))
}

/// Removes a file; the caller syncs the folder.
pub fn remove(path: &Path) -> Result<()> {
    allow(Change::Remove(path))
        .and_then(|()| std::fs::remove_file(path))
        .map_err(Error::io("remove", path))
}

/// Removes an empty folder; the caller syncs the one that holds it.
pub fn remove_dir(path: &Path) -> Result<()> {
    allow(Change::RemoveFolder(path))
        .and_then(|()| std::fs::remove_dir(path))
        .map_err(Error::io("remove", path))
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

/// An exclusive hold on a file, released when dropped or when the process dies.
#[derive(Debug)]
pub struct Lock {
    _file: std::fs::File,
}

impl Lock {
    /// Takes the lock or says [`Error::Busy`] for `what`.
    pub fn take(path: &Path, what: &Path) -> Result<Self> {
        let file = allow(Change::Open(path))
            .and_then(|()| {
                OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .mode(0o600)
                    .custom_flags(plain_flags())
                    .open(path)
            })
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
    fn a_file_has_its_name_only_when_it_is_durable_and_a_failure_anywhere_leaves_the_old_one() {
        use super::fault::{Failure, Made, failing, recorded};
        use rustix::io::Errno;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let put = |text: &[u8]| write_atomic(&path, |out| out.write_all(text));
        let (done, made) = recorded(|| put(b"old"));
        done.unwrap();
        let temp = temp_beside(&path);
        let expected = [
            Made::Open(temp.clone()),
            Made::Write(temp.clone(), 0, b"old".to_vec()),
            Made::Sync(temp.clone()),
            Made::Rename(temp, path.clone()),
            Made::SyncFolder(dir.path().to_path_buf()),
        ];
        assert_eq!(made, expected);
        for (after, half) in (0..expected.len()).flat_map(|n| [(n, false), (n, true)]) {
            let failure = Failure {
                of: |_| true,
                after,
                for_good: true,
                half,
                error: Errno::NOSPC,
            };
            let (done, _) = failing(failure, || put(b"new and longer"));
            let Err(Error::Io { source, .. }) = done else {
                panic!("{after}")
            };
            assert_eq!(source.kind(), io::ErrorKind::StorageFull);
            // The last step is to make the new name durable.
            let there: &[u8] = if after < 4 { b"old" } else { b"new and longer" };
            assert_eq!(std::fs::read(&path).unwrap(), there);
            put(b"old").unwrap();
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        }
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
