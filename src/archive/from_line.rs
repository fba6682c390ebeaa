//! What a From_ line looks like: `From `, a sender, and a date with a year, in any of the orders
//! that delivery agents have written (RFC 4155 appendix A asks for asctime, few listen).

/// A line that reads as a From_ line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FromLine {
    /// Its date in Unix seconds; a date without a zone is taken as UTC.
    pub date: i64,
    /// Whether the sender is exactly one word, as delivery agents write it. Mailing-list archives
    /// write `user at host`.
    pub one_word: bool,
}

/// From_ lines are short; a longer line is text.
pub const MAX_LINE: usize = 2048;

const MAX_WORDS: usize = 24;

/// Reads `line`, which may end with a line end, as a From_ line with a date.
///
/// Accepted are `From sender Thu Jul 16 03:13:49 1998`, with a zone before or after the year,
/// without seconds, with `remote from …` behind; `From sender Thu, 16 Jul 1998 03:13:49 +0200`;
/// `From - …` (Thunderbird), `From ???@??? …` (Eudora) and an empty sender (two spaces).
pub fn parse(line: &[u8]) -> Option<FromLine> {
    let rest = line.strip_prefix(b"From ")?;
    if line.len() > MAX_LINE {
        return None;
    }
    let mut words: [&[u8]; MAX_WORDS] = [b""; MAX_WORDS];
    let mut count = 0;
    for word in rest
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
    {
        *words.get_mut(count)? = word;
        count += 1;
    }
    let words = words.get(..count)?;
    // A date must reach to the line's end, so a sender called May does no harm.
    (0..words.len()).find_map(|start| {
        let empty_sender = start == 0 && rest.starts_with(b" ");
        if start == 0 && !empty_sender {
            return None;
        }
        Some(FromLine {
            date: date(words.get(start..)?)?,
            one_word: start == 1,
        })
    })
}

/// Whether `line` begins like a From_ line without any date: `From ` and one word, or none. Only a
/// file whose very first line is such a line is taken to be written in that style.
pub fn is_dateless(line: &[u8]) -> bool {
    line.len() <= MAX_LINE
        && line.strip_prefix(b"From ").is_some_and(|rest| {
            rest.split(u8::is_ascii_whitespace)
                .filter(|word| !word.is_empty())
                .count()
                <= 1
        })
}

/// Reads `Wday Mon dd hh:mm[:ss] …` or `[Wday,] dd Mon yyyy hh:mm[:ss] …`.
fn date(words: &[&[u8]]) -> Option<i64> {
    let first = words.first()?;
    let (named, words) = if is_weekday(first) {
        (true, words.get(1..)?)
    } else {
        (false, words)
    };
    if named && let Some(month) = month(words.first()?) {
        let day = number(words.get(1)?, 1, 31)?;
        let time = time(words.get(2)?)?;
        let (year, zone) = year_and_zone(words.get(3..)?)?;
        return seconds(year, month, day, time, zone);
    }
    let day = number(words.first()?, 1, 31)?;
    let month = month(words.get(1)?)?;
    let year = year(words.get(2)?)?;
    let time = time(words.get(3)?)?;
    let zone = zone_only(words.get(4..)?)?;
    seconds(year, month, day, time, zone)
}

