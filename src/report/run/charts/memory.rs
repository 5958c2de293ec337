//! Redis memory over time against its limit.

use crate::experiment::Findings;
use crate::experiment::series::Series;
use crate::model::config::OnFull;
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

pub(super) fn chart(scenario: &Scenario, findings: &Findings) -> Chart {
    let title = "Redis memory".to_owned();
    let caption = match scenario.model.redis.maxmemory {
        Some(bytes) => format!(
            "Memory of the jobs in Redis and of Redis itself; maxmemory is {}. {}",
            number::value(Unit::Bytes, bytes as f64),
            match scenario.model.redis.on_full {
                OnFull::Reject => "A full Redis refuses the enqueue.",
                OnFull::Crash => "A full Redis crashes and loses what it holds.",
                OnFull::Evict =>
                    "A full Redis drops the data of the longest unused jobs, which then run empty.",
            }
        ),
        None => "Memory of the jobs in Redis and of Redis itself; no maxmemory is set.".to_owned(),
    };
    Chart {
        name: "memory",
        caption,
        table: table(&findings.series),
        drawn: Drawn::of(|sheet| draw(sheet, scenario, findings, &title)),
        title,
    }
}

fn draw(sheet: &Sheet, scenario: &Scenario, findings: &Findings, title: &str) -> Picture {
    let series = &findings.series;
    let many = findings.summary.replications > 1;
    let limits: Vec<Limit> = scenario
        .model
        .redis
        .maxmemory
        .iter()
        .map(|&bytes| Limit { value: bytes as f64, label: "maxmemory".to_owned(), colour: Colour::Alert })
        .collect();
    let limit_values: Vec<f64> = limits.iter().map(|limit| limit.value).collect();
    let highest = axis::reach(series.redis_bytes.p95.iter().copied(), &limit_values);
    let mut picture = Picture::on(sheet);
    let line = Key::Line(if many { "median" } else { "memory" }, Colour::Main, 2.2);
    let range = Key::Area("5–95 % of replications", Colour::Main, BAND);
    let entries = if many { vec![line, range] } else { vec![line] };
    let top = plot::head(&mut picture, sheet, title, &subtitle(scenario, findings), &entries) + plot::GAP;
    let y = Axis::linear(Unit::Bytes, highest);
    let mut frame = Plot::over_time(sheet, top, PLOT_HEIGHT, scenario.model.horizon.as_secs_f64(), y);
    frame.join(&mut picture, "time", title);
    frame.grid(&mut picture);
    frame.limits(&mut picture, &limits);
    let band = &series.redis_bytes;
    if many {
        frame.ribbon(&mut picture, range, &series.seconds, &band.p05, &band.p95);
    }
    frame.curve(&mut picture, line, &series.seconds, band.p50.iter().copied().map(Some));
    frame.base_line(&mut picture);
    picture.end(frame.bottom + plot::FOOT)
}

fn subtitle(scenario: &Scenario, findings: &Findings) -> String {
    let peak = findings.summary.metric(Metric::RedisPeak);
    let shown = format!(
        "Peak {} ({})",
        number::estimate(Unit::Bytes, peak),
        reading::basis(findings.summary.replications)
    );
    match (scenario.model.redis.maxmemory, peak.mean) {
        (Some(limit), Some(mean)) => format!(
            "{shown}, {} of maxmemory {}.",
            number::value(Unit::Fraction, mean / limit as f64),
            number::value(Unit::Bytes, limit as f64)
        ),
        _ => format!("{shown}."),
    }
}

fn table(series: &Series) -> Table {
    let header = ["time (s)", "median", "5th percentile", "95th percentile"];
    Table::over_time(series, &header, |index| {
        let bytes = |values: &[f64]| number::value(Unit::Bytes, values[index]);
        vec![bytes(&series.redis_bytes.p50), bytes(&series.redis_bytes.p05), bytes(&series.redis_bytes.p95)]
    })
}

const PLOT_HEIGHT: f64 = 200.0;
const BAND: f64 = 0.25;
