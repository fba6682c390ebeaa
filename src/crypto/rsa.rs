//! Content-encryption keys under RSA: PKCS#1 v1.5 and OAEP.
//!
//! Bad PKCS#1 v1.5 padding is an error in OpenSSL 3.0 and random bytes from 3.2 on. Here it is a
//! random key of the wanted length in either: nothing that follows can tell it from a wrong key.

use openssl::pkey::{HasPublic, Id, PKeyRef};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use zeroize::Zeroizing;

use super::cipher::ContentCipher;
use super::digest::Digest;
use super::{CipherProblem, Failed, PublicKey, SecretKey, Unsupported, random};
use crate::cms::oid::{AlgorithmIdentifier, Oid};
use crate::cms::parameters;

/// Bits of the largest modulus worked with; larger ones take seconds.
const MAX_BITS: u32 = 8192;

/// Bits of the largest public exponent worked with (2³³).
const MAX_EXPONENT_BITS: i32 = 33;

/// Whether an RSA key is of a size that is worked with. Keys of other kinds are not judged here.
pub fn is_reasonable<T: HasPublic>(key: &PKeyRef<T>) -> bool {
    if !matches!(key.id(), Id::RSA | Id::RSA_PSS) {
        return true;
    }
    key.bits() <= MAX_BITS
        && key
            .rsa()
            .is_ok_and(|rsa| rsa.e().num_bits() <= MAX_EXPONENT_BITS)
}

fn is_usable<T: HasPublic>(key: &PKeyRef<T>) -> bool {
    key.id() == Id::RSA && is_reasonable(key)
}

/// The content-encryption key under PKCS#1 v1.5: what decrypts to exactly `want_len` bytes, and a
/// random key of that length in every other case. [`Failed`] only where there is no randomness.
pub fn unwrap_pkcs1(
    key: &SecretKey,
    encrypted: &[u8],
    want_len: usize,
) -> Result<Zeroizing<Vec<u8>>, Failed> {
    unwrap_pkcs1_or_random(key, encrypted, want_len, |len| len == want_len)
}

/// As [`unwrap_pkcs1`] for any length that `cipher` takes (RC2 takes several).
pub fn unwrap_pkcs1_for(
    key: &SecretKey,
    encrypted: &[u8],
    cipher: ContentCipher,
) -> Result<Zeroizing<Vec<u8>>, Failed> {
    unwrap_pkcs1_or_random(key, encrypted, cipher.key_len(), |len| {
        cipher.takes_key_len(len)
    })
}

fn unwrap_pkcs1_or_random(
    key: &SecretKey,
    encrypted: &[u8],
    random_len: usize,
    fits: impl Fn(usize) -> bool,
) -> Result<Zeroizing<Vec<u8>>, Failed> {
    // Drawn always, so that both ways cost the same.
    let substitute = random::secret(random_len)?;
    match decrypt(key, encrypted, |context| {
        context.set_rsa_padding(Padding::PKCS1)
    }) {
        Ok(found) if fits(found.len()) => Ok(found),
        _ => Ok(substitute),
    }
}

/// Parameters of RSAES-OAEP (RFC 8017 A.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OaepParameters {
    /// hashAlgorithm
    pub digest: Digest,
    /// The hash of MGF1.
    pub mgf1: Digest,
    /// pSourceAlgorithm: the label, mostly empty.
    pub label: Vec<u8>,
}

impl Default for OaepParameters {
    /// What absent parameters mean: SHA-1 throughout.
    fn default() -> Self {
        Self {
            digest: Digest::Sha1,
            mgf1: Digest::Sha1,
            label: Vec::new(),
        }
    }
}

impl OaepParameters {
    /// SHA-256 throughout, what is written for new recipients.
    pub const SHA256: Self = Self {
        digest: Digest::Sha256,
        mgf1: Digest::Sha256,
        label: Vec::new(),
    };

    /// Reads an `id-RSAES-OAEP` algorithm identifier. Absent and NULL parameters, which RFC 4055
    /// forbids, are taken as the defaults that they were meant as.
    pub fn from_algorithm(algorithm: &AlgorithmIdentifier<'_>) -> Result<Self, CipherProblem> {
        if matches!(algorithm.parameters, None | Some([5, 0])) {
            return Ok(Self::default());
        }
        let parameters = parameters::oaep_parameters(algorithm)?;
        Ok(Self {
            digest: known_digest(parameters.digest)?,
            mgf1: known_digest(parameters.mgf1_digest)?,
            label: parameters.label.to_vec(),
        })
    }
}

/// The digest with a fixed length that `oid` names, or which one is not known.
pub(super) fn known_digest(oid: Oid<'_>) -> Result<Digest, Unsupported> {
    Digest::from_oid(oid)
        .filter(|digest| !digest.is_extendable())
        .ok_or_else(|| Unsupported(oid.label()))
}

/// The content-encryption key under OAEP, `None` where the padding does not prove it.
pub fn unwrap_oaep(
    key: &SecretKey,
    parameters: &OaepParameters,
    encrypted: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    decrypt(key, encrypted, |context| set_oaep(context, parameters)).ok()
}

/// Encrypts a content-encryption key under PKCS#1 v1.5.
pub fn wrap_pkcs1(key: &PublicKey, secret: &[u8]) -> Result<Vec<u8>, Failed> {
    encrypt(key, secret, |context| {
        context.set_rsa_padding(Padding::PKCS1)
    })
}

/// Encrypts a content-encryption key under OAEP.
pub fn wrap_oaep(
    key: &PublicKey,
    parameters: &OaepParameters,
    secret: &[u8],
) -> Result<Vec<u8>, Failed> {
    encrypt(key, secret, |context| set_oaep(context, parameters))
}

type Setup = Result<(), openssl::error::ErrorStack>;

fn set_oaep<T>(context: &mut PkeyCtx<T>, parameters: &OaepParameters) -> Setup {
    context.set_rsa_padding(Padding::PKCS1_OAEP)?;
    let missing = openssl::error::ErrorStack::get;
    context.set_rsa_oaep_md(parameters.digest.md().ok_or_else(missing)?)?;
    context.set_rsa_mgf1_md(parameters.mgf1.md().ok_or_else(missing)?)?;
    if !parameters.label.is_empty() {
        context.set_rsa_oaep_label(&parameters.label)?;
    }
    Ok(())
}

fn decrypt(
    key: &SecretKey,
    encrypted: &[u8],
    setup: impl FnOnce(&mut PkeyCtx<openssl::pkey::Private>) -> Setup,
) -> Result<Zeroizing<Vec<u8>>, Failed> {
    if !is_usable(key) {
        return Err(Failed);
    }
    let mut context = PkeyCtx::new(key)?;
    context.decrypt_init()?;
    setup(&mut context)?;
    let mut out = Zeroizing::new(vec![0; key.size()]);
    let len = context.decrypt(encrypted, Some(&mut out))?;
    out.truncate(len);
    Ok(out)
}

fn encrypt(
    key: &PublicKey,
    secret: &[u8],
    setup: impl FnOnce(&mut PkeyCtx<openssl::pkey::Public>) -> Setup,
) -> Result<Vec<u8>, Failed> {
    if !is_usable(key) {
        return Err(Failed);
    }
    let mut context = PkeyCtx::new(key)?;
    context.encrypt_init()?;
    setup(&mut context)?;
    let mut out = Vec::new();
    context.encrypt_to_vec(secret, &mut out)?;
    Ok(out)
}
