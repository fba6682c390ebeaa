//! Transfer encodings in and out (RFC 2045 §6), and line ends.

use std::borrow::Cow;

use base64_simd::STANDARD;
use memchr::{memchr, memchr_iter, memmem, memrchr};

pub use super::content_type::Encoding;
use super::headers::LineEnding;

/// Bytes that one line of base64 holds: 76 columns.
pub(super) const LINE_BYTES: usize = 57;

/// A line of nothing but base64 characters and at least this long is data, not text.
const LONG_LINE: usize = 40;

/// Why a body is not what its encoding claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// A decoded body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The content; borrowed where nothing was encoded.
    pub bytes: Cow<'a, [u8]>,
    /// Foreign text followed the base64, such as a mailing list's footer; it is not in `bytes`.
    pub trailing_text: bool,
}

impl<'a> Decoded<'a> {
    fn whole(bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        Self {
            bytes: bytes.into(),
            trailing_text: false,
        }
    }
}

/// Decodes a body.
///
/// base64: white space anywhere, missing padding at the end, concatenated padded pieces and a body
/// cut off in the middle are read for what they hold; text after the encoded data is left out and
/// said; any other foreign character is an error. quoted-printable: what is no valid escape
/// stands for itself, as RFC 2045 §6.7 advises.
pub fn decode(encoding: Encoding, body: &[u8]) -> Result<Decoded<'_>, Malformed> {
    match encoding {
        Encoding::Identity | Encoding::Binary => Ok(Decoded::whole(body)),
        Encoding::QuotedPrintable => Ok(Decoded::whole(quoted_printable(body))),
        Encoding::Base64 => base64(body),
        Encoding::Unknown => Err(Malformed("unknown transfer encoding")),
    }
}

/// base64 whatever stands between its characters (RFC 2045 §6.8 has all others ignored): marks that
/// relays put in at line ends, a header that was left in. For what shows by itself where it
/// ends, as a CMS object does: a footer's letters are decoded with it.
pub fn base64_among_others(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() / 4 * 3 + 3);
    let mut state = Base64::default();
    state.push_letters(body, &mut out);
    // Letters alone are never malformed.
    let _ = state.finish(&mut out);
    out
}

fn base64(body: &[u8]) -> Result<Decoded<'_>, Malformed> {
    let mut out = Vec::with_capacity(body.len() / 4 * 3 + 3);
    let mut state = Base64::default();
    state.push(body, &mut out);
    state.finish(&mut out).map(|end| end.of(out))
}

/// Where the data of a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Bytes of content; what was given out beyond them is a footer's.
    pub len: u64,
    /// As in [`Decoded`].
    pub trailing_text: bool,
}

impl End {
    fn of<'a>(self, mut out: Vec<u8>) -> Decoded<'a> {
        out.truncate(usize::try_from(self.len).unwrap_or(usize::MAX));
        Decoded {
            bytes: out.into(),
            trailing_text: self.trailing_text,
        }
    }
}

/// One way to read a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As its encoding says: see [`decode`].
    As(Encoding),
    /// See [`base64_among_others`].
    AmongOthers,
}

/// Decodes a body that comes in pieces.
#[derive(Debug)]
pub struct Decoder {
    given: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Identity,
    /// A line that is not whole yet.
    QuotedPrintable(Vec<u8>),
    Base64(Base64),
    AmongOthers(Base64),
    Failed(Malformed),
}

/// A line of quoted-printable that comes in pieces is no longer.
const LONGEST_LINE: usize = 1 << 20;

impl Decoder {
    /// Begins a body.
    pub fn new(way: Way) -> Self {
        let state = match way {
            Way::As(Encoding::Identity | Encoding::Binary) => State::Identity,
            Way::As(Encoding::QuotedPrintable) => State::QuotedPrintable(Vec::new()),
            Way::As(Encoding::Base64) => State::Base64(Base64::default()),
            Way::As(Encoding::Unknown) => State::Failed(Malformed("unknown transfer encoding")),
            Way::AmongOthers => State::AmongOthers(Base64::default()),
        };
        Self { given: 0, state }
    }

