//! The detailed level: clients that time out and retry, gateways that come and go, Redis as a server, workers that contend,
//! fail, crash and scale, a database behind them, and faults.
//!
//! ```text
//! clients --attempt--> gateway --check--> Redis shard --> waiting line --> slot: work, query, finish --> done
//!    ^                    |                   |                               |        |        |
//!    +---- pause <--- refused or timed out <--+          attempt failed: delayed   database   Redis
//!                                                     process died: stalled, found by its lock
//! ```
//!
//! A slot goes through up to three phases. It works; it needs a connection to the database for the rest of the service;
//! it tells Redis, which costs a command. The next job is fetched in that same command.

mod arriving;
mod clients;
mod database;
mod faults;
mod fleet;
mod gateways;
mod need;
mod outages;
mod processes;
mod redis;
mod scaling;
mod serving;
mod shards;
mod stalls;

use backpressure::{Depth, MemoryGuard, Nanos};
use rand::RngExt;

use super::config::{Failures, ModelConfig};
use super::job::Job;
use super::limits::Limit;
use super::probe::Probe;
use super::redis::Kept;
use super::{Level, Rare, Run};
use crate::engine::calendar::Calendar;
use crate::engine::slots::Slots;
use crate::engine::stream::{Stream, stream};
use crate::engine::time::{SimDuration, SimTime};
use clients::{ClientPool, Ticket};
use database::Pool;
use faults::{Holder, Troubles};
use fleet::Fleet;
use scaling::Scaling;
use serving::Work;
use shards::Shards;
use stalls::Stalled;

/// A job with all that this level knows of it.
type DetailedJob = Job<Details>;
type DetailedRun<'a, P> = Run<'a, P, Detailed>;

/// What a job carries.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Details {
    /// The same each time that a client sends it.
    id: u64,
    /// When it came into the waiting line, the last time.
    landed: SimTime,
    /// The client's attempt that it is.
    ticket: Ticket,
    /// Bytes of payload.
    payload: u32,
    gateway: u16,
    shard: u16,
    /// How many attempts of the workers will fail, unless they are too many.
    failures_to_come: u32,
    /// Attempts of the workers so far.
    attempts: u32,
    /// How often its worker died.
    stalls: u32,
    /// Whether a client still waited when the enqueue succeeded.
    wanted: bool,
    /// Whether its data was evicted.
    is_empty: bool,
}

/// The state of this level.
#[derive(Debug)]
pub(super) struct Detailed {
    slots: Slots,
    /// What each slot does.
    work: Vec<Work>,
    fleet: Fleet,
    database: Option<Pool>,
    shards: Shards,
    clients: Option<ClientPool>,
    /// Failed attempts that wait for their next one.
    delayed: Calendar<DetailedJob>,
    /// Those among them that were due while Redis did not answer.
    overdue: Vec<DetailedJob>,
    stalled: Vec<Stalled>,
    /// When a worker last looked for stalled jobs.
    last_check: Option<SimTime>,
    troubles: Troubles,
    guard: Option<MemoryGuard>,
    /// By class, what a worker's job takes more, for the payload of the last one: those of a class are often all alike.
    active_bytes: Vec<Option<(u32, u32)>>,
    kept_completed: Kept,
    kept_failed: Kept,
    failures: Option<Failures>,
    failure_stream: Stream,
    crash_stream: Stream,
    /// Jobs landed so far: the queue of the next one.
    turns: u64,
    /// Slots whose work is done but that cannot tell Redis.
    unheard: Vec<usize>,
    gateways: gateways::Gateways,
    scaling: Option<Scaling>,
}

/// A span made longer by a trouble, if there is one.
trait Stretched {
    fn scaled_if(self, factor: Option<f64>) -> Self;
}

impl Stretched for SimDuration {
    fn scaled_if(self, factor: Option<f64>) -> Self {
        factor.map_or(self, |factor| self.scaled(factor))
    }
}

/// Rare events of this level.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    FaultBegins(usize),
    FaultEnds(usize),
    /// A process dies by itself, if it is still the same one.
    Crash {
        process: u32,
        life: u32,
    },
    /// A dead process is back.
    Restart {
        process: u32,
        life: u32,
    },
    /// BullMQ looks for jobs whose worker has died.
    StallCheck,
    /// The load balancer asks the gateways whether they are ready.
    ReadinessProbe,
    /// The metric of the autoscaler is read.
    Reading,
    /// The autoscaler decides.
    Sync,
    /// A process that was ordered takes jobs.
    PodReady {
        process: u32,
        life: u32,
    },
}

