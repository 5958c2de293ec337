//! Hints: settings that are legal and do not do what they are there for, found by arithmetic before anything runs.
//!
//! A hint names the setting and where it stands, the values, why they do not go together, and what would. It says nothing
//! where the arithmetic leaves a doubt: recorded arrivals, faults and retries count as nothing here, and an autoscaler as if
//! it had all its workers at once.

use std::fmt;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::log::Log;
use super::setting::{Origin, shown};
use crate::engine::time::{SimDuration, SimTime};
use crate::memory::JobState;
use crate::model::config::{AlertRule, ArrivalSource, Condition, JobClass, ModelConfig, TargetType};
use crate::units::fmt_rate;

/// Settings that do not go together.
#[derive(Clone, Debug, PartialEq)]
pub struct Hint {
    /// Which of the rules.
    pub kind: HintKind,
    /// The setting that is best changed, as `--set` names it.
    pub setting: String,
    /// Where it stands.
    pub place: Place,
    /// The values, in one sentence.
    pub message: String,
    /// Why they do not go together.
    pub reason: String,
    /// What would be right.
    pub advice: String,
}

/// Where the setting of a hint stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// It has its default, or a value from the file or an option.
    Given(Origin),
    /// The section is not in the file.
    Missing,
}

/// The rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HintKind {
    /// The policy keeps the depth below what the autoscaler acts on.
    AutoscalerNeverActs,
    /// At the recovery threshold jobs wait longer than their clients.
    RecoveryBeyondPatience,
    /// Redis is full before the circuit opens.
    RedisBelowCritical,
    /// Without any spike more arrives than the workers can do.
    WorkersBelowCalm,
    /// Jobs are refused, and nobody sends them again.
    ClientsMissing,
    /// Every alert waits longer than the overload lasts.
    AlertsBeyondIncident,
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, place, message, reason, advice, .. } = self;
        match place {
            Place::Given(Origin::Override { .. }) => write!(f, "--set {setting}")?,
            Place::Given(origin) => write!(f, "{origin}, `{setting}`")?,
            Place::Missing => write!(f, "`{setting}` is not in the file")?,
        }
        write!(f, ": {message}. {reason}. {advice}")
    }
}

impl Serialize for Hint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (place, line) = match &self.place {
            Place::Missing => ("missing".to_owned(), None),
            Place::Given(origin @ Origin::File { line }) => (origin.to_string(), Some(*line)),
            Place::Given(origin) => (origin.to_string(), None),
        };
        let mut hint = serializer.serialize_struct("Hint", 7)?;
        hint.serialize_field("hint", &self.kind)?;
        hint.serialize_field("setting", &self.setting)?;
        hint.serialize_field("place", &place)?;
        hint.serialize_field("line", &line)?;
        hint.serialize_field("message", &self.message)?;
        hint.serialize_field("reason", &self.reason)?;
        hint.serialize_field("advice", &self.advice)?;
        hint.end()
    }
}

/// All hints about a scenario, in the order of the rules.
pub(super) fn of(log: &Log<'_>, model: &ModelConfig) -> Vec<Hint> {
    let overload = Overload::of(model);
    let found = [
        autoscaler_never_acts(model),
        recovery_beyond_patience(model),
        redis_below_critical(model),
        workers_below_calm(model),
        clients_missing(model, &overload),
        alerts_beyond_incident(model, &overload),
    ];
    let placed = |found: Found| {
        let Found { kind, setting, message, reason, advice } = found;
        let place = log.origin_of(setting).map_or(Place::Missing, Place::Given);
        let is_missing = setting == "clients";
        let place = if is_missing { Place::Missing } else { place };
        Hint { kind, setting: setting.to_owned(), place, message, reason, advice }
    };
    found.into_iter().flatten().map(placed).collect()
}

/// A hint whose place is not yet known.
struct Found {
    kind: HintKind,
    setting: &'static str,
    message: String,
    reason: String,
    advice: String,
}

