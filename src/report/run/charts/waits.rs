//! Percentiles of the wait over time, on a logarithmic scale where they span decades.

use crate::experiment::Findings;
use crate::experiment::series::Series;
use crate::model::metric::Unit;
use crate::report::kit::axis::Axis;
use crate::report::kit::chart::{Chart, Drawn, Table};
use crate::report::kit::number;
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::{Anchor, Font, Picture};
use crate::report::kit::plot::{self, Key, Plot};
use crate::report::kit::sheet::Sheet;
use crate::scenario::Scenario;

pub(super) fn chart(scenario: &Scenario, findings: &Findings) -> Chart {
    let title = "Wait before service".to_owned();
    let series = &findings.series;
    let table = Table::over_time(series, &["time (s)", "p50", "p95", "p99"], |index| {
        let shown = |values: &[Option<f64>]| number::optional(Unit::Seconds, values[index]);
        vec![shown(&series.wait_p50), shown(&series.wait_p95), shown(&series.wait_p99)]
    });
    Chart {
        name: "waits",
        caption: "Percentiles of the time in the waiting line of the jobs that began service within each step, median \
                  over the replications. A gap means that none began."
            .to_owned(),
        table,
        drawn: Drawn::of(|sheet| draw(sheet, scenario, series, &title)),
        title,
    }
}

fn draw(sheet: &Sheet, scenario: &Scenario, series: &Series, title: &str) -> Picture {
    let curves = [
        ("p99", &series.wait_p99, Colour::Alert, 1.4),
        ("p95", &series.wait_p95, Colour::Caution, 1.8),
        ("p50", &series.wait_p50, Colour::Main, 2.4),
    ];
    let values: Vec<f64> =
        curves.iter().flat_map(|(_, values, ..)| values.iter().flatten().copied()).collect();
    let y = axis_for(&values);
    let mut picture = Picture::on(sheet);
    let subtitle =
        "Half of the jobs waited no longer than p50, 95 % no longer than p95, 99 % no longer than p99.";
    let keys = curves.map(|(name, _, colour, width)| Key::Line(name, colour, width));
    let top = plot::head(&mut picture, sheet, title, subtitle, &keys) + plot::GAP;
    let mut frame = Plot::over_time(sheet, top, PLOT_HEIGHT, scenario.model.horizon.as_secs_f64(), y);
    frame.join(&mut picture, "time", title);
    frame.grid(&mut picture);
    let mut ends = Vec::new();
    for (name, values, colour, width) in curves {
        let key = Key::Line(name, colour, width);
        frame.curve(&mut picture, key, &series.seconds, values.iter().copied());
        let last = series.seconds.iter().zip(values).rev().find_map(|(x, y)| y.map(|y| (*x, y)));
        ends.extend(last.map(|at| (at, name, colour)));
    }
    if ends.is_empty() {
        let middle = ((frame.left + frame.right) / 2.0, (frame.top + frame.bottom) / 2.0);
        picture.label(middle, "no job began service", Font::TEXT, Anchor::Middle);
    }
    frame.end_labels(&mut picture, &ends);
    frame.base_line(&mut picture);
    picture.end(frame.bottom + plot::FOOT)
}

/// Linear, unless the range is so wide that small values would lie on the base line. Only zero lies there.
fn axis_for(values: &[f64]) -> Axis {
    let highest = values.iter().copied().fold(0.0, f64::max);
    let lowest = values.iter().copied().filter(|value| *value > 0.0).fold(highest, f64::min);
    if highest > 0.0 && highest / lowest > WIDE {
        let low = lowest.max(highest / MOST_SPAN);
        if values.iter().any(|value| *value < low) {
            Axis::logarithmic_seconds_from_zero(low, highest)
        } else {
            Axis::logarithmic_seconds(low, highest)
        }
    } else {
        Axis::linear(Unit::Seconds, highest)
    }
}

/// From this ratio of the longest to the shortest wait the scale is logarithmic.
const WIDE: f64 = 50.0;
/// Widest span of a logarithmic scale; shorter waits are drawn between its lower end and zero.
const MOST_SPAN: f64 = 1e5;
const PLOT_HEIGHT: f64 = 220.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_of_zero_is_at_zero_and_the_shortest_other_is_not() {
        let axis = axis_for(&[0.0, 0.004, 12.0]);
        assert_eq!(axis.ticks[0], (0.0, "0".to_owned()));
        assert!(axis.position(0.0) == 0.0 && axis.position(0.004) > 0.05);
        let without = axis_for(&[0.004, 12.0]);
        assert_eq!(without.ticks[0].1, "1 ms", "nothing waits for zero, so there is no zero");
        assert!(axis_for(&[0.0, 0.0]).position(0.0) <= 0.0);
    }
}
