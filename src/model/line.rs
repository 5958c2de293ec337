//! The waiting line: jobs in order of service.

use std::collections::VecDeque;

use super::config::{Discipline, ModelConfig};
use super::job::Job;

/// One line, or one for each queue priority or lane.
#[derive(Debug)]
pub(crate) struct WaitingLine<D> {
    lines: Vec<VecDeque<Job<D>>>,
    /// Bit `i` is set while `lines[i]` holds a job.
    occupied: u64,
    /// Jobs whose worker died: BullMQ puts them before all others.
    returned: VecDeque<Job<D>>,
    /// Jobs that each line is served in its turn; empty where the first line always goes first.
    weights: Vec<u32>,
    turn: usize,
    served_in_turn: u32,
    /// How many jobs at the head of each line have lost their data.
    evicted: Vec<usize>,
}

/// More lines than this do not fit into a word.
pub(crate) const MOST_LINES: usize = u64::BITS as usize;

/// Which line the jobs of each class wait in, and how many lines there are.
pub(crate) fn lines_of_classes(config: &ModelConfig) -> (Vec<u8>, usize) {
    let classes = &config.classes;
    match &config.queue.discipline {
        Discipline::Fifo => (vec![0; classes.len()], 1),
        Discipline::Priority => {
            let mut priorities: Vec<u32> = classes.iter().map(|class| class.queue_priority).collect();
            priorities.sort_unstable();
            priorities.dedup();
            assert!(priorities.len() <= MOST_LINES, "the scenario admits {MOST_LINES} queue priorities");
            let line = |priority: u32| priorities.partition_point(|&other| other < priority) as u8;
            (classes.iter().map(|class| line(class.queue_priority)).collect(), priorities.len())
        }
        Discipline::Lanes(lanes) => {
            let lane = |class: usize| lanes.iter().position(|lane| lane.classes.contains(&class));
            let lines = (0..classes.len()).map(|class| lane(class).expect("every class has its lane") as u8);
            (lines.collect(), lanes.len())
        }
    }
}

impl<D: Copy> WaitingLine<D> {
    pub(crate) fn new(discipline: &Discipline, lines: usize) -> Self {
        let weights = match discipline {
            Discipline::Lanes(lanes) => lanes.iter().map(|lane| lane.weight).collect(),
            _ => Vec::new(),
        };
        Self {
            lines: std::iter::repeat_with(VecDeque::new).take(lines).collect(),
            occupied: 0,
            returned: VecDeque::new(),
            weights,
            turn: 0,
            served_in_turn: 0,
            evicted: vec![0; lines],
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.occupied == 0 && self.returned.is_empty()
    }

    /// How many jobs wait.
    #[inline]
    pub(crate) fn len(&self) -> u64 {
        self.lines.iter().fold(self.returned.len(), |sum, line| sum + line.len()) as u64
    }

    #[inline]
    pub(crate) fn push(&mut self, line: u8, job: Job<D>) {
        self.lines[usize::from(line)].push_back(job);
        self.occupied |= 1 << line;
    }

    /// Takes the first job of the first line that has one. Only for disciplines that are so, and where no job returns or
    /// loses its data.
    #[inline]
    pub(crate) fn pop_strictly(&mut self) -> Option<Job<D>> {
        let line = self.lines.get_mut(self.occupied.trailing_zeros() as usize)?;
        let job = line.pop_front();
        if line.is_empty() {
            self.occupied &= self.occupied - 1;
        }
        job
    }

    /// Puts a job before all others.
    pub(crate) fn put_back(&mut self, job: Job<D>) {
        self.returned.push_back(job);
    }

    /// Takes the job that is served next, and says whether its data is still there.
    pub(crate) fn pop(&mut self) -> Option<(Job<D>, bool)> {
        if let Some(job) = self.returned.pop_front() {
            return Some((job, true));
        }
        let line = if self.weights.is_empty() {
            self.occupied.trailing_zeros() as usize
        } else {
            self.line_in_turn()?
        };
        let jobs = self.lines.get_mut(line)?;
        let job = jobs.pop_front()?;
        if jobs.is_empty() {
            self.occupied &= !(1 << line);
        }
        let has_data = self.evicted[line] == 0;
        self.evicted[line] = self.evicted[line].saturating_sub(1);
        Some((job, has_data))
    }

    /// Weighted round robin: a line keeps its turn until it has been served its weight or is empty.
    fn line_in_turn(&mut self) -> Option<usize> {
        if self.occupied == 0 {
            return None;
        }
        while self.occupied >> self.turn & 1 == 0 || self.served_in_turn >= self.weights[self.turn] {
            self.turn = (self.turn + 1) % self.lines.len();
            self.served_in_turn = 0;
        }
        self.served_in_turn += 1;
        Some(self.turn)
    }

    /// Evicts the data of the job that has waited longest among those that still have theirs; `None` if there is none.
    pub(crate) fn evict(&mut self) -> Option<Job<D>> {
        let candidate = |line: usize| self.lines[line].get(self.evicted[line]).copied();
        let oldest = (0..self.lines.len())
            .filter_map(|line| Some((candidate(line)?, line)))
            .min_by_key(|(job, line)| (job.arrived, *line));
        let (job, line) = oldest?;
        self.evicted[line] += 1;
        Some(job)
    }

    /// Takes matching jobs from the ends of the lines, the last enqueued first, and says whether their data was still there.
    pub(crate) fn take_newest(&mut self, is_taken: impl Fn(&Job<D>) -> bool) -> Vec<(Job<D>, bool)> {
        let mut taken = Vec::new();
        for (index, line) in self.lines.iter_mut().enumerate() {
            while line.back().is_some_and(&is_taken) {
                let has_data = line.len() > self.evicted[index];
                taken.extend(line.pop_back().map(|job| (job, has_data)));
            }
            self.evicted[index] = self.evicted[index].min(line.len());
            if line.is_empty() {
                self.occupied &= !(1 << index);
            }
        }
        taken
    }

    /// Takes all jobs, in order of service within each line.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Job<D>> {
        self.occupied = 0;
        self.evicted.fill(0);
        self.returned.drain(..).chain(self.lines.iter_mut().flat_map(|line| line.drain(..)))
    }

