//! Queue depth over time, against the thresholds and under the state of the circuits.

use backpressure::Level;

use crate::experiment::Findings;
use crate::experiment::series::Series;
use crate::model::metric::{Metric, Unit};
use crate::report::kit::axis::{self, Axis};
use crate::report::kit::chart::{Chart, Drawn, Table};
use crate::report::kit::labels;
use crate::report::kit::number;
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::{Anchor, Font, Picture};
use crate::report::kit::plot::{self, Key, Limit, Plot};
use crate::report::kit::sheet::Sheet;
use crate::report::run::reading::{self, FaultPeriod, Trouble};
use crate::scenario::Scenario;

pub(crate) fn chart(scenario: &Scenario, findings: &Findings) -> Chart {
    let title = if reading::levels(scenario).is_empty() {
        "Queue depth without the policy".to_owned()
    } else {
        "Queue depth and circuit state".to_owned()
    };
    Chart {
        name: "depth",
        caption: caption(scenario, findings),
        table: table(&findings.series),
        drawn: Drawn::of(|sheet| draw(sheet, scenario, findings, &title)),
        title,
    }
}

fn draw(sheet: &Sheet, scenario: &Scenario, findings: &Findings, title: &str) -> Picture {
    let series = &findings.series;
    let many = findings.summary.replications > 1;
    let limits = limits(scenario);
    let limit_values: Vec<f64> = limits.iter().map(|limit| limit.value).collect();
    let highest = axis::reach(series.depth_max.iter().chain(&series.depth.p95).copied(), &limit_values);
    let markers = markers(scenario, findings);

    let mut picture = Picture::on(sheet);
    let peak = number::estimate(Unit::Jobs, findings.summary.metric(Metric::PeakDepth));
    let basis = reading::basis(findings.summary.replications);
    let subtitle = format!("Jobs waiting and in service. Peak {peak} jobs ({basis}).");
    let keys @ [median, range, highest_of_step] = keys(many);
    let entries: Vec<Key<'_>> =
        keys.into_iter().filter(|key| many || !matches!(key, Key::Area(..))).collect();
    let key_bottom = plot::head(&mut picture, sheet, title, &subtitle, &entries);

    // The labels of the markers take as many rows as they need; everything below moves down.
    let horizon = scenario.model.horizon.as_secs_f64();
    let frame = Plot::over_time(sheet, 0.0, 0.0, horizon, Axis::linear(Unit::Jobs, highest));
    let spans: Vec<(f64, f64)> = markers.iter().map(|marker| marker.span(&frame, sheet)).collect();
    let rows = labels::rows(&spans);
    let row_count = rows.iter().max().map_or(0, |last| last + 1);
    // Fault names go above the markers, whose lines would cross them otherwise.
    let faults = FaultBars::of(scenario, &frame, sheet);
    let faults_top = key_bottom + 10.0;
    let first_row = key_bottom + 18.0 + faults.height();
    let lanes_top = first_row + row_count as f64 * MARKER_ROW - 4.0;
    let circuit = !limits.is_empty();
    let top = lanes_top + if circuit { LANES.len() as f64 * LANE + 6.0 } else { 6.0 };
    let mut frame = frame;
    (frame.top, frame.bottom) = (top, top + PLOT_HEIGHT);
    frame.join(&mut picture, "time", title);

    faults.draw(&mut picture, &frame, faults_top);
    if circuit {
        shade(&mut picture, &frame, series);
        lanes(&mut picture, &frame, lanes_top, series, &reading::troubles(scenario, series));
    }
    frame.grid(&mut picture);
    frame.limits(&mut picture, &limits);
    if many {
        frame.ribbon(&mut picture, range, &series.seconds, &series.depth.p05, &series.depth.p95);
    }
    let all = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
    frame.curve(&mut picture, highest_of_step, &series.seconds, all(&series.depth_max));
    frame.curve(&mut picture, median, &series.seconds, all(&series.depth.p50));
    for ((marker, row), (start, _)) in markers.iter().zip(&rows).zip(&spans) {
        let label_y = first_row + *row as f64 * MARKER_ROW;
        let x = frame.x_of(marker.seconds);
        frame.moving(&mut picture, |picture| {
            picture.dashed((x, label_y - 7.0), (x, frame.bottom), marker.colour, 1.2, 4.0, 4.0);
            let at = (start + MARKER_PADDING, label_y);
            picture.label(at, marker.label.clone(), Font::SMALL.coloured(Colour::Ink), Anchor::Start);
        });
    }
    frame.base_line(&mut picture);
    picture.end(frame.bottom + plot::FOOT)
}

