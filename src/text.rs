//! How bytes become words: hex, times, names that a terminal may see.

use std::fmt::Write as _;

/// Lower-case hex of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

/// What [`hex`] made this of.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
}

/// The Gregorian calendar repeats after 400 years, in seconds.
const CYCLE: i64 = 146_097 * 86_400;

/// RFC 3339 in UTC, seconds precision, of Unix seconds; empty where the year is not 0000–9999.
/// The last day of 9999, which RFC 5280 §4.1.2.5 uses for "never", is past what the calendar
/// library holds, so late times are read one cycle earlier.
pub fn rfc3339(seconds: i64) -> String {
    if !(-62_167_219_200..253_402_300_800).contains(&seconds) {
        return String::new();
    }
    let late = seconds >= CYCLE;
    let Ok(time) = jiff::Timestamp::from_second(if late { seconds - CYCLE } else { seconds })
    else {
        return String::new();
    };
    let text = time.to_string();
    match text.get(..4).and_then(|year| year.parse::<u32>().ok()) {
        Some(year) if late => format!("{}{}", year + 400, text.get(4..).unwrap_or_default()),
        _ => text,
    }
}

/// The day in UTC of `seconds` (Unix time): `2024-05-01`.
pub fn day(seconds: i64) -> String {
    let mut text = rfc3339(seconds);
    text.truncate(text.find('T').unwrap_or(text.len()));
    text
}

/// A time in UTC as C's `asctime` writes it, for From_ lines: `Thu Nov  5 10:00:00 2026`; the epoch
/// where the year has not four digits.
pub fn asctime(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .ok()
        .filter(|_| (0..253_402_300_800).contains(&seconds))
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .strftime("%a %b %e %H:%M:%S %Y")
        .to_string()
}

/// Unix seconds of an RFC 3339 time such as `2024-05-01T12:00:00Z`.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    text.trim()
        .parse::<jiff::Timestamp>()
        .ok()
        .map(jiff::Timestamp::as_second)
}

/// `text` with every control, bidirectional, line-separating and invisible character written as
/// `\u{…}`, so that a terminal shows only what p7mill itself drew.
pub fn terminal_safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe_to_show(c) {
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

fn is_unsafe_to_show(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A path's bytes as text: UTF-8 where it is, any other byte and the backslash as `\xNN`, so that
/// [`unescape_path`] gives the same bytes back.
pub fn escape_path(path: &std::path::Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let mut out = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' || c.is_control() {
                let mut buffer = [0; 4];
                for byte in c.encode_utf8(&mut buffer).bytes() {
                    let _ = write!(out, "\\x{byte:02x}");
                }
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// The path that [`escape_path`] wrote.
pub fn unescape_path(text: &str) -> std::path::PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let escaped = (bytes[i] == b'\\' && bytes.get(i + 1) == Some(&b'x'))
            .then(|| {
                text.get(i + 2..i + 4)
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            })
            .flatten();
        if let Some(byte) = escaped {
            out.push(byte);
            i += 4;
        } else {
            out.push(bytes[i]);
            i += 1;
        }
    }
    std::ffi::OsString::from_vec(out).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt as _;

    #[test]
    fn times_round_trip_and_absurd_ones_are_empty() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(parse_rfc3339("2038-01-19T03:14:08Z"), Some(2_147_483_648));
        assert_eq!(rfc3339(253_402_300_799), "9999-12-31T23:59:59Z");
        assert_eq!(rfc3339(253_402_300_800), "");
        assert_eq!(rfc3339(i64::MAX), "");
    }

    #[test]
    fn every_path_comes_back() {
        let bytes = b"a\\x41/\xff\xfe \n b\xc3\xa4".to_vec();
        let path: std::path::PathBuf = std::ffi::OsString::from_vec(bytes).into();
        assert_eq!(unescape_path(&escape_path(&path)), path);
    }

    #[test]
    fn escape_sequences_are_shown_not_obeyed() {
        assert_eq!(
            terminal_safe("a\u{1b}[31mb\u{202e}"),
            "a\\u{1b}[31mb\\u{202e}"
        );
    }
}
