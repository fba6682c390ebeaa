//! Passphrases and shared keys that messages themselves are protected with; no certificate is behind
//! them (RFC 5652 §6.2.3, §6.2.4, §8).

use std::path::Path;

use zeroize::Zeroizing;

use super::passphrase::read_private;
use crate::error::{Error, Result};
use crate::text::escape_path;

/// A passphrase, or a key's bytes; shown by nothing, wiped when dropped.
pub struct Secret {
    bytes: Zeroizing<Vec<u8>>,
    name: String,
}

impl Secret {
    /// What it is.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where it came from, `FILE:LINE`: what reports call it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Every passphrase and key for messages that is at hand. Immutable once loaded.
#[derive(Debug, Default)]
pub struct MessageSecrets {
    passphrases: Vec<Secret>,
    keys: Vec<Secret>,
}

impl MessageSecrets {
    /// Adds every line of `file` that is not empty (`--message-passphrase-file`).
    ///
    /// # Errors
    /// Where the file cannot be read, or others can read it, or it holds none ([`Error::Usage`]).
    pub fn read_passphrases(&mut self, file: &Path) -> Result<()> {
        let bytes = read_private(file)?;
        if lines(&bytes).next().is_none() {
            return Err(Error::Usage(format!(
                "{} holds no passphrase",
                file.display()
            )));
        }
        for (number, line) in lines(&bytes) {
            self.passphrases.push(Secret {
                bytes: Zeroizing::new(line.to_vec()),
                name: name(file, number),
            });
        }
        Ok(())
    }

    /// Adds every line of `file` that is not empty, read as hexadecimal (`--message-key-file`).
    ///
    /// # Errors
    /// As [`MessageSecrets::read_passphrases`], and [`Error::Usage`] with the line that is no key.
    pub fn read_keys(&mut self, file: &Path) -> Result<()> {
        let bytes = read_private(file)?;
        if lines(&bytes).next().is_none() {
            return Err(Error::Usage(format!("{} holds no key", file.display())));
        }
        for (number, line) in lines(&bytes) {
            let bytes = from_hex(line.trim_ascii()).ok_or_else(|| {
                Error::Usage(format!(
                    "{}: line {number} is not a key of 5 to 64 bytes in hexadecimal",
                    file.display()
                ))
            })?;
            self.keys.push(Secret {
                bytes,
                name: name(file, number),
            });
        }
        Ok(())
    }

    /// The passphrases, in the order that they were given in.
    pub fn passphrases(&self) -> &[Secret] {
        &self.passphrases
    }

    /// The keys, in the order that they were given in.
    pub fn keys(&self) -> &[Secret] {
        &self.keys
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.passphrases.is_empty() && self.keys.is_empty()
    }
}

fn name(file: &Path, line: usize) -> String {
    let file = file.file_name().unwrap_or(file.as_os_str());
    format!("{}:{line}", escape_path(file.as_ref()))
}

/// The lines with something in them, numbered from 1, without their ends.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    bytes
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .zip(1..)
        .filter(|(line, _)| !line.is_empty())
        .map(|(line, number)| (number, line))
}

fn from_hex(digits: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if !digits.len().is_multiple_of(2) || !(10..=128).contains(&digits.len()) {
        return None;
    }
    // Room for all of it at once: a buffer that moves leaves a copy behind.
    let mut out = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for pair in digits.chunks_exact(2) {
        let mut byte = 0_u8;
        for digit in pair {
            let value = char::from(*digit).to_digit(16)?;
            byte = byte << 4 | u8::try_from(value).ok()?;
        }
        out.push(byte);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(text: &str, mode: u32) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn every_line_is_one_and_says_where_it_stands() {
        let mut secrets = MessageSecrets::default();
        let words = file("one\r\n\n two \nthree", 0o600);
        secrets.read_passphrases(words.path()).unwrap();
        let found: Vec<&[u8]> = secrets.passphrases().iter().map(Secret::bytes).collect();
        assert_eq!(found, [&b"one"[..], b" two ", b"three"]);
        assert!(secrets.passphrases()[1].name().ends_with(":3"));
        let keys = file("000102030405060708090A0b0c0d0e0f\n", 0o600);
        secrets.read_keys(keys.path()).unwrap();
        let expected: Vec<u8> = (0..16).collect();
        assert_eq!(secrets.keys()[0].bytes(), expected);
        assert!(!format!("{secrets:?}").contains("one"));
    }

    #[test]
    fn what_is_no_key_and_what_others_can_read_is_refused_without_being_shown() {
        let mut secrets = MessageSecrets::default();
        for text in ["0102030405060\n", "01020304\n", "0102030405060g\n"] {
            let error = secrets.read_keys(file(text, 0o600).path()).unwrap_err();
            let shown = error.to_string();
            assert!(
                shown.contains("line 1") && !shown.contains("0102"),
                "{shown}"
            );
        }
        let open = file("word\n", 0o644);
        assert!(secrets.read_passphrases(open.path()).is_err());
        assert!(secrets.read_keys(open.path()).is_err());
        assert!(secrets.is_empty());
    }
}
