//! One certificate: whose it is, how long it holds, what it may be used for.

use std::collections::HashSet;
use std::sync::Arc;

use openssl::pkey::{PKey, Public};
use openssl::x509::X509;

use super::der::{Reader, time};
use super::extensions::{self, Extensions, KeyUsage};
use super::{key, name};

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
}

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
        let public_key = if key.acceptable {
            x509.public_key().ok()
        } else {
            None
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
            addresses: addresses(&extensions.addresses, fields.subject),
            key_name: key.name,
            signature: fields.signature,
            usages,
            is_ca: (extensions.is_ca == Some(true) && may_sign) || old_root,
            key_usage: extensions.key_usage,
            x509,
            public_key,
            ski: extensions.ski,
            aki: extensions.aki,
            subject_key,
            issuer_key,
            purposes: extensions.purposes,
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

    /// The serial number as reports show it: lower-case hex.
    pub fn serial_hex(&self) -> String {
        crate::text::hex(significant(&self.serial))
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

/// A serial number without the zero bytes in front that only BER writers add.
pub(super) fn significant(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    serial
        .get(zeros.min(serial.len().saturating_sub(1))..)
        .unwrap_or_default()
}

/// Whether two mail addresses are the same for a signature's sake: without regard to ASCII case.
///
/// The domain never has case. Of the local part RFC 5280 says two things: an `emailAddress` is
/// "not case-sensitive" (§4.1.2.6), an rfc822Name is compared exactly (§7.5). Archives hold
/// `Jane.Doe@` and `jane.doe@` for one mailbox throughout, and no mail system in use keeps two
/// mailboxes apart by case alone, so the tolerant reading is taken for both.
pub fn same_address(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// `address` with its domain in lower case; `None` where it is no plain address: no `@`, an
/// empty side, white space or a control character (NUL above all) in it, or over 1,000 bytes.
pub fn clean_address(address: &str) -> Option<String> {
    let address = address.trim();
    let (local, domain) = address.rsplit_once('@')?;
    let odd = |c: char| c.is_control() || c.is_whitespace();
    if local.is_empty() || domain.is_empty() || address.len() > 1_000 || address.contains(odd) {
        return None;
    }
    Some(format!("{local}@{}", domain.to_ascii_lowercase()))
}

fn addresses(alternative_names: &[String], subject: &[u8]) -> Vec<String> {
    let mut seen = HashSet::new();
    let in_subject = name::email_addresses(subject);
    alternative_names
        .iter()
        .chain(&in_subject)
        .filter_map(|address| clean_address(address))
        .filter(|address| seen.insert(address.to_ascii_lowercase()))
        .collect()
}

/// The parts of a `Certificate` SEQUENCE's body (RFC 5280 §4.1).
struct Fields<'a> {
    version: u8,
    serial: &'a [u8],
    signature: String,
    issuer: &'a [u8],
    not_before: i64,
    not_after: i64,
    subject: &'a [u8],
    spki: &'a [u8],
    extensions: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn read(certificate: &'a [u8]) -> Option<Self> {
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
