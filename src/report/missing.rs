//! Whose key files are still needed: the smallest set that would open the most, by greedy cover.
//!
//! A message that no key at hand opens is opened by the key of any *one* of its recipients. Taking
//! again and again the key that opens the most of what is left is within a factor of ln n of the
//! smallest set, and nothing better is to be had in polynomial time (Feige 1998).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};

use super::record::MessageRecord;
use super::rows::MissingKeyRow;
use crate::ops::outcome::{Action, KeyStatus, MessageFinding, RecipientFinding, RecipientKind};
use crate::text;

/// Tells whose a recipient's issuer and serial, or key identifier, are: the SHA-256 of the
/// certificate, and its first address.
pub type Known<'a> = dyn Fn(&str, &str, &str) -> Option<([u8; 32], Option<String>)> + 'a;

/// A message to more people than these says little of whose each key is.
const ADDRESSED: usize = 16;
/// Addresses that are weighed for one key.
const WEIGHED: usize = 256;
/// Addresses that are named where none is likelier than another.
const NAMED: usize = 3;

/// Words for `owner`.
const OURS: &str = "ours";
const OTHER: &str = "other";

/// Gathers the recipients of unopened messages.
#[derive(Debug, Default)]
pub struct Missing {
    /// Domains of the house, in lower case; empty where nobody named one.
    our_domains: Vec<String>,
    /// How many unopened layers are addressed to each address.
    addressed: HashMap<String, u32>,
    keys: Vec<Key>,
    by_name: HashMap<Name, u32>,
    /// For each unopened layer, its recipients: indices into `keys`.
    locks: Vec<Box<[u32]>>,
    wait_for_secret: u64,
    /// Of these, those that a passphrase is named for, and those that a shared key is.
    wait_for_passphrase: u64,
    wait_for_shared_key: u64,
    beyond_key_files: u64,
}

/// What a RecipientInfo calls its recipient, in order of preference for rows with equal counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Name {
    issuer: String,
    serial: String,
    ski: String,
}

#[derive(Debug)]
struct Key {
    name: Name,
    status: KeyStatus,
    /// From a certificate that was known when the message was read.
    address: Option<String>,
    /// How many unopened layers that name it were sent to each address.
    guesses: BTreeMap<String, u32>,
    first: Option<i64>,
    last: Option<i64>,
    /// How many unopened layers name it.
    layers: u64,
}

impl Missing {
    /// Nothing yet. Keys of people in `our_domains`, or below one of them, can be looked for in
    /// the house, so the cover takes these first.
    pub fn new(our_domains: &[String]) -> Self {
        Self {
            our_domains: our_domains.iter().map(|d| d.to_lowercase()).collect(),
            ..Self::default()
        }
    }

    /// Takes in one message; tells whether it, or one attached to it, waits for somebody's key.
    pub fn add(&mut self, record: &MessageRecord) -> bool {
        let before = self.locks.len();
        for message in &record.findings.messages {
            // Of the rest, some were opened by a key that no recipient is named for, and some no
            // key would open.
            if !matches!(
                message.action,
                Action::Kept | Action::Signed | Action::NoKey | Action::Locked
            ) || was_opened(message)
            {
                continue;
            }
            let of_part = record
                .findings
                .recipients
                .iter()
                .filter(|r| r.part == message.part);
            // The innermost layer that is seen is the one that did not open. EncryptedData has no
            // recipients.
            let layer = if encrypted_layers(&message.form).next_back() == Some("encrypted") {
                None
            } else {
                of_part.clone().map(|r| r.layer).max()
            };
            let of_layer = of_part.filter(|r| Some(r.layer) == layer);
            if !self.add_layer(of_layer.clone(), message) {
                self.add_other(of_layer, message);
            }
        }
        self.locks.len() > before
    }

