//! `encrypt` over archives and pipes: nothing readable is written, nobody sees who is blind, and
//! everything is accounted for.

use std::path::Path;

use crate::support::Sandbox;
use crate::support::readers::{by_openssl, object_of};
use crate::support::table::rows;
use crate::support::tools::{LATER, Pki, openssl};
use crate::support::trees;

/// What may stand nowhere in OUT.
const SECRET: &str = "the figurehead leaves at dawn";

pub(crate) fn letter(fields: &str) -> String {
    format!(
        "From: ann@example.org\n{fields}Subject: plans\nDate: Mon, 23 Nov 2026 10:00:00 +0000\n\n{SECRET}\n"
    )
}

pub(crate) fn pki() -> Pki {
    let pki = Pki::new();
    for (serial, name) in (0x4001..).zip(["ann", "bob", "eve", "archive"]) {
        pki.person(name, "ec", serial);
    }
    pki
}

/// Three kinds of mailbox, each with a message to Bob, one with Eve as a blind recipient, and one to
/// somebody of whom nothing is known.
pub(crate) fn archive(sandbox: &Sandbox) {
    let known = letter("To: bob@example.org\n");
    let blind = letter("To: bob@example.org\nBcc: Eve <eve@example.org>\n");
    let unknown = letter("To: bob@example.org, zoe@example.org\n");
    let all = [&known, &blind, &unknown];
    let mut mbox = String::new();
    for (number, message) in all.iter().enumerate() {
        let number = number + 1;
        sandbox.write(&format!("A/tree/{number}.eml"), message);
        sandbox.write(&format!("A/md/cur/170000000{number}.M1.host:2,S"), message);
        mbox += &format!("From ann@example.org Mon Nov 23 10:00:00 2026\n{message}\n");
    }
    for folder in ["new", "tmp"] {
        std::fs::create_dir_all(sandbox.path().join("A/md").join(folder)).unwrap();
    }
    sandbox.write("A/box.mbox", mbox);
}

fn encrypt(sandbox: &Sandbox, pki: &Pki, options: &str) -> crate::support::Ran {
    let [bob, eve] = ["bob", "eve"].map(|name| pki.certificate(name).display().to_string());
    let line = format!(
        "encrypt A --to-recipients --to {bob} --to {eve} --out OUT --now {LATER} {options}"
    );
    sandbox.line(&line)
}

fn files_below(path: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = walkdir::WalkDir::new(path)
        .into_iter()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect();
    files.sort();
    files
}

#[test]
fn nothing_readable_is_written_and_who_is_unknown_is_named() {
    let (sandbox, pki) = (Sandbox::new(), pki());
    archive(&sandbox);
    let ran = encrypt(&sandbox, &pki, "--no-originals").expect(3);
    assert!(
        ran.stdout.contains(
            "9 messages in 5 mailboxes, 6 written, 3 left out, 3 copies for blind recipients: all accounted for"
        ),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("zoe@example.org: 3 messages"),
        "{}",
        ran.stdout
    );
    let out = sandbox.path().join("OUT");
    for file in files_below(&out) {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        assert!(!text.contains(SECRET), "{}", file.display());
        let is_mail =
            !file.starts_with(out.join("report")) && !file.starts_with(out.join(".p7mill"));
        if is_mail {
            assert!(!text.contains("zoe@"), "{}", file.display());
        }
    }
    let failed = rows(&out.join("report/failed.csv"));
    assert_eq!(failed.len(), 3);
    for row in &failed {
        assert_eq!(row.at("outcome"), "refused");
        assert_eq!(row.at("reason"), "recipient-unknown");
        assert!(row.at("what_to_do").contains("zoe@example.org"));
    }
    for row in rows(&out.join("report/messages.csv")) {
        let written = !row.at("out_sha256").is_empty();
        assert_eq!(written, row.at("outcome") == "encrypted");
    }
    let page = std::fs::read_to_string(out.join("report/report.html")).unwrap();
    assert!(!page.contains("are missing"), "left out is not lost");
    for (name, number) in [("withheld", 3), ("copies", 3)] {
        let told = format!("<data value=\"{number}\" data-of=\"{name}\">");
        assert!(page.contains(&told), "{name}");
    }
    sandbox.line("check OUT").expect(0);
    let before = trees::tree(&out);
    encrypt(&sandbox, &pki, "--no-originals").expect(3);
    assert_eq!(trees::tree(&out), before, "a second run writes nothing");
    // Who may read, and who may not.
    let message = std::fs::read(out.join("A/tree/1.eml")).unwrap();
    let object = sandbox.write("x.p7m", object_of(&message));
    let text = by_openssl(&pki, "bob", &object).expect("Bob reads it");
    assert!(String::from_utf8_lossy(&text).contains(SECRET));
    assert_eq!(by_openssl(&pki, "eve", &object), None);
}

