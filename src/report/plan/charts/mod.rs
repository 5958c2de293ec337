//! The charts of a plan.

use super::view::View;
use crate::report::kit::chart::Chart;
use crate::report::run::charts::depth;

mod candidates;
mod load;
mod search;
mod tornado;

/// All charts of a plan in their order.
pub(super) fn all(view: &View<'_>) -> Vec<Chart> {
    let mut charts = vec![search::chart(view)];
    charts.extend(candidates::chart(view));
    if let Some(choice) = &view.plan.choice {
        charts.extend(load::chart(view, choice));
        charts.extend(tornado::chart(choice));
        charts.push(depth::chart(&choice.scenario, &choice.findings));
    }
    charts
}

/// The names of all charts of a plan.
pub(super) fn names(view: &View<'_>) -> Vec<&'static str> {
    let mut names = vec!["search"];
    names.extend(candidates::is_drawn(view).then_some("candidates"));
    if let Some(choice) = &view.plan.choice {
        names.extend(load::is_drawn(choice).then_some("load"));
        names.extend(tornado::is_drawn(choice).then_some("tornado"));
        names.push("depth");
    }
    names
}
