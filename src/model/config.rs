//! What a model run is told: plain settings, checked by the scenario that made them.

mod arrivals;
mod clients;
mod faults;
mod gateway;
mod monitoring;
mod queue;
mod redis;
mod workers;

use backpressure::{Priority, State};

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
pub use clients::{Backoff, Clients, WaitFor};
pub use faults::{Fault, FaultKind};
pub use gateway::{Gateway, Readiness};
pub use monitoring::{AlertRule, Condition, Monitoring, Severity};
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
    /// What is there at time zero.
    pub start: Start,
    /// The admission policy and when it looks at the depth.
    pub policy: PolicyConfig,
    /// The gateways.
    pub gateway: Gateway,
    /// The waiting line.
    pub queue: Queue,
    /// The workers.
    pub workers: Workers,
    /// What is behind the waiting line.
    pub redis: Redis,
    /// Those who send the jobs; `None` if each is sent once and nobody waits for it.
    pub clients: Option<Clients>,
    /// What goes wrong, in order of its beginning.
    pub faults: Vec<Fault>,
    /// Who changes the number of worker processes; `None` if it stays.
    pub autoscaler: Option<AutoscalerConfig>,
    /// Who watches.
    pub monitoring: Monitoring,
}

impl ModelConfig {
    /// Highest offered rate of the run, in jobs per second; recorded and scheduled arrivals count as nothing.
    pub fn peak_rate(&self) -> f64 {
        let horizon = SimTime(self.horizon.0);
        // Sources add up: the highest sum is at the beginning, the end or the peak of some phase.
        let mut times = Vec::new();
        for (begin, phase) in self.sources.iter().flat_map(ArrivalSource::parts) {
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

    /// Multiplies all arrival rates. Recorded and scheduled arrivals stay as they are.
    pub fn scale_load(&mut self, factor: f64) {
        for source in &mut self.sources {
            for phase in &mut source.phases {
                phase.rate *= factor;
                if let Curve::Ramp(to) = &mut phase.curve {
                    *to *= factor;
                }
            }
            if let ArrivalProcess::Modulated(modulation) = &mut source.process {
                modulation.states.iter_mut().for_each(|state| state.rate *= factor);
            }
        }
    }

    /// In which state the jobs of a class wait: with a priority of BullMQ's or without.
    pub fn waiting_state(&self, class: usize) -> JobState {
        if self.classes[class].queue_priority > 0 { JobState::Prioritized } else { JobState::Waiting }
    }

    /// Jobs per second that all workers do with every slot busy: the least of what slots, database connections and Redis
    /// can do. Attempts that fail count as work and not as jobs.
    pub fn capacity(&self) -> f64 {
        let of_pool = self.workers.database.map_or(f64::INFINITY, |database| {
            let connections = database.pool.map_or(f64::INFINITY, f64::from);
            connections / (self.busy_service() * database.share)
        });
        let of_redis = self.redis.operations.map_or(f64::INFINITY, |operations| {
            let depth = match self.policy.observe {
                Observe::Every(_) => SimDuration::ZERO,
                Observe::Arrival | Observe::Continuous => operations.depth,
            };
            let per_job = operations.enqueue + operations.cycle + depth;
            f64::from(self.redis.shards.min(self.queue.queues)) / per_job.as_secs_f64()
        });
        self.slot_capacity().min(of_pool.min(of_redis) / self.mean_attempts())
    }

    /// The same of the slots alone.
    pub fn slot_capacity(&self) -> f64 {
        let batch = f64::from(self.workers.batch.size);
        let cycle = self.busy_service() + self.workers.overhead.as_secs_f64() / batch;
        f64::from(self.workers.slots()) / cycle / self.mean_attempts()
    }

    /// Seconds of service that a job takes in the mean while all slots are busy, alone or in a batch.
    fn busy_service(&self) -> f64 {
        let Workers { batch, contention, concurrency, .. } = self.workers;
        let service = self.mean_over_jobs(|class| class.service_time.mean());
        let size = f64::from(batch.size);
        service * (1.0 + batch.marginal_cost * (size - 1.0)) / size * contention.stretch(concurrency)
    }

    /// What is wrong with a recovery threshold above what clients wait for: at that depth a job takes longer than its client
    /// waits, so all the work is for nobody, the retries keep the queue as deep as it is, and the circuit closes on it. The
    /// bound is capacity x timeout, and half of it is a margin for noise (the law of scenario M1: recovery below half of it never got
    /// stuck, 1.25 times it did at a load of 80%).
    pub fn recovery_beyond_patience(&self) -> Option<String> {
        let clients = self.clients.filter(|clients| clients.wait_for == WaitFor::Completion)?;
        let timeout = clients.timeout?.as_secs_f64();
        let policy = &self.policy.config;
        let patience = self.capacity() * timeout;
        let recovery = policy.recovery() as f64;
        if clients.retries == 0 || !policy.enabled() || !patience.is_finite() || recovery <= patience / 2.0 {
            return None;
        }
        let is = if recovery > patience { "above" } else { "more than half of" };
        Some(format!(
            "`policy.recovery`, {recovery} jobs, is {is} what clients wait for: {timeout} s at {:.0} jobs/s are {patience:.0} \
             jobs. Retries may keep the system overloaded for ever; at most {:.0} is safe",
            self.capacity(),
            (patience / 2.0).floor()
        ))
    }

    /// Attempts that a job takes in the mean, the last one included: 1 + p + p^2 + ... over as many as it has.
    pub fn mean_attempts(&self) -> f64 {
        let Some(failures) = self.workers.failures else { return 1.0 };
        let attempts = f64::from(failures.attempts);
        if failures.probability >= 1.0 {
            return attempts;
        }
        (1.0 - failures.probability.powf(attempts)) / (1.0 - failures.probability)
    }

    /// The mean of something over all jobs that the rates offer; over the classes alike where there are no rates.
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
            for (begin, phase) in source.parts() {
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

/// What is there at time zero.
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
