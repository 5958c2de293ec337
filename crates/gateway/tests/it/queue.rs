//! What every queue must do: the same tests for the one in memory and for BullMQ's on Redis.

use std::sync::Arc;
use std::time::Duration;

use backpressure::Priority;
use backpressure_gateway::queue::embedded::EmbeddedQueue;
use backpressure_gateway::queue::redis::RedisQueue;
use backpressure_gateway::queue::{Enqueued, Job, Offer, Queue, Repeat};

use crate::support::{Redis, settings};

fn job(priority: u8, id: &str) -> Arc<Job> {
    Arc::new(Job {
        id: id.to_owned(),
        name: "telemetry-data".to_owned(),
        data: "{}".to_owned(),
        priority: Priority::new(priority).unwrap(),
        timestamp_ms: 1,
    })
}

async fn offer(queue: &dyn Queue, job: &Arc<Job>, limit: Option<u64>) -> Enqueued {
    repeat(queue, job, limit, Repeat::Never).await
}

async fn repeat(queue: &dyn Queue, job: &Arc<Job>, limit: Option<u64>, repeat: Repeat) -> Enqueued {
    queue.enqueue(&[Offer { job: job.clone(), limit, repeat }]).await.remove(0).unwrap()
}

/// All that is asked of a queue whose workers do not take anything.
async fn check(queue: &dyn Queue) {
    assert!(queue.is_connected());
    assert_eq!(queue.depth().await.unwrap(), 0);
    assert_eq!(offer(queue, &job(5, "a0001"), Some(1)).await, Enqueued::Added { depth: 0 });
    assert_eq!(offer(queue, &job(5, "a0002"), Some(1)).await, Enqueued::Refused { depth: 1 }, "at the limit");
    assert_eq!(offer(queue, &job(5, "a0002"), None).await, Enqueued::Added { depth: 1 }, "without a limit");

    let own = job(1, "k0003");
    let by_client = async |limit| repeat(queue, &own, limit, Repeat::Client).await;
    assert_eq!(by_client(Some(0)).await, Enqueued::Refused { depth: 2 }, "what is refused is not remembered");
    assert_eq!(by_client(None).await, Enqueued::Added { depth: 2 });
    assert_eq!(by_client(None).await, Enqueued::Duplicate);
    assert_eq!(by_client(Some(0)).await, Enqueued::Duplicate, "whatever the depth is meanwhile");

    let batch = [job(10, "b0001"), job(5, "b0002"), job(1, "b0003")];
    let offers: Vec<Offer> =
        batch.iter().map(|job| Offer { job: job.clone(), limit: Some(5), repeat: Repeat::Never }).collect();
    let outcomes: Vec<Enqueued> = queue.enqueue(&offers).await.into_iter().map(Result::unwrap).collect();
    let expected =
        [Enqueued::Added { depth: 3 }, Enqueued::Added { depth: 4 }, Enqueued::Refused { depth: 5 }];
    assert_eq!(outcomes, expected, "each is compared by itself, in order");
    assert!(queue.enqueue(&[]).await.is_empty());

    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.waiting(), counts.active, counts.depth()), (5, 0, 5));
    assert_eq!((counts.completed, counts.completed_total, counts.is_paused), (0, 0, false));
    assert_eq!(queue.depth().await.unwrap(), 5);
    let memory = queue.memory().await.unwrap();
    assert!(memory.used > 0 && memory.evicts.is_none());
}

