//! A scenario: what a file and the command line ask for, checked. A [`Scenario`] cannot be invalid.
//!
//! ```text
//! text --tree--> keys and values with their places --set--> overridden --file, arrivals, ...--> Scenario
//!                                                                  \--reader--> Settings, Diagnostics
//! ```
//!
//! Every mistake in a file is reported, not only the first, each with the text that it is about.

use std::collections::BTreeSet;
use std::path::Path;

use crate::model::config::ModelConfig;
use diagnostic::Code;
use files::{FileFault, MOST_SCENARIO_BYTES};
use log::Log;
use slo::Slo;
use tree::Place;

mod alerts;
mod arrivals;
mod autoscaler;
mod classes;
mod clients;
mod diagnostic;
mod distribution;
mod faults;
mod file;
mod files;
mod gateway;
mod hints;
mod interval;
mod log;
mod other;
mod planning;
mod policy;
mod queue;
mod reader;
mod redis;
pub mod schema;
mod set;
mod setting;
pub mod slo;
mod tree;
mod workers;

pub use diagnostic::{Code as DiagnosticCode, Diagnostic, Location, ScenarioError, did_you_mean, nearest};
pub use hints::{Hint, HintKind, Place as HintPlace};
pub use planning::{DayPart, PlanSettings, Prices, SweepSettings};
pub use setting::{Kind, Origin, Setting, SettingDifference, differences};

/// A checked scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Name; also the name of the report's folder.
    pub name: String,
    /// The question and the expected answer: the comment that opens the file, empty if there is none.
    pub question: String,
    /// The text of the file.
    pub source: String,
    /// The command line that runs it again, with all overrides, quoted for a shell.
    pub command: String,
    /// Master seed of all streams.
    pub seed: u64,
    /// Independent runs.
    pub replications: u32,
    /// Objectives.
    pub slo: Vec<Slo>,
    /// Objectives that a run is meant to miss, because the scenario shows what goes wrong.
    pub expected_misses: Vec<Slo>,
    /// What a replication simulates.
    pub model: ModelConfig,
    /// Other configurations to try.
    pub sweep: SweepSettings,
    /// What a configuration costs.
    pub cost: Prices,
    /// How to choose among configurations.
    pub plan: PlanSettings,
    /// Remarks on settings that are legal but hazardous or assumed.
    pub warnings: Vec<String>,
    /// Settings that do not do what they are there for, found by arithmetic.
    pub hints: Vec<Hint>,
}

impl Scenario {
    /// All objectives: those to meet, and those that a run is meant to miss.
    pub fn objectives(&self) -> impl Iterator<Item = &Slo> {
        self.slo.iter().chain(&self.expected_misses)
    }

    /// Takes the objectives that the scenario is meant to miss for such as it should meet: what is meant holds for the settings
    /// of its file alone.
    pub fn expect_nothing(&mut self) {
        self.slo.append(&mut self.expected_misses);
    }
}

/// A scenario and where its settings come from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The checked scenario.
    pub scenario: Scenario,
    /// Every setting that it could have, with the origin of its value.
    pub settings: Vec<Setting>,
}

/// The least that a scenario needs, for whoever starts with an empty file.
const LEAST_SCENARIO: &str = "the least it needs: duration = \"60s\", [arrivals] with rate = \"6k/s\", \
                              [workers] with service_time = \"8ms\"";

/// The name of the file that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Reads a scenario file, or standard input where it is called `-`, and applies `overrides`, each `path=value`.
///
/// # Errors
///
/// All mistakes in the file and the overrides, or why the file cannot be read.
pub fn load(path: &Path, overrides: &[String]) -> Result<Loaded, ScenarioError> {
    let shown = path.display().to_string();
    let read = if shown == STANDARD_INPUT {
        files::standard_input(MOST_SCENARIO_BYTES)
    } else {
        files::read_text(path, MOST_SCENARIO_BYTES)
    };
    let text = read.map_err(|fault| match fault {
        FileFault::Unreadable(message, help) => ScenarioError::Unreadable { message, help },
        FileFault::NotUtf8 { .. } => ScenarioError::Invalid(vec![Diagnostic {
            code: Code::Syntax,
            message: fault.message(),
            at: Location::file(shown.as_str()),
            label: fault.help(),
        }]),
    })?;
    from_str(&text, &shown, path.parent().unwrap_or(Path::new("")), overrides)
}

