//! Reports that leave the house: no name that was to be hidden is in any of them, wherever it came from.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::Sandbox;
use crate::support::table::rows;
use crate::support::tools::{LATER, Pki, openssl};

/// What `--redact` hides, and marks that stand for it here. Names of files are told apart from those of
/// people, so that each mark belongs to one class.
const CLASSES: [(&str, &[&str]); 3] = [
    ("subject", &["zzsubject"]),
    (
        "addresses",
        &[
            "zzann",
            "zzbob",
            "zzeve",
            "zzself",
            "zzlisa",
            "zzid",
            "example.org",
        ],
    ),
    ("paths", &["zzpath", "zzbox", "zzkey", "zzstore", "zzfile"]),
];

/// An archive in which every kind of name is a mark: signed, encrypted to people whose keys are there, locked,
/// missing and their own issuer (lisa as an authority, as `openssl req -x509` makes one), attached, damaged, and a file that is no mail.
fn archive() -> (Sandbox, Pki) {
    let (sandbox, pki) = (Sandbox::new(), Pki::new());
    for (serial, name) in ["zzann", "zzbob", "zzeve"].iter().enumerate() {
        pki.person(name, "rsa", 0x71 + u32::try_from(serial).unwrap());
    }
    let line = |line: &str| openssl(pki.path(), line).expect(line);
    line(
        "req -x509 -newkey rsa:2048 -nodes -keyout zzself.key -out zzself.pem -days 7300 -subj /CN=zzself \
         -addext subjectAltName=email:zzself@example.org -addext basicConstraints=CA:FALSE",
    );
    line(
        "req -x509 -newkey rsa:2048 -nodes -keyout zzlisa.key -out zzlisa.pem -days 7300 -subj /CN=zzlisa \
         -addext subjectAltName=email:zzlisa@example.org",
    );
    let header = |from: &str, to: &str, number: u32| {
        format!(
            "From: \"Zzdisplay\" <{from}@example.org>\nTo: {to}@example.org\nMessage-ID: <zzid{number}@example.org>\n\
             Subject: zzsubject for {to}@example.org\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n"
        )
    };
    std::fs::write(
        pki.path().join("text"),
        "Content-Type: text/plain\n\nhello\n",
    )
    .unwrap();
    let mut mbox = String::new();
    let sealed = [
        (
            "zzann",
            "zzbob",
            "cms -sign -in text -signer zzann.pem -inkey zzann.key",
        ),
        (
            "zzself",
            "zzbob",
            "cms -sign -in text -signer zzself.pem -inkey zzself.key",
        ),
        (
            "zzeve",
            "zzbob",
            "cms -sign -in text -signer zzeve.pem -inkey zzeve.key",
        ),
        ("zzann", "zzbob", "cms -encrypt -aes256 -in text zzbob.pem"),
        ("zzann", "zzann", "cms -encrypt -aes256 -in text zzann.pem"),
        ("zzann", "zzeve", "cms -encrypt -aes256 -in text zzeve.pem"),
        (
            "zzann",
            "zzself",
            "cms -encrypt -aes256 -in text zzself.pem",
        ),
        (
            "zzlisa",
            "zzbob",
            "cms -sign -in text -signer zzlisa.pem -inkey zzlisa.key",
        ),
        (
            "zzann",
            "zzlisa",
            "cms -encrypt -aes256 -in text zzlisa.pem",
        ),
    ];
    for (number, (from, to, command)) in (1..).zip(sealed) {
        let object = String::from_utf8(line(command))
            .unwrap()
            .replace("\r\n", "\n");
        let message = header(from, to, number) + &object;
        mbox += &format!("From {from}@example.org Mon Jan  1 00:00:00 2024\n{message}\n");
        let attached = format!(
            "{}MIME-Version: 1.0\nContent-Type: message/rfc822\n\n{message}",
            header("zzbob", "zzann", 50 + number)
        );
        sandbox.write(&format!("zzpath/zzfile{number}.eml"), attached);
        let damaged = message.get(..message.len() * 2 / 3).unwrap();
        sandbox.write(&format!("zzpath/zzfile{number}x.eml"), damaged);
    }
    sandbox.write("zzpath/zzbox.mbox", mbox);
    sandbox.write("zzpath/zzfile.gz", b"\x1f\x8b\x08\0\0\0\0\0");
    let copy = |from: &str, to: &str| {
        let bytes = std::fs::read(pki.path().join(from)).unwrap();
        sandbox.write(&format!("zzkeys/{to}"), bytes);
    };
    copy("zzbob.key", "zzkey1.key");
    copy("zzbob.pem", "zzkey1.pem");
    pki.pkcs12("zzann");
    copy("zzann.p12", "zzkey2.p12");
    copy("zzann.pem", "zzkey2.pem");
    copy("root.pem", "../root.pem");
    copy("zzlisa.pem", "../other.pem");
    (sandbox, pki)
}

