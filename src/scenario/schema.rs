//! What a scenario file can say, as a JSON schema for editors and as a reference page.
//!
//! Nothing is written twice. The reader records every setting that it asks for, so we make it ask for all: it reads
//! an empty file, then files that each open one more recorded table or make one more recorded choice, until nothing
//! new turns up. These files are full of mistakes, which does not matter.
//!
//! Relations between settings (`recovery < warning`, shares that add up to 1) are not in the schema; the reader
//! checks them.

mod json;
mod markdown;

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;

use super::log::Log;
use super::setting::{Kind, Setting};
use super::tree::Table;
use super::{file, set};
use crate::units::Quantity;

/// The JSON schema of a scenario file.
pub fn json() -> String {
    json::render(&Layout::discover())
}

/// The reference page of the scenario file, in Markdown.
pub fn markdown() -> String {
    markdown::render(&Layout::discover())
}

/// All tables that a scenario can have, those with the same settings once.
struct Layout {
    shapes: Vec<Shape>,
    /// Index of the file itself.
    root: usize,
}

/// A table and its settings.
#[derive(Debug)]
struct Shape {
    /// Its names joined by dots, of the least deep of such tables: `arrivals`, not `class[].arrivals`.
    pattern: String,
    /// What it is a distribution of, if it is one.
    distribution_of: Option<Quantity>,
    /// The setting that decides which others there are.
    selector: Option<String>,
    /// The settings for each choice of the selector; without a selector there is one.
    variants: Vec<Variant>,
}

#[derive(Debug, PartialEq)]
struct Variant {
    choice: Option<&'static str>,
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    setting: Setting,
    /// The shape of the table that it is or may be.
    child: Option<usize>,
}

impl PartialEq for Row {
    /// Whether it is the same setting, wherever it is.
    fn eq(&self, other: &Self) -> bool {
        let all = |row: &Row| {
            let Setting { pattern: _, path: _, origin: _, value: _, kind, default, follows, required, doc } =
                row.setting.clone();
            (kind, default, follows, required, doc, row.child)
        };
        self.name() == other.name() && all(self) == all(other)
    }
}

impl Row {
    fn name(&self) -> &str {
        last_name(&self.setting.pattern)
    }

    /// In words, what it is when not given.
    fn default(&self) -> Option<String> {
        match (self.setting.follows, &self.setting.default) {
            (Some(setting), _) if !setting.contains(' ') => Some(format!("that of `{setting}`")),
            (Some(words), _) => Some(words.to_string()),
            (None, default) => default.as_ref().map(|default| format!("`{default}`")),
        }
    }
}

impl Shape {
    /// Whether it has the same settings and may share a name.
    fn is_like(&self, other: &Shape) -> bool {
        (self.distribution_of.is_some() || last_name(&self.pattern) == last_name(&other.pattern))
            && (self.distribution_of, &self.selector, &self.variants)
                == (other.distribution_of, &other.selector, &other.variants)
    }

    /// What the documents call it.
    fn name(&self) -> String {
        match self.distribution_of {
            Some(quantity) => format!("{}-distribution", noun(quantity)),
            None => self.pattern.replace("[]", ""),
        }
    }
}

/// `duration`, without its article.
fn noun(quantity: Quantity) -> &'static str {
    quantity.noun().trim_start_matches("a ")
}

fn split(pattern: &str) -> (&str, &str) {
    pattern.rsplit_once('.').unwrap_or(("", pattern))
}

fn last_name(pattern: &str) -> &str {
    split(pattern).1
}

