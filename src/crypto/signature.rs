//! Does a signature hold: RSA (PKCS#1 v1.5 and PSS), ECDSA, DSA, `EdDSA`, and ML-DSA and SLH-DSA
//! where the OpenSSL in use has them (3.5 and later).
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
use crate::cms::ber::Tlv;
use crate::cms::der;
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

/// What a signature turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The key did not make it over these bytes.
    Not,
    /// It did.
    Yes,
    /// It did, in a way that a strict reader would not accept; the reason code says in which.
    Leniently(&'static str),
}

/// A signature algorithm, taken apart.
#[derive(Clone, Copy)]
enum Scheme {
    RsaPkcs1,
    /// `salt_len` is `None` where any length will do.
    RsaPss {
        mgf1: Digest,
        salt_len: Option<i32>,
    },
    Ecdsa {
        plain: bool,
    },
    Dsa,
    /// `EdDSA`, ML-DSA, SLH-DSA: over the bytes themselves, and named as their keys are.
    Pure,
}

/// A scheme, and the hash that goes into it.
struct Plan {
    scheme: Scheme,
    digest: Digest,
    /// Why a strict reader would refuse to go on.
    oddity: Option<&'static str>,
}

/// Whether `signature` is the one that `key` made over `signed` and is in every way as it should be:
/// [`held`] without its leniency.
///
/// # Errors
/// As [`held`].
pub fn verify(
    key: &PublicKey,
    algorithm: &AlgorithmIdentifier<'_>,
    digest: Digest,
    signed: Signed<'_>,
    signature: &[u8],
) -> Result<bool, Unsupported> {
    held(key, algorithm, digest, signed, signature).map(|held| held == Held::Yes)
}

/// Whether `signature` is the one that `key` made over `signed`, and how. `digest` is the
/// SignerInfo's digestAlgorithm.
///
/// # Errors
/// [`Unsupported`] where that cannot be told: an algorithm that is not known, that does not go
/// with the key, or that names another digest than `digest` while only a hash is there.
pub fn held(
    key: &PublicKey,
    algorithm: &AlgorithmIdentifier<'_>,
    digest: Digest,
    signed: Signed<'_>,
    signature: &[u8],
) -> Result<Held, Unsupported> {
    let plan = plan(algorithm, digest)?;
    if matches!(plan.scheme, Scheme::Pure) {
        return verify_pure(key, algorithm, signed, signature);
    }
    let fits = match plan.scheme {
        Scheme::RsaPkcs1 => key.id() == Id::RSA,
        Scheme::RsaPss { .. } => matches!(key.id(), Id::RSA | Id::RSA_PSS),
        Scheme::Ecdsa { .. } => key.id() == Id::EC,
        Scheme::Dsa => key.id() == Id::DSA,
        Scheme::Pure => false,
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
    let accepted = |digest: Digest| -> Result<Held, Unsupported> {
        let hashed;
        let value = match signed {
            Signed::Prehashed(_) if plan.digest != digest => {
                return Err(disagree(algorithm.oid, digest));
            }
            Signed::Prehashed(value) => value,
            Signed::Bytes(chunks) => {
                hashed = hash(digest, chunks.iter().copied());
                &hashed[..]
            }
        };
        if value.len() != digest.size() {
            return Ok(Held::Not);
        }
        // OpenSSL reports a wrong signature as an error as often as not.
        Ok(
            match verify_value(key, &plan.scheme, digest, value, signature) {
                Ok(true) => Held::Yes,
                _ if matches!(plan.scheme, Scheme::RsaPkcs1)
                    && lacks_null(key, digest, value, signature).unwrap_or(false) =>
                {
                    Held::Leniently("digest-info-without-null")
                }
                _ => Held::Not,
            },
        )
    };
    let found = match accepted(plan.digest)? {
        // The digestAlgorithm may be the one that is meant.
        Held::Not if plan.digest != digest => accepted(digest)?,
        found => found,
    };
    Ok(match (found, plan.oddity) {
        (Held::Not, _) => Held::Not,
        (_, Some(oddity)) => Held::Leniently(oddity),
        (found, None) => found,
    })
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
            // When verifying, OpenSSL takes this one for "whatever the signature says".
            let any = RsaPssSaltlen::MAXIMUM_LENGTH;
            context.set_rsa_pss_saltlen(salt_len.map_or(any, RsaPssSaltlen::custom))?;
        }
        Scheme::Ecdsa { plain: true } => {
            plain = der_of_plain(key, signature)?;
            signature = &plain;
        }
        Scheme::Ecdsa { plain: false } | Scheme::Dsa | Scheme::Pure => {}
    }
    context.verify(value, signature)
}

