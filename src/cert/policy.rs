//! How strong an algorithm is: dated tables, as data. The tables that come with p7mill are in
//! `profiles/`, with their sources; an administrator can bring a file of their own.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::ops::outcome::{ContentIntegrity, SignatureFinding, Strength};
use crate::text;

/// The tables that come with p7mill, by name.
const BUILT_IN: [(&str, &str); 3] = [
    ("at-the-time", include_str!("profiles/at-the-time.toml")),
    ("today", include_str!("profiles/today.toml")),
    ("strict", include_str!("profiles/strict.toml")),
];

/// How many profiles may rest on each other.
const MAX_BASES: usize = 4;

/// A set of tables and how they are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// One of the built-in names, or the file's SHA-256.
    pub name: String,
    /// Whether `weak` keeps a signature from being `valid`, as `broken` always does.
    pub weak_blocks: bool,
    judged_at: JudgedAt,
    tables: Tables,
}

/// Which time the tables are read at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum JudgedAt {
    Clock,
    Now,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    base: Option<String>,
    judged_at: Option<JudgedAt>,
    weak_blocks_valid: Option<bool>,
    #[serde(default)]
    digests: BTreeMap<String, Dates>,
    #[serde(default)]
    algorithms: BTreeMap<String, Dates>,
    #[serde(default)]
    keys: BTreeMap<String, Vec<KeySize>>,
    #[serde(default)]
    curves: BTreeMap<String, Dates>,
    #[serde(default)]
    ciphers: BTreeMap<String, Dates>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tables {
    digests: BTreeMap<String, Dates>,
    algorithms: BTreeMap<String, Dates>,
    keys: BTreeMap<String, Vec<KeySize>>,
    curves: BTreeMap<String, Dates>,
    ciphers: BTreeMap<String, Dates>,
}

/// From when on something is weak, and from when on broken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dates {
    #[serde(default)]
    weak: Day,
    #[serde(default)]
    broken: Day,
}

/// The same for keys of fewer bits than `below`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeySize {
    below: u32,
    #[serde(default)]
    weak: Day,
    #[serde(default)]
    broken: Day,
}

/// The first second of a day, Unix time; `never` and `always` at the ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Day(i64);

impl Default for Day {
    fn default() -> Self {
        Self(i64::MAX)
    }
}

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "never" => Ok(Self(i64::MAX)),
            "always" => Ok(Self(i64::MIN)),
            day => text::parse_rfc3339(&format!("{day}T00:00:00Z"))
                .map(Self)
                .ok_or_else(|| format!("{day}: a day such as 2011-01-01, always or never")),
        }
    }
}

/// What is not in the tables is trusted by nobody and refuted by nobody.
const UNKNOWN: Dates = Dates {
    weak: Day(i64::MIN),
    broken: Day(i64::MAX),
};

impl Dates {
    fn at(self, time: i64) -> Strength {
        if time >= self.broken.0 {
            Strength::Broken
        } else if time >= self.weak.0 {
            Strength::Weak
        } else {
            Strength::Strong
        }
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::built_in("at-the-time").unwrap_or_else(|| Self {
            name: String::new(),
            weak_blocks: true,
            judged_at: JudgedAt::Clock,
            tables: Tables::default(),
        })
    }
}

