//! Clients in motion: requests that wait for their answer, time out, and are sent again.
//!
//! A request is one piece of work that a client wants done; each time it is sent is an attempt, which is a job of its own in
//! the queue. A client that stops waiting cannot take the attempt back: the job is still done, and wasted.

use std::collections::VecDeque;

use rand::RngExt;

use super::{DetailedJob, DetailedRun};
use crate::engine::calendar::Calendar;
use crate::engine::stream::{Stream, stream};
use crate::engine::time::{SimDuration, SimTime};
use crate::model::config::{Backoff, Clients, WaitFor};
use crate::model::probe::Probe;

/// All open requests.
#[derive(Debug)]
pub(crate) struct ClientPool {
    config: Clients,
    requests: Vec<Request>,
    free: Vec<u32>,
    /// Attempts with a time-out, in its order: all wait equally long.
    timeouts: VecDeque<(SimTime, Ticket)>,
    /// Requests that are sent again, by time.
    retries: Calendar<u32>,
    backoff_stream: Stream,
    /// Retries that the budget has left.
    tokens: f64,
    attempts: u64,
    open: u64,
}

/// One attempt of one request. The default belongs to no client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ticket {
    request: u32,
    /// Number of the attempt among all; 0 is none.
    attempt: u64,
}

impl Ticket {
    /// Whether a client sent it.
    pub(crate) fn is_somebodys(self) -> bool {
        self.attempt != 0
    }
}

#[derive(Clone, Copy, Debug)]
struct Request {
    /// What is sent, each time the same.
    job: DetailedJob,
    /// The attempt that the client waits for; 0 while it waits for none.
    awaited: u64,
    /// How often it was sent.
    sent: u32,
}

/// How a client reacts to a refusal or a time-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// It sends the request again later.
    Retries,
    /// It gives up.
    Abandons,
}

/// The most retries that a budget saves up: the bucket of the AWS SDKs.
const MOST_TOKENS: f64 = 500.0;

impl ClientPool {
    pub(crate) fn new(config: Clients, seed: u64, replication: u32) -> Self {
        Self {
            config,
            requests: Vec::new(),
            free: Vec::new(),
            timeouts: VecDeque::new(),
            retries: Calendar::default(),
            backoff_stream: stream(seed, replication, "clients/backoff"),
            tokens: MOST_TOKENS,
            attempts: 0,
            open: 0,
        }
    }

    /// Requests whose client waits for an answer or for its next attempt.
    pub(crate) fn open_requests(&self) -> u64 {
        self.open
    }

    /// A client wants something done: the number of its request.
    pub(crate) fn open(&mut self, job: DetailedJob) -> u32 {
        if let Some(budget) = self.config.retry_budget {
            self.tokens = (self.tokens + budget).min(MOST_TOKENS);
        }
        self.open += 1;
        let request = Request { job, awaited: 0, sent: 0 };
        match self.free.pop() {
            Some(index) => {
                self.requests[index as usize] = request;
                index
            }
            None => {
                self.requests.push(request);
                self.requests.len() as u32 - 1
            }
        }
    }

    /// A request is sent: the job of this attempt, and whether it is a retry.
    pub(crate) fn send(&mut self, index: u32, now: SimTime) -> (DetailedJob, bool) {
        self.attempts += 1;
        let request = &mut self.requests[index as usize];
        request.sent += 1;
        request.awaited = self.attempts;
        let ticket = Ticket { request: index, attempt: self.attempts };
        let mut job = request.job;
        job.arrived = now;
        job.details.ticket = ticket;
        let is_retry = request.sent > 1;
        if let Some(timeout) = self.config.timeout {
            self.timeouts.push_back((now + timeout, ticket));
        }
        (job, is_retry)
    }

    /// Whether the client still waits for this attempt.
    pub(crate) fn is_awaited(&self, ticket: Ticket) -> bool {
        ticket.is_somebodys() && self.requests[ticket.request as usize].awaited == ticket.attempt
    }

