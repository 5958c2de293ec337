//! Times as others write them: dates with and without a zone, and numbers since 1970 whose size tells their unit.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

pub(super) const SECOND: i64 = 1_000_000_000;
/// A recording that begins later is not of a run: the times are since 1970. It is 1973 there.
pub(super) const LEAST_DATE: i64 = 100_000_000 * SECOND;
/// No recording goes on until the year 2100. With earlier times, the sums of a time and a step are far from what an `i64` holds.
pub(super) const LATEST: i64 = 4_102_444_800 * SECOND;

/// The time or length, if it is one of a recording. Messages say what is allowed: before the year 2100.
pub(super) fn recorded(nanos: i64) -> Option<i64> {
    (nanos < LATEST).then_some(nanos)
}

/// A date in nanoseconds since 1970: ISO 8601 with or without a zone (which is then UTC), or as access logs have it.
pub fn date(text: &str) -> Option<u64> {
    // Numbers are the usual case, and no dates.
    let is_date = text.len() >= 8 && text.chars().skip(1).any(|c| matches!(c, '-' | ':' | '/'));
    if !is_date || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let utc = |date: DateTime| date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let time = text
        .parse::<Timestamp>()
        .ok()
        .or_else(|| text.parse::<DateTime>().ok().and_then(utc))
        .or_else(|| Timestamp::strptime("%d/%b/%Y:%H:%M:%S %z", text).ok())?;
    u64::try_from(time.as_nanosecond()).ok()
}

/// A date, or a number since 1970 of seconds, milliseconds, microseconds or nanoseconds by its size.
pub fn moment(text: &str) -> Option<i64> {
    match date(text) {
        Some(nanos) => i64::try_from(nanos).ok(),
        None => number(text),
    }
}

/// A number since 1970. So many seconds last until the year 5138, and so many milliseconds were over in 1973.
pub(super) fn number(text: &str) -> Option<i64> {
    let size: f64 = text.parse().ok()?;
    let digits = match size {
        size if size >= 1e17 => 0,
        size if size >= 1e14 => 3,
        size if size >= 1e11 => 6,
        _ => 9,
    };
    decimal(text, digits)
}

/// A decimal number, not negative, times ten to that power: exact, and rounded down below one.
pub(super) fn decimal(text: &str, power: u32) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        let value = text.parse::<f64>().ok()? * 10_f64.powi(power as i32);
        return (value.is_finite() && (0.0..9e18).contains(&value)).then_some(value as i64);
    }
    let unit = 10_i64.pow(power);
    let mut nanos = whole.parse::<i64>().ok()?.checked_mul(unit)?;
    let mut place = unit;
    for digit in fraction.bytes() {
        place /= 10;
        nanos = nanos.checked_add(i64::from(digit - b'0') * place)?;
    }
    Some(nanos)
}

/// Whether it is a date, and no time on a clock of its own.
pub(super) fn is_date(nanos: i64) -> bool {
    nanos >= LEAST_DATE
}

/// A time in messages: a date, if it is one.
pub fn shown(nanos: i64) -> String {
    match Timestamp::from_nanosecond(nanos.into()) {
        Ok(time) if is_date(nanos) => time.to_string(),
        _ => span(nanos),
    }
}

/// A length of time as scenarios read it, exactly.
pub(super) fn span(nanos: i64) -> String {
    const UNITS: [(i64, &str); 4] =
        [(SECOND, "s"), (SECOND / 1_000, "ms"), (SECOND / 1_000_000, "us"), (1, "ns")];
    let (unit, name) = UNITS.into_iter().find(|(unit, _)| nanos % unit == 0).unwrap_or((1, "ns"));
    format!("{}{name}", nanos / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_others_write_them() {
        let expected = Some(1_700_158_623_000_000_000);
        for text in [
            "2023-11-16T18:17:03Z",
            "2023-11-16 18:17:03",
            "2023-11-16T18:17:03.000",
            "2023-11-16T20:17:03+02:00",
            "16/Nov/2023:13:17:03 -0500",
        ] {
            assert_eq!(date(text), expected, "{text}");
        }
        for text in ["", "1700158623", "-5", "1e3", "12:30", "2023-13-16T18:17:03Z", "1969-01-01T00:00:00Z"] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_exact() {
        assert_eq!(moment("1712738879.406"), Some(1_712_738_879_406_000_000));
        assert_eq!(moment("1700000000123"), Some(1_700_000_000_123_000_000));
        assert_eq!(moment("1.7e9"), Some(1_700_000_000_000_000_000));
        assert_eq!(decimal("0.0625", 9), Some(62_500_000));
        for text in ["", "-1", "NaN", "inf", "x", "1e40"] {
            assert_eq!(moment(text), None, "{text}");
        }
        assert_eq!((span(15 * SECOND), span(1_500_000_000)), ("15s".into(), "1500ms".into()));
    }
}
