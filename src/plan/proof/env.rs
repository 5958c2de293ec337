//! `plan.env` read back: the gateway that these variables make, in the model.
//!
//! What the gateway has no variable for is as the gateway is, not as the scenario would have it: it has no lanes, no bound on
//! its queue but the thresholds, and caches no depth. So a plan that rests on any of these is found out. What belongs to Redis,
//! the workers or the network (its memory, batches, latencies) stays as in the scenario.

use std::collections::BTreeMap;
use std::str::FromStr;

use backpressure::{Config, KindName, Nanos, OnUnknownDepth, Priority};
use contract::variable::{Variable, percent_to_ppm};
use contract::variables::{
    self, ALL_JOBS, ALLOW_EVICTION, DEFAULT_EVENT_PRIORITY, DEPTH_INTERVAL_MS, DEPTH_MODE, DEPTH_VALID_MS,
    ENABLE_BACKPRESSURE, EVENT_PRIORITIES, JOB_ATTEMPTS, JOB_BACKOFF_KIND, JOB_BACKOFF_MS,
    JOB_KEEP_COMPLETED, JOB_KEEP_FAILED, MEMORY_WATERMARK_PERCENT, NEVER, ON_UNKNOWN_DEPTH,
    QUEUE_CRITICAL_THRESHOLD, QUEUE_ORDER, QUEUE_POLICY, QUEUE_RECOVERY_THRESHOLD, QUEUE_REOPEN_THRESHOLD,
    QUEUE_SHARDS, QUEUE_SHED_PERCENT, QUEUE_WARNING_THRESHOLD, READINESS_CHECKS,
    RULE_ENGINE_WORKER_CONCURRENCY, backoff_kind, depth_mode, queue_order,
};

use crate::engine::time::SimDuration;
use crate::model::config::{Discipline, Keep, ModelConfig, Observe, OnFull, Readiness};

/// The variables of an environment file, as a shell or a container reads it.
struct Variables<'t>(BTreeMap<&'t str, &'t str>);

/// Makes the gateway of a model the one that the file describes.
///
/// # Errors
///
/// A line that is no variable of the gateway, or a value that it does not take.
pub(super) fn apply(text: &str, model: &mut ModelConfig) -> Result<(), String> {
    let variables = Variables::read(text)?;
    apply_policy(&variables, model)?;
    apply_gateway(&variables, model)?;
    apply_queue(&variables, model)?;
    apply_workers(&variables, model)?;
    apply_redis(&variables, model)
}

fn apply_policy(variables: &Variables<'_>, model: &mut ModelConfig) -> Result<(), String> {
    let interval = variables.number::<u64>(&DEPTH_INTERVAL_MS)?;
    let kind = variables.one_of(&QUEUE_POLICY, KindName::ALL.iter().copied(), |kind| kind.as_str())?;
    let unknown = variables.one_of(&ON_UNKNOWN_DEPTH, OnUnknownDepth::ALL, |choice| choice.as_str())?;
    let mut builder = Config::builder()
        .kind(kind)
        .enabled(variables.flag(&ENABLE_BACKPRESSURE)?)
        .recovery(variables.number(&QUEUE_RECOVERY_THRESHOLD)?)
        .warning(variables.number(&QUEUE_WARNING_THRESHOLD)?)
        .critical(variables.number(&QUEUE_CRITICAL_THRESHOLD)?)
        .default_priority(variables.number(&DEFAULT_EVENT_PRIORITY)?)
        .on_unknown_depth(unknown)
        .observe_every(Nanos::from_millis(interval));
    if kind == KindName::Spec {
        builder = builder.shed_at_ppm(variables.ppm(&QUEUE_SHED_PERCENT)?);
    }
    if !variables.value(&QUEUE_REOPEN_THRESHOLD).is_empty() {
        builder = builder.reopen_at(variables.number(&QUEUE_REOPEN_THRESHOLD)?);
    }
    if variables.value(&DEPTH_VALID_MS) != NEVER {
        builder = builder.depth_valid_for(Nanos::from_millis(variables.number(&DEPTH_VALID_MS)?));
    }
    model.policy.config = builder.build().map_err(|errors| errors.to_string())?;
    let is_sampled = variables.value(&DEPTH_MODE) == depth_mode::SAMPLED;
    model.policy.observe = if is_sampled { Observe::Every(milliseconds(interval)) } else { Observe::Arrival };
    Ok(())
}

