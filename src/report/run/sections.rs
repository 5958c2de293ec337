//! Optional sections of a run's page: alerts, clients, rejections by reason, faults, autoscaler.

use maud::{Markup, PreEscaped, html};

use super::clients::{ClientFigures, amplification, share};
use super::reading;
use crate::experiment::Findings;
use crate::experiment::summary::{Estimate, Named, ScalingStep, Summary};
use crate::model::metric::{Metric, Unit};
use crate::model::outcome::RejectionReason;
use crate::report::kit::html::{note, section_named, table};
use crate::report::kit::number;
use crate::report::kit::text::capitalised;
use crate::scenario::Scenario;

/// The section about clients; empty where there are none.
pub(super) fn clients(scenario: &Scenario, findings: &Findings) -> Markup {
    let Some(figures) = ClientFigures::of(scenario, findings) else { return Markup::default() };
    let lines = figures.lines();
    let sentences: Vec<String> =
        lines.into_iter().map(|(name, text)| format!("{}: {text}.", capitalised(name))).collect();
    let header = [
        "class",
        "requests",
        "attempts",
        "per request",
        "timed out",
        "given up",
        "completed",
        "wasted",
        "wasted share",
    ];
    let basis = capitalised(&reading::basis(findings.summary.replications));
    let rows = html! {
        @for (name, metrics, is_total) in rows(&findings.summary) {
            tr class=[is_total.then_some("total")] {
                th scope="row" { (name) }
                @for cell in client_cells(metrics) { td { (cell) } }
            } "\n"
        }
    };
    let content = html! {
        p { (basis) ". " (sentences.join(" ")) } "\n"
        (table(&header, rows))
    };
    section_named("clients", "Clients", content)
}

fn client_cells(metrics: &Named<Estimate>) -> [String; 8] {
    let mean = |metric: Metric| mean_of(metrics, metric);
    let count = |metric: Metric| number::grouped(mean(metric), 0);
    [
        count(Metric::Requests),
        number::grouped(mean(Metric::Requests) + mean(Metric::Retried), 0),
        amplification(metrics.get(Metric::Amplification.name()).and_then(|estimate| estimate.mean)),
        count(Metric::TimedOut),
        count(Metric::Abandoned),
        count(Metric::Completed),
        count(Metric::Wasted),
        number::optional(Unit::Fraction, share(mean(Metric::Wasted), mean(Metric::Completed))),
    ]
}

/// Rejections by reason; empty if there are fewer than two reasons, because the outcome table then says it all.
pub(super) fn rejections(summary: &Summary) -> Markup {
    let is_used = |metric: Metric| mean_of(&summary.metrics, metric) > 0.0;
    let all = RejectionReason::table().iter().map(|&(_, metric, title)| (metric, title));
    let used: Vec<(Metric, &str)> = all.filter(|(metric, _)| is_used(*metric)).collect();
    if used.len() < 2 {
        return Markup::default();
    }
    let header: Vec<&str> =
        ["class"].into_iter().chain(used.iter().map(|(_, title)| *title)).chain(["refused"]).collect();
    let counts = |metrics: &Named<Estimate>| {
        let shown: Vec<f64> = used.iter().map(|(metric, _)| mean_of(metrics, *metric)).collect();
        let (sum, shown) = number::apportion(mean_of(metrics, Metric::Rejected), &shown, 1.0);
        shown.into_iter().chain([sum])
    };
    let rows = html! {
        @for (name, metrics, is_total) in rows(summary) {
            tr class=[is_total.then_some("total")] {
                th scope="row" { (name) }
                @for count in counts(metrics) { td { (number::grouped(count, 0)) } }
            } "\n"
        }
    };
    html! {
        h3 { "Refused, by reason" } "\n"
        (table(&header, rows))
    }
}

/// The section about alerts; empty where no rules are evaluated.
pub(super) fn alerts(scenario: &Scenario, summary: &Summary) -> Markup {
    if summary.alerts.is_empty() {
        return Markup::default();
    }
    let header =
        ["alert", "condition", "for", "true in", "fires in", "fires at", "before the first loss", "in words"];
    let seconds = |seconds: f64| number::value(Unit::Seconds, seconds);
    let of = |count: u32| format!("{count} of {}", summary.replications);
    let rows = html! {
        @for alert in &summary.alerts {
            tr class=[(alert.fired_in > 0).then_some("changed")] {
                th scope="row" { (alert.alert) " " small { (alert.severity) } }
                td class="words" { code { (breakable(&alert.expression)) } }
                td { (seconds(alert.for_seconds)) }
                td { (of(alert.true_in)) }
                td { (of(alert.fired_in)) }
                td { (number::optional(Unit::Seconds, alert.fired_seconds)) }
                td { (number::optional(Unit::Seconds, alert.lead_seconds)) }
                td class="words" { (reading::alert(alert, summary.replications)) }
            } "\n"
        }
    };
    let monitoring = &scenario.model.monitoring;
    let remark = html! {
        "As Prometheus would fire them, scraping every " (seconds(monitoring.scrape.as_secs_f64()))
        " and evaluating every " (seconds(monitoring.evaluation.as_secs_f64()))
        ". Times are medians over the replications in question. " code { "--prometheus" }
        " writes the samples and the rules."
    };
    section_named("alerts", "Alerts", html! { (table(&header, rows)) (note(remark)) })
}

