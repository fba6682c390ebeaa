//! How a source file is opened: for reading only, never through a link, never a device.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use crate::error::{Error, Result};

/// Opens a regular file. What it is is asked before it is opened, since opening alone can act on
/// a device or wait on a FIFO, and again afterwards, since it may have been exchanged.
pub(crate) fn open_regular(path: &Path) -> Result<File> {
    open(path).map_err(Error::io("read", path))
}

fn open(path: &Path) -> io::Result<File> {
    let not_regular = || io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
    if !std::fs::symlink_metadata(path)?.is_file() {
        return Err(not_regular());
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(not_regular())
    }
}

/// The first `len` bytes of a regular file, fewer where it has fewer, and its size.
pub(crate) fn head(path: &Path, len: usize) -> Result<(Vec<u8>, u64)> {
    let file = open_regular(path)?;
    let size = file.metadata().map_err(Error::io("read", path))?.len();
    let mut bytes = Vec::new();
    file.take(len as u64)
        .read_to_end(&mut bytes)
        .map_err(Error::io("read", path))?;
    Ok((bytes, size))
}
