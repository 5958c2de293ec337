//! The results of an earlier run, read back from its folder.
//!
//! `summary.json` is all that is needed: estimates and verdicts. Where `replications.csv` lies beside it and
//! fits, the system-wide metrics of every replication are known as well. What this version of the program
//! does not know is left out, so that results of older and newer ones can still be read.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::summary::{Estimate, Named, SCHEMA, Verdict, as_meant};
use crate::model::metric::{Metric, Unit};

/// What an earlier run left behind.
#[derive(Clone, Debug, Deserialize)]
pub struct Earlier {
    schema: String,
    /// Name of the scenario.
    pub scenario: String,
    /// The command that gives the same again, where the version that wrote it says so.
    #[serde(default)]
    pub command: String,
    /// Master seed.
    pub seed: u64,
    /// Replications that the figures rest on.
    pub replications: u32,
    /// Hash of all results.
    pub digest: String,
    /// Whether all objectives held.
    pub verdict: Verdict,
    /// Whether the run was cut short.
    #[serde(default)]
    pub interrupted: bool,
    /// System-wide metrics.
    pub metrics: Named<Estimate>,
    /// Metrics by job class.
    pub classes: Named<Named<Estimate>>,
    /// The objectives and what came of them.
    #[serde(default)]
    pub slo: Vec<Judged>,
    /// What became of the traffic, where the version that wrote it says so.
    #[serde(default)]
    traffic: Option<Told>,
    /// The file that all this was read from.
    #[serde(skip)]
    pub path: PathBuf,
    /// The system-wide metrics of each replication, in order.
    #[serde(skip)]
    pub table: Option<Table>,
    /// Why there is no such table.
    #[serde(skip)]
    pub no_table: Option<String>,
}

/// What is needed of the traffic: whether some was refused or lost that no objective limits.
#[derive(Clone, Debug, Deserialize)]
struct Told {
    unlimited: Vec<serde::de::IgnoredAny>,
}

/// An objective and what came of it.
#[derive(Clone, Debug, PartialEq, Deserialize, serde::Serialize)]
pub struct Judged {
    /// As written.
    pub expression: String,
    /// Whether it holds.
    pub pass: bool,
    /// Whether the scenario is meant to miss it.
    #[serde(default)]
    pub expected_miss: bool,
    /// False where the runs do not tell.
    #[serde(default = "yes")]
    pub judged: bool,
    /// The left side; `None` if no replication has a value.
    pub observed: Option<f64>,
    /// The metric on the left side.
    pub metric: String,
    /// What that counts in; in results of older versions, what the metric does.
    #[serde(default)]
    pub unit: Option<Unit>,
    /// Replications in which the metric is only a bound.
    #[serde(default)]
    pub censored: u32,
}

/// Older versions judged all.
const fn yes() -> bool {
    true
}

impl Judged {
    /// Whether it is met, or missed where that is what the scenario shows.
    pub fn is_as_meant(&self) -> bool {
        as_meant(self.expected_miss, self.judged, self.pass)
    }

    /// What the left side counts in.
    pub fn unit(&self) -> Unit {
        self.unit.or_else(|| Metric::from_name(&self.metric).map(Metric::unit)).unwrap_or(Unit::Count)
    }
}

/// The metrics of each replication.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<(Metric, Vec<Option<f64>>)>,
}

/// Results that cannot be read: what is wrong, and what would help.
#[derive(Debug)]
pub struct EarlierError {
    message: String,
    help: &'static str,
}

impl std::fmt::Display for EarlierError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n  = {}", self.message, self.help)
    }
}

impl std::error::Error for EarlierError {}

impl Earlier {
    /// Whether a path means the results of an earlier run and no scenario: a folder or a JSON file.
    pub fn is_meant_by(path: &Path) -> bool {
        path.is_dir() || path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
    }

    /// Reads the results in a folder, or in a summary file and what lies beside it.
    ///
    /// # Errors
    ///
    /// If there is no summary, or not one that this version understands.
    pub fn read(path: &Path) -> Result<Self, EarlierError> {
        let file = if path.is_dir() { path.join(SUMMARY) } else { path.to_owned() };
        let failed = |what: String, help| {
            let message = format!("failed to read the results in `{}`: {what}", file.display());
            EarlierError { message, help }
        };
        let text = fs::read_to_string(&file).map_err(|error| failed(error.to_string(), FOLDER_HELP))?;
        let mut earlier: Self =
            serde_json::from_str(&text).map_err(|error| failed(error.to_string(), FOLDER_HELP))?;
        if earlier.schema != SCHEMA {
            let what = format!("they are of schema `{}`, not `{SCHEMA}`", earlier.schema);
            return Err(failed(what, "run the scenario again with this version"));
        }
        match earlier.read_table(&file) {
            Ok(table) => earlier.table = Some(table),
            Err(why) => earlier.no_table = Some(why),
        }
        earlier.path = file;
        Ok(earlier)
    }

