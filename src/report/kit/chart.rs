//! The charts of a report, as SVG for every report and as PNG on request, from the same drawing.
//!
//! Each chart module turns findings into a `picture::Picture`; the only code that knows `plotters` is the one that
//! paints pictures. Every chart also carries its numbers as a table, for those who do not see pictures.

use std::path::Path;

use plotters::prelude::{BitMapBackend, SVGBackend};

use crate::compare::Comparison;
use crate::experiment::Findings;
use crate::experiment::series::Series;
use crate::report::compare::Course;
use crate::report::number;
use crate::report::palette;
use crate::report::reading;
use crate::scenario::Scenario;
use picture::Picture;

mod axis;
mod clients;
mod depth;
mod forest;
mod labels;
mod memory;
pub(crate) mod picture;
pub(crate) mod plan;
mod plot;
mod rates;
mod recovery;
pub(crate) mod sweep;
mod utilisation;
mod versus;
mod waits;
mod workers;

/// One chart with all that belongs to it.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Name of its files.
    pub name: &'static str,
    /// What is shown.
    pub title: String,
    /// How to read it.
    pub caption: String,
    /// The numbers behind it.
    pub table: Table,
    picture: Picture,
}

/// Numbers as text, ready to be shown.
#[derive(Clone, Debug)]
pub struct Table {
    /// Name of each column.
    pub header: Vec<String>,
    /// Rows of as many cells.
    pub rows: Vec<Vec<String>>,
    /// What the reader should know about the selection of rows; may be empty.
    pub remark: String,
}

/// All charts of a report in their order.
pub fn all(scenario: &Scenario, findings: &Findings) -> Vec<Chart> {
    let mut charts = vec![depth::chart(scenario, findings), rates::chart(scenario, findings)];
    charts.extend(clients::chart(scenario, findings));
    charts.extend(workers::chart(scenario, findings));
    charts.extend([
        memory::chart(scenario, findings),
        utilisation::chart(scenario, findings),
        waits::chart(scenario, findings),
    ]);
    charts.extend(recovery::chart(scenario, findings));
    charts
}

/// The charts of a comparison: the courses over time if both sides were run, and what differs.
pub(crate) fn compared(comparison: &Comparison, courses: Option<&[Course<'_>; 2]>) -> Vec<Chart> {
    let over_time = courses.map(|[a, b]| versus::chart(a, b));
    over_time.into_iter().chain(forest::chart(comparison)).collect()
}

/// The names of the charts of a comparison.
pub(crate) const DEPTH: &str = "depth";
pub(crate) const DIFFERENCES: &str = "differences";

/// The names of all charts that any report may have.
pub(crate) const NAMES: [&str; 8] =
    ["depth", "rates", "clients", "workers", "memory", "utilisation", "waits", "recovery"];

/// A drawing that did not work out.
#[derive(Debug)]
pub struct DrawError(String);

impl std::fmt::Display for DrawError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DrawError {}

impl Chart {
    /// The chart as an SVG document, which can also be put into a page as it is.
    ///
    /// It has a title and a description for screen readers, and adapts to a dark screen.
    pub fn svg(&self) -> String {
        let mut painted = String::new();
        let backend = SVGBackend::with_string(&mut painted, self.picture.size(SVG_SCALE));
        self.picture
            .paint(backend, SVG_SCALE)
            .expect("painting into a string with a bundled font does not fail");
        let (_, shapes) = painted.split_once(">\n").unwrap_or(("", &painted));
        let (width, height) = self.picture.size(1.0);
        let (fine_width, fine_height) = self.picture.size(SVG_SCALE);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"{CLASS}\" role=\"img\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {fine_width} {fine_height}\">\n<title>{}</title>\n<desc>{}</desc>\n<style>\n{}</style>\n{shapes}",
            escape(&self.title),
            escape(&self.caption),
            palette::dark_style_sheet(CLASS, shapes),
        )
    }

    /// Writes the chart as a PNG in its light colours, twice as fine as it is meant to be shown.
    pub fn write_png(&self, path: &Path) -> Result<(), DrawError> {
        let backend = BitMapBackend::new(path, self.picture.size(PNG_SCALE));
        self.picture.paint(backend, PNG_SCALE).map_err(|error| DrawError(error.to_string()))
    }
}

impl Table {
    /// A table over time, with about `MOST_ROWS` of the points.
    fn over_time(series: &Series, header: &[&str], cells: impl Fn(usize) -> Vec<String>) -> Self {
        let points = series.seconds.len();
        let every = points.div_ceil(MOST_ROWS).max(1);
        // Counted from the end, so that the last point is always there.
        let chosen = (0..points).filter(|index| (points - 1 - index).is_multiple_of(every));
        let row = |index: usize| {
            let mut row = vec![number::trimmed(series.seconds[index], 3)];
            row.extend(cells(index));
            row
        };
        let remark = if every > 1 {
            format!("Every {every}th point; timeseries.csv has all {points}.")
        } else {
            String::new()
        };
        Self {
            header: header.iter().map(|&name| name.to_owned()).collect(),
            rows: chosen.map(row).collect(),
            remark,
        }
    }
}

/// Replaces what has a meaning of its own in XML and HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in reading::printable(text).chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Class of every chart; its style sheet reaches nothing else in a page.
const CLASS: &str = "backpressure-chart";
/// An SVG has whole coordinates: a quarter of a pixel is fine enough for smooth curves.
const SVG_SCALE: f64 = 4.0;
const PNG_SCALE: f64 = 2.0;
const MOST_ROWS: usize = 60;
