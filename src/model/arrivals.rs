//! Arrival processes: the time and the class of the next job.
//!
//! Gaps are drawn in operational time, where the mean rate is 1, and turned into seconds by running through
//! the phases' rates. For a Poisson process this is the exact inversion of the cumulative rate (Cinlar,
//! "Introduction to Stochastic Processes", 1975), and one draw makes one arrival whatever the rates are, so
//! scenarios that differ in rates still share their random numbers.

use std::sync::Arc;

use rand::{Rng, RngExt};

use super::config::{
    ArrivalBatch, ArrivalProcess, ArrivalSource, Curve, Modulation, Phase, Spread, TracedArrival,
};
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

/// Where the next arrival comes from.
#[derive(Debug)]
enum Gaps {
    Constant,
    Poisson,
    Renewal(Sampler),
    Modulated(Box<Modulated>),
    Trace { arrivals: Arc<[TracedArrival]>, next: usize },
    Batches(Box<Batches>),
}

#[derive(Clone, Debug)]
struct PhasePace {
    end: SimTime,
    /// Nanoseconds for each unit of operational time; infinite at rate 0, and no number where the rate changes.
    nanos_per_arrival: f64,
    /// The phase, where its rate changes.
    curved: Option<Box<Curved>>,
}

/// A phase whose rate changes, and how far it has been run through.
#[derive(Clone, Debug)]
struct Curved {
    phase: Phase,
    begin: SimTime,
    /// Operational time of all of it.
    all: f64,
    /// Operational time and seconds since its beginning.
    passed: f64,
    seconds: f64,
}

/// A modulated process.
#[derive(Debug)]
struct Modulated {
    modulation: Modulation,
    sojourns: Vec<Sampler>,
    state: usize,
    until: SimTime,
    stream: Stream,
    horizon: SimTime,
}

/// Batches of arrivals; several may be under way at once.
#[derive(Debug)]
struct Batches {
    batches: Arc<[ArrivalBatch]>,
    spread: Spread,
    next: usize,
    open: Vec<OpenBatch>,
    /// Class of the arrival whose time was told last.
    class: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
struct OpenBatch {
    batch: ArrivalBatch,
    done: u64,
    due: SimTime,
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
    pub(crate) fn new(
        source: &ArrivalSource,
        horizon: SimTime,
        name: &str,
        seed: u64,
        replication: u32,
    ) -> Self {
        let gaps = match &source.process {
            ArrivalProcess::Constant => Gaps::Constant,
            ArrivalProcess::Poisson => Gaps::Poisson,
            ArrivalProcess::Renewal(gap) => Gaps::Renewal(Sampler::new(gap, 1.0 / gap.mean())),
            ArrivalProcess::Modulated(modulation) => {
                let stream = stream(seed, replication, &format!("{name}/states"));
                Gaps::Modulated(Box::new(Modulated::new(modulation.clone(), stream, horizon)))
            }
            ArrivalProcess::Trace(arrivals) => Gaps::Trace { arrivals: arrivals.clone(), next: 0 },
            ArrivalProcess::Batches { batches, spread } => Gaps::Batches(Box::new(Batches {
                batches: batches.clone(),
                spread: *spread,
                next: 0,
                open: Vec::new(),
                class: None,
            })),
        };
        let phases = source.phase_spans().map(|(begin, phase)| {
            let curved = (phase.curve != Curve::Flat).then(|| Box::new(Curved::new(phase.clone(), begin)));
            let nanos_per_arrival = if curved.is_some() { f64::NAN } else { 1e9 / phase.rate };
            PhasePace { end: phase.end.min(FAR), nanos_per_arrival, curved }
        });
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
        let gap = match &mut self.gaps {
            Gaps::Constant => 1.0,
            Gaps::Poisson => exponential(&mut self.gap_stream),
            Gaps::Renewal(sampler) => sampler.draw(&mut self.gap_stream),
            Gaps::Modulated(modulated) => {
                let gap = exponential(&mut self.gap_stream);
                self.now = modulated.run_through(self.now, gap);
                return self.now;
            }
            Gaps::Trace { arrivals, next } => {
                return arrivals.get(*next).map_or(SimTime::NEVER, |arrival| arrival.at);
            }
            Gaps::Batches(batches) => return batches.next_time(&mut self.gap_stream),
        };
        self.run_through(gap)
    }

