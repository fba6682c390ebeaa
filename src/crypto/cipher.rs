//! Content ciphers: which one a message names, and what decrypting with it proves.
//!
//! An AEAD (GCM, CCM, ChaCha20-Poly1305) proves the plaintext or gives nothing. CBC says only
//! whether the padding is right, which random garbage is once in 250 times; what more it takes is
//! decided by the caller (docs: release after proof).

use std::sync::OnceLock;

use openssl::cipher::{Cipher, CipherRef};
use openssl::cipher_ctx::CipherCtx;
use zeroize::Zeroizing;

use super::{CipherProblem, Failed, Unsupported, provider};
use crate::cms::ber::Malformed;
use crate::cms::oid::{self, AlgorithmIdentifier};
use crate::cms::parameters;

mod aead;
mod cbc;
mod stream;

pub use aead::{decrypt_aead, encrypt_gcm};
pub(crate) use cbc::cbc_context;
pub use cbc::{decrypt_cbc, encrypt_cbc, prove_cbc};
pub use stream::{Decryption, Encryption};

/// OpenSSL counts in `int`: longer input goes in pieces.
const PIECE: usize = 1 << 30;

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
    /// RFC 5084
    Aes128Ccm,
    /// RFC 5084
    Aes192Ccm,
    /// RFC 5084
    Aes256Ccm,
    /// RFC 8103
    ChaCha20Poly1305,
    /// RFC 3657
    Camellia128Cbc,
    /// RFC 3657
    Camellia192Cbc,
    /// RFC 3657
    Camellia256Cbc,
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
    /// CAST-128 (RFC 2984) with a key of 40 bits; legacy provider.
    Cast5Cbc40,
    /// CAST-128 with a key of 64 bits; legacy provider.
    Cast5Cbc64,
    /// CAST-128 with a key of 80 bits; legacy provider.
    Cast5Cbc80,
    /// CAST-128 with a key of 128 bits; legacy provider.
    Cast5Cbc128,
}

/// What a content cipher's parameters say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentParameters {
    /// The IV of a CBC cipher, one block; the nonce of an AEAD: 8 to 64 bytes for GCM, 7 to 13 for
    /// CCM, 12 for ChaCha20-Poly1305.
    pub iv: Vec<u8>,
    /// AEAD: bytes of the tag (`ICVlen`), 12 to 16. CBC: 0.
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

/// As many as there are ciphers.
const CIPHERS: usize = ContentCipher::Cast5Cbc128 as usize + 1;

static FETCHED: [OnceLock<Option<Cipher>>; CIPHERS] = [const { OnceLock::new() }; CIPHERS];

impl ContentCipher {
    /// Every cipher.
    pub const ALL: [Self; CIPHERS] = [
        Self::Aes128Cbc,
        Self::Aes192Cbc,
        Self::Aes256Cbc,
        Self::Aes128Gcm,
        Self::Aes192Gcm,
        Self::Aes256Gcm,
        Self::Aes128Ccm,
        Self::Aes192Ccm,
        Self::Aes256Ccm,
        Self::ChaCha20Poly1305,
        Self::Camellia128Cbc,
        Self::Camellia192Cbc,
        Self::Camellia256Cbc,
        Self::DesEde3Cbc,
        Self::DesCbc,
        Self::Rc2Cbc40,
        Self::Rc2Cbc64,
        Self::Rc2Cbc128,
        Self::Cast5Cbc40,
        Self::Cast5Cbc64,
        Self::Cast5Cbc80,
        Self::Cast5Cbc128,
    ];

