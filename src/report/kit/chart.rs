//! A chart, as SVG for every report and as PNG on request, from the same drawing.
//!
//! Each page has modules that turn findings into a [`Picture`]; the only code that knows `plotters` is the one that
//! paints pictures. Every chart also carries its numbers as a table, for those who do not see pictures.

use std::path::Path;

use plotters::prelude::{BitMapBackend, SVGBackend};

use super::picture::Picture;
use super::{number, palette, text};
use crate::experiment::series::Series;

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
    pub(crate) picture: Picture,
}

/// Numbers as text, ready to be shown.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Name of each column.
    pub header: Vec<String>,
    /// Rows of as many cells.
    pub rows: Vec<Vec<String>>,
    /// What the reader should know about the selection of rows; may be empty.
    pub remark: String,
}

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
    /// A table with a header and rows of as many cells.
    pub(crate) fn new(header: &[&str], rows: Vec<Vec<String>>) -> Self {
        Self { header: header.iter().map(|&name| name.to_owned()).collect(), rows, remark: String::new() }
    }

    /// A table over time, with about `MOST_ROWS` of the points.
    pub(crate) fn over_time(series: &Series, header: &[&str], cells: impl Fn(usize) -> Vec<String>) -> Self {
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
        Self { remark, ..Self::new(header, chosen.map(row).collect()) }
    }
}

/// Replaces what has a meaning of its own in XML and HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text::printable(text).chars() {
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
