//! The result of a sweep: the ranking of the variants, and the Pareto front.

use std::cmp::Ordering;

use super::{Study, VariantResult};
use crate::experiment::{self, Findings, Progress};
use crate::model::metric::Metric;
use crate::scenario::Scenario;

/// A study whose every variant was run.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// What was run.
    pub study: Study,
    /// What came of each variant, in the order of the grid.
    pub results: Vec<VariantResult>,
    /// Positions in `results`, the best variant first.
    pub ranking: Vec<usize>,
    /// Positions in `results` of the Pareto front of cost, loss and recovery; cheapest first.
    pub front: Vec<usize>,
    /// The best few with their course over time.
    pub best: Vec<(usize, Findings)>,
}

/// How many variants are shown with their course over time.
const MOST_SHOWN: usize = 6;

impl Sweep {
    /// Ranks the results and runs the best few once more for their course over time; `None` if interrupted.
    pub fn of(study: Study, results: Vec<VariantResult>, progress: &impl Progress) -> Option<Self> {
        let ranking = ranking(study.grid.scenario(), &results);
        let front = front(&results);
        let mut best = Vec::new();
        for &position in ranking.iter().take(MOST_SHOWN) {
            let scenario = study.grid.variant(results[position].id);
            let scenario = scenario.expect("a variant that was run can be read");
            let findings = experiment::run(&scenario, progress)?;
            if findings.summary.interrupted {
                return None;
            }
            best.push((position, findings));
        }
        Some(Self { study, results, ranking, front, best })
    }

    /// The best variant that meets every objective.
    pub fn winner(&self) -> Option<&VariantResult> {
        self.ranking.first().map(|&position| &self.results[position]).filter(|result| result.passes())
    }
}

/// Variants that miss fewer objectives come first, then cheaper ones, then by `plan.tie_break`, then in the order of the
/// grid.
fn ranking(scenario: &Scenario, results: &[VariantResult]) -> Vec<usize> {
    let key = |position: &usize| {
        let result = &results[*position];
        let missed = result.slo.iter().filter(|(_, pass)| !pass).count();
        let tie = result.metric(scenario.plan.tie_break).mean.unwrap_or(f64::INFINITY);
        (missed, [result.cost.mean.unwrap_or(f64::INFINITY), tie])
    };
    let mut ranking: Vec<usize> = (0..results.len()).collect();
    ranking.sort_by(|a, b| {
        let ((missed_a, values_a), (missed_b, values_b)) = (key(a), key(b));
        missed_a.cmp(&missed_b).then_with(|| {
            let mut order = values_a.iter().zip(&values_b).map(|(a, b)| a.total_cmp(b));
            order.find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
        })
    });
    ranking
}

/// The dimensions of the Pareto front, less being better: cost, fraction of offered jobs that were rejected or lost, and
/// recovery time in seconds, each a mean over the replications.
pub fn trade(result: &VariantResult) -> [f64; 3] {
    let mean = |metric: Metric| result.metric(metric).mean.unwrap_or(0.0);
    let offered = mean(Metric::Offered);
    let loss = if offered > 0.0 { (mean(Metric::Rejected) + mean(Metric::Lost)) / offered } else { 0.0 };
    [result.cost.mean.unwrap_or(f64::INFINITY), loss, mean(Metric::Recovery)]
}

/// The Pareto front: variants that no other one dominates. Of equal variants, the first.
fn front(results: &[VariantResult]) -> Vec<usize> {
    let trades: Vec<[f64; 3]> = results.iter().map(trade).collect();
    let mut order: Vec<usize> = (0..results.len()).collect();
    let compare = |a: &[f64; 3], b: &[f64; 3]| {
        let mut orders = a.iter().zip(b).map(|(a, b)| a.total_cmp(b));
        orders.find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
    };
    order.sort_by(|&a, &b| compare(&trades[a], &trades[b]));
    // A variant that dominates another one comes before it in this order, and is dominated itself only by a variant
    // that dominates both: comparing with the front so far is enough.
    let mut front: Vec<usize> = Vec::new();
    for position in order {
        let is_beaten = |&other: &usize| trades[other].iter().zip(&trades[position]).all(|(a, b)| a <= b);
        if !front.iter().any(is_beaten) {
            front.push(position);
        }
    }
    front
}
