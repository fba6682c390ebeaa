//! Mail built to deceive: no forged signature is `valid`, no pasted ciphertext opens. Every class
//! has an honest twin that is `valid` or opens, so that a test cannot pass because nothing works.

use std::fmt::Write as _;
use std::fs;
use std::sync::OnceLock;

use crate::support::Sandbox;
use crate::support::der::{Body, Node};
use crate::support::table::{Row, rows};
use crate::support::tools::{LATER, Pki, openssl};

/// Olga and Otto work here; Mallory has a certificate of the same authority.
pub(crate) fn pki() -> &'static Pki {
    static ONCE: OnceLock<Pki> = OnceLock::new();
    ONCE.get_or_init(|| {
        let pki = Pki::new();
        for (name, serial) in [("olga", 0x21), ("otto", 0x22), ("mallory", 0x23)] {
            pki.person(name, "rsa", serial);
        }
        pki
    })
}

pub(crate) const TEXT: &str = "Content-Type: text/plain\r\n\r\nPay 100 to Ann.\r\n";

/// What `openssl cms` makes of `content`; options as on its command line.
pub(crate) fn cms(content: &str, options: &str) -> Vec<u8> {
    let folder = tempfile::tempdir_in(pki().path()).unwrap();
    let name = folder.path().file_name().unwrap().to_string_lossy();
    fs::write(folder.path().join("in"), content).unwrap();
    let line = format!("cms -binary -in {name}/in {options}");
    openssl(pki().path(), &line).expect(&line)
}

/// DER of a SignedData by `name` over `content`.
pub(crate) fn signed(content: &str, name: &str, options: &str) -> Vec<u8> {
    let sign = format!("-sign -signer {name}.pem -inkey {name}.key -outform DER {options}");
    cms(content, &sign)
}

pub(crate) fn encrypted(content: &str, name: &str) -> Vec<u8> {
    cms(
        content,
        &format!("-encrypt -aes-256-cbc -outform DER {name}.pem"),
    )
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    let text = base64_simd::STANDARD.encode_to_string(bytes);
    let lines = text
        .as_bytes()
        .chunks(76)
        .map(|line| std::str::from_utf8(line).unwrap());
    lines.fold(String::new(), |all, line| all + line + "\r\n")
}

pub(crate) fn object(smime_type: &str, der: &[u8]) -> String {
    format!(
        "Content-Type: application/pkcs7-mime; smime-type={smime_type}; name=smime.p7m\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}",
        base64(der)
    )
}

pub(crate) fn clear_signed(content: &str, signature: &[u8], more: &str) -> String {
    format!(
        "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=sig\r\n\r\n\
         --sig\r\n{content}\r\n--sig\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}{more}--sig--\r\n",
        base64(signature)
    )
}

pub(crate) fn honest(name: &str) -> String {
    clear_signed(TEXT, &signed(TEXT, name, ""), "")
}

pub(crate) fn mixed(parts: &[&str]) -> String {
    let mut all = "Content-Type: multipart/mixed; boundary=mix\r\n\r\n".to_owned();
    for part in parts {
        write!(all, "--mix\r\n{part}\r\n").unwrap();
    }
    all + "--mix--\r\n"
}

pub(crate) fn attached(headers: &str, entity: &str) -> String {
    format!("Content-Type: message/rfc822\r\n\r\n{headers}MIME-Version: 1.0\r\n{entity}")
}

/// A message with these address fields.
pub(crate) fn mail(fields: &str, entity: &str) -> String {
    format!("{fields}Subject: pay\r\nMIME-Version: 1.0\r\n{entity}")
}

pub(crate) const OLGA: &str = "From: olga@example.org\r\nTo: otto@example.org\r\n";

/// The rows of messages.csv after a command over one message.
fn rows_of(command: &[&str], message: &str) -> Vec<Row> {
    let sandbox = Sandbox::new();
    sandbox.write("in/mail.eml", message);
    let mut words = command.to_vec();
    words.extend(["in", "--now", LATER]);
    sandbox.run(words);
    rows(&sandbox.path().join("R/messages.csv"))
}

