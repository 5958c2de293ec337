//! One replication of the service: jobs arrive at a gateway, are admitted or rejected by the real policy
//! crate, land in the waiting line a moment later, and are served by the workers' slots.
//!
//! ```text
//! sources --arrival--> gateway (observe, decide) --check latency--> landing --> waiting line --> slots
//!                          |                                           |                          |
//!                       rejected                                  lost (Redis full)            completed
//! ```
//!
//! Time moves from event to event. Three kinds are hot and each has its own structure: the next arrival
//! (one number for each source), the landings (a queue, as all take equally long), and the completions (a
//! winner tree over the slots). All that is rare goes through one general calendar. At one and the same
//! instant rare events come first, then completions, landings and arrivals.

pub mod config;
pub mod distribution;
pub mod metric;
pub mod outcome;
pub mod probe;

mod arrivals;
mod circuits;
mod depth_signal;
mod line;
mod recorder;
mod redis;

use std::collections::VecDeque;

use backpressure::{Decision, Depth, Reason};
use rand::RngExt;

use crate::engine::calendar::Calendar;
use crate::engine::slots::Slots;
use crate::engine::stream::{Stream, stream};
use crate::engine::time::{SimDuration, SimTime};
use arrivals::{Arrival, Source};
use circuits::Circuits;
use config::{ArrivalSource, ModelConfig, Observe, OnFull};
use depth_signal::DepthSignal;
use distribution::{Distribution, Sampler};
use line::WaitingLine;
use outcome::{Outcome, RejectionReason};
use probe::{NoProbe, Probe};
use recorder::Recorder;
use redis::Memory;

/// A job on its way through the service.
#[derive(Clone, Copy, Debug)]
struct Job {
    arrived: SimTime,
    /// How long it holds a slot: service demand and overhead.
    hold: SimDuration,
    /// Redis memory that it takes.
    bytes: u32,
    class: u16,
}

/// What the general calendar holds.
#[derive(Debug)]
enum Rare {
    /// The measurements begin.
    WarmupEnds,
    /// The last spike is over: recovery counts from now.
    SpikeEnds,
    /// A point of the series is due.
    SeriesStep,
    /// A second is over, for the priority inversions in it.
    Second,
    /// The circuits look at the depth on their timer.
    Observe,
    /// A crashed Redis is back.
    RedisReturns,
}

/// What the hot path needs to know of a class.
#[derive(Debug)]
struct ClassState {
    priority: backpressure::Priority,
    line: u8,
    service: Sampler,
    service_stream: Stream,
    memory: JobMemory,
}

/// The Redis memory that a job of a class takes.
#[derive(Debug)]
enum JobMemory {
    /// All payloads are alike.
    Fixed(u32),
    Drawn {
        payload: Sampler,
        stream: Stream,
    },
}

/// One replication in motion.
#[derive(Debug)]
pub struct Simulation<'a, P = NoProbe> {
    config: &'a ModelConfig,
    probe: P,
    now: SimTime,
    calendar: Calendar<Rare>,
    sources: Vec<Source>,
    arrival_times: Vec<SimTime>,
    next_arrival: SimTime,
    next_source: usize,
    classes: Vec<ClassState>,
    circuits: Circuits,
    depth_signal: DepthSignal,
    /// Admitted jobs whose enqueue has not landed yet, in order of arrival.
    in_flight: VecDeque<Job>,
    next_landing: SimTime,
    line: WaitingLine,
    slots: Slots,
    in_service: Vec<Job>,
    /// Jobs waiting and in service.
    depth: u64,
    redis: Memory,
    redis_down: bool,
    recorder: Recorder,
}

/// Service demands are drawn in nanoseconds.
const NANOS: f64 = 1e9;

/// Runs one replication to its horizon.
pub fn run(config: &ModelConfig, seed: u64, replication: u32) -> Outcome {
    Simulation::new(config, seed, replication, NoProbe).run()
}

