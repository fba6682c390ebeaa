//! The published classes of signature spoofing ("Johnny, you are fired!", USENIX Security 2019, and
//! what came after it), one test each: none is `valid`, and its honest twin is.

use std::fs;
use std::sync::OnceLock;

use crate::hostile::{
    OLGA, TEXT, altered, attached, clear_signed, honest, mail, mixed, object, pki, signed, verdict,
    verified,
};
use crate::support::Sandbox;
use crate::support::der::{Body, Node};
use crate::support::table::{Row, rows};
use crate::support::tools::{LATER, Pki, openssl};

const PAY_MALLORY: &str = "Content-Type: text/plain\r\n\r\nPay 900 to Mallory.\r\n";

/// Message and signatures of a mail.
fn judged(message: impl AsRef<[u8]>, pki: &Pki) -> (Row, Vec<Row>) {
    let sandbox = Sandbox::new();
    sandbox.write("in/mail.eml", message);
    let root = pki.certificate("root");
    let root = root.to_string_lossy();
    sandbox.run([
        "verify", "in", "--trust", &root, "--report", "R", "--now", LATER,
    ]);
    let report = |name: &str| rows(&sandbox.path().join("R").join(name));
    (report("messages.csv").remove(0), report("signatures.csv"))
}

/// A multipart of a subtype.
fn multipart(subtype: &str, boundary: &str, parts: &[&str]) -> String {
    mixed(parts)
        .replacen("multipart/mixed", &format!("multipart/{subtype}"), 1)
        .replace("boundary=mix", &format!("boundary={boundary}"))
        .replace("--mix", &format!("--{boundary}"))
}

#[test]
fn a_signed_part_shown_by_unsigned_html_lends_it_nothing() {
    let part = honest("olga");
    let with_id = format!("Content-ID: <real@example.org>\r\n{part}");
    let html = |body: &str| format!("Content-Type: text/html\r\n\r\n<html>{body}</html>\r\n");
    let shows =
        html("Pay 900 to Mallory. <iframe src=\"cid:real@example.org\" style=\"display:none\">");
    let opens = html("Pay 900 to Mallory. <div style=\"display:none\"><plaintext>");
    let picture = html("<img src=\"cid:real@example.org\"> Pay 900 to Mallory.");
    for entity in [
        multipart("related", "rel", &[&shows, &with_id]),
        multipart("related", "rel", &[&picture, &with_id]),
        multipart("related", "rel", &[&with_id, &shows]),
        multipart("mixed", "out", &[&opens, &part]),
        multipart("mixed", "out", &[&opens, &part, &html("</div>")]),
        multipart("alternative", "alt", &[PAY_MALLORY, &part]),
        multipart("alternative", "alt", &[&part, &html("Pay 900 to Mallory.")]),
        multipart(
            "mixed",
            "out",
            &[&multipart("related", "rel", &[&shows, &with_id])],
        ),
        multipart("report; report-type=x", "rep", &[PAY_MALLORY, &part]),
    ] {
        let (message, signatures) = judged(mail(OLGA, &entity), pki());
        assert_ne!(message.at("verdict"), "valid", "{entity}");
        assert!(signatures.iter().all(|row| row.at("coverage") == "partial"
            && row.at("integrity") == "intact"
            && row.at("verdict") == "indeterminate"));
        assert_eq!(signatures.len(), 1, "{entity}");
    }
    // The same related parts, signed as a whole.
    let inside = multipart(
        "related",
        "rel",
        &[&shows, &format!("Content-ID: <real@example.org>\r\n{TEXT}")],
    );
    let whole = clear_signed(&inside, &signed(&inside, "olga", ""), "");
    assert_eq!(verdict(&mail(OLGA, &whole)), "valid");
}

