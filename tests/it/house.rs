//! The rules of the house that a compiler does not check.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::support::repository;

/// Which module may use which: its own rank and lower ones.
const RANKS: [&[&str]; 11] = [
    &["error"],
    &["fsio", "limits", "text"],
    &["bulk"],
    &["archive", "message", "cms"],
    &["crypto"],
    &["cert"],
    &["keys", "store"],
    &["smime"],
    &["ops"],
    &["report"],
    &["engine"],
];

/// Vocabulary: plain data that may be named anywhere.
const EVERYWHERE: [&str; 3] = ["ops::outcome", "report::record", "message::rewrite"];

fn rank(module: &str) -> Option<usize> {
    RANKS.iter().position(|names| names.contains(&module))
}

/// Every source file: its path below `src`, and its text without comments.
fn sources() -> Vec<(String, String)> {
    let root = repository().join("src");
    let mut found: Vec<(String, String)> = walkdir::WalkDir::new(&root)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .map(|path| {
            let name = path
                .strip_prefix(&root)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            (name, without_comments(&fs::read_to_string(&path).unwrap()))
        })
        .collect();
    found.sort();
    assert!(found.len() > 20, "{} source files", found.len());
    found
}

fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| {
            if line.trim_start().starts_with("//") {
                ""
            } else {
                line
            }
        })
        .fold(String::new(), |all, line| all + line + "\n")
}

/// Without the unit tests at the end of a file, which may look at more.
fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod ")
        .map_or(text, |(code, _)| code)
}

/// The top module of a file below `src`.
fn module(file: &str) -> &str {
    file.split('/')
        .next()
        .unwrap_or_default()
        .trim_end_matches(".rs")
}

/// `crate::…` and `p7mill::…` paths, two modules deep, grouped imports included.
fn named(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for c in group.chars() {
                match c {
                    '}' if depth == 0 => break,
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        found.insert(two(word.trim()));
                        word.clear();
                    }
                    _ => {}
                }
                if depth == 0 && !matches!(c, ',' | '}') || depth > 0 {
                    word.push(c);
                }
            }
            found.insert(two(word.trim()));
        } else {
            found.insert(two(rest));
        }
    }
    found.remove("");
    found
}

/// The first two names of a path.
fn two(path: &str) -> String {
    let end = path
        .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
        .unwrap_or(path.len());
    path[..end]
        .split("::")
        .filter(|word| !word.is_empty())
        .take(2)
        .collect::<Vec<_>>()
        .join("::")
}

#[test]
fn imports_run_one_way() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let here = module(&file);
        if ["lib", "main", "cli"].contains(&here) {
            continue;
        }
        let Some(own) = rank(here) else {
            wrong.push(format!(
                "{file}: {here} has no place in the order; give it one here"
            ));
            continue;
        };
        for path in named(without_tests(&text)) {
            let target = path.split("::").next().unwrap_or_default();
            if EVERYWHERE.contains(&path.as_str())
                || ["Error", "Result"].contains(&target)
                || target == here
            {
                continue;
            }
            match rank(target) {
                Some(other) if other < own => {}
                Some(_) => wrong.push(format!("{file} uses {path}")),
                None => wrong.push(format!(
                    "{file} uses {path}, which has no place in the order"
                )),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_scanner_of_imports_sees_groups() {
    let found = named(
        "use crate::{Error, ops::{judge, walk}, cms::oid};\nuse crate::smime::open::Opened; crate::text::hex(x); not_crate::x::y",
    );
    let words: Vec<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(
        words,
        ["Error", "cms::oid", "ops", "smime::open", "text::hex"]
    );
}

#[test]
fn only_crypto_cert_and_keys_name_openssl() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        // error.rs wraps the ErrorStack of its variant and nothing else.
        let text = if file == "error.rs" {
            text.replace("openssl::error::ErrorStack", "")
        } else {
            text
        };
        if !["crypto", "cert", "keys"].contains(&module(&file)) {
            wrong.extend(
                without_tests(&text)
                    .lines()
                    .filter(|line| {
                        line.contains("openssl::") || line.contains("extern crate openssl")
                    })
                    .map(|line| format!("{file}: {}", line.trim())),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_is_no_unsafe_code() {
    let wrong: Vec<String> = sources()
        .iter()
        .filter(|(_, text)| {
            text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .any(|word| word == "unsafe")
        })
        .map(|(file, _)| file.clone())
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"forbid\""));
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    let section = manifest
        .split("\n[dependencies]\n")
        .nth(1)
        .expect("[dependencies]")
        .split("\n[")
        .next()
        .unwrap_or_default();
    let names: Vec<&str> = section
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim())
        .filter(|name| !name.starts_with('#'))
        .collect();
    assert!(names.len() > 10, "{names:?}");
    let reasons = fs::read_to_string(repository().join("docs/dev/dependencies.md"))
        .expect("docs/dev/dependencies.md");
    let listed: BTreeSet<&str> = reasons
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
        .flat_map(|cell| cell.split(", "))
        .collect();
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !listed.contains(*name))
        .collect();
    assert!(
        missing.is_empty(),
        "without a reason in docs/dev/dependencies.md: {missing:?}"
    );
}

