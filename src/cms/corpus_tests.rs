//! The reader against objects that other programs made, whole, cut and mutated. Uses
//! `../shared/corpora` and says so where it is absent.

use std::time::{Duration, Instant};

use super::ber::Tlv;
use super::content::{Content, parse};
use super::oid::{self, Oid};
use super::peer::{corpus, has_openssl, not_shown, openssl};
use super::recipients::RecipientInfo;
use super::signers::{SignerId, SignerInfo};
use super::{Attributes, Octets, armor, build, der, parameters};

/// Calls everything that can be called on a parsed object; returns how many bytes it holds.
fn walk(bytes: &[u8]) -> usize {
    let Ok(parsed) = parse(bytes) else { return 0 };
    let octets = |octets: &Option<Octets<'_>>| {
        octets.map_or(0, |octets| octets.chunks().map(<[u8]>::len).sum())
    };
    match &parsed.content {
        Content::Data(data) => octets(&Some(*data)),
        Content::Signed(signed) => {
            for signer in &signed.signers {
                let _ = parameters::pss_parameters(&signer.signature_algorithm);
                signer.signed_attributes.iter().for_each(walk_attributes);
                signer.unsigned_attributes.iter().for_each(walk_attributes);
            }
            octets(&signed.content)
        }
        Content::Enveloped(enveloped) => {
            let pieces = build::with_recipients(&parsed, &[]).unwrap().concat();
            assert!(parse(&pieces).is_ok());
            let _ = parameters::iv(&enveloped.content_encryption);
            let _ = parameters::rc2_cbc_parameters(&enveloped.content_encryption);
            for algorithm in enveloped
                .recipients
                .iter()
                .filter_map(RecipientInfo::algorithm)
            {
                let _ = parameters::oaep_parameters(algorithm);
                let _ = parameters::inner_algorithm(algorithm);
            }
            octets(&enveloped.ciphertext)
        }
        Content::AuthEnveloped(enveloped) => {
            let _ = parameters::gcm_parameters(&enveloped.content_encryption);
            assert_eq!(
                enveloped.aad().is_empty(),
                enveloped.auth_attributes.is_none()
            );
            octets(&enveloped.ciphertext)
        }
        Content::Encrypted(encrypted) => {
            let _ = parameters::pbe_parameters(&encrypted.content_encryption);
            octets(&encrypted.ciphertext)
        }
        Content::Digested(digested) => octets(&digested.content),
        Content::Compressed(compressed) => octets(&compressed.content),
        Content::Other => 0,
    }
}

fn walk_attributes(attributes: &Attributes<'_>) {
    let _ = (
        attributes.message_digest(),
        attributes.content_type(),
        attributes.signing_time(),
    );
    let _ = (attributes.smime_capabilities(), attributes.reencoded_der());
    for countersignature in attributes.values(oid::COUNTERSIGNATURE) {
        let _ = SignerInfo::parse(countersignature);
    }
}

/// The lines that `openssl cms -print` gives to each recipient, signer and certificate.
fn count(printed: &str, indent: usize, words: &[&str]) -> usize {
    printed
        .lines()
        .filter(|line| line.len() - line.trim_start().len() == indent)
        .filter(|line| words.contains(&line.trim().trim_end_matches(':')))
        .count()
}

#[test]
fn openssl_counts_the_same_recipients_signers_and_certificates() {
    if !has_openssl() {
        return;
    }
    let (mut compared, mut ours_only) = (0, Vec::new());
    for (name, object) in corpus() {
        let printed = openssl(
            &["cms", "-cmsout", "-noout", "-print", "-inform", "DER"],
            &object,
        );
        let parsed = parse(&object);
        let Some(printed) = printed.map(|printed| String::from_utf8_lossy(&printed).into_owned())
        else {
            if parsed.is_ok() {
                ours_only.push(name);
            }
            continue;
        };
        let parsed =
            parsed.unwrap_or_else(|error| panic!("{name}: OpenSSL reads it, we say {error}"));
        let recipients = count(
            &printed,
            6,
            &["d.ktri", "d.kari", "d.kekri", "d.pwri", "d.ori"],
        );
        let signers = count(&printed, 8, &["signatureAlgorithm"]);
        let certificates = count(&printed, 6, &["d.certificate"]);
        match &parsed.content {
            Content::Signed(signed) => {
                assert_eq!(signed.signers.len(), signers, "{name}");
                assert_eq!(signed.certificates.len(), certificates, "{name}");
            }
            Content::Enveloped(enveloped) => {
                assert_eq!(enveloped.recipients.len(), recipients, "{name}");
            }
            Content::AuthEnveloped(enveloped) => {
                assert_eq!(enveloped.recipients.len(), recipients, "{name}");
            }
            _ => assert_eq!((signers, recipients), (0, 0), "{name}"),
        }
        compared += 1;
    }
    let _ = std::io::Write::write_fmt(
        &mut std::io::stderr(),
        format_args!("{compared} objects as OpenSSL reads them; only we read {ours_only:?}\n"),
    );
}

