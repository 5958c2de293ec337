//! What the fluid limit says a configuration would do, without simulating it: microseconds instead of seconds.
//!
//! The limit leaves out noise, latencies and the spread of service times. How much that matters is not assumed
//! here but measured by the search on simulated pilots.

use backpressure::KindName;

use crate::engine::time::{SimDuration, SimTime};
use crate::fluid::{self, EventKind, Fluid, Level, PerClass, Regime, Segment, System};
use crate::memory::JobState;
use crate::model::config::{
    ArrivalProcess, ArrivalSource, Curve, Gateway, JobClass, Keep, ModelConfig, Monitoring, PolicyConfig,
    Queue, Redis, Start, Workers,
};
use crate::model::disturbance::Disturbance;
use crate::model::metric::Metric;

/// What the fluid limit says of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    offered: PerClass,
    rejected: PerClass,
    /// The same of those that arrive after the warm-up.
    measured_offered: PerClass,
    measured_rejected: PerClass,
    peak_depth: f64,
    mean_depth: f64,
    overshoot: f64,
    /// Seconds; the horizon if it never recovers.
    recovery: f64,
    /// Seconds until nobody waits any more; the horizon if that never happens.
    normal_again: f64,
    open_fraction: f64,
    openings: Option<f64>,
    redis_peak: f64,
    /// Jobs that noise may add or take, one standard deviation: the square root of those offered.
    noise_jobs: f64,
    /// Jobs per second that all workers finish.
    capacity: f64,
}

/// More cycles than this take longer to follow than a simulation.
const MOST_CYCLES: f64 = 20_000.0;
/// Steps of a ramp and of each period of a cycle.
const STEPS: f64 = 50.0;
const MOST_SEGMENTS: usize = 10_000;
/// Closer than this to a memory or queue limit, the forecast does not say on which side it is.
const LIMIT_MARGIN: f64 = 0.1;
/// Stands for a threshold that is never reached.
const NEVER: f64 = 1e15;

impl Forecast {
    /// The forecast; `None` where the limit does not apply: recorded arrivals, a queue limit or a full Redis, or
    /// a circuit that would swing too often.
    pub fn of(model: &ModelConfig) -> Option<Self> {
        let fluid = fluid_of(model)?;
        if cycles(&fluid) > MOST_CYCLES {
            return None;
        }
        let solution = fluid::solve(&fluid);
        let end = solution.segments.last()?;
        let horizon = model.horizon.as_secs_f64();
        let measured = (model.horizon - model.warmup).as_secs_f64();
        // A segment ends where the warm-up does.
        let warmup = model.warmup.as_secs_f64();
        let in_warmup = solution.segments.iter().filter(|end| end.time <= warmup + 1e-9).count();
        let offered = offered_in(&fluid.segments);
        let before = in_warmup.checked_sub(1).map(|last| solution.segments[last]);
        let (depth_area, open_seconds, rejected) =
            before.map_or_else(Default::default, |end| (end.depth_area, end.open_seconds, end.rejected));
        let redis_peak = model.redis.base as f64 + bytes_of_jobs(model, solution.peak);
        let is_near = |limit: Option<u64>, value: f64| {
            limit.is_some_and(|limit| value > limit as f64 * (1.0 - LIMIT_MARGIN))
        };
        if is_near(model.redis.maxmemory, redis_peak) || is_near(model.queue.capacity, solution.peak) {
            return None;
        }
        let recovered = recovery(model, &fluid, &solution);
        Some(Self {
            noise_jobs: (offered.urgent + offered.normal + offered.batch).sqrt(),
            offered,
            rejected: end.rejected,
            measured_offered: offered_in(&fluid.segments[in_warmup..]),
            measured_rejected: PerClass {
                urgent: end.rejected.urgent - rejected.urgent,
                normal: end.rejected.normal - rejected.normal,
                batch: end.rejected.batch - rejected.batch,
            },
            peak_depth: solution.peak,
            mean_depth: (end.depth_area - depth_area) / measured,
            overshoot: (solution.peak - model.policy.config.critical() as f64).max(0.0),
            recovery: recovered.map_or(horizon, |recovered| recovered.seconds),
            normal_again: recovered.and_then(|recovered| drained(&fluid, recovered)).unwrap_or(horizon),
            open_fraction: (end.open_seconds - open_seconds) / measured,
            openings: end.opens.map(|opens| opens as f64),
            redis_peak,
            capacity: fluid.system.servers * fluid.system.service_rate,
        })
    }

