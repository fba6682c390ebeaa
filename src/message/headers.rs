//! Header fields by byte range (RFC 5322 §2.2, §3.6).
//!
//! Mail is read here so that nothing a reader might show stays hidden: every field is listed,
//! duplicates too, also one that stands behind a bare CR (some readers take that for a line end)
//! or whose name holds control characters (some drop them). Such a field counts in
//! [`Headers::all`], [`Headers::count`] and [`Headers::addresses`]; [`Headers::first`] takes it
//! only where no plain one exists.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use super::addresses::{self, AddressList};
pub use super::content_type::{ContentType, Encoding, content_type, encoding, file_name};
use super::decode;

/// Fields that are kept; a header with more is [`Headers::is_cut`].
const MAX_FIELDS: usize = 100_000;

/// How lines end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineEnding {
    /// `\n`.
    Lf,
    /// `\r\n`.
    CrLf,
}

impl LineEnding {
    /// The bytes themselves.
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }

    /// The ending of the first line of `bytes`; LF where there is none.
    pub fn of(bytes: &[u8]) -> Self {
        match memchr(b'\n', bytes)
            .and_then(|at| at.checked_sub(1))
            .and_then(|at| bytes.get(at))
        {
            Some(b'\r') => Self::CrLf,
            _ => Self::Lf,
        }
    }
}

/// One header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    /// As written, without the white space around it.
    pub name: &'a [u8],
    /// As written, folds included, without the white space around it.
    pub value: &'a [u8],
    /// The whole field in the entity, its last line end included.
    pub range: Range<usize>,
    /// It stands behind a bare CR, so that only some readers see it.
    pub hidden: bool,
}

impl Field<'_> {
    /// Whether this is the field `name`: letter case and control characters do not count.
    pub fn is(&self, name: &str) -> bool {
        name_is(self.name, name)
    }

    /// Whether every reader sees this field, under this name: it stands on a line of its own, and its
    /// name is printable ASCII.
    pub fn is_plain(&self) -> bool {
        !self.hidden && self.name.iter().all(u8::is_ascii_graphic)
    }
}

/// A line among the fields that is no field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped<'a> {
    /// The field before it.
    pub after: Option<Field<'a>>,
    /// Without its line end; never blank.
    pub line: &'a [u8],
    /// It is an mbox's envelope line, quoted or not.
    pub envelope: bool,
}

/// The header of a message or part.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    spans: Vec<Span>,
    end: usize,
    body_start: usize,
    cut: bool,
    stopped: bool,
    cr_only: bool,
    odd: bool,
}

#[derive(Debug, Clone)]
struct Span {
    start: usize,
    colon: usize,
    end: usize,
    hidden: bool,
}

/// What may stand where a header is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// A message: blank lines before the header, `From ` lines and single foreign lines in it are
    /// passed over; in a file without any LF, CR ends lines.
    Message,
    /// An attached message: the same, but its lines end as those do of the message it lies in.
    Attached,

    /// A body part or decrypted entity: a blank first line means that it has no header, and the
    /// first line that is no field begins the body (RFC 2046 §5.1.1).
    Part,
}

impl<'a> Headers<'a> {
    /// Reads the header of a message: leniently about blank or indented first lines, From_ lines,
    /// foreign lines between fields, a missing blank line, and mixed line ends.
    pub fn parse(message: &'a [u8]) -> Self {
        Self::scan(message, Mode::Message, |_| false)
    }

    /// Reads the header of a body part or of a decrypted entity, where a blank first line says
    /// that there is none.
    pub fn parse_part(entity: &'a [u8]) -> Self {
        Self::scan(entity, Mode::Part, |_| false)
    }

    /// Reads a header that may end before `bytes` does: at the first line for which `stop` holds
    /// (asked only of lines that begin with `--`; the line end is part of the line).
    pub(super) fn scan(bytes: &'a [u8], mode: Mode, stop: impl Fn(&[u8]) -> bool) -> Self {
        let mut scanner = Scanner {
            bytes,
            mode,
            spans: Vec::new(),
            cut: false,
            skipping: false,
            odd: false,
        };
        // A file without a single LF comes from a system that ended lines with CR.
        let cr_only = mode == Mode::Message
            && memchr(b'\n', bytes).is_none()
            && memchr(b'\r', bytes).is_some();
        let (end, body_start, stopped) = scanner.run(if cr_only { b'\r' } else { b'\n' }, stop);
        let mut headers = Self {
            bytes,
            spans: scanner.spans,
            end,
            body_start,
            cut: scanner.cut,
            stopped,
            cr_only,
            odd: scanner.odd,
        };
        let unusual = headers.fields().any(|field| gives_structure_to_few(&field));
        headers.odd |= unusual;
        headers
    }

