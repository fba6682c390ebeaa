//! A run that is killed, interrupted, repeated, raced.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::trees::{differences, files, incidental};
use crate::support::{Sandbox, repository};

const IN_MBOX: usize = 4_000;
const IN_MAILDIR: usize = 1_000;

/// 5,000 messages, and what an uninterrupted run makes of them.
struct Golden {
    sandbox: Sandbox,
    tree: BTreeMap<String, Vec<u8>>,
    store: String,
    journal: u64,
}

/// Messages of the sample that are S/MIME, as Inbox.mbox stores them, without their From_ lines.
fn sample_messages() -> Vec<String> {
    let text = fs::read(repository().join("sample-data/archive/Inbox.mbox")).unwrap();
    let text = String::from_utf8_lossy(&text).into_owned();
    format!("\n{text}")
        .split("\nFrom ")
        .skip(1)
        .filter(|message| message.contains("pkcs7"))
        .map(|message| message.split_once('\n').expect("a From_ line").1.to_owned())
        .collect()
}

/// The `n`th message: every eighth is one of the sample's, the rest is plain.
fn message(n: usize, reused: &[String]) -> String {
    if n.is_multiple_of(8) {
        return reused[(n / 8) % reused.len()].clone();
    }
    let mut text = format!(
        "From: quay{}@example.org\nTo: office@example.org\nMessage-ID: <generated-{n}@example.org>\n\
         Date: Mon, 23 Nov 2015 {:02}:{:02}:{:02} +0000\nSubject: Load {n}\n\n",
        n % 17,
        n / 3600 % 24,
        n / 60 % 60,
        n % 60
    );
    for line in 0..n % 40 {
        writeln!(text, "{line:3} crates of load {n} stand on the quay.").unwrap();
    }
    if n.is_multiple_of(97) {
        text.push_str(">From here on it rained.\n");
    }
    text
}

fn write_source(archive: &Path) {
    let reused = sample_messages();
    assert!(reused.len() > 20, "{} S/MIME messages", reused.len());
    let mut mbox = String::new();
    for n in 0..IN_MBOX {
        write!(
            mbox,
            "From quay@example.org Mon Nov 23 09:00:00 2015\n{}\n",
            message(n, &reused)
        )
        .unwrap();
    }
    fs::create_dir_all(archive).unwrap();
    fs::write(archive.join("big.mbox"), mbox).unwrap();
    for sub in ["cur", "new", "tmp"] {
        fs::create_dir_all(archive.join("box").join(sub)).unwrap();
    }
    for n in 0..IN_MAILDIR {
        let text = message(n + IN_MBOX, &reused);
        let name = format!("cur/{}.M{n}P1.mail,S={}:2,S", 1_448_000_000 + n, text.len());
        fs::write(archive.join("box").join(name), text).unwrap();
    }
}

fn source() -> &'static Path {
    static ONCE: OnceLock<Sandbox> = OnceLock::new();
    ONCE.get_or_init(|| {
        let sandbox = Sandbox::new();
        write_source(&sandbox.path().join("archive"));
        sandbox
    })
    .path()
}

/// The command line of every run here.
fn arguments(out: &str) -> Vec<String> {
    let sample = repository().join("sample-data");
    let at = |path: PathBuf| path.to_string_lossy().into_owned();
    [
        "migrate".to_owned(),
        at(source().join("archive")),
        "--keys".to_owned(),
        at(sample.join("keys")),
        "--trust".to_owned(),
        at(sample.join("ca")),
        "--store".to_owned(),
        "certs.db".to_owned(),
        "--out".to_owned(),
        out.to_owned(),
    ]
    .into()
}

fn golden() -> &'static Golden {
    static ONCE: OnceLock<Golden> = OnceLock::new();
    ONCE.get_or_init(|| {
        let sandbox = Sandbox::new();
        sandbox.run(arguments("OUT")).expect(3);
        let tree = files(&sandbox.path().join("OUT"), incidental);
        let store = sandbox.line("store list --store certs.db").expect(0).stdout;
        let journal = journal_size(sandbox.path());
        assert!(journal > 100_000, "the journal has {journal} bytes");
        Golden {
            sandbox,
            tree,
            store,
            journal,
        }
    })
}

/// Bytes in OUT's journal, however many files it is made of.
fn journal_size(folder: &Path) -> u64 {
    walkdir::WalkDir::new(folder.join("OUT/.p7mill"))
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| {
            entry
                .path()
                .strip_prefix(folder)
                .is_ok_and(|p| p.to_string_lossy().contains("journal"))
        })
        .filter_map(|entry| {
            entry
                .metadata()
                .ok()
                .filter(std::fs::Metadata::is_file)
                .map(|meta| meta.len())
        })
        .sum()
}

