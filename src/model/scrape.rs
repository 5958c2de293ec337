//! What a monitoring system reads off the service: the metrics of the gateways, as the specification names them.

use crate::engine::time::SimTime;

/// One reading of everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrape {
    /// When.
    pub at: SimTime,
    /// What the gateways can read of the queue; `None` while Redis does not answer.
    pub queue: Option<QueueScrape>,
    /// Jobs rejected since the start, by class.
    pub rejected: Vec<u64>,
    /// Jobs accepted since the start, by class.
    pub accepted: Vec<u64>,
    /// State of each gateway's circuit as 0, 1, 2 for CLOSED, HALF_OPEN, OPEN; `None` of a gateway that is gone.
    pub circuits: Vec<Option<u8>>,
}

/// The counters and gauges that come from Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueScrape {
    /// Jobs waiting and in service, as the gateways see it: late where their reading is, and frozen where it is.
    pub pending: u64,
    /// Of these, jobs in service.
    pub active: u64,
    /// Jobs finished since the start.
    pub completed: u64,
    /// Jobs given up since the start.
    pub failed: u64,
    /// Jobs lost since the start.
    pub lost: u64,
    /// Worker processes that take jobs.
    pub workers: u32,
    /// Redis memory in bytes.
    pub redis: u64,
}
