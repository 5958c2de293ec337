//! Where accepted priority-1 events wait while Redis cannot take them: the specification's dead letter queue.
//!
//! `journal` is the list on disk. A thread owns it, and a task empties it into the queue. Concurrent appends share one sync. While
//! the spill has jobs, new priority-1 events go behind them, so that events reach the queue in the order of their acceptance.
//! [`command`] is what operators do with the folder of a gateway that does not run.

pub mod command;
mod disk;
mod journal;
mod record;
#[cfg(test)]
mod schedules;
#[cfg(test)]
pub(crate) mod simulated;

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout};

use crate::circuit::{Circuit, Pressure};
use crate::moment::milliseconds;
use crate::queue::{Enqueued, Job, Offer, Queue, Repeat};
use crate::settings::SpillSettings;
use disk::{Disk, Folder};
use journal::{AppendError, Found, Journal, OpenError};

/// The handle to the thread of the journal.
pub struct Spill {
    shared: Arc<Shared>,
    /// Kibibytes of jobs that may still be on their way to the thread: others wait, in order.
    room: Arc<Semaphore>,
}

/// How the spill is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpillState {
    /// Jobs that wait.
    pub jobs: u64,
    /// Their bytes on disk.
    pub bytes: u64,
    /// When the first of them was spilled.
    pub oldest: Option<SystemTime>,
    /// Jobs that the queue has taken since the start.
    pub replayed: u64,
    /// Whether the journal cannot be written or read now, or the disk does not answer.
    pub is_failing: bool,
    /// Damaged places found since the start; the jobs in them are lost.
    pub damaged: u64,
    /// Files that are kept because of damage, until somebody removes them.
    pub damaged_files: u64,
    /// The latest failure of the disk, and when.
    pub last_error: Option<(SystemTime, String)>,
}

/// Why a job was not spilled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpillError {
    /// The journal is full.
    Full,
    /// The disk failed, and the job is not on it.
    Failed,
    /// The disk failed and the job may come back after a crash, or the disk has not answered in time.
    Unknown,
}

/// Why the spill could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SpillOpenError {
    /// Another process uses the folder.
    #[error("another process uses it{}; each gateway needs a folder of its own", .0.map(|number| format!(": number {number}")).unwrap_or_default())]
    InUse(Option<u32>),
    /// The folder cannot be used.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<OpenError> for SpillOpenError {
    fn from(error: OpenError) -> SpillOpenError {
        match error {
            OpenError::InUse(process) => SpillOpenError::InUse(process),
            OpenError::Io(error) => SpillOpenError::Io(error),
        }
    }
}

impl SpillState {
    /// How long the first job has waited.
    #[must_use]
    pub fn oldest_age(&self) -> Duration {
        self.oldest.and_then(|since| since.elapsed().ok()).unwrap_or_default()
    }

    /// Whether nothing waits and nothing is wrong.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.jobs == 0 && !self.is_failing && self.damaged_files == 0
    }
}

/// What handle and thread share.
#[derive(Default)]
struct Shared {
    mail: Mutex<Mail>,
    /// Something is in the mail.
    arrived: Condvar,
    /// The same, for a journal that a task keeps.
    #[cfg(test)]
    rung: Notify,
    state: Mutex<SpillState>,
    /// Since when the thread waits for the disk.
    working_since: Mutex<Option<Instant>>,
    /// As in the state, for those who ask for every event.
    jobs: AtomicU64,
    bytes: AtomicU64,
    /// There are jobs to be replayed.
    filled: Notify,
}

/// What the thread is to do.
#[derive(Default)]
struct Mail {
    appends: VecDeque<Append>,
    /// Of the replay, which has one at a time.
    chore: Option<Chore>,
    is_closed: bool,
}

struct Append {
    payload: String,
    /// Held until the job is written, also if nobody waits for it any more.
    _room: OwnedSemaphorePermit,
    done: oneshot::Sender<Result<(), SpillError>>,
}