#[test]
fn a_blind_recipient_gets_a_message_that_the_others_know_nothing_of() {
    let (sandbox, pki) = (Sandbox::new(), pki());
    archive(&sandbox);
    encrypt(&sandbox, &pki, "").expect(3);
    let out = sandbox.path().join("OUT/A");
    let mbox = std::fs::read_to_string(out.join("box.mbox")).unwrap();
    let mut messages: Vec<String> = mbox
        .split("From ann@example.org Mon Nov 23")
        .skip(1)
        .map(|message| message.split_once('\n').unwrap().1.to_owned())
        .collect();
    messages.extend(
        files_below(&out)
            .iter()
            .filter(|file| !file.ends_with("box.mbox"))
            .map(|file| std::fs::read_to_string(file).unwrap()),
    );
    assert_eq!(messages.len(), 9);
    let mut blind = 0;
    for message in &messages {
        let object = sandbox.write("x.p7m", object_of(message.as_bytes()));
        let to_eve = by_openssl(&pki, "eve", &object).is_some();
        let to_bob = by_openssl(&pki, "bob", &object).is_some();
        assert_eq!(message.contains("eve@"), to_eve);
        assert_ne!(to_eve, to_bob);
        assert_eq!(message.contains("Bcc: eve@example.org\n"), to_eve);
        let line = format!(
            "cms -cmsout -print -noout -inform DER -in {}",
            object.display()
        );
        let shown = openssl(pki.path(), &line).expect("cmsout");
        let shown = String::from_utf8_lossy(&shown).into_owned();
        assert_eq!(
            shown.matches("d.issuerAndSerialNumber").count() + shown.matches("d.ktri").count(),
            1,
            "{shown}"
        );
        blind += u32::from(to_eve);
    }
    assert_eq!(blind, 3);
    // The report says of each object who reads it, and no more.
    let report = sandbox.path().join("OUT/report");
    for row in rows(&report.join("messages.csv")) {
        let written = row.at("outcome") == "encrypted";
        assert_eq!(row.at("recipients"), if written { "1" } else { "0" });
    }
    let readers = rows(&report.join("recipients.csv"));
    assert_eq!(readers.len(), 9);
    for row in &readers {
        let is_copy = row.at("address") == "eve@example.org";
        assert_eq!(row.at("copy"), if is_copy { "1" } else { "" });
        assert_eq!(row.at("role"), if is_copy { "hidden" } else { "to" });
    }
    // Back again: copies go, what was left out is in the source only.
    sandbox.line("check OUT").expect(0);
    sandbox.line("restore OUT").expect(3);
    sandbox.line("check OUT").expect(0);
    let restored = std::fs::read_to_string(out.join("box.mbox")).unwrap();
    let source = std::fs::read_to_string(sandbox.path().join("A/box.mbox")).unwrap();
    assert!(source.starts_with(&restored) && restored.matches(SECRET).count() == 2);
    let trees = |folder: &str| files_below(&out.join(folder)).len();
    assert_eq!((trees("tree"), trees("md")), (2, 2));
    for name in ["tree/1.eml", "tree/2.eml", "md/cur/1700000002.M1.host:2,S"] {
        assert_eq!(
            std::fs::read(out.join(name)).unwrap(),
            std::fs::read(sandbox.path().join("A").join(name)).unwrap(),
            "{name}"
        );
    }
}

