//! The difference of two scenarios over the same replications.
//!
//! With common random numbers the two costs of one replication go up and down together, and only their
//! difference says something: so the interval is that of the mean of the differences (Law, "Simulation
//! Modeling and Analysis" (2015), section 10.2.1), and the correlation says how much the pairing helped.

use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::interval::Sample;

/// How much `b` is above `a`, replication by replication.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedDifference {
    /// Mean of `b - a`; negative if b is smaller.
    pub mean: f64,
    /// Half the width of the two-sided Student-t interval of the mean; 0 if all differences are the same.
    pub half_width: f64,
    /// Pairs.
    pub n: usize,
    /// Two-sided p-value of the t-test that the mean is 0. If all differences are the same it is 1 when they
    /// are 0 and 0 when they are not.
    pub p_value: f64,
    /// Correlation of a and b (Pearson); `None` if one of them is constant. The variance of the mean
    /// difference is that of independent replications times about 1 minus this, when both vary alike.
    pub correlation: Option<f64>,
}

impl PairedDifference {
    /// Compares replication i of `a` with replication i of `b`; `None` of fewer than two pairs.
    ///
    /// # Panics
    ///
    /// If there are more of one than of the other, a number is not finite, or the confidence is not above 0 and
    /// below 1.
    #[must_use]
    pub fn of(a: &[f64], b: &[f64], confidence: f64) -> Option<Self> {
        assert_eq!(a.len(), b.len(), "every replication of one has its partner");
        assert!(0.0 < confidence && confidence < 1.0, "confidence {confidence} is a probability");
        let n = a.len();
        if n < 2 {
            return None;
        }
        let differences = || a.iter().zip(b).map(|(a, b)| b - a);
        let sample: Sample = differences().collect();
        // Without this the rounding of the mean would leave a tiny variance of equal differences.
        let first = b[0] - a[0];
        let same = differences().all(|difference| difference - first == 0.0);
        let (mean, error, half_width) = if same {
            (first, 0.0, 0.0)
        } else {
            let error = sample.standard_deviation()? / (n as f64).sqrt();
            (sample.mean()?, error, sample.half_width(confidence)?)
        };
        assert!(mean.is_finite(), "costs are finite");
        let p_value = if error > 0.0 {
            let freedom = (n - 1) as f64;
            let t = StudentsT::new(0.0, 1.0, freedom).expect("the degrees of freedom are positive");
            2.0 * t.sf((mean / error).abs())
        } else if mean == 0.0 {
            1.0
        } else {
            0.0
        };
        Some(Self { mean, half_width, n, p_value, correlation: correlation(a, b) })
    }
}

/// Pearson's coefficient, within -1 and 1 whatever the rounding.
fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    // Relative to the first value, so that a constant leaves no rounding error.
    let centred = |values: &[f64]| -> Vec<f64> {
        let mean = values.iter().map(|value| value - values[0]).sum::<f64>() / values.len() as f64;
        values.iter().map(|value| value - values[0] - mean).collect()
    };
    let (a, b) = (centred(a), centred(b));
    let product = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let scale = product(&a, &a).sqrt() * product(&b, &b).sqrt();
    (scale > 0.0).then(|| (product(&a, &b) / scale).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sleep_data_of_student() {
        // Student, "The probable error of a mean", Biometrika 6 (1908): hours of sleep gained by ten patients
        // with two drugs. R: t.test(sleep2, sleep1, paired = TRUE) gives a mean of 1.58, the interval from
        // 0.7001142 to 2.4598858 and p = 0.002833; cor() gives 0.7951702.
        let first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        let second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
        let found = PairedDifference::of(&first, &second, 0.95).expect("ten pairs");
        assert_eq!(found.n, 10);
        check(found.mean, 1.58, 1e-12);
        check(found.half_width, (2.459_885_8 - 0.700_114_2) / 2.0, 1e-7);
        check(found.p_value, 0.002_833, 1e-6);
        check(found.correlation.expect("both vary"), 0.795_170_2, 1e-7);
    }

    #[test]
    fn three_pairs_by_hand() {
        // Differences 1, 2, 3: mean 2, s = 1, t = 2 sqrt(3). With two degrees of freedom the t distribution is
        // closed: P(T > t) = 1/2 - t / (2 sqrt(2 + t^2)), so p = 1 - sqrt(12 / 14), and the quantile of 0.75 is
        // sqrt(2/3). Costs 1, 2, 3 and 2, 4, 6 are in proportion.
        let found = PairedDifference::of(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0], 0.5).expect("three pairs");
        check(found.mean, 2.0, 1e-15);
        check(found.half_width, (2.0 / 3.0f64).sqrt() / 3f64.sqrt(), 1e-9);
        check(found.p_value, 1.0 - (12.0 / 14.0f64).sqrt(), 1e-9);
        check(found.correlation.expect("both vary"), 1.0, 1e-15);
    }

    #[test]
    fn no_difference_at_all() {
        let costs = [0.1, 0.7, 0.3];
        let found = PairedDifference::of(&costs, &costs, 0.95).expect("three pairs");
        assert_eq!((found.mean, found.half_width, found.p_value), (0.0, 0.0, 1.0));
    }

    #[test]
    fn always_the_same_difference() {
        let found = PairedDifference::of(&[0.5, 1.5, 4.5], &[0.25, 1.25, 4.25], 0.95).expect("three pairs");
        assert_eq!((found.mean, found.half_width, found.p_value), (-0.25, 0.0, 0.0));
        check(found.correlation.expect("both vary"), 1.0, 1e-15);
    }

    #[test]
    fn a_constant_has_no_correlation() {
        let found = PairedDifference::of(&[0.1; 3], &[1.0, 2.0, 4.0], 0.95).expect("three pairs");
        assert_eq!(found.correlation, None);
    }

    #[test]
    fn one_pair_says_nothing() {
        assert_eq!(PairedDifference::of(&[1.0], &[2.0], 0.95), None);
        assert_eq!(PairedDifference::of(&[], &[], 0.95), None);
    }

    #[track_caller]
    fn check(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "{found} {expected}");
    }
}
