//! Every way to sign that OpenSSL knows, and the ways that only old or careless programs know: what
//! the mathematics says, what the verdict is, and which reason says why. `docs/reference/leniency.md`
//! is the text to these tests.

use std::sync::OnceLock;

use crate::hostile::{OLGA, TEXT, clear_signed, mail, object};
use crate::support::Sandbox;
use crate::support::der::{Body, Node};
use crate::support::signed::{
    Plan, algorithm, algorithm_null, attribute, certificate, hash, issuer_and_serial, oids,
    signed_data, through,
};
use crate::support::table::{Row, rows};
use crate::support::tools::{LATER, Pki, openssl};

/// Olga with a key of every kind, all at `olga@example.org`, and Otto.
fn pki() -> &'static Pki {
    static ONCE: OnceLock<Pki> = OnceLock::new();
    ONCE.get_or_init(|| {
        let pki = Pki::new();
        for (serial, kind) in (0x31..).zip(["rsa", "ec", "p521", "ed25519", "ed448", "dsa"]) {
            pki.make_key(kind, if kind == "p521" { "ec-p521" } else { kind });
            pki.issue(kind, "olga", serial);
        }
        pki.person("otto", "rsa", 0x22);
        pki
    })
}

/// The message's row and the rows of its signatures, with these certificates known beside the root.
fn judged_with(message: &str, known: &[&str]) -> (Row, Vec<Row>) {
    let sandbox = Sandbox::new();
    sandbox.write("in/mail.eml", message);
    let root = pki().certificate("root");
    let mut words = vec![
        "verify".to_owned(),
        "in".into(),
        "--report".into(),
        "R".into(),
    ];
    words.extend(["--trust".to_owned(), root.to_string_lossy().into_owned()]);
    words.extend(["--now".to_owned(), LATER.into()]);
    for name in known {
        let path = pki().certificate(name);
        words.extend([
            "--intermediates".to_owned(),
            path.to_string_lossy().into_owned(),
        ]);
    }
    let ran = sandbox.run(words);
    assert!(matches!(ran.code, Some(0 | 4)), "{ran:?}");
    let report = |name: &str| rows(&sandbox.path().join("R").join(name));
    (report("messages.csv").remove(0), report("signatures.csv"))
}

fn judged(message: &str) -> (Row, Vec<Row>) {
    judged_with(message, &[])
}

fn opaque(der: &[u8]) -> String {
    mail(OLGA, &object("signed-data", der))
}

/// Verdict, integrity and reasons of a SignedData's only signature.
fn found(der: &[u8]) -> (String, String, String) {
    let (message, signatures) = judged(&opaque(der));
    assert_eq!(signatures.len(), 1, "{signatures:?}");
    let row = &signatures[0];
    assert_eq!(message.at("verdict"), row.at("verdict"));
    let cell = |name: &str| row.at(name).to_owned();
    (cell("verdict"), cell("integrity"), cell("reasons"))
}

#[track_caller]
fn expect(der: &[u8], verdict: &str, integrity: &str, reasons: &str) {
    let found = found(der);
    let found = (&*found.0, &*found.1, &*found.2);
    assert_eq!(found, (verdict, integrity, reasons));
}

/// `openssl cms` over [`TEXT`].
fn cms(options: &str) -> Vec<u8> {
    let line = format!("cms -sign -binary -nodetach -outform DER -in IN {options}");
    through(pki().path(), &line, TEXT.as_bytes())
}

fn by(kind: &str, options: &str) -> Vec<u8> {
    cms(&format!("-signer {kind}.pem -inkey {kind}.key {options}"))
}

fn plan() -> Plan {
    Plan::new(pki(), "rsa", TEXT.as_bytes())
}

/// The SignedData of one plan by a key of Olga's.
fn made(kind: &str, plan: &Plan) -> Vec<u8> {
    let signer = plan.info(pki(), TEXT.as_bytes());
    let certificates = [certificate(pki(), kind)];
    signed_data(oids::DATA, TEXT.as_bytes(), &certificates, vec![signer])
}

