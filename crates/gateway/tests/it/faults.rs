//! A Redis that is away, dies, hangs, is full, evicts, or has become a replica; and a gateway that is told to end.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Gateway, Redis, event, within, worker};

const QUEUE: &str = "bull:rule-engine-events:";

async fn depth(gateway: &Gateway) -> Option<u64> {
    gateway.get("/metrics/queue/summary").await.1["queueDepth"].as_u64()
}

async fn spilled(gateway: &Gateway) -> u64 {
    gateway.get("/metrics/queue").await.1["spill"]["jobs"].as_u64().unwrap()
}

/// `number` of each waiting job, in the order in which workers would take them.
fn numbers(redis: &Redis) -> Vec<u64> {
    let ids = redis.ask(&["ZRANGE", &format!("{QUEUE}prioritized"), "0", "-1"]);
    let number = |id: &str| {
        let data: Value =
            serde_json::from_str(&redis.ask(&["HGET", &format!("{QUEUE}{id}"), "data"])).unwrap();
        data["data"]["number"].as_u64().unwrap()
    };
    ids.lines().filter(|id| !id.is_empty()).map(number).collect()
}

#[tokio::test]
async fn it_starts_without_redis_keeps_urgent_events_and_replays_them_in_order() {
    let mut redis = Redis::prepare(&[]);
    let url = redis.url();
    let mut gateway = Gateway::start(&[("REDIS_URL", &url), ("REDIS_TIMEOUT_MS", "200")]).await;
    let (status, answer) = gateway.send(&event("telemetry-data", 0)).await.unwrap();
    assert_eq!((status, &answer["reason"]), (503, &json!("queue_unavailable")));
    for number in 1..=20 {
        let (status, answer) = gateway.send(&event("critical-alarm", number)).await.unwrap();
        assert_eq!((status, &answer["status"]), (202, &json!("spilled")));
    }
    let (status, answer) = gateway.get("/health").await;
    assert_eq!((status, &answer["services"]["redis"]["connection"]), (503, &json!("lost")));
    assert_eq!(answer["services"]["ruleEngineQueue"]["spilledJobs"], 20);
    assert_eq!(gateway.get("/health/readiness").await.0, 503);
    assert_eq!(gateway.get("/health/liveness").await.0, 200);

    // Neither does a crash of the gateway itself lose what is in the spill.
    gateway.kill();
    gateway.restart().await;
    assert_eq!(spilled(&gateway).await, 20);
    gateway.send(&event("critical-alarm", 21)).await.unwrap();
    redis.restart();
    within(Duration::from_secs(10), "the spill is empty", || async { spilled(&gateway).await == 0 }).await;
    assert_eq!(numbers(&redis), (1..=21).collect::<Vec<u64>>());
    assert_eq!(gateway.send(&event("telemetry-data", 22)).await.unwrap().0, 202);
    assert_eq!(gateway.get("/health/readiness").await.0, 200);
}

#[tokio::test]
async fn a_hanging_redis_costs_no_more_than_its_timeout() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let gateway = Gateway::start(&[("REDIS_URL", &url), ("REDIS_TIMEOUT_MS", "150")]).await;
    assert_eq!(gateway.send(&event("telemetry-data", 1)).await.unwrap().0, 202);
    redis.signal("STOP");
    for round in 0..3 {
        let begun = Instant::now();
        // The first is sent before it is known that Redis hangs.
        let expected = if round == 0 { 504 } else { 503 };
        assert_eq!(gateway.send(&event("telemetry-data", 2)).await.unwrap().0, expected);
        let (status, answer) = gateway.send(&event("critical-alarm", 3)).await.unwrap();
        assert_eq!((status, &answer["status"]), (202, &json!("spilled")));
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
    redis.signal("CONT");
    within(Duration::from_secs(10), "the spill is empty", || async { spilled(&gateway).await == 0 }).await;
    // Timed out is not undone: what Redis had in its socket it does when it goes on, also what nobody was told is accepted.
    // What is spilled besides is recognised by its id.
    let jobs: u64 =
        redis.ask(&["ZCOUNT", &format!("{QUEUE}prioritized"), "4294967296", "8589934591"]).parse().unwrap();
    assert_eq!(jobs, 3, "each urgent event once");
}

