//! What Redis does not let the gateway do or see, the health endpoint and the log say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backpressure::Priority;
use backpressure_gateway::queue::redis::RedisQueue;
use backpressure_gateway::queue::{Enqueued, Job, Offer, Queue, QueueError, Repeat};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{Gateway, Redis, event, settings, within};

const BASE: &str = "bull:rule-engine-events:";
const SEEING: [&str; 2] = ["+info", "+client|list"];

/// The access list of the documentation, without what only looks.
fn needed() -> Vec<&'static str> {
    let text = include_str!("../../../../docs/gateway.md");
    let (_, list) = text.split_once("```text\n~bull:rule-engine-events:*").expect("it is there");
    let (list, _) = list.split_once("```").expect("it ends");
    let words = list.split_whitespace().filter(|word| !SEEING.contains(word));
    ["~bull:rule-engine-events:*"].into_iter().chain(words).collect()
}

/// Changes what the gateway's user may do, and tells its URL.
fn allow(redis: &Redis, rules: &[&str]) -> String {
    redis.ask(&[&["ACL", "SETUSER", "gateway", "on", ">secret-of-the-test"][..], rules].concat());
    format!("redis://gateway:secret-of-the-test@127.0.0.1:{}", redis.port)
}

async fn queue(url: &str, order: &str) -> RedisQueue {
    let settings = settings(&[("REDIS_URL", url), ("QUEUE_ORDER", order)]).redis.unwrap();
    let queue = RedisQueue::start(&settings, "rule-engine-events");
    assert!(queue.wait(Duration::from_secs(5)).await);
    queue
}

/// A job of each kind.
fn offers(round: usize) -> Vec<Offer> {
    let kinds = [
        (Repeat::Never, 5),
        (Repeat::Client, 5),
        (Repeat::Client, 1),
        (Repeat::Gateway, 1),
        (Repeat::Again, 1),
    ];
    let offer = |(kind, (repeat, priority))| {
        let job = Job {
            id: format!("round{round}kind{kind}0001"),
            name: "telemetry-data".to_owned(),
            data: "{}".to_owned(),
            priority: Priority::new(priority).unwrap(),
            timestamp_ms: 1,
        };
        Offer { job: Arc::new(job), limit: None, repeat }
    };
    kinds.into_iter().enumerate().map(offer).collect()
}

/// How often each id is in the lists.
fn listed(redis: &Redis) -> BTreeMap<String, u32> {
    let mut all = BTreeMap::new();
    for list in [["ZRANGE", "prioritized"], ["LRANGE", "wait"]] {
        for id in redis.ask(&[list[0], &format!("{BASE}{}", list[1]), "0", "-1"]).lines() {
            *all.entry(id.to_owned()).or_default() += 1;
        }
    }
    all.remove("");
    all
}

