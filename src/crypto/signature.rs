//! Does a signature hold: RSA (PKCS#1 v1.5 and PSS), ECDSA, DSA, `EdDSA`.
//!
//! What an algorithm is worth is graded elsewhere; here MD5 and SHA-1 count like any other.

use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::pkey::{Id, Public};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Verifier};

use super::digest::{Digest, hash};
use super::rsa::{is_reasonable, known_digest};
use super::{PublicKey, Unsupported};
use crate::cms::oid::{self, AlgorithmIdentifier, Oid};
use crate::cms::parameters;

/// What a signature is over.
#[derive(Debug, Clone, Copy)]
pub enum Signed<'a> {
    /// Its hash under the SignerInfo's digestAlgorithm, already known.
    Prehashed(&'a [u8]),
    /// The bytes themselves, in pieces.
    Bytes(&'a [&'a [u8]]),
}

/// A signature algorithm, taken apart. A digest in it has to be the SignerInfo's.
enum Scheme {
    RsaPkcs1,
    RsaPss { mgf1: Digest, salt_len: i32 },
    Ecdsa { plain: bool },
    Dsa,
    EdDsa(Id),
}

/// Whether `signature` is the one that `key` made over `signed`. `digest` is the SignerInfo's
/// digestAlgorithm.
///
/// # Errors
/// [`Unsupported`] where that cannot be told: an algorithm that is not known, or that does not go
/// with the key or with the digest.
pub fn verify(
    key: &PublicKey,
    algorithm: &AlgorithmIdentifier<'_>,
    digest: Digest,
    signed: Signed<'_>,
    signature: &[u8],
) -> Result<bool, Unsupported> {
    let scheme = scheme(algorithm, digest)?;
    if let Scheme::EdDsa(id) = scheme {
        return verify_eddsa(key, id, signed, signature);
    }
    let fits = match scheme {
        Scheme::RsaPkcs1 => key.id() == Id::RSA,
        Scheme::RsaPss { .. } => matches!(key.id(), Id::RSA | Id::RSA_PSS),
        Scheme::Ecdsa { .. } => key.id() == Id::EC,
        Scheme::Dsa => key.id() == Id::DSA,
        Scheme::EdDsa(_) => false,
    };
    if !fits {
        return Err(Unsupported(format!(
            "{} with a key of another kind",
            algorithm.oid.label()
        )));
    }
    if !is_reasonable(key) {
        return Err(Unsupported("RSA key too large".to_owned()));
    }
    let hashed;
    let value = match signed {
        Signed::Prehashed(value) => value,
        Signed::Bytes(chunks) => {
            hashed = hash(digest, chunks.iter().copied());
            &hashed[..]
        }
    };
    if value.len() != digest.size() {
        return Ok(false);
    }
    // OpenSSL reports a wrong signature as an error as often as not.
    Ok(verify_value(key, &scheme, digest, value, signature).unwrap_or(false))
}

fn verify_value(
    key: &PublicKey,
    scheme: &Scheme,
    digest: Digest,
    value: &[u8],
    signature: &[u8],
) -> Result<bool, ErrorStack> {
    let mut context: PkeyCtx<Public> = PkeyCtx::new(key)?;
    context.verify_init()?;
    let plain;
    let mut signature = signature;
    match *scheme {
        Scheme::RsaPkcs1 => {
            context.set_rsa_padding(Padding::PKCS1)?;
            context.set_signature_md(md(digest)?)?;
        }
        Scheme::RsaPss { mgf1, salt_len } => {
            context.set_rsa_padding(Padding::PKCS1_PSS)?;
            context.set_signature_md(md(digest)?)?;
            context.set_rsa_mgf1_md(md(mgf1)?)?;
            context.set_rsa_pss_saltlen(RsaPssSaltlen::custom(salt_len))?;
        }
        Scheme::Ecdsa { plain: true } => {
            plain = der_of_plain(signature)?;
            signature = &plain;
        }
        Scheme::Ecdsa { plain: false } | Scheme::Dsa | Scheme::EdDsa(_) => {}
    }
    context.verify(value, signature)
}

