//! What an archive says for and against each certificate it holds: certificates.csv, and the
//! sightings that a certificate store keeps.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::record::CertificateRecord;
use super::rows::CertificateRow;
use crate::cert::{CertCache, Certificate};
use crate::ops::outcome::Reason;
use crate::store::Status;
use crate::text;

/// Every certificate of the archive, in the order in which they were first met.
#[derive(Default)]
pub(super) struct Evidence {
    seen: Vec<Seen>,
    by_sha256: HashMap<String, usize>,
}

/// One certificate and what was said for it.
struct Seen {
    sha256: String,
    /// `None` where it cannot be read.
    certificate: Option<Arc<Certificate>>,
    first: Option<i64>,
    last: Option<i64>,
    sightings: u64,
    /// It came with a signature that proves whose it is.
    proven: bool,
    /// A list says that it is revoked now.
    revoked: bool,
    reasons: BTreeSet<Reason>,
}

/// What one message says of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Testimony {
    /// When, as far as known.
    pub(super) date: Option<i64>,
    /// It made a valid signature under its owner's own address.
    pub(super) proven: bool,
    /// Why not.
    pub(super) reasons: Vec<Reason>,
    /// Whatever held then, a list says that it is revoked now.
    pub(super) revoked: bool,
}

impl Evidence {
    /// Takes in a certificate as the journal keeps it.
    pub(super) fn add(
        &mut self,
        record: &CertificateRecord,
        cache: &CertCache,
    ) -> Option<Arc<Certificate>> {
        let der = base64_simd::STANDARD
            .decode_to_vec(&record.der)
            .unwrap_or_default();
        let certificate = cache.get(&der);
        if !self.by_sha256.contains_key(&record.sha256) {
            self.by_sha256
                .insert(record.sha256.clone(), self.seen.len());
            self.seen.push(Seen {
                sha256: record.sha256.clone(),
                certificate: certificate.clone(),
                first: None,
                last: None,
                sightings: 0,
                proven: false,
                revoked: false,
                reasons: BTreeSet::new(),
            });
        }
        certificate
    }

    /// The certificate with this SHA-256, if the archive holds it and it can be read.
    pub(super) fn certificate(&self, sha256: &str) -> Option<&Arc<Certificate>> {
        self.seen
            .get(*self.by_sha256.get(sha256)?)?
            .certificate
            .as_ref()
    }

    /// Every readable certificate.
    pub(super) fn certificates(&self) -> impl Iterator<Item = &Arc<Certificate>> {
        self.seen
            .iter()
            .filter_map(|seen| seen.certificate.as_ref())
    }

    /// Takes in what one message says.
    pub(super) fn testify(&mut self, sha256: &str, testimony: &Testimony) {
        let Some(seen) = self
            .by_sha256
            .get(sha256)
            .and_then(|index| self.seen.get_mut(*index))
        else {
            return;
        };
        seen.sightings += 1;
        seen.proven |= testimony.proven;
        seen.revoked |= testimony.revoked;
        if let Some(date) = testimony.date {
            seen.first = Some(seen.first.map_or(date, |first| first.min(date)));
            seen.last = Some(seen.last.map_or(date, |last| last.max(date)));
        }
        for reason in &testimony.reasons {
            if !seen.reasons.contains(reason) {
                seen.reasons.insert(reason.clone());
            }
        }
    }

    /// The rows of certificates.csv; `given` are those that the administrator named. Where
    /// nothing was `judged`, nothing is said against the others.
    pub(super) fn rows(&self, given: &HashSet<[u8; 32]>, judged: bool) -> Vec<CertificateRow> {
        let conflicting = self.conflicting();
        self.seen
            .iter()
            .zip(conflicting)
            .map(|(seen, conflicting)| seen.row(given, conflicting, judged))
            .collect()
    }

    /// Which certificates have a predecessor in the archive: of another issuer, proven, for one of
    /// the same addresses, valid at the same time. The first one met keeps its standing.
    fn conflicting(&self) -> Vec<bool> {
        let mut by_address: BTreeMap<&str, Vec<&Arc<Certificate>>> = BTreeMap::new();
        let mut conflicting = vec![false; self.seen.len()];
        for (seen, conflicts) in self.seen.iter().zip(&mut conflicting) {
            let Some(certificate) = seen
                .certificate
                .as_ref()
                .filter(|c| seen.proven && !c.is_self_signed())
            else {
                continue;
            };
            *conflicts = certificate.addresses.iter().any(|address| {
                by_address
                    .get(address.as_str())
                    .into_iter()
                    .flatten()
                    .any(|other| overlap(certificate, other))
            });
            if !*conflicts {
                for address in &certificate.addresses {
                    let known = by_address.entry(address).or_default();
                    // A few stand for many: nobody has dozens of issuers.
                    if known.len() < 16 {
                        known.push(certificate);
                    }
                }
            }
        }
        conflicting
    }
}

fn overlap(a: &Certificate, b: &Certificate) -> bool {
    a.issuer_der != b.issuer_der && a.not_before <= b.not_after && b.not_before <= a.not_after
}

impl Seen {
    fn row(&self, given: &HashSet<[u8; 32]>, conflicting: bool, judged: bool) -> CertificateRow {
        let mut row = CertificateRow {
            sha256: self.sha256.clone(),
            first_seen: self.first.map(text::rfc3339).unwrap_or_default(),
            last_seen: self.last.map(text::rfc3339).unwrap_or_default(),
            sightings: self.sightings,
            ..CertificateRow::default()
        };
        let Some(certificate) = &self.certificate else {
            row.status = Status::Quarantined.to_string();
            row.reasons = "unreadable".into();
            return row;
        };
        row.addresses = certificate.addresses.join(" ");
        row.subject.clone_from(&certificate.subject);
        row.issuer.clone_from(&certificate.issuer);
        row.serial = certificate.serial_hex();
        row.ski = certificate
            .ski
            .as_deref()
            .map(text::hex)
            .unwrap_or_default();
        row.not_before = text::rfc3339(certificate.not_before);
        row.not_after = text::rfc3339(certificate.not_after);
        row.key.clone_from(&certificate.key_name);
        row.signature.clone_from(&certificate.signature);
        row.usages = certificate.usages.join(" ");
        row.ca = certificate.is_ca.to_string();
        let mut reasons = self.reasons.clone();
        if self.proven {
            reasons.clear();
        }
        if certificate.is_self_signed() {
            reasons.insert("self-signed".into());
        }
        if conflicting {
            reasons.insert("conflicting-issuer".into());
        }
        if self.revoked {
            reasons.insert("cert-revoked".into());
        }
        if !judged && !certificate.is_ca && !given.contains(&certificate.sha256) {
            return row;
        }
        let status = if certificate.is_ca && !self.proven {
            Status::Ca
        } else if self.proven && reasons.is_empty() {
            Status::Usable
        } else if given.contains(&certificate.sha256) {
            Status::Given
        } else {
            Status::Quarantined
        };
        row.status = status.to_string();
        if status == Status::Quarantined {
            row.reasons = reasons
                .iter()
                .map(AsRef::as_ref)
                .collect::<Vec<&str>>()
                .join(" ");
        }
        row
    }
}
