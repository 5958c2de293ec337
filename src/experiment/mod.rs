//! An experiment: the replications of a scenario, run in parallel and folded in order.
//!
//! Replication `i` depends on the scenario, the seed and `i` alone, and the fold takes the outcomes in
//! order of `i`, so the findings are the same bytes on any number of threads. Outcomes are folded batch by
//! batch and then dropped: memory does not grow with the number of replications but for a few numbers each.

pub mod earlier;
pub mod foregone;
mod named;
pub mod parallel;
pub mod replication;
pub mod series;
pub mod summary;
pub mod traffic;

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::model::outcome::Outcome;
use crate::model::scrape::Scrape;
use crate::scenario::Scenario;
use replication::{Replication, simulate};
use series::{Series, SeriesFold};
use summary::{ScalingStep, Summary};

/// All that an experiment found.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The figures.
    pub summary: Summary,
    /// The course over time.
    pub series: Series,
    /// The numbers of each replication, in order.
    pub replications: Vec<Replication>,
    /// What a monitoring system read of the first one.
    pub scrapes: Vec<Scrape>,
}

/// Told how far an experiment is, and asked whether to go on. Called from many threads.
pub trait Progress: Sync {
    /// Another `1 / SLICES` of one replication is done.
    fn advanced(&self) {}
    /// Whether to stop as soon as possible.
    fn interrupted(&self) -> bool {
        false
    }
}

/// Reports nothing and never stops.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unattended;

impl Progress for Unattended {}

/// Into how many parts the progress of a replication is cut.
pub const SLICES: u32 = 100;

/// How many outcomes are in memory at a time. Not the number of threads: a fixed number.
const BATCH: u32 = 64;

/// Runs all replications in the current rayon pool. Interrupted, it finds what the replications finished
/// by then say, or nothing if there is none.
pub fn run(scenario: &Scenario, progress: &impl Progress) -> Option<Findings> {
    run_with(scenario, |_| None, progress)
}

/// The same where the outcomes of some replications may be `known`.
pub(crate) fn run_with(
    scenario: &Scenario,
    known: impl Fn(u32) -> Option<Outcome> + Sync,
    progress: &impl Progress,
) -> Option<Findings> {
    let mut series = SeriesFold::new(&scenario.model);
    let mut replications = Vec::new();
    let mut scrapes = Vec::new();
    let mut scaling = Vec::new();
    let mut is_complete = true;
    let mut begin = 0;
    while begin < scenario.replications && is_complete {
        let end = scenario.replications.min(begin + BATCH);
        // What was scraped is needed of the first replication that is complete; of many it would fill the memory.
        let first = AtomicUsize::new(if replications.is_empty() { usize::MAX } else { 0 });
        let mut outcomes: Vec<Option<(Replication, Outcome)>> = (begin..end).map(|_| None).collect();
        is_complete = parallel::run(
            outcomes.len(),
            |task| {
                let index = begin + task as u32;
                let mut outcome = match known(index) {
                    Some(outcome) => outcome,
                    None => simulate(scenario, index, progress)?,
                };
                let replication = Replication::of(&outcome, &scenario.model);
                if first.fetch_min(task, Ordering::Relaxed) < task {
                    outcome.scrapes = Vec::new();
                }
                Some((replication, outcome))
            },
            |task, outcome| outcomes[task] = Some(outcome),
        );
        for (replication, mut outcome) in outcomes.into_iter().flatten() {
            replications.push(replication);
            series.add(&outcome);
            if replications.len() == 1 {
                scrapes = std::mem::take(&mut outcome.scrapes);
                scaling = outcome.decisions.iter().map(ScalingStep::of).collect();
            }
        }
        begin = end;
    }
    if replications.is_empty() {
        return None;
    }
    let summary = Summary { scaling, ..Summary::of(scenario, &replications, !is_complete) };
    Some(Findings { summary, series: series.finish(), replications, scrapes })
}

/// Runs the numbers alone of several scenarios, `replications` of each, in one pool: by scenario, in order.
/// `None` if interrupted.
pub fn run_all(
    scenarios: &[&Scenario],
    replications: u32,
    progress: &impl Progress,
) -> Option<Vec<Vec<Replication>>> {
    let all: Vec<(&Scenario, u32)> = scenarios.iter().map(|&scenario| (scenario, replications)).collect();
    run_numbers(&all, progress)
}

/// The same with as many replications of each as it asks for itself.
pub fn run_each(scenarios: &[&Scenario], progress: &impl Progress) -> Option<Vec<Vec<Replication>>> {
    let all: Vec<(&Scenario, u32)> =
        scenarios.iter().map(|&scenario| (scenario, scenario.replications)).collect();
    run_numbers(&all, progress)
}

/// The same with that many of each.
pub fn run_numbers(
    scenarios: &[(&Scenario, u32)],
    progress: &impl Progress,
) -> Option<Vec<Vec<Replication>>> {
    let tasks: Vec<(&Scenario, u32)> = scenarios
        .iter()
        .flat_map(|&(scenario, count)| (0..count).map(move |index| (scenario, index)))
        .collect();
    let mut flat = parallel::map(tasks.len(), |task| {
        let (scenario, index) = tasks[task];
        let outcome = simulate(scenario, index, progress)?;
        Some(Replication::of(&outcome, &scenario.model))
    })?
    .into_iter();
    Some(scenarios.iter().map(|&(_, count)| flat.by_ref().take(count as usize).collect()).collect())
}
