//! Plans in words and numbers, shared by all their files.

use std::fmt::Write;

use backpressure::Kind;
use contract::Variable;
use contract::variables::{
    ENABLE_BACKPRESSURE, QUEUE_CRITICAL_THRESHOLD, QUEUE_POLICY, QUEUE_RECOVERY_THRESHOLD,
    QUEUE_REOPEN_THRESHOLD, QUEUE_SHED_PERCENT, QUEUE_WARNING_THRESHOLD, RULE_ENGINE_WORKER_CONCURRENCY,
};

use crate::engine::time::SimDuration;
use crate::experiment::summary::{Estimate, SloResult, Summary, Verdict};
use crate::experiment::traffic::{Fates, Part};
use crate::model::config::{AutoscalerConfig, Discipline};
use crate::model::metric::{Metric, Unit};
use crate::plan::horizon;
use crate::plan::proof::{Alarm, Proof, Tested};
use crate::plan::scaling::Scaling;
use crate::plan::spec::SpecVerdict;
use crate::plan::what_if::{AfterLoss, AtLoad, Effect, WhatIf};
use crate::plan::{Choice, Criterion, Fate, Plan, Screen, SearchPath};
use crate::report::kit::cost;
use crate::report::kit::number::{self, bounded};
use crate::report::kit::objective;
use crate::report::kit::text::{capitalised, plural};
use crate::report::kit::traffic;
use crate::report::run::clients::retry_capacity;
use crate::scenario::{Hint, Prices, Scenario};
use crate::selection::Guarantee;
use crate::study::grid::VariantId;
use crate::units;

/// A plan with its name among the others.
#[derive(Clone, Debug)]
pub(crate) struct View<'p> {
    pub(crate) plan: &'p Plan,
    /// Distinguishes its files from those of other plans; empty for a single plan.
    pub(crate) slug: String,
    several_scenarios: bool,
}

/// How a plan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Planned,
    /// Something was chosen, but others may be better, or cheaper.
    Undecided,
    /// Something was chosen, but its files do not meet the objectives.
    Refuted,
    /// No candidate meets the objectives.
    Nothing,
}

/// A recommended setting.
#[derive(Clone, Debug)]
pub(crate) struct Recommended {
    pub(crate) name: String,
    pub(crate) value: String,
    /// Where to put it.
    pub(crate) place: String,
}

/// Where only prices judge a plan.
const NONE_SET: &str = "no objective is set";

/// A stage of the search: what is left of the candidates, and why the others are not.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) left: usize,
    /// What happened on the way here.
    pub(crate) notes: Vec<String>,
}

impl<'p> View<'p> {
    /// The plans with names that tell them apart.
    pub(crate) fn all(plans: &'p [Plan]) -> Vec<Self> {
        let differ = |of: &dyn Fn(&Plan) -> String| plans.iter().any(|plan| of(plan) != of(&plans[0]));
        let several_scenarios = differ(&|plan| plan.grid.scenario().name.clone());
        let several_rates = differ(&rate_slug);
        let mut views: Vec<Self> = Vec::new();
        for plan in plans {
            let mut parts = Vec::new();
            if several_scenarios {
                parts.push(file_safe(&plan.grid.scenario().name));
            }
            if several_rates {
                parts.push(rate_slug(plan));
            }
            let mut slug = if plans.len() == 1 { String::new() } else { parts.join("-") };
            // Some file systems ignore case.
            let is_taken = |slug: &str| views.iter().any(|view| view.slug.eq_ignore_ascii_case(slug));
            if plans.len() > 1 && (slug.is_empty() || is_taken(&slug)) {
                let stem = if slug.is_empty() { "plan".to_owned() } else { slug };
                let free = (2..).map(|count| format!("{stem}-{count}")).find(|slug| !is_taken(slug));
                slug = free.expect("there are more numbers than plans");
            }
            views.push(Self { plan, slug, several_scenarios });
        }
        views
    }

    /// Name of a file of this plan: `plan.env`, or `plan-10k.env` beside others.
    pub(crate) fn file(&self, stem: &str, extension: &str) -> String {
        match self.slug.as_str() {
            "" => format!("{stem}.{extension}"),
            slug => format!("{stem}-{slug}.{extension}"),
        }
    }