impl Profile {
    /// The names of the profiles that come with p7mill.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.into_iter().map(|(name, _)| name)
    }

    /// One that comes with p7mill.
    pub fn built_in(name: &str) -> Option<Self> {
        let (_, text) = BUILT_IN.into_iter().find(|(known, _)| *known == name)?;
        Self::parse(text, name).ok()
    }

    /// One from a file's text. What the file does not name is as in its `base`, by default
    /// `at-the-time`.
    ///
    /// # Errors
    /// What is wrong with the text, with its line.
    pub fn from_toml(text: &str) -> Result<Self, String> {
        let digest = text::hex(&openssl::sha::sha256(text.as_bytes()));
        Self::parse(text, &format!("sha256:{digest}"))
    }

    fn parse(text: &str, name: &str) -> Result<Self, String> {
        let read = |text: &str| toml::from_str::<File>(text).map_err(|error| error.to_string());
        let mut files = vec![read(text)?];
        loop {
            let base = match files.last().and_then(|file| file.base.clone()) {
                Some(base) => base,
                None if name == "at-the-time" || files.len() > 1 => break,
                None => "at-the-time".to_owned(),
            };
            if files.len() == MAX_BASES {
                break;
            }
            let (_, text) = BUILT_IN
                .into_iter()
                .find(|(known, _)| *known == base)
                .ok_or_else(|| format!("base = \"{base}\": no such profile"))?;
            files.push(read(text)?);
        }
        let mut profile = Self {
            name: name.to_owned(),
            weak_blocks: false,
            judged_at: JudgedAt::Clock,
            tables: Tables::default(),
        };
        for file in files.into_iter().rev() {
            profile.weak_blocks = file.weak_blocks_valid.unwrap_or(profile.weak_blocks);
            profile.judged_at = file.judged_at.unwrap_or(profile.judged_at);
            profile.tables.digests.extend(file.digests);
            profile.tables.algorithms.extend(file.algorithms);
            profile.tables.keys.extend(file.keys);
            profile.tables.curves.extend(file.curves);
            profile.tables.ciphers.extend(file.ciphers);
        }
        Ok(profile)
    }

    fn time(&self, clock: i64, now: i64) -> i64 {
        match self.judged_at {
            JudgedAt::Clock => clock,
            JudgedAt::Now => now,
        }
    }

    /// Fills in a signature's strength, the weakest of its digest, its algorithm and its key, and
    /// the reasons that go with it.
    pub fn grade(&self, finding: &mut SignatureFinding, now: i64) {
        let time = self.time(finding.verdict_time, now);
        let grades = [
            (
                // Where two digests are named, no more is proven than the weaker one is worth.
                self.digest(&finding.digest, time)
                    .max(self.digest(&finding.other_digest, time)),
                "weak-digest",
            ),
            (self.algorithm(&finding.algorithm, time), "weak-algorithm"),
            (self.key(&finding.key, time), "weak-key"),
        ];
        finding.strength = Strength::Strong;
        for (grade, reason) in grades {
            finding.strength = finding.strength.max(grade);
            let known = finding.reasons.iter().any(|known| known == reason);
            if grade != Strength::Strong && !known {
                finding.reasons.push(reason.into());
            }
        }
    }

    /// The strength of a signature by its parts' names: `digest` such as `sha256` (empty where the
    /// algorithm brings its own), `algorithm` such as `rsa-pkcs1`, `key` as
    /// [`super::Certificate::key_name`] (empty where it is not known). `clock` is when it was made,
    /// as far as known; `now` is now.
    pub fn signature(
        &self,
        digest: &str,
        algorithm: &str,
        key: &str,
        clock: i64,
        now: i64,
    ) -> Strength {
        let time = self.time(clock, now);
        self.digest(digest, time)
            .max(self.algorithm(algorithm, time))
            .max(self.key(key, time))
    }

    /// The strength of content encryption at `clock` or `now`. What nothing protects from being
    /// altered is at least weak.
    pub fn content(
        &self,
        cipher: &str,
        integrity: Option<ContentIntegrity>,
        clock: i64,
        now: i64,
    ) -> Strength {
        let grade = listed(&self.tables.ciphers, cipher).at(self.time(clock, now));
        match integrity {
            Some(ContentIntegrity::None) => grade.max(Strength::Weak),
            _ => grade,
        }
    }

    fn digest(&self, name: &str, time: i64) -> Strength {
        match name {
            "" => Strength::Strong,
            name => listed(&self.tables.digests, name).at(time),
        }
    }

    fn algorithm(&self, name: &str, time: i64) -> Strength {
        match name {
            "" => Strength::Strong,
            name => listed(&self.tables.algorithms, name).at(time),
        }
    }

    fn key(&self, name: &str, time: i64) -> Strength {
        if name.is_empty() {
            return Strength::Strong;
        }
        let kind = name.split_once('-').map_or(name, |(kind, _)| kind);
        let Some(sizes) = self.tables.keys.get(kind) else {
            return listed(&self.tables.curves, name).at(time);
        };
        let bits = name
            .rsplit('-')
            .next()
            .and_then(|tail| tail.parse::<u32>().ok());
        let Some(bits) = bits else {
            return UNKNOWN.at(time);
        };
        sizes
            .iter()
            .find(|size| bits < size.below)
            .map_or(Strength::Strong, |size| {
                let KeySize { weak, broken, .. } = *size;
                Dates { weak, broken }.at(time)
            })
    }
}

