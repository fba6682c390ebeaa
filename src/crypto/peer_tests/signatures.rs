//! Signatures that the OpenSSL command line makes.

use super::*;

fn verify_first_signer(
    message: &[u8],
    key: &PKey<Public>,
    content: &[u8],
) -> Result<bool, crate::crypto::Unsupported> {
    let info = cms::parse(message).unwrap();
    let Content::Signed(signed) = &info.content else {
        panic!()
    };
    let signer = &signed.signers[0];
    let digest = Digest::from_oid(signer.digest.oid).unwrap();
    let attributes = signer
        .signed_attributes
        .as_ref()
        .map(cms::Attributes::to_be_signed);
    let pieces = attributes.map_or(vec![content], |pieces| pieces.to_vec());
    let bytes = signature::verify(
        key,
        &signer.signature_algorithm,
        digest,
        Signed::Bytes(&pieces),
        &signer.signature,
    );
    let value = hash(digest, pieces.iter().copied());
    let hashed = signature::verify(
        key,
        &signer.signature_algorithm,
        digest,
        Signed::Prehashed(&value),
        &signer.signature,
    );
    assert_eq!(bytes, hashed);
    let mut altered = signer.signature.to_vec();
    *altered.last_mut().unwrap() ^= 1;
    let broken = signature::verify(
        key,
        &signer.signature_algorithm,
        digest,
        Signed::Bytes(&pieces),
        &altered,
    );
    assert_ne!(broken, Ok(true));
    for other in Digest::ALL.into_iter().filter(|other| *other != digest) {
        let verdict = signature::verify(
            key,
            &signer.signature_algorithm,
            other,
            Signed::Bytes(&pieces),
            &signer.signature,
        );
        assert_ne!(verdict, Ok(true), "{other:?}");
        // Where the algorithm names its digest, a SignerInfo that names another one is odd at best.
        if bytes == Ok(true) && signature::named_digest(&signer.signature_algorithm).is_some() {
            let held = signature::held(
                key,
                &signer.signature_algorithm,
                other,
                Signed::Bytes(&pieces),
                &signer.signature,
            );
            assert_eq!(held, Ok(Held::Leniently("algorithms-disagree")));
        }
    }
    bytes
}

#[test]
fn what_openssl_signs_holds() {
    let peer = Peer::new();
    let (_, rsa) = peer.identity("rsa", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048");
    let (_, p256) = peer.identity("p256", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256");
    let (_, p521) = peer.identity("p521", "-algorithm EC -pkeyopt ec_paramgen_curve:P-521");
    peer.run(
        "genpkey -genparam -algorithm DSA -pkeyopt pbits:1024 -pkeyopt qbits:160 -out dsa.params",
    );
    let (_, dsa) = peer.identity("dsa", "-paramfile dsa.params");
    let pss = "-keyopt rsa_padding_mode:pss";
    for (name, certificate, options) in [
        ("rsa", &rsa, "-md sha256"),
        ("rsa", &rsa, "-md sha1 -noattr"),
        ("rsa", &rsa, "-md md5"),
        ("rsa", &rsa, "-md sha512"),
        ("rsa", &rsa, &format!("-md sha256 {pss}")),
        (
            "rsa",
            &rsa,
            &format!("-md sha384 {pss} -keyopt rsa_pss_saltlen:20 -keyopt rsa_mgf1_md:sha1"),
        ),
        ("p256", &p256, "-md sha256"),
        ("p256", &p256, "-md sha1 -noattr"),
        ("p521", &p521, "-md sha512"),
        ("dsa", &dsa, "-md sha1"),
        ("dsa", &dsa, "-md sha256"),
    ] {
        peer.run(&format!(
            "cms -sign -binary -outform DER -in text -out message -signer {name}.crt -inkey {name}.key {options}"
        ));
        let key = certificate.public_key().unwrap();
        assert_eq!(
            verify_first_signer(&peer.read("message"), &key, TEXT),
            Ok(true),
            "{name} {options}"
        );
        for other in [&rsa, &p256, &p521, &dsa] {
            let other_key = other.public_key().unwrap();
            if !other_key.public_eq(&key) {
                assert_ne!(
                    verify_first_signer(&peer.read("message"), &other_key, TEXT),
                    Ok(true)
                );
            }
        }
    }
}

#[test]
fn ed25519_takes_the_bytes_and_no_hash() {
    let key = PKey::generate_ed25519().unwrap();
    let public = PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap();
    let mut signer = openssl::sign::Signer::new_without_digest(&key).unwrap();
    let value = signer.sign_oneshot_to_vec(TEXT).unwrap();
    let algorithm = cms::AlgorithmIdentifier {
        oid: oid::ED25519,
        parameters: None,
    };
    let verify = |pieces: &[&[u8]]| {
        signature::verify(
            &public,
            &algorithm,
            Digest::Sha512,
            Signed::Bytes(pieces),
            &value,
        )
    };
    let (a, b) = TEXT.split_at(9);
    assert_eq!(verify(&[a, b]), Ok(true));
    assert_eq!(verify(&[b, a]), Ok(false));
    let hashed = hash(Digest::Sha512, [TEXT]);
    let signed = Signed::Prehashed(&hashed);
    assert!(signature::verify(&public, &algorithm, Digest::Sha512, signed, &value).is_err());
}
