//! The server: connections in a bounded number, headers in a bounded time and size, and an end that lets open requests finish.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::{Peer, router};
use crate::app::App;

/// Serves until `stop`, then lets open requests finish for as long as settings allow.
///
/// # Errors
/// None that ends it: an error of one connection is logged, and one of accepting is waited out.
pub async fn serve(app: Arc<App>, listener: TcpListener, stop: impl Future<Output = ()>) -> io::Result<()> {
    let limits = app.settings.limits;
    let router = router(app.clone());
    let places = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await.expect("the places are never closed");
            (listener.accept().await, place)
        };
        let ((stream, address), place) = tokio::select! {
            biased;
            () = &mut stop => break,
            (accepted, place) = accepted => match accepted {
                Ok(accepted) => (accepted, place),
                Err(error) => {
                    // Out of file descriptors, most likely: there will be some when connections close.
                    tracing::error!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(Peer(address));
            router.clone().oneshot(request)
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.keep_alive_timeout)
            .max_headers(MOST_HEADERS)
            .max_buf_size(LONGEST_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, %address, "connection ended");
            }
            drop(place);
        });
    }
    app.is_draining.store(true, Ordering::Relaxed);
    drop(listener);
    let open = graceful.count();
    tracing::info!(open, "draining");
    if tokio::time::timeout(limits.shutdown_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests that are still open are given up");
    }
    app.queue.close(limits.shutdown_timeout).await;
    Ok(())
}

const MOST_HEADERS: usize = 64;
/// Request line and headers, in bytes; also what a connection reads ahead of a body.
const LONGEST_HEAD: usize = 32 << 10;
