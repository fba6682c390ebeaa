//! Who signed, and how (RFC 5652 §5.3).

use std::borrow::Cow;

use super::attributes::Attributes;
use super::ber::{Malformed, Reader, Tlv, tag};
use super::octets::Octets;
use super::oid::AlgorithmIdentifier;
use super::recipients::{issuer_serial, octets};

/// One SignerInfo.
#[derive(Debug, Clone)]
pub struct SignerInfo<'a> {
    /// 1 or 3; noted, not checked.
    pub version: u64,
    /// How the signer's certificate is named.
    pub sid: SignerId<'a>,
    /// What content and attributes are hashed with.
    pub digest: AlgorithmIdentifier<'a>,
    /// Attributes that the signature covers.
    pub signed_attributes: Option<Attributes<'a>>,
    /// How it was signed.
    pub signature_algorithm: AlgorithmIdentifier<'a>,
    /// The signature.
    pub signature: Cow<'a, [u8]>,
    /// Attributes that anyone may have added, such as countersignatures and timestamps.
    pub unsigned_attributes: Option<Attributes<'a>>,
}

/// How a signer's certificate is named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SignerId<'a> {
    /// By issuer and serial number.
    IssuerSerial {
        /// The Name's whole element.
        issuer: &'a [u8],
        /// The INTEGER's body.
        serial: &'a [u8],
    },
    /// By subject key identifier.
    Ski(Cow<'a, [u8]>),
}

impl<'a> SignerInfo<'a> {
    /// Reads the one SignerInfo that `bytes` are, as in a countersignature (RFC 5652 §11.4).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Self::from_tlv(&Tlv::only(bytes)?)
    }

    /// Reads every SignerInfo of a SET's body.
    pub(super) fn read_all(mut reader: Reader<'a>) -> Result<Vec<Self>, Malformed> {
        let mut all = Vec::new();
        while !reader.is_empty() {
            all.push(Self::from_tlv(&reader.read()?)?);
        }
        Ok(all)
    }

    fn from_tlv(tlv: &Tlv<'a>) -> Result<Self, Malformed> {
        if tlv.tag != tag::SEQUENCE {
            return Err(Malformed("signer is no sequence"));
        }
        let mut reader = tlv.reader();
        let version = reader.version("signer without a version")?;
        let sid = SignerId::from_tlv(&reader.read()?)?;
        let digest = AlgorithmIdentifier::read(&mut reader)?;
        let signed_attributes = reader
            .optional(tag::constructed(0))?
            .map(Attributes::from_tlv);
        let signature_algorithm = AlgorithmIdentifier::read(&mut reader)?;
        let signature = octets(&mut reader, "signer without a signature")?.cow();
        let unsigned_attributes = reader
            .optional(tag::constructed(1))?
            .map(Attributes::from_tlv);
        reader.finish("signer with something more")?;
        Ok(Self {
            version,
            sid,
            digest,
            signed_attributes,
            signature_algorithm,
            signature,
            unsigned_attributes,
        })
    }
}

impl<'a> SignerId<'a> {
    fn from_tlv(tlv: &Tlv<'a>) -> Result<Self, Malformed> {
        const SKI: u8 = tag::primitive(0);
        const SKI_IN_PIECES: u8 = tag::constructed(0);
        match tlv.tag {
            tag::SEQUENCE => {
                let (issuer, serial) = issuer_serial(tlv)?;
                Ok(Self::IssuerSerial { issuer, serial })
            }
            SKI | SKI_IN_PIECES => Ok(Self::Ski(Octets::from_tlv(tlv)?.cow())),
            _ => Err(Malformed("signer without an identifier")),
        }
    }
}
