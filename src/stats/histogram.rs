//! A mergeable log-linear histogram of durations in nanoseconds.
//!
//! Values below 2^8 have a bucket each; above, every power of two is cut into 2^8 equal buckets, so a
//! bucket is at most 1/256 = 0.4% of its values wide, from a nanosecond to centuries (the layout of
//! HdrHistogram). Count, sum, hence the mean, smallest and largest value are exact. Quantiles interpolate inside the
//! bucket, and never leave the range of what was recorded: of values that are all alike each quantile is that value.

use crate::engine::digest::Digest;

/// How many values fell where.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// As many octaves as the values so far need: short waits take little memory.
    buckets: Vec<u64>,
    sum: u128,
    /// The smallest value; `u64::MAX` of none.
    least: u64,
    /// The largest value; zero of none.
    most: u64,
}

/// The bucket of a value, found once for all histograms that record it.
#[derive(Clone, Copy, Debug)]
pub struct Bucket(usize);

const BITS: u32 = 8;
const BUCKETS_PER_OCTAVE: usize = 1 << BITS;

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: Vec::new(), sum: 0, least: u64::MAX, most: 0 }
    }
}

impl Histogram {
    /// An upper bound of |reported quantile - true quantile| / true quantile.
    pub const RELATIVE_ERROR: f64 = 1.0 / BUCKETS_PER_OCTAVE as f64;

    /// Counts a value.
    #[inline]
    pub fn record(&mut self, value: u64) {
        self.record_in(Self::bucket_of(value), value);
    }

    /// Counts a value whose bucket is known.
    #[inline]
    pub fn record_in(&mut self, bucket: Bucket, value: u64) {
        match self.buckets.get_mut(bucket.0) {
            Some(inside) => *inside += 1,
            None => self.record_in_new_octave(bucket),
        }
        self.sum += u128::from(value);
        // Rarely so: the extremes are read far more often than written.
        if (value < self.least) | (value > self.most) {
            self.least = self.least.min(value);
            self.most = self.most.max(value);
        }
    }

    /// The bucket that a value falls into.
    #[inline]
    pub fn bucket_of(value: u64) -> Bucket {
        let octave = u64::BITS - (value >> BITS).leading_zeros();
        let within = (value >> octave.saturating_sub(1)) as usize & (BUCKETS_PER_OCTAVE - 1);
        Bucket(octave as usize * BUCKETS_PER_OCTAVE + within)
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.least > self.most
    }

    /// How many values were recorded. Nobody asks while a run is under way, so it is added up and not kept.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// How many values are above `value` for certain: those in higher buckets than its own.
    pub fn surely_above(&self, value: u64) -> u64 {
        self.buckets.iter().skip(Self::bucket_of(value).0 + 1).sum()
    }