pub(crate) fn verified(message: &str) -> Vec<Row> {
    let root = pki().certificate("root");
    rows_of(
        &[
            "verify",
            "--trust",
            &root.to_string_lossy(),
            "--report",
            "R",
        ],
        message,
    )
}

pub(crate) fn verdict(message: &str) -> String {
    verified(message)
        .first()
        .map_or(String::new(), |row| row.at("verdict").to_owned())
}

/// DER of a SignedData, taken apart: `[1, 0]` is the SignedData itself.
pub(crate) fn altered(der: &[u8], alter: impl FnOnce(&mut Vec<Node>)) -> Vec<u8> {
    let mut node = Node::parse(der);
    match &mut node.at(&[1, 0]).body {
        Body::Children(children) => alter(children),
        Body::Bytes(_) => panic!("a SignedData has children"),
    }
    node.encode()
}

#[test]
fn the_honest_control_is_valid() {
    assert_eq!(verdict(&mail(OLGA, &honest("olga"))), "valid");
    let opaque = object("signed-data", &signed(TEXT, "olga", "-nodetach"));
    assert_eq!(verdict(&mail(OLGA, &opaque)), "valid");
}

#[test]
fn only_the_one_from_address_counts() {
    let signed = honest("mallory");
    for from in [
        "From: olga@example.org\r\n",
        "From: olga@example.org\r\nFrom: mallory@example.org\r\n",
        "From: mallory@example.org\r\nFrom: olga@example.org\r\n",
        "From: olga@example.org, mallory@example.org\r\n",
        "From: olga@example.org\r\nSender: mallory@example.org\r\n",
        "From: \"mallory@example.org\" <olga@example.org>\r\n",
        "From: mallory@example.org <olga@example.org>\r\n",
        "From: =?utf-8?q?mallory=40example.org?= <olga@example.org>\r\n",
        "From: olga@example.org (mallory@example.org)\r\n",
        "From:\r\n",
        "From: undisclosed:;\r\n",
        "Sender: mallory@example.org\r\n",
        "X: y\rFrom: olga@example.org\r\nFrom: mallory@example.org\r\n",
        "From: mallory@example.org.evil.example\r\n",
    ] {
        let fields = format!("{from}To: otto@example.org\r\n");
        assert_ne!(verdict(&mail(&fields, &signed)), "valid", "{from}");
    }
    let own = "From: \"Olga\" <Mallory@EXAMPLE.org>\r\n";
    assert_eq!(verdict(&mail(own, &signed)), "valid");
}

#[test]
fn a_signed_part_does_not_cover_its_neighbours() {
    let part = honest("olga");
    let text = "Content-Type: text/plain\r\n\r\nPay 900 to Mallory.\r\n";
    for entity in [
        mixed(&[&part, text]),
        mixed(&[text, &part]),
        mixed(&[&part]),
        mixed(&[&mixed(&[&part]), text]).replacen("mix", "out", 2),
        clear_signed(
            TEXT,
            &signed(TEXT, "olga", ""),
            &format!("--sig\r\n{text}\r\n"),
        ),
        mixed(&[
            text,
            &object("signed-data", &signed(TEXT, "olga", "-nodetach")),
        ]),
    ] {
        let message = mail(OLGA, &entity);
        assert_ne!(verdict(&message), "valid", "{message}");
    }
    // An attached message is judged by itself, and lends nothing to its carrier.
    let carrier = mail(OLGA, &mixed(&[text, &attached(OLGA, &part)]));
    let found = verified(&carrier);
    let verdicts: Vec<_> = found
        .iter()
        .map(|row| (row.at("part"), row.at("verdict")))
        .collect();
    assert_eq!(verdicts, [("", ""), ("2", "valid")]);
}

