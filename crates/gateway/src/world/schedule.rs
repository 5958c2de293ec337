//! One schedule: gateways, clients and faults, in an order that the seed decides.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use backpressure::{Config, KindName, Nanos, Priority, State};
use contract::variables::EMBEDDED_QUEUE;
use serde_json::value::RawValue;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep, timeout};

use crate::access::Access;
use crate::app::App;
use crate::bus::Outcome;
use crate::event::Event;
use crate::monitor;
use crate::queue::line::{Line, LineSettings};
use crate::settings::{DepthMode, Settings};
use crate::spill::simulated::{Random, Simulated as Disk};
use crate::spill::{Spill, SpillOpenError};

use super::invariants::{Entry, Ledger, Sending, data_of};
use super::redis::{Fate, Redis, Shard, Simulated as Queued, Temper};

/// One schedule.
pub(super) struct Run {
    random: Random,
    settings: Arc<Settings>,
    line: LineSettings,
    redis: Redis,
    slots: Vec<Slot>,
    ledger: Rc<RefCell<Ledger>>,
    began: Instant,
    steps: Vec<String>,
}

/// A place for a gateway: its disk outlives it.
struct Slot {
    disk: Disk,
    gateway: Option<Gateway>,
}

struct Gateway {
    app: Arc<App>,
    line: Arc<Line<Shard>>,
    /// What runs in the background.
    tasks: Vec<JoinHandle<()>>,
    keeper: JoinHandle<()>,
    clients: Vec<JoinHandle<()>>,
}

impl Run {
    pub(super) fn new(seed: u64) -> Run {
        let mut random = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let redis = Redis::new(Random(random.below(u64::MAX)));
        let slots = if random.one_in(3) { 2 } else { 1 };
        let slots =
            (0..slots).map(|_| Slot { disk: Disk::new(random.below(u64::MAX)), gateway: None }).collect();
        Run {
            settings: settings(&mut random),
            line: LineSettings {
                sent_events: 8 << random.below(6),
                sent_bytes: 4_000 << random.below(4),
                waiting_events: 64 << random.below(4),
                patience: Duration::from_millis(100 << random.below(5)),
            },
            random,
            redis,
            slots,
            ledger: Rc::default(),
            began: Instant::now(),
            steps: Vec::new(),
        }
    }

    /// Runs it, judges it and tells what happened.
    pub(super) async fn go(mut self) -> String {
        tokio::spawn(self.redis.clone().work());
        for slot in 0..self.slots.len() {
            self.start(slot);
        }
        sleep(Duration::from_millis(20)).await;
        for _ in 0..8 + self.random.below(30) {
            self.step().await;
            self.check_bounds();
        }
        self.heal().await;
        self.drain().await;
        self.judge();
        self.repeat_all().await;
        self.judge();
        self.told()
    }

    async fn step(&mut self) {
        match self.random.below(32) {
            0..=13 => self.send(),
            14..=16 => {
                let time = Duration::from_millis(self.random.below(400));
                sleep(time).await;
            }
            17 => sleep(Duration::from_millis(self.random.below(4000))).await,
            18..=21 => self.upset_redis(),
            22..=24 => self.upset_disk(),
            25..=26 => {
                let slot = self.slot();
                self.crash(slot).await;
                if self.random.one_in(2) {
                    sleep(Duration::from_millis(self.random.below(1000))).await;
                }
                self.start(slot);
            }
            27 => self.roll().await,
            28 => {
                self.redis.lock().heal();
                self.note("redis is well");
            }
            29 => {
                let slot = self.slot();
                self.slots[slot].disk.heal();
                self.note(format!("disk {slot} is well"));
                self.start(slot);
            }
            30 => {
                // Of the clock that the window of keys is measured with.
                let step = self.random.below(40_000);
                let mut state = self.redis.lock();
                state.wall_ms = (state.wall_ms + step).saturating_sub(10_000);
                drop(state);
                self.note(format!("the clock of redis steps by {step} - 10000 ms"));
            }
            _ => self.leave(),
        }
        // Whatever runs gets a few turns, and not always all that it could take.
        for _ in 0..self.random.below(12) {
            tokio::task::yield_now().await;
        }
        if self.random.one_in(2) {
            sleep(Duration::from_millis(self.random.below(60))).await;
        }
    }