/// The median, the range over the replications, and the highest depth within each step.
fn keys(many: bool) -> [Key<'static>; 3] {
    let (median, highest) = match many {
        true => ("median", "highest within the step, any replication"),
        false => ("depth", "highest within the step"),
    };
    [
        Key::Line(median, Colour::Main, 2.2),
        Key::Area("5–95 % of replications", Colour::Main, BAND),
        Key::Line(highest, Colour::Faint, 1.0),
    ]
}

/// The thresholds of the policy as lines across a plot of depths.
pub(crate) fn limits(scenario: &Scenario) -> Vec<Limit> {
    let limit = |level: &Level| Limit {
        value: level.depth as f64,
        label: format!("{} {}", level.name, number::short_count(level.depth as f64)),
        colour: Colour::Limit,
    };
    reading::levels(scenario).iter().map(limit).collect()
}

/// A moment worth a vertical line.
struct Marker {
    seconds: f64,
    label: String,
    colour: Colour,
}

impl Marker {
    /// Horizontal extent of the label: right of its line, but within the chart.
    fn span(&self, frame: &Plot, sheet: &Sheet) -> (f64, f64) {
        let width = Font::SMALL.width_of(&self.label) + 2.0 * MARKER_PADDING;
        let start = frame.x_of(self.seconds).min(sheet.width - width);
        (start, start + width)
    }
}

fn markers(scenario: &Scenario, findings: &Findings) -> Vec<Marker> {
    let at = |seconds: f64, what: &str, colour: Colour| Marker {
        seconds,
        label: format!("{what} {}", number::value(Unit::Seconds, seconds)),
        colour,
    };
    let spikes = reading::spikes(scenario);
    let mut markers = Vec::new();
    // Many spikes would bury the plot under labels; the chart of rates also shows their edges.
    for spike in spikes.iter().take(MOST_SPIKES) {
        markers.push(at(spike.start, "spike starts", Colour::Faint));
        markers.push(at(spike.end, "spike ends", Colour::Faint));
    }
    let opening = reading::typical(findings, Metric::TimeToOpen);
    if let Some(seconds) = opening.filter(|_| !reading::levels(scenario).is_empty()) {
        markers.push(at(seconds, "first opening", Colour::Alert));
    }
    if let Some(seconds) = reading::typical(findings, Metric::Recovery) {
        let moment = reading::recovery_origin(scenario).1 + seconds;
        // A recovery time of zero means that there was nothing to recover from.
        if seconds > 0.0 {
            markers.push(at(moment, "recovered", Colour::Good));
        }
    }
    markers.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    markers
}

/// The faults as named bars above the plot, in as many rows as needed, and as tints in the plot.
struct FaultBars {
    periods: Vec<FaultPeriod>,
    /// Row, name and left edge of the name, for as many faults as there is room.
    names: Vec<(usize, String, f64)>,
    rows: usize,
}

impl FaultBars {
    fn of(scenario: &Scenario, frame: &Plot, sheet: &Sheet) -> Self {
        let periods = reading::faults(scenario);
        let named = periods.iter().take(MOST_FAULTS).map(|fault| {
            let name = Font::SMALL.shortened(&fault.name, LONGEST_FAULT);
            let width = Font::SMALL.width_of(&name) + 2.0 * MARKER_PADDING;
            // A name may begin before its bar, but must not extend beyond the chart.
            let start = frame.x_of(fault.start).min(sheet.width - width);
            let end = frame.x_of(fault.end).max(start + width);
            (name, (start, end))
        });
        let (names, mut spans): (Vec<String>, Vec<(f64, f64)>) = named.unzip();
        // In order of position, which near the right edge may differ from the order in time.
        let mut order: Vec<usize> = (0..spans.len()).collect();
        order.sort_by(|&a, &b| spans[a].0.total_cmp(&spans[b].0));
        let sorted: Vec<(f64, f64)> = order.iter().map(|&index| spans[index]).collect();
        let mut rows = vec![0; spans.len()];
        for (index, row) in order.into_iter().zip(labels::packed(&sorted)) {
            rows[index] = row;
        }
        let count = rows.iter().max().map_or(0, |last| last + 1);
        let names =
            rows.into_iter().zip(names).zip(spans.drain(..)).map(|((row, name), span)| (row, name, span.0));
        Self { names: names.collect(), periods, rows: count }
    }

