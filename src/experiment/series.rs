//! The course of an experiment over time: every replication's series folded point by point.

use crate::model::config::ModelConfig;
use crate::model::outcome::RunSeries;
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
    /// Busy share of the worker slots within the step, mean over the replications.
    pub utilisation: Vec<f64>,
    /// Median wait in seconds of the jobs that began service within the step, median over the
    /// replications; `None` where none began.
    pub wait_p50: Vec<Option<f64>>,
    /// 95th percentile of the same.
    pub wait_p95: Vec<Option<f64>>,
    /// 99th percentile of the same.
    pub wait_p99: Vec<Option<f64>>,
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
    slots: f64,
    circuits: f64,
    classes: usize,
    replications: u32,
    depth: Vec<Vec<u64>>,
    redis: Vec<Vec<u64>>,
    wait: Vec<Vec<Option<[f64; 3]>>>,
    sums: Vec<PointSums>,
}

/// Sums over the replications at one point. Integers, but for none: sums that do not depend on order.
#[derive(Clone, Default)]
struct PointSums {
    depth_max: u64,
    states: [u64; 3],
    busy: u128,
    /// Offered, admitted, completed, lost: by class.
    flows: Vec<[u64; 4]>,
}

impl SeriesFold {
    pub(crate) fn new(config: &ModelConfig) -> Self {
        Self {
            step_seconds: config.series_step.as_secs_f64(),
            horizon_seconds: config.horizon.as_secs_f64(),
            slots: f64::from(config.workers.slots()),
            circuits: f64::from(config.gateway.instances),
            classes: config.classes.len(),
            replications: 0,
            depth: Vec::new(),
            redis: Vec::new(),
            wait: Vec::new(),
            sums: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, run: &RunSeries) {
        self.replications += 1;
        let points = run.depth.len();
        let empty = PointSums { flows: vec![[0; 4]; self.classes], ..PointSums::default() };
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
            for (sum, flow) in sums.flows.iter_mut().zip(&run.flows[point]) {
                for (sum, count) in
                    sum.iter_mut().zip([flow.offered, flow.admitted, flow.completed, flow.lost])
                {
                    *sum += count;
                }
            }
        }
    }

    pub(crate) fn finish(self) -> Series {
        let points = self.sums.len();
        let runs = f64::from(self.replications);
        let circuits = runs * self.circuits;
        // The last point lies at the horizon, which need not be a multiple of the step.
        let seconds: Vec<f64> =
            (1..=points).map(|point| (point as f64 * self.step_seconds).min(self.horizon_seconds)).collect();
        let lengths = seconds.iter().scan(0.0, |previous, &time| {
            let length = time - *previous;
            *previous = time;
            Some(length)
        });
        let state_share =
            |state: usize| self.sums.iter().map(|sums| sums.states[state] as f64 / circuits).collect();
        let flow = |count: fn(&[u64; 4]) -> u64| -> Vec<Vec<f64>> {
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
        let busy_time = lengths.map(|length| length * 1e9 * self.slots * runs);
        Series {
            step_seconds: self.step_seconds,
            depth: Band::over(&self.depth, points),
            depth_max: self.sums.iter().map(|sums| sums.depth_max as f64).collect(),
            closed_share: state_share(0),
            half_open_share: state_share(1),
            open_share: state_share(2),
            offered: flow(|flow| flow[0]),
            admitted: flow(|flow| flow[1]),
            rejected: flow(|flow| flow[0] - flow[1]),
            completed: flow(|flow| flow[2]),
            lost: flow(|flow| flow[3]),
            redis_bytes: Band::over(&self.redis, points),
            utilisation: self
                .sums
                .iter()
                .zip(busy_time)
                .map(|(sums, time)| sums.busy as f64 / time)
                .collect(),
            wait_p50: wait(0),
            wait_p95: wait(1),
            wait_p99: wait(2),
            seconds,
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
