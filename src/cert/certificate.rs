//! One certificate: whose it is, how long it holds, what it may be used for.

use std::sync::Arc;

use openssl::pkey::{PKey, Public};
use openssl::x509::X509;

use super::address::{self, same_address};
use super::der::Reader;
use super::extensions::{self, Extensions, KeyUsage};
use super::{key, name};
use crate::cms::Capabilities;
use fields::{Fields, oaep_algorithm, rsa_key};

mod fields;

/// Certificates beyond this many bytes are not decoded; logos and post-quantum keys fit well.
const MAX_BYTES: usize = 1 << 20;

/// A certificate (RFC 5280), decoded once and shared.
pub struct Certificate {
    /// Exactly the certificate's TLV.
    pub der: Arc<[u8]>,
    /// SHA-256 of `der`.
    pub sha256: [u8; 32],
    /// RFC 4514.
    pub subject: String,
    /// RFC 4514.
    pub issuer: String,
    /// The issuer's `Name`, whole TLV as encoded.
    pub issuer_der: Vec<u8>,
    /// The subject's `Name`, whole TLV as encoded.
    pub subject_der: Vec<u8>,
    /// The body of the serial number's INTEGER.
    pub serial: Vec<u8>,
    /// subjectKeyIdentifier, where the extension is there.
    pub ski: Option<Vec<u8>>,
    /// keyIdentifier of authorityKeyIdentifier, where it is there.
    pub aki: Option<Vec<u8>>,
    /// First valid second, Unix time.
    pub not_before: i64,
    /// Last valid second, Unix time.
    pub not_after: i64,
    /// rfc822Name and `SmtpUTF8Mailbox` of subjectAltName, then `emailAddress` of the subject; the
    /// domain in lower case, none twice. What is no address (a NUL in it, say) is left out.
    pub addresses: Vec<String>,
    /// Such as `rsa-2048` or `ec-p256`.
    pub key_name: String,
    /// How the issuer signed it, such as `sha256-rsa`.
    pub signature: String,
    /// The names of key usages, then of extended key usages; empty where neither extension is.
    pub usages: Vec<String>,
    /// May issue certificates: basicConstraints says so and keyUsage does not object, or it is a
    /// self-issued version 1 certificate, as old roots are.
    pub is_ca: bool,
    /// keyUsage, where the extension is there.
    pub key_usage: Option<KeyUsage>,
    /// What its owner's program reads, where the extension of RFC 4262 says so.
    pub capabilities: Option<Capabilities>,
    /// Of an RSA key that is for OAEP alone (`id-RSAES-OAEP`, RFC 4055 §4): its
    /// `AlgorithmIdentifier`, whose parameters bind whoever encrypts to it.
    pub oaep: Option<Vec<u8>>,
    /// As OpenSSL sees it.
    pub x509: X509,
    /// `None` where OpenSSL does not know the algorithm, or the key is out of bounds (RSA over
    /// 16,384 bits, an exponent over 64 bits, explicit curve parameters): nothing is computed
    /// with such a key, and what it signed cannot be checked.
    pub public_key: Option<PKey<Public>>,
    /// [`name::canonical`] of the subject.
    pub(super) subject_key: String,
    /// [`name::canonical`] of the issuer.
    pub(super) issuer_key: String,
    /// Extended key usages, where the extension is there.
    purposes: Option<Vec<String>>,
    /// Whether that extension is critical.
    purposes_critical: bool,
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.sha256 == other.sha256
    }
}

impl Eq for Certificate {}

