//! What certificates say, beside what OpenSSL says of them.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::cert::clean_address;
use crate::cert::testing::{Pki, Spec};

#[test]
fn only_a_critical_purpose_of_its_own_stamps_times() {
    let pki = Pki::new();
    pki.issue(&Spec::root("root"));
    for (name, purposes, expected) in [
        ("good", "critical,timeStamping", true),
        ("lax", "timeStamping", false),
        ("more", "critical,timeStamping,emailProtection", false),
        ("mail", "critical,emailProtection", false),
        ("none", "", false),
    ] {
        let spec = Spec::leaf(name, "root").extension("extendedKeyUsage", purposes);
        assert_eq!(pki.issue(&spec).can_stamp_times(), expected, "{name}");
    }
}

#[test]
fn what_a_mail_certificate_says() {
    let pki = Pki::new();
    let root = pki.issue(&Spec::root("root"));
    let names = "email:Ann.B@Example.COM,email:ann.b@example.com,email:not an address,\
                 otherName:1.3.6.1.5.5.7.8.9;UTF8:utf8@example.org,DNS:example.net";
    let leaf = Spec::leaf("ann", "root").subject("/C=DE/CN=Ann B/emailAddress=second@EXAMPLE.com");
    let leaf = pki.issue(&leaf.extension("subjectAltName", names));
    assert_eq!(
        leaf.addresses,
        [
            "Ann.B@example.com",
            "utf8@example.org",
            "second@example.com"
        ]
    );
    assert!(leaf.has_address("ANN.b@EXAMPLE.com") && !leaf.has_address("ann.b@example.org"));
    assert_eq!(
        leaf.subject,
        "emailAddress=second@EXAMPLE.com,CN=Ann B,C=DE"
    );
    assert_eq!(leaf.display_name(), "Ann.B@example.com");
    assert_eq!(
        (leaf.key_name.as_str(), leaf.signature.as_str()),
        ("ec-p256", "sha256-ecdsa")
    );
    assert_eq!(
        leaf.usages,
        [
            "digitalSignature",
            "keyEncipherment",
            "keyAgreement",
            "emailProtection"
        ]
    );
    assert_eq!(
        (leaf.not_before, leaf.not_after),
        (1_577_836_800, 1_640_995_200)
    );
    assert!(
        leaf.can_sign_mail() && leaf.can_encrypt_mail() && !leaf.is_ca && !leaf.is_self_signed()
    );
    assert!(root.is_ca && root.is_self_signed());
    assert_eq!(root.display_name(), "root");
    assert!(leaf.matches_issuer_serial(&root.subject_der, &leaf.serial));
    assert!(!leaf.matches_issuer_serial(&root.subject_der, &root.serial));
}

#[test]
fn the_der_kept_is_the_certificate_alone() {
    let pki = Pki::new();
    let root = pki.issue(&Spec::root("root"));
    let longer = [&root.der, b"more".as_slice()].concat();
    let again = Certificate::decode(&longer).unwrap();
    assert_eq!(
        (again.der.as_ref(), again.sha256),
        (root.der.as_ref(), root.sha256)
    );
}

#[test]
fn cut_and_altered_certificates_do_not_panic() {
    let pki = Pki::new();
    let leaf = pki.issue(&Spec::leaf("leaf", {
        pki.issue(&Spec::root("root"));
        "root"
    }));
    for end in 0..leaf.der.len() {
        assert!(Certificate::decode(&leaf.der[..end]).is_err(), "{end}");
    }
    let mut altered = leaf.der.to_vec();
    for at in 0..altered.len() {
        for value in [0, 0x30, 0x80, 0xff, leaf.der[at] ^ 1] {
            altered[at] = value;
            let _ = Certificate::decode(&altered);
        }
        altered[at] = leaf.der[at];
    }
}

