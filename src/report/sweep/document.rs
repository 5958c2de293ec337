//! `sweep.json`: every variant with its settings, its cost and its metrics.

use serde::Serialize;

use crate::experiment::summary::{Estimate, Named};
use crate::model::metric::Metric;
use crate::study::VariantResult;
use crate::study::sweep::Sweep;

/// Version of the document; a change that breaks readers counts it up.
const SCHEMA: &str = "backpressure-sim/sweep/1";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: &'static str,
    scenario: &'a str,
    command: String,
    seed: u64,
    replications: u32,
    axes: Vec<Axis<'a>>,
    excluded: Vec<Excluded<'a>>,
    /// The best variant's id, if any meets all objectives.
    best: Option<u32>,
    /// Ids, the best first.
    ranking: Vec<u32>,
    /// Ids of those that none beats in cost, loss and recovery.
    front: Vec<u32>,
    variants: Vec<Variant<'a>>,
}

#[derive(Serialize)]
struct Axis<'a> {
    setting: &'a str,
    of: Option<&'a str>,
    values: Vec<&'a str>,
}

#[derive(Serialize)]
struct Excluded<'a> {
    reason: &'a str,
    variants: usize,
}

#[derive(Serialize)]
struct Variant<'a> {
    id: u32,
    settings: Named<String>,
    pass: bool,
    cost: Estimate,
    slo: Vec<Objective<'a>>,
    digest: &'a str,
    metrics: Named<Estimate>,
}

#[derive(Serialize)]
struct Objective<'a> {
    expression: &'a str,
    pass: bool,
    observed: Option<f64>,
}

pub(super) fn json(sweep: &Sweep) -> Result<String, serde_json::Error> {
    let grid = &sweep.study.grid;
    let scenario = grid.scenario();
    let ids = |positions: &[usize]| positions.iter().map(|&position| sweep.results[position].id).collect();
    let axes = grid.axes.iter().map(|axis| Axis {
        setting: &axis.path,
        of: axis.of.as_deref(),
        values: axis.points.iter().map(|point| point.written.as_str()).collect(),
    });
    let excluded = sweep.study.variants.excluded.iter();
    let document = Document {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        scenario: &scenario.name,
        command: grid.command(),
        seed: scenario.seed,
        replications: sweep.study.replications,
        axes: axes.collect(),
        excluded: excluded.map(|(reason, variants)| Excluded { reason, variants: *variants }).collect(),
        best: sweep.winner().map(|result| result.id),
        ranking: ids(&sweep.ranking),
        front: ids(&sweep.front),
        variants: sweep.results.iter().map(|result| variant(sweep, result)).collect(),
    };
    serde_json::to_string_pretty(&document).map(|text| text + "\n")
}

fn variant<'a>(sweep: &'a Sweep, result: &'a VariantResult) -> Variant<'a> {
    let grid = &sweep.study.grid;
    let paths = grid.axes.iter().map(|axis| axis.path.clone());
    let objectives = grid.scenario().slo.iter().zip(&result.slo);
    let metrics = Metric::ALL.iter().map(|&metric| (metric.name().to_owned(), *result.metric(metric)));
    Variant {
        id: result.id,
        settings: Named(paths.zip(grid.values(result.id)).collect()),
        pass: result.passes(),
        cost: result.cost,
        slo: objectives
            .map(|(slo, &(observed, pass))| Objective { expression: &slo.expression, pass, observed })
            .collect(),
        digest: &result.digest,
        metrics: Named(metrics.collect()),
    }
}
