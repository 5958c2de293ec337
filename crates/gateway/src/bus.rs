//! The event bus decides about each event, in this order.
//!
//! ```text
//! quota --> memory of Redis --> depth: atomic | request | sampled --> queue
//!                  |  priority 1, Redis full                            |  priority 1, not taken or no answer
//!                  +----------------------> spill <--------------------+
//! ```
//!
//! An event has one of three outcomes. Accepted: it is in the queue or, if its priority is 1, on the disk of the spill. Rejected: it
//! is not in the queue, and will not be. Unknown: it was sent, and neither Redis nor the disk of the spill answered in time. An event
//! with a key may have been sent before, so it is rejected only where Redis says that it does not know the key.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::SystemTime;

use backpressure::{Depth, Priority, Request};
use contract::events;
use futures_util::future::join_all;
use governor::{DefaultKeyedRateLimiter, RateLimiter};
use serde::Serialize;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64;

use crate::circuit::{Circuit, Pressure};
use crate::event::Event;
use crate::metrics::Metrics;
use crate::moment::milliseconds;
use crate::queue::ids::{self, Ids};
use crate::queue::{Enqueued, Job, Offer, Queue, QueueError, Repeat};
use crate::refusal::{Refusal, RefusalReason};
use crate::settings::{DepthMode, Quota, Settings};
use crate::spill::{Spill, SpillError};

/// Takes events and enqueues jobs.
pub struct Bus {
    settings: Arc<Settings>,
    circuit: Arc<Circuit>,
    queue: Arc<dyn Queue>,
    spill: Option<Arc<Spill>>,
    quotas: Option<DefaultKeyedRateLimiter<String>>,
    metrics: Arc<Metrics>,
    ids: Ids,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its class: its type if settings know it.
    pub class: String,
    /// Its priority, given or by its type.
    pub priority: Priority,
    /// Whether it has an idempotency key, so that it may be sent again.
    pub is_keyed: bool,
    /// Where it is, if anywhere.
    pub outcome: Outcome,
}

/// Where an event is, if anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the queue or in the spill.
    Accepted(Accepted),
    /// It is not in the queue, and will not be.
    Rejected(Refusal),
    /// It was sent to the queue or to the spill and not answered, or its key was and the queue cannot be asked: it may be there, now
    /// or soon.
    Unknown {
        /// The id that its job has or would have.
        job_id: String,
    },
}

/// Where an accepted event is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The id of its job.
    pub job_id: String,
    /// Whether it waits in the spill for the queue to take it.
    pub is_spilled: bool,
}

/// An event on its way.
struct Candidate {
    class: String,
    job: Arc<Job>,
    /// The job as the policy sees it.
    request: Request,
    repeat: Repeat,
    /// It may not come in, but the queue is asked whether it is there already: then it has been accepted before.
    refusal: Option<Refusal>,
    /// The queue knows it already.
    is_repeated: bool,
    outcome: Option<Outcome>,
}

impl Bus {
    /// A bus in front of `queue`. `instance` is random: no other instance and no earlier run may have the same.
    #[must_use]
    pub fn new(
        settings: Arc<Settings>,
        circuit: Arc<Circuit>,
        queue: Arc<dyn Queue>,
        spill: Option<Arc<Spill>>,
        metrics: Arc<Metrics>,
        instance: u64,
    ) -> Bus {
        let quotas = settings.quota.map(|Quota { per_second, burst }| {
            RateLimiter::keyed(governor::Quota::per_second(per_second).allow_burst(burst))
        });
        Bus { settings, circuit, queue, spill, quotas, metrics, ids: Ids::new(instance) }
    }

    /// Decides about events and enqueues those it admits. The answers are in the order of the events.
    pub async fn emit(&self, events: Vec<Event>) -> Vec<Answer> {
        self.emit_unless(None, events).await
    }

