//! What lies below a chain: parts that are S/MIME, and attached messages.

use std::ops::Range;

use crate::limits::LimitExceeded;
use crate::message::headers::Headers;
use crate::message::parts::{self, Note, Part, Tree};
use crate::message::{rewrite, transfer};
use crate::smime::find::{self, Kind};

use super::entity::{Entity, Mail, Place, Replacement};
use super::large::{TOO_LARGE, View};
use super::{Walker, anew};
use crate::ops::facts::Facts;
use crate::ops::outcome::Action;

/// An attached message.
#[derive(Clone, Copy)]
struct Attached<'a> {
    bytes: &'a [u8],
    section: &'a str,
    /// Where its root entity begins.
    root: usize,
}

/// Which bytes a changed part takes.
fn taken(tree: &Tree<'_>, part: &Part, attached: bool) -> Option<Range<usize>> {
    if attached {
        let holder = part.parent.and_then(|parent| tree.parts.get(parent))?;
        Some(holder.body.clone())
    } else {
        Some(part.entity.clone())
    }
}

/// Leaves a part as it is whose old or new text is too large to hold: what stands around it would have
/// to be searched for its boundaries.
fn keep_large(tree: &Tree<'_>, part: &Part, attached: bool, found: &mut Entity) {
    let is_large = match &found.replacement {
        None => false,
        Some(Replacement::Large(_)) => true,
        Some(_) => taken(tree, part, attached).is_some_and(|range| tree.stretch(&range).is_some()),
    };
    if is_large {
        found.replacement = None;
        found.action = Action::Refused;
        found.reason = Some(TOO_LARGE.0.into());
    }
}

