//! mboxrd quoting of what is too large to hold, and the way back.

use std::io::{self, Read};
use std::sync::Arc;

use memchr::memchr;

use crate::bulk::{Bulk, Change, Changed, each_piece};

/// Text whose lines `From `, behind any number of `>`, get one `>` more (mboxrd), or one less.
#[derive(Debug, Clone)]
pub struct Quoted {
    of: Arc<dyn Bulk>,
    begins: Begins,
    len: u64,
}

/// How a text is read.
#[derive(Debug, Clone, Copy)]
struct Begins {
    /// Its first byte begins a line.
    starts_line: bool,
    /// A mark is taken away instead of added.
    unquotes: bool,
}

impl Quoted {
    /// Reads `of` once to count those lines. `starts_line`: whether its first byte begins a line.
    pub fn new(of: Arc<dyn Bulk>, starts_line: bool) -> io::Result<Self> {
        Self::read(
            of,
            Begins {
                starts_line,
                unquotes: false,
            },
        )
    }

    /// The same for the way back; `None` where nothing is quoted.
    pub fn undone(of: Arc<dyn Bulk>) -> io::Result<Option<Self>> {
        let begins = Begins {
            starts_line: true,
            unquotes: true,
        };
        let quoted = of.len();
        let undone = Self::read(of, begins)?;
        Ok((undone.len != quoted).then_some(undone))
    }

    fn read(of: Arc<dyn Bulk>, begins: Begins) -> io::Result<Self> {
        let mut quoting = Quoting::new(begins);
        let mut out = Vec::new();
        let mut len = 0;
        each_piece(&*of, 0, |piece| {
            quoting.change(piece, false, &mut out)?;
            len += out.len() as u64;
            out.clear();
            Ok::<_, io::Error>(())
        })?;
        quoting.change(&[], true, &mut out)?;
        len += out.len() as u64;
        Ok(Self { of, begins, len })
    }
}

impl Bulk for Quoted {
    fn len(&self) -> u64 {
        self.len
    }

    fn open_at(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        Changed::open(&*self.of, Quoting::new(self.begins), from)
    }
}

struct Quoting {
    unquotes: bool,
    /// What is known of the line that the next byte stands in.
    line: Line,
}

/// The beginning of a line, as far as it was seen.
enum Line {
    /// `>` so many times, then so many letters of `From `.
    Beginning { marks: u64, letters: usize },
    /// It is no such line.
    Other,
}

const FROM: &[u8] = b"From ";

impl Quoting {
    fn new(begins: Begins) -> Self {
        Self {
            unquotes: begins.unquotes,
            line: if begins.starts_line {
                Line::begin()
            } else {
                Line::Other
            },
        }
    }

    /// Gives out a beginning that was held back.
    fn release(marks: u64, letters: usize, out: &mut Vec<u8>) {
        out.extend(std::iter::repeat_n(
            b'>',
            usize::try_from(marks).unwrap_or(usize::MAX),
        ));
        out.extend_from_slice(FROM.get(..letters).unwrap_or_default());
    }
}

impl Line {
    const fn begin() -> Self {
        Self::Beginning {
            marks: 0,
            letters: 0,
        }
    }
}

/// Marks that are held back at most; a line of more is let go, since nobody quotes that often.
const MOST_MARKS: u64 = 64 << 10;

impl Change for Quoting {
    fn change(&mut self, mut piece: &[u8], last: bool, out: &mut Vec<u8>) -> io::Result<()> {
        while let Some(&byte) = piece.first() {
            let Line::Beginning { marks, letters } = self.line else {
                let end = memchr(b'\n', piece).map_or(piece.len(), |at| at + 1);
                let (text, rest) = piece.split_at_checked(end).unwrap_or((piece, &[]));
                out.extend_from_slice(text);
                if text.ends_with(b"\n") {
                    self.line = Line::begin();
                }
                piece = rest;
                continue;
            };
            if letters == 0 && byte == b'>' && marks < MOST_MARKS {
                self.line = Line::Beginning {
                    marks: marks + 1,
                    letters,
                };
            } else if FROM.get(letters) == Some(&byte) {
                self.line = Line::Beginning {
                    marks,
                    letters: letters + 1,
                };
                if letters + 1 == FROM.len() {
                    let marks = if self.unquotes {
                        marks.saturating_sub(1)
                    } else {
                        marks + 1
                    };
                    Self::release(marks, FROM.len(), out);
                    self.line = Line::Other;
                }
            } else {
                Self::release(marks, letters, out);
                self.line = Line::Other;
                continue;
            }
            piece = piece.get(1..).unwrap_or_default();
        }
        if last && let Line::Beginning { marks, letters } = self.line {
            Self::release(marks, letters, out);
            self.line = Line::Other;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_quotes_as_what_is_held_is_quoted(
            words in proptest::collection::vec(prop_oneof!["\n", "\r\n", ">", "From ", "From", "F", " ", "x"], 0..40),
            cuts in proptest::collection::vec(0_usize..20, 0..8),
            starts_line in any::<bool>(),
        ) {
            let bytes = words.concat().into_bytes();
            let expected = super::super::dialect::quote(&bytes, starts_line).into_owned();
            let in_pieces = |begins, bytes: &[u8]| {
                let mut quoting = Quoting::new(begins);
                let mut out = Vec::new();
                let mut rest = bytes;
                for cut in &cuts {
                    let (piece, after) = rest.split_at(cut % (rest.len() + 1));
                    quoting.change(piece, false, &mut out).unwrap();
                    rest = after;
                }
                quoting.change(rest, false, &mut out).unwrap();
                quoting.change(&[], true, &mut out).unwrap();
                out
            };
            let begins = Begins { starts_line, unquotes: false };
            prop_assert_eq!(&in_pieces(begins, &bytes), &expected);
            let unquotes = Begins { starts_line: true, unquotes: true };
            let undone = crate::message::transfer::unquote_from(&bytes);
            prop_assert_eq!(&in_pieces(unquotes, &bytes), undone.as_ref().unwrap_or(&bytes));
            let bytes: Arc<dyn Bulk> = Arc::new(bytes);
            prop_assert_eq!(Quoted::undone(Arc::clone(&bytes)).unwrap().is_some(), undone.is_some());
            let quoted = Quoted::new(bytes, starts_line).unwrap();
            prop_assert_eq!(quoted.len(), expected.len() as u64);
        }
    }
}
