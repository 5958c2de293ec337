//! The comparison as one page: what was changed, its effect, and how sure that is.

use maud::{Markup, html};

use super::reading::{Sorted, headline, objectives, setting, sign, size_word, unjudged, verdict_word};
use crate::compare::{Comparison, Difference, Pairing, Side};
use crate::experiment::earlier::Judged;
use crate::experiment::summary::Estimate;
use crate::model::metric::Metric;
use crate::report::kit::card::Card;
use crate::report::kit::chart::Chart;
use crate::report::kit::html::{details, document, figure, list, note, section, section_of_class, table};
use crate::report::kit::number::{self, bounded};
use crate::report::kit::objective;
use crate::report::kit::traffic::Tone;

pub(super) fn render(comparison: &Comparison, charts: &[Chart]) -> String {
    let (a, b) = (&comparison.a, &comparison.b);
    let page = html! {
        (head(comparison))
        (settings(comparison))
        (thresholds(a, b))
        @if !charts.is_empty() {
            (section("Charts", html! { @for chart in charts { (figure(chart.name, chart)) } }))
        }
        (differences(comparison))
        @if !comparison.remarks.is_empty() {
            (section("Remarks", list(&comparison.remarks)))
        }
        footer {
            "simulate " (comparison.version) " · digests " code { (a.digest) } ", " code { (b.digest) }
            " · schema " code { (comparison.schema) }
        } "\n"
    };
    document(&format!("{} vs {}", a.label, b.label), &page)
}

fn head(comparison: &Comparison) -> Markup {
    let rows = html! {
        @for (letter, side) in [("A", &comparison.a), ("B", &comparison.b)] {
            @let word = verdict_word(side);
            @let (class, sign) = match word {
                "PASS" if unjudged(side).is_some() => ("", "⚠ "),
                "PASS" => ("met", "✓ "),
                "FAIL" => ("missed", "✗ "),
                _ => ("", ""),
            };
            tr class=(class) {
                th scope="row" { (letter) }
                td class="words" { (side.label) }
                td class="words" { code { (side.source) } }
                td { (side.seed) }
                td { (side.replications) }
                td { code { (side.digest) } }
                td class="words" { (sign) (word) @if let Some(unjudged) = unjudged(side) { "; " (unjudged) } }
            } "\n"
        }
    };
    let card = card(comparison);
    html! {
        header class={ "verdict " (card.class()) } { "\n"
            (card.markup())
            (table(&["", "name", "from", "seed", "replications", "digest", "objectives"], rows))
            p class="reproduce" { "Reproduce: " code { (comparison.command) } } "\n"
        } "\n"
    }
}

/// The comparison on one card: what each side does to the traffic, and whether it meets its objectives.
pub(super) fn card(comparison: &Comparison) -> Card {
    let of = |metric: Metric| {
        comparison.differences.iter().find(|one| one.class.is_none() && one.metric == metric)
    };
    let side = |one: &Difference, of: &Estimate| bounded(&number::estimate(one.unit(), of), of.censored > 0);
    let facts = FACTS.iter().filter_map(|&(name, metric)| {
        let one = of(metric)?;
        let (a, b) = (side(one, &one.a), side(one, &one.b));
        Some((name, if a == b { format!("{a} in both") } else { format!("A {a}, B {b}") }))
    });
    let verdict = |side: &Side| match unjudged(side) {
        Some(unjudged) => format!("{}; {unjudged}", verdict_word(side)),
        None => verdict_word(side).to_owned(),
    };
    Card {
        title: format!("{} vs {}", comparison.a.label, comparison.b.label),
        tone: Tone::Neutral,
        verdict: format!("A {}, B {}", verdict(&comparison.a), verdict(&comparison.b)),
        remarks: Vec::new(),
        lead: vec![headline(comparison)],
        tiles: Vec::new(),
        why: Vec::new(),
        facts: facts.collect(),
        basis: format!("Digests {}, {}", comparison.a.digest, comparison.b.digest),
    }
}

/// What a card tells of both sides; what is bad first.
const FACTS: [(&str, Metric); 5] = [
    ("Refused", Metric::RejectionProbability),
    ("Jobs lost", Metric::Lost),
    ("Jobs still waiting", Metric::InSystem),
    ("Peak depth (jobs)", Metric::PeakDepth),
    ("Back to normal", Metric::NormalAgain),
];

fn settings(comparison: &Comparison) -> Markup {
    let content = match comparison.settings.as_deref() {
        None => html! { p { "Unknown: the results of an earlier run do not contain its settings." } "\n" },
        Some([]) => html! { p { "None." } "\n" },
        Some(settings) => {
            let rows = html! {
                @for one in settings {
                    tr {
                        th scope="row" { code { (one.path) } }
                        td class="words" { (setting(one.a.as_ref())) }
                        td class="words" { (setting(one.b.as_ref())) }
                    } "\n"
                }
            };
            table(&["setting", "A", "B"], rows)
        }
    };
    section_of_class("settings", "Settings that differ", content)
}

