//! Reports that leave the house: subjects, addresses and paths as pseudonyms.
//!
//! A pseudonym is HMAC-SHA-256 of the value under a key that lies apart from the reports: the same
//! value has the same pseudonym in every report, and nobody without the key can try out guesses.
//! Rows are judged and counted first and hidden last, so no number differs.
//!
//! What is not hidden: dates, sizes, digests and serial numbers, which tell a message or a
//! certificate to whoever has it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::record::FileRecord;
use super::rows::Row;
use crate::cert::Certificate;
use crate::crypto::digest::hmac_sha256;
use crate::ops::outcome::RecipientFinding;
use crate::text;

/// What is hidden.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hidden {
    /// Subject fields.
    pub subjects: bool,
    /// Addresses, wherever they stand, and with them people's names in certificates and
    /// Message-IDs.
    pub addresses: bool,
    /// Names of files and mailboxes.
    pub paths: bool,
}

impl Hidden {
    /// What these words name: `subject`, `addresses`, `paths`.
    ///
    /// # Errors
    /// Which word is none of them.
    pub fn named(words: &[String]) -> Result<Self, String> {
        let mut hidden = Self::default();
        for word in words {
            match word.as_str() {
                "subject" => hidden.subjects = true,
                "addresses" => hidden.addresses = true,
                "paths" => hidden.paths = true,
                other => return Err(format!("{other}: use subject, addresses, paths")),
            }
        }
        Ok(hidden)
    }

    /// Whether anything is.
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

impl std::fmt::Display for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = [
            (self.subjects, "subject"),
            (self.addresses, "addresses"),
            (self.paths, "paths"),
        ];
        let named: Vec<_> = words
            .iter()
            .filter(|(hidden, _)| *hidden)
            .map(|(_, word)| *word)
            .collect();
        f.write_str(&named.join(","))
    }
}

/// Makes pseudonyms.
pub struct Redactor {
    hidden: Hidden,
    key: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor")
            .field("hidden", &self.hidden)
            .finish_non_exhaustive()
    }
}

impl Redactor {
    /// Hides `hidden` under `key`.
    pub fn new(hidden: Hidden, key: Zeroizing<Vec<u8>>) -> Self {
        Self { hidden, key }
    }

