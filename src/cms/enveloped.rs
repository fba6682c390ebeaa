//! Encrypted content (RFC 5652 §6, §8; RFC 5083).

use std::borrow::Cow;

use super::attributes::Attributes;
use super::ber::{Malformed, Reader, tag};
use super::content::x509_objects;
use super::octets::Octets;
use super::oid::{AlgorithmIdentifier, Oid};
use super::recipients::{RecipientInfo, octets};

/// RFC 5652 §6.1.
#[derive(Debug, Clone)]
pub struct EnvelopedData<'a> {
    /// Noted, not checked.
    pub version: u64,
    /// Certificates out of `OriginatorInfo`, each a whole element.
    pub originator_certificates: Vec<&'a [u8]>,
    /// For whom.
    pub recipients: Vec<RecipientInfo<'a>>,
    /// The content's type.
    pub content_type: Oid<'a>,
    /// Its cipher.
    pub content_encryption: AlgorithmIdentifier<'a>,
    /// `None` where the ciphertext is elsewhere.
    pub ciphertext: Option<Octets<'a>>,
    /// Attributes that nothing protects.
    pub unprotected_attributes: Option<Attributes<'a>>,
    /// Every byte after `RecipientInfos` up to the end of the structure's body: new recipients go
    /// in front of it.
    pub tail: &'a [u8],
}

/// RFC 5083 §2.1.
#[derive(Debug, Clone)]
pub struct AuthEnvelopedData<'a> {
    /// Noted, not checked.
    pub version: u64,
    /// Certificates out of `OriginatorInfo`, each a whole element.
    pub originator_certificates: Vec<&'a [u8]>,
    /// For whom.
    pub recipients: Vec<RecipientInfo<'a>>,
    /// The content's type.
    pub content_type: Oid<'a>,
    /// Its cipher, which has to be an authenticated one.
    pub content_encryption: AlgorithmIdentifier<'a>,
    /// `None` where the ciphertext is elsewhere.
    pub ciphertext: Option<Octets<'a>>,
    /// Attributes that the tag covers.
    pub auth_attributes: Option<Attributes<'a>>,
    /// The authentication tag.
    pub mac: Cow<'a, [u8]>,
    /// Attributes that nothing protects.
    pub unauth_attributes: Option<Attributes<'a>>,
    /// As in [`EnvelopedData::tail`].
    pub tail: &'a [u8],
}

/// RFC 5652 §8.
#[derive(Debug, Clone)]
pub struct EncryptedData<'a> {
    /// Noted, not checked.
    pub version: u64,
    /// The content's type.
    pub content_type: Oid<'a>,
    /// Its cipher.
    pub content_encryption: AlgorithmIdentifier<'a>,
    /// `None` where the ciphertext is elsewhere.
    pub ciphertext: Option<Octets<'a>>,
    /// Attributes that nothing protects.
    pub unprotected_attributes: Option<Attributes<'a>>,
}

/// `EncryptedContentInfo` (RFC 5652 §6.1).
struct EncryptedContent<'a> {
    content_type: Oid<'a>,
    content_encryption: AlgorithmIdentifier<'a>,
    ciphertext: Option<Octets<'a>>,
}

impl<'a> EncryptedContent<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut inside = reader
            .require(tag::SEQUENCE, "no encrypted content information")?
            .reader();
        let content_type = Oid::read(&mut inside)?;
        let content_encryption = AlgorithmIdentifier::read(&mut inside)?;
        let ciphertext = match inside.peek() {
            Some(form) if form & !tag::CONSTRUCTED == tag::primitive(0) => {
                Some(Octets::from_tlv(&inside.read()?)?)
            }
            _ => None,
        };
        inside.finish("encrypted content information with something more")?;
        Ok(Self {
            content_type,
            content_encryption,
            ciphertext,
        })
    }
}

/// What EnvelopedData and AuthEnvelopedData begin with.
struct EnvelopeHead<'a> {
    version: u64,
    originator_certificates: Vec<&'a [u8]>,
    recipients: Vec<RecipientInfo<'a>>,
    tail: &'a [u8],
}

impl<'a> EnvelopeHead<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let version = reader.version("enveloped data without a version")?;
        let mut originator_certificates = Vec::new();
        if let Some(originator) = reader.optional(tag::constructed(0))?
            && let Some(set) = originator.reader().optional(tag::constructed(0))?
        {
            x509_objects(set.reader(), &mut originator_certificates)?;
        }
        let recipients = reader.require(tag::SET, "enveloped data without recipients")?;
        let recipients = RecipientInfo::read_all(recipients.reader())?;
        Ok(Self {
            version,
            originator_certificates,
            recipients,
            tail: reader.rest(),
        })
    }
}

impl<'a> EnvelopedData<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let head = EnvelopeHead::read(reader)?;
        let encrypted = EncryptedContent::read(reader)?;
        Ok(Self {
            version: head.version,
            originator_certificates: head.originator_certificates,
            recipients: head.recipients,
            content_type: encrypted.content_type,
            content_encryption: encrypted.content_encryption,
            ciphertext: encrypted.ciphertext,
            unprotected_attributes: reader
                .optional(tag::constructed(1))?
                .map(Attributes::from_tlv),
            tail: head.tail,
        })
    }
}

impl<'a> AuthEnvelopedData<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let head = EnvelopeHead::read(reader)?;
        let encrypted = EncryptedContent::read(reader)?;
        Ok(Self {
            version: head.version,
            originator_certificates: head.originator_certificates,
            recipients: head.recipients,
            content_type: encrypted.content_type,
            content_encryption: encrypted.content_encryption,
            ciphertext: encrypted.ciphertext,
            auth_attributes: reader
                .optional(tag::constructed(1))?
                .map(Attributes::from_tlv),
            mac: octets(reader, "authenticated content without its tag")?.cow(),
            unauth_attributes: reader
                .optional(tag::constructed(2))?
                .map(Attributes::from_tlv),
            tail: head.tail,
        })
    }

    /// The additional authenticated data: `auth_attributes` as the wire has them, under SET OF's
    /// tag; empty where there are none (RFC 5083 §2.2).
    pub fn aad(&self) -> Vec<u8> {
        self.auth_attributes
            .map(|attributes| attributes.to_be_signed().concat())
            .unwrap_or_default()
    }
}

impl<'a> EncryptedData<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let version = reader.version("encrypted data without a version")?;
        let encrypted = EncryptedContent::read(reader)?;
        Ok(Self {
            version,
            content_type: encrypted.content_type,
            content_encryption: encrypted.content_encryption,
            ciphertext: encrypted.ciphertext,
            unprotected_attributes: reader
                .optional(tag::constructed(1))?
                .map(Attributes::from_tlv),
        })
    }
}
