//! A small PKI made by the `openssl` program, with fixed dates, for the tests of several folders.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use super::Certificate;

/// Seconds of 2021-01-01, inside every default validity.
pub(crate) const MID_2021: i64 = 1_609_459_200;

/// What to issue.
#[derive(Clone)]
pub(crate) struct Spec {
    name: String,
    issuer: Option<String>,
    subject: String,
    from: String,
    to: String,
    extensions: Vec<String>,
    digest: String,
    key: Option<String>,
}

impl Spec {
    /// A self-signed authority, 2015 to 2035.
    pub(crate) fn root(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            issuer: None,
            subject: format!("/C=DE/O=Test/CN={name}"),
            from: "20150101000000Z".to_owned(),
            to: "20350101000000Z".to_owned(),
            extensions: vec!["basicConstraints=critical,CA:TRUE".to_owned()],
            digest: "sha256".to_owned(),
            key: None,
        }
    }

    /// An intermediate authority, 2016 to 2034.
    pub(crate) fn ca(name: &str, issuer: &str) -> Self {
        Self {
            issuer: Some(issuer.to_owned()),
            ..Self::root(name)
        }
        .dates("20160101000000Z", "20340101000000Z")
    }

    /// A mail certificate for `name@example.com`, 2020 to 2022.
    pub(crate) fn leaf(name: &str, issuer: &str) -> Self {
        let mut spec = Self::ca(name, issuer).dates("20200101000000Z", "20220101000000Z");
        spec.extensions = vec![
            "keyUsage=critical,digitalSignature,keyEncipherment,keyAgreement".to_owned(),
            "extendedKeyUsage=emailProtection".to_owned(),
        ];
        spec.address(&format!("{name}@example.com"))
    }

    /// First and last second, `YYYYMMDDHHMMSSZ`.
    pub(crate) fn dates(mut self, from: &str, to: &str) -> Self {
        (self.from, self.to) = (from.to_owned(), to.to_owned());
        self
    }

    /// In place of the subject made of the name.
    pub(crate) fn subject(mut self, subject: &str) -> Self {
        subject.clone_into(&mut self.subject);
        self
    }

    /// Sets an extension, in place of one of the same name; a value of "" takes it away.
    pub(crate) fn extension(mut self, name: &str, value: &str) -> Self {
        self.extensions
            .retain(|line| !line.starts_with(&format!("{name}=")));
        if !value.is_empty() {
            self.extensions.push(format!("{name}={value}"));
        }
        self
    }

    /// The rfc822Name.
    pub(crate) fn address(self, address: &str) -> Self {
        self.extension("subjectAltName", &format!("email:{address}"))
    }

    /// The issuer's digest.
    pub(crate) fn digest(mut self, digest: &str) -> Self {
        digest.clone_into(&mut self.digest);
        self
    }

    /// The key of another certificate, for renewals and cross-certificates.
    pub(crate) fn key_of(mut self, other: &str) -> Self {
        self.key = Some(other.to_owned());
        self
    }
}

