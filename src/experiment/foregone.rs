//! Objectives that a run is certain to miss before it ends.
//!
//! Who was refused, lost, or waited too long stays so, and no more jobs come than the rates allow: from what has happened so far
//! follows the least that a metric can be at the end. A search gives such a run up; its verdict is that of the whole run.

use serde::{Deserialize, Serialize};

use crate::engine::time::{SimDuration, SimTime};
use crate::model::SoFar;
use crate::model::config::{ArrivalProcess, ModelConfig};
use crate::model::metric::Metric;
use crate::model::outcome::ClassCounts;
use crate::scenario::Scenario;
use crate::scenario::slo::{Relation, Slo, Statistic};
use crate::stats::histogram::Histogram;

/// A run was given up, as it could only miss an objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foregone {
    /// Its place among the objectives of the scenario.
    pub objective: usize,
    /// When that was certain.
    pub at: SimTime,
}

/// Looks for objectives that are certain to be missed.
pub(super) struct Watch<'a> {
    scenario: &'a Scenario,
    /// More jobs than these do not come, by class; `None` where the settings do not bound them.
    most_offered: Option<Vec<f64>>,
}

/// Standard deviations of a Poisson number that never come together: less than once in 10^22 runs.
const NEVER: f64 = 10.0;
/// For numbers so small that they are far from normal.
const FEW: f64 = 100.0;

impl<'a> Watch<'a> {
    pub(super) fn of(scenario: &'a Scenario) -> Self {
        let model = &scenario.model;
        let most = |class| {
            let mean = model.offered_jobs(class);
            mean + NEVER * mean.sqrt() + FEW
        };
        let most_offered = is_bounded(model).then(|| (0..model.classes.len()).map(most).collect());
        Self { scenario, most_offered }
    }

    /// An objective that the scenario misses whatever else happens, in this replication and in all others.
    pub(super) fn look(&self, so_far: &SoFar<'_>) -> Option<Foregone> {
        let is_missed = |slo: &Slo| {
            let bar = bar(slo, self.scenario.replications);
            bar.is_some_and(|bar| {
                self.floor(slo, bar, so_far).is_some_and(|floor| !slo.relation.holds(floor, bar))
            })
        };
        let objective = self.scenario.slo.iter().position(is_missed)?;
        Some(Foregone { objective, at: so_far.now })
    }

    /// The least that the metric of an objective can be in the end, of a quantile whether that is above `bar`; `None` where nothing
    /// is known of it.
    fn floor(&self, slo: &Slo, bar: f64, so_far: &SoFar<'_>) -> Option<f64> {
        let all;
        let counts = match slo.class {
            Some(class) => &so_far.classes[class],
            None => {
                all = ClassCounts::sum(so_far.classes);
                &all
            }
        };
        let share = |jobs: u64| {
            let is_measured = so_far.now >= SimTime(self.scenario.model.warmup.0);
            is_measured.then_some(jobs as f64 / self.most_offered(slo.class)?)
        };
        let quantile = |times: &Histogram, level: f64| {
            let bar = SimDuration::from_secs_f64(bar.max(0.0)).0;
            (share(times.surely_above(bar))? > 1.0 - level).then_some(f64::INFINITY)
        };
        match slo.metric()? {
            Metric::PeakDepth => Some(so_far.peak_depth as f64),
            Metric::RedisPeak => Some(so_far.redis_peak as f64),
            Metric::Lost => Some(counts.lost as f64),
            Metric::Rejected => Some(counts.rejected() as f64),
            Metric::RejectionProbability => share(counts.rejected_after_warmup()),
            Metric::WaitP50 => quantile(&counts.wait, 0.50),
            Metric::WaitP95 => quantile(&counts.wait, 0.95),
            Metric::WaitP99 => quantile(&counts.wait, 0.99),
            Metric::SojournP50 => quantile(&counts.sojourn, 0.50),
            Metric::SojournP95 => quantile(&counts.sojourn, 0.95),
            Metric::SojournP99 => quantile(&counts.sojourn, 0.99),
            _ => None,
        }
    }

    fn most_offered(&self, class: Option<usize>) -> Option<f64> {
        let most = self.most_offered.as_ref()?;
        Some(class.map_or_else(|| most.iter().sum(), |class| most[class]))
    }
}

/// Whether the number of arrivals is Poisson or varies less, with the rates of the scenario: nobody sends again.
fn is_bounded(model: &ModelConfig) -> bool {
    let is_known = |process: &ArrivalProcess| match process {
        ArrivalProcess::Constant | ArrivalProcess::Poisson => true,
        ArrivalProcess::Renewal(_)
        | ArrivalProcess::Modulated(_)
        | ArrivalProcess::Trace(_)
        | ArrivalProcess::Batches { .. } => false,
    };
    model.clients.is_none() && model.sources.iter().all(|source| is_known(&source.process))
}

