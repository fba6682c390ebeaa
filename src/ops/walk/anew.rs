//! How a changed message is put together: objects as entities, entities in a message's place.

use std::ops::Range;

use crate::cms;
use crate::message::headers::{Headers, LineEnding};
use crate::message::parts::{Part, Tree};
use crate::message::rewrite::Piece;
use crate::message::transfer;
use crate::smime::find::Beside;

/// The first part after `index` and all that lies below it.
pub(super) fn subtree_end(tree: &Tree<'_>, index: usize) -> usize {
    let Some(root) = tree.parts.get(index) else {
        return tree.parts.len();
    };
    let rest = tree.parts.get(index + 1..).unwrap_or_default();
    rest.iter()
        .position(|part| part.depth <= root.depth)
        .map_or(tree.parts.len(), |length| index + 1 + length)
}

/// What a reader may show around an entity on a chain that nobody signed: text behind the closing
/// boundary of a `multipart/signed`, or before the first, other than the notice that clients
/// write there; or another structure, where its header can be read in two ways.
pub(super) fn around(tree: &Tree<'_>, whole: &Part) -> Beside {
    let between = |from: usize, to: usize| tree.bytes.get(from..to).unwrap_or_default();
    let ends = |index: Option<&usize>| {
        index
            .and_then(|at| tree.parts.get(*at))
            .map(|part| part.entity.clone())
    };
    let preamble = ends(whole.children.first()).map_or(&[][..], |first| {
        let text = between(whole.body.start, first.start).trim_ascii_end();
        // The last line is the boundary.
        memchr::memrchr(b'\n', text).map_or(&[][..], |line| text.get(..line).unwrap_or_default())
    });
    let epilogue = ends(whole.children.last()).map_or(&[][..], |last| {
        let rest = between(last.end, whole.body.end).trim_ascii_start();
        memchr::memchr(b'\n', rest).map_or(&[][..], |line| rest.get(line..).unwrap_or_default())
    });
    if !is_notice(preamble.trim_ascii()) || !epilogue.trim_ascii().is_empty() {
        return Beside::Words;
    }
    let boundaries = whole
        .content_type
        .params
        .iter()
        .filter(|(name, _)| name == "boundary")
        .count();
    let headers = Headers::parse(tree.bytes.get(whole.entity.clone()).unwrap_or_default());
    let ambiguous = boundaries > 1
        || headers.count("Content-Type") > 1
        || headers.count("Content-Transfer-Encoding") > 1
        || tree.headers(whole).is_odd();
    if ambiguous {
        Beside::Shown
    } else {
        Beside::Nothing
    }
}

/// What programs write for those who cannot read signed mail, word for word.
const NOTICES: [&[u8]; 2] = [
    b"This is a cryptographically signed message in MIME format.",
    b"This is an S/MIME signed message",
];

/// Text without a notice that is known word for word at its beginning: all that may stand beside a
/// ciphertext without anybody's words being lost. (A signature is judged by [`is_notice`].)
pub(in crate::ops) fn without_notice(text: &[u8]) -> &[u8] {
    let rest = NOTICES.iter().find_map(|notice| text.strip_prefix(*notice));
    rest.unwrap_or(text).trim_ascii()
}

/// "This is a cryptographically signed message in MIME format.", in whatever language: plain text that
/// speaks of MIME, and nothing that a reader could take for structure.
fn is_notice(text: &[u8]) -> bool {
    const LONGEST: usize = 200;
    let structure = |line: &[u8]| {
        let line = line.trim_ascii_start();
        line.starts_with(b"--")
            || line
                .get(..8)
                .is_some_and(|start| start.eq_ignore_ascii_case(b"content-"))
    };
    text.is_empty()
        || text.len() <= LONGEST
            && text
                .windows(4)
                .any(|word| word.eq_ignore_ascii_case(b"mime"))
            && !text.contains(&b'<')
            && !text
                .split(|byte| matches!(byte, b'\n' | b'\r'))
                .any(structure)
}

/// The source with some of its ranges replaced; `ranges` are disjoint and in order.
pub(super) fn splice(len: usize, ranges: &[(Range<usize>, Vec<u8>)]) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(ranges.len() * 2 + 1);
    let mut at = 0;
    for (range, new) in ranges {
        if range.start > at {
            pieces.push(Piece::Source(at..range.start));
        }
        pieces.push(Piece::Owned(new.clone()));
        at = range.end;
    }
    if at < len {
        pieces.push(Piece::Source(at..len));
    }
    pieces
}

/// A CMS object as an S/MIME entity (RFC 8551 §3.2).
pub(in crate::ops) fn object_as_entity(object: &[u8], ending: LineEnding) -> Vec<u8> {
    behind_header(object_header(object, ending), object, ending)
}

/// The header of that entity, with the blank line that ends it; `object` may be a beginning.
pub(in crate::ops) fn object_header(object: &[u8], ending: LineEnding) -> Vec<u8> {
    let smime_type = match cms::sniff(object) {
        Some(oid) if oid == cms::oid::SIGNED_DATA => "signed-data",
        Some(oid) if oid == cms::oid::AUTH_ENVELOPED_DATA => "authEnveloped-data",
        Some(oid) if oid == cms::oid::COMPRESSED_DATA => "compressed-data",
        _ => "enveloped-data",
    };
    let fields = [
        format!("Content-Type: application/pkcs7-mime; smime-type={smime_type}; name=smime.p7m"),
        "Content-Disposition: attachment; filename=smime.p7m".into(),
    ];
    let mut out = Vec::new();
    for field in fields {
        out.extend_from_slice(field.as_bytes());
        out.extend_from_slice(ending.as_bytes());
    }
    end_header(&mut out, ending);
    out
}

/// A CMS object under the `Content-*` fields it had, but in base64.
pub(super) fn object_under(headers: &Headers<'_>, object: &[u8], ending: LineEnding) -> Vec<u8> {
    behind_header(header_under(headers, object, ending), object, ending)
}

/// The header of that entity, with the blank line that ends it; `object` may be a beginning.
pub(super) fn header_under(headers: &Headers<'_>, object: &[u8], ending: LineEnding) -> Vec<u8> {
    let mut out = Vec::new();
    for field in headers.fields() {
        let describes_content = field
            .name
            .get(..8)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
        if describes_content
            && !field.is("Content-Transfer-Encoding")
            && !field.is("Content-Length")
        {
            for part in [field.name, b": ", field.value, ending.as_bytes()] {
                out.extend_from_slice(part);
            }
        }
    }
    if out.is_empty() {
        return object_header(object, ending);
    }
    end_header(&mut out, ending);
    out
}

fn end_header(out: &mut Vec<u8>, ending: LineEnding) {
    out.extend_from_slice(b"Content-Transfer-Encoding: base64");
    out.extend_from_slice(ending.as_bytes());
    out.extend_from_slice(ending.as_bytes());
}

fn behind_header(mut out: Vec<u8>, object: &[u8], ending: LineEnding) -> Vec<u8> {
    out.extend_from_slice(&transfer::base64_lines(object, ending));
    out
}

/// An object that was encrypted without MIME headers around it.
pub(super) fn bare_as_entity(object: &[u8], ending: LineEnding) -> Vec<u8> {
    let der = cms::armor::binary(object);
    object_as_entity(der.as_deref().unwrap_or(object), ending)
}
