//! Redis as a store and a server: which shard a job is on, what reading the depth costs, and what jobs take.

use super::{DetailedJob, DetailedRun, Stretched};
use crate::engine::time::SimDuration;
use crate::memory::JobState;
use crate::model::probe::Probe;

/// Reads the depth of every queue: how long the answer takes beyond the check latency.
pub(super) fn cost_of_depth<P: Probe>(run: &mut DetailedRun<'_, P>) -> SimDuration {
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

/// The shard of the queue whose turn it is.
pub(super) fn next_shard<P: Probe>(run: &mut DetailedRun<'_, P>) -> usize {
    let queue = run.level.turns % u64::from(run.config.queue.queues);
    run.level.turns += 1;
    queue as usize % run.level.shards.count()
}

/// Bytes more that a job takes while a worker has it.
#[inline]
pub(super) fn bytes_while_active<P: Probe>(run: &mut DetailedRun<'_, P>, job: &DetailedJob) -> u32 {
    let (class, payload) = (usize::from(job.class), job.details.payload);
    match run.level.active_bytes[class] {
        Some((known, bytes)) if known == payload => bytes,
        _ => {
            let bytes = run.redis.bytes_while_active(run.classes[class].waiting, payload);
            run.level.active_bytes[class] = Some((payload, bytes));
            bytes
        }
    }
}

/// A finished job stays in Redis as long as the settings say.
pub(super) fn keep<P: Probe>(run: &mut DetailedRun<'_, P>, job: &DetailedJob, completed: bool) {
    let state = if completed { JobState::Completed } else { JobState::Failed };
    let kept = if completed { &mut run.level.kept_completed } else { &mut run.level.kept_failed };
    if kept.is_used() {
        let bytes = run.redis.bytes_when_kept(state, job.details.payload);
        run.redis.grow(bytes, run.now);
        let freed = kept.add(run.now, bytes);
        run.redis.shrink(freed);
    }
}
