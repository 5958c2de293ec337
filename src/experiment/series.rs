//! The course of an experiment over time: every replication's series folded point by point.

use crate::engine::time::SimTime;
use crate::model::config::ModelConfig;
use crate::model::outcome::{DetailPoint, Outcome, RunSeries};
use crate::stats::interval::Sample;

/// One point of time after another, all vectors of equal length (but those by class: one such vector a class).
/// Point `i` describes the moment `seconds[i]`, or for rates and shares the step that ends there.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Distance of the points in seconds.
    pub step_seconds: f64,
    /// Time of each point; the first is one step after the start.
    pub seconds: Vec<f64>,
    /// Depth at the point.
    pub depth: Band,
    /// Largest depth within the step, the largest over the replications.
    pub depth_max: Vec<f64>,
    /// Share of circuits (over replications and gateways) in CLOSED at the point.
    pub closed_share: Vec<f64>,
    /// Share of circuits in HALF_OPEN at the point.
    pub half_open_share: Vec<f64>,
    /// Share of circuits in OPEN at the point.
    pub open_share: Vec<f64>,
    /// Mean over the replications of the jobs offered since the start, by class.
    pub offered: Vec<Vec<f64>>,
    /// Admitted since the start, by class.
    pub admitted: Vec<Vec<f64>>,
    /// Rejected since the start, by class.
    pub rejected: Vec<Vec<f64>>,
    /// Completed since the start, by class.
    pub completed: Vec<Vec<f64>>,
    /// Lost since the start, by class.
    pub lost: Vec<Vec<f64>>,
    /// Redis memory in bytes at the point.
    pub redis_bytes: Band,
    /// Busy share of the worker slots that were there within the step, over all replications; `None` where no
    /// slot was.
    pub utilisation: Vec<Option<f64>>,
    /// Median wait in seconds of the jobs that began service within the step, median over the
    /// replications; `None` where none began.
    pub wait_p50: Vec<Option<f64>>,
    /// 95th percentile of the same.
    pub wait_p95: Vec<Option<f64>>,
    /// 99th percentile of the same.
    pub wait_p99: Vec<Option<f64>>,
    /// What only the detailed level counts; `None` if no replication was on that level.
    pub details: Option<DetailSeries>,
}

/// The course of what only the detailed level counts. Unused values are constant or zero.
#[derive(Clone, Debug, Default)]
pub struct DetailSeries {
    /// Worker processes that take jobs, at the point.
    pub workers: Band,
    /// Worker processes that the autoscaler wants, mean over the replications; empty without one.
    pub wanted: Vec<f64>,
    /// Database connections in use at the point, mean over the replications.
    pub connections: Vec<f64>,
    /// Share of the step that the busiest shard of Redis ran commands, mean over the replications.
    pub redis_utilisation: Vec<f64>,
    /// Mean over the replications of the requests of clients since the start.
    pub requests: Vec<f64>,
    /// Attempts beyond the first since the start.
    pub retried: Vec<f64>,
    /// Requests given up since the start.
    pub abandoned: Vec<f64>,
    /// Jobs finished since the start after their client had stopped waiting.
    pub wasted: Vec<f64>,
    /// Requests whose client still waited at the horizon, mean over the replications.
    pub open_requests: f64,
}

/// A value over the replications, point by point.
#[derive(Clone, Debug, Default)]
pub struct Band {
    /// Mean.
    pub mean: Vec<f64>,
    /// 5th percentile.
    pub p05: Vec<f64>,
    /// Median.
    pub p50: Vec<f64>,
    /// 95th percentile.
    pub p95: Vec<f64>,
}

/// Folds the series of one replication after the other. Of the depth, the memory and the waits, whose
/// percentiles over the replications are shown, all values are kept; of everything else only sums.
pub(crate) struct SeriesFold {
    step_seconds: f64,
    horizon_seconds: f64,
    circuits: f64,
    classes: usize,
    replications: u32,
    depth: Vec<Vec<u64>>,
    redis: Vec<Vec<u64>>,
    wait: Vec<Vec<Option<[f64; 3]>>>,
    sums: Vec<PointSums>,
    details: Option<DetailFold>,
    /// Worker processes at the start, where an autoscaler changes them.
    scaled_from: Option<u32>,
}

