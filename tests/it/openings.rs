//! Which key opens which mail: every way to a recipient, and every way to be the wrong one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::support::Sandbox;
use crate::support::table::{Row, rows};
use crate::support::tools::{Pki, has_python_module, judge, openssl};

const LETTER: &str =
    "Content-Type: text/plain; charset=utf-8\r\n\r\nThe second mate signs for the cargo.\r\n";

fn people() -> &'static Pki {
    static ONCE: OnceLock<Pki> = OnceLock::new();
    ONCE.get_or_init(|| {
        let pki = Pki::new();
        for (serial, (name, kind)) in [
            ("olga", "rsa"),
            ("third", "rsa"),
            ("otto", "ec"),
            ("sara", "ec"),
        ]
        .into_iter()
        .enumerate()
        {
            pki.person(name, kind, 0x2000 + u32::try_from(serial).unwrap());
        }
        for (serial, (name, kind)) in [("xena", "x25519"), ("xeno", "x448"), ("dora", "dhx")]
            .into_iter()
            .enumerate()
        {
            pki.person_who_cannot_sign(name, kind, 0x2100 + u32::try_from(serial).unwrap());
        }
        fs::write(pki.path().join("letter"), LETTER).unwrap();
        pki
    })
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Rows of messages.csv by the message's name.
fn by_name(report: &Path) -> BTreeMap<String, Row> {
    let name = |row: &Row| {
        let file = row.at("mailbox").rsplit('/').next().unwrap_or_default();
        file.trim_end_matches(".eml").to_owned()
    };
    let all = rows(&report.join("messages.csv"));
    all.into_iter().map(|row| (name(&row), row)).collect()
}

/// Mail that Python made.
fn made_by_python() -> Option<(PathBuf, Vec<String>)> {
    static ONCE: OnceLock<Option<Vec<String>>> = OnceLock::new();
    let mail = people().path().join("mail");
    let names = ONCE.get_or_init(|| {
        if !has_python_module("cryptography") {
            return None;
        }
        fs::create_dir(&mail).unwrap();
        let printed = judge("make_sealed.py", &[people().path()]);
        Some(printed.lines().map(str::to_owned).collect())
    });
    Some((mail, names.clone()?))
}

#[test]
fn what_openssl_cannot_make_opens_too() {
    let Some((mail, names)) = made_by_python() else {
        return;
    };
    let sandbox = Sandbox::new();
    let keys = people().keys_of(&["olga", "otto", "xena", "xeno"]);
    let sara = text(&people().certificate("sara"));
    sandbox
        .run([
            "migrate",
            &text(&mail),
            "--keys",
            &text(&keys),
            "--intermediates",
            &sara,
            "--out",
            "OUT",
        ])
        .expect(3);
    let report = sandbox.path().join("OUT/report");
    let found = by_name(&report);
    assert_eq!(found.len(), names.len());
    let honest = |name: &&String| !name.starts_with("bad-") && !name.starts_with("alike-");
    for name in names.iter().filter(honest) {
        let row = &found[name];
        assert_eq!(
            row.at("outcome"),
            "decrypted",
            "{name}: {}",
            row.at("reason")
        );
        let written = fs::read(sandbox.path().join(format!("OUT/mail/{name}.eml"))).unwrap();
        assert!(
            String::from_utf8_lossy(&written).contains("signs for the cargo"),
            "{name}"
        );
        let aead = ["ccm", "chacha", "gcm"]
            .iter()
            .any(|word| name.contains(word));
        assert_eq!(
            row.at("content_integrity"),
            if aead { "aead" } else { "none" },
            "{name}"
        );
    }
    for (name, cipher) in [
        ("ccm-128", "aes-128-ccm"),
        ("chacha20", "chacha20-poly1305"),
        ("cek-hkdf-cbc", "aes-128-cbc"),
        ("cek-hkdf-gcm", "aes-256-gcm"),
        ("cast5-40", "cast5-40-cbc"),
        ("camellia-256", "camellia-256-cbc"),
    ] {
        assert_eq!(found[name].at("content_encryption"), cipher, "{name}");
    }
    for name in [
        "bad-attributes-altered",
        "bad-attributes-removed",
        "bad-attributes-added",
        "bad-cek-hkdf-stripped",
        "bad-ccm-256-short-tag-attributes",
        "bad-chacha20",
    ] {
        assert_eq!(
            (found[name].at("outcome"), found[name].at("reason")),
            ("undecryptable", ""),
            "{name}"
        );
    }
    // Named, though nobody here could open it.
    let kem = &found["bad-kem"];
    assert_eq!(
        (kem.at("outcome"), kem.at("reason")),
        ("unsupported", "unsupported-recipient")
    );
    let recipients = rows(&report.join("recipients.csv"));
    let kem = recipients
        .iter()
        .find(|row| row.at("kind") == "ori")
        .unwrap();
    assert_eq!(
        (kem.at("key_encryption"), kem.at("key_status")),
        ("ml-kem-768", "missing")
    );
    assert_eq!(kem.at("serial"), "2001");
}

