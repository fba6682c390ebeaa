//! Content ciphers: which one a message names, and what decrypting with it proves.
//!
//! GCM proves the plaintext or gives nothing. CBC says only whether the padding is right, which
//! random garbage is once in 250 times; what more it takes is decided by the caller (docs: release
//! after proof).

use std::sync::OnceLock;

use openssl::cipher::{Cipher, CipherRef};
use openssl::cipher_ctx::CipherCtx;
use zeroize::Zeroizing;

use super::{CipherProblem, Failed, Unsupported, provider};
use crate::cms::ber::Malformed;
use crate::cms::oid::{self, AlgorithmIdentifier};
use crate::cms::parameters;

/// OpenSSL counts in `int`: longer input goes in pieces.
const PIECE: usize = 1 << 30;

/// How much of a plaintext's beginning [`prove_cbc`] gives.
const HEAD: usize = 512;

/// A cipher for content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentCipher {
    /// RFC 3565
    Aes128Cbc,
    /// RFC 3565
    Aes192Cbc,
    /// RFC 3565
    Aes256Cbc,
    /// RFC 5084
    Aes128Gcm,
    /// RFC 5084
    Aes192Gcm,
    /// RFC 5084
    Aes256Gcm,
    /// RFC 3370 §5.1
    DesEde3Cbc,
    /// Single DES, S/MIME 2; legacy provider.
    DesCbc,
    /// RC2 (RFC 3370 §5.2) with 40 effective key bits; legacy provider.
    Rc2Cbc40,
    /// RC2 with 64 effective key bits; legacy provider.
    Rc2Cbc64,
    /// RC2 with 128 effective key bits; legacy provider.
    Rc2Cbc128,
}

/// What a content cipher's parameters say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentParameters {
    /// The IV of a CBC cipher, one block; the nonce of GCM, 8 to 64 bytes.
    pub iv: Vec<u8>,
    /// GCM: bytes of the tag (`ICVlen`), 12 to 16. CBC: 0.
    pub tag_len: usize,
}

impl ContentParameters {
    /// Whether `mac` is as long as the parameters declare; visible without any key.
    pub fn check_tag(&self, mac: &[u8]) -> Result<(), CipherProblem> {
        if mac.len() == self.tag_len {
            Ok(())
        } else {
            Err(CipherProblem::Malformed(
                "the tag is not as long as declared",
            ))
        }
    }
}

static FETCHED: [OnceLock<Option<Cipher>>; 11] = [const { OnceLock::new() }; 11];

impl ContentCipher {
    /// The cipher and its parameters that a `ContentEncryptionAlgorithmIdentifier` names.
    pub fn from_algorithm(
        algorithm: &AlgorithmIdentifier<'_>,
    ) -> Result<(Self, ContentParameters), CipherProblem> {
        let cipher = match algorithm.oid {
            oid::AES128_CBC => Self::Aes128Cbc,
            oid::AES192_CBC => Self::Aes192Cbc,
            oid::AES256_CBC => Self::Aes256Cbc,
            oid::AES128_GCM => Self::Aes128Gcm,
            oid::AES192_GCM => Self::Aes192Gcm,
            oid::AES256_GCM => Self::Aes256Gcm,
            oid::DES_EDE3_CBC => Self::DesEde3Cbc,
            oid::DES_CBC => Self::DesCbc,
            oid::RC2_CBC => return rc2(algorithm),
            other => return Err(unsupported(&other.label())),
        };
        let parameters = if cipher.is_aead() {
            gcm_parameters(algorithm)?
        } else {
            ContentParameters {
                iv: parameters::iv(algorithm)?.to_vec(),
                tag_len: 0,
            }
        };
        cipher.checked(parameters)
    }

    fn checked(
        self,
        parameters: ContentParameters,
    ) -> Result<(Self, ContentParameters), CipherProblem> {
        if !self.is_aead() && parameters.iv.len() != self.block_len() {
            return Err(CipherProblem::Malformed("the IV is not one block long"));
        }
        self.openssl().ok_or_else(|| unsupported(self.name()))?;
        Ok((self, parameters))
    }