impl Walker<'_> {
    /// An entity that is not S/MIME itself: its parts, and messages attached to it.
    pub(super) fn below(
        &mut self,
        mail: Mail<'_>,
        tree: &Tree<'_>,
        index: usize,
        place: Place,
    ) -> Entity {
        let mut entity = Entity::plain();
        let mut ranges = Vec::new();
        let mut foreign = None;
        if tree
            .parts
            .get(index)
            .is_some_and(|part| part.note == Some(Note::EncodedMessage))
        {
            let found = self.encoded_message(mail, tree, index, place);
            let new = found.replacement.as_ref();
            entity.replacement =
                new.map(|new| Replacement::Entity(rewrite::wrap_as_rfc822(&new.apply(&[]))));
            if found.is_smime() {
                entity.add_part(found, true);
            }
            return entity;
        }
        let end = anew::subtree_end(tree, index);
        let mut at = index + 1;
        while at < end {
            let Some(part) = tree.parts.get(at) else {
                break;
            };
            if part.note == Some(Note::EncodedMessage) {
                let found = self.encoded_message(mail, tree, at, place);
                at += 1;
                if let Some(replacement) = &found.replacement {
                    let new = rewrite::wrap_as_rfc822(&replacement.apply(&[]));
                    ranges.push((part.entity.clone(), new));
                }
                if found.is_smime() {
                    entity.add_part(found, true);
                }
                continue;
            }
            let attached = part.message == at;
            let first = self.findings.signatures.len();
            let mut found = match find::kind(tree, at) {
                _ if attached => self.attached(mail, tree, at, place),
                None => {
                    at += 1;
                    continue;
                }
                Some(Kind::Foreign(form)) => {
                    foreign.get_or_insert(form);
                    at = anew::subtree_end(tree, at);
                    continue;
                }
                Some(_) => self.part(mail, tree, at, place.part()),
            };
            at = anew::subtree_end(tree, at);
            keep_large(tree, part, attached, &mut found);
            if found.replacement.is_none() {
                found.surviving = (first..self.findings.signatures.len()).collect();
            }
            match self.replaced(tree, part, attached, &found) {
                // A line of the new text reads as the end of a part around it.
                Some((_, new)) if parts::collides(tree, part, &new) => {
                    found.action = Action::Refused;
                    found.reason = Some("boundary-collision".into());
                }
                Some(range) => ranges.push(range),
                None => {}
            }
            if found.is_smime() {
                if !attached {
                    let whole = tree.parts.get(index);
                    let whole = whole.map_or(0, |whole| tree.real_len(&whole.body));
                    entity.count_unsigned(whole, tree.real_len(&part.entity), &found);
                }
                entity.add_part(found, attached);
            }
        }
        if !ranges.is_empty() && !entity.action.is_failure() {
            let base = tree.parts.get(index).map_or(0, |part| part.entity.start);
            for (range, _) in &mut ranges {
                *range = range.start.saturating_sub(base)..range.end.saturating_sub(base);
            }
            entity.replacement = Some(Replacement::Ranges(ranges));
        }
        if !entity.is_smime() {
            entity.part_form = foreign.map(str::to_owned);
        }
        entity
    }

    /// Which bytes of the entity a changed part takes, and what stands there instead.
    pub(super) fn replaced(
        &self,
        tree: &Tree<'_>,
        part: &Part,
        attached: bool,
        found: &Entity,
    ) -> Option<(Range<usize>, Vec<u8>)> {
        let replacement = found.replacement.as_ref()?;
        let range = taken(tree, part, attached)?;
        let new = match replacement {
            Replacement::Entity(bytes) if !attached && found.action == Action::Decrypted => {
                let fitted = self.fit(bytes);
                rewrite::wrap_as_rfc822(fitted.as_deref().unwrap_or(bytes))
            }
            _ => replacement.apply(tree.bytes.get(range.clone()).unwrap_or_default()),
        };
        Some((range, new))
    }

    /// An attached message, judged in a row of its own where it holds S/MIME. A ciphertext in it
    /// opens only for somebody to whom the message that carries it was sent: whoever forwards
    /// another's mail must not have it opened.
    pub(super) fn attached(
        &mut self,
        mail: Mail<'_>,
        tree: &Tree<'_>,
        index: usize,
        place: Place,
    ) -> Entity {
        let Some(part) = tree.parts.get(index) else {
            return Entity::plain();
        };
        let Some(holder) = part.parent.and_then(|parent| tree.parts.get(parent)) else {
            return Entity::plain();
        };
        let message = Attached {
            bytes: tree.body(holder),
            section: section_of(holder),
            root: part.entity.start.saturating_sub(holder.body.start),
        };
        self.judged_apart(mail, message, place, |walker, mail, place| {
            walker.part(mail, tree, index, place)
        })
    }

    /// An attached message in base64 or quoted-printable, which RFC 2046 §5.2.1 forbids and
    /// programs write. What comes of a changed one is a message that stands as it is.
    fn encoded_message(
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
        let Ok(decoded) = transfer::decode(part.encoding, tree.body(part)) else {
            return Entity::plain();
        };
        let bytes = &decoded.bytes;
        if let Err(limit) = self.budget.expanded_bytes(bytes.len()) {
            return Entity::limit(None, limit);
        }
        if !find::may_hold_smime(bytes) {
            return Entity::plain();
        }
        let message = Attached {
            bytes,
            section: section_of(part),
            root: 0,
        };
        let first = self.findings.signatures.len();
        let mut found = self.judged_apart(mail, message, place, |walker, mail, place| {
            walker.entity(mail, View::Whole(bytes), place)
        });
        if found.replacement.is_none() {
            found.surviving = (first..self.findings.signatures.len()).collect();
        }
        found
    }

    /// `section`, or, where a judged message has it already, `section/2`, `section/3` …: numbers that
    /// start anew may meet those around them.
    fn one_of_its_own(&self, section: String) -> String {
        let messages = &self.findings.messages;
        let same = |part: &str| {
            let rest = part.strip_prefix(section.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mut number = messages.iter().filter(|known| same(&known.part)).count() + 1;
        if number == 1 {
            return section;
        }
        loop {
            let name = format!("{section}/{number}");
            if messages.iter().all(|known| known.part != name) {
                return name;
            }
            number += 1;
        }
    }

    /// Judges a message with `walk` in a row of its own.
    fn judged_apart(
        &mut self,
        mail: Mail<'_>,
        message: Attached<'_>,
        place: Place,
        walk: impl FnOnce(&mut Self, Mail<'_>, Place) -> Entity,
    ) -> Entity {
        if place.depth >= self.budget.max_depth() {
            return Entity::limit(None, LimitExceeded("limit-depth"));
        }
        let bytes = message.bytes;
        let headers = Headers::parse(bytes);
        // Section numbers start anew in what came out of an encrypted layer.
        let above = mail.judged.part.as_str();
        let inside = |rest: &str| rest.starts_with('.');
        let section = if above.is_empty() || message.section.strip_prefix(above).is_some_and(inside)
        {
            message.section.to_owned()
        } else {
            format!("{above}.{}", message.section)
        };
        let section = self.one_of_its_own(section);
        // Whoever attaches a message can write any Received field into it: it arrived with its
        // carrier; where that does not tell, only the signer says when it was signed.
        let mut own = Facts::of(&headers, section, None);
        own.received = mail.sent.received;
        let slot = self.findings.messages.len();
        self.findings.messages.push(own.clone().finding());
        let entity = walk(self, mail.judging(&own), place.attached());
        if !entity.is_smime() {
            self.findings.messages.remove(slot);
            return entity;
        }
        let replacement = entity
            .replacement
            .as_ref()
            .map(|replacement| match replacement {
                Replacement::Entity(new) => {
                    let fitted = self.fit(new);
                    let new = fitted.as_deref().unwrap_or(new);
                    rewrite::replace_root_and(bytes, &headers, new, &entity.edits(&headers))
                }
                Replacement::Ranges(ranges) => {
                    let shift =
                        |range: &Range<usize>| range.start + message.root..range.end + message.root;
                    let shifted: Vec<_> = ranges
                        .iter()
                        .map(|(range, new)| (shift(range), new.clone()))
                        .collect();
                    anew::splice(bytes.len(), &shifted)
                }
                // Not put into the message around it: see `keep_large`.
                Replacement::Large(_) => Vec::new(),
            });
        let told = Entity {
            form: entity.form.clone(),
            part_form: entity.part_form.clone(),
            parts: entity.parts.max(1),
            action: entity.action,
            reason: entity.reason.clone(),
            surviving: entity.surviving.clone(),
            replacement: replacement
                .map(|pieces| Replacement::Entity(rewrite::apply(bytes, &pieces))),
            ..Entity::plain()
        };
        self.describe(slot, &own, entity);
        told
    }
}

/// The section of a part that holds a message; a message that is nothing but one part has that as
/// part 1.
fn section_of(holder: &Part) -> &str {
    match holder.section.as_str() {
        "" => "1",
        section => section,
    }
}
