//! Key files that other programs wrote: the OpenSSL command line's, and those in
//! `../shared/corpora` (said, and skipped, where it is absent).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::passphrase::Passphrase;
use super::{KeyFileStatus, KeyRing, Passphrases};
use crate::cms::{der, oid};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        crate::fsio::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        let mut file = crate::fsio::create(&self.path(name)).unwrap();
        std::io::Write::write_all(&mut file, bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments:?}: {said}");
    }

    fn run(&self, arguments: &str) {
        self.openssl(&arguments.split(' ').collect::<Vec<_>>());
    }

    /// Makes `NAME.key` and `NAME.crt`.
    fn identity(&self, name: &str) {
        self.run(&format!(
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out {name}.key"
        ));
        self.run(&format!(
            "req -x509 -new -key {name}.key -subj /CN={name} -days 9 -out {name}.crt"
        ));
    }

    fn load(&self, name: &str, passphrases: &[&str]) -> KeyRing {
        load(&self.path(name), passphrases)
    }
}

fn load(path: &Path, passphrases: &[&str]) -> KeyRing {
    let mut known = Passphrases::none();
    for passphrase in passphrases {
        known.add(Passphrase::new(passphrase.as_bytes()));
    }
    KeyRing::load(&[path.to_path_buf()], &mut known).unwrap()
}

fn statuses(ring: &KeyRing) -> Vec<KeyFileStatus> {
    ring.files().iter().map(|file| file.status).collect()
}

/// Whether the ring holds one key, found by issuer and serial, and by both identifiers.
fn opens_one(ring: &KeyRing) -> bool {
    let [key] = ring.keys() else { return false };
    let [certificate] = &key.certificates[..] else {
        return false;
    };
    let by_name = ring.find(&certificate.issuer_der, &certificate.serial);
    let ski = certificate.ski.as_ref().unwrap();
    [by_name, ring.find_ski(ski)].iter().all(
        |found| matches!(&found[..], [found] if std::ptr::eq(&raw const **found, &raw const **key)),
    )
}

#[test]
fn every_way_openssl_writes_pkcs12_opens() {
    let folder = Folder::new();
    folder.identity("a");
    let legacy = "-legacy -keypbe PBE-SHA1-3DES -certpbe";
    for (i, options) in [
        "",
        "-legacy",
        &format!("{legacy} PBE-SHA1-RC2-40"),
        &format!("{legacy} PBE-SHA1-RC2-128"),
        &format!("{legacy} PBE-SHA1-2DES"),
        "-legacy -keypbe PBE-SHA1-RC2-40 -certpbe PBE-SHA1-RC2-40",
        "-keypbe AES-128-CBC -certpbe AES-192-CBC -macalg sha512",
        "-keypbe DES-EDE3-CBC -certpbe DES-EDE3-CBC -macalg sha1 -iter 1",
        "-nomac",
        "-certpbe NONE",
        "-keypbe NONE -certpbe NONE",
    ]
    .into_iter()
    .enumerate()
    {
        let out = format!("{i}.p12");
        let mut arguments = vec![
            "pkcs12", "-export", "-inkey", "a.key", "-in", "a.crt", "-out", &out,
        ];
        arguments.extend(options.split(' ').filter(|option| !option.is_empty()));
        for passphrase in ["secret", "", "pässwörd"] {
            let pass = format!("pass:{passphrase}");
            let arguments = [&arguments[..], &["-passout", &pass]].concat();
            folder.openssl(&arguments);
            let ring = folder.load(&out, &["another", passphrase]);
            assert!(
                opens_one(&ring),
                "{options} {passphrase:?} {:?}",
                ring.files()
            );
            assert_eq!(statuses(&ring), [KeyFileStatus::Open]);
            let wrong = folder.load(&out, &["wrong"]);
            let free = passphrase.is_empty() || options.starts_with("-keypbe NONE");
            let expected = if free {
                KeyFileStatus::Open
            } else {
                KeyFileStatus::Locked
            };
            assert_eq!(statuses(&wrong), [expected], "{options} {passphrase:?}");
        }
    }
}