/// One outcome, one text, whatever it was that only the key could show.
#[test]
fn whatever_only_the_key_can_show_ends_alike() {
    let Some((mail, names)) = made_by_python() else {
        return;
    };
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path().join("mail")).unwrap();
    let alike: Vec<&String> = names
        .iter()
        .filter(|name| name.starts_with("alike-"))
        .collect();
    assert!(alike.len() > 12);
    for name in &alike {
        let mail = fs::read_to_string(mail.join(format!("{name}.eml"))).unwrap();
        let subject = format!("Subject: {name}\n");
        sandbox.write(
            &format!("mail/{name}.eml"),
            mail.replace(&subject, "Subject: x\n"),
        );
    }
    let keys = text(&people().keys_of(&["olga", "otto"]));
    sandbox
        .run(["decrypt", "mail", "--keys", &keys, "--out", "OUT"])
        .expect(3);
    // What a row says of the message itself, which differs, is not compared.
    let of_the_message = [
        "mailbox",
        "ordinal",
        "offset",
        "bytes",
        "sha256",
        "form",
        "content_encryption",
        "content_integrity",
        "out_mailbox",
        "out_ordinal",
        "out_offset",
        "out_bytes",
        "out_sha256",
    ];
    for report in ["messages.csv", "failed.csv"] {
        let all = rows(&sandbox.path().join("OUT/report").join(report));
        assert_eq!(all.len(), alike.len(), "{report}");
        let first = all[0].clone().without(&of_the_message);
        assert_eq!(first.at("outcome"), "undecryptable");
        for row in all {
            assert_eq!(row.without(&of_the_message), first, "{report}");
        }
    }
    let mut said = std::collections::BTreeSet::new();
    for name in &alike {
        let mail = fs::read(sandbox.path().join(format!("mail/{name}.eml"))).unwrap();
        let ran = sandbox.line_with_input(&format!("decrypt - --keys {keys}"), &mail);
        said.insert((ran.code, ran.stderr));
        assert_eq!(ran.stdout.as_bytes(), mail, "{name}");
    }
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
fn weak_ciphers_are_opened_and_graded_and_never_written() {
    let sandbox = sealed(&[
        ("tripledes", "-des3 olga.pem"),
        (
            "des",
            "-provider legacy -provider default -des-cbc olga.pem",
        ),
        (
            "rc2-40",
            "-provider legacy -provider default -rc2-40-cbc olga.pem",
        ),
        (
            "rc2-64",
            "-provider legacy -provider default -rc2-64-cbc olga.pem",
        ),
        (
            "rc2-128",
            "-provider legacy -provider default -rc2-cbc olga.pem",
        ),
        ("strong", "-aes-128-cbc olga.pem"),
    ]);
    let keys = people().keys_of(&["olga"]);
    all_are(&outcomes(&sandbox, &keys, &[]), "decrypted", "");
    let row = &by_name(&sandbox.path().join("OUT/report"))["strong"];
    assert_eq!(row.at("content_integrity"), "none");
    let summary = fs::read_to_string(sandbox.path().join("OUT/report/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    let grade = &summary["algorithms"]["content_encryption_strength"];
    assert_eq!(
        (&grade["weak"], &grade["strong"]),
        (&5.into(), &1.into()),
        "{summary}"
    );

    let to = text(&people().certificate("third"));
    let found = outcomes(&sandbox, &keys, &["--to", &to]);
    for (name, (outcome, reason)) in &found {
        let expected = if name == "strong" {
            ("rewrapped", "")
        } else {
            ("refused", "weak-content-encryption")
        };
        assert_eq!((outcome.as_str(), reason.as_str()), expected, "{name}");
    }
    for cipher in ["aes-256-gcm", "aes-256-cbc"] {
        let found = outcomes(
            &sandbox,
            &keys,
            &["--to", &to, "--mode", "content", "--cipher", cipher],
        );
        all_are(&found, "reencrypted", "");
        for name in found.keys() {
            let written = text(&sandbox.path().join(format!("OUT/mail/{name}.eml")));
            let line = format!("cms -cmsout -print -noout -in {written}");
            let shown = openssl(people().path(), &line).expect(&line);
            assert!(String::from_utf8_lossy(&shown).contains(cipher), "{name}");
        }
    }
    for weak in [
        "des-ede3-cbc",
        "des-cbc",
        "rc2-40-cbc",
        "cast5-128-cbc",
        "aes-128-cbc",
    ] {
        let keys = text(&keys);
        sandbox
            .run([
                "reencrypt",
                "mail",
                "--keys",
                &keys,
                "--to",
                &to,
                "--mode",
                "content",
                "--cipher",
                weak,
                "--out",
                "NO",
            ])
            .expect(2);
    }
}

#[test]
fn a_key_agreement_with_the_senders_certificate_needs_that_certificate() {
    let Some((mail, _)) = made_by_python() else {
        return;
    };
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path().join("mail")).unwrap();
    for name in ["static-carried", "static-by-name", "static-by-ski"] {
        fs::copy(
            mail.join(format!("{name}.eml")),
            sandbox.path().join(format!("mail/{name}.eml")),
        )
        .unwrap();
    }
    let keys = text(&people().keys_of(&["otto"]));
    sandbox
        .run(["decrypt", "mail", "--keys", &keys, "--out", "OUT"])
        .expect(3);
    let found = by_name(&sandbox.path().join("OUT/report"));
    assert_eq!(found["static-carried"].at("outcome"), "decrypted");
    for name in ["static-by-name", "static-by-ski"] {
        assert_eq!(
            (found[name].at("outcome"), found[name].at("reason")),
            ("no-key", "originator-certificate-missing"),
            "{name}"
        );
    }
    // Among the keys it is found as well.
    let both = text(&people().keys_of(&["otto", "sara"]));
    sandbox
        .run(["decrypt", "mail", "--keys", &both, "--out", "OUT2"])
        .expect(0);
}

/// A sandbox with `mail/NAME.eml`, encrypted by OpenSSL from the people's folder.
fn sealed(messages: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path().join("mail")).unwrap();
    for (name, how) in messages {
        let to = text(&sandbox.path().join(format!("mail/{name}.eml")));
        let line = format!(
            "cms -encrypt -in letter -out {to} -from ann@example.org -to olga@example.org -subject {name} {how}"
        );
        openssl(people().path(), &line).expect(&line);
    }
    sandbox
}

