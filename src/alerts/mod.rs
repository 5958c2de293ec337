//! Which alerts a monitoring system would have raised, and when.
//!
//! The rules are evaluated on the scrapes of a run as Prometheus evaluates them on its own (`promql`), so that what is
//! said here is what would happen there; `tests/it/prometheus.rs` holds it against Prometheus itself.

mod promql;

use contract::metrics;
use serde::{Deserialize, Serialize};

use crate::engine::time::{SimDuration, SimTime};
use crate::model::config::{AlertRule, Condition, Monitoring, PrometheusVersion};
use crate::model::scrape::{QueueScrape, Scrape};
use promql::Samples;

/// What one alert did in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertCourse {
    /// When its condition was first true.
    pub first_true: Option<SimTime>,
    /// When it first fired.
    pub fired: Option<SimTime>,
    /// The longest time for which its condition was true at every evaluation.
    pub longest: SimDuration,
}

/// One alert of one series that was firing at an evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firing {
    /// Index of its rule.
    pub rule: usize,
    /// Index of the gateway that it is about, where there is one for each.
    pub gateway: Option<usize>,
}

/// What every rule did over a run, in the order of the rules.
pub fn courses(monitoring: &Monitoring, scrapes: &[Scrape], horizon: SimDuration) -> Vec<AlertCourse> {
    let mut courses = vec![AlertCourse::default(); monitoring.rules.len()];
    follow(monitoring, scrapes, horizon, |now, alert| {
        let course = &mut courses[alert.rule];
        course.first_true = course.first_true.or(Some(alert.active_since));
        course.longest = course.longest.max(now.since(alert.active_since));
        if alert.is_firing {
            course.fired = course.fired.or(Some(now));
        }
    });
    courses
}

/// The alerts that fire at each evaluation, for those at which any does.
pub fn firings(
    monitoring: &Monitoring,
    scrapes: &[Scrape],
    horizon: SimDuration,
) -> Vec<(SimTime, Vec<Firing>)> {
    let mut firings: Vec<(SimTime, Vec<Firing>)> = Vec::new();
    follow(monitoring, scrapes, horizon, |now, alert| {
        if !alert.is_firing {
            return;
        }
        if firings.last().is_none_or(|(time, _)| *time != now) {
            firings.push((now, Vec::new()));
        }
        if let Some((_, list)) = firings.last_mut() {
            list.push(Firing { rule: alert.rule, gateway: alert.gateway });
        }
    });
    firings
}

/// An alert that is pending or firing.
struct Active {
    rule: usize,
    gateway: Option<usize>,
    active_since: SimTime,
    is_firing: bool,
}

/// Evaluates all rules at each evaluation time and reports every alert that is pending or firing. An alert is pending once its
/// expression holds, and fires after its `for` duration.
fn follow(
    monitoring: &Monitoring,
    scrapes: &[Scrape],
    horizon: SimDuration,
    mut tell: impl FnMut(SimTime, Active),
) {
    let gateways = scrapes.first().map_or(0, |scrape| scrape.circuits.len());
    let mut since: Vec<Vec<Option<SimTime>>> = monitoring
        .rules
        .iter()
        .map(|rule| vec![None; if rule.condition == Condition::CircuitOpen { gateways } else { 1 }])
        .collect();
    let mut now = SimTime::ZERO;
    let mut seen = 0;
    while now.0 <= horizon.0 {
        while scrapes.get(seen).is_some_and(|scrape| scrape.at <= now) {
            seen += 1;
        }
        let samples = Samples { all: &scrapes[..seen], now, version: monitoring.version };
        for (rule, (AlertRule { condition, wait, .. }, since)) in
            monitoring.rules.iter().zip(&mut since).enumerate()
        {
            let is_circuit = *condition == Condition::CircuitOpen;
            for (series, since) in since.iter_mut().enumerate() {
                if !holds(*condition, samples, series) {
                    *since = None;
                    continue;
                }
                let active_since = *since.get_or_insert(now);
                tell(
                    now,
                    Active {
                        rule,
                        gateway: is_circuit.then_some(series),
                        active_since,
                        is_firing: now.since(active_since) >= *wait,
                    },
                );
            }
        }
        now += monitoring.evaluation;
    }
}

