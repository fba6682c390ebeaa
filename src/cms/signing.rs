//! A SignedData with one signer, written in DER (RFC 5652 §5), and the attributes that it signs.

use super::ber::tag;
use super::oid::{self, Oid};
use super::{der, time};

/// What a SignerInfo names.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// The signer's issuer, a whole `Name`.
    pub issuer: &'a [u8],
    /// The body of the certificate's serial number.
    pub serial: &'a [u8],
    /// A whole `AlgorithmIdentifier`.
    pub digest: &'a [u8],
    /// A whole `AlgorithmIdentifier`.
    pub signature: &'a [u8],
}

impl Named<'_> {
    fn sid(&self) -> Vec<u8> {
        issuer_serial(tag::SEQUENCE, self.issuer, self.serial)
    }
}

/// Attributes as their SET OF, under the tag that is signed (RFC 5652 §5.4). A SignerInfo holds the
/// same bytes under `[0]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAttributes(Vec<u8>);

impl SignedAttributes {
    /// Sorted, as DER wants; each a whole `Attribute`.
    pub fn new(attributes: &[Vec<u8>]) -> Self {
        Self(der::set_of(tag::SET, attributes))
    }

    /// What the signature is over.
    pub fn to_be_signed(&self) -> &[u8] {
        &self.0
    }
}

/// A SignedData `ContentInfo` around id-data. `content` is `None` where it is detached;
/// `certificates` are whole certificates, the signer's among them.
///
/// All versions are 1: the content is id-data, the certificates are X.509 and the signer is named
/// by issuer and serial number (RFC 5652 §5.1, §5.3).
pub fn signed_data(
    content: Option<&[u8]>,
    certificates: &[&[u8]],
    named: &Named<'_>,
    attributes: &SignedAttributes,
    signature: &[u8],
) -> Vec<u8> {
    let explicit = |content| der::element(tag::constructed(0), &[&der::octet_string(content)]);
    let encapsulated = der::sequence(&[
        &der::oid(oid::DATA),
        &content.map(explicit).unwrap_or_default(),
    ]);
    let signed = attributes.0.get(1..).unwrap_or_default();
    let signer = der::sequence(&[
        &der::integer(1),
        &named.sid(),
        named.digest,
        &[tag::constructed(0)],
        signed,
        named.signature,
        &der::octet_string(signature),
    ]);
    let data = der::sequence(&[
        &der::integer(1),
        &der::set_of(tag::SET, &[named.digest]),
        &encapsulated,
        &der::set_of(tag::constructed(0), certificates),
        &der::set_of(tag::SET, &[signer]),
    ]);
    der::sequence(&[
        &der::oid(oid::SIGNED_DATA),
        &der::element(tag::constructed(0), &[&data]),
    ])
}

/// contentType: id-data (RFC 5652 §11.1).
pub fn content_type() -> Vec<u8> {
    attribute(oid::CONTENT_TYPE, &der::oid(oid::DATA))
}

/// messageDigest (RFC 5652 §11.2).
pub fn message_digest(digest: &[u8]) -> Vec<u8> {
    attribute(oid::MESSAGE_DIGEST, &der::octet_string(digest))
}

/// signingTime, Unix seconds (RFC 5652 §11.3); `None` where no ASN.1 time says it.
pub fn signing_time(now: i64) -> Option<Vec<u8>> {
    Some(attribute(oid::SIGNING_TIME, &time::encoded(now)?))
}

