//! Header protection: fields of the message that stand, signed or encrypted, in the header of what
//! its layers hold (RFC 9788; the older `protected-headers="v1"`; RFC 8551 §3.1, which wraps a whole
//! message).
//!
//! Where a message is written decrypted, the fields that a sender hides come back: Subject, Keywords
//! and Comments, which is what RFC 9788's `hcp_baseline` takes out of the outer header. The outer
//! value stays beside it as `X-P7mill-Outer-Subject`. From, Sender, Date, To and the like stay what they
//! were: anyone can encrypt a payload that says From somebody else, and whether a signature in it
//! is to be trusted is not known here. Where they differ they are kept as `X-P7mill-Protected-From`.

use crate::message::headers::{Headers, LineEnding};
use crate::message::parts::Tree;
use crate::message::rewrite::HeaderEdit;

use crate::ops::facts::Facts;

/// Fields that are restored (RFC 5322 §3.6.5).
const RESTORED: [&str; 3] = ["Subject", "Keywords", "Comments"];

/// Fields of which the protected value is kept beside the outer one.
const SHOWN: [&str; 7] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Date",
    "Message-ID",
];

/// Bytes of a restored value.
const MOST: usize = 8 << 10;

/// The protected header of a payload.
#[derive(Debug, Clone)]
pub(super) struct Protected {
    header: Vec<u8>,
    /// It says that somebody else wrote the message than the message's own header does.
    pub(super) other_from: bool,
}

impl Protected {
    /// The protected header that the part at `index`, on the chain of the message of `facts`, has.
    pub(super) fn of(tree: &Tree<'_>, index: usize, facts: &Facts) -> Option<Self> {
        /// No honest header is longer, and it is copied.
        const LONGEST: usize = 1 << 20;
        let part = tree.parts.get(index)?;
        let entity = tree.entity(part);
        let says = |name| part.content_type.param(name);
        let (bytes, headers) = if says("hp").is_some() || says("protected-headers").is_some() {
            (entity, Headers::parse_part(entity))
        } else if part.content_type.is_message() && part.note.is_none() {
            let message = tree.body(part);
            let headers = Headers::parse(message);
            // One that does not say so may be a forwarded message.
            let meant = match says("forwarded") {
                Some(forwarded) => forwarded.eq_ignore_ascii_case("no"),
                None => !facts.from.is_empty() && headers.addresses("From") == facts.from,
            };
            if !meant {
                return None;
            }
            (message, headers)
        } else {
            return None;
        };
        let header = if headers.end() <= LONGEST {
            bytes.get(..headers.end()).unwrap_or_default().to_vec()
        } else {
            Vec::new()
        };
        Some(Self {
            header,
            other_from: facts.other_from(&headers),
        })
    }

    /// How many of its fields say something else than the message's own header.
    pub(super) fn conflicts(&self, facts: &Facts) -> u32 {
        facts.conflicts(&Headers::parse_part(&self.header))
    }

    /// What is to change in the message's own header where the message is written decrypted.
    pub(super) fn edits(&self, outer: &Headers<'_>) -> Vec<HeaderEdit> {
        let inner = Headers::parse_part(&self.header);
        let ending = outer.line_ending();
        let value = |name: &str| {
            // Two subjects are none: readers would differ in which they show.
            let text = inner.text(name);
            let differs = text != outer.text(name) || outer.count(name) != 1;
            (inner.count(name) == 1 && !text.trim().is_empty() && differs)
                .then(|| presentable(inner.first(name).unwrap_or_default(), &text, ending))
        };
        let restored = RESTORED.into_iter().filter_map(|name| {
            Some(HeaderEdit::Replace {
                name,
                displaced: "X-P7mill-Outer-",
                value: value(name)?,
            })
        });
        let shown = SHOWN.into_iter().filter_map(|name| {
            Some(HeaderEdit::Add {
                name: format!("X-P7mill-Protected-{name}"),
                value: value(name)?,
            })
        });
        restored.chain(shown).collect()
    }
}

