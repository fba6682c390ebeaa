//! The command line: usage errors, help, exit codes, pipes that break.

use std::collections::BTreeSet;
use std::process::Stdio;

use crate::support::tools::{LATER, Pki, openssl};
use crate::support::{Sandbox, peers, repository};

/// The smallest thing that is a message beyond doubt.
const MESSAGE: &str = "From: a@b.example\nTo: c@d.example\nSubject: x\n\nx\n";

const COMMANDS: [&str; 14] = [
    "scan",
    "verify",
    "harvest",
    "decrypt",
    "reencrypt",
    "sign",
    "encrypt",
    "migrate",
    "check",
    "restore",
    "keys list",
    "store list",
    "store show",
    "store export",
];

#[test]
fn every_command_has_help_with_an_example_that_begins_with_it() {
    let sandbox = Sandbox::new();
    for command in COMMANDS {
        for flag in ["-h", "--help"] {
            let help = sandbox.line(&format!("{command} {flag}")).expect(0).stdout;
            assert!(
                help.contains(&format!("\nExample:\n  p7mill {command} ")),
                "{help}"
            );
            assert!(
                help.lines().all(|line| line.chars().count() <= 100),
                "{help}"
            );
        }
    }
    let help = sandbox.line("--help").expect(0).stdout;
    for command in COMMANDS {
        assert!(
            help.contains(command.split(' ').next().unwrap()),
            "{command} is not in --help"
        );
    }
    assert!(
        sandbox
            .line("--version")
            .expect(0)
            .stdout
            .starts_with("p7mill ")
    );
}

#[test]
fn a_dry_run_writes_reports_and_nothing_else() {
    let sandbox = Sandbox::with_sample();
    let line = "migrate sample-data/archive --keys sample-data/keys --store certs.db --out OUT";
    sandbox.line(&format!("{line} --dry-run")).expect(3);
    let names = |dir: &str| -> Vec<_> {
        let mut names: Vec<_> = std::fs::read_dir(sandbox.path().join(dir))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("."), ["OUT", "sample-data"]);
    assert_eq!(names("OUT"), ["report"]);
    sandbox.line(line).expect(3);
    let ran = sandbox.line(&format!("{line} --dry-run")).expect(2);
    assert!(ran.stderr.contains("--report"), "{}", ran.stderr);
    sandbox.line("check OUT").expect(0);
}

#[test]
fn a_finished_output_folder_is_left_alone_and_other_options_are_refused() {
    let sandbox = Sandbox::with_sample();
    let line =
        "migrate sample-data/archive --keys sample-data/keys --trust sample-data/ca --out OUT";
    let first = sandbox.line(line).expect(3);
    assert!(
        first.stdout.contains("157 written; 1 file was not read\n"),
        "{}",
        first.stdout
    );
    let second = sandbox.line(line).expect(3);
    assert!(
        second.stdout.starts_with("Finished before"),
        "{}",
        second.stdout
    );
    sandbox.line(&format!("{line} --accept locked")).expect(2);
    sandbox
        .line("migrate sample-data/archive --out OUT")
        .expect(2);
    sandbox
        .line(&format!("{line} --accept locked --start-over -q"))
        .expect(3);
}

#[test]
fn the_one_key_that_a_single_message_needs_stays_locked() {
    let sandbox = Sandbox::with_sample();
    let board = std::fs::read(repository().join("sample-data/archive/Board.mbox")).unwrap();
    let starts: Vec<usize> = board
        .windows(6)
        .enumerate()
        .filter(|(_, w)| w == b"\nFrom ")
        .map(|(at, _)| at)
        .collect();
    // Messages 13 and 15 are for the one person whose key file is locked (sample-data/README.md).
    for number in [13, 15] {
        let message = &board[starts[number - 2] + 1..starts[number - 1]];
        let body = message.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let ran = sandbox
            .line_with_input("decrypt - --keys sample-data/keys", &message[body..])
            .expect(12);
        assert_eq!(ran.stdout.as_bytes(), &message[body..]);
    }
}

