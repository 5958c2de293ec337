//! A Redis in memory that does what `enqueue.lua` does, with workers, and connections to it that fail as told.
//!
//! ```text
//! Line<Shard> --> Shard: time limit, reconnects --> a connection: one task that works off commands in order --> Keys
//! ```
//!
//! A connection belongs to Redis and not to the gateway: what was sent is worked off even if the gateway has crashed meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use backpressure::Priority;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::queue::line::{Carrier, Line, LineSettings};
use crate::queue::{Counts, Enqueued, Job, Memory, Offer, Queue, QueueError, Repeat, WorkerInfo};
use crate::spill::simulated::Random;

/// The server; a clone is the same one.
#[derive(Clone)]
pub(super) struct Redis(Arc<Mutex<State>>);

/// The server's mood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Temper {
    Well,
    /// It became a replica.
    ReadOnly,
    /// At maxmemory.
    Full,
    /// Busy with a script, or loading.
    Busy,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    /// It breaks, and what was not worked off is lost.
    CutBefore,
    /// It breaks, and what was sent is worked off all the same, only nobody hears of it.
    CutAfter,
}

/// All of the server.
pub(super) struct State {
    random: Random,
    started: Instant,
    /// The wall clock at the start, milliseconds. Steps change it.
    pub(super) wall_ms: u64,
    pub(super) temper: Temper,
    pub(super) is_away: bool,
    pub(super) paused_until: Option<Instant>,
    /// Longest time for one command, milliseconds.
    pub(super) latency_ms: u64,
    /// Its memory, in hundredths of maxmemory.
    pub(super) fill: u64,
    pub(super) are_workers_away: bool,
    next_connection: u64,
    fates: BTreeMap<u64, Fate>,
    pub(super) keys: Keys,
    /// What must never happen and did.
    pub(super) broken: Vec<String>,
}

/// The keys of one queue.
pub(super) struct Keys {
    generation_ms: u64,
    unanswered_ms: u64,
    most_keys: u64,
    hashes: BTreeSet<String>,
    /// By priority and, within one, by arrival.
    waiting: BTreeMap<(u8, u64), String>,
    active: Vec<String>,
    arrivals: u64,
    /// By set: when it expires, and its ids.
    sent: BTreeMap<String, (u64, BTreeSet<String>)>,
    seen: BTreeMap<u64, (u64, BTreeSet<String>)>,
    /// Every job that was ever added, with its id: more than a Redis remembers.
    pub(super) added: Vec<(String, Arc<Job>)>,
}

type Command = Box<dyn FnOnce(&mut State, bool) + Send>;