    /// Exact sum of the values.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// The smallest value; `None` of no values.
    pub fn least(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.least)
    }

    /// The largest value; `None` of no values.
    pub fn most(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.most)
    }

    /// Exact mean in the unit of the values; `None` of no values.
    pub fn mean(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.sum as f64 / self.count() as f64)
    }

    /// How many values were exactly zero.
    pub fn zeros(&self) -> u64 {
        self.buckets.first().copied().unwrap_or(0)
    }

    /// The value at or below which a share `level` of the values lies; `None` of no values.
    pub fn quantile(&self, level: f64) -> Option<f64> {
        self.quantile_among(level, self.count())
    }

    /// The same where the values recorded are the smallest of `population`, and the others are larger than all of them;
    /// `None` where the quantile falls among the others.
    pub fn quantile_among(&self, level: f64, population: u64) -> Option<f64> {
        let target = level.clamp(0.0, 1.0) * population as f64;
        let mut below = 0;
        for (bucket, inside) in self.occupied() {
            if (below + inside) as f64 >= target {
                let (low, width) = Self::bounds(bucket);
                let share = if width == 1 { 0.0 } else { (target - below as f64) / inside as f64 };
                let inside = low as f64 + share * width as f64;
                return Some(inside.clamp(self.least as f64, self.most as f64));
            }
            below += inside;
        }
        None
    }

    /// The share of values at or below `value`, interpolated inside its bucket; `None` of no values.
    pub fn share_at_most(&self, value: f64) -> Option<f64> {
        if self.is_empty() {
            return None;
        }
        if value < self.least as f64 {
            return Some(0.0);
        }
        if value >= self.most as f64 {
            return Some(1.0);
        }
        let mut below = 0.0;
        for (bucket, inside) in self.occupied() {
            let (low, width) = Self::bounds(bucket);
            let share = if width == 1 {
                f64::from(low as f64 <= value)
            } else {
                ((value - low as f64) / width as f64).clamp(0.0, 1.0)
            };
            below += share * inside as f64;
        }
        Some(below / self.count() as f64)
    }

    /// Adds the values of another histogram.
    pub fn merge(&mut self, other: &Histogram) {
        self.buckets.resize(self.buckets.len().max(other.buckets.len()), 0);
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(mine, theirs)| *mine += theirs);
        self.sum += other.sum;
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
    }

    /// Forgets all values but keeps the memory.
    pub fn clear(&mut self) {
        self.buckets.fill(0);
        self.sum = 0;
        self.least = u64::MAX;
        self.most = 0;
    }

    /// Adds all that was recorded to a digest. The smallest and the largest value are those of the same records.
    pub fn digest(&self, digest: &mut Digest) {
        digest.add_all([self.count(), self.sum as u64, (self.sum >> 64) as u64]);
        digest.add_all(self.occupied().flat_map(|(bucket, inside)| [bucket as u64, inside]));
    }

    #[cold]
    fn record_in_new_octave(&mut self, bucket: Bucket) {
        let octaves = bucket.0 / BUCKETS_PER_OCTAVE + 1;
        self.buckets.resize(octaves * BUCKETS_PER_OCTAVE, 0);
        self.buckets[bucket.0] += 1;
    }

    fn occupied(&self) -> impl Iterator<Item = (usize, u64)> {
        self.buckets.iter().copied().enumerate().filter(|(_, inside)| *inside > 0)
    }

    /// Lowest value and width of a bucket.
    fn bounds(bucket: usize) -> (u64, u64) {
        let within = bucket % BUCKETS_PER_OCTAVE;
        match (bucket / BUCKETS_PER_OCTAVE).checked_sub(1) {
            None => (within as u64, 1),
            Some(shift) => (((BUCKETS_PER_OCTAVE + within) as u64) << shift, 1 << shift),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_buckets_are_narrow() {
        for exponent in 0..64 {
            for value in
                [1u64 << exponent, (1 << exponent) + (1 << exponent) / 3, u64::MAX >> (63 - exponent)]
            {
                let (low, width) = Histogram::bounds(Histogram::bucket_of(value).0);
                assert!(low <= value && value - low < width, "{value} not in {low} + {width}");
                assert!(width == 1 || (width as f64) <= Histogram::RELATIVE_ERROR * low as f64);
            }
        }
    }

    #[test]
    fn quantiles_are_within_the_stated_error() {
        let mut histogram = Histogram::default();
        let values: Vec<u64> = (1..=10_000u64).map(|i| i * i * 37).collect();
        values.iter().for_each(|&value| histogram.record(value));
        for level in [0.01, 0.5, 0.95, 0.99, 0.999] {
            let exact = values[(level * 10_000.0) as usize - 1] as f64;
            let found = histogram.quantile(level).expect("there are values");
            assert!((found - exact).abs() <= Histogram::RELATIVE_ERROR * exact, "{level}: {found} {exact}");
        }
        assert_eq!(histogram.mean(), Some(values.iter().map(|&v| v as f64).sum::<f64>() / 10_000.0));
    }

    #[test]
    fn merging_equals_recording_together() {
        let (mut left, mut right, mut both) =
            (Histogram::default(), Histogram::default(), Histogram::default());
        for i in 0..1000u64 {
            let value = i * i * i;
            if i % 3 == 0 {
                left.record(value);
            } else {
                right.record(value);
            }
            both.record(value);
        }
        left.merge(&right);
        let digest = |histogram: &Histogram| {
            let mut digest = Digest::default();
            histogram.digest(&mut digest);
            digest.value()
        };
        assert_eq!(digest(&left), digest(&both));
        assert_eq!(left.quantile(0.5), both.quantile(0.5));
    }

    #[test]
    fn values_that_are_all_alike_are_every_quantile() {
        for value in [0, 7, 100_000_000, 18_000_000_001, u64::MAX] {
            let mut histogram = Histogram::default();
            (0..3).for_each(|_| histogram.record(value));
            for level in [0.0, 0.5, 0.99, 1.0] {
                assert_eq!(histogram.quantile(level), Some(value as f64));
            }
            assert_eq!(histogram.share_at_most(value as f64), Some(1.0));
        }
    }

    #[test]
    fn the_largest_of_ten_waits_is_their_p99() {
        let mut histogram = Histogram::default();
        (0..10).for_each(|wait| histogram.record(wait * 2_000_000_000));
        assert_eq!(histogram.quantile(0.99), Some(18e9));
        assert_eq!((histogram.least(), histogram.most()), (Some(0), Some(18_000_000_000)));
    }

    #[test]
    fn quantiles_are_observed_values_but_for_the_stated_error_and_rise_with_their_level() {
        let mut stream = crate::engine::stream::stream(5, 0, "histogram");
        for round in 0..300 {
            let most = 10f64.powi(round % 19);
            let count = 1 + round as usize % 97;
            let mut draw = || (most * rand::RngExt::random::<f64>(&mut stream)) as u64;
            let mut values: Vec<u64> = (0..count).map(|_| draw()).collect();
            let mut histogram = Histogram::default();
            values.iter().for_each(|&value| histogram.record(value));
            values.sort_unstable();
            let mut before = 0.0;
            for step in 0..=200 {
                let level = f64::from(step) / 200.0;
                let found = histogram.quantile(level).expect("there are values");
                let rank = ((level * count as f64).ceil() as usize).max(1);
                let exact = values[rank - 1] as f64;
                assert!(values[0] as f64 <= found && found <= values[count - 1] as f64, "{values:?} {found}");
                assert!(
                    (found - exact).abs() <= Histogram::RELATIVE_ERROR * exact,
                    "{level}: {found} {exact}"
                );
                assert!(before <= found, "{level}: {found} after {before}");
                before = found;
            }
        }
    }

    #[test]
    fn a_quantile_among_larger_ones_is_that_of_all_or_none() {
        let mut histogram = Histogram::default();
        (1..=50).for_each(|value| histogram.record(value));
        assert_eq!(histogram.quantile_among(0.5, 100), Some(50.0));
        assert_eq!(histogram.quantile_among(0.25, 100), Some(25.0));
        assert_eq!(histogram.quantile_among(0.51, 100), None);
    }

    #[test]
    fn nothing_recorded_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(0.5), None);
        assert_eq!(Histogram::default().mean(), None);
    }
}
