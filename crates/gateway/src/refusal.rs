//! Why an event was turned away.

use std::fmt;
use std::time::Duration;

use backpressure::{Rejection, State};

/// Everything a refused client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that applied.
    pub reason: Reason,
    /// The state of the circuit at that moment.
    pub state: State,
    /// When to come back.
    pub retry_after: Duration,
}

/// The rule that turned an event away: those of the policy, and those of what stands around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The policy's reason.
    Policy(backpressure::Reason),
    /// Redis is above its memory watermark.
    Memory,
    /// The shard that was asked has reached its share of the limit.
    ShardFull,
    /// Redis does not answer, or answers with an error.
    QueueUnavailable,
    /// Redis refuses writes: it is full.
    QueueFull,
    /// The spill has reached its bound.
    SpillFull,
    /// The journal of the spill cannot be written.
    SpillFailed,
    /// Too many bytes are being worked on.
    Busy,
    /// The circuit kept changing while the queue was asked.
    Contended,
    /// The organization has used up its quota.
    Quota,
}

impl Reason {
    /// Fit for a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Policy(reason) => reason.as_str(),
            Reason::Memory => "memory",
            Reason::ShardFull => "shard_full",
            Reason::QueueUnavailable => "queue_unavailable",
            Reason::QueueFull => "queue_full",
            Reason::SpillFull => "spill_full",
            Reason::SpillFailed => "spill_failed",
            Reason::Busy => "busy",
            Reason::Contended => "contended",
            Reason::Quota => "quota",
        }
    }

    /// For people.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Reason::Policy(backpressure::Reason::Open) => "the circuit is open: only priority 1 is accepted",
            Reason::Policy(backpressure::Reason::HalfOpen) => {
                "the circuit is half open: only priorities 1 to 5 are accepted"
            }
            Reason::Policy(backpressure::Reason::Shed) => {
                "the queue is nearly full: priorities above 5 are shed"
            }
            Reason::Policy(_) => "the depth of the queue is unknown",
            Reason::Memory => "the memory of the queue is nearly full: only priority 1 is accepted",
            Reason::ShardFull => "one of the queues is full for this priority",
            Reason::QueueUnavailable => "the queue does not answer",
            Reason::QueueFull => "the queue is out of memory",
            Reason::SpillFull => "the queue does not answer and the spill is full",
            Reason::SpillFailed => "the queue does not answer and the spill cannot be written",
            Reason::Busy => "too many requests are being worked on",
            Reason::Contended => "the circuit is changing state",
            Reason::Quota => "the organization has used up its quota",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Refusal {
    pub(crate) fn of_policy(rejection: &Rejection) -> Refusal {
        Refusal {
            reason: Reason::Policy(rejection.reason),
            state: rejection.state,
            retry_after: Duration::from_nanos(rejection.retry_after.0),
        }
    }

    /// For `Retry-After`: whole seconds, at least one.
    #[must_use]
    pub fn retry_after_seconds(&self) -> u64 {
        (self.retry_after.as_secs() + u64::from(self.retry_after.subsec_nanos() > 0)).max(1)
    }
}
