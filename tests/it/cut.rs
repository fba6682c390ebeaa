//! Promise 25: mail that breaks off anywhere is never a panic, never `valid`, never quietly `plain`.

use std::collections::BTreeMap;
use std::fs;

use crate::support::table::{Row, rows};
use crate::support::{Sandbox, repository};

/// Every message of the sample, and what it is: bytes that end where its text does.
fn messages() -> Vec<Vec<u8>> {
    let archive = repository().join("sample-data/archive");
    let mut found = Vec::new();
    for name in ["Inbox.mbox", "Board.mbox"] {
        let mailbox = fs::read(archive.join(name)).unwrap();
        let mut start = None;
        for at in memchr::memmem::find_iter(&mailbox, b"From ") {
            if at == 0 || mailbox[..at].ends_with(b"\n\n") || mailbox[..at].ends_with(b"\n\r\n") {
                if let Some(start) = start {
                    found.push(mailbox[start..at].to_vec());
                }
                start = mailbox[at..]
                    .iter()
                    .position(|b| *b == b'\n')
                    .map(|n| at + n + 1);
            }
        }
        found.extend(start.map(|start| mailbox[start..].to_vec()));
    }
    for folder in ["curator/cur", "curator/new"] {
        for file in fs::read_dir(archive.join(folder)).unwrap() {
            found.push(fs::read(file.unwrap().path()).unwrap());
        }
    }
    found.sort();
    found
        .iter()
        .map(|message| message.trim_ascii_end().to_vec())
        .filter(|message| message.len() > 100)
        .collect()
}

/// Rows of messages.csv for files `in/NAME.eml`, by name.
fn migrate(files: &BTreeMap<String, &[u8]>) -> BTreeMap<String, Row> {
    let sandbox = Sandbox::with_sample();
    for (name, bytes) in files {
        sandbox.write(&format!("in/{name}.eml"), bytes);
    }
    let ran = sandbox.line(
        "migrate in --out OUT --no-originals --keys sample-data/keys --trust sample-data/ca \
         --intermediates sample-data/intermediates",
    );
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    let found = rows(&sandbox.path().join("OUT/report/messages.csv"));
    assert!(found.iter().all(|row| row.at("reason") != "internal-error"));
    found
        .into_iter()
        .filter(|row| row.at("part").is_empty())
        .map(|row| {
            let name = row
                .at("mailbox")
                .trim_start_matches("in/")
                .trim_end_matches(".eml");
            (name.to_owned(), row)
        })
        .collect()
}

fn body_start(message: &[u8]) -> usize {
    let lf = memchr::memmem::find(message, b"\n\n").map(|at| at + 2);
    let crlf = memchr::memmem::find(message, b"\r\n\r\n").map(|at| at + 4);
    lf.into_iter().chain(crlf).min().unwrap_or(message.len())
}

#[test]
fn mail_cut_anywhere_is_never_valid_and_never_quietly_plain() {
    /// Places at which each message is cut; the promise is every byte.
    const PLACES: usize = 12;
    let messages = messages();
    let whole: BTreeMap<String, &[u8]> = messages
        .iter()
        .enumerate()
        .map(|(at, message)| (format!("{at:03}"), message.as_slice()))
        .collect();
    let uncut = migrate(&whole);
    let valid = uncut
        .values()
        .filter(|row| row.at("verdict") == "valid")
        .count();
    let smime = uncut
        .values()
        .filter(|row| !row.at("form").starts_with("plain") && !row.at("form").contains("pgp"))
        .count();
    assert!(
        valid > 8 && smime > 20,
        "{valid} valid, {smime} S/MIME of {}",
        uncut.len()
    );

    let mut cuts: BTreeMap<String, &[u8]> = BTreeMap::new();
    for (name, message) in &whole {
        // The last characters of base64 may be padding: without it nothing is lost.
        let last = message.len() - 4;
        let spread = (1..=PLACES).map(|n| message.len() * n / (PLACES + 1));
        let near_the_end = [1, 3, 9, 40].into_iter().map(|n| last.saturating_sub(n));
        for cut in spread.chain(near_the_end).chain([last]) {
            cuts.insert(format!("{name}-{cut:06}"), &message[..cut]);
        }
    }
    let mut wrong = Vec::new();
    for (name, row) in migrate(&cuts) {
        let (original, cut) = name.split_once('-').unwrap();
        let cut: usize = cut.parse().unwrap();
        let form = uncut[original].at("form");
        let at_root = !["plain", "partial", "pgp", "other"]
            .iter()
            .any(|word| form.starts_with(word));
        let told = ["form", "outcome", "reason", "verdict"].map(|column| row.at(column).to_owned());
        if row.at("verdict") == "valid" {
            wrong.push(format!(
                "{name} of {} ({form}): {told:?}",
                whole[original].len()
            ));
        }
        let names_itself = at_root && cut >= body_start(whole[original]);
        if names_itself && row.at("form") == "plain" && row.at("outcome") == "plain" {
            wrong.push(format!(
                "{name} of {} ({form}): {told:?}",
                whole[original].len()
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cuts.len(),
        wrong.join("\n")
    );
}