#[test]
fn what_openssl_signs_is_valid_or_graded() {
    let pss = "-keyopt rsa_padding_mode:pss";
    for (kind, options, algorithm) in [
        ("rsa", "-md sha224".to_owned(), "rsa-pkcs1"),
        ("rsa", "-md sha256".to_owned(), "rsa-pkcs1"),
        ("rsa", "-md sha384 -keyid".to_owned(), "rsa-pkcs1"),
        ("rsa", "-md sha512 -noattr".to_owned(), "rsa-pkcs1"),
        ("rsa", "-md sha512 -nosmimecap".to_owned(), "rsa-pkcs1"),
        ("rsa", "-md sha3-256".to_owned(), "rsa-pkcs1"),
        ("rsa", "-md sha512-256".to_owned(), "rsa-pkcs1"),
        ("rsa", format!("-md sha256 {pss}"), "rsa-pss"),
        (
            "rsa",
            format!("-md sha512 {pss} -keyopt rsa_pss_saltlen:0"),
            "rsa-pss",
        ),
        (
            "rsa",
            format!("-md sha256 {pss} -keyopt rsa_pss_saltlen:190 -noattr"),
            "rsa-pss",
        ),
        (
            "rsa",
            format!("-md sha384 {pss} -keyopt rsa_mgf1_md:sha1"),
            "rsa-pss",
        ),
        ("rsa", "-md sha256 -cades".to_owned(), "rsa-pkcs1"),
        ("rsa", "-md sha384 -cades".to_owned(), "rsa-pkcs1"),
        ("rsa", "-md sha256 -stream -indef".to_owned(), "rsa-pkcs1"),
        ("ec", "-md sha256".to_owned(), "ecdsa"),
        ("ec", "-md sha512 -noattr".to_owned(), "ecdsa"),
        ("p521", "-md sha512 -cades".to_owned(), "ecdsa"),
        ("dsa", "-md sha256".to_owned(), "dsa"),
    ] {
        let (message, signatures) = judged(&opaque(&by(kind, &options)));
        let row = &signatures[0];
        assert_eq!(message.at("verdict"), "valid", "{kind} {options}: {row:?}");
        assert_eq!(row.at("algorithm"), algorithm, "{kind} {options}");
        // FIPS 186-5 took DSA out of the standard in 2023.
        let noted = if kind == "dsa" { "weak-algorithm" } else { "" };
        assert_eq!(row.at("reasons"), noted, "{kind} {options}");
    }
    // OpenSSL 3.0 writes no ECDSA over SHA-3 itself.
    let sha3 = Plan {
        sid: issuer_and_serial(&certificate(pki(), "ec")),
        digest: algorithm(oids::SHA3_384),
        algorithm: algorithm(oids::ECDSA_WITH_SHA3_384),
        sign: "dgst -sha3-384 -sign ec.key IN".into(),
        ..plan().having(attribute(
            oids::MESSAGE_DIGEST,
            vec![Node::leaf(
                4,
                &hash(pki().path(), "sha3-384", TEXT.as_bytes()),
            )],
        ))
    };
    expect(&made("ec", &sha3), "valid", "intact", "");
    for options in ["-md sha1", "-md md5"] {
        expect(
            &by("rsa", options),
            "indeterminate",
            "intact",
            "weak-digest",
        );
    }
    let (_, signatures) = judged(&opaque(&by("rsa", "-md ripemd160")));
    assert_eq!(signatures[0].at("integrity"), "intact");
    assert_eq!(signatures[0].at("strength"), "weak");
}

#[test]
fn edwards_curves_are_signed_as_their_rfc_says() {
    let sign = |kind: &str, oid: &[u8], digest: Node, name: &str| Plan {
        sid: issuer_and_serial(&certificate(pki(), kind)),
        digest,
        algorithm: algorithm(oid),
        sign: format!("pkeyutl -sign -rawin -inkey {kind}.key -in IN"),
        ..plan().having(attribute(
            oids::MESSAGE_DIGEST,
            vec![Node::leaf(4, &hash(pki().path(), name, TEXT.as_bytes()))],
        ))
    };
    let sha512 = || algorithm(oids::SHA512);
    let ed25519 = sign("ed25519", oids::ED25519, sha512(), "sha512");
    expect(&made("ed25519", &ed25519), "valid", "intact", "");
    let mut bits = algorithm(oids::SHAKE256_LEN);
    if let Body::Children(fields) = &mut bits.body {
        fields.push(Node::leaf(2, &[2, 0]));
    }
    for digest in [bits, algorithm(oids::SHAKE256)] {
        let ed448 = sign("ed448", oids::ED448, digest, "shake256 -xoflen 64");
        expect(&made("ed448", &ed448), "valid", "intact", "");
    }
    // Without attributes it is over the content itself.
    let alone = Plan {
        attributes: None,
        ..sign("ed25519", oids::ED25519, sha512(), "sha512")
    };
    expect(&made("ed25519", &alone), "valid", "intact", "");
    // A name that is not the key's.
    let wrong = sign("ed25519", oids::ED448, sha512(), "sha512");
    expect(
        &made("ed25519", &wrong),
        "indeterminate",
        "unchecked",
        "unsupported-algorithm",
    );
}

