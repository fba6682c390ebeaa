//! One element of BER at a time (ITU-T X.690), borrowed, bounded and iterative.
//!
//! Nothing is allocated from a declared length, nothing recurses. Reading an element of indefinite
//! length walks the headers of what it holds once to find its end; a structure of `n` levels
//! therefore costs at most `n` such walks, and CMS has fewer than ten.

/// What is wrong with a structure, as a phrase that reports can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// Elements of one kind that are read into a list; no honest object has as many, and a list of
/// millions costs more memory than the object.
pub const MOST_ELEMENTS: usize = 200_000;

/// Refuses a list that has reached [`MOST_ELEMENTS`].
pub(super) fn room_in<T>(list: &[T]) -> Result<(), Malformed> {
    if list.len() < MOST_ELEMENTS {
        Ok(())
    } else {
        Err(Malformed("too many elements"))
    }
}

impl Malformed {
    /// An element announces more bytes than there are.
    pub const CUT_OFF: Self = Self("cut off");

    /// Whether bytes are missing at the end, as in a download that broke off.
    pub fn is_cut_off(self) -> bool {
        self == Self::CUT_OFF
    }
}

/// Identifier octets of the types that CMS is made of (X.690 §8.1.2).
pub mod tag {
    /// INTEGER.
    pub const INTEGER: u8 = 0x02;
    /// BIT STRING, primitive.
    pub const BIT_STRING: u8 = 0x03;
    /// OCTET STRING, primitive.
    pub const OCTET_STRING: u8 = 0x04;
    /// OCTET STRING, constructed of others.
    pub const OCTET_STRING_CONSTRUCTED: u8 = 0x24;
    /// NULL.
    pub const NULL: u8 = 0x05;
    /// OBJECT IDENTIFIER.
    pub const OID: u8 = 0x06;
    /// `UTCTime`.
    pub const UTC_TIME: u8 = 0x17;
    /// `GeneralizedTime`.
    pub const GENERALIZED_TIME: u8 = 0x18;
    /// SEQUENCE, SEQUENCE OF.
    pub const SEQUENCE: u8 = 0x30;
    /// SET, SET OF.
    pub const SET: u8 = 0x31;
    /// The bit that tells a constructed encoding.
    pub const CONSTRUCTED: u8 = 0x20;

    /// `[n]` primitive; `n` below 31.
    pub const fn primitive(n: u8) -> u8 {
        0x80 | n
    }

    /// `[n]` constructed; `n` below 31.
    pub const fn constructed(n: u8) -> u8 {
        0xa0 | n
    }
}

/// How deep elements of indefinite length may nest.
const MAX_INDEFINITE_DEPTH: u32 = 64;

/// A length as the header gives it.
#[derive(Clone, Copy)]
pub(super) enum Length {
    Definite(usize),
    Indefinite,
}

/// Splits identifier and length octets off; the length is not compared with what follows.
/// Long forms with leading zeros are fine in BER.
#[inline]
pub(super) fn header(bytes: &[u8]) -> Result<(u8, Length, &[u8]), Malformed> {
    // Nearly every element: one identifier octet, one length octet.
    match *bytes {
        [tag, len @ 0..=0x7f, ref rest @ ..] if tag & 0x1f != 0x1f => {
            Ok((tag, Length::Definite(usize::from(len)), rest))
        }
        _ => long_header(bytes),
    }
}

