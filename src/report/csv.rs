//! Tables for other programs: plain decimals in their shortest exact form, an empty cell where there is no value.

use crate::experiment::Findings;
use crate::experiment::series::Series;
use crate::model::metric::Metric;
use crate::report::reading;
use crate::scenario::Scenario;

/// The course over time, one row a point.
///
/// Columns: `time_seconds`; `depth_{mean,p05,p50,p95,max}_jobs`; `circuit_{closed,half_open,open}_share`;
/// `redis_{mean,p05,p50,p95}_bytes`; `worker_utilisation`; `wait_{p50,p95,p99}_seconds`; then for each class, in the
/// scenario's order, `offered_jobs_total{class=NAME}` and likewise `admitted`, `rejected`, `completed` and `lost`: mean
/// totals since the start.
///
/// Then, only where the scenario uses the part, means over the replications. Workers whose number changes:
/// `worker_processes_{mean,p05,p50,p95}` that take jobs, and `worker_processes_wanted` by an autoscaler. A limited pool:
/// `database_connections` in use. Redis with a price for its commands: `redis_utilisation` of the busiest shard within
/// the step. Clients: totals since the start of `client_requests_total`, `client_retries_total`,
/// `client_abandoned_total` and `wasted_jobs_total`.
pub(crate) fn timeseries(scenario: &Scenario, series: &Series) -> String {
    let mut columns: Vec<(String, Column<'_>)> = Vec::new();
    let mut add = |name: &str, column| columns.push((name.to_owned(), column));
    add("time_seconds", Column::Full(&series.seconds));
    add("depth_mean_jobs", Column::Full(&series.depth.mean));
    add("depth_p05_jobs", Column::Full(&series.depth.p05));
    add("depth_p50_jobs", Column::Full(&series.depth.p50));
    add("depth_p95_jobs", Column::Full(&series.depth.p95));
    add("depth_max_jobs", Column::Full(&series.depth_max));
    add("circuit_closed_share", Column::Full(&series.closed_share));
    add("circuit_half_open_share", Column::Full(&series.half_open_share));
    add("circuit_open_share", Column::Full(&series.open_share));
    add("redis_mean_bytes", Column::Full(&series.redis_bytes.mean));
    add("redis_p05_bytes", Column::Full(&series.redis_bytes.p05));
    add("redis_p50_bytes", Column::Full(&series.redis_bytes.p50));
    add("redis_p95_bytes", Column::Full(&series.redis_bytes.p95));
    add("worker_utilisation", Column::WithGaps(&series.utilisation));
    add("wait_p50_seconds", Column::WithGaps(&series.wait_p50));
    add("wait_p95_seconds", Column::WithGaps(&series.wait_p95));
    add("wait_p99_seconds", Column::WithGaps(&series.wait_p99));
    for (index, class) in scenario.model.classes.iter().enumerate() {
        for (name, totals) in [
            ("offered", &series.offered),
            ("admitted", &series.admitted),
            ("rejected", &series.rejected),
            ("completed", &series.completed),
            ("lost", &series.lost),
        ] {
            let totals = totals.get(index).map_or(&[][..], Vec::as_slice);
            add(&format!("{name}_jobs_total{{class={}}}", class.name), Column::Full(totals));
        }
    }
    let parts = reading::parts(&scenario.model, series.details.as_ref());
    if let Some(parts) = parts.workers {
        add("worker_processes_mean", Column::Full(&parts.workers.mean));
        add("worker_processes_p05", Column::Full(&parts.workers.p05));
        add("worker_processes_p50", Column::Full(&parts.workers.p50));
        add("worker_processes_p95", Column::Full(&parts.workers.p95));
        if !parts.wanted.is_empty() {
            add("worker_processes_wanted", Column::Full(&parts.wanted));
        }
    }
    if let Some((parts, _)) = parts.connections {
        add("database_connections", Column::Full(&parts.connections));
    }
    if let Some(parts) = parts.redis {
        add("redis_utilisation", Column::Full(&parts.redis_utilisation));
    }
    if let Some(parts) = parts.clients {
        add("client_requests_total", Column::Full(&parts.requests));
        add("client_retries_total", Column::Full(&parts.retried));
        add("client_abandoned_total", Column::Full(&parts.abandoned));
        add("wasted_jobs_total", Column::Full(&parts.wasted));
    }
    let mut csv = record(columns.iter().map(|(name, _)| name.clone()));
    for point in 0..series.seconds.len() {
        csv += &record(columns.iter().map(|(_, column)| cell(column.get(point))));
    }
    csv
}

/// One row a replication: its number from 1 on, every system-wide metric in the order of [`Metric::ALL`], and the
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

enum Column<'a> {
    Full(&'a [f64]),
    WithGaps(&'a [Option<f64>]),
}

impl Column<'_> {
    fn get(&self, index: usize) -> Option<f64> {
        match self {
            Column::Full(values) => values.get(index).copied(),
            Column::WithGaps(values) => values.get(index).copied().flatten(),
        }
    }
}

pub(super) fn cell(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map(|value| value.to_string()).unwrap_or_default()
}

/// A line of cells, quoted where RFC 4180 asks for it.
pub(super) fn record(cells: impl Iterator<Item = String>) -> String {
    let quoted = cells.map(|cell| {
        if cell.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell
        }
    });
    quoted.collect::<Vec<_>>().join(",") + "\n"
}
