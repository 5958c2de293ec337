//! Other configurations of a scenario: which to try, what they cost, and how certain the choice must be.

use super::diagnostic::Code;
use super::log::{Log, Mistake};
use super::reader::{Section, wrong_type};
use super::setting::Kind;
use super::slo::{all_metrics, metric_named};
use super::tree::{Item, Value};
use crate::model::metric::Metric;
use crate::units::Quantity;

/// The configurations of a sweep as written; `study::grid` parses them when all settings are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepSettings {
    /// Each a setting and its values, as in `policy.critical=5k..100k:*2`.
    pub axes: Vec<String>,
    /// Each a comparison that every variant must satisfy, as in `policy.warning < 0.5 * policy.critical`.
    pub constraints: Vec<String>,
}

/// What a configuration costs in a month.
///
/// An autoscaled fleet costs what it is in calm times, and more for each incident ([`crate::study::cost`]).
///
/// Without any price, a worker process costs 1 and everything else nothing: the cheapest configuration is then the
/// one with the fewest processes.
#[derive(Clone, Debug, PartialEq)]
pub struct Prices {
    /// Prefix of amounts; empty if they are not money.
    pub currency: String,
    /// For each worker process.
    pub worker: f64,
    /// For each job that can be in service at a time: processes x concurrency.
    pub slot: f64,
    /// For each gateway.
    pub gateway: f64,
    /// For each GiB of `redis.maxmemory`.
    pub redis_gib: f64,
    /// For each job rejected.
    pub rejected_job: f64,
    /// For each job lost.
    pub lost_job: f64,
    /// How often per month the scenario happens: it multiplies the prices of jobs, and what an autoscaled fleet costs
    /// beyond its calm.
    pub occurrences: f64,
    /// The course of a calm day; empty for one like the calm of the scenario.
    pub day: Vec<DayPart>,
}

/// A part of the day and its load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DayPart {
    /// Which share of the day it is.
    pub share: f64,
    /// Its load as a multiple of that in the calm of the scenario.
    pub factor: f64,
}

/// How the planner chooses.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanSettings {
    /// Probability of a correct selection that the procedure guarantees.
    pub confidence: f64,
    /// Differences below this fraction of the best do not matter.
    pub indifference: f64,
    /// The metric that decides between configurations of equal cost; less is better.
    pub tie_break: Metric,
    /// Most configurations simulated in full at each level of cost.
    pub finalists: usize,
    /// Most replications before a configuration is called undecided.
    pub most_replications: u32,
    /// Jobs per second that one Redis handles end to end; decides the number of queues.
    pub redis_throughput: f64,
}

pub(super) fn read_sweep(mut sweep: Section<'_>) -> SweepSettings {
    let axes = read_texts(
        &mut sweep,
        "axes",
        "Settings to vary, with their values: \"policy.critical=5k..100k:*2\", \"workers.concurrency=10,20,40\", \
         \"policy.warning=0.1,0.2 of policy.critical\".",
    );
    let constraints = read_texts(
        &mut sweep,
        "where",
        "Conditions that every variant must satisfy: \"policy.warning <= 0.5 * policy.critical\".",
    );
    sweep.close();
    SweepSettings { axes, constraints }
}

pub(super) fn read_cost(mut cost: Section<'_>) -> Prices {
    const MOST: f64 = 1e12;
    let currency = cost.key("currency", "Prefix of amounts.").text().or("");
    // With any price given, the others default to 0; with none, worker processes are counted.
    let (toml, default) = if cost.is_given() { ("0", 0.0) } else { ("1", 1.0) };
    let worker = cost.key("worker", "Price of a worker process per month.").number(0.0, MOST).or_else(
        "0 with a [cost] section, 1 without one: the smallest configuration is then the cheapest",
        toml,
        default,
    );
    let mut price = |name, doc| cost.key(name, doc).number(0.0, MOST).or("0");
    let slot = price("slot", "Price of a worker slot (processes x concurrency) per month.");
    let gateway = price("gateway", "Price of a gateway per month.");
    let redis_gib = price("redis_gib", "Price of a GiB of `redis.maxmemory` per month.");
    let rejected_job = price("rejected_job", "Price of a rejected job.");
    let lost_job = price("lost_job", "Price of a lost job.");
    let occurrences = cost
        .key(
            "occurrences",
            "How often per month the scenario happens; multiplies the prices of jobs, and what an autoscaled fleet costs beyond \
             its calm.",
        )
        .number(0.0, 1e9)
        .or("1");
    let day = read_day(&mut cost);
    cost.close();
    Prices { currency, worker, slot, gateway, redis_gib, rejected_job, lost_job, occurrences, day }
}

