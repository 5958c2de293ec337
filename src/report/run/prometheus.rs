//! The first replication for Prometheus: its samples as OpenMetrics text, the alerts as a
//! rule file, and a test of these rules on those samples.
//!
//! Samples are stamped from a given epoch, not from the present time, so that the same run gives the same bytes.

use std::fmt::Write as _;
use std::io::{self, Write};

use contract::metrics::{self, Kind, Metric, Scope};

use crate::alerts::{self, Firing, prometheus_duration};
use crate::engine::time::{SimDuration, SimTime};
use crate::model::config::{AlertRule, Condition, ModelConfig};
use crate::model::scrape::{QueueScrape, Scrape};
use crate::report::kit::rules::{self, Rule};
use crate::report::kit::{number, text};
use crate::scenario::Scenario;

pub(super) const METRICS: &str = "metrics.om";
pub(super) const RULES: &str = "alerts.yaml";
pub(super) const TEST: &str = "alerts-test.yaml";

/// One series: its name and labels, and its value at a scrape.
struct Series<'a> {
    name: String,
    value: Value<'a>,
}

type Value<'a> = Box<dyn Fn(&Scrape) -> Option<u64> + 'a>;

/// The series of one metric.
struct Family<'a> {
    metric: Metric,
    series: Vec<Series<'a>>,
}

fn families(model: &ModelConfig) -> Vec<Family<'_>> {
    let of_queue = |value: fn(&QueueScrape) -> u64| -> Value<'static> {
        Box::new(move |scrape| scrape.queue.as_ref().map(value))
    };
    let kept = model.redis.keep_failed.count;
    let failed: Value<'_> = Box::new(move |scrape| scrape.queue.map(|queue| queue.failed.min(kept)));
    let policy = &model.policy.config;
    let constant = |jobs: u64| -> Value<'_> { Box::new(move |_| Some(jobs)) };
    let mut families: Vec<Family<'_>> = [
        (metrics::QUEUE_WAITING, of_queue(|queue| queue.pending - queue.active)),
        (metrics::QUEUE_ACTIVE, of_queue(|queue| queue.active)),
        (metrics::QUEUE_TOTAL_PENDING, of_queue(|queue| queue.pending)),
        (metrics::QUEUE_COMPLETED, of_queue(|queue| queue.completed)),
        (metrics::QUEUE_FAILED, failed),
        (metrics::WORKERS, of_queue(|queue| queue.workers.into())),
        (metrics::REDIS_MEMORY_USED, of_queue(|queue| queue.redis)),
        (metrics::THRESHOLD_RECOVERY, constant(policy.recovery())),
        (metrics::THRESHOLD_WARNING, constant(policy.warning())),
        (metrics::THRESHOLD_CRITICAL, constant(policy.critical())),
        (FAILED_JOBS, of_queue(|queue| queue.failed)),
        (LOST_JOBS, of_queue(|queue| queue.lost)),
    ]
    .into_iter()
    .map(|(metric, value)| Family { metric, series: vec![Series { name: metric.name.to_owned(), value }] })
    .collect();
    let rejected = model.classes.iter().enumerate().map(|(index, class)| Series {
        name: format!("{}{{class=\"{}\"}}", metrics::REJECTED.name, class.name),
        value: Box::new(move |scrape| Some(scrape.rejected[index])),
    });
    families.push(Family { metric: metrics::REJECTED, series: rejected.collect() });
    let accepted = model.classes.iter().enumerate().map(|(index, class)| Series {
        name: format!("{}{{class=\"{}\"}}", metrics::ACCEPTED.name, class.name),
        value: Box::new(move |scrape| Some(scrape.accepted[index])),
    });
    families.push(Family { metric: metrics::ACCEPTED, series: accepted.collect() });
    let circuits = (0..model.gateway.instances as usize).map(|gateway| Series {
        name: format!("{}{{instance=\"{}\"}}", metrics::CIRCUIT_STATE.name, instance(gateway)),
        value: Box::new(move |scrape| scrape.circuits[gateway].map(u64::from)),
    });
    families.push(Family { metric: metrics::CIRCUIT_STATE, series: circuits.collect() });
    families
}

/// What a simulation knows beyond the contract.
const FAILED_JOBS: Metric = Metric {
    name: "simulate_jobs_failed_total",
    kind: Kind::Counter,
    unit: "jobs",
    labels: &[],
    scope: Scope::Queue,
    help: "Jobs given up since the start",
};
const LOST_JOBS: Metric =
    Metric { name: "simulate_jobs_lost_total", help: "Jobs lost since the start", ..FAILED_JOBS };

