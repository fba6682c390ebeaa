//! SignedData and content → one result per SignerInfo (RFC 5652 §5.4–5.6, RFC 8551 §3.1).
//!
//! Signed attributes are hashed as they came on the wire. A mailbox may have changed a message's
//! line ends or quoted its `From ` lines; each such reading of the content is tried after the
//! canonical one and, where it is what was signed, says so with a reason.

use std::borrow::Cow;
use std::sync::Arc;

use crate::cert::cache::CertCache;
use crate::cert::certificate::Certificate;
use crate::cert::pool::Pool;
use crate::cms::ber::{Tlv, tag};
use crate::cms::oid;
use crate::cms::{AlgorithmIdentifier, Attributes, SignedData, SignerId, SignerInfo};
use crate::crypto::digest::{self, Digest};
use crate::crypto::signature::{self, Signed};
use crate::crypto::{PublicKey, Unsupported};
use crate::message::transfer;
use crate::ops::outcome::{Integrity, Reason};

/// The bytes a signature is to be held against.
#[derive(Debug, Clone, Copy)]
pub enum Covered<'a> {
    /// Content inside the SignedData itself.
    Opaque(&'a [u8]),
    /// The first part of a `multipart/signed`, headers included.
    Detached {
        /// The entity as stored.
        entity: &'a [u8],
        /// Where its body starts.
        body: usize,
        /// Whether the mailbox quotes `From ` lines.
        quoting: bool,
        /// Whether the entity's transfer encoding is `binary`.
        binary: bool,
    },
    /// A detached signature without its content.
    Missing,
}

/// What one SignerInfo amounts to, but for its chain.
#[derive(Debug, Clone)]
pub struct SignerCheck {
    /// The signer's certificate, where it was found.
    pub certificate: Option<Arc<Certificate>>,
    /// What the mathematics says.
    pub integrity: Integrity,
    /// Attributes or content break a rule that makes the signature `invalid`, intact or not.
    pub malformed: bool,
    /// Why `integrity` and `malformed` are what they are, and notes.
    pub reasons: Vec<Reason>,
    /// Such as `sha256`.
    pub digest: String,
    /// Such as `rsa-pkcs1`.
    pub algorithm: String,
    /// Claimed, Unix seconds.
    pub signing_time: Option<i64>,
}

/// Content up to this size is read in every way that mailboxes are known to change it.
const MOST_COPIED: usize = 32 << 20;

/// A reading of the content, and the reason that tells it from the canonical one.
type Reading<'a> = (Cow<'a, [u8]>, Option<&'static str>);

/// Checks every SignerInfo of `data` against `content`. `pool` holds certificates known from
/// elsewhere; `carried` are those of the message.
pub fn signers(
    data: &SignedData<'_>,
    content: Covered<'_>,
    carried: &[Arc<Certificate>],
    pool: &Pool,
) -> Vec<SignerCheck> {
    let mut readings = Readings::new(content);
    data.signers
        .iter()
        .map(|signer| {
            let candidates = signer_certificates(&signer.sid, carried, pool);
            let mut check = SignerCheck {
                certificate: candidates.first().cloned(),
                integrity: Integrity::Unchecked,
                malformed: false,
                reasons: Vec::new(),
                digest: signer.digest.oid.label(),
                algorithm: signature::name(&signer.signature_algorithm),
                signing_time: None,
            };
            if data.content.is_some() && matches!(content, Covered::Detached { .. }) {
                check.malformed = true;
                check.reasons.push("content-conflict".into());
            }
            check_signer(&mut check, &candidates, signer, data, &mut readings);
            check
        })
        .collect()
}

/// Certificates of a SignedData, decoded; unreadable ones are passed over.
pub fn certificates(data: &SignedData<'_>, cache: &CertCache) -> Vec<Arc<Certificate>> {
    decoded(data.certificates.iter().copied(), cache)
}

