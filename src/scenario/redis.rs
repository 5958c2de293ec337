//! Redis: the memory of a job, what happens when it is full, and the cost of commands.

use super::diagnostic::Code;
use super::log::Mistake;
use super::reader::{Section, quantity_of};
use super::setting::Kind;
use super::tree::{Item, Value};
use super::workers::FOR_EVER;
use crate::engine::time::SimDuration;
use crate::memory::IdKind;
use crate::model::config::{Keep, MemoryModel, OnFull, Operations, Redis};
use crate::units::Quantity;

/// Defaults of the straight line where only one of its numbers is given: the line of least relative squares through the 37 measurements in `data/redis-memory.csv` of prioritized jobs with
/// integer ids, standard options and a hash-table encoding (BullMQ 6.7.0 on Redis 7.0.15, payloads of 65 B to
/// 32 KiB). Its relative error is 2.7% in the mean and 6.2% at worst.
const JOB_OVERHEAD: f64 = 723.0;
const PAYLOAD_FACTOR: f64 = 1.218;

/// Reads `[redis]`.
pub(super) fn read(mut redis: Section<'_>) -> Redis {
    const ON_FULL: &[(&str, OnFull)] =
        &[("reject", OnFull::Reject), ("crash", OnFull::Crash), ("evict", OnFull::Evict)];
    let maxmemory = redis
        .key("maxmemory", "Memory limit.")
        .typed(Kind::ChoiceOr(vec!["none"], Quantity::Size), |item, _| match &item.value {
            Value::Text(text) if text == "none" => Ok(None),
            value => match quantity_of(value, Quantity::Size)? as u64 {
                0 => {
                    Err(Mistake::new(Code::OutOfRange, "must be above zero", "no limit is written \"none\""))
                }
                bytes => Ok(Some(bytes)),
            },
        })
        .or("none");
    let on_full = redis
        .key(
            "on_full",
            "What happens when Redis is full: it refuses jobs, crashes and loses all, or evicts the data of old jobs.",
        )
        .choice(ON_FULL)
        .or("reject");
    let watermark = redis
        .key("watermark", "Fraction of maxmemory from which gateways admit only priority 1; default: off.")
        .quantity(Quantity::Fraction)
        .optional();
    let base = redis
        .key("base", "Memory used without jobs: three worker processes and a full events stream.")
        .quantity(Quantity::Size)
        .or("2400KiB");
    let memory = read_memory(&mut redis);
    let fragmentation =
        redis.key("fragmentation", "Resident memory per byte in use.").number(1.0, 100.0).or("1");
    let keep_completed = read_keep(
        &mut redis,
        ["keep_completed", "keep_completed_for"],
        "Completed jobs that Redis keeps (BullMQ removeOnComplete): a number, or \"all\".",
        "Longest time that a completed job is kept.",
    );
    let keep_failed = read_keep(
        &mut redis,
        ["keep_failed", "keep_failed_for"],
        "Failed jobs that Redis keeps (BullMQ removeOnFail): a number, or \"all\".",
        "Longest time that a failed job is kept.",
    );
    let restart_after = redis.key("restart_after", "How long a crashed Redis is down.").span().or("30s");
    let shards = redis
        .key("shards", "Masters that share the queues; each runs one command at a time.")
        .count(1, 1_000)
        .or("1");
    let operations =
        read_operations(redis.section(
            "operations",
            "Time that commands take on a shard; at 0, Redis is never the bottleneck.",
        ));
    redis.close();
    let base = base.round() as u64;
    if let Some(limit) = maxmemory.filter(|&limit| limit <= base) {
        let message = format!("{limit} bytes leave no room for jobs above `redis.base`, {base} bytes");
        redis.complain("maxmemory", Mistake::new(Code::Conflict, message, "must be above `redis.base`"));
    }
    if watermark.is_some() && maxmemory.is_none() && !redis.is_bad("maxmemory") {
        let message = "it is a fraction of `redis.maxmemory`, which is not set";
        redis.complain("watermark", Mistake::new(Code::Conflict, message, "add `maxmemory`, or remove it"));
    }
    Redis {
        maxmemory,
        on_full,
        base,
        memory,
        fragmentation,
        keep_completed,
        keep_failed,
        restart_after,
        watermark,
        shards: shards as u32,
        operations,
    }
}

