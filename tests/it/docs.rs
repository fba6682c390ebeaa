//! The documents are true: what the guide shows is what happens, and every test that a promise
//! rests on is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Sandbox, peers, repository};

/// A command of the guide and what it prints, standard error included.
struct Step {
    command: String,
    prints: Vec<String>,
}

/// What stands for lines left out.
const LEFT_OUT: &str = "…";

/// The guide's commands: those after `$ ` in ```` ```console ```` blocks, and whole ```` ```sh ```` blocks.
fn steps(guide: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut block = "";
    let step = |command: &str| Step {
        command: command.to_owned(),
        prints: Vec::new(),
    };
    for line in guide.lines() {
        if line.starts_with("```") {
            block = if block.is_empty() { line } else { "" };
            if block == "```sh" {
                steps.push(step(""));
            }
        } else if block == "```sh" {
            let script = steps.last_mut().expect("a script");
            script.command += line;
            script.command.push('\n');
        } else if block == "```console" {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(step(command));
            } else {
                let last = steps.last_mut().expect("a command before its output");
                last.prints.push(line.to_owned());
            }
        }
    }
    steps
}

/// Whether `printed` is `expected`, whose `…` lines stand for any lines.
fn agrees(expected: &[String], printed: &[&str]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((line, rest)) if line == LEFT_OUT => {
            (0..=printed.len()).any(|at| agrees(rest, &printed[at..]))
        }
        Some((line, rest)) => {
            printed
                .first()
                .is_some_and(|printed| printed.trim_end() == line)
                && agrees(rest, &printed[1..])
        }
    }
}

#[test]
fn the_guide_shows_what_happens() {
    let has_all = ["bash", "python3", "openssl"]
        .into_iter()
        .all(|program| peers::peer(program).is_some());
    if !has_all {
        return;
    }
    let guide = fs::read_to_string(repository().join("docs/guide/sample.md")).unwrap();
    let steps = steps(&guide);
    assert!(steps.len() > 40, "{} commands", steps.len());
    // One shell for all of them, as for a reader; `$?` is that of the command before.
    let mut script =
        "status=0\nstep() { (exit $status); eval \"$1\" 2>&1; status=$?; printf '\\036'; }\n"
            .to_owned();
    for step in &steps {
        script += &format!("step '{}'\n", step.command.replace('\'', r"'\''"));
    }
    let sandbox = Sandbox::with_sample();
    let program = Path::new(env!("CARGO_BIN_EXE_p7mill"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(
        std::iter::once(program.parent().unwrap().to_owned()).chain(std::env::split_paths(&path)),
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(sandbox.path())
        .env_clear()
        .env("PATH", path.unwrap())
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let printed: Vec<&str> = text.split_terminator('\u{1e}').collect();
    assert_eq!(
        printed.len(),
        steps.len(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut wrong = Vec::new();
    for (step, printed) in steps.iter().zip(printed) {
        let lines: Vec<&str> = printed.lines().collect();
        if !agrees(&step.prints, &lines) {
            wrong.push(format!(
                "$ {}\n{printed}--- but the guide says:\n{}\n",
                step.command,
                step.prints.join("\n")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Names of test functions by the file they stand in, relative to the repository.
fn tests_by_file() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for folder in ["src", "tests"] {
        for entry in walkdir::WalkDir::new(repository().join(folder)) {
            let path = entry.unwrap().into_path();
            if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(repository()).unwrap();
                let text = fs::read_to_string(&path).unwrap();
                found.insert(name.to_string_lossy().into_owned(), tests_in(&text));
            }
        }
    }
    found
}

/// The functions below a `#[test]`, other attributes between them aside.
fn tests_in(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut marked = false;
    for line in text.lines().map(str::trim_start) {
        if line == "#[test]" {
            marked = true;
        } else if let Some(rest) = line.strip_prefix("fn ") {
            if marked {
                let end = rest.find('(').unwrap_or(rest.len());
                names.insert(rest[..end].to_owned());
            }
            marked = false;
        }
    }
    names
}

#[test]
fn every_promise_names_tests_that_exist_or_says_open() {
    const PROMISES: usize = 62;
    let page = fs::read_to_string(repository().join("docs/dev/promises.md")).unwrap();
    let tests = tests_by_file();
    let mut wrong = Vec::new();
    let mut numbers = Vec::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.split(" | ").collect();
        let &[first, _, shown] = cells.as_slice() else {
            continue;
        };
        let Ok(number) = first.trim_start_matches('|').trim().parse::<usize>() else {
            continue;
        };
        numbers.push(number);
        // Tests stand in backquotes as `file.rs::name`.
        let named: Vec<(&str, &str)> = shown
            .split('`')
            .filter_map(|word| word.split_once("::"))
            .collect();
        if named.is_empty() && !shown.starts_with("open") {
            wrong.push(format!("{number}: neither a test nor \"open\""));
        }
        for (file, name) in named {
            if !tests.get(file).is_some_and(|names| names.contains(name)) {
                wrong.push(format!("{number}: there is no {file}::{name}"));
            }
        }
    }
    assert_eq!(numbers, (1..=PROMISES).collect::<Vec<_>>());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Links between documents lead to files that are there.
#[test]
fn links_between_documents_lead_somewhere() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    let pages = walkdir::WalkDir::new(repository().join("docs"))
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .chain([repository().join("README.md")])
        .filter(|path| path.extension().is_some_and(|e| e == "md"));
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || target.contains("://") {
                continue;
            }
            seen += 1;
            if !page.parent().unwrap().join(file).exists() {
                wrong.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(seen > 10 && wrong.is_empty(), "{}", wrong.join("\n"));
}