/// What the reader asks for in a file that differs in `opened` from one read before.
struct Reading {
    opened: Opened,
    settings: Vec<Setting>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Opened {
    /// The table of that pattern.
    Table(String),
    /// The choice of that pattern.
    Choice(String, &'static str),
}

impl Reading {
    /// The settings directly in a table.
    fn of<'r>(&'r self, table: &'r str) -> impl Iterator<Item = &'r Setting> {
        self.settings.iter().filter(move |setting| split(&setting.pattern).0 == table)
    }
}

impl Layout {
    fn discover() -> Self {
        let readings = read_all();
        let mut layout = Self { shapes: Vec::new(), root: 0 };
        layout.root = layout.add(&readings, "", None);
        layout
    }

    /// Adds the table of a pattern and all below it, unless there is the same already.
    fn add(&mut self, readings: &[Reading], table: &str, distribution_of: Option<Quantity>) -> usize {
        let reading = |opened: Opened| {
            let found = readings.iter().find(|reading| reading.opened == opened);
            found.unwrap_or_else(|| panic!("{opened:?} was recorded, so it was opened"))
        };
        let mut rows = |choice: Option<&'static str>, reading: &Reading| {
            let row = |setting: &Setting| {
                let pattern = &setting.pattern;
                let child = match setting.kind {
                    Kind::Table => Some(self.add(readings, pattern, None)),
                    Kind::Tables => Some(self.add(readings, &format!("{pattern}[]"), None)),
                    Kind::Distribution(quantity) => Some(self.add(readings, pattern, Some(quantity))),
                    _ => None,
                };
                Row { setting: setting.clone(), child }
            };
            Variant { choice, rows: reading.of(table).map(row).collect() }
        };
        let plain = reading(Opened::Table(table.to_string()));
        let mut selector = None;
        let mut variants = Vec::new();
        for setting in plain.of(table) {
            let Kind::Choice(names) = &setting.kind else { continue };
            let chosen: Vec<Variant> = names
                .iter()
                .map(|name| rows(Some(name), reading(Opened::Choice(setting.pattern.clone(), name))))
                .collect();
            if chosen.iter().any(|variant| variant.rows != chosen[0].rows) {
                assert!(selector.is_none(), "two settings of `{table}` decide which others there are");
                selector = Some(last_name(&setting.pattern).to_string());
                variants = chosen;
            }
        }
        if selector.is_none() {
            variants = vec![rows(None, plain)];
        }
        let shape = Shape { pattern: table.to_string(), distribution_of, selector, variants };
        if let Some(index) = self.shapes.iter().position(|other| other.is_like(&shape)) {
            let same = &mut self.shapes[index];
            if shape.pattern.len() < same.pattern.len() {
                same.pattern = shape.pattern;
            }
            return index;
        }
        self.shapes.push(shape);
        self.shapes.len() - 1
    }

    /// In how many places there is such a table.
    fn uses(&self, index: usize) -> usize {
        let variants = self.shapes.iter().flat_map(|shape| &shape.variants);
        variants.flat_map(|variant| &variant.rows).filter(|row| row.child == Some(index)).count()
    }
}

/// Has the reader ask for everything there is.
fn read_all() -> Vec<Reading> {
    let mut readings = Vec::new();
    let mut seen = BTreeSet::new();
    let mut waiting = VecDeque::from([(Opened::Table(String::new()), Vec::new())]);
    while let Some((opened, options)) = waiting.pop_front() {
        let settings = read(&options);
        for Setting { pattern, path, kind, .. } in &settings {
            for (next, value) in steps(pattern, kind) {
                if seen.insert(next.clone()) {
                    let mut options = options.clone();
                    options.push(format!("{path}={value}"));
                    waiting.push_back((next, options));
                }
            }
        }
        readings.push(Reading { opened, settings });
    }
    readings
}

/// What could make the reader ask for more, and the value that does.
fn steps(pattern: &str, kind: &Kind) -> Vec<(Opened, String)> {
    let table = |pattern: String, value: &str| vec![(Opened::Table(pattern), value.to_string())];
    match kind {
        Kind::Table | Kind::Distribution(_) => table(pattern.to_string(), "{}"),
        Kind::Tables => table(format!("{pattern}[]"), "[{}]"),
        Kind::Choice(names) => names
            .iter()
            .map(|name| (Opened::Choice(pattern.to_string(), name), format!("\"{name}\"")))
            .collect(),
        _ => Vec::new(),
    }
}

/// The settings that the reader asks for in a file made of these options.
fn read(options: &[String]) -> Vec<Setting> {
    let log = Log::new("scenario.toml", "", options, Path::new(""));
    let mut table = Table::default();
    for (index, option) in options.iter().enumerate() {
        set::apply(&mut table, index, option, &log);
    }
    file::read(&log, &table, "scenario.toml", "");
    log.into_records().0
}
