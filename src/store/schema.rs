//! The tables, and which version of them a file holds.

use std::path::Path;

use rusqlite::Connection;

use super::failure;
use crate::error::{Error, Result};

/// Marks a SQLite file as p7mill's (`PRAGMA application_id`): "p7ml".
const APPLICATION_ID: i32 = 0x7037_6d6c;
/// The version of the tables below (`PRAGMA user_version`).
const VERSION: i32 = 2;

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
    reasons    TEXT NOT NULL,  -- joined by spaces
    capabilities    BLOB,      -- SMIMECapabilities of the owner's latest proven signature
    capabilities_at INTEGER    -- when that was made, as it claims
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

/// Brings a file of version 1 to the present one: what version 1 did not keep is empty.
const FROM_VERSION_1: &str = "
ALTER TABLE certificates ADD COLUMN capabilities BLOB;
ALTER TABLE certificates ADD COLUMN capabilities_at INTEGER;
";

/// Sets the connection up and makes the tables in an empty file; refuses a file that is another
/// program's or a later version's. Gives the version of the tables: a file of an earlier one is left
/// as it is, since it may only be read.
pub(super) fn prepare(connection: &Connection, path: &Path) -> Result<i32> {
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
        (APPLICATION_ID, known @ 1..=VERSION, _) => Ok(known),
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
            .map_err(fail)
            .map(|()| VERSION),
        _ => Err(Error::Usage(format!(
            "{}: a SQLite file of another program",
            path.display()
        ))),
    }
}

/// Brings the tables of version `known` to the present one, all or nothing.
pub(super) fn migrate(connection: &Connection, known: i32) -> rusqlite::Result<i32> {
    if known == 1 {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {FROM_VERSION_1} PRAGMA user_version = {VERSION}; COMMIT;"
        ))?;
    }
    Ok(VERSION)
}

/// Whether tables of version `known` keep capabilities.
pub(super) fn keeps_capabilities(known: i32) -> bool {
    known >= 2
}
