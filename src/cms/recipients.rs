//! For whom a content-encryption key was wrapped (RFC 5652 §6.2).

use std::borrow::Cow;

use super::ber::{Malformed, Reader, Tlv, room_in, tag};
use super::octets::Octets;
use super::oid::{self, AlgorithmIdentifier, Oid};

/// One RecipientInfo.
#[derive(Debug, Clone)]
pub enum RecipientInfo<'a> {
    /// Key transport: the key is encrypted to a public key (§6.2.1).
    Ktri {
        /// 0 or 2; noted, not checked.
        version: u64,
        /// Whose key.
        rid: RecipientId<'a>,
        /// How.
        algorithm: AlgorithmIdentifier<'a>,
        /// The wrapped key.
        encrypted_key: Cow<'a, [u8]>,
    },
    /// Key agreement with the keys of one or more recipients (§6.2.2).
    Kari {
        /// The sender's side of the agreement.
        originator: Originator<'a>,
        /// User keying material.
        ukm: Option<Cow<'a, [u8]>>,
        /// Agreement and key derivation; its parameters name the key wrap.
        algorithm: AlgorithmIdentifier<'a>,
        /// Each recipient and the key wrapped for them.
        recipients: Vec<(RecipientId<'a>, Cow<'a, [u8]>)>,
    },
    /// A symmetric key that both sides have (§6.2.3).
    Kekri {
        /// Which.
        key_id: Cow<'a, [u8]>,
        /// How the key is wrapped.
        algorithm: AlgorithmIdentifier<'a>,
        /// The wrapped key.
        encrypted_key: Cow<'a, [u8]>,
    },
    /// A password (§6.2.4).
    Pwri {
        /// How the password becomes a key; absent where the key is known otherwise.
        kdf: Option<AlgorithmIdentifier<'a>>,
        /// How the key is wrapped.
        algorithm: AlgorithmIdentifier<'a>,
        /// The wrapped key.
        encrypted_key: Cow<'a, [u8]>,
    },
    /// Anything else (§6.2.5), such as a key encapsulation (RFC 9629).
    Ori {
        /// What it is.
        oid: Oid<'a>,
        /// The whole element that says the rest, where there is one.
        value: Option<&'a [u8]>,
    },
}

/// How a recipient's certificate is named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RecipientId<'a> {
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

/// Whose key the sender brought into a key agreement.
#[derive(Debug, Clone)]
pub enum Originator<'a> {
    /// One made for this message.
    PublicKey {
        /// Of which kind; for EC keys the parameters may be absent, which means the recipient's curve.
        algorithm: AlgorithmIdentifier<'a>,
        /// The BIT STRING's bytes.
        bits: &'a [u8],
    },
    /// That of a certificate, by issuer and serial number.
    IssuerSerial {
        /// The Name's whole element.
        issuer: &'a [u8],
        /// The INTEGER's body.
        serial: &'a [u8],
    },
    /// That of a certificate, by subject key identifier.
    Ski(Cow<'a, [u8]>),
}

/// Issuer and serial number from the body of an IssuerAndSerialNumber (§10.2.4).
pub(super) fn issuer_serial<'a>(tlv: &Tlv<'a>) -> Result<(&'a [u8], &'a [u8]), Malformed> {
    let mut reader = tlv.reader();
    let issuer = reader
        .require(tag::SEQUENCE, "no issuer where one belongs")?
        .raw;
    let serial = reader
        .require(tag::INTEGER, "no serial number where one belongs")?
        .body;
    reader.finish("issuer and serial number with something more")?;
    Ok((issuer, serial))
}

/// The bytes of the next element, an OCTET STRING in either form.
pub(super) fn octets<'a>(
    reader: &mut Reader<'a>,
    what: &'static str,
) -> Result<Octets<'a>, Malformed> {
    match reader.peek() {
        Some(tag::OCTET_STRING | tag::OCTET_STRING_CONSTRUCTED) => {
            Octets::from_tlv(&reader.read()?)
        }
        _ => Err(Malformed(what)),
    }
}

impl<'a> RecipientInfo<'a> {
    /// Reads every RecipientInfo of a SET's body.
    pub(super) fn read_all(mut reader: Reader<'a>) -> Result<Vec<Self>, Malformed> {
        let mut all = Vec::new();
        while !reader.is_empty() {
            room_in(&all)?;
            all.push(Self::from_tlv(&reader.read()?)?);
        }
        Ok(all)
    }

    fn from_tlv(tlv: &Tlv<'a>) -> Result<Self, Malformed> {
        const KARI: u8 = tag::constructed(1);
        const KEKRI: u8 = tag::constructed(2);
        const PWRI: u8 = tag::constructed(3);
        const ORI: u8 = tag::constructed(4);
        let mut reader = tlv.reader();
        let info = match tlv.tag {
            tag::SEQUENCE => Self::key_transport(&mut reader),
            KARI => Self::key_agreement(&mut reader),
            KEKRI => Self::shared_key(&mut reader),
            PWRI => Self::password(&mut reader),
            ORI => Self::other(&mut reader),
            _ => Err(Malformed("unknown kind of recipient")),
        }?;
        reader.finish("recipient with something more")?;
        Ok(info)
    }

    fn key_transport(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(Self::Ktri {
            version: reader.version("recipient without a version")?,
            rid: RecipientId::from_tlv(&reader.read()?)?,
            algorithm: AlgorithmIdentifier::read(reader)?,
            encrypted_key: encrypted_key(reader)?,
        })
    }