fn md(digest: Digest) -> Result<&'static openssl::md::MdRef, ErrorStack> {
    digest.md().ok_or_else(ErrorStack::get)
}

/// BSI TR-03111 §5.2.1: the plain format is r and s of equal length, one after the other.
fn der_of_plain(signature: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let (r, s) = signature.split_at(signature.len() / 2);
    EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?.to_der()
}

fn verify_eddsa(
    key: &PublicKey,
    id: Id,
    signed: Signed<'_>,
    signature: &[u8],
) -> Result<bool, Unsupported> {
    let Signed::Bytes(chunks) = signed else {
        return Err(Unsupported("EdDSA over a hash".to_owned()));
    };
    if key.id() != id {
        return Err(Unsupported("EdDSA with a key of another kind".to_owned()));
    }
    let whole = chunks.concat();
    let verify = || Verifier::new_without_digest(key)?.verify_oneshot(signature, &whole);
    Ok(verify().unwrap_or(false))
}

/// Whether verifying needs the bytes themselves: `EdDSA` does not take a hash.
pub fn needs_bytes(algorithm: &AlgorithmIdentifier<'_>) -> bool {
    matches!(algorithm.oid, oid::ED25519 | oid::ED448)
}

fn scheme(algorithm: &AlgorithmIdentifier<'_>, digest: Digest) -> Result<Scheme, Unsupported> {
    let (scheme, named) = match algorithm.oid {
        oid::RSA_ENCRYPTION => (Scheme::RsaPkcs1, None),
        oid::RSASSA_PSS => return pss(algorithm, digest),
        oid::EC_PUBLIC_KEY => (Scheme::Ecdsa { plain: false }, None),
        oid::DSA => (Scheme::Dsa, None),
        oid::ED25519 => (Scheme::EdDsa(Id::ED25519), None),
        oid::ED448 => (Scheme::EdDsa(Id::ED448), None),
        other => {
            let (scheme, named) = with_digest(other).ok_or_else(|| Unsupported(other.label()))?;
            (scheme, Some(named))
        }
    };
    match named {
        Some(named) if named != digest => Err(disagree(algorithm.oid, digest)),
        _ => Ok(scheme),
    }
}

/// The scheme as reports and the strength tables name it, whatever digest its identifier names:
/// `rsa-pkcs1`, `rsa-pss`, `ecdsa`, `dsa` …; else the identifier's own name.
pub fn name(algorithm: &AlgorithmIdentifier<'_>) -> String {
    let scheme = match algorithm.oid {
        oid::EC_PUBLIC_KEY => Some(Scheme::Ecdsa { plain: false }),
        other => with_digest(other).map(|(scheme, _)| scheme),
    };
    match scheme {
        Some(Scheme::RsaPkcs1) => "rsa-pkcs1".to_owned(),
        Some(Scheme::Ecdsa { .. }) => "ecdsa".to_owned(),
        Some(Scheme::Dsa) => "dsa".to_owned(),
        Some(Scheme::RsaPss { .. } | Scheme::EdDsa(_)) | None => algorithm.oid.label(),
    }
}

