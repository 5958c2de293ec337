//! `limit.json`: the limit, its interval, what breaks next, and every value that was tried.

use serde::Serialize;

use crate::experiment::summary::{Estimate, LimitReached, SloResult};
use crate::experiment::traffic::{Fates, Traffic};
use crate::report::kit::document;
use crate::report::kit::output::WriteError;
use crate::scenario::Hint;
use crate::study::limit::{Bracket, Direction, Found, Interval, Limit, Point};

/// Version of the document; a change that breaks readers counts it up.
const SCHEMA: &str = "backpressure-sim/limit/1";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: &'static str,
    scenario: &'a str,
    command: String,
    seed: u64,
    /// Of a check; an objective on all runs may need more to be proven.
    replications: u32,
    /// `load`, the factor on all arrivals, or a setting in base units.
    along: &'a str,
    /// The value that the scenario has.
    own: f64,
    /// `limit`, `everywhere` or `nowhere`.
    found: &'static str,
    /// The smallest and the largest value that was tried.
    tried: Ends,
    confidence: f64,
    precision: f64,
    /// Where the objectives turn; null if they do not.
    limit: Option<Turn>,
    /// Values on the wrong side of the limit.
    exceptions: &'a [f64],
    /// Remarks on settings that are legal but hazardous.
    warnings: &'a [String],
    /// Settings that do not do what they are there for.
    hints: &'a [Hint],
    points: Vec<At<'a>>,
}

#[derive(Serialize)]
struct Turn {
    /// The last value whose check passes.
    value: f64,
    /// The next one, whose check does not.
    next: f64,
    /// Which way from the limit the objectives are missed.
    worse: Direction,
    /// Covers the limit with the stated confidence; null where it is open.
    low: Option<f64>,
    high: Option<f64>,
    /// Of the runs as they are.
    whole_runs: Ends,
    /// Of their second half alone, where the load never changes.
    second_half: Option<Ends>,
}

#[derive(Serialize)]
struct Ends {
    low: Option<f64>,
    high: Option<f64>,
}

/// The figures are of as many replications as a check has.
#[derive(Serialize)]
struct At<'a> {
    value: f64,
    /// Replications in all.
    replications: u32,
    pass: bool,
    peak_per_second: f64,
    slo: Vec<Objective<'a>>,
    traffic: &'a Fates,
    limits_reached: &'a [LimitReached],
}

#[derive(Serialize)]
struct Objective<'a> {
    #[serde(flatten)]
    result: &'a SloResult,
    /// The metric over the replications.
    estimate: Estimate,
}

pub(super) fn json(limit: &Limit) -> Result<String, WriteError> {
    let scenario = limit.scenario();
    let (found, turn) = match limit.found {
        Found::Limit(bracket) => ("limit", Some(turn(bracket))),
        Found::Everywhere(..) => ("everywhere", None),
        Found::Nowhere(..) => ("nowhere", None),
    };
    let ends = |points: &[Point]| Ends {
        low: points.first().map(|point| point.value),
        high: points.last().map(|point| point.value),
    };
    document::json(&Document {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        scenario: &scenario.name,
        command: limit.command(),
        seed: scenario.seed,
        replications: scenario.replications,
        along: limit.asked.along.name(),
        own: limit.asked.along.own(),
        found,
        tried: ends(&limit.points),
        confidence: limit.asked.confidence,
        precision: limit.asked.precision,
        limit: turn,
        exceptions: &limit.exceptions,
        warnings: &scenario.warnings,
        hints: &scenario.hints,
        points: limit.points.iter().map(at).collect(),
    })
}

fn turn(bracket: Bracket) -> Turn {
    let Bracket { direction, limit, next, interval, as_written, second_half } = bracket;
    let ends = |Interval { low, high }: Interval| Ends { low, high };
    Turn {
        value: limit,
        next,
        worse: direction,
        low: interval.low,
        high: interval.high,
        whole_runs: ends(as_written),
        second_half: second_half.map(ends),
    }
}

fn at(point: &Point) -> At<'_> {
    let Point { value, runs, peak_rate, pass, slo, metrics, traffic, limits_reached } = point;
    let objective = |(result, estimate): (_, &Estimate)| Objective { result, estimate: *estimate };
    let Traffic { total, .. } = traffic;
    At {
        value: *value,
        replications: *runs,
        pass: *pass,
        peak_per_second: *peak_rate,
        slo: slo.iter().zip(metrics).map(objective).collect(),
        traffic: total,
        limits_reached,
    }
}