#[test]
fn content_hidden_in_a_detached_signature_is_a_conflict() {
    let opaque = signed(TEXT, "olga", "-nodetach");
    for shown in [TEXT, PAY_MALLORY] {
        let (message, signatures) = judged(mail(OLGA, &clear_signed(shown, &opaque, "")), pki());
        assert_eq!(message.at("verdict"), "invalid");
        assert!(signatures[0].at("reasons").contains("content-conflict"));
    }
    // Content that is there and empty is content as well.
    let empty = altered(&signed(TEXT, "olga", ""), |children| {
        if let Body::Children(fields) = &mut children[2].body {
            fields.push(Node::of(0xa0, vec![Node::leaf(4, b"")]));
        }
    });
    assert_eq!(
        verdict(&mail(OLGA, &clear_signed(TEXT, &empty, ""))),
        "invalid"
    );
    // A signature for another message, opaque, shown as the attachment that it is.
    let beside = mixed(&[PAY_MALLORY, &object("signed-data", &opaque)]);
    assert_ne!(verdict(&mail(OLGA, &beside)), "valid");
}

#[test]
fn every_signer_is_listed_and_the_worst_decides() {
    let two = signed(
        TEXT,
        "olga",
        "-nodetach -signer mallory.pem -inkey mallory.key",
    );
    let (message, signatures) = judged(mail(OLGA, &object("signed-data", &two)), pki());
    assert_eq!(
        (message.at("verdict"), message.at("signatures")),
        ("indeterminate", "2")
    );
    let mut each: Vec<_> = signatures
        .iter()
        .map(|row| {
            (
                row.at("signer"),
                row.at("integrity"),
                row.at("verdict"),
                row.at("address"),
            )
        })
        .collect();
    each.sort_unstable();
    assert_eq!(
        each,
        [
            ("mallory@example.org", "intact", "indeterminate", "mismatch"),
            ("olga@example.org", "intact", "valid", "from"),
        ]
    );
    // A second SignerInfo in Olga's name that she did not make, before and behind Mallory's own.
    let mallory = signed(PAY_MALLORY, "mallory", "-nodetach");
    let olga = Node::parse(&signed(TEXT, "olga", "-nodetach"))
        .at(&[1, 0])
        .clone();
    for first in [true, false] {
        let forged = altered(&mallory, |children| {
            let mut olga = olga.clone();
            let last = olga.children() - 1;
            let signer = olga.child(last).child(0).clone();
            let certificate = olga.child(3).child(0).clone();
            for (at, node) in [(3, certificate), (4, signer)] {
                if let Body::Children(list) = &mut children[at].body {
                    list.insert(if first { 0 } else { list.len() }, node);
                }
            }
        });
        let (message, signatures) = judged(mail(OLGA, &object("signed-data", &forged)), pki());
        assert_eq!((message.at("verdict"), signatures.len()), ("invalid", 2));
    }
    // Her own SignerInfo twice, once broken: the good one is hers all the same.
    let doubled = altered(&signed(TEXT, "olga", "-nodetach"), |children| {
        if let Body::Children(list) = &mut children.last_mut().unwrap().body {
            let mut broken = list[0].clone();
            let last = broken.children() - 1;
            broken.child(last).bytes()[9] ^= 1;
            list.push(broken);
        }
    });
    let (message, signatures) = judged(mail(OLGA, &object("signed-data", &doubled)), pki());
    assert_eq!((message.at("verdict"), signatures.len()), ("valid", 2));
}

#[test]
fn nobody_signed_is_no_signature() {
    let nobody = altered(&signed(TEXT, "olga", "-nodetach"), |children| {
        children.last_mut().unwrap().body = Body::Children(Vec::new());
    });
    for entity in [
        object("signed-data", &nobody),
        clear_signed(TEXT, &nobody, ""),
        clear_signed(TEXT, b"", ""),
        clear_signed(TEXT, b"0\x03\x02\x01\x01", ""),
    ] {
        let (message, signatures) = judged(mail(OLGA, &entity), pki());
        assert_ne!(message.at("verdict"), "valid", "{entity}");
        assert!(signatures.iter().all(|row| row.at("integrity") != "intact"));
    }
    let certificates_only = altered(&signed(TEXT, "olga", ""), |children| {
        children.last_mut().unwrap().body = Body::Children(Vec::new());
    });
    let (message, _) = judged(
        mail(OLGA, &object("signed-data", &certificates_only)),
        pki(),
    );
    assert_eq!(
        (message.at("form"), message.at("verdict")),
        ("certs-only", "")
    );
}

