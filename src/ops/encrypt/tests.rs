//! What is encrypted comes back, and no key is used twice; who is left out is named.

use std::collections::HashSet;
use std::sync::Arc;

use super::*;
use crate::cert::testing::{MID_2021, Pki, Spec};
use crate::cms::{self, Content, Originator, RecipientInfo, parameters};
use crate::crypto::ec::KeyAgreement;
use crate::keys::{KeyRing, Passphrases};
use crate::ops::{self, Task};

fn pki() -> (Pki, Arc<Certificate>) {
    let pki = Pki::new();
    pki.issue(&Spec::root("ca"));
    let ann = pki.issue(&Spec::leaf("ann", "ca"));
    (pki, ann)
}

fn keyring(pki: &Pki, names: &[&str]) -> KeyRing {
    let files: Vec<_> = names
        .iter()
        .flat_map(|name| ["key", "pem"].map(|suffix| pki.path(&format!("{name}.{suffix}"))))
        .collect();
    KeyRing::load(&files, &mut Passphrases::default()).unwrap()
}

fn context(task: Task, keyring: KeyRing, recipients: Vec<Recipient>) -> Context {
    let mut context = Context::new(task, keyring, MID_2021);
    context.plan.recipients = recipients;
    context
}

/// Numbers that are the same in every run (Knuth's generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn body(&mut self) -> Vec<u8> {
        const TOKENS: [&[u8]; 16] = [
            b"\n",
            b"\r\n",
            b"\n",
            b"\r",
            b"\0",
            b"From the start\n",
            b">From it\r\n",
            b"\xc3\xa9\xe2\x82\xac",
            b"\xff\xfe",
            b"--b\r\n",
            b".\n",
            b"=20=\n",
            b"Content-Type: image/png\n\n",
            b"a line of ordinary text\n",
            b"    \t \n",
            b"word ",
        ];
        let count = self.below(24);
        (0..count)
            .flat_map(|_| TOKENS[self.below(TOKENS.len())])
            .copied()
            .collect()
    }
}

#[test]
fn ten_thousand_bodies_come_back_byte_for_byte() {
    let (pki, ann) = pki();
    let encrypting = |cipher| {
        let task = Task::Encrypt(Encrypting {
            cipher: Some(cipher),
            ..Encrypting::default()
        });
        context(task, KeyRing::default(), vec![Arc::clone(&ann).into()])
    };
    let ciphers = [ContentCipher::Aes256Gcm, ContentCipher::Aes256Cbc].map(encrypting);
    let decrypting = context(
        Task::Mill(Opening::Decrypt),
        keyring(&pki, &["ann"]),
        Vec::new(),
    );
    let mut numbers = Numbers(1);
    for round in 0..10_000 {
        let body = numbers.body();
        let ending = ["\n", "\r\n"][numbers.below(2)];
        let (binary, fields) = [
            (false, ""),
            (false, "Content-Type: text/plain; charset=utf-8"),
            (false, "Content-Transfer-Encoding: 8bit"),
            (true, "Content-Transfer-Encoding: binary"),
        ][numbers.below(4)];
        let mut message = format!("From: bob@example.com{ending}To: ann@example.com{ending}");
        message += "Subject: 1";
        message += ending;
        if !fields.is_empty() {
            message += fields;
            message += ending;
        }
        message += ending;
        let message = [message.into_bytes(), body.clone()].concat();

        let sealed = ops::process(&ciphers[round % 2], &Input::of(&message));
        assert_eq!(sealed.findings.messages[0].action, Action::Encrypted);
        let written = rewrite::apply(&message, &sealed.edits.unwrap());
        let opened = ops::process(&decrypting, &Input::of(&written));
        assert_eq!(
            opened.findings.messages[0].action,
            Action::Decrypted,
            "{round}: {:?}",
            String::from_utf8_lossy(&message)
        );
        let back = rewrite::apply(&written, &opened.edits.unwrap());
        let found = &back[Headers::parse(&back).body_start()..];
        if binary {
            assert_eq!(found, body, "{round}");
        } else {
            assert_eq!(
                transfer::to_crlf(found),
                transfer::to_crlf(&body),
                "{round}"
            );
        }
    }
}

