//! The rows of every report. The order of the fields is the order of the columns: it is the
//! contract. Values are raw here; [`super::csv`] is where cells are made harmless.
//!
//! Times are RFC 3339 in UTC, names RFC 4514, serials and hashes lower-case hex, lists joined by
//! a space; what is not known is empty.

use serde::{Deserialize, Serialize};

/// A row of a report.
pub trait Row: Serialize {
    /// The report's name, that of its file without an extension.
    const NAME: &'static str;

    /// The header row.
    const COLUMNS: &'static [&'static str];

    /// Hands out every cell, in the order of [`Row::COLUMNS`].
    fn cells(&self, cell: &mut dyn FnMut(Cell<'_>));

    /// Hands out every column that holds text, to be changed.
    fn texts(&mut self, each: &mut dyn FnMut(&'static str, &mut String));
}

/// One value of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Anybody's text, to be made harmless.
    Text(&'a str),
    /// A number.
    Number(u64),
    /// Nothing is known.
    Empty,
}

/// What a field of a row may be.
trait Value {
    fn cell(&self) -> Cell<'_>;

    fn text(&mut self) -> Option<&mut String> {
        None
    }
}

impl Value for String {
    fn cell(&self) -> Cell<'_> {
        Cell::Text(self)
    }

    fn text(&mut self) -> Option<&mut String> {
        Some(self)
    }
}

impl Value for u64 {
    fn cell(&self) -> Cell<'_> {
        Cell::Number(*self)
    }
}

impl Value for Option<u64> {
    fn cell(&self) -> Cell<'_> {
        self.map_or(Cell::Empty, Cell::Number)
    }
}