    /// Takes a piece, and appends what it holds to `out`.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let before = out.len();
        match &mut self.state {
            State::Identity => out.extend_from_slice(piece),
            State::QuotedPrintable(line) => {
                line.extend_from_slice(piece);
                let whole = memrchr(b'\n', line).map_or(0, |at| at + 1);
                out.extend_from_slice(&quoted_printable(line.get(..whole).unwrap_or_default()));
                line.drain(..whole);
                if line.len() > LONGEST_LINE {
                    self.state = State::Failed(Malformed("a line too long to be read"));
                }
            }
            State::Base64(state) => state.push(piece, out),
            State::AmongOthers(state) => state.push_letters(piece, out),
            State::Failed(_) => {}
        }
        self.given += (out.len() - before) as u64;
    }

    /// Ends the body; appends what is left of it.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<End, Malformed> {
        let before = out.len();
        match &mut self.state {
            State::Identity => {}
            State::QuotedPrintable(line) => out.extend_from_slice(&quoted_printable(line)),
            State::Base64(state) | State::AmongOthers(state) => return state.finish(out),
            State::Failed(problem) => return Err(*problem),
        }
        Ok(End {
            len: self.given + (out.len() - before) as u64,
            trailing_text: false,
        })
    }
}

/// Decodes as the lines come: whole quanta at SIMD speed, the rest byte by byte.
#[derive(Debug, Default)]
struct Base64 {
    len: u64,
    /// Characters of an incomplete quantum.
    pending: u32,
    held: u8,
    /// How much had been decoded where the last padded piece ended.
    padded: Option<u64>,
    /// The same where the data could last have been over.
    checkpoint: Option<u64>,
    /// Something of the current line was seen that is no white space.
    in_line: bool,
    /// What follows the data.
    foreign: Option<Foreign>,
}

/// Lines behind the data, none of which may be data.
#[derive(Debug, Default)]
struct Foreign {
    /// Base64 characters of the line, and what else was seen of it.
    letters: usize,
    spaced: bool,
    other: bool,
    found_data: bool,
}

impl Foreign {
    fn byte(&mut self, byte: u8) {
        if byte == b'\n' {
            self.end_line();
        } else if alphabet(byte).is_some() {
            self.other |= self.spaced;
            self.letters += 1;
        } else if byte.is_ascii_whitespace() {
            self.spaced |= self.letters > 0;
        } else {
            self.other = true;
        }
    }

    fn end_line(&mut self) {
        self.found_data |= self.letters >= LONG_LINE && !self.other;
        (self.letters, self.spaced, self.other) = (0, false, false);
    }
}

impl Base64 {
    /// Takes what comes next.
    fn push(&mut self, mut rest: &[u8], out: &mut Vec<u8>) {
        while !rest.is_empty() {
            if let Some(foreign) = &mut self.foreign {
                for byte in rest {
                    foreign.byte(*byte);
                }
                return;
            }
            let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            rest = after;
            let ends = line.ends_with(b"\n");
            let text = if self.in_line {
                line.trim_ascii_end()
            } else {
                line.trim_ascii()
            };
            if !self.in_line && (ends || !text.is_empty()) {
                self.begin_line(text);
            }
            self.in_line = !ends && (self.in_line || !text.is_empty());
            if !self.line(text, out) {
                // The line is judged as a whole: its rest is neither data nor a line of the footer.
                self.foreign = Some(Foreign {
                    other: !ends,
                    ..Foreign::default()
                });
            }
        }
    }

    /// The same where everything that is no base64 character is passed over.
    fn push_letters(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for byte in piece.iter().filter(|byte| alphabet(**byte).is_some()) {
            self.byte(*byte, out);
        }
    }

    fn begin_line(&mut self, line: &[u8]) {
        let could_be_over = self.held == 0 && self.len > 0;
        if could_be_over
            && (line.is_empty()
                || matches!(line.first(), Some(b'-' | b'_' | b'*' | b'#' | b'~' | b'=')))
        {
            self.checkpoint = Some(self.len);
        }
    }

