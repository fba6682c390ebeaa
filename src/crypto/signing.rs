//! Making signatures: which algorithms go with a key, and the signature value.

use openssl::ec::EcKeyRef;
use openssl::error::ErrorStack;
use openssl::pkey::{Id, Private};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer};

use super::digest::{Digest, hash};
use super::{Failed, SecretKey, Unsupported};

/// RSA keys below this are not signed with: what they sign is graded weak the day it is made.
const LEAST_RSA_BITS: u32 = 2048;

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// RSASSA-PKCS1-v1_5 (RFC 8017 §8.2).
    RsaPkcs1,
    /// RSASSA-PSS with MGF1 and a salt of the digest's length (RFC 8017 §8.1).
    RsaPss,
    /// ECDSA (RFC 5753 §2.1).
    Ecdsa,
    /// `Ed25519` (RFC 8419).
    Ed25519,
    /// `Ed448` (RFC 8419).
    Ed448,
}

/// A scheme and the digest it is used with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Algorithms {
    /// How the key signs.
    pub scheme: Scheme,
    /// What it signs.
    pub digest: Digest,
}

/// The algorithms that `key` signs with: RSA with SHA-256; ECDSA with the SHA-2 as wide as the
/// curve; `Ed25519` with SHA-512 and `Ed448` with SHAKE256, as RFC 8419 §3.1 wants.
///
/// # Errors
/// [`Unsupported`] for DSA, for RSA of less than 2048 bits, for curves of less than 224 bits and for
/// what cannot sign at all.
pub fn algorithms(key: &SecretKey) -> Result<Algorithms, Unsupported> {
    let (scheme, digest) = match key.id() {
        id @ (Id::RSA | Id::RSA_PSS) => {
            let bits = key.bits();
            if bits < LEAST_RSA_BITS {
                return Err(Unsupported(format!(
                    "signing with an RSA key of {bits} bits; at least {LEAST_RSA_BITS} are needed"
                )));
            }
            if id == Id::RSA {
                (Scheme::RsaPkcs1, Digest::Sha256)
            } else {
                (Scheme::RsaPss, Digest::Sha256)
            }
        }
        Id::EC => (
            Scheme::Ecdsa,
            digest_of(curve_bits(&*key.ec_key().map_err(unusable)?))?,
        ),
        Id::ED25519 => (Scheme::Ed25519, Digest::Sha512),
        Id::ED448 => (Scheme::Ed448, Digest::Shake256),
        Id::DSA => {
            return Err(Unsupported(
                "signing with DSA, which FIPS 186-5 has withdrawn".into(),
            ));
        }
        _ => return Err(Unsupported("signing with a key of this kind".into())),
    };
    Ok(Algorithms { scheme, digest })
}

fn unusable(_: ErrorStack) -> Unsupported {
    Unsupported("signing with this EC key".into())
}

fn curve_bits(key: &EcKeyRef<Private>) -> u32 {
    key.group().degree()
}

fn digest_of(curve_bits: u32) -> Result<Digest, Unsupported> {
    match curve_bits {
        0..224 => Err(Unsupported(format!(
            "signing on a curve of {curve_bits} bits"
        ))),
        224..320 => Ok(Digest::Sha256),
        320..512 => Ok(Digest::Sha384),
        512.. => Ok(Digest::Sha512),
    }
}

/// The signature over `bytes`.
///
/// # Errors
/// [`Failed`] where OpenSSL does not sign: a PSS key whose parameters forbid these, for one.
pub fn sign(key: &SecretKey, algorithms: Algorithms, bytes: &[u8]) -> Result<Vec<u8>, Failed> {
    if matches!(algorithms.scheme, Scheme::Ed25519 | Scheme::Ed448) {
        return Ok(Signer::new_without_digest(key)?.sign_oneshot_to_vec(bytes)?);
    }
    let digest = algorithms.digest;
    let md = digest.md().ok_or(Failed)?;
    let mut context: PkeyCtx<Private> = PkeyCtx::new(key)?;
    context.sign_init()?;
    match algorithms.scheme {
        Scheme::RsaPkcs1 => context.set_rsa_padding(Padding::PKCS1)?,
        Scheme::RsaPss => context.set_rsa_padding(Padding::PKCS1_PSS)?,
        _ => {}
    }
    context.set_signature_md(md)?;
    if algorithms.scheme == Scheme::RsaPss {
        context.set_rsa_mgf1_md(md)?;
        context.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
    }
    let mut out = Vec::new();
    context.sign_to_vec(&hash(digest, [bytes]), &mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::dsa::Dsa;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;
    use openssl::pkey::PKey;
    use openssl::rsa::Rsa;

    fn ec(curve: Nid) -> SecretKey {
        let group = EcGroup::from_curve_name(curve).unwrap();
        PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
    }

    #[test]
    fn algorithms_go_with_the_key() {
        let rsa = |bits| PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
        for (key, scheme, digest) in [
            (rsa(2048), Scheme::RsaPkcs1, Digest::Sha256),
            (ec(Nid::X9_62_PRIME256V1), Scheme::Ecdsa, Digest::Sha256),
            (ec(Nid::BRAINPOOL_P384R1), Scheme::Ecdsa, Digest::Sha384),
            (ec(Nid::SECP521R1), Scheme::Ecdsa, Digest::Sha512),
            (
                PKey::generate_ed25519().unwrap(),
                Scheme::Ed25519,
                Digest::Sha512,
            ),
            (
                PKey::generate_ed448().unwrap(),
                Scheme::Ed448,
                Digest::Shake256,
            ),
        ] {
            let chosen = algorithms(&key).unwrap();
            assert_eq!((chosen.scheme, chosen.digest), (scheme, digest));
            assert!(!sign(&key, chosen, b"text").unwrap().is_empty());
        }
        let refused = [
            rsa(1024),
            ec(Nid::X9_62_PRIME192V1),
            PKey::from_dsa(Dsa::generate(1024).unwrap()).unwrap(),
            PKey::generate_x25519().unwrap(),
        ];
        for key in refused {
            algorithms(&key).unwrap_err();
        }
    }
}