/// Signature algorithms that name their digest.
fn with_digest(oid: Oid<'_>) -> Option<(Scheme, Digest)> {
    let ecdsa = Scheme::Ecdsa { plain: false };
    let plain = Scheme::Ecdsa { plain: true };
    Some(match oid {
        oid::MD5_WITH_RSA => (Scheme::RsaPkcs1, Digest::Md5),
        oid::SHA1_WITH_RSA | oid::SHA1_WITH_RSA_OIW => (Scheme::RsaPkcs1, Digest::Sha1),
        oid::RIPEMD160_WITH_RSA => (Scheme::RsaPkcs1, Digest::Ripemd160),
        oid::SHA224_WITH_RSA => (Scheme::RsaPkcs1, Digest::Sha224),
        oid::SHA256_WITH_RSA => (Scheme::RsaPkcs1, Digest::Sha256),
        oid::SHA384_WITH_RSA => (Scheme::RsaPkcs1, Digest::Sha384),
        oid::SHA512_WITH_RSA => (Scheme::RsaPkcs1, Digest::Sha512),
        oid::SHA3_224_WITH_RSA => (Scheme::RsaPkcs1, Digest::Sha3_224),
        oid::SHA3_256_WITH_RSA => (Scheme::RsaPkcs1, Digest::Sha3_256),
        oid::SHA3_384_WITH_RSA => (Scheme::RsaPkcs1, Digest::Sha3_384),
        oid::SHA3_512_WITH_RSA => (Scheme::RsaPkcs1, Digest::Sha3_512),
        oid::ECDSA_WITH_SHA1 => (ecdsa, Digest::Sha1),
        oid::ECDSA_WITH_SHA224 => (ecdsa, Digest::Sha224),
        oid::ECDSA_WITH_SHA256 => (ecdsa, Digest::Sha256),
        oid::ECDSA_WITH_SHA384 => (ecdsa, Digest::Sha384),
        oid::ECDSA_WITH_SHA512 => (ecdsa, Digest::Sha512),
        oid::ECDSA_WITH_SHA3_224 => (ecdsa, Digest::Sha3_224),
        oid::ECDSA_WITH_SHA3_256 => (ecdsa, Digest::Sha3_256),
        oid::ECDSA_WITH_SHA3_384 => (ecdsa, Digest::Sha3_384),
        oid::ECDSA_WITH_SHA3_512 => (ecdsa, Digest::Sha3_512),
        oid::ECDSA_PLAIN_SHA1 => (plain, Digest::Sha1),
        oid::ECDSA_PLAIN_SHA224 => (plain, Digest::Sha224),
        oid::ECDSA_PLAIN_SHA256 => (plain, Digest::Sha256),
        oid::ECDSA_PLAIN_SHA384 => (plain, Digest::Sha384),
        oid::ECDSA_PLAIN_SHA512 => (plain, Digest::Sha512),
        oid::DSA_WITH_SHA1 | oid::DSA_WITH_SHA1_OIW => (Scheme::Dsa, Digest::Sha1),
        oid::DSA_WITH_SHA224 => (Scheme::Dsa, Digest::Sha224),
        oid::DSA_WITH_SHA256 => (Scheme::Dsa, Digest::Sha256),
        oid::DSA_WITH_SHA384 => (Scheme::Dsa, Digest::Sha384),
        oid::DSA_WITH_SHA512 => (Scheme::Dsa, Digest::Sha512),
        _ => return None,
    })
}

/// RFC 4056 §3: the parameters' hash has to be the SignerInfo's.
fn pss(algorithm: &AlgorithmIdentifier<'_>, digest: Digest) -> Result<Scheme, Unsupported> {
    let unreadable = |_| Unsupported("rsa-pss with unreadable parameters".to_owned());
    let parameters = parameters::pss_parameters(algorithm).map_err(unreadable)?;
    if known_digest(parameters.digest)? != digest {
        return Err(disagree(algorithm.oid, digest));
    }
    let salt_len = i32::try_from(parameters.salt_len)
        .ok()
        .filter(|len| *len <= 1024);
    let salt_len = salt_len.ok_or_else(|| Unsupported("rsa-pss with a huge salt".to_owned()))?;
    Ok(Scheme::RsaPss {
        mgf1: known_digest(parameters.mgf1_digest)?,
        salt_len,
    })
}

fn disagree(oid: Oid<'_>, digest: Digest) -> Unsupported {
    Unsupported(format!("{} over {}", oid.label(), digest.name()))
}
