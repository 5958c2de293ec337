//! What a monitoring system scrapes, and the rules that alert.

use crate::engine::time::SimDuration;

/// How the service is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitoring {
    /// Distance of the scrapes. The first comes after half of it, so that with usual settings no scrape lies on the edge of a
    /// window.
    pub scrape: SimDuration,
    /// Distance of the evaluations of the rules, the first at time zero.
    pub evaluation: SimDuration,
    /// Whose rules count: they differ for samples on the edge of a window.
    pub version: PrometheusVersion,
    /// The alerts; without any nothing is scraped.
    pub rules: Vec<AlertRule>,
}

/// The version of Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrometheusVersion {
    /// 2.x: a sample that is as old as the window is long counts.
    Two,
    /// 3.x: it does not count.
    Three,
}

/// A rule of Prometheus that alerts.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertRule {
    /// Its name.
    pub name: &'static str,
    /// When it is pending.
    pub condition: Condition,
    /// How long the condition must hold before the alert fires.
    pub wait: SimDuration,
    /// How it is delivered.
    pub severity: Severity,
}

/// The condition of an alert.
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
    /// A larger share of the jobs is rejected: how fast an objective on refusals is used up.
    RejectedShareAbove {
        /// The share.
        share: f64,
        /// Over this time.
        window: SimDuration,
    },
    /// More jobs are pending than are completed in this time: by Little's law the wait of whoever comes now.
    WaitAbove {
        /// Seconds.
        seconds: f64,
        /// Time over which completed jobs are counted.
        window: SimDuration,
    },
    /// Redis uses more bytes.
    MemoryAbove(u64),
}

/// How an alert is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It pages the person on call.
    Critical,
    /// It is only recorded.
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
