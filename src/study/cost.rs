//! What a configuration costs in a month: its components, and its rejected and lost jobs.
//!
//! A month is calm but for the incidents. An autoscaled fleet costs what it is in calm times (by the calm phase of the
//! scenario, or by a given profile of the day), and for each incident what the run of the scenario takes beyond that. Where
//! nothing disturbs the run, the month is as the run is.

use crate::engine::time::MONTH;
use crate::experiment::replication::Replication;
use crate::model::config::{AutoscalerConfig, ModelConfig, TargetType};
use crate::model::disturbance::Disturbance;
use crate::model::metric::Metric;
use crate::scenario::{DayPart, Prices, Scenario};

const GIB: f64 = 1_073_741_824.0;

/// The monthly cost of one configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Monthly {
    prices: Prices,
    /// Gateways and memory.
    others: f64,
    /// A worker process with its slots.
    process: f64,
    fleet: Fleet,
}

/// How many worker processes there are in a month.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fleet {
    /// Always as many.
    Fixed(f64),
    /// So many in calm times; for this part of the month, the incidents, as many as in the run.
    Scaled { calm: f64, incidents: f64 },
}

impl Monthly {
    /// That of a scenario.
    pub fn of(scenario: &Scenario) -> Self {
        let (model, prices) = (&scenario.model, &scenario.cost);
        let memory = model.redis.maxmemory.map_or(0.0, |bytes| bytes as f64 / GIB);
        let measured = (model.horizon - model.warmup).as_secs_f64();
        let fleet = match (&model.autoscaler, Self::average_calm_processes(scenario)) {
            (None, _) => Fleet::Fixed(f64::from(model.workers.processes)),
            (Some(_), Some(calm)) => Fleet::Scaled {
                calm,
                incidents: (prices.occurrences * measured / MONTH.as_secs_f64()).min(1.0),
            },
            (Some(_), None) => Fleet::Scaled { calm: 0.0, incidents: 1.0 },
        };
        Self {
            others: prices.gateway * f64::from(model.gateway.instances) + prices.redis_gib * memory,
            process: prices.worker + prices.slot * f64::from(model.workers.concurrency),
            prices: prices.clone(),
            fleet,
        }
    }

    /// No replication costs less.
    pub fn least(&self) -> f64 {
        self.others
            + self.process
                * match self.fleet {
                    Fleet::Fixed(processes) => processes,
                    Fleet::Scaled { calm, incidents } => calm * (1.0 - incidents),
                }
    }

    /// The least with this many jobs rejected and lost in each incident.
    pub fn least_with_jobs(&self, rejected: f64, lost: f64) -> f64 {
        self.least() + self.of_jobs(rejected, lost)
    }

    /// The cost by one replication.
    pub fn cost(&self, replication: &Replication) -> f64 {
        let value = |metric| replication.get(metric).unwrap_or(0.0);
        let in_run = match self.fleet {
            Fleet::Fixed(_) => 0.0,
            Fleet::Scaled { incidents, .. } => incidents * value(Metric::WorkerProcesses),
        };
        self.least() + self.process * in_run + self.of_jobs(value(Metric::Rejected), value(Metric::Lost))
    }

    /// Whether what happens changes the cost.
    pub fn varies(&self) -> bool {
        let has_priced_jobs = self.prices.rejected_job > 0.0 || self.prices.lost_job > 0.0;
        (self.prices.occurrences > 0.0 && has_priced_jobs) || matches!(self.fleet, Fleet::Scaled { .. })
    }

    /// Worker processes that an autoscaler keeps in the calm of a run; `None` without one, or where nothing disturbs the run or
    /// its calm has no rate.
    pub fn calm_processes(model: &ModelConfig) -> Option<f64> {
        let autoscaler = model.autoscaler.as_ref()?;
        let rate = calm_rate(model)?;
        Some(kept(model, autoscaler, rate))
    }

    /// The same over a day.
    fn average_calm_processes(scenario: &Scenario) -> Option<f64> {
        let model = &scenario.model;
        let day: &[DayPart] = &scenario.cost.day;
        if day.is_empty() {
            return Self::calm_processes(model);
        }
        let (autoscaler, rate) = (model.autoscaler.as_ref()?, calm_rate(model)?);
        Some(day.iter().map(|part| part.share * kept(model, autoscaler, rate * part.factor)).sum())
    }

