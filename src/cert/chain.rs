//! Whether a certification path from a certificate to a trust anchor holds at a given time.
//!
//! OpenSSL validates paths (RFC 5280 §6), but it builds exactly one: where several authorities
//! have one name it may take the wrong one and report a bad signature. So the candidates are
//! sought here ([`graph`]), and only issuers whose signature holds are handed over; OpenSSL then judges
//! constraints, critical extensions and times among them ([`ask`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Certificate, Pool, Trust};
use crate::ops::outcome::ChainStatus;
use ask::Judged;
use graph::Graph;

mod ask;
mod graph;

/// Links between a certificate and its anchor.
const MAX_DEPTH: i32 = 16;

/// A path: from the certificate to its anchor.
pub type CertPath = Vec<Arc<Certificate>>;

/// OpenSSL computes with the years 1900 to 9999 only.
const EARLIEST: i64 = -2_208_988_800;
const LATEST: i64 = 253_402_300_799;

/// What a certificate is to be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// [`Certificate::can_sign_mail`].
    Sign,
    /// [`Certificate::can_encrypt_mail`].
    Encrypt,
    /// [`Certificate::can_stamp_times`], by authorities that are not kept from it.
    StampTimes,
    /// Anything: what it may do is asked elsewhere.
    Any,
}

/// Judges chains and remembers what it found. A verdict depends on the certificate, the anchors,
/// the pool and the time, never on the order of the questions.
pub struct ChainJudge<'a> {
    trust: &'a Trust,
    pool: &'a Pool,
    usage: Usage,
    known: Mutex<HashMap<[u8; 32], Arc<Mutex<Known>>>>,
}

/// What is known of one certificate's paths.
#[derive(Default)]
struct Known {
    graph: Graph,
    /// Every time at which a verdict can change, sorted.
    bounds: Vec<i64>,
    /// The verdict before the first bound, between the first and the second, and so on.
    verdicts: Vec<Option<Verdict>>,
    timeless: Option<Judged>,
}

/// What holds between two bounds.
#[derive(Clone)]
struct Verdict {
    status: ChainStatus,
    /// Paths that hold, the one that OpenSSL built first; the rest only once they were asked for.
    holding: Vec<CertPath>,
    sought: bool,
}

impl<'a> ChainJudge<'a> {
    /// A judge with these anchors and these candidates. The pool needs authorities only; where
    /// many have one name, those added first are looked at first.
    pub fn new(trust: &'a Trust, pool: &'a Pool) -> Self {
        Self::for_usage(trust, pool, Usage::Sign)
    }

    /// The same for certificates that are used for something else than signing mail.
    pub fn for_usage(trust: &'a Trust, pool: &'a Pool, usage: Usage) -> Self {
        Self {
            trust,
            pool,
            usage,
            known: Mutex::default(),
        }
    }

    /// What the chain of a certificate says at `at` (Unix seconds) for the judge's usage.
    pub fn status(&self, leaf: &Arc<Certificate>, at: i64) -> ChainStatus {
        self.status_for(leaf, at, self.usage)
    }

    /// The paths that hold at `at`: none, or one; with `all` every one, up to eight.
    pub fn holding(&self, leaf: &Arc<Certificate>, at: i64, all: bool) -> Vec<CertPath> {
        self.with_known(leaf, |known| known.holding(leaf, at, all, self.usage))
    }

    /// Every certificate that may have issued a list or a certificate under this canonical name,
    /// anchors first.
    pub(super) fn named(&self, subject_key: &str) -> impl Iterator<Item = &Arc<Certificate>> {
        let anchors = self.trust.with_subject_key(subject_key);
        let known = self.pool.with_subject_key(subject_key);
        anchors.chain(known.filter(|known| !self.trust.contains(known)))
    }

    /// What the chain of a certificate says at `at` for `usage`.
    ///
    /// `incomplete`: an issuer is not known. `untrusted`: the path ends at a self-signed
    /// certificate that is no anchor, or breaks a rule other than those of time and usage.
    /// `wrong-usage` goes before `expired` and `not-yet-valid`, as time cannot mend it.
    pub fn status_for(&self, leaf: &Arc<Certificate>, at: i64, usage: Usage) -> ChainStatus {
        let fits = match usage {
            Usage::Sign => leaf.can_sign_mail(),
            Usage::Encrypt => leaf.can_encrypt_mail(),
            Usage::StampTimes => leaf.can_stamp_times(),
            Usage::Any => true,
        };
        match self.with_known(leaf, |known| known.at(leaf, at, self.usage).status) {
            ChainStatus::Trusted | ChainStatus::Expired | ChainStatus::NotYetValid if !fits => {
                ChainStatus::WrongUsage
            }
            status => status,
        }
    }

