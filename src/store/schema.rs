//! The tables, and which version of them a file holds.

use std::path::Path;

use rusqlite::Connection;

use super::failure;
use crate::error::{Error, Result};

/// Marks a SQLite file as p7mill's (`PRAGMA application_id`): "p7ml".
const APPLICATION_ID: i32 = 0x7037_6d6c;
/// The version of the tables below (`PRAGMA user_version`).
const VERSION: i32 = 1;

const TABLES: &str = "
CREATE TABLE certificates (
    sha256     BLOB PRIMARY KEY NOT NULL CHECK (length(sha256) = 32),
    der        BLOB NOT NULL,
    subject    TEXT NOT NULL,
    issuer     TEXT NOT NULL,
    issuer_key TEXT NOT NULL,  -- the issuer without its spelling, to be compared
    serial     TEXT NOT NULL,
    ski        TEXT,
    not_before INTEGER NOT NULL,
    not_after  INTEGER NOT NULL,
    is_ca      INTEGER NOT NULL,
    status     TEXT NOT NULL CHECK (status IN ('usable', 'quarantined', 'ca', 'given')),
    reasons    TEXT NOT NULL   -- joined by spaces
) STRICT;
CREATE TABLE addresses (
    cert     BLOB NOT NULL REFERENCES certificates (sha256) ON DELETE CASCADE,
    address  TEXT NOT NULL COLLATE NOCASE,
    position INTEGER NOT NULL,
    PRIMARY KEY (cert, address)
) STRICT, WITHOUT ROWID;
CREATE INDEX addresses_by_address ON addresses (address);
CREATE TABLE sightings (
    cert           BLOB NOT NULL REFERENCES certificates (sha256) ON DELETE CASCADE,
    message_sha256 BLOB NOT NULL CHECK (length(message_sha256) = 32),
    message_id     TEXT NOT NULL,
    date           INTEGER,
    usable         INTEGER NOT NULL,
    reasons        TEXT NOT NULL,
    PRIMARY KEY (cert, message_sha256)
) STRICT, WITHOUT ROWID;
";

/// Sets the connection up and makes the tables in an empty file; refuses a file that is another
/// program's or a later version's.
pub(super) fn prepare(connection: &Connection, path: &Path) -> Result<()> {
    let fail = |source| failure(path, source);
    connection
        .execute_batch(
            "PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; \
             PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;",
        )
        .map_err(fail)?;
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i32>(0));
    let application = number("PRAGMA application_id").map_err(fail)?;
    let version = number("PRAGMA user_version").map_err(fail)?;
    let objects = number("SELECT count(*) FROM sqlite_schema").map_err(fail)?;
    match (application, version, objects) {
        (APPLICATION_ID, VERSION, _) => Ok(()),
        (APPLICATION_ID, newer, _) => Err(Error::Usage(format!(
            "{}: a certificate store of version {newer}, and this p7mill knows version {VERSION}; use the p7mill that \
             wrote it, or a later one",
            path.display()
        ))),
        (0, 0, 0) => connection
            .execute_batch(&format!(
                "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION_ID}; \
                 PRAGMA user_version = {VERSION}; COMMIT;"
            ))
            .map_err(fail),
        _ => Err(Error::Usage(format!(
            "{}: a SQLite file of another program",
            path.display()
        ))),
    }
}
