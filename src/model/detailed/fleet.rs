//! The worker processes and their idle slots.
//!
//! An idle worker process waits for Redis to wake it, and Redis wakes the one that has waited longest; so the processes with
//! an idle slot take new jobs in turn.

use std::collections::VecDeque;

use super::DetailedRun;
use crate::model::probe::Probe;

/// All processes that there may ever be.
#[derive(Debug)]
pub(crate) struct Fleet {
    processes: Vec<Process>,
    concurrency: u32,
    /// Processes that may have an idle slot, the one that waits longest first.
    turn: VecDeque<u32>,
    up: u32,
    busy: u64,
    /// Busy slots of processes that drain.
    draining: u64,
}

#[derive(Clone, Debug)]
struct Process {
    state: ProcessState,
    busy: u32,
    idle: Vec<u32>,
    /// Whether it stands in `turn`.
    in_turn: bool,
    /// How often it has been started. Events planned for an earlier life are void.
    life: u32,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessState {
    /// It does not exist.
    Off,
    /// It has been ordered and takes no jobs yet.
    Starting,
    /// It takes jobs.
    Up,
    /// It finishes the jobs that it has.
    Draining,
}

impl Fleet {
    /// Processes 0 to `up` run, the others up to `most` may be started later.
    pub(crate) fn new(up: u32, most: u32, concurrency: u32) -> Self {
        let off = Process { state: ProcessState::Off, busy: 0, idle: Vec::new(), in_turn: false, life: 0 };
        let mut fleet = Self {
            processes: vec![off; most.max(up) as usize],
            concurrency,
            turn: VecDeque::new(),
            up: 0,
            busy: 0,
            draining: 0,
        };
        (0..up).for_each(|process| fleet.bring_up(process));
        fleet
    }

    pub(crate) fn slots(&self) -> u32 {
        self.processes.len() as u32 * self.concurrency
    }

    /// Slots of the processes that take jobs, and those where a process that drains still works.
    pub(crate) fn available(&self) -> u64 {
        u64::from(self.up) * u64::from(self.concurrency) + self.draining
    }

    pub(crate) fn busy(&self) -> u64 {
        self.busy
    }

    /// Slots in service of the processes that take jobs.
    pub(crate) fn busy_up(&self) -> u64 {
        self.busy - self.draining
    }

    /// Processes that take jobs.
    pub(crate) fn up(&self) -> u32 {
        self.up
    }

    /// Processes in that state, the lowest number first.
    pub(crate) fn in_state(&self, state: ProcessState) -> impl DoubleEndedIterator<Item = u32> {
        let numbered = (0..).zip(&self.processes);
        let found: Vec<u32> =
            numbered.filter(|(_, process)| process.state == state).map(|(number, _)| number).collect();
        found.into_iter()
    }

    pub(crate) fn state(&self, process: u32) -> ProcessState {
        self.processes[process as usize].state
    }

    pub(crate) fn life(&self, process: u32) -> u32 {
        self.processes[process as usize].life
    }

    pub(crate) fn process_of(&self, slot: usize) -> u32 {
        slot as u32 / self.concurrency
    }

    /// The slots of a process.
    pub(crate) fn slots_of(&self, process: u32) -> std::ops::Range<usize> {
        let first = (process * self.concurrency) as usize;
        first..first + self.concurrency as usize
    }

    /// Jobs in service in the process of that slot.
    pub(crate) fn busy_beside(&self, slot: usize) -> u32 {
        self.processes[self.process_of(slot) as usize].busy
    }

    /// Takes an idle slot of the process that has waited longest.
    pub(crate) fn take_idle(&mut self) -> Option<usize> {
        while let Some(number) = self.turn.pop_front() {
            let process = &mut self.processes[number as usize];
            process.in_turn = false;
            let Some(slot) = process.idle.pop() else { continue };
            process.busy += 1;
            self.busy += 1;
            if !process.idle.is_empty() {
                process.in_turn = true;
                self.turn.push_back(number);
            }
            return Some(slot as usize);
        }
        None
    }

