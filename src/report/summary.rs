//! The lines that a tired administrator reads at the end of a run.

use super::advice;
use super::totals::{MAYBE_LOCKED, NotValid, Totals};
use crate::text::terminal_safe;

/// Rows of the table of missing keys that a terminal shows.
const MISSING_SHOWN: usize = 10;

/// Locked key files that one line names.
const LOCKED_SHOWN: usize = 3;

/// Addresses without a certificate that a terminal shows.
const UNKNOWN_SHOWN: usize = 20;

/// What a summary has to know of the run beside its totals, to give no advice that was just followed
/// and to point at nothing that is not there.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other"
)]
pub struct Telling<'a> {
    /// The command's name.
    pub command: &'a str,
    /// The extension of the reports that were written, `csv` or `jsonl`; `None` without reports.
    pub reports: Option<&'a str>,
    /// Whether mail is written, to a folder or to standard output.
    pub writes: bool,
    /// Whether passphrases were given by an option.
    pub passphrases: bool,
    /// Whether passphrases or shared keys of messages were.
    pub secrets: bool,
    /// Whether what costs nothing is told too.
    pub verbose: bool,
    /// Whether trust anchors were named.
    pub trusts: bool,
    /// Whether there is a certificate store.
    pub store: bool,
}

impl Telling<'_> {
    /// Points at a report, or says how to get it. `says` goes on from its name.
    fn report(&self, name: &str, says: &str) -> String {
        match self.reports {
            Some(extension) => format!("{name}.{extension} {says}"),
            None => format!("add --report DIR for {name}.csv, which {says}"),
        }
    }
}

impl Totals {
    /// The summary of a run, line by line, safe for a terminal. What matters first stands first:
    /// whether every message is accounted for, then what failed and what to do.
    pub fn lines(&self, telling: &Telling<'_>) -> Vec<String> {
        let mut lines = vec![self.accounted()];
        self.outcome_lines(telling, &mut lines);
        self.signature_lines(telling, &mut lines);
        self.failure_lines(telling, &mut lines);
        self.unknown_lines(&mut lines);
        self.locked_lines(telling, &mut lines);
        self.file_lines(telling, &mut lines);
        if telling.command != "encrypt" {
            self.missing_lines(telling, &mut lines);
            self.beyond_lines(telling, &mut lines);
        }
        if self.failed() > 0 && self.written.is_some() {
            lines.push(
                "a finished output folder stays as it is: name another one, or add --start-over"
                    .into(),
            );
        }
        lines.iter().map(|line| terminal_safe(line)).collect()
    }

    fn accounted(&self) -> String {
        let found = format!(
            "{} in {}",
            plural(self.messages, "message"),
            plural(self.mailboxes, "mailbox")
        );
        // Nobody knows how many messages are in a file that was not read.
        let unread = self.unread().map(|unread| format!("; {unread}"));
        match self.written {
            None => found + &unread.unwrap_or_default(),
            Some(written) if self.lost() == 0 => {
                let withheld = match self.withheld {
                    0 => String::new(),
                    number => format!(", {number} left out"),
                };
                let copies = match self.copies {
                    0 => String::new(),
                    1 => ", 1 copy for a blind recipient".to_owned(),
                    number => format!(", {number} copies for blind recipients"),
                };
                let rest = unread.unwrap_or_else(|| ": all accounted for".to_owned());
                format!("{found}, {written} written{withheld}{copies}{rest}")
            }
            Some(written) => {
                format!(
                    "{found}, but {written} written: {} MISSING{}",
                    self.lost(),
                    unread.unwrap_or_default()
                )
            }
        }
    }

    fn outcome_lines(&self, telling: &Telling<'_>, lines: &mut Vec<String>) {
        let list = |counts: &std::collections::BTreeMap<String, u64>| {
            let mut pairs: Vec<_> = counts.iter().collect();
            pairs.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
            pairs
                .iter()
                .map(|(word, number)| match word.as_str() {
                    // A store keeps them apart; without one nothing is done to them.
                    "quarantined" if !telling.store => format!("{number} not proven"),
                    word => format!("{number} {word}"),
                })
                .collect::<Vec<_>>()
                .join(", ")
        };
        if !self.outcomes.is_empty() {
            lines.push(format!("outcomes: {}", list(&self.outcomes)));
        }
        if !self.verdicts.is_empty() {
            lines.push(format!("signed messages: {}", list(&self.verdicts)));
            if !telling.trusts {
                let harvests = if telling.command == "harvest" {
                    ", and no certificate usable"
                } else {
                    ""
                };
                lines.push(format!("no --trust: no signature can be valid{harvests}"));
            }
        }
        if !self.certificates.is_empty() {
            lines.push(format!("certificates: {}", list(&self.certificates)));
            if telling.command == "harvest" && self.certificates.contains_key("quarantined") {
                lines.push(
                    "quarantined certificates are kept, and nothing is encrypted to them; store show ADDRESS says why"
                        .into(),
                );
            }
        }
    }

