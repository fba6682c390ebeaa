//! Putting certificates and their evidence into the store.

use std::sync::Arc;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::status::{Status, issuer_key, settle, stored};
use super::{Store, failure, schema};
use crate::cert::Certificate;
use crate::error::Result;
use crate::ops::outcome::Reason;
use crate::text;

/// A certificate seen in a message, and what the message says for or against it.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// The certificate's SHA-256.
    pub cert_sha256: [u8; 32],
    /// SHA-256 of the message as stored: the same message counts once, however often it is read.
    pub message_sha256: [u8; 32],
    /// Without angle brackets.
    pub message_id: String,
    /// The message's date, Unix seconds.
    pub date: Option<i64>,
    /// An intact signature, the sender's address, and a trusted chain.
    pub usable: bool,
    /// Why not, where it is not.
    pub reasons: Vec<Reason>,
    /// Whether a revocation list says now that the certificate is revoked, whatever it was then.
    pub revoked: bool,
    /// What the signer's program said it reads.
    pub capabilities: Option<SaidCapabilities>,
}

/// `SMIMECapabilities` as a signature says them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaidCapabilities {
    /// The attribute's value, DER.
    pub der: Vec<u8>,
    /// When the signature was made, as it claims; Unix seconds.
    pub at: i64,
}

/// What an insertion changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inserted {
    /// Certificates that the store did not hold.
    pub new: usize,
    /// Certificates that it held, and now has more evidence of or another status for.
    pub updated: usize,
}

impl Store {
    /// Adds certificates with their sightings, all or none; `bool` is whether the certificate is
    /// to be taken for an authority, beside what it says itself.
    ///
    /// A sighting that is known changes nothing, unless it is usable now and was not before: a
    /// rerun counts nothing twice. Of two rival certificates the first in the batch wins (see
    /// [`Status`]), so the batch must be in archive order. What is stored is never overwritten.
    pub fn insert(
        &mut self,
        batch: &[(Arc<Certificate>, Vec<Sighting>, bool)],
    ) -> Result<Inserted> {
        self.transact(|transaction| {
            let mut inserted = Inserted::default();
            for (certificate, sightings, is_ca) in batch {
                let old = stored(transaction, &certificate.sha256)?;
                let revoked = sightings
                    .iter()
                    .any(|s| s.cert_sha256 == certificate.sha256 && s.revoked);
                let is_ca =
                    *is_ca || certificate.is_ca || old.as_ref().is_some_and(|(.., is_ca)| *is_ca);
                if old.is_none() {
                    add(transaction, certificate, is_ca)?;
                }
                let mut changed = 0;
                for sighting in sightings
                    .iter()
                    .filter(|s| s.cert_sha256 == certificate.sha256)
                {
                    changed += see(transaction, sighting)? + learn(transaction, sighting)?;
                }
                let (status, reasons) =
                    settle(transaction, certificate, old.as_ref(), revoked, is_ca)?;
                let same = old.as_ref() == Some(&(status, reasons.clone(), is_ca));
                if !same {
                    set(transaction, certificate, status, &reasons, is_ca)?;
                }
                match old {
                    None => inserted.new += 1,
                    Some(_) if changed > 0 || !same => inserted.updated += 1,
                    Some(_) => {}
                }
            }
            Ok(inserted)
        })
    }

    /// Adds certificates that the administrator named (those beside the keys, above all). They
    /// may be encrypted to without further evidence; authorities among them stay authorities.
    pub fn insert_given(&mut self, certificates: &[Arc<Certificate>]) -> Result<Inserted> {
        self.transact(|transaction| {
            let mut inserted = Inserted::default();
            for certificate in certificates {
                let status = if certificate.is_ca {
                    Status::Ca
                } else {
                    Status::Given
                };
                match stored(transaction, &certificate.sha256)? {
                    None => {
                        add(transaction, certificate, certificate.is_ca)?;
                        inserted.new += 1;
                    }
                    Some((Status::Quarantined, ..)) if status == Status::Given => {
                        inserted.updated += 1;
                    }
                    Some(_) => continue,
                }
                set(transaction, certificate, status, "", certificate.is_ca)?;
            }
            Ok(inserted)
        })
    }

    pub(super) fn transact<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let path = &self.path;
        self.version = schema::migrate(&self.connection, self.version)
            .map_err(|source| failure(path, source))?;
        let connection = &mut self.connection;
        let run = || {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        run().map_err(|source| failure(path, source))
    }
}

/// Adds the certificate itself, quarantined until its status is settled.
fn add(connection: &Connection, certificate: &Certificate, is_ca: bool) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO certificates (sha256, der, subject, issuer, issuer_key, serial, ski, not_before, not_after,
                                       is_ca, status, reasons)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'quarantined', '')",
        )?
        .execute(params![
            certificate.sha256,
            &*certificate.der,
            certificate.subject,
            certificate.issuer,
            issuer_key(certificate),
            certificate.serial_hex(),
            certificate.ski.as_deref().map(text::hex),
            certificate.not_before,
            certificate.not_after,
            is_ca,
        ])?;
    let mut statement = connection.prepare_cached(
        "INSERT OR IGNORE INTO addresses (cert, address, position) VALUES (?1, ?2, ?3)",
    )?;
    for (position, address) in (0_i64..).zip(&certificate.addresses) {
        statement.execute(params![certificate.sha256, address, position])?;
    }
    Ok(())
}

/// Adds a sighting; 1 where that changed anything.
fn see(connection: &Connection, sighting: &Sighting) -> rusqlite::Result<usize> {
    let reasons = sighting.reasons.join(" ");
    connection
        .prepare_cached(
            "INSERT INTO sightings (cert, message_sha256, message_id, date, usable, reasons)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (cert, message_sha256) DO UPDATE SET usable = excluded.usable, reasons = excluded.reasons
             WHERE excluded.usable > sightings.usable",
        )?
        .execute(params![
            sighting.cert_sha256,
            sighting.message_sha256,
            sighting.message_id,
            sighting.date,
            sighting.usable,
            reasons,
        ])
}

/// Keeps what a proven signature says of its signer's program, if it is the latest that does; 1 where
/// that changed anything. Of two at one time the greater stays: the order of reading decides nothing.
fn learn(connection: &Connection, sighting: &Sighting) -> rusqlite::Result<usize> {
    let Some(said) = sighting.capabilities.as_ref().filter(|_| sighting.usable) else {
        return Ok(0);
    };
    connection
        .prepare_cached(
            "UPDATE certificates SET capabilities = ?2, capabilities_at = ?3
             WHERE sha256 = ?1
               AND (capabilities_at IS NULL OR (?3, ?2) > (capabilities_at, capabilities))",
        )?
        .execute(params![sighting.cert_sha256, said.der, said.at])
}

fn set(
    connection: &Connection,
    certificate: &Certificate,
    status: Status,
    reasons: &str,
    is_ca: bool,
) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "UPDATE certificates SET status = ?2, reasons = ?3, is_ca = ?4 WHERE sha256 = ?1",
        )?
        .execute(params![certificate.sha256, status.as_str(), reasons, is_ca])
}
