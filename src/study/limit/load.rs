//! A load multiplied by a factor, recorded arrivals included.
//!
//! Drawn arrivals keep their random numbers: only the clock on which they are drawn runs faster (a time change of the same
//! process), so that a job that arrives at one load arrives a little earlier at a slightly higher one. Recorded arrivals
//! keep their times; each is there once, left out, or repeated, so that their number by any time is the factor times that
//! of the recording. A repetition comes on the way to the next arrival, so that multiplying makes no bursts.

use std::sync::Arc;

use crate::engine::time::SimTime;
use crate::model::config::{ArrivalBatch, ArrivalProcess, ModelConfig, TracedArrival};

/// Multiplies all arrivals by a factor.
pub(super) fn times_load(model: &mut ModelConfig, factor: f64) {
    model.scale_load(factor);
    for source in &mut model.sources {
        match &mut source.process {
            ArrivalProcess::Trace(trace) => *trace = times_trace(trace, factor),
            ArrivalProcess::Batches { batches, .. } => *batches = times_batches(batches, factor),
            ArrivalProcess::Constant
            | ArrivalProcess::Poisson
            | ArrivalProcess::Renewal(_)
            | ArrivalProcess::Modulated(_) => {}
        }
    }
}

fn times_trace(trace: &[TracedArrival], factor: f64) -> Arc<[TracedArrival]> {
    let mut due = Due { factor, before: 0, passed: 0 };
    let next = trace.iter().skip(1).map(|arrival| arrival.at).chain(trace.last().map(|last| last.at));
    let mut all = Vec::new();
    for (arrival, next) in trace.iter().zip(next) {
        let copies = due.of(1);
        let gap = next.since(arrival.at).0;
        let copy = |index: u64| {
            let passed = u128::from(gap) * u128::from(index) / u128::from(copies);
            TracedArrival { at: SimTime(arrival.at.0 + passed as u64), ..*arrival }
        };
        all.extend((0..copies).map(copy));
    }
    all.into()
}

fn times_batches(batches: &[ArrivalBatch], factor: f64) -> Arc<[ArrivalBatch]> {
    let mut due = Due { factor, before: 0, passed: 0 };
    let scaled = batches.iter().map(|batch| ArrivalBatch { count: due.of(batch.count), ..*batch });
    scaled.filter(|batch| batch.count > 0).collect()
}

/// How many arrivals are due, rounded so that no rounding adds up.
struct Due {
    factor: f64,
    /// Recorded arrivals so far.
    before: u64,
    /// Arrivals made of them.
    passed: u64,
}

impl Due {
    /// How many come of the next `count`.
    fn of(&mut self, count: u64) -> u64 {
        self.before += count;
        let due = (self.before as f64 * self.factor).round() as u64;
        let fresh = due.saturating_sub(self.passed);
        self.passed += fresh;
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(times: &[u64]) -> Vec<TracedArrival> {
        times.iter().map(|&at| TracedArrival { at: SimTime(at), class: 0, service: None }).collect()
    }

    fn times(trace: &[TracedArrival]) -> Vec<u64> {
        trace.iter().map(|arrival| arrival.at.0).collect()
    }

    #[test]
    fn a_recording_is_thinned_or_filled_evenly() {
        let recorded = trace(&[0, 100, 200, 300]);
        assert_eq!(times(&times_trace(&recorded, 1.0)), [0, 100, 200, 300]);
        assert_eq!(times(&times_trace(&recorded, 2.0)), [0, 50, 100, 150, 200, 250, 300, 300]);
        assert_eq!(times(&times_trace(&recorded, 0.5)), [0, 200]);
        assert_eq!(times(&times_trace(&recorded, 1.5)), [0, 50, 100, 200, 250, 300]);
        assert!(times_trace(&[], 3.0).is_empty());
    }

    #[test]
    fn batches_grow_by_their_counts() {
        let batch = |count| ArrivalBatch {
            at: SimTime(0),
            within: crate::engine::time::SimDuration::SECOND,
            count,
            class: None,
        };
        let counts: Vec<u64> =
            times_batches(&[batch(3), batch(1), batch(1)], 0.5).iter().map(|batch| batch.count).collect();
        assert_eq!(counts.iter().sum::<u64>(), 3);
    }
}
