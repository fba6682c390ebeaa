//! Mail encrypted by others is opened; what p7mill encrypts, others open.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::support::Sandbox;
use crate::support::table::{Row, rows};
use crate::support::tools::{LATER, Pki, has, openssl, run};

/// What every message here says; longer than the 512 bytes that decide whether a plaintext is one.
fn letter(name: &str) -> String {
    let mut text = format!(
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nThis is {name}. Ærø, 12 €.\r\n"
    );
    for line in 1..=20 {
        write!(
            text,
            "Line {line}: the loan agreement for the brig's figurehead, as signed.\r\n"
        )
        .unwrap();
    }
    text
}

/// People, and what OpenSSL and gpgsm encrypted to them.
struct World {
    pki: Pki,
    mail: PathBuf,
    names: Vec<String>,
}

const OPENSSL: [(&str, &str); 15] = [
    ("aes128", "-aes-128-cbc olga.pem"),
    ("aes192", "-aes-192-cbc olga.pem"),
    ("aes256", "-aes-256-cbc olga.pem"),
    ("tripledes", "-des3 olga.pem"),
    ("gcm256", "-aes-256-gcm olga.pem"),
    ("gcm128", "-aes-128-gcm olga.pem"),
    (
        "oaep",
        "-aes-256-cbc -recip olga.pem -keyopt rsa_padding_mode:oaep",
    ),
    (
        "oaep-sha256",
        "-aes-128-cbc -recip olga.pem -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256 -keyopt rsa_mgf1_md:sha256",
    ),
    ("ecdh", "-aes-256-cbc otto.pem"),
    (
        "ecdh-sha256-gcm",
        "-aes-256-gcm -recip otto.pem -keyopt ecdh_kdf_md:sha256",
    ),
    ("keyid", "-aes-256-cbc -keyid olga.pem"),
    ("keyid-ec", "-aes-128-cbc -keyid otto.pem"),
    ("stream", "-aes-256-cbc -stream olga.pem"),
    ("several", "-aes-256-cbc third.pem otto.pem olga.pem"),
    (
        "several-gcm-stream",
        "-aes-256-gcm -stream third.pem olga.pem",
    ),
];

fn world() -> &'static World {
    static ONCE: OnceLock<World> = OnceLock::new();
    ONCE.get_or_init(|| {
        let pki = Pki::new();
        for (serial, (name, kind)) in [("olga", "rsa"), ("otto", "ec"), ("third", "rsa"), ("nina", "rsa"), ("nils", "ec")].into_iter().enumerate() {
            pki.person(name, kind, 0x1000 + u32::try_from(serial).unwrap());
        }
        let mail = pki.path().join("mail");
        fs::create_dir(&mail).unwrap();
        let mut names = Vec::new();
        for (name, how) in OPENSSL {
            fs::write(pki.path().join("letter"), letter(name)).unwrap();
            let line = format!("cms -encrypt -in letter -out mail/{name}.eml -from ann@example.org -to olga@example.org -subject {name} {how}");
            openssl(pki.path(), &line).expect(&line);
            names.push(name.to_owned());
        }
        if has("gpgsm") {
            names.extend(gpgsm(&pki, &mail));
        }
        World { pki, mail, names }
    })
}

/// Messages by gpgsm, whose key ring knows only certificates.
fn gpgsm(pki: &Pki, mail: &Path) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let at = |file: &Path| file.to_string_lossy().into_owned();
    let print = |name: &str| {
        let said = openssl(
            pki.path(),
            &format!("x509 -in {name}.pem -noout -fingerprint -sha1"),
        )
        .expect("fingerprint");
        String::from_utf8_lossy(&said)
            .trim()
            .rsplit('=')
            .next()
            .unwrap_or_default()
            .replace(':', "")
    };
    fs::write(
        home.path().join("trustlist.txt"),
        format!("{} S relax\n", print("root")),
    )
    .unwrap();
    fs::write(
        home.path().join("gpgsm.conf"),
        "disable-crl-checks\ndisable-policy-checks\nno-secmem-warning\n",
    )
    .unwrap();
    let ring = at(home.path());
    let say = |words: &[&str]| {
        let all: Vec<&str> = ["--homedir", &ring, "--batch", "--yes", "--quiet"]
            .into_iter()
            .chain(words.iter().copied())
            .collect();
        run("gpgsm", &all, b"").expect("gpgsm")
    };
    for name in ["root", "olga", "third"] {
        say(&["--import", &at(&pki.certificate(name))]);
    }
    let mut names = Vec::new();
    for (name, cipher, to) in [
        ("gpgsm-aes", "AES256", &["olga"][..]),
        ("gpgsm-several", "AES", &["third", "olga"]),
        ("gpgsm-3des", "3DES", &["olga"]),
    ] {
        let file = pki.path().join("letter");
        fs::write(&file, letter(name)).unwrap();
        let prints: Vec<String> = to.iter().map(|name| print(name)).collect();
        let mut words = vec!["--cipher-algo", cipher];
        for print in &prints {
            words.extend(["--recipient", print]);
        }
        let file = at(&file);
        words.extend(["--base64", "--encrypt", &file]);
        let armoured = String::from_utf8(say(&words)).unwrap();
        let body: String = armoured
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .fold(String::new(), |all, line| all + line + "\n");
        fs::write(
            mail.join(format!("{name}.eml")),
            format!(
                "From: ann@example.org\nTo: olga@example.org\nSubject: {name}\nMIME-Version: 1.0\n\
                 Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\nContent-Transfer-Encoding: base64\n\n{body}"
            ),
        )
        .unwrap();
        names.push(name.to_owned());
    }
    // Its agent would outlive the folder.
    let _ = run("gpgconf", &["--homedir", &ring, "--kill", "all"], b"");
    names
}

