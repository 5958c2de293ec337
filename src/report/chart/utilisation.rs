//! How busy the workers are over time.

use super::axis::Axis;
use super::picture::Picture;
use super::plot::{self, Plot};
use super::{Chart, Table};
use crate::experiment::Findings;
use crate::model::metric::{Metric, Unit};
use crate::report::number;
use crate::report::palette::Colour;
use crate::scenario::Scenario;

pub(super) fn chart(scenario: &Scenario, findings: &Findings) -> Chart {
    let title = "Worker utilisation".to_owned();
    let series = &findings.series;
    let table = Table::over_time(series, &["time (s)", "busy share"], |index| {
        vec![number::value(Unit::Fraction, series.utilisation[index])]
    });
    Chart {
        name: "utilisation",
        caption:
            "Busy share of all worker slots within each step, mean over the replications. At 100 % the queue \
                  can only grow."
                .to_owned(),
        table,
        picture: draw(scenario, findings, &title),
        title,
    }
}

fn draw(scenario: &Scenario, findings: &Findings, title: &str) -> Picture {
    let series = &findings.series;
    let workers = &scenario.model.workers;
    let frame = Plot::over_time(TOP, TOP + PLOT_HEIGHT, scenario.model.horizon.as_secs_f64(), Axis::share());
    let mut picture = Picture::new(plot::WIDTH, frame.bottom + plot::FOOT);
    let subtitle = format!(
        "Busy share of {} slots ({} × {}). Over the run {}.",
        number::grouped(f64::from(workers.slots()), 0),
        workers.processes,
        workers.concurrency,
        number::estimate(Unit::Fraction, findings.summary.metric(Metric::WorkerUtilisation)),
    );
    plot::heading(&mut picture, title, &subtitle);
    frame.grid(&mut picture);
    let zero = vec![0.0; series.seconds.len()];
    frame.band(&mut picture, &series.seconds, &zero, &series.utilisation, Colour::Main, 0.2);
    frame.line(
        &mut picture,
        &series.seconds,
        series.utilisation.iter().copied().map(Some),
        Colour::Main,
        2.0,
    );
    frame.base_line(&mut picture);
    picture
}

const TOP: f64 = plot::HEADING + 14.0;
const PLOT_HEIGHT: f64 = 150.0;