/// RFC 9882 and RFC 9814, where both the library and the command line are OpenSSL 3.5 or newer.
#[test]
fn post_quantum_signatures_hold_where_openssl_knows_them() {
    let path = pki().path();
    let listed = openssl(path, "list -signature-algorithms").stdout;
    let listed = String::from_utf8_lossy(&listed);
    if ::openssl::version::number() < 0x3050_0000 || !listed.contains("ML-DSA-65") {
        println!("NOT SHOWN: ML-DSA and SLH-DSA need OpenSSL 3.5, linked and on the command line");
        return;
    }
    for (serial, kind) in (0x61..).zip([
        "ML-DSA-44",
        "ML-DSA-65",
        "ML-DSA-87",
        "SLH-DSA-SHA2-128s",
        "SLH-DSA-SHAKE-192f",
    ]) {
        let line = format!("genpkey -algorithm {kind} -out {kind}.key");
        openssl(path, &line).expect(&line);
        pki().issue(kind, "olga", serial);
        let der = by(kind, "-md sha512");
        expect(&der, "valid", "intact", "");
        let (_, signatures) = judged(&opaque(&der));
        assert_eq!(signatures[0].at("algorithm"), kind.to_lowercase());
        assert_eq!(signatures[0].at("key"), kind.to_lowercase());
        let mut broken = Node::parse(&der);
        let signers = broken.at(&[1, 0]);
        let last = signers.children() - 1;
        let signer = signers.at(&[last, 0]);
        let value = signer.children() - 1;
        signer.child(value).bytes()[100] ^= 1;
        expect(&broken.encode(), "invalid", "broken", "signature-mismatch");
    }
}

#[test]
fn odd_algorithm_identifiers_are_decided_one_by_one() {
    // NULL or nothing, and the signature algorithm in full: all in use.
    for (digest, named) in [
        (algorithm(oids::SHA256), algorithm(oids::RSA)),
        (
            algorithm_null(oids::SHA256),
            algorithm_null(oids::SHA256_WITH_RSA),
        ),
        (algorithm(oids::SHA256), algorithm(oids::SHA256_WITH_RSA)),
        (
            algorithm_null(oids::SHA256_WITH_RSA),
            algorithm_null(oids::RSA),
        ),
    ] {
        let plan = Plan {
            digest,
            algorithm: named,
            ..plan()
        };
        expect(&made("rsa", &plan), "valid", "intact", "");
    }
    // Two digests named, whichever was meant.
    for hash in ["sha256", "sha512"] {
        let plan = Plan {
            algorithm: algorithm_null(oids::SHA512_WITH_RSA),
            sign: format!("dgst -{hash} -sign rsa.key IN"),
            ..plan()
        };
        expect(
            &made("rsa", &plan),
            "indeterminate",
            "intact",
            "algorithms-disagree",
        );
        let plan = Plan {
            attributes: None,
            ..plan
        };
        expect(
            &made("rsa", &plan),
            "indeterminate",
            "intact",
            "algorithms-disagree",
        );
    }
    // A DigestInfo without NULL.
    let path = pki().path();
    let set = plan().set().unwrap().encode();
    let info = Node::of(
        0x30,
        vec![
            algorithm(oids::SHA256),
            Node::leaf(4, &hash(path, "sha256", &set)),
        ],
    );
    std::fs::write(path.join("block"), info.encode()).unwrap();
    let bare = Plan {
        sign: "pkeyutl -sign -inkey rsa.key -pkeyopt rsa_padding_mode:pkcs1 -in block".into(),
        ..plan()
    };
    expect(
        &made("rsa", &bare),
        "valid",
        "intact",
        "digest-info-without-null",
    );
    // With a byte too many in it, it is no DigestInfo at all.
    std::fs::write(path.join("block"), [info.encode(), vec![0]].concat()).unwrap();
    expect(
        &made("rsa", &bare),
        "invalid",
        "broken",
        "signature-mismatch",
    );
    // PSS without the parameters that say how.
    let pss = "-sigopt rsa_padding_mode:pss";
    let lax = Plan {
        algorithm: algorithm(oids::PSS),
        sign: format!("dgst -sha256 {pss} -sigopt rsa_pss_saltlen:20 -sign rsa.key IN"),
        ..plan()
    };
    expect(
        &made("rsa", &lax),
        "indeterminate",
        "intact",
        "pss-parameters-missing",
    );
    // Defaults are SHA-1, which the SignerInfo does not say.
    let sha1 = Plan {
        algorithm: Node::of(0x30, vec![Node::leaf(6, oids::PSS), Node::of(0x30, vec![])]),
        sign: format!("dgst -sha1 {pss} -sigopt rsa_pss_saltlen:20 -sign rsa.key IN"),
        ..plan()
    };
    expect(
        &made("rsa", &sha1),
        "indeterminate",
        "intact",
        "algorithms-disagree weak-digest",
    );
    let unknown = Plan {
        digest: algorithm(&[0x2a, 3, 4]),
        ..plan()
    };
    expect(
        &made("rsa", &unknown),
        "indeterminate",
        "unchecked",
        "unsupported-algorithm weak-digest",
    );
}

