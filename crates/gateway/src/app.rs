//! All parts of one gateway, put together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Context;
use backpressure::{Nanos, Snapshot};

use crate::access::Access;
use crate::bus::Bus;
use crate::circuit::Circuit;
use crate::http::budget::Budget;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::settings::Settings;
use crate::spill::Spill;
use crate::status::{Denied, LastSeen, Status};

/// The parts.
#[derive(Clone)]
pub struct App {
    /// As read at the start.
    pub settings: Arc<Settings>,
    /// The policy.
    pub circuit: Arc<Circuit>,
    /// The queue behind the gateway.
    pub queue: Arc<dyn Queue>,
    /// Where priority 1 waits while Redis cannot take it.
    pub spill: Option<Arc<Spill>>,
    /// Takes events.
    pub bus: Arc<Bus>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The latest readings of the monitor.
    pub last_seen: Arc<LastSeen>,
    /// Rejections at the last reset.
    pub rejected_at_reset: Arc<AtomicU64>,
    /// Who may send what.
    pub access: Arc<Access>,
    /// The bytes of bodies in progress.
    pub body_budget: Arc<Budget>,
    /// Whether the process is shutting down.
    pub is_draining: Arc<AtomicBool>,
}

impl App {
    /// Puts the parts together. Nothing runs in the background yet, except the connections of the queue.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn new(
        settings: Arc<Settings>,
        access: Access,
        queue: Arc<dyn Queue>,
        spill: Option<Arc<Spill>>,
    ) -> anyhow::Result<App> {
        // Makes the ids of this instance unique, and spreads its retry hints apart from those of others.
        let instance = getrandom::u64().context("the system has no random numbers")?;
        Ok(App::of_instance(settings, access, queue, spill, instance))
    }

    /// The same with a number that no other instance has.
    pub(crate) fn of_instance(
        settings: Arc<Settings>,
        access: Access,
        queue: Arc<dyn Queue>,
        spill: Option<Arc<Spill>>,
        instance: u64,
    ) -> App {
        let policy = settings.policy.with_jitter_seed(instance);
        let circuit = Arc::new(Circuit::new(policy, settings.memory_watermarks_ppm));
        let metrics = Arc::new(Metrics::new(settings.priorities.keys().map(String::as_str)));
        let bus = Bus::new(
            settings.clone(),
            circuit.clone(),
            queue.clone(),
            spill.clone(),
            metrics.clone(),
            instance,
        );
        App {
            access: Arc::new(access),
            body_budget: Arc::new(Budget::new(
                settings.limits.inflight_bytes,
                settings.limits.body_bytes,
                metrics.inflight(),
            )),
            settings,
            circuit,
            queue,
            spill,
            bus: Arc::new(bus),
            metrics,
            last_seen: Arc::default(),
            rejected_at_reset: Arc::default(),
            is_draining: Arc::default(),
        }
    }

    /// The same gateway, which reads its queue in another way: for the admin port, on a connection of its own.
    #[must_use]
    pub fn reading(&self, queue: Arc<dyn Queue>) -> App {
        App { queue, ..self.clone() }
    }

    /// The present state. Asks the queue.
    pub async fn status(&self) -> Status {
        let counts = self.queue.counts().await;
        if let Err(error) = &counts {
            tracing::debug!(%error, "cannot read the counts of the queue");
        }
        let seen = self.last_seen.get();
        let at_reset = self.rejected_at_reset.load(Ordering::Relaxed);
        Status {
            counts: counts.ok(),
            workers: seen.workers,
            memory: seen.memory,
            denied: Denied { jobs: self.queue.is_denied(), ..seen.denied },
            database: seen.database,
            pressure: self.circuit.pressure(),
            started: self.circuit.wall(Nanos::ZERO),
            circuit: self.circuit.snapshot(),
            policy: self.circuit.policy(),
            rejected: self.metrics.rejected_total().saturating_sub(at_reset),
            spill: self.spill.as_ref().map(|spill| spill.state()),
            worker_concurrency: self.settings.worker_concurrency,
        }
    }

    /// Closes the circuit by hand and restarts the count of rejections.
    pub fn reset(&self) -> Snapshot {
        let rejected = self.metrics.rejected_total();
        self.rejected_at_reset.store(rejected, Ordering::Relaxed);
        self.circuit.reset()
    }
}
