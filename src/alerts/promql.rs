//! The part of PromQL that the rules need, as Prometheus computes it (`promql/functions.go`, `extrapolatedRate`; the
//! behaviour is described at <https://prometheus.io/docs/prometheus/latest/querying/functions/#rate>).

use crate::engine::time::{SimDuration, SimTime};
use crate::model::config::PrometheusVersion;
use crate::model::scrape::Scrape;

/// For how long a sample counts as the present value (`--query.lookback-delta`).
const LOOKBACK: SimDuration = SimDuration(300_000_000_000);

/// The scrapes up to a time.
#[derive(Clone, Copy)]
pub(super) struct Samples<'a> {
    pub(super) all: &'a [Scrape],
    pub(super) now: SimTime,
    pub(super) version: PrometheusVersion,
}

impl<'a> Samples<'a> {
    pub(super) fn until(scrapes: &'a [Scrape], now: SimTime, version: PrometheusVersion) -> Self {
        Self { all: &scrapes[..scrapes.partition_point(|scrape| scrape.at <= now)], now, version }
    }

    /// The present value of a series. One that the last scrape no longer had is stale: it has none, however young its last
    /// sample is (<https://prometheus.io/docs/prometheus/latest/querying/basics/#staleness>).
    pub(super) fn latest<T>(&self, value: impl Fn(&Scrape) -> Option<T>) -> Option<T> {
        self.all.last().filter(|scrape| self.is_within(scrape.at, LOOKBACK)).and_then(value)
    }

    /// Whether a sample is not too old. One that is exactly as old as the window is long is within it for Prometheus 2, and is
    /// not for Prometheus 3 (<https://prometheus.io/docs/prometheus/latest/migration/#range-selectors-and-lookback-exclude-samples-coinciding-with-the-left-boundary>).
    fn is_within(&self, at: SimTime, window: SimDuration) -> bool {
        let age = self.now.since(at);
        age < window || (age == window && self.version == PrometheusVersion::Two)
    }

    fn within(&self, window: SimDuration) -> &'a [Scrape] {
        &self.all[self.all.partition_point(|scrape| !self.is_within(scrape.at, window))..]
    }

    /// The increase per second of a counter over the last `window`. `None` with fewer than two samples. A counter that falls has
    /// begun anew.
    pub(super) fn rate(&self, window: SimDuration, value: impl Fn(&Scrape) -> Option<u64>) -> Option<f64> {
        let mut samples = self.within(window).iter().filter_map(|scrape| Some((scrape.at, value(scrape)?)));
        let first = samples.next()?;
        let (mut last, mut gaps, mut lost_to_restarts) = (first, 0, 0);
        for (at, value) in samples {
            if value < last.1 {
                lost_to_restarts += last.1;
            }
            (last, gaps) = ((at, value), gaps + 1);
        }
        self.extrapolated(window, first, (last.0, last.1 + lost_to_restarts), gaps)
    }

    /// The same of a counter that every scrape has and that never falls: what lies between its ends does not matter.
    pub(super) fn rate_of_growing(&self, window: SimDuration, value: impl Fn(&Scrape) -> u64) -> Option<f64> {
        let within = self.within(window);
        let (first, last) = (within.first()?, within.last()?);
        self.extrapolated(window, (first.at, value(first)), (last.at, value(last)), within.len() as u64 - 1)
    }

    /// The increase between two samples as a rate of the window, extrapolated to its ends as Prometheus does: as far as the next
    /// sample would have been, but not to before the counter was zero.
    fn extrapolated(
        &self,
        window: SimDuration,
        (first_at, first): (SimTime, u64),
        (last_at, last): (SimTime, u64),
        gaps: u64,
    ) -> Option<f64> {
        if gaps == 0 {
            return None;
        }
        let increase = last as f64 - first as f64;
        let seconds = |from: SimTime, to: SimTime| to.since(from).as_secs_f64();
        let sampled = seconds(first_at, last_at);
        let distance = sampled / gaps as f64;
        let before = window.as_secs_f64() - seconds(first_at, self.now);
        let after = seconds(last_at, self.now);
        let to_zero = if increase > 0.0 { sampled * (first as f64 / increase) } else { f64::INFINITY };
        let near = |gap: f64| if gap < 1.1 * distance { gap } else { distance / 2.0 };
        // Whether the beginning is near was asked after the cut at zero, and is asked before it since Prometheus 2.52.
        let before = match self.version {
            PrometheusVersion::Two => near(before.min(to_zero)),
            PrometheusVersion::Three => near(before).min(to_zero),
        };
        let covered = sampled + before + near(after);
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
            accepted: Vec::new(),
            circuits: Vec::new(),
        };
        values.iter().enumerate().map(scrape).collect()
    }

    fn rate(values: &[u64], now: u64, window: u64) -> Option<f64> {
        rate_of(PrometheusVersion::Three, values, now * 1_000, window * 1_000)
    }

    /// Times in milliseconds. Where the counter never falls, both ways to count must agree.
    fn rate_of(version: PrometheusVersion, values: &[u64], now: u64, window: u64) -> Option<f64> {
        let scrapes = counter(values);
        let samples = Samples::until(&scrapes, SimTime(now * 1_000_000), version);
        let window = SimDuration(window * 1_000_000);
        let rate = samples.rate(window, |scrape| Some(scrape.rejected[0]));
        if values.is_sorted() {
            assert_eq!(rate, samples.rate_of_growing(window, |scrape| scrape.rejected[0]));
        }
        rate
    }

    #[test]
    fn a_sample_on_the_edge_counts_for_prometheus_2_alone() {
        // At 67.5 s the window of a minute begins at the first sample, which is at 7.5 s. With it there are 5 samples, without it 4
        // and 15 s before them.
        let values = [100, 900, 1_000, 1_100, 1_200];
        let two = rate_of(PrometheusVersion::Two, &values, 67_500, 60_000).unwrap();
        let three = rate_of(PrometheusVersion::Three, &values, 67_500, 60_000).unwrap();
        assert!((two - 1_100.0 / 60.0).abs() < 1e-12, "{two}");
        assert!((three - 300.0 * (60.0 / 45.0) / 60.0).abs() < 1e-12, "{three}");
    }

    #[test]
    fn the_two_versions_cut_at_zero_in_different_order() {
        // 10 s before the first sample the counter was zero, as it grows; the window begins long before. Prometheus 3 first takes
        // half a distance, 7.5 s.
        let values = [100, 250, 400];
        let two = rate_of(PrometheusVersion::Two, &values, 37_500, 300_000).unwrap();
        let three = rate_of(PrometheusVersion::Three, &values, 37_500, 300_000).unwrap();
        assert!((two - 300.0 * (40.0 / 30.0) / 300.0).abs() < 1e-12, "{two}");
        assert!((three - 300.0 * (37.5 / 30.0) / 300.0).abs() < 1e-12, "{three}");
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
