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

mod clients;
mod database;
mod faults;
mod fleet;
mod gateways;
mod scaling;
mod shards;
mod stalls;

use backpressure::{Decision, Depth, MemoryGuard, Nanos, Request};
use rand::RngExt;

use super::config::{Failures, ModelConfig, OnFull, WaitFor};
use super::distribution::exponential;
use super::job::Job;
use super::limits::Limit;
use super::outcome::RejectionReason;
use super::probe::Probe;
use super::redis::Kept;
use super::{Level, Rare, Run};
use crate::engine::calendar::Calendar;
use crate::engine::slots::Slots;
use crate::engine::stream::{Stream, stream};
use crate::engine::time::{SimDuration, SimTime};
use crate::memory::JobState;
use clients::{ClientPool, Reaction, Ticket};
use database::Pool;
use faults::Stretched;
use faults::Troubles;
use fleet::{Fleet, ProcessState};
use scaling::Scaling;
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

/// What a slot does.
#[derive(Clone, Debug, Default)]
struct Work {
    /// One job, or several taken together; none while idle.
    jobs: Vec<DetailedJob>,
    phase: Phase,
    /// Time that it will need the database for.
    query: SimDuration,
    started: SimTime,
}

/// What a busy slot waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The work beside the database.
    #[default]
    Working,
    /// A free connection.
    Queueing,
    /// The database.
    Querying,
    /// The command that finishes the job.
    Finishing,
    /// A Redis that answers.
    Unheard,
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
        let ModelConfig { clients, faults, autoscaler, gateway, queue, workers, redis, .. } = config;
        let has_lanes = matches!(queue.discipline, super::config::Discipline::Lanes(_));
        clients.is_some()
            || !faults.is_empty()
            || autoscaler.is_some()
            || gateway.in_flight_limit.is_some()
            || gateway.readiness.is_some()
            || has_lanes
            || !workers.contention.is_none()
            || workers.batch.size > 1
            || workers.failures.is_some()
            || workers.crashes.is_some()
            || workers.database.is_some()
            || redis.operations.is_some()
            || redis.watermark.is_some()
            || redis.on_full == OnFull::Evict
            || redis.keep_completed.count > 0
            || redis.keep_failed.count > 0
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
        for (index, fault) in run.config.faults.iter().enumerate() {
            run.calendar.schedule(fault.at, Rare::OfLevel(Event::FaultBegins(index)));
            run.calendar.schedule(fault.end(), Rare::OfLevel(Event::FaultEnds(index)));
        }
        if let Some(readiness) = run.config.gateway.readiness {
            run.calendar.schedule(SimTime::ZERO + readiness.period, Rare::OfLevel(Event::ReadinessProbe));
        }
        run.calendar
            .schedule(SimTime::ZERO + run.config.workers.stalls.interval, Rare::OfLevel(Event::StallCheck));
        if let Some(autoscaler) = &run.config.autoscaler {
            scaling::schedule(run, autoscaler);
        }
        for process in 0..run.config.workers.processes {
            plan_crash(run, process);
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
            None => attempt(run, job),
            Some(clients) => {
                let request = clients.open(job);
                run.recorder.extras(job.class).requests += 1;
                send(run, request);
            }
        }
    }

    fn reach_redis<P: Probe>(run: &mut DetailedRun<'_, P>) {
        let Some(job) = run.in_flight.pop_front() else {
            unreachable!("a landing has its job");
        };
        // On this level `landed` says until then when it reaches Redis.
        run.next_landing = run.in_flight.front().map_or(SimTime::NEVER, |next| next.details.landed);
        enqueue(run, job);
    }

    fn place<P: Probe>(run: &mut DetailedRun<'_, P>, mut job: DetailedJob) {
        job.details.shard = next_shard(run) as u16;
        Self::land(run, job);
    }

    fn land<P: Probe>(run: &mut DetailedRun<'_, P>, mut job: DetailedJob) {
        run.level.gateways.enqueue_ended(job.details.gateway);
        if run.redis_is_down() {
            refuse_enqueue(run, &job);
            return;
        }
        if run.config.redis.on_full == OnFull::Evict {
            run.redis.add(job.bytes, run.now);
            while run.redis.is_full() {
                let Some(oldest) = run.level.kept_completed.pop().or_else(|| run.level.kept_failed.pop())
                else {
                    let Some(evicted) = run.line.evict() else { break };
                    run.redis.remove(evicted.bytes);
                    continue;
                };
                run.redis.shrink(u64::from(oldest));
            }
        } else if !run.redis.allocate(job.bytes, run.now) {
            refuse_enqueue(run, &job);
            if run.config.redis.on_full == OnFull::Crash {
                crash_redis(run);
            }
            return;
        }
        if let Some(clients) = run.level.clients.as_mut().filter(|_| job.details.ticket.is_somebodys()) {
            run.recorder.class(job.class).admitted += 1;
            job.details.wanted = clients.accepted(job.details.ticket);
        }
        job.details.landed = run.now;
        run.change_depth(run.depth + 1);
        run.line.push(run.classes[usize::from(job.class)].line, job);
        dispatch(run);
    }

    fn complete<P: Probe>(run: &mut DetailedRun<'_, P>) {
        let slot = run.level.slots.next_slot();
        match run.level.work[slot].phase {
            Phase::Working => leave_work(run, slot),
            Phase::Querying => {
                release_connection(run);
                tell_redis(run, slot);
            }
            Phase::Finishing => finish_jobs(run, slot),
            Phase::Queueing | Phase::Unheard => unreachable!("a slot that waits has no time"),
        }
    }

    fn other<P: Probe>(run: &mut DetailedRun<'_, P>) {
        let now = run.now;
        if run.level.shards.next_landing() == now {
            if let Some(job) = run.level.shards.pop_landing() {
                Self::land(run, job);
            }
        } else if run.level.delayed.next_time() == now {
            if let Some((_, job)) = run.level.delayed.pop() {
                wait_again(run, job);
            }
        } else if let Some(clients) = &mut run.level.clients {
            if let Some((job, reaction)) = clients.time_out(now) {
                run.recorder.extras(job.class).timed_out += 1;
                record_reaction(run, job.class, reaction);
            } else if let Some(request) = clients.due_retry(now) {
                send(run, request);
            }
        }
    }

    fn rare<P: Probe>(run: &mut DetailedRun<'_, P>, event: Event) {
        match event {
            Event::FaultBegins(index) => faults::begin(run, index),
            Event::FaultEnds(index) => faults::end(run, index),
            Event::Crash { process, life } => {
                // One that a fault or the autoscaler has stopped is not brought back by its death.
                let state = run.level.fleet.state(process);
                if run.level.fleet.life(process) == life && state != ProcessState::Off {
                    kill(run, process);
                    if let Some(crashes) = run.config.workers.crashes.filter(|_| state == ProcessState::Up) {
                        let back = run.now + crashes.restart_after;
                        run.calendar.schedule(back, Rare::OfLevel(Event::Restart { process, life }));
                    }
                }
            }
            Event::Restart { process, life } => {
                if run.level.fleet.life(process) == life {
                    bring_up(run, process);
                }
            }
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
        if run.redis_is_down() {
            return;
        }
        for slot in std::mem::take(&mut run.level.unheard) {
            tell_redis(run, slot);
        }
        for job in std::mem::take(&mut run.level.overdue) {
            wait_again(run, job);
        }
        dispatch(run);
    }

    #[inline]
    fn distorted_depth(&self) -> Option<Depth> {
        self.troubles.depth
    }

    #[inline]
    fn clock(&self, now: SimTime) -> Nanos {
        Nanos(now.0.saturating_add_signed(self.troubles.clock_offset))
    }

    fn active<P: Probe>(run: &DetailedRun<'_, P>) -> u64 {
        run.level.work.iter().map(|work| work.jobs.len() as u64).sum()
    }

    fn worker_processes<P: Probe>(run: &DetailedRun<'_, P>) -> u32 {
        run.level.fleet.up()
    }

    fn series_step<P: Probe>(run: &mut DetailedRun<'_, P>) {
        let (now, level) = (run.now, &run.level);
        run.recorder.part_point(
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
                run.recorder.class(job.class).admitted += 1;
            }
            run.recorder.parts.open_requests = clients.open_requests();
        }
        let mut elsewhere: Vec<DetailedJob> = run.level.shards.landing().copied().collect();
        elsewhere.extend(run.level.work.iter().flat_map(|work| &work.jobs));
        elsewhere.extend(run.level.stalled.iter().map(|stalled| stalled.job));
        elsewhere.extend(&run.level.overdue);
        while let Some((_, job)) = run.level.delayed.pop() {
            elsewhere.push(job);
        }
        let parts = &mut run.recorder.parts;
        parts.is_detailed = true;
        parts.in_flight_peak = run.level.gateways.in_flight_peak();
        parts.redis_busy = run.level.shards.busy(now).max().unwrap_or(0);
        if let Some(pool) = &run.level.database {
            parts.connections_area = pool.area(now);
            parts.connections_peak = pool.peak();
            run.recorder.limits.reach_at(Limit::Connections, pool.exhausted_at);
        }
        elsewhere
    }
}

