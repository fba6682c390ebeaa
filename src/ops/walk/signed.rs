//! Signed layers: `multipart/signed` and opaque SignedData.

use std::borrow::Cow;
use std::sync::Arc;

use crate::bulk::Bulk;
use crate::cms;
use crate::cms::Octets;
use crate::cms::content::{Content, ContentInfo, SignedData};
use crate::cms::outline::LargeContent;
use crate::limits::LimitExceeded;
use crate::message::headers::Encoding;
use crate::message::parts::{Note, Tree};
use crate::smime::check::{self, Covered, Known, LargeCovered, LargeDetached};
use crate::smime::find::Beside;
use crate::smime::{countersign, find, timestamp};
use crate::text::hex;

use super::entity::{Entity, Mail, Place};
use super::large::{TOO_LARGE, View};
use super::{Walker, anew};
use crate::ops::outcome::{
    Action, CertificateFinding, Coverage, Integrity, SeenCertificate, SeenCrl,
};
use crate::ops::verify;

impl Walker<'_> {
    /// `multipart/signed` (RFC 8551 §3.5.3).
    pub(super) fn clear_signed(
        &mut self,
        mail: Mail<'_>,
        tree: &Tree<'_>,
        (index, content, signature): (usize, usize, usize),
        place: Place,
    ) -> Entity {
        let (Some(whole), Some(content_part), Some(signature_part)) = (
            tree.parts.get(index),
            tree.parts.get(content),
            tree.parts.get(signature),
        ) else {
            return Entity::plain();
        };
        if tree.stretch(&signature_part.body).is_some() {
            return Entity::limit(Some("clear-signed"), TOO_LARGE);
        }
        // What stands beside the signed part is shown with it, and nobody signed it.
        let parts_beside = whole.children.len() > 2 || find::is_container(signature_part);
        // One that was cut off may have held more.
        let cut = whole.note == Some(Note::Unclosed);
        let (object, in_signature) = find::object(tree, signature_part)
            .map_or((Cow::default(), Beside::Nothing), |found| {
                (found.bytes, found.beside)
            });
        let info = cms::parse(&object);
        let behind = info
            .as_ref()
            .map_or(Beside::Nothing, |info| find::behind(&object, info.trailing));
        let beside = anew::around(tree, whole)
            .max(anew::around(tree, signature_part))
            .max(in_signature)
            .max(behind);
        let below = place.below || parts_beside || cut;
        let place = Place { below, ..place }.beside(beside);
        let inner_place = match place.next_layer().signed() {
            inner if parts_beside => inner.part(),
            inner => inner,
        };
        let Ok(ContentInfo {
            content: Content::Signed(data),
            ..
        }) = &info
        else {
            let mut inner = self.part(mail, tree, content, inner_place);
            inner.keep_words(beside);
            return Entity {
                action: Action::Malformed,
                reason: Some("cms-malformed".into()),
                ..Entity::signed("clear-signed", Vec::new(), true, inner)
            };
        };
        let entity = tree
            .bytes
            .get(content_part.entity.clone())
            .unwrap_or_default();
        let body = content_part.body.start;
        let body = body.saturating_sub(content_part.entity.start);
        let binary = content_part.encoding == Encoding::Binary;
        let large = tree.stretch(&content_part.entity);
        let quoting = self.quoting && !place.decrypted;
        let covered = match &large {
            None => Covered::Detached {
                entity,
                body,
                quoting,
                binary,
            },
            Some(bytes) => Covered::Large(LargeCovered {
                bytes,
                detached: Some(LargeDetached {
                    body: body as u64,
                    quoting,
                    binary,
                }),
                trouble: self.trouble,
            }),
        };
        let signed = match self.signers(mail, data, covered, place) {
            Ok(signed) => signed,
            Err(limit) => return Entity::limit(Some("clear-signed"), limit),
        };
        let intact = self.any_intact(&signed);
        let mut inner = self.part(mail, tree, content, inner_place);
        inner.keep_words(beside);
        let len = |range| tree.real_len(range);
        let entity = len(&content_part.entity);
        let around = len(&whole.body).saturating_sub(entity + len(&signature_part.entity));
        let unsigned = unsigned_within(intact, &inner, entity);
        let more = parts_beside || cut || beside != Beside::Nothing;
        let unsigned_bytes = Some(unsigned + if more { around } else { 0 });
        Entity {
            unsigned_bytes,
            ..Entity::signed("clear-signed", signed, false, inner)
        }
    }

    /// `large` is its content, where that was too large to be in `data`.
    pub(super) fn opaque_signed(
        &mut self,
        mail: Mail<'_>,
        data: &SignedData<'_>,
        large: Option<&LargeContent>,
        place: Place,
    ) -> Entity {
        if let Some(large) = large {
            return self.large_opaque_signed(mail, data, large, place);
        }
        let content = match data.content.as_ref().map(|whole| self.in_one_piece(whole)) {
            None => None,
            Some(Ok(content)) => Some(content),
            Some(Err(limit)) => return Entity::limit(Some("opaque-signed"), limit),
        };
        if data.signers.is_empty() && content.as_ref().is_none_or(|content| content.is_empty()) {
            self.note_crls(&data.crls);
            return match self.note_certificates(data.certificates.iter().copied(), &[]) {
                Ok(()) => Entity::of("certs-only", Action::Kept, None),
                Err(limit) => Entity::limit(Some("certs-only"), limit),
            };
        }
        let covered = content.as_deref().map_or(Covered::Missing, Covered::Opaque);
        // A detached signature by itself covers nothing that is there.
        let below = place.below || content.is_none();
        let signed = match self.signers(mail, data, covered, Place { below, ..place }) {
            Ok(signed) => signed,
            Err(limit) => return Entity::limit(Some("opaque-signed"), limit),
        };
        let Some(content) = content else {
            return Entity::signed("clear-signed", signed, false, Entity::plain());
        };
        let intact = self.any_intact(&signed);
        let inner_place = place.next_layer().signed();
        let inner = match self.budget.expanded_bytes(content.len()) {
            Ok(()) if is_no_mail(data.content_type) => Entity::plain(),
            Ok(()) => self.content(mail, data.content_type, View::Whole(&content), inner_place),
            Err(limit) => Entity::limit(None, limit),
        };
        let unsigned_bytes = Some(unsigned_within(intact, &inner, content.len() as u64));
        Entity {
            unsigned_bytes,
            ..Entity::signed("opaque-signed", signed, data.signers.is_empty(), inner)
        }
    }

    fn large_opaque_signed(
        &mut self,
        mail: Mail<'_>,
        data: &SignedData<'_>,
        content: &LargeContent,
        place: Place,
    ) -> Entity {
        let bytes: Arc<dyn Bulk> = Arc::new(content.clone());
        let covered = Covered::Large(LargeCovered {
            bytes: &bytes,
            detached: None,
            trouble: self.trouble,
        });
        let signed = match self.signers(mail, data, covered, place) {
            Ok(signed) => signed,
            Err(limit) => return Entity::limit(Some("opaque-signed"), limit),
        };
        let intact = self.any_intact(&signed);
        let inner_place = place.next_layer().signed();
        let inner = match self.condense(bytes) {
            Ok(_) if is_no_mail(data.content_type) => Entity::plain(),
            Ok(condensed) => {
                let view = View::Condensed(&condensed);
                self.content(mail, data.content_type, view, inner_place)
            }
            Err(limit) => Entity::limit(None, limit),
        };
        let unsigned_bytes = Some(unsigned_within(intact, &inner, content.len()));
        Entity {
            unsigned_bytes,
            ..Entity::signed("opaque-signed", signed, data.signers.is_empty(), inner)
        }
    }

    /// The bytes of `whole`, paid for where they are copied.
    pub(super) fn in_one_piece<'d>(
        &mut self,
        whole: &Octets<'d>,
    ) -> Result<Cow<'d, [u8]>, LimitExceeded> {
        if whole.chunks().nth(1).is_some() {
            self.budget.copied_bytes(whole.len())?;
        }
        Ok(whole.cow())
    }

    /// Checks every SignerInfo, keeps the findings, and gives their indices.
    pub(super) fn signers(
        &mut self,
        mail: Mail<'_>,
        data: &SignedData<'_>,
        covered: Covered<'_>,
        place: Place,
    ) -> Result<Vec<usize>, LimitExceeded> {
        self.budget.signers(data.signers.len())?;
        self.budget.certificates(data.certificates.len())?;
        let first = self.findings.signatures.len();
        let carried = check::certificates(data, &self.context.cache);
        let known = Known {
            carried: &carried,
            pool: &self.context.pool,
        };
        let checks = check::signers(data, covered, known, &mut self.budget)?;
        let mut signed_by = Vec::new();
        let mut authorities = Vec::new();
        self.note_crls(&data.crls);
        for (signer, check) in data.signers.iter().zip(checks) {
            if let Some(certificate) = &check.certificate {
                signed_by.push((certificate.sha256, self.findings.signatures.len()));
            }
            // Nobody stamps more; each costs as much as a signature.
            let stamps = if signed_by.len() <= 10 {
                let (cache, pool) = (&self.context.cache, &self.context.pool);
                timestamp::stamps(signer, cache, pool, &mut self.budget)?
            } else {
                Vec::new()
            };
            let mut finding = verify::finding(
                self.context,
                mail.judged,
                signer,
                check,
                place.layer,
                place.coverage(),
            );
            finding.timestamps = stamps.iter().map(verify::timestamp).collect();
            if timestamp::has_others(signer) {
                finding.reasons.push("timestamp-not-used".into());
            }
            authorities.extend(stamps.into_iter().flat_map(|stamp| stamp.carried));
            self.findings.signatures.push(finding);
        }
        if data.signers.is_empty() {
            let finding = verify::nobody(self.context, mail.judged, place.layer, place.coverage());
            self.findings.signatures.push(finding);
        }
        let signed = (first..self.findings.signatures.len()).collect();
        // Rows of their own, which decide nothing.
        let mut left = countersign::MOST;
        for signer in &data.signers {
            let counters = countersign::signatures(signer, known, &mut left, &mut self.budget)?;
            for (counter, check) in counters {
                let finding = verify::finding(
                    self.context,
                    mail.judged,
                    &counter,
                    check,
                    place.layer,
                    Coverage::Partial,
                );
                self.findings.signatures.push(finding);
            }
        }
        self.remember(
            carried
                .iter()
                .chain(&authorities)
                .map(|certificate| (certificate.sha256, certificate.der.clone())),
            &signed_by,
        );
        Ok(signed)
    }

    pub(super) fn any_intact(&self, indices: &[usize]) -> bool {
        indices.iter().any(|index| {
            self.findings
                .signatures
                .get(*index)
                .is_some_and(|found| found.integrity == Integrity::Intact)
        })
    }

    pub(super) fn note_certificates<'d>(
        &mut self,
        ders: impl Iterator<Item = &'d [u8]> + Clone,
        signed_by: &[([u8; 32], usize)],
    ) -> Result<(), LimitExceeded> {
        self.budget.certificates(ders.clone().count())?;
        let decoded = check::decoded(ders, &self.context.cache);
        self.remember(
            decoded
                .iter()
                .map(|certificate| (certificate.sha256, certificate.der.clone())),
            signed_by,
        );
        Ok(())
    }

    /// Keeps revocation lists that the message carries; what is larger than a list that anyone
    /// sends along, or one of too many, is left out.
    pub(super) fn note_crls(&mut self, ders: &[&[u8]]) {
        const LARGEST: usize = 4 << 20;
        const MOST: usize = 16;
        for der in ders.iter().filter(|der| der.len() <= LARGEST) {
            let sha256 = crate::crypto::digest::sha256(der);
            let known = self.crls.iter().any(|known| known.sha256 == sha256);
            if !known && self.crls.len() < MOST {
                let der = std::sync::Arc::from(*der);
                self.crls.push(SeenCrl { sha256, der });
            }
        }
    }

    /// Keeps certificates that the message carries, and signers' certificates found elsewhere.
    pub(super) fn remember(
        &mut self,
        carried: impl Iterator<Item = ([u8; 32], std::sync::Arc<[u8]>)>,
        signed_by: &[([u8; 32], usize)],
    ) {
        for (digest, der) in carried {
            if !self.certificates.iter().any(|known| known.sha256 == digest) {
                self.certificates.push(SeenCertificate {
                    sha256: digest,
                    der,
                });
                self.findings.certificates.push(CertificateFinding {
                    sha256: hex(&digest),
                    signed: Vec::new(),
                });
            }
        }
        for (digest, index) in signed_by {
            let sha256 = hex(digest);
            match self
                .findings
                .certificates
                .iter_mut()
                .find(|known| known.sha256 == sha256)
            {
                Some(known) => known.signed.push(*index),
                None => self.findings.certificates.push(CertificateFinding {
                    sha256,
                    signed: vec![*index],
                }),
            }
        }
    }
}

