//! How far the depth goes above critical when many ask at once.

use std::sync::Arc;

use backpressure_gateway::app::App;
use backpressure_gateway::launch;
use serde_json::json;

use crate::support::{Redis, send, settings};

/// 400 requests at a time against a queue that nobody empties, from two gateways.
async fn highest_depth(mode: &str) -> u64 {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let variables = [
        ("REDIS_URL", url.as_str()),
        ("DEPTH_MODE", mode),
        // Hundreds of requests on one thread: what is asked here is the depth, not the patience.
        ("REDIS_TIMEOUT_MS", "30000"),
        ("SPILL_DIR", "off"),
        ("QUEUE_RECOVERY_THRESHOLD", "50"),
        ("QUEUE_WARNING_THRESHOLD", "100"),
        ("QUEUE_CRITICAL_THRESHOLD", "500"),
    ];
    let gateways = [
        launch::start(settings(&variables)).await.unwrap(),
        launch::start(settings(&variables)).await.unwrap(),
    ];
    for round in 0..8 {
        let requests = (0..400).map(|number| {
            let gateway: Arc<App> = gateways[number % 2].clone();
            tokio::spawn(
                async move { send(&gateway, &json!({ "type": "telemetry-data", "data": round })).await },
            )
        });
        futures_util::future::join_all(requests.collect::<Vec<_>>()).await;
    }
    gateways[0].queue.depth().await.unwrap()
}

#[tokio::test]
async fn the_atomic_mode_does_not_overshoot() {
    assert_eq!(highest_depth("atomic").await, 500);
}

/// The way of the specification does: whoever has read the depth before the others have enqueued is let in.
#[tokio::test]
async fn reading_the_depth_first_overshoots() {
    let depth = highest_depth("request").await;
    println!("overshoot of the specification's mode: {} of 500", depth - 500);
    assert!((501..=900).contains(&depth), "{depth}: at most all that were under way at once");
}
