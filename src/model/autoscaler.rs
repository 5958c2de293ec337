//! The Kubernetes HorizontalPodAutoscaler on an external metric and on the processors, as its controller computes it.
//!
//! ```text
//! metric --> recommendation (tolerance, then ceil) --> stabilized (windows) --> rate limits (policies) --> min, max
//! ```
//!
//! Sources: `replica_calculator.go`, `horizontal.go` and `autoscaling/v2/defaults.go` of Kubernetes 1.33. This is the decision alone: it
//! starts no pod and knows no depth. External metrics know no readiness, so pods that are not ready count like any other; of the
//! processors only pods that are ready say something. The largest of several recommendations counts, and with one missing nothing
//! is taken away.

use std::collections::VecDeque;

use crate::engine::time::{SimDuration, SimTime};
use crate::model::distribution::Distribution;

/// Settings of an autoscaler.
#[derive(Clone, Debug, PartialEq)]
pub struct AutoscalerConfig {
    /// Fewest replicas.
    pub min: u32,
    /// Most replicas.
    pub max: u32,
    /// Jobs that the metric is held against.
    pub target: u64,
    /// How.
    pub target_type: TargetType,
    /// Percent of their requests that the processors of all pods are to be used in the mean; `None` if it does not look at them.
    pub cpu_percent: Option<u32>,
    /// Ratios of metric to target up to 1 + this change nothing.
    pub tolerance_up: f64,
    /// Ratios down to 1 - this change nothing.
    pub tolerance_down: f64,
    /// Time between two decisions.
    pub sync: SimDuration,
    /// How old the metric is by then: scrape, adapter, poll.
    pub metric_age: SimDuration,
    /// From the order of a pod until it takes jobs, in seconds.
    pub start_up: Distribution,
    /// Windows and rates; `None` where `behavior` is not set, which is the old algorithm.
    pub behavior: Option<Behavior>,
}

/// What the target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetType {
    /// The metric over the number of replicas (`AverageValue`).
    AverageValue,
    /// The metric itself (`Value`).
    Value,
}

/// The field `behavior`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behavior {
    /// Going up.
    pub up: ScalingRules,
    /// Going down.
    pub down: ScalingRules,
}

/// How fast it may go in one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalingRules {
    /// The most cautious recommendation of this window counts.
    pub window: SimDuration,
    /// Which policy counts where there are several.
    pub select: Select,
    /// How much is allowed in how long.
    pub policies: Vec<ScalingPolicy>,
}

/// Which policy counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    /// The one that allows the largest change.
    Max,
    /// The one that allows the smallest.
    Min,
    /// None: this direction is closed.
    Disabled,
}

/// A limit of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScalingPolicy {
    /// Replicas, or percent of those at the start of the period.
    pub kind: PolicyKind,
    /// How many.
    pub value: u32,
    /// In how long.
    pub period: SimDuration,
}

/// What a policy counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// Replicas.
    Pods,
    /// Percent.
    Percent,
}

/// What is read for a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// Jobs waiting and in service; `None` where there is no reading.
    pub depth: Option<u64>,
    /// The processors; `None` where there is no reading.
    pub cpu: Option<CpuReading>,
}

/// How busy the processors are. A slot in service uses its part of what its pod requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuReading {
    /// Pods that are ready.
    pub ready: u32,
    /// Pods that are not yet.
    pub unready: u32,
    /// Slots in service.
    pub busy: u64,
    /// Slots of a pod.
    pub slots: u32,
}

impl CpuReading {
    /// Use of that many pods together, in whole percent of what they request, as the controller cuts it off.
    fn percent(self, pods: u32) -> u64 {
        100 * self.busy / (u64::from(pods) * u64::from(self.slots)).max(1)
    }
}

/// What a sync decided, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Replicas from now on.
    pub replicas: u32,
    /// What the metric alone would have.
    pub recommended: u32,
    /// What settled it.
    pub reason: ScalingReason,
}

/// What settled a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScalingReason {
    /// The metric is near the target.
    WithinTolerance,
    /// The metric asks for this.
    Metric,
    /// A window holds it.
    Stabilized,
    /// A policy allows no more at once.
    RateLimited,
    /// It may not be fewer.
    Minimum,
    /// It may not be more.
    Maximum,
    /// There is no metric.
    NoMetric,
    /// There are no replicas, which switches it off.
    Disabled,
}

