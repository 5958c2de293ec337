//! The flight simulator of queue-backed services.
pub mod engine;
pub mod experiment;
pub mod model;
pub mod report;
pub mod scenario;
