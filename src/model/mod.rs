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
//!
//! There are two levels of detail. `plain` is the picture above and nothing else, and costs some 40 ns a job. `detailed`
//! has clients that retry, workers that contend, crash and scale, Redis as a server, and faults. Which of them a scenario
//! needs follows from its settings. Where both could run it, they find the same (`tests/it/detailed.rs`), but for the memory of the
//! jobs in service: that a lock and two fields more are there only the detailed level counts, some 420 bytes for each slot.

pub mod answer;
pub mod autoscaler;
pub mod config;
pub mod distribution;
pub mod disturbance;
pub mod limits;
pub mod metric;
pub mod nearness;
pub mod outcome;
pub mod probe;

mod arrivals;
mod circuits;
mod depth_signal;
mod detailed;
mod job;
mod line;
mod plain;
mod recorder;
pub(crate) mod redis;
pub mod scrape;

use std::collections::VecDeque;
use std::fmt;

use backpressure::{Depth, Nanos};
use rand::RngExt;

use crate::engine::calendar::Calendar;
use crate::engine::stream::{Stream, stream};
use crate::engine::time::{SimDuration, SimTime};
use crate::memory::JobState;
use arrivals::{Arrival, Source};
use circuits::Circuits;
use config::{ArrivalSource, ModelConfig, Observe};
use depth_signal::DepthSignal;
use detailed::Detailed;
use distribution::{Distribution, Sampler};
use disturbance::Disturbance;
use job::Job;
pub(crate) use line::MOST_LINES;
use line::WaitingLine;
use outcome::{ClassCounts, Outcome};
use plain::Plain;
use probe::{NoProbe, Probe};
use recorder::{Recorder, Stage};
use redis::Memory;
use scrape::QueueScrape;

/// What the general calendar holds.
#[derive(Debug)]
enum Rare<E> {
    /// The measurements begin.
    WarmupEnds,
    /// The last spike or fault is over: recovery counts from now.
    SpikeEnds,
    /// A point of the series is due.
    SeriesStep,
    /// The jobs that wait in the calm are counted.
    CalmSample,
    /// A second is over, for the priority inversions in it.
    Second,
    /// The monitoring system reads the metrics.
    Scrape,
    /// The circuits look at the depth on their timer.
    Observe,
    /// A crashed Redis is back.
    RedisReturns,
    /// An event of this level of detail.
    OfLevel(E),
}

/// What the hot path needs of a class.
#[derive(Debug)]
struct ClassState {
    priority: backpressure::Priority,
    line: u8,
    /// State in which its jobs wait.
    waiting: JobState,
    service: Sampler,
    service_stream: Stream,
    memory: JobMemory,
}

/// The payload of the jobs of a class, and the Redis memory that they take.
#[derive(Debug)]
enum JobMemory {
    /// All are alike.
    Fixed {
        payload: f64,
        bytes: u32,
    },
    Drawn {
        payload: Sampler,
        stream: Stream,
    },
}

/// A level of detail: how a job moves through the service, and the state that this needs.
trait Level: Sized + fmt::Debug {
    /// What a job carries besides the common things.
    type Details: Copy + Default + fmt::Debug;
    /// Rare events of this level.
    type Event: fmt::Debug;
    /// Whether there are events that are neither rare nor an arrival, a completion, or the end of a check latency.
    const HAS_OTHER_EVENTS: bool;

