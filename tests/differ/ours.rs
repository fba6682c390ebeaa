//! What p7mill reads.

use p7mill::cms::{self, Content, Oid, RecipientId, RecipientInfo, SignerId};

use crate::summary::{Read, Summary, digest, hex, serial};

pub(crate) fn read(object: &[u8]) -> Read {
    let info = cms::parse(object).map_err(|malformed| malformed.0.to_owned())?;
    let octets = |content: &Option<cms::Octets<'_>>| {
        digest(content.map(|content| content.cow().into_owned()).as_deref())
    };
    let mut summary = Summary {
        content_type: dotted(info.content_type),
        ..Summary::default()
    };
    match &info.content {
        Content::Data(data) => summary.content = octets(&Some(*data)),
        Content::Signed(signed) => {
            summary.inner_type = Some(dotted(signed.content_type));
            summary.content = octets(&signed.content);
            summary.certificates = Some(signed.certificates.len());
            summary.signers = signed
                .signers
                .iter()
                .map(|signer| match &signer.sid {
                    SignerId::IssuerSerial { serial: number, .. } => serial(number),
                    SignerId::Ski(ski) => format!("ski {}", hex(ski)),
                })
                .collect();
        }
        Content::Enveloped(data) => {
            summary.inner_type = Some(dotted(data.content_type));
            summary.content = octets(&data.ciphertext);
            summary.recipients = data.recipients.iter().map(recipient).collect();
        }
        Content::AuthEnveloped(data) => {
            summary.inner_type = Some(dotted(data.content_type));
            summary.content = octets(&data.ciphertext);
            summary.recipients = data.recipients.iter().map(recipient).collect();
        }
        Content::Encrypted(data) => {
            summary.inner_type = Some(dotted(data.content_type));
            summary.content = octets(&data.ciphertext);
        }
        Content::Digested(data) => {
            summary.inner_type = Some(dotted(data.content_type));
            summary.content = octets(&data.content);
        }
        Content::Compressed(data) => {
            summary.inner_type = Some(dotted(data.content_type));
            summary.content = octets(&data.content);
        }
        Content::Other => {}
    }
    Ok(summary.sorted())
}

fn recipient(info: &RecipientInfo<'_>) -> String {
    let id = |id: &RecipientId<'_>| match id {
        RecipientId::IssuerSerial { serial: number, .. } => serial(number),
        RecipientId::Ski(ski) => format!("ski {}", hex(ski)),
    };
    match info {
        RecipientInfo::Ktri { rid, .. } => id(rid),
        RecipientInfo::Kari { recipients, .. } => {
            let all: Vec<_> = recipients.iter().map(|(rid, _)| id(rid)).collect();
            format!("kari {}", all.join(" "))
        }
        RecipientInfo::Kekri { key_id, .. } => format!("kekri {}", hex(key_id)),
        RecipientInfo::Pwri { .. } => "pwri".to_owned(),
        RecipientInfo::Ori { oid, .. } => format!("ori {}", dotted(*oid)),
    }
}

fn dotted(oid: Oid<'_>) -> String {
    oid.to_string()
}
