//! The layout as a JSON schema, of draft 7, which the editors of TOML know best.
//!
//! A reference stands in an `anyOf` of one: draft 7 ignores what stands beside a bare `$ref`, and Taplo
//! shows no description that stands beside an `allOf`.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::super::setting::{Kind, Setting};
use super::super::tree::{Place, Value, parse_value};
use super::{Layout, Row, Shape, Variant, noun};
use crate::units::Quantity;

pub(super) fn render(layout: &Layout) -> String {
    let mut writer = Writer { layout, definitions: Vec::new() };
    let mut schema = vec![
        ("$schema".into(), text("http://json-schema.org/draft-07/schema#")),
        ("title".into(), text("Scenario of the queue simulator")),
        ("description".into(), text("What `simulate` reads. Reference: docs/scenario.md.")),
    ];
    schema.extend(writer.table(&layout.shapes[layout.root]));
    schema.push(("definitions".into(), Json::Object(writer.definitions)));
    let schema = Json::Object(schema);
    let mut pretty = serde_json::to_string_pretty(&schema).expect("texts, numbers and lists can be written");
    pretty.push('\n');
    pretty
}

/// A JSON value whose keys keep the order in which they were put.
#[derive(Clone, Debug)]
enum Json {
    Leaf(serde_json::Value),
    List(Vec<Json>),
    Object(Pairs),
}

type Pairs = Vec<(String, Json)>;

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Leaf(value) => value.serialize(serializer),
            Json::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Json::Object(pairs) => {
                let mut map = serializer.serialize_map(Some(pairs.len()))?;
                pairs.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
        }
    }
}

fn leaf(value: impl Into<serde_json::Value>) -> Json {
    Json::Leaf(value.into())
}

fn text(value: &str) -> Json {
    leaf(value)
}

fn object<const N: usize>(pairs: [(&str, Json); N]) -> Json {
    Json::Object(named(pairs))
}

fn named<const N: usize>(pairs: [(&str, Json); N]) -> Pairs {
    pairs.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
}

fn any_of<const N: usize>(schemas: [Json; N]) -> Pairs {
    named([("anyOf", Json::List(schemas.into()))])
}

fn names(names: &[&str]) -> Json {
    Json::List(names.iter().map(|name| text(name)).collect())
}

const IS_TABLE: &str = "the layout has a shape for every table";

/// Collects definitions while the schema that needs them is written.
struct Writer<'l> {
    layout: &'l Layout,
    definitions: Pairs,
}

