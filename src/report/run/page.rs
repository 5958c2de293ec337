//! The report as one page: verdict first, evidence below, nothing loaded from anywhere.
//!
//! No script: sections that few need unfold by themselves (`<details>`). Whatever comes from the scenario is escaped.

use super::jobs::JobTable;
use super::{reading, sections};
use crate::experiment::Findings;
use crate::experiment::summary::{Estimate, Named, SloResult, Summary, Verdict};
use crate::model::metric::{Metric, Unit};
use crate::report::kit::chart::{Chart, escape};
use crate::report::kit::html::{TABLE_END, document, figure, push, question, scenario_text, table_start};
use crate::report::kit::number::{self, bounded, unit_of};
use crate::report::kit::text::capitalised;
use crate::scenario::Scenario;

/// The page.
pub(super) fn render(scenario: &Scenario, findings: &Findings, charts: &[Chart]) -> String {
    let summary = &findings.summary;
    let mut page = head(scenario, findings);
    page += &objectives(summary);
    page += &breaks_first(summary);
    page += &outcome(scenario, summary);
    page += &sections::alerts(scenario, summary);
    page += &sections::clients(scenario, findings);
    page += &sections::faults(scenario, summary);
    page += &sections::autoscaler(scenario, findings);
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
    let shown = bounded(&shown, objective.censored > 0);
    match objective.censored {
        0 => shown,
        censored => format!("{shown} <small>({censored} not within the run)</small>"),
    }
}

fn limit(objective: &SloResult) -> String {
    number::value(unit_of(objective.metric), objective.limit)
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
    let table = JobTable::of(scenario, summary);
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
    html += &sections::rejections(summary);
    html + "</section>\n"
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
        push(
            &mut html,
            format_args!(
                "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>",
                escape(name),
                bounded(&number::estimate(unit, estimate), estimate.censored > 0),
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
