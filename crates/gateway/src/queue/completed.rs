//! A count of completed jobs that never falls, and goes on when Redis begins anew.
//!
//! The count is computed from BullMQ's counter of ids, which a FLUSHALL sets to 0 and a failover sets back by what was not
//! replicated. A maximum alone would stand still until the old value is passed.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The count of one queue, for all its readers.
#[derive(Default)]
pub(super) struct Completed(Mutex<State>);

#[derive(Default)]
struct State {
    /// Jobs ever added, when last read.
    added: u64,
    /// When that was counted.
    counted: Option<Instant>,
    /// What was told last.
    told: u64,
    /// What is to be added to what Redis says.
    before: u64,
}

impl Completed {
    /// The count, from jobs ever added and completed as Redis knew them at some time after `begun`.
    pub(super) fn count(&self, begun: Instant, added: u64, completed: u64) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // It may be older than the one that was counted last, and look as if Redis had begun anew.
        if state.counted.is_some_and(|counted| begun < counted) {
            return state.told;
        }
        state.counted = Some(Instant::now());
        if added < state.added {
            state.before = state.told.saturating_sub(completed);
        }
        state.added = added;
        state.told = state.told.max(state.before + completed);
        state.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(readings: &[(u64, u64)], expected: &[u64]) {
        let completed = Completed::default();
        let told: Vec<u64> =
            readings.iter().map(|(added, done)| completed.count(Instant::now(), *added, *done)).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn it_never_falls_and_never_stands_still() {
        // A job that is tried again is not completed any more.
        check(&[(10, 5), (10, 4), (12, 6)], &[5, 5, 6]);
        // Redis was emptied.
        check(&[(1000, 900), (0, 0), (10, 3), (20, 15)], &[900, 900, 903, 915]);
        // A failover lost ten jobs.
        check(&[(1000, 900), (990, 895), (1000, 905)], &[900, 900, 910]);
        check(&[(1000, 900), (0, 0), (50, 40), (0, 0), (5, 5)], &[900, 900, 940, 940, 945]);
    }

    #[test]
    fn a_reading_that_another_has_overtaken_changes_nothing() {
        let completed = Completed::default();
        let begun = Instant::now();
        assert_eq!(completed.count(Instant::now(), 101, 91), 91);
        assert_eq!(completed.count(begun, 100, 90), 91);
        assert_eq!(completed.count(Instant::now(), 102, 92), 92);
    }
}
