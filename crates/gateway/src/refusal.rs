//! Why an event was turned away.

use std::fmt;
use std::time::Duration;

use backpressure::{Rejection, State};

/// Everything a refused client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that applied.
    pub reason: RefusalReason,
    /// The state of the circuit at that moment.
    pub state: State,
    /// When to come back.
    pub retry_after: Duration,
}

/// The rule that turned an event away: those of the policy, and those of what stands around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
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
    /// Too much is being worked on or waits.
    Busy,
    /// The queue remembers as many keys of clients as it may.
    TooManyKeys,
    /// The circuit kept changing while the queue was asked.
    Contended,
    /// The organization has used up its quota.
    Quota,
    /// The token has used up its quota.
    TokenQuota,
}

impl RefusalReason {
    /// All of them; a further one is to be added here.
    pub fn all() -> impl Iterator<Item = RefusalReason> {
        let own = [
            RefusalReason::Memory,
            RefusalReason::ShardFull,
            RefusalReason::QueueUnavailable,
            RefusalReason::QueueFull,
            RefusalReason::SpillFull,
            RefusalReason::SpillFailed,
            RefusalReason::Busy,
            RefusalReason::TooManyKeys,
            RefusalReason::Contended,
            RefusalReason::Quota,
            RefusalReason::TokenQuota,
        ];
        backpressure::Reason::ALL.iter().copied().map(RefusalReason::Policy).chain(own)
    }

    /// Fit for a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            RefusalReason::Policy(reason) => reason.as_str(),
            RefusalReason::Memory => "memory",
            RefusalReason::ShardFull => "shard_full",
            RefusalReason::QueueUnavailable => "queue_unavailable",
            RefusalReason::QueueFull => "queue_full",
            RefusalReason::SpillFull => "spill_full",
            RefusalReason::SpillFailed => "spill_failed",
            RefusalReason::Busy => "busy",
            RefusalReason::TooManyKeys => "too_many_keys",
            RefusalReason::Contended => "contended",
            RefusalReason::Quota => "quota",
            RefusalReason::TokenQuota => "token_quota",
        }
    }

    /// Whether the client has sent more than its share, whatever the state of the queue.
    #[must_use]
    pub fn is_quota(self) -> bool {
        matches!(self, RefusalReason::Quota | RefusalReason::TokenQuota)
    }

    /// For people.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            RefusalReason::Policy(reason) => reason.words(),
            RefusalReason::Memory => "the memory of the queue is nearly full: only priority 1 is accepted",
            RefusalReason::ShardFull => "one of the queues is full for this priority",
            RefusalReason::QueueUnavailable => "the queue does not answer",
            RefusalReason::QueueFull => "the queue is out of memory",
            RefusalReason::SpillFull => "the queue does not answer and the spill is full",
            RefusalReason::SpillFailed => "the queue does not answer and the spill cannot be written",
            RefusalReason::Busy => "too many requests are being worked on",
            RefusalReason::TooManyKeys => {
                "as many idempotency keys are remembered as may be: send without one, or later"
            }
            RefusalReason::Contended => "the circuit is changing state",
            RefusalReason::Quota => "the organization has used up its quota",
            RefusalReason::TokenQuota => "the token has used up its quota",
        }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Refusal {
    pub(crate) fn of_policy(rejection: &Rejection) -> Refusal {
        Refusal {
            reason: RefusalReason::Policy(rejection.reason),
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
