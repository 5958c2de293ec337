//! What one replication counted, and the metrics computed from it.

use std::sync::LazyLock;

use backpressure::{Reason, State};

use super::config::ModelConfig;
use super::disturbance::Disturbance;
use super::limits::{Limit, LimitsReached};
use super::metric::{Metric, Metrics};
use super::scrape::Scrape;
use crate::engine::digest::Digest;
use crate::engine::time::{SimDuration, SimTime};
use crate::stats::histogram::Histogram;
use crate::stats::spans::{AtLeast, Spans};

/// The raw result of a replication: exact integers.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Counts by class.
    pub classes: Vec<ClassCounts>,
    /// Integral of the depth after the warm-up, in jobs x nanoseconds.
    pub depth_area: u128,
    /// Integral of the busy slots after the warm-up.
    pub busy_area: u128,
    /// Integral of the slots of all workers that are there, after the warm-up.
    pub slot_area: u128,
    /// Largest depth.
    pub peak_depth: u64,
    /// Time in each state after the warm-up, summed over circuits, in nanoseconds; by the state's code.
    pub state_time: [u128; 3],
    /// Moves into OPEN, over all circuits.
    pub openings: u64,
    /// Moves from CLOSED into OPEN, over all circuits.
    pub openings_from_closed: u64,
    /// First and last opening of the first circuit after the warm-up, and how many it had.
    pub first_circuit_openings: Option<(SimTime, SimTime, u64)>,
    /// When limits were reached.
    pub limits: LimitsReached,
    /// When a job was first turned away.
    pub first_refusal: Option<SimTime>,
    /// When a job was first lost.
    pub first_loss: Option<SimTime>,
    /// How long after the last spike the system had recovered.
    pub recovery: Option<SimDuration>,
    /// How long after the last spike or fault everything was back to normal for good.
    pub normal_again: Option<SimDuration>,
    /// Jobs of priority 1 to 5 that arrived after the warm-up and were rejected in seconds in which priority 8 to 10 was
    /// admitted.
    pub inverted: u64,
    /// Jobs of priority 1 to 5 offered after the warm-up.
    pub urgent_offered: u64,
    /// Largest Redis memory in bytes.
    pub redis_peak: u64,
    /// What only the detailed level counts.
    pub details: DetailCounts,
    /// What the autoscaler decided, without repetitions.
    pub decisions: Vec<ScalingDecision>,
    /// What a monitoring system read.
    pub scrapes: Vec<Scrape>,
    /// The course over time.
    pub series: RunSeries,
    /// For each of `ModelConfig::questions`, by class, its jobs within the limit of a time; empty where it has none.
    pub within: Vec<Vec<WithinLimit>>,
    /// Counts of the jobs that arrived within each part of `ModelConfig::parts`, by class; their warm-up is empty.
    pub parts: Vec<Vec<ClassCounts>>,
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
    /// Of the same, those whose wait or sojourn has no end.
    pub unended: Unended,
    /// Arrivals of the warm-up: counts include them, ratios do not.
    pub before_warmup: WarmupCounts,
    /// What the detailed level counts besides.
    pub extras: ClassExtras,
}

/// Jobs whose wait or sojourn is within a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WithinLimit {
    /// It ended, within the limit.
    pub ended: u64,
    /// It had not ended with the run, and was within the limit so far.
    pub open: u64,
}

/// Jobs whose wait or sojourn did not end within the run.
#[derive(Clone, Debug, Default)]
pub struct Unended {
    /// Of the jobs that wait at the horizon, how long they have, in nanoseconds.
    pub waiting: Histogram,
    /// Of the admitted jobs that are there at the horizon, how long ago they arrived, in nanoseconds.
    pub present: Histogram,
    /// Jobs lost before a worker took them.
    pub never_taken: u64,
    /// Jobs lost, or failed for good.
    pub never_completed: u64,
}

/// What arrived during the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WarmupCounts {
    /// Jobs that arrived.
    pub offered: u64,
    /// Of these, jobs turned away, then or later.
    pub rejected: u64,
    /// Requests of clients.
    pub requests: u64,
    /// Requests that their client had given up by its end.
    pub abandoned: u64,
}