    /// Takes in what no key of a recipient's would open, and why.
    fn add_other<'a>(
        &mut self,
        mut recipients: impl Iterator<Item = &'a RecipientFinding> + Clone,
        message: &MessageFinding,
    ) {
        let has_key = recipients
            .clone()
            .any(|recipient| recipient.key_status == KeyStatus::Open);
        let reason = message.reason.as_deref().unwrap_or_default();
        if has_key {
            self.beyond_key_files += u64::from(reason == "originator-certificate-missing");
        } else if recipients.clone().next().is_none() {
            let is_encrypted_data = encrypted_layers(&message.form).next_back().is_some();
            self.wait_for_secret += u64::from(is_encrypted_data);
        } else if recipients
            .clone()
            .any(|recipient| recipient.key_status == KeyStatus::Password)
        {
            self.wait_for_secret += 1;
            let mut any = |wanted| recipients.any(|recipient| recipient.kind == wanted);
            if any(RecipientKind::Pwri) {
                self.wait_for_passphrase += 1;
            } else {
                self.wait_for_shared_key += 1;
            }
        } else {
            self.beyond_key_files += 1;
        }
    }

    /// Takes in a layer that a recipient's key would open; tells whether it is one.
    fn add_layer<'a>(
        &mut self,
        recipients: impl Iterator<Item = &'a RecipientFinding> + Clone,
        message: &MessageFinding,
    ) -> bool {
        if recipients.clone().any(|r| r.key_status == KeyStatus::Open) {
            return false;
        }
        let date = message.date;
        let mut lock: Vec<u32> = recipients
            .clone()
            .filter_map(|r| self.key(r, date))
            .collect();
        lock.sort_unstable();
        lock.dedup();
        let candidates = candidates(recipients, message, lock.len());
        for address in &candidates {
            *self.addressed.entry(address.clone()).or_default() += 1;
        }
        for &index in &lock {
            if let Some(key) = self.keys.get_mut(index as usize) {
                key.layers += 1;
                key.weigh(&candidates);
            }
        }
        let has_key = !lock.is_empty();
        if has_key {
            self.locks.push(lock.into());
        }
        has_key
    }

    fn key(&mut self, recipient: &RecipientFinding, date: Option<i64>) -> Option<u32> {
        let kind_has_key = matches!(recipient.kind, RecipientKind::Ktri | RecipientKind::Kari);
        if !kind_has_key || !matches!(recipient.key_status, KeyStatus::Missing | KeyStatus::Locked)
        {
            return None;
        }
        let name = Name {
            issuer: recipient.issuer.clone(),
            serial: recipient.serial.clone(),
            ski: recipient.ski.clone(),
        };
        let next = u32::try_from(self.keys.len()).ok()?;
        let index = *self.by_name.entry(name.clone()).or_insert(next);
        if index == next {
            self.keys.push(Key {
                name,
                status: KeyStatus::Missing,
                address: None,
                guesses: BTreeMap::new(),
                first: None,
                last: None,
                layers: 0,
            });
        }
        let key = self.keys.get_mut(index as usize)?;
        if recipient.key_status == KeyStatus::Locked {
            key.status = KeyStatus::Locked;
        }
        if key.address.is_none()
            && !recipient.address.is_empty()
            && !recipient.cert_sha256.is_empty()
        {
            key.address = Some(recipient.address.clone());
        }
        if let Some(date) = date {
            key.first = Some(key.first.map_or(date, |first| first.min(date)));
            key.last = Some(key.last.map_or(date, |last| last.max(date)));
        }
        Some(index)
    }

    /// How many layers no key at hand opened though some key would.
    pub fn unopened(&self) -> u64 {
        self.locks.len() as u64
    }

    /// How many layers wait for a passphrase or a shared key.
    pub fn wait_for_secret(&self) -> u64 {
        self.wait_for_secret
    }

    /// How many of these name a passphrase (pwri), and how many a shared key (kekri); of the rest,
    /// EncryptedData, nothing says which it is.
    pub fn wait_for_either(&self) -> (u64, u64) {
        (self.wait_for_passphrase, self.wait_for_shared_key)
    }

    /// How many layers stay closed whatever key file is found: their recipients have no key that
    /// this version can use, or the key is there and lacks something else.
    pub fn beyond_key_files(&self) -> u64 {
        self.beyond_key_files
    }

    /// The rows, the key that newly opens the most first; among equals by name. `known` tells the
    /// certificate of an issuer and serial, or of a key identifier: one key goes by both.
    pub fn rows(&mut self, known: &Known<'_>) -> Vec<MissingKeyRow> {
        self.unite(known);
        let certain: Vec<Option<String>> = self.keys.iter().map(|key| key.certain(known)).collect();
        let taken: HashSet<&str> = certain.iter().flatten().map(String::as_str).collect();
        let owners: Vec<Owner> = self
            .keys
            .iter()
            .zip(&certain)
            .map(|(key, certain)| match certain {
                Some(address) => self.owner(std::slice::from_ref(address), "certificate"),
                None => self.owner(&key.likely(&self.addressed, &taken), "guessed"),
            })
            .collect();
        let total = self.unopened();
        let mut opened = 0;
        let cover = self.cover(&owners);
        cover
            .into_iter()
            .filter_map(|(index, newly)| {
                let key = self.keys.get(index as usize)?;
                let owner = owners.get(index as usize)?;
                opened += newly;
                Some(key.row(newly, percent(opened, total), owner))
            })
            .collect()
    }

    /// Whose a key is, and whether they are of the house.
    fn owner(&self, addresses: &[String], source: &'static str) -> Owner {
        let ours = |address: &String| {
            let domain = address
                .rsplit('@')
                .next()
                .unwrap_or_default()
                .to_lowercase();
            self.our_domains.iter().any(|own| {
                domain
                    .strip_suffix(own.as_str())
                    .is_some_and(|before| before.is_empty() || before.ends_with('.'))
            })
        };
        let word = if addresses.is_empty() || self.our_domains.is_empty() {
            ""
        } else if addresses.iter().all(ours) {
            OURS
        } else if addresses.iter().any(ours) {
            ""
        } else {
            OTHER
        };
        Owner {
            source: if addresses.is_empty() { "" } else { source },
            address: addresses.join(" "),
            word,
        }
    }

    /// Makes one of the keys that go by two names.
    fn unite(&mut self, known: &Known<'_>) {
        let mut first = HashMap::new();
        let mut same = vec![0_u32; self.keys.len()];
        for (index, key) in (0_u32..).zip(&self.keys) {
            let Name {
                issuer,
                serial,
                ski,
            } = &key.name;
            let certificate = known(issuer, serial, ski);
            let one = certificate.map_or(index, |(c, _)| *first.entry(c).or_insert(index));
            if let Some(slot) = same.get_mut(index as usize) {
                *slot = one;
            }
        }
        for (index, one) in same.iter().enumerate() {
            if *one as usize == index {
                continue;
            }
            let (front, rest) = self.keys.split_at_mut(index);
            if let (Some(key), Some(other)) = (front.get_mut(*one as usize), rest.first_mut()) {
                key.take(other);
            }
        }
        for lock in &mut self.locks {
            let mut keys: Vec<u32> = lock
                .iter()
                .filter_map(|k| same.get(*k as usize).copied())
                .collect();
            keys.sort_unstable();
            keys.dedup();
            *lock = keys.into();
        }
    }

    /// The chosen keys and how many layers each newly opens.
    ///
    /// Every key stands in the heap once, under a count that may be too high; one found too high
    /// goes back with the right count. A key goes back only after its count fell, so the whole is
    /// linear in the number of recipients, but for the heap's logarithm.
    fn cover(&self, owners: &[Owner]) -> Vec<(u32, u64)> {
        let mut by_key: Vec<Vec<u32>> = vec![Vec::new(); self.keys.len()];
        for (lock, keys) in (0_u32..).zip(&self.locks) {
            for &key in keys {
                if let Some(locks) = by_key.get_mut(key as usize) {
                    locks.push(lock);
                }
            }
        }
        let mut counts: Vec<u64> = by_key.iter().map(|locks| locks.len() as u64).collect();
        let mut open = vec![false; self.locks.len()];
        // Keys that can be looked for in the house go first, then those nobody knows.
        let rank = |owner: &Owner| match owner.word {
            OURS => 2_u8,
            OTHER => 0,
            _ => 1,
        };
        let mut heap: BinaryHeap<(u8, u64, Reverse<&Name>, u32)> = (0_u32..)
            .zip(self.keys.iter().zip(&counts))
            .map(|(index, (key, count))| {
                let rank = owners.get(index as usize).map_or(1, rank);
                (rank, *count, Reverse(&key.name), index)
            })
            .collect();
        let mut chosen = Vec::new();
        while let Some((rank, claimed, name, index)) = heap.pop() {
            let count = counts.get(index as usize).copied().unwrap_or(0);
            if count == 0 {
                continue;
            }
            if count < claimed {
                heap.push((rank, count, name, index));
                continue;
            }
            chosen.push((index, count));
            for &lock in by_key.get(index as usize).into_iter().flatten() {
                if open
                    .get_mut(lock as usize)
                    .is_none_or(|open| std::mem::replace(open, true))
                {
                    continue;
                }
                for &other in self.locks.get(lock as usize).into_iter().flatten() {
                    if let Some(count) = counts.get_mut(other as usize) {
                        *count -= 1;
                    }
                }
            }
        }
        chosen
    }
}

