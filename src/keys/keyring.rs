//! Which key, or which locked file, a recipient identifier names.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::load::{self, Loaded};
use super::passphrase::Passphrases;
use crate::cert::{Certificate, name};
use crate::cms::ber::{Tlv, tag};
use crate::crypto::SecretKey;
use crate::crypto::digest::sha1;
use crate::error::Result;
use crate::text::escape_path;

/// What became of a key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFileStatus {
    /// At least one key in it opened.
    Open,
    /// It holds keys, and no passphrase opens any.
    Locked,
    /// Not to be opened with any passphrase, and why.
    Unreadable(&'static str),
    /// Sound, but without a private key: correspondents' certificates.
    NoKey,
}

/// One file met while keys were loaded.
#[derive(Debug, Clone)]
pub struct KeyFile {
    /// As found.
    pub path: PathBuf,
    /// Whether it opened.
    pub status: KeyFileStatus,
    /// How many private keys came out of it.
    pub keys: usize,
    /// The certificates in it; for a locked file also those in a file of the same name but another
    /// extension beside it, which tell whose it is.
    pub certificates: Vec<Arc<Certificate>>,
}

/// A private key and the certificates it answers for.
pub struct PrivateKey {
    /// The key pair.
    pub key: SecretKey,
    /// Every certificate known whose public key is this one's: a renewed certificate keeps its key.
    pub certificates: Vec<Arc<Certificate>>,
    /// The name of the file it came from, escaped for display.
    pub name: String,
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Issuer in its canonical spelling and serial number without leading zeros.
type IssuerSerial = (String, Vec<u8>);

/// Every key at hand, and what is known of those that are not. Immutable once loaded.
#[derive(Default)]
pub struct KeyRing {
    files: Vec<KeyFile>,
    keys: Vec<Arc<PrivateKey>>,
    bare: Vec<Arc<PrivateKey>>,
    certificates: Vec<Arc<Certificate>>,
    by_issuer_serial: HashMap<IssuerSerial, Vec<Entry>>,
    by_ski: HashMap<Vec<u8>, Vec<Entry>>,
    locked_local_key_ids: HashSet<Vec<u8>>,
}

/// What an identifier leads to, as indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Certificate(usize),
    Key(usize),
    /// A locked file is this recipient's.
    Locked,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing")
            .field("files", &self.files.len())
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

impl KeyRing {
    /// Loads every key file at or below `paths`, recognised by content. A file that does not open
    /// is noted and the load goes on; the result depends on the files and passphrases only.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] where a path in `paths` is not there.
    pub fn load(paths: &[PathBuf], passphrases: &mut Passphrases) -> Result<Self> {
        let mut builder = Builder::default();
        for path in load::files(paths)? {
            builder.add(load::load(path, passphrases));
        }
        Ok(builder.finish())
    }

    /// Every file met, in the order of the paths given, sorted within each.
    pub fn files(&self) -> &[KeyFile] {
        &self.files
    }

    /// Every key, each once.
    pub fn keys(&self) -> &[Arc<PrivateKey>] {
        &self.keys
    }

    /// The keys that answer for the certificate that an IssuerAndSerialNumber names: the issuer's
    /// Name as a whole element, the body of the serial number's INTEGER.
    pub fn find(&self, issuer: &[u8], serial: &[u8]) -> Vec<Arc<PrivateKey>> {
        self.keys_of(self.entries(issuer, serial))
    }

    /// The keys that a subject key identifier names: the certificate's extension, or the SHA-1 of
    /// the public key (RFC 5280 §4.2.1.2, method 1).
    pub fn find_ski(&self, ski: &[u8]) -> Vec<Arc<PrivateKey>> {
        self.keys_of(self.by_ski.get(ski).map(Vec::as_slice).unwrap_or_default())
    }

    /// Keys without any certificate: whose they are shows when they open something.
    pub fn bare(&self) -> &[Arc<PrivateKey>] {
        &self.bare
    }

    /// Whether a locked file is known to be this recipient's.
    pub fn locked_for_issuer_serial(&self, issuer: &[u8], serial: &[u8]) -> bool {
        is_locked(self.entries(issuer, serial))
    }

    /// Whether a locked file is known to be this recipient's.
    pub fn locked_for_ski(&self, ski: &[u8]) -> bool {
        is_locked(self.by_ski.get(ski).map(Vec::as_slice).unwrap_or_default())
    }