#[test]
fn signed_data_that_says_too_little_or_too_much_is_invalid() {
    let detached = signed(TEXT, "olga", "");
    let opaque = signed(TEXT, "olga", "-nodetach");
    // Nobody signed.
    let nobody = altered(&opaque, |children| {
        children.last_mut().unwrap().body = Body::Children(Vec::new());
    });
    assert_eq!(
        verdict(&mail(OLGA, &object("signed-data", &nobody))),
        "invalid"
    );
    assert_eq!(
        verdict(&mail(OLGA, &clear_signed(TEXT, &nobody, ""))),
        "invalid"
    );
    // The signature brings the content it was made over, and the mail shows another.
    let other = "Content-Type: text/plain\r\n\r\nPay 900 to Mallory.\r\n";
    assert_eq!(
        verdict(&mail(OLGA, &clear_signed(other, &opaque, ""))),
        "invalid"
    );
    assert_eq!(
        verdict(&mail(OLGA, &clear_signed(TEXT, &opaque, ""))),
        "invalid"
    );
    // Another text under a good signature.
    assert_eq!(
        verdict(&mail(OLGA, &clear_signed(other, &detached, ""))),
        "invalid"
    );
    // The signed attributes, stripped and passed off as the content (RFC 5652 §11.1).
    let stripped = altered(&opaque, |children| {
        let signers = children.last_mut().unwrap();
        let signer = signers.child(0);
        let attributes = (0..signer.children())
            .find(|n| signer.child(*n).tag == 0xa0)
            .unwrap();
        let Body::Children(fields) = &mut signer.body else {
            panic!()
        };
        let mut set = fields.remove(attributes);
        set.tag = 0x31;
        let set = set.encode();
        *children[2].child(1).child(0).bytes() = set;
    });
    assert_eq!(
        verdict(&mail(OLGA, &object("signed-data", &stripped))),
        "invalid"
    );
}

#[test]
fn the_worst_of_several_signers_decides() {
    let two = signed(
        TEXT,
        "olga",
        "-nodetach -signer mallory.pem -inkey mallory.key",
    );
    assert_ne!(verdict(&mail(OLGA, &object("signed-data", &two))), "valid");
    // A second SignerInfo in Mallory's name that nobody made.
    let forged = altered(&two, |children| {
        let signers = children.last_mut().unwrap();
        for n in 0..signers.children() {
            let signer = signers.child(n);
            let last = signer.children() - 1;
            if signer
                .child(1)
                .encode()
                .windows(1)
                .any(|serial| serial == [0x23])
            {
                signer.child(last).bytes()[5] ^= 1;
            }
        }
    });
    assert_eq!(
        verdict(&mail(OLGA, &object("signed-data", &forged))),
        "invalid"
    );
}

/// What `decrypt` with Olga's and Otto's keys makes of a message.
pub(crate) fn decrypted(message: &str) -> (Vec<Row>, String) {
    let keys = pki().keys_of(&["olga", "otto"]);
    let sandbox = Sandbox::new();
    sandbox.write("in/mail.eml", message);
    let keys = keys.to_string_lossy();
    sandbox.run([
        "decrypt", "in", "--keys", &keys, "--out", "OUT", "--now", LATER,
    ]);
    let written = fs::read_to_string(sandbox.path().join("OUT/in/mail.eml")).unwrap();
    (
        rows(&sandbox.path().join("OUT/report/messages.csv")),
        written,
    )
}

