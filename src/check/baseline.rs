//! The baseline file: the accepted results of each scenario, replication by replication.
//!
//! It is kept beside the scenarios and read in reviews: one metric per line, in a fixed order, with exact numbers.
//! Metrics are stored by name, so that a later version with more metrics still reads it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use super::settings;
use crate::experiment::replication::Replication;
use crate::files::{self, FileError};
use crate::model::answer::Answer;
use crate::model::metric::{Metric, Metrics};
use crate::scenario::slo::{Slo, Subject};
use crate::scenario::{Loaded, Scenario};

/// Version of the file; a change that breaks readers counts it up.
pub const SCHEMA: &str = "backpressure-sim/baseline/1";

/// The content of a baseline file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    schema: String,
    /// By the name of the scenario.
    scenarios: BTreeMap<String, Entry>,
}

/// The results of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Version of the program that found it.
    pub version: String,
    /// Master seed.
    pub seed: u64,
    /// How many replications.
    pub replications: u32,
    /// The hash of each replication, in hex.
    digests: Vec<String>,
    /// The settings of experiment and system by their path.
    pub settings: BTreeMap<String, String>,
    metrics: Table,
    classes: BTreeMap<String, Table>,
    /// What the objectives ask beyond the metrics.
    #[serde(default)]
    answers: Answers,
}

/// Answers by the subject of the objective and its class, one for each replication.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Answers {
    /// The least that each can be; none where there is no answer.
    least: BTreeMap<String, Vec<Option<f64>>>,
    /// The most, where that differs.
    most: BTreeMap<String, Vec<Option<f64>>>,
}

/// The metrics of the system or of a class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Table {
    /// By name, a value for each replication.
    values: BTreeMap<String, Vec<Option<f64>>>,
    /// By name, the replications whose value is only a bound.
    censored: BTreeMap<String, Vec<usize>>,
}

/// The replications of an entry, as far as this version knows them.
#[derive(Clone, Debug)]
pub struct Restored {
    /// In their order, with the classes in that of the scenario.
    pub replications: Vec<Replication>,
    /// Metrics that the baseline has not recorded.
    pub unknown: Vec<Metric>,
}

/// A baseline that cannot be used.
#[derive(Debug)]
pub enum BaselineError {
    /// There is no such file.
    Missing(PathBuf),
    /// It cannot be read.
    Unreadable(PathBuf, io::Error),
    /// It is not a baseline.
    Malformed(PathBuf, serde_json::Error),
    /// It has another schema.
    Schema(PathBuf, String),
    /// An entry contradicts itself.
    Inconsistent(String, String),
}

impl std::fmt::Display for BaselineError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "there is no baseline `{}`", path.display()),
            Self::Unreadable(path, error) => {
                write!(f, "the baseline `{}` cannot be read: {error}", path.display())
            }
            Self::Malformed(path, error) => {
                write!(f, "`{}` is not a baseline: {error}", path.display())
            }
            Self::Schema(path, found) => write!(
                f,
                "the baseline `{}` has schema `{found}`, but this version reads `{SCHEMA}`",
                path.display()
            ),
            Self::Inconsistent(scenario, fault) => {
                write!(f, "the baseline of `{scenario}` contradicts itself: {fault}")
            }
        }
    }
}

impl std::error::Error for BaselineError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable(_, error) => Some(error),
            Self::Malformed(_, error) => Some(error),
            _ => None,
        }
    }
}

impl Default for Baseline {
    fn default() -> Self {
        Self { schema: SCHEMA.to_owned(), scenarios: BTreeMap::new() }
    }
}

impl Baseline {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// If there is none, or it is not a baseline that this version reads.
    pub fn load(path: &Path) -> Result<Self, BaselineError> {
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => BaselineError::Missing(path.to_owned()),
            _ => BaselineError::Unreadable(path.to_owned(), error),
        })?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, BaselineError> {
        /// All that every version has.
        #[derive(Deserialize)]
        struct Versioned {
            schema: String,
        }
        let malformed = |error| BaselineError::Malformed(path.to_owned(), error);
        let Versioned { schema } = serde_json::from_str(text).map_err(malformed)?;
        if schema != SCHEMA {
            return Err(BaselineError::Schema(path.to_owned(), schema));
        }
        serde_json::from_str(text).map_err(malformed)
    }

    /// Replaces the file as a whole.
    ///
    /// # Errors
    ///
    /// If the file system refuses; the file is then as it was.
    pub fn save(&self, path: &Path) -> Result<(), FileError> {
        files::replace(path, &self.to_json())
    }

    /// The text of the file.
    pub fn to_json(&self) -> String {
        let mut bytes = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, OneListALine::default());
        self.serialize(&mut serializer).expect("names and numbers always go into memory");
        bytes.push(b'\n');
        String::from_utf8(bytes).expect("JSON is UTF-8")
    }

    /// The results of a scenario.
    pub fn get(&self, scenario: &str) -> Option<&Entry> {
        self.scenarios.get(scenario)
    }

    /// The names of the scenarios, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.scenarios.keys().map(String::as_str)
    }

    /// Accepts new results of a scenario in place of the old ones.
    pub fn insert(&mut self, scenario: &str, entry: Entry) {
        self.scenarios.insert(scenario.to_owned(), entry);
    }
}

