//! A mergeable log-linear histogram of durations in nanoseconds.
//!
//! Values below 2^8 have a bucket each; above, every power of two is cut into 2^8 equal buckets, so a
//! bucket is at most 1/256 = 0.4% of its values wide, from a nanosecond to centuries (the layout of
//! HdrHistogram). Quantiles interpolate inside the bucket; count and sum, hence the mean, are exact.

use crate::engine::digest::Digest;

/// How many values fell where.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// One vector for each power of two from 2^8 on (the first holds the values below), empty until the
    /// first value falls there: a wait of hours costs nothing to those who never wait hours.
    octaves: Vec<Vec<u64>>,
    count: u64,
    sum: u128,
}

const BITS: u32 = 8;
const BUCKETS: usize = 1 << BITS;

impl Histogram {
    /// An upper bound of (reported quantile - true quantile) / true quantile, either way.
    pub const RELATIVE_ERROR: f64 = 1.0 / BUCKETS as f64;

    /// Counts a value.
    #[inline]
    pub fn record(&mut self, value: u64) {
        let (octave, bucket) = Self::locate(value);
        if let Some(buckets) = self.octaves.get_mut(octave)
            && let Some(entry) = buckets.get_mut(bucket)
        {
            *entry += 1;
        } else {
            self.record_in_new_octave(octave, bucket);
        }
        self.count += 1;
        self.sum += u128::from(value);
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Exact mean in the unit of the values; `None` of no values.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// How many values were exactly zero.
    pub fn zeros(&self) -> u64 {
        self.octaves.first().and_then(|buckets| buckets.first()).copied().unwrap_or(0)
    }

    /// The value below which a share `level` of the values lies; `None` of no values.
    pub fn quantile(&self, level: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let target = level.clamp(0.0, 1.0) * self.count as f64;
        let mut below = 0;
        for (octave, buckets) in self.octaves.iter().enumerate() {
            for (bucket, &inside) in buckets.iter().enumerate() {
                if inside > 0 && (below + inside) as f64 >= target {
                    let (low, width) = Self::bounds(octave, bucket);
                    if width == 1 {
                        return Some(low as f64);
                    }
                    let share = (target - below as f64) / inside as f64;
                    return Some(low as f64 + share * width as f64);
                }
                below += inside;
            }
        }
        unreachable!("the buckets hold all of the {} values counted", self.count)
    }

    /// The share of values at or below `value`, within the resolution of its bucket.
    pub fn share_at_most(&self, value: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let mut below = 0.0;
        for (octave, buckets) in self.octaves.iter().enumerate() {
            for (bucket, &inside) in buckets.iter().enumerate() {
                let (low, width) = Self::bounds(octave, bucket);
                let share = if width == 1 {
                    f64::from(low as f64 <= value)
                } else {
                    ((value - low as f64) / width as f64).clamp(0.0, 1.0)
                };
                below += share * inside as f64;
            }
        }
        Some(below / self.count as f64)
    }

    /// Adds the values of another histogram.
    pub fn merge(&mut self, other: &Histogram) {
        self.octaves.resize(self.octaves.len().max(other.octaves.len()), Vec::new());
        for (mine, theirs) in self.octaves.iter_mut().zip(&other.octaves) {
            if mine.is_empty() {
                mine.clone_from(theirs);
            } else {
                mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
            }
        }
        self.count += other.count;
        self.sum += other.sum;
    }

    /// Forgets all values but keeps the memory.
    pub fn clear(&mut self) {
        if self.count > 0 {
            self.octaves.iter_mut().for_each(|buckets| buckets.fill(0));
        }
        self.count = 0;
        self.sum = 0;
    }

    /// Adds all that was recorded to a digest.
    pub fn digest(&self, digest: &mut Digest) {
        digest.add_all([self.count, self.sum as u64, (self.sum >> 64) as u64]);
        for (octave, buckets) in self.octaves.iter().enumerate() {
            for (bucket, &inside) in buckets.iter().enumerate().filter(|(_, inside)| **inside > 0) {
                digest.add_all([(octave * BUCKETS + bucket) as u64, inside]);
            }
        }
    }

    #[cold]
    fn record_in_new_octave(&mut self, octave: usize, bucket: usize) {
        if self.octaves.len() <= octave {
            self.octaves.resize(octave + 1, Vec::new());
        }
        self.octaves[octave] = vec![0; BUCKETS];
        self.octaves[octave][bucket] = 1;
    }

    #[inline]
    fn locate(value: u64) -> (usize, usize) {
        let octave = (u64::BITS - (value >> BITS).leading_zeros()) as usize;
        let shift = octave.saturating_sub(1);
        (octave, (value >> shift) as usize & (BUCKETS - 1))
    }

    /// Lowest value and width of a bucket.
    fn bounds(octave: usize, bucket: usize) -> (u64, u64) {
        match octave.checked_sub(1) {
            None => (bucket as u64, 1),
            Some(shift) => (((BUCKETS + bucket) as u64) << shift, 1 << shift),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_buckets_are_narrow() {
        for exponent in 0..64 {
            for value in [1u64 << exponent, (1 << exponent) + (1 << exponent) / 3, u64::MAX >> (63 - exponent)] {
                let (octave, bucket) = Histogram::locate(value);
                let (low, width) = Histogram::bounds(octave, bucket);
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
            assert!((found - exact).abs() <= 2.0 * Histogram::RELATIVE_ERROR * exact, "{level}: {found} {exact}");
        }
        assert_eq!(histogram.mean(), Some(values.iter().map(|&v| v as f64).sum::<f64>() / 10_000.0));
    }

    #[test]
    fn merging_equals_recording_together() {
        let (mut left, mut right, mut both) = (Histogram::default(), Histogram::default(), Histogram::default());
        for i in 0..1000u64 {
            let value = i * i * i;
            if i % 3 == 0 { left.record(value) } else { right.record(value) };
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
    fn nothing_recorded_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(0.5), None);
        assert_eq!(Histogram::default().mean(), None);
    }
}
