//! A second guard beside the depth: the memory of the store behind the queue.
//!
//! A Redis at `maxmemory` refuses writes, and a worker that starts then cannot even fetch a job to make room. So the gateway must stop
//! before: from a watermark on it admits priority 1 alone, until the use has fallen a little below it.

use crate::priority::Priority;

/// Sheds by memory in use, with a release point of its own so that it does not chatter.
///
/// ```
/// use backpressure::{MemoryGuard, Priority};
///
/// let mut guard = MemoryGuard::new(750_000);
/// guard.observe(75, 100);
/// assert!(!guard.admits(Priority::DEFAULT) && guard.admits(Priority::MOST_URGENT));
/// guard.observe(72, 100); // above the release point: still shedding
/// assert!(guard.is_shedding());
/// guard.observe(69, 100);
/// assert!(guard.admits(Priority::LEAST_URGENT));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryGuard {
    watermark_ppm: u32,
    shedding: bool,
}

/// How far below the watermark, in millionths of the limit, the use must fall before everybody is let in again.
pub const RELEASE_GAP_PPM: u32 = 50_000;

impl MemoryGuard {
    /// Sheds from that many millionths of the limit on. A watermark of zero sheds always; above a million, never before the
    /// limit is exceeded.
    #[must_use]
    pub const fn new(watermark_ppm: u32) -> MemoryGuard {
        MemoryGuard { watermark_ppm, shedding: false }
    }

    /// Takes in the bytes in use and the limit; a limit of zero is no limit.
    #[inline]
    pub fn observe(&mut self, used: u64, limit: u64) {
        if limit == 0 {
            self.shedding = false;
            return;
        }
        let used = u128::from(used) * 1_000_000;
        let level = |ppm: u32| u128::from(limit) * u128::from(ppm);
        let release = self.watermark_ppm.saturating_sub(RELEASE_GAP_PPM);
        self.shedding = used >= level(self.watermark_ppm) || (self.shedding && used >= level(release));
    }

    /// Whether a job of that priority may come in.
    #[inline]
    #[must_use]
    pub const fn admits(&self, priority: Priority) -> bool {
        !self.shedding || priority.get() == 1
    }

    /// Whether it turns anybody away.
    #[inline]
    #[must_use]
    pub const fn is_shedding(&self) -> bool {
        self.shedding
    }
}
