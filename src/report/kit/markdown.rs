//! Text that goes into Markdown, of which nothing is taken for markup.

/// Escapes text, also for cells of a table.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => escaped.push(' '),
            c if c.is_control() => escaped.push('\u{FFFD}'),
            // As numeric references, which neither Markdown nor HTML interprets.
            c if "|<>&`*_[]\\#~!".contains(c) => escaped += &format!("&#{};", u32::from(c)),
            c => escaped.push(c),
        }
    }
    escaped
}

pub(crate) fn code(text: &str) -> String {
    format!("<code>{}</code>", escaped(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_is_taken_for_markup() {
        assert_eq!(code("a|b\n<c>`*"), "<code>a&#124;b &#60;c&#62;&#96;&#42;</code>");
    }
}
