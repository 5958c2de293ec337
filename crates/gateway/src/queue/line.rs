//! The line in front of one shard: events wait here, and not in a client library or a socket, until the shard has answered what was
//! sent before.
//!
//! ```text
//! requests:  A A A A A A A A          a turn each, 16 events at most
//!            B                  -->   A A A B C C C     -->  at most 4 calls, so many events and bytes --> Redis
//!            C C C                    one call
//! ```
//!
//! So the time limit of a call measures Redis and not the backlog of the gateway; what still waits when its time is up, or when its
//! sender has gone, was never sent and never will be; and who sends one event waits for one turn of the others, not for all they have.
//! Events that come in while calls are under way share the next call, which is cheaper for Redis than one call for each.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Notify;

use super::{Enqueued, Offer, QueueError};

/// Takes calls to a shard.
#[async_trait]
pub trait Carrier: Send + Sync + 'static {
    /// Sends one call, and returns an answer for each offer.
    async fn carry(&self, offers: &[Offer]) -> Vec<Result<Enqueued, QueueError>>;
}

/// Bounds of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineSettings {
    /// Most events that were sent and are not answered.
    pub sent_events: usize,
    /// Most bytes of these, but for a single larger event.
    pub sent_bytes: usize,
    /// Most events that wait.
    pub waiting_events: usize,
    /// Longest time that an event waits.
    pub patience: Duration,
}

/// The line.
pub struct Line<C> {
    carrier: C,
    settings: LineSettings,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// The next turn is that of the first.
    requests: VecDeque<Request>,
    waiting: usize,
    calls: usize,
    events: usize,
    bytes: usize,
}

/// What still waits of one request.
struct Request {
    slip: Arc<Slip>,
    offers: VecDeque<(usize, Offer)>,
}

/// Where the answers to one request are collected.
struct Slip {
    answers: Mutex<Answers>,
    complete: Notify,
}

struct Answers {
    list: Vec<Option<Result<Enqueued, QueueError>>>,
    missing: usize,
}

/// What one call carries.
struct Call {
    offers: Vec<Offer>,
    /// The request and the place in it of each offer.
    places: Vec<(Arc<Slip>, usize)>,
    bytes: usize,
}

impl<C: Carrier> Line<C> {
    /// A line, served until the runtime ends.
    #[must_use]
    pub fn start(carrier: C, settings: LineSettings) -> Arc<Line<C>> {
        let line = Arc::new(Line { carrier, settings, state: Mutex::default(), changed: Notify::new() });
        tokio::spawn(line.clone().serve());
        line
    }

    /// What sends the calls.
    pub fn carrier(&self) -> &C {
        &self.carrier
    }

    /// Events that wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// Offers jobs in order, and waits for all answers. Those for which the line has no room are answered at once.
    pub async fn pass(&self, offers: Vec<Offer>) -> Vec<Result<Enqueued, QueueError>> {
        if offers.is_empty() {
            return Vec::new();
        }
        let slip = Arc::new(Slip::new(offers.len()));
        self.join(offers, &slip);
        let _leaving = Leave { line: self, slip: &slip };
        if tokio::time::timeout(self.settings.patience, slip.filled()).await.is_err() {
            self.leave(&slip);
            // What was sent is answered within the time limit of a call.
            slip.filled().await;
        }
        slip.take()
    }

    fn join(&self, offers: Vec<Offer>, slip: &Arc<Slip>) {
        // The last eighth is for those who send a few.
        let reserve = if offers.len() <= TURN { 0 } else { self.settings.waiting_events / 8 };
        let mut offers: VecDeque<(usize, Offer)> = offers.into_iter().enumerate().collect();
        let mut state = self.lock();
        let room = (self.settings.waiting_events - reserve).saturating_sub(state.waiting);
        let refused = offers.split_off(room.min(offers.len()));
        if !offers.is_empty() {
            state.waiting += offers.len();
            state.requests.push_back(Request { slip: slip.clone(), offers });
        }
        drop(state);
        slip.fill(refused.into_iter().map(|(place, _)| (place, Err(QueueError::Busy))));
        self.changed.notify_one();
    }

    /// Takes a request out of the line.
    fn leave(&self, slip: &Arc<Slip>) {
        let mut state = self.lock();
        let Some(place) = state.requests.iter().position(|request| Arc::ptr_eq(&request.slip, slip)) else {
            return;
        };
        let gone = state.requests.remove(place).expect("it was just found");
        state.waiting -= gone.offers.len();
        drop(state);
        slip.fill(gone.offers.into_iter().map(|(place, _)| (place, Err(QueueError::Busy))));
    }

    /// One task sends all calls, so that they leave in the order in which they were put together.
    async fn serve(self: Arc<Self>) {
        let mut calls = FuturesUnordered::new();
        loop {
            while let Some(call) = self.next_call() {
                calls.push(self.carry(call));
                // A call is written when it is first polled.
                while let Some(Some(())) = calls.next().now_or_never() {}
            }
            tokio::select! {
                // In a fixed order, so that the simulated world is the same each time.
                biased;
                Some(()) = calls.next() => {}
                () = self.changed.notified() => {}
            }
        }
    }

