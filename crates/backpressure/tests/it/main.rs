//! The behaviour of the policy, through its public interface.

mod config;
mod controller;
mod gate;
mod graded;
mod memory;
mod properties;
mod rules;
