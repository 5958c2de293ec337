//! Names of the files of plans.

use super::view::View;
use super::{alerts, charts};
use crate::report::kit::output::PAGE;

/// The names of all files of these plans except PNG charts.
pub(super) fn files(views: &[View<'_>]) -> Vec<String> {
    let mut files: Vec<String> = [PAGE, CARD, SUMMARY, DOCUMENT].map(str::to_owned).to_vec();
    for view in views {
        if view.plan.choice.is_some() {
            let stems = [
                ("plan", "env"),
                ("hpa", "yaml"),
                ("keda", "yaml"),
                ("alerts", "yaml"),
                (alerts::TEST_STEM, "yaml"),
            ];
            files.extend(stems.map(|(stem, extension)| view.file(stem, extension)));
        }
        files.extend(charts::names(view).into_iter().map(|name| view.file(name, "svg")));
    }
    files
}

const CARD: &str = "summary.svg";
pub(super) const SUMMARY: &str = "plan.md";
pub(super) const DOCUMENT: &str = "plan.json";
