//! Text for terminals: colour, padding, and lines that break between words.

use super::text::shortened;
use super::traffic::Tone;

/// Writes in colour, or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    pub(crate) colour: bool,
}

impl Paint {
    pub(crate) fn bold(self, text: &str) -> String {
        self.sequence("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.sequence("2", text)
    }

    /// A text in a tone.
    pub(crate) fn tone(self, (text, tone): (&str, Tone)) -> String {
        match tone {
            Tone::Good => self.good(text),
            Tone::Caution => self.caution(text),
            Tone::Bad => self.bad(text),
            Tone::Neutral => self.bold(text),
        }
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.sequence("1;32", text)
    }

    pub(crate) fn caution(self, text: &str) -> String {
        self.sequence("1;33", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.sequence("1;31", text)
    }

    fn sequence(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Joins lines to one text, without trailing spaces.
pub(crate) fn joined(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Breaks a text into lines between words; a longer word stays whole.
pub(crate) fn wrapped(text: &str, width: usize, indent: &str) -> Vec<String> {
    filled(text.split_whitespace(), width, indent)
}

/// Fills lines with words, or with groups of words that stay together.
pub(crate) fn filled<'a>(words: impl Iterator<Item = &'a str>, width: usize, indent: &str) -> Vec<String> {
    let mut lines = vec![indent.to_owned()];
    for word in words {
        let line = lines.last_mut().expect("there is always a line");
        let fresh = line.trim().is_empty();
        if !fresh && columns_of(line) + 1 + columns_of(word) > width {
            lines.push(format!("{indent}{word}"));
        } else {
            line.push_str(if fresh { "" } else { " " });
            line.push_str(word);
        }
    }
    lines
}

/// The text with its middle left out, if it is too long.
pub(crate) fn cut(text: &str, width: usize) -> String {
    shortened(text, |text| columns_of(text) <= width)
}

pub(crate) fn padded_left(text: &str, width: usize) -> String {
    " ".repeat(width.saturating_sub(columns_of(text))) + text
}

pub(crate) fn padded_right(text: &str, width: usize) -> String {
    text.to_owned() + &" ".repeat(width.saturating_sub(columns_of(text)))
}

pub(crate) fn columns_of(text: &str) -> usize {
    text.chars().count()
}

/// Width that is assumed for narrower terminals.
pub(crate) const NARROWEST: usize = 40;