    /// What the job that arrives now brings.
    #[inline(always)]
    pub(crate) fn take(&mut self) -> Arrival {
        match &mut self.gaps {
            Gaps::Trace { arrivals, next } => {
                let TracedArrival { class, service, .. } = arrivals[*next];
                *next += 1;
                return Arrival { class, service };
            }
            Gaps::Batches(batches) => {
                if let Some(class) = batches.class {
                    return Arrival { class, service: None };
                }
            }
            _ => {}
        }
        Arrival { class: self.classes.pick(&mut self.class_stream), service: None }
    }

    /// Moves on by that much operational time.
    #[inline]
    fn run_through(&mut self, mut gap: f64) -> SimTime {
        loop {
            let pace = &mut self.phases[self.phase];
            let step = self.fraction + gap * pace.nanos_per_arrival;
            // Signed conversions are one instruction each, unsigned ones several.
            let left = (pace.end.0 - self.now.0) as i64 as f64;
            // Never true where the rate changes, since nothing is less than no number.
            if step < left {
                let whole = step as i64;
                self.fraction = step - whole as f64;
                self.now.0 += whole as u64;
                return self.now;
            }
            let end = pace.end;
            if let Some(curved) = &mut pace.curved {
                match curved.run_through(end, gap) {
                    Ok(time) => {
                        self.now = time;
                        return time;
                    }
                    Err(rest) => gap = rest,
                }
            } else {
                gap = (gap - (left - self.fraction) / pace.nanos_per_arrival).max(0.0);
            }
            if self.phase + 1 == self.phases.len() {
                return SimTime::NEVER;
            }
            self.now = end;
            self.fraction = 0.0;
            self.phase += 1;
        }
    }
}

impl Curved {
    fn new(phase: Phase, begin: SimTime) -> Self {
        let all = phase.arrivals_in(begin, phase.end.min(FAR).since(begin).as_secs_f64());
        Self { phase, begin, all, passed: 0.0, seconds: 0.0 }
    }

    /// Moves on by that much operational time: to a time, or to the end with what is left.
    #[inline(never)]
    fn run_through(&mut self, end: SimTime, gap: f64) -> Result<SimTime, f64> {
        let Self { phase, begin, all, passed, seconds } = self;
        *passed += gap;
        if *passed >= *all {
            return Err(*passed - *all);
        }
        *seconds = phase.seconds_until(*begin, *passed, *seconds);
        let time = *begin + SimDuration::from_secs_f64(*seconds);
        Ok(SimTime(time.0.min(end.0 - 1)))
    }
}

impl Modulated {
    fn new(modulation: Modulation, mut stream: Stream, horizon: SimTime) -> Self {
        let sojourns = modulation.states.iter().map(|state| Sampler::new(&state.sojourn, 1e9)).collect();
        let draw: f64 = stream.random();
        let state = modulation.start.unwrap_or_else(|| pick(&modulation.shares(), draw));
        let mut modulated = Self { modulation, sojourns, state, until: SimTime::ZERO, stream, horizon };
        modulated.stay(SimTime::ZERO);
        modulated
    }

    fn stay(&mut self, now: SimTime) {
        let nanos = self.sojourns[self.state].draw(&mut self.stream).max(1.0);
        self.until = now + SimDuration(nanos as u64);
    }

