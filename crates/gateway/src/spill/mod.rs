//! Where accepted priority-1 events wait while Redis cannot take them: the specification's dead letter queue.
//!
//! `journal` is the list on disk. A thread owns it, and a task empties it into the queue. Concurrent appends share one sync. While
//! the spill has jobs, new priority-1 events go behind them, so that events reach the queue in the order of their acceptance.

mod journal;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use crate::circuit::{Circuit, Pressure};
use crate::queue::{Enqueued, Job, Offer, Queue, Repeat};
use crate::settings::SpillSettings;
use journal::{AppendError, Journal};

/// The handle to the thread of the journal.
pub struct Spill {
    orders: mpsc::SyncSender<Order>,
    backlog: Arc<Backlog>,
}

#[derive(Default)]
struct Backlog {
    jobs: AtomicU64,
    bytes: AtomicU64,
    filled: Notify,
}

/// Why a job was not spilled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpillError {
    /// The journal is full, or too many jobs wait to be written.
    Full,
    /// The disk failed.
    Failed,
}

enum Order {
    Append(Vec<u8>, oneshot::Sender<Result<(), SpillError>>),
    Peek(usize, oneshot::Sender<io::Result<Vec<Vec<u8>>>>),
    Take { records: u64, payload_bytes: u64, done: oneshot::Sender<io::Result<()>> },
}

