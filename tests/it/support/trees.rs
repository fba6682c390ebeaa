//! Folders compared and copied.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use walkdir::WalkDir;

/// A file or folder as it is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `None` for a folder.
    pub(crate) bytes: Option<Vec<u8>>,
    /// Permission bits.
    pub(crate) mode: u32,
    /// Nanoseconds since 1970.
    pub(crate) modified: i128,
}

/// Everything below a folder, by relative path; the folder itself is `""`.
pub(crate) type Tree = BTreeMap<String, Entry>;

/// Reads everything below a folder.
pub(crate) fn tree(root: &Path) -> Tree {
    let mut found = Tree::new();
    for entry in WalkDir::new(root) {
        let entry = entry.unwrap();
        let name = entry
            .path()
            .strip_prefix(root)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let meta = entry.metadata().unwrap();
        let bytes = meta.is_file().then(|| std::fs::read(entry.path()).unwrap());
        let modified = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
        found.insert(
            name,
            Entry {
                bytes,
                mode: meta.mode() & 0o7777,
                modified,
            },
        );
    }
    found
}

/// Only the files' bytes, without those that `skip` names.
pub(crate) fn files(root: &Path, skip: impl Fn(&str) -> bool) -> BTreeMap<String, Vec<u8>> {
    tree(root)
        .into_iter()
        .filter(|(name, _)| !skip(name))
        .filter_map(|(name, e)| Some((name, e.bytes?)))
        .collect()
}

/// What every two runs may differ in: the journal's own folder, and when and how the run was.
pub(crate) fn incidental(name: &str) -> bool {
    name.starts_with(".p7mill") || name == "report/run.json"
}

/// Names of files that differ, are missing (`-`) or are new (`+`).
pub(crate) fn differences(
    a: &BTreeMap<String, Vec<u8>>,
    b: &BTreeMap<String, Vec<u8>>,
) -> Vec<String> {
    let mut lines: Vec<String> = a
        .keys()
        .filter(|k| !b.contains_key(*k))
        .map(|k| format!("- {k}"))
        .collect();
    lines.extend(
        b.keys()
            .filter(|k| !a.contains_key(*k))
            .map(|k| format!("+ {k}")),
    );
    for (name, left) in a {
        if let Some(right) = b.get(name)
            && left != right
        {
            lines.push(format!("! {name}: {}", first_difference(left, right)));
        }
    }
    lines
}

fn first_difference(left: &[u8], right: &[u8]) -> String {
    let at = left
        .iter()
        .zip(right)
        .position(|(a, b)| a != b)
        .unwrap_or(left.len().min(right.len()));
    let show = |bytes: &[u8]| {
        let (from, to) = (at.saturating_sub(60), (at + 100).min(bytes.len()));
        String::from_utf8_lossy(bytes.get(from..to).unwrap_or_default())
            .escape_debug()
            .to_string()
    };
    format!(
        "{} and {} bytes, first at {at}\n    {}\n    {}",
        left.len(),
        right.len(),
        show(left),
        show(right)
    )
}

/// Copies a folder with its times and modes.
pub(crate) fn copy(from: &Path, to: &Path) {
    let done = std::process::Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status()
        .unwrap();
    assert!(done.success(), "cp {} {}", from.display(), to.display());
}
