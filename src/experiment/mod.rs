//! An experiment: the replications of a scenario, run in parallel and folded in order.
//!
//! Replication `i` depends on the scenario, the seed and `i` alone, and the fold takes the outcomes in
//! order of `i`, so the findings are the same bytes on any number of threads. Outcomes are folded batch by
//! batch and then dropped: memory does not grow with the number of replications but for a few numbers each.

pub mod series;
pub mod summary;

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use crate::engine::digest::Digest;
use crate::engine::time::SimTime;
use crate::model::Simulation;
use crate::model::metric::{Metric, Metrics};
use crate::model::outcome::{LimitTimes, Outcome, class_metrics};
use crate::model::probe::NoProbe;
use crate::scenario::Scenario;
use crate::scenario::slo::{Slo, Statistic};
use crate::stats::interval::Sample;
use series::{Series, SeriesFold};
use summary::{Estimate, LimitReached, Named, SCHEMA, SloResult, Summary, Verdict};

/// All that an experiment found.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The figures.
    pub summary: Summary,
    /// The course over time.
    pub series: Series,
    /// Each replication's system-wide metrics, in order.
    pub replications: Vec<Metrics>,
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

/// Confidence of all intervals.
const CONFIDENCE: f64 = 0.95;

/// Runs all replications in the current rayon pool. Interrupted, it finds what the replications finished
/// by then say, or nothing if there is none.
pub fn run(scenario: &Scenario, progress: &impl Progress) -> Option<Findings> {
    let mut fold = Fold::new(scenario);
    let interrupted = AtomicBool::new(false);
    let mut begin = 0;
    while begin < scenario.replications && !interrupted.load(Ordering::Relaxed) {
        let end = scenario.replications.min(begin + BATCH);
        let outcomes: Vec<Option<Outcome>> = (begin..end)
            .into_par_iter()
            .map(|replication| {
                let outcome = run_replication(scenario, replication, progress);
                if outcome.is_none() {
                    interrupted.store(true, Ordering::Relaxed);
                }
                outcome
            })
            .collect();
        outcomes.into_iter().flatten().for_each(|outcome| fold.add(&outcome));
        begin = end;
    }
    fold.finish(interrupted.into_inner())
}

/// Runs one replication slice by slice; `None` if interrupted.
fn run_replication(scenario: &Scenario, replication: u32, progress: &impl Progress) -> Option<Outcome> {
    let mut simulation = Simulation::new(&scenario.model, scenario.seed, replication, NoProbe);
    let horizon = u128::from(scenario.model.horizon.0);
    for slice in 1..=SLICES {
        if progress.interrupted() {
            return None;
        }
        simulation.advance(SimTime((horizon * u128::from(slice) / u128::from(SLICES)) as u64));
        progress.advanced();
    }
    Some(simulation.finish())
}

/// The outcomes so far.
struct Fold<'a> {
    scenario: &'a Scenario,
    system: Vec<Metrics>,
    classes: Vec<Vec<Metrics>>,
    limits: Vec<LimitTimes>,
    series: SeriesFold,
    digest: Digest,
}

impl<'a> Fold<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        Self {
            scenario,
            system: Vec::new(),
            classes: vec![Vec::new(); scenario.model.classes.len()],
            limits: Vec::new(),
            series: SeriesFold::new(&scenario.model),
            digest: Digest::default(),
        }
    }

    fn add(&mut self, outcome: &Outcome) {
        let config = &self.scenario.model;
        outcome.digest(&mut self.digest);
        self.system.push(outcome.metrics(config));
        for (metrics, counts) in self.classes.iter_mut().zip(&outcome.classes) {
            metrics.push(class_metrics(counts, config));
        }
        self.limits.push(outcome.limits);
        self.series.add(&outcome.series);
    }

    fn finish(self, interrupted: bool) -> Option<Findings> {
        if self.system.is_empty() {
            return None;
        }
        let scenario = self.scenario;
        let slo: Vec<SloResult> = scenario.slo.iter().map(|slo| self.judge(slo)).collect();
        let names = scenario.model.classes.iter().map(|class| class.name.clone());
        let per_class = |metrics: &Vec<Metrics>| estimates(metrics, Metric::per_class);
        let summary = Summary {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            scenario: scenario.name.clone(),
            seed: scenario.seed,
            replications: self.system.len() as u32,
            digest: format!("{:016x}", self.digest.value()),
            verdict: if slo.iter().all(|result| result.pass) { Verdict::Pass } else { Verdict::Fail },
            interrupted,
            metrics: estimates(&self.system, |_| true),
            classes: Named(names.zip(self.classes.iter().map(per_class)).collect()),
            slo,
            limits_reached: limits_reached(&self.limits),
            warnings: scenario.warnings.clone(),
        };
        Some(Findings { summary, series: self.series.finish(), replications: self.system })
    }

    fn judge(&self, slo: &Slo) -> SloResult {
        let metrics = slo.class.map_or(&self.system, |class| &self.classes[class]);
        let estimate = estimate(metrics, slo.metric);
        let observed = match slo.statistic {
            Statistic::Mean => estimate.mean,
            Statistic::Min => estimate.min,
            Statistic::Max => estimate.max,
            Statistic::P95 => estimate.p95,
        };
        SloResult {
            expression: slo.expression.clone(),
            pass: observed.is_some_and(|observed| slo.comparison.holds(observed, slo.limit)),
            observed,
            limit: slo.limit,
            metric: slo.metric.name(),
            censored: estimate.censored,
        }
    }
}

fn estimates(replications: &[Metrics], wanted: impl Fn(Metric) -> bool) -> Named<Estimate> {
    let metrics = Metric::ALL.iter().copied().filter(|&metric| wanted(metric));
    Named(metrics.map(|metric| (metric.name().to_owned(), estimate(replications, metric))).collect())
}

fn estimate(replications: &[Metrics], metric: Metric) -> Estimate {
    let sample: Sample = replications.iter().filter_map(|metrics| metrics.get(metric)).collect();
    Estimate {
        mean: sample.mean(),
        half_width: sample.half_width(CONFIDENCE),
        min: sample.min(),
        max: sample.max(),
        p95: sample.quantile(0.95),
        n: sample.len() as u32,
        censored: replications.iter().filter(|metrics| metrics.is_censored(metric)).count() as u32,
    }
}

/// The limits that any replication reached, the earliest first.
fn limits_reached(replications: &[LimitTimes]) -> Vec<LimitReached> {
    type TimeOf = fn(&LimitTimes) -> Option<SimTime>;
    let limits: [(&'static str, TimeOf); 6] = [
        ("workers saturated", |limits| limits.saturated),
        ("shed level", |limits| limits.shed),
        ("circuit open", |limits| limits.open),
        ("queue limit", |limits| limits.queue_limit),
        ("Redis at 80% of maxmemory", |limits| limits.redis_watermark),
        ("Redis full", |limits| limits.redis_full),
    ];
    let mut reached: Vec<LimitReached> = limits
        .iter()
        .filter_map(|(limit, time_of)| {
            let times: Sample =
                replications.iter().filter_map(|limits| time_of(limits).map(SimTime::as_secs_f64)).collect();
            let seconds = times.quantile(0.5)?;
            Some(LimitReached { limit, seconds, replications: times.len() as u32 })
        })
        .collect();
    reached.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    reached
}