/// Whether the signature holds with a `DigestInfo` whose algorithm has no parameters at all, where
/// RFC 8017 §9.2 writes NULL and asks verifiers to accept either. The whole block is compared:
/// there is no room in it for a forger.
fn lacks_null(
    key: &PublicKey,
    digest: Digest,
    value: &[u8],
    signature: &[u8],
) -> Result<bool, ErrorStack> {
    let mut context: PkeyCtx<Public> = PkeyCtx::new(key)?;
    context.verify_recover_init()?;
    context.set_rsa_padding(Padding::PKCS1)?;
    let mut block = vec![0; key.size()];
    let len = context.verify_recover(signature, Some(&mut block))?;
    let expected = der::sequence(&[
        &der::algorithm(digest.oid(), None),
        &der::octet_string(value),
    ]);
    Ok(block.get(..len) == Some(&expected[..]))
}

fn md(digest: Digest) -> Result<&'static openssl::md::MdRef, ErrorStack> {
    digest.md().ok_or_else(ErrorStack::get)
}

/// BSI TR-03111 §5.2.1: the plain format is r and s, each as long as the order of the curve, one
/// after the other.
fn der_of_plain(key: &PublicKey, signature: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let order = usize::try_from(key.bits().div_ceil(8)).unwrap_or(usize::MAX);
    if signature.len() / 2 != order || !signature.len().is_multiple_of(2) {
        return Err(ErrorStack::get());
    }
    let (r, s) = signature.split_at(signature.len() / 2);
    EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?.to_der()
}

fn verify_pure(
    key: &PublicKey,
    algorithm: &AlgorithmIdentifier<'_>,
    signed: Signed<'_>,
    signature: &[u8],
) -> Result<Held, Unsupported> {
    let Signed::Bytes(chunks) = signed else {
        return Err(Unsupported(format!(
            "{} over a hash",
            algorithm.oid.label()
        )));
    };
    // One identifier names both key and signature (RFC 8410 §3, RFC 9881 §2, RFC 9909 §3).
    let spki = key.public_key_to_der().unwrap_or_default();
    let of_key = Tlv::only(&spki)
        .and_then(|spki| spki.reader().read())
        .and_then(|tlv| AlgorithmIdentifier::parse(tlv.raw));
    if of_key.map(|own| own.oid) != Ok(algorithm.oid) {
        return Err(Unsupported(format!(
            "{} with a key of another kind",
            algorithm.oid.label()
        )));
    }
    let whole = chunks.concat();
    let verify = || Verifier::new_without_digest(key)?.verify_oneshot(signature, &whole);
    Ok(if verify().unwrap_or(false) {
        Held::Yes
    } else {
        Held::Not
    })
}

/// Whether verifying needs the bytes themselves: `EdDSA` and its like do not take a hash, and where
/// the algorithm names another digest than the SignerInfo's `digest`, the hash at hand is no use.
pub fn needs_bytes(algorithm: &AlgorithmIdentifier<'_>, digest: Digest) -> bool {
    is_pure(algorithm.oid) || named_digest(algorithm).is_some_and(|named| named != digest)
}

/// The digest that a signature algorithm names itself, where it does.
pub fn named_digest(algorithm: &AlgorithmIdentifier<'_>) -> Option<Digest> {
    if algorithm.oid == oid::RSASSA_PSS {
        let parameters = parameters::pss_parameters(algorithm).ok()?;
        return known_digest(parameters.digest).ok();
    }
    with_digest(algorithm.oid).map(|(_, digest)| digest)
}

fn is_pure(oid: Oid<'_>) -> bool {
    matches!(
        oid,
        oid::ED25519
            | oid::ED448
            | oid::ML_DSA_44
            | oid::ML_DSA_65
            | oid::ML_DSA_87
            | oid::SLH_DSA_SHA2_128S
            | oid::SLH_DSA_SHA2_128F
            | oid::SLH_DSA_SHA2_192S
            | oid::SLH_DSA_SHA2_192F
            | oid::SLH_DSA_SHA2_256S
            | oid::SLH_DSA_SHA2_256F
            | oid::SLH_DSA_SHAKE_128S
            | oid::SLH_DSA_SHAKE_128F
            | oid::SLH_DSA_SHAKE_192S
            | oid::SLH_DSA_SHAKE_192F
            | oid::SLH_DSA_SHAKE_256S
            | oid::SLH_DSA_SHAKE_256F
    )
}

