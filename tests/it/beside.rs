//! Words around an object that nobody signed or encrypted: they make coverage `partial`, a key opens
//! nothing for them, and no message is written without them.

use crate::hostile::{
    OLGA, TEXT, base64, clear_signed, decrypted, encrypted, honest, mail, object, signed, verdict,
};

const PAY: &str = "Pay 900 to Mallory today!\r\n";

/// The honest message with something in it replaced, which must be there.
fn with(entity: &str, old: &str, new: &str) -> String {
    assert!(entity.contains(old), "{old}\n{entity}");
    entity.replacen(old, new, 1)
}

fn assert_verdicts(valid: &[String], others: &[String]) {
    for message in valid {
        assert_eq!(verdict(message), "valid", "{message}");
    }
    for message in others {
        assert_eq!(verdict(message), "indeterminate", "{message}");
    }
}

#[test]
fn a_signature_part_that_shows_text_lends_it_nothing() {
    const LABEL: &str = "Content-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let signature = signed(TEXT, "olga", "");
    let text = base64(&signature);
    let part = |part: &str| {
        let good = honest("olga");
        let (start, _) = good.split_once(LABEL).unwrap();
        mail(OLGA, &format!("{start}{part}\r\n--sig--\r\n"))
    };
    let pem = format!("-----BEGIN PKCS7-----\r\n{text}-----END PKCS7-----\r\n");
    let name = "Content-Type: application/pkcs7-signature; name=smime.p7s\r\n";
    assert_verdicts(
        &[
            part(&format!("{LABEL}{text}")),
            part(&format!("{LABEL}{text}\r\n\r\n")),
            part(&format!("{name}\r\n{text}")),
            part(&format!("{name}\r\n{pem}")),
            part(&format!(
                "Content-Type: application/octet-stream\r\n\r\n{pem}"
            )),
        ],
        &[
            part(&format!(
                "Content-Type: text/html\r\n\r\n<!--\r\n{text}--><h1>{PAY}"
            )),
            part(&format!(
                "Content-Type: text/plain; name=smime.p7s\r\n\r\n{text}"
            )),
            part(&format!("Content-Type: text/plain\r\n\r\n{PAY}{pem}")),
            part(&format!(
                "Content-Type: multipart/mixed; boundary=in\r\n\r\n{text}\r\n--in\r\n\r\n{PAY}\r\n--in--\r\n"
            )),
            part(&format!(
                "Content-Type: message/rfc822\r\n\r\n{text}\r\n\r\n{PAY}"
            )),
            part(&format!("{LABEL}{text}\r\n\r\n{PAY}")),
            part(&format!("{name}\r\n{text}{PAY}")),
            part(&format!("{name}\r\n{pem}{PAY}")),
            part(&with(
                &format!("{LABEL}{text}"),
                "Content-Type",
                "Content-\x01Type",
            )),
        ],
    );
}

#[test]
fn an_enclosed_entity_beside_parts_lends_them_nothing() {
    let good = honest("olga");
    let (head, body) = good.split_once("\r\n\r\n").unwrap();
    let outer = "Content-Type: multipart/signed; boundary=out";
    let shown = format!("--out\r\nContent-Type: text/html\r\n\r\n<h1>{PAY}</h1><!--\r\n");
    let encoded = base64(good.as_bytes());
    let whole = |label: &str| {
        let label = format!("{label}\r\nContent-Transfer-Encoding: base64");
        mail(OLGA, &format!("{label}\r\n\r\n{encoded}"))
    };
    let before = |text: &str| mail(OLGA, &format!("{head}\r\n\r\n{text}{body}"));
    assert_verdicts(
        &[
            whole("Content-Type: application/pkcs7-mime; name=smime.p7m"),
            whole("Content-Type: multipart/signed"),
            before("This is a cryptographically signed message in MIME format.\r\n\r\n"),
            before("This is an S/MIME signed message\r\n\r\n"),
        ],
        &[
            whole(outer),
            before(PAY),
            before("MIME <b>Pay 900 to Mallory</b>\r\n"),
            before("--mime\r\n\r\nPay 900 to Mallory\r\n"),
        ],
    );
    for forged in [
        format!("{outer}\r\n\r\n{head}\r\n\r\n{shown}{body}"),
        format!("{outer}\r\n\r\n{good}\r\n{shown}\r\n--out--\r\n"),
        format!("{outer}\r\n\r\n{encoded}\r\n{shown}\r\n--out--\r\n"),
    ] {
        assert_ne!(verdict(&mail(OLGA, &forged)), "valid", "{forged}");
    }
}