/// `--to` alone is for what is kept: the header stays, and nobody but those named reads the content.
#[test]
fn to_those_named_alone_the_header_stays_a_blind_recipient_included() {
    let (sandbox, pki) = (Sandbox::new(), pki());
    let bob = pki.certificate("bob").display().to_string();
    let mail = letter("To: ann@example.org\nBcc: eve@example.org\n");
    let kept = format!("encrypt - --to {bob} --now {LATER}");
    let ran = sandbox.line_with_input(&kept, mail.as_bytes()).expect(0);
    assert!(!ran.stdout.starts_with("From ") && !ran.stdout.contains(SECRET));
    assert!(
        ran.stdout.contains("Bcc: eve@example.org\n"),
        "{}",
        ran.stdout
    );
    let object = sandbox.write("x.p7m", object_of(ran.stdout.as_bytes()));
    assert!(by_openssl(&pki, "bob", &object).is_some());
    for other in ["ann", "eve"] {
        assert_eq!(by_openssl(&pki, other, &object), None, "{other}");
    }
}

#[test]
fn on_a_pipe_a_refused_message_is_nothing_at_all() {
    let (sandbox, pki) = (Sandbox::new(), pki());
    let bob = pki.certificate("bob").display().to_string();
    let line = format!("encrypt - --to-recipients --to {bob} --now {LATER}");
    let unknown = letter("To: zoe@example.org\n");
    let ran = sandbox.line_with_input(&line, unknown.as_bytes()).expect(3);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("zoe@example.org"), "{}", ran.stderr);
    let known = letter("To: bob@example.org\n");
    let ran = sandbox.line_with_input(&line, known.as_bytes()).expect(0);
    assert!(
        ran.stdout
            .starts_with("From: ann@example.org\nTo: bob@example.org\n")
    );
    // With a blind recipient there are two messages, and an mbox that holds them.
    let eve = pki.certificate("eve").display().to_string();
    let blind = letter("To: bob@example.org\nBcc: eve@example.org\n");
    let line = format!("{line} --to {eve}");
    let ran = sandbox.line_with_input(&line, blind.as_bytes()).expect(0);
    assert!(
        ran.stdout
            .starts_with("From MAILER-DAEMON Mon Nov 23 10:00:00 2026\nFrom: ann")
    );
    assert_eq!(ran.stdout.matches("From MAILER-DAEMON ").count(), 2);
    assert!(ran.stderr.contains("an mbox"), "{}", ran.stderr);
    assert_eq!(ran.stdout.matches("eve@example.org").count(), 1);
}

#[test]
fn a_certificate_that_was_not_named_must_be_good_and_one_that_was_need_not_be() {
    let (sandbox, pki) = (Sandbox::new(), pki());
    let bob = pki.certificate("bob").display().to_string();
    let mail = letter("To: bob@example.org\n");
    // Beside keys it is known, and long expired by then.
    let keys = pki.path().join("known");
    std::fs::create_dir(&keys).unwrap();
    std::fs::copy(&bob, keys.join("bob.pem")).unwrap();
    let keys = keys.display();
    let late = "2099-01-01T00:00:00Z";
    let ran = sandbox
        .line_with_input(
            &format!("encrypt - --to-recipients --keys {keys} --now {late}"),
            mail.as_bytes(),
        )
        .expect(3);
    assert_eq!(ran.stdout, "");
    assert!(
        ran.stderr.contains("bob@example.org (cert-expired 20")
            && ran.stderr.contains("is known but may not be used now"),
        "{}",
        ran.stderr
    );
    for line in [
        format!("encrypt - --to-recipients --keys {keys} --now {LATER}"),
        format!("encrypt - --to-recipients --to {bob} --now {late}"),
        // Somebody else's is encrypted to where it is named without --to-recipients.
        format!(
            "encrypt - --to {} --now {LATER}",
            pki.certificate("eve").display()
        ),
    ] {
        let ran = sandbox.line_with_input(&line, mail.as_bytes()).expect(0);
        assert!(
            !ran.stdout.contains(SECRET) && ran.stdout.contains("pkcs7-mime"),
            "{line}"
        );
    }
}

