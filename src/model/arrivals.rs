//! Arrival processes: when the next job comes, and of which class it is.
//!
//! Gaps are drawn in operational time, where the mean rate is 1, and turned into seconds by running through
//! the phases' rates. For a Poisson process this is the exact inversion of the cumulative rate (Cinlar,
//! "Introduction to Stochastic Processes", 1975), and one draw makes one arrival whatever the rates are, so
//! scenarios that differ in rates still share their random numbers.

use std::sync::Arc;

use rand::Rng;

use super::config::{ArrivalProcess, ArrivalSource, TracedArrival};
use super::distribution::{Sampler, exponential};
use crate::engine::stream::{Stream, stream};
use crate::engine::time::{SimDuration, SimTime};

/// An arrival process in motion.
#[derive(Debug)]
pub(crate) struct Source {
    gaps: Gaps,
    gap_stream: Stream,
    phases: Vec<PhasePace>,
    phase: usize,
    now: SimTime,
    /// The part of the next nanosecond that has passed: rounding never accumulates.
    fraction: f64,
    classes: ClassChoice,
    class_stream: Stream,
}

/// Draws the gaps in operational time.
#[derive(Debug)]
enum Gaps {
    Constant,
    Poisson,
    Renewal(Sampler),
    Trace { arrivals: Arc<[TracedArrival]>, next: usize },
}

#[derive(Clone, Copy, Debug)]
struct PhasePace {
    end: SimTime,
    /// Nanoseconds for each unit of operational time; infinite at rate 0.
    nanos_per_arrival: f64,
}

/// Picks a class by its share: inversion with a guide table (Chen and Asau, "On generating random variates from
/// an empirical distribution", AIIE Transactions 6, 1974).
#[derive(Debug)]
struct ClassChoice {
    classes: Vec<u16>,
    /// A draw up to `bounds[i]`, and beyond all earlier ones, picks `classes[i]`; the last is the largest u64.
    bounds: Vec<u64>,
    /// By the highest byte of a draw, the first class that it can pick.
    guide: Vec<u16>,
}

/// What an arrival brings besides its time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) class: u16,
    /// Service demand where a trace prescribes it.
    pub(crate) service: Option<SimDuration>,
}

/// The latest end of a phase: times and their differences fit a signed integer.
const FAR: SimTime = SimTime(i64::MAX as u64);

impl Source {
    pub(crate) fn new(source: &ArrivalSource, name: &str, seed: u64, replication: u32) -> Self {
        let gaps = match &source.process {
            ArrivalProcess::Constant => Gaps::Constant,
            ArrivalProcess::Poisson => Gaps::Poisson,
            ArrivalProcess::Renewal(gap) => Gaps::Renewal(Sampler::new(gap, 1.0 / gap.mean())),
            ArrivalProcess::Trace(arrivals) => Gaps::Trace { arrivals: arrivals.clone(), next: 0 },
        };
        let pace = |rate: f64| 1e9 / rate;
        let phases = source
            .phases
            .iter()
            .map(|phase| PhasePace { end: phase.end.min(FAR), nanos_per_arrival: pace(phase.rate) });
        Self {
            gaps,
            gap_stream: stream(seed, replication, &format!("{name}/gaps")),
            phases: phases.collect(),
            phase: 0,
            now: SimTime::ZERO,
            fraction: 0.0,
            classes: ClassChoice::new(&source.classes),
            class_stream: stream(seed, replication, &format!("{name}/class")),
        }
    }

    /// When the next job arrives, `SimTime::NEVER` if none does.
    #[inline(always)]
    pub(crate) fn next_time(&mut self) -> SimTime {
        let gap = match &self.gaps {
            Gaps::Constant => 1.0,
            Gaps::Poisson => exponential(&mut self.gap_stream),
            Gaps::Renewal(sampler) => sampler.draw(&mut self.gap_stream),
            Gaps::Trace { arrivals, next } => {
                return arrivals.get(*next).map_or(SimTime::NEVER, |arrival| arrival.at);
            }
        };
        self.run_through(gap)
    }

    /// What the job that arrives now brings.
    #[inline(always)]
    pub(crate) fn take(&mut self) -> Arrival {
        if let Gaps::Trace { arrivals, next } = &mut self.gaps {
            let TracedArrival { class, service, .. } = arrivals[*next];
            *next += 1;
            return Arrival { class, service };
        }
        Arrival { class: self.classes.pick(&mut self.class_stream), service: None }
    }

    /// Moves on by that much operational time.
    #[inline]
    fn run_through(&mut self, mut gap: f64) -> SimTime {
        loop {
            let PhasePace { end, nanos_per_arrival } = self.phases[self.phase];
            let step = self.fraction + gap * nanos_per_arrival;
            // Signed conversions are one instruction each, unsigned ones several.
            let left = (end.0 - self.now.0) as i64 as f64;
            if step < left {
                let whole = step as i64;
                self.fraction = step - whole as f64;
                self.now.0 += whole as u64;
                return self.now;
            }
            if self.phase + 1 == self.phases.len() {
                return SimTime::NEVER;
            }
            gap = (gap - (left - self.fraction) / nanos_per_arrival).max(0.0);
            self.now = end;
            self.fraction = 0.0;
            self.phase += 1;
        }
    }
}