#[test]
fn an_object_cut_anywhere_is_malformed_and_still_named() {
    for (name, object) in corpus() {
        let Ok(whole) = parse(&object) else { continue };
        let end = object.len() - whole.trailing;
        let step = (end / 500).max(1);
        for cut in (0..end).step_by(step).chain(end.saturating_sub(40)..end) {
            assert!(parse(&object[..cut]).is_err(), "{name} cut at {cut}");
            if cut >= 40 {
                assert_eq!(
                    armor::sniff(&object[..cut]),
                    Some(whole.content_type),
                    "{name} cut at {cut}"
                );
            }
        }
        assert!(walk(&object[..end]) <= end);
    }
}

#[test]
fn twenty_thousand_mutated_objects_do_no_harm() {
    let corpus = corpus();
    let small: Vec<_> = corpus
        .iter()
        .filter(|(_, object)| object.len() < 20_000)
        .collect();
    if small.is_empty() {
        return;
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut still_read = 0;
    for _ in 0..20_000 {
        let mut object = small[random.below(small.len())].1.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(object.len());
            // The head is where structure is; certificates and ciphertext take every change.
            let at = if random.below(2) == 0 {
                at % 200.min(object.len())
            } else {
                at
            };
            match random.below(5) {
                0 => object[at] = random.below(256).to_le_bytes()[0],
                1 => object[at] ^= 1 << random.below(8),
                2 => object[at] = [0x80, 0xff, 0x00, 0x24, 0x30, 0xa0, 0x84][random.below(7)],
                3 => drop(object.drain(at..(at + random.below(4)).min(object.len()))),
                _ => object.insert(at, 0),
            }
            if object.is_empty() {
                object.push(0x30);
            }
        }
        let started = Instant::now();
        still_read += usize::from(walk(&object) > 0);
        let _ = (armor::sniff(&object), armor::unarmor(&object));
        assert!(started.elapsed() < Duration::from_secs(1));
    }
    assert!(
        still_read > 100,
        "the mutations are too coarse to say anything: {still_read}"
    );
}

/// Xorshift: the same inputs in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).unwrap()
    }
}

/// A signer with the least that one can have.
fn signer() -> Vec<u8> {
    let sha256 = der::algorithm(oid::SHA256, None);
    let rsa = build::algorithm_rsa_pkcs1();
    let ski = der::element(0x80, &[&[1, 2, 3]]);
    der::sequence(&[
        &der::integer(3),
        &ski,
        &sha256,
        &rsa,
        &der::octet_string(&[9; 8]),
    ])
}

fn indefinite(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag, 0x80][..], body, &[0, 0]].concat()
}

fn content_info(oid: Oid<'_>, body: &[u8]) -> Vec<u8> {
    indefinite(
        0x30,
        &[der::oid(oid), indefinite(0xa0, &indefinite(0x30, body))].concat(),
    )
}

