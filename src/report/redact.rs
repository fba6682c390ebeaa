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

use zeroize::Zeroizing;

use super::record::FileRecord;
use super::rows::Row;
use crate::cert::Certificate;
use crate::crypto::digest::hmac_sha256;
use crate::text::{self, hex};

/// Attributes that stand before an address in names (RFC 4514), and are no part of it.
const ATTRIBUTES: &[&str] = &[
    "CN",
    "E",
    "emailAddress",
    "UID",
    "O",
    "OU",
    "name",
    "pseudonym",
];

/// Options that name files of keys and certificates, which are mostly named after people.
const PEOPLES_FILES: &[&str] = &["--keys", "--to", "--recovery"];

/// What is hidden.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hidden {
    /// Subject fields.
    pub subjects: bool,
    /// Addresses, wherever they stand, and with them people's names in certificates,
    /// Message-IDs and the names of key files.
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
            self.file(path)
        } else {
            let names = path.split('/').map(|name| self.free(name));
            names.collect::<Vec<_>>().join("/")
        }
    }

    fn file(&self, path: &str) -> String {
        self.pseudonym("path", path, "path-", 16)
    }

    /// The words of a command line: what does not say what to do is a path, as far as anybody knows.
    pub fn command_line(&self, words: &[String]) -> Vec<String> {
        let mut spoken: Vec<String> = Vec::with_capacity(words.len());
        let mut option = "";
        let mut only_paths = false;
        for (at, word) in words.iter().enumerate() {
            spoken.push(match (at, word.split_once('=')) {
                (0, _) if self.hidden.paths => word.rsplit('/').next().unwrap_or(word).to_owned(),
                (0 | 1, _) => self.free(word).into_owned(),
                _ if only_paths => self.path(word),
                (_, Some((option, value))) if word.starts_with('-') => {
                    format!("{option}={}", self.argument(option, value))
                }
                _ if word.starts_with('-') => self.free(word).into_owned(),
                _ => self.argument(option, word),
            });
            option = word;
            only_paths |= word == "--";
        }
        spoken
    }

    fn argument(&self, option: &str, word: &str) -> String {
        match option {
            "--our-domains" => {
                let domains = word.split(',').map(|domain| self.domain(domain));
                domains.collect::<Vec<_>>().join(",")
            }
            // What is hidden is no secret.
            "--redact" => word.to_owned(),
            "--as" | "--to"
                if self.hidden.addresses && word.contains('@') && !word.contains('/') =>
            {
                self.address(word)
            }
            _ if PEOPLES_FILES.contains(&option) => self.key_name(word),
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

    /// A certificate's digest, or the name of a key file, which mostly is somebody's.
    pub fn key_name(&self, name: &str) -> String {
        let digest = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let hides = self.hidden.addresses || self.hidden.paths;
        if digest || name.is_empty() || !hides {
            name.to_owned()
        } else {
            self.file(name)
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
        let words = words(list).map(|word| match word {
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
        let domain = |c: char| c.is_alphanumeric() || ".-_[]:".contains(c);
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('@') {
            let (before, after) = rest.split_at(at);
            let begin = quoted(before).unwrap_or_else(|| unquoted(before));
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

/// The words of a list joined by spaces; a space within quotes parts nothing.
fn words(list: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    list.split(move |c| {
        let was_escaped = std::mem::replace(&mut escaped, false);
        match c {
            '\\' => escaped = quoted && !was_escaped,
            '"' if !was_escaped => quoted = !quoted,
            _ => {}
        }
        c == ' ' && !quoted
    })
}

/// Where a quoted local part begins that `before` ends with (RFC 5322 §3.2.4).
fn quoted(before: &str) -> Option<usize> {
    let mut inner = before.strip_suffix('"')?;
    loop {
        let begin = inner.rfind('"')?;
        inner = inner.get(..begin)?;
        let backslashes = inner.bytes().rev().take_while(|byte| *byte == b'\\');
        if backslashes.count() % 2 == 0 {
            return Some(begin);
        }
    }
}

/// Where a local part begins that `before` ends with: a dot-atom (RFC 5322 §3.2.3), in any script.
fn unquoted(before: &str) -> usize {
    let local = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.\"".contains(c);
    let begin = before.trim_end_matches(local).len();
    let word = before.get(begin..).unwrap_or_default();
    match word.split_once('=') {
        Some((attribute, _)) if ATTRIBUTES.contains(&attribute) => begin + attribute.len() + 1,
        _ => begin,
    }
}

/// A redactor that knows the archive's certificates; without one nothing is hidden.
pub(super) struct Hiding<'a> {
    redactor: Option<&'a Redactor>,
    /// Names of people, as certificates spell them. A certificate is a person's where it is no
    /// authority's, where it holds an address, and where it signed a message.
    people: HashSet<String>,
}

impl<'a> Hiding<'a> {
    pub(super) fn new<'c>(
        redactor: Option<&'a Redactor>,
        certificates: impl Iterator<Item = &'c Certificate>,
        signers: &HashSet<String>,
    ) -> Self {
        let is_persons = |known: &&Certificate| {
            !known.is_ca || !known.addresses.is_empty() || signers.contains(&hex(&known.sha256))
        };
        let people = match redactor {
            Some(redactor) if redactor.hidden.addresses => certificates
                .filter(is_persons)
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
            "subject" if !authority || self.people.contains(text) => {
                format!("CN={}", redactor.name(text))
            }
            "issuer" => self.issuer(text),
            // Made of what is hidden already.
            "what_to_do" => text.to_owned(),
            _ => redactor.free(text).into_owned(),
        }
    }

    /// An issuer's name, which is shown where it is an authority's: one that holds an address is not.
    pub(super) fn issuer(&self, issuer: &str) -> String {
        match self.redactor {
            Some(redactor)
                if redactor.hidden.addresses
                    && (self.people.contains(issuer) || issuer.contains('@')) =>
            {
                format!("CN={}", redactor.name(issuer))
            }
            _ => issuer.to_owned(),
        }
    }

    /// What hides names, where anything does.
    pub(super) fn redactor(&self) -> Option<&Redactor> {
        self.redactor
    }

    /// An address, behind which may stand in brackets why its certificates are not used.
    pub(super) fn concern(&self, concern: &str) -> String {
        let why = concern
            .ends_with(')')
            .then(|| concern.rfind(" ("))
            .flatten();
        let (address, why) = concern.split_at(why.unwrap_or(concern.len()));
        self.address(address) + why
    }

    /// One address.
    pub(super) fn address(&self, address: &str) -> String {
        match self.redactor {
            Some(redactor) if redactor.hidden.addresses && !address.is_empty() => {
                redactor.address(address)
            }
            _ => address.to_owned(),
        }
    }

    /// The name of a key file.
    pub(super) fn key_name(&self, name: &str) -> String {
        self.redactor
            .map_or_else(|| name.to_owned(), |redactor| redactor.key_name(name))
    }

    /// A file met.
    pub(super) fn file(&self, mut file: FileRecord) -> FileRecord {
        if let Some(redactor) = self.redactor {
            file.path = redactor.path(&file.path);
            file.status = redactor.free(&file.status).into_owned();
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
    use super::super::rows::{CertificateRow, MessageRow, SignatureRow};
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
        let path = redactor.path("mail/ann@example.org/cur");
        assert_eq!(path, format!("mail/{one}/cur"));
    }

    #[test]
    fn every_local_part_is_hidden_whole() {
        let redactor = redactor();
        for address in [
            "zz|zz@example.org",
            "zz/zz=zz@example.org",
            "zz`zz{|}~@example.org",
            "\"zz (zz), zz\"@example.org",
            "\"zz \\\"zz\\\\\"@example.org",
        ] {
            let whole = redactor.address(address);
            assert_eq!(
                redactor.free(&format!("to <{address}>, ")),
                format!("to <{whole}>, ")
            );
            assert_eq!(
                redactor.person(&format!("{address} {address}")),
                format!("{whole} {whole}")
            );
            let hiding = Hiding::new(Some(&redactor), std::iter::empty(), &HashSet::new());
            let concern = format!("{address} (cert-expired 2024-01-01)");
            assert_eq!(
                hiding.concern(&concern),
                format!("{whole} (cert-expired 2024-01-01)")
            );
        }
        let comma = Hiding::new(Some(&redactor), std::iter::empty(), &HashSet::new());
        assert!(!comma.concern("zz,zz@example.org").contains("zz"));
    }

    #[test]
    fn a_command_line_shows_what_was_hidden_and_no_path() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let hidden = |addresses, paths| Hidden {
            subjects: false,
            addresses,
            paths,
        };
        let key = || Zeroizing::new(vec![7; 32]);
        let paths = Redactor::new(hidden(false, true), key());
        let said = paths.command_line(&words("p7mill scan --redact paths --now 5 -- -zz --zz=zz"));
        assert!(!said.concat().contains("zz"), "{said:?}");
        assert_eq!(said[2..4], ["--redact", "paths"]);
        let addresses = Redactor::new(hidden(true, false), key());
        let said = addresses.command_line(&words(
            "p7mill sign box --keys zz.p12 --as zz,(z@zz --keys=k/zz --redact=addresses",
        ));
        assert!(!said.concat().contains("zz"), "{said:?}");
        assert_eq!(
            (said[2].as_str(), said[8].as_str()),
            ("box", "--redact=addresses")
        );
    }

    #[test]
    fn whoever_has_an_address_or_signed_is_a_person() {
        use crate::cert::testing::{Pki, Spec};
        let (pki, redactor) = (Pki::new(), redactor());
        let root = pki.issue(&Spec::root("root"));
        let zzann = pki.issue(&Spec::root("zzann").address("zzann@example.org"));
        let zzbob = pki.issue(&Spec::root("zzbob"));
        let all = [&root, &zzann, &zzbob].map(|known| &**known);
        let signers = HashSet::from([hex(&zzbob.sha256)]);
        let hiding = Hiding::new(Some(&redactor), all.into_iter(), &signers);
        for person in [&zzann, &zzbob] {
            let row = hiding.row(CertificateRow {
                subject: person.subject.clone(),
                issuer: person.issuer.clone(),
                ca: "true".into(),
                ..CertificateRow::default()
            });
            assert!(!format!("{row:?}").contains("zz"), "{row:?}");
        }
        assert_eq!(hiding.issuer(&root.subject), root.subject);
        let unknown = "emailAddress=zz\\,zz@example.org,CN=zz";
        assert!(!hiding.issuer(unknown).contains("zz"));
    }

    #[test]
    fn no_name_is_left_in_a_row() {
        let redactor = redactor();
        let hiding = Hiding::new(Some(&redactor), std::iter::empty(), &HashSet::new());
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