/// A client sends a request, for the first time or again.
fn send<P: Probe>(run: &mut DetailedRun<'_, P>, request: u32) {
    let Some(clients) = &mut run.level.clients else {
        unreachable!("only clients have requests");
    };
    let (job, is_retry) = clients.send(request, run.now);
    run.recorder.extras(job.class).retried += u64::from(is_retry);
    attempt(run, job);
}

/// A job is offered to a gateway.
fn attempt<P: Probe>(run: &mut DetailedRun<'_, P>, mut job: DetailedJob) {
    let (now, class) = (run.now, job.class);
    let judgement = judge(run, &job);
    let refusal = judgement.as_ref().err().map(|refused| refused.reason);
    if run.level.clients.is_some() && refusal.is_none() {
        // Whether it is let in is known when its enqueue has succeeded.
        run.recorder.offered(class);
    } else {
        run.recorder.arrived(now, class, refusal);
    }
    run.probe.arrived(now, usize::from(class), refusal.is_none());
    match judgement {
        Ok(Passed { gateway, latency }) => {
            job.details.gateway = gateway as u16;
            run.level.gateways.enqueue_begins(gateway);
            if latency == SimDuration::ZERO {
                enqueue(run, job);
                return;
            }
            // One connection keeps the order of its commands.
            let last = run.in_flight.back().map_or(SimTime::ZERO, |last| last.details.landed);
            job.details.landed = last.max(now + latency);
            if run.in_flight.is_empty() {
                run.next_landing = job.details.landed;
            }
            run.in_flight.push_back(job);
        }
        Err(refused) => client_hears_no(run, &job, refused.retry_after),
    }
}

