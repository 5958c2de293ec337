//! The frame of a chart: heading, key, axes and grid around the rectangle that shows the values.
//!
//! Charts over time share their left and right edges, so that they align vertically.

use super::axis::Axis;
use super::labels;
use super::live::{Course, Role};
use super::palette::Colour;
use super::picture::{Anchor, Font, Picture, Point};
use super::sheet::{MARGIN, Sheet};

/// A rectangle with a value axis on its left and another below.
#[derive(Clone, Debug)]
pub(crate) struct Plot {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    /// Its number in the picture, once it is live.
    id: Option<usize>,
}

/// An entry of the key above a plot.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key<'a> {
    /// A line in that colour and width.
    Line(&'a str, Colour, f64),
    /// The same in dashes.
    Dashes(&'a str, Colour, f64),
    /// An area in that colour and opacity.
    Area(&'a str, Colour, f64),
}

/// A limit, drawn across the plot.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) value: f64,
    pub(crate) label: String,
    pub(crate) colour: Colour,
}

/// Writes title, subtitle and key, each in as many lines as the sheet needs, and returns where they end.
pub(crate) fn head(
    picture: &mut Picture,
    sheet: &Sheet,
    title: &str,
    subtitle: &str,
    entries: &[Key<'_>],
) -> f64 {
    let bottom = heading(picture, sheet, title, subtitle);
    key(picture, sheet, bottom, entries)
}

/// Writes title and subtitle, and returns where they end.
pub(crate) fn heading(picture: &mut Picture, sheet: &Sheet, title: &str, subtitle: &str) -> f64 {
    let font = sheet.pick(Font::TITLE, Font { size: 17.0, ..Font::TITLE });
    let mut y = 20.0;
    for line in font.wrapped(title, sheet.room()) {
        picture.label((MARGIN, y), line, font, Anchor::Start);
        y += TITLE_LINE;
    }
    y += SUBTITLE_LINE - TITLE_LINE + 5.0;
    for line in Font::SMALL.wrapped(subtitle, sheet.room()) {
        picture.label((MARGIN, y), line, Font::SMALL, Anchor::Start);
        y += SUBTITLE_LINE;
    }
    y - SUBTITLE_LINE + 15.0
}

/// Writes the key below height `top`, and returns where it ends. Each entry is a group, with which the script of a page
/// shows and hides its series.
pub(crate) fn key(picture: &mut Picture, sheet: &Sheet, top: f64, entries: &[Key<'_>]) -> f64 {
    let left = sheet.pick(sheet.left, MARGIN);
    let mut flow = Flow::new(sheet, left, top);
    for entry in entries {
        let text = match *entry {
            Key::Line(text, ..) | Key::Dashes(text, ..) | Key::Area(text, ..) => text,
        };
        let most = sheet.width - left - SWATCH - 6.0;
        let shown = Font::SMALL.shortened(text, most);
        let (x, y) = flow.take(SWATCH + 6.0 + Font::SMALL.width_of(&shown));
        picture.within(Role::Key(text.to_owned()), |picture| {
            match *entry {
                Key::Line(_, colour, width) => picture.line(vec![(x, y), (x + SWATCH, y)], colour, width),
                Key::Dashes(_, colour, width) => picture.dashes(&[(x, y), (x + SWATCH, y)], colour, width),
                Key::Area(_, colour, opacity) => {
                    picture.rect((x, y - 6.0), (x + SWATCH, y + 6.0), colour, opacity);
                }
            }
            picture.label((x + SWATCH + 6.0, y), shown, Font::SMALL, Anchor::Start);
        });
    }
    if entries.is_empty() { top } else { flow.bottom() }
}

/// Places the entries of a key beside one another, and in further rows where they do not fit.
pub(crate) struct Flow {
    left: f64,
    right: f64,
    gap: f64,
    next: Point,
}

impl Flow {
    /// From `left` on, below height `top`.
    pub(crate) fn new(sheet: &Sheet, left: f64, top: f64) -> Self {
        Self { left, right: sheet.width - 4.0, gap: sheet.pick(22.0, 16.0), next: (left, top + 12.0) }
    }

    /// The left end of the middle line of an entry of that width.
    pub(crate) fn take(&mut self, width: f64) -> Point {
        if self.next.0 > self.left && self.next.0 + width > self.right {
            self.next = (self.left, self.next.1 + KEY_ROW);
        }
        let taken = self.next;
        self.next.0 += width + self.gap;
        taken
    }

    /// Where the entries end.
    pub(crate) fn bottom(&self) -> f64 {
        self.next.1 + KEY_ROW - 12.0
    }
}

impl Plot {
    /// A plot between the usual edges of the sheet.
    pub(crate) fn on(sheet: &Sheet, top: f64, height: f64, x: Axis, y: Axis) -> Self {
        Self { left: sheet.left, right: sheet.right, top, bottom: top + height, x, y, id: None }
    }

    /// A plot between these edges.
    pub(crate) fn between((left, right): (f64, f64), (top, bottom): (f64, f64), x: Axis, y: Axis) -> Self {
        Self { left, right, top, bottom, x, y, id: None }
    }

    /// A plot over time. All of a page have the same edges and the same axis.
    pub(crate) fn over_time(sheet: &Sheet, top: f64, height: f64, horizon: f64, y: Axis) -> Self {
        Self::on(sheet, top, height, Axis::time(horizon, sheet.ticks), y)
    }

    /// Lets the script of a page move its cursor over the plot, and zoom it, together with all plots whose x axes have that
    /// name. What is drawn before is not zoomed.
    pub(crate) fn join(&mut self, picture: &mut Picture, name: &'static str, title: &str) {
        let edges = [self.left, self.right, self.top, self.bottom];
        self.id = Some(picture.live.plot(name, title, edges, &self.x, &self.y));
    }

    /// Draws what stands at a place of the x axis and belongs to no series.
    pub(crate) fn moving<T>(&self, picture: &mut Picture, draw: impl FnOnce(&mut Picture) -> T) -> T {
        match self.id {
            Some(id) => picture.within(Role::Moving(id), draw),
            None => draw(picture),
        }
    }

    /// Draws what belongs to the series of that name besides its line.
    pub(crate) fn of_series<T>(
        &self,
        picture: &mut Picture,
        name: &str,
        draw: impl FnOnce(&mut Picture) -> T,
    ) -> T {
        match self.id {
            Some(id) => picture.within(Role::Series(id, name.to_owned()), draw),
            None => draw(picture),
        }
    }

    /// Makes values known to the script of a page, by the name that the series has in the key.
    pub(crate) fn reading(
        &self,
        picture: &mut Picture,
        name: &str,
        colour: Colour,
        xs: &[f64],
        ys: impl IntoIterator<Item = Option<f64>>,
    ) {
        if let Some(id) = self.id {
            picture.live.values(id, (name, colour), xs, ys.into_iter().collect(), Course::Line);
        }
    }

    /// A series as a line, with its values for the script of a page; `None` leaves a gap.
    pub(crate) fn curve(
        &self,
        picture: &mut Picture,
        key: Key<'_>,
        xs: &[f64],
        ys: impl IntoIterator<Item = Option<f64>> + Clone,
    ) {
        match key {
            Key::Line(name, colour, width) => {
                self.reading(picture, name, colour, xs, ys.clone());
                self.of_series(picture, name, |picture| self.line(picture, xs, ys, colour, width));
            }
            Key::Dashes(name, colour, width) => {
                self.reading(picture, name, colour, xs, ys.clone());
                let points: Vec<Point> =
                    xs.iter().zip(ys).filter_map(|(x, y)| Some(self.at(*x, y?))).collect();
                self.of_series(picture, name, |picture| picture.dashes(&points, colour, width));
            }
            Key::Area(name, colour, opacity) => {
                let ys: Vec<f64> = ys.into_iter().map(|y| y.unwrap_or(0.0)).collect();
                let zero = vec![0.0; ys.len()];
                self.layer(picture, Key::Area(name, colour, opacity), xs, &zero, &ys);
            }
        }
    }

    /// A range as an area, with its ends for the script of a page.
    pub(crate) fn ribbon(&self, picture: &mut Picture, key: Key<'_>, xs: &[f64], low: &[f64], high: &[f64]) {
        let Key::Area(name, colour, opacity) = key else { unreachable!("a range is an area") };
        if let Some(id) = self.id {
            picture.live.ranges(id, (name, colour), xs, low, high);
        }
        self.of_series(picture, name, |picture| self.band(picture, xs, low, high, colour, opacity));
    }

    /// A layer of a stack as an area; its value is its height.
    pub(crate) fn layer(&self, picture: &mut Picture, key: Key<'_>, xs: &[f64], low: &[f64], high: &[f64]) {
        let Key::Area(name, colour, opacity) = key else { unreachable!("a layer is an area") };
        if let Some(id) = self.id {
            let heights = low.iter().zip(high).map(|(low, high)| Some(high - low)).collect();
            picture.live.values(id, (name, colour), xs, heights, Course::Layer);
        }
        self.of_series(picture, name, |picture| self.band(picture, xs, low, high, colour, opacity));
    }

    pub(crate) fn x_of(&self, value: f64) -> f64 {
        self.left + self.x.position(value) * (self.right - self.left)
    }

    pub(crate) fn y_of(&self, value: f64) -> f64 {
        self.bottom - self.y.position(value) * (self.bottom - self.top)
    }

    pub(crate) fn at(&self, x: f64, y: f64) -> Point {
        (self.x_of(x), self.y_of(y))
    }

    /// Grid lines and the axes' numbers and units.
    pub(crate) fn grid(&self, picture: &mut Picture) {
        self.horizontal_grid(picture);
        self.vertical_grid(picture, true);
        self.x_unit(picture);
        self.y_unit(picture);
    }

    /// What is along the x axis, in its unit.
    pub(crate) fn x_unit(&self, picture: &mut Picture) {
        let text = Font::SMALL.shortened(&self.x.unit, picture.width - 2.0 * MARGIN);
        let half = Font::SMALL.width_of(&text) / 2.0;
        let middle = f64::midpoint(self.left, self.right);
        let middle = middle.min(picture.width - MARGIN - half).max(MARGIN + half);
        picture.label((middle, self.bottom + 42.0), text, Font::SMALL, Anchor::Middle);
    }

    /// What is along the y axis, in its unit.
    pub(crate) fn y_unit(&self, picture: &mut Picture) {
        if !self.y.unit.is_empty() {
            let x = if picture.width < Sheet::WIDE.width { 13.0 } else { 18.0 };
            picture.turned_label((x, f64::midpoint(self.top, self.bottom)), self.y.unit.clone(), Font::SMALL);
        }
    }

    /// Horizontal grid lines with the numbers on the left.
    pub(crate) fn horizontal_grid(&self, picture: &mut Picture) {
        for (value, text) in &self.y.ticks {
            let y = self.y_of(*value);
            picture.line(vec![(self.left, y), (self.right, y)], Colour::Grid, 1.0);
            picture.label((self.left - 8.0, y), text.clone(), Font::SMALL, Anchor::End);
        }
    }

    /// Vertical grid lines, with the numbers below if wanted.
    pub(crate) fn vertical_grid(&self, picture: &mut Picture, numbers: bool) {
        let draw = |picture: &mut Picture| {
            for (value, text) in &self.x.ticks {
                let x = self.x_of(*value);
                picture.line(vec![(x, self.top), (x, self.bottom)], Colour::Grid, 1.0);
                if numbers {
                    picture.label((x, self.bottom + 17.0), text.clone(), Font::SMALL, Anchor::Middle);
                }
            }
        };
        match self.id {
            Some(id) => picture.within(Role::Ticks(id), draw),
            None => draw(picture),
        }
    }

    /// The line under the plot, on top of what was drawn.
    pub(crate) fn base_line(&self, picture: &mut Picture) {
        picture.line(vec![(self.left, self.bottom), (self.right, self.bottom)], Colour::Faint, 1.2);
    }

    /// A line through the values; `None` leaves a gap, and a value between two gaps becomes a dot.
    pub(crate) fn line(
        &self,
        picture: &mut Picture,
        xs: &[f64],
        ys: impl IntoIterator<Item = Option<f64>>,
        colour: Colour,
        width: f64,
    ) {
        let mut run: Vec<Point> = Vec::new();
        let mut finish = |run: &mut Vec<Point>| match run.as_slice() {
            [] => {}
            [alone] => picture.dot(*alone, width, colour, true),
            _ => picture.line(run.clone(), colour, width),
        };
        for (x, y) in xs.iter().zip(ys) {
            match y.filter(|y| y.is_finite()) {
                Some(y) => run.push(self.at(*x, y)),
                None => {
                    finish(&mut run);
                    run.clear();
                }
            }
        }
        finish(&mut run);
    }

    /// The area between two curves.
    pub(crate) fn band(
        &self,
        picture: &mut Picture,
        xs: &[f64],
        low: &[f64],
        high: &[f64],
        colour: Colour,
        opacity: f64,
    ) {
        let upper = xs.iter().zip(high).map(|(x, y)| self.at(*x, *y));
        let lower = xs.iter().zip(low).rev().map(|(x, y)| self.at(*x, *y));
        picture.area(upper.chain(lower).collect(), colour, opacity);
    }

    /// Limits as dashed lines with labels in the right margin; limits above the plot are named at its top.
    pub(crate) fn limits(&self, picture: &mut Picture, limits: &[Limit]) {
        let wanted: Vec<f64> = limits.iter().map(|limit| self.y_of(limit.value)).collect();
        // The larger of two limits at the same height comes on top.
        let nudged: Vec<f64> = wanted.iter().enumerate().map(|(rank, y)| y - rank as f64 * 1e-6).collect();
        let placed = labels::spread(&nudged, LABEL_GAP, self.top, self.bottom);
        for ((limit, y), label_y) in limits.iter().zip(wanted).zip(placed) {
            let beyond = self.y.is_beyond(limit.value);
            if !beyond {
                picture.dashed((self.left, y), (self.right, y), limit.colour, 1.4, 12.0, 6.0);
                picture.line(vec![(self.right, y), (self.right + 12.0, label_y)], limit.colour, 1.0);
            }
            let text = if beyond { format!("↑ {}", limit.label) } else { limit.label.clone() };
            let text = Font::SMALL.shortened(&text, picture.width - self.right - 17.0);
            picture.label(
                (self.right + 15.0, label_y),
                text,
                Font::SMALL.coloured(Colour::Ink),
                Anchor::Start,
            );
        }
    }

    /// Names of curves in the right margin, next to their ends.
    pub(crate) fn end_labels(&self, picture: &mut Picture, ends: &[(Point, &str, Colour)]) {
        let wanted: Vec<f64> = ends.iter().map(|((_, y), ..)| self.y_of(*y)).collect();
        let placed = labels::spread(&wanted, LABEL_GAP, self.top, self.bottom);
        for (((x, y), text, colour), label_y) in ends.iter().zip(placed) {
            picture.within(Role::Key((*text).to_owned()), |picture| {
                picture.line(vec![self.at(*x, *y), (self.right + 12.0, label_y)], *colour, 1.0);
                let at = (self.right + 15.0, label_y);
                picture.label(at, *text, Font::SMALL.coloured(Colour::Ink), Anchor::Start);
            });
        }
    }
}

/// Between the heading, or the key, and a plot.
pub(crate) const GAP: f64 = 14.0;
/// Room for the numbers and the unit below a plot.
pub(crate) const FOOT: f64 = 56.0;
/// Least vertical distance of labels.
pub(crate) const LABEL_GAP: f64 = 17.0;

const SWATCH: f64 = 26.0;
const KEY_ROW: f64 = 20.0;
const TITLE_LINE: f64 = 23.0;
const SUBTITLE_LINE: f64 = 18.0;
