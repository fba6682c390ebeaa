//! EnvelopedData or AuthEnvelopedData and a key ring → proven plaintext, or a word that says why
//! not (RFC 5652 §6, RFC 5083).
//!
//! **Release after proof.** libcrypto alone reports success on garbage about once in 250 wrong
//! keys, so plaintext leaves this file only when
//!
//! * an AEAD tag of the declared length held; or
//! * the padding is right and the text begins as mail does; or
//! * the padding is right, the content-encryption key came through OAEP or AES key wrap, and the
//!   object is no mail but a file by itself. (Those prove that the key came whole, not that it is
//!   this content's: a swapped RecipientInfo passes them.)
//!
//! Whatever needs a key to be known ends as [`Closed::Undecryptable`]: same word, same path. A bad
//! PKCS#1 padding gives a random key and goes on, so nothing tells it from a wrong key
//! (RFC 3218 §2.3).

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::cms;
use crate::cms::{
    AlgorithmIdentifier, AuthEnvelopedData, EnvelopedData, Octets, Originator, RecipientId,
    RecipientInfo,
};
use crate::crypto::cipher::{self, ContentCipher, ContentParameters};
use crate::crypto::{CipherProblem, ec, rsa};
use crate::keys::{KeyRing, PrivateKey};

/// An encrypted object.
#[derive(Clone, Copy)]
pub enum Sealed<'a> {
    /// RFC 5652 §6.
    Enveloped(&'a EnvelopedData<'a>),
    /// RFC 5083.
    AuthEnveloped(&'a AuthEnvelopedData<'a>),
}

impl<'a> Sealed<'a> {
    /// Its RecipientInfos.
    pub fn recipients(self) -> &'a [RecipientInfo<'a>] {
        match self {
            Self::Enveloped(data) => &data.recipients,
            Self::AuthEnveloped(data) => &data.recipients,
        }
    }

    /// Its content-encryption algorithm.
    pub fn content_encryption(self) -> &'a AlgorithmIdentifier<'a> {
        match self {
            Self::Enveloped(data) => &data.content_encryption,
            Self::AuthEnveloped(data) => &data.content_encryption,
        }
    }

    fn ciphertext(self) -> Option<&'a Octets<'a>> {
        match self {
            Self::Enveloped(data) => data.ciphertext.as_ref(),
            Self::AuthEnveloped(data) => data.ciphertext.as_ref(),
        }
    }

    /// Certificates of the originator, as they came.
    pub fn originator_certificates(self) -> &'a [&'a [u8]] {
        match self {
            Self::Enveloped(data) => &data.originator_certificates,
            Self::AuthEnveloped(data) => &data.originator_certificates,
        }
    }
}

/// Proven plaintext.
pub struct Opened {
    /// The content as it was before it was encrypted.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// Its content-encryption key, for new RecipientInfos around the same ciphertext.
    pub cek: Zeroizing<Vec<u8>>,
    /// The cipher, its grade included.
    pub cipher: ContentCipher,
    /// Whose key it was.
    pub key: Arc<PrivateKey>,
}

