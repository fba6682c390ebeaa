//! The README's first command on the sample: what it finds, what it writes, what it leaves alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::support::sample::{first_command, fresh, maildir_files, migrated, spoilable};
use crate::support::table::{Row, rows};
use crate::support::tools::{self, has, judge};
use crate::support::trees::{differences, files, incidental, tree};
use crate::support::{Ran, Sandbox, repository};

/// The first command with other words for some of its own.
fn command_with(replaced: &[(&str, &str)], added: &[&str]) -> Vec<String> {
    let mut words = first_command();
    for word in &mut words {
        if let Some((_, new)) = replaced.iter().find(|(old, _)| old == word) {
            (*new).clone_into(word);
        }
    }
    words.extend(added.iter().map(|word| (*word).to_owned()));
    words
}

#[test]
fn messages_csv_says_what_expected_csv_says() {
    const COLUMNS: [&str; 6] = ["mailbox", "ordinal", "part", "form", "outcome", "verdict"];
    let migrated = migrated();
    assert_eq!(
        migrated.ran.code,
        Some(3),
        "{}{}",
        migrated.ran.stdout,
        migrated.ran.stderr
    );
    let line = |row: &Row, with_reason: bool| {
        let mut cells: Vec<String> = COLUMNS.iter().map(|c| row.at(c).to_owned()).collect();
        if with_reason {
            cells.push(row.at("reason").to_owned());
        }
        cells.join(" | ")
    };
    let expected = rows(&repository().join("sample-data/EXPECTED.csv"));
    let found = rows(&migrated.report("messages.csv"));
    let by_key: BTreeMap<_, _> = found.iter().map(|row| (row.key(), row)).collect();
    let mut wrong = Vec::new();
    for row in &expected {
        let with_reason = !row.at("reason").is_empty();
        match by_key.get(&row.key()) {
            None => wrong.push(format!("{}\n    is missing", line(row, with_reason))),
            Some(got) if line(got, with_reason) != line(row, with_reason) => wrong.push(format!(
                "expected {}\n   found {}\n    note: {}",
                line(row, with_reason),
                line(got, true),
                row.at("note")
            )),
            Some(_) => {}
        }
    }
    let keys: BTreeSet<_> = expected.iter().map(Row::key).collect();
    wrong.extend(
        found
            .iter()
            .filter(|row| !keys.contains(&row.key()))
            .map(|row| format!("{}\n    is one too many", line(row, true))),
    );
    assert!(
        wrong.is_empty(),
        "{} of {} rows differ:\n{}",
        wrong.len(),
        expected.len(),
        wrong.join("\n")
    );
    let order = |rows: &[Row]| rows.iter().map(Row::key).collect::<Vec<_>>();
    assert_eq!(
        order(&found),
        order(&expected),
        "the rows stand in archive order"
    );
}

