//! What replications prove about an objective.
//!
//! The limit is where an objective turns from met to missed *in the long run of seeds*, so each is a statement about a
//! parameter, and a test of it:
//!
//! - **An objective on a mean** holds where the expectation is on the good side. It is proven met or missed by
//!   Student's t-test of the mean over the replications.
//! - **An objective on all, some or 95% of the runs** (`max`, `min`, `p95`) holds where a check of as many runs as the
//!   scenario asks for passes at least half of the time: where the probability that one run holds is at least
//!   `median_probability`. It is proven by the exact binomial test, which needs more runs than a check: ten good ones
//!   of ten say little about the eleventh.
//!
//! A configuration is proven met if every objective is, each at the level `alpha / 2`: if one of them is not met, that one must
//! be misjudged (an intersection-union test, Berger, Technometrics 24, 1982), so nothing is divided. It is proven missed if one is,
//! at `alpha / 2` divided by their number (Bonferroni).

use crate::experiment::replication::Replication;
use crate::experiment::summary::judge;
use crate::scenario::slo::{Relation, Slo, Statistic};
use crate::stats::binomial::{at_least, at_most, median_probability};
use crate::stats::interval::Sample;

/// The tests of all objectives of a scenario.
#[derive(Clone, Debug)]
pub(super) struct Tests {
    objectives: Vec<Slo>,
    tests: Vec<Vec<Test>>,
    /// Replications of a check, and of every test of a mean.
    pub(super) usual: u32,
    /// Level of each of the two sides.
    level: f64,
}

/// What is asked of the replications of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Every objective is met.
    Met,
    /// Some objective is missed.
    Missed,
}

/// What they say to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// It is proven.
    Proven,
    /// It is not, and no further replication of the plan can prove it.
    NotProven,
    /// So many replications in all would tell.
    MoreRuns(u32),
}

/// One test of an objective.
#[derive(Clone, Copy, Debug)]
enum Test {
    Mean,
    /// That enough runs hold.
    Share(Plan),
    /// That enough runs have a value that is known and finite: a mean over one without a bound has none.
    Known(Plan),
}

impl Tests {
    /// The tests at that confidence: the error on each side is half of what is missing to 1.
    pub(super) fn of(objectives: &[Slo], replications: u32, confidence: f64) -> Self {
        let level = (1.0 - confidence) / 2.0;
        let each = level / objectives.len().max(1) as f64;
        let tests = objectives.iter().map(|slo| tests_of(slo, replications, level, each)).collect();
        Self { objectives: objectives.to_vec(), tests, usual: replications, level }
    }

    /// What these replications, the first of the point in their order, say.
    pub(super) fn answer(&self, claim: Claim, runs: &[Replication]) -> Evidence {
        let mut answers: Vec<Evidence> = Vec::new();
        for (slo, tests) in self.objectives.iter().zip(&self.tests) {
            answers.extend(tests.iter().map(|test| self.ask(claim, slo, test, runs)));
        }
        // Met needs all of them, missed one.
        let (decides, else_) = match claim {
            Claim::Met => (Evidence::NotProven, Evidence::Proven),
            Claim::Missed => (Evidence::Proven, Evidence::NotProven),
        };
        if answers.contains(&decides) {
            return decides;
        }
        let more = |answer: &Evidence| match answer {
            Evidence::MoreRuns(runs) => Some(*runs),
            Evidence::Proven | Evidence::NotProven => None,
        };
        answers.iter().filter_map(more).max().map_or(else_, Evidence::MoreRuns)
    }

    fn ask(&self, claim: Claim, slo: &Slo, test: &Test, runs: &[Replication]) -> Evidence {
        match *test {
            Test::Mean => {
                let usual = &runs[..runs.len().min(self.usual as usize)];
                self.ask_mean(claim, slo, usual)
            }
            Test::Share(plan) => {
                let holds = |run: &Replication| {
                    let result = judge(slo, std::slice::from_ref(run));
                    result.pass || result.observed.is_none()
                };
                plan.ask(claim, runs, holds)
            }
            Test::Known(plan) => {
                let is_known = |run: &Replication| {
                    let result = judge(slo, std::slice::from_ref(run));
                    result.censored == 0 && result.observed.is_none_or(f64::is_finite)
                };
                plan.ask(claim, runs, is_known)
            }
        }
    }

    fn ask_mean(&self, claim: Claim, slo: &Slo, runs: &[Replication]) -> Evidence {
        // A value that lies in a range is proven on a side if both of its ends are.
        let answers = || runs.iter().filter_map(|run| run.answer(slo));
        let least: Sample = answers().map(|answer| answer.least).filter(|value| value.is_finite()).collect();
        let most: Sample = answers()
            .map(|answer| answer.most.unwrap_or(answer.least))
            .filter(|value| value.is_finite())
            .collect();
        let is_proven = [least, most].iter().all(|sample| self.mean_proves(claim, slo, sample));
        if is_proven { Evidence::Proven } else { Evidence::NotProven }
    }

