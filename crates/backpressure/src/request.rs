//! The job that a policy decides about.

use crate::mix;
use crate::priority::Priority;

/// A job that asks to come in.
///
/// A policy uses what it needs of this: `spec` the priority alone, `graded` also the id. From a [`Priority`] comes the
/// request of a job of which nothing else is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// How urgent it is.
    pub priority: Priority,
    /// Whose job it is: a hash of the organization's name, 0 if it has none.
    pub organization: u64,
    /// What distinguishes it from other jobs, and stays the same when it is sent again; 0 if it has none.
    pub id: u64,
    /// How many jobs it counts for; 1 but for batches.
    pub cost: u32,
}

impl Request {
    /// A single job of which only the priority is known.
    #[inline]
    #[must_use]
    pub const fn of(priority: Priority) -> Request {
        Request { priority, organization: 0, id: 0, cost: 1 }
    }

    /// The same job with an id.
    #[inline]
    #[must_use]
    pub const fn with_id(mut self, id: u64) -> Request {
        self.id = id;
        self
    }

    /// A hash of the id, evenly spread also over consecutive ids. The same in every process, so that all gateways agree.
    #[inline]
    pub(crate) const fn hash(&self) -> u64 {
        mix::mix64(self.id.wrapping_add(mix::GOLDEN))
    }
}

impl From<Priority> for Request {
    #[inline]
    fn from(priority: Priority) -> Request {
        Request::of(priority)
    }
}
