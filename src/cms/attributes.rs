//! Signed, unsigned and authenticated attributes (RFC 5652 §5.3, §11), kept as they came: what was
//! signed are the wire's bytes, not anyone's idea of them.

use std::borrow::Cow;

use super::ber::{Malformed, Reader, Tlv, tag};
use super::capabilities::Capabilities;
use super::der;
use super::octets::Octets;
use super::oid::{self, Oid};
use super::time;

/// How deep the fallback encoding goes; what lies deeper is copied as it is.
const MAX_REENCODED_DEPTH: usize = 16;

/// What is wrong with an attribute that may be there once, with one value (RFC 5652 §11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AttributeProblem {
    /// It is there more than once.
    #[error("attribute is there more than once")]
    Duplicate,
    /// It has no value.
    #[error("attribute without a value")]
    Empty,
    /// It has several values.
    #[error("attribute with several values")]
    Many,
    /// The list of attributes, or the value, is not what it should be.
    #[error("attribute: {0}")]
    Malformed(#[from] Malformed),
}

/// One attribute.
#[derive(Debug, Clone, Copy)]
pub struct Attribute<'a> {
    /// The whole element.
    pub raw: &'a [u8],
    /// Which.
    pub oid: Oid<'a>,
    /// Its values, each a whole element.
    pub values: Reader<'a>,
}

/// A SET OF attributes under its implicit tag. Only its extent has been checked: malformed
/// attributes are for the verdict, while mathematics needs no more than the bytes.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    tlv: Tlv<'a>,
}

impl<'a> Attributes<'a> {
    /// Takes the whole element, whatever its tag.
    pub fn from_tlv(tlv: Tlv<'a>) -> Self {
        Self { tlv }
    }

    /// What a signature or a tag is made over: the wire's bytes with SET OF's tag in place of the
    /// implicit one (RFC 5652 §5.4, RFC 5083 §2.2), as pieces to hash one after the other.
    pub fn to_be_signed(&self) -> [&'a [u8]; 2] {
        [&[tag::SET], self.tlv.raw.get(1..).unwrap_or_default()]
    }

    /// What a signature would be made over if `oid` were not among the attributes, in DER's order.
    pub fn without(&self, oid: Oid<'_>) -> Vec<u8> {
        let rest: Vec<&[u8]> = self
            .iter()
            .flatten()
            .filter(|attribute| attribute.oid.0 != oid.0)
            .map(|attribute| attribute.raw)
            .collect();
        der::set_of(tag::SET, &rest)
    }

    /// The same attributes in DER: definite lengths, and every SET OF sorted. A signer that sent
    /// BER signed this form (RFC 5652 §5.4), which is worth one more try where the wire's bytes do
    /// not verify; a result found this way has to say so.
    pub fn reencoded_der(&self) -> Vec<u8> {
        let mut open = vec![Open::new(tag::SET, self.tlv.reader())];
        loop {
            let depth = open.len();
            let Some(top) = open.last_mut() else {
                return Vec::new();
            };
            match top.reader.read() {
                Ok(tlv) if tlv.tag & 0x1f == 0x1f => top.parts.push(tlv.raw.to_vec()),
                Ok(tlv) if tlv.tag == tag::OCTET_STRING_CONSTRUCTED => {
                    let whole =
                        Octets::from_tlv(&tlv).map(|octets| der::octet_string(&octets.cow()));
                    top.parts.push(whole.unwrap_or_else(|_| tlv.raw.to_vec()));
                }
                Ok(tlv) if !tlv.is_constructed() => {
                    top.parts.push(der::element(tlv.tag, &[tlv.body]));
                }
                Ok(tlv) if depth == MAX_REENCODED_DEPTH => top.parts.push(tlv.raw.to_vec()),
                Ok(tlv) => open.push(Open::new(tlv.tag, tlv.reader())),
                Err(_) => {
                    // At the end, or at something that is no element: it is copied as it is.
                    top.parts.push(top.reader.rest().to_vec());
                    let written = open.pop().map(Open::written).unwrap_or_default();
                    match open.last_mut() {
                        Some(parent) => parent.parts.push(written),
                        None => return written,
                    }
                }
            }
        }
    }

