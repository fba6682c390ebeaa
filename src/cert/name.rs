//! Distinguished names as text (RFC 4514), and when two of them are the same.

use std::fmt::Write as _;

use super::der::{Reader, dotted};

/// The short names that are written; all are registered LDAP descriptors (RFC 4514 §3, RFC 4519,
/// RFC 3280 for `emailAddress`). Any other type is written as dotted decimal with a hex value.
const SHORT_NAMES: &[(&[u8], &str)] = &[
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 4], "sn"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 12], "title"),
    (&[0x55, 4, 13], "description"),
    (&[0x55, 4, 15], "businessCategory"),
    (&[0x55, 4, 16], "postalAddress"),
    (&[0x55, 4, 17], "postalCode"),
    (&[0x55, 4, 20], "telephoneNumber"),
    (&[0x55, 4, 41], "name"),
    (&[0x55, 4, 42], "givenName"),
    (&[0x55, 4, 43], "initials"),
    (&[0x55, 4, 44], "generationQualifier"),
    (&[0x55, 4, 46], "dnQualifier"),
    (&[0x55, 4, 65], "pseudonym"),
    (&[0x55, 4, 97], "organizationIdentifier"),
    (EMAIL_ADDRESS, "emailAddress"),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1],
        "UID",
    ),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25],
        "DC",
    ),
];

const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];
const COMMON_NAME: &[u8] = &[0x55, 4, 3];

/// One attribute of a relative distinguished name.
struct Attribute<'a> {
    oid: &'a [u8],
    tag: u8,
    raw: &'a [u8],
    body: &'a [u8],
}

/// RDNs in the order of the encoding, each with its attributes; `None` where malformed.
fn walk(tlv: &[u8]) -> Option<Vec<Vec<Attribute<'_>>>> {
    let mut outer = Reader::new(tlv);
    let mut sequence = Reader::new(outer.expect(0x30)?.body);
    let mut rdns = Vec::new();
    while !sequence.is_empty() {
        let mut set = Reader::new(sequence.expect(0x31)?.body);
        let mut rdn = Vec::new();
        while !set.is_empty() {
            let mut pair = Reader::new(set.expect(0x30)?.body);
            let oid = pair.expect(0x06)?.body;
            let value = pair.next()?;
            rdn.push(Attribute {
                oid,
                tag: value.tag,
                raw: value.raw,
                body: value.body,
            });
        }
        rdns.push(rdn);
    }
    Some(rdns)
}

/// A `Name` (its whole TLV) as RFC 4514 text, the last RDN first; `None` where it is malformed.
/// Within an RDN, where order means nothing, it is backwards too, as OpenSSL writes it.
///
/// Text stays UTF-8; controls are written as `\XX`. A value that is no string, or of a type
/// without a short name, is written as `#` and the hex of its encoding (§2.4).
pub fn rfc4514(tlv: &[u8]) -> Option<String> {
    let rdns = walk(tlv)?.into_iter().rev();
    Some(join(
        rdns.map(|rdn| rdn.iter().rev().map(attribute_text).collect()),
    ))
}

/// What two names share where they are the same name in other spelling: ASCII case, runs of
/// white space and string types do not count (RFC 5280 §7.1, and as OpenSSL compares). Not for
/// showing.
pub fn canonical(tlv: &[u8]) -> Option<String> {
    let rdns = walk(tlv)?.into_iter().rev();
    Some(join(rdns.map(|rdn| {
        let mut attributes: Vec<String> = rdn.iter().map(canonical_attribute).collect();
        attributes.sort_unstable();
        attributes
    })))
}

fn join(rdns: impl Iterator<Item = Vec<String>>) -> String {
    rdns.map(|rdn| rdn.join("+")).collect::<Vec<_>>().join(",")
}

fn attribute_text(attribute: &Attribute<'_>) -> String {
    match SHORT_NAMES.iter().find(|(oid, _)| *oid == attribute.oid) {
        Some((_, name)) => typed(
            name,
            string(attribute.tag, attribute.body).as_deref(),
            attribute.raw,
        ),
        None => typed(&dotted(attribute.oid), None, attribute.raw),
    }
}

fn canonical_attribute(attribute: &Attribute<'_>) -> String {
    let text = string(attribute.tag, attribute.body).map(|text| {
        text.to_ascii_lowercase()
            .split_ascii_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    });
    typed(&dotted(attribute.oid), text.as_deref(), attribute.raw)
}

fn typed(name: &str, text: Option<&str>, raw: &[u8]) -> String {
    let Some(text) = text else {
        return format!("{name}=#{}", crate::text::hex(raw));
    };
    let mut out = format!("{name}=");
    escape(&mut out, text);
    out
}