#[test]
fn a_ciphertext_for_another_is_not_opened_for_whoever_pastes_it() {
    let secret = "Content-Type: text/plain\r\n\r\nThe code is 4711.\r\n";
    let for_olga = object("enveloped-data", &encrypted(secret, "olga"));
    let wrapped = clear_signed(&for_olga, &signed(&for_olga, "mallory", ""), "");
    let opaque = object("signed-data", &signed(&for_olga, "mallory", "-nodetach"));
    let to_olga = "From: ann@example.org\r\nTo: olga@example.org\r\n";
    let to_otto = "From: mallory@example.org\r\nTo: otto@example.org\r\n";
    let as_olga = "From: olga@example.org\r\nSender: olga@example.org\r\nTo: otto@example.org\r\n";
    let text = "Content-Type: text/plain\r\n\r\nsee below\r\n";
    let pasted = [
        mixed(&[text, &for_olga]),
        mixed(&[text, &wrapped]),
        mixed(&[text, &opaque]),
        mixed(&[text, &attached(to_olga, &for_olga)]),
        mixed(&[text, &attached(to_olga, &wrapped)]),
        mixed(&[text, &attached(to_olga, &opaque)]),
        attached(to_olga, &for_olga),
        mixed(&[
            text,
            &attached(to_olga, &mixed(&[text, &for_olga]).replace("mix", "in")),
        ]),
        // Inside what Otto may read.
        object(
            "enveloped-data",
            &encrypted(&mixed(&[text, &for_olga]), "otto"),
        ),
        object(
            "enveloped-data",
            &encrypted(&attached(to_olga, &for_olga), "otto"),
        ),
    ];
    for entity in &pasted {
        for fields in [to_otto, as_olga] {
            let message = mail(fields, entity);
            let (found, written) = decrypted(&message);
            assert!(!written.contains("4711"), "opened:\n{message}\n{found:?}");
        }
    }
    // The same, sent to her, is hers to read.
    for entity in &pasted[..8] {
        let sealed_by_a_signature =
            entity.contains("multipart/signed") || entity.contains("signed-data");
        let (found, written) = decrypted(&mail(to_olga, entity));
        assert!(
            written.contains("4711") || sealed_by_a_signature,
            "{entity}\n{found:?}"
        );
    }
}

#[test]
fn what_everybody_can_see_to_be_wrong_is_refused_before_any_key_is_tried() {
    let secret = "Content-Type: text/plain\r\n\r\nThe code is 4711.\r\n";
    let to_olga = "From: ann@example.org\r\nTo: olga@example.org\r\n";
    let gcm = cms(secret, "-encrypt -aes-256-gcm -outform DER olga.pem");
    let opened = |der: &[u8], smime_type: &str| {
        let (found, written) = decrypted(&mail(to_olga, &object(smime_type, der)));
        (found[0].at("outcome").to_owned(), written.contains("4711"))
    };
    assert_eq!(
        opened(&gcm, "authEnveloped-data"),
        ("decrypted".into(), true)
    );
    // A tag cut short of what the parameters say.
    let cut = altered(&gcm, |children| {
        children.last_mut().unwrap().bytes().truncate(4);
    });
    assert_eq!(
        opened(&cut, "authEnveloped-data"),
        ("refused".into(), false)
    );
    // The same content called EnvelopedData, its tag thrown away.
    let mut relabelled = Node::parse(&altered(&gcm, |children| drop(children.pop())));
    *relabelled.child(0).bytes() = vec![0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 3];
    assert_eq!(
        opened(&relabelled.encode(), "enveloped-data"),
        ("refused".into(), false)
    );
    // CBC called authenticated.
    let mut cbc = Node::parse(&altered(&encrypted(secret, "olga"), |children| {
        children.push(Node {
            tag: 0x04,
            body: Body::Bytes(vec![7; 16]),
        });
    }));
    *cbc.child(0).bytes() = vec![0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 1, 23];
    assert_eq!(
        opened(&cbc.encode(), "authEnveloped-data"),
        ("refused".into(), false)
    );
}

/// A SignedData whose signed attributes have become what its signature, now without any, is over.
fn attributes_as_content(options: &str) -> (Node, Vec<u8>) {
    let mut node = Node::parse(&signed(TEXT, "olga", &format!("-nodetach {options}")));
    let signers = node.at(&[1, 0]);
    let last = signers.children() - 1;
    let signer = signers.child(last).child(0);
    let at = (0..signer.children())
        .find(|n| signer.child(*n).tag == 0xa0)
        .unwrap();
    let Body::Children(fields) = &mut signer.body else {
        panic!()
    };
    let mut set = fields.remove(at);
    set.tag = 0x31;
    let set = set.encode();
    if let Body::Children(content) = &mut node.at(&[1, 0, 2]).body {
        content.truncate(1);
    }
    (node, set)
}

