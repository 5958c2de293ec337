//! From settings to a running gateway.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, bail};
use contract::variables::{ALLOW_EVICTION, SPILL_DIR};

use crate::access::Access;
use crate::app::App;
use crate::monitor;
use crate::queue::Queue;
use crate::queue::embedded::EmbeddedQueue;
use crate::queue::redis::RedisQueue;
use crate::settings::Settings;
use crate::spill::{Spill, SpillOpenError};

/// Puts the parts together and starts the background work. Waits for Redis only briefly.
///
/// # Errors
/// The file of credentials or the spill cannot be used, or Redis evicts and settings do not allow that.
pub async fn start(settings: Settings) -> anyhow::Result<Arc<App>> {
    let access = Access::open(settings.credentials.as_deref()).map_err(Error::msg)?;
    start_with(settings, access).await
}

/// As [`start`], with credentials that have been read.
///
/// # Errors
/// The spill cannot be opened, or Redis evicts and settings do not allow that.
pub async fn start_with(settings: Settings, access: Access) -> anyhow::Result<Arc<App>> {
    let settings = Arc::new(settings);
    let queue: Arc<dyn Queue> = match &settings.redis {
        None => Arc::new(EmbeddedQueue::start(settings.embedded, settings.worker_concurrency)),
        Some(redis) => {
            let queue = RedisQueue::start(redis, &settings.queue_name);
            if !queue.wait(FIRST_PATIENCE).await {
                tracing::error!("Redis does not answer; starting without it");
            }
            if let Some(policy) = queue.memory().await.ok().and_then(|memory| memory.evicts)
                && !redis.allow_eviction
            {
                bail!(
                    "Redis has maxmemory-policy {policy}: at maxmemory it silently drops jobs, and even the counter of their ids; \
                     set noeviction, or {}=true",
                    ALLOW_EVICTION.name
                );
            }
            Arc::new(queue)
        }
    };
    around(settings, access, queue).await
}

/// As [`start_with`], around an existing queue.
///
/// # Errors
/// The spill cannot be opened.
pub async fn around(
    settings: Arc<Settings>,
    access: Access,
    queue: Arc<dyn Queue>,
) -> anyhow::Result<Arc<App>> {
    let spill = open_spill(&settings).await?;
    let app = Arc::new(App::new(settings, access, queue, spill)?);
    monitor::start(&app).await;
    Ok(app)
}

/// Waits for the gateway before this one, which may still be draining, to let go of the folder.
async fn open_spill(settings: &Settings) -> anyhow::Result<Option<Arc<Spill>>> {
    let Some(spill) = settings.spill.clone() else { return Ok(None) };
    let dir = spill.dir.display().to_string();
    let begun = Instant::now();
    let opened = loop {
        let attempt = spill.clone();
        // A large journal takes a while to be read.
        let opened = tokio::task::spawn_blocking(move || Spill::open(&attempt)).await?;
        match opened {
            Err(SpillOpenError::InUse(process)) if begun.elapsed() < spill.lock_wait => {
                tracing::debug!(dir, process, "another process uses the folder of the spill");
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            opened => break opened,
        }
    };
    let opened = opened.with_context(|| format!("{}: cannot use the folder {dir:?}", SPILL_DIR.name))?;
    let (jobs, _) = opened.backlog();
    if jobs > 0 {
        tracing::warn!(jobs, "spilled jobs of an earlier run will be replayed");
    }
    Ok(Some(Arc::new(opened)))
}

/// Between attempts while another process holds the folder of the spill.
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// Longest wait for Redis at startup.
const FIRST_PATIENCE: Duration = Duration::from_secs(2);