    /// The path from the certificate on as far as it goes, whatever the time; the last one is the
    /// anchor where there is one.
    pub fn path(&self, leaf: &Arc<Certificate>) -> Vec<Arc<Certificate>> {
        self.with_known(leaf, |known| known.timeless(leaf, self.usage).path.clone())
    }

    /// The name (RFC 4514) of the authority whose certificate is missing for a complete path.
    pub fn missing_issuer(&self, leaf: &Arc<Certificate>) -> Option<String> {
        self.with_known(leaf, |known| {
            known.timeless(leaf, self.usage).missing.clone()
        })
    }

    fn with_known<T>(&self, leaf: &Arc<Certificate>, ask: impl FnOnce(&mut Known) -> T) -> T {
        let known = {
            let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(leaf.sha256).or_default())
        };
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.verdicts.is_empty() {
            *known = Known::new(Graph::around(leaf, self.trust, self.pool), leaf);
        }
        ask(&mut known)
    }
}

impl Known {
    fn new(graph: Graph, leaf: &Certificate) -> Self {
        let everyone = graph
            .anchors
            .iter()
            .chain(&graph.intermediates)
            .map(|c| (c.not_before, c.not_after));
        // Whether the last second still counts differs between versions of OpenSSL (RFC 5280
        // §4.1.2.5 says it does), so it is a stretch of its own.
        let mut bounds: Vec<i64> = everyone
            .chain([(leaf.not_before, leaf.not_after)])
            .flat_map(|(from, to)| [from, to, to.saturating_add(1)])
            .collect();
        bounds.sort_unstable();
        bounds.dedup();
        let verdicts = vec![None; bounds.len() + 1];
        Self {
            graph,
            bounds,
            verdicts,
            timeless: None,
        }
    }

    fn at(&mut self, leaf: &Arc<Certificate>, at: i64, usage: Usage) -> Verdict {
        let at = at.clamp(EARLIEST, LATEST);
        let segment = self.bounds.partition_point(|bound| *bound <= at);
        if let Some(Some(verdict)) = self.verdicts.get(segment) {
            return verdict.clone();
        }
        let mut verdict = Verdict::of(self.graph.judge(leaf, Some(at), usage));
        if verdict.status != ChainStatus::Trusted {
            // OpenSSL builds one path; where there are more, any that holds will do.
            let other = self.graph.paths(leaf).into_iter().find_map(|path| {
                let judged = Graph::judge_path(&path, at, usage);
                (judged.status == ChainStatus::Trusted).then_some(judged)
            });
            if let Some(judged) = other {
                verdict = Verdict::of(judged);
            }
        }
        if let Some(known) = self.verdicts.get_mut(segment) {
            *known = Some(verdict.clone());
        }
        verdict
    }

    fn holding(
        &mut self,
        leaf: &Arc<Certificate>,
        at: i64,
        all: bool,
        usage: Usage,
    ) -> Vec<CertPath> {
        let mut verdict = self.at(leaf, at, usage);
        if !all || verdict.sought || verdict.holding.is_empty() {
            return verdict.holding;
        }
        let at = at.clamp(EARLIEST, LATEST);
        for path in self.graph.paths(leaf) {
            if !verdict.holding.contains(&path)
                && Graph::judge_path(&path, at, usage).status == ChainStatus::Trusted
            {
                verdict.holding.push(path);
            }
        }
        verdict.sought = true;
        let segment = self.bounds.partition_point(|bound| *bound <= at);
        if let Some(known) = self.verdicts.get_mut(segment) {
            *known = Some(verdict.clone());
        }
        verdict.holding
    }

    fn timeless(&mut self, leaf: &Arc<Certificate>, usage: Usage) -> &Judged {
        let graph = &self.graph;
        self.timeless
            .get_or_insert_with(|| graph.judge(leaf, None, usage))
    }
}

impl Verdict {
    fn of(judged: Judged) -> Self {
        let holding = match judged.status {
            ChainStatus::Trusted => vec![judged.path],
            _ => Vec::new(),
        };
        Self {
            status: judged.status,
            holding,
            sought: false,
        }
    }
}

#[cfg(test)]
mod tests;