impl<'a, P: Probe> Simulation<'a, P> {
    /// Sets the stage at time zero.
    pub fn new(config: &'a ModelConfig, seed: u64, replication: u32, probe: P) -> Self {
        let redis = Memory::new(&config.redis);
        let classes = config.classes.iter().map(|class| {
            let name = &class.name;
            ClassState {
                priority: class.priority,
                line: WaitingLine::line_of(&config.queue.discipline, class.priority),
                service: Sampler::new(&class.service_time, NANOS),
                service_stream: stream(seed, replication, &format!("class {name}/service")),
                memory: match &class.payload {
                    Distribution::Deterministic { mean } => JobMemory::Fixed(redis.bytes_of_job(*mean)),
                    payload => JobMemory::Drawn {
                        payload: Sampler::new(payload, 1.0),
                        stream: stream(seed, replication, &format!("class {name}/payload")),
                    },
                },
            }
        });
        let sources = config
            .sources
            .iter()
            .map(|source| Source::new(source, &source_name(source, config), seed, replication));
        let placeholder = Job { arrived: SimTime::ZERO, hold: SimDuration::ZERO, bytes: 0, class: 0 };
        let mut simulation = Self {
            config,
            probe,
            now: SimTime::ZERO,
            calendar: Calendar::default(),
            sources: sources.collect(),
            arrival_times: Vec::new(),
            next_arrival: SimTime::NEVER,
            next_source: 0,
            classes: classes.collect(),
            circuits: Circuits::new(config),
            depth_signal: DepthSignal::new(config.gateway.depth_age, config.start.jobs),
            in_flight: VecDeque::new(),
            next_landing: SimTime::NEVER,
            line: WaitingLine::new(),
            slots: Slots::new(config.workers.slots()),
            in_service: vec![placeholder; config.workers.slots() as usize],
            depth: 0,
            redis,
            redis_down: false,
            recorder: Recorder::new(config),
        };
        simulation.place_initial_jobs(stream(seed, replication, "start"));
        simulation.arrival_times = simulation.sources.iter_mut().map(Source::next_time).collect();
        simulation.find_next_arrival();
        simulation.schedule_rare_events();
        simulation
    }

    /// Runs to the horizon.
    pub fn run(mut self) -> Outcome {
        self.advance(SimTime(self.config.horizon.0));
        self.finish()
    }

    /// Handles all events before `until` or the horizon, whichever is earlier.
    pub fn advance(&mut self, until: SimTime) {
        let until = until.min(SimTime(self.config.horizon.0));
        loop {
            let rare = self.calendar.next_time();
            let completion = self.slots.next_time();
            let landing = self.next_landing;
            let arrival = self.next_arrival;
            let next = rare.min(completion).min(landing).min(arrival);
            if next >= until {
                return;
            }
            self.now = next;
            if next == rare {
                self.rare_event();
            } else if next == completion {
                self.complete();
            } else if next == landing {
                self.land_next();
            } else {
                self.arrive();
            }
            self.recorder.settle(next, self.depth, &self.circuits);
            self.probe.settled(next, self.depth);
        }
    }

    /// Closes the books at the horizon and checks that no job is missing.
    pub fn finish(mut self) -> Outcome {
        self.now = SimTime(self.config.horizon.0);
        let now = self.now;
        self.record_series();
        for job in self.line.iter().chain(&self.in_flight) {
            self.recorder.class(job.class).in_system += 1;
        }
        for (slot, job) in self.in_service.iter().enumerate() {
            self.recorder.class(job.class).in_system += u64::from(self.slots.is_busy(slot));
        }
        let outcome = self.recorder.finish(now, self.depth, self.circuits, &self.redis, &self.config.classes);
        outcome.assert_conservation();
        outcome
    }

    fn rare_event(&mut self) {
        let Some((now, event)) = self.calendar.pop() else {
            unreachable!("the calendar named a time");
        };
        match event {
            Rare::WarmupEnds => self.recorder.warmup_ends(now),
            Rare::SpikeEnds => self.recorder.spike_ends(now),
            Rare::SeriesStep => {
                self.record_series();
                self.calendar.schedule(now + self.config.series_step, Rare::SeriesStep);
            }
            Rare::Second => {
                self.recorder.second_ends(&self.config.classes);
                self.calendar.schedule(now + SimDuration::SECOND, Rare::Second);
            }
            Rare::Observe => {
                let depth = self.read_depth();
                self.circuits.observe_all(depth, now, &mut self.probe);
                if let Observe::Every(interval) = self.config.policy.observe {
                    self.calendar.schedule(now + interval, Rare::Observe);
                }
            }
            Rare::RedisReturns => self.redis_down = false,
        }
    }

