//! A RecipientInfo and a private key → the content-encryption key.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::{Keys, Sealed};
use crate::cert::Certificate;
use crate::cms;
use crate::cms::{Originator, RecipientId, RecipientInfo};
use crate::crypto::cipher::ContentCipher;
use crate::crypto::{ec, rsa};
use crate::keys::PrivateKey;
use crate::smime::check;

/// What a recipient's key came to.
pub(super) enum Unwrapped {
    /// A content-encryption key, and whether the way it came proves it.
    Key(Zeroizing<Vec<u8>>, bool),
    /// Nothing that fits the cipher.
    Failed,
    /// An algorithm that is not known.
    Unsupported,
    /// The sender's certificate, whose key was half of the agreement, is not at hand.
    NoOriginator,
}

/// A content-encryption key that its wrapping has proven, where it fits the cipher.
pub(super) fn proven(cek: Option<Zeroizing<Vec<u8>>>, cipher: ContentCipher) -> Unwrapped {
    match cek {
        Some(cek) if cipher.takes_key_len(cek.len()) => Unwrapped::Key(cek, true),
        _ => Unwrapped::Failed,
    }
}

/// Unwraps the content-encryption key for the recipient `id` of a ktri or kari.
pub(super) fn unwrap(
    recipient: &RecipientInfo<'_>,
    id: &RecipientId<'_>,
    key: &PrivateKey,
    cipher: ContentCipher,
    originators: &Originators<'_>,
) -> Unwrapped {
    match recipient {
        RecipientInfo::Ktri {
            algorithm,
            encrypted_key,
            ..
        } => {
            if algorithm.oid == cms::oid::RSA_ENCRYPTION {
                rsa::unwrap_pkcs1_for(&key.key, encrypted_key, cipher)
                    .map_or(Unwrapped::Failed, |cek| Unwrapped::Key(cek, false))
            } else if algorithm.oid == cms::oid::RSAES_OAEP {
                let Ok(parameters) = rsa::OaepParameters::from_algorithm(algorithm) else {
                    return Unwrapped::Unsupported;
                };
                proven(
                    rsa::unwrap_oaep(&key.key, &parameters, encrypted_key),
                    cipher,
                )
            } else {
                Unwrapped::Unsupported
            }
        }
        RecipientInfo::Kari {
            originator,
            ukm,
            algorithm,
            recipients,
            ..
        } => {
            let Some((_, encrypted_key)) = recipients.iter().find(|(known, _)| known == id) else {
                return Unwrapped::Failed;
            };
            let Ok(agreement) = ec::KeyAgreement::from_algorithm(algorithm) else {
                return Unwrapped::Unsupported;
            };
            let publics = originators.public_keys(originator);
            if publics.is_empty() {
                return Unwrapped::NoOriginator;
            }
            let cek = publics
                .iter()
                .find_map(|bits| agreement.unwrap(&key.key, bits, ukm.as_deref(), encrypted_key));
            proven(cek, cipher)
        }
        _ => Unwrapped::Unsupported,
    }
}

/// Where senders' certificates are sought.
pub(super) struct Originators<'a> {
    pub(super) sealed: Sealed<'a>,
    pub(super) keys: Keys<'a>,
}

impl<'a> Originators<'a> {
    /// Public keys that `originator` may mean, as the bytes of a BIT STRING: anybody can make a
    /// certificate with another's name, so there may be several.
    fn public_keys(&self, originator: &Originator<'a>) -> Vec<Cow<'a, [u8]>> {
        /// More than these are not tried.
        const MOST: usize = 4;
        let names = |certificate: &Certificate| match originator {
            Originator::PublicKey { .. } => false,
            Originator::IssuerSerial { issuer, serial } => {
                certificate.matches_issuer_serial(issuer, serial)
            }
            Originator::Ski(ski) => certificate.ski.as_deref() == Some(ski),
        };
        let known = match originator {
            Originator::PublicKey { bits, .. } => return vec![Cow::Borrowed(bits)],
            Originator::IssuerSerial { issuer, serial } => self
                .keys
                .keyring
                .find_certificate(issuer, serial)
                .into_iter()
                .chain(self.keys.pool.by_issuer_serial(issuer, serial))
                .collect(),
            Originator::Ski(ski) => self.keys.pool.by_ski(ski),
        };
        let carried = self.sealed.originator_certificates().iter().copied();
        let carried = check::decoded(carried, self.keys.cache);
        let mut publics: Vec<Cow<'a, [u8]>> = Vec::new();
        for certificate in known.iter().chain(&carried).filter(|found| names(found)) {
            let bits = certificate.public_key.as_ref().and_then(ec::public_bits);
            publics.extend(bits.map(Cow::Owned));
        }
        publics.dedup();
        publics.truncate(MOST);
        publics
    }
}
