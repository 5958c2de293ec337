//! Endpoints: the router, and the answers they share. The OpenAPI document comes from the same list as the routes.

mod access;
pub mod admin;
pub mod body;
pub mod budget;
mod connection;
pub mod events;
pub mod health;
pub mod metrics;
mod observe;
pub mod server;

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use axum::Json;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use contract::endpoints;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi as _, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The address of the client.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The request does not say for which host it is, or says several; it is refused where that is observed.
#[derive(Clone, Copy)]
struct BadHost;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Backpressure gateway",
        description = "Event ingestion behind a queue, with admission by depth, priority and memory"
    ),
    modifiers(&Tokens)
)]
struct Document;

struct Tokens;

impl Modify for Tokens {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        for name in ["token", "resetToken"] {
            let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
            components.add_security_scheme(name, SecurityScheme::Http(bearer));
        }
    }
}

/// The routes of a gateway.
pub fn router(app: Arc<App>) -> Router {
    finished(documented().0, app)
}

/// The same routes without the one that takes events.
pub fn admin_router(app: Arc<App>) -> Router {
    finished(for_operators(OpenApiRouter::new()).split_for_parts().0, app)
}

fn finished(router: Router<Arc<App>>, app: Arc<App>) -> Router {
    router
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn(one_host))
        .layer(from_fn_with_state(app.clone(), observe::observe))
        .with_state(app)
}

/// The OpenAPI document of these routes.
#[must_use]
pub fn openapi() -> OpenApi {
    documented().1
}

fn documented() -> (Router<Arc<App>>, OpenApi) {
    let router = OpenApiRouter::with_openapi(Document::openapi()).routes(routes!(events::take_events));
    for_operators(router).split_for_parts()
}

fn for_operators(router: OpenApiRouter<Arc<App>>) -> OpenApiRouter<Arc<App>> {
    router
        .routes(routes!(metrics::queue))
        .routes(routes!(metrics::summary))
        .routes(routes!(metrics::prometheus))
        .routes(routes!(metrics::reset))
        .routes(routes!(health::health))
        .routes(routes!(health::readiness))
        .routes(routes!(health::liveness))
        .routes(routes!(document))
}

/// This document.
#[utoipa::path(get, path = endpoints::OPENAPI.path, tag = "documentation", responses((status = OK, description = "OpenAPI 3.1")))]
async fn document(State(_): State<Arc<App>>) -> Response {
    /// Made once: that takes longer than many other answers.
    static TEXT: LazyLock<String> = LazyLock::new(|| openapi().to_json().expect("the document is JSON"));
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}

/// An error that is only a text.
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

async fn one_host(request: Request, next: Next) -> Response {
    if request.extensions().get::<BadHost>().is_none() {
        return next.run(request).await;
    }
    let mut answer = problem(StatusCode::BAD_REQUEST, "bad_host", "a request has one Host header");
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

async fn no_such_path() -> Response {
    problem(
        StatusCode::NOT_FOUND,
        "not_found",
        format!("no such path; {} lists them", endpoints::OPENAPI.path),
    )
}

async fn no_such_method() -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "the path does not take this method")
}

/// As the specification writes moments: RFC 3339 in UTC, down to the millisecond.
pub(crate) fn timestamp(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::MAX);
    format!("{time:.3}")
}

/// The media type of a request without its parameters, in lower case; `None` if there is none.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::timestamp;

    #[test]
    fn moments_are_cut_to_milliseconds() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_769_000_000_000_000_000, "2026-01-21T12:53:20.000Z"),
            (1_769_000_000_999_999_999, "2026-01-21T12:53:20.999Z"),
            (1_769_000_000_010_000_000, "2026-01-21T12:53:20.010Z"),
        ] {
            assert_eq!(timestamp(SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)), text);
        }
    }
}
