//! Redis memory: the size of a job, room for the next one, and finished jobs that are kept.

use std::collections::VecDeque;

use super::config::{Keep, MemoryModel, ModelConfig, tables_of};
use crate::engine::time::{SimDuration, SimTime};
use crate::memory::JobState;

/// Memory in use.
#[derive(Debug)]
pub(crate) struct Memory {
    base: u64,
    limit: u64,
    watermark: u64,
    used: u64,
    peak: u64,
    model: MemoryModel,
    /// Jobs in Redis, and the numbers of them at which the bucket arrays of its dicts are doubled and halved.
    jobs: u64,
    doubled_above: u64,
    halved_below: u64,
    /// Bytes of these arrays for each bucket.
    bucket: u64,
    /// First time that the watermark was reached.
    pub(crate) watermark_at: Option<SimTime>,
    /// First time that a job found no room.
    pub(crate) full_at: Option<SimTime>,
}

/// The share of maxmemory that counts as a limit reached: the usual threshold of alerts.
pub(crate) const WATERMARK: f64 = 0.8;

/// Buckets of a new dict, and how few jobs a bucket must have for the array to shrink (`dict.h`, `server.h`: a tenth).
const FEWEST_BUCKETS: u64 = 4;
const LEAST_FILL: u64 = 10;

impl Memory {
    pub(crate) fn new(config: &ModelConfig) -> Self {
        let redis = &config.redis;
        let states = (0..config.classes.len()).map(|class| config.waiting_state(class));
        let tables = states.map(tables_of).max().unwrap_or(1);
        let (doubled_above, bucket) = match redis.memory {
            MemoryModel::Line { .. } => (u64::MAX, 0),
            MemoryModel::BullMq { .. } => (FEWEST_BUCKETS, 8 * u64::from(tables)),
        };
        Self {
            base: redis.base,
            limit: redis.maxmemory.unwrap_or(u64::MAX),
            watermark: redis.maxmemory.map_or(u64::MAX, |limit| (limit as f64 * WATERMARK) as u64),
            used: redis.base,
            peak: redis.base,
            model: redis.memory,
            jobs: 0,
            doubled_above,
            halved_below: 0,
            bucket,
            watermark_at: None,
            full_at: None,
        }
    }

    /// Bytes that a job of that payload takes while it waits; jobs beyond 4 GiB count as 4 GiB.
    #[inline]
    pub(crate) fn bytes_of_job(&self, state: JobState, payload: f64) -> u32 {
        (self.model.of_job(state, payload as u64) + 0.5) as u32
    }

    /// Takes in a job, or takes nothing and says that there is no room. As Redis does, it looks before each command whether
    /// the limit is exceeded already, so that the last job that finds room may exceed it.
    #[inline]
    pub(crate) fn allocate(&mut self, bytes: u32, now: SimTime) -> bool {
        if self.is_full() {
            self.full_at.get_or_insert(now);
            return false;
        }
        self.add(bytes, now);
        true
    }

    /// Takes in a job whether there is room or not.
    #[inline]
    pub(crate) fn add(&mut self, bytes: u32, now: SimTime) {
        self.jobs += 1;
        if self.jobs > self.doubled_above {
            self.double();
        }
        self.grow(bytes, now);
    }

    /// A job is gone.
    #[inline]
    pub(crate) fn remove(&mut self, bytes: u32) {
        self.jobs -= 1;
        self.used -= u64::from(bytes);
        if self.jobs < self.halved_below {
            self.halve();
        }
    }

    /// Something else takes memory.
    #[inline]
    pub(crate) fn grow(&mut self, bytes: u32, now: SimTime) {
        self.used += u64::from(bytes);
        if self.used > self.peak {
            self.peak = self.used;
            if self.used >= self.watermark {
                self.watermark_at.get_or_insert(now);
            }
        }
    }

    /// It gives them back.
    #[inline]
    pub(crate) fn shrink(&mut self, bytes: u64) {
        self.used -= bytes;
    }

    #[cold]
    fn double(&mut self) {
        self.used += self.bucket * self.doubled_above;
        self.doubled_above *= 2;
        self.halved_below = self.doubled_above / LEAST_FILL;
    }

    #[cold]
    fn halve(&mut self) {
        while self.doubled_above > FEWEST_BUCKETS && self.jobs < self.doubled_above / LEAST_FILL {
            self.doubled_above /= 2;
            self.used -= self.bucket * self.doubled_above;
        }
        self.halved_below = self.doubled_above / LEAST_FILL;
    }

    /// Whether writes are refused.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.used > self.limit
    }

    /// Bytes more that a job takes while a worker has it.
    pub(crate) fn bytes_while_active(&self, state: JobState, payload: u32) -> u32 {
        let of = |state| self.model.of_job(state, u64::from(payload));
        (of(JobState::Active) - of(state)).max(0.0) as u32
    }

    /// Bytes of a finished job that stays, with its share of the dicts that it is in.
    pub(crate) fn bytes_when_kept(&self, state: JobState, payload: u32) -> u32 {
        let dicts = if self.bucket > 0 { 2.0 * MEAN_BUCKETS * 8.0 } else { 0.0 };
        (self.model.of_job(state, u64::from(payload)) + dicts) as u32
    }

    /// The process starts anew and empty.
    pub(crate) fn restart(&mut self) {
        self.used = self.base;
        self.jobs = 0;
        if self.bucket > 0 {
            self.doubled_above = FEWEST_BUCKETS;
            self.halved_below = 0;
        }
    }

    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// The limit; `u64::MAX` is none.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }
}

/// Buckets for each entry of a dict that doubles: between 1 and 2.
const MEAN_BUCKETS: f64 = 1.5;

/// Finished jobs that stay in Redis, the oldest first. What is too old goes when the next one comes, as in BullMQ.
#[derive(Debug)]
pub(crate) struct Kept {
    keep: Keep,
    jobs: VecDeque<(SimTime, u32)>,
}

impl Kept {
    pub(crate) fn new(keep: Keep) -> Self {
        Self { keep, jobs: VecDeque::new() }
    }

    pub(crate) fn is_used(&self) -> bool {
        self.keep.count > 0
    }

    /// Keeps a job, and says how many bytes of older ones go for it.
    pub(crate) fn add(&mut self, now: SimTime, bytes: u32) -> u64 {
        if self.keep.count == u64::MAX && self.keep.age == SimDuration(u64::MAX) {
            return 0; // nothing ever goes, so nothing need be remembered
        }
        self.jobs.push_back((now, bytes));
        let mut freed = 0;
        while let Some(&(finished, bytes)) = self.jobs.front()
            && (self.jobs.len() as u64 > self.keep.count || now.since(finished) > self.keep.age)
        {
            self.jobs.pop_front();
            freed += u64::from(bytes);
        }
        freed
    }

    /// Takes the oldest job out: its bytes.
    pub(crate) fn pop(&mut self) -> Option<u32> {
        self.jobs.pop_front().map(|(_, bytes)| bytes)
    }

    pub(crate) fn clear(&mut self) {
        self.jobs.clear();
    }
}
