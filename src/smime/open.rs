//! EnvelopedData, AuthEnvelopedData or EncryptedData and the keys at hand → proven plaintext, or a
//! word that says why not (RFC 5652 §6 and §8, RFC 5083).
//!
//! **Release after proof.** libcrypto alone reports success on garbage about once in 250 wrong
//! keys, so plaintext leaves this folder only when
//!
//! * an AEAD tag of the declared length held; or
//! * the padding is right and the text begins as mail does; or
//! * the padding is right, the content-encryption key came through OAEP or a key wrap that proves it,
//!   and the object is no mail but a file by itself. (Those prove that the key came whole, not that it
//!   is this content's: a swapped RecipientInfo passes them.)
//!
//! Whatever needs a key to be known ends as [`Closed::Undecryptable`]: same word, same path. A bad
//! PKCS#1 padding gives a random key and goes on, so nothing tells it from a wrong key
//! (RFC 3218 §2.3). A passphrase or shared key that proves nothing ends there too.
//!
//! | file | answers |
//! |---|---|
//! | `content` | what anybody can see of the content, and what a key makes of it |
//! | `unwrap` | a certificate's recipient and its private key |
//! | `shared` | recipients with a shared key or a password; EncryptedData |
//! | `large` | the same for content too large to hold |
//! | `proof` | whether a plaintext looks like mail |

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::cert::cache::CertCache;
use crate::cert::pool::Pool;
use crate::cms::{
    AlgorithmIdentifier, AuthEnvelopedData, EncryptedData, EnvelopedData, Octets, RecipientId,
    RecipientInfo,
};
use crate::crypto::cipher::ContentCipher;
use crate::keys::pbe::Rounds;
use crate::keys::{KeyRing, MessageSecrets, PrivateKey};

use content::Content;
use shared::Tried;
use unwrap::{Originators, Unwrapped};

pub use large::{Large, Plaintext};

mod content;
mod large;
mod proof;
mod shared;
mod unwrap;

/// An encrypted object.
#[derive(Clone, Copy)]
pub enum Sealed<'a> {
    /// RFC 5652 §6.
    Enveloped(&'a EnvelopedData<'a>),
    /// RFC 5083.
    AuthEnveloped(&'a AuthEnvelopedData<'a>),
    /// RFC 5652 §8.
    Encrypted(&'a EncryptedData<'a>),
}

impl<'a> Sealed<'a> {
    /// Its RecipientInfos.
    pub fn recipients(self) -> &'a [RecipientInfo<'a>] {
        match self {
            Self::Enveloped(data) => &data.recipients,
            Self::AuthEnveloped(data) => &data.recipients,
            Self::Encrypted(_) => &[],
        }
    }

    /// Its content-encryption algorithm.
    pub fn content_encryption(self) -> &'a AlgorithmIdentifier<'a> {
        match self {
            Self::Enveloped(data) => &data.content_encryption,
            Self::AuthEnveloped(data) => &data.content_encryption,
            Self::Encrypted(data) => &data.content_encryption,
        }
    }

    /// What the content is (RFC 5652 §6.1).
    pub fn content_type(self) -> crate::cms::Oid<'a> {
        match self {
            Self::Enveloped(data) => data.content_type,
            Self::AuthEnveloped(data) => data.content_type,
            Self::Encrypted(data) => data.content_type,
        }
    }

    fn ciphertext(self) -> Option<&'a Octets<'a>> {
        match self {
            Self::Enveloped(data) => data.ciphertext.as_ref(),
            Self::AuthEnveloped(data) => data.ciphertext.as_ref(),
            Self::Encrypted(data) => data.ciphertext.as_ref(),
        }
    }

    /// Certificates of the originator, as they came.
    pub fn originator_certificates(self) -> &'a [&'a [u8]] {
        match self {
            Self::Enveloped(data) => &data.originator_certificates,
            Self::AuthEnveloped(data) => &data.originator_certificates,
            Self::Encrypted(_) => &[],
        }
    }
}

/// What there is to open with.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    /// Private keys.
    pub keyring: &'a KeyRing,
    /// Passphrases and shared keys for messages.
    pub secrets: &'a MessageSecrets,
    /// Certificates of senders who brought their own key into an agreement.
    pub pool: &'a Pool,
    /// Decoded certificates.
    pub cache: &'a CertCache,
}