    /// As it stands in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes128Cbc => "aes-128-cbc",
            Self::Aes192Cbc => "aes-192-cbc",
            Self::Aes256Cbc => "aes-256-cbc",
            Self::Aes128Gcm => "aes-128-gcm",
            Self::Aes192Gcm => "aes-192-gcm",
            Self::Aes256Gcm => "aes-256-gcm",
            Self::DesEde3Cbc => "des-ede3-cbc",
            Self::DesCbc => "des-cbc",
            Self::Rc2Cbc40 => "rc2-40-cbc",
            Self::Rc2Cbc64 => "rc2-64-cbc",
            Self::Rc2Cbc128 => "rc2-128-cbc",
        }
    }

    /// Bytes of a key: the exact number, for RC2 the usual one.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128Cbc | Self::Aes128Gcm | Self::Rc2Cbc128 => 16,
            Self::Aes192Cbc | Self::Aes192Gcm | Self::DesEde3Cbc => 24,
            Self::Aes256Cbc | Self::Aes256Gcm => 32,
            Self::DesCbc | Self::Rc2Cbc64 => 8,
            Self::Rc2Cbc40 => 5,
        }
    }

    /// Whether a key of `len` bytes fits. An RC2 key may be longer than its effective bits.
    pub const fn takes_key_len(self, len: usize) -> bool {
        match self {
            Self::Rc2Cbc40 | Self::Rc2Cbc64 | Self::Rc2Cbc128 => self.key_len() <= len && len <= 16,
            _ => len == self.key_len(),
        }
    }

    /// Bytes of a block; 1 for GCM.
    pub const fn block_len(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes192Gcm | Self::Aes256Gcm => 1,
            Self::Aes128Cbc | Self::Aes192Cbc | Self::Aes256Cbc => 16,
            _ => 8,
        }
    }

    /// Whether the cipher authenticates (AuthEnvelopedData) or not (EnvelopedData).
    pub const fn is_aead(self) -> bool {
        matches!(self, Self::Aes128Gcm | Self::Aes192Gcm | Self::Aes256Gcm)
    }

    /// Whether content under this cipher must not be left under it: single DES and RC2 can be
    /// broken by search, and 64-bit blocks repeat (SP 800-131A Rev. 2 disallows 3DES after 2023).
    pub const fn is_weak(self) -> bool {
        matches!(self, Self::DesEde3Cbc) || self.needs_legacy_provider()
    }

    const fn needs_legacy_provider(self) -> bool {
        matches!(
            self,
            Self::DesCbc | Self::Rc2Cbc40 | Self::Rc2Cbc64 | Self::Rc2Cbc128
        )
    }

    pub(crate) fn openssl(self) -> Option<&'static CipherRef> {
        let slot = FETCHED.get(self as usize)?;
        let fetched = slot.get_or_init(|| {
            if self.needs_legacy_provider() {
                provider::legacy().ok()?;
            }
            Cipher::fetch(None, self.openssl_name(), None).ok()
        });
        fetched.as_deref()
    }

    const fn openssl_name(self) -> &'static str {
        match self {
            Self::Aes128Cbc => "AES-128-CBC",
            Self::Aes192Cbc => "AES-192-CBC",
            Self::Aes256Cbc => "AES-256-CBC",
            Self::Aes128Gcm => "AES-128-GCM",
            Self::Aes192Gcm => "AES-192-GCM",
            Self::Aes256Gcm => "AES-256-GCM",
            Self::DesEde3Cbc => "DES-EDE3-CBC",
            Self::DesCbc => "DES-CBC",
            Self::Rc2Cbc40 => "RC2-40-CBC",
            Self::Rc2Cbc64 => "RC2-64-CBC",
            Self::Rc2Cbc128 => "RC2-CBC",
        }
    }
}

fn unsupported(name: &str) -> CipherProblem {
    CipherProblem::Unsupported(Unsupported(name.to_owned()))
}

/// The effective key bits that mail programs used; others would need a way around the provider.
fn rc2(
    algorithm: &AlgorithmIdentifier<'_>,
) -> Result<(ContentCipher, ContentParameters), CipherProblem> {
    let (bits, iv) = parameters::rc2_cbc_parameters(algorithm)?;
    let cipher = match bits {
        40 => ContentCipher::Rc2Cbc40,
        64 => ContentCipher::Rc2Cbc64,
        128 => ContentCipher::Rc2Cbc128,
        _ => return Err(unsupported(&format!("rc2-{bits}-cbc"))),
    };
    cipher.checked(ContentParameters {
        iv: iv.to_vec(),
        tag_len: 0,
    })
}