    /// The scenario without any variation.
    pub(crate) fn scenario(&self) -> &'p Scenario {
        self.plan.grid.scenario()
    }

    /// Hints about the choice, which is what will run; about the scenario where there is none.
    pub(crate) fn hints(&self) -> &'p [Hint] {
        self.plan.choice.as_ref().map_or(&self.scenario().hints, |choice| &choice.scenario.hints)
    }

    /// Warnings about the same.
    pub(crate) fn warnings(&self) -> &'p [String] {
        self.plan.choice.as_ref().map_or(&self.scenario().warnings, |choice| &choice.scenario.warnings)
    }

    /// `20k/s`.
    pub(crate) fn rate(&self) -> String {
        match self.plan.rate.unwrap_or(self.plan.peak_rate) {
            rate if rate > 0.0 => units::fmt_rate(rate),
            _ => "recorded".to_owned(),
        }
    }

    /// Heading of a plan's column or row among others.
    pub(crate) fn short_name(&self) -> String {
        if self.several_scenarios { format!("{} {}", self.scenario().name, self.rate()) } else { self.rate() }
    }

    /// `spike-20k at 20k/s`.
    pub(crate) fn name(&self) -> String {
        match self.plan.peak_rate > 0.0 || self.plan.rate.is_some() {
            true => format!("{} at {}", self.scenario().name, self.rate()),
            false => format!("{} with its recorded arrivals", self.scenario().name),
        }
    }

    pub(crate) fn ending(&self) -> Ending {
        match &self.plan.choice {
            None => Ending::Nothing,
            Some(choice) if !choice.proof.holds() => Ending::Refuted,
            Some(choice) if choice.undecided.is_empty() => Ending::Planned,
            Some(_) => Ending::Undecided,
        }
    }

    /// The command that reproduces the plan.
    pub(crate) fn command(&self) -> String {
        let sweep = self.plan.grid.command();
        sweep.replacen("simulate sweep ", "simulate plan ", 1)
    }

    // What it costs.

    /// A cost as an amount: `$310`, `3`.
    pub(crate) fn amount(&self, amount: f64) -> String {
        cost::amount(self.prices(), amount)
    }

    /// `$310 a month`, `3 worker processes`.
    pub(crate) fn cost(&self, estimate: &Estimate) -> String {
        cost::in_words(self.prices(), estimate)
    }

    /// `$310`, or `3` where the cost is a number of processes.
    pub(crate) fn short_cost(&self, estimate: &Estimate) -> String {
        self.amount(estimate.mean.unwrap_or(f64::NAN))
    }

    /// What an axis of costs is.
    pub(crate) fn cost_name(&self) -> String {
        let prices = self.prices();
        match (cost::has_prices(prices), prices.currency.is_empty()) {
            (false, _) => format!("cost: {}", cost::name(prices)),
            (true, true) => cost::name(prices).to_owned(),
            (true, false) => format!("{} ({})", cost::name(prices), prices.currency),
        }
    }

    fn prices(&self) -> &'p Prices {
        &self.scenario().cost
    }

    // What to apply.

    /// All settings of the configuration, and where to put them.
    pub(crate) fn settings(&self, choice: &Choice) -> Vec<Recommended> {
        let model = &choice.scenario.model;
        let policy = &model.policy.config;
        let env = self.file("plan", "env");
        let jobs = |jobs: u64| format!("{} jobs", number::grouped(jobs as f64, 0));
        let mut settings = Vec::new();
        let mut add = |name: &str, value: String, place: String| {
            settings.push(Recommended { name: name.to_owned(), value, place });
        };
        let AutoscalerConfig { min, max, target, cpu_percent, .. } = Scaling::of(choice).config;
        let manifest = |field: &str| format!("{field} in {}", self.file("hpa", "yaml"));
        let (processes, fields) = match model.autoscaler {
            None => (model.workers.processes.to_string(), "minReplicas"),
            Some(_) => (format!("{min} to {max}"), "minReplicas, maxReplicas"),
        };
        add("worker processes", processes, manifest(fields));
        add("jobs a worker before more are asked for", target.to_string(), manifest("target"));
        if let Some(percent) = cpu_percent {
            add("use of their processors", format!("{percent} %"), manifest("averageUtilization"));
        }
        let variable = |variable: Variable| format!("{} in {env}", variable.name);
        add(
            "concurrency of each",
            model.workers.concurrency.to_string(),
            variable(RULE_ENGINE_WORKER_CONCURRENCY),
        );
        if policy.enabled() {
            add("recovery threshold", jobs(policy.recovery()), variable(QUEUE_RECOVERY_THRESHOLD));
            add("warning threshold", jobs(policy.warning()), variable(QUEUE_WARNING_THRESHOLD));
            add("critical threshold", jobs(policy.critical()), variable(QUEUE_CRITICAL_THRESHOLD));
            add("kind of policy", policy.kind().name().to_string(), variable(QUEUE_POLICY));
            if let Kind::Spec(spec) = policy.kind() {
                add("shed level", jobs(spec.shed_at()), variable(QUEUE_SHED_PERCENT));
            }
            add("reopening threshold", jobs(policy.reopen_at()), variable(QUEUE_REOPEN_THRESHOLD));
        } else {
            add("policy", "switched off".to_owned(), variable(ENABLE_BACKPRESSURE));
        }
        let memory = match model.redis.maxmemory {
            Some(bytes) => number::value(Unit::Bytes, bytes as f64),
            None => "no limit".to_owned(),
        };
        add("Redis maxmemory", memory, "redis.conf: maxmemory, with maxmemory-policy noeviction".to_owned());
        if model.redis.operations.is_some() {
            let queues = format!("{}, Redis shards: {}", choice.queues, model.redis.shards);
            add("queues", queues, "simulated, with Redis' commands".to_owned());
        } else {
            let queues = match choice.queues {
                1 => "1, on one Redis".to_owned(),
                n => format!("{n}, each on a Redis of its own"),
            };
            add("queues", queues, "arithmetic from plan.redis_throughput, not simulated".to_owned());
        }
        add("gateways", model.gateway.instances.to_string(), "replicas of the gateway".to_owned());
        for (axis, value) in self.plan.grid.axes.iter().zip(self.plan.grid.values(choice.id)) {
            if !SHOWN_PATHS.contains(&axis.path.as_str()) {
                add(&axis.path, value.trim_matches('"').to_owned(), "as in the scenario".to_owned());
            }
        }
        settings
    }

    /// `6 × 20`, or `4–12 × 20` of an autoscaled fleet.
    pub(crate) fn workers(choice: &Choice) -> String {
        let model = &choice.scenario.model;
        let processes = match &model.autoscaler {
            Some(autoscaler) => format!("{}–{}", autoscaler.min, autoscaler.max),
            None => model.workers.processes.to_string(),
        };
        format!("{processes} × {}", model.workers.concurrency)
    }

    /// `5k / 10k / 50k`.
    pub(crate) fn thresholds(choice: &Choice) -> String {
        let policy = &choice.scenario.model.policy.config;
        if !policy.enabled() {
            return "off".to_owned();
        }
        let levels = [policy.recovery(), policy.warning(), policy.critical()];
        levels.map(|jobs| number::short_count(jobs as f64)).join("/")
    }

    /// `2 GiB x 1`.
    pub(crate) fn memory(choice: &Choice) -> String {
        let memory = choice.scenario.model.redis.maxmemory;
        let shown = memory.map_or("no limit".to_owned(), |bytes| number::value(Unit::Bytes, bytes as f64));
        format!("{} × {}", shown.replace(".00 ", " ").replace(".0 ", " "), choice.queues)
    }

    // How good it is.

    /// The 95th percentile of the recovery time over the replications.
    pub(crate) fn recovery_p95(summary: &Summary) -> String {
        let recovery = summary.metric(Metric::Recovery);
        bounded(&number::optional(Unit::Seconds, recovery.p95), recovery.censored > 0)
    }

    /// Seconds until Redis is full with the planned policy, `never`, or that this has no limit.
    pub(crate) fn oom(choice: &Choice) -> String {
        let time = choice.findings.summary.metric(Metric::TimeToOom);
        match (choice.scenario.model.redis.maxmemory, time.censored < time.n) {
            (None, _) => "no limit".to_owned(),
            (Some(_), false) => "never".to_owned(),
            (Some(_), true) => number::optional(Unit::Seconds, time.min),
        }
    }

    /// The same without the policy.
    pub(crate) fn oom_unprotected(choice: &Choice) -> String {
        match (choice.scenario.model.redis.maxmemory, choice.what_if.oom_unprotected) {
            (None, _) => "no limit".to_owned(),
            (Some(_), None) => "never".to_owned(),
            (Some(_), Some(seconds)) => number::value(Unit::Seconds, seconds),
        }
    }

    /// What the plan does to the traffic, before anything else is said of it: `1.8 % refused, none lost`.
    pub(crate) fn harm(choice: &Choice) -> String {
        let total = &choice.findings.summary.traffic.total;
        format!("{} refused, {} lost", traffic::share(total.refused), traffic::share(total.lost))
    }

    /// Whether something is refused or lost that no objective limits, but at most a price.
    pub(crate) fn has_unlimited(&self) -> bool {
        self.plan.choice.as_ref().is_some_and(|choice| !choice.findings.summary.traffic.unlimited.is_empty())
    }

    /// What became of all traffic, each as a sentence.
    pub(crate) fn traffic(choice: &Choice) -> Vec<String> {
        let summary = &choice.findings.summary;
        let mut sentences = traffic::sentences(&summary.traffic);
        sentences.push(traffic::why(&summary.traffic, &summary.limits_reached));
        sentences.extend(traffic::unjudged(&summary.traffic));
        sentences.iter().map(|sentence| format!("{}.", capitalised(sentence))).collect()
    }

    /// `+25 %`: how much more load still meets the objectives.
    pub(crate) fn headroom(what_if: &WhatIf) -> String {
        let most = what_if.loads.last().map_or(0.0, |load| load.factor);
        let percent = |factor: f64| number::grouped(100.0 * (factor - 1.0), 0);
        match what_if.headroom {
            None => "none".to_owned(),
            Some(factor) if factor >= most => bounded(&format!("+{} %", percent(factor)), true),
            Some(factor) => format!("+{} %", percent(factor)),
        }
    }

    /// The headroom as a sentence.
    pub(crate) fn headroom_sentence(&self, choice: &Choice) -> String {
        let what_if = &choice.what_if;
        let most = what_if.loads.last().map_or(0.0, |load| load.factor);
        let rate = |factor: f64| match self.plan.peak_rate {
            peak if peak > 0.0 => format!(" (a peak of {})", units::fmt_rate(peak * factor)),
            _ => String::new(),
        };
        let up_to = match what_if.headroom {
            None => "An objective is missed as planned, in the few replications of this check.".into(),
            Some(factor) if factor >= most => format!(
                "All objectives are met up to {} times the load{} at least; more was not tried.",
                times(factor),
                rate(factor)
            ),
            Some(factor) => format!(
                "All objectives are met up to {} times the load{}, found to within 0.05.",
                times(factor),
                rate(factor)
            ),
        };
        let lighter: Vec<String> = what_if
            .lighter_missed()
            .map(|load| format!("at {} times the load: {}", times(load.factor), load.missed.join("; ")))
            .collect();
        match lighter.as_slice() {
            [] => up_to,
            lighter => format!("{up_to} BUT A LIGHTER LOAD MISSES: {}.", lighter.join(", ")),
        }
    }

    /// How much of the run the changes were simulated for, where not in full.
    pub(crate) fn part_sentence(choice: &Choice) -> Option<String> {
        let part = choice.what_if.part?;
        let span = |span: SimDuration| number::value(Unit::Seconds, span.as_secs_f64());
        Some(format!(
            "Steady loads away from saturation were simulated for {} of the {}: the plan itself shows the same in it, to within {} % in \
             every objective.",
            span(part),
            span(choice.scenario.model.horizon),
            number::trimmed(100.0 * horizon::TOLERANCE, 1),
        ))
    }

    /// Advertised and hidden capacity, where clients send again.
    pub(crate) fn capacity_sentence(choice: &Choice) -> Option<String> {
        let capacity = choice.scenario.model.retry_capacity()?;
        Some(format!("{}.", capitalised(&retry_capacity(capacity))))
    }

    pub(crate) fn knee_sentence(&self, choice: &Choice) -> String {
        match choice.what_if.knee {
            Some(knee) => format!(
                "The time from arrival to completion begins to climb at {} times the load (knee of the curve).",
                times(knee)
            ),
            None => "The time from arrival to completion has no knee over the loads tried.".to_owned(),
        }
    }

    /// The configuration at that multiple of its load.
    pub(crate) fn at_load(what_if: &WhatIf, factor: f64) -> Option<&AtLoad> {
        what_if.loads.iter().find(|load| (load.factor - factor).abs() < 1e-9)
    }

    /// At the smallest load above the planned one that misses an objective: the first limit reached that is
    /// not reached at the planned load, else the objective.
    pub(crate) fn breaks_first(what_if: &WhatIf) -> String {
        let broken = what_if.loads.iter().find(|load| load.factor > 1.0 && !load.missed.is_empty());
        let Some(load) = broken else { return "nothing".to_owned() };
        let as_planned = Self::at_load(what_if, 1.0).map_or(&[][..], |planned| &planned.limits);
        let is_new = |limit: &str| as_planned.iter().all(|(known, _)| *known != limit);
        let limit = load.limits.iter().map(|(limit, _)| *limit).find(|limit| is_new(limit));
        format!("{} at {}×", limit.unwrap_or(&load.missed[0]), times(load.factor))
    }

    /// The limits reached at a load, in order.
    pub(crate) fn limits(load: &AtLoad) -> String {
        if load.limits.is_empty() {
            return "no limit is reached".to_owned();
        }
        let limits = load.limits.iter();
        let shown = limits.map(|(limit, at)| format!("{limit} after {}", number::value(Unit::Seconds, *at)));
        shown.collect::<Vec<_>>().join(", then ")
    }

    /// Recovery time and whether it is only a bound.
    pub(crate) fn recovery((seconds, is_bound): (Option<f64>, bool)) -> String {
        bounded(&number::optional(Unit::Seconds, seconds), is_bound)
    }

    /// What became of the files when they were read back and simulated, as a sentence.
    pub(crate) fn proof_sentence(&self, choice: &Choice) -> String {
        let proof = &choice.proof;
        let files = format!("{}, read back and simulated", self.file("plan", "env"));
        if let Some(why) = &proof.unreadable {
            return format!("A file of the plan cannot be read back: {why}.");
        }
        let told = |tested: &Tested| {
            let missed: Vec<String> = tested.slo.iter().filter(|slo| !slo.pass).map(missed_by).collect();
            let result = match missed.as_slice() {
                [] if tested.slo.is_empty() => NONE_SET.to_owned(),
                [] => "every objective is met".to_owned(),
                missed => format!("missed: {}", missed.join("; ")),
            };
            let Fates { refused, lost, .. } = &tested.fates;
            format!("({} refused, {} lost): {result}", traffic::share(*refused), traffic::share(*lost))
        };
        let named = |tested: &Tested| format!("with {}", self.file(tested.name, "yaml"));
        match proof.manifests.as_slice() {
            [] => "The files were not read back.".to_owned(),
            // Both make the same autoscaler.
            [one, other]
                if one.digest == other.digest && one.slo.iter().chain(&other.slo).all(|slo| slo.pass) =>
            {
                format!("{files} {} and {} {}.", named(one), named(other), told(one))
            }
            all => {
                let each: Vec<String> =
                    all.iter().map(|one| format!("{} {}", named(one), told(one))).collect();
                format!("{files} {}.", each.join("; "))
            }
        }
    }

    /// What the alerts do in an incident, as a sentence: `1.5 times the load (20.8 % refused, none lost): QueueWaitHigh after
    /// 75 s; rejection_probability <= 5% used up after 92 s, in time`.
    pub(crate) fn alarm_sentence(proof: &Proof, alarm: &Alarm) -> String {
        let seconds = |seconds: f64| number::value(Unit::Seconds, seconds);
        let mut fired: Vec<(f64, &str)> =
            proof.rules.iter().zip(&alarm.fired).filter_map(|(rule, at)| Some(((*at)?, rule.name))).collect();
        fired.sort_by(|a, b| a.0.total_cmp(&b.0));
        let alerts = match fired.as_slice() {
            [] => "no alert".to_owned(),
            fired => {
                let told = fired.iter().map(|(at, name)| format!("{name} after {}", seconds(*at)));
                told.collect::<Vec<_>>().join(", ")
            }
        };
        let used_up = match (&alarm.used_up, alarm.in_time) {
            (Some((at, objective)), Some(true)) => {
                format!("; {objective} used up after {}: in time", seconds(*at))
            }
            (Some((at, objective)), _) => {
                format!("; {objective} used up after {}: NOBODY IS CALLED IN TIME", seconds(*at))
            }
            (None, _) => String::new(),
        };
        format!(
            "{} ({} refused, {} lost with hpa.yaml): {alerts}{used_up}.",
            capitalised(&alarm.name),
            traffic::share(alarm.fates.refused),
            traffic::share(alarm.fates.lost)
        )
    }

    /// What the loss of workers does, as a sentence.
    pub(crate) fn loss_sentence(loss: &AfterLoss) -> String {
        let objectives = match loss.missed.as_slice() {
            [] => "every objective is still met".to_owned(),
            missed => format!("missed: {}", missed.join("; ")),
        };
        format!(
            "Without {} ({} left), {} of offered jobs are refused and {} lost, recovery takes {}; {objectives}.",
            loss.name,
            loss.processes,
            share(loss.rejected),
            share(loss.lost),
            Self::recovery(loss.recovery),
        )
    }

    /// Effects other than zero, the largest first.
    pub(crate) fn effects(what_if: &WhatIf) -> Vec<&Effect> {
        let is_any = |effect: &&Effect| effect.size() > 0.0;
        what_if.tornado.iter().filter(is_any).collect()
    }

    /// The input that matters most and what it does: `arrival rate (+10 % → recovery_seconds +38 %)`.
    pub(crate) fn most_sensitive(what_if: &WhatIf) -> Option<String> {
        let effects = Self::effects(what_if);
        let clear = effects.iter().find(|effect| effect.lower.is_clear() || effect.higher.is_clear());
        let effect = clear.or(effects.first())?;
        let is_higher = effect.higher.mean.abs() >= effect.lower.mean.abs();
        let (sign, change) = if is_higher { ("+", effect.higher.mean) } else { ("-", effect.lower.mean) };
        Some(format!(
            "{} ({sign}10 % → {} {})",
            effect.input,
            effect.metric.name(),
            change_in_words(effect.metric, effect.base, change)
        ))
    }

    // How the search went.

    /// Survivors of each stage of the search.
    pub(crate) fn stages(&self) -> Vec<Stage> {
        let path = &self.plan.path;
        let count =
            |wanted: &dyn Fn(&Fate) -> bool| path.simulated.iter().filter(|one| wanted(&one.fate)).count();
        let some = |count: usize, what: &str| (count > 0).then(|| format!("{} {what}", plain(count)));
        let mut stages = vec![Stage {
            name: "candidates",
            left: path.candidates,
            notes: path
                .excluded
                .iter()
                .map(|(reason, count)| format!("{} more cannot be run: {reason}", plain(*count)))
                .collect(),
        }];
        match &path.screen {
            Some(screen) => stages.push(Stage {
                name: "left by the fluid limit",
                left: path.candidates.saturating_sub(screen.discarded),
                notes: screen_notes(screen),
            }),
            None => {
                stages[0].notes.push("the fluid limit does not apply: none was discarded by it".to_owned());
            }
        }
        let probes = count(&|fate| *fate == Fate::Probe);
        let verified = path.simulated.len() - probes;
        stages.push(Stage {
            name: "simulated",
            left: verified,
            notes: [
                some(
                    path.overloaded,
                    "can never do what keeps coming, and no objective allows to refuse it for ever",
                ),
                some(path.spared, "do what a simulated one did: no level in which they differ was reached"),
                some(path.too_dear, "cost more than the chosen one, whatever they do"),
                some(path.not_better, "cost as much and cannot be better by more than the limit errs"),
                some(path.beyond_finalists, "left out beyond plan.finalists"),
            ]
            .into_iter()
            .flatten()
            .collect(),
        });
        let meets = |fate: &Fate| {
            matches!(fate, Fate::Chosen | Fate::Worse(_) | Fate::Equal | Fate::Open | Fate::Dearer)
        };
        let mut notes: Vec<String> = Vec::new();
        for (fate, how) in [(true, "miss"), (false, "may or may not meet")] {
            let mut objectives: Vec<(&str, usize)> = Vec::new();
            for one in &path.simulated {
                let expression = match &one.fate {
                    Fate::Misses(expression) if fate => expression,
                    Fate::Undecided(expression) if !fate => expression,
                    _ => continue,
                };
                match objectives.iter_mut().find(|(known, _)| known == expression) {
                    Some((_, count)) => *count += 1,
                    None => objectives.push((expression, 1)),
                }
            }
            notes.extend(
                objectives.iter().map(|(objective, count)| format!("{} {how} {objective}", plain(*count))),
            );
        }
        stages.push(Stage { name: "meet the objectives", left: count(&meets), notes });
        let open = count(&|fate| *fate == Fate::Open);
        stages.push(Stage {
            name: "chosen",
            left: usize::from(self.plan.choice.is_some()),
            notes: [
                some(count(&|fate| *fate == Fate::Dearer), "cost more"),
                some(count(&|fate| matches!(fate, Fate::Worse(_))), "are worse"),
                some(count(&|fate| *fate == Fate::Equal), "give the very same results"),
                some(open, "are not distinguishable from it"),
            ]
            .into_iter()
            .flatten()
            .collect(),
        });
        stages
    }

    /// The search in one line.
    pub(crate) fn path_line(&self) -> String {
        let path = &self.plan.path;
        let stages = self.stages();
        let left = |name: &str| stages.iter().find(|stage| stage.name == name).map_or(0, |stage| stage.left);
        let mut parts = vec![format!("{} candidates", plain(path.candidates))];
        if let Some(screen) = &path.screen {
            let widened = match screen.widened {
                0 => String::new(),
                1 => ", margins doubled once".to_owned(),
                n => format!(", margins doubled {n} times"),
            };
            parts.push(format!(
                "{} discarded by the fluid limit (audited {} of {}{widened})",
                plain(screen.discarded),
                plain(screen.audited),
                plain(screen.audited),
            ));
        }
        parts.extend(
            (path.overloaded > 0)
                .then(|| format!("{} can never do what keeps coming", plain(path.overloaded))),
        );
        parts.push(format!("{} simulated", plain(left("simulated"))));
        parts.push(format!("{} meet the objectives", plain(left("meet the objectives"))));
        if let Some(choice) = &self.plan.choice {
            let guarantee = self.guarantee(choice);
            // Without a rival there was no selection.
            parts.extend(
                procedure(choice.guarantee).filter(|_| guarantee.starts_with("P(")).map(str::to_owned),
            );
            parts.push(guarantee);
        }
        parts.join(" ▸ ")
    }

    /// What the search took, as a sentence.
    pub(crate) fn effort(&self) -> String {
        let path = &self.plan.path;
        let share = path.replications as f64 / (path.exhaustive.max(1)) as f64;
        format!(
            "{} replications; running every candidate would take {} ({}).",
            number::grouped(path.replications as f64, 0),
            number::grouped(path.exhaustive as f64, 0),
            number::value(Unit::Fraction, share),
        )
    }

    /// How sure the choice is, without its full stop.
    pub(crate) fn guarantee(&self, choice: &Choice) -> String {
        if !choice.undecided.is_empty() {
            let count = choice.undecided.len();
            let others = if count == 1 { "1 other".to_owned() } else { format!("{} others", plain(count)) };
            return format!("undecided against {others} at the most replications");
        }
        let rivals = self
            .plan
            .path
            .simulated
            .iter()
            .filter(|one| matches!(one.fate, Fate::Worse(_) | Fate::Equal | Fate::Open));
        if rivals.count() == 0 {
            let SearchPath { spared, not_better, beyond_finalists, .. } = self.plan.path;
            let others = [
                (spared, "must do what a simulated one did"),
                (not_better, "cannot be better"),
                (beyond_finalists, "of its cost were not tried"),
            ];
            let told = others.iter().filter(|(count, _)| *count > 0);
            let told: Vec<String> = told.map(|(count, what)| format!("{} {what}", plain(*count))).collect();
            return match told.as_slice() {
                [] => "no other candidate of its cost meets the objectives".to_owned(),
                told => format!("of the others {}", told.join(", ")),
            };
        }
        let show = |delta: f64| match choice.criterion {
            Criterion::Cost => self.amount(delta),
            Criterion::TieBreak(metric) => number::value(metric.unit(), delta),
        };
        let percent = |probability: f64| number::trimmed(100.0 * probability, 2);
        // Relative to a best value of zero any difference counts.
        let at = |delta: f64| if delta > 1e-12 { show(delta) } else { "anything".to_owned() };
        match choice.guarantee {
            Guarantee::CorrectSelection { probability, delta } => {
                format!(
                    "P(correct selection) ≥ {} % where candidates differ by {} or more",
                    percent(probability),
                    at(delta)
                )
            }
            Guarantee::GoodSelection { probability, delta } => {
                format!("P(at most {1} from the best) ≥ {0} %", percent(probability), at(delta))
            }
            Guarantee::None => "without a guarantee of the selection".to_owned(),
        }
    }

    /// The deciding criterion, as a sentence.
    pub(crate) fn criterion_sentence(choice: &Choice) -> String {
        match choice.criterion {
            Criterion::Cost => "The cost depends on what happens, and decided.".to_owned(),
            Criterion::TieBreak(metric) => {
                format!("Among the cheapest that meet every objective the least {} decided.", metric.name())
            }
        }
    }

    /// Values of a variant on the axes: `workers.processes=5 policy.critical=50000`.
    pub(crate) fn variant(&self, id: VariantId) -> String {
        match self.plan.grid.overrides(id).as_slice() {
            [] => "the scenario as it is".to_owned(),
            overrides => overrides.join(" "),
        }
    }

    /// The results of the specification's recommendations, each as a sentence.
    pub(crate) fn spec_sentences(&self) -> Vec<String> {
        let sentence = |verdict: &SpecVerdict| {
            let summary = &verdict.summary;
            let result = match summary.verdict {
                _ if summary.slo.is_empty() => NONE_SET.to_owned(),
                Verdict::Pass => {
                    format!(
                        "meets every objective in {}",
                        plural(summary.replications as usize, "replication")
                    )
                }
                Verdict::Fail => {
                    let missed = summary.slo.iter().filter(|slo| !slo.pass).map(missed_by);
                    format!("misses {}", missed.collect::<Vec<_>>().join("; "))
                }
            };
            let cost = self.cost(&Estimate {
                mean: Some(verdict.cost),
                half_width: None,
                min: None,
                max: None,
                p95: None,
                n: 1,
                censored: 0,
            });
            let sign = if summary.verdict == Verdict::Pass { "✓" } else { "✗" };
            let remark = self.spec_remark(verdict);
            format!("{sign} {} ({cost}): {result}{remark}", verdict.name)
        };
        self.plan.spec.iter().map(sentence).collect()
    }

    /// What there is to say of a recommendation that would cost less than the choice; empty of any other.
    pub(crate) fn spec_remark(&self, verdict: &SpecVerdict) -> &'static str {
        let own = self.plan.choice.as_ref().and_then(|choice| choice.cost.mean);
        let is_cheaper =
            verdict.summary.verdict == Verdict::Pass && own.is_some_and(|own| verdict.cost < own);
        if is_cheaper { CHEAPER } else { "" }
    }

    /// Why there is no plan: what the nearest candidate misses, and by how much.
    pub(crate) fn why_nothing(&self) -> String {
        let overloaded = match self.plan.path.overloaded {
            0 => String::new(),
            count => format!(
                " {} can never do what keeps coming: they need more workers, or an objective that allows to refuse the rest for \
                 ever, such as rejection_probability <= 50%.",
                plain(count)
            ),
        };
        let Some(nearest) = &self.plan.nearest else {
            return format!("No candidate is left to choose from.{overloaded}");
        };
        let missed: Vec<String> = nearest.slo.iter().filter(|slo| !slo.pass).map(missed_by).collect();
        let mut text =
            format!("No candidate meets the objectives. The nearest is {}", self.variant(nearest.id));
        match missed.as_slice() {
            // Every mean meets its objective, but an interval does not decide.
            [] => text += "; whether it meets them is open at the most replications.",
            missed => {
                let _ = write!(text, "; it misses {}.", missed.join("; "));
            }
        }
        text + &overloaded
    }

    /// Limits of the model that a reader must know before applying the plan.
    pub(crate) fn caveats(&self, choice: &Choice) -> Vec<String> {
        let model = &choice.scenario.model;
        let mut caveats: Vec<String> = model.recovery_beyond_patience().into_iter().collect();
        caveats.push(match model.autoscaler {
            None => {
                "The plan was chosen with these workers running all the time; it does not rely on scaling up."
                    .to_owned()
            }
            Some(_) => {
                "The plan was chosen with the autoscaler that `hpa.yaml` and `keda.yaml` describe.".to_owned()
            }
        });
        if choice.is_split() {
            caveats.push(format!(
                "One queue was simulated. {0} queues share the load by arithmetic: each then has 1/{0} of the thresholds and workers.",
                choice.queues
            ));
        }
        if model.queue.discipline == Discipline::Priority {
            caveats.push("Jobs are served by priority, as in the scenario.".to_owned());
        }
        if let Some(capacity) = model.queue.capacity {
            caveats.push(format!("The waiting line holds at most {capacity} jobs, as in the scenario."));
        }
        caveats
    }
}