/// `SMIMECapabilities`, the preferred first; none of them has parameters (RFC 8551 §2.5.2).
pub fn smime_capabilities(capabilities: &[Oid<'_>]) -> Vec<u8> {
    let list: Vec<u8> = capabilities
        .iter()
        .flat_map(|capability| der::algorithm(*capability, None))
        .collect();
    attribute(oid::SMIME_CAPABILITIES, &der::sequence(&[&list]))
}

/// signingCertificateV2 with the signer's certificate alone, hashed with SHA-256, which is the
/// default and therefore not said (RFC 5035 §3, §4).
pub fn signing_certificate_v2(sha256: &[u8; 32], issuer: &[u8], serial: &[u8]) -> Vec<u8> {
    let directory_name = der::element(tag::constructed(4), &[issuer]);
    let issuer_serial = der::sequence(&[
        &der::sequence(&[&directory_name]),
        &der::element(tag::INTEGER, &[serial]),
    ]);
    let id = der::sequence(&[&der::octet_string(sha256), &issuer_serial]);
    attribute(
        oid::SIGNING_CERTIFICATE_V2,
        &der::sequence(&[&der::sequence(&[&id])]),
    )
}

/// `CMSAlgorithmProtection` (RFC 6211 §2).
pub fn algorithm_protection(named: &Named<'_>) -> Vec<u8> {
    let signature = named.signature.get(1..).unwrap_or_default();
    attribute(
        oid::CMS_ALGORITHM_PROTECTION,
        &der::sequence(&[named.digest, &[tag::constructed(1)], signature]),
    )
}

/// `SMIMEEncryptionKeyPreference`: the certificate that answers are to be encrypted to, by issuer and
/// serial number (RFC 8551 §2.5.3).
pub fn encryption_key_preference(issuer: &[u8], serial: &[u8]) -> Vec<u8> {
    attribute(
        oid::ENCRYPTION_KEY_PREFERENCE,
        &issuer_serial(tag::constructed(0), issuer, serial),
    )
}

fn attribute(kind: Oid<'_>, value: &[u8]) -> Vec<u8> {
    der::sequence(&[&der::oid(kind), &der::element(tag::SET, &[value])])
}

/// IssuerAndSerialNumber (RFC 5652 §10.2.4) under `tag`.
fn issuer_serial(tag: u8, issuer: &[u8], serial: &[u8]) -> Vec<u8> {
    der::element(tag, &[issuer, &der::element(tag::INTEGER, &[serial])])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::content::{Content, parse};
    use crate::cms::signers::SignerId;

    #[test]
    fn what_is_written_reads_back() {
        let (issuer, serial) = (der::sequence(&[]), [0x00, 0x9f, 0x01]);
        let digest = der::algorithm(oid::SHA256, None);
        let signature = der::algorithm(oid::RSA_ENCRYPTION, Some(&[tag::NULL, 0]));
        let named = Named {
            issuer: &issuer,
            serial: &serial,
            digest: &digest,
            signature: &signature,
        };
        let attributes = SignedAttributes::new(&[
            signing_time(1_795_392_000).unwrap(),
            content_type(),
            message_digest(&[7; 32]),
            smime_capabilities(&[oid::AES256_GCM, oid::AES128_CBC]),
            signing_certificate_v2(&[9; 32], &issuer, &serial),
            algorithm_protection(&named),
            encryption_key_preference(&issuer, &serial),
        ]);
        for content in [None, Some(&b"text"[..])] {
            let object = signed_data(content, &[], &named, &attributes, &[1, 2, 3]);
            let Content::Signed(data) = parse(&object).unwrap().content else {
                panic!()
            };
            assert_eq!(
                data.content.map(|octets| octets.cow().to_vec()).as_deref(),
                content
            );
            let [signer] = &data.signers[..] else {
                panic!()
            };
            assert!(matches!(signer.sid, SignerId::IssuerSerial { serial: s, .. } if s == serial));
            assert_eq!(&*signer.signature, [1, 2, 3]);
            let read = signer.signed_attributes.unwrap();
            assert_eq!(read.to_be_signed().concat(), attributes.to_be_signed());
            assert_eq!(read.reencoded_der(), attributes.to_be_signed());
            assert!(read.is_well_formed());
            assert_eq!(read.iter().count(), 7);
            assert_eq!(read.signing_time().unwrap(), Some(1_795_392_000));
            assert_eq!(read.content_type().unwrap(), Some(oid::DATA));
            let capabilities = read.smime_capabilities().unwrap();
            let names: Vec<_> = capabilities.iter().map(|one| one.oid).collect();
            assert_eq!(names, [oid::AES256_GCM, oid::AES128_CBC]);
        }
    }
}
