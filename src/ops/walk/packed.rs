//! Layers that hide nothing: compressed and digested data. They stay as they are unless what they
//! hold, or what holds them, is written anew; then they are left out, since few readers know them.

use std::sync::Arc;

use crate::cms;
use crate::cms::build;
use crate::cms::content::{CompressedData, DigestedData};
use crate::cms::oid::{self, Oid};
use crate::smime::unpack::{self, Packed};

use super::entity::{self, Entity, Mail, Place, Replacement};
use super::large::{LargeEntity, TOO_LARGE, View};
use super::{Walker, anew};
use crate::ops::outcome::{Action, Reason};

impl Walker<'_> {
    /// RFC 3274.
    pub(super) fn compressed(
        &mut self,
        mail: Mail<'_>,
        data: &CompressedData<'_>,
        place: Place,
    ) -> Entity {
        const FORM: &str = "compressed";
        match unpack::inflate(data, &mut self.budget) {
            Ok(content) => self.packed(FORM, mail, data.content_type, &content, place),
            Err(Packed::Limit(limit)) => Entity::limit(Some(FORM), limit),
            Err(Packed::Malformed(reason)) => Entity::of(FORM, Action::Malformed, Some(reason)),
            Err(Packed::Unsupported(reason)) => entity::unsupported(FORM, reason, place.opening),
        }
    }

    /// RFC 5652 §7. Its digest is a checksum: it is checked, and makes no verdict.
    pub(super) fn digested(
        &mut self,
        mail: Mail<'_>,
        data: &DigestedData<'_>,
        place: Place,
    ) -> Entity {
        const FORM: &str = "digested";
        let Some(content) = &data.content else {
            return Entity::of(FORM, Action::Malformed, Some("content-missing"));
        };
        if let Err(limit) = self.budget.expanded_bytes(content.len()) {
            return Entity::limit(Some(FORM), limit);
        }
        let whole = match self.in_one_piece(content) {
            Ok(whole) => whole,
            Err(limit) => return Entity::limit(Some(FORM), limit),
        };
        let mut entity = self.packed(FORM, mail, data.content_type, &whole, place);
        match unpack::digest_holds(data) {
            Some(false) => {
                entity.action = Action::Malformed;
                entity.reason = Some(Reason::Borrowed("checksum-mismatch"));
                entity.replacement = None;
            }
            None if !entity.action.is_failure() => {
                let unknown = entity::unsupported(FORM, "unsupported-algorithm", place.opening);
                entity.action = unknown.action;
                entity.reason = unknown.reason;
                entity.replacement = None;
            }
            _ => {}
        }
        entity
    }

    /// A wrapper around `content`.
    fn packed(
        &mut self,
        form: &'static str,
        mail: Mail<'_>,
        content_type: Oid<'_>,
        content: &[u8],
        place: Place,
    ) -> Entity {
        let first = self.findings.signatures.len();
        let content = View::Whole(content);
        let mut entity = self.content(mail, content_type, content, place.next_layer());
        entity.replacement = match entity.replacement.take() {
            Some(new) => Some(self.replaced_in(&new, content)),
            None if place.opened => {
                entity.surviving = (first..self.findings.signatures.len()).collect();
                Some(self.standing_alone(content_type, content))
            }
            None => None,
        };
        entity.form.insert(0, form);
        if entity.action == Action::Plain {
            entity.action = Action::Kept;
        }
        entity
    }

    /// What an object holds: an entity, or another object, which may come with its `ContentInfo`
    /// around it or (RFC 5652 §5.2) without.
    pub(super) fn content(
        &mut self,
        mail: Mail<'_>,
        content_type: Oid<'_>,
        content: View<'_>,
        place: Place,
    ) -> Entity {
        match content {
            _ if lacks_info(content_type, content.bytes()) => {
                let View::Whole(content) = content else {
                    return Entity::limit(None, TOO_LARGE);
                };
                let object = build::content_info(content_type, content);
                match self.budget.expanded_bytes(object.len()) {
                    Ok(()) => self.object(mail, &object, None, place),
                    Err(limit) => Entity::limit(None, limit),
                }
            }
            _ if cms::sniff(content.bytes()).is_some() => self.bare_object(mail, content, place),
            _ => self.entity(mail, content, place),
        }
    }

    /// The content of an object as an entity by itself.
    pub(super) fn standing_alone(&self, content_type: Oid<'_>, content: View<'_>) -> Replacement {
        let ending = self.line_ending;
        match content {
            View::Whole(bytes) if lacks_info(content_type, bytes) => {
                let object = build::content_info(content_type, bytes);
                Replacement::Entity(anew::object_as_entity(&object, ending))
            }
            View::Whole(bytes) if cms::sniff(bytes).is_some() => {
                Replacement::Entity(anew::bare_as_entity(bytes, ending))
            }
            View::Whole(bytes) => Replacement::Entity(bytes.to_vec()),
            View::Condensed(condensed) if cms::sniff(&condensed.bytes).is_some() => {
                let header = anew::object_header(&condensed.bytes, ending);
                let object = Arc::clone(&condensed.whole);
                Replacement::Large(LargeEntity::of(Some(header), object, ending))
            }
            View::Condensed(condensed) => Replacement::Large(LargeEntity::as_it_is(condensed)),
        }
    }
}

/// Whether `content` is an object by the word of `content_type` alone.
fn lacks_info(content_type: Oid<'_>, content: &[u8]) -> bool {
    content_type != oid::DATA
        && entity::form_of_type(content_type).is_some()
        && cms::sniff(content).is_none()
}