/// The value of one replication that an objective over so many of them cannot stand, or must not exceed; `None` where one alone decides
/// nothing. No metric is negative, so the others add nothing to a mean at the least.
fn bar(slo: &Slo, replications: u32) -> Option<f64> {
    let is_upper = match slo.relation {
        Relation::Less | Relation::LessOrEqual => true,
        Relation::Equal => slo.limit <= 0.0,
        Relation::Greater | Relation::GreaterOrEqual | Relation::NotEqual => false,
    };
    match slo.statistic {
        _ if !is_upper => None,
        Statistic::Max => Some(slo.limit),
        Statistic::Mean => Some(slo.limit * f64::from(replications)),
        // With fewer than 20 it is the largest.
        Statistic::P95 => (replications < 20).then_some(slo.limit),
        Statistic::Min => None,
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::path::Path;

    use crate::experiment::Unattended;
    use crate::experiment::replication::{Replication, simulate, simulate_while_open};
    use crate::experiment::summary::judge;
    use crate::scenario;

    const SERVICE: &str = r#"
        duration = "40s"
        warmup = "4s"
        replications = 1
        [arrivals]
        process = "poisson"
        phases = [{ for = "15s", rate = "600/s" }, { for = "10s", rate = "2k/s", spike = true }, { rate = "600/s" }]
        [[class]]
        name = "alarm"
        priority = 1
        share = 0.05
        [[class]]
        name = "telemetry"
        priority = 5
        share = 0.75
        [[class]]
        name = "batch"
        priority = 10
        share = 0.2
        [policy]
        recovery = 200
        warning = 400
        critical = 1500
        [workers]
        processes = 1
        concurrency = 10
        service_time = { distribution = "lognormal", mean = "8ms", cv = 0.5 }
        [redis]
        maxmemory = "16MiB"
    "#;

    const OBJECTIVES: [&str; 9] = [
        "rejection_probability.max < 5%",
        "rejection_probability{class=batch} < 30%",
        "rejected_jobs <= 900",
        "lost_jobs.max == 0",
        "peak_depth_jobs.p95 <= 1400",
        "redis_peak_bytes.max < 2900KB",
        "wait_p99_seconds.max < 400ms",
        "wait_p95_seconds{class=alarm} < 300ms",
        "sojourn_p50_seconds.max < 30ms",
    ];

    /// A quantile above its limit in one replication leaves a mean over several of them open.
    #[test]
    fn one_replication_of_several_decides_a_mean_only_where_it_is_that_much_above() {
        for (replications, is_given_up) in [(1, true), (1000, false)] {
            let settings =
                ["slo=[\"wait_p99_seconds < 400ms\"]".to_owned(), format!("replications={replications}")];
            let loaded = scenario::from_str(SERVICE, "service.toml", Path::new("."), &settings);
            let scenario = loaded.unwrap_or_else(|error| panic!("{error}")).scenario;
            let found = simulate_while_open(&scenario, 0, &Unattended).expect("not interrupted");
            assert_eq!(matches!(found, ControlFlow::Break(_)), is_given_up, "{replications}");
        }
    }

    /// Every objective alone, on fleets of which some meet and some miss it: a run is given up only if the whole run misses the
    /// objective, and is the whole run otherwise.
    #[test]
    fn a_run_is_given_up_only_where_the_whole_run_misses() {
        let (mut given_up, mut missed) = (0, 0);
        for objective in OBJECTIVES {
            for settings in [
                &["workers.concurrency=8"][..],
                &["workers.concurrency=14"],
                &["workers.concurrency=22"],
                &["redis.maxmemory=2700KB"],
            ] {
                let settings: Vec<String> = settings
                    .iter()
                    .map(|setting| (*setting).to_owned())
                    .chain([format!("slo=[\"{objective}\"]")])
                    .collect();
                let loaded = scenario::from_str(SERVICE, "service.toml", Path::new("."), &settings);
                let scenario = loaded.unwrap_or_else(|error| panic!("{error}")).scenario;
                let outcome = simulate(&scenario, 0, &Unattended).expect("not interrupted");
                let whole = [Replication::of(&outcome, &scenario.model)];
                let found = match simulate_while_open(&scenario, 0, &Unattended).expect("not interrupted") {
                    ControlFlow::Continue(outcome) => Replication::of(&outcome, &scenario.model),
                    ControlFlow::Break(given_up) => given_up,
                };
                let misses = !judge(&scenario.slo[0], &whole).pass;
                missed += u32::from(misses);
                match found.foregone {
                    Some(foregone) => {
                        given_up += 1;
                        assert!(
                            misses,
                            "{objective} {settings:?} is met, and was given up at {:?}",
                            foregone.at
                        );
                        assert_eq!(foregone.objective, 0);
                    }
                    None => assert_eq!(found, whole[0], "{objective} {settings:?}"),
                }
            }
        }
        assert!(given_up >= 12 && given_up < missed, "{given_up} of {missed} missed");
    }
}
