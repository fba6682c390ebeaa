//! Whether a certificate was revoked at a given time, by revocation lists alone.
//!
//! The lists of an archive are from other times than its mail, so the rule of RFC 5280 §6.3 (one
//! current list) is widened to a past time *T*:
//!
//! - revoked at *T* where revocationDate or invalidityDate is not after *T*, and at every time where
//!   a key was compromised; a hold ends with the next list that no longer has it;
//! - good at *T* where a complete list that does not say so was issued after *T*, or was in force
//!   at *T*; a list that was issued after the certificate had expired says nothing by silence,
//!   unless it keeps expired ones;
//! - else unknown. A list counts only if its issuer's certificate may sign lists, had a path to the
//!   same anchor when the list was issued, and was not revoked itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::chain::CertPath;
use super::crl::{self, Crl, Point, Reasons, Why};
use super::{Certificate, ChainJudge, Pool, Trust, Usage};
use crate::ops::outcome::Revocation;

/// Signatures of one list that are checked.
const MAX_SIGNERS: usize = 8;
/// Lists whose signers' lists are looked at in turn.
const MAX_DEPTH: usize = 4;

/// What is known of revocation, and what stands in the way of knowing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Of the worst certificate of the path.
    pub status: Revocation,
    /// Reason codes of lists that did not count; only where the status is unknown.
    pub notes: Vec<&'static str>,
}

/// Judges by lists and remembers what it found. An answer depends on the lists, the anchors, the
/// pool, the path and the time, never on the order of the questions.
pub struct RevocationJudge<'a> {
    signers: ChainJudge<'a>,
    lists: HashMap<&'a str, Vec<&'a Arc<Crl>>>,
    /// Who signed a list, by its SHA-256.
    signed: Mutex<HashMap<[u8; 32], Vec<Arc<Certificate>>>>,
    /// By certificate and anchor.
    known: Mutex<HashMap<Question, Arc<History>>>,
}

/// SHA-256 of a certificate and of its anchor.
type Question = ([u8; 32], [u8; 32]);

/// What lists say of one certificate over all of time.
#[derive(Default)]
struct History {
    /// Revoked from the first second on, before the second one.
    revoked: Vec<(i64, i64)>,
    /// Up to when a list would say so, and for which reasons.
    vouched: Vec<(i64, Reasons)>,
    notes: Vec<&'static str>,
}

