//! An entity → AuthEnvelopedData (AES-256-GCM), or EnvelopedData (AES-256-CBC) for readers that
//! cannot open the former (RFC 8551 §2.7, RFC 5083, RFC 5084).

use std::io::{self, Write as _};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::bulk::{Bulk, Chain, each_piece};
use crate::cert::certificate::Certificate;
use crate::cms::{AlgorithmIdentifier, Capabilities, Oid, RecipientId, build, oid};
use crate::crypto::cipher::{self, ContentCipher, Encryption};
use crate::crypto::digest::Digest;
use crate::crypto::rsa::OaepParameters;
use crate::crypto::{Failed, PublicKey, ec, random, rsa};
use crate::fsio::Scratch;

/// Whom something is encrypted to.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// Whose key.
    pub certificate: Arc<Certificate>,
    /// What its owner's program last said it reads; what the certificate says, where it said nothing.
    capabilities: Option<Capabilities>,
}

impl Recipient {
    /// The owner of `certificate`, whose latest signature told `capabilities`.
    pub fn new(certificate: Arc<Certificate>, capabilities: Option<Capabilities>) -> Self {
        let capabilities = capabilities.or_else(|| certificate.capabilities.clone());
        Self {
            certificate,
            capabilities,
        }
    }

    /// Whether its owner's program says that it reads AES-256-GCM.
    pub fn reads_gcm(&self) -> bool {
        self.capabilities
            .as_ref()
            .is_some_and(|list| list.lists(oid::AES256_GCM))
    }

    /// How its key is encrypted to, as reports name it, and whether that is key transport.
    pub fn key_encryption(&self) -> (String, bool) {
        let key = self.certificate.public_key.as_ref();
        match key {
            Some(key) if key.rsa().is_ok() => {
                let oaep = self.oaep().is_ok_and(|parameters| parameters.is_some());
                let oid = if oaep {
                    oid::RSAES_OAEP
                } else {
                    oid::RSA_ENCRYPTION
                };
                (oid.label(), true)
            }
            Some(key) => (ec::scheme(key).map(Oid::label).unwrap_or_default(), false),
            None => (String::new(), false),
        }
    }

    /// How an RSA key is encrypted to: by OAEP where the key is for nothing else, or the owner's
    /// program says that it reads it; else by PKCS#1 v1.5 (`None`), which every reader knows.
    fn oaep(&self) -> Result<Option<OaepParameters>, Failed> {
        if let Some(algorithm) = &self.certificate.oaep {
            let algorithm = AlgorithmIdentifier::parse(algorithm).map_err(|_| Failed)?;
            // Without parameters the key's owner takes any (RFC 4055 §4.1).
            let parameters = match algorithm.parameters {
                None => OaepParameters::SHA256,
                Some(_) => OaepParameters::from_algorithm(&algorithm).map_err(|_| Failed)?,
            };
            return Ok(Some(parameters));
        }
        let listed = self
            .capabilities
            .iter()
            .flat_map(Capabilities::iter)
            .filter(|capability| capability.oid == oid::RSAES_OAEP)
            .filter_map(|capability| OaepParameters::from_algorithm(&capability).ok())
            .filter(|parameters| parameters.label.is_empty());
        // SHA-1 is what no parameters mean (RFC 3560 §4); a program that names another knows both.
        Ok(listed.max_by_key(|parameters| parameters.digest != Digest::Sha1))
    }
}

impl From<Arc<Certificate>> for Recipient {
    fn from(certificate: Arc<Certificate>) -> Self {
        Self::new(certificate, None)
    }
}

/// The cipher that every one of `recipients` says it reads: AES-256-GCM, else AES-256-CBC, which
/// needs no saying (RFC 8551 §2.7.1).
pub fn common_cipher(recipients: &[Recipient]) -> ContentCipher {
    if !recipients.is_empty() && recipients.iter().all(Recipient::reads_gcm) {
        ContentCipher::Aes256Gcm
    } else {
        ContentCipher::Aes256Cbc
    }
}

