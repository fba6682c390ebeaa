//! An OCTET STRING's bytes: in one piece, or, in BER, in many (X.690 §8.7).

use std::borrow::Cow;
use std::fmt;

use super::ber::{Length, Malformed, Tlv, header, tag};

/// How deep constructed octet strings may nest.
const MAX_DEPTH: usize = 8;

/// The value of an OCTET STRING, borrowed. Its pieces were checked when it was made, so walking
/// them cannot fail.
#[derive(Clone, Copy)]
pub struct Octets<'a> {
    body: &'a [u8],
    constructed: bool,
    len: usize,
}

impl<'a> Octets<'a> {
    /// Takes `bytes` as they are.
    pub fn from_slice(bytes: &'a [u8]) -> Self {
        Self {
            body: bytes,
            constructed: false,
            len: bytes.len(),
        }
    }

    /// The value of `tlv`, whose tag may be OCTET STRING's or an implicit one. Its form, primitive
    /// or constructed, is what the tag says. Runs over the pieces' headers once.
    pub fn from_tlv(tlv: &Tlv<'a>) -> Result<Self, Malformed> {
        if !tlv.is_constructed() {
            return Ok(Self::from_slice(tlv.body));
        }
        let mut walk = Walk::new(tlv.body);
        let mut len = 0;
        while let Some(piece) = walk.step()? {
            len += piece.len();
        }
        Ok(Self {
            body: tlv.body,
            constructed: true,
            len,
        })
    }

    /// How many bytes all pieces have together.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces in order; none of them is empty.
    pub fn chunks(&self) -> Chunks<'a> {
        Chunks(if self.constructed {
            Pieces::Many(Walk::new(self.body))
        } else {
            Pieces::One(self.body)
        })
    }

    /// The bytes in one piece, copied only where they are not.
    pub fn cow(&self) -> Cow<'a, [u8]> {
        let mut chunks = self.chunks();
        match (chunks.next(), chunks.next()) {
            (None, _) => Cow::Borrowed(&[]),
            (Some(only), None) => Cow::Borrowed(only),
            (Some(first), Some(second)) => {
                let mut out = Vec::with_capacity(self.len);
                out.extend_from_slice(first);
                out.extend_from_slice(second);
                chunks.for_each(|chunk| out.extend_from_slice(chunk));
                Cow::Owned(out)
            }
        }
    }
}

impl fmt::Debug for Octets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Octets")
            .field("len", &self.len)
            .field("constructed", &self.constructed)
            .finish()
    }
}

/// The pieces of [`Octets`].
#[derive(Clone)]
pub struct Chunks<'a>(Pieces<'a>);

#[derive(Clone)]
enum Pieces<'a> {
    One(&'a [u8]),
    Many(Walk<'a>),
}

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match &mut self.0 {
            Pieces::One(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            // `Octets::from_tlv` has walked this before: there is no error to come.
            Pieces::Many(walk) => walk.step().ok().flatten(),
        }
    }
}

/// One walk over the pieces of a constructed octet string, all levels in one pass.
#[derive(Clone)]
struct Walk<'a> {
    rest: &'a [u8],
    frames: [Frame; MAX_DEPTH],
    depth: usize,
}

/// A constructed octet string that the walk is inside of.
#[derive(Clone, Copy, Default)]
struct Frame {
    /// How many bytes of `rest` lie behind the nearest known end.
    floor: usize,
    indefinite: bool,
}

impl<'a> Walk<'a> {
    /// Starts at a body, whose own end is known.
    fn new(body: &'a [u8]) -> Self {
        Self {
            rest: body,
            frames: [Frame::default(); MAX_DEPTH],
            depth: 1,
        }
    }

    /// The next piece that is not empty.
    fn step(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        loop {
            let Some(frame) = self
                .depth
                .checked_sub(1)
                .and_then(|top| self.frames.get(top))
                .copied()
            else {
                return Ok(None);
            };
            if !frame.indefinite && self.rest.len() == frame.floor {
                self.depth -= 1;
                continue;
            }
            let room = self.rest.len() - frame.floor;
            let within = self.rest.get(..room).unwrap_or_default();
            if frame.indefinite && within.starts_with(&[0, 0]) {
                self.depth -= 1;
                self.rest = self.rest.get(2..).unwrap_or_default();
                continue;
            }
            let (tag, length, after) = header(within)?;
            // `after` ends where `within` does; the walk goes on in the whole rest.
            let header_len = within.len() - after.len();
            let after_header = self.rest.get(header_len..).unwrap_or_default();
            match (tag, length) {
                (tag::OCTET_STRING, Length::Definite(n)) => {
                    let piece = after.get(..n).ok_or(Malformed::CUT_OFF)?;
                    self.rest = after_header.get(n..).unwrap_or_default();
                    if !piece.is_empty() {
                        return Ok(Some(piece));
                    }
                }
                (tag::OCTET_STRING_CONSTRUCTED, length) => {
                    let frame = match length {
                        Length::Definite(n) if n > after.len() => return Err(Malformed::CUT_OFF),
                        Length::Definite(n) => Frame {
                            floor: after_header.len() - n,
                            indefinite: false,
                        },
                        Length::Indefinite => Frame {
                            floor: frame.floor,
                            indefinite: true,
                        },
                    };
                    let slot = self
                        .frames
                        .get_mut(self.depth)
                        .ok_or(Malformed("octet string nested too deeply"))?;
                    *slot = frame;
                    self.depth += 1;
                    self.rest = after_header;
                }
                _ => return Err(Malformed("octet string made of something else")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets(bytes: &[u8]) -> Result<Octets<'_>, Malformed> {
        Octets::from_tlv(&Tlv::only(bytes)?)
    }

    #[test]
    fn pieces_of_all_levels_come_in_order() {
        let bytes = [
            0xa0, 0x80, 0x04, 2, 1, 2, 0x24, 0x80, 0x04, 0, 0x24, 3, 0x04, 1, 3, 0x04, 1, 4, 0, 0,
            0x24, 0, 0x04, 1, 5, 0, 0,
        ];
        let octets = octets(&bytes).unwrap();
        assert_eq!(octets.len(), 5);
        assert_eq!(
            octets.chunks().collect::<Vec<_>>(),
            [&[1, 2][..], &[3], &[4], &[5]]
        );
        assert_eq!(*octets.cow(), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn one_piece_is_borrowed_and_none_is_empty() {
        assert!(matches!(
            octets(&[0x24, 3, 4, 1, 9]).unwrap().cow(),
            Cow::Borrowed([9])
        ));
        assert!(octets(&[0x24, 0x80, 0, 0]).unwrap().is_empty());
        assert_eq!(octets(&[0x80, 0]).unwrap().chunks().count(), 0);
    }

    #[test]
    fn a_piece_stays_inside_its_parent_and_is_an_octet_string() {
        for bytes in [
            &[0x24, 4, 0x04, 3, 1, 2][..],
            &[0x24, 7, 0x24, 2, 0x04, 3, 1, 2, 3],
            &[0x24, 6, 0x24, 0x80, 0x04, 0, 0x04, 0],
            &[0x24, 3, 0x02, 1, 2],
            &[0x24, 2, 0, 0],
        ] {
            assert!(octets(bytes).is_err(), "{bytes:02x?}");
        }
    }

    #[test]
    fn nesting_is_capped() {
        let nested = |n: usize| [[0x24, 0x80].repeat(n), [0, 0].repeat(n)].concat();
        assert!(octets(&nested(8)).is_ok());
        assert_eq!(
            octets(&nested(9)).unwrap_err(),
            Malformed("octet string nested too deeply")
        );
    }
}
