//! `alerts.yaml`: the specification's five alerts at the planned levels, one for Redis memory, and a test of them all
//! for `promtool test rules`.
//!
//! An alert says that something happens which the plan does not expect. So it waits at least as long as the planned
//! recovery takes, and the planned rejections do not set one off.

use std::fmt::Write;

use contract::metrics::{
    CIRCUIT_STATE, Metric as Series, QUEUE_TOTAL_PENDING, REDIS_MEMORY_USED, REJECTED, WORKERS,
};

use super::view::View;
use crate::alerts::prometheus_duration;
use crate::engine::time::SimDuration;
use crate::model::config::Condition;
use crate::model::metric::{Metric, Unit};
use crate::plan::Choice;
use crate::report::kit::rules::{self, Rule};
use crate::report::kit::{number, text};

/// One alert and what sets it off.
#[derive(Clone, Debug)]
pub(super) struct Alert {
    rule: Rule,
    /// For the test: the series that sets it off, as promtool writes series, and how long until its rate is known.
    firing: (Series, String, SimDuration),
}

pub(super) fn alerts(choice: &Choice) -> Vec<Alert> {
    let model = &choice.scenario.model;
    let policy = &model.policy.config;
    let summary = &choice.findings.summary;
    let recovery = summary.metric(Metric::Recovery);
    let shown_recovery = View::recovery_p95(summary);
    // The specification's time, or the planned recovery where that is longer.
    let waits =
        |usual: u64| usual.max((recovery.p95.unwrap_or(0.0) / 60.0).ceil() as u64 * 60).min(MOST_WAIT);
    let why = |usual: u64| match waits(usual) == usual {
        true if recovery.n == 0 => {
            "Nothing disturbs the run, so the plan knows no recovery time and the specification's stays."
                .to_owned()
        }
        true => format!(
            "The plan has recovered {shown_recovery} after a spike (95 % of runs), so the specification's time stays."
        ),
        false => format!(
            "The plan takes {shown_recovery} to recover from a spike (95 % of runs): no alert before that."
        ),
    };
    let jobs = |jobs: u64| number::grouped(jobs as f64, 0);
    let planned_rejections = most_rejected(choice);
    let peak = model.peak_rate();
    let rejections =
        rounded_up((1.2 * planned_rejections).max(if peak > 0.0 { peak / 100.0 } else { 100.0 }));
    let processes = model.workers.processes;
    let one_less = match choice.what_if.losses.first() {
        Some(loss) => View::loss_sentence(loss),
        None => "There is no other worker.".to_owned(),
    };
    let mut alerts = vec![
        Alert {
            rule: Rule {
            name: "CircuitBreakerOpen",
            expression: Condition::CircuitOpen.promql(),
            wait: seconds(waits(300)),
            severity: "critical",
            summary: "The backpressure circuit stays open".to_owned(),
            description: "The circuit is open: the policy admits only the most urgent jobs. Scale workers, investigate the traffic source.".to_owned(),
            evidence: why(300),
            },
            firing: (CIRCUIT_STATE, "2+0x120".to_owned(), SimDuration::ZERO),
        },
        Alert {
            rule: Rule {
            name: "QueueDepthCritical",
            expression: Condition::PendingAbove(policy.critical()).promql(),
            wait: seconds(waits(120)),
            severity: "critical",
            summary: format!("More than {} jobs are pending", jobs(policy.critical())),
            description: "The depth is above the critical threshold. Scale workers immediately.".to_owned(),
            evidence: format!(
                "The planned critical threshold; the plan peaks at {} jobs. {}",
                number::estimate(Unit::Jobs, summary.metric(Metric::PeakDepth)),
                why(120)
            ),
            },
            firing: (QUEUE_TOTAL_PENDING, format!("{}+0x120", policy.critical() + 1), SimDuration::ZERO),
        },
        Alert {
            rule: Rule {
            name: "HighRejectionRate",
            expression: Condition::RejectionsAbove { rate: rejections as f64, window: seconds(300) }.promql(),
            wait: seconds(waits(300)),
            severity: "critical",
            summary: format!("More than {} jobs a second are rejected", jobs(rejections)),
            description: "More is rejected than the plan expects. Investigate the traffic spike, scale the infrastructure."
                .to_owned(),
            evidence: format!(
                "Over 5 minutes the plan rejects at most {}; the alert is at 1.2 times that, or at 1 % of the peak rate \
                 if that is more. Summed over the gateways.",
                number::value(Unit::PerSecond, planned_rejections)
            ),
            },
            firing: (REJECTED, format!("0+{}x120", 120 * rejections), seconds(600)),
        },
        Alert {
            rule: Rule {
            name: "QueueDepthWarning",
            expression: Condition::PendingAbove(policy.warning()).promql(),
            wait: seconds(waits(300)),
            severity: "warning",
            summary: format!("More than {} jobs are pending", jobs(policy.warning())),
            description: "The depth is above the warning threshold. Monitor, prepare to scale.".to_owned(),
            evidence: format!("The planned warning threshold. {}", why(300)),
            },
            firing: (QUEUE_TOTAL_PENDING, format!("{}+0x120", policy.warning() + 1), SimDuration::ZERO),
        },
        Alert {
            rule: Rule {
            name: "WorkerCountLow",
            expression: Condition::WorkersBelow(processes).promql(),
            wait: SimDuration::ZERO,
            severity: "warning",
            summary: format!("Fewer than {processes} workers run"),
            description: format!("{one_less} Restart worker processes."),
            evidence: "The planned worker processes.".to_owned(),
            },
            firing: (WORKERS, format!("{}+0x120", processes - 1), SimDuration::ZERO),
        },
    ];
    if let Some(bytes) = model.redis.maxmemory {
        let watermark = bytes / 10 * 8;
        alerts.push(Alert {
            rule: Rule {
            name: "RedisMemoryHigh",
            expression: format!("{} > {watermark}", REDIS_MEMORY_USED.name),
            wait: seconds(60),
            severity: "critical",
            summary: "Redis is above 80 % of maxmemory".to_owned(),
            description: "At maxmemory Redis refuses jobs, and workers that restart cannot fetch any. Drain, or raise maxmemory."
                .to_owned(),
            evidence: format!(
                "80 % of {} bytes; the plan peaks at {}.",
                bytes,
                number::estimate(Unit::Bytes, summary.metric(Metric::RedisPeak)),
            ),
            },
            firing: (REDIS_MEMORY_USED, format!("{}+0x120", watermark + 1), SimDuration::ZERO),
        });
    }
    alerts
}

