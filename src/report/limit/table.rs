//! `points.csv`: every value that was tried, for other programs.
//!
//! Columns: the name of what is moved, in base units; `pass`, `replications`, `peak_per_second`; `refused_share`,
//! `lost_share`; for each objective `observed{EXPRESSION}` and `pass{EXPRESSION}`.

use crate::experiment::summary::SloResult;
use crate::report::kit::csv::{cell, record};
use crate::study::limit::{Limit, Point};

pub(super) fn csv(limit: &Limit) -> String {
    let fixed = ["pass", "replications", "peak_per_second", "refused_share", "lost_share"];
    let slo = limit.scenario().slo.iter();
    let objectives = slo.flat_map(|slo| {
        let expression = &slo.expression;
        [format!("observed{{{expression}}}"), format!("pass{{{expression}}}")]
    });
    let header = [limit.asked.along.name()].into_iter().chain(fixed).map(str::to_owned).chain(objectives);
    let lines = limit.points.iter().map(line);
    std::iter::once(record(header)).chain(lines).collect()
}

fn line(point: &Point) -> String {
    let total = &point.traffic.total;
    let fixed = [
        point.value.to_string(),
        point.pass.to_string(),
        point.runs.to_string(),
        point.peak_rate.to_string(),
        total.refused.share.to_string(),
        total.lost.share.to_string(),
    ];
    let objective = |result: &SloResult| [cell(result.observed), result.pass.to_string()];
    record(fixed.into_iter().chain(point.slo.iter().flat_map(objective)))
}