    fn height(&self) -> f64 {
        if self.rows == 0 { 0.0 } else { self.rows as f64 * FAULT_ROW + 6.0 }
    }

    fn draw(&self, picture: &mut Picture, frame: &Plot, top: f64) {
        for fault in &self.periods {
            let (from, to) = self.places(fault, frame);
            frame.moving(picture, |picture| {
                picture.rect((from, frame.top), (to, frame.bottom), Colour::Faint, FAULT_SHADE);
            });
        }
        for (fault, (row, name, start)) in self.periods.iter().zip(&self.names) {
            let (from, to) = self.places(fault, frame);
            let y = top + *row as f64 * FAULT_ROW;
            frame.moving(picture, |picture| {
                picture.line(vec![(from, y), (from, y + FAULT_ROW - 2.0)], Colour::Faint, 2.0);
                picture.rect((from, y), (to, y + FAULT_ROW - 2.0), Colour::Faint, FAULT_BAR);
                let font = Font::SMALL.coloured(Colour::Ink);
                let middle = y + (FAULT_ROW - 2.0) / 2.0;
                picture.label((start + MARKER_PADDING, middle), name.clone(), font, Anchor::Start);
            });
        }
        if self.rows > 0 {
            let middle = top + (FAULT_ROW - 2.0) / 2.0;
            picture.label((frame.left - 8.0, middle), "faults", Font::SMALL, Anchor::End);
        }
    }

    /// Ends of its bar, at least two pixels wide, so that a momentary fault still shows.
    fn places(&self, fault: &FaultPeriod, frame: &Plot) -> (f64, f64) {
        let from = frame.x_of(fault.start);
        (from, frame.x_of(fault.end).max(from + 2.0))
    }
}

/// Tints the plot where circuits are open or half-open, more strongly the more of them are.
fn shade(picture: &mut Picture, frame: &Plot, series: &Series) {
    for (shares, colour) in [(&series.open_share, Colour::Alert), (&series.half_open_share, Colour::Caution)]
    {
        frame.moving(picture, |picture| {
            for run in runs(series, shares) {
                let (from, to) = (frame.x_of(run.start), frame.x_of(run.end));
                picture.rect((from, frame.top), (to, frame.bottom), colour, run.share * SHADE);
            }
        });
    }
}

/// A strip above the plot with one lane per state, so that position and letter also tell the state. Where jobs are lost or Redis is
/// down, no state is good: the lane of CLOSED is hatched there.
fn lanes(picture: &mut Picture, frame: &Plot, top: f64, series: &Series, troubles: &[Trouble]) {
    let shares = [&series.open_share, &series.half_open_share, &series.closed_share];
    for (lane, ((label, colour), shares)) in LANES.iter().zip(shares).enumerate() {
        let y = top + lane as f64 * LANE;
        picture.rect((frame.left, y), (frame.right, y + LANE - 2.0), Colour::Grid, 0.45);
        frame.moving(picture, |picture| {
            for run in runs(series, shares) {
                let (from, to) = (frame.x_of(run.start), frame.x_of(run.end));
                picture.rect((from, y), (to, y + LANE - 2.0), *colour, run.share);
            }
        });
        picture.label((frame.left - 8.0, y + LANE / 2.0 - 1.0), *label, Font::SMALL, Anchor::End);
    }
    let closed = top + (LANES.len() - 1) as f64 * LANE;
    for trouble in troubles {
        let from = frame.x_of(trouble.start);
        let to = frame.x_of(trouble.end).max(from + 2.0);
        frame.moving(picture, |picture| {
            hatch(picture, (from, closed), (to, closed + LANE - 2.0));
            let width = Font::SMALL.width_of(trouble.what);
            if width + 12.0 < to - from {
                let middle = f64::midpoint(from, to);
                let (low, high) = (middle - width / 2.0 - 4.0, middle + width / 2.0 + 4.0);
                picture.rect((low, closed), (high, closed + LANE - 2.0), Colour::Paper, 0.9);
                let font = Font::SMALL.coloured(Colour::Ink);
                picture.label((middle, closed + LANE / 2.0 - 1.0), trouble.what, font, Anchor::Middle);
            }
        });
    }
}

