//! A bounded reader for DER as X.509 uses it: definite lengths, one-byte tags.
//!
//! A certificate is DER (RFC 5280 §4.1), so the indefinite lengths that CMS allows are refused
//! here rather than understood.

/// One tag, length and value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tlv<'a> {
    /// The identifier octet.
    pub(super) tag: u8,
    /// Header and value.
    pub(super) raw: &'a [u8],
    /// The value.
    pub(super) body: &'a [u8],
}

/// Walks the elements of one constructed value; ends at the first that is malformed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Over the elements that `bytes` holds side by side.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The tag of the next element.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element.
    pub(super) fn next(&mut self) -> Option<Tlv<'a>> {
        let tag = *self.rest.first()?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        let first = *self.rest.get(1)?;
        let (header, length) = if first < 0x80 {
            (2, usize::from(first))
        } else {
            let count = usize::from(first & 0x7f);
            if !(1..=4).contains(&count) {
                return None;
            }
            let digits = self.rest.get(2..2 + count)?;
            (
                2 + count,
                digits
                    .iter()
                    .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte)),
            )
        };
        let end = header.checked_add(length)?;
        let tlv = Tlv {
            tag,
            raw: self.rest.get(..end)?,
            body: self.rest.get(header..end)?,
        };
        self.rest = self.rest.get(end..)?;
        Some(tlv)
    }

    /// The next element, which must carry `tag`.
    pub(super) fn expect(&mut self, tag: u8) -> Option<Tlv<'a>> {
        if self.peek()? == tag {
            self.next()
        } else {
            None
        }
    }

    /// The next element if it carries `tag`.
    pub(super) fn optional(&mut self, tag: u8) -> Option<Tlv<'a>> {
        self.expect(tag)
    }
}

/// Dotted decimal of an OBJECT IDENTIFIER's value; empty where it is malformed or absurd.
pub(super) fn dotted(body: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    if body.len() > 128 || body.last().is_none_or(|last| last & 0x80 != 0) {
        return out;
    }
    let mut arc: u128 = 0;
    for byte in body {
        let Some(shifted) = arc.checked_mul(128) else {
            return String::new();
        };
        arc = shifted | u128::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        if out.is_empty() {
            let root = (arc / 40).min(2);
            let _ = write!(out, "{root}.{}", arc - root * 40);
        } else {
            let _ = write!(out, ".{arc}");
        }
        arc = 0;
    }
    out
}

/// Unix seconds of a `UTCTime` or `GeneralizedTime` (RFC 5280 §4.1.2.5). Offsets, missing seconds
/// and fractions, which DER forbids and old certificates hold, are understood.
pub(super) fn time(tlv: Tlv<'_>) -> Option<i64> {
    let text = std::str::from_utf8(tlv.body)
        .ok()
        .filter(|text| text.is_ascii())?;
    let (year, rest) = match tlv.tag {
        0x17 => {
            let year: i16 = digits(text, 2)?;
            (
                if year < 50 { 2000 + year } else { 1900 + year },
                text.get(2..)?,
            )
        }
        0x18 => (digits(text, 4)?, text.get(4..)?),
        _ => return None,
    };
    let (month, day) = (small(rest, 0)?, small(rest, 2)?);
    let (hour, minute) = (small(rest, 4)?, small(rest, 6)?);
    let mut rest = rest.get(8..)?;
    let mut second = 0;
    if rest.starts_with(|c: char| c.is_ascii_digit()) {
        second = small(rest, 0)?;
        rest = rest.get(2..)?;
    }
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    let offset = match rest.as_bytes() {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), _, _, _, _] => {
            let seconds = i64::from(small(rest, 1)?) * 3600 + i64::from(small(rest, 3)?) * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let date = jiff::civil::Date::new(year, month, day).ok()?;
    jiff::civil::Time::new(hour, minute, second.min(59), 0).ok()?;
    // Not through a timestamp: the end of 9999, which RFC 5280 gives to certificates that never
    // expire, is past the last one that jiff has.
    let days = i64::from(jiff::civil::date(1970, 1, 1).until(date).ok()?.get_days());
    Some(((days * 24 + i64::from(hour)) * 60 + i64::from(minute)) * 60 + i64::from(second) - offset)
}

fn small(text: &str, at: usize) -> Option<i8> {
    digits(text.get(at..)?, 2)
}

fn digits<T: std::str::FromStr>(text: &str, count: usize) -> Option<T> {
    text.get(..count)
        .filter(|head| head.bytes().all(|b| b.is_ascii_digit()))?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(tag: u8, text: &str) -> Option<i64> {
        time(Tlv {
            tag,
            raw: &[],
            body: text.as_bytes(),
        })
    }

    #[test]
    fn times_of_old_and_new_certificates() {
        assert_eq!(at(0x17, "700101000000Z"), Some(0));
        assert_eq!(at(0x17, "491231235959Z"), Some(2_524_607_999));
        assert_eq!(at(0x17, "500101000000Z"), Some(-631_152_000));
        assert_eq!(at(0x17, "7001010100+0100"), Some(0));
        assert_eq!(at(0x18, "99991231235959Z"), Some(253_402_300_799));
        assert_eq!(at(0x18, "19700101000001.5Z"), Some(1));
        for bad in [
            "",
            "7001010000",
            "701301000000Z",
            "70010100000é",
            "+70101000000Z",
            "700101000000",
        ] {
            assert_eq!(at(0x17, bad), None, "{bad}");
        }
    }

    #[test]
    fn object_identifiers() {
        assert_eq!(
            dotted(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1]),
            "1.2.840.113549.1.9.1"
        );
        assert_eq!(dotted(&[0x88, 0x37]), "2.999");
        assert_eq!(dotted(&[0x80]), "");
        assert_eq!(dotted(&[0xff; 200]), "");
    }

    #[test]
    fn lengths_beyond_the_input_are_refused() {
        for bytes in [
            &b"\x30"[..],
            b"\x30\x80\0\0",
            b"\x30\x05a",
            b"\x30\x84\xff\xff\xff\xffa",
            b"\x3f\x81\x01\x00",
        ] {
            assert!(Reader::new(bytes).next().is_none());
        }
    }
}
