//! Estimators: histograms, time averages, tallies and confidence intervals.

pub mod histogram;
pub mod interval;
pub mod time_integral;
