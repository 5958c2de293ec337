//! How far a scenario can be taken: the highest load that meets its objectives, or the last value of a setting that does,
//! with an interval of stated confidence and what breaks at the next step.
//!
//! ```text
//! along (load, or a setting) --value--> scenario --replications--> evidence (met? missed? proven?)
//!              ^                                                           |
//!              +--------------------------- search ------------------------+
//! ```
//!
//! What is found is the limit of *the runs that the scenario describes*: so long, from that start. Where the load never
//! changes, people mean the limit in the long run, and runs that begin empty look better than that. So the search
//! is made a second time on the second half of each run alone, and the interval covers both.

mod along;
mod evidence;
mod load;
mod search;

use std::fmt;

pub use along::{Along, NoSuchWay};
use evidence::Tests;
use search::{Explored, Search, Trial, Turn};

use crate::engine::time::SimDuration;
use crate::experiment::Progress;
use crate::experiment::summary::{
    Estimate, LimitReached, SloResult, estimate_of_left, judge, limits_reached,
};
use crate::experiment::traffic::Traffic;
use crate::model::config::{ArrivalProcess, Curve, ModelConfig};
use crate::scenario::{Kind, Scenario, ScenarioError};
use crate::study::grid::Grid;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What is moved.
    pub along: Along,
    /// Which way it gets worse; found out if not given.
    pub direction: Option<Direction>,
    /// Smallest value to try.
    pub from: Option<f64>,
    /// Largest value to try.
    pub to: Option<f64>,
    /// How far apart two neighbouring values are, as a share of them.
    pub precision: f64,
    /// Confidence of the interval.
    pub confidence: f64,
}

/// A way along the axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To larger values.
    Up,
    /// To smaller values.
    Down,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Limit {
    /// The scenario and what files and options it was made from.
    pub grid: Grid,
    /// What was asked.
    pub asked: Asked,
    /// The answer.
    pub found: Found,
    /// All values tried, the smallest first.
    pub points: Vec<Point>,
    /// Whether a check of the scenario as it is passes.
    pub own: bool,
    /// Values that are met beyond the limit, or missed before it: the objectives turn more than once.
    pub exceptions: Vec<f64>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// The objectives turn.
    Limit(Bracket),
    /// They are met from the first value to the second.
    Everywhere(f64, f64),
    /// They are missed from the first value to the second.
    Nowhere(f64, f64),
}

/// A limit and how well it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bracket {
    /// Which way from the limit the objectives are missed.
    pub direction: Direction,
    /// The last value whose check passes.
    pub limit: f64,
    /// The next one, whose check does not.
    pub next: f64,
    /// Covers the limit of the runs as they are, and of their second half where the load never changes.
    pub interval: Interval,
    /// Of the runs as they are.
    pub as_written: Interval,
    /// Of their second half alone; `None` where the load changes, so that each part of a run has its own meaning.
    pub second_half: Option<Interval>,
}

/// An interval; open on a side where nothing within the bounds is proven.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Interval {
    /// Smallest value that the limit may have: the last one that is met, of whole numbers.
    pub low: Option<f64>,
    /// Largest value that the limit may have.
    pub high: Option<f64>,
}

