//! `alerts.yaml` read back: the rules that Prometheus makes of it.

use serde_json::Value;

use super::yaml;
use crate::alerts::span_of;
use crate::engine::time::SimDuration;
use crate::model::config::{AlertRule, Condition, Severity};

/// The specification's five alerts.
pub const OF_SPECIFICATION: [&str; 5] =
    ["CircuitBreakerOpen", "QueueDepthCritical", "HighRejectionRate", "QueueDepthWarning", "WorkerCountLow"];
/// More than 80% of `maxmemory` is used.
pub const REDIS_MEMORY: &str = "RedisMemoryHigh";
/// The objective on refusals is used up, within minutes.
pub const FAST_BURN: &str = "RefusalBudgetBurnsFast";
/// The same more slowly.
pub const SLOW_BURN: &str = "RefusalBudgetBurns";
/// A job that comes now waits too long.
pub const WAIT: &str = "QueueWaitHigh";

/// The rules of the file, in its order.
///
/// # Errors
///
/// What is not there, is no rule of a plan, or has an expression that cannot be evaluated here.
pub(super) fn read(text: &str) -> Result<Vec<AlertRule>, String> {
    let document = yaml::read(text)?;
    let groups = document["groups"].as_array().ok_or("there are no groups")?;
    let rules = groups.iter().filter_map(|group| group["rules"].as_array()).flatten();
    rules.map(rule).collect()
}

fn rule(written: &Value) -> Result<AlertRule, String> {
    let text = |value: &Value, what: &str| {
        value.as_str().map(str::to_owned).ok_or_else(|| format!("{what} of {written} is not a text"))
    };
    let name = text(&written["alert"], "alert")?;
    let ours = OF_SPECIFICATION.iter().chain(&[REDIS_MEMORY, FAST_BURN, SLOW_BURN, WAIT]);
    let known = ours.copied().find(|known| *known == name);
    let expression = text(&written["expr"], "expr")?;
    let wait = match &written["for"] {
        Value::Null => Some(SimDuration::ZERO),
        wait => span_of(&text(wait, "for")?),
    };
    let severity = match written["labels"]["severity"].as_str() {
        Some("critical") => Severity::Critical,
        Some("warning") => Severity::Warning,
        other => return Err(format!("{name} has the severity {other:?}")),
    };
    Ok(AlertRule {
        name: known.ok_or_else(|| format!("{name} is no alert of a plan"))?,
        condition: Condition::of_promql(&expression)
            .ok_or_else(|| format!("{name}: `{expression}` is not known"))?,
        wait: wait.ok_or_else(|| format!("{name}: `for` is not a duration"))?,
        severity,
    })
}
