//! Message digests over chunks.

use std::sync::OnceLock;

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::md::{Md, MdRef};
use openssl::md_ctx::MdCtx;
use openssl::nid::Nid;

use super::provider;
use crate::cms::oid::{self, AlgorithmIdentifier, Oid};

/// A digest algorithm that CMS names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Digest {
    /// RFC 1320; broken, read for the oldest mail, and in OpenSSL's legacy provider only.
    Md4,
    /// RFC 1321; broken, read for old mail.
    Md5,
    /// FIPS 180-4; collisions are known, read for old mail.
    Sha1,
    /// ISO/IEC 10118-3, 160 bits.
    Ripemd160,
    /// FIPS 180-4
    Sha224,
    /// FIPS 180-4
    Sha256,
    /// FIPS 180-4
    Sha384,
    /// FIPS 180-4
    Sha512,
    /// FIPS 180-4, SHA-512/224
    Sha512_224,
    /// FIPS 180-4, SHA-512/256
    Sha512_256,
    /// FIPS 202
    Sha3_224,
    /// FIPS 202
    Sha3_256,
    /// FIPS 202
    Sha3_384,
    /// FIPS 202
    Sha3_512,
    /// FIPS 202, with 256 bits of output (RFC 8702 §3.1)
    Shake128,
    /// FIPS 202, with 512 bits of output (RFC 8702 §3.1, RFC 8419 §2.3)
    Shake256,
}

/// Fetched algorithms: on OpenSSL 3 an algorithm that is not fetched beforehand is looked up, under
/// a lock, at every use.
static FETCHED: [OnceLock<Option<Md>>; Digest::ALL.len()] =
    [const { OnceLock::new() }; Digest::ALL.len()];

impl Digest {
    /// Every digest.
    pub const ALL: [Self; 16] = [
        Self::Md4,
        Self::Md5,
        Self::Sha1,
        Self::Ripemd160,
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Sha512_224,
        Self::Sha512_256,
        Self::Sha3_224,
        Self::Sha3_256,
        Self::Sha3_384,
        Self::Sha3_512,
        Self::Shake128,
        Self::Shake256,
    ];

    /// The digest of a `DigestAlgorithmIdentifier`, where it is known and this OpenSSL has it. Some
    /// signers name the whole signature algorithm (`sha1WithRSAEncryption`) there; its digest is
    /// what they mean.
    pub fn from_oid(oid: Oid<'_>) -> Option<Self> {
        let digest = match oid {
            oid::MD4 | oid::MD4_WITH_RSA => Self::Md4,
            oid::MD5 | oid::MD5_WITH_RSA => Self::Md5,
            oid::SHA1 | oid::SHA1_WITH_RSA | oid::SHA1_WITH_RSA_OIW => Self::Sha1,
            oid::RIPEMD160 => Self::Ripemd160,
            oid::SHA224 | oid::SHA224_WITH_RSA => Self::Sha224,
            oid::SHA256 | oid::SHA256_WITH_RSA => Self::Sha256,
            oid::SHA384 | oid::SHA384_WITH_RSA => Self::Sha384,
            oid::SHA512 | oid::SHA512_WITH_RSA => Self::Sha512,
            oid::SHA512_224 => Self::Sha512_224,
            oid::SHA512_256 => Self::Sha512_256,
            oid::SHA3_224 => Self::Sha3_224,
            oid::SHA3_256 => Self::Sha3_256,
            oid::SHA3_384 => Self::Sha3_384,
            oid::SHA3_512 => Self::Sha3_512,
            oid::SHAKE128 => Self::Shake128,
            oid::SHAKE256 | oid::SHAKE256_LEN => Self::Shake256,
            _ => return None,
        };
        digest.md().map(|_| digest)
    }

    /// As [`Digest::from_oid`]; also `id-shake256-len`, which says in its parameters how long its
    /// output is (RFC 8419 §2.3 asks for 512 bits).
    pub fn from_algorithm(algorithm: &AlgorithmIdentifier<'_>) -> Option<Self> {
        const BITS_512: &[u8] = &[0x02, 0x02, 0x02, 0x00];
        if algorithm.oid == oid::SHAKE256_LEN {
            let sized = matches!(algorithm.parameters, None | Some(BITS_512));
            return Self::from_oid(oid::SHAKE256).filter(|_| sized);
        }
        Self::from_oid(algorithm.oid)
    }

