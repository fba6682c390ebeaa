//! All reports from the records of a run, in two walks: the first gathers every certificate of the
//! archive, the second judges and writes.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::advice::Adviser;
use super::evidence::{Evidence, Testimony};
use super::fill;
use super::html::{self, Gathered};
use super::judging::{Judge, Judging};
use super::missing::Missing;
use super::missing_cas::MissingCas;
use super::record::{CrlRecord, MessageRecord, Record};
use super::redact::Hiding;
use super::rows::{
    CertificateRow, FailedRow, MessageRow, MissingCaRow, MissingKeyRow, RecipientRow, SignatureRow,
    SourceRow,
};
use super::shape;
use super::sheet::{Sheet, Target, write_json};
use super::totals::Totals;
use crate::cert::{Certificate, Crl, RevocationJudge, Trust};
use crate::error::Result;
use crate::fsio;
use crate::keys::keyring::KeyRing;
use crate::ops::judge::{self, Chains, Judged};
use crate::ops::outcome::{Action, CertificateFinding, Findings, Verdict};
use crate::store::{SaidCapabilities, Sighting};
use crate::text;

/// The records of a run, walked anew at every call.
pub type Records<'a> = dyn Fn() -> Result<Box<dyn Iterator<Item = Result<Record>> + 'a>> + 'a;

/// Takes each certificate with what one message says of it.
pub type OnSighting<'a> = dyn FnMut(&Arc<Certificate>, Sighting) -> Result<()> + 'a;

/// The files beside the reports with rows.
const OTHERS: &[&str] = &["summary.json", "report.html", "run.json"];

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
    let given: HashSet<[u8; 32]> = keyring
        .certificates()
        .iter()
        .map(|known| known.sha256)
        .collect();
    let mut carried = CarriedLists::default();
    let mut signers: HashSet<String> = HashSet::new();
    for record in records()? {
        match record? {
            Record::Certificate(record) => {
                let certificate = evidence.add(&record, judging.cache);
                judging.pool.extend(certificate);
            }
            Record::Crl(record) => carried.add(&record, &judging.crls),
            Record::Message(record) if target.redactor.is_some() => {
                let signed = record.findings.signatures.into_iter();
                signers.extend(signed.map(|signature| signature.cert_sha256));
            }
            Record::Message(_) | Record::File(_) => {}
        }
    }
    // Anyone can send lists under any name: those that no known authority signed go.
    let signed = RevocationJudge::signed(&carried.lists, judging.trust, &judging.pool)
        .into_iter()
        .chain(RevocationJudge::signed(
            &carried.lists,
            judging.trust_tsa,
            &judging.pool,
        ));
    for list in signed {
        if !judging.crls.iter().any(|known| known.sha256 == list.sha256) {
            judging.crls.push(list);
        }
    }
    if let Some(dir) = target.dir {
        fsio::create_dir_all(dir)?;
    }
    let judge = Judge::new(&judging, &evidence);
    let judges = judging.chains;
    let mut reports = Reports::open(target)?;
    let mut missing_cas = MissingCas::default();
    let anchors = [judging.trust, judging.trust_tsa].map(Trust::anchors);
    let known = judging
        .pool
        .all()
        .iter()
        .chain(anchors.into_iter().flatten());
    let hiding = Hiding::new(target.redactor, known.map(|known| &**known), &signers);
    let mut writer = Writer {
        adviser: Adviser::new(keyring, &hiding),
        missing: Missing::new(target.our_domains),
        totals: Totals {
            written: has_output.then_some(0),
            ..Totals::default()
        },
        accept,
        judges,
        hiding,
        page: Gathered::new(judging.now),
    };
    for name in writer.adviser.locked_files() {
        writer.totals.locked_files.insert(name.clone(), 0);
    }
    let mut revoked = HashMap::new();
    for record in records()? {
        match record? {
            Record::Message(record) => {
                let mut record = record;
                let judged = judge.judge_all(&mut record.findings);
                for (finding, (chains, judged)) in record.findings.signatures.iter().zip(&judged) {
                    if judged.verdict != Verdict::Invalid
                        && let Some((end, only_path)) = judge.end_of_path(finding, *chains)
                    {
                        let time = Some(finding.verdict_time);
                        missing_cas.add(end, &finding.cert_sha256, time, only_path);
                    }
                }
                writer.message(&record, &judged, &mut reports)?;
                for finding in &record.findings.certificates {
                    let certificate = evidence.certificate(&finding.sha256);
                    let mut testimony = testimony(finding, &record.findings, &judged, certificate);
                    testimony.revoked = certificate.is_some_and(|certificate| {
                        *revoked
                            .entry(certificate.sha256)
                            .or_insert_with(|| judge.is_revoked(certificate))
                    });
                    evidence.testify(&finding.sha256, &testimony);
                    let Some(certificate) = evidence.certificate(&finding.sha256) else {
                        continue;
                    };
                    let said = said_capabilities(finding, &record.findings, &judged);
                    if let Some(sighting) = sighting(&record, certificate, testimony, said) {
                        on_sighting(certificate, sighting)?;
                    }
                }
            }
            Record::File(file) => {
                let file = writer.hiding.file(file);
                writer.totals.add_file(&file);
                reports.sources.row(&fill::source_row(&file))?;
            }
            Record::Certificate(_) | Record::Crl(_) => {}
        }
    }
    for row in evidence.rows(&given, judges) {
        let row = writer.hiding.row(row);
        writer.totals.add_certificate(&row);
        writer.page.certificate(&row);
        reports.certificates.row(&row)?;
    }
    let missing: Vec<_> = writer
        .missing
        .rows(&known_recipients(&judging))
        .into_iter()
        .map(|row| writer.hiding.row(row))
        .collect();
    for row in &missing {
        reports.missing.row(row)?;
    }
    writer.totals.set_missing(&writer.missing, &missing);
    for (address, messages) in std::mem::take(&mut writer.totals.unknown_recipients) {
        let address = writer.hiding.concern(&address);
        *writer.totals.unknown_recipients.entry(address).or_default() += messages;
    }
    for row in missing_cas.rows() {
        reports.missing_cas.row(&writer.hiding.row(row))?;
    }
    reports.finish()?;
    if let Some(dir) = target.dir {
        write_json(&dir.join("summary.json"), &writer.totals)?;
        if let Some(told) = target.told {
            let told = told.clone().redacted(&writer.hiding);
            let page = writer.page(&told, &missing, target);
            fsio::write_atomic(&dir.join("report.html"), |out| {
                out.write_all(page.as_bytes())
            })?;
        }
        fsio::sync_dir(dir)?;
    }
    Ok(writer.totals)
}