/// Counts of one job class that only the detailed level knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassExtras {
    /// Requests of clients; each is sent once or more often.
    pub requests: u64,
    /// Attempts beyond the first.
    pub retried: u64,
    /// Attempts that their client gave up waiting for.
    pub timed_out: u64,
    /// Requests that their client gave up.
    pub abandoned: u64,
    /// Jobs finished after their client had stopped waiting.
    pub wasted: u64,
    /// Attempts of workers that failed.
    pub failed_attempts: u64,
    /// Jobs found again after the death of their worker.
    pub redelivered: u64,
}

/// A decision of the autoscaler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScalingDecision {
    /// When.
    pub at: SimTime,
    /// The metric that it was based on.
    pub metric: Option<u64>,
    /// Worker processes that were up or ordered.
    pub current: u32,
    /// The replicas that the metric alone asked for.
    pub recommended: u32,
    /// The replicas it decided on.
    pub wanted: u32,
    /// The rule that decided.
    pub reason: super::autoscaler::ScalingReason,
}

/// What only the detailed level counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DetailCounts {
    /// Whether the run was on that level.
    pub is_detailed: bool,
    /// Requests whose client still waited at the horizon.
    pub open_requests: u64,
    /// Nanoseconds of commands of the busiest shard of Redis after the warm-up.
    pub redis_busy: u128,
    /// Its largest busy share within a step, in millionths.
    pub redis_busy_peak: u64,
    /// Connections in use x nanoseconds after the warm-up.
    pub connections_area: u128,
    /// Most connections in use.
    pub connections_peak: u64,
    /// Most enqueues that a gateway had on their way.
    pub in_flight_peak: u64,
    /// Largest ratio of retries to requests within a step, in millionths.
    pub retry_share_peak: u64,
}

/// Why a job was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectionReason {
    /// The policy did not admit it.
    Policy(Reason),
    /// The waiting line was at its capacity.
    QueueLimit,
    /// Redis memory was above the watermark.
    MemoryWatermark,
    /// The gateway had as many enqueues on their way as it may.
    InFlightLimit,
    /// No gateway was there or ready.
    NoGateway,
    /// Redis refused the enqueue, or did not answer, and the client was told.
    EnqueueFailed,
}

impl RejectionReason {
    /// How many there are.
    pub const COUNT: usize = Reason::COUNT + Self::BESIDE_THE_POLICY.len();

    /// Those that are not the policy's, with their metrics and titles.
    const BESIDE_THE_POLICY: [(RejectionReason, Metric, &str); 5] = [
        (RejectionReason::QueueLimit, Metric::RejectedQueueLimit, "queue limit"),
        (RejectionReason::MemoryWatermark, Metric::RejectedMemory, "memory watermark"),
        (RejectionReason::InFlightLimit, Metric::RejectedInFlight, "enqueues in flight"),
        (RejectionReason::NoGateway, Metric::RejectedNoGateway, "no gateway"),
        (RejectionReason::EnqueueFailed, Metric::RejectedEnqueue, "enqueue failed"),
    ];

    /// Its place in a table with one entry for each.
    #[inline]
    pub const fn index(self) -> usize {
        match self {
            RejectionReason::Policy(reason) => reason as usize,
            RejectionReason::QueueLimit => Reason::COUNT,
            RejectionReason::MemoryWatermark => Reason::COUNT + 1,
            RejectionReason::InFlightLimit => Reason::COUNT + 2,
            RejectionReason::NoGateway => Reason::COUNT + 3,
            RejectionReason::EnqueueFailed => Reason::COUNT + 4,
        }
    }

    /// Each reason with the metric that counts it and its title. A reason of the policy counts in the metric that carries its
    /// name.
    pub fn table() -> &'static [(RejectionReason, Metric, &'static str)] {
        static TABLE: LazyLock<Vec<(RejectionReason, Metric, &str)>> = LazyLock::new(|| {
            let of_policy = Reason::ALL.iter().filter_map(|&reason| {
                let metric = Metric::from_name(&format!("rejected_{}_jobs", reason.as_str()))?;
                Some((RejectionReason::Policy(reason), metric, reason.title()))
            });
            of_policy.chain(RejectionReason::BESIDE_THE_POLICY).collect()
        });
        &TABLE
    }
}

