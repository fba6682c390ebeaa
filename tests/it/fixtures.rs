//! Every signed and every encrypted message of the sample, judged by OpenSSL, gpgsm and NSS beside
//! p7mill: is the signature over these bytes, and what does the object hold. Where one of them says
//! something else, `judge/differences.txt` says why.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use p7mill::archive::{self, Content};
use p7mill::cms;
use p7mill::crypto::digest::sha256;
use p7mill::keys::{KeyRing, MessageSecrets, Passphrases};
use p7mill::limits::{Budget, Limits};
use p7mill::message::{parts, transfer};
use p7mill::ops::{self, Input, Opening};
use p7mill::smime::find::{self, Kind};
use p7mill::smime::open::{Effort, Keys, Permission, Sealed, open};

use crate::fuzz::targets;
use crate::support::repository;
use crate::support::tools::{has, openssl, run};

/// The first S/MIME object of a message.
struct Object {
    name: String,
    message: Vec<u8>,
    der: Vec<u8>,
    /// What a detached signature is over.
    content: Option<Vec<u8>>,
}

/// In words that all can be brought to: `intact`, `broken`, `closed`, or a digest of what it holds.
type Answer = String;

fn objects() -> Vec<Object> {
    let mut out = Vec::new();
    let found = archive::discover(
        &[repository().join("sample-data/archive")],
        &Limits::default(),
    )
    .unwrap();
    for mailbox in &found.mailboxes {
        for message in mailbox.messages(&Limits::default()).unwrap() {
            let message = message.unwrap();
            let name = format!("{}:{}", mailbox.name, message.locator.ordinal);
            if let Content::Bytes(bytes) = message.content {
                out.extend(object(name, bytes));
            }
        }
    }
    out
}

fn object(name: String, message: Vec<u8>) -> Option<Object> {
    let tree = parts::parse(&message, &mut Budget::new(&Limits::default()));
    for (index, part) in tree.parts.iter().enumerate() {
        let (content, der) = match find::kind(&tree, index) {
            Some(Kind::ClearSigned { content, signature }) => {
                let entity = tree.entity(&tree.parts[content]);
                let unquoted = transfer::unquote_from(entity);
                let content = transfer::to_crlf(unquoted.as_deref().unwrap_or(entity)).into_owned();
                (Some(content), find::object(&tree, &tree.parts[signature]))
            }
            Some(Kind::Cms) => (None, find::object(&tree, part)),
            _ => continue,
        };
        let der = der?.bytes.into_owned();
        drop(tree);
        return Some(Object {
            name,
            message,
            der,
            content,
        });
    }
    None
}

/// Keys and certificates as the others take them.
struct Peers {
    folder: tempfile::TempDir,
    keys: Vec<String>,
}

const NSS: &str = "sql:nss";

impl Peers {
    fn new(ring: &KeyRing) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut keys = Vec::new();
        let authorities: Vec<PathBuf> = [
            "ca/root.pem",
            "intermediates/staff-1.pem",
            "intermediates/staff-2.pem",
        ]
        .map(|file| repository().join("sample-data").join(file))
        .to_vec();
        let all: String = authorities
            .iter()
            .map(|file| fs::read_to_string(file).unwrap())
            .collect();
        let own: String = ring
            .certificates()
            .iter()
            .map(|certificate| certificate.pem())
            .collect();
        fs::write(folder.path().join("all.pem"), all + &own).unwrap();
        for (n, key) in ring.keys().iter().enumerate() {
            let name = format!("k{n}");
            let pem = key.key.private_key_to_pem_pkcs8().unwrap();
            // A renewed certificate keeps its key: mail to the old one needs the old one.
            let certificates = key.certificates.iter().map(|certificate| certificate.pem());
            let certificates: String = certificates.collect();
            fs::write(
                folder.path().join(format!("{name}.pem")),
                [pem, certificates.into_bytes()].concat(),
            )
            .unwrap();
            let old = "-certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg sha1";
            openssl(
                folder.path(),
                &format!("pkcs12 -export -in {name}.pem -out {name}.p12 -passout pass:x {old}"),
            )
            .expect("pkcs12");
            keys.push(name);
        }
        let peers = Self { folder, keys };
        if has("gpgsm") {
            peers.make_gpgsm(&authorities);
        }
        if has("certutil") && has("cmsutil") && has("pk12util") {
            peers.make_nss(&authorities);
        }
        peers
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn make_gpgsm(&self, authorities: &[PathBuf]) {
        use std::os::unix::fs::PermissionsExt as _;
        let home = self.folder.path().join("home");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(
            home.join("gpgsm.conf"),
            "disable-crl-checks\ndisable-policy-checks\nno-secmem-warning\n",
        )
        .unwrap();
        fs::write(home.join("gpg-agent.conf"), "allow-loopback-pinentry\n").unwrap();
        let launch = [
            "--homedir",
            &home.to_string_lossy(),
            "--launch",
            "gpg-agent",
        ];
        run("gpgconf", &launch, b"");
        for file in authorities {
            self.gpgsm(&["--import", &file.to_string_lossy()]);
        }
        for name in &self.keys {
            let file = self.path(&format!("{name}.p12"));
            let imported = || {
                let said = self.gpgsm(&["--import", &file]).1;
                ["keys imported: 1", "keys unchanged: 1"]
                    .iter()
                    .any(|word| said.contains(word))
            };
            if !(0..4).any(|_| imported()) {
                println!("gpgsm does not take {name}");
            }
        }
    }

