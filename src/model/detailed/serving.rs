//! Serving: a slot takes jobs, works, asks the database, tells Redis, and takes the next.

use super::clients::hears_no;
use super::redis::{bytes_while_active, keep};
use super::{DetailedJob, DetailedRun, Stretched, fleet};
use crate::engine::time::{SimDuration, SimTime};
use crate::model::config::WaitFor;
use crate::model::probe::Probe;
use crate::model::recorder::Stage;

/// What a slot does.
#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    /// One job, or several taken together; none while idle.
    pub(super) jobs: Vec<DetailedJob>,
    pub(super) phase: Phase,
    /// Time that it will need the database for.
    query: SimDuration,
    pub(super) started: SimTime,
}

/// What a busy slot waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
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

/// The next slot ends its phase.
pub(super) fn complete<P: Probe>(run: &mut DetailedRun<'_, P>) {
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

/// Gives waiting jobs to idle slots. Workers cannot fetch from a Redis above its limit: the script cannot write.
pub(super) fn dispatch<P: Probe>(run: &mut DetailedRun<'_, P>) {
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
        let bytes = bytes_while_active(run, &job);
        run.redis.grow(bytes, now);
        // A worker that takes a job without its data does nothing for it: it is lost, and no wait of it ends.
        if !job.details.is_empty {
            run.recorder.started(job.class, job.arrived, now.since(job.details.landed));
        }
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

pub(super) fn release_connection<P: Probe>(run: &mut DetailedRun<'_, P>) {
    if let Some(next) = run.level.database.as_mut().and_then(|pool| pool.release(run.now)) {
        query(run, next);
    }
}

/// The work of a slot is done: it reports to Redis, as soon as Redis answers.
pub(super) fn tell_redis<P: Probe>(run: &mut DetailedRun<'_, P>, slot: usize) {
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

/// The jobs of a slot have succeeded or failed, and it takes the next.
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
        fleet::changed(run);
    }
    dispatch(run);
    run.observe_departure();
}

/// A worker ends an attempt of a job.
fn end_attempt<P: Probe>(run: &mut DetailedRun<'_, P>, mut job: DetailedJob) {
    let bytes = bytes_while_active(run, &job);
    run.redis.shrink(u64::from(bytes));
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
            // An initial job has no client that could have left.
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

/// A job has failed for good.
pub(super) fn give_up<P: Probe>(run: &mut DetailedRun<'_, P>, job: &DetailedJob) {
    if job.details.is_empty {
        drop_evicted(run, job);
        return;
    }
    run.redis.remove(job.bytes);
    keep(run, job, false);
    run.change_depth(run.depth - 1);
    run.recorder.failed(job.who());
    let waits_for_it = run.config.clients.is_some_and(|clients| clients.wait_for == WaitFor::Completion);
    if waits_for_it {
        hears_no(run, job, SimDuration::ZERO);
    }
}

/// A job is through whose data had been evicted, and its memory with them: BullMQ calls it completed, or failed, but nothing
/// was done.
fn drop_evicted<P: Probe>(run: &mut DetailedRun<'_, P>, job: &DetailedJob) {
    run.change_depth(run.depth - 1);
    run.recorder.lost(run.now, job.who(), Stage::Waiting);
}

/// A delayed job is due.
pub(super) fn wait_again<P: Probe>(run: &mut DetailedRun<'_, P>, mut job: DetailedJob) {
    if run.redis_is_down() {
        run.level.overdue.push(job);
        return;
    }
    job.details.landed = run.now;
    run.change_depth(run.depth + 1);
    run.line.push(run.classes[usize::from(job.class)].line, job);
    dispatch(run);
}
