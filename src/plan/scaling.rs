//! The autoscaler of a plan: its numbers, and where each comes from.
//!
//! A scenario with an autoscaler is planned with it: what the search chose and simulated is what is applied. To one without,
//! an autoscaler is added around the planned workers. They are its minimum; its target follows from the objectives by
//! Little's law, depth = wait x drain rate.

use super::Choice;
use crate::engine::time::SimDuration;
use crate::model::config::{
    AutoscalerConfig, Behavior, Discipline, ModelConfig, Quantity, ScalingRules, Span, TargetType, WaitFor,
};
use crate::model::distribution::Distribution;
use crate::model::metric::Metric;
use crate::scenario::Scenario;
use crate::scenario::slo::{Relation, Slo, Subject};

/// The autoscaler that a plan asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaling {
    /// All of it. How often the cluster decides, how old the metric is and how long a pod takes are the scenario's, or what
    /// is usual.
    pub config: AutoscalerConfig,
    /// Where the numbers come from; `None` of those that the search chose and simulated.
    pub derived: Option<Derivation>,
}

/// Where the numbers of an added autoscaler come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Derivation {
    /// What bounds the depth.
    pub bound: Bound,
    /// The largest multiple of the load, at most 2, at which the planned workers meet the objectives.
    pub good_load: f64,
}

/// How many jobs may wait for each worker process.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// The number.
    pub waiting: f64,
    /// How long the last of them waits, in seconds.
    pub seconds: f64,
    /// What says so.
    pub source: String,
}

/// The multiple of the load that the largest number of workers is for.
pub const LOAD: f64 = 2.0;
/// The autoscaler leaves things as they are up to this ratio of the metric to its target.
pub const TOLERANCE: f64 = 1.1;
/// The part of the allowed wait at which more workers are asked for; the rest is for pods to start in.
const EARLY: f64 = 0.5;
/// Kubernetes' own window before it scales down, and the largest it takes, in seconds.
const DOWN_WINDOW: u64 = 300;
const MOST_WINDOW: u64 = 3_600;

impl Scaling {
    /// That of the choice.
    pub fn of(choice: &Choice) -> Self {
        let model = &choice.scenario.model;
        if let Some(config) = &model.autoscaler {
            return Self { config: config.clone(), derived: None };
        }
        let bound = Bound::of(&choice.scenario);
        let min = model.workers.processes;
        let good = choice.what_if.headroom.unwrap_or(1.0).clamp(1.0, LOAD);
        let max = (f64::from(min) * LOAD / good - 1e-9).ceil() as u32;
        let recovery = choice.findings.summary.metric(Metric::Recovery).p95.unwrap_or(0.0);
        let window = ((recovery / 60.0).ceil() as u64 * 60).clamp(DOWN_WINDOW, MOST_WINDOW);
        let usual = Behavior::default();
        let down = ScalingRules { window: SimDuration(window * SimDuration::SECOND.0), ..usual.down };
        let config = AutoscalerConfig {
            min,
            max: max.max(min),
            target: bound.target(model),
            behavior: Some(Behavior { up: usual.up, down }),
            ..cluster()
        };
        Self { config, derived: Some(Derivation { bound, good_load: good }) }
    }

    /// The autoscaler of that choice as the cluster would run it.
    pub fn cluster(choice: &Choice) -> AutoscalerConfig {
        choice.scenario.model.autoscaler.clone().unwrap_or_else(cluster)
    }
}

impl Bound {
    /// The tightest of what the objectives on waits, the patience of clients, the policy and the capacity of the line allow.
    pub fn of(scenario: &Scenario) -> Self {
        let model = &scenario.model;
        let (processes, slots) = (f64::from(model.workers.processes), f64::from(model.workers.slots()));
        // A fleet that drains without a bound lets any number wait; nothing then needs scaling.
        let drain = (model.slot_capacity() / processes).min(1e12);
        let by_wait = |(seconds, source): (f64, String)| Self { waiting: seconds * drain, seconds, source };
        let by_depth = |depth: u64, source: &str| {
            let waiting = (depth as f64 - slots).max(0.0) / processes;
            Self { waiting, seconds: waiting / drain, source: source.to_owned() }
        };
        let policy = &model.policy.config;
        let shed = policy
            .enabled()
            .then(|| by_depth(policy.sheds_at(), "the depth at which the policy begins to reject"));
        let capacity = model.queue.capacity.map(|capacity| by_depth(capacity, "queue.capacity"));
        let waits = waits(scenario).into_iter().map(by_wait);
        let tightest = waits.chain(shed).chain(capacity).min_by(|a, b| a.waiting.total_cmp(&b.waiting));
        tightest.unwrap_or_else(|| {
            let waiting = f64::from(model.workers.concurrency);
            let source = "nothing bounds the wait: as many may wait as are in service".to_owned();
            Self { waiting, seconds: waiting / drain, source }
        })
    }

