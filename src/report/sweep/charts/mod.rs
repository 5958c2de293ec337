//! The charts of a sweep: metrics over the axes, trade-offs, effects of the axes, and the best few over
//! time.

use super::view::View;
use crate::report::kit::chart::Chart;

mod courses;
mod effects;
mod front;
mod map;
mod marks;
mod measure;
mod profile;

/// All charts of a sweep in their order.
pub(super) fn all(view: &View<'_>) -> Vec<Chart> {
    let mut charts = Vec::new();
    for measure in measure::all(view) {
        match view.varied.as_slice() {
            [] => {}
            [axis] => charts.push(profile::chart(view, &measure, *axis)),
            _ => charts.push(map::chart(view, &measure)),
        }
    }
    if view.sweep.results.len() > 1 {
        charts.push(front::chart(view));
        charts.push(effects::chart(view));
    }
    charts.extend(courses::chart(view));
    charts
}

/// The names of all charts that the report of any sweep may have.
pub(super) const NAMES: [&str; 6] =
    ["map-recovery", "map-rejection", "map-objective", "front", "effects", "courses"];
