//! `hpa.yaml` and `keda.yaml` read back: the autoscaler that Kubernetes makes of them.
//!
//! The two say the same in different words: KEDA makes a HorizontalPodAutoscaler of its ScaledObject. What no manifest says
//! belongs to the cluster (how often it decides, how old the metric is, how long a pod takes to start): that is given.

use serde_json::Value;

use super::yaml;
use crate::engine::time::SimDuration;
use crate::model::config::{
    AutoscalerConfig, Behavior, PolicyKind, ScalingPolicy, ScalingRules, Select, TargetType,
};

/// The autoscaler of a HorizontalPodAutoscaler (autoscaling/v2) in the cluster of `cluster`.
///
/// # Errors
///
/// What is not there or cannot be read.
pub(super) fn hpa(text: &str, cluster: &AutoscalerConfig) -> Result<AutoscalerConfig, String> {
    let document = yaml::read(text)?;
    let spec = &document["spec"];
    let mut autoscaler = AutoscalerConfig {
        min: number(&spec["minReplicas"], "minReplicas")?,
        max: number(&spec["maxReplicas"], "maxReplicas")?,
        cpu_percent: None,
        behavior: behavior(&spec["behavior"])?,
        ..usual(cluster)
    };
    let metrics = spec["metrics"].as_array().ok_or("there are no metrics")?;
    for metric in metrics {
        match metric["type"].as_str() {
            Some("External") => {
                let target = &metric["external"]["target"];
                (autoscaler.target_type, autoscaler.target) = match target["type"].as_str() {
                    Some("AverageValue") => (TargetType::AverageValue, quantity(&target["averageValue"])?),
                    Some("Value") => (TargetType::Value, quantity(&target["value"])?),
                    other => return Err(format!("a target of type {other:?}")),
                };
            }
            Some("Resource") => {
                let target = &metric["resource"]["target"]["averageUtilization"];
                autoscaler.cpu_percent = Some(number(target, "averageUtilization")?);
            }
            other => return Err(format!("a metric of type {other:?}")),
        }
    }
    Ok(autoscaler)
}

/// The same of a ScaledObject of KEDA.
///
/// # Errors
///
/// What is not there or cannot be read.
pub(super) fn keda(text: &str, cluster: &AutoscalerConfig) -> Result<AutoscalerConfig, String> {
    let document = yaml::read(text)?;
    let spec = &document["spec"];
    let mut autoscaler = AutoscalerConfig {
        min: number(&spec["minReplicaCount"], "minReplicaCount")?,
        max: number(&spec["maxReplicaCount"], "maxReplicaCount")?,
        cpu_percent: None,
        behavior: behavior(&spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"])?,
        ..usual(cluster)
    };
    let triggers = spec["triggers"].as_array().ok_or("there are no triggers")?;
    for trigger in triggers {
        let (of, metadata) = (trigger["type"].as_str(), &trigger["metadata"]);
        match (of, trigger["metricType"].as_str()) {
            (Some("prometheus"), Some("AverageValue")) => {
                (autoscaler.target_type, autoscaler.target) =
                    (TargetType::AverageValue, quantity(&metadata["threshold"])?);
            }
            (Some("prometheus"), Some("Value")) => {
                (autoscaler.target_type, autoscaler.target) =
                    (TargetType::Value, quantity(&metadata["threshold"])?);
            }
            (Some("cpu"), Some("Utilization")) => {
                autoscaler.cpu_percent = Some(quantity(&metadata["value"])? as u32);
            }
            other => return Err(format!("a trigger of {other:?}")),
        }
    }
    Ok(autoscaler)
}

/// A cluster with the controller's usual tolerance, which no manifest of ours changes.
fn usual(cluster: &AutoscalerConfig) -> AutoscalerConfig {
    AutoscalerConfig { tolerance_up: 0.1, tolerance_down: 0.1, ..cluster.clone() }
}

fn behavior(written: &Value) -> Result<Option<Behavior>, String> {
    if written.is_null() {
        return Ok(None);
    }
    Ok(Some(Behavior { up: rules(&written["scaleUp"])?, down: rules(&written["scaleDown"])? }))
}

fn rules(written: &Value) -> Result<ScalingRules, String> {
    let select = match written["selectPolicy"].as_str() {
        Some("Max") => Select::Max,
        Some("Min") => Select::Min,
        Some("Disabled") => Select::Disabled,
        other => return Err(format!("selectPolicy {other:?}")),
    };
    let policies = written["policies"].as_array().ok_or("there are no policies")?;
    let policy = |policy: &Value| -> Result<ScalingPolicy, String> {
        let kind = match policy["type"].as_str() {
            Some("Pods") => PolicyKind::Pods,
            Some("Percent") => PolicyKind::Percent,
            other => return Err(format!("a policy of type {other:?}")),
        };
        let period = seconds(number(&policy["periodSeconds"], "periodSeconds")?);
        Ok(ScalingPolicy { kind, value: number(&policy["value"], "value")?, period })
    };
    Ok(ScalingRules {
        window: seconds(number(&written["stabilizationWindowSeconds"], "stabilizationWindowSeconds")?),
        select,
        policies: policies.iter().map(policy).collect::<Result<_, _>>()?,
    })
}

fn seconds(seconds: u32) -> SimDuration {
    SimDuration(u64::from(seconds) * SimDuration::SECOND.0)
}

fn number(value: &Value, name: &str) -> Result<u32, String> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| format!("{name} is {value}"))
}

/// A quantity of Kubernetes, which stands in quotes.
fn quantity(value: &Value) -> Result<u64, String> {
    value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| format!("{value} is not a quantity"))
}
