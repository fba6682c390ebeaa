//! Who could read an encrypted layer: what its RecipientInfos say without a key.

use std::sync::Arc;

use crate::cert::certificate::{Certificate, serial_hex};
use crate::cert::name;
use crate::cms::{RecipientId, RecipientInfo};
use crate::smime::open::{self, Sealed};
use crate::text::hex;

use super::Context;
use super::facts::Facts;
use super::outcome::{KeyStatus, RecipientFinding, RecipientKind};

/// One finding for each recipient of `sealed`.
pub fn recipients(
    context: &Context,
    facts: &Facts,
    sealed: Sealed<'_>,
    layer: u32,
) -> Vec<RecipientFinding> {
    let content_encryption = content_encryption(sealed);
    let mut findings = Vec::new();
    for recipient in sealed.recipients() {
        let base = RecipientFinding {
            part: facts.part.clone(),
            layer,
            message_id: facts.message_id.clone(),
            kind: kind(recipient),
            issuer: String::new(),
            serial: String::new(),
            ski: match recipient {
                RecipientInfo::Kekri { key_id, .. } => hex(key_id),
                _ => String::new(),
            },
            key_encryption: key_encryption(recipient),
            content_encryption: content_encryption.clone(),
            key_status: KeyStatus::Password,
            cert_sha256: String::new(),
            address: String::new(),
            role: super::outcome::Role::Other,
            copy: 0,
        };
        let ids = open::ids(recipient);
        if ids.is_empty() {
            let key_status = match base.kind {
                RecipientKind::Kekri | RecipientKind::Pwri => KeyStatus::Password,
                _ => KeyStatus::Missing,
            };
            findings.push(RecipientFinding { key_status, ..base });
            continue;
        }
        findings.extend(ids.iter().map(|id| {
            let mut finding = base.clone();
            describe(context, facts, id, &mut finding);
            finding
        }));
    }
    findings
}

/// The content cipher as reports name it.
pub fn content_encryption(sealed: Sealed<'_>) -> String {
    open::content_cipher(sealed).map_or_else(
        || sealed.content_encryption().oid.label(),
        |cipher| cipher.name().to_owned(),
    )
}

fn describe(
    context: &Context,
    facts: &Facts,
    id: &RecipientId<'_>,
    finding: &mut RecipientFinding,
) {
    match id {
        RecipientId::IssuerSerial { issuer, serial } => {
            finding.issuer = name::rfc4514(issuer).unwrap_or_default();
            finding.serial = serial_hex(serial);
        }
        RecipientId::Ski(ski) => finding.ski = hex(ski),
    }
    let keys = open::keys_for(id, &context.keyring);
    finding.key_status = if !keys.is_empty() {
        KeyStatus::Open
    } else if open::is_locked(id, &context.keyring) {
        KeyStatus::Locked
    } else {
        KeyStatus::Missing
    };
    if let Some(certificate) = certificate(context, id) {
        finding.cert_sha256 = hex(&certificate.sha256);
        finding.address = certificate.addresses.first().cloned().unwrap_or_default();
        finding.role = facts.role(&certificate.addresses);
    }
}

fn certificate(context: &Context, id: &RecipientId<'_>) -> Option<Arc<Certificate>> {
    match id {
        RecipientId::IssuerSerial { issuer, serial } => context
            .keyring
            .find_certificate(issuer, serial)
            .or_else(|| context.pool.by_issuer_serial(issuer, serial)),
        RecipientId::Ski(ski) => context.pool.by_ski(ski).into_iter().next(),
    }
}

fn kind(recipient: &RecipientInfo<'_>) -> RecipientKind {
    match recipient {
        RecipientInfo::Ktri { .. } => RecipientKind::Ktri,
        RecipientInfo::Kari { .. } => RecipientKind::Kari,
        RecipientInfo::Kekri { .. } => RecipientKind::Kekri,
        RecipientInfo::Pwri { .. } => RecipientKind::Pwri,
        RecipientInfo::Ori { .. } => RecipientKind::Ori,
    }
}

fn key_encryption(recipient: &RecipientInfo<'_>) -> String {
    match recipient {
        RecipientInfo::Ktri { algorithm, .. }
        | RecipientInfo::Kari { algorithm, .. }
        | RecipientInfo::Kekri { algorithm, .. }
        | RecipientInfo::Pwri { algorithm, .. } => algorithm.oid.label(),
        RecipientInfo::Ori { oid, .. } => {
            let kem = recipient.kem();
            kem.map_or(*oid, |kem| kem.algorithm.oid).label()
        }
    }
}
