//! The encrypted content: what anybody can see of it, and what a key makes of it.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::large::{self, Large, Plaintext};
use super::proof::begins_as_mail_does;
use super::{Closed, Sealed};
use crate::cms::{AlgorithmIdentifier, Octets};
use crate::crypto::cipher::{self, ContentCipher, ContentParameters};
use crate::crypto::{CipherProblem, kdf};
use crate::keys::pbe::{self, Password, Rounds};

/// Ciphertext from here on is tried at its ends before all of it is decrypted.
const WORTH_A_LOOK: usize = 64 << 10;

/// The encrypted content and what anybody can see of it.
pub(super) struct Content<'a> {
    /// Its cipher, that of a password-based algorithm included.
    pub(super) cipher: ContentCipher,
    scheme: Scheme<'a>,
    ciphertext: &'a Octets<'a>,
    /// The ciphertext, where it is too large to be in `ciphertext`.
    large: Option<large::Trials<'a>>,
    aad: Vec<u8>,
    tag: Option<&'a [u8]>,
}

/// How its key is found.
enum Scheme<'a> {
    /// It is the content-encryption key.
    Plain(ContentParameters),
    /// It is derived from that, with these bytes (RFC 9709).
    Derived(ContentParameters, &'a [u8]),
    /// Out of a passphrase.
    Password(&'a AlgorithmIdentifier<'a>),
}

fn closed(problem: &CipherProblem) -> Closed {
    match problem {
        CipherProblem::Unsupported(_) => Closed::Unsupported("unsupported-algorithm"),
        CipherProblem::Malformed(_) => Closed::Malformed("content-encryption-parameters"),
    }
}

impl<'a> Content<'a> {
    pub(super) fn of(sealed: Sealed<'a>, large: Option<Large<'a>>) -> Result<Self, Closed> {
        let ciphertext = sealed
            .ciphertext()
            .ok_or(Closed::Malformed("content-missing"))?;
        let algorithm = sealed.content_encryption();
        let (cipher, scheme) = match sealed {
            Sealed::Encrypted(_) if pbe::is_password_based(algorithm.oid) => {
                let cipher = pbe::cipher_of(algorithm)
                    .map_err(|_| Closed::Unsupported("unsupported-algorithm"))?;
                (cipher, Scheme::Password(algorithm))
            }
            _ => {
                let (inner, info) =
                    cipher::derived(algorithm).map_err(|problem| closed(&problem))?;
                let (cipher, parameters) =
                    ContentCipher::from_algorithm(&inner).map_err(|problem| closed(&problem))?;
                let scheme = match info {
                    Some(info) => Scheme::Derived(parameters, info),
                    None => Scheme::Plain(parameters),
                };
                (cipher, scheme)
            }
        };
        let mut content = Self {
            cipher,
            scheme,
            ciphertext,
            large: None,
            aad: Vec::new(),
            tag: None,
        };
        match (sealed, cipher.is_aead()) {
            (Sealed::Enveloped(_) | Sealed::Encrypted(_), true) => {
                Err(Closed::Refused("aead-without-authentication"))
            }
            (Sealed::AuthEnveloped(_), false) => Err(Closed::Refused("authenticated-without-aead")),
            (Sealed::Enveloped(_) | Sealed::Encrypted(_), false) => Ok(content),
            (Sealed::AuthEnveloped(data), true) => {
                let held = match &content.scheme {
                    Scheme::Plain(parameters) | Scheme::Derived(parameters, _) => {
                        parameters.check_tag(&data.mac).is_ok()
                    }
                    Scheme::Password(_) => false,
                };
                if !held {
                    return Err(Closed::Refused("authentication-tag-length"));
                }
                content.aad = data.aad();
                content.tag = Some(&data.mac);
                Ok(content)
            }
        }
        .and_then(|content| content.with(large))
    }

    fn with(mut self, large: Option<Large<'a>>) -> Result<Self, Closed> {
        let Some(large) = large else {
            return Ok(self);
        };
        // These take their content in one piece.
        if self.is_password_based() || self.cipher.is_ccm() {
            return Err(Closed::Refused("limit-message"));
        }
        self.large = Some(large::Trials::new(large));
        Ok(self)
    }

    /// Whether more keys were to be tried on a large content than it is worth.
    pub(super) fn is_tried_out(&self) -> bool {
        self.large.as_ref().is_some_and(large::Trials::are_over)
    }

    /// Whether a passphrase is its key.
    pub(super) fn is_password_based(&self) -> bool {
        matches!(self.scheme, Scheme::Password(_))
    }

    /// The plaintext, where it is proven; `cek_proven` says whether the key is.
    pub(super) fn decrypt(&self, cek: &[u8], cek_proven: bool) -> Option<Plaintext> {
        let (parameters, key) = match &self.scheme {
            Scheme::Plain(parameters) => (parameters, Zeroizing::new(cek.to_vec())),
            Scheme::Derived(parameters, info) => (parameters, kdf::cek_hkdf(cek, info).ok()?),
            Scheme::Password(_) => return None,
        };
        if let Some(trials) = &self.large {
            let authentic = self.tag.map(|tag| (tag, self.aad.as_slice()));
            return trials.decrypt(self.cipher, &key, parameters, authentic, cek_proven);
        }
        let chunks = self.ciphertext.chunks();
        if let Some(tag) = self.tag {
            return cipher::decrypt_aead(self.cipher, &key, parameters, &self.aad, chunks, tag)
                .map(Plaintext::Held)
                .ok();
        }
        if !cek_proven && self.ciphertext.len() > WORTH_A_LOOK {
            // Wrong keys are tried by the dozen: the ends tell.
            cipher::prove_cbc(self.cipher, &key, parameters, chunks.clone()).ok()?;
        }
        let plaintext = cipher::decrypt_cbc(self.cipher, &key, parameters, chunks).ok()?;
        (cek_proven || self.is_proven(&plaintext)).then_some(Plaintext::Held(plaintext))
    }

    /// The same where a passphrase is the key.
    pub(super) fn decrypt_with_password(
        &self,
        passphrase: &[u8],
        rounds: &mut Rounds,
    ) -> Option<Plaintext> {
        let Scheme::Password(algorithm) = self.scheme else {
            return None;
        };
        let ciphertext: Cow<'_, [u8]> = self.ciphertext.cow();
        Password::readings(passphrase)
            .iter()
            .filter_map(|password| pbe::decrypt(algorithm, password, &ciphertext, rounds).ok())
            .find(|plaintext| self.is_proven(plaintext))
            .map(Plaintext::Held)
    }

    fn is_proven(&self, plaintext: &[u8]) -> bool {
        let padding = self.ciphertext.len().saturating_sub(plaintext.len());
        begins_as_mail_does(plaintext, padding)
    }
}
