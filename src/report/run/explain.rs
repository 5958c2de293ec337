//! The long form of the headline: what was offered in each phase against what can be done, which limits were reached and when, and what
//! would move them.
//!
//! What would move them is told by the fluid limit, which knows no clients, faults or autoscalers: where there are some, it is asked
//! without them, and the text says so.

use super::reading;
use crate::engine::time::SimTime;
use crate::experiment::Findings;
use crate::experiment::series::Series;
use crate::experiment::summary::Summary;
use crate::experiment::traffic::Part;
use crate::model::config::{ArrivalSource, ModelConfig};
use crate::model::limits::Limit;
use crate::model::metric::{Metric, Unit};
use crate::plan::forecast::Forecast;
use crate::report::kit::columns::{self, Column};
use crate::report::kit::number;
use crate::report::kit::terminal::{NARROWEST, Paint, columns_of, joined, padded_right, wrapped};
use crate::report::kit::text::printable;
use crate::report::kit::traffic;
use crate::scenario::Scenario;

/// A change of one setting, and the scenario with it.
#[derive(Clone, Debug)]
pub struct Lever {
    /// As `--set` takes it.
    pub setting: String,
    /// With the change.
    pub scenario: Scenario,
}

/// Settings worth trying on a scenario, as `--set` takes them: enough workers for the peak, room in the queue, and memory where that ran out.
pub fn levers(scenario: &Scenario, summary: &Summary) -> Vec<String> {
    let model = &scenario.model;
    let mut levers = Vec::new();
    let load = &summary.traffic.load;
    let needed = f64::from(model.workers.processes) * load.peak_per_second / model.slot_capacity();
    let needed = needed.ceil().max(1.0);
    if needed.is_finite() && needed > f64::from(model.workers.processes) {
        levers.push(format!("workers.processes={needed}"));
    }
    let reached = |limit: Limit| summary.limits_reached.iter().any(|one| one.limit == limit.name());
    if reached(Limit::Shed) || reached(Limit::Open) {
        levers.push(format!("policy.critical={}", 2 * model.policy.config.critical()));
    }
    if reached(Limit::RedisFull) || reached(Limit::MemoryShed) {
        levers.extend(model.redis.maxmemory.map(|most| format!("redis.maxmemory={}", 2 * most)));
        if model.redis.watermark.is_none() {
            levers.push("redis.watermark=0.75".to_owned());
        }
    }
    if reached(Limit::Connections) {
        let pool = model.workers.database.and_then(|database| database.pool);
        levers.extend(pool.map(|pool| format!("database.pool={}", 2 * pool)));
    }
    if reached(Limit::AutoscalerMost) {
        levers.extend(model.autoscaler.as_ref().map(|one| format!("autoscaler.max={}", 2 * one.max)));
    }
    levers
}

/// The explanation as lines of at most `width` columns, where names allow it.
pub fn render(
    scenario: &Scenario,
    findings: &Findings,
    levers: &[Lever],
    width: usize,
    colour: bool,
) -> String {
    let paint = Paint { colour };
    let width = width.max(NARROWEST);
    let mut lines = vec![paint.bold("█ LOAD AGAINST CAPACITY")];
    lines.extend(wrapped(&capacity(&scenario.model), width, "  "));
    lines.extend(phases(scenario, &findings.series, paint));
    lines.push(paint.bold("█ WHAT HAPPENED"));
    lines.extend(happened(&findings.summary, width));
    lines.push(paint.bold("█ WHAT WOULD MOVE IT"));
    lines.extend(moves(scenario, &findings.summary, levers, width));
    joined(lines)
}

/// Where the capacity comes from.
fn capacity(model: &ModelConfig) -> String {
    let (bound_by, capacity) = model.bottleneck();
    let slots = format!(
        "{} processes x {} slots do {}",
        model.workers.processes,
        model.workers.concurrency,
        traffic::rate(model.slot_capacity())
    );
    let mut text = match (capacity.is_finite(), bound_by) {
        (false, _) => "Nothing bounds what the workers do".to_owned(),
        (true, "workers") => format!("Capacity: {slots}"),
        (true, bound_by) => format!("Capacity {}, bound by {bound_by}; {slots}", traffic::rate(capacity)),
    };
    if let Some(autoscaler) = &model.autoscaler {
        text += &format!(", and an autoscaler may start up to {} processes", autoscaler.max);
    }
    text + "."
}

