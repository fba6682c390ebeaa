//! All reports from the records of a run, in two walks: the first gathers every certificate of the
//! archive, the second judges and writes.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::advice::Adviser;
use super::evidence::{Evidence, Testimony};
use super::judging::{Judge, Judging};
use super::missing::Missing;
use super::record::{FileRecord, MessageRecord, Record};
use super::rows::{
    CertificateRow, FailedRow, MessageRow, MissingKeyRow, RecipientRow, SignatureRow, SourceRow,
};
use super::sheet::{Sheet, Target, write_json};
use super::totals::Totals;
use crate::cert::Certificate;
use crate::error::Result;
use crate::fsio;
use crate::keys::keyring::KeyRing;
use crate::ops::judge::{self, Chains, Judged};
use crate::ops::outcome::{
    Action, CertificateFinding, Findings, MessageFinding, RecipientFinding, SignatureFinding, Verdict,
};
use crate::store::Sighting;
use crate::text;

/// The records of a run, walked anew at every call.
pub type Records<'a> = dyn Fn() -> Result<Box<dyn Iterator<Item = Result<Record>> + 'a>> + 'a;

/// Takes each certificate with what one message says of it.
pub type OnSighting<'a> = dyn FnMut(&Arc<Certificate>, Sighting) -> Result<()> + 'a;

/// The names of all report files, run.json aside, as they lie in the report folder.
const REPORTS: &[&str] =
    &["messages", "signatures", "recipients", "certificates", "missing-keys", "sources", "failed"];

/// Writes every report but run.json and counts what they say.
///
/// `on_sighting` is told of each certificate in each message, in archive order.
pub fn write(
    records: &Records<'_>,
    mut judging: Judging<'_>,
    target: Target<'_>,
    keyring: &KeyRing,
    accept: &[Action],
    has_output: bool,
    on_sighting: &mut OnSighting<'_>,
) -> Result<Totals> {
    let mut evidence = Evidence::default();
    let given: HashSet<[u8; 32]> =
        judging.pool.all().iter().chain(keyring.certificates()).map(|known| known.sha256).collect();
    for record in records()? {
        if let Record::Certificate(record) = record? {
            let certificate = evidence.add(&record, judging.cache);
            judging.pool.extend(certificate);
        }
    }
    if let Some(dir) = target.dir {
        fsio::create_dir_all(dir)?;
    }
    let judge = Judge::new(&judging, &evidence);
    let mut reports = Reports::open(target)?;
    let mut writer = Writer {
        adviser: Adviser::new(keyring),
        missing: Missing::default(),
        totals: Totals { written: has_output.then_some(0), ..Totals::default() },
        accept,
    };
    for name in writer.adviser.locked_files() {
        writer.totals.locked_files.insert(name.clone(), 0);
    }
    for record in records()? {
        match record? {
            Record::Message(record) => {
                let judged: Vec<_> = record.findings.signatures.iter().map(|s| judge.judge(s)).collect();
                writer.message(&record, &judged, &mut reports)?;
                for finding in &record.findings.certificates {
                    let testimony = testimony(finding, &record.findings, &judged, evidence.certificate(&finding.sha256));
                    evidence.testify(&finding.sha256, &testimony);
                    let Some(certificate) = evidence.certificate(&finding.sha256) else { continue };
                    if let Some(sighting) = sighting(&record, certificate, testimony) {
                        on_sighting(certificate, sighting)?;
                    }
                }
            }
            Record::File(file) => {
                writer.totals.add_file(&file);
                reports.sources.row(&source_row(&file))?;
            }
            Record::Certificate(_) => {}
        }
    }
    for row in evidence.rows(&given) {
        writer.totals.add_certificate(&row);
        reports.certificates.row(&row)?;
    }
    let missing = writer.missing.rows(&known_addresses(&judging));
    for row in &missing {
        reports.missing.row(row)?;
    }
    writer.totals.set_missing(writer.missing.unopened(), &missing);
    reports.finish()?;
    if let Some(dir) = target.dir {
        write_json(&dir.join("summary.json"), &writer.totals)?;
        fsio::sync_dir(dir)?;
    }
    Ok(writer.totals)
}

