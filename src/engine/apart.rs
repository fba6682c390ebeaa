//! Sources are only read: whether outputs lie apart from them, and from each other.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Refuses a folder for output that lies in a source, or holds one.
pub fn refuse_overlap(sources: &[PathBuf], what: &str, place: &Path) -> Result<()> {
    refuse_inside(sources, what, place)?;
    let place_real = real(place)?;
    match sources
        .iter()
        .find(|source| real(source).is_ok_and(|source| source.starts_with(&place_real)))
    {
        Some(source) => Err(apart(what, place, source)),
        None => Ok(()),
    }
}

/// Refuses a place for output that lies in one of `folders`.
pub fn refuse_inside(folders: &[PathBuf], what: &str, place: &Path) -> Result<()> {
    let place_real = real(place)?;
    match folders
        .iter()
        .find(|folder| real(folder).is_ok_and(|folder| place_real.starts_with(folder)))
    {
        Some(folder) => Err(apart(what, place, folder)),
        None => Ok(()),
    }
}

fn apart(what: &str, place: &Path, other: &Path) -> Error {
    Error::Usage(format!(
        "{what} {} and {} must lie apart",
        place.display(),
        other.display()
    ))
}

/// The absolute path without links, of a path whose last parts may not exist yet.
fn real(path: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(path).map_err(Error::io("resolve", path))?;
    let mut missing = Vec::new();
    let mut at = path.as_path();
    loop {
        match std::fs::canonicalize(at) {
            Ok(real) => {
                return Ok(missing
                    .iter()
                    .rev()
                    .fold(real, |path, name| path.join(name)));
            }
            Err(_) => match (at.file_name(), at.parent()) {
                (Some(name), Some(parent)) => {
                    missing.push(name.to_os_string());
                    at = parent;
                }
                _ => return Ok(path),
            },
        }
    }
}
