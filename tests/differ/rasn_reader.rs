//! What `rasn-cms` reads: a reader generated from the ASN.1 module of RFC 5652.

use std::panic::catch_unwind;

use rasn::ber::decode;
use rasn::types::{Integer, ObjectIdentifier};
use rasn_cms::{
    AuthEnvelopedData, CertificateChoices, CertificateSet, ContentInfo, DigestedData,
    EncryptedData, EnvelopedData, KeyAgreeRecipientIdentifier, RecipientIdentifier, RecipientInfo,
    RecipientInfos, SignedData, SignerIdentifier,
};

use crate::summary::{Read, Summary, digest, hex, serial};

pub(crate) fn read(object: &[u8]) -> Read {
    catch_unwind(|| inner(object)).unwrap_or_else(|_| Err("panics".to_owned()))
}

fn inner(object: &[u8]) -> Read {
    let info: ContentInfo = decode(object).map_err(|error| format!("outside, {}", kind(&error)))?;
    let content_type = dotted(&info.content_type);
    let content = info.content.as_bytes();
    let mut summary = Summary {
        content_type: content_type.clone(),
        ..Summary::default()
    };
    match content_type.as_str() {
        "1.2.840.113549.1.7.1" => {
            let data: rasn::types::OctetString = wrapped(content)?;
            summary.content = digest(Some(&data));
        }
        "1.2.840.113549.1.7.2" => {
            let data: SignedData = wrapped(content)?;
            summary.inner_type = Some(dotted(&data.encap_content_info.content_type));
            summary.content = digest(data.encap_content_info.content.as_deref());
            summary.certificates = Some(data.certificates.as_ref().map_or(0, certificates));
            summary.signers = data
                .signer_infos
                .to_vec()
                .into_iter()
                .map(|signer| match &signer.sid {
                    SignerIdentifier::IssuerAndSerialNumber(id) => integer(&id.serial_number),
                    SignerIdentifier::SubjectKeyIdentifier(ski) => format!("ski {}", hex(ski)),
                })
                .collect();
        }
        "1.2.840.113549.1.7.3" => {
            let data: EnvelopedData = wrapped(content)?;
            summary.inner_type = Some(dotted(&data.encrypted_content_info.content_type));
            summary.content = digest(data.encrypted_content_info.encrypted_content.as_deref());
            summary.recipients = recipients(&data.recipient_infos);
        }
        "1.2.840.113549.1.9.16.1.23" => {
            let data: AuthEnvelopedData = wrapped(content)?;
            summary.inner_type = Some(dotted(&data.auth_encrypted_content_info.content_type));
            summary.content = digest(
                data.auth_encrypted_content_info
                    .encrypted_content
                    .as_deref(),
            );
            summary.recipients = recipients(&data.recipient_infos);
        }
        "1.2.840.113549.1.7.6" => {
            let data: EncryptedData = wrapped(content)?;
            summary.inner_type = Some(dotted(&data.encrypted_content_info.content_type));
            summary.content = digest(data.encrypted_content_info.encrypted_content.as_deref());
        }
        "1.2.840.113549.1.7.5" => {
            let data: DigestedData = wrapped(content)?;
            summary.inner_type = Some(dotted(&data.encap_content_info.content_type));
            summary.content = digest(data.encap_content_info.content.as_deref());
        }
        "1.2.840.113549.1.9.16.1.9" => return Err("compressed data".to_owned()),
        // Nothing else is looked into by either.
        _ => {}
    }
    Ok(summary.sorted())
}

fn wrapped<T: rasn::Decode>(content: &[u8]) -> Result<T, String> {
    decode(content).map_err(|error| kind(&error))
}

/// The field in which reading stopped, and the kind of error, without what changes from one object
/// to the next.
fn kind(error: &rasn::error::DecodeError) -> String {
    let mut error = error;
    let mut field = "the object";
    while let rasn::error::DecodeErrorKind::FieldError { name, nested } = &*error.kind {
        field = name;
        error = nested;
    }
    let shown = format!("{:?}", error.kind);
    let kind = shown.split([' ', '(', '{']).next().unwrap_or_default();
    format!("{kind} in {field}")
}

fn certificates(set: &CertificateSet) -> usize {
    set.to_vec()
        .into_iter()
        .filter(|choice| matches!(choice, CertificateChoices::Certificate(_)))
        .count()
}

fn recipients(infos: &RecipientInfos) -> Vec<String> {
    infos.to_vec().into_iter().map(recipient).collect()
}

fn recipient(info: &RecipientInfo) -> String {
    match info {
        RecipientInfo::KeyTransRecipientInfo(info) => match &info.rid {
            RecipientIdentifier::IssuerAndSerialNumber(id) => integer(&id.serial_number),
            RecipientIdentifier::SubjectKeyIdentifier(ski) => format!("ski {}", hex(ski)),
        },
        RecipientInfo::KeyAgreeRecipientInfo(info) => {
            let all: Vec<_> = info
                .recipient_encrypted_keys
                .iter()
                .map(|key| match &key.key_agree_recipient_identifier {
                    KeyAgreeRecipientIdentifier::IssuerAndSerialNumber(id) => {
                        integer(&id.serial_number)
                    }
                    KeyAgreeRecipientIdentifier::RecipientKeyIdentifier(id) => {
                        format!("ski {}", hex(&id.subject_key_identifier))
                    }
                })
                .collect();
            format!("kari {}", all.join(" "))
        }
        RecipientInfo::KekRecipientInfo(info) => {
            format!("kekri {}", hex(&info.kek_id.key_identifier))
        }
        RecipientInfo::PasswordRecipientInfo(_) => "pwri".to_owned(),
        RecipientInfo::OtherRecipientInfo(info) => format!("ori {}", dotted(&info.ori_type)),
    }
}

fn integer(value: &Integer) -> String {
    let element = rasn::der::encode(value).unwrap_or_default();
    // Tag and a short length: no serial number worth comparing is longer.
    let body = p7mill::cms::ber::Tlv::only(&element).map_or(&[][..], |tlv| tlv.body);
    serial(body)
}

fn dotted(oid: &ObjectIdentifier) -> String {
    oid.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}
