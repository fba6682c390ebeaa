//! What opens with a passphrase or a shared key, and with nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::Sandbox;
use crate::support::table::{Row, rows};
use crate::support::tools::{openssl, run};

const LETTER: &str =
    "Content-Type: text/plain; charset=utf-8\r\n\r\nThe ship's cook keeps the second key.\r\n";
const KEY_16: &str = "000102030405060708090A0B0C0D0E0F";
const KEY_24: &str = "000102030405060708090a0b0c0d0e0f1011121314151617";
const KEY_32: &str = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff000102030405060708090a0b0c0d0e0f";

/// A sandbox with `mail/NAME.eml`, each encrypted by OpenSSL as `HOW` says.
fn sealed(messages: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("letter", LETTER);
    fs::create_dir(sandbox.path().join("mail")).unwrap();
    for (name, how) in messages {
        let line = format!(
            "cms {how} -in letter -out mail/{name}.eml -from ann@example.org -to olga@example.org -subject {name}"
        );
        openssl(sandbox.path(), &line).expect(&line);
    }
    sandbox.write("words", "wrong\nopen sesame\nanother\n");
    sandbox.write("keys", format!("{KEY_16}\n{KEY_24}\n\n{KEY_32}\n"));
    sandbox
}

fn every_kind() -> [(&'static str, &'static str); 8] {
    [
        ("pwri-aes", "-encrypt -aes-256-cbc -pwri_password another"),
        ("pwri-3des", "-encrypt -des3 -pwri_password another"),
        ("pwri-128", "-encrypt -aes-128-cbc -pwri_password another"),
        (
            "kekri-16",
            concat!(
                "-encrypt -aes-256-cbc -secretkeyid C0FFEE -secretkey ",
                "000102030405060708090A0B0C0D0E0F"
            ),
        ),
        (
            "kekri-24",
            concat!(
                "-encrypt -aes-128-cbc -secretkeyid C0FFEE -secretkey ",
                "000102030405060708090a0b0c0d0e0f1011121314151617"
            ),
        ),
        (
            "kekri-32",
            concat!(
                "-encrypt -aes-256-gcm -secretkeyid C0FFEE -secretkey ",
                "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff000102030405060708090a0b0c0d0e0f"
            ),
        ),
        (
            "data-128",
            concat!(
                "-EncryptedData_encrypt -aes-128-cbc -secretkey ",
                "000102030405060708090A0B0C0D0E0F"
            ),
        ),
        (
            "data-3des",
            concat!(
                "-EncryptedData_encrypt -des3 -secretkey ",
                "000102030405060708090a0b0c0d0e0f1011121314151617"
            ),
        ),
    ]
}

/// Rows of messages.csv by the message's name.
fn by_name(sandbox: &Sandbox) -> BTreeMap<String, Row> {
    let all = rows(&sandbox.path().join("OUT/report/messages.csv"));
    let name = |row: &Row| {
        let file = row.at("mailbox").rsplit('/').next().unwrap_or_default();
        file.trim_end_matches(".eml").to_owned()
    };
    all.into_iter().map(|row| (name(&row), row)).collect()
}

fn written(sandbox: &Sandbox, name: &str) -> String {
    String::from_utf8_lossy(&fs::read(sandbox.path().join(format!("OUT/mail/{name}.eml"))).unwrap())
        .into_owned()
}