fn instance(gateway: usize) -> String {
    format!("gateway-{}", gateway + 1)
}

/// Writes the samples as OpenMetrics text, each family in one piece and each series in order of time, with time zero at
/// `epoch`, in seconds since 1970.
pub(super) fn write_metrics(
    out: &mut impl Write,
    scenario: &Scenario,
    scrapes: &[Scrape],
    epoch: u64,
) -> io::Result<()> {
    for family in families(&scenario.model) {
        // OpenMetrics names a family of counters without what its series end with.
        let name = family.metric.name.trim_end_matches("_total");
        writeln!(out, "# TYPE {name} {}", family.metric.kind.as_str())?;
        writeln!(out, "# HELP {name} {}.", family.metric.help)?;
        for series in &family.series {
            for scrape in scrapes {
                if let Some(value) = (series.value)(scrape) {
                    let millis = scrape.at.0 / 1_000_000;
                    let seconds = epoch + millis / 1_000;
                    writeln!(out, "{} {value} {seconds}.{:03}", series.name, millis % 1_000)?;
                }
            }
        }
    }
    writeln!(out, "# EOF")
}

/// The rule file.
pub(super) fn render_rules(scenario: &Scenario) -> String {
    let comments = [
        format!("The alerts of {}, as simulate {} evaluated them.", scenario.name, env!("CARGO_PKG_VERSION")),
        format!("Again: {}", scenario.command),
        format!("Check: promtool test rules {TEST}"),
        format!("Look at the samples: promtool tsdb create-blocks-from openmetrics {METRICS} data"),
        "  prometheus --storage.tsdb.path=data --storage.tsdb.retention.time=100y --config.file=prometheus.yml".to_owned(),
    ];
    let rules: Vec<Rule> = scenario.model.monitoring.rules.iter().map(rule).collect();
    rules::render(&comments, &rules)
}

/// A test of the rules on the run's own samples: each alert starts firing exactly when it did in the run, and stops
/// when it did.
pub(super) fn render_test(scenario: &Scenario, scrapes: &[Scrape]) -> String {
    let model = &scenario.model;
    let monitoring = &model.monitoring;
    let mut file = String::new();
    // The scrapes lie between the multiples of their distance, or as near to there as milliseconds allow.
    let first = monitoring.first_scrape();
    let is_half = first.0 * 2 == monitoring.scrape.0;
    let tick = if is_half { first } else { SimDuration(1_000_000) };
    let blanks = |ticks: u64| match ticks {
        0 => String::new(),
        1 => "_ ".to_owned(),
        many => format!("_x{many} "),
    };
    let (lead, gap) = (first.0 / tick.0, (monitoring.scrape.0 / tick.0).saturating_sub(1));
    let _ = writeln!(file, "# promtool test rules {TEST}");
    let _ = writeln!(file, "rule_files:\n- {RULES}");
    let _ = writeln!(file, "evaluation_interval: {}", prometheus_duration(monitoring.evaluation));
    let _ = writeln!(file, "tests:\n- interval: {}\n  input_series:", prometheus_duration(tick));
    let used = [metrics::CIRCUIT_STATE, metrics::QUEUE_TOTAL_PENDING, metrics::REJECTED, metrics::WORKERS];
    let families = families(model).into_iter().filter(|family| used.contains(&family.metric));
    for series in families.flat_map(|family| family.series) {
        let _ = write!(file, "  - series: '{}'\n    values: '", series.name);
        // What a scrape no longer has is stale from then on.
        let mut is_there = false;
        file += &blanks(lead);
        for (index, scrape) in scrapes.iter().enumerate() {
            if index > 0 {
                file += &blanks(gap);
            }
            let value = (series.value)(scrape);
            let shown = match value {
                Some(value) => value.to_string(),
                None if is_there => "stale".to_owned(),
                None => "_".to_owned(),
            };
            is_there = value.is_some();
            let _ = write!(file, "{shown} ");
        }
        file.truncate(file.trim_end().len());
        file += "'\n";
    }
    file += "  alert_rule_test:\n";
    let firings = alerts::firings(monitoring, scrapes, model.horizon);
    let last = SimTime(model.horizon.0 / monitoring.evaluation.0 * monitoring.evaluation.0);
    for (index, rule) in monitoring.rules.iter().enumerate() {
        let firing_at = |time: SimTime| -> Vec<&Firing> {
            let at = firings.iter().find(|(at, _)| *at == time);
            at.into_iter().flat_map(|(_, firing)| firing).filter(|firing| firing.rule == index).collect()
        };
        for time in moments(&rule_times(&firings, index), monitoring.evaluation, last) {
            render_expectation(&mut file, rule, time, &firing_at(time));
        }
    }
    file
}