/// Which of them may be used for an object.
pub struct Permission<'a> {
    /// Whether a private key may.
    pub key: &'a dyn Fn(&PrivateKey) -> bool,
    /// Whether passphrases and shared keys, which are nobody's by name, may.
    pub secrets: bool,
}

/// What trying keys may still cost in one message.
#[derive(Debug)]
pub struct Effort {
    rounds: Rounds,
    trials: u32,
}

impl Default for Effort {
    fn default() -> Self {
        Self {
            rounds: Rounds::default(),
            trials: MOST_TRIALS,
        }
    }
}

/// Private-key operations that one message may cost: more than it has honest recipients whose keys
/// are all at hand and do not open it.
const MOST_TRIALS: u32 = 500;

impl Effort {
    fn trial(&mut self) -> Result<(), Closed> {
        self.trials = self
            .trials
            .checked_sub(1)
            .ok_or(Closed::Refused("limit-trials"))?;
        Ok(())
    }
}

/// What opened an object.
pub enum Opener {
    /// A recipient's private key.
    Key(Arc<PrivateKey>),
    /// A key without a certificate, found by trial, and which recipient's it proved to be: counted
    /// from 0 as [`ids`] has them, one for a RecipientInfo that has none.
    BareKey(Arc<PrivateKey>, usize),
    /// A passphrase or a shared key, by its place: `FILE:LINE`.
    Secret(String),
}

/// Proven plaintext.
pub struct Opened {
    /// The content as it was before it was encrypted.
    pub plaintext: Plaintext,
    /// Its content-encryption key, for new RecipientInfos around the same ciphertext; empty for
    /// EncryptedData, which has none.
    pub cek: Zeroizing<Vec<u8>>,
    /// The cipher, its grade included.
    pub cipher: ContentCipher,
    /// Whose key it was.
    pub opener: Opener,
}

/// Why an object stays closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// No key for any recipient.
    NoKey,
    /// No passphrase or shared key for an object that no certificate's key opens.
    NoSecret,
    /// The key is there, but the sender's certificate, without which it is of no use, is not.
    NoOriginator,
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
/// and not just anything. Where only keys that `may` forbids match, the object is
/// [`Closed::Refused`] (`key-not-addressed`).
///
/// Private keys go first, then passphrases and shared keys, then private keys without a certificate,
/// which nothing names. `large` is the ciphertext where `sealed` is an outline.
pub fn open(
    sealed: Sealed<'_>,
    large: Option<Large<'_>>,
    mail: bool,
    keys: Keys<'_>,
    may: &Permission<'_>,
    effort: &mut Effort,
) -> Result<Opened, Closed> {
    let content = Content::of(sealed, large)?;
    let originators = Originators { sealed, keys };
    let mut seen = Seen::default();
    for recipient in sealed.recipients() {
        for (id, key) in keys_of(recipient, keys.keyring) {
            if !(may.key)(&key) {
                seen.forbidden = true;
                continue;
            }
            effort.trial()?;
            seen.named = true;
            match unwrap::unwrap(recipient, &id, &key, content.cipher, &originators) {
                Unwrapped::Key(cek, proven) => {
                    if let Some(plaintext) = content.decrypt(&cek, proven && !mail) {
                        return Ok(Opened {
                            plaintext,
                            cek,
                            cipher: content.cipher,
                            opener: Opener::Key(key),
                        });
                    }
                }
                Unwrapped::Failed => {}
                Unwrapped::Unsupported => seen.unsupported = true,
                Unwrapped::NoOriginator => seen.no_originator = true,
            }
        }
    }
    if shared::wanted(sealed) && !keys.secrets.is_empty() {
        if may.secrets {
            match shared::open(sealed, &content, mail, keys, &mut effort.rounds) {
                Tried::Opened(plaintext, cek, name) => {
                    return Ok(Opened {
                        plaintext,
                        cek,
                        cipher: content.cipher,
                        opener: Opener::Secret(name),
                    });
                }
                Tried::Nothing => seen.secrets = true,
                Tried::NoneAtHand => {}
                Tried::Unsupported => {
                    seen.secrets = true;
                    seen.unsupported = true;
                }
            }
        } else {
            seen.forbidden = true;
        }
    }
    if !seen.named && !seen.forbidden {
        let bare = try_bare_keys(&content, &originators, may, effort)?;
        if let Some(opened) = bare {
            return Ok(opened);
        }
    }
    if content.is_tried_out() {
        return Err(Closed::Refused("limit-trials"));
    }
    Err(seen
        .closed(&effort.rounds)
        .unwrap_or_else(|| closed_without_key(sealed, keys.keyring)))
}