    async fn carry(&self, call: Call) {
        let answers = self.carrier.carry(&call.offers).await;
        let mut state = self.lock();
        state.calls -= 1;
        state.events -= call.offers.len();
        state.bytes -= call.bytes;
        drop(state);
        for ((slip, place), answer) in call.places.iter().zip(answers) {
            slip.fill([(*place, answer)]);
        }
    }

    /// The next call, if there is something to send and room for it.
    fn next_call(&self) -> Option<Call> {
        let mut state = self.lock();
        if state.calls >= MOST_CALLS || state.waiting == 0 {
            return None;
        }
        let events = CALL_EVENTS.min(self.settings.sent_events.saturating_sub(state.events));
        let bytes = CALL_BYTES.min(self.settings.sent_bytes.saturating_sub(state.bytes));
        let is_alone = state.calls == 0;
        let mut call = Call { offers: Vec::new(), places: Vec::new(), bytes: 0 };
        'turns: while let Some(mut request) = state.requests.pop_front() {
            for _ in 0..TURN {
                let Some((_, offer)) = request.offers.front() else { break };
                let size = size(offer);
                // An event larger than every bound goes when nothing else is under way.
                let fits = is_alone && call.offers.is_empty()
                    || call.offers.len() < events && call.bytes + size <= bytes;
                if !fits {
                    state.requests.push_front(request);
                    break 'turns;
                }
                let (place, offer) = request.offers.pop_front().expect("it was just looked at");
                call.bytes += size;
                call.offers.push(offer);
                call.places.push((request.slip.clone(), place));
            }
            if !request.offers.is_empty() {
                state.requests.push_back(request);
            }
        }
        if call.offers.is_empty() {
            return None;
        }
        state.waiting -= call.offers.len();
        state.calls += 1;
        state.events += call.offers.len();
        state.bytes += call.bytes;
        Some(call)
    }

    /// Poison is ignored: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a request out of the line when its sender stops waiting.
struct Leave<'a, C: Carrier> {
    line: &'a Line<C>,
    slip: &'a Arc<Slip>,
}

impl<C: Carrier> Drop for Leave<'_, C> {
    fn drop(&mut self) {
        if !self.slip.is_filled() {
            self.line.leave(self.slip);
        }
    }
}

impl Slip {
    fn new(events: usize) -> Slip {
        Slip {
            answers: Mutex::new(Answers { list: vec![None; events], missing: events }),
            complete: Notify::new(),
        }
    }

    fn fill(&self, answers: impl IntoIterator<Item = (usize, Result<Enqueued, QueueError>)>) {
        let mut own = self.lock();
        for (place, answer) in answers {
            own.list[place] = Some(answer);
            own.missing -= 1;
        }
        if own.missing == 0 {
            self.complete.notify_one();
        }
    }

    fn is_filled(&self) -> bool {
        self.lock().missing == 0
    }

    async fn filled(&self) {
        while !self.is_filled() {
            self.complete.notified().await;
        }
    }

