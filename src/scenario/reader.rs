//! Reads settings from the tree one by one, and records each.
//!
//! A setting's name, type, bounds, default and meaning are stated once, where it is read. The records give the
//! list of allowed names, the error for an unknown key, and the merged file with the origin of each value.
//! A mistake does not stop the reading: it is logged, and a stand-in value lets the rest be checked.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::{Code, did_you_mean};
use super::log::{Log, Mistake};
use super::setting::{Kind, Origin, Setting};
use super::tree::{Entry, Item, Place, Table, Value, key_to_toml, parse_value};
use crate::engine::time::SimDuration;
use crate::units::{Quantity, UnitError};

/// A table of the file while its settings are read; it may be absent.
pub(super) struct Section<'a> {
    log: &'a Log<'a>,
    path: String,
    pattern: String,
    table: Option<&'a Table>,
    place: Place,
    /// Whether the value is not a table, so that its settings do not count as missing.
    broken: bool,
    /// The choice that decides which settings exist, such as `process = "trace"`.
    variant: Option<String>,
    asked: Vec<&'static str>,
    bad: BTreeSet<&'static str>,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(log: &'a Log<'a>, table: &'a Table) -> Self {
        Self {
            log,
            path: String::new(),
            pattern: String::new(),
            table: Some(table),
            place: Place::Nowhere,
            broken: false,
            variant: None,
            asked: Vec::new(),
            bad: BTreeSet::new(),
        }
    }

    pub(super) fn log(&self) -> &'a Log<'a> {
        self.log
    }

    /// Asks for a setting; its type follows.
    pub(super) fn key(&mut self, name: &'static str, doc: &'static str) -> Key<'_, 'a> {
        self.asked.push(name);
        Key { section: self, name, doc }
    }

    /// The name of an element of a list: without one, what it is and its number from 1 on.
    pub(super) fn numbered_name(&mut self, noun: &str, doc: &'static str, index: usize) -> String {
        let usual = format!("{noun}-{}", index + 1);
        self.key("name", doc).text().or_else("its number", format!("\"{usual}\""), usual)
    }

    /// Asks for a setting that the caller parses and records.
    pub(super) fn ask(&mut self, name: &'static str) -> Option<&'a Item> {
        self.asked.push(name);
        self.item(name)
    }

    /// Notes that a setting is wrong.
    pub(super) fn mark_bad(&mut self, name: &'static str) {
        self.bad.insert(name);
    }

    /// Whether a key is there, right or wrong.
    pub(super) fn has(&self, name: &str) -> bool {
        self.item(name).is_some()
    }

    /// Notes that this choice decides which settings exist; messages about unknown keys mention it.
    pub(super) fn varies_with(&mut self, name: &str) {
        self.variant = self.item(name).map(|item| format!("{name} = {}", item.value.to_toml()));
    }

    /// Whether this section itself is in the file.
    pub(super) fn is_given(&self) -> bool {
        self.table.is_some() || self.broken
    }

    /// The value of a key as it stands in the tree.
    pub(super) fn item(&self, name: &str) -> Option<&'a Item> {
        self.table?.get(name)
    }

    /// Whether a setting is wrong, so that its value must not be used.
    pub(super) fn is_bad(&self, name: &'static str) -> bool {
        self.broken || self.bad.contains(name)
    }

    /// The path of a setting of this section.
    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) }
    }

    /// Where a setting stands; the section itself if it is not given.
    pub(super) fn place_of(&self, name: &str) -> Place {
        self.item(name).map_or_else(|| self.place.clone(), |item| item.place.clone())
    }

    /// Logs a mistake in a setting; the message begins with its path.
    pub(super) fn complain(&mut self, name: &'static str, fault: Mistake) {
        self.bad.insert(name);
        let message = format!("`{}`: {}", self.path_of(name), fault.message);
        self.log.report(&self.place_of(name), fault.code, message, fault.label);
    }

    /// Logs that a required setting is not there.
    pub(super) fn miss(&mut self, name: &'static str, label: impl Into<String>) {
        self.bad.insert(name);
        if !self.broken {
            let (path, place) = (self.path_of(name), self.place.clone());
            self.log.miss(path, place, label);
        }
    }

    /// A table below this one; if absent, all its settings have their defaults.
    pub(super) fn section(&mut self, name: &'static str, doc: &'static str) -> Section<'a> {
        self.asked.push(name);
        let item = self.item(name);
        self.record(name, doc, Kind::Table, None, false, item.map(|item| (item, None)));
        self.below(name, self.item(name))
    }

    /// The section that `item` is, below this one.
    pub(super) fn below(&mut self, name: &'static str, item: Option<&'a Item>) -> Section<'a> {
        let table = item.and_then(|item| match &item.value {
            Value::Table(table) => Some(table),
            _ => None,
        });
        let broken = item.is_some() && table.is_none();
        if let (true, Some(item)) = (broken, item) {
            let message = format!("{} is not a table", item.value.noun());
            let label =
                format!("write [{}] on a line of its own and the settings below it", self.path_of(name));
            self.complain(name, Mistake::new(Code::WrongType, message, label));
        }
        let pattern =
            if self.pattern.is_empty() { name.to_string() } else { format!("{}.{name}", self.pattern) };
        Section {
            log: self.log,
            path: self.path_of(name),
            pattern,
            table,
            place: self.place_of(name),
            broken: broken || self.broken,
            variant: None,
            asked: Vec::new(),
            bad: BTreeSet::new(),
        }
    }

    /// A list of tables below this one. Each is called by its `name` if that is unique, else by its number.
    pub(super) fn sections(&mut self, name: &'static str, doc: &'static str) -> Vec<Section<'a>> {
        self.asked.push(name);
        let Some(item) = self.item(name) else {
            self.record(name, doc, Kind::Tables, None, false, None);
            return Vec::new();
        };
        self.record(name, doc, Kind::Tables, None, false, Some((item, None)));
        let Value::Array(items) = &item.value else {
            let message = format!("{} is not a list of tables", item.value.noun());
            self.complain(name, Mistake::new(Code::WrongType, message, self.how_to_list(name)));
            return Vec::new();
        };
        let element_name = |item: &Item| match &item.value {
            Value::Table(table) => match &table.get("name")?.value {
                Value::Text(name) => Some(name.clone()),
                _ => None,
            },
            _ => None,
        };
        let names: Vec<Option<String>> = items.iter().map(element_name).collect();
        let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
        for own in names.iter().flatten() {
            *uses.entry(own).or_default() += 1;
        }
        let mut sections = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let table = match &item.value {
                Value::Table(table) => Some(table),
                other => {
                    self.bad.insert(name);
                    let message =
                        format!("`{}.{index}`: {} is not a table", self.path_of(name), other.noun());
                    self.log.report(&item.place, Code::WrongType, message, self.how_to_list(name));
                    None
                }
            };
            let element = match &names[index] {
                Some(own) if uses[own.as_str()] == 1 => key_to_toml(own),
                _ => index.to_string(),
            };
            sections.push(Section {
                log: self.log,
                path: format!("{}.{element}", self.path_of(name)),
                pattern: match self.pattern.as_str() {
                    "" => format!("{name}[]"),
                    outer => format!("{outer}.{name}[]"),
                },
                table,
                place: item.place.clone(),
                broken: table.is_none(),
                variant: None,
                asked: Vec::new(),
                bad: BTreeSet::new(),
            });
        }
        sections
    }

    fn how_to_list(&self, name: &str) -> String {
        format!("write [[{}]] once for each, or a list such as [{{ ... }}, {{ ... }}]", self.path_of(name))
    }

    /// Ends the reading of the section: every key that was not asked for is a mistake.
    pub(super) fn close(&self) {
        let Some(table) = self.table else { return };
        for Entry { key, key_place, .. } in &table.entries {
            if !self.asked.contains(&key.as_str()) {
                self.log.refuse_key(&self.path, self.variant.as_deref(), key, key_place, &self.asked);
            }
        }
    }

    /// Records a setting: `given` is its item, and its value as TOML unless its settings are recorded one by one.
    pub(super) fn record(
        &self,
        name: &str,
        doc: &'static str,
        kind: Kind,
        default: Option<String>,
        required: bool,
        given: Option<(&Item, Option<String>)>,
    ) {
        let (origin, value) = match given {
            Some((item, value)) => (self.log.origin(&item.place), value),
            None => (Origin::Default, default.clone()),
        };
        let pattern =
            if self.pattern.is_empty() { name.to_string() } else { format!("{}.{name}", self.pattern) };
        let path = self.path_of(name);
        let setting = Setting { path, pattern, kind, default, follows: None, required, doc, origin, value };
        self.log.record(setting);
    }
}

