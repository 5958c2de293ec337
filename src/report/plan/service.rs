//! A plan as the settings of the gateway: what its variables say, and what no variable says.
//!
//! The configuration is taken apart without `..`: a new setting of a scenario does not compile until somebody has said here whether
//! the gateway can be told. The bounds of the contract decide whether a value can be written.

use std::fmt::Display;

use backpressure::Kind;
use backpressure::policy::Graded;
use contract::variable::{Variable, percent_to_ppm, ppm_to_percent};
use contract::variables::{
    ALL_JOBS, ALLOW_EVICTION, DEFAULT_EVENT_PRIORITY, DEPTH_INTERVAL_MS, DEPTH_MODE, DEPTH_VALID_MS,
    ENABLE_BACKPRESSURE, EVENT_PRIORITIES, JOB_ATTEMPTS, JOB_BACKOFF_KIND, JOB_BACKOFF_MS,
    JOB_KEEP_COMPLETED, JOB_KEEP_FAILED, MEMORY_URGENT_WATERMARK_PERCENT, MEMORY_WATERMARK_PERCENT, NEVER,
    ON_UNKNOWN_DEPTH, QUEUE_CRITICAL_THRESHOLD, QUEUE_ORDER, QUEUE_POLICY, QUEUE_RECOVERY_THRESHOLD,
    QUEUE_REOPEN_THRESHOLD, QUEUE_SHARDS, QUEUE_SHED_PERCENT, QUEUE_WARNING_THRESHOLD, READINESS_CHECKS,
    REDIS_CLUSTER, RULE_ENGINE_WORKER_CONCURRENCY, backoff_kind, depth_mode, queue_order,
};

use crate::engine::time::SimDuration;
use crate::model::config::{
    Batch, Discipline, Failures, Gateway, JobClass, Keep, ModelConfig, Observe, OnFull, PolicyConfig, Queue,
    Redis, Stalls, Workers,
};
use crate::model::metric::Metric;
use crate::plan::Choice;
use crate::units;

/// What the gateway is told.
#[derive(Clone, Debug, Default)]
pub(super) struct ServiceSettings {
    /// Variables and their values.
    pub(super) set: Vec<(Variable, String)>,
    /// What the plan has and no variable says.
    pub(super) unset: Vec<Unset>,
}

/// A setting of the plan that no variable says.
#[derive(Clone, Debug)]
pub(super) struct Unset {
    /// Its path in the scenario.
    pub(super) path: String,
    pub(super) value: String,
    /// Why it has none, and what is to be done instead.
    pub(super) remedy: &'static str,
}

impl ServiceSettings {
    pub(super) fn of(choice: &Choice) -> Self {
        let ModelConfig {
            policy,
            gateway,
            queue,
            workers,
            redis,
            classes,
            // The course of the run and what happens to the service, not what the service is told.
            horizon: _,
            warmup: _,
            recovery_hold: _,
            series_step: _,
            sources: _,
            start: _,
            clients: _,
            faults: _,
            parts: _,
            questions: _,
            monitoring: _,
            // `hpa.yaml`.
            autoscaler: _,
        } = &choice.scenario.model;
        let mut settings = Self::default();
        settings.add_policy(policy);
        settings.add_depth_signal(policy, gateway);
        settings.add_gateway(gateway);
        settings.add_classes(classes);
        settings.add_queue(queue, classes);
        settings.add_shards(choice);
        settings.add_workers(workers);
        settings.add_redis(redis);
        settings.add_watermarks(choice);
        settings
    }

    /// Writes a variable, unless its bounds do not allow that value or a shell would not take it as it stands.
    fn set(&mut self, variable: Variable, value: impl Display) {
        let value = value.to_string();
        let is_plain = value.chars().all(|c| c.is_alphanumeric() || "-_.:/,=".contains(c));
        if is_plain && variable.accepts(&value) {
            self.set.push((variable, value));
        } else {
            self.unset(variable.name, value, "not a value that the variable takes");
        }
    }

    /// A variable in milliseconds.
    fn set_span(&mut self, variable: Variable, span: SimDuration) {
        if span.0.is_multiple_of(NANOS_PER_MILLISECOND) {
            self.set(variable, span.0 / NANOS_PER_MILLISECOND);
        } else {
            self.unset(variable.name, shown(span), "the variable takes whole milliseconds");
        }
    }

    fn unset(&mut self, path: impl Into<String>, value: impl Into<String>, remedy: &'static str) {
        self.unset.push(Unset { path: path.into(), value: value.into(), remedy });
    }

