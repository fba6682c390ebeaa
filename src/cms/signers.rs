//! Who signed, and how (RFC 5652 §5.3).

use std::borrow::Cow;

use super::attributes::Attributes;
use super::ber::{Malformed, Reader, Tlv, room_in, tag};
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
            room_in(&all)?;
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::cms::content::{Content, parse};
    use crate::cms::oid;
    use crate::cms::peer::{has_openssl, openssl};

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    /// OpenSSL signs, and OpenSSL's plain `dgst -verify` accepts the signature over what we say
    /// was signed.
    #[test]
    fn what_was_signed_is_what_openssl_signed() {
        if !has_openssl() {
            return;
        }
        let key = openssl(
            &[
                "genpkey",
                "-algorithm",
                "RSA",
                "-pkeyopt",
                "rsa_keygen_bits:2048",
            ],
            &[],
        )
        .unwrap();
        let key = file(&key);
        let key = key.path().to_str().unwrap();
        let certificate = openssl(
            &["req", "-x509", "-new", "-key", key, "-subj", "/CN=s"],
            &[],
        )
        .unwrap();
        let certificate = file(&certificate);
        let certificate = certificate.path().to_str().unwrap();
        let public = openssl(&["pkey", "-in", key, "-pubout"], &[]).unwrap();
        let public = file(&public);
        let sign = [
            "cms", "-sign", "-binary", "-outform", "DER", "-md", "sha256", "-inkey", key, "-signer",
        ];
        let text = b"signed content";
        for options in [
            &["-nodetach"][..],
            &["-keyid", "-nodetach", "-stream"],
            &[],
            &["-noattr"],
        ] {
            let object = openssl(&[&sign[..], &[certificate], options].concat(), text).unwrap();
            let Content::Signed(signed) = parse(&object).unwrap().content else {
                panic!()
            };
            let [signer] = &signed.signers[..] else {
                panic!()
            };
            assert_eq!(signed.certificates.len(), 1);
            assert_eq!(
                matches!(signer.sid, SignerId::Ski(_)),
                options.contains(&"-keyid")
            );
            assert_eq!(signed.content.is_some(), options.contains(&"-nodetach"));
            if let Some(content) = signed.content {
                assert_eq!(*content.cow(), *text);
            }
            let to_be_signed = match &signer.signed_attributes {
                None => text.to_vec(),
                Some(attributes) => {
                    assert_eq!(attributes.content_type().unwrap(), Some(oid::DATA));
                    assert_eq!(attributes.message_digest().unwrap().unwrap().len(), 32);
                    assert!(attributes.signing_time().unwrap().unwrap() > 1_700_000_000);
                    assert!(
                        attributes
                            .smime_capabilities()
                            .unwrap()
                            .lists(oid::AES256_CBC)
                    );
                    assert_eq!(
                        attributes.reencoded_der(),
                        attributes.to_be_signed().concat()
                    );
                    attributes.to_be_signed().concat()
                }
            };
            assert_eq!(signer.signed_attributes.is_none(), options == ["-noattr"]);
            let signature = file(&signer.signature);
            let signature = signature.path().to_str().unwrap();
            let verify = [
                "dgst",
                "-sha256",
                "-verify",
                public.path().to_str().unwrap(),
                "-signature",
                signature,
            ];
            assert!(openssl(&verify, &to_be_signed).is_some(), "{options:?}");
            assert!(openssl(&verify, b"something else").is_none());
        }
    }
}
