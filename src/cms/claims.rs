//! What signed attributes claim beside the digest: which certificate signed (RFC 2634 §5, RFC 5035),
//! by which algorithms (RFC 6211), beside which other signatures (RFC 5752). All attributes are read
//! in one pass; a value is taken apart only where it is asked for.

use std::borrow::Cow;

use super::attributes::{Attribute, AttributeProblem, Attributes};
use super::ber::{Malformed, Reader, Tlv, tag};
use super::octets::Octets;
use super::oid::{self, AlgorithmIdentifier, Oid};
use super::time;

/// Attributes that may be there once.
const KNOWN: [Oid<'static>; 12] = [
    oid::CONTENT_TYPE,
    oid::MESSAGE_DIGEST,
    oid::SIGNING_TIME,
    oid::SIGNING_CERTIFICATE,
    oid::SIGNING_CERTIFICATE_V2,
    oid::CMS_ALGORITHM_PROTECTION,
    oid::MULTIPLE_SIGNATURES,
    oid::RECEIPT_REQUEST,
    oid::SECURITY_LABEL,
    oid::ML_EXPANSION_HISTORY,
    oid::CONTENT_HINTS,
    oid::MSG_SIG_DIGEST,
];

/// A value that may be there once, or what is wrong with it.
pub type Claim<T> = Result<Option<T>, AttributeProblem>;

/// The attributes of one SignerInfo.
#[derive(Debug)]
pub struct Claims<'a> {
    found: [Option<Attribute<'a>>; KNOWN.len()],
    /// One bit for each of [`KNOWN`] that is there more than once.
    doubled: u16,
    malformed: Option<Malformed>,
    ordered: bool,
}

impl<'a> Claims<'a> {
    /// Reads `attributes` once.
    pub fn read(attributes: &Attributes<'a>) -> Self {
        let mut claims = Self {
            found: [None; KNOWN.len()],
            doubled: 0,
            malformed: None,
            ordered: true,
        };
        let mut before: &[u8] = &[];
        for attribute in attributes.iter() {
            let attribute = match attribute {
                Ok(attribute) => attribute,
                Err(problem) => {
                    claims.malformed = Some(problem);
                    break;
                }
            };
            claims.ordered &= before <= attribute.raw;
            before = attribute.raw;
            let Some(at) = KNOWN.iter().position(|known| known.0 == attribute.oid.0) else {
                continue;
            };
            if let Some(slot) = claims.found.get_mut(at)
                && slot.replace(attribute).is_some()
            {
                claims.doubled |= 1 << at;
            }
        }
        claims
    }

    /// Whether the attributes stand in the order that DER asks of a SET OF (X.690 §11.6).
    pub fn is_ordered(&self) -> bool {
        self.ordered
    }

    /// The first problem among the attributes that may be there once, with one value, whatever is
    /// in it.
    pub fn problem(&self) -> Option<AttributeProblem> {
        KNOWN
            .iter()
            .filter(|known| known.0 != oid::MULTIPLE_SIGNATURES.0)
            .find_map(|known| self.single(*known).err())
    }

    /// Whether the attribute is there.
    pub fn has(&self, attribute: Oid<'_>) -> bool {
        self.slot(attribute)
            .is_some_and(|(found, _)| found.is_some())
    }

    fn slot(&self, attribute: Oid<'_>) -> Option<(Option<Attribute<'a>>, bool)> {
        let at = KNOWN.iter().position(|known| known.0 == attribute.0)?;
        Some((*self.found.get(at)?, self.doubled >> at & 1 == 1))
    }

    fn attribute(&self, which: Oid<'_>) -> Claim<Attribute<'a>> {
        if let Some(malformed) = self.malformed {
            return Err(malformed.into());
        }
        match self.slot(which) {
            Some((_, true)) => Err(AttributeProblem::Duplicate),
            Some((found, false)) => Ok(found),
            None => Ok(None),
        }
    }

    fn single(&self, which: Oid<'_>) -> Claim<Tlv<'a>> {
        let Some(mut attribute) = self.attribute(which)? else {
            return Ok(None);
        };
        if attribute.values.is_empty() {
            return Err(AttributeProblem::Empty);
        }
        let value = attribute.values.read()?;
        if attribute.values.is_empty() {
            Ok(Some(value))
        } else {
            Err(AttributeProblem::Many)
        }
    }

    /// The type of the content (RFC 5652 §11.1).
    pub fn content_type(&self) -> Claim<Oid<'a>> {
        let value = self.single(oid::CONTENT_TYPE)?;
        Ok(value.map(|value| Oid::from_tlv(&value)).transpose()?)
    }

    /// The digest of the content (RFC 5652 §11.2).
    pub fn message_digest(&self) -> Claim<Cow<'a, [u8]>> {
        let Some(value) = self.single(oid::MESSAGE_DIGEST)? else {
            return Ok(None);
        };
        if !matches!(value.tag, tag::OCTET_STRING | tag::OCTET_STRING_CONSTRUCTED) {
            return Err(Malformed("message digest is no octet string").into());
        }
        Ok(Some(Octets::from_tlv(&value)?.cow()))
    }