/// A job that may come in.
struct Passed {
    gateway: usize,
    /// Until its enqueue reaches Redis.
    latency: SimDuration,
}

/// A job that is turned away.
struct Refused {
    reason: RejectionReason,
    retry_after: SimDuration,
}

/// The gateway's answer.
fn judge<P: Probe>(run: &mut DetailedRun<'_, P>, job: &DetailedJob) -> Result<Passed, Refused> {
    let now = run.now;
    let refuse = |reason| Refused { reason, retry_after: SimDuration::ZERO };
    let Some(gateway) = run.circuits.next_available() else {
        run.recorder.limits.reach(Limit::NoGateway, now);
        return Err(refuse(RejectionReason::NoGateway));
    };
    let mut latency = run.config.gateway.check_latency.scaled_if(run.level.troubles.redis_factor());
    if run.config.policy.reads_at_arrivals() {
        latency = latency + cost_of_depth(run);
        let depth = run.read_depth();
        let clock = run.level.clock(now);
        run.circuits.observe_by(clock, gateway, depth, now, &mut run.probe);
    }
    let priority = run.classes[usize::from(job.class)].priority;
    let request = Request::of(priority).with_id(job.details.id);
    if let Decision::Reject(rejection) = run.circuits.decide(gateway, request, run.level.clock(now)) {
        let Nanos(retry_after) = rejection.retry_after;
        let reason = RejectionReason::Policy(rejection.reason);
        return Err(Refused { reason, retry_after: SimDuration(retry_after) });
    }
    if let Some(guard) = &mut run.level.guard {
        guard.observe(run.redis.used(), run.redis.limit());
        if !guard.admits(priority) {
            run.recorder.limits.reach(Limit::MemoryShed, now);
            return Err(refuse(RejectionReason::MemoryWatermark));
        }
    }
    // Those that wait for their command count as well.
    let landing = run.level.shards.landing_count();
    if run.config.queue.capacity.is_some_and(|most| run.depth + run.in_flight.len() as u64 + landing >= most)
    {
        return Err(refuse(RejectionReason::QueueLimit));
    }
    if run.level.gateways.is_at_limit(gateway) {
        run.recorder.limits.reach(Limit::InFlight, now);
        return Err(refuse(RejectionReason::InFlightLimit));
    }
    Ok(Passed { gateway, latency })
}

