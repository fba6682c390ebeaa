//! What a signed layer amounts to, but for its chain: one finding for each SignerInfo.

use crate::cert::certificate::{Certificate, serial_hex};
use crate::cert::name;
use crate::cms::Attributes;
use crate::cms::signers::{SignerId, SignerInfo};
use crate::smime::check::SignerCheck;
use crate::smime::timestamp::Stamp;
use crate::text::hex;

use super::facts::{Facts, holds};
use super::outcome::{
    AddressMatch, Coverage, Integrity, SignatureFinding, Strength, TimeSource, TimestampFinding,
};
use super::{Clock, Context};

/// The finding for one checked SignerInfo.
pub fn finding(
    context: &Context,
    facts: &Facts,
    signer: &SignerInfo<'_>,
    check: SignerCheck,
    layer: u32,
    coverage: Coverage,
) -> SignatureFinding {
    // A claim that nothing can be held against is shown, and no clock.
    let is_shown_only = check.reasons.iter().any(|known| known == "content-missing");
    let claimed = check.signing_time.filter(|_| !is_shown_only);
    let (verdict_time, time_source) = facts.verdict_time(context, claimed);
    let mut finding = unsigned(context, facts, layer, coverage, (verdict_time, time_source));
    // A name that fills pages is no name; its SignerInfo is told by its serial alone.
    let short = |issuer: &[u8]| issuer.len() <= 16 << 10;
    match &signer.sid {
        SignerId::IssuerSerial { issuer, serial } => {
            finding.issuer = Some(*issuer)
                .filter(|issuer| short(issuer))
                .and_then(name::rfc4514)
                .unwrap_or_default();
            finding.serial = serial_hex(serial);
        }
        SignerId::Ski(ski) => finding.signer = format!("ski:{}", hex(ski)),
    }
    if let Some(certificate) = &check.certificate {
        describe(&mut finding, certificate);
        finding.address = address_match(facts, certificate);
    }
    if let Some(name) = check.key_name {
        finding.key = name;
    }
    finding.other_digest = check.other_digest.unwrap_or_default().to_owned();
    finding.digest = check.digest;
    finding.algorithm = check.algorithm;
    finding.signing_time = check.signing_time;
    finding.integrity = check.integrity;
    finding.malformed = check.malformed;
    if finding.integrity == Integrity::Intact && !finding.malformed {
        let said = signer
            .signed_attributes
            .as_ref()
            .and_then(Attributes::smime_capabilities);
        finding.capabilities = said.map_or_else(String::new, |list| {
            base64_simd::STANDARD.encode_to_string(list.as_bytes())
        });
    }
    finding.reasons = check.reasons;
    finding
}

/// What is kept of a time-stamp.
pub fn timestamp(stamp: &Stamp) -> TimestampFinding {
    TimestampFinding {
        time: stamp.time,
        cert_sha256: stamp
            .authority
            .as_ref()
            .map(|authority| hex(&authority.sha256))
            .unwrap_or_default(),
        digests: stamp.digests.to_vec(),
        algorithm: stamp.algorithm.clone(),
        problem: stamp
            .authority
            .is_none()
            .then_some("timestamp-invalid".into()),
    }
}

/// The one row of a SignedData that nobody signed (RFC 5652 §5.1 allows it): `no-signers`.
pub fn nobody(
    context: &Context,
    facts: &Facts,
    layer: u32,
    coverage: Coverage,
) -> SignatureFinding {
    let mut finding = unsigned(
        context,
        facts,
        layer,
        coverage,
        facts.verdict_time(context, None),
    );
    finding.malformed = true;
    finding.reasons.push("no-signers".into());
    finding
}

fn unsigned(
    context: &Context,
    facts: &Facts,
    layer: u32,
    coverage: Coverage,
    (verdict_time, time_source): (i64, TimeSource),
) -> SignatureFinding {
    SignatureFinding {
        part: facts.part.clone(),
        layer,
        message_id: facts.message_id.clone(),
        signer: String::new(),
        subject: String::new(),
        issuer: String::new(),
        serial: String::new(),
        cert_sha256: String::new(),
        key: String::new(),
        digest: String::new(),
        other_digest: String::new(),
        algorithm: String::new(),
        signing_time: None,
        integrity: Integrity::Unchecked,
        malformed: false,
        address: AddressMatch::None,
        coverage,
        strength: Strength::Strong,
        verdict_time,
        time_source,
        time_is_claim: time_source == TimeSource::Signing && context.clock != Clock::Signing,
        time_is_pinned: matches!(context.clock, Clock::Now | Clock::At(_)),
        timestamps: Vec::new(),
        received: facts.received,
        reasons: Vec::new(),
        capabilities: String::new(),
    }
}

fn describe(finding: &mut SignatureFinding, certificate: &Certificate) {
    finding.subject.clone_from(&certificate.subject);
    finding.issuer.clone_from(&certificate.issuer);
    finding.serial = certificate.serial_hex();
    finding.cert_sha256 = hex(&certificate.sha256);
    finding.key.clone_from(&certificate.key_name);
    finding.signer = if certificate.addresses.is_empty() {
        name::common_name(&certificate.subject_der).unwrap_or_else(|| certificate.subject.clone())
    } else {
        certificate.addresses.join(" ")
    };
}

/// Whose address `certificate` holds (RFC 8550 §3): From's only where there is exactly one From
/// field with exactly one address. Display names never count.
fn address_match(facts: &Facts, certificate: &Certificate) -> AddressMatch {
    let owns = |address: &String| holds(&certificate.addresses, address);
    if certificate.addresses.is_empty() {
        return AddressMatch::None;
    }
    let from = facts.from.iter().any(owns);
    if facts.from_fields > 1 || facts.from.len() > 1 || facts.from_malformed {
        return AddressMatch::Ambiguous;
    }
    if facts.from.is_empty() && facts.sender.is_empty() {
        return AddressMatch::Ambiguous;
    }
    if from {
        AddressMatch::From
    } else if facts.sender.iter().any(owns) {
        AddressMatch::Sender
    } else {
        AddressMatch::Mismatch
    }
}
