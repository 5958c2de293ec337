//! `POST /api/v1/datastreams`: events in, answers out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use contract::endpoints;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Problem, media_type, problem};
use crate::app::App;
use crate::bus::{Accepted, Answer, Outcome};
use crate::event::{self, Format, Mistake};
use crate::refusal::{Refusal, RefusalReason};

/// An event as clients send it.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(
    dead_code,
    reason = "bodies are read by hand, for all their mistakes at once; this is their documentation"
)]
pub struct EventBody {
    /// Its type, which decides its priority if `priority` is missing.
    #[serde(rename = "type")]
    #[schema(example = "telemetry-data", min_length = 1, max_length = 128)]
    event_type: String,
    /// The data of the job; passed on byte for byte.
    #[schema(value_type = Value)]
    data: serde_json::Value,
    /// The organization: text or a whole number.
    #[schema(example = "org-1")]
    organization_id: Option<String>,
    /// 1 (most urgent) to 10.
    #[schema(minimum = 1, maximum = 10)]
    priority: Option<u8>,
}

/// The answer to one event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", untagged)]
pub enum EventAnswer {
    /// The event was accepted.
    Accepted {
        /// `true`.
        success: bool,
        /// The BullMQ id of its job.
        #[serde(rename = "jobId")]
        job_id: String,
        /// `queued`, or `spilled` if the event waits on disk for the queue.
        #[schema(example = "queued")]
        status: &'static str,
        /// Its priority.
        priority: u8,
    },
    /// The event was rejected: it is not in the queue, and will not be.
    Rejected(Rejected),
    /// The event was sent to the queue, which did not answer in time: it may be there, now or soon.
    Unknown {
        /// `false`.
        success: bool,
        /// `unknown`.
        #[schema(example = "unknown")]
        status: &'static str,
        /// The BullMQ id that its job has or would have.
        #[serde(rename = "jobId")]
        job_id: String,
        /// The class of the event: its type, or `other`.
        class: String,
        /// Its priority.
        priority: u8,
        /// What to do.
        message: &'static str,
    },
}

/// A rejection.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rejected {
    /// `false`.
    pub success: bool,
    /// `rejected`.
    pub error: &'static str,
    /// The state of the circuit.
    #[schema(example = "OPEN")]
    pub state: &'static str,
    /// The rule that applied.
    #[schema(example = "open")]
    pub reason: &'static str,
    /// The class of the event: its type, or `other`.
    #[schema(example = "telemetry-data")]
    pub class: String,
    /// Its priority.
    pub priority: u8,
    /// When to come back.
    pub retry_after_seconds: u64,
    /// The reason in words.
    pub message: &'static str,
}

/// The answer to several events.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchAnswer {
    /// Whether all were accepted.
    pub success: bool,
    /// Number of accepted events.
    pub accepted: usize,
    /// Number of rejected events.
    pub rejected: usize,
    /// Number of events of which it is not known whether they are in the queue.
    pub unknown: usize,
    /// The answer to each event, in the order of the events.
    pub results: Vec<EventAnswer>,
}

/// All mistakes of a body.
#[derive(Debug, Serialize, ToSchema)]
pub struct Invalid {
    /// `false`.
    pub success: bool,
    /// `invalid`.
    pub error: &'static str,
    /// The mistakes; nothing was enqueued.
    pub mistakes: Vec<Mistake>,
}

/// Takes one event, an array of events, or one a line.
#[utoipa::path(
    post, path = endpoints::EVENTS.path, tag = "events",
    request_body(content(
        (EventBody = "application/json"),
        (String = "application/x-ndjson"),
    )),
    responses(
        (status = 202, description = "accepted: in the queue, or on disk for it", body = EventAnswer),
        (status = 207, description = "several events with different outcomes", body = BatchAnswer),
        (status = 400, description = "all mistakes of the body", body = Invalid),
        (status = 408, description = "the body did not come in time", body = Problem),
        (status = 413, description = "the body is too long", body = Problem),
        (status = 415, description = "neither JSON nor NDJSON, or compressed", body = Problem),
        (status = 429, description = "the quota of the organization is used up", body = Rejected),
        (status = 503, description = "rejected; Retry-After says when to come back", body = Rejected),
        (status = 504, description = "sent to the queue, which did not answer in time: it may be there", body = EventAnswer),
    )
)]
pub async fn take_events(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let format = match media_type(&parts.headers).as_deref() {
        Some("application/json") => Format::Json,
        Some("application/x-ndjson" | "application/ndjson" | "application/jsonl") => Format::Lines,
        _ => return unsupported("send application/json or application/x-ndjson"),
    };
    if parts.headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return unsupported("send the body without a content encoding");
    }
    // The bytes are held until all events are answered, so that a slow queue cannot make bodies pile up in memory.
    let (body, _budget) = match read(&app, &parts.headers, body).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let body = match event::parse(&body, format, app.settings.limits.batch_events) {
        Ok(body) => body,
        Err(mistakes) => {
            let answer = Invalid { success: false, error: "invalid", mistakes };
            return (StatusCode::BAD_REQUEST, Json(answer)).into_response();
        }
    };
    let begun = Instant::now();
    let answers = app.bus.emit(body.events).await;
    app.metrics.emitted_in(begun.elapsed());
    answer(answers, body.is_single)
}

