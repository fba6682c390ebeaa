//! Lists that `openssl ca -gencrl` makes, with revocation before, at and after the clock.

use std::time::Instant;

use super::*;
use crate::cert::testing::{List, MID_2021, Pki, Spec};
use crate::cms::der;
use Revocation::{Good, Revoked, Unknown};

const YEAR: i64 = 31_557_600;
const Y2020: i64 = 1_577_836_800;

/// A root, a CA, Ann (2020 to 2022), and what lists say of them.
struct World {
    pki: Pki,
    path: CertPath,
    trust: Trust,
    pool: Pool,
}

impl World {
    fn new() -> Self {
        let pki = Pki::new();
        let root = pki.issue(&Spec::root("root"));
        let ca = pki.issue(&Spec::ca("ca", "root"));
        let ann = pki.issue(&Spec::leaf("ann", "ca"));
        let mut pool = Pool::new();
        pool.add(Arc::clone(&ca));
        Self {
            pki,
            path: vec![ann, ca, Arc::clone(&root)],
            trust: Trust::new([root]),
            pool,
        }
    }

    /// With a list for the CA itself, which says nothing against it until 2030.
    fn ask(&self, lists: &[&List], times: &[i64]) -> Vec<Answer> {
        let root = List::by("root", "20190101000000Z", "20300101000000Z");
        let lists: Vec<Arc<Crl>> = lists
            .iter()
            .chain([&&root])
            .map(|list| self.pki.list(list))
            .collect();
        let judge = RevocationJudge::new(&lists, &self.trust, &self.pool);
        times
            .iter()
            .map(|at| judge.of_path(&self.path, *at))
            .collect()
    }

    fn status(&self, lists: &[&List], times: &[i64]) -> Vec<Revocation> {
        let answers = self.ask(lists, times);
        answers.into_iter().map(|answer| answer.status).collect()
    }
}

#[test]
fn past_times_are_judged_by_dates_and_compromise_by_none() {
    let world = World::new();
    let before = MID_2021 - 1;
    let times = [Y2020, before, MID_2021, MID_2021 + YEAR / 2];
    let list = |entry: &str| {
        let list = List::by("ca", "20211201000000Z", "20220101000000Z");
        if entry.is_empty() {
            list
        } else {
            list.revoked("ann", entry)
        }
    };
    for (entry, expected) in [
        ("", [Good, Good, Good, Good]),
        // At the second of the revocation it is revoked.
        ("210101000000Z", [Good, Good, Revoked, Revoked]),
        ("210101000000Z,superseded", [Good, Good, Revoked, Revoked]),
        ("211001000000Z,superseded", [Good, Good, Good, Good]),
        ("210101000000Z,keyCompromise", [Revoked; 4]),
        ("211001000000Z,CACompromise", [Revoked; 4]),
        // invalidityDate 2020-07-01, revoked a year later; the reason is compromise of the key.
        ("210701000000Z,keyTime,20200701000000Z", [Revoked; 4]),
    ] {
        assert_eq!(world.status(&[&list(entry)], &times), expected, "{entry}");
    }
}

#[test]
fn the_invalidity_date_counts_without_a_compromise() {
    let world = World::new();
    // `openssl ca` writes the date only beside keyCompromise; the reason is changed to superseded
    // and the list signed anew.
    let list = List::by("ca", "20211201000000Z", "20220101000000Z")
        .revoked("ann", "210701000000Z,keyTime,20200701000000Z")
        .patched(&[0x0a, 0x01, 0x01], &[0x0a, 0x01, 0x04]);
    let july_2020 = 1_593_561_600;
    assert_eq!(
        world.status(&[&list], &[july_2020 - 1, july_2020, MID_2021]),
        [Good, Revoked, Revoked]
    );
}

#[test]
fn no_list_an_old_one_a_later_one() {
    let world = World::new();
    assert_eq!(world.status(&[], &[MID_2021]), [Unknown]);
    // In force from June to July 2020.
    let short = List::by("ca", "20200601000000Z", "20200701000000Z");
    let answers = world.ask(&[&short], &[Y2020, 1_592_000_000, MID_2021]);
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [Good, Good, Unknown]);
    assert_eq!(answers[2].notes, ["crl-outdated"]);
    // A later one counts for the past.
    let later = List::by("ca", "20210601000000Z", "20210701000000Z");
    assert_eq!(world.status(&[&short, &later], &[MID_2021]), [Good]);
    // Issued after Ann's certificate had expired: silence says nothing …
    let after = List::by("ca", "20230101000000Z", "20230201000000Z");
    let answer = &world.ask(&[&after], &[MID_2021])[0];
    assert_eq!(
        (answer.status, answer.notes.as_slice()),
        (Unknown, &["crl-after-expiry"][..])
    );
    // … unless it keeps those that expired since 2015; an entry counts in any case.
    let keeps = after
        .clone()
        .extension("2.5.29.60", "DER:180F32303135303130313030303030305A");
    assert_eq!(world.status(&[&keeps], &[MID_2021]), [Good]);
    let listed = after.revoked("ann", "200601000000Z");
    assert_eq!(
        world.status(&[&listed], &[Y2020, MID_2021]),
        [Good, Revoked]
    );
}

