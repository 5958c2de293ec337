//! `/api/v1/health...`: for people and for Kubernetes.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use backpressure::{Health, State as Circuit};
use contract::endpoints;
use serde::Serialize;
use utoipa::ToSchema;

use super::events::is_draining;
use super::metrics::SpillAnswer;
use super::timestamp;
use crate::app::App;
use crate::circuit::Pressure;
use crate::process;
use crate::status::Status;

/// All services.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthAnswer {
    /// `healthy`, `degraded` (the circuit is open, memory or depth critical, or something is in the spill or wrong with it) or
    /// `unhealthy` (a service does not answer).
    #[schema(example = "healthy")]
    pub status: &'static str,
    /// Time of the answer, UTC.
    pub timestamp: String,
    /// Seconds since the start.
    pub uptime: u64,
    /// The services.
    pub services: Services,
}

/// Each service.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Services {
    /// The database of the workers.
    pub database: DatabaseHealth,
    /// The store of the queue.
    pub redis: RedisHealth,
    /// The queue.
    pub rule_engine_queue: QueueHealth,
    /// Where priority-1 events wait on disk for the queue.
    pub spill: SpillHealth,
    /// This process.
    pub application: ApplicationHealth,
}

/// The database of the workers.
#[derive(Debug, Serialize, ToSchema)]
pub struct DatabaseHealth {
    /// `healthy`, `unhealthy` or `not configured`.
    pub status: &'static str,
    /// `mysql` or `postgres`; `null` when not configured.
    #[serde(rename = "type")]
    pub kind: Option<&'static str>,
    /// `active`, `lost` or `none`.
    pub connection: &'static str,
}

/// The store of the queue.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RedisHealth {
    /// `healthy`, `degraded` (memory above its watermark, it evicts, or the ACL hides something) or `unhealthy` (it does not answer, or
    /// is a replica).
    pub status: &'static str,
    /// `active`, `read-only`, `lost`, or `embedded` without Redis.
    pub connection: &'static str,
    /// What is wrong with a Redis that answers, in words.
    pub problems: Vec<&'static str>,
    /// Bytes in use.
    pub memory_used_bytes: Option<u64>,
    /// Most bytes allowed; 0 for no limit.
    pub memory_max_bytes: Option<u64>,
}

/// The queue.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueHealth {
    /// The same as `health`; `unhealthy` while the queue does not answer.
    pub status: &'static str,
    /// `healthy`, `warning` or `critical`, by the last known depth.
    pub health: &'static str,
    /// Jobs waiting and active.
    pub queue_depth: Option<u64>,
    /// Number of workers.
    pub workers: Option<usize>,
    /// `CLOSED`, `HALF_OPEN` or `OPEN`.
    pub circuit_state: &'static str,
    /// Whether the policy rejects.
    pub backpressure_enabled: bool,
    /// Priority-1 events that wait on disk.
    pub spilled_jobs: u64,
}

/// Where priority-1 events wait on disk for the queue.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpillHealth {
    /// `healthy`, `degraded` (jobs wait, the disk fails, or something was damaged) or `not configured`.
    pub status: &'static str,
    /// What it holds, and what is wrong with it.
    #[serde(flatten)]
    pub state: SpillAnswer,
}

/// This process.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationHealth {
    /// `healthy`, or `draining` while it shuts down.
    pub status: &'static str,
    /// The version of the service, under the specification's name.
    #[schema(example = "backpressure-gateway v0.1.0")]
    pub node_version: &'static str,
    /// The setting ENVIRONMENT.
    #[schema(example = "production")]
    pub environment: String,
    /// Memory of the process; `null` where the system does not report it.
    pub memory: Option<ProcessMemory>,
}

/// Memory of the process, in the specification's words.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessMemory {
    /// Resident bytes.
    #[schema(example = "12.45 MB")]
    pub rss: String,
    /// Resident bytes that no file backs.
    pub heap_used: String,
    /// Bytes of the data segment, resident or not.
    pub heap_total: String,
}

/// Whether the instance should receive traffic.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// `ready` or `not ready`.
    #[schema(example = "ready")]
    pub status: &'static str,
    /// Time of the answer, UTC.
    pub timestamp: String,
    /// Each check.
    pub checks: Checks,
}

/// Each check.
#[derive(Debug, Serialize, ToSchema)]
pub struct Checks {
    /// `ready`, `not ready` or `not configured`.
    pub database: &'static str,
    /// `ready` or `not ready`.
    pub redis: &'static str,
    /// `ready`, or what the circuit admits.
    pub backpressure: &'static str,
}

/// Whether the process is alive.
#[derive(Debug, Serialize, ToSchema)]
pub struct Liveness {
    /// `alive`.
    pub status: &'static str,
    /// Time of the answer, UTC.
    pub timestamp: String,
}