/// Revocation lists that messages brought along.
#[derive(Default)]
struct CarriedLists {
    lists: Vec<Arc<Crl>>,
    bytes: usize,
}

impl CarriedLists {
    fn add(&mut self, record: &CrlRecord, named: &[Arc<Crl>]) {
        /// What all of them may weigh; an archive that brings more gets no more out of them.
        const MOST_BYTES: usize = 256 << 20;
        let der = base64_simd::STANDARD
            .decode_to_vec(&record.der)
            .unwrap_or_default();
        if self.bytes + der.len() > MOST_BYTES {
            return;
        }
        if let Ok(list) = Crl::decode(&der)
            && !named.iter().any(|known| known.sha256 == list.sha256)
        {
            self.bytes += der.len();
            self.lists.push(Arc::new(list));
        }
    }
}

/// Whether a file in a report folder has the name of one that [`write`](write()) may make there,
/// run.json included.
pub fn is_report(name: &str) -> bool {
    place(name).is_some()
}

/// Where a report file stands in lists: by report, CSV before JSON Lines, parts by number.
fn place(name: &str) -> Option<(usize, bool, u64)> {
    if let Some((report, part)) = shape::part_of(name) {
        return Some((report, false, part));
    }
    let reports = shape::REPORTS.len();
    if let Some(stem) = name.strip_suffix(".jsonl") {
        let report = shape::REPORTS
            .iter()
            .position(|(known, _)| *known == stem)?;
        return Some((report, true, 1));
    }
    let other = OTHERS.iter().position(|known| *known == name)?;
    Some((reports + other, true, 1))
}

/// The report files that are in `dir`, in a fixed order; none where it cannot be read.
pub fn files_in(dir: &Path) -> Vec<String> {
    let mut found: Vec<_> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some((place(&name)?, name))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, name)| name).collect()
}