impl ClassChoice {
    fn new(shares: &[(usize, f64)]) -> Self {
        // A share of zero would have a bound equal to that of its neighbour, which picks the neighbour; but
        // the last bound is not computed, so there must be none at the end.
        let shares: Vec<_> = shares.iter().filter(|(_, share)| *share > 0.0).collect();
        let total: f64 = shares.iter().map(|(_, share)| share).sum();
        let mut sum = 0.0;
        let mut bounds: Vec<u64> = Vec::new();
        for (_, share) in &shares {
            sum += share;
            bounds.push((sum / total * 2f64.powi(64)) as u64);
        }
        if let Some(last) = bounds.last_mut() {
            *last = u64::MAX;
        }
        let first_pick = |byte: u64| bounds.iter().filter(|&&bound| bound < byte << 56).count() as u16;
        let guide = (0..256).map(first_pick).collect();
        Self { classes: shares.iter().map(|(class, _)| *class as u16).collect(), bounds, guide }
    }

    #[inline]
    fn pick(&self, stream: &mut Stream) -> u16 {
        if let [class] = self.classes[..] {
            return class;
        }
        let draw = stream.next_u64();
        let mut pick = usize::from(self.guide[(draw >> 56) as usize]);
        while draw > self.bounds[pick] {
            pick += 1;
        }
        self.classes[pick]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::config::Phase;

    fn phase(end: u64, rate: f64) -> Phase {
        Phase { name: String::new(), end: SimTime(end), rate, spike: false }
    }

    fn arrivals(process: ArrivalProcess, phases: Vec<Phase>, count: usize) -> Vec<u64> {
        let mut source =
            Source::new(&ArrivalSource { process, phases, classes: vec![(0, 1.0)] }, "test", 1, 0);
        (0..count).map(|_| source.next_time().0).collect()
    }

    #[test]
    fn constant_arrivals_keep_their_phase_across_rates() {
        let second = 1_000_000_000;
        // 4/s for one second gives arrivals every quarter; the fourth is due at the boundary itself and falls
        // to the next phase that has a rate.
        let phases = vec![phase(second, 4.0), phase(2 * second, 0.0), phase(u64::MAX, 1.0)];
        let times = arrivals(ArrivalProcess::Constant, phases, 5);
        assert_eq!(times, [250_000_000, 500_000_000, 750_000_000, 2 * second, 3 * second]);
    }

    #[test]
    fn rounding_does_not_accumulate() {
        let times = arrivals(ArrivalProcess::Constant, vec![phase(u64::MAX, 3.0)], 3_000_000);
        assert!(times[2_999_999].abs_diff(1_000_000 * 1_000_000_000) <= 1, "{}", times[2_999_999]);
    }

    #[test]
    fn no_rate_means_no_arrival() {
        assert_eq!(arrivals(ArrivalProcess::Poisson, vec![phase(u64::MAX, 0.0)], 1), [u64::MAX]);
    }

    #[test]
    fn poisson_counts_have_mean_and_variance_of_the_cumulative_rate() {
        // 2/s for 10 s, then 5/s for 10 s: 70 arrivals by 20 s. 4,000 runs; 5 standard errors.
        let counts: crate::stats::interval::Sample = (0..4000)
            .map(|replication| {
                let phases =
                    vec![phase(10_000_000_000, 2.0), phase(20_000_000_000, 5.0), phase(u64::MAX, 0.0)];
                let source =
                    ArrivalSource { process: ArrivalProcess::Poisson, phases, classes: vec![(0, 1.0)] };
                let mut source = Source::new(&source, "test", 9, replication);
                std::iter::repeat_with(|| source.next_time())
                    .take_while(|&time| time < SimTime::NEVER)
                    .count() as f64
            })
            .collect();
        let mean = counts.mean().expect("4,000 values");
        let variance = counts.standard_deviation().expect("4,000 values").powi(2);
        assert!((mean - 70.0).abs() < 5.0 * (70.0f64 / 4000.0).sqrt(), "{mean}");
        assert!((variance - 70.0).abs() < 5.0 * 70.0 * (2.0f64 / 4000.0).sqrt(), "{variance}");
    }

    #[test]
    fn shares_are_met_and_a_share_of_zero_never_comes() {
        let choice = ClassChoice::new(&[(0, 0.2), (1, 0.0), (2, 0.8)]);
        let mut stream = stream(3, 0, "shares");
        let mut counts = [0; 3];
        for _ in 0..100_000 {
            counts[usize::from(choice.pick(&mut stream))] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!(
            (f64::from(counts[0]) - 20_000.0).abs() < 5.0 * (100_000.0f64 * 0.2 * 0.8).sqrt(),
            "{counts:?}"
        );
    }
}
