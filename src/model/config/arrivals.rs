//! Arrival processes, and the rates that they follow.

use std::f64::consts::TAU;
use std::sync::Arc;

use crate::engine::time::{SimDuration, SimTime};
use crate::model::distribution::Distribution;

/// One arrival process and the classes it feeds.
#[derive(Clone, Debug)]
pub struct ArrivalSource {
    /// How the gaps between arrivals come about.
    pub process: ArrivalProcess,
    /// Rates one after the other; the last one lasts to the horizon. One with the mean rate for a modulated process, with
    /// rate 0 for what is recorded or scheduled.
    pub phases: Vec<Phase>,
    /// Class index and share; the shares add up to 1.
    pub classes: Vec<(usize, f64)>,
}

/// How the gaps between arrivals come about. The first three draw gaps of mean 1 in operational time, which
/// the phases' rates turn into seconds (inversion of the cumulative rate).
#[derive(Clone, Debug)]
pub enum ArrivalProcess {
    /// Equal gaps.
    Constant,
    /// Exponential gaps.
    Poisson,
    /// Gaps from a distribution; only its shape matters, the phases carry the rate.
    Renewal(Distribution),
    /// Poisson arrivals at the rate of a state that changes by itself.
    Modulated(Modulation),
    /// Recorded arrivals, ordered by time.
    Trace(Arc<[TracedArrival]>),
    /// So many arrivals from then on within a time: recorded counts, or what a schedule starts.
    Batches {
        /// The batches, ordered by time.
        batches: Arc<[ArrivalBatch]>,
        /// Where in its time the arrivals of a batch are.
        spread: Spread,
    },
}

/// States that take turns: with exponential sojourns the Markov-modulated Poisson process.
#[derive(Clone, Debug, PartialEq)]
pub struct Modulation {
    /// The states.
    pub states: Vec<ModulationState>,
    /// The first one; drawn by their shares of time if not given.
    pub start: Option<usize>,
}

/// A state of a modulated process.
#[derive(Clone, Debug, PartialEq)]
pub struct ModulationState {
    /// Name in messages.
    pub name: String,
    /// Arrivals per second while it lasts.
    pub rate: f64,
    /// How long it lasts, in seconds.
    pub sojourn: Distribution,
    /// Probability of each state to be the next.
    pub next: Vec<f64>,
}

/// An arrival of a recorded trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracedArrival {
    /// When it arrives.
    pub at: SimTime,
    /// Index of its class.
    pub class: u16,
    /// Its service demand, if the trace records it; else drawn from the class.
    pub service: Option<SimDuration>,
}

/// Arrivals that are known by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrivalBatch {
    /// When their time begins.
    pub at: SimTime,
    /// How long it is.
    pub within: SimDuration,
    /// How many arrive.
    pub count: u64,
    /// Index of their class; drawn by the shares if not given.
    pub class: Option<u16>,
}

/// Where in its time the arrivals of a batch are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Equally far apart, the first at the beginning.
    Even,
    /// Independent and uniform: a Poisson process given its number of arrivals.
    Uniform,
}

/// A part of the run with its arrival rate.
#[derive(Clone, Debug)]
pub struct Phase {
    /// Name in reports.
    pub name: String,
    /// When it ends; `SimTime::NEVER` for the last one, unless it ramps.
    pub end: SimTime,
    /// Arrivals per second: at its beginning if it ramps, in the mean of a period if it cycles.
    pub rate: f64,
    /// How the rate changes.
    pub curve: Curve,
    /// Whether recovery is counted from its end.
    pub spike: bool,
}

/// How the rate of a phase changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Curve {
    /// It does not.
    Flat,
    /// Linearly to this rate at the end of the phase.
    Ramp(f64),
    /// By a cosine: rate x (1 + amplitude cos(2 pi (t - peak_at) / period)), where t is the time of the run.
    Cycle {
        /// From 0 to 1.
        amplitude: f64,
        /// Seconds.
        period: f64,
        /// Seconds.
        peak_at: f64,
    },
}

