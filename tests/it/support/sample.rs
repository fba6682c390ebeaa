//! The sample, migrated once by the README's first command; every test that only looks shares it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::trees::{self, Tree};
use super::{Ran, Sandbox, repository};

/// A folder in which the README's first command has run.
pub(crate) struct Migrated {
    /// Where it ran: `sample-data` and `OUT` lie here.
    pub(crate) sandbox: Sandbox,
    /// What it printed.
    pub(crate) ran: Ran,
    /// The sample before it ran.
    pub(crate) before: Tree,
}

impl Migrated {
    /// The output folder.
    pub(crate) fn out(&self) -> PathBuf {
        self.sandbox.path().join("OUT")
    }

    /// A report by name.
    pub(crate) fn report(&self, name: &str) -> PathBuf {
        self.out().join("report").join(name)
    }
}

/// A folder with a copy of the sample in it, ready for a command.
pub(crate) fn fresh() -> Sandbox {
    let sandbox = Sandbox::new();
    trees::copy(
        &repository().join("sample-data"),
        &sandbox.path().join("sample-data"),
    );
    sandbox
}

/// The words after `p7mill` of the first command in the README that migrates the sample.
pub(crate) fn first_command() -> Vec<String> {
    let readme = std::fs::read_to_string(repository().join("README.md")).expect("README.md");
    let joined = readme.replace("\\\n", " ");
    let line = joined
        .lines()
        .find(|line| line.contains(" migrate sample-data/archive"))
        .expect("README.md shows a command that migrates sample-data/archive");
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    assert!(
        words.contains(&"OUT".to_owned()),
        "this suite looks for the result in OUT: {line}"
    );
    words
        .into_iter()
        .skip_while(|word| word != "migrate")
        .collect()
}

/// The sample, migrated by the README's first command.
pub(crate) fn migrated() -> &'static Migrated {
    static ONCE: OnceLock<Migrated> = OnceLock::new();
    ONCE.get_or_init(|| {
        let sandbox = fresh();
        let before = trees::tree(&sandbox.path().join("sample-data"));
        let ran = sandbox.run(first_command());
        Migrated {
            sandbox,
            ran,
            before,
        }
    })
}

/// A copy of the migrated sample's folder that a test may spoil.
pub(crate) fn spoilable() -> Sandbox {
    let sandbox = Sandbox::new();
    for entry in std::fs::read_dir(migrated().sandbox.path()).expect("the migrated sample") {
        let entry = entry.expect("an entry");
        trees::copy(&entry.path(), &sandbox.path().join(entry.file_name()));
    }
    sandbox
}

/// The file of a Maildir (or a file itself) that holds a message: Maildirs are read by epoch and
/// name over `cur` and `new`, compressed files left out.
pub(crate) fn maildir_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = ["cur", "new"]
        .iter()
        .filter_map(|sub| std::fs::read_dir(folder.join(sub)).ok())
        .flatten()
        .map(|entry| entry.expect("an entry").path())
        .filter(|file| {
            !std::fs::read(file)
                .expect("a message")
                .starts_with(&[0x04, 0x22, 0x4d, 0x18])
        })
        .collect();
    files.sort_by_key(|file| {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        (
            name.split('.')
                .next()
                .and_then(|epoch| epoch.parse::<u64>().ok())
                .unwrap_or_default(),
            name,
        )
    });
    files
}