fn listed(table: &BTreeMap<String, Dates>, name: &str) -> Dates {
    table.get(name).copied().unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(date: &str) -> i64 {
        text::parse_rfc3339(&format!("{date}T00:00:00Z")).unwrap()
    }

    #[test]
    fn grades_follow_the_dates() {
        use Strength::{Broken, Strong, Weak};
        let profile = Profile::default();
        for (digest, algorithm, key, date, expected) in [
            ("sha1", "rsa-pkcs1", "rsa-2048", "2010-12-31", Strong),
            ("sha1", "rsa-pkcs1", "rsa-2048", "2019-12-31", Weak),
            ("sha1", "rsa-pkcs1", "rsa-2048", "2020-01-01", Broken),
            ("md5", "rsa-pkcs1", "rsa-1024", "2004-12-31", Strong),
            ("md5", "rsa-pkcs1", "rsa-1024", "2008-12-31", Weak),
            ("md5", "rsa-pkcs1", "rsa-2048", "2009-01-01", Broken),
            ("sha256", "rsa-pkcs1", "rsa-1024", "2012-01-01", Weak),
            ("sha256", "rsa-pkcs1", "rsa-1536", "2014-01-01", Broken),
            ("sha256", "rsa-pss", "rsa-pss-3072", "2026-01-01", Strong),
            ("sha256", "rsa-pkcs1", "rsa-512", "1998-01-01", Broken),
            ("sha512", "ecdsa", "ec-p521", "2026-01-01", Strong),
            ("", "ed25519", "ed25519", "2026-01-01", Strong),
            ("sha256", "dsa", "dsa-2048", "2022-01-01", Strong),
            ("sha256", "dsa", "dsa-2048", "2024-01-01", Weak),
            ("sha512", "ml-dsa-65", "ml-dsa-65", "2026-01-01", Strong),
            (
                "sha256",
                "slh-dsa-sha2-128s",
                "slh-dsa-sha2-128s",
                "2026-01-01",
                Strong,
            ),
            ("sha1", "dsa", "dsa-1024", "1999-01-01", Strong),
            ("sha1", "dsa", "dsa-1024", "2014-01-01", Broken),
            ("md4", "rsa-pkcs1", "rsa-2048", "1999-01-01", Broken),
            ("sha256", "gost", "ec-p256", "2026-01-01", Weak),
            ("sha256", "ecdsa", "ec-explicit", "2026-01-01", Weak),
            ("whirlpool", "rsa-pkcs1", "rsa-4096", "2026-01-01", Weak),
            ("md2", "rsa-pkcs1", "rsa-4096", "1999-01-01", Broken),
        ] {
            assert_eq!(
                profile.signature(digest, algorithm, key, on(date), on("2026-01-01")),
                expected,
                "{digest} {algorithm} {key} {date}"
            );
        }
    }

    #[test]
    fn profiles_rest_on_each_other_and_say_what_is_wrong_with_them() {
        let (then, now) = (on("2009-01-01"), on("2026-01-01"));
        let sha1 =
            |profile: &Profile| profile.signature("sha1", "rsa-pkcs1", "rsa-2048", then, now);
        let [at_the_time, today, strict] =
            ["at-the-time", "today", "strict"].map(|name| Profile::built_in(name).unwrap());
        assert_eq!(sha1(&at_the_time), Strength::Strong);
        assert_eq!(sha1(&today), Strength::Broken);
        assert!(!today.weak_blocks && strict.weak_blocks);
        assert_eq!(sha1(&strict), Strength::Broken);
        let own =
            Profile::from_toml("[digests]\nsha1 = { broken = \"2005-02-15\" }\n[keys]\nrsa = []\n")
                .unwrap();
        assert_eq!(sha1(&own), Strength::Broken);
        assert!(own.name.starts_with("sha256:") && !own.weak_blocks);
        let rsa = |profile: &Profile| profile.signature("sha256", "rsa-pss", "rsa-512", then, now);
        assert_eq!(rsa(&own), Strength::Strong);
        assert_eq!(rsa(&at_the_time), Strength::Broken);
        for bad in [
            "digests = 1",
            "[digests]\nsha1 = { weak = \"yesterday\" }",
            "[digest]\nsha1 = {}",
            "base = \"lenient\"",
        ] {
            assert!(Profile::from_toml(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn content_without_integrity_is_weak_at_best() {
        use ContentIntegrity::{Aead, None, Signed};
        let profile = Profile::default();
        let graded = |cipher: &str, integrity, date: &str| {
            profile.content(cipher, Some(integrity), on(date), on("2026-01-01"))
        };
        assert_eq!(graded("aes-256-gcm", Aead, "2026-01-01"), Strength::Strong);
        assert_eq!(
            graded("aes-256-cbc", Signed, "2026-01-01"),
            Strength::Strong
        );
        assert_eq!(graded("aes-256-cbc", None, "2026-01-01"), Strength::Weak);
        assert_eq!(
            graded("des-ede3-cbc", Signed, "2010-01-01"),
            Strength::Strong
        );
        assert_eq!(
            graded("des-ede3-cbc", Signed, "2026-01-01"),
            Strength::Broken
        );
        assert_eq!(graded("rot13", Signed, "2026-01-01"), Strength::Weak);
    }
}
