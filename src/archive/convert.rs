//! A message in the form of another kind of mailbox: `--to-format`.
//!
//! Its bytes stay what was sent: what an mbox quoted is unquoted, and the other way round. What the
//! container said of it moves along as far as the other one has a place for it; what has none is named.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::{Content, Kind, Mailbox, Meta, RawMessage, dialect, source};
use crate::message::rewrite::Piece;
use crate::text::asctime;

/// How much of `dovecot-keywords` is read: it names 26.
const MAX_KEYWORDS: usize = 64 << 10;

/// What a mailbox says of its messages that each of them does not say itself.
#[derive(Debug, Default)]
pub struct Legend {
    /// Dovecot's keywords by the letter that stands for each in names.
    keywords: BTreeMap<char, String>,
}

impl Legend {
    /// That of `mailbox`.
    pub fn of(mailbox: &Mailbox) -> Self {
        let mut legend = Self::default();
        if mailbox.kind != Kind::Maildir {
            return legend;
        }
        let file = mailbox.origin.path().join("dovecot-keywords");
        let Ok((bytes, _)) = source::head(&file, MAX_KEYWORDS) else {
            return legend;
        };
        for line in String::from_utf8_lossy(&bytes).lines() {
            let Some((number, name)) = line.split_once(' ') else {
                continue;
            };
            let letter = number.parse().ok().and_then(|n| ('a'..='z').nth(n));
            // As IMAP has them: anything else would be two, or end the field.
            let is_atom = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
            if let Some(letter) = letter.filter(|_| is_atom) {
                legend.keywords.insert(letter, name.to_owned());
            }
        }
        legend
    }
}

/// What a mailbox of kind `to` has no place for, of what `mailbox` says of a message.
pub fn unheld(mailbox: &Mailbox, meta: &Meta, legend: &Legend) -> Vec<&'static str> {
    let flags = letters(mailbox.kind, &meta.flags);
    let mut unheld = Vec::new();
    match mailbox.to {
        Kind::Mbox => {
            if flags.contains('P') {
                unheld.push("the flag P");
            }
            let nameless = |letter: char| {
                letter.is_ascii_lowercase() && !legend.keywords.contains_key(&letter)
            };
            if flags.contains(nameless) {
                unheld.push("keywords without a name");
            }
        }
        Kind::Eml if !flags.is_empty() => unheld.push("flags and keywords"),
        _ => {}
    }
    unheld
}

/// The message that `raw` is with `edits`, as a mailbox of the kind that `mailbox` is written in
/// holds it. `date` (Unix seconds) counts where the container does not say when it came. A message
/// that is not in memory keeps the quoting it has. `None` where edits name bytes that are not there.
pub fn convert(
    mailbox: &Mailbox,
    raw: &RawMessage,
    edits: Option<&[Piece]>,
    date: Option<i64>,
    legend: &Legend,
) -> Option<RawMessage> {
    let flags = letters(mailbox.kind, &raw.meta.flags);
    let modified = raw.meta.modified.and_then(seconds);
    let came = match mailbox.kind {
        // IMAP servers take the file's time for the message's.
        Kind::Maildir => modified.or(raw.meta.received),
        _ => raw.meta.received.or(modified),
    };
    let came = came.or(date).unwrap_or(0);
    let fields = status(&flags, legend, mailbox.to);
    let to_mbox = mailbox.to == Kind::Mbox;
    let lead = if to_mbox {
        format!("From MAILER-DAEMON {}\n", asctime(came)).into_bytes()
    } else {
        Vec::new()
    };
    let mut made = RawMessage {
        locator: raw.locator.clone(),
        lead,
        content: Content::Bytes(Vec::new()),
        trail: if to_mbox { b"\n".to_vec() } else { Vec::new() },
        meta: Meta {
            flags,
            received: Some(came),
            quoting: to_mbox,
            modified: u64::try_from(came)
                .ok()
                .and_then(|came| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(came))),
            ..Meta::default()
        },
    };
    if raw.content.bytes().is_none() {
        made.content = raw.content.clone();
        made.meta.unquoted = to_mbox && mailbox.kind != Kind::Mbox;
        return edits.is_none().then_some(made);
    }
    let mut plain = plain(mailbox.kind, raw, edits)?;
    // In front of them all: no field has to be found for that. A line that continues another would
    // continue these.
    let continues = plain.first().is_none_or(u8::is_ascii_whitespace);
    if !fields.is_empty() && !continues {
        plain.splice(0..0, fields.into_bytes());
    }
    let rendered = dialect::render(&made, mailbox.to, &[Piece::Owned(plain)])?;
    (made.content, made.trail) = (Content::Bytes(rendered.content), rendered.trail);
    Some(made)
}