    /// As [`Self::emit`]. With a refusal none may come in, but those that were accepted before, by their keys, are accepted again.
    pub async fn emit_unless(&self, refusal: Option<Refusal>, events: Vec<Event>) -> Vec<Answer> {
        let mut candidates: Vec<Candidate> =
            events.into_iter().map(|event| self.candidate(event, refusal)).collect();
        let is_enabled = self.settings.policy.enabled();
        let pressure = if is_enabled { self.circuit.pressure() } else { Pressure::None };
        let by_memory = admissible(&mut candidates).map(async |candidate| {
            let is_urgent = candidate.is_urgent();
            if pressure >= Pressure::Shedding && !is_urgent {
                candidate.refuse(self.circuit.refuse(RefusalReason::Memory));
            } else if is_urgent && self.spill_has_work(pressure) {
                let refused = Outcome::Rejected(self.circuit.refuse(RefusalReason::Memory));
                match self.spill(&candidate.job, refused).await {
                    Outcome::Rejected(refusal) => candidate.refuse(refusal),
                    outcome => candidate.outcome = Some(outcome),
                }
            }
        });
        join_all(by_memory).await;
        match self.settings.depth_mode {
            DepthMode::Atomic => self.enqueue_below_limits(&mut candidates).await,
            DepthMode::Request => {
                self.decide_by_depth(&mut candidates).await;
                self.enqueue(&mut candidates).await;
            }
            DepthMode::Sampled => {
                self.decide(&mut candidates);
                self.enqueue(&mut candidates).await;
            }
        }
        candidates.into_iter().map(|candidate| self.count(candidate)).collect()
    }

    /// Forgets the quotas of organizations that have not sent for a while.
    pub fn forget_idle_organizations(&self) {
        if let Some(quotas) = &self.quotas {
            quotas.retain_recent();
            quotas.shrink_to_fit();
        }
    }

    /// The job of an event, refused already if so was its sender, or else if its organization has used up its quota.
    fn candidate(&self, event: Event, refusal: Option<Refusal>) -> Candidate {
        let priority = self.settings.priority_of_event(&event);
        let is_known = self.settings.priorities.contains_key(&event.event_type);
        let class = if is_known { event.event_type.clone() } else { events::OTHER.to_owned() };
        let refusal = refusal.or_else(|| self.over_quota(event.organization.as_ref()?));
        let organization = event.organization.as_deref().map_or(0, |name| xxh3_64(name.as_bytes()));
        let data = serde_json::to_string(&JobData {
            event_type: &event.event_type,
            organization_id: event.organization.as_deref(),
            priority: priority.get(),
            data: &event.data,
        });
        let key = event.idempotency_key.as_deref();
        let job = Job {
            id: key.map_or_else(|| self.ids.next(), |key| ids::of_key(event.organization.as_deref(), key)),
            name: event.event_type,
            data: data.expect("texts, numbers and JSON are always JSON"),
            priority,
            timestamp_ms: milliseconds(SystemTime::now()),
        };
        let repeat = match (key, &self.spill) {
            (Some(_), _) => Repeat::Client,
            (None, Some(_)) if priority == Priority::MOST_URGENT => Repeat::Gateway,
            _ => Repeat::Never,
        };
        // A client that sends an event again sends the same content, and gets the same answer from every instance.
        let id = xxh3_64(job.data.as_bytes());
        let request = Request { priority, organization, id, cost: 1 };
        let mut candidate = Candidate {
            class,
            job: Arc::new(job),
            request,
            repeat,
            refusal: None,
            is_repeated: false,
            outcome: None,
        };
        if let Some(refusal) = refusal {
            candidate.refuse(refusal);
        }
        candidate
    }

    fn over_quota(&self, organization: &String) -> Option<Refusal> {
        let not_until = self.quotas.as_ref()?.check_key_n(organization, ONE).ok()?.err()?;
        let clock = governor::clock::DefaultClock::default();
        let retry_after = not_until.wait_time_from(governor::clock::Clock::now(&clock));
        Some(Refusal { reason: RefusalReason::Quota, state: self.circuit.state(), retry_after })
    }

    /// Decides by the last observation of the depth.
    fn decide(&self, candidates: &mut [Candidate]) {
        for candidate in admissible(candidates) {
            if let Err(refusal) = self.circuit.decide(&candidate.request) {
                candidate.refuse(refusal);
            }
        }
    }

    /// Reads the depth, then decides, as in the specification. Jobs of the same request count.
    async fn decide_by_depth(&self, candidates: &mut [Candidate]) {
        if admissible(candidates).next().is_none() {
            return;
        }
        let depth = self.queue.depth().await.map_or(Depth::Unknown, Depth::Known);
        let mut added = 0;
        for candidate in admissible(candidates) {
            let depth = match depth {
                Depth::Known(jobs) => Depth::Known(jobs + added),
                unknown => unknown,
            };
            match self.circuit.observe_and_decide(depth, &candidate.request) {
                Ok(()) => added += 1,
                Err(refusal) => candidate.refuse(refusal),
            }
        }
    }

