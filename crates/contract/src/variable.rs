//! What there is to say about an environment variable, and what follows from its bounds: the check and the text.

use std::fmt::Write;
use std::net::IpAddr;

/// An environment variable of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// As if somebody had written it; empty for "not set". An empty value counts as none.
    pub default: &'static str,
    /// What may be written.
    pub bounds: Bounds,
    /// Of a number: `jobs`, `ms`, `s`, `bytes`; empty where the meaning says it.
    pub unit: &'static str,
    /// How it must compare with other variables. The policy itself checks the order of its thresholds, since a kind of policy
    /// knows which of them it uses.
    pub relations: &'static [Relation],
    /// What it does.
    pub meaning: &'static str,
    /// What it is called elsewhere.
    pub sets: Sets,
    /// Whether its value must not be shown.
    pub is_secret: bool,
}

/// What may be written into a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounds {
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Some of these words, separated by commas, or `none`.
    AnyOf(&'static [&'static str]),
    /// A whole number.
    Whole {
        /// The least one.
        least: u64,
        /// The largest one.
        most: u64,
    },
    /// A whole number, or a word for what no number says.
    WholeOr {
        /// The least number.
        least: u64,
        /// The largest number.
        most: u64,
        /// The word.
        word: &'static str,
    },
    /// A percentage above 0 and up to 100, with at most [`PERCENT_DECIMALS`] decimals: every millionth can be said exactly.
    Percent,
    /// A text of so many bytes, without control characters.
    Text {
        /// The least length in bytes.
        least: usize,
        /// The largest length in bytes.
        most: usize,
        /// A character that may not be in it.
        without: Option<char>,
    },
    /// `type=priority`, separated by commas.
    Priorities,
    /// An IP address.
    Address,
    /// A URL.
    Url {
        /// What it may begin with.
        schemes: &'static [&'static str],
        /// What follows the scheme, for people.
        rest: &'static str,
    },
    /// A folder, or `off`.
    FolderOrOff,
}

