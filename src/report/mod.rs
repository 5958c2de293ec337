//! Reports: results for people in a terminal, for people with a browser, and for other programs.
//!
//! Everything here is a pure function from a scenario and its findings to text or pictures; the same input gives the
//! same bytes. Each command has a module with its page, its text for the terminal, its documents and its
//! charts: [`run`], [`compare`], [`check`], [`sweep`], [`limit`] and [`plan`]; [`metrics`] is a reference page. What they share is in `kit`, which imports none of
//! them.

use crate::model::metric::Unit;
pub use kit::chart::{Chart, DrawError, Table};
pub use kit::folder::FolderError;
use kit::number;
pub use kit::output::{Options, WriteError};

pub mod check;
pub mod compare;
mod kit;
pub mod limit;
pub mod metrics;
pub mod plan;
pub mod run;
pub mod sweep;

/// Bytes as people read them: `1.5 GiB`.
pub fn size(bytes: u64) -> String {
    number::value(Unit::Bytes, bytes as f64)
}
