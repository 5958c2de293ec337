//! The present state, as plain data for the metrics and health endpoints.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use backpressure::{Config, Snapshot};

use crate::circuit::Pressure;
use crate::queue::{Counts, Memory, WorkerInfo};
use crate::spill::SpillState;

/// The present state.
pub struct Status {
    /// `None` if the queue does not answer.
    pub counts: Option<Counts>,
    /// `None` if the list could not be read.
    pub workers: Option<Vec<WorkerInfo>>,
    /// `None` if it could not be read.
    pub memory: Option<Memory>,
    /// What Redis does not allow.
    pub denied: Denied,
    /// `None` without a database to report on.
    pub database: Option<bool>,
    /// How much Redis may still be given.
    pub pressure: Pressure,
    /// When the gateway started.
    pub started: SystemTime,
    /// The circuit.
    pub circuit: Snapshot,
    /// The policy's settings.
    pub policy: Config,
    /// Rejections since the last reset.
    pub rejected: u64,
    /// The spill; `None` without one.
    pub spill: Option<SpillState>,
    /// As configured.
    pub worker_concurrency: u32,
}

impl Status {
    /// The health of the queue in the specification's words.
    #[must_use]
    pub fn health(&self) -> &'static str {
        self.circuit.health.as_str()
    }

    /// What is wrong with a queue that answers: it takes no jobs, or does not let itself be looked at.
    #[must_use]
    pub fn problems(&self) -> Vec<&'static str> {
        if self.counts.is_none() {
            return Vec::new();
        }
        let is_read_only = self.memory.as_ref().is_some_and(|memory| memory.is_read_only);
        let all = [
            (is_read_only, READ_ONLY),
            (self.denied.jobs, NO_JOBS),
            (self.denied.memory, NO_MEMORY),
            (self.denied.workers, NO_WORKERS),
        ];
        all.into_iter().filter_map(|(is_so, words)| is_so.then_some(words)).collect()
    }
}

/// What the access list of Redis does not allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Denied {
    /// To add jobs.
    pub jobs: bool,
    /// `INFO`.
    pub memory: bool,
    /// `CLIENT LIST`.
    pub workers: bool,
}

/// The latest readings; `None` where the latest one failed.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Memory of the queue.
    pub memory: Option<Memory>,
    /// Workers of the queue.
    pub workers: Option<Vec<WorkerInfo>>,
    /// What is not allowed.
    pub denied: Denied,
    /// Whether the database answers.
    pub database: Option<bool>,
}

/// The latest readings, shared between the monitor and its readers.
#[derive(Default)]
pub struct LastSeen(Mutex<Seen>);

impl LastSeen {
    /// The latest readings.
    #[must_use]
    pub fn get(&self) -> Seen {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many workers were last seen.
    pub(crate) fn workers(&self) -> Option<u32> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.workers.as_ref().and_then(|workers| u32::try_from(workers.len()).ok())
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A replica.
pub const READ_ONLY: &str =
    "it is a read-only replica: events are rejected, and priority 1 waits in the spill";
/// A command that adds jobs is denied.
pub const NO_JOBS: &str = "its ACL does not let jobs in (the documentation lists the commands): events are rejected, and priority 1 waits in the spill";
/// `INFO` is denied.
pub const NO_MEMORY: &str =
    "its memory cannot be read (the ACL needs +info): watermarks and the check of eviction are off";
/// `CLIENT LIST` is denied.
pub const NO_WORKERS: &str =
    "its clients cannot be listed (the ACL needs +client|list): workers are not counted";