enum Chore {
    Peek(oneshot::Sender<io::Result<Vec<Found>>>),
    Take { peeked: Vec<Found>, count: usize, is_kept: bool, done: oneshot::Sender<()> },
}

impl Spill {
    /// Opens the journal and starts its thread.
    ///
    /// # Errors
    /// The folder cannot be used, or another process uses it.
    pub fn open(settings: &SpillSettings) -> Result<Spill, SpillOpenError> {
        let journal = Journal::open(Folder::new(&settings.dir), settings.max_bytes)?;
        Spill::start(journal).map_err(SpillOpenError::Io)
    }

    fn start<D: Disk<File: Send> + Send + 'static>(journal: Journal<D>) -> io::Result<Spill> {
        let (spill, keeper) = Spill::new(journal);
        std::thread::Builder::new().name("spill".to_owned()).spawn(move || keeper.keep())?;
        Ok(spill)
    }

    /// A handle, and what is to do the work.
    fn new<D: Disk>(journal: Journal<D>) -> (Spill, Keeper<D>) {
        let shared = Arc::new(Shared::default());
        let mut keeper = Keeper {
            journal,
            shared: shared.clone(),
            checked: Instant::now(),
            cannot_write: false,
            cannot_read: false,
        };
        keeper.publish();
        (Spill { shared, room: Arc::new(Semaphore::new(ROOM_KIB as usize)) }, keeper)
    }

    /// How it is.
    #[must_use]
    pub fn state(&self) -> SpillState {
        let mut state = self.shared.state().clone();
        let since = *self.shared.working_since();
        if let Some(silence) = since.map(|since| since.elapsed()).filter(|silence| *silence >= PATIENCE) {
            state.is_failing = true;
            let message = format!("the disk has not answered for {} s", silence.as_secs());
            state.last_error = Some((SystemTime::now(), message));
        }
        state
    }

    /// Jobs that wait, and their bytes on disk: the cheap part of [`Self::state`].
    #[must_use]
    pub fn backlog(&self) -> (u64, u64) {
        (self.shared.jobs.load(Ordering::Acquire), self.shared.bytes.load(Ordering::Relaxed))
    }

    /// Writes a job to disk, and syncs. If nobody waits for the answer any more, the job is written all the same.
    ///
    /// # Errors
    /// The job is not on disk, or may be.
    pub async fn append(&self, job: &Job) -> Result<(), SpillError> {
        let kibibytes = u32::try_from((job.name.len() + job.data.len()) / 1024 + 1).unwrap_or(ROOM_KIB);
        let room = self.room.clone().acquire_many_owned(kibibytes.min(ROOM_KIB));
        // Without room it was not sent to the disk.
        let Ok(Ok(room)) = timeout(PATIENCE, room).await else { return Err(SpillError::Failed) };
        let payload = serde_json::to_string(job).map_err(|_| SpillError::Failed)?;
        let (done, answer) = oneshot::channel();
        {
            let mut mail = self.shared.mail();
            if mail.is_closed {
                return Err(SpillError::Failed);
            }
            mail.appends.push_back(Append { payload, _room: room, done });
        }
        self.shared.ring();
        match timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => answer,
            _ => Err(SpillError::Unknown),
        }
    }

    /// Empties the spill into the queue, in order, until the process ends.
    pub async fn replay(&self, queue: &dyn Queue, circuit: &Circuit) {
        loop {
            let filled = self.shared.filled.notified();
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
        self.give(Chore::Peek(done));
        let Ok(Ok(records)) = answer.await else { return false };
        // A record that passed its checksums and cannot be read is of another version: it is kept for people.
        let jobs: Vec<Option<Arc<Job>>> = records
            .iter()
            .map(|record| {
                let job = serde_json::from_str(&record.payload);
                job.inspect_err(|error| tracing::error!(%error, record = record.payload, "a spilled job cannot be read; its file is kept")).ok().map(Arc::new)
            })
            .collect();
        let offer = |job: &Arc<Job>| Offer { job: job.clone(), limit: None, repeat: Repeat::Again };
        let offers: Vec<Offer> = jobs.iter().flatten().map(offer).collect();
        let mut outcomes = queue.enqueue(&offers).await.into_iter();
        // Only jobs before the first failure are removed, to keep the order. The queue recognises the later ones by their ids
        // when they come again.
        let mut count = 0;
        let mut failed = None;
        for job in &jobs {
            // One that cannot be read stays in its file.
            if let Some(job) = job {
                match outcomes.next() {
                    Some(Ok(Enqueued::Added { .. })) => {}
                    Some(Ok(Enqueued::Duplicate)) => {
                        tracing::info!(id = job.id, "a spilled job was in the queue already");
                    }
                    Some(Ok(refused)) => {
                        failed = Some(format!("{refused:?}"));
                        break;
                    }
                    Some(Err(error)) => {
                        failed = Some(error.to_string());
                        break;
                    }
                    None => {
                        failed = Some("no answer".to_owned());
                        break;
                    }
                }
            }
            count += 1;
        }
        if count > 0 {
            let (done, answer) = oneshot::channel();
            let is_kept = jobs[..count].iter().any(Option::is_none);
            self.give(Chore::Take { peeked: records, count, is_kept, done });
            let _ = answer.await;
            tracing::info!(jobs = count, left = self.backlog().0, "spilled jobs replayed");
        }
        match failed {
            Some(error) => {
                tracing::warn!(error, "the queue does not take spilled jobs yet");
                false
            }
            None => true,
        }
    }

    /// Nobody answers if the thread is gone.
    fn give(&self, chore: Chore) {
        let mut mail = self.shared.mail();
        mail.chore = Some(chore).filter(|_| !mail.is_closed);
        drop(mail);
        self.shared.ring();
    }
}

