//! The course of an experiment over time: every replication's series folded point by point.

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