    /// What CMS calls it.
    pub const fn oid(self) -> Oid<'static> {
        match self {
            Self::Md4 => oid::MD4,
            Self::Md5 => oid::MD5,
            Self::Sha1 => oid::SHA1,
            Self::Ripemd160 => oid::RIPEMD160,
            Self::Sha224 => oid::SHA224,
            Self::Sha256 => oid::SHA256,
            Self::Sha384 => oid::SHA384,
            Self::Sha512 => oid::SHA512,
            Self::Sha512_224 => oid::SHA512_224,
            Self::Sha512_256 => oid::SHA512_256,
            Self::Sha3_224 => oid::SHA3_224,
            Self::Sha3_256 => oid::SHA3_256,
            Self::Sha3_384 => oid::SHA3_384,
            Self::Sha3_512 => oid::SHA3_512,
            Self::Shake128 => oid::SHAKE128,
            Self::Shake256 => oid::SHAKE256,
        }
    }

    /// Whether its output has any length one asks for; such a function is no hash for RSA.
    pub const fn is_extendable(self) -> bool {
        matches!(self, Self::Shake128 | Self::Shake256)
    }

    /// The digest of an HMAC algorithm (RFC 8018 B.1.2, RFC 4231), as PBKDF2 names its PRF.
    pub fn from_hmac_oid(oid: Oid<'_>) -> Option<Self> {
        let digest = match oid {
            oid::HMAC_SHA1 => Self::Sha1,
            oid::HMAC_SHA224 => Self::Sha224,
            oid::HMAC_SHA256 => Self::Sha256,
            oid::HMAC_SHA384 => Self::Sha384,
            oid::HMAC_SHA512 => Self::Sha512,
            oid::HMAC_SHA3_224 => Self::Sha3_224,
            oid::HMAC_SHA3_256 => Self::Sha3_256,
            oid::HMAC_SHA3_384 => Self::Sha3_384,
            oid::HMAC_SHA3_512 => Self::Sha3_512,
            _ => return None,
        };
        digest.md().map(|_| digest)
    }

    /// As it stands in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md4 => "md4",
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Ripemd160 => "ripemd160",
            Self::Sha224 => "sha224",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
            Self::Sha512_224 => "sha512-224",
            Self::Sha512_256 => "sha512-256",
            Self::Sha3_224 => "sha3-224",
            Self::Sha3_256 => "sha3-256",
            Self::Sha3_384 => "sha3-384",
            Self::Sha3_512 => "sha3-512",
            Self::Shake128 => "shake128",
            Self::Shake256 => "shake256",
        }
    }

    /// Bytes of a hash value.
    pub const fn size(self) -> usize {
        match self {
            Self::Md4 | Self::Md5 => 16,
            Self::Sha1 | Self::Ripemd160 => 20,
            Self::Sha224 | Self::Sha512_224 | Self::Sha3_224 => 28,
            Self::Sha256 | Self::Sha512_256 | Self::Sha3_256 | Self::Shake128 => 32,
            Self::Sha384 | Self::Sha3_384 => 48,
            Self::Sha512 | Self::Sha3_512 | Self::Shake256 => 64,
        }
    }

    /// Bytes of the block that the compression function takes, as HMAC and the PKCS#12 key
    /// derivation need it.
    pub const fn block_size(self) -> usize {
        match self {
            Self::Md4 | Self::Md5 | Self::Sha1 | Self::Ripemd160 | Self::Sha224 | Self::Sha256 => {
                64
            }
            Self::Sha384 | Self::Sha512 | Self::Sha512_224 | Self::Sha512_256 => 128,
            Self::Sha3_224 => 144,
            Self::Sha3_256 | Self::Shake256 => 136,
            Self::Shake128 => 168,
            Self::Sha3_384 => 104,
            Self::Sha3_512 => 72,
        }
    }

    /// OpenSSL's algorithm, `None` where this OpenSSL does not have it.
    pub(crate) fn md(self) -> Option<&'static MdRef> {
        let slot = FETCHED.get(self as usize)?;
        let fetched = slot.get_or_init(|| {
            if self == Self::Md4 {
                provider::legacy().ok()?;
            }
            Md::fetch(None, self.openssl_name(), None).ok()
        });
        fetched.as_deref()
    }

    /// The same for the interfaces of the `openssl` crate that want this type.
    pub(crate) fn message_digest(self) -> Option<MessageDigest> {
        self.md()?;
        Some(match self {
            Self::Md4 => MessageDigest::from_nid(Nid::MD4)?,
            Self::Md5 => MessageDigest::md5(),
            Self::Sha1 => MessageDigest::sha1(),
            Self::Ripemd160 => MessageDigest::ripemd160(),
            Self::Sha224 => MessageDigest::sha224(),
            Self::Sha256 => MessageDigest::sha256(),
            Self::Sha384 => MessageDigest::sha384(),
            Self::Sha512 => MessageDigest::sha512(),
            Self::Sha512_224 => MessageDigest::from_name("SHA512-224")?,
            Self::Sha512_256 => MessageDigest::from_name("SHA512-256")?,
            Self::Sha3_224 => MessageDigest::sha3_224(),
            Self::Sha3_256 => MessageDigest::sha3_256(),
            Self::Sha3_384 => MessageDigest::sha3_384(),
            Self::Sha3_512 => MessageDigest::sha3_512(),
            Self::Shake128 => MessageDigest::shake_128(),
            Self::Shake256 => MessageDigest::shake_256(),
        })
    }

    const fn openssl_name(self) -> &'static str {
        match self {
            Self::Md4 => "MD4",
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA1",
            Self::Ripemd160 => "RIPEMD160",
            Self::Sha224 => "SHA2-224",
            Self::Sha256 => "SHA2-256",
            Self::Sha384 => "SHA2-384",
            Self::Sha512 => "SHA2-512",
            Self::Sha512_224 => "SHA2-512/224",
            Self::Sha512_256 => "SHA2-512/256",
            Self::Sha3_224 => "SHA3-224",
            Self::Sha3_256 => "SHA3-256",
            Self::Sha3_384 => "SHA3-384",
            Self::Sha3_512 => "SHA3-512",
            Self::Shake128 => "SHAKE-128",
            Self::Shake256 => "SHAKE-256",
        }
    }
}

