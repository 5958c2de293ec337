//! The scenario file from top to bottom: each section, its settings, their defaults, and what must hold
//! between them.

use std::path::Path;

use backpressure::{Config, ConfigError, OnUnknownDepth, Priority, State};

use super::Scenario;
use super::arrivals::{ReadClass, read_classes, read_sources};
use super::diagnostic::Code;
use super::distribution::{self, Of, generous};
use super::log::{Fault, Log};
use super::planning;
use super::reader::{Section, quantity_of};
use super::setting::Kind;
use super::slo::Slo;
use super::tree::{Item, Table, Value};
use crate::engine::time::SimDuration;
use crate::model::config::{
    ArrivalProcess, ArrivalSource, Batch, Contention, Discipline, Gateway, JobClass, Keep, MemoryModel,
    ModelConfig, Observe, OnFull, PolicyConfig, Queue, Redis, Stalls, Start, Workers,
};
use crate::model::distribution::Distribution;
use crate::units::{Quantity, fmt_duration, fmt_rate};

/// Bytes of a job besides its payload, and bytes of memory for each byte of payload: the straight line of
/// least relative squares through the 37 measurements in `data/redis-memory.csv` of prioritized jobs with
/// integer ids, standard options and a hash-table encoding (BullMQ 6.7.0 on Redis 7.0.15, payloads of 65 B to
/// 32 KiB). Its relative error is 2.7% in the mean and 6.2% at worst.
const JOB_OVERHEAD: &str = "723B";
const PAYLOAD_FACTOR: &str = "1.218";

const MOST_COUNT: u64 = 1_000_000_000_000_000;
const MOST_SLOTS: u64 = 1_000_000;
const MOST_POINTS: u64 = 20_000;
/// The default step gives at least this many points, and at most 2.5 times as many.
const LEAST_POINTS: u64 = 200;
const PPM: f64 = 1e6;

/// Reads the whole file. `None` if something was logged that leaves no scenario.
pub(super) fn read(log: &Log<'_>, table: &Table, file_name: &str, text: &str) -> Option<Scenario> {
    let mut top = Section::root(log, table);
    let name = read_name(&mut top, file_name);
    let duration = top.key("duration", "Simulated time, the horizon.").positive_span().required();
    let warmup = top
        .key("warmup", "Initial part left out of time averages and waits, never of counts.")
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
    let slo_items = ask_for_slo(&mut top);

    let mut report = top.section("report", "Reports.");
    let series_step = read_step(&mut report, duration);
    report.close();

    let policy = read_policy(top.section("policy", "The admission policy."));
    let default_priority =
        policy.as_ref().map_or(Priority::DEFAULT, |policy| policy.config.default_priority());
    let mut classes = read_classes(&mut top, default_priority);
    let sources = read_sources(&mut top, &mut classes, duration);
    let queue = read_queue(top.section("queue", "The waiting line."));
    let start = read_start(top.section("start", "What is there at time zero."), &queue);
    let gateway = read_gateway(top.section("gateway", "The gateways, each with a circuit of its own."));
    let (workers, service_time) = read_workers(&mut top, &classes);
    let redis = read_redis(top.section("redis", "The memory behind the waiting line."));
    let slo = read_slo(log, &slo_items, &classes);
    let sweep = planning::read_sweep(
        top.section("sweep", "The configurations that `simulate sweep` and `plan` try."),
    );
    let cost = planning::read_cost(top.section("cost", "What a configuration costs in a month."));
    let plan = planning::read_plan(top.section("plan", "How `simulate plan` chooses."));
    top.close();

    let classes: Option<Vec<JobClass>> =
        classes.iter().map(|class| class.resolve(service_time.as_ref())).collect();
    let (horizon, policy, classes) = (duration?, policy?, classes?);
    let model = ModelConfig {
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
        clients: None,
        faults: Vec::new(),
    };
    must_fit_the_clock(&mut top, &model);
    if !log.is_clean() {
        return None;
    }
    warn(log, &model, replications);
    Some(Scenario {
        name,
        question: question(text),
        source: text.to_string(),
        command: String::new(),
        seed,
        replications: replications as u32,
        slo,
        model,
        sweep,
        cost,
        plan,
        warnings: Vec::new(),
    })
}

