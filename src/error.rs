//! What ends a run. What is wrong with *one message* is data (an outcome and a reason in a row),
//! never an [`Error`].

use std::io;
use std::path::{Path, PathBuf};

/// The result of anything that can end a run.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a run ended before its work was done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An operation on a file failed; `action` is a verb phrase such as `read` or `create`.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The command line, or what it names, is not usable as given.
    #[error("{0}")]
    Usage(String),
    /// The one key that a command needs stays locked.
    #[error("{0}")]
    Locked(String),
    /// Another run holds the output folder or the store.
    #[error("{path} is in use by another run of p7mill", path = .0.display())]
    Busy(PathBuf),
    /// The certificate store could not be read or written.
    #[error("certificate store {path}: {source}", path = path.display())]
    Store {
        /// The store's file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// OpenSSL failed at something that hostile mail cannot cause.
    #[error("OpenSSL: {0}")]
    OpenSsl(#[from] openssl::error::ErrorStack),
    /// A file p7mill wrote itself is not what it wrote.
    #[error("{path} is damaged: {what}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        what: String,
    },
    /// A signal asked the run to stop; it can be continued.
    #[error("interrupted; run the same command again to continue")]
    Interrupted(i32),
}

impl Error {
    /// Wraps an I/O error with what was done to which file.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// The process exit code (contract: 1 failed, 2 usage, 11 busy, 12 locked, 128 + signal interrupted).
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Busy(_) => 11,
            Self::Locked(_) => 12,
            Self::Interrupted(signal) => u8::try_from(128 + signal).unwrap_or(130),
            _ => 1,
        }
    }
}
