//! Redis memory: how much a job takes, whether there is room for it, and what stays when it is done.

use std::collections::VecDeque;

use super::config::{Keep, MemoryModel, Redis};
use crate::engine::time::{SimDuration, SimTime};

/// Memory in use.
#[derive(Debug)]
pub(crate) struct Memory {
    base: u64,
    limit: u64,
    watermark: u64,
    used: u64,
    peak: u64,
    job_overhead: f64,
    payload_factor: f64,
    /// First time that the watermark was reached.
    pub(crate) watermark_at: Option<SimTime>,
    /// First time that a job found no room.
    pub(crate) full_at: Option<SimTime>,
}

/// The share of maxmemory that counts as a limit reached: what operators are told to alert on.
pub(crate) const WATERMARK: f64 = 0.8;

impl Memory {
    pub(crate) fn new(redis: &Redis) -> Self {
        let limit = redis.maxmemory.unwrap_or(u64::MAX);
        let MemoryModel::Line { job_overhead, payload_factor } = redis.memory;
        Self {
            base: redis.base,
            limit,
            watermark: redis.maxmemory.map_or(u64::MAX, |limit| (limit as f64 * WATERMARK) as u64),
            used: redis.base,
            peak: redis.base,
            job_overhead,
            payload_factor,
            watermark_at: None,
            full_at: None,
        }
    }

    /// Bytes that a job of that payload takes; jobs beyond 4 GiB count as 4 GiB.
    #[inline]
    pub(crate) fn bytes_of_job(&self, payload: f64) -> u32 {
        (self.job_overhead + self.payload_factor * payload + 0.5) as u32
    }

    /// Takes the bytes, or takes nothing and says that there is no room. As Redis does, it looks before each command whether
    /// the limit is exceeded already, so that the last job that finds room may exceed it.
    #[inline]
    pub(crate) fn allocate(&mut self, bytes: u32, now: SimTime) -> bool {
        if self.is_full() {
            self.full_at.get_or_insert(now);
            return false;
        }
        self.force(bytes, now);
        true
    }

    /// Takes the bytes whether there is room or not.
    #[inline]
    pub(crate) fn force(&mut self, bytes: u32, now: SimTime) {
        self.used += u64::from(bytes);
        if self.used > self.peak {
            self.peak = self.used;
            if self.used >= self.watermark {
                self.watermark_at.get_or_insert(now);
            }
        }
    }

    /// Whether writes are refused.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.used > self.limit
    }

    /// Bytes more that a job takes while a worker has it.
    pub(crate) fn bytes_while_active(&self, _payload: u32) -> u32 {
        0
    }

    /// Bytes of a finished job that stays; `waiting` are those that it took before.
    pub(crate) fn bytes_when_kept(&self, waiting: u32, _payload: u32, _completed: bool) -> u32 {
        waiting
    }

    /// Gives the bytes back.
    #[inline]
    pub(crate) fn free(&mut self, bytes: u32) {
        self.used -= u64::from(bytes);
    }

    /// The same for several jobs together.
    pub(crate) fn free_many(&mut self, bytes: u64) {
        self.used -= bytes;
    }

    /// The process starts anew and empty.
    pub(crate) fn restart(&mut self) {
        self.used = self.base;
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
