//! One mistake, shown in its place: file, line, the text, and what is allowed there.
//!
//! The layout is that of compilers, which people and editors already read:
//!
//! ```text
//! error: `critcal` is not a setting of `policy`; did you mean `critical`?
//!   --> scenarios/x.toml:14:1
//!    |
//! 14 | critcal = 50000
//!    | ^^^^^^^ allowed: enabled, kind, recovery, ...
//! ```

use std::fmt;
use std::ops::Range;

/// What kind of mistake it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Not TOML.
    Syntax,
    /// A key that is not a setting.
    UnknownKey,
    /// A string where a table should be, and so on.
    WrongType,
    /// No unit, an unknown one, or one of another quantity.
    WrongUnit,
    /// Well written but outside what is allowed.
    OutOfRange,
    /// A name that is not allowed here.
    UnknownName,
    /// A required setting is not there.
    Missing,
    /// Settings that contradict each other.
    Conflict,
    /// A `--set` that cannot be applied.
    Override,
    /// A mistake in a file that the scenario names.
    File,
}

impl Code {
    /// A short name that never changes.
    pub const fn name(self) -> &'static str {
        match self {
            Code::Syntax => "syntax",
            Code::UnknownKey => "unknown-key",
            Code::WrongType => "wrong-type",
            Code::WrongUnit => "wrong-unit",
            Code::OutOfRange => "out-of-range",
            Code::UnknownName => "unknown-name",
            Code::Missing => "missing",
            Code::Conflict => "conflict",
            Code::Override => "override",
            Code::File => "file",
        }
    }
}

/// One mistake in a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of mistake.
    pub code: Code,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where.
    pub at: Location,
    /// What is allowed; shown at the carets. May be empty.
    pub label: String,
}

/// A piece of text and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file, or the `--set` option.
    pub origin: String,
    /// Line from 1 on; `None` for an option.
    pub line: Option<usize>,
    /// Column in characters from 1 on.
    pub column: usize,
    /// The whole line, or the part of a long one around the mistake.
    pub snippet: String,
    /// Characters of the snippet to mark.
    pub marked: Range<usize>,
}

/// Lines longer than this are cut around the mistake.
const SNIPPET_CHARS: usize = 100;

impl Location {
    /// The bytes `span` of `text`, which starts at `line` of `origin`.
    pub fn of(origin: impl Into<String>, text: &str, line: Option<usize>, span: Range<usize>) -> Self {
        let mut start = span.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let whole = text[line_start..line_end].trim_end_matches('\r');
        let before = text[line_start..start].chars().count();
        let mut end = span.end.clamp(start, line_end.max(start));
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let length = text[start..end].trim_end().chars().count().max(1);
        let (snippet, offset) = cut(whole, before);
        let shown_length = snippet.chars().count();
        let mark = before - offset.min(before) + usize::from(offset > 0);
        Self {
            origin: origin.into(),
            line,
            column: before + 1,
            marked: mark..(mark + length).min(shown_length.max(mark + 1)),
            snippet,
        }
    }

    /// A file as a whole.
    pub fn file(origin: impl Into<String>) -> Self {
        Self { origin: origin.into(), line: None, column: 1, snippet: String::new(), marked: 0..0 }
    }
}

/// The line without control characters, and how many characters of its start are left out.
fn cut(line: &str, around: usize) -> (String, usize) {
    let clean = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    if line.chars().nth(SNIPPET_CHARS).is_none() {
        return (line.chars().map(clean).collect(), 0);
    }
    let skipped = around.saturating_sub(SNIPPET_CHARS / 2);
    let mut shown = String::new();
    if skipped > 0 {
        shown.push('…');
    }
    let mut rest = line.chars().skip(skipped);
    shown.extend(rest.by_ref().take(SNIPPET_CHARS).map(clean));
    if rest.next().is_some() {
        shown.push('…');
    }
    (shown, skipped)
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, at, label, .. } = self;
        writeln!(f, "error: {message}")?;
        let number = at.line.map(|line| line.to_string()).unwrap_or_default();
        let gutter = number.len().max(1);
        write!(f, "{:gutter$}--> {}", "", at.origin)?;
        match at.line {
            Some(line) => writeln!(f, ":{line}:{}", at.column)?,
            None => writeln!(f)?,
        }
        if at.snippet.is_empty() && at.line.is_none() {
            return if label.is_empty() { Ok(()) } else { writeln!(f, "{:gutter$} = {label}", "") };
        }
        writeln!(f, "{:gutter$} |", "")?;
        writeln!(f, "{number:>gutter$} | {}", at.snippet)?;
        write!(
            f,
            "{:gutter$} | {:start$}{:^<length$}",
            "",
            "",
            "",
            start = at.marked.start,
            length = at.marked.len()
        )?;
        if label.is_empty() { writeln!(f) } else { writeln!(f, " {label}") }
    }
}

