//! Behaviour seen from outside, in one binary.
mod fluid;
