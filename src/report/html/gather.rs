//! What the page counts along the walk, bounded whatever the archive holds.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use super::super::rows::{CertificateRow, SignatureRow};
use crate::ops::outcome::{ContentIntegrity, MessageFinding, Strength, Verdict};
use crate::text;

/// Names of one kind that are counted apart; a hostile archive can make up more.
const NAMES: usize = 60;
/// Rows of a list.
pub(super) const LISTED: usize = 20;
/// Years before this one are no years of S/MIME.
const FIRST_YEAR: i32 = 1990;
/// A certificate that ends within so many days is told of.
pub(super) const SOON_DAYS: i64 = 90;

/// A year, or `None` where a message has no date that can be true.
pub(super) type Year = Option<i32>;

/// Numbers by name, then by year.
pub(super) type ByYear = BTreeMap<String, BTreeMap<Year, u64>>;

/// Everything counted for the page beside the totals.
#[derive(Debug, Default)]
pub(in super::super) struct Gathered {
    /// The last year that a date may have.
    last_year: i32,
    now: i64,
    /// Messages by what they are.
    pub(super) forms: ByYear,
    /// Signed messages by verdict.
    pub(super) verdicts: ByYear,
    /// Signatures by digest, and messages by content cipher.
    pub(super) digests: ByYear,
    pub(super) ciphers: ByYear,
    /// Messages by how well their content is encrypted, the weakest first.
    pub(super) graded: BTreeMap<Graded, u64>,
    /// Signatures by strength, then by algorithm.
    pub(super) strengths: BTreeMap<String, BTreeMap<String, u64>>,
    /// Signatures that are not valid, by verdict and reason.
    pub(super) reasons: BTreeMap<(String, String), u64>,
    /// The first signatures of each verdict that is not `valid`.
    pub(super) not_valid: BTreeMap<String, Vec<SignatureRow>>,
    /// Certificates that signed.
    signers: HashSet<String>,
    /// Signers' certificates that are over, and that soon will be.
    pub(super) expired: Ending,
    pub(super) expiring: Ending,
    /// How many signers' certificates were seen.
    pub(super) signing_certificates: u64,
}

/// How well a content is encrypted, in order of [`Gathered::graded`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Graded {
    /// By the run's profile.
    pub(super) strength: Reverse<Option<Strength>>,
    pub(super) cipher: String,
    pub(super) integrity: Option<ContentIntegrity>,
}

/// Certificates that end, the first to be told of first.
#[derive(Debug, Default)]
pub(super) struct Ending {
    pub(super) count: u64,
    pub(super) listed: Vec<CertificateRow>,
}

impl Ending {
    fn add(
        &mut self,
        row: &CertificateRow,
        before: impl Fn(&CertificateRow, &CertificateRow) -> bool,
    ) {
        self.count += 1;
        let place = self
            .listed
            .iter()
            .position(|known| before(row, known))
            .unwrap_or(self.listed.len());
        if place < LISTED {
            self.listed.insert(place, row.clone());
            self.listed.truncate(LISTED);
        }
    }
}

fn count(by_year: &mut ByYear, name: &str, year: Year) {
    let name = bounded(by_year.len(), by_year.contains_key(name), name);
    *by_year.entry(name).or_default().entry(year).or_default() += 1;
}

/// `name`, unless there are too many others.
fn bounded(known: usize, is_known: bool, name: &str) -> String {
    if is_known || known < NAMES {
        name.to_owned()
    } else {
        "others".to_owned()
    }
}

impl Gathered {
    /// Nothing yet; `now` is when certificates are held against.
    pub(in super::super) fn new(now: i64) -> Self {
        let last_year = year_of(now).unwrap_or(FIRST_YEAR).saturating_add(1);
        Self {
            last_year,
            now,
            ..Self::default()
        }
    }

    fn year(&self, date: Option<i64>) -> Year {
        date.and_then(year_of)
            .filter(|year| (FIRST_YEAR..=self.last_year).contains(year))
    }

    /// Takes in a message of a mailbox; attached ones have their signatures only.
    /// `signed`: a signature of it was met, which its form does not tell where it is over a part
    /// inside an encrypted layer.
    pub(in super::super) fn message(
        &mut self,
        finding: &MessageFinding,
        signed: bool,
        verdict: Option<Verdict>,
    ) {
        let year = self.year(finding.date);
        if let Some(cipher) = &finding.content_encryption {
            count(&mut self.ciphers, cipher, year);
            let mut kind = Graded {
                strength: Reverse(finding.content_strength),
                cipher: cipher.clone(),
                integrity: finding.content_integrity,
            };
            let is_known = self.graded.contains_key(&kind);
            kind.cipher = bounded(self.graded.len(), is_known, cipher);
            *self.graded.entry(kind).or_default() += 1;
        }
        if !finding.part.is_empty() {
            return;
        }
        count(&mut self.forms, kind(&finding.form, signed), year);
        if let Some(verdict) = verdict {
            count(&mut self.verdicts, verdict.as_str(), year);
        }
    }