/// A hash being computed.
pub struct Hasher {
    context: MdCtx,
    digest: Digest,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher")
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Hasher {
    /// Begins a hash.
    ///
    /// # Panics
    /// Where OpenSSL cannot hash at all: it lacks memory, or `digest` is one that
    /// [`Digest::from_oid`] would not have given.
    pub fn new(digest: Digest) -> Self {
        let begin = || -> Result<MdCtx, ErrorStack> {
            let mut context = MdCtx::new()?;
            context.digest_init(digest.md().ok_or_else(ErrorStack::get)?)?;
            Ok(context)
        };
        Self {
            context: begin().unwrap_or_else(|error| cannot_hash(&error)),
            digest,
        }
    }

    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.context
            .digest_update(bytes)
            .unwrap_or_else(|error| cannot_hash(&error));
    }

    /// The hash value.
    pub fn finish(mut self) -> Vec<u8> {
        let mut out = vec![0; self.digest.size()];
        if self.digest.is_extendable() {
            self.context.digest_final_xof(&mut out)
        } else {
            self.context.digest_final(&mut out).map(|_| ())
        }
        .unwrap_or_else(|error| cannot_hash(&error));
        out
    }
}

/// Hashing what is in memory cannot fail but for want of memory. Going on with any value at all
/// would let something be compared with it.
fn cannot_hash(error: &ErrorStack) -> ! {
    panic!("OpenSSL cannot hash: {error}")
}

/// The hash of `chunks`, one after the other.
///
/// # Panics
/// As [`Hasher::new`].
pub fn hash<'a>(digest: Digest, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut hasher = Hasher::new(digest);
    for chunk in chunks {
        hasher.update(chunk);
    }
    hasher.finish()
}

/// HMAC with SHA-256 (RFC 2104) of `text` under `key`.
///
/// # Panics
/// As [`Hasher::new`].
pub fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mac = || -> Result<Vec<u8>, ErrorStack> {
        let key = openssl::pkey::PKey::hmac(key)?;
        openssl::sign::Signer::new(openssl::hash::MessageDigest::sha256(), &key)?
            .sign_oneshot_to_vec(text)
    };
    mac().unwrap_or_else(|error| cannot_hash(&error))
}

/// SHA-256, what certificates and messages are named by.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    openssl::sha::sha256(bytes)
}

/// SHA-1, what subject key identifiers and localKeyIDs are made of.
pub fn sha1(bytes: &[u8]) -> [u8; 20] {
    openssl::sha::sha1(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::hex;

    #[test]
    fn chunks_make_no_difference() {
        let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for digest in Digest::ALL.into_iter().filter(|d| d.md().is_some()) {
            let whole = hash(digest, [&bytes[..]]);
            assert_eq!(whole.len(), digest.size());
            assert_eq!(hash(digest, bytes.chunks(7)), whole);
            assert_eq!(digest.md().unwrap().block_size(), digest.block_size());
        }
    }

    /// FIPS 180-4's and RFC 1321's `abc`.
    #[test]
    fn known_values() {
        assert_eq!(
            hex(&hash(Digest::Md5, [&b"abc"[..]])),
            "900150983cd24fb0d6963f7d28e17f72"
        );
        assert_eq!(
            hex(&hash(Digest::Sha1, [&b"abc"[..]])),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
        assert_eq!(hash(Digest::Sha256, [&b"abc"[..]]), sha256(b"abc"));
    }

    #[test]
    fn hmac_is_rfc_4231s() {
        let mac = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(
            crate::text::hex(&mac),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