#[test]
fn signed_attributes_are_what_they_must_be() {
    let malformed = "attributes-malformed";
    let digest = || {
        attribute(
            oids::MESSAGE_DIGEST,
            vec![Node::leaf(
                4,
                &hash(pki().path(), "sha256", TEXT.as_bytes()),
            )],
        )
    };
    let kind = |oid: &[u8]| attribute(oids::CONTENT_TYPE, vec![Node::leaf(6, oid)]);
    let time = |tag: u8, text: &[u8]| attribute(oids::SIGNING_TIME, vec![Node::leaf(tag, text)]);
    expect(&made("rsa", &plan()), "valid", "intact", "");
    for (plan, integrity) in [
        (plan().lacking(oids::CONTENT_TYPE), "intact"),
        (plan().having(kind(oids::SIGNED_DATA)), "intact"),
        (plan().with(kind(oids::DATA)), "intact"),
        (
            plan().having(attribute(
                oids::CONTENT_TYPE,
                vec![Node::leaf(6, oids::DATA), Node::leaf(6, oids::DATA)],
            )),
            "intact",
        ),
        (
            plan().having(attribute(oids::CONTENT_TYPE, vec![])),
            "intact",
        ),
        (plan().lacking(oids::MESSAGE_DIGEST), "broken"),
        (plan().with(digest()), "broken"),
        (
            plan().having(attribute(
                oids::MESSAGE_DIGEST,
                vec![digest().child(1).child(0).clone(), Node::leaf(4, &[0; 32])],
            )),
            "broken",
        ),
        (plan().with(time(0x0c, b"yesterday")), "intact"),
        (
            plan()
                .with(time(0x17, b"260101000000Z"))
                .with(time(0x17, b"260101000001Z")),
            "intact",
        ),
    ] {
        expect(&made("rsa", &plan), "invalid", integrity, malformed);
    }
    // What must be signed stands among what anybody may add.
    let outside = Plan {
        unsigned: vec![time(0x17, b"260101000000Z")],
        ..plan()
    };
    expect(&made("rsa", &outside), "invalid", "intact", malformed);
    // No attributes is for data only.
    let alone = Plan {
        attributes: None,
        ..plan()
    };
    expect(&made("rsa", &alone), "valid", "intact", "");
    let signer = alone.info(pki(), TEXT.as_bytes());
    let other = signed_data(
        oids::TST_INFO,
        TEXT.as_bytes(),
        &[certificate(pki(), "rsa")],
        vec![signer],
    );
    expect(&other, "invalid", "intact", malformed);
    // Odd, and honest: a time in the other form, attributes out of order.
    let later = plan().with(time(0x18, b"20270101000000Z"));
    expect(&made("rsa", &later), "valid", "intact", "signing-time-form");
    let mut unordered = plan();
    unordered.sorted = false;
    unordered
        .attributes
        .as_mut()
        .unwrap()
        .sort_by_key(|a| std::cmp::Reverse(a.encode()));
    expect(
        &made("rsa", &unordered),
        "valid",
        "intact",
        "attributes-unordered",
    );
    // Signed in order, sent out of it.
    let mut shuffled = Node::parse(&made("rsa", &plan()));
    let signer = shuffled.at(&[1, 0, 4, 0, 3]);
    if let Body::Children(attributes) = &mut signer.body {
        attributes.reverse();
    }
    let (verdict, integrity, reasons) = found(&shuffled.encode());
    assert_eq!((&*verdict, &*integrity), ("valid", "intact"), "{reasons}");
    assert!(reasons.contains("attributes-reencoded"), "{reasons}");
    // A version that no RFC knows, an empty list of digests (as always here), no unsigned
    // attributes under their tag.
    let mut odd = Node::parse(&made("rsa", &plan()));
    *odd.at(&[1, 0, 0]).bytes() = vec![9];
    *odd.at(&[1, 0, 4, 0, 0]).bytes() = vec![7];
    if let Body::Children(fields) = &mut odd.at(&[1, 0, 4, 0]).body {
        fields.push(Node::of(0xa1, vec![]));
    }
    expect(&odd.encode(), "valid", "intact", "");
}

