//! How strong an algorithm was at a given time: dated tables, so that mail of 2009 is graded by
//! what was known in 2009.
//!
//! Sources: NIST SP 800-131A (2011) and its revisions for 80-bit strength (1024-bit RSA and DSA,
//! 160-bit curves, SHA-1 for signatures: deprecated from 2011, disallowed after 2013); RFC 6151
//! for MD5 (collisions 2004, a forged authority 2008-12-30); RFC 6149 for MD2, RFC 6150 for MD4;
//! the chosen-prefix collision on SHA-1 (January 2020). SHA-1 stays `weak` until collisions of
//! chosen prefixes were shown, as it is they that forge signatures.

use crate::ops::outcome::Strength;

/// Unix seconds of the first of January.
const fn year(year: i64) -> i64 {
    let before = year - 1970;
    // Exact for 1970–2099: one leap day every fourth year.
    (before * 365 + (before + 1) / 4) * 86_400
}

/// From when on something is weak, and from when on broken.
#[derive(Clone, Copy)]
struct Dates {
    weak: i64,
    broken: i64,
}

const NEVER: i64 = i64::MAX;
const ALWAYS: i64 = i64::MIN;
const STRONG: Dates = Dates {
    weak: NEVER,
    broken: NEVER,
};
const BROKEN: Dates = Dates {
    weak: ALWAYS,
    broken: ALWAYS,
};
/// What is not in the tables is trusted by nobody and refuted by nobody.
const UNKNOWN: Dates = Dates {
    weak: ALWAYS,
    broken: NEVER,
};
/// 80 bits of strength.
const EIGHTY_BITS: Dates = Dates {
    weak: year(2011),
    broken: year(2014),
};

impl Dates {
    fn at(self, time: i64) -> Strength {
        if time >= self.broken {
            Strength::Broken
        } else if time >= self.weak {
            Strength::Weak
        } else {
            Strength::Strong
        }
    }
}

/// The strength at `at` (Unix seconds) of a signature: the weakest of its digest, its algorithm
/// and its key.
///
/// `digest` is a name such as `sha256` (empty where the algorithm brings its own), `algorithm`
/// such as `rsa-pkcs1`, `rsa-pss`, `ecdsa`, `dsa`, `ed25519`; `key_name` as
/// [`super::Certificate::key_name`], empty where the key is not known.
pub fn strength(digest: &str, algorithm: &str, key_name: &str, at: i64) -> Strength {
    let grades = [
        digest_strength(digest, at),
        algorithm_dates(algorithm).at(at),
        key_strength(key_name, at),
    ];
    grades.into_iter().max().unwrap_or(Strength::Strong)
}

/// The strength of a digest alone; empty is strong, as nothing rests on it.
pub fn digest_strength(digest: &str, at: i64) -> Strength {
    let dates = match digest {
        "" | "sha224" | "sha256" | "sha384" | "sha512" | "sha512-224" | "sha512-256"
        | "sha3-224" | "sha3-256" | "sha3-384" | "sha3-512" | "shake128" | "shake256" => STRONG,
        "sha1" => Dates {
            weak: year(2011),
            broken: year(2020),
        },
        "ripemd160" => Dates {
            weak: year(2011),
            broken: NEVER,
        },
        "md5" => Dates {
            weak: year(2005),
            broken: year(2009),
        },
        "md2" | "md4" => BROKEN,
        _ => UNKNOWN,
    };
    dates.at(at)
}

/// The strength of a key alone, by [`super::Certificate::key_name`]; empty is strong.
pub fn key_strength(key_name: &str, at: i64) -> Strength {
    let bits = |text: &str| {
        text.rsplit('-')
            .next()
            .and_then(|tail| tail.parse::<u32>().ok())
    };
    let dates = match key_name.split_once('-') {
        Some(("rsa" | "dsa", rest)) => match bits(rest) {
            Some(0..=1023) => BROKEN,
            Some(1024..=2047) => EIGHTY_BITS,
            Some(_) => STRONG,
            None => UNKNOWN,
        },
        Some(("ml" | "slh", rest)) if rest.starts_with("dsa-") => STRONG,
        Some(("ec", "p192")) => EIGHTY_BITS,
        Some((
            "ec",
            "p224" | "p256" | "p384" | "p521" | "secp256k1" | "brainpool256" | "brainpool384"
            | "brainpool512",
        )) => STRONG,
        None if matches!(key_name, "" | "ed25519" | "ed448" | "x25519" | "x448") => STRONG,
        _ => UNKNOWN,
    };
    dates.at(at)
}

fn algorithm_dates(algorithm: &str) -> Dates {
    match algorithm {
        "" | "rsa" | "rsa-pkcs1" | "rsa-pss" | "ecdsa" | "dsa" | "ed25519" | "ed448" => STRONG,
        post_quantum
            if post_quantum.starts_with("ml-dsa-") || post_quantum.starts_with("slh-dsa-") =>
        {
            STRONG
        }
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(date: &str) -> i64 {
        crate::text::parse_rfc3339(&format!("{date}T00:00:00Z")).unwrap()
    }

    #[test]
    fn years_begin_where_the_calendar_says() {
        for y in [1970, 1972, 1973, 2000, 2001, 2011, 2020, 2099] {
            assert_eq!(year(y), on(&format!("{y}-01-01")), "{y}");
        }
    }

    #[test]
    fn grades_follow_the_dates() {
        use Strength::{Broken, Strong, Weak};
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
                strength(digest, algorithm, key, on(date)),
                expected,
                "{digest} {algorithm} {key} {date}"
            );
        }
    }
}
