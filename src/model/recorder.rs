//! Collects what a replication measures, as it happens.

use backpressure::State;

use super::circuits::{CircuitRecord, Circuits};
use super::config::{JobClass, ModelConfig, Part, Question, Span};
use super::disturbance::NormalWatch;
use super::limits::{Limit, LimitsReached};
use super::outcome::{
    ClassCounts, ClassExtras, DetailCounts, DetailPoint, Flow, Outcome, RejectionReason, RunSeries,
    ScalingDecision, WithinLimit,
};
use super::redis::Memory;
use super::scrape::{QueueScrape, Scrape};
use crate::engine::time::{SimDuration, SimTime};
use crate::stats::histogram::Histogram;
use crate::stats::time_integral::TimeIntegral;

/// The estimators of a running replication.
#[derive(Debug)]
pub(crate) struct Recorder {
    classes: Vec<ClassCounts>,
    /// When the warm-up ends.
    warmup: SimTime,
    /// Jobs that arrive from here on count for waits and sojourns.
    measured_from: SimTime,
    depth: TimeIntegral,
    busy: TimeIntegral,
    /// The integrals of depth, busy slots and slots when the warm-up ended.
    warmup_areas: [u128; 3],
    peak_depth: u64,
    pub(crate) limits: LimitsReached,
    first_refusal: Option<SimTime>,
    first_loss: Option<SimTime>,
    /// Slots of the workers that are there.
    slots: TimeIntegral,
    shed_at: u64,
    recovery: RecoveryWatch,
    /// Whether something waits for the end of a recovery.
    is_watching: bool,
    pub(crate) normal: NormalWatch,
    series: RunSeries,
    step: StepEstimators,
    /// What had happened when the second began, by class.
    second: Vec<Flow>,
    /// Parts of the run that objectives ask about; mostly none.
    parts: Vec<PartCounts>,
    /// One for each question; mostly none.
    tallies: Vec<Tally>,
    /// Whether there are parts or questions.
    is_asked: bool,
    inverted: u64,
    /// What the detailed level counts besides.
    pub(crate) details: DetailCounts,
    /// What the autoscaler decided.
    pub(crate) decisions: Vec<ScalingDecision>,
    scrapes: Vec<Scrape>,
}

/// What became of the jobs that arrived within a part of the run, by class.
#[derive(Debug)]
struct PartCounts {
    span: Part,
    /// Jobs that were there at the start did not arrive.
    first: SimTime,
    classes: Vec<ClassCounts>,
}

/// Counts for a question the jobs within its limit of a time.
#[derive(Debug)]
struct Tally {
    question: Question,
    /// Jobs that were there at the start did not arrive.
    first: SimTime,
    /// By class; empty where the question has no limit of a time.
    classes: Vec<WithinLimit>,
}

/// A job that leaves, or is still there at the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    pub(crate) class: u16,
    pub(crate) arrived: SimTime,
}

/// How far a job had come that vanishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It waited, or was on its way.
    Waiting,
    /// A worker had taken it.
    Taken,
}

