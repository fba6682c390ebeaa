//! What an entity amounts to, and where it stands: what the walk carries from layer to layer.

use std::ops::Range;

use crate::cms;
use crate::keys::PrivateKey;
use crate::limits::LimitExceeded;
use crate::message::headers::Headers;
use crate::message::parts::Tree;
use crate::message::rewrite::{self, HeaderEdit};
use crate::smime::find::Beside;
use crate::smime::open::Closed;

use super::anew;
use super::large::LargeEntity;
use super::protection::Protected;
use crate::ops::Opening;
use crate::ops::facts::Facts;
use crate::ops::outcome::{Action, ContentIntegrity, Coverage, Judgement, Reason};

/// Whose entity it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mail<'a> {
    /// The message that was sent: its header says for whom.
    pub(super) sent: &'a Facts,
    /// The message being judged: that one, or one attached to it.
    pub(super) judged: &'a Facts,
}

impl<'a> Mail<'a> {
    /// The same mail, as far as the message `judged` in it goes.
    pub(super) fn judging(self, judged: &'a Facts) -> Self {
        Self { judged, ..self }
    }
}

/// Where in a message an entity stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) opening: Opening,
    /// Counted from 1, outside in.
    pub(super) layer: u32,
    /// S/MIME layers, parts and attached messages above, this one included.
    pub(super) depth: u32,
    /// Not on the chain of the judged message: a signature here covers a part of it.
    pub(super) below: bool,
    /// Not on the chain of the message that was sent: a key is used only for its addressees.
    pub(super) guarded: bool,
    /// On a chain, inside a signed layer, which is dropped where this one is opened.
    pub(super) signed: bool,
    /// Below a signed layer, which a change here would break.
    pub(super) sealed: bool,
    /// On the chain of the judged message, whatever text stands around it.
    pub(super) on_chain: bool,
    /// It came out of an encrypted layer.
    pub(super) decrypted: bool,
    /// Nothing but wrappers that need no key stand between here and a layer that was opened to be
    /// replaced: what stands here is written anew in any case.
    pub(super) opened: bool,
}

impl Place {
    /// The message itself.
    pub(super) fn root(opening: Opening) -> Self {
        Self {
            opening,
            layer: 1,
            depth: 1,
            below: false,
            guarded: false,
            signed: false,
            sealed: false,
            on_chain: true,
            decrypted: false,
            opened: false,
        }
    }

    /// What the layer here holds.
    pub(super) fn next_layer(self) -> Self {
        Self {
            layer: self.layer + 1,
            depth: self.depth + 1,
            ..self
        }
    }

    /// The content of a signed layer.
    pub(super) fn signed(self) -> Self {
        Self {
            signed: true,
            opened: false,
            ..self
        }
    }

    /// The content of an opened layer.
    pub(super) fn decrypted(self, opening: Opening) -> Self {
        Self {
            opening,
            signed: false,
            sealed: false,
            decrypted: true,
            opened: opening == Opening::Decrypt,
            ..self
        }
    }

    /// A part below the entity here.
    pub(super) fn part(self) -> Self {
        let sealed = self.signed || self.sealed;
        Self {
            depth: self.depth + 1,
            below: true,
            guarded: true,
            signed: false,
            sealed,
            on_chain: false,
            opened: false,
            ..self
        }
    }

    /// The same place with something around the object in it.
    pub(super) fn beside(self, beside: Beside) -> Self {
        Self {
            below: self.below || beside > Beside::Nothing,
            guarded: self.guarded || beside == Beside::Words,
            ..self
        }
    }

    /// A message attached to the entity here; its layers count from 1.
    pub(super) fn attached(self) -> Self {
        Self {
            layer: 1,
            below: false,
            on_chain: true,
            ..self.part()
        }
    }

    /// How much of the judged message a signature here covers.
    pub(super) fn coverage(self) -> Coverage {
        if self.below {
            Coverage::Partial
        } else {
            Coverage::Full
        }
    }
}

/// What is to stand in an entity's place.
#[derive(Debug)]
pub(super) enum Replacement {
    /// Another entity.
    Entity(Vec<u8>),
    /// The same, but for stretches of it.
    Ranges(Vec<(Range<usize>, Vec<u8>)>),
    /// Another entity, too large to hold.
    Large(LargeEntity),
}

impl Replacement {
    /// What becomes of `source`, in memory: nothing, where that does not fit.
    pub(super) fn apply(&self, source: &[u8]) -> Vec<u8> {
        match self {
            Self::Large(_) => Vec::new(),
            Self::Entity(bytes) => bytes.clone(),
            Self::Ranges(ranges) => rewrite::apply(source, &anew::splice(source.len(), ranges)),
        }
    }
}

