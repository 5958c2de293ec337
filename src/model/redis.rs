//! Redis memory: how much a job takes, and whether there is room for it.

use super::config::{MemoryModel, Redis};
use crate::engine::time::SimTime;

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

    /// Takes the bytes, or takes nothing and says that there is no room.
    #[inline]
    pub(crate) fn allocate(&mut self, bytes: u32, now: SimTime) -> bool {
        let used = self.used + u64::from(bytes);
        if used > self.limit {
            self.full_at.get_or_insert(now);
            return false;
        }
        self.used = used;
        if used > self.peak {
            self.peak = used;
            if used >= self.watermark {
                self.watermark_at.get_or_insert(now);
            }
        }
        true
    }

    /// Gives the bytes back.
    #[inline]
    pub(crate) fn free(&mut self, bytes: u32) {
        self.used -= u64::from(bytes);
    }

    /// The process starts anew and empty.
    pub(crate) fn restart(&mut self) {
        self.used = self.base;
    }

    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }
}
