//! A metric along the only axis: the mean of each variant with its interval.

use super::marks::{every, star};
use super::measure::Measure;
use crate::report::kit::axis::{self, Axis};
use crate::report::kit::chart::{Chart, Drawn, Table};
use crate::report::kit::number;
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::{Anchor, Font, Picture, Point};
use crate::report::kit::plot::{self, Limit, Plot};
use crate::report::kit::sheet::Sheet;
use crate::report::sweep::view::View;

pub(super) fn chart(view: &View<'_>, measure: &Measure, axis: usize) -> Chart {
    let title = format!("{} by {}", measure.title, view.name(axis));
    let has_misses = view.sweep.results.iter().any(|result| !result.passes());
    let what = match measure.limit {
        Some(_) => "The observed value of the objective".to_owned(),
        None => {
            format!("Mean over {} replications; the band is its 95 % interval", view.sweep.study.replications)
        }
    };
    let misses = if has_misses { " A cross marks a variant that misses an objective." } else { "" };
    Chart {
        name: measure.file,
        caption: format!(
            "{what}. The values of the axis stand at equal distances.{misses} The star is the best variant."
        ),
        table: table(view, measure, axis),
        drawn: Drawn::of(|sheet| draw(sheet, view, measure, axis, &title)),
        title,
    }
}

fn draw(sheet: &Sheet, view: &View<'_>, measure: &Measure, axis: usize, title: &str) -> Picture {
    let points = view.axis(axis).points.len();
    let labels: Vec<String> =
        (0..points).map(|index| Font::SMALL.shortened(&view.point(axis, index), LONGEST_LABEL)).collect();
    let width = sheet.right - sheet.left;
    let x = Axis::places(&labels, every(&labels, width / points as f64), view.title(axis));
    let values = view.sweep.results.iter().filter_map(|result| {
        Some(measure.of(result)? + measure.half_width(result).filter(|half| half.is_finite()).unwrap_or(0.0))
    });
    let limits: Vec<f64> = measure.limit.into_iter().collect();
    let y = Axis::linear(measure.unit, axis::reach(values, &limits));
    let mut picture = Picture::on(sheet);
    let best = view.result(view.best());
    let subtitle = format!(
        "Best variant: {} at {}.",
        number::optional(measure.unit, measure.of(best)),
        view.settings(view.best(), &[axis])
    );
    let top = plot::heading(&mut picture, sheet, title, &subtitle) + plot::GAP;
    let frame = Plot::on(sheet, top, PLOT_HEIGHT, x, y);
    frame.grid(&mut picture);
    if let Some(value) = measure.limit {
        let label = format!("limit {}", number::value(measure.unit, value));
        frame.limits(&mut picture, &[Limit { value, label, colour: Colour::Limit }]);
    }
    // One entry for each point of the axis, with gaps where a variant was excluded.
    let mut positions: Vec<Option<usize>> = vec![None; points];
    for position in 0..view.sweep.results.len() {
        positions[view.place(position)[axis]] = Some(position);
    }
    let value = |position: &Option<usize>| position.and_then(|position| measure.of(view.result(position)));
    let is_numeric = view.axis(axis).points.iter().all(|point| point.number.is_some());
    if is_numeric {
        for run in runs(&positions, &value) {
            let half = |index: usize| {
                let half_width =
                    positions[index].and_then(|position| measure.half_width(view.result(position)));
                half_width.filter(|half| half.is_finite()).unwrap_or(0.0)
            };
            let middle = |index: usize| value(&positions[index]).unwrap_or(0.0);
            let xs: Vec<f64> = run.clone().map(|index| index as f64).collect();
            let low: Vec<f64> = run.clone().map(|index| (middle(index) - half(index)).max(0.0)).collect();
            let high: Vec<f64> = run.map(|index| middle(index) + half(index)).collect();
            frame.band(&mut picture, &xs, &low, &high, Colour::Main, 0.22);
        }
        let xs: Vec<f64> = (0..points).map(|index| index as f64).collect();
        frame.line(&mut picture, &xs, positions.iter().map(value), Colour::Main, 2.2);
    }
    let dot = if points > 60 { 2.0 } else { 4.5 };
    for (index, position) in positions.iter().enumerate() {
        let (Some(position), Some(value)) = (position, value(position)) else { continue };
        let at = frame.at(index as f64, value);
        match view.result(*position).passes() {
            true => picture.dot(at, dot, Colour::Main, true),
            false => cross(&mut picture, at, dot),
        }
    }
    let best_place = view.place(view.best())[axis];
    if let Some(value) = measure.of(best) {
        star(&mut picture, frame.at(best_place as f64, value), 8.0);
    }
    frame.base_line(&mut picture);
    if view.sweep.results.iter().all(|result| measure.of(result).is_none()) {
        let middle = ((frame.left + frame.right) / 2.0, (frame.top + frame.bottom) / 2.0);
        picture.label(middle, "no variant has a value", Font::TEXT, Anchor::Middle);
    }
    picture.end(frame.bottom + plot::FOOT)
}

/// Stretches of points that all have a value.
fn runs(
    positions: &[Option<usize>],
    value: &impl Fn(&Option<usize>) -> Option<f64>,
) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for (index, position) in positions.iter().enumerate() {
        match (value(position), runs.last_mut()) {
            (Some(_), Some(last)) if last.end == index => last.end += 1,
            (Some(_), _) => runs.push(index..index + 1),
            (None, _) => {}
        }
    }
    runs
}

fn cross(picture: &mut Picture, (x, y): Point, size: f64) {
    for direction in [1.0, -1.0] {
        picture.line(
            vec![(x - size, y - size * direction), (x + size, y + size * direction)],
            Colour::Alert,
            2.0,
        );
    }
}

fn table(view: &View<'_>, measure: &Measure, axis: usize) -> Table {
    let every = view.sweep.results.len().div_ceil(MOST_ROWS);
    let row = |position: usize| {
        let result = view.result(position);
        let half_width =
            measure.half_width(result).map_or(String::new(), |half| number::value(measure.unit, half));
        let met = if result.passes() { "✓" } else { "✗" };
        vec![
            view.values(position)[axis].clone(),
            number::optional(measure.unit, measure.of(result)),
            half_width,
            met.to_owned(),
        ]
    };
    let remark =
        if every > 1 { format!("Every {every}th variant; variants.csv has all.") } else { String::new() };
    Table {
        remark,
        ..Table::new(
            &[view.name(axis), "value", "± half-width", "objectives"],
            (0..view.sweep.results.len()).step_by(every).map(row).collect(),
        )
    }
}

const PLOT_HEIGHT: f64 = 240.0;
const LONGEST_LABEL: f64 = 130.0;
const MOST_ROWS: usize = 60;