impl Drop for Spill {
    /// The thread writes what it was given, and lets go of the folder.
    fn drop(&mut self) {
        self.shared.mail().is_closed = true;
        self.shared.ring();
    }
}

impl Mail {
    fn is_empty(&self) -> bool {
        self.appends.is_empty() && self.chore.is_none() && !self.is_closed
    }

    /// What is to be done next; `None` at the end.
    fn next(&mut self) -> Option<(Vec<Append>, Option<Chore>)> {
        if self.is_closed && self.appends.is_empty() {
            return None;
        }
        Some((next_appends(&mut self.appends), self.chore.take()))
    }
}

impl Shared {
    fn ring(&self) {
        self.arrived.notify_one();
        #[cfg(test)]
        self.rung.notify_one();
    }

    /// Poison is ignored here and below: nothing is done under the locks that can panic half-way.
    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, SpillState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn working_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.working_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that owns the journal.
struct Keeper<D: Disk> {
    journal: Journal<D>,
    shared: Arc<Shared>,
    /// When it last looked at the folder.
    checked: Instant,
    cannot_write: bool,
    cannot_read: bool,
}

impl<D: Disk> Drop for Keeper<D> {
    /// Whoever waits for an answer gets none, rather than waiting for ever.
    fn drop(&mut self) {
        *self.shared.mail() = Mail { is_closed: true, ..Mail::default() };
        let mut state = self.shared.state();
        state.is_failing = true;
        state.last_error = Some((SystemTime::now(), "the thread of the spill has ended".to_owned()));
    }
}

impl<D: Disk> Keeper<D> {
    fn keep(mut self) {
        while let Some((appends, chore)) = self.wait() {
            *self.shared.working_since() = Some(Instant::now());
            self.turn(appends, chore);
            *self.shared.working_since() = None;
        }
    }