    /// The forecast of a metric; `None` of those it knows nothing about.
    pub fn get(&self, model: &ModelConfig, metric: Metric, class: Option<usize>) -> Option<f64> {
        let jobs = |of: &PerClass| match class {
            None => of.urgent + of.normal + of.batch,
            Some(class) => {
                let group = group_of(model, class);
                let all: f64 = (0..model.classes.len())
                    .filter(|&other| group_of(model, other) == group)
                    .map(|other| model.offered_jobs(other))
                    .sum();
                let total = [of.urgent, of.normal, of.batch][group];
                if all > 0.0 { total * model.offered_jobs(class) / all } else { 0.0 }
            }
        };
        let (offered, rejected) = (jobs(&self.offered), jobs(&self.rejected));
        match (metric, class) {
            (Metric::Offered, _) => Some(offered),
            (Metric::Rejected, _) => Some(rejected),
            (Metric::Admitted, _) => Some(offered - rejected),
            (Metric::RejectionProbability, _) => {
                let (offered, rejected) = (jobs(&self.measured_offered), jobs(&self.measured_rejected));
                (offered > 0.0).then(|| rejected / offered)
            }
            // Redis stays below its limit, or there is no forecast.
            (Metric::Lost | Metric::RejectedQueueLimit, _) => Some(0.0),
            (Metric::PeakDepth, None) => Some(self.peak_depth),
            (Metric::MeanDepth, None) => Some(self.mean_depth),
            (Metric::Overshoot, None) => Some(self.overshoot),
            (Metric::Recovery | Metric::NormalAgain, None) if Disturbance::of(model).is_none() => None,
            (Metric::Recovery, None) if model.recovery_hold.0 == 0 => Some(self.recovery),
            (Metric::NormalAgain, None) => Some(self.normal_again),
            (Metric::OpenFraction, None) => Some(self.open_fraction),
            (Metric::CircuitOpenings, None) => self.openings,
            (Metric::RedisPeak, None) => Some(self.redis_peak),
            _ => None,
        }
    }

    /// What noise may add to or take from a metric, generously.
    pub fn noise(&self, model: &ModelConfig, metric: Metric) -> f64 {
        const DEVIATIONS: f64 = 4.0;
        let jobs = DEVIATIONS * self.noise_jobs;
        let PerClass { urgent, normal, batch } = self.measured_offered;
        match metric {
            Metric::RejectionProbability => jobs / (urgent + normal + batch).max(1.0),
            Metric::Recovery | Metric::NormalAgain => jobs / self.capacity,
            Metric::OpenFraction => jobs / self.capacity / (model.horizon - model.warmup).as_secs_f64(),
            // The phase of a cycle at the end of a spike is chance.
            Metric::CircuitOpenings => 1.0,
            Metric::RedisPeak => bytes_of_jobs(model, jobs),
            _ => jobs,
        }
    }
}

/// Jobs that arrive in these segments.
fn offered_in(segments: &[Segment]) -> PerClass {
    let mut offered = PerClass::default();
    for Segment { seconds, rates } in segments {
        offered.urgent += rates.urgent * seconds;
        offered.normal += rates.normal * seconds;
        offered.batch += rates.batch * seconds;
    }
    offered
}

/// Whether something feeds back, fails or changes on the way, which the limit does not follow.
///
/// Every struct of settings is destructured in full: a new setting does not compile until it is decided here whether the limit
/// follows it. Settings skipped by name are followed, or left out as minor, which pilots measure.
fn is_disturbed(model: &ModelConfig) -> bool {
    let ModelConfig {
        horizon: _,
        warmup: _,
        recovery_hold: _,
        series_step: _,
        classes: _,
        // Sources without rates are found below.
        sources: _,
        start: Start { jobs: _, circuit: _ },
        policy: PolicyConfig { config: _, observe: _ },
        gateway: Gateway { instances: _, check_latency: _, depth_age: _, in_flight_limit, readiness },
        // In whatever order jobs are served, as many are.
        queue: Queue { discipline: _, capacity: _, queues: _ },
        workers,
        redis,
        clients,
        faults,
        autoscaler,
        // Monitoring changes nothing.
        parts: _,
        questions: _,
        monitoring: Monitoring { scrape: _, evaluation: _, version: _, rules: _ },
    } = model;
    let Workers {
        processes: _,
        concurrency: _,
        overhead: _,
        // The capacity includes their effect.
        contention: _,
        batch: _,
        failures: _,
        database: _,
        crashes,
        // Jobs stall where processes die.
        stalls: _,
    } = workers;
    let Redis {
        // A Redis that gets full has no forecast.
        maxmemory: _,
        on_full: _,
        restart_after: _,
        base: _,
        memory: _,
        fragmentation: _,
        keep_completed,
        keep_failed,
        watermark,
        // The capacity includes the cost of commands.
        shards: _,
        operations: _,
    } = redis;
    let keeps = |&Keep { count, age: _ }: &Keep| count > 0;
    in_flight_limit.is_some()
        || readiness.is_some()
        || crashes.is_some()
        || keeps(keep_completed)
        || keeps(keep_failed)
        || watermark.is_some()
        || clients.is_some()
        || !faults.is_empty()
        || autoscaler.is_some()
}