/// An autoscaler adds workers where the depth is above its target by more than the tolerance; an enabled policy lets the
/// depth grow to `critical`, and a bounded waiting line to its capacity.
fn autoscaler_never_acts(model: &ModelConfig) -> Option<Found> {
    let autoscaler = model.autoscaler.as_ref()?;
    // By the use of the processors it acts whatever the depth is.
    if autoscaler.max <= model.workers.processes || autoscaler.cpu_percent.is_some() {
        return None;
    }
    let critical = model.policy.config.enabled().then(|| ("policy.critical", model.policy.config.critical()));
    let slots = u64::from(model.workers.slots());
    let capacity = model.queue.capacity.map(|capacity| ("queue.capacity with all slots", capacity + slots));
    let (name, most) = critical.into_iter().chain(capacity).min_by_key(|(_, most)| *most)?;
    // A flood of jobs that no policy turns away has no bound.
    if name == "policy.critical" && urgent_rate(model) > most_capacity(model) {
        return None;
    }
    let replicas = match autoscaler.target_type {
        TargetType::AverageValue => u64::from(model.workers.processes),
        TargetType::Value => 1,
    };
    let acts_above = autoscaler.target as f64 * replicas as f64 * (1.0 + autoscaler.tolerance_up);
    if acts_above < most as f64 {
        return None;
    }
    let (target, tolerance) = (autoscaler.target, autoscaler.tolerance_up * 100.0);
    let right = (most as f64 / (replicas as f64 * (1.0 + autoscaler.tolerance_up))).ceil() as u64 - 1;
    let drain = model.capacity() / replicas as f64;
    let of_processes = if replicas > 1 { format!(" x {replicas} processes") } else { String::new() };
    Some(Found {
        kind: HintKind::AutoscalerNeverActs,
        setting: "autoscaler.target",
        message: format!(
            "{target} jobs{of_processes} + {tolerance:.0}% tolerance are {acts_above:.0} jobs, and `{name}` lets the depth reach {most}"
        ),
        reason: "So the autoscaler never adds a process: jobs are refused first".to_owned(),
        advice: format!(
            "Below {}: the allowed wait x the jobs per second behind it, such as 1 s x {drain:.0}/s",
            right + 1
        ),
    })
}

fn recovery_beyond_patience(model: &ModelConfig) -> Option<Found> {
    model.recovery_beyond_patience()?;
    let timeout = model.clients?.timeout?.as_secs_f64();
    let (capacity, recovery) = (model.capacity(), model.policy.config.recovery());
    Some(Found {
        kind: HintKind::RecoveryBeyondPatience,
        setting: "policy.recovery",
        message: format!(
            "{recovery} jobs are {:.1} s of work at {capacity:.0} jobs/s, and `clients.timeout` is {timeout} s",
            recovery as f64 / capacity
        ),
        reason: "The circuit closes on a queue whose clients have left or soon will, and their retries keep it as deep".to_owned(),
        advice: format!("At most {:.0}: half of capacity x timeout", (capacity * timeout / 2.0).floor()),
    })
}

/// A watermark or a bounded waiting line protects Redis in another way.
fn redis_below_critical(model: &ModelConfig) -> Option<Found> {
    let (redis, policy) = (&model.redis, &model.policy.config);
    let maxmemory = redis.maxmemory?;
    if !policy.enabled() || redis.watermark.is_some() || model.queue.capacity.is_some() {
        return None;
    }
    let critical = policy.critical();
    let of_job = |class: &JobClass| {
        let state = if class.queue_priority > 0 { JobState::Prioritized } else { JobState::Waiting };
        let payload = class.payload.mean().round() as u64;
        redis.memory.of_jobs(critical, state, payload) / critical as f64
    };
    let bytes = model.mean_over_jobs(of_job);
    let needed = redis.base as f64 + critical as f64 * bytes;
    if needed <= maxmemory as f64 {
        return None;
    }
    let room = (maxmemory.saturating_sub(redis.base)) as f64;
    let fits = (room / bytes).floor();
    Some(Found {
        kind: HintKind::RedisBelowCritical,
        setting: "redis.maxmemory",
        message: format!(
            "`policy.critical`, {critical} jobs, x {bytes:.0} bytes and the base are {}, and Redis has {}",
            mebibytes(needed),
            mebibytes(maxmemory as f64)
        ),
        reason:
            "So Redis is full before the circuit opens, and what it refuses or drops is lost and not refused"
                .to_owned(),
        advice: format!(
            "At least {} for Redis, or `policy.critical` of at most {fits:.0} with room for what is on its way",
            mebibytes(needed)
        ),
    })
}