#[test]
fn signatures_csv_gives_the_reason_that_the_note_begins_with() {
    let signatures = rows(&migrated().report("signatures.csv"));
    let mut wrong = Vec::new();
    for row in rows(&repository().join("sample-data/EXPECTED.csv")) {
        if row.at("verdict").is_empty() || row.at("verdict") == "valid" {
            continue;
        }
        let codes: Vec<&str> = row
            .at("note")
            .split(':')
            .next()
            .unwrap_or_default()
            .split(" or ")
            .collect();
        let given: Vec<&str> = signatures
            .iter()
            .filter(|s| s.key() == row.key())
            .flat_map(|s| s.at("reasons").split(' '))
            .collect();
        if !codes.iter().any(|code| given.contains(code)) {
            wrong.push(format!("{:?}: none of {codes:?} in {given:?}", row.key()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_second_run_writes_nothing_and_ends_the_same() {
    let sandbox = spoilable();
    let before = tree(sandbox.path());
    let ran = sandbox.run(first_command()).expect(3);
    let after = tree(sandbox.path());
    let changed: Vec<_> = after
        .iter()
        .filter(|(name, entry)| before.get(*name) != Some(*entry))
        .map(|(name, _)| name)
        .collect();
    assert!(
        changed.is_empty() && before.len() == after.len(),
        "written: {changed:?}\n{}",
        ran.stdout
    );
    // Nor does it make a store anew that has gone elsewhere since.
    let store = sandbox.path().join("certs.db");
    std::fs::remove_file(&store).unwrap();
    sandbox.run(first_command()).expect(3);
    assert!(!store.exists());
}

#[test]
fn the_source_is_only_read() {
    let migrated = migrated();
    let after = tree(&migrated.sandbox.path().join("sample-data"));
    let changed: Vec<_> = after
        .iter()
        .filter(|(name, entry)| migrated.before.get(*name) != Some(*entry))
        .collect();
    assert!(
        changed.is_empty() && after.len() == migrated.before.len(),
        "{:?}",
        changed.iter().map(|(n, _)| n).collect::<Vec<_>>()
    );
}

#[test]
fn every_row_belongs_to_one_message() {
    let messages = rows(&migrated().report("messages.csv"));
    let keys: BTreeSet<_> = messages.iter().map(Row::key).collect();
    assert_eq!(keys.len(), messages.len(), "two messages have one name");
    for report in ["signatures.csv", "recipients.csv", "failed.csv"] {
        for row in rows(&migrated().report(report)) {
            assert!(keys.contains(&row.key()), "{report}: {:?}", row.key());
        }
    }
}

#[test]
fn the_summary_names_the_locked_key_file() {
    let ran = &migrated().ran;
    assert!(
        ran.stdout.contains("h.lindqvist.p12"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
}

#[test]
fn no_temporary_file_is_left() {
    let sandbox = fresh();
    let temporary = sandbox.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let output = sandbox
        .command(first_command())
        .env("TMPDIR", &temporary)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(tree(&temporary).len(), 1, "something is left in TMPDIR");
    let left: Vec<String> = tree(&sandbox.path().join("OUT"))
        .into_iter()
        .filter(|(name, entry)| {
            let last = name.rsplit('/').next().unwrap_or_default();
            let staged = name.starts_with(".p7mill/parts/") && entry.bytes.is_some();
            staged
                || last.starts_with(".tmp")
                || Path::new(last)
                    .extension()
                    .is_some_and(|e| ["tmp", "part", "partial"].iter().any(|t| e == *t))
        })
        .map(|(name, _)| name)
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let beside: Vec<String> = fs::read_dir(sandbox.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert!(
        beside
            .iter()
            .all(|name| ["sample-data", "OUT", "tmp", "certs.db"].contains(&name.as_str())),
        "{beside:?}"
    );
}

#[test]
fn everything_written_is_private_even_with_umask_000() {
    let sandbox = fresh();
    let mut words = vec![
        "-c".to_owned(),
        "umask 000; exec \"$0\" \"$@\"".to_owned(),
        env!("CARGO_BIN_EXE_p7mill").to_owned(),
    ];
    words.extend(first_command());
    let status = std::process::Command::new("/bin/sh")
        .args(words)
        .current_dir(sandbox.path())
        .output()
        .unwrap()
        .status;
    assert_eq!(status.code(), Some(3));
    let mut written = tree(&sandbox.path().join("OUT"));
    written.append(
        &mut tree(&sandbox.path().join("certs.db"))
            .into_values()
            .map(|e| ("certs.db".to_owned(), e))
            .collect(),
    );
    let open: Vec<_> = written
        .iter()
        .filter(|(_, entry)| entry.mode != if entry.bytes.is_some() { 0o600 } else { 0o700 })
        .map(|(name, entry)| format!("{name} {:o}", entry.mode))
        .collect();
    assert!(open.is_empty(), "{}", open.join("\n"));
}

#[test]
fn one_thread_and_four_write_the_same() {
    let run = |jobs: &str| {
        let sandbox = fresh();
        sandbox.run(command_with(&[], &["-j", jobs])).expect(3);
        let store = sandbox.line("store list --store certs.db").expect(0).stdout;
        (files(&sandbox.path().join("OUT"), incidental), store)
    };
    let (one, four) = (run("1"), run("4"));
    let wrong = differences(&one.0, &four.0);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(one.1, four.1, "the stores");
    let shared = files(&migrated().out(), incidental);
    let wrong = differences(&shared, &one.0);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_dry_run_says_the_same_and_writes_only_reports() {
    const PLACES: [&str; 5] = [
        "out_mailbox",
        "out_ordinal",
        "out_offset",
        "out_bytes",
        "out_sha256",
    ];
    let sandbox = fresh();
    sandbox.run(command_with(&[], &["--dry-run"])).expect(3);
    let written = files(&sandbox.path().join("OUT"), |name| {
        name.starts_with("report/")
    });
    assert!(written.is_empty(), "{:?}", written.keys());
    assert!(
        !sandbox.path().join("certs.db").exists(),
        "a dry run does not make a store"
    );
    let all = |path: &Path| {
        rows(path)
            .into_iter()
            .map(|row| row.without(&PLACES))
            .collect::<Vec<_>>()
    };
    for name in [
        "messages.csv",
        "signatures.csv",
        "recipients.csv",
        "certificates.csv",
        "sources.csv",
        "missing-keys.csv",
        "missing-cas.csv",
    ] {
        assert_eq!(
            all(&sandbox.path().join("OUT/report").join(name)),
            all(&migrated().report(name)),
            "{name}"
        );
    }
}

#[test]
fn check_is_clean_after_the_run() {
    migrated().sandbox.line("check OUT").expect(0);
}

/// Spoils a copy of the result and returns what `check` says of it.
fn check_after(spoil: impl FnOnce(&Path)) -> Ran {
    let sandbox = spoilable();
    spoil(&sandbox.path().join("OUT"));
    sandbox.line("check OUT").expect(3)
}

/// The lines of what `check` said that name a file.
fn naming<'a>(ran: &'a Ran, name: &str) -> Vec<&'a str> {
    ran.stdout
        .lines()
        .chain(ran.stderr.lines())
        .filter(|line| line.contains(name))
        .collect()
}

#[test]
fn check_names_the_message_in_which_a_byte_was_flipped() {
    for (mailbox, ordinal) in [
        ("archive/Inbox.mbox", 41),
        ("archive/Inbox.mbox", 1),
        ("archive/Board.mbox", 39),
    ] {
        let messages = rows(&migrated().report("messages.csv"));
        let row = messages
            .iter()
            .find(|r| r.key() == (mailbox.to_owned(), ordinal, String::new()))
            .expect("its row");
        let at = usize::try_from(row.number("out_offset") + row.number("out_bytes")).unwrap() - 3;
        let ran = check_after(|out| {
            let file = out.join(mailbox);
            let mut bytes = fs::read(&file).unwrap();
            bytes[at] ^= 1;
            fs::write(&file, bytes).unwrap();
        });
        let lines = naming(&ran, mailbox);
        let number = ordinal.to_string();
        let named = |line: &&str| {
            line.replace(mailbox, "")
                .split(|c: char| !c.is_ascii_digit())
                .any(|word| word == number)
        };
        assert!(
            lines.iter().any(named),
            "message {ordinal} is not named:\n{}",
            ran.stdout
        );
        assert!(naming(&ran, "curator").is_empty(), "{}", ran.stdout);
        for other in ["archive/Inbox.mbox", "archive/Board.mbox"]
            .iter()
            .filter(|m| **m != mailbox)
        {
            assert!(naming(&ran, other).is_empty(), "{}", ran.stdout);
        }
    }
}

#[test]
fn check_names_what_was_deleted_added_or_changed() {
    let victim = maildir_files(&migrated().out().join("archive/curator/.Sent")).remove(2);
    let name = victim
        .strip_prefix(migrated().out())
        .unwrap()
        .to_string_lossy()
        .into_owned();
    let base = name.rsplit('/').next().unwrap();
    let ran = check_after(|out| fs::remove_file(out.join(&name)).unwrap());
    assert!(
        !naming(&ran, base).is_empty(),
        "deleted {base}:\n{}",
        ran.stdout
    );
    let ran = check_after(|out| fs::write(out.join(&name), "Subject: other\n\nother\n").unwrap());
    assert!(
        !naming(&ran, base).is_empty(),
        "changed {base}:\n{}",
        ran.stdout
    );
    for added in [
        "archive/curator/.Sent/cur/1700000000.M1P1.mail:2,S",
        "archive/new.txt",
    ] {
        let ran =
            check_after(|out| fs::write(out.join(added), "Subject: other\n\nother\n").unwrap());
        assert!(
            !naming(&ran, added.rsplit('/').next().unwrap()).is_empty(),
            "added {added}:\n{}",
            ran.stdout
        );
    }
    let ran = check_after(|out| fs::remove_file(out.join("archive/Board.mbox")).unwrap());
    assert!(
        !naming(&ran, "archive/Board.mbox").is_empty(),
        "{}",
        ran.stdout
    );
    let ran = check_after(|out| fs::write(out.join("archive/export.log"), "forged").unwrap());
    assert!(
        !naming(&ran, "archive/export.log").is_empty(),
        "{}",
        ran.stdout
    );
}

#[test]
fn restore_gives_every_original_back() {
    for (line, archive) in [
        ("restore OUT --out BACK", "BACK/archive"),
        ("restore OUT", "OUT/archive"),
    ] {
        let sandbox = spoilable();
        sandbox.line(line).expect(0);
        let dropped = dropped_files();
        let source = files(&sandbox.path().join("sample-data/archive"), |name| {
            dropped.contains(&format!("archive/{name}"))
        });
        let back = files(&sandbox.path().join(archive), |_| false);
        let wrong = differences(&source, &back);
        assert!(wrong.is_empty(), "{line}:\n{}", wrong.join("\n"));
    }
}

/// What sources.csv says is not carried over.
fn dropped_files() -> BTreeSet<String> {
    rows(&migrated().report("sources.csv"))
        .iter()
        .filter(|row| row.at("status").starts_with("dropped"))
        .map(|row| row.at("path").to_owned())
        .collect()
}

#[test]
fn sources_csv_accounts_for_every_file() {
    let sources = rows(&migrated().report("sources.csv"));
    let by_path: BTreeMap<&str, &Row> = sources.iter().map(|row| (row.at("path"), row)).collect();
    assert_eq!(by_path.len(), sources.len(), "a file has two rows");
    let archive = files(
        &migrated().sandbox.path().join("sample-data/archive"),
        |_| false,
    );
    let expected = rows(&repository().join("sample-data/EXPECTED.csv"));
    let mut wrong = Vec::new();
    let mut skipped = 0;
    for (name, bytes) in &archive {
        let path = format!("archive/{name}");
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let delivered = ["/cur", "/new"]
            .iter()
            .find_map(|sub| folder.strip_suffix(sub));
        let row = by_path.get(path.as_str());
        match (row.map(|row| row.at("status")), delivered) {
            (Some(status), _) if bytes.starts_with(&[0x04, 0x22, 0x4d, 0x18]) => {
                skipped += 1;
                if !status.starts_with("skipped")
                    || !row.is_some_and(|row| row.at("kind").contains("lz4"))
                {
                    wrong.push(format!("{path}: {status}"));
                }
            }
            (None, Some(mailbox)) if !bytes.starts_with(&[0x04, 0x22, 0x4d, 0x18]) => {
                if !by_path.contains_key(mailbox) {
                    wrong.push(format!("neither {path} nor {mailbox} has a row"));
                }
            }
            (Some("read"), None) => {
                let messages = expected
                    .iter()
                    .filter(|row| row.at("mailbox") == path && row.at("part").is_empty())
                    .count();
                if messages as u64 != row.map_or(0, |row| row.number("messages")) {
                    wrong.push(format!("{path}: {messages} messages expected"));
                }
            }
            (Some(status), _) => {
                let internal = ["dovecot-uidlist", "/tmp/", "dovecot.index"]
                    .iter()
                    .any(|mark| path.contains(mark))
                    && !path.ends_with(".gitkeep");
                if internal && !status.starts_with("dropped") {
                    wrong.push(format!("{path}: {status} where dropped was expected"));
                }
                let there = migrated().out().join(&path).exists();
                if there == status.starts_with("dropped") {
                    wrong.push(format!("{path}: {status}, and in OUT: {there}"));
                }
            }
            (None, _) => wrong.push(format!("{path} has no row")),
        }
        if let Some(row) = row {
            if row.number("bytes") != bytes.len() as u64 {
                wrong.push(format!("{path}: {} bytes", row.at("bytes")));
            }
            let hash = row.at("sha256");
            let is_gone = row.at("status").starts_with("dropped");
            if (is_gone || !hash.is_empty()) && hash != sha256(bytes) {
                wrong.push(format!("{path}: sha256"));
            }
        }
    }
    assert_eq!(skipped, 1, "the lz4 file is named");
    for mailbox in expected
        .iter()
        .map(|row| row.at("mailbox"))
        .collect::<BTreeSet<_>>()
    {
        let count = expected
            .iter()
            .filter(|row| row.at("mailbox") == mailbox && row.at("part").is_empty())
            .count();
        match by_path.get(mailbox) {
            Some(row) if row.number("messages") == count as u64 => {}
            other => wrong.push(format!("{mailbox}: {count} messages expected, {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let said = tools::run("sha256sum", &["-"], bytes).expect("sha256sum");
    String::from_utf8_lossy(&said)
        .split(' ')
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn keywords_and_subscriptions_are_carried_and_sizes_in_names_hold() {
    let (source, out) = (
        repository().join("sample-data/archive/curator"),
        migrated().out().join("archive/curator"),
    );
    for name in [
        "dovecot-keywords",
        "subscriptions",
        ".Sent/maildirfolder",
        ".Loans.2016/maildirfolder",
    ] {
        assert_eq!(
            fs::read(out.join(name)).ok(),
            fs::read(source.join(name)).ok(),
            "{name}"
        );
    }
    for folder in ["", ".Sent", ".Loans.2016"] {
        let (old, new) = (
            maildir_files(&source.join(folder)),
            maildir_files(&out.join(folder)),
        );
        assert_eq!(old.len(), new.len(), "{folder}");
        for (old, new) in old.iter().zip(&new) {
            let split = |path: &Path| {
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                let (base, flags) = name
                    .split_once(":2,")
                    .map_or((name.clone(), String::new()), |(a, b)| {
                        (a.to_owned(), b.to_owned())
                    });
                let size = |key: &str| {
                    base.split(',')
                        .find_map(|word| word.strip_prefix(key)?.parse::<usize>().ok())
                };
                (
                    base.split(',').next().unwrap_or_default().to_owned(),
                    flags,
                    size("S="),
                    size("W="),
                )
            };
            let ((old_id, old_flags, ..), (id, flags, size, wire)) = (split(old), split(new));
            let bytes = fs::read(new).unwrap();
            let bare = bytes
                .iter()
                .enumerate()
                .filter(|(at, b)| **b == b'\n' && (*at == 0 || bytes[at - 1] != b'\r'))
                .count();
            assert_eq!(
                (id, flags, old.parent().map(|p| p.ends_with("new"))),
                (old_id, old_flags, new.parent().map(|p| p.ends_with("new")))
            );
            if bytes == fs::read(old).unwrap() {
                assert_eq!(
                    old.file_name(),
                    new.file_name(),
                    "an untouched message keeps its name"
                );
                continue;
            }
            assert_eq!(
                (size, wire),
                (Some(bytes.len()), Some(bytes.len() + bare)),
                "{}",
                new.display()
            );
        }
    }
}

#[test]
fn python_counts_as_many_messages_out_as_in() {
    if has("python3") {
        let said = judge(
            "counts.py",
            &[
                migrated().sandbox.path().join("sample-data").as_path(),
                &migrated().out(),
            ],
        );
        println!("{said}");
    }
}

#[test]
fn without_keys_nothing_is_opened_and_every_byte_stays() {
    let sandbox = fresh();
    sandbox
        .line("migrate sample-data/archive --out OUT")
        .expect(3);
    let dropped = dropped_files();
    let source = files(&sandbox.path().join("sample-data/archive"), |name| {
        dropped.contains(&format!("archive/{name}"))
    });
    let wrong = differences(
        &source,
        &files(&sandbox.path().join("OUT/archive"), |_| false),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for row in rows(&sandbox.path().join("OUT/report/messages.csv")) {
        assert_ne!(row.at("outcome"), "decrypted", "{:?}", row.key());
        assert_ne!(
            row.at("verdict"),
            "valid",
            "without --trust: {:?}",
            row.key()
        );
    }
}

#[test]
fn the_locked_key_opens_with_its_passphrase() {
    let script = fs::read_to_string(repository().join("sample-data/make.py")).unwrap();
    let word = script
        .lines()
        .find_map(|line| line.strip_prefix("LOCKED = \"")?.strip_suffix('"'))
        .expect("LOCKED in make.py");
    let sandbox: Sandbox = fresh();
    sandbox.write(
        "words.csv",
        format!("file,passphrase\nh.lindqvist.p12,{word}\n"),
    );
    sandbox
        .run(command_with(&[], &["--passphrases", "words.csv"]))
        .expect(3);
    let found = rows(&sandbox.path().join("OUT/report/messages.csv"));
    let still: Vec<_> = found
        .iter()
        .filter(|row| row.at("outcome") == "locked")
        .map(Row::key)
        .collect();
    assert!(still.is_empty(), "{still:?}");
    for key in [13, 15, 33].map(|n| ("archive/Board.mbox".to_owned(), n, String::new())) {
        assert_eq!(
            found
                .iter()
                .find(|row| row.key() == key)
                .map(|row| row.at("outcome")),
            Some("decrypted"),
            "{key:?}"
        );
    }
    for (name, bytes) in files(sandbox.path(), |name| {
        name.starts_with("sample-data") || name == "words.csv"
    }) {
        assert!(
            memchr::memmem::find(&bytes, word.as_bytes()).is_none(),
            "the passphrase stands in {name}"
        );
    }
}

#[test]
fn the_store_and_the_report_say_the_same_of_every_certificate() {
    let migrated = migrated();
    let found = rows(&migrated.report("certificates.csv"));
    assert!(found.len() > 10);
    for row in found {
        let sha256 = row.at("sha256");
        let words = ["store", "show", "--store", "certs.db", sha256];
        let shown = migrated.sandbox.run(words).expect(0).stdout;
        let status = row.at("status");
        assert!(
            shown.split_whitespace().any(|word| word == status),
            "{sha256} is {status} in the report:\n{shown}"
        );
    }
}

#[test]
fn whoever_only_looks_leaves_the_source_alone() {
    let sandbox = fresh();
    let before = tree(&sandbox.path().join("sample-data"));
    for line in [
        "scan sample-data/archive --keys sample-data/keys --report R1 --hash",
        "verify sample-data/archive --keys sample-data/keys --trust sample-data/ca --report R2",
        "harvest sample-data/archive --trust sample-data/ca --store certs.db --report R3",
    ] {
        sandbox.line(line).expect(3);
        let after = tree(&sandbox.path().join("sample-data"));
        let changed: Vec<_> = after
            .iter()
            .filter(|(name, entry)| before.get(*name) != Some(*entry))
            .map(|(name, _)| name)
            .collect();
        assert!(
            changed.is_empty() && after.len() == before.len(),
            "{line}: {changed:?}"
        );
    }
}

#[test]
fn a_file_that_was_not_read_shows_in_the_exit_code_by_itself() {
    let sandbox = fresh();
    // The one message that is malformed is let pass; the compressed file is not.
    let line = "scan sample-data/archive --accept malformed";
    let ran = sandbox.line(line).expect(3);
    assert!(ran.stdout.contains("1 file not read"), "{}", ran.stdout);
    let folder = sandbox.path().join("sample-data/archive/curator/cur");
    let compressed = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            fs::read(path)
                .unwrap()
                .starts_with(&[0x04, 0x22, 0x4d, 0x18])
        })
        .expect("the compressed file");
    fs::remove_file(compressed).unwrap();
    sandbox.line(line).expect(0);
}

#[test]
fn messages_of_a_maildir_keep_their_times_changed_or_not() {
    let (source, out) = (
        migrated()
            .sandbox
            .path()
            .join("sample-data/archive/curator"),
        migrated().out().join("archive/curator"),
    );
    let mut changed = 0;
    for folder in ["", ".Sent", ".Loans.2016"] {
        let (old, new) = (
            maildir_files(&source.join(folder)),
            maildir_files(&out.join(folder)),
        );
        for (old, new) in old.iter().zip(&new) {
            let time = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
            assert_eq!(time(old), time(new), "{}", new.display());
            changed += usize::from(fs::read(old).unwrap() != fs::read(new).unwrap());
        }
    }
    assert!(changed > 5, "{changed} changed messages");
}