#[test]
fn the_sender_and_a_recovery_key_read_it_too_and_a_signature_is_inside() {
    let (sandbox, pki) = (Sandbox::new(), pki());
    let [bob, archive] = ["bob", "archive"].map(|name| pki.certificate(name).display().to_string());
    let keys = pki.keys_of(&["ann"]);
    let line = format!(
        "encrypt - --to-recipients --to {bob} --to-self --recovery {archive} --keys {} --sign --as ann@example.org \
         --now {LATER}",
        keys.display()
    );
    let mail = letter("To: bob@example.org\n");
    let ran = sandbox.line_with_input(&line, mail.as_bytes()).expect(0);
    let object = sandbox.write("x.p7m", object_of(ran.stdout.as_bytes()));
    for name in ["bob", "ann", "archive"] {
        let text =
            by_openssl(&pki, name, &object).unwrap_or_else(|| panic!("{name} cannot read it"));
        let inside = sandbox.write("inside.eml", &text);
        let verify = format!(
            "cms -verify -in {} -CAfile root.pem -no_check_time -purpose any",
            inside.display()
        );
        let text = openssl(pki.path(), &verify).expect("a signature inside");
        assert!(String::from_utf8_lossy(&text).contains(SECRET));
    }
    assert_eq!(by_openssl(&pki, "eve", &object), None);
}

/// What a run over `A` said of each file: outcome and reason.
fn outcomes(sandbox: &Sandbox) -> std::collections::BTreeMap<String, (String, String)> {
    rows(&sandbox.path().join("OUT/report/messages.csv"))
        .iter()
        .map(|row| {
            let name = row.at("mailbox").rsplit('/').next().unwrap().to_owned();
            (
                name.trim_end_matches(".eml").to_owned(),
                (row.at("outcome").to_owned(), row.at("reason").to_owned()),
            )
        })
        .collect()
}

#[test]
fn only_what_is_nothing_but_ciphertext_counts_as_encrypted_already() {
    let (sandbox, pki) = (Sandbox::new(), pki());
    let bob = pki.certificate("bob").display().to_string();
    let plain = letter("To: bob@example.org\n");
    let line = format!("encrypt - --to {bob} --now {LATER}");
    let sealed = sandbox
        .line_with_input(&line, plain.as_bytes())
        .expect(0)
        .stdout;
    let line = format!(
        "sign - --keys {} --now {LATER}",
        pki.keys_of(&["ann"]).display()
    );
    let sign = |message: &str, options: &str| {
        let line = format!("{line} {options}");
        let ran = sandbox.line_with_input(&line, message.as_bytes()).expect(0);
        ran.stdout
    };
    let signed = sign(&sealed, "");
    let object = sandbox.write("x.p7m", object_of(sealed.as_bytes()));
    let line = format!(
        "cms -cmsout -inform DER -outform PEM -in {}",
        object.display()
    );
    let pem = String::from_utf8(openssl(pki.path(), &line).expect("PEM")).unwrap();
    let (_, base64) = sealed.split_once("\n\n").unwrap();
    let fields = "From: ann@example.org\nTo: bob@example.org\nSubject: x\nMIME-Version: 1.0\n";
    let typed = |label: &str, body: &str| format!("{fields}Content-Type: {label}\n\n{body}");
    let p7m = "application/pkcs7-mime; name=smime.p7m";
    let encoded = format!("{p7m}\nContent-Transfer-Encoding: base64");
    let closing = format!("\n{}\n", signed.trim_end().lines().last().unwrap());
    assert!(closing.starts_with("\n--") && closing.ends_with("--\n"));
    let delimiter = closing.trim_end().strip_suffix("--").unwrap();
    let cases = [
        ("sealed", sealed.clone(), true),
        ("signed", signed.clone(), true),
        ("opaque", sign(&sealed, "--opaque"), true),
        ("pem", typed(p7m, &pem), true),
        ("unencoded", typed(p7m, base64), true),
        (
            "notice",
            signed.replace(
                "This is a cryptographically signed message in MIME format.",
                "This is an S/MIME signed message",
            ),
            true,
        ),
        (
            "pem-text",
            typed("text/plain", &format!("{pem}\n{SECRET}\n")),
            false,
        ),
        ("pem-only-text", typed("text/plain", &pem), false),
        ("pem-words", typed(p7m, &format!("{SECRET}\n{pem}")), false),
        ("pem-behind", typed(p7m, &format!("{pem}{SECRET}\n")), false),
        (
            "footer",
            typed(&encoded, &format!("{base64}\n\n-- \n{SECRET}\n")),
            false,
        ),
        (
            "letters",
            typed(&encoded, &format!("{base64}\n\n{SECRET}\n")),
            false,
        ),
        (
            "uncoded",
            typed(p7m, &format!("{base64}\n-- \n{SECRET}\n")),
            false,
        ),
        (
            "claims",
            typed(
                "text/plain; smime-type=enveloped-data",
                &format!("{SECRET}\n{pem}"),
            ),
            false,
        ),
        (
            "two-types",
            typed(&format!("text/plain\nContent-Type: {encoded}"), base64),
            false,
        ),
        (
            "third",
            signed.replace(
                &closing,
                &format!("{delimiter}\nContent-Type: text/plain\n\n{SECRET}\n{closing}"),
            ),
            false,
        ),
        ("epilogue", format!("{signed}\n{SECRET}\n"), false),
        (
            "preamble",
            signed.replacen(delimiter, &format!("\n{SECRET}\n{delimiter}"), 1),
            false,
        ),
        (
            "enclosed",
            typed(
                "multipart/signed; boundary=zz",
                &format!(
                    "Content-Type: {encoded}\n\n{base64}\n--zz\nContent-Type: text/plain\n\n{SECRET}\n"
                ),
            ),
            false,
        ),
        (
            "inside-opaque",
            sign(
                &typed(&encoded, &format!("{base64}\n\n-- \n{SECRET}\n")),
                "--opaque",
            ),
            false,
        ),
    ];
    for (name, message, _) in &cases {
        sandbox.write(&format!("A/{name}.eml"), message);
    }
    encrypt(&sandbox, &pki, "--no-originals").expect(0);
    let outcomes = outcomes(&sandbox);
    for (name, message, stays) in &cases {
        let written = std::fs::read(sandbox.path().join(format!("OUT/A/{name}.eml")))
            .or_else(|_| std::fs::read(sandbox.path().join(format!("OUT/{name}.eml"))))
            .unwrap();
        let outcome = if *stays { "kept" } else { "encrypted" };
        assert_eq!(outcomes[*name].0, outcome, "{name}");
        assert_eq!(written == message.as_bytes(), *stays, "{name}");
        if !stays {
            let object = sandbox.write("y.p7m", object_of(&written));
            let inside = by_openssl(&pki, "bob", &object).expect("Bob reads it");
            let inside = String::from_utf8_lossy(&inside).into_owned();
            let holds_secret = |text: &str| text.contains(SECRET);
            assert_eq!(holds_secret(&inside), holds_secret(message), "{name}");
            assert!(!holds_secret(&String::from_utf8_lossy(&written)), "{name}");
        }
    }
}

