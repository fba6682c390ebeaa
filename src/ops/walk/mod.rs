//! The layers of a message, outside in. Decrypted content is parsed again, with one budget for the
//! whole message.
//!
//! A message has one *chain*: the root entity, and whatever that holds when it is itself an
//! S/MIME layer. The chain gives the message its form, its outcome and its verdict. S/MIME that
//! lies deeper is a *part*: it is counted, opened where the message addresses its owner, and makes
//! no verdict better. An attached message is judged in its own right.
//!
//! What stays closed below a chain that opened does not close it again: the message is
//! `decrypted`, and the reason names the part's trouble. Where nothing but parts is encrypted, one
//! that fails leaves the message as it was.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::io;
use std::sync::Arc;

use crate::cms;
use crate::cms::content::{Content, ContentInfo};
use crate::cms::outline::Outline;
use crate::fsio::Scratch;
use crate::limits::{Budget, LimitExceeded};
use crate::message::condensed::Root;
use crate::message::headers::{Encoding, Headers, LineEnding};
use crate::message::parts::{self, Tree};
use crate::message::rewrite::{self, Piece};
use crate::message::transfer;
use crate::smime::find::{self, Beside, Kind};
use crate::smime::open::{Effort, Sealed};

use super::facts::Facts;
use super::outcome::{
    Action, AddressMatch, Coverage, Findings, MessageFinding, Outcome, SeenCertificate, SeenCrl,
    SignatureFinding,
};
use super::{Context, Input, Opening};
use entity::{Entity, Mail, Place, Replacement};
use large::{TOO_LARGE, View};
use protection::Protected;

pub(super) mod anew;
mod below;
mod encrypted;
mod entity;
pub(super) mod large;
mod packed;
mod protection;
mod signed;
mod tnef;

/// Walks one message.
pub fn message(context: &Context, input: &Input<'_>, opening: Opening) -> Outcome {
    let headers = Headers::parse(input.bytes);
    let trouble = OnceCell::new();
    let view = match input.large {
        Some(large) => View::Condensed(large.condensed),
        None => View::Whole(input.bytes),
    };
    let mut walker = Walker {
        context,
        scratch: input.large.and_then(|large| large.scratch),
        trouble: &trouble,
        budget: match view {
            View::Whole(_) => Budget::new(&context.limits),
            View::Condensed(_) => Budget::for_large(&context.limits, view.len()),
        },
        effort: Effort::default(),
        quoting: input.quoting,
        bare: input.cms,
        line_ending: if input.cms {
            LineEnding::CrLf
        } else {
            headers.line_ending()
        },
        findings: Findings::default(),
        certificates: Vec::new(),
        crls: Vec::new(),
    };
    let facts = Facts::of(&headers, String::new(), input.received);
    walker.findings.messages.push(facts.clone().finding());
    let place = Place::root(opening);
    let mail = Mail {
        sent: &facts,
        judged: &facts,
    };
    let entity = if input.cms {
        let entity = walker.bare_object(mail, view, place);
        Entity {
            // There is no outer header that another could differ from.
            header_conflicts: None,
            ..entity
        }
    } else {
        walker.entity(mail, view, place)
    };
    let mut edits = entity
        .replacement
        .as_ref()
        .map(|replacement| match replacement {
            Replacement::Entity(bytes) if input.cms => vec![Piece::Owned(bytes.clone())],
            Replacement::Entity(bytes) => {
                let fitted = walker.fit(bytes);
                let bytes = fitted.as_deref().unwrap_or(bytes);
                rewrite::replace_root_and(input.bytes, &headers, bytes, &entity.edits(&headers))
            }
            Replacement::Ranges(ranges) => anew::splice(input.bytes.len(), ranges),
            Replacement::Large(entity) if input.cms => {
                vec![Piece::Large(Arc::clone(&entity.whole))]
            }
            Replacement::Large(entity_text) => {
                let fitted = walker.fit_large(entity_text.clone());
                let text = (fitted.head.as_slice(), &fitted.whole);
                let edits = entity.edits(&headers);
                rewrite::replace_root_with_large(input.bytes, &headers, text, &edits)
            }
        });
    if let (Some(pieces), View::Condensed(condensed)) = (&mut edits, view) {
        *pieces = large::in_place(condensed, std::mem::take(pieces));
    }
    let surviving = entity.surviving.clone();
    if entity.action.is_failure() {
        edits = None;
        for attached in walker.findings.messages.iter_mut().skip(1) {
            attached.unchanged_because(entity.action, "carrier-unchanged");
        }
    }
    walker.describe(0, &facts, entity);
    let Walker {
        findings,
        certificates,
        crls,
        ..
    } = walker;
    Outcome {
        findings,
        certificates,
        crls,
        trouble: trouble.into_inner(),
        edits,
        surviving,
        copies: Vec::new(),
    }
}

