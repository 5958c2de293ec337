//! What disturbs a run, and when the service is back to normal.
//!
//! Normal is the calm before the first spike or fault. How many jobs waited in it is sampled at fixed distances, so that
//! neither memory nor the hot loop pays for it, and its 99th percentile is the level of normality; where there was no
//! calm, the number of slots is. In the calm itself more jobs waited for 1% of the time, so one moment above the level
//! is no relapse: normal again is the first moment, after the end of the last spike or fault, at which every circuit is
//! CLOSED and no more jobs wait than that, after which to the horizon every circuit stays CLOSED and more wait for at
//! most 5% of the time. A job that is lost from the first spike or fault on is never back, and then nothing is normal again.

use super::config::{ArrivalSource, Fault, ModelConfig};
use crate::engine::time::{SimDuration, SimTime};
use crate::stats::histogram::Histogram;

/// When a run is disturbed by spikes, faults, or a start that is not empty and closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disturbance {
    /// When the first spike or fault begins; the start where there is none.
    pub begin: SimTime,
    /// When the last one ends; `SimTime::NEVER` if it lasts to the end.
    pub end: SimTime,
}

impl Disturbance {
    /// That of a scenario; `None` where nothing disturbs it within the run.
    pub fn of(config: &ModelConfig) -> Option<Self> {
        let horizon = SimTime(config.horizon.0);
        let spikes = config.sources.iter().flat_map(ArrivalSource::phase_spans);
        let spikes = spikes.filter(|(_, phase)| phase.spike).map(|(begin, phase)| (begin, phase.end));
        let faults = config.faults.iter().map(|fault| (fault.at, Fault::end(fault)));
        let within = |(begin, _): &(SimTime, SimTime)| *begin < horizon;
        let both = |a: (SimTime, SimTime), b: (SimTime, SimTime)| (a.0.min(b.0), a.1.max(b.1));
        let is_left_over = config.start.jobs > 0 || config.start.circuit != backpressure::State::Closed;
        let start = is_left_over.then_some((SimTime::ZERO, SimTime::ZERO));
        let (begin, end) = spikes.chain(faults).filter(within).reduce(both).or(start)?;
        Some(Self { begin, end })
    }
}

impl Disturbance {
    /// When the first spike or fault begins, if the warm-up reaches into it: what leaves out the warm-up does not see it.
    pub fn within_warmup(config: &ModelConfig) -> Option<SimTime> {
        let Self { begin, end } = Self::of(config)?;
        // A start with jobs is over at once.
        (end > SimTime::ZERO && begin < SimTime(config.warmup.0)).then_some(begin)
    }
}

/// Watches for the return to normal.
#[derive(Debug)]
pub(crate) struct NormalWatch {
    disturbance: Option<Disturbance>,
    /// Jobs that waited in the calm, at each sample.
    calm: Histogram,
    calm_from: SimTime,
    /// Most jobs that wait in normal times; known from the end of the disturbance on.
    level: u64,
    state: Watched,
    last_loss: Option<SimTime>,
}

/// What is seen after the end of the disturbance.
#[derive(Debug)]
struct Watched {
    is_on: bool,
    is_above: bool,
    is_closed: bool,
    since: SimTime,
    /// Time above the level so far.
    above: u64,
    /// Beginnings of normal times that may last: moments with the time above the level before them.
    candidates: Vec<(SimTime, u64)>,
    grid: u64,
}

/// How often the calm is sampled. A prime, so that clockwork arrivals are not met at one phase of theirs.
const SAMPLES: u64 = 4_999;
/// The percentile of the calm that is the level of normality.
const PERCENTILE: f64 = 0.99;
/// More jobs than the level may wait for one part in so many of the time.
const ONE_IN: u128 = 20;
/// Candidates closer to each other than this part of the run are one.
const GRID: u64 = 10_000;

impl NormalWatch {
    pub(crate) fn new(config: &ModelConfig) -> Self {
        Self {
            disturbance: Disturbance::of(config),
            calm: Histogram::default(),
            calm_from: SimTime(config.warmup.0),
            level: u64::from(config.workers.slots()),
            state: Watched::new((config.horizon.0 / GRID).max(1)),
            last_loss: None,
        }
    }

    /// When the calm is sampled next after `now`; `None` if it is over by then, or there is none.
    pub(crate) fn next_sample(&self, now: SimTime) -> Option<SimTime> {
        let Disturbance { begin, .. } = self.disturbance?;
        let step = SimDuration((begin.since(self.calm_from).0 / SAMPLES).max(1));
        let next = now.max(self.calm_from) + step;
        (next < begin).then_some(next)
    }

    pub(crate) fn sample(&mut self, waiting: u64) {
        self.calm.record(waiting);
    }

    pub(crate) fn lost(&mut self, now: SimTime) {
        self.last_loss = Some(now);
    }

    /// The last spike or fault is over.
    pub(crate) fn begin(&mut self, now: SimTime) {
        if let Some(level) = self.calm.quantile(PERCENTILE) {
            self.level = level.ceil() as u64;
        }
        self.state.is_on = self.disturbance.is_some();
        self.state.since = now;
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.state.is_on
    }

    /// Most jobs that wait in normal times.
    #[inline]
    pub(crate) fn level(&self) -> u64 {
        self.level
    }

