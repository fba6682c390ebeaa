//! ASN.1 times as Unix seconds (X.680 §46, §47; RFC 5652 §11.3).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::ber::{Tlv, tag};
use super::der;

/// The time of a `UTCTime` or `GeneralizedTime`; fractions of a second are dropped. A zone (`Z` or
/// `±hhmm`) has to be there, because a local time is no time.
///
/// Two-digit years are 1950–2049 (RFC 5652 §11.3).
pub fn unix_seconds(tlv: &Tlv<'_>) -> Option<i64> {
    let text = std::str::from_utf8(tlv.body).ok()?;
    let zone_at = text.find(['Z', '+', '-'])?;
    let (local, zone) = text.split_at_checked(zone_at)?;
    let (year, rest) = match tlv.tag {
        tag::UTC_TIME => {
            let (digits, rest) = local.split_at_checked(2)?;
            let year = number(digits)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        tag::GENERALIZED_TIME => {
            let (digits, rest) = local.split_at_checked(4)?;
            (number(digits)?, rest)
        }
        _ => return None,
    };
    let (rest, fraction) = match rest.find(['.', ',']) {
        Some(at) if tlv.tag == tag::GENERALIZED_TIME => {
            let (rest, fraction) = rest.split_at_checked(at)?;
            (rest, Some(fraction.get(1..)?))
        }
        _ => (rest, None),
    };
    if fraction.is_some_and(|digits| {
        digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit())
    }) {
        return None;
    }
    // A fraction is one of seconds only: of minutes or hours nobody writes it.
    let has_right_length = match (tlv.tag, fraction) {
        (tag::UTC_TIME, _) => matches!(rest.len(), 8 | 10),
        (_, None) => matches!(rest.len(), 6 | 8 | 10),
        (_, Some(_)) => rest.len() == 10,
    };
    if !has_right_length {
        return None;
    }
    let field = |at: usize| {
        rest.get(at..at + 2)
            .map_or(Some(0), number)
            .and_then(|value| i8::try_from(value).ok())
    };
    let time = DateTime::new(
        year,
        field(0)?,
        field(2)?,
        field(4)?,
        field(6)?,
        field(8)?,
        0,
    )
    .ok()?;
    let local = TimeZone::UTC.to_timestamp(time).ok()?.as_second();
    Some(local - offset(zone)?)
}

/// A time in UTC as a whole element: `UTCTime` from 1950 to 2049, `GeneralizedTime` else (RFC 5652
/// §11.3). `None` outside of the years 0 to 9999.
pub fn encoded(seconds: i64) -> Option<Vec<u8>> {
    let time = TimeZone::UTC.to_datetime(Timestamp::from_second(seconds).ok()?);
    let year = time.year();
    let short = format!(
        "{:02}{:02}{:02}{:02}{:02}Z",
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    );
    match year {
        1950..=2049 => {
            let text = format!("{:02}{short}", year % 100);
            Some(der::element(tag::UTC_TIME, &[text.as_bytes()]))
        }
        0..=9999 => {
            let text = format!("{year:04}{short}");
            Some(der::element(tag::GENERALIZED_TIME, &[text.as_bytes()]))
        }
        _ => None,
    }
}

/// Seconds east of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, digits) = zone.split_at_checked(1)?;
    let hours = i64::from(number(digits.get(..2)?)?);
    let minutes = i64::from(
        digits
            .get(2..)
            .filter(|rest| !rest.is_empty())
            .map_or(Some(0), number)?,
    );
    if !matches!(digits.len(), 2 | 4) || hours > 15 || minutes > 59 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    Some(if sign == "-" { -seconds } else { seconds })
}

/// ASCII digits only: `parse` alone would take a sign.
fn number(digits: &str) -> Option<i16> {
    digits
        .bytes()
        .all(|digit| digit.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Option<i64> {
        unix_seconds(&Tlv {
            tag: tag::UTC_TIME,
            raw: &[],
            body: text.as_bytes(),
            indefinite: false,
        })
    }

    fn generalized(text: &str) -> Option<i64> {
        unix_seconds(&Tlv {
            tag: tag::GENERALIZED_TIME,
            raw: &[],
            body: text.as_bytes(),
            indefinite: false,
        })
    }

    #[test]
    fn two_digit_years_turn_at_1950() {
        assert_eq!(utc("491231235959Z"), Some(2_524_607_999));
        assert_eq!(utc("500101000000Z"), Some(-631_152_000));
        assert_eq!(utc("7001010000Z"), Some(0));
    }

    #[test]
    fn offsets_and_fractions_are_understood() {
        assert_eq!(utc("700101013000+0130"), Some(0));
        assert_eq!(utc("691231233000-0030"), Some(0));
        assert_eq!(generalized("20240501120000.123Z"), Some(1_714_564_800));
        assert_eq!(generalized("20240501140000+02"), Some(1_714_564_800));
        assert_eq!(generalized("2024050112Z"), Some(1_714_564_800));
    }

    #[test]
    fn what_is_written_is_read() {
        for (seconds, form) in [
            (-631_152_000, tag::UTC_TIME),
            (-631_152_001, tag::GENERALIZED_TIME),
            (0, tag::UTC_TIME),
            (1_795_392_000, tag::UTC_TIME),
            (2_524_607_999, tag::UTC_TIME),
            (2_524_608_000, tag::GENERALIZED_TIME),
        ] {
            let written = encoded(seconds).unwrap();
            let tlv = Tlv::only(&written).unwrap();
            assert_eq!((tlv.tag, unix_seconds(&tlv)), (form, Some(seconds)));
        }
        assert_eq!(encoded(i64::MAX), None);
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "Z",
            "700101000000",
            "701301000000Z",
            "700230000000Z",
            "7+0101000000Z",
            "70010100000é",
            "700101000000Z1",
        ] {
            assert_eq!(utc(text), None, "{text}");
        }
        for text in [
            "20240501120000.Z",
            "202405011200.5Z",
            "20240501120000+2500",
            "99999999999999Z",
            "20240501120000",
        ] {
            assert_eq!(generalized(text), None, "{text}");
        }
    }
}
