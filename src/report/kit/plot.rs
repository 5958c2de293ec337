//! The frame of a chart: heading, key, axes and grid around the rectangle that shows the values.
//!
//! Charts over time share their left and right edges, so that they align vertically.

use super::axis::Axis;
use super::labels;
use super::palette::Colour;
use super::picture::{Anchor, Font, Picture, Point};

/// A rectangle with a value axis on its left and another below.
#[derive(Clone, Debug)]
pub(crate) struct Plot {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
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

/// Writes title and subtitle; the plot may start below `HEADING`.
pub(crate) fn heading(picture: &mut Picture, title: &str, subtitle: &str) {
    picture.label((MARGIN, 20.0), title, Font::TITLE, Anchor::Start);
    picture.label((MARGIN, 43.0), subtitle, Font::SMALL, Anchor::Start);
}

/// Writes the key in one row around height `y`.
pub(crate) fn key(picture: &mut Picture, y: f64, entries: &[Key<'_>]) {
    let mut x = LEFT;
    for entry in entries {
        let text = match *entry {
            Key::Line(text, colour, width) => {
                picture.line(vec![(x, y), (x + SWATCH, y)], colour, width);
                text
            }
            Key::Dashes(text, colour, width) => {
                picture.dashes(&[(x, y), (x + SWATCH, y)], colour, width);
                text
            }
            Key::Area(text, colour, opacity) => {
                picture.rect((x, y - 6.0), (x + SWATCH, y + 6.0), colour, opacity);
                text
            }
        };
        picture.label((x + SWATCH + 6.0, y), text, Font::SMALL, Anchor::Start);
        x += SWATCH + 6.0 + Font::SMALL.width_of(text) + 22.0;
    }
}

impl Plot {
    /// A plot over the whole width of a chart over time.
    pub(crate) fn over_time(top: f64, bottom: f64, horizon: f64, y: Axis) -> Self {
        Self { left: LEFT, right: RIGHT, top, bottom, x: Axis::time(horizon), y }
    }

    /// Drops every second tick on both axes, for a small plot.
    pub(crate) fn thin(&mut self) {
        for axis in [&mut self.x, &mut self.y] {
            let mut index = 0;
            axis.ticks.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
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
        picture.label(
            ((self.left + self.right) / 2.0, self.bottom + 42.0),
            self.x.unit.clone(),
            Font::SMALL,
            Anchor::Middle,
        );
        if !self.y.unit.is_empty() {
            picture.turned_label((18.0, (self.top + self.bottom) / 2.0), self.y.unit.clone(), Font::SMALL);
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
        for (value, text) in &self.x.ticks {
            let x = self.x_of(*value);
            picture.line(vec![(x, self.top), (x, self.bottom)], Colour::Grid, 1.0);
            if numbers {
                picture.label((x, self.bottom + 17.0), text.clone(), Font::SMALL, Anchor::Middle);
            }
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
            picture.line(vec![self.at(*x, *y), (self.right + 12.0, label_y)], *colour, 1.0);
            picture.label(
                (self.right + 15.0, label_y),
                *text,
                Font::SMALL.coloured(Colour::Ink),
                Anchor::Start,
            );
        }
    }
}

/// Width of every chart.
pub(crate) const WIDTH: f64 = 960.0;
/// Left edge of the plots.
pub(crate) const LEFT: f64 = 84.0;
/// Right edge of the plots; labels of lines stand beyond it.
pub(crate) const RIGHT: f64 = 832.0;
/// Height of title and subtitle.
pub(crate) const HEADING: f64 = 58.0;
/// Room for the numbers and the unit below a plot.
pub(crate) const FOOT: f64 = 56.0;
/// Least vertical distance of labels.
pub(crate) const LABEL_GAP: f64 = 17.0;

const MARGIN: f64 = 12.0;
const SWATCH: f64 = 26.0;
