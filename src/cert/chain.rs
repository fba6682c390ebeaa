//! Whether a certification path from a certificate to a trust anchor holds at a given time.
//!
//! OpenSSL validates paths (RFC 5280 §6), but it builds exactly one: where several authorities
//! have one name it may take the wrong one and report a bad signature. So the candidates are
//! sought here (`graph`), and only issuers whose signature holds are handed over; OpenSSL then judges
//! constraints, critical extensions and times among them (`ask`).

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
/// Signatures that are checked for one certificate in all, whatever is asked of it: in seeking issuers,
/// and by OpenSSL, once for each link of each path it is asked of. One by an RSA key of more than 4,096
/// bits counts as several.
const MAX_CHECKS: usize = 100;
/// Paths that are told where all that hold are asked for.
const MAX_HOLDING: usize = 8;

/// A path: from the certificate to its anchor.
pub type CertPath = Vec<Arc<Certificate>>;

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

/// What is known of one certificate's paths. OpenSSL is asked once of each, whatever the time; times
/// are compared here, in the order in which OpenSSL compares them.
#[derive(Default)]
struct Known {
    /// The path that OpenSSL builds; `None` before the first question.
    built: Option<Judged>,
    /// Others, as many as [`MAX_CHECKS`] leaves room for, and whether each holds.
    others: Vec<(CertPath, Option<bool>)>,
    graph: Graph,
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
        let most = if all { MAX_HOLDING } else { 1 };
        self.with_known(leaf, |known| known.holding(at, most, self.usage))
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
        match self.with_known(leaf, |known| known.status(at, self.usage)) {
            ChainStatus::Trusted | ChainStatus::Expired | ChainStatus::NotYetValid if !fits => {
                ChainStatus::WrongUsage
            }
            status => status,
        }
    }

    /// The path from the certificate on as far as it goes, whatever the time; the last one is the
    /// anchor where there is one.
    pub fn path(&self, leaf: &Arc<Certificate>) -> Vec<Arc<Certificate>> {
        self.with_known(leaf, |known| {
            known
                .built()
                .map_or_else(Vec::new, |built| built.path.clone())
        })
    }

    /// The name (RFC 4514) of the authority whose certificate is missing for a complete path.
    pub fn missing_issuer(&self, leaf: &Arc<Certificate>) -> Option<String> {
        self.with_known(leaf, |known| known.built()?.missing.clone())
    }

    fn with_known<T>(&self, leaf: &Arc<Certificate>, ask: impl FnOnce(&mut Known) -> T) -> T {
        let known = {
            let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(leaf.sha256).or_default())
        };
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.built.is_none() {
            *known = Known::of(leaf, Graph::around(leaf, self.trust, self.pool), self.usage);
        }
        ask(&mut known)
    }
}

impl Known {
    fn of(leaf: &Arc<Certificate>, mut graph: Graph, usage: Usage) -> Self {
        let built = graph.judge(leaf, usage);
        graph.effort += effort_of(&built.path);
        let mut left = MAX_CHECKS.saturating_sub(graph.effort);
        let others = graph
            .paths(leaf)
            .into_iter()
            .filter(|path| *path != built.path && take(&mut left, effort_of(path)).is_some());
        let others = others.map(|path| (path, None)).collect();
        Self {
            built: Some(built),
            others,
            graph,
        }
    }

    fn built(&self) -> Option<&Judged> {
        self.built.as_ref()
    }

    /// Paths that hold but for time, the one that OpenSSL built first.
    fn timeless(&mut self, usage: Usage) -> impl Iterator<Item = &CertPath> {
        let built = self.built.iter();
        let built = built.filter(|built| built.status == ChainStatus::Trusted);
        let graph = &mut self.graph;
        let others = self.others.iter_mut().filter_map(move |(path, holds)| {
            let holds = holds.get_or_insert_with(|| {
                graph.effort += effort_of(path);
                Graph::judge_path(path, usage).status == ChainStatus::Trusted
            });
            holds.then_some(&*path)
        });
        built.map(|built| &built.path).chain(others)
    }

    fn holding(&mut self, at: i64, most: usize, usage: Usage) -> Vec<CertPath> {
        let in_time = |path: &&CertPath| time_of(path, at) == ChainStatus::Trusted;
        self.timeless(usage)
            .filter(in_time)
            .take(most)
            .cloned()
            .collect()
    }

    /// The status at `at`: trusted where a path holds; else what time says of the first one that
    /// would, or what OpenSSL says of the one it built.
    fn status(&mut self, at: i64, usage: Usage) -> ChainStatus {
        let mut outside = None;
        for path in self.timeless(usage) {
            match time_of(path, at) {
                ChainStatus::Trusted => return ChainStatus::Trusted,
                status => outside = outside.or(Some(status)),
            }
        }
        let built = || self.built.as_ref().map(|built| built.status);
        outside.or_else(built).unwrap_or(ChainStatus::Untrusted)
    }
}

/// What time says of a path, from its anchor down as OpenSSL does (RFC 5280 §4.1.2.5: first and last
/// second included).
fn time_of(path: &[Arc<Certificate>], at: i64) -> ChainStatus {
    for certificate in path.iter().rev() {
        if at < certificate.not_before {
            return ChainStatus::NotYetValid;
        }
        if at > certificate.not_after {
            return ChainStatus::Expired;
        }
    }
    ChainStatus::Trusted
}

/// What checking the signatures of a path takes.
fn effort_of(path: &[Arc<Certificate>]) -> usize {
    path.iter()
        .skip(1)
        .map(|issuer| graph::effort(issuer))
        .sum()
}

fn take(left: &mut usize, effort: usize) -> Option<()> {
    *left = left.checked_sub(effort)?;
    Some(())
}

#[cfg(test)]
mod tests;
