//! Finds the values of variables and remembers what is wrong with them. Bounds and defaults are those of the contract.

use std::time::Duration;

use contract::variable::{Bounds, Relation, Variable, percent_to_ppm};
use contract::variables;

use super::{Mistake, Mistakes};

pub(super) struct Reader<'a> {
    find: &'a dyn Fn(&str) -> Option<String>,
    mistakes: Vec<Mistake>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(find: &'a dyn Fn(&str) -> Option<String>) -> Reader<'a> {
        Reader { find, mistakes: Vec::new() }
    }

    /// What has been found wrong, in the order of the contract's list.
    pub(super) fn end(mut self) -> Result<(), Mistakes> {
        let place =
            |mistake: &Mistake| variables::ALL.iter().position(|variable| variable.name == mistake.name);
        self.mistakes.sort_by_key(place);
        if self.mistakes.is_empty() { Ok(()) } else { Err(Mistakes(self.mistakes)) }
    }

    /// Whether a variable has been refused.
    pub(super) fn is_wrong(&self, variable: &Variable) -> bool {
        self.mistakes.iter().any(|mistake| mistake.name == variable.name)
    }

    /// As written, or the default.
    pub(super) fn written(&self, variable: &Variable) -> String {
        (self.find)(variable.name)
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| variable.default.to_owned())
    }

    pub(super) fn refuse(&mut self, variable: &Variable, allowed: impl Into<String>) {
        let written = self.written(variable);
        let value =
            if variable.is_secret && !written.is_empty() { "(not shown)".to_owned() } else { written };
        self.mistakes.push(Mistake { name: variable.name, value, allowed: allowed.into() });
    }

    /// The value if bounds and `parse` allow it; else `otherwise`, and a mistake.
    pub(super) fn parsed<T>(
        &mut self,
        variable: &Variable,
        parse: impl Fn(&str) -> Option<T>,
        otherwise: T,
    ) -> T {
        let text = self.written(variable);
        let value = Some(&text).filter(|text| variable.accepts(text)).and_then(|text| parse(text));
        value.unwrap_or_else(|| {
            self.refuse(variable, variable.allowed());
            otherwise
        })
    }

    /// `None` also where nothing is set.
    pub(super) fn optional<T>(
        &mut self,
        variable: &Variable,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        if self.written(variable).is_empty() {
            return None;
        }
        self.parsed(variable, |text| parse(text).map(Some), None)
    }

    pub(super) fn text(&mut self, variable: &Variable) -> String {
        self.parsed(variable, |text| Some(text.to_owned()), String::new())
    }

    /// A whole number; the least one that is allowed in place of a wrong one.
    pub(super) fn number<T: TryFrom<u64>>(&mut self, variable: &Variable) -> T {
        let Bounds::Whole { least, .. } = variable.bounds else {
            unreachable!("{} is read as a whole number", variable.name)
        };
        let least = T::try_from(least).ok().expect("the least of a range is in the type");
        self.parsed(variable, |text| T::try_from(variable.bounds.number(text)?).ok(), least)
    }

    /// A whole number, or `None` for the word that may stand in its place.
    pub(super) fn number_or_word(&mut self, variable: &Variable) -> Option<u64> {
        self.parsed(variable, |text| Some(variable.bounds.number(text)), None)
    }

    pub(super) fn milliseconds(&mut self, variable: &Variable) -> Duration {
        Duration::from_millis(self.number(variable))
    }

    /// Millionths.
    pub(super) fn percent(&mut self, variable: &Variable) -> u32 {
        self.parsed(variable, percent_to_ppm, 1)
    }

    /// One of the words of a choice; the first one in place of a wrong one.
    pub(super) fn word(&mut self, variable: &Variable) -> &'static str {
        let Bounds::Choice(words) = variable.bounds else {
            unreachable!("{} is read as one of some words", variable.name)
        };
        self.parsed(variable, |text| words.iter().copied().find(|word| *word == text), words[0])
    }

    pub(super) fn flag(&mut self, variable: &Variable) -> bool {
        self.parsed(variable, |text| text.parse().ok(), false)
    }

    /// Compares a number with those that the contract relates it to. A value that is wrong itself is not compared.
    pub(super) fn compare(&mut self, variable: &Variable) {
        let Some(own) = self.comparable(variable) else { return };
        let holds = |relation: &Relation| {
            let other = |name: &str| self.comparable(variables::named(name).expect("a name of the contract"));
            match *relation {
                Relation::Above(name) => other(name).is_none_or(|other| own > other),
                Relation::AboveOrAtMost(name) => {
                    own == u64::from(WHOLE_PPM) || other(name).is_none_or(|other| own > other)
                }
                Relation::Below(name) => other(name).is_none_or(|other| own < other),
                Relation::AtLeast(name) => other(name).is_none_or(|other| own >= other),
                Relation::AtMost(name) => other(name).is_none_or(|other| own <= other),
            }
        };
        if !variable.relations.iter().all(holds) {
            self.refuse(variable, variable.allowed());
        }
    }

    fn comparable(&self, variable: &Variable) -> Option<u64> {
        let text = self.written(variable);
        match variable.bounds {
            Bounds::Percent => percent_to_ppm(&text).map(u64::from),
            bounds => bounds.number(&text),
        }
    }
}

/// 100 per cent.
const WHOLE_PPM: u32 = 1_000_000;
