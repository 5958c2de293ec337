//! What is traded for what: cost against loss, with the recovery time as colour, and the variants that none beats.

use super::marks::{self, star};
use crate::model::metric::{Metric, Unit};
use crate::report::kit::axis::Axis;
use crate::report::kit::chart::{Chart, Drawn, Table};
use crate::report::kit::number;
use crate::report::kit::palette::{Colour, STEPS};
use crate::report::kit::picture::{Anchor, Font, Picture, Point};
use crate::report::kit::plot::{self, Flow, Plot};
use crate::report::kit::sheet::Sheet;
use crate::report::sweep::view::{View, variants};
use crate::study::sweep::trade;

pub(super) fn chart(view: &View<'_>) -> Chart {
    let front = view.sweep.front.len();
    let title = "Cost, loss and recovery".to_owned();
    Chart {
        name: "front",
        caption: format!(
            "Loss is the share of offered jobs that were refused or lost. {} of {} are beaten by no other in cost, loss and \
             recovery together (the Pareto front); they are large and coloured by recovery time, the others small. Discs meet \
             every objective, triangles miss one; of those that would hide one another one is drawn. The star is the best of the \
             ranking.",
            number::grouped(front as f64, 0),
            variants(view.sweep.results.len())
        ),
        table: table(view),
        drawn: Drawn::of(|sheet| draw(sheet, view, &title)),
        title,
    }
}

/// A variant with its place in the plot.
struct Mark {
    position: usize,
    at: Point,
}

fn draw(sheet: &Sheet, view: &View<'_>, title: &str) -> Picture {
    let trades: Vec<[f64; 3]> = view.sweep.results.iter().map(trade).collect();
    let bounds = |index: usize| {
        let values = trades.iter().map(|trade| trade[index]).filter(|value| value.is_finite());
        values
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
    };
    let (cheapest, dearest) = bounds(0);
    let mut x = Axis::around(Unit::Count, cheapest, dearest);
    let currency = &view.grid().scenario().cost.currency;
    x.unit = match currency.is_empty() {
        true => view.cost_name().to_owned(),
        false => format!("{} ({currency})", view.cost_name()),
    };
    let mut y = Axis::linear(Unit::Fraction, bounds(1).1.max(LEAST_LOSS));
    y.unit = "loss (% of offered jobs)".to_owned();
    let mut picture = Picture::on(sheet);
    let differing = view.differing(&view.sweep.front);
    let names: Vec<&str> = differing.iter().map(|&axis| view.name(axis)).collect();
    let subtitle = format!("Down and left is better. Labels: {}.", names.join(" · "));
    let heading = plot::heading(&mut picture, sheet, title, &subtitle);
    let in_front = || view.sweep.front.iter().filter(|&&position| trades[position][0].is_finite());
    let recoveries = || in_front().map(|&position| trades[position][2]);
    let (quickest, slowest) =
        (recoveries().fold(f64::INFINITY, f64::min), recoveries().fold(f64::NEG_INFINITY, f64::max));
    let is_logarithmic = quickest > 0.0 && slowest > quickest * WIDE;
    let top = key(&mut picture, sheet, heading, view, (quickest, slowest), is_logarithmic) + plot::GAP;
    let edges = (sheet.left, sheet.width - 24.0);
    let frame = Plot::between(edges, (top, top + PLOT_HEIGHT), x, y);
    frame.grid(&mut picture);

    let mark = |position: usize| {
        let [cost, loss, _] = trades[position];
        cost.is_finite().then(|| Mark { position, at: frame.at(cost, loss) })
    };
    let all = 0..view.sweep.results.len();
    dominated(&mut picture, view, all.filter(|&position| !view.is_in_front(position)).filter_map(mark));
    let front: Vec<Mark> = view.sweep.front.iter().copied().filter_map(mark).collect();
    let colour = |position: usize| {
        let recovery = trades[position][2];
        let share = if slowest <= quickest {
            0.0
        } else if is_logarithmic {
            (recovery / quickest).ln() / (slowest / quickest).ln()
        } else {
            (recovery - quickest) / (slowest - quickest)
        };
        Colour::Step(((share * f64::from(STEPS)) as u8).min(STEPS - 1))
    };
    let radius = if front.len() > MANY { RADIUS * 0.7 } else { RADIUS };
    // Of those that would hide one another the cheapest is drawn.
    let mut drawn: Vec<(Point, bool)> = Vec::new();
    for mark in &front {
        let passes = view.result(mark.position).passes();
        let hides = |&((x, y), other): &(Point, bool)| {
            other == passes && (x - mark.at.0).hypot(y - mark.at.1) < radius * CLOSE
        };
        if !drawn.iter().any(hides) {
            sign(&mut picture, mark.at, radius, colour(mark.position), passes);
            drawn.push((mark.at, passes));
        }
    }
    if let Some(best) = mark(view.best()) {
        star(&mut picture, (best.at.0, best.at.1), RADIUS + 1.5);
    }
    labels(&mut picture, view, &frame, &front, &differing);
    frame.base_line(&mut picture);
    picture.end(frame.bottom + plot::FOOT)
}