impl Spill {
    /// Opens the journal and starts its thread.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn open(settings: &SpillSettings) -> io::Result<Spill> {
        let journal = Journal::open(&settings.dir, settings.max_bytes)?;
        let backlog = Arc::new(Backlog::default());
        backlog.update(&journal);
        let (orders, received) = mpsc::sync_channel(MOST_ORDERS);
        let shared = backlog.clone();
        std::thread::Builder::new()
            .name("spill".to_owned())
            .spawn(move || keep(journal, &received, &shared))?;
        Ok(Spill { orders, backlog })
    }

    /// Jobs that wait, and bytes on disk.
    #[must_use]
    pub fn backlog(&self) -> (u64, u64) {
        (self.backlog.jobs.load(Ordering::Acquire), self.backlog.bytes.load(Ordering::Relaxed))
    }

    /// Writes a job to disk, and syncs.
    ///
    /// # Errors
    /// The job is not on disk.
    pub async fn append(&self, job: &Job) -> Result<(), SpillError> {
        let payload = serde_json::to_vec(job).map_err(|_| SpillError::Failed)?;
        let (done, answer) = oneshot::channel();
        self.orders.try_send(Order::Append(payload, done)).map_err(|_| SpillError::Full)?;
        answer.await.unwrap_or(Err(SpillError::Failed))
    }

    /// Empties the spill into the queue, in order, until the process ends.
    pub async fn replay(&self, queue: &dyn Queue, circuit: &Circuit) {
        loop {
            let filled = self.backlog.filled.notified();
            if self.backlog().0 == 0 {
                filled.await;
                continue;
            }
            let can_take = queue.is_connected() && circuit.pressure() < Pressure::Full;
            if !can_take || !self.replay_some(queue).await {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Enqueues the first jobs; whether the queue took all of them.
    async fn replay_some(&self, queue: &dyn Queue) -> bool {
        let (done, answer) = oneshot::channel();
        let records = match self.order(Order::Peek(BATCH, done), answer).await {
            Ok(records) => records,
            Err(error) => {
                tracing::error!(%error, "the spill cannot be read");
                return false;
            }
        };
        // The record passed its checksum, so another version wrote it: it is logged and skipped.
        let jobs: Vec<Option<Arc<Job>>> = records
            .iter()
            .map(|record| {
                let job = serde_json::from_slice(record);
                job.inspect_err(|error| tracing::error!(%error, record = %String::from_utf8_lossy(record), "a spilled job cannot be read")).ok().map(Arc::new)
            })
            .collect();
        let offer = |job: &Arc<Job>| Offer { job: job.clone(), limit: None, repeat: Repeat::Again };
        let offers: Vec<Offer> = jobs.iter().flatten().map(offer).collect();
        let mut outcomes = queue.enqueue(&offers).await.into_iter();
        // Only jobs before the first failure are removed, to keep the order. The queue recognises the later ones by their ids
        // when they come again.
        let mut gone = 0;
        let mut failed = None;
        for job in &jobs {
            match job.as_ref().map(|_| outcomes.next()) {
                Some(Some(Err(error))) => {
                    failed = Some(error);
                    break;
                }
                Some(Some(Ok(Enqueued::Duplicate))) => {
                    tracing::info!("a spilled job was in the queue already");
                }
                _ => {}
            }
            gone += 1;
        }
        if gone > 0 {
            let payload_bytes = records[..gone].iter().map(|record| record.len() as u64).sum();
            let (done, answer) = oneshot::channel();
            let order = Order::Take { records: gone as u64, payload_bytes, done };
            if let Err(error) = self.order(order, answer).await {
                tracing::error!(%error, "the spill cannot record what was replayed");
                return false;
            }
            tracing::info!(jobs = gone, left = self.backlog().0, "spilled jobs replayed");
        }
        match failed {
            Some(error) => {
                tracing::warn!(%error, "the queue does not take spilled jobs yet");
                false
            }
            None => true,
        }
    }

    async fn order<T>(&self, order: Order, answer: oneshot::Receiver<io::Result<T>>) -> io::Result<T> {
        let gone = || io::Error::other("the thread of the spill is busy or gone");
        self.orders.try_send(order).map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl Backlog {
    fn update(&self, journal: &Journal) {
        self.jobs.store(journal.records(), Ordering::Release);
        self.bytes.store(journal.bytes(), Ordering::Relaxed);
        if journal.records() > 0 {
            self.filled.notify_one();
        }
    }
}

/// The thread that owns the journal.
fn keep(mut journal: Journal, orders: &mpsc::Receiver<Order>, backlog: &Backlog) {
    let mut next = orders.recv().ok();
    while let Some(order) = next.take() {
        match order {
            Order::Append(payload, done) => {
                let (mut payloads, mut waiting) = (vec![payload], vec![done]);
                // Jobs that came in during the last sync share the next one.
                while waiting.len() < BATCH {
                    match orders.try_recv() {
                        Ok(Order::Append(payload, done)) => {
                            payloads.push(payload);
                            waiting.push(done);
                        }
                        other => {
                            next = other.ok();
                            break;
                        }
                    }
                }
                let answers = append(&mut journal, &payloads);
                backlog.update(&journal);
                for (done, answer) in waiting.into_iter().zip(answers) {
                    // A sender that gave up has not acknowledged the job; it is enqueued anyway.
                    let _ = done.send(answer);
                }
            }
            Order::Peek(most, done) => drop(done.send(journal.peek(most))),
            Order::Take { records, payload_bytes, done } => {
                let taken = journal.take(records, payload_bytes);
                backlog.update(&journal);
                drop(done.send(taken));
            }
        }
        if next.is_none() {
            next = orders.recv().ok();
        }
    }
}

/// Appends all jobs or, if there is no room for all, those that fit.
fn append(journal: &mut Journal, payloads: &[Vec<u8>]) -> Vec<Result<(), SpillError>> {
    let told = |result| match result {
        Ok(()) => Ok(()),
        Err(AppendError::Full) => Err(SpillError::Full),
        Err(AppendError::Io(error)) => {
            tracing::error!(%error, "the spill cannot be written");
            Err(SpillError::Failed)
        }
    };
    match journal.append(payloads) {
        Err(AppendError::Full) if payloads.len() > 1 => {
            payloads.iter().map(|payload| told(journal.append(std::slice::from_ref(payload)))).collect()
        }
        result => {
            let result = told(result);
            vec![result; payloads.len()]
        }
    }
}

const BATCH: usize = 256;
/// Most jobs that wait to be written.
const MOST_ORDERS: usize = 8192;
/// Between attempts while the queue takes no jobs.
const PAUSE: Duration = Duration::from_millis(100);
