//! What a check found: for people in a terminal and on the pages of a code host, and for other programs.
//!
//! As with all reports, the same check gives the same bytes: no time, no host.

pub mod github;
pub mod json;
pub mod junit;
pub mod markdown;
mod reading;
pub mod terminal;
