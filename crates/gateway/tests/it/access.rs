//! What Redis does not let the gateway do or see, the health endpoint and the log say.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{Gateway, Redis, event, within};

/// The access list in docs/gateway.md, without what only looks.
const NEEDED: &str = "~bull:rule-engine-events:* -@all +ping +evalsha +script|load +llen +zcard +hexists +get +hget +hmget +time \
     +exists +sismember +scard +hset +sadd +srem +pexpire +xadd +xtrim +incrby +zadd +lpush";

async fn redis_health(gateway: &Gateway) -> Value {
    gateway.get("/health").await.1["services"]["redis"].clone()
}

#[tokio::test]
async fn it_works_with_the_access_list_of_the_documentation_and_says_what_it_cannot_see() {
    let redis = Redis::start(&[]);
    let user = |rules: &str| {
        let rules: Vec<&str> = rules.split_whitespace().collect();
        redis.ask(&[&["ACL", "SETUSER", "gateway", "on", ">secret-of-the-test"][..], &rules].concat());
    };
    user(NEEDED);
    let url = format!("redis://gateway:secret-of-the-test@127.0.0.1:{}", redis.port);
    let gateway = Gateway::start(&[("REDIS_URL", &url)]).await;
    for event_type in ["critical-alarm", "telemetry-data"] {
        let (status, answer) = gateway.send(&event(event_type, 1)).await.unwrap();
        assert_eq!((status, &answer["status"]), (202, &json!("queued")), "{}", gateway.log());
    }
    let health = redis_health(&gateway).await;
    assert_eq!((&health["status"], &health["connection"]), (&json!("degraded"), &json!("active")));
    let problems = health["problems"].to_string();
    assert!(problems.contains("+info") && problems.contains("+client|list"), "{problems}");
    assert_eq!(gateway.get("/health/readiness").await.0, 200);
    let log = gateway.log();
    assert_eq!(log.matches("watermarks and the check of eviction are off").count(), 1, "{log}");
    assert_eq!(log.matches("workers are not counted").count(), 1, "{log}");

    user("+info +client|list");
    within(Duration::from_secs(5), "everything is seen", || async {
        redis_health(&gateway).await["status"] == "healthy"
    })
    .await;
    assert_eq!(redis_health(&gateway).await["problems"], json!([]));
}

#[tokio::test]
async fn a_read_only_replica_is_not_healthy_and_what_it_refuses_is_not_in_the_queue() {
    let master = Redis::start(&[]);
    let replica = Redis::start(&["--repl-diskless-sync-delay", "0"]);
    replica.ask(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
    let url = replica.url();
    let gateway = Gateway::start(&[("REDIS_URL", &url), ("SPILL_DIR", "off")]).await;
    within(Duration::from_secs(5), "it is seen", || async {
        redis_health(&gateway).await["connection"] == "read-only"
    })
    .await;
    let (status, answer) = gateway.get("/health").await;
    assert_eq!((status, &answer["status"]), (503, &json!("unhealthy")));
    assert!(answer["services"]["redis"]["problems"].to_string().contains("replica"), "{answer}");
    assert_eq!(gateway.get("/health/readiness").await.0, 503);
    let (status, answer) = gateway.send(&event("telemetry-data", 1)).await.unwrap();
    assert_eq!((status, &answer["reason"]), (503, &json!("queue_unavailable")));
    replica.ask(&["REPLICAOF", "NO", "ONE"]);
    within(Duration::from_secs(5), "it is a master", || async {
        redis_health(&gateway).await["status"] == "healthy"
    })
    .await;
    assert_eq!(gateway.send(&event("telemetry-data", 2)).await.unwrap().0, 202);
    assert_eq!(replica.ask(&["ZCARD", "bull:rule-engine-events:prioritized"]), "1");
}

/// BullMQ for Python names all connections of a worker in plain text, or, before version 3, none; one of them does nothing but wait
/// for jobs.
#[tokio::test]
async fn workers_of_bullmq_for_python_are_counted_once() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let connect = async |commands: &str| {
        let mut client = TcpStream::connect(("127.0.0.1", redis.port)).await.unwrap();
        client.write_all(commands.as_bytes()).await.unwrap();
        client
    };
    let wait = "BZPOPMIN bull:rule-engine-events:marker 60\r\n";
    let name = "CLIENT SETNAME bull:rule-engine-events\r\n";
    let gateway = Gateway::start(&[("REDIS_URL", &url)]).await;
    let count = async |expected: u64, what: &str| {
        within(Duration::from_secs(5), what, || async {
            gateway.get("/metrics/queue").await.1["workers"]["count"] == expected
        })
        .await;
    };
    let _nameless = connect(wait).await;
    count(1, "one without a name").await;
    let _asks = connect(&format!("{name}PING\r\n")).await;
    count(2, "one that had no time to wait yet").await;
    let _waits = connect(&format!("{name}{wait}")).await;
    let _another = connect(&format!("{name}{wait}")).await;
    count(3, "two that wait, and each has another connection").await;
    let sharded = Gateway::start(&[("REDIS_URL", &url), ("QUEUE_SHARDS", "2")]).await;
    within(Duration::from_secs(5), "the one without a name, once", || async {
        sharded.get("/metrics/queue").await.1["workers"]["count"] == 1
    })
    .await;
}
