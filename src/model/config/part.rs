//! Parts of a run that objectives ask about.

use crate::engine::time::SimTime;

/// The jobs that arrive within these spans of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// From the first moment of each to the one before the second.
    pub spans: Vec<(SimTime, SimTime)>,
}

impl Part {
    /// Whether a job that arrives at this moment belongs to it.
    pub fn contains(&self, time: SimTime) -> bool {
        self.spans.iter().any(|&(from, to)| from <= time && time < to)
    }

    /// Seconds of it within a run that ends then.
    pub fn seconds(&self, horizon: SimTime) -> f64 {
        self.spans.iter().map(|&(from, to)| to.min(horizon).since(from.min(horizon)).as_secs_f64()).sum()
    }
}
