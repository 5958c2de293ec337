//! The faults: what goes wrong, when, and for how long.

use super::diagnostic::Code;
use super::log::Mistake;
use super::reader::{Section, quantity_of, wrong_type};
use super::setting::Kind;
use super::tree::Value;
use super::workers::FOR_EVER;
use crate::engine::time::{SimDuration, SimTime};
use crate::model::config::{Fault, FaultKind, Gateway, Workers};
use crate::units::{Quantity, fmt_duration};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    WorkerLoss,
    WorkerRestart,
    DatabaseSlow,
    RedisOutage,
    RedisSlow,
    RedisFailover,
    DepthFrozen,
    DepthMissing,
    GatewayLoss,
    ClockStep,
}

const SORTS: &[(&str, Sort)] = &[
    ("worker-loss", Sort::WorkerLoss),
    ("worker-restart", Sort::WorkerRestart),
    ("database-slow", Sort::DatabaseSlow),
    ("redis-outage", Sort::RedisOutage),
    ("redis-slow", Sort::RedisSlow),
    ("redis-failover", Sort::RedisFailover),
    ("depth-frozen", Sort::DepthFrozen),
    ("depth-missing", Sort::DepthMissing),
    ("gateway-loss", Sort::GatewayLoss),
    ("clock-step", Sort::ClockStep),
];

/// Reads `[[fault]]`, in order of time.
pub(super) fn read(
    top: &mut Section<'_>,
    duration: Option<SimDuration>,
    workers: &Workers,
    gateway: &Gateway,
) -> Vec<Fault> {
    let sections = top.sections(
        "fault",
        "What goes wrong. Recovery counts from the end of the last one, or of the last spike. Faults may overlap: slow \
         factors multiply, clock steps add up, a missing depth hides a frozen one, and what several faults take down is \
         back when the last of them ends.",
    );
    let mut faults: Vec<Fault> = sections
        .into_iter()
        .filter_map(|mut section| read_fault(&mut section, duration, workers, gateway))
        .collect();
    faults.sort_by_key(|fault| fault.at);
    faults
}

fn read_fault(
    section: &mut Section<'_>,
    duration: Option<SimDuration>,
    workers: &Workers,
    gateway: &Gateway,
) -> Option<Fault> {
    let sort = section.key("kind", "What goes wrong.").choice(SORTS).required();
    section.varies_with("kind");
    let kind_name =
        sort.and_then(|sort| SORTS.iter().find(|(_, other)| *other == sort)).map_or("", |(name, _)| name);
    let name = section.key("name", "Name of the fault in reports.").text().or_else(
        "its kind",
        format!("\"{kind_name}\""),
        kind_name.to_string(),
    );
    let at = section.key("at", "When the fault begins.").span().required();
    let lasts =
        section.key("for", "How long the fault lasts; default: to the end.").positive_span().optional();
    let kind = sort.and_then(|sort| read_kind(section, sort, workers, gateway));
    if sort.is_some() {
        section.close();
    }
    let at = SimTime(at?.0);
    if let Some(duration) = duration.filter(|duration| at.0 >= duration.0) {
        let (begin, total) = (fmt_duration(at.as_secs_f64()), fmt_duration(duration.as_secs_f64()));
        let message = format!("the fault would begin at {begin}, but `duration` is {total}");
        section.complain("at", Mistake::new(Code::Conflict, message, "must be before the end"));
    }
    if section.is_bad("for") {
        return None;
    }
    if let (Some(duration), Some(sort)) = (duration, sort)
        && !matches!(sort, Sort::WorkerRestart | Sort::ClockStep)
        && lasts.is_none_or(|lasts| (at + lasts).0 >= duration.0)
    {
        let path = section.path_of(if section.has("for") { "for" } else { "at" });
        section.log().warn(format!(
            "`{path}`: the fault `{name}` lasts to the end, so no recovery can be seen after it; `for` says how long it lasts"
        ));
    }
    Some(Fault { name, at, lasts: lasts.unwrap_or(FOR_EVER), kind: kind? })
}

fn read_kind(
    section: &mut Section<'_>,
    sort: Sort,
    workers: &Workers,
    gateway: &Gateway,
) -> Option<FaultKind> {
    let factor =
        |section: &mut Section<'_>, doc: &'static str| section.key("factor", doc).number(1.0, 1e6).required();
    Some(match sort {
        Sort::WorkerLoss => FaultKind::WorkerLoss {
            count: read_count(
                section,
                "Worker processes that die: a number, or \"all\".",
                workers.processes,
            )?,
        },
        Sort::WorkerRestart => FaultKind::WorkerRestart,
        Sort::DatabaseSlow => FaultKind::DatabaseSlow {
            factor: factor(section, "Factor on the database's part of a service time.")?,
        },
        Sort::RedisOutage => FaultKind::RedisOutage,
        Sort::RedisSlow => FaultKind::RedisSlow {
            factor: factor(section, "Factor on the time of commands and on the latency to Redis.")?,
        },
        Sort::RedisFailover => FaultKind::RedisFailover {
            lag: section.key("lag", "Lag of the replica: jobs enqueued within it are lost.").span().or("0s"),
        },
        Sort::DepthFrozen => FaultKind::DepthFrozen,
        Sort::DepthMissing => FaultKind::DepthMissing,
        Sort::GatewayLoss => FaultKind::GatewayLoss {
            count: read_count(section, "Gateways that die: a number, or \"all\".", gateway.instances)?,
        },
        Sort::ClockStep => FaultKind::ClockStep { nanos: read_step(section)? },
    })
}

fn read_count(section: &mut Section<'_>, doc: &'static str, all: u32) -> Option<u32> {
    let label = format!("from 1 to {all}, or \"all\"");
    section
        .key("count", doc)
        .typed(Kind::ChoiceOr(vec!["all"], Quantity::Count), move |item, _| match &item.value {
            Value::Text(text) if text == "all" => Ok(all),
            value => {
                let count = quantity_of(value, Quantity::Count)?;
                if (1.0..=f64::from(all)).contains(&count) {
                    return Ok(count as u32);
                }
                Err(Mistake::new(Code::OutOfRange, format!("`{count}` of {all} cannot be"), label.clone()))
            }
        })
        .required()
}

/// A duration with a sign.
fn read_step(section: &mut Section<'_>) -> Option<i64> {
    section
        .key("step", "Jump of the gateways' clock, such as \"60s\", or backwards \"-60s\".")
        .typed(Kind::Text, |item, kind| {
            let Value::Text(text) = &item.value else {
                return Err(wrong_type(&item.value, "a string", kind));
            };
            let (sign, size) = text.strip_prefix('-').map_or((1, text.as_str()), |size| (-1, size));
            let seconds = Quantity::Duration.parse(size)?;
            if seconds > MOST_STEP {
                let message = format!("`{text}` is further than a year");
                return Err(Mistake::new(Code::OutOfRange, message, "such as \"-60s\""));
            }
            Ok(sign * SimDuration::from_secs_f64(seconds).0 as i64)
        })
        .required()
}

const MOST_STEP: f64 = 365.0 * 86_400.0;