    /// Every attribute in wire order; it ends after the first that is malformed.
    pub fn iter(&self) -> impl Iterator<Item = Result<Attribute<'a>, Malformed>> + use<'a> {
        let mut reader = self.tlv.reader();
        let mut failed = false;
        std::iter::from_fn(move || {
            if failed || reader.is_empty() {
                return None;
            }
            let attribute = Attribute::read(&mut reader);
            failed = attribute.is_err();
            Some(attribute)
        })
    }

    /// Whether every attribute can be read.
    pub fn is_well_formed(&self) -> bool {
        self.iter().all(|attribute| attribute.is_ok())
    }

    /// All values of all instances of an attribute, each a whole element.
    pub fn values(&self, oid: Oid<'_>) -> Vec<&'a [u8]> {
        let mut values = Vec::new();
        for mut attribute in self
            .iter()
            .flatten()
            .filter(|attribute| attribute.oid.0 == oid.0)
        {
            while let Ok(value) = attribute.values.read() {
                values.push(value.raw);
            }
        }
        values
    }

    /// The one value of an attribute that may be there once, with one value; `None` where it is not
    /// there. The value is its whole element.
    pub fn get_single(&self, oid: Oid<'_>) -> Result<Option<&'a [u8]>, AttributeProblem> {
        Ok(self.single(oid)?.map(|value| value.raw))
    }

    fn single(&self, oid: Oid<'_>) -> Result<Option<Tlv<'a>>, AttributeProblem> {
        let mut found = None;
        for attribute in self.iter() {
            let attribute = attribute?;
            if attribute.oid.0 == oid.0 && found.replace(attribute).is_some() {
                return Err(AttributeProblem::Duplicate);
            }
        }
        let Some(mut attribute) = found else {
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

    /// The digest of the content (RFC 5652 §11.2).
    pub fn message_digest(&self) -> Result<Option<Cow<'a, [u8]>>, AttributeProblem> {
        let Some(value) = self.single(oid::MESSAGE_DIGEST)? else {
            return Ok(None);
        };
        if !matches!(value.tag, tag::OCTET_STRING | tag::OCTET_STRING_CONSTRUCTED) {
            return Err(Malformed("message digest is no octet string").into());
        }
        Ok(Some(Octets::from_tlv(&value)?.cow()))
    }

    /// The type of the content (RFC 5652 §11.1).
    pub fn content_type(&self) -> Result<Option<Oid<'a>>, AttributeProblem> {
        let value = self.single(oid::CONTENT_TYPE)?;
        Ok(value.map(|value| Oid::from_tlv(&value)).transpose()?)
    }

    /// When the signer claims to have signed, as Unix seconds (RFC 5652 §11.3).
    pub fn signing_time(&self) -> Result<Option<i64>, AttributeProblem> {
        let Some(value) = self.single(oid::SIGNING_TIME)? else {
            return Ok(None);
        };
        time::unix_seconds(&value)
            .map(Some)
            .ok_or_else(|| Malformed("signing time is no time").into())
    }

    /// What the signer's program says it reads; the first list that is one.
    pub fn smime_capabilities(&self) -> Option<Capabilities> {
        self.values(oid::SMIME_CAPABILITIES)
            .into_iter()
            .find_map(Capabilities::parse)
    }
}

impl<'a> Attribute<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let whole = reader.require(tag::SEQUENCE, "attribute is no sequence")?;
        let mut inside = whole.reader();
        let oid = Oid::read(&mut inside)?;
        let values = inside
            .require(tag::SET, "attribute without a set of values")?
            .reader();
        inside.finish("attribute with something more")?;
        let mut check = values;
        while !check.is_empty() {
            check.read()?;
        }
        Ok(Self {
            raw: whole.raw,
            oid,
            values,
        })
    }
}

/// A constructed element that is being written anew.
struct Open<'a> {
    tag: u8,
    reader: Reader<'a>,
    parts: Vec<Vec<u8>>,
}

impl<'a> Open<'a> {
    fn new(tag: u8, reader: Reader<'a>) -> Self {
        Self {
            tag,
            reader,
            parts: Vec::new(),
        }
    }

