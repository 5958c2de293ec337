//! What may happen to a planned configuration: more load than planned, and workers that are gone.
//!
//! Both the evidence of a plan (`what_if`) and the test of its files (`proof`) ask about the same incidents.

use crate::model::config::ModelConfig;
use crate::scenario::Scenario;

/// Something that happens to a configuration, for the whole run.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// `one worker of 5 lost`, `1.5 times the load`.
    pub name: String,
    /// What happens.
    pub change: Change,
}

/// What happens in an incident.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// All rates are multiplied.
    Load(f64),
    /// That many worker processes are left. An autoscaler cannot replace those that are lost: the machines under them
    /// are gone.
    WorkersLeft(u32),
}

impl Change {
    /// Makes it happen.
    pub fn apply(self, model: &mut ModelConfig) {
        match self {
            Self::Load(factor) => model.scale_load(factor),
            Self::WorkersLeft(left) => {
                let lost = model.workers.processes.saturating_sub(left);
                model.workers.processes = left;
                if let Some(autoscaler) = &mut model.autoscaler {
                    autoscaler.max = autoscaler.max.saturating_sub(lost).max(1);
                    autoscaler.min = autoscaler.min.min(left).min(autoscaler.max);
                    model.workers.processes = left.clamp(autoscaler.min, autoscaler.max);
                }
            }
        }
    }
}

/// Replications of each incident and change: enough to see what matters. Where one has ten million jobs, the means of another
/// would be the same to three digits.
pub fn replications(scenario: &Scenario) -> u32 {
    const MOST: u32 = 3;
    const ENOUGH_JOBS: f64 = 1e7;
    let jobs: f64 = (0..scenario.model.classes.len()).map(|class| scenario.model.offered_jobs(class)).sum();
    let most = if jobs >= ENOUGH_JOBS { 1 } else { MOST };
    scenario.replications.min(most)
}

/// What can be lost: one process, and a third of them, as when a zone of three goes away. Each with its name and the
/// processes that are left.
pub fn losses(model: &ModelConfig) -> Vec<(String, u32)> {
    let processes = model.workers.processes;
    let zone = processes.div_ceil(3);
    let mut losses = Vec::new();
    if processes > 1 {
        losses.push((format!("one worker of {processes}"), processes - 1));
    }
    if zone > 1 {
        losses.push((format!("a zone: {zone} workers of {processes}"), processes - zone));
    }
    losses
}

/// The incidents in which alerts are looked at.
pub fn all(model: &ModelConfig) -> Vec<Incident> {
    let loads = [1.5, 2.0]
        .map(|factor| Incident { name: format!("{factor} times the load"), change: Change::Load(factor) });
    let losses = losses(model)
        .into_iter()
        .map(|(name, left)| Incident { name: format!("{name} lost"), change: Change::WorkersLeft(left) });
    loads.into_iter().chain(losses).collect()
}