    /// A job arrives: its attributes are drawn, whether it is admitted or not, so that a scenario that
    /// rejects more does not see other jobs.
    #[inline(always)]
    fn arrive(&mut self) {
        let now = self.now;
        let Arrival { class, service } = self.sources[self.next_source].take();
        self.arrival_times[self.next_source] = self.sources[self.next_source].next_time();
        self.find_next_arrival();
        let job = self.draw_job(class, service);

        let gateway = self.circuits.next_gateway();
        if !matches!(self.config.policy.observe, Observe::Every(_)) {
            let depth = self.read_depth();
            self.circuits.observe(gateway, depth, now, &mut self.probe);
        }
        let priority = self.classes[usize::from(class)].priority;
        let refusal = match self.circuits.decide(gateway, priority, now) {
            Decision::Admit => self.queue_is_full().then_some(RejectionReason::QueueLimit),
            Decision::Reject(rejection) => Some(reason_of(rejection.reason)),
        };
        self.recorder.arrived(now, class, refusal);
        self.probe.arrived(now, usize::from(class), refusal.is_none());
        if refusal.is_some() {
            return;
        }
        if self.config.gateway.check_latency == SimDuration::ZERO {
            self.land(job);
        } else {
            if self.in_flight.is_empty() {
                self.next_landing = now + self.config.gateway.check_latency;
            }
            self.in_flight.push_back(job);
        }
    }

    #[inline(always)]
    fn land_next(&mut self) {
        let Some(job) = self.in_flight.pop_front() else {
            unreachable!("a landing has its job");
        };
        let landing = |next: &Job| next.arrived + self.config.gateway.check_latency;
        self.next_landing = self.in_flight.front().map_or(SimTime::NEVER, landing);
        self.land(job);
    }

    /// The enqueue of an admitted job reaches Redis.
    #[inline]
    fn land(&mut self, job: Job) {
        if self.redis_down {
            self.recorder.class(job.class).lost += 1;
        } else if self.redis.allocate(job.bytes, self.now) {
            self.change_depth(self.depth + 1);
            match self.slots.start(self.now + job.hold) {
                Some(slot) => {
                    self.serve(job, slot);
                    self.recorder.busy_slots_changed(self.now, self.busy_slots());
                }
                None => self.line.push(self.classes[usize::from(job.class)].line, job),
            }
        } else {
            self.recorder.class(job.class).lost += 1;
            if self.config.redis.on_full == OnFull::Crash {
                self.crash_redis();
            }
        }
    }

    #[inline(always)]
    fn serve(&mut self, job: Job, slot: usize) {
        let landed = job.arrived + self.config.gateway.check_latency;
        self.in_service[slot] = job;
        self.recorder.started(job.class, job.arrived, self.now.since(landed));
        self.probe.started(self.now, job.arrived);
    }

    /// The slot that is next to complete does, and takes the next job.
    #[inline(always)]
    fn complete(&mut self) {
        let slot = self.slots.next_slot();
        let job = self.in_service[slot];
        self.redis.free(job.bytes);
        self.change_depth(self.depth - 1);
        self.recorder.completed(self.now, job.class, job.arrived);
        self.probe.completed(self.now, job.arrived);
        match self.line.pop() {
            Some(next) => {
                self.slots.restart_next(self.now + next.hold);
                self.serve(next, slot);
            }
            None => {
                self.slots.release_next();
                self.recorder.busy_slots_changed(self.now, self.busy_slots());
            }
        }
        if self.config.policy.observe == Observe::Continuous {
            let depth = self.read_depth();
            self.circuits.observe_all(depth, self.now, &mut self.probe);
        }
    }

    /// Redis dies of a lack of memory: every job in it, waiting or in service, is gone, and it comes back
    /// empty. Jobs in flight to it will find it down.
    #[cold]
    fn crash_redis(&mut self) {
        for job in self.line.drain() {
            self.recorder.class(job.class).lost += 1;
        }
        while self.busy_slots() > 0 {
            self.recorder.class(self.in_service[self.slots.next_slot()].class).lost += 1;
            self.slots.release_next();
        }
        self.change_depth(0);
        self.recorder.busy_slots_changed(self.now, 0);
        self.redis.restart();
        self.redis_down = true;
        self.calendar.schedule(self.now + self.config.redis.restart_after, Rare::RedisReturns);
    }