/// The straight line if one of its numbers is given, else the model of `crate::memory`.
fn read_memory(redis: &mut Section<'_>) -> MemoryModel {
    const IDS: &[(&str, IdKind)] =
        &[("int", IdKind::Int), ("gateway", IdKind::Gateway), ("uuid", IdKind::Uuid)];
    let options = redis
        .key("job_options", "Size of a job's options as JSON, without its priority.")
        .quantity(Quantity::Size)
        .or("38B");
    let id = redis
        .key("job_ids", "Format of job ids: BullMQ's counter, those of the gateway, or uuids.")
        .choice(IDS)
        .or("int");
    let listpack_value = redis
        .key(
            "listpack_value",
            "Redis' hash-max-listpack-value: a job is stored compactly while no value is longer.",
        )
        .quantity(Quantity::Size)
        .or("64B");
    let job_overhead = redis
        .key(
            "job_overhead",
            "Memory of a job besides its payload; replaces the measured model by a straight line.",
        )
        .quantity(Quantity::Size)
        .optional();
    let payload_factor = redis
        .key("payload_factor", "Slope of that line: bytes of memory per byte of payload.")
        .number(1e-6, 1e6)
        .optional();
    if job_overhead.is_none() && payload_factor.is_none() {
        return MemoryModel::BullMq { options: options as u64, id, listpack_value: listpack_value as u64 };
    }
    MemoryModel::Line {
        job_overhead: job_overhead.unwrap_or(JOB_OVERHEAD),
        payload_factor: payload_factor.unwrap_or(PAYLOAD_FACTOR),
    }
}

fn read_keep(
    redis: &mut Section<'_>,
    [count, age]: [&'static str; 2],
    count_doc: &'static str,
    age_doc: &'static str,
) -> Keep {
    let count = redis
        .key(count, count_doc)
        .typed(Kind::ChoiceOr(vec!["all"], Quantity::Count), |item: &Item, _| match &item.value {
            Value::Text(text) if text == "all" => Ok(u64::MAX),
            value => Ok(quantity_of(value, Quantity::Count)? as u64),
        })
        .or("0");
    let age = redis
        .key(age, age_doc)
        .typed(Kind::ChoiceOr(vec!["none"], Quantity::Duration), |item: &Item, _| match &item.value {
            Value::Text(text) if text == "none" => Ok(FOR_EVER),
            value => Ok(SimDuration::from_secs_f64(quantity_of(value, Quantity::Duration)?)),
        })
        .or("none");
    Keep { count, age }
}

/// Measured with 50 commands on their way at a time (BullMQ 6.7.0 on Redis 7.0.15, jobs of 200 B with a priority): 16 us for an
/// enqueue, 43 to 50 us for a cycle, 5 us for the depth. One at a time an enqueue costs three times as much.
fn read_operations(mut operations: Section<'_>) -> Option<Operations> {
    let enqueue = operations.key("enqueue", "Enqueueing a job; 16us was measured.").span().or("0s");
    let cycle = operations.key("cycle", "Fetching and finishing a job; 43us was measured.").span().or("0s");
    let depth = operations
        .key("depth", "Reading the depth of a queue, at each arrival unless `policy.observe` is a timer; 5us was measured.")
        .span()
        .or("0s");
    operations.close();
    let costs_time = [enqueue, cycle, depth].iter().any(|&cost| cost > SimDuration::ZERO);
    costs_time.then_some(Operations { enqueue, cycle, depth })
}