/// RFC 5084 §3.2. An `ICVlen` under 12 is refused: a short tag can be guessed.
fn gcm_parameters(algorithm: &AlgorithmIdentifier<'_>) -> Result<ContentParameters, CipherProblem> {
    let (nonce, tag_len) = parameters::gcm_parameters(algorithm)?;
    if !(12..=16).contains(&tag_len) {
        return Err(CipherProblem::Malformed("ICVlen is not 12 to 16"));
    }
    if !(8..=64).contains(&nonce.len()) {
        return Err(CipherProblem::Malformed(
            "the nonce is not 8 to 64 bytes long",
        ));
    }
    Ok(ContentParameters {
        iv: nonce.to_vec(),
        tag_len,
    })
}

impl From<Malformed> for CipherProblem {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed.0)
    }
}

/// Decrypts CBC content and takes the padding off. [`Failed`] where a length or the padding is
/// wrong; a plaintext proves nothing by itself.
pub fn decrypt_cbc<'a, I>(
    cipher: ContentCipher,
    key: &[u8],
    parameters: &ContentParameters,
    ciphertext: I,
) -> Result<Zeroizing<Vec<u8>>, Failed>
where
    I: IntoIterator<Item = &'a [u8]> + Clone,
{
    let len = total(ciphertext.clone());
    if cipher.is_aead() || len == 0 || !len.is_multiple_of(cipher.block_len()) {
        return Err(Failed);
    }
    let mut context = cbc_context(cipher, key, &parameters.iv, false)?;
    let mut out = plaintext_buffer(len);
    update(&mut context, ciphertext, &mut out)?;
    context.cipher_final_vec(&mut out)?;
    Ok(out)
}

/// Proves as much as [`decrypt_cbc`] does from the content's beginning and end alone: the padding
/// in the last block is right. Gives the first 512 bytes of the plaintext (all of it where it is
/// shorter).
pub fn prove_cbc<'a, I>(
    cipher: ContentCipher,
    key: &[u8],
    parameters: &ContentParameters,
    ciphertext: I,
) -> Result<Zeroizing<Vec<u8>>, Failed>
where
    I: IntoIterator<Item = &'a [u8]> + Clone,
{
    let block = cipher.block_len();
    let len = total(ciphertext.clone());
    if len <= HEAD + 2 * block {
        let mut out = decrypt_cbc(cipher, key, parameters, ciphertext)?;
        out.truncate(HEAD);
        return Ok(out);
    }
    if cipher.is_aead() || !len.is_multiple_of(block) {
        return Err(Failed);
    }
    let mut head = Vec::with_capacity(HEAD);
    let mut tail = Vec::with_capacity(2 * block);
    let mut at = 0;
    for chunk in ciphertext {
        head.extend_from_slice(
            chunk
                .get(..chunk.len().min(HEAD - head.len()))
                .unwrap_or_default(),
        );
        let from = (len - 2 * block).saturating_sub(at);
        tail.extend_from_slice(chunk.get(from.min(chunk.len())..).unwrap_or_default());
        at += chunk.len();
    }
    let (iv, last) = tail.split_at_checked(block).ok_or(Failed)?;
    let mut context = cbc_context(cipher, key, iv, false)?;
    let mut end = plaintext_buffer(block);
    update(&mut context, [last], &mut end)?;
    context.cipher_final_vec(&mut end)?;

    let mut context = cbc_context(cipher, key, &parameters.iv, false)?;
    context.set_padding(false);
    let mut out = plaintext_buffer(HEAD);
    update(&mut context, [&head[..]], &mut out)?;
    Ok(out)
}

/// Decrypts GCM content. Nothing is given unless the tag, of the declared length, holds over the
/// ciphertext and `aad` (the DER of the authenticated attributes; empty where there are none).
pub fn decrypt_gcm<'a, I>(
    cipher: ContentCipher,
    key: &[u8],
    parameters: &ContentParameters,
    aad: &[u8],
    ciphertext: I,
    tag: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failed>
