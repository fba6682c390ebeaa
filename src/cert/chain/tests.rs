//! Paths that hold, those that do not, and what finding them costs.

use super::*;
use crate::cert::testing::{MID_2021, Pki, Spec};
use ChainStatus::{Expired, Incomplete, NotYetValid, Trusted, Untrusted, WrongUsage};

const Y2010: i64 = 1_262_304_000;
const Y2018: i64 = 1_514_764_800;
const Y2023: i64 = 1_672_531_200;
const Y2040: i64 = 2_208_988_800;

/// The verdict of our judge, and that of `openssl verify` in the same words.
fn both(
    pki: &Pki,
    leaf: &str,
    trust: &[&str],
    pool: &[&str],
    at: i64,
) -> (ChainStatus, ChainStatus) {
    let anchors = Trust::new(trust.iter().map(|name| pki.load(name)));
    let mut known = Pool::new();
    known.extend(pool.iter().map(|name| pki.load(name)));
    let ours = ChainJudge::new(&anchors, &known).status(&pki.load(leaf), at);

    let time = at.to_string();
    let mut arguments: Vec<String> = [
        "verify",
        "-attime",
        &time,
        "-partial_chain",
        "-purpose",
        "smimesign",
    ]
    .into_iter()
    .chain([
        "-auth_level",
        "0",
        "-no-CApath",
        "-no-CAfile",
        "-no-CAstore",
    ])
    .map(str::to_owned)
    .collect();
    for name in trust {
        arguments.extend(["-trusted".to_owned(), format!("{name}.pem")]);
    }
    for name in pool {
        arguments.extend(["-untrusted".to_owned(), format!("{name}.pem")]);
    }
    arguments.push(format!("{leaf}.pem"));
    let output = pki.try_openssl(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let text = String::from_utf8_lossy(&output.stderr);
    let theirs = if output.status.success() {
        Trusted
    } else {
        let code = text
            .split("error ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .unwrap();
        match code.parse::<i32>().unwrap() {
            2 | 20 | 21 => Incomplete,
            9 => NotYetValid,
            10 => Expired,
            26 | 32 => WrongUsage,
            _ => Untrusted,
        }
    };
    (ours, theirs)
}

#[test]
fn openssl_verify_says_the_same() {
    let pki = Pki::new();
    pki.issue(&Spec::root("root"));
    pki.issue(&Spec::root("other"));
    pki.issue(&Spec::ca("sub", "root"));
    pki.issue(&Spec::ca("short", "root").dates("20160101000000Z", "20200601000000Z"));
    pki.issue(&Spec::ca("web", "root").extension("extendedKeyUsage", "serverAuth,clientAuth"));
    pki.issue(
        &Spec::ca("nolen", "root").extension("basicConstraints", "critical,CA:TRUE,pathlen:0"),
    );
    pki.issue(&Spec::ca("toodeep", "nolen"));
    pki.issue(&Spec::ca("nosign", "root").extension("keyUsage", "critical,cRLSign"));
    pki.issue(
        &Spec::ca("names", "root")
            .extension("nameConstraints", "critical,permitted;email:example.com"),
    );
    for (name, issuer) in [
        ("a", "sub"),
        ("b", "short"),
        ("c", "web"),
        ("d", "toodeep"),
        ("e", "nosign"),
        ("f", "names"),
    ] {
        pki.issue(&Spec::leaf(name, issuer));
    }
    pki.issue(&Spec::leaf("astray", "names").address("x@example.org"));
    pki.issue(&Spec::leaf("byleaf", "a"));
    let leaf = |name: &str| Spec::leaf(name, "sub");
    pki.issue(
        &leaf("bare")
            .extension("keyUsage", "")
            .extension("extendedKeyUsage", ""),
    );
    pki.issue(&leaf("client").extension("extendedKeyUsage", "clientAuth"));
    pki.issue(&leaf("agree").extension("keyUsage", "critical,keyAgreement"));
    pki.issue(&leaf("repudiate").extension("keyUsage", "critical,nonRepudiation"));
    pki.issue(&leaf("critical").extension("1.2.3.4", "critical,ASN1:UTF8String:x"));
    pki.issue(&leaf("sha1").digest("sha1"));
    pki.issue(
        &Spec::root("self")
            .dates("20200101000000Z", "20220101000000Z")
            .extension("basicConstraints", ""),
    );

    let now = MID_2021;
    let root: &[&str] = &["root"];
    for (leaf, trust, pool, at, expected) in [
        ("a", root, &["sub"][..], now, Trusted),
        ("a", root, &["sub", "root", "other"], now, Trusted),
        ("a", &["sub"], &[], now, Trusted),
        ("a", &["a"], &[], now, Trusted),
        ("a", &["a"], &[], Y2023, Expired),
        ("a", root, &[], now, Incomplete),
        ("a", &[], &["sub"], now, Incomplete),
        ("a", &[], &["sub", "root"], now, Untrusted),
        ("a", &["other"], &["sub", "root"], now, Untrusted),
        ("a", root, &["sub"], Y2023, Expired),
        ("a", root, &["sub"], Y2018, NotYetValid),
        ("a", root, &["sub"], Y2010, NotYetValid),
        ("a", root, &["sub"], Y2040, Expired),
        ("a", root, &["sub"], 1_577_836_800, Trusted),
        ("a", root, &["sub"], 1_577_836_799, NotYetValid),
        ("a", root, &["sub"], 1_640_995_201, Expired),
        ("b", root, &["short"], now, Expired),
        ("b", root, &["short"], 1_580_000_000, Trusted),
        ("c", root, &["web"], now, WrongUsage),
        ("d", root, &["nolen", "toodeep"], now, Untrusted),
        ("e", root, &["nosign"], now, Untrusted),
        ("f", root, &["names"], now, Trusted),
        ("astray", root, &["names"], now, Untrusted),
        ("byleaf", root, &["sub", "a"], now, Untrusted),
        ("bare", root, &["sub"], now, Trusted),
        ("client", root, &["sub"], now, WrongUsage),
        ("client", root, &["sub"], Y2023, WrongUsage),
        ("client", &["other"], &["sub"], now, Incomplete),
        ("agree", root, &["sub"], now, WrongUsage),
        ("repudiate", root, &["sub"], now, Trusted),
        ("critical", root, &["sub"], now, Untrusted),
        ("sha1", root, &["sub"], now, Trusted),
        ("self", &["self"], &[], now, Trusted),
        ("self", root, &[], now, Untrusted),
        ("self", &["self"], &[], Y2023, Expired),
    ] {
        let (ours, theirs) = both(&pki, leaf, trust, pool, at);
        assert_eq!(
            (ours, theirs),
            (expected, expected),
            "{leaf} {trust:?} {pool:?} {at}"
        );
    }

    // RFC 8550 §4.4.4 allows anyExtendedKeyUsage; OpenSSL's purpose does not know it.
    pki.issue(&leaf("any").extension("extendedKeyUsage", "anyExtendedKeyUsage"));
    assert_eq!(
        both(&pki, "any", root, &["sub"], now),
        (Trusted, WrongUsage)
    );
}

#[test]
fn the_right_one_of_several_authorities_of_one_name_is_found() {
    let pki = Pki::new();
    let same = |spec: Spec| {
        spec.subject("/O=Test/CN=Authority")
            .extension("authorityKeyIdentifier", "none")
    };
    pki.issue(&Spec::root("root"));
    for name in ["old", "new", "newer"] {
        pki.issue(&same(Spec::ca(name, "root")).extension("subjectKeyIdentifier", "none"));
    }
    pki.issue(&Spec::leaf("leaf", "newer").extension("authorityKeyIdentifier", "none"));
    let (ours, _) = both(&pki, "leaf", &["root"], &["old", "new", "newer"], MID_2021);
    assert_eq!(ours, Trusted);
    // The same name, but not the issuer: what OpenSSL says of its signature counts.
    assert_eq!(
        both(&pki, "leaf", &["root"], &["old"], MID_2021),
        (Untrusted, Untrusted)
    );
}

#[test]
fn verdicts_are_those_of_a_fresh_judge_at_every_time() {
    let pki = Pki::new();
    pki.issue(&Spec::root("root"));
    // One key, two certificates for it with a gap between them.
    pki.issue(
        &Spec::ca("first", "root")
            .subject("/CN=Sub")
            .dates("20200101000000Z", "20200601000000Z"),
    );
    pki.issue(
        &Spec::ca("second", "root")
            .subject("/CN=Sub")
            .key_of("first")
            .dates("20210101000000Z", "20210601000000Z"),
    );
    let leaf = pki.issue(&Spec::leaf("leaf", "first"));
    let trust = Trust::new([pki.load("root")]);
    let mut pool = Pool::new();
    pool.extend([pki.load("first"), pki.load("second")]);
    let judge = ChainJudge::new(&trust, &pool);
    let mut trusted = 0;
    for day in 0..900 {
        let at = 1_572_566_400 + 3_600 + day * 86_400;
        let status = judge.status(&leaf, at);
        assert_eq!(
            status,
            ChainJudge::new(&trust, &pool).status(&leaf, at),
            "{at}"
        );
        trusted += i32::from(status == Trusted);
    }
    assert_eq!(trusted, 152 + 151);
    assert_eq!(judge.status(&leaf, i64::MIN), NotYetValid);
    assert_eq!(judge.status(&leaf, i64::MAX), Expired);
}

#[test]
fn paths_and_missing_issuers_are_named() {
    let pki = Pki::new();
    let root = pki.issue(&Spec::root("root"));
    let sub = pki.issue(&Spec::ca("sub", "root"));
    let leaf = pki.issue(&Spec::leaf("leaf", "sub"));
    let trust = Trust::new([Arc::clone(&root)]);
    let mut pool = Pool::new();
    let names =
        |path: Vec<Arc<Certificate>>| path.iter().map(|c| c.subject.clone()).collect::<Vec<_>>();
    {
        let judge = ChainJudge::new(&trust, &pool);
        assert_eq!(
            judge.missing_issuer(&leaf).as_deref(),
            Some("CN=sub,O=Test,C=DE")
        );
        assert_eq!(
            names(judge.path(&leaf)),
            std::slice::from_ref(&leaf.subject)
        );
    }
    pool.add(Arc::clone(&sub));
    let judge = ChainJudge::new(&trust, &pool);
    assert_eq!(judge.missing_issuer(&leaf), None);
    assert_eq!(
        names(judge.path(&leaf)),
        [&leaf, &sub, &root].map(|c| c.subject.clone())
    );
    assert_eq!(judge.status_for(&leaf, MID_2021, Usage::Encrypt), Trusted);
    let nobody = Trust::empty();
    let judge = ChainJudge::new(&nobody, &pool);
    assert_eq!(
        judge.missing_issuer(&leaf).as_deref(),
        Some("CN=root,O=Test,C=DE")
    );
    assert_eq!(judge.status(&leaf, MID_2021), Incomplete);
}

/// One certificate in two encodings, of which OpenSSL writes one: the last bit of its signature
/// is called unused, and set.
#[test]
fn an_authority_in_another_encoding_stays_restricted() {
    let pki = Pki::new();
    pki.issue(&Spec::root("root"));
    let restricted = Spec::ca("web", "root").extension("extendedKeyUsage", "serverAuth");
    let (web, der) = loop {
        let web = pki.issue(&restricted);
        let mut der = web.der.to_vec();
        let end = der.len();
        // A P-256 signature: BIT STRING, unused bits, SEQUENCE.
        let unused = (end - 76..end - 66)
            .find(|at| {
                der[at - 2] == 3 && usize::from(der[at - 1]) == end - at && der[at + 1] == 0x30
            })
            .expect("a signature");
        if der[end - 1] & 1 == 0 {
            der[unused] = 1;
            der[end - 1] |= 1;
            break (web, der);
        }
    };
    let other = Arc::new(Certificate::decode(&der).expect("OpenSSL reads it"));
    assert_ne!(other.sha256, web.sha256);
    let leaf = pki.issue(&Spec::leaf("leaf", "web"));
    let trust = Trust::new([pki.load("root")]);
    for authority in [&web, &other] {
        let mut pool = Pool::new();
        pool.add(Arc::clone(authority));
        let judge = ChainJudge::new(&trust, &pool);
        let status = judge.status(&leaf, MID_2021);
        assert!(
            matches!(status, WrongUsage | Untrusted),
            "{}",
            status.as_str()
        );
        assert_eq!(judge.path(authority)[0].sha256, authority.sha256);
    }
}

/// Layers of authorities, each of several certificates with one key and name, issued by any of the layer above;
/// and a certificate at the bottom. The authorities at the top are not for mail.
fn maze(pki: &Pki, layers: u32, width: u32) -> (Pool, Arc<Certificate>) {
    pki.issue(&Spec::root("r"));
    let mut pool = Pool::new();
    for layer in 0..layers {
        for i in 0..width {
            let spec = match layer {
                0 => Spec::ca(&format!("c0x{i}"), "r").extension("extendedKeyUsage", "serverAuth"),
                _ => Spec::ca(&format!("c{layer}x{i}"), &format!("c{}x{i}", layer - 1)),
            };
            let spec = spec.subject(&format!("/CN=layer {layer}"));
            let spec = if i > 0 {
                spec.key_of(&format!("c{layer}x0"))
            } else {
                spec
            };
            pool.add(pki.issue(&spec));
        }
    }
    let leaf = pki.issue(&Spec::leaf("leaf", &format!("c{}x0", layers - 1)));
    (pool, leaf)
}

fn checks(judge: &ChainJudge<'_>, leaf: &Arc<Certificate>) -> usize {
    judge.with_known(leaf, |known| known.graph.effort)
}

#[test]
fn a_maze_of_cross_certificates_is_left_in_time() {
    let pki = Pki::new();
    let (pool, leaf) = maze(&pki, 4, 5);
    let nobody = Trust::empty();
    let judge = ChainJudge::new(&nobody, &pool);
    assert_eq!(judge.status(&leaf, MID_2021), Incomplete);
    assert!(checks(&judge, &leaf) <= 100);
    // 625 paths lead to the root, and none holds: whatever is asked, and how often.
    let trust = Trust::new([pki.load("r")]);
    let judge = ChainJudge::new(&trust, &pool);
    let started = std::time::Instant::now();
    for at in [Y2010, Y2018, MID_2021, Y2023, Y2040] {
        assert_eq!(judge.status(&leaf, at), WrongUsage);
        assert!(judge.holding(&leaf, at, true).is_empty());
        assert_eq!(judge.path(&leaf).len(), 6);
    }
    let effort = checks(&judge, &leaf);
    assert!(80 < effort && effort <= 100, "{effort}");
    assert!(started.elapsed().as_millis() < 1_000);
    // In a smaller one every path is asked about.
    let pki = Pki::new();
    let (mut pool, leaf) = maze(&pki, 2, 3);
    pool.add(pki.issue(&Spec::ca("good", "r").subject("/CN=layer 0").key_of("c0x0")));
    let trust = Trust::new([pki.load("r")]);
    let judge = ChainJudge::new(&trust, &pool);
    assert_eq!(judge.status(&leaf, MID_2021), Trusted);
    assert_eq!(judge.holding(&leaf, MID_2021, true).len(), 3);
}

/// More paths than can be asked about, most of them for the same time: those of other times go first.
#[test]
fn paths_of_other_times_are_asked_about_before_more_of_the_same() {
    let pki = Pki::new();
    pki.issue(&Spec::root("root"));
    let mut pool = Pool::new();
    for cross in 0..8 {
        let mut spec = Spec::ca(&format!("top{cross}"), "root").subject("/CN=Top");
        if cross > 0 {
            spec = spec.key_of("top0");
        }
        pool.add(pki.issue(&spec));
    }
    for (renewal, year) in (2016..2022).enumerate() {
        let dates = [year, year + 1].map(|year| format!("{year}0101000000Z"));
        let mut spec = Spec::ca(&format!("sub{renewal}"), "top0").subject("/CN=Sub");
        if renewal > 0 {
            spec = spec.key_of("sub0");
        }
        pool.add(pki.issue(&spec.dates(&dates[0], &dates[1])));
    }
    let spec = Spec::leaf("leaf", "sub0").dates("20160101000000Z", "20220101000000Z");
    let leaf = pki.issue(&spec);
    let trust = Trust::new([pki.load("root")]);
    let judge = ChainJudge::new(&trust, &pool);
    for year in 0..6 {
        let at = 1_451_606_400 + 86_400 * (365 * year + 100);
        assert_eq!(judge.status(&leaf, at), Trusted, "{year}");
    }
    assert!(checks(&judge, &leaf) <= 100);
}

/// Ten years of an authority that renewed its certificate each year and kept its key.
#[test]
fn the_certificate_that_was_in_force_is_found_among_many() {
    let pki = Pki::new();
    pki.issue(&Spec::root("root"));
    let mut pool = Pool::new();
    for (renewal, year) in (2016..2026).enumerate() {
        let dates = [year, year + 1].map(|year| format!("{year}0101000000Z"));
        let mut spec = Spec::ca(&format!("sub{renewal}"), "root").subject("/CN=Sub");
        if renewal > 0 {
            spec = spec.key_of("sub0");
        }
        pool.add(pki.issue(&spec.dates(&dates[0], &dates[1])));
    }
    let spec = Spec::leaf("leaf", "sub0").dates("20160101000000Z", "20260101000000Z");
    let leaf = pki.issue(&spec);
    let trust = Trust::new([pki.load("root")]);
    let judge = ChainJudge::new(&trust, &pool);
    for year in 0..10 {
        let at = 1_451_606_400 + 86_400 * (365 * year + 100);
        assert_eq!(judge.status(&leaf, at), Trusted, "{year}");
        assert_eq!(judge.holding(&leaf, at, true).len(), 1, "{year}");
    }
    assert!(checks(&judge, &leaf) <= 100);
}

/// The certificate with another key and another signature; neither has to be anyone's.
fn forged(certificate: &Certificate, spki: Option<&[u8]>, signature: &[u8]) -> Arc<Certificate> {
    use crate::cert::der::Reader;
    use crate::cms::der;
    let algorithm = der::algorithm(crate::cms::oid::SHA256_WITH_RSA, Some(&[5, 0]));
    let outer = Reader::new(&certificate.der).expect(0x30).unwrap();
    let mut tbs = Reader::new(Reader::new(outer.body).expect(0x30).unwrap().body);
    let mut fields = Vec::new();
    while !tbs.is_empty() {
        fields.push(tbs.next().unwrap().raw);
    }
    fields[2] = &algorithm;
    fields[6] = spki.unwrap_or(fields[6]);
    let bits = der::element(3, &[&[0], signature]);
    let made = der::sequence(&[&der::sequence(&fields), &algorithm, &bits]);
    Arc::new(Certificate::decode(&made).unwrap())
}

/// Sixty authorities of one name, each with the slowest key that is computed with, and a signature of that
/// length below them.
#[test]
fn keys_that_are_slow_to_check_are_checked_less_often() {
    use crate::cms::der;
    let pki = Pki::new();
    let root = pki.issue(&Spec::root("root"));
    let leaf = Spec::leaf("leaf", "root").extension("authorityKeyIdentifier", "none");
    let leaf = forged(&pki.issue(&leaf), None, &[0x3f; 2_048]);
    let trust = Trust::empty();
    let mut pool = Pool::new();
    for i in 0..60 {
        let modulus = [&[0, 0xc0 + i][..], &[0x7f; 2_047]].concat();
        let numbers = [modulus, [&[0][..], &[0xff; 8]].concat()];
        let numbers = numbers.map(|number| der::element(2, &[&number]));
        let key = der::sequence(&[&numbers[0], &numbers[1]]);
        let rsa = der::algorithm(crate::cms::oid::RSA_ENCRYPTION, Some(&[5, 0]));
        let spki = der::sequence(&[&rsa, &der::element(3, &[&[0], &key])]);
        let authority = forged(&root, Some(&spki), &[0x3f; 2_048]);
        assert!(authority.public_key.is_some() && authority.key_name == "rsa-16384");
        pool.add(authority);
    }
    let started = std::time::Instant::now();
    let judge = ChainJudge::new(&trust, &pool);
    assert_ne!(judge.status(&leaf, MID_2021), Trusted);
    // Three in seeking, and the one that OpenSSL was asked about; each counts as sixteen.
    assert_eq!(checks(&judge, &leaf), 64);
    let took = started.elapsed();
    assert!(took.as_millis() < 1_000, "{took:?}");
}
