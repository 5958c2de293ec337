//! `/api/v1/metrics/...`: the state of queue and circuit, and the reset.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use contract::endpoints;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Peer, Problem, access, timestamp};
use crate::app::App;
use crate::queue::WorkerInfo;
use crate::spill::SpillState;

/// Everything about the queue.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueMetrics {
    /// Time of the answer, UTC.
    #[schema(example = "2026-01-21T10:30:00.000Z")]
    pub timestamp: String,
    /// The queue; its numbers are `null` while it does not answer.
    pub queue: QueueState,
    /// Its workers.
    pub workers: Workers,
    /// The policy.
    pub backpressure: Backpressure,
    /// Priority-1 events that wait on disk.
    pub spill: SpillAnswer,
}

/// The queue.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueState {
    /// Its BullMQ name.
    pub name: String,
    /// Jobs by state.
    pub counts: Option<CountsAnswer>,
    /// Jobs waiting and active.
    pub total_pending: Option<u64>,
    /// Percent of the critical threshold.
    pub utilization_percent: Option<f64>,
    /// `healthy`, `warning` or `critical`.
    #[schema(example = "healthy")]
    pub health: &'static str,
    /// Whether the queue is paused.
    pub is_paused: Option<bool>,
}

/// Jobs by state.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CountsAnswer {
    /// Jobs that a worker could take.
    pub waiting: u64,
    /// Jobs in service.
    pub active: u64,
    /// Completed jobs that are kept.
    pub completed: u64,
    /// Failed jobs that are kept.
    pub failed: u64,
    /// Jobs that wait for a time.
    pub delayed: u64,
    /// Waiting jobs in BullMQ's `prioritized`.
    pub waiting_prioritized: u64,
    /// Waiting jobs in BullMQ's `paused`.
    pub waiting_paused: u64,
    /// Jobs completed since the queue exists.
    pub completed_total: u64,
}

/// The workers of the queue.
#[derive(Debug, Serialize, ToSchema)]
pub struct Workers {
    /// Number of workers; `null` if the list could not be read.
    pub count: Option<usize>,
    /// The workers, without their addresses.
    pub list: Vec<WorkerInfo>,
}

/// The policy.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backpressure {
    /// Whether it rejects.
    pub enabled: bool,
    /// `CLOSED`, `HALF_OPEN` or `OPEN`.
    #[schema(example = "CLOSED")]
    pub circuit_state: &'static str,
    /// In jobs.
    pub thresholds: Thresholds,
    /// Rejections since the start or the last reset.
    pub rejected_count: u64,
    /// When the circuit entered its state.
    pub last_state_change: String,
    /// Milliseconds since then.
    pub state_age_ms: u64,
}

/// Thresholds, in jobs.
#[derive(Debug, Serialize, ToSchema)]
pub struct Thresholds {
    /// Health becomes `warning`.
    pub warning: u64,
    /// The circuit opens.
    pub critical: u64,
    /// The circuit closes.
    pub recovery: u64,
}

/// The spill.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpillAnswer {
    /// Whether there is one.
    pub enabled: bool,
    /// Jobs in it.
    pub jobs: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Seconds since the first of these jobs was spilled; `null` if there is none.
    pub oldest_age_seconds: Option<u64>,
    /// Jobs that the queue has taken from it since the start.
    pub replayed: u64,
    /// Whether the journal cannot be written or read now.
    pub failing: bool,
    /// Damaged places found since the start; the jobs in them are lost.
    pub damaged: u64,
    /// Files that are kept because of damage, until somebody removes them.
    pub damaged_files: u64,
    /// The latest failure of the disk.
    pub last_error: Option<SpillFailure>,
}

/// A failure of the disk.
#[derive(Debug, Serialize, ToSchema)]
pub struct SpillFailure {
    /// When, UTC.
    pub time: String,
    /// What the system said.
    #[schema(example = "the spill cannot be written: No space left on device (os error 28)")]
    pub message: String,
}

impl SpillAnswer {
    pub(super) fn of(state: Option<&SpillState>) -> SpillAnswer {
        let is_enabled = state.is_some();
        let state = state.cloned().unwrap_or_default();
        SpillAnswer {
            enabled: is_enabled,
            jobs: state.jobs,
            bytes: state.bytes,
            oldest_age_seconds: state.oldest.map(|_| state.oldest_age().as_secs()),
            replayed: state.replayed,
            failing: state.is_failing,
            damaged: state.damaged,
            damaged_files: state.damaged_files,
            last_error: state
                .last_error
                .map(|(time, message)| SpillFailure { time: timestamp(time), message }),
        }
    }
}

