//! The comparison as one page: what was changed, what came of it, and how sure that is.

use super::reading::{Sorted, headline, objectives, setting, size_word, verdict_word};
use crate::compare::{Comparison, Difference, Pairing, Side};
use crate::experiment::earlier::Judged;
use crate::experiment::summary::Estimate;
use crate::report::kit::chart::{Chart, escape};
use crate::report::kit::html::{TABLE_END, document, figure, push, table_start};
use crate::report::kit::number::{self, bounded, unit_of};

pub(super) fn render(comparison: &Comparison, charts: &[Chart]) -> String {
    let mut page = head(comparison);
    page += &settings(comparison);
    page += &thresholds(&comparison.a, &comparison.b);
    if !charts.is_empty() {
        page += "<section>\n<h2>Charts</h2>\n";
        page.extend(charts.iter().map(figure));
        page += "</section>\n";
    }
    page += &differences(comparison);
    page += &remarks(comparison);
    push(
        &mut page,
        format_args!(
            "<footer>simulate {} · digests <code>{}</code>, <code>{}</code> · schema <code>{}</code></footer>\n",
            escape(comparison.version),
            escape(&comparison.a.digest),
            escape(&comparison.b.digest),
            escape(comparison.schema)
        ),
    );
    document(&format!("{} vs {}", comparison.a.label, comparison.b.label), &page)
}

fn head(comparison: &Comparison) -> String {
    let mut html = format!(
        "<header class=\"verdict none\">\n<h1>{} vs {}</h1>\n<p class=\"answer\">{}</p>\n",
        escape(&comparison.a.label),
        escape(&comparison.b.label),
        escape(&headline(comparison))
    );
    html += &table_start(&["", "name", "from", "seed", "replications", "digest", "objectives"]);
    for (letter, side) in [("A", &comparison.a), ("B", &comparison.b)] {
        let word = verdict_word(side);
        let (class, sign) = match word {
            "PASS" => ("met", "✓ "),
            "FAIL" => ("missed", "✗ "),
            _ => ("", ""),
        };
        push(
            &mut html,
            format_args!(
                "<tr class=\"{class}\"><th scope=\"row\">{letter}</th><td class=\"words\">{}</td><td class=\"words\">\
                 <code>{}</code></td><td>{}</td><td>{}</td><td><code>{}</code></td><td>{sign}{word}</td></tr>\n",
                escape(&side.label),
                escape(&side.source),
                side.seed,
                side.replications,
                escape(&side.digest),
            ),
        );
    }
    html += TABLE_END;
    push(
        &mut html,
        format_args!(
            "<p class=\"reproduce\">Reproduce: <code>{}</code></p>\n</header>\n",
            escape(&comparison.command)
        ),
    );
    html
}

fn settings(comparison: &Comparison) -> String {
    let mut html = String::from("<section class=\"settings\">\n<h2>Settings that differ</h2>\n");
    match comparison.settings.as_deref() {
        None => html += "<p>Not known: results of an earlier run do not hold their settings.</p>\n",
        Some([]) => html += "<p>None.</p>\n",
        Some(settings) => {
            html += &table_start(&["setting", "A", "B"]);
            for one in settings {
                push(
                    &mut html,
                    format_args!(
                        "<tr><th scope=\"row\"><code>{}</code></th><td class=\"words\">{}</td><td class=\"words\">{}</td></tr>\n",
                        escape(&one.path),
                        escape(setting(one.a.as_ref())),
                        escape(setting(one.b.as_ref()))
                    ),
                );
            }
            html += TABLE_END;
        }
    }
    html + "</section>\n"
}

fn thresholds(a: &Side, b: &Side) -> String {
    let objectives = objectives(a, b);
    if objectives.is_empty() {
        return String::new();
    }
    let mut html = String::from("<section>\n<h2>Objectives</h2>\n");
    html += &table_start(&["objective", "A", "B"]);
    for (expression, of_a, of_b) in objectives {
        push(
            &mut html,
            format_args!(
                "<tr><th scope=\"row\"><code>{}</code></th>{}{}</tr>\n",
                escape(expression),
                observed(of_a),
                observed(of_b)
            ),
        );
    }
    html + TABLE_END + "</section>\n"
}