/// Sends jobs one by one while something is wrong, mends it, and sends again those that a sender would: what was accepted is then in
/// the lists, once, and what the queue said it did not do was not done.
async fn nothing_is_half_done(
    redis: &Redis,
    queue: &RedisQueue,
    round: usize,
    wrong: &str,
    mend: impl FnOnce(),
) {
    let offers = offers(round);
    let mut answers = Vec::new();
    for offer in &offers {
        answers.push(queue.enqueue(std::slice::from_ref(offer)).await.remove(0));
    }
    let found = listed(redis);
    for (offer, answer) in offers.iter().zip(&answers) {
        let times = found.get(&offer.job.id).copied().unwrap_or(0);
        match answer {
            Ok(_) => assert_eq!(times, 1, "{wrong}: {offer:?} is acknowledged"),
            Err(QueueError::Unknown(_)) => panic!("{wrong}: {answer:?}"),
            Err(_) => {
                assert_eq!(times, 0, "{wrong}: {offer:?}, {answer:?}");
                let hash = redis.ask(&["EXISTS", &format!("{BASE}{}", offer.job.id)]);
                assert_eq!(hash, "0", "{wrong}: {offer:?}, {answer:?}");
            }
        }
    }
    mend();
    for (offer, answer) in offers.iter().zip(&answers) {
        if answer.is_err() {
            let again = queue.enqueue(std::slice::from_ref(offer)).await.remove(0);
            assert!(matches!(again, Ok(Enqueued::Added { .. })), "{wrong}: {offer:?}, {again:?}");
        }
        assert_eq!(listed(redis).get(&offer.job.id), Some(&1), "{wrong}: {offer:?}");
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_and_lost_when_one_command_is_denied() {
    for order in ["priority", "fifo"] {
        let redis = Redis::start(&[]);
        let url = allow(&redis, &needed());
        let queue = queue(&url, order).await;
        for (round, allowed) in needed().into_iter().filter(|word| word.starts_with('+')).enumerate() {
            let denied = allowed.replacen('+', "-", 1);
            allow(&redis, &[&denied]);
            nothing_is_half_done(&redis, &queue, round, &denied, || drop(allow(&redis, &[allowed]))).await;
        }
        assert!(!queue.is_denied());
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_and_lost_when_a_key_is_of_another_type() {
    let redis = Redis::start(&[]);
    let queue = queue(&redis.url(), "priority").await;
    for (round, name) in ["id", "pc", "events", "marker", "meta"].into_iter().enumerate() {
        let (key, aside) = (format!("{BASE}{name}"), format!("{BASE}aside"));
        let had = redis.ask(&["EXISTS", &key]) == "1";
        if had {
            redis.ask(&["RENAME", &key, &aside]);
        }
        redis.ask(&["RPUSH", &key, "x"]);
        let mend = || {
            redis.ask(&["DEL", &key]);
            if had {
                redis.ask(&["RENAME", &aside, &key]);
            }
        };
        nothing_is_half_done(&redis, &queue, round, name, mend).await;
    }
}

/// Who may not undo is not told that nothing was done.
#[tokio::test]
async fn what_cannot_be_undone_is_unknown() {
    let redis = Redis::start(&[]);
    let queue = queue(&allow(&redis, &[&needed()[..], &["-del", "-zadd"]].concat()), "priority").await;
    let answer = queue.enqueue(&offers(0)[..1]).await.remove(0);
    assert!(matches!(answer, Err(QueueError::Unknown(_))), "{answer:?}");
}

async fn redis_health(gateway: &Gateway) -> Value {
    gateway.get("/health").await.1["services"]["redis"].clone()
}

#[tokio::test]
async fn it_works_with_the_access_list_of_the_documentation_and_says_what_it_cannot_see() {
    let redis = Redis::start(&[]);
    let url = allow(&redis, &needed());
    for (round, order) in ["priority", "fifo"].into_iter().enumerate() {
        let answers = queue(&url, order).await.enqueue(&offers(round)).await;
        assert!(answers.iter().all(|answer| matches!(answer, Ok(Enqueued::Added { .. }))), "{answers:?}");
    }
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

    allow(&redis, &SEEING);
    within(Duration::from_secs(5), "everything is seen", || async {
        redis_health(&gateway).await["status"] == "healthy"
    })
    .await;
    assert_eq!(redis_health(&gateway).await["problems"], json!([]));
}

#[tokio::test]
async fn that_redis_does_not_let_jobs_in_is_said() {
    let redis = Redis::start(&[]);
    let url = allow(&redis, &[&needed()[..], &SEEING, &["-hset"]].concat());
    let gateway = Gateway::start(&[("REDIS_URL", &url), ("SPILL_DIR", "off")]).await;
    for number in 0..2 {
        let (status, answer) = gateway.send(&event("telemetry-data", number)).await.unwrap();
        assert_eq!((status, &answer["reason"]), (503, &json!("queue_unavailable")), "{answer}");
    }
    let health = redis_health(&gateway).await;
    assert_eq!(health["status"], "degraded");
    assert!(health["problems"].to_string().contains("does not let jobs in"), "{health}");
    let log = gateway.log();
    assert_eq!(log.matches("does not let jobs in").count(), 1, "{log}");
    allow(&redis, &["+hset"]);
    assert_eq!(gateway.send(&event("telemetry-data", 2)).await.unwrap().0, 202);
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
