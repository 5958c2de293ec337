//! Quantities as people write them: durations, rates, sizes, counts and fractions, both ways.
//!
//! Parsing is strict, because a wrong unit is the likeliest mistake in a capacity plan: a bare number is not a
//! duration, a duration is not a rate, and bounds keep later sums from overflowing. Formatting is for reports: three
//! significant digits and the unit that fits.

use std::fmt;

/// The kinds of quantities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// A whole number of things.
    Count,
    /// Between 0 and 1.
    Fraction,
    /// A span of time.
    Duration,
    /// Jobs per time.
    Rate,
    /// Bytes.
    Size,
}

impl Quantity {
    /// With its article, for sentences.
    pub const fn noun(self) -> &'static str {
        match self {
            Quantity::Count => "a count",
            Quantity::Fraction => "a fraction",
            Quantity::Duration => "a duration",
            Quantity::Rate => "a rate",
            Quantity::Size => "a size",
        }
    }

    /// A phrase that says how it is written, with examples and units.
    pub const fn example(self) -> &'static str {
        match self {
            Quantity::Count => "a whole number such as 50000, \"50k\" or \"1.5M\"",
            Quantity::Fraction => "a number from 0 to 1 such as 0.8, or \"80%\"",
            Quantity::Duration => {
                "a duration such as \"7.5ms\" or \"1m30s\"; units: ns, us, ms, s, min (m), h, d"
            }
            Quantity::Rate => {
                "a rate such as \"20k/s\", \"133.5/s\" or \"12/min\"; units: /ms, /s, /min, /h, /d"
            }
            Quantity::Size => {
                "a size such as \"512B\" or \"2GiB\"; units: B, kB, KiB, MB, MiB, GB, GiB, TB, TiB"
            }
        }
    }

    /// The largest value allowed, in words.
    const fn bound(self) -> &'static str {
        match self {
            Quantity::Count => "1e15",
            Quantity::Fraction => "1 (100%)",
            Quantity::Duration => "100 years",
            Quantity::Rate => "1e9 per second",
            Quantity::Size => "1 PiB",
        }
    }

    /// The largest value allowed: seconds, jobs per second, bytes.
    pub const fn most(self) -> f64 {
        match self {
            Quantity::Count => 1e15,
            Quantity::Fraction => 1.0,
            Quantity::Duration => 100.0 * 365.25 * 86_400.0,
            Quantity::Rate => 1e9,
            Quantity::Size => 1_125_899_906_842_624.0,
        }
    }

    /// A regular expression for the texts that [`Quantity::parse`] reads, in the dialect of JSON Schema. It lets
    /// some pass that are refused, for their bounds or the order of their parts, but stops none that is read
    /// other than odd spellings of zero.
    pub fn pattern(self) -> String {
        const NUMBER: &str = r"(\+?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*)([eE][+-]?[0-9_]+)?|-0+(\.0*)?)";
        const ZERO: &str = r"[+-]?0+(\.0*)?";
        let one_of = |units: &[Unit]| {
            let names: Vec<_> = units.iter().map(|unit| unit.name).filter(|name| !name.is_empty()).collect();
            format!("({})", names.join("|"))
        };
        let (counts, spans) = (one_of(COUNTS), one_of(SPANS));
        let text = match self {
            Quantity::Count => format!(r"{NUMBER}\s*{counts}?"),
            Quantity::Fraction => format!(r"{NUMBER}\s*{}?", one_of(FRACTIONS)),
            Quantity::Duration => {
                format!(r"({ZERO}|{NUMBER}\s*{spans}(\s*{NUMBER}\s*{spans})*)")
            }
            Quantity::Rate => format!(r"{NUMBER}\s*{counts}?\s*/\s*{spans}"),
            Quantity::Size => format!(r"({ZERO}|{NUMBER}\s*{})", one_of(SIZES)),
        };
        format!(r"^\s*{text}\s*$")
    }

    /// Reads `text`: seconds, jobs per second, bytes, or the plain number.
    pub fn parse(self, text: &str) -> Result<f64, UnitError> {
        let fail = |fault| UnitError { quantity: self, text: text.trim().to_string(), fault };
        let parsed = match self {
            Quantity::Count => parse_scaled(text, COUNTS),
            Quantity::Fraction => parse_scaled(text, FRACTIONS),
            Quantity::Duration => parse_span(text),
            Quantity::Rate => parse_per_time(text),
            Quantity::Size => parse_scaled(text, SIZES).and_then(|(value, unit)| match unit {
                "" if value != 0.0 => Err(QuantityError::MissingUnit),
                _ => Ok((value, unit)),
            }),
        };
        match parsed {
            Ok((value, _)) => self.check(value).map_err(fail),
            Err(fault) => Err(fail(self.name_the_other(text).map_or(fault, QuantityError::IsA))),
        }
    }

    /// Checks a number, `written` in this way, against the bounds of this quantity.
    pub fn check_number(self, value: f64, written: &str) -> Result<f64, UnitError> {
        self.check(value).map_err(|fault| UnitError { quantity: self, text: written.to_string(), fault })
    }

    fn check(self, value: f64) -> Result<f64, QuantityError> {
        if !value.is_finite() {
            Err(QuantityError::NotFinite)
        } else if value < 0.0 {
            Err(QuantityError::Negative)
        } else if value > self.most() {
            Err(QuantityError::TooLarge)
        } else if self == Quantity::Count && value.fract() != 0.0 {
            Err(QuantityError::NotWhole)
        } else {
            Ok(value)
        }
    }

    /// What `text` is, if it is well written but something else.
    fn name_the_other(self, text: &str) -> Option<Quantity> {
        let others =
            [Quantity::Duration, Quantity::Rate, Quantity::Size, Quantity::Fraction, Quantity::Count];
        others.into_iter().find(|&other| {
            other != self
                && text.ends_with(|c: char| !c.is_ascii_digit())
                && match other {
                    Quantity::Count => parse_scaled(text, COUNTS).is_ok(),
                    Quantity::Fraction => parse_scaled(text, FRACTIONS).is_ok(),
                    Quantity::Duration => parse_span(text).is_ok(),
                    Quantity::Rate => parse_per_time(text).is_ok(),
                    Quantity::Size => parse_scaled(text, SIZES).is_ok(),
                }
        })
    }
}

