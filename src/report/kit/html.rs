//! Pages: what all of them are made of.
//!
//! No script: sections that few need unfold by themselves (`<details>`).

use std::fmt::Write;

use super::chart::{Chart, Table, escape};
use crate::scenario::Scenario;

/// A whole page around what stands in it.
pub(crate) fn document(title: &str, content: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{content}</main>\n</body>\n</html>\n",
        escape(title)
    )
}

/// The comment that opens the scenario's file.
pub(crate) fn question(scenario: &Scenario) -> String {
    let paragraphs = scenario.question.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    paragraphs.map(|paragraph| format!("<p class=\"question\">{}</p>\n", escape(paragraph))).collect()
}

pub(crate) fn figure(chart: &Chart) -> String {
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

pub(crate) fn scenario_text(scenario: &Scenario) -> String {
    format!(
        "<section>\n<h2>Scenario</h2>\n<details>\n<summary>The text of the file</summary>\n<pre>{}</pre>\n</details>\n</section>\n",
        escape(&scenario.source)
    )
}

pub(crate) fn table_start(header: &[&str]) -> String {
    let mut html = String::from("<div class=\"scroll\"><table>\n<thead><tr>");
    for name in header {
        push(&mut html, format_args!("<th scope=\"col\">{}</th>", escape(name)));
    }
    html + "</tr></thead>\n<tbody>\n"
}

pub(crate) const TABLE_END: &str = "</tbody>\n</table></div>\n";

pub(crate) fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    html.write_fmt(text).expect("writing to a string does not fail");
}

const STYLE: &str = include_str!("page.css");