#[test]
fn names_comments_and_encodings_around_the_address_fool_nobody() {
    let by_mallory = honest("mallory");
    for from in [
        // What is shown is Olga's, what is compared is not Mallory's: no match either way.
        "\"olga@example.org\" <someone@example.net>",
        "=?utf-8?b?b2xnYUBleGFtcGxlLm9yZw==?= <someone@example.net>",
        "=?utf-8?q?olga=40example.org=00?= <someone@example.net>",
        // Mallory's address where it does not count.
        "mallory@example.org (olga@example.org",
        "(mallory@example.org) olga@example.org",
        "olga@example.org, \"x\" <mallory@example.org>",
        "friends: mallory@example.org, olga@example.org;",
        "friends: mallory@example.org; olga@example.org",
        "=?utf-8?q?olga=40example.org=3E_=3Cmallory=40example.org?= <olga@example.org>",
        "olga@example.org\0<mallory@example.org>",
        "mallory@example.org\0@example.net",
        "<mallory@example.org\0.olga@example.org>",
        "mallory@example.org%olga@example.org",
        "<\"mallory@example.org\"@example.net>",
        "mallory @example.org olga@example.org",
        "mallory@example.org@example.net",
        "olga@example.org\r\n Sender: mallory@example.org",
    ] {
        let fields = format!("From: {from}\r\nTo: otto@example.org\r\n");
        let (message, signatures) = judged(mail(&fields, &by_mallory), pki());
        assert_ne!(message.at("verdict"), "valid", "{from}");
        assert_ne!(signatures[0].at("address"), "from", "{from}");
        assert_eq!(signatures[0].at("integrity"), "intact", "{from}");
    }
    for own in [
        "mallory@example.org",
        "Mallory <mallory@example.org>",
        "\"Mallory, of (all) people\" <mallory@example.org>",
        "=?utf-8?q?M=C3=A4llory?= <mallory@example.org>",
        "Mallory\r\n <mallory@example.org>",
        "mallory@example.org (Mallory)",
        "MALLORY@Example.ORG",
    ] {
        let fields = format!("From: {own}\r\nTo: otto@example.org\r\n");
        assert_eq!(verdict(&mail(&fields, &by_mallory)), "valid", "{own}");
    }
    let none = mail("To: otto@example.org\r\n", &by_mallory);
    assert_ne!(verdict(&none), "valid");
    let sender = "Sender: mallory@example.org\r\nFrom: olga@example.org\r\n";
    let (_, signatures) = judged(mail(sender, &by_mallory), pki());
    assert_eq!(signatures[0].at("address"), "sender");
    assert!(signatures[0].at("reasons").contains("sender-only"));
    // Resent- fields, which some readers show, are not From.
    let resent = "Resent-From: olga@example.org\r\nFrom: mallory@example.org\r\n";
    assert_eq!(verdict(&mail(resent, &by_mallory)), "valid");
    let resent = "Resent-From: mallory@example.org\r\nFrom: olga@example.org\r\n";
    assert_ne!(verdict(&mail(resent, &by_mallory)), "valid");
}

