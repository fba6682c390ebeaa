//! Verdicts, once every certificate and revocation list of the archive is known.

use std::collections::HashMap;
use std::sync::Arc;

use super::evidence::Evidence;
use super::missing_cas::End;
use crate::cert::chain::ChainJudge;
use crate::cert::policy::Profile;
use crate::cert::revocation::Answer;
use crate::cert::{CertCache, Certificate, Crl, Pool, RevocationJudge, Trust, Usage};
use crate::ops::judge::{self, Chains, Judged, Rules};
use crate::ops::outcome::{
    ChainStatus, Findings, Integrity, Reason, Revocation, SignatureFinding, Strength, TimeSource,
    Verdict,
};
use crate::text;

/// How far clocks of mail systems and authorities may differ: a certificate is often used in the
/// minute it is issued.
const SKEW_SECONDS: i64 = 300;

/// What signatures are judged by.
pub struct Judging<'a> {
    /// Where paths may end.
    pub trust: &'a Trust,
    /// Where paths of time-stamping authorities may end.
    pub trust_tsa: &'a Trust,
    /// Certificates that were named; those of the archive are added.
    pub pool: Pool,
    /// Revocation lists that were named; those of the archive are added.
    pub crls: Vec<Arc<Crl>>,
    /// Decoded certificates.
    pub cache: &'a CertCache,
    /// What "now" is, Unix seconds.
    pub now: i64,
    /// Whether chains are judged at all; `scan` judges nothing.
    pub chains: bool,
    /// How strength is graded.
    pub profile: &'a Profile,
    /// Whether a revocation status of `unknown` keeps a verdict from `valid`.
    pub require_revocation: bool,
}

/// Judges signatures.
pub(super) struct Judge<'a> {
    judges: Option<Judges<'a>>,
    evidence: HashMap<String, Arc<Certificate>>,
    now: i64,
    profile: &'a Profile,
    rules: Rules,
}

struct Judges<'a> {
    trust: &'a Trust,
    chains: ChainJudge<'a>,
    revocation: RevocationJudge<'a>,
    stamps: ChainJudge<'a>,
    stamps_revocation: RevocationJudge<'a>,
}

impl<'a> Judge<'a> {
    /// `judging` holds the archive's certificates and lists as well.
    pub(super) fn new(judging: &'a Judging<'_>, evidence: &Evidence) -> Self {
        let named = judging
            .pool
            .all()
            .iter()
            .map(|known| (text::hex(&known.sha256), Arc::clone(known)));
        let met = evidence
            .certificates()
            .map(|known| (text::hex(&known.sha256), Arc::clone(known)));
        let (pool, lists) = (&judging.pool, judging.crls.as_slice());
        let (trust, tsa) = (judging.trust, judging.trust_tsa);
        Self {
            judges: judging.chains.then(|| Judges {
                trust,
                chains: ChainJudge::new(trust, pool),
                revocation: RevocationJudge::new(lists, trust, pool),
                stamps: ChainJudge::for_usage(tsa, pool, Usage::StampTimes),
                stamps_revocation: RevocationJudge::new(lists, tsa, pool),
            }),
            evidence: named.chain(met).collect(),
            now: judging.now,
            profile: judging.profile,
            rules: Rules {
                require_revocation: judging.require_revocation,
                weak_blocks: judging.profile.weak_blocks,
            },
        }
    }

