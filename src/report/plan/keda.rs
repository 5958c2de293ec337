//! `keda.yaml`: the autoscaler of `hpa.yaml` as a ScaledObject, for clusters in which KEDA reads Prometheus.

use contract::metrics::QUEUE_TOTAL_PENDING;

use super::hpa::{self, Manifest};
use super::view::View;
use crate::model::config::{AutoscalerConfig, TargetType};
use crate::plan::Choice;
use crate::plan::scaling::Scaling;

pub(super) fn render(view: &View<'_>, choice: &Choice) -> String {
    let scaling = Scaling::of(choice);
    let AutoscalerConfig { min, max, target, target_type, cpu_percent, behavior, .. } = &scaling.config;
    let mut file = Manifest::of(view, choice);
    file.comments(
        0,
        &["Instead of the HorizontalPodAutoscaler, never beside it: KEDA makes one of its own.".to_owned()],
    );
    file.lines(0, "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: aemos-worker\nspec:");
    file.lines(2, "scaleTargetRef:\n  apiVersion: apps/v1\n  kind: Deployment\n  name: aemos-worker");
    file.comments(2, &hpa::about_min(&scaling));
    file.lines(2, &format!("minReplicaCount: {min}"));
    file.comments(2, &hpa::about_max(choice, &scaling));
    file.lines(2, &format!("maxReplicaCount: {max}"));
    if behavior.is_some() {
        file.lines(2, "advanced:\n  horizontalPodAutoscalerConfig:");
        file.behavior(6, choice, &scaling, behavior.as_ref());
    }
    file.lines(2, "triggers:\n- type: prometheus");
    let kind = match target_type {
        TargetType::AverageValue => "AverageValue",
        TargetType::Value => "Value",
    };
    file.lines(4, &format!("metricType: {kind}\nmetadata:"));
    file.comments(6, &["Where the cluster has its Prometheus.".to_owned()]);
    file.lines(6, "serverAddress: \"http://prometheus-server.monitoring.svc:80\"");
    file.comments(6, &hpa::about_metric(choice));
    file.lines(6, &format!("query: max({})", QUEUE_TOTAL_PENDING.name));
    file.comments(6, &hpa::about_target(choice, &scaling));
    file.lines(6, &format!("threshold: \"{target}\""));
    if let Some(percent) = cpu_percent {
        file.comments(2, &[hpa::ABOUT_CPU.to_owned()]);
        file.lines(
            2,
            &format!("- type: cpu\n  metricType: Utilization\n  metadata:\n    value: \"{percent}\""),
        );
    }
    file.0
}
