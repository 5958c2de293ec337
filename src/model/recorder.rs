//! Collects what a replication measures, as it happens.

use super::circuits::{CircuitRecord, Circuits};
use super::config::{JobClass, ModelConfig};
use super::outcome::{ClassCounts, Flow, LimitTimes, Outcome, RejectionReason, RunSeries};
use super::redis::Memory;
use crate::engine::time::{SimDuration, SimTime};
use crate::stats::histogram::Histogram;
use crate::stats::time_integral::TimeIntegral;

/// The estimators of a running replication.
#[derive(Debug)]
pub(crate) struct Recorder {
    classes: Vec<ClassCounts>,
    /// Jobs that arrive from here on count for waits and sojourns.
    measured_from: SimTime,
    depth: TimeIntegral,
    busy: TimeIntegral,
    /// The integrals of depth and busy slots when the warm-up ended.
    warmup_areas: (u128, u128),
    peak_depth: u64,
    limits: LimitTimes,
    slots: u64,
    shed_at: u64,
    recovery: RecoveryWatch,
    series: RunSeries,
    step: StepEstimators,
    second: Vec<Flow>,
    inverted: u64,
}

/// Waits for the system to recover after the last spike.
#[derive(Debug)]
struct RecoveryWatch {
    /// Set while there is something to wait for.
    counting_from: Option<SimTime>,
    /// Since when it has looked recovered.
    since: Option<SimTime>,
    depth: u64,
    hold: SimDuration,
    found: Option<SimDuration>,
}

/// What restarts with every step of the series.
#[derive(Debug)]
struct StepEstimators {
    began: SimTime,
    depth_max: u64,
    /// The integral of the busy slots when the step began.
    busy_area: u128,
    wait: Histogram,
}

impl Recorder {
    pub(crate) fn new(config: &ModelConfig) -> Self {
        let policy = &config.policy.config;
        let mut measured_from = SimTime(config.warmup.0);
        if config.start.jobs > 0 {
            // The jobs that are there at the start did not arrive, so they have no sojourn.
            measured_from = measured_from.max(SimTime(1));
        }
        Self {
            classes: vec![ClassCounts::default(); config.classes.len()],
            measured_from,
            depth: TimeIntegral::default(),
            busy: TimeIntegral::default(),
            warmup_areas: (0, 0),
            peak_depth: 0,
            limits: LimitTimes::default(),
            slots: u64::from(config.workers.slots()),
            shed_at: if policy.enabled() { policy.shed_at() } else { u64::MAX },
            recovery: RecoveryWatch {
                counting_from: None,
                since: None,
                depth: policy.recovery(),
                hold: config.recovery_hold,
                found: None,
            },
            series: RunSeries::default(),
            step: StepEstimators {
                began: SimTime::ZERO,
                depth_max: 0,
                busy_area: 0,
                wait: Histogram::default(),
            },
            second: vec![Flow::default(); config.classes.len()],
            inverted: 0,
        }
    }

    #[inline]
    pub(crate) fn class(&mut self, class: u16) -> &mut ClassCounts {
        &mut self.classes[usize::from(class)]
    }

    #[inline]
    pub(crate) fn arrived(&mut self, now: SimTime, class: u16, refusal: Option<RejectionReason>) {
        let counts = self.class(class);
        counts.offered += 1;
        match refusal {
            None => counts.admitted += 1,
            Some(reason) => {
                counts.rejected[reason as usize] += 1;
                if reason == RejectionReason::QueueLimit {
                    self.limits.queue_limit.get_or_insert(now);
                }
            }
        }
    }

    #[inline]
    pub(crate) fn started(&mut self, class: u16, arrived: SimTime, wait: SimDuration) {
        let bucket = Histogram::bucket_of(wait.0);
        self.step.wait.record_in(bucket, wait.0);
        if arrived >= self.measured_from {
            self.class(class).wait.record_in(bucket, wait.0);
        }
    }

    #[inline]
    pub(crate) fn completed(&mut self, now: SimTime, class: u16, arrived: SimTime) {
        let measured_from = self.measured_from;
        let counts = self.class(class);
        counts.completed += 1;
        counts.completed_after_warmup += u64::from(now >= measured_from);
        if arrived >= measured_from {
            counts.sojourn.record(now.since(arrived).0);
        }
    }