/// Those of `ders` that can be read. One of more than 256 KiB is no person's: it is passed over.
pub fn decoded<'a>(
    ders: impl Iterator<Item = &'a [u8]>,
    cache: &CertCache,
) -> Vec<Arc<Certificate>> {
    const LARGEST: usize = 256 << 10;
    ders.filter(|der| der.len() <= LARGEST)
        .filter_map(|der| cache.get(der))
        .collect()
}

/// The certificates that a SignerInfo names. There may be several: anyone can make one with
/// another's issuer and serial and put it in front of the real one, so the one counts whose key
/// made the signature.
fn signer_certificates(
    sid: &SignerId<'_>,
    carried: &[Arc<Certificate>],
    pool: &Pool,
) -> Vec<Arc<Certificate>> {
    /// Verifications that one SignerInfo may cost.
    const MOST: usize = 8;
    let named = |certificate: &&Arc<Certificate>| match sid {
        SignerId::IssuerSerial { issuer, serial } => {
            certificate.matches_issuer_serial(issuer, serial)
        }
        SignerId::Ski(ski) => certificate.ski.as_deref() == Some(ski),
    };
    let known = match sid {
        SignerId::IssuerSerial { issuer, serial } => {
            pool.by_issuer_serial(issuer, serial).into_iter().collect()
        }
        SignerId::Ski(ski) => pool.by_ski(ski),
    };
    // What the administrator named is as good as what the message brings, and cannot be crowded out.
    let mut found: Vec<Arc<Certificate>> = Vec::new();
    for certificate in known
        .into_iter()
        .take(MOST / 2)
        .chain(carried.iter().filter(named).cloned())
    {
        if found.len() < MOST && !found.iter().any(|have| have.sha256 == certificate.sha256) {
            found.push(certificate);
        }
    }
    found
}

fn check_signer(
    check: &mut SignerCheck,
    candidates: &[Arc<Certificate>],
    signer: &SignerInfo<'_>,
    data: &SignedData<'_>,
    readings: &mut Readings<'_>,
) {
    if signer.unsigned_attributes.is_some_and(holds_signed_only) {
        malformed(check);
    }
    let Some(digest) = Digest::from_oid(signer.digest.oid) else {
        check.reasons.push("unsupported-algorithm".into());
        return;
    };
    if readings.is_empty() {
        check.reasons.push("content-missing".into());
        return;
    }
    match &signer.signed_attributes {
        Some(attributes) => check_attributes(
            check, candidates, signer, attributes, data, digest, readings,
        ),
        None => check_content_alone(check, candidates, signer, digest, readings),
    }
}

fn check_attributes(
    check: &mut SignerCheck,
    candidates: &[Arc<Certificate>],
    signer: &SignerInfo<'_>,
    attributes: &Attributes<'_>,
    data: &SignedData<'_>,
    digest: Digest,
    readings: &mut Readings<'_>,
) {
    match attributes.signing_time() {
        Ok(time) => check.signing_time = time,
        Err(_) => malformed(check),
    }
    match attributes.content_type() {
        Ok(Some(content_type)) if content_type == data.content_type => {}
        _ => malformed(check),
    }
    let Ok(Some(expected)) = attributes.message_digest() else {
        malformed(check);
        check.integrity = Integrity::Broken;
        return;
    };
    let Some(notes) = readings.matching(digest, &expected) else {
        check.integrity = Integrity::Broken;
        check.reasons.push("digest-mismatch".into());
        return;
    };
    check.reasons.extend(notes);
    let wire = attributes.to_be_signed();
    let encoded = attributes.reencoded_der();
    let verify = |key: &PublicKey, bytes: &[&[u8]]| {
        let algorithm = &signer.signature_algorithm;
        signature::verify(
            key,
            algorithm,
            digest,
            Signed::Bytes(bytes),
            &signer.signature,
        )
    };
    let verdict = first_that_signed(check, candidates, |key| {
        if verify(key, &wire)? {
            Ok(Some(Vec::new()))
        } else if encoded != wire.concat() && verify(key, &[&encoded])? {
            Ok(Some(vec!["attributes-reencoded".into()]))
        } else {
            Ok(None)
        }
    });
    conclude(check, verdict);
}

