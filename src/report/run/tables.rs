//! Tables for other programs: plain decimals in their shortest exact form, an empty cell where there is no value.

use super::reading;
use crate::experiment::Findings;
use crate::experiment::series::Series;
use crate::model::metric::Metric;
use crate::report::kit::csv::{cell, record};
use crate::scenario::Scenario;

/// The time series, one row per point.
///
/// Columns: `time_seconds`; `depth_{mean,p05,p50,p95,max}_jobs`; `circuit_{closed,half_open,open}_share`;
/// `redis_{mean,p05,p50,p95}_bytes`; `worker_utilisation`; `wait_{p50,p95,p99}_seconds`; then for each class, in the
/// scenario's order, `offered_jobs_total{class=NAME}` and likewise `admitted`, `rejected`, `completed` and `lost`: mean
/// totals since the start.
///
/// Then, only if the scenario uses the feature, means over the replications. Workers whose number changes:
/// `worker_processes_{mean,p05,p50,p95}` that take jobs, and `worker_processes_wanted` by an autoscaler. A limited pool:
/// `database_connections` in use. Redis with a price for its commands: `redis_utilisation` of the busiest shard within
/// the step. Clients: totals since the start of `client_requests_total`, `client_retries_total`,
/// `client_abandoned_total` and `wasted_jobs_total`.
pub(crate) fn timeseries(scenario: &Scenario, series: &Series) -> String {
    let mut columns: Vec<(String, Values<'_>)> = Vec::new();
    let mut add = |name: &str, column| columns.push((name.to_owned(), column));
    add("time_seconds", Values::Full(&series.seconds));
    add("depth_mean_jobs", Values::Full(&series.depth.mean));
    add("depth_p05_jobs", Values::Full(&series.depth.p05));
    add("depth_p50_jobs", Values::Full(&series.depth.p50));
    add("depth_p95_jobs", Values::Full(&series.depth.p95));
    add("depth_max_jobs", Values::Full(&series.depth_max));
    add("circuit_closed_share", Values::Full(&series.closed_share));
    add("circuit_half_open_share", Values::Full(&series.half_open_share));
    add("circuit_open_share", Values::Full(&series.open_share));
    add("redis_mean_bytes", Values::Full(&series.redis_bytes.mean));
    add("redis_p05_bytes", Values::Full(&series.redis_bytes.p05));
    add("redis_p50_bytes", Values::Full(&series.redis_bytes.p50));
    add("redis_p95_bytes", Values::Full(&series.redis_bytes.p95));
    add("worker_utilisation", Values::WithGaps(&series.utilisation));
    add("wait_p50_seconds", Values::WithGaps(&series.wait_p50));
    add("wait_p95_seconds", Values::WithGaps(&series.wait_p95));
    add("wait_p99_seconds", Values::WithGaps(&series.wait_p99));
    for (index, class) in scenario.model.classes.iter().enumerate() {
        for (name, totals) in [
            ("offered", &series.offered),
            ("admitted", &series.admitted),
            ("rejected", &series.rejected),
            ("completed", &series.completed),
            ("lost", &series.lost),
        ] {
            let totals = totals.get(index).map_or(&[][..], Vec::as_slice);
            add(&format!("{name}_jobs_total{{class={}}}", class.name), Values::Full(totals));
        }
    }
    let details = reading::details(&scenario.model, series.details.as_ref());
    if let Some(details) = details.workers {
        add("worker_processes_mean", Values::Full(&details.workers.mean));
        add("worker_processes_p05", Values::Full(&details.workers.p05));
        add("worker_processes_p50", Values::Full(&details.workers.p50));
        add("worker_processes_p95", Values::Full(&details.workers.p95));
        if !details.wanted.is_empty() {
            add("worker_processes_wanted", Values::Full(&details.wanted));
        }
    }
    if let Some((details, _)) = details.connections {
        add("database_connections", Values::Full(&details.connections));
    }
    if let Some(details) = details.redis {
        add("redis_utilisation", Values::Full(&details.redis_utilisation));
    }
    if let Some(details) = details.clients {
        add("client_requests_total", Values::Full(&details.requests));
        add("client_retries_total", Values::Full(&details.retried));
        add("client_abandoned_total", Values::Full(&details.abandoned));
        add("wasted_jobs_total", Values::Full(&details.wasted));
    }
    let mut csv = record(columns.iter().map(|(name, _)| name.clone()));
    for point in 0..series.seconds.len() {
        csv += &record(columns.iter().map(|(_, column)| cell(column.get(point))));
    }
    csv
}

/// One row per replication: its number from 1 on, every system-wide metric in the order of [`Metric::ALL`], and the
/// names of the metrics whose value is only a bound, separated by spaces.
pub(crate) fn replications(findings: &Findings) -> String {
    let names = Metric::ALL.iter().map(|metric| metric.name());
    let header = std::iter::once("replication").chain(names).chain(std::iter::once("censored"));
    let mut csv = record(header.map(str::to_owned));
    for (index, replication) in findings.replications.iter().enumerate() {
        let metrics = &replication.system;
        let censored: Vec<&str> = Metric::ALL
            .iter()
            .filter(|&&metric| metrics.is_censored(metric))
            .map(|metric| metric.name())
            .collect();
        let values = Metric::ALL.iter().map(|&metric| cell(metrics.get(metric)));
        csv += &record(
            std::iter::once((index + 1).to_string()).chain(values).chain(std::iter::once(censored.join(" "))),
        );
    }
    csv
}

enum Values<'a> {
    Full(&'a [f64]),
    WithGaps(&'a [Option<f64>]),
}

impl Values<'_> {
    fn get(&self, index: usize) -> Option<f64> {
        match self {
            Values::Full(values) => values.get(index).copied(),
            Values::WithGaps(values) => values.get(index).copied().flatten(),
        }
    }
}