/// Whether a condition is true of a series.
fn holds(condition: Condition, samples: Samples<'_>, series: usize) -> bool {
    let queue = |value: fn(&QueueScrape) -> u64| samples.latest(|scrape| scrape.queue.as_ref().map(value));
    match condition {
        Condition::CircuitOpen => samples.latest(|scrape| scrape.circuits[series]) == Some(2),
        Condition::PendingAbove(jobs) => queue(|queue| queue.pending).is_some_and(|pending| pending > jobs),
        Condition::WorkersBelow(processes) => {
            queue(|queue| u64::from(queue.workers)).is_some_and(|workers| workers < u64::from(processes))
        }
        Condition::RejectionsAbove { rate, window } => {
            rejection_rate_at(samples, window).is_some_and(|rejections| rejections > rate)
        }
        Condition::RejectedShareAbove { share, window } => {
            let rates = rejection_rate_at(samples, window).zip(acceptance_rate_at(samples, window));
            // Nothing of nothing is no number, which is above nothing.
            rates.is_some_and(|(rejected, accepted)| rejected / (rejected + accepted) > share)
        }
        Condition::WaitAbove { seconds, window } => {
            let completed = samples.rate(window, |scrape| scrape.queue.map(|queue| queue.completed));
            let pending = queue(|queue| queue.pending);
            pending.zip(completed).is_some_and(|(pending, rate)| pending as f64 / rate > seconds)
        }
        Condition::MemoryAbove(bytes) => queue(|queue| queue.redis).is_some_and(|used| used > bytes),
    }
}

/// `sum(rate(rejections[window]))`: jobs per second, `None` before there are two scrapes.
pub fn rejection_rate(
    scrapes: &[Scrape],
    now: SimTime,
    window: SimDuration,
    version: PrometheusVersion,
) -> Option<f64> {
    rejection_rate_at(Samples::until(scrapes, now, version), window)
}

/// `rate(completed jobs[window])`: jobs per second.
pub fn processing_rate(
    scrapes: &[Scrape],
    now: SimTime,
    window: SimDuration,
    version: PrometheusVersion,
) -> Option<f64> {
    Samples::until(scrapes, now, version).rate(window, |scrape| scrape.queue.map(|queue| queue.completed))
}

/// What the gateways said of the queue at the last scrape.
pub fn queue_at(scrapes: &[Scrape], now: SimTime) -> Option<QueueScrape> {
    Samples::until(scrapes, now, PrometheusVersion::Three).latest(|scrape| scrape.queue)
}

fn rejection_rate_at(samples: Samples<'_>, window: SimDuration) -> Option<f64> {
    sum_of_rates(samples, window, |scrape| &scrape.rejected)
}

fn acceptance_rate_at(samples: Samples<'_>, window: SimDuration) -> Option<f64> {
    sum_of_rates(samples, window, |scrape| &scrape.accepted)
}

/// `sum(rate(jobs[window]))` of a counter of each class.
fn sum_of_rates(samples: Samples<'_>, window: SimDuration, jobs: fn(&Scrape) -> &Vec<u64>) -> Option<f64> {
    let classes = jobs(samples.all.last()?).len();
    let rates = (0..classes).map(|class| samples.rate_of_growing(window, |scrape| jobs(scrape)[class]));
    rates.flatten().reduce(|sum, rate| sum + rate)
}

impl Condition {
    /// The condition as an expression of PromQL.
    pub fn promql(self) -> String {
        match self {
            Condition::CircuitOpen => format!("{} == 2", metrics::CIRCUIT_STATE.name),
            Condition::PendingAbove(jobs) => format!("{} > {jobs}", metrics::QUEUE_TOTAL_PENDING.name),
            Condition::RejectionsAbove { rate, window } => {
                format!("sum(rate({}[{}])) > {rate}", metrics::REJECTED.name, prometheus_duration(window))
            }
            Condition::WorkersBelow(processes) => format!("{} < {processes}", metrics::WORKERS.name),
            Condition::RejectedShareAbove { share, window } => {
                let window = prometheus_duration(window);
                let rate = |name: &str| format!("sum(rate({name}[{window}]))");
                let (rejected, accepted) = (rate(metrics::REJECTED.name), rate(metrics::ACCEPTED.name));
                format!("{rejected} / ({rejected} + {accepted}) > {share}")
            }
            // Every gateway tells the same number of the one queue.
            Condition::WaitAbove { seconds, window } => format!(
                "max({}) / max(rate({}[{}])) > {seconds}",
                metrics::QUEUE_TOTAL_PENDING.name,
                metrics::QUEUE_COMPLETED.name,
                prometheus_duration(window)
            ),
            Condition::MemoryAbove(bytes) => format!("{} > {bytes}", metrics::REDIS_MEMORY_USED.name),
        }
    }