/// Reads the depth of every queue: how long the answer takes beyond the check latency.
fn cost_of_depth<P: Probe>(run: &mut DetailedRun<'_, P>) -> SimDuration {
    let Some(operations) = run.config.redis.operations else { return SimDuration::ZERO };
    if run.redis_is_down() {
        return SimDuration::ZERO;
    }
    let cost = operations.depth.scaled_if(run.level.troubles.redis_factor());
    let mut latest = run.now;
    for queue in 0..run.config.queue.queues {
        let shard = queue as usize % run.level.shards.count();
        latest = latest.max(run.level.shards.run(shard, run.now, cost));
    }
    latest.since(run.now)
}

/// The enqueue of a job reaches Redis and takes its turn among the commands.
fn enqueue<P: Probe>(run: &mut DetailedRun<'_, P>, mut job: DetailedJob) {
    let shard = next_shard(run);
    job.details.shard = shard as u16;
    match run.config.redis.operations {
        Some(operations) if !run.redis_is_down() => {
            let cost = operations.enqueue.scaled_if(run.level.troubles.redis_factor());
            let done = run.level.shards.run(shard, run.now, cost);
            run.level.shards.land_at(shard, done, job);
        }
        _ => Detailed::land(run, job),
    }
}

/// The shard of the queue whose turn it is.
fn next_shard<P: Probe>(run: &mut DetailedRun<'_, P>) -> usize {
    let queue = run.level.turns % u64::from(run.config.queue.queues);
    run.level.turns += 1;
    queue as usize % run.level.shards.count()
}

/// Redis did not take a job that the gateway had let in. A client is told; where nobody listens, the job is lost.
fn refuse_enqueue<P: Probe>(run: &mut DetailedRun<'_, P>, job: &DetailedJob) {
    if !job.details.ticket.is_somebodys() {
        run.recorder.lost(run.now, job.class);
        return;
    }
    run.recorder.refused(job.class, RejectionReason::EnqueueFailed);
    client_hears_no(run, job, SimDuration::ZERO);
}

fn client_hears_no<P: Probe>(run: &mut DetailedRun<'_, P>, job: &DetailedJob, retry_after: SimDuration) {
    if let Some(clients) = &mut run.level.clients
        && let Some(reaction) = clients.refused(job.details.ticket, retry_after, run.now)
    {
        record_reaction(run, job.class, reaction);
    }
}