#[test]
fn line_ends_that_the_way_changed_are_put_back_and_noted() {
    let content = "Content-Type: text/plain\r\n\r\nPay 100 \r\n\r\nto Ann.\r\n";
    let sign = |content: &str| {
        let line = "cms -sign -binary -outform DER -in IN -signer rsa.pem -inkey rsa.key";
        through(pki().path(), line, content.as_bytes())
    };
    let lf = content.replace("\r\n", "\n");
    let note = |shown: &str, signed: &str| {
        let (message, signatures) = judged(&mail(OLGA, &clear_signed(shown, &sign(signed), "")));
        (
            message.at("verdict").to_owned(),
            signatures[0].at("reasons").to_owned(),
        )
    };
    let valid = |reasons: &str| ("valid".to_owned(), reasons.to_owned());
    assert_eq!(note(content, content), valid(""));
    assert_eq!(note(content, &lf), valid("line-ends-changed"));
    let stored = mail(OLGA, &clear_signed(content, &sign(content), "")).replace("\r\n", "\n");
    assert_eq!(judged(&stored).0.at("verdict"), "valid");
    // Empty lines at the end, one more or one less.
    for shown in [
        format!("{content}\r\n"),
        format!("{content}\r\n\r\n"),
        content.strip_suffix("\r\n").unwrap().to_owned(),
    ] {
        assert_eq!(note(&shown, content), valid("trailing-lines-changed"));
    }
    // What stands in the text is the text.
    for shown in [
        content.replace("100 \r\n", "100\r\n"),
        content.replace("\r\n\r\nto", "\r\nto"),
        content.replace("Ann.", "Ann. "),
        content.replace("Ann.", "Ann.\t"),
        format!("{content} \r\n"),
        format!("\r\n{content}"),
    ] {
        let (verdict, reasons) = note(&shown, content);
        assert_eq!(
            (&*verdict, &*reasons),
            ("invalid", "digest-mismatch"),
            "{shown:?}"
        );
    }
}

#[test]
fn the_signing_certificate_is_the_one_that_signed() {
    let rsa = certificate(pki(), "rsa");
    let otto = certificate(pki(), "otto");
    let path = pki().path();
    let id = |hash: Vec<u8>, issuer_of: Option<&[u8]>| {
        let mut fields = vec![Node::leaf(4, &hash)];
        if let Some(certificate) = issuer_of {
            let mut pair = issuer_and_serial(certificate);
            let (issuer, serial) = (pair.child(0).clone(), pair.child(1).clone());
            let names = Node::of(0x30, vec![Node::of(0xa4, vec![issuer])]);
            fields.push(Node::of(0x30, vec![names, serial]));
        }
        Node::of(0x30, fields)
    };
    let v1 = |ids: Vec<Node>| {
        attribute(
            oids::SIGNING_CERTIFICATE,
            vec![Node::of(0x30, vec![Node::of(0x30, ids)])],
        )
    };
    let v2 = |ids: Vec<Node>| {
        attribute(
            oids::SIGNING_CERTIFICATE_V2,
            vec![Node::of(0x30, vec![Node::of(0x30, ids)])],
        )
    };
    let sha1 = |der: &[u8]| hash(path, "sha1", der);
    let sha256 = |der: &[u8]| hash(path, "sha256", der);
    let with_digest =
        |oid: &[u8], hash: Vec<u8>| Node::of(0x30, vec![algorithm(oid), Node::leaf(4, &hash)]);
    for good in [
        v1(vec![id(sha1(&rsa), None)]),
        v1(vec![
            id(sha1(&rsa), Some(&rsa)),
            id(sha1(&otto), Some(&otto)),
        ]),
        v2(vec![id(sha256(&rsa), Some(&rsa))]),
        v2(vec![with_digest(oids::SHA512, hash(path, "sha512", &rsa))]),
        v2(vec![with_digest(oids::SHA1, sha1(&rsa))]),
    ] {
        expect(&made("rsa", &plan().with(good)), "valid", "intact", "");
    }
    for bad in [
        v1(vec![id(sha1(&otto), None)]),
        v1(vec![
            id(sha1(&otto), Some(&otto)),
            id(sha1(&rsa), Some(&rsa)),
        ]),
        v1(vec![id(sha1(&rsa), Some(&otto))]),
        v2(vec![id(sha256(&otto), Some(&rsa))]),
        v2(vec![id(sha1(&rsa), None)]),
    ] {
        let mismatch = "signing-certificate-mismatch";
        expect(
            &made("rsa", &plan().with(bad)),
            "invalid",
            "intact",
            mismatch,
        );
    }
    let unknown = v2(vec![with_digest(&[0x2a, 3, 4], sha256(&rsa))]);
    expect(
        &made("rsa", &plan().with(unknown)),
        "indeterminate",
        "intact",
        "signing-certificate-unchecked",
    );
    let one = v2(vec![id(sha256(&rsa), None)]);
    for malformed in [plan().with(v1(vec![])), plan().with(one.clone()).with(one)] {
        expect(
            &made("rsa", &malformed),
            "invalid",
            "intact",
            "attributes-malformed",
        );
    }
}

