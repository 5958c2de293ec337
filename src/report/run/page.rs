//! The report of a run as one page: what became of the traffic, the verdict, evidence below; no external resources.

use maud::{Markup, html};

use super::jobs::JobTable;
use super::reading::{self, Break};
use super::sections;
use crate::experiment::Findings;
use crate::experiment::summary::{Estimate, Named, SloResult, Summary};
use crate::experiment::traffic::Fates;
use crate::model::metric::{Metric, Unit};
use crate::report::kit::card::{self, Card, Tile};
use crate::report::kit::chart::Chart;
use crate::report::kit::hints;
use crate::report::kit::html::{
    details, document, figure, list, note, question, scenario_text, section, section_of_class, table,
};
use crate::report::kit::number::{self, bounded, unit_of};
use crate::report::kit::objective;
use crate::report::kit::text::capitalised;
use crate::report::kit::traffic::{self, Tone};
use crate::scenario::Scenario;

/// The page.
pub(super) fn render(scenario: &Scenario, findings: &Findings, charts: &[Chart]) -> String {
    let summary = &findings.summary;
    let page = html! {
        (head(scenario, findings))
        (objectives(summary))
        (breaks_first(summary))
        (outcome(scenario, summary))
        (sections::alerts(scenario, summary))
        (sections::clients(scenario, findings))
        (sections::faults(scenario, summary))
        (sections::autoscaler(scenario, findings))
        (section("Over time", html! { @for chart in charts { (figure(chart.name, chart)) } }))
        (metrics(summary))
        @if !summary.warnings.is_empty() {
            (section("Assumptions and warnings", list(&summary.warnings)))
        }
        (hints::of_page(&summary.hints))
        (scenario_text(scenario))
        footer {
            "simulate " (summary.version) " · digest " code { (summary.digest) }
            " · schema " code { (summary.schema) }
        } "\n"
    };
    document(&format!("{} – {}", summary.scenario, reading::verdict(summary).1), &page)
}

/// The card, and what people who read on need.
fn head(scenario: &Scenario, findings: &Findings) -> Markup {
    let summary = &findings.summary;
    // An interrupt ends at an arbitrary replication, so no command reproduces exactly these results.
    let command_gives = if summary.interrupted { "To run all of it" } else { "Reproduce" };
    let card = card(scenario, findings);
    html! {
        header class={ "verdict " (card.class()) } { "\n"
            (card.markup())
            (traffic_by_class(summary))
            (question(scenario))
            p class="answer" { (reading::answer(scenario, findings)) } "\n"
            p class="reproduce" {
                (command_gives) ": " code { (scenario.command) } br;
                "Equal results have equal digests: " code { (summary.digest) }
            } "\n"
        } "\n"
    }
}

/// The run on one card.
pub(super) fn card(scenario: &Scenario, findings: &Findings) -> Card {
    let summary = &findings.summary;
    let (tone, verdict) = reading::verdict(summary);
    let peak = number::estimate(Unit::Jobs, summary.metric(Metric::PeakDepth));
    let levels = reading::levels(scenario);
    let critical = levels.iter().find(|level| level.name == "critical").or(levels.last());
    let interrupted = format!(
        "Interrupted: these figures rest on {} of {} replications.",
        summary.replications, scenario.replications
    );
    let mut facts = vec![
        ("Objectives", Card::objectives(&summary.slo)),
        ("Peak depth", card::against(&peak, critical.map(|level| (level.name, level.depth as f64)))),
    ];
    // Both at once unless more waits for longer than the recovery lasts.
    let recovery = reading::recovery(scenario, summary);
    match reading::normal_again(scenario, summary) {
        None => facts.push(("Back to normal", recovery)),
        Some(normal) => facts.extend([("Recovery", recovery), ("Back to normal", normal)]),
    }
    Card {
        title: summary.scenario.clone(),
        tone,
        verdict: format!("{}{verdict}", card::sign(tone)),
        remarks: summary.interrupted.then_some(interrupted).into_iter().collect(),
        lead: traffic::offered(&summary.traffic),
        tiles: Tile::of(&summary.traffic.total),
        why: vec![format!("{}.", capitalised(&traffic::why(&summary.traffic, &summary.limits_reached)))],
        facts,
        basis: format!(
            "{} · seed {} · digest {}",
            capitalised(&reading::basis(summary.replications)),
            summary.seed,
            summary.digest
        ),
    }
}

/// The same by class, if there are several.
fn traffic_by_class(summary: &Summary) -> Markup {
    let all = &summary.traffic;
    if all.classes.0.len() < 2 {
        return Markup::default();
    }
    let parts = traffic::parts(&all.total);
    let has_clients = all.total.requests.is_some();
    let header: Vec<&str> = ["class"]
        .into_iter()
        .chain(has_clients.then_some("given up"))
        .chain(parts.iter().map(|(name, _)| *name))
        .chain([if has_clients { "attempts" } else { "offered" }])
        .collect();
    let row = |name: &str, fates: &Fates, class: Option<&str>| {
        let mine = traffic::parts(fates);
        let share_of = |wanted: &str| {
            let part = mine.iter().find(|(name, _)| *name == wanted);
            traffic::share(part.map(|(_, part)| *part).unwrap_or_default())
        };
        html! {
            tr class=[class] {
                th scope="row" { (name) }
                @if let Some(requests) = fates.requests { td { (traffic::share(requests.given_up)) } }
                @for (name, _) in &parts { td { (share_of(name)) } }
                td { (number::grouped(fates.offered, 0)) }
            } "\n"
        }
    };
    let rows = html! {
        @for (name, fates) in &all.classes.0 { (row(name, fates, None)) }
        (row("total", &all.total, Some("total")))
    };
    table(&header, rows)
}

