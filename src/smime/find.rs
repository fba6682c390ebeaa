//! Which part of a message is S/MIME: by type (RFC 8551 §3), by name, by what it looks like.
//!
//! Labels lie in both directions: Exchange and gateways relabel `smime.p7m` as
//! `application/octet-stream`, and a text may be called `smime.p7m`. So a label or a name makes a
//! part a candidate, and the bytes decide.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use crate::cms::{self, Oid};
use crate::message::headers::Encoding;
use crate::message::parts::{Part, Tree};
use crate::message::transfer;

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
    /// A leaf that claims to be S/MIME (by type or name) and holds no CMS object.
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
    if protocol.contains("pgp-signature") {
        return Some(Kind::Foreign("pgp-signed"));
    }
    let (&content, &signature) = (part.children.first()?, part.children.get(1)?);
    let label = tree.parts.get(signature)?;
    if label.content_type.kind == "application/pgp-signature" {
        return Some(Kind::Foreign("pgp-signed"));
    }
    let claims = protocol.contains("pkcs7-signature")
        || is_cms_type(&label.content_type.kind)
        || name_of(label).is_some_and(|name| extension(&name).is_some());
    claims.then_some(Kind::ClearSigned { content, signature })
}

fn leaf_kind(tree: &Tree<'_>, part: &Part) -> Option<Kind> {
    let type_name = part.content_type.kind.as_str();
    let name = name_of(part);
    let named = name.as_deref().and_then(extension);
    let labelled = is_cms_type(type_name);
    if type_name == "application/x-microsoft-rpmsg-message"
        || name
            .as_deref()
            .is_some_and(|name| name.rsplit_once('.').is_some_and(|(_, end)| end == "rpmsg"))
    {
        return Some(Kind::Foreign("other-encrypted"));
    }
    let may_sniff = labelled || named.is_some() || type_name.starts_with("application/");
    if !may_sniff {
        return inline_kind(tree, part);
    }
    let Some(content_type) = sniff(tree, part) else {
        return (labelled || named.is_some()).then_some(Kind::Mislabelled);
    };
    let is_root = tree
        .parts
        .get(part.message)
        .is_some_and(|root| root.entity == part.entity);
    if !is_root && name.as_deref().is_some_and(is_document_name) {
        return Some(Kind::Document);
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

/// Text that is itself an armoured object: inline PGP, or a PEM CMS object without a label.
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
        let start = head.trim_ascii_start();
        (start.starts_with(b"-----BEGIN PKCS7-----") || start.starts_with(b"-----BEGIN CMS-----"))
            .then_some(Kind::Cms)
    }
}

/// The content type of the CMS object that the part's first bytes show, cut-off ones included.
pub fn sniff(tree: &Tree<'_>, part: &Part) -> Option<Oid<'static>> {
    let body = tree.bytes.get(part.body.clone())?;
    let head = body.get(..body.len().min(512)).unwrap_or(body);
    let decoded = transfer::decode(part.encoding, head).ok();
    let bytes = decoded.as_ref().map_or(head, |decoded| &decoded.bytes);
    let known = |bytes: &[u8]| cms::sniff(bytes).and_then(Oid::known);
    known(bytes).or_else(|| known(head)).or_else(|| {
        // A transfer encoding that was lost on the way: the body is base64 and nothing says so.
        let bare = transfer::decode(Encoding::Base64, head).ok()?;
        known(&bare.bytes)
    })
}

/// Whether foreign text follows the encoded object, such as a mailing list's footer.
pub fn has_trailing_text(tree: &Tree<'_>, part: &Part) -> bool {
    let body = tree.bytes.get(part.body.clone()).unwrap_or_default();
    // Padding ends the object; a footer is short.
    let tail = body
        .get(body.len().saturating_sub(8192)..)
        .unwrap_or_default();
    let tail = match memchr::memchr(b'\n', tail) {
        Some(line) if tail.len() < body.len() => tail.get(line + 1..).unwrap_or_default(),
        _ => tail,
    };
    part.encoding == Encoding::Base64
        && transfer::decode(part.encoding, tail).map_or(true, |decoded| decoded.trailing_text)
}

/// The CMS object of a leaf: transfer encoding and PEM armour removed.
pub fn object<'a>(tree: &Tree<'a>, part: &Part) -> Option<std::borrow::Cow<'a, [u8]>> {
    let body: &'a [u8] = tree.bytes.get(part.body.clone())?;
    let decoded = transfer::decode(part.encoding, body)
        .ok()
        .map(|decoded| decoded.bytes);
    let bytes = match decoded {
        Some(bytes) if cms::sniff(&bytes).is_some() => bytes,
        other => match transfer::decode(Encoding::Base64, body) {
            Ok(bare) if cms::sniff(body).is_none() && cms::sniff(&bare.bytes).is_some() => {
                bare.bytes
            }
            _ => other.unwrap_or(std::borrow::Cow::Borrowed(body)),
        },
    };
    Some(match cms::unarmor(&bytes) {
        Some(der) => std::borrow::Cow::Owned(der),
        None => bytes,
    })
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
    )
}

fn name_of(part: &Part) -> Option<String> {
    part.file_name
        .as_ref()
        .map(|name| name.trim().to_ascii_lowercase())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_told_from_layers() {
        assert!(is_document_name("contract.pdf.p7m"));
        assert!(!is_document_name("smime.p7m"));
        assert!(!is_document_name("mail.2004.p7m"));
        assert!(!is_document_name("postacert.eml.p7m"));
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