    /// Takes a line or a piece of one; `false` at a character that is not base64.
    fn line(&mut self, mut line: &[u8], out: &mut Vec<u8>) -> bool {
        if self.held == 0 && !line.is_empty() {
            let quanta = line.len() / 4 * 4;
            let (whole, left) = line.split_at_checked(quanta).unwrap_or((line, &[]));
            let before = out.len();
            if STANDARD.decode_append(whole, out).is_ok() {
                self.len += (out.len() - before) as u64;
                if whole.ends_with(b"=") {
                    self.piece_is_over();
                }
                line = left;
            }
        }
        line.iter().all(|byte| self.byte(*byte, out))
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        let Some(value) = alphabet(byte) else {
            return if byte == b'=' {
                self.pad(out)
            } else {
                byte.is_ascii_whitespace() || byte == 0x0b
            };
        };
        self.pending = self.pending << 6 | u32::from(value);
        self.held += 1;
        if self.held == 4 {
            self.flush(3, out);
        }
        true
    }

    fn pad(&mut self, out: &mut Vec<u8>) -> bool {
        match self.held {
            // The second `=` of a pair, or one too many after whole quanta.
            0 => true,
            1 => false,
            2 => {
                self.pending <<= 12;
                self.end_piece(1, out)
            }
            _ => {
                self.pending <<= 6;
                self.end_piece(2, out)
            }
        }
    }

    fn end_piece(&mut self, bytes: usize, out: &mut Vec<u8>) -> bool {
        self.flush(bytes, out);
        self.piece_is_over();
        true
    }

    fn piece_is_over(&mut self) {
        self.padded = Some(self.len);
        self.checkpoint = self.padded;
    }

    fn flush(&mut self, bytes: usize, out: &mut Vec<u8>) {
        let quantum = self.pending.to_be_bytes();
        out.extend(quantum.iter().skip(1).take(bytes));
        self.len += bytes as u64;
        self.pending = 0;
        self.held = 0;
    }

    /// Ends the data: before a footer, if it could be over there and does not go on behind.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<End, Malformed> {
        let cut_at = |len| End {
            len,
            trailing_text: true,
        };
        if let Some(foreign) = &mut self.foreign {
            foreign.end_line();
            if foreign.found_data {
                return Err(Malformed("not base64 in the middle"));
            }
            return self.checkpoint.map(cut_at).ok_or(Malformed("not base64"));
        }
        // Words after padding that happen to be of the alphabet, but no whole quanta.
        if let (Some(len), 1..) = (self.padded, self.held) {
            return Ok(cut_at(len));
        }
        match self.held {
            2 => {
                self.pending <<= 12;
                self.flush(1, out);
            }
            3 => {
                self.pending <<= 6;
                self.flush(2, out);
            }
            // Six bits are no byte: the body was cut off.
            _ => {}
        }
        Ok(End {
            len: self.len,
            trailing_text: false,
        })
    }
}

fn alphabet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut at = 0;
    while at < body.len() {
        let rest = body.get(at..).unwrap_or_default();
        let next = at + memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let line = body.get(at..next).unwrap_or_default();
        at = next;
        let end = match line {
            [.., b'\r', b'\n'] => 2,
            [.., b'\n'] => 1,
            _ => 0,
        };
        let (text, ending) = line.split_at_checked(line.len() - end).unwrap_or_default();
        // White space before a line end was added on the way (RFC 2045 §6.7 rule 3).
        let kept = text
            .iter()
            .rposition(|byte| !matches!(byte, b' ' | b'\t'))
            .map_or(0, |last| last + 1);
        let text = text.get(..kept).unwrap_or_default();
        let soft = text.strip_suffix(b"=");
        escapes(soft.unwrap_or(text), &mut out);
        if soft.is_none() {
            out.extend_from_slice(ending);
        }
    }
    out
}