fn thresholds(a: &Side, b: &Side) -> Markup {
    let objectives = objectives(a, b);
    if objectives.is_empty() {
        return Markup::default();
    }
    let rows = html! {
        @for (expression, of_a, of_b) in objectives {
            tr { th scope="row" { code { (expression) } } (observed(of_a)) (observed(of_b)) } "\n"
        }
    };
    section("Objectives", table(&["objective", "A", "B"], rows))
}

fn observed(judged: Option<&Judged>) -> Markup {
    let Some(judged) = judged else { return html! { td { "not set" } } };
    let (sign, tone) = objective::sign_of(judged.is_as_meant(), judged.expected_miss);
    let class = match tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Caution | Tone::Neutral => "expected",
    };
    let shown = number::optional(judged.unit(), judged.observed);
    html! { td class=(class) { (sign) " " (bounded(&shown, judged.censored > 0)) } }
}

fn differences(comparison: &Comparison) -> Markup {
    let of = |class: Option<&str>| {
        Sorted::of(comparison.differences.iter().filter(|one| one.class.as_deref() == class))
    };
    let system = of(None);
    let mut classes: Vec<&str> = Vec::new();
    for class in comparison.differences.iter().filter_map(|one| one.class.as_deref()) {
        if !classes.contains(&class) {
            classes.push(class);
        }
    }
    let content = html! {
        (note(how(comparison)))
        @if system.matters.is_empty() {
            p { "No system-wide figure differs significantly." } "\n"
        } @else {
            (figures(&system.matters))
        }
        (folded(&system))
        @for class in classes {
            @let sorted = of(Some(class));
            (details(format!("Class {class}: {}", counted(&sorted)), html! {
                @if !sorted.matters.is_empty() { (figures(&sorted.matters)) }
                (folded(&sorted))
            }))
        }
    };
    section_of_class("differences", "What differs", content)
}

/// How the numbers were computed.
fn how(comparison: &Comparison) -> String {
    let pairing = match comparison.pairing {
        Pairing::Paired => {
            "Replication by replication A and B see the same random numbers, and the intervals are those of their \
             differences (paired Student t). The correlation says how closely A and B vary together: near 1 the \
             pairing makes small differences visible."
        }
        Pairing::Partly => {
            "Where a correlation is shown, differences are taken replication by replication (paired Student t); \
             elsewhere A and B count as independent (Welch)."
        }
        Pairing::Independent => "A and B count as independent (Welch's t).",
    };
    format!(
        "Means over the replications, and B − A with its 95 % interval. {pairing} ◆ marks what matters: its p-value, \
         adjusted for {} comparisons (Holm), is at most 5 %. Differences of fractions are in percentage points (pp); relative \
         ones are shares of A's mean. The largest come first.",
        comparison.differences.len()
    )
}

fn counted(sorted: &Sorted<'_>) -> String {
    format!(
        "{} matter, {} may be chance, {} the same",
        sorted.matters.len(),
        sorted.chance.len(),
        sorted.same.len()
    )
}

/// Differences that do not matter, folded.
fn folded(sorted: &Sorted<'_>) -> Markup {
    let groups = [(&sorted.chance, "may be chance"), (&sorted.same, "the same in A and B")];
    html! {
        @for (rows, what) in groups.into_iter().filter(|(rows, _)| !rows.is_empty()) {
            (details(format!("{} {what}", rows.len()), figures(rows)))
        }
    }
}

fn figures(rows: &[&Difference]) -> Markup {
    let rows = html! {
        @for row in rows {
            @let mean = |of: &Estimate| bounded(&number::estimate(row.unit(), of), of.censored > 0);
            tr {
                th scope="row" title=(row.metric.meaning()) {
                    (sign(row.effect)) " "
                    code { (row.metric.name()) }
                }
                td { (mean(&row.a)) }
                td { (mean(&row.b)) }
                td { (number::difference(row.unit(), row.difference, row.half_width)) }
                td { (number::relative(row.relative)) }
                td class=(row.effect.word()) { (row.effect.word()) }
                td { (size_word(row.size)) }
                td { (number::correlation(row.correlation)) }
                td { (p_value(row.p_adjusted)) }
            } "\n"
        }
    };
    table(&["metric", "A", "B", "B − A", "relative", "effect", "size", "correlation", "adjusted p"], rows)
}

fn p_value(p: Option<f64>) -> String {
    match p {
        None => number::MISSING.to_owned(),
        Some(p) if p < 0.001 => "<0.001".to_owned(),
        Some(p) => number::trimmed(p, 3),
    }
}