fn read_name(top: &mut Section<'_>, file_name: &str) -> String {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
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
                return Err(Fault::new(
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
        let (span, duration) = (fmt_duration(span.as_secs_f64()), fmt_duration(duration.as_secs_f64()));
        let message = format!("{span} is not shorter than `duration`, {duration}");
        top.complain(name, Fault::new(Code::Conflict, message, "must be shorter than `duration`"));
    }
}

fn read_step(report: &mut Section<'_>, duration: Option<SimDuration>) -> SimDuration {
    let fine = duration.map_or(SimDuration::SECOND, nice_step);

    let step = report.key("step", "Distance of the points of charts and series.").positive_span().or_else(
        "duration: the longest of 1, 2 and 5 times a power of ten that gives at least 200 points",
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
        report.complain("step", Fault::new(Code::OutOfRange, "longer than `duration`", label));
    } else if duration.0.div_ceil(step.0) > MOST_POINTS {
        let message =
            format!("{} points are more than the most allowed, {MOST_POINTS}", duration.0.div_ceil(step.0));
        report.complain("step", Fault::new(Code::OutOfRange, message, label));
    }
    step
}

fn shown(span: SimDuration) -> String {
    fmt_duration(span.as_secs_f64())
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

fn read_policy(mut policy: Section<'_>) -> Option<PolicyConfig> {
    const KINDS: &[(&str, ())] = &[("spec", ())];
    const UNKNOWN_DEPTH: &[(&str, OnUnknownDepth)] = &[
        ("admit", OnUnknownDepth::Admit),
        ("urgent-only", OnUnknownDepth::UrgentOnly),
        ("reject", OnUnknownDepth::Reject),
    ];
    policy.key("kind", "Which policy.").choice(KINDS).or("spec");
    let enabled =
        policy.key("enabled", "Whether decisions are enforced; they count as if.").boolean().or("true");
    let recovery = policy
        .key("recovery", "Depth at or below which a HALF_OPEN circuit closes.")
        .count(1, MOST_COUNT)
        .or("5000");
    let warning = policy
        .key("warning", "Depth below which an OPEN circuit half-opens.")
        .count(1, MOST_COUNT)
        .or("10000");
    let critical = policy.key("critical", "Depth at which a circuit opens.").count(1, MOST_COUNT).or("50000");
    let shed_at = policy
        .key("shed_at", "Fraction of critical from which a CLOSED circuit rejects priorities 6 to 10.")
        .typed(Kind::Quantity(Quantity::Fraction), |item, _| millionths(item))
        .or("0.8");
    let reopen_at = policy
        .key("reopen_at", "Depth at which a HALF_OPEN circuit opens again.")
        .count(1, MOST_COUNT)
        .or_else("policy.critical", critical.to_string(), critical);
    let observe = policy
        .key(
            "observe",
            "When the circuit looks at the depth: at each arrival, also at each departure, or on a timer.",
        )
        .typed(Kind::ChoiceOr(vec!["arrival", "continuous"], Quantity::Duration), |item, _| observe_of(item))
        .or("arrival");
    let on_unknown_depth = policy
        .key("on_unknown_depth", "Who is admitted while the depth is unknown.")
        .choice(UNKNOWN_DEPTH)
        .or("admit");
    let default_priority =
        policy.key("default_priority", "Priority of a class that does not say its own.").count(1, 10).or("5");
    policy.close();

    let built = Config::builder()
        .enabled(enabled)
        .recovery(recovery)
        .warning(warning)
        .critical(critical)
        .shed_at_ppm(shed_at)
        .reopen_at(reopen_at)
        .on_unknown_depth(on_unknown_depth)
        .default_priority(default_priority as u8)
        .build();
    match built {
        Ok(config) => Some(PolicyConfig { config, observe }),
        Err(errors) => {
            errors.iter().for_each(|error| report_broken_rule(&mut policy, error));
            None
        }
    }
}

/// Shows a broken rule of the policy at the setting that was written, among those that it is about.
fn report_broken_rule(policy: &mut Section<'_>, error: &ConfigError) {
    let (about, rule): (&[&'static str], _) = match error {
        ConfigError::RecoveryNotBelowWarning { .. } => {
            (&["recovery", "warning"], "recovery < warning < critical")
        }
        ConfigError::WarningNotBelowCritical { .. } => {
            (&["warning", "critical"], "recovery < warning < critical")
        }
        ConfigError::ReopenOutside { .. } => {
            (&["reopen_at", "warning", "critical"], "warning <= reopen_at <= critical")
        }
        ConfigError::ShedOutside { .. } => (&["shed_at"], "0 < shed_at <= 1"),
        other => {
            policy.complain("kind", Fault::new(Code::OutOfRange, other.to_string(), ""));
            return;
        }
    };
    if about.iter().any(|name| policy.is_bad(name)) {
        return; // the value compared is a stand-in
    }
    let written = about.iter().copied().find(|name| policy.has(name)).unwrap_or(about[0]);
    let not_written: Vec<_> = about.iter().filter(|name| !policy.has(name)).copied().collect();
    let defaults = match not_written.as_slice() {
        [] => String::new(),
        names => format!("; not given here and so the default: {}", names.join(", ")),
    };
    let place = policy.place_of(written);
    let message = format!("`{}`: {error}", policy.path_of(written));
    policy.log().report(&place, Code::Conflict, message, format!("the rule is {rule}{defaults}"));
}

/// A fraction in millionths, which it must be exactly.
fn millionths(item: &Item) -> Result<u32, Fault> {
    let fraction = quantity_of(&item.value, Quantity::Fraction)?;
    let millionths = fraction * PPM;
    if (millionths - millionths.round()).abs() > 1e-6 {
        let message = format!("`{fraction}` has more than 6 decimals");
        return Err(Fault::new(Code::OutOfRange, message, "at most 6 decimals"));
    }
    Ok(millionths.round() as u32)
}

fn observe_of(item: &Item) -> Result<Observe, Fault> {
    match &item.value {
        Value::Text(text) if text == "arrival" => Ok(Observe::Arrival),
        Value::Text(text) if text == "continuous" => Ok(Observe::Continuous),
        Value::Text(text) if text.chars().all(char::is_alphabetic) => {
            let near = super::diagnostic::did_you_mean(text, ["arrival", "continuous"]);
            Err(Fault::new(Code::WrongType, format!("`{text}` is not known here{near}"), ""))
        }
        value => {
            let span = SimDuration::from_secs_f64(quantity_of(value, Quantity::Duration)?);
            if span == SimDuration::ZERO {
                let label = "at least \"1ns\"; \"arrival\" looks at every arrival";
                return Err(Fault::new(Code::OutOfRange, "a timer must be above zero", label));
            }
            Ok(Observe::Every(span))
        }
    }
}

fn read_queue(mut queue: Section<'_>) -> Queue {
    const DISCIPLINES: &[(&str, bool)] = &[("fifo", false), ("priority", true)];
    let by_priority =
        queue.key("discipline", "Who is served next.").choice_but(DISCIPLINES, &["lanes"]).or("fifo");
    let discipline = if by_priority { Discipline::Priority } else { Discipline::Fifo };
    let capacity = queue
        .key("capacity", "Most jobs waiting and in service; arrivals beyond are rejected.")
        .count(1, MOST_COUNT)
        .optional();
    queue.close();
    Queue { discipline, capacity, queues: 1 }
}

fn read_start(mut start: Section<'_>, queue: &Queue) -> Start {
    const STATES: &[(&str, State)] =
        &[("closed", State::Closed), ("half_open", State::HalfOpen), ("open", State::Open)];
    let jobs =
        start.key("depth", "Jobs already there, not counted as offered.").count(0, 100_000_000).or("0");
    let circuit = start.key("circuit", "State of every circuit.").choice(STATES).or("closed");
    start.close();
    if let Some(capacity) = queue.capacity.filter(|&capacity| capacity < jobs) {
        let message = format!("{jobs} jobs are more than `queue.capacity`, {capacity}");
        start.complain("depth", Fault::new(Code::Conflict, message, format!("at most {capacity}")));
    }
    Start { jobs, circuit }
}

fn read_gateway(mut gateway: Section<'_>) -> Gateway {
    let instances =
        gateway.key("instances", "How many; arrivals take them in turn.").count(1, 10_000).or("1");
    let check_latency =
        gateway.key("check_latency", "Between reading the depth and the enqueue landing.").span().or("0s");
    let depth_age = gateway.key("depth_age", "How old the depth is when it is read.").span().or("0s");
    gateway.close();
    Gateway { instances: instances as u32, check_latency, depth_age, in_flight_limit: None, readiness: None }
}

fn read_workers(top: &mut Section<'_>, classes: &[ReadClass<'_>]) -> (Workers, Option<Distribution>) {
    let mut workers = top.section("workers", "The workers.");
    let processes = workers.key("processes", "Worker processes.").count(1, MOST_SLOTS).or("1");
    let concurrency =
        workers.key("concurrency", "Jobs that each process works on at a time.").count(1, MOST_SLOTS).or("1");
    let overhead = workers
        .key("overhead", "Time that a job holds its slot besides its service: fetch, finish, event loop.")
        .span()
        .or("0s");
    let doc = "Time that the work of a job takes.";
    let service_time = distribution::optional(&mut workers, "service_time", doc, Of::TIME);
    let is_needed = classes.iter().any(|class| class.service_time.is_none() && !class.service_is_bad);
    if service_time.is_none() && is_needed && !workers.is_bad("service_time") {
        workers.miss(
            "service_time",
            "add it to [workers], such as `service_time = \"8ms\"` or \
             `service_time = { distribution = \"exponential\", mean = \"8ms\" }`",
        );
    }
    workers.close();
    if processes * concurrency > MOST_SLOTS {
        let message = format!(
            "{processes} processes x {concurrency} jobs are {} slots, more than the most allowed",
            processes * concurrency
        );
        let name = if workers.has("processes") { "processes" } else { "concurrency" };
        workers.complain(name, Fault::new(Code::OutOfRange, message, format!("at most {MOST_SLOTS} in all")));
    }
    if !workers.has("overhead") {
        workers.log().warn(
            "`workers.overhead` is not given: 0s assumed; BullMQ was measured to hold a slot for 1.5 ms per job \
             besides its service",
        );
    }
    // Both are within bounds on their own; their product was checked above.
    let workers = Workers {
        processes: processes as u32,
        concurrency: concurrency as u32,
        overhead,
        contention: Contention::default(),
        batch: Batch::NONE,
        failures: None,
        crashes: None,
        stalls: Stalls::BULLMQ,
        database: None,
    };
    (workers, service_time)
}

fn read_redis(mut redis: Section<'_>) -> Redis {
    const ON_FULL: &[(&str, OnFull)] = &[("reject", OnFull::Reject), ("crash", OnFull::Crash)];
    let maxmemory = redis
        .key("maxmemory", "Memory limit.")
        .typed(Kind::ChoiceOr(vec!["none"], Quantity::Size), |item, _| match &item.value {
            Value::Text(text) if text == "none" => Ok(None),
            value => match quantity_of(value, Quantity::Size)? as u64 {
                0 => Err(Fault::new(Code::OutOfRange, "must be above zero", "no limit is written \"none\"")),
                bytes => Ok(Some(bytes)),
            },
        })
        .or("none");
    let on_full = redis
        .key("on_full", "What a full Redis does: refuse jobs, or crash and lose all.")
        .choice(ON_FULL)
        .or("reject");
    let base = redis.key("base", "Bytes used with no job in it.").quantity(Quantity::Size).or("1MiB");
    let job_overhead = redis
        .key("job_overhead", "Bytes of a job besides its payload.")
        .quantity(Quantity::Size)
        .or(JOB_OVERHEAD);
    let payload_factor = redis
        .key("payload_factor", "Bytes of memory for each byte of payload.")
        .number(1e-6, 1e6)
        .or(PAYLOAD_FACTOR);
    let restart_after = redis.key("restart_after", "How long a crashed Redis is away.").span().or("30s");
    redis.close();
    let base = base.round() as u64;
    if let Some(limit) = maxmemory.filter(|&limit| limit <= base) {
        let message = format!("{limit} bytes leave no room for jobs above `redis.base`, {base} bytes");
        redis.complain("maxmemory", Fault::new(Code::Conflict, message, "must be above `redis.base`"));
    }
    Redis {
        maxmemory,
        on_full,
        base,
        memory: MemoryModel::Line { job_overhead, payload_factor },
        fragmentation: 1.0,
        keep_completed: Keep::NOTHING,
        keep_failed: Keep::NOTHING,
        restart_after,
        watermark: None,
        shards: 1,
        operations: None,
    }
}

/// The objectives as they stand in the file; they can be read only when the classes are known.
fn ask_for_slo<'a>(top: &mut Section<'a>) -> Vec<&'a Item> {
    let doc = "Objectives: metric{class=NAME}.statistic < number.";
    let item = top.ask("slo");
    top.record(
        "slo",
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
            top.complain("slo", Fault::new(Code::WrongType, message, label));
            Vec::new()
        }
        None => Vec::new(),
    }
}

