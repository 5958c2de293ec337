//! The report of a sweep as one page: the verdict first, then the ranking, then the charts.

use maud::{Markup, html};

use super::view::{View, variants};
use crate::model::metric::Metric;
use crate::report::kit::card::{self, Card, Tile};
use crate::report::kit::chart::Chart;
use crate::report::kit::html::{
    document, figure, list, note, question, scenario_text, section, section_of_class, table,
};
use crate::report::kit::number;
use crate::report::kit::traffic::Tone;

pub(super) fn render(view: &View<'_>, charts: &[Chart]) -> String {
    let scenario = view.grid().scenario();
    let page = html! {
        (head(view))
        (axes(view))
        (ranking(view))
        @for (title, names) in SECTIONS {
            @let shown: Vec<&Chart> = charts.iter().filter(|chart| names.contains(&chart.name)).collect();
            @if !shown.is_empty() {
                (section(title, html! { @for chart in shown { (figure(chart.name, chart)) } }))
            }
        }
        @if !scenario.warnings.is_empty() {
            (section("Assumptions and warnings of the scenario", list(&scenario.warnings)))
        }
        (scenario_text(scenario))
        footer {
            "simulate " (env!("CARGO_PKG_VERSION")) " · sweep " code { (view.grid().fingerprint()) }
        } "\n"
    };
    document(&format!("{} – sweep of {}", scenario.name, variants(view.sweep.results.len())), &page)
}

const SECTIONS: [(&str, &[&str]); 4] = [
    ("Over the axes", &["map-recovery", "map-rejection", "map-objective"]),
    ("Trade-offs", &["front"]),
    ("What matters", &["effects"]),
    ("The best over time", &["courses"]),
];

fn head(view: &View<'_>) -> Markup {
    let scenario = view.grid().scenario();
    let card = card(view);
    html! {
        header class={ "verdict " (card.class()) } { "\n"
            (card.markup())
            (question(scenario))
            p {
                (view.passing_sentence()) ". " @if let Some(cheapest) = view.cheapest_sentence() { (cheapest) ". " }
                (view.order())
            } "\n"
            p class="reproduce" {
                "Reproduce: " code { (view.grid().command()) } br;
                "Seed " (scenario.seed) ", " (view.replications()) ". The best variant alone: "
                code { (alone(view, view.best())) } ", with digest "
                code { (view.result(view.best()).digest) }
            } "\n"
        } "\n"
    }
}

/// The sweep on one card: the best variant, and what it does to the traffic.
pub(super) fn card(view: &View<'_>) -> Card {
    let scenario = view.grid().scenario();
    let (tone, verdict) = match (scenario.slo.is_empty(), view.sweep.winner()) {
        (true, _) => (Tone::Neutral, "NO OBJECTIVES".to_owned()),
        (false, Some(_)) => (Tone::Good, format!("{} OF {} PASS", view.passing(), view.sweep.results.len())),
        (false, None) => (Tone::Bad, "NONE PASSES".to_owned()),
    };
    let best = view.result(view.best());
    let mean = |metric: Metric| best.metric(metric).mean.unwrap_or(0.0);
    let tile = |metric: Metric, what| Tile::alone(View::estimate(best, metric), what, mean(metric) > 0.0);
    Card {
        title: format!("{}: sweep", scenario.name),
        tone,
        verdict: format!("{}{verdict}", card::sign(tone)),
        remarks: Vec::new(),
        lead: std::iter::once(answer(view))
            .chain(view.given_up(best).map(|share| format!("{share} of requests given up or lost.")))
            .collect(),
        tiles: vec![
            tile(Metric::RejectionProbability, "of offered jobs refused"),
            tile(Metric::Lost, "jobs lost"),
            Tile::alone(View::estimate(best, Metric::PeakDepth), "jobs at the peak", false),
            Tile::alone(View::estimate(best, Metric::Recovery), "recovery", false),
        ],
        why: Vec::new(),
        facts: Vec::new(),
        basis: format!(
            "Seed {}, {} · sweep {}",
            scenario.seed,
            view.replications(),
            view.grid().fingerprint()
        ),
    }
}