    fn upset_redis(&mut self) {
        let kind = self.random.below(12);
        let time = Duration::from_millis(self.random.below(4000));
        let fate = if self.random.one_in(2) { Fate::CutBefore } else { Fate::CutAfter };
        let latency = [5, 50, 300, 700][self.random.below(4) as usize];
        let fill = [10, 86, 90, 97, 100][self.random.below(5) as usize];
        let mut state = self.redis.lock();
        let note = match kind {
            0..=1 => {
                state.cut(fate);
                format!("connections: {fate:?}")
            }
            2 => {
                state.cut(fate);
                state.is_away = true;
                format!("redis is away, connections: {fate:?}")
            }
            3..=5 => {
                state.paused_until = Some(Instant::now() + time);
                format!("redis does nothing for {time:?}")
            }
            6 => {
                state.latency_ms = latency;
                format!("redis takes up to {latency} ms")
            }
            7 => {
                state.temper = Temper::ReadOnly;
                "redis is read-only".to_owned()
            }
            8 => {
                (state.temper, state.fill) = (Temper::Full, 100);
                "redis is full".to_owned()
            }
            9 => {
                state.temper = Temper::Busy;
                "redis is busy".to_owned()
            }
            10 => {
                state.fill = fill;
                format!("memory {fill} %")
            }
            _ => {
                state.are_workers_away = true;
                "the workers are away".to_owned()
            }
        };
        drop(state);
        self.note(note);
    }

    fn upset_disk(&mut self) {
        let slot = self.slot();
        let kind = self.random.below(7);
        let (room, count) = (self.random.below(1500), self.random.below(3));
        let disk = self.slots[slot].disk.clone();
        let note = match kind {
            0..=1 => {
                disk.leave_room(room);
                format!("has room for {room} bytes")
            }
            2 => {
                disk.fail_syncs(1 + count);
                disk.fail_folder_syncs(count);
                format!("fails {} syncs, {count} of the folder", 1 + count)
            }
            3 => {
                disk.set_read_only(true);
                "is read-only".to_owned()
            }
            4 => {
                let time = Duration::from_millis(room * 8);
                disk.hang(Instant::now() + time);
                format!("hangs for {time:?}")
            }
            5 => {
                disk.set_latency(Duration::from_millis(1 + room / 10));
                "is slow".to_owned()
            }
            _ => {
                if count == 0 {
                    // So that no two syncs are at the same moment.
                    disk.set_latency(Duration::from_millis(1 + room / 100));
                    disk.vanish_soon();
                } else {
                    disk.vanish();
                }
                if self.slots[slot].gateway.is_none() {
                    self.lose_folder(slot);
                }
                format!("loses its folder, during a sync: {}", count == 0)
            }
        };
        self.note(format!("disk {slot} {note}"));
    }

    /// A client sends an event or several; some go before they are answered.
    fn send(&mut self) {
        let slot = self.slot();
        let count = match self.random.below(10) {
            0..=5 => 1,
            6..=8 => 2 + self.random.below(20),
            _ => 20 + self.random.below(150),
        };
        let is_urgent = self.random.one_in(3);
        let numbers: Vec<(usize, usize)> = (0..count).map(|_| self.event(slot, is_urgent)).collect();
        let patience = self.random.one_in(10).then(|| Duration::from_millis(self.random.below(700)));
        let span = (numbers.first().map(|first| first.0), numbers.last().map(|last| last.0));
        self.note(format!("{count} events {span:?} to {slot}, urgent: {is_urgent}, patience {patience:?}"));
        self.emit(slot, numbers, patience);
    }

    /// A new event, or one that was sent before: its number, and that of the sending.
    fn event(&mut self, slot: usize, is_urgent: bool) -> (usize, usize) {
        let is_repeat = self.random.one_in(4);
        let among = self.random.below(u64::MAX);
        let new_priority =
            if is_urgent || self.random.one_in(6) { 1 } else { 2 + self.random.below(9) as u8 };
        let is_keyed = self.random.one_in(3);
        let mut ledger = self.ledger.borrow_mut();
        let known: Vec<usize> =
            (0..ledger.events.len()).filter(|n| ledger.events[*n].key.is_some()).collect();
        let number = if is_repeat && !known.is_empty() {
            // Rather one of the last.
            let back = among as usize % known.len().min(12);
            known[known.len() - 1 - back]
        } else {
            let number = ledger.events.len();
            let key = is_keyed.then(|| format!("key {number}"));
            ledger.events.push(Entry { priority: new_priority, key, sendings: Vec::new() });
            number
        };
        let sendings = &mut ledger.events[number].sendings;
        sendings.push(Sending { slot, outcome: None, settled: Instant::now(), is_removed: false });
        (number, sendings.len() - 1)
    }