impl ArrivalSource {
    /// Each phase with its beginning.
    pub fn phase_spans(&self) -> impl Iterator<Item = (SimTime, &Phase)> {
        let begins = std::iter::once(SimTime::ZERO).chain(self.phases.iter().map(|phase| phase.end));
        begins.zip(&self.phases)
    }

    /// Offered jobs per second at a time.
    pub fn rate_at(&self, time: SimTime) -> f64 {
        let span = self.phase_spans().find(|(_, phase)| phase.end > time).or(self.phase_spans().last());
        span.map_or(0.0, |(begin, phase)| phase.rate_at(begin, time))
    }
}

impl Phase {
    /// Arrivals per second at a time of the run.
    pub fn rate_at(&self, begin: SimTime, time: SimTime) -> f64 {
        match self.curve {
            Curve::Flat => self.rate,
            Curve::Ramp(to) => {
                let length = self.end.since(begin).as_secs_f64();
                let passed = (time.since(begin).as_secs_f64() / length).min(1.0);
                self.rate + (to - self.rate) * passed
            }
            Curve::Cycle { amplitude, period, peak_at } => {
                self.rate * (1.0 + amplitude * (TAU * (time.as_secs_f64() - peak_at) / period).cos())
            }
        }
    }

    /// Expected arrivals in the first `seconds` of it.
    pub fn arrivals_in(&self, begin: SimTime, seconds: f64) -> f64 {
        match self.curve {
            Curve::Flat => self.rate * seconds,
            Curve::Ramp(to) => {
                let length = self.end.since(begin).as_secs_f64();
                let slope = (to - self.rate) / length;
                seconds * (self.rate + 0.5 * slope * seconds)
            }
            Curve::Cycle { amplitude, period, peak_at } => {
                let start = begin.as_secs_f64() - peak_at;
                // sin a - sin b as a product, which loses no digits where they are close.
                let (a, b) = (TAU * (start + seconds) / period, TAU * start / period);
                let sines = 2.0 * f64::midpoint(a, b).cos() * (0.5 * (a - b)).sin();
                self.rate * (seconds + amplitude * period / TAU * sines)
            }
        }
    }

    /// The seconds until that many arrivals are expected: the inverse of `arrivals_in`. `near` is a guess that costs
    /// time alone where it is bad.
    pub fn seconds_until(&self, begin: SimTime, arrivals: f64, near: f64) -> f64 {
        match self.curve {
            Curve::Flat => arrivals / self.rate,
            Curve::Ramp(to) => {
                // The root of rate t + slope t^2 / 2 = arrivals in the form that is stable for any sign of the slope.
                let slope = (to - self.rate) / self.end.since(begin).as_secs_f64();
                let root = (self.rate * self.rate + 2.0 * slope * arrivals).max(0.0).sqrt();
                2.0 * arrivals / (self.rate + root)
            }
            Curve::Cycle { amplitude, period, .. } => {
                // It never strays further from the mean rate than half a period's surplus: a bracket for Newton's method, which
                // falls back on halving wherever it would leave it.
                let surplus = amplitude * period / std::f64::consts::PI;
                let (mut low, mut high) =
                    ((arrivals / self.rate - surplus).max(0.0), arrivals / self.rate + surplus);
                let mut seconds = near.clamp(low, high);
                for _ in 0..MOST_STEPS {
                    let error = self.arrivals_in(begin, seconds) - arrivals;
                    if error > 0.0 {
                        high = seconds;
                    } else {
                        low = seconds;
                    }
                    let time = begin + SimDuration::from_secs_f64(seconds);
                    let newton = seconds - error / self.rate_at(begin, time);
                    if (newton - seconds).abs() <= PRECISION {
                        return newton;
                    }
                    seconds = if newton > low && newton < high { newton } else { f64::midpoint(low, high) };
                }
                seconds
            }
        }
    }
}

/// A tenth of the clock's nanosecond. Halving alone gets there from a year in 60 steps.
const PRECISION: f64 = 1e-10;
const MOST_STEPS: u32 = 100;

