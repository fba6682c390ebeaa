//! The primitives against other programs: the OpenSSL command line, and mail in
//! `../shared/corpora` (said, and skipped, where it is absent).

mod signatures;

use std::path::{Path, PathBuf};
use std::process::Command;

use openssl::pkey::{PKey, Private, Public};
use openssl::x509::X509;

use super::cipher::{self, ContentCipher};
use super::digest::{Digest, hash};
use super::ec::KeyAgreement;
use super::rsa::{self, OaepParameters};
use super::signature::{self, Held, Signed};
use super::{CipherProblem, ec, random};
use crate::cms::ber::Tlv;
use crate::cms::{self, Content, Originator, RecipientId, RecipientInfo, build, oid};

const TEXT: &[u8] = b"Content-Type: text/plain\r\n\r\nattack at dawn\r\n";

struct Peer(tempfile::TempDir);

impl Peer {
    fn new() -> Self {
        let peer = Self(tempfile::tempdir().unwrap());
        std::fs::File::create_new(peer.path("text")).unwrap();
        fs_write(&peer.path("text"), TEXT);
        peer
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &str) -> std::process::Output {
        Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    fn run(&self, arguments: &str) {
        let output = self.openssl(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {said}");
    }

    /// A key made by `openssl genpkey` with `options`, and a certificate for it.
    fn identity(&self, name: &str, options: &str) -> (PKey<Private>, X509) {
        self.run(&format!("genpkey {options} -out {name}.key"));
        self.run(&format!(
            "req -x509 -new -key {name}.key -subj /CN={name} -days 30 -out {name}.crt"
        ));
        let key = PKey::private_key_from_pem(&self.read(&format!("{name}.key"))).unwrap();
        (
            key,
            X509::from_pem(&self.read(&format!("{name}.crt"))).unwrap(),
        )
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }
}

fn fs_write(path: &Path, bytes: &[u8]) {
    crate::fsio::write_atomic(path, |out| out.write_all(bytes)).unwrap();
}

/// Opens the content with the first recipient that `key` opens.
fn decrypt(message: &[u8], key: &PKey<Private>) -> Option<Vec<u8>> {
    let info = cms::parse(message).unwrap();
    let (recipients, algorithm) = match &info.content {
        Content::Enveloped(e) => (&e.recipients, &e.content_encryption),
        Content::AuthEnveloped(e) => (&e.recipients, &e.content_encryption),
        other => panic!("{other:?}"),
    };
    let (cipher, parameters) = ContentCipher::from_algorithm(algorithm).unwrap();
    let mut secrets = Vec::new();
    for recipient in recipients {
        match recipient {
            RecipientInfo::Ktri {
                algorithm,
                encrypted_key,
                ..
            } if key.rsa().is_ok() => {
                if algorithm.oid == oid::RSAES_OAEP {
                    let oaep = OaepParameters::from_algorithm(algorithm).unwrap();
                    secrets.extend(rsa::unwrap_oaep(key, &oaep, encrypted_key));
                } else {
                    secrets.push(rsa::unwrap_pkcs1_for(key, encrypted_key, cipher).unwrap());
                }
            }
            RecipientInfo::Kari {
                originator,
                ukm,
                algorithm,
                recipients,
            } => {
                let agreement = KeyAgreement::from_algorithm(algorithm).unwrap();
                let Originator::PublicKey { bits, .. } = originator else {
                    panic!("{originator:?}")
                };
                for (_, encrypted_key) in recipients {
                    secrets.extend(agreement.unwrap(key, bits, ukm.as_deref(), encrypted_key));
                }
            }
            _ => {}
        }
    }
    secrets.into_iter().find_map(|secret| match &info.content {
        Content::Enveloped(e) => {
            let chunks = e.ciphertext.unwrap().chunks();
            let out = cipher::decrypt_cbc(cipher, &secret, &parameters, chunks.clone()).ok()?;
            let head = cipher::prove_cbc(cipher, &secret, &parameters, chunks).unwrap();
            assert_eq!(*head, out[..out.len().min(512)]);
            Some(out.to_vec())
        }
        Content::AuthEnveloped(e) => {
            let aad = e.aad();
            let chunks = e.ciphertext.unwrap().chunks();
            let out = cipher::decrypt_aead(cipher, &secret, &parameters, &aad, chunks, &e.mac);
            out.ok().map(|out| out.to_vec())
        }
        _ => None,
    })
}

#[test]
fn what_openssl_encrypts_is_decrypted() {
    let peer = Peer::new();
    let (rsa, _) = peer.identity("rsa", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048");
    let mut keys = vec![("rsa", rsa)];
    for curve in ["P-256", "P-384", "P-521"] {
        let options = format!("-algorithm EC -pkeyopt ec_paramgen_curve:{curve}");
        keys.push((curve, peer.identity(curve, &options).0));
    }
    let mut cases = Vec::new();
    for cipher in [
        "aes128",
        "aes192",
        "aes256",
        "aes-128-gcm",
        "aes-256-gcm",
        "des3",
    ] {
        for (name, _) in &keys {
            cases.push((*name, format!("-{cipher} -recip {name}.crt")));
        }
    }
    for old in ["rc2-40-cbc", "rc2-64-cbc", "rc2-cbc", "des-cbc"] {
        let providers = "-provider legacy -provider default";
        cases.push(("rsa", format!("-{old} {providers} -recip rsa.crt")));
    }
    cases.push(("rsa", "-aes256 -stream -indef -recip rsa.crt".to_owned()));
    let oaep = "-aes256 -recip rsa.crt -keyopt rsa_padding_mode:oaep";
    for more in [
        "",
        " -keyopt rsa_oaep_md:sha256",
        " -keyopt rsa_oaep_md:sha384 -keyopt rsa_mgf1_md:sha512",
    ] {
        cases.push(("rsa", format!("{oaep}{more}")));
    }
    for md in ["sha1", "sha224", "sha384", "sha512"] {
        let options = format!("-aes192 -recip P-384.crt -keyopt ecdh_kdf_md:{md}");
        cases.push(("P-384", options));
    }
    for (name, options) in cases {
        peer.run(&format!(
            "cms -encrypt -binary -outform DER -in text -out message {options}"
        ));
        let (_, key) = keys.iter().find(|(other, _)| *other == name).unwrap();
        let message = peer.read("message");
        assert_eq!(
            decrypt(&message, key).as_deref(),
            Some(TEXT),
            "{name} {options}"
        );
        for (other, key) in keys.iter().filter(|(other, _)| *other != name) {
            assert_ne!(
                decrypt(&message, key).as_deref(),
                Some(TEXT),
                "{other} opens {options}"
            );
        }
    }
}

#[test]
fn openssl_decrypts_what_is_wrapped() {
    let peer = Peer::new();
    let mut cases = vec![(
        "rsa",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:2048".to_owned(),
    )];
    for curve in ["P-256", "P-384", "P-521"] {
        cases.push((
            curve,
            format!("-algorithm EC -pkeyopt ec_paramgen_curve:{curve}"),
        ));
    }
    for (name, options) in cases {
        let (key, certificate) = peer.identity(name, &options);
        let public = certificate.public_key().unwrap();
        let secret = random::secret(32).unwrap();
        let issuer = certificate.issuer_name().to_der().unwrap();
        let serial = certificate.serial_number().to_bn().unwrap().to_vec();
        let serial = if serial[0] & 0x80 != 0 {
            [&[0], &serial[..]].concat()
        } else {
            serial
        };
        let rid = RecipientId::IssuerSerial {
            issuer: &issuer,
            serial: &serial,
        };
        let infos = if name == "rsa" {
            let pkcs1 = rsa::wrap_pkcs1(&public, &secret).unwrap();
            let oaep = rsa::wrap_oaep(&public, &OaepParameters::SHA256, &secret).unwrap();
            assert!(!ec::can_wrap_for(&public));
            vec![
                build::ktri(&rid, &build::algorithm_rsa_pkcs1(), &pkcs1),
                build::ktri(
                    &rid,
                    &build::algorithm_oaep(oid::SHA256, oid::SHA256),
                    &oaep,
                ),
            ]
        } else {
            assert!(ec::can_wrap_for(&public));
            let w = ec::wrap(&public, &secret).unwrap();
            vec![
                build::kari(
                    &w.originator_spki,
                    None,
                    &w.algorithm,
                    &rid,
                    &w.encrypted_key,
                )
                .unwrap(),
            ]
        };
        for info in infos {
            let recipients = [info];
            let iv = random::array::<16>().unwrap();
            let cipher = ContentCipher::Aes256Cbc;
            let ciphertext = cipher::encrypt_cbc(cipher, &secret, &iv, TEXT).unwrap();
            let cbc = build::enveloped_data(&recipients, oid::AES256_CBC, &iv, &ciphertext);
            let nonce = random::array::<12>().unwrap();
            let cipher = ContentCipher::Aes256Gcm;
            let (ciphertext, tag) =
                cipher::encrypt_gcm(cipher, &secret, &nonce, &[], TEXT).unwrap();
            let gcm =
                build::auth_enveloped_data(&recipients, oid::AES256_GCM, &nonce, &tag, &ciphertext);
            for message in [cbc, gcm] {
                fs_write(&peer.path("message"), &message);
                peer.run(&format!(
                    "cms -decrypt -binary -inform DER -in message -inkey {name}.key -recip {name}.crt -out plain"
                ));
                assert_eq!(peer.read("plain"), TEXT, "{name}");
                assert_eq!(decrypt(&message, &key).as_deref(), Some(TEXT));
            }
        }
    }
}

#[test]
fn x25519_agrees_with_itself_in_both_derivations() {
    let key = PKey::generate_x25519().unwrap();
    let public = PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap();
    let w = ec::wrap(&public, &[7; 32]).unwrap();
    let spki = Tlv::only(&w.originator_spki).unwrap().body;
    let bits = &spki[spki.len() - 32..];
    let algorithm = cms::AlgorithmIdentifier::parse(&w.algorithm).unwrap();
    let found = ec::agree_and_unwrap(&key, bits, None, &algorithm, &w.encrypted_key).unwrap();
    assert_eq!(found.unwrap()[..], [7; 32]);
    let with_ukm = ec::agree_and_unwrap(&key, bits, Some(b"u"), &algorithm, &w.encrypted_key);
    assert_eq!(with_ukm, Ok(None), "the ukm is not hashed");
    assert_eq!(
        ec::agree_and_unwrap(&key, &[0; 32], None, &algorithm, &w.encrypted_key),
        Ok(None)
    );
}

#[test]
fn wrong_rsa_padding_gives_a_random_key_of_the_wanted_length() {
    let key = PKey::from_rsa(openssl::rsa::Rsa::generate(2048).unwrap()).unwrap();
    let public = PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap();
    let good = rsa::wrap_pkcs1(&public, &[5; 16]).unwrap();
    assert_eq!(rsa::unwrap_pkcs1(&key, &good, 16).unwrap()[..], [5; 16]);
    let mut seen = std::collections::HashSet::new();
    for bad in [&good[..], &[0; 256], &[1; 10], &[]] {
        for want in [24, 32] {
            let found = rsa::unwrap_pkcs1(&key, bad, want).unwrap();
            assert_eq!(found.len(), want);
            assert!(seen.insert(found.to_vec()), "a key twice");
        }
    }
    assert!(rsa::unwrap_oaep(&key, &OaepParameters::default(), &good).is_none());
}

#[test]
fn oversized_rsa_keys_are_refused_before_use() {
    let number = |bits: i32| {
        let mut n = openssl::bn::BigNum::new().unwrap();
        n.set_bit(bits - 1).unwrap();
        n.set_bit(0).unwrap();
        n
    };
    for (modulus, exponent, reasonable) in [(2048, 17, true), (8193, 17, false), (2048, 34, false)]
    {
        let rsa =
            openssl::rsa::Rsa::from_public_components(number(modulus), number(exponent)).unwrap();
        let key = PKey::from_rsa(rsa).unwrap();
        assert_eq!(rsa::is_reasonable(&key), reasonable);
        assert_eq!(rsa::wrap_pkcs1(&key, &[1; 16]).is_ok(), reasonable);
        let algorithm = cms::AlgorithmIdentifier {
            oid: oid::RSA_ENCRYPTION,
            parameters: None,
        };
        let verdict = signature::verify(
            &key,
            &algorithm,
            Digest::Sha256,
            Signed::Prehashed(&[0; 32]),
            &[1; 256],
        );
        assert_eq!(verdict.is_ok(), reasonable);
    }
}

fn corpora() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora");
    let found = path.is_dir().then_some(path);
    if found.is_none() {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "skipped: ../shared/corpora is not here");
    }
    found
}

fn p12_key(path: &Path, passphrase: &str) -> PKey<Private> {
    let p12 = openssl::pkcs12::Pkcs12::from_der(&std::fs::read(path).unwrap()).unwrap();
    p12.parse2(passphrase).unwrap().pkey.unwrap()
}

#[test]
fn nss_mail_with_oaep_and_ecdh_opens() {
    let Some(corpora) = corpora() else { return };
    let folder = corpora.join("nss/tests/smime/interop-openssl");
    let rsa = p12_key(&folder.join("Fran.p12"), "nss");
    let ec = p12_key(&folder.join("Fran-ec.p12"), "nss");
    let mut opened = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "env") {
            let raw = std::fs::read(&path).unwrap();
            let key = if path.to_string_lossy().contains("fran-ec") {
                &ec
            } else {
                &rsa
            };
            assert!(decrypt(&raw, key).is_some(), "{}", path.display());
            opened += 1;
        }
    }
    assert_eq!(opened, 17);
}