/// A disc or a triangle.
fn sign(picture: &mut Picture, (x, y): Point, radius: f64, fill: Colour, passes: bool) {
    if passes {
        picture.dot((x, y), radius, fill, true);
        picture.dot((x, y), radius, Colour::Ink, false);
        return;
    }
    let points = vec![
        (x, y - radius * 1.2),
        (x + radius * 1.1, y + radius * 0.8),
        (x - radius * 1.1, y + radius * 0.8),
    ];
    let outline = points.iter().chain(&points[..2]).copied().collect();
    picture.area(points, fill, 1.0);
    picture.line(outline, Colour::Ink, 1.2);
}

/// Small and light; of those that would lie on one another one is drawn.
fn dominated(picture: &mut Picture, view: &View<'_>, marks: impl Iterator<Item = Mark>) {
    let mut drawn = std::collections::BTreeSet::new();
    for mark in marks {
        let passes = view.result(mark.position).passes();
        let (x, y) = mark.at;
        if !drawn.insert(((x / 3.0).round() as i32, (y / 3.0).round() as i32, passes)) {
            continue;
        }
        if passes {
            picture.dot((x, y), 3.0, Colour::Faint, false);
        } else {
            let points = [(x, y - 3.6), (x + 3.3, y + 2.4), (x - 3.3, y + 2.4), (x, y - 3.6)];
            picture.line(points.to_vec(), Colour::Faint, 1.0);
        }
    }
}

/// Labels the best, the ends of the front and some between, where a label covers neither another one nor a point.
fn labels(picture: &mut Picture, view: &View<'_>, frame: &Plot, front: &[Mark], axes: &[usize]) {
    type Box = (f64, f64, f64, f64);
    let touches = |a: &Box, b: &Box| a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3;
    let around = |(x, y): Point, radius: f64| (x - radius, y - radius, x + radius, y + radius);
    let points: Vec<Box> = front.iter().map(|mark| around(mark.at, RADIUS + 2.0)).collect();
    let mut taken: Vec<Box> = points.clone();
    let every = front.len().div_ceil(MOST_LABELS);
    let evenly = (0..front.len()).filter(|index| index.is_multiple_of(every) || index + 1 == front.len());
    let best = front.iter().position(|mark| mark.position == view.best());
    let mut chosen: Vec<usize> = best.into_iter().collect();
    chosen.extend(evenly.filter(|index| Some(*index) != best));
    for index in chosen {
        let Mark { position, at: (x, y) } = front[index];
        let values = view.values(position);
        let text: Vec<&str> = axes.iter().map(|&axis| values[axis].as_str()).collect();
        let font = Font::SMALL.coloured(Colour::Ink);
        let text = font.shortened(&text.join(" · "), LONGEST_LABEL);
        let (width, half) = (font.width_of(&text), 8.5);
        let gap = RADIUS + 5.0;
        let candidates = [
            (x + gap, y - half),
            (x - gap - width, y - half),
            (x - width / 2.0, y - gap - 2.0 * half),
            (x - width / 2.0, y + gap),
            (x + gap * 0.7, y - gap - half),
            (x + gap * 0.7, y + gap - half),
            (x - gap * 0.7 - width, y - gap - half),
            (x - gap * 0.7 - width, y + gap - half),
        ];
        let boxed = candidates.map(|(left, top)| (left, top, left + width, top + 2.0 * half));
        let fits = |place: &Box| {
            place.0 >= frame.left + 2.0
                && place.2 <= picture.width - 2.0
                && place.1 >= frame.top
                && place.3 <= frame.bottom - 1.0
                && !taken.iter().any(|other| touches(place, other))
        };
        if let Some(place) = boxed.into_iter().find(fits) {
            // Lighter points and grid lines behind a label must not cross its letters.
            picture.rect((place.0 - 1.0, place.1), (place.2 + 1.0, place.3), Colour::Paper, 0.85);
            picture.label((place.0, place.1 + half), text, font, Anchor::Start);
            taken.push(place);
        }
    }
}