#[test]
fn a_hold_ends_with_the_list_that_no_longer_has_it() {
    let world = World::new();
    let hold = List::by("ca", "20210101000000Z", "20210201000000Z")
        .revoked("ann", "201201000000Z,certificateHold");
    let (held, freed) = (MID_2021 - 86_400, MID_2021 + 200 * 86_400);
    assert_eq!(
        world.status(&[&hold], &[Y2020, held, freed]),
        [Good, Revoked, Revoked]
    );
    let later = List::by("ca", "20210601000000Z", "20211201000000Z");
    assert_eq!(
        world.status(&[&hold, &later], &[Y2020, held, freed]),
        [Good, Revoked, Good]
    );
    let removal = List::by("ca", "20210601000000Z", "20211201000000Z")
        .extension("2.5.29.27", "critical,DER:020101")
        .revoked("ann", "201201000000Z,removeFromCRL");
    // A delta takes the hold back, but vouches for nothing by itself.
    assert_eq!(
        world.status(&[&hold, &removal], &[held, freed]),
        [Revoked, Unknown]
    );
}

#[test]
fn every_certificate_of_the_path_counts() {
    let world = World::new();
    let of_ann = List::by("ca", "20211201000000Z", "20220101000000Z");
    let of_ca = List::by("root", "20211201000000Z", "20220101000000Z")
        .revoked("ca", "210101000000Z,superseded");
    assert_eq!(
        world.status(&[&of_ann, &of_ca], &[Y2020, MID_2021]),
        // What the CA signed after its revocation says nothing for Ann either.
        [Revocation::Unknown, Revoked]
    );
    let compromised = List::by("root", "20211201000000Z", "20220101000000Z")
        .revoked("ca", "210101000000Z,CACompromise");
    assert_eq!(world.status(&[&of_ann, &compromised], &[Y2020]), [Revoked]);
}

#[test]
fn lists_of_strangers_and_of_what_is_not_understood_say_nothing() {
    let world = World::new();
    let list = || {
        List::by("ca", "20211201000000Z", "20220101000000Z")
            .revoked("ann", "200601000000Z,superseded")
    };
    assert_eq!(world.status(&[&list()], &[MID_2021]), [Revoked]);
    // Another authority of the same name.
    world
        .pki
        .issue(&Spec::root("stranger").subject("/C=DE/O=Test/CN=ca"));
    let forged = List::by("stranger", "20211201000000Z", "20220101000000Z")
        .revoked("ann", "200601000000Z,keyCompromise");
    let answer = &world.ask(&[&forged], &[MID_2021])[0];
    assert_eq!(answer.status, Unknown);
    assert_eq!(answer.notes, ["crl-untrusted"]);
    // A critical extension that nobody knows.
    let odd = list().extension("1.2.3.4", "critical,DER:0500");
    let answer = &world.ask(&[&odd], &[MID_2021])[0];
    assert_eq!(
        (answer.status, answer.notes.as_slice()),
        (Unknown, &["crl-unsupported"][..])
    );
    // Only of authorities, only of another place, only of some reasons.
    for scope in [
        "onlyCA:TRUE",
        "fullname:URI:http://elsewhere.example/",
        "onlysomereasons:keyCompromise",
    ] {
        let (name, value) = scope.split_once(':').unwrap();
        let scoped = List::by("ca", "20211201000000Z", "20220101000000Z").scope(name, value);
        assert_eq!(world.status(&[&scoped], &[MID_2021]), [Unknown], "{scope}");
    }
    // An authority that may sign certificates, but no lists.
    world.pki.issue(
        &Spec::ca("nolists", "root")
            .subject("/C=DE/O=Test/CN=ca")
            .key_of("ca")
            .extension("keyUsage", "critical,keyCertSign"),
    );
    let mut pool = Pool::new();
    pool.add(world.pki.load("nolists"));
    let lists = [world.pki.list(&list())];
    let judge = RevocationJudge::new(&lists, &world.trust, &pool);
    assert_eq!(judge.of_path(&world.path, MID_2021).status, Unknown);
}

#[test]
fn a_million_entries_are_indexed_once_and_garbage_is_told() {
    let world = World::new();
    let ann = &world.path[0];
    let date = der::element(0x17, &[b"200601000000Z"]);
    let entry = |serial: &[u8]| der::sequence(&[&der::element(2, &[serial]), &date]);
    let mut entries = Vec::with_capacity(40 << 20);
    for serial in 0..1_000_000_u64 {
        let mut bytes = [0x11; 16];
        bytes[8..].copy_from_slice(&serial.to_be_bytes());
        entries.extend(entry(&bytes));
    }
    entries.extend(entry(&ann.serial));
    let algorithm = der::sequence(&[&der::element(
        6,
        &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]],
    )]);
    let tbs = der::sequence(&[
        &der::integer(1),
        &algorithm,
        &ann.issuer_der,
        &date,
        &date,
        &der::sequence(&[&entries]),
    ]);
    let whole = der::sequence(&[&tbs, &algorithm, &der::element(3, &[&[0, 1]])]);
    let begun = Instant::now();
    let list = Crl::decode(&whole).unwrap();
    assert_eq!(list.len(), 1_000_001);
    for _ in 0..10_000 {
        assert_eq!(list.entries(ann).len(), 1);
    }
    assert!(list.entries(&world.path[1]).is_empty());
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());

    let small = world.pki.list(
        &List::by("ca", "20211201000000Z", "20220101000000Z").revoked("ann", "200601000000Z"),
    );
    for cut in 0..small.der.len() {
        assert!(Crl::decode(&small.der[..cut]).is_err(), "{cut}");
        let mut flipped = small.der.to_vec();
        flipped[cut] ^= 0x40;
        if let Ok(list) = Crl::decode(&flipped) {
            let judge = RevocationJudge::new(&[], &world.trust, &world.pool);
            assert!(judge.signers_of(&list).is_empty(), "{cut}");
        }
    }
}
