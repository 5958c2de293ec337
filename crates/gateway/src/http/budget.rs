//! The bytes of bodies in progress, from their arrival until their answers are taken.
//!
//! ```text
//! 0 ------------------------- common ------ most
//!   every body                       | the reserve: small bodies while they arrive, and what has priority 1
//! ```
//!
//! Priority 1 is known only once a body has been read. So a small body may come in even when large ones take up everything that they
//! may; if there is no urgent event in it, it is refused then.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use prometheus::IntGauge;

/// The bytes, and how many there may be.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    most: usize,
    /// Without the reserve.
    common: usize,
    /// Shows `used`.
    shown: IntGauge,
}

/// The bytes of one body, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

/// There is no room.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Budget {
    /// Of `most` bytes, an eighth of them in reserve, as long as a body of `longest` fits beside it.
    #[must_use]
    pub fn new(most: usize, longest: usize, shown: IntGauge) -> Budget {
        Budget { used: AtomicUsize::new(0), most, common: (most - most / 8).max(longest.min(most)), shown }
    }

    pub(crate) fn share(self: &Arc<Budget>) -> Share {
        Share { budget: self.clone(), bytes: 0 }
    }

    fn take(&self, bytes: usize, most: usize) -> Result<(), Full> {
        let room = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= most);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).map_err(|_| Full)?;
        self.shown.add(signed(bytes));
        Ok(())
    }
}

impl Share {
    /// Room for so many more bytes that have arrived.
    pub(crate) fn arrive(&mut self, bytes: usize) -> Result<(), Full> {
        let is_small = self.bytes + bytes <= SMALL;
        self.budget.take(bytes, if is_small { self.budget.most } else { self.budget.common })?;
        self.bytes += bytes;
        Ok(())
    }

    /// Room for what so many events take beside their bytes; only what is urgent stays in the reserve.
    pub(crate) fn stay(&mut self, events: usize, is_urgent: bool) -> Result<(), Full> {
        let bytes = events * EVENT;
        self.budget.take(bytes, if is_urgent { self.budget.most } else { self.budget.common })?;
        self.bytes += bytes;
        Ok(())
    }

    /// Holds the share until the client has taken the answer: it is as large as the events, and a slow client keeps it waiting.
    pub(crate) fn until_taken(self, answer: Response) -> Response {
        answer.map(|body| Body::new(Held { body, _share: self }))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.budget.shown.sub(signed(self.bytes));
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

struct Held {
    body: Body,
    _share: Share,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Bytes of a body that may use the reserve.
const SMALL: usize = 64 << 10;
/// Bytes that an event takes beside its own: its job, its place in a command, its answer.
pub(crate) const EVENT: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(most: usize, longest: usize) -> Arc<Budget> {
        Arc::new(Budget::new(most, longest, IntGauge::new("bytes", "bytes").unwrap()))
    }

    #[test]
    fn the_reserve_is_for_small_bodies_and_for_urgent_events() {
        let budget = budget(1 << 20, 1 << 10);
        let (mut large, mut small) = (budget.share(), budget.share());
        large.arrive(7 << 17).unwrap();
        assert_eq!(large.arrive(1), Err(Full), "a large one has no part in the reserve");
        small.arrive(SMALL).unwrap();
        assert_eq!(small.arrive(1), Err(Full), "it is no longer small");
        assert_eq!(small.stay(1, false), Err(Full));
        small.stay(1, true).unwrap();
        drop(large);
        small.stay(1, false).unwrap();
        drop(small);
        assert_eq!((budget.used.load(Ordering::Relaxed), budget.shown.get()), (0, 0));
    }

    #[test]
    fn the_longest_body_fits_in_any_case() {
        let budget = budget(100, 100);
        budget.share().arrive(100).unwrap();
        assert_eq!(budget.share().arrive(101), Err(Full));
    }
}