/// The rule file.
pub(super) fn render(view: &View<'_>, choice: &Choice) -> String {
    let mut comments = vec![
        format!("Planned by simulate {} for {}.", choice.findings.summary.version, view.name()),
        format!("Again: {}", view.command()),
        format!("Check: promtool test rules {}", view.file(TEST_STEM, "yaml")),
    ];
    if choice.is_split() {
        comments.push(format!(
            "One queue was simulated: with {} queues each has its share of the depths and rates below.",
            choice.queues
        ));
    }
    let rules: Vec<Rule> = alerts(choice).into_iter().map(|alert| alert.rule).collect();
    rules::render(&comments, &rules)
}

/// A unit test of the rule file for promtool: nothing fires while all is as planned, and each alert fires when and
/// not before it should.
pub(super) fn render_test(view: &View<'_>, choice: &Choice) -> String {
    let alerts = alerts(choice);
    let model = &choice.scenario.model;
    let policy = &model.policy.config;
    let mut planned = vec![
        (CIRCUIT_STATE, "0+0x120".to_owned()),
        // At a threshold is not above it.
        (QUEUE_TOTAL_PENDING, format!("{}+0x120", policy.warning())),
        (REJECTED, format!("0+{}x120", (most_rejected(choice) * 60.0) as u64)),
        (WORKERS, format!("{}+0x120", model.workers.processes)),
    ];
    planned
        .extend(model.redis.maxmemory.map(|bytes| (REDIS_MEMORY_USED, format!("{}+0x120", bytes / 10 * 8))));

    let mut file = String::new();
    let rules = view.file("alerts", "yaml");
    let _ = writeln!(file, "# promtool test rules {}", view.file(TEST_STEM, "yaml"));
    let _ = writeln!(file, "rule_files:\n- {}\nevaluation_interval: 1m\ntests:", text::yaml(&rules));
    file += "# As planned: nothing fires.\n- interval: 1m\n  input_series:\n";
    for (series, values) in &planned {
        let _ = writeln!(file, "  - series: {}\n    values: {values}", series.name);
    }
    file += "  alert_rule_test:\n";
    for alert in &alerts {
        let _ = writeln!(file, "  - eval_time: 2h\n    alertname: {}\n    exp_alerts: []", alert.rule.name);
    }
    for Alert { rule, firing: (series, values, known) } in &alerts {
        let _ = writeln!(
            file,
            "# {}\n- interval: 1m\n  input_series:\n  - series: {}\n    values: {values}\n  alert_rule_test:",
            rule.name, series.name
        );
        if rule.wait > SimDuration::ZERO {
            let early = prometheus_duration(rule.wait - seconds(60));
            let _ =
                writeln!(file, "  - eval_time: {early}\n    alertname: {}\n    exp_alerts: []", rule.name);
        }
        let _ = writeln!(
            file,
            "  - eval_time: {}\n    alertname: {}\n    exp_alerts:\n    - exp_labels:\n        severity: {}\n      exp_annotations:",
            prometheus_duration(SimDuration(rule.wait.0 + known.0)),
            rule.name,
            rule.severity
        );
        for (name, shown) in rule.annotations() {
            let _ = writeln!(file, "        {name}: {}", text::yaml(shown));
        }
    }
    file
}

/// Rejected jobs a second in the 5 minutes with the most of them.
fn most_rejected(choice: &Choice) -> f64 {
    let series = &choice.findings.series;
    let total = |index: usize| series.rejected.iter().map(|class| class[index]).sum::<f64>();
    let window = (300.0 / series.step_seconds).round() as usize;
    let rejected = |end: usize| total(end) - end.checked_sub(window).map_or(0.0, total);
    (0..series.seconds.len()).map(rejected).fold(0.0, f64::max) / 300.0
}

/// To two significant digits, up.
fn rounded_up(value: f64) -> u64 {
    let unit = 10_f64.powf(value.max(1.0).log10().floor() - 1.0).max(1.0);
    ((value / unit).ceil() * unit) as u64
}

fn seconds(seconds: u64) -> SimDuration {
    SimDuration(seconds * SimDuration::SECOND.0)
}

pub(super) const TEST_STEM: &str = "alerts-test";

/// An alert that waits longer comes too late to be one.
const MOST_WAIT: u64 = 1_800;
