//! The words for how things stand: the circuit's state, the queue's health, and what is known of its depth.

use core::fmt;

/// The state of the circuit. [`Policy::observe`](crate::Policy::observe) moves it,
/// [`Policy::reset`](crate::Policy::reset) closes it, nothing else touches it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Normal operation. The kind `spec` admits everything below the shedding depth, priorities 1 to 5 from it on.
    #[default]
    Closed,
    /// Recovering. The kind `spec` admits priorities 1 to 5.
    HalfOpen,
    /// Overload. The kind `spec` admits priority 1 alone.
    Open,
}

impl State {
    /// All states, from normal to overload.
    pub const ALL: [State; 3] = [State::Closed, State::HalfOpen, State::Open];

    /// `"CLOSED"`, `"HALF_OPEN"` or `"OPEN"`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Closed => "CLOSED",
            State::HalfOpen => "HALF_OPEN",
            State::Open => "OPEN",
        }
    }

    /// The value of the metric `rule_engine_backpressure_circuit_state`: 0 closed, 1 half open, 2 open.
    #[inline]
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How the last known depth compares with the thresholds. It only informs; it rejects nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// Depth below `warning`, or not known yet.
    #[default]
    Healthy,
    /// Depth at `warning` or above, below `critical`.
    Warning,
    /// Depth at `critical` or above.
    Critical,
}

impl Health {
    /// `"healthy"`, `"warning"` or `"critical"`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Health::Healthy => "healthy",
            Health::Warning => "warning",
            Health::Critical => "critical",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What an observation says about the queue: jobs waiting plus jobs in service, or that nobody can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Depth {
    /// So many jobs.
    Known(u64),
    /// The signal is missing: the queue did not answer, or its answer is too old to be believed.
    Unknown,
}

impl Depth {
    /// The number of jobs, `None` when unknown.
    #[must_use]
    pub const fn known(self) -> Option<u64> {
        match self {
            Depth::Known(jobs) => Some(jobs),
            Depth::Unknown => None,
        }
    }
}

impl From<u64> for Depth {
    fn from(jobs: u64) -> Depth {
        Depth::Known(jobs)
    }
}

/// Who is admitted while the depth is unknown. It replaces the rule of the circuit's state for that time, whatever the
/// state is: with [`Admit`](OnUnknownDepth::Admit) an OPEN circuit that loses its signal admits everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnUnknownDepth {
    /// Everybody. The default: a broken gauge must not stop the business.
    #[default]
    Admit,
    /// Priority 1 alone.
    UrgentOnly,
    /// Nobody.
    Reject,
}

impl OnUnknownDepth {
    /// All choices, from lenient to strict.
    pub const ALL: [OnUnknownDepth; 3] =
        [OnUnknownDepth::Admit, OnUnknownDepth::UrgentOnly, OnUnknownDepth::Reject];

    /// `"admit"`, `"urgent-only"` or `"reject"`, as written in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            OnUnknownDepth::Admit => "admit",
            OnUnknownDepth::UrgentOnly => "urgent-only",
            OnUnknownDepth::Reject => "reject",
        }
    }
}

impl fmt::Display for OnUnknownDepth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