/// A setting asked for, before its type is said.
pub(super) struct Key<'s, 'a> {
    section: &'s mut Section<'a>,
    name: &'static str,
    doc: &'static str,
}

impl<'s, 'a> Key<'s, 'a> {
    /// Of a type of its own.
    pub(super) fn typed<T>(
        self,
        kind: Kind,
        parse: impl Fn(&Item, &Kind) -> Result<T, Mistake> + 's,
    ) -> Field<'s, 'a, T> {
        Field { section: self.section, name: self.name, doc: self.doc, kind, parse: Box::new(parse) }
    }

    /// `true` or `false`.
    pub(super) fn boolean(self) -> Field<'s, 'a, bool> {
        self.typed(Kind::Boolean, |item, kind| match &item.value {
            Value::Boolean(flag) => Ok(*flag),
            other => Err(wrong_type(other, "a boolean", kind)),
        })
    }

    /// A string.
    pub(super) fn text(self) -> Field<'s, 'a, String> {
        self.typed(Kind::Text, |item, kind| match &item.value {
            Value::Text(text) => Ok(text.clone()),
            other => Err(wrong_type(other, "a string", kind)),
        })
    }

    /// A whole number, also written `50k`.
    pub(super) fn count(self, least: u64, most: u64) -> Field<'s, 'a, u64> {
        self.typed(Kind::Whole { least, most }, move |item, kind| {
            let fail = |text: String, bound: &str, limit: u64| {
                Mistake::new(Code::OutOfRange, format!("`{text}` is {bound} allowed, {limit}"), kind.label())
            };
            let bounded = |number: i128, text: String| match u64::try_from(number) {
                _ if number < 0 => {
                    Err(Mistake::new(Code::OutOfRange, format!("`{text}` is negative"), kind.label()))
                }
                Ok(count) if count > most => Err(fail(text, "above the largest", most)),
                Ok(count) if count < least => Err(fail(text, "below the least", least)),
                Ok(count) => Ok(count),
                Err(_) => Err(fail(text, "above the largest", most)),
            };
            match &item.value {
                Value::Integer(number) => bounded(*number, number.to_string()),
                Value::Float(number) => {
                    let count = Quantity::Count
                        .check_number(*number, &item.value.to_toml())
                        .map_err(|error| relabel(error, kind))?;
                    bounded(count as i128, item.value.to_toml())
                }
                Value::Text(text) => {
                    let count = Quantity::Count.parse(text).map_err(|error| relabel(error, kind))?;
                    bounded(count as i128, text.clone())
                }
                other => Err(wrong_type(other, "a count", &Kind::Quantity(Quantity::Count))),
            }
        })
    }

