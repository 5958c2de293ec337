#![doc = include_str!("../README.md")]
//!
//! # Where to read on
//!
//! 1. [`bus`]: an event comes in; every decision about it is made there, one after the other.
//! 2. [`circuit`]: the policy crate, shared among requests.
//! 3. [`queue`]: what is behind the gateway: BullMQ's queue on Redis, or one in memory.
//! 4. [`spill`]: where priority-1 events wait while Redis cannot take them.
//! 5. [`monitor`]: what goes on without traffic: depth, memory, workers, the log of rejections.
//! 6. [`app`]: all of these put together, and [`launch`]: from settings to a gateway at work.
//! 7. [`http`]: endpoints, limits on clients, the server. [`metrics`]: for Prometheus.
//! 8. [`settings`]: environment variables, the one table of them, all mistakes at once.

pub mod app;
pub mod bus;
pub mod circuit;
pub mod database;
pub mod event;
pub mod http;
pub mod launch;
pub mod metrics;
pub mod monitor;
pub mod queue;
pub mod refusal;
pub mod settings;
pub mod spill;
pub mod status;
