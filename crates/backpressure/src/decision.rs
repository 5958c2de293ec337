//! What the policy answers, and everything a rejected job is told.

use core::fmt;

use crate::state::State;
use crate::time::Nanos;

/// The answer to "may this job come in?".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a decision that nobody looks at admits nothing and rejects nothing"]
pub enum Decision {
    /// Yes.
    Admit,
    /// No, for the reasons given.
    Reject(Rejection),
}

impl Decision {
    /// Whether the job may come in.
    #[inline]
    #[must_use]
    pub const fn is_admit(&self) -> bool {
        matches!(self, Decision::Admit)
    }

    /// The rejection, `None` when admitted.
    #[inline]
    #[must_use]
    pub const fn rejection(&self) -> Option<Rejection> {
        match self {
            Decision::Admit => None,
            Decision::Reject(rejection) => Some(*rejection),
        }
    }
}

/// Why a job was turned away, and what is to become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rejection {
    /// The rule that turned it away.
    pub reason: Reason,
    /// The state of the circuit at that moment.
    pub state: State,
    /// When to come back: the expected drain time to `recovery`, between `retry_after_min` and `retry_after_max`, plus up
    /// to half of it as deterministic jitter, so that the rejected do not return in one wave. See [`drain`](crate::drain).
    pub retry_after: Nanos,
    /// What the settings want done with jobs of this priority.
    pub disposition: Disposition,
}

/// The rule that turned a job away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The circuit is OPEN and the priority is not 1.
    Open,
    /// The circuit is HALF_OPEN and the priority is above 5.
    HalfOpen,
    /// The circuit is CLOSED, the depth has reached the shedding depth, and the priority is above 5.
    Shed,
    /// The depth is unknown, and `on_unknown_depth` does not admit this priority.
    DepthUnknown,
}

impl Reason {
    /// All reasons, in the order in which counters list them.
    pub const ALL: [Reason; 4] = [Reason::Open, Reason::HalfOpen, Reason::Shed, Reason::DepthUnknown];

    /// `"open"`, `"half_open"`, `"shed"` or `"depth_unknown"`: fit for a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::Open => "open",
            Reason::HalfOpen => "half_open",
            Reason::Shed => "shed",
            Reason::DepthUnknown => "depth_unknown",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is to become of a rejected job. Advice to the caller, chosen per priority by
/// [`ConfigBuilder::disposition`](crate::ConfigBuilder::disposition).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Disposition {
    /// Forget it: it is not worth sending again.
    Drop,
    /// Have the sender try again after `retry_after`.
    Retry,
    /// Keep it aside for replay: it must not be lost.
    DeadLetter,
}

impl Disposition {
    /// `"drop"`, `"retry"` or `"dead-letter"`, as written in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Disposition::Drop => "drop",
            Disposition::Retry => "retry",
            Disposition::DeadLetter => "dead-letter",
        }
    }
}

impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
