//! A study: many variants of a scenario, each with the same replications, in one pool.
//!
//! ```text
//! Grid --variants--> (variant, replication) tasks --parallel--> Replications --fold by variant--> VariantResults
//!                                                      \--append--> Journal (resume, shards, merge)
//! ```
//!
//! Replication `i` of every variant draws the same jobs (common random numbers). Results arrive in any order, and a
//! variant is folded when its last replication has arrived, so that memory holds only the variants under way and a
//! few numbers for each finished one.

pub mod axis;
pub mod constraint;
pub mod cost;
pub mod grid;
pub mod journal;
pub mod limit;
pub mod shard;
pub mod sweep;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::experiment::replication::{Extent, Replication, simulate};
use crate::experiment::summary::{Estimate, digest, estimate, estimate_of, judge};
use crate::experiment::{Progress, parallel};
use crate::model::metric::Metric;
use crate::scenario::Scenario;
use cost::Monthly;
use grid::{Grid, VariantId, Variants};
use journal::Entry;
use shard::Shard;

/// A grid whose variants are known.
#[derive(Clone, Debug)]
pub struct Study {
    /// The configurations.
    pub grid: Grid,
    /// Which of them can be run, and why the others cannot.
    pub variants: Variants,
    /// Replications of each.
    pub replications: u32,
}

/// The result of a variant.
#[derive(Clone, Debug, PartialEq)]
pub struct VariantResult {
    /// The variant.
    pub id: VariantId,
    /// Cost a month.
    pub cost: Estimate,
    /// What was observed for each objective, and whether it holds.
    pub slo: Vec<(Option<f64>, bool)>,
    /// The system-wide metrics, in the order of `Metric::ALL`.
    pub metrics: Vec<Estimate>,
    /// What it is ranked by, besides the objectives.
    pub criteria: Criteria,
    /// Hash of its replications, equal to that of running the variant alone.
    pub digest: String,
}

/// What variants are ranked by, in this order and less being better: a value of each replication.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Criteria {
    /// Share of the offered jobs that were refused or lost or, where there are clients, of the requests given up.
    pub harm: Vec<f64>,
    /// Cost a month.
    pub cost: Vec<f64>,
    /// The metric `plan.tie_break`.
    pub tie_break: Vec<f64>,
}

impl Criteria {
    /// How many there are.
    pub const COUNT: usize = 3;

    /// The values, the most important first.
    pub fn in_order(&self) -> [&[f64]; Self::COUNT] {
        [&self.harm, &self.cost, &self.tie_break]
    }

    fn of(scenario: &Scenario, replications: &[Replication]) -> Self {
        let monthly = Monthly::of(scenario);
        let share = |run: &Replication, harmed: &[Metric], all: Metric| {
            let sum: f64 = harmed.iter().filter_map(|&metric| run.get(metric)).sum();
            run.get(all).filter(|all| *all > 0.0).map_or(0.0, |all| sum / all)
        };
        let harm = |run: &Replication| match scenario.model.clients {
            Some(_) => share(run, &[Metric::Abandoned, Metric::Lost], Metric::Requests),
            None => share(run, &[Metric::Rejected, Metric::Lost], Metric::Offered),
        };
        let tie_break = |run: &Replication| run.get(scenario.plan.tie_break).unwrap_or(f64::INFINITY);
        Self {
            harm: replications.iter().map(harm).collect(),
            cost: replications.iter().map(|run| monthly.cost(run)).collect(),
            tie_break: replications.iter().map(tie_break).collect(),
        }
    }
}

impl VariantResult {
    fn of(id: VariantId, scenario: &Scenario, replications: &[Replication]) -> Self {
        let judged = scenario.slo.iter().map(|slo| judge(slo, replications));
        let criteria = Criteria::of(scenario, replications);
        Self {
            id,
            cost: estimate_of(&criteria.cost.iter().copied().collect(), 0),
            slo: judged.map(|result| (result.observed, result.pass)).collect(),
            metrics: Metric::ALL.iter().map(|&metric| estimate(replications, None, metric)).collect(),
            criteria,
            digest: digest(replications),
        }
    }

    /// Whether it meets every objective.
    pub fn passes(&self) -> bool {
        self.slo.iter().all(|(_, pass)| *pass)
    }

    /// How many objectives it misses.
    pub fn missed(&self) -> usize {
        self.slo.iter().filter(|(_, pass)| !pass).count()
    }

    /// A system-wide metric.
    pub fn metric(&self, metric: Metric) -> &Estimate {
        &self.metrics[metric as usize]
    }
}

/// Which replications need not be run any more.
#[derive(Clone, Debug)]
pub struct Done(Vec<bool>);

impl Study {
    /// The study of all variants of a grid. Goes through them in the current rayon pool.
    pub fn of(grid: Grid) -> Self {
        let (variants, _) = grid.variants(|_, _| ());
        let replications = grid.scenario().replications;
        Self { grid, variants, replications }
    }

