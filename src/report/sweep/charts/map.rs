//! A metric over two axes: colour tells how much, hatching that an objective is missed, a star which variant is best.
//!
//! With more than two axes the two that matter most to the metric are shown, and in each cell the best-ranked
//! variant over all others. Axes with more values than cells can be told apart are shown in groups, the same way.

use std::ops::Range;

use super::marks::{self, every, every_fitting, star};
use super::measure::Measure;
use crate::report::kit::chart::{Chart, Drawn, Table};
use crate::report::kit::number;
use crate::report::kit::palette::{Colour, STEPS};
use crate::report::kit::picture::{Anchor, Font, Picture, Point};
use crate::report::kit::plot::{self, Flow};
use crate::report::kit::sheet::Sheet;
use crate::report::sweep::view::View;

pub(super) fn chart(view: &View<'_>, measure: &Measure) -> Chart {
    let axes = two_axes(view, measure);
    let map = Map::of(view, measure, axes);
    let title =
        format!("{} by {} and {}", measure.title, view.name(map.columns.axis), view.name(map.rows.axis));
    Chart {
        name: measure.file,
        caption: caption(view, measure, &map),
        table: table(view, measure, &map),
        drawn: Drawn::of(|sheet| draw(sheet, view, measure, &map, &title)),
        title,
    }
}

/// Variants in columns and rows.
struct Map {
    columns: Groups,
    rows: Groups,
    /// Row by row; `None` where every variant was excluded.
    cells: Vec<Option<Cell>>,
    low: f64,
    high: f64,
}

#[derive(Clone, Copy)]
struct Cell {
    position: usize,
    value: Option<f64>,
    passes: bool,
    is_bound: bool,
}

/// The points of an axis in groups of `each`.
struct Groups {
    axis: usize,
    each: usize,
    labels: Vec<String>,
}

impl Groups {
    fn of(view: &View<'_>, axis: usize) -> Self {
        let points = view.axis(axis).points.len();
        let each = points.div_ceil(MOST_GROUPS);
        let labels = (0..points).step_by(each).map(|index| view.point(axis, index)).collect();
        Self { axis, each, labels }
    }

    fn len(&self) -> usize {
        self.labels.len()
    }
}

