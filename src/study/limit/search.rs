//! The search: from the scenario outwards until the objectives turn, then inwards, then outwards again until that is proven.
//!
//! ```text
//!   proven met        met, not proven   |   missed, not proven      proven missed
//! ------------x-------------------------|----------------------------x-----------> value
//!            low                  limit   next                      high
//! ```
//!
//! Replication `i` draws the same random numbers at every value, so its figures move smoothly along the axis, and bisection
//! finds the turn of *their* mean as closely as asked for. How far it may be from the turn of the expectation is the
//! distance at which the tests of [`Tests`] reject: the ends are the nearest values that are proven met and proven missed. So
//! the interval is a test turned around (Neyman, Phil. Trans. A 236, 1937): it misses the true limit only if the test errs
//! at the true limit, one value that nobody chose by looking. That is why the level is not divided over the
//! values tried, as it must be where each step of a bisection is decided by noise of its own (Waeber, Frazier and
//! Henderson, SIAM J. Control Optim. 51, 2013). It needs that what is proven at a value is proven beyond it as well, which
//! holds where the figures of a run move one way along the axis. With retries or circuits they may not: values on
//! the wrong side are reported.

use std::collections::BTreeMap;

use super::along::Along;
use super::evidence::{Claim, Evidence, Tests};
use super::{Asked, Direction, Interval, LimitError};
use crate::engine::time::SimDuration;
use crate::experiment::replication::{Replication, simulate};
use crate::experiment::summary::judge;
use crate::experiment::{Progress, parallel};
use crate::scenario::Scenario;
use crate::study::grid::Grid;

/// A search under way, with all that it has run.
pub(super) struct Search<'s, P> {
    grid: &'s Grid,
    asked: &'s Asked,
    tests: &'s Tests,
    /// Cut in addition from each run, so that less of its beginning is left.
    cut: SimDuration,
    /// By the bits of the value, which order as the values do: none is negative.
    trials: BTreeMap<u64, Trial>,
    progress: &'s P,
}

/// A value and what was run at it.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    pub(super) value: f64,
    pub(super) scenario: Scenario,
    pub(super) runs: Vec<Replication>,
}

/// Where the objectives turn: two neighbouring values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// They are met.
    pub(super) met: f64,
    /// They are not.
    pub(super) missed: f64,
}

/// What walking away from the scenario's own value has found.
pub(super) enum Explored {
    Turn(Turn),
    /// Met at all values between these.
    Everywhere(f64, f64),
    /// Missed at all values between these.
    Nowhere(f64, f64),
}

impl<'s, P: Progress> Search<'s, P> {
    pub(super) fn new(
        grid: &'s Grid,
        asked: &'s Asked,
        tests: &'s Tests,
        cut: SimDuration,
        progress: &'s P,
    ) -> Self {
        Self { grid, asked, tests, cut, trials: BTreeMap::new(), progress }
    }