    fn take(&self) -> Vec<Result<Enqueued, QueueError>> {
        let list = std::mem::take(&mut self.lock().list);
        list.into_iter().map(|answer| answer.expect("it is filled")).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of an offer in a call, roughly.
fn size(offer: &Offer) -> usize {
    offer.job.name.len() + offer.job.data.len() + 100
}

/// Events that a request may send before it is the turn of the next.
const TURN: usize = 16;
/// Most events of a call: about 0.7 milliseconds of Redis, which does nothing else meanwhile.
const CALL_EVENTS: usize = 128;
/// Most bytes of a call, but for a single larger event.
const CALL_BYTES: usize = 256 << 10;
/// Enough for Redis to have a next call while an answer travels; with more, events would wait where they cannot be called back.
const MOST_CALLS: usize = 4;

#[cfg(test)]
mod tests {
    use backpressure::Priority;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::queue::{Job, Repeat};

    /// Answers a call when it is allowed to.
    struct Hand {
        calls: Mutex<Vec<Vec<String>>>,
        allowed: Semaphore,
    }

    #[async_trait]
    impl Carrier for Hand {
        async fn carry(&self, offers: &[Offer]) -> Vec<Result<Enqueued, QueueError>> {
            let ids = offers.iter().map(|offer| offer.job.id.clone()).collect();
            self.calls.lock().unwrap().push(ids);
            self.allowed.acquire().await.unwrap().forget();
            vec![Ok(Enqueued::Duplicate); offers.len()]
        }
    }

    fn line(change: impl FnOnce(&mut LineSettings)) -> Arc<Line<Hand>> {
        let mut settings = LineSettings {
            sent_events: 512,
            sent_bytes: 1 << 20,
            waiting_events: 10_000,
            patience: Duration::from_secs(10),
        };
        change(&mut settings);
        Line::start(Hand { calls: Mutex::default(), allowed: Semaphore::new(0) }, settings)
    }

    fn offers(name: &str, number: usize) -> Vec<Offer> {
        let job = |number| Job {
            id: format!("{name}{number}"),
            name: String::new(),
            data: String::new(),
            priority: Priority::DEFAULT,
            timestamp_ms: 0,
        };
        let offer = |number| Offer { job: Arc::new(job(number)), limit: None, repeat: Repeat::Never };
        (0..number).map(offer).collect()
    }

    impl Line<Hand> {
        fn sent(&self) -> Vec<String> {
            self.carrier.calls.lock().unwrap().concat()
        }

        async fn until(&self, is_so: impl Fn(&Self) -> bool) {
            let waiting = async {
                while !is_so(self) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("in time");
        }

        fn begin(
            self: &Arc<Self>,
            offers: Vec<Offer>,
        ) -> tokio::task::JoinHandle<Vec<Result<Enqueued, QueueError>>> {
            let line = self.clone();
            tokio::spawn(async move { line.pass(offers).await })
        }
    }

    #[tokio::test]
    async fn a_single_event_waits_for_one_turn_of_a_batch() {
        let line = line(|_| {});
        let batch = line.begin(offers("a", 1000));
        line.until(|line| line.sent().len() == 512).await;
        let single = line.begin(offers("b", 1));
        line.until(|line| line.lock().waiting == 1000 - 512 + 1).await;
        line.carrier.allowed.add_permits(1);
        line.until(|line| line.sent().contains(&"b0".to_owned())).await;
        let place = line.sent().iter().position(|id| id == "b0").unwrap();
        assert!(place <= 512 + TURN, "after the calls that were under way and one turn: {place}");
        line.carrier.allowed.add_permits(1000);
        assert_eq!(single.await.unwrap(), [Ok(Enqueued::Duplicate)]);
        assert_eq!(batch.await.unwrap().len(), 1000);
        let sent: Vec<String> = line.sent().into_iter().filter(|id| id != "b0").collect();
        let expected: Vec<String> = (0..1000).map(|number| format!("a{number}")).collect();
        assert_eq!(sent, expected, "in order, each once");
    }

    #[tokio::test]
    async fn no_more_is_sent_than_the_bounds_allow() {
        for (events, bytes, expected) in [(10, 1 << 20, 10), (512, 1000, 10), (512, 50, 1)] {
            let line = line(|settings| (settings.sent_events, settings.sent_bytes) = (events, bytes));
            let batch = line.begin(offers("a", 200));
            line.until(|line| line.sent().len() >= expected).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert_eq!(line.sent().len(), expected, "{events} events, {bytes} bytes");
            line.carrier.allowed.add_permits(1000);
            batch.await.unwrap();
            assert_eq!(line.sent().len(), 200);
        }
    }

    #[tokio::test]
    async fn what_waited_too_long_is_never_sent() {
        let line = line(|settings| {
            (settings.sent_events, settings.patience) = (1, Duration::from_millis(20));
        });
        let two = line.begin(offers("a", 2));
        line.until(|line| line.sent().len() == 1 && line.lock().waiting == 0).await;
        line.carrier.allowed.add_permits(100);
        assert_eq!(two.await.unwrap(), [Ok(Enqueued::Duplicate), Err(QueueError::Busy)]);
        line.pass(offers("b", 1)).await;
        assert_eq!(line.sent(), ["a0", "b0"]);
    }

    #[tokio::test]
    async fn a_sender_that_leaves_takes_along_what_waits() {
        let line = line(|settings| settings.sent_events = 1);
        let two = line.begin(offers("a", 2));
        line.until(|line| line.sent().len() == 1).await;
        two.abort();
        line.until(|line| line.lock().waiting == 0).await;
        line.carrier.allowed.add_permits(100);
        line.pass(offers("b", 1)).await;
        assert_eq!(line.sent(), ["a0", "b0"]);
    }

    #[tokio::test]
    async fn the_last_places_are_for_those_who_send_a_few() {
        let line = line(|settings| (settings.sent_events, settings.waiting_events) = (1, 64));
        let first = line.begin(offers("a", 1));
        line.until(|line| line.sent().len() == 1).await;
        let batch = line.begin(offers("b", 100));
        line.until(|line| line.lock().waiting == 56).await;
        let few = line.begin(offers("c", 8));
        line.until(|line| line.lock().waiting == 64).await;
        assert_eq!(line.pass(offers("d", 1)).await, [Err(QueueError::Busy)]);
        line.carrier.allowed.add_permits(1000);
        first.await.unwrap();
        let answers = batch.await.unwrap();
        assert!(answers[..56].iter().all(Result::is_ok) && answers[56..].iter().all(Result::is_err));
        assert!(few.await.unwrap().iter().all(Result::is_ok));
        assert_eq!(line.sent().len(), 65);
    }
}