/// The sheets that are open at once.
struct Reports<'a> {
    messages: Sheet<'a, MessageRow>,
    signatures: Sheet<'a, SignatureRow>,
    recipients: Sheet<'a, RecipientRow>,
    certificates: Sheet<'a, CertificateRow>,
    missing: Sheet<'a, MissingKeyRow>,
    missing_cas: Sheet<'a, MissingCaRow>,
    sources: Sheet<'a, SourceRow>,
    failed: Sheet<'a, FailedRow>,
}

impl<'a> Reports<'a> {
    fn open(target: Target<'a>) -> Result<Self> {
        Ok(Self {
            messages: Sheet::open(target)?,
            signatures: Sheet::open(target)?,
            recipients: Sheet::open(target)?,
            certificates: Sheet::open(target)?,
            missing: Sheet::open(target)?,
            missing_cas: Sheet::open(target)?,
            sources: Sheet::open(target)?,
            failed: Sheet::open(target)?,
        })
    }

    fn finish(self) -> Result<()> {
        self.messages.finish()?;
        self.signatures.finish()?;
        self.recipients.finish()?;
        self.certificates.finish()?;
        self.missing.finish()?;
        self.missing_cas.finish()?;
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
    /// Whether verdicts are given at all; `scan` only names what there is.
    judges: bool,
    hiding: Hiding<'a>,
    page: Gathered,
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
        let waits = self.missing.add(record);
        for finding in &findings.messages {
            let verdict =
                judge::message(finding, &findings.signatures, &verdicts).filter(|_| self.judges);
            self.totals.add_finding(finding, verdict, self.accept);
            let signed = findings.is_signed(&finding.part);
            self.page.message(finding, signed, verdict);
            let row = fill::message_row(record, finding, verdict);
            reports.messages.row(&self.hiding.row(row))?;
            if finding.action.is_failure() && !self.accept.contains(&finding.action) {
                let recipients = &findings.recipients;
                let advice = self.adviser.what_to_do(finding, recipients, &self.hiding);
                let row = fill::failed_row(record, finding, advice);
                reports.failed.row(&self.hiding.row(row))?;
            }
        }
        for (finding, (chains, judged)) in findings.signatures.iter().zip(judged) {
            let mut row = fill::signature_row(record, finding, *chains, judged);
            if !self.judges {
                row.verdict.clear();
                row.reasons = finding.reasons.join(" ");
            }
            let row = self.hiding.row(row);
            if !finding.is_countersignature() {
                self.totals.add_signature(&row);
                self.page.signature(&row, date_of(findings, &finding.part));
            }
            reports.signatures.row(&row)?;
        }
        for finding in &findings.recipients {
            let row = fill::recipient_row(record, finding);
            reports.recipients.row(&self.hiding.row(row))?;
        }
        let locked: HashSet<&str> = findings
            .recipients
            .iter()
            .filter_map(|recipient| self.adviser.locked_file(recipient))
            .collect();
        // Who only looks leaves what is locked as it is, too; who signs does not need to read.
        let is = |action| {
            findings
                .messages
                .iter()
                .any(|message| message.action == action)
        };
        if is(Action::Locked) || (waits && !is(Action::Signed)) {
            for file in locked {
                *(self.totals.locked_files.entry(file.to_owned())).or_default() += 1;
            }
        }
        Ok(())
    }

    /// report.html.
    fn page(&self, told: &html::Told, missing: &[MissingKeyRow], target: Target<'_>) -> String {
        html::render(&html::Facts {
            told,
            totals: &self.totals,
            gathered: &self.page,
            missing,
            judges: self.judges,
            extension: if target.csv { "csv" } else { "jsonl" },
        })
    }
}

/// When the judged message at `part` was written, as it says.
fn date_of(findings: &Findings, part: &str) -> Option<i64> {
    let message = findings
        .messages
        .iter()
        .find(|message| message.part == part);
    message.and_then(|message| message.date)
}

/// What a message says of a certificate: the best of what it signed there.
fn testimony(
    finding: &CertificateFinding,
    findings: &Findings,
    judged: &[(Chains, Judged)],
    certificate: Option<&Arc<Certificate>>,
) -> Testimony {
    let mut testimony = Testimony {
        date: findings.messages.first().and_then(|message| message.date),
        proven: false,
        reasons: Vec::new(),
        revoked: false,
    };
    let is_ca = certificate.is_some_and(|certificate| certificate.is_ca);
    let best = finding
        .signed
        .iter()
        .filter_map(|index| judged.get(*index))
        .min_by_key(|(_, judged)| judged.verdict);
    match best {
        Some((_, judged)) if judged.verdict == Verdict::Valid => testimony.proven = true,
        Some((_, judged)) => testimony.reasons.clone_from(&judged.reasons),
        None if is_ca => {}
        None => testimony.reasons.push("not-a-signer".into()),
    }
    testimony
}