/// String literals of a line, escapes aside.
fn literals(line: &str) -> BTreeSet<&str> {
    line.split('"').skip(1).step_by(2).collect()
}

/// Literals that look like codes (`two-words`) but are not reasons: words of the vocabulary.
fn vocabulary() -> BTreeSet<String> {
    let outcome = fs::read_to_string(repository().join("src/ops/outcome.rs")).unwrap();
    outcome
        .lines()
        .flat_map(|line| literals(line).into_iter().map(str::to_owned))
        .collect()
}

/// Words with a hyphen that stand in mail or name a report.
const OTHER_WORDS: [&str; 11] = [
    "authenticated-enveloped-data",
    "authenveloped-data",
    "compressed-data",
    "enveloped-data",
    "missing-cas",
    "missing-keys",
    "pgp-signature",
    "protected-headers",
    "rpmsg-message",
    "signed-data",
    "smime-type",
];

/// A literal of two lower-case words or more, hyphens between them, in the code that judges
/// messages is a reason or another word of a report: the reference lists it.
#[test]
fn every_reason_code_is_listed() {
    let read = |name: &str| {
        fs::read_to_string(repository().join("docs/reference").join(name)).expect(name)
    };
    let reference = read("reasons.md") + &read("words.md");
    let words = vocabulary();
    let mut missing = BTreeSet::new();
    for (file, text) in sources() {
        if !["ops", "smime", "limits", "report", "store"].contains(&module(&file)) {
            continue;
        }
        for literal in without_tests(&text).lines().flat_map(literals) {
            let code = literal.contains('-')
                && literal
                    .split('-')
                    .all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase()));
            if code
                && !words.contains(literal)
                && !OTHER_WORDS.contains(&literal)
                && !reference.contains(&format!("`{literal}`"))
            {
                missing.insert(format!("{literal} ({file})"));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "not in docs/reference/reasons.md:\n{}",
        missing.into_iter().collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn every_word_of_the_vocabulary_is_documented() {
    let folder = repository().join("docs/reference");
    let text: String = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .map(|path: PathBuf| fs::read_to_string(path).unwrap())
        .collect();
    let missing: Vec<String> = vocabulary()
        .into_iter()
        .filter(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        .filter(|word| !text.contains(&format!("`{word}`")))
        .collect();
    assert!(missing.is_empty(), "not in docs/reference: {missing:?}");
}

#[test]
fn every_command_is_documented() {
    let text = fs::read_to_string(repository().join("docs/reference/cli.md"))
        .expect("docs/reference/cli.md");
    for command in [
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
        "store list",
        "store show",
        "store export",
        "keys list",
    ] {
        assert!(
            text.contains(&format!("`{command}`")) || text.contains(&format!("p7mill {command}")),
            "{command} is not in docs/reference/cli.md"
        );
    }
}
