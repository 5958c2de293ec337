//! Text: plain English, and escaping for file formats in which some characters have a meaning.

pub(crate) use crate::text::plural;

pub(crate) fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// Cuts the middle out of a text that does not fit: long names often differ at their ends.
pub(crate) fn shortened(text: &str, fits: impl Fn(&str) -> bool) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut shown = text.to_owned();
    let mut kept = characters.len();
    while !fits(&shown) && kept > 2 {
        kept -= 1;
        let (front, back) = (kept.div_ceil(2), characters.len() - kept / 2);
        shown = characters[..front].iter().chain(&['…']).chain(&characters[back..]).collect();
    }
    shown
}

/// Replaces control characters, which a terminal would obey and XML forbids.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && !"\n\t".contains(c) { '\u{FFFD}' } else { c }).collect()
}

/// Puts a text on one line, for comments.
pub(crate) fn one_line(text: &str) -> String {
    // Characters that YAML or an editor treats as line ends.
    let ends = ['\n', '\r', '\t', '\u{85}', '\u{2028}', '\u{2029}'];
    let line: String = text.chars().map(|c| if ends.contains(&c) { ' ' } else { c }).collect();
    printable(&line).trim_end().to_owned()
}

/// A YAML string in double quotes, with unprintable characters escaped.
pub(crate) fn yaml(text: &str) -> String {
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

/// Escapes a text for Prometheus annotations, which are templates.
pub(crate) fn prometheus(text: &str) -> String {
    text.replace("{{", "{{ `{{` }}")
}

/// Escapes a text for Markdown, including tables.
pub(crate) fn markdown(text: &str) -> String {
    let mut escaped = String::new();
    for character in one_line(text).chars() {
        if r"\`*_[]<>|#~$&".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// A text as Markdown code, safe in tables.
pub(crate) fn code(text: &str) -> String {
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
    fn long_names_lose_their_middle() {
        let at_most = |most: usize| move |text: &str| text.chars().count() <= most;
        assert_eq!(shortened("telemetry", at_most(9)), "telemetry");
        assert_eq!(shortened("telemetry-data-12", at_most(9)), "tele…a-12");
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb"), "a\u{FFFD}[31mb");
    }

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