#[test]
fn passphrases_and_shared_keys_open_what_openssl_made() {
    let sandbox = sealed(&every_kind());
    sandbox
        .line("migrate mail --out OUT --message-passphrase-file words --message-key-file keys")
        .expect(0);
    let rows = by_name(&sandbox);
    for (name, _) in every_kind() {
        let row = &rows[name];
        assert_eq!(
            row.at("outcome"),
            "decrypted",
            "{name}: {}",
            row.at("reason")
        );
        let opened_with = match name {
            _ if name.starts_with("pwri") => "words:3",
            "kekri-16" | "data-128" => "keys:1",
            "kekri-24" | "data-3des" => "keys:2",
            _ => "keys:4",
        };
        assert_eq!(row.at("opened_with"), opened_with, "{name}");
        assert_eq!(row.at("opened_for"), "", "{name}");
        assert!(written(&sandbox, name).contains("second key"), "{name}");
        let form = if name.contains("data") {
            "encrypted"
        } else if name == "kekri-32" {
            "auth-enveloped"
        } else {
            "enveloped"
        };
        assert_eq!(row.at("form"), form, "{name}");
    }
    assert_eq!(rows["data-3des"].at("content_encryption"), "des-ede3-cbc");
    // No secret is told anywhere.
    for file in walkdir::WalkDir::new(sandbox.path().join("OUT"))
        .into_iter()
        .filter_map(Result::ok)
    {
        if file.file_type().is_file() {
            let bytes = fs::read(file.path()).unwrap();
            for secret in ["open sesame", KEY_24] {
                assert!(
                    memchr::memmem::find(&bytes, secret.as_bytes()).is_none(),
                    "{}",
                    file.path().display()
                );
            }
        }
    }
}

#[test]
fn without_them_nothing_opens_and_with_wrong_ones_it_is_undecryptable() {
    let sandbox = sealed(&every_kind());
    sandbox.line("migrate mail --out OUT").expect(3);
    for (name, row) in by_name(&sandbox) {
        assert_eq!(
            (row.at("outcome"), row.at("reason")),
            ("no-key", "password-encrypted"),
            "{name}"
        );
    }
    let recipients = rows(&sandbox.path().join("OUT/report/recipients.csv"));
    assert_eq!(recipients.len(), 6, "EncryptedData has none");
    assert!(
        recipients
            .iter()
            .all(|row| row.at("key_status") == "password")
    );

    sandbox.write("words", "wrong\nworse\n");
    let wrong = |digit: &str, digits: usize| digit.repeat(digits);
    sandbox.write(
        "keys",
        format!(
            "{}\n{}\n{}\n",
            wrong("1", 32),
            wrong("2", 48),
            wrong("3", 64)
        ),
    );
    sandbox
        .line("decrypt mail --out OUT --start-over --message-passphrase-file words --message-key-file keys")
        .expect(3);
    for (name, row) in by_name(&sandbox) {
        assert_eq!(
            (row.at("outcome"), row.at("reason")),
            ("undecryptable", ""),
            "{name}"
        );
        assert_eq!(
            fs::read(sandbox.path().join(format!("mail/{name}.eml"))).unwrap(),
            written(&sandbox, &name).into_bytes()
        );
    }
    // Only passphrases are no key for a shared key.
    sandbox
        .line("decrypt mail --out OUT --start-over --message-passphrase-file words")
        .expect(3);
    let rows = by_name(&sandbox);
    assert_eq!(rows["pwri-aes"].at("outcome"), "undecryptable");
    assert_eq!(rows["kekri-16"].at("reason"), "password-encrypted");
    assert_eq!(rows["data-128"].at("reason"), "password-encrypted");
}