/// What was met on the way to nothing.
#[derive(Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is met or not, whatever the others"
)]
struct Seen {
    /// A private key that a recipient names.
    named: bool,
    /// Passphrases or shared keys that were tried.
    secrets: bool,
    /// Only such as must not be used here.
    forbidden: bool,
    unsupported: bool,
    no_originator: bool,
}

impl Seen {
    fn closed(&self, rounds: &Rounds) -> Option<Closed> {
        if rounds.exceeded() {
            Some(Closed::Refused("limit-rounds"))
        } else if self.unsupported {
            Some(Closed::Unsupported("unsupported-algorithm"))
        } else if self.no_originator {
            Some(Closed::NoOriginator)
        } else if self.named || self.secrets {
            Some(Closed::Undecryptable)
        } else if self.forbidden {
            Some(Closed::Refused("key-not-addressed"))
        } else {
            None
        }
    }
}

/// Keys without a certificate are tried, once each, where nothing else matches.
fn try_bare_keys(
    content: &Content<'_>,
    originators: &Originators<'_>,
    may: &Permission<'_>,
    effort: &mut Effort,
) -> Result<Option<Opened>, Closed> {
    /// Private-key operations that one object may cost here.
    const MOST: usize = 64;
    let trials = originators
        .sealed
        .recipients()
        .iter()
        .enumerate()
        .flat_map(|(at, recipient)| {
            let keys = originators.keys.keyring.bare().iter();
            keys.map(move |key| (at, recipient, key))
        });
    for (at, recipient, key) in trials.take(MOST) {
        if !(may.key)(key) {
            continue;
        }
        for (place, id) in ids(recipient).iter().enumerate() {
            effort.trial()?;
            if let Unwrapped::Key(cek, _) =
                unwrap::unwrap(recipient, id, key, content.cipher, originators)
                && let Some(plaintext) = content.decrypt(&cek, false)
            {
                let before = originators.sealed.recipients().iter().take(at);
                let before: usize = before.map(|recipient| ids(recipient).len().max(1)).sum();
                return Ok(Some(Opened {
                    plaintext,
                    cek,
                    cipher: content.cipher,
                    opener: Opener::BareKey(key.clone(), before + place),
                }));
            }
        }
    }
    Ok(None)
}

fn closed_without_key(sealed: Sealed<'_>, keyring: &KeyRing) -> Closed {
    let recipients = sealed.recipients();
    // A key encapsulation names its recipient, whose key would not help.
    let named = recipients
        .iter()
        .any(|recipient| recipient.kem().is_none() && !ids(recipient).is_empty());
    if !named && shared::wanted(sealed) {
        Closed::NoSecret
    } else if !named && !recipients.is_empty() {
        Closed::Unsupported("unsupported-recipient")
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

/// Every certificate that a RecipientInfo names; none for kekri, pwri, and ori but for a key
/// encapsulation.
pub fn ids<'a>(recipient: &'a RecipientInfo<'a>) -> Vec<RecipientId<'a>> {
    match recipient {
        RecipientInfo::Ktri { rid, .. } => vec![rid.clone()],
        RecipientInfo::Kari { recipients, .. } => {
            recipients.iter().map(|(id, _)| id.clone()).collect()
        }
        RecipientInfo::Ori { .. } => recipient.kem().map(|kem| kem.rid).into_iter().collect(),
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

/// What anybody can see to be wrong with `sealed`.
pub fn inspect(sealed: Sealed<'_>) -> Result<(), Closed> {
    Content::of(sealed, None).map(|_| ())
}

/// The content's cipher, where it is known.
pub fn content_cipher(sealed: Sealed<'_>) -> Option<ContentCipher> {
    let algorithm = sealed.content_encryption();
    if crate::keys::pbe::is_password_based(algorithm.oid) {
        return crate::keys::pbe::cipher_of(algorithm).ok();
    }
    let (inner, _) = crate::crypto::cipher::derived(algorithm).ok()?;
    ContentCipher::from_algorithm(&inner)
        .ok()
        .map(|(cipher, _)| cipher)
}