    /// Where the body begins; the entity's length where there is none.
    pub fn body_start(&self) -> usize {
        self.body_start
    }

    /// Where the fields end: the place of the blank line, where there is one.
    pub fn end(&self) -> usize {
        self.end
    }

    /// Whether there are more fields than are listed: too many to be mail.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Whether its lines end in CR alone, as on classic Mac OS: there is no LF in the whole message.
    pub fn is_cr_only(&self) -> bool {
        self.cr_only
    }

    /// Whether other readers may see another header: it begins after blank lines or a byte order mark,
    /// goes on after a line that is no field or behind a bare CR, or describes the content in a
    /// field that not everybody knows by that name. What is taken from it here, they may show as text.
    pub fn is_odd(&self) -> bool {
        self.odd
    }

    /// Whether a boundary line ended the header before a blank line did.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Every field, in order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + '_ {
        self.spans.iter().map(|span| self.field(span))
    }

    /// The lines that were passed over: another reader may take them for part of the field before.
    pub fn skipped(&self) -> impl Iterator<Item = Skipped<'a>> + '_ {
        let before = std::iter::once(None).chain(self.spans.iter().map(Some));
        let after = self.spans.iter().map(|span| span.start);
        before
            .zip(after.chain(std::iter::once(self.end)))
            .flat_map(move |(before, end)| {
                let start = before.map_or(0, |span| span.end);
                self.bytes
                    .get(start..end)
                    .unwrap_or_default()
                    .split(|byte| matches!(byte, b'\n' | b'\r'))
                    .filter(|line| !line.trim_ascii().is_empty())
                    .map(move |line| Skipped {
                        after: before.map(|span| self.field(span)),
                        line,
                        envelope: is_from_line(line),
                    })
            })
    }

    /// The first paragraph of a body that no blank line parts from the fields: another reader may
    /// take it for a part of them. Empty where there is a blank line.
    pub fn unparted(&self) -> &'a [u8] {
        if self.body_start > self.end {
            return &[];
        }
        let body = self.bytes.get(self.end..).unwrap_or_default();
        let blank = memchr::memchr_iter(b'\n', body).find(|at| {
            let next = body.get(at + 1..).unwrap_or_default();
            next.starts_with(b"\n") || next.starts_with(b"\r\n")
        });
        body.get(..blank.unwrap_or(body.len())).unwrap_or_default()
    }

    /// The raw value of the first field of that name.
    pub fn first(&self, name: &str) -> Option<&'a [u8]> {
        let mut hidden = None;
        for field in self.fields().filter(|field| field.is(name)) {
            if !field.hidden {
                return Some(field.value);
            }
            hidden.get_or_insert(field.value);
        }
        hidden
    }

    /// The raw values of all fields of that name.
    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        self.fields()
            .filter(move |field| field.is(name))
            .map(|field| field.value)
    }

    /// How many fields have that name.
    pub fn count(&self, name: &str) -> usize {
        self.fields().filter(|field| field.is(name)).count()
    }

    /// The first field of that name: unfolded, decoded (RFC 2047), its first 64 KiB; empty where
    /// there is none.
    pub fn text(&self, name: &str) -> String {
        self.first(name).map(decode::text).unwrap_or_default()
    }

    /// Every address in all fields of that name, at most [`addresses::MAX_ADDRESSES`].
    pub fn addresses(&self, name: &str) -> Vec<String> {
        self.address_list(name).addresses
    }

    /// [`Headers::addresses`], and whether anything there could not be read as an address.
    pub fn address_list(&self, name: &str) -> AddressList {
        let mut list = AddressList::default();
        for value in self.all(name) {
            addresses::parse_into(value, &mut list);
        }
        list
    }

    /// The Message-ID without angle brackets; empty where there is none.
    pub fn message_id(&self) -> String {
        self.first("message-id")
            .map(decode::message_id)
            .unwrap_or_default()
    }

    /// The Date field in Unix seconds.
    pub fn date(&self) -> Option<i64> {
        decode::date(self.first("date")?)
    }

    /// The time in the top Received field, in Unix seconds: what the last relay claims.
    pub fn received_time(&self) -> Option<i64> {
        decode::received_date(self.first("received")?)
    }

    /// How the header's lines end, judged by the first.
    pub fn line_ending(&self) -> LineEnding {
        LineEnding::of(self.bytes)
    }

    fn field(&self, span: &Span) -> Field<'a> {
        let slice = |range: Range<usize>| self.bytes.get(range).unwrap_or_default().trim_ascii();
        Field {
            name: slice(span.start..span.colon),
            value: slice(span.colon + 1..span.end),
            range: span.start..span.end,
            hidden: span.hidden,
        }
    }
}