impl ScalingReason {
    /// In words, for reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            ScalingReason::WithinTolerance => "within tolerance",
            ScalingReason::Metric => "metric",
            ScalingReason::Stabilized => "held by a window",
            ScalingReason::RateLimited => "rate limit",
            ScalingReason::Minimum => "minimum",
            ScalingReason::Maximum => "maximum",
            ScalingReason::NoMetric => "no metric",
            ScalingReason::Disabled => "switched off",
        }
    }
}

impl Default for Behavior {
    /// The defaults of Kubernetes: up 4 pods or 100% in 15 s, whichever is more, at once; down 100% in 15 s after 300 s.
    fn default() -> Self {
        let policy = |kind, value| ScalingPolicy { kind, value, period: SimDuration(15 * SECOND) };
        Self {
            up: ScalingRules {
                window: SimDuration::ZERO,
                select: Select::Max,
                policies: vec![policy(PolicyKind::Pods, 4), policy(PolicyKind::Percent, 100)],
            },
            down: ScalingRules {
                window: LEGACY_WINDOW,
                select: Select::Max,
                policies: vec![policy(PolicyKind::Percent, 100)],
            },
        }
    }
}

/// An autoscaler with its memory.
#[derive(Clone, Debug)]
pub struct Autoscaler {
    config: AutoscalerConfig,
    /// Raw recommendations, the oldest first.
    recommendations: VecDeque<(SimTime, u32)>,
    /// Replicas added and removed, the oldest first.
    added: VecDeque<(SimTime, u32)>,
    removed: VecDeque<(SimTime, u32)>,
}

const SECOND: u64 = 1_000_000_000;
/// The controller's `--horizontal-pod-autoscaler-downscale-stabilization`.
const LEGACY_WINDOW: SimDuration = SimDuration(300 * SECOND);
/// Without `behavior`, at most this many times as many at once, or this many.
const LEGACY_FACTOR: u32 = 2;
const LEGACY_LEAST: u32 = 4;

impl Autoscaler {
    /// An autoscaler before its first decision, with the current replicas: they are its first recommendation, as in the controller.
    pub fn new(config: AutoscalerConfig, replicas: u32) -> Self {
        let recommendations = VecDeque::from([(SimTime::ZERO, replicas)]);
        Self { config, recommendations, added: VecDeque::new(), removed: VecDeque::new() }
    }

    /// Decides: `metric` jobs were counted, `current` replicas are ordered.
    pub fn sync(&mut self, now: SimTime, metric: Option<u64>, current: u32) -> Decision {
        self.decide(now, Readings { depth: metric, cpu: None }, current)
    }

    /// Decides by all that was read; `current` replicas are ordered.
    pub fn decide(&mut self, now: SimTime, readings: Readings, current: u32) -> Decision {
        let held = |reason| Decision { replicas: current, recommended: current, reason };
        if current == 0 && self.config.min > 0 {
            return held(ScalingReason::Disabled);
        }
        if current > self.config.max {
            return self.enact(now, current, self.config.max, self.config.max, ScalingReason::Maximum);
        }
        if current < self.config.min {
            return self.enact(now, current, self.config.min, self.config.min, ScalingReason::Minimum);
        }
        let Some((recommended, settled)) = self.wanted(readings, current) else {
            return held(ScalingReason::NoMetric);
        };
        let (replicas, reason) = match self.config.behavior.clone() {
            Some(behavior) => self.behave(&behavior, now, current, recommended, settled),
            None => self.behave_as_before(now, current, recommended, settled),
        };
        self.enact(now, current, replicas, recommended, reason)
    }

    /// The largest of the recommendations (`computeReplicasForMetrics`); `None` if there is none, or if one is missing and the others
    /// would take replicas away.
    fn wanted(&self, readings: Readings, current: u32) -> Option<(u32, ScalingReason)> {
        let by_depth = readings.depth.map(|depth| self.recommend(depth, current));
        let by_cpu = self.config.cpu_percent.map(|target| {
            let reading = readings.cpu.filter(|reading| reading.ready > 0);
            reading.map(|reading| self.recommend_by_cpu(reading, target, current))
        });
        let all = || [Some(by_depth), by_cpu].into_iter().flatten();
        let known = || all().flatten();
        let largest = known().map(|replicas| replicas.unwrap_or(current)).max()?;
        if largest < current && all().any(|recommendation| recommendation.is_none()) {
            return None;
        }
        let is_within = known().all(|replicas| replicas.is_none());
        Some((largest, if is_within { ScalingReason::WithinTolerance } else { ScalingReason::Metric }))
    }

