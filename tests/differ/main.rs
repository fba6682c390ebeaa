//! The CMS reader against two others, `rasn-cms` and OpenSSL, over every object of the sample and of
//! `../shared/corpora`, whole and altered: who accepts it, and what it says.
//!
//! `disagreements.txt` explains every class of disagreement; one that is not there is a failure.
//! The suite tries a thousand alterations; `P7MILL_DIFFER=10000` tries as many as are asked for.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and says what it has shown"
)]

use std::collections::BTreeMap;

#[path = "../it/fuzz/mutate.rs"]
mod mutate;
mod openssl_cli;
mod openssl_library;
mod ours;
mod rasn_reader;
#[path = "../it/fuzz/seeds.rs"]
#[allow(dead_code, reason = "fuzzing needs the other seeds")]
mod seeds;
mod summary;
#[path = "../it/fuzz/targets.rs"]
#[allow(dead_code, reason = "the seed of the journal needs its keys")]
mod targets;

use mutate::{Random, altered};
use summary::{Read, Summary};

/// How many alterations the suite tries, and how many of them the program `openssl` reads as well.
const ALTERATIONS: usize = 1_000;
const EVERY: usize = 25;

/// Classes of disagreement, and the first object of each.
#[derive(Default)]
struct Classes(BTreeMap<String, (usize, String, Vec<u8>)>);

impl Classes {
    fn add(&mut self, class: String, name: &str, object: &[u8]) {
        let first = || (0, name.to_owned(), object.to_vec());
        self.0.entry(class).or_insert_with(first).0 += 1;
    }

    /// Where `ours` and a peer's reading part.
    fn compare(&mut self, peer: &str, ours: &Read, theirs: &Read, name: &str, object: &[u8]) {
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                for what in ours.differences(theirs) {
                    self.add(format!("{peer}: {what}"), name, object);
                }
            }
            (Err(why), Ok(_)) => self.add(format!("{peer} accepts: {why}"), name, object),
            (Ok(_), Err(why)) => self.add(format!("{peer} refuses: {why}"), name, object),
            (Err(_), Err(_)) => {}
        }
    }
}

#[test]
fn every_disagreement_is_explained() {
    let count = match std::env::var("P7MILL_DIFFER") {
        Ok(count) => count.parse().expect("a number"),
        Err(_) => ALTERATIONS,
    };
    let objects = seeds::all_objects();
    println!("{} objects", objects.len());
    let small: Vec<_> = objects
        .iter()
        .filter(|(_, object)| object.len() < 20_000)
        .collect();
    let mut classes = Classes::default();
    let mut accepted = 0;
    let mut random = Random::new(5652);
    for (n, (name, object)) in objects.iter().enumerate() {
        accepted += usize::from(try_one(&mut classes, name, object, n % 4 == 0));
    }
    let whole = accepted;
    for n in 0..count {
        let (name, object) = small[random.below(small.len())];
        let (_, other) = small[random.below(small.len())];
        let object = altered(object, other, &mut random);
        let name = format!("{name}, altered, {n}");
        accepted += usize::from(try_one(&mut classes, &name, &object, n % EVERY == 0));
    }
    println!(
        "accepted: {whole} of {} whole, {} of {count} altered",
        objects.len(),
        accepted - whole
    );
    assert!(
        accepted - whole > count / 20,
        "the alterations are too coarse to say anything"
    );
    settle(&classes);
}

/// Reads `object` in every way; whether we accept it.
fn try_one(classes: &mut Classes, name: &str, object: &[u8], ask_program: bool) -> bool {
    let ours = ours::read(object);
    classes.compare("rasn", &ours, &rasn_reader::read(object), name, object);
    classes.compare(
        "libcrypto",
        &ours,
        &openssl_library::read(object),
        name,
        object,
    );
    if ask_program && let Some(theirs) = openssl_cli::read(object) {
        classes.compare("openssl", &ours, &theirs, name, object);
    }
    ours.is_ok()
}

/// Fails where a class is in no line of `disagreements.txt`: `peer: pattern | reason`, a `*` in the
/// pattern stands for anything.
fn settle(classes: &Classes) {
    let known: Vec<(&str, &str)> = include_str!("disagreements.txt")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_once(" | ").expect("pattern | reason"))
        .collect();
    let mut unexplained = Vec::new();
    for (class, (count, name, object)) in &classes.0 {
        let reason = known.iter().find(|(pattern, _)| matches(pattern, class));
        println!(
            "{count:6} {class} [{name}] {}",
            reason.map_or("UNEXPLAINED", |(_, reason)| reason)
        );
        if reason.is_none() {
            let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
                .join(format!("disagreement-{}.der", unexplained.len()));
            let kept = std::fs::write(&file, object).map(|()| file.display().to_string());
            unexplained.push(format!("{class} ({count}; {name}; {kept:?})"));
        }
    }
    assert!(
        unexplained.is_empty(),
        "not in disagreements.txt:\n{}",
        unexplained.join("\n")
    );
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|at| rest.is_char_boundary(*at))
                .any(|at| matches(tail, &rest[at..]))
        }),
    }
}

#[test]
fn patterns_match_what_they_say() {
    for (pattern, text, expected) in [
        ("a*c", "abbc", true),
        ("a*c", "abcd", false),
        ("abc", "abc", true),
        ("*x*", "axb", true),
        ("*x*", "ab", false),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
    }
}

/// What is compared must be able to differ: another signer is seen.
#[test]
fn a_difference_is_seen() {
    let objects = seeds::all_objects();
    let (name, object) = objects
        .iter()
        .find(|(_, object)| matches!(ours::read(object), Ok(Summary { ref signers, .. }) if !signers.is_empty()))
        .expect("a signed object");
    let mut ours = ours::read(object);
    let theirs = ours.clone();
    ours.as_mut().unwrap().signers[0].push('0');
    let mut classes = Classes::default();
    classes.compare("peer", &ours, &theirs, name, object);
    assert_eq!(
        classes.0.into_keys().collect::<Vec<_>>(),
        ["peer: signers differ"]
    );
}