#[test]
fn a_key_too_big_is_named_and_not_used() {
    let pki = Pki::new();
    // 2048 bits, and an exponent of 66 bits.
    let options = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    let exponent = [
        "-pkeyopt",
        "rsa_keygen_pubexp:36893488147419103233",
        "-out",
        "big.key",
    ];
    pki.openssl(&[&["genpkey"], options.as_slice(), exponent.as_slice()].concat());
    let big = pki.issue(&Spec::root("own").key_of("big"));
    assert_eq!(big.key_name, "rsa-2048");
    assert!(big.public_key.is_none() && !big.can_encrypt_mail() && !big.is_self_signed());
}

/// Every certificate of `../shared/corpora`, against what `openssl x509` says of it. Skipped
/// where the corpora are not there.
#[test]
fn openssl_says_the_same_of_every_certificate_of_the_corpora() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora");
    if !corpora.is_dir() {
        return;
    }
    let pki = Pki::new();
    let mut compared = 0;
    for entry in walkdir::WalkDir::new(&corpora)
        .sort_by_file_name()
        .into_iter()
        .flatten()
    {
        let path = entry.path();
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or_default();
        if !matches!(extension, "pem" | "crt" | "der" | "cer") || !entry.file_type().is_file() {
            continue;
        }
        for certificate in crate::cert::trust::certificates_in(&std::fs::read(path).unwrap()) {
            crate::fsio::write_atomic(&pki.path("x.der"), |out| out.write_all(&certificate.der))
                .unwrap();
            let output = Command::new("openssl")
                .args([
                    "x509",
                    "-inform",
                    "DER",
                    "-in",
                    "x.der",
                    "-noout",
                    "-nameopt",
                    "RFC2253,-esc_msb",
                ])
                .args([
                    "-serial", "-subject", "-issuer", "-dateopt", "iso_8601", "-dates", "-email",
                ])
                .current_dir(pki.path(""))
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let mut lines = text.lines();
            let mut field = |prefix: &str| {
                lines
                    .next()
                    .unwrap()
                    .strip_prefix(prefix)
                    .unwrap()
                    .to_owned()
            };
            let serial = field("serial=").to_lowercase();
            // A negative one is shown by OpenSSL as minus its amount, here as it is encoded.
            let negative = serial.starts_with('-');
            let ours = certificate.serial_hex();
            assert!(negative || serial.trim_start_matches('0') == ours.trim_start_matches('0'));
            let (subject, issuer) = (respelled(&field("subject=")), respelled(&field("issuer=")));
            // Microsoft's names that OpenSSL knows are no registered descriptors.
            if !subject.contains("jurisdiction") {
                assert_eq!(subject, certificate.subject, "{}", path.display());
                assert_eq!(issuer, certificate.issuer, "{}", path.display());
            }
            // The end of 9999, "never", is past the last time that jiff reads.
            let time = |text: String| match text.as_str() {
                "9999-12-31 23:59:59Z" => 253_402_300_799,
                text => crate::text::parse_rfc3339(&text.replace(' ', "T")).unwrap(),
            };
            assert_eq!(time(field("notBefore=")), certificate.not_before);
            assert_eq!(time(field("notAfter=")), certificate.not_after);
            let theirs: HashSet<String> = lines.filter_map(clean_address).collect();
            let ours: HashSet<String> = certificate.addresses.iter().cloned().collect();
            assert_eq!(ours, theirs, "{}", path.display());
            compared += 1;
        }
    }
    assert!(compared > 200, "{compared}");
}

/// OpenSSL's short names in RFC 4519's spelling, and hex in lower case.
fn respelled(name: &str) -> String {
    let mut out = format!(",{name}");
    for (theirs, ours) in [
        ("SN=", "sn="),
        ("GN=", "givenName="),
        ("street=", "STREET="),
    ] {
        out = out.replace(&format!(",{theirs}"), &format!(",{ours}"));
        out = out.replace(&format!("+{theirs}"), &format!("+{ours}"));
    }
    let mut pieces = out.split("=#").map(str::to_owned).collect::<Vec<_>>();
    for piece in pieces.iter_mut().skip(1) {
        let digits = piece.find([',', '+']).unwrap_or(piece.len());
        piece[..digits].make_ascii_lowercase();
    }
    pieces.join("=#").split_off(1)
}
