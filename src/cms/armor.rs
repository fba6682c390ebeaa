//! Does this look like CMS, in binary or in PEM? Cheap, and answered for truncated objects too, so
//! that their form can be named.

use super::ber::{Length, Malformed, header, tag};
use super::oid::{self, Oid};

/// What PEM calls CMS objects: OpenSSL's two words, RFC 7468's, NSS's, and `GnuPG`'s.
const LABELS: [&[u8]; 5] = [
    b"PKCS7",
    b"CMS",
    b"PKCS #7 SIGNED DATA",
    b"SIGNED MESSAGE",
    b"ENCRYPTED MESSAGE",
];

/// How many bytes of base64 hold the content type, whatever the lengths before it.
const ARMORED_HEAD: usize = 128;

/// The content type, if `bytes` start like a `ContentInfo`: a SEQUENCE of an object identifier out of
/// PKCS #7's or S/MIME's content types, then `[0]` or nothing more. White space and PEM's begin line
/// may stand before it. Whether the object is complete does not matter.
pub fn sniff(bytes: &[u8]) -> Option<Oid<'_>> {
    if let Some(content_type) = sniff_binary(bytes) {
        return Some(content_type);
    }
    let start = bytes.trim_ascii_start();
    let (_, base64) = begin_line(start)?;
    let head = base64
        .get(..ARMORED_HEAD.min(base64.len()))
        .unwrap_or_default();
    sniff_binary(&decode_head(head)).and_then(Oid::known)
}

/// The DER or BER inside the first PEM block with a label for CMS; text before and after is
/// skipped. The end line may be missing, as in a file that was cut off.
pub fn unarmor(bytes: &[u8]) -> Option<Vec<u8>> {
    let start = memchr::memmem::find_iter(bytes, b"-----BEGIN ")
        .filter(|&at| at == 0 || matches!(bytes.get(at - 1), Some(b'\n' | b'\r')))
        .find_map(|at| begin_line(bytes.get(at..)?))?;
    let (_, base64) = start;
    let end = memchr::memmem::find(base64, b"-----").unwrap_or(base64.len());
    let base64 = base64.get(..end).unwrap_or_default();
    base64_simd::forgiving_decode_to_vec(base64).ok()
}

/// Whether `bytes` are one PEM block for CMS with nothing but white space around it. The end line
/// may be missing where nothing follows.
pub fn is_alone(bytes: &[u8]) -> bool {
    let Some((_, base64)) = begin_line(bytes.trim_ascii_start()) else {
        return false;
    };
    let end = memchr::memmem::find(base64, b"-----").unwrap_or(base64.len());
    let rest = base64.get(end..).unwrap_or_default().trim_ascii();
    rest.is_empty()
        || rest
            .strip_prefix(b"-----END ")
            .and_then(|rest| rest.strip_suffix(b"-----"))
            .is_some_and(|label| LABELS.contains(&label))
}

/// The label and what follows the line, if `bytes` start with a begin line for CMS.
fn begin_line(bytes: &[u8]) -> Option<(&'static [u8], &[u8])> {
    let rest = bytes.strip_prefix(b"-----BEGIN ")?;
    LABELS
        .into_iter()
        .find_map(|label| Some((label, rest.strip_prefix(label)?.strip_prefix(b"-----")?)))
}

/// Decodes the whole groups of four that `base64` starts with.
fn decode_head(base64: &[u8]) -> Vec<u8> {
    let mut letters: Vec<u8> = base64
        .iter()
        .copied()
        .filter(|letter| !letter.is_ascii_whitespace())
        .take_while(|letter| letter.is_ascii_alphanumeric() || matches!(letter, b'+' | b'/'))
        .collect();
    letters.truncate(letters.len() / 4 * 4);
    base64_simd::STANDARD
        .decode_to_vec(&letters)
        .unwrap_or_default()
}

fn sniff_binary(bytes: &[u8]) -> Option<Oid<'_>> {
    if bytes.first() != Some(&tag::SEQUENCE) {
        return None;
    }
    let (_, _, inside) = header(bytes).ok()?;
    let (tag, length, after) = header(inside).ok()?;
    let (tag::OID, Length::Definite(len)) = (tag, length) else {
        return None;
    };
    let (body, rest) = after.split_at_checked(len)?;
    let is_content_type = [oid::DATA, oid::COMPRESSED_DATA]
        .iter()
        .any(|one| same_arc(one.0, body));
    let explicit = tag::constructed(0);
    let goes_on = rest
        .first()
        .is_none_or(|&next| next == explicit || next == tag::SEQUENCE || next == 0);
    (is_content_type && goes_on).then_some(Oid(body))
}

/// Whether two object identifiers differ in their last octet only.
fn same_arc(one: &[u8], other: &[u8]) -> bool {
    matches!((one.split_last(), other.split_last()), (Some((_, one)), Some((last, other))) if one == other && last & 0x80 == 0)
}

/// The bytes of a CMS object that may be armoured: PEM is decoded, anything else stays.
///
/// # Errors
/// `Malformed` where PEM's base64 is broken.
pub fn binary(bytes: &[u8]) -> Result<std::borrow::Cow<'_, [u8]>, Malformed> {
    if bytes.first() == Some(&tag::SEQUENCE)
        || memchr::memmem::find(bytes, b"-----BEGIN ").is_none()
    {
        return Ok(bytes.into());
    }
    unarmor(bytes)
        .map(Into::into)
        .ok_or(Malformed("PEM that cannot be decoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = &[
        0x30, 0x80, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 3, 0xa0, 0x80, 0x30, 0x80, 2,
    ];

    #[test]
    fn a_truncated_object_is_still_recognised() {
        assert_eq!(sniff(HEAD), Some(oid::ENVELOPED_DATA));
        assert_eq!(sniff(&HEAD[..13]), Some(oid::ENVELOPED_DATA));
        assert_eq!(sniff(&HEAD[..12]), None);
        let definite = [&[0x30, 0x82, 0xff, 0xff][..], &HEAD[2..]].concat();
        assert_eq!(sniff(&definite), Some(oid::ENVELOPED_DATA));
        let spki = [
            &[0x30, 0x0d][..],
            &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0],
        ]
        .concat();
        assert_eq!(sniff(&spki), None);
        assert_eq!(sniff(b"From: a@b\n\n0"), None);
    }

    #[test]
    fn pem_is_seen_through() {
        for label in ["PKCS7", "CMS", "PKCS #7 SIGNED DATA", "ENCRYPTED MESSAGE"] {
            let base64 = base64_simd::STANDARD.encode_to_string(HEAD);
            let (a, b) = base64.split_at(7);
            let pem =
                format!("\n-----BEGIN {label}-----\r\n{a}\r\n{b}\r\n-----END {label}-----\r\n");
            assert_eq!(sniff(pem.as_bytes()), Some(oid::ENVELOPED_DATA), "{label}");
            assert_eq!(unarmor(pem.as_bytes()).as_deref(), Some(HEAD));
            let introduced = format!("some words\n{}", pem.trim_start());
            assert_eq!(
                sniff(introduced.as_bytes()),
                None,
                "text that holds PEM is not CMS itself"
            );
            assert_eq!(unarmor(introduced.as_bytes()).as_deref(), Some(HEAD));
        }
        assert_eq!(
            unarmor(b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"),
            None
        );
        assert_eq!(sniff(b"-----BEGIN CMS-----"), None);
    }
}
