//! Findings in words and numbers, shared by page, terminal and charts.

use backpressure::Level;

use crate::engine::time::SimTime;
use crate::experiment::Findings;
use crate::experiment::series::{DetailSeries, Series};
use crate::experiment::summary::{AlertSummary, LimitAhead, SloResult, Summary};
use crate::model::config::{Fault, FaultKind, ModelConfig};
use crate::model::metric::{Metric, Unit};
use crate::report::kit::number::{self, bounded};
use crate::report::kit::text::printable;
use crate::report::kit::traffic::{self, Tone, Unmet};
use crate::scenario::Scenario;

/// The levels of the policy, the lowest first; none if it is switched off.
pub(crate) fn levels(scenario: &Scenario) -> Vec<Level> {
    let config = &scenario.model.policy.config;
    if config.enabled() { config.levels().iter().copied().collect() } else { Vec::new() }
}

/// A period of higher load, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spike {
    pub(crate) start: f64,
    pub(crate) end: f64,
}

/// The spikes of all sources in order of their start; overlapping and adjacent spikes are merged.
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

/// What an alert did, as a phrase.
pub(crate) fn alert(alert: &AlertSummary, replications: u32) -> String {
    let seconds = |seconds: f64| number::value(Unit::Seconds, seconds);
    if alert.fired_in == 0 {
        let quiet = match alert.longest_seconds {
            None => "quiet".to_owned(),
            Some(longest) => {
                let how_long = match longest {
                    0.0 => "at single evaluations only".to_owned(),
                    longest => format!("for {}", seconds(longest)),
                };
                format!("does not fire: true {how_long}, needs {}", seconds(alert.for_seconds))
            }
        };
        return match alert.lost_in {
            0 => quiet,
            lost => format!("{quiet}, although jobs are lost in {lost} of {replications}"),
        };
    }
    let mut text = format!("fires at {}", number::optional(Unit::Seconds, alert.fired_seconds));
    if replications > 1 {
        text += &format!(" in {} of {replications} replications", alert.fired_in);
    }
    match alert.lead_seconds {
        Some(lead) if lead > 0.0 => text += &format!(", {} before the first loss", seconds(lead)),
        Some(lead) => text += &format!(", {} after the first loss", seconds(-lead)),
        None => {}
    }
    if alert.too_late_in > 0 && alert.lost_in > 1 {
        text += &format!(", too late in {} of {} that lose jobs", alert.too_late_in, alert.lost_in);
    }
    text
}

/// A fault, in seconds, within the run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FaultPeriod {
    pub(crate) name: String,
    pub(crate) start: f64,
    pub(crate) end: f64,
    /// Whether it lasts until the end of the run.
    pub(crate) is_open: bool,
    /// What goes wrong, in words.
    pub(crate) what: String,
}

/// The faults in order of their start.
pub(crate) fn faults(scenario: &Scenario) -> Vec<FaultPeriod> {
    let horizon = SimTime(scenario.model.horizon.0);
    let within = scenario.model.faults.iter().filter(|fault| fault.at < horizon);
    let mut faults: Vec<FaultPeriod> = within
        .map(|fault| FaultPeriod {
            name: printable(&fault.name),
            start: fault.at.as_secs_f64(),
            end: fault.end().min(horizon).as_secs_f64(),
            is_open: fault.end() >= horizon,
            what: what_goes_wrong(fault),
        })
        .collect();
    faults.sort_by(|a, b| a.start.total_cmp(&b.start));
    faults
}

fn what_goes_wrong(fault: &Fault) -> String {
    let count = |count: u32, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    };
    let times = |factor: f64| number::trimmed(factor, 2);
    match fault.kind {
        FaultKind::WorkerLoss { count: lost } => {
            format!("{} killed", count(lost, "worker process", "worker processes"))
        }
        FaultKind::WorkerRestart => "all worker processes restart gracefully".to_owned(),
        FaultKind::DatabaseSlow { factor } => format!("database work takes {} times as long", times(factor)),
        FaultKind::RedisOutage => "Redis does not answer".to_owned(),
        FaultKind::RedisSlow { factor } => {
            format!("Redis and the network to it take {} times as long", times(factor))
        }
        FaultKind::RedisFailover { lag } => format!(
            "Redis fails over to a replica that is {} behind",
            number::value(Unit::Seconds, lag.as_secs_f64())
        ),
        FaultKind::DepthFrozen => "the gateways keep seeing the depth from the start of the fault".to_owned(),
        FaultKind::DepthMissing => "the gateways see no depth".to_owned(),
        FaultKind::GatewayLoss { count: lost } => format!("{} down", count(lost, "gateway", "gateways")),
        FaultKind::ClockStep { nanos } => {
            let size = number::value(Unit::Seconds, nanos.unsigned_abs() as f64 / 1e9);
            format!("the gateways' clock jumps {size} {}", if nanos < 0 { "back" } else { "ahead" })
        }
    }
}

/// The moment from which recovery times count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Start,
    Spike,
    Fault,
}

