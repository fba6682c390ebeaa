//! More keys than before: what `--retry-failed` makes of a finished OUT is what a run with all of
//! them would have written.

use std::fs;
use std::path::Path;

use crate::support::trees::{differences, files, incidental};
use crate::support::{Sandbox, repository, table};

/// The sample's archive and keys, copied: the archive goes away.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let copied = std::process::Command::new("cp")
        .args(["-r", "archive", "keys", "ca"])
        .arg(sandbox.path())
        .current_dir(repository().join("sample-data"))
        .status();
    assert!(copied.unwrap().success());
    sandbox
}

#[track_caller]
fn same(sandbox: &Sandbox, a: &str, b: &str) {
    let read = |out: &str| files(&sandbox.path().join(out), incidental);
    let wrong = differences(&read(a), &read(b));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn run_json(sandbox: &Sandbox, out: &str) -> serde_json::Value {
    let text = fs::read(sandbox.path().join(out).join("report/run.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn outcomes(out: &Path, word: &str) -> usize {
    let rows = table::rows(&out.join("report/messages.csv"));
    rows.iter().filter(|row| row.at("outcome") == word).count()
}

/// Every change that a retry could forget — the order of certificates, offsets behind a message that
/// grew, another key's name, statuses of keys in messages that were open — shows in a file here.
#[test]
fn keys_that_turn_up_one_by_one_lead_where_all_at_once_do() {
    let sandbox = sandbox();
    let names = [
        "m.brandt-2013.p12",
        "h.lindqvist.pem",
        "c.reuter.p12",
        "o.madsen.key",
    ];
    let command = |keys: &[&str], out: &str| {
        let keys: Vec<_> = keys
            .iter()
            .map(|key| format!("--keys keys/{key}"))
            .collect();
        format!(
            "migrate archive {} --trust ca --format both --out {out}",
            keys.join(" ")
        )
    };
    sandbox.line(&command(&names[..1], "OUT")).expect(3);
    fs::rename(
        sandbox.path().join("archive"),
        sandbox.path().join("elsewhere"),
    )
    .unwrap();
    fs::create_dir(sandbox.path().join("other")).unwrap();
    for many in 2..=names.len() {
        let command = command(&names[..many], "OUT");
        sandbox.line(&format!("{command} --retry-failed")).expect(3);
        sandbox.line("check OUT").expect(0);
    }
    fs::rename(
        sandbox.path().join("elsewhere"),
        sandbox.path().join("archive"),
    )
    .unwrap();
    sandbox.line(&command(&names, "FRESH")).expect(3);
    same(&sandbox, "FRESH", "OUT");
    assert!(outcomes(&sandbox.path().join("OUT"), "decrypted") > 10);
    let run = run_json(&sandbox, "OUT");
    let earlier = run["earlier"].as_array().unwrap();
    assert_eq!(earlier.len(), names.len() - 1);
    let keys = |run: &serde_json::Value| run["keys"].as_array().unwrap().len();
    assert!(keys(&earlier[0]) == 1 && keys(&run) > keys(&earlier[1]));
    assert!(earlier[0].get("retried").is_none() && run["retried"]["written"].as_u64() > Some(0));
    // As any finished run.
    let again = sandbox.line(&command(&names, "OUT"));
    assert!(again.expect(3).stdout.contains("nothing was written now"));
    let again = sandbox.line(&format!("{} --retry-failed", command(&names, "OUT")));
    assert!(again.expect(3).stdout.contains("nothing was written now"));
    sandbox.line("restore OUT --out BACK").expect(0);
    for mailbox in ["Inbox.mbox", "Board.mbox"] {
        let read = |from: &str| fs::read(sandbox.path().join(from).join(mailbox)).unwrap();
        assert!(read("archive") == read("BACK/archive"), "{mailbox}");
    }
}

#[test]
fn a_passphrase_that_turns_up_opens_what_was_locked() {
    let sandbox = sandbox();
    let text = fs::read_to_string(repository().join("sample-data/make.py")).unwrap();
    let passphrase = text
        .lines()
        .find_map(|line| line.strip_prefix("LOCKED = \"")?.strip_suffix('"'))
        .expect("the passphrase in make.py");
    sandbox.write("pass", format!("{passphrase}\n"));
    let command = "migrate archive --keys keys --trust ca --out";
    sandbox.line(&format!("{command} OUT")).expect(3);
    assert!(outcomes(&sandbox.path().join("OUT"), "locked") > 0);
    let refused = sandbox.line(&format!("{command} OUT --passphrase-file pass"));
    assert!(refused.expect(2).stderr.contains("--retry-failed"));
    sandbox
        .line(&format!(
            "{command} OUT --passphrase-file pass --retry-failed"
        ))
        .expect(3);
    sandbox
        .line(&format!("{command} FRESH --passphrase-file pass"))
        .expect(3);
    same(&sandbox, "FRESH", "OUT");
    assert_eq!(outcomes(&sandbox.path().join("OUT"), "locked"), 0);
}

/// What is encrypted is new each time, so bytes cannot be compared: what was written before must
/// stay as it is, and the rest opens for the new reader alone.
#[test]
fn a_retry_encrypts_anew_only_what_it_opened() {
    let sandbox = sandbox();
    let to = repository().join("sample-data/keys/e.kovac.pem");
    let command =
        |keys: &str, out: &str| format!("migrate archive {keys} --to {} --out {out}", to.display());
    let first = "--keys keys/m.brandt-2013.p12";
    let all = "--keys keys/m.brandt-2013.p12 --keys keys/c.reuter.p12";
    sandbox.line(&command(first, "OUT")).expect(3);
    let out = sandbox.path().join("OUT");
    let hashes = || -> Vec<_> {
        let rows = table::rows(&out.join("report/messages.csv"));
        let rows = rows.iter().filter(|row| row.at("part").is_empty());
        rows.map(|row| {
            (
                row.at("outcome").to_owned(),
                row.at("out_sha256").to_owned(),
            )
        })
        .collect()
    };
    let before = hashes();
    sandbox
        .line(&format!("{} --retry-failed", command(all, "OUT")))
        .expect(3);
    sandbox.line("check OUT").expect(0);
    let after = hashes();
    let mut opened = 0;
    for (before, after) in before.iter().zip(&after) {
        if before.0 == "no-key" && after.0 == "rewrapped" {
            assert_ne!(before.1, after.1);
            opened += 1;
        } else {
            assert_eq!(before.1, after.1);
        }
    }
    assert!(opened > 2 && before.iter().any(|(outcome, _)| outcome == "rewrapped"));
    sandbox.line(&command(all, "FRESH")).expect(3);
    let csv = |out: &str, name: &str| {
        fs::read(sandbox.path().join(out).join("report").join(name)).unwrap()
    };
    for name in [
        "recipients.csv",
        "signatures.csv",
        "certificates.csv",
        "failed.csv",
    ] {
        assert!(csv("OUT", name) == csv("FRESH", name), "{name}");
    }
}

#[test]
fn a_retry_wants_a_finished_run_and_the_same_options() {
    let sandbox = sandbox();
    let all = "migrate archive --keys keys --out OUT";
    let none = sandbox.line(&format!("{all} --retry-failed")).expect(2);
    assert!(
        none.stderr.contains("leave --retry-failed out"),
        "{}",
        none.stderr
    );
    assert!(!sandbox.path().join("OUT").exists());
    sandbox
        .line("migrate archive --keys keys/c.reuter.p12 --out OUT")
        .expect(3);
    let before = files(&sandbox.path().join("OUT"), |_| false);
    for (words, said) in [
        ("--keys keys --retry-failed --no-originals", "originals"),
        ("--keys keys/o.madsen.key --retry-failed", "those of before"),
        ("--keys keys --retry-failed --dry-run", "--dry-run"),
        ("--keys keys", "--retry-failed"),
    ] {
        let refused = sandbox
            .line(&format!("migrate archive {words} --out OUT"))
            .expect(2);
        assert!(refused.stderr.contains(said), "{words}: {}", refused.stderr);
    }
    let sign = sandbox.line("sign archive --keys keys --as x@example.org --out OUT --retry-failed");
    sign.expect(2);
    let wrong = differences(&before, &files(&sandbox.path().join("OUT"), |_| false));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