impl Modulation {
    /// Shares of time of the states: the sojourns weighed by how often each state is entered.
    pub fn shares(&self) -> Vec<f64> {
        let visits = self.visits();
        let times: Vec<f64> =
            self.states.iter().zip(&visits).map(|(state, share)| share * state.sojourn.mean()).collect();
        let all: f64 = times.iter().sum();
        times.iter().map(|time| time / all).collect()
    }

    /// Seconds between two changes of state in the long run.
    pub fn mean_sojourn(&self) -> f64 {
        self.states.iter().zip(self.visits()).map(|(state, share)| share * state.sojourn.mean()).sum()
    }

    /// How often each state is entered, as shares.
    fn visits(&self) -> Vec<f64> {
        let count = self.states.len();
        let mut visits = vec![1.0 / count as f64; count];
        // The chain may have a period; half of it with half of standing still has none, and the same stationary law.
        for _ in 0..MOST_ROUNDS {
            let mut next: Vec<f64> = visits.iter().map(|share| 0.5 * share).collect();
            for (state, share) in self.states.iter().zip(&visits) {
                for (sum, probability) in next.iter_mut().zip(&state.next) {
                    *sum += 0.5 * share * probability;
                }
            }
            let change: f64 = next.iter().zip(&visits).map(|(a, b)| (a - b).abs()).sum();
            visits = next;
            if change < 1e-15 {
                break;
            }
        }
        visits
    }

    /// Arrivals per second in the long run.
    pub fn mean_rate(&self) -> f64 {
        self.states.iter().zip(self.shares()).map(|(state, share)| state.rate * share).sum()
    }
}

const MOST_ROUNDS: u32 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(curve: Curve) -> (SimTime, Phase) {
        let begin = SimTime(3_000_000_000);
        (begin, Phase { name: String::new(), end: SimTime(13_000_000_000), rate: 40.0, curve, spike: false })
    }

    /// By quadrature: the mean rate over many small steps.
    fn integral(begin: SimTime, phase: &Phase, seconds: f64) -> f64 {
        let steps = 20_000;
        let middle = |step: i32| (f64::from(step) + 0.5) / f64::from(steps) * seconds;
        let rate = |step| phase.rate_at(begin, begin + SimDuration::from_secs_f64(middle(step)));
        (0..steps).map(rate).sum::<f64>() * seconds / f64::from(steps)
    }

    #[test]
    fn cumulative_rates_are_integrals_and_their_inverses_go_back() {
        for curve in [
            Curve::Flat,
            Curve::Ramp(90.0),
            Curve::Ramp(0.0),
            Curve::Cycle { amplitude: 1.0, period: 7.0, peak_at: 2.0 },
            Curve::Cycle { amplitude: 0.3, period: 0.01, peak_at: 0.0 },
        ] {
            let (begin, phase) = phase(curve);
            for seconds in [0.001, 0.7, 4.0, 9.99] {
                let arrivals = phase.arrivals_in(begin, seconds);
                let exact = integral(begin, &phase, seconds);
                assert!((arrivals - exact).abs() < 1e-4 * exact, "{curve:?} {seconds}: {arrivals} {exact}");
                let back = phase.arrivals_in(begin, phase.seconds_until(begin, arrivals, 0.0));
                assert!((back - arrivals).abs() < 1e-7, "{curve:?} {seconds}");
            }
        }
    }

    #[test]
    fn a_state_has_its_share_of_time() {
        let state = |rate, mean, next: &[f64]| ModulationState {
            name: String::new(),
            rate,
            sojourn: Distribution::Exponential { mean },
            next: next.to_vec(),
        };
        let modulation = Modulation {
            states: vec![state(10.0, 3.0, &[0.0, 1.0]), state(100.0, 1.0, &[1.0, 0.0])],
            start: None,
        };
        assert!((modulation.mean_rate() - (0.75 * 10.0 + 0.25 * 100.0)).abs() < 1e-9);
    }
}
