//! `POST /api/v1/datastreams`: events in, answers out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use contract::endpoints;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::body::{Invalid, Unread};
use super::{Problem, body};
use crate::app::App;
use crate::bus::{Accepted, Answer, Outcome};
use crate::event::MOST_WHOLE;
use crate::refusal::Refusal;

/// One event, or at most as many as MAX_BATCH_EVENTS says.
pub struct EventsBody;

impl PartialSchema for EventsBody {
    fn schema() -> RefOr<Schema> {
        let one = Ref::from_schema_name(EventBody::name());
        let several = ArrayBuilder::new().items(one.clone()).min_items(Some(1)).max_items(Some(1000));
        OneOfBuilder::new().item(one).item(several).into()
    }
}

impl ToSchema for EventsBody {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((EventBody::name().into(), EventBody::schema()));
    }
}

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
    #[schema(schema_with = event_type)]
    event_type: String,
    /// The data of the job; passed on byte for byte. Nested at most 64 deep, and with numbers of at most 128 characters.
    #[schema(value_type = Value)]
    data: serde_json::Value,
    /// The organization: text or a whole number.
    #[schema(schema_with = organization)]
    organization_id: Option<String>,
    /// 1 (most urgent) to 10.
    #[schema(minimum = 1, maximum = 10)]
    priority: Option<u8>,
    /// By which a repeated event is known to be the same. For a single event the header `Idempotency-Key` says it too.
    #[schema(min_length = 1, max_length = 255, pattern = "^[ -~]*$")]
    idempotency_key: Option<String>,
}

/// No control characters, and not only spaces.
const NAME_PATTERN: &str =
    r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";

fn name() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(128))
        .pattern(Some(NAME_PATTERN))
}

fn event_type() -> Schema {
    let meaning = "Its type, which decides its priority if `priority` is missing.";
    name().description(Some(meaning)).examples([json!("telemetry-data")]).into()
}

fn organization() -> Schema {
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(MOST_WHOLE));
    let nothing = ObjectBuilder::new().schema_type(Type::Null);
    let any = AnyOfBuilder::new().item(name()).item(number).item(nothing);
    any.description(Some("The organization: text or a whole number.")).examples([json!("org-1")]).into()
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
    /// The event was sent to the queue or to the disk of the spill, which did not answer in time, or its key was and the queue cannot be
    /// asked: it may be there, now or soon.
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

/// The answer to a body of one event, or of several.
#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "documentation")]
pub enum Answers {
    /// Of one.
    One(EventAnswer),
    /// Of several.
    Several(BatchAnswer),
    /// Of a body that was not looked at.
    Unread(Unread),
}

/// Takes one event, an array of events, or one a line.
#[utoipa::path(
    post, path = endpoints::EVENTS.path, tag = "events",
    security((), ("token" = [])),
    request_body(content(
        (EventsBody = "application/json"),
        (String = "application/x-ndjson"),
    )),
    responses(
        (status = 202, description = "accepted: in the queue, or on disk for it", body = Answers),
        (status = 207, description = "several events with different outcomes", body = BatchAnswer),
        (status = 400, description = "the mistakes of the body", body = Invalid),
        (status = 401, description = "the gateway has credentials, and the token is none of them", body = Problem),
        (status = 403, description = "the token is not for this organization, priority or number of events", body = Invalid),
        (status = 408, description = "the body did not come in time", body = Problem),
        (status = 413, description = "the body is too long", body = Problem),
        (status = 415, description = "neither JSON nor NDJSON, or compressed", body = Problem),
        (status = 429, description = "the quota of the organization or of the token is used up", body = Answers),
        (status = 503, description = "rejected; Retry-After says when to come back", body = Answers),
        (status = 504, description = "sent to the queue, which did not answer in time, or its key was and the queue cannot be asked: it may be there", body = Answers),
    )
)]
pub async fn take_events(State(app): State<Arc<App>>, request: Request) -> Response {
    // Held until the answer has been taken, so that neither a slow queue nor slow clients make memory pile up.
    let (body, refusal, share) = match body::read(&app, request).await {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    let begun = Instant::now();
    let answers = app.bus.emit_unless(refusal, body.events).await;
    app.metrics.emitted_in(begun.elapsed());
    share.until_taken(answer(answers, body.is_single))
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
        (0, _, 0) if refusals().all(|refusal| refusal.reason.is_quota()) => StatusCode::TOO_MANY_REQUESTS,
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

pub(super) fn with_retry_after(mut answer: Response, seconds: u64) -> Response {
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
    fn from(Answer { class, priority, is_keyed, outcome }: Answer) -> EventAnswer {
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
                message: if is_keyed { UNKNOWN_KEYED } else { UNKNOWN },
            },
        }
    }
}

const UNKNOWN_KEYED: &str = "the queue, or the disk of the spill, may have the event, but did not answer in time: send it again with the same idempotency key, which makes no second job";
const UNKNOWN: &str = "the queue, or the disk of the spill, may have the event, but did not answer in time: sent again, it may become a second job, as it has no idempotency key";

/// Whether the process is shutting down.
pub(super) fn is_draining(app: &App) -> bool {
    app.is_draining.load(Ordering::Relaxed)
}
