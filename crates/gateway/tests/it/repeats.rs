//! What is sent twice is enqueued once, also after its job is done and gone; and Redis remembers no more for it than it must.

use std::sync::Arc;
use std::time::Duration;

use backpressure::Priority;
use backpressure_gateway::app::App;
use backpressure_gateway::bus::{Accepted, Outcome};
use backpressure_gateway::event::Event;
use backpressure_gateway::launch;
use backpressure_gateway::queue::redis::RedisQueue;
use backpressure_gateway::queue::{Enqueued, Job, Offer, Queue, QueueError, Repeat};
use serde_json::json;

use crate::support::{Process, Redis, send, settings, within, worker};

const BASE: &str = "bull:rule-engine-events:";

fn keyed(organization: &str, key: &str, priority: u8) -> Event {
    Event {
        event_type: "telemetry-data".to_owned(),
        organization: Some(organization.to_owned()),
        priority: Priority::new(priority),
        idempotency_key: Some(key.to_owned()),
        data: serde_json::value::RawValue::from_string("1".to_owned()).unwrap(),
    }
}

async fn emit(app: &App, event: Event) -> Outcome {
    app.bus.emit(vec![event]).await.remove(0).outcome
}

/// The id of its job.
fn id(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Accepted(Accepted { job_id, .. }) | Outcome::Unknown { job_id } => job_id,
        Outcome::Rejected(refusal) => panic!("{refusal:?}"),
    }
}

fn added(redis: &Redis) -> u64 {
    redis.ask(&["GET", &format!("{BASE}id")]).parse().unwrap_or(0)
}

async fn all_completed(app: &Arc<App>, jobs: u64) {
    within(Duration::from_secs(20), "all are completed", || async {
        app.queue.counts().await.unwrap().completed_total == jobs
    })
    .await;
}

fn side(redis: &Redis) -> Process {
    worker(
        &json!({ "version": 6, "port": redis.port, "queue": "rule-engine-events", "concurrency": 50, "serviceMs": 0 }),
    )
}

#[tokio::test]
async fn a_repeated_key_gets_the_first_answer_again_also_when_its_job_is_gone() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let app = launch::start(settings(&[("REDIS_URL", &url), ("SPILL_DIR", "off")])).await.unwrap();
    let first = emit(&app, keyed("a", "order-1", 5)).await;
    assert_eq!(emit(&app, keyed("a", "order-1", 5)).await, first);
    let others = [keyed("a", "order-2", 5), keyed("b", "order-1", 5), keyed("a", "order-2", 5)];
    let others: Vec<Outcome> =
        app.bus.emit(others.into()).await.into_iter().map(|answer| answer.outcome).collect();
    assert_eq!(others[0], others[2], "within a batch too");
    assert!(
        id(&others[0]) != id(&first) && id(&others[1]) != id(&first),
        "another key, another organization"
    );
    let worker = side(&redis);
    all_completed(&app, 3).await;
    drop(worker);
    assert_eq!(redis.ask(&["EXISTS", &format!("{BASE}{}", id(&first))]), "0", "nothing is left of the job");
    // Nor does it matter which gateway is asked, or that the circuit is open by now.
    let another = launch::start(settings(&[("REDIS_URL", &url), ("SPILL_DIR", "off")])).await.unwrap();
    another.circuit.observe(backpressure::Depth::Known(60_000));
    assert_eq!(emit(&another, keyed("a", "order-1", 5)).await, first);
    assert!(matches!(emit(&another, keyed("a", "order-3", 5)).await, Outcome::Rejected(_)));
    assert_eq!(added(&redis), 3);
    // Each event that became a job is counted as accepted, and no other.
    let request = axum::http::Request::get("/api/v1/metrics/prometheus").body(axum::body::Body::empty());
    let (_, text) = crate::support::call_text(&app, request.unwrap()).await;
    for (name, number) in [("accepted", 3), ("repeated", 2)] {
        let line = format!("rule_engine_backpressure_{name}_total{{class=\"telemetry-data\"}} {number}");
        assert!(text.lines().any(|own| own == line), "{line}: {text}");
    }
    another.circuit.reset();
    assert!(
        matches!(emit(&another, keyed("a", "order-3", 5)).await, Outcome::Accepted(_)),
        "rejected is not accepted"
    );
}

