//! The endpoints of the specification, path by path and field by field: every example of it, from a queue in just that state.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use backpressure::Depth;
use backpressure_gateway::access::Access;
use backpressure_gateway::app::App;
use backpressure_gateway::http::{Peer, openapi};
use backpressure_gateway::launch;
use backpressure_gateway::queue::{Counts, Enqueued, Memory, Offer, Queue, QueueError, WorkerInfo};
use serde_json::{Value, json};

use crate::support::{call, call_text, event, get, send, settings, within};

/// A queue in a state of the test's choosing; `u64::MAX` waiting jobs make it silent.
pub(crate) struct Pretended {
    waiting: AtomicU64,
    active: u64,
}

impl Pretended {
    pub(crate) fn new(waiting: u64) -> Arc<Pretended> {
        Arc::new(Pretended { waiting: AtomicU64::new(waiting), active: 50 })
    }

    pub(crate) fn set(&self, waiting: u64) {
        self.waiting.store(waiting, Ordering::Relaxed);
    }
}

#[async_trait]
impl Queue for Pretended {
    async fn depth(&self) -> Result<u64, QueueError> {
        self.counts().await.map(|counts| counts.depth())
    }

    async fn counts(&self) -> Result<Counts, QueueError> {
        match self.waiting.load(Ordering::Relaxed) {
            u64::MAX => Err(QueueError::Unavailable("pretended".to_owned())),
            prioritized => Ok(Counts {
                prioritized,
                active: self.active,
                completed: 10_000,
                failed: 25,
                delayed: 5,
                completed_total: 10_000,
                ..Counts::default()
            }),
        }
    }

    async fn enqueue(&self, offers: &[Offer]) -> Vec<Result<Enqueued, QueueError>> {
        let mut outcomes = Vec::new();
        for offer in offers {
            let depth = self.depth().await;
            outcomes.push(depth.map(|depth| match offer.limit {
                Some(limit) if depth >= limit => Enqueued::Refused { depth },
                _ => Enqueued::Added { depth },
            }));
        }
        outcomes
    }

    async fn memory(&self) -> Result<Memory, QueueError> {
        self.counts().await.map(|_| Memory { used: 1 << 20, max: 1 << 31, evicts: None, is_read_only: false })
    }

    async fn workers(&self) -> Result<Vec<WorkerInfo>, QueueError> {
        let worker = |number: u64| WorkerInfo {
            id: number.to_string(),
            name: None,
            queue: "rule-engine-events".to_owned(),
            age_seconds: 60,
            idle_seconds: 0,
        };
        self.counts().await.map(|_| (1..=3).map(worker).collect())
    }

    fn is_connected(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) != u64::MAX
    }

    async fn close(&self, _patience: Duration) {}
}

async fn app(waiting: u64, variables: &[(&str, &str)]) -> (Arc<App>, Arc<Pretended>) {
    let queue = Pretended::new(waiting);
    let app = launch::around(Arc::new(settings(variables)), Access::open(None).unwrap(), queue.clone())
        .await
        .unwrap();
    (app, queue)
}

/// Asserts that `answer` has everything that `example` has. A text `"*..."` in the example stands for any value of the
/// kind that it names; what the answer has beyond the example is new and allowed.
#[track_caller]
fn check(answer: &Value, example: &Value, path: &str) {
    match (example, answer) {
        (Value::Object(fields), Value::Object(answers)) => {
            for (name, example) in fields {
                let answer =
                    answers.get(name).unwrap_or_else(|| panic!("{path}.{name} is missing in {answer}"));
                check(answer, example, &format!("{path}.{name}"));
            }
        }
        (Value::String(kind), answer) if kind.starts_with('*') => {
            let is_good = match (&kind[1..], answer) {
                ("time", Value::String(text)) => is_timestamp(text),
                ("memory", Value::String(text)) => text
                    .strip_suffix(" MB")
                    .is_some_and(|number| number.parse::<f64>().is_ok_and(|number| number > 0.0)),
                ("text", Value::String(text)) => !text.is_empty(),
                ("number", Value::Number(_)) | ("list", Value::Array(_)) => true,
                _ => false,
            };
            assert!(is_good, "{path}: {answer} is no {kind}");
        }
        (example, answer) => assert_eq!(answer, example, "{path}"),
    }
}