/// The course of a replication: one entry in each vector for each step.
#[derive(Clone, Debug, Default)]
pub struct RunSeries {
    /// Depth at the end of the step.
    pub depth: Vec<u64>,
    /// Largest depth within the step.
    pub depth_max: Vec<u64>,
    /// Circuits in each state at the end of the step, by the state's code.
    pub states: Vec<[u32; 3]>,
    /// Redis memory at the end of the step.
    pub redis: Vec<u64>,
    /// Busy slots x nanoseconds within the step.
    pub busy: Vec<u128>,
    /// Slots of the workers that are there x nanoseconds within the step.
    pub slots: Vec<u128>,
    /// What only the detailed level counts; empty on the plain one.
    pub details: Vec<DetailPoint>,
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
    /// Jobs turned away. With those let in they are fewer than arrived while answers are on their way.
    pub rejected: u64,
    /// Jobs finished.
    pub completed: u64,
    /// Jobs lost.
    pub lost: u64,
}

/// What only the detailed level counts, at the end of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DetailPoint {
    /// Processes that take jobs.
    pub workers: u32,
    /// Database connections in use.
    pub connections: u64,
    /// Nanoseconds of commands of the busiest shard within the step.
    pub redis_busy: u128,
    /// Requests since the start.
    pub requests: u64,
    /// Retries since the start.
    pub retried: u64,
    /// Requests given up since the start.
    pub abandoned: u64,
    /// Jobs finished since the start after their client had stopped waiting.
    pub wasted: u64,
}

impl ClassCounts {
    /// Jobs turned away for any reason.
    pub fn rejected(&self) -> u64 {
        self.rejected.iter().sum()
    }

    /// Jobs that arrived after the warm-up.
    pub fn offered_after_warmup(&self) -> u64 {
        self.offered - self.before_warmup.offered
    }

    /// Of these, jobs turned away.
    pub fn rejected_after_warmup(&self) -> u64 {
        self.rejected() - self.before_warmup.rejected
    }

    /// Requests of clients given up after the warm-up.
    pub fn abandoned_after_warmup(&self) -> u64 {
        self.extras.abandoned - self.before_warmup.abandoned
    }

    /// The warm-up is over.
    pub(crate) fn warmup_ends(&mut self) {
        self.before_warmup = WarmupCounts {
            offered: self.offered,
            rejected: self.rejected(),
            requests: self.extras.requests,
            abandoned: self.extras.abandoned,
        };
    }

    /// Times in the waiting line of the jobs that arrived after the warm-up and were admitted.
    pub fn waits(&self) -> Spans<'_> {
        let Unended { waiting, never_taken, .. } = &self.unended;
        Spans { ended: &self.wait, open: waiting, endless: *never_taken }
    }

    /// Times from arrival to completion of the same jobs.
    pub fn sojourns(&self) -> Spans<'_> {
        let Unended { present, never_completed, .. } = &self.unended;
        Spans { ended: &self.sojourn, open: present, endless: *never_completed }
    }

    /// Counts so far, for the series.
    pub(crate) fn flow(&self) -> Flow {
        Flow {
            offered: self.offered,
            admitted: self.admitted,
            rejected: self.rejected(),
            completed: self.completed,
            lost: self.lost,
        }
    }

    /// The sum of some.
    pub(crate) fn sum(classes: &[ClassCounts]) -> ClassCounts {
        classes.iter().fold(ClassCounts::default(), |mut total, class| {
            total.add(class);
            total
        })
    }

    fn add(&mut self, other: &ClassCounts) {
        let ClassCounts {
            initial,
            offered,
            admitted,
            rejected,
            completed,
            completed_after_warmup,
            failed,
            lost,
            in_system,
            wait,
            sojourn,
            unended,
            before_warmup,
            extras,
        } = other;
        self.initial += initial;
        self.offered += offered;
        self.admitted += admitted;
        self.rejected.iter_mut().zip(rejected).for_each(|(sum, count)| *sum += count);
        self.completed += completed;
        self.completed_after_warmup += completed_after_warmup;
        self.failed += failed;
        self.lost += lost;
        self.in_system += in_system;
        self.wait.merge(wait);
        self.sojourn.merge(sojourn);
        self.unended.add(unended);
        self.before_warmup.add(before_warmup);
        self.extras.add(extras);
    }
}