#[tokio::test]
async fn a_full_redis_refuses_and_urgent_events_wait_on_disk() {
    let redis = Redis::start(&["--maxmemory", "12mb"]);
    let url = redis.url();
    let variables =
        [("REDIS_URL", url.as_str()), ("ENABLE_BACKPRESSURE", "false"), ("REDIS_TIMEOUT_MS", "2000")];
    // Without the policy there is nothing to prevent it from filling up.
    let gateway = Gateway::start(&variables).await;
    let batch: Vec<Value> = (0..200)
        .map(|number| json!({ "type": "telemetry-data", "data": { "number": number, "text": "x".repeat(1000) } }))
        .collect();
    let batch = Value::from(batch);
    let mut refused = Vec::new();
    for _ in 0..200 {
        let (status, answer) = gateway.send(&batch).await.unwrap();
        let results = answer["results"].as_array().unwrap().iter();
        refused.extend(results.filter_map(|result| result.get("reason").cloned()));
        if status == 503 {
            break;
        }
    }
    assert!(!refused.is_empty() && refused.iter().all(|reason| reason == "queue_full"), "{refused:?}");
    // What is left is less than a batch, but may be enough for one job.
    redis.ask(&["CONFIG", "SET", "maxmemory", "10mb"]);
    let (status, answer) = gateway.send(&event("critical-alarm", 1)).await.unwrap();
    assert_eq!((status, &answer["status"]), (202, &json!("spilled")));
    assert!(depth(&gateway).await.unwrap() > 1000, "it still answers questions");
    redis.ask(&["CONFIG", "SET", "maxmemory", "64mb"]);
    within(Duration::from_secs(10), "the spill is empty", || async { spilled(&gateway).await == 0 }).await;
}

