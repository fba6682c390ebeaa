//! Header protection: what is hidden stays hidden without a key, comes back with one, and who wrote a
//! message is never taken from what anybody can encrypt.

use crate::corpora::corpora;
use crate::forms::{authenticated, clear_signed, encrypted, migrate, mixed, object, signed};
use crate::support::Sandbox;
use crate::support::table::rows;
use crate::support::tools;

const SECRET: &str = "BarCorp contract signed";

/// A message whose outer subject hides the one of `payload`.
fn hidden(payload: impl AsRef<[u8]>) -> String {
    format!(
        "Received: by mx.example.org; Wed, 27 Nov 2030 01:24:28 -0700\r\n\
         From: olga@example.org\r\nTo: otto@example.org\r\nDate: Wed, 27 Nov 2030 01:24:00 -0700\r\n\
         Message-ID: <a@example.org>\r\nSubject: [...]\r\nMIME-Version: 1.0\r\n{}",
        object("enveloped-data", &encrypted(payload))
    )
}

/// Fields of the message as its sender protects them.
const FIELDS: &str = "From: olga@example.org\r\nTo: otto@example.org\r\nDate: Wed, 27 Nov 2030 01:24:00 -0700\r\n\
     Message-ID: <a@example.org>\r\nSubject: BarCorp contract signed\r\nKeywords: contract\r\n";

/// RFC 9788 §4: an encrypted payload, and what its sender left outside.
fn rfc9788() -> String {
    format!(
        "MIME-Version: 1.0\r\n{FIELDS}HP-Outer: From: olga@example.org\r\nHP-Outer: Subject: [...]\r\n\
         Content-Type: text/plain; charset=utf-8; hp=\"cipher\"\r\n\r\nHello Otto\r\n"
    )
}

/// draft-autocrypt-lamps-protected-headers, with the part that repeats the subject for old readers.
fn older() -> String {
    let parts = mixed(&[
        "Content-Type: text/plain; protected-headers=\"v1\"\r\nContent-Disposition: inline\r\n\r\nSubject: BarCorp contract signed\r\n",
        "Content-Type: text/plain\r\n\r\nHello Otto\r\n",
    ]);
    format!(
        "{FIELDS}{}",
        parts.replacen("boundary=mix", "boundary=mix; protected-headers=\"v1\"", 1)
    )
}

/// RFC 8551 §3.1: a whole message.
fn wrapped(parameter: &str) -> String {
    format!(
        "Content-Type: message/rfc822{parameter}\r\n\r\n{FIELDS}MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nHello Otto\r\n"
    )
}

#[test]
fn a_hidden_subject_comes_back_and_does_not_leak() {
    for payload in [
        rfc9788(),
        older(),
        wrapped("; forwarded=no"),
        wrapped(""),
        clear_signed(&rfc9788()),
        clear_signed(&older()),
        object("signed-data", &signed(rfc9788(), "-nodetach")),
        clear_signed(&wrapped("")),
    ] {
        let message = hidden(&payload);
        let closed = migrate(&message, false);
        assert_eq!(closed.words()[..2], ["enveloped", "no-key"]);
        assert!(!closed.reports.contains("BarCorp") && !closed.text().contains("BarCorp"));
        assert_eq!(closed.first().at("header_conflicts"), "");

        let open = migrate(&message, true);
        assert_eq!(open.first().at("outcome"), "decrypted", "{payload}");
        // Subject and Keywords differ from what is outside.
        assert_eq!(open.first().at("header_conflicts"), "2", "{payload}");
        assert_eq!(
            open.first().at("subject"),
            "[...]",
            "reports keep the outer one"
        );
        assert!(!open.reports.contains("BarCorp"));
        let text = open.text();
        let (header, _) = text.split_once("\r\n\r\n").unwrap();
        for line in [
            "Subject: BarCorp contract signed",
            "X-P7mill-Outer-Subject: [...]",
            "Keywords: contract",
            "From: olga@example.org",
        ] {
            assert_eq!(
                header.split("\r\n").filter(|l| *l == line).count(),
                1,
                "{line}\n{text}"
            );
        }
        assert!(!header.contains("X-P7mill-Protected"), "{header}");
        let verdict = if payload.contains("pkcs7") {
            "valid"
        } else {
            ""
        };
        assert_eq!(open.first().at("verdict"), verdict, "{payload}");
        if tools::has("python3") {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("mail.eml");
            std::fs::write(&file, &open.written).unwrap();
            let said = tools::judge("subject.py", &[file.as_os_str()]);
            assert_eq!(said.trim(), SECRET);
        }
        // Nothing differs from itself: what was restored is not displaced again.
        let again = migrate(&open.written, true);
        assert_eq!(again.written, open.written);
    }
}