    /// How many replications there are in all.
    pub fn tasks(&self) -> usize {
        self.variants.ids.len() * self.replications as usize
    }

    /// The work of a shard, or all of it: tasks of other shards count as done.
    pub fn to_do(&self, shard: Option<Shard>) -> Done {
        Done((0..self.tasks()).map(|task| shard.is_some_and(|shard| !shard.has(task as u64))).collect())
    }

    /// The task that an entry is the result of.
    fn task_of(&self, entry: &Entry) -> Option<usize> {
        let position = self.variants.ids.binary_search(&entry.variant).ok()?;
        (entry.replication < self.replications)
            .then(|| position * self.replications as usize + entry.replication as usize)
    }

    /// Runs what is not done, in the current rayon pool, and hands over each result as soon as it is there.
    /// True if all of it was run: neither `progress` nor an error of `take` stopped it.
    pub fn run<E: Send>(
        &self,
        done: &Done,
        mut take: impl FnMut(Entry) -> Result<(), E> + Send,
        progress: &impl Progress,
    ) -> Result<bool, E> {
        let tasks: Vec<usize> = (0..self.tasks()).filter(|&task| !done.0[task]).collect();
        let each = self.replications as usize;
        let scenarios = Scenarios::default();
        let failed = AtomicBool::new(false);
        let mut failure = None;
        let is_complete = parallel::run(
            tasks.len(),
            |index| {
                if failed.load(Ordering::Relaxed) {
                    return None;
                }
                let scenario = scenarios.of(self, tasks[index] / each);
                let outcome = simulate(&scenario, (tasks[index] % each) as u32, progress)?;
                Some(Replication::of(&outcome, &scenario.model))
            },
            |index, result| {
                let variant = self.variants.ids[tasks[index] / each];
                let replication = (tasks[index] % each) as u32;
                if failure.is_none() {
                    failure = take(Entry { variant, replication, extent: Extent::Whole, result }).err();
                    failed.store(failure.is_some(), Ordering::Relaxed);
                }
            },
        );
        failure.map_or(Ok(is_complete), Err)
    }
}

impl Done {
    /// Notes a result that is there already.
    pub fn note(&mut self, study: &Study, entry: &Entry) {
        if let Some(task) = study.task_of(entry) {
            self.0[task] = true;
        }
    }

    /// How many replications are left to run.
    pub fn left(&self) -> usize {
        self.0.iter().filter(|done| !**done).count()
    }
}

/// The scenarios of the variants under way, made when the first replication needs one.
#[derive(Default)]
struct Scenarios(Mutex<BTreeMap<usize, Arc<Scenario>>>);

/// Tasks are taken in order, so hardly more variants than threads are under way.
const MOST_UNDER_WAY: usize = 64;

impl Scenarios {
    fn of(&self, study: &Study, position: usize) -> Arc<Scenario> {
        let known = || self.0.lock().expect("nobody panics while holding it");
        let found = known().get(&position).cloned();
        found.unwrap_or_else(|| {
            let scenario = study.grid.variant(study.variants.ids[position]);
            let scenario = Arc::new(scenario.expect("a variant that can be run was read before"));
            let mut known = known();
            known.insert(position, Arc::clone(&scenario));
            if known.len() > MOST_UNDER_WAY {
                known.pop_first();
            }
            scenario
        })
    }
}

/// The results so far, variant by variant.
#[derive(Debug)]
pub struct Fold<'s> {
    study: &'s Study,
    /// Replications of the variants that are not complete.
    partial: BTreeMap<usize, Vec<Option<Replication>>>,
    results: Vec<Option<VariantResult>>,
}

impl<'s> Fold<'s> {
    /// Knows nothing yet.
    pub fn new(study: &'s Study) -> Self {
        Self { study, partial: BTreeMap::new(), results: vec![None; study.variants.ids.len()] }
    }

    /// Adds a result; one that is already there, or belongs to no variant, changes nothing.
    pub fn add(&mut self, entry: Entry) {
        let Some(task) = self.study.task_of(&entry) else { return };
        let each = self.study.replications as usize;
        let position = task / each;
        if self.results[position].is_some() {
            return;
        }
        let replications = self.partial.entry(position).or_insert_with(|| vec![None; each]);
        replications[entry.replication as usize].get_or_insert(entry.result);
        if replications.iter().all(Option::is_some) {
            let replications: Option<Vec<Replication>> =
                self.partial.remove(&position).into_iter().flatten().collect();
            let scenario = self.study.grid.variant(entry.variant);
            let scenario = scenario.expect("a variant that can be run was read before");
            let replications = replications.expect("all of them are there");
            self.results[position] = Some(VariantResult::of(entry.variant, &scenario, &replications));
        }
    }

    /// The results of all variants, in their order; or how many are missing.
    pub fn finish(self) -> Result<Vec<VariantResult>, usize> {
        let missing = self.results.iter().filter(|result| result.is_none()).count();
        self.results.into_iter().collect::<Option<Vec<_>>>().ok_or(missing)
    }
}