/// What is asked of a queue that may remember 16 keys.
async fn check_keys(queue: &dyn Queue) {
    let is_added = |answer| matches!(answer, Enqueued::Added { .. });
    let offer = async |priority, id: &str, by| repeat(queue, &job(priority, id), None, by).await;
    // What the gateway sends again takes no room from clients.
    for number in 0..40 {
        assert!(is_added(offer(1, &format!("gateway1{number:04}"), Repeat::Again).await), "{number}");
    }
    for number in 0..14 {
        assert!(is_added(offer(5, &format!("key{number:04}"), Repeat::Client).await), "{number}");
    }
    assert_eq!(offer(5, "key0014", Repeat::Client).await, Enqueued::TooManyKeys);
    assert_eq!(offer(5, "key0000", Repeat::Client).await, Enqueued::Duplicate, "a known one is no new one");
    for number in 14..16 {
        assert!(
            is_added(offer(1, &format!("key{number:04}"), Repeat::Client).await),
            "the last are for priority 1"
        );
    }
    assert_eq!(offer(1, "key0016", Repeat::Client).await, Enqueued::TooManyKeys);
    for by in [Repeat::Again, Repeat::Gateway, Repeat::Client] {
        assert_eq!(offer(1, "gateway10039", by).await, Enqueued::Duplicate, "{by:?}");
    }
    assert_eq!(offer(1, "key0015", Repeat::Again).await, Enqueued::Duplicate);
    let twice = Offer { job: job(1, "gateway20001"), limit: None, repeat: Repeat::Again };
    let answers = queue.enqueue(&[twice.clone(), twice]).await;
    assert!(
        is_added(answers[0].clone().unwrap()) && answers[1] == Ok(Enqueued::Duplicate),
        "within a call too"
    );
    assert_eq!(queue.depth().await.unwrap(), 57);
}

const KEYS: (&str, &str) = ("IDEMPOTENCY_MAX_KEYS", "16");

#[tokio::test]
async fn a_queue_on_redis_remembers_keys() {
    let redis = Redis::start(&[]);
    let settings = settings(&[("REDIS_URL", &redis.url()), KEYS]).redis.unwrap();
    let queue = RedisQueue::start(&settings, "rule-engine-events");
    assert!(queue.wait(Duration::from_secs(5)).await);
    check_keys(&queue).await;
}

#[tokio::test]
async fn a_queue_in_memory_remembers_keys() {
    let slow = settings(&[("EMBEDDED_SERVICE_MS", "600000"), ("EMBEDDED_WORKERS", "1"), KEYS]);
    check_keys(&EmbeddedQueue::start(slow.embedded, 0)).await;
}

#[tokio::test]
async fn a_queue_on_redis_does_what_is_asked() {
    let redis = Redis::start(&[]);
    let settings = settings(&[("REDIS_URL", &redis.url())]).redis.unwrap();
    let queue = RedisQueue::start(&settings, "rule-engine-events");
    assert!(queue.wait(Duration::from_secs(5)).await);
    check(&queue).await;
    assert!(queue.workers().await.unwrap().is_empty());
    // Scripts that Redis has forgotten are told to it again.
    redis.ask(&["SCRIPT", "FLUSH"]);
    assert!(matches!(offer(&queue, &job(5, "c0001"), None).await, Enqueued::Added { depth: 5 }));
}

#[tokio::test]
async fn a_queue_in_memory_does_what_is_asked() {
    let slow = settings(&[("EMBEDDED_SERVICE_MS", "600000"), ("EMBEDDED_WORKERS", "1")]);
    let queue = EmbeddedQueue::start(slow.embedded, 0);
    check(&queue).await;
}

#[tokio::test]
async fn workers_in_memory_complete_the_most_urgent_first() {
    let one = settings(&[("EMBEDDED_SERVICE_MS", "1"), ("EMBEDDED_WORKERS", "1")]);
    let queue = Arc::new(EmbeddedQueue::start(one.embedded, 1));
    let offer = |number: u8| Offer {
        job: job(1 + number % 10, &format!("a{number:04}")),
        limit: None,
        repeat: Repeat::Never,
    };
    let offers: Vec<Offer> = (0..100).map(offer).collect();
    queue.enqueue(&offers).await;
    assert_eq!(queue.workers().await.unwrap().len(), 1);
    queue.close(Duration::from_secs(10)).await;
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.depth(), counts.completed_total), (0, 100));
}
