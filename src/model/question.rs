//! What objectives ask of a replication beyond its metrics: a part of the run, any percentile, a share, an error budget.

use super::config::{ModelConfig, Part};
use super::metric::{Metric, Unit};
use super::outcome::{ClassCounts, Outcome, class_metrics_over};
use crate::engine::time::{SimDuration, SimTime};
use crate::stats::spans::{AtLeast, Spans};

/// A question that each replication answers with one number.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Index of the job class; `None` for all.
    pub class: Option<usize>,
    /// Only the jobs that arrive in a part of the run; `None` for all after the warm-up.
    pub part: Option<Part>,
    /// What is asked.
    pub quantity: Quantity,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Quantity {
    /// A metric of jobs.
    Metric(Metric),
    /// The value that this share of the jobs does not exceed, in seconds.
    Percentile(Span, f64),
    /// The share of the jobs that are fast enough.
    Share(Within),
    /// The share of a month's error budget that is used up.
    ErrorBudget {
        /// The share of a month's jobs that may fail.
        allowed: f64,
        /// Jobs that are slower count as failed as well.
        within: Option<Within>,
    },
}

/// A time of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// In the waiting line.
    Wait,
    /// From arrival to completion.
    Sojourn,
}

/// A limit of a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Within {
    /// Which time.
    pub span: Span,
    /// In seconds.
    pub limit: f64,
    /// Whether the limit itself is fast enough.
    pub inclusive: bool,
}

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

impl Question {
    /// What it counts in.
    pub fn unit(&self) -> Unit {
        match &self.quantity {
            Quantity::Metric(metric) => metric.unit(),
            Quantity::Percentile(..) => Unit::Seconds,
            Quantity::Share(_) | Quantity::ErrorBudget { .. } => Unit::Fraction,
        }
    }

    /// What a replication answers; `None` where there is nothing to tell, as the share of no jobs.
    pub fn answer(&self, outcome: &Outcome, config: &ModelConfig) -> Option<Answer> {
        let counts = self.counts(outcome, config);
        match &self.quantity {
            &Quantity::Metric(metric) => {
                let metrics = class_metrics_over(&counts, config, self.seconds(config));
                Some(Answer::bounded(metrics.get(metric)?, metrics.is_censored(metric)))
            }
            &Quantity::Percentile(span, level) => {
                let AtLeast { value, is_bound } = span.of(&counts).quantile(level)?;
                // For ever is at least as long as the run.
                let seconds = (value / 1e9).min(config.horizon.as_secs_f64());
                Some(Answer::bounded(seconds, is_bound || value.is_infinite()))
            }
            Quantity::Share(within) => {
                let (least, most) = within.share(&counts)?;
                Some(Answer { least, most: Some(most) })
            }
            Quantity::ErrorBudget { allowed, within } => {
                let (least, most) = failed(&counts, within.as_ref(), config.clients.is_some());
                let month = self.calm_rate(&counts, config) * MONTH_SECONDS;
                let used = |jobs: f64| jobs / (allowed * month);
                (month > 0.0).then(|| Answer { least: used(least), most: Some(used(most)) })
            }
        }
    }

    /// The counts of its class in its part of the run.
    fn counts(&self, outcome: &Outcome, config: &ModelConfig) -> ClassCounts {
        let part = self.part.as_ref().and_then(|part| config.parts.iter().position(|known| known == part));
        let classes = part.map_or(&outcome.classes, |part| &outcome.parts[part]);
        match self.class {
            Some(class) => classes[class].clone(),
            None => ClassCounts::sum(classes),
        }
    }

    /// Length of its part of the run.
    fn seconds(&self, config: &ModelConfig) -> f64 {
        match &self.part {
            Some(part) => part.seconds(SimTime(config.horizon.0)),
            None => (config.horizon - config.warmup).as_secs_f64(),
        }
    }

    /// Arrivals per second outside of spikes; those of the part itself where no rates are given.
    fn calm_rate(&self, counts: &ClassCounts, config: &ModelConfig) -> f64 {
        config
            .calm_rate(self.class)
            .unwrap_or_else(|| counts.offered_after_warmup() as f64 / self.seconds(config))
    }
}

impl Span {
    fn of(self, counts: &ClassCounts) -> Spans<'_> {
        match self {
            Span::Wait => counts.waits(),
            Span::Sojourn => counts.sojourns(),
        }
    }
}

impl Within {
    fn share(&self, counts: &ClassCounts) -> Option<(f64, f64)> {
        let nanos = SimDuration::from_secs_f64(self.limit).0 as f64;
        self.span.of(counts).share_within(nanos, self.inclusive)
    }
}

/// The least and the most jobs that were refused, lost, failed for good, or too slow. With clients, a request is refused when
/// its client gives it up.
fn failed(counts: &ClassCounts, within: Option<&Within>, has_clients: bool) -> (f64, f64) {
    let refused = if has_clients { counts.extras.abandoned } else { counts.rejected_after_warmup() } as f64;
    let gone = counts.unended.never_completed as f64;
    let Some(within) = within else { return (refused + gone, refused + gone) };
    let spans = within.span.of(counts);
    let (least, most) = within.share(counts).unwrap_or((1.0, 1.0));
    let slow = |share: f64| (1.0 - share) * spans.count() as f64;
    // Who is lost is slow as well, unless it waited no longer than allowed before a worker took it.
    let taken = gone - spans.endless as f64;
    (refused + taken + slow(most), refused + taken + slow(least))
}
