//! How things stand, as plain data for metrics and health endpoints.

use crate::decision::Reason;
use crate::policy::KindName;
use crate::priority::Priority;
use crate::state::{Depth, Health, State};
use crate::time::Nanos;

/// How things stand. Made by [`Policy::snapshot`](crate::Policy::snapshot); changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The kind of policy.
    pub kind: KindName,
    /// The depths at which it changes its mind.
    pub levels: Levels,
    /// The latest time the policy has seen. Ages are differences to this or to the caller's own present.
    pub at: Nanos,
    /// Whether decisions are enforced. When `false` everything is admitted, and `state` says what would have been.
    pub enabled: bool,
    /// The state of the circuit.
    pub state: State,
    /// The time of the last change of state (by a move or a reset), or of the start.
    pub since: Nanos,
    /// The health of the queue by its last known depth.
    pub health: Health,
    /// The last observation; `Unknown` as well before the first one.
    pub depth: Depth,
    /// The last depth that was known, in jobs; `None` when none ever was.
    pub last_known_depth: Option<u64>,
    /// The time of the last observation, known or not; `None` before the first.
    pub observed_at: Option<Nanos>,
    /// Net fall of the depth in thousandths of a job per second, as measured in the present state: positive when it
    /// drains, negative when it fills, `None` when not measured yet. See [`drain`](crate::drain).
    pub drain_millijobs_per_second: Option<i64>,
    /// The retry-after hint a rejection would carry now, without its jitter.
    pub retry_after: Nanos,
    /// Counters since the start.
    pub since_start: Counters,
    /// Counters since the last reset, or since the start when there was none.
    pub since_reset: Counters,
    /// The time of the last reset, or of the start.
    pub reset_at: Nanos,
    /// How often the circuit was reset.
    pub resets: u64,
    /// How often `now` was earlier than a `now` before it.
    pub clock_backwards: u64,
    /// Events lost because nobody polled them in time.
    pub events_dropped: u64,
}

/// A depth at which a policy changes its mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Name in charts, tables and metrics.
    pub name: &'static str,
    /// Depth in jobs.
    pub depth: u64,
}

/// The levels of a policy, the lowest first: what charts draw and pages list, whatever the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    levels: [Level; Levels::CAPACITY],
    len: usize,
}

impl Levels {
    const CAPACITY: usize = 8;

    pub(crate) fn of(levels: impl IntoIterator<Item = Level>) -> Levels {
        let mut all = Levels { levels: [Level { name: "", depth: u64::MAX }; Levels::CAPACITY], len: 0 };
        for (place, level) in all.levels.iter_mut().zip(levels) {
            *place = level;
            all.len += 1;
        }
        // A stable sort without allocation; there are a handful.
        for sorted in 1..all.len {
            let mut place = sorted;
            while place > 0 && all.levels[place - 1].depth > all.levels[place].depth {
                all.levels.swap(place - 1, place);
                place -= 1;
            }
        }
        all
    }

    /// The levels, the lowest first.
    pub fn iter(&self) -> impl Iterator<Item = &Level> {
        self.levels[..self.len].iter()
    }

    /// The depth of the level of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        self.iter().find(|level| level.name == name).map(|level| level.depth)
    }
}

/// What has been counted over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Admitted jobs by priority, the most urgent first: index with [`Priority::index`].
    pub admitted_by_priority: [u64; Priority::COUNT],
    /// Rejected jobs by priority, the most urgent first.
    pub rejected_by_priority: [u64; Priority::COUNT],
    /// Rejected jobs by reason, in the order of [`Reason::ALL`]: index with `reason as usize`, or ask
    /// [`Counters::rejected_for`].
    pub rejected_by_reason: [u64; Reason::COUNT],
    /// Jobs admitted only because the policy is disabled. They are among the admitted ones.
    pub would_reject: u64,
    /// Moves into OPEN, from CLOSED or from HALF_OPEN.
    pub openings: u64,
    /// Observations, known or not.
    pub observations: u64,
    /// Observations that said `Unknown`.
    pub unknown_observations: u64,
}

impl Counters {
    /// Admitted jobs of one priority.
    #[must_use]
    pub const fn admitted(&self, priority: Priority) -> u64 {
        self.admitted_by_priority[priority.index()]
    }

    /// Rejected jobs of one priority.
    #[must_use]
    pub const fn rejected(&self, priority: Priority) -> u64 {
        self.rejected_by_priority[priority.index()]
    }

    /// Jobs rejected for one reason.
    #[must_use]
    pub const fn rejected_for(&self, reason: Reason) -> u64 {
        self.rejected_by_reason[reason as usize]
    }

    /// Admitted jobs of all priorities.
    #[must_use]
    pub fn admitted_total(&self) -> u64 {
        self.admitted_by_priority.iter().sum()
    }

    /// Rejected jobs of all priorities.
    #[must_use]
    pub fn rejected_total(&self) -> u64 {
        self.rejected_by_priority.iter().sum()
    }

    /// What was counted after `earlier`, an earlier state of the same counters.
    pub(crate) fn minus(&self, earlier: &Counters) -> Counters {
        Counters {
            admitted_by_priority: minus(self.admitted_by_priority, earlier.admitted_by_priority),
            rejected_by_priority: minus(self.rejected_by_priority, earlier.rejected_by_priority),
            rejected_by_reason: minus(self.rejected_by_reason, earlier.rejected_by_reason),
            would_reject: self.would_reject - earlier.would_reject,
            openings: self.openings - earlier.openings,
            observations: self.observations - earlier.observations,
            unknown_observations: self.unknown_observations - earlier.unknown_observations,
        }
    }
}

fn minus<const N: usize>(later: [u64; N], earlier: [u64; N]) -> [u64; N] {
    core::array::from_fn(|i| later[i] - earlier[i])
}
