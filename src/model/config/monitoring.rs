//! What a monitoring system would look at, and what it would call people for.

use crate::engine::time::SimDuration;

/// How the service is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitoring {
    /// Distance of the scrapes. The first comes after half of it, so that no scrape lies on the edge of a window: there
    /// versions of Prometheus differ.
    pub scrape: SimDuration,
    /// Distance of the evaluations of the rules, the first at time zero.
    pub evaluation: SimDuration,
    /// The alerts; without any nothing is scraped.
    pub rules: Vec<AlertRule>,
}

/// A rule of Prometheus that alerts.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertRule {
    /// Its name.
    pub name: &'static str,
    /// What must be true.
    pub condition: Condition,
    /// For how long, before anybody is told.
    pub wait: SimDuration,
    /// Who is told.
    pub severity: Severity,
}

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Condition {
    /// The circuit of a gateway is OPEN; an alert for each gateway.
    CircuitOpen,
    /// More jobs are pending.
    PendingAbove(u64),
    /// More jobs are rejected.
    RejectionsAbove {
        /// Jobs per second.
        rate: f64,
        /// Over this time.
        window: SimDuration,
    },
    /// Fewer worker processes take jobs.
    WorkersBelow(u32),
}

/// Who is told of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Somebody is called.
    Critical,
    /// It is written down.
    Warning,
}

impl Severity {
    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
        }
    }
}

impl Monitoring {
    /// When the first scrape comes. Prometheus counts in milliseconds.
    pub fn first_scrape(&self) -> SimDuration {
        SimDuration(self.scrape.0 / 2_000_000 * 1_000_000)
    }
}
