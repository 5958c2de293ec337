//! What every queue must do: the same tests for the one in memory and for BullMQ's on Redis.

use std::sync::Arc;
use std::time::Duration;

use backpressure::Priority;
use backpressure_gateway::queue::embedded::EmbeddedQueue;
use backpressure_gateway::queue::redis::RedisQueue;
use backpressure_gateway::queue::{Enqueued, Job, Offer, Queue};

use crate::support::{Redis, settings};

fn job(priority: u8, id: Option<&str>) -> Job {
    Job {
        id: id.map(str::to_owned),
        name: "telemetry-data".to_owned(),
        data: "{}".to_owned(),
        priority: Priority::new(priority).unwrap(),
        timestamp_ms: 1,
    }
}

async fn offer(queue: &dyn Queue, job: &Job, limit: Option<u64>) -> Enqueued {
    queue.enqueue(&[Offer { job, limit }]).await.remove(0).unwrap()
}

/// All that is asked of a queue whose workers do not take anything.
async fn check(queue: &dyn Queue) {
    assert!(queue.is_connected());
    assert_eq!(queue.depth().await.unwrap(), 0);
    let Enqueued::Added { id: first, depth: 0 } = offer(queue, &job(5, None), Some(1)).await else {
        panic!("below the limit it is taken");
    };
    assert_eq!(
        offer(queue, &job(5, None), Some(1)).await,
        Enqueued::Refused { depth: 1 },
        "at the limit it is not"
    );
    let Enqueued::Added { id: second, depth: 1 } = offer(queue, &job(5, None), None).await else {
        panic!("without a limit it is always taken");
    };
    assert_ne!(first, second);

    let own = job(1, Some("g1-1"));
    assert_eq!(offer(queue, &own, None).await, Enqueued::Added { id: "g1-1".to_owned(), depth: 2 });
    assert_eq!(offer(queue, &own, None).await, Enqueued::Duplicate { id: "g1-1".to_owned() });

    let batch = [job(10, None), job(5, None), job(1, Some("g1-2"))];
    let offers: Vec<Offer<'_>> = batch.iter().map(|job| Offer { job, limit: Some(5) }).collect();
    let outcomes: Vec<Enqueued> = queue.enqueue(&offers).await.into_iter().map(Result::unwrap).collect();
    assert!(matches!(outcomes[0], Enqueued::Added { depth: 3, .. }), "{outcomes:?}");
    assert!(matches!(outcomes[1], Enqueued::Added { depth: 4, .. }), "{outcomes:?}");
    assert_eq!(outcomes[2], Enqueued::Refused { depth: 5 }, "each is compared by itself, in order");
    assert!(queue.enqueue(&[]).await.is_empty());

    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.waiting(), counts.active, counts.depth()), (5, 0, 5));
    assert_eq!((counts.completed, counts.completed_total, counts.is_paused), (0, 0, false));
    assert_eq!(queue.depth().await.unwrap(), 5);
    let memory = queue.memory().await.unwrap();
    assert!(memory.used > 0 && memory.evicts.is_none());
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
    assert!(matches!(offer(&queue, &job(5, None), None).await, Enqueued::Added { depth: 5, .. }));
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
    let jobs: Vec<Job> = (0..100).map(|number| job(1 + number % 10, None)).collect();
    let offers: Vec<Offer<'_>> = jobs.iter().map(|job| Offer { job, limit: None }).collect();
    queue.enqueue(&offers).await;
    assert_eq!(queue.workers().await.unwrap().len(), 1);
    queue.close(Duration::from_secs(10)).await;
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.depth(), counts.completed_total), (0, 100));
}
