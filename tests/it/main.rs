//! Behaviour seen from outside, one binary for all.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::float_cmp, reason = "what is written in a file is read exactly")]

mod scenario;