#[test]
fn every_way_openssl_writes_keys_opens() {
    let folder = Folder::new();
    folder.identity("a");
    let cert = folder.read("a.crt");
    for (i, command) in [
        "pkcs8 -topk8 -nocrypt -in a.key -out K",
        "pkcs8 -topk8 -in a.key -passout pass:secret -out K",
        "pkcs8 -topk8 -in a.key -passout pass:secret -out K -scrypt",
        "pkcs8 -topk8 -in a.key -passout pass:secret -out K -v2 des3 -v2prf hmacWithSHA1",
        "pkcs8 -topk8 -in a.key -passout pass:secret -out K -v1 PBE-SHA1-3DES",
        "pkcs8 -topk8 -in a.key -passout pass:secret -out K -v1 PBE-SHA1-DES -provider legacy -provider default",
        "pkcs8 -topk8 -in a.key -passout pass:secret -out K -v1 PBE-MD5-DES -provider legacy -provider default",
        "pkcs8 -topk8 -in a.key -passout pass:secret -outform DER -out K",
        "pkcs8 -topk8 -nocrypt -in a.key -outform DER -out K",
        "rsa -in a.key -traditional -out K",
        "rsa -in a.key -traditional -aes256 -passout pass:secret -out K",
        "rsa -in a.key -traditional -des3 -passout pass:secret -out K",
        "rsa -in a.key -traditional -outform DER -out K",
    ]
    .into_iter()
    .enumerate()
    {
        folder.run(&command.replace(" K", &format!(" {i}.pem")));
        let key = folder.read(&format!("{i}.pem"));
        let ring = folder.load(&format!("{i}.pem"), &["wrong", "secret"]);
        assert_eq!((ring.keys().len(), ring.bare().len()), (1, 1), "{command}");
        if key.starts_with(b"-----") {
            let both = format!("{i}-both.pem");
            folder.write(&both, &[b"Bag Attributes\n", &key[..], b"\r\nnote\r\n", &cert].concat());
            assert!(opens_one(&folder.load(&both, &["secret"])), "{command}");
            if command.contains("secret") {
                let locked = folder.load(&both, &["wrong"]);
                assert_eq!(statuses(&locked), [KeyFileStatus::Locked], "{command}");
                let certificate = &locked.certificates()[0];
                assert!(locked.locked_for_certificate(certificate));
                assert!(locked.locked_for_ski(certificate.ski.as_ref().unwrap()));
            }
        }
    }
}

#[test]
fn locked_files_tell_whose_they_are_and_end_nothing() {
    let folder = Folder::new();
    for name in ["a", "h.lindqvist", "c", "d"] {
        folder.identity(name);
    }
    let export = |name: &str, more: &str| {
        folder.run(&format!(
            "pkcs12 -export -inkey {name}.key -in {name}.crt -out keys/{name}.p12 -passout pass:secret{more}"
        ));
    };
    folder.write("keys/nested/README", b"not a key");
    export("a", " -certpbe NONE");
    export("h.lindqvist", "");
    export("c", "");
    export("d", "");
    folder.write("keys/h.lindqvist.crt", &folder.read("h.lindqvist.crt"));
    let ring = folder.load("keys", &[]);
    let certificate = |name: &str| {
        let pem = openssl::x509::X509::from_pem(&folder.read(&format!("{name}.crt"))).unwrap();
        crate::cert::Certificate::decode(&pem.to_der().unwrap()).unwrap()
    };
    let locked = KeyFileStatus::Locked;
    let none = KeyFileStatus::Unreadable("neither key nor certificate");
    assert_eq!(
        statuses(&ring),
        [locked, locked, locked, KeyFileStatus::NoKey, locked, none]
    );
    assert!(ring.has_unknown_locked());
    for name in ["a", "h.lindqvist"] {
        let c = certificate(name);
        assert!(
            ring.locked_for_issuer_serial(&c.issuer_der, &c.serial),
            "{name}"
        );
        assert!(ring.locked_for_ski(c.ski.as_ref().unwrap()), "{name}");
        assert!(ring.find_certificate(&c.issuer_der, &c.serial).is_some());
    }
    let c = certificate("c");
    assert!(!ring.locked_for_issuer_serial(&c.issuer_der, &c.serial));
    // Nothing here shows c's certificate; where a message does, its SHA-1 is the localKeyID.
    assert!(ring.locked_for_certificate(&c));
    // With one passphrase for one of them the others stay as they were.
    let mut passphrases = Passphrases::none();
    folder.write("table.csv", b"file,passphrase\nkeys/c.p12,secret\n");
    passphrases.read_table(&folder.path("table.csv")).unwrap();
    let ring = KeyRing::load(&[folder.path("keys")], &mut passphrases).unwrap();
    assert!(opens_one(&ring));
    assert_eq!(ring.keys()[0].name, "c.p12");
    let a = certificate("a");
    assert!(ring.locked_for_issuer_serial(&a.issuer_der, &a.serial));
}

