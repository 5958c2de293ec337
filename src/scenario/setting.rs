//! The record of a setting: its path, kind, meaning, default, and its value in this scenario.
//!
//! `simulate config` and the schema are generated from these records.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::engine::time::SimDuration;
use crate::units::{Quantity, fmt_duration};

/// The largest number of jobs that anything counts.
pub(super) const MOST_COUNT: u64 = 1_000_000_000_000_000;

/// One setting, and its value in this scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Where it is, as `--set` names it: `policy.critical`, `class.critical-alarm.share`.
    pub path: String,
    /// The same for every element of a list: `class[].share`.
    pub pattern: String,
    /// What values it takes.
    pub kind: Kind,
    /// Its default, as TOML.
    pub default: Option<String>,
    /// What its default follows from, in words, where it is not a fixed value.
    pub follows: Option<&'static str>,
    /// Whether it must be given.
    pub required: bool,
    /// What it means, in one line.
    pub doc: &'static str,
    /// Where its value comes from.
    pub origin: Origin,
    /// Its value as TOML; `None` if it is absent, or a table whose settings are recorded one by one.
    pub value: Option<String>,
}

/// Where the value of a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Not given.
    Default,
    /// A line of the file.
    File {
        /// From 1 on.
        line: usize,
    },
    /// A `--set` option.
    Override {
        /// Its text.
        option: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => write!(f, "default"),
            Origin::File { line } => write!(f, "line {line}"),
            Origin::Override { option } => write!(f, "--set {option}"),
        }
    }
}

/// What values a setting takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A string.
    Text,
    /// A list of strings.
    Texts,
    /// A whole number within bounds.
    Whole {
        /// Smallest.
        least: u64,
        /// Largest.
        most: u64,
    },
    /// Any number within bounds.
    Number {
        /// Smallest.
        least: f64,
        /// Largest.
        most: f64,
    },
    /// With a unit.
    Quantity(Quantity),
    /// One of some names.
    Choice(Vec<&'static str>),
    /// One of some names, or a quantity.
    ChoiceOr(Vec<&'static str>, Quantity),
    /// A single value of that quantity, or a table that describes a distribution of it.
    Distribution(Quantity),
    /// Settings below it.
    Table,
    /// A list of tables with the same settings.
    Tables,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Boolean => f.write_str("true or false"),
            Kind::Text => f.write_str("a string"),
            Kind::Texts => f.write_str("a list of strings"),
            Kind::Whole { least, most } if *most as f64 >= Quantity::Count.most() => {
                write!(f, "a whole number of {least} or more")
            }
            Kind::Whole { least, most } => write!(f, "a whole number from {least} to {most}"),
            Kind::Number { least, most } => write!(f, "a number from {least} to {most}"),
            Kind::Quantity(quantity) => f.write_str(quantity.noun()),
            Kind::Choice(names) => write!(f, "one of {}", names.join(", ")),
            Kind::ChoiceOr(names, quantity) => {
                write!(f, "{}, or {}", names.join(", "), quantity.noun())
            }
            Kind::Distribution(quantity) => write!(f, "{} or a distribution table", quantity.noun()),
            Kind::Table => f.write_str("a table"),
            Kind::Tables => f.write_str("a list of tables"),
        }
    }
}

/// A time on the simulator's clock as messages show it.
pub(super) fn shown(span: SimDuration) -> String {
    fmt_duration(span.as_secs_f64())
}

/// A setting that differs between two records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingDifference {
    /// Where it is, as `--set` names it.
    pub path: String,
    /// Its value in the first record; `None` if it is absent there.
    pub before: Option<String>,
    /// Its value in the second one.
    pub after: Option<String>,
}

/// The settings that differ between two records by path. Values are compared by what they mean, so `60s` equals
/// `1min`; `known` says which kind each setting is.
pub fn differences(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
    known: &[Setting],
) -> Vec<SettingDifference> {
    let kinds: BTreeMap<&str, &Kind> =
        known.iter().map(|setting| (setting.path.as_str(), &setting.kind)).collect();
    let says_the_same = |path: &str, a: &str, b: &str| {
        let number = |text: &str| kinds.get(path)?.number_of(text).map(f64::to_bits);
        a == b || number(a).is_some_and(|a| number(b) == Some(a))
    };
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = paths.into_iter().filter_map(|path| match (before.get(path), after.get(path)) {
        (Some(a), Some(b)) if says_the_same(path, a, b) => None,
        (a, b) => Some(SettingDifference { path: path.clone(), before: a.cloned(), after: b.cloned() }),
    });
    differing.collect()
}

impl Kind {
    /// The number in a text for a setting of this kind: seconds, jobs per second, bytes, a fraction or a count;
    /// `None` if it is not one.
    pub fn number_of(&self, text: &str) -> Option<f64> {
        let text = text.trim().trim_matches(['"', '\'']);
        match self {
            Kind::Whole { .. } => Quantity::Count.parse(text).ok(),
            Kind::Number { .. } => text.parse().ok().filter(|number: &f64| number.is_finite()),
            Kind::Quantity(quantity) | Kind::ChoiceOr(_, quantity) | Kind::Distribution(quantity) => {
                quantity.parse(text).ok()
            }
            _ => None,
        }
    }

    /// What is allowed, with an example.
    pub(super) fn label(&self) -> String {
        match self {
            Kind::Quantity(quantity) => quantity.example().to_string(),
            Kind::Distribution(quantity) => format!(
                "a table such as {{ distribution = \"exponential\", mean = ... }}, or {}",
                quantity.example()
            ),
            Kind::Choice(names) => format!("allowed: {}", names.join(", ")),
            Kind::ChoiceOr(names, quantity) => format!("{}, or {}", names.join(", "), quantity.example()),
            other => format!("must be {other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn records_differ_in_what_they_say_and_not_in_how_they_write_it() {
        let text = "duration = '1min'\n[arrivals]\nrate = '1/s'\n[workers]\nservice_time = '1ms'";
        let known =
            crate::scenario::from_str(text, "x.toml", Path::new(""), &[]).expect("it is valid").settings;
        let record = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect()
        };
        let before =
            record(&[("duration", "\"1min\""), ("seed", "1"), ("name", "\"a\""), ("start.depth", "5")]);
        let after = record(&[("duration", "60s"), ("seed", "2"), ("name", "\"a\""), ("queue.capacity", "9")]);
        let found: Vec<_> = differences(&before, &after, &known)
            .into_iter()
            .map(|found| (found.path, found.before.unwrap_or_default(), found.after.unwrap_or_default()))
            .collect();
        let expected = [("queue.capacity", "", "9"), ("seed", "1", "2"), ("start.depth", "5", "")];
        assert_eq!(found, expected.map(|(path, a, b)| (path.to_owned(), a.to_owned(), b.to_owned())));
    }
}
