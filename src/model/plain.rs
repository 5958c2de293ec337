//! The plain level: every job is sent once, every slot serves one job at a time, and nothing fails but Redis.

use backpressure::{Decision, Depth, Nanos, Request};

use super::config::{ModelConfig, Observe, OnFull};
use super::job::Job;
use super::outcome::RejectionReason;
use super::probe::Probe;
use super::recorder::Stage;
use super::{Level, Run};
use crate::engine::slots::Slots;
use crate::engine::time::{SimDuration, SimTime};

/// The slots and what they serve.
#[derive(Debug)]
pub(super) struct Plain {
    slots: Slots,
    in_service: Vec<Job<()>>,
}

type PlainRun<'a, P> = Run<'a, P, Plain>;

/// This level has no rare events of its own.
#[derive(Debug)]
pub(super) enum Nothing {}

impl Level for Plain {
    type Details = ();
    type Event = Nothing;
    const HAS_OTHER_EVENTS: bool = false;

    fn new(config: &ModelConfig, _seed: u64, _replication: u32) -> Self {
        let slots = config.workers.slots();
        let nobody = Job { arrived: SimTime::ZERO, hold: SimDuration::ZERO, bytes: 0, class: 0, details: () };
        Self { slots: Slots::new(slots), in_service: vec![nobody; slots as usize] }
    }

    fn schedule<P: Probe>(_run: &mut PlainRun<'_, P>) {}

    #[inline(always)]
    fn next_completion(&self) -> SimTime {
        self.slots.next_time()
    }

    #[inline(always)]
    fn next_other(&self) -> SimTime {
        SimTime::NEVER
    }

    #[inline(always)]
    fn arrive<P: Probe>(run: &mut PlainRun<'_, P>) {
        let now = run.now;
        let job = run.take_arrival();
        let class = job.class;
        let gateway = run.circuits.next_gateway();
        if !matches!(run.config.policy.observe, Observe::Every(_)) {
            let depth = run.read_depth();
            run.circuits.observe(gateway, depth, now, &mut run.probe);
        }
        let request = Request::of(run.classes[usize::from(class)].priority).with_id(run.last_id);
        let refusal = match run.circuits.decide(gateway, request, Nanos(now.0)) {
            Decision::Admit => run.queue_is_full().then_some(RejectionReason::QueueLimit),
            Decision::Reject(rejection) => Some(RejectionReason::Policy(rejection.reason)),
        };
        run.recorder.arrived(now, class, refusal);
        run.probe.arrived(now, usize::from(class), refusal.is_none());
        if refusal.is_some() {
            return;
        }
        if run.config.gateway.check_latency == SimDuration::ZERO {
            Self::land(run, job);
        } else {
            if run.in_flight.is_empty() {
                run.next_landing = now + run.config.gateway.check_latency;
            }
            run.in_flight.push_back(job);
        }
    }

    #[inline(always)]
    fn reach_redis<P: Probe>(run: &mut PlainRun<'_, P>) {
        let Some(job) = run.in_flight.pop_front() else {
            unreachable!("a landing has its job");
        };
        let landing = |next: &Job<()>| next.arrived + run.config.gateway.check_latency;
        run.next_landing = run.in_flight.front().map_or(SimTime::NEVER, landing);
        Self::land(run, job);
    }

    fn place<P: Probe>(run: &mut PlainRun<'_, P>, job: Job<()>) {
        Self::land(run, job);
    }

    #[inline(always)]
    fn landed(config: &ModelConfig, job: &Job<()>) -> SimTime {
        job.arrived + config.gateway.check_latency
    }

    #[inline]
    fn land<P: Probe>(run: &mut PlainRun<'_, P>, job: Job<()>) {
        if run.redis_is_down() {
            run.recorder.lost(run.now, job.who(), Stage::Waiting);
        } else if run.redis.allocate(job.bytes, run.now) {
            run.change_depth(run.depth + 1);
            match run.level.slots.start(run.now + job.hold) {
                Some(slot) => {
                    serve(run, job, slot);
                    run.recorder.busy_slots_changed(run.now, run.level.busy());
                }
                None => run.line.push(run.classes[usize::from(job.class)].line, job),
            }
        } else {
            run.recorder.lost(run.now, job.who(), Stage::Waiting);
            if run.config.redis.on_full == OnFull::Crash {
                crash_redis(run);
            }
        }
    }

    /// The slot that is next to complete does, and takes the next job.
    #[inline(always)]
    fn complete<P: Probe>(run: &mut PlainRun<'_, P>) {
        let slot = run.level.slots.next_slot();
        let job = run.level.in_service[slot];
        run.redis.remove(job.bytes);
        run.change_depth(run.depth - 1);
        run.recorder.completed(run.now, job.class, job.arrived);
        run.probe.completed(run.now, job.arrived);
        match run.line.pop_strictly() {
            Some(next) => {
                run.level.slots.restart_next(run.now + next.hold);
                serve(run, next, slot);
            }
            None => {
                run.level.slots.release_next();
                run.recorder.busy_slots_changed(run.now, run.level.busy());
            }
        }
        run.observe_departure();
    }

    fn other<P: Probe>(_run: &mut PlainRun<'_, P>) {}

    fn rare<P: Probe>(_run: &mut PlainRun<'_, P>, event: Nothing) {
        match event {}
    }

    fn redis_returns<P: Probe>(_run: &mut PlainRun<'_, P>) {}

    #[inline(always)]
    fn details(&mut self, _payload: f64, _id: u64) {}

    #[inline(always)]
    fn distorted_depth(&self) -> Option<Depth> {
        None
    }

    #[inline(always)]
    fn clock(&self, now: SimTime) -> Nanos {
        Nanos(now.0)
    }

    #[inline(always)]
    fn waiting<P: Probe>(run: &PlainRun<'_, P>) -> u64 {
        run.depth - run.level.busy()
    }

    fn active<P: Probe>(run: &PlainRun<'_, P>) -> u64 {
        run.level.busy()
    }

    fn worker_processes<P: Probe>(run: &PlainRun<'_, P>) -> u32 {
        run.config.workers.processes
    }

    fn warmup_ends(&mut self, _now: SimTime) {}

    fn series_step<P: Probe>(_run: &mut PlainRun<'_, P>) {}

    fn finish<P: Probe>(run: &mut PlainRun<'_, P>) -> Vec<Job<()>> {
        let busy = run.level.in_service.iter().enumerate();
        busy.filter(|(slot, _)| run.level.slots.is_busy(*slot)).map(|(_, job)| *job).collect()
    }
}

impl Plain {
    #[inline(always)]
    fn busy(&self) -> u64 {
        (self.in_service.len() - self.slots.idle()) as u64
    }
}

#[inline(always)]
fn serve<P: Probe>(run: &mut PlainRun<'_, P>, job: Job<()>, slot: usize) {
    let landed = Plain::landed(run.config, &job);
    run.level.in_service[slot] = job;
    run.recorder.started(job.class, job.arrived, run.now.since(landed));
    run.probe.started(run.now, job.arrived);
}

#[cold]
fn crash_redis<P: Probe>(run: &mut PlainRun<'_, P>) {
    run.crash_redis();
    while run.level.busy() > 0 {
        let slot = run.level.slots.next_slot();
        run.recorder.lost(run.now, run.level.in_service[slot].who(), Stage::Taken);
        run.level.slots.release_next();
    }
    run.recorder.busy_slots_changed(run.now, 0);
}