impl Writer<'_> {
    /// A reference to a definition, which is written where it is needed first.
    fn reference(&mut self, name: &str, definition: impl FnOnce(&mut Self) -> Pairs) -> Json {
        if !self.definitions.iter().any(|(other, _)| other == name) {
            let position = self.definitions.len();
            self.definitions.push((name.to_string(), Json::Object(Vec::new())));
            self.definitions[position].1 = Json::Object(definition(self));
        }
        object([("$ref", leaf(format!("#/definitions/{name}")))])
    }

    /// A table: one object, or one for each choice of its selector.
    fn table(&mut self, shape: &Shape) -> Pairs {
        let variants: Vec<Pairs> =
            shape.variants.iter().map(|variant| self.variant(shape.selector.as_deref(), variant)).collect();
        match <[Pairs; 1]>::try_from(variants) {
            Ok([only]) => only,
            Err(variants) => named([("oneOf", Json::List(variants.into_iter().map(Json::Object).collect()))]),
        }
    }

    fn variant(&mut self, selector: Option<&str>, Variant { choice, rows }: &Variant) -> Pairs {
        let mut properties = Vec::new();
        let mut required = Vec::new();
        for row in rows {
            let chosen = choice.filter(|_| selector == Some(row.name()));
            let is_default = |choice: &str| row.setting.default == Some(format!("\"{choice}\""));
            if row.setting.required || chosen.is_some_and(|choice| !is_default(choice)) {
                required.push(row.name());
            }
            properties.push((row.name().to_string(), Json::Object(self.property(row, chosen))));
        }
        let mut pairs: Pairs = choice.iter().map(|choice| ("title".to_string(), text(choice))).collect();
        pairs.extend(named([("type", text("object")), ("properties", Json::Object(properties))]));
        if !required.is_empty() {
            pairs.push(("required".into(), names(&required)));
        }
        pairs.push(("additionalProperties".into(), leaf(false)));
        pairs
    }

    /// A setting; `chosen` is the only name that it can have here.
    fn property(&mut self, row: &Row, chosen: Option<&'static str>) -> Pairs {
        let setting = &row.setting;
        let mut pairs = named([("description", leaf(description(row)))]);
        if let Some(default) = setting.default.as_deref().filter(|_| chosen.is_none())
            && let Ok(item) = parse_value(default, &|_| Place::Nowhere)
        {
            pairs.push(("default".into(), value(&item.value)));
        }
        pairs.extend(match chosen {
            Some(choice) => choice_of(&[choice]),
            None => self.values(&setting.kind, row.child),
        });
        pairs
    }

    fn values(&mut self, kind: &Kind, child: Option<usize>) -> Pairs {
        match kind {
            Kind::Boolean => named([("type", text("boolean"))]),
            Kind::Text => named([("type", text("string"))]),
            Kind::Texts => {
                let one = object([("type", text("string"))]);
                any_of([object([("type", text("array")), ("items", one.clone())]), one])
            }
            Kind::Whole { least, most } => {
                let mut whole = named([("type", text("integer")), ("minimum", leaf(*least))]);
                if *most < u64::MAX {
                    whole.push(("maximum".into(), leaf(*most)));
                }
                any_of([Json::Object(whole), self.quantity(Quantity::Count)])
            }
            Kind::Number { least, most } => {
                named([("type", text("number")), ("minimum", leaf(*least)), ("maximum", leaf(*most))])
            }
            Kind::Quantity(quantity) => any_of([self.quantity(*quantity)]),
            Kind::Choice(names) => choice_of(names),
            Kind::ChoiceOr(names, quantity) => {
                let (one, written) = (Json::Object(choice_of(names)), self.quantity(*quantity));
                match quantity {
                    Quantity::Count => {
                        any_of([one, written, object([("type", text("integer")), ("minimum", leaf(0))])])
                    }
                    _ => any_of([one, written]),
                }
            }
            Kind::Distribution(quantity) => {
                any_of([self.quantity(*quantity), self.shape(child.expect(IS_TABLE))])
            }
            Kind::Table => self.table_or_reference(child.expect(IS_TABLE)),
            Kind::Tables => {
                let element = self.table_or_reference(child.expect(IS_TABLE));
                named([("type", text("array")), ("items", Json::Object(element))])
            }
        }
    }

    fn table_or_reference(&mut self, index: usize) -> Pairs {
        match self.layout.uses(index) {
            1 => self.table(&self.layout.shapes[index]),
            _ => any_of([self.shape(index)]),
        }
    }

    fn shape(&mut self, index: usize) -> Json {
        let shape = &self.layout.shapes[index];
        self.reference(&shape.name(), |writer| writer.table(shape))
    }

    /// A value with a unit: a string, or a number where that says all.
    fn quantity(&mut self, quantity: Quantity) -> Json {
        self.reference(noun(quantity), |_| match quantity {
            Quantity::Fraction => {
                let number = [("type", text("number")), ("minimum", leaf(0)), ("maximum", leaf(1))];
                any_of([object(number), Json::Object(written(quantity))])
            }
            Quantity::Duration => any_of([Json::Object(written(quantity)), object([("const", leaf(0))])]),
            // A count that is a number has the bounds of its setting.
            Quantity::Count | Quantity::Rate | Quantity::Size => written(quantity),
        })
    }
}

/// A quantity as a string.
fn written(quantity: Quantity) -> Pairs {
    named([("type", text("string")), ("pattern", leaf(quantity.pattern()))])
}

fn choice_of(choices: &[&'static str]) -> Pairs {
    named([("type", text("string")), ("enum", names(choices))])
}

/// Its meaning, what it takes, and its default.
fn description(row: &Row) -> String {
    let Setting { kind, doc, required, .. } = &row.setting;
    let takes = match kind {
        Kind::Table | Kind::Tables | Kind::Choice(_) | Kind::Boolean | Kind::Text => None,
        Kind::Quantity(quantity) => Some(quantity.example().to_string()),
        Kind::ChoiceOr(names, quantity) => Some(format!("{}, or {}", names.join(", "), quantity.example())),
        Kind::Distribution(quantity) => {
            Some(format!("{}; or a table with a distribution", quantity.example()))
        }
        other => Some(other.to_string()),
    };
    let mut description = (*doc).to_string();
    if let Some(takes) = takes {
        description.push_str(&format!("\n\nTakes {takes}."));
    }
    if *required {
        description.push_str("\n\nRequired.");
    } else if let Some(default) = row.default() {
        description.push_str(&format!("\n\nDefault: {default}."));
    }
    description
}

fn value(value: &Value) -> Json {
    match value {
        Value::Text(written) | Value::Datetime(written) => text(written),
        Value::Integer(number) => leaf(i64::try_from(*number).unwrap_or(i64::MAX)),
        Value::Float(number) => leaf(*number),
        Value::Boolean(flag) => leaf(*flag),
        Value::Array(items) => Json::List(items.iter().map(|item| self::value(&item.value)).collect()),
        Value::Table(table) => Json::Object(
            table.entries.iter().map(|entry| (entry.key.clone(), self::value(&entry.item.value))).collect(),
        ),
    }
}
