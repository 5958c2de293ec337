//! Behaviour of the whole crate, one module for each part.

mod fluid;
mod report;
