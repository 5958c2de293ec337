//! How fast the queue empties, and when it pays to come back.
//!
//! The **drain rate** is the net fall of the depth per unit of time, averaged over windows of [`WINDOW`] or longer and
//! smoothed with weight 1/4. It is kept apart for each state of the circuit, because each state admits different traffic:
//! what the depth does while HALF_OPEN says nothing about how fast it falls once OPEN. A rising queue has a negative rate.
//!
//! The **retry-after hint** of a rejection is the time from the last known depth to `recovery` at that rate, no shorter
//! than `retry_after_min` and no longer than `retry_after_max`, which is also the answer while nothing drains or no
//! window has passed in this state. Then up to half of it is added as jitter: rejected senders that all got the same number
//! would come back in one wave. The jitter is a hash of `jitter_seed` and the number of the rejection; no randomness, so a
//! replay gives the same hints.
//!
//! Both are integers. The two divisions happen once per window, none in a decision.

use crate::mix;
use crate::state::State;
use crate::time::Nanos;

/// The shortest time over which a drain rate is measured.
pub const WINDOW: Nanos = Nanos::from_millis(100);

/// Measures the drain rate, per state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DrainMeter {
    /// The window under way: where and when it began, and the first moment at which it may end. Before the first known
    /// depth there is none, and `ends_at` lies in the past so that any observation begins one.
    start: Option<(u64, Nanos)>,
    ends_at: Nanos,
    /// Smoothed net fall in thousandths of a job per second, by [`State::code`]; `None` until a window has passed.
    rates: [Option<i64>; 3],
    /// The inverse of the positive rates: nanoseconds per job in 1/1024; `u64::MAX` when nothing drains.
    time_per_job: [u64; 3],
}

impl DrainMeter {
    pub(crate) const fn new() -> DrainMeter {
        DrainMeter { start: None, ends_at: Nanos::ZERO, rates: [None; 3], time_per_job: [u64::MAX; 3] }
    }

    /// Whether the window under way may end, so that [`DrainMeter::observe`] has something to do.
    #[inline]
    pub(crate) fn is_due(&self, now: Nanos) -> bool {
        now >= self.ends_at
    }

    /// Takes in a known depth. `state` is the one the circuit was in since the last call.
    pub(crate) fn observe(&mut self, state: State, depth: u64, now: Nanos) {
        if self.is_due(now) {
            self.end_window(state, depth, now);
        }
    }

    /// Begins a window here and now, forgetting the one under way. Called when the state moves.
    pub(crate) fn restart(&mut self, depth: u64, now: Nanos) {
        self.start = Some((depth, now));
        self.ends_at = now.plus(WINDOW);
    }

    /// Smoothed net fall in thousandths of a job per second; negative when rising, `None` when never measured in `state`.
    pub(crate) fn rate(&self, state: State) -> Option<i64> {
        self.rates[usize::from(state.code())]
    }

    /// The time in which `jobs` jobs drain; [`Nanos::MAX`] when nothing drains, the rate is not known, or it takes longer
    /// than 208 days.
    #[inline]
    pub(crate) fn time_for(&self, state: State, jobs: u64) -> Nanos {
        let time =
            (u128::from(jobs) * u128::from(self.time_per_job[usize::from(state.code())])) >> FRACTION_BITS;
        if time >= u128::from(u64::MAX >> FRACTION_BITS) { Nanos::MAX } else { Nanos(time as u64) }
    }

    fn end_window(&mut self, state: State, depth: u64, now: Nanos) {
        // Windows that begin at the very end of time have no length to divide by.
        if let Some((depth_before, began)) = self.start
            && now.since(began) >= WINDOW
        {
            let elapsed = now.since(began);
            let sample = net_fall(depth_before, depth, elapsed);
            let slot = usize::from(state.code());
            let rate = match self.rates[slot] {
                // A window as long as the memory of the average replaces the average.
                Some(rate) if elapsed < Nanos(WINDOW.0 << SMOOTHING_BITS) => {
                    rate + ((sample - rate) >> SMOOTHING_BITS)
                }
                _ => sample,
            };
            self.rates[slot] = Some(rate);
            self.time_per_job[slot] = match u64::try_from(rate) {
                Ok(rate @ 1..) => (1_000_000_000_000 << FRACTION_BITS) / rate,
                _ => u64::MAX,
            };
        }
        self.restart(depth, now);
    }
}

