//! What the specification recommends for a rate, and what becomes of it.
//!
//! From "Production Recommendations": for 10k req/s 3 to 5 workers of 20, one Redis of 2 GB, thresholds 5k/10k/50k;
//! for 100k req/s 20 to 50 workers of 30 to 50, thresholds 25k/50k/200k. Of its ranges both ends are tried.

use super::incidents;
use crate::experiment::summary::{Summary, estimate_of};
use crate::experiment::{self, Progress};
use crate::study::cost::Monthly;
use crate::study::grid::Grid;

/// A recommendation of the specification, run in the scenario at hand.
#[derive(Clone, Debug)]
pub struct SpecVerdict {
    /// What is recommended: `3 workers x 20`.
    pub name: String,
    /// As `--set` options.
    pub overrides: Vec<String>,
    /// What its replications found.
    pub summary: Summary,
    /// Cost a month.
    pub cost: f64,
}

/// One row of the recommendations.
#[derive(Clone, Copy, Debug)]
struct Recommendation {
    /// For rates up to this, in jobs per second.
    up_to: f64,
    thresholds: [u64; 3],
    maxmemory: &'static str,
    workers: [(u32, u32); 2],
}

const RECOMMENDATIONS: [Recommendation; 2] = [
    // A spike of twice the target is what the specification promises to survive with its 10k settings.
    Recommendation {
        up_to: 20_000.0,
        thresholds: [5_000, 10_000, 50_000],
        maxmemory: "2GB",
        workers: [(3, 20), (5, 20)],
    },
    Recommendation {
        up_to: 200_000.0,
        thresholds: [25_000, 50_000, 200_000],
        maxmemory: "6GB",
        workers: [(20, 30), (50, 50)],
    },
];

/// Runs the recommendations for that peak rate in the grid's scenario; `None` if interrupted. One that the
/// scenario has no room for, as a Redis that it does not have, is left out.
pub(super) fn verdicts(grid: &Grid, peak_rate: f64, progress: &impl Progress) -> Option<Vec<SpecVerdict>> {
    let read = |(name, overrides): (String, Vec<String>)| {
        let scenario = grid.with(&overrides).ok()?;
        Some((name, overrides, scenario))
    };
    let has_autoscaler = grid.scenario().model.autoscaler.is_some();
    let known: Vec<_> = recommendations(peak_rate, has_autoscaler).into_iter().filter_map(read).collect();
    let scenarios: Vec<_> = known.iter().map(|(.., scenario)| scenario).collect();
    let found = experiment::run_all(&scenarios, incidents::replications(grid.scenario()), progress)?;
    let verdict = |((name, overrides, scenario), runs): ((_, _, crate::scenario::Scenario), Vec<_>)| {
        let monthly = Monthly::of(&scenario);
        let costs = runs.iter().map(|run| monthly.cost(run));
        SpecVerdict {
            name,
            overrides,
            cost: estimate_of(&costs.collect(), 0).mean.unwrap_or(f64::NAN),
            summary: Summary::of(&scenario, &runs, false),
        }
    };
    Some(known.into_iter().zip(found).map(verdict).collect())
}

/// The recommendations for that peak rate, each with its name and `--set` options. An autoscaler keeps as many workers at least.
fn recommendations(peak_rate: f64, has_autoscaler: bool) -> Vec<(String, Vec<String>)> {
    let Some(row) = RECOMMENDATIONS.iter().find(|row| peak_rate <= row.up_to) else { return Vec::new() };
    let [recovery, warning, critical] = row.thresholds;
    let of_workers = |(processes, concurrency): (u32, u32)| {
        let mut overrides = vec![
            format!("policy.recovery={recovery}"),
            format!("policy.warning={warning}"),
            format!("policy.critical={critical}"),
            format!("policy.reopen_at={critical}"),
            format!("redis.maxmemory={}", row.maxmemory),
            format!("workers.processes={processes}"),
            format!("workers.concurrency={concurrency}"),
        ];
        if has_autoscaler {
            overrides.push(format!("autoscaler.min={processes}"));
        }
        (format!("{processes} workers x {concurrency}"), overrides)
    };
    row.workers.map(of_workers).into()
}
