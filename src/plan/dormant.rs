//! Candidates that must do the same as one that was simulated, found without simulating them.
//!
//! A threshold that the depth never reaches decides nothing, and neither does a `maxmemory` that is far away: two candidates
//! that differ in these alone make the same decision for every job of such a run, so the runs are the same to the last count.
//! `tests/it/plan.rs` simulates candidates that were spared and compares their digests.

use backpressure::{Kind, State};

use crate::engine::time::SimDuration;
use crate::experiment::replication::Replication;
use crate::model::config::ModelConfig;
use crate::model::disturbance::Disturbance;
use crate::model::metric::Metric;
use crate::model::redis::WATERMARK;

/// Settings that decide nothing until the depth, or the memory, reaches them.
const SLEEPING: [&str; 6] = [
    "policy.recovery",
    "policy.warning",
    "policy.critical",
    "policy.shed_at",
    "policy.reopen_at",
    "redis.maxmemory",
];

/// The levels of a candidate, and whom it is like while they sleep.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Dormant {
    /// Its place on all other axes.
    family: Vec<usize>,
    /// All levels of its policy, in jobs.
    levels: Vec<u64>,
    /// The smallest depth at which a CLOSED circuit turns anybody away, and that at which it opens.
    sheds: f64,
    opens: f64,
    /// Whether the other levels matter to open circuits alone.
    is_spec: bool,
    /// The depth at which it counts as recovered, where a disturbance asks for that.
    recovers: f64,
    /// The limit on memory, and where something first looks at it, in bytes.
    maxmemory: Option<u64>,
    watched: f64,
}

impl Dormant {
    /// The candidate at that place of the axes; `None` where its levels never sleep: circuits that do not begin CLOSED, and
    /// faults, which may show a depth that there never was.
    pub(super) fn of<'a>(
        axes: impl Iterator<Item = &'a str>,
        place: &[usize],
        model: &ModelConfig,
    ) -> Option<Self> {
        if model.start.circuit != State::Closed || !model.faults.is_empty() {
            return None;
        }
        let policy = &model.policy.config;
        let when_enabled = |depth: u64| if policy.enabled() { depth as f64 } else { f64::INFINITY };
        // Nothing to recover from: it has recovered with the first event.
        let is_calm = Disturbance::of(model).is_none()
            && model.start.jobs == 0
            && model.recovery_hold == SimDuration::ZERO;
        let share = model.redis.watermark.unwrap_or(1.0).min(WATERMARK);
        let axes = axes.zip(place).filter(|(path, _)| !SLEEPING.contains(path));
        Some(Self {
            family: axes.map(|(_, point)| *point).collect(),
            levels: policy.levels().iter().map(|level| level.depth).chain([policy.reopen_at()]).collect(),
            sheds: when_enabled(policy.sheds_at()),
            opens: when_enabled(policy.critical()),
            is_spec: matches!(policy.kind(), Kind::Spec(_)),
            recovers: if is_calm { f64::INFINITY } else { policy.recovery() as f64 },
            maxmemory: model.redis.maxmemory,
            watched: model.redis.maxmemory.map_or(f64::INFINITY, |bytes| bytes as f64 * share),
        })
    }

    /// Whether two candidates differ in sleeping settings alone.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.family == other.family
    }

    /// Whether it does what a candidate like it did in these runs, of which there must be one.
    pub(super) fn does_the_same(&self, other: &Self, runs: &[Replication]) -> bool {
        let peak = |metric| runs.iter().filter_map(|run| run.get(metric)).reduce(f64::max);
        match (peak(Metric::PeakDepth), peak(Metric::RedisPeak)) {
            (Some(depth), Some(memory)) => {
                self.is_like(other)
                    && self.admits_the_same(other, depth)
                    && (self.maxmemory == other.maxmemory || memory < self.watched.min(other.watched))
            }
            _ => false,
        }
    }

    /// Whether the circuits admit the same jobs, and recover with them, where no depth is larger than that.
    fn admits_the_same(&self, other: &Self, depth: f64) -> bool {
        let recovers = depth < self.recovers.min(other.recovers);
        let never_sheds = depth < self.sheds.min(other.sheds);
        let never_opens = depth < self.opens.min(other.opens);
        let sheds_alike = self.is_spec && other.is_spec && self.sheds == other.sheds;
        self.levels == other.levels || recovers && never_opens && (never_sheds || sheds_alike)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Unattended;
    use crate::experiment::replication::simulate;
    use crate::study::grid::{Grid, GridSource};

    /// A load that is calm but for its chance peaks, near the lowest of the levels that are tried.
    const CALM: &str = r#"
duration = "20s"
seed = 3
slo = ["rejection_probability < 1%", "lost_jobs == 0"]
[arrivals]
rate = "350/s"
[workers]
processes = 2
concurrency = 2
service_time = { distribution = "exponential", mean = "10ms" }
[gateway]
check_latency = "1ms"
[redis]
maxmemory = "100MiB"
"#;

    #[test]
    fn a_candidate_that_is_said_to_do_the_same_does() {
        let axes = [
            "workers.processes=2,3",
            "policy.critical=30,60,1000",
            "policy.warning=0.2,0.6 of policy.critical",
            "policy.recovery=0.4,0.9 of policy.warning",
            "redis.maxmemory=1150000B,100MiB",
        ];
        let source = GridSource {
            file: "calm.toml".into(),
            text: CALM.into(),
            overrides: Vec::new(),
            axes: axes.map(str::to_owned).into(),
            constraints: Vec::new(),
        };
        let grid = Grid::of(source).unwrap();
        let (_, found) = grid.variants(|id, scenario| {
            let dormant = Dormant::of(grid.paths(), &grid.place(id), &scenario.model).unwrap();
            let runs: Vec<Replication> = (0..3)
                .map(|replication| {
                    let outcome = simulate(&scenario, replication, &Unattended).unwrap();
                    Replication::of(&outcome, &scenario.model)
                })
                .collect();
            (dormant, runs)
        });
        let (mut same, mut other) = (0, 0);
        for (index, (own, runs)) in found.iter().enumerate() {
            for (its, of_other) in &found[..index] {
                if own.does_the_same(its, of_other) {
                    same += 1;
                    let numbers = |run: &Replication| (run.digest, run.system.clone(), run.limits);
                    for (run, of_other) in runs.iter().zip(of_other) {
                        assert_eq!(numbers(run), numbers(of_other));
                    }
                } else if own.is_like(its) && runs[0].digest != of_other[0].digest {
                    other += 1;
                }
            }
        }
        assert!(same > 20 && other > 20, "{same} pairs are the same, {other} of one family differ");
    }

    #[test]
    fn levels_never_sleep_where_a_circuit_begins_open_or_a_fault_shows_another_depth() {
        let of = |more: &str| {
            let text = format!("{CALM}{more}");
            let loaded =
                crate::scenario::from_str(&text, "calm.toml", std::path::Path::new(""), &[]).unwrap();
            Dormant::of(std::iter::empty(), &[], &loaded.scenario.model)
        };
        assert!(of("").is_some());
        assert!(of("[start]\ncircuit = \"open\"\n").is_none());
        assert!(of("[[fault]]\nkind = \"depth-frozen\"\nat = \"5s\"\nfor = \"2s\"\n").is_none());
    }
}