    #[inline(always)]
    fn draw_job(&mut self, class: u16, service: Option<SimDuration>) -> Job {
        let state = &mut self.classes[usize::from(class)];
        let drawn = SimDuration((state.service.draw(&mut state.service_stream) + 0.5) as i64 as u64);
        let bytes = match &mut state.memory {
            JobMemory::Fixed(bytes) => *bytes,
            JobMemory::Drawn { payload, stream } => self.redis.bytes_of_job(payload.draw(stream)),
        };
        Job { arrived: self.now, hold: service.unwrap_or(drawn) + self.config.workers.overhead, bytes, class }
    }

    /// The depth as a gateway reads it now.
    #[inline(always)]
    fn read_depth(&mut self) -> Depth {
        if self.redis_down {
            return Depth::Unknown;
        }
        Depth::Known(self.depth_signal.read(self.now, self.depth))
    }

    /// Whether the waiting line, the slots and the enqueues on their way fill the capacity.
    #[inline]
    fn queue_is_full(&self) -> bool {
        self.config.queue.capacity.is_some_and(|most| self.depth + self.in_flight.len() as u64 >= most)
    }

    #[inline(always)]
    fn change_depth(&mut self, depth: u64) {
        self.depth = depth;
        self.depth_signal.change(self.now, depth);
        self.recorder.depth_changed(self.now, depth);
    }

    fn busy_slots(&self) -> u64 {
        (self.in_service.len() - self.slots.idle()) as u64
    }

    #[inline(always)]
    fn find_next_arrival(&mut self) {
        self.next_source = 0;
        self.next_arrival = self.arrival_times[0];
        for (source, &time) in self.arrival_times.iter().enumerate().skip(1) {
            if time < self.next_arrival {
                self.next_source = source;
                self.next_arrival = time;
            }
        }
    }

    fn record_series(&mut self) {
        self.recorder.series_step(self.now, self.depth, self.circuits.states(), self.redis.used());
    }

    /// The jobs that are there at the start; each is of a class drawn by the first phases' rates.
    fn place_initial_jobs(&mut self, mut stream: Stream) {
        if self.config.start.jobs == 0 {
            return;
        }
        let mut bounds = Vec::new();
        let mut sum = 0.0;
        for source in &self.config.sources {
            for &(class, share) in &source.classes {
                sum += share * source.phases.first().map_or(0.0, |phase| phase.rate);
                bounds.push((sum, class));
            }
        }
        for _ in 0..self.config.start.jobs {
            let draw = stream.random::<f64>() * sum;
            let class = bounds.iter().find(|(bound, _)| draw < *bound).map_or(0, |(_, class)| *class);
            self.recorder.class(class as u16).initial += 1;
            let job = self.draw_job(class as u16, None);
            self.land(job);
        }
    }

    fn schedule_rare_events(&mut self) {
        let config = self.config;
        if config.warmup > SimDuration::ZERO {
            self.calendar.schedule(SimTime(config.warmup.0), Rare::WarmupEnds);
        }
        self.calendar.schedule(last_spike_end(config), Rare::SpikeEnds);
        self.calendar.schedule(SimTime::ZERO + config.series_step, Rare::SeriesStep);
        self.calendar.schedule(SimTime::ZERO + SimDuration::SECOND, Rare::Second);
        if matches!(config.policy.observe, Observe::Every(_)) {
            self.calendar.schedule(SimTime::ZERO, Rare::Observe);
        }
    }
}

/// The name of a source's streams: a class with arrivals of its own keeps them when others come and go.
fn source_name(source: &ArrivalSource, config: &ModelConfig) -> String {
    match source.classes[..] {
        [(class, _)] if config.classes.len() > 1 => format!("arrivals of {}", config.classes[class].name),
        _ => "arrivals".to_owned(),
    }
}

/// When the last spike is over; the start if there is none.
fn last_spike_end(config: &ModelConfig) -> SimTime {
    let spikes = config.sources.iter().flat_map(|source| &source.phases).filter(|phase| phase.spike);
    spikes.map(|phase| phase.end).max().unwrap_or(SimTime::ZERO)
}

fn reason_of(reason: Reason) -> RejectionReason {
    match reason {
        Reason::Open => RejectionReason::Open,
        Reason::HalfOpen => RejectionReason::HalfOpen,
        Reason::Shed => RejectionReason::Shed,
        Reason::DepthUnknown => RejectionReason::DepthUnknown,
        other => unreachable!("the policy `spec` does not reject for {other:?}"),
    }
}
