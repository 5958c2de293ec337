//! The event bus: what is decided about an event, in this order.
//!
//! ```text
//! quota --> memory of Redis --> depth: atomic | request | sampled --> queue
//!                  |  priority 1, Redis full                            |  priority 1, no answer
//!                  +----------------------> spill <--------------------+
//! ```
//!
//! An accepted event is in the queue or, if its priority is 1, on the disk of the spill. One that is neither is refused.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use backpressure::{Depth, Priority, Request};
use futures_util::future::join_all;
use governor::{DefaultKeyedRateLimiter, RateLimiter};
use serde::Serialize;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64;

use crate::circuit::{Circuit, Pressure};
use crate::event::Event;
use crate::metrics::Metrics;
use crate::queue::{Job, Offer, Outcome, Queue, QueueError};
use crate::refusal::{Refusal, RefusalReason};
use crate::settings::{DepthMode, Quota, Settings};
use crate::spill::{Spill, SpillError};

/// Takes events, and gives jobs to the queue.
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
pub struct Verdict {
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
    /// What the policy is told of it.
    request: Request,
    verdict: Option<Result<Accepted, Refusal>>,
}

impl Bus {
    /// A bus in front of `queue`; `instance` is a number that no other one and no earlier run of this one has.
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

    /// Decides about events and enqueues those that may come in; the verdicts are in their order.
    pub async fn emit(&self, events: Vec<Event>) -> Vec<Verdict> {
        let mut candidates: Vec<Candidate> = events.into_iter().map(|event| self.candidate(event)).collect();
        let is_enabled = self.settings.policy.enabled();
        let pressure = if is_enabled { self.circuit.pressure() } else { Pressure::None };
        let by_memory = open(&mut candidates).map(async |candidate| {
            let is_urgent = candidate.job.priority == Priority::MOST_URGENT;
            if pressure >= Pressure::Shedding && !is_urgent {
                candidate.verdict = Some(Err(self.circuit.refuse(RefusalReason::Memory)));
            } else if is_urgent && self.spill_has_work(pressure) {
                candidate.verdict = Some(self.spill(&candidate.job, RefusalReason::Memory).await);
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
                    candidate.verdict = self.circuit.decide(&candidate.request).err().map(Err);
                }
                self.enqueue(&mut candidates).await;
            }
        }
        candidates.into_iter().map(|candidate| self.count(candidate)).collect()
    }