/// Certificates whose address is somewhere unusual.
fn odd_people() -> &'static Pki {
    static ONCE: OnceLock<Pki> = OnceLock::new();
    ONCE.get_or_init(|| {
        let pki = Pki::new();
        pki.make_key("key", "rsa");
        for (serial, (file, subject, san)) in (1..).zip([
            ("subject", "/CN=Olga/emailAddress=olga@example.org", ""),
            ("common", "/CN=olga@example.org", ""),
            ("ascii", "/CN=Olga", "email:olga@xn--mller-kva.example"),
            (
                "unicode",
                "/CN=Olga",
                "@san\n[san]\notherName=1.3.6.1.5.5.7.8.9;FORMAT:UTF8,UTF8:ölga@xn--mller-kva.example",
            ),
            (
                "u-label",
                "/CN=Olga",
                "@san\n[san]\notherName=1.3.6.1.5.5.7.8.9;FORMAT:UTF8,UTF8:ölga@müller.example",
            ),
            (
                "other",
                "/CN=Olga",
                "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:olga@example.org",
            ),
            ("uri", "/CN=Olga", "URI:mailto:olga@example.org"),
            ("nul", "/CN=Olga", "email:olga@example.org\0.evil.example"),
        ]) {
            let san = if san.is_empty() {
                String::new()
            } else {
                format!("subjectAltName={san}\n")
            };
            let san = san.replace('\0', "\\\\0");
            fs::write(
                pki.path().join("ext"),
                format!("keyUsage=digitalSignature\nextendedKeyUsage=emailProtection\n{san}"),
            )
            .unwrap();
            for line in [
                format!("req -new -utf8 -key key.key -out {file}.csr -subj {subject}"),
                format!(
                    "x509 -req -in {file}.csr -CA root.pem -CAkey root.key -set_serial {serial} -days 7300 -extfile ext -out {file}.pem"
                ),
            ] {
                openssl(pki.path(), &line).expect(&line);
            }
        }
        pki
    })
}

fn address(file: &str, from: &str) -> (String, String) {
    let pki = odd_people();
    fs::write(pki.path().join("in"), TEXT).unwrap();
    let line = format!(
        "cms -sign -binary -in in -signer {file}.pem -inkey key.key -nodetach -outform DER"
    );
    let der = openssl(pki.path(), &line).expect(&line);
    let fields = format!("From: {from}\r\nTo: otto@example.org\r\n");
    let (message, signatures) = judged(mail(&fields, &object("signed-data", &der)), pki);
    (
        message.at("verdict").to_owned(),
        signatures[0].at("address").to_owned(),
    )
}

#[test]
fn an_address_counts_where_the_standards_put_it() {
    let is = |verdict: &str, address: &str| (verdict.to_owned(), address.to_owned());
    let valid = is("valid", "from");
    let plain = "olga@example.org";
    assert_eq!(address("subject", plain), valid);
    for nowhere in ["common", "other", "uri"] {
        assert_eq!(
            address(nowhere, plain),
            is("indeterminate", "none"),
            "{nowhere}"
        );
    }
    assert_ne!(address("nul", plain).0, "valid");
    // An internationalised domain in either form, a local part in Unicode.
    for from in [
        "olga@xn--mller-kva.example",
        "olga@müller.example",
        "OLGA@MÜLLER.example",
    ] {
        assert_eq!(address("ascii", from), valid, "{from}");
    }
    for file in ["unicode", "u-label"] {
        for from in ["ölga@xn--mller-kva.example", "ölga@müller.example"] {
            assert_eq!(address(file, from), valid, "{file} {from}");
        }
    }
    // What looks alike is not alike.
    for from in [
        "olga@muller.example",
        "olga@müIler.example",
        "olga@mu\u{308}ller.example",
        "olga@xn--mller-kvb.example",
        "оlga@müller.example",
    ] {
        assert_eq!(
            address("ascii", from),
            is("indeterminate", "mismatch"),
            "{from}"
        );
    }
}