/// What an entity amounts to.
#[derive(Debug)]
pub(super) struct Entity {
    /// Layers on the chain, outside in.
    pub(super) form: Vec<&'static str>,
    /// The form of the first part below the chain that is S/MIME.
    pub(super) part_form: Option<String>,
    /// How many such parts there are.
    pub(super) parts: u32,
    pub(super) action: Action,
    pub(super) reason: Option<Reason>,
    pub(super) replacement: Option<Replacement>,
    pub(super) surviving: Vec<usize>,
    pub(super) judgement: Judgement,
    /// Bytes that no intact signature covers, counted in the entity that holds the signature, as it
    /// reads once the layers around it are opened. None without a signature.
    pub(super) unsigned_bytes: Option<u64>,
    pub(super) content_encryption: Option<String>,
    pub(super) content_integrity: Option<ContentIntegrity>,
    pub(super) opened_with: Option<String>,
    pub(super) opened_for: Vec<String>,
    /// Protected fields that differ from the message's own.
    pub(super) header_conflicts: Option<u32>,
    /// The protected header of the innermost layer on the chain.
    pub(super) protected: Option<Protected>,
}

impl Entity {
    pub(super) fn plain() -> Self {
        Self {
            form: Vec::new(),
            part_form: None,
            parts: 0,
            action: Action::Plain,
            reason: None,
            replacement: None,
            surviving: Vec::new(),
            judgement: Judgement::default(),
            unsigned_bytes: None,
            content_encryption: None,
            content_integrity: None,
            opened_with: None,
            opened_for: Vec::new(),
            header_conflicts: Some(0),
            protected: None,
        }
    }

    pub(super) fn of(form: &'static str, action: Action, reason: Option<&'static str>) -> Self {
        Self {
            form: vec![form],
            action,
            reason: reason.map(Reason::Borrowed),
            ..Self::plain()
        }
    }

    pub(super) fn limit(form: Option<&'static str>, limit: LimitExceeded) -> Self {
        Self {
            form: form.into_iter().collect(),
            action: Action::Refused,
            reason: Some(Reason::Borrowed(limit.0)),
            ..Self::plain()
        }
    }

    /// Leaves the entity as it is where words around the object would be dropped with it.
    pub(super) fn keep_words(&mut self, beside: Beside) {
        if beside == Beside::Words && self.replacement.is_some() {
            self.replacement = None;
            self.action = Action::Refused;
            self.reason = Some(Reason::Borrowed("text-beside"));
        }
    }

    pub(super) fn is_smime(&self) -> bool {
        !self.form.is_empty() || self.parts > 0 || self.part_form.is_some()
    }

    /// What changes in the header of the message that this entity is written in place of.
    pub(super) fn edits(&self, outer: &Headers<'_>) -> Vec<HeaderEdit> {
        match &self.protected {
            Some(protected) if self.action == Action::Decrypted => protected.edits(outer),
            _ => Vec::new(),
        }
    }

    pub(super) fn form_text(&self) -> String {
        match &self.part_form {
            _ if !self.form.is_empty() => self.form.join(">"),
            Some(part) => format!("partial:{part}"),
            None => "plain".into(),
        }
    }

    /// A layer whose structure is not what it claims.
    pub(super) fn malformed(form: &'static str) -> Self {
        let mut entity = Self::of(form, Action::Malformed, Some("cms-malformed"));
        // Whatever header it protects was not read.
        entity.header_conflicts = None;
        entity.judgement.invalid = matches!(form, "clear-signed" | "opaque-signed");
        entity
    }

    /// A signed layer around `inner`; `signed` are its SignerInfos, and where it is `broken` there
    /// is nothing that could be intact.
    pub(super) fn signed(
        form: &'static str,
        signed: Vec<usize>,
        broken: bool,
        inner: Self,
    ) -> Self {
        let chain_inside = !inner.form.is_empty();
        let judgement = if inner.judgement.partial || inner.judgement.deciding.is_empty() {
            let invalid = broken || (chain_inside && inner.judgement.invalid);
            Judgement {
                deciding: signed,
                outer: Vec::new(),
                partial: false,
                invalid,
            }
        } else {
            let mut outer = signed;
            outer.extend(&inner.judgement.outer);
            Judgement {
                outer,
                invalid: broken || inner.judgement.invalid,
                ..inner.judgement.clone()
            }
        };
        let mut entity = Self { judgement, ..inner };
        entity.form.insert(0, form);
        if entity.action == Action::Plain {
            entity.action = Action::Kept;
        }
        // A part inside is written only with the layer that covers it.
        if matches!(entity.replacement, Some(Replacement::Ranges(_))) {
            entity.replacement = None;
        }
        entity
    }

    /// Counts what a part of `len` bytes leaves unsigned of the `whole`: of all the rest, everything.
    pub(super) fn count_unsigned(&mut self, whole: u64, len: u64, found: &Self) {
        if let Some(within) = found.unsigned_bytes {
            let left = self.unsigned_bytes.unwrap_or(whole);
            self.unsigned_bytes = Some(left.saturating_sub(len) + within);
        }
    }

