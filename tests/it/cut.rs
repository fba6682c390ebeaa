//! Promise 25: mail that breaks off anywhere is never a panic, never `valid`, never quietly `plain`: at
//! chosen places of each message, and with `P7MILL_SWEEP=1` at every byte of the sample and of the corpora's
//! messages of up to 64 KiB.

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
    let sources =
        "--keys sample-data/keys --trust sample-data/ca --intermediates sample-data/intermediates";
    run(&Sandbox::with_sample(), files, sources)
}

fn run(sandbox: &Sandbox, files: &BTreeMap<String, &[u8]>, sources: &str) -> BTreeMap<String, Row> {
    for (name, bytes) in files {
        sandbox.write(&format!("in/{name}.eml"), bytes);
    }
    let ran = sandbox.line(&format!(
        "migrate in --out OUT --dry-run --report R {sources}"
    ));
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    let found = rows(&sandbox.path().join("R/messages.csv"));
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

/// Which bytes of the whole are left: at most so many, so that a run does not fill a disk.
const BATCH: usize = 48 << 20;

/// Cuts every message at the places that `places` names, in as many runs as it takes; what is wrong with any.
fn cut_and_judge(
    whole: &BTreeMap<String, &[u8]>,
    places: impl Fn(&[u8]) -> Vec<usize>,
    migrate: impl Fn(&BTreeMap<String, &[u8]>) -> BTreeMap<String, Row>,
) -> (usize, Vec<String>) {
    let uncut = migrate(whole);
    let mut cuts = whole.iter().flat_map(|(name, message)| {
        let places = places(message).into_iter();
        places.map(move |cut| (format!("{name}-{cut:06}"), &message[..cut]))
    });
    let (mut number, mut wrong) = (0, Vec::new());
    loop {
        let mut batch: BTreeMap<String, &[u8]> = BTreeMap::new();
        let mut bytes = 0;
        for (name, message) in cuts.by_ref() {
            bytes += message.len();
            batch.insert(name, message);
            if bytes > BATCH || batch.len() == 4_000 {
                break;
            }
        }
        if batch.is_empty() {
            return (number, wrong);
        }
        number += batch.len();
        let judged = migrate(&batch);
        for name in batch.keys().filter(|name| !judged.contains_key(*name)) {
            let (original, cut) = name.split_once('-').unwrap();
            // Of less than a header nobody can say that it is mail, nor of what was none when it was whole:
            // sources.csv lists it as a file.
            let header = cut.parse::<usize>().unwrap() < body_start(whole[original]);
            assert!(header || !uncut.contains_key(original), "{name} has no row");
        }
        for (name, row) in judged {
            let (original, cut) = name.split_once('-').unwrap();
            let cut: usize = cut.parse().unwrap();
            let form = uncut[original].at("form");
            let at_root = !["plain", "partial", "pgp", "other"]
                .iter()
                .any(|word| form.starts_with(word));
            let names_itself = at_root && cut >= body_start(whole[original]);
            let quietly_plain = row.at("form") == "plain" && row.at("outcome") == "plain";
            if row.at("verdict") == "valid" || (names_itself && quietly_plain) {
                let told = ["form", "outcome", "reason", "verdict"].map(|column| row.at(column));
                wrong.push(format!(
                    "{name} of {} ({form}): {told:?}",
                    whole[original].len()
                ));
            }
        }
    }
}

fn named(messages: &[Vec<u8>]) -> BTreeMap<String, &[u8]> {
    let named = messages.iter().enumerate();
    named
        .map(|(at, message)| (format!("{at:03}"), message.as_slice()))
        .collect()
}

/// Where the last characters of base64 begin that may be padding: without it nothing is lost.
fn last(message: &[u8]) -> usize {
    message.len().saturating_sub(4)
}

fn sweeps() -> bool {
    std::env::var_os("P7MILL_SWEEP").is_some()
}

#[test]
fn mail_cut_anywhere_is_never_valid_and_never_quietly_plain() {
    /// Places at which each message is cut, spread over it.
    const PLACES: usize = 16;
    let messages = messages();
    let whole = named(&messages);
    let uncut = migrate(&whole);
    let count = |is: &dyn Fn(&Row) -> bool| uncut.values().filter(|row| is(row)).count();
    let valid = count(&|row| row.at("verdict") == "valid");
    let smime =
        count(&|row| !row.at("form").starts_with("plain") && !row.at("form").contains("pgp"));
    assert!(
        valid > 8 && smime > 20,
        "{valid} valid, {smime} S/MIME of {}",
        uncut.len()
    );
    let places = |message: &[u8]| {
        let end = last(message);
        if sweeps() {
            return (0..=end).collect();
        }
        let body = body_start(message);
        let spread = (1..=PLACES).map(|n| message.len() * n / (PLACES + 1));
        let near_the_end = [0, 1, 2, 3, 9, 40].map(|n| end.saturating_sub(n));
        let around_the_header = [0, 1, body.saturating_sub(1), body, body + 1];
        let mut all: Vec<usize> = spread
            .chain(near_the_end)
            .chain(around_the_header)
            .collect();
        all.retain(|cut| *cut <= end);
        all.sort_unstable();
        all.dedup();
        all
    };
    let (number, wrong) = cut_and_judge(&whole, places, migrate);
    println!("{number} cuts of {} messages", whole.len());
    assert!(
        wrong.is_empty(),
        "{} of {number}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Mail made by others, each file taken as mail, key and authority at once.
#[test]
fn the_corpora_s_mail_cut_at_every_byte_is_never_valid_and_never_quietly_plain() {
    const LARGEST: usize = 64 << 10;
    let corpora = repository().join("../shared/corpora");
    if !sweeps() || !corpora.is_dir() {
        println!("NOT SHOWN: without P7MILL_SWEEP=1, or ../shared/corpora is absent");
        return;
    }
    let cases = fs::read_to_string(corpora.join("cases.tsv")).unwrap();
    let mut messages: Vec<Vec<u8>> = cases
        .lines()
        .skip(1)
        .filter_map(|line| fs::read(corpora.join(line.split('\t').nth(1)?)).ok())
        .map(|message| message.trim_ascii_end().to_vec())
        .filter(|message| (100..=LARGEST).contains(&message.len()))
        .collect();
    messages.sort();
    messages.dedup();
    let sources = format!("--keys {0} --trust {0}", corpora.display());
    let (number, wrong) = cut_and_judge(
        &named(&messages),
        |message| (0..=last(message)).collect(),
        |files| run(&Sandbox::new(), files, &sources),
    );
    println!("{number} cuts of {} messages", messages.len());
    assert!(
        wrong.is_empty(),
        "{} of {number}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