/// Reads the course of a day: from each time on the load is that multiple of the calm of the scenario.
fn read_day(cost: &mut Section<'_>) -> Vec<DayPart> {
    let written = read_texts(
        cost,
        "day",
        "Load of a calm day, for the cost of an autoscaled fleet: each time with a multiple of the calm rate, as in \
         [\"00:00 0.3\", \"08:00 1\", \"18:00 0.6\"]; default: the calm rate all day.",
    );
    let mut times = Vec::new();
    for text in &written {
        match day_time(text) {
            Some(time) if times.iter().all(|(other, _)| *other < time.0) => times.push(time),
            _ => {
                let message = format!("`{text}` is no later time of the day with a multiple");
                let label = "such as \"08:00 1.5\", in order of the time";
                cost.complain("day", Mistake::new(Code::OutOfRange, message, label));
                return Vec::new();
            }
        }
    }
    let Some(&(first, _)) = times.first() else { return Vec::new() };
    // The last one lasts through midnight until the first.
    let ends = times.iter().skip(1).map(|(minute, _)| *minute).chain([first + DAY]);
    let part = |(&(minute, factor), end): (&(u32, f64), u32)| DayPart {
        share: f64::from(end - minute) / f64::from(DAY),
        factor,
    };
    times.iter().zip(ends).map(part).collect()
}

/// The minute of the day and the multiple of `08:00 1.5`.
fn day_time(text: &str) -> Option<(u32, f64)> {
    let (time, factor) = text.trim().split_once(' ')?;
    let (hours, minutes) = time.split_once(':')?;
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let factor: f64 = factor.trim().parse().ok()?;
    let is_time = hours < 24 && minutes < 60 && (0.0..=1_000.0).contains(&factor);
    is_time.then_some((60 * hours + minutes, factor))
}

/// Minutes of a day.
const DAY: u32 = 24 * 60;

pub(super) fn read_plan(mut plan: Section<'_>) -> PlanSettings {
    let confidence = plan
        .key("confidence", "Probability of a correct selection that the search guarantees.")
        .number(0.5, 0.9999)
        .or("0.95");
    let indifference = plan
        .key("indifference", "Fraction of the best value below which differences do not matter.")
        .number(1e-6, 1.0)
        .or("0.01");
    let tie_break = plan
        .key("tie_break", "The metric that decides between configurations of equal cost, in a sweep also of equal refusal; less is better.")
        .typed(Kind::Text, metric_of)
        .or("rejection_probability");
    let finalists = plan
        .key("finalists", "Most configurations simulated in full at each level of cost.")
        .count(1, 10_000)
        .or("12");
    let most_replications = plan
        .key("most_replications", "Most replications before a configuration is called undecided.")
        .count(2, 100_000)
        .or("100");
    let redis_throughput = plan
        .key(
            "redis_throughput",
            "Jobs per second that one Redis handles end to end; decides the number of queues.",
        )
        .quantity(Quantity::Rate)
        .or("13k/s");
    plan.close();
    PlanSettings {
        confidence,
        indifference,
        tie_break,
        finalists: finalists as usize,
        most_replications: most_replications as u32,
        redis_throughput,
    }
}

fn metric_of(item: &Item, kind: &Kind) -> Result<Metric, Mistake> {
    let Value::Text(name) = &item.value else {
        return Err(wrong_type(&item.value, "the name of a metric", kind));
    };
    metric_named(name).map_err(|message| Mistake::new(Code::UnknownName, message, all_metrics()))
}

/// A list of strings, or a single one.
pub(super) fn read_texts(section: &mut Section<'_>, name: &'static str, doc: &'static str) -> Vec<String> {
    let item = section.ask(name);
    let given = item.map(|item| (item, Some(item.value.to_toml())));
    section.record(name, doc, Kind::Texts, Some("[]".into()), false, given);
    let Some(item) = item else { return Vec::new() };
    match &item.value {
        Value::Text(text) => vec![text.clone()],
        Value::Array(items) => items.iter().filter_map(|item| text_of(section.log(), name, item)).collect(),
        other => {
            let fault = Mistake::new(
                Code::WrongType,
                format!("{} is not a list of strings", other.noun()),
                "[\"...\"]",
            );
            section.complain(name, fault);
            Vec::new()
        }
    }
}

fn text_of(log: &Log<'_>, name: &str, item: &Item) -> Option<String> {
    let Value::Text(text) = &item.value else {
        log.report(
            &item.place,
            Code::WrongType,
            format!("`{name}`: {} is not a string", item.value.noun()),
            "\"...\"",
        );
        return None;
    };
    Some(text.clone())
}