impl Unended {
    fn add(&mut self, other: &Self) {
        let Self { waiting, present, never_taken, never_completed } = other;
        self.waiting.merge(waiting);
        self.present.merge(present);
        self.never_taken += never_taken;
        self.never_completed += never_completed;
    }
}

impl WarmupCounts {
    fn add(&mut self, other: &Self) {
        let Self { offered, rejected, requests, abandoned } = other;
        self.offered += offered;
        self.rejected += rejected;
        self.requests += requests;
        self.abandoned += abandoned;
    }
}

impl ClassExtras {
    fn add(&mut self, other: &ClassExtras) {
        let ClassExtras { requests, retried, timed_out, abandoned, wasted, failed_attempts, redelivered } =
            other;
        self.requests += requests;
        self.retried += retried;
        self.timed_out += timed_out;
        self.abandoned += abandoned;
        self.wasted += wasted;
        self.failed_attempts += failed_attempts;
        self.redelivered += redelivered;
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
        let ClassExtras { requests, retried, .. } = self.total().extras;
        if requests > 0 {
            assert_eq!(self.total().offered, requests + retried, "offered = requests + retries");
        }
    }

    /// The sum over all classes.
    pub fn total(&self) -> ClassCounts {
        ClassCounts::sum(&self.classes)
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
        if Disturbance::of(config).is_some() {
            for (metric, span) in
                [(Metric::Recovery, self.recovery), (Metric::NormalAgain, self.normal_again)]
            {
                metrics.set_or_censor(metric, span.map(SimDuration::as_secs_f64), horizon);
            }
        }
        for (metric, time) in [
            (Metric::TimeToShed, self.limits.at(Limit::Shed)),
            (Metric::TimeToOpen, self.limits.at(Limit::Open)),
            (Metric::TimeToOom, self.limits.at(Limit::RedisFull)),
        ] {
            metrics.set_or_censor(metric, time.map(SimTime::as_secs_f64), horizon);
        }
        for (metric, state) in [
            (Metric::ClosedFraction, State::Closed),
            (Metric::HalfOpenFraction, State::HalfOpen),
            (Metric::OpenFraction, State::Open),
        ] {
            metrics.set(metric, self.state_time[usize::from(state.code())] as f64 / (measured * circuits));
        }
        metrics.set(Metric::CircuitOpenings, self.openings as f64 / circuits);
        metrics.set(Metric::CircuitOpeningsFromClosed, self.openings_from_closed as f64 / circuits);
        metrics.set(
            Metric::CircuitCycle,
            self.first_circuit_openings
                .filter(|(_, _, openings)| *openings > 1)
                .map(|(first, last, openings)| last.since(first).as_secs_f64() / (openings - 1) as f64),
        );
        metrics.set(Metric::WorkerUtilisation, self.busy_area as f64 / self.slot_area as f64);
        metrics.set(Metric::RedisPeak, self.redis_peak as f64);
        let per_process = measured * f64::from(config.workers.concurrency);
        metrics.set(Metric::WorkerProcesses, self.slot_area as f64 / per_process);
        metrics.set(Metric::RedisRssPeak, self.redis_peak as f64 * config.redis.fragmentation);
        if config.redis.operations.is_some() {
            metrics.set(Metric::RedisUtilisation, self.details.redis_busy as f64 / measured);
        }
        if let Some(pool) = config.workers.database.and_then(|database| database.pool) {
            let area = measured * f64::from(pool);
            metrics.set(Metric::DatabaseUtilisation, self.details.connections_area as f64 / area);
        }
        metrics.set(Metric::PriorityInversion, ratio(self.inverted, self.urgent_offered));
        metrics
    }

