//! Elements written in DER (X.690 §10).

use super::ber::tag;
use super::oid::Oid;

/// Identifier and length octets of an element with `len` bytes of body.
pub fn header(tag: u8, len: usize) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(len) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let digits: Vec<u8> = len
                .to_be_bytes()
                .into_iter()
                .skip_while(|&digit| digit == 0)
                .collect();
            // A `usize` has at most eight digits.
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or(8));
            out.extend(digits);
        }
    }
    out
}

/// An element whose body is `parts`, one after the other.
pub fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len = parts.iter().map(|part| part.len()).sum();
    let mut out = header(tag, len);
    out.reserve_exact(len);
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// SEQUENCE of elements.
pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(tag::SEQUENCE, parts)
}

/// SET OF elements, in the order that DER demands: by their bytes (X.690 §11.6).
pub fn set_of(tag: u8, elements: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut sorted: Vec<&[u8]> = elements.iter().map(AsRef::as_ref).collect();
    sorted.sort_unstable();
    element(tag, &sorted)
}

/// INTEGER.
pub fn integer(value: u64) -> Vec<u8> {
    let digits = value.to_be_bytes();
    let start = digits
        .iter()
        .position(|&digit| digit != 0)
        .unwrap_or(digits.len() - 1);
    let digits = digits.get(start..).unwrap_or_default();
    let sign: &[u8] = if digits.first().is_some_and(|digit| digit & 0x80 != 0) {
        &[0]
    } else {
        &[]
    };
    element(tag::INTEGER, &[sign, digits])
}

/// OCTET STRING.
pub fn octet_string(bytes: &[u8]) -> Vec<u8> {
    element(tag::OCTET_STRING, &[bytes])
}

/// OBJECT IDENTIFIER.
pub fn oid(oid: Oid<'_>) -> Vec<u8> {
    element(tag::OID, &[oid.0])
}

/// `AlgorithmIdentifier`; `parameters` is a whole element.
pub fn algorithm(algorithm: Oid<'_>, parameters: Option<&[u8]>) -> Vec<u8> {
    sequence(&[&oid(algorithm), parameters.unwrap_or_default()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::ber::Tlv;

    #[test]
    fn lengths_are_minimal_and_read_back() {
        for len in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let body = vec![7; len];
            let written = element(0x04, &[&body]);
            assert_eq!(Tlv::only(&written).unwrap().body, body);
            let size = written.len() - len;
            assert_eq!(
                size,
                if len < 128 {
                    2
                } else if len < 256 {
                    3
                } else if len < 65_536 {
                    4
                } else {
                    5
                }
            );
        }
    }

    #[test]
    fn integers_are_minimal_and_never_negative() {
        assert_eq!(integer(0), [2, 1, 0]);
        assert_eq!(integer(127), [2, 1, 127]);
        assert_eq!(integer(128), [2, 2, 0, 128]);
        assert_eq!(
            integer(u64::MAX),
            [2, 9, 0, 255, 255, 255, 255, 255, 255, 255, 255]
        );
    }
}
