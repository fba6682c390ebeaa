//! Where in a certificate's DER what stands.

use openssl::pkey::{PKey, Public};
use openssl::rsa::Rsa;

use crate::cert::der::{Reader, time};
use crate::cert::key;

/// The parts of a `Certificate` SEQUENCE's body (RFC 5280 §4.1).
pub(super) struct Fields<'a> {
    pub(super) version: u8,
    pub(super) serial: &'a [u8],
    pub(super) signature: String,
    pub(super) issuer: &'a [u8],
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    pub(super) subject: &'a [u8],
    pub(super) spki: &'a [u8],
    pub(super) extensions: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    pub(super) fn read(certificate: &'a [u8]) -> Option<Self> {
        let mut outer = Reader::new(certificate);
        let mut tbs = Reader::new(outer.expect(0x30)?.body);
        let signature = key::signature_name(outer.expect(0x30)?.body)?;
        let version = match tbs.optional(0xa0) {
            Some(explicit) => *Reader::new(explicit.body).expect(2)?.body.first()?,
            None => 0,
        };
        let serial = tbs.expect(2)?.body;
        let _algorithm = tbs.expect(0x30)?;
        let issuer = tbs.expect(0x30)?.raw;
        let mut validity = Reader::new(tbs.expect(0x30)?.body);
        let (not_before, not_after) = (time(validity.next()?)?, time(validity.next()?)?);
        let subject = tbs.expect(0x30)?.raw;
        let spki = tbs.expect(0x30)?.body;
        let mut extensions = None;
        while !tbs.is_empty() {
            let field = tbs.next()?;
            if field.tag == 0xa3 {
                extensions = Some(field.body);
            }
        }
        Some(Self {
            version,
            serial,
            signature,
            issuer,
            not_before,
            not_after,
            subject,
            spki,
            extensions,
        })
    }
}

/// The `AlgorithmIdentifier` of a `SubjectPublicKeyInfo`'s body.
pub(super) fn oaep_algorithm(spki: &[u8]) -> Option<Vec<u8>> {
    Some(Reader::new(spki).expect(0x30)?.raw.to_vec())
}

/// The RSA key in a `SubjectPublicKeyInfo`'s body, whatever its algorithm is called.
pub(super) fn rsa_key(spki: &[u8]) -> Option<PKey<Public>> {
    let mut fields = Reader::new(spki);
    fields.expect(0x30)?;
    let numbers = fields.expect(3)?.body.get(1..)?;
    PKey::from_rsa(Rsa::public_key_from_der_pkcs1(numbers).ok()?).ok()
}
