//! The default grid: around what the load needs and what the scenario has.
//!
//! Concurrency is varied only where the scenario says what more of it costs, by contention or by a database pool: elsewhere
//! more would always look better. `--grid` varies it anyway.
//!
//! Where the scenario has an autoscaler, its minimum, maximum and target are planned together, and the run begins with the
//! minimum. Such candidates have no forecast, so thresholds stay as they are.

use std::path::Path;

use super::limits;
use super::scaling::Bound;
use crate::engine::time::SimTime;
use crate::model::config::{AutoscalerConfig, ModelConfig, TargetType};
use crate::scenario::{self, Loaded, Scenario, ScenarioError, Setting};
use crate::study::grid::Grid;

/// Most numbers of worker processes that are tried.
const MOST_PROCESSES: u64 = 60;

/// The candidates for a scenario file: on the given axes, else on those of the file, else on the usual ones.
///
/// # Errors
///
/// All mistakes in file and options, that refused or lost jobs have neither limit nor price, or why the file cannot be
/// read.
pub fn candidates(
    path: &Path,
    overrides: Vec<String>,
    axes: Vec<String>,
    constraints: Vec<String>,
) -> Result<Grid, ScenarioError> {
    let base = scenario::load(path, &overrides)?;
    limits::require(&base.scenario, &path.display().to_string())?;
    let has_axes = !axes.is_empty() || !base.scenario.sweep.axes.is_empty();
    let axes = if has_axes { axes } else { usual(&base) };
    Grid::load(path, overrides, axes, constraints)
}

/// Axes for a scenario, as `--grid` takes them.
pub fn usual(base: &Loaded) -> Vec<String> {
    match &base.scenario.model.autoscaler {
        Some(autoscaler) => of_autoscaler(&base.scenario, autoscaler),
        None => of_fixed_fleet(base),
    }
}

/// From what the calm needs to what the peak needs, with up to three times as many in an incident.
fn of_autoscaler(scenario: &Scenario, autoscaler: &AutoscalerConfig) -> Vec<String> {
    const MOST_MINIMA: u64 = 8;
    let (first, last) = range(&scenario.model);
    let step = (last - first).div_ceil(MOST_MINIMA).max(1);
    let bound = Bound::of(scenario).target(&scenario.model);
    let targets = match (autoscaler.target_type, bound == autoscaler.target) {
        (TargetType::AverageValue, false) => format!("{},{bound}", autoscaler.target),
        _ => autoscaler.target.to_string(),
    };
    vec![
        format!("autoscaler.min={first}..{last}:{step}"),
        "workers.processes=1 of autoscaler.min".to_string(),
        "autoscaler.max=1,2,3 of autoscaler.min".to_string(),
        format!("autoscaler.target={targets}"),
    ]
}

/// Fewest and most worker processes that are tried.
fn range(model: &ModelConfig) -> (u64, u64) {
    let per_process = model.slot_capacity() / f64::from(model.workers.processes);
    let processes_for = |rate: f64| (rate / per_process).ceil().max(1.0) as u64;
    let phases = model.sources.iter().flat_map(|source| &source.phases);
    let ends = phases.map(|phase| phase.end).filter(|end| end.0 < model.horizon.0).chain([SimTime::ZERO]);
    let lowest = ends.map(|time| model.rate_at(time)).fold(f64::INFINITY, f64::min);
    let own = u64::from(model.workers.processes);
    match model.peak_rate() {
        peak if peak > 0.0 => (processes_for(0.8 * lowest), processes_for(1.5 * peak)),
        // A recorded trace says nothing beforehand.
        _ => ((own / 4).max(1), own * 4),
    }
}

fn of_fixed_fleet(base: &Loaded) -> Vec<String> {
    let model = &base.scenario.model;
    let (first, last) = range(model);
    let step = (last - first).div_ceil(MOST_PROCESSES).max(1);
    let mut axes = vec![format!("workers.processes={first}..{last}:{step}")];
    if !model.workers.contention.is_none() || model.workers.database.is_some() {
        let own = model.workers.concurrency;
        let values: Vec<String> =
            [own.div_ceil(4), own.div_ceil(2), own, 2 * own].iter().map(u32::to_string).collect();
        axes.push(format!("workers.concurrency={}", values.join(",")));
    }
    if model.policy.config.enabled() {
        let critical = model.policy.config.critical();
        let criticals: Vec<String> = [4, 2, 1]
            .iter()
            .map(|part| critical / part)
            .chain([2 * critical, 4 * critical])
            .map(|c| c.to_string())
            .collect();
        axes.push(format!("policy.critical={}", criticals.join(",")));
        axes.push("policy.warning=0.1,0.2,0.4,0.6 of policy.critical".to_string());
        axes.push("policy.recovery=0.25,0.5,0.75 of policy.warning".to_string());
    }
    if let Some(bytes) = model.redis.maxmemory.filter(|bytes| bytes / 4 > model.redis.base) {
        let sizes: Vec<String> =
            [bytes / 4, bytes / 2, bytes, bytes * 2].iter().map(|size| format!("{size}B")).collect();
        axes.push(format!("redis.maxmemory={}", sizes.join(",")));
    }
    axes
}

/// `--set` options that multiply all arrival rates so that the highest is `peak`; `None` of a scenario whose
/// arrivals are recorded, or that has none.
pub fn at_rate(base: &Loaded, peak: f64) -> Option<Vec<String>> {
    let own = base.scenario.model.peak_rate();
    let is_rate = |setting: &&Setting| {
        let is_one = [".rate", ".off_rate", ".ramp_to"].iter().any(|name| setting.pattern.ends_with(name));
        is_one && setting.pattern.contains("arrivals")
    };
    let scaled = |setting: &Setting| {
        let text = setting.value.as_deref()?.trim_matches('"');
        let rate = crate::units::parse_rate(text).ok()?;
        // Through text, so that repeating the command gives the same bytes.
        Some(format!("{}={}/s", setting.path, rate * peak / own))
    };
    let options: Vec<String> = base.settings.iter().filter(is_rate).filter_map(scaled).collect();
    (own > 0.0 && !options.is_empty()).then_some(options)
}