/// Rows of messages.csv by the file's name without `.eml`.
fn by_name(report: &Path) -> BTreeMap<String, Row> {
    rows(&report.join("messages.csv"))
        .into_iter()
        .map(|row| {
            (
                row.at("mailbox")
                    .trim_end_matches(".eml")
                    .rsplit('/')
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
                row,
            )
        })
        .collect()
}

/// Head and body of a message whose lines end in LF.
fn halves(message: &[u8]) -> (String, String) {
    let text = String::from_utf8(message.to_vec()).expect("UTF-8");
    let (head, body) = text.split_once("\n\n").expect("a body");
    (head.to_owned(), body.to_owned())
}

#[test]
fn what_openssl_and_gpgsm_encrypt_is_decrypted() {
    let world = world();
    let sandbox = Sandbox::new();
    let keys = world.pki.keys_of(&["olga", "otto"]);
    let (mail, keys) = (world.mail.to_string_lossy(), keys.to_string_lossy());
    sandbox
        .run(["decrypt", &mail, "--keys", &keys, "--out", "OUT"])
        .expect(0);
    let rows = by_name(&sandbox.path().join("OUT/report"));
    assert_eq!(rows.len(), world.names.len());
    for name in &world.names {
        assert_eq!(
            rows[name].at("outcome"),
            "decrypted",
            "{name}: {}",
            rows[name].at("reason")
        );
        let (head, body) =
            halves(&fs::read(sandbox.path().join(format!("OUT/mail/{name}.eml"))).unwrap());
        assert_eq!(
            body,
            letter(name)
                .split_once("\r\n\r\n")
                .unwrap()
                .1
                .replace("\r\n", "\n"),
            "{name}"
        );
        for line in [
            "From: ann@example.org",
            "To: olga@example.org",
            &format!("Subject: {name}"),
            "Content-Type: text/plain; charset=utf-8",
        ] {
            assert_eq!(
                head.lines().filter(|l| *l == line).count(),
                1,
                "{name}: {line} in\n{head}"
            );
        }
        assert!(
            !head.contains("pkcs7") && !head.contains("base64"),
            "{name}:\n{head}"
        );
        let aead = name.contains("gcm");
        assert_eq!(
            rows[name].at("content_integrity"),
            if aead { "aead" } else { "none" },
            "{name}"
        );
    }
}

/// Runs `reencrypt` from the old people's keys to the new ones.
fn reencrypt(options: &[&str], code: i32) -> Sandbox {
    let world = world();
    let sandbox = Sandbox::new();
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let (mail, keys) = (
        text(world.mail.clone()),
        text(world.pki.keys_of(&["olga", "otto"])),
    );
    let (nina, nils) = (
        text(world.pki.certificate("nina")),
        text(world.pki.certificate("nils")),
    );
    let words = [
        "reencrypt",
        &mail,
        "--keys",
        &keys,
        "--to",
        &nina,
        "--to",
        &nils,
        "--out",
        "OUT",
        "--now",
        LATER,
    ];
    sandbox.run(words.iter().chain(options)).expect(code);
    sandbox
}