/// RFC 4514 §2.4, and every control character as hex pairs.
fn escape(out: &mut String, text: &str) {
    let last = text.chars().count().saturating_sub(1);
    for (i, c) in text.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            ' ' if i == 0 || i == last => out.push_str("\\ "),
            '#' if i == 0 => out.push_str("\\#"),
            c if c.is_control() => {
                let mut buffer = [0; 4];
                for byte in c.encode_utf8(&mut buffer).bytes() {
                    let _ = write!(out, "\\{byte:02X}");
                }
            }
            c => out.push(c),
        }
    }
}

/// The text of an ASN.1 string type; `None` for any other type and for bytes that are not valid
/// in it. Eight-bit characters of the one-byte types are read as Latin-1, as everybody does.
pub(super) fn string(tag: u8, body: &[u8]) -> Option<String> {
    match tag {
        0x0c => std::str::from_utf8(body).ok().map(str::to_owned),
        0x12 | 0x13 | 0x14 | 0x16 | 0x1a => Some(body.iter().copied().map(char::from).collect()),
        0x1e => {
            let (pairs, []) = body.as_chunks::<2>() else {
                return None;
            };
            char::decode_utf16(pairs.iter().map(|pair| u16::from_be_bytes(*pair)))
                .collect::<Result<_, _>>()
                .ok()
        }
        0x1c => {
            let (quads, []) = body.as_chunks::<4>() else {
                return None;
            };
            quads
                .iter()
                .map(|quad| char::from_u32(u32::from_be_bytes(*quad)))
                .collect()
        }
        _ => None,
    }
}

/// The values of every `emailAddress` attribute (PKCS #9), in order.
pub(super) fn email_addresses(tlv: &[u8]) -> Vec<String> {
    values(tlv, EMAIL_ADDRESS)
}

/// The last `CN`: what to call a subject that has no address.
pub fn common_name(tlv: &[u8]) -> Option<String> {
    values(tlv, COMMON_NAME).pop()
}

fn values(tlv: &[u8], oid: &[u8]) -> Vec<String> {
    walk(tlv)
        .unwrap_or_default()
        .iter()
        .flatten()
        .filter(|attribute| attribute.oid == oid)
        .filter_map(|attribute| string(attribute.tag, attribute.body))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OID, tag, value.
    type Entry<'a> = (&'a [u8], u8, &'a [u8]);

    /// A Name of these RDNs.
    fn name(rdns: &[&[Entry<'_>]]) -> Vec<u8> {
        fn tlv(tag: u8, body: &[u8]) -> Vec<u8> {
            let mut out = vec![tag, u8::try_from(body.len()).unwrap()];
            out.extend_from_slice(body);
            out
        }
        let sets: Vec<u8> = rdns
            .iter()
            .flat_map(|rdn| {
                let pairs: Vec<u8> = rdn
                    .iter()
                    .flat_map(|(oid, tag, value)| {
                        tlv(0x30, &[tlv(6, oid), tlv(*tag, value)].concat())
                    })
                    .collect();
                tlv(0x31, &pairs)
            })
            .collect();
        tlv(0x30, &sets)
    }

    #[test]
    fn escapes_as_rfc_4514_says() {
        let der = name(&[
            &[(&[0x55, 4, 6], 0x13, b"DE")],
            &[(&[0x55, 4, 10], 0x0c, b"# a, \"b\" + <c>; \\\n\0 ")],
            &[(COMMON_NAME, 0x1e, b"\0\xe4"), (&[0x2a, 3], 0x0c, b"x")],
        ]);
        assert_eq!(
            rfc4514(&der).unwrap(),
            "1.2.3=#0c0178+CN=ä,O=\\# a\\, \\\"b\\\" \\+ \\<c\\>\\; \\\\\\0A\\00\\ ,C=DE"
        );
    }

    #[test]
    fn other_spelling_is_the_same_name_and_escapes_are_not_confused() {
        let key = |value: &[u8]| canonical(&name(&[&[(COMMON_NAME, 0x0c, value)]])).unwrap();
        assert_eq!(key(b" Root  CA"), key(b"root ca "));
        assert_eq!(
            key(b"x"),
            canonical(&name(&[&[(COMMON_NAME, 0x13, b"X")]])).unwrap()
        );
        assert_ne!(
            key(b"a,CN=b"),
            canonical(&name(&[
                &[(COMMON_NAME, 12, b"b")],
                &[(COMMON_NAME, 12, b"a")]
            ]))
            .unwrap()
        );
        assert_ne!(key(b"a\\ "), key(b"a"));
    }

    #[test]
    fn a_malformed_name_is_none() {
        assert_eq!(rfc4514(b"\x30\x03\x31\x05\x30"), None);
        assert_eq!(rfc4514(b""), None);
        assert_eq!(rfc4514(b"\x30\0").as_deref(), Some(""));
    }
}
