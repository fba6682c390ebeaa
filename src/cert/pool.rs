//! Known certificates, to be looked up by what messages and other certificates say of them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::certificate::significant;
use super::{Certificate, name};

/// A set of certificates with its indexes. Every answer is in the order of adding, so what an
/// administrator named should be added before what messages brought along.
#[derive(Default)]
pub struct Pool {
    all: Vec<Arc<Certificate>>,
    known: HashSet<[u8; 32]>,
    /// Serial number and canonical issuer.
    by_serial: HashMap<(Vec<u8>, String), Vec<usize>>,
    by_ski: HashMap<Vec<u8>, Vec<usize>>,
    /// Canonical subject.
    by_subject: HashMap<String, Vec<usize>>,
    /// Address in lower case.
    by_address: HashMap<String, Vec<usize>>,
}

impl Pool {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a certificate; one that is known already changes nothing.
    pub fn add(&mut self, certificate: Arc<Certificate>) {
        if !self.known.insert(certificate.sha256) {
            return;
        }
        let index = self.all.len();
        let serial = significant(&certificate.serial).to_vec();
        self.by_serial
            .entry((serial, certificate.issuer_key.clone()))
            .or_default()
            .push(index);
        self.by_subject
            .entry(certificate.subject_key.clone())
            .or_default()
            .push(index);
        if let Some(ski) = &certificate.ski {
            self.by_ski.entry(ski.clone()).or_default().push(index);
        }
        for address in &certificate.addresses {
            let places = self
                .by_address
                .entry(address.to_ascii_lowercase())
                .or_default();
            places.push(index);
        }
        self.all.push(certificate);
    }

    /// Every certificate.
    pub fn all(&self) -> &[Arc<Certificate>] {
        &self.all
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The first that an IssuerAndSerialNumber names ([`Certificate::matches_issuer_serial`]);
    /// one whose issuer is the same byte by byte before one whose issuer is only spelled alike.
    pub fn by_issuer_serial(&self, issuer_tlv: &[u8], serial: &[u8]) -> Option<Arc<Certificate>> {
        let key = (significant(serial).to_vec(), name::canonical(issuer_tlv)?);
        let found = self.pick(self.by_serial.get(&key));
        found
            .iter()
            .find(|certificate| certificate.issuer_der == issuer_tlv)
            .or(found.first())
            .cloned()
    }

    /// All with this subjectKeyIdentifier.
    pub fn by_ski(&self, ski: &[u8]) -> Vec<Arc<Certificate>> {
        self.pick(self.by_ski.get(ski))
    }

    /// All with this subject (a `Name`'s whole TLV), whatever its spelling.
    pub fn by_subject(&self, name_tlv: &[u8]) -> Vec<Arc<Certificate>> {
        name::canonical(name_tlv)
            .map(|key| self.pick(self.by_subject.get(&key)))
            .unwrap_or_default()
    }

    /// All that hold this mail address ([`super::same_address`]).
    pub fn by_address(&self, address: &str) -> Vec<Arc<Certificate>> {
        self.pick(self.by_address.get(&address.trim().to_ascii_lowercase()))
    }

    /// As [`Pool::by_subject`], by the canonical name; no more than are looked at.
    pub(super) fn with_subject_key(&self, key: &str) -> impl Iterator<Item = &Arc<Certificate>> {
        self.by_subject
            .get(key)
            .into_iter()
            .flatten()
            .filter_map(|index| self.all.get(*index))
    }

    fn pick(&self, indices: Option<&Vec<usize>>) -> Vec<Arc<Certificate>> {
        indices
            .into_iter()
            .flatten()
            .filter_map(|index| self.all.get(*index))
            .cloned()
            .collect()
    }
}

impl Extend<Arc<Certificate>> for Pool {
    fn extend<T: IntoIterator<Item = Arc<Certificate>>>(&mut self, certificates: T) {
        for certificate in certificates {
            self.add(certificate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cert::testing::{Pki, Spec};

    #[test]
    fn certificates_are_found_by_everything_they_are_named_by() {
        let pki = Pki::new();
        let root = pki.issue(&Spec::root("root"));
        let leaf = pki.issue(&Spec::leaf("leaf", "root").address("Ann@Example.com"));
        let mut pool = Pool::new();
        pool.extend([Arc::clone(&root), Arc::clone(&leaf), Arc::clone(&leaf)]);
        assert_eq!(pool.len(), 2);
        let mut padded = vec![0];
        padded.extend_from_slice(&leaf.serial);
        let found = pool.by_issuer_serial(&leaf.issuer_der, &padded).unwrap();
        assert_eq!(found.sha256, leaf.sha256);
        // The issuer as another writer would spell it: other case, another string type.
        let mut respelled = leaf.issuer_der.clone();
        let at = memchr::memmem::find(&respelled, b"\x0c\x04root").unwrap();
        respelled[at..at + 6].copy_from_slice(b"\x13\x04ROOT");
        assert_eq!(
            pool.by_issuer_serial(&respelled, &leaf.serial)
                .unwrap()
                .sha256,
            leaf.sha256
        );
        assert!(
            pool.by_issuer_serial(&leaf.subject_der, &leaf.serial)
                .is_none()
        );
        assert_eq!(
            pool.by_ski(leaf.ski.as_deref().unwrap())[0].sha256,
            leaf.sha256
        );
        assert_eq!(pool.by_subject(&leaf.issuer_der)[0].sha256, root.sha256);
        assert_eq!(pool.by_address("ANN@example.COM")[0].sha256, leaf.sha256);
        assert!(pool.by_address("ann@example.org").is_empty());
    }
}
