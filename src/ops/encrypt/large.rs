//! What is encrypted of a message too large to hold.

use std::io;
use std::sync::Arc;

use super::Refusal;
use crate::archive::quoted::Quoted;
use crate::bulk::{self, Bulk, Chain, Stretch};
use crate::crypto::cipher::ContentCipher;
use crate::fsio::Scratch;
use crate::limits::Budget;
use crate::message::condensed::{Condensed, Root};
use crate::message::headers::{Encoding, Headers, LineEnding};
use crate::message::recoded::{Base64Lines, Lines, Relined};
use crate::message::rewrite::{self, Piece};
use crate::message::transport;
use crate::ops::outcome::Outcome;
use crate::ops::walk::{self, anew};
use crate::ops::{Context, Input, Large, Opening, all_intact, intact};
use crate::smime::seal::{self, Recipient};

/// As [`entity`](super::entity): the content in canonical form, unquoted where no signature minds.
pub(super) fn entity(
    context: &Context,
    (input, large): (&Input<'_>, Large<'_>),
    headers: &Headers<'_>,
    before: &Outcome,
) -> io::Result<Result<Arc<dyn Bulk>, Refusal>> {
    if input.cms || headers.is_cr_only() {
        return Ok(Err("limit-message".into()));
    }
    let condensed = large.condensed;
    let body = headers.body_start();
    let header = input.bytes.get(..body).unwrap_or_default();
    let header = transport::root_entity(header, headers);
    let whole = Arc::clone(&condensed.whole);
    let body = Stretch::new(whole, condensed.place(body)..condensed.whole.len());
    let stored: Arc<dyn Bulk> = Arc::new(Chain(vec![Arc::new(header), Arc::new(body)]));
    let tree = condensed.tree(Root::Message, &mut Budget::new(&context.limits));
    let mut parts = tree.parts.iter();
    let binary = parts.any(|part| part.encoding == Encoding::Binary);
    let canonical = |entity: Arc<dyn Bulk>| -> io::Result<Arc<dyn Bulk>> {
        let bare = if binary {
            0
        } else {
            Lines::of(&*entity)?.bare_lf
        };
        Ok(match bare {
            0 => entity,
            bare => Arc::new(Relined::new(entity, LineEnding::CrLf, bare)),
        })
    };
    let mut ways = Vec::new();
    if input.quoting
        && let Some(unquoted) = Quoted::undone(Arc::clone(&stored))?
    {
        ways.push(canonical(Arc::new(unquoted))?);
    }
    ways.push(canonical(Arc::clone(&stored))?);
    ways.push(stored);
    let signatures = 0..before.findings.signatures.len();
    let expected: Vec<_> = signatures
        .filter_map(|index| intact(&before.findings, index))
        .collect();
    for entity in ways {
        if expected.is_empty() {
            return Ok(Ok(entity));
        }
        let found = Condensed::of(Arc::clone(&entity), Root::Message, &context.limits)?;
        let Ok(condensed) = found else { continue };
        let inside = Input {
            large: Some(Large {
                condensed: &condensed,
                ..large
            }),
            ..Input::of(&condensed.bytes)
        };
        let inside = walk::message(context, &inside, Opening::Keep);
        if let Some(trouble) = inside.trouble {
            return Err(trouble);
        }
        if all_intact(expected.iter().cloned(), &inside.findings) {
            return Ok(Ok(entity));
        }
    }
    Ok(Err("signature-would-break".into()))
}

/// The message with `entity` encrypted in its content's place.
pub(super) fn sealed(
    input: &Input<'_>,
    headers: &Headers<'_>,
    entity: &dyn Bulk,
    (recipients, cipher): (&[Recipient], ContentCipher),
    scratch: &Scratch,
) -> io::Result<Result<Vec<Piece>, Refusal>> {
    let Ok(object) = seal::seal_large(entity, recipients, cipher, scratch)? else {
        return Ok(Err("cannot-encrypt".into()));
    };
    let ending = headers.line_ending();
    let header = anew::object_header(&bulk::head(&*object, 1024)?, ending);
    let lines = Base64Lines::new(object, ending);
    let whole: Arc<dyn Bulk> = Arc::new(Chain(vec![Arc::new(header.clone()), Arc::new(lines)]));
    Ok(Ok(rewrite::replace_root_with_large(
        input.bytes,
        headers,
        (&header, &whole),
        &[],
    )))
}