/// One key in two certificates with the same issuer and serial number: the attribute says which.
#[test]
fn of_two_certificates_on_one_key_the_named_one_counts() {
    let path = pki().path();
    let line = "x509 -req -in rsa.csr -CA root.pem -CAkey root.key -set_serial 0x31 -days 7000 -extfile rsa.ext -out again.pem";
    openssl(path, line).expect(line);
    let again = certificate(pki(), "again");
    let named = attribute(
        oids::SIGNING_CERTIFICATE_V2,
        vec![Node::of(
            0x30,
            vec![Node::of(
                0x30,
                vec![Node::of(
                    0x30,
                    vec![Node::leaf(4, &hash(path, "sha256", &again))],
                )],
            )],
        )],
    );
    let signer = plan().with(named).info(pki(), TEXT.as_bytes());
    let both = [certificate(pki(), "rsa"), again.clone()];
    let der = signed_data(oids::DATA, TEXT.as_bytes(), &both, vec![signer]);
    let (message, signatures) = judged(&opaque(&der));
    assert_eq!(message.at("verdict"), "valid");
    let sha256 = hash(path, "sha256", &again);
    let hex: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(signatures[0].at("cert_sha256"), hex);
}

#[test]
fn the_algorithms_are_those_that_the_signer_protected() {
    let protection = |digest: Node, signature: Node| {
        let signature = Node {
            tag: 0xa1,
            ..signature
        };
        attribute(
            oids::PROTECTION,
            vec![Node::of(0x30, vec![digest, signature])],
        )
    };
    let good = protection(algorithm(oids::SHA256), algorithm_null(oids::RSA));
    expect(&made("rsa", &plan().with(good)), "valid", "intact", "");
    for bad in [
        protection(algorithm(oids::SHA512), algorithm(oids::RSA)),
        protection(algorithm(oids::SHA256), algorithm(oids::SHA256_WITH_RSA)),
    ] {
        let mismatch = "algorithm-protection-mismatch";
        expect(
            &made("rsa", &plan().with(bad)),
            "invalid",
            "intact",
            mismatch,
        );
    }
    let none = attribute(
        oids::PROTECTION,
        vec![Node::of(0x30, vec![algorithm(oids::SHA256)])],
    );
    expect(
        &made("rsa", &plan().with(none)),
        "invalid",
        "intact",
        "attributes-malformed",
    );
}

#[test]
fn a_signature_that_was_taken_away_is_missed() {
    let content = TEXT.as_bytes();
    let strong = Plan {
        sid: issuer_and_serial(&certificate(pki(), "ec")),
        algorithm: algorithm(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]),
        sign: "dgst -sha256 -sign ec.key IN".into(),
        ..plan()
    };
    let attributes = strong.set().unwrap().encode();
    let hashed = Node::of(
        0x30,
        vec![
            algorithm(oids::SHA256),
            Node::leaf(4, &hash(pki().path(), "sha256", &attributes)),
        ],
    );
    let named = Node::of(
        0x30,
        vec![algorithm(oids::SHA256), strong.algorithm.clone(), hashed],
    );
    let weak = plan().with(attribute(oids::MULTIPLE_SIGNATURES, vec![named]));
    let certificates = [certificate(pki(), "rsa"), certificate(pki(), "ec")];
    let (weak, strong) = (weak.info(pki(), content), strong.info(pki(), content));
    let both = signed_data(
        oids::DATA,
        content,
        &certificates,
        vec![weak.clone(), strong],
    );
    let (message, signatures) = judged(&opaque(&both));
    assert_eq!(message.at("verdict"), "valid", "{signatures:?}");
    assert!(
        signatures.iter().all(|row| row.at("reasons").is_empty()),
        "{signatures:?}"
    );
    let stripped = signed_data(oids::DATA, content, &certificates, vec![weak]);
    expect(
        &stripped,
        "indeterminate",
        "intact",
        "multiple-signatures-broken",
    );
}