/// All services.
#[utoipa::path(
    get, path = endpoints::HEALTH.path, tag = "health",
    responses(
        (status = OK, description = "healthy or degraded", body = HealthAnswer),
        (status = 503, description = "unhealthy", body = HealthAnswer),
    )
)]
pub async fn health(State(app): State<Arc<App>>) -> Response {
    let status = app.status().await;
    let redis = RedisHealth::of(&app, &status);
    let database = DatabaseHealth::of(&app, &status);
    let queue = QueueHealth::of(&status);
    let spill = SpillHealth::of(&status);
    let is_degraded = status.circuit.state == Circuit::Open
        || spill.status == DEGRADED
        || status.circuit.health == Health::Critical
        || redis.status == DEGRADED;
    let overall = if redis.status == UNHEALTHY || database.status == UNHEALTHY {
        UNHEALTHY
    } else if is_degraded {
        DEGRADED
    } else {
        HEALTHY
    };
    let code = if overall == UNHEALTHY { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let application = ApplicationHealth {
        status: if is_draining(&app) { "draining" } else { HEALTHY },
        node_version: concat!(env!("CARGO_PKG_NAME"), " v", env!("CARGO_PKG_VERSION")),
        environment: app.settings.environment.clone(),
        memory: ProcessMemory::of_this_process(),
    };
    let answer = HealthAnswer {
        status: overall,
        timestamp: timestamp(SystemTime::now()),
        uptime: app.circuit.uptime().as_secs(),
        services: Services { database, redis, rule_engine_queue: queue, spill, application },
    };
    (code, Json(answer)).into_response()
}

/// Whether the instance should receive traffic, by the checks in the settings.
#[utoipa::path(
    get, path = endpoints::READINESS.path, tag = "health",
    responses((status = OK, description = "ready", body = Readiness), (status = 503, description = "not ready", body = Readiness))
)]
pub async fn readiness(State(app): State<Arc<App>>) -> Response {
    let counts = app.settings.readiness;
    let is_read_only = app.last_seen.get().memory.is_some_and(|memory| memory.is_read_only);
    let has_redis = app.queue.is_connected() && !is_read_only && app.queue.depth().await.is_ok();
    let database = app.last_seen.get().database;
    let is_open = app.circuit.state() == Circuit::Open && app.settings.policy.enabled();
    let fails = [
        counts.database && database == Some(false),
        counts.redis && !has_redis,
        counts.backpressure && is_open,
        is_draining(&app),
    ];
    let is_ready = !fails.contains(&true);
    let word = |is_good| if is_good { "ready" } else { "not ready" };
    let answer = Readiness {
        status: word(is_ready),
        timestamp: timestamp(SystemTime::now()),
        checks: Checks {
            database: database.map_or("not configured", word),
            redis: word(has_redis),
            backpressure: match (is_open, counts.backpressure) {
                (false, _) => "ready",
                (true, true) => "circuit open - not accepting traffic",
                (true, false) => "circuit open - accepting priority 1",
            },
        },
    };
    let code = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(answer)).into_response()
}

/// Whether the process is alive. Checks nothing else: a silent queue is no reason to restart the gateway.
#[utoipa::path(get, path = endpoints::LIVENESS.path, tag = "health", responses((status = OK, description = "alive", body = Liveness)))]
pub async fn liveness(State(_): State<Arc<App>>) -> Json<Liveness> {
    Json(Liveness { status: "alive", timestamp: timestamp(SystemTime::now()) })
}

impl DatabaseHealth {
    fn of(app: &App, status: &Status) -> DatabaseHealth {
        let kind = app.settings.database.as_ref().map(|database| database.kind.as_str());
        let (status, connection) = match status.database {
            None => ("not configured", "none"),
            Some(true) => (HEALTHY, "active"),
            Some(false) => (UNHEALTHY, "lost"),
        };
        DatabaseHealth { status, kind, connection }
    }
}

impl RedisHealth {
    fn of(app: &App, status: &Status) -> RedisHealth {
        let evicts = status.memory.as_ref().is_some_and(|memory| memory.evicts.is_some());
        let is_embedded = app.settings.redis.is_none();
        let is_read_only = status.memory.as_ref().is_some_and(|memory| memory.is_read_only);
        let problems = status.problems();
        let (word, connection) = match status.counts {
            None => (UNHEALTHY, "lost"),
            Some(_) if is_read_only => (UNHEALTHY, "read-only"),
            Some(_) if !problems.is_empty() => (DEGRADED, "active"),
            Some(_) if is_embedded => (HEALTHY, "embedded"),
            Some(_) if evicts || app.circuit.pressure() > Pressure::None => (DEGRADED, "active"),
            Some(_) => (HEALTHY, "active"),
        };
        RedisHealth {
            status: word,
            connection,
            problems,
            memory_used_bytes: status.memory.as_ref().map(|memory| memory.used),
            memory_max_bytes: status.memory.as_ref().map(|memory| memory.max),
        }
    }
}

impl QueueHealth {
    fn of(status: &Status) -> QueueHealth {
        QueueHealth {
            status: if status.counts.is_some() { status.health() } else { UNHEALTHY },
            health: status.health(),
            queue_depth: status.counts.map(|counts| counts.depth()),
            workers: status.workers.as_ref().map(Vec::len),
            circuit_state: status.circuit.state.as_str(),
            backpressure_enabled: status.policy.enabled(),
            spilled_jobs: status.spill.as_ref().map_or(0, |spill| spill.jobs),
        }
    }
}

impl SpillHealth {
    fn of(status: &Status) -> SpillHealth {
        let word = match &status.spill {
            None => "not configured",
            Some(spill) if spill.is_healthy() => HEALTHY,
            Some(_) => DEGRADED,
        };
        SpillHealth { status: word, state: SpillAnswer::of(status.spill.as_ref()) }
    }
}

impl ProcessMemory {
    fn of_this_process() -> Option<ProcessMemory> {
        let field =
            |name: &str| process::memory_kib(name).map(|kib| format!("{:.2} MB", kib as f64 / 1024.0));
        Some(ProcessMemory {
            rss: field("VmRSS")?,
            heap_used: field("RssAnon")?,
            heap_total: field("VmData")?,
        })
    }
}

const HEALTHY: &str = "healthy";
const DEGRADED: &str = "degraded";
const UNHEALTHY: &str = "unhealthy";
