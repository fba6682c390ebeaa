//! S/MIME in what other systems wrap a message in: TNEF (`winmail.dat`), and a `smime.p7m` that is a
//! whole `multipart/signed`.

use crate::cms;
use crate::limits::LimitExceeded;
use crate::message::headers::Headers;
use crate::message::parts::Tree;
use crate::message::tnef::{self, Attachment, Tnef};
use crate::ops::outcome::{Action, Reason};
use crate::smime::find;

use super::entity::{self, Entity, Mail, Place, Replacement};
use super::large::{TOO_LARGE, View};
use super::{Walker, amid, anew};

/// How an object out of a TNEF stream is labelled where it is written again.
const LABEL: &[u8] =
    b"Content-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Disposition: attachment; filename=smime.p7m\r\n\r\n";

impl Walker<'_> {
    /// An S/MIME entity with its header that is the body of a leaf: the same layer, seen through
    /// its wrong label.
    pub(super) fn enclosed(
        &mut self,
        mail: Mail<'_>,
        tree: &Tree<'_>,
        index: usize,
        place: Place,
    ) -> Entity {
        let Some(part) = tree.parts.get(index) else {
            return Entity::plain();
        };
        if tree.stretch(&part.body).is_some() {
            return Entity::limit(None, TOO_LARGE);
        }
        let Some(found) = find::enclosed(tree, part) else {
            return entity::mislabelled(tree, index);
        };
        let beside = found.beside.max(anew::around(tree, part));
        amid(beside, place, |place| {
            self.enclosed_entity(mail, &found.bytes, place)
        })
    }

    fn enclosed_entity(&mut self, mail: Mail<'_>, bytes: &[u8], place: Place) -> Entity {
        if let Err(limit) = self.budget.expanded_bytes(bytes.len()) {
            return Entity::limit(None, limit);
        }
        let deeper = Place {
            depth: place.depth + 1,
            ..place
        };
        let mut entity = self.entity(mail, View::Whole(bytes), deeper);
        if let Some(new @ Replacement::Ranges(_)) = &entity.replacement {
            entity.replacement = Some(Replacement::Entity(new.apply(bytes)));
        }
        entity
    }

    /// A TNEF stream. Whatever is S/MIME in it is a part: a reader may show the stream's own text
    /// beside it.
    pub(super) fn tnef(
        &mut self,
        mail: Mail<'_>,
        tree: &Tree<'_>,
        index: usize,
        place: Place,
    ) -> Entity {
        let part = tree.parts.get(index);
        if part.is_some_and(|part| tree.stretch(&part.body).is_some()) {
            return Entity::limit(None, TOO_LARGE);
        }
        let stream = part.and_then(|part| find::tnef_stream(tree, part));
        let Some(stream) = stream else {
            return Entity::plain();
        };
        if let Err(limit) = self.budget.expanded_bytes(stream.len()) {
            return Entity::limit(None, limit);
        }
        self.tnef_stream(mail, &stream, place)
    }

    fn tnef_stream(&mut self, mail: Mail<'_>, stream: &[u8], place: Place) -> Entity {
        if place.depth >= self.budget.max_depth() {
            return Entity::limit(None, LimitExceeded("limit-depth"));
        }
        let Some(message) = Tnef::read(stream) else {
            return Entity::plain();
        };
        let is_smime = message
            .class
            .get(..14)
            .is_some_and(|start| start.eq_ignore_ascii_case("IPM.Note.SMIME"));
        let mut whole = Entity::plain();
        for file in &message.attachments {
            let first = self.findings.signatures.len();
            let mut found = self.tnef_file(mail, file, is_smime, place.part());
            if found.replacement.is_none() {
                found.surviving = (first..self.findings.signatures.len()).collect();
            }
            let new = found.replacement.take();
            if found.is_smime() {
                whole.count_unsigned(stream.len() as u64, file.data.len() as u64, &found);
                whole.add_part(found, false);
            }
            whole.replacement = whole.replacement.or(new);
        }
        if is_smime && !whole.is_smime() {
            // Its class says what it was; what made it so is gone.
            return Entity::malformed(if message.class.len() > 14 {
                "clear-signed"
            } else {
                "other-encrypted"
            });
        }
        let holds_more = message.has_body || message.attachments.len() != 1;
        if whole.replacement.is_some() && holds_more {
            whole.replacement = None;
            whole.action = Action::Refused;
            whole.reason = Some(Reason::Borrowed("tnef-holds-more"));
        }
        whole
    }

    fn tnef_file(
        &mut self,
        mail: Mail<'_>,
        file: &Attachment<'_>,
        is_smime: bool,
        place: Place,
    ) -> Entity {
        if file.data.starts_with(tnef::MAGIC) {
            return self.tnef_stream(mail, file.data, place);
        }
        if cms::sniff(file.data).is_some() {
            if find::is_document(&file.name, file.data) {
                return Entity {
                    parts: 1,
                    ..Entity::plain()
                };
            }
            return match cms::armor::binary(file.data) {
                Ok(object) => self.object(mail, &object, Some(&Headers::parse(LABEL)), place),
                Err(_) => Entity::malformed("other-encrypted"),
            };
        }
        if find::is_smime_entity(file.data) {
            return self.enclosed_entity(mail, file.data, place);
        }
        let claims = is_smime || find::names_smime(&file.name, &file.media_type);
        if claims {
            Entity::malformed("other-encrypted")
        } else {
            Entity::plain()
        }
    }
}
