//! What one replication counted, and the metrics computed from it.

use backpressure::State;

use super::config::ModelConfig;
use super::metric::{Metric, Metrics};
use crate::engine::digest::Digest;
use crate::engine::time::{SimDuration, SimTime};
use crate::stats::histogram::Histogram;

/// The raw result of a replication: exact integers.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Counts by class.
    pub classes: Vec<ClassCounts>,
    /// Integral of the depth after the warm-up, in jobs x nanoseconds.
    pub depth_area: u128,
    /// Integral of the busy slots after the warm-up.
    pub busy_area: u128,
    /// Largest depth.
    pub peak_depth: u64,
    /// Time in each state after the warm-up, summed over circuits, in nanoseconds; by `state_index`.
    pub state_time: [u128; 3],
    /// Moves into OPEN, over all circuits.
    pub openings: u64,
    /// Moves from CLOSED into OPEN, over all circuits.
    pub openings_from_closed: u64,
    /// First and last opening of the first circuit, and how many it had.
    pub first_circuit_openings: Option<(SimTime, SimTime, u64)>,
    /// First times at which limits were reached.
    pub limits: LimitTimes,
    /// How long after the last spike the system had recovered.
    pub recovery: Option<SimDuration>,
    /// Jobs of priority 1 to 5 rejected in seconds in which priority 8 to 10 was admitted.
    pub inverted: u64,
    /// Jobs of priority 1 to 5 offered.
    pub urgent_offered: u64,
    /// Largest Redis memory in bytes.
    pub redis_peak: u64,
    /// The course over time.
    pub series: RunSeries,
}

/// Counts of one job class.
#[derive(Clone, Debug, Default)]
pub struct ClassCounts {
    /// Jobs there at the start.
    pub initial: u64,
    /// Jobs that arrived.
    pub offered: u64,
    /// Jobs let in.
    pub admitted: u64,
    /// Jobs turned away, by `RejectionReason`.
    pub rejected: [u64; RejectionReason::COUNT],
    /// Jobs finished.
    pub completed: u64,
    /// Jobs finished after the warm-up.
    pub completed_after_warmup: u64,
    /// Jobs whose last attempt failed.
    pub failed: u64,
    /// Admitted jobs that vanished.
    pub lost: u64,
    /// Jobs in flight, waiting or in service at the horizon.
    pub in_system: u64,
    /// Times in the waiting line, in nanoseconds, of jobs that arrived after the warm-up.
    pub wait: Histogram,
    /// Times from arrival to completion, of the same.
    pub sojourn: Histogram,
}

/// Why a job was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectionReason {
    /// The circuit was OPEN.
    Open,
    /// The circuit was HALF_OPEN.
    HalfOpen,
    /// The depth was at the shed level.
    Shed,
    /// The depth was unknown.
    DepthUnknown,
    /// The waiting line was at its capacity.
    QueueLimit,
}

impl RejectionReason {
    /// How many there are.
    pub const COUNT: usize = 5;
}

/// First times at which limits were reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LimitTimes {
    /// The depth reached the shed level.
    pub shed: Option<SimTime>,
    /// A circuit opened.
    pub open: Option<SimTime>,
    /// All slots were busy for a whole step of the series.
    pub saturated: Option<SimTime>,
    /// The waiting line was at its capacity.
    pub queue_limit: Option<SimTime>,
    /// Redis used 80% of maxmemory.
    pub redis_watermark: Option<SimTime>,
    /// Redis had no room for a job.
    pub redis_full: Option<SimTime>,
}

/// The course of a replication: one entry in each vector for each step.
#[derive(Clone, Debug, Default)]
pub struct RunSeries {
    /// Depth at the end of the step.
    pub depth: Vec<u64>,
    /// Largest depth within the step.
    pub depth_max: Vec<u64>,
    /// Circuits in each state at the end of the step, by `state_index`.
    pub states: Vec<[u32; 3]>,
    /// Redis memory at the end of the step.
    pub redis: Vec<u64>,
    /// Busy slots x nanoseconds within the step.
    pub busy: Vec<u128>,
    /// Waits of the jobs that began service within the step: 50th, 95th and 99th percentile in nanoseconds.
    pub wait: Vec<Option<[f64; 3]>>,
    /// Counts since the start: for each step, for each class.
    pub flows: Vec<Vec<Flow>>,
}