/// A value that was tried.
#[derive(Clone, Debug)]
pub struct Point {
    /// The value.
    pub value: f64,
    /// Replications at it.
    pub runs: u32,
    /// Highest offered rate in jobs per second; recorded arrivals count as nothing.
    pub peak_rate: f64,
    /// Whether a check passes: with as many replications as the scenario asks for. The figures below are of these.
    pub pass: bool,
    /// Each objective.
    pub slo: Vec<SloResult>,
    /// The metric of each objective over the replications.
    pub metrics: Vec<Estimate>,
    /// What became of all jobs.
    pub traffic: Traffic,
    /// Limits that were reached, the earliest first.
    pub limits_reached: Vec<LimitReached>,
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub enum LimitError {
    /// Nothing says what must hold.
    NoObjectives,
    /// One replication has no interval.
    OneReplication,
    /// The bounds leave nothing to search.
    Bounds(String),
    /// A value within the bounds is not allowed.
    Scenario(ScenarioError),
    /// The search was interrupted.
    Interrupted,
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoObjectives => f.write_str(
                "the scenario has no objectives, so no load is too high. Add what must hold, such as\n  \
                 slo = [\"rejection_probability <= 1%\", \"lost_jobs == 0\", \"wait_p95_seconds < 2\"]",
            ),
            Self::OneReplication => f.write_str(
                "one replication says nothing of the next: `limit` needs --replications 2 or more, better 10",
            ),
            Self::Bounds(message) => f.write_str(message),
            Self::Scenario(error) => error.fmt(f),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for LimitError {}

impl Limit {
    /// Searches, in the current rayon pool. The same question gives the same answer on any number of threads.
    ///
    /// # Errors
    ///
    /// If nothing can be asked of the scenario, or if `progress` interrupts the search.
    pub fn search(grid: Grid, asked: Asked, progress: &impl Progress) -> Result<Self, LimitError> {
        let scenario = grid.scenario();
        if scenario.slo.is_empty() {
            return Err(LimitError::NoObjectives);
        }
        if scenario.replications < 2 {
            return Err(LimitError::OneReplication);
        }
        asked.check()?;
        let tests = Tests::of(&scenario.slo, scenario.replications, asked.confidence);
        let mut search = Search::new(&grid, &asked, &tests, SimDuration::ZERO, progress);
        let found = match search.explore()? {
            Explored::Everywhere(low, high) => Found::Everywhere(low, high),
            Explored::Nowhere(low, high) => Found::Nowhere(low, high),
            Explored::Turn(turn) => {
                let turn = search.narrowed(turn)?;
                let as_written = search.interval(turn)?;
                let half = second_half(&scenario.model);
                let second_half = half
                    .map(|cut| second_half_interval(&grid, &asked, &tests, cut, turn, progress))
                    .transpose()?;
                Found::Limit(Bracket::of(turn, as_written, second_half))
            }
        };
        for value in asked.curve(&found) {
            search.is_met(value)?;
        }
        let own = search.is_met(asked.along.own())?;
        let trials = search.into_trials();
        let points: Vec<Point> =
            trials.iter().map(|trial| Point::of(trial, scenario.replications as usize)).collect();
        let exceptions = exceptions(&found, &points);
        Ok(Self { found, points, own, exceptions, asked, grid })
    }

    /// The scenario as it is.
    pub fn scenario(&self) -> &Scenario {
        self.grid.scenario()
    }

    /// What was found at a value that was tried.
    pub fn point(&self, value: f64) -> Option<&Point> {
        self.points.iter().find(|point| point.value.to_bits() == value.to_bits())
    }

    /// The command line that asks the same, for a shell.
    pub fn command(&self) -> String {
        let mut command = self.scenario().command.replacen("simulate ", "simulate limit ", 1);
        let Asked { along, direction, from, to, precision, confidence } = &self.asked;
        let mut add = |option: &str, value: String| {
            command += &format!(" {option} {}", crate::scenario::for_shell(&value));
        };
        if let Along::Setting(setting) = along {
            add("--along", setting.path.clone());
        }
        if let Some(direction) = direction {
            add("--direction", direction.word().to_owned());
        }
        for (option, value) in [("--from", from), ("--to", to)] {
            if let Some(value) = value {
                add(option, along.written(*value));
            }
        }
        if (precision - PRECISION).abs() > 1e-12 {
            add("--precision", precision.to_string());
        }
        if (confidence - CONFIDENCE).abs() > 1e-12 {
            add("--confidence", confidence.to_string());
        }
        command
    }
}

/// Whether the scenario as it is meets its objectives.
pub fn meets_its_own(limit: &Limit) -> bool {
    limit.own
}

/// The limit in the second half of the runs, near where it is in the whole of them.
fn second_half_interval(
    grid: &Grid,
    asked: &Asked,
    tests: &Tests,
    cut: SimDuration,
    turn: Turn,
    progress: &impl Progress,
) -> Result<Interval, LimitError> {
    let mut search = Search::new(grid, asked, tests, cut, progress);
    match search.turn_near(turn)? {
        Some(turn) => search.interval(turn),
        None => Ok(Interval::default()),
    }
}

/// Half of what the warm-up leaves, if every part of the run is like the others: the load never changes, and nothing breaks.
fn second_half(model: &ModelConfig) -> Option<SimDuration> {
    let is_steady = model.sources.iter().all(|source| {
        let is_drawn = match source.process {
            ArrivalProcess::Constant
            | ArrivalProcess::Poisson
            | ArrivalProcess::Renewal(_)
            | ArrivalProcess::Modulated(_) => true,
            ArrivalProcess::Trace(_) | ArrivalProcess::Batches { .. } => false,
        };
        is_drawn && matches!(&source.phases[..], [only] if only.curve == Curve::Flat)
    });
    let is_alike = is_steady && model.faults.is_empty() && model.start.jobs == 0;
    is_alike.then(|| SimDuration((model.horizon.0 - model.warmup.0) / 2))
}

/// Values on the wrong side of the limit.
fn exceptions(found: &Found, points: &[Point]) -> Vec<f64> {
    let Found::Limit(bracket) = found else { return Vec::new() };
    let is_beyond = |value: f64| match bracket.direction {
        Direction::Up => value > bracket.limit,
        Direction::Down => value < bracket.limit,
    };
    let is_odd =
        |point: &&Point| point.pass == is_beyond(point.value) && !bracket.interval.contains(point.value);
    points.iter().filter(is_odd).map(|point| point.value).collect()
}

impl Bracket {
    fn of(turn: Turn, as_written: Interval, second_half: Option<Interval>) -> Self {
        let direction = if turn.met < turn.missed { Direction::Up } else { Direction::Down };
        let interval = second_half.map_or(as_written, |half| as_written.and(half));
        Self { direction, limit: turn.met, next: turn.missed, interval, as_written, second_half }
    }
}

impl Interval {
    /// The interval that covers both; open where one is.
    fn and(self, other: Self) -> Self {
        let both = |a: Option<f64>, b: Option<f64>, choose: fn(f64, f64) -> f64| Some(choose(a?, b?));
        Self { low: both(self.low, other.low, f64::min), high: both(self.high, other.high, f64::max) }
    }

    /// Whether a value is in it.
    pub fn contains(&self, value: f64) -> bool {
        self.low.is_none_or(|low| low <= value) && self.high.is_none_or(|high| value <= high)
    }

    /// Whether it has a value in common with another one.
    pub fn meets(&self, other: &Self) -> bool {
        let is_below = |a: &Self, b: &Self| matches!((a.high, b.low), (Some(high), Some(low)) if high < low);
        !is_below(self, other) && !is_below(other, self)
    }
}

impl Direction {
    /// As the option says it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

impl Point {
    fn of(trial: &Trial, usual: usize) -> Self {
        let Trial { value, scenario, runs } = trial;
        let few = &runs[..usual];
        let slo: Vec<SloResult> = scenario.slo.iter().map(|slo| judge(slo, few)).collect();
        Self {
            value: *value,
            runs: runs.len() as u32,
            peak_rate: scenario.model.peak_rate(),
            pass: slo.iter().all(|result| result.pass),
            metrics: scenario.slo.iter().map(|slo| estimate_of_left(slo, few)).collect(),
            slo,
            traffic: Traffic::of(scenario, few),
            limits_reached: limits_reached(few),
        }
    }

    /// The objectives that are not met.
    pub fn missed(&self) -> impl Iterator<Item = &SloResult> {
        self.slo.iter().filter(|result| !result.pass)
    }
}

impl Asked {
    fn check(&self) -> Result<(), LimitError> {
        let name = self.along.name();
        let (start, from, to) = (self.start(), self.from, self.to);
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            return Err(LimitError::Bounds(format!(
                "--from {from} is not below --to {to}: nothing lies between them"
            )));
        }
        if start <= 0.0 && to.is_none() {
            let message = format!("`{name}` is 0, and twice nothing is nothing: say how far to go with --to");
            return Err(LimitError::Bounds(message));
        }
        Ok(())
    }

    /// Where the search begins: the scenario's own value, or the bound next to it.
    fn start(&self) -> f64 {
        let own = self.along.own();
        let own = self.from.map_or(own, |from| own.max(from));
        self.to.map_or(own, |to| own.min(to))
    }

    /// The ways to walk from a value that is met, or missed, in the order of what is likely.
    fn walks(&self, is_met: bool) -> Vec<Direction> {
        let worse = match (self.direction, &self.along) {
            (Some(direction), _) => vec![direction],
            (None, Along::Load) if is_met => vec![Direction::Up],
            (None, _) => vec![Direction::Up, Direction::Down],
        };
        if is_met {
            return worse;
        }
        worse.into_iter().map(Direction::opposite).collect()
    }

    /// Twice or half a value, or the bound before it; `None` at the bound.
    fn beyond(&self, at: f64, way: Direction) -> Option<f64> {
        let (least, most) = self.bounds();
        let next = match way {
            Direction::Up if at <= 0.0 => most / FIRST_PART,
            Direction::Up => at * 2.0,
            Direction::Down => at / 2.0,
        };
        let next = self.along.rounded(next.clamp(least, most));
        let is_new = (next - at).abs() > at * 1e-9;
        let next = if is_new || !self.along.is_whole() { next } else { self.stepped(at, way.sign())? };
        ((next - at).abs() > at * 1e-9 && next >= 0.0).then_some(next)
    }

    /// A value so many neighbours further; `None` beyond the bounds.
    fn stepped(&self, from: f64, steps: i32) -> Option<f64> {
        let (least, most) = self.bounds();
        let value = if self.along.is_whole() {
            from + f64::from(steps) * self.stride(from)
        } else if from > 0.0 {
            from * (1.0 + self.precision).powi(steps)
        } else {
            f64::from(steps) * most * self.precision
        };
        let bound = if steps > 0 { most } else { least };
        let is_beyond = |value: f64| if steps > 0 { value > bound } else { value < bound };
        if is_beyond(from) || (from - bound).abs() <= bound.abs() * 1e-9 {
            return None;
        }
        let value = self.along.rounded(value);
        Some(if is_beyond(value) { bound } else { value })
    }

    /// A value between two others, so that they are halved on a scale of ratios; `None` of neighbours.
    fn between(&self, a: f64, b: f64) -> Option<f64> {
        let (low, high) = (a.min(b), a.max(b));
        if self.along.is_whole() {
            let stride = self.stride(low);
            if high - low <= stride {
                return None;
            }
        } else if high <= low * (1.0 + self.precision) * (1.0 + 1e-9) || high <= self.bounds().1 * TINY {
            return None;
        }
        let middle = if low > 0.0 { (low * high).sqrt() } else { f64::midpoint(low, high) };
        let middle = self.along.rounded(middle);
        (middle > low && middle < high).then_some(middle)
    }

    /// The distance of neighbours where values are whole.
    fn stride(&self, value: f64) -> f64 {
        (value * self.precision).floor().max(1.0)
    }

    /// How far a search may go.
    fn bounds(&self) -> (f64, f64) {
        let own = self.along.own();
        let (fewer, more) = match self.along {
            Along::Load => (LEAST_LOAD, MOST_LOAD),
            Along::Setting(_) => (LEAST_SETTING, MOST_SETTING),
        };
        let (least, most) = match self.along.kind() {
            Kind::Whole { least, most } => (least as f64, most as f64),
            _ => (0.0, f64::MAX),
        };
        let low = self.from.unwrap_or((own * fewer).max(least));
        let low = if self.along.is_whole() { low.ceil() } else { low };
        (low, self.to.unwrap_or((own * more).min(most)).max(low))
    }

    /// Further values for a curve that shows both sides of the limit.
    fn curve(&self, found: &Found) -> Vec<f64> {
        let (least, most) = self.bounds();
        let (low, high) = match *found {
            Found::Limit(Bracket { limit, next, interval, .. }) => {
                let (low, high) = (limit.min(next), limit.max(next));
                let low = interval.low.map_or(low, |end| end.min(low));
                let high = interval.high.map_or(high, |end| end.max(high));
                (low * CURVE.0, high * CURVE.1)
            }
            // All of it was walked through.
            Found::Everywhere(..) | Found::Nowhere(..) => return Vec::new(),
        };
        let (low, high) = (low.max(least), high.min(most));
        let at = |step: u32| low + (high - low) * f64::from(step) / f64::from(CURVE_STEPS);
        let mut values: Vec<f64> = (0..=CURVE_STEPS).map(|step| self.along.rounded(nice(at(step)))).collect();
        // What lies between the limit and the next value is too close to it to be asked.
        let is_between = |value: f64| match found {
            Found::Limit(Bracket { limit, next, .. }) => limit.min(*next) < value && value < limit.max(*next),
            Found::Everywhere(..) | Found::Nowhere(..) => false,
        };
        values.retain(|&value| (least..=most).contains(&value) && !is_between(value));
        values.dedup();
        values
    }
}

impl Direction {
    fn opposite(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }

    fn sign(self) -> i32 {
        match self {
            Self::Up => 1,
            Self::Down => -1,
        }
    }
}

/// With three digits.
fn nice(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

/// Confidence of the interval if none is asked for: more than the 95% of single figures, as a limit is acted on, and as the
/// means of few runs near saturation are skewed, which costs Student's interval some of its own.
pub const CONFIDENCE: f64 = 0.99;
/// Distance of neighbouring values if none is asked for.
pub const PRECISION: f64 = 0.01;

/// How far a load is searched: each doubling costs twice the time.
const LEAST_LOAD: f64 = 1.0 / 64.0;
const MOST_LOAD: f64 = 16.0;
/// And a setting.
const LEAST_SETTING: f64 = 1.0 / 1024.0;
const MOST_SETTING: f64 = 1024.0;
/// The first step from nothing is this part of what is allowed.
const FIRST_PART: f64 = 64.0;
/// What is as good as zero, as a share of the largest value.
const TINY: f64 = 1e-6;
/// How far the curve goes beyond the interval on both sides.
const CURVE: (f64, f64) = (0.5, 1.3);
const CURVE_STEPS: u32 = 8;
