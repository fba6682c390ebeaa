//! A disk for tests: it keeps the record of what is changed, and fails where it is told to.
//!
//! A run makes its changes on the thread that called it, so the record is that thread's.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::change::Change;

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Made {
    MakeFolder(PathBuf),
    Open(PathBuf),
    Write(PathBuf, u64, Vec<u8>),
    SetLen(PathBuf, u64),
    SetModified(PathBuf, SystemTime),
    SetMode(PathBuf, u32),
    Sync(PathBuf),
    SyncData(PathBuf),
    SyncFolder(PathBuf),
    SyncAll(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    RemoveFolder(PathBuf),
}

impl Made {
    fn of(change: Change<'_>) -> Self {
        let own = Path::to_path_buf;
        match change {
            Change::MakeFolder(path) => Self::MakeFolder(own(path)),
            Change::Open(path) => Self::Open(own(path)),
            Change::Write(path, at, bytes) => Self::Write(own(path), at, bytes.to_vec()),
            Change::SetLen(path, len) => Self::SetLen(own(path), len),
            Change::SetModified(path, time) => Self::SetModified(own(path), time),
            Change::SetMode(path, mode) => Self::SetMode(own(path), mode),
            Change::Sync(path) => Self::Sync(own(path)),
            Change::SyncData(path) => Self::SyncData(own(path)),
            Change::SyncFolder(path) => Self::SyncFolder(own(path)),
            Change::SyncAll(path) => Self::SyncAll(own(path)),
            Change::Rename(from, to) => Self::Rename(own(from), own(to)),
            Change::Remove(path) => Self::Remove(own(path)),
            Change::RemoveFolder(path) => Self::RemoveFolder(own(path)),
        }
    }

    /// Whether it takes room on the disk.
    pub(crate) fn takes_room(&self) -> bool {
        matches!(self, Self::MakeFolder(_) | Self::Open(_) | Self::Write(..))
    }

    /// Whether something is to be durable after it.
    pub(crate) fn is_sync(&self) -> bool {
        matches!(
            self,
            Self::Sync(_) | Self::SyncData(_) | Self::SyncFolder(_) | Self::SyncAll(_)
        )
    }
}

/// How the disk fails.
#[derive(Clone, Copy)]
pub(crate) struct Failure {
    /// Which changes count.
    pub(crate) of: fn(&Made) -> bool,
    /// How many of them go well.
    pub(crate) after: usize,
    /// Whether all that follow fail too, as on a disk that is full.
    pub(crate) for_good: bool,
    /// Whether a write that fails has written half of its bytes first.
    pub(crate) half: bool,
    /// What the system says.
    pub(crate) error: rustix::io::Errno,
}

#[derive(Default)]
struct Disk {
    keeps: bool,
    made: Vec<Made>,
    failure: Option<Failure>,
    seen: usize,
    failed: usize,
}

thread_local! {
    static DISK: RefCell<Option<Disk>> = const { RefCell::new(None) };
}

/// Does `work`, and gives what it changed on the disk.
pub(crate) fn recorded<T>(work: impl FnOnce() -> T) -> (T, Vec<Made>) {
    let disk = Disk {
        keeps: true,
        ..Disk::default()
    };
    let (done, disk) = on(disk, work);
    (done, disk.made)
}

/// Does `work` on a disk that fails; gives what was changed from its first failure on, `None`
/// where it did not fail.
pub(crate) fn failing<T>(failure: Failure, work: impl FnOnce() -> T) -> (T, Option<Vec<Made>>) {
    let disk = Disk {
        failure: Some(failure),
        ..Disk::default()
    };
    let (done, disk) = on(disk, work);
    let failed = disk.failed > 0;
    (done, failed.then_some(disk.made))
}

fn on<T>(disk: Disk, work: impl FnOnce() -> T) -> (T, Disk) {
    DISK.with_borrow_mut(|slot| *slot = Some(disk));
    let done = work();
    let disk = DISK.with_borrow_mut(Option::take).unwrap_or_default();
    (done, disk)
}

pub(super) fn allow(change: Change<'_>) -> io::Result<()> {
    DISK.with_borrow_mut(|disk| {
        disk.as_mut()
            .map_or(Ok(()), |disk| disk.change(Made::of(change)))
    })
}

pub(super) fn take<'a>(path: &Path, at: u64, bytes: &'a [u8]) -> io::Result<&'a [u8]> {
    DISK.with_borrow_mut(|disk| {
        let Some(disk) = disk else { return Ok(bytes) };
        match disk.change(Made::of(Change::Write(path, at, bytes))) {
            // What a full disk still takes; the next write is told.
            Err(_)
                if disk.failed == 1
                    && disk.failure.is_some_and(|failure| failure.half)
                    && bytes.len() > 1 =>
            {
                Ok(bytes.get(..bytes.len() / 2).unwrap_or_default())
            }
            allowed => allowed.map(|()| bytes),
        }
    })
}

impl Disk {
    fn change(&mut self, made: Made) -> io::Result<()> {
        if let Some(failure) = &self.failure
            && (failure.of)(&made)
        {
            self.seen += 1;
            let fails = if failure.for_good {
                self.seen > failure.after
            } else {
                self.seen == failure.after + 1
            };
            if fails {
                self.failed += 1;
                self.keeps = true;
                return Err(failure.error.into());
            }
        }
        if self.keeps {
            self.made.push(made);
        }
        Ok(())
    }
}
