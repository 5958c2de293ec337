//! Clients: how long they wait, and how they retry.

use crate::engine::time::SimDuration;

/// Clients that wait for an answer to their request and may send it again.
///
/// Without them a scenario's arrivals are sent once, whatever the answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clients {
    /// How long a client waits for its answer; `None` is without limit.
    pub timeout: Option<SimDuration>,
    /// What it waits for.
    pub wait_for: WaitFor,
    /// Most retries of a request, after rejections or time-outs.
    pub retries: u32,
    /// The pause before a retry.
    pub backoff: Backoff,
    /// Retries that all clients together may send, as a fraction of their requests; `None` is no limit.
    pub retry_budget: Option<f64>,
    /// Whether a rejected client comes back no earlier than the gateway's Retry-After asks.
    pub honour_retry_after: bool,
}

/// What a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitFor {
    /// The enqueue: the answer is 202 as soon as the job is in Redis.
    Acceptance,
    /// The work: the answer comes when a worker has done it.
    Completion,
}

/// The pause before a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// None.
    Immediate,
    /// Always the same.
    Fixed(SimDuration),
    /// Uniform between zero and `base` x 2^(retries so far), at most `cap`: "full jitter" (Brooker, "Exponential backoff
    /// and jitter", AWS Architecture Blog, 2015).
    Exponential {
        /// Largest pause before the first retry.
        base: SimDuration,
        /// Largest pause of all.
        cap: SimDuration,
    },
}
