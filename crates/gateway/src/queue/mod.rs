//! What the gateway needs of the queue behind it.
//!
//! [`redis`] is BullMQ's queue, for production. [`embedded`] is a queue in memory with workers of its own, to try the gateway without
//! anything else. The same tests run against both.

mod completed;
pub mod embedded;
pub mod ids;
pub mod line;
mod link;
pub mod redis;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backpressure::Priority;
use serde::{Deserialize, Serialize};

/// A job to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its id, known before it is sent, so that an event whose outcome is unknown has one too. See [`ids`].
    pub id: String,
    /// Its name: the type of the event.
    pub name: String,
    /// JSON text.
    pub data: String,
    /// 1 (most urgent) to 10.
    #[serde(with = "priority_number")]
    pub priority: Priority,
    /// When the event was accepted, milliseconds since 1970.
    pub timestamp_ms: u64,
}

/// A job, and how the queue is to take it.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The job.
    pub job: Arc<Job>,
    /// The depth from which the queue must refuse it, compared in the same step; `None` is no limit.
    pub limit: Option<u64>,
    /// Who may send it again.
    pub repeat: Repeat,
}

/// Who may send a job again, which decides for how long the queue remembers its id beyond the life of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Nobody: nothing is remembered.
    Never,
    /// The gateway, if it gets no answer: remembered until it has one.
    Gateway,
    /// A client, with its key: remembered for the window.
    Client,
    /// This is the second sending, and the queue may have the job already: remembered for the window.
    Again,
}

/// The queue's answer to an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It is in the queue.
    Added {
        /// The depth of its shard before it.
        depth: u64,
    },
    /// A job with this id was enqueued before; nothing was done.
    Duplicate,
    /// The depth had reached the limit, or the shard its share of the limit; nothing was done.
    Refused {
        /// The depth of that shard.
        depth: u64,
    },
    /// The queue remembers as many keys of clients as it may; nothing was done.
    TooManyKeys,
}

/// How many jobs are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// BullMQ's `wait`: jobs without a priority.
    pub wait: u64,
    /// BullMQ's `paused`: where version 5 keeps plain jobs while the queue is paused.
    pub paused: u64,
    /// BullMQ's `prioritized`: jobs with a priority.
    pub prioritized: u64,
    /// Being worked on.
    pub active: u64,
    /// Waiting for a time, for example to be tried again.
    pub delayed: u64,
    /// Completed jobs that are kept.
    pub completed: u64,
    /// Failed jobs that are kept.
    pub failed: u64,
    /// Jobs completed since the queue exists; goes on when the store begins anew.
    pub completed_total: u64,
    /// Whether workers may take nothing.
    pub is_paused: bool,
}

impl Counts {
    /// Jobs that a worker could take.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.wait + self.paused + self.prioritized
    }

    /// Jobs waiting and in service: what the policy calls depth.
    #[must_use]
    pub fn depth(&self) -> u64 {
        self.waiting() + self.active
    }

    /// The sum of both; paused if either is.
    #[must_use]
    pub fn plus(self, other: Counts) -> Counts {
        Counts {
            wait: self.wait + other.wait,
            paused: self.paused + other.paused,
            prioritized: self.prioritized + other.prioritized,
            active: self.active + other.active,
            delayed: self.delayed + other.delayed,
            completed: self.completed + other.completed,
            failed: self.failed + other.failed,
            completed_total: self.completed_total + other.completed_total,
            is_paused: self.is_paused || other.is_paused,
        }
    }
}

/// The memory of the store; of several stores, that of the fullest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Bytes in use.
    pub used: u64,
    /// Bytes allowed; 0 for no limit.
    pub max: u64,
    /// The eviction policy in Redis' words, if the store evicts.
    pub evicts: Option<String>,
    /// Whether the store, or one of the stores, is a replica that takes no jobs.
    pub is_read_only: bool,
}

/// A worker as the store sees it. Its address is left out on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkerInfo {
    /// Number of its connection.
    #[schema(example = "42")]
    pub id: String,
    /// The name it was given, if any.
    pub name: Option<String>,
    /// The queue it serves.
    pub queue: String,
    /// Seconds since it connected.
    pub age_seconds: u64,
    /// Seconds since its last command.
    pub idle_seconds: u64,
}

/// Why the queue failed. But for [`QueueError::Unknown`], nothing was done, nor will be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// There is no connection, or the queue answered that it takes nothing now.
    #[error("the queue is unavailable: {0}")]
    Unavailable(String),
    /// The access list of the store does not allow it.
    #[error("the queue does not allow it: {0}")]
    Denied(String),
    /// It is out of memory.
    #[error("the queue is out of memory: {0}")]
    Full(String),
    /// Too much waits to be sent to it, or waited too long. It was not sent.
    #[error("too many jobs wait for the queue")]
    Busy,
    /// It was sent and not answered in time, or the connection broke: what was asked for may be done, now or later.
    #[error("no answer from the queue: {0}")]
    Unknown(String),
}

/// What the gateway needs of a queue.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Jobs waiting and in service, read as cheaply as possible.
    async fn depth(&self) -> Result<u64, QueueError>;

    /// All counts, of one moment.
    async fn counts(&self) -> Result<Counts, QueueError>;

    /// Offers jobs in order; the answers are in the same order. Each offer is atomic. Jobs that were not sent yet when the caller
    /// stops waiting are never sent.
    async fn enqueue(&self, offers: &[Offer]) -> Vec<Result<Enqueued, QueueError>>;

    /// The memory of the store.
    async fn memory(&self) -> Result<Memory, QueueError>;

    /// Workers that serve the queue now.
    async fn workers(&self) -> Result<Vec<WorkerInfo>, QueueError>;

    /// Whether there is a connection at this moment.
    fn is_connected(&self) -> bool;

    /// Whether the access list of the store did not let the last jobs in.
    fn is_denied(&self) -> bool {
        false
    }

    /// The same queue on other connections, for readers that wait no longer than `patience`; `None` if it needs none.
    fn reader(&self, _patience: Duration) -> Option<Arc<dyn Queue>> {
        None
    }

    /// Number of shards; each compares its own depth with its share of a limit.
    fn parts(&self) -> u64 {
        1
    }

    /// Stops the background work after at most `patience`.
    async fn close(&self, patience: Duration);
}

mod priority_number {
    use backpressure::Priority;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(priority: &Priority, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(priority.get())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Priority, D::Error> {
        Priority::try_from(u8::deserialize(deserializer)?)
            .map_err(|_| serde::de::Error::custom("not 1 to 10"))
    }
}