/// Jobs so far, of all classes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueTotals {
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) lost: u64,
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
    /// The integrals of the busy slots and of all slots when the step began.
    busy_area: u128,
    slot_area: u128,
    /// Of the commands of the busiest shard.
    redis_busy: u128,
    requests: u64,
    retried: u64,
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
            warmup: SimTime(config.warmup.0),
            measured_from,
            depth: TimeIntegral::default(),
            busy: TimeIntegral::default(),
            warmup_areas: [0; 3],
            peak_depth: 0,
            limits: LimitsReached::default(),
            first_refusal: None,
            first_loss: None,
            slots: TimeIntegral::of(u64::from(config.workers.slots())),
            shed_at: if policy.enabled() { policy.sheds_at() } else { u64::MAX },
            recovery: RecoveryWatch {
                counting_from: None,
                since: None,
                depth: policy.recovery(),
                hold: config.recovery_hold,
                found: None,
            },
            is_watching: false,
            normal: NormalWatch::new(config),
            series: RunSeries::default(),
            step: StepEstimators {
                began: SimTime::ZERO,
                depth_max: 0,
                busy_area: 0,
                slot_area: 0,
                redis_busy: 0,
                requests: 0,
                retried: 0,
                wait: Histogram::default(),
            },
            second: vec![Flow::default(); config.classes.len()],
            parts: config.parts.iter().map(|span| PartCounts::new(span, config)).collect(),
            tallies: config.questions.iter().map(|question| Tally::new(question, config)).collect(),
            is_asked: !config.parts.is_empty() || !config.questions.is_empty(),
            inverted: 0,
            details: DetailCounts::default(),
            decisions: Vec::new(),
            scrapes: Vec::new(),
        }
    }

    /// Counts so far, by class.
    pub(crate) fn classes(&self) -> &[ClassCounts] {
        &self.classes
    }

    /// Largest depth so far.
    pub(crate) fn peak_depth(&self) -> u64 {
        self.peak_depth
    }

    #[inline]
    pub(crate) fn class(&mut self, class: u16) -> &mut ClassCounts {
        &mut self.classes[usize::from(class)]
    }

    #[inline]
    pub(crate) fn extras(&mut self, class: u16) -> &mut ClassExtras {
        &mut self.classes[usize::from(class)].extras
    }

    /// Counts something of a job of this class that arrived then: in the run, and in each part of it that it belongs to. The
    /// closure is told whether waits and sojourns of the job count.
    #[inline(always)]
    fn count(&mut self, class: u16, arrived: SimTime, add: impl Fn(&mut ClassCounts, bool)) {
        add(&mut self.classes[usize::from(class)], arrived >= self.measured_from);
        if self.is_asked {
            self.count_in_parts(class, arrived, add);
        }
    }

    #[cold]
    fn count_in_parts(&mut self, class: u16, arrived: SimTime, add: impl Fn(&mut ClassCounts, bool)) {
        for part in self.parts.iter_mut().filter(|part| arrived >= part.first && part.span.contains(arrived))
        {
            add(&mut part.classes[usize::from(class)], true);
        }
    }

    /// A job arrives whose admission is not decided yet.
    pub(crate) fn offered(&mut self, now: SimTime, class: u16) {
        self.count(class, now, |counts, _| counts.offered += 1);
    }

    /// Such a job is let in.
    pub(crate) fn admitted(&mut self, job: Who) {
        self.count(job.class, job.arrived, |counts, _| counts.admitted += 1);
    }

    /// Such a job is rejected, perhaps after the end of the warm-up in which it arrived.
    pub(crate) fn refused(&mut self, now: SimTime, class: u16, arrived: SimTime, reason: RejectionReason) {
        self.count(class, arrived, |counts, _| counts.rejected[reason.index()] += 1);
        self.first_refusal.get_or_insert(now);
        if arrived < self.warmup && now >= self.warmup {
            self.class(class).before_warmup.rejected += 1;
            self.second[usize::from(class)].rejected += 1;
        }
    }

    /// A job vanishes.
    pub(crate) fn lost(&mut self, now: SimTime, job: Who, stage: Stage) {
        self.count(job.class, job.arrived, |counts, is_measured| {
            counts.lost += 1;
            counts.unended.never_completed += u64::from(is_measured);
            counts.unended.never_taken += u64::from(is_measured && stage == Stage::Waiting);
        });
        self.first_loss.get_or_insert(now);
        self.normal.lost(now);
    }

    #[inline]
    pub(crate) fn arrived(&mut self, now: SimTime, class: u16, refusal: Option<RejectionReason>) {
        self.count(class, now, |counts, _| {
            counts.offered += 1;
            match refusal {
                None => counts.admitted += 1,
                Some(reason) => counts.rejected[reason.index()] += 1,
            }
        });
        if let Some(reason) = refusal {
            self.first_refusal.get_or_insert(now);
            if reason == RejectionReason::QueueLimit {
                self.limits.reach(Limit::QueueLimit, now);
            }
        }
    }

    /// The last attempt of a job has failed.
    pub(crate) fn failed(&mut self, job: Who) {
        self.count(job.class, job.arrived, |counts, is_measured| {
            counts.failed += 1;
            counts.unended.never_completed += u64::from(is_measured);
        });
    }

    /// A wait or a sojourn has ended, or is so long at the end of the run.
    #[inline(always)]
    fn tally(&mut self, span: Span, job: Who, time: SimDuration, is_open: bool) {
        if self.is_asked {
            self.tally_each(span, job, time, is_open);
        }
    }

    #[cold]
    fn tally_each(&mut self, span: Span, job: Who, time: SimDuration, is_open: bool) {
        for tally in &mut self.tallies {
            tally.count(span, job, time, is_open, self.measured_from);
        }
    }

    /// A job is still there at the end of the run; `waiting_since` tells since when it waits, if it does.
    pub(crate) fn still_there(&mut self, now: SimTime, job: Who, waiting_since: Option<SimTime>) {
        self.count(job.class, job.arrived, |counts, is_measured| {
            counts.in_system += 1;
            if is_measured {
                counts.unended.present.record(now.since(job.arrived).0);
                if let Some(since) = waiting_since {
                    counts.unended.waiting.record(now.since(since).0);
                }
            }
        });
        self.tally(Span::Sojourn, job, now.since(job.arrived), true);
        if let Some(since) = waiting_since {
            self.tally(Span::Wait, job, now.since(since), true);
        }
    }

    #[inline]
    pub(crate) fn started(&mut self, class: u16, arrived: SimTime, wait: SimDuration) {
        let bucket = Histogram::bucket_of(wait.0);
        self.step.wait.record_in(bucket, wait.0);
        self.count(class, arrived, |counts, is_measured| {
            if is_measured {
                counts.wait.record_in(bucket, wait.0);
            }
        });
        self.tally(Span::Wait, Who { class, arrived }, wait, false);
    }

    #[inline]
    pub(crate) fn completed(&mut self, now: SimTime, class: u16, arrived: SimTime) {
        let is_after_warmup = u64::from(now >= self.measured_from);
        self.count(class, arrived, |counts, is_measured| {
            counts.completed += 1;
            counts.completed_after_warmup += is_after_warmup;
            if is_measured {
                counts.sojourn.record(now.since(arrived).0);
            }
        });
        self.tally(Span::Sojourn, Who { class, arrived }, now.since(arrived), false);
    }

    /// The same where the client may have stopped waiting.
    pub(crate) fn completed_for(&mut self, now: SimTime, class: u16, arrived: SimTime, wanted: bool) {
        if wanted {
            self.completed(now, class, arrived);
            return;
        }
        self.count(class, arrived, |counts, is_measured| {
            counts.completed += 1;
            counts.extras.wasted += 1;
            if is_measured {
                counts.sojourn.record(now.since(arrived).0);
            }
        });
        self.tally(Span::Sojourn, Who { class, arrived }, now.since(arrived), false);
    }

    #[inline]
    pub(crate) fn depth_changed(&mut self, now: SimTime, depth: u64) {
        self.depth.set(now, depth);
        self.step.depth_max = self.step.depth_max.max(depth);
        if depth > self.peak_depth {
            self.peak_depth = depth;
            if depth >= self.shed_at {
                self.limits.reach(Limit::Shed, now);
            }
        }
    }

    #[inline]
    pub(crate) fn busy_slots_changed(&mut self, now: SimTime, busy: u64) {
        self.busy.set(now, busy);
    }

    pub(crate) fn slots_changed(&mut self, now: SimTime, slots: u64) {
        self.slots.set(now, slots);
    }

    /// An event is complete: has the system recovered with it?
    #[inline]
    pub(crate) fn settle(&mut self, now: SimTime, depth: u64, waiting: u64, circuits: &Circuits) {
        if self.is_watching {
            self.watch(now, depth, waiting, circuits.all_closed());
        }
    }

    #[inline(never)]
    fn watch(&mut self, now: SimTime, depth: u64, waiting: u64, all_closed: bool) {
        self.recovery.look(now, depth <= self.recovery.depth && all_closed);
        if self.normal.is_on() {
            self.normal.look(now, waiting > self.normal.level(), all_closed);
        }
        self.is_watching = self.recovery.counting_from.is_some() || self.normal.is_on();
    }

    pub(crate) fn spike_ends(&mut self, now: SimTime) {
        self.recovery.counting_from = Some(now);
        self.is_watching = true;
        self.normal.begin(now);
    }

    pub(crate) fn warmup_ends(&mut self, now: SimTime) {
        self.warmup_areas = [self.depth.area(now), self.busy.area(now), self.slots.area(now)];
        for (counts, second) in self.classes.iter_mut().zip(&mut self.second) {
            counts.warmup_ends();
            *second = counts.flow();
        }
        self.inverted = 0;
    }

    pub(crate) fn second_ends(&mut self, classes: &[JobClass]) {
        let mut urgent_rejected = 0;
        let mut batch_admitted = 0;
        for ((counts, before), class) in self.classes.iter().zip(&mut self.second).zip(classes) {
            let flow = counts.flow();
            match class.priority.get() {
                ..=5 => urgent_rejected += flow.rejected - before.rejected,
                8.. => batch_admitted += flow.admitted - before.admitted,
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
        let slot_area = self.slots.area(now);
        let slots = slot_area - self.step.slot_area;
        if slots > 0 && busy == slots {
            self.limits.reach(Limit::Workers, self.step.began);
        }
        let wait = &self.step.wait;
        let percentiles = || Some([wait.quantile(0.50)?, wait.quantile(0.95)?, wait.quantile(0.99)?]);
        self.series.depth.push(depth);
        self.series.depth_max.push(self.step.depth_max);
        self.series.states.push(states);
        self.series.redis.push(redis);
        self.series.busy.push(busy);
        self.series.slots.push(slots);
        self.series.wait.push(percentiles());
        self.series.flows.push(self.classes.iter().map(ClassCounts::flow).collect());
        self.step.began = now;
        self.step.depth_max = depth;
        self.step.busy_area = busy_area;
        self.step.slot_area = slot_area;
        self.step.wait.clear();
    }

    /// The monitoring system reads the metrics; those of the queue are made of the sums over all classes.
    pub(crate) fn scraped(
        &mut self,
        at: SimTime,
        circuits: impl Iterator<Item = Option<State>>,
        queue: impl Fn(QueueTotals) -> Option<QueueScrape>,
    ) {
        let sum = |of: fn(&ClassCounts) -> u64| self.classes.iter().map(of).sum();
        let totals = QueueTotals {
            completed: sum(|counts| counts.completed),
            failed: sum(|counts| counts.failed),
            lost: sum(|counts| counts.lost),
        };
        self.scrapes.push(Scrape {
            at,
            queue: queue(totals),
            rejected: self.classes.iter().map(ClassCounts::rejected).collect(),
            accepted: self.classes.iter().map(|counts| counts.admitted).collect(),
            circuits: circuits.map(|state| state.map(State::code)).collect(),
        });
    }

    /// A step of the series ends, for what only the detailed level counts: processes that take jobs, connections in use and
    /// their integral, and nanoseconds of commands of the busiest shard.
    pub(crate) fn detail_point(
        &mut self,
        now: SimTime,
        workers: u32,
        (connections, _): (u64, u128),
        redis_busy: u128,
    ) {
        let length = now.since(self.step.began);
        if length == SimDuration::ZERO {
            return;
        }
        let sum = |of: fn(&ClassExtras) -> u64| self.classes.iter().map(|class| of(&class.extras)).sum();
        let point = DetailPoint {
            workers,
            connections,
            redis_busy: redis_busy - self.step.redis_busy,
            requests: sum(|extras| extras.requests),
            retried: sum(|extras| extras.retried),
            abandoned: sum(|extras| extras.abandoned),
            wasted: sum(|extras| extras.wasted),
        };
        let requests = point.requests - self.step.requests;
        let retried = point.retried - self.step.retried;
        if retried > requests && retried > 0 {
            self.limits.reach(Limit::RetryStorm, self.step.began);
        }
        if point.redis_busy >= u128::from(length.0) / 100 * 99 && redis_busy > 0 {
            self.limits.reach(Limit::RedisCommands, self.step.began);
        }
        self.details.retry_share_peak =
            self.details.retry_share_peak.max((retried * 1_000_000).checked_div(requests).unwrap_or(0));
        let redis_ppm = (point.redis_busy * 1_000_000 / u128::from(length.0)) as u64;
        self.details.redis_busy_peak = self.details.redis_busy_peak.max(redis_ppm);
        self.step.redis_busy = redis_busy;
        self.step.requests = point.requests;
        self.step.retried = point.retried;
        self.series.details.push(point);
    }

    pub(crate) fn finish(
        mut self,
        now: SimTime,
        depth: u64,
        waiting: u64,
        circuits: Circuits,
        redis: &Memory,
        classes: &[JobClass],
    ) -> Outcome {
        self.second_ends(classes);
        self.settle(now, depth, waiting, &circuits);
        let is_above = waiting > self.normal.level();
        let normal_again = self.normal.finish(now, is_above, circuits.all_closed());
        let CircuitRecord {
            state_time,
            openings,
            openings_from_closed,
            first_circuit_openings,
            first_opening,
        } = circuits.finish(now);
        self.limits.reach_at(Limit::Open, first_opening);
        self.limits.reach_at(Limit::RedisWatermark, redis.watermark_at);
        self.limits.reach_at(Limit::RedisFull, redis.full_at);
        let urgent = self.classes.iter().zip(classes).filter(|(_, class)| class.priority.get() <= 5);
        let urgent_offered = urgent.map(|(counts, _)| counts.offered_after_warmup()).sum();
        Outcome {
            depth_area: self.depth.area(now) - self.warmup_areas[0],
            busy_area: self.busy.area(now) - self.warmup_areas[1],
            slot_area: self.slots.area(now) - self.warmup_areas[2],
            peak_depth: self.peak_depth,
            state_time,
            openings,
            openings_from_closed,
            first_circuit_openings,
            limits: self.limits,
            first_refusal: self.first_refusal,
            first_loss: self.first_loss,
            recovery: self.recovery.found,
            normal_again,
            inverted: self.inverted,
            urgent_offered,
            redis_peak: redis.peak(),
            details: self.details,
            decisions: self.decisions,
            scrapes: self.scrapes,
            series: self.series,
            classes: self.classes,
            within: self.tallies.into_iter().map(|tally| tally.classes).collect(),
            parts: self.parts.into_iter().map(PartCounts::finish).collect(),
        }
    }
}

impl Tally {
    fn new(question: &Question, config: &ModelConfig) -> Self {
        let classes = question.quantity.within().map_or(0, |_| config.classes.len());
        let first = SimTime(u64::from(config.start.jobs > 0));
        Self { question: question.clone(), first, classes: vec![WithinLimit::default(); classes] }
    }

    fn count(&mut self, span: Span, job: Who, time: SimDuration, is_open: bool, measured_from: SimTime) {
        let Some(within) = self.question.quantity.within().filter(|within| within.span == span) else {
            return;
        };
        let belongs = match &self.question.part {
            None => job.arrived >= measured_from,
            Some(part) => job.arrived >= self.first && part.contains(job.arrived),
        };
        if !belongs || !within.holds(time) {
            return;
        }
        let counts = &mut self.classes[usize::from(job.class)];
        if is_open {
            counts.open += 1;
        } else {
            counts.ended += 1;
        }
    }
}

impl PartCounts {
    /// The counts. A part has no warm-up of its own, so all that it completed for somebody counts.
    fn finish(mut self) -> Vec<ClassCounts> {
        for counts in &mut self.classes {
            counts.completed_after_warmup = counts.completed - counts.extras.wasted;
        }
        self.classes
    }

    fn new(span: &Part, config: &ModelConfig) -> Self {
        let first = SimTime(u64::from(config.start.jobs > 0));
        Self { span: span.clone(), first, classes: vec![ClassCounts::default(); config.classes.len()] }
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
