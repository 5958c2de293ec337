//! The autoscaler: a HorizontalPodAutoscaler with the settings of its manifest.

use super::diagnostic::Code;
use super::distribution::{self, Of};
use super::interval::{MOST_TURNS, must_fit};
use super::log::Mistake;
use super::reader::Section;
use super::setting::{MOST_COUNT, shown};
use crate::engine::time::SimDuration;
use crate::model::config::{
    AutoscalerConfig, Behavior, PolicyKind, ScalingPolicy, ScalingRules, Select, TargetType, Workers,
};

/// Reads `[autoscaler]`; `None` if there is none.
pub(super) fn read(
    mut section: Section<'_>,
    workers: &Workers,
    duration: Option<SimDuration>,
) -> Option<AutoscalerConfig> {
    const TARGETS: &[(&str, TargetType)] =
        &[("average-value", TargetType::AverageValue), ("value", TargetType::Value)];
    let own = workers.processes;
    let min = section.key("min", "Fewest worker processes (minReplicas).").count(1, MOST_REPLICAS).or_else(
        "workers.processes",
        own.to_string(),
        own.into(),
    );
    let max = section
        .key("max", "Most worker processes (maxReplicas); default: no autoscaler.")
        .count(1, MOST_REPLICAS)
        .optional();
    let target = section
        .key(
            "target",
            "Target for jobs waiting and in service: per worker process (averageValue) or in total (value).",
        )
        .count(1, MOST_COUNT)
        .or("5000");
    let target_type = section
        .key("target_type", "Whether the target is per worker process or in total.")
        .choice(TARGETS)
        .or("average-value");
    let cpu_percent = section
        .key(
            "cpu_percent",
            "Second metric: percent of their requests that the processors of the worker processes are to be used \
             (averageUtilization); a slot in service uses its part of them. Default: not looked at.",
        )
        .count(1, 1_000)
        .optional();
    let mut tolerance = |name, doc| section.key(name, doc).number(0.0, 1.0).or("0.1");
    let tolerance_up =
        tolerance("tolerance_up", "A metric above its target by less than this fraction adds no process.");
    let tolerance_down = tolerance(
        "tolerance_down",
        "A metric below its target by less than this fraction removes no process.",
    );
    let sync = section.key("sync", "Time between two decisions.").positive_span().or("15s");
    let metric_age = section
        .key("metric_age", "Age of the metric when it is used: scrape, adapter and poll.")
        .span()
        .or("30s");
    let start_up = distribution::or(
        &mut section,
        "start_up",
        "Time until a new worker process takes jobs: scheduling, image, start, readiness.",
        Of::TIME,
        "20s",
    );
    let behavior = read_behavior(section.section(
        "behavior",
        "Windows and rates (spec.behavior); default: the algorithm without it, which at most doubles.",
    ));
    section.close();
    let max = max?;
    if section.has("sync") {
        must_fit(&mut section, "sync", sync, (duration, "`duration`"), MOST_TURNS);
    }
    // A reading waits until it is used, and a recommendation is kept for the longest window.
    let at_fault = if section.has("sync") { "sync" } else { "metric_age" };
    must_fit(&mut section, at_fault, sync, (Some(metric_age), "`metric_age`"), MOST_KEPT);
    let rules = behavior.iter().flat_map(|behavior| [&behavior.up, &behavior.down]);
    let periods =
        rules.flat_map(|rules| rules.policies.iter().map(|policy| policy.period).chain([rules.window]));
    let longest = periods.max().unwrap_or(LEGACY_WINDOW);
    must_fit(&mut section, "sync", sync, (Some(longest), "the longest window or period"), MOST_KEPT);
    let bounds = [("min", u64::from(own) < min, min), ("max", u64::from(own) > max || min > max, max)];
    for (name, is_broken, bound) in bounds {
        if is_broken && !section.is_bad(name) {
            let message =
                format!("{bound} does not fit: min is {min}, max is {max}, `workers.processes` is {own}");
            section
                .complain(name, Mistake::new(Code::Conflict, message, "the rule is min <= processes <= max"));
        }
    }
    if max * u64::from(workers.concurrency) > super::workers::MOST_SLOTS {
        let message = format!("{max} processes x {} jobs are too many slots", workers.concurrency);
        let label = format!("at most {} in all", super::workers::MOST_SLOTS);
        section.complain("max", Mistake::new(Code::OutOfRange, message, label));
    }
    Some(AutoscalerConfig {
        min: min as u32,
        max: max as u32,
        target,
        target_type,
        cpu_percent: cpu_percent.map(|percent| percent as u32),
        tolerance_up,
        tolerance_down,
        sync,
        metric_age,
        start_up,
        behavior,
    })
}

fn read_behavior(mut behavior: Section<'_>) -> Option<Behavior> {
    let defaults = Behavior::default();
    let up = read_rules(behavior.section("scale_up", "Rules for scaling up."), defaults.up, "0s");
    let down = read_rules(behavior.section("scale_down", "Rules for scaling down."), defaults.down, "300s");
    behavior.close();
    behavior.is_given().then_some(Behavior { up, down })
}

fn read_rules(mut rules: Section<'_>, default: ScalingRules, window: &'static str) -> ScalingRules {
    const SELECTS: &[(&str, Select)] =
        &[("max", Select::Max), ("min", Select::Min), ("disabled", Select::Disabled)];
    const KINDS: &[(&str, PolicyKind)] = &[("pods", PolicyKind::Pods), ("percent", PolicyKind::Percent)];
    let window = rules
        .key(
            "window",
            "The most cautious recommendation within this time decides (stabilizationWindowSeconds).",
        )
        .span()
        .or(window);
    must_be_at_most(&mut rules, "window", window, MOST_WINDOW);
    let select = rules
        .key(
            "select",
            "Which policy decides: the one with the largest change, the smallest, or none (selectPolicy).",
        )
        .choice(SELECTS)
        .or("max");
    let sections =
        rules.sections("policies", "Limits on the change within a period; default: those of Kubernetes.");
    let mut policies = Vec::new();
    for mut policy in sections {
        let kind = policy
            .key("type", "Whether the limit is in worker processes or in percent of them.")
            .choice(KINDS)
            .required();
        let value = policy.key("value", "Largest change.").count(1, MOST_REPLICAS).required();
        let period = policy
            .key("period", "Period that the limit applies to (periodSeconds).")
            .positive_span()
            .required();
        policy.close();
        if let Some(period) = period {
            must_be_at_most(&mut policy, "period", period, MOST_PERIOD);
        }
        if let (Some(kind), Some(value), Some(period)) = (kind, value, period) {
            policies.push(ScalingPolicy { kind, value: value as u32, period });
        }
    }
    rules.close();
    let policies = if rules.has("policies") { policies } else { default.policies };
    ScalingRules { window, select, policies }
}

fn must_be_at_most(section: &mut Section<'_>, name: &'static str, span: SimDuration, most: SimDuration) {
    if span > most {
        let message = format!("{} is longer than Kubernetes allows", shown(span));
        let label = format!("at most \"{}\"", shown(most));
        section.complain(name, Mistake::new(Code::OutOfRange, message, label));
    }
}

/// Most readings or recommendations that are kept at a time.
const MOST_KEPT: u64 = 100_000;
/// The window without `behavior`.
const LEGACY_WINDOW: SimDuration = SimDuration(300_000_000_000);
const MOST_REPLICAS: u64 = 100_000;
const MOST_WINDOW: SimDuration = SimDuration(3_600_000_000_000);
const MOST_PERIOD: SimDuration = SimDuration(1_800_000_000_000);
