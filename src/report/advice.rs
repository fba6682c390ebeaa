//! What an administrator can do about a message that failed, as one plain sentence or two.

use std::collections::HashMap;

use super::redact::Hiding;
use crate::keys::keyring::{KeyFileStatus, KeyRing};
use crate::ops::outcome::{Action, KeyStatus, MessageFinding, RecipientFinding};
use crate::text;

/// Recipients that are named before the rest is only counted.
const NAMED: usize = 3;

/// Knows which key files are locked, and whose they are; their names are as reports show them.
#[derive(Debug, Default)]
pub struct Adviser {
    locked_files: Vec<String>,
    /// By issuer and serial, or by nothing and key identifier, as reports spell them.
    files: HashMap<(String, String), String>,
}

impl Adviser {
    /// Looks through the key files.
    pub(super) fn new(keyring: &KeyRing, hiding: &Hiding<'_>) -> Self {
        let mut adviser = Self::default();
        for file in keyring
            .files()
            .iter()
            .filter(|file| file.status == KeyFileStatus::Locked)
        {
            let name = file
                .path
                .file_name()
                .map(|name| hiding.key_name(&text::escape_path(name.as_ref())))
                .unwrap_or_default();
            for certificate in &file.certificates {
                let serial = text::hex(&certificate.serial);
                adviser
                    .files
                    .insert((certificate.issuer.clone(), serial), name.clone());
                if let Some(ski) = &certificate.ski {
                    adviser
                        .files
                        .insert((String::new(), text::hex(ski)), name.clone());
                }
            }
            adviser.locked_files.push(name);
        }
        adviser
    }

    /// The names of the key files that stayed locked.
    pub fn locked_files(&self) -> &[String] {
        &self.locked_files
    }

    /// The locked file that holds the key of `recipient`, where that is known.
    pub fn locked_file(&self, recipient: &RecipientFinding) -> Option<&str> {
        let by_serial = (recipient.issuer.clone(), recipient.serial.clone());
        let by_ski = (String::new(), recipient.ski.clone());
        let found = self
            .files
            .get(&by_serial)
            .or_else(|| self.files.get(&by_ski));
        found.map(String::as_str)
    }

    /// What to do about `message`, whose recipients are among `recipients`, as reports may show it.
    pub(super) fn what_to_do(
        &self,
        message: &MessageFinding,
        recipients: &[RecipientFinding],
        hiding: &Hiding<'_>,
    ) -> String {
        let of_message = || {
            recipients
                .iter()
                .filter(|recipient| recipient.part == message.part)
        };
        let reason = message.reason.as_deref().unwrap_or_default();
        if let Some(advice) = about_signing(reason) {
            return advice.into();
        }
        match message.action {
            Action::Locked => {
                let locked: Vec<_> = of_message()
                    .filter(|recipient| recipient.key_status == KeyStatus::Locked)
                    .collect();
                self.unlock(&locked, hiding)
            }
            Action::NoKey if reason == "maybe-in-locked-file" => format!(
                "The key may be in a file that is locked ({}): run again with --passphrases. Else it is missing: {}.",
                self.locked_files.join(", "),
                name_all(&of_message().collect::<Vec<_>>(), hiding)
            ),
            Action::NoKey if reason == "password-encrypted" => {
                "It needs a passphrase or a shared key instead of somebody's key file: run again with \
                 --message-passphrase-file or --message-key-file."
                    .into()
            }
            Action::NoKey if reason == "originator-certificate-missing" => {
                "The key is there, but reading it takes the sender's certificate too: add that to --intermediates or \
                 --keys and run again."
                    .into()
            }
            Action::NoKey => format!(
                "Get the key file of one recipient ({}), add it to --keys and run again.",
                name_all(&of_message().collect::<Vec<_>>(), hiding)
            ),
            Action::Undecryptable => {
                "A recipient's key, or every passphrase at hand, was tried and did not open it: the passphrase is \
                 another, or the message or the key file is damaged. Look for another copy of either."
                    .into()
            }
            Action::Malformed => {
                format!(
                    "The message is damaged ({reason}): look for another copy, in a backup or at another recipient's."
                )
            }
            Action::Unsupported => {
                format!(
                    "This version of p7mill does not know what it needs ({reason}): try a later version."
                )
            }
            Action::Refused if reason == "recipient-unknown" || reason == "recipient-unusable" => {
                let concerns = message.concerns.iter();
                let concerns: Vec<_> = concerns.map(|concern| hiding.concern(concern)).collect();
                format!(
                    "No certificate may be used for {}: harvest a message that they signed into --store, or name a \
                 certificate file with --to.",
                    concerns.join(", ")
                )
            }
            Action::Refused => refused(reason),
            _ => String::new(),
        }
    }

    fn unlock(&self, locked: &[&RecipientFinding], hiding: &Hiding<'_>) -> String {
        let Some(first) = locked.first() else {
            return "A recipient's key is in a locked key file: run again with --passphrases."
                .into();
        };
        let file = locked
            .iter()
            .find_map(|recipient| Some((*recipient, self.locked_file(recipient)?)));
        let (recipient, file) = match file {
            Some((recipient, file)) => (recipient, file.to_owned()),
            None => (*first, "a key file".to_owned()),
        };
        format!(
            "The key for {} is in {file}, which is locked: run again with --passphrases.",
            name_one(recipient, hiding)
        )
    }
}