    /// Any text: what is shaped like an address in it is hidden.
    pub fn free<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.hidden.addresses && text.contains('@') {
            Cow::Owned(self.sweep(text))
        } else {
            Cow::Borrowed(text)
        }
    }

    /// The name of a file or mailbox.
    pub fn path(&self, path: &str) -> String {
        if self.hidden.paths && !path.is_empty() {
            self.pseudonym("path", path, "path-", 16)
        } else {
            self.free(path).into_owned()
        }
    }

    /// The words of a command line: what does not say what to do is a path, as far as anybody knows.
    pub fn command_line(&self, words: &[String]) -> Vec<String> {
        let mut spoken: Vec<String> = Vec::with_capacity(words.len());
        let mut option = "";
        for (at, word) in words.iter().enumerate() {
            spoken.push(match (at, word.split_once('=')) {
                (0, _) if self.hidden.paths => word.rsplit('/').next().unwrap_or(word).to_owned(),
                (0 | 1, _) => self.free(word).into_owned(),
                (_, Some((option, value))) if word.starts_with('-') => {
                    format!("{option}={}", self.argument(option, value))
                }
                _ if word.starts_with('-') => self.free(word).into_owned(),
                _ => self.argument(option, word),
            });
            option = word;
        }
        spoken
    }

    fn argument(&self, option: &str, word: &str) -> String {
        match option {
            "--our-domains" => {
                let domains = word.split(',').map(|domain| self.domain(domain));
                domains.collect::<Vec<_>>().join(",")
            }
            _ => self.path(word),
        }
    }

    /// A domain, as it stands in addresses.
    pub fn domain(&self, domain: &str) -> String {
        if !self.hidden.addresses {
            return domain.to_owned();
        }
        let domain = domain.trim().trim_start_matches(['@', '.']).to_lowercase();
        self.pseudonym("domain", &domain, "d-", 12) + ".invalid"
    }

    /// A certificate's digest, or the name of a key file.
    pub fn key_name(&self, name: &str) -> String {
        let digest = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if digest {
            name.to_owned()
        } else {
            self.path(name)
        }
    }

    /// Hexadecimal digits of the HMAC of `value`, which is one of a `kind`.
    fn pseudonym(&self, kind: &str, value: &str, prefix: &str, digits: usize) -> String {
        let mut input = Vec::with_capacity(kind.len() + 1 + value.len());
        input.extend_from_slice(kind.as_bytes());
        input.push(0);
        input.extend_from_slice(value.as_bytes());
        let mut mac = text::hex(&hmac_sha256(&self.key, &input));
        mac.truncate(digits);
        format!("{prefix}{mac}")
    }

    /// Addresses are compared without case, and those of one domain stay together.
    fn address(&self, address: &str) -> String {
        let address = address.to_lowercase();
        let domain = self.domain(address.rsplit('@').next().unwrap_or_default());
        self.pseudonym("address", &address, "u-", 16) + "@" + &domain
    }

    fn name(&self, name: &str) -> String {
        self.pseudonym("name", name, "name-", 16)
    }

    /// A list of addresses, or of what stands for one.
    fn addresses(&self, list: &str) -> String {
        let words = list.split(' ').map(|word| match word {
            "" => String::new(),
            word if word.contains('@') => self.address(word),
            word => self.name(word),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// Somebody's addresses, joined by a space, or their name.
    pub fn person(&self, person: &str) -> String {
        match person {
            _ if !self.hidden.addresses || person.is_empty() => person.to_owned(),
            addresses if addresses.contains('@') => self.addresses(addresses),
            name => self.name(name),
        }
    }

    fn sweep(&self, text: &str) -> String {
        let local = |c: char| c.is_alphanumeric() || ".+-_%&'!#$*?^{}~\"".contains(c);
        let domain = |c: char| c.is_alphanumeric() || ".-_[]:".contains(c);
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('@') {
            let (before, after) = rest.split_at(at);
            let begin = before
                .char_indices()
                .rev()
                .take_while(|(_, c)| local(*c))
                .last()
                .map_or(at, |(begin, _)| begin);
            let host = after.get(1..).unwrap_or_default();
            let end = host.find(|c| !domain(c)).unwrap_or(host.len());
            let end = host
                .get(..end)
                .unwrap_or_default()
                .trim_end_matches(['.', ':', '-'])
                .len();
            out.push_str(before.get(..begin).unwrap_or_default());
            if begin == at && end == 0 {
                out.push('@');
            } else {
                out.push_str(&self.address(rest.get(begin..at + 1 + end).unwrap_or_default()));
            }
            rest = rest.get(at + 1 + end..).unwrap_or_default();
        }
        out.push_str(rest);
        out
    }
}

/// A redactor that knows the archive's certificates; without one nothing is hidden.
pub(super) struct Hiding<'a> {
    redactor: Option<&'a Redactor>,
    /// Issuers that are people: those of self-issued certificates that are no authorities'.
    people: HashSet<String>,
}

impl<'a> Hiding<'a> {
    pub(super) fn new<'c>(
        redactor: Option<&'a Redactor>,
        certificates: impl Iterator<Item = &'c Arc<Certificate>>,
    ) -> Self {
        let people = match redactor {
            Some(redactor) if redactor.hidden.addresses => certificates
                .filter(|known| !known.is_ca && known.subject == known.issuer)
                .map(|known| known.subject.clone())
                .collect(),
            _ => HashSet::new(),
        };
        Self { redactor, people }
    }

    /// Hides what is to be hidden of a row.
    pub(super) fn row<R: Row>(&self, mut row: R) -> R {
        let Some(redactor) = self.redactor else {
            return row;
        };
        let authority = is_authority(&mut row);
        row.texts(&mut |column, text| {
            if !text.is_empty() {
                *text = self.cell(redactor, R::NAME, column, text, authority);
            }
        });
        row
    }

    fn cell(
        &self,
        redactor: &Redactor,
        report: &str,
        column: &str,
        text: &str,
        authority: bool,
    ) -> String {
        let Hidden {
            subjects,
            addresses,
            ..
        } = redactor.hidden;
        match column {
            "mailbox" | "out_mailbox" | "path" => redactor.path(text),
            "opened_with" => redactor.key_name(text),
            "subject" if matches!(report, "messages" | "failed") => {
                if subjects {
                    redactor.pseudonym("subject", text, "subject-", 16)
                } else {
                    redactor.free(text).into_owned()
                }
            }
            _ if !addresses => text.to_owned(),
            "message_id" => redactor.pseudonym("id", text, "id-", 16) + "@redacted.invalid",
            // There an axis, whose words name nobody.
            "address" if report == "signatures" => text.to_owned(),
            "from" | "opened_for" | "addresses" | "address" => redactor.addresses(text),
            // The certificate's addresses, or its common name, which is one name of several words.
            "signer" if text.contains('@') => redactor.addresses(text),
            "signer" => redactor.name(text),
            "subject" if !authority => format!("CN={}", redactor.name(text)),
            "issuer" => self.issuer(text),
            _ => redactor.free(text).into_owned(),
        }
    }

    /// An issuer's name, which is shown where it is an authority's.
    fn issuer(&self, issuer: &str) -> String {
        match self.redactor {
            Some(redactor) if self.people.contains(issuer) => {
                format!("CN={}", redactor.name(issuer))
            }
            Some(redactor) => redactor.free(issuer).into_owned(),
            None => issuer.to_owned(),
        }
    }

    /// Advice that may name `recipients` and the key `files`.
    pub(super) fn advice(
        &self,
        mut advice: String,
        recipients: &[RecipientFinding],
        files: &[String],
    ) -> String {
        let Some(redactor) = self.redactor else {
            return advice;
        };
        for recipient in recipients
            .iter()
            .filter(|r| self.people.contains(&r.issuer))
        {
            advice = advice.replace(&recipient.issuer, &self.issuer(&recipient.issuer));
        }
        for file in files
            .iter()
            .filter(|file| redactor.hidden.paths && !file.is_empty())
        {
            advice = advice.replace(file.as_str(), &redactor.path(file));
        }
        redactor.free(&advice).into_owned()
    }

    /// The name of a file or key file.
    pub(super) fn path(&self, path: &str) -> String {
        self.redactor
            .map_or_else(|| path.to_owned(), |redactor| redactor.path(path))
    }

    /// Any other text.
    pub(super) fn free(&self, text: &str) -> String {
        self.redactor.map_or_else(
            || text.to_owned(),
            |redactor| redactor.free(text).into_owned(),
        )
    }

    /// A file met.
    pub(super) fn file(&self, mut file: FileRecord) -> FileRecord {
        if self.redactor.is_some() {
            file.path = self.path(&file.path);
            file.status = self.free(&file.status);
        }
        file
    }
}