/// Whether a raw field name is `wanted`. Control characters in the raw name do not count, because
/// there are readers that drop them.
fn name_is(raw: &[u8], wanted: &str) -> bool {
    let wanted = wanted.as_bytes();
    if raw.len() == wanted.len() {
        return raw.eq_ignore_ascii_case(wanted);
    }
    raw.len() > wanted.len()
        && raw.iter().any(|byte| is_junk(*byte))
        && raw
            .iter()
            .filter(|byte| !is_junk(**byte))
            .map(u8::to_ascii_lowercase)
            .eq(wanted.iter().map(u8::to_ascii_lowercase))
}

/// A raw field name as [`name_is`] compares it.
pub(super) fn without_junk(raw: &[u8]) -> Cow<'_, [u8]> {
    if raw.iter().any(|byte| is_junk(*byte)) {
        raw.iter().copied().filter(|byte| !is_junk(*byte)).collect()
    } else {
        Cow::Borrowed(raw)
    }
}

/// Whether a field describes the content or is the first thing in a file, and is not written as
/// every reader expects.
fn gives_structure_to_few(field: &Field<'_>) -> bool {
    let plain = without_junk(field.name).to_ascii_lowercase();
    if plain.len() == field.name.len() && !field.hidden {
        return false;
    }
    plain.starts_with(b"content-") || plain == b"mime-version"
}

fn is_junk(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f || matches!(byte, 0xef | 0xbb | 0xbf)
}

struct Scanner<'a> {
    bytes: &'a [u8],
    mode: Mode,
    spans: Vec<Span>,
    cut: bool,
    /// The last line was passed over; its continuation lines go with it.
    skipping: bool,
    /// See [`Headers::is_odd`].
    odd: bool,
}

impl Scanner<'_> {
    /// Returns where the fields end, where the body begins, and whether `stop` ended the header.
    fn run(&mut self, eol: u8, stop: impl Fn(&[u8]) -> bool) -> (usize, usize, bool) {
        let len = self.bytes.len();
        let mut at = if self.mode == Mode::Part {
            0
        } else {
            self.skip_blank_lines()
        };
        self.odd = at > 0 || self.bytes.starts_with(b"\xef\xbb\xbf");
        while at < len {
            let next = self.line_end(at, eol);
            let line = self.bytes.get(at..next).unwrap_or_default();
            let content = without_line_end(line);
            if content.is_empty() {
                return (at, next, false);
            }
            if content.starts_with(b"--") && stop(line) {
                return (at, at, true);
            }
            if !self.take_line(at, next, content, eol) {
                return (at, at, false);
            }
            at = next;
        }
        (len, len, false)
    }

    /// Files one line; `false` where it begins the body.
    fn take_line(&mut self, at: usize, next: usize, content: &[u8], eol: u8) -> bool {
        let first = content
            .split(|byte| *byte == b'\r')
            .next()
            .unwrap_or_default();
        let indented = first
            .first()
            .is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        // Some readers end the line, or the header, at a bare CR.
        self.odd |= content.contains(&b'\r');
        if indented && (self.skipping || !self.spans.is_empty()) {
            self.extend(next);
        } else if let Some(colon) = field_colon(first)
            && (!indented || self.mode != Mode::Part)
        {
            self.odd |= indented;
            self.push(at, at + colon, next, false);
        } else if first.is_empty() && !self.spans.is_empty() {
            self.extend(next);
        } else if self.mode != Mode::Part
            && (is_from_line(first) || self.is_foreign_line(next, eol))
        {
            // The envelope line before the header is known to all.
            self.odd |= !self.spans.is_empty();
            self.skipping = true;
        } else if !first.is_empty() || self.mode == Mode::Part {
            return false;
        }
        // Behind a bare CR: a field of its own if it looks like one, else a part of the value.
        let mut from = first.len() + 1;
        while let Some(rest) = content.get(from..) {
            let sub = rest.split(|byte| *byte == b'\r').next().unwrap_or_default();
            if is_plain_field(sub)
                && let Some(colon) = field_colon(sub)
            {
                if !self.skipping
                    && let Some(last) = self.spans.last_mut()
                {
                    last.end = at + from;
                }
                self.push(at + from, at + from + colon, next, true);
            }
            from += sub.len() + 1;
        }
        true
    }

    fn push(&mut self, start: usize, colon: usize, end: usize, hidden: bool) {
        self.skipping = self.spans.len() >= MAX_FIELDS;
        self.cut |= self.skipping;
        if !self.skipping {
            self.spans.push(Span {
                start,
                colon,
                end,
                hidden,
            });
        }
    }

    fn extend(&mut self, end: usize) {
        if !self.skipping
            && let Some(last) = self.spans.last_mut()
        {
            last.end = end;
        }
    }

    /// A line that is no field, in the middle of fields: the next line goes on with the header.
    fn is_foreign_line(&self, next: usize, eol: u8) -> bool {
        let following = self
            .bytes
            .get(next..self.line_end(next, eol))
            .unwrap_or_default();
        !self.spans.is_empty() && is_plain_field(without_line_end(following))
    }

    /// Where the header begins if only blank lines stand before it, else 0.
    fn skip_blank_lines(&self) -> usize {
        let blank = self
            .bytes
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        let start = self
            .bytes
            .get(..blank)
            .and_then(|lead| memchr::memrchr(b'\n', lead))
            .map_or(0, |at| at + 1);
        let first = self
            .bytes
            .get(start..self.line_end(start, b'\n'))
            .unwrap_or_default();
        let first = without_line_end(first).trim_ascii_start();
        if is_plain_field(first) || is_from_line(first) {
            start
        } else {
            0
        }
    }

    fn line_end(&self, at: usize, eol: u8) -> usize {
        let rest = self.bytes.get(at..).unwrap_or_default();
        memchr(eol, rest).map_or(self.bytes.len(), |i| at + i + 1)
    }
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let mut line = line.strip_suffix(b"\n").unwrap_or(line);
    while let Some(shorter) = line.strip_suffix(b"\r") {
        line = shorter;
    }
    line
}

