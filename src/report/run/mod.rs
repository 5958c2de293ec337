//! The report of one run: page, text for the terminal, charts, tables, and files for Prometheus.

use std::path::{Path, PathBuf};

use crate::experiment::Findings;
use crate::experiment::summary::Summary;
use crate::report::kit::chart::Chart;
use crate::report::kit::document;
use crate::report::kit::folder::Draft;
use crate::report::kit::output::{self, Options, PAGE, WriteError};
use crate::scenario::Scenario;

pub(crate) mod charts;
pub(crate) mod clients;
pub mod explain;
mod jobs;
mod page;
mod prometheus;
pub(crate) mod reading;
mod sections;
mod tables;
pub mod terminal;

/// Writes the report into the folder `dir` and returns the path of its page.
///
/// Contents: `report.html`, its summary card as `summary.svg`, each chart as `<name>.svg` (card and charts as PNG too if asked for), `summary.json`,
/// `timeseries.csv` and `replications.csv`; for Prometheus, if asked for, `metrics.om`, `alerts.yaml` and `alerts-test.yaml`. An earlier report in `dir` is replaced, other files in it stay. The
/// folder is complete or, after an error, as it was before.
pub fn write(
    dir: &Path,
    scenario: &Scenario,
    findings: &Findings,
    options: &Options,
) -> Result<PathBuf, WriteError> {
    let draft = Draft::beside(dir)?;
    let charts = charts(scenario, findings);
    output::write_charts(&draft, &charts, options, output::plain_name)?;
    output::write_card(&draft, &page::card(scenario, findings), options)?;
    draft.write(PAGE, &page(scenario, findings, &charts))?;
    draft.write(SUMMARY, &json(&findings.summary)?)?;
    draft.write(TIMESERIES, &tables::timeseries(scenario, &findings.series))?;
    draft.write(REPLICATIONS, &tables::replications(findings))?;
    if let Some(epoch) = options.prometheus {
        let scrapes = &findings.scrapes;
        draft.stream(prometheus::METRICS, |out| prometheus::write_metrics(out, scenario, scrapes, epoch))?;
        draft.write(prometheus::RULES, &prometheus::render_rules(scenario))?;
        draft.write(prometheus::TEST, &prometheus::render_test(scenario, scrapes))?;
    }
    draft.publish(|name| output::is_ours(name, &FILES, &charts::NAMES))?;
    Ok(dir.join(PAGE))
}

/// The charts in their order.
pub fn charts(scenario: &Scenario, findings: &Findings) -> Vec<Chart> {
    charts::all(scenario, findings)
}

/// The page alone.
pub fn page(scenario: &Scenario, findings: &Findings, charts: &[Chart]) -> String {
    page::render(scenario, findings, charts)
}

/// The summary as one JSON document with a newline at its end: `summary.json` and what `--json` prints.
pub fn json(summary: &Summary) -> Result<String, WriteError> {
    document::json(summary)
}

const SUMMARY: &str = "summary.json";
const TIMESERIES: &str = "timeseries.csv";
const REPLICATIONS: &str = "replications.csv";
const FILES: [&str; 7] =
    [PAGE, SUMMARY, TIMESERIES, REPLICATIONS, prometheus::METRICS, prometheus::RULES, prometheus::TEST];
