//! SignedData and content → one result per SignerInfo (RFC 5652 §5.4–5.6, RFC 8551 §3.1).
//!
//! Signed attributes are hashed as they came on the wire. A mailbox may have changed a message's
//! line ends or quoted its `From ` lines; each such reading of the content is tried after the
//! canonical one and, where it is what was signed, says so with a reason. What is tolerated and
//! what is not stands in `docs/reference/leniency.md`.

use std::sync::Arc;

use crate::cert::cache::CertCache;
use crate::cert::certificate::Certificate;
use crate::cms::ber::{Tlv, tag};
use crate::cms::claims::Claims;
use crate::cms::oid;
use crate::cms::{Attributes, Oid, SignedData, SignerInfo};
use crate::crypto::digest::Digest;
use crate::crypto::signature::{self, Held, Signed};
use crate::crypto::{PublicKey, Unsupported};
use crate::limits::{Budget, LimitExceeded};
use crate::ops::outcome::{Integrity, Reason};

use super::claims;
use super::readings::Readings;
pub use super::readings::{Covered, LargeCovered, LargeDetached};
pub use super::signer::Known;

/// What one SignerInfo amounts to, but for its chain.
#[derive(Debug, Clone)]
pub struct SignerCheck {
    /// The signer's certificate, where it was found.
    pub certificate: Option<Arc<Certificate>>,
    /// What the key is called, where the certificate does not tell: `dsa-1024` for a key whose
    /// parameters are the issuer's.
    pub key_name: Option<String>,
    /// What the mathematics says.
    pub integrity: Integrity,
    /// Attributes or content break a rule that makes the signature `invalid`, intact or not.
    pub malformed: bool,
    /// Why `integrity` and `malformed` are what they are, and notes.
    pub reasons: Vec<Reason>,
    /// Such as `sha256`.
    pub digest: String,
    /// The digest that the signature algorithm names, where that is another one.
    pub other_digest: Option<&'static str>,
    /// Such as `rsa-pkcs1`.
    pub algorithm: String,
    /// Claimed, Unix seconds.
    pub signing_time: Option<i64>,
}

impl SignerCheck {
    /// Before anything is known but what the SignerInfo says.
    pub(super) fn of(signer: &SignerInfo<'_>, candidates: &[Arc<Certificate>]) -> Self {
        Self {
            certificate: candidates.first().cloned(),
            key_name: None,
            integrity: Integrity::Unchecked,
            malformed: false,
            reasons: Vec::new(),
            digest: Digest::from_algorithm(&signer.digest)
                .map_or_else(|| signer.digest.oid.label(), |digest| digest.name().into()),
            other_digest: None,
            algorithm: signature::name(&signer.signature_algorithm),
            signing_time: None,
        }
    }

    /// Makes the signature `invalid`, with a reason.
    pub(super) fn invalid(&mut self, reason: &'static str) {
        self.malformed = true;
        self.note(reason);
    }

    /// Adds a reason, once.
    pub(super) fn note(&mut self, reason: &'static str) {
        if !self.reasons.iter().any(|known| known == reason) {
            self.reasons.push(reason.into());
        }
    }
}

/// Checks every SignerInfo of `data` against `content`, and pays for what it hashes.
pub fn signers(
    data: &SignedData<'_>,
    content: Covered<'_>,
    known: Known<'_>,
    budget: &mut Budget,
) -> Result<Vec<SignerCheck>, LimitExceeded> {
    let mut readings = Readings::new(content, budget.hashed_left());
    let mut others = claims::Others::new(&data.signers);
    let checks = data
        .signers
        .iter()
        .map(|signer| {
            let candidates = known.named(&signer.sid);
            let mut check = SignerCheck::of(signer, &candidates);
            if data.content.is_some() && content.is_detached() {
                check.invalid("content-conflict");
            }
            if data.content_type == oid::RECEIPT {
                check.note("signed-receipt");
            }
            let mut checking = Checking {
                signer,
                candidates,
                known,
                content_type: Some(data.content_type),
                readings: &mut readings,
            };
            if let Some(claims) = checking.run(&mut check) {
                claims::check(&mut check, &claims, signer);
                others.check(&mut check, &claims, signer);
            }
            check
        })
        .collect();
    budget.hashed_bytes(readings.spent())?;
    Ok(checks)
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

/// How a key signed, `None` where it did not.
type Notes = Option<Vec<Reason>>;

/// One SignerInfo, and what its signature is held against.
pub(super) struct Checking<'c, 'r, 'a> {
    pub(super) signer: &'c SignerInfo<'a>,
    pub(super) candidates: Vec<Arc<Certificate>>,
    pub(super) known: Known<'c>,
    /// The type that the content-type attribute has to name; `None` for a countersignature, which
    /// must not have the attribute (RFC 5652 §11.4).
    pub(super) content_type: Option<Oid<'c>>,
    pub(super) readings: &'c mut Readings<'r>,
}

