//! Content too large to hold: it is decrypted into a private temporary, and that is a plaintext only
//! once it is proven, by the same rules.

use std::cell::{Cell, OnceCell};
use std::io::{self, Write as _};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::proof::begins_as_mail_does;
use crate::bulk::{Bulk as _, each_piece};
use crate::cms::outline::LargeContent;
use crate::crypto::Failed;
use crate::crypto::cipher::{self, ContentCipher, ContentParameters, Decryption};
use crate::fsio::{Scratch, Spool};

/// A ciphertext, and where its plaintext may lie.
#[derive(Clone, Copy)]
pub struct Large<'a> {
    /// The ciphertext.
    pub ciphertext: &'a LargeContent,
    /// Where temporaries lie.
    pub scratch: &'a Scratch,
    /// Receives what kept the one from being read or the other from being written.
    pub trouble: &'a OnceCell<io::Error>,
}

/// The content as it was before it was encrypted.
pub enum Plaintext {
    /// In memory.
    Held(Zeroizing<Vec<u8>>),
    /// In a temporary.
    Spooled(Arc<Spool>),
}

/// A large ciphertext and how often it was decrypted.
pub(super) struct Trials<'a> {
    large: Large<'a>,
    left: Cell<u32>,
    over: Cell<bool>,
}

/// Keys that a large content is decrypted with to its end: whoever addresses it to many recipients
/// whose keys are at hand must not have it decrypted for each in vain.
const MOST_TRIALS: u32 = 8;

/// As much of a plaintext's beginning as is looked at.
const HEAD: usize = 4 << 10;

/// Why a content was not decrypted.
enum Stopped {
    Failed,
    Io(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Failed> for Stopped {
    fn from(_: Failed) -> Self {
        Self::Failed
    }
}

impl<'a> Trials<'a> {
    pub(super) fn new(large: Large<'a>) -> Self {
        Self {
            large,
            left: Cell::new(MOST_TRIALS),
            over: Cell::new(false),
        }
    }

    pub(super) fn are_over(&self) -> bool {
        self.over.get()
    }

    /// The plaintext, where it is proven. `authentic` is an AEAD's tag and what it covers besides.
    pub(super) fn decrypt(
        &self,
        cipher: ContentCipher,
        key: &[u8],
        parameters: &ContentParameters,
        authentic: Option<(&[u8], &[u8])>,
        cek_proven: bool,
    ) -> Option<Plaintext> {
        if authentic.is_none() && !cek_proven {
            // As for smaller ones: the ends tell nearly every wrong key.
            let ends = self.large.ciphertext.ends();
            let len = self.large.ciphertext.len();
            if !len.is_multiple_of(cipher.block_len() as u64) {
                return None;
            }
            if len > ends.iter().map(|end| end.len() as u64).sum() {
                cipher::prove_cbc(cipher, key, parameters, ends).ok()?;
            }
        }
        let Some(left) = self.left.get().checked_sub(1) else {
            self.over.set(true);
            return None;
        };
        self.left.set(left);
        let decryption = Decryption::new(cipher, key, parameters, authentic).ok()?;
        match self.spooled(decryption) {
            Ok((spool, head)) => {
                let padding = self.large.ciphertext.len().saturating_sub(spool.len());
                let padding = usize::try_from(padding).unwrap_or(0);
                let proven =
                    authentic.is_some() || cek_proven || begins_as_mail_does(&head, padding);
                proven.then(|| Plaintext::Spooled(Arc::new(spool)))
            }
            Err(Stopped::Failed) => None,
            Err(Stopped::Io(error)) => {
                let _ = self.large.trouble.set(error);
                None
            }
        }
    }

    /// What the ciphertext decrypts to, and its beginning.
    fn spooled(&self, mut decryption: Decryption) -> Result<(Spool, Vec<u8>), Stopped> {
        let mut spooling = self.large.scratch.spool()?;
        let mut head = Vec::new();
        let mut out = Zeroizing::new(Vec::new());
        each_piece(self.large.ciphertext, 0, |piece| {
            decryption.push(piece, &mut out)?;
            let room = HEAD - head.len();
            head.extend_from_slice(out.get(..room.min(out.len())).unwrap_or_default());
            spooling.write_all(&out)?;
            out.clear();
            Ok::<_, Stopped>(())
        })?;
        decryption.finish(&mut out)?;
        let room = HEAD - head.len();
        head.extend_from_slice(out.get(..room.min(out.len())).unwrap_or_default());
        spooling.write_all(&out)?;
        Ok((spooling.finish()?, head))
    }
}

impl Plaintext {
    /// Its bytes, where they are in memory.
    pub fn held(&self) -> Option<&[u8]> {
        match self {
            Self::Held(bytes) => Some(bytes),
            Self::Spooled(_) => None,
        }
    }
}
