//! Which paths there are: the issuers of a certificate, sought by name, key identifier and signature.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::{CertPath, MAX_DEPTH};
use crate::cert::{Certificate, Pool, Trust};

/// Intermediates that are looked at for one certificate.
const MAX_CANDIDATES: usize = 32;
/// Signatures that are checked in seeking them; OpenSSL then checks one for each link again.
const MAX_SIGNATURE_CHECKS: usize = 100;
/// Paths of one certificate that are tried one by one where the first one built does not hold.
const MAX_PATHS: usize = 8;
/// Steps that finding them may take.
const MAX_STEPS: usize = 1_000;

/// Certificates that can be part of a path, the leaf aside.
#[derive(Default)]
pub(super) struct Graph {
    pub(super) anchors: Vec<Arc<Certificate>>,
    pub(super) intermediates: Vec<Arc<Certificate>>,
    /// Whose signatures hold: issuers by the SHA-256 of what they issued.
    pub(super) issuers: HashMap<[u8; 32], Vec<Arc<Certificate>>>,
    /// Signatures checked in seeking them.
    pub(super) checks: usize,
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
                if graph.checks == MAX_SIGNATURE_CHECKS
                    || graph.intermediates.len() == MAX_CANDIDATES
                {
                    break;
                }
                graph.checks += 1;
                if !signed_by(&child, candidate) {
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

    /// The paths from `leaf` to an anchor over issuers whose signatures hold, shortest first, a few.
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
        found
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