fn long_header(bytes: &[u8]) -> Result<(u8, Length, &[u8]), Malformed> {
    let (&tag, mut rest) = bytes.split_first().ok_or(Malformed::CUT_OFF)?;
    if tag & 0x1f == 0x1f {
        let octets = rest.iter().take(5).position(|octet| octet & 0x80 == 0);
        let octets = octets.ok_or(if rest.len() < 5 {
            Malformed::CUT_OFF
        } else {
            Malformed("tag number too large")
        })?;
        rest = rest.get(octets + 1..).unwrap_or_default();
    }
    let (&first, mut rest) = rest.split_first().ok_or(Malformed::CUT_OFF)?;
    let length = match first {
        0..=0x7f => Length::Definite(usize::from(first)),
        0x80 if tag & tag::CONSTRUCTED == 0 => {
            return Err(Malformed("primitive element of indefinite length"));
        }
        0x80 => Length::Indefinite,
        0xff => return Err(Malformed("reserved length octet")),
        _ => {
            let (digits, after) = rest
                .split_at_checked(usize::from(first & 0x7f))
                .ok_or(Malformed::CUT_OFF)?;
            rest = after;
            let mut value = 0_usize;
            for &digit in digits {
                value = value.checked_mul(256).ok_or(Malformed::CUT_OFF)? | usize::from(digit);
            }
            Length::Definite(value)
        }
    };
    Ok((tag, length, rest))
}

/// Splits `bytes`, which follow the header of an element of indefinite length, into its body and
/// what comes after its end-of-contents octets.
fn split_indefinite(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let mut rest = bytes;
    let mut depth = 1;
    loop {
        if let Some(after) = rest.strip_prefix(&[0, 0]) {
            depth -= 1;
            if depth == 0 {
                let body = bytes.get(..bytes.len() - rest.len()).unwrap_or_default();
                return Ok((body, after));
            }
            rest = after;
            continue;
        }
        let (tag, length, after) = header(rest)?;
        if tag == 0 {
            return Err(Malformed("end-of-contents octets with a length"));
        }
        rest = match length {
            Length::Definite(n) => after.get(n..).ok_or(Malformed::CUT_OFF)?,
            Length::Indefinite if depth == MAX_INDEFINITE_DEPTH => {
                return Err(Malformed("nested too deeply"));
            }
            Length::Indefinite => {
                depth += 1;
                after
            }
        };
    }
}

/// One element: tag, length, value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// The first identifier octet; of a high tag number only its class and form are kept, which no
    /// type in [`tag`] equals.
    pub tag: u8,
    /// The whole element, end-of-contents octets included.
    pub raw: &'a [u8],
    /// What it holds, without end-of-contents octets.
    pub body: &'a [u8],
    /// Whether its length was indefinite.
    pub indefinite: bool,
}

impl<'a> Tlv<'a> {
    /// Reads the element that `bytes` start with, and returns what follows it.
    pub fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Malformed> {
        let (tag, length, after) = header(bytes)?;
        let (body, rest, indefinite) = match length {
            Length::Definite(n) => {
                let (body, rest) = after.split_at_checked(n).ok_or(Malformed::CUT_OFF)?;
                (body, rest, false)
            }
            Length::Indefinite => {
                let (body, rest) = split_indefinite(after)?;
                (body, rest, true)
            }
        };
        let raw = bytes.get(..bytes.len() - rest.len()).unwrap_or_default();
        Ok((
            Self {
                tag,
                raw,
                body,
                indefinite,
            },
            rest,
        ))
    }

    /// Reads the one element that `bytes` are, nothing after it.
    pub fn only(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (tlv, rest) = Self::read(bytes)?;
        if rest.is_empty() {
            Ok(tlv)
        } else {
            Err(Malformed("bytes after an element"))
        }
    }

    /// The elements it holds.
    pub fn reader(&self) -> Reader<'a> {
        Reader::new(self.body)
    }

    /// Whether it is made of other elements.
    pub fn is_constructed(&self) -> bool {
        self.tag & tag::CONSTRUCTED != 0
    }

    /// Its body as a non-negative INTEGER of at most 64 bits.
    pub fn unsigned(&self) -> Option<u64> {
        if self.body.first().is_none_or(|sign| sign & 0x80 != 0) {
            return None;
        }
        self.body.iter().try_fold(0_u64, |value, &octet| {
            Some(value.checked_mul(256)? | u64::from(octet))
        })
    }
}

