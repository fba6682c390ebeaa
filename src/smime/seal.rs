//! An entity → AuthEnvelopedData (AES-256-GCM), or EnvelopedData (AES-256-CBC) for readers that
//! cannot open the former (RFC 8551 §2.7, RFC 5083, RFC 5084).

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::cert::certificate::Certificate;
use crate::cms::{RecipientId, build, oid};
use crate::crypto::cipher::{self, ContentCipher};
use crate::crypto::{Failed, ec, random, rsa};

/// Encrypts `entity` to `recipients` under a fresh content-encryption key; DER of a `ContentInfo`.
///
/// # Errors
/// [`Failed`] where a recipient's key cannot be used, or where the cipher is not one that is
/// written (AES-256-GCM and AES-256-CBC are).
pub fn seal(
    entity: &[u8],
    recipients: &[Arc<Certificate>],
    cipher: ContentCipher,
) -> Result<Vec<u8>, Failed> {
    let cek = random::secret(cipher.key_len())?;
    let infos = recipient_infos(&cek, recipients)?;
    match cipher {
        ContentCipher::Aes256Gcm => {
            let nonce: [u8; 12] = random::array()?;
            let (ciphertext, tag) = cipher::encrypt_gcm(cipher, &cek, &nonce, &[], entity)?;
            Ok(build::auth_enveloped_data(
                &infos,
                oid::AES256_GCM,
                &nonce,
                &tag,
                &ciphertext,
            ))
        }
        ContentCipher::Aes256Cbc => {
            let iv: [u8; 16] = random::array()?;
            let ciphertext = cipher::encrypt_cbc(cipher, &cek, &iv, entity)?;
            Ok(build::enveloped_data(
                &infos,
                oid::AES256_CBC,
                &iv,
                &ciphertext,
            ))
        }
        _ => Err(Failed),
    }
}

/// A RecipientInfo for each recipient: RSA keys by PKCS#1 v1.5, which every S/MIME reader knows
/// (RFC 8551 §2.3), EC keys by ephemeral-static ECDH with AES-256 key wrap (RFC 5753).
pub fn recipient_infos(
    cek: &Zeroizing<Vec<u8>>,
    recipients: &[Arc<Certificate>],
) -> Result<Vec<Vec<u8>>, Failed> {
    recipients
        .iter()
        .map(|certificate| {
            let id = RecipientId::IssuerSerial {
                issuer: &certificate.issuer_der,
                serial: &certificate.serial,
            };
            let key = certificate.public_key.as_ref().ok_or(Failed)?;
            if key.rsa().is_ok() {
                let encrypted = rsa::wrap_pkcs1(key, cek)?;
                Ok(build::ktri(&id, &build::algorithm_rsa_pkcs1(), &encrypted))
            } else {
                let wrapped = ec::wrap(key, cek)?;
                build::kari(
                    &wrapped.originator_spki,
                    None,
                    &wrapped.algorithm,
                    &id,
                    &wrapped.encrypted_key,
                )
                .map_err(|_| Failed)
            }
        })
        .collect()
}
