//! The comparison of two scenarios for people and programs: terminal, page, charts, JSON and CSV.

use std::path::{Path, PathBuf};

use crate::compare::Comparison;
use crate::report::kit::chart::Chart;
use crate::report::kit::document;
use crate::report::kit::folder::Draft;
use crate::report::kit::output::{self, Options, PAGE, WriteError};
pub use charts::depth::Course;

mod charts;
mod csv;
pub mod markdown;
mod page;
mod reading;
pub mod terminal;

/// Writes the report into the folder `dir` and returns the path of its page.
///
/// Contents: `report.html`, its summary card as `summary.svg`, its charts as `depth.svg` (if both sides were run, which gives `courses`) and
/// `differences.svg`, `comparison.json` and `differences.csv`. As with a run's report, only an earlier
/// comparison in `dir` is replaced, and the folder is complete or as it was.
///
/// # Errors
///
/// If the file system refuses.
pub fn write(
    dir: &Path,
    comparison: &Comparison,
    courses: Option<&[Course<'_>; 2]>,
) -> Result<PathBuf, WriteError> {
    let draft = Draft::beside(dir)?;
    let charts = charts(comparison, courses);
    output::write_charts(&draft, &charts, &Options::default(), output::plain_name)?;
    output::write_card(&draft, &page::card(comparison), &Options::default())?;
    draft.write(PAGE, &page(comparison, &charts))?;
    draft.write(COMPARISON, &json(comparison)?)?;
    draft.write(DIFFERENCES, &csv::differences(comparison))?;
    draft.publish(|name| output::is_ours(name, &[PAGE, COMPARISON, DIFFERENCES], &charts::NAMES))?;
    Ok(dir.join(PAGE))
}

/// The comparison as one JSON document with a newline at its end: `comparison.json` and what `--json` prints.
///
/// # Errors
///
/// If a value has no place in JSON.
pub fn json(comparison: &Comparison) -> Result<String, WriteError> {
    document::json(comparison)
}

/// The charts in their order.
pub fn charts(comparison: &Comparison, courses: Option<&[Course<'_>; 2]>) -> Vec<Chart> {
    charts::all(comparison, courses)
}

/// The page alone.
pub fn page(comparison: &Comparison, charts: &[Chart]) -> String {
    page::render(comparison, charts)
}

const COMPARISON: &str = "comparison.json";
const DIFFERENCES: &str = "differences.csv";