    /// Forgets organizations that have not sent for a while.
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
        let class = if is_known { event.event_type.clone() } else { OTHER.to_owned() };
        let quota =
            self.quotas.as_ref().zip(event.organization.as_ref()).and_then(|(quotas, organization)| {
                quotas.check_key_n(organization, ONE).ok()?.err().map(|not_until| {
                    let clock = governor::clock::DefaultClock::default();
                    not_until.wait_time_from(governor::clock::Clock::now(&clock))
                })
            });
        let verdict = quota.map(|retry_after| {
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
        Candidate { class, job, request, verdict }
    }

    /// The specification's way: read the depth, then decide. What this request adds itself counts.
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
                Err(refusal) => candidate.verdict = Some(Err(refusal)),
            }
        }
    }

    /// Enqueues what has not been refused.
    async fn enqueue(&self, candidates: &mut [Candidate]) {
        let admitted: Vec<&mut Candidate> = open(candidates).collect();
        let offers: Vec<Offer<'_>> =
            admitted.iter().map(|candidate| Offer { job: &candidate.job, limit: None }).collect();
        let outcomes = self.queue.enqueue(&offers).await;
        self.settle(admitted.into_iter().zip(outcomes).collect()).await;
    }

    /// Has the queue compare the depth and enqueue in one step. What it refuses moves the circuit, and is then decided on; if the
    /// circuit would now admit it after all, because others moved it meanwhile, it is offered again.
    async fn enqueue_below_limits(&self, candidates: &mut [Candidate]) {
        for candidate in open(candidates) {
            candidate.verdict = self.circuit.decide(&candidate.request).err().map(Err);
        }
        // The depth of one part says nothing about the whole: then the monitor alone moves the circuit.
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
                    Ok(Outcome::Refused { .. }) if !is_whole => {
                        candidate.verdict = Some(Err(self.circuit.refuse(RefusalReason::ShardFull)));
                    }
                    Ok(Outcome::Refused { depth }) => {
                        let decision =
                            self.circuit.observe_and_decide(Depth::Known(depth), &candidate.request);
                        candidate.verdict = decision.err().map(Err);
                    }
                    outcome => {
                        if let Ok(Outcome::Enqueued { depth, .. }) = &outcome
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
            candidate.verdict = Some(Err(self.circuit.refuse(RefusalReason::Contended)));
        }
    }

    /// What the answers of the queue mean for the events. All at once, so that what has to be spilled shares a sync.
    async fn settle(&self, answered: Vec<(&mut Candidate, Result<Outcome, QueueError>)>) {
        let all = answered.into_iter().map(async |(candidate, outcome)| {
            candidate.verdict = Some(self.accept(&candidate.job, outcome).await);
        });
        join_all(all).await;
    }

    /// What the answer of the queue means for one event.
    async fn accept(&self, job: &Job, outcome: Result<Outcome, QueueError>) -> Result<Accepted, Refusal> {
        let reason = match outcome {
            Ok(Outcome::Enqueued { id, .. } | Outcome::Duplicate { id }) => {
                return Ok(Accepted { job_id: id, is_spilled: false });
            }
            Ok(Outcome::Refused { .. }) => RefusalReason::Contended,
            Err(QueueError::Unavailable(why)) => {
                tracing::debug!(why, "a job could not be enqueued");
                RefusalReason::QueueUnavailable
            }
            Err(QueueError::Full(_)) => RefusalReason::QueueFull,
        };
        self.spill(job, reason).await
    }

    /// Keeps an urgent job that the queue does not take now; others are refused for `reason`.
    async fn spill(&self, job: &Job, reason: RefusalReason) -> Result<Accepted, Refusal> {
        let (Some(spill), Some(id)) = (&self.spill, &job.id) else {
            return Err(self.circuit.refuse(reason));
        };
        match spill.append(job).await {
            Ok(()) => Ok(Accepted { job_id: id.clone(), is_spilled: true }),
            Err(SpillError::Full) => Err(self.circuit.refuse(RefusalReason::SpillFull)),
            Err(SpillError::Failed) => Err(self.circuit.refuse(RefusalReason::SpillFailed)),
        }
    }

    /// Whether urgent jobs go to the spill: behind those that wait there, or because Redis must not be given more.
    fn spill_has_work(&self, pressure: Pressure) -> bool {
        self.spill.as_ref().is_some_and(|spill| pressure == Pressure::Full || spill.backlog().0 > 0)
    }

    fn count(&self, candidate: Candidate) -> Verdict {
        let Candidate { class, job, request: _, verdict } = candidate;
        let result = verdict.unwrap_or_else(|| Err(self.circuit.refuse(RefusalReason::Contended)));
        match &result {
            Ok(_) => self.metrics.accepted(&class),
            Err(refusal) => self.metrics.rejected(&class, refusal.reason),
        }
        Verdict { class, priority: job.priority, result }
    }
}

/// Those not decided on yet.
fn open(candidates: &mut [Candidate]) -> impl Iterator<Item = &mut Candidate> {
    candidates.iter_mut().filter(|candidate| candidate.verdict.is_none())
}

/// What workers get to read.
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

/// Ids that no other instance and no other start of this one gives out. BullMQ wants them not to be numbers, and without ':'.
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

/// The class of types that settings do not know: clients must not be able to make labels.
const OTHER: &str = "other";
const ONE: NonZeroU32 = NonZeroU32::MIN;
/// The circuit has moved between any two of them, so more than a few are hardly ever needed.
const MOST_OFFERS: usize = 4;