#[test]
fn an_attached_original_lends_nothing_to_what_is_written_around_it() {
    let forward = mixed(&[PAY_MALLORY, &attached(OLGA, &honest("olga"))]);
    let found = verified(&mail("From: mallory@example.org\r\n", &forward));
    assert_eq!(
        (found[0].at("verdict"), found[1].at("verdict")),
        ("", "valid")
    );
    let alone = attached(OLGA, &honest("olga"));
    let carried = mail("From: mallory@example.org\r\n", &alone);
    let found = verified(&carried);
    let shown = |row: &Row| [row.at("part"), row.at("verdict")].map(str::to_owned);
    let shown: Vec<_> = found.iter().map(shown).collect();
    assert_eq!(shown, [["", ""], ["1", "valid"]]);
    let (_, signatures) = judged(carried, pki());
    assert_eq!(signatures[0].at("part"), "1");
}

#[test]
fn a_time_is_shown_and_no_clock_where_what_was_signed_is_missing() {
    let without = object("signed-data", &signed(TEXT, "olga", ""));
    let (message, signatures) = judged(mail(OLGA, &without), pki());
    assert_eq!(
        signatures[0].at("reasons"),
        "content-missing partial-coverage"
    );
    assert!(signatures[0].at("signing_time").starts_with("20"));
    assert_eq!(message.at("time_source"), "now");
}

#[test]
fn an_attached_message_does_not_say_when_it_arrived() {
    let at =
        |year: u32| format!("Received: by mx.example.org; 01 Jul {year} 10:00:00 +0000\r\n{OLGA}");
    let judged_at = |row: &Row| {
        let year: String = row.at("verdict_time").chars().take(4).collect();
        (row.at("time_source").to_owned(), year)
    };
    let received = |year: &str| ("received".to_owned(), year.to_owned());
    let itself = verified(&mail(&at(2043), &honest("olga")));
    assert_eq!(judged_at(&itself[0]), received("2043"));
    let around = attached(&at(2015), &honest("olga"));
    for entity in [around.clone(), mixed(&[PAY_MALLORY, &around])] {
        let found = verified(&mail(&at(2043), &entity));
        assert_eq!(judged_at(&found[1]), received("2043"));
        let found = verified(&mail(OLGA, &entity));
        assert_eq!(found[1].at("time_source"), "signing");
    }
}

#[test]
fn a_protected_from_that_is_another_one_leaves_open_who_wrote() {
    let long = format!("X-Long: {}\r\n", "x".repeat(990)).repeat(1_100);
    for kind in [
        "text/plain; hp=\"clear\"",
        "text/plain; protected-headers=\"v1\"",
    ] {
        for (protected, address, verdict) in [
            ("From: olga@example.org\r\n", "from", "valid"),
            ("From: Olga <olga@EXAMPLE.org>\r\n", "from", "valid"),
            ("", "from", "valid"),
            ("From: otto@example.org\r\n", "ambiguous", "indeterminate"),
            (
                "From: olga@example.org\r\nFrom: otto@example.org\r\n",
                "ambiguous",
                "indeterminate",
            ),
            (
                &format!("{long}From: otto@example.org\r\n"),
                "ambiguous",
                "indeterminate",
            ),
        ] {
            let payload = format!("Content-Type: {kind}\r\n{protected}\r\nPay 100 to Ann.\r\n");
            let entity = clear_signed(&payload, &signed(&payload, "olga", ""), "");
            let (message, signatures) = judged(mail(OLGA, &entity), pki());
            assert_eq!(
                (signatures[0].at("address"), message.at("verdict")),
                (address, verdict),
                "{kind} {protected:.60}"
            );
        }
    }
    let wrapped = format!(
        "Content-Type: message/rfc822; forwarded=no\r\n\r\nFrom: otto@example.org\r\n{TEXT}"
    );
    let entity = clear_signed(&wrapped, &signed(&wrapped, "olga", ""), "");
    let (message, signatures) = judged(mail(OLGA, &entity), pki());
    assert_eq!(signatures[0].at("address"), "ambiguous");
    assert_eq!(message.at("verdict"), "indeterminate");
}