/// What the signer's program reads, as the latest of its valid signatures in this message says.
fn said_capabilities(
    finding: &CertificateFinding,
    findings: &Findings,
    judged: &[(Chains, Judged)],
) -> Option<SaidCapabilities> {
    let valid = finding.signed.iter().filter_map(|index| {
        let signature = findings.signatures.get(*index)?;
        let (_, judged) = judged.get(*index)?;
        (judged.verdict == Verdict::Valid).then_some(signature)
    });
    let said = valid.filter_map(|signature| {
        Some(SaidCapabilities {
            der: base64_simd::STANDARD
                .decode_to_vec(&signature.capabilities)
                .ok()
                .filter(|der| !der.is_empty())?,
            at: signature.signing_time.unwrap_or(signature.verdict_time),
        })
    });
    said.max_by(|a, b| (a.at, &a.der).cmp(&(b.at, &b.der)))
}

/// For the certificate store; `None` where the message was not hashed.
fn sighting(
    record: &MessageRecord,
    certificate: &Certificate,
    testimony: Testimony,
    capabilities: Option<SaidCapabilities>,
) -> Option<Sighting> {
    let root = record.findings.messages.first();
    Some(Sighting {
        cert_sha256: certificate.sha256,
        message_sha256: digest(&record.sha256)?,
        message_id: root
            .map(|message| message.message_id.clone())
            .unwrap_or_default(),
        date: testimony.date,
        usable: testimony.proven,
        reasons: testimony.reasons,
        revoked: testimony.revoked,
        capabilities,
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

/// Finds a recipient among all certificates that were named or met, by issuer and serial or by key
/// identifier.
fn known_recipients(
    judging: &Judging<'_>,
) -> impl Fn(&str, &str, &str) -> Option<([u8; 32], Option<String>)> {
    let mut by_serial = HashMap::new();
    let mut by_ski = HashMap::new();
    for certificate in judging.pool.all() {
        let name = (certificate.issuer.clone(), certificate.serial_hex());
        by_serial
            .entry(name)
            .or_insert_with(|| Arc::clone(certificate));
        if let Some(ski) = &certificate.ski {
            by_ski
                .entry(text::hex(ski))
                .or_insert_with(|| Arc::clone(certificate));
        }
    }
    move |issuer, serial, ski| {
        let found = by_serial
            .get(&(issuer.to_owned(), serial.to_owned()))
            .or_else(|| by_ski.get(ski));
        found.map(|known| (known.sha256, known.addresses.first().cloned()))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::cert::Trust;
    use crate::cert::policy::Profile;
    use crate::cert::testing::{Pki, Spec};
    use crate::cert::{CertCache, Pool};
    use crate::report::record::CertificateRecord;
    use crate::report::testing;
    use crate::text::hex;

    fn certificate(certificate: &Certificate) -> Record {
        let der = base64_simd::STANDARD.encode_to_string(&certificate.der);
        Record::Certificate(CertificateRecord {
            sha256: hex(&certificate.sha256),
            der,
        })
    }

    /// A message signed by `signer`, which carries `chain` as well.
    fn signed(
        ordinal: u64,
        signer: &Certificate,
        chain: &[&Certificate],
        at: i64,
    ) -> MessageRecord {
        let mut record = testing::message("m", ordinal, Action::Kept);
        record.sha256 = format!("{ordinal:064x}");
        record.findings.messages[0].judgement.deciding = vec![0];
        let mut signature = testing::signature(&hex(&signer.sha256));
        signature.verdict_time = at;
        record.findings.signatures.push(signature);
        let carried = |certificate: &Certificate, signed: Vec<usize>| CertificateFinding {
            sha256: hex(&certificate.sha256),
            signed,
        };
        record.findings.certificates.push(carried(signer, vec![0]));
        record
            .findings
            .certificates
            .extend(chain.iter().map(|known| carried(known, Vec::new())));
        record
    }

    #[test]
    fn a_chain_is_judged_by_what_a_later_message_brings_along() {
        let pki = Pki::new();
        let root = pki.issue(&Spec::root("root"));
        let ca = pki.issue(&Spec::ca("ca", "root"));
        let ann = pki.issue(&Spec::leaf("ann", "ca").address("a@example.org"));
        let stranger = pki.issue(&Spec::root("stranger").address("a@example.org"));
        let at = ann.not_before + 60;
        let mut forged = signed(2, &ann, &[], at);
        forged.findings.signatures[0].integrity = crate::ops::outcome::Integrity::Broken;
        let records = vec![
            certificate(&ann),
            Record::Message(Box::new(signed(1, &ann, &[], at))),
            Record::Message(Box::new(forged)),
            certificate(&stranger),
            certificate(&ca),
            Record::Message(Box::new(signed(3, &stranger, &[&ca], at))),
        ];
        let dir = tempfile::tempdir().unwrap();
        let trust = Trust::new([root]);
        let cache = CertCache::new();
        let judging = Judging {
            trust: &trust,
            trust_tsa: &Trust::empty(),
            crls: Vec::new(),
            profile: &Profile::default(),
            require_revocation: false,
            pool: Pool::new(),
            cache: &cache,
            now: at,
            chains: true,
        };
        let sightings = RefCell::new(Vec::new());
        let totals = write(
            &|| Ok(Box::new(records.clone().into_iter().map(Ok))),
            judging,
            Target {
                dir: Some(dir.path()),
                csv: true,
                ..Target::default()
            },
            &KeyRing::default(),
            &[],
            false,
            &mut |certificate, sighting| {
                let reasons = sighting.reasons.join(" ");
                sightings.borrow_mut().push((
                    certificate.subject.clone(),
                    sighting.usable,
                    reasons,
                ));
                Ok(())
            },
        )
        .unwrap();
        let verdicts: Vec<_> = totals
            .verdicts
            .iter()
            .map(|(word, n)| (word.as_str(), *n))
            .collect();
        assert_eq!(
            verdicts,
            [("indeterminate", 1), ("invalid", 1), ("valid", 1)]
        );
        assert_eq!(
            (totals.exit_code("migrate"), totals.exit_code("verify")),
            (0, 4)
        );
        let seen: Vec<(bool, String)> = sightings
            .into_inner()
            .into_iter()
            .map(|(_, usable, reasons)| (usable, reasons))
            .collect();
        let said = |usable: bool, reasons: &str| (usable, reasons.to_owned());
        assert_eq!(seen[0], said(true, ""));
        assert!(!seen[1].0 && !seen[2].0);
        assert_eq!(
            seen[3],
            said(false, ""),
            "an authority is no signer and needs no excuse"
        );
        let mut reader = ::csv::Reader::from_path(dir.path().join("certificates.csv")).unwrap();
        let rows: Vec<CertificateRow> = reader.deserialize().map(|row| row.unwrap()).collect();
        let short: Vec<_> = rows
            .iter()
            .map(|row| (row.status.as_str(), row.sightings))
            .collect();
        assert_eq!(short[0], ("usable", 2));
        assert_eq!(short[2], ("ca", 1));
        assert_ne!(short[1].0, "usable");
        let summary = std::fs::read_to_string(dir.path().join("summary.json")).unwrap();
        assert_eq!(serde_json::from_str::<Totals>(&summary).unwrap(), totals);
    }

    #[test]
    fn empty_reports_have_their_header_rows() {
        let dir = tempfile::tempdir().unwrap();
        let (trust, cache) = (Trust::empty(), CertCache::new());
        let judging = Judging {
            trust: &trust,
            trust_tsa: &Trust::empty(),
            crls: Vec::new(),
            profile: &Profile::default(),
            require_revocation: false,
            pool: Pool::new(),
            cache: &cache,
            now: 0,
            chains: true,
        };
        let target = Target {
            dir: Some(dir.path()),
            csv: true,
            jsonl: true,
            ..Target::default()
        };
        write(
            &|| Ok(Box::new(std::iter::empty())),
            judging,
            target,
            &KeyRing::default(),
            &[],
            true,
            &mut |_, _| Ok(()),
        )
        .unwrap();
        for (name, _) in shape::REPORTS {
            let text = std::fs::read_to_string(dir.path().join(format!("{name}.csv"))).unwrap();
            assert!(
                text.ends_with("\r\n") && text.lines().count() == 1,
                "{name}"
            );
        }
        assert_eq!(files_in(dir.path()).len(), 17);
    }
}