    /// When the signer claims to have signed, as Unix seconds (RFC 5652 §11.3), and whether that
    /// is in the form that the standard asks for: `UTCTime` to the end of 2049.
    pub fn signing_time(&self) -> Claim<(i64, bool)> {
        const YEAR_2050: i64 = 2_524_608_000;
        let Some(value) = self.single(oid::SIGNING_TIME)? else {
            return Ok(None);
        };
        let at = time::unix_seconds(&value).ok_or(Malformed("signing time is no time"))?;
        let generalized = value.tag == tag::GENERALIZED_TIME;
        Ok(Some((at, generalized == (at >= YEAR_2050))))
    }

    /// The certificates that the signer names as his own and its path, his own first: those of
    /// signing-certificate, then those of signing-certificate-v2. `None` where neither is there.
    pub fn signing_certificates(&self) -> Claim<[Option<CertId<'a>>; 2]> {
        let first = |which, v2| -> Claim<CertId<'a>> {
            let Some(value) = self.single(which)? else {
                return Ok(None);
            };
            let mut list = sequence(&value)?
                .require(tag::SEQUENCE, "signing certificate without a list")?
                .reader();
            let first = CertId::read(&mut list, v2)?;
            while !list.is_empty() {
                CertId::read(&mut list, v2)?;
            }
            Ok(Some(first))
        };
        let found = [
            first(oid::SIGNING_CERTIFICATE, false)?,
            first(oid::SIGNING_CERTIFICATE_V2, true)?,
        ];
        Ok(found.iter().any(Option::is_some).then_some(found))
    }

    /// The algorithms that the SignerInfo names, once more (RFC 6211): digest and signature.
    pub fn algorithm_protection(
        &self,
    ) -> Claim<(AlgorithmIdentifier<'a>, AlgorithmIdentifier<'a>)> {
        let Some(value) = self.single(oid::CMS_ALGORITHM_PROTECTION)? else {
            return Ok(None);
        };
        let mut fields = sequence(&value)?;
        let digest = AlgorithmIdentifier::read(&mut fields)?;
        let signature = fields.require(tag::constructed(1), "protection of no signature")?;
        fields.finish("algorithm protection with something more")?;
        Ok(Some((
            digest,
            AlgorithmIdentifier::from_body(signature.body)?,
        )))
    }

    /// The other signatures that the signer made beside this one (RFC 5752 §2).
    pub fn multiple_signatures(&self) -> Result<Vec<OtherSignature<'a>>, AttributeProblem> {
        let Some(mut attribute) = self.attribute(oid::MULTIPLE_SIGNATURES)? else {
            return Ok(Vec::new());
        };
        let mut others = Vec::new();
        while !attribute.values.is_empty() {
            others.push(OtherSignature::read(&attribute.values.read()?)?);
        }
        if others.is_empty() {
            return Err(AttributeProblem::Empty);
        }
        Ok(others)
    }
}

fn sequence<'a>(value: &Tlv<'a>) -> Result<Reader<'a>, Malformed> {
    if value.tag == tag::SEQUENCE {
        Ok(value.reader())
    } else {
        Err(Malformed("attribute value is no sequence"))
    }
}

/// `ESSCertID` and `ESSCertIDv2` (RFC 5035 §4, §6): a certificate by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertId<'a> {
    /// What the certificate is hashed with.
    pub digest: AlgorithmIdentifier<'a>,
    /// Of the whole certificate.
    pub hash: &'a [u8],
    /// Its issuer's Name (whole element) and the body of its serial number.
    pub issuer_serial: Option<(&'a [u8], &'a [u8])>,
}

impl<'a> CertId<'a> {
    fn read(list: &mut Reader<'a>, v2: bool) -> Result<Self, Malformed> {
        let mut fields = list
            .require(tag::SEQUENCE, "certificate identifier is no sequence")?
            .reader();
        let mut digest = AlgorithmIdentifier {
            oid: if v2 { oid::SHA256 } else { oid::SHA1 },
            parameters: None,
        };
        if v2 && fields.peek() == Some(tag::SEQUENCE) {
            digest = AlgorithmIdentifier::read(&mut fields)?;
        }
        let hash = fields.require(tag::OCTET_STRING, "certificate identifier without a hash")?;
        let issuer_serial = fields
            .optional(tag::SEQUENCE)?
            .map(|pair| issuer_of(&pair))
            .transpose()?;
        fields.finish("certificate identifier with something more")?;
        Ok(Self {
            digest,
            hash: hash.body,
            issuer_serial,
        })
    }
}

