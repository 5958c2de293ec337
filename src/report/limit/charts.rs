//! The charts of a limit: what becomes of the traffic along the axis, and each objective with its limit line.

use super::view::View;
use crate::model::metric::Unit;
use crate::report::kit::axis::{self, Axis};
use crate::report::kit::chart::{Chart, Drawn, Table};
use crate::report::kit::number;
use crate::report::kit::objective;
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::{Anchor, Font, Picture, Point};
use crate::report::kit::plot::{self, Key, Limit, Plot};
use crate::report::kit::sheet::Sheet;
use crate::report::kit::traffic;
use crate::study::limit;

/// All charts in their order.
pub(super) fn all(view: &View<'_>) -> Vec<Chart> {
    let points = drawn(view);
    if points.len() < 2 {
        return Vec::new();
    }
    let objectives = view.limit.scenario().slo.len().min(OBJECTIVES.len());
    let charts = (0..objectives).map(|index| objective_chart(view, &points, index));
    std::iter::once(traffic_chart(view, &points)).chain(charts).collect()
}

/// The points near the limit; all where there is none.
fn drawn<'l>(view: &View<'l>) -> Vec<&'l limit::Point> {
    let all = view.limit.points.iter();
    let Some(bracket) = view.bracket() else { return all.collect() };
    let far = bracket.limit.max(bracket.next) * FARTHEST;
    let end = bracket.interval.high.map_or(far, |high| far.max(high * FARTHEST));
    all.filter(|point| point.value <= end).collect()
}

fn traffic_chart(view: &View<'_>, points: &[&limit::Point]) -> Chart {
    let title = format!("Refused and lost along {}", view.name());
    let row = |point: &&limit::Point| {
        let total = &point.traffic.total;
        vec![view.value(point.value), traffic::share(total.refused), traffic::share(total.lost)]
    };
    Chart {
        name: TRAFFIC,
        caption: format!("What becomes of the traffic. {}", band_caption(view)),
        table: Table::new(&[view.name(), "refused", "lost"], points.iter().map(row).collect()),
        drawn: Drawn::of(|sheet| draw_traffic(sheet, view, points, &title)),
        title,
    }
}

fn draw_traffic(sheet: &Sheet, view: &View<'_>, points: &[&limit::Point], title: &str) -> Picture {
    let shares = |point: &&limit::Point| [point.traffic.total.refused.share, point.traffic.total.lost.share];
    let highest = points.iter().flat_map(shares).fold(0.0, f64::max);
    let keys @ [refused, lost] =
        [Key::Line("refused", Colour::Alert, 2.2), Key::Dashes("lost", Colour::Ink, 2.0)];
    let subtitle = "Share of all jobs, the mean over the replications.";
    let y = Axis::linear(Unit::Fraction, highest);
    let (mut picture, frame) = begin(sheet, view, points, y, (title, subtitle), &keys);
    let xs: Vec<f64> = points.iter().map(|point| point.value).collect();
    let of = |part: fn(&limit::Point) -> f64| points.iter().map(move |point| Some(part(point)));
    frame.curve(&mut picture, refused, &xs, of(|point| point.traffic.total.refused.share));
    frame.curve(&mut picture, lost, &xs, of(|point| point.traffic.total.lost.share));
    frame.base_line(&mut picture);
    picture.end(frame.bottom + plot::FOOT)
}

fn objective_chart(view: &View<'_>, points: &[&limit::Point], index: usize) -> Chart {
    let slo = &points[0].slo[index];
    let title = slo.expression.clone();
    let most = most_shown(points, index);
    let is_cut = points.iter().filter_map(|point| figure(point, index)).any(|value| value > most);
    let cut = if is_cut {
        "Where the line leaves the picture the figure is higher: the table has it. "
    } else {
        ""
    };
    let row = |point: &&limit::Point| {
        let result = &point.slo[index];
        vec![view.value(point.value), objective::observed(result), objective::word(result).to_owned()]
    };
    Chart {
        name: OBJECTIVES[index],
        caption: format!(
            "A cross marks a value at which the objective is not met. {cut}{}",
            band_caption(view)
        ),
        table: Table::new(&[view.name(), "figure", "objective"], points.iter().map(row).collect()),
        drawn: Drawn::of(|sheet| draw_objective(sheet, view, points, index)),
        title,
    }
}