/// The model as a fluid; `None` if an arrival process has no rates, or something disturbs it.
fn fluid_of(model: &ModelConfig) -> Option<Fluid> {
    if is_disturbed(model) {
        return None;
    }
    // The fluid limit is that of the kind `spec`.
    let KindName::Spec = model.policy.config.kind().name() else { return None };
    let has_rates = |source: &ArrivalSource| match source.process {
        ArrivalProcess::Constant | ArrivalProcess::Poisson | ArrivalProcess::Renewal(_) => true,
        ArrivalProcess::Modulated(_) | ArrivalProcess::Trace(_) | ArrivalProcess::Batches { .. } => false,
    };
    if !model.sources.iter().all(has_rates) {
        return None;
    }
    let ends = ends_of_segments(model)?;
    let begins = std::iter::once(SimTime::ZERO).chain(ends.iter().copied());
    let segment = |(begin, &end): (SimTime, &SimTime)| Segment {
        seconds: end.since(begin).as_secs_f64(),
        rates: rates_between(model, begin, end),
    };
    let segments = begins.zip(&ends).map(segment).collect();
    let config = &model.policy.config;
    let capacity = model.capacity();
    let when_enabled = |depth: u64| if config.enabled() { depth as f64 } else { NEVER };
    let recovery = config.recovery() as f64;
    let system = System {
        recovery,
        warning: if config.enabled() { config.warning() as f64 } else { recovery + 1.0 },
        critical: when_enabled(config.critical()),
        reopen_at: when_enabled(config.reopen_at()),
        shed_depth: when_enabled(config.sheds_at()),
        servers: f64::from(model.workers.slots()),
        service_rate: capacity / f64::from(model.workers.slots()),
    };
    let initial_state = match model.start.circuit {
        backpressure::State::Closed => Regime::Closed,
        backpressure::State::HalfOpen => Regime::HalfOpen,
        backpressure::State::Open => Regime::Open,
    };
    capacity.is_finite().then_some(Fluid {
        system,
        initial_depth: model.start.jobs as f64,
        initial_state,
        segments,
    })
}

/// The times at which rates change or the warm-up ends: a ramp is cut into steps, a cycle into some for each period. `None` if they are too many.
fn ends_of_segments(model: &ModelConfig) -> Option<Vec<SimTime>> {
    let horizon = SimTime(model.horizon.0);
    let mut ends = vec![SimTime(model.warmup.0), horizon];
    for (begin, phase) in model.sources.iter().flat_map(ArrivalSource::phase_spans) {
        let end = phase.end.min(horizon);
        let length = end.since(begin);
        let steps = match phase.curve {
            Curve::Flat => 1.0,
            Curve::Ramp(_) => STEPS,
            Curve::Cycle { period, .. } => (STEPS * length.as_secs_f64() / period).ceil().max(1.0),
        };
        if steps > MOST_SEGMENTS as f64 || ends.len() > MOST_SEGMENTS {
            return None;
        }
        let part = |step: u64| SimDuration((u128::from(length.0) * u128::from(step) / steps as u128) as u64);
        ends.extend((1..=steps as u64).map(|step| begin + part(step)).filter(|end| *end <= horizon));
    }
    ends.retain(|end| *end > SimTime::ZERO);
    ends.sort_unstable();
    ends.dedup();
    Some(ends)
}

/// Mean offered rates of a segment, for each group of classes that admission tells apart.
fn rates_between(model: &ModelConfig, begin: SimTime, end: SimTime) -> PerClass {
    let mut rates = [0.0; 3];
    for source in &model.sources {
        // A segment is all in one phase.
        let phase = source.phase_spans().find(|(_, phase)| phase.end > begin);
        let rate = phase.map_or(0.0, |(start, phase)| match phase.curve {
            Curve::Flat => phase.rate,
            Curve::Ramp(_) | Curve::Cycle { .. } => {
                let until = |time: SimTime| phase.arrivals_in(start, time.since(start).as_secs_f64());
                (until(end) - until(begin)) / end.since(begin).as_secs_f64()
            }
        });
        for &(class, share) in &source.classes {
            rates[group_of(model, class)] += rate * share;
        }
    }
    let [urgent, normal, batch] = rates;
    PerClass { urgent, normal, batch }
}

