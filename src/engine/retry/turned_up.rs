//! Which messages may come out otherwise with the keys that are at hand now: told from what the
//! journal says of each, so that all others cost a line of it and no more.

use std::collections::{HashMap, HashSet};

use crate::cert::certificate::serial_hex;
use crate::keys::{KeyRing, MessageSecrets};
use crate::ops::outcome::{
    Action, Findings, KeyStatus, MessageFinding, RecipientFinding, RecipientKind, SignatureFinding,
};
use crate::text::{hex, unhex};

/// What has turned up since the journal was written.
pub(super) struct TurnedUp<'a> {
    keyring: &'a KeyRing,
    /// The certificates in key files by serial number, and where their keys are. Two that share a
    /// number cost a needless look at most.
    by_serial: HashMap<String, Vec<KeyStatus>>,
    /// Their key identifiers.
    skis: HashSet<String>,
    /// A key that names nobody, and was not there before.
    bare: bool,
    /// Passphrases and keys of messages; whether they are new is not known.
    secrets: bool,
}

impl<'a> TurnedUp<'a> {
    /// `known`: the keys of before, by certificate or name, as the journal's header lists them.
    pub(super) fn new(
        keyring: &'a KeyRing,
        secrets: &MessageSecrets,
        known: &HashSet<&str>,
    ) -> Self {
        let mut by_serial: HashMap<String, Vec<KeyStatus>> = HashMap::new();
        let mut skis = HashSet::new();
        for certificate in keyring.certificates() {
            let (issuer, serial) = (&certificate.issuer_der, &certificate.serial);
            let found = !keyring.find(issuer, serial).is_empty();
            let locked = keyring.locked_for_issuer_serial(issuer, serial);
            by_serial
                .entry(serial_hex(serial))
                .or_default()
                .push(status(found, locked));
            skis.extend(certificate.ski.as_deref().map(hex));
        }
        Self {
            keyring,
            by_serial,
            skis,
            bare: keyring
                .bare()
                .iter()
                .any(|key| !known.contains(key.name.as_str())),
            secrets: !secrets.is_empty(),
        }
    }

    /// Whether anything that these findings rest on is otherwise now.
    pub(super) fn concerns(&self, findings: &Findings) -> bool {
        findings
            .recipients
            .iter()
            .any(|recipient| self.changes(recipient))
            || findings
                .signatures
                .iter()
                .any(|signature| self.names(signature))
            || findings
                .messages
                .iter()
                .any(|message| self.reopens(message, &findings.recipients))
    }

    /// Whether another status of its key, or its certificate, is known now.
    fn changes(&self, recipient: &RecipientFinding) -> bool {
        if matches!(recipient.kind, RecipientKind::Kekri | RecipientKind::Pwri) {
            return false;
        }
        if let Some(ski) = unhex(&recipient.ski).filter(|ski| !ski.is_empty()) {
            let found = !self.keyring.find_ski(&ski).is_empty();
            let now = status(found, self.keyring.locked_for_ski(&ski));
            return differs(recipient.key_status, now)
                || (recipient.cert_sha256.is_empty() && self.skis.contains(&recipient.ski));
        }
        match self.by_serial.get(&recipient.serial) {
            None => differs(recipient.key_status, KeyStatus::Missing),
            Some(statuses) => {
                recipient.cert_sha256.is_empty()
                    || statuses
                        .iter()
                        .any(|now| differs(recipient.key_status, *now))
            }
        }
    }

    /// Whether the signer, of whom no certificate was known, may be known now.
    fn names(&self, signature: &SignatureFinding) -> bool {
        signature.cert_sha256.is_empty()
            && (signature.serial.is_empty() || self.by_serial.contains_key(&signature.serial))
    }

    /// Whether a message that stayed closed may open though no recipient's key is new.
    fn reopens(&self, message: &MessageFinding, recipients: &[RecipientFinding]) -> bool {
        let reason = message.reason.as_deref().unwrap_or_default();
        let inner = reason.strip_prefix("inner-");
        let closed = matches!(
            message.action,
            Action::NoKey | Action::Locked | Action::Undecryptable
        );
        if !closed && inner.is_none() {
            return false;
        }
        let reason = inner.unwrap_or(reason);
        let password = recipients.is_empty()
            || inner.is_some()
            || recipients
                .iter()
                .any(|recipient| recipient.key_status == KeyStatus::Password);
        let unknown_lock = message.action == Action::NoKey || inner.is_some();
        self.bare
            || (self.secrets && password)
            || reason == "originator-certificate-missing"
            || (unknown_lock
                && matches!(reason, "" | "no-key" | "maybe-in-locked-file")
                && (reason == "maybe-in-locked-file") != self.keyring.has_unknown_locked())
    }
}

fn status(found: bool, locked: bool) -> KeyStatus {
    match (found, locked) {
        (true, _) => KeyStatus::Open,
        (false, true) => KeyStatus::Locked,
        (false, false) => KeyStatus::Missing,
    }
}

/// A key without a certificate may have opened what nothing names it for: what is open stays so.
fn differs(before: KeyStatus, now: KeyStatus) -> bool {
    before != now && before != KeyStatus::Open
}