    /// Hash of all of it. Every struct is destructured in full, so that a new field cannot be forgotten.
    pub fn digest(&self) -> u64 {
        let Self {
            classes,
            depth_area,
            busy_area,
            // Also follows from the settings on the plain level, so it belongs to the detailed one.
            slot_area: _,
            peak_depth,
            state_time,
            openings,
            openings_from_closed,
            // Follow from the same events as the openings, the losses and the counts.
            first_circuit_openings: _,
            first_refusal: _,
            first_loss: _,
            normal_again: _,
            scrapes: _,
            limits,
            recovery,
            inverted,
            urgent_offered,
            redis_peak,
            details,
            decisions: _,
            series,
            // Of the same jobs as the classes.
            within: _,
            parts: _,
        } = self;
        let RunSeries {
            depth,
            depth_max,
            redis,
            // Their sums are above, by class and by state.
            states: _,
            busy: _,
            slots: _,
            wait: _,
            flows: _,
            details: _,
        } = series;
        let mut digest = Digest::default();
        let wide = |value: u128| [value as u64, (value >> 64) as u64];
        let time = |time: Option<SimTime>| time.map_or(u64::MAX, |time| time.0);
        for class in classes {
            class.digest(&mut digest);
        }
        digest.add_all(wide(*depth_area));
        digest.add_all(wide(*busy_area));
        digest.add_all(state_time.iter().copied().flat_map(wide));
        digest.add_all([*peak_depth, *openings, *openings_from_closed, *redis_peak]);
        digest.add_all([*inverted, *urgent_offered, recovery.map_or(u64::MAX, |span| span.0)]);
        // In the order in which the limits came to the model.
        let plain = [Limit::Shed, Limit::Open, Limit::Workers, Limit::QueueLimit];
        let memory = [Limit::RedisWatermark, Limit::RedisFull];
        digest.add_all(plain.into_iter().chain(memory).map(|limit| time(limits.at(limit))));
        digest.add_all(depth.iter().copied());
        digest.add_all(depth_max.iter().copied());
        digest.add_all(redis.iter().copied());
        if details.is_detailed {
            self.digest_details(&mut digest);
        }
        digest.value()
    }

    /// What only the detailed level knows.
    fn digest_details(&self, digest: &mut Digest) {
        for class in &self.classes {
            digest.add_all(class.rejected[RejectionReason::QueueLimit.index() + 1..].iter().copied());
            let ClassExtras { requests, retried, timed_out, abandoned, wasted, failed_attempts, redelivered } =
                class.extras;
            digest.add_all([requests, retried, timed_out, abandoned, wasted, failed_attempts, redelivered]);
        }
        let DetailCounts {
            is_detailed: _,
            open_requests,
            redis_busy,
            connections_area,
            connections_peak,
            // Follow from the points of the series and from what was admitted when.
            redis_busy_peak: _,
            retry_share_peak: _,
            in_flight_peak: _,
        } = self.details;
        for wide in [redis_busy, connections_area, self.slot_area] {
            digest.add_all([wide as u64, (wide >> 64) as u64]);
        }
        digest.add_all([connections_peak, open_requests]);
        for &ScalingDecision { at, wanted, reason, metric: _, current: _, recommended: _ } in &self.decisions
        {
            digest.add_all([at.0, u64::from(wanted), reason as u64]);
        }
        for point in &self.series.details {
            let &DetailPoint { workers, connections, redis_busy, requests, retried, abandoned, wasted } =
                point;
            digest.add_all([u64::from(workers), connections, redis_busy as u64]);
            digest.add_all([requests, retried, abandoned, wasted]);
        }
    }
}

