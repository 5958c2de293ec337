//! The flight simulator of queue-backed services.

pub mod alerts;
pub mod check;
pub mod compare;
pub mod engine;
pub mod experiment;
pub mod files;
pub mod fluid;
pub mod memory;
pub mod model;
pub mod plan;
pub mod report;
pub mod scenario;
pub mod selection;
pub mod stats;
pub mod study;
pub mod units;