    /// All jobs.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Job<D>> {
        self.returned.iter().chain(self.lines.iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::{SimDuration, SimTime};
    use crate::model::config::Lane;

    fn job(arrived: u64) -> Job<()> {
        Job { arrived: SimTime(arrived), hold: SimDuration::ZERO, bytes: 1, class: 0, details: () }
    }

    fn lanes(weights: &[u32]) -> Discipline {
        let lane = |&weight: &u32| Lane { name: String::new(), weight, classes: Vec::new() };
        Discipline::Lanes(weights.iter().map(lane).collect())
    }

    fn served(line: &mut WaitingLine<()>, count: usize) -> Vec<u64> {
        (0..count).filter_map(|_| line.pop()).map(|(job, _)| job.arrived.0).collect()
    }

    #[test]
    fn lanes_are_served_by_weight_and_none_starves() {
        let mut line = WaitingLine::new(&lanes(&[3, 1]), 2);
        for time in 0..6 {
            line.push(0, job(time));
            line.push(1, job(100 + time));
        }
        assert_eq!(served(&mut line, 8), [0, 1, 2, 100, 3, 4, 5, 101]);
        // The first lane is empty: the second has all turns.
        assert_eq!(served(&mut line, 9), [102, 103, 104, 105]);
        assert!(line.is_empty());
    }

    #[test]
    fn jobs_that_come_back_go_first() {
        let mut line = WaitingLine::new(&Discipline::Fifo, 1);
        line.push(0, job(5));
        line.put_back(job(9));
        assert_eq!(served(&mut line, 2), [9, 5]);
    }

    #[test]
    fn the_longest_waiting_lose_their_data_first() {
        let mut line = WaitingLine::new(&Discipline::Priority, 2);
        line.push(0, job(2));
        line.push(1, job(1));
        line.push(0, job(3));
        let evicted = |line: &mut WaitingLine<()>| line.evict().map(|job| job.arrived.0);
        assert_eq!([evicted(&mut line), evicted(&mut line)], [Some(1), Some(2)]);
        let next = |line: &mut WaitingLine<()>| line.pop().map(|(job, has_data)| (job.arrived.0, has_data));
        assert_eq!(next(&mut line), Some((2, false)));
        assert_eq!(next(&mut line), Some((3, true)));
        assert_eq!(next(&mut line), Some((1, false)));
        assert_eq!(evicted(&mut line), None);
    }

    #[test]
    fn what_was_enqueued_last_can_be_taken_back() {
        let mut line = WaitingLine::new(&Discipline::Fifo, 1);
        (0..5).for_each(|time| line.push(0, job(time)));
        assert_eq!(line.take_newest(|job| job.arrived.0 >= 3).len(), 2);
        assert_eq!(served(&mut line, 9), [0, 1, 2]);
    }
}
