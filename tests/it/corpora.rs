//! Mail, keys and mailboxes made by others, from `../shared/corpora` beside the repository. The
//! tests say so where it is absent: it is never copied into the repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::table::{Row, rows, tabs};
use crate::support::{Ran, Sandbox, repository};

/// How many cases come out as expected; raise it when more do.
const FLOOR: usize = 186;

pub(crate) fn corpora() -> Option<PathBuf> {
    let folder = repository().join("../shared/corpora");
    if folder.join("cases.tsv").is_file() {
        return Some(folder.canonicalize().unwrap());
    }
    println!("NOT SHOWN: {} is absent", folder.display());
    None
}

/// Whether a run ended in one of the ways that the contract knows, and not in a panic.
fn trouble(ran: &Ran) -> Option<String> {
    let orderly = ran.code.is_some_and(|code| (0..=4).contains(&code));
    let bad = !orderly || ran.stderr.contains("panicked") || ran.stderr.contains("internal error");
    bad.then(|| format!("exit code {:?}\n{}", ran.code, ran.stderr))
}

#[test]
fn no_file_makes_it_panic() {
    let Some(corpora) = corpora() else { return };
    let mut wrong = Vec::new();
    let mut roots: Vec<PathBuf> = std::fs::read_dir(&corpora)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|p| p.is_dir())
        .collect();
    roots.sort();
    for root in roots {
        let path = root.to_string_lossy();
        let name = root
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let sandbox = Sandbox::new();
        sandbox.write("word", "test\n");
        let scan = sandbox.run(["scan", &path, "--report", "R"]);
        wrong.extend(trouble(&scan).map(|what| format!("scan {name}: {what}")));
        // Everything is a key file, a CA and mail at once: most of it is none of them.
        let migrate = sandbox.run([
            "migrate",
            &path,
            "--keys",
            &path,
            "--passphrase-file",
            "word",
            "--store",
            "certs.db",
            "--out",
            "OUT",
        ]);
        wrong.extend(trouble(&migrate).map(|what| format!("migrate {name}: {what}")));
        if migrate.code.is_some_and(|code| code != 2) {
            wrong.extend(unaccounted(
                &root,
                &sandbox.path().join("OUT/report"),
                &name,
            ));
            let check = sandbox.line("check OUT");
            if check.code != Some(0) {
                wrong.push(format!(
                    "check after migrate {name}: {:?}\n{}{}",
                    check.code, check.stdout, check.stderr
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Files of a folder that sources.csv does not name.
fn unaccounted(root: &Path, report: &Path, name: &str) -> Vec<String> {
    let listed: Vec<String> = rows(&report.join("sources.csv"))
        .iter()
        .map(|row| row.at("path").to_owned())
        .collect();
    walkdir::WalkDir::new(root)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| !entry.file_type().is_dir())
        .map(|entry| {
            format!(
                "{name}/{}",
                entry.path().strip_prefix(root).unwrap().to_string_lossy()
            )
        })
        .filter(|path| !listed.contains(path))
        .map(|path| format!("sources.csv does not name {path}"))
        .collect()
}

#[test]
fn mailboxes_hold_as_many_messages_as_their_authors_say() {
    let Some(corpora) = corpora() else { return };
    let mut wrong = Vec::new();
    let mut seen = 0;
    for row in tabs(&corpora.join("mailboxes.tsv")) {
        let files: Vec<PathBuf> = match row.at("path").split_once('*') {
            None => vec![corpora.join(row.at("path"))],
            Some((folder, ending)) => std::fs::read_dir(corpora.join(folder))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.to_string_lossy().ends_with(ending))
                .collect(),
        };
        for file in files {
            seen += 1;
            let sandbox = Sandbox::new();
            // Of the files that "hold one message each" one is empty and one holds three.
            let expected = match file.file_name().and_then(|name| name.to_str()) {
                Some("empty.mbox") => 0,
                Some("combined.mbox") => 3,
                _ => row.number("expected_messages"),
            };
            let empty = std::fs::metadata(&file).unwrap().len() == 0;
            let ran = sandbox.run(["scan", &file.to_string_lossy(), "--report", "R"]);
            wrong.extend(trouble(&ran).map(|what| format!("{}: {what}", file.display())));
            let sources = rows(&sandbox.path().join("R/sources.csv"));
            let found: u64 = sources.iter().map(|row| row.number("messages")).sum();
            let read = sources.iter().all(|row| row.at("status") == "read");
            if found != expected || read != (expected > 0 || empty) {
                let status: Vec<&str> = sources.iter().map(|row| row.at("status")).collect();
                wrong.push(format!(
                    "{}: {found} messages, {expected} expected; {status:?}",
                    file.display()
                ));
            }
        }
    }
    assert!(
        seen > 11 && wrong.is_empty(),
        "{seen} mailboxes\n{}",
        wrong.join("\n")
    );
}

/// What p7mill makes of one case.
struct Found {
    messages: Vec<Row>,
    signatures: Vec<Row>,
}

impl Found {
    fn decrypted(&self) -> bool {
        self.messages
            .iter()
            .any(|row| row.at("outcome") == "decrypted")
    }

    fn valid(&self) -> bool {
        self.messages
            .iter()
            .chain(&self.signatures)
            .any(|row| row.at("verdict") == "valid")
    }

    fn invalid(&self) -> bool {
        self.messages
            .iter()
            .chain(&self.signatures)
            .any(|row| row.at("verdict") == "invalid")
    }

    fn intact(&self) -> bool {
        self.signatures
            .iter()
            .any(|row| row.at("integrity") == "intact")
    }

    fn has_layer(&self, name: &str) -> bool {
        self.messages
            .iter()
            .any(|row| row.at("form").split(['>', ':']).any(|layer| layer == name))
    }

    fn is_smime(&self) -> bool {
        const LAYERS: [&str; 8] = [
            "clear-signed",
            "opaque-signed",
            "certs-only",
            "enveloped",
            "auth-enveloped",
            "encrypted",
            "digested",
            "compressed",
        ];
        LAYERS.iter().any(|layer| self.has_layer(layer))
    }

    fn malformed(&self) -> bool {
        self.messages
            .iter()
            .any(|row| row.at("outcome") == "malformed")
    }

    /// Nothing of it is damaged or unknown: a compressed layer was unpacked, and what it holds
    /// read; a digest held.
    fn walked(&self) -> bool {
        !self.messages.iter().any(|row| {
            ["malformed", "unsupported", "refused"].contains(&row.at("outcome"))
                || row.at("reason").starts_with("inner-")
        })
    }

    /// Whether it comes out as `expected` says, in one word of it.
    fn is(&self, expected: &str) -> bool {
        match expected {
            "decrypt-ok" => self.decrypted(),
            "verify-ok" => self.intact(),
            "chain-fail" => !self.valid(),
            "verify-fail" => self.invalid() && !self.valid(),
            "undecryptable" => !self.decrypted() && self.is_smime(),
            "certs-only" => self.has_layer("certs-only"),
            "parse-error" => self.malformed() || !self.is_smime(),
            "not-smime" => {
                !self.is_smime() && self.messages.iter().all(|row| row.at("outcome") == "plain")
            }
            "uncompress-ok" => self.has_layer("compressed") && self.walked(),
            // Named is enough for now.
            "pkcs7-encryptedData" => self.has_layer("encrypted"),
            "pkcs7-digestData" => self.has_layer("digested") && self.walked(),
            "needs-detached-content" => self.is_smime() && !self.valid() && !self.intact(),
            other => panic!("cases.tsv expects {other:?}"),
        }
    }

    /// What must never be, whatever else is still missing.
    fn forbidden(&self, expected: &str) -> Option<&'static str> {
        let words: Vec<&str> = expected.split(['+', ',']).collect();
        let closed = words
            .iter()
            .any(|w| ["undecryptable", "parse-error", "not-smime"].contains(w))
            && !words.contains(&"decrypt-ok");
        if closed && self.decrypted() {
            return Some("decrypted");
        }
        let never_valid = [
            "verify-fail",
            "chain-fail",
            "parse-error",
            "not-smime",
            "needs-detached-content",
        ];
        if words.iter().any(|w| never_valid.contains(w)) && self.valid() {
            return Some("valid");
        }
        None
    }
}

fn judge(corpora: &Path, case: &Row) -> Result<Found, String> {
    let sandbox = Sandbox::new();
    let path = corpora.join(case.at("path")).to_string_lossy().into_owned();
    let mut words = vec![
        "migrate".to_owned(),
        path,
        "--out".to_owned(),
        "OUT".to_owned(),
    ];
    let key = case.at("key_file");
    // `(pwri)`, `(password)`: no key file, but a password of the message's own.
    if key.starts_with('(') {
        sandbox.write("message-word", format!("{}\n", case.at("password")));
        words.extend(["--message-passphrase-file", "message-word"].map(str::to_owned));
    } else if !key.is_empty() {
        words.extend([
            "--keys".to_owned(),
            corpora.join(key).to_string_lossy().into_owned(),
        ]);
        if !case.at("password").is_empty() {
            sandbox.write("word", format!("{}\n", case.at("password")));
            words.extend(["--passphrase-file".to_owned(), "word".to_owned()]);
        }
    }
    // The mail around such a part names nobody, or others: whoever judges only the part has asked for
    // it to be opened.
    if case.at("scope") == "part-only" {
        words.push("--open-unaddressed".to_owned());
    }
    if !case.at("ca_file").is_empty() {
        words.extend([
            "--trust".to_owned(),
            corpora
                .join(case.at("ca_file"))
                .to_string_lossy()
                .into_owned(),
        ]);
    }
    let ran = sandbox.run(words);
    if let Some(what) = trouble(&ran) {
        return Err(what);
    }
    let report = sandbox.path().join("OUT/report");
    if !report.join("messages.csv").is_file() {
        return Err(format!(
            "no report: exit code {:?} {}",
            ran.code, ran.stderr
        ));
    }
    Ok(Found {
        messages: rows(&report.join("messages.csv")),
        signatures: rows(&report.join("signatures.csv")),
    })
}

#[test]
fn scoreboard() {
    let Some(corpora) = corpora() else { return };
    let mut by_kind: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let (mut missed, mut never, mut good, mut total) = (Vec::new(), Vec::new(), 0, 0);
    for case in tabs(&corpora.join("cases.tsv")) {
        let expected = case.at("expected");
        let (id, kind) = (case.at("id"), case.at("kind").to_owned());
        total += 1;
        let tally = by_kind.entry(kind).or_default();
        tally.1 += 1;
        match judge(&corpora, &case) {
            Err(what) => {
                missed.push(format!(
                    "{id} {} expected {expected}: {what}",
                    case.at("path")
                ));
                if !what.starts_with("no report: exit code Some(2)") {
                    never.push(format!("{id}: {what}"));
                }
            }
            Ok(found) => {
                never.extend(
                    found.forbidden(expected).map(|what| {
                        format!("{id} {}: {what}, expected {expected}", case.at("path"))
                    }),
                );
                if expected.split(['+', ',']).all(|word| found.is(word)) {
                    good += 1;
                    tally.0 += 1;
                } else {
                    let rows: Vec<String> = found
                        .messages
                        .iter()
                        .map(|r| {
                            format!(
                                "{} {} {} {}",
                                r.at("form"),
                                r.at("outcome"),
                                r.at("reason"),
                                r.at("verdict")
                            )
                        })
                        .collect();
                    let signatures: Vec<String> = found
                        .signatures
                        .iter()
                        .map(|s| format!("{} {}", s.at("integrity"), s.at("reasons")))
                        .collect();
                    missed.push(format!(
                        "{id} {} expected {expected}: {rows:?} {signatures:?}",
                        case.at("path")
                    ));
                }
            }
        }
    }
    println!("{:44} as expected", "kind");
    for (kind, (good, total)) in &by_kind {
        println!("{kind:44} {good:3} of {total:3}");
    }
    println!(
        "{:44} {good:3} of {total:3}\n\nnot as expected:\n{}",
        "all",
        missed.join("\n")
    );
    assert!(
        never.is_empty(),
        "what must never be:\n{}",
        never.join("\n")
    );
    assert!(
        good >= FLOOR,
        "{good} of {total} come out as expected, {FLOOR} did before"
    );
}