/// The same for a text. Messages show `file_name`, which also gives the default name; files that the scenario
/// names are relative to `base_dir`.
///
/// # Errors
///
/// All mistakes in the text and the overrides.
pub fn from_str(
    text: &str,
    file_name: &str,
    base_dir: &Path,
    overrides: &[String],
) -> Result<Loaded, ScenarioError> {
    let log = Log::new(file_name, text, overrides, base_dir);
    let is_content = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    if overrides.is_empty() && !text.trim_start_matches('\u{feff}').lines().any(is_content) {
        log.report(&Place::Nowhere, Code::Missing, "the scenario is empty", LEAST_SCENARIO);
        return Err(ScenarioError::Invalid(log.into_problems()));
    }
    if let Some((span, message, label)) = other::recognise(text) {
        log.report(&Place::File(span), Code::Syntax, message, label);
        return Err(ScenarioError::Invalid(log.into_problems()));
    }
    let (mut table, syntax_errors) = tree::parse_file(text);
    for (index, option) in overrides.iter().enumerate() {
        set::apply(&mut table, index, option, &log);
    }
    let scenario = file::read(&log, &table, file_name, text);
    if !syntax_errors.is_empty() {
        forget_consequences(&log, text, &syntax_errors);
    }
    let mut last_line = None;
    for error in syntax_errors {
        let place = Place::File(error.span);
        let line = log.line_of(&place);
        // Further errors in the same line are mostly consequences of the first.
        if line != last_line {
            log.report(&place, Code::Syntax, error.message, error.label);
        }
        last_line = line;
    }
    match scenario {
        Some(mut scenario) if log.is_clean() => {
            let (settings, warnings) = log.into_records();
            scenario.warnings = warnings;
            scenario.command = command(file_name, overrides);
            if set::replaces_objectives(overrides) {
                scenario.expected_misses.clear();
            }
            if overrides.iter().any(|option| set::changes_what_is_expected(option)) {
                scenario.expect_nothing();
            }
            Ok(Loaded { scenario, settings })
        }
        _ => Err(ScenarioError::Invalid(log.into_problems())),
    }
}

fn command(file_name: &str, overrides: &[String]) -> String {
    // `./` keeps a path that begins with a dash from looking like an option.
    let path = if file_name.starts_with('-') && file_name != STANDARD_INPUT {
        format!("./{file_name}")
    } else {
        file_name.to_string()
    };
    let mut command = format!("simulate {}", for_shell(&path));
    for option in overrides {
        command.push_str(" --set ");
        command.push_str(&for_shell(option));
    }
    command
}

/// One word of a command line, as any POSIX shell reads it.
pub fn for_shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Drops mistakes that may be consequences of a syntax error: missing settings, mistakes in the same line, and all
/// mistakes below a broken header.
fn forget_consequences(log: &Log<'_>, text: &str, syntax_errors: &[tree::SyntaxError]) {
    let broken: BTreeSet<usize> =
        syntax_errors.iter().filter_map(|error| log.line_of(&Place::File(error.span.clone()))).collect();
    let mut doubtful = BTreeSet::new();
    let mut is_below_broken_header = false;
    for (line, written) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        let is_broken = broken.contains(&line);
        if written.trim_start().starts_with('[') {
            is_below_broken_header = is_broken;
        }
        if is_broken || is_below_broken_header {
            doubtful.insert(line);
        }
    }
    log.settle();
    log.retain(|diagnostic| {
        diagnostic.code != Code::Missing && !diagnostic.at.line.is_some_and(|line| doubtful.contains(&line))
    });
}
