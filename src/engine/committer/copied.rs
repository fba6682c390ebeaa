//! Files that are not mail.

use super::Committer;
use crate::archive::discover::why_unreadable;
use crate::archive::{FileStatus, SourceFile, copy_file};
use crate::crypto::digest::{Digest, Hasher};
use crate::engine::proof;
use crate::error::{Error, Result};
use crate::report::record::{FileRecord, LEFT_OUT};
use crate::text::hex;

impl Committer<'_> {
    /// Copies what is to be copied; gives its row in sources.csv.
    pub(super) fn copy(&self, file: &SourceFile) -> Result<FileRecord> {
        let mut record = FileRecord {
            path: file.name.clone(),
            kind: file.kind.clone(),
            bytes: file.bytes,
            sha256: String::new(),
            messages: 0,
            status: match file.status {
                FileStatus::Read | FileStatus::Unpacked(None) => "read".into(),
                FileStatus::Copied => "copied".into(),
                FileStatus::Skipped(why) | FileStatus::Unpacked(Some(why)) => {
                    format!("skipped: {why}")
                }
                FileStatus::Dropped(why) => format!("dropped: {why}"),
            },
            failed: matches!(
                file.status,
                FileStatus::Skipped(_) | FileStatus::Unpacked(Some(_))
            ),
            out: None,
        };
        let withholds = self.output.as_ref().is_some_and(|output| output.withholds);
        if withholds && let Some(why) = file.may_be_mail() {
            record.status = format!("{LEFT_OUT}: {why}");
            record.failed = true;
            return Ok(record);
        }
        if !file.is_copied() {
            let is_read = matches!(file.status, FileStatus::Unpacked(_) | FileStatus::Read);
            // What was left behind never comes back: its hash says what it was, where it can be read.
            let is_gone = matches!(file.status, FileStatus::Dropped(_));
            if self.hash && (is_read || is_gone) {
                match proof::hash_source(&file.origin) {
                    Err(_) if is_gone => {}
                    sha256 => record.sha256 = sha256?,
                }
            }
            return Ok(record);
        }
        let mut hasher = Hasher::new(Digest::Sha256);
        match &self.output {
            Some(output) => {
                match copy_file(&output.layout.out, file, &mut |bytes| hasher.update(bytes)) {
                    Ok(bytes) => {
                        record.bytes = bytes;
                        record.out = Some(file.name.clone());
                    }
                    Err(Error::Io {
                        action: "read" | "open",
                        path,
                        source,
                    }) if path == file.origin.path() => {
                        record.status = format!("skipped: {}", why_unreadable(source.kind()));
                        record.failed = true;
                        return Ok(record);
                    }
                    Err(error) => return Err(error),
                }
            }
            None if self.hash => match proof::hash_source(&file.origin) {
                Ok(sha256) => record.sha256 = sha256,
                Err(_) => record.failed = true,
            },
            // Where nothing is written, the status is what a run that writes would do.
            None => {}
        }
        if self.output.is_some() {
            record.sha256 = hex(&hasher.finish());
        }
        Ok(record)
    }
}