/// A duration such as `7.5ms` or `1m30s`, in seconds.
pub fn parse_duration(text: &str) -> Result<f64, UnitError> {
    Quantity::Duration.parse(text)
}

/// A rate such as `20k/s` or `12/min`, per second.
pub fn parse_rate(text: &str) -> Result<f64, UnitError> {
    Quantity::Rate.parse(text)
}

/// A size such as `512B` or `2GiB`, in bytes.
pub fn parse_size(text: &str) -> Result<f64, UnitError> {
    Quantity::Size.parse(text)
}

/// A count such as `50000`, `50_000` or `50k`.
pub fn parse_count(text: &str) -> Result<u64, UnitError> {
    Quantity::Count.parse(text).map(|count| count as u64)
}

/// A number of zero or more that need not be whole, such as `12.5` or `1.5k`.
pub fn parse_number(text: &str) -> Result<f64, UnitError> {
    let fail = |fault| UnitError { quantity: Quantity::Count, text: text.trim().to_string(), fault };
    let (value, _) = parse_scaled(text, COUNTS)
        .map_err(|fault| fail(Quantity::Count.name_the_other(text).map_or(fault, QuantityError::IsA)))?;
    match Quantity::Count.check(value) {
        Err(fault) if fault != QuantityError::NotWhole => Err(fail(fault)),
        _ => Ok(value),
    }
}

/// A fraction such as `0.8` or `80%`.
pub fn parse_fraction(text: &str) -> Result<f64, UnitError> {
    Quantity::Fraction.parse(text)
}

