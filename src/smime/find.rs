//! Which part of a message is S/MIME: by type (RFC 8551 §3), by name, by what it looks like.
//!
//! Labels lie in both directions: Exchange and gateways relabel `smime.p7m` as
//! `application/octet-stream`, and a text may be called `smime.p7m`. So a label or a name makes a
//! part a candidate, and the bytes decide.

use std::borrow::Cow;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use crate::cms::{self, Oid};
use crate::message::headers::{self, Encoding, Headers};
use crate::message::parts::{Note, Part, Tree};
use crate::message::{tnef, transfer};

mod large;

pub use large::{LargeObject, large_object};

/// What a part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `multipart/signed` with a CMS signature: indices of the signed part and of the signature.
    ClearSigned {
        /// The first child.
        content: usize,
        /// The second child.
        signature: usize,
    },
    /// A leaf that holds a CMS object.
    Cms,
    /// A detached signature that stands without its `multipart/signed`.
    StraySignature,
    /// A leaf whose body, decoded, is a whole S/MIME entity with its header: Exchange puts a
    /// `multipart/signed` into a `smime.p7m`.
    Enclosed,
    /// A leaf that holds a TNEF stream, which may hold S/MIME.
    Tnef,
    /// An entity that claims to be S/MIME (by type or name) and holds no CMS object, or that
    /// lacks its signature.
    Mislabelled,
    /// A signed document (`CAdES`, such as `contract.pdf.p7m`): an attachment, not the mail's layer.
    Document,
    /// `OpenPGP` or another system: named and left alone.
    Foreign(&'static str),
}

/// Bytes of every mail that can hold S/MIME, `OpenPGP` or another encryption. What holds none of
/// them is plain, and is told apart without being parsed.
static TRACES: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build([
            "application/",
            "message/rfc822",
            "message/global",
            "smime-type",
            "tnef",
            "winmail",
            "=86h=86=f7",
            "=86=48=86=f7",
            // base64 of `-----BEGIN `.
            "ls0tls1crudjti",
            "pkcs7",
            "pkcs-7",
            ".p7",
            "smime",
            "multipart/signed",
            "multipart/encrypted",
            "begin pgp",
            "begin cms",
            ".rpmsg",
            "rpmsg-message",
            "encrypted_data",
            "kozihvcnaq",
            "qgsib3dqe",
            "qhkig9w0b",
        ])
        .ok()
});

/// Whether `message` may hold anything but plain mail. It errs on the side of `true`.
pub fn may_hold_smime(message: &[u8]) -> bool {
    const PKCS7_OID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01];
    memchr::memmem::find(message, PKCS7_OID).is_some()
        || TRACES
            .as_ref()
            .is_none_or(|traces| traces.is_match(message))
}

/// What the part at `index` is; `None` for everything that is not S/MIME's business.
pub fn kind(tree: &Tree<'_>, index: usize) -> Option<Kind> {
    let part = tree.parts.get(index)?;
    match part.content_type.kind.as_str() {
        "multipart/signed" => return signed_kind(tree, part),
        "multipart/encrypted" => return Some(Kind::Foreign("pgp-encrypted")),
        kind if kind.starts_with("multipart/") || kind.starts_with("message/") => return None,
        _ => {}
    }
    leaf_kind(tree, part)
}