/// Why there is no scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScenarioError {
    /// The file cannot be read at all.
    Unreadable {
        /// What was tried and why it failed.
        message: String,
        /// A hint; may be empty.
        help: String,
    },
    /// The file was read and has mistakes: all of them, in the order of the file.
    Invalid(Vec<Diagnostic>),
}

impl ScenarioError {
    /// The mistakes; none if the file could not be read.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            ScenarioError::Unreadable { .. } => &[],
            ScenarioError::Invalid(diagnostics) => diagnostics,
        }
    }
}

/// Beyond this many, mistakes are only counted.
const SHOWN: usize = 50;

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScenarioError::Unreadable { message, help } => {
                writeln!(f, "error: {message}")?;
                if help.is_empty() { Ok(()) } else { writeln!(f, "  = {help}") }
            }
            ScenarioError::Invalid(diagnostics) => {
                for diagnostic in diagnostics.iter().take(SHOWN) {
                    writeln!(f, "{diagnostic}")?;
                }
                match diagnostics.len() {
                    1 => write!(f, "1 mistake"),
                    many if many > SHOWN => write!(f, "{many} mistakes, the first {SHOWN} shown"),
                    many => write!(f, "{many} mistakes"),
                }
            }
        }
    }
}

impl std::error::Error for ScenarioError {}

/// The candidate nearest to `name`, if one is near enough to be meant.
pub fn nearest<'n>(name: &str, candidates: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if name.len() > 200 {
        return None; // nobody's typing mistake, and the distance takes quadratic time
    }
    let lower = name.to_lowercase().replace('-', "_");
    candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase().replace('-', "_"));
            (distance, candidate)
        })
        .filter(|(distance, candidate)| {
            *distance <= (candidate.chars().count().max(lower.chars().count()) / 3).max(1)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean ...?`, or nothing.
pub fn did_you_mean<'n>(name: &str, candidates: impl IntoIterator<Item = &'n str>) -> String {
    nearest(name, candidates).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carets_stand_under_the_text() {
        let text = "a = 1\r\n  bäd = 2\n";
        let location = Location::of("x.toml", text, Some(2), 9..13);
        let diagnostic = Diagnostic {
            code: Code::UnknownKey,
            message: "no `bäd`".into(),
            at: location,
            label: "try `bad`".into(),
        };
        assert_eq!(
            diagnostic.to_string(),
            "error: no `bäd`\n --> x.toml:2:3\n  |\n2 |   bäd = 2\n  |   ^^^ try `bad`\n"
        );
    }

    #[test]
    fn any_span_of_any_text_is_shown_without_panic() {
        let long = format!("{}é = {}\nx", "k".repeat(300), "v".repeat(300));
        for text in ["", "\n", "é", "a\r\n\tb\u{1b}[0m\n", &long] {
            for start in 0..=text.len() + 2 {
                for end in [start, start + 1, start + 7, text.len()] {
                    let at = Location::of("x", text, Some(1), start..end);
                    assert!(!at.snippet.chars().any(char::is_control));
                    let _ =
                        Diagnostic { code: Code::Syntax, message: String::new(), at, label: String::new() }
                            .to_string();
                }
            }
        }
    }

    #[test]
    fn nearest_name_is_near() {
        let names = ["critical", "recovery", "warning"];
        assert_eq!(nearest("critcal", names), Some("critical"));
        assert_eq!(nearest("Warning", names), Some("warning"));
        assert_eq!(nearest("duration", names), None);
        assert_eq!(nearest("", names), None);
    }
}