/// Without signed attributes the signature is over the content itself. Content that is itself a
/// DER set of attributes could be another message's attributes passed off as content (the
/// confusion that RFC 5652 §11.1 leaves room for): never accepted.
fn check_content_alone(
    check: &mut SignerCheck,
    candidates: &[Arc<Certificate>],
    signer: &SignerInfo<'_>,
    digest: Digest,
    readings: &mut Readings<'_>,
) {
    if readings.any(is_attributes) {
        malformed(check);
        check.integrity = Integrity::Broken;
        return;
    }
    let algorithm = &signer.signature_algorithm;
    let verdict = first_that_signed(check, candidates, |key| {
        for reading in 0.. {
            let Some((value, label)) = readings.signed(algorithm, digest, reading) else {
                break;
            };
            if signature::verify(key, algorithm, digest, value.signed(), &signer.signature)? {
                return Ok(Some(label.into_iter().map(Reason::Borrowed).collect()));
            }
        }
        Ok(None)
    });
    conclude(check, verdict);
}

/// Tries the candidates' keys in turn; the certificate of the first one that signed becomes the
/// signer's. Gives the notes on how it signed, `None` where none did.
fn first_that_signed(
    check: &mut SignerCheck,
    candidates: &[Arc<Certificate>],
    mut signed: impl FnMut(&PublicKey) -> Result<Option<Vec<Reason>>, Unsupported>,
) -> Result<Option<Vec<Reason>>, &'static str> {
    let mut trouble = Some("no-certificate");
    for certificate in candidates {
        let Some(key) = certificate.public_key.as_ref() else {
            trouble = trouble.map(|_| "unsupported-algorithm");
            continue;
        };
        match signed(key) {
            Ok(Some(notes)) => {
                check.certificate = Some(Arc::clone(certificate));
                return Ok(Some(notes));
            }
            Ok(None) => trouble = None,
            Err(_) => trouble = trouble.map(|_| "unsupported-algorithm"),
        }
    }
    trouble.map_or(Ok(None), Err)
}

fn conclude(check: &mut SignerCheck, verdict: Result<Option<Vec<Reason>>, &'static str>) {
    match verdict {
        Ok(Some(notes)) => {
            check.integrity = Integrity::Intact;
            check.reasons.extend(notes);
        }
        Ok(None) => {
            check.integrity = Integrity::Broken;
            check.reasons.push("signature-mismatch".into());
        }
        Err(reason) => check.reasons.push(reason.into()),
    }
}

/// Content type, message digest and signing time must be signed (RFC 5652 §11.1–11.3).
fn holds_signed_only(unsigned: Attributes<'_>) -> bool {
    [oid::CONTENT_TYPE, oid::MESSAGE_DIGEST, oid::SIGNING_TIME]
        .into_iter()
        .any(|attribute| !unsigned.values(attribute).is_empty())
}

/// Whether `content` is the DER of signed attributes.
fn is_attributes(content: &[u8]) -> bool {
    Tlv::only(content).is_ok_and(|tlv| {
        tlv.tag == tag::SET && matches!(Attributes::from_tlv(tlv).message_digest(), Ok(Some(_)))
    })
}

fn malformed(check: &mut SignerCheck) {
    check.malformed = true;
    if !check
        .reasons
        .iter()
        .any(|reason| reason == "attributes-malformed")
    {
        check.reasons.push("attributes-malformed".into());
    }
}

/// A reading as it goes into the mathematics.
enum SignedReading<'a> {
    Hash(&'a [u8]),
    Bytes([&'a [u8]; 1]),
}

impl SignedReading<'_> {
    fn signed(&self) -> Signed<'_> {
        match self {
            Self::Hash(value) => Signed::Prehashed(value),
            Self::Bytes(bytes) => Signed::Bytes(bytes),
        }
    }
}

/// The readings of a content, made only as far as they are asked for.
struct Readings<'a> {
    content: Covered<'a>,
    made: Vec<Reading<'a>>,
    complete: bool,
    /// Digests of the readings, by algorithm and index.
    digests: Vec<(Digest, usize, Vec<u8>)>,
}

