//! Reports of a sweep, for people and for other programs.

use std::io;
use std::path::{Path, PathBuf};

use crate::report::kit::chart::Chart;
use crate::report::kit::folder::Draft;
use crate::report::kit::output::{self, Options, PAGE, WriteError};
use crate::study::sweep::Sweep;
use view::View;

mod charts;
mod document;
mod page;
mod table;
pub mod terminal;
mod view;

/// Writes the report of a sweep into the folder `dir` and returns the path of its page.
///
/// Contents: `report.html`, its summary card as `summary.svg`, each chart as `<name>.svg` (and `<name>.png` if asked for), `sweep.json`, and the variants
/// as one table in `variants.csv` and `variants.parquet`. An earlier report in `dir` is replaced, other files in it
/// stay. The folder is complete or, after an error, as it was before.
pub fn write(dir: &Path, sweep: &Sweep, options: &Options) -> Result<PathBuf, WriteError> {
    let draft = Draft::beside(dir)?;
    let view = View::of(sweep);
    let charts = charts::all(&view);
    output::write_charts(&draft, &charts, options, output::plain_name)?;
    output::write_card(&draft, &page::card(&view), options)?;
    draft.write(PAGE, &page::render(&view, &charts))?;
    draft.stream(DOCUMENT, |file| document::write(&view, file))?;
    draft.stream(CSV, |file| table::csv(&view, file))?;
    draft.stream(PARQUET, |file| table::parquet(&view, file).map_err(io::Error::other))?;
    draft.publish(|name| output::is_ours(name, &[PAGE, DOCUMENT, CSV, PARQUET], &charts::NAMES))?;
    Ok(dir.join(PAGE))
}

/// The sweep as one JSON document with a newline at its end: `sweep.json` and what `--json` prints.
pub fn json(sweep: &Sweep, to: &mut impl io::Write) -> io::Result<()> {
    document::write(&View::of(sweep), to)
}

/// The page alone.
pub fn html(sweep: &Sweep) -> String {
    let view = View::of(sweep);
    page::render(&view, &charts::all(&view))
}

/// The charts alone, in their order.
pub fn charts(sweep: &Sweep) -> Vec<Chart> {
    charts::all(&View::of(sweep))
}

const DOCUMENT: &str = "sweep.json";
const CSV: &str = "variants.csv";
const PARQUET: &str = "variants.parquet";