#[test]
fn a_prompt_is_asked_at_most_three_times_a_file() {
    let folder = Folder::new();
    folder.identity("a");
    folder.run("pkcs12 -export -inkey a.key -in a.crt -out a.p12 -passout pass:third");
    for (answers, asked, opened) in [
        (vec!["x", "y", "third"], 3, true),
        (vec!["x", "y", "z", "third"], 3, false),
        (vec![], 1, false),
    ] {
        let count = std::rc::Rc::new(std::cell::Cell::new(0));
        let counted = std::rc::Rc::clone(&count);
        let mut answers = answers.into_iter();
        let mut passphrases = Passphrases::none();
        passphrases.set_prompt(Box::new(move |_| {
            counted.set(counted.get() + 1);
            answers
                .next()
                .map(|text| zeroize::Zeroizing::new(text.to_owned()))
        }));
        let ring = KeyRing::load(&[folder.path("a.p12")], &mut passphrases).unwrap();
        assert_eq!((count.get(), opens_one(&ring)), (asked, opened));
    }
}

#[test]
fn renewed_certificates_and_copies_share_one_key() {
    let folder = Folder::new();
    folder.identity("a");
    folder.run("req -x509 -new -key a.key -subj /CN=a -days 99 -out renewed.crt");
    folder.run("x509 -in a.crt -outform DER -out keys.der");
    for (name, bytes) in [
        ("keys/1.key", folder.read("a.key")),
        (
            "keys/2.pem",
            [folder.read("a.key"), folder.read("a.crt")].concat(),
        ),
        ("keys/sub/3.crt", folder.read("renewed.crt")),
        ("keys/sub/4.cer", folder.read("keys.der")),
    ] {
        folder.write(name, &bytes);
    }
    std::os::unix::fs::symlink(folder.path("keys/sub"), folder.path("keys/loop")).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(folder.path("keys/fifo"))
            .status()
            .unwrap()
            .success()
    );
    let ring = folder.load("keys", &[]);
    assert_eq!(ring.files().len(), 4);
    assert_eq!(
        (
            ring.keys().len(),
            ring.bare().len(),
            ring.certificates().len()
        ),
        (1, 0, 2)
    );
    assert_eq!(ring.keys()[0].certificates.len(), 2);
    for certificate in ring.certificates() {
        assert_eq!(
            ring.find(&certificate.issuer_der, &certificate.serial)
                .len(),
            1
        );
    }
    let nowhere = KeyRing::load(&[folder.path("nowhere")], &mut Passphrases::none());
    assert!(matches!(nowhere, Err(crate::Error::Usage(_))));
    assert_eq!(
        format!("{:?}", ring.keys()[0]),
        "PrivateKey { name: \"1.key\", .. }"
    );
}

