#![doc = include_str!("../README.md")]
//!
//! # Where to read on
//!
//! 1. [`bus`]: makes every decision about an event, one after the other.
//! 2. [`circuit`]: the policy crate, shared among requests.
//! 3. [`queue`]: the queue behind the gateway, BullMQ's on Redis or one in memory.
//! 4. [`spill`]: where priority-1 events wait on disk while Redis cannot take them.
//! 5. [`monitor`]: background work: depth, memory, workers, the log of rejections.
//! 6. [`app`]: all parts put together, [`launch`]: from settings to a running gateway, [`descriptors`]: what it needs of the system.
//! 7. [`http`]: endpoints, limits on clients, the server. [`metrics`]: for Prometheus, with what the kernel says of the [`process`].
//! 8. [`access`]: who may send what. [`reload`]: what changes while the gateway runs.
//! 9. [`settings`]: reads the environment variables of the [`contract`] and reports all mistakes at once.

pub mod access;
pub mod app;
pub mod bus;
pub mod circuit;
pub mod database;
pub mod descriptors;
pub mod event;
pub mod http;
pub mod launch;
pub mod metrics;
mod moment;
pub mod monitor;
pub mod process;
pub mod queue;
pub mod refusal;
pub mod reload;
pub mod settings;
pub mod spill;
pub mod status;
#[cfg(test)]
mod world;