    /// Jobs of each worker process, in service and waiting, that its target is: passing it by the tolerance means that a
    /// part of the allowed wait is used up.
    pub fn target(&self, model: &ModelConfig) -> u64 {
        let depth = f64::from(model.workers.concurrency) + EARLY * self.waiting;
        (depth / TOLERANCE).floor().clamp(1.0, 1e12) as u64
    }
}

/// What objectives and clients allow a job to wait, in seconds, each with its source.
fn waits(scenario: &Scenario) -> Vec<(f64, String)> {
    let model = &scenario.model;
    let in_service =
        model.mean_over_jobs(|class| class.service_time.mean()) + model.workers.overhead.as_secs_f64();
    let in_order = model.queue.discipline == Discipline::Fifo;
    let of_objective = |slo: &Slo| {
        // Where jobs do not wait in line, the depth says nothing of a single class.
        if !in_order && slo.class.is_some() {
            return None;
        }
        let (span, limit) = time_limit(slo)?;
        let waiting = match span {
            Span::Wait => limit,
            Span::Sojourn => limit - in_service,
        };
        Some((waiting.max(0.0), slo.expression.clone()))
    };
    let patience =
        model.clients.filter(|clients| clients.wait_for == WaitFor::Completion).and_then(|clients| {
            let seconds = clients.timeout?.as_secs_f64() - in_service;
            Some((seconds.max(0.0), "clients.timeout".to_owned()))
        });
    scenario.slo.iter().filter_map(of_objective).chain(patience).collect()
}

/// The time of a job that an objective limits, and the limit in seconds: of a mean, of a percentile, or of the jobs that must be
/// within it.
fn time_limit(slo: &Slo) -> Option<(Span, f64)> {
    let is_upper = matches!(slo.relation, Relation::Less | Relation::LessOrEqual);
    let is_lower = matches!(slo.relation, Relation::Greater | Relation::GreaterOrEqual);
    let of_metric = |metric: Metric| match metric {
        Metric::WaitMean | Metric::WaitP50 | Metric::WaitP95 | Metric::WaitP99 => Some(Span::Wait),
        Metric::SojournMean | Metric::SojournP50 | Metric::SojournP95 | Metric::SojournP99 => {
            Some(Span::Sojourn)
        }
        _ => None,
    };
    match &slo.subject {
        Subject::Metric(metric) if is_upper => Some((of_metric(*metric)?, slo.limit)),
        Subject::Question { question, .. } => match question.quantity {
            Quantity::Metric(metric) if is_upper => Some((of_metric(metric)?, slo.limit)),
            Quantity::Percentile(span, _) if is_upper => Some((span, slo.limit)),
            Quantity::Share(within) if is_lower => Some((within.span, within.limit)),
            Quantity::ErrorBudget { within: Some(within), .. } if is_upper => {
                Some((within.span, within.limit))
            }
            _ => None,
        },
        Subject::Metric(_) => None,
    }
}

/// What is usual: a decision every 15 s, on a metric that scrape, adapter and poll make 30 s old, and 20 s for a pod.
fn cluster() -> AutoscalerConfig {
    let seconds = |seconds: u64| SimDuration(seconds * SimDuration::SECOND.0);
    AutoscalerConfig {
        min: 1,
        max: 1,
        target: 1,
        target_type: TargetType::AverageValue,
        cpu_percent: None,
        tolerance_up: 0.1,
        tolerance_down: 0.1,
        sync: seconds(15),
        metric_age: seconds(30),
        start_up: Distribution::Deterministic { mean: 20.0 },
        behavior: None,
    }
}
