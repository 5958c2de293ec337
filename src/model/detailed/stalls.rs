//! Jobs whose worker has died, and how BullMQ finds them.
//!
//! A worker holds a lock on each of its jobs and renews it every half of the lock's life. A check marks all jobs in service,
//! and a renewal takes the mark away; the next check moves those that are still marked and have no lock to the front of the
//! waiting line. So a job comes back one to two intervals after the death of its worker (measured: 60.2 s with the defaults of
//! 30 s), and only if some worker is alive to run the check.

use super::redis::bytes_while_active;
use super::serving::{dispatch, give_up};
use super::{DetailedJob, DetailedRun};
use crate::engine::time::{SimDuration, SimTime};
use crate::model::config::Stalls;
use crate::model::probe::Probe;

/// A job in service in a process that is dead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stalled {
    pub(super) job: DetailedJob,
    /// When its lock runs out.
    pub(super) lock_until: SimTime,
    /// Whether a check has seen it.
    pub(super) marked: bool,
}

/// When the lock of a job was last renewed that was started then and whose worker dies now: every half of its life.
pub(super) fn last_renewal(stalls: Stalls, started: SimTime, now: SimTime) -> SimTime {
    let renewal = (stalls.lock.0 / 2).max(1);
    let renewals = now.since(started).0 / renewal;
    started + SimDuration(renewals * renewal)
}

/// The check.
pub(super) fn check<P: Probe>(run: &mut DetailedRun<'_, P>) {
    if run.level.fleet.up() == 0 || run.redis_is_down() {
        return;
    }
    let now = run.now;
    run.level.last_check = Some(now);
    let mut found = Vec::new();
    run.level.stalled.retain_mut(|stalled| {
        let moves = stalled.marked && stalled.lock_until <= now;
        if moves {
            found.push(stalled.job);
        }
        stalled.marked = true;
        !moves
    });
    for mut job in found {
        let bytes = bytes_while_active(run, &job);
        run.redis.shrink(u64::from(bytes));
        job.details.stalls += 1;
        run.recorder.extras(job.class).redelivered += 1;
        if job.details.stalls > run.config.workers.stalls.most {
            give_up(run, &job);
        } else {
            job.details.landed = now;
            run.line.put_back(job);
        }
    }
    dispatch(run);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_outlives_its_worker_by_half_to_all_of_its_life() {
        let seconds = |seconds: u64| SimTime(seconds * 1_000_000_000);
        let end = |started, died| {
            last_renewal(Stalls::BULLMQ, seconds(started), seconds(died)) + Stalls::BULLMQ.lock
        };
        assert_eq!(end(0, 14), seconds(30));
        assert_eq!(end(0, 15), seconds(45));
        assert_eq!(end(5, 44), seconds(65));
    }
}
