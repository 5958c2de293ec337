//! Which jobs a rule lets in: all those before a mark on one line.
//!
//! ```text
//!   priority 1      priority 2                priority 10
//!  |...............|...............|   ...   |...............|
//!  0            1024            2048      9216           10240   parts
//!                          ^ cut: all of priority 1, part of priority 2
//! ```
//!
//! A job's *rank* is its place on this line: its priority, and within the priority a hash of its id. A cut admits the ranks
//! below it, so it cannot treat a more urgent job worse than a less urgent one, whatever its value.

use crate::priority::Priority;
use crate::request::Request;
use crate::state::{OnUnknownDepth, State};

/// Into how many parts a cut can divide a class.
pub const PARTS: u16 = 1024;

/// A mark on the line of ranks: jobs below it may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cut(u16);

impl Cut {
    /// Nobody may come in.
    pub const NOBODY: Cut = Cut(0);
    /// Everybody may come in.
    pub const EVERYBODY: Cut = Cut::through(Priority::LEAST_URGENT);

    /// All jobs up to and including this priority.
    #[inline]
    #[must_use]
    pub const fn through(priority: Priority) -> Cut {
        Cut(priority.get() as u16 * PARTS)
    }

    /// So many parts, [`PARTS`] to a class; more than there are counts as everybody.
    #[inline]
    #[must_use]
    pub const fn of_parts(parts: u16) -> Cut {
        if parts > Cut::EVERYBODY.0 { Cut::EVERYBODY } else { Cut(parts) }
    }

    /// The cut in the bits of a gate: a mark beyond the line admits everybody as well.
    #[inline]
    pub(crate) const fn from_bits(bits: u16) -> Cut {
        Cut(bits)
    }

    /// How many parts it admits.
    #[inline]
    #[must_use]
    pub const fn parts(self) -> u16 {
        self.0
    }

    /// What a state of the circuit admits by itself: CLOSED everybody, HALF_OPEN priorities 1 to 5, OPEN priority 1.
    #[inline]
    #[must_use]
    pub const fn of_state(state: State) -> Cut {
        match state {
            State::Closed => Cut::EVERYBODY,
            State::HalfOpen => Cut::through(Priority::DEFAULT),
            State::Open => Cut::through(Priority::MOST_URGENT),
        }
    }

    /// What is admitted while the depth is unknown.
    #[inline]
    #[must_use]
    pub const fn when_unknown(choice: OnUnknownDepth) -> Cut {
        match choice {
            OnUnknownDepth::Admit => Cut::EVERYBODY,
            OnUnknownDepth::UrgentOnly => Cut::through(Priority::MOST_URGENT),
            OnUnknownDepth::Reject => Cut::NOBODY,
        }
    }

    /// Whether this job may come in.
    #[inline]
    #[must_use]
    pub const fn admits(self, request: &Request) -> bool {
        let end = request.priority.get() as u16 * PARTS;
        // Only the class that the cut passes through needs the hash.
        end <= self.0 || (end - PARTS < self.0 && Cut::rank(request) < self.0)
    }

    /// The place of a job on the line, in parts.
    #[inline]
    #[must_use]
    pub(crate) const fn rank(request: &Request) -> u16 {
        request.priority.index() as u16 * PARTS + (request.hash() >> (u64::BITS - PART_BITS)) as u16
    }
}

const PART_BITS: u32 = PARTS.ilog2();