impl<'a> Checking<'_, '_, 'a> {
    /// Fills in `check`, and gives the claims of the signed attributes, where there are any.
    pub(super) fn run(&mut self, check: &mut SignerCheck) -> Option<Claims<'a>> {
        let signer = self.signer;
        if signer.unsigned_attributes.is_some_and(holds_signed_only) {
            check.invalid("attributes-malformed");
        }
        let claims = signer.signed_attributes.as_ref().map(Claims::read);
        let Some(digest) = Digest::from_algorithm(&signer.digest) else {
            check.note("unsupported-algorithm");
            return claims;
        };
        let named = signature::named_digest(&signer.signature_algorithm);
        check.other_digest = named.filter(|named| *named != digest).map(Digest::name);
        if self.readings.is_empty() {
            // Nothing is proven, and the claim is there all the same.
            let time = claims.as_ref().map(Claims::signing_time);
            check.signing_time = time.and_then(Result::ok).flatten().map(|(at, _)| at);
            check.note("content-missing");
            return claims;
        }
        match (&signer.signed_attributes, &claims) {
            (Some(attributes), Some(claims)) => {
                self.attributes(check, attributes, claims, digest);
            }
            _ => self.content_alone(check, digest),
        }
        claims
    }

    fn attributes(
        &mut self,
        check: &mut SignerCheck,
        attributes: &Attributes<'_>,
        claims: &Claims<'_>,
        digest: Digest,
    ) {
        match claims.signing_time() {
            Ok(time) => {
                check.signing_time = time.map(|(at, _)| at);
                if time.is_some_and(|(_, as_asked)| !as_asked) {
                    check.note("signing-time-form");
                }
            }
            Err(_) => check.invalid("attributes-malformed"),
        }
        if claims.content_type() != Ok(self.content_type) || claims.problem().is_some() {
            check.invalid("attributes-malformed");
        }
        let Ok(Some(expected)) = claims.message_digest() else {
            check.invalid("attributes-malformed");
            check.integrity = Integrity::Broken;
            return;
        };
        let Some(notes) = self.readings.matching(digest, &expected) else {
            check.integrity = Integrity::Broken;
            check.note("digest-mismatch");
            return;
        };
        check.reasons.extend(notes);
        if !claims.is_ordered() {
            check.note("attributes-unordered");
        }
        // One key may stand in several certificates: the one that the signer means comes first.
        if self.candidates.len() > 1 {
            self.candidates
                .sort_by_key(|certificate| !claims::names(claims, certificate));
        }
        let wire = attributes.to_be_signed();
        let length = wire.iter().map(|piece| piece.len()).sum();
        // As they came and, where that is something else, in DER.
        if self
            .readings
            .pay(length, 2 * self.candidates.len())
            .is_none()
        {
            return;
        }
        let signer = self.signer;
        let held = |key: &PublicKey, bytes: &[&[u8]]| {
            let algorithm = &signer.signature_algorithm;
            signature::held(
                key,
                algorithm,
                digest,
                Signed::Bytes(bytes),
                &signer.signature,
            )
        };
        let mut encoded = None;
        let verdict = self.first_that_signed(check, |key| match held(key, &wire)? {
            Held::Yes => Ok(Some(Vec::new())),
            Held::Leniently(note) => Ok(Some(vec![note.into()])),
            Held::Not => {
                let encoded = encoded.get_or_insert_with(|| attributes.reencoded_der());
                if *encoded == wire.concat() {
                    return Ok(None);
                }
                Ok(match held(key, &[encoded])? {
                    Held::Not => None,
                    Held::Yes => Some(vec!["attributes-reencoded".into()]),
                    Held::Leniently(note) => Some(vec!["attributes-reencoded".into(), note.into()]),
                })
            }
        });
        conclude(check, verdict);
    }

    /// Without signed attributes the signature is over the content itself. That is for plain data
    /// only (RFC 5652 §5.3). Content that is itself a DER set of attributes could be another
    /// message's attributes passed off as content (the confusion that RFC 5652 §11.1 leaves room
    /// for): never accepted.
    fn content_alone(&mut self, check: &mut SignerCheck, digest: Digest) {
        if self.content_type.is_some_and(|kind| kind != oid::DATA) {
            check.invalid("attributes-malformed");
        }
        let takes_bytes = signature::needs_bytes(&self.signer.signature_algorithm, digest);
        if self.readings.are_large() && takes_bytes {
            check.note("limit-message");
            return;
        }
        if self.readings.attributes(is_attributes) {
            check.invalid("attributes-malformed");
            check.integrity = Integrity::Broken;
            return;
        }
        let signer = self.signer;
        let algorithm = &signer.signature_algorithm;
        let readings = &mut *self.readings;
        let mut try_all = |key: &PublicKey| {
            for reading in 0.. {
                let Some((value, label)) = readings.signed(algorithm, digest, reading) else {
                    break;
                };
                let held =
                    signature::held(key, algorithm, digest, value.signed(), &signer.signature)?;
                let note = match held {
                    Held::Not => continue,
                    Held::Yes => None,
                    Held::Leniently(note) => Some(note),
                };
                return Ok(Some(
                    label.into_iter().chain(note).map(Into::into).collect(),
                ));
            }
            Ok(None)
        };
        let verdict = first_that_signed(&self.candidates, self.known, check, &mut try_all);
        conclude(check, verdict);
    }

    fn first_that_signed(
        &self,
        check: &mut SignerCheck,
        mut signed: impl FnMut(&PublicKey) -> Result<Notes, Unsupported>,
    ) -> Result<Notes, &'static str> {
        first_that_signed(&self.candidates, self.known, check, &mut signed)
    }
}

