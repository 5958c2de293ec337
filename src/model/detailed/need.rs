//! Which settings need the detailed level.
//!
//! Every struct of settings is destructured in full: a new setting does not compile until its level is decided here. Settings
//! that both levels know, or that mean nothing without another setting, are skipped by name.

use crate::model::config::{
    ArrivalSource, Batch, Discipline, Gateway, JobClass, Keep, ModelConfig, Monitoring, OnFull, PolicyConfig,
    Queue, Redis, Start, Workers,
};

/// Whether any of the settings does.
pub(super) fn needs_detail(config: &ModelConfig) -> bool {
    let ModelConfig {
        horizon: _,
        warmup: _,
        recovery_hold: _,
        series_step: _,
        classes,
        sources,
        start: Start { jobs: _, circuit: _ },
        policy: PolicyConfig { config: _, observe: _ },
        gateway,
        queue,
        workers,
        redis,
        clients,
        faults,
        autoscaler,
        monitoring: Monitoring { scrape: _, evaluation: _, version: _, rules: _ },
        parts: _,
        questions: _,
    } = config;
    for JobClass { name: _, priority: _, queue_priority: _, payload: _, service_time: _ } in classes {}
    for ArrivalSource { process: _, phases: _, classes: _ } in sources {}
    gateway_needs(gateway)
        || queue_needs(queue)
        || workers_need(workers)
        || redis_needs(redis)
        || clients.is_some()
        || !faults.is_empty()
        || autoscaler.is_some()
}

fn gateway_needs(gateway: &Gateway) -> bool {
    let Gateway { instances: _, check_latency: _, depth_age: _, in_flight_limit, readiness } = gateway;
    in_flight_limit.is_some() || readiness.is_some()
}

fn queue_needs(queue: &Queue) -> bool {
    // Queues differ by their shard, which matters where commands cost something.
    let Queue { discipline, capacity: _, queues: _ } = queue;
    match discipline {
        Discipline::Fifo | Discipline::Priority => false,
        Discipline::Lanes(_) => true,
    }
}

fn workers_need(workers: &Workers) -> bool {
    let Workers {
        processes: _,
        concurrency: _,
        overhead: _,
        contention,
        batch: Batch { size, marginal_cost: _ },
        failures,
        crashes,
        // Jobs stall where processes die.
        stalls: _,
        database,
    } = workers;
    !contention.is_none() || *size > 1 || failures.is_some() || crashes.is_some() || database.is_some()
}

fn redis_needs(redis: &Redis) -> bool {
    let Redis {
        maxmemory: _,
        on_full,
        base: _,
        memory: _,
        fragmentation: _,
        keep_completed,
        keep_failed,
        restart_after: _,
        watermark,
        // Shards share the cost of commands.
        shards: _,
        operations,
    } = redis;
    let keeps = |&Keep { count, age: _ }: &Keep| count > 0;
    let evicts = match on_full {
        OnFull::Reject | OnFull::Crash => false,
        OnFull::Evict => true,
    };
    evicts || keeps(keep_completed) || keeps(keep_failed) || watermark.is_some() || operations.is_some()
}