    fn mean_proves(&self, claim: Claim, slo: &Slo, sample: &Sample) -> bool {
        let each = self.level / self.objectives.len() as f64;
        let level = if claim == Claim::Met { self.level } else { each };
        let (Some(mean), Some(half)) = (sample.mean(), sample.half_width(1.0 - 2.0 * level)) else {
            return false;
        };
        let holds = |value: f64| slo.relation.holds(value, slo.limit);
        match claim {
            Claim::Met => holds(mean - half) && holds(mean + half),
            Claim::Missed => !holds(mean - half) && !holds(mean + half),
        }
    }
}

fn tests_of(slo: &Slo, replications: u32, level: f64, each: f64) -> Vec<Test> {
    let is_upper = matches!(slo.relation, Relation::Less | Relation::LessOrEqual);
    let plan = |needed: u32| Plan::of(median_probability(needed.into(), replications.into()), level, each);
    match (needed_runs(slo, replications), is_upper) {
        (Some(needed), _) => vec![Test::Share(plan(needed))],
        (None, false) => vec![Test::Mean],
        (None, true) => vec![Test::Mean, Test::Known(plan(replications))],
    }
}

/// Of a check of so many runs, how many must hold for themselves so that the objective holds; `None` of one on a mean.
fn needed_runs(slo: &Slo, replications: u32) -> Option<u32> {
    let rank = (0.95 * f64::from(replications)).ceil() as u32;
    let is_upper = match slo.relation {
        Relation::Less | Relation::LessOrEqual => true,
        Relation::Greater | Relation::GreaterOrEqual => false,
        // A mean is equal to a number where all runs are; nothing else can be proven of it.
        Relation::Equal => return Some(replications),
        Relation::NotEqual => return Some(1),
    };
    match (slo.statistic, is_upper) {
        (Statistic::Mean, _) => None,
        (Statistic::Max, true) | (Statistic::Min, false) => Some(replications),
        (Statistic::Max, false) | (Statistic::Min, true) => Some(1),
        (Statistic::P95, true) => Some(rank),
        (Statistic::P95, false) => Some(replications - rank + 1),
    }
}

/// The test of a probability by a fixed number of runs.
#[derive(Clone, Copy, Debug)]
struct Plan {
    runs: u32,
    /// The fewest good runs that prove that the probability is above.
    met_from: Option<u32>,
    /// The most good runs that prove that it is below.
    missed_to: Option<u32>,
}

impl Plan {
    /// The fewest runs that can prove both: that the probability is above, at `level`, and that it is below, at `each`.
    fn of(probability: f64, level: f64, each: f64) -> Self {
        let for_met = (level.ln() / probability.ln()).ceil();
        let for_missed = (each.ln() / (1.0 - probability).ln()).ceil();
        let runs = for_met.max(for_missed).clamp(1.0, MOST_RUNS) as u32;
        let trials = u64::from(runs);
        let is_met = |&good: &u32| at_least(good.into(), trials, probability) <= level * ALMOST;
        let is_missed = |&good: &u32| at_most(good.into(), trials, probability) <= each * ALMOST;
        Self { runs, met_from: (0..=runs).find(is_met), missed_to: (0..=runs).rev().find(is_missed) }
    }

    /// What the first runs say. It ends as soon as no outcome of the rest can change the answer, which leaves its level as it
    /// is: curtailed sampling.
    fn ask(&self, claim: Claim, runs: &[Replication], holds: impl Fn(&Replication) -> bool) -> Evidence {
        let seen = &runs[..runs.len().min(self.runs as usize)];
        let good = seen.iter().filter(|run| holds(run)).count() as u32;
        let bad = seen.len() as u32 - good;
        let (is_proven, is_out) = match (claim, self.met_from, self.missed_to) {
            (Claim::Met, Some(least), _) => (good >= least, bad > self.runs - least),
            (Claim::Missed, _, Some(most)) => (bad >= self.runs - most, good > most),
            (Claim::Met, None, _) | (Claim::Missed, _, None) => (false, true),
        };
        match (is_proven, is_out) {
            (true, _) => Evidence::Proven,
            (_, true) => Evidence::NotProven,
            _ => Evidence::MoreRuns(self.runs),
        }
    }
}

/// Levels are reached exactly where the number of runs was computed from them.
const ALMOST: f64 = 1.0 + 1e-9;
/// Bounds a scenario with a million replications.
const MOST_RUNS: f64 = 100_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_runs_that_all_must_hold_are_proven_by_seventy_seven() {
        // 2^(-n/10) <= 0.005 from n = 76.4 on; P(at most 64 of 77 | 0.933) is the largest tail below 0.005.
        let plan = Plan::of(median_probability(10, 10), 0.005, 0.005);
        assert_eq!((plan.runs, plan.met_from), (77, Some(77)));
        let tail = |good: u32| at_most(good.into(), 77, 0.5_f64.powf(0.1));
        let most = plan.missed_to.expect("there is one");
        assert!(tail(most) <= 0.005 && tail(most + 1) > 0.005, "{most}");
    }

    #[test]
    fn one_run_that_must_hold_is_missed_by_as_many() {
        let plan = Plan::of(median_probability(1, 10), 0.005, 0.005);
        assert_eq!((plan.runs, plan.missed_to), (77, Some(0)));
        assert!(plan.met_from.is_some_and(|good| good > 5 && good < 20), "{:?}", plan.met_from);
    }
}