    fn add_policy(&mut self, PolicyConfig { config: policy, observe: _ }: &PolicyConfig) {
        self.set(ENABLE_BACKPRESSURE, policy.enabled());
        self.set(QUEUE_WARNING_THRESHOLD, policy.warning());
        self.set(QUEUE_CRITICAL_THRESHOLD, policy.critical());
        self.set(QUEUE_RECOVERY_THRESHOLD, policy.recovery());
        self.set(QUEUE_REOPEN_THRESHOLD, policy.reopen_at());
        self.set(QUEUE_POLICY, policy.kind().name());
        match policy.kind() {
            Kind::Spec(spec) => self.set(QUEUE_SHED_PERCENT, ppm_to_percent(spec.shed_at_ppm())),
            Kind::Graded(Graded) => {}
        }
        self.set(ON_UNKNOWN_DEPTH, policy.on_unknown_depth());
        self.set(DEFAULT_EVENT_PRIORITY, policy.default_priority().get());
    }

    /// How the gateways know the depth: what is checked at an arrival is asked for at an arrival, and a check that takes no time is
    /// that of the script that enqueues.
    fn add_depth_signal(&mut self, PolicyConfig { config, observe }: &PolicyConfig, gateway: &Gateway) {
        let is_instant = gateway.check_latency == SimDuration::ZERO && gateway.depth_age == SimDuration::ZERO;
        let mode = match observe {
            Observe::Every(_) => depth_mode::SAMPLED,
            Observe::Arrival | Observe::Continuous if is_instant => depth_mode::ATOMIC,
            Observe::Arrival | Observe::Continuous => depth_mode::REQUEST,
        };
        self.set(DEPTH_MODE, mode);
        self.set_span(DEPTH_INTERVAL_MS, SimDuration(config.observe_every().0));
        match config.depth_valid_for() {
            None => self.set(DEPTH_VALID_MS, NEVER),
            Some(span) => self.set_span(DEPTH_VALID_MS, SimDuration(span.0)),
        }
        if *observe == Observe::Continuous {
            self.unset(
                "policy.observe",
                "continuous",
                "a gateway reads the depth on a timer, not at each departure",
            );
        }
    }

    fn add_gateway(&mut self, gateway: &Gateway) {
        let Gateway {
            instances,
            check_latency: _, // As fast as Redis answers.
            depth_age,
            in_flight_limit,
            readiness,
        } = gateway;
        self.set(READINESS_CHECKS, if readiness.is_some() { "backpressure" } else { "none" });
        self.unset(
            READINESS_CHECKS.name,
            "database, redis",
            "not simulated; add those without which an instance is to get no traffic",
        );
        self.unset("gateway.instances", instances.to_string(), "replicas of the gateway");
        if let Some(readiness) = readiness {
            let value = format!(
                "every {}, out after {}, in after {}",
                shown(readiness.period),
                readiness.failures,
                readiness.successes
            );
            self.unset("gateway.readiness_period, _failures, _successes", value, "the readiness probe");
        }
        if *depth_age > SimDuration::ZERO {
            self.unset("gateway.depth_age", shown(*depth_age), "the gateway caches no depth");
        }
        if let Some(limit) = in_flight_limit {
            self.unset(
                "gateway.in_flight_limit",
                limit.to_string(),
                "the gateway bounds bytes and connections",
            );
        }
    }

    fn add_classes(&mut self, classes: &[JobClass]) {
        let pair = |class: &JobClass| format!("{}={}", class.name, class.priority.get());
        self.set(EVENT_PRIORITIES, classes.iter().map(pair).collect::<Vec<_>>().join(","));
    }

    fn add_queue(&mut self, queue: &Queue, classes: &[JobClass]) {
        let Queue { discipline, capacity, queues: _ } = queue;
        match discipline {
            Discipline::Fifo => self.set(QUEUE_ORDER, queue_order::FIFO),
            Discipline::Priority => {
                self.set(QUEUE_ORDER, queue_order::PRIORITY);
                for class in classes {
                    if class.queue_priority != u32::from(class.priority.get()) {
                        let path = format!("class.queue_priority of {}", class.name);
                        self.unset(
                            path,
                            class.queue_priority.to_string(),
                            "the gateway gives jobs the priority of their class",
                        );
                    }
                }
            }
            Discipline::Lanes(lanes) => {
                let names: Vec<&str> = lanes.iter().map(|lane| lane.name.as_str()).collect();
                self.unset("queue.lane", names.join(", "), "the gateway has one line");
            }
        }
        if let Some(jobs) = capacity {
            self.unset(
                "queue.capacity",
                format!("{jobs} jobs"),
                "the gateway bounds the queue by its thresholds alone",
            );
        }
    }

    /// Queues are spread over several Redis where the plan has several, which takes a cluster.
    fn add_shards(&mut self, choice: &Choice) {
        let redis = &choice.scenario.model.redis;
        self.set(QUEUE_SHARDS, choice.queues);
        let masters = if redis.operations.is_some() { redis.shards } else { choice.queues };
        if masters > 1 {
            self.set(REDIS_CLUSTER, true);
            self.unset("redis.shards", masters.to_string(), "masters of the cluster");
        }
    }