impl<'a> RevocationJudge<'a> {
    /// A judge with these lists, anchors and candidates for the lists' issuers.
    pub fn new(lists: &'a [Arc<Crl>], trust: &'a Trust, pool: &'a Pool) -> Self {
        let mut by_issuer: HashMap<&str, Vec<&Arc<Crl>>> = HashMap::new();
        for list in lists {
            by_issuer.entry(&list.issuer_key).or_default().push(list);
        }
        Self {
            signers: ChainJudge::for_usage(trust, pool, Usage::Any),
            lists: by_issuer,
            signed: Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// Whether there are no lists.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Those of `lists` that an authority among the anchors or the pool signed.
    pub fn signed(lists: &[Arc<Crl>], trust: &Trust, pool: &Pool) -> Vec<Arc<Crl>> {
        let judge = RevocationJudge::new(&[], trust, pool);
        lists
            .iter()
            .filter(|list| !judge.signers_of(list).is_empty())
            .cloned()
            .collect()
    }

    /// What is known of the certificates of `path`, its anchor aside, at `at` (Unix seconds).
    pub fn of_path(&self, path: &CertPath, at: i64) -> Answer {
        let mut worst = Answer {
            status: Revocation::Good,
            notes: Vec::new(),
        };
        let Some((anchor, below)) = path.split_last() else {
            return unknown();
        };
        if below.is_empty() {
            // A signer's certificate that is an anchor itself: nobody can revoke it.
            return unknown();
        }
        for certificate in below {
            let question = (certificate.sha256, anchor.sha256);
            let known = lock(&self.known).get(&question).cloned();
            let history = known.unwrap_or_else(|| {
                let history = Arc::new(self.history(certificate, anchor, &mut Vec::new()));
                lock(&self.known).insert(question, Arc::clone(&history));
                history
            });
            let answer = history.at(at);
            if rank(answer.status) > rank(worst.status) {
                worst.status = answer.status;
            }
            for note in answer.notes {
                if !worst.notes.contains(&note) {
                    worst.notes.push(note);
                }
            }
        }
        if worst.status == Revocation::Revoked {
            worst.notes.clear();
        }
        worst
    }

    /// The same over several paths: the best one counts, as any path that holds is enough.
    pub fn of_paths(&self, paths: &[CertPath], at: i64) -> Answer {
        paths
            .iter()
            .map(|path| self.of_path(path, at))
            .min_by_key(|answer| rank(answer.status))
            .unwrap_or_else(unknown)
    }

    /// `asked` are the certificates that are being asked about, so that no list vouches for its own
    /// signer by way of others.
    fn history(
        &self,
        certificate: &Arc<Certificate>,
        anchor: &Arc<Certificate>,
        asked: &mut Vec<[u8; 32]>,
    ) -> History {
        let mut history = History::default();
        let points = crl::points(certificate);
        let named = points.iter().flat_map(|point| &point.issuers);
        let mut names: Vec<&str> = named.map(String::as_str).collect();
        names.push(&certificate.issuer_key);
        names.sort_unstable();
        names.dedup();
        let lists = names
            .iter()
            .filter_map(|name| self.lists.get(name))
            .flatten();
        let (mut holds, mut cleared) = (Vec::new(), Vec::new());
        asked.push(certificate.sha256);
        for list in lists {
            let reasons = reach(list, certificate, &points);
            if reasons == Reasons::NONE {
                continue;
            }
            if list.unsupported {
                history.note("crl-unsupported");
                continue;
            }
            let standing = self.standing(list, anchor, asked);
            if standing == Revocation::Revoked {
                history.note("crl-untrusted");
                continue;
            }
            let entries = list.entries(certificate);
            for entry in &entries {
                match entry.why {
                    Why::Compromise => history.revoked.push((i64::MIN, i64::MAX)),
                    Why::Hold => holds.push((entry.from, list.this_update)),
                    Why::Removed => cleared.push(list.this_update),
                    Why::Other => history.revoked.push((entry.from, i64::MAX)),
                }
            }
            if list.is_delta {
                continue;
            }
            let gone = list.this_update > certificate.not_after
                && list
                    .keeps_expired_since
                    .is_none_or(|since| since > certificate.not_after);
            if entries.is_empty() && gone {
                history.note("crl-after-expiry");
                continue;
            }
            if standing == Revocation::Unknown {
                history.note("crl-untrusted");
                continue;
            }
            if entries.is_empty() {
                cleared.push(list.this_update);
            }
            let in_force = list.next_update.unwrap_or(list.this_update);
            history
                .vouched
                .push((in_force.max(list.this_update), reasons));
        }
        asked.pop();
        for (from, listed) in holds {
            let until = cleared.iter().copied().filter(|at| *at > listed).min();
            history.revoked.push((from, until.unwrap_or(i64::MAX)));
        }
        history
    }

    /// Known certificates whose key signed `list` and that may sign lists.
    fn signers_of(&self, list: &Crl) -> Vec<Arc<Certificate>> {
        if let Some(known) = lock(&self.signed).get(&list.sha256) {
            return known.clone();
        }
        let signers: Vec<_> = self
            .signers
            .named(&list.issuer_key)
            .filter(|candidate| list.could_be_signed_by(candidate))
            .take(MAX_SIGNERS)
            .filter(|candidate| list.signed_by(candidate))
            .cloned()
            .collect();
        lock(&self.signed).insert(list.sha256, signers.clone());
        signers
    }

    /// What is known of the certificate that signed `list` when it did; `revoked` also where
    /// nobody known and trusted did.
    fn standing(
        &self,
        list: &Arc<Crl>,
        anchor: &Arc<Certificate>,
        asked: &mut Vec<[u8; 32]>,
    ) -> Revocation {
        let at = list.this_update;
        let mut best = Revocation::Revoked;
        for signer in self.signers_of(list) {
            let paths = self.signers.holding(&signer, at, true);
            let trusted = paths
                .iter()
                .any(|path| path.last().is_some_and(|last| last == anchor));
            if !trusted {
                continue;
            }
            let standing = if signer == *anchor {
                Revocation::Good
            } else if asked.contains(&signer.sha256) || asked.len() > MAX_DEPTH {
                Revocation::Unknown
            } else {
                self.history(&signer, anchor, asked).at(at).status
            };
            if rank(standing) < rank(best) {
                best = standing;
            }
        }
        best
    }
}

impl History {
    fn at(&self, at: i64) -> Answer {
        if self
            .revoked
            .iter()
            .any(|(from, until)| (*from..*until).contains(&at))
        {
            return Answer {
                status: Revocation::Revoked,
                notes: Vec::new(),
            };
        }
        let vouched = self
            .vouched
            .iter()
            .filter(|(upto, _)| *upto >= at)
            .fold(Reasons::NONE, |sum, (_, reasons)| sum.or(*reasons));
        if vouched == Reasons::ALL {
            return Answer {
                status: Revocation::Good,
                notes: Vec::new(),
            };
        }
        let mut notes = self.notes.clone();
        if self.vouched.iter().any(|(upto, _)| *upto < at) {
            notes.push("crl-outdated");
        }
        Answer {
            status: Revocation::Unknown,
            notes,
        }
    }

    fn note(&mut self, code: &'static str) {
        if !self.notes.contains(&code) {
            self.notes.push(code);
        }
    }
}

fn unknown() -> Answer {
    Answer {
        status: Revocation::Unknown,
        notes: Vec::new(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Maps change one whole entry at a time.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The order from good news to bad.
fn rank(status: Revocation) -> u8 {
    match status {
        Revocation::Good => 0,
        Revocation::Unknown => 1,
        Revocation::Revoked => 2,
    }
}

/// For which reasons a list speaks for a certificate (RFC 5280 §6.3.3 b).
fn reach(list: &Crl, certificate: &Certificate, points: &[Point]) -> Reasons {
    let scope = &list.scope;
    if scope.only_attributes
        || (scope.only_users && certificate.is_ca)
        || (scope.only_authorities && !certificate.is_ca)
    {
        return Reasons::NONE;
    }
    let own = list.issuer_key == certificate.issuer_key;
    let mut reasons = Reasons::NONE;
    for point in points {
        let fits = if point.issuers.is_empty() {
            own
        } else {
            scope.indirect && point.issuers.contains(&list.issuer_key)
        };
        let named = match (&scope.names, &point.names) {
            (None, _) => true,
            (Some(ours), Some(theirs)) => ours.iter().any(|name| theirs.contains(name)),
            (Some(ours), None) => point
                .issuers
                .iter()
                .any(|issuer| ours.contains(&crl::as_point(issuer))),
        };
        if fits && named {
            reasons = reasons.or(point.reasons.and(scope.reasons));
        }
    }
    // A list of the issuer's own speaks for all it issued, whatever certificates say of places,
    // unless it is only of some place (§6.3.3, last paragraph).
    let of_all = scope
        .names
        .as_ref()
        .is_none_or(|names| names.contains(&crl::as_point(&certificate.issuer_key)));
    if own && of_all {
        reasons = reasons.or(scope.reasons);
    }
    reasons
}

#[cfg(test)]
mod tests;
