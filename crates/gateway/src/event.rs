//! Parses events as clients send them: one, an array, or one a line. Reports the first mistakes, and how many more there are.
//!
//! `data` is passed on byte for byte: numbers keep their digits, objects their order. What breaks its readers is refused instead: text
//! nested too deeply for a worker that stringifies it, and numbers too long to be read in linear time.
//!
//! Every byte is looked at a fixed number of times, whatever it says, and nothing is kept of what is refused.

use std::fmt;

use backpressure::Priority;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Deserializer;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A valid event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its type; also the name of its job.
    pub event_type: String,
    /// Its organization, as written.
    pub organization: Option<String>,
    /// As given; `None` for that of its type.
    pub priority: Option<Priority>,
    /// The client sends the event again with the same key, and means the same event.
    pub idempotency_key: Option<String>,
    /// JSON text.
    pub data: Box<RawValue>,
}

/// One mistake in a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Mistake {
    /// Where: `type`, `[3].priority`, `line 4`, or `body`.
    #[schema(example = "[3].priority")]
    pub place: String,
    /// What was found there.
    #[schema(example = "11")]
    pub found: String,
    /// What may stand there.
    #[schema(example = "a whole number, 1 (most urgent) to 10")]
    pub allowed: String,
}

/// The mistakes of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes {
    /// The first ones, in order.
    pub told: Vec<Mistake>,
    /// How many more there are.
    pub more: usize,
}

/// How the events of a body are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One object, or an array of them.
    Json,
    /// One object a line; empty lines do not count.
    Lines,
}

/// The events of a body.
#[derive(Debug)]
pub struct Body {
    /// In the order in which they stand there.
    pub events: Vec<Event>,
    /// Whether it was one object and not a list.
    pub is_single: bool,
}

/// Reads a body of at most `most` events.
///
/// # Errors
/// The mistakes of the body. If it is no JSON, that alone.
pub fn parse(body: &[u8], format: Format, most: usize) -> Result<Body, Mistakes> {
    let text = std::str::from_utf8(body).map_err(|error| Mistakes::one(no_text(&error)))?;
    let mut mistakes = Mistakes::default();
    let is_single = format == Format::Json && !text.trim_ascii_start().starts_with('[');
    let events = match format {
        Format::Json if is_single => object(text, Place::Body, &mut mistakes).into_iter().collect(),
        Format::Json => array(text, most, &mut mistakes),
        Format::Lines => lines(text, most, &mut mistakes),
    };
    if mistakes.told.is_empty() { Ok(Body { events, is_single }) } else { Err(mistakes) }
}

impl Body {
    /// Takes the key of the request's header as that of its one event.
    ///
    /// # Errors
    /// The header is no key, is not that of the event itself, or there are several events.
    pub fn take_key(&mut self, header: &[u8]) -> Result<(), Mistakes> {
        let refuse = |found: String, allowed: &str| {
            Err(Mistakes::one(mistake("header Idempotency-Key", found, allowed)))
        };
        let Some(key) = key_of_header(header) else {
            return refuse(echo(&String::from_utf8_lossy(header)), KEY);
        };
        match (&mut self.events[..], self.is_single) {
            ([event], true) => match &event.idempotency_key {
                Some(own) if *own != key => refuse(echo(&key), "the same key as in the body"),
                _ => {
                    event.idempotency_key = Some(key);
                    Ok(())
                }
            },
            _ => {
                refuse("a list of events".to_owned(), "one event; in a list each has its own idempotencyKey")
            }
        }
    }
}

/// The key in an `Idempotency-Key` header: a string as of RFC 9651, section 3.3.3, or the same without its quotes.
/// Source: draft-ietf-httpapi-idempotency-key-header, section 2.1.
fn key_of_header(header: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(header).ok()?.trim_ascii();
    let Some(quoted) = text.strip_prefix('"') else {
        return Some(text.to_owned()).filter(|key| !key.contains('"') && is_key(key));
    };
    let mut key = String::new();
    let mut characters = quoted.strip_suffix('"')?.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => key.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            '"' => return None,
            plain => key.push(plain),
        }
    }
    is_key(&key).then_some(key)
}

