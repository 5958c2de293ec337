//! A picture: shapes in logical pixels, written as SVG by `plotters`.
//!
//! Charts only place shapes, so they are plain functions that cannot fail, and tests can ask for
//! the position of a label. The backend takes whole numbers, so a picture is painted larger than it is shown: `scale`
//! device units for one logical pixel.

use plotters::coord::Shift;
use plotters::prelude::{
    Circle, DrawingArea, IntoDrawingArea, PathElement, Polygon, RGBAColor, RGBColor, Rectangle, SVGBackend,
    ShapeStyle, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, FontTransform, IntoTextStyle};

use super::live::{Live, Role};
use super::palette::Colour;
use super::sheet::Sheet;
use super::{font, text};

/// A point in logical pixels from the upper left corner.
pub(crate) type Point = (f64, f64);

/// Shapes on paper, painted in order.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) shapes: Vec<Shape>,
    /// What the script of a page needs to know of it.
    pub(crate) live: Live,
}

/// One thing to paint.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// Begins a group of shapes, up to its [`Shape::Close`]; groups are not nested.
    Open(Role),
    Close,
    Line {
        points: Vec<Point>,
        colour: Colour,
        width: f64,
    },
    Area {
        points: Vec<Point>,
        colour: Colour,
        opacity: f64,
    },
    Rect {
        from: Point,
        to: Point,
        colour: Colour,
        opacity: f64,
    },
    Dot {
        at: Point,
        radius: f64,
        colour: Colour,
        filled: bool,
    },
    Label {
        at: Point,
        text: String,
        font: Font,
        anchor: Anchor,
        turned: bool,
    },
}

/// How a label looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Font {
    /// Height of the line in logical pixels.
    pub(crate) size: f64,
    pub(crate) bold: bool,
    pub(crate) colour: Colour,
}

/// Horizontal anchor of a label's position; vertically it is always the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Font {
    pub(crate) const TITLE: Font = Font { size: 19.0, bold: true, colour: Colour::Ink };
    pub(crate) const TEXT: Font = Font { size: 15.0, bold: false, colour: Colour::Ink };
    pub(crate) const SMALL: Font = Font { size: 14.5, bold: false, colour: Colour::Faint };

    pub(crate) fn coloured(self, colour: Colour) -> Font {
        Font { colour, ..self }
    }

    pub(crate) fn bold(self) -> Font {
        Font { bold: true, ..self }
    }

    /// Width of a text in logical pixels.
    pub(crate) fn width_of(self, text: &str) -> f64 {
        // Measured large, since the result comes in whole pixels.
        f64::from(font::width(text, self.bold, self.size * MEASURING_SCALE)) / MEASURING_SCALE
    }

    /// The text in lines that fit into `room`; a word that is too long is shortened. No text has no line.
    pub(crate) fn wrapped(self, text: &str, room: f64) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            if let Some(last) = lines.last_mut() {
                let longer = format!("{last} {word}");
                if self.width_of(&longer) <= room {
                    *last = longer;
                    continue;
                }
            }
            lines.push(self.shortened(word, room));
        }
        lines
    }

    /// The text, shortened to fit into `room`.
    pub(crate) fn shortened(self, text: &str, room: f64) -> String {
        text::shortened(text, |text| self.width_of(text) <= room)
    }
}

impl Picture {
    /// Empty paper; its height is set by [`Picture::end`].
    pub(crate) fn on(sheet: &Sheet) -> Self {
        let (width, height) = (sheet.width, 0.0);
        let paper =
            Shape::Rect { from: (0.0, 0.0), to: (width, height), colour: Colour::Paper, opacity: 1.0 };
        Self { width, height, shapes: vec![paper], live: Live::default() }
    }

    /// Cuts the paper below what was drawn.
    pub(crate) fn end(mut self, height: f64) -> Self {
        self.height = height;
        let to = (self.width, height);
        self.shapes[0] = Shape::Rect { from: (0.0, 0.0), to, colour: Colour::Paper, opacity: 1.0 };
        self
    }

    /// Draws in a group of that role.
    pub(crate) fn within<T>(&mut self, role: Role, draw: impl FnOnce(&mut Self) -> T) -> T {
        self.shapes.push(Shape::Open(role));
        let drawn = draw(self);
        self.shapes.push(Shape::Close);
        drawn
    }

    pub(crate) fn line(&mut self, points: Vec<Point>, colour: Colour, width: f64) {
        if points.len() > 1 {
            self.shapes.push(Shape::Line { points, colour, width });
        }
    }

