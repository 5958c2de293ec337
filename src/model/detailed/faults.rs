//! Faults: what each does when it begins and when it is over.

use backpressure::Depth;

use super::fleet::ProcessState;
use super::{Detailed, DetailedJob, DetailedRun, bring_up, fleet_changed, kill};
use crate::engine::time::SimDuration;
use crate::model::Level;
use crate::model::config::FaultKind;
use crate::model::probe::Probe;

/// What is wrong at present.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    database: Option<f64>,
    redis: Option<f64>,
    /// What the gateways see instead of the depth.
    pub(super) depth: Option<Depth>,
    /// How far the gateways' clock is off, in nanoseconds.
    pub(super) clock_offset: i64,
    /// Processes that the fault has taken, by fault.
    taken: Vec<(usize, u32, u32)>,
}

impl Troubles {
    /// How many times as long a query takes.
    pub(super) fn database_factor(&self) -> Option<f64> {
        self.database
    }

    /// How many times as long Redis and the way to it take.
    pub(super) fn redis_factor(&self) -> Option<f64> {
        self.redis
    }
}

pub(super) fn begin<P: Probe>(run: &mut DetailedRun<'_, P>, index: usize) {
    match run.config.faults[index].kind {
        FaultKind::WorkerLoss { count } => {
            let victims: Vec<u32> = run.level.fleet.in_state(ProcessState::Up).take(count as usize).collect();
            for process in victims {
                kill(run, process);
                run.level.troubles.taken.push((index, process, run.level.fleet.life(process)));
            }
        }
        FaultKind::WorkerRestart => {
            let all: Vec<u32> = run.level.fleet.in_state(ProcessState::Up).collect();
            for process in all {
                run.level.fleet.stop(process);
                run.level.troubles.taken.push((index, process, run.level.fleet.life(process)));
            }
            fleet_changed(run);
        }
        FaultKind::DatabaseSlow { factor } => run.level.troubles.database = Some(factor),
        FaultKind::RedisSlow { factor } => run.level.troubles.redis = Some(factor),
        FaultKind::RedisOutage => run.redis_away += 1,
        FaultKind::RedisFailover { lag } => {
            run.redis_away += 1;
            let now = run.now;
            // One that waits again, after an attempt that failed or the death of its worker, was enqueued before it landed last.
            let enqueued = |job: &DetailedJob| match job.details.attempts + job.details.stalls {
                0 => job.details.landed,
                _ => job.arrived,
            };
            for (job, has_data) in run.line.take_newest(|job| enqueued(job) + lag > now) {
                if has_data {
                    run.redis.remove(job.bytes);
                }
                run.change_depth(run.depth - 1);
                run.recorder.lost(now, job.class);
            }
        }
        FaultKind::DepthFrozen => run.level.troubles.depth = Some(run.read_depth()),
        FaultKind::DepthMissing => run.level.troubles.depth = Some(Depth::Unknown),
        FaultKind::GatewayLoss { count } => run.circuits.lose(count, run.level.clock(run.now), run.now),
        FaultKind::ClockStep { nanos } => run.level.troubles.clock_offset += nanos,
    }
}

pub(super) fn end<P: Probe>(run: &mut DetailedRun<'_, P>, index: usize) {
    match run.config.faults[index].kind {
        FaultKind::WorkerLoss { .. } | FaultKind::WorkerRestart => {
            let taken = std::mem::take(&mut run.level.troubles.taken);
            for (fault, process, life) in taken {
                if fault != index {
                    run.level.troubles.taken.push((fault, process, life));
                } else if run.level.fleet.life(process) == life {
                    restore(run, process);
                }
            }
        }
        FaultKind::DatabaseSlow { .. } => run.level.troubles.database = None,
        FaultKind::RedisSlow { .. } => run.level.troubles.redis = None,
        FaultKind::RedisOutage | FaultKind::RedisFailover { .. } => {
            run.redis_away -= 1;
            Detailed::redis_returns(run);
        }
        FaultKind::DepthFrozen | FaultKind::DepthMissing => run.level.troubles.depth = None,
        FaultKind::GatewayLoss { count } => run.circuits.restore(count),
        FaultKind::ClockStep { nanos } => run.level.troubles.clock_offset -= nanos,
    }
}

/// A process that was taken is back: a dead one starts, one that still finishes its last jobs is killed first.
fn restore<P: Probe>(run: &mut DetailedRun<'_, P>, process: u32) {
    if run.level.fleet.state(process) == ProcessState::Draining {
        kill(run, process);
    }
    if run.level.fleet.state(process) == ProcessState::Off {
        bring_up(run, process);
    }
}

/// A span made longer by a trouble, if there is one.
pub(super) trait Stretched {
    fn scaled_if(self, factor: Option<f64>) -> Self;
}

impl Stretched for SimDuration {
    fn scaled_if(self, factor: Option<f64>) -> Self {
        factor.map_or(self, |factor| self.scaled(factor))
    }
}