    /// The passphrase of every key is `x`.
    fn gpgsm(&self, words: &[&str]) -> (bool, String) {
        let home = self.path("home");
        let always = [
            "--homedir",
            home.as_str(),
            "--batch",
            "--yes",
            "--status-fd",
            "1",
            "--pinentry-mode",
            "loopback",
            "--passphrase-fd",
            "0",
        ];
        let said = run("gpgsm", &[&always[..], words].concat(), b"x\n");
        (
            said.ok,
            String::from_utf8_lossy(&said.stdout).into_owned() + &said.stderr,
        )
    }

    fn nss(&self, program: &str, words: &[&str]) -> (bool, String) {
        let database = format!("sql:{}", self.path("nss"));
        let words: Vec<&str> = words
            .iter()
            .map(|word| {
                if *word == NSS {
                    database.as_str()
                } else {
                    *word
                }
            })
            .collect();
        let said = run(program, &words, b"");
        (
            said.ok,
            String::from_utf8_lossy(&said.stdout).into_owned() + &said.stderr,
        )
    }

    fn make_nss(&self, authorities: &[PathBuf]) {
        fs::create_dir(self.folder.path().join("nss")).unwrap();
        assert!(
            self.nss("certutil", &["-N", "-d", NSS, "--empty-password"])
                .0
        );
        for (n, file) in authorities.iter().enumerate() {
            let trust = if n == 0 { "CT,C,C" } else { ",," };
            let nickname = format!("a{n}");
            assert!(
                self.nss(
                    "certutil",
                    &[
                        "-A",
                        "-d",
                        NSS,
                        "-n",
                        &nickname,
                        "-t",
                        trust,
                        "-i",
                        &file.to_string_lossy()
                    ]
                )
                .0
            );
        }
        for name in &self.keys {
            let file = self.path(&format!("{name}.p12"));
            let (ok, said) = self.nss("pk12util", &["-i", &file, "-d", NSS, "-W", "x"]);
            assert!(ok, "{name}: {said}");
        }
    }

    fn write(&self, object: &Object) {
        fs::write(self.folder.path().join("object"), &object.der).unwrap();
        if let Some(content) = &object.content {
            fs::write(self.folder.path().join("content"), content).unwrap();
        }
    }

    fn openssl_answer(&self, object: &Object, signed: bool) -> Answer {
        if signed {
            let content = if object.content.is_some() {
                "-content content"
            } else {
                ""
            };
            let line = format!(
                "cms -verify -noverify -binary -inform DER -in object {content} -certfile all.pem -out out"
            );
            return word(openssl(self.folder.path(), &line).ok);
        }
        for name in &self.keys {
            // With the certificate, so that only what is meant for it is tried.
            let line = format!(
                "cms -decrypt -binary -inform DER -in object -recip {name}.pem -inkey {name}.pem -out out"
            );
            if openssl(self.folder.path(), &line).ok {
                return self.digest_of("out");
            }
        }
        "closed".to_owned()
    }

