//! The pool of database connections that all worker processes share.

use std::collections::VecDeque;

use crate::engine::time::SimTime;
use crate::stats::time_integral::TimeIntegral;

/// Connections in use, and the slots that wait for one, first come first served.
#[derive(Debug)]
pub(crate) struct Pool {
    limit: u64,
    used: u64,
    peak: u64,
    waiting: VecDeque<u32>,
    in_use: TimeIntegral,
    area_in_warmup: u128,
    /// First time that a slot found no connection.
    pub(crate) exhausted_at: Option<SimTime>,
}

impl Pool {
    pub(crate) fn new(limit: Option<u32>) -> Self {
        Self {
            limit: limit.map_or(u64::MAX, u64::from),
            used: 0,
            peak: 0,
            waiting: VecDeque::new(),
            in_use: TimeIntegral::default(),
            area_in_warmup: 0,
            exhausted_at: None,
        }
    }

    /// Takes a connection, or queues for one.
    pub(crate) fn acquire(&mut self, slot: usize, now: SimTime) -> bool {
        if self.used >= self.limit {
            self.exhausted_at.get_or_insert(now);
            self.waiting.push_back(slot as u32);
            return false;
        }
        self.used += 1;
        self.peak = self.peak.max(self.used);
        self.in_use.set(now, self.used);
        true
    }

    /// Gives a connection back, and names the slot that has it now.
    pub(crate) fn release(&mut self, now: SimTime) -> Option<usize> {
        let next = self.waiting.pop_front();
        if next.is_none() {
            self.used -= 1;
            self.in_use.set(now, self.used);
        }
        next.map(|slot| slot as usize)
    }

    /// A slot does not wait any longer.
    pub(crate) fn forget(&mut self, slot: usize) {
        self.waiting.retain(|&waiting| waiting as usize != slot);
    }

    /// Nobody has a connection or waits for one.
    pub(crate) fn clear(&mut self, now: SimTime) {
        self.waiting.clear();
        self.used = 0;
        self.in_use.set(now, 0);
    }

    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }

    /// Connections in use x nanoseconds so far.
    pub(crate) fn area(&self, now: SimTime) -> u128 {
        self.in_use.area(now)
    }

    pub(crate) fn warmup_ends(&mut self, now: SimTime) {
        self.area_in_warmup = self.area(now);
    }

    /// The same since the warm-up.
    pub(crate) fn area_after_warmup(&self, now: SimTime) -> u128 {
        self.area(now) - self.area_in_warmup
    }
}
