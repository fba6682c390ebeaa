//! Bytes too many to hold, in another form: decoded, encoded, with other line ends.

use std::io::{self, Read};
use std::sync::Arc;

use memchr::{memchr, memchr_iter, memmem};

use super::headers::LineEnding;
use super::transfer;
use crate::bulk::{Bulk, Change, Changed, each_piece};

/// A body without its transfer encoding.
#[derive(Debug, Clone)]
pub struct Decoded {
    of: Arc<dyn Bulk>,
    way: transfer::Way,
    len: u64,
}

/// What [`Decoded::of`] found.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The content.
    pub bytes: Arc<dyn Bulk>,
    /// As in [`transfer::Decoded`].
    pub trailing_text: bool,
    /// Whether all of the encoded body is ASCII.
    pub ascii: bool,
}

impl Decoded {
    /// Reads a body once to see that it is what its encoding claims, and where its data ends.
    pub fn of(
        body: Arc<dyn Bulk>,
        way: transfer::Way,
    ) -> io::Result<Result<Reading, transfer::Malformed>> {
        let mut decoder = transfer::Decoder::new(way);
        let mut out = Vec::new();
        let mut ascii = true;
        each_piece(&*body, 0, |piece| {
            ascii &= piece.is_ascii();
            decoder.push(piece, &mut out);
            out.clear();
            Ok::<_, io::Error>(())
        })?;
        Ok(decoder.finish(&mut out).map(|end| Reading {
            bytes: Arc::new(Self {
                of: body,
                way,
                len: end.len,
            }),
            trailing_text: end.trailing_text,
            ascii,
        }))
    }
}

impl Bulk for Decoded {
    fn len(&self) -> u64 {
        self.len
    }

    fn open_at(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let reader = Changed::open(&*self.of, transfer::Decoder::new(self.way), from)?;
        Ok(Box::new(reader.take(self.len.saturating_sub(from))))
    }
}

impl Change for transfer::Decoder {
    fn change(&mut self, piece: &[u8], last: bool, out: &mut Vec<u8>) -> io::Result<()> {
        if last {
            // What is wrong was said when the body was first read.
            let _ = self.finish(out);
        } else {
            self.push(piece, out);
        }
        Ok(())
    }
}

/// Bytes in lines of base64, each with its line end.
#[derive(Debug, Clone)]
pub struct Base64Lines {
    of: Arc<dyn Bulk>,
    ending: LineEnding,
}

impl Base64Lines {
    /// Encodes `of` as [`transfer::base64_lines`] does.
    pub fn new(of: Arc<dyn Bulk>, ending: LineEnding) -> Self {
        Self { of, ending }
    }
}

impl Bulk for Base64Lines {
    fn len(&self) -> u64 {
        let lines = self.of.len().div_ceil(transfer::LINE_BYTES as u64);
        self.of.len().div_ceil(3) * 4 + lines * self.ending.as_bytes().len() as u64
    }

    fn open_at(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let lines = Encoding64 {
            ending: self.ending,
            held: Vec::new(),
        };
        Changed::open(&*self.of, lines, from)
    }
}

struct Encoding64 {
    ending: LineEnding,
    /// The beginning of a line.
    held: Vec<u8>,
}

impl Change for Encoding64 {
    fn change(&mut self, piece: &[u8], last: bool, out: &mut Vec<u8>) -> io::Result<()> {
        self.held.extend_from_slice(piece);
        let whole = if last {
            self.held.len()
        } else {
            self.held.len() / transfer::LINE_BYTES * transfer::LINE_BYTES
        };
        let lines = self.held.get(..whole).unwrap_or_default();
        out.extend_from_slice(&transfer::base64_lines(lines, self.ending));
        self.held.drain(..whole);
        Ok(())
    }
}

/// Text with other line ends.
#[derive(Debug, Clone)]
pub struct Relined {
    of: Arc<dyn Bulk>,
    to: LineEnding,
    len: u64,
}

impl Relined {
    /// `of` with CRLF wherever there is a bare LF (as [`transfer::to_crlf`]), or with LF wherever there
    /// is CRLF; `line_ends` is how many of these there are.
    pub fn new(of: Arc<dyn Bulk>, to: LineEnding, line_ends: u64) -> Self {
        let len = match to {
            LineEnding::CrLf => of.len() + line_ends,
            LineEnding::Lf => of.len().saturating_sub(line_ends),
        };
        Self { of, to, len }
    }
}

