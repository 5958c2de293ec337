//! The plans as one page: what to apply first, then what it withstands, then how it was found.

use maud::{Markup, html};

use super::view::{Ending, View, missed_by, share, times};
use super::{document as json, render_files};
use crate::experiment::summary::Verdict;
use crate::model::metric::{Metric, Unit};
use crate::plan::Choice;
use crate::plan::proof::{Alarm, Files, Tested};
use crate::report::kit::card::{Card, Tile};
use crate::report::kit::chart::Chart;
use crate::report::kit::hints;
use crate::report::kit::html::{details, document, figure, list, question, scenario_text, section, table};
use crate::report::kit::number;
use crate::report::kit::objective;
use crate::report::kit::text::capitalised;
use crate::report::kit::traffic::{self, Tone};

pub(super) fn render(views: &[View<'_>], charts: &[Vec<Chart>]) -> String {
    let names: Vec<String> = views.iter().map(View::name).collect();
    let choices: Vec<&Choice> = views.iter().filter_map(|view| view.plan.choice.as_ref()).collect();
    let page = html! {
        (head(views))
        @if views.len() > 1 { (side_by_side(views)) }
        @for (view, charts) in views.iter().zip(charts) {
            (plan(view, charts, views.len() > 1))
        }
        footer {
            "simulate " (env!("CARGO_PKG_VERSION"))
            @if !choices.is_empty() { " · digest" }
            @for choice in choices { " " code { (choice.findings.summary.digest) } }
            " · schema " code { (json::SCHEMA) }
        } "\n"
    };
    document(&format!("Plan – {}", names.join(", ")), &page)
}

fn head(views: &[View<'_>]) -> Markup {
    let card = card(views);
    html! {
        header class={ "verdict " (card.class()) } { "\n"
            (card.markup())
            @if let [view] = views { (question(view.scenario())) }
            @for view in views {
                p class="reproduce" { "Reproduce: " code { (view.command()) } } "\n"
            }
        } "\n"
    }
}

/// The plans on one card: what becomes of the traffic, then what to apply.
pub(super) fn card(views: &[View<'_>]) -> Card {
    let count = |ending| views.iter().filter(|view| view.ending() == ending).count();
    let refuted = count(Ending::Refuted);
    let unlimited = views.iter().any(View::has_unlimited);
    let (tone, verdict) = match (count(Ending::Nothing), count(Ending::Undecided), views.len()) {
        (0, _, 1) if refuted > 0 => (Tone::Bad, "✗ FILES MISS THE OBJECTIVES".to_owned()),
        (0, _, n) if refuted > 0 => {
            (Tone::Bad, format!("✗ THE FILES OF {refuted} OF {n} MISS THE OBJECTIVES"))
        }
        (0, 0, 1) if unlimited => (Tone::Caution, "! PLANNED".to_owned()),
        (0, 0, n) if unlimited => (Tone::Caution, format!("! {n} PLANNED")),
        (0, 0, 1) => (Tone::Good, "✓ PLANNED".to_owned()),
        (0, 0, n) => (Tone::Good, format!("✓ {n} PLANNED")),
        (0, _, 1) => (Tone::Neutral, "? UNDECIDED".to_owned()),
        (0, undecided, n) => (Tone::Neutral, format!("? {undecided} OF {n} UNDECIDED")),
        (_, _, 1) => (Tone::Bad, "✗ NO PLAN".to_owned()),
        (nothing, _, n) => (Tone::Bad, format!("✗ {nothing} OF {n} WITHOUT A PLAN")),
    };
    let alone = match views {
        [view] => view.plan.choice.as_ref(),
        _ => None,
    };
    let lead = alone.map(|choice| traffic::offered(&choice.findings.summary.traffic)).unwrap_or_default();
    let objectives = alone.map(|choice| ("Objectives", Card::objectives(&choice.findings.summary.slo)));
    let digests: Vec<&str> = views
        .iter()
        .filter_map(|view| Some(view.plan.choice.as_ref()?.findings.summary.digest.as_str()))
        .collect();
    Card {
        title: match views {
            [view] => format!("Plan for {}", view.name()),
            views => format!("{} plans", views.len()),
        },
        tone,
        verdict,
        remarks: Vec::new(),
        lead,
        tiles: alone.map(|choice| Tile::of(&choice.findings.summary.traffic.total)).unwrap_or_default(),
        why: views.iter().flat_map(|view| sentences(view, views.len() > 1)).collect(),
        facts: objectives.into_iter().collect(),
        basis: match digests.as_slice() {
            [] => "No configuration was chosen".to_owned(),
            digests => format!("Digest {}", digests.join(", ")),
        },
    }
}

/// What is planned and how it was proven; with the name of the plan if there are several.
fn sentences(view: &View<'_>, several: bool) -> Vec<String> {
    let name = if several { format!("{}: ", view.short_name()) } else { String::new() };
    let Some(choice) = &view.plan.choice else { return vec![format!("{name}{}", answer(view))] };
    let summary = &choice.findings.summary;
    let why = traffic::why(&summary.traffic, &summary.limits_reached);
    vec![
        format!("{name}{}. {}", capitalised(&View::harm(choice)), answer(view)),
        format!("{}.", capitalised(&why)),
        view.proof_sentence(choice),
    ]
}

/// The plan in a few sentences.
fn answer(view: &View<'_>) -> String {
    let Some(choice) = &view.plan.choice else { return view.why_nothing() };
    let workers = &choice.scenario.model.workers;
    let open = match view.ending() {
        Ending::Undecided => format!(" Undecided: {}.", view.guarantee(choice)),
        _ => String::new(),
    };
    let capacity =
        View::capacity_sentence(choice).map_or_else(String::new, |capacity| format!(" {capacity}"));
    let processes = if workers.processes == 1 { "process" } else { "processes" };
    format!(
        "{} worker {processes} with thresholds {} and Redis {}, at {}. Recovery takes {} (95 % of runs). {}{capacity}{open}",
        View::workers(choice),
        View::thresholds(choice),
        View::memory(choice),
        view.cost(&choice.cost),
        View::recovery_p95(&choice.findings.summary),
        view.headroom_sentence(choice),
    )
}

/// A row of the side-by-side table: its heading and the cell of a plan.
type Line = (&'static str, fn(&View<'_>, &Choice) -> String);

const LINES: [Line; 13] = [
    ("jobs refused", |_, choice| traffic::share(choice.findings.summary.traffic.total.refused)),
    ("jobs lost", |_, choice| traffic::share(choice.findings.summary.traffic.total.lost)),
    ("worker processes × concurrency", |_, choice| View::workers(choice)),
    ("recovery / warning / critical", |_, choice| View::thresholds(choice)),
    ("Redis maxmemory × queues", |_, choice| View::memory(choice)),
    ("cost", |view, choice| view.cost(&choice.cost)),
    ("workers busy", |_, choice| mean(choice, Metric::WorkerUtilisation)),
    ("recovery, 95 % of runs", |_, choice| View::recovery_p95(&choice.findings.summary)),
    ("headroom", |_, choice| View::headroom(&choice.what_if)),
    ("breaks first", |_, choice| View::breaks_first(&choice.what_if)),
    ("Redis full after", |_, choice| View::oom(choice)),
    ("Redis full without the policy after", |_, choice| View::oom_unprotected(choice)),
    ("most sensitive to", |_, choice| View::most_sensitive(&choice.what_if).unwrap_or("no input".to_owned())),
];

fn mean(choice: &Choice, metric: Metric) -> String {
    number::estimate(metric.unit(), choice.findings.summary.metric(metric))
}

fn side_by_side(views: &[View<'_>]) -> Markup {
    let names = views.iter().map(View::short_name);
    let header: Vec<String> = std::iter::once(String::new()).chain(names).collect();
    let rows = html! {
        @for (name, cell) in LINES {
            tr {
                th scope="row" { (name) }
                @for view in views {
                    @let choice = view.plan.choice.as_ref();
                    td { (choice.map_or(number::MISSING.to_owned(), |choice| cell(view, choice))) }
                }
            } "\n"
        }
    };
    section("Side by side", table(&header, rows))
}

fn plan(view: &View<'_>, charts: &[Chart], several: bool) -> Markup {
    let section = |title: &str, content: Markup| {
        let prefix = if several { format!("{}: ", view.short_name()) } else { String::new() };
        section(&format!("{prefix}{title}"), content)
    };
    let drawn = |name: &str| {
        // The charts of all plans share one page.
        let id = view.file(name, "svg");
        let chart = charts.iter().find(|chart| chart.name == name);
        chart.map(|chart| figure(id.trim_end_matches(".svg"), chart)).unwrap_or_default()
    };
    let warnings = view.warnings();
    let caveats = view.plan.choice.as_ref().map(|choice| view.caveats(choice)).unwrap_or_default();
    // A warning of both the scenario and the choice is shown once.
    let only_of_scenario = warnings.iter().filter(|warning| !caveats.contains(warning));
    html! {
        @if let Some(choice) = &view.plan.choice {
            (section("What to apply", settings(view, choice)))
            (section("Objectives", objectives(choice)))
            (section("What it withstands", html! {
                (loads(choice))
                @if let Some(part) = View::part_sentence(choice) { p { (part) } "\n" }
                (drawn("load"))
                @for loss in &choice.what_if.losses { p { (View::loss_sentence(loss)) } "\n" }
                (drawn("tornado"))
            }))
            @if !choice.proof.manifests.is_empty() {
                (section("What its files do", proof(view, choice)))
            }
            (section("Its course over time", drawn("depth")))
        }
        @if !view.plan.spec.is_empty() {
            (section("What the specification recommends", spec(view)))
        }
        (section("How it was found", html! {
            (search(view))
            (drawn("search"))
            (drawn("candidates"))
        }))
        @if !warnings.is_empty() || !caveats.is_empty() {
            (section("Assumptions and warnings", list(caveats.iter().chain(only_of_scenario))))
        }
        (hints::of_page(view.hints()))
        (scenario_text(view.scenario()))
    }
}

fn settings(view: &View<'_>, choice: &Choice) -> Markup {
    let rows = html! {
        @for setting in view.settings(choice) {
            tr {
                th scope="row" { (setting.name) }
                td { strong { (setting.value) } }
                td class="text" { (setting.place) }
            } "\n"
        }
    };
    let Files { env, hpa, keda, alerts } = render_files(view, choice);
    let files =
        [("plan", "env", env), ("hpa", "yaml", hpa), ("keda", "yaml", keda), ("alerts", "yaml", alerts)];
    html! {
        (table(&["setting", "value", "where"], rows))
        @for (stem, extension, text) in files {
            (details(view.file(stem, extension), html! { pre { (text) } "\n" }))
        }
        p class="reproduce" { "The configuration alone: " code { (choice.scenario.command) } } "\n"
        p class="reproduce" { "Its digest: " code { (choice.findings.summary.digest) } } "\n"
    }
}

/// The files as they were read back: what they meet, and when the alerts fire in each incident.
fn proof(view: &View<'_>, choice: &Choice) -> Markup {
    let proof = &choice.proof;
    let tested = |tested: &Tested| {
        let missed: Vec<String> = tested.slo.iter().filter(|slo| !slo.pass).map(missed_by).collect();
        let (class, sign) = if missed.is_empty() { ("met", "✓") } else { ("missed", "✗") };
        html! {
            tr class=(class) {
                td { (sign) }
                th scope="row" { (view.file("plan", "env")) " with " (view.file(tested.name, "yaml")) }
                td { (traffic::share(tested.fates.refused)) }
                td { (traffic::share(tested.fates.lost)) }
                td { (view.amount(tested.cost)) }
                td class="text" { (all_met_or(&missed)) }
            } "\n"
        }
    };
    let seconds = |at: Option<f64>| number::optional(Unit::Seconds, at);
    let alarm = |alarm: &Alarm| {
        let used_up = match (&alarm.used_up, alarm.in_time) {
            (None, _) => "no".to_owned(),
            (Some((at, objective)), Some(true)) => {
                format!("after {}: {objective}; called in time", seconds(Some(*at)))
            }
            (Some((at, objective)), _) => {
                format!("after {}: {objective}; nobody is called in time", seconds(Some(*at)))
            }
        };
        html! {
            tr {
                th scope="row" { (capitalised(&alarm.name)) }
                td { (traffic::share(alarm.fates.refused)) }
                td { (traffic::share(alarm.fates.lost)) }
                td class="text" { (used_up) }
                @for fired in &alarm.fired { td { (seconds(*fired)) } }
            } "\n"
        }
    };
    let header = ["incident", "refused", "lost", "objective used up"].into_iter();
    let header: Vec<&str> = header.chain(proof.rules.iter().map(|rule| rule.name)).collect();
    html! {
        p { "Each file was read back as its reader would read it, and the run was simulated with what it says." } "\n"
        (judged(&table(
            &["", "files", "refused", "lost", "cost", "objectives"],
            html! { @for one in &proof.manifests { (tested(one)) } },
        )))
        @if !proof.incidents.is_empty() {
            p { "When each alert of " (view.file("alerts", "yaml")) " fires, as planned and in each incident:" } "\n"
            (table(&header, html! { @for one in &proof.incidents { (alarm(one)) } }))
        }
    }
}

/// A table whose first column says what is met.
fn judged(table: &Markup) -> Markup {
    html! { div class="objectives" { "\n" (table) } "\n" }
}

fn objectives(choice: &Choice) -> Markup {
    let rows = html! {
        @for result in &choice.findings.summary.slo {
            @let (class, sign) = if result.pass { ("met", "✓") } else { ("missed", "✗") };
            tr class=(class) {
                td { (sign) }
                th scope="row" { code { (result.expression) } }
                td { (objective::observed(result)) }
            } "\n"
        }
    };
    judged(&table(&["", "objective", "observed"], rows))
}

fn loads(choice: &Choice) -> Markup {
    let shown = [1.0, 1.5, 2.0].into_iter().filter_map(|factor| View::at_load(&choice.what_if, factor));
    let rows = html! {
        @for load in shown {
            tr {
                th scope="row" { (times(load.factor)) "×" }
                td class="text" { (View::limits(load)) }
                td { (share(load.rejected)) }
                td { (share(load.lost)) }
                td { (View::recovery(load.recovery)) }
                td class="text" { (all_met_or(&load.missed)) }
            } "\n"
        }
    };
    html! {
        (table(&["load", "limits reached, in order", "refused", "lost", "recovery", "objectives"], rows))
        p { (full("Redis", &View::oom(choice))) "; " (full("without the policy it", &View::oom_unprotected(choice))) "." } "\n"
    }
}

/// `Redis never fills up`.
fn full(what: &str, after: &str) -> String {
    match after {
        "never" => format!("{what} never fills up"),
        "no limit" => format!("{what} has no limit"),
        after => format!("{what} is full after {after}"),
    }
}

fn all_met_or(missed: &[String]) -> String {
    if missed.is_empty() { "all met".to_owned() } else { format!("missed: {}", missed.join("; ")) }
}

fn spec(view: &View<'_>) -> Markup {
    let rows = html! {
        @for verdict in &view.plan.spec {
            @let summary = &verdict.summary;
            @let (class, sign, missed) = match summary.verdict {
                Verdict::Pass => ("met", "✓", Vec::new()),
                Verdict::Fail => {
                    let missed = summary.slo.iter().filter(|slo| !slo.pass).map(missed_by);
                    ("missed", "✗", missed.collect())
                }
            };
            tr class=(class) {
                td { (sign) }
                th scope="row" { (verdict.name) small { (verdict.overrides.join(" ")) } }
                td { (view.amount(verdict.cost)) }
                td class="text" { (all_met_or(&missed)) (view.spec_remark(verdict)) }
            } "\n"
        }
    };
    judged(&table(&["", "recommendation", "cost", "objectives"], rows))
}

fn search(view: &View<'_>) -> Markup {
    html! {
        p { (view.path_line()) } "\n"
        @if let Some(choice) = &view.plan.choice {
            p { (View::criterion_sentence(choice)) } "\n"
            @if !choice.undecided.is_empty() {
                p { "Not distinguishable from it:" } "\n"
                (list(choice.undecided.iter().map(|&id| html! { code { (view.variant(id)) } })))
            }
        }
    }
}
