//! What a replication answers to the questions of the objectives.

use super::config::{ModelConfig, Quantity, Question, Span, Within};
use super::outcome::{ClassCounts, Outcome, class_metrics_over};
use crate::engine::time::{SimDuration, SimTime};
use crate::stats::spans::{AtLeast, Spans};

/// An answer: the value is known to lie between two numbers, which are mostly one.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Answer {
    /// The least that it can be.
    pub least: f64,
    /// The most; `None` has no limit.
    pub most: Option<f64>,
}

/// 30 days.
const MONTH_SECONDS: f64 = 30.0 * 86_400.0;

impl Answer {
    /// A value that is known.
    pub fn exactly(value: f64) -> Self {
        Self { least: value, most: Some(value) }
    }

    /// A value, or a lower bound of it.
    pub fn bounded(value: f64, is_bound: bool) -> Self {
        Self { least: value, most: (!is_bound).then_some(value) }
    }

    /// Whether it is not known.
    pub fn is_bound(&self) -> bool {
        self.most != Some(self.least)
    }
}

/// The answers to the questions of a scenario, in their order.
pub fn answers(outcome: &Outcome, config: &ModelConfig) -> Vec<Option<Answer>> {
    config.questions.iter().map(|question| answer(question, outcome, config)).collect()
}

/// What a replication answers; `None` where there is nothing to tell, as the share of no jobs.
fn answer(question: &Question, outcome: &Outcome, config: &ModelConfig) -> Option<Answer> {
    let counts = counts_of(question, outcome, config);
    match &question.quantity {
        &Quantity::Metric(metric) => {
            let metrics = class_metrics_over(&counts, config, seconds_of(question, config));
            Some(Answer::bounded(metrics.get(metric)?, metrics.is_censored(metric)))
        }
        Quantity::Percentile(span, level) => {
            let AtLeast { value, is_bound } = spans_of(*span, &counts).quantile(*level)?;
            // For ever is at least as long as the run.
            let seconds = (value / 1e9).min(config.horizon.as_secs_f64());
            Some(Answer::bounded(seconds, is_bound || value.is_infinite()))
        }
        Quantity::Share(within) => {
            let (least, most) = share_of(within, &counts)?;
            Some(Answer { least, most: Some(most) })
        }
        Quantity::ErrorBudget { allowed, within } => {
            let (least, most) = failed(&counts, within.as_ref(), config.clients.is_some());
            let month = calm_rate_of(question, &counts, config) * MONTH_SECONDS;
            let used = |jobs: f64| jobs / (allowed * month);
            (month > 0.0).then(|| Answer { least: used(least), most: Some(used(most)) })
        }
    }
}

/// The counts of its class in its part of the run.
fn counts_of(question: &Question, outcome: &Outcome, config: &ModelConfig) -> ClassCounts {
    let part = question.part.as_ref().and_then(|part| config.parts.iter().position(|known| known == part));
    let classes = part.map_or(&outcome.classes, |part| &outcome.parts[part]);
    match question.class {
        Some(class) => classes[class].clone(),
        None => ClassCounts::sum(classes),
    }
}

/// Length of its part of the run.
fn seconds_of(question: &Question, config: &ModelConfig) -> f64 {
    match &question.part {
        Some(part) => part.seconds(SimTime(config.horizon.0)),
        None => (config.horizon - config.warmup).as_secs_f64(),
    }
}

/// Arrivals per second outside of spikes; those of the part itself where no rates are given.
fn calm_rate_of(question: &Question, counts: &ClassCounts, config: &ModelConfig) -> f64 {
    config
        .calm_rate(question.class)
        .unwrap_or_else(|| counts.offered_after_warmup() as f64 / seconds_of(question, config))
}

fn spans_of(span: Span, counts: &ClassCounts) -> Spans<'_> {
    match span {
        Span::Wait => counts.waits(),
        Span::Sojourn => counts.sojourns(),
    }
}

fn share_of(within: &Within, counts: &ClassCounts) -> Option<(f64, f64)> {
    let nanos = SimDuration::from_secs_f64(within.limit).0 as f64;
    spans_of(within.span, counts).share_within(nanos, within.inclusive)
}

/// The least and the most jobs that were refused, lost, failed for good, or too slow. With clients, a request is refused when
/// its client gives it up.
fn failed(counts: &ClassCounts, within: Option<&Within>, has_clients: bool) -> (f64, f64) {
    let refused = if has_clients { counts.extras.abandoned } else { counts.rejected_after_warmup() } as f64;
    let gone = counts.unended.never_completed as f64;
    let Some(within) = within else { return (refused + gone, refused + gone) };
    let spans = spans_of(within.span, counts);
    let (least, most) = share_of(within, counts).unwrap_or((1.0, 1.0));
    let slow = |share: f64| (1.0 - share) * spans.count() as f64;
    // Who is lost is slow as well, unless it waited no longer than allowed before a worker took it.
    let taken = gone - spans.endless as f64;
    (refused + taken + slow(most), refused + taken + slow(least))
}
