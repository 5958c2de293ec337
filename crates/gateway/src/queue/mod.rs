//! The queue behind the gateway: what it can do, whichever one it is.
//!
//! [`redis`] is BullMQ's, for production; [`embedded`] lives in memory with workers of its own, so that the gateway can be tried
//! without anything else. The same tests run against both.

pub mod embedded;
mod link;
pub mod redis;

use std::time::Duration;

use async_trait::async_trait;
use backpressure::Priority;
use serde::{Deserialize, Serialize};

/// A job to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// An id of the gateway's own for jobs that may have to be sent twice; `None` has the queue number it.
    pub id: Option<String>,
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

/// A job and the depth from which the queue must not take it.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// The job.
    pub job: &'a Job,
    /// Compared with the depth in the same step; `None` takes it at any depth.
    pub limit: Option<u64>,
}

/// What became of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the queue.
    Enqueued {
        /// Its id.
        id: String,
        /// The depth of its part of the queue before it.
        depth: u64,
    },
    /// A job with this id had been enqueued before; nothing was done.
    Duplicate {
        /// The id.
        id: String,
    },
    /// The depth was at the limit, or the part's share of it, or above; nothing was done.
    Refused {
        /// The depth of that part of the queue.
        depth: u64,
    },
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
    /// Waiting for a time, to be tried again for example.
    pub delayed: u64,
    /// Completed jobs that are kept.
    pub completed: u64,
    /// Failed jobs that are kept.
    pub failed: u64,
    /// Jobs ever completed: never falls while the queue exists.
    pub completed_total: u64,
    /// Whether workers are told to take nothing.
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

    /// Both together; paused if any is.
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

/// The memory of the store; of several stores, of the one that is fullest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Bytes in use.
    pub used: u64,
    /// Bytes allowed; 0 for no limit.
    pub max: u64,
    /// What the store does at the limit, in Redis' words, if it drops data of its own accord.
    pub evicts: Option<String>,
}

/// A worker as the store sees it. Where it connects from is left out on purpose.
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

/// Why the queue did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// It does not answer, or refuses to work at present. A job offered may or may not have been taken.
    #[error("the queue is unavailable: {0}")]
    Unavailable(String),
    /// It has no memory left; nothing was done.
    #[error("the queue is out of memory: {0}")]
    Full(String),
}

/// What the gateway needs of a queue.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Jobs waiting and in service, by the cheapest way there is.
    async fn depth(&self) -> Result<u64, QueueError>;

    /// All counts, of one moment.
    async fn counts(&self) -> Result<Counts, QueueError>;

    /// Offers jobs in their order; the answers are in the same order. Each is taken whole or not at all.
    async fn enqueue(&self, offers: &[Offer<'_>]) -> Vec<Result<Outcome, QueueError>>;

    /// The memory of the store.
    async fn memory(&self) -> Result<Memory, QueueError>;

    /// Workers that serve the queue now.
    async fn workers(&self) -> Result<Vec<WorkerInfo>, QueueError>;

    /// Whether there is a connection at this moment; says nothing of the next.
    fn is_connected(&self) -> bool;

    /// In how many equal parts the queue is kept: each compares its own depth with its share of a limit.
    fn parts(&self) -> u64 {
        1
    }

    /// Ends what runs in the background, after at most `patience`.
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
