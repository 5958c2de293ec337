#![doc = include_str!("../README.md")]
//!
//! # Where to read on
//!
//! [`variables`] lists the environment variables, [`metrics`] the metrics, [`events`] the event types and [`endpoints`] the
//! endpoints. [`variable`] defines what a row of the first list says.
//!
//! # Why a crate of its own
//!
//! It is not a module of the policy crate: that crate is general and knows no HTTP, no environment and no names of metrics. It
//! is not a module of the gateway either: the simulator needs the names and must not build a server to get them. So it is a
//! crate without dependencies below all of them. It holds data and the checks that follow from the data; it reads no
//! environment, serves nothing and decides nothing.

#![forbid(unsafe_code)]

pub mod endpoints;
pub mod events;
pub mod metrics;
pub mod variable;
pub mod variables;

pub use variable::{Bounds, Relation, Sets, Variable};