/// What `openssl cms -decrypt` makes of a message with one person's key.
fn opened_by(message: &Path, person: &str) -> Option<Vec<u8>> {
    let pki = &world().pki;
    let line = format!(
        "cms -decrypt -binary -in {} -recip {person}.pem -inkey {person}.key",
        message.display()
    );
    let said = openssl(pki.path(), &line);
    said.ok.then_some(said.stdout)
}

/// Everything from the encrypted content on, as `openssl cms -cmsout -print` shows it.
fn ciphertext(message: &Path) -> String {
    let line = format!("cms -cmsout -print -noout -in {}", message.display());
    let said = openssl(world().pki.path(), &line).expect(&line);
    let text = String::from_utf8_lossy(&said).into_owned();
    let at = text
        .find("encryptedContentInfo")
        .or_else(|| text.find("authEncryptedContentInfo"))
        .expect("encrypted content");
    text[at..].to_owned()
}

fn is_for_the_new_people_only(sandbox: &Sandbox, name: &str) {
    let written = sandbox.path().join(format!("OUT/mail/{name}.eml"));
    for person in ["nina", "nils"] {
        let plain =
            opened_by(&written, person).unwrap_or_else(|| panic!("{person} cannot open {name}"));
        assert_eq!(
            String::from_utf8_lossy(&plain),
            letter(name),
            "{name} for {person}"
        );
    }
    for person in ["olga", "otto", "third"] {
        assert_ne!(
            opened_by(&written, person),
            Some(letter(name).into_bytes()),
            "{person} still opens {name}"
        );
    }
}

#[test]
fn what_is_rewrapped_opens_for_the_new_people_only_and_keeps_its_ciphertext() {
    let sandbox = reencrypt(&["--mode", "rewrap"], 3);
    let rows = by_name(&sandbox.path().join("OUT/report"));
    for name in &world().names {
        let (source, written) = (
            world().mail.join(format!("{name}.eml")),
            sandbox.path().join(format!("OUT/mail/{name}.eml")),
        );
        if name.contains("3des") || name.contains("tripledes") {
            assert_eq!(
                (rows[name].at("outcome"), rows[name].at("reason")),
                ("refused", "weak-content-encryption"),
                "{name}"
            );
            assert_eq!(
                fs::read(&source).unwrap(),
                fs::read(&written).unwrap(),
                "{name} is copied unchanged"
            );
            continue;
        }
        assert_eq!(
            rows[name].at("outcome"),
            "rewrapped",
            "{name}: {}",
            rows[name].at("reason")
        );
        is_for_the_new_people_only(&sandbox, name);
        assert_eq!(ciphertext(&source), ciphertext(&written), "{name}");
    }
}

#[test]
fn rewrap_is_the_default_mode() {
    let sandbox = reencrypt(&[], 3);
    assert_eq!(
        by_name(&sandbox.path().join("OUT/report"))["aes256"].at("outcome"),
        "rewrapped"
    );
}

#[test]
fn what_is_encrypted_anew_opens_for_the_new_people_only() {
    for (cipher, oid) in [
        ("aes-256-gcm", "aes-256-gcm"),
        ("aes-256-cbc", "aes-256-cbc"),
    ] {
        let sandbox = reencrypt(&["--mode", "content", "--cipher", cipher], 0);
        let rows = by_name(&sandbox.path().join("OUT/report"));
        for name in &world().names {
            assert_eq!(
                rows[name].at("outcome"),
                "reencrypted",
                "{name}: {}",
                rows[name].at("reason")
            );
            is_for_the_new_people_only(&sandbox, name);
            let (old, new) = (
                world().mail.join(format!("{name}.eml")),
                sandbox.path().join(format!("OUT/mail/{name}.eml")),
            );
            assert_ne!(ciphertext(&old), ciphertext(&new), "{name}");
            assert!(ciphertext(&new).contains(oid), "{name} is not {oid}");
        }
    }
}

#[test]
fn what_was_rewrapped_is_decrypted_again() {
    let first = reencrypt(&["--mode", "rewrap"], 3);
    let keys = world().pki.keys_of(&["nils"]);
    let ran = first.run([
        "decrypt",
        "OUT/mail",
        "--keys",
        &keys.to_string_lossy(),
        "--out",
        "BACK",
    ]);
    assert_eq!(
        ran.code,
        Some(3),
        "the two that were refused have no key: {}{}",
        ran.stdout,
        ran.stderr
    );
    let rows = by_name(&first.path().join("BACK/report"));
    for name in &world().names {
        let weak = name.contains("3des") || name.contains("tripledes");
        assert_eq!(
            rows[name].at("outcome"),
            if weak { "no-key" } else { "decrypted" },
            "{name}"
        );
    }
}