#[test]
fn a_locked_key_file_that_does_not_say_whose_it_is_is_in_the_way_too() {
    let (sandbox, pki) = (Sandbox::new(), Pki::new());
    pki.person("bob", "rsa", 0x51);
    let p12 = pki.pkcs12("bob").display().to_string();
    sandbox.write("letter", MESSAGE);
    let line = format!(
        "cms -encrypt -aes-256-cbc -in letter -out m.eml {}",
        pki.certificate("bob").display()
    );
    openssl(sandbox.path(), &line).expect("cms");
    let mail = std::fs::read(sandbox.path().join("m.eml")).unwrap();
    let line = format!("decrypt - --keys {p12}");
    let ran = sandbox.line_with_input(&line, &mail).expect(12);
    assert_eq!(ran.stdout.as_bytes(), mail);
    assert!(
        ran.stderr
            .contains("bob.p12 is locked and may hold the key; see --passphrase-file"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("more key files"), "{}", ran.stderr);
    sandbox.write("secret", "secret\n");
    let line = format!("{line} --passphrase-file secret");
    sandbox.line_with_input(&line, &mail).expect(0);
}

#[test]
fn standard_input_with_nothing_in_it_is_no_mail() {
    let (sandbox, pki) = (Sandbox::new(), Pki::new());
    pki.person("bob", "ec", 0x51);
    let keys = pki.keys_of(&["bob"]).display().to_string();
    let bob = pki.certificate("bob").display().to_string();
    for line in [
        "scan -".to_owned(),
        format!("decrypt - --keys {keys}"),
        format!("sign - --keys {keys}"),
        format!("sign - --as bob@example.org --keys {keys}"),
        format!("encrypt - --to {bob}"),
    ] {
        let ran = sandbox.line(&format!("{line} --now {LATER}")).expect(2);
        assert_eq!(ran.stdout, "");
        assert!(
            ran.stderr.contains("standard input was empty"),
            "{}",
            ran.stderr
        );
        // Packed or binary, it is no message either: "1 plain" would say that all is well.
        for (input, word) in [
            (&b"\x1f\x8b\x08\0packed"[..], "gzip"),
            (b"PK\x03\x04rest", "zip"),
            (b"\x01\0\xff", "binary"),
        ] {
            let ran = sandbox.line_with_input(&format!("{line} --now {LATER}"), input);
            let ran = ran.expect(2);
            assert_eq!(ran.stdout, "");
            let said = format!("standard input is {word}; it has to be a message");
            assert!(ran.stderr.contains(&said), "{}", ran.stderr);
        }
    }
}

#[test]
fn what_the_contract_promises_for_later_is_a_usage_error_that_says_so() {
    let sandbox = Sandbox::new();
    sandbox.write("A/1.eml", MESSAGE);
    let later = [
        "store find --store S a@b.example",
        "store add --store S x.pem",
        "store import --store S x",
        "store merge --store S T",
        "store approve --store S x",
        "store block --store S x",
        "store remove --store S x",
        "store stats --store S",
        "store export --store S --format ldif",
        "migrate A --out O --since 2024-01-01",
        "migrate A --out O --until 2024-01-01",
        "migrate A --out O --include *.mbox",
        "migrate A --out O --exclude *.mbox",
    ];
    for line in later {
        let ran = sandbox.line(line).expect(2);
        assert!(
            ran.stderr.contains("not in this version"),
            "{line}: {}",
            ran.stderr
        );
        assert!(ran.stdout.is_empty(), "{line}");
    }
    assert!(!sandbox.path().join("O").exists());
}

#[test]
fn unusable_command_lines_are_told_apart_and_write_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("A/1.eml", MESSAGE);
    sandbox.write("K/none.txt", "no key");
    for (line, word) in [
        ("", "Usage"),
        ("frobnicate A", "frobnicate"),
        ("scan", "PATH"),
        ("scan A --frobnicate", "--frobnicate"),
        ("scan A --out O", "--out is an option of"),
        ("scan A --format csv", "--report"),
        ("scan A --report R --format pdf", "pdf"),
        ("scan A -j 0", "-j"),
        ("scan A --accept plain", "no-key"),
        ("scan A -q -v", "--quiet"),
        ("scan nowhere", "nowhere"),
        ("verify A", "--trust"),
        ("verify A --trust T --clock yesterday", "received"),
        ("harvest A", "--store"),
        ("decrypt A --out O", "--keys"),
        ("decrypt A --keys K", "--out"),
        ("decrypt A --keys missing --out O", "missing"),
        ("decrypt A --keys K --out A/O", "apart"),
        ("harvest A --store A/certs.db", "apart"),
        ("scan A --report A/R", "apart"),
        ("decrypt - --keys K --out O", "standard output"),
        ("decrypt - A --keys K", "alone"),
        ("reencrypt A --keys K --out O", "--to"),
        (
            "reencrypt A --keys K --to missing.pem --out O",
            "missing.pem",
        ),
        ("reencrypt A --keys K --to a@b.example --out O", "--store"),
        (
            "reencrypt A --keys K --to K/none.txt --out O --mode content",
            "--cipher",
        ),
        (
            "reencrypt A --keys K --to K/none.txt --out O --cipher aes-256-gcm",
            "--mode content",
        ),
        ("encrypt A --out O", "--to-recipients"),
        ("encrypt A --to-recipients --out O", "--store"),
        ("encrypt A --to a@b.example --out O", "--store"),
        ("encrypt A --to missing.pem", "--out"),
        ("encrypt A --to x --sign --out O", "--as"),
        ("migrate A", "--out"),
        ("migrate - --out O", "standard input"),
        ("migrate A --out O --to x.pem", "--keys"),
        ("migrate A --out O --keys K --mode content", "--to"),
        ("migrate A --out O --trust missing.pem", "missing.pem"),
        ("keys list", "--keys"),
        ("store list", "--store"),
        ("store list --store missing.db", "missing.db"),
        ("check", "OUT"),
        ("check missing", "missing: no such folder"),
        ("restore missing", "missing: no such folder"),
        (
            "decrypt A --keys K --out O",
            "no private key found in K; nothing can be opened",
        ),
    ] {
        let ran = sandbox.line(line).expect(2);
        assert!(ran.stderr.contains(word), "{line}: {}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{line}: {}", ran.stdout);
    }
    let mut left: Vec<_> = std::fs::read_dir(sandbox.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["A", "K"]);
}

