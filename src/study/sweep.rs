//! The result of a sweep: the ranking of the variants, and the Pareto front.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Criteria, Study, VariantResult};
use crate::experiment::summary::CONFIDENCE;
use crate::experiment::{self, Findings, Progress};
use crate::model::metric::Metric;
use crate::stats::interval::Sample;
use crate::stats::paired::PairedDifference;

/// A study whose every variant was run.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// What was run.
    pub study: Study,
    /// What came of each variant, in the order of the grid.
    pub results: Vec<VariantResult>,
    /// Positions in `results`, the best variant first.
    pub ranking: Vec<usize>,
    /// For each position in `results` its place in the ranking, from 1 on; equal ones share the first of their places.
    pub ranks: Vec<usize>,
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
        let groups = ranking(&results);
        let mut ranks = vec![0; results.len()];
        let mut place = 1;
        for group in &groups {
            group.iter().for_each(|&position| ranks[position] = place);
            place += group.len();
        }
        let ranking = groups.concat();
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
        Some(Self { study, results, ranking, ranks, front, best })
    }

    /// The best variant that meets every objective.
    pub fn winner(&self) -> Option<&VariantResult> {
        self.ranking.first().map(|&position| &self.results[position]).filter(|result| result.passes())
    }

    /// Position of the cheapest variant that meets every objective; of several, the best.
    pub fn cheapest(&self) -> Option<usize> {
        let passing = self.ranking.iter().copied().filter(|&position| self.results[position].passes());
        let cost = |position: usize| self.results[position].cost.mean.unwrap_or(f64::INFINITY);
        passing.min_by(|&a, &b| cost(a).total_cmp(&cost(b)))
    }

    /// Whether another variant is as good as this one, as far as the replications can tell.
    pub fn is_tied(&self, position: usize) -> bool {
        self.ranks.iter().filter(|rank| **rank == self.ranks[position]).count() > 1
    }
}

/// Groups of positions, the best first: variants that miss fewer objectives come first, then those that refuse and lose less,
/// then cheaper ones, then by `plan.tie_break`. Those of one group are equal: the replications cannot tell them apart.
fn ranking(results: &[VariantResult]) -> Vec<Vec<usize>> {
    let mut by_missed: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (position, result) in results.iter().enumerate() {
        by_missed.entry(result.missed()).or_default().push(position);
    }
    let mut groups = Vec::new();
    for positions in by_missed.into_values() {
        divide(results, positions, 0, &mut groups);
    }
    groups
}

/// Divides variants by this criterion and those after it. Whoever cannot be told from the best of those that are left is as good as
/// that one, so a chain of small differences does not make everything equal.
fn divide(results: &[VariantResult], positions: Vec<usize>, criterion: usize, groups: &mut Vec<Vec<usize>>) {
    if positions.len() < 2 || criterion >= Criteria::COUNT {
        groups.push(positions);
        return;
    }
    let values = |position: usize| results[position].criteria.in_order()[criterion];
    let sample = |position: usize| -> Sample { values(position).iter().copied().collect() };
    let mut left: Vec<(f64, f64, usize)> = positions
        .into_iter()
        .map(|position| {
            let sample = sample(position);
            let mean = sample.mean().unwrap_or(f64::INFINITY);
            (mean, sample.half_width(CONFIDENCE).unwrap_or(0.0), position)
        })
        .collect();
    left.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.2.cmp(&b.2)));
    let widest = left.iter().map(|(_, half_width, _)| *half_width).fold(0.0, f64::max);
    let mut is_taken = vec![false; left.len()];
    for first in 0..left.len() {
        if is_taken[first] {
            continue;
        }
        let (mean, half_width, best) = left[first];
        let mut equal = Vec::new();
        // Paired values vary no more than both together, so beyond this nobody is equal.
        for other in first..left.len() {
            let (its_mean, its_half_width, position) = left[other];
            if its_mean - mean > half_width + widest {
                break;
            }
            let is_near = its_mean.total_cmp(&mean).is_eq() || its_mean - mean <= half_width + its_half_width;
            if is_near && !is_taken[other] && is_equal(values(best), values(position)) {
                is_taken[other] = true;
                equal.push(position);
            }
        }
        equal.sort_unstable();
        divide(results, equal, criterion + 1, groups);
    }
}

/// Whether paired values differ by nothing, or by no more than their noise.
fn is_equal(a: &[f64], b: &[f64]) -> bool {
    if a == b {
        return true;
    }
    let is_finite = a.iter().chain(b).all(|value| value.is_finite());
    let paired = (is_finite && a.len() == b.len()).then(|| PairedDifference::of(a, b, CONFIDENCE)).flatten();
    paired.is_some_and(|difference| difference.mean.abs() <= difference.half_width)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::summary::Estimate;

    /// A variant that misses so many objectives, with what it refuses, costs, and the tie-break metric.
    fn variant(missed: usize, harm: [f64; 3], cost: f64, tie_break: f64) -> VariantResult {
        let nothing =
            Estimate { mean: None, half_width: None, min: None, max: None, p95: None, n: 0, censored: 0 };
        VariantResult {
            id: 0,
            cost: Estimate { mean: Some(cost), ..nothing },
            slo: vec![(None, false); missed],
            metrics: Vec::new(),
            criteria: Criteria { harm: harm.into(), cost: vec![cost; 3], tie_break: vec![tie_break; 3] },
            digest: String::new(),
        }
    }

    #[track_caller]
    fn check(variants: &[VariantResult], expected: &[&[usize]]) {
        assert_eq!(ranking(variants), expected);
    }

    #[test]
    fn objectives_come_first_then_what_is_refused_then_cost() {
        let steady = |harm: f64| [harm; 3];
        let variants = [
            variant(1, steady(0.0), 1.0, 0.0),
            variant(0, steady(0.2), 1.0, 0.0),
            variant(0, steady(0.1), 9.0, 0.0),
            variant(0, steady(0.1), 8.0, 2.0),
            variant(0, steady(0.1), 8.0, 1.0),
        ];
        check(&variants, &[&[4], &[3], &[2], &[1], &[0]]);
    }

    #[test]
    fn what_noise_cannot_tell_apart_is_equal_and_the_next_criterion_decides() {
        let variants = [
            variant(0, [0.10, 0.12, 0.14], 3.0, 0.0),
            // Differs from the first by noise alone, and is cheaper.
            variant(0, [0.11, 0.11, 0.15], 2.0, 0.0),
            // Always a little more than the first: common random numbers tell that.
            variant(0, [0.101, 0.121, 0.141], 1.0, 0.0),
            variant(0, [0.10, 0.12, 0.14], 3.0, 0.0),
        ];
        check(&variants, &[&[1], &[0, 3], &[2]]);
    }

    #[test]
    fn a_chain_of_small_differences_does_not_make_everything_equal() {
        // Neighbours are within noise of each other, the ends are not.
        let step = |level: f64| [level, level + 0.010, level - 0.010];
        let noisy = |level: f64| [level - 0.010, level + 0.010, level];
        let variants = [
            variant(0, step(0.1), 1.0, 0.0),
            variant(0, noisy(0.11), 1.0, 0.0),
            variant(0, step(0.3), 1.0, 0.0),
        ];
        check(&variants, &[&[0, 1], &[2]]);
    }
}