/// Outcome and reason of each message with these keys, and more words.
fn outcomes(sandbox: &Sandbox, keys: &Path, more: &[&str]) -> BTreeMap<String, (String, String)> {
    let keys = text(keys);
    let words = [
        "migrate",
        "mail",
        "--keys",
        &keys,
        "--out",
        "OUT",
        "--start-over",
    ];
    sandbox.run(words.iter().chain(more));
    let found = by_name(&sandbox.path().join("OUT/report"));
    assert_eq!(
        found.len(),
        fs::read_dir(sandbox.path().join("mail")).unwrap().count()
    );
    found
        .into_iter()
        .map(|(name, row)| {
            (
                name,
                (row.at("outcome").to_owned(), row.at("reason").to_owned()),
            )
        })
        .collect()
}

fn all_are(found: &BTreeMap<String, (String, String)>, outcome: &str, reason: &str) {
    for (name, (was, why)) in found {
        assert_eq!((was.as_str(), why.as_str()), (outcome, reason), "{name}");
    }
}

#[test]
fn x942_diffie_hellman_of_openssl_opens() {
    let sandbox = sealed(&[
        ("dh-128", "-aes-128-cbc dora.pem"),
        ("dh-256", "-aes-256-cbc dora.pem"),
        ("dh-3des", "-des3 dora.pem"),
        ("dh-gcm", "-aes-256-gcm dora.pem"),
    ]);
    all_are(
        &outcomes(&sandbox, &people().keys_of(&["dora"]), &[]),
        "decrypted",
        "",
    );
    all_are(
        &outcomes(&sandbox, &people().keys_of(&["otto"]), &[]),
        "no-key",
        "",
    );
}

