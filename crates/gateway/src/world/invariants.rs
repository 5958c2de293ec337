//! What was told about each event, and what has to hold when all is over.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::bus::{Accepted, Outcome};

use super::redis::Redis;

/// All events, by their number.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) events: Vec<Entry>,
}

/// One event.
pub(super) struct Entry {
    pub(super) priority: u8,
    /// The client may send it again.
    pub(super) key: Option<String>,
    pub(super) sendings: Vec<Sending>,
}

/// One time that it was sent.
pub(super) struct Sending {
    /// To which gateway.
    pub(super) slot: usize,
    /// `None` if the client has gone, or the gateway crashed.
    pub(super) outcome: Option<Outcome>,
    /// When it was on the disk, if it is there alone; of a batch, which is told later, when it was sent.
    pub(super) settled: Instant,
    /// It was on the disk alone when somebody removed the folder and the gateway ended before it noticed.
    pub(super) is_removed: bool,
}

impl Ledger {
    pub(super) fn told(&mut self, number: usize, sending: usize, outcome: Outcome, is_single: bool) {
        let sending = &mut self.events[number].sendings[sending];
        sending.outcome = Some(outcome);
        if is_single {
            sending.settled = Instant::now();
        }
    }

    /// The folder of that gateway is gone, and with it what was on it alone.
    pub(super) fn lose_folder(&mut self, slot: usize, before: Instant) {
        for sending in self.events.iter_mut().flat_map(|entry| &mut entry.sendings) {
            let is_spilled =
                matches!(&sending.outcome, Some(Outcome::Accepted(accepted)) if accepted.is_spilled);
            sending.is_removed |= sending.slot == slot && is_spilled && sending.settled < before;
        }
    }

    /// Every event is where its answer says.
    pub(super) fn judge(&self, redis: &Redis) -> Result<(), String> {
        let state = redis.lock();
        if let Some(broken) = state.broken.first() {
            return Err(broken.clone());
        }
        let mut jobs: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for (id, job) in &state.keys.added {
            jobs.entry(number_of(&job.data)).or_default().push(id);
        }
        for (number, entry) in self.events.iter().enumerate() {
            let ids = jobs.get(&number).map_or(&[][..], Vec::as_slice);
            entry.judge(ids).map_err(|what| format!("event {number} (key {:?}): {what}", entry.key))?;
        }
        Ok(())
    }
}

impl Entry {
    /// Whether its outcome was acknowledged and nobody took it away.
    pub(super) fn accepted(&self) -> Option<&Accepted> {
        self.sendings.iter().filter(|sending| !sending.is_removed).find_map(|sending| {
            match &sending.outcome {
                Some(Outcome::Accepted(accepted)) => Some(accepted),
                _ => None,
            }
        })
    }

    fn judge(&self, ids: &[&str]) -> Result<(), String> {
        let told = || {
            let outcomes: Vec<_> =
                self.sendings.iter().map(|sending| (sending.slot, &sending.outcome)).collect();
            format!("jobs {ids:?}, told {outcomes:?}")
        };
        if ids.len() > 1 {
            return Err(format!("it was enqueued {} times: {}", ids.len(), told()));
        }
        let accepted = self.accepted();
        if accepted.is_some() && ids.is_empty() {
            return Err(format!("it was accepted and is not in the queue: {}", told()));
        }
        let is_rejected = |sending: &Sending| matches!(sending.outcome, Some(Outcome::Rejected(_)));
        if self.sendings.iter().all(is_rejected) && !ids.is_empty() {
            return Err(format!("it was rejected and is in the queue: {}", told()));
        }
        let told_ids = self.sendings.iter().filter_map(|sending| match &sending.outcome {
            Some(Outcome::Accepted(Accepted { job_id, .. }) | Outcome::Unknown { job_id }) => Some(job_id),
            _ => None,
        });
        for id in told_ids {
            if ids.iter().any(|own| own != id) {
                return Err(format!("its job has another id: {}", told()));
            }
        }
        Ok(())
    }
}

/// The data of an event, which its number can be found in.
pub(super) fn data_of(number: usize, padding: usize) -> String {
    format!("\"#{number} {}\"", "x".repeat(padding))
}

fn number_of(data: &str) -> usize {
    let text = data.split('#').nth(1).and_then(|rest| rest.split(' ').next()).expect("a number");
    text.parse().expect("a number")
}
