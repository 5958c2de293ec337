//! What a replication answers to the questions of the objectives.

use super::config::{Clients, ModelConfig, Quantity, Question, Span, WaitFor, Within};
use super::outcome::{ClassCounts, Outcome, WithinLimit, class_metrics_over};
use crate::engine::time::{MONTH, SimTime};
use crate::stats::spans::{AtLeast, Spans};

/// An answer: the value is known to lie between two numbers, which are mostly one.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Answer {
    /// The least that it can be.
    pub least: f64,
    /// The most; `None` has no limit.
    pub most: Option<f64>,
}

impl Answer {
    /// A value that is known.
    pub fn exactly(value: f64) -> Self {
        Self { least: value, most: Some(value) }
    }

    /// A value, or a lower bound of it.
    pub fn bounded(value: f64, is_bound: bool) -> Self {
        Self { least: value, most: (!is_bound).then_some(value) }
    }

    /// Whether there is no most: the thing measured had not ended with the run.
    pub fn is_bound(&self) -> bool {
        self.most.is_none()
    }
}

/// The answers to the questions of a scenario, in their order.
pub fn answers(outcome: &Outcome, config: &ModelConfig) -> Vec<Option<Answer>> {
    let questions = config.questions.iter().zip(&outcome.within);
    questions.map(|(question, within)| answer(question, within, outcome, config)).collect()
}

/// What a replication answers; `None` where there is nothing to tell, as the share of no jobs.
fn answer(
    question: &Question,
    within: &[WithinLimit],
    outcome: &Outcome,
    config: &ModelConfig,
) -> Option<Answer> {
    let counts = counts_of(question, outcome, config);
    let limit = within_limit(question, within);
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
            let (least, most) = share_of(within, &counts, limit)?;
            Some(Answer { least, most: Some(most) })
        }
        Quantity::ErrorBudget { allowed, within } => {
            let (least, most) =
                failed(&counts, within.as_ref().map(|within| (within, limit)), config.clients.as_ref());
            let month = calm_rate_of(question, &counts, config) * MONTH.as_secs_f64();
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

/// Arrivals, of clients requests, per second outside of spikes; those of the part itself where no rates are given.
fn calm_rate_of(question: &Question, counts: &ClassCounts, config: &ModelConfig) -> f64 {
    config
        .calm_rate(question.class)
        .unwrap_or_else(|| wanted(counts, config) as f64 / seconds_of(question, config))
}

/// What was asked for: requests where clients send some again, else jobs.
fn wanted(counts: &ClassCounts, config: &ModelConfig) -> u64 {
    match config.clients {
        Some(_) => counts.extras.requests - counts.before_warmup.requests,
        None => counts.offered_after_warmup(),
    }
}

fn spans_of(span: Span, counts: &ClassCounts) -> Spans<'_> {
    match span {
        Span::Wait => counts.waits(),
        Span::Sojourn => counts.sojourns(),
    }
}

/// The least and the most share of the jobs that is within the limit: those that had not ended may go either way.
fn share_of(within: &Within, counts: &ClassCounts, limit: WithinLimit) -> Option<(f64, f64)> {
    let all = spans_of(within.span, counts).count() as f64;
    let share = |jobs: u64| jobs as f64 / all;
    (all > 0.0).then(|| (share(limit.ended), share(limit.ended + limit.open)))
}

/// The jobs of a question within its limit of a time, of those counted by class.
fn within_limit(question: &Question, by_class: &[WithinLimit]) -> WithinLimit {
    let is_asked = |(class, _): &(usize, &WithinLimit)| question.class.is_none_or(|asked| asked == *class);
    by_class.iter().enumerate().filter(is_asked).fold(WithinLimit::default(), |sum, (_, class)| WithinLimit {
        ended: sum.ended + class.ended,
        open: sum.open + class.open,
    })
}

/// The least and the most jobs, or requests of clients, that an error budget counts.
fn failed(
    counts: &ClassCounts,
    within: Option<(&Within, WithinLimit)>,
    clients: Option<&Clients>,
) -> (f64, f64) {
    let gone = counts.unended.never_completed as f64;
    let exactly = |jobs: f64| (jobs, jobs);
    if let Some(clients) = clients {
        // A request fails when its client gives it up. Who waits for the admission alone never hears of what is lost later.
        let unheard = if clients.wait_for == WaitFor::Completion { 0.0 } else { gone };
        return exactly(counts.abandoned_after_warmup() as f64 + unheard);
    }
    let refused = counts.rejected_after_warmup() as f64;
    let Some((within, limit)) = within else { return exactly(refused + gone) };
    let spans = spans_of(within.span, counts);
    let (least, most) = share_of(within, counts, limit).unwrap_or((1.0, 1.0));
    let slow = |share: f64| (1.0 - share) * spans.count() as f64;
    // Who never ends is slow. Of those that ended a wait and were lost later, some may have been slow as well: they are not
    // counted twice in the least, and may be in the most.
    let gone_later = gone - spans.endless as f64;
    let least_slow = slow(most) - spans.endless as f64;
    (refused + spans.endless as f64 + least_slow.max(gone_later), refused + slow(least) + gone_later)
}