    /// The replications beside the summary, if they are those that the summary is about.
    fn read_table(&self, summary: &Path) -> Result<Table, String> {
        if summary.file_name().is_none_or(|name| name != SUMMARY) {
            return Err(format!("only a `{SUMMARY}` has its `{REPLICATIONS}` beside it"));
        }
        if self.interrupted {
            // Which replications had finished is chance, so that their numbers in the file say nothing.
            return Err("the run was interrupted".to_owned());
        }
        let path = summary.with_file_name(REPLICATIONS);
        let text = fs::read_to_string(&path).map_err(|_| format!("there is no `{}`", path.display()))?;
        let table = Table::parse(&text).ok_or_else(|| format!("`{}` is damaged", path.display()))?;
        if self.is_about(&table) { Ok(table) } else { Err(format!("`{}` is of another run", path.display())) }
    }

    /// Whether traffic was refused or lost that no objective limits.
    pub fn has_unlimited(&self) -> bool {
        self.traffic.as_ref().is_some_and(|traffic| !traffic.unlimited.is_empty())
    }

    fn is_about(&self, table: &Table) -> bool {
        table.columns.iter().all(|(metric, values)| {
            let known: Vec<f64> = values.iter().flatten().copied().collect();
            let mean = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
            let expected = self.metrics.get(metric.name()).and_then(|estimate| estimate.mean);
            let fits = match (mean, expected) {
                (Some(mean), Some(expected)) => (mean - expected).abs() <= 1e-9 * expected.abs(),
                (mean, expected) => mean.is_none() && expected.is_none(),
            };
            values.len() == self.replications as usize && fits
        })
    }
}

impl Table {
    /// The values of a metric, one a replication.
    pub fn get(&self, metric: Metric) -> Option<&[Option<f64>]> {
        self.columns.iter().find(|(known, _)| *known == metric).map(|(_, values)| values.as_slice())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().ok()?;
        let mut columns: Vec<(usize, Metric, Vec<Option<f64>>)> = header
            .iter()
            .enumerate()
            .filter_map(|(place, name)| Some((place, Metric::from_name(name)?, Vec::new())))
            .collect();
        for cells in reader.records() {
            let cells = cells.ok()?;
            for (place, _, values) in &mut columns {
                let cell = cells.get(*place)?;
                values.push(if cell.is_empty() { None } else { Some(cell.parse().ok()?) });
            }
        }
        let columns = columns.into_iter().map(|(_, metric, values)| (metric, values)).collect();
        Some(Self { columns })
    }
}

const SUMMARY: &str = "summary.json";
const REPLICATIONS: &str = "replications.csv";
const FOLDER_HELP: &str =
    "allowed: the folder of a report, or the `summary.json` in it; a scenario file ends in .toml";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_knows_its_metrics_and_gaps() {
        let text = "replication,peak_depth_jobs,of_the_future,circuit_cycle_seconds,censored\n\
                    1,40,9,,time_to_open_seconds\n2,42.5,9,1e1,\n";
        let table = Table::parse(text).expect("it is a table");
        assert_eq!(table.get(Metric::PeakDepth), Some(&[Some(40.0), Some(42.5)][..]));
        assert_eq!(table.get(Metric::CircuitCycle), Some(&[None, Some(10.0)][..]));
        assert_eq!(table.get(Metric::Recovery), None);
    }

    #[test]
    fn a_class_may_have_a_comma_in_its_name() {
        let text = "\"lost_jobs{class=a, \"\"b\"\"}\",peak_depth_jobs\r\n1,40\r\n";
        assert_eq!(Table::parse(text).expect("a table").get(Metric::PeakDepth), Some(&[Some(40.0)][..]));
    }

    #[test]
    fn a_damaged_table_is_none() {
        assert!(Table::parse("replication,peak_depth_jobs\n1\n").is_none());
        assert!(Table::parse("replication,peak_depth_jobs\n1,many\n").is_none());
    }
}