/// The body, and its share of the bytes in flight.
async fn read(
    app: &App,
    headers: &HeaderMap,
    body: Body,
) -> Result<(axum::body::Bytes, tokio::sync::OwnedSemaphorePermit), Response> {
    let most = app.settings.limits.body_bytes;
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok())
        .unwrap_or(most);
    let too_long = || {
        problem(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            format!("a body has at most {most} bytes"),
        )
    };
    if announced > most {
        return Err(too_long());
    }
    let kibibytes = u32::try_from(announced.div_ceil(1024).max(1)).unwrap_or(u32::MAX);
    let Ok(budget) = app.body_budget.clone().try_acquire_many_owned(kibibytes) else {
        app.metrics.rejected("unread", RefusalReason::Busy);
        let refusal = app.circuit.refuse(RefusalReason::Busy);
        let rejected = Rejected::new("unread".to_owned(), backpressure::Priority::DEFAULT.get(), &refusal);
        return Err(with_retry_after(
            (StatusCode::SERVICE_UNAVAILABLE, Json(rejected)).into_response(),
            refusal.retry_after_seconds(),
        ));
    };
    let bytes = axum::body::to_bytes(body, most);
    match tokio::time::timeout(app.settings.limits.request_timeout, bytes).await {
        Ok(Ok(bytes)) => Ok((bytes, budget)),
        // Apart from errors of the connection, a body can only be too long.
        Ok(Err(_)) => Err(too_long()),
        Err(_) => Err(problem(StatusCode::REQUEST_TIMEOUT, "timeout", "the body did not come in time")),
    }
}

fn unsupported(message: &str) -> Response {
    problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
}

fn answer(mut answers: Vec<Answer>, is_single: bool) -> Response {
    let refusals = || {
        answers.iter().filter_map(|event_answer| match &event_answer.outcome {
            Outcome::Rejected(refusal) => Some(refusal),
            _ => None,
        })
    };
    let retry_after = refusals().map(Refusal::retry_after_seconds).max();
    let rejected = refusals().count();
    let is_unknown = |event_answer: &&Answer| matches!(event_answer.outcome, Outcome::Unknown { .. });
    let unknown = answers.iter().filter(is_unknown).count();
    let accepted = answers.len() - rejected - unknown;
    let status = match (accepted, rejected, unknown) {
        (_, 0, 0) => StatusCode::ACCEPTED,
        (0, _, 0) if refusals().all(|refusal| refusal.reason == RefusalReason::Quota) => {
            StatusCode::TOO_MANY_REQUESTS
        }
        (0, _, 0) => StatusCode::SERVICE_UNAVAILABLE,
        (0, 0, _) => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::MULTI_STATUS,
    };
    let answer = match (is_single, answers.pop()) {
        (true, Some(event_answer)) => (status, Json(EventAnswer::from(event_answer))).into_response(),
        (_, last) => {
            let results: Vec<EventAnswer> = answers.into_iter().chain(last).map(EventAnswer::from).collect();
            let success = accepted == results.len();
            let answer = BatchAnswer { success, accepted, rejected, unknown, results };
            (status, Json(answer)).into_response()
        }
    };
    match retry_after {
        Some(seconds) => with_retry_after(answer, seconds),
        None => answer,
    }
}

fn with_retry_after(mut answer: Response, seconds: u64) -> Response {
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    answer
}

impl Rejected {
    fn new(class: String, priority: u8, refusal: &Refusal) -> Rejected {
        Rejected {
            success: false,
            error: "rejected",
            state: refusal.state.as_str(),
            reason: refusal.reason.as_str(),
            class,
            priority,
            retry_after_seconds: refusal.retry_after_seconds(),
            message: refusal.reason.explanation(),
        }
    }
}

impl From<Answer> for EventAnswer {
    fn from(Answer { class, priority, outcome }: Answer) -> EventAnswer {
        let priority = priority.get();
        match outcome {
            Outcome::Accepted(Accepted { job_id, is_spilled }) => EventAnswer::Accepted {
                success: true,
                job_id,
                status: if is_spilled { "spilled" } else { "queued" },
                priority,
            },
            Outcome::Rejected(refusal) => EventAnswer::Rejected(Rejected::new(class, priority, &refusal)),
            Outcome::Unknown { job_id } => EventAnswer::Unknown {
                success: false,
                status: "unknown",
                job_id,
                class,
                priority,
                message: "the queue did not answer in time and may have the event: send it again with the same idempotency key",
            },
        }
    }
}

/// Whether the process is shutting down.
pub(super) fn is_draining(app: &App) -> bool {
    app.is_draining.load(Ordering::Relaxed)
}
