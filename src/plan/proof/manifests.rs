//! `hpa.yaml` and `keda.yaml` read back: the autoscaler that Kubernetes makes of them.
//!
//! The two say the same in different words: KEDA makes a HorizontalPodAutoscaler of its ScaledObject. What no manifest says
//! belongs to the cluster (how often it decides, how old the metric is, how long a pod takes to start): that is given.

use contract::metrics::QUEUE_TOTAL_PENDING;
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
    let mut depths = Vec::new();
    for metric in metrics {
        match metric["type"].as_str() {
            Some("External") => {
                let external = &metric["external"];
                must_be(&external["metric"]["name"], QUEUE_TOTAL_PENDING.name)?;
                let target = &external["target"];
                depths.push(match target["type"].as_str() {
                    Some("AverageValue") => (TargetType::AverageValue, quantity(&target["averageValue"])?),
                    Some("Value") => (TargetType::Value, quantity(&target["value"])?),
                    other => return Err(format!("a target of type {other:?}")),
                });
            }
            Some("Resource") => {
                let target = &metric["resource"]["target"]["averageUtilization"];
                autoscaler.cpu_percent = Some(number(target, "averageUtilization")?);
            }
            other => return Err(format!("a metric of type {other:?}")),
        }
    }
    (autoscaler.target_type, autoscaler.target) = only(&depths)?;
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
    let mut depths = Vec::new();
    for trigger in triggers {
        let (of, metadata) = (trigger["type"].as_str(), &trigger["metadata"]);
        match (of, trigger["metricType"].as_str()) {
            (Some("prometheus"), Some(kind @ ("AverageValue" | "Value"))) => {
                must_be(&metadata["query"], &format!("max({})", QUEUE_TOTAL_PENDING.name))?;
                let of = if kind == "Value" { TargetType::Value } else { TargetType::AverageValue };
                depths.push((of, quantity(&metadata["threshold"])?));
            }
            (Some("cpu"), Some("Utilization")) => {
                autoscaler.cpu_percent = Some(quantity(&metadata["value"])? as u32);
            }
            other => return Err(format!("a trigger of {other:?}")),
        }
    }
    (autoscaler.target_type, autoscaler.target) = only(&depths)?;
    Ok(autoscaler)
}

/// The depth of the queue is scaled by once.
fn only(depths: &[(TargetType, u64)]) -> Result<(TargetType, u64), String> {
    match depths {
        [only] => Ok(*only),
        others => {
            Err(format!("{} targets for {}, where one is needed", others.len(), QUEUE_TOTAL_PENDING.name))
        }
    }
}

fn must_be(found: &Value, expected: &str) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{found} where {expected} is needed")) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::distribution::Distribution;

    const HPA: &str = "spec:\n  minReplicas: 2\n  maxReplicas: 9\n  metrics:\n  - type: External\n    external:\n      metric:\n        \
                       name: rule_engine_queue_total_pending\n      target:\n        type: AverageValue\n        averageValue: \"70\"\n";
    const KEDA: &str = "spec:\n  minReplicaCount: 2\n  maxReplicaCount: 9\n  triggers:\n  - type: prometheus\n    metricType: Value\n    \
                        metadata:\n      query: max(rule_engine_queue_total_pending)\n      threshold: \"70\"\n";

    fn cluster() -> AutoscalerConfig {
        AutoscalerConfig {
            min: 1,
            max: 1,
            target: 1,
            target_type: TargetType::AverageValue,
            cpu_percent: None,
            tolerance_up: 0.1,
            tolerance_down: 0.1,
            sync: SimDuration::SECOND,
            metric_age: SimDuration::SECOND,
            start_up: Distribution::Deterministic { mean: 1.0 },
            behavior: None,
        }
    }

    #[test]
    fn both_manifests_are_read() {
        let of = |read: AutoscalerConfig| (read.min, read.max, read.target_type, read.target);
        assert_eq!(of(hpa(HPA, &cluster()).expect("it is whole")), (2, 9, TargetType::AverageValue, 70));
        assert_eq!(of(keda(KEDA, &cluster()).expect("it is whole")), (2, 9, TargetType::Value, 70));
    }

    #[test]
    fn a_manifest_without_the_depth_or_with_another_metric_is_no_plan() {
        let before = |text: &str| text.split("  - type").next().expect("a text").to_owned();
        let no_metric = before(HPA)
            + "  - type: Resource\n    resource:\n      name: cpu\n      target:\n        type: Utilization\n        \
               averageUtilization: 60\n";
        let other = HPA.replace("total_pending", "total_waiting");
        let no_trigger =
            before(KEDA) + "  - type: cpu\n    metricType: Utilization\n    metadata:\n      value: \"60\"\n";
        let summed = KEDA.replace("max(", "sum(");
        for (text, expected) in [(no_metric, "0 targets"), (other, "total_waiting")] {
            let error = hpa(&text, &cluster()).expect_err(&text);
            assert!(error.contains(expected), "{error}");
        }
        for (text, expected) in [(no_trigger, "0 targets"), (summed, "sum(")] {
            let error = keda(&text, &cluster()).expect_err(&text);
            assert!(error.contains(expected), "{error}");
        }
    }
}