#[test]
fn what_a_passphrase_opens_can_be_for_new_recipients() {
    let sandbox = sealed(&[
        ("pwri", "-encrypt -aes-256-cbc -pwri_password another"),
        (
            "data",
            concat!(
                "-EncryptedData_encrypt -aes-128-cbc -secretkey ",
                "000102030405060708090A0B0C0D0E0F"
            ),
        ),
    ]);
    openssl(
        sandbox.path(),
        "req -x509 -newkey rsa:2048 -nodes -keyout nina.key -out nina.pem -days 7300 -subj /CN=nina -addext subjectAltName=email:nina@example.org",
    )
    .expect("a certificate");
    let secrets = "--message-passphrase-file words --message-key-file keys --to nina.pem --now 2044-01-01T00:00:00Z";
    sandbox
        .line(&format!("reencrypt mail --out OUT {secrets}"))
        .expect(3);
    let rows = by_name(&sandbox);
    assert_eq!(
        rows["pwri"].at("outcome"),
        "rewrapped",
        "{}",
        rows["pwri"].at("reason")
    );
    assert_eq!(
        (rows["data"].at("outcome"), rows["data"].at("reason")),
        ("refused", "no-recipients")
    );
    let opened = openssl(
        sandbox.path(),
        "cms -decrypt -in OUT/mail/pwri.eml -recip nina.pem -inkey nina.key",
    )
    .expect("nina");
    assert!(String::from_utf8_lossy(&opened).contains("second key"));
    sandbox
        .line(&format!(
            "reencrypt mail --out OUT --start-over --mode content --cipher aes-256-cbc {secrets}"
        ))
        .expect(0);
    let opened = openssl(
        sandbox.path(),
        "cms -decrypt -in OUT/mail/data.eml -recip nina.pem -inkey nina.key",
    )
    .expect("nina");
    assert!(String::from_utf8_lossy(&opened).contains("second key"));
}

#[test]
fn a_part_under_a_passphrase_is_opened_only_where_that_is_asked_for() {
    let sandbox = sealed(&[("pwri", "-encrypt -aes-256-cbc -pwri_password another")]);
    let inner = fs::read_to_string(sandbox.path().join("mail/pwri.eml")).unwrap();
    let part = &inner[inner.find("MIME-Version").unwrap()..];
    sandbox.write(
        "mail/pwri.eml",
        format!("From: eve@example.org\nTo: olga@example.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nPlease read.\n--b\n{part}\n--b--\n"),
    );
    sandbox
        .line("decrypt mail --out OUT --message-passphrase-file words")
        .expect(3);
    let row = &by_name(&sandbox)["pwri"];
    assert_eq!(
        (row.at("outcome"), row.at("reason")),
        ("refused", "key-not-addressed")
    );
    sandbox
        .line("decrypt mail --out OUT --start-over --open-unaddressed --message-passphrase-file words")
        .expect(0);
    assert_eq!(by_name(&sandbox)["pwri"].at("outcome"), "decrypted");
    assert!(written(&sandbox, "pwri").contains("second key"));
}

/// An element of DER.
fn tlv(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match body.len() {
        short @ ..=0x7f => out.push(u8::try_from(short).unwrap()),
        long => out.extend([
            0x82,
            u8::try_from(long >> 8).unwrap(),
            u8::try_from(long & 0xff).unwrap(),
        ]),
    }
    out.extend(body);
    out
}

/// EncryptedData under PBES2 with PBKDF2 (HMAC-SHA-256) and AES-256-CBC (RFC 8018), base64 in a mail.
fn pbes2(salt: &[u8], rounds: u32, iv: &[u8], ciphertext: &[u8]) -> String {
    let oid = |bytes: &[u8]| tlv(6, bytes);
    let prf = tlv(
        0x30,
        &[oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 9]), vec![5, 0]].concat(),
    );
    let count = rounds.to_be_bytes();
    let count = tlv(2, &[&[0][..], &count].concat());
    let parameters = tlv(0x30, &[tlv(4, salt), count, prf].concat());
    let pkcs5 = |n: u8| oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, n]);
    let derivation = tlv(0x30, &[pkcs5(12), parameters].concat());
    let cipher = tlv(
        0x30,
        &[oid(&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 0x2a]), tlv(4, iv)].concat(),
    );
    let algorithm = tlv(
        0x30,
        &[pkcs5(13), tlv(0x30, &[derivation, cipher].concat())].concat(),
    );
    let pkcs7 = |n: u8| oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, n]);
    let content = tlv(0x30, &[pkcs7(1), algorithm, tlv(0x80, ciphertext)].concat());
    let data = tlv(0x30, &[vec![2, 1, 0], content].concat());
    let object = tlv(0x30, &[pkcs7(6), tlv(0xa0, &data)].concat());
    let text = run("openssl", &["base64"], &object).expect("base64");
    format!(
        "From: ann@example.org\nTo: olga@example.org\nMIME-Version: 1.0\nContent-Type: application/pkcs7-mime; smime-type=encrypted-data; name=smime.p7m\nContent-Transfer-Encoding: base64\n\n{}",
        String::from_utf8(text).unwrap()
    )
}