#[test]
fn oaep_with_every_hash_label_and_mask_opens_named_either_way() {
    let mut messages = vec![(
        "keyid-pkcs1".to_owned(),
        "-aes-256-cbc -keyid olga.pem".to_owned(),
    )];
    for hash in ["sha1", "sha224", "sha256", "sha384", "sha512"] {
        for mask in ["sha1", "sha256", "sha512"] {
            messages.push((
                format!("{hash}-{mask}"),
                format!(
                    "-aes-256-cbc -keyid -recip olga.pem -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:{hash} -keyopt rsa_mgf1_md:{mask}"
                ),
            ));
        }
    }
    messages.push((
        "label".to_owned(),
        "-aes-256-gcm -recip olga.pem -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256 -keyopt rsa_oaep_label:0a0b0c".to_owned(),
    ));
    let borrowed: Vec<(&str, &str)> = messages
        .iter()
        .map(|(name, how)| (name.as_str(), how.as_str()))
        .collect();
    let sandbox = sealed(&borrowed);
    all_are(
        &outcomes(&sandbox, &people().keys_of(&["olga"]), &[]),
        "decrypted",
        "",
    );
}

#[test]
fn every_ecdh_kdf_standard_and_cofactor_opens() {
    let mut messages = Vec::new();
    for hash in ["sha1", "sha224", "sha256", "sha384", "sha512"] {
        for cofactor in ["0", "1"] {
            messages.push((
                format!("{hash}-{cofactor}"),
                format!("-aes-192-cbc -recip otto.pem -keyopt ecdh_kdf_md:{hash} -keyopt ecdh_cofactor_mode:{cofactor}"),
            ));
        }
    }
    let borrowed: Vec<(&str, &str)> = messages
        .iter()
        .map(|(name, how)| (name.as_str(), how.as_str()))
        .collect();
    let sandbox = sealed(&borrowed);
    all_are(
        &outcomes(&sandbox, &people().keys_of(&["otto"]), &[]),
        "decrypted",
        "",
    );
}

const FOUR: [(&str, &str); 4] = [
    ("rsa", "-aes-256-cbc olga.pem"),
    ("rsa-keyid", "-aes-256-gcm -keyid olga.pem"),
    ("ec", "-aes-256-cbc otto.pem"),
    ("ec-keyid", "-aes-128-gcm -keyid otto.pem"),
];

/// A folder with copies of the people's files under other names.
fn folder(sandbox: &Sandbox, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = sandbox.path().join(name);
    fs::create_dir(&folder).unwrap();
    for (from, to) in files {
        fs::copy(people().path().join(from), folder.join(to)).unwrap();
    }
    folder
}

