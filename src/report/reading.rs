//! What the findings say, in the words and numbers that page, terminal and charts share.

use crate::engine::time::SimTime;
use crate::experiment::Findings;
use crate::experiment::summary::{LimitAhead, Summary, Verdict};
use crate::model::metric::{Metric, Unit};
use crate::report::number;
use crate::scenario::Scenario;

/// A depth at which the policy changes its mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Threshold {
    /// Name in charts and tables.
    pub(crate) name: &'static str,
    /// Depth in jobs.
    pub(crate) jobs: u64,
}

/// The thresholds, the smallest first; none if the policy is switched off.
pub(crate) fn thresholds(scenario: &Scenario) -> Vec<Threshold> {
    let config = &scenario.model.policy.config;
    if !config.enabled() {
        return Vec::new();
    }
    let mut thresholds = vec![
        Threshold { name: "recovery", jobs: config.recovery() },
        Threshold { name: "warning", jobs: config.warning() },
        Threshold { name: "shed", jobs: config.shed_at() },
        Threshold { name: "critical", jobs: config.critical() },
    ];
    thresholds.sort_by_key(|threshold| threshold.jobs);
    thresholds
}

/// A part of the run with more load than the rest, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spike {
    pub(crate) start: f64,
    pub(crate) end: f64,
}

/// The spikes of all sources in order of their start, overlapping and adjacent ones as one.
pub(crate) fn spikes(scenario: &Scenario) -> Vec<Spike> {
    let horizon = scenario.model.horizon.as_secs_f64();
    let mut spikes = Vec::new();
    for source in &scenario.model.sources {
        let mut start = SimTime::ZERO;
        for phase in &source.phases {
            if phase.spike {
                let end = if phase.end == SimTime::NEVER { horizon } else { phase.end.as_secs_f64() };
                spikes.push(Spike { start: start.as_secs_f64(), end: end.min(horizon) });
            }
            start = phase.end;
        }
    }
    spikes.retain(|spike| spike.start < horizon);
    spikes.sort_by(|a, b| a.start.total_cmp(&b.start));
    let mut merged: Vec<Spike> = Vec::new();
    for spike in spikes {
        match merged.last_mut() {
            Some(last) if spike.start <= last.end => last.end = last.end.max(spike.end),
            _ => merged.push(spike),
        }
    }
    merged
}

/// The moment that recovery times count from, in seconds: the end of the last spike, or the start.
pub(crate) fn recovery_origin(scenario: &Scenario) -> f64 {
    spikes(scenario).last().map_or(0.0, |spike| spike.end)
}

/// Median of a metric over the replications in which it happened; `None` if it happened in at most half of them.
pub(crate) fn typical(findings: &Findings, metric: Metric) -> Option<f64> {
    let mut values: Vec<f64> = findings
        .replications
        .iter()
        .filter(|replication| !replication.system.is_censored(metric))
        .filter_map(|replication| replication.get(metric))
        .collect();
    values.sort_by(f64::total_cmp);
    (values.len() * 2 > findings.replications.len()).then(|| values[values.len() / 2])
}

/// The recovery time with what it counts from, and how many replications did not recover.
pub(crate) fn recovery(scenario: &Scenario, summary: &Summary) -> String {
    let estimate = summary.metric(Metric::Recovery);
    let shown = number::estimate(Unit::Seconds, estimate);
    let since = if spikes(scenario).is_empty() { "after the start" } else { "after the last spike" };
    match (estimate.censored, estimate.n) {
        (_, 0) => "not measured".to_owned(),
        (0, _) => format!("{shown} {since}"),
        (censored, n) if censored >= n => "not within the run".to_owned(),
        (censored, n) => format!("≥ {shown} {since}, {censored} of {n} not within the run"),
    }
}

/// The limits that were not reached, with how much of each was used at the worst: the distance to the next.
pub(crate) fn limits_ahead(summary: &Summary) -> String {
    let share = |ahead: &LimitAhead| {
        // What was not reached is not shown as if it had been.
        let used = if ahead.used > 0.9 { ahead.used.min(0.999) } else { ahead.used };
        format!("{} ({} used)", ahead.limit, number::value(Unit::Fraction, used))
    };
    summary.limits_ahead.iter().map(share).collect::<Vec<_>>().join(", ")
}

/// The verdict in one or two words.
pub(crate) fn verdict_word(summary: &Summary) -> &'static str {
    match (summary.slo.is_empty(), summary.verdict) {
        (true, _) => "NO OBJECTIVES",
        (false, Verdict::Pass) => "PASS",
        (false, Verdict::Fail) => "FAIL",
    }
}

/// How many objectives hold, as a sentence without its full stop.
pub(crate) fn objectives_sentence(summary: &Summary) -> String {
    let missed = summary.slo.iter().filter(|objective| !objective.pass).count();
    match (summary.slo.len(), missed) {
        (0, _) => "No objective was set, so there is nothing to pass or fail".to_owned(),
        (1, 0) => "The objective is met".to_owned(),
        (1, _) => "The objective is missed".to_owned(),
        (all, 0) => format!("All {all} objectives are met"),
        (all, missed) => format!("{missed} of {all} objectives {} missed", is_are(missed)),
    }
}

/// The answer in one sentence: how deep, whether the circuit opened, how long until recovery.
pub(crate) fn answer(scenario: &Scenario, findings: &Findings) -> String {
    let summary = &findings.summary;
    let peak = number::estimate(Unit::Jobs, summary.metric(Metric::PeakDepth));
    let openings = summary.metric(Metric::CircuitOpenings).mean.unwrap_or(0.0);
    let circuit = if thresholds(scenario).is_empty() {
        "the policy is switched off".to_owned()
    } else if openings > 0.0 {
        let share = summary.metric(Metric::OpenFraction).mean.unwrap_or(0.0);
        let times = if (openings - 1.0).abs() < 1e-9 {
            "once".to_owned()
        } else {
            format!("{} times", number::trimmed(openings, 1))
        };
        format!("the circuit opens {times} and is open {} of the time", number::value(Unit::Fraction, share))
    } else {
        "the circuit stays closed".to_owned()
    };
    let recovery = recovery(scenario, summary);
    format!("The queue peaks at {peak} jobs, {circuit}; recovery {recovery}.")
}

/// `mean of 10 replications`, or that there is only one.
pub(crate) fn basis(replications: u32) -> String {
    match replications {
        1 => "one replication".to_owned(),
        n => format!("mean of {n} replications"),
    }
}

/// A text without characters that a terminal or an XML reader would take for commands.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && !"\n\t".contains(c) { '\u{FFFD}' } else { c }).collect()
}

/// The text, its middle cut out if it does not fit: names that are long often differ at their end.
pub(crate) fn shortened(text: &str, fits: impl Fn(&str) -> bool) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut shown = text.to_owned();
    let mut kept = characters.len();
    while !fits(&shown) && kept > 2 {
        kept -= 1;
        let (front, back) = (kept.div_ceil(2), characters.len() - kept / 2);
        shown = characters[..front].iter().chain(&['…']).chain(&characters[back..]).collect();
    }
    shown
}

fn is_are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_lose_their_middle() {
        let at_most = |most: usize| move |text: &str| text.chars().count() <= most;
        assert_eq!(shortened("telemetry", at_most(9)), "telemetry");
        assert_eq!(shortened("telemetry-data-12", at_most(9)), "tele…a-12");
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb"), "a\u{FFFD}[31mb");
    }
}