fn record_reaction<P: Probe>(run: &mut DetailedRun<'_, P>, class: u16, reaction: Reaction) {
    if reaction == Reaction::Abandons {
        run.recorder.extras(class).abandoned += 1;
    }
}

/// Gives waiting jobs to idle slots. A Redis above its limit lets nobody fetch: the script cannot write.
fn dispatch<P: Probe>(run: &mut DetailedRun<'_, P>) {
    while !run.redis_is_down() && !run.redis.is_full() && !run.line.is_empty() {
        let Some(slot) = run.level.fleet.take_idle() else { return };
        start(run, slot);
        run.recorder.busy_slots_changed(run.now, run.level.fleet.busy());
    }
}

/// A slot takes the next job, or as many as it takes together. There is one at least.
fn start<P: Probe>(run: &mut DetailedRun<'_, P>, slot: usize) {
    let now = run.now;
    let workers = &run.config.workers;
    let mut service = 0.0;
    let mut work = std::mem::take(&mut run.level.work[slot]);
    while (work.jobs.len() as u32) < workers.batch.size
        && let Some((mut job, has_data)) = run.line.pop()
    {
        // One that came back from a dead worker is as empty as before.
        job.details.is_empty |= !has_data;
        let demand = if !job.details.is_empty { (job.hold.0 - workers.overhead.0) as f64 } else { 0.0 };
        service += if work.jobs.is_empty() { demand } else { demand * workers.batch.marginal_cost };
        run.redis.grow(bytes_while_active(run, &job), now);
        run.recorder.started(job.class, job.arrived, now.since(job.details.landed));
        run.probe.started(now, job.arrived);
        work.jobs.push(job);
    }
    service *= workers.contention.stretch(run.level.fleet.busy_beside(slot));
    let share = workers.database.map_or(0.0, |database| database.share);
    work.query = SimDuration((service * share).round() as u64);
    let elsewhere = SimDuration(service.round() as u64) - work.query;
    work.phase = Phase::Working;
    work.started = now;
    run.level.work[slot] = work;
    run.level.slots.occupy(slot, now + elsewhere + workers.overhead);
}

/// The work beside the database is done.
fn leave_work<P: Probe>(run: &mut DetailedRun<'_, P>, slot: usize) {
    let work = &mut run.level.work[slot];
    let Some(pool) = run.level.database.as_mut().filter(|_| work.query > SimDuration::ZERO) else {
        tell_redis(run, slot);
        return;
    };
    if pool.acquire(slot, run.now) {
        query(run, slot);
    } else {
        work.phase = Phase::Queueing;
        run.level.slots.vacate(slot);
    }
}

/// A slot has a connection and uses it.
fn query<P: Probe>(run: &mut DetailedRun<'_, P>, slot: usize) {
    let work = &mut run.level.work[slot];
    work.phase = Phase::Querying;
    let takes = work.query.scaled_if(run.level.troubles.database_factor());
    run.level.slots.occupy(slot, run.now + takes);
}

fn release_connection<P: Probe>(run: &mut DetailedRun<'_, P>) {
    if let Some(next) = run.level.database.as_mut().and_then(|pool| pool.release(run.now)) {
        query(run, next);
    }
}

/// The work of a slot is done: Redis is told, as soon as it listens.
fn tell_redis<P: Probe>(run: &mut DetailedRun<'_, P>, slot: usize) {
    if run.redis_is_down() {
        run.level.work[slot].phase = Phase::Unheard;
        run.level.unheard.push(slot);
        run.level.slots.vacate(slot);
        return;
    }
    let Some(operations) = run.config.redis.operations else {
        finish_jobs(run, slot);
        return;
    };
    let jobs = &run.level.work[slot].jobs;
    let shard = jobs.first().map_or(0, |job| usize::from(job.details.shard));
    let cost = SimDuration(operations.cycle.0 * jobs.len() as u64);
    let cost = cost.scaled_if(run.level.troubles.redis_factor());
    let done = run.level.shards.run(shard, run.now, cost);
    run.level.work[slot].phase = Phase::Finishing;
    run.level.slots.occupy(slot, done);
}