#[test]
fn a_bare_key_opens_what_nothing_else_does() {
    let sandbox = sealed(&FOUR);
    let bare = folder(
        &sandbox,
        "bare",
        &[
            ("olga.key", "1.key"),
            ("otto.key", "2.key"),
            ("third.key", "3.key"),
        ],
    );
    let found = outcomes(&sandbox, &bare, &[]);
    all_are(&found, "decrypted", "");
    let row = &by_name(&sandbox.path().join("OUT/report"))["rsa"];
    assert_eq!(row.at("opened_with"), "1.key");
    let recipients = rows(&sandbox.path().join("OUT/report/recipients.csv"));
    assert!(recipients.len() >= FOUR.len());
    for row in recipients {
        assert_eq!(row.at("key_status"), "open", "{}", row.at("message_id"));
    }
    let other = folder(
        &sandbox,
        "other",
        &[("third.key", "3.key"), ("sara.key", "4.key")],
    );
    all_are(&outcomes(&sandbox, &other, &[]), "no-key", "");
}

#[test]
fn a_renewed_certificate_on_the_same_key_opens_old_and_new() {
    let pki = people();
    for (old, new, serial) in [("olga", "olga2", 0x2201), ("otto", "otto2", 0x2202)] {
        fs::copy(pki.key(old), pki.key(new)).unwrap();
        pki.issue(new, old, serial);
    }
    let sandbox = sealed(&[
        FOUR[0],
        FOUR[1],
        FOUR[2],
        FOUR[3],
        ("rsa-new", "-aes-256-cbc olga2.pem"),
        ("ec-new", "-aes-256-cbc otto2.pem"),
    ]);
    // Each key once, under the new certificate or the old, with the other certificate beside it.
    let renewed = folder(
        &sandbox,
        "renewed",
        &[
            ("olga2.key", "a.key"),
            ("olga2.pem", "a.pem"),
            ("olga.pem", "old-a.pem"),
            ("otto2.key", "b.key"),
            ("otto2.pem", "b.pem"),
            ("otto.pem", "old-b.pem"),
        ],
    );
    all_are(&outcomes(&sandbox, &renewed, &[]), "decrypted", "");
}

#[test]
fn another_key_under_the_same_issuer_and_serial_is_undecryptable_not_garbage() {
    let pki = people();
    for (name, kind, person, serial) in [
        ("rekeyed-a", "rsa", "olga", 0x2000),
        ("rekeyed-b", "ec", "otto", 0x2002),
    ] {
        pki.make_key(name, kind);
        pki.issue(name, person, serial);
    }
    let sandbox = sealed(&[
        FOUR[0],
        FOUR[2],
        ("rsa-gcm", "-aes-256-gcm olga.pem"),
        (
            "oaep",
            "-aes-256-cbc -recip olga.pem -keyopt rsa_padding_mode:oaep",
        ),
        ("ec-gcm", "-aes-256-gcm otto.pem"),
    ]);
    let rekeyed = pki.keys_of(&["rekeyed-a", "rekeyed-b"]);
    all_are(&outcomes(&sandbox, &rekeyed, &[]), "undecryptable", "");
    for entry in fs::read_dir(sandbox.path().join("mail")).unwrap() {
        let file = entry.unwrap();
        let out = sandbox.path().join("OUT/mail").join(file.file_name());
        assert_eq!(fs::read(file.path()).unwrap(), fs::read(out).unwrap());
    }
}

#[test]
fn locked_wrongly_unlocked_and_missing_keys_are_told_apart() {
    let pki = people();
    let sandbox = sealed(&FOUR);
    let locked = folder(&sandbox, "locked", &[]);
    for name in ["olga", "otto"] {
        let line = format!(
            "pkcs12 -export -in {name}.pem -inkey {name}.key -out {} -passout pass:right",
            text(&locked.join(format!("{name}.p12")))
        );
        openssl(pki.path(), &line).expect(&line);
        fs::copy(pki.certificate(name), locked.join(format!("{name}.pem"))).unwrap();
    }
    all_are(&outcomes(&sandbox, &locked, &[]), "locked", "");
    sandbox.write("word", "wrong\n");
    all_are(
        &outcomes(&sandbox, &locked, &["--passphrase-file", "word"]),
        "locked",
        "",
    );
    sandbox.write("word", "right\n");
    all_are(
        &outcomes(&sandbox, &locked, &["--passphrase-file", "word"]),
        "decrypted",
        "",
    );
    all_are(
        &outcomes(&sandbox, &pki.keys_of(&["third"]), &[]),
        "no-key",
        "",
    );
}
