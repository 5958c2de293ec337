//! Number of worker processes that take jobs over time, if it changes: by the autoscaler, faults or crashes.

use crate::experiment::Findings;
use crate::experiment::series::DetailSeries;
use crate::model::metric::{Metric, Unit};
use crate::report::kit::axis::{self, Axis};
use crate::report::kit::chart::{Chart, Drawn, Table};
use crate::report::kit::number;
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::Picture;
use crate::report::kit::plot::{self, Key, Limit, Plot};
use crate::report::kit::sheet::Sheet;
use crate::report::run::reading;
use crate::scenario::Scenario;

/// `None` if the number does not change.
pub(super) fn chart(scenario: &Scenario, findings: &Findings) -> Option<Chart> {
    let details = reading::details(&scenario.model, findings.series.details.as_ref()).workers?;
    let title = "Worker processes".to_owned();
    let is_scaled = !details.wanted.is_empty();
    let mut caption = "Processes that take jobs, at the end of each step.".to_owned();
    if is_scaled {
        caption += " The dashed line is how many the autoscaler wants (mean over the replications): the gap is pods that are starting \
                    or workers that were lost.";
    }
    if findings.summary.replications > 1 {
        caption += " Line and band: median and 5th to 95th percentile over the replications.";
    }
    Some(Chart {
        name: "workers",
        caption,
        table: table(findings, details),
        drawn: Drawn::of(|sheet| draw(sheet, scenario, findings, details, &title)),
        title,
    })
}

fn draw(
    sheet: &Sheet,
    scenario: &Scenario,
    findings: &Findings,
    details: &DetailSeries,
    title: &str,
) -> Picture {
    let series = &findings.series;
    let many = findings.summary.replications > 1;
    let limits: Vec<Limit> = scenario
        .model
        .autoscaler
        .iter()
        .flat_map(|config| [("min", config.min), ("max", config.max)])
        .map(|(name, processes)| Limit {
            value: f64::from(processes),
            label: format!("{name} {processes}"),
            colour: Colour::Limit,
        })
        .collect();
    let limit_values: Vec<f64> = limits.iter().map(|limit| limit.value).collect();
    let start = f64::from(scenario.model.workers.processes);
    let shown = details.workers.p95.iter().chain(&details.wanted).copied().chain([start]);
    let mut y = Axis::linear(Unit::Count, axis::reach(shown, &limit_values));
    // Only whole processes.
    y.ticks.retain(|(value, _)| value.fract().abs() < 1e-9);
    y.unit = "processes".to_owned();
    let mut picture = Picture::on(sheet);
    let mean = findings.summary.metric(Metric::WorkerProcesses);
    let most = details.workers.p95.iter().copied().fold(0.0, f64::max);
    let subtitle = format!(
        "{} slots each. In the mean {} processes, at the most {}.",
        number::grouped(f64::from(scenario.model.workers.concurrency), 0),
        number::estimate(Unit::Count, mean),
        number::grouped(most, 0),
    );
    let line = Key::Line(if many { "taking jobs: median" } else { "taking jobs" }, Colour::Main, 2.2);
    let range = Key::Area("5–95 % of replications", Colour::Main, BAND);
    let dashes = Key::Dashes("wanted", Colour::Ink, 1.6);
    let mut entries = vec![line];
    entries.extend(many.then_some(range));
    entries.extend((!details.wanted.is_empty()).then_some(dashes));
    let top = plot::head(&mut picture, sheet, title, &subtitle, &entries) + plot::GAP;
    let mut frame = Plot::over_time(sheet, top, PLOT_HEIGHT, scenario.model.horizon.as_secs_f64(), y);
    frame.join(&mut picture, "time", title);
    frame.grid(&mut picture);
    frame.limits(&mut picture, &limits);
    let band = &details.workers;
    if many {
        let (xs, ends) = steps(&series.seconds, [start; 2], |index| [band.p05[index], band.p95[index]]);
        let (low, high): (Vec<f64>, Vec<f64>) = ends.into_iter().map(|[low, high]| (low, high)).unzip();
        frame.ribbon(&mut picture, range, &xs, &low, &high);
    }
    let mut stairs = |key: Key<'_>, values: &[f64]| {
        let (xs, values) = steps(&series.seconds, [start], |index| [values[index]]);
        frame.curve(&mut picture, key, &xs, values.into_iter().map(|[value]| Some(value)));
    };
    stairs(line, &band.p50);
    if !details.wanted.is_empty() {
        stairs(dashes, &details.wanted);
    }
    frame.base_line(&mut picture);
    picture.end(frame.bottom + plot::FOOT)
}

/// Staircases: values hold from their time until the next ones, which may differ in any of them.
fn steps<const N: usize>(
    seconds: &[f64],
    start: [f64; N],
    values: impl Fn(usize) -> [f64; N],
) -> (Vec<f64>, Vec<[f64; N]>) {
    let mut corners = vec![(0.0, start)];
    let mut before = start;
    for (index, &second) in seconds.iter().enumerate() {
        let values = values(index);
        if values.map(f64::to_bits) != before.map(f64::to_bits) {
            corners.extend([(second, before), (second, values)]);
            before = values;
        }
    }
    corners.extend(seconds.last().map(|&last| (last, before)));
    corners.into_iter().unzip()
}

fn table(findings: &Findings, details: &DetailSeries) -> Table {
    let is_scaled = !details.wanted.is_empty();
    let mut header = vec!["time (s)", "median", "5th percentile", "95th percentile"];
    header.extend(is_scaled.then_some("wanted"));
    Table::over_time(&findings.series, &header, |index| {
        let processes = |values: &[f64]| number::trimmed(values[index], 1);
        let band = &details.workers;
        let mut row = vec![processes(&band.p50), processes(&band.p05), processes(&band.p95)];
        row.extend(is_scaled.then(|| processes(&details.wanted)));
        row
    })
}

const PLOT_HEIGHT: f64 = 170.0;
const BAND: f64 = 0.25;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_holds_until_the_next_one() {
        let values = [5.0, 2.0, 2.0];
        let (xs, ys) = steps(&[1.0, 2.0, 3.0], [5.0], |index| [values[index]]);
        assert_eq!(xs, [0.0, 2.0, 2.0, 3.0]);
        assert_eq!(ys, [[5.0], [5.0], [2.0], [2.0]]);
        let high = [5.0, 6.0, 2.0];
        let (xs, ys) = steps(&[1.0, 2.0, 3.0], [5.0; 2], |index| [values[index], high[index]]);
        assert_eq!(xs.len(), ys.len(), "low and high have the same corners");
        assert_eq!(ys.last(), Some(&[2.0, 2.0]));
    }
}