impl Key {
    /// Takes over what was told of the same key by another name. (A layer that names it by both is
    /// counted twice; nobody writes such.)
    fn take(&mut self, other: &mut Self) {
        if self.name.serial.is_empty() {
            std::mem::swap(&mut self.name, &mut other.name);
        }
        if self.name.ski.is_empty() {
            self.name.ski.clone_from(&other.name.ski);
        }
        if other.status == KeyStatus::Locked {
            self.status = KeyStatus::Locked;
        }
        self.address = self.address.take().or_else(|| other.address.take());
        for (address, layers) in std::mem::take(&mut other.guesses) {
            *self.guesses.entry(address).or_default() += layers;
        }
        self.first = self.first.into_iter().chain(other.first).min();
        self.last = self.last.max(other.last);
        self.layers += std::mem::take(&mut other.layers);
    }

    /// Its address as a certificate says it.
    fn certain(&self, known: &Known<'_>) -> Option<String> {
        let Name {
            issuer,
            serial,
            ski,
        } = &self.name;
        self.address
            .clone()
            .or_else(|| known(issuer, serial, ski)?.1)
    }

    /// Takes in to whom a layer that names it was sent.
    fn weigh(&mut self, candidates: &[String]) {
        for address in candidates {
            if let Some(layers) = self.guesses.get_mut(address) {
                *layers += 1;
            } else if self.guesses.len() < WEIGHED {
                self.guesses.insert(address.clone(), 1);
            }
        }
    }