/// The elements of a body, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next element's first identifier octet.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element, whatever it is; at the end, `Malformed`.
    pub fn read(&mut self) -> Result<Tlv<'a>, Malformed> {
        let (tlv, rest) = Tlv::read(self.rest)?;
        self.rest = rest;
        Ok(tlv)
    }

    /// The next element, which has to have this tag, or else is `Malformed(what)`.
    pub fn require(&mut self, tag: u8, what: &'static str) -> Result<Tlv<'a>, Malformed> {
        if self.peek() == Some(tag) {
            self.read()
        } else {
            Err(Malformed(what))
        }
    }

    /// The next element if it has this tag.
    pub fn optional(&mut self, tag: u8) -> Result<Option<Tlv<'a>>, Malformed> {
        if self.peek() == Some(tag) {
            self.read().map(Some)
        } else {
            Ok(None)
        }
    }

    /// The next element of type INTEGER as a version number; one that is negative or over 64 bits
    /// is `u64::MAX`, because odd versions are noted, not refused.
    pub fn version(&mut self, what: &'static str) -> Result<u64, Malformed> {
        Ok(self
            .require(tag::INTEGER, what)?
            .unsigned()
            .unwrap_or(u64::MAX))
    }

    /// Holds where nothing is left, or else is `Malformed(what)`.
    pub fn finish(&self, what: &'static str) -> Result<(), Malformed> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(Malformed(what))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indefinite_elements_end_where_their_own_end_octets_stand() {
        let bytes = [
            0x30, 0x80, 0x30, 0x80, 0x04, 0x02, 0, 0, 0, 0, 0x02, 0x01, 0x05, 0, 0, 0xff,
        ];
        let (outer, rest) = Tlv::read(&bytes).unwrap();
        assert_eq!((outer.raw.len(), rest), (15, &[0xff][..]));
        let mut reader = outer.reader();
        assert_eq!(reader.read().unwrap().body, [0x04, 0x02, 0, 0]);
        assert_eq!(reader.version("").unwrap(), 5);
        assert!(reader.is_empty());
    }

    #[test]
    fn lengths_are_checked_not_believed() {
        for bytes in [
            &[0x04, 0x84, 0xff, 0xff, 0xff, 0xff, 1][..],
            &[0x04, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0x04, 0xff, 1],
            &[0x04, 0x80, 0, 0],
            &[0x30, 0x80, 0x02, 0x01],
            &[0x30, 0x80, 0x00, 0x81, 0x00, 0, 0],
            &[0x1f, 0x81, 0x81, 0x81, 0x81, 0x81, 0x01, 0],
            &[0x30],
            &[],
        ] {
            assert!(Tlv::read(bytes).is_err(), "{bytes:02x?}");
        }
        let padded = [0x04, 0x85, 0, 0, 0, 0, 1, 9];
        assert_eq!(Tlv::only(&padded).unwrap().body, [9]);
    }

    #[test]
    fn nesting_is_capped_without_recursion() {
        let nested = |n: usize| [[0x30, 0x80].repeat(n), [0, 0].repeat(n)].concat();
        assert!(Tlv::only(&nested(64)).is_ok());
        assert_eq!(Tlv::only(&nested(65)), Err(Malformed("nested too deeply")));
        assert!(Tlv::read(&[0x30, 0x80].repeat(1_000_000)).is_err());
    }

    #[test]
    fn integers_that_are_no_small_number_are_told() {
        let number = |bytes: &[u8]| Tlv::only(bytes).unwrap().unsigned();
        assert_eq!(number(&[2, 1, 0]), Some(0));
        assert_eq!(
            number(&[2, 9, 0, 255, 255, 255, 255, 255, 255, 255, 255]),
            Some(u64::MAX)
        );
        assert_eq!(number(&[2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(number(&[2, 1, 0x80]), None);
        assert_eq!(number(&[2, 0]), None);
    }
}