/// Why an object stays closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// No key for any recipient.
    NoKey,
    /// No key, but a key file is locked that might hold one.
    MaybeInLockedFile,
    /// The key of a recipient is in a locked file.
    Locked,
    /// A key was there, and nothing was proven.
    Undecryptable,
    /// The structure breaks a rule that anybody can see.
    Malformed(&'static str),
    /// An algorithm that this version does not know.
    Unsupported(&'static str),
    /// A policy or limit.
    Refused(&'static str),
}

/// Opens `sealed` with the first key that proves itself. `mail` says that it holds a MIME entity
/// and not just anything; `may_use` says whether a key may be used at all here: where only keys it
/// forbids match, the object is [`Closed::Refused`] (`key-not-addressed`).
pub fn open(
    sealed: Sealed<'_>,
    mail: bool,
    keyring: &KeyRing,
    may_use: &dyn Fn(&PrivateKey) -> bool,
) -> Result<Opened, Closed> {
    let content = Content::of(sealed)?;
    let mut matched = false;
    let mut forbidden = false;
    let mut unsupported = false;
    for recipient in sealed.recipients() {
        for (id, key) in keys_of(recipient, keyring) {
            if !may_use(&key) {
                forbidden = true;
                continue;
            }
            matched = true;
            match unwrap(recipient, &id, &key, content.cipher) {
                Unwrapped::Key(cek, proven) => {
                    if let Some(plaintext) = content.decrypt(&cek, proven && !mail) {
                        return Ok(Opened {
                            plaintext,
                            cek,
                            cipher: content.cipher,
                            key,
                        });
                    }
                }
                Unwrapped::Failed => {}
                Unwrapped::Unsupported => unsupported = true,
            }
        }
    }
    if matched {
        return Err(if unsupported {
            Closed::Unsupported("unsupported-algorithm")
        } else {
            Closed::Undecryptable
        });
    }
    if forbidden {
        return Err(Closed::Refused("key-not-addressed"));
    }
    if let Some(opened) = try_bare_keys(sealed, &content, keyring, may_use) {
        return Ok(opened);
    }
    Err(closed_without_key(sealed, keyring))
}

/// Keys without a certificate are tried, once each, where nothing else matches.
fn try_bare_keys(
    sealed: Sealed<'_>,
    content: &Content<'_>,
    keyring: &KeyRing,
    may_use: &dyn Fn(&PrivateKey) -> bool,
) -> Option<Opened> {
    /// Private-key operations that one message may cost here.
    const MOST_TRIALS: usize = 64;
    let trials = sealed
        .recipients()
        .iter()
        .flat_map(|recipient| keyring.bare().iter().map(move |key| (recipient, key)))
        .take(MOST_TRIALS);
    for (recipient, key) in trials {
        if !may_use(key) {
            continue;
        }
        for id in ids(recipient) {
            if let Unwrapped::Key(cek, _) = unwrap(recipient, &id, key, content.cipher)
                && let Some(plaintext) = content.decrypt(&cek, false)
            {
                return Some(Opened {
                    plaintext,
                    cek,
                    cipher: content.cipher,
                    key: key.clone(),
                });
            }
        }
    }
    None
}

fn closed_without_key(sealed: Sealed<'_>, keyring: &KeyRing) -> Closed {
    let recipients = sealed.recipients();
    let shared = |recipient: &RecipientInfo<'_>| {
        matches!(
            recipient,
            RecipientInfo::Kekri { .. } | RecipientInfo::Pwri { .. }
        )
    };
    if recipients.iter().flat_map(ids).next().is_none() && !recipients.is_empty() {
        let password = recipients.iter().any(shared);
        Closed::Unsupported(if password {
            "password-encrypted"
        } else {
            "unsupported-recipient"
        })
    } else if recipients
        .iter()
        .flat_map(ids)
        .any(|id| is_locked(&id, keyring))
    {
        Closed::Locked
    } else if keyring.has_unknown_locked() {
        Closed::MaybeInLockedFile
    } else {
        Closed::NoKey
    }
}

/// Whether the key of the recipient `id` is known to be in a locked file.
pub fn is_locked(id: &RecipientId<'_>, keyring: &KeyRing) -> bool {
    match id {
        RecipientId::IssuerSerial { issuer, serial } => {
            keyring.locked_for_issuer_serial(issuer, serial)
        }
        RecipientId::Ski(ski) => keyring.locked_for_ski(ski),
    }
}

/// Keys of the ring that a recipient names.
pub fn keys_for(id: &RecipientId<'_>, keyring: &KeyRing) -> Vec<Arc<PrivateKey>> {
    match id {
        RecipientId::IssuerSerial { issuer, serial } => keyring.find(issuer, serial),
        RecipientId::Ski(ski) => keyring.find_ski(ski),
    }
}

/// Every certificate that a RecipientInfo names; none for kekri, pwri and ori.
pub fn ids<'a>(recipient: &'a RecipientInfo<'a>) -> Vec<RecipientId<'a>> {
    match recipient {
        RecipientInfo::Ktri { rid, .. } => vec![rid.clone()],
        RecipientInfo::Kari { recipients, .. } => {
            recipients.iter().map(|(id, _)| id.clone()).collect()
        }
        _ => Vec::new(),
    }
}

fn keys_of<'a>(
    recipient: &'a RecipientInfo<'a>,
    keyring: &KeyRing,
) -> Vec<(RecipientId<'a>, Arc<PrivateKey>)> {
    ids(recipient)
        .into_iter()
        .flat_map(|id| {
            keys_for(&id, keyring)
                .into_iter()
                .map(move |key| (id.clone(), key))
        })
        .collect()
}

