//! The outcomes of the latest replications of a search: the choice is among them, and need not be simulated again for its course
//! over time.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::model::outcome::Outcome;
use crate::study::grid::VariantId;

/// Outcomes by variant and replication, the latest ones.
#[derive(Debug, Default)]
pub struct Recent(Mutex<VecDeque<(VariantId, u32, Outcome)>>);

/// An outcome takes up to a megabyte.
const MOST: usize = 64;

impl Recent {
    pub(super) fn keep(&self, variant: VariantId, replication: u32, outcome: Outcome) {
        let mut outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if outcomes.len() == MOST {
            outcomes.pop_front();
        }
        outcomes.push_back((variant, replication, outcome));
    }

    /// The outcome, if it is still there; it is not afterwards.
    pub(super) fn take(&self, variant: VariantId, replication: u32) -> Option<Outcome> {
        let mut outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = outcomes.iter().position(|(a, b, _)| (*a, *b) == (variant, replication))?;
        outcomes.remove(place).map(|(.., outcome)| outcome)
    }
}
