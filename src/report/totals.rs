//! Counts over a whole run: summary.json, the exit code, and the lines that a tired administrator
//! reads at the end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::missing::Missing;
use super::record::{FileRecord, MessageRecord};
use super::rows::{CertificateRow, MissingKeyRow, SignatureRow};
use crate::crypto::cipher::ContentCipher;
use crate::ops::outcome::{Action, MessageFinding, Verdict};

/// Rows that are kept by name before the rest is only counted.
const NAMED: usize = 20;

/// The same for signatures.
const SIGNATURES_NAMED: usize = 10;

/// The reason of a message whose key is at best in a key file that stays locked.
pub(crate) const MAYBE_LOCKED: &str = "maybe-in-locked-file";

/// What `sign` and `encrypt --sign` return where the key of the one message stays locked (contract:
/// Exit codes).
const KEY_STAYS_LOCKED: u8 = 12;

/// Addresses without a certificate that are counted one by one.
const MOST_UNKNOWN: usize = 10_000;

type Counts = BTreeMap<String, u64>;

/// What a run found and did. The same inputs give the same totals.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Mailboxes read.
    pub mailboxes: u64,
    /// Messages found.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages written; `None` without an output folder.
    pub written: Option<u64>,
    /// Messages that were not written, since they would have been readable among encrypted ones.
    #[serde(default)]
    pub withheld: u64,
    /// Copies for blind recipients, written beside the messages.
    #[serde(default)]
    pub copies: u64,
    /// Addresses without a certificate to encrypt to, and how many messages each keeps back.
    #[serde(default)]
    pub unknown_recipients: Counts,
    /// By form.
    pub forms: Counts,
    /// By outcome; they add up to [`Totals::messages`].
    pub outcomes: Counts,
    /// By verdict, of messages that have one.
    pub verdicts: Counts,
    /// Attached messages with S/MIME, which have rows of their own.
    pub attached: u64,
    /// Failures by outcome and reason, attached messages included, accepted ones left out.
    pub failures: BTreeMap<String, Counts>,
    /// Failures that `--accept` lets pass.
    pub accepted: u64,
    /// By verdict.
    pub signatures: Counts,
    /// The first signatures that are not `valid`, with why.
    #[serde(default)]
    pub not_valid_named: Vec<NotValid>,
    /// By what they do (`digest`, `content_encryption` …) and name.
    pub algorithms: BTreeMap<String, Counts>,
    /// By status.
    pub certificates: Counts,
    /// By what became of them.
    pub files: Counts,
    /// Files that were not read, or not to their end: how many,
    pub failed_files: u64,
    /// how many of these are mailboxes of which something was read,
    #[serde(default)]
    pub partly_read_files: u64,
    /// and the first of them, with why.
    pub failed_files_named: Vec<FailedFile>,
    /// Encrypted layers that no key at hand opens though some key would.
    pub unopened: u64,
    /// Encrypted layers that wait for a passphrase or a shared key.
    #[serde(default)]
    pub wait_for_secret: u64,
    /// Of these, those that a passphrase is named for,
    #[serde(default)]
    pub wait_for_passphrase: u64,
    /// and those that a shared key is.
    #[serde(default)]
    pub wait_for_shared_key: u64,
    /// Encrypted layers that stay closed whatever key file is found.
    #[serde(default)]
    pub beyond_key_files: u64,
    /// Keys that would open them all,
    pub missing_keys: u64,
    /// and the most useful of them.
    pub missing_named: Vec<MissingKeyRow>,
    /// Key files that stayed locked, and how many messages each is known to cost.
    pub locked_files: Counts,
}

/// A file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedFile {
    /// As in sources.csv.
    pub path: String,
    /// As in sources.csv.
    pub status: String,
}

/// A signature that is not `valid`, named as in signatures.csv.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotValid {
    /// The source mailbox's name.
    pub mailbox: String,
    /// Of the message, from 1.
    pub ordinal: u64,
    /// The section of an attached message; else empty.
    pub part: String,
    /// The certificate's addresses, or its common name; empty where neither is known.
    pub signer: String,
    /// `invalid` or `indeterminate`.
    pub verdict: String,
    /// Joined by a space.
    pub reasons: String,
}

fn count(counts: &mut Counts, word: &str) {
    match counts.get_mut(word) {
        Some(number) => *number += 1,
        None => {
            counts.insert(word.to_owned(), 1);
        }
    }
}

impl Totals {
    /// Takes in a message of a mailbox.
    pub(super) fn add_message(&mut self, record: &MessageRecord) {
        self.messages += 1;
        self.bytes += record.bytes;
        if let Some(written) = &mut self.written {
            *written += u64::from(record.out.is_some());
        }
        self.withheld += u64::from(record.withheld);
        self.copies += record.copies.len() as u64;
        for recipient in &record.findings.recipients {
            self.algorithm("key_encryption", &recipient.key_encryption);
        }
    }

    /// Takes in what was found of a message or of an attached one.
    pub(super) fn add_finding(
        &mut self,
        finding: &MessageFinding,
        verdict: Option<Verdict>,
        accept: &[Action],
    ) {
        if finding.part.is_empty() {
            count(&mut self.forms, &finding.form);
            count(&mut self.outcomes, finding.action.as_str());
            if let Some(verdict) = verdict {
                count(&mut self.verdicts, verdict.as_str());
            }
        } else {
            self.attached += 1;
        }
        if let Some(cipher) = &finding.content_encryption {
            self.algorithm("content_encryption", cipher);
            if let Some(cipher) = ContentCipher::from_name(cipher) {
                let grade = if cipher.is_weak() { "weak" } else { "strong" };
                self.algorithm("content_encryption_strength", grade);
            }
        }
        for concern in &finding.concerns {
            if self.unknown_recipients.len() < MOST_UNKNOWN
                || self.unknown_recipients.contains_key(concern)
            {
                count(&mut self.unknown_recipients, concern);
            }
        }
        if finding.action.is_failure() {
            if accept.contains(&finding.action) {
                self.accepted += 1;
            } else {
                let reasons = self
                    .failures
                    .entry(finding.action.as_str().into())
                    .or_default();
                count(reasons, finding.reason.as_deref().unwrap_or_default());
            }
        }
    }

