//! A check in words and numbers, shared by all its reports.

use crate::check::gate::{Judgement, MetricCheck};
use crate::check::{Check, Objective, Ruling, ScenarioCheck};
use crate::report::kit::number::{self, bounded};
use crate::report::kit::objective;
use crate::report::kit::text::{capitalised, plural};
use crate::report::kit::traffic;

/// One metric as text.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) baseline: String,
    pub(super) current: String,
    pub(super) difference: String,
    pub(super) interval: String,
    pub(super) limit: String,
    /// The judgement.
    pub(super) remark: String,
    /// Reservations: values that are missing or only bounds.
    pub(super) reservations: Vec<String>,
}

impl Row {
    pub(super) fn of(comparison: &MetricCheck) -> Self {
        let unit = comparison.unit();
        let side = |mean: Option<f64>, censored: u32| bounded(&number::optional(unit, mean), censored > 0);
        let (difference, interval) = difference(comparison);
        Self {
            name: comparison.name(),
            baseline: side(comparison.baseline, comparison.baseline_censored),
            current: side(comparison.current, comparison.current_censored),
            difference,
            interval,
            limit: limit(comparison),
            remark: remark(comparison),
            reservations: reservations(comparison),
        }
    }

    /// All of it as one sentence.
    pub(super) fn sentence(&self) -> String {
        let Row { name, baseline, current, difference, interval, limit, remark, reservations } = self;
        let mut sentence = format!(
            "{name} {remark}: {current}, was {baseline}, difference {difference} {interval}, limit {limit}"
        );
        for reservation in reservations {
            sentence += &format!("; {reservation}");
        }
        sentence
    }
}

/// The rows worth showing, the worst first; with `all`, every row.
pub(super) fn shown(scenario: &ScenarioCheck, all: bool) -> Vec<&MetricCheck> {
    let rank = |comparison: &&MetricCheck| match comparison.judgement {
        Judgement::Regressed => 0,
        Judgement::Inconclusive => 1,
        Judgement::Improved => 2,
        Judgement::Unchanged => 3,
        Judgement::NotGated => 4,
    };
    let mut rows: Vec<&MetricCheck> =
        scenario.comparisons.iter().filter(|row| all || rank(row) < 3).collect();
    rows.sort_by_key(rank);
    rows
}

/// A sign for a quick look.
pub(super) fn sign(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Regressed => "✗",
        Judgement::Inconclusive => "?",
        Judgement::Improved => "↑",
        Judgement::Unchanged => "✓",
        Judgement::NotGated => "·",
    }
}

/// `PASS`, `FAIL` or `INCONCLUSIVE`.
pub(super) fn verdict_word(verdict: Ruling) -> &'static str {
    match verdict {
        Ruling::Pass => "PASS",
        Ruling::Inconclusive => "INCONCLUSIVE",
        Ruling::Fail => "FAIL",
    }
}

/// The result over all scenarios, as a sentence.
pub(super) fn conclusion(check: &Check) -> String {
    let count =
        |judgement| -> usize { check.scenarios.iter().map(|scenario| scenario.count(judgement)).sum() };
    let objectives = || check.scenarios.iter().flat_map(|scenario| &scenario.objectives);
    let mut parts = match count(Judgement::Regressed) {
        0 => vec![format!("none of {} has regressed", plural(check.gated, "gated metric"))],
        1 => vec![format!("1 of {} has regressed", plural(check.gated, "gated metric"))],
        n => vec![format!("{n} of {} have regressed", plural(check.gated, "gated metric"))],
    };
    match count(Judgement::Inconclusive) {
        0 => {}
        1 => parts.push("1 is inconclusive".to_owned()),
        n => parts.push(format!("{n} are inconclusive")),
    }
    match count(Judgement::Improved) {
        0 => {}
        1 => parts.push("1 has improved".to_owned()),
        n => parts.push(format!("{n} have improved")),
    }
    let all = objectives().count();
    let failed = objectives().filter(|objective| objective.fails()).count();
    let expected = objectives().filter(|objective| !objective.fails() && !objective.current.pass).count();
    match (all, failed) {
        (0, _) => {}
        (all, 0) if expected == 0 => parts.push(format!("{} met", plural(all, "objective"))),
        (_, 0) => {}
        (_, failed) => parts.push(format!("{} missed", plural(failed, "objective"))),
    }
    if expected > 0 {
        parts.push(format!("{} missed as expected", plural(expected, "objective")));
    }
    capitalised(&parts.join(", ")) + "."
}

