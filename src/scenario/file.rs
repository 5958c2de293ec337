//! The scenario file from top to bottom: each section, its settings, their defaults, and what must hold
//! between them.

use std::path::Path;

use backpressure::{Priority, State};

use super::Scenario;
use super::arrivals::read_sources;
use super::classes::read_classes;
use super::diagnostic::Code;
use super::distribution::generous;
use super::interval::must_fit;
use super::log::{Log, Mistake};
use super::planning;
use super::reader::Section;
use super::setting::{Kind, shown};
use super::slo::Slo;
use super::tree::{Item, Table, Value};
use super::{alerts, autoscaler, clients, faults, gateway, hints, policy, queue, redis, workers};
use crate::engine::time::SimDuration;
use crate::model::config::{ArrivalProcess, FaultKind, JobClass, ModelConfig, Observe, OnFull, Queue, Start};
use crate::model::disturbance::Disturbance;
use crate::units::{fmt_duration, fmt_rate};

const MOST_POINTS: u64 = 20_000;
/// Points times classes.
const MOST_CLASS_POINTS: u64 = 2_000_000;
/// The default step gives this many points or up to 2.5 times as many.
const LEAST_POINTS: u64 = 200;

/// Reads the whole file. `None` if its mistakes leave no scenario; the log has them.
pub(super) fn read(log: &Log<'_>, table: &Table, file_name: &str, text: &str) -> Option<Scenario> {
    let mut top = Section::root(log, table);
    let name = read_name(&mut top, file_name);
    let duration = top.key("duration", "Simulated time, the horizon.").positive_span().required();
    let warmup = top
        .key("warmup", "Initial part that time averages and waits leave out; counts never do.")
        .span()
        .or("0s");
    must_be_below_duration(&mut top, "warmup", warmup, duration);
    let seed = top.key("seed", "Master seed of all random streams.").count(0, u64::MAX).or("1");
    let replications = top.key("replications", "Independent runs.").count(1, 1_000_000).or("10");
    let recovery_hold = top
        .key("recovery_hold", "How long the system must stay recovered to count as recovered.")
        .span()
        .or("0s");
    must_be_below_duration(&mut top, "recovery_hold", recovery_hold, duration);
    let slo_items = ask_for_objectives(&mut top, "slo", SLO_DOC);
    let expected_misses = ask_for_objectives(&mut top, "expected_misses", EXPECTED_MISSES_DOC);

    let mut report = top.section("report", "Reports.");
    let series_step = read_step(&mut report, duration);
    report.close();

    let policy = policy::read(top.section("policy", "The admission policy."), duration);
    let default_priority =
        policy.as_ref().map_or(Priority::DEFAULT, |policy| policy.config.default_priority());
    let mut classes = read_classes(&mut top, default_priority);
    must_have_room(&mut report, series_step, duration, classes.len() as u64);
    let sources = read_sources(&mut top, &mut classes, duration);
    let queue = queue::read(top.section("queue", "The waiting line and its discipline."), &mut classes);
    let start = read_start(top.section("start", "The state at time zero."), &queue);
    let gateway = gateway::read(top.section("gateway", "The gateways; each has its own circuit."), duration);
    let (mut workers, service_time) = workers::read(&mut top, &classes, duration);
    let database = workers::read_database(top.section("database", "The database that the jobs use."));
    let autoscaler = autoscaler::read(
        top.section("autoscaler", "A HorizontalPodAutoscaler that changes the number of worker processes."),
        &workers,
        duration,
    );
    let redis = redis::read(top.section("redis", "Redis: its memory, and what its commands cost."));
    let clients =
        clients::read(top.section("clients", "The clients that send the jobs and wait for answers."));
    let faults = faults::read(&mut top, duration, &workers, &gateway);
    // A database that never runs short of connections and never slows down is just part of the service time.
    let may_be_slow = faults.iter().any(|fault| matches!(fault.kind, FaultKind::DatabaseSlow { .. }));
    workers.database = (database.pool.is_some() || may_be_slow).then_some(database);
    let monitoring = alerts::read(
        top.section("alerts", "The specification's alerts, evaluated as Prometheus would."),
        duration,
        policy.as_ref(),
        &workers,
        classes.len() as u64 + u64::from(gateway.instances),
    );
    let sweep = planning::read_sweep(
        top.section("sweep", "The configurations that `simulate sweep` and `plan` try."),
    );
    let cost = planning::read_cost(top.section("cost", "What a configuration costs in a month."));
    let plan = planning::read_plan(top.section("plan", "How `simulate plan` chooses."));
    top.close();

    let classes: Option<Vec<JobClass>> =
        classes.iter().map(|class| class.resolve(service_time.as_ref())).collect();
    let (horizon, policy, classes) = (duration?, policy?, classes?);
    let mut model = ModelConfig {
        horizon,
        warmup,
        recovery_hold,
        series_step,
        classes,
        sources,
        start,
        policy,
        gateway,
        queue,
        workers,
        redis,
        clients,
        faults,
        autoscaler,
        monitoring,
        parts: Vec::new(),
        questions: Vec::new(),
    };
    let slo = read_objectives(log, "slo", &slo_items, &mut model);
    let expected_misses = read_objectives(log, "expected_misses", &expected_misses, &mut model);
    must_fit_the_clock(&mut top, &model);
    if !log.is_clean() {
        return None;
    }
    warn(log, &model, replications);
    let hints = hints::of(log, &model);
    Some(Scenario {
        name,
        question: question(text),
        source: text.to_string(),
        command: String::new(),
        seed,
        replications: replications as u32,
        slo,
        expected_misses,
        model,
        sweep,
        cost,
        plan,
        warnings: Vec::new(),
        hints,
    })
}

