//! Content that comes and goes in pieces.

use openssl::cipher_ctx::CipherCtx;

use super::super::Failed;
use super::aead::{aead_context, authenticate};
use super::cbc::cbc_context;
use super::{ContentCipher, ContentParameters, update};

/// Decrypts content piece by piece. What it gives out is proven by nothing before
/// [`Decryption::finish`] has said so, and where that is CBC's, not even then.
pub struct Decryption {
    context: CipherCtx,
    /// Blocks have to be whole, and there has to be one.
    block: u64,
    taken: u64,
    tag: Option<Vec<u8>>,
}

impl Decryption {
    /// Begins content under an AEAD, whose `tag` has to hold over it and `aad`, or under CBC, where
    /// there is none. CCM, which has to be told the length before, fails.
    pub fn new(
        cipher: ContentCipher,
        key: &[u8],
        parameters: &ContentParameters,
        authentic: Option<(&[u8], &[u8])>,
    ) -> Result<Self, Failed> {
        let Some((tag, aad)) = authentic else {
            if cipher.is_aead() {
                return Err(Failed);
            }
            return Ok(Self {
                context: cbc_context(cipher, key, &parameters.iv, false)?,
                block: cipher.block_len() as u64,
                taken: 0,
                tag: None,
            });
        };
        if parameters.check_tag(tag).is_err() || !(12..=16).contains(&tag.len()) {
            return Err(Failed);
        }
        let mut context = aead_context(cipher, key, &parameters.iv, false)?;
        authenticate(&mut context, aad)?;
        Ok(Self {
            context,
            block: 1,
            taken: 0,
            tag: Some(tag.to_vec()),
        })
    }

    /// Takes a piece, and appends what it decrypts to.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Failed> {
        self.taken += piece.len() as u64;
        update(&mut self.context, [piece], out)
    }

    /// Ends the content: the tag holds, or the padding is right.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Failed> {
        match &self.tag {
            Some(tag) => self.context.set_tag(tag)?,
            None if self.taken == 0 || !self.taken.is_multiple_of(self.block) => {
                return Err(Failed);
            }
            None => {}
        }
        self.context.cipher_final_vec(out)?;
        Ok(())
    }
}

/// Encrypts content piece by piece.
pub struct Encryption {
    context: CipherCtx,
    aead: bool,
}

impl Encryption {
    /// Begins content under GCM or CBC. Under GCM a key must never meet a nonce twice.
    pub fn new(cipher: ContentCipher, key: &[u8], iv: &[u8]) -> Result<Self, Failed> {
        let context = if cipher.is_aead() {
            aead_context(cipher, key, iv, true)?
        } else {
            cbc_context(cipher, key, iv, true)?
        };
        Ok(Self {
            context,
            aead: cipher.is_aead(),
        })
    }

    /// Takes a piece, and appends what it encrypts to.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Failed> {
        update(&mut self.context, [piece], out)
    }

    /// Ends the content; the tag, under GCM.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<Option<[u8; 16]>, Failed> {
        self.context.cipher_final_vec(out)?;
        if !self.aead {
            return Ok(None);
        }
        let mut tag = [0; 16];
        self.context.tag(&mut tag)?;
        Ok(Some(tag))
    }
}
