//! Estimators: histograms, time averages, tallies, confidence intervals and paired comparison.

pub mod binomial;
pub mod histogram;
pub mod holm;
pub mod interval;
pub mod paired;
pub mod spans;
pub mod time_integral;
pub mod welch;