#[test]
fn words_behind_an_object_count_in_every_encoding_and_place() {
    let opaque = signed(TEXT, "olga", "-nodetach");
    let text = base64(&opaque);
    let pem = format!("-----BEGIN PKCS7-----\r\n{text}-----END PKCS7-----\r\n");
    let other = "-----BEGIN X-----\r\n-----END X-----\r\n";
    let body = |encoding: &str, body: &str| {
        let label = "Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m";
        let encoding = format!("Content-Transfer-Encoding: {encoding}");
        mail(OLGA, &format!("{label}\r\n{encoding}\r\n\r\n{body}"))
    };
    assert_verdicts(
        &[
            body("base64", &text),
            body("7bit", &text),
            body("x-unknown", &text),
            body("7bit", &pem),
            body("7bit", &format!("\r\n{pem}\r\n\r\n")),
        ],
        &[
            body("7bit", &format!("{text}{PAY}")),
            body("quoted-printable", &format!("{text}\r\n{PAY}")),
            body("x-unknown", &format!("{text}\r\n-- \r\n{PAY}")),
            body(
                "base64",
                &format!("{text}\r\n-- \r\n{PAY}{}", "AAAA\r\n".repeat(3000)),
            ),
            body("7bit", &format!("{pem}{PAY}{other}")),
            body("7bit", &format!("{}{PAY}{other}{pem}", &other[..19])),
        ],
    );
}

#[test]
fn a_header_that_few_readers_see_gives_no_full_coverage() {
    let good = mail(OLGA, &honest("olga"));
    let named = |name: &str| with(&good, "Content-Type", name);
    assert_verdicts(
        &[
            good.clone(),
            named("content-TYPE"),
            format!("X-Odd_Name.of: somebody\r\n{good}"),
        ],
        &[
            named("Content-\x01Type"),
            named("Content-Type\x7f"),
            named("\u{feff}Content-Type"),
            with(&good, "Content-Type", &format!("{PAY}Content-Type")),
            with(&good, "Content-Type", "X: y\rContent-Type"),
            format!("\r\n{good}"),
        ],
    );
}

#[test]
fn words_around_a_ciphertext_open_nothing_and_are_never_dropped() {
    let secret = "Content-Type: text/plain\r\n\r\nThe code is 4711.\r\n";
    let to_otto = "From: ann@example.org\r\nTo: otto@example.org\r\n";
    let to_olga = "From: ann@example.org\r\nTo: olga@example.org\r\n";
    let sealed = encrypted(secret, "olga");
    let text = base64(&sealed);
    let pem = format!("-----BEGIN PKCS7-----\r\n{text}-----END PKCS7-----\r\n");
    let leaf = object("enveloped-data", &sealed);
    let whole = clear_signed(&leaf, &signed(&leaf, "mallory", ""), "");
    let label = "Content-Type: application/pkcs7-mime; name=smime.p7m\r\n\r\n";
    let outer = "Content-Type: multipart/signed; boundary=out\r\n\r\n";
    for alone in [&leaf, &whole, &format!("{label}{pem}")] {
        let (found, written) = decrypted(&mail(to_olga, alone));
        assert_eq!(found[0].at("outcome"), "decrypted", "{alone}");
        assert!(written.contains("4711"));
    }
    for words in [
        format!("Content-Type: text/plain\r\n\r\n{pem}{PAY}"),
        format!("{label}{PAY}{pem}"),
        format!("{label}{pem}{PAY}"),
        format!("{label}{text}\r\n{PAY}"),
        format!("{leaf}\r\n-- \r\n{PAY}"),
        format!("{whole}{PAY}"),
        with(&whole, "--sig\r\n", &format!("{PAY}--sig\r\n")),
        with(&whole, "--sig--", &format!("\r\n{PAY}--sig--")),
        format!("{outer}{leaf}\r\n--out\r\n\r\n{PAY}\r\n--out--\r\n"),
    ] {
        let (found, written) = decrypted(&mail(to_olga, &words));
        assert!(written.contains(PAY.trim_end()), "{found:?}");
        assert!(!written.contains("4711"), "{words}");
        if !words.starts_with(outer) {
            let told = [found[0].at("outcome"), found[0].at("reason")];
            assert_eq!(told, ["refused", "text-beside"], "{words}");
        }
        // Pasted into a message for another, it is not even tried.
        let (found, written) = decrypted(&mail(to_otto, &words));
        assert!(found[0].at("opened_with").is_empty(), "{words}");
        assert!(!written.contains("4711"), "{words}");
    }
}
