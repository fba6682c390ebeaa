//! Enveloped objects, written in DER, and new recipients around an untouched ciphertext.

use std::borrow::Cow;

use super::ber::{Malformed, Tlv, tag};
use super::content::{Content, ContentInfo};
use super::der;
use super::enveloped::{AuthEnvelopedData, EnvelopedData};
use super::oid::{self, AlgorithmIdentifier, Oid};
use super::recipients::RecipientId;

/// A `ContentInfo` around a content that stands without one, as inside another object, whose
/// `eContentType` then says what it is (RFC 5652 §5.2).
pub fn content_info(content_type: Oid<'_>, content: &[u8]) -> Vec<u8> {
    let explicit = der::header(tag::constructed(0), content.len());
    der::sequence(&[&der::oid(content_type), &explicit, content])
}

/// An EnvelopedData `ContentInfo` around data (RFC 5652 §6). `recipients` are whole `RecipientInfos`,
/// `iv` is the cipher's only parameter.
pub fn enveloped_data(
    recipients: &[Vec<u8>],
    cipher: Oid<'_>,
    iv: &[u8],
    ciphertext: &[u8],
) -> Vec<u8> {
    let mut out = enveloped_head(recipients, cipher, iv, ciphertext.len());
    out.extend_from_slice(ciphertext);
    out
}

/// What [`enveloped_data`] has before a ciphertext of `len` bytes, which ends it.
pub fn enveloped_head(recipients: &[Vec<u8>], cipher: Oid<'_>, iv: &[u8], len: usize) -> Vec<u8> {
    let algorithm = der::algorithm(cipher, Some(&der::octet_string(iv)));
    let inside = [
        der::integer(enveloped_version(recipients, false)),
        der::set_of(tag::SET, recipients),
        encrypted_content_head(&algorithm, len),
    ]
    .concat();
    let mut out = wrapping_head(oid::ENVELOPED_DATA, inside.len() + len);
    out.reserve_exact(inside.len() + len.min(MOST_RESERVED));
    out.extend_from_slice(&inside);
    out
}

/// Room that is made at once for a ciphertext that follows.
const MOST_RESERVED: usize = 256 << 20;

/// An AuthEnvelopedData `ContentInfo` around data, without attributes (RFC 5083 §2.1, RFC 5084 §3).
/// `recipients` are whole `RecipientInfos`; the length of the tag is said unless it is the default, 12.
pub fn auth_enveloped_data(
    recipients: &[Vec<u8>],
    cipher: Oid<'_>,
    nonce: &[u8],
    mac: &[u8],
    ciphertext: &[u8],
) -> Vec<u8> {
    let (mut out, tail) = auth_enveloped_around(recipients, cipher, nonce, mac, ciphertext.len());
    out.extend_from_slice(ciphertext);
    out.extend_from_slice(&tail);
    out
}

/// What [`auth_enveloped_data`] has before and behind a ciphertext of `len` bytes.
pub fn auth_enveloped_around(
    recipients: &[Vec<u8>],
    cipher: Oid<'_>,
    nonce: &[u8],
    mac: &[u8],
    len: usize,
) -> (Vec<u8>, Vec<u8>) {
    let icv_len = if mac.len() == 12 {
        Vec::new()
    } else {
        der::integer(mac.len() as u64)
    };
    let parameters = der::sequence(&[&der::octet_string(nonce), &icv_len]);
    let inside = [
        der::integer(0),
        der::set_of(tag::SET, recipients),
        encrypted_content_head(&der::algorithm(cipher, Some(&parameters)), len),
    ]
    .concat();
    let tail = der::octet_string(mac);
    let mut out = wrapping_head(oid::AUTH_ENVELOPED_DATA, inside.len() + len + tail.len());
    out.reserve_exact(inside.len() + len.min(MOST_RESERVED) + tail.len());
    out.extend_from_slice(&inside);
    (out, tail)
}