/// The hint of rejection number `count`: `drain_time` within `[min, max]`, plus less than half of that as jitter.
#[inline]
pub(crate) fn retry_after(drain_time: Nanos, min: Nanos, max: Nanos, seed: u64, count: u64) -> Nanos {
    let base = within(drain_time, min, max).0;
    // The high half of a product maps a hash to 0..base/2 without a division.
    let jitter =
        (u128::from(base / 2) * u128::from(mix::mix64(seed ^ count.wrapping_mul(mix::GOLDEN)))) >> 64;
    Nanos(base.saturating_add(jitter as u64))
}

/// `time` within `[min, max]`. Unlike [`Ord::clamp`] it has no panic to keep ready for limits out of order.
#[inline]
pub(crate) fn within(time: Nanos, min: Nanos, max: Nanos) -> Nanos {
    time.max(min).min(max)
}

/// Net fall in thousandths of a job per second. Saturates at rates that no queue has.
fn net_fall(before: u64, after: u64, elapsed: Nanos) -> i64 {
    // (jobs x 1000) / (us / 1e6): microseconds keep the product in 64 bits for any depth below 1.8e10. A window is never
    // shorter than 100 ms, so the divisor is at least 1e5 and the quotient far from the ends of an i64.
    let size = (before.abs_diff(after).saturating_mul(1_000_000_000) / (elapsed.0 / 1_000)) as i64;
    if after <= before { size } else { -size }
}

const FRACTION_BITS: u32 = 10;
const SMOOTHING_BITS: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Feeds `(time in ms, depth)` in one state and compares the measured rate, in thousandths of a job per second.
    #[track_caller]
    fn check(observations: &[(u64, u64)], expected: Option<i64>) {
        let mut meter = DrainMeter::new();
        for &(at, depth) in observations {
            meter.observe(State::Open, depth, Nanos(at * MS));
        }
        assert_eq!(meter.rate(State::Open), expected);
        assert_eq!(meter.rate(State::Closed), None, "rates of other states are untouched");
    }

    #[test]
    fn rate_is_the_net_fall_over_windows() {
        check(&[], None);
        check(&[(0, 1000)], None);
        check(&[(0, 1000), (99, 0)], None);
        check(&[(0, 1000), (100, 0)], Some(10_000_000));
        check(&[(0, 1000), (50, 2000), (100, 900)], Some(1_000_000));
        check(&[(0, 1000), (100, 1000)], Some(0));
        check(&[(0, 1000), (100, 2000)], Some(-10_000_000));
        // Smoothing: a quarter of the way from 10,000/s to 2,000/s.
        check(&[(0, 1000), (100, 0), (150, 7), (200, 0)], Some(7_500_000));
        check(&[(0, 1200), (100, 200), (200, 0)], Some(8_000_000));
        // A long window says all there is to say.
        check(&[(0, 1200), (100, 200), (500, 0)], Some(500_000));
        check(&[(0, u64::MAX), (100, 0)], Some((u64::MAX / 100_000) as i64));
        check(&[(u64::MAX / MS, 1000), (u64::MAX / MS, 0)], None);
        check(&[(0, 0), (100, u64::MAX)], Some(-((u64::MAX / 100_000) as i64)));
    }

    #[test]
    fn drain_time_is_jobs_over_rate() {
        let mut meter = DrainMeter::new();
        assert_eq!(meter.time_for(State::Open, 1), Nanos::MAX);
        meter.restart(10_000, Nanos(0));
        meter.observe(State::Open, 9_000, Nanos(100 * MS));
        assert_eq!(meter.time_for(State::Open, 45_000), Nanos(4_500 * MS));
        assert_eq!(meter.time_for(State::Open, 0), Nanos::ZERO);
        assert_eq!(meter.time_for(State::Open, u64::MAX), Nanos::MAX);
        assert_eq!(meter.time_for(State::HalfOpen, 1), Nanos::MAX);
    }

    #[test]
    fn jitter_adds_less_than_half_and_spreads() {
        let (min, max) = (Nanos(1_000), Nanos(120_000));
        let hints = || (0..1_000).map(|count| retry_after(Nanos(10_000), min, max, 7, count).0);
        assert!(hints().all(|hint| (10_000..15_000).contains(&hint)));
        let mean = hints().sum::<u64>() / 1_000;
        assert!((12_300..12_700).contains(&mean), "{mean}");
        assert!(retry_after(Nanos::MAX, min, max, 7, 1).0 < 180_000);
        assert!(retry_after(Nanos::ZERO, min, max, 7, 1).0 < 1_500);
        assert_ne!(retry_after(max, min, max, 7, 1), retry_after(max, min, max, 8, 1));
    }
}
