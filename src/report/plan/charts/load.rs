//! The configuration at multiples of its load: how long jobs take, and how many are rejected.

use crate::model::metric::Unit;
use crate::plan::Choice;
use crate::plan::what_if::{AtLoad, WhatIf};
use crate::report::kit::axis::Axis;
use crate::report::kit::chart::{Chart, Drawn, Table};
use crate::report::kit::labels;
use crate::report::kit::number;
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::{Anchor, Font, Picture};
use crate::report::kit::plot::{self, Key, Plot};
use crate::report::kit::sheet::Sheet;
use crate::report::plan::view::{View, times};
use crate::units;

/// `None` for a single load: one point is no curve.
pub(super) fn chart(view: &View<'_>, choice: &Choice) -> Option<Chart> {
    let what_if = &choice.what_if;
    if !is_drawn(choice) {
        return None;
    }
    let title = "When the load grows".to_owned();
    Some(Chart {
        name: "load",
        caption: format!(
            "95th percentile of the time from arrival to completion (above) and share of jobs refused (below) at multiples \
             of the load. Hatched, with crosses: some objective is missed. {} {}",
            view.headroom_sentence(choice),
            view.knee_sentence(choice),
        ),
        table: table(what_if),
        drawn: Drawn::of(|sheet| draw(sheet, view, what_if, &title)),
        title,
    })
}

pub(super) fn is_drawn(choice: &Choice) -> bool {
    choice.what_if.loads.len() > 1
}

fn draw(sheet: &Sheet, view: &View<'_>, what_if: &WhatIf, title: &str) -> Picture {
    let loads = &what_if.loads;
    let most = loads.last().map_or(1.0, |load| load.factor);
    let marks = marks(what_if);
    let xs: Vec<f64> = loads.iter().map(|load| load.factor).collect();
    let sojourns: Vec<f64> = loads.iter().map(|load| load.sojourn_p95).collect();
    let rejected: Vec<f64> = loads.iter().map(|load| load.rejected).collect();

    let mut x = Axis::linear(Unit::Count, most);
    let peak = view.plan.peak_rate;
    let rate =
        if peak > 0.0 { format!(", 1 being a peak of {}", units::fmt_rate(peak)) } else { String::new() };
    x.unit = format!("multiple of the planned load{rate}");
    let axis = |values: &[f64], unit: Unit| {
        let highest = values.iter().copied().filter(|value| value.is_finite()).fold(0.0, f64::max);
        Axis::linear(unit, highest)
    };
    let frame = |top: f64, height: f64, y: Axis| Plot::on(sheet, top, height, x.clone(), y);
    // The right edge of the plots.
    let most_shown = most * 2.0;
    let probe = frame(0.0, 1.0, Axis::share());
    let spans: Vec<(f64, f64)> = marks.iter().map(|mark| mark.span(&probe, sheet)).collect();
    let rows = labels::rows(&spans);
    let row_count = rows.iter().max().map_or(0, |last| last + 1);
    let mut picture = Picture::on(sheet);
    let subtitle = format!(
        "Headroom {}. {}",
        View::headroom(what_if),
        match View::breaks_first(what_if).as_str() {
            "nothing" => "No objective is missed at any load tried.".to_owned(),
            what => format!("Breaks first: {what} the load."),
        }
    );
    let keys @ [simulated, _] = [
        Key::Line("simulated", Colour::Main, 2.2),
        Key::Area("an objective is missed (hatched)", Colour::Alert, TINT),
    ];
    let first_row = plot::head(&mut picture, sheet, title, &subtitle, &keys) + 18.0;
    let top = first_row + row_count as f64 * MARK_ROW + 4.0;
    let mut upper = frame(top, UPPER, axis(&sojourns, Unit::Seconds));
    upper.y.unit = format!("p95 time in system ({})", upper.y.unit);
    let mut lower = frame(top + UPPER + BETWEEN, LOWER, axis(&rejected, Unit::Fraction));
    lower.y.unit = "refused (%)".to_owned();

    upper.join(&mut picture, "load", "p95 time in system");
    lower.join(&mut picture, "load", "refused");
    for panel in [&upper, &lower] {
        panel.moving(&mut picture, |picture| {
            for (from, to) in broken(loads, most_shown) {
                hatch(picture, panel, from.max(0.0), to);
            }
        });
        panel.horizontal_grid(&mut picture);
        panel.vertical_grid(&mut picture, panel.bottom >= lower.bottom);
        panel.y_unit(&mut picture);
    }
    lower.x_unit(&mut picture);
    for ((mark, row), (start, _)) in marks.iter().zip(&rows).zip(&spans) {
        let label_y = first_row + *row as f64 * MARK_ROW;
        let at = upper.x_of(mark.factor);
        upper.moving(&mut picture, |picture| {
            picture.dashed((at, label_y - 7.0), (at, lower.bottom), mark.colour, 1.4, mark.dash, 4.0);
            let at = (start + MARK_PADDING, label_y);
            picture.label(at, mark.label.clone(), Font::SMALL.coloured(Colour::Ink), Anchor::Start);
        });
    }
    for (panel, values) in [(&upper, &sojourns), (&lower, &rejected)] {
        panel.curve(&mut picture, simulated, &xs, values.iter().copied().map(Some));
        panel.of_series(&mut picture, "simulated", |picture| {
            for ((x, y), load) in xs.iter().zip(values).zip(loads).filter(|((_, y), _)| y.is_finite()) {
                let at = panel.at(*x, *y);
                if load.missed.is_empty() {
                    picture.dot(at, 4.0, Colour::Main, true);
                } else {
                    // A cross in the colour of the hatching would be invisible.
                    super::candidates::cross(picture, at, Colour::Ink);
                }
            }
        });
        panel.base_line(&mut picture);
    }
    picture.end(lower.bottom + plot::FOOT)
}

