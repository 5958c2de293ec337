//! Means over replications and their confidence intervals.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The statistics of independent replications of one number.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    values: Vec<f64>,
}

impl FromIterator<f64> for Sample {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self { values: values.into_iter().collect() }
    }
}

impl Sample {
    /// How many values there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Mean; `None` of no values.
    pub fn mean(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.values.iter().sum::<f64>() / self.len() as f64)
    }

    /// Standard deviation with n - 1; `None` of fewer than two values.
    pub fn standard_deviation(&self) -> Option<f64> {
        let mean = self.mean().filter(|_| self.len() > 1)?;
        let squares: f64 = self.values.iter().map(|value| (value - mean) * (value - mean)).sum();
        Some((squares / (self.len() - 1) as f64).sqrt())
    }

    /// Half the width of the two-sided Student-t interval of the mean at that confidence, as in Law,
    /// "Simulation Modeling and Analysis" (2015), eq. 4.12; `None` of fewer than two values.
    pub fn half_width(&self, confidence: f64) -> Option<f64> {
        let deviation = self.standard_deviation()?;
        let freedom = (self.len() - 1) as f64;
        let t = StudentsT::new(0.0, 1.0, freedom).expect("the degrees of freedom are positive");
        Some(t.inverse_cdf(0.5 + confidence / 2.0) * deviation / (self.len() as f64).sqrt())
    }

    /// The smallest value that at least a share `level` of the values do not exceed; `None` of no values.
    pub fn quantile(&self, level: f64) -> Option<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (level * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied()
    }

    /// Smallest value.
    pub fn min(&self) -> Option<f64> {
        self.values.iter().copied().min_by(f64::total_cmp)
    }

    /// Largest value.
    pub fn max(&self) -> Option<f64> {
        self.values.iter().copied().max_by(f64::total_cmp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_width_matches_the_table_of_student() {
        // t(0.975; 9) = 2.262157 (any table); s = 3.027650, n = 10.
        let sample: Sample = (1..=10).map(f64::from).collect();
        let expected = 2.262_157_16 * 3.027_650_35 / 10f64.sqrt();
        let found = sample.half_width(0.95).expect("ten values");
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }

    #[test]
    fn one_value_has_no_interval() {
        let sample: Sample = [3.0].into_iter().collect();
        assert_eq!(
            (sample.mean(), sample.half_width(0.95), sample.quantile(0.95)),
            (Some(3.0), None, Some(3.0))
        );
    }

    #[test]
    fn quantile_is_an_observed_value() {
        let sample: Sample = (1..=20).map(f64::from).collect();
        assert_eq!(sample.quantile(0.95), Some(19.0));
        assert_eq!(sample.quantile(0.5), Some(10.0));
    }
}
