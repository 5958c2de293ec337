//! `plan.env`: the planned settings as the service reads them.
//!
//! A shell (`set -a; . ./plan.env`) and `docker run --env-file` read the same file: values stand without quotes, and
//! every comment has a line of its own.

use std::fmt::Write;

use contract::variables::{CREDENTIALS_FILE, OPEN_ACCESS, REDIS_URL};

use super::service::{ServiceSettings, Unset};
use super::view::View;
use crate::model::metric::{Metric, Unit};
use crate::plan::Choice;
use crate::report::kit::number;
use crate::report::kit::text;

pub(super) fn render(view: &View<'_>, choice: &Choice) -> String {
    let summary = &choice.findings.summary;
    let recovery = summary.metric(Metric::Recovery);
    let mut file = String::new();
    let mut comment = |line: &str| {
        let line = text::one_line(line);
        let _ = writeln!(file, "{}", format!("# {line}").trim_end());
    };
    comment(&format!("Planned by simulate {} for {}.", summary.version, view.name()));
    comment(&format!("Again: {}", view.command()));
    comment(&format!("Evidence: {}", choice.scenario.command));
    comment(&format!(
        "  {} replications, seed {}, digest {}; {}.",
        summary.replications,
        summary.seed,
        summary.digest,
        view.guarantee(choice)
    ));
    comment(&format!(
        "  recovery {}, refused {}, workers busy {} (means with 95 % intervals); cost {}.",
        number::estimate(Unit::Seconds, recovery),
        number::estimate(Unit::Fraction, summary.metric(Metric::RejectionProbability)),
        number::estimate(Unit::Fraction, summary.metric(Metric::WorkerUtilisation)),
        view.cost(&choice.cost),
    ));
    for objective in &summary.slo {
        let sign = if objective.pass { "met" } else { "MISSED" };
        comment(&format!("  {sign}: {}", super::view::missed_by(objective)));
    }
    comment("");
    let service = ServiceSettings::of(choice);
    comment(&format!(
        "The gateway also needs {}, and {} or {}; the rest has defaults: `gateway --settings`.",
        REDIS_URL.name, CREDENTIALS_FILE.name, OPEN_ACCESS.name
    ));
    comment("No variable says:");
    for Unset { path, value, remedy } in &service.unset {
        comment(&format!("  {path} = {value} ({remedy})"));
    }
    for caveat in view.caveats(choice) {
        comment(&caveat);
    }
    for (variable, value) in &service.set {
        let _ = writeln!(file, "{}={value}", variable.name);
    }
    file
}
