//! A queue in memory with workers of its own, to try the gateway without Redis. Nothing outlives the process.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use backpressure::Priority;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::{Counts, Enqueued, Job, Memory, Offer, Queue, QueueError, Repeat, WorkerInfo};
use crate::settings::{EmbeddedSettings, IdempotencySettings};

/// The queue.
pub struct EmbeddedQueue {
    shared: Arc<Shared>,
    workers: u32,
    idempotency: IdempotencySettings,
    started: Instant,
    dispatcher: tokio::task::JoinHandle<()>,
}

struct Shared {
    shelves: Mutex<Shelves>,
    filled: Notify,
}

#[derive(Default)]
struct Shelves {
    /// By priority and, within one, by arrival.
    waiting: BTreeMap<(u8, u64), Arc<Job>>,
    active: u64,
    completed: u64,
    added: u64,
    bytes: u64,
    /// Ids of jobs that a client may send again.
    seen: Remembered,
    /// Ids of jobs that the gateway has sent again. They have no client to be refused, so they are not counted against clients.
    again: Remembered,
}

/// Ids, and when they came.
#[derive(Default)]
struct Remembered {
    ids: BTreeSet<String>,
    in_order: VecDeque<(Instant, String)>,
}

impl Remembered {
    fn insert(&mut self, id: &str) {
        if self.ids.insert(id.to_owned()) {
            self.in_order.push_back((Instant::now(), id.to_owned()));
        }
    }

    fn forget(&mut self, window: Duration) {
        let is_over = |(since, _): &(Instant, String)| since.elapsed() > window;
        while self.in_order.front().is_some_and(is_over) {
            if let Some((_, id)) = self.in_order.pop_front() {
                self.ids.remove(&id);
            }
        }
    }
}

impl EmbeddedQueue {
    /// A queue whose workers each do `concurrency` jobs at a time.
    #[must_use]
    pub fn start(settings: EmbeddedSettings, concurrency: u32) -> EmbeddedQueue {
        let shared = Arc::new(Shared { shelves: Mutex::default(), filled: Notify::new() });
        let slots = Arc::new(Semaphore::new((settings.workers * concurrency) as usize));
        let source = shared.clone();
        let dispatcher = tokio::spawn(async move {
            loop {
                // Never closed: this task owns it.
                let Ok(slot) = slots.clone().acquire_owned().await else { return };
                let job = loop {
                    let filled = source.filled.notified();
                    if let Some(job) = source.lock().take() {
                        break job;
                    }
                    filled.await;
                };
                let source = source.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(settings.service_time).await;
                    source.lock().complete(&job);
                    drop(slot);
                });
            }
        });
        EmbeddedQueue {
            shared,
            workers: settings.workers,
            idempotency: settings.idempotency,
            started: Instant::now(),
            dispatcher,
        }
    }
}

impl Drop for EmbeddedQueue {
    fn drop(&mut self) {
        self.dispatcher.abort();
    }
}

impl Shared {
    /// Poison is ignored: no method of [`Shelves`] panics half-way.
    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelves {
    fn depth(&self) -> u64 {
        self.waiting.len() as u64 + self.active
    }

    fn offer(&mut self, offer: &Offer, keys: IdempotencySettings) -> Result<Enqueued, QueueError> {
        let Offer { job, limit, repeat } = offer;
        self.seen.forget(keys.window);
        self.again.forget(keys.window);
        if self.was_added(&job.id, *repeat) {
            return Ok(Enqueued::Duplicate);
        }
        let depth = self.depth();
        if limit.is_some_and(|limit| depth >= limit) {
            return Ok(Enqueued::Refused { depth });
        }
        if self.bytes + size(job) > MOST_BYTES {
            return Err(QueueError::Full(format!("{MOST_BYTES} bytes of jobs")));
        }
        match repeat {
            Repeat::Client if !self.has_room(job.priority, keys.most_keys) => {
                return Ok(Enqueued::TooManyKeys);
            }
            Repeat::Client => self.seen.insert(&job.id),
            Repeat::Again => self.again.insert(&job.id),
            // A call of a function is never without an answer.
            Repeat::Never | Repeat::Gateway => {}
        }
        self.added += 1;
        self.bytes += size(job);
        self.waiting.insert((job.priority.get(), self.added), job.clone());
        Ok(Enqueued::Added { depth })
    }

    /// As in the script of the queue on Redis.
    fn was_added(&self, id: &str, repeat: Repeat) -> bool {
        match repeat {
            Repeat::Never => false,
            Repeat::Gateway => self.again.ids.contains(id),
            Repeat::Client | Repeat::Again => self.again.ids.contains(id) || self.seen.ids.contains(id),
        }
    }

    /// Whether one more key may be remembered; the last eighth is for priority 1.
    fn has_room(&self, priority: Priority, most: u64) -> bool {
        let remembered = self.seen.ids.len() as u64;
        if priority == Priority::MOST_URGENT { remembered < most } else { remembered * 8 < most * 7 }
    }

    fn take(&mut self) -> Option<Arc<Job>> {
        let (_, job) = self.waiting.pop_first()?;
        self.active += 1;
        Some(job)
    }

    fn complete(&mut self, job: &Job) {
        self.active -= 1;
        self.completed += 1;
        self.bytes -= size(job);
    }
}

fn size(job: &Job) -> u64 {
    (job.name.len() + job.data.len() + size_of::<Job>()) as u64
}

#[async_trait]
impl Queue for EmbeddedQueue {
    async fn depth(&self) -> Result<u64, QueueError> {
        Ok(self.shared.lock().depth())
    }

    async fn counts(&self) -> Result<Counts, QueueError> {
        let shelves = self.shared.lock();
        Ok(Counts {
            prioritized: shelves.waiting.len() as u64,
            active: shelves.active,
            completed: shelves.completed,
            completed_total: shelves.completed,
            ..Counts::default()
        })
    }

    async fn enqueue(&self, offers: &[Offer]) -> Vec<Result<Enqueued, QueueError>> {
        let mut shelves = self.shared.lock();
        let outcomes = offers.iter().map(|offer| shelves.offer(offer, self.idempotency)).collect();
        drop(shelves);
        self.shared.filled.notify_one();
        outcomes
    }

    async fn memory(&self) -> Result<Memory, QueueError> {
        Ok(Memory { used: self.shared.lock().bytes, max: MOST_BYTES, evicts: None, is_read_only: false })
    }

    async fn workers(&self) -> Result<Vec<WorkerInfo>, QueueError> {
        let age_seconds = self.started.elapsed().as_secs();
        let worker = |number: u32| WorkerInfo {
            id: number.to_string(),
            name: Some(format!("embedded-{number}")),
            queue: "embedded".to_owned(),
            age_seconds,
            idle_seconds: 0,
        };
        Ok((1..=self.workers).map(worker).collect())
    }

    fn is_connected(&self) -> bool {
        true
    }

    /// Lets the workers empty the queue, as it ends with the process.
    async fn close(&self, patience: Duration) {
        let empty = async {
            while self.shared.lock().depth() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(patience, empty).await.is_err() {
            tracing::error!(
                jobs = self.shared.lock().depth(),
                "jobs in memory are lost at the end of the process"
            );
        }
    }
}

/// Bound of what the waiting jobs take.
const MOST_BYTES: u64 = 512 << 20;