    fn key_agreement(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        reader.version("recipient without a version")?;
        let originator =
            reader.require(tag::constructed(0), "key agreement without an originator")?;
        let originator = Originator::from_tlv(&Tlv::only(originator.body)?)?;
        let ukm = match reader.optional(tag::constructed(1))? {
            None => None,
            Some(wrapper) => {
                let mut inside = wrapper.reader();
                let ukm = octets(&mut inside, "keying material is no octet string")?.cow();
                inside.finish("keying material with something more")?;
                Some(ukm)
            }
        };
        let algorithm = AlgorithmIdentifier::read(reader)?;
        let mut keys = reader
            .require(tag::SEQUENCE, "key agreement without recipients")?
            .reader();
        let mut recipients = Vec::new();
        while !keys.is_empty() {
            let mut key = keys
                .require(tag::SEQUENCE, "key agreement with a malformed recipient")?
                .reader();
            let rid = RecipientId::from_key_agreement(&key.read()?)?;
            room_in(&recipients)?;
            recipients.push((rid, encrypted_key(&mut key)?));
            key.finish("recipient with something more")?;
        }
        Ok(Self::Kari {
            originator,
            ukm,
            algorithm,
            recipients,
        })
    }

    fn shared_key(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        reader.version("recipient without a version")?;
        // A date and other attributes may follow the identifier; nobody can use them.
        let mut id = reader
            .require(tag::SEQUENCE, "shared key without an identifier")?
            .reader();
        Ok(Self::Kekri {
            key_id: octets(&mut id, "shared key without an identifier")?.cow(),
            algorithm: AlgorithmIdentifier::read(reader)?,
            encrypted_key: encrypted_key(reader)?,
        })
    }

    fn password(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        reader.version("recipient without a version")?;
        let kdf = reader.optional(tag::constructed(0))?;
        Ok(Self::Pwri {
            kdf: kdf
                .map(|kdf| AlgorithmIdentifier::from_body(kdf.body))
                .transpose()?,
            algorithm: AlgorithmIdentifier::read(reader)?,
            encrypted_key: encrypted_key(reader)?,
        })
    }

    fn other(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let oid = Oid::read(reader)?;
        let value = if reader.is_empty() {
            None
        } else {
            Some(reader.read()?.raw)
        };
        Ok(Self::Ori { oid, value })
    }

    /// How the content-encryption key is wrapped; none where that is not for CMS to say.
    pub fn algorithm(&self) -> Option<&AlgorithmIdentifier<'a>> {
        match self {
            Self::Ktri { algorithm, .. }
            | Self::Kari { algorithm, .. }
            | Self::Kekri { algorithm, .. }
            | Self::Pwri { algorithm, .. } => Some(algorithm),
            Self::Ori { .. } => None,
        }
    }
}

/// What a key encapsulation says of itself (RFC 9629 §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kem<'a> {
    /// Whose key.
    pub rid: RecipientId<'a>,
    /// The key encapsulation mechanism.
    pub algorithm: AlgorithmIdentifier<'a>,
}

impl<'a> RecipientInfo<'a> {
    /// The key encapsulation that an `ori` is, where it is one whose beginning can be read.
    pub fn kem(&self) -> Option<Kem<'a>> {
        let Self::Ori { oid, value } = self else {
            return None;
        };
        if *oid != oid::ORI_KEM {
            return None;
        }
        let mut reader = Tlv::only((*value)?).ok()?.reader();
        reader.version("").ok()?;
        Some(Kem {
            rid: RecipientId::from_tlv(&reader.read().ok()?).ok()?,
            algorithm: AlgorithmIdentifier::read(&mut reader).ok()?,
        })
    }
}

fn encrypted_key<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, [u8]>, Malformed> {
    Ok(octets(reader, "recipient without an encrypted key")?.cow())
}

impl<'a> RecipientId<'a> {
    /// `issuerAndSerialNumber`, or `[0]` subject key identifier.
    fn from_tlv(tlv: &Tlv<'a>) -> Result<Self, Malformed> {
        const SKI: u8 = tag::primitive(0);
        const SKI_IN_PIECES: u8 = tag::constructed(0);
        match tlv.tag {
            tag::SEQUENCE => {
                let (issuer, serial) = issuer_serial(tlv)?;
                Ok(Self::IssuerSerial { issuer, serial })
            }
            SKI | SKI_IN_PIECES => Ok(Self::Ski(Octets::from_tlv(tlv)?.cow())),
            _ => Err(Malformed("recipient without an identifier")),
        }
    }

    /// `issuerAndSerialNumber`, or `[0]` `RecipientKeyIdentifier`, whose date and other attributes
    /// are of no use here.
    fn from_key_agreement(tlv: &Tlv<'a>) -> Result<Self, Malformed> {
        if tlv.tag == tag::constructed(0) {
            let mut reader = tlv.reader();
            return Ok(Self::Ski(
                octets(&mut reader, "recipient without a key identifier")?.cow(),
            ));
        }
        Self::from_tlv(tlv)
    }
}

impl<'a> Originator<'a> {
    fn from_tlv(tlv: &Tlv<'a>) -> Result<Self, Malformed> {
        if tlv.tag == tag::constructed(1) {
            let mut reader = tlv.reader();
            let algorithm = AlgorithmIdentifier::read(&mut reader)?;
            let bits = reader
                .require(tag::BIT_STRING, "originator without a public key")?
                .body;
            reader.finish("originator with something more")?;
            let Some((0, bits)) = bits.split_first() else {
                return Err(Malformed("originator's public key is not made of bytes"));
            };
            return Ok(Self::PublicKey { algorithm, bits });
        }
        Ok(match RecipientId::from_tlv(tlv)? {
            RecipientId::IssuerSerial { issuer, serial } => Self::IssuerSerial { issuer, serial },
            RecipientId::Ski(ski) => Self::Ski(ski),
        })
    }
}