fn observed(judged: Option<&Judged>) -> String {
    let Some(judged) = judged else { return "<td>not set</td>".to_owned() };
    let (class, sign) = if judged.pass { ("good", "✓") } else { ("bad", "✗") };
    let shown = bounded(&number::optional(unit_of(&judged.metric), judged.observed), judged.censored > 0);
    format!("<td class=\"{class}\">{sign} {}</td>", escape(&shown))
}

fn differences(comparison: &Comparison) -> String {
    let of = |class: Option<&str>| {
        Sorted::of(comparison.differences.iter().filter(|one| one.class.as_deref() == class))
    };
    let mut html = String::from("<section class=\"differences\">\n<h2>What differs</h2>\n");
    push(&mut html, format_args!("<p class=\"note\">{}</p>\n", escape(&how(comparison))));
    let system = of(None);
    if system.matters.is_empty() {
        html += "<p>No system-wide figure is known to differ.</p>\n";
    } else {
        html += &table(&system.matters);
    }
    html += &folded(&system);
    let mut classes: Vec<&str> = Vec::new();
    for class in comparison.differences.iter().filter_map(|one| one.class.as_deref()) {
        if !classes.contains(&class) {
            classes.push(class);
        }
    }
    for class in classes {
        let parts = of(Some(class));
        push(
            &mut html,
            format_args!("<details>\n<summary>Class {}: {}</summary>\n", escape(class), counted(&parts)),
        );
        if !parts.matters.is_empty() {
            html += &table(&parts.matters);
        }
        html += &folded(&parts);
        html += "</details>\n";
    }
    html + "</section>\n"
}

/// How the numbers came about.
fn how(comparison: &Comparison) -> String {
    let pairing = match comparison.pairing {
        Pairing::Paired => {
            "Replication by replication A and B see the same random numbers, and the intervals are those of their \
             differences (paired Student t). The correlation says how alike A and B go up and down: near 1 the \
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

fn counted(parts: &Sorted<'_>) -> String {
    format!(
        "{} matter, {} may be chance, {} the same",
        parts.matters.len(),
        parts.chance.len(),
        parts.same.len()
    )
}

/// What does not matter, folded away.
fn folded(parts: &Sorted<'_>) -> String {
    let mut html = String::new();
    for (rows, what) in [(&parts.chance, "may be chance"), (&parts.same, "the same in A and B")] {
        if !rows.is_empty() {
            push(
                &mut html,
                format_args!(
                    "<details>\n<summary>{} {what}</summary>\n{}</details>\n",
                    rows.len(),
                    table(rows)
                ),
            );
        }
    }
    html
}

fn table(rows: &[&Difference]) -> String {
    let mut html =
        table_start(&["metric", "A", "B", "B − A", "relative", "size", "correlation", "adjusted p"]);
    for row in rows {
        let mean = |of: &Estimate| bounded(&number::estimate(row.unit(), of), of.censored > 0);
        let sign = if row.matters { "◆ " } else { "" };
        push(
            &mut html,
            format_args!(
                "<tr><th scope=\"row\" title=\"{}\">{sign}<code>{}</code></th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                escape(row.metric.meaning()),
                row.metric.name(),
                mean(&row.a),
                mean(&row.b),
                number::difference(row.unit(), row.difference, row.half_width),
                number::relative(row.relative),
                size_word(row.size),
                number::correlation(row.correlation),
                p_value(row.p_adjusted)
            ),
        );
    }
    html + TABLE_END
}

fn p_value(p: Option<f64>) -> String {
    match p {
        None => number::MISSING.to_owned(),
        Some(p) if p < 0.001 => "&lt;0.001".to_owned(),
        Some(p) => number::trimmed(p, 3),
    }
}

fn remarks(comparison: &Comparison) -> String {
    if comparison.remarks.is_empty() {
        return String::new();
    }
    let mut html = String::from("<section>\n<h2>Remarks</h2>\n<ul>\n");
    for remark in &comparison.remarks {
        push(&mut html, format_args!("<li>{}</li>\n", escape(remark)));
    }
    html + "</ul>\n</section>\n"
}