fn read_name(top: &mut Section<'_>, file_name: &str) -> String {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let file_name = if file_name == "-" { "stdin" } else { file_name };
    let stem = Path::new(file_name).file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    let stem: String = stem.chars().map(|c| if is_legal(c) { c } else { '-' }).take(100).collect();
    let stem = match stem.trim_start_matches('.') {
        "" => "scenario".to_string(),
        stem => stem.to_string(),
    };
    let name =
        top.key("name", "Name, also that of the report's folder.").typed(Kind::Text, move |item, kind| {
            let Value::Text(name) = &item.value else {
                return Err(super::reader::wrong_type(&item.value, "a string", kind));
            };
            let label =
                "1 to 100 letters, digits or any of - _ . and no dot in front: it names the report's folder";
            if name.is_empty() || name.len() > 100 || name.starts_with('.') || !name.chars().all(is_legal) {
                return Err(Mistake::new(
                    Code::OutOfRange,
                    format!("`{name}` cannot be the name of a folder"),
                    label,
                ));
            }
            Ok(name.clone())
        });
    name.or_else("the name of the file", format!("\"{stem}\""), stem)
}

fn must_be_below_duration(
    top: &mut Section<'_>,
    name: &'static str,
    span: SimDuration,
    duration: Option<SimDuration>,
) {
    if let Some(duration) = duration.filter(|duration| span >= *duration && !top.is_bad(name)) {
        let (span, duration) = (shown(span), shown(duration));
        let message = format!("{span} is not shorter than `duration`, {duration}");
        top.complain(name, Mistake::new(Code::Conflict, message, "must be shorter than `duration`"));
    }
}

fn read_step(report: &mut Section<'_>, duration: Option<SimDuration>) -> SimDuration {
    let fine = duration.map_or(SimDuration::SECOND, nice_step);

    let step = report.key("step", "Time between two points of charts and series.").positive_span().or_else(
        "duration: the longest of 1, 2 and 5 times a power of ten that still gives 200 points",
        format!("\"{}s\"", fine.as_secs_f64()),
        fine,
    );
    let Some(duration) = duration else { return step };
    if report.is_bad("step") {
        return step;
    }
    let label =
        format!("from {} to {} here", shown(SimDuration(duration.0.div_ceil(MOST_POINTS))), shown(duration));
    if step > duration {
        report.complain("step", Mistake::new(Code::OutOfRange, "longer than `duration`", label));
    } else if duration.0.div_ceil(step.0) > MOST_POINTS {
        let message =
            format!("{} points are more than the most allowed, {MOST_POINTS}", duration.0.div_ceil(step.0));
        report.complain("step", Mistake::new(Code::OutOfRange, message, label));
    }
    step
}