    fn emit(&mut self, slot: usize, numbers: Vec<(usize, usize)>, patience: Option<Duration>) {
        let events: Vec<Event> = numbers.iter().map(|(number, _)| self.as_sent(*number)).collect();
        let Some(gateway) = &mut self.slots[slot].gateway else { return };
        let (bus, ledger) = (gateway.app.bus.clone(), self.ledger.clone());
        gateway.clients.retain(|client| !client.is_finished());
        gateway.clients.push(spawn_local(async move {
            let answers = bus.emit(events);
            let answers = match patience {
                Some(patience) => timeout(patience, answers).await.ok(),
                None => Some(answers.await),
            };
            let is_single = numbers.len() == 1;
            for ((number, sending), answer) in numbers.into_iter().zip(answers.into_iter().flatten()) {
                ledger.borrow_mut().told(number, sending, answer.outcome, is_single);
            }
        }));
    }

    /// The same each time.
    fn as_sent(&self, number: usize) -> Event {
        let ledger = self.ledger.borrow();
        let entry = &ledger.events[number];
        Event {
            event_type: "event".to_owned(),
            organization: None,
            priority: Some(Priority::try_from(entry.priority).expect("1 to 10")),
            idempotency_key: entry.key.clone(),
            data: RawValue::from_string(data_of(number, number * 7 % 200)).expect("JSON"),
        }
    }

    /// Some clients go without waiting.
    fn leave(&mut self) {
        let slot = self.slot();
        if let Some(gateway) = &mut self.slots[slot].gateway {
            for client in gateway.clients.drain(..) {
                client.abort();
            }
            self.note(format!("the clients of {slot} leave"));
        }
    }

    /// Starts a gateway, if its disk lets it.
    fn start(&mut self, slot: usize) {
        if self.slots[slot].gateway.is_some() {
            return;
        }
        let opened = Spill::simulated(&self.slots[slot].disk, MOST_BYTES, SEGMENT_BYTES);
        let (spill, keep) = match opened {
            Ok(opened) => opened,
            Err(SpillOpenError::InUse(_)) => panic!("nobody has it\n{}", self.told()),
            Err(SpillOpenError::Io(error)) => return self.note(format!("{slot} cannot start: {error}")),
        };
        let instance = self.random.below(u64::MAX);
        let line = Line::start(Shard::new(&self.redis, self.line), self.line);
        let app = Arc::new(app(self.settings.clone(), line.clone(), Arc::new(spill), instance));
        let connected = line.clone();
        let replayed = app.clone();
        let tasks = vec![
            spawn_local(async move { connected.carrier().keep_up().await }),
            spawn_local(monitor::watch_depth(app.clone())),
            spawn_local(monitor::watch_the_rest(app.clone())),
            spawn_local(async move {
                let spill = replayed.spill.as_ref().expect("it has one");
                spill.replay(&*replayed.queue, &replayed.circuit).await;
            }),
        ];
        self.slots[slot].disk.taken_before();
        self.slots[slot].gateway =
            Some(Gateway { app, line, tasks, keeper: spawn_local(keep), clients: Vec::new() });
        self.note(format!("{slot} starts"));
    }

    /// A process ends at once, perhaps because the power is lost.
    async fn crash(&mut self, slot: usize) {
        let is_power_lost = self.random.one_in(2);
        self.note(format!("{slot} crashes, power lost: {is_power_lost}"));
        if let Some(gateway) = self.slots[slot].gateway.take() {
            gateway.line.carrier().kill();
            let all = gateway.clients.into_iter().chain(gateway.tasks).chain([gateway.keeper]);
            let all: Vec<JoinHandle<()>> = all.collect();
            all.iter().for_each(JoinHandle::abort);
            for task in all {
                self.ended(task).await;
            }
        }
        if is_power_lost {
            self.slots[slot].disk.crash();
        }
        self.lose_folder(slot);
    }

    /// The process has ended, and cannot make good that its folder was removed, if it was.
    fn lose_folder(&mut self, slot: usize) {
        if let Some(moment) = self.slots[slot].disk.taken_before() {
            self.ledger.borrow_mut().lose_folder(slot, moment);
        }
    }

