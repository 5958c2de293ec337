//! Parses events as clients send them: one, an array, or one a line. Reports all mistakes at once.
//!
//! `data` is passed on byte for byte: numbers keep their digits, objects their order.

use std::borrow::Cow;
use std::fmt;

use backpressure::Priority;
use serde::Deserialize;
use serde::Serialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
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

/// Longest event type and organization, in bytes.
const LONGEST_NAME: usize = 128;
/// Most mistakes reported.
const MOST_MISTAKES: usize = 100;
const LONGEST_ECHO: usize = 80;

/// Reads a body of at most `most` events.
///
/// # Errors
/// The first hundred mistakes of the body, in order.
pub fn parse(body: &[u8], format: Format, most: usize) -> Result<Body, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let mut events = Vec::new();
    let mut is_single = false;
    match format {
        Format::Json => match serde_json::from_slice::<OneOrMany<'_>>(body) {
            Err(error) => mistakes.push(not_json("body", &error)),
            Ok(OneOrMany::One(fields)) => {
                is_single = true;
                events.extend(event(&fields, "", &mut mistakes));
            }
            Ok(OneOrMany::Other(raw)) => mistakes.push(not_an_object("body", raw)),
            Ok(OneOrMany::Many(items)) => {
                refuse_number(items.len(), most, &mut mistakes);
                for (index, item) in items.iter().enumerate().take(most) {
                    let place = format!("[{index}]");
                    events.extend(object(item, &place, &mut mistakes));
                    if mistakes.len() >= MOST_MISTAKES {
                        break;
                    }
                }
            }
        },
        Format::Lines => {
            let lines = body.split(|byte| *byte == b'\n').enumerate();
            let filled = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
            refuse_number(filled.clone().count(), most, &mut mistakes);
            for (index, line) in filled.take(most) {
                let place = format!("line {}", index + 1);
                match serde_json::from_slice::<&RawValue>(line) {
                    Ok(item) => events.extend(object(item, &place, &mut mistakes)),
                    Err(error) => mistakes.push(not_json(&place, &error)),
                }
                if mistakes.len() >= MOST_MISTAKES {
                    break;
                }
            }
        }
    }
    mistakes.truncate(MOST_MISTAKES);
    if mistakes.is_empty() { Ok(Body { events, is_single }) } else { Err(mistakes) }
}

fn refuse_number(found: usize, most: usize, mistakes: &mut Vec<Mistake>) {
    if found == 0 || found > most {
        mistakes.push(mistake("body", format!("{found} events"), format!("1 to {most} events")));
    }
}

/// An event of a list.
fn object(item: &RawValue, place: &str, mistakes: &mut Vec<Mistake>) -> Option<Event> {
    match serde_json::from_str::<OneOrMany<'_>>(item.get()) {
        Ok(OneOrMany::One(fields)) => event(&fields, place, mistakes),
        Err(error) => {
            mistakes.push(not_json(place, &error));
            None
        }
        Ok(_) => {
            mistakes.push(not_an_object(place, item));
            None
        }
    }
}

/// An event of its fields; `None` when there was a mistake in them.
fn event(fields: &[(Cow<'_, str>, &RawValue)], place: &str, mistakes: &mut Vec<Mistake>) -> Option<Event> {
    let before = mistakes.len();
    let at = |name: &str| match place {
        "" => name.to_owned(),
        list if list.starts_with('[') => format!("{list}.{name}"),
        line => format!("{line}, {name}"),
    };
    for (index, (name, _)) in fields.iter().enumerate() {
        if !FIELDS.contains(&name.as_ref()) {
            mistakes.push(mistake(
                at(&echo(name)),
                "an unknown field",
                format!("only {}", FIELDS.join(", ")),
            ));
        } else if fields[..index].iter().any(|(earlier, _)| earlier == name) {
            mistakes.push(mistake(at(name), "the field twice", "each field once"));
        }
    }
    let find = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| *value);

    let event_type = find("type").and_then(|value| name_of(value.get()));
    if event_type.is_none() {
        mistakes.push(mistake(at("type"), found(find("type")), NAME));
    }
    let organization = find("organizationId").filter(|value| value.get() != "null").map(|value| {
        let number = value.get().parse::<u64>().ok().map(|number| number.to_string());
        name_of(value.get()).or(number)
    });
    if organization == Some(None) {
        let allowed = format!("{NAME}, or a whole number");
        mistakes.push(mistake(at("organizationId"), found(find("organizationId")), allowed));
    }
    let priority = find("priority")
        .filter(|value| value.get() != "null")
        .map(|value| value.get().parse::<u8>().ok().and_then(Priority::new));
    if priority == Some(None) {
        let allowed = "a whole number, 1 (most urgent) to 10";
        mistakes.push(mistake(at("priority"), found(find("priority")), allowed));
    }
    let data = find("data");
    if data.is_none() {
        mistakes.push(mistake(at("data"), "nothing", "any JSON value"));
    }
    if mistakes.len() > before {
        return None;
    }
    Some(Event {
        event_type: event_type?,
        organization: organization.flatten(),
        priority: priority.flatten(),
        idempotency_key: None,
        data: data?.to_owned(),
    })
}

const FIELDS: [&str; 4] = ["type", "data", "organizationId", "priority"];
const NAME: &str = "a text of 1 to 128 bytes without control characters";

fn name_of(json: &str) -> Option<String> {
    let text = serde_json::from_str::<String>(json).ok()?;
    let is_good =
        !text.trim().is_empty() && text.len() <= LONGEST_NAME && !text.chars().any(char::is_control);
    is_good.then_some(text)
}

fn mistake(place: impl Into<String>, found: impl Into<String>, allowed: impl Into<String>) -> Mistake {
    Mistake { place: place.into(), found: found.into(), allowed: allowed.into() }
}

fn not_json(place: &str, error: &serde_json::Error) -> Mistake {
    mistake(place, format!("no JSON: {error}"), ALLOWED_BODY)
}

fn not_an_object(place: &str, raw: &RawValue) -> Mistake {
    mistake(place, echo(raw.get()), ALLOWED_BODY)
}

const ALLOWED_BODY: &str = "an object with `type` and `data`, an array of them, or one of them a line";

fn found(value: Option<&RawValue>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| echo(value.get()))
}

/// The beginning of a text from a client.
fn echo(text: &str) -> String {
    let printable: String = text.chars().take(LONGEST_ECHO).filter(|c| !c.is_control()).collect();
    if text.chars().count() > LONGEST_ECHO { printable + "..." } else { printable }
}

/// The outermost shape of a body, with what is inside left as it was written.
enum OneOrMany<'a> {
    /// Fields in their order, repeated ones too.
    One(Vec<(Cow<'a, str>, &'a RawValue)>),
    Many(Vec<&'a RawValue>),
    Other(&'a RawValue),
}

impl<'de: 'a, 'a> Deserialize<'de> for OneOrMany<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        let shape = raw.get().trim_start().as_bytes().first();
        let mut inner = serde_json::Deserializer::from_str(raw.get());
        match shape {
            Some(b'{') => inner.deserialize_map(Fields).map(OneOrMany::One),
            Some(b'[') => inner.deserialize_seq(Items).map(OneOrMany::Many),
            _ => Ok(OneOrMany::Other(raw)),
        }
        .map_err(serde::de::Error::custom)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            fields.push((Cow::Owned(name), map.next_value()?));
        }
        Ok(fields)
    }
}

struct Items;

impl<'de> Visitor<'de> for Items {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(items)
    }
}