    /// What is said of one signature once everything is known: the finding with its best time,
    /// what paths say of its certificate, and what it amounts to.
    fn judge(&self, found: &SignatureFinding) -> (SignatureFinding, Chains, Judged) {
        let mut finding = found.clone();
        if let Some(judges) = &self.judges {
            self.take_best_time(judges, &mut finding);
        }
        self.profile.grade(&mut finding, self.now);
        let certificate = self.evidence.get(&finding.cert_sha256);
        let at_time = |at: i64| match (&self.judges, certificate) {
            (Some(judges), Some(certificate)) => judges.chains.status(certificate, at),
            _ => ChainStatus::Unchecked,
        };
        let mut clock = at_time(finding.verdict_time);
        let mut clock_time = finding.verdict_time;
        // Only times that some mail system's clock tells are a little wrong.
        let loose = matches!(
            finding.time_source,
            TimeSource::Received | TimeSource::Signing
        );
        let nearby = match clock {
            ChainStatus::NotYetValid => Some(clock_time.saturating_add(SKEW_SECONDS)),
            ChainStatus::Expired => Some(clock_time.saturating_sub(SKEW_SECONDS)),
            _ => None,
        };
        if let Some(nearby) = nearby.filter(|at| loose && at_time(*at) == ChainStatus::Trusted) {
            (clock, clock_time) = (ChainStatus::Trusted, nearby);
            note(&mut finding, "clock-skew");
        }
        let revocation = match (&self.judges, certificate) {
            (Some(judges), Some(certificate)) => {
                judges.revocation_at(certificate, finding.verdict_time, clock_time, &mut finding)
            }
            _ => Revocation::Unknown,
        };
        let chains = Chains {
            clock,
            now: at_time(self.now),
            signing: finding.signing_time.map(at_time),
            received: finding.received.map(at_time),
            revocation,
        };
        let judged = judge::signature(&finding, &chains, self.rules);
        (finding, chains, judged)
    }

    /// Judges every signature of a message. The findings receive what is known only now: strengths,
    /// and times that a time-stamp proves.
    pub(super) fn judge_all(&self, findings: &mut Findings) -> Vec<(Chains, Judged)> {
        let mut all = Vec::with_capacity(findings.signatures.len());
        for signature in &mut findings.signatures {
            let (finding, chains, judged) = self.judge(signature);
            *signature = finding;
            all.push((chains, judged));
        }
        for message in &mut findings.messages {
            let decided = message.judgement.deciding.first();
            if let Some(signature) = decided.and_then(|index| findings.signatures.get(*index))
                && signature.time_source == TimeSource::Timestamp
            {
                message.verdict_time = Some(signature.verdict_time);
                message.time_source = Some(TimeSource::Timestamp);
            }
            message.content_strength = message.content_encryption.as_deref().map(|cipher| {
                let time = message.date.unwrap_or(self.now);
                self.profile
                    .content(cipher, message.content_integrity, time, self.now)
            });
        }
        all
    }

    /// Where the path of an intact signature ends without reaching an anchor, and whether it would
    /// be `valid` if it did.
    pub(super) fn end_of_path(
        &self,
        finding: &SignatureFinding,
        chains: Chains,
    ) -> Option<(End, bool)> {
        let judges = self.judges.as_ref()?;
        let certificate = self.evidence.get(&finding.cert_sha256)?;
        let unsound = finding.integrity != Integrity::Intact || finding.malformed;
        let wanted = matches!(
            chains.clock,
            ChainStatus::Incomplete | ChainStatus::Untrusted
        );
        if unsound || !wanted {
            return None;
        }
        let path = judges.chains.path(certificate);
        let last = path.last()?;
        let key = |key: &Option<Vec<u8>>| key.as_deref().map(text::hex).unwrap_or_default();
        let end = if chains.clock == ChainStatus::Incomplete {
            End {
                subject: last.issuer.clone(),
                kind: "issuer",
                sha256: String::new(),
                ski: key(&last.aki),
            }
        } else if last.is_self_issued() && !judges.is_anchor(last) {
            End {
                subject: last.subject.clone(),
                kind: if last.is_ca { "root" } else { "self-signed" },
                sha256: text::hex(&last.sha256),
                ski: key(&last.ski),
            }
        } else {
            // It reaches an anchor and breaks a rule: no certificate helps.
            return None;
        };
        let then = Chains {
            clock: ChainStatus::Trusted,
            now: match chains.now {
                now if now == chains.clock => ChainStatus::Trusted,
                now => now,
            },
            ..chains
        };
        let verdict = judge::signature(finding, &then, self.rules).verdict;
        Some((end, verdict == Verdict::Valid))
    }