/// Bytes that are no certificate, and why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unreadable certificate: {0}")]
pub struct Unreadable(pub &'static str);

impl Certificate {
    /// Decodes one DER certificate; bytes after it are left out of [`Certificate::der`].
    ///
    /// # Errors
    /// [`Unreadable`] where it is no certificate in DER, contradicts itself, or is over 1 MiB.
    pub fn decode(der: &[u8]) -> Result<Self, Unreadable> {
        let outer = Reader::new(der)
            .expect(0x30)
            .ok_or(Unreadable("no DER sequence"))?;
        if outer.raw.len() > MAX_BYTES {
            return Err(Unreadable("over 1 MiB"));
        }
        let fields = Fields::read(outer.body).ok_or(Unreadable("malformed structure"))?;
        let extensions = match fields.extensions {
            Some(tlv) => extensions::read(tlv).map_err(Unreadable)?,
            None => Extensions::default(),
        };
        let subject = name::rfc4514(fields.subject).ok_or(Unreadable("malformed subject"))?;
        let issuer = name::rfc4514(fields.issuer).ok_or(Unreadable("malformed issuer"))?;
        let key = key::describe(fields.spki).ok_or(Unreadable("malformed public key"))?;
        let x509 = X509::from_der(outer.raw).map_err(|_| Unreadable("refused by OpenSSL"))?;
        let oaep = key
            .name
            .starts_with("rsa-oaep")
            .then(|| oaep_algorithm(fields.spki))
            .flatten();
        let public_key = match &oaep {
            _ if !key.acceptable => None,
            // OpenSSL knows no such keys; the numbers are those of any RSA key.
            Some(_) => rsa_key(fields.spki),
            None => x509.public_key().ok(),
        };
        let subject_key = name::canonical(fields.subject).unwrap_or_default();
        let issuer_key = name::canonical(fields.issuer).unwrap_or_default();

        let old_root =
            fields.version == 0 && subject_key == issuer_key && fields.extensions.is_none();
        let may_sign = extensions
            .key_usage
            .is_none_or(|usage| usage.any(KeyUsage::KEY_CERT_SIGN));
        let mut usages: Vec<String> = extensions
            .key_usage
            .iter()
            .flat_map(|usage| usage.names())
            .map(str::to_owned)
            .collect();
        usages.extend(extensions.purposes.iter().flatten().cloned());
        Ok(Self {
            der: Arc::from(outer.raw),
            sha256: openssl::sha::sha256(outer.raw),
            subject,
            issuer,
            issuer_der: fields.issuer.to_vec(),
            subject_der: fields.subject.to_vec(),
            serial: fields.serial.to_vec(),
            not_before: fields.not_before,
            not_after: fields.not_after,
            addresses: address::addresses(&extensions.addresses, fields.subject),
            key_name: key.name,
            signature: fields.signature,
            usages,
            is_ca: (extensions.is_ca == Some(true) && may_sign) || old_root,
            key_usage: extensions.key_usage,
            capabilities: extensions.capabilities,
            oaep,
            x509,
            public_key,
            ski: extensions.ski,
            aki: extensions.aki,
            subject_key,
            issuer_key,
            purposes: extensions.purposes,
            purposes_critical: extensions.purposes_critical,
        })
    }

    /// Whether it may sign mail (RFC 8550 §4.4.2, §4.4.4): keyUsage absent or with
    /// `digitalSignature` or `nonRepudiation`, and [`Certificate::is_for_mail`].
    pub fn can_sign_mail(&self) -> bool {
        let signs = KeyUsage::DIGITAL_SIGNATURE.or(KeyUsage::NON_REPUDIATION);
        self.key_usage.is_none_or(|usage| usage.any(signs)) && self.is_for_mail()
    }

    /// Whether mail can be encrypted to it: its key is usable and of a kind that is encrypted to,
    /// keyUsage absent or with `keyEncipherment` (RSA) or `keyAgreement` (EC), and
    /// [`Certificate::is_for_mail`].
    pub fn can_encrypt_mail(&self) -> bool {
        let needed = match self.key_name.split_once('-') {
            Some(("rsa", rest)) if !rest.starts_with("pss") => KeyUsage::KEY_ENCIPHERMENT,
            Some(("ec", _)) => KeyUsage::KEY_AGREEMENT,
            _ if matches!(self.key_name.as_str(), "x25519" | "x448") => KeyUsage::KEY_AGREEMENT,
            _ => return false,
        };
        self.public_key.is_some()
            && self.key_usage.is_none_or(|usage| usage.any(needed))
            && self.is_for_mail()
    }

    /// Whether extendedKeyUsage is absent or names `emailProtection` or `anyExtendedKeyUsage`
    /// (RFC 8550 §4.4.4).
    pub fn is_for_mail(&self) -> bool {
        self.purposes.as_ref().is_none_or(|list| {
            list.iter()
                .any(|p| p == "emailProtection" || p == "anyExtendedKeyUsage")
        })
    }

    /// Whether it may stamp times (RFC 3161 §2.3): extendedKeyUsage names `timeStamping` and nothing
    /// else, and is critical; keyUsage is absent or lets it sign.
    pub fn can_stamp_times(&self) -> bool {
        let signs = KeyUsage::DIGITAL_SIGNATURE.or(KeyUsage::NON_REPUDIATION);
        self.key_usage.is_none_or(|usage| usage.any(signs))
            && self.purposes_critical
            && self
                .purposes
                .as_ref()
                .is_some_and(|list| list.len() == 1 && list.iter().all(|p| p == "timeStamping"))
    }

    /// Whether extendedKeyUsage is absent, as in most authorities, or names `timeStamping` or
    /// `anyExtendedKeyUsage`.
    pub fn is_for_stamps(&self) -> bool {
        self.purposes.as_ref().is_none_or(|list| {
            list.iter()
                .any(|p| p == "timeStamping" || p == "anyExtendedKeyUsage")
        })
    }

    /// Whether it is the one that an IssuerAndSerialNumber names: bytewise, or else by the same
    /// serial number and a name that differs in spelling only ([`name::canonical`]).
    pub fn matches_issuer_serial(&self, issuer_name_tlv: &[u8], serial: &[u8]) -> bool {
        significant(serial) == significant(&self.serial)
            && (issuer_name_tlv == self.issuer_der
                || name::canonical(issuer_name_tlv).is_some_and(|name| name == self.issuer_key))
    }

    /// Whether issuer and subject are the same name.
    pub fn is_self_issued(&self) -> bool {
        self.subject_key == self.issuer_key
    }

    /// Whether its own key signed it. One signature check.
    pub fn is_self_signed(&self) -> bool {
        self.is_self_issued()
            && self
                .public_key
                .as_ref()
                .is_some_and(|key| self.x509.verify(key).unwrap_or(false))
    }

    /// Whether its key is a DSA key without parameters, which are the issuer's then (RFC 3279
    /// §2.3.2). [`Certificate::public_key`] is `None` for such a one.
    pub fn inherits_parameters(&self) -> bool {
        self.key_name == "dsa"
    }

    /// Its key with the parameters of `issuer`'s, and what to call it; `None` unless `issuer` has
    /// this certificate's issuer as its name, and its key made this certificate's signature. Whoever
    /// could choose the parameters could make signatures for any key.
    pub fn key_inheriting_from(&self, issuer: &Self) -> Option<(PKey<Public>, String)> {
        let theirs = issuer.public_key.as_ref()?;
        let (_, size) = issuer.key_name.split_once("dsa-")?;
        if issuer.subject_key != self.issuer_key || !self.x509.verify(theirs).unwrap_or(false) {
            return None;
        }
        let own = Fields::read(Reader::new(&self.der).expect(0x30)?.body)?.spki;
        let issuers = Fields::read(Reader::new(&issuer.der).expect(0x30)?.body)?.spki;
        let spki = key::with_parameters_of(own, issuers)?;
        let key = PKey::public_key_from_der(&spki).ok()?;
        Some((key, format!("dsa-{size}")))
    }

    /// Whether one of its addresses is `address` (see [`same_address`]).
    pub fn has_address(&self, address: &str) -> bool {
        self.addresses.iter().any(|own| same_address(own, address))
    }

    /// What to call its subject: its first address, else its common name, else its name.
    pub fn display_name(&self) -> String {
        let first = self.addresses.first().cloned();
        first
            .or_else(|| name::common_name(&self.subject_der))
            .unwrap_or_else(|| self.subject.clone())
    }

    /// The serial number as reports show it (see [`serial_hex`]).
    pub fn serial_hex(&self) -> String {
        serial_hex(&self.serial)
    }

    /// PEM (RFC 7468): 64 columns, LF.
    pub fn pem(&self) -> String {
        pem(&self.der)
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.subject)
            .field("issuer", &self.issuer)
            .field("serial", &self.serial_hex())
            .finish_non_exhaustive()
    }
}

/// PEM (RFC 7468) of a DER certificate.
pub fn pem(der: &[u8]) -> String {
    let text = base64_simd::STANDARD.encode_to_string(der);
    let mut out = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        out.extend(line.iter().copied().map(char::from));
        out.push('\n');
    }
    out.push_str("-----END CERTIFICATE-----\n");
    out
}

/// A serial number (the body of its INTEGER) as reports show it: lower-case hex of its bytes,
/// without the zero byte that only keeps it positive. A negative one, which RFC 5280 §4.1.2.2
/// forbids and which occurs, is shown as it is encoded.
pub fn serial_hex(serial: &[u8]) -> String {
    crate::text::hex(significant(serial))
}

/// A serial number without the zero bytes in front, some of which only careless writers add.
pub(super) fn significant(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    serial
        .get(zeros.min(serial.len().saturating_sub(1))..)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