/// Counts of a class since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Jobs that arrived.
    pub offered: u64,
    /// Jobs let in.
    pub admitted: u64,
    /// Jobs finished.
    pub completed: u64,
    /// Jobs lost.
    pub lost: u64,
}

/// CLOSED, HALF_OPEN and OPEN as 0, 1 and 2.
pub fn state_index(state: State) -> usize {
    match state {
        State::Closed => 0,
        State::HalfOpen => 1,
        State::Open => 2,
    }
}

impl ClassCounts {
    /// Jobs turned away for any reason.
    pub fn rejected(&self) -> u64 {
        self.rejected.iter().sum()
    }

    /// Counts so far, for the series.
    pub(crate) fn flow(&self) -> Flow {
        Flow { offered: self.offered, admitted: self.admitted, completed: self.completed, lost: self.lost }
    }

    fn add(&mut self, other: &ClassCounts) {
        self.initial += other.initial;
        self.offered += other.offered;
        self.admitted += other.admitted;
        self.rejected.iter_mut().zip(other.rejected).for_each(|(sum, count)| *sum += count);
        self.completed += other.completed;
        self.completed_after_warmup += other.completed_after_warmup;
        self.failed += other.failed;
        self.lost += other.lost;
        self.in_system += other.in_system;
        self.wait.merge(&other.wait);
        self.sojourn.merge(&other.sojourn);
    }
}

impl Outcome {
    /// Panics unless every job is accounted for: the law that no setting may break.
    pub(crate) fn assert_conservation(&self) {
        for (index, class) in self.classes.iter().enumerate() {
            assert_eq!(
                class.offered,
                class.admitted + class.rejected(),
                "class {index}: offered = admitted + rejected"
            );
            assert_eq!(
                class.initial + class.admitted,
                class.completed + class.failed + class.lost + class.in_system,
                "class {index}: initial + admitted = completed + failed + lost + in system"
            );
        }
    }

    /// The sum over all classes.
    pub fn total(&self) -> ClassCounts {
        self.classes.iter().fold(ClassCounts::default(), |mut total, class| {
            total.add(class);
            total
        })
    }

    /// The system-wide metrics.
    pub fn metrics(&self, config: &ModelConfig) -> Metrics {
        let total = self.total();
        let mut metrics = class_metrics(&total, config);
        let horizon = config.horizon.as_secs_f64();
        let measured = (config.horizon - config.warmup).0 as f64;
        let circuits = f64::from(config.gateway.instances);

        metrics.set(Metric::MeanDepth, self.depth_area as f64 / measured);
        metrics.set(Metric::PeakDepth, self.peak_depth as f64);
        let critical = config.policy.config.critical();
        metrics.set(Metric::Overshoot, self.peak_depth.saturating_sub(critical) as f64);
        metrics.set_or_censor(Metric::Recovery, self.recovery.map(SimDuration::as_secs_f64), horizon);
        for (metric, time) in [
            (Metric::TimeToShed, self.limits.shed),
            (Metric::TimeToOpen, self.limits.open),
            (Metric::TimeToOom, self.limits.redis_full),
        ] {
            metrics.set_or_censor(metric, time.map(SimTime::as_secs_f64), horizon);
        }
        for (metric, state) in [
            (Metric::ClosedFraction, State::Closed),
            (Metric::HalfOpenFraction, State::HalfOpen),
            (Metric::OpenFraction, State::Open),
        ] {
            metrics.set(metric, self.state_time[state_index(state)] as f64 / (measured * circuits));
        }
        metrics.set(Metric::CircuitOpenings, self.openings as f64 / circuits);
        metrics.set(Metric::CircuitOpeningsFromClosed, self.openings_from_closed as f64 / circuits);
        metrics.set(
            Metric::CircuitCycle,
            self.first_circuit_openings
                .filter(|(_, _, openings)| *openings > 1)
                .map(|(first, last, openings)| last.since(first).as_secs_f64() / (openings - 1) as f64),
        );
        let slots = f64::from(config.workers.slots());
        metrics.set(Metric::WorkerUtilisation, self.busy_area as f64 / (measured * slots));
        metrics.set(Metric::RedisPeak, self.redis_peak as f64);
        metrics.set(
            Metric::PriorityInversion,
            (self.urgent_offered > 0).then(|| self.inverted as f64 / self.urgent_offered as f64),
        );
        metrics
    }

