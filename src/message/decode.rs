//! Header values as people read them: unfolded text, encoded words (RFC 2047), Message-IDs, dates.

use mailparse::{dateparse, parse_header};

/// Bytes of a value that are decoded.
const MAX_TEXT: usize = 64 << 10;
/// The charset's name in an encoded word is no longer than this.
const MAX_CHARSET: usize = 64;
/// Bytes of a date that are looked at.
const MAX_DATE: usize = 200;
/// The end of year 9999, in Unix seconds.
const LAST_SECOND: i64 = 253_402_300_799;

/// A raw value unfolded and decoded, its first 64 KiB.
pub fn text(raw: &[u8]) -> String {
    let unfolded = unfold(raw.get(..MAX_TEXT).unwrap_or(raw));
    encoded_words(&utf8_or_latin1(&unfolded))
}

/// `bytes` as UTF-8 where they are, else as ISO 8859-1.
pub fn utf8_or_latin1(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        // Cut in the middle of a character.
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// Line ends, and the white space that continues a line, as one space.
fn unfold(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut in_fold = false;
    for &byte in raw.trim_ascii() {
        match byte {
            b'\r' | b'\n' => in_fold = true,
            b' ' | b'\t' if in_fold => {}
            _ => {
                if std::mem::take(&mut in_fold) {
                    out.push(b' ');
                }
                out.push(byte);
            }
        }
    }
    out
}

/// Decodes every encoded word. mailparse is given one word at a time: over a whole value its
/// search for word ends is cubic, and 64 KiB can keep it busy for hours.
pub fn encoded_words(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    let mut after_word = false;
    while let Some(at) = rest.find("=?") {
        let (before, from) = rest.split_at(at);
        let word = word_len(from)
            .and_then(|len| from.split_at_checked(len))
            .and_then(|(word, tail)| {
                let decoded = decode_word(word)?;
                Some((decoded, tail))
            });
        if let Some((decoded, tail)) = word {
            // White space between two words belongs to the encoding (RFC 2047 §6.2).
            if !(after_word && before.trim().is_empty()) {
                out.push_str(before);
            }
            out.push_str(&decoded);
            rest = tail;
            after_word = true;
        } else {
            out.push_str(before);
            out.push_str("=?");
            rest = from.get(2..).unwrap_or_default();
            after_word = false;
        }
    }
    out.push_str(rest);
    out
}

/// The length of the encoded word that `text` begins with: `=?charset?b|q?text?=`.
fn word_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let charset = bytes
        .iter()
        .skip(2)
        .take(MAX_CHARSET)
        .position(|byte| *byte == b'?')?;
    let encoding_at = 2 + charset + 1;
    if charset == 0
        || !matches!(bytes.get(encoding_at)?, b'b' | b'B' | b'q' | b'Q')
        || bytes.get(encoding_at + 1) != Some(&b'?')
    {
        return None;
    }
    let payload_at = encoding_at + 2;
    let payload = memchr::memchr(b'?', bytes.get(payload_at..)?)?;
    let end = payload_at + payload;
    (bytes.get(end + 1) == Some(&b'=')).then_some(end + 2)
}

fn decode_word(word: &str) -> Option<String> {
    let field = format!("X: {word}");
    let (header, _) = parse_header(field.as_bytes()).ok()?;
    let value = header.get_value();
    (value != word).then_some(value)
}

/// A Message-ID without its brackets and the white space in it.
pub(super) fn message_id(raw: &[u8]) -> String {
    let raw = raw.get(..MAX_TEXT).unwrap_or(raw);
    let inner = raw
        .iter()
        .position(|byte| *byte == b'<')
        .and_then(|open| raw.get(open + 1..))
        .map(|rest| rest.split(|byte| *byte == b'>').next().unwrap_or_default());
    let bytes = inner.unwrap_or_else(|| {
        raw.split(u8::is_ascii_whitespace)
            .next()
            .unwrap_or_default()
    });
    utf8_or_latin1(bytes)
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_control())
        .collect()
}

/// An RFC 5322 §3.3 date, obsolete forms and unknown zone names (taken as UTC) included, in Unix
/// seconds. Anything without day, month, year, hour and minute is no date.
pub fn date(raw: &[u8]) -> Option<i64> {
    if raw.len() > MAX_TEXT {
        return None;
    }
    let words = date_words(&without_comments(raw))?;
    let parsed = dateparse(&words)
        .ok()
        .filter(|seconds| (0..=LAST_SECOND).contains(seconds));
    parsed.or_else(|| {
        let (local, zone) = words.rsplit_once(' ')?;
        let named = zone.bytes().all(|byte| byte.is_ascii_alphabetic());
        let utc = dateparse(&format!("{local} +0000")).ok()?;
        (named && (0..=LAST_SECOND).contains(&utc)).then_some(utc)
    })
}

/// The date of a Received field: what follows its last semicolon.
pub(super) fn received_date(raw: &[u8]) -> Option<i64> {
    if raw.len() > MAX_TEXT {
        return None;
    }
    let bare = without_comments(raw);
    let at = bare.iter().rposition(|byte| *byte == b';')?;
    date(bare.get(at + 1..)?)
}