    fn new(config: &ModelConfig, seed: u64, replication: u32) -> Self;
    /// Enters the first rare events of this level.
    fn schedule<P: Probe>(run: &mut Run<'_, P, Self>);
    /// When the next slot ends its phase.
    fn next_completion(&self) -> SimTime;
    /// When the next of the other events comes.
    fn next_other(&self) -> SimTime;
    /// A job arrives.
    fn arrive<P: Probe>(run: &mut Run<'_, P, Self>);
    /// The check latency of the next job is over.
    fn reach_redis<P: Probe>(run: &mut Run<'_, P, Self>);
    /// An initial job is placed.
    fn place<P: Probe>(run: &mut Run<'_, P, Self>, job: Job<Self::Details>);
    /// When a job came into the waiting line, the last time.
    fn landed(config: &ModelConfig, job: &Job<Self::Details>) -> SimTime;
    /// A job reaches Redis, which may have no room for it.
    fn land<P: Probe>(run: &mut Run<'_, P, Self>, job: Job<Self::Details>);
    /// The next slot ends its phase.
    fn complete<P: Probe>(run: &mut Run<'_, P, Self>);
    /// The other event is due.
    fn other<P: Probe>(run: &mut Run<'_, P, Self>);
    /// A rare event of this level.
    fn rare<P: Probe>(run: &mut Run<'_, P, Self>, event: Self::Event);
    /// Redis is back after a crash.
    fn redis_returns<P: Probe>(run: &mut Run<'_, P, Self>);
    /// What this level draws for a job of that payload and id.
    fn details(&mut self, payload: f64, id: u64) -> Self::Details;
    /// The depth as a gateway reads it, where something distorts it.
    fn distorted_depth(&self) -> Option<Depth>;
    /// The time on the gateways' clock.
    fn clock(&self, now: SimTime) -> Nanos;
    /// Jobs that wait for a slot.
    fn waiting<P: Probe>(run: &Run<'_, P, Self>) -> u64;
    /// Jobs in service.
    fn active<P: Probe>(run: &Run<'_, P, Self>) -> u64;
    /// Worker processes that take jobs.
    fn worker_processes<P: Probe>(run: &Run<'_, P, Self>) -> u32;
    /// The measurements of what this level alone counts begin.
    fn warmup_ends(&mut self, now: SimTime);
    /// A step of the series ends.
    fn series_step<P: Probe>(run: &mut Run<'_, P, Self>);
    /// The run ends: hands over the counts of this level, and all jobs that are neither in flight nor in the line.
    fn finish<P: Probe>(run: &mut Run<'_, P, Self>) -> Vec<Job<Self::Details>>;
}

/// One replication in motion, at one level of detail.
#[derive(Debug)]
struct Run<'a, P, L: Level> {
    config: &'a ModelConfig,
    probe: P,
    now: SimTime,
    calendar: Calendar<Rare<L::Event>>,
    sources: Vec<Source>,
    arrival_times: Vec<SimTime>,
    next_arrival: SimTime,
    next_source: usize,
    classes: Vec<ClassState>,
    /// The id of the last job that arrived. It begins anywhere, so that replications thin different jobs.
    last_id: u64,
    circuits: Circuits,
    depth_signal: DepthSignal,
    /// Admitted jobs whose enqueue has not reached Redis yet, in order.
    in_flight: VecDeque<Job<L::Details>>,
    next_landing: SimTime,
    line: WaitingLine<L::Details>,
    /// Jobs waiting and in service.
    depth: u64,
    redis: Memory,
    /// How many outages and crashes keep Redis from answering.
    redis_away: u32,
    recorder: Recorder,
    level: L,
    /// What is left to do before the first event.
    opening: Option<Box<Opening>>,
}

/// The jobs that are there from the start and not placed yet: there may be so many that placing them takes seconds.
#[derive(Debug)]
struct Opening {
    left: u64,
    stream: Stream,
    /// Sums of the weights up to each class.
    bounds: Vec<(f64, usize)>,
    sum: f64,
}

/// What has happened in a run that goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SoFar<'r> {
    pub(crate) now: SimTime,
    pub(crate) classes: &'r [ClassCounts],
    pub(crate) peak_depth: u64,
    pub(crate) redis_peak: u64,
}

/// Steps between two questions whether to go on. None takes longer than some milliseconds, most take some 100 ns.
const STEPS_UNASKED: u32 = 64;

/// One replication in motion.
#[derive(Debug)]
pub struct Simulation<'a, P = NoProbe>(AtLevel<'a, P>);

// Not boxed: a run that lives on the stack is faster by some percent.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
enum AtLevel<'a, P> {
    Plain(Run<'a, P, Plain>),
    Detailed(Run<'a, P, Detailed>),
}

/// Service demands are drawn in nanoseconds.
const NANOS: f64 = 1e9;

/// Runs one replication to its horizon.
pub fn run(config: &ModelConfig, seed: u64, replication: u32) -> Outcome {
    Simulation::new(config, seed, replication, NoProbe).run()
}

/// Whether a replication of these settings runs on the detailed level.
pub fn needs_detail(config: &ModelConfig) -> bool {
    Detailed::is_needed(config)
}

/// The same on the detailed level, even if the settings do not need it: for tests that compare the levels.
pub fn run_detailed(config: &ModelConfig, seed: u64, replication: u32) -> Outcome {
    let mut run: Run<'_, NoProbe, Detailed> = Run::new(config, seed, replication, NoProbe);
    run.advance(SimTime(config.horizon.0), &|| true);
    run.finish()
}

impl<'a, P: Probe> Simulation<'a, P> {
    /// Sets the stage at time zero.
    pub fn new(config: &'a ModelConfig, seed: u64, replication: u32, probe: P) -> Self {
        Self(if needs_detail(config) {
            AtLevel::Detailed(Run::new(config, seed, replication, probe))
        } else {
            AtLevel::Plain(Run::new(config, seed, replication, probe))
        })
    }

    /// Runs to the horizon.
    pub fn run(mut self) -> Outcome {
        self.advance(SimTime::NEVER);
        self.finish()
    }

    /// Handles all events before `until` or the horizon, whichever is earlier.
    pub fn advance(&mut self, until: SimTime) {
        self.advance_while(until, &|| true);
    }

    /// The same as long as `goes_on` says yes. It is asked every few events, however far they are apart in simulated time, and
    /// changes nothing but when the run ends. False if it said no.
    pub fn advance_while(&mut self, until: SimTime, goes_on: &dyn Fn() -> bool) -> bool {
        match &mut self.0 {
            AtLevel::Plain(run) => run.advance(until, goes_on),
            AtLevel::Detailed(run) => run.advance(until, goes_on),
        }
    }

    /// What has happened.
    pub(crate) fn so_far(&self) -> SoFar<'_> {
        match &self.0 {
            AtLevel::Plain(run) => run.so_far(),
            AtLevel::Detailed(run) => run.so_far(),
        }
    }

    /// Ends the run at the horizon and checks that no job is missing.
    pub fn finish(self) -> Outcome {
        match self.0 {
            AtLevel::Plain(run) => run.finish(),
            AtLevel::Detailed(run) => run.finish(),
        }
    }
}

impl<'a, P: Probe, L: Level> Run<'a, P, L> {
    fn new(config: &'a ModelConfig, seed: u64, replication: u32, probe: P) -> Self {
        let redis = Memory::new(config);
        let (line_of_class, lines) = line::lines_of_classes(config);
        let classes = config.classes.iter().zip(line_of_class).enumerate().map(|(index, (class, line))| {
            let name = &class.name;
            let waiting = config.waiting_state(index);
            ClassState {
                priority: class.priority,
                line,
                waiting,
                service: Sampler::new(&class.service_time, NANOS),
                service_stream: stream(seed, replication, &format!("class {name}/service")),
                memory: match &class.payload {
                    Distribution::Deterministic { mean } => {
                        JobMemory::Fixed { payload: *mean, bytes: redis.bytes_of_job(waiting, *mean) }
                    }
                    payload => JobMemory::Drawn {
                        payload: Sampler::new(payload, 1.0),
                        stream: stream(seed, replication, &format!("class {name}/payload")),
                    },
                },
            }
        });
        let sources = config.sources.iter().map(|source| {
            let horizon = SimTime(config.horizon.0);
            Source::new(source, horizon, &source_name(source, config), seed, replication)
        });
        let mut run = Self {
            config,
            probe,
            now: SimTime::ZERO,
            calendar: Calendar::default(),
            sources: sources.collect(),
            arrival_times: Vec::new(),
            next_arrival: SimTime::NEVER,
            next_source: 0,
            classes: classes.collect(),
            last_id: stream(seed, replication, "jobs/ids").random(),
            circuits: Circuits::new(config),
            depth_signal: DepthSignal::new(config.gateway.depth_age, config.start.jobs),
            in_flight: VecDeque::new(),
            next_landing: SimTime::NEVER,
            line: WaitingLine::new(&config.queue.discipline, lines),
            depth: 0,
            redis,
            redis_away: 0,
            recorder: Recorder::new(config),
            level: L::new(config, seed, replication),
            opening: None,
        };
        run.opening = Some(Box::new(run.opening(stream(seed, replication, "start"))));
        run
    }

    /// Places the initial jobs and enters the first events. False if interrupted.
    #[cold]
    fn open(&mut self, goes_on: &dyn Fn() -> bool) -> bool {
        let Some(mut opening) = self.opening.take() else { return true };
        while opening.left > 0 {
            if opening.left % u64::from(STEPS_UNASKED) == 0 && !goes_on() {
                self.opening = Some(opening);
                return false;
            }
            opening.left -= 1;
            self.place_initial_job(&mut opening);
        }
        self.arrival_times = self.sources.iter_mut().map(Source::next_time).collect();
        self.find_next_arrival();
        self.schedule_rare_events();
        true
    }

    fn advance(&mut self, until: SimTime, goes_on: &dyn Fn() -> bool) -> bool {
        if self.opening.is_some() && !self.open(goes_on) {
            return false;
        }
        let until = until.min(SimTime(self.config.horizon.0));
        loop {
            for _ in 0..STEPS_UNASKED {
                if !self.step(until) {
                    return true;
                }
            }
            if !goes_on() {
                return false;
            }
        }
    }

    /// Handles the next event, unless it is not before `until`; false in that case.
    #[inline(always)]
    fn step(&mut self, until: SimTime) -> bool {
        let rare = self.calendar.next_time();
        let completion = self.level.next_completion();
        let landing = self.next_landing;
        let other = self.level.next_other();
        let arrival = self.next_arrival;
        let next = rare.min(completion).min(landing).min(other).min(arrival);
        if next >= until {
            return false;
        }
        self.now = next;
        if next == rare {
            self.rare_event();
        } else if next == completion {
            L::complete(self);
        } else if next == landing {
            L::reach_redis(self);
        } else if L::HAS_OTHER_EVENTS && next == other {
            L::other(self);
        } else {
            L::arrive(self);
        }
        self.recorder.settle(next, self.depth, L::waiting(self), &self.circuits);
        self.probe.settled(next, self.depth);
        true
    }

    fn so_far(&self) -> SoFar<'_> {
        SoFar {
            now: self.now,
            classes: self.recorder.classes(),
            peak_depth: self.recorder.peak_depth(),
            redis_peak: self.redis.peak(),
        }
    }

    fn finish(mut self) -> Outcome {
        self.open(&|| true);
        self.now = SimTime(self.config.horizon.0);
        let now = self.now;
        self.record_series();
        let elsewhere = L::finish(&mut self);
        for job in self.line.iter() {
            self.recorder.still_there(now, job.who(), Some(L::landed(self.config, job)));
        }
        for job in self.in_flight.iter().chain(&elsewhere) {
            self.recorder.still_there(now, job.who(), None);
        }
        let waiting = L::waiting(&self);
        let outcome =
            self.recorder.finish(now, self.depth, waiting, self.circuits, &self.redis, &self.config.classes);
        outcome.assert_conservation();
        outcome
    }

    fn rare_event(&mut self) {
        let Some((now, event)) = self.calendar.pop() else {
            unreachable!("the calendar named a time");
        };
        match event {
            Rare::WarmupEnds => {
                self.recorder.warmup_ends(now);
                self.level.warmup_ends(now);
            }
            Rare::SpikeEnds => self.recorder.spike_ends(now),
            Rare::CalmSample => {
                self.recorder.normal.sample(L::waiting(self));
                self.schedule_calm_sample();
            }
            Rare::SeriesStep => {
                self.record_series();
                self.calendar.schedule(now + self.config.series_step, Rare::SeriesStep);
            }
            Rare::Second => {
                self.recorder.second_ends(&self.config.classes);
                self.calendar.schedule(now + SimDuration::SECOND, Rare::Second);
            }
            Rare::Scrape => {
                self.scrape();
                self.calendar.schedule(now + self.config.monitoring.scrape, Rare::Scrape);
            }
            Rare::Observe => {
                let depth = self.read_depth();
                self.circuits.observe_all(self.level.clock(now), depth, now, &mut self.probe);
                if let Observe::Every(interval) = self.config.policy.observe {
                    self.calendar.schedule(now + interval, Rare::Observe);
                }
            }
            Rare::RedisReturns => {
                self.redis_away -= 1;
                L::redis_returns(self);
            }
            Rare::OfLevel(event) => L::rare(self, event),
        }
    }

    /// The job that arrives now. Its attributes are drawn even if it is then rejected, so that scenarios that reject
    /// differently still see the same jobs.
    #[inline(always)]
    fn take_arrival(&mut self) -> Job<L::Details> {
        let Arrival { class, service } = self.sources[self.next_source].take();
        self.arrival_times[self.next_source] = self.sources[self.next_source].next_time();
        self.find_next_arrival();
        self.draw_job(class, service)
    }

    #[inline(always)]
    fn draw_job(&mut self, class: u16, service: Option<SimDuration>) -> Job<L::Details> {
        let state = &mut self.classes[usize::from(class)];
        let drawn = SimDuration((state.service.draw(&mut state.service_stream) + 0.5) as i64 as u64);
        let (payload, bytes) = match &mut state.memory {
            JobMemory::Fixed { payload, bytes } => (*payload, *bytes),
            JobMemory::Drawn { payload, stream } => {
                let payload = payload.draw(stream);
                (payload, self.redis.bytes_of_job(state.waiting, payload))
            }
        };
        let hold = service.unwrap_or(drawn) + self.config.workers.overhead;
        self.last_id = self.last_id.wrapping_add(1);
        let details = self.level.details(payload, self.last_id);
        Job { arrived: self.now, hold, bytes, class, details }
    }

    #[inline(always)]
    fn redis_is_down(&self) -> bool {
        self.redis_away > 0
    }

    /// The depth as a gateway reads it now.
    #[inline(always)]
    fn read_depth(&mut self) -> Depth {
        match self.level.distorted_depth() {
            Some(depth) => depth,
            None => self.ask_redis_for_depth(),
        }
    }

    /// What Redis says of the depth now.
    #[inline(always)]
    fn ask_redis_for_depth(&mut self) -> Depth {
        if self.redis_is_down() {
            return Depth::Unknown;
        }
        Depth::Known(self.depth_signal.read(self.now, self.depth))
    }

    /// A job has left: circuits that observe continuously observe now.
    #[inline(always)]
    fn observe_departure(&mut self) {
        if self.config.policy.observe == Observe::Continuous {
            let depth = self.read_depth();
            self.circuits.observe_all(self.level.clock(self.now), depth, self.now, &mut self.probe);
        }
    }

    /// Whether the waiting line, the slots and the enqueues in flight fill the capacity.
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

    /// Redis dies of a lack of memory, with all jobs in it, and comes back empty. Waiting jobs are lost here; the
    /// level loses those that are elsewhere.
    #[cold]
    fn crash_redis(&mut self) {
        for job in self.line.drain() {
            self.recorder.lost(self.now, job.who(), Stage::Waiting);
        }
        self.change_depth(0);
        self.redis.restart();
        self.redis_away += 1;
        self.calendar.schedule(self.now + self.config.redis.restart_after, Rare::RedisReturns);
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
        L::series_step(self);
        self.recorder.series_step(self.now, self.depth, self.circuits.states(), self.redis.used());
    }

    fn scrape(&mut self) {
        let active = L::active(self);
        let workers = L::worker_processes(self);
        let pending = match self.read_depth() {
            Depth::Known(depth) => Some(depth),
            Depth::Unknown => None,
        };
        let redis = self.redis.used();
        self.recorder.scraped(self.now, self.circuits.each_state(), |total| {
            pending.map(|pending| QueueScrape {
                pending,
                active: active.min(pending),
                completed: total.completed,
                failed: total.failed,
                lost: total.lost,
                workers,
                redis,
            })
        });
    }

    /// The initial jobs; their classes are drawn by the rates of the first phases.
    fn opening(&self, stream: Stream) -> Opening {
        // By the rates at time zero; by the shares alone where there are no rates.
        let has_rate = self.config.rate_at(SimTime::ZERO) > 0.0;
        let mut bounds = Vec::new();
        let mut sum = 0.0;
        for source in &self.config.sources {
            let weight = if has_rate { source.rate_at(SimTime::ZERO) } else { 1.0 };
            for &(class, share) in &source.classes {
                sum += share * weight;
                bounds.push((sum, class));
            }
        }
        Opening { left: self.config.start.jobs, stream, bounds, sum }
    }

    fn place_initial_job(&mut self, Opening { stream, bounds, sum, .. }: &mut Opening) {
        let draw = stream.random::<f64>() * *sum;
        let class = bounds.iter().find(|(bound, _)| draw < *bound).map_or(0, |(_, class)| *class);
        self.recorder.class(class as u16).initial += 1;
        let job = self.draw_job(class as u16, None);
        L::place(self, job);
    }

    fn schedule_rare_events(&mut self) {
        let config = self.config;
        if config.warmup > SimDuration::ZERO {
            self.calendar.schedule(SimTime(config.warmup.0), Rare::WarmupEnds);
        }
        let end = Disturbance::of(config).map_or(SimTime::ZERO, |disturbance| disturbance.end);
        self.calendar.schedule(end, Rare::SpikeEnds);
        self.schedule_calm_sample();
        self.calendar.schedule(SimTime::ZERO + config.series_step, Rare::SeriesStep);
        self.calendar.schedule(SimTime::ZERO + SimDuration::SECOND, Rare::Second);
        if matches!(config.policy.observe, Observe::Every(_)) {
            self.calendar.schedule(SimTime::ZERO, Rare::Observe);
        }
        if !config.monitoring.rules.is_empty() {
            self.calendar.schedule(SimTime::ZERO + config.monitoring.first_scrape(), Rare::Scrape);
        }
        L::schedule(self);
    }

    fn schedule_calm_sample(&mut self) {
        if let Some(time) = self.recorder.normal.next_sample(self.now) {
            self.calendar.schedule(time, Rare::CalmSample);
        }
    }
}

/// The name of a source's streams. A class with its own arrivals keeps its streams when other classes are added or removed.
fn source_name(source: &ArrivalSource, config: &ModelConfig) -> String {
    match source.classes[..] {
        [(class, _)] if config.classes.len() > 1 => format!("arrivals of {}", config.classes[class].name),
        _ => "arrivals".to_owned(),
    }
}