    /// Counts a part (or, where `attached`, a message that was judged by itself) of this entity.
    pub(super) fn add_part(&mut self, found: Self, attached: bool) {
        self.parts += found.parts.max(1);
        if self.part_form.is_none() && (!found.form.is_empty() || found.part_form.is_some()) {
            let form = if found.form.is_empty() {
                found.part_form
            } else {
                Some(found.form.join(">"))
            };
            self.part_form = form;
        }
        let settles =
            found.action.is_failure() || found.action.is_change() || self.action == Action::Plain;
        if !self.action.is_failure() && settles {
            self.action = found.action;
            self.reason = found.reason;
        }
        self.surviving.extend(found.surviving);
        if attached {
            return;
        }
        self.judgement.deciding.extend(found.judgement.deciding);
        self.judgement.deciding.extend(found.judgement.outer);
        self.judgement.partial = !self.judgement.deciding.is_empty();
        self.judgement.invalid |= found.judgement.invalid;
        if self.content_encryption.is_none() {
            self.content_encryption = found.content_encryption;
            self.content_integrity = found.content_integrity;
            self.opened_with = found.opened_with;
            self.opened_for = found.opened_for;
        }
    }
}

/// A sound layer of which this version can make nothing more: where nothing is to be opened, it is
/// kept.
pub(super) fn unsupported(form: &'static str, reason: &'static str, opening: Opening) -> Entity {
    match opening {
        Opening::Keep | Opening::Look => Entity::of(form, Action::Kept, None),
        _ => Entity::of(form, Action::Unsupported, Some(reason)),
    }
}

/// A part that claims to be S/MIME and is not: named by its claim.
pub(super) fn mislabelled(tree: &Tree<'_>, index: usize) -> Entity {
    let Some(part) = tree.parts.get(index) else {
        return Entity::plain();
    };
    let claim = part
        .content_type
        .param("smime-type")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let form = match claim.as_str() {
        "enveloped-data" => "enveloped",
        "authenveloped-data" | "authenticated-enveloped-data" => "auth-enveloped",
        "signed-data" => "opaque-signed",
        "certs-only" => "certs-only",
        "compressed-data" => "compressed",
        _ if part.content_type.kind == "multipart/signed"
            || part.content_type.kind.ends_with("pkcs7-signature") =>
        {
            "clear-signed"
        }
        _ => "other-encrypted",
    };
    Entity::malformed(form)
}

const FORMS: [(cms::oid::Oid<'static>, &str); 6] = [
    (cms::oid::SIGNED_DATA, "opaque-signed"),
    (cms::oid::ENVELOPED_DATA, "enveloped"),
    (cms::oid::AUTH_ENVELOPED_DATA, "auth-enveloped"),
    (cms::oid::ENCRYPTED_DATA, "encrypted"),
    (cms::oid::DIGESTED_DATA, "digested"),
    (cms::oid::COMPRESSED_DATA, "compressed"),
];

/// Whether a content type is one of ours but for one byte on the way to its last arc: damage, since
/// nobody registers types there. Another last arc is another type.
pub(super) fn is_damaged_type(content_type: cms::oid::Oid<'_>) -> bool {
    FORMS.iter().any(|(oid, _)| {
        let pairs = || oid.0.iter().zip(content_type.0);
        oid.0.len() == content_type.0.len()
            && oid.0.last() == content_type.0.last()
            && pairs().filter(|(ours, theirs)| ours != theirs).count() == 1
    })
}

pub(super) fn form_of_type(content_type: cms::oid::Oid<'_>) -> Option<&'static str> {
    FORMS
        .into_iter()
        .find(|(oid, _)| *oid == content_type)
        .map(|(_, form)| form)
}

pub(super) fn closed_words(closed: Closed) -> (Action, Option<Reason>) {
    let (action, reason) = match closed {
        Closed::NoKey => (Action::NoKey, None),
        Closed::NoSecret => (Action::NoKey, Some("password-encrypted")),
        Closed::NoOriginator => (Action::NoKey, Some("originator-certificate-missing")),
        Closed::MaybeInLockedFile => (Action::NoKey, Some("maybe-in-locked-file")),
        Closed::Locked => (Action::Locked, None),
        Closed::Undecryptable => (Action::Undecryptable, None),
        Closed::Malformed(reason) => (Action::Malformed, Some(reason)),
        Closed::Unsupported(reason) => (Action::Unsupported, Some(reason)),
        Closed::Refused(reason) => (Action::Refused, Some(reason)),
    };
    (action, reason.map(Reason::Borrowed))
}

pub(super) fn addresses(key: &PrivateKey) -> Vec<String> {
    let mut addresses: Vec<String> = Vec::new();
    for address in key
        .certificates
        .iter()
        .flat_map(|certificate| &certificate.addresses)
    {
        if !addresses.contains(address) {
            addresses.push(address.clone());
        }
    }
    addresses
}
