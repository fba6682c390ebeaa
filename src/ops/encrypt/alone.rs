//! Whether an encrypted message is nothing but its ciphertext. What a walk calls encrypted may hold
//! words beside it, which its lenient reading passes over and mail programs show. Whatever is in doubt
//! here is encrypted once more, which harms nobody.

use std::borrow::Cow;

use crate::cms::{self, Content};
use crate::limits::Budget;
use crate::message::headers::{Encoding, Headers};
use crate::message::parts::{self, Part, Tree};
use crate::ops::walk::anew;
use crate::ops::{Context, Input};
use crate::smime::open::{self, Sealed};

/// Signatures around a ciphertext; nobody signs more often.
const MOST_SIGNATURES: usize = 8;

/// Whether there is nothing in the body of an encrypted message that can be read.
pub(super) fn is_nothing_but_ciphertext(context: &Context, input: &Input<'_>) -> bool {
    let mut budget = Budget::new(&context.limits);
    let mut content = if input.cms {
        object(input.bytes).map(Cow::into_owned)
    } else {
        entity(&parts::parse(input.bytes, &mut budget))
    };
    for _ in 0..=MOST_SIGNATURES {
        let Some(bytes) = content else {
            return false;
        };
        let Ok(info) = cms::parse(&bytes) else {
            return false;
        };
        content = match &info.content {
            Content::Enveloped(data) => return is_sealed(Sealed::Enveloped(data)),
            Content::AuthEnveloped(data) => return is_sealed(Sealed::AuthEnveloped(data)),
            Content::Encrypted(data) => return is_sealed(Sealed::Encrypted(data)),
            Content::Signed(data) => match &data.content {
                Some(octets) => entity(&parts::parse_entity(&octets.cow(), &mut budget)),
                None => return false,
            },
            _ => return false,
        };
    }
    false
}

/// The one object that a bare CMS file is, without its armour.
pub(super) fn object(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    let der = if bytes.first() == Some(&cms::ber::tag::SEQUENCE) {
        Cow::Borrowed(bytes)
    } else {
        base64(armored(bytes).unwrap_or(bytes))?.into()
    };
    let trailing = cms::parse(&der).ok()?.trailing;
    let whole = der.len().checked_sub(trailing)?;
    let rest = der.get(whole..)?;
    // Behind binary there may be the mailbox's line end, and in base64 nothing.
    let is_alone = match &der {
        Cow::Borrowed(_) => rest.trim_ascii().is_empty(),
        Cow::Owned(_) => rest.is_empty(),
    };
    is_alone.then_some(der)
}

/// The one object that an entity is, but for signatures that stand beside it.
fn entity(tree: &Tree<'_>) -> Option<Vec<u8>> {
    let mut at = 0;
    for _ in 0..=MOST_SIGNATURES {
        let Some(part) = tree.parts.get(at).filter(|_| tree.limit.is_none()) else {
            break;
        };
        if !is_plainly_labelled(tree, part, at > 0) {
            break;
        }
        if part.content_type.kind == "multipart/signed" {
            let [content, signature] = part.children[..] else {
                break;
            };
            if !holds_two_parts_only(tree, part, content, signature) {
                break;
            }
            at = content;
        } else {
            return leaf(tree, part);
        }
    }
    None
}

/// Whether every reader takes the part for the same thing, and its own header says nothing else.
fn is_plainly_labelled(tree: &Tree<'_>, part: &Part, is_inside: bool) -> bool {
    let headers = tree.headers(part);
    let labels = ["Content-Type", "Content-Transfer-Encoding"];
    headers.count("Content-Type") == 1
        && headers.count("Content-Transfer-Encoding") <= 1
        && headers
            .fields()
            .filter(|field| labels.iter().any(|name| field.is(name)))
            .all(|field| field.is_plain())
        && (!is_inside || holds_labels_only(&headers))
}

fn holds_labels_only(headers: &Headers<'_>) -> bool {
    let is_label = |name: &[u8]| {
        name.eq_ignore_ascii_case(b"MIME-Version")
            || name
                .get(..8)
                .is_some_and(|start| start.eq_ignore_ascii_case(b"content-"))
    };
    headers
        .fields()
        .all(|field| field.is_plain() && is_label(field.name))
        && headers.skipped().next().is_none()
}

/// Whether a `multipart/signed` is its two parts and its boundary lines, the second an S/MIME signature.
fn holds_two_parts_only(tree: &Tree<'_>, whole: &Part, content: usize, signature: usize) -> bool {
    let (Some(content), Some(label)) = (tree.parts.get(content), tree.parts.get(signature)) else {
        return false;
    };
    let boundaries = whole.content_type.params.iter();
    if boundaries.filter(|(name, _)| name == "boundary").count() != 1 || whole.note.is_some() {
        return false;
    }
    let Some(boundary) = whole.content_type.param("boundary") else {
        return false;
    };
    let between = |from: usize, to: usize| {
        let text = tree.bytes.get(from..to).unwrap_or_default();
        text.trim_ascii()
    };
    let first = between(whole.body.start, content.entity.start);
    let second = between(content.entity.end, label.entity.start);
    let last = between(label.entity.end, whole.body.end);
    let delimiter = format!("--{boundary}");
    let is_signature = || {
        leaf(tree, label).is_some_and(|object| {
            cms::parse(&object).is_ok_and(
                |info| matches!(&info.content, Content::Signed(data) if data.content.is_none()),
            )
        })
    };
    anew::without_notice(first) == delimiter.as_bytes()
        && second == delimiter.as_bytes()
        && last == format!("{delimiter}--").as_bytes()
        && is_plainly_labelled(tree, label, true)
        && is_signature()
}

/// The one object that the body of an `application/*` part is.
fn leaf(tree: &Tree<'_>, part: &Part) -> Option<Vec<u8>> {
    let is_one = part.content_type.kind.starts_with("application/") && part.children.is_empty();
    let is_known = matches!(
        part.encoding,
        Encoding::Base64 | Encoding::Binary | Encoding::Identity
    );
    if !is_one || !is_known {
        return None;
    }
    object(tree.body(part)).map(Cow::into_owned)
}

/// The base64 between the lines of PEM, where nothing stands around these.
fn armored(bytes: &[u8]) -> Option<&[u8]> {
    let text = bytes.trim_ascii().strip_prefix(b"-----BEGIN ")?;
    let label = text.get(..memchr::memmem::find(text, b"-----")?)?;
    let end = [b"-----END ", label, b"-----"].concat();
    let inside = text.get(label.len() + 5..)?.strip_suffix(&end[..])?;
    let is_name = label
        .iter()
        .all(|byte| byte.is_ascii_uppercase() || matches!(byte, b' ' | b'#' | b'7'));
    is_name.then_some(inside)
}

/// Base64 and nothing else: no other characters, none behind its padding, no spaces as between words.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let has_words = |line: &[u8]| line.trim_ascii().iter().any(u8::is_ascii_whitespace);
    if text.split(|byte| *byte == b'\n').any(has_words) {
        return None;
    }
    base64_simd::forgiving_decode_to_vec(text).ok()
}

/// Whether the object is encrypted with a cipher, and not only said to be.
fn is_sealed(sealed: Sealed<'_>) -> bool {
    open::content_cipher(sealed).is_some()
}