fn escapes(mut text: &[u8], out: &mut Vec<u8>) {
    let hex = |byte: Option<&u8>| {
        char::from(*byte?)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    while let Some(equals) = memchr(b'=', text) {
        out.extend_from_slice(text.get(..equals).unwrap_or_default());
        let step = if let (Some(high), Some(low)) =
            (hex(text.get(equals + 1)), hex(text.get(equals + 2)))
        {
            out.push(high << 4 | low);
            3
        } else {
            out.push(b'=');
            1
        };
        text = text.get(equals + step..).unwrap_or_default();
    }
    out.extend_from_slice(text);
}

/// Encodes in lines of 76 columns, each with its line end.
pub fn base64_lines(bytes: &[u8], ending: LineEnding) -> Vec<u8> {
    let ending = ending.as_bytes();
    let lines = bytes.len().div_ceil(LINE_BYTES);
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4 + lines * ending.len());
    for chunk in bytes.chunks(LINE_BYTES) {
        STANDARD.encode_append(chunk, &mut out);
        out.extend_from_slice(ending);
    }
    out
}

/// Every LF without a CR before it becomes CRLF (RFC 8551 §3.1.1); everything else stays.
pub fn to_crlf(bytes: &[u8]) -> Cow<'_, [u8]> {
    let is_bare =
        |at: &usize| at.checked_sub(1).and_then(|before| bytes.get(before)) != Some(&b'\r');
    let bare = memchr_iter(b'\n', bytes).filter(is_bare).count();
    if bare == 0 {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len() + bare);
    let mut from = 0;
    for at in memchr_iter(b'\n', bytes).filter(is_bare) {
        out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
        out.push(b'\r');
        from = at;
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
    Cow::Owned(out)
}