/// Declares rows: a field, a column, a cell.
macro_rules! rows {
    ($($(#[$meta:meta])* $name:ident = $file:literal { $($field:ident: $kind:ty),+ $(,)? })+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "the columns are described in docs/reference/reports.md")]
        pub struct $name { $(pub $field: $kind),+ }

        impl Row for $name {
            const NAME: &'static str = $file;
            const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),+];

            fn cells(&self, cell: &mut dyn FnMut(Cell<'_>)) {
                $(cell(self.$field.cell());)+
            }

            fn texts(&mut self, each: &mut dyn FnMut(&'static str, &mut String)) {
                $(if let Some(text) = self.$field.text() {
                    each(stringify!($field), text);
                })+
            }
        }
    )+};
}

rows! {
    /// messages.csv: one row a message, and one for each attached message that holds S/MIME.
    MessageRow = "messages" {
        mailbox: String, ordinal: u64, part: String, offset: u64, bytes: u64, sha256: String, flags: String,
        message_id: String, date: String, from: String, subject: String, form: String, parts: u64, outcome: String,
        reason: String, verdict: String, verdict_time: String, time_source: String, signatures: u64,
        unsigned_bytes: Option<u64>, content_encryption: String, content_integrity: String, recipients: u64,
        opened_with: String, opened_for: String, header_conflicts: Option<u64>, out_mailbox: String, out_ordinal: Option<u64>,
        out_offset: Option<u64>, out_bytes: Option<u64>, out_sha256: String, content_strength: String,
    }
    /// signatures.csv: one row a SignerInfo.
    SignatureRow = "signatures" {
        mailbox: String, ordinal: u64, part: String, layer: u64, message_id: String, signer: String, subject: String,
        issuer: String, serial: String, cert_sha256: String, key: String, digest: String, algorithm: String,
        signing_time: String, verdict: String, integrity: String, chain: String, chain_now: String,
        chain_signing: String, chain_received: String, verdict_time: String, time_source: String, revocation: String,
        address: String, coverage: String, strength: String, reasons: String,
    }
    /// recipients.csv: one row a RecipientInfo.
    RecipientRow = "recipients" {
        mailbox: String, ordinal: u64, part: String, layer: u64, message_id: String, kind: String, issuer: String,
        serial: String, ski: String, key_encryption: String, content_encryption: String, key_status: String,
        cert_sha256: String, address: String, role: String, copy: Option<u64>,
    }
    /// certificates.csv: one row a certificate seen in the archive.
    CertificateRow = "certificates" {
        sha256: String, addresses: String, subject: String, issuer: String, serial: String, ski: String,
        not_before: String, not_after: String, key: String, signature: String, usages: String, ca: String,
        first_seen: String, last_seen: String, sightings: u64, status: String, reasons: String,
    }
    /// missing-keys.csv: whose keys would open the most, the most useful first.
    MissingKeyRow = "missing-keys" {
        issuer: String, serial: String, ski: String, address: String, address_source: String, messages: u64,
        first_date: String, last_date: String, key_status: String, newly_opened: u64, cumulative_percent: String, owner: String,
    }
    /// missing-cas.csv: which authorities' certificates would turn the most signatures.
    MissingCaRow = "missing-cas" {
        issuer: String, kind: String, sha256: String, ski: String, signers: u64, signatures: u64, would_be_valid: u64,
        first_date: String, last_date: String, cumulative_percent: String,
    }
    /// sources.csv: every file met.
    SourceRow = "sources" { path: String, kind: String, bytes: u64, sha256: String, messages: u64, status: String }
    /// failed.csv: what to do next, a row a failed message.
    FailedRow = "failed" {
        mailbox: String, ordinal: u64, part: String, message_id: String, subject: String, date: String,
        outcome: String, reason: String, what_to_do: String,
    }
    /// manifest.csv: a row a message, then a row a file.
    ManifestRow = "manifest" { out_path: String, out_ordinal: Option<u64>, in_sha256: String, out_sha256: String, outcome: String }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_are_the_contracts() {
        let joined = |columns: &[&str]| columns.join(", ");
        assert_eq!(
            joined(MessageRow::COLUMNS),
            "mailbox, ordinal, part, offset, bytes, sha256, flags, message_id, date, from, subject, form, parts, \
             outcome, reason, verdict, verdict_time, time_source, signatures, unsigned_bytes, content_encryption, \
             content_integrity, recipients, opened_with, opened_for, header_conflicts, out_mailbox, out_ordinal, \
             out_offset, out_bytes, out_sha256, content_strength"
        );
        assert_eq!(
            joined(SignatureRow::COLUMNS),
            "mailbox, ordinal, part, layer, message_id, signer, subject, issuer, serial, cert_sha256, key, digest, \
             algorithm, signing_time, verdict, integrity, chain, chain_now, chain_signing, chain_received, \
             verdict_time, time_source, revocation, address, coverage, strength, reasons"
        );
        assert_eq!(
            joined(RecipientRow::COLUMNS),
            "mailbox, ordinal, part, layer, message_id, kind, issuer, serial, ski, key_encryption, \
             content_encryption, key_status, cert_sha256, address, role, copy"
        );
        assert_eq!(
            joined(CertificateRow::COLUMNS),
            "sha256, addresses, subject, issuer, serial, ski, not_before, not_after, key, signature, usages, ca, \
             first_seen, last_seen, sightings, status, reasons"
        );
        assert_eq!(
            joined(MissingKeyRow::COLUMNS),
            "issuer, serial, ski, address, address_source, messages, first_date, last_date, key_status, \
             newly_opened, cumulative_percent, owner"
        );
        assert_eq!(
            joined(MissingCaRow::COLUMNS),
            "issuer, kind, sha256, ski, signers, signatures, would_be_valid, first_date, last_date, \
             cumulative_percent"
        );
        assert_eq!(
            joined(SourceRow::COLUMNS),
            "path, kind, bytes, sha256, messages, status"
        );
        assert_eq!(
            joined(FailedRow::COLUMNS),
            "mailbox, ordinal, part, message_id, subject, date, outcome, reason, what_to_do"
        );
        assert_eq!(
            joined(ManifestRow::COLUMNS),
            "out_path, out_ordinal, in_sha256, out_sha256, outcome"
        );
    }

    #[test]
    fn json_and_csv_name_the_same_columns_in_the_same_order() {
        let json = serde_json::to_string(&ManifestRow::default()).unwrap();
        let at: Vec<_> = ManifestRow::COLUMNS
            .iter()
            .map(|name| json.find(&format!("\"{name}\"")).unwrap())
            .collect();
        assert!(at.is_sorted());
    }
}