    /// Whether a locked file holds the key of `certificate`, seen anywhere: its localKeyID is the
    /// certificate's SHA-1, as OpenSSL writes it.
    pub fn locked_for_certificate(&self, certificate: &Certificate) -> bool {
        self.locked_for_issuer_serial(&certificate.issuer_der, &certificate.serial)
            || self
                .locked_local_key_ids
                .contains(&sha1(&certificate.der)[..])
    }

    /// The localKeyIDs in locked files.
    pub fn locked_local_key_ids(&self) -> &HashSet<Vec<u8>> {
        &self.locked_local_key_ids
    }

    /// Whether a file stays locked of which nothing tells whose key it holds.
    pub fn has_unknown_locked(&self) -> bool {
        self.files
            .iter()
            .any(|file| file.status == KeyFileStatus::Locked && file.certificates.is_empty())
    }

    /// Every certificate in the files, each once, correspondents' included.
    pub fn certificates(&self) -> &[Arc<Certificate>] {
        &self.certificates
    }

    /// The certificate that an IssuerAndSerialNumber names.
    pub fn find_certificate(&self, issuer: &[u8], serial: &[u8]) -> Option<Arc<Certificate>> {
        self.entries(issuer, serial)
            .iter()
            .find_map(|entry| match entry {
                Entry::Certificate(i) => self.certificates.get(*i).cloned(),
                _ => None,
            })
    }

    fn entries(&self, issuer: &[u8], serial: &[u8]) -> &[Entry] {
        let entries = issuer_serial(issuer, serial).and_then(|key| self.by_issuer_serial.get(&key));
        entries.map(Vec::as_slice).unwrap_or_default()
    }

    fn keys_of(&self, entries: &[Entry]) -> Vec<Arc<PrivateKey>> {
        let keys = entries.iter().filter_map(|entry| match entry {
            Entry::Key(i) => self.keys.get(*i).cloned(),
            _ => None,
        });
        keys.collect()
    }
}

fn is_locked(entries: &[Entry]) -> bool {
    entries.contains(&Entry::Locked) && !entries.iter().any(|e| matches!(e, Entry::Key(_)))
}

fn issuer_serial(issuer: &[u8], serial: &[u8]) -> Option<IssuerSerial> {
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    let serial = serial.get(zeros.min(serial.len().saturating_sub(1))..)?;
    Some((name::canonical(issuer)?, serial.to_vec()))
}

/// SHA-1 of the BIT STRING in a `SubjectPublicKeyInfo`.
fn computed_ski(spki: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Tlv::only(spki).ok()?.reader();
    reader.require(tag::SEQUENCE, "").ok()?;
    let bits = reader.require(tag::BIT_STRING, "").ok()?;
    Some(sha1(bits.body.get(1..)?).to_vec())
}

/// Collects what the files gave; keys and certificates find each other at the end, whatever files
/// they lie in.
#[derive(Default)]
struct Builder {
    files: Vec<KeyFile>,
    /// Each with its `SubjectPublicKeyInfo`.
    keys: Vec<(SecretKey, Vec<u8>, String)>,
    known_keys: HashSet<Vec<u8>>,
    certificates: Vec<Arc<Certificate>>,
    by_sha256: HashMap<[u8; 32], usize>,
    locked_local_key_ids: HashSet<Vec<u8>>,
}

impl Builder {
    fn add(&mut self, loaded: Loaded) {
        let certificates: Vec<_> = loaded
            .certificates
            .iter()
            .filter_map(|der| self.certificate(der))
            .collect();
        let name = loaded.path.file_name().unwrap_or(loaded.path.as_os_str());
        let name = escape_path(name.as_ref());
        let mut count = 0;
        for key in loaded.keys {
            let Ok(spki) = key.public_key_to_der() else {
                continue;
            };
            count += 1;
            if self.known_keys.insert(spki.clone()) {
                self.keys.push((key, spki, name.clone()));
            }
        }
        self.locked_local_key_ids.extend(loaded.locked_ids);
        self.files.push(KeyFile {
            path: loaded.path,
            status: loaded.status,
            keys: count,
            certificates,
        });
    }

    /// The certificate, decoded once however many files hold it.
    fn certificate(&mut self, der: &[u8]) -> Option<Arc<Certificate>> {
        let certificate = Certificate::decode(der).ok()?;
        if let Some(i) = self.by_sha256.get(&certificate.sha256) {
            return self.certificates.get(*i).cloned();
        }
        let certificate = Arc::new(certificate);
        self.by_sha256
            .insert(certificate.sha256, self.certificates.len());
        self.certificates.push(Arc::clone(&certificate));
        Some(certificate)
    }