/// What a signed layer leaves unsigned of its content of `len` bytes: where its own signature is
/// not intact, one inside may be.
fn unsigned_within(intact: bool, inner: &Entity, len: u64) -> u64 {
    if intact {
        0
    } else {
        inner.unsigned_bytes.unwrap_or(len)
    }
}

/// Whether signed content of this type is something else than mail: a receipt (RFC 2634 §2.8), a
/// time-stamp (RFC 3161), a hash of a program.
fn is_no_mail(content_type: cms::Oid<'_>) -> bool {
    matches!(
        content_type,
        cms::oid::RECEIPT | cms::oid::TST_INFO | cms::oid::SPC_INDIRECT_DATA
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::keys::KeyRing;
    use crate::limits::Limits;
    use crate::ops::outcome::Findings;
    use crate::ops::{Clock, Context, Input, Opening, Task, process};

    fn findings(bytes: &[u8], limits: Limits) -> Findings {
        let context = Context {
            limits,
            clock: Clock::Now,
            ..Context::new(Task::Mill(Opening::Keep), KeyRing::default(), 0)
        };
        process(&context, &Input::of(bytes)).findings
    }

    /// What the message comes to: its outcome and the reason.
    fn refused(bytes: &[u8], limits: Limits) -> Option<String> {
        let message = findings(bytes, limits).messages.remove(0);
        assert_ne!(message.form, "plain");
        (message.action == Action::Refused).then(|| message.reason.unwrap_or_default().into_owned())
    }

    fn tlv(tag: u8, pieces: &[&[u8]]) -> Vec<u8> {
        let body = pieces.concat();
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[tag, 0x82][..], &length, &body].concat()
    }

    /// A SignedData that nobody signed, around an OCTET STRING.
    fn signed_data(content: &[u8]) -> Vec<u8> {
        const SIGNED: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
        const DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
        let inside = if content.is_empty() {
            tlv(0x30, &[DATA])
        } else {
            tlv(0x30, &[DATA, &tlv(0xa0, &[content])])
        };
        let data = tlv(0x30, &[b"\x02\x01\x01\x31\x00", &inside, b"\x31\x00"]);
        tlv(0x30, &[SIGNED, &tlv(0xa0, &[&data])])
    }

    fn nested(layers: usize) -> Vec<u8> {
        let signature = base64_simd::STANDARD.encode_to_string(signed_data(b""));
        let mut entity = format!("Content-Type: text/plain\r\n\r\n{}\r\n", "x".repeat(900));
        for layer in 0..layers {
            entity = format!(
                "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b{layer}\r\n\r\n\
                 --b{layer}\r\n{entity}\r\n--b{layer}\r\nContent-Type: application/pkcs7-signature\r\n\
                 Content-Transfer-Encoding: base64\r\n\r\n{signature}\r\n--b{layer}--\r\n"
            );
        }
        format!("From: a@example.org\r\nMIME-Version: 1.0\r\n{entity}").into_bytes()
    }

    #[test]
    fn layers_that_hash_the_same_bytes_again_are_paid_for_each() {
        let limits = Limits {
            hashed_bytes: 4_000,
            ..Limits::default()
        };
        let found = refused(&nested(10), limits.clone());
        assert_eq!(found.as_deref(), Some("limit-hashed"));
        assert_eq!(refused(&nested(10), Limits::default()), None);
        assert_eq!(refused(&nested(2), limits), None);
    }

    #[test]
    fn every_judged_message_has_a_section_of_its_own() {
        let signed = String::from_utf8(nested(1)).unwrap();
        let parts = |message: &str| {
            let found = findings(message.as_bytes(), Limits::default());
            let parts: Vec<_> = found.messages.into_iter().map(|known| known.part).collect();
            for signature in found.signatures {
                assert!(parts.contains(&signature.part), "{}", signature.part);
            }
            parts
        };
        let attached = |what: &str| format!("Content-Type: message/rfc822\r\n\r\n{what}");
        let mail = |entity: &str| format!("From: b@example.org\r\nMIME-Version: 1.0\r\n{entity}");
        let once = mail(&attached(&signed));
        assert_eq!(parts(&once), ["", "1"]);
        assert_eq!(parts(&mail(&attached(&once))), ["", "1", "1.1"]);
        let encoded = base64_simd::STANDARD.encode_to_string(&signed);
        let encoded = format!(
            "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}"
        );
        assert_eq!(parts(&mail(&encoded)), ["", "1"]);

        let beside = |first: &str| {
            let second = attached(&signed);
            format!(
                "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n{first}\r\n--m\r\n{second}\r\n--m--\r\n"
            )
        };
        let inside = beside("Content-Type: text/plain\r\n\r\nhello");
        let object =
            base64_simd::STANDARD.encode_to_string(signed_data(&tlv(4, &[inside.as_bytes()])));
        let opaque = format!(
            "Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n{object}"
        );
        assert_eq!(parts(&mail(&beside(&opaque))), ["", "2", "2/2"]);
    }

    #[test]
    fn content_in_pieces_is_copied_so_far() {
        let text: &[u8] = b"Content-Type: text/plain\r\n\r\nhello\r\n";
        let (head, tail) = text.split_at(20);
        let whole = signed_data(&tlv(4, &[text]));
        let pieces = signed_data(&tlv(0x24, &[&tlv(4, &[head]), &tlv(4, &[tail])]));
        let mail = |object: &[u8]| {
            let header: &[u8] = b"MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; \
                smime-type=signed-data\r\nContent-Transfer-Encoding: binary\r\n\r\n";
            [header, object].concat()
        };
        let limits = Limits {
            copied_bytes: text.len() as u64 - 1,
            ..Limits::default()
        };
        let found = refused(&mail(&pieces), limits.clone());
        assert_eq!(found.as_deref(), Some("limit-copied"));
        assert_eq!(refused(&mail(&pieces), Limits::default()), None);
        assert_eq!(refused(&mail(&whole), limits), None);
    }
}