fn is_weekday(word: &[u8]) -> bool {
    let name = word.strip_suffix(b",").unwrap_or(word);
    [b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun"]
        .iter()
        .any(|day| name.eq_ignore_ascii_case(*day))
}

fn month(word: &[u8]) -> Option<i8> {
    const MONTHS: [&[u8; 3]; 12] = [
        b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov",
        b"dec",
    ];
    let index = MONTHS
        .iter()
        .position(|month| word.eq_ignore_ascii_case(*month))?;
    i8::try_from(index + 1).ok()
}

fn number(word: &[u8], min: i16, max: i16) -> Option<i16> {
    if word.is_empty() || word.len() > 4 || !word.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = word
        .iter()
        .fold(0_i16, |sum, digit| sum * 10 + i16::from(digit - b'0'));
    (min..=max).contains(&value).then_some(value)
}

fn year(word: &[u8]) -> Option<i16> {
    if word.len() == 4 {
        number(word, 1900, 2200)
    } else {
        None
    }
}

/// Hours, minutes, seconds.
fn time(word: &[u8]) -> Option<(i8, i8, i8)> {
    let mut fields = word.split(|&b| b == b':');
    let mut field = |max| -> Option<Option<i8>> {
        let Some(text) = fields.next() else {
            return Some(None);
        };
        if text.len() > 2 {
            return None;
        }
        Some(Some(i8::try_from(number(text, 0, max)?).ok()?))
    };
    let hours = field(23)??;
    let minutes = field(59)??;
    // A leap second has no Unix time of its own.
    let seconds = field(60)?.unwrap_or(0).min(59);
    fields.next().is_none().then_some((hours, minutes, seconds))
}

/// What follows the time: a year, with zone words before or behind it.
fn year_and_zone(words: &[&[u8]]) -> Option<(i16, i32)> {
    let at = words.iter().take(3).position(|word| year(word).is_some())?;
    let (before, after) = (words.get(..at)?, words.get(at + 1..)?);
    if !before.iter().all(|word| is_zone(word)) {
        return None;
    }
    let zone = before
        .iter()
        .copied()
        .find_map(offset)
        .or(zone_only(after).filter(|&o| o != 0));
    zone_only(after)?;
    Some((year(words.get(at)?)?, zone.unwrap_or(0)))
}

/// What may follow a date: up to three zone words, `remote from host`. Gives the zone's seconds
/// east of Greenwich.
fn zone_only(words: &[&[u8]]) -> Option<i32> {
    let end = words
        .windows(2)
        .position(|pair| matches!(pair, [b"remote", b"from"]))
        .unwrap_or(words.len());
    let zones = words.get(..end)?;
    (zones.len() <= 3 && zones.iter().all(|word| is_zone(word)))
        .then(|| zones.iter().copied().find_map(offset).unwrap_or(0))
}

fn is_zone(word: &[u8]) -> bool {
    let word = word
        .strip_prefix(b"(")
        .and_then(|inner| inner.strip_suffix(b")"))
        .unwrap_or(word);
    offset(word).is_some()
        || ((1..=8).contains(&word.len()) && word.iter().all(u8::is_ascii_uppercase))
}

/// Seconds east of Greenwich of `+hhmm` or of a zone RFC 5322 §4.3 names.
fn offset(word: &[u8]) -> Option<i32> {
    let hours = |h: i32| Some(h * 3600);
    match word {
        b"UT" | b"UTC" | b"GMT" | b"Z" => hours(0),
        b"EDT" => hours(-4),
        b"EST" | b"CDT" => hours(-5),
        b"CST" | b"MDT" => hours(-6),
        b"MST" | b"PDT" => hours(-7),
        b"PST" => hours(-8),
        b"CET" | b"MET" => hours(1),
        b"CEST" | b"MEST" | b"EET" => hours(2),
        [sign @ (b'+' | b'-'), digits @ ..] if digits.len() == 4 => {
            let value = i32::from(number(digits, 0, 9999)?);
            let seconds = (value / 100) * 3600 + (value % 100) * 60;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn seconds(year: i16, month: i8, day: i16, time: (i8, i8, i8), zone: i32) -> Option<i64> {
    let (hour, minute, second) = time;
    let local = jiff::civil::DateTime::new(
        year,
        month,
        i8::try_from(day).ok()?,
        hour,
        minute,
        second,
        0,
    )
    .ok()?;
    let utc = jiff::tz::Offset::UTC.to_timestamp(local).ok()?.as_second();
    Some(utc - i64::from(zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_delivery_agents_write() {
        let at = |text: &str| crate::text::parse_rfc3339(text).unwrap();
        for (line, expected, one_word) in [
            (
                "From a@b.c  Wed Jul  1 13:17:17 1998\n",
                "1998-07-01T13:17:17Z",
                true,
            ),
            (
                "From a@b.c Thu Sep 13 12:30:05 2001 -0400\r\n",
                "2001-09-13T16:30:05Z",
                true,
            ),
            (
                "From a@b.c Sat Sep  1 20:58 EDT 2001",
                "2001-09-02T00:58:00Z",
                true,
            ),
            (
                "From a@b.c Tue Jul  7 20:33:03 1998 WETDST",
                "1998-07-07T20:33:03Z",
                true,
            ),
            (
                "From 1455@xxx Mon Jan 05 12:34:56 +0000 2015",
                "2015-01-05T12:34:56Z",
                true,
            ),
            (
                "From a@b.c Thu, 17 Oct 2013 02:13:03 +0200",
                "2013-10-17T00:13:03Z",
                true,
            ),
            (
                "From - Tue Mar 02 09:00:00 2004",
                "2004-03-02T09:00:00Z",
                true,
            ),
            (
                "From ???@??? Mon Jan 01 00:00:00 2001",
                "2001-01-01T00:00:00Z",
                true,
            ),
            (
                "From upi at papat.org  Wed Feb  1 19:06:04 2006",
                "2006-02-01T19:06:04Z",
                false,
            ),
            (
                "From uucp Fri May  1 10:11:12 1987 remote from mcvax",
                "1987-05-01T10:11:12Z",
                true,
            ),
            (
                "From  Fri May  1 10:11:12 1987",
                "1987-05-01T10:11:12Z",
                false,
            ),
            (
                "From \"Jan May\"@b.c Fri May  1 23:59:60 2020",
                "2020-05-01T23:59:59Z",
                false,
            ),
        ] {
            assert_eq!(
                parse(line.as_bytes()),
                Some(FromLine {
                    date: at(expected),
                    one_word
                }),
                "{line}"
            );
        }
    }

    #[test]
    fn prose_is_not_a_from_line() {
        for line in [
            "From here on, all is well",
            "From: a@b.c",
            "From May 5 to June 7 2001",
            "From a@b.c Thu Jul 16 03:13:49",
            "From a@b.c Thu Jul 16 1998",
            "From a@b.c Thu Foo 16 03:13:49 1998",
            "From a@b.c Thu Feb 30 03:13:49 1998",
            "From a@b.c Thu Jul 16 03:13:49 1998 and later",
            "From Thu Jul 16 03:13:49 1998",
            ">From a@b.c Thu Jul 16 03:13:49 1998",
        ] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn no_bytes_panic() {
        for len in 0..60 {
            let line = b"From a@b.c Thu Jul 16 03:13:49 EDT 1998 +9999 remote from x";
            let _ = parse(&line[..len.min(line.len())]);
        }
        let _ = parse(&[b"From ".as_slice(), &[0xff; 4000]].concat());
        let _ = parse("From a : ::: :99:99 99999 -9999".as_bytes());
    }
}