#[test]
fn nobody_is_left_in_a_header_that_another_reader_reads_otherwise() {
    let (sandbox, pki) = (Sandbox::new(), pki());
    let to = "To: bob@example.org\n";
    let many = format!("{to}{}Bcc: eve@example.org\n", "X: y\n".repeat(100_001));
    let cases = [
        // Each beside what it is mistaken for.
        ("folded", "To: bob@example.org,\n eve@example.org\n", ""),
        (
            "misfolded",
            "To: bob@example.org,\neve@example.org\n",
            "recipient-unreadable",
        ),
        (
            "bcc-folded",
            "To: bob@example.org\nBcc:\n eve@example.org\n",
            "",
        ),
        (
            "bcc-misfolded",
            "To: bob@example.org\nBcc:\neve@example.org\n",
            "recipient-unreadable",
        ),
        (
            "bcc-name",
            "To: bob@example.org\nBcc: eve@example.org,\nthe others\n",
            "recipient-unreadable",
        ),
        (
            "resent",
            "To: bob@example.org\nResent-To: x@example.org\nthe others\n",
            "recipient-unreadable",
        ),
        ("line", "To: bob@example.org\nX: y\na line\nY: z\n", ""),
        (
            "address-line",
            "To: bob@example.org\nX: y\neve@example.org\nY: z\n",
            "recipient-unreadable",
        ),
        (
            "address-name",
            "To: bob@example.org\neve@example.org: x\n",
            "recipient-unreadable",
        ),
        (
            "envelope",
            "To: bob@example.org\nX: y\n>From eve@example.org Mon\nY: z\n",
            "",
        ),
        ("spaced", "To : bob@example.org\n", ""),
        (
            "hidden",
            "To: bob@example.org\nX: y\rCc: eve@example.org\n",
            "recipient-unreadable",
        ),
        ("many", &many, "limit-header"),
    ];
    for (name, fields, _) in &cases {
        let fields = format!("Subject: plans\nMIME-Version: 1.0\n{fields}");
        sandbox.write(
            &format!("A/{name}.eml"),
            letter(&fields).replacen("\nSubject: plans\nDate", "\nDate", 1),
        );
    }
    let [bob, eve] = ["bob", "eve"].map(|name| pki.certificate(name).display().to_string());
    let line = format!("encrypt - --to-recipients --to {bob} --to {eve} --now {LATER}");
    let junk = letter("To: bob@example.org\nB\u{1}cc: eve@example.org\n");
    let ran = sandbox.line_with_input(&line, junk.as_bytes()).expect(3);
    assert_eq!(ran.stdout, "");
    assert!(
        ran.stderr.contains("recipient-unreadable"),
        "{}",
        ran.stderr
    );
    // No blank line parts the last field from what follows.
    let unparted = "From: ann@example.org\nSubject: plans\nTo: bob@example.org";
    let last = format!("{unparted},\neve@example.org\n\n{SECRET}\n");
    sandbox.write("A/last.eml", last);
    sandbox.write("A/parted.eml", format!("{unparted}\n\neve@example.org\n"));
    encrypt(&sandbox, &pki, "--no-originals").expect(3);
    let outcomes = outcomes(&sandbox);
    let more = [("last", "", "recipient-unreadable"), ("parted", "", "")];
    for (name, _, reason) in cases.iter().chain(&more) {
        let outcome = if reason.is_empty() {
            "encrypted"
        } else {
            "refused"
        };
        let said = &outcomes[*name];
        assert_eq!((&said.0[..], &said.1[..]), (outcome, *reason), "{name}");
    }
    for file in files_below(&sandbox.path().join("OUT/A")) {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        assert!(!text.contains(SECRET), "{}", file.display());
    }
}