/// `2026-01-21T10:30:00.000Z`
fn is_timestamp(text: &str) -> bool {
    let pattern = "dddd-dd-ddTdd:dd:dd.dddZ";
    text.len() == pattern.len()
        && text.chars().zip(pattern.chars()).all(|(c, p)| if p == 'd' { c.is_ascii_digit() } else { c == p })
}

#[tokio::test]
async fn metrics_queue() {
    let (app, _) = app(150, &[]).await;
    let (status, answer) = get(&app, "/api/v1/metrics/queue").await;
    assert_eq!(status, StatusCode::OK);
    let example = json!({
        "timestamp": "*time",
        "queue": {
            "name": "rule-engine-events",
            "counts": { "waiting": 150, "active": 50, "completed": 10000, "failed": 25, "delayed": 5 },
            "totalPending": 200, "utilizationPercent": 0.4, "health": "healthy", "isPaused": false
        },
        "workers": { "count": 3, "list": "*list" },
        "backpressure": {
            "enabled": true, "circuitState": "CLOSED",
            "thresholds": { "warning": 10000, "critical": 50000, "recovery": 5000 },
            "rejectedCount": 0, "lastStateChange": "*time", "stateAgeMs": "*number"
        }
    });
    check(&answer, &example, "");
    assert!(!answer.to_string().contains("addr"), "where workers are is not published");
}

#[tokio::test]
async fn metrics_queue_summary() {
    let (app, queue) = app(150, &[]).await;
    let (_, answer) = get(&app, "/api/v1/metrics/queue/summary").await;
    let example = json!({ "health": "healthy", "queueDepth": 200, "workers": 3, "circuitState": "CLOSED", "rejectedCount": 0 });
    assert_eq!(answer, example);
    queue.set(u64::MAX);
    let (status, answer) = get(&app, "/api/v1/metrics/queue/summary").await;
    assert_eq!((status, &answer["queueDepth"]), (StatusCode::OK, &Value::Null), "unknown is not 0");
}

