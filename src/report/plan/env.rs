//! `plan.env`: the planned settings as the service reads them.
//!
//! A shell (`set -a; . ./plan.env`) and `docker run --env-file` read the same file: values stand without quotes, and
//! every comment has a line of its own.

use std::fmt::Write;

use super::view::{View, beyond_the_variables};
use crate::model::metric::{Metric, Unit};
use crate::plan::Choice;
use crate::report::kit::number;
use crate::report::kit::text;

pub(super) fn render(view: &View<'_>, choice: &Choice) -> String {
    let model = &choice.scenario.model;
    let policy = &model.policy.config;
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
        "  recovery {}, rejected {}, workers busy {} (means with 95 % intervals); cost {}.",
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
    comment(&format!(
        "What has no variable: {} worker processes; Redis maxmemory {}, noeviction; {} queue(s).",
        model.workers.processes,
        model.redis.maxmemory.map_or("without limit".to_owned(), |bytes| format!("{bytes} bytes")),
        choice.queues,
    ));
    for beyond in beyond_the_variables(&choice.scenario) {
        comment(&format!("The {} of the plan is {}, which no variable sets.", beyond.name, beyond.value));
    }
    for caveat in view.caveats(choice) {
        comment(&caveat);
    }
    let values = [
        ("ENABLE_BACKPRESSURE", policy.enabled().to_string()),
        ("QUEUE_WARNING_THRESHOLD", policy.warning().to_string()),
        ("QUEUE_CRITICAL_THRESHOLD", policy.critical().to_string()),
        ("QUEUE_RECOVERY_THRESHOLD", policy.recovery().to_string()),
        ("DEFAULT_EVENT_PRIORITY", policy.default_priority().get().to_string()),
        ("RULE_ENGINE_WORKER_CONCURRENCY", model.workers.concurrency.to_string()),
    ];
    for (name, value) in values {
        let _ = writeln!(file, "{name}={value}");
    }
    file
}