    fn written(mut self) -> Vec<u8> {
        self.parts.retain(|part| !part.is_empty());
        if self.tag == tag::SET {
            return der::set_of(self.tag, &self.parts);
        }
        let parts: Vec<&[u8]> = self.parts.iter().map(Vec::as_slice).collect();
        der::element(self.tag, &parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(oid: Oid<'_>, values: &[&[u8]]) -> Vec<u8> {
        der::sequence(&[&der::oid(oid), &der::element(tag::SET, values)])
    }

    fn attributes(bytes: &[u8]) -> Attributes<'_> {
        Attributes::from_tlv(Tlv::only(bytes).unwrap())
    }

    #[test]
    fn what_may_be_there_once_is_there_once() {
        let digest = attribute(oid::MESSAGE_DIGEST, &[&der::octet_string(&[7; 20])]);
        let two = attribute(
            oid::CONTENT_TYPE,
            &[&der::oid(oid::DATA), &der::oid(oid::DATA)],
        );
        let none = attribute(oid::SIGNING_TIME, &[]);
        let all = der::element(0xa0, &[&digest, &two, &none]);
        let parsed = attributes(&all);
        assert_eq!(
            parsed.message_digest().unwrap().as_deref(),
            Some(&[7; 20][..])
        );
        assert_eq!(parsed.content_type(), Err(AttributeProblem::Many));
        assert_eq!(parsed.signing_time(), Err(AttributeProblem::Empty));
        assert_eq!(parsed.get_single(oid::COUNTERSIGNATURE), Ok(None));
        assert_eq!(parsed.values(oid::CONTENT_TYPE).len(), 2);

        let twice = der::element(0xa0, &[&digest, &digest]);
        assert_eq!(
            attributes(&twice).message_digest(),
            Err(AttributeProblem::Duplicate)
        );
        let wrong = attribute(oid::MESSAGE_DIGEST, &[&der::integer(1)]);
        let wrong = der::element(0xa0, &[&wrong]);
        assert!(matches!(
            attributes(&wrong).message_digest(),
            Err(AttributeProblem::Malformed(_))
        ));
        let broken = der::element(0xa0, &[&digest, &der::integer(1)]);
        assert!(!attributes(&broken).is_well_formed());
        assert!(
            attributes(&broken).message_digest().is_err(),
            "a list that cannot be read to its end is no list"
        );
        assert_eq!(
            attributes(&broken).to_be_signed().concat()[1..],
            broken[1..]
        );
    }

    #[test]
    fn ber_attributes_have_a_der_form() {
        let a = attribute(oid::CONTENT_TYPE, &[&der::oid(oid::DATA)]);
        let b = attribute(oid::MESSAGE_DIGEST, &[&der::octet_string(&[1, 2, 3])]);
        let canonical = der::set_of(tag::SET, &[&a, &b]);
        let digest_in_pieces = [&[0x24, 0x80, 4, 1, 1, 4, 2, 2, 3, 0, 0][..]].concat();
        let b_indefinite = [
            &[0x30, 0x80][..],
            &der::oid(oid::MESSAGE_DIGEST),
            &[0x31, 0x80],
            &digest_in_pieces,
            &[0; 4],
        ];
        let wire = [&[0xa0, 0x80][..], &b_indefinite.concat(), &a, &[0, 0]].concat();
        let parsed = attributes(&wire);
        assert_eq!(
            parsed.message_digest().unwrap().as_deref(),
            Some(&[1, 2, 3][..])
        );
        assert_eq!(parsed.reencoded_der(), canonical);
        assert_eq!(attributes(&canonical).reencoded_der(), canonical);
        assert_eq!(
            parsed.to_be_signed().concat(),
            [&[0x31][..], &wire[1..]].concat()
        );
    }

    #[test]
    fn the_fallback_encoding_ends_on_anything() {
        let deep = [[0x30, 0x80].repeat(60), [0, 0].repeat(60)].concat();
        let wire = der::element(0xa0, &[&deep, &[0x30, 0x05]]);
        let written = attributes(&wire).reencoded_der();
        assert!(written.len() <= wire.len() + 8);
    }

    #[test]
    fn capabilities_come_in_order() {
        let list = der::sequence(&[
            &der::algorithm(oid::AES256_GCM, None),
            &der::algorithm(oid::DES_EDE3_CBC, None),
        ]);
        let all = der::element(0xa0, &[&attribute(oid::SMIME_CAPABILITIES, &[&list])]);
        let capabilities = attributes(&all).smime_capabilities().unwrap();
        let names: Vec<_> = capabilities.iter().map(|one| one.oid).collect();
        assert_eq!(names, [oid::AES256_GCM, oid::DES_EDE3_CBC]);
    }
}
