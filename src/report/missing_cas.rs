//! Which certificates of authorities are missing, and how many signatures they would turn: roots
//! that nobody named and issuers that nobody has.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::MissingCaRow;
use crate::text;

/// Where a path ends without reaching an anchor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct End {
    /// The name of the authority whose certificate is wanted (RFC 4514).
    pub(super) subject: String,
    /// `root`: it is known, and to be named with `--trust` if it is to be trusted; `issuer`: it is
    /// not known.
    pub(super) kind: &'static str,
    /// Of the root's certificate, lower-case hex.
    pub(super) sha256: String,
    /// Key identifier of the authority, lower-case hex, where it is told.
    pub(super) ski: String,
}

/// What ends there.
#[derive(Debug, Default)]
struct Ended {
    signers: BTreeSet<String>,
    signatures: u64,
    would_be_valid: u64,
    first: Option<i64>,
    last: Option<i64>,
}

/// Gathers where the paths of intact signatures end.
#[derive(Debug, Default)]
pub(super) struct MissingCas {
    ends: BTreeMap<End, Ended>,
}

impl MissingCas {
    /// Takes in one signature: by whom, when, and whether nothing but the path keeps it from being
    /// `valid`.
    pub(super) fn add(&mut self, end: End, signer: &str, date: Option<i64>, only_path: bool) {
        let ended = self.ends.entry(end).or_default();
        // Beyond this many it does not matter how many more.
        if ended.signers.len() < 100_000 && !ended.signers.contains(signer) {
            ended.signers.insert(signer.to_owned());
        }
        ended.signatures += 1;
        ended.would_be_valid += u64::from(only_path);
        ended.first = ended.first.into_iter().chain(date).min();
        ended.last = ended.last.max(date);
    }

    /// The rows: what turns the most first, by what it could make `valid`, then by how many end
    /// there; among equals by name.
    pub(super) fn rows(self) -> Vec<MissingCaRow> {
        let total: u64 = self.ends.values().map(|ended| ended.signatures).sum();
        let mut ends: Vec<(End, Ended)> = self.ends.into_iter().collect();
        ends.sort_by(|(a, ended), (b, other)| {
            (other.would_be_valid, other.signatures)
                .cmp(&(ended.would_be_valid, ended.signatures))
                .then_with(|| a.cmp(b))
        });
        let mut covered = 0;
        ends.into_iter()
            .map(|(end, ended)| {
                covered += ended.signatures;
                MissingCaRow {
                    issuer: end.subject,
                    kind: end.kind.to_owned(),
                    sha256: end.sha256,
                    ski: end.ski,
                    signers: ended.signers.len() as u64,
                    signatures: ended.signatures,
                    would_be_valid: ended.would_be_valid,
                    first_date: ended.first.map(text::rfc3339).unwrap_or_default(),
                    last_date: ended.last.map(text::rfc3339).unwrap_or_default(),
                    cumulative_percent: super::missing::percent(covered, total),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(subject: &str, kind: &'static str) -> End {
        End {
            subject: subject.to_owned(),
            kind,
            sha256: String::new(),
            ski: String::new(),
        }
    }

    #[test]
    fn what_turns_the_most_comes_first() {
        let mut missing = MissingCas::default();
        for (subject, kind, signer, times, only_path) in [
            ("CN=many", "root", "a", 5, false),
            ("CN=few", "issuer", "b", 2, true),
            ("CN=few", "issuer", "c", 1, true),
            ("CN=one", "root", "d", 1, false),
        ] {
            for date in 0..times {
                missing.add(end(subject, kind), signer, Some(date), only_path);
            }
        }
        let rows = missing.rows();
        let short: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    row.issuer.as_str(),
                    row.signers,
                    row.signatures,
                    row.would_be_valid,
                    row.cumulative_percent.as_str(),
                )
            })
            .collect();
        assert_eq!(
            short,
            [
                ("CN=few", 2, 3, 3, "33.3"),
                ("CN=many", 1, 5, 0, "88.8"),
                ("CN=one", 1, 1, 0, "100.0")
            ]
        );
        assert_eq!(rows[1].last_date, "1970-01-01T00:00:04Z");
    }
}