/// Covers a rectangle with slanted lines on grey.
fn hatch(picture: &mut Picture, (left, top): (f64, f64), (right, bottom): (f64, f64)) {
    picture.rect((left, top), (right, bottom), Colour::Paper, 1.0);
    picture.rect((left, top), (right, bottom), Colour::Faint, 0.35);
    let height = bottom - top;
    let mut x = left;
    while x < right {
        let end = (x + height).min(right);
        picture.line(vec![(x, bottom), (end, bottom - (end - x))], Colour::Ink, 1.2);
        x += HATCH;
    }
}

/// A period with the same share of circuits in a state.
struct Run {
    start: f64,
    end: f64,
    share: f64,
}

/// Periods in which the share is above zero, rounded to twentieths so that equal neighbours merge.
fn runs(series: &Series, shares: &[f64]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (end, share) in series.seconds.iter().zip(shares) {
        let share = (share * 20.0).round() / 20.0;
        let start = end - series.step_seconds;
        match runs.last_mut() {
            Some(last) if (last.share - share).abs() < 1e-9 => last.end = *end,
            _ => runs.push(Run { start, end: *end, share }),
        }
    }
    runs.retain(|run| run.share > 0.0);
    runs
}

fn caption(scenario: &Scenario, findings: &Findings) -> String {
    let thresholds: Vec<String> = reading::levels(scenario)
        .iter()
        .map(|level| format!("{} {}", level.name, number::grouped(level.depth as f64, 0)))
        .collect();
    let circuit = if thresholds.is_empty() {
        "The policy is switched off, so there are no thresholds and no circuit.".to_owned()
    } else {
        format!(
            "Dashed lines are the thresholds ({}). The strip above the plot shows in its lanes O (open), H (half-open) and \
             C (closed) which share of the circuits is in which state; the plot is tinted where they are open or half-open.{}",
            thresholds.join(", "),
            if reading::troubles(scenario, &findings.series).is_empty() {
                ""
            } else {
                " Where the lane of closed is hatched, Redis is down or jobs are lost: a closed circuit then protects nothing."
            }
        )
    };
    let faults = if scenario.model.faults.is_empty() {
        ""
    } else {
        " Grey bars above the plot name the faults; the plot is grey while one lasts."
    };
    match findings.summary.replications {
        1 => format!("{circuit}{faults}"),
        n => format!(
            "{circuit}{faults} Line and band: median and 5th to 95th percentile over {n} replications."
        ),
    }
}

fn table(series: &Series) -> Table {
    let header = [
        "time (s)",
        "median",
        "5th percentile",
        "95th percentile",
        "highest in the step",
        "closed",
        "half-open",
        "open",
    ];
    Table::over_time(series, &header, |index| {
        let jobs = |values: &[f64]| number::grouped(values[index], 0);
        let share = |values: &[f64]| number::value(Unit::Fraction, values[index]);
        vec![
            jobs(&series.depth.p50),
            jobs(&series.depth.p05),
            jobs(&series.depth.p95),
            jobs(&series.depth_max),
            share(&series.closed_share),
            share(&series.half_open_share),
            share(&series.open_share),
        ]
    })
}

const LANES: [(&str, Colour); 3] =
    [("O open", Colour::Alert), ("H half", Colour::Caution), ("C closed", Colour::Good)];
const LANE: f64 = 15.0;
const HATCH: f64 = 6.0;
const FAULT_ROW: f64 = 20.0;
const FAULT_SHADE: f64 = 0.12;
const FAULT_BAR: f64 = 0.22;
const LONGEST_FAULT: f64 = 260.0;
/// Further faults are only tinted; the section about faults lists them all.
const MOST_FAULTS: usize = 24;
const PLOT_HEIGHT: f64 = 300.0;
const MARKER_ROW: f64 = 18.0;
const MARKER_PADDING: f64 = 5.0;
const MOST_SPIKES: usize = 3;
const SHADE: f64 = 0.14;
const BAND: f64 = 0.25;
