//! The plans as one page: what to apply first, then what it withstands, then how it was found.

use super::view::{Ending, View, missed_by};
use crate::experiment::summary::Verdict;
use crate::model::metric::{Metric, Unit};
use crate::plan::Choice;
use crate::plan::what_if::AtLoad;
use crate::report::kit::chart::{Chart, escape};
use crate::report::kit::html::{TABLE_END, document, figure, push, question, scenario_text, table_start};
use crate::report::kit::number::{self, unit_of};

pub(super) fn render(views: &[View<'_>], charts: &[Vec<Chart>]) -> String {
    let names: Vec<String> = views.iter().map(View::name).collect();
    let mut page = head(views);
    if views.len() > 1 {
        page += &side_by_side(views);
    }
    for (view, charts) in views.iter().zip(charts) {
        page += &plan(view, charts, views.len() > 1);
    }
    let choices = views.iter().filter_map(|view| view.plan.choice.as_ref());
    let digests: Vec<String> =
        choices.map(|choice| format!("<code>{}</code>", escape(&choice.findings.summary.digest))).collect();
    let digests =
        if digests.is_empty() { String::new() } else { format!(" · digest {}", digests.join(" ")) };
    push(
        &mut page,
        format_args!(
            "<footer>simulate {}{digests} · schema <code>{}</code></footer>\n",
            env!("CARGO_PKG_VERSION"),
            super::document::SCHEMA
        ),
    );
    document(&format!("Plan – {}", names.join(", ")), &page)
}

fn head(views: &[View<'_>]) -> String {
    let count = |ending| views.iter().filter(|view| view.ending() == ending).count();
    let (class, badge) = match (count(Ending::Nothing), count(Ending::Undecided), views.len()) {
        (0, 0, 1) => ("pass", "✓ PLANNED".to_owned()),
        (0, 0, n) => ("pass", format!("✓ {n} PLANNED")),
        (0, _, 1) => ("none", "? UNDECIDED".to_owned()),
        (0, undecided, n) => ("none", format!("? {undecided} OF {n} UNDECIDED")),
        (_, _, 1) => ("fail", "✗ NO PLAN".to_owned()),
        (nothing, _, n) => ("fail", format!("✗ {nothing} OF {n} WITHOUT A PLAN")),
    };
    let title = match views {
        [view] => format!("Plan for {}", view.name()),
        views => format!("{} plans", views.len()),
    };
    let mut html = format!(
        "<header class=\"verdict {class}\">\n<h1>{} <span class=\"badge\">{badge}</span></h1>\n",
        escape(&title)
    );
    if let [view] = views {
        html += &question(view.scenario());
    }
    for view in views {
        let name = if views.len() > 1 {
            format!("<strong>{}:</strong> ", escape(&view.short_name()))
        } else {
            String::new()
        };
        push(&mut html, format_args!("<p class=\"answer\">{name}{}</p>\n", escape(&answer(view))));
    }
    for view in views {
        push(
            &mut html,
            format_args!("<p class=\"reproduce\">Reproduce: <code>{}</code></p>\n", escape(&view.command())),
        );
    }
    html + "</header>\n"
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
        "{} worker {processes} of {} with thresholds {} and Redis {}, at {}. Recovery takes {} (95 % of runs). {}{capacity}{open}",
        workers.processes,
        workers.concurrency,
        View::thresholds(choice),
        View::memory(choice),
        view.cost(&choice.cost),
        View::recovery_p95(&choice.findings.summary),
        view.headroom_sentence(choice),
    )
}

/// What a row of the comparison is about, and its cell for a plan.
type Line = (&'static str, fn(&View<'_>, &Choice) -> String);

