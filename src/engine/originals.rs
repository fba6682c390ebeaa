//! Changed messages as they were: `OUT/originals/ab/<sha256>.eml`, named by their content.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::layout::{Layout, ORIGINALS, walk_error};
use crate::archive::Content;
use crate::error::{Error, Result};
use crate::fsio::{self, Sum};

/// Keeps originals; each is durable once [`Originals::sync`] has returned.
#[derive(Debug)]
pub(super) struct Originals {
    out: PathBuf,
    /// Written under a temporary name.
    pending: BTreeMap<PathBuf, Sum>,
}

/// Where the original with this SHA-256 (lower-case hex) lies, below OUT.
pub(super) fn name(sha256: &str) -> String {
    format!(
        "{ORIGINALS}/{}/{sha256}.eml",
        sha256.get(..2).unwrap_or_default()
    )
}

/// Whether this is the SHA-256 that an original can be named by.
fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Where the original lies that the journal names by this SHA-256.
pub(super) fn find(layout: &Layout, sha256: &str) -> Result<PathBuf> {
    if is_sha256(sha256) {
        Ok(layout.out.join(name(sha256)))
    } else {
        Err(Error::Damaged {
            path: layout.journal(),
            what: "it names an original by what is no SHA-256".into(),
        })
    }
}

impl Originals {
    pub(super) fn new(out: &Path) -> Self {
        Self {
            out: out.to_path_buf(),
            pending: BTreeMap::new(),
        }
    }

    /// Keeps a message whose SHA-256 this is. One that is there already, whole, is success.
    pub(super) fn keep(&mut self, sha256: &str, content: &Content) -> Result<()> {
        let place = self.out.join(name(sha256));
        let there = std::fs::symlink_metadata(&place)
            .is_ok_and(|found| found.is_file() && found.len() == content.len())
            && super::proof::hash_file(&place)? == sha256;
        if there || self.pending.contains_key(&place) {
            return Ok(());
        }
        fsio::create_dir_all(place.parent().unwrap_or(&self.out))?;
        let temp = fsio::temp_beside(&place);
        // Pending from here on, so that it is removed if anything below fails.
        let sum = self.pending.entry(place).or_default();
        let mut file = fsio::create(&temp)?;
        content.each_piece(&mut |piece| {
            sum.add(piece);
            file.write_all(piece).map_err(Error::io("write", &temp))
        })
    }

    /// Makes everything kept so far durable, reads it back, and gives it its name.
    pub(super) fn sync(&mut self) -> Result<()> {
        let mut folders = BTreeSet::new();
        for (place, sum) in &self.pending {
            let temp = fsio::temp_beside(place);
            fsio::sync_file(&temp)?;
            sum.require(&temp)?;
            fsio::rename(&temp, place)?;
            folders.extend(place.parent());
        }
        for folder in folders {
            fsio::sync_dir(folder)?;
        }
        self.pending.clear();
        Ok(())
    }
}

impl Drop for Originals {
    fn drop(&mut self) {
        for place in self.pending.keys() {
            let _ = fsio::remove(&fsio::temp_beside(place));
        }
    }
}

/// Every original below `out`, sorted: its SHA-256.
pub(super) fn list(out: &Path) -> Result<Vec<String>> {
    let base = out.join(ORIGINALS);
    let mut found = Vec::new();
    if !base.is_dir() {
        return Ok(found);
    }
    for entry in walkdir::WalkDir::new(&base).min_depth(2).max_depth(2) {
        let entry = entry.map_err(|e| walk_error(&base, e))?;
        let sha256 = entry
            .file_name()
            .to_str()
            .and_then(|name| name.strip_suffix(".eml"));
        if let Some(sha256) = sha256.filter(|hash| is_sha256(hash) && entry.file_type().is_file()) {
            found.push(sha256.to_owned());
        }
    }
    found.sort_unstable();
    Ok(found)
}