    /// A straight line in dashes of `dash` pixels with gaps of `gap`.
    pub(crate) fn dashed(&mut self, from: Point, to: Point, colour: Colour, width: f64, dash: f64, gap: f64) {
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let at = |distance: f64| {
            let share = (distance / length).min(1.0);
            (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share)
        };
        let mut start = 0.0;
        while start < length {
            self.line(vec![at(start), at(start + dash)], colour, width);
            start += dash + gap;
        }
    }

    /// A dashed line through points, distinguishable from a plain one without colour.
    pub(crate) fn dashes(&mut self, points: &[Point], colour: Colour, width: f64) {
        const LENGTHS: [f64; 2] = [9.0, 5.0];
        let mut dash = points.first().map_or_else(Vec::new, |&first| vec![first]);
        let (mut part, mut left) = (0, LENGTHS[0]);
        for pair in points.windows(2) {
            let (mut from, to) = (pair[0], pair[1]);
            let mut length = (to.0 - from.0).hypot(to.1 - from.1);
            while length >= left {
                let share = left / length;
                from = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
                length -= left;
                if part == 0 {
                    dash.push(from);
                    self.line(std::mem::take(&mut dash), colour, width);
                } else {
                    dash.push(from);
                }
                part = 1 - part;
                left = LENGTHS[part];
            }
            left -= length;
            if part == 0 {
                dash.push(to);
            }
        }
        if part == 0 {
            self.line(dash, colour, width);
        }
    }

    pub(crate) fn area(&mut self, points: Vec<Point>, colour: Colour, opacity: f64) {
        if points.len() > 2 {
            self.shapes.push(Shape::Area { points, colour, opacity });
        }
    }

    pub(crate) fn rect(&mut self, from: Point, to: Point, colour: Colour, opacity: f64) {
        self.shapes.push(Shape::Rect { from, to, colour, opacity });
    }

    pub(crate) fn dot(&mut self, at: Point, radius: f64, colour: Colour, filled: bool) {
        self.shapes.push(Shape::Dot { at, radius, colour, filled });
    }

    pub(crate) fn label(&mut self, at: Point, text: impl Into<String>, font: Font, anchor: Anchor) {
        self.shapes.push(Shape::Label { at, text: text.into(), font, anchor, turned: false });
    }

    /// A label that reads from bottom to top.
    pub(crate) fn turned_label(&mut self, at: Point, text: impl Into<String>, font: Font) {
        self.shapes.push(Shape::Label { at, text: text.into(), font, anchor: Anchor::Middle, turned: true });
    }

    /// Size on a backend that is `scale` times finer.
    pub(crate) fn size(&self, scale: f64) -> (u32, u32) {
        ((self.width * scale) as u32, (self.height * scale) as u32)
    }

    /// All shapes as elements of an SVG that is `scale` times finer.
    pub(crate) fn svg_shapes(&self, scale: f64) -> String {
        let mut svg = String::new();
        // Groups are written around what plotters paints, which knows none.
        for run in self.shapes.chunk_by(|one, next| !one.is_boundary() && !next.is_boundary()) {
            match run {
                [Shape::Open(role)] => svg += &self.live.group(role),
                [Shape::Close] => svg += "</g>\n",
                shapes => svg += &self.painted(shapes, scale),
            }
        }
        svg
    }

    fn painted(&self, shapes: &[Shape], scale: f64) -> String {
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, self.size(scale)).into_drawing_area();
        for shape in shapes {
            paint(&area, shape, scale);
        }
        drop(area);
        let (_, inside) = svg.split_once(">\n").expect("an SVG begins with its element");
        inside.strip_suffix("</svg>\n").expect("an SVG ends with its element").to_owned()
    }
}

impl Shape {
    fn is_boundary(&self) -> bool {
        matches!(self, Shape::Open(_) | Shape::Close)
    }
}

