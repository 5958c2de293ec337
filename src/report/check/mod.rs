//! Reports of a check: for people in a terminal or on a code host, and for other programs.
//!
//! The same check gives the same bytes: no time, no host name.

pub mod github;
pub mod json;
pub mod junit;
pub mod markdown;
mod reading;
pub mod terminal;