/// How a variable must compare with another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Greater than it.
    Above(&'static str),
    /// Greater than it, or both at the largest value that there is.
    AboveOrAtMost(&'static str),
    /// Less than it.
    Below(&'static str),
    /// It or greater.
    AtLeast(&'static str),
    /// It or less.
    AtMost(&'static str),
}

/// What a variable sets, under the name that the policy crate or a scenario of the simulator has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sets {
    /// A field of the policy.
    Policy(&'static str),
    /// A setting of a scenario: what a plan decides.
    Scenario(&'static str),
    /// Nothing that is simulated.
    Nothing,
}

/// Decimals of a percentage.
pub const PERCENT_DECIMALS: usize = 4;
/// Millionths of one per cent.
const PPM_PER_PERCENT: u32 = 10_000;

impl Variable {
    /// Whether that text may be its value, as far as the text alone tells.
    #[must_use]
    pub fn accepts(&self, text: &str) -> bool {
        self.bounds.accept(text)
    }

    /// What may be written, for people: from the bounds, the unit and the relations.
    #[must_use]
    pub fn allowed(&self) -> String {
        let mut text = self.bounds.text(self.unit);
        for relation in self.relations {
            let (words, other) = match relation {
                Relation::Above(other) | Relation::AboveOrAtMost(other) => ("above", other),
                Relation::Below(other) => ("below", other),
                Relation::AtLeast(other) => ("at least", other),
                Relation::AtMost(other) => ("at most", other),
            };
            let _ = write!(text, ", {words} {other}");
        }
        text
    }
}

impl Bounds {
    /// Whether they allow a text.
    #[must_use]
    pub fn accept(&self, text: &str) -> bool {
        match *self {
            Bounds::Flag => matches!(text, "true" | "false"),
            Bounds::Choice(words) => words.contains(&text),
            Bounds::AnyOf(words) => {
                text == "none" || text.split(',').all(|word| words.contains(&word.trim()))
            }
            Bounds::Whole { .. } => self.number(text).is_some(),
            Bounds::WholeOr { word, .. } => text == word || self.number(text).is_some(),
            Bounds::Percent => percent_to_ppm(text).is_some(),
            Bounds::Text { least, most, without } => {
                let is_bad = |c: char| c.is_control() || Some(c) == without;
                (least..=most).contains(&text.len()) && !text.contains(is_bad)
            }
            Bounds::Priorities => priorities(text).all(|pair| pair.is_ok()),
            Bounds::Address => text.parse::<IpAddr>().is_ok(),
            Bounds::Url { schemes, .. } => schemes.iter().any(|scheme| text.starts_with(scheme)),
            Bounds::FolderOrOff => !text.contains('\0'),
        }
    }

    /// The whole number that a text is, within the bounds.
    #[must_use]
    pub fn number(&self, text: &str) -> Option<u64> {
        let (Bounds::Whole { least, most } | Bounds::WholeOr { least, most, .. }) = *self else {
            return None;
        };
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| is_plain && (least..=most).contains(number))
    }

    fn text(&self, unit: &str) -> String {
        let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
        let range = |least: u64, most: u64| match most {
            u64::MAX => format!("{least}{unit} or more"),
            most => format!("{least} to {}{unit}", shown(most)),
        };
        match *self {
            Bounds::Flag => "true or false".to_owned(),
            Bounds::Choice(words) => alternatives(words),
            Bounds::AnyOf(words) => format!("any of {}, or none", words.join(", ")),
            Bounds::Whole { least, most } => range(least, most),
            Bounds::WholeOr { least, most, word } => format!("{}, or {word}", range(least, most)),
            Bounds::Percent => format!("above 0, up to 100, at most {PERCENT_DECIMALS} decimals"),
            Bounds::Text { least, most: usize::MAX, without: None } => format!("{least} or more characters"),
            Bounds::Text { least, most, without } => {
                let without = without.map_or(String::new(), |c| format!(", no '{c}'"));
                format!("{least} to {most} bytes{without}")
            }
            Bounds::Priorities => "type=priority with a priority of 1 to 10, separated by commas".to_owned(),
            Bounds::Address => "an IP address".to_owned(),
            Bounds::Url { schemes, rest } => format!("{}{rest}", alternatives(schemes)),
            Bounds::FolderOrOff => "a folder that can be written, or off".to_owned(),
        }
    }
}

/// `a, b or c`.
fn alternatives(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [head @ .., last] => format!("{} or {last}", head.join(", ")),
    }
}

/// Large round numbers as powers of ten, which people can read.
fn shown(number: u64) -> String {
    let digits = number.ilog10();
    if digits >= 12 && number == 10u64.pow(digits) { format!("10^{digits}") } else { number.to_string() }
}

/// The pairs of a list of priorities; where one is wrong, its text.
pub fn priorities(text: &str) -> impl Iterator<Item = Result<(&str, u8), &str>> {
    text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(|pair| {
        let parsed = pair.split_once('=').and_then(|(name, number)| {
            let name = Some(name.trim()).filter(|name| !name.is_empty())?;
            let number = number.trim().parse().ok().filter(|number| (1..=10).contains(number))?;
            Some((name, number))
        });
        parsed.ok_or(pair)
    })
}

/// The millionths that a percentage is: `80`, `33.3333`; `None` if it is none, or not above 0 and up to 100.
#[must_use]
pub fn percent_to_ppm(text: &str) -> Option<u32> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain(whole) || !is_plain(decimals) || decimals.len() > PERCENT_DECIMALS {
        return None;
    }
    let decimals: u32 = format!("{decimals:0<PERCENT_DECIMALS$}").parse().ok()?;
    let ppm = whole.parse::<u32>().ok()?.checked_mul(PPM_PER_PERCENT)?.checked_add(decimals)?;
    (1..=100 * PPM_PER_PERCENT).contains(&ppm).then_some(ppm)
}

/// The percentage that so many millionths are.
#[must_use]
pub fn ppm_to_percent(ppm: u32) -> String {
    let (whole, decimals) = (ppm / PPM_PER_PERCENT, ppm % PPM_PER_PERCENT);
    let text = format!("{whole}.{decimals:0PERCENT_DECIMALS$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_millionth_is_a_percentage_and_back() {
        for ppm in (1..=1_000_000).step_by(7).chain([10_000, 333_333, 800_000, 1_000_000]) {
            assert_eq!(percent_to_ppm(&ppm_to_percent(ppm)), Some(ppm));
        }
        assert_eq!(ppm_to_percent(800_000), "80");
        assert_eq!(ppm_to_percent(333_333), "33.3333");
        assert_eq!(ppm_to_percent(1), "0.0001");
    }

    #[test]
    fn what_is_no_percentage_is_refused() {
        for text in
            ["", "0", "0.0", "100.0001", "101", "-1", "+1", "1e1", "80%", ".5", "5.", "1.23456", "4294967297"]
        {
            assert_eq!(percent_to_ppm(text), None, "{text:?}");
        }
    }

    #[test]
    fn bounds_are_the_check_and_the_text() {
        #[track_caller]
        fn check(bounds: Bounds, text: &str, good: &[&str], bad: &[&str]) {
            assert_eq!(bounds.text("ms"), text);
            good.iter().for_each(|good| assert!(bounds.accept(good), "{good:?} for {text}"));
            bad.iter().for_each(|bad| assert!(!bounds.accept(bad), "{bad:?} for {text}"));
        }
        check(Bounds::Flag, "true or false", &["true"], &["yes", ""]);
        check(Bounds::Choice(&["a", "b", "c"]), "a, b or c", &["a", "c"], &["d", "a,b"]);
        check(Bounds::AnyOf(&["a", "b"]), "any of a, b, or none", &["a", "b, a", "none"], &["", "a,none"]);
        check(Bounds::Whole { least: 1, most: 9 }, "1 to 9 ms", &["1", "9"], &["0", "10", "+5", " 5", "1.0"]);
        check(Bounds::Whole { least: 3, most: u64::MAX }, "3 ms or more", &["3"], &["2"]);
        check(
            Bounds::Whole { least: 1, most: 1_000_000_000_000_000 },
            "1 to 10^15 ms",
            &["1000000000000000"],
            &["1000000000000001"],
        );
        let or = Bounds::WholeOr { least: 1, most: 9, word: "never" };
        check(or, "1 to 9 ms, or never", &["9", "never"], &["always", "0"]);
        let text = Bounds::Text { least: 1, most: 3, without: Some(':') };
        check(text, "1 to 3 bytes, no ':'", &["abc"], &["", "abcd", "a:b", "a\n"]);
        check(
            Bounds::Priorities,
            "type=priority with a priority of 1 to 10, separated by commas",
            &["", "a=1", "a = 1, b=10,"],
            &["a", "a=0", "a=11", "=1"],
        );
        check(Bounds::Address, "an IP address", &["::1", "0.0.0.0"], &["localhost"]);
        let url = Bounds::Url { schemes: &["a://", "b://"], rest: "host" };
        check(url, "a:// or b://host", &["b://x"], &["c://x"]);
    }
}