/// The load before the first spike; where there is none, the end of the run is warned of.
fn workers_below_calm(model: &ModelConfig) -> Option<Found> {
    let first = model.sources.iter().flat_map(ArrivalSource::phase_spans);
    let spike = first.filter(|(_, phase)| phase.spike).map(|(begin, _)| begin).min()?;
    let calm = grid(model).into_iter().filter(|time| *time < spike).map(|time| model.rate_at(time));
    let calm = calm.fold(0.0, f64::max);
    let capacity = most_capacity(model);
    if calm <= capacity * (1.0 + ROUNDING) {
        return None;
    }
    let each = model.capacity() / f64::from(model.workers.processes);
    let (setting, has) = match &model.autoscaler {
        Some(autoscaler) => ("autoscaler.max", autoscaler.max),
        None => ("workers.processes", model.workers.processes),
    };
    let has = if has == 1 { "1 process".to_owned() } else { format!("{has} processes") };
    let message =
        format!("{has} can do {}, and {} arrive before any spike", fmt_rate(capacity), fmt_rate(calm));
    let (bound_by, _) = model.bottleneck();
    let advice = if bound_by == "workers" {
        format!("At least {:.0} processes", (calm / each).floor() + 1.0)
    } else {
        format!("More workers do not help: {bound_by} bind them")
    };
    Some(Found {
        kind: HintKind::WorkersBelowCalm,
        setting,
        message,
        reason: "So the queue grows in the calm already, and there is nothing that it could go back to after the spike".to_owned(),
        advice,
    })
}

fn clients_missing(model: &ModelConfig, overload: &Overload) -> Option<Found> {
    let policy = &model.policy.config;
    let sheds_at = policy.sheds_at();
    let is_only_urgent = model.classes.iter().all(is_urgent);
    if model.clients.is_some() || !policy.enabled() || is_only_urgent || overload.deepest < sheds_at as f64 {
        return None;
    }
    Some(Found {
        kind: HintKind::ClientsMissing,
        setting: "clients",
        message: format!(
            "up to {} arrive and {} can be done, so the depth passes {sheds_at} and jobs are refused with 503",
            fmt_rate(overload.peak),
            fmt_rate(overload.capacity)
        ),
        reason: "Here a refused job is gone; real clients send it again, which is more load while there is too much".to_owned(),
        advice: "Add [clients] with their `retries`, `backoff` and `timeout`, unless nobody waits for the answer".to_owned(),
    })
}

fn alerts_beyond_incident(model: &ModelConfig, overload: &Overload) -> Option<Found> {
    let policy = &model.policy.config;
    if !policy.enabled() || overload.deepest < policy.sheds_at() as f64 {
        return None;
    }
    let of_overload = |rule: &&AlertRule| !matches!(rule.condition, Condition::WorkersBelow(_));
    let first = model.monitoring.rules.iter().filter(of_overload).min_by_key(|rule| rule.wait)?;
    if first.wait.as_secs_f64() < overload.longest {
        return None;
    }
    let incident = SimDuration::from_secs_f64(overload.longest);
    let setting = match first.condition {
        Condition::CircuitOpen => "alerts.circuit_open_for",
        Condition::PendingAbove(_) if first.name == "QueueDepthCritical" => "alerts.depth_critical_for",
        Condition::PendingAbove(_) => "alerts.depth_warning_for",
        Condition::RejectionsAbove { .. } | Condition::WorkersBelow(_) => "alerts.rejection_for",
        // Those that a plan proposes for its own incidents.
        Condition::RejectedShareAbove { .. } | Condition::WaitAbove { .. } | Condition::MemoryAbove(_) => {
            return None;
        }
    };
    Some(Found {
        kind: HintKind::AlertsBeyondIncident,
        setting,
        message: format!(
            "{} waits {}, the other alerts about load wait as long or longer, and the longest overload lasts {}",
            first.name,
            shown(first.wait),
            shown(SimDuration(incident.0 / SECOND * SECOND))
        ),
        reason: "So nobody is called before it is over".to_owned(),
        advice: format!(
            "At most a third of it, {}, in an alert that must call in time",
            shown(SimDuration((incident.0 / 3 / SECOND).max(1) * SECOND))
        ),
    })
}