/// What was offered in each phase, and what became of it.
fn phases(scenario: &Scenario, series: &Series, paint: Paint) -> Vec<String> {
    let horizon = SimTime(scenario.model.horizon.0);
    let mut begins: Vec<SimTime> = scenario
        .model
        .sources
        .iter()
        .flat_map(ArrivalSource::phase_spans)
        .map(|(begin, _)| begin)
        .filter(|begin| *begin < horizon)
        .collect();
    begins.sort_unstable();
    begins.dedup();
    begins.truncate(MOST_PHASES);
    let ends = begins.iter().skip(1).copied().chain([horizon]);
    let spans: Vec<(f64, f64)> =
        begins.iter().zip(ends).map(|(begin, end)| (begin.as_secs_f64(), end.as_secs_f64())).collect();
    let names: Vec<String> = begins.iter().map(|begin| phase_name(&scenario.model, *begin)).collect();
    let capacity = scenario.model.capacity();
    let sums = |totals: &[Vec<f64>], (from, to): (f64, f64)| {
        total_at(totals, series, to) - total_at(totals, series, from)
    };
    let share = |totals: &[Vec<f64>], span: (f64, f64)| {
        let (part, all) = (sums(totals, span), sums(&series.offered, span));
        traffic::share(Part { jobs: part, share: if all > 0.0 { part / all } else { 0.0 } })
    };
    let rate = |span: (f64, f64)| sums(&series.offered, span) / (span.1 - span.0);
    let seconds = |seconds: f64| number::value(Unit::Seconds, seconds);
    let columns = [
        Column::new("from", spans.iter().map(|span| seconds(span.0))),
        Column::new("to", spans.iter().map(|span| seconds(span.1))),
        Column::new("offered", spans.iter().map(|span| traffic::rate(rate(*span)))),
        Column::new(
            "of capacity",
            spans.iter().map(|span| format!("{:.0} %", 100.0 * rate(*span) / capacity)),
        ),
        Column::new("refused", spans.iter().map(|span| share(&series.rejected, *span))),
        Column::new("lost", spans.iter().map(|span| share(&series.lost, *span))),
    ];
    let first = names.iter().map(|name| columns_of(name)).chain([5]).max().unwrap_or(0) + 2;
    let line = |name: &str, row: usize| {
        format!("{}{}", padded_right(&format!("  {name}"), first), columns::row(&columns, row))
    };
    let mut lines = vec![paint.dim(&line("phase", 0))];
    lines.extend(names.iter().enumerate().map(|(row, name)| line(name, row + 1)));
    if scenario.model.clients.is_some() {
        lines.push("  offered are attempts, retries included".to_owned());
    }
    lines
}

fn phase_name(model: &ModelConfig, begin: SimTime) -> String {
    let spans = || model.sources.iter().flat_map(ArrivalSource::phase_spans);
    let name = spans().find(|(start, phase)| *start == begin && !phase.name.is_empty());
    name.map_or_else(|| "all".to_owned(), |(_, phase)| printable(&phase.name))
}

/// A total since the start over all classes, at the last point by then.
fn total_at(totals: &[Vec<f64>], series: &Series, seconds: f64) -> f64 {
    let points = series.seconds.partition_point(|point| *point <= seconds + 1e-9);
    points.checked_sub(1).map_or(0.0, |last| totals.iter().map(|of_class| of_class[last]).sum())
}

/// Each thing that broke with its time and its meaning, and how near the others came.
fn happened(summary: &Summary, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut breaks = reading::breaks(summary);
    // Told as a story here, harm and causes by their time.
    breaks.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    for one in &breaks {
        let at = number::value(Unit::Seconds, one.seconds);
        let meaning = Limit::ALL.iter().find(|limit| limit.name() == one.what).map(|limit| limit.meaning());
        let remarks: String = one.remarks.iter().map(|remark| format!(", {remark}")).collect();
        let meaning = meaning.map(|meaning| format!(". {}", meaning.trim())).unwrap_or_default();
        let told = wrapped(&format!("{at}  {}{remarks}{meaning}", one.what), width, "      ");
        lines.extend(
            told.into_iter()
                .enumerate()
                .map(|(row, line)| if row == 0 { format!("  {}", line.trim_start()) } else { line }),
        );
    }
    if breaks.is_empty() {
        lines.push("  no limit was reached, nothing was refused or lost".to_owned());
    }
    let ahead = reading::limits_ahead(summary);
    if !ahead.is_empty() {
        lines.extend(wrapped(&format!("{} {}", reading::LIMITS_AHEAD, ahead.join(", ")), width, "  "));
    }
    lines
}

/// What the fluid limit says of each lever, and how to simulate it.
fn moves(scenario: &Scenario, summary: &Summary, levers: &[Lever], width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    if levers.is_empty() {
        lines.push("  no limit was reached that a setting would move".to_owned());
        return lines;
    }
    let measured = summary.metric(Metric::RejectionProbability).mean;
    let base = refused(&scenario.model);
    let about = match base {
        Some(base) => {
            let without =
                if is_simplified(&scenario.model) { ", without clients, faults and autoscaler" } else { "" };
            let measured = number::optional(Unit::Fraction, measured);
            format!(
                "By the fluid limit{without}, {} of the jobs are refused ({measured} of all attempts were).",
                number::value(Unit::Fraction, base)
            )
        }
        None => "The fluid limit does not apply to this scenario; only a simulation tells.".to_owned(),
    };
    lines.extend(wrapped(&about, width, "  "));
    let longest = levers.iter().map(|lever| columns_of(&lever.setting)).max().unwrap_or(0);
    for lever in levers {
        let told = match refused(&lever.scenario.model) {
            Some(share) if base.is_some() => {
                format!("{} refused", number::value(Unit::Fraction, share))
            }
            _ => "simulate it".to_owned(),
        };
        lines.push(format!("  --set {}  {told}", padded_right(&lever.setting, longest)));
    }
    lines.extend(wrapped(&format!("try: {} --set {}", scenario.command, levers[0].setting), width, "  "));
    lines
}

/// The share of all jobs that the fluid limit refuses.
fn refused(model: &ModelConfig) -> Option<f64> {
    let mut simple = model.clone();
    simple.clients = None;
    simple.autoscaler = None;
    simple.faults.clear();
    let forecast = Forecast::of(&simple)?;
    let get = |metric: Metric| forecast.get(&simple, metric, None);
    let offered = get(Metric::Offered).filter(|offered| *offered > 0.0)?;
    Some(get(Metric::Rejected)? / offered)
}

fn is_simplified(model: &ModelConfig) -> bool {
    model.clients.is_some() || model.autoscaler.is_some() || !model.faults.is_empty()
}

const MOST_PHASES: usize = 24;