/// Encrypts `entity` to `recipients` under a fresh content-encryption key; DER of a `ContentInfo`.
///
/// # Errors
/// [`Failed`] where a recipient's key cannot be used, or where the cipher is not one that is
/// written (AES-256-GCM and AES-256-CBC are).
pub fn seal(
    entity: &[u8],
    recipients: &[Recipient],
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

/// The same for an entity that is too large to hold. Its ciphertext lies in a temporary.
pub fn seal_large(
    entity: &dyn Bulk,
    recipients: &[Recipient],
    cipher: ContentCipher,
    scratch: &Scratch,
) -> io::Result<Result<Arc<dyn Bulk>, Failed>> {
    let begun = || {
        let cek = random::secret(cipher.key_len())?;
        let iv: Vec<u8> = match cipher {
            ContentCipher::Aes256Gcm => random::array::<12>()?.to_vec(),
            ContentCipher::Aes256Cbc => random::array::<16>()?.to_vec(),
            _ => return Err(Failed),
        };
        let infos = recipient_infos(&cek, recipients)?;
        let encryption = Encryption::new(cipher, &cek, &iv)?;
        Ok((infos, iv, encryption))
    };
    let (infos, iv, mut encryption) = match begun() {
        Ok(begun) => begun,
        Err(failed) => return Ok(Err(failed)),
    };
    let mut spooling = scratch.spool()?;
    let mut out = Vec::new();
    let failed = |_| io::Error::other("OpenSSL does not encrypt");
    each_piece(entity, 0, |piece| {
        encryption.push(piece, &mut out).map_err(failed)?;
        spooling.write_all(&out)?;
        out.clear();
        Ok::<_, io::Error>(())
    })?;
    let tag = encryption.finish(&mut out).map_err(failed)?;
    spooling.write_all(&out)?;
    let ciphertext = spooling.finish()?;
    let Ok(len) = usize::try_from(ciphertext.len()) else {
        return Ok(Err(Failed));
    };
    let (head, tail) = match tag {
        Some(tag) => build::auth_enveloped_around(&infos, oid::AES256_GCM, &iv, &tag, len),
        None => (
            build::enveloped_head(&infos, oid::AES256_CBC, &iv, len),
            Vec::new(),
        ),
    };
    let object: [Arc<dyn Bulk>; 3] = [Arc::new(head), Arc::new(ciphertext), Arc::new(tail)];
    Ok(Ok(Arc::new(Chain(object.into()))))
}

/// A RecipientInfo for each recipient: RSA keys by key transport (PKCS#1 v1.5 or OAEP, RFC 3370,
/// RFC 3560), others by ephemeral-static key agreement with AES-256 key wrap (RFC 5753, RFC 8418).
pub fn recipient_infos(
    cek: &Zeroizing<Vec<u8>>,
    recipients: &[Recipient],
) -> Result<Vec<Vec<u8>>, Failed> {
    recipients
        .iter()
        .map(|recipient| {
            let certificate = &recipient.certificate;
            let id = RecipientId::IssuerSerial {
                issuer: &certificate.issuer_der,
                serial: &certificate.serial,
            };
            let key = certificate.public_key.as_ref().ok_or(Failed)?;
            if key.rsa().is_ok() {
                transport(key, &id, recipient.oaep()?, cek)
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

fn transport(
    key: &PublicKey,
    id: &RecipientId<'_>,
    oaep: Option<OaepParameters>,
    cek: &[u8],
) -> Result<Vec<u8>, Failed> {
    let Some(parameters) = oaep else {
        let encrypted = rsa::wrap_pkcs1(key, cek)?;
        return Ok(build::ktri(id, &build::algorithm_rsa_pkcs1(), &encrypted));
    };
    let name = |digest| match digest {
        Digest::Sha1 => Ok(oid::SHA1),
        Digest::Sha256 => Ok(oid::SHA256),
        Digest::Sha384 => Ok(oid::SHA384),
        Digest::Sha512 => Ok(oid::SHA512),
        _ => Err(Failed),
    };
    let algorithm = build::algorithm_oaep(name(parameters.digest)?, name(parameters.mgf1)?);
    if !parameters.label.is_empty() {
        return Err(Failed);
    }
    let encrypted = rsa::wrap_oaep(key, &parameters, cek)?;
    Ok(build::ktri(id, &algorithm, &encrypted))
}
