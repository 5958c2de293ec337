//! The result of an experiment, as reports and the JSON document show it.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::model::metric::Metric;

/// Version of the JSON document; a change that breaks readers counts it up.
pub const SCHEMA: &str = "backpressure-sim/summary/1";

/// What `simulate SCENARIO --json` prints.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Summary {
    /// Version of this document.
    pub schema: &'static str,
    /// Version of the program.
    pub version: &'static str,
    /// Name of the scenario.
    pub scenario: String,
    /// Master seed.
    pub seed: u64,
    /// Replications that the figures rest on.
    pub replications: u32,
    /// Hash of every count, histogram and series of every replication, in hex: equal digests, equal results.
    pub digest: String,
    /// Whether all of `slo` holds.
    pub verdict: Verdict,
    /// True if the run was interrupted, so that `replications` are fewer than asked for.
    pub interrupted: bool,
    /// System-wide metrics.
    pub metrics: Named<Estimate>,
    /// Metrics by job class, for those with `Metric::per_class`.
    pub classes: Named<Named<Estimate>>,
    /// Each expression of `slo`.
    pub slo: Vec<SloResult>,
    /// Limits that were reached, the earliest first.
    pub limits_reached: Vec<LimitReached>,
    /// Remarks on settings that are legal but hazardous.
    pub warnings: Vec<String>,
}

/// Whether a run met its objectives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every objective holds, or there is none.
    Pass,
    /// An objective does not hold.
    Fail,
}

/// One metric over the replications.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Estimate {
    /// Mean over the replications that have a value; `None` if none has.
    pub mean: Option<f64>,
    /// Half the 95% Student-t interval of the mean; `None` with fewer than two values.
    pub half_width: Option<f64>,
    /// Smallest value.
    pub min: Option<f64>,
    /// Largest value.
    pub max: Option<f64>,
    /// 95th percentile over the replications, the smallest value with at least 95% at or below it.
    pub p95: Option<f64>,
    /// Replications that have a value.
    pub n: u32,
    /// Replications whose value is only a bound.
    pub censored: u32,
}

/// One expression of `slo` and what came of it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SloResult {
    /// As written.
    pub expression: String,
    /// Whether it holds.
    pub pass: bool,
    /// The left side; `None` if no replication has a value, and then it does not hold.
    pub observed: Option<f64>,
    /// The right side.
    pub limit: f64,
    /// The metric on the left side.
    pub metric: &'static str,
    /// Censored replications of the metric: `observed` is then a bound.
    pub censored: u32,
}

/// A limit that the system ran into.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct LimitReached {
    /// Which one, as shown to people: `shed level`, `circuit open`, `workers saturated`, `redis full`.
    pub limit: &'static str,
    /// Median over the replications that reached it of the first time, in seconds.
    pub seconds: f64,
    /// Replications that reached it.
    pub replications: u32,
}

/// A map that keeps its order.
#[derive(Clone, Debug, Default)]
pub struct Named<T>(pub Vec<(String, T)>);

impl<T> Named<T> {
    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

impl Summary {
    /// A system-wide metric.
    pub fn metric(&self, metric: Metric) -> &Estimate {
        self.metrics.get(metric.name()).expect("every metric is in the summary")
    }
}

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
