//! How many jobs a plan may refuse and lose.
//!
//! The cheapest configuration is always the one that does least, so a plan without a limit or a price on refused and on
//! lost jobs would trade them away unseen. Such a scenario is refused with the lines that it lacks. Where there is a
//! price and no limit, what the plan withstands is judged by what the plan itself refuses and loses: an incident that
//! costs noticeably more jobs than that is not withstood.

use crate::experiment::replication::Replication;
use crate::experiment::traffic::{Harm, uncovered};
use crate::model::metric::Metric;
use crate::scenario::{Diagnostic, DiagnosticCode, Location, Prices, Scenario, ScenarioError};
use crate::study::grid::Grid;

/// Share of the jobs beyond the planned one that an incident may refuse where nothing but a price limits it.
const TOLERATED: f64 = 0.01;

/// Refuses a scenario in which a plan could refuse or lose any number of jobs for nothing.
///
/// # Errors
///
/// What has neither limit nor price, at the objectives of the file, with the lines to write.
pub fn require(scenario: &Scenario, file: &str) -> Result<(), ScenarioError> {
    let free: Vec<Harm> = Harm::ALL.into_iter().filter(|harm| is_free(scenario, *harm)).collect();
    if free.is_empty() {
        return Ok(());
    }
    let what: Vec<String> = free.iter().map(|&harm| concerned(scenario, harm)).collect();
    let (what, they) = (what.join(" and "), if free.len() == 1 { "that" } else { "them" });
    let objectives: Vec<String> = free.iter().map(|harm| format!("\"{}\"", harm.proposal())).collect();
    let kept = if scenario.slo.is_empty() { "" } else { "..., " };
    let prices: Vec<&str> = free.iter().filter_map(|harm| price_line(*harm)).collect();
    let priced = match prices.is_empty() {
        true => String::new(),
        false => format!(", or prices: [cost] with {}", prices.join(" and ")),
    };
    Err(ScenarioError::Invalid(vec![Diagnostic {
        code: DiagnosticCode::Missing,
        message: format!(
            "a plan needs a limit or a price on refused and on lost jobs; {what} have none, and the cheapest plan \
             would make use of {they}"
        ),
        at: place_of_objectives(scenario, file),
        label: format!("write slo = [{kept}{}]{priced}", objectives.join(", ")),
    }]))
}

/// The scenario of a configuration with a limit for whatever has only a price: what its own replications refuse and lose,
/// and a little more.
pub(super) fn yardstick(grid: &Grid, overrides: &[String], own: &[Replication]) -> Scenario {
    let most = |metric| own.iter().filter_map(|run| run.get(metric)).fold(0.0, f64::max);
    let plain = grid.with(overrides).expect("a variant that was simulated can be read");
    let mut objectives: Vec<String> = plain.slo.iter().map(|slo| slo.expression.clone()).collect();
    for harm in Harm::ALL.into_iter().filter(|harm| !uncovered(&plain, *harm).is_empty()) {
        objectives.push(match harm {
            Harm::Refused => {
                let share = (most(Metric::RejectionProbability) + TOLERATED).min(1.0);
                format!("rejection_probability <= {:.1}%", (share * 1_000.0).ceil() / 10.0)
            }
            Harm::Lost => format!("lost_jobs.max <= {}", most(Metric::Lost)),
            Harm::GivenUp => format!("abandoned_requests.max <= {}", most(Metric::Abandoned)),
        });
    }
    if objectives.len() == plain.slo.len() {
        return plain;
    }
    let quoted: Vec<String> =
        objectives.iter().map(|text| serde_json::to_string(text).expect("a text is JSON")).collect();
    let slo = format!("slo=[{}]", quoted.join(", "));
    grid.with(&[overrides, &[slo]].concat()).expect("these objectives can be read")
}

/// Whether jobs may come to that harm without any objective or price.
fn is_free(scenario: &Scenario, harm: Harm) -> bool {
    price(&scenario.cost, harm) <= 0.0 && !uncovered(scenario, harm).is_empty()
}

fn price(prices: &Prices, harm: Harm) -> f64 {
    prices.occurrences
        * match harm {
            Harm::Refused => prices.rejected_job,
            Harm::Lost => prices.lost_job,
            // A request that is given up was refused or waited too long, and has no price of its own.
            Harm::GivenUp => 0.0,
        }
}

const fn price_line(harm: Harm) -> Option<&'static str> {
    match harm {
        Harm::Refused => Some("rejected_job = 0.001"),
        Harm::Lost => Some("lost_job = 0.01"),
        Harm::GivenUp => None,
    }
}

/// `refused jobs`, or `refused jobs of batch` where other classes have a limit.
fn concerned(scenario: &Scenario, harm: Harm) -> String {
    let classes = &scenario.model.classes;
    let of = uncovered(scenario, harm);
    let names: Vec<&str> = of.iter().map(|&class| classes[class].name.as_str()).collect();
    match of.len() == classes.len() {
        true => harm.of_what().to_owned(),
        false => format!("{} of {}", harm.of_what(), names.join(", ")),
    }
}

/// The line of the objectives, or the file where it has none.
fn place_of_objectives(scenario: &Scenario, file: &str) -> Location {
    let mut start = 0;
    for (index, line) in scenario.source.split_inclusive('\n').enumerate() {
        if line.trim_start().strip_prefix("slo").is_some_and(|rest| rest.trim_start().starts_with('=')) {
            let indent = line.len() - line.trim_start().len();
            let span = start + indent..start + indent + "slo".len();
            return Location::of(file, &scenario.source, Some(index + 1), span);
        }
        start += line.len();
    }
    Location::file(file)
}
