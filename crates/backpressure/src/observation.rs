//! The state of the queue, as a policy observes it.

use crate::state::Depth;
use crate::time::Nanos;

/// The queue at one moment. Only the depth is needed; a field that nobody measured is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Jobs waiting plus jobs in service, without the one about to be decided on.
    pub depth: Depth,
    /// Workers that take jobs.
    pub workers: Option<u32>,
    /// Jobs completed since some fixed moment.
    pub completed: Option<u64>,
    /// How long the oldest job has waited.
    pub oldest_age: Option<Nanos>,
}

impl Observation {
    /// An observation of the depth alone.
    #[inline]
    #[must_use]
    pub const fn of(depth: Depth) -> Observation {
        Observation { depth, workers: None, completed: None, oldest_age: None }
    }
}

impl From<Depth> for Observation {
    #[inline]
    fn from(depth: Depth) -> Observation {
        Observation::of(depth)
    }
}

impl From<u64> for Observation {
    /// A known depth in jobs.
    #[inline]
    fn from(jobs: u64) -> Observation {
        Observation::of(Depth::Known(jobs))
    }
}
