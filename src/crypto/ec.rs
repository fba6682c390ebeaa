//! Key agreement: ECDH (RFC 5753), X25519 and X448 (RFC 8418), X9.42 Diffie-Hellman (RFC 2631), then a
//! key wrap.

use openssl::bn::BigNumContext;
use openssl::derive::Deriver;
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, Id, PKey, PKeyRef};
use zeroize::Zeroizing;

use super::digest::Digest;
use super::keywrap::KeyWrap;
use super::{CipherProblem, Failed, PublicKey, SecretKey, Unsupported, kdf};
use crate::cms::ber::{Tlv, tag};
use crate::cms::oid::{self, AlgorithmIdentifier, Oid};
use crate::cms::{der, parameters};

/// How the key-encryption key is derived from the shared secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Derivation {
    X963(Digest),
    Hkdf(Digest),
    X942,
}

/// What a `KeyAgreeRecipientInfo`'s keyEncryptionAlgorithm says: scheme, derivation, key wrap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAgreement {
    derivation: Derivation,
    wrap: KeyWrap,
    /// The key wrap's `AlgorithmIdentifier` byte for byte: it is hashed.
    wrap_algorithm: Vec<u8>,
    /// Cofactor Diffie-Hellman was asked for: the same where the cofactor is 1.
    cofactor: bool,
}

impl KeyAgreement {
    /// Reads a keyEncryptionAlgorithm.
    pub fn from_algorithm(algorithm: &AlgorithmIdentifier<'_>) -> Result<Self, CipherProblem> {
        let (derivation, cofactor) = match algorithm.oid {
            oid::ECDH_STD_SHA1_KDF => (Derivation::X963(Digest::Sha1), false),
            oid::ECDH_STD_SHA224_KDF => (Derivation::X963(Digest::Sha224), false),
            oid::ECDH_STD_SHA256_KDF => (Derivation::X963(Digest::Sha256), false),
            oid::ECDH_STD_SHA384_KDF => (Derivation::X963(Digest::Sha384), false),
            oid::ECDH_STD_SHA512_KDF => (Derivation::X963(Digest::Sha512), false),
            oid::ECDH_COFACTOR_SHA1_KDF => (Derivation::X963(Digest::Sha1), true),
            oid::ECDH_COFACTOR_SHA224_KDF => (Derivation::X963(Digest::Sha224), true),
            oid::ECDH_COFACTOR_SHA256_KDF => (Derivation::X963(Digest::Sha256), true),
            oid::ECDH_COFACTOR_SHA384_KDF => (Derivation::X963(Digest::Sha384), true),
            oid::ECDH_COFACTOR_SHA512_KDF => (Derivation::X963(Digest::Sha512), true),
            oid::ECDH_HKDF_SHA256 => (Derivation::Hkdf(Digest::Sha256), false),
            oid::ECDH_HKDF_SHA384 => (Derivation::Hkdf(Digest::Sha384), false),
            oid::ECDH_HKDF_SHA512 => (Derivation::Hkdf(Digest::Sha512), false),
            oid::ESDH | oid::SSDH => (Derivation::X942, false),
            other => return Err(Unsupported(other.label()).into()),
        };
        let wrap = KeyWrap::from_algorithm(&parameters::inner_algorithm(algorithm)?)?;
        let wrap_algorithm = algorithm.parameters.unwrap_or_default().to_vec();
        Ok(Self {
            derivation,
            wrap,
            wrap_algorithm,
            cofactor,
        })
    }

    /// The content-encryption key that `key` can derive, `None` where the key wrap does not prove
    /// it. `originator` is the other public key's BIT STRING content, on the curve or in the group of
    /// `key`: the algorithm beside it may be absent, empty or NULL and adds nothing.
    pub fn unwrap(
        &self,
        key: &SecretKey,
        originator: &[u8],
        ukm: Option<&[u8]>,
        encrypted_key: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let secret = self.shared_secret(key, originator).ok()?;
        let kek = self.kek(&secret, ukm).ok()?;
        self.wrap.unwrap(&kek, encrypted_key).ok()
    }

