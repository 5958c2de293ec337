//! A chart, as SVG for every report and as PNG on request, made from that SVG.
//!
//! Each page has modules that turn findings into a [`Picture`]; the only code that knows `plotters` is the one that
//! paints pictures. Every chart also has its numbers as a table, for readers who cannot see pictures.

use maud::{Markup, PreEscaped, html};

use super::picture::{Picture, without_what_pages_say};
use super::sheet::Sheet;
use super::text::printable;
use super::{live, number, palette, png};
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
    pub(crate) drawn: Drawn,
}

/// A chart on both sheets.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    wide: Picture,
    narrow: Picture,
}

/// Numbers as text, ready to be shown.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Name of each column.
    pub header: Vec<String>,
    /// Rows of as many cells.
    pub rows: Vec<Vec<String>>,
    /// A note about the selection of rows; may be empty.
    pub remark: String,
}

/// A PNG could not be rendered.
#[derive(Debug)]
pub struct DrawError(String);

impl std::fmt::Display for DrawError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DrawError {}

impl Chart {
    /// The chart as an SVG document, which can be embedded in a page unchanged.
    ///
    /// It has a title and a description for screen readers, and adapts to a dark screen.
    pub fn svg(&self) -> String {
        let shapes = self.drawn.wide.svg_shapes(SVG_SCALE);
        let style = palette::dark_style_sheet(CLASS, &shapes);
        self.element(&self.drawn.wide, SVG_SCALE, CLASS, &shapes, &style)
    }

    /// The chart on both sheets for a page, which shows the one that fits; and what its script needs.
    pub(crate) fn for_page(&self) -> Markup {
        let wide = without_what_pages_say(&self.drawn.wide.svg_shapes(SVG_SCALE));
        let narrow = without_what_pages_say(&self.drawn.narrow.svg_shapes(NARROW_SCALE));
        // One style sheet serves both.
        let style = palette::dark_style_sheet(CLASS, &format!("{wide}{narrow}"));
        let class = |sheet: &str| format!("{CLASS} {sheet}");
        let data = live::json([(&self.drawn.wide.live, SVG_SCALE), (&self.drawn.narrow.live, NARROW_SCALE)]);
        html! {
            (PreEscaped(self.element(&self.drawn.wide, SVG_SCALE, &class("wide"), &wide, &style)))
            (PreEscaped(self.element(&self.drawn.narrow, NARROW_SCALE, &class("narrow"), &narrow, "")))
            @if let Some(data) = data {
                script type="application/json" { (PreEscaped(data)) } "\n"
            }
        }
    }

    fn element(&self, picture: &Picture, scale: f64, class: &str, shapes: &str, style: &str) -> String {
        let (width, height) = picture.size(1.0);
        let (fine_width, fine_height) = picture.size(scale);
        let view_box = format!("0 0 {fine_width} {fine_height}");
        let svg = html! {
            svg xmlns="http://www.w3.org/2000/svg" class=(class) role="img" width=(width) height=(height) viewBox=(view_box) { "\n"
                title { (self.title) } "\n"
                desc { (self.caption) } "\n"
                @if !style.is_empty() { style { "\n" (PreEscaped(style)) } "\n" }
                (PreEscaped(shapes))
            } "\n"
        };
        printable(&svg.into_string())
    }

    /// The chart as a PNG in its light colours, at twice its display size.
    ///
    /// # Errors
    ///
    /// If the program was built without the feature `png`.
    pub fn png(&self) -> Result<Vec<u8>, DrawError> {
        png::render(&self.svg(), PNG_SCALE).map_err(DrawError)
    }
}

impl Drawn {
    /// What `draw` makes of each sheet.
    pub(crate) fn of(draw: impl Fn(&Sheet) -> Picture) -> Self {
        Self { wide: draw(&Sheet::WIDE), narrow: draw(&Sheet::NARROW) }
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

/// CSS class of every chart; limits its style sheet to charts.
const CLASS: &str = "backpressure-chart";
/// SVG coordinates are whole numbers: a quarter of a pixel is fine enough for smooth curves.
const SVG_SCALE: f64 = 4.0;
/// Phones show about so many device pixels for one of the narrow sheet, and bytes are dear on them.
const NARROW_SCALE: f64 = 2.0;
const PNG_SCALE: f32 = 2.0;
const MOST_ROWS: usize = 60;