impl Bulk for Relined {
    fn len(&self) -> u64 {
        self.len
    }

    fn open_at(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        match self.to {
            LineEnding::CrLf => Changed::open(&*self.of, ToCrlf::default(), from),
            LineEnding::Lf => Changed::open(&*self.of, ToLf::default(), from),
        }
    }
}

/// Every LF without a CR before it becomes CRLF, whatever pieces the text comes in.
#[derive(Debug, Default, Clone)]
pub struct ToCrlf {
    after_cr: bool,
}

impl ToCrlf {
    /// Gives `sink` what the next piece becomes.
    pub fn push(&mut self, piece: &[u8], mut sink: impl FnMut(&[u8])) {
        let mut from = 0;
        for at in memchr_iter(b'\n', piece) {
            let after_cr = match at.checked_sub(1) {
                Some(before) => piece.get(before) == Some(&b'\r'),
                None => self.after_cr,
            };
            if !after_cr {
                sink(piece.get(from..at).unwrap_or_default());
                sink(b"\r");
                from = at;
            }
        }
        sink(piece.get(from..).unwrap_or_default());
        self.after_cr = piece.last().map_or(self.after_cr, |last| *last == b'\r');
    }
}

impl Change for ToCrlf {
    fn change(&mut self, piece: &[u8], _last: bool, out: &mut Vec<u8>) -> io::Result<()> {
        self.push(piece, |bytes| out.extend_from_slice(bytes));
        Ok(())
    }
}

#[derive(Debug, Default)]
struct ToLf {
    held_cr: bool,
}

impl Change for ToLf {
    fn change(&mut self, piece: &[u8], last: bool, out: &mut Vec<u8>) -> io::Result<()> {
        if self.held_cr && (last || piece.first() != Some(&b'\n')) {
            out.push(b'\r');
        }
        let piece = if last {
            piece
        } else {
            let held = piece.strip_suffix(b"\r");
            self.held_cr = held.is_some();
            held.unwrap_or(piece)
        };
        let mut from = 0;
        for at in memmem::find_iter(piece, b"\r\n") {
            out.extend_from_slice(piece.get(from..at).unwrap_or_default());
            from = at + 1;
        }
        out.extend_from_slice(piece.get(from..).unwrap_or_default());
        Ok(())
    }
}

/// What a text's line ends are, and whether it is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lines {
    /// LFs behind a CR.
    pub crlf: u64,
    /// Other LFs.
    pub bare_lf: u64,
    /// CRs, those before a LF included.
    pub cr: u64,
    /// Whether there is a NUL.
    pub nul: bool,
    /// Whether the word `binary` stands in it.
    pub says_binary: bool,
}

impl Lines {
    /// Counts those of `bulk`.
    pub fn of(bulk: &dyn Bulk) -> io::Result<Self> {
        const WORD: &[u8] = b"binary";
        let mut found = Self::default();
        let mut seam = Vec::new();
        each_piece(bulk, 0, |piece| {
            found.nul |= memchr(0, piece).is_some();
            found.cr += memchr_iter(b'\r', piece).count() as u64;
            for at in memchr_iter(b'\n', piece) {
                let before = match at.checked_sub(1) {
                    Some(before) => piece.get(before),
                    None => seam.last(),
                };
                if before == Some(&b'\r') {
                    found.crlf += 1;
                } else {
                    found.bare_lf += 1;
                }
            }
            let first = piece.get(..piece.len().min(WORD.len())).unwrap_or(piece);
            seam.extend_from_slice(first);
            found.says_binary |=
                memmem::find(piece, WORD).is_some() || memmem::find(&seam, WORD).is_some();
            let last = piece.len().saturating_sub(WORD.len());
            if last > 0 {
                seam.clear();
                seam.extend_from_slice(piece.get(last..).unwrap_or_default());
            }
            Ok::<_, io::Error>(())
        })?;
        Ok(found)
    }

    /// Whether every line ends in CRLF, the last one perhaps without an end, and nothing is binary:
    /// as [`transfer::to_lf_if_text`] wants it.
    pub fn all_crlf(self) -> bool {
        !self.nul && self.crlf > 0 && self.bare_lf == 0 && self.cr == self.crlf
    }
}

#[cfg(test)]
mod tests;
