//! Recovery time of each replication, as the share of replications that had recovered by then.
//!
//! Sorted from the quickest to the slowest the replications never hide one another, and percentiles can be read off.

use crate::experiment::Findings;
use crate::model::metric::{Metric, Unit};
use crate::report::kit::axis::Axis;
use crate::report::kit::chart::{Chart, Drawn, Table};
use crate::report::kit::number;
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::{Anchor, Font, Picture};
use crate::report::kit::plot::{self, Plot};
use crate::report::kit::sheet::Sheet;
use crate::report::run::reading;
use crate::scenario::Scenario;

/// `None` for fewer than two replications: one point is no distribution.
pub(super) fn chart(scenario: &Scenario, findings: &Findings) -> Option<Chart> {
    let times = times(findings);
    if times.len() < 2 {
        return None;
    }
    let title = "Recovery time of each replication".to_owned();
    let since = reading::recovery_origin(scenario).0.moment();
    Some(Chart {
        name: "recovery",
        caption: format!(
            "One dot a replication, from the quickest to the slowest, in seconds since {since}; its height is the share of \
             replications that had recovered by then. A cross marks a replication that had not recovered when the run ended."
        ),
        table: table(&times),
        drawn: Drawn::of(|sheet| draw(sheet, scenario, findings, &times, &title)),
        title,
    })
}

/// When a replication recovered.
struct Time {
    replication: usize,
    seconds: f64,
    censored: bool,
}

fn times(findings: &Findings) -> Vec<Time> {
    let mut times: Vec<Time> = findings
        .replications
        .iter()
        .enumerate()
        .filter_map(|(index, replication)| {
            let metrics = &replication.system;
            let seconds = metrics.get(Metric::Recovery)?;
            Some(Time { replication: index + 1, seconds, censored: metrics.is_censored(Metric::Recovery) })
        })
        .collect();
    times.sort_by(|a, b| {
        (a.censored, a.seconds).partial_cmp(&(b.censored, b.seconds)).unwrap_or(std::cmp::Ordering::Equal)
    });
    times
}

fn draw(sheet: &Sheet, scenario: &Scenario, findings: &Findings, times: &[Time], title: &str) -> Picture {
    let slowest = times.iter().map(|time| time.seconds).fold(0.0, f64::max);
    let goals: Vec<f64> = scenario
        .objectives()
        .filter(|slo| slo.metric() == Some(Metric::Recovery) && slo.class.is_none())
        .map(|slo| slo.limit)
        .collect();
    let reach = crate::report::kit::axis::reach([slowest], &goals);
    let mut x = Axis::linear(Unit::Seconds, reach);
    x.unit = format!("recovery time ({})", x.unit);
    let mut picture = Picture::on(sheet);
    let subtitle = format!(
        "Recovered by then, in % of {} replications. Mean {}.",
        times.len(),
        reading::recovery(scenario, &findings.summary)
    );
    let top = plot::heading(&mut picture, sheet, title, &subtitle) + GOAL_ROOM;
    let frame = Plot::on(sheet, top, PLOT_HEIGHT, x, Axis::share());
    frame.grid(&mut picture);
    let count = times.len() as f64;
    for (rank, time) in times.iter().enumerate() {
        let at = frame.at(time.seconds, (rank + 1) as f64 / count);
        if time.censored {
            cross(&mut picture, at);
        } else {
            picture.dot(at, DOT, Colour::Main, true);
        }
    }
    for goal in goals.iter().filter(|goal| !frame.x.is_beyond(**goal)) {
        let x = frame.x_of(*goal);
        picture.dashed((x, frame.top - 6.0), (x, frame.bottom), Colour::Limit, 1.4, 12.0, 6.0);
        let text = format!("objective {}", number::value(Unit::Seconds, *goal));
        picture.label((x, frame.top - 16.0), text, Font::SMALL.coloured(Colour::Ink), Anchor::Middle);
    }
    frame.base_line(&mut picture);
    picture.end(frame.bottom + plot::FOOT)
}

fn cross(picture: &mut Picture, (x, y): (f64, f64)) {
    for direction in [1.0, -1.0] {
        picture.line(
            vec![(x - DOT, y - DOT * direction), (x + DOT, y + DOT * direction)],
            Colour::Alert,
            2.2,
        );
    }
}

fn table(times: &[Time]) -> Table {
    let row = |time: &Time| {
        vec![
            time.replication.to_string(),
            number::value(Unit::Seconds, time.seconds),
            if time.censored { "no, the run ended" } else { "yes" }.to_owned(),
        ]
    };
    Table::new(&["replication", "seconds", "recovered"], times.iter().map(row).collect())
}

const DOT: f64 = 4.5;
/// Above the plot, for the names of objectives.
const GOAL_ROOM: f64 = 32.0;
const PLOT_HEIGHT: f64 = 200.0;