/// The watermarks keep Redis from ever being full, so that workers can always fetch.
#[tokio::test]
async fn the_watermark_sheds_before_redis_is_full() {
    let redis = Redis::start(&["--maxmemory", "24mb"]);
    let url = redis.url();
    let gateway = Gateway::start(&[("REDIS_URL", &url), ("QUEUE_CRITICAL_THRESHOLD", "1000000")]).await;
    let batch: Vec<Value> = (0..50)
        .map(|number| json!({ "type": "telemetry-data", "data": { "number": number, "text": "x".repeat(1000) } }))
        .collect();
    let batch = Value::from(batch);
    let mut reason = Value::Null;
    for _ in 0..2000 {
        let (status, answer) = gateway.send(&batch).await.unwrap();
        if status == 503 {
            reason = answer["results"][0]["reason"].clone();
            break;
        }
        // As fast as this machine writes, a small Redis fills between two looks at it.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(reason, "memory");
    let (_, health) = gateway.get("/health").await;
    assert_eq!(health["services"]["redis"]["status"], "degraded");
    let used = health["services"]["redis"]["memoryUsedBytes"].as_u64().unwrap();
    assert!(used < 24 << 20, "{used}");
    assert_eq!(
        gateway.send(&event("critical-alarm", 1)).await.unwrap().1["status"],
        "queued",
        "below its own watermark"
    );
    // A worker that starts now is not wedged, and when it has made room everybody is let in again.
    let _worker = worker(
        &json!({ "version": 6, "port": redis.port, "queue": "rule-engine-events", "concurrency": 50 }),
    );
    within(Duration::from_secs(60), "everybody is let in again", || async {
        gateway.send(&event("telemetry-data", 2)).await.unwrap().0 == 202
    })
    .await;
}

#[tokio::test]
async fn above_the_urgent_watermark_urgent_events_wait_on_disk_until_there_is_room() {
    let redis = Redis::start(&["--maxmemory", "24mb"]);
    let url = redis.url();
    let gateway = Gateway::start(&[("REDIS_URL", &url)]).await;
    redis.ask(&["SET", "somebody-elses", &"x".repeat(100)]);
    redis.ask(&["SETRANGE", "somebody-elses", "22500000", "x"]);
    within(Duration::from_secs(5), "the memory is seen", || async {
        gateway.send(&event("critical-alarm", 1)).await.unwrap().1["status"] == "spilled"
    })
    .await;
    redis.ask(&["DEL", "somebody-elses"]);
    within(Duration::from_secs(10), "the spill is empty", || async { spilled(&gateway).await == 0 }).await;
}

#[tokio::test]
async fn a_redis_that_evicts_is_refused_unless_it_is_allowed() {
    let redis = Redis::start(&["--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru"]);
    let url = redis.url();
    let run = |allow: &str| {
        std::process::Command::new(env!("CARGO_BIN_EXE_gateway"))
            .env("REDIS_URL", &url)
            .env("HOST", "127.0.0.1")
            .env("PORT", "0")
            .env("ADMIN_HOST", "127.0.0.1")
            .env("ADMIN_PORT", "0")
            .env("OPEN_ACCESS", "true")
            .env("SPILL_DIR", "off")
            .env("ALLOW_EVICTION", allow)
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let refused = run("false").wait_with_output().unwrap();
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(
        refused.status.code() == Some(1) && told.contains("allkeys-lru") && told.contains("noeviction"),
        "{told}"
    );
    let gateway = Gateway::start(&[("REDIS_URL", &url), ("ALLOW_EVICTION", "true")]).await;
    assert_eq!(gateway.get("/health").await.1["services"]["redis"]["status"], "degraded");
    assert!(gateway.log().contains("jobs will be lost silently"), "{}", gateway.log());
}

/// A failover without a new address: the master becomes a replica, and later a master again.
#[tokio::test]
async fn a_redis_that_became_a_replica_gets_nothing_until_it_is_a_master_again() {
    let other = Redis::start(&[]);
    let redis = Redis::start(&["--repl-diskless-sync-delay", "0"]);
    let url = redis.url();
    let gateway = Gateway::start(&[("REDIS_URL", &url)]).await;
    assert_eq!(gateway.send(&event("critical-alarm", 1)).await.unwrap().1["status"], "queued");
    let port = other.port.to_string();
    redis.ask(&["REPLICAOF", "127.0.0.1", &port]);
    within(Duration::from_secs(10), "it is a replica", || async {
        redis.ask(&["ROLE"]).contains("connected")
    })
    .await;
    assert_eq!(gateway.send(&event("telemetry-data", 2)).await.unwrap().0, 503);
    assert_eq!(gateway.send(&event("critical-alarm", 3)).await.unwrap().1["status"], "spilled");
    redis.ask(&["REPLICAOF", "NO", "ONE"]);
    within(Duration::from_secs(10), "the spill is empty", || async { spilled(&gateway).await == 0 }).await;
    // The first job was lost when the replica took over the other's empty data, as in any failover with a lag.
    assert_eq!(numbers(&redis), [3]);
}

#[tokio::test]
async fn a_spill_that_is_full_says_so() {
    let redis = Redis::prepare(&[]);
    let url = redis.url();
    let gateway = Gateway::start(&[("REDIS_URL", &url), ("SPILL_MAX_BYTES", "65536")]).await;
    let large = json!({ "type": "critical-alarm", "data": "x".repeat(30_000) });
    assert_eq!(gateway.send(&large).await.unwrap().1["status"], "spilled");
    assert_eq!(gateway.send(&large).await.unwrap().1["status"], "spilled");
    let (status, answer) = gateway.send(&large).await.unwrap();
    assert_eq!((status, &answer["reason"]), (503, &json!("spill_full")));
    assert_eq!(
        gateway.send(&event("critical-alarm", 1)).await.unwrap().1["status"],
        "spilled",
        "a small one still fits"
    );
}

/// A signal lets the requests that are open finish, and takes no more.
#[tokio::test]
async fn a_signal_drains() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let mut gateway = Gateway::start(&[("REDIS_URL", &url), ("REDIS_TIMEOUT_MS", "5000")]).await;
    assert_eq!(gateway.send(&event("telemetry-data", 1)).await.unwrap().0, 202);
    redis.signal("STOP");
    let address = gateway.path("/datastreams");
    let open = tokio::spawn(async move {
        reqwest::Client::new()
            .post(address)
            .json(&event("telemetry-data", 2))
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    gateway.process().signal("TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(gateway.send(&event("telemetry-data", 3)).await.is_none(), "it takes no more");
    redis.signal("CONT");
    assert_eq!(open.await.unwrap(), 202);
    assert_eq!(gateway.process().end(Duration::from_secs(10)).await, Some(0));
    assert_eq!(redis.ask(&["ZCARD", &format!("{QUEUE}prioritized")]), "2");
}

/// However many are rejected, the log has a line a second for each class and reason.
#[tokio::test]
async fn rejections_are_logged_by_the_second() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let small = [
        ("REDIS_URL", url.as_str()),
        ("QUEUE_RECOVERY_THRESHOLD", "1"),
        ("QUEUE_WARNING_THRESHOLD", "2"),
        ("QUEUE_CRITICAL_THRESHOLD", "10"),
        ("LOG_FORMAT", "json"),
    ];
    let gateway = Gateway::start(&small).await;
    let batch = Value::from((0..500).map(|number| event("telemetry-data", number)).collect::<Vec<_>>());
    for _ in 0..4 {
        gateway.send(&batch).await.unwrap();
    }
    let lines = || {
        let log = gateway.log();
        let lines = log.lines().filter(|line| line.contains("rejected in the last second"));
        lines
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["fields"]["events"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    within(Duration::from_secs(5), "all are told of", || async { lines().iter().sum::<u64>() == 1990 }).await;
    assert!(lines().len() <= 3, "{:?}", lines());
}
