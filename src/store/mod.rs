//! The certificate store: one SQLite file of certificates, the messages they were seen in, and
//! which of them may be used.
//!
//! A certificate is `usable` only by an intact signature whose address is the sender's, with a
//! trusted chain. Everything else is kept with its reason and never chosen.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, Result};
use crate::fsio;

pub mod export;
mod insert;
mod list;
mod schema;
mod select;
mod status;

pub use insert::{Inserted, Sighting};
pub use list::{Filter, StoredCertificate, StoredSighting};
pub use select::{Candidate, Choice, Refused};
pub use status::Status;

/// An open store. Only one run at a time holds a store.
pub struct Store {
    // Fields drop in this order: the lock outlives the connection.
    connection: Connection,
    path: PathBuf,
    _lock: fsio::Lock,
}

impl Store {
    /// Opens the store at `path`; with `create`, makes an empty one (mode 0600) where there is
    /// none.
    ///
    /// # Errors
    /// [`Error::Busy`] where another run holds it, [`Error::Usage`] where there is none, or it is
    /// not p7mill's, or a newer p7mill's; [`Error::Damaged`] where SQLite cannot read it.
    pub fn open(path: &Path, create: bool) -> Result<Self> {
        let exists = path.exists();
        if !exists && !create {
            return Err(Error::Usage(format!(
                "{}: there is no such certificate store",
                path.display()
            )));
        }
        if path.is_dir() {
            return Err(Error::Usage(format!(
                "{}: a folder, where a certificate store is a file",
                path.display()
            )));
        }
        // SQLite locks byte ranges and this locks the file: they do not meet, nothing stray is
        // left beside the store, and the file is made here, with its mode.
        let lock = fsio::Lock::take(path, path)?;
        if !exists {
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            fsio::sync_dir(parent.unwrap_or(Path::new(".")))?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(path, flags).map_err(|source| failure(path, source))?;
        let store = Self {
            connection,
            path: path.to_path_buf(),
            _lock: lock,
        };
        schema::prepare(&store.connection, path)?;
        Ok(store)
    }

    /// The store's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn wrap<T>(&self, result: rusqlite::Result<T>) -> Result<T> {
        result.map_err(|source| failure(&self.path, source))
    }
}

/// What an error of SQLite's means for the run.
fn failure(path: &Path, source: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, DatabaseLocked, NotADatabase};
    match source.sqlite_error_code() {
        Some(NotADatabase) => Error::Usage(format!("{}: not a certificate store", path.display())),
        Some(DatabaseBusy | DatabaseLocked) => Error::Busy(path.to_path_buf()),
        Some(DatabaseCorrupt) => Error::Damaged {
            path: path.to_path_buf(),
            what: format!("{source}; restore a copy, or name a new --store and harvest again"),
        },
        _ => Error::Store {
            path: path.to_path_buf(),
            source,
        },
    }
}
