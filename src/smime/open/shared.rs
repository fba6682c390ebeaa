//! Recipients whom no certificate names: shared keys, passwords (RFC 5652 §6.2.3, §6.2.4), and
//! EncryptedData, whose content is under such a secret itself (§8).
//!
//! Nothing says which secret is meant, so each at hand is tried, and what is tried is paid for out of
//! one budget a message: a passphrase costs its rounds, a key as much as a few.

use zeroize::Zeroizing;

use super::content::Content;
use super::unwrap::{Unwrapped, proven};
use super::{Keys, Plaintext, Sealed};
use crate::cms::{AlgorithmIdentifier, RecipientInfo};
use crate::crypto::keywrap::{KeyWrap, PasswordWrap};
use crate::keys::pbe::{self, Password, Rounds};
use crate::keys::secrets::Secret;

/// Rounds that trying a key is as dear as.
const KEY: u64 = 32;

/// What came of trying every secret.
pub(super) enum Tried {
    /// A proven plaintext, its content-encryption key, and the name of the secret.
    Opened(Plaintext, Zeroizing<Vec<u8>>, String),
    /// Secrets were tried, and proved nothing.
    Nothing,
    /// There is none of the kind that is wanted.
    NoneAtHand,
    /// An algorithm that is not known.
    Unsupported,
}

/// Whether secrets could open `sealed`.
pub(super) fn wanted(sealed: Sealed<'_>) -> bool {
    matches!(sealed, Sealed::Encrypted(_)) || sealed.recipients().iter().any(is_shared)
}

/// Whether a recipient is reached by a shared key or a password.
pub(super) fn is_shared(recipient: &RecipientInfo<'_>) -> bool {
    matches!(
        recipient,
        RecipientInfo::Kekri { .. } | RecipientInfo::Pwri { .. }
    )
}

/// Tries the secrets at hand. Keys first: they cost next to nothing.
pub(super) fn open(
    sealed: Sealed<'_>,
    content: &Content<'_>,
    mail: bool,
    keys: Keys<'_>,
    rounds: &mut Rounds,
) -> Tried {
    if matches!(sealed, Sealed::Encrypted(_)) {
        return content_itself(content, keys, rounds);
    }
    let (mut tried, mut unsupported) = (false, false);
    for by_key in [true, false] {
        for recipient in sealed.recipients() {
            for secret in secrets(recipient, by_key, keys) {
                let Some(unwrapped) = unwrap(recipient, secret, content, rounds) else {
                    continue;
                };
                tried = true;
                match unwrapped {
                    Unwrapped::Key(cek, proven) => {
                        if let Some(plaintext) = content.decrypt(&cek, proven && !mail) {
                            return Tried::Opened(plaintext, cek, secret.name().to_owned());
                        }
                    }
                    Unwrapped::Unsupported => {
                        unsupported = true;
                        break;
                    }
                    Unwrapped::Failed | Unwrapped::NoOriginator => {}
                }
            }
        }
    }
    match (unsupported, tried) {
        (true, _) => Tried::Unsupported,
        (false, true) => Tried::Nothing,
        (false, false) => Tried::NoneAtHand,
    }
}

/// The secrets of the kind that a recipient is reached by.
fn secrets<'a>(recipient: &RecipientInfo<'_>, by_key: bool, keys: Keys<'a>) -> &'a [Secret] {
    match recipient {
        RecipientInfo::Kekri { .. } | RecipientInfo::Pwri { kdf: None, .. } if by_key => {
            keys.secrets.keys()
        }
        RecipientInfo::Pwri { kdf: Some(_), .. } if !by_key => keys.secrets.passphrases(),
        _ => &[],
    }
}

/// `None` where the secret cannot be meant: a key of another length, or the budget is spent.
fn unwrap(
    recipient: &RecipientInfo<'_>,
    secret: &Secret,
    content: &Content<'_>,
    rounds: &mut Rounds,
) -> Option<Unwrapped> {
    match recipient {
        RecipientInfo::Kekri {
            algorithm,
            encrypted_key,
            ..
        } => {
            let Ok(wrap) = KeyWrap::from_algorithm(algorithm) else {
                return Some(Unwrapped::Unsupported);
            };
            if secret.bytes().len() != wrap.kek_len() {
                return None;
            }
            rounds.pay(KEY).ok()?;
            let cek = wrap.unwrap(secret.bytes(), encrypted_key).ok();
            Some(proven(cek, content.cipher))
        }
        RecipientInfo::Pwri {
            kdf,
            algorithm,
            encrypted_key,
        } => {
            let Ok(wrap) = PasswordWrap::from_algorithm(algorithm) else {
                return Some(Unwrapped::Unsupported);
            };
            let kek = kek(kdf.as_ref(), &wrap, secret, rounds)?;
            Some(match kek {
                Ok(kek) => match wrap.unwrap(&kek, encrypted_key) {
                    Ok(cek) if content.cipher.takes_key_len(cek.len()) => {
                        Unwrapped::Key(cek, false)
                    }
                    _ => Unwrapped::Failed,
                },
                Err(unwrapped) => unwrapped,
            })
        }
        _ => None,
    }
}

/// The key-encryption key of a password recipient.
fn kek(
    kdf: Option<&AlgorithmIdentifier<'_>>,
    wrap: &PasswordWrap,
    secret: &Secret,
    rounds: &mut Rounds,
) -> Option<Result<Zeroizing<Vec<u8>>, Unwrapped>> {
    let Some(kdf) = kdf else {
        let fits = wrap.cipher().takes_key_len(secret.bytes().len());
        return (fits && rounds.pay(KEY).is_ok())
            .then(|| Ok(Zeroizing::new(secret.bytes().to_vec())));
    };
    let password = Password::utf8(secret.bytes());
    match pbe::derive_key(kdf, &password, wrap.cipher(), rounds) {
        Ok(kek) => Some(Ok(kek)),
        Err(pbe::Problem::Failed) => Some(Err(Unwrapped::Failed)),
        Err(pbe::Problem::Never(_)) if rounds.exceeded() => None,
        Err(pbe::Problem::Never(_)) => Some(Err(Unwrapped::Unsupported)),
    }
}

/// EncryptedData: the content is under a passphrase or a key itself.
fn content_itself(content: &Content<'_>, keys: Keys<'_>, rounds: &mut Rounds) -> Tried {
    let password = content.is_password_based();
    let secrets = if password {
        keys.secrets.passphrases()
    } else {
        keys.secrets.keys()
    };
    let mut tried = false;
    for secret in secrets {
        let plaintext = if password {
            tried = true;
            content.decrypt_with_password(secret.bytes(), rounds)
        } else {
            if !content.cipher.takes_key_len(secret.bytes().len()) || rounds.pay(KEY).is_err() {
                continue;
            }
            tried = true;
            content.decrypt(secret.bytes(), false)
        };
        if let Some(plaintext) = plaintext {
            return Tried::Opened(plaintext, Zeroizing::default(), secret.name().to_owned());
        }
    }
    if tried {
        Tried::Nothing
    } else {
        Tried::NoneAtHand
    }
}
