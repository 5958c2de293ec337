//! The check as one JSON document: every metric with all its figures, whether it is gated or not.

use serde::Serialize;

use crate::check::gate::{FAMILY_WISE_ERROR, Judgement, MetricCheck};
use crate::check::settings::Change;
use crate::check::{Check, Objective, Ruling, ScenarioCheck};
use crate::experiment::traffic::Traffic;
use crate::model::metric::Direction;
use crate::report::kit::document::json;

/// Version of the document; a change that breaks readers counts it up.
pub const SCHEMA: &str = "backpressure-sim/check/1";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: &'static str,
    verdict: Ruling,
    baseline: &'a str,
    family_wise_error: f64,
    gated: usize,
    scenarios: Vec<Scenario<'a>>,
}

#[derive(Serialize)]
struct Scenario<'a> {
    scenario: &'a str,
    file: &'a str,
    verdict: Ruling,
    seed: u64,
    replications: u32,
    digest: &'a str,
    baseline_digest: &'a str,
    traffic: &'a Traffic,
    changes: &'a [Change],
    notes: &'a [String],
    slo: Vec<Slo<'a>>,
    metrics: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Slo<'a> {
    expression: &'a str,
    pass: bool,
    observed: Option<f64>,
    limit: f64,
    baseline_pass: bool,
    baseline_observed: Option<f64>,
    /// False for a miss that is accepted because the baseline has it, too.
    fails: bool,
    expected_miss: bool,
}

#[derive(Serialize)]
struct Row<'a> {
    metric: &'static str,
    class: Option<&'a str>,
    direction: Direction,
    judgement: Judgement,
    baseline: Option<f64>,
    current: Option<f64>,
    difference: Option<f64>,
    half_width: Option<f64>,
    limit: Option<f64>,
    p_value: Option<f64>,
    adjusted_p: Option<f64>,
    correlation: Option<f64>,
    pairs: u32,
    vanished: u32,
    appeared: u32,
    baseline_censored: u32,
    current_censored: u32,
}

/// The document with a newline at its end; `baseline` is the file as given.
pub fn render(check: &Check, baseline: &str) -> String {
    let document = Document {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        verdict: check.verdict,
        baseline,
        family_wise_error: FAMILY_WISE_ERROR,
        gated: check.gated,
        scenarios: check.scenarios.iter().map(scenario).collect(),
    };
    json(&document).expect("names and numbers always go into memory")
}

fn scenario(scenario: &ScenarioCheck) -> Scenario<'_> {
    Scenario {
        scenario: &scenario.name,
        file: &scenario.file,
        verdict: scenario.verdict,
        seed: scenario.seed,
        replications: scenario.replications,
        digest: &scenario.digest,
        baseline_digest: &scenario.baseline_digest,
        traffic: &scenario.traffic,
        changes: &scenario.changes,
        notes: &scenario.notes,
        slo: scenario.objectives.iter().map(slo).collect(),
        metrics: scenario.comparisons.iter().map(row).collect(),
    }
}

fn slo(objective: &Objective) -> Slo<'_> {
    let Objective { current, baseline } = objective;
    Slo {
        expression: &current.expression,
        pass: current.pass,
        observed: current.observed,
        limit: current.limit,
        baseline_pass: baseline.pass,
        baseline_observed: baseline.observed,
        fails: objective.fails(),
        expected_miss: current.expected_miss,
    }
}

fn row(comparison: &MetricCheck) -> Row<'_> {
    let difference = comparison.difference.as_ref();
    Row {
        metric: comparison.metric.name(),
        class: comparison.class.as_deref(),
        direction: comparison.metric.direction(),
        judgement: comparison.judgement,
        baseline: comparison.baseline,
        current: comparison.current,
        difference: difference.map(|difference| difference.mean),
        half_width: difference.map(|difference| difference.half_width),
        limit: comparison.limit,
        p_value: difference.map(|difference| difference.p_value),
        adjusted_p: comparison.adjusted_p,
        correlation: difference.and_then(|difference| difference.correlation),
        pairs: comparison.pairs,
        vanished: comparison.vanished,
        appeared: comparison.appeared,
        baseline_censored: comparison.baseline_censored,
        current_censored: comparison.current_censored,
    }
}
