//! The values of options: from words to what they mean, with an error that says what would do.

use p7mill::cert;
use p7mill::ops::Clock;
use p7mill::ops::outcome::Action;
use p7mill::text;

use super::options::Cipher;

const NOT_YET: &str = "not in this version";

/// Unix seconds.
pub(crate) fn time(word: &str) -> Result<i64, String> {
    text::parse_rfc3339(word).ok_or_else(|| "not a time such as 2024-05-01T12:00:00Z".to_owned())
}

/// The clock of the contract.
pub(crate) fn clock(word: &str) -> Result<Clock, String> {
    match word {
        "received" => Ok(Clock::Received),
        "signing" => Ok(Clock::Signing),
        "now" => Ok(Clock::Now),
        other => time(other).map(Clock::At).map_err(|_| {
            "use received, signing, now, or a time such as 2024-05-01T12:00:00Z".to_owned()
        }),
    }
}

/// A content cipher.
pub(crate) fn cipher(word: &str) -> Result<Cipher, String> {
    match word {
        "aes-256-gcm" => Ok(Cipher::Aes256Gcm),
        "aes-256-cbc" => Ok(Cipher::Aes256Cbc),
        "auto" => Ok(Cipher::Auto),
        _ => Err("use aes-256-gcm, aes-256-cbc or auto".to_owned()),
    }
}

/// A mail address by itself.
pub(crate) fn mail_address(word: &str) -> Result<String, String> {
    cert::clean_address(word)
        .ok_or_else(|| "not a mail address such as archive@example.org".to_owned())
}

/// An outcome that may be accepted.
pub(crate) fn accepted(word: &str) -> Result<Action, String> {
    Action::ALL
        .iter()
        .copied()
        .find(|action| action.is_failure() && action.as_str() == word)
        .ok_or_else(|| {
            let words: Vec<_> = Action::ALL
                .iter()
                .copied()
                .filter(|action| action.is_failure())
                .map(Action::as_str)
                .collect();
            format!("not a failure; use one of {}", words.join(", "))
        })
}

/// Bytes: a number, or one with `KiB`, `MiB` or `GiB`; at least 1 KiB.
pub(crate) fn size(word: &str) -> Result<u64, String> {
    let (digits, shift) = [("KiB", 10), ("MiB", 20), ("GiB", 30)]
        .into_iter()
        .find_map(|(unit, shift)| Some((word.strip_suffix(unit)?, shift)))
        .unwrap_or((word, 0));
    let bytes = digits.parse::<u64>().ok();
    bytes
        .and_then(|bytes| bytes.checked_mul(1 << shift))
        .filter(|bytes| *bytes >= 1 << 10)
        .ok_or_else(|| "not a size of at least 1KiB, such as 64MiB".to_owned())
}

/// A file descriptor that is not one of the three that mail and messages go through.
pub(crate) fn descriptor(word: &str) -> Result<u32, String> {
    match word.parse() {
        Ok(1 | 2) => Err("1 and 2 are where p7mill writes; use 0, or 3 and above".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("not a file descriptor's number".to_owned()),
    }
}

/// How a store's certificates are written.
pub(crate) fn export_format(word: &str) -> Result<ExportFormat, String> {
    match word {
        "pem" => Ok(ExportFormat::Pem),
        "p7c" | "ldif" | "vcard" | "gpgsm" | "nss" | "mutt" => Err(format!("{NOT_YET}; use pem")),
        _ => Err("use pem".to_owned()),
    }
}

/// See [`export_format`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExportFormat {
    /// One PEM block after another.
    Pem,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_contract_are_read_and_others_are_told_what_would_do() {
        assert_eq!(clock("received"), Ok(Clock::Received));
        assert_eq!(clock("1970-01-01T00:01:00Z"), Ok(Clock::At(60)));
        assert!(clock("yesterday").unwrap_err().contains("received"));
        assert_eq!(accepted("no-key"), Ok(Action::NoKey));
        assert!(accepted("plain").unwrap_err().contains("undecryptable"));
        assert_eq!(cipher("auto"), Ok(Cipher::Auto));
        assert!(cipher("des").unwrap_err().contains("auto"));
        assert!(descriptor("1").is_err());
        assert_eq!(size("2MiB"), Ok(2 << 20));
        assert_eq!(size("4096"), Ok(4096));
        for wrong in ["1023", "1 MiB", "MiB", "99999999999GiB", "-1KiB"] {
            assert!(size(wrong).unwrap_err().contains("64MiB"), "{wrong}");
        }
    }
}
