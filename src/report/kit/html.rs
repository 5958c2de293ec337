//! Building blocks of HTML pages.
//!
//! HTML is written with `maud`. Its macro escapes every value, `(text)`, so text from a scenario can never become
//! markup by a forgotten call; exceptions are marked `PreEscaped`, and are only style sheets, SVG and one line-break
//! hint. We chose maud over `askama` because our pages are mostly tables of computed numbers: the markup stays beside
//! the code that computes them and is checked with it, there are no template files, and the crate is small (a macro
//! and `itoa`). maud does not escape apostrophes, which is safe because it writes every attribute in double quotes.
//!
//! maud writes no white space, so line breaks are literals: pages stay readable as text, and diffs stay small.
//! Sections that few readers need are folded (`<details>`). A page with charts has one script (`page.js`), which brings the
//! charts to life: it loads nothing, and without it all is there to be read.

use maud::{DOCTYPE, Markup, PreEscaped, Render, html};

use super::chart::{Chart, Table};
use super::text::printable;
use crate::scenario::Scenario;

/// A complete page around its content. Control characters are replaced, because HTML forbids them.
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
                @if content.0.contains(LIVE) { script { "\n" (PreEscaped(SCRIPT)) } "\n" }
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

/// A section with its title.
pub(crate) fn section(title: &str, content: impl Render) -> Markup {
    section_with(None, None, title, content)
}

/// The same with a class for the style sheet.
pub(crate) fn section_of_class(class: &str, title: &str, content: impl Render) -> Markup {
    section_with(Some(class), None, title, content)
}

/// The same with an id for links.
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

/// A table with a header and rows that are already markup. On a phone each row is a block, in which every cell stands below the
/// name of its column.
pub(crate) fn table(header: &[impl AsRef<str>], rows: impl Render) -> Markup {
    grid("scroll stack", header, labelled(header, &rows.render().0))
}

/// Names the column in each cell.
fn labelled(header: &[impl AsRef<str>], rows: &str) -> Markup {
    let names: Vec<String> = header.iter().map(|name| html! { (name.as_ref()) }.0).collect();
    let mut labelled = String::with_capacity(rows.len() * 2);
    let (mut rest, mut column) = (rows, 0);
    // `<` stands only where an element begins, since it is escaped in texts.
    while let Some(start) = rest.find("<t") {
        let (before, tag) = rest.split_at(start);
        let (begin, after) = tag.split_at(3);
        labelled += before;
        labelled += begin;
        match begin {
            "<tr" => column = 0,
            "<th" => column += 1,
            "<td" => {
                if let Some(name) = names.get(column).filter(|name| !name.is_empty()) {
                    labelled += &format!(" data-label=\"{name}\"");
                }
                column += 1;
            }
            _ => {}
        }
        rest = after;
    }
    PreEscaped(labelled + rest)
}

fn grid(class: &str, header: &[impl AsRef<str>], rows: impl Render) -> Markup {
    html! {
        div class=(class) {
            table { "\n"
                thead { tr { @for name in header { th scope="col" { (name.as_ref()) } } } } "\n"
                tbody { "\n" (rows) } "\n"
            }
        } "\n"
    }
}

/// Content that is folded under a summary.
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

/// A note, usually below a table.
pub(crate) fn note(text: impl Render) -> Markup {
    html! { p class="note" { (text) } "\n" }
}

/// A chart with its caption and its numbers; the id must be unique on the page.
pub(crate) fn figure(id: &str, chart: &Chart) -> Markup {
    html! {
        figure id=(id) { "\n"
            div class="chart" { "\n" (chart.for_page()) } "\n"
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
        // So many numbers are read along their columns, also on a phone.
        (grid("scroll", &numbers.header, rows))
        @if !numbers.remark.is_empty() { (note(&numbers.remark)) }
    }
}

/// The scenario's file.
pub(crate) fn scenario_text(scenario: &Scenario) -> Markup {
    let text = html! { pre { (scenario.source) } "\n" };
    section("Scenario", details("The text of the file", text))
}

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// What the script looks for. No text contains it, since `<` is escaped in texts.
const LIVE: &str = "<script type=\"application/json\">";

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