impl<'a> Readings<'a> {
    fn new(content: Covered<'a>) -> Self {
        let (made, complete) = match content {
            Covered::Opaque(bytes) => (vec![(Cow::Borrowed(bytes), None)], true),
            Covered::Detached { entity, .. } => (vec![(transfer::to_crlf(entity), None)], false),
            Covered::Missing => (Vec::new(), true),
        };
        Self {
            content,
            made,
            complete,
            digests: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.made.is_empty()
    }

    /// Whether `holds` of any reading.
    fn any(&mut self, holds: impl Fn(&[u8]) -> bool) -> bool {
        self.make_others();
        self.made.iter().any(|(bytes, _)| holds(bytes))
    }

    /// What a signature without attributes is over in one reading, hashed once for all signers
    /// unless the algorithm takes only the bytes.
    fn signed(
        &mut self,
        algorithm: &AlgorithmIdentifier<'_>,
        digest: Digest,
        index: usize,
    ) -> Option<(SignedReading<'_>, Option<&'static str>)> {
        let (_, label) = self.get(index)?;
        if signature::needs_bytes(algorithm) {
            let (bytes, _) = self.made.get(index)?;
            return Some((SignedReading::Bytes([bytes]), label));
        }
        Some((SignedReading::Hash(self.digest_of(digest, index)?), label))
    }

    fn get(&mut self, index: usize) -> Option<(&[u8], Option<&'static str>)> {
        if index > 0 {
            self.make_others();
        }
        self.made
            .get(index)
            .map(|(bytes, label)| (&**bytes, *label))
    }

    /// What is to be said of the first reading whose digest is `expected`; `None` where no
    /// reading's is.
    fn matching(&mut self, digest: Digest, expected: &[u8]) -> Option<Vec<Reason>> {
        let mut index = 0;
        while self.get(index).is_some() {
            if self.digest_of(digest, index)? == expected {
                return self
                    .made
                    .get(index)
                    .map(|(_, label)| label.iter().copied().map(Reason::Borrowed).collect());
            }
            index += 1;
        }
        None
    }

    fn digest_of(&mut self, digest: Digest, index: usize) -> Option<&[u8]> {
        let known = self
            .digests
            .iter()
            .position(|(d, i, _)| *d == digest && *i == index);
        let at = if let Some(at) = known {
            at
        } else {
            let (bytes, _) = self.made.get(index)?;
            let value = digest::hash(digest, std::iter::once(&**bytes));
            self.digests.push((digest, index, value));
            self.digests.len() - 1
        };
        self.digests.get(at).map(|(_, _, value)| value.as_slice())
    }

    fn make_others(&mut self) {
        if self.complete {
            return;
        }
        self.complete = true;
        let Covered::Detached {
            entity,
            body,
            quoting,
            binary,
        } = self.content
        else {
            return;
        };
        let mut add = |bytes: Cow<'a, [u8]>, label| {
            if !self.made.iter().any(|(known, _)| *known == bytes) {
                self.made.push((bytes, label));
            }
        };
        // Copies of a very large content would cost more memory than a rare repair is worth.
        if entity.len() > MOST_COPIED {
            add(Cow::Borrowed(entity), Some("line-ends-changed"));
            return;
        }
        // Content-Transfer-Encoding: binary: only the header is canonicalised (RFC 8551 §3.1.1).
        let (head, rest) = entity.split_at(body.min(entity.len()));
        let label = (!binary).then_some("line-ends-changed");
        add(
            Cow::Owned([&*transfer::to_crlf(head), rest].concat()),
            label,
        );
        if quoting && let Some(unquoted) = transfer::unquote_from(entity) {
            add(
                Cow::Owned(transfer::to_crlf(&unquoted).into_owned()),
                Some("from-quoted-signature"),
            );
        }
        add(Cow::Borrowed(entity), Some("line-ends-changed"));
        if memchr::memchr(b'\r', entity).is_some() {
            add(Cow::Owned(lf_only(entity)), Some("line-ends-changed"));
        }
    }
}

fn lf_only(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memmem::find(rest, b"\r\n") {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out
}
