//! A scenario: what a file (and the command line) asks, checked; it cannot be invalid.

use crate::model::config::ModelConfig;
use slo::Slo;

pub mod slo;

/// A checked scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Name; also the name of the report's folder.
    pub name: String,
    /// The question and the expected answer: the comment that opens the file, empty if there is none.
    pub question: String,
    /// The text of the file.
    pub source: String,
    /// Master seed of all streams.
    pub seed: u64,
    /// Independent runs.
    pub replications: u32,
    /// Objectives.
    pub slo: Vec<Slo>,
    /// What a replication simulates.
    pub model: ModelConfig,
    /// Remarks on settings that are legal but hazardous or assumed.
    pub warnings: Vec<String>,
}