/// Evaluations at which a rule fires.
fn rule_times(firings: &[(SimTime, Vec<Firing>)], rule: usize) -> Vec<SimTime> {
    let fires = |(_, list): &&(SimTime, Vec<Firing>)| list.iter().any(|firing| firing.rule == rule);
    firings.iter().filter(fires).map(|(time, _)| *time).collect()
}

/// Evaluations to test: those at which a rule starts or stops firing, those before them, and the last one.
fn moments(fires: &[SimTime], evaluation: SimDuration, last: SimTime) -> Vec<SimTime> {
    let mut moments = vec![last];
    let before = |time: SimTime| SimTime(time.0.saturating_sub(evaluation.0));
    for &time in fires {
        if !fires.contains(&before(time)) || time == SimTime::ZERO {
            moments.extend([before(time), time]);
        }
        if !fires.contains(&(time + evaluation)) {
            moments.extend([time, (time + evaluation).min(last)]);
        }
    }
    moments.sort_unstable();
    moments.dedup();
    moments.truncate(MOST_MOMENTS);
    moments
}

fn render_expectation(file: &mut String, rule: &AlertRule, time: SimTime, firing: &[&Firing]) {
    let at = prometheus_duration(time.since(SimTime::ZERO));
    let _ = writeln!(file, "  - eval_time: {at}\n    alertname: {}", rule.name);
    if firing.is_empty() {
        file.push_str("    exp_alerts: []\n");
        return;
    }
    file.push_str("    exp_alerts:\n");
    for alert in firing {
        let _ = writeln!(file, "    - exp_labels:\n        severity: {}", rule.severity.as_str());
        if let Some(gateway) = alert.gateway {
            let _ = writeln!(file, "        instance: {}", instance(gateway));
        }
        file.push_str("      exp_annotations:\n");
        for (name, shown) in self::rule(rule).annotations() {
            let _ = writeln!(file, "        {name}: {}", text::yaml(shown));
        }
    }
}

/// A rule in the words of the specification.
fn rule(rule: &AlertRule) -> Rule {
    let jobs = |jobs: u64| number::grouped(jobs as f64, 0);
    let (summary, description) = match rule.condition {
        Condition::CircuitOpen => (
            "The backpressure circuit stays open".to_owned(),
            "The circuit is open: the policy admits only the most urgent jobs. Scale workers, investigate the traffic source.",
        ),
        Condition::PendingAbove(pending) => (
            format!("More than {} jobs are pending", jobs(pending)),
            match rule.severity.as_str() {
                "critical" => "Scale workers immediately.",
                _ => "Monitor, prepare to scale.",
            },
        ),
        Condition::RejectionsAbove { rate, .. } => (
            format!("More than {} jobs a second are rejected", number::trimmed(rate, 2)),
            "Investigate the traffic spike, scale the infrastructure.",
        ),
        Condition::WorkersBelow(processes) => {
            (format!("Fewer than {processes} workers run"), "Restart worker processes.")
        }
        Condition::RejectedShareAbove { share, .. } => (
            format!("More than {} % of the jobs are rejected", number::trimmed(100.0 * share, 2)),
            "Investigate the traffic spike, scale the infrastructure.",
        ),
        Condition::WaitAbove { seconds, .. } => {
            (format!("A job waits longer than {} s", number::trimmed(seconds, 2)), "Scale workers.")
        }
        Condition::MemoryAbove(bytes) => {
            (format!("Redis uses more than {} bytes", jobs(bytes)), "Drain, or raise maxmemory.")
        }
    };
    Rule {
        name: rule.name,
        expression: rule.condition.promql(),
        wait: rule.wait,
        severity: rule.severity.as_str(),
        summary,
        description: description.to_owned(),
        evidence: "As set in [alerts] of the scenario; the specification's rule unless it says otherwise."
            .to_owned(),
    }
}

/// Most expectations of one rule.
const MOST_MOMENTS: usize = 100;
