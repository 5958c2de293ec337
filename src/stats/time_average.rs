//! The time average of a value that changes in steps.

use crate::engine::time::{SimDuration, SimTime};

/// Integral over time of an integer value, exact.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimeAverage {
    value: u64,
    since: SimTime,
    area: u128,
}

impl TimeAverage {
    /// From now on the value is `value`.
    #[inline]
    pub fn set(&mut self, now: SimTime, value: u64) {
        self.area += u128::from(self.value) * u128::from(now.0 - self.since.0);
        self.since = now;
        self.value = value;
    }

    /// The present value.
    #[inline]
    pub fn value(&self) -> u64 {
        self.value
    }

    /// The integral so far, in value x nanoseconds.
    pub fn area(&self, now: SimTime) -> u128 {
        self.area + u128::from(self.value) * u128::from(now.0 - self.since.0)
    }

    /// Forgets what was integrated until now, and keeps the value.
    pub fn restart(&mut self, now: SimTime) {
        self.area = 0;
        self.since = now;
    }

    /// The average over the last `span`, which must be all the time since the start or restart.
    pub fn mean(&self, now: SimTime, span: SimDuration) -> f64 {
        self.area(now) as f64 / span.0 as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn average_weighs_values_by_time() {
        let mut average = TimeAverage::default();
        average.set(SimTime(10), 4);
        average.set(SimTime(30), 1);
        assert_eq!(average.area(SimTime(40)), 90);
        average.restart(SimTime(40));
        assert!((average.mean(SimTime(50), SimDuration(10)) - 1.0).abs() < 1e-12);
    }
}
