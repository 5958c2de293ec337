//! The alerts: the specification's five rules; its thresholds and times are the defaults.

use super::diagnostic::Code;
use super::log::Mistake;
use super::reader::Section;
use super::setting::MOST_COUNT;
use crate::engine::time::SimDuration;
use crate::model::config::{
    AlertRule, Condition, Monitoring, PolicyConfig, PrometheusVersion, Severity, Workers,
};
use crate::units::Quantity;

/// More scrapes or evaluations are a mistake.
const MOST_SCRAPES: u64 = 1_000_000;
/// The same times the number of classes and gateways.
const MOST_SAMPLES: u64 = 20_000_000;
const MINUTE: SimDuration = SimDuration(60_000_000_000);
/// Prometheus forgets a sample after five minutes.
const LONGEST_SCRAPE: SimDuration = SimDuration(120_000_000_000);

/// Reads `[alerts]`.
pub(super) fn read(
    mut alerts: Section<'_>,
    duration: Option<SimDuration>,
    policy: Option<&PolicyConfig>,
    workers: &Workers,
    series: u64,
) -> Monitoring {
    // Every scrape keeps a number of each class and gateway, and every evaluation looks at them.
    let most = MOST_SCRAPES.min(MOST_SAMPLES / series.max(1));
    let default_scrape = SimDuration(15_000_000_000);
    let is_short = duration.is_none_or(|duration| duration.0 / default_scrape.0 <= most);
    let enabled = alerts.key("enabled", "Whether the rules are evaluated.").boolean().or_else(
        "true up to a `duration` of 173 days; with over 20 classes and gateways less",
        is_short.to_string(),
        is_short,
    );
    let scrape = alerts.key("scrape_interval", "Time between two scrapes.").positive_span().or("15s");
    let evaluation = alerts
        .key("evaluation_interval", "Time between two evaluations of the rules.")
        .positive_span()
        .or("15s");
    let version = alerts
        .key(
            "prometheus_version",
            "Major version whose rules count: for 2 a sample on the edge of a window is within it, for 3 it is not.",
        )
        .count(2, 3)
        .or("3");
    let version = if version == 2 { PrometheusVersion::Two } else { PrometheusVersion::Three };
    let threshold = |of: fn(&backpressure::Config) -> u64| policy.map_or(0, |policy| of(&policy.config));
    let (critical, warning) =
        (threshold(backpressure::Config::critical), threshold(backpressure::Config::warning));
    let open_for = alerts
        .key("circuit_open_for", "CircuitBreakerOpen: fires when a circuit is OPEN for this long.")
        .span()
        .or("5m");
    let depth_critical = alerts
        .key("depth_critical", "QueueDepthCritical: fires above this number of pending jobs.")
        .count(0, MOST_COUNT)
        .or_else("policy.critical", critical.to_string(), critical);
    let depth_critical_for =
        alerts.key("depth_critical_for", "QueueDepthCritical: time before it fires.").span().or("2m");
    let rejection_rate = alerts
        .key("rejection_rate", "HighRejectionRate: fires above this rate of rejected jobs.")
        .quantity(Quantity::Rate)
        .or("100/s");
    let rejection_window =
        alerts.key("rejection_window", "HighRejectionRate: window of that rate.").positive_span().or("5m");
    let rejection_for =
        alerts.key("rejection_for", "HighRejectionRate: time before it fires.").span().or("5m");
    let depth_warning = alerts
        .key("depth_warning", "QueueDepthWarning: fires above this number of pending jobs.")
        .count(0, MOST_COUNT)
        .or_else("policy.warning", warning.to_string(), warning);
    let depth_warning_for =
        alerts.key("depth_warning_for", "QueueDepthWarning: time before it fires.").span().or("5m");
    let usual = 3.min(workers.processes);
    let least_workers = alerts
        .key("least_workers", "WorkerCountLow: fires below this number of worker processes.")
        .count(0, 1_000_000)
        .or_else("3, or `workers.processes` if they are fewer", usual.to_string(), usual.into());
    alerts.close();
    for (name, interval, longest) in [
        ("scrape_interval", scrape, LONGEST_SCRAPE),
        ("evaluation_interval", evaluation, SimDuration(60 * MINUTE.0)),
    ] {
        if !(SimDuration::SECOND..=longest).contains(&interval) || interval.0 % 1_000_000 != 0 {
            let message = format!("{interval} is not allowed");
            let label = format!("from 1s to {longest} in whole milliseconds");
            alerts.complain(name, Mistake::new(Code::OutOfRange, message, label));
        } else if let Some(duration) = duration.filter(|duration| enabled && duration.0 / interval.0 > most) {
            let message =
                format!("{} of them in `duration` are more than the most, {most}", duration.0 / interval.0);
            alerts.complain(name, Mistake::new(Code::OutOfRange, message, "or set `enabled = false`"));
        }
    }
    for (name, span, least) in [
        ("rejection_window", rejection_window, SimDuration(1_000_000)),
        ("circuit_open_for", open_for, SimDuration::ZERO),
        ("depth_critical_for", depth_critical_for, SimDuration::ZERO),
        ("rejection_for", rejection_for, SimDuration::ZERO),
        ("depth_warning_for", depth_warning_for, SimDuration::ZERO),
    ] {
        if (span < least || span.0 % 1_000_000 != 0) && !alerts.is_bad(name) {
            let message = format!("{span} is not a time that Prometheus counts in");
            let label = "in whole milliseconds, such as \"5m\"";
            alerts.complain(name, Mistake::new(Code::OutOfRange, message, label));
        }
    }
    let rule = |name, condition, wait, severity| AlertRule { name, condition, wait, severity };
    let rejections = Condition::RejectionsAbove { rate: rejection_rate, window: rejection_window };
    let rules = vec![
        rule("CircuitBreakerOpen", Condition::CircuitOpen, open_for, Severity::Critical),
        rule(
            "QueueDepthCritical",
            Condition::PendingAbove(depth_critical),
            depth_critical_for,
            Severity::Critical,
        ),
        rule("HighRejectionRate", rejections, rejection_for, Severity::Critical),
        rule(
            "QueueDepthWarning",
            Condition::PendingAbove(depth_warning),
            depth_warning_for,
            Severity::Warning,
        ),
        rule(
            "WorkerCountLow",
            Condition::WorkersBelow(least_workers as u32),
            SimDuration::ZERO,
            Severity::Warning,
        ),
    ];
    Monitoring { scrape, evaluation, version, rules: if enabled { rules } else { Vec::new() } }
}