    /// Enqueues all events that have no outcome yet.
    async fn enqueue(&self, candidates: &mut [Candidate]) {
        let admitted: Vec<&mut Candidate> = open(candidates).collect();
        let offers: Vec<Offer> = admitted.iter().map(|candidate| candidate.offer(None)).collect();
        let answers = self.queue.enqueue(&offers).await;
        self.settle(admitted.into_iter().zip(answers).collect()).await;
    }

    /// The queue compares the depth and enqueues in one step. A refused job moves the circuit, which then decides; if the circuit now
    /// admits the job, because other jobs have moved it meanwhile, the job is offered again.
    async fn enqueue_below_limits(&self, candidates: &mut [Candidate]) {
        self.decide(candidates);
        // The depth of one shard says nothing about the whole queue; then only the monitor moves the circuit.
        let is_whole = self.queue.parts() == 1;
        for _ in 0..MOST_OFFERS {
            let admitted: Vec<&mut Candidate> = open(candidates).collect();
            if admitted.is_empty() {
                return;
            }
            let limit = |candidate: &Candidate| self.circuit.admits_below(&candidate.request);
            let offers: Vec<Offer> =
                admitted.iter().map(|candidate| candidate.offer(limit(candidate))).collect();
            let answers = self.queue.enqueue(&offers).await;
            if is_whole {
                self.observe_additions(&answers);
            }
            let mut settled = Vec::new();
            for (candidate, answer) in admitted.into_iter().zip(answers) {
                match answer {
                    Ok(Enqueued::Refused { .. }) if candidate.refusal.is_some() => {
                        settled.push((candidate, answer));
                    }
                    Ok(Enqueued::Refused { .. }) if !is_whole => {
                        let refusal = self.circuit.refuse(RefusalReason::ShardFull);
                        candidate.outcome = Some(Outcome::Rejected(refusal));
                    }
                    Ok(Enqueued::Refused { depth }) => {
                        let decision =
                            self.circuit.observe_and_decide(Depth::Known(depth), &candidate.request);
                        candidate.outcome = decision.err().map(Outcome::Rejected);
                    }
                    answer => settled.push((candidate, answer)),
                }
            }
            self.settle(settled).await;
        }
        for candidate in open(candidates) {
            candidate.outcome = Some(Outcome::Rejected(self.circuit.refuse(RefusalReason::Contended)));
        }
    }

    /// Lets the circuit see the depths that were found. Between the first and the last of a batch the depth only rises, so these two
    /// tell all.
    fn observe_additions(&self, answers: &[Result<Enqueued, QueueError>]) {
        let depth = |answer: &Result<Enqueued, QueueError>| match answer {
            Ok(Enqueued::Added { depth }) => Some(*depth),
            _ => None,
        };
        let first = answers.iter().find_map(depth);
        let last = answers.iter().rev().find_map(depth).filter(|last| Some(*last) != first);
        for depth in first.into_iter().chain(last) {
            self.circuit.observe(Depth::Known(depth));
        }
    }

    /// Turns the answers of the queue into outcomes of events. Concurrently, so that spilled jobs share a sync.
    async fn settle(&self, answered: Vec<(&mut Candidate, Result<Enqueued, QueueError>)>) {
        let all = answered.into_iter().map(async |(candidate, answer)| {
            candidate.is_repeated = answer == Ok(Enqueued::Duplicate);
            candidate.outcome = Some(self.outcome(candidate, answer).await);
        });
        join_all(all).await;
    }