#[tokio::test]
async fn a_key_is_known_also_after_the_clock_of_redis_was_set_back() {
    let redis = Redis::start(&[]);
    let app = launch::start(settings(&[("REDIS_URL", &redis.url()), ("SPILL_DIR", "off")])).await.unwrap();
    let first = emit(&app, keyed("a", "order-1", 5)).await;
    redis.ask(&["DEL", &format!("{BASE}{}", id(&first))]);
    // Its generation is one that comes only later.
    let seen = redis.ask(&["KEYS", &format!("{BASE}seen:*")]);
    let number: u64 = seen.rsplit(':').next().unwrap().parse().unwrap();
    redis.ask(&["RENAME", &seen, &format!("{BASE}seen:{}", number + 1)]);
    assert_eq!(emit(&app, keyed("a", "order-1", 5)).await, first);
    assert_eq!(added(&redis), 1);
}

/// In every way of knowing the depth: who has been accepted is told so, although a new event would be refused by now.
#[tokio::test]
async fn a_known_key_is_accepted_where_a_new_event_is_refused() {
    for mode in ["atomic", "request", "sampled"] {
        let redis = Redis::start(&[]);
        let url = redis.url();
        let variables = [
            ("REDIS_URL", url.as_str()),
            ("SPILL_DIR", "off"),
            ("DEPTH_MODE", mode),
            ("ORGANIZATION_EVENTS_PER_SECOND", "1"),
            ("ORGANIZATION_BURST", "2"),
        ];
        let app = launch::start(settings(&variables)).await.unwrap();
        let events = ["order-1", "order-2", "order-1", "order-3"].map(|key| keyed("a", key, 5));
        let answers = app.bus.emit(events.into()).await;
        let outcomes: Vec<Outcome> = answers.into_iter().map(|answer| answer.outcome).collect();
        assert_eq!(outcomes[0], outcomes[2], "{mode}");
        assert!(matches!(outcomes[1], Outcome::Accepted(_)), "{mode}: {outcomes:?}");
        assert!(matches!(outcomes[3], Outcome::Rejected(_)), "{mode}: {outcomes:?}");
        assert_eq!(added(&redis), 2, "{mode}");
    }
}

#[tokio::test]
async fn a_key_makes_no_second_job_when_the_first_answer_was_lost() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let variables = [("REDIS_URL", url.as_str()), ("REDIS_TIMEOUT_MS", "150"), ("SPILL_DIR", "off")];
    let app = launch::start(settings(&variables)).await.unwrap();
    emit(&app, keyed("a", "before", 5)).await;
    redis.signal("STOP");
    let unknown = emit(&app, keyed("a", "order-1", 5)).await;
    assert!(matches!(unknown, Outcome::Unknown { .. }), "{unknown:?}");
    redis.signal("CONT");
    within(Duration::from_secs(5), "it is accepted", || {
        let app = app.clone();
        async move { matches!(emit(&app, keyed("a", "order-1", 5)).await, Outcome::Accepted(_)) }
    })
    .await;
    let last = emit(&app, keyed("a", "order-1", 5)).await;
    assert_eq!(id(&last), id(&unknown));
    assert_eq!(added(&redis), 2);
}

/// The queue may know the key, so no rule may call the event rejected before the queue was asked.
#[tokio::test]
async fn a_key_that_cannot_be_looked_for_is_unknown_and_not_rejected() {
    for mode in ["atomic", "request", "sampled"] {
        let mut redis = Redis::start(&[]);
        let url = redis.url();
        let variables = [
            ("REDIS_URL", url.as_str()),
            ("SPILL_DIR", "off"),
            ("DEPTH_MODE", mode),
            ("ORGANIZATION_EVENTS_PER_SECOND", "1"),
            ("ORGANIZATION_BURST", "1"),
        ];
        let app = launch::start(settings(&variables)).await.unwrap();
        let first = emit(&app, keyed("a", "order-1", 5)).await;
        redis.kill();
        within(Duration::from_secs(5), "the connection is lost", || async { !app.queue.is_connected() })
            .await;
        // The first is over the quota of its organization by now, the others are not.
        for (organization, key) in [("a", "order-1"), ("b", "order-1")] {
            let outcome = emit(&app, keyed(organization, key, 5)).await;
            assert!(matches!(outcome, Outcome::Unknown { .. }), "{mode}, {organization}: {outcome:?}");
            assert_eq!(id(&outcome) == id(&first), organization == "a");
        }
        let outcome = emit(&app, Event { idempotency_key: None, ..keyed("c", "", 5) }).await;
        assert!(matches!(outcome, Outcome::Rejected(_)), "{mode}: {outcome:?}");
    }
}

