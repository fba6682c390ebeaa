//! Rows from findings, field by field.

use super::record::{FileRecord, MessageRecord};
use super::rows::{FailedRow, MessageRow, RecipientRow, SignatureRow, SourceRow};
use crate::ops::judge::{Chains, Judged};
use crate::ops::outcome::{MessageFinding, RecipientFinding, SignatureFinding, Verdict};
use crate::text;

fn time(seconds: Option<i64>) -> String {
    seconds.map(text::rfc3339).unwrap_or_default()
}

fn word<T: std::fmt::Display>(word: Option<T>) -> String {
    word.map(|word| word.to_string()).unwrap_or_default()
}

pub(super) fn message_row(
    record: &MessageRecord,
    finding: &MessageFinding,
    verdict: Option<Verdict>,
) -> MessageRow {
    let findings = &record.findings;
    let signatures = findings
        .signatures
        .iter()
        .filter(|signature| signature.part == finding.part && !signature.is_countersignature())
        .count();
    let recipients = findings
        .recipients
        .iter()
        // The row speaks of one object, and the copies for blind recipients are others.
        .filter(|recipient| recipient.part == finding.part && recipient.copy == 0)
        .count();
    let out = record.out.as_ref();
    MessageRow {
        mailbox: record.mailbox.clone(),
        ordinal: record.ordinal,
        part: finding.part.clone(),
        offset: record.offset,
        bytes: record.bytes,
        sha256: record.sha256.clone(),
        flags: record.flags.clone(),
        message_id: finding.message_id.clone(),
        date: time(finding.date),
        from: finding.from.join(" "),
        subject: finding.subject.clone(),
        form: finding.form.clone(),
        parts: finding.parts.into(),
        outcome: finding.action.to_string(),
        reason: finding.reason.as_deref().unwrap_or_default().to_owned(),
        verdict: word(verdict),
        verdict_time: time(finding.verdict_time.filter(|_| signatures > 0)),
        time_source: word(finding.time_source.filter(|_| signatures > 0)),
        signatures: signatures as u64,
        unsigned_bytes: finding.unsigned_bytes.filter(|_| signatures > 0),
        content_encryption: finding.content_encryption.clone().unwrap_or_default(),
        content_integrity: word(finding.content_integrity),
        recipients: recipients as u64,
        opened_with: finding.opened_with.clone().unwrap_or_default(),
        opened_for: finding.opened_for.join(" "),
        header_conflicts: finding.header_conflicts.map(u64::from),
        out_mailbox: out.map(|out| out.mailbox.clone()).unwrap_or_default(),
        out_ordinal: out.map(|out| out.ordinal),
        out_offset: out.map(|out| out.offset),
        out_bytes: out.map(|out| out.bytes),
        out_sha256: out.map(|out| out.sha256.clone()).unwrap_or_default(),
        content_strength: word(finding.content_strength),
    }
}

pub(super) fn signature_row(
    record: &MessageRecord,
    finding: &SignatureFinding,
    chains: Chains,
    judged: &Judged,
) -> SignatureRow {
    SignatureRow {
        mailbox: record.mailbox.clone(),
        ordinal: record.ordinal,
        part: finding.part.clone(),
        layer: finding.layer.into(),
        message_id: finding.message_id.clone(),
        signer: finding.signer.clone(),
        subject: finding.subject.clone(),
        issuer: finding.issuer.clone(),
        serial: finding.serial.clone(),
        cert_sha256: finding.cert_sha256.clone(),
        key: finding.key.clone(),
        digest: finding.digest.clone(),
        algorithm: finding.algorithm.clone(),
        signing_time: time(finding.signing_time),
        verdict: judged.verdict.to_string(),
        integrity: finding.integrity.to_string(),
        chain: chains.clock.to_string(),
        chain_now: chains.now.to_string(),
        chain_signing: word(chains.signing),
        chain_received: word(chains.received),
        verdict_time: text::rfc3339(finding.verdict_time),
        time_source: finding.time_source.to_string(),
        revocation: chains.revocation.to_string(),
        address: finding.address.to_string(),
        coverage: finding.coverage.to_string(),
        strength: finding.strength.to_string(),
        reasons: judged.reasons.join(" "),
    }
}

pub(super) fn recipient_row(record: &MessageRecord, finding: &RecipientFinding) -> RecipientRow {
    // Without a certificate an address is a guess, which belongs in missing-keys.csv only.
    let address = if finding.cert_sha256.is_empty() {
        ""
    } else {
        &finding.address
    };
    RecipientRow {
        mailbox: record.mailbox.clone(),
        ordinal: record.ordinal,
        part: finding.part.clone(),
        layer: finding.layer.into(),
        message_id: finding.message_id.clone(),
        kind: finding.kind.to_string(),
        issuer: finding.issuer.clone(),
        serial: finding.serial.clone(),
        ski: finding.ski.clone(),
        key_encryption: finding.key_encryption.clone(),
        content_encryption: finding.content_encryption.clone(),
        key_status: finding.key_status.to_string(),
        cert_sha256: finding.cert_sha256.clone(),
        address: address.to_owned(),
        role: finding.role.to_string(),
        copy: Some(finding.copy.into()).filter(|copy| *copy > 0),
    }
}

pub(super) fn failed_row(
    record: &MessageRecord,
    finding: &MessageFinding,
    what_to_do: String,
) -> FailedRow {
    FailedRow {
        mailbox: record.mailbox.clone(),
        ordinal: record.ordinal,
        part: finding.part.clone(),
        message_id: finding.message_id.clone(),
        subject: finding.subject.clone(),
        date: time(finding.date),
        outcome: finding.action.to_string(),
        reason: finding.reason.as_deref().unwrap_or_default().to_owned(),
        what_to_do,
    }
}

pub(super) fn source_row(file: &FileRecord) -> SourceRow {
    SourceRow {
        path: file.path.clone(),
        kind: file.kind.clone(),
        bytes: file.bytes,
        sha256: file.sha256.clone(),
        messages: file.messages,
        status: file.status.clone(),
    }
}