enum Unwrapped {
    /// A key, and whether the way it came proves it.
    Key(Zeroizing<Vec<u8>>, bool),
    Failed,
    Unsupported,
}

fn unwrap(
    recipient: &RecipientInfo<'_>,
    id: &RecipientId<'_>,
    key: &PrivateKey,
    cipher: ContentCipher,
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
            let Originator::PublicKey { bits, .. } = originator else {
                return Unwrapped::Unsupported;
            };
            let Some((_, encrypted_key)) = recipients.iter().find(|(known, _)| known == id) else {
                return Unwrapped::Failed;
            };
            match ec::agree_and_unwrap(&key.key, bits, ukm.as_deref(), algorithm, encrypted_key) {
                Ok(cek) => proven(cek, cipher),
                Err(_) => Unwrapped::Unsupported,
            }
        }
        _ => Unwrapped::Unsupported,
    }
}

/// A key that OAEP or a key wrap has proven, where it fits the cipher.
fn proven(cek: Option<Zeroizing<Vec<u8>>>, cipher: ContentCipher) -> Unwrapped {
    match cek {
        Some(cek) if cipher.takes_key_len(cek.len()) => Unwrapped::Key(cek, true),
        _ => Unwrapped::Failed,
    }
}

/// What anybody can see to be wrong with `sealed`.
pub fn inspect(sealed: Sealed<'_>) -> Result<(), Closed> {
    Content::of(sealed).map(|_| ())
}

/// The encrypted content and what anybody can see of it.
struct Content<'a> {
    cipher: ContentCipher,
    parameters: ContentParameters,
    ciphertext: &'a Octets<'a>,
    aad: Vec<u8>,
    tag: Option<&'a [u8]>,
}

impl<'a> Content<'a> {
    fn of(sealed: Sealed<'a>) -> Result<Self, Closed> {
        let ciphertext = sealed
            .ciphertext()
            .ok_or(Closed::Malformed("content-missing"))?;
        let (cipher, parameters) = ContentCipher::from_algorithm(sealed.content_encryption())
            .map_err(|problem| match problem {
                CipherProblem::Unsupported(_) => Closed::Unsupported("unsupported-algorithm"),
                CipherProblem::Malformed(_) => Closed::Malformed("content-encryption-parameters"),
            })?;
        match (sealed, cipher.is_aead()) {
            (Sealed::Enveloped(_), true) => Err(Closed::Refused("aead-without-authentication")),
            (Sealed::AuthEnveloped(_), false) => Err(Closed::Refused("authenticated-without-aead")),
            (Sealed::Enveloped(_), false) => Ok(Self {
                cipher,
                parameters,
                ciphertext,
                aad: Vec::new(),
                tag: None,
            }),
            (Sealed::AuthEnveloped(data), true) => {
                if parameters.check_tag(&data.mac).is_err() {
                    return Err(Closed::Refused("authentication-tag-length"));
                }
                Ok(Self {
                    cipher,
                    parameters,
                    ciphertext,
                    aad: data.aad(),
                    tag: Some(&data.mac),
                })
            }
        }
    }

    /// The plaintext, where it is proven; `cek_proven` says whether the key is.
    fn decrypt(&self, cek: &[u8], cek_proven: bool) -> Option<Zeroizing<Vec<u8>>> {
        let chunks = self.ciphertext.chunks();
        if let Some(tag) = self.tag {
            cipher::decrypt_gcm(self.cipher, cek, &self.parameters, &self.aad, chunks, tag).ok()
        } else {
            let plaintext = cipher::decrypt_cbc(self.cipher, cek, &self.parameters, chunks).ok()?;
            (cek_proven || begins_as_mail_does(&plaintext)).then_some(plaintext)
        }
    }
}