    /// Moves on by a number of expected arrivals.
    fn run_through(&mut self, mut now: SimTime, mut gap: f64) -> SimTime {
        while now < self.horizon {
            let rate = self.modulation.states[self.state].rate;
            let here = rate * self.until.since(now).as_secs_f64();
            if gap < here {
                return now + SimDuration::from_secs_f64(gap / rate);
            }
            gap -= here;
            now = self.until;
            let draw: f64 = self.stream.random();
            self.state = pick(&self.modulation.states[self.state].next, draw);
            self.stay(now);
        }
        SimTime::NEVER
    }
}

/// The index that a uniform draw picks by these probabilities; the last one that has any, where rounding leaves a gap.
fn pick(probabilities: &[f64], draw: f64) -> usize {
    let mut sum = 0.0;
    let mut last = 0;
    for (index, probability) in
        probabilities.iter().enumerate().filter(|(_, probability)| **probability > 0.0)
    {
        sum += probability;
        last = index;
        if draw < sum {
            break;
        }
    }
    last
}

impl Batches {
    fn next_time(&mut self, stream: &mut Stream) -> SimTime {
        loop {
            let next = self.open.iter().enumerate().min_by_key(|(index, open)| (open.due, *index));
            let due = next.map_or(SimTime::NEVER, |(_, open)| open.due);
            if let Some(batch) = self.batches.get(self.next).filter(|batch| batch.at <= due) {
                self.next += 1;
                if batch.count > 0 {
                    let mut open = OpenBatch { batch: *batch, done: 0, due: batch.at };
                    open.due = open.next_time(self.spread, stream);
                    self.open.push(open);
                }
                continue;
            }
            let Some((index, _)) = next else { return SimTime::NEVER };
            let open = &mut self.open[index];
            self.class = open.batch.class;
            open.done += 1;
            if open.done == open.batch.count {
                self.open.remove(index);
            } else {
                open.due = open.next_time(self.spread, stream);
            }
            return due;
        }
    }
}

impl OpenBatch {
    /// When the next arrival of the batch comes.
    fn next_time(&self, spread: Spread, stream: &mut Stream) -> SimTime {
        let ArrivalBatch { at, within, count, .. } = self.batch;
        match spread {
            Spread::Even => {
                let nanos = u128::from(within.0) * u128::from(self.done) / u128::from(count);
                at + SimDuration(nanos as u64)
            }
            // The least of n uniform numbers on what is left: 1 - U^(1/n) of it (order statistics of a Poisson process of which
            // the count is known; Ross, "Stochastic Processes", theorem 2.3.1).
            Spread::Uniform => {
                let left = (count - self.done) as f64;
                let draw: f64 = stream.random();
                let share = -(draw.ln() / left).exp_m1();
                let rest = (at + within).since(self.due);
                self.due + SimDuration((rest.0 as f64 * share) as u64)
            }
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
    use crate::model::config::{ModulationState, Phase};
    use crate::model::distribution::Distribution;

    fn phase(end: u64, rate: f64) -> Phase {
        Phase { name: String::new(), end: SimTime(end), rate, curve: Curve::Flat, spike: false }
    }

    fn arrivals(process: ArrivalProcess, phases: Vec<Phase>, count: usize) -> Vec<u64> {
        let mut source =
            Source::new(&ArrivalSource { process, phases, classes: vec![(0, 1.0)] }, FAR, "test", 1, 0);
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
                let mut source = Source::new(&source, FAR, "test", 9, replication);
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

    fn times(source: &ArrivalSource, horizon: SimTime, replication: u32) -> Vec<SimTime> {
        let mut running = Source::new(source, horizon, "test", 9, replication);
        let next = || {
            let time = running.next_time();
            (time < horizon).then(|| running.take());
            time
        };
        std::iter::repeat_with(next).take_while(|time| *time < horizon).collect()
    }

    /// By the time-rescaling theorem (Brown, Barbieri, Ventura, Kass and Frank, Neural Computation 14, 2002) the gaps of the
    /// cumulative rate at the arrivals are exponential with mean 1 if and only if it is the process's own: Kolmogorov and Smirnov's
    /// test at 0.1%.
    #[test]
    fn arrivals_of_ramps_and_cycles_are_poisson_in_operational_time() {
        let second = 1_000_000_000;
        let mut phases = vec![phase(100 * second, 5.0), phase(300 * second, 20.0), phase(400 * second, 60.0)];
        phases[0].curve = Curve::Ramp(60.0);
        phases[1].curve = Curve::Cycle { amplitude: 0.9, period: 37.0, peak_at: 3.0 };
        phases[2].curve = Curve::Ramp(0.0);
        let source = ArrivalSource { process: ArrivalProcess::Poisson, phases, classes: vec![(0, 1.0)] };
        let cumulative = |time: SimTime| -> f64 {
            let passed = |(begin, phase): (SimTime, &Phase)| {
                let end = phase.end.min(time);
                phase.arrivals_in(begin, end.since(begin).as_secs_f64())
            };
            source.phase_spans().filter(|(begin, _)| *begin < time).map(passed).sum()
        };
        let mut gaps: Vec<f64> = Vec::new();
        for replication in 0..2 {
            let mut last = 0.0;
            for time in times(&source, SimTime(400 * second), replication) {
                let now = cumulative(time);
                gaps.push(1.0 - f64::exp(last - now));
                last = now;
            }
        }
        gaps.sort_by(f64::total_cmp);
        let count = gaps.len() as f64;
        assert!(count > 15_000.0, "{count}");
        let distance = |(index, value): (usize, &f64)| {
            (value - index as f64 / count).abs().max((value - (index + 1) as f64 / count).abs())
        };
        let largest = gaps.iter().enumerate().map(distance).fold(0.0, f64::max);
        assert!(largest * count.sqrt() < 1.949, "{largest} of {count}");
    }

    #[test]
    fn constant_arrivals_of_a_ramp_are_at_the_roots_of_its_cumulative_rate() {
        // 2/s to 6/s in 4 s: t + t^2 / 4 = k / 2.
        let mut ramp = phase(4_000_000_000, 2.0);
        ramp.curve = Curve::Ramp(6.0);
        let times = arrivals(ArrivalProcess::Constant, vec![ramp], 16);
        for (index, time) in times[..15].iter().enumerate() {
            let exact = 2.0 * ((1.0 + 0.5 * (index + 1) as f64).sqrt() - 1.0);
            assert!((*time as f64 / 1e9 - exact).abs() < 2e-9, "{index}: {time} {exact}");
        }
        // The sixteenth is due at the very end, which is no longer part of it.
        assert_eq!(times[15], u64::MAX);
    }

    /// Fischer and Meier-Hellstern, "The Markov-modulated Poisson process (MMPP) cookbook", Performance Evaluation 18 (1993),
    /// section 3.2: mean and index of dispersion of the counts of a stationary MMPP of two states.
    #[test]
    fn counts_of_a_modulated_process_are_dispersed_as_theory_says() {
        let (rates, leave, time) = ([40.0, 5.0], [2.0, 0.5], 10.0);
        let state = |index: usize, next: [f64; 2]| ModulationState {
            name: String::new(),
            rate: rates[index],
            sojourn: Distribution::Exponential { mean: 1.0 / leave[index] },
            next: next.to_vec(),
        };
        let modulation = Modulation { states: vec![state(0, [0.0, 1.0]), state(1, [1.0, 0.0])], start: None };
        let mean = modulation.mean_rate() * time;
        let source = ArrivalSource {
            process: ArrivalProcess::Modulated(modulation),
            phases: vec![phase(u64::MAX, mean / time)],
            classes: vec![(0, 1.0)],
        };
        let horizon = SimTime(10_000_000_000);
        let counts: Vec<f64> =
            (0..6000).map(|replication| times(&source, horizon, replication).len() as f64).collect();
        let count = counts.len() as f64;
        let moment =
            |power: i32, around: f64| counts.iter().map(|x| (x - around).powi(power)).sum::<f64>() / count;
        let sum = leave[0] + leave[1];
        let weight = 2.0 * (rates[0] - rates[1]).powi(2) * leave[0] * leave[1]
            / (sum.powi(2) * (rates[0] * leave[1] + rates[1] * leave[0]));
        let dispersion = 1.0 + weight * (1.0 - (1.0 - (-sum * time).exp()) / (sum * time));
        let own_mean = moment(1, 0.0);
        let variance = moment(2, own_mean);
        assert!((own_mean - mean).abs() < 5.0 * (variance / count).sqrt(), "{own_mean} {mean}");
        let error = ((moment(4, own_mean) - variance.powi(2)) / count).sqrt();
        assert!(
            (variance - mean * dispersion).abs() < 5.0 * error,
            "{variance} {} {error}",
            mean * dispersion
        );
    }

    #[test]
    fn counts_are_met_and_lie_as_they_should() {
        let batch = |at, within, count, class| ArrivalBatch {
            at: SimTime(at),
            within: SimDuration(within),
            count,
            class: Some(class),
        };
        let source = |batches: Vec<ArrivalBatch>, spread| ArrivalSource {
            process: ArrivalProcess::Batches { batches: batches.into(), spread },
            phases: vec![phase(u64::MAX, 0.0)],
            classes: vec![(0, 1.0)],
        };
        // Two that overlap: each keeps its own places.
        let two = source(vec![batch(100, 40, 4, 0), batch(105, 0, 3, 1), batch(200, 10, 0, 1)], Spread::Even);
        let exact = [100, 105, 105, 105, 110, 120, 130].map(SimTime);
        assert_eq!(times(&two, SimTime(1_000), 0), exact);
        // The mean of the first of n uniform places is 1 / (n + 1) of the time, its variance n / ((n + 1)^2 (n + 2)).
        let spread = source(vec![batch(0, 1_000_000_000, 9, 0)], Spread::Uniform);
        let runs: Vec<_> = (0..4000).map(|run| times(&spread, SimTime(1_000_000_000), run)).collect();
        assert!(runs.iter().all(|times| times.len() == 9 && times.is_sorted()));
        let mean = |index: usize| runs.iter().map(|times| times[index].as_secs_f64()).sum::<f64>() / 4000.0;
        let error = (9.0f64 / (100.0 * 11.0) / 4000.0).sqrt();
        assert!((mean(0) - 0.1).abs() < 5.0 * error, "{}", mean(0));
        assert!((mean(8) - 0.9).abs() < 5.0 * error, "{}", mean(8));
    }
}