    /// The enqueue of an attempt has succeeded. Returns whether its client still waits, for this or for the work.
    pub(crate) fn accepted(&mut self, ticket: Ticket) -> bool {
        let is_awaited = self.is_awaited(ticket);
        if is_awaited && self.config.wait_for == WaitFor::Acceptance {
            self.close(ticket.request);
        }
        is_awaited
    }

    /// The work of an attempt is done: whether anybody wanted it. `was_wanted` is what `accepted` said.
    pub(crate) fn done(&mut self, ticket: Ticket, was_wanted: bool) -> bool {
        match self.config.wait_for {
            WaitFor::Acceptance => was_wanted,
            WaitFor::Completion => {
                let is_awaited = self.is_awaited(ticket);
                if is_awaited {
                    self.close(ticket.request);
                }
                is_awaited
            }
        }
    }

    /// An attempt was refused, with a hint when to come back. `None` if its client no longer waits.
    pub(crate) fn refused(
        &mut self,
        ticket: Ticket,
        retry_after: SimDuration,
        now: SimTime,
    ) -> Option<Reaction> {
        if !self.is_awaited(ticket) {
            return None;
        }
        let hint = if self.config.honour_retry_after { retry_after } else { SimDuration::ZERO };
        Some(self.react(ticket.request, hint, now))
    }

    /// When the next attempt times out or the next retry is due.
    pub(crate) fn next_time(&self) -> SimTime {
        let timeout = self.timeouts.front().map_or(SimTime::NEVER, |(due, _)| *due);
        timeout.min(self.retries.next_time())
    }

    /// The attempt that times out now, if one does: its job and its client's reaction. Skips attempts that no client awaits.
    pub(crate) fn time_out(&mut self, now: SimTime) -> Option<(DetailedJob, Reaction)> {
        while let Some(&(due, ticket)) = self.timeouts.front()
            && due <= now
        {
            self.timeouts.pop_front();
            if self.is_awaited(ticket) {
                let job = self.requests[ticket.request as usize].job;
                return Some((job, self.react(ticket.request, SimDuration::ZERO, now)));
            }
        }
        None
    }

    /// The request that is to be sent again now.
    pub(crate) fn due_retry(&mut self, now: SimTime) -> Option<u32> {
        if self.retries.next_time() > now {
            return None;
        }
        self.retries.pop().map(|(_, request)| request)
    }

    fn react(&mut self, index: u32, at_least: SimDuration, now: SimTime) -> Reaction {
        let request = &mut self.requests[index as usize];
        request.awaited = 0;
        let retries = request.sent - 1;
        let has_budget = self.config.retry_budget.is_none() || self.tokens >= 1.0;
        if retries >= self.config.retries || !has_budget {
            self.close(index);
            return Reaction::Abandons;
        }
        if self.config.retry_budget.is_some() {
            self.tokens -= 1.0;
        }
        let pause = match self.config.backoff {
            Backoff::Immediate => SimDuration::ZERO,
            Backoff::Fixed(pause) => pause,
            Backoff::Exponential { base, cap } => {
                let most = SimDuration(base.0.saturating_mul(1 << retries.min(62)).min(cap.0));
                most.scaled(self.backoff_stream.random())
            }
        };
        self.retries.schedule(now + pause.max(at_least), index);
        Reaction::Retries
    }

    fn close(&mut self, index: u32) {
        self.requests[index as usize].awaited = 0;
        self.free.push(index);
        self.open -= 1;
    }
}

pub(super) fn hears_no<P: Probe>(run: &mut DetailedRun<'_, P>, job: &DetailedJob, retry_after: SimDuration) {
    if let Some(clients) = &mut run.level.clients
        && let Some(reaction) = clients.refused(job.details.ticket, retry_after, run.now)
    {
        record_reaction(run, job.class, reaction);
    }
}

pub(super) fn record_reaction<P: Probe>(run: &mut DetailedRun<'_, P>, class: u16, reaction: Reaction) {
    if reaction == Reaction::Abandons {
        run.recorder.extras(class).abandoned += 1;
    }
}