/// What `walk` makes of an entity that something stands beside.
fn amid(beside: Beside, place: Place, walk: impl FnOnce(Place) -> Entity) -> Entity {
    let mut entity = walk(place.beside(beside));
    entity.keep_words(beside);
    if beside != Beside::Nothing {
        entity.unsigned_bytes = None;
    }
    entity
}

/// An object as it was read.
#[derive(Clone, Copy)]
struct Held<'a, 'd> {
    info: &'a ContentInfo<'d>,
    /// Where its content lies, if it is too large to be in `info`.
    outline: Option<&'a Outline>,
}

struct Walker<'c> {
    context: &'c Context,
    /// Where large plaintexts may lie.
    scratch: Option<&'c Scratch>,
    /// What kept a large layer from being read, or its plaintext from being written.
    trouble: &'c OnceCell<io::Error>,
    budget: Budget,
    effort: Effort,
    quoting: bool,
    /// A CMS object by itself, which may hold anything.
    bare: bool,
    line_ending: LineEnding,
    findings: Findings,
    certificates: Vec<SeenCertificate>,
    crls: Vec<SeenCrl>,
}

impl Walker<'_> {
    /// An entity with headers.
    fn entity(&mut self, mail: Mail<'_>, view: View<'_>, place: Place) -> Entity {
        if place.depth > self.budget.max_depth() {
            return Entity::limit(None, LimitExceeded("limit-depth"));
        }
        let root = if place.layer == 1 {
            Root::Message
        } else {
            Root::Entity
        };
        let tree = match (view, root) {
            (View::Condensed(condensed), root) => condensed.tree(root, &mut self.budget),
            (View::Whole(bytes), Root::Message) => parts::parse(bytes, &mut self.budget),
            (View::Whole(bytes), Root::Entity) => parts::parse_entity(bytes, &mut self.budget),
        };
        let limit = tree.limit;
        let entity = self.part(mail, &tree, 0, place);
        match limit {
            Some(limit) if !entity.action.is_failure() => Entity {
                action: Action::Refused,
                reason: Some(limit.0.into()),
                replacement: None,
                ..entity
            },
            _ => entity,
        }
    }

    fn part(&mut self, mail: Mail<'_>, tree: &Tree<'_>, index: usize, place: Place) -> Entity {
        let protected = (place.layer > 1 && place.on_chain)
            .then(|| Protected::of(tree, index, mail.judged))
            .flatten();
        let mut entity = self.part_of_kind(mail, tree, index, place);
        // A reader that follows RFC 9788 shows the protected From, others the outer one: whoever
        // signed, one of the two is not theirs.
        if protected.as_ref().is_some_and(|found| found.other_from) {
            let judged = &mail.judged.part;
            let of_this = |found: &&mut SignatureFinding| found.part == *judged;
            for found in self.findings.signatures.iter_mut().filter(of_this) {
                if found.address != AddressMatch::None {
                    found.address = AddressMatch::Ambiguous;
                }
            }
        }
        // The innermost layer's is the one that its sender wrote.
        if entity.protected.is_none()
            && let Some(protected) = protected
        {
            let conflicts = protected.conflicts(mail.judged);
            entity.header_conflicts = entity.header_conflicts.map(|inner| inner + conflicts);
            entity.protected = Some(protected);
        }
        entity
    }

    fn part_of_kind(
        &mut self,
        mail: Mail<'_>,
        tree: &Tree<'_>,
        index: usize,
        place: Place,
    ) -> Entity {
        match find::kind(tree, index) {
            Some(Kind::ClearSigned { content, signature }) => {
                self.clear_signed(mail, tree, (index, content, signature), place)
            }
            Some(Kind::Cms | Kind::StraySignature) => self.leaf(mail, tree, index, place),
            Some(Kind::Enclosed) => self.enclosed(mail, tree, index, place),
            Some(Kind::Tnef) => self.tnef(mail, tree, index, place),
            Some(Kind::Mislabelled) => entity::mislabelled(tree, index),
            Some(Kind::Document) => Entity {
                parts: 1,
                ..Entity::plain()
            },
            Some(Kind::Foreign(form)) => Entity::of(form, Action::Plain, None),
            None => self.below(mail, tree, index, place),
        }
    }

    fn leaf(&mut self, mail: Mail<'_>, tree: &Tree<'_>, index: usize, place: Place) -> Entity {
        let Some(part) = tree.parts.get(index) else {
            return Entity::plain();
        };
        if let Some(body) = tree.stretch(&part.body) {
            return self.large_leaf(mail, (tree, part), &body, place);
        }
        let Some(found) = find::object(tree, part) else {
            return entity::mislabelled(tree, index);
        };
        let beside = found.beside.max(anew::around(tree, part));
        let object = found.bytes;
        if let Err(limit) = self.budget.expanded_bytes(object.len()) {
            return Entity::limit(None, limit);
        }
        let entity = tree.bytes.get(part.entity.clone()).unwrap_or_default();
        let headers = Headers::parse(entity);
        amid(beside, place, |place| {
            self.object(mail, &object, Some(&headers), place)
        })
    }

    /// A CMS object that stands without MIME headers: a file, or the content of another object.
    fn bare_object(&mut self, mail: Mail<'_>, view: View<'_>, place: Place) -> Entity {
        let bytes = match view {
            View::Whole(bytes) => bytes,
            View::Condensed(condensed) if condensed.is_whole() => &condensed.bytes,
            View::Condensed(condensed) => return self.large_bare_object(mail, condensed, place),
        };
        let der = match cms::armor::binary(bytes) {
            Ok(Cow::Owned(der)) => Some(der),
            _ if cms::sniff(bytes).is_some() => None,
            _ => transfer::decode(Encoding::Base64, bytes)
                .ok()
                .map(|decoded| decoded.bytes.into_owned()),
        };
        self.object(mail, der.as_deref().unwrap_or(bytes), None, place)
    }

    fn object(
        &mut self,
        mail: Mail<'_>,
        bytes: &[u8],
        headers: Option<&Headers<'_>>,
        place: Place,
    ) -> Entity {
        self.object_in(mail, bytes, None, headers, place)
    }

    /// An object in `bytes`, which are those of `outline` where it is too large to hold.
    fn object_in(
        &mut self,
        mail: Mail<'_>,
        bytes: &[u8],
        outline: Option<&Outline>,
        headers: Option<&Headers<'_>>,
        place: Place,
    ) -> Entity {
        if place.depth > self.budget.max_depth() {
            return Entity::limit(None, LimitExceeded("limit-depth"));
        }
        if let Err(limit) = self.budget.object() {
            return Entity::limit(None, limit);
        }
        let Ok(info) = cms::parse(bytes) else {
            let form = cms::sniff(bytes)
                .and_then(entity::form_of_type)
                .unwrap_or("other-encrypted");
            return Entity::malformed(form);
        };
        let behind = find::behind(bytes, info.trailing);
        let place = place.beside(behind);
        let large = outline.and_then(|outline| outline.content.as_ref());
        let info = Held {
            info: &info,
            outline,
        };
        let mut entity = match &info.info.content {
            Content::Signed(data) => self.opaque_signed(mail, data, large, place),
            Content::Enveloped(data) => self.encrypted(
                mail,
                info,
                Sealed::Enveloped(data),
                "enveloped",
                headers,
                place,
            ),
            Content::AuthEnveloped(data) => self.encrypted(
                mail,
                info,
                Sealed::AuthEnveloped(data),
                "auth-enveloped",
                headers,
                place,
            ),
            Content::Encrypted(data) => self.encrypted(
                mail,
                info,
                Sealed::Encrypted(data),
                "encrypted",
                headers,
                place,
            ),
            Content::Digested(_) if large.is_some() => Entity::limit(Some("digested"), TOO_LARGE),
            Content::Compressed(_) if large.is_some() => {
                Entity::limit(Some("compressed"), TOO_LARGE)
            }
            Content::Digested(data) => self.digested(mail, data, place),
            Content::Compressed(data) => self.compressed(mail, data, place),
            Content::Other if entity::is_damaged_type(info.info.content_type) => {
                Entity::malformed("other-encrypted")
            }
            Content::Data(_) | Content::Other => {
                entity::unsupported("other-encrypted", "unsupported-content", place.opening)
            }
        };
        entity.keep_words(behind);
        entity
    }

    /// `entity` with the message's line ends, where it is text through and through; a part that
    /// calls itself binary is left as it is.
    fn fit(&self, entity: &[u8]) -> Option<Vec<u8>> {
        let binary = || memchr::memmem::find(entity, b"binary").is_some();
        match self.line_ending {
            LineEnding::Lf if !binary() => transfer::to_lf_if_text(entity),
            _ => None,
        }
    }

    fn describe(&mut self, slot: usize, facts: &Facts, entity: Entity) {
        let signing = entity
            .judgement
            .deciding
            .iter()
            .chain(&entity.judgement.outer)
            .find_map(|index| self.findings.signatures.get(*index));
        let time = signing.map(|signature| (signature.verdict_time, signature.time_source));
        let whole = !entity.judgement.partial
            && signing.is_some_and(|signature| signature.coverage == Coverage::Full);
        let Some(message) = self.findings.messages.get_mut(slot) else {
            return;
        };
        *message = MessageFinding {
            form: entity.form_text(),
            parts: entity.parts,
            action: entity.action,
            reason: entity.reason,
            verdict_time: time.map(|(time, _)| time),
            time_source: time.map(|(_, source)| source),
            // What stands beside was seen and not counted.
            unsigned_bytes: entity.unsigned_bytes.filter(|bytes| whole || *bytes > 0),
            judgement: entity.judgement,
            sent_to: if entity.content_encryption.is_some() {
                facts.sent_to()
            } else {
                Vec::new()
            },
            content_encryption: entity.content_encryption,
            content_integrity: entity.content_integrity,
            opened_with: entity.opened_with,
            opened_for: entity.opened_for,
            header_conflicts: entity.header_conflicts,
            ..facts.clone().finding()
        };
    }
}
