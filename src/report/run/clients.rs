//! Requests, attempts and wasted work of clients, in numbers and in words.

use super::reading;
use crate::experiment::Findings;
use crate::model::config::RetryCapacity;
use crate::model::metric::{Metric, Unit};
use crate::report::kit::number;
use crate::scenario::Scenario;

/// Outcome of the clients' requests: means over the replications.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ClientFigures {
    requests: f64,
    abandoned: f64,
    open: f64,
    attempts: f64,
    timed_out: f64,
    amplification: Option<f64>,
    completed: f64,
    wasted: f64,
    capacity: Option<RetryCapacity>,
}

impl ClientFigures {
    /// `None` where there are no clients.
    pub(crate) fn of(scenario: &Scenario, findings: &Findings) -> Option<Self> {
        let details = reading::details(&scenario.model, findings.series.details.as_ref()).clients?;
        let mean = |metric: Metric| findings.summary.metric(metric).mean.unwrap_or(0.0);
        Some(Self {
            requests: mean(Metric::Requests),
            abandoned: mean(Metric::Abandoned),
            open: details.open_requests,
            attempts: mean(Metric::Requests) + mean(Metric::Retried),
            timed_out: mean(Metric::TimedOut),
            amplification: findings.summary.metric(Metric::Amplification).mean,
            completed: mean(Metric::Completed),
            wasted: mean(Metric::Wasted),
            capacity: scenario.model.retry_capacity(),
        })
    }

    /// Facts worth knowing: each a name of at most eight letters and a sentence without its full stop.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let answered = self.requests - self.abandoned - self.open;
        let (requests, shares) =
            number::apportion(self.requests, &[answered, self.abandoned, self.open], 1.0);
        let count = |count: f64| number::grouped(count, 0);
        let answer = format!(
            "{} = {} answered + {} given up + {} still open",
            count(requests),
            count(shares[0]),
            count(shares[1]),
            count(shares[2])
        );
        let attempts = format!(
            "{}, {} for each request; {} timed out",
            count(self.attempts),
            amplification(self.amplification),
            count(self.timed_out)
        );
        let wasted = match share(self.wasted, self.completed) {
            Some(share) => format!(
                "{} of {} completed jobs ({}) were wasted: the client had given up",
                count(self.wasted),
                count(self.completed),
                number::value(Unit::Fraction, share)
            ),
            None => "no job was completed".to_owned(),
        };
        let mut lines = vec![("requests", answer), ("attempts", attempts), ("wasted", wasted)];
        lines.extend(self.capacity.map(|capacity| ("capacity", retry_capacity(capacity))));
        lines
    }
}

/// Advertised and hidden capacity as a sentence without its full stop.
pub(crate) fn retry_capacity(capacity: RetryCapacity) -> String {
    let RetryCapacity { advertised, hidden, attempts } = capacity;
    let rate = |rate: f64| number::value(Unit::PerSecond, rate);
    if attempts > 1.0 {
        format!(
            "advertised {}, hidden {}: after an overload the service recovers on its own only below that, because a request is \
             then sent {} times",
            rate(advertised),
            rate(hidden),
            number::trimmed(attempts, 2)
        )
    } else {
        format!(
            "advertised {}, hidden the same: the circuit closes below the depth that clients wait for",
            rate(advertised)
        )
    }
}

pub(super) fn share(part: f64, of: f64) -> Option<f64> {
    (of > 0.0).then(|| part / of)
}

pub(super) fn amplification(factor: Option<f64>) -> String {
    factor.map_or_else(|| "–".to_owned(), |factor| number::grouped(factor, 2))
}
