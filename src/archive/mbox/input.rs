//! Where an mbox's bytes come from: a file as it was when it was opened, or a stream.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::ops::Range;
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

    /// Where line feeds were given, since nothing could be read there; in order.
    fn unread(&self) -> &[Range<u64>] {
        &[]
    }
}

/// What a system reads at least: where one byte cannot be read, as many cannot.
const PAGE: u64 = 4096;

/// As much in a row is no bad sector, but a disk that is gone.
const GONE: u64 = 4 << 20;

/// A file as long as it was when it was opened: what is appended later may be half a message.
///
/// Where a disk fails there are line feeds, so that what follows can begin a message.
#[derive(Debug)]
pub(crate) struct Snapshot {
    file: File,
    len: u64,
    at: u64,
    unread: Vec<Range<u64>>,
}

impl Snapshot {
    /// Opens the file, waiting up to ten seconds, or until it is to give up, for a program that is
    /// writing to it.
    pub(super) fn open(path: &Path, give_up: &dyn Fn() -> bool) -> Result<(Self, Metadata)> {
        let file = source::open_regular(path)?;
        wait_for_writer(&file, path, give_up)?;
        let metadata = file.metadata().map_err(Error::io("read", path))?;
        Ok((
            Self {
                file,
                len: metadata.len(),
                at: 0,
                unread: Vec::new(),
            },
            metadata,
        ))
    }

    /// Gives line feeds for a page that cannot be read, as far as there is room.
    fn skip_page(&mut self, space: &mut [u8], error: io::Error) -> io::Result<usize> {
        let page = usize::try_from(PAGE - self.at % PAGE).unwrap_or(usize::MAX);
        let room = page.min(space.len());
        let space = space.get_mut(..room).unwrap_or_default();
        space.fill(b'\n');
        let end = self.at + space.len() as u64;
        match self.unread.last_mut() {
            Some(last) if last.end == self.at => last.end = end,
            _ => self.unread.push(self.at..end),
        }
        let in_a_row = self.unread.last().map_or(0, |last| last.end - last.start);
        if in_a_row > GONE {
            Err(error)
        } else {
            Ok(space.len())
        }
    }
}

/// Whether the disk fails at this place, and perhaps at no other.
fn is_bad_place(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::IO | Errno::BADMSG | Errno::UCLEAN | Errno::ILSEQ | Errno::NODATA)
    )
}

impl Read for Snapshot {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let left = self.len - self.at;
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(space.len());
        let space = space.get_mut(..room).unwrap_or_default();
        let got = match self.file.read_at(space, self.at) {
            Err(error) if is_bad_place(&error) => self.skip_page(space, error)?,
            read => read?,
        };
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
                // It is told when the reader comes there.
                Err(e) if is_bad_place(&e) => break,
                Err(e) => return Some(Err(e)),
            }
        }
        Some(Ok(got))
    }

    fn metadata(&self) -> Option<Metadata> {
        self.file.metadata().ok()
    }

    fn unread(&self) -> &[Range<u64>] {
        &self.unread
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
fn wait_for_writer(file: &File, path: &Path, give_up: &dyn Fn() -> bool) -> Result<()> {
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
        if give_up() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(Error::io("read", path)(io::Error::new(
        io::ErrorKind::WouldBlock,
        "another program keeps it locked",
    )))
}
