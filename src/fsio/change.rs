//! What changes on the disk, one thing after another: every change that p7mill makes passes
//! [`allow`] or [`take`], so that a test can keep the record, and say where the disk fails.

use std::path::Path;
use std::time::SystemTime;

/// A change of the disk that is about to be made.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "only a test's disk looks at what is changed")
)]
pub(crate) enum Change<'a> {
    /// A folder is made.
    MakeFolder(&'a Path),
    /// A file is opened, and made where it is missing.
    Open(&'a Path),
    /// Bytes are written at an offset.
    Write(&'a Path, u64, &'a [u8]),
    /// A file is cut, or made longer by zeros.
    SetLen(&'a Path, u64),
    /// A file's modification time.
    SetModified(&'a Path, SystemTime),
    /// A file's mode.
    SetMode(&'a Path, u32),
    /// The file's content and attributes are made durable.
    Sync(&'a Path),
    /// The file's content and length are.
    SyncData(&'a Path),
    /// The names in a folder are.
    SyncFolder(&'a Path),
    /// Everything on the file system is.
    SyncAll(&'a Path),
    /// A name is moved, and takes the place of another.
    Rename(&'a Path, &'a Path),
    /// A file's name is removed.
    Remove(&'a Path),
    /// An empty folder is.
    RemoveFolder(&'a Path),
}

#[cfg(test)]
pub(super) use super::fault::{allow, take};

/// Whether the change may be made: outside of tests, always.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "a test's disk fails")]
pub(super) fn allow(_: Change<'_>) -> std::io::Result<()> {
    Ok(())
}

/// How many of the bytes are written in one go: outside of tests, as many as the system takes.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "a test's disk fails")]
pub(super) fn take<'a>(_: &Path, _: u64, bytes: &'a [u8]) -> std::io::Result<&'a [u8]> {
    Ok(bytes)
}
