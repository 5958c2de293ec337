//! Settings of a model run: plain values, checked by the scenario that made them.

mod arrivals;
mod capacity;
mod clients;
mod faults;
mod gateway;
mod monitoring;
mod part;
mod question;
mod queue;
mod redis;
mod workers;

use backpressure::{Nanos, Priority, State};

pub use super::autoscaler::{
    AutoscalerConfig, Behavior, PolicyKind, ScalingPolicy, ScalingRules, Select, TargetType,
};
use super::distribution::Distribution;
use crate::engine::time::{SimDuration, SimTime};
use crate::memory::JobState;

pub use arrivals::{
    ArrivalBatch, ArrivalProcess, ArrivalSource, Curve, Modulation, ModulationState, Phase, Spread,
    TracedArrival,
};
pub use capacity::RetryCapacity;
pub use clients::{Backoff, Clients, WaitFor};
pub use faults::{Fault, FaultKind};
pub use gateway::{Gateway, Readiness};
pub use monitoring::{AlertRule, Condition, Monitoring, PrometheusVersion, Severity};
pub use part::Part;
pub use question::{Quantity, Question, Span, Within};
pub use queue::{Discipline, Lane, Queue};
pub(crate) use redis::tables_of;
pub use redis::{Keep, MemoryModel, OnFull, Operations, Redis};
pub use workers::{Batch, Contention, Crashes, Database, Failures, Stalls, Workers};

/// Everything that one replication needs besides its seed.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// End of the run.
    pub horizon: SimDuration,
    /// Initial part that time averages, waits and sojourns leave out.
    pub warmup: SimDuration,
    /// How long the system must stay recovered before it counts as recovered.
    pub recovery_hold: SimDuration,
    /// Distance of the points of the series.
    pub series_step: SimDuration,
    /// Job classes; other parts name them by index.
    pub classes: Vec<JobClass>,
    /// Arrival processes, each feeding one or more classes.
    pub sources: Vec<ArrivalSource>,
    /// The state at time zero.
    pub start: Start,
    /// The admission policy and when it observes the depth.
    pub policy: PolicyConfig,
    /// The gateways.
    pub gateway: Gateway,
    /// The waiting line.
    pub queue: Queue,
    /// The workers.
    pub workers: Workers,
    /// Redis.
    pub redis: Redis,
    /// The clients; `None` if each job is sent once and no client waits for it.
    pub clients: Option<Clients>,
    /// The faults, in order of their beginning.
    pub faults: Vec<Fault>,
    /// The autoscaler of the worker processes; `None` if their number is fixed.
    pub autoscaler: Option<AutoscalerConfig>,
    /// Scrapes and alerts.
    pub monitoring: Monitoring,
    /// The parts of the run whose jobs are counted apart as well.
    pub parts: Vec<Part>,
    /// What the objectives ask beyond the metrics.
    pub questions: Vec<Question>,
}

impl ModelConfig {
    /// Highest offered rate of the run, in jobs per second; recorded and scheduled arrivals count as nothing.
    pub fn peak_rate(&self) -> f64 {
        let horizon = SimTime(self.horizon.0);
        // Sources add up: the highest sum is at the beginning, the end or the peak of some phase.
        let mut times = Vec::new();
        for (begin, phase) in self.sources.iter().flat_map(ArrivalSource::phase_spans) {
            times.push(begin);
            if let Curve::Ramp(_) = phase.curve {
                times.push(SimTime(phase.end.0.saturating_sub(1)));
            }
            if let Curve::Cycle { period, peak_at, .. } = phase.curve {
                let turns = ((begin.as_secs_f64() - peak_at) / period).ceil();
                times.push(SimTime::ZERO + SimDuration::from_secs_f64(peak_at + turns * period));
            }
        }
        let within = times.into_iter().filter(|time| *time < horizon);
        within.map(|time| self.rate_at(time)).fold(0.0, f64::max)
    }

    /// Offered jobs per second at a time; recorded and scheduled arrivals count as nothing.
    pub fn rate_at(&self, time: SimTime) -> f64 {
        self.sources.iter().map(|source| source.rate_at(time)).sum()
    }

    /// Mean of the arrivals per second, of a class or of all, in the phases within the run that are no spike; `None` where some
    /// arrivals have no rate, as recorded ones.
    pub fn calm_rate(&self, class: Option<usize>) -> Option<f64> {
        let horizon = SimTime(self.horizon.0);
        let mut rate = 0.0;
        for source in &self.sources {
            let is_asked = |(index, _): &&(usize, f64)| class.is_none_or(|class| class == *index);
            let share: f64 = source.classes.iter().filter(is_asked).map(|(_, share)| share).sum();
            let (mut jobs, mut seconds) = (0.0, 0.0);
            for (begin, phase) in source.phase_spans() {
                if phase.spike || begin >= horizon {
                    continue;
                }
                let length = phase.end.min(horizon).since(begin).as_secs_f64();
                jobs += phase.arrivals_in(begin, length);
                seconds += length;
            }
            if source.phases.is_empty() && share > 0.0 {
                return None;
            }
            if seconds > 0.0 {
                rate += share * jobs / seconds;
            }
        }
        (rate > 0.0).then_some(rate)
    }