/// Tries the candidates' keys in turn; the certificate of the first one that signed becomes the
/// signer's. Gives the notes on how it signed, `None` where none did.
fn first_that_signed(
    candidates: &[Arc<Certificate>],
    known: Known<'_>,
    check: &mut SignerCheck,
    signed: &mut dyn FnMut(&PublicKey) -> Result<Notes, Unsupported>,
) -> Result<Notes, &'static str> {
    let mut trouble = Some("no-certificate");
    for certificate in candidates {
        let Some((key, name)) = known.key(certificate) else {
            let why = if certificate.inherits_parameters() {
                "key-parameters-missing"
            } else {
                "unsupported-algorithm"
            };
            trouble = trouble.map(|_| why);
            continue;
        };
        match signed(&key) {
            Ok(Some(notes)) => {
                check.certificate = Some(Arc::clone(certificate));
                check.key_name = name;
                return Ok(Some(notes));
            }
            Ok(None) => trouble = None,
            Err(_) => trouble = trouble.map(|_| "unsupported-algorithm"),
        }
    }
    trouble.map_or(Ok(None), Err)
}

fn conclude(check: &mut SignerCheck, verdict: Result<Notes, &'static str>) {
    match verdict {
        Ok(Some(notes)) => {
            check.integrity = Integrity::Intact;
            check.reasons.extend(notes);
        }
        Ok(None) => {
            check.integrity = Integrity::Broken;
            check.note("signature-mismatch");
        }
        Err(reason) => check.note(reason),
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
