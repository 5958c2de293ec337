//! A scenario written in another language by mistake: YAML and JSON say so with one message in place of one for each line. And
//! what hand and word processor do to TOML: units without quotes, typographic quotes, no-break spaces.

use std::ops::Range;

/// A place, what is wrong there, and what is allowed.
type Fault = (Range<usize>, String, String);

/// Whether a text is of another language.
pub(super) fn recognise(text: &str) -> Option<Fault> {
    let lines = Lines::of(text);
    let mut content = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let (at, first) = content.next()?;
    let span = at..at + first.len();
    let is_json = first == "{" || (first.starts_with('{') && first[1..].trim_start().starts_with('"'));
    if is_json {
        let message = "this is JSON, but a scenario is TOML".to_owned();
        return Some((span, message, "write duration = \"60s\" and tables such as [arrivals]".to_owned()));
    }
    let is_document = first == "---" || first.starts_with("%YAML");
    let pair = if is_document { content.next()?.1 } else { first };
    let (key, value) = pair.split_once(':')?;
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !is_key || !(value.is_empty() || value.starts_with(' ')) || pair.contains('=') {
        return None;
    }
    let label = match value.trim() {
        "" => format!("write the table [{key}] on a line of its own"),
        value => format!("write {key} = {}", as_toml(value)),
    };
    Some((span, "this is YAML, but a scenario is TOML".to_owned(), label))
}

/// What is wrong with the line of a syntax error, where the hand is known that wrote it.
pub(super) fn explain(text: &str, at: usize) -> Option<Fault> {
    let (start, line) = Lines::of(text).find(|(start, line)| at <= start + line.len())?;
    let place = |part: &str| {
        let begin = start + (part.as_ptr() as usize - line.as_ptr() as usize);
        begin..begin + part.len()
    };
    if let Some((offset, found)) = line.char_indices().find(|(_, c)| "“”„‟«»‘’‚".contains(*c))
    {
        let span = start + offset..start + offset + found.len_utf8();
        let straight: String = line.chars().map(|c| if "“”„‟«»".contains(c) { '"' } else { c }).collect();
        let straight = straight.replace(['‘', '’', '‚'], "\'");
        let message = format!("`{found}` is not a quote of TOML");
        return Some((span, message, format!("write {straight}")));
    }
    if let Some(offset) = line.find('\u{a0}') {
        let span = start + offset..start + offset + 2;
        let message = "a no-break space is not a space of TOML".to_owned();
        return Some((span, message, "replace it by an ordinary space".to_owned()));
    }
    let (_, value) = line.split_once('=')?;
    let value = value.split('#').next().unwrap_or_default().trim();
    let is_quantity = value.starts_with(|c: char| c.is_ascii_digit())
        && value.contains(|c: char| c.is_alphabetic() || c == '%' || c == '/')
        && value.chars().all(|c| c.is_ascii_alphanumeric() || "_./%,+- µ".contains(c));
    if !is_quantity {
        return None;
    }
    let message = format!("the value `{value}` must be quoted, because it has a unit");
    Some((place(value), message, format!("write \"{value}\"")))
}

fn as_toml(value: &str) -> String {
    let is_plain = value.parse::<f64>().is_ok() || value == "true" || value == "false";
    if is_plain || value.starts_with(['"', '[', '\'']) { value.to_owned() } else { format!("\"{value}\"") }
}

/// The lines of a text without the blanks around them, each with its place.
struct Lines<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Self { text, at }
    }
}

impl<'t> Iterator for Lines<'t> {
    type Item = (usize, &'t str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.text.len() {
            return None;
        }
        let rest = &self.text[self.at..];
        let line = rest.split('\n').next().unwrap_or_default();
        let start = self.at + line.len() - line.trim_start().len();
        self.at += line.len() + 1;
        Some((start, line.trim()))
    }
}
