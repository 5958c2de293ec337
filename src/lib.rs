//! The flight simulator of queue-backed services.
pub mod engine;
pub mod fluid;
