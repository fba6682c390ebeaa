//! Which paths there are: the issuers of a certificate, sought by name, key identifier and signature.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::{CertPath, MAX_DEPTH};
use crate::cert::{Certificate, Pool, Trust};

/// Intermediates that are looked at for one certificate.
const MAX_CANDIDATES: usize = 32;
/// Signatures that are checked in seeking them; the rest of [`super::MAX_CHECKS`] is for the paths.
const MAX_SOUGHT: usize = 60;
/// Paths that are sought from one certificate.
const MAX_PATHS: usize = 64;
/// Steps that finding them may take.
const MAX_STEPS: usize = 1_000;

/// Certificates that can be part of a path, the leaf aside.
#[derive(Default)]
pub(super) struct Graph {
    pub(super) anchors: Vec<Arc<Certificate>>,
    pub(super) intermediates: Vec<Arc<Certificate>>,
    /// Whose signatures hold: issuers by the SHA-256 of what they issued.
    pub(super) issuers: HashMap<[u8; 32], Vec<Arc<Certificate>>>,
    /// Signatures checked so far (see [`effort`]).
    pub(super) effort: usize,
}

impl Graph {
    /// Seeks issuers breadth first, by name, key identifier and signature.
    pub(super) fn around(leaf: &Arc<Certificate>, trust: &Trust, pool: &Pool) -> Self {
        let mut graph = Self::default();
        let mut seen = HashSet::from([leaf.sha256]);
        let mut queue = VecDeque::from([Arc::clone(leaf)]);
        while let Some(child) = queue.pop_front() {
            if trust.contains(&child) {
                graph.anchors.push(child);
                continue;
            }
            let mut proven = false;
            let mut second_choice = None;
            // A renewed certificate has the key of the one before: that is one check for both.
            let mut by_key: HashMap<Vec<u8>, bool> = HashMap::new();
            let anchors = trust.with_subject_key(&child.issuer_key);
            let known = pool.with_subject_key(&child.issuer_key);
            for candidate in anchors
                .chain(known)
                .filter(|candidate| could_have_issued(candidate, &child))
            {
                if !candidate.is_ca && !trust.contains(candidate) {
                    second_choice = second_choice.or(Some(candidate));
                    continue;
                }
                let key = candidate.public_key.as_ref();
                let key = key.and_then(|key| key.public_key_to_der().ok());
                let key = key.unwrap_or_default();
                let cost = if by_key.contains_key(&key) {
                    0
                } else {
                    effort(candidate)
                };
                if graph.effort + cost > MAX_SOUGHT || graph.intermediates.len() == MAX_CANDIDATES {
                    break;
                }
                graph.effort += cost;
                if !*by_key
                    .entry(key)
                    .or_insert_with(|| signed_by(&child, candidate))
                {
                    second_choice = second_choice.or(Some(candidate));
                    continue;
                }
                proven = true;
                graph
                    .issuers
                    .entry(child.sha256)
                    .or_default()
                    .push(Arc::clone(candidate));
                if seen.insert(candidate.sha256) {
                    if !trust.contains(candidate) {
                        graph.intermediates.push(Arc::clone(candidate));
                    }
                    queue.push_back(Arc::clone(candidate));
                }
            }
            // Where an issuer is known but its signature does not hold, or it is no authority,
            // OpenSSL shall say so: that is worse than an issuer that is not known.
            if !proven && let Some(candidate) = second_choice.filter(|c| seen.insert(c.sha256)) {
                if !trust.contains(candidate) && graph.intermediates.len() < MAX_CANDIDATES {
                    graph.intermediates.push(Arc::clone(candidate));
                }
                queue.push_back(Arc::clone(candidate));
            }
        }
        graph
    }

    /// The paths from `leaf` to an anchor over issuers whose signatures hold, shortest first; those that
    /// are in force at no other times than one before come last.
    pub(super) fn paths(&self, leaf: &Arc<Certificate>) -> Vec<CertPath> {
        let mut found: Vec<CertPath> = Vec::new();
        let mut queue = VecDeque::from([vec![Arc::clone(leaf)]]);
        let mut steps = 0;
        while let Some(path) = queue.pop_front() {
            steps += 1;
            let Some(last) = path.last() else { continue };
            if self.anchors.contains(last) {
                found.push(path);
                if found.len() == MAX_PATHS {
                    break;
                }
                continue;
            }
            if steps > MAX_STEPS || path.len() > usize::try_from(MAX_DEPTH).unwrap_or(0) {
                continue;
            }
            for issuer in self.issuers.get(&last.sha256).into_iter().flatten() {
                if !path.contains(issuer) && queue.len() < MAX_STEPS {
                    let mut longer = path.clone();
                    longer.push(Arc::clone(issuer));
                    queue.push_back(longer);
                }
            }
        }
        let mut periods = HashSet::new();
        let (mut first, again): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|path| periods.insert(period(path)));
        first.extend(again);
        first
    }
}

/// Whether key identifiers let `issuer`, whose name fits, be the child's issuer, and its key is
/// one that is computed with.
fn could_have_issued(issuer: &Certificate, child: &Certificate) -> bool {
    issuer.sha256 != child.sha256
        && issuer.public_key.is_some()
        && match (&child.aki, &issuer.ski) {
            (Some(wanted), Some(has)) => wanted == has,
            _ => true,
        }
}

fn signed_by(child: &Certificate, issuer: &Certificate) -> bool {
    issuer
        .public_key
        .as_ref()
        .is_some_and(|key| child.x509.verify(key).unwrap_or(false))
}

/// When every certificate of a path is in force: first and last second.
fn period(path: &[Arc<Certificate>]) -> (Option<i64>, Option<i64>) {
    let from = path.iter().map(|certificate| certificate.not_before).max();
    (
        from,
        path.iter().map(|certificate| certificate.not_after).min(),
    )
}

/// What checking one signature of this key takes, in checks of an RSA key of 4,096 bits or any
/// elliptic curve's: it grows with the square of the modulus.
pub(super) fn effort(issuer: &Certificate) -> usize {
    let key = issuer.public_key.as_ref();
    let bits = key
        .and_then(|key| key.rsa().ok())
        .map_or(0, |rsa| rsa.size() * 8);
    let times = usize::try_from(bits.div_ceil(4_096))
        .unwrap_or(usize::MAX)
        .max(1);
    times.saturating_mul(times)
}
