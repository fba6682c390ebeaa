//! Encrypted layers: what they hold, and what is written in their place.

use crate::cms;
use crate::cms::content::{Content, ContentInfo};
use crate::cms::{RecipientId, RecipientInfo};
use crate::keys::PrivateKey;
use crate::limits::LimitExceeded;
use crate::message::headers::Headers;
use crate::smime::open::{self, Closed, Keys, Opener, Permission, Sealed};
use crate::smime::{rewrap, seal};
use crate::text::hex;

use super::entity::{self, Entity, Mail, Place, Replacement, addresses};
use super::{Walker, anew};
use crate::ops::outcome::{Action, ContentIntegrity, KeyStatus, Reason};
use crate::ops::{Opening, survey};

impl Walker<'_> {
    /// EnvelopedData, AuthEnvelopedData and EncryptedData.
    pub(super) fn encrypted(
        &mut self,
        mail: Mail<'_>,
        info: &ContentInfo<'_>,
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
        if place.opening == Opening::Keep {
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
        let opened = match open::open(sealed, !self.bare, keys, &may, &mut self.effort) {
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
        if let Err(limit) = self.budget.expanded_bytes(opened.plaintext.len()) {
            return Entity::limit(Some(form), limit);
        }
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
        let inner = self.content(mail, content_type, &opened.plaintext, inner_place);
        self.write_anew(&mut entity, &inner, info, &opened, headers, place.opening);
        self.merge_inner(&mut entity, inner, first);
        entity
    }

    /// What stands in place of an opened object.
    pub(super) fn write_anew(
        &self,
        entity: &mut Entity,
        inner: &Entity,
        info: &ContentInfo<'_>,
        opened: &open::Opened,
        headers: Option<&Headers<'_>>,
        opening: Opening,
    ) {
        let plan = &self.context.plan;
        let content_type = match &info.content {
            Content::Enveloped(data) => data.content_type,
            Content::AuthEnveloped(data) => data.content_type,
            Content::Encrypted(data) => data.content_type,
            _ => cms::oid::DATA,
        };
        let readable = || match &inner.replacement {
            Some(replacement) => replacement.apply(&opened.plaintext),
            None => self.standing_alone(content_type, &opened.plaintext),
        };
        let written = match opening {
            Opening::Keep | Opening::Look => return,
            Opening::Decrypt => Ok((Action::Decrypted, readable())),
            Opening::Rewrap if opened.cipher.is_weak() => {
                Err((Action::Refused, "weak-content-encryption"))
            }
            Opening::Rewrap if matches!(info.content, Content::Encrypted(_)) => {
                Err((Action::Refused, "no-recipients"))
            }
            Opening::Rewrap => rewrap::rewrap(info, opened, &plan.recipients)
                .map(|object| match headers {
                    Some(headers) => anew::object_under(headers, &object, self.line_ending),
                    None => object,
                })
                .map(|bytes| (Action::Rewrapped, bytes))
                .map_err(|_| (Action::Refused, "cannot-encrypt")),
            Opening::Content => {
                let object = seal::seal(&readable(), &plan.recipients, plan.cipher);
                object
                    .map(|object| match headers {
                        Some(_) => anew::object_as_entity(&object, self.line_ending),
                        None => object,
                    })
                    .map(|bytes| (Action::Reencrypted, bytes))
                    .map_err(|_| (Action::Refused, "cannot-encrypt"))
            }
        };
        match written {
            Ok((action, bytes)) => {
                entity.action = action;
                entity.replacement = Some(Replacement::Entity(bytes));
            }
            Err((action, reason)) => {
                entity.action = action;
                entity.reason = Some(Reason::Borrowed(reason));
            }
        }
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
