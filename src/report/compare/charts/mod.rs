//! The charts of a comparison.

use crate::compare::Comparison;
use crate::report::kit::chart::Chart;
use depth::Course;

pub(super) mod depth;
mod differences;

/// The courses over time if both sides were run, and what differs.
pub(super) fn all(comparison: &Comparison, courses: Option<&[Course<'_>; 2]>) -> Vec<Chart> {
    let over_time = courses.map(|[a, b]| depth::chart(a, b));
    over_time.into_iter().chain(differences::chart(comparison)).collect()
}

/// The names of all charts that the report of any comparison may have.
pub(super) const NAMES: [&str; 2] = ["depth", "differences"];
