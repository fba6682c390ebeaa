//! Whose signature it may be: the certificates that a SignerInfo names, and their keys.

use std::sync::Arc;

use crate::cert::certificate::Certificate;
use crate::cert::pool::Pool;
use crate::cms::SignerId;
use crate::crypto::PublicKey;

/// Certificates known when signatures are checked.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// What the message brings along.
    pub carried: &'a [Arc<Certificate>],
    /// What was named, and what the store holds.
    pub pool: &'a Pool,
}

/// Certificates that one SignerInfo or one inherited key may cost.
const MOST: usize = 8;

impl Known<'_> {
    /// The certificates that a SignerInfo names. There may be several: anyone can make one with
    /// another's issuer and serial and put it in front of the real one, so the one counts whose key
    /// made the signature.
    pub(super) fn named(self, sid: &SignerId<'_>) -> Vec<Arc<Certificate>> {
        let named = |certificate: &&Arc<Certificate>| match sid {
            SignerId::IssuerSerial { issuer, serial } => {
                certificate.matches_issuer_serial(issuer, serial)
            }
            SignerId::Ski(ski) => certificate.ski.as_deref() == Some(ski),
        };
        let known = match sid {
            SignerId::IssuerSerial { issuer, serial } => self
                .pool
                .by_issuer_serial(issuer, serial)
                .into_iter()
                .collect(),
            SignerId::Ski(ski) => self.pool.by_ski(ski),
        };
        // What the administrator named is as good as what the message brings, and cannot be crowded
        // out.
        let mut found: Vec<Arc<Certificate>> = Vec::new();
        for certificate in known
            .into_iter()
            .take(MOST / 2)
            .chain(self.carried.iter().filter(named).cloned())
        {
            if found.len() < MOST && !found.iter().any(|have| have.sha256 == certificate.sha256) {
                found.push(certificate);
            }
        }
        found
    }

    /// A certificate's key, and its name where the certificate does not tell it: a DSA key without
    /// parameters takes those of the issuer's (RFC 3279 §2.3.2), which is sought among the named
    /// certificates first. Two issuers that would give different keys give none.
    pub(super) fn key(self, of: &Certificate) -> Option<(PublicKey, Option<String>)> {
        if !of.inherits_parameters() {
            let key = of.public_key.clone()?;
            return Some((key, None));
        }
        let named = self.pool.by_subject(&of.issuer_der);
        let mut found: Option<(PublicKey, String)> = None;
        for issuer in named.iter().chain(self.carried).take(MOST * MOST) {
            let Some((key, name)) = of.key_inheriting_from(issuer) else {
                continue;
            };
            match &found {
                Some((known, _)) if !known.public_eq(&key) => return None,
                _ => found = Some((key, name)),
            }
        }
        found.map(|(key, name)| (key, Some(name)))
    }
}
