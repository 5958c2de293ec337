//! Arriving: a client sends a request, a gateway judges it, and its enqueue finds room in Redis or none.

use backpressure::{Decision, Nanos, Request};

use super::clients::hears_no;
use super::redis::{cost_of_depth, next_shard};
use super::serving::dispatch;
use super::{DetailedJob, DetailedRun, Stretched, outages};
use crate::engine::time::{SimDuration, SimTime};
use crate::model::Level;
use crate::model::config::OnFull;
use crate::model::limits::Limit;
use crate::model::outcome::RejectionReason;
use crate::model::probe::Probe;
use crate::model::recorder::Stage;

/// A client sends a request, for the first time or again.
pub(super) fn send<P: Probe>(run: &mut DetailedRun<'_, P>, request: u32) {
    let Some(clients) = &mut run.level.clients else {
        unreachable!("only clients have requests");
    };
    let (job, is_retry) = clients.send(request, run.now);
    run.recorder.extras(job.class).retried += u64::from(is_retry);
    attempt(run, job);
}

/// A job is offered to a gateway.
pub(super) fn attempt<P: Probe>(run: &mut DetailedRun<'_, P>, mut job: DetailedJob) {
    let (now, class) = (run.now, job.class);
    let judgement = judge(run, &job);
    let refusal = judgement.as_ref().err().map(|refused| refused.reason);
    if run.level.clients.is_some() && refusal.is_none() {
        // Whether it is let in is known when its enqueue has succeeded.
        run.recorder.offered(run.now, class);
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
        Err(refused) => hears_no(run, &job, refused.retry_after),
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
    // Enqueues that wait for their command count as well.
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

/// The enqueue of a job reaches Redis and takes its turn among the commands.
pub(super) fn enqueue<P: Probe>(run: &mut DetailedRun<'_, P>, mut job: DetailedJob) {
    let shard = next_shard(run);
    job.details.shard = shard as u16;
    match run.config.redis.operations {
        Some(operations) if !run.redis_is_down() => {
            let cost = operations.enqueue.scaled_if(run.level.troubles.redis_factor());
            let done = run.level.shards.run(shard, run.now, cost);
            run.level.shards.land_at(shard, done, job);
        }
        _ => land(run, job),
    }
}

/// A job reaches Redis, which may have no room for it.
pub(super) fn land<P: Probe>(run: &mut DetailedRun<'_, P>, mut job: DetailedJob) {
    run.level.gateways.enqueue_ended(job.details.gateway);
    if run.redis_is_down() {
        refuse_enqueue(run, &job);
        return;
    }
    if run.config.redis.on_full == OnFull::Evict {
        run.redis.add(job.bytes, run.now);
        while run.redis.is_full() {
            let Some(oldest) = run.level.kept_completed.pop().or_else(|| run.level.kept_failed.pop()) else {
                let Some(evicted) = run.line.evict() else { break };
                run.redis.remove(evicted.bytes);
                continue;
            };
            run.redis.shrink(u64::from(oldest));
        }
    } else if !run.redis.allocate(job.bytes, run.now) {
        refuse_enqueue(run, &job);
        if run.config.redis.on_full == OnFull::Crash {
            outages::crash(run);
        }
        return;
    }
    if let Some(clients) = run.level.clients.as_mut().filter(|_| job.details.ticket.is_somebodys()) {
        run.recorder.admitted(job.who());
        job.details.wanted = clients.accepted(job.details.ticket);
    }
    job.details.landed = run.now;
    run.change_depth(run.depth + 1);
    run.line.push(run.classes[usize::from(job.class)].line, job);
    dispatch(run);
}

/// Redis did not take a job that the gateway had admitted. Its client gets an error; without a client, the job is lost.
fn refuse_enqueue<P: Probe>(run: &mut DetailedRun<'_, P>, job: &DetailedJob) {
    if !job.details.ticket.is_somebodys() {
        run.recorder.lost(run.now, job.who(), Stage::Waiting);
        return;
    }
    run.recorder.refused(run.now, job.class, job.arrived, RejectionReason::EnqueueFailed);
    hears_no(run, job, SimDuration::ZERO);
}
