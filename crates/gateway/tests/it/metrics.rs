//! The metrics as Prometheus reads them over time: from before the first event, and across a Redis that begins anew.

use std::collections::BTreeMap;

use crate::support::{Gateway, Redis, event};

/// Every series and its value, as written.
async fn scrape(gateway: &Gateway) -> BTreeMap<String, String> {
    let text = gateway.client().get(gateway.path("/metrics/prometheus")).send().await.unwrap();
    let text = text.text().await.unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.to_owned())
        })
        .collect()
}

/// Otherwise the increase of a burst of rejections that is the first one is 0.
#[tokio::test]
async fn every_series_is_there_before_the_first_event() {
    let redis = Redis::prepare(&[]);
    let url = redis.url();
    let gateway = Gateway::start(&[
        ("REDIS_URL", url.as_str()),
        ("EVENT_PRIORITIES", "fire=1,report=9"),
        ("RESET_TOKEN", "the token of this test, and no other"),
    ])
    .await;
    let before = scrape(&gateway).await;
    let rejected = "rule_engine_backpressure_rejected_total";
    let count = |series: &str| before.keys().filter(|name| name.starts_with(series)).count();
    // The four types of the specification, two of the settings, and all others; each with every reason.
    assert_eq!(count("rule_engine_backpressure_accepted_total"), 7);
    let unread = 1;
    assert!(count(rejected) > 7 * 10 && count(rejected) % 7 == unread, "{before:?}");
    let counters = before.iter().filter(|(series, _)| series.starts_with("rule_engine_backpressure_"));
    assert!(counters.clone().filter(|(series, _)| series.contains("class=")).all(|(_, value)| value == "0"));
    for event_type in ["fire", "report", "never seen"] {
        gateway.send(&event(event_type, 1)).await.unwrap();
    }
    let client = gateway.client();
    let reset = gateway.path("/metrics/backpressure/reset");
    for (expected, request) in [
        (401, client.post(&reset).bearer_auth("wrong")),
        (405, client.get(&reset)),
        (404, client.get(gateway.path("/nothing"))),
        (404, client.post(gateway.admin_path("/datastreams"))),
        (405, client.get(gateway.path("/datastreams"))),
        (400, client.post(gateway.path("/datastreams")).json(&1)),
        (415, client.post(gateway.path("/datastreams"))),
        (405, client.post(gateway.path("/health/liveness"))),
    ] {
        assert_eq!(request.send().await.unwrap().status(), expected);
    }
    let after = scrape(&gateway).await;
    let known = |series: &BTreeMap<String, String>| series.keys().cloned().collect::<Vec<_>>();
    assert_eq!(known(&after), known(&before), "no series begins later");
    assert_eq!(
        after["rule_engine_backpressure_rejected_total{class=\"other\",reason=\"queue_unavailable\"}"],
        "1"
    );
}

#[tokio::test]
async fn a_refused_reset_begins_no_series() {
    let gateway = Gateway::start(&[]).await;
    let status =
        "rule_engine_gateway_http_seconds_count{route=\"/api/v1/metrics/backpressure/reset\",status=\"403\"}";
    assert_eq!(scrape(&gateway).await[status], "0");
    let request = gateway.client().post(gateway.path("/metrics/backpressure/reset"));
    assert_eq!(request.header("x-forwarded-for", "192.0.2.1").send().await.unwrap().status(), 403);
    assert_eq!(scrape(&gateway).await[status], "1");
}

#[tokio::test]
async fn completed_jobs_go_on_when_redis_was_emptied() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let gateway = Gateway::start(&[("REDIS_URL", &url)]).await;
    let completed = async || scrape(&gateway).await["rule_engine_queue_completed_total"].clone();
    // BullMQ's counter of ids: so many were added, and none is left.
    redis.ask(&["SET", "bull:rule-engine-events:id", "100"]);
    assert_eq!(completed().await, "100");
    redis.ask(&["FLUSHALL"]);
    assert_eq!(completed().await, "100");
    redis.ask(&["SET", "bull:rule-engine-events:id", "5"]);
    assert_eq!(completed().await, "105");
    assert_eq!(
        gateway.metric("rule_engine_queue_completed_total ").await,
        105,
        "the admin port says the same"
    );
}

#[tokio::test]
async fn the_process_is_described() {
    let redis = Redis::prepare(&[]);
    let url = redis.url();
    let gateway = Gateway::start(&[("REDIS_URL", &url)]).await;
    let samples = scrape(&gateway).await;
    let number = |name: &str| samples[name].parse::<f64>().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let age = now.as_secs_f64() - number("process_start_time_seconds");
    assert!((0.0..60.0).contains(&age), "{age}");
    assert!((1e6..1e9).contains(&number("process_resident_memory_bytes")), "{samples:?}");
    assert!(number("process_open_fds") > 5.0 && number("process_open_fds") < number("process_max_fds"));
    assert!(number("process_cpu_seconds_total") < 60.0);
    let build = format!("rule_engine_gateway_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(samples[&build], "1");
    assert_eq!(samples["rule_engine_redis_up"], "0");
}