#[test]
fn a_forwarded_message_is_no_header_protection() {
    let forwarded = wrapped("").replace("From: olga@", "From: someone@");
    let open = migrate(hidden(&forwarded), true);
    assert_eq!(open.first().at("outcome"), "decrypted");
    assert_eq!(open.first().at("header_conflicts"), "0");
    assert!(open.text().contains("\r\nSubject: [...]\r\n"));
}

#[test]
fn who_wrote_it_and_when_is_never_taken_from_inside() {
    let forged = rfc9788()
        .replace("From: olga@", "From: boss@")
        .replace("Date: Wed, 27", "Date: Wed, 20")
        .replace("To: otto@", "To: everybody@")
        .replace("HP-Outer: From: boss@", "HP-Outer: From: olga@");
    for payload in [forged.clone(), clear_signed(&forged)] {
        let open = migrate(hidden(&payload), true);
        assert_eq!(open.first().at("from"), "olga@example.org");
        assert_eq!(open.first().at("header_conflicts"), "5");
        let text = open.text();
        let (header, _) = text.split_once("\r\n\r\n").unwrap();
        let has = |line: &str| header.split("\r\n").any(|l| l == line);
        assert!(
            has("From: olga@example.org") && !has("From: boss@example.org"),
            "{header}"
        );
        assert!(has("Date: Wed, 27 Nov 2030 01:24:00 -0700"), "{header}");
        assert!(has("To: otto@example.org"), "{header}");
        assert!(has("X-P7mill-Protected-From: boss@example.org"), "{header}");
    }
}

#[test]
fn a_protected_value_cannot_break_the_outer_header() {
    let long = "x".repeat(30_000);
    for subject in [
        "a\r\n\tb\r\n c",
        "a\rBcc: evil@example.org\r b",
        "gr\u{fc}\u{df}e",
        "a\0b",
        &long,
        "=?utf-8?q?a=0D=0ABcc:_evil@example.org?=",
        "a\r\n  \r\n b",
    ] {
        let payload = rfc9788().replace(
            "Subject: BarCorp contract signed",
            &format!("Subject: {subject}"),
        );
        let sealed = object("authEnveloped-data", &authenticated(&payload));
        let (header, _) = hidden("")
            .split_once("Content-Type")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        let open = migrate(header + &sealed, true);
        assert_eq!(open.first().at("outcome"), "decrypted", "{subject:?}");
        let header_end = open
            .written
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .unwrap();
        let header = &open.written[..header_end];
        assert!(header.is_ascii(), "{subject:?}");
        for line in header.split(|byte| *byte == b'\n') {
            assert!(line.len() < 998);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            assert!(
                line.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t')),
                "{subject:?}"
            );
            assert!(
                !line.to_ascii_lowercase().starts_with(b"bcc"),
                "{subject:?}"
            );
        }
    }
}

#[test]
fn messages_of_others_get_their_subject_back() {
    let Some(corpora) = corpora() else { return };
    let folder = corpora.join("protected-headers");
    for name in [
        "smime-enc+legacy-disp",
        "smime-sign+enc+legacy-disp",
        "smime-sign+enc",
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("word", "bob\n");
        let file = folder.join(format!("{name}.eml"));
        let keys = folder.join("bob.p12");
        sandbox.run([
            "decrypt",
            &file.to_string_lossy(),
            "--keys",
            &keys.to_string_lossy(),
            "--passphrase-file",
            "word",
            "--out",
            "OUT",
        ]);
        let found = rows(&sandbox.path().join("OUT/report/messages.csv"));
        assert_eq!(found[0].at("outcome"), "decrypted", "{name}");
        assert_eq!(found[0].at("header_conflicts"), "1", "{name}");
        let text = std::fs::read_to_string(sandbox.path().join(format!("OUT/{name}.eml"))).unwrap();
        assert!(
            text.contains("\nSubject: BarCorp contract signed, let's go!"),
            "{name}:\n{text}"
        );
        assert!(text.contains("\nX-P7mill-Outer-Subject: ..."), "{name}");
    }
}

#[test]
fn a_protected_header_that_is_longer_than_any_honest_one_restores_nothing() {
    let padding = format!("X-Pad: {}\r\n", "x".repeat(70)).repeat(15_000);
    for (padding, restored) in [("", true), (&padding[..], false)] {
        let payload = rfc9788().replace("Keywords: contract\r\n", padding);
        let open = migrate(hidden(&payload), true);
        assert_eq!(open.first().at("outcome"), "decrypted");
        let text = open.text();
        let (header, _) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(header.contains(SECRET), restored, "{}", padding.len());
    }
}