fn draw_objective(sheet: &Sheet, view: &View<'_>, points: &[&limit::Point], index: usize) -> Picture {
    let slo = &points[0].slo[index];
    let (unit, limit) = (slo.unit, slo.limit);
    let most = most_shown(points, index);
    let subtitle = format!("The figure that the objective limits, last met at {}.", view.last_met(index));
    let head = (slo.expression.as_str(), subtitle.as_str());
    let (mut picture, frame) = begin(sheet, view, points, Axis::linear(unit, most), head, &[]);
    let label = format!("limit {}", number::value(unit, limit));
    frame.limits(&mut picture, &[Limit { value: limit, label, colour: Colour::Limit }]);
    let values: Vec<(f64, f64)> =
        points.iter().filter_map(|point| Some((point.value, figure(point, index)?))).collect();
    let (xs, ys): (Vec<f64>, Vec<f64>) = values.iter().copied().unzip();
    frame.reading(&mut picture, FIGURE, Colour::Main, &xs, ys.into_iter().map(Some));
    frame.of_series(&mut picture, FIGURE, |picture| {
        for run in within(&values, most) {
            let (xs, ys): (Vec<f64>, Vec<f64>) = run.into_iter().unzip();
            frame.line(picture, &xs, ys.into_iter().map(Some), Colour::Main, 2.2);
        }
    });
    frame.moving(&mut picture, |picture| {
        for point in points {
            let Some(value) = figure(point, index).filter(|value| *value <= most) else { continue };
            let at = frame.at(point.value, value);
            if point.slo[index].pass {
                picture.dot(at, 3.5, Colour::Main, true);
            } else {
                cross(picture, at);
            }
        }
    });
    frame.base_line(&mut picture);
    picture.end(frame.bottom + plot::FOOT)
}

/// What the objective limits, where it was observed.
fn figure(point: &limit::Point, index: usize) -> Option<f64> {
    point.slo[index].observed.filter(|value| value.is_finite())
}

fn most_shown(points: &[&limit::Point], index: usize) -> f64 {
    highest(points.iter().filter_map(|point| figure(point, index)), points[0].slo[index].limit)
}

/// The top of a chart that shows the limit well: figures far beyond it would press it to the ground.
fn highest(values: impl Iterator<Item = f64> + Clone, limit: f64) -> f64 {
    let reach = axis::reach(values, &[limit]);
    if limit > 0.0 { reach.min(limit * MOST_ABOVE) } else { reach }
}

/// The parts of a line that are not above `most`, with the points at which it crosses that height.
fn within(values: &[(f64, f64)], most: f64) -> Vec<Vec<(f64, f64)>> {
    let mut runs = vec![Vec::new()];
    let mut add = |point: (f64, f64), ends: bool| {
        runs.last_mut().expect("there is always one").push(point);
        if ends {
            runs.push(Vec::new());
        }
    };
    let crossing =
        |(x, y): (f64, f64), (to_x, to_y): (f64, f64)| (x + (to_x - x) * (most - y) / (to_y - y), most);
    for (index, &point) in values.iter().enumerate() {
        let before = index.checked_sub(1).map(|index| values[index]);
        match (before, point.1 <= most) {
            (Some(before), true) if before.1 > most => {
                add(crossing(before, point), false);
                add(point, false);
            }
            (_, true) => add(point, false),
            (Some(before), false) if before.1 <= most => add(crossing(before, point), true),
            (_, false) => {}
        }
    }
    runs
}

fn band_caption(view: &View<'_>) -> String {
    match view.bracket() {
        Some(_) => {
            format!("The dashed line is the limit, the area around it its {} % interval.", view.confidence())
        }
        None => String::new(),
    }
}

fn x_axis(view: &View<'_>, points: &[&limit::Point]) -> Axis {
    let (low, high) = (points[0].value, points[points.len() - 1].value);
    let mut x = Axis::around(view.unit(), low, high);
    let suffix = number::scale(view.unit(), high).suffix.trim();
    x.unit = match (view.unit(), suffix) {
        (Unit::PerSecond, _) => format!("{} (jobs/s)", view.name()),
        (_, "") if view.name() == "load" => "load, as a multiple of the scenario's".to_owned(),
        (_, "") => view.name().to_owned(),
        (_, suffix) => format!("{} ({suffix})", view.name()),
    };
    x
}