/// Everything of an `EncryptedContentInfo` but the ciphertext, which follows.
fn encrypted_content_head(algorithm: &[u8], ciphertext_len: usize) -> Vec<u8> {
    let content_type = der::oid(oid::DATA);
    let content = der::header(tag::primitive(0), ciphertext_len);
    let inside = [&content_type, algorithm, &content].concat();
    [
        der::header(tag::SEQUENCE, inside.len() + ciphertext_len),
        inside,
    ]
    .concat()
}

/// The headers of `ContentInfo`, `[0]` and SEQUENCE around a body of `len` bytes.
fn wrapping_head(content_type: Oid<'_>, len: usize) -> Vec<u8> {
    let sequence = der::header(tag::SEQUENCE, len);
    let explicit = der::header(tag::constructed(0), sequence.len() + len);
    let content_type = der::oid(content_type);
    let outer = der::header(
        tag::SEQUENCE,
        content_type.len() + explicit.len() + sequence.len() + len,
    );
    [outer, content_type, explicit, sequence].concat()
}

/// The version of an EnvelopedData without `OriginatorInfo` (RFC 5652 §6.1).
fn enveloped_version(recipients: &[Vec<u8>], has_unprotected_attributes: bool) -> u64 {
    const PWRI: u8 = tag::constructed(3);
    const ORI: u8 = tag::constructed(4);
    if recipients
        .iter()
        .any(|recipient| matches!(recipient.first(), Some(&(PWRI | ORI))))
    {
        return 3;
    }
    let all_are_version_0 = recipients.iter().all(|recipient| {
        let version = Tlv::only(recipient).and_then(|tlv| tlv.reader().version(""));
        recipient.first() == Some(&tag::SEQUENCE) && version == Ok(0)
    });
    if all_are_version_0 && !has_unprotected_attributes {
        0
    } else {
        2
    }
}

/// The same encrypted content for other recipients: `recipients`, whole `RecipientInfos`, replace the
/// old ones, and `OriginatorInfo`, which belonged to those, goes. Everything behind stays byte for byte
/// and is borrowed. The object is the pieces one after the other; `None` where `original` is neither
/// EnvelopedData nor AuthEnvelopedData.
pub fn with_recipients<'a>(
    original: &ContentInfo<'a>,
    recipients: &[Vec<u8>],
) -> Option<Vec<Cow<'a, [u8]>>> {
    match &original.content {
        Content::Enveloped(enveloped) => Some(enveloped.with_recipients(recipients)),
        Content::AuthEnveloped(enveloped) => Some(enveloped.with_recipients(recipients)),
        _ => None,
    }
}

/// The first of these pieces alone, where `tail` is the number of bytes behind it.
pub fn head_for_recipients(
    original: &ContentInfo<'_>,
    recipients: &[Vec<u8>],
    tail: usize,
) -> Option<Vec<u8>> {
    match &original.content {
        Content::Enveloped(enveloped) => Some(enveloped.head_for(recipients, tail)),
        Content::AuthEnveloped(enveloped) => Some(enveloped.head_for(recipients, tail)),
        _ => None,
    }
}

impl<'a> EnvelopedData<'a> {
    /// See [`with_recipients`].
    pub fn with_recipients(&self, recipients: &[Vec<u8>]) -> Vec<Cow<'a, [u8]>> {
        let head = self.head_for(recipients, self.tail.len());
        vec![Cow::Owned(head), Cow::Borrowed(self.tail)]
    }

    /// The version is that of RFC 5652 §6.1.
    fn head_for(&self, recipients: &[Vec<u8>], tail: usize) -> Vec<u8> {
        let version = enveloped_version(recipients, self.unprotected_attributes.is_some());
        new_head(oid::ENVELOPED_DATA, version, recipients, tail)
    }
}

