//! The report as one page: verdict first, evidence below, nothing loaded from anywhere.
//!
//! No script: sections that few need unfold by themselves (`<details>`). Whatever comes from the scenario is escaped.

use std::fmt::Write;

use super::chart::{Chart, Table, escape};
use super::outcome::Outcome;
use super::outcome::capitalised;
use super::{number, parts, reading};
use crate::experiment::Findings;
use crate::experiment::summary::{Estimate, Named, SloResult, Summary, Verdict};
use crate::model::metric::{Metric, Unit};
use crate::scenario::Scenario;

/// The page.
pub fn render(scenario: &Scenario, findings: &Findings, charts: &[Chart]) -> String {
    let summary = &findings.summary;
    let mut page = head(scenario, findings);
    page += &objectives(summary);
    page += &breaks_first(summary);
    page += &outcome(scenario, summary);
    page += &parts::alerts(scenario, summary);
    page += &parts::clients(scenario, findings);
    page += &parts::faults(scenario, summary);
    page += &parts::autoscaler(scenario, findings);
    page += "<section>\n<h2>Over time</h2>\n";
    for chart in charts {
        page += &figure(chart);
    }
    page += "</section>\n";
    page += &metrics(summary);
    page += &remarks(summary);
    page += &scenario_text(scenario);
    push(
        &mut page,
        format_args!(
            "<footer>simulate {} · digest <code>{}</code> · schema <code>{}</code></footer>\n",
            escape(summary.version),
            escape(&summary.digest),
            escape(summary.schema)
        ),
    );
    document(&format!("{} – {}", summary.scenario, reading::verdict_word(summary)), &page)
}

/// A whole page around what stands in it.
pub(super) fn document(title: &str, content: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{content}</main>\n</body>\n</html>\n",
        escape(title)
    )
}

fn head(scenario: &Scenario, findings: &Findings) -> String {
    let summary = &findings.summary;
    let class = match (summary.slo.is_empty(), summary.verdict) {
        (true, _) => "none",
        (false, Verdict::Pass) => "pass",
        (false, Verdict::Fail) => "fail",
    };
    let sign = match class {
        "pass" => "✓ ",
        "fail" => "✗ ",
        _ => "",
    };
    let mut html = format!(
        "<header class=\"verdict {class}\">\n<h1>{} <span class=\"badge\">{sign}{}</span></h1>\n",
        escape(&summary.scenario),
        reading::verdict_word(summary)
    );
    if summary.interrupted {
        push(
            &mut html,
            format_args!(
                "<p class=\"interrupted\"><strong>Interrupted:</strong> these figures rest on {} of {} replications.</p>\n",
                summary.replications, scenario.replications
            ),
        );
    }
    html += &question(scenario);
    push(
        &mut html,
        format_args!(
            "<p class=\"answer\">{} {}.</p>\n",
            escape(&reading::answer(scenario, findings)),
            escape(&reading::objectives_sentence(summary))
        ),
    );
    // Which replications an interrupt let finish is chance: no command gives exactly those again.
    let command_gives = if summary.interrupted { "To run all of it" } else { "Reproduce" };
    push(
        &mut html,
        format_args!(
            "<p class=\"reproduce\">{command_gives}: <code>{}</code><br>Equal results have equal digests: <code>{}</code></p>\n</header>\n",
            escape(&scenario.command),
            escape(&summary.digest)
        ),
    );
    html
}

/// The comment that opens the scenario's file.
pub(super) fn question(scenario: &Scenario) -> String {
    let paragraphs = scenario.question.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    paragraphs.map(|paragraph| format!("<p class=\"question\">{}</p>\n", escape(paragraph))).collect()
}

fn objectives(summary: &Summary) -> String {
    let mut html = String::from("<section class=\"objectives\">\n<h2>Objectives</h2>\n");
    if summary.slo.is_empty() {
        return html
            + "<p>None. Objectives are set with <code>slo = [ … ]</code> in the scenario.</p>\n</section>\n";
    }
    html += &table_start(&["", "objective", "observed", "limit", "result"]);
    for objective in &summary.slo {
        let (class, sign, word) =
            if objective.pass { ("met", "✓", "met") } else { ("missed", "✗", "missed") };
        push(
            &mut html,
            format_args!(
                "<tr class=\"{class}\"><td>{sign}</td><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{}</td><td>{word}</td></tr>\n",
                escape(&objective.expression),
                observed(objective),
                limit(objective),
            ),
        );
    }
    html + TABLE_END + "</section>\n"
}

fn observed(objective: &SloResult) -> String {
    let shown = number::optional(unit_of(objective.metric), objective.observed);
    match objective.censored {
        0 => shown,
        censored => format!("≥ {shown} <small>({censored} not within the run)</small>"),
    }
}

fn limit(objective: &SloResult) -> String {
    number::value(unit_of(objective.metric), objective.limit)
}

fn unit_of(metric: &str) -> Unit {
    Metric::from_name(metric).map_or(Unit::Count, Metric::unit)
}

fn breaks_first(summary: &Summary) -> String {
    let mut html = String::from("<section>\n<h2>What broke first</h2>\n");
    if summary.limits_reached.is_empty() {
        html += "<p>No limit was reached.</p>\n";
    } else {
        html += "<ol>\n";
        for reached in &summary.limits_reached {
            push(
                &mut html,
                format_args!(
                    "<li><strong>{}</strong> after {}, in {} of {} replications</li>\n",
                    escape(reached.limit),
                    number::value(Unit::Seconds, reached.seconds),
                    reached.replications,
                    summary.replications
                ),
            );
        }
        html += "</ol>\n";
    }
    if !summary.limits_ahead.is_empty() {
        let ahead = escape(&reading::limits_ahead(summary).join(", "));
        let intro = capitalised(reading::LIMITS_AHEAD);
        push(&mut html, format_args!("<p class=\"note\">{intro} {ahead}.</p>\n"));
    }
    html + "</section>\n"
}

