//! The difference of two independent means with unequal variances.
//!
//! B. L. Welch, "The generalization of Student's problem when several different population variances are
//! involved", Biometrika 34 (1947). It needs no single values, only what a summary keeps of them.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The mean of independent replications and how far it may be off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanOf {
    /// The mean.
    pub mean: f64,
    /// Half the width of its two-sided Student-t interval.
    pub half_width: f64,
    /// Replications.
    pub n: u32,
}

/// How much one mean is above another one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WelchDifference {
    /// `b - a`; negative if b is smaller.
    pub mean: f64,
    /// Half the width of the two-sided interval of the difference; 0 if neither mean varies.
    pub half_width: f64,
    /// Two-sided p-value of the test that the difference is 0. Where neither mean varies it is 1 or 0.
    pub p_value: f64,
}

impl WelchDifference {
    /// Compares two means whose half-widths, and that of the difference, are at `confidence`. `None` if
    /// one of them rests on fewer than two replications.
    #[must_use]
    pub fn of(a: MeanOf, b: MeanOf, confidence: f64) -> Option<Self> {
        if a.n < 2 || b.n < 2 {
            return None;
        }
        let mean = b.mean - a.mean;
        let level = 0.5 + confidence / 2.0;
        // The squared standard error that the half-width was made of.
        let variance = |of: MeanOf| (of.half_width / student(f64::from(of.n - 1)).inverse_cdf(level)).powi(2);
        let (of_a, of_b) = (variance(a), variance(b));
        let variance = of_a + of_b;
        if variance <= 0.0 {
            let p_value = if mean.abs() > 0.0 { 0.0 } else { 1.0 };
            return Some(Self { mean, half_width: 0.0, p_value });
        }
        // Welch and Satterthwaite, written with shares so that nothing is squared into zero.
        let part = |of: f64, n: u32| (of / variance).powi(2) / f64::from(n - 1);
        let student = student(1.0 / (part(of_a, a.n) + part(of_b, b.n)));
        let error = variance.sqrt();
        Some(Self {
            mean,
            half_width: student.inverse_cdf(level) * error,
            p_value: 2.0 * student.sf((mean / error).abs()),
        })
    }
}

fn student(freedom: f64) -> StudentsT {
    StudentsT::new(0.0, 1.0, freedom).expect("the degrees of freedom are positive")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::interval::Sample;

    fn mean_of(values: &[f64]) -> MeanOf {
        let sample: Sample = values.iter().copied().collect();
        let half_width = sample.half_width(0.95).unwrap();
        MeanOf { mean: sample.mean().unwrap(), half_width, n: values.len() as u32 }
    }

    #[test]
    fn the_sleep_data_of_student() {
        // Student, Biometrika 6 (1908). R: t.test(extra ~ group, data = sleep) gives the difference 1.58, the
        // interval from -0.2054832 to 3.3654832 and p = 0.07939 with 17.776 degrees of freedom.
        let a = mean_of(&[0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]);
        let b = mean_of(&[1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]);
        let found = WelchDifference::of(a, b, 0.95).unwrap();
        assert!((found.mean - 1.58).abs() < 1e-12, "{found:?}");
        assert!((found.half_width - (3.365_483_2 + 0.205_483_2) / 2.0).abs() < 1e-6, "{found:?}");
        assert!((found.p_value - 0.079_39).abs() < 1e-5, "{found:?}");
    }

    #[test]
    fn means_that_do_not_vary() {
        let always = |mean: f64| MeanOf { mean, half_width: 0.0, n: 5 };
        let of = |a, b| WelchDifference::of(always(a), always(b), 0.95).unwrap();
        assert_eq!(of(2.0, 2.0), WelchDifference { mean: 0.0, half_width: 0.0, p_value: 1.0 });
        assert_eq!(of(2.0, 3.0), WelchDifference { mean: 1.0, half_width: 0.0, p_value: 0.0 });
    }

    #[test]
    fn a_mean_against_one_that_does_not_vary_is_students_test() {
        let a = mean_of(&[1.0, 2.0, 3.0, 4.0]);
        let found = WelchDifference::of(a, MeanOf { mean: 0.0, half_width: 0.0, n: 9 }, 0.95).unwrap();
        assert!((found.half_width - a.half_width).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn one_replication_says_nothing() {
        let once = MeanOf { mean: 1.0, half_width: 0.0, n: 1 };
        assert_eq!(WelchDifference::of(once, MeanOf { n: 5, ..once }, 0.95), None);
    }
}