/// A load worth a vertical line.
struct Mark {
    factor: f64,
    label: String,
    colour: Colour,
    dash: f64,
}

impl Mark {
    fn span(&self, frame: &Plot, sheet: &Sheet) -> (f64, f64) {
        let width = Font::SMALL.width_of(&self.label) + 2.0 * MARK_PADDING;
        let start = frame.x_of(self.factor).min(sheet.width - width);
        (start, start + width)
    }
}

fn marks(what_if: &WhatIf) -> Vec<Mark> {
    let mut marks =
        vec![Mark { factor: 1.0, label: "planned load 1×".to_owned(), colour: Colour::Good, dash: 14.0 }];
    marks.extend(what_if.knee.map(|factor| Mark {
        factor,
        label: format!("time climbs from {}×", times(factor)),
        colour: Colour::Faint,
        dash: 3.0,
    }));
    marks.extend(what_if.headroom.map(|factor| Mark {
        factor,
        label: format!("headroom to {}×", times(factor)),
        colour: Colour::Limit,
        dash: 7.0,
    }));
    marks.sort_by(|a, b| a.factor.total_cmp(&b.factor));
    marks
}

/// Ranges of the load in which an objective is missed, up to half way to the next load that meets them all.
fn broken(loads: &[AtLoad], end: f64) -> Vec<(f64, f64)> {
    let mut stretches: Vec<(f64, f64)> = Vec::new();
    for (index, load) in loads.iter().enumerate().filter(|(_, load)| !load.missed.is_empty()) {
        let middle = |other: usize| loads.get(other).map(|other| f64::midpoint(other.factor, load.factor));
        let from = index.checked_sub(1).and_then(middle).unwrap_or(0.0);
        let to = middle(index + 1).unwrap_or(end);
        match stretches.last_mut() {
            Some(last) if (last.1 - from).abs() < 1e-9 => last.1 = to,
            _ => stretches.push((from, to)),
        }
    }
    stretches
}

/// Tints and hatches a range, so that it is visible without colour too.
fn hatch(picture: &mut Picture, panel: &Plot, from: f64, to: f64) {
    let (left, right) = (panel.x_of(from), panel.x_of(to));
    let (top, bottom) = (panel.top, panel.bottom);
    picture.rect((left, top), (right, bottom), Colour::Alert, TINT);
    let height = bottom - top;
    let mut start = left - height;
    while start < right {
        // The line runs from (start, bottom) up to the right; cut where it leaves the rectangle.
        let (low, high) = (start.max(left), (start + height).min(right));
        if low < high {
            picture.line(
                vec![(low, bottom - (low - start)), (high, bottom - (high - start))],
                Colour::Alert,
                0.8,
            );
        }
        start += HATCH;
    }
}

fn table(what_if: &WhatIf) -> Table {
    let header = [
        "load",
        "peak rate",
        "p95 time in system",
        "refused",
        "workers busy",
        "recovery",
        "peak depth",
        "Redis peak",
        "Redis full after",
        "reached first",
        "missed",
    ];
    let row = |load: &AtLoad| {
        vec![
            format!("{}×", times(load.factor)),
            number::value(Unit::PerSecond, load.peak_rate),
            number::value(Unit::Seconds, load.sojourn_p95),
            number::value(Unit::Fraction, load.rejected),
            number::value(Unit::Fraction, load.utilisation),
            View::recovery(load.recovery),
            number::grouped(load.peak_depth, 0),
            number::value(Unit::Bytes, load.redis_peak),
            load.oom.map_or("never".to_owned(), |seconds| number::value(Unit::Seconds, seconds)),
            load.limits.first().map_or("–".to_owned(), |(limit, _)| (*limit).to_owned()),
            if load.missed.is_empty() { "–".to_owned() } else { load.missed.join("; ") },
        ]
    };
    Table::new(&header, what_if.loads.iter().map(row).collect())
}

const UPPER: f64 = 190.0;
const LOWER: f64 = 120.0;
const BETWEEN: f64 = 22.0;
const MARK_ROW: f64 = 18.0;
const MARK_PADDING: f64 = 5.0;
const HATCH: f64 = 14.0;
const TINT: f64 = 0.10;