    /// Waits for something to do, or until it is time for a look at the folder.
    fn wait(&self) -> Option<(Vec<Append>, Option<Chore>)> {
        let mut mail = self.shared.mail();
        if mail.is_empty() {
            let wait = CHECK_INTERVAL.saturating_sub(self.checked.elapsed());
            let waited = self.shared.arrived.wait_timeout(mail, wait);
            mail = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        mail.next()
    }

    fn turn(&mut self, appends: Vec<Append>, chore: Option<Chore>) {
        // Before what is new, or a flood of new jobs would keep the old ones where they are.
        if let Some(chore) = chore {
            self.work(chore);
        }
        if !appends.is_empty() {
            self.append(appends);
        }
        if self.checked.elapsed() >= CHECK_INTERVAL {
            self.check();
            self.checked = Instant::now();
        }
    }

    /// Appends all jobs or, if there is no room for all, those that fit.
    fn append(&mut self, appends: Vec<Append>) {
        let payloads: Vec<&str> = appends.iter().map(|append| append.payload.as_str()).collect();
        let now_ms = milliseconds(SystemTime::now());
        let answers: Vec<Result<(), SpillError>> = match self.journal.append(&payloads, now_ms) {
            Err(AppendError::Full) if payloads.len() > 1 => {
                let one_by_one = payloads.iter().map(|payload| self.journal.append(&[payload], now_ms));
                one_by_one.collect::<Vec<_>>().into_iter().map(|result| self.told(result)).collect()
            }
            result => vec![self.told(result); payloads.len()],
        };
        self.publish();
        for (append, answer) in appends.into_iter().zip(answers) {
            let _ = append.done.send(answer);
        }
    }

    fn told(&mut self, result: Result<(), AppendError>) -> Result<(), SpillError> {
        let (error, told) = match result {
            Ok(()) => {
                self.cannot_write = false;
                return Ok(());
            }
            Err(AppendError::Full) => return Err(SpillError::Full),
            Err(AppendError::Failed(error)) => (error, SpillError::Failed),
            Err(AppendError::Unknown(error)) => (error, SpillError::Unknown),
        };
        self.cannot_write = true;
        self.fail("the spill cannot be written", &error);
        Err(told)
    }

    fn work(&mut self, chore: Chore) {
        match chore {
            Chore::Peek(done) => {
                let peeked = self.journal.peek(BATCH, BATCH_BYTES);
                self.cannot_read = peeked.is_err();
                if let Err(error) = &peeked {
                    self.fail("the spill cannot be read", error);
                }
                self.publish();
                let _ = done.send(peeked);
            }
            Chore::Take { peeked, count, is_kept, done } => {
                if is_kept {
                    self.journal.keep_first();
                }
                if let Err(error) = self.journal.take(&peeked, count) {
                    // They are in the queue; after a crash they would be offered again, and recognised.
                    self.cannot_write = true;
                    self.fail("the spill cannot record what was replayed", &error);
                }
                self.shared.state().replayed += count as u64;
                self.publish();
                let _ = done.send(());
            }
        }
    }

    /// Finds out without traffic that the folder is gone, or that it can be written again.
    fn check(&mut self) {
        let checked = if self.cannot_write { self.journal.probe() } else { self.journal.check() };
        self.cannot_write = checked.is_err();
        if let Err(error) = checked {
            self.fail("the folder of the spill cannot be used", &error);
        }
        self.publish();
    }

    fn fail(&self, what: &str, error: &io::Error) {
        let mut state = self.shared.state();
        // Once for each outage, or the log would be full of it.
        if !state.is_failing {
            tracing::error!(%error, "{what}");
        }
        state.is_failing = true;
        state.last_error = Some((SystemTime::now(), format!("{what}: {error}")));
    }

    fn publish(&mut self) {
        let (journal, damage) = (&self.journal, self.journal.damage());
        let jobs = journal.records();
        let mut state = self.shared.state();
        state.jobs = jobs;
        state.bytes = journal.bytes();
        self.shared.bytes.store(state.bytes, Ordering::Relaxed);
        state.oldest = journal.oldest_ms().map(|ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms));
        state.is_failing = self.cannot_write || self.cannot_read;
        state.damaged = damage.places;
        state.damaged_files = damage.files;
        drop(state);
        self.shared.jobs.store(jobs, Ordering::Release);
        if jobs > 0 {
            self.shared.filled.notify_one();
        }
    }
}

/// Jobs that came in during the last sync share the next one.
fn next_appends(waiting: &mut VecDeque<Append>) -> Vec<Append> {
    let mut bytes = 0;
    let fits = |append: &&Append| {
        bytes += append.payload.len();
        bytes <= BATCH_BYTES
    };
    // One that is larger goes alone.
    let count = waiting.iter().take(BATCH).take_while(fits).count().max(1);
    waiting.drain(..count.min(waiting.len())).collect()
}

/// Files of the journal that are open at once.
pub(crate) const MOST_FILES: usize = journal::MOST_OPEN;
/// Most jobs of one sync, or of one call of the queue.
const BATCH: usize = 256;
/// Most of their bytes.
const BATCH_BYTES: usize = 4 << 20;
/// Kibibytes of jobs on their way to the thread.
const ROOM_KIB: u32 = 16 << 10;
/// Longest wait for the disk.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between attempts while the queue takes no jobs.
const PAUSE: Duration = Duration::from_millis(100);
/// Between looks at the folder.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use backpressure::Priority;
    use contract::variables::EMBEDDED_QUEUE;

