//! Service level objectives: `metric{class=NAME}.statistic op number`.

use crate::model::metric::Metric;

/// One objective, as in `recovery_seconds.p95 < 120` or `lost_jobs{class=critical-alarm} == 0`.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    /// As written.
    pub expression: String,
    /// What is measured.
    pub metric: Metric,
    /// Index of the job class; `None` is the whole system.
    pub class: Option<usize>,
    /// Which figure over the replications.
    pub statistic: Statistic,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub limit: f64,
}

/// Which figure over the replications an objective looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Statistic {
    /// Mean, when nothing else is written.
    #[default]
    Mean,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// 95th percentile.
    P95,
}

/// How an objective compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Comparison {
    /// Whether the comparison holds.
    // Objectives compare counts for equality; a mean of zero jobs lost is exactly zero.
    #[allow(clippy::float_cmp)]
    pub fn holds(self, observed: f64, limit: f64) -> bool {
        match self {
            Self::Less => observed < limit,
            Self::LessOrEqual => observed <= limit,
            Self::Greater => observed > limit,
            Self::GreaterOrEqual => observed >= limit,
            Self::Equal => observed == limit,
            Self::NotEqual => observed != limit,
        }
    }
}
