//! Redis: its memory, and the time that it has for commands.

use crate::engine::time::SimDuration;

/// Redis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Redis {
    /// Limit in bytes; `None` is no limit.
    pub maxmemory: Option<u64>,
    /// What a full Redis does.
    pub on_full: OnFull,
    /// Bytes used with no job in it.
    pub base: u64,
    /// What a job takes.
    pub memory: MemoryModel,
    /// Memory that the allocator holds for each byte in use; `maxmemory` does not count it, the machine does.
    pub fragmentation: f64,
    /// Completed jobs that are kept.
    pub keep_completed: Keep,
    /// Failed jobs that are kept.
    pub keep_failed: Keep,
    /// How long a crashed Redis is away.
    pub restart_after: SimDuration,
    /// Share of `maxmemory` from which the gateways admit priority 1 only; `None` if they do not look at it.
    pub watermark: Option<f64>,
    /// Masters that the queues are spread over.
    pub shards: u32,
    /// What commands cost; `None` if Redis is never the bottleneck.
    pub operations: Option<Operations>,
}

/// Bytes of a job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MemoryModel {
    /// A straight line.
    Line {
        /// Bytes of a job besides its payload.
        job_overhead: f64,
        /// Bytes of memory for each byte of payload.
        payload_factor: f64,
    },
}

/// Finished jobs that stay in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// At most so many; zero is none.
    pub count: u64,
    /// At most so long.
    pub age: SimDuration,
}

/// Processor time of the one thread that runs commands, for each shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operations {
    /// For the enqueue of a job.
    pub enqueue: SimDuration,
    /// For fetching and finishing a job.
    pub cycle: SimDuration,
    /// For reading the depth.
    pub depth: SimDuration,
}

/// What a full Redis does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// Enqueues fail until there is room again. Busy workers drain it; an idle one cannot fetch (`noeviction`).
    Reject,
    /// The process dies, all jobs in it are lost, and it comes back empty.
    Crash,
    /// The longest unused jobs lose their data without a word, and run empty (`allkeys-lru`).
    Evict,
}

impl Keep {
    /// `removeOnComplete: true`.
    pub const NOTHING: Self = Self { count: 0, age: SimDuration(u64::MAX) };
}
