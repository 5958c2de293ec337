//! Faults: what each does when it begins and when it ends, and what several do together.
//!
//! Faults may overlap. Whenever one begins or ends, what is wrong is worked out anew from all that are on, so the end of one
//! never undoes another:
//!
//! ```text
//! slow database, slow Redis      the factors multiply
//! clock steps                    add up
//! outages, failovers, crashes    Redis answers when the last is over
//! depth-missing                  hides the depth, frozen or not
//! depth-frozen                   holds what Redis answered when the first of them began, until the last ends
//! worker-loss, worker-restart    a process is back when the last fault or crash that took it is over
//! gateway-loss                   so is a gateway
//! ```
//!
//! A loss takes processes that are up. Where these are too few, it also takes those that another fault or a crash has already
//! taken, so that a loss of all is one of all until it ends; what still drains is killed. Faults that begin at one instant go
//! by their kind, whatever the order in which the scenario lists them.

use backpressure::Depth;

use super::fleet::{self, ProcessState};
use super::processes::{bring_up, kill};
use super::{DetailedJob, DetailedRun, Event, outages};
use crate::engine::time::SimDuration;
use crate::model::config::{Fault, FaultKind};
use crate::model::probe::Probe;
use crate::model::recorder::Stage;
use crate::model::{Level, Rare};

/// What is wrong at present.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// The faults that are on, by index, in the order of their beginning.
    active: Vec<usize>,
    effects: Effects,
    /// What Redis answered when the depth froze.
    frozen: Option<Depth>,
    /// Worker processes that are down, with the life that they lost.
    processes: Taken<(u32, u32)>,
    gateways: Taken<usize>,
}

/// What all faults that are on do to the rest of the model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Effects {
    database_factor: Option<f64>,
    redis_factor: Option<f64>,
    /// What the gateways see instead of the depth.
    depth: Option<Depth>,
    clock_offset: i64,
}

/// What faults and crashes have taken down, one entry for each that holds it.
#[derive(Debug)]
struct Taken<T>(Vec<(Holder, T)>);

/// Who keeps a process or a gateway down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// The fault of that index.
    Fault(usize),
    /// The death of a process by itself, until it has been restarted.
    Crash { process: u32, life: u32 },
}

impl Troubles {
    /// How many times as long a query takes.
    pub(super) fn database_factor(&self) -> Option<f64> {
        self.effects.database_factor
    }

    /// How many times as long Redis and the way to it take.
    pub(super) fn redis_factor(&self) -> Option<f64> {
        self.effects.redis_factor
    }

    /// What the gateways see instead of the depth.
    pub(super) fn depth(&self) -> Option<Depth> {
        self.effects.depth
    }

    /// How far the gateways' clock is off, in nanoseconds.
    pub(super) fn clock_offset(&self) -> i64 {
        self.effects.clock_offset
    }

    /// A process has died by itself.
    pub(super) fn crashed(&mut self, process: u32, life: u32) {
        self.processes.take(Holder::Crash { process, life }, (process, life));
    }

    /// Works out what the faults do that are on now.
    fn settle(&mut self, faults: &[Fault]) {
        let kinds: Vec<FaultKind> = self.active.iter().map(|&index| faults[index].kind).collect();
        if !kinds.contains(&FaultKind::DepthFrozen) {
            self.frozen = None;
        }
        self.effects = Effects::of(&kinds, self.frozen);
    }
}

impl Effects {
    fn of(kinds: &[FaultKind], frozen: Option<Depth>) -> Self {
        let mut effects = Self { depth: frozen, ..Self::default() };
        let slow = |so_far: &mut Option<f64>, factor| *so_far = Some(so_far.unwrap_or(1.0) * factor);
        for kind in kinds {
            match *kind {
                FaultKind::DatabaseSlow { factor } => slow(&mut effects.database_factor, factor),
                FaultKind::RedisSlow { factor } => slow(&mut effects.redis_factor, factor),
                FaultKind::DepthMissing => effects.depth = Some(Depth::Unknown),
                FaultKind::ClockStep { nanos } => {
                    effects.clock_offset = effects.clock_offset.saturating_add(nanos);
                }
                // What these take down, or away from the answers of Redis, is counted where it is.
                FaultKind::WorkerLoss { count: _ }
                | FaultKind::WorkerRestart
                | FaultKind::GatewayLoss { count: _ }
                | FaultKind::RedisOutage
                | FaultKind::RedisFailover { lag: _ }
                | FaultKind::DepthFrozen => {}
            }
        }
        effects
    }
}