/// Heading, key, the interval of the limit as an area, grid, and the limit as a line.
fn begin(
    sheet: &Sheet,
    view: &View<'_>,
    points: &[&limit::Point],
    y: Axis,
    (title, subtitle): (&str, &str),
    keys: &[Key<'_>],
) -> (Picture, Plot) {
    let mut picture = Picture::on(sheet);
    let top = plot::head(&mut picture, sheet, title, subtitle, keys) + LIMIT_ROOM;
    let mut frame = Plot::on(sheet, top, HEIGHT, x_axis(view, points), y);
    frame.join(&mut picture, "along", title);
    if let Some(bracket) = view.bracket() {
        let left = bracket.interval.low.map_or(frame.left, |low| frame.x_of(low));
        let right = bracket.interval.high.map_or(frame.right, |high| frame.x_of(high));
        frame.moving(&mut picture, |picture| {
            picture.rect((left, frame.top), (right.max(left + 1.5), frame.bottom), Colour::Good, 0.18);
        });
    }
    frame.grid(&mut picture);
    if let Some(bracket) = view.bracket() {
        let x = frame.x_of(bracket.limit);
        let label = format!("limit {}", view.value(bracket.limit));
        let half = Font::SMALL.width_of(&label) / 2.0;
        let at = x.clamp(frame.left + half, frame.right - half);
        frame.moving(&mut picture, |picture| {
            picture.dashed((x, frame.top - 6.0), (x, frame.bottom), Colour::Good, 1.6, 7.0, 5.0);
            picture.label((at, frame.top - 14.0), label, Font::SMALL.coloured(Colour::Ink), Anchor::Middle);
        });
    }
    (picture, frame)
}

fn cross(picture: &mut Picture, (x, y): Point) {
    for direction in [1.0, -1.0] {
        let (from, to) = ((x - CROSS, y - CROSS * direction), (x + CROSS, y + CROSS * direction));
        picture.line(vec![from, to], Colour::Alert, 2.0);
    }
}

const TRAFFIC: &str = "traffic";
/// Further objectives have no chart; `points.csv` has them.
const OBJECTIVES: [&str; 12] = [
    "objective-1",
    "objective-2",
    "objective-3",
    "objective-4",
    "objective-5",
    "objective-6",
    "objective-7",
    "objective-8",
    "objective-9",
    "objective-10",
    "objective-11",
    "objective-12",
];
/// The names of all charts that the report of any limit may have.
pub(super) const NAMES: [&str; 13] = {
    let mut names = [TRAFFIC; 13];
    let mut index = 0;
    while index < OBJECTIVES.len() {
        names[index + 1] = OBJECTIVES[index];
        index += 1;
    }
    names
};
const HEIGHT: f64 = 230.0;
/// Above a plot, for the limit.
const LIMIT_ROOM: f64 = 28.0;
/// What the curve of an objective is called.
const FIGURE: &str = "figure";
const CROSS: f64 = 4.0;
/// Figures of more than so many times what the objective allows are not drawn.
const MOST_ABOVE: f64 = 4.0;
/// Values beyond so many times the limit are not drawn.
const FARTHEST: f64 = 1.35;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_leaves_the_picture_where_it_crosses_its_top() {
        let line = [(0.0, 1.0), (1.0, 2.0), (2.0, 4.0), (3.0, 9.0), (4.0, 3.0)];
        let runs = within(&line, 3.0);
        assert_eq!(runs, [vec![(0.0, 1.0), (1.0, 2.0), (1.5, 3.0)], vec![(4.0, 3.0), (4.0, 3.0)]]);
        assert_eq!(within(&line, 9.0), [line.to_vec()]);
    }

    #[test]
    fn the_limit_is_not_pressed_to_the_ground() {
        let reaches = [highest([1.0, 500.0].into_iter(), 20.0), highest([1.0, 30.0].into_iter(), 20.0)];
        assert_eq!(reaches.map(|reach| reach as u64), [80, 30]);
        assert_eq!(highest([7.0].into_iter(), 0.0) as u64, 7);
    }
}
