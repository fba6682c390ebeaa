//! Encrypted layers: what they hold, and what is written in their place.

use std::sync::Arc;

use crate::bulk::{self, Bulk};
use crate::cms;
use crate::cms::content::Content;
use crate::cms::{RecipientId, RecipientInfo};
use crate::crypto::Failed;
use crate::keys::PrivateKey;
use crate::limits::LimitExceeded;
use crate::message::headers::Headers;
use crate::smime::open::{self, Closed, Keys, Opener, Permission, Plaintext, Sealed};
use crate::smime::{rewrap, seal};
use crate::text::hex;

use super::entity::{self, Entity, Mail, Place, Replacement, addresses};
use super::large::{LargeEntity, TOO_LARGE, View};
use super::{Held, Walker, anew};
use crate::ops::outcome::{Action, ContentIntegrity, KeyStatus, Reason};
use crate::ops::{Opening, survey};

impl Walker<'_> {
    /// EnvelopedData, AuthEnvelopedData and EncryptedData.
    pub(super) fn encrypted(
        &mut self,
        mail: Mail<'_>,
        held: Held<'_, '_>,
        sealed: Sealed<'_>,
        form: &'static str,
        headers: Option<&Headers<'_>>,
        place: Place,
    ) -> Entity {
        if let Err(limit) = self.budget.recipients(count(sealed.recipients())) {
            return Entity::limit(Some(form), limit);
        }
        if let Err(limit) =
            self.note_certificates(sealed.originator_certificates().iter().copied(), &[])
        {
            return Entity::limit(Some(form), limit);
        }
        if names_len(sealed.recipients()) > MOST_NAMES {
            return Entity::limit(Some(form), LimitExceeded("limit-recipients"));
        }
        let first_recipient = self.findings.recipients.len();
        self.findings.recipients.extend(survey::recipients(
            self.context,
            mail.judged,
            sealed,
            place.layer,
        ));

        let mut entity = Entity {
            content_encryption: Some(survey::content_encryption(sealed)),
            content_integrity: (form == "auth-enveloped").then_some(ContentIntegrity::Aead),
            header_conflicts: None,
            ..Entity::of(form, Action::Kept, None)
        };
        let large = held.outline.and_then(|outline| outline.content.as_ref());
        // Without a place for its plaintext, a large one is only looked at.
        let closed = large.is_some() && self.scratch.is_none();
        if place.opening == Opening::Keep || closed && place.opening == Opening::Look {
            if let Err(closed) = open::inspect(sealed)
                && !matches!(closed, Closed::Unsupported(_))
            {
                (entity.action, entity.reason) = entity::closed_words(closed);
            }
            return entity;
        }
        if place.sealed && place.opening != Opening::Look {
            (entity.action, entity.reason) = (Action::Refused, Some("inside-signature".into()));
            return entity;
        }
        let large = match (large, self.scratch) {
            (None, _) => None,
            (Some(ciphertext), Some(scratch)) => Some(open::Large {
                ciphertext,
                scratch,
                trouble: self.trouble,
            }),
            (Some(_), None) => {
                (entity.action, entity.reason) = (Action::Refused, Some(TOO_LARGE.0.into()));
                return entity;
            }
        };
        let guarded = place.guarded && !self.context.plan.open_unaddressed;
        let addressed = |key: &PrivateKey| !guarded || mail.sent.addresses_any(&addresses(key));
        let may = Permission {
            key: &addressed,
            // A passphrase does not say for whom it is.
            secrets: !guarded,
        };
        let keys = Keys {
            keyring: &self.context.keyring,
            secrets: &self.context.secrets,
            pool: &self.context.pool,
            cache: &self.context.cache,
        };
        let opened = match open::open(sealed, large, !self.bare, keys, &may, &mut self.effort) {
            Ok(opened) => opened,
            Err(closed) => {
                let (action, reason) = entity::closed_words(closed);
                let visible = matches!(action, Action::Malformed | Action::Refused);
                if action == Action::Malformed {
                    // What is damaged keeps no promise of its form.
                    entity.content_integrity = None;
                }
                if place.opening != Opening::Look || visible {
                    (entity.action, entity.reason) = (action, reason);
                }
                return entity;
            }
        };
        let paid = match &opened.plaintext {
            Plaintext::Held(plaintext) => self.budget.expanded_bytes(plaintext.len()),
            Plaintext::Spooled(spool) => self.budget.spooled_bytes(spool.len()),
        };
        if let Err(limit) = paid {
            return Entity::limit(Some(form), limit);
        }
        let condensed;
        let plaintext = match &opened.plaintext {
            Plaintext::Held(plaintext) => View::Whole(plaintext),
            Plaintext::Spooled(spool) => match self.condense(Arc::clone(spool) as Arc<dyn Bulk>) {
                Ok(found) => {
                    condensed = found;
                    View::Condensed(&condensed)
                }
                Err(limit) => return Entity::limit(Some(form), limit),
            },
        };
        match &opened.opener {
            Opener::Key(key) => {
                entity.opened_with = Some(match key.certificates.first() {
                    Some(certificate) => hex(&certificate.sha256),
                    None => key.name.clone(),
                });
                entity.opened_for = addresses(key);
            }
            Opener::BareKey(key, row) => {
                entity.opened_with = Some(key.name.clone());
                // The key had no name; the recipient that it opened has one.
                if let Some(row) = self.findings.recipients.get_mut(first_recipient + row) {
                    row.key_status = KeyStatus::Open;
                    if !row.address.is_empty() {
                        entity.opened_for = vec![row.address.clone()];
                    }
                }
            }
            Opener::Secret(name) => entity.opened_with = Some(name.clone()),
        }
        let first = self.findings.signatures.len();
        let inner_opening = match place.opening {
            Opening::Content => Opening::Decrypt,
            Opening::Rewrap => Opening::Look,
            other => other,
        };
        let inner_place = place.next_layer().decrypted(inner_opening);
        let content_type = sealed.content_type();
        let inner = self.content(mail, content_type, plaintext, inner_place);
        let readable = Readable {
            content_type,
            plaintext,
            inner: inner.replacement.as_ref(),
        };
        self.write_anew(&mut entity, readable, held, &opened, headers, place.opening);
        self.merge_inner(&mut entity, inner, first);
        entity
    }

    /// What stands in place of an opened object.
    fn write_anew(
        &self,
        entity: &mut Entity,
        readable: Readable<'_>,
        held: Held<'_, '_>,
        opened: &open::Opened,
        headers: Option<&Headers<'_>>,
        opening: Opening,
    ) {
        let written = match opening {
            Opening::Keep | Opening::Look => return,
            Opening::Decrypt => Ok((Action::Decrypted, self.readable(readable))),
            Opening::Rewrap if opened.cipher.is_weak() => {
                Err((Action::Refused, "weak-content-encryption"))
            }
            Opening::Rewrap if matches!(held.info.content, Content::Encrypted(_)) => {
                Err((Action::Refused, "no-recipients"))
            }
            Opening::Rewrap => self
                .rewrapped(held, opened, headers)
                .map(|object| (Action::Rewrapped, object))
                .map_err(|_| (Action::Refused, "cannot-encrypt")),
            Opening::Content => self
                .sealed(self.readable(readable), headers.is_some())
                .map(|object| (Action::Reencrypted, object))
                .map_err(|_| (Action::Refused, "cannot-encrypt")),
        };
        match written {
            Ok((action, replacement)) => {
                entity.action = action;
                entity.replacement = Some(replacement);
            }
            Err((action, reason)) => {
                entity.action = action;
                entity.reason = Some(Reason::Borrowed(reason));
            }
        }
    }

    fn readable(&self, readable: Readable<'_>) -> Replacement {
        match readable.inner {
            Some(replacement) => self.replaced_in(replacement, readable.plaintext),
            None => self.standing_alone(readable.content_type, readable.plaintext),
        }
    }

    fn rewrapped(
        &self,
        held: Held<'_, '_>,
        opened: &open::Opened,
        headers: Option<&Headers<'_>>,
    ) -> Result<Replacement, Failed> {
        let recipients = &self.context.plan.recipients;
        let ending = self.line_ending;
        let Some(outline) = held.outline else {
            let object = rewrap::rewrap(held.info, opened, recipients)?;
            return Ok(Replacement::Entity(match headers {
                Some(headers) => anew::object_under(headers, &object, ending),
                None => object,
            }));
        };
        let object = rewrap::rewrap_large(outline, held.info, opened, recipients)?;
        let header = headers.map(|headers| anew::header_under(headers, &outline.object, ending));
        Ok(Replacement::Large(LargeEntity::of(header, object, ending)))
    }

    /// `readable`, encrypted; as an entity, or an object by itself.
    fn sealed(&self, readable: Replacement, as_entity: bool) -> Result<Replacement, Failed> {
        let plan = &self.context.plan;
        let ending = self.line_ending;
        let (entity, scratch) = match (readable, self.scratch) {
            (Replacement::Large(entity), Some(scratch)) => (entity, scratch),
            (readable, _) => {
                let object = seal::seal(&readable.apply(&[]), &plan.recipients, plan.cipher)?;
                return Ok(Replacement::Entity(if as_entity {
                    anew::object_as_entity(&object, ending)
                } else {
                    object
                }));
            }
        };
        let object = seal::seal_large(&*entity.whole, &plan.recipients, plan.cipher, scratch);
        let object = self.io(object).ok_or(Failed)??;
        let head = self.io(bulk::head(&*object, 1024)).unwrap_or_default();
        let header = as_entity.then(|| anew::object_header(&head, ending));
        Ok(Replacement::Large(LargeEntity::of(header, object, ending)))
    }

    /// Joins what an opened layer holds to the layer.
    pub(super) fn merge_inner(&self, entity: &mut Entity, inner: Entity, first: usize) {
        entity
            .content_integrity
            .get_or_insert(ContentIntegrity::None);
        let signed_inside = !inner.judgement.deciding.is_empty() && !inner.judgement.partial;
        if signed_inside
            && entity.content_integrity == Some(ContentIntegrity::None)
            && self.any_intact(&inner.judgement.deciding)
        {
            entity.content_integrity = Some(ContentIntegrity::Signed);
        }
        entity.surviving = match (&inner.replacement, entity.action) {
            (_, Action::Rewrapped | Action::Reencrypted) => Vec::new(),
            (Some(_), _) => inner.surviving,
            (None, _) => (first..self.findings.signatures.len()).collect(),
        };
        entity.form.extend(inner.form);
        entity.parts = inner.parts;
        entity.header_conflicts = inner.header_conflicts;
        entity.protected = inner.protected;
        for owner in inner.opened_for {
            if !entity.opened_for.contains(&owner) {
                entity.opened_for.push(owner);
            }
        }
        entity.judgement = inner.judgement;
        entity.unsigned_bytes = inner.unsigned_bytes;
        // What is wrong deeper inside is told, and does not close what was opened.
        if inner.action.is_failure() && entity.reason.is_none() {
            entity.reason = Some(match inner.reason {
                Some(reason) => format!("inner-{reason}").into(),
                None => format!("inner-{}", inner.action).into(),
            });
        }
    }
}

/// What an opened object holds.
#[derive(Clone, Copy)]
struct Readable<'a> {
    content_type: cms::Oid<'a>,
    plaintext: View<'a>,
    /// What stands in place of that.
    inner: Option<&'a Replacement>,
}

/// Bytes of recipients' names, all together, that a journal line may have to hold.
const MOST_NAMES: usize = 4 << 20;

fn names_len(recipients: &[RecipientInfo<'_>]) -> usize {
    let len = |id: RecipientId<'_>| match id {
        RecipientId::IssuerSerial { issuer, serial } => issuer.len() + serial.len(),
        RecipientId::Ski(ski) => ski.len(),
    };
    recipients.iter().flat_map(open::ids).map(len).sum()
}

/// Every recipient, those that share one key agreement included.
fn count(recipients: &[RecipientInfo<'_>]) -> usize {
    let each = |recipient: &RecipientInfo<'_>| match recipient {
        RecipientInfo::Kari { recipients, .. } => recipients.len().max(1),
        _ => 1,
    };
    recipients.iter().map(each).sum()
}