/// The queue in five lines.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// `healthy`, `warning` or `critical`.
    #[schema(example = "healthy")]
    pub health: &'static str,
    /// Waiting and active; `null` while the queue does not answer.
    pub queue_depth: Option<u64>,
    /// Number of workers; `null` if the list could not be read.
    pub workers: Option<usize>,
    /// `CLOSED`, `HALF_OPEN` or `OPEN`.
    #[schema(example = "CLOSED")]
    pub circuit_state: &'static str,
    /// Rejections since the start or the last reset.
    pub rejected_count: u64,
}

/// The result of a reset.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResetAnswer {
    /// `true`.
    pub success: bool,
    /// The result in words.
    pub message: &'static str,
    /// The state now.
    pub status: ResetStatus,
}

/// The state after a reset.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResetStatus {
    /// `CLOSED`.
    pub circuit_state: &'static str,
    /// 0.
    pub rejected_count: u64,
}

/// Queue, workers and circuit in detail.
#[utoipa::path(get, path = endpoints::QUEUE.path, tag = "metrics", responses((status = OK, description = "the present state", body = QueueMetrics)))]
pub async fn queue(State(app): State<Arc<App>>) -> Json<QueueMetrics> {
    let status = app.status().await;
    let depth = status.counts.map(|counts| counts.depth());
    let now = app.circuit.now();
    let list = status.workers.clone();
    Json(QueueMetrics {
        timestamp: timestamp(SystemTime::now()),
        queue: QueueState {
            name: app.settings.queue_name.clone(),
            counts: status.counts.map(|counts| CountsAnswer {
                waiting: counts.waiting(),
                active: counts.active,
                completed: counts.completed,
                failed: counts.failed,
                delayed: counts.delayed,
                waiting_prioritized: counts.prioritized,
                waiting_paused: counts.paused,
                completed_total: counts.completed_total,
            }),
            total_pending: depth,
            utilization_percent: depth.map(|depth| percent(depth, status.policy.critical())),
            health: status.health(),
            is_paused: status.counts.map(|counts| counts.is_paused),
        },
        workers: Workers { count: list.as_ref().map(Vec::len), list: list.unwrap_or_default() },
        backpressure: Backpressure {
            enabled: status.policy.enabled(),
            circuit_state: status.circuit.state.as_str(),
            thresholds: Thresholds {
                warning: status.policy.warning(),
                critical: status.policy.critical(),
                recovery: status.policy.recovery(),
            },
            rejected_count: status.rejected,
            last_state_change: timestamp(app.circuit.wall(status.circuit.since)),
            state_age_ms: now.since(status.circuit.since).as_millis(),
        },
        spill: SpillAnswer::of(status.spill.as_ref()),
    })
}

/// The queue in five lines.
#[utoipa::path(get, path = endpoints::SUMMARY.path, tag = "metrics", responses((status = OK, description = "the present state", body = Summary)))]
pub async fn summary(State(app): State<Arc<App>>) -> Json<Summary> {
    let status = app.status().await;
    Json(Summary {
        health: status.health(),
        queue_depth: status.counts.map(|counts| counts.depth()),
        workers: status.workers.as_ref().map(Vec::len),
        circuit_state: status.circuit.state.as_str(),
        rejected_count: status.rejected,
    })
}

/// For Prometheus, text format 0.0.4.
#[utoipa::path(
    get, path = endpoints::PROMETHEUS.path, tag = "metrics",
    responses((status = OK, description = "all metrics", body = String, content_type = "text/plain; version=0.0.4"))
)]
pub async fn prometheus(State(app): State<Arc<App>>) -> Response {
    let text = app.metrics.render(&app.status().await);
    let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, format)], text).into_response()
}

/// Closes the circuit by hand and restarts the count of rejections.
///
/// Needs the token of the settings or, if none is set, a connection from the machine itself, to it by a name of its own.
#[utoipa::path(
    post, path = endpoints::RESET.path, tag = "metrics",
    security((), ("resetToken" = [])),
    responses(
        (status = OK, description = "the circuit is closed", body = ResetAnswer),
        (status = 401, description = "the token is missing or wrong", body = Problem),
        (status = 403, description = "no token is configured, and the request is from elsewhere", body = Problem),
    )
)]
pub async fn reset(
    State(app): State<Arc<App>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Response {
    if let Err(answer) = access::may_reset(&app, peer.map(|Extension(Peer(address))| address), &headers).await
    {
        return answer;
    }
    let snapshot = app.reset();
    Json(ResetAnswer {
        success: true,
        message: "Backpressure manager reset successfully",
        status: ResetStatus { circuit_state: snapshot.state.as_str(), rejected_count: 0 },
    })
    .into_response()
}

/// To a hundredth.
fn percent(depth: u64, critical: u64) -> f64 {
    (depth as f64 / critical as f64 * 10_000.0).round() / 100.0
}