impl<T> Default for Taken<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy + Ord> Taken<T> {
    fn take(&mut self, holder: Holder, member: T) {
        self.0.push((holder, member));
    }

    /// All that is down, each once, in order.
    fn members(&self) -> Vec<T> {
        let mut members: Vec<T> = self.0.iter().map(|(_, member)| *member).collect();
        members.sort_unstable();
        members.dedup();
        members
    }

    /// A holder lets go: what nobody else holds.
    fn release(&mut self, holder: Holder) -> Vec<T> {
        let (released, kept): (Vec<_>, Vec<_>) = self.0.drain(..).partition(|(by, _)| *by == holder);
        self.0 = kept;
        let is_free = |member: &T| self.0.iter().all(|(_, held)| held != member);
        released.into_iter().map(|(_, member)| member).filter(is_free).collect()
    }
}

/// Enters the beginning and the end of every fault.
pub(super) fn schedule<P: Probe>(run: &mut DetailedRun<'_, P>) {
    let faults = &run.config.faults;
    let mut order: Vec<usize> = (0..faults.len()).collect();
    order.sort_by_key(|&index| {
        let fault = &faults[index];
        (fault.at, rank(fault.kind), fault.lasts)
    });
    // One that ends began before any that begins then, so ends come first.
    for index in order {
        run.calendar.schedule(faults[index].at, Rare::OfLevel(Event::FaultBegins(index)));
        run.calendar.schedule(faults[index].end(), Rare::OfLevel(Event::FaultEnds(index)));
    }
}

/// Which of several faults goes first that begin at one instant: the kind, then its setting.
fn rank(kind: FaultKind) -> (u8, u64) {
    match kind {
        FaultKind::WorkerLoss { count } => (0, u64::from(count)),
        FaultKind::WorkerRestart => (1, 0),
        FaultKind::DatabaseSlow { factor } => (2, factor.to_bits()),
        FaultKind::RedisOutage => (3, 0),
        FaultKind::RedisSlow { factor } => (4, factor.to_bits()),
        FaultKind::RedisFailover { lag } => (5, lag.0),
        FaultKind::DepthFrozen => (6, 0),
        FaultKind::DepthMissing => (7, 0),
        FaultKind::GatewayLoss { count } => (8, u64::from(count)),
        FaultKind::ClockStep { nanos } => (9, nanos.cast_unsigned()),
    }
}

pub(super) fn begin<P: Probe>(run: &mut DetailedRun<'_, P>, index: usize) {
    match run.config.faults[index].kind {
        FaultKind::WorkerLoss { count } => {
            for process in take_processes(run, index, count) {
                if run.level.fleet.state(process) != ProcessState::Off {
                    kill(run, process);
                }
            }
        }
        FaultKind::WorkerRestart => {
            for process in take_processes(run, index, u32::MAX) {
                if run.level.fleet.state(process) == ProcessState::Up {
                    run.level.fleet.stop(process);
                }
            }
            fleet::changed(run);
        }
        FaultKind::RedisOutage => run.redis_away += 1,
        FaultKind::RedisFailover { lag } => {
            run.redis_away += 1;
            lose_newest(run, lag);
        }
        FaultKind::DepthFrozen => {
            let answer = run.ask_redis_for_depth();
            run.level.troubles.frozen.get_or_insert(answer);
        }
        FaultKind::GatewayLoss { count } => take_gateways(run, index, count),
        FaultKind::DatabaseSlow { .. }
        | FaultKind::RedisSlow { .. }
        | FaultKind::DepthMissing
        | FaultKind::ClockStep { .. } => {}
    }
    run.level.troubles.active.push(index);
    run.level.troubles.settle(&run.config.faults);
}

pub(super) fn end<P: Probe>(run: &mut DetailedRun<'_, P>, index: usize) {
    let troubles = &mut run.level.troubles;
    troubles.active.retain(|&active| active != index);
    troubles.settle(&run.config.faults);
    match run.config.faults[index].kind {
        FaultKind::WorkerLoss { .. } | FaultKind::WorkerRestart => release(run, Holder::Fault(index)),
        FaultKind::RedisOutage | FaultKind::RedisFailover { .. } => {
            run.redis_away -= 1;
            outages::returns(run);
        }
        FaultKind::GatewayLoss { .. } => {
            for gateway in run.level.troubles.gateways.release(Holder::Fault(index)) {
                run.circuits.restore(gateway);
            }
        }
        FaultKind::DatabaseSlow { .. }
        | FaultKind::RedisSlow { .. }
        | FaultKind::DepthFrozen
        | FaultKind::DepthMissing
        | FaultKind::ClockStep { .. } => {}
    }
}