impl Map {
    fn of(view: &View<'_>, measure: &Measure, axes: [usize; 2]) -> Self {
        let [columns, rows] = axes.map(|axis| Groups::of(view, axis));
        let mut cells = vec![None; columns.len() * rows.len()];
        for &position in &view.sweep.ranking {
            let place = view.place(position);
            let (column, row) = (place[columns.axis] / columns.each, place[rows.axis] / rows.each);
            let result = view.result(position);
            cells[row * columns.len() + column].get_or_insert_with(|| Cell {
                position,
                value: measure.of(result),
                passes: result.passes(),
                is_bound: measure.is_censored(result),
            });
        }
        let values = || cells.iter().flatten().filter_map(|cell| cell.value);
        let (low, high) =
            (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        Self { columns, rows, cells, low, high }
    }

    fn cell(&self, column: usize, row: usize) -> Option<Cell> {
        self.cells[row * self.columns.len() + column]
    }

    /// Whether the values span so much that most of them would look like the lowest.
    fn is_logarithmic(&self) -> bool {
        self.low > 0.0 && self.high > self.low * WIDE
    }

    fn colour(&self, value: f64) -> Colour {
        let share = if self.high <= self.low {
            0.0
        } else if self.is_logarithmic() {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        Colour::Step(((share * f64::from(STEPS)) as u8).min(STEPS - 1))
    }
}

/// The two axes whose values make the largest difference to the metric, the one with more values across.
fn two_axes(view: &View<'_>, measure: &Measure) -> [usize; 2] {
    let mut effects: Vec<(f64, usize)> =
        view.varied.iter().map(|&axis| (variation(view, measure, axis), axis)).collect();
    effects.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut axes = [effects[0].1, effects[1].1];
    axes.sort_unstable();
    axes.sort_by_key(|&axis| std::cmp::Reverse(view.axis(axis).points.len()));
    axes
}

/// How much of the metric's variation lies between the values of an axis: the sum of squares between groups.
fn variation(view: &View<'_>, measure: &Measure, axis: usize) -> f64 {
    let mut sums = vec![(0.0, 0.0); view.axis(axis).points.len()];
    for (position, result) in view.sweep.results.iter().enumerate() {
        if let Some(value) = measure.of(result) {
            let (sum, count) = &mut sums[view.place(position)[axis]];
            *sum += value;
            *count += 1.0;
        }
    }
    let (total, count) = sums.iter().fold((0.0, 0.0), |(a, b), (sum, count)| (a + sum, b + count));
    let mean = if count > 0.0 { total / count } else { 0.0 };
    let between =
        |&(sum, count): &(f64, f64)| if count > 0.0 { count * (sum / count - mean).powi(2) } else { 0.0 };
    sums.iter().map(between).sum()
}

/// Where the cells are.
struct Layout {
    left: f64,
    top: f64,
    cell: (f64, f64),
    columns: usize,
    rows: usize,
}

impl Layout {
    fn of(sheet: &Sheet, top: f64, map: &Map) -> Self {
        let widest = map.rows.labels.iter().map(|label| Font::SMALL.width_of(label)).fold(0.0, f64::max);
        let left = (widest.min(LONGEST_LABEL) + 44.0).max(sheet.pick(sheet.left, 0.0));
        let (columns, rows) = (map.columns.len(), map.rows.len());
        let cell = (
            ((sheet.width - 16.0 - left) / columns as f64).min(WIDEST_CELL),
            (PLOT_HEIGHT / rows as f64).min(HIGHEST_CELL),
        );
        Self { left, top, cell, columns, rows }
    }

    fn right(&self) -> f64 {
        self.left + self.cell.0 * self.columns as f64
    }

    fn bottom(&self) -> f64 {
        self.top + self.cell.1 * self.rows as f64
    }

    /// Corners of a stretch of cells; the first row is at the bottom, as in a plot.
    fn span(&self, columns: Range<usize>, row: usize) -> (Point, Point) {
        let x = |column: usize| self.left + self.cell.0 * column as f64;
        let y = self.bottom() - self.cell.1 * row as f64;
        ((x(columns.start), y - self.cell.1), (x(columns.end), y))
    }

    fn centre(&self, column: usize, row: usize) -> Point {
        let ((left, top), (right, bottom)) = self.span(column..column + 1, row);
        ((left + right) / 2.0, (top + bottom) / 2.0)
    }

    /// The column and row of a point within the map.
    fn at(&self, (x, y): Point) -> (usize, usize) {
        let column = ((x - self.left) / self.cell.0) as usize;
        let row = ((self.bottom() - y) / self.cell.1) as usize;
        (column.min(self.columns - 1), row.min(self.rows - 1))
    }

    fn has_gaps(&self) -> bool {
        self.cell.0 >= 14.0 && self.cell.1 >= 14.0
    }
}

fn draw(sheet: &Sheet, view: &View<'_>, measure: &Measure, map: &Map, title: &str) -> Picture {
    let mut picture = Picture::on(sheet);
    let heading = plot::heading(&mut picture, sheet, title, &subtitle(view, measure, map));
    let top = key(&mut picture, sheet, heading, measure, map) + plot::GAP;
    let layout = Layout::of(sheet, top, map);
    paint_cells(&mut picture, map, &layout);
    hatch(&mut picture, map, &layout);
    let labelled = write_values(&mut picture, measure, map, &layout);
    frame(&mut picture, &layout);
    labels(&mut picture, view, map, &layout);
    let best = map.cells.iter().position(|cell| cell.is_some_and(|cell| cell.position == view.best()));
    if let Some(index) = best {
        let (column, row) = (index % layout.columns, index / layout.columns);
        let ((left, top), _) = layout.span(column..column + 1, row);
        // Beside the number, not on it.
        let at = if labelled {
            (left + 13.0, top + (layout.cell.1 / 2.0).min(14.0))
        } else {
            layout.centre(column, row)
        };
        let is_tight = labelled && layout.cell.0 < 64.0;
        if is_tight {
            star(&mut picture, (left + 6.0, top + 6.0), 6.0);
        } else {
            star(&mut picture, at, 8.0);
        }
    }
    picture.end(layout.bottom() + plot::FOOT)
}

/// Cells of one colour beside one another are one shape: large maps stay small files.
fn paint_cells(picture: &mut Picture, map: &Map, layout: &Layout) {
    let colour = |column: usize, row: usize| {
        map.cell(column, row).and_then(|cell| cell.value).map(|value| map.colour(value))
    };
    for row in 0..layout.rows {
        let mut start = 0;
        while start < layout.columns {
            let here = colour(start, row);
            let mut end = start + 1;
            while end < layout.columns && !layout.has_gaps() && colour(end, row) == here {
                end += 1;
            }
            let ((left, top), (right, bottom)) = layout.span(start..end, row);
            // Without gaps shapes reach under their neighbours, or hairlines would show between them.
            let reach = if layout.has_gaps() { -1.0 } else { 0.5 };
            if let Some(colour) = here {
                picture.rect(
                    (left, top),
                    ((right + reach).min(layout.right()), (bottom + reach).min(layout.bottom())),
                    colour,
                    1.0,
                );
            }
            start = end;
        }
    }
}

/// Diagonals through all cells in which an objective is missed.
fn hatch(picture: &mut Picture, map: &Map, layout: &Layout) {
    let ink = |at: Point| -> Option<Colour> {
        let (column, row) = layout.at(at);
        let cell = map.cell(column, row).filter(|cell| !cell.passes)?;
        Some(cell.value.map_or(Colour::Ink, |value| map.colour(value).contrasting()))
    };
    let mut sum = layout.left + layout.top + HATCH;
    while sum < layout.right() + layout.bottom() {
        let (from, to) = ((sum - layout.bottom()).max(layout.left), (sum - layout.top).min(layout.right()));
        let vertical = (0..=layout.columns).map(|column| layout.left + layout.cell.0 * column as f64);
        let horizontal = (0..=layout.rows).map(|row| sum - (layout.top + layout.cell.1 * row as f64));
        let mut edges: Vec<f64> = vertical.chain(horizontal).filter(|x| *x > from && *x < to).collect();
        edges.extend([from, to]);
        edges.sort_by(f64::total_cmp);
        let mut run: Option<(f64, Colour)> = None;
        for (index, &x) in edges.iter().enumerate() {
            let next = edges
                .get(index + 1)
                .map(|next| (x + next) / 2.0)
                .and_then(|middle| ink((middle, sum - middle)));
            if run.map(|(_, colour)| colour) != next {
                if let Some((start, colour)) = run {
                    picture.line(vec![(start, sum - start), (x, sum - x)], colour, 1.0);
                }
                run = next.map(|colour| (x, colour));
            }
        }
        sum += HATCH * std::f64::consts::SQRT_2;
    }
}

/// The number in each cell, if all of them have room.
fn write_values(picture: &mut Picture, measure: &Measure, map: &Map, layout: &Layout) -> bool {
    let text = |cell: &Cell| {
        let shown = number::optional(measure.unit, cell.value);
        number::bounded(&shown, cell.is_bound)
    };
    if layout.cell.1 < 20.0 || layout.cell.0 < 40.0 {
        return false;
    }
    let widest = map.cells.iter().flatten().map(|cell| Font::SMALL.width_of(&text(cell))).fold(0.0, f64::max);
    if widest + 6.0 > layout.cell.0 {
        return false;
    }
    for row in 0..layout.rows {
        for column in 0..layout.columns {
            let Some(cell) = map.cell(column, row) else { continue };
            let (x, y) = layout.centre(column, row);
            let (text, behind) = (text(&cell), cell.value.map_or(Colour::Paper, |value| map.colour(value)));
            if !cell.passes {
                let half = Font::SMALL.width_of(&text) / 2.0 + 3.0;
                picture.rect((x - half, y - 8.5), (x + half, y + 8.5), behind, 1.0);
            }
            picture.label((x, y), text, Font::SMALL.coloured(behind.contrasting()), Anchor::Middle);
        }
    }
    true
}

fn frame(picture: &mut Picture, layout: &Layout) {
    let (left, top, right, bottom) = (layout.left, layout.top, layout.right(), layout.bottom());
    let corners = vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    picture.line(corners, Colour::Faint, 1.0);
}

fn labels(picture: &mut Picture, view: &View<'_>, map: &Map, layout: &Layout) {
    // Names are too many to be left out, and shortened instead.
    let room =
        |axis: usize, place: f64| match view.axis(axis).points.iter().all(|point| point.number.is_some()) {
            true => f64::INFINITY,
            false => (place - 10.0).max(60.0),
        };
    let across = room(map.columns.axis, layout.cell.0);
    let shown: Vec<String> =
        map.columns.labels.iter().map(|label| Font::SMALL.shortened(label, across)).collect();
    for (column, label) in shown.iter().enumerate().step_by(every(&shown, layout.cell.0)) {
        let (x, _) = layout.centre(column, 0);
        let half = Font::SMALL.width_of(label) / 2.0;
        picture.label(
            (x.min(picture.width - half), layout.bottom() + 17.0),
            label.clone(),
            Font::SMALL,
            Anchor::Middle,
        );
    }
    for (row, label) in
        map.rows.labels.iter().enumerate().step_by(every_fitting(plot::LABEL_GAP, layout.cell.1, layout.rows))
    {
        let (_, y) = layout.centre(0, row);
        picture.label(
            (layout.left - 8.0, y),
            Font::SMALL.shortened(label, LONGEST_LABEL),
            Font::SMALL,
            Anchor::End,
        );
    }
    let font = Font::SMALL;
    let middle = (layout.left + layout.right()) / 2.0;
    let title = font.shortened(&view.title(map.columns.axis), picture.width - 24.0);
    let half = font.width_of(&title) / 2.0;
    let middle = middle.min(picture.width - half - 12.0).max(half + 12.0);
    picture.label((middle, layout.bottom() + 42.0), title, font, Anchor::Middle);
    // Turned, it must not reach beyond the picture either.
    let room = layout.bottom() - layout.top + 2.0 * 40.0;
    let title = view.title(map.rows.axis);
    let title =
        if font.width_of(&title) <= room { title } else { font.shortened(view.name(map.rows.axis), room) };
    picture.turned_label((16.0, (layout.top + layout.bottom()) / 2.0), title, font);
}

/// Above the map: the scale of colours, and what the signs mean. Returns where that ends.
fn key(picture: &mut Picture, sheet: &Sheet, top: f64, measure: &Measure, map: &Map) -> f64 {
    let mut flow = Flow::new(sheet, 12.0, top);
    if map.high.is_finite() {
        let steps = if map.high > map.low { STEPS } else { 1 };
        let low = number::value(measure.unit, map.low);
        let logarithmic = if map.is_logarithmic() { " (log scale)" } else { "" };
        let high = format!("{}{logarithmic}", number::value(measure.unit, map.high));
        marks::scale(picture, &mut flow, (&low, &high), steps, SWATCH);
    }
    let mut entry = |text: &str, width: f64, draw: &dyn Fn(&mut Picture, Point)| {
        let (x, y) = flow.take(width + Font::SMALL.width_of(text));
        draw(picture, (x, y));
        picture.label((x + width, y), text, Font::SMALL, Anchor::Start);
    };
    let boxed = |picture: &mut Picture, (x, y): Point| {
        let (right, top, bottom) = (x + 26.0, y - 8.0, y + 8.0);
        let corners = vec![(x, top), (right, top), (right, bottom), (x, bottom), (x, top)];
        picture.line(corners, Colour::Faint, 1.0);
    };
    let hatched = |picture: &mut Picture, (x, y): Point| {
        for line in 0..3 {
            let at = x + 1.0 + f64::from(line) * 8.0;
            let end = (x + 26.0 - at).min(16.0);
            picture.line(vec![(at, y + 8.0), (at + end, y + 8.0 - end)], Colour::Ink, 1.0);
        }
        boxed(picture, (x, y));
    };
    if map.cells.iter().flatten().any(|cell| !cell.passes) {
        entry("an objective is missed", 34.0, &hatched);
    }
    entry("best variant", 24.0, &|picture, (x, y)| star(picture, (x + 8.0, y), 8.0));
    if map.cells.iter().any(Option::is_none) {
        entry("excluded", 34.0, &boxed);
    }
    flow.bottom()
}

fn subtitle(view: &View<'_>, measure: &Measure, map: &Map) -> String {
    let best = measure.of(view.result(view.best()));
    let others = others(view, map);
    let what = if others.is_empty() {
        String::new()
    } else {
        " Each cell is the best over the other axes.".to_owned()
    };
    format!("Best variant: {}.{what}", number::optional(measure.unit, best))
}

fn others<'v>(view: &'v View<'_>, map: &Map) -> Vec<&'v str> {
    let is_other = |axis: &&usize| **axis != map.columns.axis && **axis != map.rows.axis;
    view.varied.iter().filter(is_other).map(|&axis| view.axis(axis).path.as_str()).collect()
}

fn caption(view: &View<'_>, measure: &Measure, map: &Map) -> String {
    let mut caption = match measure.limit {
        Some(_) => "The observed value of the objective".to_owned(),
        None => format!("Mean over {} replications", view.sweep.study.replications),
    };
    caption += ", the darker the more on white paper. ";
    let others = others(view, map);
    if !others.is_empty() {
        caption += &format!(
            "Of all axes these two make the largest difference; each cell shows the best-ranked variant over {}. ",
            others.join(", ")
        );
    }
    for groups in [&map.columns, &map.rows].into_iter().filter(|groups| groups.each > 1) {
        caption += &format!(
            "Each cell is the best-ranked of {} neighbouring values of {}. ",
            groups.each,
            view.name(groups.axis)
        );
    }
    if map.cells.iter().flatten().any(|cell| !cell.passes) {
        caption += "Hatched: the variant misses an objective. ";
    }
    if map.cells.iter().any(Option::is_none) {
        caption += "Empty: every combination there was excluded. ";
    }
    caption + "The star is the best variant."
}

fn table(view: &View<'_>, measure: &Measure, map: &Map) -> Table {
    if map.columns.len() > MOST_COLUMNS || map.rows.len() > MOST_ROWS {
        return Table::default();
    }
    let corner = format!("{} \\ {}", view.name(map.rows.axis), view.name(map.columns.axis));
    let header = std::iter::once(corner).chain(map.columns.labels.iter().cloned()).collect();
    let row = |(row, label): (usize, &String)| {
        let cells = (0..map.columns.len()).map(|column| match map.cell(column, row) {
            None => "excluded".to_owned(),
            Some(cell) => {
                let sign = if cell.passes { "" } else { " ✗" };
                let shown = number::optional(measure.unit, cell.value);
                format!("{}{sign}", number::bounded(&shown, cell.is_bound))
            }
        });
        std::iter::once(label.clone()).chain(cells).collect()
    };
    let remark =
        if map.cells.iter().flatten().any(|cell| !cell.passes) { "✗: misses an objective." } else { "" };
    Table { header, rows: map.rows.labels.iter().enumerate().map(row).collect(), remark: remark.to_owned() }
}

const MOST_GROUPS: usize = 240;
const MOST_COLUMNS: usize = 16;
const MOST_ROWS: usize = 60;
const PLOT_HEIGHT: f64 = 440.0;
const WIDEST_CELL: f64 = 140.0;
const HIGHEST_CELL: f64 = 48.0;
const LONGEST_LABEL: f64 = 130.0;
/// From this ratio of the highest to the lowest value on the scale is logarithmic.
const WIDE: f64 = 20.0;
const HATCH: f64 = 5.0;
const SWATCH: f64 = 20.0;