impl<'a> AuthEnvelopedData<'a> {
    /// See [`with_recipients`].
    pub fn with_recipients(&self, recipients: &[Vec<u8>]) -> Vec<Cow<'a, [u8]>> {
        let head = self.head_for(recipients, self.tail.len());
        vec![Cow::Owned(head), Cow::Borrowed(self.tail)]
    }

    /// The version is 0 (RFC 5083 §2.1).
    #[expect(clippy::unused_self, reason = "the twin of EnvelopedData's")]
    fn head_for(&self, recipients: &[Vec<u8>], tail: usize) -> Vec<u8> {
        new_head(oid::AUTH_ENVELOPED_DATA, 0, recipients, tail)
    }
}

/// A head with definite lengths in front of a tail of so many bytes, whose elements close themselves,
/// in whatever form they came.
fn new_head(content_type: Oid<'_>, version: u64, recipients: &[Vec<u8>], tail: usize) -> Vec<u8> {
    let inside = [der::integer(version), der::set_of(tag::SET, recipients)].concat();
    [wrapping_head(content_type, inside.len() + tail), inside].concat()
}

/// IssuerAndSerialNumber (RFC 5652 §10.2.4).
fn issuer_serial(issuer: &[u8], serial: &[u8]) -> Vec<u8> {
    der::sequence(&[issuer, &der::element(tag::INTEGER, &[serial])])
}

/// `KeyTransRecipientInfo` (RFC 5652 §6.2.1); `algorithm` is a whole `AlgorithmIdentifier`.
pub fn ktri(rid: &RecipientId<'_>, algorithm: &[u8], encrypted_key: &[u8]) -> Vec<u8> {
    let (version, rid) = match rid {
        RecipientId::IssuerSerial { issuer, serial } => (0, issuer_serial(issuer, serial)),
        RecipientId::Ski(ski) => (2, der::element(tag::primitive(0), &[ski])),
    };
    der::sequence(&[
        &der::integer(version),
        &rid,
        algorithm,
        &der::octet_string(encrypted_key),
    ])
}

/// `KeyAgreeRecipientInfo` for one recipient, with a key made for this message (RFC 5652 §6.2.2,
/// RFC 5753 §3.1). `originator_spki` is that key as a `SubjectPublicKeyInfo`, `algorithm` a whole
/// `AlgorithmIdentifier` that names key derivation and wrap.
///
/// # Errors
/// `Malformed` where `originator_spki` is no SEQUENCE.
pub fn kari(
    originator_spki: &[u8],
    ukm: Option<&[u8]>,
    algorithm: &[u8],
    rid: &RecipientId<'_>,
    encrypted_key: &[u8],
) -> Result<Vec<u8>, Malformed> {
    let spki = Tlv::only(originator_spki)?;
    if spki.tag != tag::SEQUENCE {
        return Err(Malformed("originator's public key is no sequence"));
    }
    let originator = der::element(
        tag::constructed(0),
        &[&der::element(tag::constructed(1), &[spki.body])],
    );
    let ukm = ukm
        .map(|ukm| der::element(tag::constructed(1), &[&der::octet_string(ukm)]))
        .unwrap_or_default();
    let rid = match rid {
        RecipientId::IssuerSerial { issuer, serial } => issuer_serial(issuer, serial),
        RecipientId::Ski(ski) => der::element(tag::constructed(0), &[&der::octet_string(ski)]),
    };
    let recipients = der::sequence(&[&der::sequence(&[&rid, &der::octet_string(encrypted_key)])]);
    Ok(der::element(
        tag::constructed(1),
        &[&der::integer(3), &originator, &ukm, algorithm, &recipients],
    ))
}

/// `AlgorithmIdentifier` of RSA with PKCS #1 v1.5 padding (RFC 3370 §4.2.1).
pub fn algorithm_rsa_pkcs1() -> Vec<u8> {
    der::algorithm(oid::RSA_ENCRYPTION, Some(&[tag::NULL, 0]))
}

