#![doc = include_str!("../README.md")]
//!
//! # Where to read on
//!
//! 1. [`policy`]: the calls that every policy answers, and the kinds there are: [`spec`](policy::spec), [`graded`](policy::graded).
//! 2. [`controller`]: what all kinds share; one `match` over the states is the whole of the circuit.
//! 3. [`config`]: the settings, what they must satisfy, and what is allowed but deserves a warning.
//! 4. [`cut`] and [`gate`]: the decision rule packed into one word, so that any thread can decide with one load.
//! 5. [`drain`]: how fast the queue empties, and the retry-after hint made of it.
//! 6. [`event`] and [`snapshot`]: what happened, and how things stand.
//! 7. [`memory`]: the guard on the memory of the store, beside the depth.
//!
//! The small words of the vocabulary are in [`observation`], [`request`], [`priority`], [`state`], [`decision`] and [`time`].
#![no_std]
#![forbid(unsafe_code)]

pub mod config;
pub mod controller;
pub mod cut;
pub mod decision;
pub mod drain;
pub mod event;
pub mod gate;
pub mod memory;
mod mix;
pub mod observation;
pub mod policy;
pub mod priority;
pub mod request;
pub mod snapshot;
pub mod state;
pub mod time;

pub use config::{Config, ConfigBuilder, ConfigError, ConfigErrors, ConfigWarning};
pub use controller::Controller;
pub use cut::Cut;
pub use decision::{Decision, Disposition, Reason, Rejection};
pub use event::Event;
pub use gate::Gate;
#[cfg(target_has_atomic = "64")]
pub use gate::SharedGate;
pub use memory::MemoryGuard;
pub use observation::Observation;
pub use policy::{AnyPolicy, Kind, KindName, Policy};
pub use priority::{Priority, PriorityOutOfRange};
pub use request::Request;
pub use snapshot::{Counters, Level, Levels, Snapshot};
pub use state::{Depth, Health, OnUnknownDepth, State};
pub use time::Nanos;