/// Why a text is not the quantity it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitError {
    quantity: Quantity,
    text: String,
    fault: QuantityError,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum QuantityError {
    Unreadable,
    MissingUnit,
    UnknownUnit(String),
    Order,
    IsA(Quantity),
    NotFinite,
    Negative,
    TooLarge,
    NotWhole,
}

impl UnitError {
    /// What would have been right.
    pub fn help(&self) -> String {
        match self.fault {
            QuantityError::TooLarge => format!("at most {}", self.quantity.bound()),
            QuantityError::Negative => "zero or more".to_string(),
            _ => self.quantity.example().to_string(),
        }
    }

    /// Whether the number was fine and only its unit wrong or missing.
    pub fn is_about_the_unit(&self) -> bool {
        matches!(
            self.fault,
            QuantityError::MissingUnit | QuantityError::UnknownUnit(_) | QuantityError::IsA(_)
        )
    }

    /// Whether the value is well written but out of bounds.
    pub fn is_about_the_range(&self) -> bool {
        matches!(
            self.fault,
            QuantityError::NotFinite
                | QuantityError::Negative
                | QuantityError::TooLarge
                | QuantityError::NotWhole
        )
    }
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { quantity, text, fault } = self;
        let noun = quantity.noun();
        match fault {
            QuantityError::Unreadable if text.is_empty() => write!(f, "an empty text is not {noun}"),
            QuantityError::Unreadable => write!(f, "`{text}` is not {noun}"),
            QuantityError::MissingUnit => write!(f, "`{text}` has no unit, but {noun} needs one"),
            QuantityError::UnknownUnit(unit) => write!(f, "`{unit}` in `{text}` is not a unit of {noun}"),
            QuantityError::Order => {
                write!(f, "the parts of `{text}` must go from the largest unit to the smallest")
            }
            QuantityError::IsA(other) => write!(f, "`{text}` is {}, not {noun}", other.noun()),
            QuantityError::NotFinite => write!(f, "`{text}` is not a finite number"),
            QuantityError::Negative => write!(f, "`{text}` is negative"),
            QuantityError::TooLarge => {
                write!(f, "`{text}` is above the largest allowed, {}", quantity.bound())
            }
            QuantityError::NotWhole => write!(f, "`{text}` is not a whole number"),
        }
    }
}

impl std::error::Error for UnitError {}

/// A unit is worth `times / over` of the base unit; a division keeps `7.5ms` the nearest float to 0.0075.
struct Unit {
    name: &'static str,
    times: f64,
    over: f64,
}

const fn unit(name: &'static str, times: f64, over: f64) -> Unit {
    Unit { name, times, over }
}

const COUNTS: &[Unit] = &[unit("", 1.0, 1.0), unit("k", 1e3, 1.0), unit("M", 1e6, 1.0), unit("G", 1e9, 1.0)];

const FRACTIONS: &[Unit] = &[unit("", 1.0, 1.0), unit("%", 1.0, 100.0)];

const SPANS: &[Unit] = &[
    unit("ns", 1.0, 1e9),
    unit("us", 1.0, 1e6),
    unit("µs", 1.0, 1e6),
    unit("μs", 1.0, 1e6),
    unit("ms", 1.0, 1e3),
    unit("s", 1.0, 1.0),
    unit("min", 60.0, 1.0),
    unit("m", 60.0, 1.0),
    unit("h", 3_600.0, 1.0),
    unit("d", 86_400.0, 1.0),
];

const SIZES: &[Unit] = &[
    unit("", 1.0, 1.0),
    unit("B", 1.0, 1.0),
    unit("kB", 1e3, 1.0),
    unit("KB", 1e3, 1.0),
    unit("MB", 1e6, 1.0),
    unit("GB", 1e9, 1.0),
    unit("TB", 1e12, 1.0),
    unit("KiB", 1_024.0, 1.0),
    unit("MiB", 1_048_576.0, 1.0),
    unit("GiB", 1_073_741_824.0, 1.0),
    unit("TiB", 1_099_511_627_776.0, 1.0),
];

