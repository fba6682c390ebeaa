//! Runs over a small archive with a fake mill: it upper-cases the subject of some messages, calls
//! others locked, and fails at one.

mod checked;
mod disk;
mod full;
mod hostile;
mod power;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::error::Error;
use crate::fsio;
use crate::keys::KeyRing;
use crate::message::rewrite::Piece;
use crate::ops::outcome::{Action, Outcome};
use crate::ops::{Context, Input, Opening, Task};
use crate::report::{RunInfo, testing};

pub(in crate::engine) fn put(path: &Path, bytes: &[u8]) {
    fsio::create_dir_all(path.parent().unwrap()).unwrap();
    fsio::create(path).unwrap().write_all(bytes).unwrap();
}

fn mail(number: usize) -> String {
    let body = match number % 7 {
        0 => "From here on\nno blank line at the end",
        1 => ">From quoted\n\n\n",
        2 => "caf\u{e9}\n",
        _ => "text\n",
    };
    format!(
        "Subject: letter {number}\nMessage-ID: <{number}@x>\nX-Kind: {}\n\n{body}\n",
        number % 5
    )
}

/// An mbox of `messages`, a Maildir, a single message, a note, and a gzip file.
pub(in crate::engine) fn archive(base: &Path, messages: usize) -> PathBuf {
    let root = base.join("archive");
    let mut mbox = Vec::new();
    for number in 0..messages {
        let text = mail(number).replace("\nFrom here", "\n>From here");
        write!(
            mbox,
            "From a@x Thu Jan  1 00:00:{:02} 2015\n{text}\n",
            number % 60
        )
        .unwrap();
    }
    put(&root.join("box.mbox"), &mbox);
    put(&root.join("empty.mbox"), b"");
    for number in 0..messages / 2 {
        let text = mail(number);
        let name = format!("m/cur/14{number:08}.M1.host,S={}:2,S", text.len());
        put(&root.join(name), text.as_bytes());
    }
    fsio::create_dir_all(&root.join("m/new")).unwrap();
    fsio::create_dir_all(&root.join("m/tmp")).unwrap();
    put(&root.join("single.eml"), mail(6).as_bytes());
    put(&root.join("note.txt"), b"not mail\n");
    put(&root.join("old.gz"), b"\x1f\x8b\x08\0\0\0\0\0\0\x03");
    root
}

pub(in crate::engine) fn context() -> Context {
    Context::new(Task::Mill(Opening::Keep), KeyRing::default(), 1_700_000_000)
}

pub(in crate::engine) fn fake(input: &Input<'_>) -> Outcome {
    let text = String::from_utf8_lossy(input.bytes);
    let header = |name: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_default();
        line.split_once(": ")
            .map(|(_, value)| value.to_owned())
            .unwrap_or_default()
    };
    let mut outcome = Outcome::default();
    let mut finding = testing::finding(Action::Plain);
    finding.subject = header("Subject");
    finding.message_id = header("Message-ID");
    match header("X-Kind").as_str() {
        "1" => {
            finding.action = Action::Decrypted;
            let end = input.bytes.iter().position(|byte| *byte == b'\n').unwrap();
            let subject = text[..end].to_uppercase() + " NOW LONGER";
            outcome.edits = Some(vec![
                Piece::Owned(subject.into_bytes()),
                Piece::Source(end..input.bytes.len()),
            ]);
        }
        "2" => finding.action = Action::Locked,
        // A panic that does not trouble the hook.
        "3" => std::panic::resume_unwind(Box::new(())),
        _ => {}
    }
    outcome.findings.messages.push(finding);
    outcome
}

pub(in crate::engine) fn job(base: &Path, out: &str) -> Job {
    Job {
        roots: vec![base.join("archive")],
        out: Some(base.join(out)),
        csv: true,
        jsonl: true,
        originals: true,
        hash: true,
        threads: 1,
        judges: true,
        info: RunInfo {
            command: "migrate".into(),
            ..RunInfo::default()
        },
        ..Job::default()
    }
}

/// Another test's child holds a copy of our lock from its fork to its exec: hence the patience.
fn go(job: &Job) -> crate::Result<Finished> {
    for _ in 0..100 {
        match run_with(job, &context(), &fake, None, &Silent) {
            Err(Error::Busy(_)) => std::thread::sleep(std::time::Duration::from_millis(20)),
            done => return done,
        }
    }
    run_with(job, &context(), &fake, None, &Silent)
}