    fn finish(mut self) -> KeyRing {
        self.lend_certificates_to_locked_files();
        let locked = self.locked_certificates();
        let mut ring = KeyRing::default();
        // Position of each key by its public half.
        let mut by_spki: HashMap<&[u8], usize> = HashMap::new();
        for (i, (_, spki, _)) in self.keys.iter().enumerate() {
            by_spki.insert(spki, i);
        }
        let mut owned: Vec<Vec<Arc<Certificate>>> = vec![Vec::new(); self.keys.len()];
        for (i, certificate) in self.certificates.iter().enumerate() {
            let spki = certificate
                .public_key
                .as_ref()
                .and_then(|key| key.public_key_to_der().ok());
            let key = spki
                .as_ref()
                .and_then(|spki| by_spki.get(&spki[..]).copied());
            if let Some(list) = key.and_then(|key| owned.get_mut(key)) {
                list.push(Arc::clone(certificate));
            }
            let mut entries = vec![Entry::Certificate(i)];
            entries.extend(key.map(Entry::Key));
            if key.is_none() && locked.contains(&certificate.sha256) {
                entries.push(Entry::Locked);
            }
            if let Some(at) = issuer_serial(&certificate.issuer_der, &certificate.serial) {
                extend(ring.by_issuer_serial.entry(at).or_default(), &entries);
            }
            let computed = spki.as_deref().and_then(computed_ski);
            for ski in certificate.ski.iter().chain(&computed) {
                extend(ring.by_ski.entry(ski.clone()).or_default(), &entries);
            }
        }
        drop(by_spki);
        for (i, ((key, spki, name), certificates)) in self.keys.into_iter().zip(owned).enumerate() {
            if let Some(ski) = computed_ski(&spki) {
                extend(ring.by_ski.entry(ski).or_default(), &[Entry::Key(i)]);
            }
            let key = Arc::new(PrivateKey {
                key,
                certificates,
                name,
            });
            if key.certificates.is_empty() {
                ring.bare.push(Arc::clone(&key));
            }
            ring.keys.push(key);
        }
        ring.files = self.files;
        ring.certificates = self.certificates;
        ring.locked_local_key_ids = self.locked_local_key_ids;
        ring
    }

    /// A locked file and a certificate's file beside it that share a name but for the extension
    /// belong together.
    fn lend_certificates_to_locked_files(&mut self) {
        let stem = |file: &KeyFile| file.path.with_extension("");
        let mut beside: HashMap<PathBuf, Vec<Arc<Certificate>>> = HashMap::new();
        for file in self
            .files
            .iter()
            .filter(|file| file.status == KeyFileStatus::NoKey)
        {
            beside
                .entry(stem(file))
                .or_default()
                .extend(file.certificates.iter().cloned());
        }
        for file in self
            .files
            .iter_mut()
            .filter(|file| file.status == KeyFileStatus::Locked)
        {
            for certificate in beside.get(&stem(file)).into_iter().flatten() {
                let known = |own: &Arc<Certificate>| own.sha256 == certificate.sha256;
                if !file.certificates.iter().any(known) {
                    file.certificates.push(Arc::clone(certificate));
                }
            }
        }
    }

    /// The certificates whose keys lie in locked files: those in or beside them, and those that a
    /// localKeyID names. A CA's comes with the chain and is nobody's, unless it stands alone: many a
    /// self-made certificate says that it is a CA.
    fn locked_certificates(&self) -> HashSet<[u8; 32]> {
        let locked = self
            .files
            .iter()
            .filter(|file| file.status == KeyFileStatus::Locked);
        let of_files = locked.flat_map(|file| {
            let only_cas = file
                .certificates
                .iter()
                .all(|certificate| certificate.is_ca);
            let own = move |certificate: &&Arc<Certificate>| only_cas || !certificate.is_ca;
            file.certificates.iter().filter(own)
        });
        let named = |c: &&Arc<Certificate>| {
            !self.locked_local_key_ids.is_empty()
                && self.locked_local_key_ids.contains(&sha1(&c.der)[..])
        };
        let named = self.certificates.iter().filter(named);
        of_files
            .chain(named)
            .map(|certificate| certificate.sha256)
            .collect()
    }
}

/// Adds what is not there yet.
fn extend(list: &mut Vec<Entry>, entries: &[Entry]) {
    for entry in entries {
        if !list.contains(entry) {
            list.push(*entry);
        }
    }
}
