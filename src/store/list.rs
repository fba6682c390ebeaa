//! Reading the store: what it holds, and the evidence for it.

use rusqlite::types::Value;
use rusqlite::{Row, params, params_from_iter};

use super::{Status, Store, schema};
use crate::error::Result;
use crate::ops::outcome::Reason;

/// A certificate as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCertificate {
    /// SHA-256 of `der`.
    pub sha256: [u8; 32],
    /// The certificate.
    pub der: Vec<u8>,
    /// RFC 4514.
    pub subject: String,
    /// RFC 4514.
    pub issuer: String,
    /// Lower-case hex.
    pub serial: String,
    /// Lower-case hex, where the certificate has one.
    pub ski: Option<String>,
    /// First valid second, Unix time.
    pub not_before: i64,
    /// Last valid second, Unix time.
    pub not_after: i64,
    /// Whether it is an authority's.
    pub is_ca: bool,
    /// What it may be used for.
    pub status: Status,
    /// Why it is quarantined.
    pub reasons: Vec<Reason>,
    /// In the certificate's order.
    pub addresses: Vec<String>,
    /// The earliest date of a message it was seen in.
    pub first_seen: Option<i64>,
    /// The latest.
    pub last_seen: Option<i64>,
    /// In how many messages it was seen.
    pub count: u64,
    /// `SMIMECapabilities` of its owner's latest proven signature, DER.
    pub capabilities: Option<Vec<u8>>,
}

/// One message that a certificate was seen in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSighting {
    /// SHA-256 of the message.
    pub message_sha256: [u8; 32],
    /// Without angle brackets.
    pub message_id: String,
    /// Unix seconds.
    pub date: Option<i64>,
    /// Whether it proves the certificate usable.
    pub usable: bool,
    /// Why not.
    pub reasons: Vec<Reason>,
}

/// Which certificates are wanted; the default is all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only these.
    pub status: Option<Status>,
    /// Only those that hold this address, whatever its case.
    pub address: Option<String>,
    /// Only those whose SHA-256 begins with these hex digits.
    pub sha256_prefix: Option<String>,
}

impl Store {
    /// Every certificate, in the order of their SHA-256.
    pub fn certificates(&self) -> Result<Vec<StoredCertificate>> {
        self.list(&Filter::default())
    }

    /// The certificates that `filter` lets pass, in the order of their SHA-256.
    pub fn list(&self, filter: &Filter) -> Result<Vec<StoredCertificate>> {
        self.wrap(self.query(filter))
    }

    /// The messages that a certificate was seen in, latest first, at most `limit`.
    pub fn sightings(&self, sha256: &[u8; 32], limit: u32) -> Result<Vec<StoredSighting>> {
        let read = || {
            self.connection
                .prepare_cached(
                    "SELECT message_sha256, message_id, date, usable, reasons FROM sightings WHERE cert = ?1
                     ORDER BY date DESC, message_sha256 LIMIT ?2",
                )?
                .query_map(params![sha256, limit], |row| {
                    Ok(StoredSighting {
                        message_sha256: row.get(0)?,
                        message_id: row.get(1)?,
                        date: row.get(2)?,
                        usable: row.get(3)?,
                        reasons: reasons(&row.get::<_, String>(4)?),
                    })
                })?
                .collect()
        };
        self.wrap(read())
    }

    fn query(&self, filter: &Filter) -> rusqlite::Result<Vec<StoredCertificate>> {
        let mut conditions = vec!["1"];
        let mut values = Vec::new();
        if let Some(status) = filter.status {
            conditions.push("status = ?");
            values.push(Value::from(status.as_str().to_owned()));
        }
        if let Some(address) = &filter.address {
            conditions.push("sha256 IN (SELECT cert FROM addresses WHERE address = ?)");
            values.push(Value::from(address.trim().to_owned()));
        }
        if let Some(prefix) = &filter.sha256_prefix {
            let digits = prefix.to_ascii_lowercase();
            conditions.push("substr(lower(hex(sha256)), 1, ?) = ?");
            values.push(Value::from(i64::try_from(digits.len()).unwrap_or(i64::MAX)));
            values.push(Value::from(digits));
        }
        let sql = format!(
            "SELECT sha256, der, subject, issuer, serial, ski, not_before, not_after, is_ca, status, reasons,
                    (SELECT min(date) FROM sightings WHERE cert = sha256),
                    (SELECT max(date) FROM sightings WHERE cert = sha256),
                    (SELECT count(*) FROM sightings WHERE cert = sha256), {}
             FROM certificates WHERE {} ORDER BY sha256",
            if schema::keeps_capabilities(self.version) {
                "capabilities"
            } else {
                "NULL"
            },
            conditions.join(" AND ")
        );
        let mut found: Vec<StoredCertificate> = self
            .connection
            .prepare(&sql)?
            .query_map(params_from_iter(values), read_certificate)?
            .collect::<rusqlite::Result<_>>()?;
        let mut statement = self
            .connection
            .prepare_cached("SELECT address FROM addresses WHERE cert = ?1 ORDER BY position")?;
        for certificate in &mut found {
            certificate.addresses = statement
                .query_map([certificate.sha256], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
        }
        Ok(found)
    }
}

fn read_certificate(row: &Row<'_>) -> rusqlite::Result<StoredCertificate> {
    Ok(StoredCertificate {
        sha256: row.get(0)?,
        der: row.get(1)?,
        subject: row.get(2)?,
        issuer: row.get(3)?,
        serial: row.get(4)?,
        ski: row.get(5)?,
        not_before: row.get(6)?,
        not_after: row.get(7)?,
        is_ca: row.get(8)?,
        // The table's CHECK lets no other word in.
        status: Status::parse(&row.get::<_, String>(9)?).unwrap_or(Status::Quarantined),
        reasons: reasons(&row.get::<_, String>(10)?),
        addresses: Vec::new(),
        first_seen: row.get(11)?,
        last_seen: row.get(12)?,
        count: u64::try_from(row.get::<_, i64>(13)?).unwrap_or(0),
        capabilities: row.get(14)?,
    })
}

fn reasons(joined: &str) -> Vec<Reason> {
    joined
        .split_ascii_whitespace()
        .map(|reason| Reason::from(reason.to_owned()))
        .collect()
}