    /// What both sides come to: for curves the x coordinate, for X9.42 as long as the prime.
    pub(super) fn shared_secret(
        &self,
        key: &SecretKey,
        originator: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Failed> {
        let peer = match key.id() {
            Id::EC => {
                let own = key.ec_key()?;
                if self.cofactor && !has_cofactor_one(own.group()) {
                    return Err(Failed);
                }
                let mut context = BigNumContext::new()?;
                let point = EcPoint::from_bytes(own.group(), originator, &mut context)?;
                let peer = EcKey::from_public_key(own.group(), &point)?;
                // On the curve, not infinity, of the right order.
                peer.check_key()?;
                PKey::from_ec_key(peer)?
            }
            id @ (Id::X25519 | Id::X448) => PKey::public_key_from_raw_bytes(originator, id)?,
            Id::DHX | Id::DH => in_group_of(key, originator)?,
            _ => return Err(Failed),
        };
        let of_group = matches!(key.id(), Id::DHX | Id::DH);
        if of_group != (self.derivation == Derivation::X942) {
            return Err(Failed);
        }
        let mut secret = derive(key, &peer)?;
        if of_group {
            // RFC 2631 §2.1.2: as long as the prime; OpenSSL drops leading zeros.
            let missing = key.size().saturating_sub(secret.len());
            let mut whole = Zeroizing::new(vec![0; key.size().max(secret.len())]);
            whole
                .get_mut(missing..)
                .ok_or(Failed)?
                .copy_from_slice(&secret);
            secret = whole;
        }
        Ok(secret)
    }

    fn kek(&self, secret: &[u8], ukm: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, Failed> {
        let len = self.wrap.kek_len();
        let info = kdf::ecc_cms_shared_info(&self.wrap_algorithm, ukm, len);
        match self.derivation {
            Derivation::X963(digest) => kdf::x963(digest, secret, &info, len),
            Derivation::Hkdf(digest) => kdf::hkdf(digest, secret, &[], &info, len),
            Derivation::X942 => {
                let wrap = AlgorithmIdentifier::parse(&self.wrap_algorithm).map_err(|_| Failed)?;
                kdf::x942(Digest::Sha1, secret, wrap.oid, ukm, len)
            }
        }
    }
}

/// The bytes of a public key's BIT STRING.
pub fn public_bits(key: &PublicKey) -> Option<Vec<u8>> {
    let spki = key.public_key_to_der().ok()?;
    let mut reader = Tlv::only(&spki).ok()?.reader();
    reader.require(tag::SEQUENCE, "").ok()?;
    let bits = reader.require(tag::BIT_STRING, "").ok()?;
    Some(bits.body.get(1..)?.to_vec())
}

/// The public key `bits` in the group of `key`, whose `SubjectPublicKeyInfo` says which that is.
fn in_group_of(key: &SecretKey, bits: &[u8]) -> Result<PublicKey, Failed> {
    let own = key.public_key_to_der()?;
    let mut reader = Tlv::only(&own).map_err(|_| Failed)?.reader();
    let group = reader.require(tag::SEQUENCE, "").map_err(|_| Failed)?.raw;
    let bits = der::element(tag::BIT_STRING, &[&[0], bits]);
    Ok(PKey::public_key_from_der(&der::sequence(&[group, &bits]))?)
}

fn has_cofactor_one(group: &openssl::ec::EcGroupRef) -> bool {
    let check = || -> Result<bool, openssl::error::ErrorStack> {
        let mut context = BigNumContext::new()?;
        let mut cofactor = openssl::bn::BigNum::new()?;
        group.cofactor(&mut cofactor, &mut context)?;
        Ok(cofactor == openssl::bn::BigNum::from_u32(1)?)
    };
    check().unwrap_or(false)
}

fn derive(key: &SecretKey, peer: &PublicKey) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let mut deriver = Deriver::new(key)?;
    deriver.set_peer(peer)?;
    let mut secret = Zeroizing::new(vec![0; deriver.len()?]);
    let len = deriver.derive(&mut secret)?;
    secret.truncate(len);
    Ok(secret)
}

/// [`KeyAgreement::from_algorithm`] and [`KeyAgreement::unwrap`] in one: the content-encryption key
/// out of a `KeyAgreeRecipientInfo`, `None` where it does not come out.
pub fn agree_and_unwrap(
    key: &SecretKey,
    originator: &[u8],
    ukm: Option<&[u8]>,
    algorithm: &AlgorithmIdentifier<'_>,
    encrypted_key: &[u8],
) -> Result<Option<Zeroizing<Vec<u8>>>, CipherProblem> {
    let agreement = KeyAgreement::from_algorithm(algorithm)?;
    Ok(agreement.unwrap(key, originator, ukm, encrypted_key))
}

/// What a new `KeyAgreeRecipientInfo` is made of; it has no ukm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// The ephemeral public key as a `SubjectPublicKeyInfo`.
    pub originator_spki: Vec<u8>,
    /// DER of keyEncryptionAlgorithm: the agreement, its derivation, AES-256 key wrap.
    pub algorithm: Vec<u8>,
    /// The content-encryption key, wrapped.
    pub encrypted_key: Vec<u8>,
}