#[test]
fn no_hash_of_what_was_readable_is_published() {
    let (sandbox, pki) = (Sandbox::new(), pki());
    let stamp = format!("X-P7mill-Original-SHA256: {}\n", "0".repeat(64));
    sandbox.write("A/1.eml", letter(&format!("To: bob@example.org\n{stamp}")));
    let ran = encrypt(&sandbox, &pki, "--stamp").expect(2);
    assert!(ran.stderr.contains("--stamp"), "{}", ran.stderr);
    assert!(!sandbox.path().join("OUT").exists());
    encrypt(&sandbox, &pki, "").expect(0);
    let files = files_below(&sandbox.path().join("OUT/A"));
    let text = std::fs::read_to_string(&files[0]).unwrap();
    assert!(text.contains("To: bob@example.org\nSubject"), "{text}");
    // Of what was encrypted before, and is again, it tells nothing.
    std::fs::rename(&files[0], sandbox.path().join("A/1.eml")).unwrap();
    let line = format!(
        "reencrypt A --keys {} --to {} --mode content --cipher auto --stamp --out NEW --now {LATER}",
        pki.keys_of(&["bob"]).display(),
        pki.certificate("eve").display()
    );
    sandbox.line(&line).expect(0);
    let text = std::fs::read_to_string(&files_below(&sandbox.path().join("NEW/A"))[0]).unwrap();
    assert!(text.starts_with("X-P7mill-Original-SHA256: "), "{text}");
}

#[test]
fn what_was_left_out_is_not_called_restored() {
    let (sandbox, pki) = (Sandbox::new(), pki());
    archive(&sandbox);
    let ran = encrypt(&sandbox, &pki, "").expect(3);
    assert!(ran.stdout.contains("in originals there"), "{}", ran.stdout);
    for line in ["restore OUT --out BACK", "restore OUT"] {
        let ran = sandbox.line(line).expect(3);
        assert!(ran.stdout.contains("6 messages in "), "{}", ran.stdout);
        assert!(
            ran.stdout.contains(
                "3 messages that the run left out are not here: only the source has them"
            ),
            "{}",
            ran.stdout
        );
    }
    // Where nothing was encrypted there are no originals to speak of.
    sandbox.write("B/1.eml", letter("To: zoe@example.org\n"));
    let bob = pki.certificate("bob").display().to_string();
    let ran = sandbox
        .line(&format!(
            "encrypt B --to-recipients --to {bob} --out OUT2 --now {LATER}"
        ))
        .expect(3);
    assert!(!ran.stdout.contains("originals"), "{}", ran.stdout);
}