/// The content-encryption key of an object that is encrypted to one EC key, its nonce, and how long
/// its tag is.
fn secrets(object: &[u8], keyring: &KeyRing) -> (Vec<u8>, Vec<u8>, usize) {
    let info = cms::parse(object).unwrap();
    let Content::AuthEnveloped(data) = &info.content else {
        panic!("{:?}", info.content)
    };
    assert_eq!(data.content_encryption.oid, cms::oid::AES256_GCM);
    let (nonce, tag) = parameters::gcm_parameters(&data.content_encryption).unwrap();
    let [
        RecipientInfo::Kari {
            originator: Originator::PublicKey { bits, .. },
            ukm,
            algorithm,
            recipients,
        },
    ] = &data.recipients[..]
    else {
        panic!("{:?}", data.recipients)
    };
    let agreement = KeyAgreement::from_algorithm(algorithm).unwrap();
    let key = &keyring.keys()[0].key;
    let cek = agreement
        .unwrap(key, bits, ukm.as_deref(), &recipients[0].1)
        .unwrap();
    assert_eq!((cek.len(), data.mac.len()), (32, tag));
    (cek.to_vec(), nonce.to_vec(), tag)
}

/// `P7MILL_MANY=1000000` makes it a million.
#[test]
fn no_key_and_nonce_are_used_twice() {
    let rounds = std::env::var("P7MILL_MANY")
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(5_000);
    let (pki, ann) = pki();
    let keyring = keyring(&pki, &["ann"]);
    let recipients = [Recipient::from(ann)];
    let mut keys = HashSet::new();
    let mut nonces = HashSet::new();
    for _ in 0..rounds {
        let object = seal::seal(b"the same text", &recipients, ContentCipher::Aes256Gcm).unwrap();
        let (cek, nonce, tag) = secrets(&object, &keyring);
        assert_eq!((nonce.len(), tag), (12, 16));
        let short: [u8; 16] = crate::crypto::digest::sha256(&cek)[..16]
            .try_into()
            .unwrap();
        // Stronger than asked: no key twice under any nonce, and no nonce twice under any key.
        assert!(keys.insert(short), "a key twice");
        assert!(nonces.insert(nonce), "a nonce twice");
    }
}

fn addressed(fields: &str) -> Vec<u8> {
    format!("From: ann@example.com\n{fields}Subject: plans\n\nThe text.\n").into_bytes()
}

fn to_recipients(directory: Directory) -> Context {
    let task = Task::Encrypt(Encrypting {
        to_recipients: true,
        directory,
        ..Encrypting::default()
    });
    context(task, KeyRing::default(), Vec::new())
}

#[test]
fn whoever_is_not_known_is_named_and_nothing_is_written() {
    let (_pki, ann) = pki();
    let mut directory = Directory::default();
    directory.add("ann@example.com", ann.into());
    directory.refuse(
        "old@example.com",
        [Reason::Borrowed("cert-expired")],
        MID_2021,
    );
    let context = to_recipients(directory);
    for (fields, reason, concerns) in [
        (
            "To: ann@example.com, Bob <bob@example.com>\nBcc: eve@example.com\n",
            "recipient-unknown",
            &["bob@example.com", "eve@example.com"][..],
        ),
        (
            "Cc: OLD@example.com\n",
            "recipient-unusable",
            &["OLD@example.com (cert-expired 2021-01-01)"],
        ),
        ("", "no-addressees", &[]),
        ("To: undisclosed-recipients:;\n", "no-addressees", &[]),
        ("To: ann@example.com, bob\n", "recipient-unreadable", &[]),
    ] {
        let outcome = ops::process(&context, &Input::of(&addressed(fields)));
        let root = &outcome.findings.messages[0];
        assert_eq!(
            (root.action, root.reason.as_deref()),
            (Action::Refused, Some(reason)),
            "{fields}"
        );
        assert_eq!(root.concerns, concerns, "{fields}");
        assert!(outcome.edits.is_none() && outcome.copies.is_empty());
    }
    let known = ops::process(&context, &Input::of(&addressed("To: Ann@Example.com\n")));
    assert_eq!(known.findings.messages[0].action, Action::Encrypted);
}

