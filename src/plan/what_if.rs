//! What becomes of a configuration when things change: more load, fewer workers, no policy, inputs that were
//! measured wrongly. All of it on common random numbers with the configuration itself.

/// What becomes of a configuration when things change.
#[derive(Clone, Debug, Default)]
pub struct WhatIf {
    /// The configuration at multiples of its load, the smallest first; 1 is among them.
    pub loads: Vec<AtLoad>,
    /// Largest multiple of the load, to within 0.05, at which all objectives are still met; `None` if it is less
    /// than half.
    pub headroom: Option<f64>,
    /// The multiple where the time from arrival to completion begins to climb: the point of the load curve
    /// farthest below its chord (Satopaa et al. 2011, "Finding a kneedle in a haystack"); `None` of a flat curve.
    pub knee: Option<f64>,
    /// Workers lost for the whole run: one process, and a zone of three.
    pub losses: Vec<AfterLoss>,
    /// With the policy switched off, seconds from the start until Redis is full; `None` if never.
    pub oom_unprotected: Option<f64>,
    /// Effects of inputs 10% lower and 10% higher, the largest first.
    pub tornado: Vec<Effect>,
}

/// A configuration at a multiple of its load.
#[derive(Clone, Debug, PartialEq)]
pub struct AtLoad {
    /// The multiple.
    pub factor: f64,
    /// Peak rate in jobs per second.
    pub peak_rate: f64,
    /// Objectives that are missed.
    pub missed: Vec<String>,
    /// The limits that were reached, the earliest first, with the time in seconds.
    pub limits: Vec<(&'static str, f64)>,
    /// Busy share of the workers.
    pub utilisation: f64,
    /// Share of offered jobs rejected.
    pub rejected: f64,
    /// Recovery time in seconds, and whether some replication did not recover.
    pub recovery: (f64, bool),
    /// 95th percentile of the time from arrival to completion, in seconds.
    pub sojourn_p95: f64,
    /// Largest depth in jobs.
    pub peak_depth: f64,
    /// Largest Redis memory in bytes.
    pub redis_peak: f64,
    /// Seconds from the start until Redis is full; `None` if never.
    pub oom: Option<f64>,
}

/// A configuration after the loss of workers.
#[derive(Clone, Debug, PartialEq)]
pub struct AfterLoss {
    /// `one worker of 5`, `a zone: 2 workers of 5`.
    pub name: String,
    /// Worker processes left.
    pub processes: u32,
    /// Objectives that are missed.
    pub missed: Vec<String>,
    /// Share of offered jobs rejected.
    pub rejected: f64,
    /// Recovery time in seconds, and whether some replication did not recover.
    pub recovery: (f64, bool),
}

/// What an input 10% lower and 10% higher does to a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// The input: `arrival rate`, `service time`, ...
    pub input: &'static str,
    /// What is measured.
    pub metric: crate::model::metric::Metric,
    /// The metric as it is.
    pub base: f64,
    /// Paired difference to that with the input 10% lower: mean and half-width of its 95% interval.
    pub lower: (f64, f64),
    /// With the input 10% higher.
    pub higher: (f64, f64),
}