/// The place of the colon if the line is a field: a name without white space inside.
fn field_colon(line: &[u8]) -> Option<usize> {
    let colon = memchr(b':', line)?;
    let name = line.get(..colon)?.trim_ascii();
    (!name.is_empty() && !name.iter().any(|byte| matches!(byte, b' ' | b'\t'))).then_some(colon)
}

/// A field whose name is letters, digits and hyphens, as every standard one is.
fn is_plain_field(line: &[u8]) -> bool {
    let Some(name) = memchr(b':', line).and_then(|colon| line.get(..colon)) else {
        return false;
    };
    let name = name.trim_ascii_end();
    name.first().is_some_and(u8::is_ascii_alphabetic)
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// The envelope line of an mbox, quoted or not, which archives leave among the fields.
fn is_from_line(line: &[u8]) -> bool {
    line.strip_prefix(b">")
        .unwrap_or(line)
        .starts_with(b"From ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(message: &[u8]) -> Vec<String> {
        let headers = Headers::parse(message);
        headers
            .fields()
            .map(|field| String::from_utf8_lossy(field.name).into_owned())
            .collect()
    }

    #[test]
    fn fields_cover_their_bytes_and_the_body_follows() {
        let message = b"From: a\r\nSubject: b\r\n\tc\r\n\r\nbody";
        let headers = Headers::parse(message);
        let fields: Vec<_> = headers.fields().collect();
        assert_eq!(fields[0].range, 0..9);
        assert_eq!(fields[1].range, 9..25);
        assert_eq!(fields[1].value, b"b\r\n\tc");
        assert_eq!((headers.end(), headers.body_start()), (25, 27));
        assert_eq!(headers.text("SUBJECT"), "b c");
        assert_eq!(headers.line_ending(), LineEnding::CrLf);
    }

    #[test]
    fn odd_headers_are_read_as_far_as_they_go() {
        assert_eq!(names(b"\n \r\nFrom: a\n\nb"), ["From"]);
        assert_eq!(names(b" From: a\nTo: b\n\n"), ["From", "To"]);
        assert_eq!(names(b">From x Mon Jan 1\nFrom: a\nTo : b"), ["From", "To"]);
        assert_eq!(names(b"From: a\njunk line\nTo: b\n\nX: y"), ["From", "To"]);
        assert_eq!(names(b"From: a\rTo: b\r\rCc: body"), ["From", "To"]);
        assert_eq!(names(b"A: 1\r\r\nB: 2\r\r\n\r\r\nC: 3"), ["A", "B"]);
        assert_eq!(names(b"\xef\xbb\xbfFrom: a\n\n").len(), 1);
        let bodied = Headers::parse(b"Content-Type: text/plain\nHello Bob\n\nx");
        assert_eq!((bodied.end(), bodied.body_start()), (25, 25));
        assert_eq!(Headers::parse(b"Hello\nNote: x\n").body_start(), 0);
        assert_eq!(Headers::parse_part(b"\nNote: x\n").body_start(), 1);
        assert_eq!(Headers::parse_part(b"\nNote: x\n").fields().count(), 0);
        assert_eq!(Headers::parse(b"").fields().count(), 0);
    }

    #[test]
    fn no_trick_hides_a_from() {
        let of = |message: &[u8]| Headers::parse(message).addresses("from");
        assert_eq!(of(b"From: a@x\nFROM : b@x\n\n"), ["a@x", "b@x"]);
        assert_eq!(of(b"From: a@x\nX: y\rFrom: b@x\n\n"), ["a@x", "b@x"]);
        assert_eq!(of(b"From: a@x\nX: y\n\rFrom: b@x\n\n"), ["a@x", "b@x"]);
        assert_eq!(of(b"From: a@x\nFro\0m: b@x\n\n"), ["a@x", "b@x"]);
        assert_eq!(of(b"From: a@x\nFrom\0: b@x\n\n"), ["a@x", "b@x"]);
        assert_eq!(of(b"\xef\xbb\xbfFrom: b@x\n\n"), ["b@x"]);
        assert_eq!(
            of(b"From: a@x\nwithout colon\nFrom: b@x\n\n"),
            ["a@x", "b@x"]
        );
        assert_eq!(of(b"From: a@x\r\rX: y\nFrom: b@x\n\n"), ["a@x", "b@x"]);
        // Whether a hidden one counts first must not depend on its place.
        let hidden = b"X: y\rContent-Type: a/b\nContent-Type: c/d\n\n";
        assert_eq!(
            Headers::parse(hidden).first("content-type"),
            Some(&b"c/d"[..])
        );
        assert_eq!(Headers::parse(hidden).count("Content-Type"), 2);
    }

    #[test]
    fn lines_that_are_no_fields_are_told() {
        let told = |message: &[u8]| {
            let headers = Headers::parse(message);
            let lines = headers.skipped().map(|skipped| {
                let name = skipped.after.map_or(&b""[..], |field| field.name);
                let line = String::from_utf8_lossy(skipped.line).into_owned();
                (
                    String::from_utf8_lossy(name).into_owned(),
                    line,
                    skipped.envelope,
                )
            });
            lines.collect::<Vec<_>>()
        };
        let of = |name: &str, line: &str, envelope| (name.to_owned(), line.to_owned(), envelope);
        assert_eq!(
            told(b"\r\nTo: a@x,\r\n b@x\r\nCc: c@x\rX: y\r\n\r\nd@x"),
            []
        );
        assert_eq!(
            told(b"From a@x Mon\nTo: a@x,\nb@x\nBcc: d@x\n>From e@x\nX: y\n\nd@x"),
            [
                of("", "From a@x Mon", true),
                of("To", "b@x", false),
                of("Bcc", ">From e@x", true),
            ]
        );
        let unparted = |message: &'static [u8]| Headers::parse(message).unparted();
        assert_eq!(unparted(b"To: a@x,\nb@x\nc\r\n\r\nd@x"), b"b@x\nc\r");
        assert_eq!(unparted(b"To: a@x\n\nb@x\n"), b"");
        assert_eq!(unparted(b"To: a@x\n"), b"");
    }

    #[test]
    fn identifiers_and_times_are_found() {
        let headers = Headers::parse(
            b"Received: from a by b (x; y) with c; Sun, 02 Oct 2016 07:06:22 -0700 (PDT; x)\n\
              Received: by z; Sun, 02 Oct 2015 07:06:22 -0700\n\
              Message-ID: (c) <a\n b@c>\nDate: Sun, 2 Oct 2016 14:06 GMT\n\n",
        );
        assert_eq!(headers.received_time(), Some(1_475_417_182));
        assert_eq!(headers.date(), Some(1_475_417_160));
        assert_eq!(headers.message_id(), "ab@c");
    }
}
