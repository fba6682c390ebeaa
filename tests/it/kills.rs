//! Killed at every system call that changes something, and run again: as if it had been left alone.
//!
//! `strace` kills. In the suite some calls of each command, evenly; with `P7MILL_SWEEP=1` all of
//! them (docs/dev/testing.md).

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use crate::encrypt::{archive, pki};
use crate::support::Sandbox;
use crate::support::peers::{peer, traced};
use crate::support::table::rows;
use crate::support::tools::{LATER, Pki};
use crate::support::trees::{copy, differences, files, incidental, tree};

/// System calls that change a file or a name, or make a change durable.
const CHANGES: [&str; 20] = [
    "openat",
    "write",
    "pwrite64",
    "writev",
    "ftruncate",
    "fsync",
    "fdatasync",
    "syncfs",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "utimensat",
    "fchmod",
    "fchmodat",
    "chmod",
];

/// One command, what it starts from, and how its result is held against another one's.
struct Case<'a> {
    words: Vec<String>,
    code: i32,
    /// Makes what the command needs in an empty folder.
    prepare: &'a dyn Fn(&Sandbox),
    /// What must come out alike, by name.
    result: &'a dyn Fn(&Sandbox) -> BTreeMap<String, Vec<u8>>,
    /// Looks at what a killed run left.
    after_kill: &'a dyn Fn(&Sandbox),
    /// Whether --start-over is a way to go on, too.
    starts_over: bool,
}

/// A system call by its name, which of that name, and how the trace shows it.
struct Call {
    name: &'static str,
    number: usize,
    shown: String,
}

/// The calls of a run that change something below `folder`.
fn calls(trace: &str, folder: &Path) -> Vec<Call> {
    let folder = folder.to_str().unwrap();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((_, shown)) = line.trim_start().split_once(' ') else {
            continue;
        };
        let shown = shown.trim_start();
        let Some(name) = CHANGES.iter().find(|name| {
            shown
                .strip_prefix(**name)
                .is_some_and(|rest| rest.starts_with('('))
        }) else {
            continue;
        };
        let number = seen.entry(name).or_default();
        *number += 1;
        // Those that take a path have it as it was given; what is opened or written is shown whole.
        let by_path = ["rename", "mkdir", "unlink", "rmdir", "chmod"].contains(name);
        let reads = *name == "openat" && !shown.contains("O_CREAT");
        if by_path || !reads && shown.contains(folder) {
            calls.push(Call {
                name,
                number: *number,
                shown: shown.chars().take(120).collect(),
            });
        }
    }
    calls
}

impl Case<'_> {
    fn sweep(&self, what: &str, most: usize) {
        let golden = Sandbox::new();
        (self.prepare)(&golden);
        let trace = format!("trace={}", CHANGES.join(","));
        let Some(ran) = traced(&golden, &["-y", "-e", &trace], &self.words) else {
            return;
        };
        ran.expect(self.code);
        let trace = fs::read(golden.path().join("trace")).unwrap();
        let all = calls(&String::from_utf8_lossy(&trace), golden.path());
        assert!(all.len() > 20, "{what}: {} calls", all.len());
        let golden = (self.result)(&golden);
        let most = if std::env::var_os("P7MILL_SWEEP").is_some() {
            all.len()
        } else {
            most
        };
        let step = (all.len() / most).max(1);
        let mut killed = 0;
        for (at, call) in all.iter().enumerate().skip(step / 2).step_by(step) {
            killed += u32::from(self.at(call, &golden, at));
        }
        println!("{what}: killed at {killed} of {} calls", all.len());
        assert!(killed > 0);
    }

    /// Whether the run was killed there: what depends on the clock may happen elsewhere.
    fn at(&self, call: &Call, golden: &BTreeMap<String, Vec<u8>>, at: usize) -> bool {
        let sandbox = Sandbox::new();
        (self.prepare)(&sandbox);
        let inject = format!("inject={}:signal=KILL:when={}", call.name, call.number);
        let options = ["-e", &format!("trace={}", call.name), "-e", &inject];
        let ran = traced(&sandbox, &options, &self.words).unwrap();
        let when = format!("killed at {} {}: {}", call.name, call.number, call.shown);
        if ran.code.is_some_and(|code| code == self.code) {
            return false;
        }
        assert!(ran.code.is_none_or(|code| code == 137), "{when}: {ran:?}");
        (self.after_kill)(&sandbox);
        let mut words = self.words.clone();
        if self.starts_over && at.is_multiple_of(2) {
            words.push("--start-over".into());
        }
        let again = sandbox.run(&words);
        assert_eq!(again.code, Some(self.code), "{when}: {}", again.stderr);
        let wrong = differences(golden, &(self.result)(&sandbox));
        assert!(wrong.is_empty(), "{when}:\n{}", wrong.join("\n"));
        for name in tree(sandbox.path()).keys() {
            assert!(!name.ends_with(".p7mill-tmp"), "{when}: {name}");
        }
        true
    }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// Ann, Bob and Eve; a signed archive, the same encrypted, and a store that knows Ann.
struct Material {
    pki: Pki,
    ground: Sandbox,
}

impl Material {
    fn new() -> Self {
        let (pki, ground) = (pki(), Sandbox::new());
        archive(&ground);
        let keys = pki.keys_of(&["ann"]);
        let line = format!(
            "sign A --as ann@example.org --keys {} --out S --now {LATER}",
            keys.display()
        );
        ground.line(&line).expect(0);
        let material = Self { pki, ground };
        material
            .ground
            .line(&material.encrypt("S/A", "E"))
            .expect(3);
        fs::create_dir(material.ground.path().join("one")).unwrap();
        fs::copy(
            material.ground.path().join("S/A/tree/1.eml"),
            material.ground.path().join("one/1.eml"),
        )
        .unwrap();
        let line = format!(
            "harvest one --store certs.db --trust {} --now {LATER}",
            material.root()
        );
        material.ground.line(&line).expect(0);
        material
    }

