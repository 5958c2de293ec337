//! An experiment: the replications of a scenario, in parallel, folded in order.

pub mod series;
pub mod summary;

use crate::model::metric::Metrics;
use series::Series;
use summary::Summary;

/// All that an experiment found.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The figures.
    pub summary: Summary,
    /// The course over time.
    pub series: Series,
    /// Each replication's system-wide metrics, in order.
    pub replications: Vec<Metrics>,
}