fn outcome(scenario: &Scenario, summary: &Summary) -> String {
    let table = Outcome::of(scenario, summary);
    let mut html = String::from("<section>\n<h2>Outcome by class</h2>\n");
    html += &table_start(&[
        "class",
        "offered",
        "= admitted",
        "+ rejected",
        "completed",
        "failed",
        "lost",
        "in system",
        "wait p50",
        "p95",
        "p99",
    ]);
    for row in &table.rows {
        let total = if row.priority.is_none() { " class=\"total\"" } else { "" };
        push(&mut html, format_args!("<tr{total}><th scope=\"row\">{}", escape(&row.name)));
        if let Some(priority) = row.priority {
            push(&mut html, format_args!(" <small>priority {priority}</small>"));
        }
        html += "</th>";
        for cell in row.counts.iter().chain(&row.waits) {
            push(&mut html, format_args!("<td>{}</td>", escape(cell)));
        }
        html += "</tr>\n";
    }
    html += TABLE_END;
    push(&mut html, format_args!("<p class=\"note\">{}</p>\n", escape(&table.remark)));
    html += &parts::rejections(summary);
    html + "</section>\n"
}

pub(super) fn figure(chart: &Chart) -> String {
    let mut html = format!(
        "<figure id=\"{}\">\n<div class=\"scroll\">\n{}</div>\n<figcaption>{}</figcaption>\n",
        chart.name,
        chart.svg(),
        escape(&chart.caption)
    );
    if !chart.table.rows.is_empty() {
        let numbers = numbers(&chart.table);
        push(
            &mut html,
            format_args!("<details>\n<summary>Numbers behind this chart</summary>\n{numbers}</details>\n"),
        );
    }
    html + "</figure>\n"
}

fn numbers(table: &Table) -> String {
    let header: Vec<&str> = table.header.iter().map(String::as_str).collect();
    let mut html = table_start(&header);
    for row in &table.rows {
        html += "<tr>";
        for cell in row {
            push(&mut html, format_args!("<td>{}</td>", escape(cell)));
        }
        html += "</tr>\n";
    }
    html += TABLE_END;
    if !table.remark.is_empty() {
        push(&mut html, format_args!("<p class=\"note\">{}</p>\n", escape(&table.remark)));
    }
    html
}

fn metrics(summary: &Summary) -> String {
    let mut html = String::from("<section class=\"metrics\">\n<h2>All metrics</h2>\n");
    push(
        &mut html,
        format_args!(
            "<p class=\"note\">Over {} replications: mean with the half-width of its 95 % Student-t interval, the extremes, and \
             the 95th percentile. Censored replications count with the bound that they reached.</p>\n",
            summary.replications
        ),
    );
    html += &metric_table(&summary.metrics, true);
    for (class, metrics) in &summary.classes.0 {
        push(
            &mut html,
            format_args!(
                "<details>\n<summary>Class {}</summary>\n{}</details>\n",
                escape(class),
                metric_table(metrics, false)
            ),
        );
    }
    html + "</section>\n"
}

fn metric_table(metrics: &Named<Estimate>, with_meaning: bool) -> String {
    let mut header = vec!["metric", "mean ± half-width", "min", "max", "p95", "n", "censored"];
    if with_meaning {
        header.push("meaning");
    }
    let mut html = table_start(&header);
    // What no replication has belongs to a part that the scenario does not use.
    for (name, estimate) in metrics.0.iter().filter(|(_, estimate)| estimate.n > 0) {
        let unit = unit_of(name);
        let bound = if estimate.censored > 0 { "≥ " } else { "" };
        push(
            &mut html,
            format_args!(
                "<tr><th scope=\"row\"><code>{}</code></th><td>{bound}{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>",
                escape(name),
                number::estimate(unit, estimate),
                number::optional(unit, estimate.min),
                number::optional(unit, estimate.max),
                number::optional(unit, estimate.p95),
                estimate.n,
                estimate.censored
            ),
        );
        if with_meaning {
            let meaning = Metric::from_name(name).map_or("", Metric::meaning);
            push(&mut html, format_args!("<td class=\"text\">{}</td>", escape(meaning)));
        }
        html += "</tr>\n";
    }
    html + TABLE_END
}

fn remarks(summary: &Summary) -> String {
    if summary.warnings.is_empty() {
        return String::new();
    }
    let mut html = String::from("<section>\n<h2>Assumptions and warnings</h2>\n<ul>\n");
    for warning in &summary.warnings {
        push(&mut html, format_args!("<li>{}</li>\n", escape(warning)));
    }
    html + "</ul>\n</section>\n"
}

pub(super) fn scenario_text(scenario: &Scenario) -> String {
    format!(
        "<section>\n<h2>Scenario</h2>\n<details>\n<summary>The text of the file</summary>\n<pre>{}</pre>\n</details>\n</section>\n",
        escape(&scenario.source)
    )
}

pub(super) fn table_start(header: &[&str]) -> String {
    let mut html = String::from("<div class=\"scroll\"><table>\n<thead><tr>");
    for name in header {
        push(&mut html, format_args!("<th scope=\"col\">{}</th>", escape(name)));
    }
    html + "</tr></thead>\n<tbody>\n"
}

pub(super) const TABLE_END: &str = "</tbody>\n</table></div>\n";

pub(super) fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    html.write_fmt(text).expect("writing to a string does not fail");
}

const STYLE: &str = include_str!("page.css");