fn signed_kind(tree: &Tree<'_>, part: &Part) -> Option<Kind> {
    let protocol = part
        .content_type
        .param("protocol")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let names_pgp = protocol.contains("pgp-signature");
    let names_smime = protocol.contains("pkcs7") || protocol.contains("pkcs-7");
    let (content, signature) = (part.children.first(), part.children.get(1));
    let (Some(&content), Some(&signature)) = (content, signature) else {
        // Cut off, or encoded as a whole, which no multipart may be. Where it has parts, they are
        // what readers show.
        return if part.children.is_empty() && encloses_smime(tree, part) {
            Some(Kind::Enclosed)
        } else if names_pgp {
            Some(Kind::Foreign("pgp-signed"))
        } else {
            Some(Kind::Mislabelled)
        };
    };
    let label = tree.parts.get(signature)?;
    if sniff(tree, label) == Some(cms::oid::SIGNED_DATA) {
        return Some(Kind::ClearSigned { content, signature });
    }
    let is_pgp = names_pgp
        || label.content_type.kind == "application/pgp-signature"
        || tree
            .body(label)
            .trim_ascii_start()
            .starts_with(b"-----BEGIN PGP SIGNATURE-----");
    if is_pgp {
        return Some(Kind::Foreign("pgp-signed"));
    }
    let claims = names_smime
        || is_cms_type(&label.content_type.kind)
        || name_of(label).is_some_and(|name| extension(&name).is_some());
    claims.then_some(Kind::ClearSigned { content, signature })
}

fn leaf_kind(tree: &Tree<'_>, part: &Part) -> Option<Kind> {
    let type_name = part.content_type.kind.as_str();
    let name = name_of(part);
    let named = name.as_deref().and_then(extension);
    let smime_type = part.content_type.param("smime-type").is_some();
    let labelled = is_cms_type(type_name) || smime_type;
    if type_name == "application/x-microsoft-rpmsg-message"
        || name
            .as_deref()
            .is_some_and(|name| has_extension(name, "rpmsg"))
    {
        return Some(Kind::Foreign("other-encrypted"));
    }
    if is_tnef(tree, part, name.as_deref()) {
        return Some(Kind::Tnef);
    }
    let claims = labelled || named.is_some();
    if type_name.starts_with("text/") && !claims {
        return inline_kind(tree, part);
    }
    let found =
        sniff(tree, part).or_else(|| claims.then(|| sniff_among_words(tree, part)).flatten());
    let Some(content_type) = found else {
        return match claims {
            true if encloses_smime(tree, part) => Some(Kind::Enclosed),
            true => Some(Kind::Mislabelled),
            false => None,
        };
    };
    if name.as_deref().is_some_and(is_document_name) {
        let is_root = tree
            .parts
            .get(part.message)
            .is_some_and(|root| root.entity == part.entity);
        let is_document = if content_type == cms::oid::SIGNED_DATA {
            object(tree, part).map_or(!is_root, |object| {
                holds_no_mail(&object.bytes).unwrap_or(!is_root)
            })
        } else {
            !is_root && is_known_document_name(name.as_deref().unwrap_or_default())
        };
        if is_document {
            return Some(Kind::Document);
        }
    }
    let signature = matches!(
        type_name,
        "application/pkcs7-signature" | "application/x-pkcs7-signature"
    ) || named == Some("p7s");
    if signature && content_type == cms::oid::SIGNED_DATA {
        Some(Kind::StraySignature)
    } else {
        Some(Kind::Cms)
    }
}

/// Whether a SignedData that is named like a document holds one: a message may bear such a name
/// too, its subject's. `None` where that cannot be read.
fn holds_no_mail(object: &[u8]) -> Option<bool> {
    let Ok(cms::Content::Signed(data)) = cms::parse(object).map(|info| info.content) else {
        return None;
    };
    Some(data.content.is_none_or(|content| {
        let content = content.cow();
        let head = content.get(..content.len().min(HEAD)).unwrap_or_default();
        Headers::parse_part(head).count("Content-Type") == 0
    }))
}

/// Whether a CMS object in a file of that name (in lower case) is a document.
pub fn is_document(name: &str, object: &[u8]) -> bool {
    is_document_name(name) && holds_no_mail(object).unwrap_or_else(|| is_known_document_name(name))
}

/// Whether a file's name or media type, both in lower case, says S/MIME.
pub fn names_smime(name: &str, media_type: &str) -> bool {
    extension(name).is_some() || is_cms_type(media_type)
}

/// Bytes of a decoded body in which a header is looked for.
const HEAD: usize = 8 << 10;

