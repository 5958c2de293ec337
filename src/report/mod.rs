//! Reports: what an experiment found, for people in a terminal, for people with a browser, and for other programs.
//!
//! Everything here is a plain function from a scenario and its findings to text or pictures; the same input gives the
//! same bytes. [`write()`] puts all of it into one folder.

use std::path::{Path, PathBuf};

use crate::experiment::Findings;
use crate::experiment::summary::Summary;
use crate::model::metric::Unit;
use crate::scenario::Scenario;
use chart::DrawError;
use folder::Draft;
pub use folder::FolderError;

pub mod chart;
pub mod check;
pub mod compare;
mod csv;
mod folder;
pub mod html;
mod number;
mod outcome;
mod palette;
mod parts;
pub mod plan;
mod prometheus;
mod reading;
pub mod sweep;
pub mod terminal;
mod text;

/// What a report contains beyond the usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Also write each chart as PNG.
    pub png: bool,
    /// Also write the samples and the alerts of the first replication for Prometheus, with time zero at so many seconds since 1970.
    pub prometheus: Option<u64>,
}

/// A report that could not be written; the folder is as it was.
#[derive(Debug)]
pub enum WriteError {
    /// The file system refused.
    Folder(FolderError),
    /// A chart could not be drawn.
    Chart(&'static str, DrawError),
    /// The summary could not be put into JSON.
    Json(serde_json::Error),
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            WriteError::Folder(error) => error.fmt(f),
            WriteError::Chart(name, error) => write!(f, "failed to draw chart `{name}`: {error}"),
            WriteError::Json(error) => write!(f, "failed to write the summary as JSON: {error}"),
        }
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            WriteError::Folder(error) => error.source(),
            WriteError::Chart(_, error) => Some(error),
            WriteError::Json(error) => Some(error),
        }
    }
}

impl From<FolderError> for WriteError {
    fn from(error: FolderError) -> Self {
        WriteError::Folder(error)
    }
}

/// Writes the report into the folder `dir` and returns the path of its page.
///
/// Contents: `report.html`, each chart as `<name>.svg` (and `<name>.png` if asked for), `summary.json`,
/// `timeseries.csv` and `replications.csv`; for Prometheus, if asked for, `metrics.om`, `alerts.yaml` and `alerts-test.yaml`. An earlier report in `dir` is replaced, other files in it stay. The
/// folder is complete or, after an error, as it was before.
pub fn write(
    dir: &Path,
    scenario: &Scenario,
    findings: &Findings,
    options: &Options,
) -> Result<PathBuf, WriteError> {
    let draft = Draft::beside(dir)?;
    let charts = chart::all(scenario, findings);
    for chart in &charts {
        draft.write(&format!("{}.svg", chart.name), &chart.svg())?;
        if options.png {
            chart
                .write_png(&draft.path(&format!("{}.png", chart.name)))
                .map_err(|error| WriteError::Chart(chart.name, error))?;
        }
    }
    draft.write(PAGE, &html::render(scenario, findings, &charts))?;
    draft.write(SUMMARY, &summary_json(&findings.summary)?)?;
    draft.write(TIMESERIES, &csv::timeseries(scenario, &findings.series))?;
    draft.write(REPLICATIONS, &csv::replications(findings))?;
    if let Some(epoch) = options.prometheus {
        let scrapes = &findings.scrapes;
        draft.stream(prometheus::METRICS, |out| prometheus::write_metrics(out, scenario, scrapes, epoch))?;
        draft.write(prometheus::RULES, &prometheus::render_rules(scenario))?;
        draft.write(prometheus::TEST, &prometheus::render_test(scenario, scrapes))?;
    }
    draft.publish(is_ours)?;
    Ok(dir.join(PAGE))
}

/// Bytes as people read them: `1.5 GiB`.
pub fn size(bytes: u64) -> String {
    number::value(Unit::Bytes, bytes as f64)
}

/// The summary as one JSON document with a newline at its end: `summary.json` and what `--json` prints.
pub fn summary_json(summary: &Summary) -> Result<String, WriteError> {
    let text = serde_json::to_string_pretty(summary).map_err(WriteError::Json)?;
    Ok(text + "\n")
}

/// Whether a file of that name in a report's folder is part of the report.
fn is_ours(name: &str) -> bool {
    let is_chart = |stem: &str| chart::NAMES.contains(&stem);
    [PAGE, SUMMARY, TIMESERIES, REPLICATIONS].contains(&name)
        || [prometheus::METRICS, prometheus::RULES, prometheus::TEST].contains(&name)
        || name.strip_suffix(".svg").is_some_and(is_chart)
        || name.strip_suffix(".png").is_some_and(is_chart)
}

const PAGE: &str = "report.html";
const SUMMARY: &str = "summary.json";
const TIMESERIES: &str = "timeseries.csv";
const REPLICATIONS: &str = "replications.csv";