#[test]
fn a_hundred_thousand_signers_recipients_and_certificates_are_read_in_linear_time() {
    const MANY: usize = 100_000;
    let started = Instant::now();
    let content = der::sequence(&[&der::oid(oid::DATA)]);
    let certificates = indefinite(0xa0, &indefinite(0x30, &[5, 0]).repeat(MANY));
    let signers = indefinite(0x31, &signer().repeat(MANY));
    let body = [&[2, 1, 1, 0x31, 0][..], &content, &certificates, &signers].concat();
    let object = content_info(oid::SIGNED_DATA, &body);
    let Content::Signed(signed) = parse(&object).unwrap().content else {
        panic!()
    };
    assert_eq!(
        (signed.signers.len(), signed.certificates.len()),
        (MANY, MANY)
    );

    let recipient = build::ktri(
        &super::RecipientId::Ski((&[1][..]).into()),
        &build::algorithm_rsa_pkcs1(),
        &[0; 16],
    );
    let encrypted = [
        der::oid(oid::DATA),
        der::algorithm(oid::AES128_CBC, None),
        indefinite(0xa0, &[4, 1, 9].repeat(MANY)),
    ];
    let body = [
        &[2, 1, 2][..],
        &indefinite(0x31, &recipient.repeat(MANY)),
        &indefinite(0x30, &encrypted.concat()),
    ];
    let object = content_info(oid::ENVELOPED_DATA, &body.concat());
    let Content::Enveloped(enveloped) = parse(&object).unwrap().content else {
        panic!()
    };
    assert_eq!(
        (
            enveloped.recipients.len(),
            enveloped.ciphertext.unwrap().len()
        ),
        (MANY, MANY)
    );
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_hundred_megabytes_of_ciphertext_are_not_copied() {
    let chunk = der::octet_string(&vec![7; 1 << 20]);
    let ciphertext = indefinite(0xa0, &chunk.repeat(100));
    let encrypted = [
        der::oid(oid::DATA),
        der::algorithm(oid::AES128_CBC, None),
        ciphertext,
    ]
    .concat();
    let object = content_info(
        oid::ENVELOPED_DATA,
        &[&[2, 1, 0, 0x31, 0][..], &indefinite(0x30, &encrypted)].concat(),
    );
    let started = Instant::now();
    let Content::Enveloped(enveloped) = parse(&object).unwrap().content else {
        panic!()
    };
    assert_eq!(enveloped.ciphertext.unwrap().len(), 100 << 20);
    let pieces = enveloped.with_recipients(&[]);
    assert!(
        started.elapsed() < Duration::from_millis(20),
        "{:?}",
        started.elapsed()
    );
    assert!(object.as_ptr_range().contains(&pieces[1].as_ptr()));
}

#[test]
fn oddities_of_old_programs_are_read() {
    let content = der::sequence(&[&der::oid(oid::DATA)]);
    let body = |digests: &[u8], content: &[u8], rest: &[u8]| {
        [&[2, 1, 1][..], digests, content, rest].concat()
    };
    let signed = |object: &[u8]| match parse(object).map(|parsed| parsed.content) {
        Ok(Content::Signed(signed)) => Ok((
            signed.content.map(|c| c.cow().into_owned()),
            signed.certificates.len(),
        )),
        Ok(_) => panic!(),
        Err(error) => Err(error),
    };
    // No digest algorithms, no signers.
    assert_eq!(
        signed(&content_info(oid::SIGNED_DATA, &body(&[], &content, &[]))),
        Ok((None, 0))
    );
    // No explicit tag; an implicit one.
    let plain = body(&[0x31, 0], &content, &[0x31, 0]);
    let bare = der::sequence(&[&der::oid(oid::SIGNED_DATA), &der::sequence(&[&plain])]);
    assert_eq!(signed(&bare), Ok((None, 0)));
    let implicit = der::sequence(&[&der::oid(oid::SIGNED_DATA), &der::element(0xa0, &[&plain])]);
    assert_eq!(signed(&implicit), Ok((None, 0)));
    // Content that is no OCTET STRING; an empty wrapper.
    let other = der::sequence(&[
        &der::oid(oid::SPC_INDIRECT_DATA),
        &der::element(0xa0, &[&[0x30, 2, 5, 0]]),
    ]);
    assert_eq!(
        signed(&content_info(oid::SIGNED_DATA, &body(&[], &other, &[]))),
        Ok((Some(vec![5, 0]), 0))
    );
    let empty = der::sequence(&[&der::oid(oid::DATA), &indefinite(0xa0, &[])]);
    assert_eq!(
        signed(&content_info(oid::SIGNED_DATA, &body(&[], &empty, &[]))),
        Ok((None, 0))
    );
    // Attribute certificates and other formats beside an X.509 one.
    let set = der::element(0xa0, &[&[0xa1, 2, 5, 0], &[0x30, 0], &[0xa3, 0]]);
    assert_eq!(
        signed(&content_info(oid::SIGNED_DATA, &body(&[], &content, &set))),
        Ok((None, 1))
    );
    // What is hidden behind the content is not.
    let two = der::sequence(&[
        &der::oid(oid::DATA),
        &der::element(0xa0, &[&[4, 1, 1], &[4, 1, 2]]),
    ]);
    assert!(signed(&content_info(oid::SIGNED_DATA, &body(&[], &two, &[]))).is_err());
    assert!(
        signed(&content_info(
            oid::SIGNED_DATA,
            &body(&[], &content, &[0x31, 0, 5, 0])
        ))
        .is_err()
    );
    // Odd versions and bytes behind the object.
    let mut odd = der::sequence(&[
        &der::oid(oid::SIGNED_DATA),
        &der::element(0xa0, &[&der::sequence(&[&[2, 1, 0xff], &content])]),
    ]);
    odd.extend(b"\r\n");
    let odd = parse(&odd).unwrap();
    assert_eq!(odd.trailing, 2);
    assert!(matches!(odd.content, Content::Signed(signed) if signed.version == u64::MAX));
    // A key identifier in pieces.
    let in_pieces = [&[0xa0, 0x80, 4, 1, 1, 4, 1, 2, 0, 0][..]].concat();
    let ski = der::element(0x80, &[&[1, 2, 3]]);
    let signer = signer();
    let at = signer
        .windows(ski.len())
        .position(|window| window == ski)
        .unwrap();
    let body = [&signer[2..at], &in_pieces, &signer[at + ski.len()..]].concat();
    let signer = der::sequence(&[&body]);
    assert_eq!(
        SignerInfo::parse(&signer).unwrap().sid,
        SignerId::Ski(vec![1, 2].into())
    );
}

/// Every recipient that the corpora hold comes out as what it was made for.
#[test]
fn every_kind_of_recipient_is_read() {
    let mut kinds = std::collections::BTreeMap::<&str, usize>::new();
    for (_, object) in corpus() {
        let parsed = parse(&object);
        let recipients = match parsed.as_ref().map(|parsed| &parsed.content) {
            Ok(Content::Enveloped(enveloped)) => &enveloped.recipients,
            Ok(Content::AuthEnveloped(enveloped)) => &enveloped.recipients,
            _ => continue,
        };
        for recipient in recipients {
            let kind = match recipient {
                RecipientInfo::Ktri { .. } => "ktri",
                RecipientInfo::Kari { recipients, .. } if recipients.is_empty() => "empty kari",
                RecipientInfo::Kari { .. } => "kari",
                RecipientInfo::Kekri { .. } => "kekri",
                RecipientInfo::Pwri { kdf: Some(_), .. } => "pwri",
                RecipientInfo::Pwri { kdf: None, .. } => "pwri without kdf",
                RecipientInfo::Ori { oid, .. } => {
                    assert_eq!(*oid, oid::ORI_KEM);
                    "ori"
                }
            };
            *kinds.entry(kind).or_default() += 1;
            if let Some(algorithm) = recipient.algorithm() {
                assert!(oid::name(algorithm.oid).is_some(), "{}", algorithm.oid);
            }
        }
    }
    if kinds.is_empty() {
        return not_shown("no corpora, no recipients");
    }
    for kind in ["ktri", "kari", "kekri", "pwri", "ori"] {
        assert!(kinds.contains_key(kind), "{kinds:?}");
    }
}

#[test]
fn lists_that_lie_about_their_ends_are_malformed() {
    let signed = der::sequence(&[
        &[2, 1, 1],
        &der::sequence(&[&der::oid(oid::DATA)]),
        &[0x31, 5, 0x30, 0x80],
    ]);
    let object = der::sequence(&[&der::oid(oid::SIGNED_DATA), &der::element(0xa0, &[&signed])]);
    assert!(parse(&object).is_err());
    assert!(Tlv::only(&object).is_ok(), "the outer lengths are true");
}

/// Every structure with an element too many, which nobody would look at and which could therefore
/// hide something.
#[test]
fn an_element_too_many_is_malformed_wherever_it_stands() {
    let x: &[u8] = &[5, 0];
    let (seq, oid) = (der::sequence, der::oid);
    let key = der::octet_string(&[1; 8]);
    let algorithm = build::algorithm_rsa_pkcs1();
    let name = seq(&[]);
    let serial = der::integer(7);
    let id = seq(&[&name, &serial]);
    let data = oid(oid::DATA);
    let encap = seq(&[&data]);
    let encrypted = seq(&[&data, &algorithm, &[0x80, 1, 1]]);
    let object = |kind, parts: &[&[u8]]| seq(&[&oid(kind), &der::element(0xa0, &[&seq(parts)])]);
    let ktri = |parts: &[&[u8]]| {
        let set = der::element(0x31, &[&seq(parts)]);
        object(oid::ENVELOPED_DATA, &[&[2, 1, 0], &set, &encrypted])
    };
    let kari = |extra: [&[u8]; 5]| {
        let spki = der::element(0xa1, &[&algorithm, &[3, 2, 0, 4], extra[0]]);
        let originator = der::element(0xa0, &[&spki, extra[1]]);
        let ukm = der::element(0xa1, &[&key, extra[2]]);
        let one = seq(&[&id, &key, extra[3]]);
        let info = der::element(
            0xa1,
            &[
                &[2, 1, 3],
                &originator,
                &ukm,
                &algorithm,
                &seq(&[&one]),
                extra[4],
            ],
        );
        object(
            oid::ENVELOPED_DATA,
            &[&[2, 1, 2], &der::element(0x31, &[&info]), &encrypted],
        )
    };
    let signed = |encap: &[u8], extra: [&[u8]; 3]| {
        let signer = seq(&[
            &[2, 1, 1],
            &seq(&[&name, &serial, extra[0]]),
            &algorithm,
            &algorithm,
            &key,
            extra[1],
        ]);
        object(
            oid::SIGNED_DATA,
            &[
                &[2, 1, 1],
                &[0x31, 0],
                encap,
                &der::element(0x31, &[&signer]),
                extra[2],
            ],
        )
    };
    let enveloped = |encrypted: &[u8], extra| {
        object(
            oid::ENVELOPED_DATA,
            &[&[2, 1, 0], &[0x31, 0], encrypted, extra],
        )
    };
    let good = [
        ktri(&[&[2, 1, 0], &id, &algorithm, &key]),
        kari([&[]; 5]),
        signed(&encap, [&[]; 3]),
        enveloped(&encrypted, &[]),
    ];
    for object in good {
        parse(&object).unwrap();
    }
    let content = der::element(0xa0, &[&[4, 0]]);
    let mut bad = vec![
        ktri(&[&[2, 1, 0], &id, &algorithm, &key, x]),
        ktri(&[&[2, 1, 0], &seq(&[&name, &serial, x]), &algorithm, &key]),
        ktri(&[&[2, 1, 0], &id, &seq(&[&oid(oid::DATA), x, x]), &key]),
        signed(&seq(&[&data, &content, x]), [&[]; 3]),
        signed(&seq(&[&data, &der::element(0xa0, &[&[4, 0], x])]), [&[]; 3]),
        enveloped(&seq(&[&data, &algorithm, &[0x80, 1, 1], x]), &[]),
        enveloped(&encrypted, x),
        seq(&[&oid(oid::DATA), &content, x]),
        seq(&[&oid(oid::DATA), &der::element(0xa0, &[&[4, 0], x])]),
        object(oid::COMPRESSED_DATA, &[&[2, 1, 0], &algorithm, &encap, x]),
        object(
            oid::DIGESTED_DATA,
            &[&[2, 1, 0], &algorithm, &encap, &key, x],
        ),
        object(oid::ENCRYPTED_DATA, &[&[2, 1, 0], &encrypted, x]),
        object(
            oid::AUTH_ENVELOPED_DATA,
            &[&[2, 1, 0], &[0x31, 0], &encrypted, &key, x],
        ),
    ];
    bad.extend((0..5).map(|at| kari(std::array::from_fn(|n| if n == at { x } else { &[] }))));
    bad.extend((0..3).map(|at| {
        signed(
            &encap,
            std::array::from_fn(|n| if n == at { x } else { &[] }),
        )
    }));
    for (n, object) in bad.iter().enumerate() {
        assert!(parse(object).is_err(), "case {n}");
    }
}
