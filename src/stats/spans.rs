//! Durations of which some had not ended when the observation did, and some never will.
//!
//! A job that still waits at the end of a run has waited at least so long; one that was lost waits for ever. Leaving both out
//! makes the waits of a service that loses three jobs in four look short. They are counted instead, and a figure that depends
//! on what became of the unended ones is a lower bound and says so.

use crate::stats::histogram::Histogram;

/// Durations in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Spans<'a> {
    /// Those whose end was seen.
    pub ended: &'a Histogram,
    /// Those that had not ended, as long as they were by then.
    pub open: &'a Histogram,
    /// How many never end.
    pub endless: u64,
}

/// A figure, or what it is at least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AtLeast {
    /// The figure, or the bound; infinite if it never ends.
    pub value: f64,
    /// Whether it is only a bound.
    pub is_bound: bool,
}

impl AtLeast {
    fn exactly(value: f64) -> Self {
        Self { value, is_bound: false }
    }

    fn bound(value: f64) -> Self {
        Self { value, is_bound: true }
    }
}

/// A quantile that the open durations move by no more than this share of it is known.
const LITTLE: f64 = 0.05;

/// From this share of unended durations on, a mean is a bound.
const UNENDED_FOR_BOUND: f64 = 0.01;

impl Spans<'_> {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.ended.count() + self.open.count() + self.endless
    }

    /// The value at or below which a share `level` of them lies; `None` of none. With the open ones going on for ever if that
    /// moves it by a twentieth or less, else a bound, with the open ones as long as they were.
    pub fn quantile(&self, level: f64) -> Option<AtLeast> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let most = self.ended.quantile_among(level, count);
        if self.open.count() == 0 {
            return Some(AtLeast::exactly(most.unwrap_or(f64::INFINITY)));
        }
        let mut so_far = self.ended.clone();
        so_far.merge(self.open);
        let Some(least) = so_far.quantile_among(level, count) else {
            return Some(AtLeast::exactly(f64::INFINITY));
        };
        let known = most.filter(|&most| most <= least * (1.0 + LITTLE));
        Some(known.map_or(AtLeast::bound(least), AtLeast::exactly))
    }

    /// The mean, with the open ones as long as they were; `None` of none. It is infinite with an endless one, and a bound
    /// where one in a hundred or more is open: fewer move it by less than the edges of any run do.
    pub fn mean(&self) -> Option<AtLeast> {
        let seen = self.ended.count() + self.open.count();
        if self.endless > 0 {
            return Some(AtLeast::exactly(f64::INFINITY));
        }
        if seen == 0 {
            return None;
        }
        let mean = (self.ended.sum() + self.open.sum()) as f64 / seen as f64;
        let is_bound = self.open.count() as f64 >= UNENDED_FOR_BOUND * seen as f64;
        Some(if is_bound { AtLeast::bound(mean) } else { AtLeast::exactly(mean) })
    }

    /// The share of them that is not zero; `None` of none.
    pub fn share_above_zero(&self) -> Option<f64> {
        let zeros = self.ended.zeros() + self.open.zeros();
        (self.count() > 0).then(|| (self.count() - zeros) as f64 / self.count() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        values.into_iter().for_each(|value| histogram.record(value));
        histogram
    }

    #[test]
    fn lost_ones_are_longer_than_all() {
        let (ended, open) = (histogram(1..=26), histogram([]));
        let spans = Spans { ended: &ended, open: &open, endless: 74 };
        assert_eq!(spans.quantile(0.26), Some(AtLeast::exactly(26.0)));
        assert_eq!(spans.quantile(0.99), Some(AtLeast::exactly(f64::INFINITY)));
        assert_eq!(spans.mean(), Some(AtLeast::exactly(f64::INFINITY)));
    }

    #[test]
    fn open_ones_are_as_long_as_they_were_or_longer() {
        let (ended, open) = (histogram(1..=90), histogram([5; 10]));
        let spans = Spans { ended: &ended, open: &open, endless: 0 };
        // The 50th of all is 40 with the open ones at 5, and 50 with them beyond all.
        assert_eq!(spans.quantile(0.5), Some(AtLeast::bound(40.0)));
        assert_eq!(spans.quantile(0.95), Some(AtLeast::bound(85.0)));
        assert_eq!(spans.quantile(0.02), Some(AtLeast::exactly(2.0)));
        // One among ninety moves their median by one in 46, which is little: it counts as longer than all.
        let one = histogram([5]);
        assert_eq!(Spans { open: &one, ..spans }.quantile(0.5), Some(AtLeast::exactly(46.0)));
        assert_eq!(spans.mean(), Some(AtLeast::bound((4095.0 + 50.0) / 100.0)));
    }

    #[test]
    fn a_few_open_ones_among_many_change_nothing() {
        let (ended, open) = (histogram((0..10_000).map(|_| 1_000)), histogram([0, 7]));
        let spans = Spans { ended: &ended, open: &open, endless: 0 };
        assert_eq!(spans.quantile(0.99), Some(AtLeast::exactly(1_000.0)));
        assert!(!spans.mean().expect("there are some").is_bound);
        assert_eq!(spans.share_above_zero(), Some(10_001.0 / 10_002.0));
    }

    #[test]
    fn nothing_has_no_figure() {
        let none = histogram([]);
        let spans = Spans { ended: &none, open: &none, endless: 0 };
        assert_eq!((spans.quantile(0.5), spans.mean(), spans.share_above_zero()), (None, None, None));
    }
}
