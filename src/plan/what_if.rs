//! What becomes of a configuration when things change: more load, fewer workers, no policy, inputs that were
//! measured wrongly. All of it on common random numbers with the configuration itself.

use super::horizon;
use super::incidents::{self, Change};
use crate::engine::time::SimDuration;
use crate::experiment::replication::Replication;
use crate::experiment::summary::{CONFIDENCE, judge, limits_reached};
use crate::experiment::{self, Progress};
use crate::model::config::ModelConfig;
use crate::model::metric::Metric;
use crate::scenario::Scenario;
use crate::scenario::slo::Slo;
use crate::stats::interval::Sample;
use crate::stats::paired::PairedDifference;

/// What becomes of a configuration when things change.
#[derive(Clone, Debug, Default)]
pub struct WhatIf {
    /// The configuration at multiples of its load, the smallest first; 1 is among them.
    pub loads: Vec<AtLoad>,
    /// The largest multiple of the load, to within 0.05, up to which all objectives are met; `None` if they are missed as
    /// planned. Lighter loads that miss some stand in `loads`.
    pub headroom: Option<f64>,
    /// The multiple where the time from arrival to completion begins to climb: the point of the load curve
    /// farthest below its chord (Satopaa et al. 2011, "Finding a kneedle in a haystack"); `None` of a flat curve.
    pub knee: Option<f64>,
    /// Workers lost for the whole run: one process, and a zone of three.
    pub losses: Vec<AfterLoss>,
    /// With the policy switched off, seconds from the start until Redis is full; `None` if never.
    pub oom_unprotected: Option<f64>,
    /// Effects of inputs 10% lower and 10% higher, the largest first.
    pub tornado: Vec<Effect>,
    /// The part of the run that stands for all of it, where changes of a steady load are simulated for no longer; those near
    /// saturation, and those of which a backlog grows, are run in full.
    pub part: Option<SimDuration>,
}

/// A configuration at a multiple of its load.
#[derive(Clone, Debug, PartialEq)]
pub struct AtLoad {
    /// The multiple.
    pub factor: f64,
    /// How much of the run was simulated.
    pub simulated: SimDuration,
    /// Peak rate in jobs per second.
    pub peak_rate: f64,
    /// Objectives that are missed.
    pub missed: Vec<String>,
    /// The limits that were reached, the earliest first, with the time in seconds.
    pub limits: Vec<(&'static str, f64)>,
    /// Busy share of the workers.
    pub utilisation: f64,
    /// Share of offered jobs rejected.
    pub rejected: f64,
    /// Share of offered jobs lost.
    pub lost: f64,
    /// Recovery time in seconds, and whether some replication did not recover.
    pub recovery: (Option<f64>, bool),
    /// 95th percentile of the time from arrival to completion, in seconds.
    pub sojourn_p95: f64,
    /// Largest depth in jobs.
    pub peak_depth: f64,
    /// Largest Redis memory in bytes.
    pub redis_peak: f64,
    /// Seconds from the start until Redis is full; `None` if never.
    pub oom: Option<f64>,
}

/// A configuration after the loss of workers.
#[derive(Clone, Debug, PartialEq)]
pub struct AfterLoss {
    /// `one worker of 5`, `a zone: 2 workers of 5`.
    pub name: String,
    /// Worker processes left.
    pub processes: u32,
    /// Objectives that are missed.
    pub missed: Vec<String>,
    /// Share of offered jobs rejected.
    pub rejected: f64,
    /// Share of offered jobs lost.
    pub lost: f64,
    /// Recovery time in seconds, and whether some replication did not recover.
    pub recovery: (Option<f64>, bool),
}

/// What an input 10% lower and 10% higher does to a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// The input: `arrival rate`, `service time`, ...
    pub input: &'static str,
    /// What is measured.
    pub metric: Metric,
    /// The metric as it is.
    pub base: f64,
    /// The paired difference with the input 10% lower.
    pub lower: Shift,
    /// With the input 10% higher.
    pub higher: Shift,
}

/// A paired difference to the configuration as planned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// Its mean over the replications.
    pub mean: f64,
    /// Half-width of its 95% interval; `None` of a single replication.
    pub half_width: Option<f64>,
}

impl Effect {
    /// The larger of both.
    pub fn size(&self) -> f64 {
        self.lower.mean.abs().max(self.higher.mean.abs())
    }
}