fn paint(area: &DrawingArea<SVGBackend<'_>, Shift>, shape: &Shape, scale: f64) {
    let device = |&(x, y): &Point| ((x * scale).round() as i32, (y * scale).round() as i32);
    let devices = |points: &[Point]| {
        let mut points: Vec<(i32, i32)> = points.iter().map(device).collect();
        points.dedup();
        simplified(&points, scale * INVISIBLE)
    };
    let wide = |width: f64| (width * scale).round().max(1.0) as u32;
    let painted = match shape {
        Shape::Open(_) | Shape::Close => return,
        Shape::Line { points, colour, width } => area.draw(&PathElement::new(
            devices(points),
            ShapeStyle { color: rgba(*colour, 1.0), filled: false, stroke_width: wide(*width) },
        )),
        Shape::Area { points, colour, opacity } => {
            area.draw(&Polygon::new(devices(points), rgba(*colour, *opacity).filled()))
        }
        Shape::Rect { from, to, colour, opacity } => {
            area.draw(&Rectangle::new([device(from), device(to)], rgba(*colour, *opacity).filled()))
        }
        Shape::Dot { at, radius, colour, filled } => area.draw(&Circle::new(
            device(at),
            wide(*radius),
            ShapeStyle { color: rgba(*colour, 1.0), filled: *filled, stroke_width: wide(1.5) },
        )),
        Shape::Label { at, text, font, anchor, turned } => {
            let horizontal = match anchor {
                Anchor::Start => HPos::Left,
                Anchor::Middle => HPos::Center,
                Anchor::End => HPos::Right,
            };
            let style = if font.bold { FontStyle::Bold } else { FontStyle::Normal };
            let description = FontDesc::new(FontFamily::Name(FONT_FAMILY), font.size * scale, style);
            let turn = if *turned { FontTransform::Rotate270 } else { FontTransform::None };
            let colour = rgba(font.colour, 1.0);
            let style = description
                .transform(turn)
                .into_text_style(area)
                .color(&colour)
                .pos(Pos::new(horizontal, VPos::Center));
            area.draw(&Text::new(text.as_str(), device(at), style))
        }
    };
    painted.expect("painting into a string does not fail");
}

/// The line without the points that nobody would miss: none is farther than `tolerance` from the line through the others.
///
/// D. H. Douglas, T. K. Peucker: Algorithms for the reduction of the number of points required to represent a digitized line or
/// its caricature, 1973.
fn simplified(points: &[(i32, i32)], tolerance: f64) -> Vec<(i32, i32)> {
    let Some(last) = points.len().checked_sub(1) else { return Vec::new() };
    let mut is_kept = vec![false; points.len()];
    (is_kept[0], is_kept[last]) = (true, true);
    let mut stretches = vec![(0, last)];
    while let Some((from, to)) = stretches.pop() {
        let farthest = (from + 1..to)
            .map(|index| (distance(points[index], points[from], points[to]), index))
            .reduce(|one, other| if other.0 > one.0 { other } else { one });
        if let Some((_, index)) = farthest.filter(|(distance, _)| *distance > tolerance) {
            is_kept[index] = true;
            stretches.extend([(from, index), (index, to)]);
        }
    }
    points.iter().zip(is_kept).filter_map(|(point, is_kept)| is_kept.then_some(*point)).collect()
}

/// Distance of a point from the line segment between two others.
fn distance(point: (i32, i32), from: (i32, i32), to: (i32, i32)) -> f64 {
    let vector = |a: (i32, i32), b: (i32, i32)| (f64::from(b.0 - a.0), f64::from(b.1 - a.1));
    let ((x, y), (along, up)) = (vector(from, point), vector(from, to));
    let squared = along * along + up * up;
    let share = if squared > 0.0 { ((x * along + y * up) / squared).clamp(0.0, 1.0) } else { 0.0 };
    (x - share * along).hypot(y - share * up)
}

fn rgba(colour: Colour, opacity: f64) -> RGBAColor {
    let [_, red, green, blue] = colour.light().to_be_bytes();
    RGBColor(red, green, blue).mix(opacity)
}

/// What the style sheet of a page says for all charts of it, and need not stand at each of their shapes.
pub(super) fn without_what_pages_say(shapes: &str) -> String {
    let family = format!(" font-family=\"{FONT_FAMILY}\"");
    [family.as_str(), " opacity=\"1\"", " stroke=\"none\""]
        .iter()
        .fold(shapes.replace("<polyline fill=\"none\"", "<polyline"), |shapes, said| shapes.replace(said, ""))
}

/// Font families in the SVG. Each is at most as wide as DejaVu Sans, by which labels are
/// measured, so labels overlap nowhere if they do not overlap here.
const FONT_FAMILY: &str = "system-ui, Segoe UI, Roboto, Helvetica, Arial, DejaVu Sans, sans-serif";

const MEASURING_SCALE: f64 = 8.0;

/// Nobody sees a line that is off by so many pixels.
const INVISIBLE: f64 = 0.2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_on_a_straight_line_are_left_out() {
        let line = [(0, 0), (10, 0), (20, 1), (30, 0), (40, 50), (41, 50), (80, 50)];
        assert_eq!(simplified(&line, 1.0), [(0, 0), (30, 0), (40, 50), (80, 50)]);
        assert_eq!(simplified(&line, 0.5), [(0, 0), (20, 1), (30, 0), (40, 50), (80, 50)]);
        assert_eq!(simplified(&[(1, 2)], 1.0), [(1, 2)]);
    }
}
