//! What a stored certificate may be used for, and how that comes about.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::cert::{Certificate, name};

/// The standing of a certificate in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Proven by a signature; chosen for encryption.
    Usable,
    /// Kept with its evidence, never chosen.
    Quarantined,
    /// An authority.
    Ca,
    /// Named by the administrator; chosen for encryption.
    Given,
}

impl Status {
    /// The word as it stands in the store and in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usable => "usable",
            Self::Quarantined => "quarantined",
            Self::Ca => "ca",
            Self::Given => "given",
        }
    }

    /// The status of that name.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Usable, Self::Quarantined, Self::Ca, Self::Given]
            .into_iter()
            .find(|status| status.as_str() == word)
    }

    /// Whether such a certificate may be encrypted to.
    pub const fn is_choosable(self) -> bool {
        matches!(self, Self::Usable | Self::Given)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a revoked certificate is quarantined.
const REVOKED: &str = "cert-revoked";

/// The standing that the store's evidence gives a certificate, and the reasons (joined by spaces)
/// where it is quarantined. Its sightings are in the store already.
///
/// `usable` and `given`, once reached, stay: a later forgery must not take a person's certificate
/// away. Another issuer's certificate for an address that has a choosable one, with an
/// overlapping life, is quarantined however good its signature: that is what an impostor with a
/// certificate from a careless authority would send.
///
/// What its issuer `revoked` is no longer usable, and stays so: what was found in older mail
/// afterwards does not bring it back.
pub(super) fn settle(
    connection: &Connection,
    certificate: &Certificate,
    old: Option<&(Status, String, bool)>,
    revoked: bool,
    is_ca: bool,
) -> rusqlite::Result<(Status, String)> {
    let revoked = revoked
        || old.is_some_and(|(_, reasons, _)| reasons.split(' ').any(|reason| reason == REVOKED));
    match old.map(|(status, ..)| *status) {
        Some(Status::Given) => return Ok((Status::Given, String::new())),
        Some(Status::Usable) if !revoked => return Ok((Status::Usable, String::new())),
        _ => {}
    }
    let proven = connection
        .prepare_cached("SELECT 1 FROM sightings WHERE cert = ?1 AND usable = 1 LIMIT 1")?
        .exists([certificate.sha256])?;
    if !proven && is_ca {
        return Ok((Status::Ca, String::new()));
    }
    let mut reasons = BTreeSet::new();
    if !proven {
        let mut statement =
            connection.prepare_cached("SELECT DISTINCT reasons FROM sightings WHERE cert = ?1")?;
        let mut rows = statement.query([certificate.sha256])?;
        while let Some(row) = rows.next()? {
            let list: String = row.get(0)?;
            reasons.extend(list.split_ascii_whitespace().map(str::to_owned));
        }
        if reasons.is_empty() {
            // In a message, but it signed nothing there.
            reasons.insert("not-a-signer".to_owned());
        }
    }
    if certificate.is_self_signed() {
        reasons.insert("self-signed".to_owned());
    }
    if has_rival(connection, certificate)? {
        reasons.insert("conflicting-issuer".to_owned());
    }
    if revoked {
        reasons.insert(REVOKED.to_owned());
    }
    if reasons.is_empty() {
        return Ok((Status::Usable, String::new()));
    }
    Ok((
        Status::Quarantined,
        reasons.into_iter().collect::<Vec<_>>().join(" "),
    ))
}

/// Whether a choosable certificate of another issuer holds one of its addresses during its life.
fn has_rival(connection: &Connection, certificate: &Certificate) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "SELECT 1 FROM addresses JOIN certificates ON sha256 = cert
         WHERE address = ?1 AND status IN ('usable', 'given') AND sha256 <> ?2 AND issuer_key <> ?3
           AND not_before <= ?5 AND not_after >= ?4 LIMIT 1",
    )?;
    let issuer = issuer_key(certificate);
    for address in &certificate.addresses {
        let life = (certificate.not_before, certificate.not_after);
        if statement.exists(params![address, certificate.sha256, issuer, life.0, life.1])? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The issuer without its spelling.
pub(super) fn issuer_key(certificate: &Certificate) -> String {
    name::canonical(&certificate.issuer_der).unwrap_or_default()
}

/// The status that is stored, where the certificate is.
pub(super) fn stored(
    connection: &Connection,
    sha256: &[u8; 32],
) -> rusqlite::Result<Option<(Status, String, bool)>> {
    connection
        .prepare_cached("SELECT status, reasons, is_ca FROM certificates WHERE sha256 = ?1")?
        .query_row([sha256], |row| {
            let word: String = row.get(0)?;
            Ok((
                Status::parse(&word).unwrap_or(Status::Quarantined),
                row.get(1)?,
                row.get(2)?,
            ))
        })
        .optional()
}