impl Detailed {
    /// Whether the settings need this level.
    pub(super) fn is_needed(config: &ModelConfig) -> bool {
        need::needs_detail(config)
    }
}

impl Level for Detailed {
    type Details = Details;
    type Event = Event;
    const HAS_OTHER_EVENTS: bool = true;

    fn new(config: &ModelConfig, seed: u64, replication: u32) -> Self {
        let workers = &config.workers;
        let most = config.autoscaler.as_ref().map_or(workers.processes, |autoscaler| 2 * autoscaler.max);
        let fleet = Fleet::new(workers.processes, most, workers.concurrency);
        Self {
            slots: Slots::new(fleet.slots()),
            work: vec![Work::default(); fleet.slots() as usize],
            fleet,
            database: workers.database.map(|database| Pool::new(database.pool)),
            shards: Shards::new(config.redis.shards),
            clients: config.clients.map(|clients| ClientPool::new(clients, seed, replication)),
            delayed: Calendar::default(),
            overdue: Vec::new(),
            stalled: Vec::new(),
            last_check: None,
            troubles: Troubles::default(),
            guard: config.redis.watermark.map(|watermark| MemoryGuard::new((watermark * 1e6) as u32)),
            active_bytes: vec![None; config.classes.len()],
            kept_completed: Kept::new(config.redis.keep_completed),
            kept_failed: Kept::new(config.redis.keep_failed),
            failures: workers.failures,
            failure_stream: stream(seed, replication, "workers/failures"),
            crash_stream: stream(seed, replication, "workers/crashes"),
            turns: 0,
            unheard: Vec::new(),
            gateways: gateways::Gateways::new(config),
            scaling: config
                .autoscaler
                .as_ref()
                .map(|autoscaler| Scaling::new(autoscaler, workers.processes, seed, replication)),
        }
    }

    fn schedule<P: Probe>(run: &mut DetailedRun<'_, P>) {
        faults::schedule(run);
        if let Some(readiness) = run.config.gateway.readiness {
            run.calendar.schedule(SimTime::ZERO + readiness.period, Rare::OfLevel(Event::ReadinessProbe));
        }
        run.calendar
            .schedule(SimTime::ZERO + run.config.workers.stalls.interval, Rare::OfLevel(Event::StallCheck));
        if let Some(autoscaler) = &run.config.autoscaler {
            scaling::schedule(run, autoscaler);
        }
        for process in 0..run.config.workers.processes {
            processes::plan_crash(run, process);
        }
        run.recorder.slots_changed(run.now, run.level.fleet.available());
    }

    #[inline]
    fn next_completion(&self) -> SimTime {
        self.slots.next_time()
    }

    #[inline]
    fn next_other(&self) -> SimTime {
        let clients = self.clients.as_ref().map_or(SimTime::NEVER, ClientPool::next_time);
        self.shards.next_landing().min(self.delayed.next_time()).min(clients)
    }

    fn details(&mut self, payload: f64, id: u64) -> Details {
        let failures_to_come = match self.failures {
            None => 0,
            Some(Failures { probability, attempts, .. }) if probability >= 1.0 => attempts,
            // Failures before the first success: geometric, by inversion.
            Some(Failures { probability, attempts, .. }) => {
                let draw: f64 = 1.0 - self.failure_stream.random::<f64>();
                let failures = draw.ln() / probability.ln();
                if failures < f64::from(attempts) { failures as u32 } else { attempts }
            }
        };
        Details { id, payload: payload as u32, failures_to_come, ..Details::default() }
    }

    fn arrive<P: Probe>(run: &mut DetailedRun<'_, P>) {
        let job = run.take_arrival();
        match &mut run.level.clients {
            None => arriving::attempt(run, job),
            Some(clients) => {
                let request = clients.open(job);
                run.recorder.extras(job.class).requests += 1;
                arriving::send(run, request);
            }
        }
    }

    fn reach_redis<P: Probe>(run: &mut DetailedRun<'_, P>) {
        let Some(job) = run.in_flight.pop_front() else {
            unreachable!("a landing has its job");
        };
        // On this level `landed` says until then when it reaches Redis.
        run.next_landing = run.in_flight.front().map_or(SimTime::NEVER, |next| next.details.landed);
        arriving::enqueue(run, job);
    }

    fn place<P: Probe>(run: &mut DetailedRun<'_, P>, mut job: DetailedJob) {
        job.details.shard = redis::next_shard(run) as u16;
        Self::land(run, job);
    }

    fn landed(_config: &ModelConfig, job: &DetailedJob) -> SimTime {
        job.details.landed
    }