    fn signature_lines(&self, telling: &Telling<'_>, lines: &mut Vec<String>) {
        if telling.command != "verify" || self.all_valid() {
            return;
        }
        lines.push(format!(
            "not every signature is valid; {}:",
            telling.report("signatures", "says why, a row each")
        ));
        lines.extend(self.not_valid_named.iter().map(not_valid));
        let more = self
            .not_valid()
            .saturating_sub(self.not_valid_named.len() as u64);
        if more > 0 {
            lines.push(format!("  … and {more} more"));
        }
    }

    fn failure_lines(&self, telling: &Telling<'_>, lines: &mut Vec<String>) {
        let failed = self.failed();
        if failed > 0 {
            let became = match (telling.writes, failed) {
                (true, _) if telling.command == "encrypt" => "cannot be encrypted; not written",
                (false, _) if telling.command == "encrypt" => "cannot be encrypted",
                (false, _) if telling.command == "sign" => "cannot be signed",
                (false, _) => "cannot be read",
                (true, 1) => "failed and stayed as it was",
                (true, _) => "failed and stayed as they were",
            };
            lines.push(format!(
                "{} {became}; {}:",
                plural(failed, "message"),
                telling.report("failed", "says what to do about each")
            ));
        }
        for (outcome, reasons) in &self.failures {
            // Reasons that the same thing helps against stand in one line.
            let mut hints: Vec<(String, u64, Vec<&str>)> = Vec::new();
            for (reason, number) in reasons {
                let hint = self.hint(outcome, reason, telling);
                let place = hints.iter().position(|(known, ..)| *known == hint);
                let place = place.unwrap_or_else(|| {
                    hints.push((hint, 0, Vec::new()));
                    hints.len() - 1
                });
                if let Some((_, sum, named)) = hints.get_mut(place) {
                    *sum += number;
                    named.extend(Some(reason.as_str()).filter(|reason| !reason.is_empty()));
                }
            }
            lines.extend(hints.into_iter().map(|(hint, number, named)| {
                let why = if named.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", named.join(", "))
                };
                format!("  {number} {outcome}{why}: {hint}")
            }));
        }
        if self.accepted > 0 {
            lines.push(format!(
                "{} let pass by --accept",
                plural(self.accepted, "failure")
            ));
        }
    }

    /// What helps against a failure.
    fn hint(&self, outcome: &str, reason: &str, telling: &Telling<'_>) -> String {
        let hint = match (outcome, reason) {
            ("no-key", MAYBE_LOCKED) => return self.maybe_locked(telling),
            ("no-key", "password-encrypted") => {
                "a passphrase or a shared key is needed, nobody's key file; see --message-passphrase-file and \
                 --message-key-file"
            }
            ("no-key", _) if telling.command == "sign" => advice::about_signing(reason)
                .unwrap_or("no usable key of the address that has to sign; see --keys and --as"),
            ("no-key", _) => {
                if let Some(advice) = advice::about_signing(reason) {
                    return advice.to_owned();
                }
                let where_from = telling.report("missing-keys", "says whose");
                return format!("more key files are needed; {where_from}");
            }
            ("locked", _) if telling.passphrases => {
                "no passphrase given opens the key file, which is named below"
            }
            ("locked", _) => "passphrases are needed, see --passphrases",
            ("undecryptable", _) => {
                "every key or passphrase at hand was tried and does not open them"
            }
            ("malformed", _) => "damaged or cut off; look for another copy",
            ("unsupported", _) => "an algorithm or form that this version does not know",
            ("refused", "recipient-unknown" | "recipient-unusable") => {
                "a certificate is missing or may not be used, see below"
            }
            (_, reason) => {
                return advice::about_signing(reason)
                    .map_or_else(|| advice::refused(reason), str::to_owned);
            }
        };
        hint.to_owned()
    }

    /// The locked files by name, where it is one of them that may hold a key.
    fn maybe_locked(&self, telling: &Telling<'_>) -> String {
        let mut names: Vec<&str> = self.locked_files.keys().map(String::as_str).collect();
        let more = names.len().saturating_sub(LOCKED_SHOWN);
        names.truncate(LOCKED_SHOWN);
        let mut named = names.join(", ");
        if more > 0 {
            named += &format!(" and {more} more");
        }
        let what = match (names.len(), telling.passphrases) {
            (0, _) => "a key file is locked and may hold the key".to_owned(),
            (1, false) => format!("{named} is locked and may hold the key"),
            (_, false) => format!("{named} are locked and may hold the key"),
            (_, true) => format!("{named} may hold the key, and no passphrase given opens it"),
        };
        format!("{what}; see --passphrase-file and --passphrases")
    }

    /// Whose certificates are needed before mail to them can be encrypted.
    fn unknown_lines(&self, lines: &mut Vec<String>) {
        if self.unknown_recipients.is_empty() {
            return;
        }
        let mut pairs: Vec<_> = self.unknown_recipients.iter().collect();
        // Behind an address stands why what is known of it is not used.
        let unusable = |address: &&String| address.ends_with(')');
        let some = pairs.iter().any(|(address, _)| unusable(address));
        let what = match (some, pairs.iter().all(|(address, _)| unusable(address))) {
            (_, true) => "a certificate of these addresses is known but may not be used now",
            (true, _) => {
                "no certificate, or none that may be used now, is known for these addresses"
            }
            _ => "no certificate to encrypt to is known for these addresses",
        };
        lines.push(format!(
            "{what}; harvest {} that they signed, or name --to CERTFILE:",
            if some { "a newer message" } else { "a message" }
        ));
        pairs.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        lines.extend(
            pairs
                .iter()
                .take(UNKNOWN_SHOWN)
                .map(|(address, number)| format!("  {address}: {}", plural(**number, "message"))),
        );
        let more = pairs.len().saturating_sub(UNKNOWN_SHOWN);
        if more > 0 {
            lines.push(format!("  … and {more} more"));
        }
    }

    /// The locked key files that messages need, or may need.
    fn locked_lines(&self, telling: &Telling<'_>, lines: &mut Vec<String>) {
        let perhaps = self
            .failures
            .get("no-key")
            .is_some_and(|reasons| reasons.contains_key(MAYBE_LOCKED));
        for (file, messages) in &self.locked_files {
            if *messages == 0 && !perhaps && !telling.verbose {
                continue;
            }
            let cost = match *messages {
                0 => String::new(),
                number => format!("; {} cannot be read without it", plural(number, "message")),
            };
            lines.push(if telling.passphrases {
                format!("  none of the given passphrases opens {file}{cost}")
            } else {
                format!("  key file {file} is locked{cost}")
            });
        }
    }

    fn file_lines(&self, telling: &Telling<'_>, lines: &mut Vec<String>) {
        if self.failed_files == 0 {
            return;
        }
        let how = if self.partly_read_files == 0 {
            "not read"
        } else if self.partly_read_files == self.failed_files {
            "read in part"
        } else {
            "not read, or in part"
        };
        lines.push(format!(
            "{} {how}; {}:",
            plural(self.failed_files, "file"),
            telling.report("sources", "names every file")
        ));
        lines.extend(
            self.failed_files_named
                .iter()
                .map(|file| format!("  {}: {}", file.path, file.status)),
        );
    }

    fn missing_lines(&self, telling: &Telling<'_>, lines: &mut Vec<String>) {
        let Some(last) = self.missing_named.iter().take(MISSING_SHOWN).next_back() else {
            return;
        };
        let shown = self.missing_named.len().min(MISSING_SHOWN) as u64;
        let share = match (last.cumulative_percent.as_str(), self.unopened) {
            ("100.0", 1) => "it".to_owned(),
            ("100.0", _) => "all of them".to_owned(),
            (percent, _) => format!("at least {percent} % of them"),
        };
        // Signatures below are nobody's business to a scan, and all of it to these.
        let inside = match telling.command {
            "verify" => ", so that what is signed inside is not judged",
            "harvest" => ", so that who signed inside is not known",
            _ => "",
        };
        lines.push(format!(
            "{} for a key{inside}; {} would open {share}:",
            plural_wait(self.unopened, "encrypted message"),
            plural(shown, "key file"),
        ));
        let rows = self.missing_named.iter().take(MISSING_SHOWN);
        lines.push(format!(
            "  {:>8}  {:>7}  {:<7}  {}",
            "opens", "total", "key", "whose"
        ));
        lines.extend(rows.map(|row| {
            let name = if row.serial.is_empty() {
                format!("key identifier {}", row.ski)
            } else {
                format!("serial {} issued by {}", row.serial, row.issuer)
            };
            let whose = match row.address_source.as_str() {
                "certificate" => format!("{} ({name})", row.address),
                "guessed" => format!("perhaps {} ({name})", row.address),
                _ => name,
            };
            format!(
                "  {:>8}  {:>5} %  {:<7}  {whose}",
                row.newly_opened, row.cumulative_percent, row.key_status
            )
        }));
        if self.missing_keys > shown {
            lines.push(format!(
                "  and {} more; {}",
                self.missing_keys - shown,
                telling.report("missing-keys", "names all")
            ));
        }
    }

    /// What no key file would open.
    fn beyond_lines(&self, telling: &Telling<'_>, lines: &mut Vec<String>) {
        let (all, phrase, key) = (
            self.wait_for_secret,
            self.wait_for_passphrase,
            self.wait_for_shared_key,
        );
        if all > 0 {
            let either = all.saturating_sub(phrase + key);
            let options = [
                (phrase, "--message-passphrase-file"),
                (key, "--message-key-file"),
                (either, "--message-passphrase-file or --message-key-file"),
            ];
            let options = options.iter().filter(|(number, _)| *number > 0);
            let helps: Vec<_> = options
                .map(|(number, option)| format!("{option} for {number}"))
                .collect();
            let tried = if telling.secrets {
                ", and none given opens them"
            } else {
                ""
            };
            lines.push(format!(
                "{} for a passphrase or a shared key, not for a key file{tried}: {}",
                plural_wait(all, "encrypted message"),
                helps.join(", ")
            ));
        }
        if self.beyond_key_files > 0 {
            lines.push(format!(
                "no further key file would open {}",
                plural(self.beyond_key_files, "encrypted message")
            ));
        }
    }
}