fn apply_gateway(variables: &Variables<'_>, model: &mut ModelConfig) -> Result<(), String> {
    let gateway = &mut model.gateway;
    // The script that enqueues compares at the very moment; the other modes ask before, and none caches.
    if variables.value(&DEPTH_MODE) == depth_mode::ATOMIC {
        gateway.check_latency = SimDuration::ZERO;
    }
    gateway.depth_age = SimDuration::ZERO;
    gateway.in_flight_limit = None;
    let follows_circuit =
        variables.value(&READINESS_CHECKS).split(',').any(|check| check.trim() == "backpressure");
    gateway.readiness = follows_circuit.then(|| gateway.readiness.unwrap_or(USUAL_READINESS));
    for class in &mut model.classes {
        let named = variables.value(&EVENT_PRIORITIES).split(',').filter_map(|pair| pair.split_once('='));
        let mut own = named
            .filter(|(name, _)| name.trim() == class.name)
            .map(|(_, priority)| priority.trim().parse().ok());
        let priority = own.next_back().unwrap_or_else(|| Some(model.policy.config.default_priority().get()));
        class.priority = priority
            .and_then(Priority::new)
            .ok_or_else(|| format!("{} has no priority for {}", EVENT_PRIORITIES.name, class.name))?;
    }
    Ok(())
}

fn apply_queue(variables: &Variables<'_>, model: &mut ModelConfig) -> Result<(), String> {
    model.queue.capacity = None;
    match variables.value(&QUEUE_ORDER) {
        queue_order::FIFO => model.queue.discipline = Discipline::Fifo,
        _ => {
            model.queue.discipline = Discipline::Priority;
            model.classes.iter_mut().for_each(|class| class.queue_priority = u32::from(class.priority.get()));
        }
    }
    // Without the cost of commands a shard changes nothing in the model, and the number is arithmetic.
    if model.redis.operations.is_some() {
        model.queue.queues = variables.number(&QUEUE_SHARDS)?;
    }
    Ok(())
}

fn apply_workers(variables: &Variables<'_>, model: &mut ModelConfig) -> Result<(), String> {
    model.workers.concurrency = variables.number(&RULE_ENGINE_WORKER_CONCURRENCY)?;
    if let Some(failures) = &mut model.workers.failures {
        failures.attempts = variables.number(&JOB_ATTEMPTS)?;
        failures.backoff = milliseconds(variables.number(&JOB_BACKOFF_MS)?);
        failures.exponential = variables.value(&JOB_BACKOFF_KIND) == backoff_kind::EXPONENTIAL;
    }
    Ok(())
}

fn apply_redis(variables: &Variables<'_>, model: &mut ModelConfig) -> Result<(), String> {
    let kept = |variable: &Variable| -> Result<Keep, String> {
        let all = variables.value(variable) == ALL_JOBS;
        let count = if all { u64::MAX } else { variables.number(variable)? };
        Ok(Keep { count, ..Keep::NOTHING })
    };
    let (completed, failed) = (kept(&JOB_KEEP_COMPLETED)?, kept(&JOB_KEEP_FAILED)?);
    (model.redis.keep_completed, model.redis.keep_failed) = (completed, failed);
    match (variables.flag(&ALLOW_EVICTION)?, model.redis.on_full) {
        (true, _) => model.redis.on_full = OnFull::Evict,
        (false, OnFull::Evict) => model.redis.on_full = OnFull::Reject,
        (false, _) => {}
    }
    if model.redis.maxmemory.is_some() {
        model.redis.watermark = Some(f64::from(variables.ppm(&MEMORY_WATERMARK_PERCENT)?) / 1e6);
    }
    Ok(())
}

impl<'t> Variables<'t> {
    fn read(text: &'t str) -> Result<Self, String> {
        let mut known = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (name, value) = line.split_once('=').ok_or_else(|| format!("`{line}` is no variable"))?;
            let variable = variables::named(name).ok_or_else(|| format!("the gateway has no `{name}`"))?;
            if !variable.accepts(value) {
                return Err(format!("{name} does not take `{value}`"));
            }
            known.insert(name, value);
        }
        Ok(Self(known))
    }

    /// Its value in the file, or its default.
    fn value(&self, variable: &Variable) -> &'t str {
        self.0.get(variable.name).copied().unwrap_or(variable.default)
    }

    fn flag(&self, variable: &Variable) -> Result<bool, String> {
        self.parsed(variable, |text| text.parse().ok())
    }

    fn number<T: FromStr>(&self, variable: &Variable) -> Result<T, String> {
        self.parsed(variable, |text| text.parse().ok())
    }

    /// Millionths.
    fn ppm(&self, variable: &Variable) -> Result<u32, String> {
        self.parsed(variable, percent_to_ppm)
    }

    fn one_of<T: Copy>(
        &self,
        variable: &Variable,
        all: impl IntoIterator<Item = T>,
        name: impl Fn(&T) -> &'static str,
    ) -> Result<T, String> {
        let mut all = all.into_iter();
        self.parsed(variable, |text| all.find(|one| name(one) == text))
    }

    fn parsed<T>(&self, variable: &Variable, read: impl FnOnce(&str) -> Option<T>) -> Result<T, String> {
        let value = self.value(variable);
        read(value).ok_or_else(|| format!("{} does not take `{value}`", variable.name))
    }
}

fn milliseconds(milliseconds: u64) -> SimDuration {
    SimDuration(milliseconds.saturating_mul(1_000_000))
}

/// The probe of the specification, with the defaults of Kubernetes.
const USUAL_READINESS: Readiness =
    Readiness { period: SimDuration(5_000_000_000), failures: 3, successes: 1 };