impl Shift {
    /// The ends of the interval; both the mean where there is none.
    pub fn ends(self) -> (f64, f64) {
        let half_width = self.half_width.unwrap_or(0.0);
        (self.mean - half_width, self.mean + half_width)
    }

    /// Whether it is more than chance, as far as replications say.
    pub fn is_clear(self) -> bool {
        self.half_width.is_none_or(|half_width| self.mean.abs() > half_width)
    }

    fn of(own: &[f64], changed: &[f64]) -> Option<Self> {
        if own.len() != changed.len() {
            return None;
        }
        match PairedDifference::of(own, changed, CONFIDENCE) {
            Some(PairedDifference { mean, half_width, .. }) => {
                Some(Self { mean, half_width: Some(half_width) })
            }
            None => Some(Self { mean: changed.first()? - own.first()?, half_width: None }),
        }
    }
}

impl WhatIf {
    /// Lighter loads than planned at which objectives are missed, which a fleet that shrinks with the load may do.
    pub fn lighter_missed(&self) -> impl Iterator<Item = &AtLoad> {
        self.loads.iter().filter(|load| load.factor < 1.0 && !load.missed.is_empty())
    }

    /// Runs everything, in the current rayon pool; `None` if interrupted. The objectives of `choice` judge it, and `whole` are
    /// its own replications.
    pub fn of(choice: &Scenario, whole: &[Replication], progress: &impl Progress) -> Option<Self> {
        let part = part_of(choice, whole, progress)?;
        let runner = Runner { choice, part };
        let mut cases = Vec::new();
        cases.extend(LOADS.iter().map(|&factor| runner.case(|model| model.scale_load(factor))));
        let losses = incidents::losses(&choice.model);
        cases.extend(
            losses.iter().map(|(_, left)| runner.case(|model| Change::WorkersLeft(*left).apply(model))),
        );
        cases.push(runner.case(|model| model.policy.config = model.policy.config.with_enabled(false)));
        let inputs: Vec<&Input> = INPUTS.iter().filter(|input| input.applies(choice)).collect();
        for input in &inputs {
            cases.extend(CHANGES.map(|factor| runner.case(|model| (input.scale)(model, factor))));
        }
        let found = runner.run(&cases, progress)?;
        let (at_loads, rest) = found.split_at(LOADS.len());
        let (after_losses, rest) = rest.split_at(losses.len());
        let (unprotected, changed) = rest.split_first().expect("a case for each");

        let mut loads: Vec<AtLoad> =
            LOADS.iter().zip(at_loads).map(|(&factor, runs)| AtLoad::of(choice, factor, runs)).collect();
        let headroom = runner.refine_headroom(&mut loads, progress)?;
        let planned = &at_loads[LOADS.iter().position(|&factor| is_one(factor)).expect("1 is among them")];
        let bases = Bases { planned, whole };
        let mut tornado: Vec<Effect> = inputs
            .iter()
            .zip(changed.chunks(CHANGES.len()))
            .flat_map(|(input, runs)| effects(choice, input.name, &bases, runs))
            .collect();
        let size = |effect: &Effect| effect.size() / effect.base.abs().max(f64::MIN_POSITIVE);
        tornado.sort_by(|a, b| size(b).total_cmp(&size(a)));
        Some(Self {
            knee: knee(&loads),
            loads,
            headroom,
            losses: losses
                .into_iter()
                .zip(after_losses)
                .map(|((name, processes), runs)| AfterLoss {
                    name,
                    processes,
                    missed: missed(choice, &runs.replications),
                    rejected: mean(&runs.replications, Metric::RejectionProbability),
                    lost: lost(&runs.replications),
                    recovery: recovery(&runs.replications),
                })
                .collect(),
            oom_unprotected: oom(&unprotected.replications),
            tornado,
            part,
        })
    }
}

/// Multiples of the load that are always looked at.
const LOADS: [f64; 10] = [0.5, 0.7, 0.85, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5];
/// How closely the headroom is found.
const RESOLUTION: f64 = 0.05;
/// Inputs are changed by a tenth in both directions.
const CHANGES: [f64; 2] = [0.9, 1.1];

/// The length that stands for the whole of a steady scenario, if the plan itself shows in it what it shows in full. The outer
/// `None` is an interruption.
fn part_of(
    choice: &Scenario,
    whole: &[Replication],
    progress: &impl Progress,
) -> Option<Option<SimDuration>> {
    let Some(part) = horizon::shorter(&choice.model) else { return Some(None) };
    let mut shorter = choice.clone();
    shorter.model.horizon = part;
    let found = experiment::run_all(&[&shorter], 1, progress)?;
    let agrees = whole.first().is_some_and(|whole| horizon::agree(choice, &found[0][0], whole));
    Some(agrees.then_some(part))
}

