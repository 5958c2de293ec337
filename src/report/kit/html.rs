//! Pages: what all of them are made of.
//!
//! HTML is written with `maud`: whatever stands in brackets, `(text)`, is escaped by the macro when it is compiled, so a
//! text of the scenario that is taken for markup cannot be forgotten; what must not be escaped says `PreEscaped`, which
//! only this file and the charts do. `askama` would do the same from template files, but our pages are mostly tables
//! made from numbers: with maud the markup stands beside the code that has them, is checked with it, and brings five
//! crates that run when we are compiled and none of size later. maud leaves an apostrophe as it is, which is safe since
//! it puts every attribute into double quotes.
//!
//! Line breaks in pages are literals: pages are compared byte by byte, and read by people.
//! No script: sections that few need unfold by themselves (`<details>`).

use maud::{DOCTYPE, Markup, PreEscaped, Render, html};

use super::chart::{Chart, Table};
use super::text::printable;
use crate::scenario::Scenario;

/// A whole page around what stands in it. Control characters are replaced, since no browser takes them for text.
pub(crate) fn document(title: &str, content: &Markup) -> String {
    let page = html! {
        (DOCTYPE) "\n"
        html lang="en" { "\n"
            head { "\n"
                meta charset="utf-8"; "\n"
                meta name="viewport" content="width=device-width, initial-scale=1"; "\n"
                meta name="color-scheme" content="light dark"; "\n"
                title { (title) } "\n"
                style { "\n" (PreEscaped(STYLE)) } "\n"
            } "\n"
            body { "\n"
                main { "\n" (content) } "\n"
            } "\n"
        } "\n"
    };
    printable(&page.into_string())
}

/// The comment that opens the scenario's file.
pub(crate) fn question(scenario: &Scenario) -> Markup {
    let paragraphs = scenario.question.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    html! {
        @for paragraph in paragraphs { p class="question" { (paragraph) } "\n" }
    }
}

/// A part of a page under its title.
pub(crate) fn section(title: &str, content: impl Render) -> Markup {
    section_with(None, None, title, content)
}

/// The same with a class for the style sheet.
pub(crate) fn section_of_class(class: &str, title: &str, content: impl Render) -> Markup {
    section_with(Some(class), None, title, content)
}

/// The same with a name that a link can lead to.
pub(crate) fn section_named(id: &str, title: &str, content: impl Render) -> Markup {
    section_with(None, Some(id), title, content)
}

fn section_with(class: Option<&str>, id: Option<&str>, title: &str, content: impl Render) -> Markup {
    html! {
        section class=[class] id=[id] { "\n"
            h2 { (title) } "\n"
            (content)
        } "\n"
    }
}

/// A table with a header and rows that are already markup.
pub(crate) fn table(header: &[impl AsRef<str>], rows: impl Render) -> Markup {
    html! {
        div class="scroll" {
            table { "\n"
                thead { tr { @for name in header { th scope="col" { (name.as_ref()) } } } } "\n"
                tbody { "\n" (rows) } "\n"
            }
        } "\n"
    }
}

/// What unfolds when its summary is clicked.
pub(crate) fn details(summary: impl Render, content: impl Render) -> Markup {
    html! {
        details { "\n"
            summary { (summary) } "\n"
            (content)
        } "\n"
    }
}

/// A list of texts.
pub(crate) fn list<T: Render>(items: impl IntoIterator<Item = T>) -> Markup {
    html! {
        ul { "\n"
            @for item in items { li { (item) } "\n" }
        } "\n"
    }
}

/// A remark below a table.
pub(crate) fn note(text: impl Render) -> Markup {
    html! { p class="note" { (text) } "\n" }
}

/// A chart with its caption and its numbers, under a name that is the only one of its kind in the page.
pub(crate) fn figure(id: &str, chart: &Chart) -> Markup {
    html! {
        figure id=(id) { "\n"
            div class="scroll" { "\n" (PreEscaped(chart.svg())) } "\n"
            figcaption { (chart.caption) } "\n"
            @if !chart.table.rows.is_empty() {
                (details("Numbers behind this chart", numbers(&chart.table)))
            }
        } "\n"
    }
}

fn numbers(numbers: &Table) -> Markup {
    let rows = html! {
        @for row in &numbers.rows {
            tr { @for cell in row { td { (cell) } } } "\n"
        }
    };
    html! {
        (table(&numbers.header, rows))
        @if !numbers.remark.is_empty() { (note(&numbers.remark)) }
    }
}

/// The scenario's file.
pub(crate) fn scenario_text(scenario: &Scenario) -> Markup {
    let text = html! { pre { (scenario.source) } "\n" };
    section("Scenario", details("The text of the file", text))
}

const STYLE: &str = include_str!("page.css");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_taken_for_markup() {
        let page = document(
            "<title>",
            &html! { p title="a \"b\"" { (list(["<script>", "a & 'b'", "\u{1b}[31m"])) } },
        );
        assert!(page.contains("<title>&lt;title&gt;</title>"));
        assert!(page.contains("<li>&lt;script&gt;</li>") && page.contains("<li>a &amp; 'b'</li>"));
        assert!(page.contains("title=\"a &quot;b&quot;\"") && page.contains("<li>\u{FFFD}[31m</li>"));
    }
}
