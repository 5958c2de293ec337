//! The waiting line: jobs in order of service.

use std::collections::VecDeque;

use backpressure::Priority;

use super::Job;
use super::config::Discipline;

/// First come first served, or one such line for each priority.
#[derive(Debug)]
pub(crate) struct WaitingLine {
    /// By priority - 1; under FIFO everybody is in the first one.
    lines: [VecDeque<Job>; Priority::COUNT],
    /// Bit `i` is set while `lines[i]` holds a job.
    occupied: u32,
}

impl WaitingLine {
    pub(crate) fn new() -> Self {
        Self { lines: Default::default(), occupied: 0 }
    }

    /// Which line jobs of that priority wait in.
    pub(crate) fn line_of(discipline: &Discipline, priority: Priority) -> u8 {
        match discipline {
            Discipline::Fifo => 0,
            Discipline::Priority | Discipline::Lanes(_) => priority.get() - 1,
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, line: u8, job: Job) {
        self.lines[usize::from(line)].push_back(job);
        self.occupied |= 1 << line;
    }

    /// Takes the job that is served next.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Job> {
        let line = self.lines.get_mut(self.occupied.trailing_zeros() as usize)?;
        let job = line.pop_front();
        if line.is_empty() {
            self.occupied &= self.occupied - 1;
        }
        job
    }

    /// Takes all jobs, in order of service.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Job> {
        self.occupied = 0;
        self.lines.iter_mut().flat_map(|line| line.drain(..))
    }

    /// All jobs, in order of service.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Job> {
        self.lines.iter().flatten()
    }
}