/// For each scenario in which traffic was refused or lost that no objective limits: how much.
pub(super) fn unjudged(check: &Check) -> Vec<String> {
    let of = |scenario: &ScenarioCheck| {
        let unjudged = traffic::unjudged(&scenario.traffic)?;
        Some(format!("{}: {unjudged}", scenario.name))
    };
    check.scenarios.iter().filter_map(of).collect()
}

/// What an objective observes, as text.
pub(super) fn observed(judged: &Objective) -> String {
    let now = objective::observed(&judged.current);
    let before = objective::observed(&judged.baseline);
    if now == before { format!("{now}, as in the baseline") } else { format!("{now}, was {before}") }
}

/// The difference with its interval, in percent of the baseline unless that is zero.
fn difference(comparison: &MetricCheck) -> (String, String) {
    let Some(found) = &comparison.difference else {
        return (number::MISSING.to_owned(), String::new());
    };
    let (divisor, suffix) = match comparison.baseline {
        Some(baseline) if baseline != 0.0 => (baseline.abs() / 100.0, " %"),
        _ => {
            let scale = number::scale(comparison.unit(), found.mean);
            (scale.divisor, scale.suffix)
        }
    };
    let (mean, half_width) = (found.mean / divisor, found.half_width / divisor);
    let precision = if half_width > 0.0 { half_width } else { mean };
    let decimals = number::significant_decimals(precision, 2).min(3);
    let of = |value: f64| signed(value, decimals);
    let interval = format!("[{}, {}]{suffix}", of(mean - half_width), of(mean + half_width));
    (format!("{}{suffix}", of(mean)), interval)
}

fn signed(value: f64, decimals: usize) -> String {
    let text = number::grouped(value, decimals);
    let is_zero = text.chars().all(|c| "0.".contains(c));
    if value > 0.0 && !is_zero { format!("+{text}") } else { text }
}

/// The limit as a share of the baseline, or in the metric's unit if it is the floor.
fn limit(comparison: &MetricCheck) -> String {
    let Some(limit) = comparison.limit else { return number::MISSING.to_owned() };
    let share =
        comparison.baseline.filter(|baseline| *baseline != 0.0).map(|baseline| limit / baseline.abs());
    match share {
        Some(share) if share <= 1.0 => {
            format!("{} %", number::trimmed(100.0 * share, 2))
        }
        _ => number::value(comparison.unit(), limit),
    }
}

fn remark(comparison: &MetricCheck) -> String {
    match comparison.judgement {
        Judgement::Regressed => format!("REGRESSED, {}", probability(comparison)),
        Judgement::Inconclusive => "inconclusive".to_owned(),
        Judgement::Improved => format!("improved, {}", probability(comparison)),
        Judgement::Unchanged => "unchanged".to_owned(),
        Judgement::NotGated => "not gated".to_owned(),
    }
}

fn reservations(comparison: &MetricCheck) -> Vec<String> {
    let MetricCheck { vanished, appeared, baseline_censored: before, current_censored: now, .. } = comparison;
    let mut reservations = Vec::new();
    if *vanished > 0 {
        reservations.push(format!("no longer a value in {}", plural(*vanished as usize, "replication")));
    }
    if *appeared > 0 {
        reservations.push(format!("newly a value in {}", plural(*appeared as usize, "replication")));
    }
    if before + now > 0 {
        reservations.push(format!("not within the run in {now} of {}, was {before}", comparison.pairs));
    }
    reservations
}

fn probability(comparison: &MetricCheck) -> String {
    match comparison.adjusted_p {
        Some(p) if p < 0.001 => "p < 0.001".to_owned(),
        Some(p) => format!("p = {p:.3}"),
        None => "p unknown".to_owned(),
    }
}

/// A scenario's seed, size and digests.
pub(super) fn basis(scenario: &ScenarioCheck) -> String {
    let digest = if scenario.is_identical() {
        format!("digest {} unchanged", scenario.digest)
    } else {
        format!("digest {}, was {}", scenario.digest, scenario.baseline_digest)
    };
    format!("seed {} · {} · {digest}", scenario.seed, plural(scenario.replications as usize, "replication"))
}