/// Whether the first 512 bytes are a strict MIME header, a CMS object, or text without control
/// characters. A random block passes with a chance below 10⁻⁵ at its shortest, and it must have
/// passed the padding (1 in 256) before.
fn begins_as_mail_does(plaintext: &[u8]) -> bool {
    let head = plaintext.get(..512).unwrap_or(plaintext);
    let cut = plaintext.len() > head.len();
    is_strict_header(head, cut) || cms::sniff(head).is_some() || is_plain_text(head, cut)
}

/// Lines that are fields or folds, up to the empty line that ends them or to where the head is
/// cut; an entity without a header begins with that empty line, and is text.
fn is_strict_header(head: &[u8], cut: bool) -> bool {
    let mut rest = head;
    while let Some(at) = memchr::memchr(b'\n', rest) {
        let (line, next) = rest.split_at(at + 1);
        let line = line.trim_ascii_end();
        if line.is_empty() {
            return rest.len() < head.len()
                || (head.starts_with(b"\r\n") && !next.iter().copied().any(is_control))
                || is_plain_text(next, cut);
        }
        let fold = rest.len() < head.len() && matches!(line.first(), Some(b' ' | b'\t'));
        if !(fold || is_field(line)) || !is_line_of_header(line) {
            return false;
        }
        rest = next;
    }
    rest.len() < head.len() && (cut || rest.is_empty() || is_line_of_header(rest))
}

/// `[A-Za-z][A-Za-z0-9-]{2,}: `, or with nothing after the colon where the value is folded.
fn is_field(line: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', line) else {
        return false;
    };
    let (name, value) = line.split_at(colon);
    colon >= 3
        && name.first().is_some_and(u8::is_ascii_alphabetic)
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        && matches!(value.get(1), None | Some(b' ' | b'\t'))
}

/// Old clients wrote file names in whatever 8-bit characters they had; everything else in an
/// entity's header is ASCII or UTF-8.
fn is_line_of_header(line: &[u8]) -> bool {
    let names = || {
        line.to_ascii_lowercase()
            .windows(4)
            .any(|word| word == b"name")
    };
    !line.iter().copied().any(is_control) && (std::str::from_utf8(line).is_ok() || names())
}

fn is_control(byte: u8) -> bool {
    (byte < 0x20 && !matches!(byte, b'\t' | b'\r' | b'\n')) || byte == 0x7f
}

/// ASCII or UTF-8, or in another character set once 64 bytes of ASCII have shown that the first
/// blocks came out right.
fn is_plain_text(head: &[u8], cut: bool) -> bool {
    if head.iter().copied().any(is_control) {
        return false;
    }
    match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => {
            (cut && error.error_len().is_none()) || head.get(..64).is_some_and(<[u8]>::is_ascii)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_begins_as_mail_does() {
        assert!(begins_as_mail_does(b"Content-Type: text/plain\r\n\r\nhi"));
        assert!(begins_as_mail_does(b"\r\nno header at all, gr\xfc\xdfe"));
        assert!(begins_as_mail_does(
            b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\n\0\0"
        ));
        assert!(begins_as_mail_does(
            b"Content-Type: text/plain;\r\n\tname=\"\xfc.txt\"\r\n\r\n"
        ));
        assert!(!begins_as_mail_does(
            b"Content-Type: te\x8f\x10\xd4\xee\x90n\r\n\r\nhi"
        ));
        assert!(begins_as_mail_does("gr\u{fc}\u{df}e".as_bytes()));
        assert!(!begins_as_mail_does(b"\x8f\x10\xd4garbage!"));
        assert!(!is_strict_header(b"A: b\r\n\r\n", false));
    }

    #[test]
    fn random_blocks_hardly_ever_begin_as_mail_does() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut passed = 0;
        for _ in 0..200_000 {
            let mut block = [0_u8; 24];
            for chunk in block.chunks_mut(8) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                chunk.copy_from_slice(&state.to_le_bytes());
            }
            passed += usize::from(begins_as_mail_does(&block));
        }
        assert!(passed <= 2, "{passed} of 200,000");
    }
}
