//! The event bus decides about each event, in this order.
//!
//! ```text
//! quota --> memory of Redis --> depth: atomic | request | sampled --> queue
//!                  |  priority 1, Redis full                            |  priority 1, no answer
//!                  +----------------------> spill <--------------------+
//! ```
//!
//! An accepted event is in the queue or, if its priority is 1, on the disk of the spill. Every other event is refused.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

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
use crate::queue::{Enqueued, Job, Offer, Queue, QueueError};
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
    /// Accepted or refused.
    pub result: Result<Accepted, Refusal>,
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
    job: Job,
    /// The job as the policy sees it.
    request: Request,
    answer: Option<Result<Accepted, Refusal>>,
}

impl Bus {
    /// A bus in front of `queue`. No other instance and no earlier run may have the same `instance`.
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
        let mut candidates: Vec<Candidate> = events.into_iter().map(|event| self.candidate(event)).collect();
        let is_enabled = self.settings.policy.enabled();
        let pressure = if is_enabled { self.circuit.pressure() } else { Pressure::None };
        let by_memory = open(&mut candidates).map(async |candidate| {
            let is_urgent = candidate.job.priority == Priority::MOST_URGENT;
            if pressure >= Pressure::Shedding && !is_urgent {
                candidate.answer = Some(Err(self.circuit.refuse(RefusalReason::Memory)));
            } else if is_urgent && self.spill_has_work(pressure) {
                candidate.answer = Some(self.spill(&candidate.job, RefusalReason::Memory).await);
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
                for candidate in open(&mut candidates) {
                    candidate.answer = self.circuit.decide(&candidate.request).err().map(Err);
                }
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

    /// The job of an event, refused already if its organization has used up its quota.
    fn candidate(&self, event: Event) -> Candidate {
        let priority = event.priority.unwrap_or_else(|| self.settings.priority_of(&event.event_type));
        let is_known = self.settings.priorities.contains_key(&event.event_type);
        let class = if is_known { event.event_type.clone() } else { events::OTHER.to_owned() };
        let quota =
            self.quotas.as_ref().zip(event.organization.as_ref()).and_then(|(quotas, organization)| {
                quotas.check_key_n(organization, ONE).ok()?.err().map(|not_until| {
                    let clock = governor::clock::DefaultClock::default();
                    not_until.wait_time_from(governor::clock::Clock::now(&clock))
                })
            });
        let answer = quota.map(|retry_after| {
            Err(Refusal { reason: RefusalReason::Quota, state: self.circuit.state(), retry_after })
        });
        let organization = event.organization.as_deref().map_or(0, |name| xxh3_64(name.as_bytes()));
        let data = serde_json::to_string(&JobData {
            event_type: &event.event_type,
            organization_id: event.organization.as_deref(),
            priority: priority.get(),
            data: &event.data,
        });
        let job = Job {
            id: (priority == Priority::MOST_URGENT).then(|| self.ids.next()),
            name: event.event_type,
            data: data.expect("texts, numbers and JSON are always JSON"),
            priority,
            timestamp_ms: milliseconds(SystemTime::now()),
        };
        // A client that sends an event again sends the same content, and gets the same answer from every instance.
        let id = xxh3_64(job.data.as_bytes());
        let request = Request { priority, organization, id, cost: 1 };
        Candidate { class, job, request, answer }
    }

    /// Reads the depth, then decides, as in the specification. Jobs of the same request count.
    async fn decide_by_depth(&self, candidates: &mut [Candidate]) {
        if open(candidates).next().is_none() {
            return;
        }
        let depth = self.queue.depth().await.map_or(Depth::Unknown, Depth::Known);
        let mut added = 0;
        for candidate in open(candidates) {
            let depth = match depth {
                Depth::Known(jobs) => Depth::Known(jobs + added),
                unknown => unknown,
            };
            match self.circuit.observe_and_decide(depth, &candidate.request) {
                Ok(()) => added += 1,
                Err(refusal) => candidate.answer = Some(Err(refusal)),
            }
        }
    }

    /// Enqueues all events that have no answer yet.
    async fn enqueue(&self, candidates: &mut [Candidate]) {
        let admitted: Vec<&mut Candidate> = open(candidates).collect();
        let offers: Vec<Offer<'_>> =
            admitted.iter().map(|candidate| Offer { job: &candidate.job, limit: None }).collect();
        let outcomes = self.queue.enqueue(&offers).await;
        self.settle(admitted.into_iter().zip(outcomes).collect()).await;
    }

    /// The queue compares the depth and enqueues in one step. A refused job moves the circuit, which then decides; if the circuit now
    /// admits the job, because other jobs have moved it meanwhile, the job is offered again.
    async fn enqueue_below_limits(&self, candidates: &mut [Candidate]) {
        for candidate in open(candidates) {
            candidate.answer = self.circuit.decide(&candidate.request).err().map(Err);
        }
        // The depth of one shard says nothing about the whole queue; then only the monitor moves the circuit.
        let is_whole = self.queue.parts() == 1;
        for _ in 0..MOST_OFFERS {
            let admitted: Vec<&mut Candidate> = open(candidates).collect();
            if admitted.is_empty() {
                return;
            }
            let offers: Vec<Offer<'_>> = admitted
                .iter()
                .map(|candidate| Offer {
                    job: &candidate.job,
                    limit: self.circuit.admits_below(&candidate.request),
                })
                .collect();
            let outcomes = self.queue.enqueue(&offers).await;
            let mut settled = Vec::new();
            for (candidate, outcome) in admitted.into_iter().zip(outcomes) {
                match outcome {
                    Ok(Enqueued::Refused { .. }) if !is_whole => {
                        candidate.answer = Some(Err(self.circuit.refuse(RefusalReason::ShardFull)));
                    }
                    Ok(Enqueued::Refused { depth }) => {
                        let decision =
                            self.circuit.observe_and_decide(Depth::Known(depth), &candidate.request);
                        candidate.answer = decision.err().map(Err);
                    }
                    outcome => {
                        if let Ok(Enqueued::Added { depth, .. }) = &outcome
                            && is_whole
                        {
                            self.circuit.observe(Depth::Known(*depth));
                        }
                        settled.push((candidate, outcome));
                    }
                }
            }
            self.settle(settled).await;
        }
        for candidate in open(candidates) {
            candidate.answer = Some(Err(self.circuit.refuse(RefusalReason::Contended)));
        }
    }

    /// Turns the answers of the queue into answers to events. Concurrently, so that spilled jobs share a sync.
    async fn settle(&self, answered: Vec<(&mut Candidate, Result<Enqueued, QueueError>)>) {
        let all = answered.into_iter().map(async |(candidate, outcome)| {
            candidate.answer = Some(self.accept(&candidate.job, outcome).await);
        });
        join_all(all).await;
    }

    /// Turns the answer of the queue into the answer to one event.
    async fn accept(&self, job: &Job, outcome: Result<Enqueued, QueueError>) -> Result<Accepted, Refusal> {
        let reason = match outcome {
            Ok(Enqueued::Added { id, .. } | Enqueued::Duplicate { id }) => {
                return Ok(Accepted { job_id: id, is_spilled: false });
            }
            Ok(Enqueued::Refused { .. }) => RefusalReason::Contended,
            Err(QueueError::Unavailable(why)) => {
                tracing::debug!(why, "a job could not be enqueued");
                RefusalReason::QueueUnavailable
            }
            Err(QueueError::Full(_)) => RefusalReason::QueueFull,
        };
        self.spill(job, reason).await
    }

    /// Spills an urgent job that the queue does not take; refuses any other job for `reason`.
    async fn spill(&self, job: &Job, reason: RefusalReason) -> Result<Accepted, Refusal> {
        let (Some(spill), Some(id)) = (&self.spill, &job.id) else {
            return Err(self.circuit.refuse(reason));
        };
        match spill.append(job).await {
            Ok(()) => Ok(Accepted { job_id: id.clone(), is_spilled: true }),
            Err(SpillError::Full) => Err(self.circuit.refuse(RefusalReason::SpillFull)),
            Err(SpillError::Failed | SpillError::Unknown) => {
                Err(self.circuit.refuse(RefusalReason::SpillFailed))
            }
        }
    }

    /// Whether urgent jobs go to the spill: because others wait there, or because Redis is nearly full.
    fn spill_has_work(&self, pressure: Pressure) -> bool {
        self.spill.as_ref().is_some_and(|spill| pressure == Pressure::Full || spill.backlog().0 > 0)
    }

    fn count(&self, candidate: Candidate) -> Answer {
        let Candidate { class, job, request: _, answer } = candidate;
        let result = answer.unwrap_or_else(|| Err(self.circuit.refuse(RefusalReason::Contended)));
        match &result {
            Ok(_) => self.metrics.accepted(&class),
            Err(refusal) => self.metrics.rejected(&class, refusal.reason),
        }
        Answer { class, priority: job.priority, result }
    }
}

/// Candidates without an answer.
fn open(candidates: &mut [Candidate]) -> impl Iterator<Item = &mut Candidate> {
    candidates.iter_mut().filter(|candidate| candidate.answer.is_none())
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

/// Ids that are unique across instances and restarts. BullMQ allows neither plain numbers nor ':'.
struct Ids {
    instance: String,
    next: AtomicU64,
}

impl Ids {
    fn new(instance: u64) -> Ids {
        Ids { instance: format!("g{instance:016x}"), next: AtomicU64::new(1) }
    }

    fn next(&self) -> String {
        format!("{}-{:x}", self.instance, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Milliseconds since 1970.
fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

const ONE: NonZeroU32 = NonZeroU32::MIN;
/// The circuit moved between any two offers, so more than a few are hardly ever needed.
const MOST_OFFERS: usize = 4;
