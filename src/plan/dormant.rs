//! Candidates that must do the same as one that was simulated, found without simulating them.
//!
//! A threshold that the depth never reaches decides nothing, and neither does a `maxmemory` that is far away: two candidates
//! that differ in these alone make the same decision for every job of such a run, so the runs are the same to the last count.
//! The tests below simulate all variants of grids and compare those that are said to do the same.

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
    /// Its values on all other axes: by value, because an axis may be a fraction of a level.
    family: Vec<String>,
    /// All levels of its policy, in jobs.
    levels: Vec<u64>,
    /// The smallest depth at which a CLOSED circuit turns anybody away, and that at which it opens.
    sheds: f64,
    opens: f64,
    /// Whether the other levels matter to open circuits alone.
    is_spec: bool,
    /// Whether the circuits know a depth at any time: one that is too old may be a reason to refuse.
    always_knows: bool,
    /// What the hint when to come again is computed from, where clients follow it.
    hints_from: Option<u64>,
    /// The depth at which it counts as recovered, where a disturbance asks for that.
    recovers: f64,
    /// The limit on memory, and where something first looks at it, in bytes.
    maxmemory: Option<u64>,
    watched: f64,
}

impl Dormant {
    /// The candidate with those values of the axes; `None` where its levels never sleep: circuits that do not begin CLOSED, and
    /// faults, which may show a depth that there never was.
    pub(super) fn of<'a>(
        axes: impl Iterator<Item = &'a str>,
        values: &[String],
        model: &ModelConfig,
    ) -> Option<Self> {
        if model.start.circuit != State::Closed || !model.faults.is_empty() {
            return None;
        }
        let policy = &model.policy.config;
        // Nothing to recover from: it has recovered with the first event.
        let is_calm = Disturbance::of(model).is_none()
            && model.start.jobs == 0
            && model.recovery_hold == SimDuration::ZERO;
        // The guard on memory counts in millionths.
        let share = model.redis.watermark.map_or(1.0, |share| (share * 1e6).floor() / 1e6).min(WATERMARK);
        let others = axes.zip(values).filter(|(path, _)| !SLEEPING.contains(path));
        Some(Self {
            family: others.map(|(_, value)| value.clone()).collect(),
            levels: policy.levels().iter().map(|level| level.depth).chain([policy.reopen_at()]).collect(),
            sheds: if policy.enabled() { policy.sheds_at() as f64 } else { f64::INFINITY },
            // A policy that is off has an overshoot all the same.
            opens: policy.critical() as f64,
            always_knows: policy.depth_valid_for().is_none(),
            hints_from: model.clients.filter(|clients| clients.honour_retry_after).map(|_| policy.recovery()),
            is_spec: matches!(policy.kind(), Kind::Spec(_)),
            recovers: if is_calm { f64::INFINITY } else { policy.recovery() as f64 },
            maxmemory: model.redis.maxmemory,
            watched: model
                .redis
                .maxmemory
                .map_or(f64::INFINITY, |bytes| (bytes as f64 * share).floor() - 1.0),
        })
    }

    /// Whether two candidates differ in sleeping settings alone.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.family == other.family
    }

    /// Whether it does what a candidate like it did in these runs, of which there must be one.
    pub(super) fn does_the_same<'r>(
        &self,
        other: &Self,
        runs: &(impl Iterator<Item = &'r Replication> + Clone),
    ) -> bool {
        let peak = |metric| runs.clone().filter_map(|run| run.get(metric)).reduce(f64::max);
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
        let sheds_alike = self.is_spec && other.is_spec && self.sheds.total_cmp(&other.sheds).is_eq();
        let hints_alike = self.hints_from == other.hints_from;
        let never_refuses = never_sheds && self.always_knows;
        let refuses_alike = (never_sheds || sheds_alike) && hints_alike;
        self.levels == other.levels || recovers && never_opens && (never_refuses || refuses_alike)
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

    /// Simulates all variants and compares those of which one is said to do the same as the other. There must be some, and some
    /// of one family that differ.
    #[track_caller]
    fn check(more: &str, axes: &[&str]) {
        let source = GridSource {
            file: "calm.toml".into(),
            text: format!("{CALM}{more}"),
            overrides: Vec::new(),
            axes: axes.iter().map(|axis| (*axis).to_owned()).collect(),
            constraints: Vec::new(),
        };
        let grid = Grid::of(source).unwrap_or_else(|error| panic!("{error}"));
        let (_, found) = grid.variants(|id, scenario| {
            let dormant = Dormant::of(grid.paths(), &grid.values(id), &scenario.model).unwrap();
            let run = |replication| {
                let outcome = simulate(&scenario, replication, &Unattended).unwrap();
                Replication::of(&outcome, &scenario.model)
            };
            (dormant, [run(0), run(1), run(2)])
        });
        let (mut same, mut other) = (0, 0);
        for (index, (own, runs)) in found.iter().enumerate() {
            for (its, of_other) in &found[..index] {
                let numbers = |run: &Replication| (run.digest, run.system.clone(), run.limits);
                let equal = runs.iter().zip(of_other).all(|(run, other)| numbers(run) == numbers(other));
                if own.does_the_same(its, &of_other.iter()) {
                    same += 1;
                    assert!(equal, "{own:?}\n{its:?}");
                } else if own.is_like(its) && !equal {
                    other += 1;
                }
            }
        }
        assert!(same > 5 && other > 5, "{same} pairs are the same, {other} of one family differ");
    }

    const LEVELS: [&str; 4] = [
        "policy.critical=30,60,1000",
        "policy.warning=0.2,0.6 of policy.critical",
        "policy.recovery=0.4,0.9 of policy.warning",
        "redis.maxmemory=1150000B,100MiB",
    ];

    #[test]
    fn a_candidate_that_is_said_to_do_the_same_does() {
        check("", &[&LEVELS[..], &["workers.processes=2,3"]].concat());
    }

    #[test]
    fn clients_that_follow_the_hint_tell_recovery_thresholds_apart() {
        // Jobs are shed from 18, 36 or 600 on, and no circuit opens: what the hint says is all that differs.
        let shedding = "[policy]\nshed_at = 0.3\n[[class]]\nname = \"batch\"\npriority = 10\n";
        let clients = "[clients]\ntimeout = \"1s\"\nretries = 3\nhonour_retry_after = true\n";
        let axes = ["policy.critical=60,120,2000", "policy.warning=30,40", "policy.recovery=1,10,20"];
        check(&format!("{shedding}{clients}"), &axes);
    }

    #[test]
    fn a_graded_policy_begins_at_the_recovery_threshold() {
        check("[policy]\nkind = \"graded\"\n", &LEVELS);
    }

    #[test]
    fn a_policy_that_is_off_overshoots_and_a_watermark_watches() {
        let axes = [
            "policy.critical=20,40,1000",
            "policy.warning=0.2 of policy.critical",
            "redis.maxmemory=1.95MB,100MiB,200MiB",
        ];
        let axes =
            [&axes[..], &["policy.recovery=0.4 of policy.warning", "policy.enabled=false,true"]].concat();
        check("watermark = 0.57\n", &axes);
    }

    #[test]
    fn a_limit_that_is_a_fraction_of_a_level_is_no_level() {
        check("", &[&LEVELS[..3], &["queue.capacity=1,2 of policy.critical"]].concat());
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
