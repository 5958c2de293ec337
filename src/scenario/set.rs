//! `--set path=value`: changes the tree of the file before it is read, so that an override is checked like
//! the file itself.
//!
//! A path is names joined by dots (`policy.critical`); an element of a list goes by its number or by its
//! `name` (`class.critical-alarm.share`, `arrivals.phases.spike.rate`). A name with dots is quoted. The value
//! is TOML, or else a bare string, so that `20k/s` needs no quotes on top of those of the shell.

use std::ops::Range;

use super::diagnostic::{Code, did_you_mean};
use super::log::Log;
use super::tree::{Entry, Item, Place, Table, Value, parse_value};

/// No setting is nested deeper.
const MOST_NAMES: usize = 16;

/// Applies one option; whatever is wrong goes to the log.
pub(super) fn apply(root: &mut Table, index: usize, option: &str, log: &Log<'_>) {
    let complain = |span: Range<usize>, message: String, label: &str| {
        log.report(&Place::Set(index, span), Code::Override, message, label);
    };
    let Some((segments, equals)) = split_path(option) else {
        let message = if option.contains('=') {
            format!("`{}` is not a path to a setting", option.split('=').next().unwrap_or_default())
        } else {
            format!("`{option}` sets nothing: there is no `=`")
        };
        return complain(0..option.len(), message, "written path=value, as in policy.critical=20k");
    };
    if segments.len() > MOST_NAMES {
        return complain(
            0..equals,
            "this path leads deeper than any setting".into(),
            "as in policy.critical=20k",
        );
    }
    let written = option[equals + 1..].trim_start();
    let value_at = option.len() - written.len();
    let written = written.trim_end();
    if written.is_empty() {
        return complain(equals..equals + 1, "there is no value after the `=`".into(), "write path=value");
    }
    let place = |span: Range<usize>| Place::Set(index, value_at + span.start..value_at + span.end);
    let as_text = || Item { value: Value::Text(written.to_string()), place: place(0..written.len()) };
    let item = match parse_value(written, &place) {
        Ok(Item { value: Value::Datetime(_), .. }) => as_text(),
        Ok(item) => item,
        Err(error) if written.starts_with(['[', '{', '"', '\'']) => {
            let span = value_at + error.span.start..value_at + error.span.end;
            return complain(span, format!("the value is not TOML: {}", error.message), "");
        }
        Err(_) => as_text(),
    };
    if let Err((span, message, label)) = put(root, &segments, "", item, index) {
        complain(span, message, &label);
    }
}

/// Whether what a scenario is meant to show may change with this option: not with how often it runs, or with what it is called.
pub(super) fn changes_what_is_expected(option: &str) -> bool {
    !["seed", "replications", "name", "report", "slo", "expected_misses"].contains(&first_name(option))
}

/// Whether the objectives are others than those of the file, with none that is meant to be missed.
pub(super) fn replaces_objectives(options: &[String]) -> bool {
    let sets = |name: &str| options.iter().any(|option| first_name(option) == name);
    sets("slo") && !sets("expected_misses")
}

fn first_name(option: &str) -> &str {
    option.split(['.', '=']).next().unwrap_or_default().trim()
}

/// One name of a path and where it stands in the option.
struct Segment {
    name: String,
    span: Range<usize>,
}

/// The names before the first `=` that is not quoted, and where that is.
fn split_path(option: &str) -> Option<(Vec<Segment>, usize)> {
    let mut segments = Vec::new();
    let mut at = 0;
    loop {
        at += option[at..].len() - option[at..].trim_start().len();
        let rest = &option[at..];
        let quote = rest.chars().next().filter(|&c| c == '"' || c == '\'');
        let (name, span) = if let Some(quote) = quote {
            let length = rest[1..].find(quote)?;
            (&rest[1..=length], at..at + length + 2)
        } else {
            let name = rest[..rest.find(['.', '='])?].trim_end();
            (name, at..at + name.len())
        };
        if name.is_empty() {
            return None;
        }
        at = span.end;
        segments.push(Segment { name: name.to_string(), span });
        at += option[at..].len() - option[at..].trim_start().len();
        match option[at..].chars().next()? {
            '.' => at += 1,
            '=' => return Some((segments, at)),
            _ => return None,
        }
    }
}

type Refusal = (Range<usize>, String, String);

/// Puts the value at the end of the path and creates missing tables on the way; the reader reports them like any
/// unknown key if they are not settings.
fn put(
    table: &mut Table,
    segments: &[Segment],
    path: &str,
    item: Item,
    option: usize,
) -> Result<(), Refusal> {
    let [first, rest @ ..] = segments else { return Ok(()) };
    let key_place = Place::Set(option, first.span.clone());
    if table.get(&first.name).is_none() {
        let value = if rest.is_empty() { item.value.clone() } else { Value::Table(Table::default()) };
        let place = if rest.is_empty() { item.place.clone() } else { key_place.clone() };
        let key = first.name.clone();
        table.entries.push(Entry { key, key_place: key_place.clone(), item: Item { value, place } });
    }
    let found = table.get_mut(&first.name).expect("it was there or has just been put there");
    let path = if path.is_empty() { first.name.clone() } else { format!("{path}.{}", first.name) };
    put_at(found, first, rest, &path, item, option)
}

/// Puts the value in place of what `first` named, or further down in it.
fn put_at(
    found: &mut Item,
    first: &Segment,
    rest: &[Segment],
    path: &str,
    item: Item,
    option: usize,
) -> Result<(), Refusal> {
    if rest.is_empty() {
        *found = item;
        return Ok(());
    }
    match &mut found.value {
        Value::Table(inner) => put(inner, rest, path, item, option),
        Value::Array(items) => put_in_list(items, rest, path, item, option),
        other => {
            let message = format!("`{path}` is {} here, so nothing can be set inside it", other.noun());
            Err((first.span.clone(), message, format!("written {}", other.to_toml())))
        }
    }
}

fn put_in_list(
    items: &mut [Item],
    segments: &[Segment],
    path: &str,
    item: Item,
    option: usize,
) -> Result<(), Refusal> {
    let [first, rest @ ..] = segments else { return Ok(()) };
    let names: Vec<String> = items.iter().filter_map(name_of).collect();
    let by_name = items.iter().position(|item| name_of(item).as_deref() == Some(&first.name));
    let by_number = first.name.parse::<usize>().ok().filter(|&number| number < items.len());
    let Some(position) = by_name.or(by_number) else {
        let near = did_you_mean(&first.name, names.iter().map(String::as_str));
        let message = format!("`{path}` has no element `{}`{near}", first.name);
        let label = match (items.len(), names.is_empty()) {
            (0, _) => "the list is empty".to_string(),
            (many, true) => format!("it has the numbers 0 to {}", many - 1),
            (many, false) => format!("it has {}, or the numbers 0 to {}", names.join(", "), many - 1),
        };
        return Err((first.span.clone(), message, label));
    };
    put_at(&mut items[position], first, rest, &format!("{path}.{}", first.name), item, option)
}

/// The `name` of a table in a list.
fn name_of(item: &Item) -> Option<String> {
    match &item.value {
        Value::Table(table) => match &table.get("name")?.value {
            Value::Text(name) => Some(name.clone()),
            _ => None,
        },
        _ => None,
    }
}