    /// A new release starts while the old one drains: it must wait for the folder.
    async fn roll(&mut self) {
        let slot = self.slot();
        let Some(gateway) = self.slots[slot].gateway.take() else { return };
        self.note(format!("{slot} is replaced"));
        if self.slots[slot].disk.contents().contains_key("lock") {
            let second = Spill::simulated(&self.slots[slot].disk, MOST_BYTES, SEGMENT_BYTES);
            assert!(second.is_err(), "two owners\n{}", self.told());
        }
        for client in gateway.clients {
            if timeout(Duration::from_secs(30), client).await.is_err() {
                panic!("a client waits for ever\n{}", self.told());
            }
        }
        gateway.line.carrier().kill();
        gateway.tasks.iter().for_each(JoinHandle::abort);
        for task in gateway.tasks {
            self.ended(task).await;
        }
        drop(gateway.app);
        drop(gateway.line);
        self.ended(gateway.keeper).await;
        self.lose_folder(slot);
        self.start(slot);
    }

    async fn ended(&self, task: JoinHandle<()>) {
        if let Err(error) = timeout(Duration::from_secs(60), task).await.expect("it ends") {
            assert!(error.is_cancelled(), "a task panicked\n{}", self.told());
        }
    }

    fn check_bounds(&self) {
        for slot in &self.slots {
            let files = slot.disk.contents().len();
            assert!(files <= MOST_FILES, "{files} files\n{}", self.told());
            if let Some(gateway) = &slot.gateway {
                let (_, bytes) = gateway.app.spill.as_ref().expect("it has one").backlog();
                assert!(bytes <= MOST_BYTES, "{bytes} bytes in the spill\n{}", self.told());
                let waiting = gateway.line.waiting();
                assert!(waiting <= self.line.waiting_events, "{waiting} events wait\n{}", self.told());
            }
        }
    }

    /// The faults are gone.
    async fn heal(&mut self) {
        self.note("all is well");
        self.redis.lock().heal();
        for slot in 0..self.slots.len() {
            self.slots[slot].disk.heal();
            if self.random.one_in(3) {
                self.crash(slot).await;
            }
            self.start(slot);
            assert!(self.slots[slot].gateway.is_some(), "it starts on a disk that is well\n{}", self.told());
        }
    }

    /// Then all that waits is delivered, and the circuit closes.
    async fn drain(&mut self) {
        let begun = Instant::now();
        loop {
            sleep(Duration::from_millis(250)).await;
            self.check_bounds();
            let states: Vec<(usize, u64, State, bool, usize)> = self.gateways().map(Gateway::waits).collect();
            let depth = self.redis.lock().keys.depth();
            let is_calm =
                |(clients, spilled, state, is_connected, waiting): &(usize, u64, State, bool, usize)| {
                    *clients == 0
                        && *spilled == 0
                        && *state == State::Closed
                        && *is_connected
                        && *waiting == 0
                };
            if depth == 0 && states.iter().all(is_calm) {
                return;
            }
            assert!(
                begun.elapsed() < LONGEST_DRAIN,
                "it does not drain: {depth} jobs in the queue; clients, spilled, circuit, connected, waiting: {states:?}\n{}",
                self.told()
            );
        }
    }

    /// Every key gets its first answer again, although everybody else is refused.
    async fn repeat_all(&mut self) {
        self.redis.lock().fill = 90;
        sleep(Duration::from_millis(450)).await;
        let keyed: Vec<usize> = (0..self.ledger.borrow().events.len())
            .filter(|number| self.ledger.borrow().events[*number].key.is_some())
            .collect();
        self.note(format!("{} keys are repeated", keyed.len()));
        let most = self.line.waiting_events * 7 / 8;
        let slot = self.slot();
        for some in keyed.chunks(most.min(40)) {
            let before: Vec<Option<String>> = some
                .iter()
                .map(|number| {
                    self.ledger.borrow().events[*number].accepted().map(|first| first.job_id.clone())
                })
                .collect();
            let numbers: Vec<(usize, usize)> = some
                .iter()
                .map(|number| {
                    let sendings = &mut self.ledger.borrow_mut().events[*number].sendings;
                    sendings.push(Sending {
                        slot,
                        outcome: None,
                        settled: Instant::now(),
                        is_removed: false,
                    });
                    (*number, sendings.len() - 1)
                })
                .collect();
            self.emit(slot, numbers.clone(), None);
            sleep(Duration::from_secs(3)).await;
            for ((number, sending), first) in numbers.into_iter().zip(before) {
                let outcome = self.ledger.borrow().events[number].sendings[sending].outcome.clone();
                let is_same = match (&first, &outcome) {
                    (Some(id), Some(Outcome::Accepted(accepted))) => accepted.job_id == *id,
                    (Some(_), _) => false,
                    (None, outcome) => outcome.is_some(),
                };
                assert!(is_same, "{number} was told {first:?} first, then {outcome:?}\n{}", self.told());
            }
        }
        self.redis.lock().fill = 10;
        self.drain().await;
    }