    /// The replicas that the processors ask for (`GetResourceReplicas`); `None` if they are near enough to the target. Pods that are
    /// not ready count as idle where more are wanted, so that what has been ordered is not ordered again.
    fn recommend_by_cpu(&self, reading: CpuReading, target: u32, current: u32) -> Option<u32> {
        let is_within = |ratio: f64| self.is_within_tolerance(ratio);
        let ratio_of = |pods: u32| reading.percent(pods) as f64 / f64::from(target);
        let ratio = ratio_of(reading.ready);
        if reading.unready == 0 || ratio <= 1.0 {
            return (!is_within(ratio)).then(|| (ratio * f64::from(reading.ready)).ceil() as u32);
        }
        let pods = reading.ready + reading.unready;
        let ratio = ratio_of(pods);
        if is_within(ratio) || ratio < 1.0 {
            return None;
        }
        let replicas = (ratio * f64::from(pods)).ceil() as u32;
        (replicas >= current).then_some(replicas)
    }

    fn is_within_tolerance(&self, ratio: f64) -> bool {
        (1.0 - self.config.tolerance_down..=1.0 + self.config.tolerance_up).contains(&ratio)
    }

    /// The replicas that the depth asks for; `None` if it is near enough to the target. Quantities are milli-units, as in the controller.
    fn recommend(&self, metric: u64, current: u32) -> Option<u32> {
        let AutoscalerConfig { target, target_type, .. } = self.config;
        // Doubles, as in the controller: where a quotient rounds, it rounds there too.
        let (usage, target) = (metric as f64 * 1_000.0, target as f64 * 1_000.0);
        let replicas = f64::from(current);
        let ratio = match target_type {
            TargetType::AverageValue => usage / (target * replicas),
            TargetType::Value => usage / target,
        };
        if current > 0 && self.is_within_tolerance(ratio) {
            return None;
        }
        Some(match target_type {
            TargetType::AverageValue => (usage / target).ceil() as u32,
            TargetType::Value if current == 0 => ratio.ceil() as u32,
            TargetType::Value => (ratio * replicas).ceil() as u32,
        })
    }

    /// With `behavior`: `stabilizeRecommendationWithBehaviors`, then `convertDesiredReplicasWithBehaviorRate`.
    fn behave(
        &mut self,
        behavior: &Behavior,
        now: SimTime,
        current: u32,
        recommended: u32,
        settled: ScalingReason,
    ) -> (u32, ScalingReason) {
        self.remember(now, recommended, behavior.up.window.max(behavior.down.window));
        let newer = |window: SimDuration| {
            let recent = self.recommendations.iter().filter(move |(time, _)| now.since(*time) < window);
            recent.map(|(_, replicas)| *replicas)
        };
        let up = newer(behavior.up.window).chain([recommended]).min().unwrap_or(recommended);
        let down = newer(behavior.down.window).chain([recommended]).max().unwrap_or(recommended);
        let mut replicas = current;
        replicas = replicas.max(up);
        replicas = replicas.min(down);
        let mut reason = if replicas == recommended { settled } else { ScalingReason::Stabilized };
        if replicas > current {
            let limit = self.limit_up(&behavior.up, now, current).max(current);
            let most = limit.min(self.config.max);
            if replicas > most {
                reason =
                    if most == self.config.max { ScalingReason::Maximum } else { ScalingReason::RateLimited };
                replicas = most;
            }
        } else if replicas < current {
            let limit = self.limit_down(&behavior.down, now, current).min(current);
            let least = limit.max(self.config.min);
            if replicas < least {
                reason = if least == self.config.min {
                    ScalingReason::Minimum
                } else {
                    ScalingReason::RateLimited
                };
                replicas = least;
            }
        }
        (replicas, reason)
    }

