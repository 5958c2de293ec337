//! Service level objectives: `metric{class=NAME}.statistic op number`, and what else can stand on the left.

mod reader;
mod scanner;

use std::borrow::Cow;

use super::diagnostic::did_you_mean;
use crate::model::config::{ModelConfig, Quantity, Question};
use crate::model::metric::{Metric, Unit};

pub(super) use scanner::SloFault;

/// One objective, as in `recovery_seconds.p95 < 120`, `lost_jobs{class=critical-alarm} == 0` or
/// `share(wait_seconds < 2s){phase=spike} >= 99%`.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    /// As written.
    pub expression: String,
    /// What is measured.
    pub subject: Subject,
    /// Index of the job class; `None` is the whole system.
    pub class: Option<usize>,
    /// Which figure over the replications.
    pub statistic: Statistic,
    /// How it is compared.
    pub relation: Relation,
    /// With what.
    pub limit: f64,
}

/// The left side of an objective.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// A metric of the whole run.
    Metric(Metric),
    /// Something else.
    Question {
        /// Its place in `ModelConfig::questions`.
        index: usize,
        /// As written, without the class and the statistic.
        name: String,
        /// What it asks.
        question: Box<Question>,
    },
}

/// The statistic over the replications that an objective bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Statistic {
    /// Mean, when nothing else is written.
    #[default]
    Mean,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// 95th percentile: the smallest value that at least 95% of the replications do not exceed, so the largest one with
    /// fewer than 20 of them.
    P95,
}

/// How an objective compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Statistic {
    const NAMES: [(&'static str, Statistic); 4] = [
        ("mean", Statistic::Mean),
        ("min", Statistic::Min),
        ("max", Statistic::Max),
        ("p95", Statistic::P95),
    ];
}

impl Relation {
    /// Whether it holds between what was observed and the limit.
    // Objectives compare counts for equality; a mean of zero jobs lost is exactly zero.
    #[allow(clippy::float_cmp)]
    pub fn holds(self, observed: f64, limit: f64) -> bool {
        match self {
            Self::Less => observed < limit,
            Self::LessOrEqual => observed <= limit,
            Self::Greater => observed > limit,
            Self::GreaterOrEqual => observed >= limit,
            Self::Equal => observed == limit,
            Self::NotEqual => observed != limit,
        }
    }

    /// The longer ones first, so that `<=` is not read as `<`.
    pub(crate) const NAMES: [(&'static str, Relation); 6] = [
        ("<=", Relation::LessOrEqual),
        (">=", Relation::GreaterOrEqual),
        ("==", Relation::Equal),
        ("!=", Relation::NotEqual),
        ("<", Relation::Less),
        (">", Relation::Greater),
    ];
}

impl Subject {
    /// What its values count in.
    pub fn unit(&self) -> Unit {
        match self {
            Subject::Metric(metric) => metric.unit(),
            Subject::Question { question, .. } => question.unit(),
        }
    }

    /// The name in reports.
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Subject::Metric(metric) => metric.name().into(),
            Subject::Question { name, .. } => name.clone().into(),
        }
    }

    /// Whether it is an error budget of the whole run, to which every job counts that is refused or lost.
    pub fn is_error_budget(&self) -> bool {
        let Subject::Question { question, .. } = self else { return false };
        matches!(question.quantity, Quantity::ErrorBudget { .. }) && question.part.is_none()
    }

    /// What it means that no replication has a value.
    pub fn when_absent(&self) -> &'static str {
        match self {
            Subject::Metric(metric) => metric.when_absent(),
            Subject::Question { .. } => "no value: no such jobs",
        }
    }
}

impl Slo {
    /// Reads an expression, and enters into the model what it asks beyond the metrics.
    pub(super) fn parse(expression: &str, model: &mut ModelConfig) -> Result<Slo, SloFault> {
        reader::read(expression, model)
    }

    /// The metric of the whole run that it bounds; `None` if it asks for something else.
    pub fn metric(&self) -> Option<Metric> {
        match self.subject {
            Subject::Metric(metric) => Some(metric),
            Subject::Question { .. } => None,
        }
    }
}

/// The metric of that name.
///
/// # Errors
///
/// A sentence that says there is none, and which name may be meant.
pub fn metric_named(name: &str) -> Result<Metric, String> {
    Metric::from_name(name).ok_or_else(|| {
        let near = did_you_mean(name, Metric::ALL.iter().map(|metric| metric.name()));
        format!("`{name}` is not a metric{near}; `simulate metrics` describes all")
    })
}

/// The names of all metrics.
pub(super) fn all_metrics() -> String {
    let all: Vec<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    format!("metrics: {}", all.join(", "))
}

/// How an objective writes a metric: `lost_jobs{class=critical-alarm}`.
pub fn name_of(metric: Metric, class: Option<&str>) -> String {
    match class {
        None => metric.name().to_owned(),
        Some(class) => format!("{}{{class={class}}}", metric.name()),
    }
}
