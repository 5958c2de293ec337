//! The depth as a gateway reads it: the present one, or the one of some time ago.

use std::collections::VecDeque;

use crate::engine::time::{SimDuration, SimTime};

/// The depth of `age` ago. With age zero nothing is stored.
#[derive(Debug)]
pub(crate) struct DepthSignal {
    age: SimDuration,
    /// Changes that are not old enough to be seen yet.
    unseen: VecDeque<(SimTime, u64)>,
    seen: u64,
}

impl DepthSignal {
    pub(crate) fn new(age: SimDuration, depth: u64) -> Self {
        Self { age, unseen: VecDeque::new(), seen: depth }
    }

    /// The depth has become `depth`.
    #[inline]
    pub(crate) fn change(&mut self, now: SimTime, depth: u64) {
        if self.age > SimDuration::ZERO {
            self.unseen.push_back((now, depth));
            // Reads come at arrivals; between them the changes that have become visible must not pile up.
            self.see(now);
        }
    }

    /// What a reader sees now; `depth` is the true one.
    #[inline]
    pub(crate) fn read(&mut self, now: SimTime, depth: u64) -> u64 {
        if self.age == SimDuration::ZERO {
            return depth;
        }
        self.see(now);
        self.seen
    }

    fn see(&mut self, now: SimTime) {
        while let Some(&(changed, depth)) = self.unseen.front()
            && changed + self.age <= now
        {
            self.seen = depth;
            self.unseen.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_the_depth_of_some_time_ago() {
        let mut signal = DepthSignal::new(SimDuration(10), 3);
        signal.change(SimTime(5), 4);
        signal.change(SimTime(8), 5);
        assert_eq!(signal.read(SimTime(14), 5), 3);
        assert_eq!(signal.read(SimTime(15), 5), 4);
        assert_eq!(signal.read(SimTime(100), 5), 5);
    }
}