/// The same of what only the detailed level counts.
#[derive(Default)]
struct DetailFold {
    workers: Vec<Vec<u64>>,
    sums: Vec<DetailSums>,
    open_requests: u64,
}

/// Sums over the replications at one point.
#[derive(Clone, Copy, Default)]
struct DetailSums {
    connections: u64,
    redis_busy: u128,
    requests: u64,
    retried: u64,
    abandoned: u64,
    wasted: u64,
    wanted: u64,
}

/// Sums over the replications at one point. Integers, but for none: sums that do not depend on order.
#[derive(Clone, Default)]
struct PointSums {
    depth_max: u64,
    states: [u64; 3],
    busy: u128,
    slots: u128,
    /// Offered, admitted, rejected, completed, lost: by class.
    flows: Vec<[u64; 5]>,
}

impl SeriesFold {
    pub(crate) fn new(config: &ModelConfig) -> Self {
        Self {
            step_seconds: config.series_step.as_secs_f64(),
            horizon_seconds: config.horizon.as_secs_f64(),
            circuits: f64::from(config.gateway.instances),
            classes: config.classes.len(),
            replications: 0,
            depth: Vec::new(),
            redis: Vec::new(),
            wait: Vec::new(),
            sums: Vec::new(),
            details: None,
            scaled_from: config.autoscaler.as_ref().map(|_| config.workers.processes),
        }
    }

    pub(crate) fn add(&mut self, outcome: &Outcome) {
        let run = &outcome.series;
        if outcome.details.is_detailed {
            let times = self.times(run.depth.len());
            self.details.get_or_insert_default().add(outcome, &times, self.scaled_from);
        }
        self.add_run(run);
    }

    fn add_run(&mut self, run: &RunSeries) {
        self.replications += 1;
        let points = run.depth.len();
        let empty = PointSums { flows: vec![[0; 5]; self.classes], ..PointSums::default() };
        self.sums.resize(points, empty);
        self.depth.push(run.depth.clone());
        self.redis.push(run.redis.clone());
        self.wait.push(run.wait.clone());
        for (point, sums) in self.sums.iter_mut().enumerate() {
            sums.depth_max = sums.depth_max.max(run.depth_max[point]);
            for (sum, circuits) in sums.states.iter_mut().zip(run.states[point]) {
                *sum += u64::from(circuits);
            }
            sums.busy += run.busy[point];
            sums.slots += run.slots[point];
            for (sum, flow) in sums.flows.iter_mut().zip(&run.flows[point]) {
                for (sum, count) in sum.iter_mut().zip([
                    flow.offered,
                    flow.admitted,
                    flow.rejected,
                    flow.completed,
                    flow.lost,
                ]) {
                    *sum += count;
                }
            }
        }
    }

    pub(crate) fn finish(self) -> Series {
        let points = self.sums.len();
        let runs = f64::from(self.replications);
        let circuits = runs * self.circuits;
        let seconds = self.times(points);
        let state_share =
            |state: usize| self.sums.iter().map(|sums| sums.states[state] as f64 / circuits).collect();
        let flow = |count: fn(&[u64; 5]) -> u64| -> Vec<Vec<f64>> {
            let of_class =
                |class: usize| self.sums.iter().map(|sums| count(&sums.flows[class]) as f64 / runs).collect();
            (0..self.classes).map(of_class).collect()
        };
        let wait = |percentile: usize| -> Vec<Option<f64>> {
            let at = |point: usize| {
                let values =
                    self.wait.iter().filter_map(|run| run[point].map(|waits| waits[percentile] / 1e9));
                values.collect::<Sample>().quantile(0.5)
            };
            (0..points).map(at).collect()
        };
        let utilisation = |sums: &PointSums| (sums.slots > 0).then(|| sums.busy as f64 / sums.slots as f64);
        Series {
            step_seconds: self.step_seconds,
            depth: Band::over(&self.depth, points),
            depth_max: self.sums.iter().map(|sums| sums.depth_max as f64).collect(),
            closed_share: state_share(0),
            half_open_share: state_share(1),
            open_share: state_share(2),
            offered: flow(|flow| flow[0]),
            admitted: flow(|flow| flow[1]),
            rejected: flow(|flow| flow[2]),
            completed: flow(|flow| flow[3]),
            lost: flow(|flow| flow[4]),
            redis_bytes: Band::over(&self.redis, points),
            utilisation: self.sums.iter().map(utilisation).collect(),
            wait_p50: wait(0),
            wait_p95: wait(1),
            wait_p99: wait(2),
            details: self.details.map(|details| details.finish(&seconds, self.scaled_from.is_some())),
            seconds,
        }
    }

