//! `alerts.yaml`: the specification's five alerts at the planned levels, one for Redis memory, and those that call somebody in
//! time: the objective on refusals is being used up, and jobs wait too long. With a test of them all for `promtool test rules`.
//!
//! An alert says that something happens which the plan does not expect. So those of the specification wait at least as long as the
//! planned recovery takes, and nothing that is planned sets one off. The plan shows what each does in its incidents.

use std::fmt::Write;

use contract::metrics::{
    ACCEPTED, CIRCUIT_STATE, Metric as Series, QUEUE_COMPLETED, QUEUE_TOTAL_PENDING, REDIS_MEMORY_USED,
    REJECTED, WORKERS,
};

use super::view::View;
use crate::alerts::prometheus_duration;
use crate::engine::time::SimDuration;
use crate::model::config::Condition;
use crate::model::metric::{Metric, Unit};
use crate::plan::Choice;
use crate::plan::proof::alerts::{FAST_BURN, OF_SPECIFICATION, REDIS_MEMORY, SLOW_BURN, WAIT};
use crate::plan::scaling::Bound;
use crate::report::kit::rules::{self, Rule};
use crate::report::kit::{number, text};
use crate::scenario::slo::{Relation, Slo};

/// One alert and what sets it off.
#[derive(Clone, Debug)]
pub(super) struct Alert {
    rule: Rule,
    /// For the test: the series that set it off, every 15 s as promtool writes series.
    firing: Vec<(Series, String)>,
    /// How long until its rates are known.
    known: SimDuration,
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
            name: OF_SPECIFICATION[0],
            expression: Condition::CircuitOpen.promql(),
            wait: seconds(waits(300)),
            severity: "critical",
            summary: "The backpressure circuit stays open".to_owned(),
            description: "The circuit is open: the policy admits only the most urgent jobs. Scale workers, investigate the traffic source.".to_owned(),
            evidence: why(300),
            },
            firing: vec![(CIRCUIT_STATE, steady(2))],
            known: SimDuration::ZERO,
        },
        Alert {
            rule: Rule {
            name: OF_SPECIFICATION[1],
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
            firing: vec![(QUEUE_TOTAL_PENDING, steady(policy.critical() + 1))],
            known: SimDuration::ZERO,
        },
        Alert {
            rule: Rule {
            name: OF_SPECIFICATION[2],
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
            firing: vec![(REJECTED, growing(30 * rejections))],
            known: seconds(600),
        },
        Alert {
            rule: Rule {
            name: OF_SPECIFICATION[3],
            expression: Condition::PendingAbove(policy.warning()).promql(),
            wait: seconds(waits(300)),
            severity: "warning",
            summary: format!("More than {} jobs are pending", jobs(policy.warning())),
            description: "The depth is above the warning threshold. Monitor, prepare to scale.".to_owned(),
            evidence: format!("The planned warning threshold. {}", why(300)),
            },
            firing: vec![(QUEUE_TOTAL_PENDING, steady(policy.warning() + 1))],
            known: SimDuration::ZERO,
        },
        Alert {
            rule: Rule {
            name: OF_SPECIFICATION[4],
            expression: Condition::WorkersBelow(processes).promql(),
            wait: SimDuration::ZERO,
            severity: "warning",
            summary: format!("Fewer than {processes} workers run"),
            description: format!("{one_less} Restart worker processes."),
            evidence: "The planned worker processes.".to_owned(),
            },
            firing: vec![(WORKERS, steady(u64::from(processes) - 1))],
            known: SimDuration::ZERO,
        },
    ];
    if let Some(bytes) = model.redis.maxmemory {
        let watermark = bytes / 10 * 8;
        alerts.push(Alert {
            rule: Rule {
            name: REDIS_MEMORY,
            expression: Condition::MemoryAbove(watermark).promql(),
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
            firing: vec![(REDIS_MEMORY_USED, steady(watermark + 1))],
            known: SimDuration::ZERO,
        });
    }
    alerts.extend(burns(choice));
    alerts.push(wait(choice));
    alerts
}

/// How fast the objective on refusals is used up: in one window of minutes, and in one of four times that.
fn burns(choice: &Choice) -> [Alert; 2] {
    let model = &choice.scenario.model;
    let (allowed, source) = allowed_share(choice);
    let fast = SimDuration((4 * model.monitoring.scrape.0).max(seconds(60).0));
    let slow = SimDuration(4 * fast.0);
    [(FAST_BURN, fast, SimDuration::ZERO, "critical"), (SLOW_BURN, slow, seconds(60), "warning")].map(
        |(name, window, wait, severity)| {
            let planned = as_sampled(choice, window, most_rejected_share);
            let share = rounded_up_share((1.1 * planned).max(allowed));
            let shown = number::value(Unit::Fraction, share);
            Alert {
                rule: Rule {
                    name,
                    expression: Condition::RejectedShareAbove { share, window }.promql(),
                    wait,
                    severity,
                    summary: format!("More than {shown} of the jobs are rejected"),
                    description: "More is rejected than the plan allows: the objective is being used up. Shed load, add workers."
                        .to_owned(),
                    evidence: format!(
                        "Allowed are {} ({source}); over {} the plan rejects at most {}, and the alert is at 1.1 times that if \
                         that is more.",
                        number::value(Unit::Fraction, allowed),
                        prometheus_duration(window),
                        number::value(Unit::Fraction, planned)
                    ),
                },
                firing: vec![(REJECTED, growing(1_000)), (ACCEPTED, steady(0))],
                known: SimDuration(2 * window.0),
            }
        },
    )
}

/// The depth as the wait of whoever comes now, by Little's law.
fn wait(choice: &Choice) -> Alert {
    let model = &choice.scenario.model;
    let bound = Bound::of(&choice.scenario);
    let window = SimDuration((4 * model.monitoring.scrape.0).max(seconds(60).0));
    let planned = as_sampled(choice, window, longest_wait);
    // Jobs in service count as pending, and are done within a service.
    let in_service = f64::from(model.workers.slots()) / model.slot_capacity();
    let limit = rounded_up_seconds((in_service + bound.seconds / 2.0).max(1.1 * planned));
    Alert {
        rule: Rule {
            name: WAIT,
            expression: Condition::WaitAbove { seconds: limit, window }.promql(),
            wait: SimDuration::ZERO,
            severity: "critical",
            summary: format!("A job waits {} and longer", number::value(Unit::Seconds, limit)),
            description:
                "More is pending than is completed in that time. Add workers, look at what they wait for."
                    .to_owned(),
            evidence: format!(
                "Half of what may be waited, {} ({}), beside the service; the plan itself reaches {}, and the alert is at 1.1 times that \
                 if that is more.",
                number::value(Unit::Seconds, bound.seconds),
                bound.source,
                number::value(Unit::Seconds, planned)
            ),
        },
        firing: vec![(QUEUE_TOTAL_PENDING, steady(1_000)), (QUEUE_COMPLETED, steady(7))],
        known: SimDuration(2 * window.0),
    }
}

/// The share of the jobs that may be rejected, and what says so: an objective on all, or what the plan rejects itself and a little
/// more.
fn allowed_share(choice: &Choice) -> (f64, String) {
    let of_all = |slo: &&Slo| {
        slo.class.is_none()
            && matches!(slo.relation, Relation::Less | Relation::LessOrEqual | Relation::Equal)
    };
    let offered = choice.findings.summary.traffic.total.offered.max(1.0);
    let limits = choice.scenario.slo.iter().filter(of_all).filter_map(|slo| match slo.metric()? {
        Metric::RejectionProbability => Some((slo.limit, slo.expression.clone())),
        Metric::Rejected => Some((slo.limit / offered, slo.expression.clone())),
        _ => None,
    });
    let planned = choice.findings.summary.metric(Metric::RejectionProbability).max.unwrap_or(0.0);
    limits
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .unwrap_or_else(|| (planned + 0.01, "what the plan rejects, and 1 % more".to_owned()))
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
        (CIRCUIT_STATE, steady(0)),
        // At a threshold is not above it.
        (QUEUE_TOTAL_PENDING, steady(policy.warning())),
        (QUEUE_COMPLETED, growing(PLENTY)),
        (REJECTED, growing((most_rejected(choice) * 15.0) as u64)),
        (ACCEPTED, growing(PLENTY)),
        (WORKERS, steady(u64::from(model.workers.processes))),
    ];
    planned.extend(model.redis.maxmemory.map(|bytes| (REDIS_MEMORY_USED, steady(bytes / 10 * 8))));

    let mut file = String::new();
    let rules = view.file("alerts", "yaml");
    let _ = writeln!(file, "# promtool test rules {}", view.file(TEST_STEM, "yaml"));
    let _ = writeln!(file, "rule_files:\n- {}\nevaluation_interval: 15s\ntests:", text::yaml(&rules));
    file += "# As planned: nothing fires.\n";
    file += &inputs(&planned);
    for alert in &alerts {
        let _ = writeln!(file, "  - eval_time: 2h\n    alertname: {}\n    exp_alerts: []", alert.rule.name);
    }
    for Alert { rule, firing, known } in &alerts {
        let _ = writeln!(file, "# {}", rule.name);
        file += &inputs(firing);
        if rule.wait >= seconds(60) {
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

/// A test with these series.
fn inputs(series: &[(Series, String)]) -> String {
    let mut text = String::from("- interval: 15s\n  input_series:\n");
    for (series, values) in series {
        let _ = writeln!(text, "  - series: {}\n    values: {values}", series.name);
    }
    text + "  alert_rule_test:\n"
}

/// The same value for two hours.
fn steady(value: u64) -> String {
    format!("{value}+0x480")
}

/// A counter that grows by so much in 15 s, for two hours.
fn growing(step: u64) -> String {
    format!("0+{step}x480")
}

/// The larger of what a window shows: the samples in it may span as little as one scrape less than the window, and a rate is that of
/// the samples.
fn as_sampled(choice: &Choice, window: SimDuration, of: fn(&Choice, SimDuration) -> f64) -> f64 {
    let scrape = choice.scenario.model.monitoring.scrape;
    of(choice, window).max(of(choice, SimDuration(window.0.saturating_sub(scrape.0))))
}

/// The largest share of the jobs that the plan rejects within a window, with what chance may add in a single run: the series is the
/// mean of several, and a policy rejects in bursts.
fn most_rejected_share(choice: &Choice, window: SimDuration) -> f64 {
    const BURST: f64 = 6.0;
    let series = &choice.findings.series;
    let within = |counts: &[Vec<f64>], end: usize| -> f64 {
        let total = |index: usize| counts.iter().map(|class| class[index]).sum::<f64>();
        total(end) - start_of(series.step_seconds, window, end).map_or(0.0, total)
    };
    let share = |end: usize| {
        let (rejected, offered) = (within(&series.rejected, end), within(&series.offered, end).max(1.0));
        (rejected + BURST * rejected.sqrt()) / offered
    };
    (0..series.seconds.len()).map(share).fold(0.0, f64::max).min(1.0)
}

/// The longest time that the plan takes for as many jobs as are pending, in seconds, by what is completed within a window.
fn longest_wait(choice: &Choice, window: SimDuration) -> f64 {
    let series = &choice.findings.series;
    let completed = |index: usize| series.completed.iter().map(|class| class[index]).sum::<f64>();
    let wait = |end: usize| {
        let start = start_of(series.step_seconds, window, end);
        let steps = end + 1 - start.map_or(0, |start| start + 1);
        let done = completed(end) - start.map_or(0.0, completed);
        let rate = done / (steps as f64 * series.step_seconds);
        if rate > 0.0 { series.depth_max[end] / rate } else { 0.0 }
    };
    (0..series.seconds.len()).map(wait).fold(0.0, f64::max)
}

/// The point of the series at which a window ends in that point began; `None` if that was before the first.
fn start_of(step: f64, window: SimDuration, end: usize) -> Option<usize> {
    end.checked_sub((window.as_secs_f64() / step).round().max(1.0) as usize)
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

/// To a tenth of a percent, up; never all of them, which nothing exceeds.
fn rounded_up_share(share: f64) -> f64 {
    ((share * 1_000.0 - 1e-9).ceil() / 1_000.0).clamp(0.0, 0.99)
}

/// To three significant digits, up.
fn rounded_up_seconds(value: f64) -> f64 {
    let unit = 10_f64.powf(value.max(1e-3).log10().floor() - 2.0);
    // Through text: a power of ten below one is no exact number.
    let digits = (value / unit).ceil();
    format!("{:.6}", digits * unit).parse().unwrap_or(value)
}

fn seconds(seconds: u64) -> SimDuration {
    SimDuration(seconds * SimDuration::SECOND.0)
}

pub(super) const TEST_STEM: &str = "alerts-test";

/// Jobs of 15 s beside which all others are few.
const PLENTY: u64 = 1_000_000_000_000;

/// An alert that waits longer comes too late to be one.
const MOST_WAIT: u64 = 1_800;