    fn add_workers(&mut self, workers: &Workers) {
        let Workers {
            processes,
            concurrency,
            overhead: _,   // The work itself,
            contention: _, // and the machine under it.
            batch,
            failures,
            crashes: _, // What happens to them.
            stalls,
            database,
        } = workers;
        self.set(RULE_ENGINE_WORKER_CONCURRENCY, concurrency);
        self.unset(
            "workers.processes",
            processes.to_string(),
            "replicas of the workers: hpa.yaml or keda.yaml",
        );
        // Without failures no job is tried again, and the plan says nothing about it.
        if let Some(Failures { probability: _, attempts, backoff, exponential }) = failures {
            self.set(JOB_ATTEMPTS, attempts);
            self.set_span(JOB_BACKOFF_MS, *backoff);
            let kind = if *exponential { backoff_kind::EXPONENTIAL } else { backoff_kind::FIXED };
            self.set(JOB_BACKOFF_KIND, kind);
        }
        if *batch != Batch::NONE {
            self.unset("workers.batch", format!("{} jobs", batch.size), "the workers' own setting");
        }
        if *stalls != Stalls::BULLMQ {
            let value = format!(
                "lock {}, check {}, {} times",
                shown(stalls.lock),
                shown(stalls.interval),
                stalls.most
            );
            self.unset("workers.stalls", value, "the workers' own setting");
        }
        if let Some(pool) = database.and_then(|database| database.pool) {
            self.unset("workers.database.pool", pool.to_string(), "the workers' own setting");
        }
    }

    fn add_redis(&mut self, redis: &Redis) {
        let Redis {
            maxmemory,
            on_full,
            base: _,          // What Redis is,
            memory: _,        // and what jobs take of it.
            fragmentation: _, //
            keep_completed,
            keep_failed,
            restart_after: _, // What happens to it.
            watermark: _,
            shards: _,
            operations: _,
        } = redis;
        self.set_keep(JOB_KEEP_COMPLETED, "redis.keep_completed_for", *keep_completed);
        self.set_keep(JOB_KEEP_FAILED, "redis.keep_failed_for", *keep_failed);
        self.set(ALLOW_EVICTION, *on_full == OnFull::Evict);
        let limit = maxmemory.map_or("no limit".to_owned(), |bytes| format!("{bytes} bytes"));
        self.unset("redis.maxmemory", limit, "redis.conf");
        let (word, remedy) = match on_full {
            OnFull::Reject => ("reject", "redis.conf: maxmemory-policy noeviction"),
            OnFull::Evict => ("evict", "redis.conf: maxmemory-policy allkeys-lru"),
            OnFull::Crash => ("crash", "a limit of the machine, not of Redis"),
        };
        self.unset("redis.on_full", word, remedy);
    }

    fn set_keep(&mut self, variable: Variable, path: &str, keep: Keep) {
        match keep.count {
            u64::MAX => self.set(variable, ALL_JOBS),
            count => self.set(variable, count),
        }
        if keep.count > 0 && keep.age != Keep::NOTHING.age {
            self.unset(path, shown(keep.age), "the gateway bounds the number of kept jobs alone");
        }
    }

    /// A plan without a watermark was simulated with gateways that do not look at memory. The guards of the gateway stay where the plan
    /// never reaches them, as they then change nothing; where it does, they would reject what the plan admits.
    fn add_watermarks(&mut self, choice: &Choice) {
        let redis = &choice.scenario.model.redis;
        let Some(limit) = redis.maxmemory else { return };
        let peak = choice.findings.summary.metric(Metric::RedisPeak).max.unwrap_or(f64::INFINITY);
        let stays_below = |ppm: u32| peak < limit as f64 * f64::from(ppm) / PPM;
        let own = |variable: Variable| percent_to_ppm(variable.default).expect("the default is a percentage");
        let everybody = match redis.watermark {
            Some(share) if ((share * PPM).round() - share * PPM).abs() > 1e-6 => {
                self.unset(
                    MEMORY_WATERMARK_PERCENT.name,
                    format!("{} %", share * 100.0),
                    "at most 4 decimals",
                );
                return;
            }
            Some(share) => (share * PPM).round() as u32,
            None if stays_below(own(MEMORY_WATERMARK_PERCENT)) => own(MEMORY_WATERMARK_PERCENT),
            None => WHOLE_PPM,
        };
        // Priority 1 was admitted up to the limit.
        let urgent = own(MEMORY_URGENT_WATERMARK_PERCENT);
        let urgent = if urgent > everybody && stays_below(urgent) { urgent } else { WHOLE_PPM };
        self.set(MEMORY_WATERMARK_PERCENT, ppm_to_percent(everybody));
        self.set(MEMORY_URGENT_WATERMARK_PERCENT, ppm_to_percent(urgent));
    }
}

fn shown(span: SimDuration) -> String {
    units::fmt_duration(span.as_secs_f64())
}

const NANOS_PER_MILLISECOND: u64 = 1_000_000;
const WHOLE_PPM: u32 = 1_000_000;
const PPM: f64 = 1e6;
