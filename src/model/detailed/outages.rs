//! Redis that dies, and Redis that answers again.

use super::serving::{dispatch, tell_redis, wait_again};
use super::{DetailedRun, fleet};
use crate::model::probe::Probe;
use crate::model::recorder::Stage;

/// Redis dies of a lack of memory, and with it all that it knows.
#[cold]
pub(super) fn crash<P: Probe>(run: &mut DetailedRun<'_, P>) {
    run.crash_redis();
    let now = run.now;
    for slot in 0..run.level.work.len() {
        if run.level.work[slot].jobs.is_empty() {
            continue;
        }
        for job in std::mem::take(&mut run.level.work[slot].jobs) {
            run.recorder.lost(now, job.who(), Stage::Taken);
        }
        run.level.slots.vacate(slot);
        run.level.fleet.give_back(slot);
    }
    if let Some(pool) = &mut run.level.database {
        pool.clear(now);
    }
    run.level.unheard.clear();
    for stalled in std::mem::take(&mut run.level.stalled) {
        run.recorder.lost(now, stalled.job.who(), Stage::Taken);
    }
    for job in std::mem::take(&mut run.level.overdue) {
        run.recorder.lost(now, job.who(), Stage::Taken);
    }
    while let Some((_, job)) = run.level.delayed.pop() {
        run.recorder.lost(now, job.who(), Stage::Taken);
    }
    run.level.kept_completed.clear();
    run.level.kept_failed.clear();
    fleet::changed(run);
}

/// Redis answers again: slots and delayed jobs that waited for it go on.
pub(super) fn returns<P: Probe>(run: &mut DetailedRun<'_, P>) {
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