/// Key, IV and ciphertext by `openssl enc`, whose PBKDF2 gives the key first and the IV behind it.
fn openssl_enc(folder: &Path, salt: &str, rounds: u32) -> (Vec<u8>, Vec<u8>) {
    let line = format!(
        "enc -aes-256-cbc -pbkdf2 -md sha256 -iter {rounds} -S {salt} -pass pass:another -p -in letter -out sealed"
    );
    let said = String::from_utf8(openssl(folder, &line).expect(&line)).unwrap();
    let iv = said
        .lines()
        .find_map(|line| line.strip_prefix("iv ="))
        .unwrap()
        .trim()
        .to_owned();
    let iv = (0..16)
        .map(|i| u8::from_str_radix(&iv[2 * i..2 * i + 2], 16).unwrap())
        .collect();
    (iv, fs::read(folder.join("sealed")).unwrap())
}

#[test]
fn encrypted_data_under_a_passphrase_opens_and_its_rounds_are_bounded() {
    let sandbox = sealed(&[]);
    let salt = [1, 2, 3, 4, 5, 6, 7, 8];
    let (iv, ciphertext) = openssl_enc(sandbox.path(), "0102030405060708", 10_000);
    sandbox.write("mail/honest.eml", pbes2(&salt, 10_000, &iv, &ciphertext));
    sandbox.write("mail/dear.eml", pbes2(&salt, u32::MAX, &iv, &ciphertext));
    let began = std::time::Instant::now();
    sandbox
        .line("decrypt mail --out OUT --message-passphrase-file words")
        .expect(3);
    assert!(began.elapsed().as_secs() < 5);
    let rows = by_name(&sandbox);
    let honest = &rows["honest"];
    assert_eq!(honest.at("outcome"), "decrypted", "{}", honest.at("reason"));
    assert_eq!(
        (honest.at("form"), honest.at("content_encryption")),
        ("encrypted", "aes-256-cbc")
    );
    assert!(written(&sandbox, "honest").contains("second key"));
    assert_eq!(
        (rows["dear"].at("outcome"), rows["dear"].at("reason")),
        ("refused", "limit-rounds")
    );
}

#[test]
fn a_file_of_secrets_that_others_can_read_or_that_holds_no_key_is_refused() {
    let sandbox = sealed(&[("pwri", "-encrypt -aes-256-cbc -pwri_password another")]);
    for (option, file) in [
        ("--message-passphrase-file", "words"),
        ("--message-key-file", "keys"),
    ] {
        fs::set_permissions(sandbox.path().join(file), fs::Permissions::from_mode(0o640)).unwrap();
        let ran = sandbox
            .line(&format!("decrypt mail --out OUT {option} {file}"))
            .expect(2);
        assert!(
            ran.stderr.contains(option) && ran.stderr.contains("chmod 600"),
            "{}",
            ran.stderr
        );
    }
    sandbox.write("bad", "not a key: open sesame\n");
    let ran = sandbox
        .line("decrypt mail --out OUT --message-key-file bad")
        .expect(2);
    assert!(
        ran.stderr.contains("line 1") && !ran.stderr.contains("sesame"),
        "{}",
        ran.stderr
    );
    assert!(!sandbox.path().join("OUT").exists());
}