/// One number with one unit of the table.
fn parse_scaled<'t>(text: &'t str, units: &[Unit]) -> Result<(f64, &'t str), QuantityError> {
    let (number, rest) = split_number(text.trim()).ok_or(QuantityError::Unreadable)?;
    let rest = rest.trim_start();
    let unit = units.iter().find(|unit| unit.name == rest).ok_or_else(|| unknown_unit(rest))?;
    Ok((number * unit.times / unit.over, rest))
}

/// One or more numbers with units of time, the largest unit first.
fn parse_span(text: &str) -> Result<(f64, &str), QuantityError> {
    let text = text.trim();
    let (mut number, mut rest) = split_number(text).ok_or(QuantityError::Unreadable)?;
    if rest.is_empty() {
        return if number == 0.0 || !number.is_finite() {
            Ok((number, ""))
        } else {
            Err(QuantityError::MissingUnit)
        };
    }
    let (mut seconds, mut last_worth) = (0.0, f64::INFINITY);
    loop {
        rest = rest.trim_start();
        let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        let name = &rest[..end];
        let unit = SPANS.iter().find(|unit| unit.name == name).ok_or_else(|| match name {
            "" if rest.is_empty() => QuantityError::MissingUnit,
            "" => QuantityError::Unreadable,
            _ => unknown_unit(rest),
        })?;
        let worth = unit.times / unit.over;
        if worth >= last_worth {
            return Err(QuantityError::Order);
        }
        last_worth = worth;
        // A sign stands before the whole, so a negative first part makes all parts negative.
        seconds += number * unit.times / unit.over;
        rest = rest[end..].trim_start();
        if rest.is_empty() {
            return Ok((seconds, ""));
        }
        (number, rest) = match split_number(rest) {
            Some((next, after)) if rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
                (if text.starts_with('-') { -next } else { next }, after)
            }
            _ => return Err(QuantityError::Unreadable),
        };
    }
}

/// A count per unit of time.
fn parse_per_time(text: &str) -> Result<(f64, &str), QuantityError> {
    let text = text.trim();
    let Some((count, per)) = text.split_once('/') else {
        let (number, _) = parse_scaled(text, COUNTS)?;
        return if number.is_finite() { Err(QuantityError::MissingUnit) } else { Ok((number, "")) };
    };
    let (number, _) = parse_scaled(count, COUNTS)?;
    let per = per.trim();
    let unit = SPANS.iter().find(|unit| unit.name == per).ok_or_else(|| unknown_unit(&format!("/{per}")))?;
    Ok((number * unit.over / unit.times, per))
}

fn unknown_unit(text: &str) -> QuantityError {
    let short = text.chars().count() <= 20 && text.chars().all(|c| !c.is_control());
    if short && !text.starts_with(|c: char| c.is_ascii_digit() || ".,_+-".contains(c)) {
        QuantityError::UnknownUnit(text.to_string())
    } else {
        QuantityError::Unreadable
    }
}

/// Splits a leading number with optional sign, `_` between digits, fraction and exponent from the rest.
fn split_number(text: &str) -> Option<(f64, &str)> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    for (word, value) in [("nan", f64::NAN), ("infinity", f64::INFINITY), ("inf", f64::INFINITY)] {
        if unsigned.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)) {
            return Some((sign * value, &unsigned[word.len()..]));
        }
    }
    let bytes = unsigned.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let digits_from = |mut at: usize| {
        while is_digit(at) || (bytes.get(at) == Some(&b'_') && at > 0 && is_digit(at - 1) && is_digit(at + 1))
        {
            at += 1;
        }
        at
    };
    let mut end = digits_from(0);
    if bytes.get(end) == Some(&b'.') {
        end = digits_from(end + 1);
    }
    if !bytes[..end].iter().any(u8::is_ascii_digit) {
        return None;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if is_digit(end + 1 + signed) {
            end = digits_from(end + 1 + signed);
        }
    }
    let number: f64 = unsigned[..end].replace('_', "").parse().ok()?;
    Some((sign * number, &unsigned[end..]))
}