    fn along(&self) -> &'s Along {
        &self.asked.along
    }

    pub(super) fn into_trials(self) -> Vec<Trial> {
        self.trials.into_values().collect()
    }

    /// Walks from the scenario's value by doubling and halving, in both directions in turn where none is given, until the
    /// objectives turn or the bounds are reached.
    pub(super) fn explore(&mut self) -> Result<Explored, LimitError> {
        let start = self.asked.start();
        let begins_met = self.is_met(start)?;
        let mut walks: Vec<Walk> = self
            .asked
            .walks(begins_met)
            .into_iter()
            .map(|step| Walk { at: start, step, open: true })
            .collect();
        while walks.iter().any(|walk| walk.open) {
            for walk in walks.iter_mut().filter(|walk| walk.open) {
                let Walk { at, step, .. } = *walk;
                let Some(next) = self.asked.beyond(at, step).filter(|&next| self.is_possible(next)) else {
                    walk.open = false;
                    continue;
                };
                walk.at = next;
                if self.is_met(next)? != begins_met {
                    let (met, missed) = if begins_met { (at, next) } else { (next, at) };
                    return Ok(Explored::Turn(Turn { met, missed }));
                }
            }
        }
        let reached = || walks.iter().map(|walk| walk.at).chain([start]);
        let (low, high) =
            (reached().fold(f64::INFINITY, f64::min), reached().fold(f64::NEG_INFINITY, f64::max));
        Ok(if begins_met { Explored::Everywhere(low, high) } else { Explored::Nowhere(low, high) })
    }

    /// Brings the two sides of a turn together until they are neighbours.
    pub(super) fn narrowed(&mut self, turn: Turn) -> Result<Turn, LimitError> {
        let Turn { mut met, mut missed } = turn;
        while let Some(middle) = self.asked.between(met, missed) {
            if self.is_met(middle)? {
                met = middle;
            } else {
                missed = middle;
            }
        }
        Ok(Turn { met, missed })
    }

    /// The turn near that of another search.
    pub(super) fn turn_near(&mut self, turn: Turn) -> Result<Option<Turn>, LimitError> {
        let Some(met) = self.outwards(turn.met, turn.missed, Self::is_met)? else {
            return Ok(None);
        };
        let missed = self.outwards(turn.missed, turn.met, |search, value| Ok(!search.is_met(value)?))?;
        let Some(missed) = missed else { return Ok(None) };
        self.narrowed(Turn { met, missed }).map(Some)
    }

    /// The nearest values that are proven met and proven missed; nothing on a side where none is within the bounds.
    pub(super) fn interval(&mut self, turn: Turn) -> Result<Interval, LimitError> {
        let met =
            self.outwards(turn.met, turn.missed, |search, value| search.is_proven(Claim::Met, value))?;
        let missed =
            self.outwards(turn.missed, turn.met, |search, value| search.is_proven(Claim::Missed, value))?;
        // Of whole numbers the limit is not the one that is proven missed but the next.
        let is_next = self.along().is_whole() && missed.is_some_and(|value| self.asked.stride(value) <= 1.0);
        let inwards = if turn.met < turn.missed { -1.0 } else { 1.0 };
        let missed = missed.map(|value| if is_next { value + inwards } else { value });
        let (low, high) = if turn.met < turn.missed { (met, missed) } else { (missed, met) };
        Ok(Interval { low, high })
    }

    /// From `start` away from `other`, by growing steps, to a value for which `holds`, and back to the first such one.
    fn outwards(
        &mut self,
        start: f64,
        other: f64,
        holds: impl Fn(&mut Self, f64) -> Result<bool, LimitError>,
    ) -> Result<Option<f64>, LimitError> {
        if holds(self, start)? {
            return Ok(Some(start));
        }
        let (mut last, mut steps) = (start, if start > other { 1 } else { -1 });
        let mut found = loop {
            let Some(value) = self.asked.stepped(last, steps).filter(|&value| self.is_possible(value)) else {
                return Ok(None);
            };
            if holds(self, value)? {
                break value;
            }
            last = value;
            steps *= 2;
        };
        while let Some(middle) = self.asked.between(found, last) {
            if holds(self, middle)? {
                found = middle;
            } else {
                last = middle;
            }
        }
        Ok(Some(found))
    }

    /// Whether a check at that value passes: with as many replications as the scenario asks for.
    pub(super) fn is_met(&mut self, value: f64) -> Result<bool, LimitError> {
        let usual = self.tests.usual;
        let trial = self.at(value, usual)?;
        let runs = &trial.runs[..usual as usize];
        Ok(trial.scenario.slo.iter().all(|slo| judge(slo, runs).pass))
    }

    fn is_proven(&mut self, claim: Claim, value: f64) -> Result<bool, LimitError> {
        let (tests, mut runs) = (self.tests, self.tests.usual);
        loop {
            let trial = self.at(value, runs)?;
            match tests.answer(claim, &trial.runs) {
                Evidence::Proven => return Ok(true),
                Evidence::NotProven => return Ok(false),
                // In parts, since a few may tell already.
                Evidence::MoreRuns(most) => runs = most.min(trial.runs.len() as u32 + tests.usual.max(PART)),
            }
        }
    }

    /// Whether the scenario allows that value.
    fn is_possible(&self, value: f64) -> bool {
        self.trials.contains_key(&value.to_bits()) || self.along().scenario(self.grid, value).is_ok()
    }

    /// The trial at a value, with at least so many replications.
    fn at(&mut self, value: f64, runs: u32) -> Result<&Trial, LimitError> {
        let key = value.to_bits();
        if !self.trials.contains_key(&key) {
            let mut scenario = self.along().scenario(self.grid, value).map_err(LimitError::Scenario)?;
            let model = &mut scenario.model;
            model.warmup = SimDuration(model.warmup.0 + self.cut.0);
            self.trials.insert(key, Trial { value, scenario, runs: Vec::new() });
        }
        let trial = self.trials.get_mut(&key).expect("it is there now");
        let done = trial.runs.len() as u32;
        if done < runs {
            let Trial { scenario, .. } = &*trial;
            let further = parallel::map((runs - done) as usize, |task| {
                let outcome = simulate(scenario, done + task as u32, self.progress)?;
                Some(Replication::of(&outcome, &scenario.model))
            });
            trial.runs.extend(further.ok_or(LimitError::Interrupted)?);
        }
        Ok(trial)
    }
}

/// One way out from the scenario's own value.
struct Walk {
    at: f64,
    step: Direction,
    open: bool,
}

/// Replications that are added at a time.
const PART: u32 = 8;
