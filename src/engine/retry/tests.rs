//! Retries over the small archive of the engine's tests: a passphrase turns up that opens what its
//! fake mill calls locked.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::super::tests::{archive, assert_same, context, fake, job, put, tree};
use super::super::*;
use crate::error::Error;
use crate::fsio::fault::{Failure, Made, failing, recorded};
use crate::message::rewrite::Piece;
use crate::ops::outcome::{Action, Outcome};
use crate::ops::{Context, Input, Opening, Task};

/// Opens what [`fake`] calls locked.
fn opened(input: &Input<'_>) -> Outcome {
    let mut outcome = fake(input);
    let root = &mut outcome.findings.messages[0];
    if root.action == Action::Locked {
        root.action = Action::Decrypted;
        outcome.edits = Some(vec![
            Piece::Owned(b"X-Opened: at last\n".to_vec()),
            Piece::Source(0..input.bytes.len()),
        ]);
    }
    outcome
}

fn opening(base: &Path, passphrase: bool) -> Context {
    let mut context = context();
    context.plan.task = Task::Mill(Opening::Decrypt);
    if passphrase {
        let file = base.join("passphrase");
        // Not while the disk fails.
        if !file.exists() {
            put(&file, b"swordfish\n");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        context.secrets.read_passphrases(&file).unwrap();
    }
    context
}

fn keyed(job: Job, passphrase: bool) -> Job {
    let mut job = job;
    let count = u8::from(passphrase).to_string();
    job.options
        .insert("--message-passphrase-file".into(), count);
    job
}

fn first(base: &Path, out: &str) -> Job {
    let job = keyed(job(base, out), false);
    run_with(&job, &opening(base, false), &fake, None, &Silent).unwrap();
    job
}

fn retry(base: &Path, out: &str) -> crate::Result<Finished> {
    let job = Job {
        retry_failed: true,
        ..keyed(job(base, out), true)
    };
    run_with(&job, &opening(base, true), &opened, None, &Silent)
}

/// What a run writes that has the passphrase from the start.
fn golden(base: &Path) {
    let job = keyed(job(base, "golden"), true);
    run_with(&job, &opening(base, true), &opened, None, &Silent).unwrap();
}

/// Two messages of one stem with sizes in their names, and one in a file of its own.
fn more(base: &Path) {
    let text = "Subject: letter 7\nMessage-ID: <7@x>\nX-Kind: 2\n\ntext\n";
    let root = base.join("archive");
    put(&root.join("m/cur/99.same,S=52:2,S"), text.as_bytes());
    put(
        &root.join("m/new/99.same,S=53"),
        format!("{text}\n").as_bytes(),
    );
    put(&root.join("later.eml"), text.as_bytes());
}

#[test]
fn what_a_retry_opens_is_what_a_run_with_all_keys_had_opened() {
    let base = tempfile::tempdir().unwrap();
    let base = base.path();
    archive(base, 23);
    more(base);
    golden(base);
    first(base, "out");
    let before = tree(&base.join("out"));
    std::fs::rename(base.join("archive"), base.join("gone")).unwrap();
    let finished = retry(base, "out").unwrap();
    let retried = finished.retried.unwrap();
    assert_eq!((retried.changed, retried.written), (10, 10));
    assert_same(&base.join("golden"), &base.join("out"));
    assert_eq!(check(&base.join("out")).unwrap(), []);
    let again = retry(base, "out").unwrap();
    assert!(again.already_finished && again.retried.is_none());
    assert_same(&base.join("golden"), &base.join("out"));
    restore(&base.join("out"), Some(&base.join("back")), &Silent).unwrap();
    assert_eq!(
        tree(&base.join("back/archive/m")),
        tree(&base.join("gone/m"))
    );
    let run = std::fs::read_to_string(base.join("out/report/run.json")).unwrap();
    let run: serde_json::Value = serde_json::from_str(&run).unwrap();
    assert_eq!(run["earlier"].as_array().unwrap().len(), 1);
    assert_eq!(run["retried"]["written"], 10);
    assert_ne!(before, tree(&base.join("out")));
}

/// A folder where syncing costs nothing, if there is one.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// Every change of the disk fails in turn, and all that follow: as if it had been killed there.
#[test]
fn a_retry_that_stops_anywhere_and_is_run_again_equals_one_left_alone() {
    let base = in_memory();
    let base = base.path();
    archive(base, 9);
    more(base);
    golden(base);
    first(base, "first");
    let out = base.join("out");
    let copy = || {
        let _ = std::fs::remove_dir_all(&out);
        let copied = std::process::Command::new("cp")
            .args([
                "-a".as_ref(),
                base.join("first").as_os_str(),
                out.as_os_str(),
            ])
            .status();
        assert!(copied.unwrap().success());
    };
    copy();
    let before = tree(&out);
    let (done, made) = recorded(|| retry(base, "out"));
    done.unwrap();
    let turning = made
        .iter()
        .position(|made| matches!(made, Made::Rename(_, to) if to.ends_with(".p7mill/journal")))
        .unwrap();
    assert!(
        turning > 20 && made.len() > turning + 20,
        "{turning} of {}",
        made.len()
    );
    for (after, change) in made.iter().enumerate() {
        for half in [false, true] {
            let is_write = matches!(change, Made::Write(..));
            if half && !is_write {
                continue;
            }
            copy();
            let failure = Failure {
                of: |_| true,
                after,
                for_good: true,
                half,
                error: rustix::io::Errno::NOSPC,
            };
            let (done, failed) = failing(failure, || retry(base, "out"));
            assert!(done.is_err() && failed.is_some(), "{after}");
            if after <= turning {
                assert_eq!(tree(&out), before, "{after}: something was touched");
            }
            let told = check(&out).unwrap();
            let torn = |told: &Difference| told.path == ".p7mill/journal";
            assert!(
                told.iter()
                    .all(|told| told.what == What::Unfinished || torn(told)),
                "{after}: {told:?}"
            );
            retry(base, "out").unwrap();
            assert_same(&base.join("golden"), &out);
            assert_eq!(check(&out).unwrap(), [], "{after}");
        }
    }
}

#[test]
fn an_out_that_is_not_what_was_written_is_not_retried() {
    let base = tempfile::tempdir().unwrap();
    let base = base.path();
    archive(base, 23);
    more(base);
    // A failing message; one that is not looked at; what lies between.
    for (name, from, to) in [
        ("archive/box.mbox", "letter 2\n", "letter Z\n"),
        ("archive/box.mbox", "letter 4\n", "letter Z\n"),
        (
            "archive/box.mbox",
            "From a@x Thu Jan  1 00:00:20",
            "From b@x Thu Jan  1 00:00:20",
        ),
        ("archive/later.eml", "letter 7\n", "letter Z\n"),
    ] {
        let _ = std::fs::remove_dir_all(base.join("out"));
        first(base, "out");
        let path = base.join("out").join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{name}");
        put(&path, text.replace(from, to).as_bytes());
        let before = tree(&base.join("out"));
        let refused = retry(base, "out");
        assert!(matches!(refused, Err(Error::Damaged { .. })), "{from}");
        assert_eq!(tree(&base.join("out")), before);
        assert!(!base.join("out/.p7mill/journal.next").exists());
    }
}

#[test]
fn other_keys_are_refused_and_the_way_is_told() {
    let base = tempfile::tempdir().unwrap();
    let base = base.path();
    archive(base, 5);
    let said = |refused: crate::Result<Finished>| match refused {
        Err(Error::Usage(said)) => said,
        other => panic!("{other:?}"),
    };
    assert!(said(retry(base, "out")).contains("leave --retry-failed out"));
    let mut first = keyed(job(base, "out"), false);
    first.options.insert("--keys".into(), "aa bb".into());
    run_with(&first, &opening(base, false), &fake, None, &Silent).unwrap();
    let mut other = keyed(job(base, "out"), true);
    other.options.insert("--keys".into(), "aa bb cc".into());
    let plain = run_with(&other, &opening(base, true), &opened, None, &Silent);
    assert!(said(plain).contains("--retry-failed"));
    other.retry_failed = true;
    other.options.insert("--keys".into(), "aa cc".into());
    let fewer = run_with(&other, &opening(base, true), &opened, None, &Silent);
    assert!(said(fewer).contains("such as bb"));
    other.options.insert("--keys".into(), "aa bb cc".into());
    other.options.insert("--clock".into(), "Now".into());
    let more = run_with(&other, &opening(base, true), &opened, None, &Silent);
    assert!(said(more).contains("clock"));
    other.options.remove("--clock");
    run_with(&other, &opening(base, true), &opened, None, &Silent).unwrap();
}
