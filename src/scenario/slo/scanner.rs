//! Takes an expression apart.

use std::ops::Range;

use crate::scenario::diagnostic::Code;

/// What is wrong with an expression: where, the message, and what is allowed.
#[derive(Debug)]
pub(in crate::scenario) struct SloFault {
    pub(in crate::scenario) span: Range<usize>,
    pub(in crate::scenario) code: Code,
    pub(in crate::scenario) message: String,
    pub(in crate::scenario) label: String,
}

pub(super) fn fault(span: Range<usize>, code: Code, message: String, label: impl Into<String>) -> SloFault {
    SloFault { span, code, message, label: label.into() }
}

/// Scans an expression; spaces between its tokens do not matter.
pub(super) struct Scanner<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
}

impl<'t> Scanner<'t> {
    pub(super) fn skip_spaces(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    pub(super) fn word(&mut self) -> (&'t str, Range<usize>) {
        self.take(|c| !(c.is_alphanumeric() || c == '_'))
    }

    /// What comes before any of these characters, without the spaces after it.
    pub(super) fn until(&mut self, ends: &[char]) -> (&'t str, Range<usize>) {
        let (text, span) = self.take(|c| ends.contains(&c));
        let trimmed = text.trim_end();
        (trimmed, span.start..span.start + trimmed.len())
    }

    pub(super) fn rest(&mut self) -> (&'t str, Range<usize>) {
        let (text, span) = self.take(|_| false);
        let trimmed = text.trim_end();
        (trimmed, span.start..span.start + trimmed.len())
    }

    pub(super) fn take(&mut self, ends: impl Fn(char) -> bool) -> (&'t str, Range<usize>) {
        self.skip_spaces();
        let start = self.at;
        let rest = &self.text[start..];
        self.at += rest.find(ends).unwrap_or(rest.len());
        (&self.text[start..self.at], start..self.at)
    }

    pub(super) fn eat(&mut self, symbol: &str) -> bool {
        self.skip_spaces();
        let found = self.text[self.at..].starts_with(symbol);
        self.at += if found { symbol.len() } else { 0 };
        found
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.text[self.at..].trim().is_empty()
    }

    pub(super) fn expected(&mut self, what: &str) -> SloFault {
        self.skip_spaces();
        let found = self.text[self.at..].chars().next();
        let message = match found {
            Some(found) => format!("expected {what}, found `{found}`"),
            None => format!("expected {what} at the end"),
        };
        let end = self.at + found.map_or(0, char::len_utf8);
        let label = "written metric{class=NAME}.statistic < number".to_string();
        SloFault { span: self.at..end, code: Code::Syntax, message, label }
    }
}
