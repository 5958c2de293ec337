//! The queue depths of two scenarios over time in one plot.
//!
//! A is the plain line and B the dashed one, so that they differ without colour too.

use backpressure::Level;

use crate::experiment::Findings;
use crate::experiment::series::Series;
use crate::model::metric::Unit;
use crate::report::kit::axis::{self, Axis};
use crate::report::kit::chart::{Chart, Drawn, Table};
use crate::report::kit::number;
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::{Anchor, Font, Picture};
use crate::report::kit::plot::{self, Key, Limit, Plot};
use crate::report::kit::sheet::Sheet;
use crate::report::run::reading;
use crate::scenario::Scenario;

/// A side that was run, for its course over time.
#[derive(Clone, Copy, Debug)]
pub struct Course<'a> {
    /// What it is called.
    pub label: &'a str,
    /// What was run.
    pub scenario: &'a Scenario,
    /// What that found.
    pub findings: &'a Findings,
}

pub(super) fn chart(a: &Course<'_>, b: &Course<'_>) -> Chart {
    let title = "Queue depth of A and B".to_owned();
    Chart {
        name: "depth",
        caption: caption(a, b),
        table: table(&a.findings.series, &b.findings.series),
        drawn: Drawn::of(|sheet| draw(sheet, a, b, &title)),
        title,
    }
}

fn draw(sheet: &Sheet, a: &Course<'_>, b: &Course<'_>, title: &str) -> Picture {
    let horizon = [a, b].map(|course| course.scenario.model.horizon.as_secs_f64());
    let limits = limits(a, b);
    let values: Vec<f64> = limits.iter().map(|limit| limit.value).collect();
    let shown = [a, b].map(|course| &course.findings.series.depth);
    let highest = axis::reach(shown.iter().flat_map(|depth| &depth.p95).copied(), &values);
    let mut picture = Picture::on(sheet);
    let mut top = plot::heading(&mut picture, sheet, title, "Jobs waiting and in service.");
    let names = [("A", a), ("B", b)].map(|(letter, course)| Names::of(sheet, letter, course));
    for names in &names {
        top = plot::key(&mut picture, sheet, top, &names.keys());
    }
    let y = Axis::linear(Unit::Jobs, highest);
    let mut frame = Plot::over_time(sheet, top + TINT_ROOM, HEIGHT, horizon[0].max(horizon[1]), y);
    // Labels of limits name their side, which needs more room than in other charts.
    frame.right -= sheet.pick(24.0, 14.0);
    frame.join(&mut picture, "time", title);
    spikes(&mut picture, &frame, a, b);
    frame.grid(&mut picture);
    frame.limits(&mut picture, &limits);
    for (course, names) in [a, b].into_iter().zip(&names) {
        let Series { seconds, depth, .. } = &course.findings.series;
        if let [_, range] = names.keys().as_slice() {
            frame.ribbon(&mut picture, *range, seconds, &depth.p05, &depth.p95);
        }
    }
    for (course, names) in [a, b].into_iter().zip(&names) {
        let Series { seconds, depth, .. } = &course.findings.series;
        frame.curve(&mut picture, names.keys()[0], seconds, depth.p50.iter().copied().map(Some));
    }
    frame.base_line(&mut picture);
    picture.end(frame.bottom + plot::FOOT)
}

/// What a side is called in the key: its line, and its range if there is one.
struct Names {
    is_a: bool,
    line: String,
    range: Option<String>,
}

impl Names {
    fn of(sheet: &Sheet, letter: &str, course: &Course<'_>) -> Self {
        let many = course.findings.summary.replications > 1;
        let name = format!("{letter}  {}", course.label);
        let room = sheet.pick(NAME_ROOM, NARROW_NAME_ROOM);
        Self {
            is_a: letter == "A",
            line: Font::SMALL.shortened(&name, room) + if many { ": median" } else { "" },
            range: many.then(|| format!("{letter}: 5–95 % of replications")),
        }
    }

    fn keys(&self) -> Vec<Key<'_>> {
        let (line, colour) = match self.is_a {
            true => (Key::Line(&self.line, A, A_WIDTH), A),
            false => (Key::Dashes(&self.line, B, B_WIDTH), B),
        };
        let range = self.range.iter().map(|range| Key::Area(range, colour, BAND));
        std::iter::once(line).chain(range).collect()
    }
}