#[test]
fn a_blind_recipient_is_in_no_other_message() {
    let (pki, ann) = pki();
    let bob = pki.issue(&Spec::leaf("bob", "ca"));
    let eve = pki.issue(&Spec::leaf("eve", "ca"));
    let mut directory = Directory::default();
    for (name, certificate) in [("ann", &ann), ("bob", &bob), ("eve", &eve)] {
        directory.add(
            &format!("{name}@example.com"),
            Arc::clone(certificate).into(),
        );
    }
    let context = to_recipients(directory);
    let message = addressed("To: ann@example.com\nBcc: Bob <bob@example.com>,\n eve@example.com\n");
    let outcome = ops::process(&context, &Input::of(&message));
    let written: Vec<_> = outcome
        .edits
        .iter()
        .chain(&outcome.copies)
        .map(|edits| rewrite::apply(&message, edits))
        .collect();
    assert_eq!(written.len(), 3);
    let readers = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let body = &bytes[Headers::parse(bytes).body_start()..];
        let der = transfer::decode(Encoding::Base64, body).unwrap();
        let info = cms::parse(&der.bytes).unwrap();
        let (Content::Enveloped(cms::EnvelopedData { recipients, .. })
        | Content::AuthEnveloped(cms::AuthEnvelopedData { recipients, .. })) = &info.content
        else {
            panic!("{:?}", info.content)
        };
        let ids = recipients.iter().flat_map(crate::smime::open::ids);
        ids.map(|id| match id {
            cms::RecipientId::IssuerSerial { serial, .. } => serial.to_vec(),
            cms::RecipientId::Ski(ski) => ski.to_vec(),
        })
        .collect()
    };
    for (bytes, certificate, bcc) in [
        (&written[0], &ann, &[][..]),
        (&written[1], &bob, &["bob@example.com"]),
        (&written[2], &eve, &["eve@example.com"]),
    ] {
        assert_eq!(readers(bytes), std::slice::from_ref(&certificate.serial));
        let headers = Headers::parse(bytes);
        assert_eq!(headers.addresses("Bcc"), bcc);
        assert_eq!(headers.count("Bcc"), bcc.len());
        assert_eq!(headers.addresses("To"), ["ann@example.com"]);
        assert_eq!(headers.text("Subject"), "plans");
    }
}

#[test]
fn the_cipher_is_what_every_recipient_says_it_reads() {
    let (pki, ann) = pki();
    let bob = pki.issue(&Spec::leaf("bob", "ca"));
    let list =
        crate::cms::der::sequence(&[&crate::cms::der::algorithm(cms::oid::AES256_GCM, None)]);
    let says = || Recipient::new(Arc::clone(&ann), cms::Capabilities::parse(&list));
    let silent = || Recipient::from(Arc::clone(&bob));
    assert_eq!(seal::common_cipher(&[says()]), ContentCipher::Aes256Gcm);
    for recipients in [vec![], vec![silent()], vec![says(), silent()]] {
        assert_eq!(seal::common_cipher(&recipients), ContentCipher::Aes256Cbc);
    }
}

#[test]
fn what_is_encrypted_stays_as_it_is() {
    let (_pki, ann) = pki();
    let task = Task::Encrypt(Encrypting::default());
    let context = context(task, KeyRing::default(), vec![ann.into()]);
    let message = addressed("To: ann@example.com\n");
    let first = ops::process(&context, &Input::of(&message));
    let written = rewrite::apply(&message, &first.edits.unwrap());
    let again = ops::process(&context, &Input::of(&written));
    assert_eq!(again.findings.messages[0].action, Action::Kept);
    assert!(again.edits.is_none());
}