    /// Whose it is likely to be: who was addressed in most of what names it, in more than half of
    /// it; among these who is least often addressed elsewhere, and has no other key. Several where
    /// none is likelier.
    fn likely(&self, addressed: &HashMap<String, u32>, taken: &HashSet<&str>) -> Vec<String> {
        let rank = |address: &String, layers: u32| {
            let elsewhere = addressed.get(address).copied().unwrap_or(0);
            (Reverse(layers), elsewhere, taken.contains(address.as_str()))
        };
        let half = |layers: u32| u64::from(layers) * 2 > self.layers;
        let best = self
            .guesses
            .iter()
            .filter(|(_, layers)| half(**layers))
            .map(|(address, layers)| rank(address, *layers))
            .min();
        let Some(best) = best else {
            return Vec::new();
        };
        let likely: Vec<String> = self
            .guesses
            .iter()
            .filter(|(address, layers)| rank(address, **layers) == best)
            .map(|(address, _)| address.clone())
            .collect();
        if likely.len() > NAMED {
            Vec::new()
        } else {
            likely
        }
    }

    fn row(&self, newly_opened: u64, cumulative_percent: String, owner: &Owner) -> MissingKeyRow {
        let Name {
            issuer,
            serial,
            ski,
        } = self.name.clone();
        MissingKeyRow {
            issuer,
            serial,
            ski,
            address: owner.address.clone(),
            address_source: owner.source.into(),
            messages: self.layers,
            first_date: self.first.map(text::rfc3339).unwrap_or_default(),
            last_date: self.last.map(text::rfc3339).unwrap_or_default(),
            key_status: self.status.as_str().into(),
            newly_opened,
            cumulative_percent,
            owner: owner.word.into(),
        }
    }
}

/// Whose a key is.
struct Owner {
    /// Joined by a space.
    address: String,
    /// How that is known.
    source: &'static str,
    /// Of the house, of others, or empty where that is not known.
    word: &'static str,
}

/// The encrypted layers of a form, from the outside.
fn encrypted_layers(form: &str) -> impl DoubleEndedIterator<Item = &str> {
    let form = form.strip_prefix("partial:").unwrap_or(form);
    form.split('>')
        .filter(|layer| matches!(*layer, "enveloped" | "auth-enveloped" | "encrypted"))
}

/// Whether a message that stays as it is was looked into, all layers that are seen.
fn was_opened(message: &MessageFinding) -> bool {
    matches!(message.action, Action::Kept)
        && message.opened_with.is_some()
        && encrypted_layers(&message.form).count() <= 1
}

