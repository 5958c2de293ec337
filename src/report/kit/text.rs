//! Text of others in files that give some characters a meaning.

use crate::report::reading;

/// A text in one line without characters that could end it: for comments.
pub(in crate::report) fn one_line(text: &str) -> String {
    // What YAML, or an editor, takes for the end of a line.
    let ends = ['\n', '\r', '\t', '\u{85}', '\u{2028}', '\u{2029}'];
    let line: String = text.chars().map(|c| if ends.contains(&c) { ' ' } else { c }).collect();
    reading::printable(&line).trim_end().to_owned()
}

/// A YAML string in double quotes. What is not printable anywhere is escaped.
pub(in crate::report) fn yaml(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() || ('\u{2000}'..='\u{206f}').contains(&c) || c == '\u{feff}' => {
                quoted.push_str(&format!("\\U{:08x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// A text that Prometheus, which reads annotations as templates, shows as it is.
pub(in crate::report) fn prometheus(text: &str) -> String {
    text.replace("{{", "{{ `{{` }}")
}

/// A text in Markdown, in a table too.
pub(in crate::report) fn markdown(text: &str) -> String {
    let mut escaped = String::new();
    for character in one_line(text).chars() {
        if r"\`*_[]<>|#~$&".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// A text in Markdown as code, in a table too.
pub(in crate::report) fn code(text: &str) -> String {
    let text = one_line(text).replace('|', "\\|");
    let longest_run = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest_run + 1);
    // A fence must not touch a backtick of the text.
    let gap = if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
    format!("{fence}{gap}{text}{gap}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_comment() {
        assert_eq!(one_line("a\nb\r\u{2028}c\u{1b}[31m "), "a b  c\u{FFFD}[31m");
    }

    #[test]
    fn yaml_strings_are_quoted() {
        assert_eq!(yaml("a \"b\" \\ c\n\u{85}: # é"), r#""a \"b\" \\ c\n\U00000085: # é""#);
    }

    #[test]
    fn templates_are_text() {
        assert_eq!(prometheus("a {{ b }}"), "a {{ `{{` }} b }}");
    }

    #[test]
    fn markdown_is_text() {
        assert_eq!(markdown("a|b *c* <d>"), r"a\|b \*c\* \<d\>");
        assert_eq!(code("a`b|c"), r"``a`b\|c``");
        assert_eq!(code("`"), "`` ` ``");
    }
}
