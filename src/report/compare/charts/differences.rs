//! Relative differences with their intervals, one row per metric: those that matter on top, the largest first.
//!
//! A filled diamond is a difference that matters, an open circle one that may be chance, and a triangle at the
//! edge one that the scale cannot show.

use crate::compare::{Comparison, Difference};
use crate::model::metric::Unit;
use crate::report::kit::axis::Axis;
use crate::report::kit::chart::{Chart, Table};
use crate::report::kit::number;
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::{Anchor, Font, Picture, Point};
use crate::report::kit::plot::{self, Plot};

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
        picture: draw(rows, &title),
        title,
    })
}

fn draw(rows: &[&Difference], title: &str) -> Picture {
    let names = rows.iter().map(|row| Font::SMALL.width_of(row.metric.name())).fold(0.0, f64::max);
    let ends = rows.iter().filter_map(|row| {
        let (middle, half_width) = (row.relative?, row.relative_half_width().unwrap_or(0.0));
        Some((middle - half_width, middle + half_width))
    });
    let (low, high) = ends.fold((0.0f64, 0.0f64), |(low, high), end| (low.min(end.0), high.max(end.1)));
    let bottom = TOP + rows.len() as f64 * ROW + 4.0;
    let nothing = Axis::linear(Unit::Count, 1.0);
    let frame = Plot {
        left: MARGIN + names + 14.0,
        right: plot::WIDTH - MARGIN - VALUES,
        top: TOP - 4.0,
        bottom,
        x: Axis::relative(low, high),
        y: nothing,
    };
    let mut picture = Picture::new(plot::WIDTH, bottom + plot::FOOT);
    plot::heading(
        &mut picture,
        title,
        "Mean of B minus mean of A as a share of A's mean, with 95 % intervals.",
    );
    key(&mut picture, plot::HEADING + 12.0);
    frame.vertical_grid(&mut picture, true);
    let unit = format!("difference ({})", frame.x.unit);
    picture.label(((frame.left + frame.right) / 2.0, bottom + 42.0), unit, Font::SMALL, Anchor::Middle);
    let zero = frame.x_of(0.0);
    picture.line(vec![(zero, frame.top), (zero, bottom)], Colour::Ink, 1.4);
    for (index, row) in rows.iter().enumerate() {
        let y = TOP + (index as f64 + 0.5) * ROW;
        picture.line(vec![(frame.left, y), (frame.right, y)], Colour::Grid, 0.5);
        draw_row(&mut picture, &frame, row, y);
    }
    picture
}

fn draw_row(picture: &mut Picture, frame: &Plot, row: &Difference, y: f64) {
    let colour = if row.matters { Colour::Main } else { Colour::Faint };
    let ink = Font::SMALL.coloured(if row.matters { Colour::Ink } else { Colour::Faint });
    picture.label((frame.left - 10.0, y), row.metric.name(), ink, Anchor::End);
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

fn key(picture: &mut Picture, y: f64) {
    let mut x = MARGIN + 8.0;
    for (matters, text) in [(true, "matters (Holm, 5 %)"), (false, "may be chance")] {
        mark(picture, (x, y), matters);
        picture.label((x + 14.0, y), text, Font::SMALL, Anchor::Start);
        x += 14.0 + Font::SMALL.width_of(text) + 30.0;
    }
    picture.area(vec![(x + 6.0, y), (x - 5.0, y - 6.0), (x - 5.0, y + 6.0)], Colour::Main, 1.0);
    picture.label((x + 14.0, y), "off the scale", Font::SMALL, Anchor::Start);
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
const TOP: f64 = plot::HEADING + 36.0;
