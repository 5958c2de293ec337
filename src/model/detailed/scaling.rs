//! The autoscaler at work: readings of the depth that are old when they are used, orders, and pods that take their time.

use std::collections::VecDeque;

use super::fleet::{self, ProcessState};
use super::processes::bring_up;
use super::{Detailed, DetailedRun, Event};
use crate::engine::stream::{Stream, stream};
use crate::engine::time::{SimDuration, SimTime};
use crate::model::Rare;
use crate::model::autoscaler::{Autoscaler, CpuReading, Readings, ScalingReason};
use crate::model::config::AutoscalerConfig;
use crate::model::distribution::Sampler;
use crate::model::limits::Limit;
use crate::model::outcome::ScalingDecision;
use crate::model::probe::Probe;

/// Decisions kept for reports; nobody reads as many.
const MOST_DECISIONS: usize = 1_000_000;

/// The autoscaler, its readings and its pods.
#[derive(Debug)]
pub(super) struct Scaling {
    autoscaler: Autoscaler,
    sync: SimDuration,
    most: u32,
    /// What was read and is not used yet, the oldest first.
    readings: VecDeque<Readings>,
    start_up: Sampler,
    start_up_stream: Stream,
    last: Option<(u32, ScalingReason)>,
}

impl Scaling {
    pub(super) fn new(config: &AutoscalerConfig, processes: u32, seed: u64, replication: u32) -> Self {
        // Readings that would have been made before the start are missing.
        let missing = config.metric_age.0.div_ceil(config.sync.0).saturating_sub(1);
        Self {
            autoscaler: Autoscaler::new(config.clone(), processes),
            sync: config.sync,
            most: config.max,
            readings: std::iter::repeat_n(Readings::default(), missing as usize).collect(),
            start_up: Sampler::new(&config.start_up, 1e9),
            start_up_stream: stream(seed, replication, "autoscaler/start-up"),
            last: None,
        }
    }
}

/// Enters the first reading and the first decision.
pub(super) fn schedule<P: Probe>(run: &mut DetailedRun<'_, P>, config: &AutoscalerConfig) {
    let first_sync = SimTime::ZERO + config.sync;
    // The reading for a sync is made `metric_age` before it; the first ones that fall after the start.
    let lag = SimDuration(config.metric_age.0 % config.sync.0);
    let first_reading = if lag == SimDuration::ZERO && config.metric_age > SimDuration::ZERO {
        SimTime::ZERO
    } else {
        SimTime(first_sync.0 - lag.0)
    };
    run.calendar.schedule(first_reading, Rare::OfLevel(Event::Reading));
    run.calendar.schedule(first_sync, Rare::OfLevel(Event::Sync));
}

/// The metrics are read.
pub(super) fn read<P: Probe>(run: &mut DetailedRun<'_, P>) {
    let depth = (!run.redis_is_down()).then_some(run.depth);
    let slots = run.config.workers.concurrency;
    let Detailed { scaling: Some(scaling), fleet, .. } = &mut run.level else { return };
    let unready = fleet.in_state(ProcessState::Starting).count() as u32;
    let cpu = CpuReading { ready: fleet.up(), unready, busy: fleet.busy_up(), slots };
    scaling.readings.push_back(Readings { depth, cpu: Some(cpu) });
    let next = run.now + scaling.sync;
    run.calendar.schedule(next, Rare::OfLevel(Event::Reading));
}

/// The autoscaler decides.
pub(super) fn sync<P: Probe>(run: &mut DetailedRun<'_, P>) {
    let now = run.now;
    let Detailed { scaling: Some(scaling), fleet, .. } = &mut run.level else { return };
    let current = fleet.up() + fleet.in_state(ProcessState::Starting).count() as u32;
    let readings = scaling.readings.pop_front().unwrap_or_default();
    let metric = readings.depth;
    let decision = scaling.autoscaler.decide(now, readings, current);
    if decision.recommended >= scaling.most && decision.reason != ScalingReason::NoMetric {
        run.recorder.limits.reach(Limit::AutoscalerMost, now);
    }
    // A log of every sync would say the same over and over.
    let is_news = decision.replicas != current || scaling.last != Some((decision.replicas, decision.reason));
    scaling.last = Some((decision.replicas, decision.reason));
    if is_news && run.recorder.decisions.len() < MOST_DECISIONS {
        let wanted = decision.replicas;
        let (recommended, reason) = (decision.recommended, decision.reason);
        run.recorder.decisions.push(ScalingDecision {
            at: now,
            metric,
            current,
            recommended,
            wanted,
            reason,
        });
    }
    run.calendar.schedule(now + scaling.sync, Rare::OfLevel(Event::Sync));
    for _ in current..decision.replicas {
        order(run);
    }
    for _ in decision.replicas..current {
        dismiss(run);
    }
    fleet::changed(run);
}

/// A pod is ready, if it is still wanted.
pub(super) fn ready<P: Probe>(run: &mut DetailedRun<'_, P>, process: u32, life: u32) {
    let fleet = &run.level.fleet;
    if fleet.life(process) == life && fleet.state(process) == ProcessState::Starting {
        bring_up(run, process);
    }
}

fn order<P: Probe>(run: &mut DetailedRun<'_, P>) {
    let Detailed { scaling: Some(scaling), fleet, .. } = &mut run.level else { return };
    // Draining pods are pods of their own; the fleet has room for as many again.
    let Some(process) = fleet.in_state(ProcessState::Off).next() else { return };
    fleet.order(process);
    let life = fleet.life(process);
    let takes = SimDuration((scaling.start_up.draw(&mut scaling.start_up_stream) + 0.5) as u64);
    run.calendar.schedule(run.now + takes, Rare::OfLevel(Event::PodReady { process, life }));
}

/// Pods that are not ready go first, then those that came last, as the ReplicaSet controller ranks them.
fn dismiss<P: Probe>(run: &mut DetailedRun<'_, P>) {
    let fleet = &mut run.level.fleet;
    let starting = fleet.in_state(ProcessState::Starting).next_back();
    if let Some(process) = starting.or_else(|| fleet.in_state(ProcessState::Up).next_back()) {
        fleet.stop(process);
    }
}