impl Redis {
    pub(super) fn new(mut random: Random) -> Redis {
        let most_keys = if random.one_in(8) { 4 + random.below(20) } else { 100_000 };
        let keys = Keys {
            generation_ms: WINDOW_MS / 2,
            unanswered_ms: WINDOW_MS,
            most_keys,
            hashes: BTreeSet::new(),
            waiting: BTreeMap::new(),
            active: Vec::new(),
            arrivals: 0,
            sent: BTreeMap::new(),
            seen: BTreeMap::new(),
            added: Vec::new(),
        };
        Redis(Arc::new(Mutex::new(State {
            started: Instant::now(),
            wall_ms: 1_700_000_000_000 + random.below(WINDOW_MS),
            random,
            temper: Temper::Well,
            is_away: false,
            paused_until: None,
            latency_ms: 1,
            fill: 10,
            are_workers_away: false,
            next_connection: 0,
            fates: BTreeMap::new(),
            keys,
            broken: Vec::new(),
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics under it")
    }

    /// Workers, until the runtime ends.
    pub(super) async fn work(self) {
        loop {
            sleep(WORK).await;
            let mut state = self.lock();
            let is_served = !state.is_away && state.paused_until.is_none_or(|until| until <= Instant::now());
            if is_served && !state.are_workers_away && matches!(state.temper, Temper::Well | Temper::Full) {
                state.keys.work();
            }
        }
    }

    /// Opens a connection, unless nobody listens.
    fn open(&self) -> Option<(u64, UnboundedSender<Command>)> {
        let mut state = self.lock();
        if state.is_away {
            return None;
        }
        state.next_connection += 1;
        let number = state.next_connection;
        state.fates.insert(number, Fate::Open);
        let (wire, mut commands) = mpsc::unbounded_channel::<Command>();
        let redis = self.clone();
        tokio::spawn(async move {
            while let Some(command) = commands.recv().await {
                let latency = redis.lock().latency();
                if !latency.is_zero() {
                    sleep(latency).await;
                }
                while let Some(until) = redis.paused_until() {
                    // By steps, as it may end before.
                    sleep_until(until.min(Instant::now() + Duration::from_millis(250))).await;
                }
                let mut state = redis.lock();
                match state.fates[&number] {
                    Fate::Open => command(&mut state, true),
                    Fate::CutBefore => break,
                    Fate::CutAfter => {
                        command(&mut state, false);
                        while let Ok(command) = commands.try_recv() {
                            command(&mut state, false);
                        }
                        break;
                    }
                }
            }
            redis.lock().fates.remove(&number);
        });
        Some((number, wire))
    }

    fn paused_until(&self) -> Option<Instant> {
        self.lock().paused_until.filter(|until| *until > Instant::now())
    }
}

impl State {
    /// Breaks all connections.
    pub(super) fn cut(&mut self, fate: Fate) {
        for own in self.fates.values_mut().filter(|own| **own == Fate::Open) {
            *own = fate;
        }
    }

    /// All of it works again.
    pub(super) fn heal(&mut self) {
        (self.temper, self.is_away, self.paused_until) = (Temper::Well, false, None);
        (self.latency_ms, self.fill, self.are_workers_away) = (1, 10, false);
    }

    fn latency(&mut self) -> Duration {
        Duration::from_millis(self.random.below(self.latency_ms + 1))
    }

    fn now_ms(&self) -> u64 {
        self.wall_ms + u64::try_from(self.started.elapsed().as_millis()).expect("a short time")
    }

    /// What the script does.
    fn enqueue(&mut self, forgotten: &[String], offers: &[Offer]) -> Result<Vec<Enqueued>, QueueError> {
        if self.temper == Temper::Busy {
            return Err(QueueError::Unavailable("-BUSY".to_owned()));
        }
        let refusal = match self.temper {
            Temper::ReadOnly => Some(QueueError::Unavailable("-READONLY".to_owned())),
            Temper::Full => Some(QueueError::Full("-OOM".to_owned())),
            Temper::Well | Temper::Busy => None,
        };
        let now_ms = self.now_ms();
        let keys = &mut self.keys;
        keys.expire(now_ms);
        let mut answers = Vec::new();
        for offer in offers {
            let answer = keys.judge(offer, now_ms);
            let is_write = matches!(answer, Enqueued::Added { .. })
                || (offer.repeat == Repeat::Again && answer == Enqueued::Duplicate);
            if let Some(refusal) = refusal.clone().filter(|_| is_write) {
                // Nothing was written before it: not even this one.
                return Err(refusal);
            }
            if matches!(answer, Enqueued::Added { .. }) {
                keys.add(offer, now_ms);
            }
            answers.push(answer);
        }
        if let Some(refusal) = refusal.filter(|_| self.temper == Temper::ReadOnly && !forgotten.is_empty()) {
            return Err(refusal);
        }
        for (offer, answer) in offers.iter().zip(&answers) {
            let id = &offer.job.id;
            let is_there = matches!(answer, Enqueued::Added { .. } | Enqueued::Duplicate);
            match offer.repeat {
                Repeat::Gateway if matches!(answer, Enqueued::Added { .. }) => {
                    let set = keys.sent.entry(set_of(id).to_owned()).or_default();
                    set.0 = now_ms + keys.unanswered_ms;
                    set.1.insert(id.clone());
                }
                Repeat::Again if is_there => {
                    keys.see(id, now_ms);
                    keys.forget(id);
                }
                _ => {}
            }
        }
        for id in forgotten {
            keys.forget(id);
        }
        Ok(answers)
    }
}

impl Keys {
    pub(super) fn depth(&self) -> u64 {
        (self.waiting.len() + self.active.len()) as u64
    }

    fn expire(&mut self, now_ms: u64) {
        self.sent.retain(|_, (expires, _)| *expires > now_ms);
        self.seen.retain(|_, (expires, _)| *expires > now_ms);
    }

    fn judge(&self, offer: &Offer, now_ms: u64) -> Enqueued {
        let Offer { job, limit, repeat } = offer;
        let depth = self.depth();
        if self.was_added(&job.id, *repeat, now_ms) {
            return Enqueued::Duplicate;
        }
        if limit.is_some_and(|limit| depth >= limit) {
            return Enqueued::Refused { depth };
        }
        if *repeat == Repeat::Client {
            let remembered: usize = self.generations(now_ms).map(|(_, ids)| ids.len()).sum();
            let is_urgent = job.priority == Priority::MOST_URGENT;
            let most = if is_urgent { self.most_keys as f64 } else { self.most_keys as f64 * 0.875 };
            if remembered as f64 >= most {
                return Enqueued::TooManyKeys;
            }
        }
        Enqueued::Added { depth }
    }

    fn was_added(&self, id: &str, repeat: Repeat, now_ms: u64) -> bool {
        if repeat == Repeat::Never {
            return false;
        }
        if self.generations(now_ms).any(|(_, ids)| ids.contains(id)) {
            return true;
        }
        let is_sent = || self.sent.get(set_of(id)).is_some_and(|(_, ids)| ids.contains(id));
        repeat != Repeat::Gateway && (self.hashes.contains(id) || (repeat == Repeat::Again && is_sent()))
    }

    fn generations(&self, now_ms: u64) -> impl Iterator<Item = &(u64, BTreeSet<String>)> {
        let number = now_ms / self.generation_ms;
        self.seen.range(number - 2..=number + 1).map(|(_, generation)| generation)
    }

    fn add(&mut self, offer: &Offer, now_ms: u64) {
        let job = &offer.job;
        self.hashes.insert(job.id.clone());
        self.arrivals += 1;
        self.waiting.insert((job.priority.get(), self.arrivals), job.id.clone());
        self.added.push((job.id.clone(), job.clone()));
        if offer.repeat == Repeat::Client {
            self.see(&job.id, now_ms);
        }
    }

    fn see(&mut self, id: &str, now_ms: u64) {
        let generation = self.seen.entry(now_ms / self.generation_ms).or_default();
        generation.0 = now_ms + 3 * self.generation_ms;
        generation.1.insert(id.to_owned());
    }

    fn forget(&mut self, id: &str) {
        if let Some((_, ids)) = self.sent.get_mut(set_of(id)) {
            ids.remove(id);
        }
    }

    /// Completes jobs, which are removed, and takes others.
    fn work(&mut self) {
        for id in self.active.drain(..) {
            self.hashes.remove(&id);
        }
        while self.active.len() < CONCURRENCY {
            let Some((_, id)) = self.waiting.pop_first() else { return };
            self.active.push(id);
        }
    }
}

fn set_of(id: &str) -> &str {
    &id[..id.len() - 3]
}

/// What a gateway has of the server: the connection, the lack of it, and the time limit. As `queue::link` and the shard of
/// `queue::redis`.
pub(super) struct Shard {
    redis: Redis,
    settings: LineSettings,
    /// The gateway has crashed: nothing comes through to it any more.
    is_dead: AtomicBool,
    open: Mutex<Option<Open>>,
    heard: Mutex<Instant>,
    lost: Notify,
    answered: Mutex<Vec<String>>,
    /// Calls, events and bytes under way.
    sent: Mutex<(usize, usize, usize)>,
}

#[derive(Clone)]
struct Open {
    number: u64,
    wire: UnboundedSender<Command>,
    since: Instant,
}

impl Shard {
    pub(super) fn new(redis: &Redis, settings: LineSettings) -> Shard {
        Shard {
            redis: redis.clone(),
            settings,
            is_dead: AtomicBool::new(false),
            open: Mutex::default(),
            heard: Mutex::new(Instant::now()),
            lost: Notify::new(),
            answered: Mutex::default(),
            sent: Mutex::default(),
        }
    }

    pub(super) fn kill(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
    }

    /// Reconnects until the gateway ends.
    pub(super) async fn keep_up(&self) {
        loop {
            let mut wait = Duration::from_millis(20);
            let open = loop {
                if let Some(open) = self.connect().await {
                    break open;
                }
                sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(1));
            };
            *self.open.lock().unwrap() = Some(open);
            self.lost.notified().await;
        }
    }

    async fn connect(&self) -> Option<Open> {
        let (number, wire) = self.redis.open()?;
        let (answer, answered) = oneshot::channel();
        let ping: Command = Box::new(move |_, is_heard| {
            if is_heard {
                let _ = answer.send(());
            }
        });
        wire.send(ping).ok()?;
        timeout(TIMEOUT, answered).await.ok()?.ok()?;
        Some(Open { number, wire, since: Instant::now() })
    }

    fn lose(&self, number: u64) {
        let mut open = self.open.lock().unwrap();
        if open.as_ref().is_some_and(|open| open.number == number) {
            *open = None;
            self.lost.notify_one();
        }
    }

    async fn unless_dead(&self) {
        if self.is_dead.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        self.unless_dead().await;
        let Some(Open { number, wire, since }) = self.open.lock().unwrap().clone() else {
            return Err(QueueError::Unavailable("no connection".to_owned()));
        };
        let sent_at = Instant::now();
        let (answer, answered) = oneshot::channel();
        let command: Command = Box::new(move |state, is_heard| {
            let result = work(state);
            if is_heard {
                let _ = answer.send(result);
            }
        });
        // A connection that is broken already takes it as well.
        let _ = wire.send(command);
        drop(wire);
        let result = timeout(TIMEOUT, answered).await;
        self.unless_dead().await;
        match result {
            Ok(Ok(result)) => {
                *self.heard.lock().unwrap() = Instant::now();
                let is_elsewhere = matches!(&result, Err(QueueError::Unavailable(why)) if why == "-READONLY");
                if is_elsewhere && since.elapsed() > Duration::from_millis(500) {
                    self.lose(number);
                }
                result
            }
            Ok(Err(_)) => {
                self.lose(number);
                Err(QueueError::Unknown("the connection broke".to_owned()))
            }
            Err(_) => {
                if *self.heard.lock().unwrap() < sent_at {
                    self.lose(number);
                }
                Err(QueueError::Unknown("no answer in time".to_owned()))
            }
        }
    }

    /// Counts what is under way, and says so if it is too much.
    fn count(&self, offers: &[Offer], is_sent: bool) {
        let bytes: usize = offers.iter().map(|offer| offer.job.name.len() + offer.job.data.len() + 100).sum();
        let mut sent = self.sent.lock().unwrap();
        if is_sent {
            *sent = (sent.0 + 1, sent.1 + offers.len(), sent.2 + bytes);
            let most = &self.settings;
            let is_alone = sent.0 == 1 && offers.len() == 1;
            if !is_alone && (sent.1 > most.sent_events || sent.2 > most.sent_bytes) {
                self.redis.lock().broken.push(format!("under way (calls, events, bytes): {sent:?}"));
            }
        } else {
            *sent = (sent.0 - 1, sent.1 - offers.len(), sent.2 - bytes);
        }
    }
}

#[async_trait]
impl Carrier for Shard {
    async fn carry(&self, offers: &[Offer]) -> Vec<Result<Enqueued, QueueError>> {
        self.count(offers, true);
        let forgotten = std::mem::take(&mut *self.answered.lock().unwrap());
        let (told, own) = (forgotten.clone(), offers.to_vec());
        let result = self.ask(move |state| state.enqueue(&told, &own)).await;
        self.count(offers, false);
        match result {
            Ok(answers) => {
                let is_there =
                    |answer: &Enqueued| matches!(answer, Enqueued::Added { .. } | Enqueued::Duplicate);
                let settled = offers
                    .iter()
                    .zip(&answers)
                    .filter(|(offer, answer)| offer.repeat == Repeat::Gateway && is_there(answer));
                self.answered.lock().unwrap().extend(settled.map(|(offer, _)| offer.job.id.clone()));
                answers.into_iter().map(Ok).collect()
            }
            Err(error) => {
                self.answered.lock().unwrap().extend(forgotten);
                vec![Err(error); offers.len()]
            }
        }
    }
}

/// The queue of a gateway.
pub(super) struct Simulated(pub(super) Arc<Line<Shard>>);

#[async_trait]
impl Queue for Simulated {
    async fn depth(&self) -> Result<u64, QueueError> {
        self.0.carrier().ask(|state| Ok(state.keys.depth())).await
    }

    async fn counts(&self) -> Result<Counts, QueueError> {
        let depth = self.depth().await?;
        Ok(Counts { prioritized: depth, ..Counts::default() })
    }

    async fn enqueue(&self, offers: &[Offer]) -> Vec<Result<Enqueued, QueueError>> {
        self.0.pass(offers.to_vec()).await
    }

    async fn memory(&self) -> Result<Memory, QueueError> {
        let answer = self.0.carrier().ask(|state| Ok((state.fill, state.temper == Temper::ReadOnly)));
        let (used, is_read_only) = answer.await?;
        Ok(Memory { used, max: 100, evicts: None, is_read_only })
    }

    async fn workers(&self) -> Result<Vec<WorkerInfo>, QueueError> {
        let worker = WorkerInfo {
            id: "1".to_owned(),
            name: None,
            queue: "world".to_owned(),
            age_seconds: 1,
            idle_seconds: 0,
        };
        Ok(vec![worker])
    }

    fn is_connected(&self) -> bool {
        self.0.carrier().open.lock().unwrap().is_some()
    }

    async fn close(&self, _: Duration) {}
}

/// For which keys, and ids without an answer, are remembered: longer than a schedule takes.
pub(super) const WINDOW_MS: u64 = 300_000;
const TIMEOUT: Duration = Duration::from_millis(500);
/// How long a job takes, and how many workers do at a time.
const WORK: Duration = Duration::from_millis(50);
const CONCURRENCY: usize = 16;
