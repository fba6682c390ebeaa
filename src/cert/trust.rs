//! Trust anchors, and reading certificates from the files an administrator names.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Certificate;
use crate::error::{Error, Result};

/// Files beyond this many bytes are not searched for certificates.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Where the usual systems keep their bundle of certification authorities.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The certificates that paths may end at. Each is an anchor whether or not it is self-signed.
#[derive(Default)]
pub struct Trust {
    anchors: Vec<Arc<Certificate>>,
    known: HashSet<[u8; 32]>,
    by_subject: HashMap<String, Vec<usize>>,
}

impl Trust {
    /// No anchors: no chain is trusted.
    pub fn empty() -> Self {
        Self::default()
    }

    /// These anchors, each once.
    pub fn new(anchors: impl IntoIterator<Item = Arc<Certificate>>) -> Self {
        let mut trust = Self::default();
        for anchor in anchors {
            if trust.known.insert(anchor.sha256) {
                let index = trust.anchors.len();
                trust
                    .by_subject
                    .entry(anchor.subject_key.clone())
                    .or_default()
                    .push(index);
                trust.anchors.push(anchor);
            }
        }
        trust
    }

    /// The anchors, in the order given.
    pub fn anchors(&self) -> &[Arc<Certificate>] {
        &self.anchors
    }

    /// Whether there are no anchors.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// Whether `certificate` is an anchor itself.
    pub fn contains(&self, certificate: &Certificate) -> bool {
        self.known.contains(&certificate.sha256)
    }

    pub(super) fn with_subject_key(&self, key: &str) -> impl Iterator<Item = &Arc<Certificate>> {
        self.by_subject
            .get(key)
            .into_iter()
            .flatten()
            .filter_map(|index| self.anchors.get(*index))
    }
}

/// The system's bundle of certification authorities, which `--trust system` means.
pub fn system_bundle() -> Option<PathBuf> {
    SYSTEM_BUNDLES
        .iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
}

/// Every certificate in `paths`: files in PEM (any number in one), DER, or PKCS#7, and folders of
/// such files at any depth, in the order of their names. Each certificate once.
///
/// # Errors
/// [`Error::Usage`] where a path holds no readable certificate: what is named must mean something.
pub fn load_certificates(paths: &[PathBuf]) -> Result<Vec<Arc<Certificate>>> {
    let mut found = Vec::new();
    let mut known = HashSet::new();
    for path in paths {
        let before = found.len();
        let mut any = false;
        for file in files_below(path)? {
            for certificate in certificates_in(&read_bounded(&file)?) {
                any = true;
                if known.insert(certificate.sha256) {
                    found.push(Arc::new(certificate));
                }
            }
        }
        if !any && found.len() == before {
            return Err(Error::Usage(format!(
                "{}: no certificate found",
                path.display()
            )));
        }
    }
    Ok(found)
}

/// Every readable certificate in a file's bytes: PEM blocks, else one DER certificate or PKCS#7.
pub fn certificates_in(bytes: &[u8]) -> Vec<Certificate> {
    let blocks = pem_blocks(bytes, &LABELS);
    if blocks.is_empty() {
        return from_der(bytes);
    }
    blocks.iter().flat_map(|der| from_der(der)).collect()
}

fn from_der(der: &[u8]) -> Vec<Certificate> {
    if let Ok(certificate) = Certificate::decode(der) {
        return vec![certificate];
    }
    let Ok(bag) = openssl::pkcs7::Pkcs7::from_der(der) else {
        return Vec::new();
    };
    let certificates = bag.signed().and_then(|signed| signed.certificates());
    certificates
        .into_iter()
        .flatten()
        .filter_map(|x509| x509.to_der().ok())
        .filter_map(|der| Certificate::decode(&der).ok())
        .collect()
}

/// Labels of PEM blocks that hold certificates or PKCS#7.
const LABELS: [&[u8]; 5] = [
    b"CERTIFICATE",
    b"X509 CERTIFICATE",
    b"TRUSTED CERTIFICATE",
    b"PKCS7",
    b"CMS",
];