/// Every file but the journal's folder and run.json.
pub(in crate::engine) fn tree(out: &Path) -> BTreeMap<String, Vec<u8>> {
    walkdir::WalkDir::new(out)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            (
                entry
                    .path()
                    .strip_prefix(out)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned(),
                entry.into_path(),
            )
        })
        .filter(|(name, _)| !name.starts_with(".p7mill") && name != "report/run.json")
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect()
}

pub(in crate::engine) fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (tree(a), tree(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, bytes) in &a {
        assert!(bytes == &b[name], "{name} differs");
    }
}

#[test]
fn every_message_is_written_once_and_the_reports_say_so() {
    let base = tempfile::tempdir().unwrap();
    let root = archive(base.path(), 23);
    let job = job(base.path(), "out");
    let out = job.out.clone().unwrap();
    let finished = go(&job).unwrap();
    assert_eq!(finished.exit_code, 3);
    let totals = &finished.totals;
    assert_eq!((totals.messages, totals.written), (23 + 11 + 1, Some(35)));
    assert_eq!(totals.outcomes["decrypted"], 5 + 2 + 1);
    assert_eq!(totals.failures["refused"]["internal-error"], 4 + 2);
    assert_eq!(totals.failed_files, 1);
    let written = std::fs::read_to_string(out.join("archive/box.mbox")).unwrap();
    let expected: Vec<String> = std::fs::read_to_string(root.join("box.mbox"))
        .unwrap()
        .split("From a@x")
        .map(|text| {
            if text.contains("X-Kind: 1") {
                let number: String = text
                    .split("letter ")
                    .nth(1)
                    .unwrap()
                    .chars()
                    .take_while(char::is_ascii_digit)
                    .collect();
                text.replace(
                    &format!("Subject: letter {number}"),
                    &format!("SUBJECT: LETTER {number} NOW LONGER"),
                )
            } else {
                text.to_owned()
            }
        })
        .collect();
    assert_eq!(written, expected.join("From a@x"));
    assert_eq!(
        std::fs::read(out.join("archive/old.gz")).unwrap(),
        std::fs::read(root.join("old.gz")).unwrap()
    );
    let lines = |name: &str| {
        std::fs::read_to_string(out.join("report").join(name))
            .unwrap()
            .lines()
            .count()
    };
    assert_eq!(lines("messages.csv"), 1 + 35);
    assert_eq!(lines("sources.csv"), 1 + 6);
    assert_eq!(lines("failed.csv"), 1 + 5 + 2 + 4 + 2);
    assert_eq!(check(&out).unwrap(), []);
    assert!(!out.join(".p7mill/parts").exists());

    let before = std::fs::read(out.join("report/run.json")).unwrap();
    let again = go(&job).unwrap();
    assert!(again.already_finished);
    assert_eq!((again.exit_code, &again.totals), (3, totals));
    assert_eq!(std::fs::read(out.join("report/run.json")).unwrap(), before);
}

#[test]
fn threads_make_no_difference() {
    let base = tempfile::tempdir().unwrap();
    archive(base.path(), 300);
    go(&job(base.path(), "one")).unwrap();
    go(&Job {
        threads: 4,
        ..job(base.path(), "four")
    })
    .unwrap();
    assert_same(&base.path().join("one"), &base.path().join("four"));
}

/// Not a test of its own: dies in the middle of a run when told where.
#[test]
#[ignore = "run by killed_anywhere_it_goes_on"]
fn victim() {
    let Some(base) = std::env::var_os("P7MILL_TEST_BASE") else {
        return;
    };
    let number = |name: &str| std::env::var(name).unwrap().parse::<usize>().unwrap();
    let die_at = number("P7MILL_TEST_DIE");
    let job = Job {
        threads: number("P7MILL_TEST_THREADS"),
        ..job(Path::new(&base), "out")
    };
    let seen = AtomicUsize::new(0);
    let process = |input: &Input<'_>| {
        if seen.fetch_add(1, Ordering::Relaxed) == die_at {
            std::process::abort();
        }
        fake(input)
    };
    run_with(&job, &context(), &process, None, &Silent).unwrap();
}