fn plan(algorithm: &AlgorithmIdentifier<'_>, digest: Digest) -> Result<Plan, Unsupported> {
    let (scheme, named) = match algorithm.oid {
        oid::RSA_ENCRYPTION => (Scheme::RsaPkcs1, digest),
        oid::RSASSA_PSS => return pss(algorithm, digest),
        oid::EC_PUBLIC_KEY => (Scheme::Ecdsa { plain: false }, digest),
        oid::DSA => (Scheme::Dsa, digest),
        pure if is_pure(pure) => (Scheme::Pure, digest),
        other => with_digest(other).ok_or_else(|| Unsupported(other.label()))?,
    };
    if named.md().is_none() {
        return Err(Unsupported(algorithm.oid.label()));
    }
    Ok(Plan {
        scheme,
        digest: named,
        oddity: (named != digest).then_some("algorithms-disagree"),
    })
}

/// The scheme as reports and the strength tables name it, whatever digest its identifier names:
/// `rsa-pkcs1`, `rsa-pss`, `ecdsa`, `dsa` …; else the identifier's own name.
pub fn name(algorithm: &AlgorithmIdentifier<'_>) -> String {
    let scheme = match algorithm.oid {
        oid::EC_PUBLIC_KEY => Some(Scheme::Ecdsa { plain: false }),
        oid::MD2_WITH_RSA => Some(Scheme::RsaPkcs1),
        other => with_digest(other).map(|(scheme, _)| scheme),
    };
    match scheme {
        Some(Scheme::RsaPkcs1) => "rsa-pkcs1".to_owned(),
        Some(Scheme::Ecdsa { .. }) => "ecdsa".to_owned(),
        Some(Scheme::Dsa) => "dsa".to_owned(),
        Some(Scheme::RsaPss { .. } | Scheme::Pure) | None => algorithm.oid.label(),
    }
}

/// Signature algorithms that name their digest.
fn with_digest(oid: Oid<'_>) -> Option<(Scheme, Digest)> {
    let ecdsa = Scheme::Ecdsa { plain: false };
    let plain = Scheme::Ecdsa { plain: true };
    Some(match oid {
        oid::MD4_WITH_RSA => (Scheme::RsaPkcs1, Digest::Md4),
        oid::MD5_WITH_RSA => (Scheme::RsaPkcs1, Digest::Md5),
        oid::SHA1_WITH_RSA | oid::SHA1_WITH_RSA_OIW => (Scheme::RsaPkcs1, Digest::Sha1),
        oid::RIPEMD160_WITH_RSA => (Scheme::RsaPkcs1, Digest::Ripemd160),
        oid::SHA224_WITH_RSA => (Scheme::RsaPkcs1, Digest::Sha224),
        oid::SHA256_WITH_RSA => (Scheme::RsaPkcs1, Digest::Sha256),
        oid::SHA384_WITH_RSA => (Scheme::RsaPkcs1, Digest::Sha384),
        oid::SHA512_WITH_RSA => (Scheme::RsaPkcs1, Digest::Sha512),
        oid::SHA512_224_WITH_RSA => (Scheme::RsaPkcs1, Digest::Sha512_224),
        oid::SHA512_256_WITH_RSA => (Scheme::RsaPkcs1, Digest::Sha512_256),
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
        oid::ECDSA_WITH_SHAKE128 => (ecdsa, Digest::Shake128),
        oid::ECDSA_WITH_SHAKE256 => (ecdsa, Digest::Shake256),
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

/// RFC 4056 §3: the parameters' hash has to be the SignerInfo's. Parameters that are absent, which
/// RFC 4055 §3.1 forbids, leave everything to be guessed: the SignerInfo's hash throughout, and a
/// salt of any length.
fn pss(algorithm: &AlgorithmIdentifier<'_>, digest: Digest) -> Result<Plan, Unsupported> {
    if matches!(algorithm.parameters, None | Some([5, 0])) {
        return Ok(Plan {
            scheme: Scheme::RsaPss {
                mgf1: digest,
                salt_len: None,
            },
            digest,
            oddity: Some("pss-parameters-missing"),
        });
    }
    let unreadable = |_| Unsupported("rsa-pss with unreadable parameters".to_owned());
    let parameters = parameters::pss_parameters(algorithm).map_err(unreadable)?;
    let named = known_digest(parameters.digest)?;
    let salt_len = i32::try_from(parameters.salt_len)
        .ok()
        .filter(|len| *len <= 1024);
    let salt_len = salt_len.ok_or_else(|| Unsupported("rsa-pss with a huge salt".to_owned()))?;
    Ok(Plan {
        scheme: Scheme::RsaPss {
            mgf1: known_digest(parameters.mgf1_digest)?,
            salt_len: Some(salt_len),
        },
        digest: named,
        oddity: (named != digest).then_some("algorithms-disagree"),
    })
}

fn disagree(oid: Oid<'_>, digest: Digest) -> Unsupported {
    Unsupported(format!("{} over {}", oid.label(), digest.name()))
}
