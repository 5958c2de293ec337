//! `hpa.yaml`: a HorizontalPodAutoscaler (autoscaling/v2), each number with its reason.

use std::fmt::Write;

use contract::metrics::QUEUE_TOTAL_PENDING;

use super::view::{View, times};
use crate::model::config::{AutoscalerConfig, Behavior, PolicyKind, ScalingRules, Select, TargetType};
use crate::model::metric::{Metric, Unit};
use crate::plan::Choice;
use crate::plan::scaling::{LOAD, Scaling, TOLERANCE};
use crate::report::kit::number;
use crate::report::kit::text;

pub(super) fn render(view: &View<'_>, choice: &Choice) -> String {
    let scaling = Scaling::of(choice);
    let AutoscalerConfig { min, max, target, target_type, cpu_percent, behavior, .. } = &scaling.config;
    let mut file = Manifest::of(view, choice);
    file.comments(0, &about_metric(choice));
    file.lines(
        0,
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata:\n  name: aemos-worker\nspec:",
    );
    file.lines(2, "scaleTargetRef:\n  apiVersion: apps/v1\n  kind: Deployment\n  name: aemos-worker");
    file.comments(2, &about_min(&scaling));
    file.lines(2, &format!("minReplicas: {min}"));
    file.comments(2, &about_max(choice, &scaling));
    file.lines(2, &format!("maxReplicas: {max}"));
    file.lines(
        2,
        &format!(
            "metrics:\n- type: External\n  external:\n    metric:\n      name: {}",
            QUEUE_TOTAL_PENDING.name
        ),
    );
    file.lines(6, "target:");
    let (kind, field) = match target_type {
        TargetType::AverageValue => ("AverageValue", "averageValue"),
        TargetType::Value => ("Value", "value"),
    };
    file.lines(8, &format!("type: {kind}"));
    file.comments(8, &about_target(choice, &scaling));
    file.lines(8, &format!("{field}: \"{target}\""));
    if let Some(percent) = cpu_percent {
        file.comments(2, &[ABOUT_CPU.to_owned()]);
        let resource = format!(
            "- type: Resource\n  resource:\n    name: cpu\n    target:\n      type: Utilization\n      averageUtilization: {percent}"
        );
        file.lines(2, &resource);
    }
    file.behavior(2, choice, &scaling, behavior.as_ref());
    file.0
}

/// What the autoscaler counts.
pub(super) fn about_metric(choice: &Choice) -> Vec<String> {
    let mut about = vec![
        "The metric is one number: the adapter must not add up what several gateways say of the same queue,"
            .to_owned(),
        format!("as in: max({})", QUEUE_TOTAL_PENDING.name),
    ];
    if choice.queues > 1 {
        about.push(format!(
            "With {} queues it is the sum over the queues: sum(max by (queue) (...)), and each has its share of the workers.",
            choice.queues
        ));
    }
    about
}

pub(super) fn about_min(scaling: &Scaling) -> Vec<String> {
    match scaling.derived {
        None => vec!["Planned and simulated, together with the maximum.".to_owned()],
        Some(_) => vec![
            "The planned workers. The plan was simulated with them there from the start, without waiting for a".to_owned(),
            "scale-up: a spike is faster than a pod.".to_owned(),
        ],
    }
}

pub(super) fn about_max(choice: &Choice, scaling: &Scaling) -> Vec<String> {
    let AutoscalerConfig { min, max, .. } = scaling.config;
    let Some(derived) = &scaling.derived else {
        return vec!["Planned and simulated, together with the minimum.".to_owned()];
    };
    let good = derived.good_load;
    let busy = View::at_load(&choice.what_if, good).map_or(f64::NAN, |load| load.utilisation);
    vec![
        format!(
            "For {LOAD} times the load: {min} workers meet the objectives up to {} times the load,",
            times(good)
        ),
        format!(
            "busy for {} of the time; as busy at {LOAD} times the load are {min} x {LOAD} / {} = {max}, rounded up.",
            number::optional(Unit::Fraction, Some(busy).filter(|busy| busy.is_finite())),
            times(good)
        ),
    ]
}