    /// The condition that an expression of [`Condition::promql`] is; `None` of any other.
    pub fn of_promql(expression: &str) -> Option<Self> {
        let (left, limit) = expression.rsplit_once(' ')?;
        let window = || span_of(left.split_once('[')?.1.split_once(']')?.0);
        let known = |limit: &str| {
            let whole = limit.parse::<u64>().ok();
            let number = limit.parse::<f64>().ok()?;
            Some([
                Some(Self::CircuitOpen),
                whole.map(Self::PendingAbove),
                whole.map(Self::MemoryAbove),
                whole.and_then(|whole| Some(Self::WorkersBelow(u32::try_from(whole).ok()?))),
                window().map(|window| Self::RejectionsAbove { rate: number, window }),
                window().map(|window| Self::RejectedShareAbove { share: number, window }),
                window().map(|window| Self::WaitAbove { seconds: number, window }),
            ])
        };
        known(limit)?.into_iter().flatten().find(|condition| condition.promql() == expression)
    }
}

/// The duration that Prometheus writes so, in hours, minutes, seconds and milliseconds; `None` of any other text.
pub fn span_of(text: &str) -> Option<SimDuration> {
    let mut millis = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        let length = match &rest[digits..unit] {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return None,
        };
        millis = count.checked_mul(length)?.checked_add(millis)?;
        rest = &rest[unit..];
    }
    Some(SimDuration(millis.checked_mul(1_000_000)?))
}