/// Every report file that [`write`] may make below `dir`, run.json included.
pub fn file_names() -> impl Iterator<Item = String> {
    let sheets = REPORTS.iter().flat_map(|name| [format!("{name}.csv"), format!("{name}.jsonl")]);
    sheets.chain(["summary.json".to_owned(), "run.json".to_owned()])
}

/// Those of [`file_names`] that are there.
pub fn files_in(dir: &Path) -> Vec<String> {
    file_names().filter(|name| dir.join(name).symlink_metadata().is_ok()).collect()
}

/// The sheets that are open at once.
struct Reports {
    messages: Sheet<MessageRow>,
    signatures: Sheet<SignatureRow>,
    recipients: Sheet<RecipientRow>,
    certificates: Sheet<CertificateRow>,
    missing: Sheet<MissingKeyRow>,
    sources: Sheet<SourceRow>,
    failed: Sheet<FailedRow>,
}

impl Reports {
    fn open(target: Target<'_>) -> Result<Self> {
        Ok(Self {
            messages: Sheet::open(target, "messages")?,
            signatures: Sheet::open(target, "signatures")?,
            recipients: Sheet::open(target, "recipients")?,
            certificates: Sheet::open(target, "certificates")?,
            missing: Sheet::open(target, "missing-keys")?,
            sources: Sheet::open(target, "sources")?,
            failed: Sheet::open(target, "failed")?,
        })
    }

    fn finish(self) -> Result<()> {
        self.messages.finish()?;
        self.signatures.finish()?;
        self.recipients.finish()?;
        self.certificates.finish()?;
        self.missing.finish()?;
        self.sources.finish()?;
        self.failed.finish()
    }
}

/// What is gathered along the second walk.
struct Writer<'a> {
    adviser: Adviser,
    missing: Missing,
    totals: Totals,
    accept: &'a [Action],
}

impl Writer<'_> {
    fn message(
        &mut self,
        record: &MessageRecord,
        judged: &[(Chains, Judged)],
        reports: &mut Reports,
    ) -> Result<()> {
        let findings = &record.findings;
        let verdicts: Vec<Verdict> = judged.iter().map(|(_, judged)| judged.verdict).collect();
        self.totals.add_message(record);
        self.missing.add(record);
        for finding in &findings.messages {
            let verdict = judge::message(finding, &findings.signatures, &verdicts);
            self.totals.add_finding(finding, verdict, self.accept);
            reports.messages.row(&message_row(record, finding, verdict))?;
            if finding.action.is_failure() && !self.accept.contains(&finding.action) {
                let what_to_do = self.adviser.what_to_do(finding, &findings.recipients);
                reports.failed.row(&failed_row(record, finding, what_to_do))?;
            }
        }
        for (finding, (chains, judged)) in findings.signatures.iter().zip(judged) {
            let row = signature_row(record, finding, chains, judged);
            self.totals.add_signature(&row);
            reports.signatures.row(&row)?;
        }
        for finding in &findings.recipients {
            reports.recipients.row(&recipient_row(record, finding))?;
        }
        let locked: HashSet<&str> =
            findings.recipients.iter().filter_map(|recipient| self.adviser.locked_file(recipient)).collect();
        if findings.messages.iter().any(|message| message.action == Action::Locked) {
            for file in locked {
                *self.totals.locked_files.entry(file.to_owned()).or_default() += 1;
            }
        }
        Ok(())
    }
}

/// What a message says of a certificate: the best of what it signed there.
fn testimony(
    finding: &CertificateFinding,
    findings: &Findings,
    judged: &[(Chains, Judged)],
    certificate: Option<&Arc<Certificate>>,
) -> Testimony {
    let mut testimony = Testimony {
        date: findings.messages.first().and_then(|message| message.date.or(message.verdict_time)),
        proven: false,
        reasons: Vec::new(),
    };
    let is_ca = certificate.is_some_and(|certificate| certificate.is_ca);
    let best = finding.signed.iter().filter_map(|index| judged.get(*index)).min_by_key(|(_, judged)| judged.verdict);
    match best {
        Some((_, judged)) if judged.verdict == Verdict::Valid => testimony.proven = true,
        Some((_, judged)) => testimony.reasons.clone_from(&judged.reasons),
        None if is_ca => {}
        None => testimony.reasons.push("not-a-signer".into()),
    }
    testimony
}