    /// A number without a unit.
    pub(super) fn number(self, least: f64, most: f64) -> Field<'s, 'a, f64> {
        self.typed(Kind::Number { least, most }, move |item, kind| {
            let number = match &item.value {
                Value::Integer(number) => *number as f64,
                Value::Float(number) => *number,
                other => return Err(wrong_type(other, "a number", kind)),
            };
            let written = item.value.to_toml();
            let message = if !number.is_finite() {
                format!("`{written}` is not a finite number")
            } else if number < least {
                format!("`{written}` is below the least allowed, {least}")
            } else if number > most {
                format!("`{written}` is above the largest allowed, {most}")
            } else {
                return Ok(number);
            };
            Err(Mistake::new(Code::OutOfRange, message, kind.label()))
        })
    }

    /// A duration, rate, size or fraction: seconds, jobs per second, bytes, or the number.
    pub(super) fn quantity(self, quantity: Quantity) -> Field<'s, 'a, f64> {
        self.typed(Kind::Quantity(quantity), move |item, _| quantity_of(&item.value, quantity))
    }

    /// A duration on the simulator's clock.
    pub(super) fn span(self) -> Field<'s, 'a, SimDuration> {
        self.typed(Kind::Quantity(Quantity::Duration), move |item, _| {
            quantity_of(&item.value, Quantity::Duration).map(SimDuration::from_secs_f64)
        })
    }

    /// A duration above zero.
    pub(super) fn positive_span(self) -> Field<'s, 'a, SimDuration> {
        self.typed(Kind::Quantity(Quantity::Duration), move |item, _| {
            let span = SimDuration::from_secs_f64(quantity_of(&item.value, Quantity::Duration)?);
            if span == SimDuration::ZERO {
                return Err(Mistake::new(Code::OutOfRange, "must be above zero", "at least \"1ns\""));
            }
            Ok(span)
        })
    }

