//! Outcome of the jobs by class: one table for terminal and page.

use super::reading;
use crate::experiment::summary::{Estimate, Named, Summary};
use crate::model::metric::{Metric, Unit};
use crate::report::kit::number::{self, bounded};
use crate::report::kit::text::capitalised;
use crate::scenario::Scenario;

/// The table as text.
#[derive(Clone, Debug)]
pub(crate) struct JobTable {
    /// One row a class, and the total last if there are several.
    pub(crate) rows: Vec<Row>,
    /// States the conservation laws and whether they hold.
    pub(crate) remark: String,
}

/// A class or the total.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// `None` for the total.
    pub(crate) priority: Option<u8>,
    /// In the order of [`COUNTS`].
    pub(crate) counts: Vec<String>,
    /// p50, p95 and p99.
    pub(crate) waits: Vec<String>,
}

/// The counted metrics in the order of the table. The first is the sum of the next two, and the second that of the rest.
pub(crate) const COUNTS: [Metric; 7] = [
    Metric::Offered,
    Metric::Admitted,
    Metric::Rejected,
    Metric::Completed,
    Metric::Failed,
    Metric::Lost,
    Metric::InSystem,
];

/// What a count is called in tables: metrics keep their names, people read one word a thing.
pub(crate) fn name_of(metric: Metric) -> &'static str {
    match metric {
        Metric::Offered => "offered",
        Metric::Admitted => "admitted",
        Metric::Rejected => "refused",
        Metric::Completed => "completed",
        Metric::Failed => "failed",
        Metric::Lost => "lost",
        _ => "in system",
    }
}

const WAITS: [Metric; 3] = [Metric::WaitP50, Metric::WaitP95, Metric::WaitP99];

impl JobTable {
    /// Means over the replications, rounded so that they visibly add up.
    pub(crate) fn of(scenario: &Scenario, summary: &Summary) -> Self {
        let total = Figures::of(&summary.metrics);
        let classes = scenario.model.classes.iter().map(|class| {
            let metrics = summary.classes.get(&class.name);
            (class.name.as_str(), Some(class.priority.get()), metrics.map(Figures::of).unwrap_or_default())
        });
        let mut figures: Vec<(&str, Option<u8>, Figures)> = classes.collect();
        if figures.len() != 1 {
            figures.push(("total", None, total.clone()));
        }
        let whole =
            figures.iter().all(|(.., figures)| figures.counts.iter().all(|count| count.fract().abs() < 1e-9));
        let decimals = usize::from(!whole);
        let rows = figures.into_iter().map(|(name, priority, figures)| Row {
            name: name.to_owned(),
            priority,
            counts: figures.counts_as_text(decimals),
            waits: figures
                .waits
                .iter()
                .map(|(wait, is_bound)| bounded(&number::optional(Unit::Seconds, *wait), *is_bound))
                .collect(),
        });
        Self { rows: rows.collect(), remark: remark(&total, scenario.model.start.jobs, summary.replications) }
    }
}

#[derive(Clone, Debug, Default)]
struct Figures {
    counts: [f64; COUNTS.len()],
    /// Each with whether it is only a lower bound.
    waits: [(Option<f64>, bool); WAITS.len()],
}

impl Figures {
    fn of(metrics: &Named<Estimate>) -> Self {
        let mean = |metric: Metric| metrics.get(metric.name()).and_then(|estimate| estimate.mean);
        let is_bound =
            |metric: Metric| metrics.get(metric.name()).is_some_and(|estimate| estimate.censored > 0);
        Self {
            counts: COUNTS.map(|metric| mean(metric).unwrap_or(0.0)),
            waits: WAITS.map(|metric| (mean(metric), is_bound(metric))),
        }
    }

    fn counts_as_text(&self, decimals: usize) -> Vec<String> {
        let unit = if decimals == 0 { 1.0 } else { 0.1 };
        let [offered, admitted, rejected, ref rest @ ..] = self.counts;
        let (offered, parts) = number::apportion(offered, &[admitted, rejected], unit);
        let (_, rest) = number::apportion(parts[0], rest, unit);
        let rounded = std::iter::once(offered).chain(parts).chain(rest);
        let shown = rounded.zip(self.counts).map(|(rounded, exact)| {
            // A rare event must not look like none.
            if rounded.abs() < unit / 2.0 && exact > 0.0 {
                format!("<{}", number::grouped(unit, decimals))
            } else if rounded.abs() < unit / 2.0 {
                "0".to_owned()
            } else {
                number::grouped(rounded, decimals)
            }
        });
        shown.collect()
    }
}

/// States the conservation law and checks it on the unrounded means.
fn remark(total: &Figures, start_jobs: u64, replications: u32) -> String {
    let [offered, admitted, rejected, completed, failed, lost, in_system] = total.counts;
    let tolerance = 1e-6 * offered.max(1.0);
    let arrivals_add_up = (offered - admitted - rejected).abs() < tolerance;
    let ends = completed + failed + lost + in_system;
    let ends_add_up = (admitted + start_jobs as f64 - ends).abs() < tolerance;
    let start = if start_jobs > 0 {
        format!(" + {} there at the start", number::grouped(start_jobs as f64, 0))
    } else {
        String::new()
    };
    let sign = |holds: bool| if holds { "✓" } else { "✗ does not add up:" };
    format!(
        "{}: {} offered = admitted + refused, {} admitted{start} = completed + failed + lost + in system.",
        capitalised(&reading::basis(replications)),
        sign(arrivals_add_up),
        sign(ends_add_up),
    )
}