/// Simulates changes of a configuration.
struct Runner<'a> {
    choice: &'a Scenario,
    /// Where changes may be simulated for a part of the run.
    part: Option<SimDuration>,
}

/// A scenario with something changed.
struct Case {
    scenario: Scenario,
    replications: u32,
}

/// What became of it.
struct Runs {
    replications: Vec<Replication>,
    horizon: SimDuration,
}

/// What changes are compared with: the configuration as planned, over as much of the run as they were simulated.
struct Bases<'a> {
    planned: &'a Runs,
    whole: &'a [Replication],
}

impl Bases<'_> {
    fn of(&self, changed: &Runs) -> &[Replication] {
        let same =
            if changed.horizon == self.planned.horizon { &self.planned.replications } else { self.whole };
        &same[..changed.replications.len().min(same.len())]
    }
}

impl Runner<'_> {
    fn case(&self, change: impl FnOnce(&mut ModelConfig)) -> Case {
        let mut scenario = self.choice.clone();
        change(&mut scenario.model);
        // The same part for all: differences are of the same arrivals.
        if let Some(part) = self.part.filter(|&part| horizon::shows_the_whole(&scenario.model, part)) {
            scenario.model.horizon = part;
        }
        let replications = incidents::replications(&scenario);
        Case { scenario, replications }
    }

    fn run(&self, cases: &[Case], progress: &impl Progress) -> Option<Vec<Runs>> {
        let scenarios: Vec<(&Scenario, u32)> =
            cases.iter().map(|case| (&case.scenario, case.replications)).collect();
        let found = experiment::run_numbers(&scenarios, progress)?;
        let runs = found.into_iter().zip(cases).map(|(replications, case)| {
            let horizon = case.scenario.model.horizon;
            Runs { replications, horizon }
        });
        Some(runs.collect())
    }

    /// Halves the interval between the largest load that passes and the smallest above it that fails, until it is
    /// narrow; the loads tried on the way join the others.
    fn refine_headroom(&self, loads: &mut Vec<AtLoad>, progress: &impl Progress) -> Option<Option<f64>> {
        loop {
            let planned = loads.iter().position(|load| is_one(load.factor)).expect("1 is among them");
            let heavier = &loads[planned..];
            let (low, high) = match heavier.iter().position(|load| !load.missed.is_empty()) {
                None => return Some(heavier.last().map(|load| load.factor)),
                Some(0) => return Some(None),
                Some(first) => (heavier[first - 1].factor, heavier[first].factor),
            };
            if high - low <= RESOLUTION + 1e-9 {
                return Some(Some(low));
            }
            let factor = f64::midpoint(low, high);
            let runs = self.run(&[self.case(|model| model.scale_load(factor))], progress)?;
            loads.push(AtLoad::of(self.choice, factor, &runs[0]));
            loads.sort_by(|a, b| a.factor.total_cmp(&b.factor));
        }
    }
}

impl AtLoad {
    fn of(choice: &Scenario, factor: f64, Runs { replications: runs, horizon }: &Runs) -> Self {
        let limits = limits_reached(runs);
        Self {
            factor,
            simulated: *horizon,
            peak_rate: choice.model.peak_rate() * factor,
            missed: missed(choice, runs),
            limits: limits.iter().map(|reached| (reached.limit, reached.seconds)).collect(),
            utilisation: mean(runs, Metric::WorkerUtilisation),
            rejected: mean(runs, Metric::RejectionProbability),
            lost: lost(runs),
            recovery: recovery(runs),
            sojourn_p95: mean(runs, Metric::SojournP95),
            peak_depth: mean(runs, Metric::PeakDepth),
            redis_peak: mean(runs, Metric::RedisPeak),
            oom: oom(runs),
        }
    }
}

/// Where the curve of the sojourn time over the load is farthest below the straight line between its ends.
fn knee(loads: &[AtLoad]) -> Option<f64> {
    let (first, last) = (loads.first()?, loads.last()?);
    let (width, height) = (last.factor - first.factor, last.sojourn_p95 - first.sojourn_p95);
    if width <= 0.0 || height <= 0.01 * first.sojourn_p95 {
        return None;
    }
    let below = |load: &AtLoad| {
        (load.factor - first.factor) / width - (load.sojourn_p95 - first.sojourn_p95) / height
    };
    let knee = loads.iter().max_by(|a, b| below(a).total_cmp(&below(b)))?;
    (below(knee) > 0.05).then_some(knee.factor)
}

