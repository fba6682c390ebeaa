//! Programs that read encrypted mail with a person's key: the OpenSSL command line, gpgsm, NSS.

use std::path::Path;

use super::tools::{Pki, has, openssl, run};

/// The CMS object that a message's base64 body is.
#[track_caller]
pub(crate) fn object_of(message: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(message.to_vec())
        .expect("text")
        .replace("\r\n", "\n");
    let (_, body) = text.split_once("\n\n").expect("a body");
    let body: String = body.split_whitespace().collect();
    base64_simd::STANDARD.decode_to_vec(body).expect("base64")
}

/// What OpenSSL makes of an object with the key of `name`.
pub(crate) fn by_openssl(pki: &Pki, name: &str, object: &Path) -> Option<Vec<u8>> {
    let line = format!(
        "cms -decrypt -binary -inform DER -in {} -recip {name}.pem -inkey {name}.key",
        object.display()
    );
    let said = openssl(pki.path(), &line);
    said.ok.then_some(said.stdout)
}

/// gpgsm with a key ring of its own.
pub(crate) struct Gpgsm {
    home: tempfile::TempDir,
}

impl Gpgsm {
    /// One that trusts the authority of `pki`, and holds these people's keys, as far as it can take
    /// them; `None` where gpgsm is not installed.
    pub(crate) fn new(pki: &Pki, names: &[&str]) -> Option<Self> {
        if !has("gpgsm") {
            return None;
        }
        // A socket's path has little room.
        let home = tempfile::Builder::new()
            .prefix("g")
            .tempdir_in("/tmp")
            .expect("a folder");
        let print = openssl(pki.path(), "x509 -in root.pem -noout -fingerprint -sha1");
        let print = String::from_utf8_lossy(&print.expect("fingerprint")).into_owned();
        let print = print.trim().rsplit('=').next().unwrap_or_default();
        for (file, text) in [
            ("trustlist.txt", format!("{print} S relax\n")),
            (
                "gpgsm.conf",
                "disable-crl-checks\ndisable-policy-checks\nno-secmem-warning\n".to_owned(),
            ),
            ("gpg-agent.conf", "allow-loopback-pinentry\n".to_owned()),
        ] {
            std::fs::write(home.path().join(file), text).expect("a file");
        }
        let gpgsm = Self { home };
        gpgsm.say(&["--import", &text(&pki.certificate("root"))], b"");
        for name in names {
            let file = text(&pki.pkcs12(name));
            gpgsm.say(&["--passphrase-fd", "0", "--import", &file], b"secret\n");
        }
        Some(gpgsm)
    }

    fn say(&self, words: &[&str], input: &[u8]) -> super::tools::Said {
        let home = text(self.home.path());
        let all: Vec<&str> = ["--homedir", &home, "--batch", "--yes", "--quiet"]
            .into_iter()
            .chain(["--pinentry-mode", "loopback"])
            .chain(words.iter().copied())
            .collect();
        run("gpgsm", &all, input)
    }

    /// What it makes of an object.
    pub(crate) fn decrypt(&self, object: &Path) -> Option<Vec<u8>> {
        let said = self.say(
            &["--passphrase-fd", "0", "--decrypt", &text(object)],
            b"secret\n",
        );
        said.ok.then_some(said.stdout)
    }
}

impl Drop for Gpgsm {
    fn drop(&mut self) {
        // Its agent would outlive the folder.
        let home = text(self.home.path());
        let _ = run("gpgconf", &["--homedir", &home, "--kill", "all"], b"");
    }
}

/// NSS with a database of its own.
pub(crate) struct Nss {
    home: tempfile::TempDir,
}

impl Nss {
    /// One that holds these people's keys, as far as it can take them; `None` where its tools are not
    /// installed.
    pub(crate) fn new(pki: &Pki, names: &[&str]) -> Option<Self> {
        if !["certutil", "pk12util", "cmsutil"].into_iter().all(has) {
            return None;
        }
        let nss = Self {
            home: tempfile::tempdir().expect("a folder"),
        };
        let db = nss.db();
        run("certutil", &["-N", "-d", &db, "--empty-password"], b"").expect("certutil");
        let root = text(&pki.certificate("root"));
        let trust = ["-A", "-d", &db, "-n", "root", "-t", "CT,C,", "-i", &root];
        run("certutil", &trust, b"").expect("certutil");
        for name in names {
            let file = text(&pki.pkcs12(name));
            run("pk12util", &["-i", &file, "-d", &db, "-W", "secret"], b"");
        }
        Some(nss)
    }

    fn db(&self) -> String {
        format!("sql:{}", self.home.path().display())
    }

    /// What it makes of an object.
    pub(crate) fn decrypt(&self, object: &Path) -> Option<Vec<u8>> {
        let out = self.home.path().join("out");
        let _ = std::fs::remove_file(&out);
        let (db, object, file) = (self.db(), text(object), text(&out));
        let said = run(
            "cmsutil",
            &["-D", "-d", &db, "-i", &object, "-o", &file],
            b"",
        );
        said.ok.then(|| std::fs::read(&out).unwrap_or_default())
    }

    /// An object by `name` that signs `content`, opaque.
    #[track_caller]
    pub(crate) fn sign(&self, name: &str, content: &Path) -> Vec<u8> {
        let (db, content) = (self.db(), text(content));
        run(
            "cmsutil",
            &[
                "-S", "-d", &db, "-N", name, "-H", "SHA256", "-G", "-P", "-i", &content,
            ],
            b"",
        )
        .expect("cmsutil -S")
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