/// `recovery_seconds.p95 < 120 (observed 154 s)`.
pub(crate) fn missed_by(result: &SloResult) -> String {
    let Some(value) = result.observed else { return format!("{} ({})", result.expression, result.absent) };
    // The rounded value may look as if it met the limit.
    let unit = result.unit;
    let is_near = number::value(unit, value) == number::value(unit, result.limit);
    let figure =
        if is_near { bounded(&value.to_string(), result.censored > 0) } else { objective::figure(result) };
    let remark = objective::remark(result).map(|remark| format!(", {remark}")).unwrap_or_default();
    format!("{} (observed {figure}{remark})", result.expression)
}

/// `+38 %`, or `0 → 12` if the base is zero.
pub(crate) fn change_in_words(metric: Metric, base: f64, change: f64) -> String {
    let unit = metric.unit();
    let relative = change / base;
    let sign = if change >= 0.0 { "+" } else { "-" };
    match base.abs() > 0.0 && relative.is_finite() && relative.abs() < 10.0 && unit != Unit::Fraction {
        true => format!("{sign}{}", number::value(Unit::Fraction, relative.abs())),
        false => format!("{} → {}", number::value(unit, base), number::value(unit, base + change)),
    }
}

/// A share of the jobs as the first sentence of every report shows it: `20.8 %`, `none`.
pub(crate) fn share(share: f64) -> String {
    traffic::share(Part { jobs: share, share })
}

