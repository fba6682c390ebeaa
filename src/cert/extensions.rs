//! What a certificate's extensions say of its use (RFC 5280 §4.2), by a walk over the DER.

use super::der::{Reader, Tlv, dotted};
use crate::cms::Capabilities;

/// Beyond this many names or purposes a certificate's list is cut; nobody has as many addresses.
const LIST_CAP: usize = 1_000;

/// The bits of the keyUsage extension (RFC 5280 §4.2.1.3); bit 0 is `digitalSignature`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyUsage(u16);

impl KeyUsage {
    /// `digitalSignature`.
    pub const DIGITAL_SIGNATURE: Self = Self(1);
    /// `nonRepudiation`, later called contentCommitment.
    pub const NON_REPUDIATION: Self = Self(1 << 1);
    /// `keyEncipherment`: RSA recipients.
    pub const KEY_ENCIPHERMENT: Self = Self(1 << 2);
    /// `keyAgreement`: EC recipients.
    pub const KEY_AGREEMENT: Self = Self(1 << 4);
    /// `keyCertSign`.
    pub const KEY_CERT_SIGN: Self = Self(1 << 5);
    /// `cRLSign`.
    pub const CRL_SIGN: Self = Self(1 << 6);

    const NAMES: [&'static str; 9] = [
        "digitalSignature",
        "nonRepudiation",
        "keyEncipherment",
        "dataEncipherment",
        "keyAgreement",
        "keyCertSign",
        "cRLSign",
        "encipherOnly",
        "decipherOnly",
    ];

    /// Whether any bit of `other` is set.
    pub fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets together.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// RFC 5280's names of the set bits.
    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .into_iter()
            .enumerate()
            .filter(move |(bit, _)| self.0 >> bit & 1 == 1)
            .map(|(_, name)| name)
    }
}

/// The extensions that p7mill reads itself; path validation reads them again in OpenSSL.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    pub(super) ski: Option<Vec<u8>>,
    pub(super) aki: Option<Vec<u8>>,
    pub(super) key_usage: Option<KeyUsage>,
    /// Purposes by RFC 5280's names, others dotted; `None` where the extension is absent.
    pub(super) purposes: Option<Vec<String>>,
    pub(super) purposes_critical: bool,
    pub(super) is_ca: Option<bool>,
    /// rfc822Name and `SmtpUTF8Mailbox`, as they stand.
    pub(super) addresses: Vec<String>,
    /// `SMIMECapabilities` (RFC 4262), where they are a list.
    pub(super) capabilities: Option<Capabilities>,
}

/// Reads the `Extensions` SEQUENCE (its whole TLV). A malformed or doubled extension among those
/// read makes the certificate unreadable: what it permits would be anybody's guess.
pub(super) fn read(tlv: &[u8]) -> Result<Extensions, &'static str> {
    let mut list = Reader::new(
        Reader::new(tlv)
            .expect(0x30)
            .ok_or("malformed extensions")?
            .body,
    );
    let mut found = Extensions::default();
    let mut seen = 0_u8;
    while !list.is_empty() {
        let (oid, critical, value) = extension(&mut list).ok_or("malformed extensions")?;
        let which = match oid {
            // Not what the certificate permits: what is wrong in it is left out.
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 15] => {
                found.capabilities = Capabilities::parse(value);
                continue;
            }
            [0x55, 0x1d, 14] => 0,
            [0x55, 0x1d, 15] => 1,
            [0x55, 0x1d, 17] => 2,
            [0x55, 0x1d, 19] => 3,
            [0x55, 0x1d, 35] => 4,
            [0x55, 0x1d, 37] => 5,
            _ => continue,
        };
        if seen >> which & 1 == 1 {
            return Err("an extension twice");
        }
        seen |= 1 << which;
        let mut value = Reader::new(value);
        let read = match which {
            0 => value
                .expect(4)
                .map(|ski| found.ski = Some(ski.body.to_vec())),
            1 => value
                .expect(3)
                .and_then(key_usage)
                .map(|usage| found.key_usage = Some(usage)),
            2 => value
                .expect(0x30)
                .and_then(|names| alternative_names(names.body))
                .map(|a| found.addresses = a),
            3 => value
                .expect(0x30)
                .and_then(basic_constraints)
                .map(|is_ca| found.is_ca = Some(is_ca)),
            4 => value.expect(0x30).map(|aki| {
                found.aki = Reader::new(aki.body)
                    .expect(0x80)
                    .map(|id| id.body.to_vec());
            }),
            _ => value
                .expect(0x30)
                .and_then(|list| purposes(list.body))
                .map(|p| {
                    found.purposes = Some(p);
                    found.purposes_critical = critical;
                }),
        };
        read.ok_or("a malformed extension")?;
    }
    Ok(found)
}

