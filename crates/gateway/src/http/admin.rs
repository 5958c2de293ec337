//! The admin port: probes, metrics and reset, where no load on the port for events can starve them.
//!
//! It has a thread and a runtime of its own, and asks Redis on a connection of its own, with a time limit of its own. What it shares
//! with the rest are counters, and locks that are held for microseconds.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::net::TcpListener;

use super::admin_router;
use super::server::Door;
use crate::app::App;
use crate::settings::ConnectionLimits;

/// Serves the admin port until the process ends. The listener is one of tokio's, which do not block.
///
/// # Errors
/// The system has no thread or no timer for it.
pub fn start(app: &Arc<App>, listener: std::net::TcpListener) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let app = app.clone();
    thread::Builder::new().name("admin".to_owned()).spawn(move || runtime.block_on(serve(&app, listener)))?;
    Ok(())
}

async fn serve(app: &App, listener: std::net::TcpListener) {
    let app = Arc::new(match app.queue.reader(PATIENCE) {
        Some(queue) => app.reading(queue),
        None => app.clone(),
    });
    let limits = ConnectionLimits {
        most: MOST_CONNECTIONS,
        most_per_address: MOST_CONNECTIONS,
        ..app.settings.limits.connections
    };
    let door = Door::new("admin", admin_router(app.clone()), limits, &app.metrics);
    match TcpListener::from_std(listener) {
        Ok(listener) => drop(door.serve(listener, std::future::pending()).await),
        Err(error) => tracing::error!(%error, "the admin port cannot be served"),
    }
}

/// For probes, Prometheus and operators.
pub(crate) const MOST_CONNECTIONS: usize = 256;
/// Longest wait for Redis: probes give up after a second.
const PATIENCE: Duration = Duration::from_millis(400);