/// A factor: `1.25`.
pub(crate) fn times(factor: f64) -> String {
    number::trimmed(factor, 2)
}

/// A whole number with gaps between groups of three digits.
pub(crate) fn plain(count: usize) -> String {
    number::grouped(count as f64, 0)
}

fn procedure(guarantee: Guarantee) -> Option<&'static str> {
    match guarantee {
        Guarantee::CorrectSelection { .. } => Some("KN"),
        Guarantee::GoodSelection { .. } => Some("GSP"),
        Guarantee::None => None,
    }
}

fn screen_notes(screen: &Screen) -> Vec<String> {
    let mut notes: Vec<String> = screen
        .objectives
        .iter()
        .filter(|objective| objective.discarded > 0)
        .map(|objective| {
            format!(
                "{} miss {} by more than {}",
                plain(objective.discarded),
                objective.expression,
                number::value(Unit::Fraction, objective.margin)
            )
        })
        .collect();
    let widened = match screen.widened {
        0 => String::new(),
        1 => ", after the margins were doubled once".to_owned(),
        n => format!(", after the margins were doubled {n} times"),
    };
    notes.push(format!(
        "margins from {} simulated pilots; audit: {} of {} discarded rightly{widened}",
        screen.pilots, screen.audited, screen.audited
    ));
    notes
}

fn rate_slug(plan: &Plan) -> String {
    match plan.rate.unwrap_or(plan.peak_rate) {
        rate if rate > 0.0 => file_safe(&number::short_count(rate)),
        _ => "recorded".to_owned(),
    }
}

/// Replaces characters that are special in file names.
fn file_safe(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let safe: String = text.chars().take(LONGEST_SLUG).map(|c| if is_plain(c) { c } else { '_' }).collect();
    safe.trim_start_matches(['-', '.']).to_owned()
}

const LONGEST_SLUG: usize = 60;
/// Of a recommendation that the candidates do not have.
const CHEAPER: &str =
    "; cheaper than the choice, and none of the candidates: `--grid` with its settings would plan it";

/// Settings that have a line of their own.
const SHOWN_PATHS: [&str; 13] = [
    "autoscaler.min",
    "autoscaler.max",
    "autoscaler.target",
    "autoscaler.cpu_percent",
    "workers.processes",
    "workers.concurrency",
    "policy.enabled",
    "policy.recovery",
    "policy.warning",
    "policy.critical",
    "redis.maxmemory",
    "gateway.instances",
    "policy.reopen_at",
];
