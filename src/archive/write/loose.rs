//! Writes messages as files of their own in a folder: `000001.eml`, in order.

use std::path::{Path, PathBuf};

use super::{OnContent, write_message};
use crate::archive::{Kind, RawMessage};
use crate::error::Result;
use crate::fsio;

/// A folder that is being filled.
#[derive(Debug)]
pub(super) struct Loose {
    place: PathBuf,
    /// Written, without their names yet.
    pending: Vec<fsio::Pending>,
}

/// The name of a message by its number.
pub(crate) fn name(ordinal: u64) -> String {
    format!("{ordinal:06}.eml")
}

impl Loose {
    pub(super) fn open(place: &Path) -> Result<Self> {
        fsio::create_dir_all(place)?;
        Ok(Self {
            place: place.to_path_buf(),
            pending: Vec::new(),
        })
    }

    pub(super) fn append(
        &mut self,
        ordinal: u64,
        raw: &RawMessage,
        on_content: OnContent<'_>,
    ) -> Result<(PathBuf, u64)> {
        let name = PathBuf::from(name(ordinal));
        let place = self.place.join(&name);
        let mut pending = fsio::Pending::create(&place)?;
        if let Some(modified) = raw.meta.modified {
            pending.set_modified(modified);
        }
        let mut failed = None;
        let mut bytes = 0;
        let written = pending.write(|out| {
            match write_message(out, &place, raw, Kind::Eml, None, on_content) {
                Ok(size) => bytes = size.content,
                Err(error) => failed = Some(error),
            }
            Ok(())
        });
        failed.map_or(written, Err)?;
        pending.close()?;
        self.pending.push(pending);
        Ok((name, bytes))
    }

    pub(super) fn sync(&mut self) -> Result<()> {
        self.pending.drain(..).try_for_each(fsio::Pending::finish)
    }
}

/// Where the messages of a folder that was written lie, `messages` of them.
pub(crate) fn files(place: &Path, messages: u64) -> impl Iterator<Item = PathBuf> {
    (1..=messages).map(move |ordinal| place.join(name(ordinal)))
}