impl ClassCounts {
    fn digest(&self, digest: &mut Digest) {
        let Self {
            initial,
            offered,
            admitted,
            rejected,
            completed,
            completed_after_warmup,
            failed,
            lost,
            in_system,
            wait,
            sojourn,
            // Follow from the jobs lost, failed and in the system, which are counted.
            unended: _,
            before_warmup,
            // With the rest of the detailed level.
            extras: _,
        } = self;
        digest.add_all([*initial, *offered, *admitted, *completed]);
        digest.add_all([*completed_after_warmup, *failed, *lost, *in_system]);
        // Those of the detailed level follow below.
        let first = [Reason::Open, Reason::HalfOpen, Reason::Shed, Reason::DepthUnknown];
        let first = first.map(RejectionReason::Policy).into_iter().chain([RejectionReason::QueueLimit]);
        digest.add_all(first.map(|reason| rejected[reason.index()]));
        // Later reasons count where they occur, so that results without them keep their digest.
        let later = Reason::ALL.iter().skip(4).map(|&reason| RejectionReason::Policy(reason).index());
        for index in later.filter(|&index| rejected[index] > 0) {
            digest.add_all([index as u64, rejected[index]]);
        }
        wait.digest(digest);
        sojourn.digest(digest);
        // Nothing of a run without a warm-up.
        if *before_warmup != WarmupCounts::default() {
            // What was given up follows from the events of the requests.
            let WarmupCounts { offered, rejected, requests, abandoned: _ } = *before_warmup;
            digest.add_all([offered, rejected, requests]);
        }
    }
}

/// The metrics that exist for each class as well as for the sum of all.
pub(crate) fn class_metrics(counts: &ClassCounts, config: &ModelConfig) -> Metrics {
    class_metrics_over(counts, config, (config.horizon - config.warmup).as_secs_f64())
}

/// The same of the jobs of a part of the run that is so many seconds long.
pub(crate) fn class_metrics_over(counts: &ClassCounts, config: &ModelConfig, measured: f64) -> Metrics {
    let mut metrics = Metrics::default();
    for (metric, count) in [
        (Metric::Initial, counts.initial),
        (Metric::Offered, counts.offered),
        (Metric::Admitted, counts.admitted),
        (Metric::Rejected, counts.rejected()),
        (Metric::Completed, counts.completed),
        (Metric::Failed, counts.failed),
        (Metric::Lost, counts.lost),
        (Metric::InSystem, counts.in_system),
    ] {
        metrics.set(metric, count as f64);
    }
    for &(reason, metric, _) in RejectionReason::table() {
        metrics.set(metric, counts.rejected[reason.index()] as f64);
    }
    let offered = counts.offered_after_warmup();
    metrics.set(Metric::RejectionProbability, ratio(counts.rejected_after_warmup(), offered));
    metrics.set(Metric::Goodput, counts.completed_after_warmup as f64 / measured);

    let extras = &counts.extras;
    if config.clients.is_some() {
        metrics.set(Metric::Requests, extras.requests as f64);
        metrics.set(Metric::Retried, extras.retried as f64);
        metrics.set(Metric::TimedOut, extras.timed_out as f64);
        metrics.set(Metric::Abandoned, extras.abandoned as f64);
        metrics.set(Metric::Wasted, extras.wasted as f64);
        let requests = extras.requests - counts.before_warmup.requests;
        metrics.set(Metric::Amplification, ratio(offered, requests));
    }
    if config.workers.failures.is_some() {
        metrics.set(Metric::FailedAttempts, extras.failed_attempts as f64);
    }
    if config.workers.crashes.is_some() || !config.faults.is_empty() {
        metrics.set(Metric::Redelivered, extras.redelivered as f64);
    }

    let (waits, sojourns) = (counts.waits(), counts.sojourns());
    metrics.set(Metric::WaitProbability, waits.share_above_zero());
    for (metric, span) in [
        (Metric::WaitMean, waits.mean()),
        (Metric::WaitP50, waits.quantile(0.50)),
        (Metric::WaitP95, waits.quantile(0.95)),
        (Metric::WaitP99, waits.quantile(0.99)),
        (Metric::SojournMean, sojourns.mean()),
        (Metric::SojournP50, sojourns.quantile(0.50)),
        (Metric::SojournP95, sojourns.quantile(0.95)),
        (Metric::SojournP99, sojourns.quantile(0.99)),
    ] {
        let Some(AtLeast { value, is_bound }) = span else { continue };
        // For ever is at least as long as the run.
        let seconds = (value / 1e9).min(config.horizon.as_secs_f64());
        metrics.set_bounded(metric, seconds, is_bound || value.is_infinite());
    }
    metrics
}

/// A share of a count; `None` of nothing.
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