    /// Takes in a signature.
    pub(super) fn add_signature(&mut self, row: &SignatureRow) {
        if !row.verdict.is_empty() {
            count(&mut self.signatures, &row.verdict);
            let valid = row.verdict == Verdict::Valid.as_str();
            if !valid && self.not_valid_named.len() < SIGNATURES_NAMED {
                self.not_valid_named.push(NotValid {
                    mailbox: row.mailbox.clone(),
                    ordinal: row.ordinal,
                    part: row.part.clone(),
                    signer: row.signer.clone(),
                    verdict: row.verdict.clone(),
                    reasons: row.reasons.clone(),
                });
            }
        }
        self.algorithm("digest", &row.digest);
        self.algorithm("signature", &row.algorithm);
        self.algorithm("signer_key", &row.key);
    }

    /// Takes in a file.
    pub(super) fn add_file(&mut self, file: &FileRecord) {
        let word = file.status.split(':').next().unwrap_or_default();
        // An archive is none: its members are. An empty mailbox is one.
        let form = file.kind.split('.').next();
        let may_be_empty = word == "read" && matches!(form, Some("mbox" | "maildir"));
        self.mailboxes += u64::from(file.messages > 0 || may_be_empty);
        count(&mut self.files, word);
        if file.failed {
            self.failed_files += 1;
            self.partly_read_files += u64::from(word == "skipped" && file.messages > 0);
            if self.failed_files_named.len() < NAMED {
                self.failed_files_named.push(FailedFile {
                    path: file.path.clone(),
                    status: file.status.clone(),
                });
            }
        }
    }

    /// Takes in a certificate.
    pub(super) fn add_certificate(&mut self, row: &CertificateRow) {
        let status = if row.status.is_empty() {
            "seen"
        } else {
            &row.status
        };
        count(&mut self.certificates, status);
    }

    /// Takes in which keys are missing.
    pub(super) fn set_missing(&mut self, missing: &Missing, rows: &[MissingKeyRow]) {
        self.unopened = missing.unopened();
        self.wait_for_secret = missing.wait_for_secret();
        (self.wait_for_passphrase, self.wait_for_shared_key) = missing.wait_for_either();
        self.beyond_key_files = missing.beyond_key_files();
        self.missing_keys = rows.len() as u64;
        self.missing_named = rows.iter().take(NAMED).cloned().collect();
    }

    fn algorithm(&mut self, use_for: &str, name: &str) {
        if !name.is_empty() {
            match self.algorithms.get_mut(use_for) {
                Some(counts) => count(counts, name),
                None => count(self.algorithms.entry(use_for.to_owned()).or_default(), name),
            }
        }
    }

    /// How many messages are neither written nor withheld; 0 without an output folder. More written
    /// than found is a loss of order, and counts the same.
    pub fn lost(&self) -> u64 {
        self.written.map_or(0, |written| {
            self.messages
                .abs_diff(written.saturating_add(self.withheld))
        })
    }

    /// How many encrypted layers stay closed for want of anything.
    pub fn closed(&self) -> u64 {
        self.unopened + self.wait_for_secret + self.beyond_key_files
    }

    /// Which files were not read, as in `1 file was not read`; `None` if all were.
    pub(super) fn unread(&self) -> Option<String> {
        let told = |number: u64, what: &str| match number {
            0 => None,
            1 => Some(format!("1 file was {what}")),
            _ => Some(format!("{number} files were {what}")),
        };
        let not = self.failed_files.saturating_sub(self.partly_read_files);
        match (
            told(not, "not read"),
            told(self.partly_read_files, "read in part"),
        ) {
            (Some(not), Some(part)) => Some(format!("{not}, {part}")),
            (not, part) => not.or(part),
        }
    }

    /// How many failures count, over all outcomes.
    pub fn failed(&self) -> u64 {
        self.failures.values().flat_map(BTreeMap::values).sum()
    }

    /// How many signatures are not `valid`.
    pub fn not_valid(&self) -> u64 {
        let others = self
            .signatures
            .iter()
            .filter(|(word, _)| *word != Verdict::Valid.as_str());
        others.map(|(_, number)| number).sum()
    }

    /// Whether every signature, and every message that has one, is `valid`.
    pub fn all_valid(&self) -> bool {
        let only_valid =
            |counts: &Counts| counts.keys().all(|word| word == Verdict::Valid.as_str());
        only_valid(&self.signatures) && only_valid(&self.verdicts)
    }

    /// Whether some key that was needed is, or may be, in a locked key file.
    fn key_stays_locked(&self) -> bool {
        let perhaps = self
            .failures
            .get("no-key")
            .is_some_and(|reasons| reasons.contains_key(MAYBE_LOCKED));
        perhaps || self.failures.contains_key("locked")
    }

    /// The exit code of a run of `command` that came to its end (contract: Exit codes).
    pub fn exit_code(&self, command: &str) -> u8 {
        let signs = matches!(command, "sign" | "encrypt");
        if signs && self.messages == 1 && self.failed() == 1 && self.key_stays_locked() {
            return KEY_STAYS_LOCKED;
        }
        if self.failed() > 0 || self.failed_files > 0 || self.lost() > 0 {
            3
        } else if command == "verify" && !self.all_valid() {
            4
        } else {
            0
        }
    }
}
