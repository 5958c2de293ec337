//! Relative differences with their intervals, one row per metric: those that matter on top, the largest first.
//!
//! A filled diamond is a difference that matters, an open circle one that may be chance, and a triangle at the
//! edge one that the scale cannot show.

use crate::compare::{Comparison, Difference};
use crate::model::metric::Unit;
use crate::report::kit::axis::Axis;
use crate::report::kit::chart::{Chart, Drawn, Table};
use crate::report::kit::number;
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::{Anchor, Font, Picture, Point};
use crate::report::kit::plot::{self, Flow, Plot};
use crate::report::kit::sheet::Sheet;

/// `None` if nothing system-wide differs.
pub(super) fn chart(comparison: &Comparison) -> Option<Chart> {
    let all: Vec<&Difference> = comparison
        .differences
        .iter()
        .filter(|difference| difference.class.is_none() && !difference.is_same())
        .collect();
    let rows = &all[..all.len().min(MOST_ROWS)];
    if rows.is_empty() {
        return None;
    }
    let title = "What differs, B relative to A".to_owned();
    let rest = match all.len() - rows.len() {
        0 => String::new(),
        rest => format!(" {rest} smaller differences are left out."),
    };
    Some(Chart {
        name: "differences",
        caption: format!(
            "Difference of the system-wide means as a share of A's mean, with its 95 % interval. A filled diamond \
             matters; an open circle may be chance, as some of so many intervals exclude zero by chance; a triangle \
             lies beyond the scale, or rises from zero.{rest}"
        ),
        table: table(rows),
        drawn: Drawn::of(|sheet| draw(sheet, rows, &title)),
        title,
    })
}

fn draw(sheet: &Sheet, rows: &[&Difference], title: &str) -> Picture {
    let names = rows.iter().map(|row| Font::SMALL.width_of(row.metric.name())).fold(0.0, f64::max);
    let ends = rows.iter().filter_map(|row| {
        let (middle, half_width) = (row.relative?, row.relative_half_width().unwrap_or(0.0));
        Some((middle - half_width, middle + half_width))
    });
    let (low, high) = ends.fold((0.0f64, 0.0f64), |(low, high), end| (low.min(end.0), high.max(end.1)));
    let nothing = Axis::linear(Unit::Count, 1.0);
    let mut picture = Picture::on(sheet);
    let subtitle = "Mean of B minus mean of A as a share of A's mean, with 95 % intervals.";
    let heading = plot::heading(&mut picture, sheet, title, subtitle);
    let top = key(&mut picture, sheet, heading) + 16.0;
    // On a narrow sheet the name of a metric stands above its row.
    let row_height = sheet.pick(ROW, ROW + NAME_ROW);
    let bottom = top + rows.len() as f64 * row_height + 4.0;
    let left = sheet.pick(MARGIN + names + 14.0, MARGIN + 8.0);
    let mut frame = Plot::between(
        (left, sheet.width - MARGIN - VALUES),
        (top - 4.0, bottom),
        Axis::relative(low, high),
        nothing,
    );
    if sheet.is_narrow() {
        frame.x.thin();
    }
    frame.vertical_grid(&mut picture, true);
    frame.x.unit = format!("difference ({})", frame.x.unit);
    frame.x_unit(&mut picture);
    let zero = frame.x_of(0.0);
    picture.line(vec![(zero, frame.top), (zero, bottom)], Colour::Ink, 1.4);
    for (index, row) in rows.iter().enumerate() {
        let y = top + (index + 1) as f64 * row_height - ROW / 2.0;
        picture.line(vec![(frame.left, y), (frame.right, y)], Colour::Grid, 0.5);
        let name_at = sheet.pick((frame.left - 10.0, y), (MARGIN, y - NAME_ROW + 1.0));
        draw_row(&mut picture, &frame, row, y, (name_at, sheet.pick(Anchor::End, Anchor::Start)));
    }
    picture.end(bottom + plot::FOOT)
}

