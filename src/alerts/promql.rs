//! The part of PromQL that the rules need, as Prometheus computes it (`promql/functions.go`, `extrapolatedRate`; the
//! behaviour is described at <https://prometheus.io/docs/prometheus/latest/querying/functions/#rate>).

use crate::engine::time::{SimDuration, SimTime};
use crate::model::scrape::Scrape;

/// For how long a sample counts as the present value (`--query.lookback-delta`).
const LOOKBACK: SimDuration = SimDuration(300_000_000_000);

/// The scrapes up to a time.
#[derive(Clone, Copy)]
pub(super) struct Samples<'a> {
    pub(super) all: &'a [Scrape],
    pub(super) now: SimTime,
}

impl<'a> Samples<'a> {
    pub(super) fn until(scrapes: &'a [Scrape], now: SimTime) -> Self {
        Self { all: &scrapes[..scrapes.partition_point(|scrape| scrape.at <= now)], now }
    }

    /// The present value of a series: its last sample, if that is not too old.
    pub(super) fn latest<T>(&self, value: impl Fn(&Scrape) -> Option<T>) -> Option<T> {
        let recent = self.all.iter().rev().take_while(|scrape| self.now.since(scrape.at) < LOOKBACK);
        recent.into_iter().find_map(value)
    }

    /// The increase per second of a counter over the last `window`, extrapolated to its ends as Prometheus does: as
    /// far as the next sample would have been, but not to before the counter was zero. `None` with fewer than two samples. A
    /// counter that falls has begun anew.
    pub(super) fn rate(&self, window: SimDuration, value: impl Fn(&Scrape) -> Option<u64>) -> Option<f64> {
        let begin = self.all.partition_point(|scrape| self.now.since(scrape.at) >= window);
        let mut samples = self.all[begin..].iter().filter_map(|scrape| Some((scrape.at, value(scrape)?)));
        let (first_at, first) = samples.next()?;
        let (mut last_at, mut last, mut count) = (first_at, first, 1.0);
        let mut lost_to_restarts = 0;
        for (at, value) in samples {
            if value < last {
                lost_to_restarts += last;
            }
            (last_at, last, count) = (at, value, count + 1.0);
        }
        if last_at == first_at {
            return None;
        }
        let increase = (last + lost_to_restarts) as f64 - first as f64;
        let seconds = |from: SimTime, to: SimTime| to.since(from).as_secs_f64();
        let sampled = seconds(first_at, last_at);
        let distance = sampled / (count - 1.0);
        let mut before = window.as_secs_f64() - seconds(first_at, self.now);
        let after = seconds(last_at, self.now);
        if increase > 0.0 {
            before = before.min(sampled * (first as f64 / increase));
        }
        let extrapolated = |gap: f64| if gap < 1.1 * distance { gap } else { distance / 2.0 };
        let covered = sampled + extrapolated(before) + extrapolated(after);
        Some(increase * (covered / sampled) / window.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(values: &[u64]) -> Vec<Scrape> {
        let scrape = |(index, value): (usize, &u64)| Scrape {
            at: SimTime(7_500_000_000 + 15_000_000_000 * index as u64),
            queue: None,
            rejected: vec![*value],
            circuits: Vec::new(),
        };
        values.iter().enumerate().map(scrape).collect()
    }

    fn rate(values: &[u64], now: u64, window: u64) -> Option<f64> {
        let scrapes = counter(values);
        let samples = Samples::until(&scrapes, SimTime(now * 1_000_000_000));
        samples.rate(SimDuration(window * 1_000_000_000), |scrape| Some(scrape.rejected[0]))
    }

    #[test]
    fn a_steady_counter_has_its_rate() {
        // 4 samples in the minute, 45 s apart in all, extrapolated by 7.5 s on both sides.
        let steady: Vec<u64> = (0..40).map(|index| 1_000 + 150 * index).collect();
        assert!((rate(&steady, 300, 60).unwrap() - 10.0).abs() < 1e-12);
        assert!((rate(&steady, 600, 300).unwrap() - 10.0).abs() < 1e-12);
        assert_eq!(rate(&steady, 15, 60), None);
        assert_eq!(rate(&steady, 0, 60), None);
    }

    #[test]
    fn it_is_not_extrapolated_to_before_zero() {
        // 0, 150, 300: nothing before the first sample, 7.5 s after the last one; of 30 s.
        assert!((rate(&[0, 150, 300], 45, 300).unwrap() - 300.0 * (37.5 / 30.0) / 300.0).abs() < 1e-12);
    }

    #[test]
    fn a_counter_that_falls_began_anew() {
        assert!((rate(&[100, 200, 50, 150], 60, 60).unwrap() - 250.0 * (60.0 / 45.0) / 60.0).abs() < 1e-12);
    }
}
