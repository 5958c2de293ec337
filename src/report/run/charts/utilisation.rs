//! How busy what serves is over time: the workers, and where they are limited the database connections and Redis.
//!
//! All on one scale: what is at 100 % is what holds the others back.

use crate::experiment::Findings;
use crate::model::metric::{Metric, Unit};
use crate::report::kit::axis::Axis;
use crate::report::kit::chart::{Chart, Drawn, Table};
use crate::report::kit::number;
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::Picture;
use crate::report::kit::plot::{self, Key, Plot};
use crate::report::kit::sheet::Sheet;
use crate::report::run::reading;
use crate::scenario::Scenario;

pub(super) fn chart(scenario: &Scenario, findings: &Findings) -> Chart {
    let others = others(scenario, findings);
    let title = match others.as_slice() {
        [] => "Worker utilisation".to_owned(),
        [one] => format!("Utilisation of workers and {}", one.name),
        several => {
            let names: Vec<&str> = several.iter().map(|one| one.name).collect();
            format!("Utilisation of workers, {}", names.join(" and "))
        }
    };
    Chart {
        name: "utilisation",
        caption: caption(&others),
        table: table(findings, &others),
        drawn: Drawn::of(|sheet| draw(sheet, scenario, findings, &others, &title)),
        title,
    }
}

/// Something besides the workers that jobs need.
struct Resource {
    name: &'static str,
    column: &'static str,
    meaning: String,
    metric: Metric,
    share: Vec<f64>,
    colour: Colour,
    is_dashed: bool,
}

fn others(scenario: &Scenario, findings: &Findings) -> Vec<Resource> {
    let details = reading::details(&scenario.model, findings.series.details.as_ref());
    let database = details.connections.map(|(details, pool)| Resource {
        name: "database pool",
        column: "database pool",
        meaning: format!(
            "the {} connections of the database pool in use at the end of each step",
            number::grouped(f64::from(pool), 0)
        ),
        metric: Metric::DatabaseUtilisation,
        share: details.connections.iter().map(|used| used / f64::from(pool)).collect(),
        colour: Colour::Limit,
        is_dashed: true,
    });
    let redis = details.redis.map(|details| Resource {
        name: "Redis",
        column: "busiest shard",
        meaning: "the time that the busiest shard of Redis ran commands".to_owned(),
        metric: Metric::RedisUtilisation,
        share: details.redis_utilisation.clone(),
        colour: Colour::Alert,
        is_dashed: false,
    });
    database.into_iter().chain(redis).collect()
}

fn caption(others: &[Resource]) -> String {
    if others.is_empty() {
        return "Busy share of all worker slots within each step, mean over the replications. At 100 % the queue \
                can only grow."
            .to_owned();
    }
    let meanings: Vec<&str> = others.iter().map(|one| one.meaning.as_str()).collect();
    let waiting = if others.iter().any(|one| one.metric == Metric::DatabaseUtilisation) {
        " A slot whose job waits for a connection counts as busy."
    } else {
        ""
    };
    format!(
        "Busy share of all worker slots within each step, and of {}; mean over the replications. What is at 100 % holds the \
         others back.{waiting}",
        meanings.join(", and of ")
    )
}

fn draw(
    sheet: &Sheet,
    scenario: &Scenario,
    findings: &Findings,
    others: &[Resource],
    title: &str,
) -> Picture {
    let series = &findings.series;
    let workers = &scenario.model.workers;
    let height = if others.is_empty() { PLOT_HEIGHT } else { PLOT_HEIGHT_OF_MANY };
    let mut picture = Picture::on(sheet);
    let share = |metric| number::estimate(Unit::Fraction, findings.summary.metric(metric));
    let over_the_run = share(Metric::WorkerUtilisation);
    let subtitle = if others.is_empty() {
        let details = reading::details(&scenario.model, series.details.as_ref());
        let at_start = if details.workers.is_some() { " at the start" } else { "" };
        format!(
            "Busy share of {} slots ({} × {}){at_start}. Over the run {over_the_run}.",
            number::grouped(f64::from(workers.slots()), 0),
            workers.processes,
            workers.concurrency,
        )
    } else {
        let of_others = others.iter().map(|one| format!(", {} {}", one.name, share(one.metric)));
        format!("Over the run: workers {over_the_run}{}.", of_others.collect::<String>())
    };
    let workers = Key::Line("workers", Colour::Main, 2.0);
    let key = |one: &Resource| {
        if one.is_dashed {
            Key::Dashes(one.name, one.colour, 2.0)
        } else {
            Key::Line(one.name, one.colour, 1.6)
        }
    };
    let entries: Vec<Key<'_>> = match others {
        [] => Vec::new(),
        others => std::iter::once(workers).chain(others.iter().map(key)).collect(),
    };
    let top = plot::head(&mut picture, sheet, title, &subtitle, &entries) + plot::GAP;
    let horizon = scenario.model.horizon.as_secs_f64();
    let mut frame = Plot::over_time(sheet, top, height, horizon, Axis::share());
    frame.join(&mut picture, "time", title);
    frame.grid(&mut picture);
    let zero = vec![0.0; series.seconds.len()];
    let filled: Vec<f64> = series.utilisation.iter().map(|share| share.unwrap_or(0.0)).collect();
    frame.of_series(&mut picture, "workers", |picture| {
        frame.band(picture, &series.seconds, &zero, &filled, Colour::Main, 0.2);
    });
    frame.curve(&mut picture, workers, &series.seconds, series.utilisation.iter().copied());
    for one in others {
        frame.curve(&mut picture, key(one), &series.seconds, one.share.iter().copied().map(Some));
    }
    frame.base_line(&mut picture);
    picture.end(frame.bottom + plot::FOOT)
}

fn table(findings: &Findings, others: &[Resource]) -> Table {
    let series = &findings.series;
    let header: Vec<&str> =
        ["time (s)", "busy share"].into_iter().chain(others.iter().map(|one| one.column)).collect();
    Table::over_time(series, &header, |index| {
        let workers = number::optional(Unit::Fraction, series.utilisation[index]);
        let shares = others.iter().map(|one| number::value(Unit::Fraction, one.share[index]));
        std::iter::once(workers).chain(shares).collect()
    })
}

const PLOT_HEIGHT: f64 = 150.0;
const PLOT_HEIGHT_OF_MANY: f64 = 190.0;