/// Starts a run and waits until its journal has this many bytes; fails if it ends before.
fn start_until(sandbox: &Sandbox, journal: u64) -> Child {
    let mut child = start(sandbox);
    let deadline = Instant::now() + Duration::from_secs(120);
    while journal_size(sandbox.path()) < journal {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended before its journal had {journal} bytes"
        );
        assert!(
            Instant::now() < deadline,
            "the journal did not grow to {journal} bytes"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

fn start(sandbox: &Sandbox) -> Child {
    sandbox
        .command(arguments("OUT"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Fails unless the folder is what the golden run made.
#[track_caller]
fn equals_golden(sandbox: &Sandbox) {
    let golden = golden();
    let wrong = differences(
        &golden.tree,
        &files(&sandbox.path().join("OUT"), incidental),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let store = sandbox.line("store list --store certs.db").expect(0).stdout;
    assert_eq!(store, golden.store, "the store");
    sandbox.line("check OUT").expect(0);
}

#[test]
fn the_generated_archive_is_migrated_whole() {
    let golden = golden();
    let messages =
        crate::support::table::rows(&golden.sandbox.path().join("OUT/report/messages.csv"));
    assert_eq!(
        messages
            .iter()
            .filter(|row| row.at("part").is_empty())
            .count(),
        IN_MBOX + IN_MAILDIR
    );
    assert!(
        messages
            .iter()
            .filter(|row| row.at("outcome") == "decrypted")
            .count()
            > 100
    );
}

/// Kills a run when a share of the golden journal is there, and finishes it.
fn killed_at(percent: u64) {
    let golden = golden();
    let sandbox = Sandbox::new();
    let mut child = start_until(&sandbox, golden.journal * percent / 100);
    child.kill().unwrap();
    child.wait().unwrap();
    let left = journal_size(sandbox.path());
    println!("killed with {left} of {} bytes of journal", golden.journal);
    assert!(
        left > 0 && left < golden.journal,
        "the journal is not partial: {left} of {}",
        golden.journal
    );
    assert!(
        !sandbox.path().join("OUT/report/messages.csv").exists(),
        "the run had already written its reports"
    );
    sandbox.run(arguments("OUT")).expect(3);
    equals_golden(&sandbox);
}

#[test]
fn a_run_killed_early_and_run_again_equals_one_left_alone() {
    killed_at(8);
}

#[test]
fn a_run_killed_midway_and_run_again_equals_one_left_alone() {
    killed_at(45);
}

#[test]
fn a_run_killed_late_in_the_maildir_and_run_again_equals_one_left_alone() {
    killed_at(88);
}

#[test]
fn a_run_killed_three_times_over_equals_one_left_alone() {
    let golden = golden();
    let sandbox = Sandbox::new();
    for percent in [15, 40, 70] {
        let mut child = start_until(&sandbox, golden.journal * percent / 100);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            journal_size(sandbox.path()) < golden.journal,
            "the journal is not partial"
        );
    }
    sandbox.run(arguments("OUT")).expect(3);
    equals_golden(&sandbox);
}

#[test]
fn an_interrupted_run_says_so_and_can_be_continued() {
    let mut took = Vec::new();
    for (signal, code) in [
        (rustix::process::Signal::INT, 130),
        (rustix::process::Signal::TERM, 143),
    ] {
        let sandbox = Sandbox::new();
        let child = start_until(&sandbox, golden().journal * 30 / 100);
        let started = Instant::now();
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        took.push(started.elapsed());
        assert_eq!(
            output.status.code(),
            Some(code),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            !sandbox.path().join("OUT/report/messages.csv").exists(),
            "reports of a run that is not finished"
        );
        for entry in walkdir::WalkDir::new(sandbox.path().join("OUT")) {
            let name = entry.unwrap().into_path();
            assert!(!name.to_string_lossy().ends_with(".p7mill-tmp"), "{name:?}");
        }
        sandbox.run(arguments("OUT")).expect(3);
        equals_golden(&sandbox);
    }
    // Both, but for what other programs have the disk do meanwhile.
    let quicker = took.iter().min().unwrap();
    assert!(
        *quicker < Duration::from_secs(2),
        "it took {took:?} to stop"
    );
}

#[test]
fn the_number_of_threads_changes_nothing() {
    for jobs in ["1", "4"] {
        let sandbox = Sandbox::new();
        let mut words = arguments("OUT");
        words.extend(["-j".to_owned(), jobs.to_owned()]);
        sandbox.run(words).expect(3);
        equals_golden(&sandbox);
    }
}

#[test]
fn a_run_may_go_on_with_another_number_of_threads() {
    let sandbox = Sandbox::new();
    let mut child = start_until(&sandbox, golden().journal / 2);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut words = arguments("OUT");
    words.extend(["-j".to_owned(), "1".to_owned()]);
    sandbox.run(words).expect(3);
    equals_golden(&sandbox);
}

#[test]
fn other_options_on_an_existing_out_are_refused() {
    let sandbox = Sandbox::new();
    let mut child = start_until(&sandbox, golden().journal * 20 / 100);
    child.kill().unwrap();
    child.wait().unwrap();
    let before = files(&sandbox.path().join("OUT"), |_| false);
    let sample = repository()
        .join("sample-data")
        .to_string_lossy()
        .into_owned();
    for other in [
        vec!["--no-originals".to_owned()],
        vec!["--crl".to_owned(), format!("{sample}/crl")],
        vec![
            "--intermediates".to_owned(),
            format!("{sample}/intermediates"),
        ],
    ] {
        let mut words = arguments("OUT");
        words.extend(other);
        sandbox.run(words).expect(2);
    }
    let without_keys = arguments("OUT")
        .into_iter()
        .enumerate()
        .filter(|(n, _)| !(2..4).contains(n))
        .map(|(_, word)| word);
    sandbox.run(without_keys).expect(2);
    let wrong = differences(&before, &files(&sandbox.path().join("OUT"), |_| false));
    assert!(
        wrong.is_empty(),
        "a refused run wrote: {}",
        wrong.join("\n")
    );
    let mut words = arguments("OUT");
    words.push("--start-over".to_owned());
    sandbox.run(words).expect(3);
    equals_golden(&sandbox);
}

#[test]
fn the_second_of_two_runs_is_turned_away() {
    let sandbox = Sandbox::new();
    let child = start_until(&sandbox, golden().journal * 5 / 100);
    // Held where it is, so that it cannot end before the second one begins.
    let first = Pid::from_child(&child);
    kill_process(first, Signal::STOP).unwrap();
    let second = sandbox.run(arguments("OUT"));
    kill_process(first, Signal::CONT).unwrap();
    second.expect(11);
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(3),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    equals_golden(&sandbox);
}
