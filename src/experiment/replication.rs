//! What one replication found, in numbers: all but its course over time. The unit in which results are
//! folded, compared, kept in files and sent between machines.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::foregone::{Foregone, Watch};
use crate::alerts::{self, AlertCourse};
use crate::engine::stream::mix;
use crate::engine::time::SimTime;
use crate::model::answer::{Answer, answers};
use crate::model::config::ModelConfig;
use crate::model::limits::LimitsReached;
use crate::model::metric::{Metric, Metrics};
use crate::model::nearness::Nearness;
use crate::model::outcome::{ClassCounts, Outcome, class_metrics};
use crate::model::probe::NoProbe;
use crate::model::{Simulation, SoFar};
use crate::scenario::Scenario;
use crate::scenario::slo::{Slo, Subject};

use super::{Progress, SLICES};

/// How much of a replication is simulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extent {
    /// All of it.
    #[default]
    Whole,
    /// All of it, unless an objective is certain to be missed before.
    WhileOpen,
    /// The part of a steady run that shows what the whole does.
    Part,
}

/// The numbers of one replication.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replication {
    /// Hash of every count, histogram and series.
    pub digest: u64,
    /// System-wide metrics.
    pub system: Metrics,
    /// Metrics of each job class, in the order of the classes.
    pub classes: Vec<Metrics>,
    /// When limits were reached.
    pub limits: LimitsReached,
    /// How near they came.
    pub nearness: Nearness,
    /// When a job was first turned away; unknown in the files of older versions.
    #[serde(default)]
    pub first_refusal: Option<SimTime>,
    /// When a job was first lost.
    pub first_loss: Option<SimTime>,
    /// What each alert did, in the order of the rules.
    pub alerts: Vec<AlertCourse>,
    /// The answers to `ModelConfig::questions`.
    pub answers: Vec<Option<Answer>>,
    /// That it was given up before its end, if it was; then only peaks, rejected and lost jobs are known, so far.
    #[serde(default)]
    pub foregone: Option<Foregone>,
}

impl Replication {
    /// The numbers of an outcome.
    pub fn of(outcome: &Outcome, config: &ModelConfig) -> Self {
        Self {
            digest: outcome.digest(),
            system: outcome.metrics(config),
            classes: outcome.classes.iter().map(|counts| class_metrics(counts, config)).collect(),
            limits: outcome.limits,
            nearness: Nearness::of(outcome, config),
            first_refusal: outcome.first_refusal,
            first_loss: outcome.first_loss,
            alerts: alerts::courses(&config.monitoring, &outcome.scrapes, config.horizon),
            answers: answers(outcome, config),
            foregone: None,
        }
    }

    /// Metrics alone, without limits, losses or alerts.
    pub fn bare(digest: u64, system: Metrics, classes: Vec<Metrics>) -> Self {
        let (limits, nearness) = (LimitsReached::default(), Nearness::default());
        let (alerts, answers) = (Vec::new(), Vec::new());
        let (first_refusal, first_loss) = (None, None);
        let foregone = None;
        Self {
            digest,
            system,
            classes,
            limits,
            nearness,
            first_refusal,
            first_loss,
            alerts,
            answers,
            foregone,
        }
    }

    /// What is known of one that was given up.
    fn given_up(so_far: &SoFar<'_>, foregone: Foregone) -> Self {
        let all = ClassCounts::sum(so_far.classes);
        let mut system = Metrics::default();
        system.set(Metric::PeakDepth, so_far.peak_depth as f64);
        system.set(Metric::RedisPeak, so_far.redis_peak as f64);
        system.set(Metric::Rejected, all.rejected() as f64);
        system.set(Metric::Lost, all.lost as f64);
        let digest = mix(mix(foregone.at.0) ^ foregone.objective as u64);
        Self { foregone: Some(foregone), ..Self::bare(digest, system, Vec::new()) }
    }

    /// The metrics of a class, or of the whole system.
    pub fn metrics(&self, class: Option<usize>) -> &Metrics {
        class.map_or(&self.system, |class| &self.classes[class])
    }

    /// What it says of an objective's left side.
    pub fn answer(&self, slo: &Slo) -> Option<Answer> {
        match slo.subject {
            Subject::Metric(metric) => {
                let metrics = self.metrics(slo.class);
                Some(Answer::bounded(metrics.get(metric)?, metrics.is_censored(metric)))
            }
            Subject::Question { index, .. } => *self.answers.get(index)?,
        }
    }

    /// A system-wide metric.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.system.get(metric)
    }
}

/// Runs one replication slice by slice; `None` if interrupted.
pub(crate) fn simulate(scenario: &Scenario, replication: u32, progress: &impl Progress) -> Option<Outcome> {
    run(scenario, replication, progress, |_| ControlFlow::Continue(())).map(|ended| match ended {
        ControlFlow::Continue(outcome) => outcome,
        ControlFlow::Break(()) => unreachable!("nothing ends it early"),
    })
}

/// The same, given up as soon as an objective is certain to be missed: then only the numbers so far are there.
pub(crate) fn simulate_while_open(
    scenario: &Scenario,
    replication: u32,
    progress: &impl Progress,
) -> Option<ControlFlow<Replication, Outcome>> {
    let watch = Watch::of(scenario);
    let look = |so_far: &SoFar<'_>| match watch.look(so_far) {
        Some(foregone) => ControlFlow::Break(Replication::given_up(so_far, foregone)),
        None => ControlFlow::Continue(()),
    };
    run(scenario, replication, progress, look)
}

fn run<B>(
    scenario: &Scenario,
    replication: u32,
    progress: &impl Progress,
    look: impl Fn(&SoFar<'_>) -> ControlFlow<B>,
) -> Option<ControlFlow<B, Outcome>> {
    let mut simulation = Simulation::new(&scenario.model, scenario.seed, replication, NoProbe);
    let horizon = u128::from(scenario.model.horizon.0);
    for slice in 1..=SLICES {
        let end = SimTime((horizon * u128::from(slice) / u128::from(SLICES)) as u64);
        // A slice of simulated time may take any time, so the run asks every few events.
        if progress.interrupted() || !simulation.advance_while(end, &|| !progress.interrupted()) {
            return None;
        }
        progress.advanced();
        if let ControlFlow::Break(why) = look(&simulation.so_far()) {
            (slice..SLICES).for_each(|_| progress.advanced());
            return Some(ControlFlow::Break(why));
        }
    }
    Some(ControlFlow::Continue(simulation.finish()))
}