    fn gpgsm_answer(&self, object: &Object, signed: bool) -> Answer {
        let (file, content, out) = (self.path("object"), self.path("content"), self.path("out"));
        if signed {
            let mut words = vec!["--verify", &file];
            if object.content.is_some() {
                words.push(&content);
            }
            let said = self.gpgsm(&words).1;
            return word(
                said.contains("GOODSIG") || said.contains("EXPKEYSIG") || said.contains("VALIDSIG"),
            );
        }
        // Its agent may take a while to answer on a busy machine.
        for _ in 0..4 {
            if self.gpgsm(&["--output", &out, "--decrypt", &file]).0 {
                return self.digest_of("out");
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        "closed".to_owned()
    }

    fn nss_answer(&self, object: &Object, signed: bool) -> Answer {
        let (file, content, out) = (self.path("object"), self.path("content"), self.path("out"));
        let _ = fs::remove_file(&out);
        let mut words = vec!["-D", "-d", NSS, "-i", &file, "-o", &out];
        if signed {
            words.extend(["-h", "0"]);
        }
        if object.content.is_some() {
            words.extend(["-c", &content]);
        }
        let (ok, said) = self.nss("cmsutil", &words);
        if signed {
            let headers = said + &fs::read_to_string(&out).unwrap_or_default();
            // It looks at the certificate first.
            if headers.contains("status=SigningCertNotTrusted") {
                return "untrusted".to_owned();
            }
            return word(headers.contains("status=GoodSignature"));
        }
        if ok {
            self.digest_of("out")
        } else {
            "closed".to_owned()
        }
    }

    fn digest_of(&self, name: &str) -> Answer {
        digest(&fs::read(self.folder.path().join(name)).unwrap_or_default())
    }
}

fn digest(bytes: &[u8]) -> Answer {
    sha256(bytes)
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn word(holds: bool) -> Answer {
    if holds { "intact" } else { "broken" }.to_owned()
}

fn our_answer(object: &Object, ring: &KeyRing) -> Option<(bool, Answer)> {
    let info = cms::parse(&object.der).ok()?;
    let sealed = match &info.content {
        cms::Content::Signed(signed) if signed.signers.is_empty() => return None,
        cms::Content::Signed(_) => {
            let context = targets::context(Opening::Keep);
            let input = Input {
                quoting: true,
                ..Input::of(&object.message)
            };
            let outcome = ops::process(&context, &input);
            let first = outcome.findings.signatures.first()?;
            return Some((true, first.integrity.as_str().to_owned()));
        }
        cms::Content::Enveloped(data) => Sealed::Enveloped(data),
        cms::Content::AuthEnveloped(data) => Sealed::AuthEnveloped(data),
        _ => return None,
    };
    let keys = Keys {
        keyring: ring,
        secrets: &MessageSecrets::default(),
        pool: &p7mill::cert::Pool::new(),
        cache: &p7mill::cert::CertCache::new(),
    };
    let may = Permission {
        key: &|_| true,
        secrets: false,
    };
    let opened = open(sealed, None, true, keys, &may, &mut Effort::default());
    Some((
        false,
        opened.map_or_else(
            |_| "closed".to_owned(),
            |opened| digest(opened.plaintext.held().unwrap()),
        ),
    ))
}

/// Lines `tool name ours theirs | why`; a digest stands as `text`.
fn listed() -> BTreeMap<String, String> {
    let file = repository().join("tests/it/judge/differences.txt");
    fs::read_to_string(file)
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (what, why) = line.split_once(" | ").expect("what | why");
            (what.to_owned(), why.to_owned())
        })
        .collect()
}

#[test]
fn openssl_gpgsm_and_nss_agree_or_the_difference_is_listed() {
    let ring = KeyRing::load(
        &[repository().join("sample-data/keys")],
        &mut Passphrases::none(),
    )
    .unwrap();
    let peers = Peers::new(&ring);
    let listed = listed();
    let (mut agreed, mut unlisted, mut met) =
        (BTreeMap::<&str, usize>::new(), Vec::new(), BTreeSet::new());
    for object in objects() {
        let Some((signed, ours)) = our_answer(&object, &ring) else {
            continue;
        };
        peers.write(&object);
        let mut judge = |tool: &'static str, theirs: Answer| {
            if theirs == ours {
                *agreed.entry(tool).or_default() += 1;
                return;
            }
            let shown = |answer: &str| {
                if answer.len() == 16 {
                    "text".to_owned()
                } else {
                    answer.to_owned()
                }
            };
            let what = format!("{tool} {} {} {}", object.name, shown(&ours), shown(&theirs));
            if listed.contains_key(&what) {
                met.insert(what);
            } else {
                unlisted.push(what);
            }
        };
        judge("openssl", peers.openssl_answer(&object, signed));
        if Path::new(&peers.path("home")).exists() {
            judge("gpgsm", peers.gpgsm_answer(&object, signed));
        }
        if Path::new(&peers.path("nss")).exists() {
            judge("nss", peers.nss_answer(&object, signed));
        }
    }
    println!("agree: {agreed:?}; differ as listed: {}", met.len());
    assert!(agreed["openssl"] > 50, "{agreed:?}");
    assert!(
        unlisted.is_empty(),
        "not in judge/differences.txt:\n{}",
        unlisted.join("\n")
    );
    // Another version may have learnt to read it.
    for what in listed.keys().filter(|what| !met.contains(*what)) {
        println!("listed, and no longer so: {what}");
    }
}
