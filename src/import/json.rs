//! JSON with places: paths such as `data.result[3].values[7]`, and elements of a long array one by one.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::Value;

use super::ImportError;
use super::input::{Record, Source, TOO_LONG};

/// The whole file as one document.
pub(super) fn document(source: &mut Source) -> Result<Value, ImportError> {
    let text = source.text()?;
    serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| syntax(&source.shown, &error))
}

/// What is wrong with the syntax, and where.
pub(super) fn syntax(shown: &str, error: &serde_json::Error) -> ImportError {
    let place = format!("{shown}:{}:{}", error.line(), error.column());
    if error.io_error_kind() == Some(TOO_LONG) {
        return ImportError::new(format!("after that the {error}"), place, "an end of each job");
    }
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    let (message, help) = if error.is_eof() {
        (format!("the JSON ends too early: {what}"), "export the file again: it is cut off")
    } else {
        (format!("this is not JSON: {what}"), "a JSON document")
    };
    ImportError::new(message, place, help)
}

/// A value as people wrote it, cut if it is long.
pub(super) fn brief(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 {
        text
    } else {
        format!("{}...", text.chars().take(57).collect::<String>())
    }
}

/// Calls for each element of an array, without keeping them. Elements are counted from 0.
pub(super) fn elements(
    source: &mut Source,
    each: &mut dyn FnMut(usize, Value) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let shown = source.shown.clone();
    let mut found = None;
    let (reader, record) = source.records();
    let mut reader = serde_json::Deserializer::from_reader(reader);
    let read = Each { each, record, found: &mut found }.deserialize(&mut reader).and_then(|()| reader.end());
    match (found, read) {
        (Some(error), _) => Err(error),
        (None, read) => read.map_err(|error| syntax(&shown, &error)),
    }
}

struct Each<'a> {
    each: &'a mut dyn FnMut(usize, Value) -> Result<(), ImportError>,
    record: Record,
    found: &'a mut Option<ImportError>,
}

impl<'de> DeserializeSeed<'de> for Each<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Each<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let mut index = 0;
        while let Some(value) = elements.next_element::<Value>()? {
            self.record.ends();
            if let Err(error) = (self.each)(index, value) {
                *self.found = Some(error);
                return Err(serde::de::Error::custom("stopped"));
            }
            index += 1;
        }
        Ok(())
    }
}