/// Says what colours and signs mean, and returns where that ends.
fn key(
    picture: &mut Picture,
    sheet: &Sheet,
    top: f64,
    view: &View<'_>,
    (quickest, slowest): (f64, f64),
    is_logarithmic: bool,
) -> f64 {
    let mut flow = Flow::new(sheet, sheet.pick(20.0, 18.0), top);
    if quickest.is_finite() {
        let shown = |seconds: f64| number::value(Unit::Seconds, seconds);
        if slowest > quickest {
            let low = format!("recovery {}", shown(quickest));
            let high = format!("{}{}", shown(slowest), if is_logarithmic { " (log scale)" } else { "" });
            marks::scale(picture, &mut flow, (&low, &high), STEPS, 14.0);
        } else {
            let text = format!("recovery {} throughout", shown(quickest));
            let at = flow.take(Font::SMALL.width_of(&text));
            picture.label(at, text, Font::SMALL, Anchor::Start);
        }
    }
    let mut entry = |text: &str, draw: &dyn Fn(&mut Picture, Point)| {
        let (x, y) = flow.take(13.0 + Font::SMALL.width_of(text));
        draw(picture, (x, y));
        picture.label((x + 13.0, y), text, Font::SMALL, Anchor::Start);
    };
    let middle = Colour::Step(2);
    let has = |passes: bool| view.sweep.results.iter().any(|result| result.passes() == passes);
    if has(true) && !view.grid().scenario().slo.is_empty() {
        entry("meets all", &|picture, at| sign(picture, at, RADIUS, middle, true));
    }
    if has(false) {
        entry("misses an objective", &|picture, at| sign(picture, at, RADIUS, middle, false));
    }
    if view.sweep.front.len() < view.sweep.results.len() {
        entry("beaten", &|picture, at| picture.dot(at, 3.0, Colour::Faint, false));
    }
    entry("best", &|picture, at| star(picture, at, RADIUS + 1.5));
    flow.bottom()
}

fn table(view: &View<'_>) -> Table {
    let differing = view.differing(&view.sweep.front);
    let mut header: Vec<String> = differing.iter().map(|&axis| view.name(axis).to_owned()).collect();
    header.extend([view.cost_name(), "loss", "recovery", "rank", "objectives"].map(str::to_owned));
    let row = |&position: &usize| {
        let (values, result) = (view.values(position), view.result(position));
        let mut row: Vec<String> = differing.iter().map(|&axis| values[axis].clone()).collect();
        row.extend([
            view.cost(&result.cost),
            number::value(Unit::Fraction, View::loss(result)),
            View::estimate(result, Metric::Recovery),
            view.rank(position),
            if result.passes() { "✓" } else { "✗" }.to_owned(),
        ]);
        row
    };
    let all = view.sweep.front.len();
    let remark = if all > MOST_ROWS {
        format!("The {MOST_ROWS} cheapest of {all}; `front` in variants.csv marks all.")
    } else {
        String::new()
    };
    Table { header, rows: view.sweep.front.iter().take(MOST_ROWS).map(row).collect(), remark }
}

const PLOT_HEIGHT: f64 = 360.0;
const RADIUS: f64 = 6.5;
const MOST_LABELS: usize = 10;
/// From this many on the signs are smaller.
const MANY: usize = 30;
/// Signs nearer to one another than this many radiuses hide one another.
const CLOSE: f64 = 1.2;
/// From this ratio of the slowest to the quickest recovery on the scale is logarithmic.
const WIDE: f64 = 20.0;
const LONGEST_LABEL: f64 = 190.0;
const MOST_ROWS: usize = 60;
/// A loss below this still is next to nothing on the scale.
const LEAST_LOSS: f64 = 1e-4;