#[test]
fn what_may_be_mail_and_was_not_read_is_not_among_what_is_encrypted() {
    let (sandbox, pki) = (Sandbox::new(), pki());
    archive(&sandbox);
    let unread = [
        "A/md/cur/1700000009.M1.host:2,S",
        "A/md/cur/.hidden",
        "A/tree/m.eml.gz",
        "A/tree/odd.eml",
    ];
    let zipped = |name: &str| name.contains(".eml.gz") || name.contains("0009");
    for name in unread {
        let magic: &[u8] = if zipped(name) { b"\x1f\x8b\x08\0" } else { b"" };
        let text = if name.contains("hidden") {
            letter("To: bob@example.org\n")
        } else {
            SECRET.to_owned()
        };
        sandbox.write(name, [magic, text.as_bytes()].concat());
    }
    sandbox.write("A/tree/notes.txt", "not mail\n");
    let bob = pki.certificate("bob").display().to_string();
    let ran = sandbox
        .line(&format!(
            "encrypt A --to {bob} --out OUT --no-originals --now {LATER}"
        ))
        .expect(3);
    assert!(
        ran.stdout.contains("4 files were not read"),
        "{}",
        ran.stdout
    );
    let out = sandbox.path().join("OUT");
    let sources = rows(&out.join("report/sources.csv"));
    for name in unread {
        assert!(!out.join(name).exists(), "{name}");
        assert!(ran.stdout.contains(name), "{name}: {}", ran.stdout);
        let row = sources.iter().find(|row| row.at("path") == name).unwrap();
        assert!(
            row.at("status").starts_with("left out: "),
            "{}",
            row.at("status")
        );
    }
    assert!(out.join("A/tree/notes.txt").exists());
    for file in files_below(&out) {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        assert!(!text.contains(SECRET), "{}", file.display());
    }
    sandbox.line("check OUT").expect(0);
    // Elsewhere it is copied as before.
    let keys = pki.keys_of(&["bob"]);
    sandbox
        .line(&format!(
            "decrypt A --keys {} --out PLAIN --now {LATER}",
            keys.display()
        ))
        .expect(3);
    assert!(sandbox.path().join("PLAIN").join(unread[1]).exists());
}

fn fs_copy(pki: &Pki, from: &str, to: &str) {
    std::fs::copy(pki.path().join(from), pki.path().join(to)).unwrap();
}

#[test]
fn a_named_certificate_has_to_be_a_persons_with_a_key_that_keeps_mail_secret() {
    let (sandbox, pki) = (Sandbox::new(), pki());
    let mail = letter("To: bob@example.org\n");
    pki.make_key("weak", "rsa-1024");
    pki.issue("weak", "weak", 0x4101);
    pki.make_key("tiny", "rsa-768");
    pki.issue("tiny", "tiny", 0x4102);
    openssl(
        pki.path(),
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 7300 -subj /CN=Some-CA",
    )
    .expect("a CA without keyUsage");
    pki.pkcs12("bob");
    fs_copy(&pki, "bob.p12", "bob-p12.pem");
    fs_copy(&pki, "bob.key", "bob-key.pem");
    for (name, code, words) in [
        (
            "bob-p12",
            2,
            "a key file; name the certificate of who is to read, alone: openssl pkcs12",
        ),
        ("bob-key", 2, "a key file; name the certificate"),
        ("weak", 0, "1024 bits"),
        ("tiny", 2, "768 bits"),
        ("ca", 2, "is a CA's"),
    ] {
        let to = pki.certificate(name).display().to_string();
        let ran = sandbox
            .line_with_input(
                &format!("encrypt - --to {to} --now {LATER}"),
                mail.as_bytes(),
            )
            .expect(code);
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
        assert_eq!(ran.stdout.is_empty(), code != 0);
    }
}

#[test]
fn a_certificate_that_was_named_is_the_senders_too() {
    let (sandbox, pki) = (Sandbox::new(), pki());
    let ann = pki.certificate("ann").display().to_string();
    let line = format!("encrypt - --to {ann} --to-self --now {LATER}");
    let mail = letter("To: bob@example.org\n");
    let ran = sandbox.line_with_input(&line, mail.as_bytes()).expect(0);
    assert!(!ran.stdout.contains(SECRET) && ran.stdout.contains("pkcs7-mime"));
}