/// A value that can stand in any header: as it came where that is printable ASCII in lines of
/// honest length, else its text in encoded words (RFC 2047).
fn presentable(raw: &[u8], text: &str, ending: LineEnding) -> Vec<u8> {
    const LINE: usize = 900;
    let lines = || {
        raw.split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
    };
    let printable = |line: &[u8]| {
        line.len() <= LINE
            && !line.trim_ascii().is_empty()
            && line.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
    };
    let folded = lines()
        .skip(1)
        .all(|line| matches!(line.first(), Some(b' ' | b'\t')));
    if raw.len() <= MOST && folded && lines().all(printable) {
        let lines: Vec<&[u8]> = lines().collect();
        return lines.join(ending.as_bytes());
    }
    encoded_words(text, ending)
}

fn encoded_words(text: &str, ending: LineEnding) -> Vec<u8> {
    /// Bytes of UTF-8 in one word, which then has at most 75 characters.
    const WORD: usize = 42;
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut word = String::new();
    let mut end = |word: &mut String| {
        let base64 = base64_simd::STANDARD.encode_to_string(word.as_bytes());
        words.push(format!("=?utf-8?B?{base64}?=").into_bytes());
        word.clear();
    };
    let mut written = 0;
    for letter in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if word.len() + letter.len_utf8() > WORD {
            end(&mut word);
        }
        word.push(letter);
        written += letter.len_utf8();
        if written >= MOST {
            break;
        }
    }
    if !word.is_empty() {
        end(&mut word);
    }
    words.join(&[ending.as_bytes(), b" "].concat()[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(inner: &[u8], outer: &[u8]) -> Vec<HeaderEdit> {
        let protected = Protected {
            header: inner.to_vec(),
            other_from: false,
        };
        protected.edits(&Headers::parse(outer))
    }

    fn subject(inner: &[u8]) -> Option<Vec<u8>> {
        edits(inner, b"Subject: ...\n\n")
            .into_iter()
            .find_map(|edit| match edit {
                HeaderEdit::Replace {
                    name: "Subject",
                    value,
                    ..
                } => Some(value),
                _ => None,
            })
    }

    #[test]
    fn a_subject_comes_back_as_it_was_written() {
        assert_eq!(subject(b"Subject: a\r\n  b\r\n").unwrap(), b"a\n  b");
        assert_eq!(
            subject(b"Subject: =?utf-8?q?=C3=A4?=\n").unwrap(),
            b"=?utf-8?q?=C3=A4?="
        );
        assert_eq!(subject(b"Subject: ...\n"), None);
        assert_eq!(subject(b"Subject: a\nSubject: b\n"), None);
        assert_eq!(subject(b"Subject:\n"), None);
        assert_eq!(subject(b"To: a\n"), None);
        // Two outer ones are none, whatever the first says.
        assert_eq!(
            edits(b"Subject: a\n", b"Subject: a\nSubject: b\n\n").len(),
            1
        );
        assert!(edits(b"Subject: a\n", b"Subject: a\n\n").is_empty());
    }

    #[test]
    fn nothing_in_a_subject_can_end_its_field() {
        for hostile in [
            &b"Subject: a\rFrom: evil@x\n"[..],
            b"Subject: a\x00b\n",
            b"Subject: \xff\xfe\n",
            "Subject: grüße\n".as_bytes(),
            b"Subject: a\r\r\n b\n",
            &[b"Subject: ".as_slice(), &b"x".repeat(20_000), b"\n"].concat(),
        ] {
            let Some(value) = subject(hostile) else {
                continue;
            };
            assert!(value.is_ascii() && value.len() < 20_000);
            for (at, line) in value.split(|byte| *byte == b'\n').enumerate() {
                assert!(
                    line.len() < 80 && (at == 0 || line.starts_with(b" =?")),
                    "{hostile:?}"
                );
                assert!(line.iter().all(|byte| matches!(byte, b' '..=b'~')));
            }
        }
        assert_eq!(
            Headers::parse(
                &[
                    b"Subject: ",
                    &*subject("Subject: grüße\n".as_bytes()).unwrap()
                ]
                .concat()
            )
            .text("Subject"),
            "grüße"
        );
    }

    #[test]
    fn who_and_when_is_shown_and_not_restored() {
        let found = edits(
            b"From: evil@x\nDate: now\nSubject: s\n",
            b"From: a@x\nSubject: s\n\n",
        );
        assert!(
            matches!(&found[..], [
            HeaderEdit::Add { name: from, .. },
            HeaderEdit::Add { name: date, .. },
        ] if from == "X-P7mill-Protected-From" && date == "X-P7mill-Protected-Date"),
            "{found:?}"
        );
    }
}
