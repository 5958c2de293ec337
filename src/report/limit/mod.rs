//! Reports of the search for a limit, for people and for other programs.

use std::path::{Path, PathBuf};

use crate::report::kit::chart::Chart;
use crate::report::kit::folder::Draft;
use crate::report::kit::output::{self, Options, PAGE, WriteError};
use crate::study::limit::Limit;
use view::View;

mod charts;
mod document;
mod page;
mod table;
pub mod terminal;
mod view;

/// Writes the report of a limit into the folder `dir` and returns the path of its page.
///
/// Contents: `report.html`, its summary card as `summary.svg`, each chart as `<name>.svg` (and `<name>.png` if asked for), `limit.json`, and every value that
/// was tried as a line of `points.csv`. An earlier report in `dir` is replaced, other files in it stay.
///
/// # Errors
///
/// If a file cannot be written; the folder is then as it was before.
pub fn write(dir: &Path, limit: &Limit, options: &Options) -> Result<PathBuf, WriteError> {
    let draft = Draft::beside(dir)?;
    let view = View::of(limit);
    let charts = charts::all(&view);
    output::write_charts(&draft, &charts, options, output::plain_name)?;
    output::write_card(&draft, &page::card(&view), options)?;
    draft.write(PAGE, &page::render(&view, &charts))?;
    draft.write(DOCUMENT, &document::json(limit)?)?;
    draft.write(CSV, &table::csv(limit))?;
    draft.publish(|name| output::is_ours(name, &[PAGE, DOCUMENT, CSV], &charts::NAMES))?;
    Ok(dir.join(PAGE))
}

/// The limit as one JSON document with a newline at its end: `limit.json` and what `--json` prints.
///
/// # Errors
///
/// If it cannot be put into JSON.
pub fn json(limit: &Limit) -> Result<String, WriteError> {
    document::json(limit)
}

/// The page alone.
pub fn html(limit: &Limit) -> String {
    let view = View::of(limit);
    page::render(&view, &charts::all(&view))
}

/// The charts alone, in their order.
pub fn charts(limit: &Limit) -> Vec<Chart> {
    charts::all(&View::of(limit))
}

const DOCUMENT: &str = "limit.json";
const CSV: &str = "points.csv";