    /// Takes in a signature of a message with this date.
    pub(in super::super) fn signature(&mut self, row: &SignatureRow, date: Option<i64>) {
        let year = self.year(date);
        if !row.digest.is_empty() {
            count(&mut self.digests, &row.digest, year);
        }
        if !row.cert_sha256.is_empty() {
            self.signers.insert(row.cert_sha256.clone());
        }
        let algorithm = [&row.digest, &row.algorithm, &row.key]
            .iter()
            .filter(|word| !word.is_empty())
            .map(|word| word.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        let by_name = self.strengths.entry(row.strength.clone()).or_default();
        let name = bounded(by_name.len(), by_name.contains_key(&algorithm), &algorithm);
        *by_name.entry(name).or_default() += 1;
        if row.verdict.is_empty() || row.verdict == Verdict::Valid.as_str() {
            return;
        }
        for reason in row.reasons.split(' ').filter(|reason| !reason.is_empty()) {
            let key = (row.verdict.clone(), reason.to_owned());
            if self.reasons.len() < NAMES * 4 || self.reasons.contains_key(&key) {
                *self.reasons.entry(key).or_default() += 1;
            }
        }
        let listed = self.not_valid.entry(row.verdict.clone()).or_default();
        if listed.len() < LISTED {
            listed.push(row.clone());
        }
    }

    /// Takes in a certificate, after every signature.
    pub(in super::super) fn certificate(&mut self, row: &CertificateRow) {
        if !self.signers.contains(&row.sha256) {
            return;
        }
        self.signing_certificates += 1;
        let Some(end) = text::parse_rfc3339(&row.not_after) else {
            return;
        };
        if end < self.now {
            // Who was seen last is the one who may still be writing.
            self.expired.add(row, |new, known| {
                (&new.last_seen, &known.sha256) > (&known.last_seen, &new.sha256)
            });
        } else if end < self.now.saturating_add(SOON_DAYS * 86_400) {
            self.expiring.add(row, |new, known| {
                (&new.not_after, &new.sha256) < (&known.not_after, &known.sha256)
            });
        }
    }
}

/// Signed, encrypted, both or neither, as far as seen.
fn kind(form: &str, signed: bool) -> &'static str {
    let form = form.strip_prefix("partial:").unwrap_or(form);
    let has = |ends: &[&str]| form.split('>').any(|layer| ends.contains(&layer));
    let signed = signed || has(&["clear-signed", "opaque-signed"]);
    let encrypted = has(&["enveloped", "auth-enveloped", "encrypted"]);
    match (signed, encrypted) {
        (true, false) => SIGNED,
        (false, true) => ENCRYPTED,
        (true, true) => BOTH,
        (false, false) if form == "plain" => PLAIN,
        (false, false) => OTHER,
    }
}

pub(super) const SIGNED: &str = "signed";
pub(super) const ENCRYPTED: &str = "encrypted";
pub(super) const BOTH: &str = "signed and encrypted";
pub(super) const PLAIN: &str = "neither";
pub(super) const OTHER: &str = "other";

fn year_of(seconds: i64) -> Option<i32> {
    text::rfc3339(seconds).get(..4)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::outcome::Action;
    use crate::report::testing;

    #[test]
    fn a_form_is_one_of_four() {
        for (form, expected) in [
            ("plain", PLAIN),
            ("clear-signed", SIGNED),
            ("partial:opaque-signed", SIGNED),
            ("enveloped>clear-signed", BOTH),
            ("auth-enveloped", ENCRYPTED),
            ("certs-only", OTHER),
            ("pgp-signed", OTHER),
        ] {
            assert_eq!(kind(form, false), expected, "{form}");
        }
        // Of a signed part inside, the form says nothing.
        assert_eq!(kind("enveloped", true), BOTH);
        assert_eq!(kind("compressed", true), SIGNED);
    }

    #[test]
    fn hostile_dates_and_names_take_no_room() {
        let mut gathered = Gathered::new(1_700_000_000);
        for number in 0..10_000_i64 {
            let mut finding = testing::finding(Action::Kept);
            finding.date = Some(number.wrapping_mul(40_000_000) - 62_000_000_000);
            finding.content_encryption = Some(number.to_string());
            gathered.message(&finding, false, None);
        }
        assert_eq!(gathered.ciphers.len(), NAMES + 1);
        let years = &gathered.forms[PLAIN];
        assert!(years.len() < 40 && years[&None] > 9_000, "{}", years.len());
        assert_eq!(years.values().sum::<u64>(), 10_000);
    }

    #[test]
    fn who_ends_soon_and_who_has_ended() {
        let now = text::parse_rfc3339("2024-01-01T00:00:00Z").unwrap();
        let mut gathered = Gathered::new(now);
        let row = |sha256: &str, not_after: &str, last_seen: &str| CertificateRow {
            sha256: sha256.into(),
            not_after: not_after.into(),
            last_seen: last_seen.into(),
            ..CertificateRow::default()
        };
        for name in ["a", "b", "c", "d"] {
            gathered.signature(
                &SignatureRow {
                    cert_sha256: name.into(),
                    ..SignatureRow::default()
                },
                None,
            );
        }
        for row in [
            row("a", "2023-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
            row("b", "2023-01-01T00:00:00Z", "2022-01-01T00:00:00Z"),
            row("c", "2024-02-01T00:00:00Z", ""),
            row("d", "2030-01-01T00:00:00Z", ""),
            row("bystander", "2023-01-01T00:00:00Z", ""),
        ] {
            gathered.certificate(&row);
        }
        let names = |ending: &Ending| -> Vec<String> {
            ending.listed.iter().map(|row| row.sha256.clone()).collect()
        };
        assert_eq!(names(&gathered.expired), ["b", "a"]);
        assert_eq!(names(&gathered.expiring), ["c"]);
        assert_eq!(gathered.signing_certificates, 4);
    }
}