/// A full Redis takes nothing, but tells what it has.
#[tokio::test]
async fn a_full_redis_still_knows_keys() {
    let redis = Redis::start(&[]);
    let settings = settings(&[("REDIS_URL", &redis.url())]).redis.unwrap();
    let queue = RedisQueue::start(&settings, "rule-engine-events");
    assert!(queue.wait(Duration::from_secs(5)).await);
    assert!(matches!(offer(&queue, "known-key-0001", Repeat::Client).await, Enqueued::Added { .. }));
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let offers = [
        ("known-key-0001", Repeat::Client),
        ("other-key-0001", Repeat::Client),
        ("gateway10001", Repeat::Gateway),
    ]
    .map(|(id, repeat)| Offer { job: job(id), limit: None, repeat });
    let answers = queue.enqueue(&offers).await;
    assert_eq!(answers[0], Ok(Enqueued::Duplicate));
    assert!(answers[1..].iter().all(|answer| matches!(answer, Err(QueueError::Full(_)))), "{answers:?}");
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(redis.ask(&["ZCARD", &format!("{BASE}prioritized")]), "1");
    assert!(matches!(offer(&queue, "other-key-0001", Repeat::Client).await, Enqueued::Added { .. }));
}

/// However many ids follow it: what a generation has no longer counts when the generation is looked at no longer.
#[tokio::test]
async fn a_generation_of_keys_ends_at_its_time() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let variables = [("REDIS_URL", url.as_str()), ("IDEMPOTENCY_WINDOW_SECONDS", "20000")];
    let settings = settings(&variables).redis.unwrap();
    let queue = RedisQueue::start(&settings, "rule-engine-events");
    assert!(queue.wait(Duration::from_secs(5)).await);
    for (id, repeat) in [("a-key-of-a-0001", Repeat::Client), ("gateway10001", Repeat::Again)] {
        assert!(matches!(offer(&queue, id, repeat).await, Enqueued::Added { .. }));
    }
    for kind in ["seen", "again"] {
        let keys = redis.ask(&["KEYS", &format!("{BASE}{kind}:*")]);
        let number: u64 = keys.lines().next().unwrap().rsplit_once(':').unwrap().1.parse().unwrap();
        let end = redis.ask(&["PEXPIRETIME", keys.lines().next().unwrap()]);
        assert_eq!(end, ((number + 3) * 10_000_000).to_string(), "{kind}");
    }
}

/// The window and the number of keys are bounds, and the last keys are for the most urgent.
#[tokio::test]
async fn keys_are_forgotten_after_the_window_and_bounded_in_it() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let variables = [
        ("REDIS_URL", url.as_str()),
        ("SPILL_DIR", "off"),
        ("IDEMPOTENCY_WINDOW_SECONDS", "1"),
        ("SPILL_DEDUPLICATION_SECONDS", "1"),
        ("IDEMPOTENCY_MAX_KEYS", "16"),
    ];
    let app = launch::start(settings(&variables)).await.unwrap();
    let reason = |outcome: Outcome| match outcome {
        Outcome::Rejected(refusal) => Some(refusal.reason.as_str()),
        _ => None,
    };
    for number in 0..14 {
        assert_eq!(reason(emit(&app, keyed("a", &number.to_string(), 5)).await), None, "{number}");
    }
    assert_eq!(reason(emit(&app, keyed("a", "14", 5)).await), Some("too_many_keys"));
    assert_eq!(reason(emit(&app, keyed("a", "0", 5)).await), None, "a known one is no new one");
    for number in 15..17 {
        assert_eq!(reason(emit(&app, keyed("a", &number.to_string(), 1)).await), None, "{number}");
    }
    assert_eq!(reason(emit(&app, keyed("a", "17", 1)).await), Some("too_many_keys"));
    assert_eq!(added(&redis), 16);
    within(Duration::from_secs(5), "the window is over", || async {
        redis.ask(&["KEYS", &format!("{BASE}seen:*")]).is_empty()
    })
    .await;
    assert_eq!(reason(emit(&app, keyed("a", "14", 5)).await), None);
}

