//! What kind of CMS object, and its parts, borrowing from its bytes (RFC 5652, RFC 5083, RFC 3274;
//! PKCS #7 1.5, RFC 2315, where older programs differ).

use std::borrow::Cow;

use super::ber::{Malformed, Reader, Tlv, room_in, tag};
use super::enveloped::{AuthEnvelopedData, EncryptedData, EnvelopedData};
use super::octets::Octets;
use super::oid::{self, AlgorithmIdentifier, Oid};
use super::recipients::octets;
use super::signers::SignerInfo;

/// A CMS object.
#[derive(Debug, Clone)]
pub struct ContentInfo<'a> {
    /// What it says it is.
    pub content_type: Oid<'a>,
    /// What it holds.
    pub content: Content<'a>,
    /// How many bytes follow it.
    pub trailing: usize,
}

/// What a `ContentInfo` holds.
#[derive(Debug, Clone)]
pub enum Content<'a> {
    /// Bytes (RFC 5652 §4).
    Data(Octets<'a>),
    /// Signed content, or certificates only.
    Signed(SignedData<'a>),
    /// Encrypted content.
    Enveloped(EnvelopedData<'a>),
    /// Encrypted and authenticated content.
    AuthEnveloped(AuthEnvelopedData<'a>),
    /// Content encrypted with a key that is managed elsewhere.
    Encrypted(EncryptedData<'a>),
    /// Content with its digest.
    Digested(DigestedData<'a>),
    /// Compressed content.
    Compressed(CompressedData<'a>),
    /// A content type that is not read here, such as `AuthenticatedData`.
    Other,
}

/// RFC 5652 §5.1.
#[derive(Debug, Clone)]
pub struct SignedData<'a> {
    /// Noted, not checked.
    pub version: u64,
    /// Noted, not needed: each signer names its own.
    pub digest_algorithms: Vec<AlgorithmIdentifier<'a>>,
    /// The content's type.
    pub content_type: Oid<'a>,
    /// `None` means detached. Where PKCS #7 has something else than an OCTET STRING it is the body
    /// of that, which is what is signed (RFC 5652 §5.2.1).
    pub content: Option<Octets<'a>>,
    /// X.509 certificates, each a whole element; attribute certificates are left out.
    pub certificates: Vec<&'a [u8]>,
    /// X.509 revocation lists, each a whole element.
    pub crls: Vec<&'a [u8]>,
    /// None in a certs-only object.
    pub signers: Vec<SignerInfo<'a>>,
}

/// RFC 5652 §7.
#[derive(Debug, Clone)]
pub struct DigestedData<'a> {
    /// Noted, not checked.
    pub version: u64,
    /// What the content is hashed with.
    pub algorithm: AlgorithmIdentifier<'a>,
    /// The content's type.
    pub content_type: Oid<'a>,
    /// `None` means elsewhere.
    pub content: Option<Octets<'a>>,
    /// The content's digest.
    pub digest: Cow<'a, [u8]>,
}

/// RFC 3274 §1.1.
#[derive(Debug, Clone)]
pub struct CompressedData<'a> {
    /// Noted, not checked.
    pub version: u64,
    /// How the content is compressed.
    pub algorithm: AlgorithmIdentifier<'a>,
    /// The content's type.
    pub content_type: Oid<'a>,
    /// The compressed content; `None` means elsewhere.
    pub content: Option<Octets<'a>>,
}

/// Reads the CMS object that `bytes` start with, in BER. Costs time linear in the number of elements,
/// and memory for its recipients, signers and certificates only: how many are too many is for the
/// caller's budget.
pub fn parse(bytes: &[u8]) -> Result<ContentInfo<'_>, Malformed> {
    let mut outside = Reader::new(bytes);
    let mut reader = outside.require(tag::SEQUENCE, "no CMS object")?.reader();
    let trailing = outside.rest().len();
    let content_type = Oid::read(&mut reader)?;
    // Some programs forget the explicit tag around the content.
    let content = match reader.peek() {
        None => None,
        Some(tag::SEQUENCE) => Some(reader.read()?.raw),
        Some(_) => Some(
            reader
                .require(tag::constructed(0), "CMS object without its content")?
                .body,
        ),
    };
    reader.finish("CMS object with something more")?;
    let content = if content_type == oid::DATA {
        Content::Data(content.map_or(Ok(Octets::from_slice(&[])), data)?)
    } else if let Some(kind) = Kind::of(content_type) {
        kind.read(structure(
            content.ok_or(Malformed("CMS object without its content"))?,
        )?)?
    } else {
        Content::Other
    };
    Ok(ContentInfo {
        content_type,
        content,
        trailing,
    })
}

/// The content types that are read.
#[derive(Clone, Copy)]
enum Kind {
    Signed,
    Enveloped,
    AuthEnveloped,
    Encrypted,
    Digested,
    Compressed,
}

impl Kind {
    fn of(content_type: Oid<'_>) -> Option<Self> {
        [
            (oid::SIGNED_DATA, Self::Signed),
            (oid::ENVELOPED_DATA, Self::Enveloped),
            (oid::AUTH_ENVELOPED_DATA, Self::AuthEnveloped),
            (oid::ENCRYPTED_DATA, Self::Encrypted),
            (oid::DIGESTED_DATA, Self::Digested),
            (oid::COMPRESSED_DATA, Self::Compressed),
        ]
        .into_iter()
        .find_map(|(oid, kind)| (oid.0 == content_type.0).then_some(kind))
    }

    fn read(self, mut reader: Reader<'_>) -> Result<Content<'_>, Malformed> {
        let content = match self {
            Self::Signed => SignedData::read(&mut reader).map(Content::Signed),
            Self::Enveloped => EnvelopedData::read(&mut reader).map(Content::Enveloped),
            Self::AuthEnveloped => AuthEnvelopedData::read(&mut reader).map(Content::AuthEnveloped),
            Self::Encrypted => EncryptedData::read(&mut reader).map(Content::Encrypted),
            Self::Digested => DigestedData::read(&mut reader).map(Content::Digested),
            Self::Compressed => CompressedData::read(&mut reader).map(Content::Compressed),
        }?;
        reader.finish("CMS content with something more")?;
        Ok(content)
    }
}

/// The body of the SEQUENCE inside an explicit tag, or, where a program took the tag for an
/// implicit one, what the tag holds.
fn structure(wrapped: &[u8]) -> Result<Reader<'_>, Malformed> {
    match wrapped.first() {
        Some(&tag::INTEGER) => Ok(Reader::new(wrapped)),
        Some(&tag::SEQUENCE) => Ok(Tlv::only(wrapped)?.reader()),
        _ => Err(Malformed("CMS content is no sequence")),
    }
}

fn data(wrapped: &[u8]) -> Result<Octets<'_>, Malformed> {
    let mut reader = Reader::new(wrapped);
    let data = octets(&mut reader, "data is no octet string")?;
    reader.finish("data with something more")?;
    Ok(data)
}

/// `EncapsulatedContentInfo` (RFC 5652 §5.2): the content's type and the content.
fn encapsulated<'a>(reader: &mut Reader<'a>) -> Result<(Oid<'a>, Option<Octets<'a>>), Malformed> {
    let mut inside = reader
        .require(tag::SEQUENCE, "no content information")?
        .reader();
    let content_type = Oid::read(&mut inside)?;
    let wrapper = if inside.is_empty() {
        None
    } else {
        Some(inside.require(
            tag::constructed(0),
            "content information with something else",
        )?)
    };
    inside.finish("content information with something more")?;
    // An empty wrapper is how some programs say that the content is detached.
    let content = match wrapper.filter(|wrapper| !wrapper.body.is_empty()) {
        None => None,
        Some(wrapper) => match Tlv::only(wrapper.body)? {
            inner if matches!(inner.tag, tag::OCTET_STRING | tag::OCTET_STRING_CONSTRUCTED) => {
                Some(Octets::from_tlv(&inner)?)
            }
            inner => Some(Octets::from_slice(inner.body)),
        },
    };
    Ok((content_type, content))
}