impl Origin {
    /// `after the last spike`.
    fn since(self) -> &'static str {
        match self {
            Origin::Start => "after the start",
            Origin::Spike => "after the last spike",
            Origin::Fault => "after the last fault",
        }
    }

    /// `the end of the last spike`.
    pub(crate) fn moment(self) -> &'static str {
        match self {
            Origin::Start => "the start",
            Origin::Spike => "the end of the last spike",
            Origin::Fault => "the end of the last fault",
        }
    }
}

/// The moment from which recovery times count, with its time in seconds: the end of the last spike or fault, or the start.
pub(crate) fn recovery_origin(scenario: &Scenario) -> (Origin, f64) {
    let spike = spikes(scenario).iter().map(|spike| spike.end).reduce(f64::max);
    let fault = faults(scenario).iter().map(|fault| fault.end).reduce(f64::max);
    match (spike, fault) {
        (None, None) => (Origin::Start, 0.0),
        (Some(spike), fault) if fault.is_none_or(|fault| fault < spike) => (Origin::Spike, spike),
        (spike, fault) => (Origin::Fault, fault.or(spike).unwrap_or(0.0)),
    }
}

/// Which details of the detailed level a scenario uses, with their course; all `None` where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DetailsInUse<'a> {
    /// Clients that wait for answers.
    pub(crate) clients: Option<&'a DetailSeries>,
    /// Workers whose number changes.
    pub(crate) workers: Option<&'a DetailSeries>,
    /// A limited pool of connections, and how many there are.
    pub(crate) connections: Option<(&'a DetailSeries, u32)>,
    /// Commands that take Redis time.
    pub(crate) redis: Option<&'a DetailSeries>,
}

/// The details in use.
pub(crate) fn details<'a>(model: &ModelConfig, series: Option<&'a DetailSeries>) -> DetailsInUse<'a> {
    let Some(details) = series else { return DetailsInUse::default() };
    let loses_workers = model
        .faults
        .iter()
        .any(|fault| matches!(fault.kind, FaultKind::WorkerLoss { .. } | FaultKind::WorkerRestart));
    let workers_change = loses_workers || model.autoscaler.is_some() || model.workers.crashes.is_some();
    let pool = model.workers.database.and_then(|database| database.pool);
    DetailsInUse {
        clients: model.clients.map(|_| details),
        workers: workers_change.then_some(details),
        connections: pool.map(|pool| (details, pool)),
        redis: model.redis.operations.map(|_| details),
    }
}

/// Median of a metric over the replications that observed it; `None` if at most half of them did.
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

/// The recovery time, its origin, and how many replications did not recover.
pub(crate) fn recovery(scenario: &Scenario, summary: &Summary) -> String {
    let estimate = summary.metric(Metric::Recovery);
    let shown = number::estimate(Unit::Seconds, estimate);
    let since = recovery_origin(scenario).0.since();
    match (estimate.censored, estimate.n) {
        (_, 0) => "no spike or fault to recover from".to_owned(),
        (0, _) => format!("{shown} {since}"),
        (censored, n) if censored >= n => "not within the run".to_owned(),
        (censored, n) => {
            format!("{} {since}, {censored} of {n} not within the run", bounded(&shown, true))
        }
    }
}

/// When everything was normal again, where that is not when it had recovered: `129 s after the last spike`, or never.
pub(crate) fn normal_again(scenario: &Scenario, summary: &Summary) -> Option<String> {
    let (recovered, normal) = (summary.metric(Metric::Recovery), summary.metric(Metric::NormalAgain));
    if normal.n == 0 || recovered == normal {
        return None;
    }
    let shown = number::estimate(Unit::Seconds, normal);
    let since = recovery_origin(scenario).0.since();
    let lost = summary.metric(Metric::Lost).max.unwrap_or(0.0) > 0.0;
    let why = if lost { "jobs are lost for good" } else { "more wait than in the calm before" };
    Some(match (normal.censored, normal.n) {
        (0, _) => format!("{shown} {since}: no more jobs wait than in the calm before"),
        (censored, n) if censored >= n => format!("never: {why}"),
        (censored, n) => format!("{} {since}, never in {censored} of {n}: {why}", bounded(&shown, true)),
    })
}

/// The limits that were not reached, each with the closest approach in percent; the nearest first.
pub(crate) fn limits_ahead(summary: &Summary) -> Vec<String> {
    let share = |ahead: &LimitAhead| {
        // Rounded down, so that a limit that was not reached never shows 100 %.
        let percent = (ahead.used * 100.0).floor().min(99.0);
        let shown = if ahead.used > 0.0 && percent < 1.0 { "<1".to_owned() } else { format!("{percent:.0}") };
        format!("{} ({shown} %)", ahead.limit)
    };
    summary.limits_ahead.iter().map(share).collect()
}

/// Introduces the list of [`limits_ahead`].
pub(crate) const LIMITS_AHEAD: &str = "not reached, and how near each came:";