/// Whether the decoded body begins with the header of an S/MIME entity.
fn encloses_smime(tree: &Tree<'_>, part: &Part) -> bool {
    let body = tree.body(part);
    let head = body.get(..body.len().min(2 * HEAD)).unwrap_or(body);
    readings(part.encoding, head).any(|reading| is_smime_entity(&reading.bytes))
}

/// Whether `bytes` begin with the header of an S/MIME entity.
pub fn is_smime_entity(bytes: &[u8]) -> bool {
    let head = bytes.get(..bytes.len().min(HEAD)).unwrap_or(bytes);
    let headers = Headers::parse(head);
    headers::content_type(&headers).is_some_and(|content_type| {
        content_type.kind == "multipart/signed" || is_cms_type(&content_type.kind)
    })
}

/// The S/MIME entity that a leaf's body is.
pub fn enclosed<'a>(tree: &Tree<'a>, part: &Part) -> Option<Object<'a>> {
    let body: &'a [u8] = tree.body(part);
    let Reading { bytes, mut beside } =
        readings(part.encoding, body).find(|reading| is_smime_entity(&reading.bytes))?;
    // A multipart's text before its first boundary, or text by its label, is shown as it stands.
    let is_multipart = part.content_type.is_multipart();
    if part.content_type.kind.starts_with("text/")
        || part.note == Some(Note::Unclosed)
        || is_multipart && matches!(bytes, Cow::Borrowed(_))
    {
        beside = beside.max(Beside::Shown);
    }
    Some(Object { bytes, beside })
}

fn is_tnef(tree: &Tree<'_>, part: &Part, name: Option<&str>) -> bool {
    let claims = matches!(
        part.content_type.kind.as_str(),
        "application/ms-tnef" | "application/vnd.ms-tnef"
    ) || name.is_some_and(|name| name == "winmail.dat" || has_extension(name, "tnef"));
    if !claims && !part.content_type.kind.starts_with("application/") {
        return false;
    }
    let body = tree.body(part);
    let head = body.get(..body.len().min(64)).unwrap_or(body);
    readings(part.encoding, head).any(|reading| reading.bytes.starts_with(tnef::MAGIC))
}

/// The TNEF stream that a leaf's body is.
pub fn tnef_stream<'a>(tree: &Tree<'a>, part: &Part) -> Option<Cow<'a, [u8]>> {
    readings(part.encoding, tree.body(part))
        .map(|reading| reading.bytes)
        .find(|reading| reading.starts_with(tnef::MAGIC))
}

/// Text that is itself an object: inline PGP, or a CMS object whose label was lost.
fn inline_kind(tree: &Tree<'_>, part: &Part) -> Option<Kind> {
    if !part.content_type.kind.starts_with("text/") {
        return None;
    }
    let body = tree.bytes.get(part.body.clone())?;
    let head = body.get(..body.len().min(4096)).unwrap_or(body);
    let decoded;
    let head = match part.encoding {
        Encoding::Base64 | Encoding::QuotedPrintable => {
            decoded = transfer::decode(part.encoding, head).ok()?;
            &decoded.bytes
        }
        _ => head,
    };
    let armor = |marker: &[u8]| {
        memchr::memmem::find(head, marker)
            .is_some_and(|at| at == 0 || head.get(at - 1) == Some(&b'\n'))
    };
    if armor(b"-----BEGIN PGP MESSAGE-----") {
        Some(Kind::Foreign("pgp-encrypted"))
    } else if armor(b"-----BEGIN PGP SIGNED MESSAGE-----") {
        Some(Kind::Foreign("pgp-signed"))
    } else {
        cms::sniff(head.trim_ascii_start()).map(|_| Kind::Cms)
    }
}

