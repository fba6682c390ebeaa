//! Verdicts, once every certificate of the archive is known.

use std::collections::HashMap;
use std::sync::Arc;

use super::evidence::Evidence;
use crate::cert::chain::ChainJudge;
use crate::cert::{CertCache, Certificate, Pool, Trust};
use crate::ops::judge::{self, Chains, Judged};
use crate::ops::outcome::{ChainStatus, Revocation, SignatureFinding};
use crate::text;

/// What signatures are judged by.
pub struct Judging<'a> {
    /// Where paths may end.
    pub trust: &'a Trust,
    /// Certificates that were named; those of the archive are added.
    pub pool: Pool,
    /// Decoded certificates.
    pub cache: &'a CertCache,
    /// What "now" is, Unix seconds.
    pub now: i64,
    /// Whether chains are judged at all; `scan` judges nothing.
    pub chains: bool,
}

/// Judges signatures.
pub(super) struct Judge<'a> {
    chains: Option<ChainJudge<'a>>,
    evidence: HashMap<String, Arc<Certificate>>,
    now: i64,
}

impl<'a> Judge<'a> {
    /// `pool` holds the archive's certificates as well.
    pub(super) fn new(judging: &'a Judging<'_>, evidence: &Evidence) -> Self {
        let named = judging
            .pool
            .all()
            .iter()
            .map(|known| (text::hex(&known.sha256), Arc::clone(known)));
        let met = evidence
            .certificates()
            .map(|known| (text::hex(&known.sha256), Arc::clone(known)));
        Self {
            chains: judging
                .chains
                .then(|| ChainJudge::new(judging.trust, &judging.pool)),
            evidence: named.chain(met).collect(),
            now: judging.now,
        }
    }

    /// What paths say of one signature's certificate, and what the signature amounts to.
    pub(super) fn judge(&self, finding: &SignatureFinding) -> (Chains, Judged) {
        let status = |at: i64| match (&self.chains, self.evidence.get(&finding.cert_sha256)) {
            (Some(chains), Some(certificate)) => chains.status(certificate, at),
            _ => ChainStatus::Unchecked,
        };
        let chains = Chains {
            clock: status(finding.verdict_time),
            now: status(self.now),
            signing: finding.signing_time.map(status),
            received: finding.received.map(status),
            revocation: Revocation::Unknown,
        };
        let judged = judge::signature(finding, &chains);
        (chains, judged)
    }
}
