//! Redis: its memory, and the time that it has for commands.

use crate::engine::time::SimDuration;
use crate::memory::{IdKind, JobShape, JobState, LISTPACK_VALUE, PLAIN_OPTIONS, PRIORITY_OPTION};

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
    /// Cost of commands; `None` if Redis is never the bottleneck.
    pub operations: Option<Operations>,
}

/// Bytes of a job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MemoryModel {
    /// What BullMQ's jobs take by the size classes of the allocator: `crate::memory`.
    BullMq {
        /// Bytes of a job's options as JSON, without its priority.
        options: u64,
        /// Format of its id.
        id: IdKind,
        /// `hash-max-listpack-value`.
        listpack_value: u64,
    },
    /// A straight line.
    Line {
        /// Bytes of a job besides its payload.
        job_overhead: f64,
        /// Bytes of memory for each byte of payload.
        payload_factor: f64,
    },
}

impl Default for Redis {
    /// One without limits.
    fn default() -> Self {
        Self {
            maxmemory: None,
            on_full: OnFull::Reject,
            base: BASE,
            memory: MemoryModel::BullMq {
                options: PLAIN_OPTIONS,
                id: IdKind::Int,
                listpack_value: LISTPACK_VALUE,
            },
            fragmentation: 1.0,
            keep_completed: Keep::NOTHING,
            keep_failed: Keep::NOTHING,
            restart_after: SimDuration(30_000_000_000),
            watermark: None,
            shards: 1,
            operations: None,
        }
    }
}

/// Bytes that a Redis with a queue and three worker processes uses when it is empty: measured 1.96 MB, and 0.56 MB of the
/// events stream at its cap (BullMQ 6.7.0 on Redis 7.0.15).
const BASE: u64 = 2_400 << 10;

impl MemoryModel {
    /// Bytes of a job in that state, without its share of common tables.
    pub fn of_job(&self, state: JobState, payload: u64) -> f64 {
        match *self {
            Self::Line { job_overhead, payload_factor } => job_overhead + payload_factor * payload as f64,
            Self::BullMq { options, id, listpack_value } => {
                let own = if state == JobState::Prioritized { PRIORITY_OPTION } else { 0 };
                let shape = JobShape { state, payload, options: options + own, id, listpack_value };
                shape.bytes().sum() as f64
            }
        }
    }

    /// Bytes of a number of equal waiting jobs.
    pub fn of_jobs(&self, jobs: u64, state: JobState, payload: u64) -> f64 {
        let tables = match self {
            Self::Line { .. } => 0,
            Self::BullMq { .. } => u64::from(tables_of(state)) * crate::memory::table(jobs),
        };
        jobs as f64 * self.of_job(state, payload) + tables as f64
    }
}

/// How many dicts a waiting job is in: the keyspace, and that of its sorted set.
pub(crate) fn tables_of(state: JobState) -> u8 {
    if state == JobState::Waiting { 1 } else { 2 }
}

/// Finished jobs that stay in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Largest number; zero is none.
    pub count: u64,
    /// Longest time.
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