/// The message's own bytes.
fn plain(kind: Kind, raw: &RawMessage, edits: Option<&[Piece]>) -> Option<Vec<u8>> {
    let source = raw.content.bytes()?;
    let quoted = kind == Kind::Mbox && raw.meta.quoting;
    let unquoted = |bytes: &[u8]| {
        if quoted {
            dialect::unquote(bytes).into_owned()
        } else {
            bytes.to_vec()
        }
    };
    let Some(edits) = edits else {
        return Some(unquoted(source));
    };
    let mut plain = Vec::with_capacity(source.len());
    for piece in edits {
        match piece {
            Piece::Owned(bytes) => plain.extend_from_slice(bytes),
            Piece::Large(_) => return None,
            Piece::Source(range) => {
                let bytes = source.get(range.clone())?;
                // A range may begin within a line, which is not quoted there.
                let within = range.start > 0 && source.get(range.start - 1) != Some(&b'\n');
                let line = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
                let (first, rest) = bytes.split_at(if within { line } else { 0 });
                plain.extend_from_slice(first);
                plain.extend_from_slice(&unquoted(rest));
            }
        }
    }
    Some(plain)
}

/// Flags as letters of a Maildir, sorted: an mbox has them in `Status` (R: read) and `X-Status`
/// (A: answered, F: flagged, D: deleted, T: draft).
fn letters(kind: Kind, flags: &str) -> String {
    let mut letters: Vec<char> = flags.chars().collect();
    if kind == Kind::Mbox {
        letters = letters
            .into_iter()
            .filter_map(|letter| match letter {
                'R' => Some('S'),
                'A' => Some('R'),
                'F' => Some('F'),
                'D' => Some('T'),
                'T' => Some('D'),
                _ => None,
            })
            .collect();
    }
    letters.sort_unstable();
    letters.dedup();
    letters.into_iter().collect()
}

/// The fields in which an mbox keeps flags and keywords.
fn status(flags: &str, legend: &Legend, to: Kind) -> String {
    if to != Kind::Mbox {
        return String::new();
    }
    let mut fields = String::new();
    if flags.contains('S') {
        fields.push_str("Status: RO\n");
    }
    let own = [('R', 'A'), ('D', 'T'), ('F', 'F'), ('T', 'D')];
    let own = own.iter().filter(|(flag, _)| flags.contains(*flag));
    let own: String = own.map(|(_, letter)| *letter).collect();
    if !own.is_empty() {
        fields.push_str(&format!("X-Status: {own}\n"));
    }
    let named = flags.chars().filter_map(|flag| legend.keywords.get(&flag));
    let named: Vec<&str> = named.map(String::as_str).collect();
    if !named.is_empty() {
        fields.push_str(&format!("X-Keywords: {}\n", named.join(" ")));
    }
    fields
}

fn seconds(time: SystemTime) -> Option<i64> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

/// Quotes a stream, line by line, holding nothing but what may become `From `.
#[derive(Debug)]
pub(super) struct Quoter {
    /// Whether a line has just begun, and nothing but `>` came since.
    at_start: bool,
    /// How much of `From ` came.
    matched: usize,
    /// The last byte that passed.
    last: u8,
}

impl Quoter {
    pub(super) fn new() -> Self {
        Self {
            at_start: true,
            matched: 0,
            last: b'\n',
        }
    }

    /// Whether everything that passed ended with a line feed.
    pub(super) fn ended(&self) -> bool {
        self.last == b'\n'
    }

    /// What `bytes` become; what may be the beginning of a From_ line waits.
    pub(super) fn quote(&mut self, bytes: &[u8]) -> Vec<u8> {
        const FROM: &[u8] = b"From ";
        let mut out = Vec::with_capacity(bytes.len() + 16);
        for &byte in bytes {
            self.last = byte;
            if !self.at_start {
                out.push(byte);
                self.at_start = byte == b'\n';
                continue;
            }
            if byte == b'>' && self.matched == 0 {
                // Marks never change but by one more in front, so they need not wait.
                out.push(byte);
                continue;
            }
            if FROM.get(self.matched) == Some(&byte) {
                self.matched += 1;
                if self.matched == FROM.len() {
                    out.push(b'>');
                    self.release(&mut out);
                    self.at_start = false;
                }
                continue;
            }
            self.release(&mut out);
            out.push(byte);
            self.at_start = byte == b'\n';
        }
        out
    }

    /// What still waits at the end.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.release(&mut out);
        out
    }

    fn release(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"From ".get(..self.matched).unwrap_or_default());
        self.matched = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_stream_is_quoted_as_a_message_is(parts in proptest::collection::vec(
            prop_oneof!["\n", "\r\n", ">", "From ", "From", "Fr", " ", "x"].prop_map(String::into_bytes), 0..40)) {
            let mut quoter = Quoter::new();
            let mut made: Vec<u8> = parts.iter().flat_map(|part| quoter.quote(part)).collect();
            made.extend(quoter.finish());
            let whole = parts.concat();
            let quoted = dialect::quote(&whole, true).into_owned();
            // A mark more in front of the others or behind them is the same line.
            prop_assert_eq!(made, quoted);
            prop_assert_eq!(quoter.ended(), whole.is_empty() || whole.ends_with(b"\n"));
        }
    }
}