/// A duration for people: `7.5 ms`, `12.3 s`, `1m 32s`, `2h 5m`, `3d 4h`.
pub fn fmt_duration(seconds: f64) -> String {
    if let Some(text) = not_ordinary(seconds, fmt_duration) {
        return text;
    }
    if seconds == 0.0 {
        return "0 s".to_string();
    }
    for (limit, times, name) in [(1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (60.0, 1.0, "s")] {
        let value = round_to_three_digits(seconds * times);
        if value < limit * times {
            return format!("{value} {name}");
        }
    }
    let total = seconds.round();
    let two = |large: f64, large_name: &str, small: f64, small_name: &str| {
        // Rounded to the smaller unit first, so that 60 of it never show.
        let smalls = (total / small).round();
        let per = large / small;
        let (high, low) = ((smalls / per).floor(), smalls % per);
        if low == 0.0 {
            format!("{high}{large_name}")
        } else {
            format!("{high}{large_name} {low}{small_name}")
        }
    };
    if total < 3_600.0 {
        two(60.0, "m", 1.0, "s")
    } else if total < 86_370.0 {
        two(3_600.0, "h", 60.0, "m")
    } else {
        two(86_400.0, "d", 3_600.0, "h")
    }
}

/// A rate for people: `20k/s`, `133/s`, `12/min`.
pub fn fmt_rate(per_second: f64) -> String {
    if let Some(text) = not_ordinary(per_second, fmt_rate) {
        return text;
    }
    let (value, per) = match per_second {
        0.0 => (0.0, "s"),
        low if low < 1.0 / 60.0 => (low * 3_600.0, "h"),
        low if low < 1.0 => (low * 60.0, "min"),
        high => (high, "s"),
    };
    let rounded = round_to_three_digits(value);
    if rounded >= 1e6 {
        format!("{}M/{per}", round_to_three_digits(rounded / 1e6))
    } else if rounded >= 1e3 {
        format!("{}k/{per}", round_to_three_digits(rounded / 1e3))
    } else {
        format!("{rounded}/{per}")
    }
}

/// What is not a finite number of zero or more.
fn not_ordinary(value: f64, positive: fn(f64) -> String) -> Option<String> {
    if value.is_nan() {
        Some("n/a".to_string())
    } else if value < 0.0 {
        Some(format!("-{}", positive(-value)))
    } else if value.is_infinite() {
        Some("∞".to_string())
    } else {
        None
    }
}

fn round_to_three_digits(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let decimals = (2 - value.abs().log10().floor() as i32).clamp(0, 12);
    // Through text, because the nearest float to the decimal is what prints short.
    format!("{value:.0$}", decimals as usize).parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(quantity: Quantity, text: &str, expected: f64) {
        assert_eq!(quantity.parse(text).map_err(|error| error.to_string()), Ok(expected), "{text}");
    }

    #[track_caller]
    fn refuse(quantity: Quantity, text: &str, expected: &str) {
        let error = quantity.parse(text).map(|value| panic!("{text} gave {value}")).unwrap_err();
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }

    #[test]
    fn durations_are_the_nearest_float() {
        use Quantity::Duration;
        check(Duration, "7.5ms", 0.0075);
        check(Duration, "1m30s", 90.0);
        check(Duration, "1h 2min 3s", 3723.0);
        check(Duration, "0", 0.0);
        check(Duration, "0s", 0.0);
        check(Duration, "250us", 0.00025);
        check(Duration, "250µs", 0.00025);
        check(Duration, "1ns", 1e-9);
        check(Duration, "1.5e3ms", 1.5);
        check(Duration, "2d", 172_800.0);
        check(Duration, " 5 s ", 5.0);
        check(Duration, "1_000s", 1000.0);
    }

    #[test]
    fn wrong_durations_say_why() {
        use Quantity::Duration;
        refuse(Duration, "5", "has no unit");
        refuse(Duration, "5x", "`x` in `5x` is not a unit");
        refuse(Duration, "5/s", "is a rate, not a duration");
        refuse(Duration, "5KiB", "is a size, not a duration");
        refuse(Duration, "80%", "is a fraction, not a duration");
        refuse(Duration, "30s1m", "from the largest unit");
        refuse(Duration, "1m1m", "from the largest unit");
        refuse(Duration, "-5s", "is negative");
        refuse(Duration, "nan", "not a finite number");
        refuse(Duration, "infs", "not a finite number");
        refuse(Duration, "101000d", "100 years");
        refuse(Duration, "1e400s", "not a finite number");
        refuse(Duration, "", "empty");
        refuse(Duration, "7,5ms", "not a duration");
        refuse(Duration, "1s-1ms", "not a duration");
        refuse(Duration, "ms", "not a duration");
    }

    #[test]
    fn rates_sizes_counts_and_fractions() {
        check(Quantity::Rate, "20k/s", 20_000.0);
        check(Quantity::Rate, "12/min", 0.2);
        check(Quantity::Rate, "1.5M/h", 1.5e6 / 3600.0);
        check(Quantity::Rate, "133.33333333333334/s", 133.333_333_333_333_34);
        check(Quantity::Rate, "0/s", 0.0);
        refuse(Quantity::Rate, "20k", "is a count, not a rate");
        refuse(Quantity::Rate, "20", "has no unit");
        refuse(Quantity::Rate, "5ms", "is a duration, not a rate");
        refuse(Quantity::Rate, "2G/s", "1e9 per second");
        refuse(Quantity::Rate, "5/parsec", "`/parsec`");
        check(Quantity::Size, "512B", 512.0);
        check(Quantity::Size, "2GiB", 2_147_483_648.0);
        check(Quantity::Size, "1.5GB", 1.5e9);
        check(Quantity::Size, "10MB", 1e7);
        refuse(Quantity::Size, "512", "has no unit");
        refuse(Quantity::Size, "2000TiB", "1 PiB");
        refuse(Quantity::Size, "5s", "is a duration, not a size");
        check(Quantity::Count, "50k", 50_000.0);
        check(Quantity::Count, "1.5M", 1.5e6);
        check(Quantity::Count, "50_000", 50_000.0);
        refuse(Quantity::Count, "5s", "is a duration, not a count");
        refuse(Quantity::Count, "1.5", "not a whole number");
        refuse(Quantity::Count, "1e16", "1e15");
        check(Quantity::Fraction, "80%", 0.8);
        check(Quantity::Fraction, "0.8", 0.8);
        refuse(Quantity::Fraction, "80", "above the largest allowed");
    }

    #[test]
    fn parsing_never_panics() {
        let pieces =
            ["", "1", "-", ".", "e", "_", "k", "/", "s", "µ", "%", "KiB", " ", "nan", "inf", "9e999", "m"];
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    let text = format!("{a}{b}{c}");
                    for quantity in [
                        Quantity::Count,
                        Quantity::Fraction,
                        Quantity::Duration,
                        Quantity::Rate,
                        Quantity::Size,
                    ] {
                        if let Ok(value) = quantity.parse(&text) {
                            assert!(value >= 0.0 && value <= quantity.most(), "{text}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn durations_for_people() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (3e-9, "3 ns"),
            (0.000_25, "250 µs"),
            (0.0075, "7.5 ms"),
            (0.999_9, "1 s"),
            (12.34, "12.3 s"),
            (59.97, "1m"),
            (92.0, "1m 32s"),
            (3_599.7, "1h"),
            (7_500.0, "2h 5m"),
            (86_399.0, "1d"),
            (273_600.0, "3d 4h"),
            (-1.5, "-1.5 s"),
            (f64::NAN, "n/a"),
        ] {
            assert_eq!(fmt_duration(seconds), text);
        }
    }

    #[test]
    fn rates_for_people() {
        assert_eq!(fmt_rate(20_000.0), "20k/s");
        assert_eq!(fmt_rate(133.33), "133/s");
        assert_eq!(fmt_rate(999.9), "1k/s");
        assert_eq!(fmt_rate(0.2), "12/min");
        assert_eq!(fmt_rate(1.5e6), "1.5M/s");
    }
}