    use super::*;
    use crate::access::Access;
    use crate::app::App;
    use crate::bus::Outcome;
    use crate::event::{self, Format};
    use crate::queue::embedded::EmbeddedQueue;
    use crate::queue::{Counts, Memory, QueueError, WorkerInfo};
    use crate::settings::Settings;

    /// A folder whose syncs take as long as the test likes.
    struct Slow {
        folder: Folder,
        gate: Arc<Mutex<()>>,
    }

    impl Disk for Slow {
        type File = std::fs::File;

        fn make(&self) -> io::Result<()> {
            self.folder.make()
        }
        fn names(&self) -> io::Result<Vec<String>> {
            self.folder.names()
        }
        fn create(&self, name: &str) -> io::Result<Self::File> {
            self.folder.create(name)
        }
        fn open(&self, name: &str) -> io::Result<Self::File> {
            self.folder.open(name)
        }
        fn length(&self, file: &Self::File) -> io::Result<u64> {
            self.folder.length(file)
        }
        fn read(&self, file: &Self::File, at: u64, into: &mut [u8]) -> io::Result<usize> {
            self.folder.read(file, at, into)
        }
        fn append(&self, file: &Self::File, bytes: &[u8]) -> io::Result<()> {
            self.folder.append(file, bytes)
        }
        fn cut(&self, file: &Self::File, length: u64) -> io::Result<()> {
            self.folder.cut(file, length)
        }
        fn sync(&self, file: &Self::File) -> io::Result<()> {
            drop(self.gate.lock());
            self.folder.sync(file)
        }
        fn is_named(&self, file: &Self::File, name: &str) -> bool {
            self.folder.is_named(file, name)
        }
        fn rename(&self, from: &str, to: &str) -> io::Result<()> {
            self.folder.rename(from, to)
        }
        fn remove(&self, name: &str) -> io::Result<()> {
            self.folder.remove(name)
        }
        fn sync_folder(&self) -> io::Result<()> {
            self.folder.sync_folder()
        }
        fn try_lock(&self, file: &Self::File) -> io::Result<bool> {
            self.folder.try_lock(file)
        }
    }

    /// What becomes of an urgent event of a gateway with that spill.
    async fn emit_urgent(spill: Arc<Spill>) -> Outcome {
        let find = |name: &str| (name == EMBEDDED_QUEUE.name).then(|| "true".to_owned());
        let settings = Arc::new(Settings::read(find).unwrap());
        let queue = Arc::new(EmbeddedQueue::start(settings.embedded, 1));
        let app = App::new(settings, Access::open(None).unwrap(), queue, Some(spill)).unwrap();
        let body = br#"{"type":"critical-alarm","data":1}"#;
        let event = event::parse(body, Format::Json, 1).unwrap().events;
        app.bus.emit(event).await.remove(0).outcome
    }