#[test]
fn killed_anywhere_it_goes_on() {
    let base = tempfile::tempdir().unwrap();
    archive(base.path(), 40);
    go(&job(base.path(), "golden")).unwrap();
    let out = base.path().join("out");
    for (die_at, threads) in [
        (0, 1),
        (7, 1),
        (33, 1),
        (41, 1),
        (52, 1),
        (60, 1),
        (30, 3),
        (55, 3),
    ] {
        let died = Command::new(std::env::current_exe().unwrap())
            .args(["engine::tests::victim", "--exact", "--ignored"])
            .env("P7MILL_TEST_BASE", base.path())
            .env("P7MILL_TEST_DIE", die_at.to_string())
            .env("P7MILL_TEST_THREADS", threads.to_string())
            .output()
            .unwrap();
        assert!(!died.status.success());
        assert!(!out.join("manifest.csv").exists());
        if threads == 1 && die_at > 10 {
            let journal = std::fs::read_to_string(out.join(".p7mill/journal")).unwrap();
            let messages = journal.matches("\"message\":{").count();
            assert!(messages > 0 && messages < 61, "{messages}");
        }
        assert_eq!(check(&out).unwrap()[0].what, What::Unfinished);
        let seen = AtomicUsize::new(0);
        let process = |input: &Input<'_>| {
            seen.fetch_add(1, Ordering::Relaxed);
            fake(input)
        };
        run_with(
            &job(base.path(), "out"),
            &context(),
            &process,
            None,
            &Silent,
        )
        .unwrap();
        if threads == 1 {
            assert!(
                seen.into_inner() < 61 - die_at + 10,
                "what was committed is not done again"
            );
        }
        assert_same(&base.path().join("golden"), &out);
        assert_eq!(check(&out).unwrap(), []);
        std::fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn a_journal_cut_anywhere_leads_to_the_same_output() {
    let base = tempfile::tempdir().unwrap();
    archive(base.path(), 12);
    let job = job(base.path(), "out");
    let out = job.out.clone().unwrap();
    go(&job).unwrap();
    let golden = tree(&out);
    let journal = out.join(".p7mill/journal");
    let whole = std::fs::read(&journal).unwrap();
    let lines: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
    // Every line's end and its neighbours, and a stride over everything between.
    let mut cuts: Vec<usize> = lines.iter().flat_map(|at| [*at, at + 1, at + 2]).collect();
    cuts.extend((0..whole.len()).step_by(997));
    cuts.retain(|cut| *cut < whole.len());
    for cut in cuts {
        put(&journal, &[&whole[..cut], b"\0garbage"].concat());
        go(&job).unwrap();
        assert!(tree(&out) == golden, "cut at {cut}");
        assert_eq!(check(&out).unwrap(), [], "cut at {cut}");
    }
}

struct StopAfter(AtomicUsize);

impl Reporter for StopAfter {
    fn begin(&self, _: Option<u64>) {}
    fn message(&self, _: u64, _: Option<Action>) {
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
    }
    fn note(&self, _: &str) {}
    fn interrupted(&self) -> Option<i32> {
        (self.0.load(Ordering::Relaxed) == 0).then_some(15)
    }
    fn end(&self) {}
}

#[test]
fn interrupted_it_keeps_what_is_done_and_leaves_nothing_lying_about() {
    let base = tempfile::tempdir().unwrap();
    archive(base.path(), 40);
    go(&job(base.path(), "golden")).unwrap();
    let out = base.path().join("out");
    for threads in [1, 3] {
        for stop in [3, 30, 47, 60] {
            let job = Job {
                threads,
                ..job(base.path(), "out")
            };
            let stopped = run_with(&job, &context(), &fake, None, &StopAfter(stop.into()));
            assert!(matches!(stopped, Err(Error::Interrupted(15))));
            assert!(
                tree(&out)
                    .keys()
                    .all(|name| !name.ends_with(fsio::TEMP_SUFFIX))
            );
            go(&job).unwrap();
            assert_same(&base.path().join("golden"), &out);
            std::fs::remove_dir_all(&out).unwrap();
        }
    }
}

#[test]
fn a_source_that_changed_since_is_told() {
    let base = tempfile::tempdir().unwrap();
    let root = archive(base.path(), 20);
    let job = job(base.path(), "out");
    let stopped = run_with(&job, &context(), &fake, None, &StopAfter(15.into()));
    assert!(matches!(stopped, Err(Error::Interrupted(15))));
    let text = std::fs::read_to_string(root.join("box.mbox")).unwrap();
    put(
        &root.join("box.mbox"),
        text.replace("letter 3\n", "letter three\n").as_bytes(),
    );
    let Err(Error::Usage(said)) = go(&job) else {
        panic!()
    };
    assert!(
        said.contains("message 4 of archive/box.mbox") && said.contains("--start-over"),
        "{said}"
    );
    go(&Job {
        start_over: true,
        ..job
    })
    .unwrap();
    assert_eq!(check(&base.path().join("out")).unwrap(), []);
}

#[test]
fn another_folder_or_other_options_are_refused() {
    let base = tempfile::tempdir().unwrap();
    archive(base.path(), 3);
    let refused = |job: &Job| match go(job) {
        Err(Error::Usage(said)) => said,
        other => panic!("{other:?}"),
    };
    put(&base.path().join("full/file"), b"mine");
    assert!(refused(&job(base.path(), "full")).contains("not written by p7mill"));
    assert!(
        refused(&Job {
            start_over: true,
            ..job(base.path(), "full")
        })
        .contains("not written by p7mill")
    );
    assert!(refused(&job(base.path(), "archive/out")).contains("apart"));
    assert!(refused(&job(base.path(), ".")).contains("apart"));
    assert!(!base.path().join("archive/out").exists());
    go(&job(base.path(), "out")).unwrap();
    assert!(
        refused(&Job {
            originals: false,
            ..job(base.path(), "out")
        })
        .contains("originals")
    );
    put(&base.path().join("out/mine.txt"), b"mine");
    let said = refused(&Job {
        start_over: true,
        ..job(base.path(), "out")
    });
    assert!(said.contains("mine.txt"), "{said}");
    assert!(base.path().join("out/archive/box.mbox").exists());
}

#[test]
fn the_second_run_on_an_output_is_told_that_it_is_busy() {
    let base = tempfile::tempdir().unwrap();
    archive(base.path(), 3);
    let job = job(base.path(), "out");
    go(&job).unwrap();
    let own = job.out.clone().unwrap();
    // As in `go`: another test's child may hold a copy for a moment.
    let _held = (0..100)
        .find_map(|_| {
            let taken = fsio::Lock::take(&own.join(".p7mill/lock"), &own);
            if taken.is_err() {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            taken.ok()
        })
        .expect("the lock");
    let second = run_with(&job, &context(), &fake, None, &Silent);
    assert!(matches!(second, Err(Error::Busy(_))));
}

#[test]
fn without_an_output_only_reports_are_written() {
    let base = tempfile::tempdir().unwrap();
    archive(base.path(), 9);
    let report = base.path().join("out/report");
    let dry = Job {
        out: None,
        report: Some(report.clone()),
        ..job(base.path(), "out")
    };
    let finished = go(&dry).unwrap();
    assert_eq!(finished.totals.written, None);
    assert!(report.join("messages.csv").exists() && report.join("run.json").exists());
    // The real run may follow into the same folder.
    go(&job(base.path(), "out")).unwrap();
    assert_eq!(check(&base.path().join("out")).unwrap(), []);
}

#[test]
fn a_stream_comes_out_as_its_copy_in_a_folder_would() {
    let base = tempfile::tempdir().unwrap();
    let root = archive(base.path(), 23);
    go(&job(base.path(), "out")).unwrap();
    let stream = |input: Vec<u8>| {
        let mut output = Vec::new();
        let job = Job {
            out: None,
            ..job(base.path(), "out")
        };
        let input = std::io::Cursor::new(input);
        let done = stream::stream_with(&job, &context(), &fake, input, Some(&mut output), &Silent);
        (done.unwrap(), output)
    };
    let (finished, output) = stream(std::fs::read(root.join("box.mbox")).unwrap());
    assert_eq!(
        output,
        std::fs::read(base.path().join("out/archive/box.mbox")).unwrap()
    );
    assert_eq!((finished.totals.messages, finished.exit_code), (23, 3));
    let (finished, output) = stream(mail(5).into_bytes());
    assert_eq!(
        (String::from_utf8(output).unwrap(), finished.exit_code),
        (mail(5), 0)
    );
}