/// The content type of the CMS object that the part's first bytes show, cut-off ones included.
pub fn sniff(tree: &Tree<'_>, part: &Part) -> Option<Oid<'static>> {
    let body = tree.body(part);
    let blank = body.len() - body.trim_ascii_start().len();
    let body = body.get(blank..).unwrap_or_default();
    let head = body.get(..body.len().min(1024)).unwrap_or(body);
    readings(part.encoding, head)
        .find_map(|reading| cms::sniff(&reading.bytes).and_then(Oid::known))
}

/// The same where words stand before the object's PEM.
fn sniff_among_words(tree: &Tree<'_>, part: &Part) -> Option<Oid<'static>> {
    let body = tree.body(part);
    let head = body.get(..body.len().min(HEAD)).unwrap_or(body);
    readings(part.encoding, head).find_map(|reading| content_type_of(&reading.bytes))
}

/// The content type of a CMS object, in binary or in PEM, words before it included.
fn content_type_of(bytes: &[u8]) -> Option<Oid<'static>> {
    cms::sniff(bytes).and_then(Oid::known).or_else(|| {
        let der = cms::unarmor(bytes)?;
        cms::sniff(&der).and_then(Oid::known)
    })
}

/// What else a reader may show of the entity that an object stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Beside {
    /// Nothing: every byte belongs to the object.
    Nothing,
    /// The object itself, as text, or marks between its lines: unsigned parts of an object are
    /// anybody's. Nothing gets lost with it.
    Shown,
    /// Words of their own, which are not in the object: a mailing list's footer, or what somebody
    /// wrote around another's object.
    Words,
}

/// A CMS object where it was found.
#[derive(Debug)]
pub struct Object<'a> {
    /// Transfer encoding and PEM armour removed; what follows the object's end is still there.
    pub bytes: Cow<'a, [u8]>,
    /// What stands around it, apart from what follows its end: see [`behind`].
    pub beside: Beside,
}

/// A body in one way to read it, and what that way leaves out.
struct Reading<'a> {
    bytes: Cow<'a, [u8]>,
    beside: Beside,
}

/// How a body may be encoded, whatever it says.
const OTHERS: [Encoding; 3] = [
    Encoding::Identity,
    Encoding::Base64,
    Encoding::QuotedPrintable,
];

/// What a body is, decoded as it says, and else as it may be meant: transfer encodings are lost,
/// applied twice or named wrongly on the way.
fn readings(encoding: Encoding, body: &[u8]) -> impl Iterator<Item = Reading<'_>> {
    let decoded = move |encoding| {
        transfer::decode(encoding, body)
            .ok()
            .map(|decoded| Reading {
                beside: if decoded.trailing_text {
                    Beside::Words
                } else {
                    Beside::Nothing
                },
                bytes: decoded.bytes,
            })
    };
    std::iter::once(encoding)
        .chain(OTHERS.into_iter().filter(move |other| *other != encoding))
        .filter_map(decoded)
        .chain(std::iter::once_with(move || Reading {
            bytes: Cow::Owned(transfer::base64_among_others(body)),
            // ASCII letters among it are read as data; others spell words.
            beside: if body.is_ascii() {
                Beside::Shown
            } else {
                Beside::Words
            },
        }))
}

/// What follows an object's end, in `trailing` bytes, other than padding. Text behind base64 without
/// padding decodes as bytes behind the object.
pub fn behind(bytes: &[u8], trailing: usize) -> Beside {
    let behind = bytes.get(bytes.len() - trailing.min(bytes.len())..);
    let shown = |byte: &&u8| **byte != 0 && !byte.is_ascii_whitespace();
    if behind.unwrap_or_default().iter().filter(shown).count() > 3 {
        Beside::Words
    } else {
        Beside::Nothing
    }
}

/// The CMS object of a leaf: transfer encoding and PEM armour removed. Where the body shows none
/// it is the body, decoded as it says.
pub fn object<'a>(tree: &Tree<'a>, part: &Part) -> Option<Object<'a>> {
    let body: &'a [u8] = tree.body(part);
    let Reading { bytes, mut beside } = readings(part.encoding, body)
        .find(|reading| content_type_of(&reading.bytes).is_some())
        .or_else(|| readings(part.encoding, body).next())?;
    if part.content_type.kind.starts_with("text/") {
        beside = beside.max(Beside::Shown);
    }
    let der = match cms::armor::binary(&bytes) {
        Ok(Cow::Owned(der)) => Some(der),
        _ => None,
    };
    if der.is_some() && !cms::armor::is_alone(&bytes) {
        beside = Beside::Words;
    }
    Some(Object {
        bytes: der.map_or(bytes, Cow::Owned),
        beside,
    })
}

