//! From findings and chains to verdicts (ETSI EN 319 102-1 §5: TOTAL-PASSED, INDETERMINATE,
//! TOTAL-FAILED). Judged last, when every intermediate that the archive holds is known.

use super::outcome::{
    AddressMatch, ChainStatus, Coverage, Integrity, MessageFinding, Reason, Revocation,
    SignatureFinding, Strength, Verdict,
};

/// What certification paths say of one signature at the times that the contract names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chains {
    /// At the clock: the one that counts.
    pub clock: ChainStatus,
    /// Now.
    pub now: ChainStatus,
    /// At the claimed signing time, where there is one.
    pub signing: Option<ChainStatus>,
    /// At arrival, where it is known.
    pub received: Option<ChainStatus>,
    /// At the clock.
    pub revocation: Revocation,
}

/// What a run demands beyond what every signature must have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// A revocation status of `unknown` keeps a verdict from `valid`.
    pub require_revocation: bool,
    /// So does `weak`, as `broken` always does.
    pub weak_blocks: bool,
}

/// A signature's verdict and every reason that keeps it from `valid`, notes included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// What the signature amounts to.
    pub verdict: Verdict,
    /// Stable codes.
    pub reasons: Vec<Reason>,
}

/// Judges one signature.
pub fn signature(finding: &SignatureFinding, chains: &Chains, rules: Rules) -> Judged {
    let mut reasons = finding.reasons.clone();
    let mut verdict = Verdict::Valid;
    let mut lower = |to: Verdict, reason: Option<&'static str>| {
        verdict = verdict.max(to);
        if let Some(reason) = reason
            && !reasons.iter().any(|known| known == reason)
        {
            reasons.push(Reason::Borrowed(reason));
        }
    };
    match finding.integrity {
        Integrity::Intact => {}
        Integrity::Broken => lower(Verdict::Invalid, None),
        Integrity::Unchecked => lower(Verdict::Indeterminate, None),
    }
    if finding.malformed {
        lower(Verdict::Invalid, None);
    }
    if finding.reasons.iter().any(|reason| is_doubt(reason)) {
        lower(Verdict::Indeterminate, None);
    }
    match chains.clock {
        ChainStatus::Trusted => {}
        ChainStatus::Untrusted => lower(Verdict::Indeterminate, Some("chain-untrusted")),
        ChainStatus::Incomplete => lower(Verdict::Indeterminate, Some("chain-incomplete")),
        ChainStatus::Expired => lower(Verdict::Indeterminate, Some("cert-expired")),
        ChainStatus::NotYetValid => lower(Verdict::Indeterminate, Some("cert-not-yet-valid")),
        ChainStatus::WrongUsage => lower(Verdict::Indeterminate, Some("cert-usage")),
        ChainStatus::Unchecked => lower(Verdict::Indeterminate, None),
    }
    match chains.revocation {
        Revocation::Revoked => lower(Verdict::Invalid, Some("cert-revoked")),
        Revocation::Unknown if rules.require_revocation => {
            lower(Verdict::Indeterminate, Some("revocation-unknown"));
        }
        Revocation::Unknown | Revocation::Good => {}
    }
    if finding.time_is_claim && chains.now != ChainStatus::Trusted {
        lower(Verdict::Indeterminate, Some("time-claimed-only"));
    }
    match finding.address {
        // Anybody may countersign.
        _ if finding.is_countersignature() => {}
        AddressMatch::From => {}
        AddressMatch::Sender => lower(Verdict::Indeterminate, Some("sender-only")),
        AddressMatch::Ambiguous => lower(Verdict::Indeterminate, Some("address-ambiguous")),
        // Nothing is known of a signer's addresses without a certificate.
        AddressMatch::None if finding.cert_sha256.is_empty() => {
            lower(Verdict::Indeterminate, None);
        }
        AddressMatch::Mismatch | AddressMatch::None => {
            lower(Verdict::Indeterminate, Some("address-mismatch"));
        }
    }
    if finding.coverage == Coverage::Partial {
        lower(Verdict::Indeterminate, Some("partial-coverage"));
    }
    if finding.strength == Strength::Broken
        || (finding.strength == Strength::Weak && rules.weak_blocks)
    {
        lower(Verdict::Indeterminate, None);
    }
    Judged { verdict, reasons }
}

/// Reasons of the check that leave the mathematics as it is and the matter open.
fn is_doubt(reason: &str) -> bool {
    const DOUBTS: [&str; 4] = [
        "algorithms-disagree",
        "pss-parameters-missing",
        "multiple-signatures-broken",
        "signing-certificate-unchecked",
    ];
    DOUBTS.contains(&reason)
}

/// Judges a message from the verdicts of all its signatures (by index into
/// [`super::outcome::Findings::signatures`]): of one signer's SignerInfos the best counts, across
/// signers the worst; an `invalid` outer layer makes it `invalid`.
pub fn message(
    finding: &MessageFinding,
    signatures: &[SignatureFinding],
    verdicts: &[Verdict],
) -> Option<Verdict> {
    let judgement = &finding.judgement;
    if judgement.invalid {
        return Some(Verdict::Invalid);
    }
    let mut per_signer: Vec<(&SignatureFinding, Verdict)> = Vec::new();
    for &index in &judgement.deciding {
        let (Some(signature), Some(&verdict)) = (signatures.get(index), verdicts.get(index)) else {
            continue;
        };
        match per_signer
            .iter_mut()
            .find(|(known, _)| same_signer(known, signature))
        {
            Some((_, best)) => *best = (*best).min(verdict),
            None => per_signer.push((signature, verdict)),
        }
    }
    let worst = per_signer.into_iter().map(|(_, verdict)| verdict).max();
    let outer_broken = judgement
        .outer
        .iter()
        .any(|&index| verdicts.get(index) == Some(&Verdict::Invalid));
    match worst {
        _ if outer_broken => Some(Verdict::Invalid),
        Some(verdict) if judgement.partial => Some(verdict.max(Verdict::Indeterminate)),
        other => other,
    }
}

/// Two SignerInfos are one signer's where they stand in one layer and name one certificate.
fn same_signer(a: &SignatureFinding, b: &SignatureFinding) -> bool {
    a.part == b.part
        && a.layer == b.layer
        && if a.cert_sha256.is_empty() && b.cert_sha256.is_empty() {
            !a.serial.is_empty() && a.issuer == b.issuer && a.serial == b.serial
        } else {
            a.cert_sha256 == b.cert_sha256
        }
}
