//! Where an mbox's bytes come from: a file as it was when it was opened, or a stream.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::archive::packed::Damage;
use crate::archive::{Origin, ReadSend, source};
use crate::error::{Error, Result};

/// Where an mbox's bytes come from.
pub(crate) trait Input: Read {
    /// Bytes elsewhere than the stream stands, if it can be asked.
    fn peek(&self, _offset: u64, _space: &mut [u8]) -> Option<io::Result<usize>> {
        None
    }

    /// Why the stream ended before its end, if it did.
    fn damage(&self) -> Option<Damage> {
        None
    }

    /// What the file is now, where it is one.
    fn metadata(&self) -> Option<Metadata> {
        None
    }
}

/// A file as long as it was when it was opened: what is appended later may be half a message.
#[derive(Debug)]
pub(crate) struct Snapshot {
    file: File,
    len: u64,
    at: u64,
}

impl Snapshot {
    /// Opens the file, waiting up to ten seconds for a program that is writing to it.
    pub(super) fn open(path: &Path) -> Result<(Self, Metadata)> {
        let file = source::open_regular(path)?;
        wait_for_writer(&file, path)?;
        let metadata = file.metadata().map_err(Error::io("read", path))?;
        Ok((
            Self {
                file,
                len: metadata.len(),
                at: 0,
            },
            metadata,
        ))
    }
}

impl Read for Snapshot {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let left = self.len - self.at;
        let got = (&self.file).take(left).read(space)?;
        if got == 0 && left > 0 && !space.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it was cut while it was read",
            ));
        }
        self.at += got as u64;
        Ok(got)
    }
}

impl Input for Snapshot {
    fn peek(&self, offset: u64, space: &mut [u8]) -> Option<io::Result<usize>> {
        let room = usize::try_from(self.len.saturating_sub(offset))
            .unwrap_or(usize::MAX)
            .min(space.len());
        let mut got = 0;
        while let Some(rest) = space.get_mut(got..room).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + got as u64) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Some(Err(e)),
            }
        }
        Some(Ok(got))
    }

    fn metadata(&self) -> Option<Metadata> {
        self.file.metadata().ok()
    }
}

impl Input for Box<dyn ReadSend> {}

/// What lies compressed, or in an archive. It ends where it is damaged: what comes before is mail.
pub(crate) struct Unwrapped {
    input: Box<dyn Read + Send>,
    path: PathBuf,
    /// How many bytes have to come, where that is known.
    left: Option<u64>,
    damage: Option<Damage>,
}

impl fmt::Debug for Unwrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "within {}", self.path.display())
    }
}

impl Unwrapped {
    /// Opens it; the metadata are those of the file around it.
    pub(super) fn open(origin: &Origin) -> Result<(Self, Metadata)> {
        let path = origin.path().to_path_buf();
        let metadata = std::fs::symlink_metadata(&path).map_err(Error::io("read", &path))?;
        let unwrapped = Self {
            input: origin.open_at(0)?,
            path,
            left: origin.stated_len(),
            damage: None,
        };
        Ok((unwrapped, metadata))
    }
}

impl Read for Unwrapped {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if self.damage.is_some() || space.is_empty() {
            return Ok(0);
        }
        let got = match self.input.read(space) {
            Ok(got) => got,
            Err(error) => {
                self.damage = Some(Damage::of(&error).ok_or(error)?);
                return Ok(0);
            }
        };
        self.left = self.left.map(|left| left.saturating_sub(got as u64));
        if got == 0 && self.left.is_some_and(|left| left > 0) {
            self.damage = Some(Damage::Cut);
        }
        Ok(got)
    }
}

impl Input for Unwrapped {
    fn damage(&self) -> Option<Damage> {
        self.damage
    }

    fn metadata(&self) -> Option<Metadata> {
        std::fs::symlink_metadata(&self.path).ok()
    }
}

/// Delivery agents hold a lock while they append: flock, fcntl or a `.lock` file. The lock is not
/// kept, so that a long run stops no delivery; what is appended meanwhile is noticed at the end.
fn wait_for_writer(file: &File, path: &Path) -> Result<()> {
    use rustix::fs::{FlockOperation, fcntl_lock, flock};
    use rustix::io::Errno;
    let mut dot_lock = path.as_os_str().to_os_string();
    dot_lock.push(".lock");
    let dot_lock = PathBuf::from(dot_lock);
    let busy = || {
        let taken = [
            flock(file, FlockOperation::NonBlockingLockShared),
            fcntl_lock(file, FlockOperation::NonBlockingLockShared),
        ];
        // A file system without locks has no writer that holds one.
        let busy = taken
            .iter()
            .any(|result| matches!(result, Err(Errno::WOULDBLOCK | Errno::ACCESS)));
        let _ = flock(file, FlockOperation::NonBlockingUnlock);
        let _ = fcntl_lock(file, FlockOperation::NonBlockingUnlock);
        busy || std::fs::symlink_metadata(&dot_lock).is_ok()
    };
    for _ in 0..100 {
        if !busy() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(Error::io("read", path)(io::Error::new(
        io::ErrorKind::WouldBlock,
        "another program keeps it locked",
    )))
}