    fn of_jobs(&self, rejected: f64, lost: f64) -> f64 {
        self.prices.occurrences * (self.prices.rejected_job * rejected + self.prices.lost_job * lost)
    }
}

/// Mean rate outside spikes; `None` where nothing disturbs the run or nothing has a rate.
fn calm_rate(model: &ModelConfig) -> Option<f64> {
    Disturbance::of(model)?;
    model.calm_rate(None)
}

/// Worker processes that the autoscaler keeps at a steady rate: as many as its metrics ask for when hardly anything waits, and
/// enough for the rate.
fn kept(model: &ModelConfig, autoscaler: &AutoscalerConfig, rate: f64) -> f64 {
    let per_process = model.slot_capacity() / f64::from(model.workers.processes.max(1));
    let needed = rate / per_process;
    let busy = needed * f64::from(model.workers.concurrency);
    let by_depth = match autoscaler.target_type {
        TargetType::AverageValue => busy / autoscaler.target as f64,
        // It comes to rest where the slots in use are near the target, whatever the fleet.
        TargetType::Value => needed,
    };
    let by_cpu = autoscaler.cpu_percent.map_or(0.0, |percent| 100.0 * needed / f64::from(percent));
    let wanted = needed.max(by_depth).max(by_cpu).ceil();
    wanted.clamp(f64::from(autoscaler.min), f64::from(autoscaler.max.max(autoscaler.min)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario;

    /// 100 jobs/s in the calm and 10 a second for each process: ten processes are needed, of 2 to 40.
    fn scenario(more: &[&str]) -> Scenario {
        const TEXT: &str = "duration = \"1000s\"\n\
            [arrivals]\nphases = [{ for = \"300s\", rate = \"100/s\" }, { for = \"100s\", rate = \"300/s\", spike = true }, \
            { rate = \"100/s\" }]\n\
            [workers]\noverhead = \"0s\"\nconcurrency = 1\nprocesses = 2\nservice_time = \"100ms\"\n\
            [cost]\nworker = 10\n";
        let more: Vec<String> = more.iter().map(|&option| option.to_owned()).collect();
        let loaded = scenario::from_str(TEXT, "cost.toml", Path::new("."), &more);
        loaded.unwrap_or_else(|error| panic!("{error}")).scenario
    }

    fn replication(processes: f64) -> Replication {
        let mut system = crate::model::metric::Metrics::default();
        system.set(Metric::WorkerProcesses, processes);
        Replication::bare(0, system, Vec::new())
    }

    #[track_caller]
    fn check(more: &[&str], processes: f64, expected: f64) {
        let cost = Monthly::of(&scenario(more)).cost(&replication(processes));
        assert!((cost - expected).abs() < 1e-9 * expected, "{cost}, expected {expected}");
    }

    #[test]
    fn an_autoscaled_month_is_its_calm_and_its_incidents() {
        let scaled = ["autoscaler.max=40", "autoscaler.target=5"];
        check(&[], 25.0, 20.0);
        // Once a month a run of 1000 s with 25 processes, of the 2,629,800 s.
        let part = 1_000.0 / 2_629_800.0;
        check(&scaled, 25.0, 10.0 * (10.0 + 15.0 * part));
        check(&[&scaled[..], &["cost.occurrences=30"]].concat(), 25.0, 10.0 * (10.0 + 15.0 * 30.0 * part));
        // More of them than the month has room for: all of it is as the run.
        check(&[&scaled[..], &["cost.occurrences=1e6"]].concat(), 25.0, 250.0);
        // The processors are to be half used, so 20 processes stay; a target below the slots in use asks for more.
        check(&[&scaled[..], &["autoscaler.cpu_percent=50", "cost.occurrences=0"]].concat(), 25.0, 200.0);
        // A quarter of the day at a tenth of the load: the minimum of 2 then.
        let day = "cost.day=[\"00:00 0.1\", \"06:00 1\"]";
        check(&[&scaled[..], &[day, "cost.occurrences=0"]].concat(), 25.0, 10.0 * (0.25 * 2.0 + 0.75 * 10.0));
    }

    #[test]
    fn a_month_without_incidents_is_as_the_run() {
        let steady = ["autoscaler.max=40", "arrivals.phases=[{ rate = \"100/s\" }]"];
        check(&steady, 11.5, 115.0);
    }
}