/// A healthy system remembers nothing of urgent jobs that are done.
#[tokio::test]
async fn urgent_jobs_leave_nothing_behind() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let dir = tempfile::tempdir().unwrap();
    let spill = dir.path().to_str().unwrap();
    let app = launch::start(settings(&[("REDIS_URL", &url), ("SPILL_DIR", spill)])).await.unwrap();
    let _worker = side(&redis);
    let batch: Vec<_> = (0..1000).map(|number| crate::support::event("critical-alarm", number)).collect();
    let batch = serde_json::Value::from(batch);
    let used = || -> u64 {
        let info = redis.ask(&["INFO", "memory"]);
        info.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok()).unwrap()
    };
    // The stream of events is full and the worker at work before it counts.
    let mut before = 0;
    for round in 1..=20 {
        assert_eq!(send(&app, &batch).await.0, 202);
        all_completed(&app, round * 1000).await;
        if round == 10 {
            before = used();
        }
    }
    within(Duration::from_secs(5), "the last ids are forgotten", || async {
        redis.ask(&["KEYS", &format!("{BASE}sent:*")]).is_empty()
    })
    .await;
    // Nor does a gateway that ends leave any.
    assert_eq!(send(&app, &batch).await.0, 202);
    app.queue.close(Duration::from_secs(5)).await;
    assert_eq!(redis.ask(&["KEYS", &format!("{BASE}sent:*")]), "");
    all_completed(&app, 21_000).await;
    let more = used().saturating_sub(before);
    assert!(more < 200_000, "10,000 urgent jobs left {more} bytes");
    let keys = redis.ask(&["KEYS", "*"]);
    assert!(keys.lines().count() < 20, "{keys}");
}

fn job(id: &str) -> Arc<Job> {
    Arc::new(Job {
        id: id.to_owned(),
        name: "critical-alarm".to_owned(),
        data: "{}".to_owned(),
        priority: Priority::MOST_URGENT,
        timestamp_ms: 1,
    })
}

async fn offer(queue: &dyn Queue, id: &str, repeat: Repeat) -> Enqueued {
    let offers = [Offer { job: job(id), limit: None, repeat }];
    queue.enqueue(&offers).await.remove(0).unwrap()
}

/// All orders in which the sendings of one job can reach Redis; the worker has completed and removed the job before the second.
#[tokio::test]
async fn a_job_sent_again_after_it_is_gone_is_not_added_again() {
    let redis = Redis::start(&[]);
    let settings = settings(&[("REDIS_URL", &redis.url())]).redis.unwrap();
    let gone = |id: &str| {
        redis.ask(&["DEL", &format!("{BASE}{id}")]);
        redis.ask(&["ZREM", &format!("{BASE}prioritized"), id]);
    };
    let queue = async || {
        let queue = RedisQueue::start(&settings, "rule-engine-events");
        assert!(queue.wait(Duration::from_secs(5)).await);
        queue
    };
    let added = |answer| matches!(answer, Enqueued::Added { .. });
    // The gateway that sent it first ended before it heard the answer; what it would have confirmed is not.
    let (url, first) = (redis.url(), "gateway10001");
    let crashed = move || {
        let settings = crate::support::settings(&[("REDIS_URL", &url)]).redis.unwrap();
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let queue = RedisQueue::start(&settings, "rule-engine-events");
            assert!(queue.wait(Duration::from_secs(5)).await);
            offer(&queue, first, Repeat::Gateway).await
        })
    };
    assert!(added(tokio::task::spawn_blocking(crashed).await.unwrap()));
    gone("gateway10001");
    let next = queue().await;
    for _ in 0..3 {
        assert_eq!(offer(&next, "gateway10001", Repeat::Again).await, Enqueued::Duplicate);
    }
    // The first sending was held up, and the second overtook it.
    assert!(added(offer(&next, "gateway10002", Repeat::Again).await));
    gone("gateway10002");
    assert_eq!(offer(&next, "gateway10002", Repeat::Gateway).await, Enqueued::Duplicate);
    assert_eq!(offer(&next, "gateway10002", Repeat::Again).await, Enqueued::Duplicate);
    // The first sending is in the queue, waiting.
    assert!(added(offer(&next, "gateway10003", Repeat::Gateway).await));
    assert_eq!(offer(&next, "gateway10003", Repeat::Again).await, Enqueued::Duplicate);
    gone("gateway10003");
    assert_eq!(offer(&next, "gateway10003", Repeat::Again).await, Enqueued::Duplicate);
    assert_eq!(redis.ask(&["ZCARD", &format!("{BASE}prioritized")]), "0");
}
