//! All parts of one gateway, put together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use anyhow::{Context, bail};
use backpressure::{Config, Snapshot};
use tokio::sync::Semaphore;

use crate::bus::Bus;
use crate::circuit::Circuit;
use crate::metrics::Metrics;
use crate::monitor::{self, Monitor};
use crate::queue::embedded::EmbeddedQueue;
use crate::queue::redis::RedisQueue;
use crate::queue::{Counts, Memory, Queue, WorkerInfo};
use crate::settings::Settings;
use crate::spill::Spill;

/// The parts.
pub struct App {
    /// As read at the start.
    pub settings: Arc<Settings>,
    /// The policy.
    pub circuit: Arc<Circuit>,
    /// What is behind the gateway.
    pub queue: Arc<dyn Queue>,
    /// Where priority 1 waits if need be.
    pub spill: Option<Arc<Spill>>,
    /// Where events come in.
    pub bus: Bus,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// What was last seen.
    pub monitor: Monitor,
    /// Rejections at the last reset.
    pub rejected_at_reset: AtomicU64,
    /// Kibibytes of bodies that may still come in.
    pub body_budget: Arc<Semaphore>,
    /// Whether the process is about to end.
    pub is_draining: AtomicBool,
}

/// How things stand.
pub struct Status {
    /// `None` if the queue does not answer.
    pub counts: Option<Counts>,
    /// `None` if they could not be listed.
    pub workers: Option<Vec<WorkerInfo>>,
    /// `None` if it could not be read.
    pub memory: Option<Memory>,
    /// `None` without a database to report on.
    pub database: Option<bool>,
    /// The circuit.
    pub circuit: Snapshot,
    /// The policy's settings.
    pub policy: Config,
    /// Rejections since the last reset.
    pub rejected: u64,
    /// Jobs and bytes in the spill.
    pub spill: (u64, u64),
    /// As configured.
    pub worker_concurrency: u32,
}

impl App {
    /// Puts the parts together and starts what runs in the background. An absent Redis is waited for only a moment.
    ///
    /// # Errors
    /// The spill cannot be opened, or Redis evicts and settings do not allow that.
    pub async fn start(settings: Settings) -> anyhow::Result<Arc<App>> {
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
                        "Redis has maxmemory-policy {policy}: at maxmemory it drops jobs silently, and even the counter of their ids; \
                         set noeviction, or ALLOW_EVICTION=true"
                    );
                }
                Arc::new(queue)
            }
        };
        App::around(settings, queue).await
    }

    /// As [`App::start`], around a queue that is there.
    ///
    /// # Errors
    /// The spill cannot be opened.
    pub async fn around(settings: Arc<Settings>, queue: Arc<dyn Queue>) -> anyhow::Result<Arc<App>> {
        let spill = match &settings.spill {
            None => None,
            Some(spill) => {
                let opened = Spill::open(spill);
                let opened = opened
                    .with_context(|| format!("SPILL_DIR: cannot use the folder {:?}", spill.dir.display()))?;
                if opened.backlog().0 > 0 {
                    tracing::warn!(
                        jobs = opened.backlog().0,
                        "spilled jobs of an earlier run will be replayed"
                    );
                }
                Some(Arc::new(opened))
            }
        };
        let circuit = Arc::new(Circuit::new(settings.policy, settings.memory_watermarks_ppm));
        let metrics = Arc::new(Metrics::default());
        let bus = Bus::new(settings.clone(), circuit.clone(), queue.clone(), spill.clone(), metrics.clone())?;
        let app = Arc::new(App {
            body_budget: Arc::new(Semaphore::new(settings.limits.inflight_bytes.div_ceil(1024))),
            settings,
            circuit,
            queue,
            spill,
            bus,
            metrics,
            monitor: Monitor::default(),
            rejected_at_reset: AtomicU64::new(0),
            is_draining: AtomicBool::new(false),
        });
        monitor::start(&app).await;
        Ok(app)
    }

    /// How things stand now. Asks the queue.
    pub async fn status(&self) -> Status {
        let counts = self.queue.counts().await;
        if let Err(error) = &counts {
            tracing::debug!(%error, "the queue does not tell its counts");
        }
        let seen = self.monitor.seen();
        let at_reset = self.rejected_at_reset.load(std::sync::atomic::Ordering::Relaxed);
        Status {
            counts: counts.ok(),
            workers: seen.workers,
            memory: seen.memory,
            database: seen.database,
            circuit: self.circuit.snapshot(),
            policy: self.circuit.policy(),
            rejected: self.metrics.rejected_total().saturating_sub(at_reset),
            spill: self.spill.as_ref().map_or((0, 0), |spill| spill.backlog()),
            worker_concurrency: self.settings.worker_concurrency,
        }
    }

    /// Closes the circuit by hand and begins the count of rejections anew.
    pub fn reset(&self) -> Snapshot {
        let rejected = self.metrics.rejected_total();
        self.rejected_at_reset.store(rejected, std::sync::atomic::Ordering::Relaxed);
        self.circuit.reset()
    }
}

/// Longest wait for Redis at the start.
const FIRST_PATIENCE: Duration = Duration::from_secs(2);
