//! Runs other programs: the OpenSSL command line, the Python judges of `tests/it/judge/`, an
//! authority with people and keys.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::peers;

/// What a program said.
pub(crate) struct Said {
    pub(crate) ok: bool,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Said {
    /// Standard output of a program that has to succeed.
    #[track_caller]
    pub(crate) fn expect(self, what: &str) -> Vec<u8> {
        assert!(
            self.ok,
            "{what}: {}\n{}",
            self.stderr,
            String::from_utf8_lossy(&self.stdout)
        );
        self.stdout
    }
}

/// Whether a peer is installed; if it is not, that is said, and a failure where peers are required.
pub(crate) fn has(program: &str) -> bool {
    peers::peer(program).is_some()
}

/// Whether Python is installed, with a module beyond its standard library.
pub(crate) fn has_python_module(module: &str) -> bool {
    peers::python_module(module)
}

/// Runs a program with something on its standard input.
pub(crate) fn run<A: AsRef<OsStr>>(program: &str, arguments: &[A], input: &[u8]) -> Said {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || {
        // A program that does not want its input closes it.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    Said {
        ok: output.status.success(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// `openssl` with words separated by spaces, run in `folder`.
pub(crate) fn openssl(folder: &Path, line: &str) -> Said {
    let output = Command::new("openssl")
        .args(line.split_whitespace())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Said {
        ok: output.status.success(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs a script of `tests/it/judge/` with Python and returns what it printed; a script that
/// finds something wrong exits with 1.
#[track_caller]
pub(crate) fn judge<A: AsRef<OsStr>>(script: &str, arguments: &[A]) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/judge")
        .join(script);
    let mut all: Vec<&OsStr> = vec!["-B".as_ref(), path.as_os_str()];
    all.extend(arguments.iter().map(AsRef::as_ref));
    let said = run("python3", &all, b"");
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.ok, "{script} disagrees:\n{text}{}", said.stderr);
    text
}

/// A time at which the certificates of a [`Pki`] are valid, whenever the test runs.
pub(crate) const LATER: &str = "2044-01-01T00:00:00Z";

/// A certificate authority and people with keys, made by the `openssl` command line.
pub(crate) struct Pki {
    folder: tempfile::TempDir,
}

impl Pki {
    /// A root of its own.
    pub(crate) fn new() -> Self {
        let pki = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        pki.openssl(
            "req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -days 7300 -subj /CN=Test-Root \
             -addext keyUsage=critical,keyCertSign,cRLSign",
        );
        pki
    }

    /// Where everything lies.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `NAME.pem`, by name.
    pub(crate) fn certificate(&self, name: &str) -> PathBuf {
        self.path().join(format!("{name}.pem"))
    }

    /// `NAME.key`, by name.
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.path().join(format!("{name}.key"))
    }

    /// Issues `NAME.key` and `NAME.pem` for `NAME@example.org`; `algorithm` is `rsa` or `ec`.
    pub(crate) fn person(&self, name: &str, algorithm: &str, serial: u32) {
        self.make_key(name, algorithm);
        self.issue(name, name, serial);
    }

    /// Makes `NAME.key`.
    pub(crate) fn make_key(&self, name: &str, algorithm: &str) {
        let how = match algorithm {
            "rsa" => "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
            "rsa-pss" => "-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048",
            "rsa-1024" => "-algorithm RSA -pkeyopt rsa_keygen_bits:1024",
            "rsa-768" => "-algorithm RSA -pkeyopt rsa_keygen_bits:768",
            "ec" => "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
            "x25519" => "-algorithm X25519",
            "x448" => "-algorithm X448",
            "dhx" => "-algorithm DHX -pkeyopt group:dh_2048_256",
            "ec-p384" => "-algorithm EC -pkeyopt ec_paramgen_curve:P-384",
            "ec-p521" => "-algorithm EC -pkeyopt ec_paramgen_curve:P-521",
            "ed25519" => "-algorithm ED25519",
            "ed448" => "-algorithm ED448",
            "dsa" => {
                self.openssl(&format!(
                    "genpkey -genparam -algorithm DSA -pkeyopt pbits:2048 -pkeyopt qbits:256 -out {name}.params"
                ));
                &format!("-paramfile {name}.params")
            }
            other => panic!("{other}"),
        };
        self.openssl(&format!("genpkey {how} -out {name}.key"));
    }

    /// Issues `FILE.pem` over `FILE.key` for a person's name with a serial number.
    pub(crate) fn issue(&self, file: &str, name: &str, serial: u32) {
        std::fs::write(
            self.path().join(format!("{file}.ext")),
            format!(
                "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nextendedKeyUsage=emailProtection\n\
                 keyUsage=digitalSignature,keyEncipherment,keyAgreement\nsubjectAltName=email:{name}@example.org\n"
            ),
        )
        .unwrap();
        self.openssl(&format!("req -new -key {file}.key -out {file}.csr -subj /CN={name}/emailAddress={name}@example.org"));
        self.openssl(&format!(
            "x509 -req -in {file}.csr -CA root.pem -CAkey root.key -set_serial {serial} -days 7300 -extfile {file}.ext -out {file}.pem"
        ));
    }

    /// Issues `NAME.key` and `NAME.pem` where the key cannot sign its own request: for X25519, X448 and
    /// Diffie-Hellman (`dhx`).
    pub(crate) fn person_who_cannot_sign(&self, name: &str, algorithm: &str, serial: u32) {
        self.person(name, "ec", serial);
        self.make_key(name, algorithm);
        self.openssl(&format!("pkey -in {name}.key -pubout -out {name}.pub"));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -force_pubkey {name}.pub -CA root.pem -CAkey root.key -set_serial {serial} -days 7300 -extfile {name}.ext -out {name}.pem"
        ));
    }

    /// Issues `NAME.pem` anew with one more extension, in the words of OpenSSL's configuration.
    pub(crate) fn issue_with(&self, name: &str, serial: u32, extension: &str) {
        let file = self.path().join(format!("{name}.ext"));
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{text}{extension}\n")).unwrap();
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA root.pem -CAkey root.key -set_serial {serial} -days 7300 -extfile {name}.ext \
             -out {name}.pem"
        ));
    }

    /// `NAME.p12` under the passphrase `secret`, protected as every program reads it.
    pub(crate) fn pkcs12(&self, name: &str) -> PathBuf {
        self.openssl(&format!(
            "pkcs12 -export -inkey {name}.key -in {name}.pem -name {name} -out {name}.p12 -passout pass:secret \
             -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg SHA1"
        ));
        self.path().join(format!("{name}.p12"))
    }

    /// A folder that holds the keys and certificates of some of them, as `--keys` takes it.
    pub(crate) fn keys_of(&self, names: &[&str]) -> PathBuf {
        let folder = self.path().join(format!("keys-{}", names.join("-")));
        std::fs::create_dir_all(&folder).unwrap();
        for name in names {
            for file in [self.certificate(name), self.key(name)] {
                std::fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
            }
        }
        folder
    }

    #[track_caller]
    fn openssl(&self, line: &str) {
        openssl(self.path(), line).expect(line);
    }
}
