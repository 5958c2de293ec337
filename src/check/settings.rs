//! What has changed in a scenario since its baseline, and whether the two are still comparable.
//!
//! The experiment (load, clients, faults, duration, seed) must be the same, or a difference would say nothing about the
//! system. The system (policy, gateway, queue, workers, database, autoscaler, Redis) may change: the gate asks what
//! that does.

use std::collections::BTreeMap;

use crate::engine::digest::Digest;
use crate::model::config::{ArrivalBatch, ArrivalProcess, JobClass, TracedArrival};
use crate::model::distribution::Distribution;
use crate::scenario::{Loaded, Origin, Setting, SettingDifference, differences};

/// What a setting is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The load on the system, and how it is measured.
    Experiment,
    /// The system under test.
    System,
    /// Neither changes what is simulated nor how it is measured.
    Neither,
}

/// The part that a setting belongs to, by the section it is in.
pub fn part_of(path: &str) -> Part {
    match path.split('.').next().unwrap_or_default() {
        "policy" | "gateway" | "queue" | "workers" | "database" | "autoscaler" | "redis" => Part::System,
        "name" | "slo" | "expected_misses" | "report" | "alerts" | "sweep" | "cost" | "plan" => Part::Neither,
        // Also sections that later versions add, until somebody decides that they belong to the system.
        _ => Part::Experiment,
    }
}

/// A setting that differs from the baseline.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// Where it is, as `--set` names it.
    pub setting: String,
    /// In the baseline; `None` if it was not there.
    pub baseline: Option<String>,
    /// Now; `None` if it is not there any more.
    pub current: Option<String>,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".to_owned());
        write!(f, "{}: {} -> {}", self.setting, shown(&self.baseline), shown(&self.current))
    }
}

/// The settings of experiment and system by their path, as the baseline keeps them, with a hash of the content of each
/// file that the scenario names.
pub fn record(loaded: &Loaded) -> BTreeMap<String, String> {
    let settings = loaded.settings.iter().filter(|setting| part_of(&setting.path) != Part::Neither);
    let mut record: BTreeMap<String, String> =
        settings.filter_map(|setting| Some((setting.path.clone(), plain(setting.value.as_ref()?)))).collect();
    record.extend(contents(loaded));
    record
}

/// All differences between the settings of a baseline and those of a scenario, by the path.
pub fn changes(baseline: &BTreeMap<String, String>, loaded: &Loaded) -> Vec<Change> {
    let is_default = |path: &str| {
        let setting = loaded.settings.iter().find(|setting| setting.path == path);
        setting.is_some_and(|setting| setting.origin == Origin::Default && !is_of_list(setting))
    };
    differences(baseline, &record(loaded), &loaded.settings)
        .into_iter()
        // A setting that a later version has added is unchanged while it has its default.
        .filter(|SettingDifference { path, before, .. }| before.is_some() || !is_default(path))
        .map(|SettingDifference { path, before, after }| Change {
            setting: path,
            baseline: before,
            current: after,
        })
        .collect()
}

/// Whether the setting belongs to an element of a list, which may itself be new.
fn is_of_list(setting: &Setting) -> bool {
    setting.pattern.contains("[]")
}

/// A value as TOML writes it, without the quotes around a simple string.
fn plain(value: &str) -> String {
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    inner.filter(|inner| !inner.contains(['"', '\\'])).unwrap_or(value).to_owned()
}

/// Hashes of what the scenario read from other files.
fn contents(loaded: &Loaded) -> Vec<(String, String)> {
    let model = &loaded.scenario.model;
    let mut contents = Vec::new();
    for (index, source) in model.sources.iter().enumerate() {
        match &source.process {
            ArrivalProcess::Trace(arrivals) => {
                let values = arrivals.iter().flat_map(|&TracedArrival { at, class, service }| {
                    [at.0, u64::from(class), service.map_or(u64::MAX, |service| service.0)]
                });
                let name = format!("arrivals (recorded trace {})", index + 1);
                contents.push((name, hash(arrivals.len(), values)));
            }
            ArrivalProcess::Batches { batches, spread: _ } => {
                let values = batches.iter().flat_map(|&ArrivalBatch { at, within, count, class }| {
                    [at.0, within.0, count, class.map_or(u64::MAX, u64::from)]
                });
                contents.push((format!("arrivals (counts {})", index + 1), hash(batches.len(), values)));
            }
            // These are in the settings whole.
            ArrivalProcess::Constant
            | ArrivalProcess::Poisson
            | ArrivalProcess::Renewal(_)
            | ArrivalProcess::Modulated(_) => {}
        }
    }
    for JobClass { name, payload, service_time, priority: _, queue_priority: _ } in &model.classes {
        let mut add = |path: String, distribution: &Distribution| {
            if let Distribution::Empirical { values } = distribution {
                let values = hash(values.len(), values.iter().map(|value| value.to_bits()));
                contents.push((format!("{path} (measured values)"), values));
            }
        };
        add(format!("class.{name}.payload"), payload);
        let own = format!("class.{name}.service_time");
        let is_own = |setting: &Setting| setting.path.starts_with(&own) && setting.value.is_some();
        let has_own = loaded.settings.iter().any(is_own);
        add(if has_own { own.clone() } else { "workers.service_time".to_owned() }, service_time);
    }
    contents
}

fn hash(count: usize, values: impl Iterator<Item = u64>) -> String {
    let mut digest = Digest::default();
    digest.add_all(values);
    format!("{count} values, digest {:016x}", digest.value())
}