fn read_slo(log: &Log<'_>, items: &[&Item], classes: &[ReadClass<'_>]) -> Vec<Slo> {
    let names: Vec<&str> = classes.iter().map(|class| class.name.as_str()).collect();
    let mut objectives = Vec::new();
    for item in items {
        let Value::Text(text) = &item.value else {
            let message = format!("`slo`: {} is not a string", item.value.noun());
            log.report(&item.place, Code::WrongType, message, "such as \"recovery_seconds.p95 < 120\"");
            continue;
        };
        match Slo::parse(text, &names) {
            Ok(slo) => objectives.push(slo),
            Err(fault) => {
                let inside = log.inside_quotes(&item.place, text).map(|place| place.part(fault.span));
                let place = inside.unwrap_or_else(|| item.place.clone());
                log.report(&place, fault.code, format!("`slo`: {}", fault.message), fault.label);
            }
        }
    }
    objectives
}

/// The engine keeps the completion of a job and the number of its slot in one 64-bit word.
fn must_fit_the_clock(top: &mut Section<'_>, model: &ModelConfig) {
    let slots = u64::from(model.workers.processes) * u64::from(model.workers.concurrency);
    let bits = 64 - slots.next_power_of_two().trailing_zeros();
    let limit = 2_f64.powi(bits as i32) / 1e9;
    let traced = model.sources.iter().filter_map(|source| match &source.process {
        ArrivalProcess::Trace(trace) => trace.iter().filter_map(|arrival| arrival.service).max(),
        _ => None,
    });
    let drawn = model.classes.iter().map(|class| generous(&class.service_time));
    let service = traced.map(SimDuration::as_secs_f64).chain(drawn).fold(0.0, f64::max);
    let needed = 2.0 * (model.horizon.as_secs_f64() + model.workers.overhead.as_secs_f64() + service);
    if needed > limit {
        let (horizon, service) = (shown(model.horizon), fmt_duration(service));
        let message = format!(
            "{horizon} and services of up to {service} are too long for a simulation of {slots} worker slots"
        );
        let label = format!(
            "`duration` and the longest service must stay below {} together: shorten them, or use fewer workers",
            fmt_duration(limit / 2.0)
        );
        top.complain("duration", Fault::new(Code::OutOfRange, message, label));
    }
}

/// Remarks on what is legal but hazardous or probably not meant.
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
    warn_of_overload(log, model);
}

/// Says when the last phase offers more work than the workers can do: what is admitted then is up to the policy.
fn warn_of_overload(log: &Log<'_>, model: &ModelConfig) {
    let (mut rate, mut busy_slots) = (0.0, 0.0);
    for ArrivalSource { process, phases, classes } in &model.sources {
        let (ArrivalProcess::Constant | ArrivalProcess::Poisson | ArrivalProcess::Renewal(_)) = process
        else {
            return;
        };
        let Some(last) = phases.last() else { continue };
        rate += last.rate;
        for &(class, share) in classes {
            let held = model.classes[class].service_time.mean() + model.workers.overhead.as_secs_f64();
            busy_slots += last.rate * share * held;
        }
    }
    let load = busy_slots / f64::from(model.workers.slots());
    if load > 1.0 {
        let (offered, capacity) = (fmt_rate(rate), fmt_rate(rate / load));
        log.warn(format!(
            "overloaded to the end: the last arrivals are {offered}, the workers can do at most {capacity}"
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