    /// The cipher that reports call `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cipher| cipher.name() == name)
    }

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
            oid::AES128_CCM => Self::Aes128Ccm,
            oid::AES192_CCM => Self::Aes192Ccm,
            oid::AES256_CCM => Self::Aes256Ccm,
            oid::CHACHA20_POLY1305 => Self::ChaCha20Poly1305,
            oid::CAMELLIA128_CBC => Self::Camellia128Cbc,
            oid::CAMELLIA192_CBC => Self::Camellia192Cbc,
            oid::CAMELLIA256_CBC => Self::Camellia256Cbc,
            oid::DES_EDE3_CBC => Self::DesEde3Cbc,
            oid::DES_CBC => Self::DesCbc,
            oid::RC2_CBC => return rc2(algorithm),
            oid::CAST5_CBC => return cast5(algorithm),
            other => return Err(unsupported(&other.label())),
        };
        let parameters = match cipher {
            Self::ChaCha20Poly1305 => ContentParameters {
                iv: parameters::iv(algorithm)?.to_vec(),
                tag_len: 16,
            },
            _ if cipher.is_aead() => aead_parameters(algorithm)?,
            _ => ContentParameters {
                iv: parameters::iv(algorithm)?.to_vec(),
                tag_len: 0,
            },
        };
        cipher.checked(parameters)
    }

    fn checked(
        self,
        parameters: ContentParameters,
    ) -> Result<(Self, ContentParameters), CipherProblem> {
        if !self.takes_iv_len(parameters.iv.len()) {
            return Err(CipherProblem::Malformed(
                "the IV or nonce is not as long as the cipher needs",
            ));
        }
        self.openssl().ok_or_else(|| unsupported(self.name()))?;
        Ok((self, parameters))
    }

    /// RC2 with the effective key bits that mail programs used; others would need a way around the
    /// provider.
    pub(super) const fn rc2_of(bits: u32) -> Option<Self> {
        match bits {
            40 => Some(Self::Rc2Cbc40),
            64 => Some(Self::Rc2Cbc64),
            128 => Some(Self::Rc2Cbc128),
            _ => None,
        }
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
            Self::Aes128Ccm => "aes-128-ccm",
            Self::Aes192Ccm => "aes-192-ccm",
            Self::Aes256Ccm => "aes-256-ccm",
            Self::ChaCha20Poly1305 => "chacha20-poly1305",
            Self::Camellia128Cbc => "camellia-128-cbc",
            Self::Camellia192Cbc => "camellia-192-cbc",
            Self::Camellia256Cbc => "camellia-256-cbc",
            Self::DesEde3Cbc => "des-ede3-cbc",
            Self::DesCbc => "des-cbc",
            Self::Rc2Cbc40 => "rc2-40-cbc",
            Self::Rc2Cbc64 => "rc2-64-cbc",
            Self::Rc2Cbc128 => "rc2-128-cbc",
            Self::Cast5Cbc40 => "cast5-40-cbc",
            Self::Cast5Cbc64 => "cast5-64-cbc",
            Self::Cast5Cbc80 => "cast5-80-cbc",
            Self::Cast5Cbc128 => "cast5-128-cbc",
        }
    }

    /// Bytes of a key: the exact number, for RC2 the usual one.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes192Cbc
            | Self::Aes192Gcm
            | Self::Aes192Ccm
            | Self::Camellia192Cbc
            | Self::DesEde3Cbc => 24,
            Self::Aes256Cbc
            | Self::Aes256Gcm
            | Self::Aes256Ccm
            | Self::ChaCha20Poly1305
            | Self::Camellia256Cbc => 32,
            Self::DesCbc | Self::Rc2Cbc64 | Self::Cast5Cbc64 => 8,
            Self::Rc2Cbc40 | Self::Cast5Cbc40 => 5,
            Self::Cast5Cbc80 => 10,
            Self::Aes128Cbc
            | Self::Aes128Gcm
            | Self::Aes128Ccm
            | Self::Camellia128Cbc
            | Self::Rc2Cbc128
            | Self::Cast5Cbc128 => 16,
        }
    }

    /// Whether a key of `len` bytes fits. An RC2 key may be longer than its effective bits.
    pub const fn takes_key_len(self, len: usize) -> bool {
        match self {
            Self::Rc2Cbc40 | Self::Rc2Cbc64 | Self::Rc2Cbc128 => self.key_len() <= len && len <= 16,
            _ => len == self.key_len(),
        }
    }

    /// Bytes of a block; 1 for an AEAD.
    pub const fn block_len(self) -> usize {
        match self {
            Self::Aes128Cbc
            | Self::Aes192Cbc
            | Self::Aes256Cbc
            | Self::Camellia128Cbc
            | Self::Camellia192Cbc
            | Self::Camellia256Cbc => 16,
            _ if self.is_aead() => 1,
            _ => 8,
        }
    }

    /// Whether an IV or nonce of `len` bytes fits.
    const fn takes_iv_len(self, len: usize) -> bool {
        match self {
            Self::Aes128Gcm | Self::Aes192Gcm | Self::Aes256Gcm => 8 <= len && len <= 64,
            Self::Aes128Ccm | Self::Aes192Ccm | Self::Aes256Ccm => 7 <= len && len <= 13,
            Self::ChaCha20Poly1305 => len == 12,
            _ => len == self.block_len(),
        }
    }

    /// Whether the cipher authenticates (AuthEnvelopedData) or not (EnvelopedData).
    pub const fn is_aead(self) -> bool {
        self.is_ccm()
            || matches!(
                self,
                Self::Aes128Gcm | Self::Aes192Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305
            )
    }

    /// CCM has to be told the lengths before, and takes its input in one piece.
    pub const fn is_ccm(self) -> bool {
        matches!(self, Self::Aes128Ccm | Self::Aes192Ccm | Self::Aes256Ccm)
    }

    /// Whether content under this cipher must not be left under it: single DES, RC2 and CAST-128 with
    /// short keys can be broken by search, and 64-bit blocks repeat (SP 800-131A Rev. 2 disallows 3DES
    /// after 2023).
    pub const fn is_weak(self) -> bool {
        matches!(self, Self::DesEde3Cbc) || self.needs_legacy_provider()
    }

    const fn needs_legacy_provider(self) -> bool {
        matches!(
            self,
            Self::DesCbc
                | Self::Rc2Cbc40
                | Self::Rc2Cbc64
                | Self::Rc2Cbc128
                | Self::Cast5Cbc40
                | Self::Cast5Cbc64
                | Self::Cast5Cbc80
                | Self::Cast5Cbc128
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
            Self::Aes128Ccm => "AES-128-CCM",
            Self::Aes192Ccm => "AES-192-CCM",
            Self::Aes256Ccm => "AES-256-CCM",
            Self::ChaCha20Poly1305 => "ChaCha20-Poly1305",
            Self::Camellia128Cbc => "CAMELLIA-128-CBC",
            Self::Camellia192Cbc => "CAMELLIA-192-CBC",
            Self::Camellia256Cbc => "CAMELLIA-256-CBC",
            Self::DesEde3Cbc => "DES-EDE3-CBC",
            Self::DesCbc => "DES-CBC",
            Self::Rc2Cbc40 => "RC2-40-CBC",
            Self::Rc2Cbc64 => "RC2-64-CBC",
            Self::Rc2Cbc128 => "RC2-CBC",
            Self::Cast5Cbc40 | Self::Cast5Cbc64 | Self::Cast5Cbc80 | Self::Cast5Cbc128 => {
                "CAST5-CBC"
            }
        }
    }
}