/// Little's law, or that the search found it.
pub(super) fn about_target(choice: &Choice, scaling: &Scaling) -> Vec<String> {
    let AutoscalerConfig { target, .. } = scaling.config;
    let Some(derived) = &scaling.derived else { return vec!["Planned and simulated.".to_owned()] };
    let (bound, slots) = (&derived.bound, choice.scenario.model.workers.concurrency);
    let waiting = number::grouped(bound.waiting, 0);
    vec![
        format!(
            "Jobs of each worker. At most {waiting} may wait for it: depth = wait x drain rate (Little's law), and"
        ),
        format!(
            "the last of them waits {}. Bound: {}.",
            number::value(Unit::Seconds, bound.seconds),
            bound.source
        ),
        format!(
            "More workers are asked for at half of that beside {slots} in service, and the rest is for pods to start in;"
        ),
        format!(
            "{TOLERANCE} is the autoscaler's tolerance: ({slots} + {waiting} / 2) / {TOLERANCE} = {target}, rounded down."
        ),
    ]
}

pub(super) const ABOUT_CPU: &str = "The larger of what depth and processors ask for counts.";

/// A manifest that grows line by line.
pub(super) struct Manifest(pub(super) String);

impl Manifest {
    /// One with the plan's head.
    pub(super) fn of(view: &View<'_>, choice: &Choice) -> Self {
        let mut file = Self(String::new());
        let planned = format!("Planned by simulate {} for {}.", choice.findings.summary.version, view.name());
        file.comments(0, &[planned, format!("Again: {}", view.command()), String::new()]);
        file
    }

    pub(super) fn comments(&mut self, indent: usize, lines: &[String]) {
        for line in lines {
            let line = format!("{}# {}", " ".repeat(indent), text::one_line(line));
            let _ = writeln!(self.0, "{}", line.trim_end());
        }
    }

    pub(super) fn lines(&mut self, indent: usize, lines: &str) {
        for line in lines.lines() {
            let _ = writeln!(self.0, "{}{line}", " ".repeat(indent));
        }
    }

    /// The field `behavior`, if it is set.
    pub(super) fn behavior(
        &mut self,
        indent: usize,
        choice: &Choice,
        scaling: &Scaling,
        behavior: Option<&Behavior>,
    ) {
        let Some(Behavior { up, down }) = behavior else { return };
        self.lines(indent, "behavior:\n  scaleUp:");
        if scaling.derived.is_some() {
            let why = "At once, and to twice as many every 15 s: the depth itself is late already, by scrape and sync.";
            self.comments(indent + 4, &[why.to_owned()]);
        }
        self.rules(indent + 4, up);
        self.lines(indent, "  scaleDown:");
        if scaling.derived.is_some() {
            let window = number::value(Unit::Seconds, down.window.as_secs_f64());
            let recovery = match choice.findings.summary.metric(Metric::Recovery).n {
                0 => "there is no spike or fault".to_owned(),
                _ => format!("95 % within {}", View::recovery_p95(&choice.findings.summary)),
            };
            self.comments(
                indent + 4,
                &[
                    format!("Not before fewer were enough for {window}: longer than the planned recovery ({recovery}),"),
                    "so that workers do not leave between two swings of the circuit.".to_owned(),
                ],
            );
        }
        self.rules(indent + 4, down);
    }

    fn rules(&mut self, indent: usize, rules: &ScalingRules) {
        let select = match rules.select {
            Select::Max => "Max",
            Select::Min => "Min",
            Select::Disabled => "Disabled",
        };
        let seconds = |span: crate::engine::time::SimDuration| span.as_secs_f64().ceil();
        self.lines(
            indent,
            &format!(
                "stabilizationWindowSeconds: {}\nselectPolicy: {select}\npolicies:",
                seconds(rules.window)
            ),
        );
        for policy in &rules.policies {
            let kind = match policy.kind {
                PolicyKind::Pods => "Pods",
                PolicyKind::Percent => "Percent",
            };
            let period = seconds(policy.period);
            self.lines(
                indent,
                &format!("- type: {kind}\n  value: {}\n  periodSeconds: {period}", policy.value),
            );
        }
    }
}