/// A folder of certificates (`NAME.pem`) and P-256 keys (`NAME.key`).
pub(crate) struct Pki {
    dir: tempfile::TempDir,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("index.txt"), "");
        write(&dir.path().join("index.txt.attr"), "unique_subject = no\n");
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs `openssl` in the folder and expects success.
    pub(crate) fn openssl(&self, arguments: &[&str]) -> Output {
        let output = self.try_openssl(arguments);
        assert!(
            output.status.success(),
            "openssl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    /// Runs `openssl` in the folder.
    pub(crate) fn try_openssl(&self, arguments: &[&str]) -> Output {
        Command::new("openssl")
            .args(arguments)
            .current_dir(self.dir.path())
            .stdin(std::process::Stdio::null())
            .output()
            .expect("openssl is installed")
    }

    /// Issues a certificate; authorities first.
    pub(crate) fn issue(&self, spec: &Spec) -> Arc<Certificate> {
        let file = |suffix: &str| format!("{}.{suffix}", spec.name);
        let key = file("key");
        match &spec.key {
            Some(other) => {
                std::fs::copy(self.path(&format!("{other}.key")), self.path(&key)).unwrap();
            }
            None => {
                self.openssl(&[
                    "ecparam",
                    "-genkey",
                    "-name",
                    "prime256v1",
                    "-noout",
                    "-out",
                    &key,
                ]);
            }
        }
        self.openssl(&[
            "req",
            "-new",
            "-utf8",
            "-config",
            "/dev/null",
            "-key",
            &key,
            "-subj",
            &spec.subject,
            "-out",
            &file("csr"),
        ]);
        let issuer = spec.issuer.as_ref();
        let config = format!(
            "[ca]\ndefault_ca=own\n[own]\nnew_certs_dir=.\ndatabase=index.txt\nrand_serial=yes\n\
             policy=any\nemail_in_dn=yes\npreserve=yes\nunique_subject=no\nx509_extensions=extensions\n\
             [any]\n[extensions]\nsubjectKeyIdentifier=hash\n{}\n",
            spec.extensions.join("\n")
        );
        write(&self.path("ca.cnf"), &config);
        let (certificate, issuer_key) = (
            issuer.map(|i| format!("{i}.pem")),
            issuer.map(|i| format!("{i}.key")),
        );
        let mut arguments = vec![
            "ca",
            "-batch",
            "-notext",
            "-utf8",
            "-preserveDN",
            "-config",
            "ca.cnf",
            "-startdate",
            &spec.from,
            "-enddate",
            &spec.to,
            "-md",
            &spec.digest,
        ];
        let (csr, out) = (file("csr"), file("pem"));
        arguments.extend(["-in", &csr, "-out", &out]);
        match (&certificate, &issuer_key) {
            (Some(certificate), Some(key)) => {
                arguments.extend(["-cert", certificate, "-keyfile", key]);
            }
            _ => arguments.extend(["-selfsign", "-keyfile", &key]),
        }
        self.openssl(&arguments);
        self.load(&spec.name)
    }

    /// The certificate `NAME.pem`.
    pub(crate) fn load(&self, name: &str) -> Arc<Certificate> {
        let bytes = std::fs::read(self.path(&format!("{name}.pem"))).unwrap();
        Arc::new(
            super::trust::certificates_in(&bytes)
                .pop()
                .expect("one certificate"),
        )
    }
}

fn write(path: &Path, content: impl AsRef<[u8]>) {
    use std::io::Write as _;
    crate::fsio::create(path)
        .unwrap()
        .write_all(content.as_ref())
        .unwrap();
}

/// A revocation list to be made.
#[derive(Clone)]
pub(crate) struct List {
    issuer: String,
    issued: String,
    next: String,
    revoked: Vec<(String, String)>,
    extensions: Vec<String>,
    patch: Option<(Vec<u8>, Vec<u8>)>,
}

impl List {
    /// By an authority; `YYYYMMDDHHMMSSZ`.
    pub(crate) fn by(issuer: &str, issued: &str, next: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            issued: issued.to_owned(),
            next: next.to_owned(),
            revoked: Vec::new(),
            extensions: Vec::new(),
            patch: None,
        }
    }

    /// With an entry for the certificate `NAME.pem`: a date, a reason and what goes with it, as
    /// `openssl ca` keeps them in its index.
    pub(crate) fn revoked(mut self, name: &str, entry: &str) -> Self {
        self.revoked.push((name.to_owned(), entry.to_owned()));
        self
    }

    /// With an extension of the list.
    pub(crate) fn extension(mut self, name: &str, value: &str) -> Self {
        self.extensions.push(format!("{name}={value}"));
        self
    }

    /// With an issuingDistributionPoint.
    pub(crate) fn scope(self, name: &str, value: &str) -> Self {
        self.extension(
            "issuingDistributionPoint",
            &format!("critical,@scope\n[scope]\n{name}={value}"),
        )
    }

    /// With some of its bytes changed before it is signed.
    pub(crate) fn patched(mut self, from: &[u8], to: &[u8]) -> Self {
        self.patch = Some((from.to_vec(), to.to_vec()));
        self
    }
}

impl Pki {
    /// Makes a list.
    pub(crate) fn list(&self, list: &List) -> Arc<super::Crl> {
        let mut index = String::new();
        for (name, entry) in &list.revoked {
            let serial = crate::text::hex(&self.load(name).serial).to_uppercase();
            index.push_str(&format!(
                "R\t350101000000Z\t{entry}\t{serial}\tunknown\t/CN={name}\n"
            ));
        }
        write(&self.path("crl-index.txt"), &index);
        write(&self.path("crl-index.txt.attr"), "unique_subject = no\n");
        let config = format!(
            "[ca]\ndefault_ca=own\n[own]\ndatabase=crl-index.txt\nunique_subject=no\ncrl_extensions=extensions\n\
             default_md=sha256\n[extensions]\nauthorityKeyIdentifier=keyid\n{}\n",
            list.extensions.join("\n")
        );
        write(&self.path("crl.cnf"), &config);
        let (certificate, key) = (
            format!("{}.pem", list.issuer),
            format!("{}.key", list.issuer),
        );
        self.openssl(&[
            "ca",
            "-gencrl",
            "-config",
            "crl.cnf",
            "-cert",
            &certificate,
            "-keyfile",
            &key,
            "-crl_lastupdate",
            &list.issued,
            "-crl_nextupdate",
            &list.next,
            "-out",
            "list.pem",
        ]);
        self.openssl(&[
            "crl", "-in", "list.pem", "-outform", "DER", "-out", "list.der",
        ]);
        let mut der = std::fs::read(self.path("list.der")).unwrap();
        if let Some((from, to)) = &list.patch {
            let at = memchr::memmem::find(&der, from).expect("the bytes to change");
            der[at..at + to.len()].copy_from_slice(to);
            der = self.signed_anew(&der, &key);
        }
        Arc::new(super::Crl::decode(&der).unwrap())
    }

    /// A list, or any object of the same build, with its signature (ECDSA, SHA-256) made anew.
    fn signed_anew(&self, der: &[u8], key: &str) -> Vec<u8> {
        use crate::cert::der::Reader;
        let mut fields = Reader::new(Reader::new(der).expect(0x30).unwrap().body);
        let (tbs, algorithm) = (fields.next().unwrap().raw, fields.next().unwrap().raw);
        write(&self.path("tbs"), tbs);
        self.openssl(&["dgst", "-sha256", "-sign", key, "-out", "tbs.sig", "tbs"]);
        let signature = std::fs::read(self.path("tbs.sig")).unwrap();
        let bits = crate::cms::der::element(3, &[&[0], &signature]);
        crate::cms::der::sequence(&[tbs, algorithm, &bits])
    }
}