/// A key that is not the message's makes letters of a block now and then.
#[test]
fn letters_alone_do_not_prove_a_key() {
    let sandbox = Sandbox::new();
    sandbox.write("keys", format!("{KEY_16}\n{KEY_24}\n"));
    fs::create_dir(sandbox.path().join("mail")).unwrap();
    for (cipher, key) in [("des3", KEY_24), ("aes-128-cbc", KEY_16)] {
        for (name, text) in [
            ("seven", "letters"),
            ("fifteen", "fifteen letters"),
            ("header", "Content-Type: a/b\r\n\r\nhi"),
            (
                "text",
                "This has no header and is longer than two blocks are..",
            ),
        ] {
            sandbox.write("letter", text);
            let line = format!(
                "cms -EncryptedData_encrypt -binary -{cipher} -secretkey {key} -in letter -out mail/{cipher}-{name}.eml \
                 -from ann@example.org -to olga@example.org -subject {name}"
            );
            openssl(sandbox.path(), &line).expect(&line);
        }
    }
    sandbox
        .line("decrypt mail --out OUT --message-key-file keys")
        .expect(3);
    let found = by_name(&sandbox);
    for (name, outcome) in [
        ("des3-seven", "undecryptable"),
        ("des3-fifteen", "undecryptable"),
        ("des3-header", "decrypted"),
        ("des3-text", "decrypted"),
        // Nine bytes of padding prove the key by themselves.
        ("aes-128-cbc-seven", "decrypted"),
        ("aes-128-cbc-fifteen", "undecryptable"),
        ("aes-128-cbc-header", "decrypted"),
        ("aes-128-cbc-text", "decrypted"),
    ] {
        assert_eq!(found[name].at("outcome"), outcome, "{name}");
    }
}

#[test]
fn who_needs_a_passphrase_for_a_message_is_told_so() {
    let sandbox = sealed(&[("pwri", "-encrypt -aes-256-cbc -pwri_password another")]);
    let ran = sandbox.line("migrate mail --out OUT").expect(3);
    assert!(
        ran.stdout
            .contains("not for a key file: --message-passphrase-file for 1")
            && !ran.stdout.contains("more key files"),
        "{}",
        ran.stdout
    );
    sandbox.write("none", "\n\n");
    for option in ["--message-passphrase-file", "--message-key-file"] {
        let ran = sandbox
            .line(&format!("migrate mail --out OUT2 {option} none"))
            .expect(2);
        assert!(ran.stderr.contains("holds no "), "{}", ran.stderr);
    }
    sandbox.write("empty", "");
    let ran = sandbox
        .line("migrate mail --out OUT2 --keys mail --passphrase-file empty")
        .expect(2);
    assert!(ran.stderr.contains("is empty"), "{}", ran.stderr);
}

#[test]
fn a_scan_tells_what_passphrases_and_shared_keys_would_open() {
    let key = "000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f";
    let sandbox = sealed(&[
        ("one", "-encrypt -aes-256-cbc -pwri_password another"),
        ("two", "-encrypt -aes-256-cbc -pwri_password another"),
        (
            "kek",
            &format!("-encrypt -aes-256-cbc -secretkey {key} -secretkeyid 01"),
        ),
        (
            "data",
            &format!("-EncryptedData_encrypt -aes-256-cbc -secretkey {key}"),
        ),
    ]);
    let ran = sandbox.line("scan mail").expect(0);
    let said = "4 encrypted messages wait for a passphrase or a shared key, not for a key file: \
                --message-passphrase-file for 2, --message-key-file for 1, \
                --message-passphrase-file or --message-key-file for 1\n";
    assert!(ran.stdout.contains(said), "{}", ran.stdout);
    sandbox.write("wrong", "not it\n");
    let ran = sandbox
        .line("scan mail --message-passphrase-file wrong")
        .expect(0);
    assert!(
        ran.stdout.contains("and none given opens them"),
        "{}",
        ran.stdout
    );
}