/// A PFX with a MAC and one shrouded key whose derivation asks for `rounds`.
fn pfx(mac_rounds: u64, key_rounds: u64) -> Vec<u8> {
    let null = Some(&[5, 0][..]);
    let parameters = der::sequence(&[&der::octet_string(&[1; 8]), &der::integer(key_rounds)]);
    let algorithm = der::algorithm(oid::PBE_SHA1_DES_EDE3, Some(&parameters));
    let shrouded = der::sequence(&[&algorithm, &der::octet_string(&[7; 64])]);
    let bag = der::sequence(&[
        &der::oid(oid::SHROUDED_KEY_BAG),
        &der::element(0xa0, &[&shrouded]),
    ]);
    let data = |content: &[u8]| {
        let octets = der::octet_string(content);
        der::sequence(&[&der::oid(oid::DATA), &der::element(0xa0, &[&octets])])
    };
    let safe = der::sequence(&[&data(&der::sequence(&[&bag]))]);
    let digest = der::sequence(&[
        &der::algorithm(oid::SHA1, null),
        &der::octet_string(&[0; 20]),
    ]);
    let mac = der::sequence(&[
        &digest,
        &der::octet_string(&[2; 8]),
        &der::integer(mac_rounds),
    ]);
    der::sequence(&[&der::integer(3), &data(&safe), &mac])
}

/// CVE-2024-0727: content infos and bags without what their type calls for, at which OpenSSL before
/// 3.0.13 followed a null pointer.
#[test]
fn cve_2024_0727_pkcs12_without_its_contents_gives_no_key() {
    let pfx = |safe: &[u8]| der::sequence(&[&der::integer(3), safe]);
    let data = |inside: &[u8]| {
        let octets = der::octet_string(inside);
        der::sequence(&[&der::oid(oid::DATA), &der::element(0xa0, &[&octets])])
    };
    let authenticated = |info: &[u8]| pfx(&data(&der::sequence(&[info])));
    let bag = |bag: &[u8]| authenticated(&data(&der::sequence(&[bag])));
    let empty = |kind| der::sequence(&[&der::oid(kind)]);
    let null = |kind| der::sequence(&[&der::oid(kind), &der::element(0xa0, &[])]);
    let no_ciphertext = der::sequence(&[
        &der::integer(0),
        &der::sequence(&[&der::oid(oid::DATA), &der::algorithm(oid::PBES2, None)]),
    ]);
    let encrypted = |inside: &[u8]| {
        let wrapped = der::element(0xa0, &[inside]);
        authenticated(&der::sequence(&[&der::oid(oid::ENCRYPTED_DATA), &wrapped]))
    };
    let shrouded = oid::Oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 2]);
    let certificate = oid::Oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 3]);
    for (n, file) in [
        pfx(&empty(oid::DATA)),
        pfx(&null(oid::DATA)),
        pfx(&empty(oid::SIGNED_DATA)),
        authenticated(&empty(oid::DATA)),
        authenticated(&null(oid::DATA)),
        authenticated(&empty(oid::ENCRYPTED_DATA)),
        encrypted(&[]),
        encrypted(&no_ciphertext),
        bag(&empty(shrouded)),
        bag(&null(shrouded)),
        bag(&empty(certificate)),
        bag(&null(certificate)),
    ]
    .iter()
    .enumerate()
    {
        let folder = Folder::new();
        folder.write("x.p12", file);
        let ring = folder.load("x.p12", &["one", ""]);
        assert!(ring.keys().is_empty());
        let found = statuses(&ring);
        assert!(
            matches!(
                found[..],
                [KeyFileStatus::Unreadable(_) | KeyFileStatus::NoKey]
            ),
            "{n} {found:?}"
        );
    }
}