fn is_authority<R: Row>(row: &mut R) -> bool {
    let mut authority = false;
    row.texts(&mut |column, text| authority |= column == "ca" && text == "true");
    authority
}

#[cfg(test)]
mod tests {
    use super::super::rows::{MessageRow, SignatureRow};
    use super::*;

    fn redactor() -> Redactor {
        let hidden = Hidden {
            subjects: true,
            addresses: true,
            paths: false,
        };
        Redactor::new(hidden, Zeroizing::new(vec![7; 32]))
    }

    #[test]
    fn addresses_are_hidden_wherever_they_stand_and_stay_the_same() {
        let redactor = redactor();
        let one = redactor.address("Ann@Example.org");
        assert_eq!(one, redactor.address("ann@example.org"));
        assert_ne!(one, redactor.address("bob@example.org"));
        let domain = |address: &str| address.split('@').nth(1).map(str::to_owned);
        assert_eq!(domain(&one), domain(&redactor.address("bob@example.org")));
        for text in [
            "CN=x,E=ann@example.org,O=y",
            "<ann@example.org>.",
            "mail/ann@example.org/cur",
            "(ann@example.org; ann@example.org)",
        ] {
            let hidden = redactor.free(text);
            assert!(
                !hidden.contains("ann") && !hidden.contains("example"),
                "{hidden}"
            );
            assert!(hidden.contains(&one), "{hidden}");
        }
        assert_eq!(redactor.free("a @ b"), "a @ b");
    }

    #[test]
    fn no_name_is_left_in_a_row() {
        let redactor = redactor();
        let hiding = Hiding::new(Some(&redactor), std::iter::empty());
        let row = hiding.row(MessageRow {
            mailbox: "ann@example.org/Inbox".into(),
            message_id: "secret-1@example.org".into(),
            from: "\"ann secret\"@example.org".into(),
            subject: "secret".into(),
            opened_for: "ann@example.org".into(),
            outcome: "kept".into(),
            ..MessageRow::default()
        });
        let shown = serde_json::to_string(&row).unwrap();
        assert!(
            !shown.contains("ann") && !shown.contains("secret") && !shown.contains("example"),
            "{shown}"
        );
        assert!(
            shown.contains("\"outcome\":\"kept\"") && shown.contains("/Inbox"),
            "{shown}"
        );
        let row = hiding.row(SignatureRow {
            signer: "Ann Secret".into(),
            subject: "CN=Ann Secret".into(),
            issuer: "CN=A CA".into(),
            ..SignatureRow::default()
        });
        assert_eq!(row.issuer, "CN=A CA");
        assert!(!format!("{row:?}").contains("Secret"));
    }

    #[test]
    fn another_key_makes_other_pseudonyms() {
        let other = Redactor::new(redactor().hidden, Zeroizing::new(vec![8; 32]));
        assert_ne!(other.address("a@b"), redactor().address("a@b"));
    }

    #[test]
    fn a_command_line_says_neither_where_nor_who() {
        let hidden = Hidden {
            subjects: true,
            addresses: true,
            paths: true,
        };
        let redactor = Redactor::new(hidden, Zeroizing::new(vec![7; 32]));
        let words = "/home/secret/p7mill scan secret/mail --out=secret --our-domains secret.example,sub.secret.example \
                     --to ann@secret.example -j 4 --format both";
        let words: Vec<String> = words
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        let shown = redactor.command_line(&words).join(" ");
        assert!(shown.starts_with("p7mill scan path-"), "{shown}");
        assert!(
            !shown.contains("secret") && !shown.contains("ann"),
            "{shown}"
        );
        // The same domain as in addresses.
        let domain = redactor.domain("secret.example");
        assert!(
            shown.contains(&format!("--our-domains {domain},d-")),
            "{shown}"
        );
        assert!(
            redactor
                .address("ann@secret.example")
                .ends_with(&format!("@{domain}"))
        );
    }
}