/// Whether a part holds entities of its own, so that no reader takes its body for a file.
pub fn is_container(part: &Part) -> bool {
    !part.children.is_empty()
        || part.content_type.is_multipart()
        || part.content_type.kind.starts_with("message/")
}

fn is_cms_type(kind: &str) -> bool {
    matches!(
        kind,
        "application/pkcs7-mime"
            | "application/x-pkcs7-mime"
            | "application/pkcs7-signature"
            | "application/x-pkcs7-signature"
            | "application/pkcs7"
            | "application/x-pkcs7"
            | "application/cms"
            | "application/x-pkcs7-certificates"
            | "application/pkcs7-certificates"
            | "application/x-pkcs7-certreqresp"
            | "application/pkcs-7-mime"
            | "application/pkcs-7-signature"
            | "application/x-pkcs-7-mime"
            | "application/x-pkcs-7-signature"
            | "application/smime"
            | "application/x-smime"
    )
}

fn name_of(part: &Part) -> Option<String> {
    part.file_name
        .as_ref()
        .map(|name| name.trim().to_ascii_lowercase())
}

fn has_extension(name: &str, extension: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, end)| end == extension)
}

/// The S/MIME extension of a file name (RFC 8551 §3.2.1), without its dot.
fn extension(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    ["p7m", "p7s", "p7c", "p7b", "p7z"]
        .into_iter()
        .find(|known| *known == extension)
}

/// `offer.pdf.p7m`: the name under the S/MIME extension is a document's own.
fn is_document_name(name: &str) -> bool {
    let Some((stem, "p7m" | "p7s")) = name.rsplit_once('.') else {
        return false;
    };
    stem.rsplit_once('.').is_some_and(|(base, extension)| {
        !base.is_empty()
            && (2..=5).contains(&extension.len())
            && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && extension.bytes().any(|byte| byte.is_ascii_alphabetic())
            && extension != "eml"
    })
}

/// Names of which nobody would think that they come from a subject line. What is encrypted cannot
/// be asked what it is.
fn is_known_document_name(name: &str) -> bool {
    const KNOWN: [&str; 26] = [
        "pdf", "xml", "doc", "docx", "odt", "xls", "xlsx", "ods", "ppt", "pptx", "odp", "txt",
        "rtf", "csv", "html", "htm", "json", "zip", "7z", "jpg", "jpeg", "png", "tif", "tiff",
        "dwg", "p7m",
    ];
    is_document_name(name)
        && name
            .rsplit_once('.')
            .and_then(|(stem, _)| stem.rsplit_once('.'))
            .is_some_and(|(_, extension)| KNOWN.contains(&extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_told_from_layers() {
        assert!(is_document_name("contract.pdf.p7m"));
        assert!(!is_document_name("smime.p7m"));
        assert!(!is_document_name("mail.2004.p7m"));
        assert!(!is_document_name("postacert.eml.p7m"));
        assert!(is_document_name("www.example.com.p7m"));
        assert!(!is_known_document_name("www.example.com.p7m"));
        assert!(is_known_document_name("contract.pdf.p7m"));
    }

    #[test]
    fn base64_of_a_cms_object_is_a_trace_at_every_alignment() {
        // The PKCS#7 arc at three alignments, as base64 shows it.
        let oid = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
        for shift in 0..3 {
            let mut der = vec![b'x'; shift];
            der.extend_from_slice(&[0x30, 0x80, 0x06, 0x09]);
            der.extend_from_slice(&oid);
            let text = base64_simd::STANDARD.encode_to_string(&der);
            assert!(may_hold_smime(text.as_bytes()), "{text}");
        }
        assert!(!may_hold_smime(b"Subject: lunch\n\nShall we?\n"));
    }
}
