//! The charts of a run.

use crate::experiment::Findings;
use crate::report::kit::chart::Chart;
use crate::scenario::Scenario;

mod clients;
pub(crate) mod depth;
mod memory;
mod rates;
mod recovery;
mod utilisation;
mod waits;
mod workers;

/// All charts of a run in their order.
pub(super) fn all(scenario: &Scenario, findings: &Findings) -> Vec<Chart> {
    let mut charts = vec![depth::chart(scenario, findings), rates::chart(scenario, findings)];
    charts.extend(clients::chart(scenario, findings));
    charts.extend(workers::chart(scenario, findings));
    charts.extend([
        memory::chart(scenario, findings),
        utilisation::chart(scenario, findings),
        waits::chart(scenario, findings),
    ]);
    charts.extend(recovery::chart(scenario, findings));
    charts
}

/// The names of all charts that the report of any run may have.
pub(super) const NAMES: [&str; 8] =
    ["depth", "rates", "clients", "workers", "memory", "utilisation", "waits", "recovery"];