    /// Without: the largest recommendation of 300 s, then at most double or 4.
    fn behave_as_before(
        &mut self,
        now: SimTime,
        current: u32,
        recommended: u32,
        settled: ScalingReason,
    ) -> (u32, ScalingReason) {
        self.remember(now, recommended, LEGACY_WINDOW);
        let stabilized =
            self.recommendations.iter().map(|(_, replicas)| *replicas).max().unwrap_or(recommended);
        let reason = if stabilized == recommended { settled } else { ScalingReason::Stabilized };
        let limit = (LEGACY_FACTOR * current).max(LEGACY_LEAST);
        if stabilized < self.config.min {
            (self.config.min, ScalingReason::Minimum)
        } else if stabilized > limit.min(self.config.max) {
            if limit < self.config.max {
                (limit, ScalingReason::RateLimited)
            } else {
                (self.config.max, ScalingReason::Maximum)
            }
        } else {
            (stabilized, reason)
        }
    }

    fn remember(&mut self, now: SimTime, recommended: u32, window: SimDuration) {
        while self.recommendations.front().is_some_and(|(time, _)| now.since(*time) >= window) {
            self.recommendations.pop_front();
        }
        self.recommendations.push_back((now, recommended));
    }

    fn limit_up(&self, rules: &ScalingRules, now: SimTime, current: u32) -> u32 {
        let allowed = |policy: &ScalingPolicy| {
            let start = self.at_start_of(policy.period, now, current);
            match policy.kind {
                PolicyKind::Pods => start + i64::from(policy.value),
                // In doubles, as the controller: 10% more than 50 are 55.00000000000001, and so 56.
                PolicyKind::Percent => (start as f64 * (1.0 + f64::from(policy.value) / 100.0)).ceil() as i64,
            }
        };
        let limits = rules.policies.iter().map(allowed);
        let limit = match rules.select {
            Select::Max => limits.max(),
            Select::Min => limits.min(),
            Select::Disabled => None,
        };
        limit.map_or(current, |limit| limit.clamp(0, i64::from(u32::MAX)) as u32)
    }

    fn limit_down(&self, rules: &ScalingRules, now: SimTime, current: u32) -> u32 {
        let allowed = |policy: &ScalingPolicy| {
            let start = self.at_start_of(policy.period, now, current);
            match policy.kind {
                PolicyKind::Pods => start - i64::from(policy.value),
                // The controller cuts the fraction off.
                PolicyKind::Percent => (start as f64 * (1.0 - f64::from(policy.value) / 100.0)) as i64,
            }
        };
        let limits = rules.policies.iter().map(allowed);
        let limit = match rules.select {
            Select::Max => limits.min(),
            Select::Min => limits.max(),
            Select::Disabled => None,
        };
        limit.map_or(current, |limit| limit.clamp(0, i64::from(u32::MAX)) as u32)
    }

    /// Replicas at the start of a period that ends now.
    fn at_start_of(&self, period: SimDuration, now: SimTime, current: u32) -> i64 {
        let within = |events: &VecDeque<(SimTime, u32)>| -> i64 {
            let recent = events.iter().filter(|(time, _)| now.since(*time) < period);
            recent.map(|(_, replicas)| i64::from(*replicas)).sum()
        };
        i64::from(current) - within(&self.added) + within(&self.removed)
    }