/// The jobs of a slot are done, one way or the other, and it takes the next.
fn finish_jobs<P: Probe>(run: &mut DetailedRun<'_, P>, slot: usize) {
    let mut jobs = std::mem::take(&mut run.level.work[slot].jobs);
    for job in jobs.drain(..) {
        end_attempt(run, job);
    }
    // The vector goes back: nothing is allocated per job.
    run.level.work[slot].jobs = jobs;
    if run.level.fleet.goes_on(slot) && !run.line.is_empty() && !run.redis_is_down() {
        start(run, slot);
    } else {
        run.level.slots.vacate(slot);
        run.level.fleet.give_back(slot);
        fleet_changed(run);
    }
    dispatch(run);
    run.observe_departure();
}

/// A worker is through with a job.
fn end_attempt<P: Probe>(run: &mut DetailedRun<'_, P>, mut job: DetailedJob) {
    run.redis.shrink(u64::from(bytes_while_active(run, &job)));
    if job.details.is_empty {
        drop_evicted(run, &job);
        return;
    }
    job.details.attempts += 1;
    if job.details.failures_to_come == 0 {
        run.redis.remove(job.bytes);
        keep(run, &job, true);
        run.change_depth(run.depth - 1);
        let wanted = match &mut run.level.clients {
            Some(clients) if job.details.ticket.is_somebodys() => {
                clients.done(job.details.ticket, job.details.wanted)
            }
            // One that was there at the start belongs to nobody who could have gone.
            _ => true,
        };
        run.recorder.completed_for(run.now, job.class, job.arrived, wanted);
        run.probe.completed(run.now, job.arrived);
        return;
    }
    job.details.failures_to_come -= 1;
    run.recorder.extras(job.class).failed_attempts += 1;
    let Some(failures) = run.level.failures else {
        unreachable!("failures were drawn from their settings");
    };
    if job.details.attempts >= failures.attempts {
        give_up(run, &job);
        return;
    }
    run.change_depth(run.depth - 1);
    let doublings = if failures.exponential { (job.details.attempts - 1).min(40) } else { 0 };
    let pause = SimDuration(failures.backoff.0.saturating_mul(1 << doublings));
    run.level.delayed.schedule(run.now + pause, job);
}

/// Bytes more that a job takes while a worker has it.
fn bytes_while_active<P: Probe>(run: &DetailedRun<'_, P>, job: &DetailedJob) -> u32 {
    run.redis.bytes_while_active(run.classes[usize::from(job.class)].waiting, job.details.payload)
}

/// A job has failed for good.
fn give_up<P: Probe>(run: &mut DetailedRun<'_, P>, job: &DetailedJob) {
    if job.details.is_empty {
        drop_evicted(run, job);
        return;
    }
    run.redis.remove(job.bytes);
    keep(run, job, false);
    run.change_depth(run.depth - 1);
    run.recorder.class(job.class).failed += 1;
    let waits_for_it = run.config.clients.is_some_and(|clients| clients.wait_for == WaitFor::Completion);
    if waits_for_it {
        client_hears_no(run, job, SimDuration::ZERO);
    }
}

/// A job is through whose data had been evicted, and its memory with them: BullMQ calls it completed, or failed, but nothing
/// was done.
fn drop_evicted<P: Probe>(run: &mut DetailedRun<'_, P>, job: &DetailedJob) {
    run.change_depth(run.depth - 1);
    run.recorder.lost(run.now, job.class);
}

/// A finished job stays in Redis as long as the settings say.
fn keep<P: Probe>(run: &mut DetailedRun<'_, P>, job: &DetailedJob, completed: bool) {
    let state = if completed { JobState::Completed } else { JobState::Failed };
    let bytes = run.redis.bytes_when_kept(state, job.details.payload);
    let kept = if completed { &mut run.level.kept_completed } else { &mut run.level.kept_failed };
    if kept.is_used() {
        run.redis.grow(bytes, run.now);
        let freed = kept.add(run.now, bytes);
        run.redis.shrink(freed);
    }
}

