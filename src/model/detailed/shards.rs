//! The masters of Redis as servers: each runs one command after the other.
//!
//! A master is a queue with one server and no limit; the cost of a command is known on arrival, so its end follows from
//! the end of the one before it (Lindley 1952, "The theory of queues with a single server").

use std::collections::VecDeque;

use super::DetailedJob;
use crate::engine::time::{SimDuration, SimTime};

/// All masters.
#[derive(Debug)]
pub(crate) struct Shards {
    shards: Vec<Shard>,
    next_landing: SimTime,
}

#[derive(Clone, Debug, Default)]
struct Shard {
    /// When it has run all that has come so far.
    free_at: SimTime,
    /// Time that the commands so far take.
    work: u128,
    /// Of that, what was done during the warm-up.
    work_in_warmup: u128,
    /// Enqueues that wait for their turn, with the end of it.
    landing: VecDeque<(SimTime, DetailedJob)>,
}

impl Shards {
    pub(crate) fn new(count: u32) -> Self {
        Self { shards: vec![Shard::default(); count as usize], next_landing: SimTime::NEVER }
    }

    pub(crate) fn count(&self) -> usize {
        self.shards.len()
    }

    /// Runs a command after all that came before it: when it is done.
    pub(crate) fn run(&mut self, shard: usize, now: SimTime, cost: SimDuration) -> SimTime {
        let shard = &mut self.shards[shard];
        shard.free_at = shard.free_at.max(now) + cost;
        shard.work += u128::from(cost.0);
        shard.free_at
    }

    /// Keeps an enqueue until its command is done.
    pub(crate) fn land_at(&mut self, shard: usize, done: SimTime, job: DetailedJob) {
        self.shards[shard].landing.push_back((done, job));
        self.next_landing = self.next_landing.min(done);
    }

    pub(crate) fn next_landing(&self) -> SimTime {
        self.next_landing
    }

    /// Takes the enqueue that is done next.
    pub(crate) fn pop_landing(&mut self) -> Option<DetailedJob> {
        let due = |shard: &Shard| shard.landing.front().map(|(done, _)| *done);
        let next = self.next_landing;
        let shard = self.shards.iter_mut().find(|shard| due(shard) == Some(next))?;
        let (_, job) = shard.landing.pop_front()?;
        self.next_landing = self.shards.iter().filter_map(due).min().unwrap_or(SimTime::NEVER);
        Some(job)
    }

    /// Enqueues whose command is not done.
    pub(crate) fn landing(&self) -> impl Iterator<Item = &DetailedJob> {
        self.shards.iter().flat_map(|shard| shard.landing.iter().map(|(_, job)| job))
    }

    pub(crate) fn landing_count(&self) -> u64 {
        self.shards.iter().map(|shard| shard.landing.len() as u64).sum()
    }

    /// Nanoseconds of commands that were done by now, by shard.
    pub(crate) fn busy(&self, now: SimTime) -> impl Iterator<Item = u128> {
        self.shards.iter().map(move |shard| shard.done(now))
    }

    pub(crate) fn warmup_ends(&mut self, now: SimTime) {
        self.shards.iter_mut().for_each(|shard| shard.work_in_warmup = shard.done(now));
    }

    /// Nanoseconds of commands of the shard that was busiest since the warm-up.
    pub(crate) fn busy_after_warmup(&self, now: SimTime) -> u128 {
        self.shards.iter().map(|shard| shard.done(now) - shard.work_in_warmup).max().unwrap_or(0)
    }
}

impl Shard {
    fn done(&self, now: SimTime) -> u128 {
        self.work - u128::from(self.free_at.since(now).0)
    }
}