    fn enact(
        &mut self,
        now: SimTime,
        current: u32,
        replicas: u32,
        recommended: u32,
        reason: ScalingReason,
    ) -> Decision {
        let longest = |rules: &ScalingRules| rules.policies.iter().map(|policy| policy.period).max();
        let behavior = self.config.behavior.as_ref();
        let period = behavior.and_then(|behavior| longest(&behavior.up).max(longest(&behavior.down)));
        for events in [&mut self.added, &mut self.removed] {
            while events.front().is_some_and(|(time, _)| Some(now.since(*time)) >= period) {
                events.pop_front();
            }
        }
        if replicas > current {
            self.added.push_back((now, replicas - current));
        } else if replicas < current {
            self.removed.push_back((now, current - replicas));
        }
        Decision { replicas, recommended, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::stream::mix;

    fn config(behavior: Option<Behavior>) -> AutoscalerConfig {
        AutoscalerConfig {
            min: 1,
            max: 1_000,
            target: 5_000,
            target_type: TargetType::AverageValue,
            cpu_percent: None,
            tolerance_up: 0.1,
            tolerance_down: 0.1,
            sync: SimDuration(15 * SECOND),
            metric_age: SimDuration::ZERO,
            start_up: Distribution::Deterministic { mean: 1.0 },
            behavior,
        }
    }

    /// Replicas after each sync of 15 s, with that metric.
    fn course(config: AutoscalerConfig, start: u32, metrics: &[u64]) -> Vec<u32> {
        let mut autoscaler = Autoscaler::new(config, start);
        let mut replicas = start;
        let sync = |(index, &metric): (usize, &u64)| {
            let now = SimTime((index as u64 + 1) * 15 * SECOND);
            replicas = autoscaler.sync(now, Some(metric), replicas).replicas;
            replicas
        };
        metrics.iter().enumerate().map(sync).collect()
    }

    /// The sequences that follow from the defaults in `autoscaling/v2/defaults.go`, and from the old limit in `horizontal.go`.
    #[test]
    fn the_documented_sequences() {
        let flood = [10_000_000; 4];
        assert_eq!(course(config(Some(Behavior::default())), 1, &flood), [5, 10, 20, 40]);
        assert_eq!(course(config(None), 1, &flood), [4, 8, 16, 32]);
    }

    #[test]
    fn a_metric_within_the_tolerance_changes_nothing() {
        // 2 replicas: ratio 0.9 and 1.1 exactly, then beyond.
        let behavior = || Some(Behavior::default());
        assert_eq!(course(config(behavior()), 2, &[9_000, 11_000]), [2, 2]);
        assert_eq!(course(config(behavior()), 2, &[11_001]), [3]);
        let mut eager = config(behavior());
        (eager.tolerance_up, eager.tolerance_down) = (0.0, 0.0);
        assert_eq!(course(eager, 2, &[10_001]), [3]);
    }

    /// Ten slots a pod and 50% wanted, beside a depth that asks for one pod.
    #[test]
    fn processors_are_a_second_metric() {
        let decide = |depth, ready, unready, busy| {
            let config = AutoscalerConfig { cpu_percent: Some(50), ..config(Some(Behavior::default())) };
            let readings = Readings { depth, cpu: Some(CpuReading { ready, unready, busy, slots: 10 }) };
            Autoscaler::new(config, ready + unready).decide(SimTime(15 * SECOND), readings, ready + unready)
        };
        // 32 of 40 slots are 80%: ratio 1.6, 6.4 pods. 22 of 40 are 55%, at the edge of the tolerance.
        assert_eq!(decide(Some(1_000), 4, 0, 32).recommended, 7);
        assert_eq!(decide(Some(19_000), 4, 0, 22).reason, ScalingReason::WithinTolerance);
        // Pods on their way count as idle: 32 of 80 slots are 40%, which would turn the direction.
        assert_eq!(decide(Some(1_000), 4, 4, 32).recommended, 8);
        // 38 of 60 are 63.3%, cut off to 63: ratio 1.26, of 6 pods 7.56.
        assert_eq!(decide(Some(1_000), 4, 2, 38).recommended, 8);
        // The depth asks for more than the processors.
        assert_eq!(decide(Some(60_000), 4, 0, 32).recommended, 12);
        // One is missing: more is possible, fewer is not.
        assert_eq!(decide(None, 4, 0, 32).recommended, 7);
        assert_eq!(decide(None, 4, 0, 2).reason, ScalingReason::NoMetric);
        assert_eq!(decide(Some(1_000), 0, 4, 0).reason, ScalingReason::NoMetric);
        assert_eq!(decide(Some(1_000), 4, 0, 2).recommended, 1);
    }

    #[test]
    fn it_scales_down_only_when_the_window_has_forgotten_the_need() {
        // 20 syncs of 15 s are the window; the recommendation of 4 was made at 15 s, so it counts until before 315 s.
        let mut metrics = vec![20_000];
        metrics.extend([1_000; 21]);
        for behavior in [Some(Behavior::default()), None] {
            let replicas = course(config(behavior), 4, &metrics);
            assert_eq!(replicas[..20], [4; 20]);
            assert_eq!(replicas[20], 1);
        }
    }

    #[test]
    fn policies_limit_the_rate() {
        let rules = |select, policies: &[(PolicyKind, u32, u64)]| ScalingRules {
            window: SimDuration::ZERO,
            select,
            policies: policies
                .iter()
                .map(|&(kind, value, seconds)| ScalingPolicy {
                    kind,
                    value,
                    period: SimDuration(seconds * SECOND),
                })
                .collect(),
        };
        let both = [(PolicyKind::Pods, 2, 60), (PolicyKind::Percent, 50, 60)];
        let with = |up, down| config(Some(Behavior { up, down }));
        // From 10: 2 pods or 5 in a minute.
        let flood = [10_000_000; 5];
        let down = || rules(Select::Max, &both);
        assert_eq!(course(with(rules(Select::Max, &both), down()), 10, &flood), [15, 15, 15, 15, 23]);
        assert_eq!(course(with(rules(Select::Min, &both), down()), 10, &flood), [12, 12, 12, 12, 14]);
        assert_eq!(course(with(rules(Select::Disabled, &both), down()), 10, &flood), [10; 5]);
        // Down from 11: 50% leaves 5 (the fraction is cut off), 2 pods leave 9.
        let up = || rules(Select::Max, &both);
        assert_eq!(course(with(up(), rules(Select::Max, &both)), 11, &[0; 5]), [5, 5, 5, 5, 2]);
        assert_eq!(course(with(up(), rules(Select::Min, &both)), 11, &[0; 5]), [9, 9, 9, 9, 7]);
        assert_eq!(course(with(up(), rules(Select::Disabled, &both)), 11, &[0; 5]), [11; 5]);
    }

    #[test]
    fn a_missing_metric_and_no_replicas_change_nothing() {
        let mut autoscaler = Autoscaler::new(config(None), 3);
        assert_eq!(autoscaler.sync(SimTime(1), None, 3).reason, ScalingReason::NoMetric);
        assert_eq!(autoscaler.sync(SimTime(2), Some(1_000_000), 0).reason, ScalingReason::Disabled);
        let over = Autoscaler::new(AutoscalerConfig { max: 2, ..config(None) }, 3).sync(SimTime(1), None, 3);
        assert_eq!((over.replicas, over.reason), (2, ScalingReason::Maximum));
    }

    #[test]
    fn a_value_target_is_a_ratio_of_the_replicas() {
        let config = AutoscalerConfig { target_type: TargetType::Value, ..config(Some(Behavior::default())) };
        // 7,500 of 5,000 jobs: 1.5 times 4 replicas.
        assert_eq!(course(config, 4, &[7_500]), [6]);
    }

    /// Percentages in doubles, as `calculateScaleUpLimitWithScalingRules` and its counterpart compute them: up rounds up what is a
    /// little more than whole, down cuts off what is a little less.
    #[test]
    fn percentages_round_as_the_controllers_doubles_do() {
        let percent = |value| ScalingRules {
            window: SimDuration::ZERO,
            select: Select::Max,
            policies: vec![ScalingPolicy {
                kind: PolicyKind::Percent,
                value,
                period: SimDuration(15 * SECOND),
            }],
        };
        let with = |value| config(Some(Behavior { up: percent(value), down: percent(value) }));
        // 50 x 1.1 is 55.00000000000001, 90 x 0.7 is 62.99999999999999, 20 x 0.2 (which is 1 - 0.8) is 3.999999999999999.
        assert_eq!(course(with(10), 50, &[10_000_000]), [56]);
        assert_eq!(course(with(10), 20, &[10_000_000]), [22]);
        assert_eq!(course(with(15), 100, &[10_000_000]), [115]);
        assert_eq!(course(with(30), 90, &[0]), [62]);
        assert_eq!(course(with(80), 20, &[0]), [3]);
        assert_eq!(course(with(10), 10, &[0]), [9]);
    }

    /// The rules once more, written from the controller's description with whole histories in place of its bookkeeping.
    struct Copy {
        recommendations: Vec<(u64, u32)>,
        /// Time and change of replicas.
        events: Vec<(u64, i64)>,
    }

    impl Copy {
        fn decide(&mut self, config: &AutoscalerConfig, second: u64, metric: u64, current: u32) -> u32 {
            let (usage, target) = (metric as f64 * 1000.0, config.target as f64 * 1000.0);
            let ratio = if config.target_type == TargetType::Value {
                usage / target
            } else {
                usage / (target * f64::from(current))
            };
            let mut wanted = current;
            if ratio < 1.0 - config.tolerance_down || ratio > 1.0 + config.tolerance_up {
                wanted = if config.target_type == TargetType::Value {
                    (ratio * f64::from(current)).ceil() as u32
                } else {
                    (usage / target).ceil() as u32
                };
            }
            let Behavior { up, down } = config.behavior.as_ref().expect("this copy is of the behavior");
            let since = |window: SimDuration, time: u64| (second - time) * SECOND < window.0;
            self.recommendations.push((second, wanted));
            let mut replicas = current;
            let recent = |window| {
                let recent = self.recommendations.iter().filter(move |(time, _)| since(window, *time));
                recent.map(|(_, replicas)| *replicas)
            };
            let least = recent(up.window).min().unwrap_or(wanted).min(wanted);
            let most = recent(down.window).max().unwrap_or(wanted).max(wanted);
            if replicas < least {
                replicas = least;
            }
            if replicas > most {
                replicas = most;
            }
            let rises = replicas > current;
            let rules = if rises { up } else { down };
            let mut limits = Vec::new();
            for policy in &rules.policies {
                let changed: i64 = self
                    .events
                    .iter()
                    .filter(|(time, _)| since(policy.period, *time))
                    .map(|(_, change)| change)
                    .sum();
                let begin = i64::from(current) - changed;
                let value = f64::from(policy.value);
                limits.push(match (rises, policy.kind) {
                    (true, PolicyKind::Pods) => begin + i64::from(policy.value),
                    (false, PolicyKind::Pods) => begin - i64::from(policy.value),
                    (true, PolicyKind::Percent) => (begin as f64 * (1.0 + value / 100.0)).ceil() as i64,
                    (false, PolicyKind::Percent) => (begin as f64 * (1.0 - value / 100.0)).trunc() as i64,
                });
            }
            limits.sort_unstable();
            let widest = if rises { limits.last() } else { limits.first() };
            let narrowest = if rises { limits.first() } else { limits.last() };
            let limit = match rules.select {
                Select::Max => *widest.expect("there is a policy"),
                Select::Min => *narrowest.expect("there is a policy"),
                Select::Disabled => i64::from(current),
            };
            let own = i64::from(current);
            let bounded = if rises {
                i64::from(replicas).min(limit.max(own))
            } else {
                i64::from(replicas).max(limit.min(own))
            };
            let decided = bounded.clamp(i64::from(config.min), i64::from(config.max));
            self.events.push((second, decided - own));
            decided as u32
        }
    }

    #[test]
    fn an_independent_copy_agrees_on_10_000_random_decisions() {
        let mut draws = (0..).map(|index| mix(0xA07A ^ (index * 0x9E37_79B9)));
        let mut draw = |bound: u64| draws.next().expect("they never end") % bound;
        for _ in 0..250 {
            let mut rules = || ScalingRules {
                window: SimDuration([0, 30, 60, 300][draw(4) as usize] * SECOND),
                select: [Select::Max, Select::Max, Select::Min, Select::Disabled][draw(4) as usize],
                policies: (0..=draw(3))
                    .map(|_| ScalingPolicy {
                        kind: [PolicyKind::Pods, PolicyKind::Percent][draw(2) as usize],
                        value: 1 + draw(120) as u32,
                        period: SimDuration([15, 45, 60, 180][draw(4) as usize] * SECOND),
                    })
                    .collect(),
            };
            let behavior = Behavior { up: rules(), down: rules() };
            let mut config = config(Some(behavior));
            config.target_type = [TargetType::AverageValue, TargetType::Value][draw(2) as usize];
            config.target = 1 + draw(3_000);
            config.max = 20 + draw(400) as u32;
            config.tolerance_up = draw(30) as f64 / 100.0;
            let mut replicas = 1 + draw(20) as u32;
            let mut own = Autoscaler::new(config.clone(), replicas);
            let mut copy = Copy { recommendations: vec![(0, replicas)], events: Vec::new() };
            for step in 1..=40 {
                let metric = draw(config.target * u64::from(replicas) * 3 + 1);
                let copied = copy.decide(&config, step * 15, metric, replicas);
                replicas = own.sync(SimTime(step * 15 * SECOND), Some(metric), replicas).replicas;
                assert_eq!(replicas, copied, "step {step}, metric {metric} of {config:?}");
            }
        }
    }

    /// In 2,000 random courses it stays within its bounds, and never adds more in 15 s than the defaults allow.
    #[test]
    fn bounds_and_rates_hold_whatever_the_metric_does() {
        for seed in 0..2_000 {
            let mut config = config((seed % 2 == 0).then(Behavior::default));
            (config.min, config.max) = (2, 30);
            let metrics: Vec<u64> = (0..40).map(|step| mix(seed * 100 + step) % 300_000).collect();
            let mut before = 3;
            for replicas in course(config, before, &metrics) {
                assert!((2..=30).contains(&replicas));
                assert!(replicas <= (2 * before).max(before + 4), "{before} -> {replicas}");
                before = replicas;
            }
        }
    }
}