const LINES: [Line; 12] = [
    ("worker processes × concurrency", |_, choice| {
        let workers = &choice.scenario.model.workers;
        format!("{} × {}", workers.processes, workers.concurrency)
    }),
    ("recovery / warning / critical", |_, choice| View::thresholds(choice)),
    ("Redis maxmemory × queues", |_, choice| View::memory(choice)),
    ("cost", |view, choice| view.cost(&choice.cost)),
    ("workers busy", |_, choice| mean(choice, Metric::WorkerUtilisation)),
    ("jobs rejected", |_, choice| mean(choice, Metric::RejectionProbability)),
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

fn side_by_side(views: &[View<'_>]) -> String {
    let names: Vec<String> = views.iter().map(View::short_name).collect();
    let header: Vec<&str> = std::iter::once("").chain(names.iter().map(String::as_str)).collect();
    let mut html = String::from("<section>\n<h2>Side by side</h2>\n") + &table_start(&header);
    for (name, cell) in LINES {
        push(&mut html, format_args!("<tr><th scope=\"row\">{name}</th>"));
        for view in views {
            let text = view.plan.choice.as_ref().map_or("–".to_owned(), |choice| cell(view, choice));
            push(&mut html, format_args!("<td>{}</td>", escape(&text)));
        }
        html += "</tr>\n";
    }
    html + TABLE_END + "</section>\n"
}

fn plan(view: &View<'_>, charts: &[Chart], several: bool) -> String {
    let prefix = if several { format!("{}: ", view.short_name()) } else { String::new() };
    let section = |title: &str| format!("<section>\n<h2>{}</h2>\n", escape(&format!("{prefix}{title}")));
    let drawn = |name: &str| {
        let chart = charts.iter().find(|chart| chart.name == name);
        chart.map(figure).unwrap_or_default().replacen(
            &format!("<figure id=\"{name}\">"),
            // The charts of all plans are in one page.
            &format!("<figure id=\"{}\">", view.file(name, "svg").trim_end_matches(".svg")),
            1,
        )
    };
    let mut html = String::new();
    if let Some(choice) = &view.plan.choice {
        html += &section("What to apply");
        html += &settings(view, choice);
        html += "</section>\n";
        html += &section("Objectives");
        html += &objectives(choice);
        html += "</section>\n";
        html += &section("What it withstands");
        html += &loads(choice);
        html += &drawn("load");
        html += &losses(choice);
        html += &drawn("tornado");
        html += "</section>\n";
        html += &section("Its course over time");
        html += &drawn("depth");
        html += "</section>\n";
    }
    if !view.plan.spec.is_empty() {
        html += &section("What the specification recommends");
        html += &spec(view);
        html += "</section>\n";
    }
    html += &section("How it was found");
    html += &search(view);
    html += &drawn("search");
    html += &drawn("candidates");
    html += "</section>\n";
    let warnings = &view.scenario().warnings;
    let caveats = view.plan.choice.as_ref().map(|choice| view.caveats(choice)).unwrap_or_default();
    // What is true of the scenario as well as of the choice is said once.
    let only_of_scenario = warnings.iter().filter(|warning| !caveats.contains(warning));
    if !warnings.is_empty() || !caveats.is_empty() {
        html += &section("Assumptions and warnings");
        html += "<ul>\n";
        for warning in caveats.iter().chain(only_of_scenario) {
            push(&mut html, format_args!("<li>{}</li>\n", escape(warning)));
        }
        html += "</ul>\n</section>\n";
    }
    html + &scenario_text(view.scenario())
}

fn settings(view: &View<'_>, choice: &Choice) -> String {
    let mut html = table_start(&["setting", "value", "where"]);
    for setting in view.settings(choice) {
        push(
            &mut html,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td><strong>{}</strong></td><td class=\"text\">{}</td></tr>\n",
                escape(&setting.name),
                escape(&setting.value),
                escape(&setting.place)
            ),
        );
    }
    html += TABLE_END;
    let files = [
        ("plan", "env", super::env::render(view, choice)),
        ("hpa", "yaml", super::hpa::render(view, choice)),
        ("alerts", "yaml", super::alerts::render(view, choice)),
    ];
    for (stem, extension, text) in files {
        push(
            &mut html,
            format_args!(
                "<details>\n<summary>{}</summary>\n<pre>{}</pre>\n</details>\n",
                escape(&view.file(stem, extension)),
                escape(&text)
            ),
        );
    }
    push(
        &mut html,
        format_args!(
            "<p class=\"reproduce\">The configuration alone: <code>{}</code></p>\n\
             <p class=\"reproduce\">Its digest: <code>{}</code></p>\n",
            escape(&choice.scenario.command),
            escape(&choice.findings.summary.digest)
        ),
    );
    html
}

fn objectives(choice: &Choice) -> String {
    let mut html = String::from("<div class=\"objectives\">\n");
    html += &table_start(&["", "objective", "observed"]);
    for result in &choice.findings.summary.slo {
        let (class, sign) = if result.pass { ("met", "✓") } else { ("missed", "✗") };
        push(
            &mut html,
            format_args!(
                "<tr class=\"{class}\"><td>{sign}</td><th scope=\"row\"><code>{}</code></th><td>{}</td></tr>\n",
                escape(&result.expression),
                number::optional(unit_of(result.metric), result.observed)
            ),
        );
    }
    html + TABLE_END + "</div>\n"
}

fn loads(choice: &Choice) -> String {
    let what_if = &choice.what_if;
    let mut html =
        table_start(&["load", "reached, the first thing first", "rejected", "recovery", "objectives"]);
    let shown = [1.0, 1.5, 2.0].into_iter().filter_map(|factor| View::at_load(what_if, factor));
    for load in shown {
        let objectives = match load.missed.as_slice() {
            [] => "all met".to_owned(),
            missed => format!("missed: {}", missed.join("; ")),
        };
        let AtLoad { factor, rejected, recovery, .. } = load;
        push(
            &mut html,
            format_args!(
                "<tr><th scope=\"row\">{}×</th><td class=\"text\">{}</td><td>{}</td><td>{}</td><td class=\"text\">{}</td></tr>\n",
                super::view::times(*factor),
                escape(&View::limits(load)),
                number::value(Unit::Fraction, *rejected),
                View::recovery(*recovery),
                escape(&objectives)
            ),
        );
    }
    html += TABLE_END;
    push(
        &mut html,
        format_args!(
            "<p>Redis is full after {}; without the policy after {}.</p>\n",
            View::oom(choice),
            View::oom_unprotected(choice)
        ),
    );
    html
}

fn losses(choice: &Choice) -> String {
    let losses = choice.what_if.losses.iter();
    losses.map(|loss| format!("<p>{}</p>\n", escape(&View::loss_sentence(loss)))).collect()
}

fn spec(view: &View<'_>) -> String {
    let mut html = String::from("<div class=\"objectives\">\n");
    html += &table_start(&["", "recommendation", "cost", "objectives"]);
    for verdict in &view.plan.spec {
        let summary = &verdict.summary;
        let (class, sign, word) = match summary.verdict {
            Verdict::Pass => ("met", "✓", "all met".to_owned()),
            Verdict::Fail => {
                let missed = summary.slo.iter().filter(|slo| !slo.pass).map(missed_by);
                ("missed", "✗", format!("missed: {}", missed.collect::<Vec<_>>().join("; ")))
            }
        };
        push(
            &mut html,
            format_args!(
                "<tr class=\"{class}\"><td>{sign}</td><th scope=\"row\">{}<small>{}</small></th><td>{}</td>\
                 <td class=\"text\">{}</td></tr>\n",
                escape(&verdict.name),
                escape(&verdict.overrides.join(" ")),
                escape(&view.amount(verdict.cost)),
                escape(&word)
            ),
        );
    }
    html + TABLE_END + "</div>\n"
}

fn search(view: &View<'_>) -> String {
    let mut html = format!("<p>{}</p>\n", escape(&view.path_line()));
    if let Some(choice) = &view.plan.choice {
        push(&mut html, format_args!("<p>{}</p>\n", escape(&View::criterion_sentence(choice))));
        if !choice.undecided.is_empty() {
            html += "<p>What could not be told from it:</p>\n<ul>\n";
            for &id in &choice.undecided {
                push(&mut html, format_args!("<li><code>{}</code></li>\n", escape(&view.variant(id))));
            }
            html += "</ul>\n";
        }
    }
    html
}