    fn job(data: &str) -> Job {
        Job {
            id: "g-1".to_owned(),
            name: "critical-alarm".to_owned(),
            data: data.to_owned(),
            priority: Priority::MOST_URGENT,
            timestamp_ms: 0,
        }
    }

    /// A queue that gives the same answer to every job, or no answer.
    struct Stubborn(Option<Enqueued>);

    #[async_trait::async_trait]
    impl Queue for Stubborn {
        async fn depth(&self) -> Result<u64, QueueError> {
            Ok(0)
        }
        async fn counts(&self) -> Result<Counts, QueueError> {
            Ok(Counts::default())
        }
        async fn enqueue(&self, offers: &[Offer]) -> Vec<Result<Enqueued, QueueError>> {
            self.0.map(|answer| vec![Ok(answer); offers.len()]).unwrap_or_default()
        }
        async fn memory(&self) -> Result<Memory, QueueError> {
            Ok(Memory::default())
        }
        async fn workers(&self) -> Result<Vec<WorkerInfo>, QueueError> {
            Ok(Vec::new())
        }
        fn is_connected(&self) -> bool {
            true
        }
        async fn close(&self, _: Duration) {}
    }

    #[tokio::test]
    async fn only_what_is_in_the_queue_leaves_the_spill() {
        let dir = tempfile::tempdir().unwrap();
        let spill = Spill::start(Journal::open(Folder::new(dir.path()), 1 << 20).ok().unwrap()).unwrap();
        spill.append(&job("first")).await.unwrap();
        spill.append(&job("second")).await.unwrap();
        for answer in [None, Some(Enqueued::Refused { depth: 1 }), Some(Enqueued::TooManyKeys)] {
            assert!(!spill.replay_some(&Stubborn(answer)).await, "{answer:?}");
            assert_eq!(spill.backlog().0, 2, "{answer:?}");
        }
        assert!(spill.replay_some(&Stubborn(Some(Enqueued::Duplicate))).await);
        assert_eq!(spill.backlog().0, 0);
    }

    #[tokio::test]
    async fn a_disk_that_hangs_costs_no_more_than_the_patience_and_bounded_memory() {
        let dir = tempfile::tempdir().unwrap();
        let gate = Arc::new(Mutex::new(()));
        let disk = Slow { folder: Folder::new(dir.path()), gate: gate.clone() };
        let spill = Arc::new(Spill::start(Journal::open(disk, 1 << 30).ok().unwrap()).unwrap());
        spill.append(&job("first")).await.unwrap();
        assert!(spill.state().last_error.is_none());
        let hanging = gate.lock();
        let large = job(&"x".repeat(1 << 20));
        // Sent to the disk, because another one waits there.
        let event = emit_urgent(spill.clone());
        // As many as there is room for are sent, the others never.
        let answers = futures_util::future::join_all((0..20).map(|_| spill.append(&large)));
        let (outcome, answers) = tokio::join!(event, answers);
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
        let unknown = answers.iter().filter(|answer| **answer == Err(SpillError::Unknown)).count();
        let failed = answers.iter().filter(|answer| **answer == Err(SpillError::Failed)).count();
        assert!(unknown + failed == 20 && (12..=16).contains(&unknown), "{unknown} unknown, {failed} failed");
        let state = spill.state();
        assert!(state.is_failing && !state.is_healthy());
        assert!(state.last_error.unwrap().1.contains("has not answered"));
        drop(hanging);
        spill.append(&job("after")).await.unwrap();
        assert_eq!(spill.backlog().0, 3 + unknown as u64);
        assert!(!spill.state().is_failing);
    }
}