#[test]
fn requests_labels_and_receipts_are_named() {
    let asking = by(
        "rsa",
        "-receipt_request_all -receipt_request_to olga@example.org",
    );
    expect(&asking, "valid", "intact", "receipt-requested");
    let policy = Node::leaf(6, &[0x2a, 3, 4]);
    let label = attribute(oids::SECURITY_LABEL, vec![Node::of(0x31, vec![policy])]);
    expect(
        &made("rsa", &plan().with(label)),
        "valid",
        "intact",
        "security-label",
    );
    // The receipt that OpenSSL gives for the request is signed, and is no mail.
    let line = "cms -sign_receipt -inform DER -in IN -signer rsa.pem -inkey rsa.key -outform DER";
    let receipt = through(pki().path(), line, &asking);
    let (message, signatures) = judged(&opaque(&receipt));
    assert_eq!(message.at("form"), "opaque-signed");
    let reasons = signatures[0].at("reasons");
    assert!(
        reasons.split(' ').any(|reason| reason == "signed-receipt"),
        "{reasons}"
    );
    assert_eq!(signatures[0].at("integrity"), "intact");
}

#[test]
fn a_countersignature_has_a_row_and_no_say() {
    let content = TEXT.as_bytes();
    let certificates = [certificate(pki(), "rsa"), certificate(pki(), "otto")];
    let mut signer = plan().info(pki(), content);
    let last = signer.children() - 1;
    let value = signer.child(last).bytes().clone();
    let counter = |over: &[u8]| {
        Plan::new(pki(), "otto", over)
            .lacking(oids::CONTENT_TYPE)
            .info(pki(), over)
    };
    let countersigned = |counters: Vec<Node>| {
        let plan = Plan {
            unsigned: vec![attribute(oids::COUNTERSIGNATURE, counters)],
            ..plan()
        };
        signed_data(
            oids::DATA,
            content,
            &certificates,
            vec![plan.info(pki(), content)],
        )
    };
    let (message, signatures) = judged(&opaque(&countersigned(vec![counter(&value)])));
    assert_eq!(
        (message.at("verdict"), message.at("signatures")),
        ("valid", "1")
    );
    let [own, other] = &signatures[..] else {
        panic!("{signatures:?}")
    };
    assert_eq!((own.at("verdict"), own.at("reasons")), ("valid", ""));
    assert_eq!(other.at("signer"), "otto@example.org");
    assert_eq!(
        (other.at("integrity"), other.at("coverage")),
        ("intact", "partial")
    );
    assert_eq!(other.at("reasons"), "countersignature partial-coverage");
    assert_eq!(other.at("verdict"), "indeterminate");
    // Over something else it is broken, and the message is what it was.
    let (message, signatures) = judged(&opaque(&countersigned(vec![counter(b"else")])));
    assert_eq!(message.at("verdict"), "valid");
    assert_eq!(signatures[1].at("verdict"), "invalid");
    // It does not stand in for a signature that is broken,
    let mut broken = Node::parse(&countersigned(vec![counter(&value)]));
    broken.at(&[1, 0, 4, 0, 5]).bytes()[7] ^= 1;
    let (message, _) = judged(&opaque(&broken.encode()));
    assert_eq!(message.at("verdict"), "invalid");
    // and a thousand of them are not all looked at.
    let (message, signatures) = judged(&opaque(&countersigned(vec![counter(&value); 1000])));
    assert_eq!((message.at("verdict"), signatures.len()), ("valid", 33));
}

