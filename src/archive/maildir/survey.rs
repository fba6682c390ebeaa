//! What a Maildir holds beside its messages.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::{HIDDEN, MAGIC_BYTES, TEMPORARY, UNDELIVERED, is_hidden, unwrapped};
use crate::archive::discover::{FileStatus, SourceFile, kind_of, special, why_unreadable};
use crate::archive::{Origin, source};
use crate::limits::Limits;
use crate::text::escape_path;

/// What a Maildir holds beside its messages.
pub(in crate::archive) struct Survey {
    /// Files that are no messages.
    pub(in crate::archive) files: Vec<SourceFile>,
    /// Folders where only files belong; they are walked as any other.
    pub(in crate::archive) folders: Vec<(PathBuf, String)>,
    /// The size of all messages.
    pub(in crate::archive) bytes: u64,
}

/// Looks at every file in a Maildir once, to tell messages from what is none.
pub(in crate::archive) fn survey(path: &Path, name: &str, limits: &Limits) -> Survey {
    let mut survey = Survey {
        files: Vec::new(),
        folders: Vec::new(),
        bytes: 0,
    };
    for folder in ["cur", "new", "tmp"] {
        let dir = path.join(folder);
        let child_name =
            |file: &std::ffi::OsStr| format!("{name}/{folder}/{}", escape_path(Path::new(file)));
        let names = match names_in(&dir) {
            Ok(names) => names,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => {
                survey.files.push(SourceFile {
                    name: format!("{name}/{folder}"),
                    origin: Origin::file(dir),
                    kind: "unreadable".into(),
                    bytes: 0,
                    status: FileStatus::Skipped(why_unreadable(e.kind())),
                });
                continue;
            }
        };
        let seen: Vec<_> = names
            .into_par_iter()
            .map(|file| (look(&dir.join(&file), &file, folder, limits), file))
            .collect();
        for (look, file) in seen {
            let (kind, bytes, status) = match look {
                Look::Message(bytes) => {
                    survey.bytes += bytes;
                    continue;
                }
                Look::Folder => {
                    survey.folders.push((dir.join(&file), child_name(&file)));
                    continue;
                }
                Look::Other(kind, bytes, status) => (kind, bytes, status),
            };
            let (name, path) = (child_name(&file), dir.join(&file));
            survey.files.push(SourceFile {
                name,
                origin: Origin::file(path),
                kind: kind.into(),
                bytes,
                status,
            });
        }
    }
    survey
}

enum Look {
    Message(u64),
    Folder,
    Other(&'static str, u64, FileStatus),
}

fn look(path: &Path, file: &std::ffi::OsStr, folder: &str, limits: &Limits) -> Look {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        // Renamed since it was listed: the reader finds it again, or says that it is gone.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Look::Message(0),
        Err(e) => {
            return Look::Other(
                "unreadable",
                0,
                FileStatus::Skipped(why_unreadable(e.kind())),
            );
        }
    };
    if metadata.is_dir() {
        return Look::Folder;
    }
    if let Some((kind, why)) = special(metadata.file_type()) {
        return Look::Other(kind, 0, FileStatus::Skipped(why));
    }
    if folder == "tmp" {
        return Look::Other(TEMPORARY, metadata.len(), FileStatus::Dropped(UNDELIVERED));
    }
    if is_hidden(file) {
        return Look::Other(HIDDEN, metadata.len(), FileStatus::Copied);
    }
    let looked = source::head(path, MAGIC_BYTES)
        .and_then(|(head, bytes)| Ok((unwrapped(path, &head, limits)?, bytes)));
    match looked {
        Ok((Err((kind, why)), bytes)) => Look::Other(kind, bytes, FileStatus::Skipped(why)),
        Ok((Ok(_), bytes)) => Look::Message(bytes),
        Err(e) if kind_of(&e) == io::ErrorKind::NotFound => Look::Message(0),
        Err(e) => Look::Other(
            "unreadable",
            metadata.len(),
            FileStatus::Skipped(why_unreadable(kind_of(&e))),
        ),
    }
}

fn names_in(dir: &Path) -> io::Result<Vec<OsString>> {
    std::fs::read_dir(dir)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect()
}
