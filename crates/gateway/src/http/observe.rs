//! What is known of each request: an id that goes in and out, its time and status by route, and at `debug` why it was refused.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use contract::endpoints;

use crate::app::App;
use crate::metrics::OTHER_ROUTE;

/// Serves a request and notes what became of it.
pub(super) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = id_of(request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut answer = next.run(request).await;
    let route =
        endpoints::ALL.iter().find(|endpoint| endpoint.path == path).map_or(OTHER_ROUTE, |known| known.path);
    let status = answer.status();
    app.metrics.answered(route, status.as_str(), begun.elapsed());
    if status.is_client_error() {
        tracing::debug!(%method, path, status = status.as_u16(), id = ?id, "request refused");
    }
    answer.headers_mut().insert(REQUEST_ID, id);
    answer
}

/// The id of the client, if it is one that a log can take, or a new one.
fn id_of(headers: &HeaderMap) -> HeaderValue {
    let is_good = |id: &&HeaderValue| {
        (1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    headers.get(REQUEST_ID).filter(is_good).cloned().unwrap_or_else(|| {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        static INSTANCE: LazyLock<u64> = LazyLock::new(|| getrandom::u64().unwrap_or_default());
        let id = format!("{:016x}-{:x}", *INSTANCE, NEXT.fetch_add(1, Ordering::Relaxed));
        HeaderValue::try_from(id).expect("hexadecimal digits are a header")
    })
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_ID: usize = 128;