/// Red when only content in memory is looked at for what it is.
#[test]
fn attributes_passed_off_as_content_are_invalid_in_a_large_object_too() {
    // Without capabilities they are short, and so is their length.
    let (mut node, set) = attributes_as_content("-nosmimecap");
    assert!(set.len() < 128);
    if let Body::Children(content) = &mut node.at(&[1, 0, 2]).body {
        content.push(Node::of(0xa0, vec![Node::leaf(4, &set)]));
    }
    let signers = node.at(&[1, 0]);
    let last = signers.children() - 1;
    if let Body::Children(fields) = &mut signers.child(last).child(0).body {
        let padding = Node::of(0x31, vec![Node::leaf(4, &vec![0; 3 << 20])]);
        let attribute = Node::of(0x30, vec![Node::leaf(6, &[0x2a, 3, 4]), padding]);
        fields.push(Node::of(0xa1, vec![attribute]));
    }
    let message = mail(OLGA, &object("signed-data", &node.encode()));
    let sandbox = Sandbox::new();
    sandbox.write("in/mail.eml", &message);
    let root = pki().certificate("root");
    for size in ["1KiB", "1GiB"] {
        let root = root.to_string_lossy();
        sandbox.run([
            "verify",
            "in",
            "--trust",
            &root,
            "--report",
            "R",
            "--now",
            LATER,
            "--max-message",
            size,
        ]);
        let found = rows(&sandbox.path().join("R/signatures.csv"));
        assert_eq!(found[0].at("integrity"), "broken", "{size}: {found:?}");
        assert_eq!(found[0].at("verdict"), "invalid", "{size}");
    }
}

#[test]
fn attributes_passed_off_as_a_detached_content_are_invalid_in_every_reading() {
    // A bare LF among the attributes makes the canonical reading other bytes than the signed ones,
    // so the content is read as it is, too. Signing times give new attributes every second.
    let (node, set) = attributes_as_content("");
    let boundary = "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=sig\r\n\r\n--sig\r\n";
    let mut message = format!("{OLGA}Subject: pay\r\nMIME-Version: 1.0\r\n{boundary}").into_bytes();
    message.extend_from_slice(&set);
    message.extend_from_slice(b"\r\n--sig\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n");
    message.extend_from_slice(base64(&node.encode()).as_bytes());
    message.extend_from_slice(b"--sig--\r\n");
    let sandbox = Sandbox::new();
    sandbox.write("in/mail.eml", &message);
    let root = pki().certificate("root");
    let root = root.to_string_lossy();
    sandbox.run([
        "verify", "in", "--trust", &root, "--report", "R", "--now", LATER,
    ]);
    let found = rows(&sandbox.path().join("R/messages.csv"));
    assert_eq!(found[0].at("verdict"), "invalid", "{found:?}");
}

#[test]
fn a_name_makes_no_document_of_the_mail_itself() {
    let secret = "Content-Type: text/plain\r\n\r\nThe code is 4711.\r\n";
    let renamed =
        object("enveloped-data", &encrypted(secret, "olga")).replace("smime.p7m", "order.pdf.p7m");
    let (found, written) = decrypted(&mail(
        "From: ann@example.org\r\nTo: olga@example.org\r\n",
        &renamed,
    ));
    assert_eq!(found[0].at("form"), "enveloped");
    assert!(written.contains("4711"));
    // Attached, it is a document.
    let (found, _) = decrypted(&mail(
        OLGA,
        &mixed(&["Content-Type: text/plain\r\n\r\nhere\r\n", &renamed]),
    ));
    assert_eq!((found[0].at("form"), found[0].at("parts")), ("plain", "1"));
    // An encoded name and short lines hide the object from nobody.
    let der = encrypted(secret, "olga");
    let short = base64(&der).replace("\r\n", "");
    let short = short.as_bytes().chunks(5).fold(String::new(), |all, line| {
        all + std::str::from_utf8(line).unwrap() + "\r\n"
    });
    let hidden = format!(
        "Content-Type: application/octet-stream; name=\"=?utf-8?b?c21pbWUucDdt?=\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{short}"
    );
    let (found, _) = decrypted(&mail(OLGA, &hidden));
    assert_eq!(found[0].at("form"), "enveloped");
}