#[test]
fn a_passphrase_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::new();
    sandbox.write("K/none.txt", "no key");
    let file = sandbox.write("secret", "hunter2\n");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = sandbox
        .line("keys list --keys K --passphrase-file secret")
        .expect(2);
    assert!(ran.stderr.contains("secret"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
}

#[test]
fn a_full_disk_or_a_reader_that_left_never_panics() {
    let sandbox = Sandbox::new();
    sandbox.write("A/1.eml", MESSAGE);
    let full = || {
        std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    for line in ["--help", "scan A"] {
        let mut command = sandbox.command(line.split_whitespace());
        let output = command.stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}");
        assert!(
            !String::from_utf8_lossy(&output.stderr).contains("internal error"),
            "{line}"
        );
    }
    let status = sandbox
        .command(["frobnicate"])
        .stderr(full())
        .stdout(full())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(2));
    // The reader is gone before anything is written.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = sandbox
        .command(["scan", "A"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_judge_that_is_required_is_there() {
    // Says, or fails where they are required, which judges the other tests would miss.
    for program in ["openssl", "gpgsm", "python3", "certutil", "cmsutil"] {
        let _ = peers::peer(program);
    }
}

#[test]
fn one_message_comes_and_goes_by_pipe() {
    let sandbox = Sandbox::with_sample();
    let message = b"From: a@b.example\r\nSubject: x\r\n\r\nFrom here on\r\n";
    let ran = sandbox
        .line_with_input("decrypt - --keys sample-data/keys", message)
        .expect(0);
    assert_eq!(ran.stdout.as_bytes(), message);
    let mbox = b"From a Thu Jan  1 00:00:00 1970\nSubject: x\n\n>From b\n\nFrom a Thu Jan  1 00:00:00 1970\n\nno end";
    let ran = sandbox
        .line_with_input("decrypt - --keys sample-data/keys", mbox)
        .expect(0);
    assert_eq!(ran.stdout.as_bytes(), mbox);
}

#[test]
fn help_is_a_command_too_and_says_what_a_command_needs() {
    let sandbox = Sandbox::new();
    for (command, words) in [
        ("decrypt", "--keys <PATH> --out <DIR> <PATH>..."),
        ("reencrypt", "--to <CERTFILE|ADDRESS> --out <DIR> <PATH>..."),
        ("migrate", "--out <DIR> <PATH>..."),
        ("verify", "must exist, is only read"),
        ("harvest", "made if it does not exist"),
    ] {
        let help = sandbox.line(&format!("help {command}")).expect(0).stdout;
        assert!(help.contains(words), "{help}");
        let same = sandbox.line(&format!("{command} --help")).expect(0).stdout;
        assert_eq!(help, same);
    }
    let help = sandbox.line("help").expect(0).stdout;
    assert!(help.contains("\nExit codes:"), "{help}");
}

#[test]
fn without_a_private_key_a_migration_says_so_and_goes_on() {
    let sandbox = Sandbox::new();
    sandbox.write("A/1.eml", MESSAGE);
    sandbox.write("K/none.txt", "no key");
    let ran = sandbox.line("migrate A --keys K --out O").expect(0);
    for words in [
        "key file K/none.txt is left out: neither key nor certificate",
        "no private key found in K; nothing can be opened",
    ] {
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
    sandbox.line("keys list --keys K").expect(0);
}

#[test]
fn where_no_mail_is_found_that_is_said() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path().join("A")).unwrap();
    let ran = sandbox.line("scan A").expect(0);
    assert!(ran.stderr.contains("no mail found in A"), "{}", ran.stderr);
}

#[test]
fn only_usable_certificates_are_exported() {
    let sandbox = Sandbox::with_sample();
    sandbox
        .line("harvest sample-data/archive --trust sample-data/ca --store certs.db")
        .expect(3);
    let listed = sandbox.line("store list --store certs.db").expect(0).stdout;
    let usable = listed
        .lines()
        .filter(|line| line.starts_with("usable "))
        .count();
    let pem = sandbox
        .line("store export --store certs.db --format pem")
        .expect(0)
        .stdout;
    assert!(usable > 0 && listed.contains("\nca "), "{listed}");
    assert_eq!(pem.matches("-----BEGIN").count(), usable);
    assert_eq!(pem.matches("\n# usable ").count() + 1, usable);
}

#[test]
fn a_summary_without_reports_names_signatures_and_points_at_no_file() {
    let sandbox = Sandbox::with_sample();
    let line = "verify sample-data/archive --trust sample-data/ca";
    let said = sandbox.line(line).expect(3).stdout;
    assert!(
        said.contains("; add --report DIR for signatures.csv"),
        "{said}"
    );
    assert!(said.contains(": invalid (digest-mismatch"), "{said}");
    assert!(!said.contains("; signatures.csv"), "{said}");
    for (format, there, gone) in [("jsonl", "jsonl", "csv"), ("csv", "csv", "jsonl")] {
        let said = sandbox
            .line(&format!("{line} --report R --format {format}"))
            .expect(3)
            .stdout;
        assert!(
            said.contains(&format!("; signatures.{there} says")),
            "{said}"
        );
        let file = |extension| sandbox.path().join(format!("R/signatures.{extension}"));
        assert!(file(there).exists() && !file(gone).exists());
    }
}

#[test]
fn a_row_of_passphrases_for_no_key_file_is_named_and_a_wrong_one_too() {
    let (sandbox, pki) = (Sandbox::new(), Pki::new());
    pki.person("bob", "rsa", 0x51);
    let p12 = pki.pkcs12("bob").display().to_string();
    sandbox.write(
        "t.csv",
        "file,passphrase\nbob.p12,secret\nbobb.p12,hunter2\n",
    );
    sandbox.write("wrong.csv", "file,passphrase\nbob.p12,hunter2\n");
    sandbox.write("A/1.eml", MESSAGE);
    let unmatched = "--passphrases has a row for bobb.p12, and no file below --keys is called so";
    let locked =
        "bob.p12 stays locked: the passphrase in its row of --passphrases is not the file's";
    for (table, words) in [("t.csv", unmatched), ("wrong.csv", locked)] {
        for line in ["keys list", "decrypt A --out OUT --start-over"] {
            let line = format!("{line} --keys {p12} --passphrases {table}");
            let ran = sandbox.line(&line).expect(0);
            assert!(ran.stderr.contains(words), "{line}: {}", ran.stderr);
            assert!(!ran.stderr.contains("hunter2") && !ran.stdout.contains("hunter2"));
        }
    }
    let listed = sandbox.line(&format!("keys list --keys {p12} --passphrases wrong.csv"));
    assert!(
        listed.stdout.contains("No passphrase given opens"),
        "{}",
        listed.stdout
    );
}

#[test]
fn the_option_that_changed_is_named_as_it_is_typed() {
    let (sandbox, pki) = (Sandbox::new(), Pki::new());
    for (serial, name) in ["bob", "eve"].iter().enumerate() {
        pki.person(name, "ec", 0x51 + u32::try_from(serial).unwrap());
    }
    let keys = pki.keys_of(&["bob", "eve"]).display().to_string();
    let bob = pki.certificate("bob").display().to_string();
    sandbox.write("A/1.eml", MESSAGE);
    let now = format!("--now {LATER}");
    for (first, second, named) in [
        (
            format!("sign A --as bob@example.org --keys {keys}"),
            format!("sign A --as eve@example.org --keys {keys}"),
            "(--as changed)",
        ),
        (
            format!("sign A --as bob@example.org --keys {keys}"),
            format!("sign A --as bob@example.org --keys {keys} --opaque --for apple"),
            "(--for, --opaque changed)",
        ),
        (
            format!("encrypt A --to {bob}"),
            format!("encrypt A --to {bob} --to-recipients --cipher aes-256-gcm"),
            "(--cipher, --to-recipients changed)",
        ),
        (
            format!("encrypt A --to {bob} --recovery {bob}"),
            format!("encrypt A --to {bob} --no-originals"),
            "(--no-originals, --recovery changed)",
        ),
        (
            format!("reencrypt A --keys {keys} --to {bob}"),
            format!("reencrypt A --keys {keys} --to {bob} --mode content --for openssl"),
            "--mode changed)",
        ),
    ] {
        sandbox
            .line(&format!("{first} {now} --start-over --out OUT"))
            .expect(0);
        let ran = sandbox.line(&format!("{second} {now} --out OUT")).expect(2);
        assert!(ran.stderr.contains(named), "{second}: {}", ran.stderr);
    }
}

#[test]
fn what_would_do_instead_of_keys_is_said_where_it_would() {
    let sandbox = Sandbox::new();
    for (line, said) in [
        ("decrypt -", true),
        ("reencrypt A --to x.pem --out O", true),
        ("sign -", false),
        ("keys list", false),
    ] {
        let ran = sandbox.line(line).expect(2);
        assert!(ran.stderr.contains("--keys"), "{line}: {}", ran.stderr);
        let tip = ran
            .stderr
            .contains("--message-passphrase-file FILE or --message-key-file FILE");
        assert_eq!(tip, said, "{line}: {}", ran.stderr);
    }
}

#[test]
fn who_could_sign_is_named_where_the_address_is_nobodys() {
    let sandbox = Sandbox::with_sample();
    for (address, said) in [
        (
            "m.brant@nordhafen.example",
            "is m.brandt@nordhafen.example meant?",
        ),
        ("somebody@elsewhere.example", "there are keys of "),
    ] {
        let line = format!(
            "sign sample-data/archive --keys sample-data/keys --as {address} --now 2024-06-01T00:00:00Z --out OUT"
        );
        let ran = sandbox.line(&line);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
        assert!(!sandbox.path().join("OUT").exists());
    }
}

/// Commands and the options that their help lists, in the section that says so of itself.
fn options_in_help(sandbox: &Sandbox, command: &str) -> BTreeSet<String> {
    let help = sandbox.line(&format!("{command} --help")).expect(0).stdout;
    let lines = help.lines().map(str::trim_start);
    let options = lines.filter(|line| line.starts_with('-')).flat_map(|line| {
        let words = line.split([' ', ',']).filter(|word| word.starts_with('-'));
        words.take(2).map(str::to_owned).collect::<Vec<_>>()
    });
    options.collect()
}

/// The table "Which command takes which option" of docs/reference/cli.md, both ways.
#[test]
fn help_and_the_table_of_options_say_the_same() {
    let sandbox = Sandbox::new();
    let page = std::fs::read_to_string(repository().join("docs/reference/cli.md")).unwrap();
    let table: Vec<Vec<&str>> = page
        .lines()
        .skip_while(|line| !line.starts_with("| options |"))
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let quoted = |cell: &str| -> BTreeSet<String> {
        cell.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let everywhere = [
        "-q",
        "--quiet",
        "-v",
        "--verbose",
        "--progress",
        "--color",
        "-h",
        "--help",
    ];
    for (column, command) in table[0].iter().enumerate().skip(1) {
        let mut expected: BTreeSet<String> = everywhere.map(str::to_owned).into();
        for row in &table[2..] {
            let (options, cell) = (quoted(row[0]), row[column]);
            let some: BTreeSet<String> = quoted(cell).intersection(&options).cloned().collect();
            match (cell, some.is_empty()) {
                ("", _) => {}
                (_, true) => expected.extend(options),
                (_, false) => expected.extend(some),
            }
        }
        assert_eq!(options_in_help(&sandbox, command), expected, "{command}");
        let help = sandbox.line(&format!("{command} --help")).expect(0).stdout;
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        let reads_pipes = !matches!(*command, "harvest" | "migrate");
        assert_eq!(
            help.contains("or - for standard input"),
            reads_pipes,
            "{command}"
        );
        let ran = sandbox.line(&format!("{command} -"));
        let refused = ran.stderr.contains("does not read standard input");
        assert!(!reads_pipes || !refused, "{command}: {}", ran.stderr);
    }
}