/// The verdict as the sum of the objectives, and what it does not judge.
pub(crate) fn verdict(summary: &Summary) -> (Tone, String) {
    let count = |is: &dyn Fn(&SloResult) -> bool| summary.slo.iter().filter(|result| is(result)).count();
    let unmet = Unmet {
        missed: count(&|result| !result.is_as_meant() && !result.pass && result.judged),
        open: count(&|result| !result.is_as_meant() && !result.judged),
        met: count(&|result| !result.is_as_meant() && result.pass),
        expected: count(&|result| result.is_as_meant() && result.expected_miss),
    };
    traffic::verdict(summary.slo.len(), unmet, summary.verdict, &summary.traffic)
}

/// Something that broke, in the order in which it is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Break {
    pub(crate) what: String,
    pub(crate) seconds: f64,
    /// The share in the end, how often, or how long.
    pub(crate) remarks: Vec<String>,
    /// Jobs are refused or lost; else it is a limit or a fault.
    pub(crate) is_harm: bool,
}

/// The first refusal and the first loss, then faults and limits by their time.
pub(crate) fn breaks(summary: &Summary) -> Vec<Break> {
    let how_often = |replications: u32| match summary.replications {
        1 => None,
        n => Some(format!("in {replications} of {n} replications")),
    };
    let harms = traffic::firsts(&summary.traffic).into_iter().map(|(what, first, part)| Break {
        what: what.to_owned(),
        seconds: first.seconds,
        remarks: how_often(first.replications)
            .into_iter()
            .chain([format!("{} in the end", traffic::share(part))])
            .collect(),
        is_harm: true,
    });
    let limits = summary.limits_reached.iter().map(|reached| Break {
        what: reached.limit.to_owned(),
        seconds: reached.seconds,
        remarks: how_often(reached.replications).into_iter().collect(),
        is_harm: false,
    });
    let faults = summary.traffic.faults.iter().map(|fault| Break {
        what: format!("fault {}", printable(&fault.name)),
        seconds: fault.begins_seconds,
        remarks: vec![format!(
            "for {}",
            number::value(Unit::Seconds, fault.ends_seconds - fault.begins_seconds)
        )],
        is_harm: false,
    });
    // A fault comes before what it does at the same time.
    let mut causes: Vec<Break> = faults.chain(limits).collect();
    causes.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    harms.chain(causes).collect()
}

/// A time in which a closed circuit is no good sign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Trouble {
    pub(crate) start: f64,
    pub(crate) end: f64,
    pub(crate) what: &'static str,
}

/// When Redis is down by a fault, and when jobs are lost in the mean over the replications; in order of time, without overlap.
pub(crate) fn troubles(scenario: &Scenario, series: &Series) -> Vec<Trouble> {
    let horizon = SimTime(scenario.model.horizon.0);
    let is_down =
        |fault: &&Fault| matches!(fault.kind, FaultKind::RedisOutage | FaultKind::RedisFailover { .. });
    let down = scenario.model.faults.iter().filter(|fault| fault.at < horizon).filter(is_down);
    let down: Vec<Trouble> = down
        .map(|fault| Trouble {
            start: fault.at.as_secs_f64(),
            end: fault.end().min(horizon).as_secs_f64(),
            what: "Redis down",
        })
        .collect();
    let lost = |point: usize| -> f64 { series.lost.iter().map(|totals| totals[point]).sum() };
    let mut troubles = down;
    for (point, &end) in series.seconds.iter().enumerate() {
        let before = if point == 0 { 0.0 } else { lost(point - 1) };
        let start = if point == 0 { 0.0 } else { series.seconds[point - 1] };
        let is_told = |told: &Trouble| told.what != LOST && told.start < end && told.end > start;
        if lost(point) <= before || troubles.iter().any(is_told) {
            continue;
        }
        match troubles.last_mut() {
            Some(last) if last.what == LOST && (last.end - start).abs() < 1e-9 => last.end = end,
            _ => troubles.push(Trouble { start, end, what: LOST }),
        }
    }
    troubles.sort_by(|a, b| a.start.total_cmp(&b.start));
    troubles
}

const LOST: &str = "jobs lost";

/// The answer in one sentence: how deep, whether the circuit opened, how long until recovery.
pub(crate) fn answer(scenario: &Scenario, findings: &Findings) -> String {
    let summary = &findings.summary;
    let peak = number::estimate(Unit::Jobs, summary.metric(Metric::PeakDepth));
    let openings = summary.metric(Metric::CircuitOpenings).mean.unwrap_or(0.0);
    let circuit = if levels(scenario).is_empty() {
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
    let recovery = match summary.metric(Metric::Recovery).n {
        0 => "there is no spike or fault to recover from".to_owned(),
        _ => format!("recovery {}", recovery(scenario, summary)),
    };
    let normal = normal_again(scenario, summary).map(|normal| format!("; normal again {normal}"));
    format!("The queue peaks at {peak} jobs, {circuit}; {recovery}{}.", normal.unwrap_or_default())
}

/// `mean of 10 replications`, or that there is only one.
pub(crate) fn basis(replications: u32) -> String {
    match replications {
        1 => "one replication".to_owned(),
        n => format!("mean of {n} replications"),
    }
}