/// The text with LF line ends, where that loses nothing: every line ends in CRLF (the last one
/// may have no end), and there is no NUL and no other CR or LF. `None` otherwise, and where there
/// is no line end to change.
pub fn to_lf_if_text(bytes: &[u8]) -> Option<Vec<u8>> {
    if memchr(0, bytes).is_some() {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(end) = memchr(b'\n', rest) {
        let text = rest.get(..end)?.strip_suffix(b"\r")?;
        if memchr(b'\r', text).is_some() {
            return None;
        }
        out.extend_from_slice(text);
        out.push(b'\n');
        rest = rest.get(end + 1..)?;
    }
    if out.is_empty() || memchr(b'\r', rest).is_some() {
        return None;
    }
    out.extend_from_slice(rest);
    Some(out)
}

/// Removes the `>` that mboxrd puts before every line `>*From `; `None` where there is none.
pub fn unquote_from(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    let mut copied = 0;
    for at in memmem::find_iter(bytes, b">From ") {
        let before = bytes.get(..at)?;
        let quotes = before
            .iter()
            .rev()
            .take_while(|byte| **byte == b'>')
            .count();
        let start = at - quotes;
        if start == 0 || bytes.get(start - 1) == Some(&b'\n') {
            let out = out.get_or_insert_with(|| Vec::with_capacity(bytes.len()));
            out.extend_from_slice(bytes.get(copied..start)?);
            copied = start + 1;
        }
    }
    let mut out = out?;
    out.extend_from_slice(bytes.get(copied..)?);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn b64(body: &str) -> Result<(Vec<u8>, bool), Malformed> {
        decode(Encoding::Base64, body.as_bytes())
            .map(|decoded| (decoded.bytes.into_owned(), decoded.trailing_text))
    }

    #[track_caller]
    fn whole(body: &str, expected: &str) {
        assert_eq!(
            b64(body).unwrap(),
            (expected.as_bytes().to_vec(), false),
            "{body:?}"
        );
    }

    #[track_caller]
    fn with_text(body: &str, expected: &str) {
        assert_eq!(
            b64(body).unwrap(),
            (expected.as_bytes().to_vec(), true),
            "{body:?}"
        );
    }

    #[test]
    fn base64_is_read_as_it_comes() {
        whole("", "");
        whole("aGVs\r\nbG8=\r\n", "hello");
        whole("aG VsbG\t8\n=", "hello");
        whole("a\nGV\nsbG8", "hello");
        whole("aGVsbG8", "hello");
        whole("aGVsbG8====", "hello");
        whole("aGVsbA=", "hell");
        whole("aGVsbA==aGVsbG8=", "hellhello");
        whole("aGVsbA==\naGVsbG8=\n", "hellhello");
        whole("aGVsbG8hI", "hello!");
        whole("\n\naGVs", "hel");
    }

    #[test]
    fn a_footer_is_left_out_and_said() {
        with_text("aGVsbG8=\n-- \nmailing list\n", "hello");
        with_text("aGVsbG8=\nmailing list\n", "hello");
        with_text("aGVsbG8=\nFooter\n", "hello");
        with_text("aGVsbG8h\n\nMailing-List: x\n", "hello!");
        with_text("aGVsbG8h\n_______________\nlist\n", "hello!");
    }

    #[test]
    fn foreign_characters_in_the_middle_are_an_error() {
        assert!(b64("aGV*bG8h").is_err());
        assert!(b64("-----BEGIN PKCS7-----\naGVs\n").is_err());
        assert!(b64("a=Vs").is_err());
        let data = "A".repeat(64);
        assert!(b64(&format!("{data}\n\n{data}\n\nAA-A\n{data}\n")).is_err());
        assert!(decode(Encoding::Unknown, b"x").is_err());
    }

    #[test]
    fn quoted_printable_follows_its_rules() {
        let qp = |body: &str| {
            decode(Encoding::QuotedPrintable, body.as_bytes())
                .unwrap()
                .bytes
                .into_owned()
        };
        assert_eq!(qp("a=3D=\r\nb=e4 \t\r\nc=ZZ= \n="), b"a=b\xe4\r\nc=ZZ");
        assert_eq!(qp("a=0D=0A\r=\n"), b"a\r\n\r");
        assert_eq!(qp("=4"), b"=4");
    }

    #[test]
    fn line_ends_change_only_where_nothing_is_lost() {
        assert_eq!(&*to_crlf(b"a\nb\r\nc\rd\n"), b"a\r\nb\r\nc\rd\r\n");
        assert!(matches!(to_crlf(b"a\r\nb"), Cow::Borrowed(_)));
        assert_eq!(to_lf_if_text(b"a\r\nb\r\n").unwrap(), b"a\nb\n");
        assert_eq!(to_lf_if_text(b"a\r\nb").unwrap(), b"a\nb");
        for kept in [
            &b"a\nb\r\n"[..],
            b"a\r\nb\rc\r\n",
            b"a\0\r\n",
            b"a\r\r\n",
            b"a",
            b"",
            b"a\r\nb\r",
        ] {
            assert_eq!(to_lf_if_text(kept), None);
        }
        assert_eq!(
            unquote_from(b">From a\n>>From b\nx>From c\n> From d\n>From e").unwrap(),
            b"From a\n>From b\nx>From c\n> From d\nFrom e"
        );
        assert_eq!(unquote_from(b"From a\nx >From b"), None);
    }

    proptest! {
        #[test]
        fn base64_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..600), crlf in any::<bool>()) {
            let ending = if crlf { LineEnding::CrLf } else { LineEnding::Lf };
            let encoded = base64_lines(&bytes, ending);
            let longest = encoded.split(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap_or(0);
            prop_assert!(longest <= 77);
            let decoded = decode(Encoding::Base64, &encoded).unwrap();
            prop_assert_eq!(&*decoded.bytes, &*bytes);
            prop_assert!(!decoded.trailing_text);
            // Cut anywhere, what is whole comes back.
            for cut in 0..encoded.len() {
                let part = decode(Encoding::Base64, &encoded[..cut]).unwrap().bytes;
                prop_assert!(bytes.starts_with(&part) && part.len() + 3 > cut / 79 * 57);
            }
        }

        #[test]
        fn random_bodies_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for encoding in [Encoding::Base64, Encoding::QuotedPrintable, Encoding::Identity] {
                let _ = decode(encoding, &bytes);
            }
            if let Some(text) = to_lf_if_text(&bytes) {
                prop_assert_eq!(&*to_crlf(&text), &*bytes);
            }
        }

        #[test]
        fn odd_base64_never_panics(body in "[A-Za-f=\\n -]{0,40}") {
            let _ = b64(&body);
        }
    }
}