/// Every file of a report, with its name, in lower case.
fn all_text(report: &Path) -> BTreeMap<String, String> {
    let files = std::fs::read_dir(report).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let bytes = std::fs::read(entry.path()).unwrap();
        (name, String::from_utf8_lossy(&bytes).to_lowercase())
    });
    files.collect()
}

fn hold(files: &BTreeMap<String, String>, mark: &str) -> Vec<String> {
    let holding = files
        .iter()
        .filter(|(name, text)| name.contains(mark) || text.contains(mark));
    holding.map(|(name, _)| name.clone()).collect()
}

#[test]
fn what_is_to_be_hidden_is_in_no_report_and_everything_else_is() {
    let (sandbox, _pki) = archive();
    for classes in [
        &["subject"][..],
        &["addresses"],
        &["paths"],
        &["subject", "addresses"],
        &["subject", "addresses", "paths"],
    ] {
        let line = format!(
            "migrate zzpath --keys zzkeys --trust root.pem --trust other.pem --store zzstore.db --our-domains Example.org \
             --redact {} --now {LATER} --format both --out OUT --start-over",
            classes.join(",")
        );
        sandbox.line(&line).expect(3);
        let files = all_text(&sandbox.path().join("OUT/report"));
        assert!(files.len() > 18, "{:?}", files.keys());
        for (class, marks) in CLASSES {
            for mark in marks {
                let found = hold(&files, mark);
                // Key files are named after people.
                let is_somebodys = *mark == "zzkey" && classes.contains(&"addresses");
                if classes.contains(&class) || is_somebodys {
                    assert!(found.is_empty(), "{classes:?}: {mark} is in {found:?}");
                } else {
                    assert!(!found.is_empty(), "{classes:?}: {mark} is nowhere");
                }
            }
        }
        // What no report ever shows.
        assert!(hold(&files, "zzdisplay").is_empty());
    }
}

#[test]
fn every_command_hides_the_same() {
    let (sandbox, pki) = archive();
    pki.keys_of(&["zzann"]);
    let redact = format!("--redact subject,addresses,paths --now {LATER} --format both");
    let ann = "zzkeys/zzkey2.pem";
    sandbox.write("secret", "secret\n");
    for line in [
        "scan zzpath --keys zzkeys --hash --our-domains=example.org --report R1".to_owned(),
        "verify zzpath --trust root.pem --keys zzkeys --report R2".to_owned(),
        "harvest zzpath --trust root.pem --store zzstore.db --report R3".to_owned(),
        "sign zzpath --as zzann@example.org --keys zzkeys --passphrase-file secret --out O4 --report R4".to_owned(),
        format!("encrypt zzpath --to {ann} --to-recipients --to-self --store zzstore.db --out O5 --report R5"),
        format!("reencrypt zzpath --keys zzkeys --to {ann} --out O6 --report R6"),
    ] {
        sandbox.line(&format!("{line} {redact}"));
        let report = line.rsplit(' ').next().unwrap();
        let files = all_text(&sandbox.path().join(report));
        assert!(files.len() > 15, "{line}: {:?}", files.keys());
        for mark in CLASSES.iter().flat_map(|(_, marks)| *marks) {
            let found = hold(&files, mark);
            assert!(found.is_empty(), "{line}: {mark} is in {found:?}");
        }
    }
}

#[test]
fn one_address_has_one_pseudonym_and_another_key_another() {
    let (sandbox, _pki) = archive();
    let senders = |out: &str| {
        let line =
            format!("migrate zzpath --keys zzkeys --redact addresses --now {LATER} --out {out}");
        sandbox.line(&line).expect(3);
        let report = sandbox.path().join(out).join("report");
        let key = std::fs::read_to_string(sandbox.path().join(out).join(".p7mill/redaction.key"));
        let key = key.unwrap().trim().to_owned();
        assert_eq!(key.len(), 64);
        assert!(hold(&all_text(&report), &key).is_empty());
        let messages = rows(&report.join("messages.csv"));
        let from = |row: &crate::support::table::Row| row.at("from").to_owned();
        let box_only = messages
            .iter()
            .filter(|row| row.at("mailbox").ends_with("zzbox.mbox"));
        box_only.map(from).collect::<Vec<_>>()
    };
    let one = senders("OUT1");
    // Ann, herself, eve, then ann four times, lisa, ann.
    assert_eq!(one.len(), 9);
    assert!(one[3..7].iter().all(|from| *from == one[0]) && one[1] != one[0] && one[2] != one[1]);
    let pool = rows(&sandbox.path().join("OUT1/report/certificates.csv"));
    assert!(
        pool.iter().any(|row| row.at("addresses") == one[0]),
        "{one:?}"
    );
    let other = senders("OUT2");
    assert!(one.iter().zip(&other).all(|(a, b)| a != b));
}