    #[inline]
    pub(crate) fn depth_changed(&mut self, now: SimTime, depth: u64) {
        self.depth.set(now, depth);
        self.step.depth_max = self.step.depth_max.max(depth);
        if depth > self.peak_depth {
            self.peak_depth = depth;
            if depth >= self.shed_at {
                self.limits.shed.get_or_insert(now);
            }
        }
    }

    #[inline]
    pub(crate) fn busy_slots_changed(&mut self, now: SimTime, busy: u64) {
        self.busy.set(now, busy);
    }

    /// An event is complete: has the system recovered with it?
    #[inline]
    pub(crate) fn settle(&mut self, now: SimTime, depth: u64, circuits: &Circuits) {
        if self.recovery.counting_from.is_some() {
            self.recovery.look(now, depth <= self.recovery.depth && circuits.all_closed());
        }
    }

    pub(crate) fn spike_ends(&mut self, now: SimTime) {
        self.recovery.counting_from = Some(now);
    }

    pub(crate) fn warmup_ends(&mut self, now: SimTime) {
        self.warmup_areas = (self.depth.area(now), self.busy.area(now));
    }

    pub(crate) fn second_ends(&mut self, classes: &[JobClass]) {
        let mut urgent_rejected = 0;
        let mut batch_admitted = 0;
        for ((counts, before), class) in self.classes.iter().zip(&mut self.second).zip(classes) {
            let flow = counts.flow();
            let admitted = flow.admitted - before.admitted;
            match class.priority.get() {
                ..=5 => urgent_rejected += flow.offered - before.offered - admitted,
                8.. => batch_admitted += admitted,
                _ => {}
            }
            *before = flow;
        }
        if batch_admitted > 0 {
            self.inverted += urgent_rejected;
        }
    }

    pub(crate) fn series_step(&mut self, now: SimTime, depth: u64, states: [u32; 3], redis: u64) {
        let busy_area = self.busy.area(now);
        let busy = busy_area - self.step.busy_area;
        let length = now.since(self.step.began);
        if length > SimDuration::ZERO && busy == u128::from(self.slots) * u128::from(length.0) {
            self.limits.saturated.get_or_insert(self.step.began);
        }
        let wait = &self.step.wait;
        let percentiles = || Some([wait.quantile(0.50)?, wait.quantile(0.95)?, wait.quantile(0.99)?]);
        self.series.depth.push(depth);
        self.series.depth_max.push(self.step.depth_max);
        self.series.states.push(states);
        self.series.redis.push(redis);
        self.series.busy.push(busy);
        self.series.wait.push(percentiles());
        self.series.flows.push(self.classes.iter().map(ClassCounts::flow).collect());
        self.step.began = now;
        self.step.depth_max = depth;
        self.step.busy_area = busy_area;
        self.step.wait.clear();
    }

    pub(crate) fn finish(
        mut self,
        now: SimTime,
        depth: u64,
        circuits: Circuits,
        redis: &Memory,
        classes: &[JobClass],
    ) -> Outcome {
        self.second_ends(classes);
        self.settle(now, depth, &circuits);
        let CircuitRecord {
            state_time,
            openings,
            openings_from_closed,
            first_circuit_openings,
            first_opening,
        } = circuits.finish(now);
        let urgent = self.classes.iter().zip(classes).filter(|(_, class)| class.priority.get() <= 5);
        let urgent_offered = urgent.map(|(counts, _)| counts.offered).sum();
        Outcome {
            depth_area: self.depth.area(now) - self.warmup_areas.0,
            busy_area: self.busy.area(now) - self.warmup_areas.1,
            peak_depth: self.peak_depth,
            state_time,
            openings,
            openings_from_closed,
            first_circuit_openings,
            limits: LimitTimes {
                open: first_opening,
                redis_watermark: redis.watermark_at,
                redis_full: redis.full_at,
                ..self.limits
            },
            recovery: self.recovery.found,
            inverted: self.inverted,
            urgent_offered,
            redis_peak: redis.peak(),
            series: self.series,
            classes: self.classes,
        }
    }
}

impl RecoveryWatch {
    /// Looks at the settled system; found once it has been recovered for `hold`.
    #[inline]
    fn look(&mut self, now: SimTime, recovered: bool) {
        let Some(from) = self.counting_from else { return };
        if !recovered {
            // It held if the hold was over before this event undid it.
            self.since = self.since.filter(|&since| now.since(since) >= self.hold);
        } else if self.since.is_none() {
            self.since = Some(now);
        }
        if let Some(since) = self.since
            && now.since(since) >= self.hold
        {
            self.found = Some(since.since(from));
            self.counting_from = None;
        }
    }
}