/// 0, 1, 2: always admitted, not while OPEN, only while CLOSED below the shed level.
fn group_of(model: &ModelConfig, class: usize) -> usize {
    match model.classes[class].priority.get() {
        1 => 0,
        2..=5 => 1,
        _ => 2,
    }
}

/// Memory of a number of jobs of all classes, in their shares.
fn bytes_of_jobs(model: &ModelConfig, jobs: f64) -> f64 {
    let memory = &model.redis.memory;
    let state_of = |class: &JobClass| {
        if class.queue_priority > 0 { JobState::Prioritized } else { JobState::Waiting }
    };
    let each = model.mean_over_jobs(|class| memory.of_job(state_of(class), class.payload.mean() as u64));
    let state = model.classes.first().map_or(JobState::Waiting, state_of);
    let tables = memory.of_jobs(jobs.max(0.0) as u64, state, 0) - jobs * memory.of_job(state, 0);
    jobs * each + tables.max(0.0)
}

/// How often the circuit would swing between warning and `reopen_at`, or hold without hysteresis, in all
/// segments together.
fn cycles(fluid: &Fluid) -> f64 {
    let System { warning, reopen_at, servers, service_rate, .. } = fluid.system;
    let capacity = servers * service_rate;
    let in_segment = |Segment { seconds, rates }: &Segment| {
        let (fill, drain) = (rates.urgent + rates.normal - capacity, capacity - rates.urgent);
        let period = (reopen_at - warning) * (1.0 / fill + 1.0 / drain);
        if fill > 0.0 && drain > 0.0 && period > 0.0 { seconds / period } else { 0.0 }
    };
    fluid.segments.iter().map(in_segment).sum()
}

/// The first moment CLOSED at or below the recovery threshold after the last spike.
#[derive(Clone, Copy, Debug)]
struct Recovered {
    /// When the spike ends.
    origin: f64,
    /// Seconds from then on.
    seconds: f64,
    depth: f64,
}

fn recovery(model: &ModelConfig, fluid: &Fluid, solution: &fluid::FluidSolution) -> Option<Recovered> {
    let origin = Disturbance::of(model).map_or(0.0, |disturbance| disturbance.end.as_secs_f64());
    if origin >= model.horizon.as_secs_f64() {
        return None;
    }
    let before = solution.segments.iter().rfind(|end| end.time <= origin + 1e-9);
    let (state, depth) =
        before.map_or((fluid.initial_state, fluid.initial_depth), |end| (end.state, end.depth));
    if state == Regime::Closed && depth <= fluid.system.recovery {
        return Some(Recovered { origin, seconds: 0.0, depth });
    }
    let mut state = state;
    let at = |time: f64| Some(Recovered { origin, seconds: time - origin, depth: fluid.system.recovery });
    for event in solution.events.iter().filter(|event| event.time > origin) {
        match event.kind {
            EventKind::Closes => return at(event.time),
            EventKind::Reaches(Level::Recovery) if state == Regime::Closed => return at(event.time),
            EventKind::Opens | EventKind::Reopens => state = Regime::Open,
            EventKind::HalfOpens => state = Regime::HalfOpen,
            EventKind::Reaches(_) | EventKind::Slides(_) => {}
        }
    }
    None
}

/// Seconds from the end of the last spike until nobody waits: where it has recovered, every job is let in, and what is
/// left drains at what the capacity has to spare. Who waits in the calm before is noise, which the limit leaves out.
fn drained(fluid: &Fluid, recovered: Recovered) -> Option<f64> {
    let System { servers, service_rate, .. } = fluid.system;
    let mut excess = recovered.depth - servers;
    let (begin, mut end) = (recovered.origin + recovered.seconds, 0.0);
    for Segment { seconds, rates } in &fluid.segments {
        let from = begin.max(end);
        end += seconds;
        if end <= begin {
            continue;
        }
        if excess <= 0.0 {
            return Some(from - recovered.origin);
        }
        let spare = servers * service_rate - (rates.urgent + rates.normal + rates.batch);
        let left = (end - from).max(0.0);
        if spare * left >= excess && left > 0.0 {
            return Some(from + excess / spare - recovered.origin);
        }
        excess -= spare * left;
    }
    None
}