    fn judge(&self) {
        if let Err(what) = self.ledger.borrow().judge(&self.redis) {
            panic!("{what}\n{}", self.told());
        }
    }

    fn gateways(&self) -> impl Iterator<Item = &Gateway> {
        self.slots.iter().filter_map(|slot| slot.gateway.as_ref())
    }

    fn slot(&mut self) -> usize {
        self.random.below(self.slots.len() as u64) as usize
    }

    fn note(&mut self, step: impl Into<String>) {
        self.steps.push(format!("{:6} ms  {}", self.began.elapsed().as_millis(), step.into()));
    }

    /// All that happened, and all answers.
    fn told(&self) -> String {
        let mut text = self.steps.join("\n");
        let ledger = self.ledger.borrow();
        for (number, entry) in ledger.events.iter().enumerate() {
            let told: Vec<String> = entry.sendings.iter().map(Sending::told).collect();
            text += &format!("\n#{number} priority {} {:?}: {}", entry.priority, entry.key, told.join(", "));
        }
        text
    }
}

impl Gateway {
    /// Clients, spilled jobs, the circuit, whether it is connected, events that wait.
    fn waits(&self) -> (usize, u64, State, bool, usize) {
        let clients = self.clients.iter().filter(|client| !client.is_finished()).count();
        let spilled = self.app.spill.as_ref().map_or(0, |spill| spill.backlog().0);
        (clients, spilled, self.app.circuit.state(), self.app.queue.is_connected(), self.line.waiting())
    }
}

impl Sending {
    fn told(&self) -> String {
        let outcome = match &self.outcome {
            None => "nothing".to_owned(),
            Some(Outcome::Accepted(accepted)) if accepted.is_spilled => {
                format!("spilled {}", accepted.job_id)
            }
            Some(Outcome::Accepted(accepted)) => format!("accepted {}", accepted.job_id),
            Some(Outcome::Rejected(refusal)) => format!("rejected {}", refusal.reason),
            Some(Outcome::Unknown { job_id }) => format!("unknown {job_id}"),
        };
        format!("{}: {outcome}", self.slot)
    }
}

/// A gateway in front of that line.
fn app(settings: Arc<Settings>, line: Arc<Line<Shard>>, spill: Arc<Spill>, instance: u64) -> App {
    let access = Access::open(None).expect("no file");
    App::of_instance(settings, access, Arc::new(Queued(line)), Some(spill), instance)
}

fn settings(random: &mut Random) -> Arc<Settings> {
    let find = |name: &str| (name == EMBEDDED_QUEUE.name).then(|| "true".to_owned());
    let mut settings = Settings::read(find).expect("they are valid");
    let critical = 60 + random.below(200);
    let kind = if random.one_in(3) { KindName::Graded } else { KindName::Spec };
    let policy = Config::builder()
        .kind(kind)
        .recovery(critical / 4)
        .warning(critical / 2)
        .critical(critical)
        .observe_every(Nanos::from_millis(500));
    settings.policy = policy.build().expect("they are valid");
    settings.depth_mode = match random.below(6) {
        0 => DepthMode::Request,
        1 => DepthMode::Sampled,
        _ => DepthMode::Atomic,
    };
    settings.memory_watermarks_ppm = (850_000, 950_000);
    Arc::new(settings)
}

/// Bound of a journal.
const MOST_BYTES: u64 = 20_000;
const SEGMENT_BYTES: u64 = 2_000;
/// A segment for each start or failure, beside those that are full.
const MOST_FILES: usize = 60;
/// Without faults all that waits is gone after that.
const LONGEST_DRAIN: Duration = Duration::from_secs(60);