    /// Hash of all of it.
    pub fn digest(&self) -> u64 {
        let mut digest = Digest::default();
        let wide = |value: u128| [value as u64, (value >> 64) as u64];
        let time = |time: Option<SimTime>| time.map_or(u64::MAX, |time| time.0);
        for class in &self.classes {
            digest.add_all([class.initial, class.offered, class.admitted, class.completed]);
            digest.add_all([class.completed_after_warmup, class.failed, class.lost, class.in_system]);
            digest.add_all(class.rejected);
            class.wait.digest(&mut digest);
            class.sojourn.digest(&mut digest);
        }
        digest.add_all(wide(self.depth_area));
        digest.add_all(wide(self.busy_area));
        digest.add_all(self.state_time.into_iter().flat_map(wide));
        digest.add_all([self.peak_depth, self.openings, self.openings_from_closed, self.redis_peak]);
        digest.add_all([self.inverted, self.urgent_offered, self.recovery.map_or(u64::MAX, |span| span.0)]);
        let LimitTimes { shed, open, saturated, queue_limit, redis_watermark, redis_full } = self.limits;
        digest.add_all([shed, open, saturated, queue_limit, redis_watermark, redis_full].map(time));
        digest.add_all(self.series.depth.iter().copied());
        digest.add_all(self.series.depth_max.iter().copied());
        digest.add_all(self.series.redis.iter().copied());
        digest.value()
    }
}

/// The metrics that exist for each class as well as for the sum of all.
pub(crate) fn class_metrics(counts: &ClassCounts, config: &ModelConfig) -> Metrics {
    let mut metrics = Metrics::default();
    for (metric, count) in [
        (Metric::Initial, counts.initial),
        (Metric::Offered, counts.offered),
        (Metric::Admitted, counts.admitted),
        (Metric::Rejected, counts.rejected()),
        (Metric::RejectedOpen, counts.rejected[RejectionReason::Open as usize]),
        (Metric::RejectedHalfOpen, counts.rejected[RejectionReason::HalfOpen as usize]),
        (Metric::RejectedShed, counts.rejected[RejectionReason::Shed as usize]),
        (Metric::RejectedDepthUnknown, counts.rejected[RejectionReason::DepthUnknown as usize]),
        (Metric::RejectedQueueLimit, counts.rejected[RejectionReason::QueueLimit as usize]),
        (Metric::Completed, counts.completed),
        (Metric::Failed, counts.failed),
        (Metric::Lost, counts.lost),
        (Metric::InSystem, counts.in_system),
    ] {
        metrics.set(metric, count as f64);
    }
    let offered = counts.offered as f64;
    metrics
        .set(Metric::RejectionProbability, (counts.offered > 0).then(|| counts.rejected() as f64 / offered));
    let measured = (config.horizon - config.warmup).as_secs_f64();
    metrics.set(Metric::Goodput, counts.completed_after_warmup as f64 / measured);

    let seconds = |nanos: Option<f64>| nanos.map(|nanos| nanos / 1e9);
    let served = counts.wait.count();
    metrics.set(
        Metric::WaitProbability,
        (served > 0).then(|| (served - counts.wait.zeros()) as f64 / served as f64),
    );
    metrics.set(Metric::WaitMean, seconds(counts.wait.mean()));
    metrics.set(Metric::WaitP50, seconds(counts.wait.quantile(0.50)));
    metrics.set(Metric::WaitP95, seconds(counts.wait.quantile(0.95)));
    metrics.set(Metric::WaitP99, seconds(counts.wait.quantile(0.99)));
    metrics.set(Metric::SojournMean, seconds(counts.sojourn.mean()));
    metrics.set(Metric::SojournP50, seconds(counts.sojourn.quantile(0.50)));
    metrics.set(Metric::SojournP95, seconds(counts.sojourn.quantile(0.95)));
    metrics.set(Metric::SojournP99, seconds(counts.sojourn.quantile(0.99)));
    metrics
}
