//! `hpa.yaml`: a HorizontalPodAutoscaler (autoscaling/v2) around the planned number of workers.
//!
//! The plan itself needs no autoscaler: it was simulated with its workers there from the start, and they are the
//! minimum here. What scales beyond them is arithmetic, and the file says which.

use std::fmt::Write;

use contract::metrics::QUEUE_TOTAL_PENDING;

use super::view::{View, times};
use crate::model::metric::{Metric, Unit};
use crate::plan::Choice;
use crate::report::kit::number;
use crate::report::kit::text;

/// What the autoscaler is told, and why.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scaling {
    pub(super) min: u32,
    pub(super) max: u32,
    /// Jobs a worker process.
    pub(super) target: u64,
    /// The depth at which the planned workers get company.
    first_step: u64,
    /// The largest multiple of the load, at most 2, at which the planned workers meet the objectives, and how busy
    /// they then are.
    good_load: (f64, f64),
    /// Seconds that a smaller number must have been enough before workers go.
    down_window: u64,
}

impl Scaling {
    pub(super) fn of(choice: &Choice) -> Self {
        let model = &choice.scenario.model;
        let policy = &model.policy.config;
        let (min, slots) = (model.workers.processes, u64::from(model.workers.slots()));
        let good = choice.what_if.headroom.unwrap_or(1.0).clamp(1.0, LOAD);
        let utilisation = View::at_load(&choice.what_if, good).map_or(f64::NAN, |load| load.utilisation);
        let max = (f64::from(min) * LOAD / good - 1e-9).ceil() as u32;
        // While every slot is busy and nothing waits the depth is `slots`: more workers would have nothing to do.
        // Half the way from there to the warning level leaves the other half for pods to start in.
        let first_step =
            if policy.warning() > slots { u64::midpoint(slots, policy.warning()) } else { policy.warning() };
        let target = (first_step as f64 / (TOLERANCE * f64::from(min))).floor().max(1.0) as u64;
        let recovery = choice.findings.summary.metric(Metric::Recovery).p95.unwrap_or(0.0);
        let down_window = (recovery / 60.0).ceil() as u64 * 60;
        Self {
            min,
            max: max.max(min),
            target,
            first_step,
            good_load: (good, utilisation),
            down_window: down_window.clamp(DOWN_WINDOW, MOST_WINDOW),
        }
    }
}

pub(super) fn render(view: &View<'_>, choice: &Choice) -> String {
    let scaling = Scaling::of(choice);
    let model = &choice.scenario.model;
    let policy = &model.policy.config;
    let Scaling { min, max, target, first_step, good_load: (good, utilisation), down_window } = scaling;
    let mut file = String::new();
    let mut comment = |indent: usize, line: &str| comment(&mut file, indent, line);
    comment(0, &format!("Planned by simulate {} for {}.", choice.findings.summary.version, view.name()));
    comment(0, &format!("Again: {}", view.command()));
    comment(0, "");
    comment(
        0,
        "The metric is one number: the adapter must not add up what several gateways say of the same queue,",
    );
    comment(0, &format!("as in: max({})", QUEUE_TOTAL_PENDING.name));
    if choice.queues > 1 {
        comment(
            0,
            &format!(
                "With {} queues it is the sum over the queues: sum(max by (queue) (...)), and each has its share of the workers.",
                choice.queues
            ),
        );
    }
    file +=
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata:\n  name: aemos-worker\nspec:\n";
    file += "  scaleTargetRef:\n    apiVersion: apps/v1\n    kind: Deployment\n    name: aemos-worker\n";
    let mut comment = |indent: usize, line: &str| self::comment(&mut file, indent, line);
    comment(
        2,
        "The planned workers. The plan was simulated with them there from the start, without waiting for a",
    );
    comment(2, "scale-up: a spike is faster than a pod.");
    let _ = writeln!(file, "  minReplicas: {min}");
    let mut comment = |indent: usize, line: &str| self::comment(&mut file, indent, line);
    comment(
        2,
        &format!(
            "For 2 times the load. Arithmetic, not simulated: {min} workers meet the objectives up to {} times the load,",
            times(good)
        ),
    );
    comment(
        2,
        &format!(
            "busy for {} of the time; as busy at 2 times the load are {min} x 2 / {} = {max}, rounded up.",
            number::value(Unit::Fraction, utilisation),
            times(good)
        ),
    );
    let _ = writeln!(file, "  maxReplicas: {max}");
    file += "  metrics:\n  - type: External\n    external:\n      metric:\n";
    let _ = writeln!(file, "        name: {}", QUEUE_TOTAL_PENDING.name);
    file += "      target:\n        type: AverageValue\n";
    let mut comment = |indent: usize, line: &str| self::comment(&mut file, indent, line);
    let warning = number::grouped(policy.warning() as f64, 0);
    let (step, slots) = (number::grouped(first_step as f64, 0), model.workers.slots());
    comment(
        8,
        &format!(
            "{min} workers get company when the depth passes 1.1 x averageValue x {min}: 1.1 is the autoscaler's"
        ),
    );
    comment(
        8,
        &format!(
            "tolerance. That is to be at {step} jobs, before the warning level of {warning} is reached:"
        ),
    );
    if policy.warning() > u64::from(slots) {
        comment(8, &format!("half way from {slots}, all slots busy and nothing waiting, to {warning}."));
    } else {
        comment(8, &format!("the warning level itself, since {slots} busy slots alone are more."));
    }
    comment(8, &format!("averageValue = {step} / (1.1 x {min}), rounded down."));
    let _ = writeln!(file, "        averageValue: \"{target}\"");
    file += "  behavior:\n    scaleUp:\n";
    let mut comment = |indent: usize, line: &str| self::comment(&mut file, indent, line);
    comment(
        6,
        "At once, and to twice as many every 15 s: the depth itself is late already, by scrape and sync.",
    );
    file += "      stabilizationWindowSeconds: 0\n      selectPolicy: Max\n      policies:\n";
    file += "      - type: Percent\n        value: 100\n        periodSeconds: 15\n";
    file += "      - type: Pods\n        value: 4\n        periodSeconds: 15\n    scaleDown:\n";
    let mut comment = |indent: usize, line: &str| self::comment(&mut file, indent, line);
    comment(
        6,
        &format!(
            "Not before fewer were enough for {}: longer than the planned recovery (95 % within {}), so that",
            number::value(Unit::Seconds, down_window as f64),
            View::recovery_p95(&choice.findings.summary)
        ),
    );
    comment(6, "workers do not leave between two swings of the circuit.");
    let _ = writeln!(file, "      stabilizationWindowSeconds: {down_window}");
    file += "      selectPolicy: Max\n      policies:\n      - type: Percent\n        value: 100\n        periodSeconds: 15\n";
    file
}

fn comment(file: &mut String, indent: usize, line: &str) {
    let line = format!("{}# {}", " ".repeat(indent), text::one_line(line));
    *file += line.trim_end();
    file.push('\n');
}

/// The multiple of the load that the largest number of workers is for.
const LOAD: f64 = 2.0;
/// The autoscaler leaves things as they are up to this ratio of the metric to its target.
const TOLERANCE: f64 = 1.1;
/// Kubernetes' own window before it scales down, and the largest it takes, in seconds.
const DOWN_WINDOW: u64 = 300;
const MOST_WINDOW: u64 = 3_600;