    /// A verified time-stamp by a trusted authority is the best evidence of time there is, unless
    /// the command line says which time counts.
    fn take_best_time(&self, judges: &Judges<'_>, finding: &mut SignatureFinding) {
        let mut best: Option<i64> = None;
        let stamps = std::mem::take(&mut finding.timestamps);
        for stamp in &stamps {
            if let Some(problem) = &stamp.problem {
                note(finding, problem.clone());
                continue;
            }
            let trusted = self.evidence.get(&stamp.cert_sha256).is_some_and(|tsa| {
                let unbroken = stamp.digests.iter().all(|digest| {
                    self.profile.signature(
                        digest,
                        &stamp.algorithm,
                        &tsa.key_name,
                        stamp.time,
                        self.now,
                    ) != Strength::Broken
                });
                unbroken && judges.stamps.status(tsa, stamp.time) == ChainStatus::Trusted && {
                    let paths = judges.stamps.holding(tsa, stamp.time, true);
                    let answer = judges.stamps_revocation.of_paths(&paths, stamp.time);
                    answer.status == Revocation::Good
                        || (answer.status == Revocation::Unknown && !self.rules.require_revocation)
                }
            });
            if trusted && stamp.time <= self.now.saturating_add(SKEW_SECONDS) {
                best = Some(best.map_or(stamp.time, |known| known.min(stamp.time)));
            } else {
                note(finding, "timestamp-untrusted");
            }
        }
        finding.timestamps = stamps;
        let open = matches!(
            finding.time_source,
            TimeSource::Received | TimeSource::Signing
        ) || (finding.time_source == TimeSource::Now && !finding.time_is_pinned);
        if let Some(time) = best.filter(|_| open) {
            finding.verdict_time = time;
            finding.time_source = TimeSource::Timestamp;
            finding.time_is_claim = false;
        }
    }
}

impl Judge<'_> {
    /// Whether a list says now that the certificate is revoked, whatever it was good for before.
    pub(super) fn is_revoked(&self, certificate: &Arc<Certificate>) -> bool {
        let answer = |judges: &Judges<'_>| judges.revocation(certificate, self.now, self.now);
        self.judges
            .as_ref()
            .is_some_and(|judges| answer(judges).status == Revocation::Revoked)
    }
}

impl Judges<'_> {
    fn is_anchor(&self, certificate: &Certificate) -> bool {
        self.trust.contains(certificate)
    }

    /// `at` is the time in question, `in_force` the time at which the chain holds, if it does.
    fn revocation_at(
        &self,
        certificate: &Arc<Certificate>,
        at: i64,
        in_force: i64,
        finding: &mut SignatureFinding,
    ) -> Revocation {
        let answer = self.revocation(certificate, at, in_force);
        for code in answer.notes {
            note(finding, code);
        }
        answer.status
    }

    fn revocation(&self, certificate: &Arc<Certificate>, at: i64, in_force: i64) -> Answer {
        if self.revocation.is_empty() {
            return self.revocation.of_paths(&[], at);
        }
        let mut paths = self.chains.holding(certificate, in_force, false);
        if paths.is_empty() {
            // Expired or for something else: a revocation is still worth knowing.
            paths.push(self.chains.path(certificate));
        }
        let mut answer = self.revocation.of_paths(&paths, at);
        if answer.status != Revocation::Good {
            let others = self.chains.holding(certificate, in_force, true);
            if others.len() > 1 {
                answer = self.revocation.of_paths(&others, at);
            }
        }
        answer
    }
}

fn note(finding: &mut SignatureFinding, code: impl Into<Reason>) {
    let code = code.into();
    if !finding.reasons.contains(&code) {
        finding.reasons.push(code);
    }
}