    /// An event is complete: whether more jobs wait than the level, and whether every circuit is closed.
    #[inline]
    pub(crate) fn look(&mut self, now: SimTime, is_above: bool, is_closed: bool) {
        if is_above != self.state.is_above || is_closed != self.state.is_closed {
            self.state.change(now, is_above, is_closed);
        }
    }

    /// How long after the disturbance everything was normal again, for good; `None` if never.
    pub(crate) fn finish(mut self, now: SimTime, is_above: bool, is_closed: bool) -> Option<SimDuration> {
        let Disturbance { begin, end } = self.disturbance?;
        if !self.state.is_on || self.last_loss.is_some_and(|lost| lost >= begin) {
            return None;
        }
        self.state.change(now, is_above, is_closed);
        let all = self.state.above;
        let lasts = |&&(from, above): &&(SimTime, u64)| {
            u128::from(all - above) * ONE_IN <= u128::from(now.since(from).0)
        };
        self.state.candidates.iter().find(lasts).map(|(from, _)| from.since(end))
    }
}

impl Watched {
    /// Nothing is seen yet; candidates within `grid` nanoseconds are one.
    fn new(grid: u64) -> Self {
        Self {
            is_on: false,
            is_above: false,
            is_closed: false,
            since: SimTime::ZERO,
            above: 0,
            candidates: Vec::new(),
            grid,
        }
    }

    fn change(&mut self, now: SimTime, is_above: bool, is_closed: bool) {
        if self.is_above {
            self.above += now.since(self.since).0;
        }
        self.since = now;
        if !is_closed {
            self.candidates.clear();
        }
        let was_normal = self.is_closed && !self.is_above;
        if is_closed && !is_above && !was_normal {
            self.propose(now);
        }
        self.is_above = is_above;
        self.is_closed = is_closed;
    }

    /// Normal times begin. A moment matters only if it may last where all earlier ones do not: if more time than allowed
    /// has been spent above the level since each of them. Within one part of the grid the last such one stands for all.
    fn propose(&mut self, now: SimTime) {
        if let Some(&(from, above)) = self.candidates.last() {
            if u128::from(self.above - above) * ONE_IN <= u128::from(now.since(from).0) {
                return;
            }
            if now.0 / self.grid == from.0 / self.grid {
                self.candidates.pop();
            }
        }
        self.candidates.push((now, self.above));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> NormalWatch {
        let state = Watched::new(1);
        let disturbance = Some(Disturbance { begin: SimTime(50), end: SimTime(100) });
        let calm = Histogram::default();
        NormalWatch { disturbance, calm, calm_from: SimTime::ZERO, level: 3, state, last_loss: None }
    }

    /// What is seen from 100 on, as (time, whether above, whether closed), and what is found at 1,100.
    #[track_caller]
    fn check(course: &[(u64, bool, bool)], expected: Option<u64>) {
        let mut watch = watch();
        watch.begin(SimTime(100));
        let mut last = (false, false);
        for &(time, is_above, is_closed) in course {
            watch.look(SimTime(time), is_above, is_closed);
            last = (is_above, is_closed);
        }
        let found = watch.finish(SimTime(1100), last.0, last.1);
        assert_eq!(found, expected.map(SimDuration));
    }

    #[test]
    fn normal_is_for_good_but_for_a_twentieth_of_the_time() {
        check(&[(100, false, true)], Some(0));
        check(&[(100, true, true), (130, false, true)], Some(30));
        check(&[(100, true, true), (130, false, true), (200, true, true), (248, false, true)], Some(30));
        check(&[(100, true, true), (130, false, true), (200, true, true), (249, false, true)], Some(149));
        // Short relapses add up.
        let often = [
            (100, false, true),
            (110, true, true),
            (140, false, true),
            (150, true, true),
            (190, false, true),
        ];
        check(&often, Some(40));
        check(&[(100, true, true), (500, false, true), (1050, true, true)], None);
        check(&[(100, true, true)], None);
    }

    #[test]
    fn no_circuit_may_open_again_and_no_job_be_lost() {
        check(&[(100, false, false)], None);
        check(&[(100, false, true), (400, false, false), (401, false, true)], Some(301));
        check(&[(100, false, true), (400, true, true), (401, true, false), (402, false, true)], Some(302));
        check(&[(100, false, true), (400, false, false)], None);
        for (lost, expected) in [(49, Some(SimDuration::ZERO)), (50, None), (700, None)] {
            let mut watch = watch();
            watch.lost(SimTime(lost));
            watch.begin(SimTime(100));
            watch.look(SimTime(100), false, true);
            assert_eq!(watch.finish(SimTime(1100), false, true), expected, "lost at {lost}");
        }
    }

    #[test]
    fn the_calm_is_sampled_until_the_disturbance_begins() {
        let mut watch = watch();
        watch.calm_from = SimTime(10);
        let mut times = Vec::new();
        let mut now = SimTime::ZERO;
        while let Some(next) = watch.next_sample(now) {
            times.push(next.0);
            now = next;
        }
        assert_eq!((times.first(), times.last(), times.len()), (Some(&11), Some(&49), 39));
        for waiting in [7; 39] {
            watch.sample(waiting);
        }
        watch.begin(SimTime(100));
        assert_eq!(watch.level(), 7);
    }
}