/// `IssuerSerial`: `GeneralNames` with one directoryName, and a serial number.
fn issuer_of<'a>(pair: &Tlv<'a>) -> Result<(&'a [u8], &'a [u8]), Malformed> {
    const DIRECTORY_NAME: u8 = tag::constructed(4);
    let mut fields = pair.reader();
    let names = fields.require(tag::SEQUENCE, "issuer is no name")?;
    let serial = fields.require(tag::INTEGER, "issuer without a serial number")?;
    fields.finish("issuer and serial number with something more")?;
    let mut names = names.reader();
    let name = names.require(DIRECTORY_NAME, "issuer is no directory name")?;
    names.finish("issuer with several names")?;
    Ok((Tlv::only(name.body)?.raw, serial.body))
}

/// One value of multiple-signatures: how to know another SignerInfo of the same signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherSignature<'a> {
    /// Its digestAlgorithm.
    pub digest: AlgorithmIdentifier<'a>,
    /// Its signatureAlgorithm.
    pub signature: AlgorithmIdentifier<'a>,
    /// What its signed attributes are hashed with here,
    pub attributes_digest: AlgorithmIdentifier<'a>,
    /// and their hash, without multiple-signatures among them (RFC 5752 §3).
    pub attributes_hash: &'a [u8],
}

impl<'a> OtherSignature<'a> {
    fn read(value: &Tlv<'a>) -> Result<Self, Malformed> {
        let mut fields = sequence(value)?;
        let digest = AlgorithmIdentifier::read(&mut fields)?;
        let signature = AlgorithmIdentifier::read(&mut fields)?;
        let mut hashed = fields
            .require(tag::SEQUENCE, "multiple signatures without a hash")?
            .reader();
        let attributes_digest = AlgorithmIdentifier::read(&mut hashed)?;
        let hash = hashed.require(tag::OCTET_STRING, "multiple signatures without a hash")?;
        hashed.finish("multiple signatures with something more")?;
        if !fields.is_empty() {
            CertId::read(&mut fields, true)?;
        }
        fields.finish("multiple signatures with something more")?;
        Ok(Self {
            digest,
            signature,
            attributes_digest,
            attributes_hash: hash.body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::der;

    fn attribute(oid: Oid<'_>, values: &[&[u8]]) -> Vec<u8> {
        der::sequence(&[&der::oid(oid), &der::element(tag::SET, values)])
    }

    fn signing_certificate(v2: bool, ids: &[&[u8]]) -> Vec<u8> {
        let which = if v2 {
            oid::SIGNING_CERTIFICATE_V2
        } else {
            oid::SIGNING_CERTIFICATE
        };
        attribute(which, &[&der::sequence(&[&der::sequence(ids)])])
    }

    #[test]
    fn the_first_certificate_is_the_signers() {
        let name = der::sequence(&[]);
        let issuer = der::sequence(&[
            &der::sequence(&[&der::element(tag::constructed(4), &[&name])]),
            &der::integer(7),
        ]);
        let hash = der::octet_string(&[1; 32]);
        let own = der::sequence(&[&hash, &issuer]);
        let sha512 = der::algorithm(oid::SHA512, None);
        let other = der::sequence(&[&sha512, &der::octet_string(&[2; 64])]);
        let set = der::element(0xa0, &[&signing_certificate(true, &[&own, &other])]);
        let claims = Claims::read(&Attributes::from_tlv(Tlv::only(&set).unwrap()));
        let [None, Some(found)] = claims.signing_certificates().unwrap().unwrap() else {
            panic!()
        };
        assert_eq!((found.digest.oid, found.hash), (oid::SHA256, &[1; 32][..]));
        assert_eq!(found.issuer_serial, Some((&name[..], &[7][..])));
        // An empty list, a list that ends in the middle, and the attribute twice are no claim.
        for broken in [
            der::element(0xa0, &[&signing_certificate(false, &[])]),
            der::element(0xa0, &[&signing_certificate(true, &[&own, &hash])]),
            der::element(0xa0, &[&signing_certificate(true, &[&own]).repeat(2)]),
        ] {
            let claims = Claims::read(&Attributes::from_tlv(Tlv::only(&broken).unwrap()));
            assert!(claims.signing_certificates().is_err());
        }
    }

    #[test]
    fn order_is_that_of_der() {
        let a = attribute(oid::CONTENT_TYPE, &[&der::oid(oid::DATA)]);
        let b = attribute(oid::MESSAGE_DIGEST, &[&der::octet_string(&[7; 32])]);
        for (set, ordered) in [([&a, &b], true), ([&b, &a], false)] {
            let set = der::element(0xa0, &[set[0], set[1]]);
            let claims = Claims::read(&Attributes::from_tlv(Tlv::only(&set).unwrap()));
            assert_eq!(claims.is_ordered(), ordered);
            assert_eq!(claims.content_type(), Ok(Some(oid::DATA)));
        }
    }
}