/// OID, criticality and value of the next extension.
fn extension<'a>(list: &mut Reader<'a>) -> Option<(&'a [u8], bool, &'a [u8])> {
    let mut fields = Reader::new(list.expect(0x30)?.body);
    let oid = fields.expect(6)?.body;
    let critical = fields
        .optional(1)
        .is_some_and(|value| value.body.first().is_some_and(|byte| *byte != 0));
    Some((oid, critical, fields.expect(4)?.body))
}

fn key_usage(bits: Tlv<'_>) -> Option<KeyUsage> {
    let (unused, bytes) = bits.body.split_first()?;
    if *unused > 7 {
        return None;
    }
    let mut usage = 0_u16;
    for (i, byte) in bytes.iter().take(2).enumerate() {
        usage |= u16::from(byte.reverse_bits()) << (8 * i);
    }
    Some(KeyUsage(usage & 0x1ff))
}

fn basic_constraints(sequence: Tlv<'_>) -> Option<bool> {
    let mut fields = Reader::new(sequence.body);
    match fields.peek() {
        Some(1) => fields.next()?.body.first().map(|value| *value != 0),
        _ => Some(false),
    }
}

fn purposes(list: &[u8]) -> Option<Vec<String>> {
    let mut list = Reader::new(list);
    let mut found = Vec::new();
    while !list.is_empty() && found.len() < LIST_CAP {
        let name = match list.expect(6)?.body {
            [0x2b, 6, 1, 5, 5, 7, 3, 1] => "serverAuth".to_owned(),
            [0x2b, 6, 1, 5, 5, 7, 3, 2] => "clientAuth".to_owned(),
            [0x2b, 6, 1, 5, 5, 7, 3, 3] => "codeSigning".to_owned(),
            [0x2b, 6, 1, 5, 5, 7, 3, 4] => "emailProtection".to_owned(),
            [0x2b, 6, 1, 5, 5, 7, 3, 8] => "timeStamping".to_owned(),
            [0x2b, 6, 1, 5, 5, 7, 3, 9] => "OCSPSigning".to_owned(),
            [0x55, 0x1d, 37, 0] => "anyExtendedKeyUsage".to_owned(),
            other => dotted(other),
        };
        found.push(name);
    }
    Some(found)
}

/// rfc822Names ([1], RFC 5280 §4.2.1.6) and `SmtpUTF8Mailbox`es (otherName, RFC 9598).
fn alternative_names(list: &[u8]) -> Option<Vec<String>> {
    let mut list = Reader::new(list);
    let mut found = Vec::new();
    while !list.is_empty() && found.len() < LIST_CAP {
        let name = list.next()?;
        match name.tag {
            0x81 => found.extend(
                std::str::from_utf8(name.body)
                    .ok()
                    .filter(|t| t.is_ascii())
                    .map(str::to_owned),
            ),
            0xa0 => found.extend(utf8_mailbox(name.body)),
            _ => {}
        }
    }
    Some(found)
}

fn utf8_mailbox(other_name: &[u8]) -> Option<String> {
    let mut fields = Reader::new(other_name);
    (fields.expect(6)?.body == [0x2b, 6, 1, 5, 5, 7, 8, 9]).then_some(())?;
    let text = Reader::new(fields.expect(0xa0)?.body).expect(0x0c)?.body;
    std::str::from_utf8(text).ok().map(str::to_owned)
}
