#![doc = include_str!("../README.md")]
//!
//! # Where to read on
//!
//! 1. [`controller`]: the state machine itself; one `match` over the states is the whole of it.
//! 2. [`config`]: the settings, what they must satisfy, and what is allowed but deserves a warning.
//! 3. [`gate`]: the decision rule packed into one word, so that any thread can decide with one load.
//! 4. [`drain`]: how fast the queue empties, and the retry-after hint made of it.
//! 5. [`event`] and [`snapshot`]: what happened, and how things stand.
//! 6. [`memory`]: the guard on the memory of the store, beside the depth.
//!
//! The small words of the vocabulary are in [`priority`], [`state`], [`decision`] and [`time`]; [`policy`] is the trait
//! behind which other policies can stand.
#![no_std]
#![forbid(unsafe_code)]

pub mod config;
pub mod controller;
pub mod decision;
pub mod drain;
pub mod event;
pub mod gate;
pub mod memory;
pub mod policy;
pub mod priority;
pub mod snapshot;
pub mod state;
pub mod time;

pub use config::{Config, ConfigBuilder, ConfigError, ConfigErrors, ConfigWarning};
pub use controller::Controller;
pub use decision::{Decision, Disposition, Reason, Rejection};
pub use event::Event;
pub use gate::Gate;
#[cfg(target_has_atomic = "64")]
pub use gate::SharedGate;
pub use memory::MemoryGuard;
pub use policy::Policy;
pub use priority::{Priority, PriorityOutOfRange};
pub use snapshot::{Counters, Snapshot};
pub use state::{Depth, Health, OnUnknownDepth, State};
pub use time::Nanos;
