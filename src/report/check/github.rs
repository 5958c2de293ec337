//! The check as annotations for GitHub Actions: log lines that the runner shows at the file.
//!
//! The runner shows at most ten of each kind per step, so long lists become one annotation.

use super::reading::{self, Row};
use crate::check::gate::{Judgement, MetricCheck};
use crate::check::{Check, OnInconclusive, ScenarioCheck};
use crate::report::kit::objective;
use crate::report::kit::text::plural;

/// Regressions of a scenario with an annotation of their own.
const MOST_SINGLE: usize = 5;

/// One line for each annotation.
pub fn render(check: &Check) -> String {
    check.scenarios.iter().map(|scenario| of(scenario, check.on_inconclusive)).collect()
}

/// The annotation of an error that prevents the comparison.
pub fn error(message: &str) -> String {
    format!("::error title=simulate check::{}\n", data(message))
}

fn of(scenario: &ScenarioCheck, on_inconclusive: OnInconclusive) -> String {
    let mut lines = String::new();
    let mut say = |level: &str, title: &str, message: &str| {
        let (file, title) = (property(&scenario.file), property(&format!("{}: {title}", scenario.name)));
        lines += &format!("::{level} file={file},title={title}::{}\n", data(message));
    };
    for objective in scenario.objectives.iter().filter(|objective| objective.fails()) {
        let title = format!("objective {}", objective::word(&objective.current));
        let message = format!("{}: {}", objective.current.expression, reading::observed(objective));
        say("error", &title, &message);
    }
    let of_kind = |judgement| -> Vec<&MetricCheck> {
        scenario.comparisons.iter().filter(|comparison| comparison.judgement == judgement).collect()
    };
    let names = |rows: &[&MetricCheck]| rows.iter().map(|row| row.name()).collect::<Vec<_>>().join(", ");
    let regressed = of_kind(Judgement::Regressed);
    let (single, rest) = regressed.split_at(regressed.len().min(MOST_SINGLE));
    for row in single {
        say("error", &format!("{} regressed", row.name()), &Row::of(row).sentence());
    }
    if !rest.is_empty() {
        say("error", &format!("{} regressed", plural(rest.len(), "more metric")), &names(rest));
    }
    let inconclusive = of_kind(Judgement::Inconclusive);
    if !inconclusive.is_empty() {
        let level = if on_inconclusive == OnInconclusive::Fail { "error" } else { "warning" };
        let title = format!("{} inconclusive", plural(inconclusive.len(), "metric"));
        say(level, &title, &format!("may be worse by more than the limit: {}", names(&inconclusive)));
    }
    let improved = of_kind(Judgement::Improved);
    if !improved.is_empty() {
        let title = format!("{} improved", plural(improved.len(), "metric"));
        say("notice", &title, &format!("{}; --update-baseline records it", names(&improved)));
    }
    lines
}

/// Escapes the message, as the runner's own toolkit does.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property, in which two more characters have a meaning.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_with_a_meaning_are_escaped() {
        assert_eq!(data("5% off,\nreally: yes"), "5%25 off,%0Areally: yes");
        assert_eq!(property("C:\\a,b"), "C%3A\\a%2Cb");
    }
}