fn objectives(summary: &Summary) -> Markup {
    if summary.slo.is_empty() {
        let none =
            html! { p { "None. Objectives are set with " code { "slo = [ … ]" } " in the scenario." } "\n" };
        return section_of_class("objectives", "Objectives", none);
    }
    let rows = html! {
        @for result in &summary.slo {
            @let (sign, tone) = objective::sign(result);
            @let class = match tone { Tone::Good => "met", Tone::Bad => "missed", _ => "expected" };
            tr class=(class) {
                td { (sign) }
                th scope="row" { code { (result.expression) } }
                td { (observed(result)) }
                td { (number::value(result.unit, result.limit)) }
                td { (objective::word(result)) }
            } "\n"
        }
    };
    let header = ["", "objective", "observed", "limit", "result"];
    section_of_class("objectives", "Objectives", table(&header, rows))
}

fn observed(result: &SloResult) -> Markup {
    html! {
        (objective::figure(result))
        @if let Some(remark) = objective::remark_besides_result(result) {
            " " small { "(" (remark) ")" }
        }
    }
}

fn breaks_first(summary: &Summary) -> Markup {
    let breaks = reading::breaks(summary);
    let (harms, causes): (Vec<&Break>, Vec<&Break>) = breaks.iter().partition(|one| one.is_harm);
    let item = |one: &Break| {
        html! {
            li {
                strong { (one.what) } " at " (number::value(Unit::Seconds, one.seconds))
                @for remark in &one.remarks { ", " (remark) }
            } "\n"
        }
    };
    let content = html! {
        @if harms.is_empty() {
            p { "Nothing was refused or lost." } "\n"
        } @else {
            ul class="harms" { "\n" @for one in &harms { (item(one)) } } "\n"
        }
        @if causes.is_empty() {
            p { "No limit was reached." } "\n"
        } @else {
            ol { "\n" @for one in &causes { (item(one)) } } "\n"
        }
        @if !summary.limits_ahead.is_empty() {
            @let ahead = reading::limits_ahead(summary).join(", ");
            (note(format!("{} {ahead}.", capitalised(reading::LIMITS_AHEAD))))
        }
    };
    section("What broke first", content)
}

fn outcome(scenario: &Scenario, summary: &Summary) -> Markup {
    let jobs = JobTable::of(scenario, summary);
    let header = [
        "class",
        "offered",
        "= admitted",
        "+ refused",
        "completed",
        "failed",
        "lost",
        "in system",
        "wait p50",
        "p95",
        "p99",
    ];
    let rows = html! {
        @for row in &jobs.rows {
            tr class=[row.priority.is_none().then_some("total")] {
                th scope="row" {
                    (row.name)
                    @if let Some(priority) = row.priority { " " small { "priority " (priority) } }
                }
                @for cell in row.counts.iter().chain(&row.waits) { td { (cell) } }
            } "\n"
        }
    };
    let content = html! {
        (table(&header, rows))
        (note(&jobs.remark))
        (sections::rejections(summary))
    };
    section("Outcome by class", content)
}

fn metrics(summary: &Summary) -> Markup {
    let about = format!(
        "Over {} replications: mean with the half-width of its 95 % Student-t interval, the extremes, and the 95th \
         percentile. Censored replications count with the bound that they reached.",
        summary.replications
    );
    let content = html! {
        (note(about))
        (metric_table(&summary.metrics, true))
        @for (class, metrics) in &summary.classes.0 {
            (details(format!("Class {class}"), metric_table(metrics, false)))
        }
    };
    section_of_class("metrics", "All metrics", content)
}

fn metric_table(metrics: &Named<Estimate>, with_meaning: bool) -> Markup {
    let mut header = vec!["metric", "mean ± half-width", "min", "max", "p95", "n", "censored"];
    if with_meaning {
        header.push("meaning");
    }
    // A metric without any value belongs to a feature that the scenario does not use.
    let shown = metrics.0.iter().filter(|(_, estimate)| estimate.n > 0);
    let rows = html! {
        @for (name, estimate) in shown {
            @let unit = unit_of(name);
            tr {
                th scope="row" { code { (name) } }
                td { (bounded(&number::estimate(unit, estimate), estimate.censored > 0)) }
                @for figure in [estimate.min, estimate.max, estimate.p95] { td { (number::optional(unit, figure)) } }
                td { (estimate.n) }
                td { (estimate.censored) }
                @if with_meaning {
                    td class="text" { (Metric::from_name(name).map_or("", Metric::meaning)) }
                }
            } "\n"
        }
    };
    table(&header, rows)
}