/// Each point of the series has numbers of each class.
fn must_have_room(report: &mut Section<'_>, step: SimDuration, duration: Option<SimDuration>, classes: u64) {
    let most = (MOST_CLASS_POINTS / classes.max(1)).max(2 * LEAST_POINTS);
    if report.has("step") {
        must_fit(report, "step", step, (duration, "`duration`"), most);
    }
}

/// The longest of 1, 2 and 5 times a power of ten nanoseconds that gives enough points.
fn nice_step(duration: SimDuration) -> SimDuration {
    let most = duration.0 / LEAST_POINTS;
    let mut power = 1;
    while power <= most / 10 {
        power *= 10;
    }
    let factor = [5, 2, 1].into_iter().find(|factor| factor * power <= most).unwrap_or(1);
    SimDuration(factor * power)
}

fn read_start(mut start: Section<'_>, queue: &Queue) -> Start {
    const STATES: &[(&str, State)] =
        &[("closed", State::Closed), ("half_open", State::HalfOpen), ("open", State::Open)];
    let jobs = start
        .key("depth", "Jobs already waiting; they do not count as offered.")
        .count(0, 100_000_000)
        .or("0");
    let circuit = start.key("circuit", "State of every circuit.").choice(STATES).or("closed");
    start.close();
    if let Some(capacity) = queue.capacity.filter(|&capacity| capacity < jobs) {
        let message = format!("{jobs} jobs are more than `queue.capacity`, {capacity}");
        start.complain("depth", Mistake::new(Code::Conflict, message, format!("at most {capacity}")));
    }
    Start { jobs, circuit }
}

const SLO_DOC: &str = "Objectives: metric{class=NAME}.statistic < number, also of a part of the run ({phase=spike}, {from=60s, to=150s}), of any \
           percentile (wait_p99.9_seconds), of a share (share(wait_seconds < 2s) >= 99%), or of a month's error budget \
           (error_budget(99.9%) < 25%). [metrics.md](metrics.md) has them all. The statistic over the \
           replications is `mean` (if none is written), `min`, `max`, or `p95`: the smallest value that 95% of them do not \
           exceed, so the largest one where there are fewer than 20. What the runs do not tell is not met: no value, or \
           only a lower bound that leaves it open.";
const EXPECTED_MISSES_DOC: &str = "Objectives that a run is meant to miss, because the scenario shows what goes wrong: written as in `slo`. A \
                                   missed one is not a failure, and one that is met is.";

/// The objectives as written; they are read later, when the classes are known.
fn ask_for_objectives<'a>(top: &mut Section<'a>, key: &'static str, doc: &'static str) -> Vec<&'a Item> {
    let item = top.ask(key);
    top.record(
        key,
        doc,
        Kind::Texts,
        Some("[]".into()),
        false,
        item.map(|item| (item, Some(item.value.to_toml()))),
    );
    match item.map(|item| (item, &item.value)) {
        Some((_, Value::Array(items))) => items.iter().collect(),
        Some((item, Value::Text(_))) => vec![item],
        Some((_, other)) => {
            let message = format!("{} is not a list of strings", other.noun());
            let label = "such as [\"recovery_seconds.p95 < 120\"]";
            top.complain(key, Mistake::new(Code::WrongType, message, label));
            Vec::new()
        }
        None => Vec::new(),
    }
}

fn read_objectives(log: &Log<'_>, key: &str, items: &[&Item], model: &mut ModelConfig) -> Vec<Slo> {
    let mut objectives = Vec::new();
    for item in items {
        let Value::Text(text) = &item.value else {
            let message = format!("`{key}`: {} is not a string", item.value.noun());
            log.report(&item.place, Code::WrongType, message, "such as \"recovery_seconds.p95 < 120\"");
            continue;
        };
        match Slo::parse(text, model) {
            Ok(slo) => objectives.push(slo),
            Err(fault) => {
                let inside = log.inside_quotes(&item.place, text).map(|place| place.part(fault.span));
                let place = inside.unwrap_or_else(|| item.place.clone());
                log.report(&place, fault.code, format!("`{key}`: {}", fault.message), fault.label);
            }
        }
    }
    objectives
}

