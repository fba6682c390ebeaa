//! The examples in `--help`: every command has one, and it does what it says when run as written
//! beside a clone's `sample-data`.

use std::collections::BTreeSet;
use std::fs;

use crate::support::{Ran, Sandbox};

/// A command's example.
struct Example {
    command: &'static str,
    /// Commands whose examples make what this one works on.
    after: &'static [&'static str],
    /// The exit code. The sample holds messages that stay closed and a file that is not read (3).
    code: i32,
    /// A file that is there afterwards.
    makes: Option<&'static str>,
    /// Words that it prints.
    says: &'static str,
}

const EXAMPLES: [Example; 14] = [
    Example {
        command: "scan",
        after: &[],
        code: 3,
        makes: Some("report/missing-keys.csv"),
        says: "157 messages in 5 mailboxes",
    },
    Example {
        command: "verify",
        after: &[],
        code: 3,
        makes: Some("report/signatures.csv"),
        says: "28 valid",
    },
    Example {
        command: "harvest",
        after: &[],
        code: 3,
        makes: Some("certs.db"),
        says: "10 usable",
    },
    Example {
        command: "decrypt",
        after: &[],
        code: 3,
        makes: Some("OUT/manifest.csv"),
        says: "33 decrypted",
    },
    Example {
        command: "reencrypt",
        after: &[],
        code: 3,
        makes: Some("OUT/manifest.csv"),
        says: "29 rewrapped",
    },
    Example {
        command: "sign",
        after: &[],
        code: 3,
        makes: Some("OUT/manifest.csv"),
        says: "157 signed",
    },
    Example {
        command: "encrypt",
        after: &[],
        code: 3,
        makes: Some("OUT/manifest.csv"),
        says: "117 encrypted",
    },
    Example {
        command: "migrate",
        after: &[],
        code: 3,
        makes: Some("certs.db"),
        says: "38 valid",
    },
    Example {
        command: "check",
        after: &["migrate"],
        code: 0,
        makes: None,
        says: "matches its manifest",
    },
    Example {
        command: "restore",
        after: &["migrate"],
        code: 0,
        makes: None,
        says: "as before the run",
    },
    Example {
        command: "store list",
        after: &["harvest"],
        code: 0,
        makes: None,
        says: "16 certificates",
    },
    Example {
        command: "store show",
        after: &["harvest"],
        code: 0,
        makes: None,
        says: "m.brandt@nordhafen.example",
    },
    Example {
        command: "store export",
        after: &["harvest"],
        code: 0,
        makes: Some("certs.pem"),
        says: "-----BEGIN CERTIFICATE-----",
    },
    Example {
        command: "keys list",
        after: &[],
        code: 0,
        makes: None,
        says: "8 open, 1 locked",
    },
];

fn of(command: &str) -> &'static Example {
    let found = EXAMPLES.iter().find(|example| example.command == command);
    found.unwrap_or_else(|| panic!("what should the example of {command} do? Say so in EXAMPLES"))
}

/// The commands below one that `--help` lists; itself if there are none.
fn commands_below(sandbox: &Sandbox, command: &str) -> Vec<String> {
    let help = sandbox.line(&format!("{command} --help")).expect(0).stdout;
    let Some((_, list)) = help.split_once("\nCommands:\n") else {
        return vec![command.to_owned()];
    };
    list.lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            // A name stands at the first column, what it does further right or below it.
            let name = line.strip_prefix("  ")?.split(' ').next()?;
            (!name.is_empty() && name != "help")
                .then(|| format!("{command} {name}").trim().to_owned())
        })
        .flat_map(|command| commands_below(sandbox, &command))
        .collect()
}

/// The words of the example in a command's help, and the file that its output goes to.
fn words_of(sandbox: &Sandbox, command: &str) -> (Vec<String>, Option<String>) {
    let help = sandbox.line(&format!("{command} --help")).expect(0).stdout;
    let (_, example) = help
        .split_once("\nExample:\n")
        .unwrap_or_else(|| panic!("{command} --help has no example:\n{help}"));
    let line = example.replace("\\\n", " ");
    let line = line.lines().next().unwrap_or_default();
    let (line, target) = match line.split_once('>') {
        Some((line, target)) => (line, Some(target.trim().to_owned())),
        None => (line, None),
    };
    let mut words = line.split_whitespace().map(str::to_owned);
    assert_eq!(words.next().as_deref(), Some("p7mill"), "{help}");
    let words: Vec<String> = words.collect();
    assert!(
        words.join(" ").starts_with(command),
        "the example of {command} is of another command: {words:?}"
    );
    (words, target)
}

fn run(sandbox: &Sandbox, example: &Example) -> Ran {
    let (words, target) = words_of(sandbox, example.command);
    let ran = sandbox.run(words).expect(example.code);
    if let Some(target) = target {
        fs::write(sandbox.path().join(target), &ran.stdout).unwrap();
    }
    ran
}

#[test]
fn every_command_has_an_example_that_does_what_it_says() {
    let listed: BTreeSet<String> = commands_below(&Sandbox::new(), "").into_iter().collect();
    let known: BTreeSet<String> = EXAMPLES.iter().map(|e| e.command.to_owned()).collect();
    assert_eq!(listed, known, "what --help lists, and what is tried here");
    for example in &EXAMPLES {
        let sandbox = Sandbox::with_sample();
        for before in example.after {
            run(&sandbox, of(before));
        }
        let ran = run(&sandbox, example);
        assert!(
            ran.stdout.contains(example.says),
            "{} does not say {:?}:\n{}",
            example.command,
            example.says,
            ran.stdout
        );
        if let Some(file) = example.makes {
            let made = fs::metadata(sandbox.path().join(file));
            assert!(made.is_ok_and(|meta| meta.len() > 0), "{file} is not there");
        }
    }
}

#[test]
fn the_main_job_in_the_programs_own_help_is_the_readmes() {
    let sandbox = Sandbox::with_sample();
    let help = sandbox.line("--help").expect(0).stdout;
    let line = help
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("p7mill migrate "))
        .expect("the main job");
    let filled: Vec<&str> = std::iter::once("migrate")
        .chain(line.split(' '))
        .map(|word| match word {
            "ARCHIVE" => "sample-data/archive",
            "KEYS" => "sample-data/keys",
            "CA" => "sample-data/ca",
            word => word,
        })
        .collect();
    assert_eq!(filled, crate::support::sample::first_command());
    sandbox.run(filled).expect(3);
}