/// Whether [`wrap`] can wrap for this key: P-256, P-384, P-521, X25519 and X448.
pub fn can_wrap_for<T: HasPublic>(key: &PKeyRef<T>) -> bool {
    matches!(key.id(), Id::X25519 | Id::X448) || curve(key).is_ok()
}

/// The curve, where it is one that everybody knows.
fn curve<T: HasPublic>(key: &PKeyRef<T>) -> Result<Nid, Failed> {
    if key.id() != Id::EC {
        return Err(Failed);
    }
    match key.ec_key()?.group().curve_name() {
        Some(nid @ (Nid::X9_62_PRIME256V1 | Nid::SECP384R1 | Nid::SECP521R1)) => Ok(nid),
        _ => Err(Failed),
    }
}

/// The agreement that [`wrap`] uses for a key, where it can: ECDH with the X9.63 derivation, its digest
/// of the curve's strength (RFC 5753 §8); for X25519 and X448 HKDF, which RFC 8551 §2.3 asks for and
/// RFC 8418 §2.2 defines.
pub fn scheme<T: HasPublic>(key: &PKeyRef<T>) -> Option<Oid<'static>> {
    match key.id() {
        Id::X25519 => Some(oid::ECDH_HKDF_SHA256),
        Id::X448 => Some(oid::ECDH_HKDF_SHA512),
        _ => match curve(key).ok()? {
            Nid::SECP384R1 => Some(oid::ECDH_STD_SHA384_KDF),
            Nid::SECP521R1 => Some(oid::ECDH_STD_SHA512_KDF),
            _ => Some(oid::ECDH_STD_SHA256_KDF),
        },
    }
}

/// Wraps a content-encryption key (a multiple of 8 bytes, at least 16) for `recipient` with an
/// ephemeral key of its own.
pub fn wrap(recipient: &PublicKey, secret: &[u8]) -> Result<Wrapped, Failed> {
    let scheme = scheme(recipient).ok_or(Failed)?;
    let ephemeral = match recipient.id() {
        Id::X25519 => PKey::generate_x25519()?,
        Id::X448 => PKey::generate_x448()?,
        _ => {
            let group = EcGroup::from_curve_name(curve(recipient)?)?;
            PKey::from_ec_key(EcKey::generate(&group)?)?
        }
    };
    let derivation = match scheme {
        oid::ECDH_HKDF_SHA256 => Derivation::Hkdf(Digest::Sha256),
        oid::ECDH_HKDF_SHA512 => Derivation::Hkdf(Digest::Sha512),
        oid::ECDH_STD_SHA384_KDF => Derivation::X963(Digest::Sha384),
        oid::ECDH_STD_SHA512_KDF => Derivation::X963(Digest::Sha512),
        _ => Derivation::X963(Digest::Sha256),
    };
    let wrap_algorithm = der::algorithm(oid::AES256_WRAP, None);
    let agreement = KeyAgreement {
        derivation,
        wrap: KeyWrap::Aes256,
        cofactor: false,
        wrap_algorithm,
    };
    let shared = derive(&ephemeral, recipient)?;
    let kek = agreement.kek(&shared, None)?;
    Ok(Wrapped {
        originator_spki: ephemeral.public_key_to_der()?,
        algorithm: der::algorithm(scheme, Some(&agreement.wrap_algorithm)),
        encrypted_key: agreement.wrap.wrap(&kek, secret)?,
    })
}