/// The best variant with what it costs, as a sentence; what it does stands below in figures.
fn answer(view: &View<'_>) -> String {
    let best = view.result(view.best());
    let settings: Vec<String> = view
        .values(view.best())
        .iter()
        .zip(&view.grid().axes)
        .map(|(value, axis)| format!("{} = {value}", axis.path))
        .collect();
    let which = if best.passes() { "Best" } else { "Nearest to the objectives" };
    format!(
        "{which}: {} – {}.",
        if settings.is_empty() { "the scenario as it is".to_owned() } else { settings.join(", ") },
        view.cost_in_words(&best.cost),
    )
}

/// The command that runs one variant.
fn alone(view: &View<'_>, position: usize) -> String {
    let mut command = view.grid().scenario().command.clone();
    for change in view.grid().overrides(view.result(position).id) {
        command += " --set ";
        command += &crate::scenario::for_shell(&change);
    }
    command
}

fn axes(view: &View<'_>) -> Markup {
    let rows = html! {
        @for (index, axis) in view.grid().axes.iter().enumerate() {
            tr {
                th scope="row" { (view.title(index)) }
                td { (axis.points.len()) }
                td { (view.point(index, 0)) }
                td { (view.point(index, axis.points.len() - 1)) }
            } "\n"
        }
    };
    let size = number::grouped(view.grid().size() as f64, 0);
    let excluded = view.excluded();
    let reasons = view.sweep.study.variants.excluded.iter();
    let content = html! {
        (table(&["setting", "values", "from", "to"], rows))
        @if excluded == 0 {
            p { "All " (size) " combinations were run." } "\n"
        } @else {
            p { (number::grouped(excluded as f64, 0)) " of " (size) " combinations were excluded:" } "\n"
            (list(reasons.map(|(reason, count)| format!("{count}: {reason}"))))
        }
    };
    section("What was varied", content)
}

fn ranking(view: &View<'_>) -> Markup {
    let slo = &view.grid().scenario().slo;
    let mut header = vec!["", "rank"];
    header.extend((0..view.grid().axes.len()).map(|axis| view.name(axis)));
    let has_clients = view.grid().scenario().model.clients.is_some();
    header.push(view.cost_name());
    header.extend(has_clients.then_some("given up or lost"));
    header.extend(["recovery", "refused"]);
    if view.loses_jobs() {
        header.push("lost jobs");
    }
    header.extend(slo.iter().map(|slo| slo.expression.as_str()));
    header.push("digest");
    let rows = html! {
        @for &position in view.sweep.ranking.iter().take(MOST_LISTED) {
            @let result = view.result(position);
            @let (class, sign) = if result.passes() { ("met", "✓") } else { ("missed", "✗") };
            tr class=(class) {
                td { (sign) }
                td { (view.rank(position)) }
                @for value in view.values(position) { td { (value) } }
                td { (view.cost(&result.cost)) }
                @if let Some(share) = view.given_up(result) { td { (share) } }
                td { (View::estimate(result, Metric::Recovery)) }
                td { (View::estimate(result, Metric::RejectionProbability)) }
                @if view.loses_jobs() { td { (View::estimate(result, Metric::Lost)) } }
                @for (observed, (_, pass)) in view.observed(result).iter().zip(&result.slo) {
                    @let (class, sign) = if *pass { ("good", "✓") } else { ("bad", "✗") };
                    td class=(class) { (observed) " " (sign) }
                }
                td { code { (result.digest) } }
            } "\n"
        }
    };
    let all = view.sweep.results.len();
    let remark = html! {
        @if all > MOST_LISTED {
            "The best " (MOST_LISTED) " of " (number::grouped(all as f64, 0)) "; all are in " code { "variants.csv" }
            ", " code { "variants.parquet" } " and " code { "sweep.json" } ". "
        }
        "Means with the half-width of their 95 % interval over " (view.sweep.study.replications)
        " replications; ≥ marks a recovery that did not always happen within the run. All variants see the same jobs \
         (common random numbers)."
    };
    section_of_class("ranking", "Ranking", html! { (table(&header, rows)) (note(remark)) })
}

const MOST_LISTED: usize = 50;