/// A delayed job is due.
fn wait_again<P: Probe>(run: &mut DetailedRun<'_, P>, mut job: DetailedJob) {
    if run.redis_is_down() {
        run.level.overdue.push(job);
        return;
    }
    job.details.landed = run.now;
    run.change_depth(run.depth + 1);
    run.line.push(run.classes[usize::from(job.class)].line, job);
    dispatch(run);
}

/// A process dies with all that it does. Its jobs stay `active` in Redis until their locks have run out.
fn kill<P: Probe>(run: &mut DetailedRun<'_, P>, process: u32) {
    for slot in run.level.fleet.slots_of(process) {
        let work = &mut run.level.work[slot];
        if work.jobs.is_empty() {
            continue;
        }
        let (phase, started) = (work.phase, work.started);
        let jobs = std::mem::take(&mut work.jobs);
        let last_renewal = stalls::last_renewal(run.config.workers.stalls, started, run.now);
        let lock_until = last_renewal + run.config.workers.stalls.lock;
        // A renewal takes the mark away again.
        let marked = run.level.last_check.is_some_and(|check| check >= last_renewal);
        run.level.stalled.extend(jobs.into_iter().map(|job| Stalled { job, lock_until, marked }));
        run.level.slots.vacate(slot);
        match phase {
            Phase::Querying => release_connection(run),
            Phase::Queueing => {
                if let Some(pool) = &mut run.level.database {
                    pool.forget(slot);
                }
            }
            Phase::Unheard => run.level.unheard.retain(|&other| other != slot),
            Phase::Working | Phase::Finishing => {}
        }
    }
    run.level.fleet.kill(process);
    fleet_changed(run);
}

/// A process takes jobs from now on.
fn bring_up<P: Probe>(run: &mut DetailedRun<'_, P>, process: u32) {
    run.level.fleet.bring_up(process);
    fleet_changed(run);
    plan_crash(run, process);
    dispatch(run);
}

fn fleet_changed<P: Probe>(run: &mut DetailedRun<'_, P>) {
    run.recorder.busy_slots_changed(run.now, run.level.fleet.busy());
    run.recorder.slots_changed(run.now, run.level.fleet.available());
}

fn plan_crash<P: Probe>(run: &mut DetailedRun<'_, P>, process: u32) {
    if let Some(crashes) = run.config.workers.crashes {
        let lives = crashes.mean_time_between.scaled(exponential(&mut run.level.crash_stream));
        let life = run.level.fleet.life(process);
        run.calendar.schedule(run.now + lives, Rare::OfLevel(Event::Crash { process, life }));
    }
}

/// Redis dies of a lack of memory, and with it all that it knows.
#[cold]
fn crash_redis<P: Probe>(run: &mut DetailedRun<'_, P>) {
    run.crash_redis();
    let now = run.now;
    for slot in 0..run.level.work.len() {
        if run.level.work[slot].jobs.is_empty() {
            continue;
        }
        for job in std::mem::take(&mut run.level.work[slot].jobs) {
            run.recorder.lost(now, job.class);
        }
        run.level.slots.vacate(slot);
        run.level.fleet.give_back(slot);
    }
    if let Some(pool) = &mut run.level.database {
        pool.clear(now);
    }
    run.level.unheard.clear();
    for stalled in std::mem::take(&mut run.level.stalled) {
        run.recorder.lost(now, stalled.job.class);
    }
    for job in std::mem::take(&mut run.level.overdue) {
        run.recorder.lost(now, job.class);
    }
    while let Some((_, job)) = run.level.delayed.pop() {
        run.recorder.lost(now, job.class);
    }
    run.level.kept_completed.clear();
    run.level.kept_failed.clear();
    fleet_changed(run);
}
