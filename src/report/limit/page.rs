//! The report of a limit as one page: the answer first, then the objectives, then a chart of each along the axis.

use maud::{Markup, html};

use super::view::{Sound, View};
use crate::report::kit::card::{self, Card, Tile};
use crate::report::kit::chart::Chart;
use crate::report::kit::hints;
use crate::report::kit::html::{document, figure, list, note, question, scenario_text, section, table};
use crate::report::kit::number;
use crate::report::kit::objective;
use crate::report::kit::text::capitalised;
use crate::report::kit::traffic::{self, Tone};

pub(super) fn render(view: &View<'_>, charts: &[Chart]) -> String {
    let scenario = view.limit.scenario();
    let page = html! {
        (head(view))
        (objectives(view))
        (section(&format!("Along {}", view.name()), html! { @for chart in charts { (figure(chart.name, chart)) } }))
        (points(view))
        (method(view))
        @if !scenario.warnings.is_empty() {
            (section("Assumptions and warnings", list(&scenario.warnings)))
        }
        (hints::of_page(&scenario.hints))
        (scenario_text(scenario))
        footer { "simulate " (env!("CARGO_PKG_VERSION")) } "\n"
    };
    document(&format!("{} – limit along {}", scenario.name, view.name()), &page)
}

fn head(view: &View<'_>) -> Markup {
    let scenario = view.limit.scenario();
    let card = card(view);
    html! {
        header class={ "verdict " (card.class()) } { "\n"
            (card.markup())
            (question(scenario))
            p class="reproduce" {
                "Reproduce: " code { (view.limit.command()) } br;
                "Seed " (scenario.seed) ", " (view.effort()) "."
            } "\n"
        } "\n"
    }
}

/// The limit on one card, with what becomes of the traffic at it.
pub(super) fn card(view: &View<'_>) -> Card {
    let scenario = view.limit.scenario();
    let tone = match view.sound() {
        Sound::Good => Tone::Good,
        Sound::Caution => Tone::Caution,
        Sound::Bad => Tone::Bad,
    };
    let at = view.bracket().and_then(|bracket| view.limit.point(bracket.limit));
    let offered = at.map(|point| traffic::offered(&point.traffic)).unwrap_or_default();
    let lead = std::iter::once(format!("{}.", capitalised(&view.headline())));
    let breaks = view.breaks().map(|breaks| format!("Breaks next, {breaks}."));
    let why = view.why().map(|why| format!("{}.", capitalised(&why)));
    let advice = view.advice().map(|advice| format!("{advice}."));
    let mut facts = Vec::new();
    if let Some(point) = at {
        facts.push(("Objectives at the limit", Card::objectives(&point.slo)));
    }
    Card {
        title: format!("{}: how far does it go?", scenario.name),
        tone,
        verdict: format!("{}{}", card::sign(tone), view.word()),
        remarks: view.remarks().into_iter().map(|remark| format!("{remark}.")).collect(),
        lead: lead.chain(offered.into_iter().map(|offered| format!("At the limit, {offered}:"))).collect(),
        tiles: at.map(|point| Tile::of(&point.traffic.total)).unwrap_or_default(),
        why: breaks.into_iter().chain(why).chain(advice).collect(),
        facts,
        basis: format!("Seed {}, {}", scenario.seed, view.effort()),
    }
}

fn objectives(view: &View<'_>) -> Markup {
    let Some(bracket) = view.bracket() else { return Markup::default() };
    let (Some(at), Some(next)) = (view.limit.point(bracket.limit), view.limit.point(bracket.next)) else {
        return Markup::default();
    };
    let header = [
        "".to_owned(),
        "objective".to_owned(),
        format!("at {}", view.value(bracket.limit)),
        format!("at {}", view.value(bracket.next)),
        "last met at".to_owned(),
    ];
    let rows = html! {
        @for (index, (at, next)) in at.slo.iter().zip(&next.slo).enumerate() {
            tr class=(if next.pass { "met" } else { "missed" }) {
                td { (if next.pass { "✓" } else { "✗" }) }
                th scope="row" { (next.expression) }
                td { (objective::observed(at)) }
                td { (objective::observed(next)) }
                td { (view.last_met(index)) }
            } "\n"
        }
    };
    let content = html! {
        (table(&header, rows))
        (note("The sign is of the next value beyond the limit. “And on” is as far as was tried."))
    };
    section("Objectives at the limit and beyond", content)
}

fn points(view: &View<'_>) -> Markup {
    let header = [view.name(), "peak", "refused", "lost", "replications", "missed"];
    let rows = html! {
        @for point in view.shown() {
            tr {
                th scope="row" { (if point.pass { "✓ " } else { "✗ " }) (view.value(point.value)) }
                td { (if point.peak_rate > 0.0 { traffic::rate(point.peak_rate) } else { number::MISSING.to_owned() }) }
                td { (traffic::share(point.traffic.total.refused)) }
                td { (traffic::share(point.traffic.total.lost)) }
                td { (point.runs) }
                td class="text" {
                    @for (index, result) in point.missed().enumerate() {
                        @if index > 0 { "; " }
                        (result.expression)
                    }
                }
            } "\n"
        }
    };
    let content = html! {
        (table(&header, rows))
        (note(html! { "A selection; all values are in " code { "points.csv" } " and " code { "limit.json" } "." }))
    };
    section("Values tried", content)
}

fn method(view: &View<'_>) -> Markup {
    let content = html! {
        @if let Some(basis) = view.basis() { p { (basis) "." } "\n" }
        p {
            "Replication i draws the same random numbers at every value, so bisection finds where the check of "
            (view.limit.scenario().replications) " replications turns. The interval reaches to the nearest values at which that is \
             proven: every objective met, or one missed. An objective on a mean is proven by Student’s t-test, one on all or \
             95 % of the runs by the exact binomial test, for which more replications are run where they decide."
        } "\n"
    };
    section("What the interval says", content)
}