#[test]
fn triple_des_key_agreement_and_rc2_of_others_open() {
    let Some(corpora) = corpora() else { return };
    let key = PKey::private_key_from_pem(
        &std::fs::read(corpora.join("openssl/smime-certs/smec3.pem")).unwrap(),
    );
    let raw =
        std::fs::read(corpora.join("openssl/recipes/80-test_cms_data/ciphertext_from_1_1_1.cms"))
            .unwrap();
    let body = memchr::memmem::find(&raw, b"\n\n").unwrap();
    let message = base64_simd::forgiving_decode_to_vec(&raw[body..]).unwrap();
    assert!(decrypt(&message, &key.unwrap()).is_some());
    let key = std::fs::read(corpora.join("rfc4134-python-smime/BobPrivRSAEncrypt.pem")).unwrap();
    let key = PKey::private_key_from_pem(&key).unwrap();
    for name in ["5.1.bin", "5.2.bin"] {
        let message = std::fs::read(corpora.join("rfc4134-python-smime").join(name)).unwrap();
        let text = decrypt(&message, &key);
        assert_eq!(
            text.as_deref(),
            Some(&b"This is some sample content."[..]),
            "{name}"
        );
    }
}

#[test]
fn gcm_gives_nothing_unless_the_tag_holds_at_its_declared_length() {
    let cipher = ContentCipher::Aes256Gcm;
    let (key, nonce) = ([3; 32], [4; 12]);
    let (ciphertext, tag) = cipher::encrypt_gcm(cipher, &key, &nonce, b"aad", TEXT).unwrap();
    let parameters = |tag_len| cipher::ContentParameters {
        iv: nonce.to_vec(),
        tag_len,
    };
    let open = |tag_len, aad: &[u8], ciphertext: &[u8], tag: &[u8]| {
        let chunks = ciphertext.chunks(5);
        cipher::decrypt_aead(cipher, &key, &parameters(tag_len), aad, chunks, tag)
    };
    assert_eq!(open(16, b"aad", &ciphertext, &tag).unwrap()[..], *TEXT);
    assert_eq!(
        open(12, b"aad", &ciphertext, &tag[..12]).unwrap()[..],
        *TEXT
    );
    assert!(open(16, b"", &ciphertext, &tag).is_err());
    assert!(open(16, b"aad", &ciphertext, &tag[..12]).is_err());
    for short in 0..12 {
        assert!(open(short, b"aad", &ciphertext, &tag[..short]).is_err());
    }
    for i in 0..ciphertext.len() {
        let mut altered = ciphertext.clone();
        altered[i] ^= 1;
        assert!(open(16, b"aad", &altered, &tag).is_err());
    }
    for (icv_len, allowed) in [(1, false), (11, false), (12, true), (16, true), (17, false)] {
        let sequence =
            cms::der::sequence(&[&cms::der::octet_string(&nonce), &cms::der::integer(icv_len)]);
        let algorithm = cms::AlgorithmIdentifier {
            oid: oid::AES256_GCM,
            parameters: Some(&sequence),
        };
        let found = ContentCipher::from_algorithm(&algorithm);
        assert_eq!(found.is_ok(), allowed, "{icv_len}");
        assert!(allowed || matches!(found, Err(CipherProblem::Malformed(_))));
    }
}

