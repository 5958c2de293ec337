//! What objectives ask of a replication beyond its metrics: a part of the run, any percentile, a share, an error budget.

use super::part::Part;
use crate::engine::time::SimDuration;
use crate::model::metric::{Metric, Unit};

/// A question that each replication answers with one number.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Index of the job class; `None` for all.
    pub class: Option<usize>,
    /// Only the jobs that arrive in a part of the run; `None` for all after the warm-up.
    pub part: Option<Part>,
    /// What is asked.
    pub quantity: Quantity,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Quantity {
    /// A metric of jobs.
    Metric(Metric),
    /// The value that this share of the jobs does not exceed, in seconds.
    Percentile(Span, f64),
    /// The share of the jobs that are fast enough.
    Share(Within),
    /// The share of a month's error budget that is used up.
    ErrorBudget {
        /// The share of a month's jobs that may fail.
        allowed: f64,
        /// Jobs that are slower count as failed as well.
        within: Option<Within>,
    },
}

/// A time of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// In the waiting line.
    Wait,
    /// From arrival to completion.
    Sojourn,
}

impl Quantity {
    /// The limit of a time that it counts jobs by.
    pub fn within(&self) -> Option<&Within> {
        match self {
            Quantity::Share(within) | Quantity::ErrorBudget { within: Some(within), .. } => Some(within),
            Quantity::Metric(_) | Quantity::Percentile(..) | Quantity::ErrorBudget { within: None, .. } => {
                None
            }
        }
    }
}

impl Within {
    /// Whether a time is fast enough.
    pub fn holds(&self, time: SimDuration) -> bool {
        let limit = SimDuration::from_secs_f64(self.limit);
        if self.inclusive { time <= limit } else { time < limit }
    }
}

/// A limit of a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Within {
    /// Which time.
    pub span: Span,
    /// In seconds.
    pub limit: f64,
    /// Whether the limit itself is fast enough.
    pub inclusive: bool,
}

impl Question {
    /// What it counts in.
    pub fn unit(&self) -> Unit {
        match &self.quantity {
            Quantity::Metric(metric) => metric.unit(),
            Quantity::Percentile(..) => Unit::Seconds,
            Quantity::Share(_) | Quantity::ErrorBudget { .. } => Unit::Fraction,
        }
    }
}