/// Those that keep a process down let go of it: it is back, unless somebody else does or the autoscaler has made another of it.
pub(super) fn release<P: Probe>(run: &mut DetailedRun<'_, P>, holder: Holder) {
    for (process, life) in run.level.troubles.processes.release(holder) {
        if run.level.fleet.life(process) != life {
            continue;
        }
        // One that still finishes its last jobs is killed first.
        if run.level.fleet.state(process) == ProcessState::Draining {
            kill(run, process);
        }
        bring_up(run, process);
    }
}

/// Notes which processes a fault takes: those that are up, and if they are too few, those that are already taken.
fn take_processes<P: Probe>(run: &mut DetailedRun<'_, P>, fault: usize, count: u32) -> Vec<u32> {
    let (fleet, taken) = (&run.level.fleet, &mut run.level.troubles.processes);
    let down = taken.members().into_iter().filter(|&(process, life)| fleet.life(process) == life);
    let up = fleet.in_state(ProcessState::Up).map(|process| (process, fleet.life(process)));
    let victims: Vec<(u32, u32)> = up.chain(down).take(count as usize).collect();
    victims.iter().for_each(|&victim| taken.take(Holder::Fault(fault), victim));
    victims.into_iter().map(|(process, _)| process).collect()
}

/// The same of the gateways, which die.
fn take_gateways<P: Probe>(run: &mut DetailedRun<'_, P>, fault: usize, count: u32) {
    let clock = run.level.clock(run.now);
    let taken = &mut run.level.troubles.gateways;
    let living: Vec<usize> = run.circuits.living().collect();
    for gateway in living.iter().copied().chain(taken.members()).take(count as usize) {
        if living.contains(&gateway) {
            run.circuits.lose(gateway, clock, run.now);
        }
        taken.take(Holder::Fault(fault), gateway);
    }
}

/// A replica that is behind takes over: what was enqueued last is not in it.
fn lose_newest<P: Probe>(run: &mut DetailedRun<'_, P>, lag: SimDuration) {
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
        run.recorder.lost(now, job.who(), Stage::Waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kinds: &[FaultKind], frozen: Option<Depth>, expected: Effects) {
        assert_eq!(Effects::of(kinds, frozen), expected);
        let reversed: Vec<FaultKind> = kinds.iter().rev().copied().collect();
        assert_eq!(Effects::of(&reversed, frozen), expected, "in any order");
    }

    #[test]
    fn effects_follow_from_the_faults_that_are_on() {
        use FaultKind::{ClockStep, DatabaseSlow, DepthFrozen, DepthMissing, RedisOutage, RedisSlow};
        let none = Effects::default();
        let seen = Some(Depth::Known(7));
        check(&[], None, none);
        check(&[RedisOutage], None, none);
        check(&[DepthFrozen], seen, Effects { depth: seen, ..none });
        check(&[DepthFrozen, DepthMissing], seen, Effects { depth: Some(Depth::Unknown), ..none });
        check(
            &[DatabaseSlow { factor: 2.0 }, RedisSlow { factor: 4.0 }, DatabaseSlow { factor: 3.0 }],
            None,
            Effects { database_factor: Some(6.0), redis_factor: Some(4.0), ..none },
        );
        check(
            &[ClockStep { nanos: 50 }, ClockStep { nanos: -20 }],
            None,
            Effects { clock_offset: 30, ..none },
        );
    }

    #[test]
    fn what_several_have_taken_is_free_when_the_last_lets_go() {
        let mut taken = Taken::default();
        taken.take(Holder::Fault(0), 4);
        taken.take(Holder::Fault(1), 4);
        taken.take(Holder::Fault(1), 2);
        assert_eq!(taken.members(), [2, 4]);
        assert_eq!(taken.release(Holder::Fault(1)), [2]);
        assert_eq!(taken.release(Holder::Fault(0)), [4]);
        assert!(taken.members().is_empty());
    }
}
