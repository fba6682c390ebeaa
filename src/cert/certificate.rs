//! One certificate: whose it is, how long it holds, what it may be used for.

use std::collections::HashSet;
use std::sync::Arc;

use openssl::pkey::{PKey, Public};
use openssl::rsa::Rsa;
use openssl::x509::X509;

use super::der::{Reader, time};
use super::extensions::{self, Extensions, KeyUsage};
use super::{key, name};
use crate::cms::Capabilities;

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
            addresses: addresses(&extensions.addresses, fields.subject),
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

/// Whether two mail addresses are the same for a signature's sake: without regard to ASCII case.
///
/// The domain never has case. Of the local part RFC 5280 says two things: an `emailAddress` is
/// "not case-sensitive" (§4.1.2.6), an rfc822Name is compared exactly (§7.5). Archives hold
/// `Jane.Doe@` and `jane.doe@` for one mailbox throughout, and no mail system in use keeps two
/// mailboxes apart by case alone, so the tolerant reading is taken for both.
///
/// An internationalised domain is the same in Unicode and in its ASCII form (`xn--`, RFC 5890
/// §2.3.2.1), as a `SmtpUTF8Mailbox` (RFC 9598 §5) and a From field may each have either. Other
/// letters than ASCII's are compared as they are but for case: what only looks alike is not alike.
pub fn same_address(a: &str, b: &str) -> bool {
    if a.eq_ignore_ascii_case(b) {
        return true;
    }
    if a.is_ascii() && b.is_ascii() {
        return false;
    }
    match (a.rsplit_once('@'), b.rsplit_once('@')) {
        (Some((local_a, domain_a)), Some((local_b, domain_b))) => {
            local_a.eq_ignore_ascii_case(local_b)
                && super::idn::ascii_domain(domain_a)
                    .zip(super::idn::ascii_domain(domain_b))
                    .is_some_and(|(a, b)| a == b)
        }
        _ => false,
    }
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

/// The `AlgorithmIdentifier` of a `SubjectPublicKeyInfo`'s body.
fn oaep_algorithm(spki: &[u8]) -> Option<Vec<u8>> {
    Some(Reader::new(spki).expect(0x30)?.raw.to_vec())
}

/// The RSA key in a `SubjectPublicKeyInfo`'s body, whatever its algorithm is called.
fn rsa_key(spki: &[u8]) -> Option<PKey<Public>> {
    let mut fields = Reader::new(spki);
    fields.expect(0x30)?;
    let numbers = fields.expect(3)?.body.get(1..)?;
    PKey::from_rsa(Rsa::public_key_from_der_pkcs1(numbers).ok()?).ok()
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::cert::testing::{Pki, Spec};

    #[test]
    fn only_a_critical_purpose_of_its_own_stamps_times() {
        let pki = Pki::new();
        pki.issue(&Spec::root("root"));
        for (name, purposes, expected) in [
            ("good", "critical,timeStamping", true),
            ("lax", "timeStamping", false),
            ("more", "critical,timeStamping,emailProtection", false),
            ("mail", "critical,emailProtection", false),
            ("none", "", false),
        ] {
            let spec = Spec::leaf(name, "root").extension("extendedKeyUsage", purposes);
            assert_eq!(pki.issue(&spec).can_stamp_times(), expected, "{name}");
        }
    }

    #[test]
    fn what_a_mail_certificate_says() {
        let pki = Pki::new();
        let root = pki.issue(&Spec::root("root"));
        let names = "email:Ann.B@Example.COM,email:ann.b@example.com,email:not an address,\
                     otherName:1.3.6.1.5.5.7.8.9;UTF8:utf8@example.org,DNS:example.net";
        let leaf =
            Spec::leaf("ann", "root").subject("/C=DE/CN=Ann B/emailAddress=second@EXAMPLE.com");
        let leaf = pki.issue(&leaf.extension("subjectAltName", names));
        assert_eq!(
            leaf.addresses,
            [
                "Ann.B@example.com",
                "utf8@example.org",
                "second@example.com"
            ]
        );
        assert!(leaf.has_address("ANN.b@EXAMPLE.com") && !leaf.has_address("ann.b@example.org"));
        assert_eq!(
            leaf.subject,
            "emailAddress=second@EXAMPLE.com,CN=Ann B,C=DE"
        );
        assert_eq!(leaf.display_name(), "Ann.B@example.com");
        assert_eq!(
            (leaf.key_name.as_str(), leaf.signature.as_str()),
            ("ec-p256", "sha256-ecdsa")
        );
        assert_eq!(
            leaf.usages,
            [
                "digitalSignature",
                "keyEncipherment",
                "keyAgreement",
                "emailProtection"
            ]
        );
        assert_eq!(
            (leaf.not_before, leaf.not_after),
            (1_577_836_800, 1_640_995_200)
        );
        assert!(
            leaf.can_sign_mail()
                && leaf.can_encrypt_mail()
                && !leaf.is_ca
                && !leaf.is_self_signed()
        );
        assert!(root.is_ca && root.is_self_signed());
        assert_eq!(root.display_name(), "root");
        assert!(leaf.matches_issuer_serial(&root.subject_der, &leaf.serial));
        assert!(!leaf.matches_issuer_serial(&root.subject_der, &root.serial));
    }

    #[test]
    fn the_der_kept_is_the_certificate_alone() {
        let pki = Pki::new();
        let root = pki.issue(&Spec::root("root"));
        let longer = [&root.der, b"more".as_slice()].concat();
        let again = Certificate::decode(&longer).unwrap();
        assert_eq!(
            (again.der.as_ref(), again.sha256),
            (root.der.as_ref(), root.sha256)
        );
    }

    #[test]
    fn cut_and_altered_certificates_do_not_panic() {
        let pki = Pki::new();
        let leaf = pki.issue(&Spec::leaf("leaf", {
            pki.issue(&Spec::root("root"));
            "root"
        }));
        for end in 0..leaf.der.len() {
            assert!(Certificate::decode(&leaf.der[..end]).is_err(), "{end}");
        }
        let mut altered = leaf.der.to_vec();
        for at in 0..altered.len() {
            for value in [0, 0x30, 0x80, 0xff, leaf.der[at] ^ 1] {
                altered[at] = value;
                let _ = Certificate::decode(&altered);
            }
            altered[at] = leaf.der[at];
        }
    }

    #[test]
    fn an_address_with_a_nul_or_a_line_end_is_dropped() {
        for bad in [
            "a@b.c\0@evil",
            "a@b\r\nBcc: c@d",
            "no-at",
            "@b",
            "a@",
            "a b@c",
            "",
        ] {
            assert_eq!(clean_address(bad), None, "{bad:?}");
        }
        assert_eq!(
            clean_address(" A@B.Example ").as_deref(),
            Some("A@b.example")
        );
    }

    #[test]
    fn a_key_too_big_is_named_and_not_used() {
        let pki = Pki::new();
        // 2048 bits, and an exponent of 66 bits.
        let options = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
        let exponent = [
            "-pkeyopt",
            "rsa_keygen_pubexp:36893488147419103233",
            "-out",
            "big.key",
        ];
        pki.openssl(&[&["genpkey"], options.as_slice(), exponent.as_slice()].concat());
        let big = pki.issue(&Spec::root("own").key_of("big"));
        assert_eq!(big.key_name, "rsa-2048");
        assert!(big.public_key.is_none() && !big.can_encrypt_mail() && !big.is_self_signed());
    }

    /// Every certificate of `../shared/corpora`, against what `openssl x509` says of it. Skipped
    /// where the corpora are not there.
    #[test]
    fn openssl_says_the_same_of_every_certificate_of_the_corpora() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora");
        if !corpora.is_dir() {
            return;
        }
        let pki = Pki::new();
        let mut compared = 0;
        for entry in walkdir::WalkDir::new(&corpora)
            .sort_by_file_name()
            .into_iter()
            .flatten()
        {
            let path = entry.path();
            let extension = path
                .extension()
                .and_then(|e| e.to_str())
                .unwrap_or_default();
            if !matches!(extension, "pem" | "crt" | "der" | "cer") || !entry.file_type().is_file() {
                continue;
            }
            for certificate in crate::cert::trust::certificates_in(&std::fs::read(path).unwrap()) {
                crate::fsio::write_atomic(&pki.path("x.der"), |out| {
                    out.write_all(&certificate.der)
                })
                .unwrap();
                let output = Command::new("openssl")
                    .args([
                        "x509",
                        "-inform",
                        "DER",
                        "-in",
                        "x.der",
                        "-noout",
                        "-nameopt",
                        "RFC2253,-esc_msb",
                    ])
                    .args([
                        "-serial", "-subject", "-issuer", "-dateopt", "iso_8601", "-dates",
                        "-email",
                    ])
                    .current_dir(pki.path(""))
                    .output()
                    .unwrap();
                let text = String::from_utf8(output.stdout).unwrap();
                let mut lines = text.lines();
                let mut field = |prefix: &str| {
                    lines
                        .next()
                        .unwrap()
                        .strip_prefix(prefix)
                        .unwrap()
                        .to_owned()
                };
                let serial = field("serial=").to_lowercase();
                // A negative one is shown by OpenSSL as minus its amount, here as it is encoded.
                let negative = serial.starts_with('-');
                let ours = certificate.serial_hex();
                assert!(negative || serial.trim_start_matches('0') == ours.trim_start_matches('0'));
                let (subject, issuer) =
                    (respelled(&field("subject=")), respelled(&field("issuer=")));
                // Microsoft's names that OpenSSL knows are no registered descriptors.
                if !subject.contains("jurisdiction") {
                    assert_eq!(subject, certificate.subject, "{}", path.display());
                    assert_eq!(issuer, certificate.issuer, "{}", path.display());
                }
                // The end of 9999, "never", is past the last time that jiff reads.
                let time = |text: String| match text.as_str() {
                    "9999-12-31 23:59:59Z" => 253_402_300_799,
                    text => crate::text::parse_rfc3339(&text.replace(' ', "T")).unwrap(),
                };
                assert_eq!(time(field("notBefore=")), certificate.not_before);
                assert_eq!(time(field("notAfter=")), certificate.not_after);
                let theirs: HashSet<String> = lines.filter_map(clean_address).collect();
                let ours: HashSet<String> = certificate.addresses.iter().cloned().collect();
                assert_eq!(ours, theirs, "{}", path.display());
                compared += 1;
            }
        }
        assert!(compared > 200, "{compared}");
    }

    /// OpenSSL's short names in RFC 4519's spelling, and hex in lower case.
    fn respelled(name: &str) -> String {
        let mut out = format!(",{name}");
        for (theirs, ours) in [
            ("SN=", "sn="),
            ("GN=", "givenName="),
            ("street=", "STREET="),
        ] {
            out = out.replace(&format!(",{theirs}"), &format!(",{ours}"));
            out = out.replace(&format!("+{theirs}"), &format!("+{ours}"));
        }
        let mut pieces = out.split("=#").map(str::to_owned).collect::<Vec<_>>();
        for piece in pieces.iter_mut().skip(1) {
            let digits = piece.find([',', '+']).unwrap_or(piece.len());
            piece[..digits].make_ascii_lowercase();
        }
        pieces.join("=#").split_off(1)
    }
}
