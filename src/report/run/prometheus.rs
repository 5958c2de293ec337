//! The first replication for Prometheus: its samples as OpenMetrics text, the alerts as a
//! rule file, and a test of these rules on those samples.
//!
//! Samples are stamped from a given epoch, not from the present time, so that the same run gives the same bytes.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::alerts::{self, Firing, names, prometheus_duration};
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

/// Series of one name.
struct Family<'a> {
    /// Without the `_total` of a counter.
    name: String,
    kind: &'static str,
    help: &'static str,
    series: Vec<Series<'a>>,
}

fn families(model: &ModelConfig) -> Vec<Family<'_>> {
    let of_queue = |name: &str, kind, help, value: fn(&QueueScrape) -> u64| Family {
        name: name.trim_end_matches("_total").to_owned(),
        kind,
        help,
        series: vec![Series {
            name: name.to_owned(),
            value: Box::new(move |scrape| scrape.queue.as_ref().map(value)),
        }],
    };
    let mut families = vec![
        of_queue(names::WAITING, "gauge", "Jobs waiting", |queue| queue.pending - queue.active),
        of_queue(names::ACTIVE, "gauge", "Jobs in service", |queue| queue.active),
        of_queue(names::PENDING, "gauge", "Jobs waiting and in service", |queue| queue.pending),
        // Counters, but the specification's names do not end as those of counters must.
        of_queue(names::COMPLETED, "unknown", "Jobs completed since the start", |queue| queue.completed),
        of_queue(names::FAILED, "unknown", "Jobs given up since the start", |queue| queue.failed),
        of_queue(names::WORKERS, "gauge", "Worker processes that take jobs", |queue| queue.workers.into()),
        of_queue(names::MEMORY, "gauge", "Redis memory in use", |queue| queue.redis),
        of_queue("simulate_jobs_lost_total", "counter", "Jobs lost since the start", |queue| queue.lost),
    ];
    let rejected = model.classes.iter().enumerate().map(|(index, class)| Series {
        name: format!("{}{{class=\"{}\"}}", names::REJECTED, class.name),
        value: Box::new(move |scrape| Some(scrape.rejected[index])),
    });
    families.push(Family {
        name: names::REJECTED.trim_end_matches("_total").to_owned(),
        kind: "counter",
        help: "Jobs rejected since the start",
        series: rejected.collect(),
    });
    let circuits = (0..model.gateway.instances as usize).map(|gateway| Series {
        name: format!("{}{{instance=\"{}\"}}", names::CIRCUIT, instance(gateway)),
        value: Box::new(move |scrape| scrape.circuits[gateway].map(u64::from)),
    });
    families.push(Family {
        name: names::CIRCUIT.to_owned(),
        kind: "gauge",
        help: "Circuit state (0=CLOSED, 1=HALF_OPEN, 2=OPEN)",
        series: circuits.collect(),
    });
    let policy = &model.policy.config;
    for (threshold, jobs) in
        [("recovery", policy.recovery()), ("warning", policy.warning()), ("critical", policy.critical())]
    {
        let name = format!("{}_{threshold}", names::THRESHOLD);
        families.push(Family {
            name: name.clone(),
            kind: "gauge",
            help: "Threshold of the policy in jobs",
            series: vec![Series { name, value: Box::new(move |_| Some(jobs)) }],
        });
    }
    families
}

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
        writeln!(out, "# TYPE {} {}", family.name, family.kind)?;
        writeln!(out, "# HELP {} {}.", family.name, family.help)?;
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
    let half = SimDuration(monitoring.scrape.0 / 2);
    let _ = writeln!(file, "# promtool test rules {TEST}");
    let _ = writeln!(file, "rule_files:\n- {RULES}");
    let _ = writeln!(file, "evaluation_interval: {}", prometheus_duration(monitoring.evaluation));
    // The scrapes lie between the multiples of their distance.
    let _ = writeln!(file, "tests:\n- interval: {}\n  input_series:", prometheus_duration(half));
    let used = [names::CIRCUIT, names::PENDING, names::REJECTED, names::WORKERS];
    for series in families(model).into_iter().flat_map(|family| family.series) {
        if !used.iter().any(|name| series.name.starts_with(name)) {
            continue;
        }
        let _ = write!(file, "  - series: '{}'\n    values: '", series.name);
        for scrape in scrapes {
            let value = (series.value)(scrape).map_or_else(|| "_".to_owned(), |value| value.to_string());
            let _ = write!(file, "_ {value} ");
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
            "Only priority 1 is admitted. Scale workers, investigate the traffic source.",
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