    /// Jobs per second that the last phases offer at their end, in the mean of a cycle; `None` where some arrivals have no rate.
    pub fn last_rate(&self) -> Option<f64> {
        let of_source = |source: &ArrivalSource| match source.process {
            ArrivalProcess::Trace(_) | ArrivalProcess::Batches { .. } => None,
            _ => Some(source.phases.last().map_or(0.0, |last| match last.curve {
                Curve::Flat | Curve::Cycle { .. } => last.rate,
                Curve::Ramp(to) => to,
            })),
        };
        self.sources.iter().map(of_source).sum()
    }

    /// Multiplies all arrival rates. Recorded and scheduled arrivals stay as they are.
    pub fn scale_load(&mut self, factor: f64) {
        for source in &mut self.sources {
            for phase in &mut source.phases {
                phase.rate *= factor;
                if let Curve::Ramp(to) = &mut phase.curve {
                    *to *= factor;
                }
            }
            match &mut source.process {
                ArrivalProcess::Modulated(modulation) => {
                    modulation.states.iter_mut().for_each(|state| state.rate *= factor);
                }
                ArrivalProcess::Constant
                | ArrivalProcess::Poisson
                | ArrivalProcess::Renewal(_)
                | ArrivalProcess::Trace(_)
                | ArrivalProcess::Batches { .. } => {}
            }
        }
    }

    /// State in which the jobs of a class wait: BullMQ keeps those with a priority apart.
    pub fn waiting_state(&self, class: usize) -> JobState {
        if self.classes[class].queue_priority > 0 { JobState::Prioritized } else { JobState::Waiting }
    }

    /// Mean over all jobs that the rates offer; over the classes with equal weights where there are no rates.
    pub fn mean_over_jobs(&self, value: impl Fn(&JobClass) -> f64) -> f64 {
        let weights: Vec<f64> = (0..self.classes.len()).map(|class| self.offered_jobs(class)).collect();
        let all: f64 = weights.iter().sum();
        let even = 1.0 / self.classes.len().max(1) as f64;
        let share = |weight: f64| if all > 0.0 { weight / all } else { even };
        self.classes.iter().zip(weights).map(|(class, weight)| share(weight) * value(class)).sum()
    }

    /// Jobs of a class that the rates offer over the run.
    pub fn offered_jobs(&self, class: usize) -> f64 {
        let horizon = SimTime(self.horizon.0);
        let mut jobs = 0.0;
        for source in &self.sources {
            let shares = source.classes.iter().filter(|(index, _)| *index == class);
            let share: f64 = shares.map(|(_, share)| share).sum();
            for (begin, phase) in source.phase_spans() {
                let end = phase.end.min(horizon);
                jobs += share * phase.arrivals_in(begin, end.since(begin).as_secs_f64());
            }
        }
        jobs
    }
}

/// A kind of work.
#[derive(Clone, Debug)]
pub struct JobClass {
    /// Name in reports and `slo` expressions.
    pub name: String,
    /// Admission priority.
    pub priority: Priority,
    /// BullMQ's priority, by which the discipline `priority` serves: its own is as the admission priority, 0 is none.
    pub queue_priority: u32,
    /// Payload size in bytes.
    pub payload: Distribution,
    /// Service demand in seconds.
    pub service_time: Distribution,
}

/// The state at time zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Jobs already in the system, served from time zero on; not counted as offered.
    pub jobs: u64,
    /// State of every circuit.
    pub circuit: State,
}

/// The admission policy.
#[derive(Clone, Debug)]
pub struct PolicyConfig {
    /// Settings of the real policy crate.
    pub config: backpressure::Config,
    /// When the circuit looks at the depth.
    pub observe: Observe,
}

impl PolicyConfig {
    /// Whether a gateway reads the depth for each arrival. A policy that is switched off looks at nothing.
    pub fn reads_at_arrivals(&self) -> bool {
        self.config.enabled() && !matches!(self.observe, Observe::Every(_))
    }
}

/// When the circuit looks at the depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observe {
    /// At every arrival, just before the decision.
    Arrival,
    /// At every arrival, and right after every departure.
    Continuous,
    /// On a timer; decisions in between use the last reading.
    Every(SimDuration),
}

/// The timer of a gateway that nobody has set (`DEPTH_INTERVAL_MS`).
const GATEWAYS_TIMER: Nanos = Nanos::from_millis(50);

impl Observe {
    /// Longest time between two readings of a gateway that does the same.
    pub fn longest_gap(self) -> Nanos {
        match self {
            // The model needs no timer here. A real circuit does, as it must see its queue drain also without traffic.
            Observe::Arrival | Observe::Continuous => GATEWAYS_TIMER,
            Observe::Every(span) => Nanos(span.0),
        }
    }
}
