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