fn not_valid(signature: &NotValid) -> String {
    let part = if signature.part.is_empty() {
        String::new()
    } else {
        format!(" part {}", signature.part)
    };
    let signer = if signature.signer.is_empty() {
        "an unknown signer"
    } else {
        &signature.signer
    };
    let why = if signature.reasons.is_empty() {
        String::new()
    } else {
        format!(" ({})", signature.reasons)
    };
    format!(
        "  {} {}{part}, {signer}: {}{why}",
        signature.mailbox, signature.ordinal, signature.verdict
    )
}

/// A number and what is counted, in the right number.
pub fn plural(number: u64, noun: &str) -> String {
    match (number, noun) {
        (1, _) => format!("1 {noun}"),
        (_, "mailbox") => format!("{number} mailboxes"),
        _ => format!("{number} {noun}s"),
    }
}

fn plural_wait(number: u64, noun: &str) -> String {
    let verb = if number == 1 { "waits" } else { "wait" };
    format!("{} {verb}", plural(number, noun))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::record::FileRecord;
    use super::super::rows::{MissingKeyRow, SignatureRow};
    use super::*;

    #[test]
    fn the_first_line_accounts_for_every_message() {
        let mut totals = Totals {
            messages: 3,
            mailboxes: 1,
            written: Some(3),
            ..Totals::default()
        };
        assert_eq!(
            totals.lines(&Telling::default()),
            ["3 messages in 1 mailbox, 3 written: all accounted for"]
        );
        totals.written = Some(2);
        assert_eq!(
            totals.lines(&Telling::default())[0],
            "3 messages in 1 mailbox, but 2 written: 1 MISSING"
        );
        assert_eq!(totals.exit_code("migrate"), 3);
        totals.failed_files = 1;
        totals.written = Some(3);
        assert_eq!(
            totals.lines(&Telling::default())[0],
            "3 messages in 1 mailbox, 3 written; 1 file was not read"
        );
        totals.written = None;
        assert_eq!(
            totals.lines(&Telling::default())[0],
            "3 messages in 1 mailbox; 1 file was not read"
        );
        totals.partly_read_files = 1;
        assert_eq!(
            totals.lines(&Telling::default())[0],
            "3 messages in 1 mailbox; 1 file was read in part"
        );
        totals.failed_files = 3;
        assert_eq!(
            totals.lines(&Telling::default())[0],
            "3 messages in 1 mailbox; 2 files were not read, 1 file was read in part"
        );
    }

    #[test]
    fn an_archive_is_no_mailbox_and_a_part_of_one_is() {
        let mut totals = Totals::default();
        for (kind, messages, status) in [
            ("zip", 0, "read"),
            ("tar.gz", 0, "read"),
            ("mbox", 39, "read"),
            ("mbox", 0, "read"),
            (
                "mbox.gz",
                22,
                "skipped: cannot read all of it: it ends too early",
            ),
            ("pst", 0, "skipped: why"),
            ("text", 0, "copied"),
        ] {
            totals.add_file(&FileRecord {
                path: kind.into(),
                kind: kind.into(),
                bytes: 1,
                sha256: String::new(),
                messages,
                status: status.into(),
                failed: status.starts_with("skipped"),
                out: None,
            });
        }
        assert_eq!(totals.mailboxes, 3);
        assert_eq!((totals.failed_files, totals.partly_read_files), (2, 1));
    }

    #[test]
    fn what_is_left_out_is_not_missing_and_what_no_key_opens_is_told() {
        let mut totals = Totals {
            messages: 12,
            mailboxes: 1,
            written: Some(9),
            withheld: 3,
            wait_for_secret: 2,
            wait_for_passphrase: 1,
            beyond_key_files: 1,
            ..Totals::default()
        };
        assert_eq!((totals.lost(), totals.closed()), (0, 3));
        assert_eq!(
            totals.lines(&Telling::default()),
            [
                "12 messages in 1 mailbox, 9 written, 3 left out: all accounted for",
                "2 encrypted messages wait for a passphrase or a shared key, not for a key file: \
                 --message-passphrase-file for 1, --message-passphrase-file or --message-key-file for 1",
                "no further key file would open 1 encrypted message",
            ]
        );
        totals.written = Some(8);
        assert_eq!((totals.lost(), totals.exit_code("encrypt")), (1, 3));
    }

    #[test]
    fn nothing_points_at_a_report_that_is_not_there() {
        let one = BTreeMap::from([(String::new(), 1)]);
        let totals = Totals {
            failures: BTreeMap::from([("no-key".into(), one.clone()), ("locked".into(), one)]),
            locked_files: BTreeMap::from([("h.p12".into(), 1), ("idle.p12".into(), 0)]),
            ..Totals::default()
        };
        let said = totals.lines(&Telling::default()).join("\n");
        assert!(
            said.contains("2 messages cannot be read; add --report DIR for failed.csv"),
            "{said}"
        );
        assert!(
            said.contains("add --report DIR for missing-keys.csv"),
            "{said}"
        );
        assert!(said.contains("see --passphrases"), "{said}");
        assert!(
            said.contains("key file h.p12 is locked; 1 message"),
            "{said}"
        );
        assert!(!said.contains("idle.p12"), "{said}");
        let telling = Telling {
            reports: Some("jsonl"),
            writes: true,
            passphrases: true,
            verbose: true,
            ..Telling::default()
        };
        let said = totals.lines(&telling).join("\n");
        assert!(
            said.contains("2 messages failed and stayed as they were; failed.jsonl says"),
            "{said}"
        );
        assert!(
            !said.contains("--passphrases") && !said.contains("--report"),
            "{said}"
        );
        assert!(
            said.contains("none of the given passphrases opens idle.p12"),
            "{said}"
        );
    }

    #[test]
    fn signatures_that_are_not_valid_are_named_and_the_rest_counted() {
        let mut totals = Totals::default();
        for ordinal in 1..=12 {
            totals.add_signature(&SignatureRow {
                mailbox: "M.mbox".into(),
                ordinal,
                signer: "a\u{1b}@x".into(),
                verdict: "invalid".into(),
                reasons: "digest-mismatch".into(),
                ..SignatureRow::default()
            });
        }
        let telling = Telling {
            command: "verify",
            ..Telling::default()
        };
        let lines = totals.lines(&telling);
        assert!(
            lines.contains(&"  M.mbox 10, a\\u{1b}@x: invalid (digest-mismatch)".to_owned()),
            "{lines:?}"
        );
        assert_eq!(lines.last().map(String::as_str), Some("  … and 2 more"));
    }

    #[test]
    fn missing_keys_stand_in_a_table_that_no_name_can_break() {
        let row = MissingKeyRow {
            issuer: "CN=\u{1b}[2J".into(),
            serial: "0a".into(),
            newly_opened: 4,
            cumulative_percent: "97.3".into(),
            key_status: "missing".into(),
            ..MissingKeyRow::default()
        };
        let totals = Totals {
            unopened: 5,
            missing_keys: 1,
            missing_named: vec![row],
            ..Totals::default()
        };
        let lines = totals.lines(&Telling::default());
        assert_eq!(
            lines[1],
            "5 encrypted messages wait for a key; 1 key file would open at least 97.3 % of them:"
        );
        assert_eq!(
            lines[3],
            "         4   97.3 %  missing  serial 0a issued by CN=\\u{1b}[2J"
        );
    }
}
