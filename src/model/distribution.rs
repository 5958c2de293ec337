//! Distributions of service demands, payload sizes and gaps: their description, moments and sampling.

use std::sync::Arc;

use rand::{Rng, RngExt};
use rand_distr::{Distribution as _, Exp1, Gamma, StandardNormal};

/// A distribution of non-negative values, in seconds or bytes as its use says.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Always the same.
    Deterministic {
        /// The value.
        mean: f64,
    },
    /// Memoryless.
    Exponential {
        /// Mean.
        mean: f64,
    },
    /// Sum of `shape` exponential phases.
    Erlang {
        /// Number of phases.
        shape: u32,
        /// Mean of the sum.
        mean: f64,
    },
    /// Gamma.
    Gamma {
        /// Shape; cv = 1 / sqrt(shape).
        shape: f64,
        /// Mean.
        mean: f64,
    },
    /// The exponential of a normal.
    Lognormal {
        /// Mean.
        mean: f64,
        /// Standard deviation over mean.
        cv: f64,
    },
    /// Two exponential phases with balanced means, cv >= 1.
    Hyperexponential {
        /// Mean.
        mean: f64,
        /// Standard deviation over mean.
        cv: f64,
    },
    /// Drawn from measured values, each equally likely.
    Empirical {
        /// The measured values.
        values: Arc<[f64]>,
    },
}

impl Distribution {
    /// Mean value.
    pub fn mean(&self) -> f64 {
        match self {
            Self::Deterministic { mean }
            | Self::Exponential { mean }
            | Self::Erlang { mean, .. }
            | Self::Gamma { mean, .. }
            | Self::Lognormal { mean, .. }
            | Self::Hyperexponential { mean, .. } => *mean,
            Self::Empirical { values } => values.iter().sum::<f64>() / values.len() as f64,
        }
    }

    /// The same shape with all values multiplied.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        let mut scaled = self.clone();
        match &mut scaled {
            Self::Deterministic { mean }
            | Self::Exponential { mean }
            | Self::Erlang { mean, .. }
            | Self::Gamma { mean, .. }
            | Self::Lognormal { mean, .. }
            | Self::Hyperexponential { mean, .. } => *mean *= factor,
            Self::Empirical { values } => *values = values.iter().map(|value| value * factor).collect(),
        }
        scaled
    }

    /// Standard deviation over mean.
    pub fn cv(&self) -> f64 {
        match self {
            Self::Deterministic { .. } => 0.0,
            Self::Exponential { .. } => 1.0,
            Self::Erlang { shape, .. } => 1.0 / f64::from(*shape).sqrt(),
            Self::Gamma { shape, .. } => 1.0 / shape.sqrt(),
            Self::Lognormal { cv, .. } | Self::Hyperexponential { cv, .. } => *cv,
            Self::Empirical { values } => {
                let mean = self.mean();
                let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
                (squares / values.len() as f64).sqrt() / mean
            }
        }
    }
}

/// A distribution made ready for drawing many values.
#[derive(Clone, Debug)]
pub(crate) enum Sampler {
    Constant(f64),
    Exponential { mean: f64 },
    Gamma(Gamma<f64>),
    Lognormal { mu: f64, sigma: f64 },
    Hyperexponential { first: f64, means: [f64; 2] },
    Empirical { values: Arc<[f64]>, scale: f64 },
}

impl Sampler {
    /// Draws `distribution` times `scale`.
    pub(crate) fn new(distribution: &Distribution, scale: f64) -> Self {
        let mean = distribution.mean() * scale;
        match distribution {
            Distribution::Deterministic { .. } => Self::Constant(mean),
            Distribution::Exponential { .. } => Self::Exponential { mean },
            Distribution::Erlang { shape, .. } => Self::gamma(f64::from(*shape), mean),
            Distribution::Gamma { shape, .. } => Self::gamma(*shape, mean),
            Distribution::Lognormal { cv, .. } => {
                let variance = (1.0 + cv * cv).ln();
                Self::Lognormal { mu: mean.ln() - variance / 2.0, sigma: variance.sqrt() }
            }
            Distribution::Hyperexponential { cv, .. } => {
                // Balanced means: both phases contribute half of the mean (Tijms, "Stochastic Models", 1994,
                // appendix B).
                let scv = cv * cv;
                let first = f64::midpoint(1.0, ((scv - 1.0) / (scv + 1.0)).sqrt());
                Self::Hyperexponential { first, means: [mean / (2.0 * first), mean / (2.0 * (1.0 - first))] }
            }
            Distribution::Empirical { values } => Self::Empirical { values: values.clone(), scale },
        }
    }

    fn gamma(shape: f64, mean: f64) -> Self {
        Self::Gamma(
            Gamma::new(shape, mean / shape).expect("the scenario admits positive shapes and means only"),
        )
    }

    /// Draws a value.
    #[inline(always)]
    pub(crate) fn draw(&self, stream: &mut impl Rng) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Exponential { mean } => mean * exponential(stream),
            Self::Gamma(gamma) => gamma.sample(stream),
            Self::Lognormal { mu, sigma } => {
                let normal: f64 = StandardNormal.sample(stream);
                (mu + sigma * normal).exp()
            }
            Self::Hyperexponential { first, means } => {
                let uniform: f64 = stream.random();
                means[usize::from(uniform >= *first)] * exponential(stream)
            }
            Self::Empirical { values, scale } => values[stream.random_range(0..values.len())] * scale,
        }
    }
}

/// An exponential value of mean 1.
#[inline]
pub(crate) fn exponential(stream: &mut impl Rng) -> f64 {
    Exp1.sample(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::stream::stream;
    use crate::stats::interval::Sample;

    /// Mean and second moment over the squared mean lie within 5 standard errors of their exact values.
    #[track_caller]
    fn check(distribution: &Distribution) {
        let sampler = Sampler::new(distribution, 2.0);
        let mut stream = stream(7, 0, "distribution");
        let values: Vec<f64> =
            (0..200_000).map(|_| sampler.draw(&mut stream) / distribution.mean() / 2.0).collect();
        let scv = distribution.cv() * distribution.cv();
        for (power, exact) in [(1, 1.0), (2, 1.0 + scv)] {
            let sample: Sample = values.iter().map(|value| value.powi(power)).collect();
            let error = sample.mean().expect("many values") - exact;
            let standard_error =
                sample.standard_deviation().expect("many values") / (sample.len() as f64).sqrt();
            assert!(
                error.abs() <= 5.0 * standard_error + 1e-9,
                "{distribution:?} moment {power}: off by {error}"
            );
        }
    }

    #[test]
    fn samples_have_the_described_moments() {
        check(&Distribution::Deterministic { mean: 0.3 });
        check(&Distribution::Exponential { mean: 0.3 });
        check(&Distribution::Erlang { shape: 3, mean: 0.3 });
        check(&Distribution::Gamma { shape: 0.5, mean: 0.3 });
        check(&Distribution::Lognormal { mean: 0.3, cv: 0.5 });
        check(&Distribution::Hyperexponential { mean: 0.3, cv: 2.0 });
        check(&Distribution::Hyperexponential { mean: 0.3, cv: 1.0 });
        check(&Distribution::Empirical { values: [0.1, 0.2, 0.9].into() });
    }
}
