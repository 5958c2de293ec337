//! What would save most of the memory that jobs take: one change of a setting of BullMQ, Redis or the producer.
//!
//! It tries each change in the model of memory and keeps the best. It does not combine changes.

use super::{Estimate, IdKind, JobShape, JobState, standard_options};

/// What could be changed, and what it would save.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Saving {
    /// The setting and its new value.
    pub change: String,
    /// How much less memory all jobs together take.
    pub bytes: u64,
    /// The same as a percentage.
    pub percent: f64,
}

/// The one change of a setting that saves most; `None` if none saves anything.
pub fn best_saving(shape: &JobShape, now: &Estimate) -> Option<Saving> {
    let longest = shape.payload.max(shape.options);
    let mut candidates: Vec<(String, u64)> = Vec::new();
    let mut try_shape = |change: String, changed: JobShape| {
        candidates.push((change, changed.estimate(now.jobs).total()));
    };
    if !shape.is_compact() && longest <= MOST_LISTPACK {
        try_shape(
            format!("redis.conf: hash-max-listpack-value {longest}"),
            JobShape { listpack_value: longest, ..*shape },
        );
    }
    let least = standard_options(shape.state, shape.id);
    if shape.options > least {
        try_shape(
            format!(
                "job options of {least} B instead of {}: backoff and removal as defaults of the workers",
                shape.options
            ),
            JobShape { options: least, ..*shape },
        );
    }
    if shape.id == IdKind::Uuid {
        let shorter =
            standard_options(shape.state, IdKind::Uuid) - standard_options(shape.state, IdKind::Int);
        let options = shape.options.saturating_sub(shorter);
        try_shape(
            "ids of BullMQ's own counter instead of uuids".to_owned(),
            JobShape { id: IdKind::Int, options, ..*shape },
        );
    }
    if matches!(shape.state, JobState::Completed | JobState::Failed) {
        let option = if shape.state == JobState::Completed { "removeOnComplete" } else { "removeOnFail" };
        let kept = now.jobs.min(KEPT);
        candidates.push((
            format!("{option}: {{ count: {KEPT} }}"),
            if kept == now.jobs { now.total() } else { shape.estimate(kept).total() },
        ));
    } else if shape.payload > 1_024 {
        try_shape(
            "the payload compressed to a third".to_owned(),
            JobShape { payload: shape.payload / 3, ..*shape },
        );
    }
    let (change, total) = candidates.into_iter().min_by_key(|(_, total)| *total)?;
    let bytes = now.total().checked_sub(total).filter(|&saved| saved > 0)?;
    Some(Saving { change, bytes, percent: 100.0 * bytes as f64 / now.total() as f64 })
}

/// Longer values than this make compact hashes slow.
const MOST_LISTPACK: u64 = 4_096;
/// Finished jobs that are enough to look at.
const KEPT: u64 = 1_000;