#[test]
fn certificates_are_found_elsewhere_and_odd_ones_do_no_harm() {
    let bare = by("rsa", "-nocerts");
    let (verdict, integrity, reasons) = found(&bare);
    assert_eq!((&*verdict, &*integrity), ("indeterminate", "unchecked"));
    assert!(reasons.contains("no-certificate"), "{reasons}");
    let (message, _) = judged_with(&opaque(&bare), &["rsa"]);
    assert_eq!(message.at("verdict"), "valid");
    // Others beside it: an attribute certificate by its tag, one with a negative serial number,
    // one that is cut, a list of revoked ones, garbage.
    let mut negative = Node::parse(&certificate(pki(), "otto"));
    *negative.at(&[0, 1]).bytes() = vec![0x80];
    let mut cut = Node::parse(&certificate(pki(), "otto"));
    if let Body::Children(fields) = &mut cut.child(0).body {
        fields.truncate(4);
    }
    let mut der = Node::parse(&made("rsa", &plan()));
    let data = der.at(&[1, 0]);
    if let Body::Children(bag) = &mut data.child(3).body {
        bag.splice(
            0..0,
            [
                Node::of(0xa1, vec![Node::leaf(2, &[1])]),
                negative,
                cut,
                Node::of(0xa3, vec![Node::leaf(6, &[0x2a, 3])]),
                Node::of(0x30, vec![]),
            ],
        );
    }
    if let Body::Children(fields) = &mut data.body {
        let crl = Node::of(0x30, vec![Node::of(0x30, vec![])]);
        fields.insert(4, Node::of(0xa1, vec![crl]));
    }
    expect(&der.encode(), "valid", "intact", "");
}

/// A certificate whose DSA key has no parameters (RFC 3279 §2.3.2), and its issuer.
#[test]
fn dsa_parameters_are_inherited_from_the_issuer_that_signed() {
    let path = pki().path();
    let run = |line: &str| openssl(path, line).expect(line);
    // An authority whose key has the parameters that Olga's key has, below the root.
    run("genpkey -paramfile dsa.params -out ca.key");
    std::fs::write(
        path.join("ca.ext"),
        "basicConstraints=critical,CA:true\nkeyUsage=keyCertSign\nsubjectKeyIdentifier=hash\n",
    )
    .unwrap();
    run("req -new -key ca.key -out ca.csr -subj /CN=Dsa-CA");
    run(
        "x509 -req -in ca.csr -CA root.pem -CAkey root.key -set_serial 77 -days 7300 -extfile ca.ext -out ca.pem",
    );
    run(
        "x509 -req -in dsa.csr -CA ca.pem -CAkey ca.key -set_serial 78 -days 7300 -extfile dsa.ext -out heir.pem",
    );
    let mut heir = Node::parse(&certificate(pki(), "heir"));
    if let Body::Children(fields) = &mut heir.at(&[0, 6, 0]).body {
        fields.truncate(1);
    }
    let signature = through(
        path,
        "dgst -sha256 -sign ca.key IN",
        &heir.child(0).encode(),
    );
    *heir.child(2).bytes() = [vec![0], signature].concat();
    let heir = heir.encode();
    let plan = Plan {
        sid: issuer_and_serial(&heir),
        algorithm: algorithm(oids::DSA_WITH_SHA256),
        sign: "dgst -sha256 -sign dsa.key IN".into(),
        ..plan()
    };
    let with = |certificates: &[Vec<u8>]| {
        let signer = plan.info(pki(), TEXT.as_bytes());
        signed_data(oids::DATA, TEXT.as_bytes(), certificates, vec![signer])
    };
    let ca = certificate(pki(), "ca");
    // OpenSSL finds no path for a key that it cannot read, so this is as good as it gets.
    let intact = |(message, signatures): (Row, Vec<Row>)| {
        assert_eq!(message.at("verdict"), "indeterminate", "{signatures:?}");
        assert_eq!(signatures[0].at("integrity"), "intact", "{signatures:?}");
        assert_eq!(signatures[0].at("key"), "dsa-2048");
        assert_eq!(
            signatures[0].at("reasons"),
            "weak-algorithm chain-untrusted"
        );
    };
    intact(judged(&opaque(&with(&[heir.clone(), ca]))));
    let alone = with(std::slice::from_ref(&heir));
    let (verdict, integrity, reasons) = found(&alone);
    assert_eq!((&*verdict, &*integrity), ("indeterminate", "unchecked"));
    assert!(reasons.contains("key-parameters-missing"), "{reasons}");
    intact(judged_with(&opaque(&alone), &["ca"]));
    // An authority of that name which did not issue it lends nothing.
    run(
        "genpkey -genparam -algorithm DSA -pkeyopt pbits:1024 -pkeyopt qbits:160 -out other.params",
    );
    run("genpkey -paramfile other.params -out other.key");
    run("req -x509 -new -key other.key -out other.pem -subj /CN=Dsa-CA -days 7300");
    let (_, integrity, reasons) = found(&with(&[heir, certificate(pki(), "other")]));
    assert_eq!(integrity, "unchecked", "{reasons}");
}