    /// One of some names.
    pub(super) fn choice<T: Copy>(self, choices: &'static [(&'static str, T)]) -> Field<'s, 'a, T> {
        let names = choices.iter().map(|(name, _)| *name).collect();
        self.typed(Kind::Choice(names), |item, kind| match &item.value {
            Value::Text(text) => {
                let found = choices.iter().find(|(name, _)| name == text);
                found.map(|(_, choice)| *choice).ok_or_else(|| {
                    let near = did_you_mean(text, choices.iter().map(|(name, _)| *name));
                    Mistake::new(Code::UnknownName, format!("`{text}` is not known here{near}"), kind.label())
                })
            }
            other => Err(wrong_type(other, "one of the names allowed", kind)),
        })
    }
}

/// A count beyond the general bounds is also beyond the narrower ones of the setting, which the label shows.
fn relabel(error: UnitError, kind: &Kind) -> Mistake {
    let fault = Mistake::from(error);
    match fault.code {
        Code::OutOfRange => Mistake { label: kind.label(), ..fault },
        _ => fault,
    }
}

/// A quantity with its unit; only fractions, counts and a duration of zero may be bare numbers.
pub(super) fn quantity_of(value: &Value, quantity: Quantity) -> Result<f64, Mistake> {
    let number = match value {
        Value::Text(text) => return Ok(quantity.parse(text)?),
        Value::Integer(number) => *number as f64,
        Value::Float(number) => *number,
        other => return Err(wrong_type(other, quantity.noun(), &Kind::Quantity(quantity))),
    };
    let checked = quantity.check_number(number, &value.to_toml())?;
    match quantity {
        Quantity::Fraction | Quantity::Count => Ok(checked),
        Quantity::Duration if checked == 0.0 => Ok(0.0),
        _ => {
            let message =
                format!("the number `{}` has no unit, but {} needs one", value.to_toml(), quantity.noun());
            Err(Mistake::new(Code::WrongUnit, message, Kind::Quantity(quantity).label()))
        }
    }
}

pub(super) fn wrong_type(value: &Value, wanted: &str, kind: &Kind) -> Mistake {
    Mistake::new(Code::WrongType, format!("{} is not {wanted}", value.noun()), kind.label())
}

type Parse<'s, T> = Box<dyn Fn(&Item, &Kind) -> Result<T, Mistake> + 's>;

/// A setting with its type; what happens without it follows.
pub(super) struct Field<'s, 'a, T> {
    section: &'s mut Section<'a>,
    name: &'static str,
    doc: &'static str,
    kind: Kind,
    parse: Parse<'s, T>,
}

impl<T> Field<'_, '_, T> {
    /// With this default, written as in a file; quotes are optional.
    pub(super) fn or(self, default: &str) -> T {
        let item = parse_value(default, &|_| Place::Nowhere)
            .unwrap_or_else(|_| Item { value: Value::Text(default.to_string()), place: Place::Nowhere });
        let stand_in = (self.parse)(&item, &self.kind);
        let given = self.read(Some(item.value.to_toml()), false);
        given.unwrap_or_else(|| match stand_in {
            Ok(value) => value,
            Err(fault) => panic!("the default `{default}` must be allowed itself: {}", fault.message),
        })
    }

    /// With a default that follows from something else: from what, the default as TOML, and its value.
    pub(super) fn or_else(self, follows: &'static str, toml: impl Into<String>, default: T) -> T {
        let log = self.section.log;
        let value = self.read(None, false);
        log.amend_last(follows, toml.into());
        value.unwrap_or(default)
    }

    /// It may be absent. A wrong value is logged and absent.
    pub(super) fn optional(self) -> Option<T> {
        self.read(None, false)
    }

    /// It must be given. `None` if it is absent or wrong, which is logged.
    pub(super) fn required(self) -> Option<T> {
        self.read(None, true)
    }

    fn read(self, default: Option<String>, required: bool) -> Option<T> {
        let Self { section, name, doc, kind, parse } = self;
        let item = section.item(name);
        let label = kind.label();
        let is_mixed = matches!(kind, Kind::ChoiceOr(..));
        let read = item.map(|item| parse(item, &kind));
        section.record(
            name,
            doc,
            kind,
            default,
            required,
            item.map(|item| (item, Some(item.value.to_toml()))),
        );
        match read {
            Some(Ok(value)) => Some(value),
            Some(Err(mut fault)) => {
                if is_mixed && matches!(fault.code, Code::WrongType | Code::WrongUnit) {
                    fault.label = label; // there is more that may stand here than the quantity
                }
                section.complain(name, fault);
                None
            }
            None => {
                if required {
                    section.miss(name, format!("add `{name}`: {}", label.trim_start_matches("must be ")));
                }
                None
            }
        }
    }
}
