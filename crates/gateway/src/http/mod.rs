//! Endpoints: the router, and the answers they share. The OpenAPI document comes from the same list as the routes.

pub mod events;
pub mod health;
pub mod metrics;
pub mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi as _, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// Whose connection a request came by.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Backpressure gateway",
        description = "Event ingestion behind a queue, with admission by depth, priority and memory"
    ),
    modifiers(&ResetToken)
)]
struct Document;

struct ResetToken;

impl Modify for ResetToken {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("resetToken", SecurityScheme::Http(bearer));
    }
}

/// The routes of a gateway.
pub fn router(app: Arc<App>) -> Router {
    let (router, _) = documented();
    router.fallback(no_such_path).method_not_allowed_fallback(no_such_method).with_state(app)
}

/// The OpenAPI document of these routes.
#[must_use]
pub fn openapi() -> OpenApi {
    documented().1
}

fn documented() -> (Router<Arc<App>>, OpenApi) {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(events::take_events))
        .routes(routes!(metrics::queue))
        .routes(routes!(metrics::summary))
        .routes(routes!(metrics::prometheus))
        .routes(routes!(metrics::reset))
        .routes(routes!(health::health))
        .routes(routes!(health::readiness))
        .routes(routes!(health::liveness))
        .routes(routes!(document))
        .split_for_parts()
}

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "documentation", responses((status = OK, description = "OpenAPI 3.1")))]
async fn document(State(_): State<Arc<App>>) -> Json<OpenApi> {
    Json(openapi())
}

/// An error that has no more to say than its text.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always `false`.
    pub success: bool,
    /// A word for programs.
    #[schema(example = "unsupported_media_type")]
    pub error: &'static str,
    /// A sentence for people.
    pub message: String,
}

/// An answer with a [`Problem`].
fn problem(status: StatusCode, error: &'static str, message: impl Into<String>) -> Response {
    (status, Json(Problem { success: false, error, message: message.into() })).into_response()
}

async fn no_such_path() -> Response {
    problem(StatusCode::NOT_FOUND, "not_found", "no such path; /api/v1/openapi.json lists them")
}

async fn no_such_method() -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "the path does not take this method")
}

/// As the specification writes moments: UTC, with milliseconds.
fn timestamp(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The media type of a request without its parameters, in lower case; `None` if there is none.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}
