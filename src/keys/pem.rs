//! PEM files: any number of keys and certificates one after the other, with text between them; and
//! the same objects bare, in DER.

use std::borrow::Cow;

use memchr::memmem;
use openssl::pkey::PKey;
use zeroize::Zeroizing;

use crate::cms::ber::{Tlv, tag};
use crate::cms::oid::{self, Oid};
use crate::crypto::SecretKey;

/// One object of a key file.
pub(super) enum Item<'a> {
    /// PKCS#8 or one of the older forms, in DER.
    Key(Zeroizing<Vec<u8>>),
    /// `EncryptedPrivateKeyInfo` (RFC 5958 §3), in DER.
    EncryptedKey(Cow<'a, [u8]>),
    /// A key that PEM itself encrypts (RFC 1421 §4.6.1.1), the whole block.
    EncryptedPem(&'a [u8]),
    /// In DER.
    Certificate(Cow<'a, [u8]>),
    /// PKCS#12, in BER.
    Pkcs12(Cow<'a, [u8]>),
    /// PKCS#7 with certificates, in BER.
    Cms(Cow<'a, [u8]>),
}

/// Every object in `bytes`, whether PEM or DER; empty where there is none.
pub(super) fn items(bytes: &[u8]) -> Vec<Item<'_>> {
    if let Some(item) = bare(bytes.into()) {
        return vec![item];
    }
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some(start) = memmem::find(rest, b"-----BEGIN ") {
        let block = rest.get(start..).unwrap_or_default();
        let Some((label, body, len)) = take_block(block) else {
            rest = block.get(1..).unwrap_or_default();
            continue;
        };
        out.extend(item(label, block.get(..len).unwrap_or_default(), body));
        rest = block.get(len..).unwrap_or_default();
    }
    if out.is_empty() && bytes.starts_with(b"M") {
        // Base64 without its armour, as some programs export it.
        out.extend(
            base64_simd::forgiving_decode_to_vec(bytes)
                .ok()
                .and_then(|der| bare(der.into())),
        );
    }
    out
}

/// Label, body and whole length of the block that `block` starts with. Its end is the next line of
/// five dashes: a block without one ends there too, so that the search stays linear.
fn take_block(block: &[u8]) -> Option<(&[u8], &[u8], usize)> {
    let head = block.strip_prefix(b"-----BEGIN ")?;
    let label_len = memmem::find(head.get(..head.len().min(80))?, b"-----")?;
    let (label, rest) = head.split_at_checked(label_len)?;
    let rest = rest.get(5..)?;
    let body_len = memmem::find(rest, b"-----")?;
    let body = rest.get(..body_len)?;
    let end = [b"-----END ", label, b"-----"].concat();
    rest.get(body_len..)?.starts_with(&end).then(|| {
        let len = block.len() - rest.len() + body_len + end.len();
        (label, body, len)
    })
}

fn item<'a>(label: &[u8], block: &'a [u8], body: &[u8]) -> Option<Item<'a>> {
    let traditional = [
        &b"RSA PRIVATE KEY"[..],
        b"EC PRIVATE KEY",
        b"DSA PRIVATE KEY",
    ];
    if traditional.contains(&label) && memmem::find(body, b"ENCRYPTED").is_some() {
        return Some(Item::EncryptedPem(block));
    }
    let der = Zeroizing::new(base64_simd::forgiving_decode_to_vec(body).ok()?);
    if label == b"PRIVATE KEY" || traditional.contains(&label) {
        return Some(Item::Key(der));
    }
    let der = Cow::Owned(der.to_vec());
    Some(match label {
        b"ENCRYPTED PRIVATE KEY" => Item::EncryptedKey(der),
        b"CERTIFICATE" | b"X509 CERTIFICATE" | b"TRUSTED CERTIFICATE" => Item::Certificate(der),
        b"PKCS12" => Item::Pkcs12(der),
        b"PKCS7" | b"CMS" | b"PKCS #7 SIGNED DATA" => Item::Cms(der),
        _ => return None,
    })
}

/// What a bare DER or BER object is, by its first elements.
fn bare(bytes: Cow<'_, [u8]>) -> Option<Item<'_>> {
    let kind = kind_of(&bytes)?;
    Some(match kind {
        Kind::Key => Item::Key(Zeroizing::new(bytes.into_owned())),
        Kind::EncryptedKey => Item::EncryptedKey(bytes),
        Kind::Certificate => Item::Certificate(bytes),
        Kind::Pkcs12 => Item::Pkcs12(bytes),
        Kind::Cms => Item::Cms(bytes),
    })
}

#[derive(Clone, Copy)]
enum Kind {
    Key,
    EncryptedKey,
    Certificate,
    Pkcs12,
    Cms,
}

fn kind_of(bytes: &[u8]) -> Option<Kind> {
    if super::pkcs12::is_pfx(bytes) {
        return Some(Kind::Pkcs12);
    }
    let (outer, _) = Tlv::read(bytes).ok()?;
    if outer.tag != tag::SEQUENCE {
        return None;
    }
    let mut reader = outer.reader();
    let first = reader.read().ok()?;
    let second = reader.read().ok();
    let second_tag = second.map_or(0, |tlv| tlv.tag);
    match (first.tag, second_tag) {
        (tag::OID, _) if Oid(first.body) == oid::SIGNED_DATA => Some(Kind::Cms),
        // PKCS#8: version, algorithm; RSA: version, modulus; EC: version, OCTET STRING.
        (tag::INTEGER, tag::SEQUENCE | tag::INTEGER | tag::OCTET_STRING) => Some(Kind::Key),
        (tag::SEQUENCE, tag::OCTET_STRING) => Some(Kind::EncryptedKey),
        (tag::SEQUENCE, tag::SEQUENCE) => Some(Kind::Certificate),
        _ => None,
    }
}

/// Reads an unencrypted key in DER, whatever its form.
pub(super) fn key(der: &[u8]) -> Option<SecretKey> {
    PKey::private_key_from_pkcs8(der)
        .or_else(|_| PKey::private_key_from_der(der))
        .ok()
}

/// Opens a key that PEM itself encrypts; the derivation is one round, there is nothing to bound.
pub(super) fn encrypted_key(block: &[u8], passphrase: &[u8]) -> Option<SecretKey> {
    // Always through a callback: without one OpenSSL would ask the terminal by itself.
    PKey::private_key_from_pem_callback(block, |buffer| {
        let room = buffer.get_mut(..passphrase.len());
        Ok(room.map_or(0, |room| {
            room.copy_from_slice(passphrase);
            passphrase.len()
        }))
    })
    .ok()
}
