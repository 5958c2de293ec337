//! The part of YAML that the files of a plan are written in: maps, lists of maps, whole numbers, and texts with or without double
//! quotes. Comments have lines of their own.
//!
//! It reads what this program writes. What it does not know it refuses, so nothing is read in another way than Kubernetes,
//! KEDA or Prometheus would.

use serde_json::{Map, Value};

type Line<'t> = (usize, &'t str);

/// The document, or what cannot be read.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let lines: Vec<Line<'_>> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty())
        .map(|line| (line.len() - line.trim_start().len(), line.trim()))
        .collect();
    match block(&lines)? {
        (value, []) => Ok(value),
        (_, [(_, line), ..]) => Err(format!("`{line}` belongs to nothing")),
    }
}

/// The lines of one block, which all stand equally far to the right, and what follows it.
fn block<'a, 't>(lines: &'a [Line<'t>]) -> Result<(Value, &'a [Line<'t>]), String> {
    let Some(&(indent, first)) = lines.first() else { return Ok((Value::Null, lines)) };
    if is_item(first) { list(lines, indent) } else { map(lines, indent) }
}

fn list<'a, 't>(lines: &'a [Line<'t>], indent: usize) -> Result<(Value, &'a [Line<'t>]), String> {
    let mut items = Vec::new();
    let mut rest = lines;
    while let Some(&(_, line)) = rest.first().filter(|(own, line)| *own == indent && is_item(line)) {
        // The item's own lines: the rest of this one, and those further to the right.
        let end = rest[1..].iter().position(|(own, _)| *own <= indent).map_or(rest.len(), |end| end + 1);
        let mut item = vec![(indent + 2, line[1..].trim_start())];
        item.extend(&rest[1..end]);
        let (value, left) = block(&item)?;
        if let Some((_, line)) = left.first() {
            return Err(format!("`{line}` belongs to nothing"));
        }
        items.push(value);
        rest = &rest[end..];
    }
    Ok((Value::Array(items), rest))
}

fn map<'a, 't>(lines: &'a [Line<'t>], indent: usize) -> Result<(Value, &'a [Line<'t>]), String> {
    let mut map = Map::new();
    let mut rest = lines;
    while let Some(&(_, line)) = rest.first().filter(|(own, line)| *own == indent && !is_item(line)) {
        let (key, written) = line.split_once(':').ok_or_else(|| format!("`{line}` has no key"))?;
        rest = &rest[1..];
        let value = match written.trim() {
            "" => {
                // A list may stand as far to the left as its key.
                let is_own = rest
                    .first()
                    .is_some_and(|(own, line)| *own > indent || (*own == indent && is_item(line)));
                let (value, after) = if is_own { block(rest)? } else { (Value::Null, rest) };
                rest = after;
                value
            }
            written => scalar(written)?,
        };
        if map.insert(key.to_owned(), value).is_some() {
            return Err(format!("`{key}` is there twice"));
        }
    }
    Ok((Value::Object(map), rest))
}

fn is_item(line: &str) -> bool {
    line.starts_with("- ")
}

/// A whole number, a text in double quotes with the escapes that YAML and JSON share, or a plain text.
fn scalar(written: &str) -> Result<Value, String> {
    if let Ok(number) = written.parse::<u64>() {
        return Ok(Value::from(number));
    }
    if written.starts_with('"') {
        let shared = shared_escapes(written);
        return serde_json::from_str(&shared).map_err(|error| format!("{written}: {error}"));
    }
    match written.starts_with(['[', '{', '|', '>', '&', '*', '!', '\'', '%', '@', '`'])
        || written.contains(" #")
        || written.contains(": ")
    {
        true => Err(format!("`{written}` is written in a way that is not read here")),
        false => Ok(Value::String(written.to_owned())),
    }
}

/// Eight-digit escapes, which JSON does not have, as the characters themselves.
fn shared_escapes(written: &str) -> String {
    let mut text = String::new();
    let mut rest = written;
    while let Some(at) = rest.find('\\') {
        text += &rest[..at];
        let escape = &rest[at..];
        let long = escape.strip_prefix("\\U").and_then(|digits| digits.get(..8));
        let character = long.and_then(|digits| char::from_u32(u32::from_str_radix(digits, 16).ok()?));
        if let Some(character) = character {
            // Control characters are escaped in JSON too.
            text += serde_json::to_string(&character).expect("a character is JSON").trim_matches('"');
            rest = &escape[10..];
        } else {
            let length = 1 + escape[1..].chars().next().map_or(0, char::len_utf8);
            text += &escape[..length];
            rest = &escape[length..];
        }
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_plans_write_is_read() {
        let text = "# comment\na:\n  b: 5\n  c: \"5\"\n  # comment\n  d:\n  - x: one:two\n    y: \"q\\\"\\U0000000a\\n\"\n  - x: z\nlist:\n- k: 1\n";
        let expected = json!({ "a": { "b": 5, "c": "5", "d": [{ "x": "one:two", "y": "q\"\n\n" }, { "x": "z" }] }, "list": [{ "k": 1 }] });
        assert_eq!(read(text), Ok(expected));
    }

    #[test]
    fn what_would_be_read_otherwise_is_refused() {
        for text in ["a: {b: 1}", "a: 'x'", "a: 1\na: 2", "a: 1\n   b: 2", "a", "a: x # y", "a: x: y"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
