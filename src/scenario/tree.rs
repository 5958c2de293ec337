//! The file as a tree in file order, in which every key and value knows where it was written.
//!
//! TOML ends here: `--set`, defaults and checks work on this tree.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::text::quoted;

/// Where a key or value was written: bytes of the file, or of the text of a `--set` option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Bytes of the file.
    File(Range<usize>),
    /// Bytes of the text of the option with that index.
    Set(usize, Range<usize>),
    /// Nowhere in particular: what is missing from the file, or a default.
    Nowhere,
}

impl Place {
    /// The part `inner` of the bytes at this place.
    pub(super) fn part(&self, inner: Range<usize>) -> Place {
        let shift =
            |outer: &Range<usize>| outer.start + inner.start..(outer.start + inner.end).min(outer.end);
        match self {
            Place::File(outer) => Place::File(shift(outer)),
            Place::Set(index, outer) => Place::Set(*index, shift(outer)),
            Place::Nowhere => Place::Nowhere,
        }
    }
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// A value of a scenario file.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    /// Beyond the range it is the last number within, which no bound of a setting comes near.
    Integer(i128),
    /// May be infinite or no number.
    Float(f64),
    Boolean(bool),
    /// Not used by any setting; kept as written.
    Datetime(String),
    Array(Vec<Item>),
    Table(Table),
}

/// Keys and values in the order of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) item: Item,
}

impl Table {
    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Item> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.item)
    }

    /// The value of a key, to change it.
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Item> {
        self.entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.item)
    }
}

impl Value {
    /// What it is, for messages.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Value::Text(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a number",
            Value::Boolean(_) => "a boolean",
            Value::Datetime(_) => "a date",
            Value::Array(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// As TOML writes it.
    pub(super) fn to_toml(&self) -> String {
        match self {
            Value::Text(text) => quoted(text),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => {
                // TOML wants a point or an exponent in a float; Rust's debug format has one.
                if number.is_finite() { format!("{number:?}") } else { number.to_string().to_lowercase() }
            }
            Value::Boolean(flag) => flag.to_string(),
            Value::Datetime(text) => text.clone(),
            Value::Array(items) => {
                let items: Vec<_> = items.iter().map(|item| item.value.to_toml()).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Table(table) if table.entries.is_empty() => "{}".to_string(),
            Value::Table(table) => {
                let pairs: Vec<_> = table
                    .entries
                    .iter()
                    .map(|entry| format!("{} = {}", key_to_toml(&entry.key), entry.item.value.to_toml()))
                    .collect();
                format!("{{ {} }}", pairs.join(", "))
            }
        }
    }
}

/// A key as TOML and `--set` write it: bare where that is allowed.
pub(super) fn key_to_toml(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(is_bare) { key.to_string() } else { quoted(key) }
}

/// A syntax error: what and where.
pub(super) struct SyntaxError {
    pub(super) message: String,
    /// What is allowed, if that is known.
    pub(super) label: String,
    pub(super) span: Range<usize>,
}

/// Parses a file as far as possible, with all its syntax errors.
pub(super) fn parse_file(text: &str) -> (Table, Vec<SyntaxError>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let place = |span: Range<usize>| Place::File(span);
    let mut errors: Vec<_> = errors.into_iter().map(|error| syntax_error(&error, text)).collect();
    let values = table.get_ref().values();
    errors.extend(values.flat_map(numbers_with_more).map(|span| must_be_quoted(text, span)));
    (table_of(table.get_ref(), &place), errors)
}

/// Parses one value, whose places `place` makes from its bytes in `text`.
pub(super) fn parse_value(text: &str, place: &dyn Fn(Range<usize>) -> Place) -> Result<Item, SyntaxError> {
    match DeValue::parse(text) {
        Ok(value) => match numbers_with_more(&value).into_iter().next() {
            None => Ok(item_of(&value, place)),
            Some(span) => Err(must_be_quoted(text, span)),
        },
        Err(error) => Err(syntax_error(&error, text)),
    }
}

/// The places of numbers that go on with something else: the parser hands `10_000/s` over as an integer of those digits.
fn numbers_with_more(value: &Spanned<DeValue<'_>>) -> Vec<Range<usize>> {
    let is_number = match value.get_ref() {
        DeValue::Integer(digits) => {
            let digits_alone = digits.as_str().trim_start_matches(['+', '-']);
            digits_alone.chars().all(|c| c.is_digit(digits.radix()))
        }
        DeValue::Float(digits) => digits.as_str().parse::<f64>().is_ok(),
        DeValue::Array(items) => return items.iter().flat_map(numbers_with_more).collect(),
        DeValue::Table(table) => return table.values().flat_map(numbers_with_more).collect(),
        DeValue::String(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => true,
    };
    if is_number { Vec::new() } else { vec![value.span()] }
}

fn syntax_error(error: &toml::de::Error, text: &str) -> SyntaxError {
    let span = error.span().unwrap_or(text.len()..text.len());
    if let Some((span, message, label)) = super::other::explain(text, span.start) {
        return SyntaxError { message, label, span };
    }
    let written = text.get(span.clone()).unwrap_or_default();
    let (message, label) = match error.message() {
        quotes if quotes.starts_with("string values must be quoted") => return must_be_quoted(text, span),
        "duplicate key" => {
            (format!("`{written}` is there already"), "each key can be given once".to_string())
        }
        other => (other.trim_end_matches(", expected nothing").to_string(), String::new()),
    };
    SyntaxError { message, label, span }
}

fn must_be_quoted(text: &str, span: Range<usize>) -> SyntaxError {
    let written = text.get(span.clone()).unwrap_or_default();
    let (message, label) = (format!("the string `{written}` must be quoted"), format!("write \"{written}\""));
    SyntaxError { message, label, span }
}

fn table_of(table: &DeTable<'_>, place: &dyn Fn(Range<usize>) -> Place) -> Table {
    let mut spanned: Vec<_> = table.iter().collect();
    spanned.sort_by_key(|(key, _)| key.span().start);
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        Entry { key: key.get_ref().to_string(), key_place: place(key.span()), item: item_of(value, place) }
    };
    Table { entries: spanned.into_iter().map(entry).collect() }
}

fn item_of(value: &Spanned<DeValue<'_>>, place: &dyn Fn(Range<usize>) -> Place) -> Item {
    let tree = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(digits) => {
            Value::Integer(i128::from_str_radix(digits.as_str(), digits.radix()).unwrap_or(
                match digits.as_str().starts_with('-') {
                    true => i128::MIN,
                    false => i128::MAX,
                },
            ))
        }
        DeValue::Float(digits) => Value::Float(digits.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Datetime(date) => Value::Datetime(date.to_string()),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| item_of(item, place)).collect()),
        DeValue::Table(table) => Value::Table(table_of(table, place)),
    };
    Item { value: tree, place: place(value.span()) }
}