fn unsupported(name: &str) -> CipherProblem {
    CipherProblem::Unsupported(Unsupported(name.to_owned()))
}

fn rc2(
    algorithm: &AlgorithmIdentifier<'_>,
) -> Result<(ContentCipher, ContentParameters), CipherProblem> {
    let (bits, iv) = parameters::rc2_cbc_parameters(algorithm)?;
    let cipher =
        ContentCipher::rc2_of(bits).ok_or_else(|| unsupported(&format!("rc2-{bits}-cbc")))?;
    cipher.checked(ContentParameters {
        iv: iv.to_vec(),
        tag_len: 0,
    })
}

/// RFC 2984 §4, with the key lengths that programs wrote.
fn cast5(
    algorithm: &AlgorithmIdentifier<'_>,
) -> Result<(ContentCipher, ContentParameters), CipherProblem> {
    let (bits, iv) = parameters::cast5_cbc_parameters(algorithm)?;
    let cipher = match bits {
        40 => ContentCipher::Cast5Cbc40,
        64 => ContentCipher::Cast5Cbc64,
        80 => ContentCipher::Cast5Cbc80,
        128 => ContentCipher::Cast5Cbc128,
        _ => return Err(unsupported(&format!("cast5-{bits}-cbc"))),
    };
    cipher.checked(ContentParameters {
        iv: iv.to_vec(),
        tag_len: 0,
    })
}

/// RFC 5084 §3. An `ICVlen` under 12 is refused: a short tag can be guessed.
fn aead_parameters(
    algorithm: &AlgorithmIdentifier<'_>,
) -> Result<ContentParameters, CipherProblem> {
    let (nonce, tag_len) = parameters::gcm_parameters(algorithm)?;
    if !(12..=16).contains(&tag_len) {
        return Err(CipherProblem::Malformed("ICVlen is not 12 to 16"));
    }
    Ok(ContentParameters {
        iv: nonce.to_vec(),
        tag_len,
    })
}

/// The content cipher inside of a content-encryption algorithm, and where that derives a key of its
/// own from the transported one, what it derives it with.
///
/// RFC 9709: `id-alg-cek-hkdf-sha256` has the cipher's own `AlgorithmIdentifier` as its parameters,
/// whose bytes go into the derivation, so that another cipher cannot be put in its place.
pub fn derived<'a>(
    algorithm: &AlgorithmIdentifier<'a>,
) -> Result<(AlgorithmIdentifier<'a>, Option<&'a [u8]>), CipherProblem> {
    if algorithm.oid != oid::CEK_HKDF_SHA256 {
        return Ok((*algorithm, None));
    }
    let inner = parameters::inner_algorithm(algorithm)?;
    Ok((inner, algorithm.parameters))
}

impl From<Malformed> for CipherProblem {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed.0)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cipher_has_its_name_and_its_place() {
        for (place, cipher) in ContentCipher::ALL.into_iter().enumerate() {
            assert_eq!(cipher as usize, place);
            assert_eq!(ContentCipher::from_name(cipher.name()), Some(cipher));
        }
        assert!(!ContentCipher::ChaCha20Poly1305.is_weak() && ContentCipher::Cast5Cbc128.is_weak());
    }
}