where
    I: IntoIterator<Item = &'a [u8]> + Clone,
{
    if parameters.check_tag(tag).is_err() || !(12..=16).contains(&tag.len()) {
        return Err(Failed);
    }
    let mut context = gcm_context(cipher, key, &parameters.iv, false)?;
    authenticate(&mut context, aad)?;
    let mut out = plaintext_buffer(total(ciphertext.clone()));
    update(&mut context, ciphertext, &mut out)?;
    context.set_tag(tag)?;
    context.cipher_final_vec(&mut out)?;
    Ok(out)
}

/// Encrypts under a CBC cipher, padded. `iv` is one block.
pub fn encrypt_cbc(
    cipher: ContentCipher,
    key: &[u8],
    iv: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, Failed> {
    if cipher.is_aead() {
        return Err(Failed);
    }
    let mut context = cbc_context(cipher, key, iv, true)?;
    let mut out = Vec::with_capacity(plaintext.len() + 2 * cipher.block_len());
    update(&mut context, [plaintext], &mut out)?;
    context.cipher_final_vec(&mut out)?;
    Ok(out)
}

/// Encrypts under GCM: the ciphertext and its 16-byte tag. A key must never meet a nonce twice; both
/// are drawn anew for every message.
pub fn encrypt_gcm(
    cipher: ContentCipher,
    key: &[u8],
    nonce: &[u8; 12],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<(Vec<u8>, [u8; 16]), Failed> {
    let mut context = gcm_context(cipher, key, nonce, true)?;
    authenticate(&mut context, aad)?;
    let mut out = Vec::with_capacity(plaintext.len() + 32);
    update(&mut context, [plaintext], &mut out)?;
    context.cipher_final_vec(&mut out)?;
    let mut tag = [0; 16];
    context.tag(&mut tag)?;
    Ok((out, tag))
}

/// Decrypts or encrypts without padding; for key files, whose padding their own code checks.
pub(crate) fn cbc_context(
    cipher: ContentCipher,
    key: &[u8],
    iv: &[u8],
    encrypt: bool,
) -> Result<CipherCtx, Failed> {
    let algorithm = cipher.openssl().ok_or(Failed)?;
    if !cipher.takes_key_len(key.len()) || iv.len() != cipher.block_len() {
        return Err(Failed);
    }
    let mut context = CipherCtx::new()?;
    init(&mut context, Some(algorithm), None, None, encrypt)?;
    if key.len() != cipher.key_len() {
        context.set_key_length(key.len())?;
    }
    init(&mut context, None, Some(key), Some(iv), encrypt)?;
    Ok(context)
}

fn gcm_context(
    cipher: ContentCipher,
    key: &[u8],
    nonce: &[u8],
    encrypt: bool,
) -> Result<CipherCtx, Failed> {
    let algorithm = cipher.openssl().ok_or(Failed)?;
    if !cipher.is_aead() || !cipher.takes_key_len(key.len()) || !(8..=64).contains(&nonce.len()) {
        return Err(Failed);
    }
    let mut context = CipherCtx::new()?;
    init(&mut context, Some(algorithm), None, None, encrypt)?;
    context.set_iv_length(nonce.len())?;
    init(&mut context, None, Some(key), Some(nonce), encrypt)?;
    Ok(context)
}

fn init(
    context: &mut CipherCtx,
    cipher: Option<&CipherRef>,
    key: Option<&[u8]>,
    iv: Option<&[u8]>,
    encrypt: bool,
) -> Result<(), Failed> {
    if encrypt {
        context.encrypt_init(cipher, key, iv)?;
    } else {
        context.decrypt_init(cipher, key, iv)?;
    }
    Ok(())
}

fn authenticate(context: &mut CipherCtx, aad: &[u8]) -> Result<(), Failed> {
    for piece in aad.chunks(PIECE) {
        context.cipher_update(piece, None)?;
    }
    Ok(())
}

fn update<'a>(
    context: &mut CipherCtx,
    input: impl IntoIterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) -> Result<(), Failed> {
    for chunk in input {
        for piece in chunk.chunks(PIECE) {
            context.cipher_update_vec(piece, out)?;
        }
    }
    Ok(())
}

fn total<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> usize {
    chunks.into_iter().map(<[u8]>::len).sum()
}

/// Room for `len` bytes of plaintext and what OpenSSL asks for beyond, so that no growing leaves a
/// copy behind that is not wiped.
fn plaintext_buffer(len: usize) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(len + 64))
}
