//! Each event has one of three outcomes, and it is true: what is accepted is in the queue once, what is rejected is not and never
//! will be, and what is unknown is there at most once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Gateway, Redis, event, within};

const BASE: &str = "bull:rule-engine-events:";

/// How often each number is in the queue.
fn numbers(redis: &Redis) -> BTreeMap<u64, u32> {
    let script = "local all = {} for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do \
        all[#all + 1] = redis.call('HGET', ARGV[1] .. id, 'data') end return all";
    let told = redis.ask(&["EVAL", script, "1", &format!("{BASE}prioritized"), BASE]);
    let mut all = BTreeMap::new();
    for data in told.lines().filter(|line| !line.is_empty()) {
        let data: Value = serde_json::from_str(data).unwrap();
        *all.entry(data["data"]["number"].as_u64().unwrap()).or_default() += 1;
    }
    all
}

/// Redis stands still for longer than the time limit, under load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_rejected_is_not_in_the_queue_when_a_redis_that_stood_still_goes_on() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    // Few places, so that the rest is seen to wait and to be rejected.
    let variables =
        [("REDIS_URL", url.as_str()), ("REDIS_TIMEOUT_MS", "300"), ("REDIS_INFLIGHT_EVENTS", "64")];
    let gateway = Gateway::start(&variables).await;
    let begun = Instant::now();
    let sender = async |sender: u64| {
        let mut outcomes = Vec::new();
        for turn in 0.. {
            if begun.elapsed() > Duration::from_millis(1500) {
                break;
            }
            let event_type = if sender.is_multiple_of(4) { "critical-alarm" } else { "telemetry-data" };
            let first = (sender * 1_000_000) + turn * 10;
            let size = 1 + sender % 3 * 4;
            let batch: Vec<Value> = (first..first + size).map(|number| event(event_type, number)).collect();
            let (_, answer) = gateway.send(&Value::from(batch)).await.unwrap();
            let results = answer["results"].as_array().unwrap();
            outcomes.extend((first..).zip(results.iter().map(outcome)));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        outcomes
    };
    let pause = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        redis.signal("STOP");
        tokio::time::sleep(Duration::from_millis(900)).await;
        redis.signal("CONT");
    };
    let (outcomes, ()) = futures_util::future::join(join_all((0..24).map(sender)), pause).await;
    within(Duration::from_secs(10), "the spill is empty", || async {
        gateway.get("/metrics/queue").await.1["spill"]["jobs"] == 0
    })
    .await;
    let found = numbers(&redis);
    let mut totals = BTreeMap::new();
    for (number, outcome) in outcomes.into_iter().flatten() {
        let times = found.get(&number).copied().unwrap_or(0);
        match outcome {
            "accepted" => assert_eq!(times, 1, "{number} was accepted\n{}", gateway.log()),
            "rejected" => assert_eq!(times, 0, "{number} was rejected\n{}", gateway.log()),
            _ => assert!(times <= 1, "{number} is there twice"),
        }
        *totals.entry(outcome).or_insert(0) += 1;
    }
    println!("{totals:?}");
    assert!(
        ["accepted", "rejected", "unknown"].iter().all(|outcome| totals.contains_key(outcome)),
        "{totals:?}"
    );
    let text =
        gateway.client().get(gateway.path("/metrics/prometheus")).send().await.unwrap().text().await.unwrap();
    let counted = format!("unknown_total{{class=\"telemetry-data\"}} {}", totals["unknown"]);
    assert!(text.lines().any(|line| line.ends_with(&counted)), "{counted}: {text}");
}

fn outcome(result: &Value) -> &'static str {
    match (result["success"].as_bool(), result["status"].as_str()) {
        (Some(true), _) => "accepted",
        (_, Some("unknown")) => {
            assert!(result["jobId"].is_string(), "{result}");
            "unknown"
        }
        _ => "rejected",
    }
}

/// One event alone: the status says it.
#[tokio::test]
async fn an_event_without_an_answer_is_unknown_and_has_an_id() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let gateway = Gateway::start(&[("REDIS_URL", &url), ("REDIS_TIMEOUT_MS", "150")]).await;
    gateway.send(&event("telemetry-data", 0)).await.unwrap();
    redis.signal("STOP");
    let (status, answer) = gateway.send(&event("telemetry-data", 1)).await.unwrap();
    assert_eq!((status, &answer["status"], &answer["success"]), (504, &json!("unknown"), &json!(false)));
    // The connection is known to be silent now, so nothing more is sent.
    let (status, answer_2) = gateway.send(&event("telemetry-data", 2)).await.unwrap();
    assert_eq!((status, &answer_2["reason"]), (503, &json!("queue_unavailable")));
    redis.signal("CONT");
    within(Duration::from_secs(5), "it was added late", || async { numbers(&redis).len() == 2 }).await;
    let id = answer["jobId"].as_str().unwrap();
    assert_eq!(redis.ask(&["EXISTS", &format!("{BASE}{id}")]), "1");
}

/// Twenty clients send batches as large as they may to a Redis that is well, and somebody else sends single events.
async fn batches_beside_single_events(types: [&str; 2]) {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let variables = [("REDIS_URL", url.as_str()), ("QUEUE_CRITICAL_THRESHOLD", "1000000")];
    let gateway = Gateway::start(&variables).await;
    let begun = Instant::now();
    let batches = (0..20).map(async |client: usize| {
        let batch = (0..1000).map(|number| event(types[client % 2], number)).collect::<Vec<_>>();
        for _ in 0..3 {
            let (status, answer) = gateway.send(&Value::from(batch.clone())).await.unwrap();
            assert_eq!(status, 202, "{} rejected: {}", answer["rejected"], gateway.log());
            let spilled =
                answer["results"].as_array().unwrap().iter().find(|result| result["status"] != "queued");
            assert_eq!(spilled, None, "Redis takes all of them");
        }
    });
    let mut longest = Duration::ZERO;
    let bystander = async {
        for number in 0..50 {
            let begun = Instant::now();
            let (status, answer) = gateway.send(&event("telemetry-data", number)).await.unwrap();
            assert_eq!(status, 202, "{answer}");
            longest = longest.max(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    futures_util::future::join(join_all(batches), bystander).await;
    println!("60,000 events in batches: {:?}; longest single event: {longest:?}", begun.elapsed());
    let log = gateway.log();
    assert!(!log.contains("connection to Redis closed"), "{log}");
    assert_eq!(redis.ask(&["ZCARD", &format!("{BASE}prioritized")]), "60050");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_do_not_collapse_a_healthy_system() {
    batches_beside_single_events(["telemetry-data", "batch-operation"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_of_urgent_events_do_not_collapse_a_healthy_system() {
    batches_beside_single_events(["critical-alarm", "critical-alarm"]).await;
}
