//! What a sweep found, for people and for other programs.

use std::io;
use std::path::{Path, PathBuf};

use super::WriteError;
use super::chart::{self, Chart};
use super::folder::Draft;
use crate::study::sweep::Sweep;
use view::View;

mod document;
mod page;
mod table;
pub mod terminal;
pub(crate) mod view;

/// Writes the report of a sweep into the folder `dir` and returns the path of its page.
///
/// Contents: `report.html`, each chart as `<name>.svg` (and `<name>.png` if asked for), `sweep.json`, and the variants
/// as one table in `variants.csv` and `variants.parquet`. An earlier report in `dir` is replaced, other files in it
/// stay. The folder is complete or, after an error, as it was before.
pub fn write(dir: &Path, sweep: &Sweep, options: &super::Options) -> Result<PathBuf, WriteError> {
    let draft = Draft::beside(dir)?;
    let view = View::of(sweep);
    let charts = chart::sweep::all(&view);
    for chart in &charts {
        draft.write(&format!("{}.svg", chart.name), &chart.svg())?;
        if options.png {
            chart
                .write_png(&draft.path(&format!("{}.png", chart.name)))
                .map_err(|error| WriteError::Chart(chart.name, error))?;
        }
    }
    draft.write(PAGE, &page::render(&view, &charts))?;
    draft.stream(DOCUMENT, |file| document::write(&view, file))?;
    draft.stream(CSV, |file| table::csv(&view, file))?;
    draft.stream(PARQUET, |file| table::parquet(&view, file).map_err(io::Error::other))?;
    draft.publish(is_ours)?;
    Ok(dir.join(PAGE))
}

/// The sweep as one JSON document with a newline at its end: `sweep.json` and what `--json` prints.
pub fn json(sweep: &Sweep, to: &mut impl io::Write) -> io::Result<()> {
    document::write(&View::of(sweep), to)
}

/// The page alone.
pub fn html(sweep: &Sweep) -> String {
    let view = View::of(sweep);
    page::render(&view, &chart::sweep::all(&view))
}

/// The charts alone, in their order.
pub fn charts(sweep: &Sweep) -> Vec<Chart> {
    chart::sweep::all(&View::of(sweep))
}

/// Whether a file of that name in a report's folder is part of the report.
fn is_ours(name: &str) -> bool {
    let is_chart = |stem: &str| chart::sweep::NAMES.contains(&stem);
    [PAGE, DOCUMENT, CSV, PARQUET].contains(&name)
        || name.strip_suffix(".svg").is_some_and(is_chart)
        || name.strip_suffix(".png").is_some_and(is_chart)
}

const PAGE: &str = "report.html";
const DOCUMENT: &str = "sweep.json";
const CSV: &str = "variants.csv";
const PARQUET: &str = "variants.parquet";