    fn root(&self) -> String {
        self.pki.certificate("root").display().to_string()
    }

    fn below(&self, name: &str) -> String {
        self.ground.path().join(name).display().to_string()
    }

    fn encrypt(&self, from: &str, out: &str) -> String {
        let [bob, eve] =
            ["bob", "eve"].map(|name| self.pki.certificate(name).display().to_string());
        format!(
            "encrypt {from} --to-recipients --to {bob} --to {eve} --out {out} --now {LATER} -j 1"
        )
    }

    /// Decrypts what was encrypted, verifies what was signed, and fills the store.
    fn migrate(&self) -> String {
        format!(
            "migrate {} --keys {} --trust {} --store certs.db --out OUT --now {LATER} -j 1",
            self.below("E/A"),
            self.pki.keys_of(&["bob", "eve"]).display(),
            self.root()
        )
    }

    fn copy_store(&self, sandbox: &Sandbox) {
        copy(
            &self.ground.path().join("certs.db"),
            &sandbox.path().join("certs.db"),
        );
    }
}

/// What stands in OUT, which `check` must like.
fn checked(sandbox: &Sandbox) -> BTreeMap<String, Vec<u8>> {
    sandbox.line("check OUT").expect(0);
    files(&sandbox.path().join("OUT"), incidental)
}

#[test]
fn decrypting_and_filling_the_store_is_completed_wherever_it_was_killed() {
    let material = Material::new();
    let store = |sandbox: &Sandbox| sandbox.line("store list --store certs.db").expect(0).stdout;
    let known = material
        .ground
        .line("store list --store certs.db")
        .expect(0)
        .stdout;
    let case = Case {
        words: words(&material.migrate()),
        code: 0,
        prepare: &|sandbox| material.copy_store(sandbox),
        result: &|sandbox| {
            let mut result = checked(sandbox);
            result.insert("the store".into(), store(sandbox).into_bytes());
            result
        },
        after_kill: &|sandbox| {
            // What was committed is there, and whole.
            let listed = store(sandbox);
            for line in known.lines().filter(|line| line.contains("ann@")) {
                let certificate = line.split_whitespace().next().unwrap();
                assert!(listed.contains(certificate), "{listed}");
            }
            assert_eq!(integrity(&sandbox.path().join("certs.db")), "ok");
        },
        starts_over: true,
    };
    case.sweep("migrate", 24);
}

/// What SQLite's own check says of a store.
fn integrity(store: &Path) -> String {
    let script = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('pragma integrity_check').fetchone()[0])";
    let Some(mut python) = peer("python3") else {
        return "ok".into();
    };
    let output = python.args(["-c", script]).arg(store).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn encrypting_with_copies_for_blind_recipients_is_completed_wherever_it_was_killed() {
    let material = Material::new();
    let keys = material.pki.keys_of(&["bob", "eve"]);
    let case = Case {
        words: words(&material.encrypt(&material.below("A"), "OUT")),
        code: 3,
        prepare: &|_| {},
        // Ciphertext is new each time: what it holds, and what the reports say beside its hashes.
        result: &|sandbox| {
            checked(sandbox);
            let line = format!(
                "decrypt OUT/A --keys {} --out PLAIN --no-originals --now {LATER}",
                keys.display()
            );
            sandbox.line(&line).expect(0);
            let mut texts: Vec<Vec<u8>> = files(&sandbox.path().join("PLAIN/A"), |_| false)
                .into_values()
                .collect();
            texts.sort();
            fs::remove_dir_all(sandbox.path().join("PLAIN")).unwrap();
            let mut result: BTreeMap<String, Vec<u8>> = texts
                .into_iter()
                .enumerate()
                .map(|(number, text)| (format!("text {number}"), text))
                .collect();
            for row in rows(&sandbox.path().join("OUT/report/messages.csv")) {
                let told = ["outcome", "reason", "form", "out_mailbox", "out_ordinal"]
                    .map(|c| row.at(c).to_owned());
                let name = format!("{} {}", row.at("mailbox"), row.at("ordinal"));
                result.insert(name, told.join(" ").into_bytes());
            }
            result
        },
        after_kill: &|sandbox| {
            // Not even for a moment is anything readable there.
            for (name, bytes) in files(&sandbox.path().join("OUT"), |name| {
                name.starts_with("originals")
            }) {
                assert!(
                    !String::from_utf8_lossy(&bytes).contains("figurehead"),
                    "{name}"
                );
            }
        },
        starts_over: true,
    };
    case.sweep("encrypt", 24);
}

#[test]
fn putting_originals_back_is_completed_wherever_it_was_killed() {
    let material = Material::new();
    let line = material.migrate().replace("--store certs.db", "");
    material.ground.line(&line).expect(0);
    let case = Case {
        words: words("restore OUT"),
        code: 0,
        prepare: &|sandbox| {
            copy(
                &material.ground.path().join("OUT"),
                &sandbox.path().join("OUT"),
            );
        },
        result: &checked,
        after_kill: &|_| {},
        starts_over: false,
    };
    case.sweep("restore", 16);
}

#[test]
fn reports_elsewhere_are_completed_wherever_their_run_was_killed() {
    let material = Material::new();
    let case = Case {
        words: words(&format!(
            "scan {} --report R --now {LATER} -j 1",
            material.below("E/A")
        )),
        code: 0,
        prepare: &|_| {},
        result: &|sandbox| files(&sandbox.path().join("R"), |name| name == "run.json"),
        after_kill: &|_| {},
        starts_over: false,
    };
    case.sweep("scan", 10);
}