/// The decoded bodies of all PEM blocks with one of these labels.
pub(super) fn pem_blocks(bytes: &[u8], labels: &[&[u8]]) -> Vec<Vec<u8>> {
    const BEGIN: &[u8] = b"-----BEGIN ";
    let mut blocks = Vec::new();
    let mut rest = bytes;
    while let Some(start) = memchr::memmem::find(rest, BEGIN) {
        rest = rest.get(start + BEGIN.len()..).unwrap_or_default();
        let Some(label_end) =
            memchr::memmem::find(rest.get(..rest.len().min(64)).unwrap_or_default(), b"-----")
        else {
            continue;
        };
        let label = rest.get(..label_end).unwrap_or_default();
        let body = rest.get(label_end + 5..).unwrap_or_default();
        // A block without an end swallows nothing: the search goes on behind its own beginning.
        let Some(end) = memchr::memmem::find(body, b"-----END ") else {
            break;
        };
        if labels.contains(&label) {
            let text = body.get(..end).unwrap_or_default();
            blocks.extend(base64_simd::forgiving_decode_to_vec(text).ok());
        }
        rest = body.get(end..).unwrap_or_default();
    }
    blocks
}

/// The path itself, or all ordinary files below it; links are followed, as folders of
/// certification authorities are made of them.
pub(super) fn files_below(path: &Path) -> Result<Vec<PathBuf>> {
    let kind = std::fs::metadata(path).map_err(Error::io("read", path))?;
    if kind.is_file() {
        return Ok(vec![path.to_path_buf()]);
    }
    let walk = walkdir::WalkDir::new(path)
        .follow_links(true)
        .max_depth(16)
        .sort_by_file_name();
    // An entry that cannot be read is a dangling link more often than not: passed over.
    Ok(walk
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect())
}

fn read_bounded(path: &Path) -> Result<Vec<u8>> {
    let length = std::fs::metadata(path)
        .map_err(Error::io("read", path))?
        .len();
    if length > MAX_FILE_BYTES {
        return Ok(Vec::new());
    }
    crate::fsio::read(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cert::testing::{Pki, Spec};

    #[test]
    fn pem_der_pkcs7_and_folders_are_read_and_nothing_is_an_error() {
        let pki = Pki::new();
        let a = pki.issue(&Spec::root("a"));
        let b = pki.issue(&Spec::root("b"));
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            use std::io::Write as _;
            let path = dir.path().join(name);
            crate::fsio::create(&path)
                .unwrap()
                .write_all(bytes)
                .unwrap();
            path
        };
        let both = write(
            "both.pem",
            format!("text\n{}-----BEGIN X-----\n{}", a.pem(), b.pem()).as_bytes(),
        );
        let der = write("a.der", &a.der);
        pki.openssl(&[
            "crl2pkcs7",
            "-nocrl",
            "-certfile",
            "a.pem",
            "-certfile",
            "b.pem",
            "-out",
            "ab.p7b",
        ]);
        let bag = pki.path("ab.p7b");
        let nothing = write("notes.txt", b"-----BEGIN CERTIFICATE-----\n");
        let count = |paths: &[&PathBuf]| {
            load_certificates(&paths.iter().map(|p| (*p).clone()).collect::<Vec<_>>())
        };
        // The stray BEGIN line swallows the block after it.
        assert_eq!(count(&[&both]).unwrap().len(), 1);
        assert_eq!(count(&[&der]).unwrap()[0].sha256, a.sha256);
        assert_eq!(count(&[&bag]).unwrap().len(), 2);
        assert_eq!(count(&[&der, &bag, &both]).unwrap().len(), 2);
        assert_eq!(count(&[&dir.path().to_path_buf()]).unwrap().len(), 1);
        assert!(matches!(count(&[&nothing]), Err(Error::Usage(_))));
        assert!(matches!(
            count(&[&dir.path().join("absent")]),
            Err(Error::Io { .. })
        ));
    }

    /// Two exceptions, known by name: a certificate that is not DER, and one that holds the same
    /// extension twice. Skipped where `../shared/corpora` is not there.
    #[test]
    fn what_openssl_reads_is_readable() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora");
        let mut refused = Vec::new();
        for path in files_below(&corpora).unwrap_or_default() {
            let bytes = read_bounded(&path).unwrap();
            let mut all = pem_blocks(&bytes, &LABELS);
            all.push(bytes);
            for der in all
                .iter()
                .filter(|der| openssl::x509::X509::from_der(der).is_ok())
            {
                if let Err(why) = Certificate::decode(der) {
                    refused.push((path.file_name().unwrap().to_owned(), why));
                }
            }
        }
        refused.retain(|(name, _)| {
            name != "asn1_indefinite_length_encoding.pem" && name != "multiple_eku.pem"
        });
        assert_eq!(refused, []);
    }
}