#[test]
fn cbc_proof_from_head_and_end_equals_the_whole() {
    let (cipher, key) = (ContentCipher::Aes128Cbc, [1; 16]);
    let parameters = cipher::ContentParameters {
        iv: vec![2; 16],
        tag_len: 0,
    };
    for len in [0, 1, 15, 16, 500, 512, 527, 528, 543, 544, 545, 600, 5000] {
        let text: Vec<u8> = (0..=255).cycle().take(len).collect();
        let mut ciphertext = cipher::encrypt_cbc(cipher, &key, &parameters.iv, &text).unwrap();
        for size in [1, 7, 16, 10_000] {
            let chunks = || ciphertext.chunks(size);
            assert_eq!(
                *cipher::decrypt_cbc(cipher, &key, &parameters, chunks()).unwrap(),
                text
            );
            let head = cipher::prove_cbc(cipher, &key, &parameters, chunks()).unwrap();
            assert_eq!(*head, text[..len.min(512)], "{len} {size}");
        }
        // Another last block: the padding is wrong but for one in 256.
        let last = ciphertext.len() - 1;
        let wrong = (1..=255_u8).filter(|flip| {
            ciphertext[last] ^= flip;
            let chunks = || [&ciphertext[..]];
            let whole = cipher::decrypt_cbc(cipher, &key, &parameters, chunks()).is_ok();
            assert_eq!(
                cipher::prove_cbc(cipher, &key, &parameters, chunks()).is_ok(),
                whole
            );
            ciphertext[last] ^= flip;
            whole
        });
        assert!(wrong.count() < 10);
        assert!(cipher::decrypt_cbc(cipher, &key, &parameters, [&ciphertext[1..]]).is_err());
    }
}
