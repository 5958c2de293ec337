//! What clients send, and how much of the work is wasted.
//!
//! First attempts and retries are stacked, so that the upper edge is all that is sent.

use super::rates;
use crate::experiment::Findings;
use crate::experiment::series::{DetailSeries, Series};
use crate::model::metric::{Metric, Unit};
use crate::report::kit::axis::{self, Axis};
use crate::report::kit::chart::{Chart, Drawn, Table};
use crate::report::kit::number;
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::Picture;
use crate::report::kit::plot::{self, Key, Plot};
use crate::report::kit::sheet::Sheet;
use crate::report::run::reading;
use crate::scenario::Scenario;

/// `None` without clients.
pub(super) fn chart(scenario: &Scenario, findings: &Findings) -> Option<Chart> {
    let details = reading::details(&scenario.model, findings.series.details.as_ref()).clients?;
    let title = "Clients: first attempts, retries and wasted work".to_owned();
    let metric = |metric: Metric, unit| number::estimate(unit, findings.summary.metric(metric));
    let caption = format!(
        "First attempts (below) and retries (on top) add up to what is sent; over the run {} attempts for each request (the \
         amplification). The line is jobs completed per second after their client gave up: wasted work. The dashed line is requests given up. \
         {}.",
        metric(Metric::Amplification, Unit::Count),
        match findings.summary.replications {
            1 => "One replication".to_owned(),
            n => format!("Mean over {n} replications"),
        }
    );
    let all = Rates::of(&findings.series, details, usize::MAX);
    let table = Table::over_time(
        &findings.series,
        &["time (s)", "first attempts/s", "retries/s", "given up/s", "wasted/s"],
        |index| {
            let rates = [&all.first, &all.retries, &all.abandoned, &all.wasted];
            rates.map(|rates| number::grouped(rates[index], 0)).to_vec()
        },
    );
    let drawn = Drawn::of(|sheet| draw(sheet, scenario, findings, details, &title));
    Some(Chart { name: "clients", caption, table, drawn, title })
}

struct Rates {
    seconds: Vec<f64>,
    first: Vec<f64>,
    retries: Vec<f64>,
    abandoned: Vec<f64>,
    wasted: Vec<f64>,
}

impl Rates {
    fn of(series: &Series, details: &DetailSeries, most_points: usize) -> Self {
        let ends = rates::ends(series.seconds.len(), most_points);
        let rate = |totals: &Vec<f64>| rates::per_second(&[totals], &ends, &series.seconds);
        Self {
            seconds: ends.iter().map(|&end| series.seconds[end]).collect(),
            first: rate(&details.requests),
            retries: rate(&details.retried),
            abandoned: rate(&details.abandoned),
            wasted: rate(&details.wasted),
        }
    }
}

fn draw(
    sheet: &Sheet,
    scenario: &Scenario,
    findings: &Findings,
    details: &DetailSeries,
    title: &str,
) -> Picture {
    let rates = Rates::of(&findings.series, details, MOST_POINTS);
    let sent: Vec<f64> =
        rates.first.iter().zip(&rates.retries).map(|(first, retries)| first + retries).collect();
    let highest = axis::reach(sent.iter().chain(&rates.wasted).chain(&rates.abandoned).copied(), &[]);
    let mut y = Axis::linear(Unit::PerSecond, highest);
    y.unit = "per second".to_owned();
    let mut picture = Picture::on(sheet);
    let summary = &findings.summary;
    let mean = |metric: Metric| summary.metric(metric).mean.unwrap_or(0.0);
    let wasted_share = mean(Metric::Wasted) / mean(Metric::Completed).max(1.0);
    let subtitle = format!(
        "{} attempts for each request; {} of the completed work is wasted.",
        number::estimate(Unit::Count, summary.metric(Metric::Amplification)),
        number::value(Unit::Fraction, wasted_share),
    );
    let keys @ [first, retries, line, wasted, given_up] = [
        Key::Area("first attempts", Colour::Main, FILL),
        Key::Area("retries", Colour::Caution, RETRY_FILL),
        Key::Line("sent", Colour::Ink, 1.2),
        Key::Line("wasted", Colour::Alert, 2.2),
        Key::Dashes("given up", Colour::Limit, 1.8),
    ];
    let top = plot::head(&mut picture, sheet, title, &subtitle, &keys) + plot::GAP;
    let mut frame = Plot::over_time(sheet, top, PLOT_HEIGHT, scenario.model.horizon.as_secs_f64(), y);
    frame.join(&mut picture, "time", title);
    frame.grid(&mut picture);
    let zero = vec![0.0; rates.seconds.len()];
    frame.layer(&mut picture, first, &rates.seconds, &zero, &rates.first);
    frame.layer(&mut picture, retries, &rates.seconds, &rates.first, &sent);
    frame.curve(&mut picture, line, &rates.seconds, sent.iter().copied().map(Some));
    frame.curve(&mut picture, given_up, &rates.seconds, rates.abandoned.iter().copied().map(Some));
    frame.curve(&mut picture, wasted, &rates.seconds, rates.wasted.iter().copied().map(Some));
    frame.base_line(&mut picture);
    picture.end(frame.bottom + plot::FOOT)
}

const PLOT_HEIGHT: f64 = 190.0;
const MOST_POINTS: usize = 450;
const FILL: f64 = 0.35;
const RETRY_FILL: f64 = 0.55;
