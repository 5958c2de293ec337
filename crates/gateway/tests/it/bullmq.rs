//! BullMQ itself on the other side: unmodified workers complete our jobs, and its queue sees what we see.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use backpressure_gateway::app::App;
use backpressure_gateway::launch;
use serde_json::{Value, json};

use crate::support::{Peer, Redis, get, send, settings, within, worker};

const QUEUE: &str = "rule-engine-events";

/// Our counts and BullMQ's, side by side. Both are asked while jobs move, so they are compared at rest or by their sum.
async fn compare(app: &Arc<App>, peer: &mut Peer) {
    let theirs = peer.ask(&json!([
        "getJobCounts",
        "wait",
        "paused",
        "prioritized",
        "active",
        "delayed",
        "completed",
        "failed"
    ]));
    let ours = app.queue.counts().await.unwrap();
    let number = |name: &str| theirs[name].as_u64().unwrap();
    assert_eq!(
        [ours.wait, ours.paused, ours.prioritized, ours.active, ours.delayed, ours.completed, ours.failed],
        ["wait", "paused", "prioritized", "active", "delayed", "completed", "failed"].map(number),
        "{theirs}"
    );
}

/// 1,000 jobs through an unmodified worker: in the order of their priority, each once, with counts equal throughout.
async fn thousand_jobs(version: u8, order: &str) {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let app = launch::start(settings(&[
        ("REDIS_URL", &url),
        ("QUEUE_ORDER", order),
        ("JOB_KEEP_COMPLETED", "all"),
        ("JOB_BACKOFF_MS", "250"),
        ("JOB_BACKOFF_KIND", "exponential"),
        ("SPILL_DIR", "off"),
    ]));
    let app = app.await.unwrap();
    let side = json!({ "version": version, "port": redis.port, "queue": QUEUE, "concurrency": 10, "serviceMs": 1, "name": "w1" });
    let mut peer = Peer::start(&side);
    let types = ["critical-alarm", "telemetry-data", "batch-operation", "scheduled"];
    let mut ids = Vec::new();
    for number in 0..1000 {
        let event =
            json!({ "type": types[number % 4], "data": { "number": number }, "organizationId": "org" });
        let (status, answer) = send(&app, &event).await;
        assert_eq!(status, 202, "{answer}");
        ids.push(answer["jobId"].as_str().unwrap().to_owned());
        if number % 250 == 249 {
            compare(&app, &mut peer).await;
        }
    }
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 1000);
    let job = peer.ask(&json!(["getJob", ids[5]]));
    assert_eq!(job["name"], "telemetry-data");
    assert_eq!(
        job["data"],
        json!({ "type": "telemetry-data", "organizationId": "org", "priority": 5, "data": { "number": 5 } })
    );
    let expected_priority = if order == "priority" { json!(5) } else { Value::Null };
    assert_eq!(job["opts"]["priority"], expected_priority, "{job}");
    assert_eq!(job["opts"]["attempts"], 3);
    assert_eq!(job["opts"]["backoff"], json!({ "type": "exponential", "delay": 250 }));

    // A worker of version 5 is tried on a paused queue, too: its pause moves the list of plain jobs away.
    peer.ask(&json!(["pause"]));
    let (_, answer) = send(&app, &json!({ "type": "telemetry-data", "data": "while paused" })).await;
    ids.push(answer["jobId"].as_str().unwrap().to_owned());
    compare(&app, &mut peer).await;
    assert!(app.queue.counts().await.unwrap().is_paused);
    assert_eq!(get(&app, "/api/v1/metrics/queue").await.1["queue"]["isPaused"], true);
    assert_eq!(app.queue.depth().await.unwrap(), 1001);
    peer.ask(&json!(["resume"]));

    let _worker = worker(&side);
    within(Duration::from_secs(30), "all are completed", || async {
        // In service and completed at one moment: nothing is counted twice or not at all.
        let counts = app.queue.counts().await.unwrap();
        assert_eq!(counts.depth() + counts.completed_total, 1001, "{counts:?}");
        counts.completed == 1001
    })
    .await;
    compare(&app, &mut peer).await;
    let completed = peer.ask(&json!(["getCompleted", 0, -1]));
    let completed = completed.as_array().unwrap();
    let theirs: BTreeSet<&str> = completed.iter().map(|job| job["id"].as_str().unwrap()).collect();
    assert_eq!(theirs, ids.iter().map(String::as_str).collect());

    // Workers: we see those that BullMQ sees.
    within(Duration::from_secs(5), "the worker is seen", || async {
        app.last_seen.get().workers.is_some_and(|workers| workers.len() == 1)
    })
    .await;
    let theirs = peer.ask(&json!(["getWorkers"]));
    let (_, ours) = get(&app, "/api/v1/metrics/queue").await;
    assert_eq!(ours["workers"]["count"], theirs.as_array().unwrap().len());
    assert_eq!(ours["workers"]["list"][0]["name"], "w1");
    assert_eq!(ours["workers"]["list"][0]["id"], theirs[0]["id"]);
}

#[tokio::test]
async fn version_6_completes_prioritized_jobs() {
    thousand_jobs(6, "priority").await;
}

#[tokio::test]
async fn version_6_completes_plain_jobs() {
    thousand_jobs(6, "fifo").await;
}

#[tokio::test]
async fn version_5_completes_prioritized_jobs() {
    thousand_jobs(5, "priority").await;
}

#[tokio::test]
async fn version_5_completes_plain_jobs() {
    thousand_jobs(5, "fifo").await;
}

/// Jobs without a trace left are still counted, and the count never falls.
#[tokio::test]
async fn completed_is_a_counter_although_bullmq_keeps_none() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let app = launch::start(settings(&[("REDIS_URL", &url), ("SPILL_DIR", "off")])).await.unwrap();
    let side = json!({ "version": 6, "port": redis.port, "queue": QUEUE, "concurrency": 5, "serviceMs": 1 });
    let _worker = worker(&side);
    let mut before = 0;
    for round in 1..=5 {
        let batch: Vec<Value> =
            (0..100).map(|number| crate::support::event("telemetry-data", number)).collect();
        assert_eq!(send(&app, &Value::from(batch)).await.0, 202);
        within(Duration::from_secs(20), "the round is completed", || {
            let app = app.clone();
            async move {
                let counts = app.queue.counts().await.unwrap();
                assert_eq!(counts.completed, 0, "BullMQ keeps none");
                counts.completed_total == round * 100
            }
        })
        .await;
        let now = app.queue.counts().await.unwrap().completed_total;
        assert!(now >= before);
        before = now;
    }
}

/// A wake-up is written with each job, or an idle worker would look for it only every five seconds.
#[tokio::test]
async fn an_idle_worker_wakes_at_once() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let app = launch::start(settings(&[("REDIS_URL", &url), ("SPILL_DIR", "off")])).await.unwrap();
    let _worker = worker(&json!({ "version": 6, "port": redis.port, "queue": QUEUE }));
    for round in 1..=3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        send(&app, &crate::support::event("telemetry-data", round)).await;
        let begun = std::time::Instant::now();
        within(Duration::from_secs(10), "it is completed", || async {
            app.queue.counts().await.unwrap().completed_total == round
        })
        .await;
        assert!(begun.elapsed() < Duration::from_secs(2), "the worker slept on: {:?}", begun.elapsed());
    }
}