/// Allows line breaks between the words of long metric names.
fn breakable(name: &str) -> Markup {
    html! {
        @for (index, word) in name.split('_').enumerate() {
            @if index > 0 { (PreEscaped("_<wbr/>")) }
            (word)
        }
    }
}

/// The section about faults; empty where there are none.
pub(super) fn faults(scenario: &Scenario, summary: &Summary) -> Markup {
    let faults = reading::faults(scenario);
    if faults.is_empty() {
        return Markup::default();
    }
    let seconds = |seconds: f64| number::value(Unit::Seconds, seconds);
    let rows = html! {
        @for fault in &faults {
            tr {
                th scope="row" { (fault.name) }
                td { (seconds(fault.start)) }
                @if fault.is_open {
                    td { (number::MISSING) } td { "to the end" }
                } @else {
                    td { (seconds(fault.end)) } td { (seconds(fault.end - fault.start)) }
                }
                td class="words" { (fault.what) }
            } "\n"
        }
    };
    let (origin, at) = reading::recovery_origin(scenario);
    let remark = if faults.iter().any(|fault| fault.is_open) {
        "A fault lasts until the end of the run, so recovery cannot be observed.".to_owned()
    } else {
        format!(
            "Recovery counts from {}, at {}: {}.",
            origin.moment(),
            seconds(at),
            reading::recovery(scenario, summary)
        )
    };
    let header = ["fault", "begins", "ends", "lasts", "what goes wrong"];
    section_named("faults", "Faults", html! { (table(&header, rows)) (note(remark)) })
}

/// The log of the autoscaler; empty where there is none.
pub(super) fn autoscaler(scenario: &Scenario, findings: &Findings) -> Markup {
    let Some(config) = &scenario.model.autoscaler else { return Markup::default() };
    let about = format!(
        "From {} to {} worker processes, decided every {} from a depth that is {} old. On average {} processes \
         take jobs.",
        config.min,
        config.max,
        number::value(Unit::Seconds, config.sync.as_secs_f64()),
        number::value(Unit::Seconds, config.metric_age.as_secs_f64()),
        number::estimate(Unit::Count, findings.summary.metric(Metric::WorkerProcesses)),
    );
    let decisions = &findings.summary.scaling;
    let of = match findings.summary.replications {
        1 => "",
        _ => " of the first replication",
    };
    let content = html! {
        p { (about) } "\n"
        @if decisions.is_empty() {
            (note("The autoscaler made no decision during the run."))
        } @else {
            details open[decisions.len() <= LONGEST_OPEN_LOG] { "\n"
                summary { "Decisions (" (decisions.len()) ")" } "\n"
                (log(decisions))
                (note(format!("Decisions{of}; repeated decisions that change nothing are left out.")))
            } "\n"
        }
    };
    section_named("autoscaler", "Autoscaler", content)
}

fn log(decisions: &[ScalingStep]) -> Markup {
    let header = ["time", "depth", "running or starting", "required by depth", "wanted", "deciding rule"];
    let rows = html! {
        @for decision in decisions {
            tr class=[(decision.wanted != decision.current).then_some("changed")] {
                td { (number::value(Unit::Seconds, decision.seconds)) }
                td { (number::optional(Unit::Jobs, decision.depth.map(|jobs| jobs as f64))) }
                td { (decision.current) }
                td { (decision.recommended) }
                td { (decision.wanted) }
                td class="words" { (decision.reason) }
            } "\n"
        }
    };
    table(&header, rows)
}

/// The classes, and the total last if there are several.
fn rows(summary: &Summary) -> Vec<(&str, &Named<Estimate>, bool)> {
    let classes = &summary.classes.0;
    let mut rows: Vec<_> = classes.iter().map(|(name, metrics)| (name.as_str(), metrics, false)).collect();
    if classes.len() != 1 {
        rows.push(("total", &summary.metrics, true));
    }
    rows
}

fn mean_of(metrics: &Named<Estimate>, metric: Metric) -> f64 {
    metrics.get(metric.name()).and_then(|estimate| estimate.mean).unwrap_or(0.0)
}

const LONGEST_OPEN_LOG: usize = 16;