#[test]
fn hostile_rounds_end_within_five_seconds() {
    let folder = Folder::new();
    let too_many = KeyFileStatus::Unreadable("too many key derivation rounds");
    for (mac, key) in [
        (1 << 31, 1),
        (u64::MAX >> 1, 1),
        (4_999_999, 1 << 31),
        (9_000_000, 9_000_000),
    ] {
        folder.write("x.p12", &pfx(mac, key));
        let begun = Instant::now();
        let ring = folder.load("x.p12", &["one", "two", "three", "four"]);
        assert_eq!(statuses(&ring), [too_many], "{mac} {key}");
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
    }
    let scrypt = |n: u64| {
        let cipher = der::algorithm(oid::AES256_CBC, Some(&der::octet_string(&[0; 16])));
        let costs = [
            der::octet_string(&[1; 8]),
            der::integer(n),
            der::integer(8),
            der::integer(1 << 20),
        ];
        let kdf = der::algorithm(
            oid::SCRYPT,
            Some(&der::sequence(&[
                &costs[0], &costs[1], &costs[2], &costs[3],
            ])),
        );
        let algorithm = der::algorithm(oid::PBES2, Some(&der::sequence(&[&kdf, &cipher])));
        der::sequence(&[&algorithm, &der::octet_string(&[0; 64])])
    };
    folder.write("s.der", &scrypt(1 << 29));
    assert_eq!(statuses(&folder.load("s.der", &["x"])), [too_many]);
}

#[test]
fn cut_and_altered_files_end_nothing() {
    let folder = Folder::new();
    folder.identity("a");
    folder.run("pkcs12 -export -inkey a.key -in a.crt -out a.p12 -passout pass:s -iter 1");
    let whole = folder.read("a.p12");
    for i in 0..whole.len() {
        folder.write("x.p12", &whole[..i]);
        assert_eq!(folder.load("x.p12", &["s"]).keys().len(), 0, "cut at {i}");
        let mut altered = whole.clone();
        altered[i] ^= 0x55;
        folder.write("x.p12", &altered);
        let _ = folder.load("x.p12", &["s"]);
    }
}

#[test]
fn key_files_of_other_projects_open() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora");
    if !corpora.is_dir() {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "skipped: ../shared/corpora is not here");
        return;
    }
    let mut wrong = Vec::new();
    for (file, passphrase, keys, certificates) in [
        ("rfc9216/alice.p12", "alice", 2, 3),
        ("rfc9216/bob.p12", "bob", 2, 3),
        ("rfc9216/carlos.p12", "carlos", 2, 3),
        ("rfc9216/dana.p12", "dana", 2, 3),
        ("rfc9216/bob.p12.pem", "bob", 2, 3),
        ("protected-headers/bob.p12", "bob", 1, 2),
        ("nss/tests/smime/interop-openssl/Fran.p12", "nss", 1, 1),
        ("nss/tests/smime/interop-openssl/Fran-ec.p12", "nss", 1, 1),
        ("pyas2/fixtures/cert_test.p12", "test", 1, 1),
        ("otobo/SMIME/SMIMECertificate-1.pfx", "a passphrase", 1, 1),
        ("gnupg-cms/skey_g10code_test1.pem", "test", 1, 0),
        (
            "gnupg-cms/samplekeys/nistp256-openssl-self-signed.p12",
            "abc",
            1,
            1,
        ),
        (
            "rustcrypto/pkcs12/tests/examples/ValidCertificatePathTest1EE_firefox.p12",
            "password",
            1,
            1,
        ),
        (
            "rustcrypto/pkcs12/tests/examples/ValidCertificatePathTest1EE_macos.p12",
            "password",
            1,
            1,
        ),
        (
            "rustcrypto/pkcs12/tests/examples/ValidCertificatePathTest1EE_windows_aes.p12.pfx",
            "password",
            1,
            1,
        ),
        (
            "rustcrypto/pkcs12/tests/examples/ValidCertificatePathTest1EE_windows_tdes.p12.pfx",
            "password",
            1,
            1,
        ),
        ("rustcrypto/pkcs12/tests/examples/example.pfx", "", 1, 1),
        ("openssl/smime-certs/smec3.pem", "", 1, 1),
        (
            "kde-mimetreeparser/_exported-from-gnupg_home/unittest-cert.pem",
            "",
            1,
            1,
        ),
        ("rfc4134-python-smime/BobPrivRSAEncrypt.pem", "", 1, 0),
        ("rt/smime/keys/sender@example.com.pem", "", 1, 1),
    ] {
        let ring = load(&corpora.join(file), &[passphrase]);
        let found = (ring.keys().len(), ring.certificates().len());
        if found != (keys, certificates) {
            wrong.push(format!("{file} {found:?} {:?}", ring.files()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
