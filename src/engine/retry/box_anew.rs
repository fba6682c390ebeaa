//! An mbox of which some messages are written anew: aside, its other stretches copied from where it
//! lies, which must be what was written.

use std::fs::File;
use std::io::{BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::archive::write::{make_folder_of, relative};
use crate::crypto::digest::{Digest, Hasher};
use crate::engine::proof::open_plain;
use crate::error::{Error, Result};
use crate::fsio;
use crate::text::hex;

/// An mbox that is being written anew.
pub(super) struct BoxAnew {
    from: PathBuf,
    input: File,
    /// Of what was read.
    hasher: Hasher,
    /// How far the old one is read.
    read: u64,
    to: PathBuf,
    output: BufWriter<fsio::File>,
    /// How long the new one is.
    written: u64,
}

impl BoxAnew {
    /// Begins the mailbox `name`, which lies at `from`, below `staging`.
    pub(super) fn begin(from: PathBuf, staging: &Path, name: &str) -> Result<Self> {
        let to = staging.join(relative(name)?);
        make_folder_of(&to)?;
        Ok(Self {
            input: open_plain(&from)?,
            from,
            hasher: Hasher::new(Digest::Sha256),
            read: 0,
            output: BufWriter::with_capacity(1 << 20, fsio::create(&to)?),
            to,
            written: 0,
        })
    }

    /// How much further than before the next message lies; negative where it lies less far.
    pub(super) fn shift(&self) -> i64 {
        self.written.cast_signed() - self.read.cast_signed()
    }

    /// How long the new one is.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Copies up to `end`.
    pub(super) fn copy_to(&mut self, end: u64) -> Result<()> {
        self.advance(end.saturating_sub(self.read), true)
    }

    /// Writes what stands in place of the stretch up to `end`: `write` gives how many bytes it wrote.
    pub(super) fn replace_to(
        &mut self,
        end: u64,
        write: impl FnOnce(&mut dyn std::io::Write, &Path) -> Result<u64>,
    ) -> Result<()> {
        self.advance(end.saturating_sub(self.read), false)?;
        self.written += write(&mut self.output, &self.to)?;
        Ok(())
    }

    /// Copies the rest, and holds what was read against the hash of what was written. The new file
    /// gets the old one's time.
    pub(super) fn finish(mut self, out_sha256: &str) -> Result<()> {
        let rest = self.length()?.saturating_sub(self.read);
        self.advance(rest, true)?;
        if hex(&self.hasher.finish()) != out_sha256 {
            return Err(Error::Damaged {
                path: self.from,
                what: "it is not what was written; see check".into(),
            });
        }
        let modified = self
            .input
            .metadata()
            .and_then(|found| found.modified())
            .map_err(Error::io("read", &self.from))?;
        self.output.flush().map_err(Error::io("write", &self.to))?;
        self.output.get_ref().set_modified(modified)?;
        self.output.get_ref().sync()
    }

    fn length(&self) -> Result<u64> {
        let found = self
            .input
            .metadata()
            .map_err(Error::io("read", &self.from))?;
        Ok(found.len())
    }

    fn advance(&mut self, mut len: u64, copies: bool) -> Result<()> {
        let mut buffer = vec![0; 1 << 18];
        while len > 0 {
            let want = usize::try_from(len).unwrap_or(usize::MAX).min(buffer.len());
            let space = buffer.get_mut(..want).unwrap_or_default();
            let got = match self.input.read(space) {
                Ok(0) => {
                    return Err(Error::Damaged {
                        path: self.from.clone(),
                        what: "it is shorter than what was written; see check".into(),
                    });
                }
                Ok(got) => got,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::io("read", &self.from)(error)),
            };
            let bytes = buffer.get(..got).unwrap_or_default();
            self.hasher.update(bytes);
            if copies {
                self.output
                    .write_all(bytes)
                    .map_err(Error::io("write", &self.to))?;
                self.written += got as u64;
            }
            self.read += got as u64;
            len -= got as u64;
        }
        Ok(())
    }
}