    /// Whether the process of a slot that has just finished takes another job.
    pub(crate) fn goes_on(&self, slot: usize) -> bool {
        self.processes[self.process_of(slot) as usize].state == ProcessState::Up
    }

    /// A slot is idle again.
    pub(crate) fn give_back(&mut self, slot: usize) {
        let number = self.process_of(slot);
        let process = &mut self.processes[number as usize];
        process.busy -= 1;
        self.busy -= 1;
        self.draining -= u64::from(process.state == ProcessState::Draining);
        match process.state {
            ProcessState::Draining if process.busy == 0 => process.state = ProcessState::Off,
            ProcessState::Up => {
                process.idle.push(slot as u32);
                self.queue_up(number);
            }
            _ => {}
        }
    }

    /// A process is ordered.
    pub(crate) fn order(&mut self, process: u32) {
        debug_assert_eq!(self.state(process), ProcessState::Off);
        self.processes[process as usize].state = ProcessState::Starting;
        self.processes[process as usize].life += 1;
    }

    /// A process takes jobs from now on.
    pub(crate) fn bring_up(&mut self, number: u32) {
        let slots = self.slots_of(number);
        let process = &mut self.processes[number as usize];
        debug_assert_eq!(process.busy, 0, "a process that drains is not started");
        process.life += u32::from(process.state == ProcessState::Off);
        process.state = ProcessState::Up;
        process.idle = slots.rev().map(|slot| slot as u32).collect();
        self.up += 1;
        self.queue_up(number);
    }

    /// A process takes no more jobs and ends with the last one that it has.
    pub(crate) fn stop(&mut self, number: u32) {
        let process = &mut self.processes[number as usize];
        if process.state == ProcessState::Up {
            self.up -= 1;
            self.draining += u64::from(process.busy);
        }
        process.idle.clear();
        process.state = if process.busy == 0 { ProcessState::Off } else { ProcessState::Draining };
    }

    /// A process is gone at once.
    pub(crate) fn kill(&mut self, number: u32) {
        let process = &mut self.processes[number as usize];
        self.up -= u32::from(process.state == ProcessState::Up);
        self.busy -= u64::from(process.busy);
        if process.state == ProcessState::Draining {
            self.draining -= u64::from(process.busy);
        }
        process.busy = 0;
        process.idle.clear();
        process.state = ProcessState::Off;
    }

    fn queue_up(&mut self, number: u32) {
        if !std::mem::replace(&mut self.processes[number as usize].in_turn, true) {
            self.turn.push_back(number);
        }
    }
}

/// The number of slots, or of busy ones, has changed.
pub(super) fn changed<P: Probe>(run: &mut DetailedRun<'_, P>) {
    run.recorder.busy_slots_changed(run.now, run.level.fleet.busy());
    run.recorder.slots_changed(run.now, run.level.fleet.available());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_take_jobs_in_turn() {
        let mut fleet = Fleet::new(3, 3, 2);
        let slots: Vec<usize> = (0..6).filter_map(|_| fleet.take_idle()).collect();
        let processes: Vec<u32> = slots.into_iter().map(|slot| fleet.process_of(slot)).collect();
        assert_eq!(processes, [0, 1, 2, 0, 1, 2]);
        assert!(fleet.take_idle().is_none());
    }

    #[test]
    fn a_stopped_process_ends_with_its_last_job() {
        let mut fleet = Fleet::new(1, 2, 2);
        let slot = fleet.take_idle().expect("two are idle");
        fleet.stop(0);
        assert_eq!((fleet.state(0), fleet.up(), fleet.take_idle()), (ProcessState::Draining, 0, None));
        fleet.give_back(slot);
        assert_eq!((fleet.state(0), fleet.busy()), (ProcessState::Off, 0));
        fleet.order(1);
        fleet.bring_up(1);
        assert_eq!((fleet.up(), fleet.available()), (1, 2));
    }
}
