//! The lines that a tired administrator reads at the end of a run.

use super::totals::Totals;
use crate::text::terminal_safe;

/// Rows of the table of missing keys that a terminal shows.
const MISSING_SHOWN: usize = 10;

impl Totals {
    /// The summary of a run of `command`, line by line, safe for a terminal. What matters first
    /// stands first: whether every message is accounted for, then what failed and what to do.
    pub fn lines(&self, command: &str) -> Vec<String> {
        let mut lines = vec![self.accounted()];
        self.outcome_lines(&mut lines);
        self.verdict_line(command, &mut lines);
        self.failure_lines(&mut lines);
        self.missing_lines(&mut lines);
        lines.iter().map(|line| terminal_safe(line)).collect()
    }

    fn accounted(&self) -> String {
        let found = format!(
            "{} in {}",
            plural(self.messages, "message"),
            plural(self.mailboxes, "mailbox")
        );
        match self.written {
            None => found,
            Some(written) if written == self.messages => {
                format!("{found}, {written} written: all accounted for")
            }
            Some(written) => {
                format!(
                    "{found}, but {written} written: {} MISSING",
                    self.messages.abs_diff(written)
                )
            }
        }
    }

    fn outcome_lines(&self, lines: &mut Vec<String>) {
        let list = |counts: &std::collections::BTreeMap<String, u64>| {
            let mut pairs: Vec<_> = counts.iter().collect();
            pairs.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
            pairs
                .iter()
                .map(|(word, number)| format!("{number} {word}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        if !self.outcomes.is_empty() {
            lines.push(format!("outcomes: {}", list(&self.outcomes)));
        }
        if !self.verdicts.is_empty() {
            lines.push(format!("signed messages: {}", list(&self.verdicts)));
        }
        if !self.certificates.is_empty() {
            lines.push(format!("certificates: {}", list(&self.certificates)));
        }
    }

    fn verdict_line(&self, command: &str, lines: &mut Vec<String>) {
        if command == "verify" && !self.all_valid() {
            lines.push("not every signature is valid: signatures.csv says why, one row each (--report DIR)".into());
        }
    }

    fn failure_lines(&self, lines: &mut Vec<String>) {
        let failed = self.failed();
        if failed > 0 {
            lines.push(format!(
                "{} failed and stayed as they were; failed.csv says what to do about each:",
                plural(failed, "message")
            ));
        }
        for (outcome, reasons) in &self.failures {
            let number: u64 = reasons.values().sum();
            let named: Vec<&str> = reasons
                .keys()
                .map(String::as_str)
                .filter(|reason| !reason.is_empty())
                .collect();
            let why = if named.is_empty() {
                String::new()
            } else {
                format!(" ({})", named.join(", "))
            };
            lines.push(format!("  {number} {outcome}{why}: {}", hint(outcome)));
        }
        for (file, messages) in &self.locked_files {
            let cost = if *messages == 0 {
                String::new()
            } else {
                format!(
                    "; {} cannot be read without it",
                    plural(*messages, "message")
                )
            };
            lines.push(format!("  key file {file} is locked{cost}"));
        }
        if failed > 0 && self.written.is_some() {
            lines.push(
                "  a finished output folder stays as it is: name another one, or add --start-over"
                    .into(),
            );
        }
        if self.accepted > 0 {
            lines.push(format!(
                "{} let pass by --accept",
                plural(self.accepted, "failure")
            ));
        }
        if self.failed_files > 0 {
            lines.push(format!(
                "{} not read; sources.csv names all:",
                plural(self.failed_files, "file")
            ));
            lines.extend(
                self.failed_files_named
                    .iter()
                    .map(|file| format!("  {}: {}", file.path, file.status)),
            );
        }
    }

    fn missing_lines(&self, lines: &mut Vec<String>) {
        let Some(last) = self.missing_named.iter().take(MISSING_SHOWN).next_back() else {
            return;
        };
        let shown = self.missing_named.len().min(MISSING_SHOWN) as u64;
        lines.push(format!(
            "{} for a key; {} would open at least {} % of them:",
            plural_wait(self.unopened, "encrypted message"),
            plural(shown, "key file"),
            last.cumulative_percent
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
                format!("serial {}, {}", row.serial, row.issuer)
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
                "  and {} more, see missing-keys.csv",
                self.missing_keys - shown
            ));
        }
    }
}

fn hint(outcome: &str) -> &'static str {
    match outcome {
        "no-key" => "more key files are needed, see missing-keys.csv",
        "locked" => "passphrases are needed, see --passphrases",
        "undecryptable" => "the key is there but does not open them",
        "malformed" => "damaged or cut off; look for another copy",
        "unsupported" => "an algorithm or form that this version does not know",
        _ => "a policy or limit; docs/reference/reasons.md explains each",
    }
}

fn plural(number: u64, noun: &str) -> String {
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
    use super::super::rows::MissingKeyRow;
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
            totals.lines("migrate"),
            ["3 messages in 1 mailbox, 3 written: all accounted for"]
        );
        totals.written = Some(2);
        assert_eq!(
            totals.lines("migrate")[0],
            "3 messages in 1 mailbox, but 2 written: 1 MISSING"
        );
        assert_eq!(totals.exit_code("migrate"), 3);
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
        let lines = totals.lines("scan");
        assert_eq!(
            lines[1],
            "5 encrypted messages wait for a key; 1 key file would open at least 97.3 % of them:"
        );
        assert_eq!(
            lines[3],
            "         4   97.3 %  missing  serial 0a, CN=\\u{1b}[2J"
        );
    }
}
