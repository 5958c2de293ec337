//! `sweep.json`: every variant with its settings, its cost and its metrics.

use std::io::{self, Write};

use serde::Serialize;

use super::view::View;
use crate::experiment::summary::{Estimate, Named};
use crate::model::metric::Metric;
use crate::report::kit::document::Axis;
use crate::study::sweep::Sweep;

/// Version of the document; a change that breaks readers counts it up.
const SCHEMA: &str = "backpressure-sim/sweep/1";

/// All but the variants, which are too many to be put together first.
#[derive(Serialize)]
struct Head<'a> {
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
}

#[derive(Serialize)]
struct Excluded<'a> {
    reason: &'a str,
    variants: usize,
}

#[derive(Serialize)]
struct Variant<'a> {
    id: u32,
    /// From 1 on; equal ones share a place.
    rank: usize,
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

/// Writes the document, each variant on a line of its own.
pub(super) fn write(view: &View<'_>, to: &mut impl Write) -> io::Result<()> {
    let head = serde_json::to_string_pretty(&head(view.sweep))?;
    let head = head.strip_suffix("\n}").expect("a document of several fields");
    to.write_all(head.as_bytes())?;
    // Ids, the best first; and those that none beats in cost, loss and recovery.
    for (name, positions) in [("ranking", &view.sweep.ranking), ("front", &view.sweep.front)] {
        let ids: Vec<u32> = positions.iter().map(|&position| view.result(position).id).collect();
        write!(to, ",\n  \"{name}\": {}", serde_json::to_string(&ids)?)?;
    }
    to.write_all(b",\n  \"variants\": [")?;
    for position in 0..view.sweep.results.len() {
        to.write_all(if position == 0 { b"\n    " } else { b",\n    " })?;
        serde_json::to_writer(&mut *to, &variant(view, position))?;
    }
    to.write_all(b"\n  ]\n}\n")
}

fn head(sweep: &Sweep) -> Head<'_> {
    let grid = &sweep.study.grid;
    let scenario = grid.scenario();
    let excluded = sweep.study.variants.excluded.iter();
    Head {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        scenario: &scenario.name,
        command: grid.command(),
        seed: scenario.seed,
        replications: sweep.study.replications,
        axes: Axis::all(&grid.axes),
        excluded: excluded.map(|(reason, variants)| Excluded { reason, variants: *variants }).collect(),
        best: sweep.winner().map(|result| result.id),
    }
}

fn variant<'a>(view: &'a View<'_>, position: usize) -> Variant<'a> {
    let (grid, result) = (view.grid(), view.result(position));
    let paths = grid.axes.iter().map(|axis| axis.path.clone());
    let objectives = grid.scenario().slo.iter().zip(&result.slo);
    let metrics = Metric::ALL.iter().map(|&metric| (metric.name().to_owned(), *result.metric(metric)));
    Variant {
        id: result.id,
        rank: view.sweep.ranks[position],
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