/// More than can be done, in the fluid limit: the queue takes what the workers leave, up to `critical` where a policy is on.
struct Overload {
    peak: f64,
    capacity: f64,
    /// Largest depth in jobs.
    deepest: f64,
    /// The longest time from the beginning of an overload until its queue is worked off, in seconds; infinite of one that
    /// lasts to the end.
    longest: f64,
}

impl Overload {
    fn of(model: &ModelConfig) -> Self {
        let (capacity, policy) = (most_capacity(model), &model.policy.config);
        let bound = if policy.enabled() { policy.critical() as f64 } else { f64::INFINITY };
        let mut found = Self { peak: 0.0, capacity, deepest: 0.0, longest: 0.0 };
        let (mut depth, mut since) = (0.0, None::<f64>);
        for times in grid(model).windows(2) {
            let (from, to) = (times[0].as_secs_f64(), times[1].as_secs_f64());
            let middle = SimTime(u64::midpoint(times[0].0, times[1].0));
            let rate = model.rate_at(middle);
            found.peak = found.peak.max(rate);
            depth = f64::clamp(depth + (rate - capacity) * (to - from), 0.0, bound);
            found.deepest = found.deepest.max(depth);
            if depth > 0.0 {
                since.get_or_insert(from);
            } else if let Some(begin) = since.take() {
                found.longest = found.longest.max(to - begin);
            }
        }
        if since.is_some() {
            found.longest = f64::INFINITY;
        }
        found
    }
}

/// Times of the run that are close to one another, with every beginning and end of a phase.
fn grid(model: &ModelConfig) -> Vec<SimTime> {
    let horizon = model.horizon.0;
    let steps = (0..=STEPS).map(|step| (u128::from(horizon) * u128::from(step) / u128::from(STEPS)) as u64);
    let phases = model.sources.iter().flat_map(|source| &source.phases).map(|phase| phase.end.0);
    let mut times: Vec<u64> = steps.chain(phases.filter(|end| *end < horizon)).collect();
    times.sort_unstable();
    times.dedup();
    times.into_iter().map(SimTime).collect()
}

/// With all the workers that an autoscaler may have.
fn most_capacity(model: &ModelConfig) -> f64 {
    let Some(autoscaler) = &model.autoscaler else { return model.capacity() };
    let mut most = model.clone();
    most.workers.processes = autoscaler.max.max(model.workers.processes);
    most.capacity()
}

/// Peak rate of the jobs that an OPEN circuit still admits: of priority 1.
fn urgent_rate(model: &ModelConfig) -> f64 {
    let urgent = |class: &usize| is_urgent(&model.classes[*class]);
    let peak = |source: &ArrivalSource| {
        let share: f64 =
            source.classes.iter().filter(|(class, _)| urgent(class)).map(|(_, share)| share).sum();
        let highest = grid(model).into_iter().map(|time| source.rate_at(time)).fold(0.0, f64::max);
        share * highest
    };
    model.sources.iter().map(peak).sum()
}

/// Whether its jobs are admitted in every state.
fn is_urgent(class: &JobClass) -> bool {
    class.priority.get() == 1
}

fn mebibytes(bytes: f64) -> String {
    format!("{:.0} MiB", (bytes / f64::from(1 << 20)).ceil())
}

const STEPS: u64 = 4_000;
const SECOND: u64 = 1_000_000_000;
/// Rates that are equal but for rounding are no overload.
const ROUNDING: f64 = 1e-9;
