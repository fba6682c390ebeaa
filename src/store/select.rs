//! Which certificate to encrypt to for an address, and why no other.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use super::{Filter, Status, Store, StoredCertificate};
use crate::cert::Certificate;
use crate::cms::Capabilities;
use crate::error::Result;
use crate::ops::outcome::Reason;

/// A certificate that may be encrypted to.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The certificate.
    pub certificate: Arc<Certificate>,
    /// Why it may be chosen, in words for people.
    pub why: String,
    /// What its owner's program last said it reads.
    pub capabilities: Option<Capabilities>,
}

/// A certificate of the address that is not chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// Why not.
    pub reasons: Vec<Reason>,
    /// Its last valid second, Unix time.
    pub not_after: i64,
}

/// What the store holds for an address.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// The best first: the latest issued, then the longest lived.
    pub candidates: Vec<Candidate>,
    /// All others.
    pub refused: Vec<Refused>,
}

impl Store {
    /// The certificates that mail to `address` may be encrypted to at `at` (Unix seconds), the
    /// best first; empty where there is none (see [`Store::choose`] for the reasons).
    pub fn for_address(&self, address: &str, at: i64) -> Result<Vec<Candidate>> {
        Ok(self.choose(address, at)?.candidates)
    }

    /// Every certificate of `address`: those that may be encrypted to at `at`, and why the others
    /// may not. Chosen are only `usable` and `given` ones, valid at that time, for a key and
    /// usage that mail can be encrypted to.
    pub fn choose(&self, address: &str, at: i64) -> Result<Choice> {
        let mut choice = Choice::default();
        for stored in self.list(&Filter {
            address: Some(address.to_owned()),
            ..Filter::default()
        })? {
            match judge(&stored, at) {
                Ok(candidate) => choice.candidates.push(candidate),
                Err(reasons) => choice.refused.push(Refused {
                    sha256: stored.sha256,
                    reasons,
                    not_after: stored.not_after,
                }),
            }
        }
        choice.sort();
        Ok(choice)
    }

    /// What [`Store::choose`] says of every address that the store knows, by the address in lower
    /// case: for those who choose for many messages, and in parallel.
    pub fn choices(&self, at: i64) -> Result<HashMap<String, Choice>> {
        let mut choices: HashMap<String, Choice> = HashMap::new();
        for stored in self.certificates()? {
            let judged = judge(&stored, at);
            for address in &stored.addresses {
                let choice = choices.entry(address.to_ascii_lowercase()).or_default();
                match &judged {
                    Ok(candidate) => choice.candidates.push(candidate.clone()),
                    Err(reasons) => choice.refused.push(Refused {
                        sha256: stored.sha256,
                        reasons: reasons.clone(),
                        not_after: stored.not_after,
                    }),
                }
            }
        }
        choices.values_mut().for_each(Choice::sort);
        Ok(choices)
    }
}

impl Choice {
    fn sort(&mut self) {
        self.candidates.sort_by_key(|candidate| {
            let certificate = &candidate.certificate;
            (
                Reverse(certificate.not_before),
                Reverse(certificate.not_after),
                certificate.sha256,
            )
        });
    }
}

fn judge(stored: &StoredCertificate, at: i64) -> std::result::Result<Candidate, Vec<Reason>> {
    if !stored.status.is_choosable() {
        let mut reasons = vec![Reason::from(stored.status.as_str())];
        reasons.extend(stored.reasons.iter().cloned());
        return Err(reasons);
    }
    let certificate = Certificate::decode(&stored.der)
        .map_err(|_| vec![Reason::from("unreadable-certificate")])?;
    if at < certificate.not_before {
        return Err(vec![Reason::from("cert-not-yet-valid")]);
    }
    if at > certificate.not_after {
        return Err(vec![Reason::from("cert-expired")]);
    }
    if !certificate.can_encrypt_mail() {
        return Err(vec![Reason::from("cert-usage")]);
    }
    let why = match (stored.status, stored.count) {
        (Status::Given, _) => "named by the administrator".to_owned(),
        (_, 1) => "proven by a signature, seen in 1 message".to_owned(),
        (_, count) => format!("proven by a signature, seen in {count} messages"),
    };
    Ok(Candidate {
        certificate: Arc::new(certificate),
        why,
        capabilities: stored.capabilities.as_deref().and_then(Capabilities::parse),
    })
}