/// The X.509 objects of a `CertificateSet` or `RevocationInfoChoices` (RFC 5652 §10.2): those tagged
/// SEQUENCE. Attribute certificates and other formats carry context tags.
pub(super) fn x509_objects<'a>(
    mut reader: Reader<'a>,
    into: &mut Vec<&'a [u8]>,
) -> Result<(), Malformed> {
    while !reader.is_empty() {
        let tlv = reader.read()?;
        if tlv.tag == tag::SEQUENCE {
            room_in(into)?;
            into.push(tlv.raw);
        }
    }
    Ok(())
}

impl<'a> SignedData<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let version = reader.version("signed data without a version")?;
        let mut digest_algorithms = Vec::new();
        if let Some(set) = reader.optional(tag::SET)? {
            let mut algorithms = set.reader();
            while !algorithms.is_empty() {
                digest_algorithms.push(AlgorithmIdentifier::read(&mut algorithms)?);
            }
        }
        let (content_type, content) = encapsulated(reader)?;
        let (mut certificates, mut crls) = (Vec::new(), Vec::new());
        if let Some(set) = reader.optional(tag::constructed(0))? {
            x509_objects(set.reader(), &mut certificates)?;
        }
        if let Some(set) = reader.optional(tag::constructed(1))? {
            x509_objects(set.reader(), &mut crls)?;
        }
        let signers = match reader.optional(tag::SET)? {
            Some(set) => SignerInfo::read_all(set.reader())?,
            None => Vec::new(),
        };
        Ok(Self {
            version,
            digest_algorithms,
            content_type,
            content,
            certificates,
            crls,
            signers,
        })
    }
}

impl<'a> DigestedData<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let version = reader.version("digested data without a version")?;
        let algorithm = AlgorithmIdentifier::read(reader)?;
        let (content_type, content) = encapsulated(reader)?;
        let digest = octets(reader, "digested data without its digest")?.cow();
        Ok(Self {
            version,
            algorithm,
            content_type,
            content,
            digest,
        })
    }
}

impl<'a> CompressedData<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let version = reader.version("compressed data without a version")?;
        let algorithm = AlgorithmIdentifier::read(reader)?;
        let (content_type, content) = encapsulated(reader)?;
        Ok(Self {
            version,
            algorithm,
            content_type,
            content,
        })
    }
}
