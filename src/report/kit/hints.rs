//! Hints about a scenario, for terminal and pages.

use maud::{Markup, html};

use super::html::section;
use super::terminal::{Paint, wrapped};
use super::text::printable;
use crate::scenario::Hint;

/// The hints under their title; nothing of none.
pub(crate) fn lines(hints: &[Hint], width: usize, paint: Paint) -> Vec<String> {
    if hints.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![paint.bold("█ HINTS")];
    for hint in hints {
        let text = wrapped(&printable(&hint.to_string()), width.saturating_sub(INDENT.len()), "");
        let indents = std::iter::once("  → ").chain(std::iter::repeat(INDENT));
        lines.extend(indents.zip(text).map(|(indent, line)| format!("{indent}{line}")));
    }
    lines
}

/// The same as a section of a page.
pub(crate) fn of_page(hints: &[Hint]) -> Markup {
    if hints.is_empty() {
        return Markup::default();
    }
    let items = html! {
        ul { "\n"
            @for hint in hints { li { (hint.to_string()) "." } "\n" }
        } "\n"
    };
    section("Hints", items)
}

const INDENT: &str = "    ";