    /// Turns the answer of the queue into the outcome of one event.
    async fn outcome(&self, candidate: &Candidate, answer: Result<Enqueued, QueueError>) -> Outcome {
        let job = &candidate.job;
        if let Ok(Enqueued::Added { .. } | Enqueued::Duplicate) = answer {
            return Outcome::Accepted(Accepted { job_id: job.id.clone(), is_spilled: false });
        }
        // A full queue looks for the key before it says so.
        let is_asked = matches!(answer, Ok(_) | Err(QueueError::Full(_)));
        let may_be_there = candidate.repeat == Repeat::Client && !is_asked;
        let unknown = || Outcome::Unknown { job_id: job.id.clone() };
        if let Some(refusal) = candidate.refusal {
            return if may_be_there { unknown() } else { Outcome::Rejected(refusal) };
        }
        let refused = |reason| Outcome::Rejected(self.circuit.refuse(reason));
        let otherwise = match answer {
            Ok(Enqueued::TooManyKeys) => return refused(RefusalReason::TooManyKeys),
            Ok(_) => refused(RefusalReason::Contended),
            Err(QueueError::Unavailable(why) | QueueError::Denied(why)) => {
                tracing::debug!(why, id = job.id, "a job could not be enqueued");
                if may_be_there { unknown() } else { refused(RefusalReason::QueueUnavailable) }
            }
            Err(QueueError::Full(_)) => refused(RefusalReason::QueueFull),
            Err(QueueError::Busy) if may_be_there => unknown(),
            Err(QueueError::Busy) => refused(RefusalReason::Busy),
            Err(QueueError::Unknown(why)) => {
                tracing::debug!(why, id = job.id, "it is not known whether a job was enqueued");
                unknown()
            }
        };
        self.spill(job, otherwise).await
    }

    /// Spills an urgent job that the queue does not take. What becomes of any other job is `otherwise`.
    async fn spill(&self, job: &Job, otherwise: Outcome) -> Outcome {
        let Some(spill) = self.spill.as_ref().filter(|_| job.priority == Priority::MOST_URGENT) else {
            return otherwise;
        };
        let reason = match spill.append(job).await {
            Ok(()) => {
                return Outcome::Accepted(Accepted { job_id: job.id.clone(), is_spilled: true });
            }
            Err(SpillError::Full) => RefusalReason::SpillFull,
            Err(SpillError::Failed) => RefusalReason::SpillFailed,
            Err(SpillError::Unknown) => return Outcome::Unknown { job_id: job.id.clone() },
        };
        match otherwise {
            Outcome::Rejected(_) => Outcome::Rejected(self.circuit.refuse(reason)),
            // Sent is sent.
            unknown => unknown,
        }
    }

    /// Whether urgent jobs go to the spill: because others wait there, or because Redis is nearly full.
    fn spill_has_work(&self, pressure: Pressure) -> bool {
        self.spill.as_ref().is_some_and(|spill| pressure == Pressure::Full || spill.backlog().0 > 0)
    }

    fn count(&self, candidate: Candidate) -> Answer {
        let Candidate { class, job, repeat, is_repeated, outcome, .. } = candidate;
        let outcome =
            outcome.unwrap_or_else(|| Outcome::Rejected(self.circuit.refuse(RefusalReason::Contended)));
        match &outcome {
            Outcome::Accepted(_) if is_repeated => self.metrics.repeated(&class),
            Outcome::Accepted(_) => self.metrics.accepted(&class),
            Outcome::Rejected(refusal) => self.metrics.rejected(&class, refusal.reason),
            Outcome::Unknown { .. } => self.metrics.unknown(&class),
        }
        Answer { class, priority: job.priority, is_keyed: repeat == Repeat::Client, outcome }
    }
}

impl Candidate {
    fn is_urgent(&self) -> bool {
        self.job.priority == Priority::MOST_URGENT
    }

    /// Turns the event away. One with a key may have been accepted before, and then is still.
    fn refuse(&mut self, refusal: Refusal) {
        if self.repeat == Repeat::Client {
            self.refusal = Some(refusal);
        } else {
            self.outcome = Some(Outcome::Rejected(refusal));
        }
    }

    fn offer(&self, limit: Option<u64>) -> Offer {
        let limit = if self.refusal.is_some() { Some(0) } else { limit };
        Offer { job: self.job.clone(), limit, repeat: self.repeat }
    }
}

/// Candidates without an outcome.
fn open(candidates: &mut [Candidate]) -> impl Iterator<Item = &mut Candidate> {
    candidates.iter_mut().filter(|candidate| candidate.outcome.is_none())
}

/// Those of them that may still come in.
fn admissible(candidates: &mut [Candidate]) -> impl Iterator<Item = &mut Candidate> {
    open(candidates).filter(|candidate| candidate.refusal.is_none())
}

/// The data of a job, as workers read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JobData<'a> {
    #[serde(rename = "type")]
    event_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization_id: Option<&'a str>,
    priority: u8,
    data: &'a RawValue,
}

const ONE: NonZeroU32 = NonZeroU32::MIN;
/// The circuit moved between any two offers, so more than a few are hardly ever needed.
const MOST_OFFERS: usize = 4;