/// Common thresholds once, others with the letter of their side; the smallest first.
fn limits(a: &Course<'_>, b: &Course<'_>) -> Vec<Limit> {
    let [of_a, of_b] = [a, b].map(|course| reading::levels(course.scenario));
    let limit = |letter: &str, level: &Level, colour| {
        let jobs = level.depth as f64;
        let label = format!("{letter}{} {}", level.name, number::short_count(jobs));
        Limit { value: jobs, label, colour }
    };
    let both = of_a.iter().filter(|level| of_b.contains(level));
    let only_a = of_a.iter().filter(|level| !of_b.contains(level));
    let only_b = of_b.iter().filter(|level| !of_a.contains(level));
    let mut limits: Vec<Limit> = both
        .map(|level| limit("", level, Colour::Limit))
        .chain(only_a.map(|level| limit("A ", level, A)))
        .chain(only_b.map(|level| limit("B ", level, B)))
        .collect();
    limits.sort_by(|one, other| one.value.total_cmp(&other.value));
    limits
}

/// Tints the spikes and faults that both sides have, with their names if there is room.
fn spikes(picture: &mut Picture, frame: &Plot, a: &Course<'_>, b: &Course<'_>) {
    let (spikes_of_b, faults_of_b) = (reading::spikes(b.scenario), reading::faults(b.scenario));
    let spikes = reading::spikes(a.scenario).into_iter().filter(|spike| spikes_of_b.contains(spike));
    let faults = reading::faults(a.scenario).into_iter().filter(|fault| faults_of_b.contains(fault));
    let mut tints: Vec<(f64, f64, String, Colour)> = spikes
        .map(|spike| (spike.start, spike.end, "spike".to_owned(), Colour::Grid))
        .chain(faults.map(|fault| (fault.start, fault.end, fault.name, Colour::Faint)))
        .collect();
    tints.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut taken = f64::NEG_INFINITY;
    for (start, end, name, colour) in tints {
        let (from, to) = (frame.x_of(start), frame.x_of(end));
        let opacity = if colour == Colour::Grid { SPIKE } else { FAULT };
        frame.moving(picture, |picture| {
            picture.rect((from, frame.top), (to, frame.bottom), colour, opacity);
        });
        // A name cut to a few letters says nothing.
        let name = if to - from < SHORTEST { name } else { Font::SMALL.shortened(&name, to - from) };
        let (width, middle) = (Font::SMALL.width_of(&name), (from + to) / 2.0);
        if to - from >= width && middle - width / 2.0 > taken {
            frame.moving(picture, |picture| {
                picture.label((middle, frame.top - 9.0), name, Font::SMALL, Anchor::Middle);
            });
            taken = middle + width / 2.0 + LABEL_ROOM;
        }
    }
}

fn caption(a: &Course<'_>, b: &Course<'_>) -> String {
    let differ = reading::levels(a.scenario) != reading::levels(b.scenario);
    let thresholds = match differ {
        true => " Thresholds marked A or B belong to that side only.",
        false => "",
    };
    format!(
        "Jobs waiting and in service. The plain line is A ({}), the dashed line is B ({}): the median over the \
         replications, with a band from the 5th to the 95th percentile.{thresholds}",
        a.label, b.label
    )
}

fn table(a: &Series, b: &Series) -> Table {
    let header = ["time (s)", "A p05", "A median", "A p95", "B p05", "B median", "B p95"];
    let cells = |series: &Series, index: Option<usize>| -> [String; 3] {
        let of = |values: &[f64]| {
            let value = index.and_then(|index| values.get(index));
            value.map_or_else(|| number::MISSING.to_owned(), |value| number::grouped(*value, 0))
        };
        [of(&series.depth.p05), of(&series.depth.p50), of(&series.depth.p95)]
    };
    let longer = if a.seconds.last() >= b.seconds.last() { a } else { b };
    let mut table = Table::over_time(longer, &header, |index| {
        let seconds = longer.seconds[index];
        [a, b].into_iter().flat_map(|series| cells(series, point_at(series, seconds))).collect()
    });
    // The remark names a file that only the folder of a run has.
    table.remark = String::new();
    table
}

/// The point of a series at or near that moment; steps may differ.
fn point_at(series: &Series, seconds: f64) -> Option<usize> {
    let after = series.seconds.partition_point(|time| *time < seconds - series.step_seconds / 2.0);
    series.seconds.get(after).filter(|time| (**time - seconds).abs() <= series.step_seconds).map(|_| after)
}

/// The colours of the two, which colour-blind readers can tell apart.
const A: Colour = Colour::Main;
const B: Colour = Colour::Alert;
const A_WIDTH: f64 = 2.2;
const B_WIDTH: f64 = 2.2;
const BAND: f64 = 0.2;
const SPIKE: f64 = 0.4;
const FAULT: f64 = 0.12;
/// Room in which a name may be shortened.
const SHORTEST: f64 = 70.0;
const LABEL_ROOM: f64 = 8.0;
const NAME_ROOM: f64 = 440.0;
const NARROW_NAME_ROOM: f64 = 290.0;
/// Above the plot, for the names of spikes and faults.
const TINT_ROOM: f64 = 26.0;
const HEIGHT: f64 = 320.0;