/// `AlgorithmIdentifier` of RSAES-OAEP with these hashes and no label (RFC 4055 §4.1). What is the
/// default, SHA-1, is left out, as DER has it.
pub fn algorithm_oaep(digest: Oid<'_>, mgf1: Oid<'_>) -> Vec<u8> {
    let hash = |oid| der::algorithm(oid, Some(&[tag::NULL, 0]));
    let digest = if digest == oid::SHA1 {
        Vec::new()
    } else {
        der::element(tag::constructed(0), &[&hash(digest)])
    };
    let mgf1 = if mgf1 == oid::SHA1 {
        Vec::new()
    } else {
        let mgf1 = der::algorithm(oid::MGF1, Some(&hash(mgf1)));
        der::element(tag::constructed(1), &[&mgf1])
    };
    der::algorithm(oid::RSAES_OAEP, Some(&der::sequence(&[&digest, &mgf1])))
}

/// An `AlgorithmIdentifier` as it came, written again.
pub fn algorithm(algorithm: &AlgorithmIdentifier<'_>) -> Vec<u8> {
    der::algorithm(algorithm.oid, algorithm.parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::ber::Reader;
    use crate::cms::content::parse;
    use crate::cms::peer::{has_openssl, openssl};
    use crate::cms::recipients::{Originator, RecipientInfo};
    use crate::text::hex;

    /// Someone with an RSA key, in PEM files.
    struct Person {
        _folder: tempfile::TempDir,
        key: String,
        certificate: String,
        der: Vec<u8>,
    }

    impl Person {
        fn new(name: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = |file: &str| folder.path().join(file).display().to_string();
            let (key, certificate) = (file("key.pem"), file("certificate.pem"));
            let subject = format!("/CN={name}");
            let request = [
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-subj",
            ];
            let rest = [&subject, "-keyout", &key, "-out", &certificate];
            openssl(&[&request[..], &rest].concat(), &[]).unwrap();
            let der = openssl(&["x509", "-in", &certificate, "-outform", "DER"], &[]).unwrap();
            Self {
                _folder: folder,
                key,
                certificate,
                der,
            }
        }

        fn id(&self) -> RecipientId<'_> {
            let mut tbs = Tlv::only(&self.der)
                .unwrap()
                .reader()
                .read()
                .unwrap()
                .reader();
            tbs.require(0xa0, "version").unwrap();
            let serial = tbs.read().unwrap().body;
            tbs.read().unwrap();
            RecipientId::IssuerSerial {
                issuer: tbs.read().unwrap().raw,
                serial,
            }
        }

        fn wrap(&self, cek: &[u8], options: &[&str]) -> Vec<u8> {
            let command = [
                "pkeyutl",
                "-encrypt",
                "-certin",
                "-inkey",
                &self.certificate,
            ];
            openssl(&[&command[..], options].concat(), cek).unwrap()
        }

        fn unwrap(&self, encrypted_key: &[u8]) -> Vec<u8> {
            openssl(&["pkeyutl", "-decrypt", "-inkey", &self.key], encrypted_key).unwrap()
        }

        fn decrypt(&self, object: &[u8]) -> Option<Vec<u8>> {
            let command = [
                "cms", "-decrypt", "-binary", "-inform", "DER", "-inkey", &self.key,
            ];
            openssl(
                &[&command[..], &["-recip", &self.certificate]].concat(),
                object,
            )
        }
    }

    const OAEP_SHA256: [&str; 6] = [
        "-pkeyopt",
        "rsa_padding_mode:oaep",
        "-pkeyopt",
        "rsa_oaep_md:sha256",
        "-pkeyopt",
        "rsa_mgf1_md:sha256",
    ];

    #[test]
    fn openssl_decrypts_what_is_written() {
        if !has_openssl() {
            return;
        }
        let (cek, iv, text) = (
            [0x17; 32],
            [0x42; 16],
            b"What is written is read.".repeat(100),
        );
        let person = Person::new("reader");
        let cipher = ["enc", "-aes-256-cbc", "-K", &hex(&cek), "-iv", &hex(&iv)];
        let ciphertext = openssl(&cipher, &text).unwrap();
        for (algorithm, options) in [
            (algorithm_rsa_pkcs1(), &[][..]),
            (algorithm_oaep(oid::SHA256, oid::SHA256), &OAEP_SHA256[..]),
        ] {
            let recipient = ktri(&person.id(), &algorithm, &person.wrap(&cek, options));
            let object = enveloped_data(&[recipient], oid::AES256_CBC, &iv, &ciphertext);
            assert_eq!(person.decrypt(&object), Some(text.clone()));
            let Content::Enveloped(parsed) = parse(&object).unwrap().content else {
                panic!()
            };
            assert_eq!(parsed.version, 0);
        }
    }

    #[test]
    fn new_recipients_read_what_old_ones_could() {
        if !has_openssl() {
            return;
        }
        let (old, new) = (Person::new("old"), Person::new("new"));
        let text = b"The same content, byte for byte.\n".repeat(3000);
        for cipher in ["-aes128", "-des3", "-aes-256-gcm"] {
            for form in [&["-stream"][..], &[]] {
                let command = ["cms", "-encrypt", "-binary", "-outform", "DER", cipher];
                let object =
                    openssl(&[&command[..], form, &[&old.certificate]].concat(), &text).unwrap();
                let parsed = parse(&object).unwrap();
                let recipients = match &parsed.content {
                    Content::Enveloped(enveloped) => &enveloped.recipients,
                    Content::AuthEnveloped(enveloped) => &enveloped.recipients,
                    _ => panic!(),
                };
                let [
                    RecipientInfo::Ktri {
                        encrypted_key, rid, ..
                    },
                ] = &recipients[..]
                else {
                    panic!()
                };
                assert_eq!(*rid, old.id());
                let cek = old.unwrap(encrypted_key);
                let recipient = ktri(&new.id(), &algorithm_rsa_pkcs1(), &new.wrap(&cek, &[]));
                let written = with_recipients(&parsed, &[recipient]).unwrap().concat();
                assert_eq!(
                    new.decrypt(&written).as_ref(),
                    Some(&text),
                    "{cipher} {form:?}"
                );
                assert_eq!(old.decrypt(&written), None);
                let head = parse(&written).unwrap();
                let tail = |content: &Content<'_>| match content {
                    Content::Enveloped(enveloped) => enveloped.tail.to_vec(),
                    Content::AuthEnveloped(enveloped) => enveloped.tail.to_vec(),
                    _ => panic!(),
                };
                assert_eq!(tail(&head.content), tail(&parsed.content));
            }
        }
    }

    #[test]
    fn openssl_prints_key_agreements_and_authenticated_content() {
        if !has_openssl() {
            return;
        }
        let spki = {
            let curve = [
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ];
            let key = openssl(&[&curve[..], &["-outform", "DER"]].concat(), &[]).unwrap();
            openssl(
                &["pkey", "-inform", "DER", "-pubout", "-outform", "DER"],
                &key,
            )
            .unwrap()
        };
        let issuer = der::sequence(&[]);
        let by_serial = RecipientId::IssuerSerial {
            issuer: &issuer,
            serial: &[0x12, 0x34],
        };
        let by_ski = RecipientId::Ski((&[0xab; 20][..]).into());
        let wrap = der::algorithm(oid::AES256_WRAP, None);
        let algorithm = der::algorithm(oid::ECDH_STD_SHA256_KDF, Some(&wrap));
        let recipients = [
            kari(&spki, None, &algorithm, &by_serial, &[1; 40]).unwrap(),
            kari(&spki, Some(b"ukm"), &algorithm, &by_ski, &[2; 40]).unwrap(),
            ktri(
                &by_ski,
                &algorithm_oaep(oid::SHA256, oid::SHA256),
                &[3; 256],
            ),
        ];
        let object = auth_enveloped_data(
            &recipients,
            oid::AES256_GCM,
            &[5; 12],
            &[6; 16],
            b"ciphertext",
        );
        let printed = openssl(
            &["cms", "-cmsout", "-noout", "-print", "-inform", "DER"],
            &object,
        )
        .unwrap();
        let printed = String::from_utf8(printed).unwrap();
        for words in [
            "id-aes256-wrap",
            "dhSinglePass-stdDH-sha256kdf-scheme",
            "aes-256-gcm",
            "rsaesOaep",
            "75 6b 6d",
        ] {
            assert!(printed.contains(words), "{words}");
        }
        let mut agreements = 0;
        let Content::AuthEnveloped(parsed) = parse(&object).unwrap().content else {
            panic!()
        };
        assert_eq!(
            (parsed.version, &*parsed.mac, parsed.recipients.len()),
            (0, &[6; 16][..], 3)
        );
        for recipient in &parsed.recipients {
            match recipient {
                RecipientInfo::Kari {
                    originator,
                    ukm,
                    recipients,
                    ..
                } => {
                    let Originator::PublicKey { bits, .. } = originator else {
                        panic!()
                    };
                    assert_eq!((bits.len(), bits[0]), (65, 4));
                    let expected = if ukm.is_some() { &by_ski } else { &by_serial };
                    assert_eq!(recipients[0].0, *expected);
                    agreements += 1;
                }
                RecipientInfo::Ktri { version, rid, .. } => {
                    assert_eq!((*version, rid), (2, &by_ski));
                }
                _ => panic!(),
            }
        }
        assert_eq!(agreements, 2);
        assert!(kari(&[5, 0], None, &algorithm, &by_ski, &[]).is_err());
    }

    #[test]
    fn versions_follow_the_recipients() {
        let by_serial = RecipientId::IssuerSerial {
            issuer: &[0x30, 0],
            serial: &[1],
        };
        let by_ski = RecipientId::Ski((&[1][..]).into());
        let old = ktri(&by_serial, &algorithm_rsa_pkcs1(), &[]);
        let ski = ktri(&by_ski, &algorithm_rsa_pkcs1(), &[]);
        let password = der::element(0xa3, &[&[2, 1, 0]]);
        assert_eq!(enveloped_version(&[], false), 0);
        assert_eq!(enveloped_version(std::slice::from_ref(&old), false), 0);
        assert_eq!(enveloped_version(std::slice::from_ref(&old), true), 2);
        assert_eq!(enveloped_version(&[old.clone(), ski], false), 2);
        assert_eq!(enveloped_version(&[old, password], false), 3);
    }

    #[test]
    fn originator_information_goes_and_everything_behind_recipients_stays() {
        let encrypted = [der::oid(oid::DATA), der::algorithm(oid::AES128_CBC, None)].concat();
        let encrypted = [
            &[0x30, 0x80][..],
            &encrypted,
            &[0xa0, 0x80, 4, 1, 7, 0x24, 3, 4, 1, 8, 0, 0, 0, 0],
        ]
        .concat();
        let attributes = [0xa1, 0x80, 0, 0];
        let body = [
            &[2, 1, 4, 0xa0, 2, 0xa0, 0, 0x31, 0x80, 0, 0][..],
            &encrypted,
            &attributes,
        ]
        .concat();
        let object = [
            &[0x30, 0x80][..],
            &der::oid(oid::ENVELOPED_DATA),
            &[0xa0, 0x80, 0x30, 0x80],
            &body,
            &[0; 6],
        ];
        let object = object.concat();
        let parsed = parse(&object).unwrap();
        let pieces = with_recipients(&parsed, &[]).unwrap();
        assert_eq!(*pieces[1], [encrypted, attributes.to_vec()].concat());
        assert!(matches!(pieces[1], Cow::Borrowed(_)));
        let written = pieces.concat();
        let Content::Enveloped(again) = parse(&written).unwrap().content else {
            panic!()
        };
        assert_eq!(
            (again.version, &*again.ciphertext.unwrap().cow()),
            (2, &[7, 8][..])
        );
        let inside = Reader::new(&pieces[0]).peek();
        assert_eq!(inside, Some(tag::SEQUENCE));
    }
}