impl Entry {
    /// What a scenario found. `recorded` is the scenario as its file and `--set` have it: its own seed and
    /// number of replications may differ from those that were run.
    pub fn new(recorded: &Loaded, seed: u64, replications: &[Replication]) -> Self {
        let scenario = &recorded.scenario;
        let classes = scenario.model.classes.iter().enumerate();
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seed,
            replications: replications.len() as u32,
            digests: replications.iter().map(|replication| format!("{:016x}", replication.digest)).collect(),
            settings: settings::record(recorded),
            metrics: Table::of(replications, None),
            classes: classes
                .map(|(index, class)| (class.name.clone(), Table::of(replications, Some(index))))
                .collect(),
            answers: Answers::of(scenario, replications),
        }
    }

    /// The replications again, with the classes and the questions of a scenario.
    ///
    /// # Errors
    ///
    /// If the entry was tampered with.
    pub fn restore(&self, scenario: &Scenario) -> Result<Restored, BaselineError> {
        let inconsistent = |fault: String| BaselineError::Inconsistent(scenario.name.clone(), fault);
        let count = self.replications as usize;
        if self.digests.len() != count {
            let found = self.digests.len();
            return Err(inconsistent(format!("{found} digests of {count} replications")));
        }
        let system = self.metrics.restore(count).map_err(inconsistent)?;
        let classes = scenario.model.classes.iter().map(|class| &class.name);
        let mut of_classes = Vec::with_capacity(classes.len());
        for class in classes {
            let table = self.classes.get(class).ok_or_else(|| inconsistent(format!("no class `{class}`")))?;
            of_classes.push(table.restore(count).map_err(inconsistent)?.into_iter());
        }
        let mut replications = Vec::with_capacity(count);
        for (digest, system) in self.digests.iter().zip(system) {
            let digest = u64::from_str_radix(digest, 16)
                .map_err(|_| inconsistent(format!("`{digest}` is not a digest")))?;
            let classes = of_classes.iter_mut().filter_map(Iterator::next).collect();
            replications.push(Replication::bare(digest, system, classes));
        }
        self.answers.restore(scenario, &mut replications).map_err(inconsistent)?;
        let is_unknown = |metric: &Metric| !self.metrics.values.contains_key(metric.name());
        Ok(Restored { replications, unknown: Metric::ALL.iter().copied().filter(is_unknown).collect() })
    }
}

impl Answers {
    fn of(scenario: &Scenario, replications: &[Replication]) -> Self {
        let mut answers = Answers::default();
        for slo in scenario.objectives().filter(|slo| slo.metric().is_none()) {
            let of_slo = || replications.iter().map(|replication| replication.answer(slo));
            let name = name_of_answer(scenario, slo);
            answers.least.insert(name.clone(), of_slo().map(|answer| Some(answer?.least)).collect());
            if of_slo().flatten().any(|answer| answer.is_bound()) {
                answers.most.insert(name, of_slo().map(|answer| answer?.most).collect());
            }
        }
        answers
    }

    /// Gives the replications the answers to the questions of the scenario, as far as they are known.
    fn restore(&self, scenario: &Scenario, replications: &mut [Replication]) -> Result<(), String> {
        for slo in scenario.objectives() {
            let Subject::Question { index, .. } = slo.subject else { continue };
            let name = name_of_answer(scenario, slo);
            let Some(least) = self.least.get(&name) else { continue };
            let most = self.most.get(&name).unwrap_or(least);
            if least.len() != replications.len() || most.len() != replications.len() {
                return Err(format!(
                    "{} values of `{name}` in {} replications",
                    least.len(),
                    replications.len()
                ));
            }
            for ((replication, least), most) in replications.iter_mut().zip(least).zip(most) {
                replication.answers.resize(scenario.model.questions.len(), None);
                replication.answers[index] = least.map(|least| Answer { least, most: *most });
            }
        }
        Ok(())
    }
}

fn name_of_answer(scenario: &Scenario, slo: &Slo) -> String {
    let class =
        slo.class.map_or(String::new(), |class| format!(" of {}", scenario.model.classes[class].name));
    format!("{}{class}", slo.subject.name())
}

impl Table {
    fn of(replications: &[Replication], class: Option<usize>) -> Self {
        let mut table = Table::default();
        for &metric in Metric::ALL.iter().filter(|metric| class.is_none() || metric.per_class()) {
            let of_metric = || replications.iter().map(|replication| replication.metrics(class));
            let name = metric.name().to_owned();
            table.values.insert(name.clone(), of_metric().map(|metrics| metrics.get(metric)).collect());
            let censored: Vec<usize> = of_metric()
                .enumerate()
                .filter_map(|(index, metrics)| metrics.is_censored(metric).then_some(index))
                .collect();
            if !censored.is_empty() {
                table.censored.insert(name, censored);
            }
        }
        table
    }

    fn restore(&self, count: usize) -> Result<Vec<Metrics>, String> {
        let mut restored = vec![Metrics::default(); count];
        // Metrics that only a later version knows are skipped.
        for (metric, values) in
            self.values.iter().filter_map(|(name, values)| Some((Metric::from_name(name)?, values)))
        {
            let name = metric.name();
            if values.len() != count {
                return Err(format!("{} values of `{name}` in {count} replications", values.len()));
            }
            let censored = self.censored.get(name).map_or(&[][..], Vec::as_slice);
            if censored.iter().any(|&index| values.get(index).is_none_or(Option::is_none)) {
                return Err(format!("a bound of `{name}` without a value"));
            }
            for (index, (metrics, value)) in restored.iter_mut().zip(values).enumerate() {
                match value {
                    Some(bound) if censored.contains(&index) => metrics.set_or_censor(metric, None, *bound),
                    value => metrics.set(metric, *value),
                }
            }
        }
        Ok(restored)
    }
}

/// Objects with one entry a line, lists in a single one.
#[derive(Default)]
struct OneListALine {
    pretty: PrettyFormatter<'static>,
    lists: usize,
}

impl Formatter for OneListALine {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.lists += 1;
        CompactFormatter.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.lists -= 1;
        // An object that ends after a list has something in it.
        self.pretty.end_array_value(writer)?;
        CompactFormatter.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.pretty.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.end_object_value(writer)
    }
}