/// For the certificate store; `None` where the message was not hashed.
fn sighting(record: &MessageRecord, certificate: &Certificate, testimony: Testimony) -> Option<Sighting> {
    let root = record.findings.messages.first();
    Some(Sighting {
        cert_sha256: certificate.sha256,
        message_sha256: digest(&record.sha256)?,
        message_id: root.map(|message| message.message_id.clone()).unwrap_or_default(),
        date: testimony.date,
        usable: testimony.proven,
        reasons: testimony.reasons,
    })
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if hex.len() != 64 {
        return None;
    }
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(digest)
}

/// Finds the address of a recipient among all certificates that were named or met.
fn known_addresses(judging: &Judging<'_>) -> impl Fn(&str, &str, &str) -> Option<String> {
    let mut by_serial = HashMap::new();
    let mut by_ski = HashMap::new();
    for certificate in judging.pool.all() {
        let Some(address) = certificate.addresses.first() else { continue };
        let serial = text::hex(&certificate.serial);
        by_serial.entry((certificate.issuer.clone(), serial)).or_insert_with(|| address.clone());
        if let Some(ski) = &certificate.ski {
            by_ski.entry(text::hex(ski)).or_insert_with(|| address.clone());
        }
    }
    move |issuer, serial, ski| {
        let found = by_serial.get(&(issuer.to_owned(), serial.to_owned())).or_else(|| by_ski.get(ski));
        found.cloned()
    }
}

fn time(seconds: Option<i64>) -> String {
    seconds.map(text::rfc3339).unwrap_or_default()
}

fn word<T: std::fmt::Display>(word: Option<T>) -> String {
    word.map(|word| word.to_string()).unwrap_or_default()
}

fn message_row(record: &MessageRecord, finding: &MessageFinding, verdict: Option<Verdict>) -> MessageRow {
    let findings = &record.findings;
    let signatures = findings.signatures.iter().filter(|signature| signature.part == finding.part).count();
    let recipients = findings.recipients.iter().filter(|recipient| recipient.part == finding.part).count();
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
        verdict_time: time(finding.verdict_time),
        time_source: word(finding.time_source),
        signatures: signatures as u64,
        unsigned_bytes: finding.unsigned_bytes,
        content_encryption: finding.content_encryption.clone().unwrap_or_default(),
        content_integrity: word(finding.content_integrity),
        recipients: recipients as u64,
        opened_with: finding.opened_with.clone().unwrap_or_default(),
        opened_for: finding.opened_for.join(" "),
        header_conflicts: finding.header_conflicts.into(),
        out_mailbox: out.map(|out| out.mailbox.clone()).unwrap_or_default(),
        out_ordinal: out.map(|out| out.ordinal),
        out_offset: out.map(|out| out.offset),
        out_bytes: out.map(|out| out.bytes),
        out_sha256: out.map(|out| out.sha256.clone()).unwrap_or_default(),
    }
}

fn signature_row(
    record: &MessageRecord,
    finding: &SignatureFinding,
    chains: &Chains,
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

fn recipient_row(record: &MessageRecord, finding: &RecipientFinding) -> RecipientRow {
    // Without a certificate an address is a guess, which belongs in missing-keys.csv only.
    let address = if finding.cert_sha256.is_empty() { "" } else { &finding.address };
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
    }
}

fn failed_row(record: &MessageRecord, finding: &MessageFinding, what_to_do: String) -> FailedRow {
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

fn source_row(file: &FileRecord) -> SourceRow {
    SourceRow {
        path: file.path.clone(),
        kind: file.kind.clone(),
        bytes: file.bytes,
        sha256: file.sha256.clone(),
        messages: file.messages,
        status: file.status.clone(),
    }
}