/// `day month year hour:minute:second zone`, checked for shape, because mailparse takes an empty
/// or foreign text for the epoch.
fn date_words(raw: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(raw.trim_ascii()).ok()?;
    if text.len() > MAX_DATE {
        return None;
    }
    // `Sun,02-Oct-2016` is met; a hyphen beside a letter is no zone's sign.
    let chars: Vec<char> = text.chars().collect();
    let beside_letter = |i: usize| {
        let letter = |j: Option<usize>| {
            j.and_then(|j| chars.get(j))
                .is_some_and(char::is_ascii_alphabetic)
        };
        letter(i.checked_sub(1)) || letter(i.checked_add(1))
    };
    let spaced: String = chars
        .iter()
        .enumerate()
        .map(|(i, c)| {
            if c.is_whitespace() || *c == ',' || (*c == '-' && beside_letter(i)) {
                ' '
            } else {
                *c
            }
        })
        .collect();
    let words: Vec<&str> = spaced.split(' ').filter(|word| !word.is_empty()).collect();
    let at = words.iter().position(|word| is_month(word))?;
    let month = words.get(at)?.get(..3)?;
    let day_before = at
        .checked_sub(1)
        .and_then(|before| words.get(before))
        .filter(|day| day.parse::<u8>().is_ok());
    let (day, year, time, zone) = match (day_before, words.get(at + 1..)?) {
        (Some(day), [year, time, rest @ ..]) => (day, year, time, rest.first()),
        // C's asctime: `Sun Oct  2 07:06:22 2016`, sometimes with a zone before the year.
        (None, [day, time, year]) => (day, year, time, None),
        (None, [day, time, zone, year, ..]) => (day, year, time, Some(zone)),
        _ => return None,
    };
    let seconds = match time.split(':').count() {
        2 => ":00",
        3 => "",
        _ => return None,
    };
    if !time
        .split(':')
        .all(|part| part.parse::<u8>().is_ok_and(|number| number <= 60))
    {
        return None;
    }
    let zone = zone.map_or_else(|| "+0000".to_owned(), |zone| zone.replace(':', ""));
    Some(format!("{day} {month} {year} {time}{seconds} {zone}"))
}

fn is_month(word: &str) -> bool {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    word.get(..3)
        .is_some_and(|start| MONTHS.iter().any(|month| start.eq_ignore_ascii_case(month)))
}

/// The value without its comments (RFC 5322 §3.2.2), a space in the place of each.
pub(super) fn without_comments(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for &byte in raw {
        if std::mem::take(&mut escaped) {
            if depth == 0 {
                out.push(byte);
            }
            continue;
        }
        match byte {
            b'\\' if depth > 0 || quoted => {
                escaped = true;
                if depth == 0 {
                    out.push(byte);
                }
            }
            b'"' if depth == 0 => {
                quoted = !quoted;
                out.push(byte);
            }
            b'(' if !quoted => {
                depth += 1;
                out.push(b' ');
            }
            b')' if depth > 0 => depth -= 1,
            _ if depth == 0 => out.push(byte),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_are_decoded_one_by_one() {
        assert_eq!(
            text(b"=?utf-8?q?a_b?= \r\n =?iso-8859-1?Q?=E4?= c"),
            "a bä c"
        );
        assert_eq!(text(b"x=?utf-8?B?w6Q=?=y"), "xäy");
        assert_eq!(
            text(b"=?utf-8?x?a?= =?no-such?q?a?= =? =?utf-8?q?"),
            "=?utf-8?x?a?= =?no-such?q?a?= =? =?utf-8?q?"
        );
        assert_eq!(text(b"r\xe4w"), "räw");
        assert_eq!(text("r\u{e4}w".as_bytes()), "räw");
        assert_eq!(text(b"a\r\n\t b\rc"), "a b c");
    }

    #[test]
    fn a_value_full_of_half_words_takes_no_time() {
        // Over the whole value, mailparse's search for the end of each word is cubic.
        let start = std::time::Instant::now();
        let _ = text(&b" =?a?=b".repeat(10_000));
        let _ = text(&b"=?a?q?b?= ".repeat(10_000));
        let _ = text(&b"=?a?q?".repeat(10_000));
        assert!(start.elapsed().as_secs() < 2);
    }

    #[test]
    fn dates_are_read_in_the_forms_met() {
        let at = |value: &str| date(value.as_bytes());
        let expected = Some(1_475_417_182);
        assert_eq!(at("Sun, 02 Oct 2016 07:06:22 -0700 (PDT)"), expected);
        assert_eq!(at("Sun,02-Oct-2016 07:06:22 -0700"), expected);
        assert_eq!(at("2 October 16 14:06:22 +00:00"), expected);
        assert_eq!(at("Sun Oct  2 14:06:22 2016"), expected);
        assert_eq!(at("Sun Oct  2 14:06:22 GMT 2016"), expected);
        assert_eq!(at("Sun,\r\n 2 Oct (c) 2016 14:06:22"), expected);
        assert_eq!(at("Sun, 2 Oct 2016 14:06:22 NOWHERE"), expected);
        for wrong in [
            "",
            "x",
            "2 Oct 2016",
            "2 Oct",
            "99 Oct 2016 10:00",
            "2 Oct 2016 10",
            "2 Oct 2016 99:00",
            "2 Oct 99999 10:00",
            "2 Oct 2016 10:00:00 +99999",
            "Oct",
        ] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn random_values_never_panic() {
        use proptest::prelude::*;
        proptest!(|(bytes in proptest::collection::vec(any::<u8>(), 0..200))| {
            let _ = (text(&bytes), date(&bytes), received_date(&bytes), message_id(&bytes));
        });
        proptest!(|(value in "[ :,;=?()<>\"\\\\a-zA-Z0-9+-]{0,80}")| {
            let _ = (text(value.as_bytes()), date(value.as_bytes()), received_date(value.as_bytes()));
        });
        proptest!(|(value in "[0-9]{1,12} (Jan|feb|décembre) [0-9]{1,12} [0-9:]{1,9} [+-]?[0-9A-Z]{1,12}")| {
            let _ = date(value.as_bytes());
        });
        proptest!(|(word in "=\\?[a-z0-9-]{1,12}\\?[bBqQ]\\?[!-~é]{0,40}\\?=")| {
            let _ = text(word.as_bytes());
        });
    }
}
