//! A job on its way through the service.

use super::recorder::Who;
use crate::engine::time::{SimDuration, SimTime};

/// A job. `D` is what only a run of the level `Detailed` knows of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<D> {
    pub(crate) arrived: SimTime,
    /// How long it holds a slot where nothing slows it down: service demand and overhead.
    pub(crate) hold: SimDuration,
    /// Redis memory that it takes while it waits.
    pub(crate) bytes: u32,
    pub(crate) class: u16,
    pub(crate) details: D,
}

impl<D> Job<D> {
    pub(crate) fn who(&self) -> Who {
        Who { class: self.class, arrived: self.arrived }
    }
}