/// What helps where a message was to be signed and nobody could.
pub(super) fn about_signing(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "signing-key-locked" => {
            "The key that has to sign is in a locked key file: run again with --passphrase-file."
        }
        "no-signing-key" => {
            "No key at hand is of the address that has to sign: add its key file to --keys, or name another address \
             with --as."
        }
        "cert-expired" | "cert-not-yet-valid" | "cert-usage" => {
            "The certificate of the address that has to sign cannot be used now: a valid one for signing mail is needed."
        }
        "cannot-sign-with-key" => {
            "The key cannot sign, or is too weak to: a certificate with an RSA key of 2048 bits or an EC key is needed."
        }
        "no-from" | "address-ambiguous" => {
            "From does not name one plain address that could sign: say who signs with --as."
        }
        "no-message" => "It is a CMS object by itself, not a message.",
        _ => return None,
    })
}

/// What helps where a policy or limit refused a message.
pub(super) fn refused(reason: &str) -> String {
    match reason {
        "weak-content-encryption" => "Its cipher is too weak to be kept: run again with --mode content.".into(),
        "key-not-addressed" => "A part is encrypted for somebody to whom the message was not sent; it may have been \
             pasted. If it should be opened, save that part as a file and open it alone, or run again with \
             --open-unaddressed."
            .into(),
        "no-recipients" => {
            "It is encrypted with a passphrase or a key and names no recipients: run again with --mode content.".into()
        }
        "inside-signature" => {
            "Opening the part would break the signature around it: save that part as a file and open it alone.".into()
        }
        "no-addressees" => "It names nobody to encrypt to: add --to, or --recovery.".into(),
        "recipient-unreadable" => {
            "Its To, Cc or Bcc field cannot be read for certain: correct the field, or encrypt it to --to alone.".into()
        }
        "cannot-encrypt" => {
            "A certificate named with --to or found in the store has a key that cannot be encrypted to.".into()
        }
        "carrier-unchanged" => "The message around it stays as it was: see that message's row.".into(),
        "internal-error" => {
            "p7mill failed at this message, which was copied as it is: please report it, with the version in run.json."
                .into()
        }
        _ if reason.starts_with("limit-") => {
            format!("It goes beyond what any honest message needs ({reason}): look at it by hand.")
        }
        _ => format!("Refused ({reason}): docs/reference/reasons.md says what that means."),
    }
}

fn name_all(recipients: &[&RecipientFinding], hiding: &Hiding<'_>) -> String {
    if recipients.is_empty() {
        return "it names none".into();
    }
    let named: Vec<_> = recipients
        .iter()
        .take(NAMED)
        .map(|recipient| name_one(recipient, hiding))
        .collect();
    let more = recipients.len().saturating_sub(NAMED);
    let rest = if more > 0 {
        format!(" or {more} more")
    } else {
        String::new()
    };
    format!("{}{rest}", named.join("; "))
}

fn name_one(recipient: &RecipientFinding, hiding: &Hiding<'_>) -> String {
    let name = if recipient.serial.is_empty() {
        format!("key identifier {}", recipient.ski)
    } else {
        format!(
            "{}, serial {}",
            hiding.issuer(&recipient.issuer),
            recipient.serial
        )
    };
    // Without a certificate an address is a guess.
    if recipient.address.is_empty() || recipient.cert_sha256.is_empty() {
        name
    } else {
        format!("{}, {name}", hiding.address(&recipient.address))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::report::testing;

    fn nothing_hidden() -> Hiding<'static> {
        Hiding::new(None, std::iter::empty(), &HashSet::new())
    }

    #[test]
    fn the_sentence_names_the_file_and_the_key() {
        let mut adviser = Adviser::default();
        adviser.locked_files.push("h.p12".into());
        adviser
            .files
            .insert(("CN=ca".into(), "0a".into()), "h.p12".into());
        let recipients = [
            testing::recipient("0b", KeyStatus::Missing),
            testing::recipient("0a", KeyStatus::Locked),
        ];
        let finding = testing::finding(Action::Locked);
        assert_eq!(
            adviser.what_to_do(&finding, &recipients, &nothing_hidden()),
            "The key for CN=ca, serial 0a is in h.p12, which is locked: run again with --passphrases."
        );
        let finding = testing::finding(Action::NoKey);
        assert_eq!(
            adviser.what_to_do(&finding, &recipients[..1], &nothing_hidden()),
            "Get the key file of one recipient (CN=ca, serial 0b), add it to --keys and run again."
        );
    }

    #[test]
    fn every_failure_has_its_sentence() {
        for &action in Action::ALL {
            let said =
                Adviser::default().what_to_do(&testing::finding(action), &[], &nothing_hidden());
            assert_eq!(said.is_empty(), !action.is_failure(), "{action}");
        }
    }
}