/// A measured input of the model, which may be wrong.
struct Input {
    name: &'static str,
    scale: fn(&mut ModelConfig, f64),
    is_there: fn(&ModelConfig) -> bool,
}

impl Input {
    fn applies(&self, choice: &Scenario) -> bool {
        (self.is_there)(&choice.model)
    }
}

const INPUTS: [Input; 6] = [
    Input {
        name: "arrival rate",
        scale: |model, factor| model.scale_load(factor),
        is_there: |model| model.peak_rate() > 0.0,
    },
    Input {
        name: "service time",
        scale: |model, factor| {
            model.classes.iter_mut().for_each(|class| class.service_time = class.service_time.scaled(factor));
        },
        is_there: |_| true,
    },
    Input {
        name: "worker overhead",
        scale: |model, factor| model.workers.overhead = model.workers.overhead.scaled(factor),
        is_there: |model| model.workers.overhead > SimDuration::ZERO,
    },
    Input {
        name: "payload size",
        scale: |model, factor| {
            model.classes.iter_mut().for_each(|class| class.payload = class.payload.scaled(factor));
        },
        is_there: |_| true,
    },
    Input {
        name: "check latency",
        scale: |model, factor| model.gateway.check_latency = model.gateway.check_latency.scaled(factor),
        is_there: |model| model.gateway.check_latency > SimDuration::ZERO,
    },
    Input {
        name: "age of the depth",
        scale: |model, factor| model.gateway.depth_age = model.gateway.depth_age.scaled(factor),
        is_there: |model| model.gateway.depth_age > SimDuration::ZERO,
    },
];

/// Effects of an input on each metric with an objective, and on rejection and recovery.
fn effects(choice: &Scenario, input: &'static str, bases: &Bases<'_>, runs: &[Runs]) -> Vec<Effect> {
    let mut metrics = vec![Metric::Recovery, Metric::RejectionProbability];
    let further = choice.slo.iter().filter(|slo| slo.class.is_none()).filter_map(Slo::metric);
    for metric in further {
        if !metrics.contains(&metric) && metric.unit() != crate::model::metric::Unit::Count {
            metrics.push(metric);
        }
    }
    let values = |runs: &[Replication], metric| -> Vec<f64> {
        runs.iter().filter_map(|run| run.get(metric)).collect()
    };
    let effect_on = |metric: Metric| {
        let change =
            |runs: &Runs| Shift::of(&values(bases.of(runs), metric), &values(&runs.replications, metric));
        let base = values(&bases.planned.replications, metric).into_iter().collect::<Sample>().mean()?;
        let (lower, higher) = (change(&runs[0])?, change(&runs[1])?);
        Some(Effect { input, metric, base, lower, higher })
    };
    metrics.into_iter().filter_map(effect_on).collect()
}

fn missed(choice: &Scenario, runs: &[Replication]) -> Vec<String> {
    let judged = choice.slo.iter().map(|slo| judge(slo, runs));
    judged.filter(|result| !result.pass).map(|result| result.expression).collect()
}

fn mean(runs: &[Replication], metric: Metric) -> f64 {
    runs.iter().filter_map(|run| run.get(metric)).collect::<Sample>().mean().unwrap_or(0.0)
}

/// Share of all offered jobs that were lost.
fn lost(runs: &[Replication]) -> f64 {
    let offered = mean(runs, Metric::Offered);
    if offered > 0.0 { mean(runs, Metric::Lost) / offered } else { 0.0 }
}

/// The mean recovery time, if anything was disturbed, and whether it is only a bound.
fn recovery(runs: &[Replication]) -> (Option<f64>, bool) {
    let is_censored = |run: &Replication| run.system.is_censored(Metric::Recovery);
    let times: Sample = runs.iter().filter_map(|run| run.get(Metric::Recovery)).collect();
    (times.mean(), runs.iter().any(is_censored))
}

/// The earliest time at which Redis was full in any of the runs.
fn oom(runs: &[Replication]) -> Option<f64> {
    let full = runs.iter().filter(|run| !run.system.is_censored(Metric::TimeToOom));
    full.filter_map(|run| run.get(Metric::TimeToOom)).min_by(f64::total_cmp)
}

fn is_one(factor: f64) -> bool {
    (factor - 1.0).abs() < 1e-9
}