/// Who may own one of `keys` unknown keys of a message: to whom it was sent, but for recipients
/// whose certificate is known; its sender too, where there are more keys than people.
fn candidates<'a>(
    recipients: impl Iterator<Item = &'a RecipientFinding>,
    message: &MessageFinding,
    keys: usize,
) -> Vec<String> {
    let owned: HashSet<String> = recipients
        .filter(|recipient| !recipient.cert_sha256.is_empty())
        .map(|recipient| recipient.address.to_lowercase())
        .collect();
    let lower = |addresses: &[String]| -> Vec<String> {
        let lower = addresses.iter().map(|address| address.to_lowercase());
        lower.filter(|address| !owned.contains(address)).collect()
    };
    let mut candidates = lower(&message.sent_to);
    let unknown = keys.saturating_sub(owned.len());
    candidates.sort_unstable();
    candidates.dedup();
    if unknown > candidates.len() {
        candidates.extend(lower(&message.from));
        candidates.sort_unstable();
        candidates.dedup();
    }
    if candidates.len() > ADDRESSED {
        candidates.clear();
    }
    candidates
}

/// With one decimal, rounded down: "at least 97.3 %" must hold.
pub(super) fn percent(part: u64, whole: u64) -> String {
    let tenths = u128::from(part) * 1000 / u128::from(whole.max(1));
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing;
    use std::time::Instant;

    fn sealed(to: &[&str], date: i64) -> MessageRecord {
        let mut record = testing::message("m", 1, Action::NoKey);
        record.findings.messages[0].date = Some(date);
        record.findings.recipients = to
            .iter()
            .map(|who| testing::recipient(who, KeyStatus::Missing))
            .collect();
        record
    }

    #[test]
    fn what_no_key_file_opens_is_counted_apart() {
        use KeyStatus::{Missing as Gone, Open, Password};
        use RecipientKind::{Ktri, Ori, Pwri};
        let mut missing = Missing::default();
        let add = |missing: &mut Missing, action, form: &str, kind, status, reason| {
            let mut record = sealed(&[], 0);
            let finding = &mut record.findings.messages[0];
            finding.action = action;
            finding.form = form.into();
            finding.reason = reason;
            if let Some(kind) = kind {
                let mut recipient = testing::recipient("a", status);
                recipient.kind = kind;
                record.findings.recipients.push(recipient);
            }
            missing.add(&record);
            let counts = (
                missing.unopened(),
                missing.wait_for_secret(),
                missing.beyond_key_files(),
            );
            *missing = Missing::default();
            counts
        };
        for (action, form, kind, status, reason, expected) in [
            (
                Action::Signed,
                "enveloped",
                Some(Ktri),
                Gone,
                None,
                (1, 0, 0),
            ),
            (
                Action::Signed,
                "enveloped",
                Some(Ktri),
                Open,
                None,
                (0, 0, 0),
            ),
            (
                Action::Encrypted,
                "plain",
                Some(Ktri),
                Gone,
                None,
                (0, 0, 0),
            ),
            (
                Action::Kept,
                "enveloped",
                Some(Pwri),
                Password,
                None,
                (0, 1, 0),
            ),
            (Action::NoKey, "enveloped", Some(Ori), Gone, None, (0, 0, 1)),
            (
                Action::NoKey,
                "encrypted",
                None,
                Gone,
                Some("password-encrypted"),
                (0, 1, 0),
            ),
            (
                Action::NoKey,
                "enveloped>encrypted",
                Some(Ktri),
                Open,
                None,
                (0, 1, 0),
            ),
            (
                Action::NoKey,
                "enveloped",
                Some(Ktri),
                Open,
                Some("originator-certificate-missing"),
                (0, 0, 1),
            ),
            (
                Action::NoKey,
                "plain",
                None,
                Gone,
                Some("no-signing-key"),
                (0, 0, 0),
            ),
            (Action::Kept, "clear-signed", None, Gone, None, (0, 0, 0)),
        ] {
            let said = add(
                &mut missing,
                action,
                form,
                kind,
                status,
                reason.map(Into::into),
            );
            assert_eq!(said, expected, "{action} {form} {kind:?} {status}");
        }
        // Under a passphrase that was at hand.
        let mut record = sealed(&[], 0);
        let finding = &mut record.findings.messages[0];
        (finding.action, finding.form) = (Action::Kept, "encrypted".into());
        finding.opened_with = Some("words.txt".into());
        missing.add(&record);
        assert_eq!(missing.wait_for_secret(), 0);
    }

    #[test]
    fn the_cover_is_greedy_and_ordered() {
        let mut missing = Missing::default();
        for (to, times) in [
            (&["a", "b"][..], 3),
            (&["b", "c"], 2),
            (&["a"], 1),
            (&["d"], 2),
            (&["c"], 0),
        ] {
            for i in 0..times {
                missing.add(&sealed(to, i));
            }
        }
        let rows =
            missing.rows(&|_, serial, _| (serial == "b").then(|| ([1; 32], Some("b@x".into()))));
        let short: Vec<_> = rows
            .iter()
            .map(|r| {
                (
                    r.serial.as_str(),
                    r.messages,
                    r.newly_opened,
                    r.cumulative_percent.as_str(),
                )
            })
            .collect();
        assert_eq!(
            short,
            [
                ("b", 5, 5, "62.5"),
                ("d", 2, 2, "87.5"),
                ("a", 4, 1, "100.0")
            ]
        );
        assert_eq!(
            (rows[0].address.as_str(), rows[0].address_source.as_str()),
            ("b@x", "certificate")
        );
        assert_eq!(rows[0].last_date, "1970-01-01T00:00:02Z");
    }

    fn addressed(to: &[&str], sent_to: &[&str], from: &str) -> MessageRecord {
        let mut record = sealed(to, 0);
        let message = &mut record.findings.messages[0];
        message.sent_to = sent_to.iter().map(|&to| to.to_owned()).collect();
        message.from = vec![from.to_owned()];
        record
    }

    #[test]
    fn who_was_addressed_tells_whose_a_key_is() {
        let mut missing = Missing::new(&["House.example".to_owned()]);
        for (to, sent_to) in [
            (&["bob"][..], &["Bob@house.example"][..]),
            (
                &["bob", "ann"],
                &["bob@house.example", "ann@sub.house.example"],
            ),
            (
                &["bob", "ann", "carl"],
                &["bob@house.example", "ann@sub.house.example"],
            ),
            (&["dora"], &["dora@elsewhere.example"]),
            (
                &["dora"],
                &["dora@elsewhere.example", "list@elsewhere.example"],
            ),
            (&["eve", "fay"], &["eve@x.example", "fay@x.example"]),
            (&["nobody"], &[]),
        ] {
            missing.add(&addressed(to, sent_to, "carl@fakehouse.example"));
        }
        let rows = missing.rows(&|_, _, _| None);
        let short: Vec<_> = rows
            .iter()
            .map(|row| {
                [
                    row.serial.as_str(),
                    &row.address,
                    &row.address_source,
                    &row.owner,
                ]
            })
            .collect();
        assert_eq!(
            short,
            [
                ["bob", "bob@house.example", "guessed", "ours"],
                ["dora", "dora@elsewhere.example", "guessed", "other"],
                ["eve", "eve@x.example fay@x.example", "guessed", "other"],
                ["nobody", "carl@fakehouse.example", "guessed", "other"],
            ],
            "what is ours first; nobody knows which of two is whose; a message to nobody is the sender's own"
        );
    }

    #[test]
    fn an_open_recipient_opens_the_layer() {
        let mut missing = Missing::default();
        let mut record = sealed(&["a", "b"], 0);
        record.findings.recipients[1].key_status = KeyStatus::Open;
        missing.add(&record);
        assert_eq!(missing.unopened(), 0);
    }

    #[test]
    fn a_hundred_thousand_messages_take_no_time() {
        let mut missing = Missing::default();
        for i in 0..100_000_u32 {
            let to: Vec<String> = (0..4)
                .map(|k| (i.wrapping_mul(2_654_435_761) >> (k * 5) & 0x3fff).to_string())
                .collect();
            missing.add(&sealed(
                &to.iter().map(String::as_str).collect::<Vec<_>>(),
                0,
            ));
        }
        let begun = Instant::now();
        let rows = missing.rows(&|_, _, _| None);
        assert_eq!(rows.last().unwrap().cumulative_percent, "100.0");
        assert!(rows.is_sorted_by(|a, b| a.newly_opened >= b.newly_opened));
        assert!(begun.elapsed().as_secs() < 5);
    }
}
