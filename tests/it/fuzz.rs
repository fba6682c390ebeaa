//! The laws of `fuzz/targets.rs` on the seeds and on some alterations of them; `tests/fuzz/run`
//! looks longer, led by coverage. A name and a number tell which input broke a law, and the input
//! is kept below `target/tmp`.

use std::time::{Duration, Instant};

pub(crate) mod mutate;
pub(crate) mod seeds;
pub(crate) mod targets;

use mutate::{Random, altered};

/// Says which input was being tried when a test panics.
struct Tried<'a> {
    target: &'a str,
    name: &'a str,
    bytes: &'a [u8],
}

impl Drop for Tried<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
                .join(format!("{}-that-broke-a-law", self.target));
            let kept = std::fs::write(&file, self.bytes);
            println!("{} {}: {} {kept:?}", self.target, self.name, file.display());
        }
    }
}

/// Every seed, then `count` alterations of them, always the same.
fn hold(target: &str, most: usize, count: usize) {
    let seeds = seeds::of(target, most);
    assert!(!seeds.is_empty(), "the sample has seeds for {target}");
    let mut slowest = (Duration::ZERO, String::new());
    let mut tried = |name: String, bytes: &[u8]| {
        let begun = Instant::now();
        let guard = Tried {
            target,
            name: &name,
            bytes,
        };
        targets::check(target, bytes);
        drop(guard);
        if begun.elapsed() > slowest.0 {
            slowest = (begun.elapsed(), name);
        }
    };
    for (name, bytes) in &seeds {
        tried(name.clone(), bytes);
    }
    let mut random = Random::new(20_261_124);
    for n in 0..count {
        let (name, bytes) = &seeds[random.below(seeds.len())];
        let (_, other) = &seeds[random.below(seeds.len())];
        tried(
            format!("{name}, altered, {n}"),
            &altered(bytes, other, &mut random),
        );
    }
    println!(
        "{target}: {} seeds, {count} alterations, slowest {slowest:?}",
        seeds.len()
    );
}

#[test]
fn targets_are_those_of_the_fuzzing_package() {
    let folder = crate::support::repository().join("tests/fuzz/fuzz_targets");
    for target in targets::ALL {
        let text = std::fs::read_to_string(folder.join(format!("{target}.rs"))).expect(target);
        assert!(text.contains(&format!("check(\"{target}\"")), "{target}");
    }
    assert_eq!(
        std::fs::read_dir(folder).unwrap().count(),
        targets::ALL.len()
    );
}

#[test]
fn mbox_holds() {
    hold("mbox", 32 << 10, 300);
}

#[test]
fn mime_holds() {
    hold("mime", 16 << 10, 1000);
}

#[test]
fn ber_holds() {
    hold("ber", 16 << 10, 2000);
}

#[test]
fn cms_holds() {
    hold("cms", 8 << 10, 500);
}

#[test]
fn message_holds() {
    hold("message", 16 << 10, 300);
}

#[test]
fn keys_hold() {
    hold("keys", 8 << 10, 200);
}

#[test]
fn journal_holds() {
    hold("journal", 32 << 10, 200);
}

#[test]
fn certificate_holds() {
    hold("certificate", 8 << 10, 1000);
}