/// The engine packs the completion time of a job and its slot number into one 64-bit word, which bounds both.
fn must_fit_the_clock(top: &mut Section<'_>, model: &ModelConfig) {
    let processes =
        model.autoscaler.as_ref().map_or(model.workers.processes, |autoscaler| 2 * autoscaler.max);
    let slots = u64::from(processes) * u64::from(model.workers.concurrency);
    let bits = 64 - slots.next_power_of_two().trailing_zeros();
    let limit = 2_f64.powi(bits as i32) / 1e9;
    let traced = model.sources.iter().filter_map(|source| match &source.process {
        ArrivalProcess::Trace(trace) => trace.iter().filter_map(|arrival| arrival.service).max(),
        _ => None,
    });
    let drawn = model.classes.iter().map(|class| generous(&class.service_time));
    let service = traced.map(SimDuration::as_secs_f64).chain(drawn).fold(0.0, f64::max);
    let needed = 2.0 * (model.horizon.as_secs_f64() + workers::longest_hold(&model.workers, service));
    if needed > limit {
        let (horizon, service) = (shown(model.horizon), fmt_duration(service));
        let message = format!(
            "{horizon} and services of up to {service} are too long for a simulation of {slots} worker slots"
        );
        let label = format!(
            "`duration` and the longest service must stay below {} together: shorten them, or use fewer workers",
            fmt_duration(limit / 2.0)
        );
        top.complain("duration", Mistake::new(Code::OutOfRange, message, label));
    }
}

/// Warns of settings that are legal but hazardous, or probably a mistake.
fn warn(log: &Log<'_>, model: &ModelConfig, replications: u64) {
    for warning in model.policy.config.warnings() {
        log.warn(format!("`policy`: {warning}"));
    }
    if replications == 1 {
        log.warn("`replications` is 1: one run has no confidence interval");
    }
    if model.sources.is_empty() && model.start.jobs == 0 {
        log.warn("nothing arrives");
    }
    let has_no_limit = model.redis.maxmemory.is_none();
    if has_no_limit && matches!(model.redis.on_full, OnFull::Crash) {
        log.warn("`redis.on_full` has no effect without `redis.maxmemory`");
    }
    if model.redis.on_full == OnFull::Evict {
        log.warn(
            "`redis.on_full` is \"evict\": evicted jobs silently lose their data and BullMQ reports them completed; it \
             requires noeviction",
        );
    }
    if model.redis.shards > model.queue.queues {
        log.warn(format!(
            "`redis.shards` is {}, but each queue lives on one shard, so {} of them stay idle",
            model.redis.shards,
            model.redis.shards - model.queue.queues
        ));
    }
    if model.gateway.readiness.is_some() && !matches!(model.policy.observe, Observe::Every(_)) {
        log.warn(
            "`gateway.readiness` follows the circuit, which observes the depth only when jobs arrive: a gateway out of \
             rotation gets none, so its circuit stays OPEN for ever. Observe on a timer: `policy.observe = \"1s\"`",
        );
    }
    if let Some(begin) = Disturbance::within_warmup(model) {
        log.warn(format!(
            "the warm-up of {} s reaches into the spike or fault at {} s: ratios, waits and objectives on them leave out what it hides",
            model.warmup.as_secs_f64(),
            begin.as_secs_f64()
        ));
    }
    warn_of_overload(log, model);
}

/// Warns when the last phase offers more work than the workers can do, so that only the policy limits the queue.
fn warn_of_overload(log: &Log<'_>, model: &ModelConfig) {
    let Some(rate) = model.last_rate() else { return };
    let load = rate / model.capacity();
    if load > 1.0 {
        let (offered, capacity) = (fmt_rate(rate), fmt_rate(rate / load));
        log.warn(format!(
            "overloaded to the end: the last phase offers {offered}, but the workers can do at most {capacity}"
        ));
    }
}

/// The comment that opens the file, without the line that names its schema.
fn question(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines =
        text.lines().map(str::trim).skip_while(|line| line.is_empty() || line.starts_with("#:schema"));
    let comment = lines.take_while(|line| line.starts_with('#')).filter(|line| !line.starts_with("#:schema"));
    let stripped: Vec<_> = comment.map(|line| line.trim_start_matches('#').trim()).collect();
    stripped.join("\n").trim().to_string()
}