fn draw_row(
    picture: &mut Picture,
    frame: &Plot,
    row: &Difference,
    y: f64,
    (name_at, anchor): (Point, Anchor),
) {
    let colour = if row.matters { Colour::Main } else { Colour::Faint };
    let ink = Font::SMALL.coloured(if row.matters { Colour::Ink } else { Colour::Faint });
    if anchor == Anchor::Start {
        // Grid lines must not cross its letters.
        let (x, y) = name_at;
        let end = x + ink.width_of(row.metric.name()) + 4.0;
        picture.rect((x, y - 8.0), (end, y + 8.0), Colour::Paper, 1.0);
    }
    picture.label(name_at, row.metric.name(), ink, anchor);
    picture.label((frame.right + 14.0, y), number::relative(row.relative), ink, Anchor::Start);
    // From nothing to something: to the right, unless the something is negative, which no metric is.
    let relative = row.relative.unwrap_or(f64::INFINITY);
    if frame.x.is_beyond(relative) {
        let edge = frame.right;
        return picture.area(
            vec![(edge, y), (edge - 11.0, y - 6.0), (edge - 11.0, y + 6.0)],
            colour,
            if row.matters { 1.0 } else { 0.45 },
        );
    }
    let at = (frame.x_of(relative), y);
    if let Some(half_width) = row.relative_half_width() {
        let ends = [frame.x_of(relative - half_width), frame.x_of(relative + half_width)];
        picture.line(ends.map(|x| (x, y)).to_vec(), colour, 1.8);
        for x in ends {
            picture.line(vec![(x, y - 4.0), (x, y + 4.0)], colour, 1.4);
        }
    }
    mark(picture, at, row.matters);
}

fn mark(picture: &mut Picture, at: Point, matters: bool) {
    let (x, y) = at;
    if matters {
        let diamond = [(0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)];
        picture.area(diamond.map(|(dx, dy)| (x + dx * 6.5, y + dy * 6.5)).to_vec(), Colour::Main, 1.0);
    } else {
        picture.dot(at, 4.5, Colour::Faint, false);
    }
}

/// Says what the marks mean, and returns where that ends.
fn key(picture: &mut Picture, sheet: &Sheet, top: f64) -> f64 {
    let mut flow = Flow::new(sheet, MARGIN + 8.0, top);
    let mut entry = |text: &str, draw: &dyn Fn(&mut Picture, Point)| {
        let (x, y) = flow.take(14.0 + Font::SMALL.width_of(text));
        draw(picture, (x, y));
        picture.label((x + 14.0, y), text, Font::SMALL, Anchor::Start);
    };
    entry("matters (Holm, 5 %)", &|picture, at| mark(picture, at, true));
    entry("may be chance", &|picture, at| mark(picture, at, false));
    entry("off the scale", &|picture, (x, y)| {
        picture.area(vec![(x + 6.0, y), (x - 5.0, y - 6.0), (x - 5.0, y + 6.0)], Colour::Main, 1.0);
    });
    flow.bottom()
}

fn table(rows: &[&Difference]) -> Table {
    let row = |row: &&Difference| {
        let relative = row.relative.filter(|_| row.relative_half_width().is_some());
        let interval = relative.zip(row.relative_half_width()).map_or_else(
            || number::MISSING.to_owned(),
            |(middle, half_width)| {
                let end = |relative: f64| number::relative(Some(relative));
                format!("{} to {}", end(middle - half_width), end(middle + half_width))
            },
        );
        vec![
            row.metric.name().to_owned(),
            number::relative(row.relative),
            interval,
            if row.matters { "matters" } else { "may be chance" }.to_owned(),
        ]
    };
    Table::new(&["metric", "difference", "95 % interval", ""], rows.iter().map(row).collect())
}

const MOST_ROWS: usize = 40;
const ROW: f64 = 22.0;
const MARGIN: f64 = 12.0;
/// Room for the numbers beside the plot.
const VALUES: f64 = 84.0;
/// Height of a name above its row.
const NAME_ROW: f64 = 17.0;