fn is_key(text: &str) -> bool {
    (1..=LONGEST_KEY).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

impl Mistakes {
    fn one(mistake: Mistake) -> Mistakes {
        Mistakes { told: vec![mistake], more: 0 }
    }

    /// Builds the mistake only if it is told.
    pub(crate) fn add(&mut self, mistake: impl FnOnce() -> Mistake) {
        if self.told.len() < MOST_MISTAKES { self.told.push(mistake()) } else { self.more += 1 }
    }

    fn count(&self) -> usize {
        self.told.len() + self.more
    }
}

/// Where an event stands in its body.
#[derive(Clone, Copy)]
enum Place {
    Body,
    Item(usize),
    Line(usize),
}

impl Place {
    /// The place of one of its fields.
    fn of(self, field: &str) -> String {
        match self {
            Place::Body => field.to_owned(),
            Place::Item(_) => format!("{self}.{field}"),
            Place::Line(_) => format!("{self}, {field}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Body => f.write_str("body"),
            Place::Item(index) => write!(f, "[{index}]"),
            Place::Line(number) => write!(f, "line {number}"),
        }
    }
}

/// The events of an array. Items beyond `most` are counted, and not looked into.
fn array(text: &str, most: usize, mistakes: &mut Mistakes) -> Vec<Event> {
    let mut events = Vec::new();
    let mut reader = Deserializer::from_str(text);
    let items = Items { most, events: &mut events, mistakes };
    match reader.deserialize_seq(items).and_then(|number| reader.end().map(|()| number)) {
        Ok(number) => refuse_number(number, most, mistakes),
        Err(error) => *mistakes = Mistakes::one(not_json(Place::Body, &error)),
    }
    events
}

fn lines(text: &str, most: usize, mistakes: &mut Mistakes) -> Vec<Event> {
    let mut events = Vec::new();
    let mut number = 0;
    for (index, line) in text.split('\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty()) {
        number += 1;
        if number <= most {
            events.extend(object(line, Place::Line(index + 1), mistakes));
        }
    }
    refuse_number(number, most, mistakes);
    events
}

fn refuse_number(found: usize, most: usize, mistakes: &mut Mistakes) {
    if found == 0 || found > most {
        // In front of what is wrong with single events.
        mistakes.told.insert(0, mistake("body", format!("{found} events"), format!("1 to {most} events")));
        mistakes.more += usize::from(mistakes.told.len() > MOST_MISTAKES);
        mistakes.told.truncate(MOST_MISTAKES);
    }
}

/// An event of the text of an object; `None` when there was a mistake in it.
fn object(text: &str, place: Place, mistakes: &mut Mistakes) -> Option<Event> {
    let mut reader = Deserializer::from_str(text);
    let read = if text.trim_ascii_start().starts_with('{') {
        let before = mistakes.count();
        let fields = reader.deserialize_map(FieldsOf { place, mistakes });
        fields.map(|fields| event(&fields, place, mistakes).filter(|_| mistakes.count() == before))
    } else {
        // Only to tell what is no JSON from what is no object.
        <&RawValue>::deserialize(&mut reader).map(|_| {
            mistakes.add(|| mistake(place.to_string(), echo(text.trim_ascii()), ALLOWED_BODY));
            None
        })
    };
    read.and_then(|event| reader.end().map(|()| event)).unwrap_or_else(|error| {
        mistakes.add(|| not_json(place, &error));
        None
    })
}

/// The values of the known fields, in the order of [`FIELDS`].
type Fields<'a> = [Option<&'a RawValue>; FIELDS.len()];

/// An event of its fields; `None` when there was a mistake in them.
fn event(fields: &Fields<'_>, place: Place, mistakes: &mut Mistakes) -> Option<Event> {
    let [event_type, data, organization, priority, key] = *fields;
    let mut refuse = |field: &str, value: Option<&RawValue>, allowed: &str| {
        mistakes.add(|| mistake(place.of(field), found(value), allowed));
    };
    let event_type = event_type.and_then(|value| name_of(value.get())).or_else(|| {
        refuse("type", event_type, NAME);
        None
    });
    let organization = optional(organization, organization_of).unwrap_or_else(|wrong| {
        refuse("organizationId", Some(wrong), ORGANIZATION);
        None
    });
    let parse_priority = |json: &str| Priority::new(u8::try_from(whole(json)?).ok()?);
    let priority = optional(priority, parse_priority).unwrap_or_else(|wrong| {
        refuse("priority", Some(wrong), PRIORITY);
        None
    });
    let parse_key = |json: &str| serde_json::from_str::<String>(json).ok().filter(|key| is_key(key));
    let idempotency_key = optional(key, parse_key).unwrap_or_else(|wrong| {
        refuse("idempotencyKey", Some(wrong), KEY);
        None
    });
    let Some(data) = data else {
        refuse("data", None, "any JSON value");
        return None;
    };
    if let Some((offset, what)) = unreadable(data.get()) {
        mistakes.add(|| mistake(place.of("data"), format!("{what} at its byte {offset}"), DATA));
        return None;
    }
    Some(Event { event_type: event_type?, organization, priority, idempotency_key, data: data.to_owned() })
}

const FIELDS: [&str; 5] = ["type", "data", "organizationId", "priority", "idempotencyKey"];
const ALLOWED_BODY: &str = "an object with `type` and `data`, an array of them, or one of them a line";
const NAME: &str = "a text of 1 to 128 characters, none of them a control character";
const ORGANIZATION: &str =
    "a text of 1 to 128 characters, none of them a control character, or a whole number";
const PRIORITY: &str = "a whole number, 1 (most urgent) to 10";
const KEY: &str = "1 to 255 printable ASCII characters";
const DATA: &str = "JSON nested at most 64 deep, with numbers of at most 128 characters";

/// What a value that may be left out, or `null`, is; the value itself if `parse` refuses it.
fn optional<T>(value: Option<&RawValue>, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, &RawValue> {
    match value.filter(|value| value.get() != "null") {
        None => Ok(None),
        Some(value) => parse(value.get()).map(Some).ok_or(value),
    }
}

fn organization_of(json: &str) -> Option<String> {
    name_of(json).or_else(|| whole(json).map(|number| number.to_string()))
}

/// A whole number, however it is written: 7, 7.0 and 0.7e1 are one to JSON. Beyond 2^53 readers may round it (RFC 8259, section 6).
fn whole(json: &str) -> Option<u64> {
    let number: u64 = json.parse().ok().or_else(|| {
        let number = Some(json).filter(|json| json.len() <= LONGEST_NUMBER)?.parse::<f64>().ok()?;
        (number.fract() == 0.0 && (0.0..=MOST_WHOLE as f64).contains(&number)).then_some(number as u64)
    })?;
    (number <= MOST_WHOLE).then_some(number)
}

fn name_of(json: &str) -> Option<String> {
    // Each character may be written as two escapes of six bytes; what is longer is not even decoded.
    let json = Some(json).filter(|json| json.len() <= 12 * LONGEST_NAME + 2)?;
    let text = serde_json::from_str::<String>(json).ok()?;
    let is_good = !text.trim().is_empty()
        && text.chars().count() <= LONGEST_NAME
        && !text.chars().any(char::is_control);
    is_good.then_some(text)
}

/// Where in a JSON text its readers could fail, and why.
fn unreadable(json: &str) -> Option<(usize, &'static str)> {
    let (mut depth, mut number) = (0, 0);
    let (mut is_text, mut is_escaped) = (false, false);
    for (offset, byte) in json.bytes().enumerate() {
        if is_text {
            is_text = is_escaped || byte != b'"';
            is_escaped = !is_escaped && byte == b'\\';
            continue;
        }
        number = if matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E') { number + 1 } else { 0 };
        match byte {
            b'"' => is_text = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        if depth > DEEPEST {
            return Some((offset, "a value nested deeper than 64"));
        }
        if number > LONGEST_NUMBER {
            return Some((offset + 1 - number, "a number of more than 128 characters"));
        }
    }
    None
}

/// Longest event type and organization, in characters.
const LONGEST_NAME: usize = 128;
/// Longest idempotency key, in bytes.
const LONGEST_KEY: usize = 255;
/// Arrays and objects inside one another in `data`: JSON.stringify of a worker recurses, and so do pages that show a job.
const DEEPEST: usize = 64;
/// Characters of a number in `data`: the time to read one grows with the square of its length in some languages.
const LONGEST_NUMBER: usize = 128;
/// The largest whole number that every reader keeps.
pub(crate) const MOST_WHOLE: u64 = (1 << 53) - 1;
/// Most mistakes told.
const MOST_MISTAKES: usize = 100;
const LONGEST_ECHO: usize = 80;

fn mistake(place: impl Into<String>, found: impl Into<String>, allowed: impl Into<String>) -> Mistake {
    Mistake { place: place.into(), found: found.into(), allowed: allowed.into() }
}

fn not_json(place: Place, error: &serde_json::Error) -> Mistake {
    mistake(place.to_string(), format!("no JSON: {error}"), ALLOWED_BODY)
}

fn no_text(error: &std::str::Utf8Error) -> Mistake {
    mistake("body", format!("no UTF-8 at byte {}", error.valid_up_to()), ALLOWED_BODY)
}

fn found(value: Option<&RawValue>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| echo(value.get()))
}

/// The beginning of a text from a client.
fn echo(text: &str) -> String {
    let mut characters = text.chars();
    let printable: String = characters.by_ref().take(LONGEST_ECHO).filter(|c| !c.is_control()).collect();
    if characters.next().is_some() { printable + "..." } else { printable }
}

/// Reads the fields of an object; unknown and repeated ones are mistakes, and nothing of them is kept.
struct FieldsOf<'m> {
    place: Place,
    mistakes: &'m mut Mistakes,
}

impl<'de> Visitor<'de> for FieldsOf<'_> {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let FieldsOf { place, mistakes } = self;
        let mut fields: Fields<'de> = Default::default();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value()?;
            match FIELDS.iter().position(|field| *field == name) {
                None => mistakes.add(|| {
                    mistake(place.of(&echo(&name)), "an unknown field", format!("only {}", FIELDS.join(", ")))
                }),
                Some(index) if fields[index].is_some() => {
                    mistakes.add(|| mistake(place.of(&name), "the field twice", "each field once"));
                }
                Some(index) => fields[index] = Some(value),
            }
        }
        Ok(fields)
    }
}

/// Reads the items of an array, and returns their number.
struct Items<'m> {
    most: usize,
    events: &'m mut Vec<Event>,
    mistakes: &'m mut Mistakes,
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<usize, A::Error> {
        let mut number = 0;
        while number < self.most {
            let Some(item) = items.next_element::<&RawValue>()? else { return Ok(number) };
            self.events.extend(object(item.get(), Place::Item(number), self.mistakes));
            number += 1;
        }
        while items.next_element::<IgnoredAny>()?.is_some() {
            number += 1;
        }
        Ok(number)
    }
}