    fn land<P: Probe>(run: &mut DetailedRun<'_, P>, job: DetailedJob) {
        arriving::land(run, job);
    }

    fn complete<P: Probe>(run: &mut DetailedRun<'_, P>) {
        serving::complete(run);
    }

    fn other<P: Probe>(run: &mut DetailedRun<'_, P>) {
        let now = run.now;
        if run.level.shards.next_landing() == now {
            if let Some(job) = run.level.shards.pop_landing() {
                Self::land(run, job);
            }
        } else if run.level.delayed.next_time() == now {
            if let Some((_, job)) = run.level.delayed.pop() {
                serving::wait_again(run, job);
            }
        } else if let Some(clients) = &mut run.level.clients {
            if let Some((job, reaction)) = clients.time_out(now) {
                run.recorder.extras(job.class).timed_out += 1;
                clients::record_reaction(run, job.class, reaction);
            } else if let Some(request) = clients.due_retry(now) {
                arriving::send(run, request);
            }
        }
    }

    fn rare<P: Probe>(run: &mut DetailedRun<'_, P>, event: Event) {
        match event {
            Event::FaultBegins(index) => faults::begin(run, index),
            Event::FaultEnds(index) => faults::end(run, index),
            Event::Crash { process, life } => processes::crash(run, process, life),
            Event::Restart { process, life } => faults::release(run, Holder::Crash { process, life }),
            Event::StallCheck => {
                stalls::check(run);
                let next = run.now + run.config.workers.stalls.interval;
                run.calendar.schedule(next, Rare::OfLevel(Event::StallCheck));
            }
            Event::ReadinessProbe => gateways::probe_readiness(run),
            Event::Reading => scaling::read(run),
            Event::Sync => scaling::sync(run),
            Event::PodReady { process, life } => scaling::ready(run, process, life),
        }
    }

    fn redis_returns<P: Probe>(run: &mut DetailedRun<'_, P>) {
        outages::returns(run);
    }

    #[inline]
    fn distorted_depth(&self) -> Option<Depth> {
        self.troubles.depth()
    }

    #[inline]
    fn clock(&self, now: SimTime) -> Nanos {
        Nanos(now.0.saturating_add_signed(self.troubles.clock_offset()))
    }

    #[inline(always)]
    fn waiting<P: Probe>(run: &DetailedRun<'_, P>) -> u64 {
        run.line.len()
    }

    fn active<P: Probe>(run: &DetailedRun<'_, P>) -> u64 {
        run.level.work.iter().map(|work| work.jobs.len() as u64).sum()
    }

    fn worker_processes<P: Probe>(run: &DetailedRun<'_, P>) -> u32 {
        run.level.fleet.up()
    }

    fn warmup_ends(&mut self, now: SimTime) {
        self.shards.warmup_ends(now);
        if let Some(pool) = &mut self.database {
            pool.warmup_ends(now);
        }
    }

    fn series_step<P: Probe>(run: &mut DetailedRun<'_, P>) {
        let (now, level) = (run.now, &run.level);
        run.recorder.detail_point(
            now,
            level.fleet.up(),
            level.database.as_ref().map_or((0, 0), |pool| (pool.used(), pool.area(now))),
            level.shards.busy(now).max().unwrap_or(0),
        );
    }

    fn finish<P: Probe>(run: &mut DetailedRun<'_, P>) -> Vec<DetailedJob> {
        let now = run.now;
        if let Some(clients) = &run.level.clients {
            // They were offered, and neither refused nor let in.
            for job in run.in_flight.iter().chain(run.level.shards.landing()) {
                run.recorder.admitted(job.who());
            }
            run.recorder.details.open_requests = clients.open_requests();
        }
        let mut elsewhere: Vec<DetailedJob> = run.level.shards.landing().copied().collect();
        elsewhere.extend(run.level.work.iter().flat_map(|work| &work.jobs));
        elsewhere.extend(run.level.stalled.iter().map(|stalled| stalled.job));
        elsewhere.extend(&run.level.overdue);
        while let Some((_, job)) = run.level.delayed.pop() {
            elsewhere.push(job);
        }
        let details = &mut run.recorder.details;
        details.is_detailed = true;
        details.in_flight_peak = run.level.gateways.in_flight_peak();
        details.redis_busy = run.level.shards.busy_after_warmup(now);
        if let Some(pool) = &run.level.database {
            details.connections_area = pool.area_after_warmup(now);
            details.connections_peak = pool.peak();
            run.recorder.limits.reach_at(Limit::Connections, pool.exhausted_at);
        }
        elsewhere
    }
}
