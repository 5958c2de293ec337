//! Worker processes: they come up, die, and leave their jobs behind.

use super::fleet::{self, ProcessState};
use super::serving::{Phase, dispatch, release_connection};
use super::stalls::{self, Stalled};
use super::{DetailedRun, Event};
use crate::model::Rare;
use crate::model::distribution::exponential;
use crate::model::probe::Probe;

/// A process dies by itself, if it is still the same one.
pub(super) fn crash<P: Probe>(run: &mut DetailedRun<'_, P>, process: u32, life: u32) {
    // One that a fault or the autoscaler has stopped is not brought back by its death.
    let state = run.level.fleet.state(process);
    if run.level.fleet.life(process) == life && state != ProcessState::Off {
        kill(run, process);
        if let Some(crashes) = run.config.workers.crashes.filter(|_| state == ProcessState::Up) {
            run.level.troubles.crashed(process, life);
            let back = run.now + crashes.restart_after;
            run.calendar.schedule(back, Rare::OfLevel(Event::Restart { process, life }));
        }
    }
}

/// A process dies with all that it does. Its jobs stay `active` in Redis until their locks have run out.
pub(super) fn kill<P: Probe>(run: &mut DetailedRun<'_, P>, process: u32) {
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
    fleet::changed(run);
}

/// A process takes jobs from now on.
pub(super) fn bring_up<P: Probe>(run: &mut DetailedRun<'_, P>, process: u32) {
    run.level.fleet.bring_up(process);
    fleet::changed(run);
    plan_crash(run, process);
    dispatch(run);
}

pub(super) fn plan_crash<P: Probe>(run: &mut DetailedRun<'_, P>, process: u32) {
    if let Some(crashes) = run.config.workers.crashes {
        let lives = crashes.mean_time_between.scaled(exponential(&mut run.level.crash_stream));
        let life = run.level.fleet.life(process);
        run.calendar.schedule(run.now + lives, Rare::OfLevel(Event::Crash { process, life }));
    }
}