/// A duration as Prometheus writes it: `1h30m`, `7s500ms`.
pub fn prometheus_duration(duration: SimDuration) -> String {
    let mut millis = duration.0 / 1_000_000;
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, length) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if millis >= length {
            text += &format!("{}{unit}", millis / length);
            millis %= length;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::config::Severity;

    const SECOND: u64 = 1_000_000_000;

    fn scrape(second: u64, pending: u64, rejected: u64) -> Scrape {
        let queue =
            QueueScrape { pending, active: 0, completed: 0, failed: 0, lost: 0, workers: 3, redis: 0 };
        Scrape {
            at: SimTime(second * SECOND + SECOND / 2),
            queue: Some(queue),
            rejected: vec![rejected],
            accepted: vec![10 * second],
            circuits: vec![Some(0), Some(if pending > 10 { 2 } else { 0 })],
        }
    }

    fn monitoring(condition: Condition, wait: u64) -> Monitoring {
        Monitoring {
            scrape: SimDuration::SECOND,
            evaluation: SimDuration::SECOND,
            version: PrometheusVersion::Three,
            rules: vec![AlertRule {
                name: "A",
                condition,
                wait: SimDuration(wait * SECOND),
                severity: Severity::Warning,
            }],
        }
    }

    #[test]
    fn an_alert_waits_and_forgets() {
        // Above 10 from second 2 to 4, and from 7 on: seen at the evaluations at 3 to 5, and from 8 on.
        let depths = [0, 5, 20, 30, 11, 10, 0, 12, 12, 12, 12, 12];
        let scrapes: Vec<_> =
            depths.iter().enumerate().map(|(second, depth)| scrape(second as u64, *depth, 0)).collect();
        let at = |second| Some(SimTime(second * SECOND));
        for condition in [Condition::PendingAbove(10), Condition::CircuitOpen] {
            let course = |wait| courses(&monitoring(condition, wait), &scrapes, SimDuration(12 * SECOND))[0];
            let longest = SimDuration(4 * SECOND);
            assert_eq!(course(0), AlertCourse { first_true: at(3), fired: at(3), longest });
            assert_eq!(course(2), AlertCourse { first_true: at(3), fired: at(5), longest });
            assert_eq!(course(3), AlertCourse { first_true: at(3), fired: at(11), longest });
            assert_eq!(course(5), AlertCourse { first_true: at(3), fired: None, longest });
        }
        let firings = firings(&monitoring(Condition::CircuitOpen, 3), &scrapes, SimDuration(12 * SECOND));
        let second_gateway = vec![Firing { rule: 0, gateway: Some(1) }];
        assert_eq!(
            firings,
            [(SimTime(11 * SECOND), second_gateway.clone()), (SimTime(12 * SECOND), second_gateway)]
        );
    }

    #[test]
    fn what_is_not_scraped_is_stale_at_the_next_scrape() {
        // Above 10 in seconds 0 to 3 and from 8 on; nothing is read in seconds 4 to 7. A `for` that is not over by then begins anew.
        let mut scrapes: Vec<_> = (0..20).map(|second| scrape(second, 20, 0)).collect();
        scrapes[4..8].iter_mut().for_each(|blind| (blind.queue, blind.circuits) = (None, vec![None, None]));
        let at = |second| Some(SimTime(second * SECOND));
        for condition in [Condition::PendingAbove(10), Condition::CircuitOpen] {
            let course = |wait| courses(&monitoring(condition, wait), &scrapes, SimDuration(18 * SECOND))[0];
            let longest = SimDuration(9 * SECOND);
            assert_eq!(course(3), AlertCourse { first_true: at(1), fired: at(4), longest });
            assert_eq!(course(4), AlertCourse { first_true: at(1), fired: at(13), longest });
            assert_eq!(course(10), AlertCourse { first_true: at(1), fired: None, longest });
        }
    }

    #[test]
    fn a_share_and_a_wait_are_of_rates() {
        // 10 jobs a second are accepted, and from second 10 on 30 a second rejected: three of four. None is completed.
        let scrapes: Vec<_> =
            (0..20).map(|second: u64| scrape(second, second / 15, 30 * second.saturating_sub(10))).collect();
        let fired =
            |condition| courses(&monitoring(condition, 0), &scrapes, SimDuration(19 * SECOND))[0].fired;
        let window = SimDuration(2 * SECOND);
        let share = |share| fired(Condition::RejectedShareAbove { share, window });
        assert_eq!(share(0.0), Some(SimTime(12 * SECOND)));
        // A counter that was zero is not extrapolated to before that, so the first share is a little lower.
        assert_eq!(share(0.74), Some(SimTime(13 * SECOND)));
        assert_eq!(share(0.75), None);
        // Nothing pending is no wait, however little is completed; one job that is never completed waits for ever.
        let wait = Condition::WaitAbove { seconds: 1e9, window };
        assert_eq!(fired(wait), Some(SimTime(16 * SECOND)));
        assert_eq!(fired(Condition::MemoryAbove(0)), None);
    }

    #[test]
    fn expressions_are_read_as_they_are_written() {
        let window = SimDuration(90 * SECOND);
        for condition in [
            Condition::CircuitOpen,
            Condition::PendingAbove(5_000),
            Condition::MemoryAbove(1 << 40),
            Condition::WorkersBelow(3),
            Condition::RejectionsAbove { rate: 100.0, window },
            Condition::RejectedShareAbove { share: 0.024, window },
            Condition::WaitAbove { seconds: 1.5, window },
        ] {
            assert_eq!(Condition::of_promql(&condition.promql()), Some(condition));
        }
        assert_eq!(Condition::of_promql("up == 0"), None);
        for millis in [0, 1, 7_500, 90_000, 5_415_000] {
            let span = SimDuration(millis * 1_000_000);
            assert_eq!(span_of(&prometheus_duration(span)), Some(span));
        }
        assert_eq!(span_of("5d"), None);
    }

    #[test]
    fn durations_are_written_as_prometheus_reads_them() {
        let shown = |millis: u64| prometheus_duration(SimDuration(millis * 1_000_000));
        assert_eq!(shown(300_000), "5m");
        assert_eq!(shown(7_500), "7s500ms");
        assert_eq!(shown(5_415_000), "1h30m15s");
        assert_eq!(shown(0), "0s");
    }
}