    /// The last point lies at the horizon, which need not be a multiple of the step.
    fn times(&self, points: usize) -> Vec<f64> {
        (1..=points).map(|point| (point as f64 * self.step_seconds).min(self.horizon_seconds)).collect()
    }
}

impl DetailFold {
    fn add(&mut self, outcome: &Outcome, times: &[f64], scaled_from: Option<u32>) {
        self.open_requests += outcome.details.open_requests;
        self.sums.resize(times.len(), DetailSums::default());
        let mut workers = Vec::with_capacity(times.len());
        let mut wanted = u64::from(scaled_from.unwrap_or(0));
        let mut decisions = outcome.decisions.iter().peekable();
        let mut last = DetailPoint::default();
        for (point, sums) in self.sums.iter_mut().enumerate() {
            // A step of no length has no point of its own: it repeats the last.
            last =
                outcome.series.details.get(point).copied().unwrap_or(DetailPoint { redis_busy: 0, ..last });
            while let Some(decision) = decisions.next_if(|one| SimTime::as_secs_f64(one.at) <= times[point]) {
                wanted = u64::from(decision.wanted);
            }
            workers.push(u64::from(last.workers));
            sums.connections += last.connections;
            sums.redis_busy += last.redis_busy;
            sums.requests += last.requests;
            sums.retried += last.retried;
            sums.abandoned += last.abandoned;
            sums.wasted += last.wasted;
            sums.wanted += wanted;
        }
        self.workers.push(workers);
    }

    fn finish(self, seconds: &[f64], is_scaled: bool) -> DetailSeries {
        let points = seconds.len();
        let runs = self.workers.len() as f64;
        let mean = |of: fn(&DetailSums) -> u64| -> Vec<f64> {
            self.sums.iter().map(|sums| of(sums) as f64 / runs).collect()
        };
        let begins = std::iter::once(0.0).chain(seconds.iter().copied());
        let lengths = seconds.iter().zip(begins).map(|(end, begin)| end - begin);
        let busy = self.sums.iter().zip(lengths).map(|(sums, length)| {
            if length > 0.0 { sums.redis_busy as f64 / (runs * length * 1e9) } else { 0.0 }
        });
        DetailSeries {
            workers: Band::over(&self.workers, points),
            wanted: if is_scaled { mean(|sums| sums.wanted) } else { Vec::new() },
            connections: mean(|sums| sums.connections),
            redis_utilisation: busy.collect(),
            requests: mean(|sums| sums.requests),
            retried: mean(|sums| sums.retried),
            abandoned: mean(|sums| sums.abandoned),
            wasted: mean(|sums| sums.wasted),
            open_requests: self.open_requests as f64 / runs,
        }
    }
}

impl Band {
    fn over(runs: &[Vec<u64>], points: usize) -> Self {
        let mut band = Self::default();
        for point in 0..points {
            let sample: Sample = runs.iter().map(|run| run[point] as f64).collect();
            let value = |value: Option<f64>| value.expect("there is at least one replication");
            band.mean.push(value(sample.mean()));
            band.p05.push(value(sample.quantile(0.05)));
            band.p50.push(value(sample.quantile(0.50)));
            band.p95.push(value(sample.quantile(0.95)));
        }
        band
    }
}