#[test]
fn a_forged_certificate_in_front_of_the_real_one_breaks_nothing() {
    // Mallory's key under Olga's name and number.
    openssl(pki().path(), "x509 -in olga.pem -noout -issuer").expect("issuer");
    let line = "req -x509 -key mallory.key -out shadow.pem -days 7300 -subj /CN=Test-Root -set_serial 0x21 -addext subjectAltName=email:olga@example.org";
    openssl(pki().path(), line).expect(line);
    let both = signed(TEXT, "olga", "-certfile shadow.pem");
    let shadowed = altered(&both, |children| {
        let bag = children.iter_mut().find(|child| child.tag == 0xa0).unwrap();
        let Body::Children(certificates) = &mut bag.body else {
            panic!()
        };
        certificates.reverse();
    });
    for signature in [&both, &shadowed] {
        assert_eq!(
            verdict(&mail(OLGA, &clear_signed(TEXT, signature, ""))),
            "valid"
        );
    }
}

#[test]
fn what_another_reader_might_show_is_not_covered() {
    let good = honest("olga");
    let epilogue = format!("{good}\r\nPay 900 to Mallory.\r\n");
    let preamble = good.replacen(
        "--sig\r\n",
        &format!("{}\r\n--sig\r\n", "Pay 900 to Mallory. ".repeat(20)),
        1,
    );
    let two_types = format!("Content-Type: multipart/mixed; boundary=evil\r\n{good}");
    let also = good.replacen(
        "\r\n\r\n",
        "\r\nContent-Type: multipart/mixed; boundary=evil\r\n\r\n",
        1,
    );
    let two_boundaries = good.replacen("boundary=sig", "boundary=sig; boundary=evil", 1);
    let opaque = object("signed-data", &signed(TEXT, "olga", "-nodetach"));
    let behind = format!("{opaque}\r\nPay 900 to Mallory.\r\n");
    for entity in [epilogue, preamble, two_types, also, two_boundaries, behind] {
        assert_ne!(verdict(&mail(OLGA, &entity)), "valid", "{entity}");
    }
    // Words that are base64 themselves, behind objects of every length.
    for length in 0..3 {
        let content = format!("{TEXT}{}", "x".repeat(length));
        let opaque = object("signed-data", &signed(&content, "olga", "-nodetach"));
        assert_eq!(verdict(&mail(OLGA, &opaque)), "valid");
        let behind = format!("{opaque}\r\nPay 900 to Mallory\r\n");
        assert_ne!(verdict(&mail(OLGA, &behind)), "valid", "{behind}");
    }
    let notice = good.replacen(
        "--sig\r\n",
        "This is an S/MIME signed message\r\n\r\n--sig\r\n",
        1,
    );
    assert_eq!(verdict(&mail(OLGA, &notice)), "valid");
    for from in [
        "From: victim@example.org: olga@example.org;\r\n",
        "From: <@victim@example.org:olga@example.org>\r\n",
        "From: <olga@example.org> victim@example.org\r\n",
        "From: victim@example.org\0<olga@example.org>\r\n",
    ] {
        let fields = format!("{from}To: otto@example.org\r\n");
        assert_ne!(verdict(&mail(&fields, &good)), "valid", "{from}");
    }
}

#[test]
fn a_part_beside_the_signed_one_is_never_dropped() {
    let secret = "Content-Type: text/plain\r\n\r\nThe code is 4711.\r\n";
    let sealed = object("enveloped-data", &encrypted(secret, "olga"));
    let third = "--sig\r\nContent-Type: text/plain\r\n\r\nkeep me\r\n";
    let entity = clear_signed(&sealed, &signed(&sealed, "mallory", ""), third);
    let (found, written) = decrypted(&mail(
        "From: ann@example.org\r\nTo: olga@example.org\r\n",
        &entity,
    ));
    assert!(written.contains("keep me"), "{found:?}");
    assert!(!written.contains("4711"));
    // A ciphertext inside another's envelope says whose keys opened it.
    let inner = object("enveloped-data", &encrypted(secret, "olga"));
    let outer = object("enveloped-data", &encrypted(&inner, "otto"));
    let (found, _) = decrypted(&mail(
        "From: ann@example.org\r\nTo: otto@example.org\r\n",
        &outer,
    ));
    assert_eq!(
        found[0].at("opened_for"),
        "otto@example.org olga@example.org"
    );
}
