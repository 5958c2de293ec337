//! The integral over time of a step function: the basis of time averages.

use crate::engine::time::SimTime;

/// Integral over time of an integer value, exact. The average over a span is the difference of two areas over the
/// length of the span.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimeIntegral {
    value: u64,
    since: SimTime,
    area: u128,
}

impl TimeIntegral {
    /// Of a value that is `value` from the start on.
    pub fn of(value: u64) -> Self {
        Self { value, ..Self::default() }
    }

    /// From now on the value is `value`.
    #[inline]
    pub fn set(&mut self, now: SimTime, value: u64) {
        self.area += u128::from(self.value) * u128::from(now.0 - self.since.0);
        self.since = now;
        self.value = value;
    }

    /// The integral so far, in value x nanoseconds.
    pub fn area(&self, now: SimTime) -> u128 {
        self.area + u128::from(self.value) * u128::from(now.0 - self.since.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_integral_weighs_values_by_time() {
        let mut integral = TimeIntegral::default();
        integral.set(SimTime(10), 4);
        integral.set(SimTime(30), 1);
        assert_eq!(integral.area(SimTime(40)), 90);
    }
}