#[tokio::test]
async fn metrics_prometheus() {
    let (app, queue) = app(150, &[]).await;
    send(&app, &event("telemetry-data", 1)).await;
    app.circuit.observe(Depth::Known(60_000));
    send(&app, &event("telemetry-data", 2)).await;
    send(&app, &event("\u{1F525}", 3)).await;
    let (_, text) =
        call_text(&app, Request::get("/api/v1/metrics/prometheus").body(Body::empty()).unwrap()).await;
    for part in [
        "# HELP rule_engine_queue_waiting Number of waiting jobs\n# TYPE rule_engine_queue_waiting gauge\nrule_engine_queue_waiting 150\n",
        "# HELP rule_engine_queue_active Number of active jobs\n# TYPE rule_engine_queue_active gauge\nrule_engine_queue_active 50\n",
        "# HELP rule_engine_backpressure_circuit_state Circuit state (0=CLOSED, 1=HALF_OPEN, 2=OPEN)\n\
         # TYPE rule_engine_backpressure_circuit_state gauge\nrule_engine_backpressure_circuit_state ",
        "\nrule_engine_queue_total_pending 200\n",
        "\nrule_engine_queue_completed 10000\n",
        "# TYPE rule_engine_queue_completed_total counter\nrule_engine_queue_completed_total 10000\n",
        "\nrule_engine_backpressure_rejected_total{class=\"telemetry-data\",reason=\"open\"} 1\n",
        "\nrule_engine_backpressure_rejected_total{class=\"other\",reason=\"open\"} 1\n",
        "\nrule_engine_backpressure_accepted_total{class=\"telemetry-data\"} 1\n",
        "\nrule_engine_workers 3\n",
        "\nrule_engine_backpressure_threshold_warning 10000\n",
        "\nrule_engine_backpressure_threshold_critical 50000\n",
        "\nrule_engine_backpressure_threshold_recovery 5000\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    // All that the contract promises, and nothing else.
    let families = |prefix: &str| -> BTreeSet<String> {
        text.lines().filter_map(|line| Some(line.strip_prefix(prefix)?.to_owned())).collect()
    };
    let promised = |line: fn(&contract::metrics::Metric) -> String| -> BTreeSet<String> {
        contract::metrics::ALL.iter().map(line).collect()
    };
    assert_eq!(families("# HELP "), promised(|metric| format!("{} {}", metric.name, metric.help)));
    assert_eq!(families("# TYPE "), promised(|metric| format!("{} {}", metric.name, metric.kind.as_str())));
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    queue.set(u64::MAX);
    let (_, text) =
        call_text(&app, Request::get("/api/v1/metrics/prometheus").body(Body::empty()).unwrap()).await;
    assert!(
        text.contains("\nrule_engine_redis_up 0\n") && !text.contains("rule_engine_queue_waiting"),
        "{text}"
    );
}

fn reset(from: [u8; 4], headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::post("/api/v1/metrics/backpressure/reset");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.extension(Peer(SocketAddr::from((from, 40_000)))).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn reset_closes_the_circuit_and_begins_the_count_anew() {
    let (app, queue) = app(55_000, &[]).await;
    let (status, answer) = send(&app, &event("telemetry-data", 1)).await;
    assert_eq!((status, &answer["state"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("OPEN")));
    queue.set(20_000);
    let (status, answer) = call(&app, reset([127, 0, 0, 1], &[("host", "127.0.0.1:3000")])).await;
    assert_eq!(status, StatusCode::OK);
    let example = json!({
        "success": true, "message": "Backpressure manager reset successfully",
        "status": { "circuitState": "CLOSED", "rejectedCount": 0 }
    });
    assert_eq!(answer, example);
    let (_, answer) = get(&app, "/api/v1/metrics/queue").await;
    assert_eq!(answer["backpressure"]["rejectedCount"], 0);
    assert_eq!(app.metrics.rejected_total(), 1, "a counter of Prometheus must not fall");
    assert_eq!(send(&app, &event("telemetry-data", 2)).await.0, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn reset_is_for_those_who_may() {
    let (open, _) = app(0, &[]).await;
    let (with_token, _) = app(0, &[("RESET_TOKEN", "correct horse battery staple")]).await;
    let (local, far) = ([127, 0, 0, 1], [10, 0, 0, 7]);
    let localhost = ("host", "localhost:3001");
    for (app, from, headers, expected) in [
        (&open, local, &[localhost][..], 200),
        (&open, local, &[("host", "[::1]")][..], 200),
        (&open, local, &[localhost, ("origin", "http://localhost:3001")][..], 200),
        (&open, far, &[localhost][..], 403),
        (&open, local, &[localhost, ("x-forwarded-for", "10.0.0.7")][..], 403),
        (&open, local, &[][..], 403),
        (&open, local, &[("host", "rebound.example:3001")][..], 403),
        (&open, local, &[("host", "localhost.example")][..], 403),
        (&open, local, &[localhost, ("origin", "http://localhost:8080")][..], 403),
        (&open, local, &[localhost, ("origin", "https://page.example")][..], 403),
        (&open, local, &[localhost, ("origin", "null")][..], 403),
        (&with_token, local, &[][..], 401),
        (&with_token, far, &[("authorization", "Bearer correct horse battery stapl")][..], 401),
        (&with_token, far, &[("authorization", "Basic correct horse battery staple")][..], 401),
        (&with_token, far, &[("authorization", "bearer correct horse battery staple")][..], 200),
    ] {
        let (status, answer) = call(app, reset(from, headers)).await;
        assert_eq!(status.as_u16(), expected, "{from:?} {headers:?} {answer}");
    }
}

/// A server that greets as MySQL does: a packet of protocol version 10.
fn mysql() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.try_clone().unwrap();
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let _ = stream.unwrap().write_all(b"\x4a\0\0\0\x0a8.0.36\0");
        }
    });
    (format!("mysql://user:password@{}/events", listener.local_addr().unwrap()), listener)
}

#[tokio::test]
async fn health_when_healthy() {
    let (url, _server) = mysql();
    let (app, _) = app(150, &[("DATABASE_URL", &url)]).await;
    let (status, answer) = get(&app, "/api/v1/health").await;
    assert_eq!(status, StatusCode::OK);
    let example = json!({
        "status": "healthy", "timestamp": "*time", "uptime": "*number",
        "services": {
            "database": { "status": "healthy", "type": "mysql", "connection": "active" },
            "redis": { "status": "healthy", "connection": "*text" },
            "ruleEngineQueue": {
                "status": "healthy", "health": "healthy", "queueDepth": 200, "workers": 3,
                "circuitState": "CLOSED", "backpressureEnabled": true
            },
            "application": {
                "status": "healthy", "nodeVersion": "*text", "environment": "production",
                "memory": { "rss": "*memory", "heapUsed": "*memory", "heapTotal": "*memory" }
            }
        }
    });
    check(&answer, &example, "");
    let (status, answer) = get(&app, "/api/v1/health/readiness").await;
    assert_eq!(status, StatusCode::OK);
    let example = json!({
        "status": "ready", "timestamp": "*time",
        "checks": { "database": "ready", "redis": "ready", "backpressure": "ready" }
    });
    check(&answer, &example, "");
}

#[tokio::test]
async fn health_when_the_circuit_is_open() {
    let (app, _) = app(54_950, &[]).await;
    send(&app, &event("telemetry-data", 1)).await;
    let (status, answer) = get(&app, "/api/v1/health").await;
    assert_eq!(status, StatusCode::OK, "it still takes priority 1");
    let example = json!({
        "status": "degraded",
        "services": { "ruleEngineQueue": {
            "status": "critical", "health": "critical", "queueDepth": 55000, "circuitState": "OPEN"
        } }
    });
    check(&answer, &example, "");
    let (status, answer) = get(&app, "/api/v1/health/readiness").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let example = json!({ "status": "not ready", "checks": { "backpressure": "circuit open - not accepting traffic" } });
    check(&answer, &example, "");
}

#[tokio::test]
async fn readiness_looks_at_what_the_settings_name() {
    let (app, queue) = app(54_950, &[("READINESS_CHECKS", "redis")]).await;
    send(&app, &event("telemetry-data", 1)).await;
    let (status, answer) = get(&app, "/api/v1/health/readiness").await;
    assert_eq!(
        (status, &answer["checks"]["backpressure"]),
        (StatusCode::OK, &json!("circuit open - accepting priority 1"))
    );
    queue.set(u64::MAX);
    let (status, answer) = get(&app, "/api/v1/health/readiness").await;
    assert_eq!((status, &answer["checks"]["redis"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("not ready")));
    let (status, answer) = get(&app, "/api/v1/health").await;
    assert_eq!((status, &answer["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unhealthy")));
    let (status, answer) = get(&app, "/api/v1/health/liveness").await;
    assert_eq!(status, StatusCode::OK, "a silent queue is no reason to restart the gateway");
    check(&answer, &json!({ "status": "alive", "timestamp": "*time" }), "");
}

#[tokio::test]
async fn a_database_that_does_not_greet_is_unhealthy() {
    // A port that is open, but no database behind it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mysql://{}", listener.local_addr().unwrap());
    let (app, _) = app(0, &[("DATABASE_URL", &url)]).await;
    let (_, answer) = get(&app, "/api/v1/health").await;
    check(
        &answer["services"]["database"],
        &json!({ "status": "unhealthy", "type": "mysql", "connection": "lost" }),
        "",
    );
    let (status, _) = get(&app, "/api/v1/health/readiness").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}

/// Ruling P16: nobody sends, and the circuit still finds its way back.
#[tokio::test]
async fn a_drained_queue_closes_the_circuit_without_traffic() {
    let (app, queue) = app(60_000, &[("DEPTH_INTERVAL_MS", "10")]).await;
    within(Duration::from_secs(5), "the circuit opens", || async { app.circuit.state().as_str() == "OPEN" })
        .await;
    queue.set(0);
    within(Duration::from_secs(5), "the circuit closes", || async {
        app.circuit.state().as_str() == "CLOSED"
    })
    .await;
}

#[tokio::test]
async fn a_rejection_says_why_and_when_to_come_back() {
    let (app, _) = app(44_950, &[("DEPTH_MODE", "request")]).await;
    let request = crate::support::post("application/json", event("batch-operation", 1).to_string());
    let answer =
        tower::ServiceExt::oneshot(backpressure_gateway::http::router(app.clone()), request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let retry_after: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(retry_after >= 1);
    let bytes = axum::body::to_bytes(answer.into_body(), 1 << 16).await.unwrap();
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    let example = json!({
        "success": false, "error": "rejected", "state": "CLOSED", "reason": "shed", "class": "batch-operation",
        "priority": 10, "retryAfterSeconds": retry_after, "message": "*text"
    });
    check(&body, &example, "");
}

#[tokio::test]
async fn a_batch_is_told_of_each_event() {
    for mode in ["atomic", "request", "sampled"] {
        let (app, _) = app(44_950, &[("DEPTH_MODE", mode), ("DEPTH_INTERVAL_MS", "10")]).await;
        within(Duration::from_secs(5), "the depth is known", || async {
            app.circuit.snapshot().last_known_depth == Some(45_000)
        })
        .await;
        let batch =
            json!([event("telemetry-data", 1), event("batch-operation", 2), event("critical-alarm", 3)]);
        let (status, answer) = send(&app, &batch).await;
        assert_eq!(status, StatusCode::MULTI_STATUS, "{mode}");
        let example = json!({ "success": false, "accepted": 2, "rejected": 1 });
        check(&answer, &example, mode);
        assert_eq!(answer["results"][0]["status"], "queued", "{mode}");
        assert_eq!(answer["results"][1]["reason"], "shed", "{mode}");
        assert_eq!(answer["results"][2]["priority"], 1, "{mode}");
    }
}

#[tokio::test]
async fn the_openapi_document_has_every_path_and_is_the_one_in_the_docs() {
    let document: Value = serde_json::from_str(&openapi().to_pretty_json().unwrap()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let documented: Vec<(String, &str)> = paths
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.as_str()))
        })
        .collect();
    let mut promised: Vec<(String, &str)> =
        contract::endpoints::ALL.iter().map(|endpoint| (endpoint.method.to_owned(), endpoint.path)).collect();
    promised.sort_by_key(|(_, path)| *path);
    assert_eq!(documented, promised);
    // The specification's own paths.
    for path in [
        "/api/v1/datastreams",
        "/api/v1/health",
        "/api/v1/health/liveness",
        "/api/v1/health/readiness",
        "/api/v1/metrics/backpressure/reset",
        "/api/v1/metrics/prometheus",
        "/api/v1/metrics/queue",
        "/api/v1/metrics/queue/summary",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    let stored: Value = serde_json::from_str(include_str!("../../../../docs/gateway.openapi.json")).unwrap();
    assert_eq!(document, stored, "run `gateway --openapi > docs/gateway.openapi.json`");
    let (app, _) = app(0, &[]).await;
    assert_eq!(get(&app, "/api/v1/openapi.json").await.1, document);
}
