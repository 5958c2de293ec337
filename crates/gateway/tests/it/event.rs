//! Bodies of requests: what is an event, and everything that is not.

use backpressure_gateway::event::{Body, Format, Mistake, parse};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

fn json_body(text: &str) -> Result<Body, Vec<Mistake>> {
    parse(text.as_bytes(), Format::Json, 100)
}

/// The mistakes of a body, as "place: found".
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let mistakes = json_body(text).map(|_| ()).unwrap_err();
    let told: Vec<String> = mistakes.iter().map(|m| format!("{}: {}", m.place, m.found)).collect();
    assert_eq!(told, expected);
}

#[test]
fn an_event_is_read_with_its_data_as_it_was_written() {
    let text = r#" {"data": {"b":1.50, "a":12345678901234567890123}, "type":"telemetry-data","organizationId":"org","priority":7} "#;
    let body = json_body(text).unwrap();
    assert!(body.is_single);
    let [event] = &body.events[..] else { panic!("one event") };
    assert_eq!(event.data.get(), r#"{"b":1.50, "a":12345678901234567890123}"#);
    assert_eq!(event.event_type, "telemetry-data");
    assert_eq!(event.organization.as_deref(), Some("org"));
    assert_eq!(event.priority.map(u8::from), Some(7));
}

#[test]
fn what_may_be_left_out_may_be_null_and_an_organization_may_be_a_number() {
    let body =
        json_body(r#"[{"type":"t","data":null},{"type":"t","data":0,"priority":null,"organizationId":17}]"#);
    let body = body.unwrap();
    assert!(!body.is_single);
    assert_eq!(body.events[0].organization, None);
    assert_eq!(body.events[1].organization.as_deref(), Some("17"));
    assert_eq!(body.events[1].priority, None);
}

#[test]
fn a_line_is_an_event_and_an_empty_one_is_none() {
    let text = "{\"type\":\"a\",\"data\":1}\n\n{\"type\":\"b\",\"data\":2}\r\n";
    let body = parse(text.as_bytes(), Format::Lines, 2).unwrap();
    assert_eq!(body.events.iter().map(|event| event.event_type.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let mistakes = parse(b"{}\n7\nx", Format::Lines, 9).unwrap_err();
    let places: Vec<&str> = mistakes.iter().map(|mistake| mistake.place.as_str()).collect();
    assert_eq!(places, ["line 1, type", "line 1, data", "line 2", "line 3"]);
}

#[test]
fn all_mistakes_are_told_at_once() {
    check("{}", &["type: nothing", "data: nothing"]);
    check(r#"{"type":7,"data":1}"#, &["type: 7"]);
    check(r#"{"type":" ","data":1}"#, &["type: \" \""]);
    check(r#"{"type":"a\u0000b","data":1}"#, &[r#"type: "a\u0000b""#]);
    check(r#"{"type":"a","data":1,"priority":0}"#, &["priority: 0"]);
    check(r#"{"type":"a","data":1,"priority":"1"}"#, &["priority: \"1\""]);
    check(r#"{"type":"a","data":1,"priority":1.0}"#, &["priority: 1.0"]);
    check(r#"{"type":"a","data":1,"organizationId":[]}"#, &["organizationId: []"]);
    check(r#"{"type":"a","type":"b","data":1}"#, &["type: the field twice"]);
    check(r#"{"type":"a","data":1,"typ":2}"#, &["typ: an unknown field"]);
    check(
        r#"[{"data":1},{"type":"a","data":2},{"type":"b","priority":11}]"#,
        &["[0].type: nothing", "[2].priority: 11", "[2].data: nothing"],
    );
    check("[]", &["body: 0 events"]);
    check("7", &["body: 7"]);
    check("[[]]", &["[0]: []"]);
    assert!(json_body("").unwrap_err()[0].found.starts_with("no JSON"));
    assert!(json_body("{\"type\":\"a\",\"data\":1}x").unwrap_err()[0].found.starts_with("no JSON"));
    assert!(parse(b"\xff", Format::Json, 1).is_err());
}

#[test]
fn long_bodies_are_told_of_briefly() {
    let events = vec![json!({ "type": "x".repeat(500) }); 80];
    let mistakes = json_body(&Value::from(events).to_string()).unwrap_err();
    assert_eq!(mistakes.len(), 100);
    assert!(mistakes.iter().all(|mistake| mistake.found.len() < 100));
    let too_many = parse(b"[{},{},{}]", Format::Json, 2).unwrap_err();
    assert_eq!(too_many[0].found, "3 events");
}

/// JSON that is nearly an event, or anything else.
fn nearly_an_event() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0u8..14).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        4 => prop_oneof![Just("type"), Just("data"), Just("organizationId"), Just("priority")].prop_map(str::to_owned),
        1 => ".{0,6}",
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((name.clone(), inner), 0..6).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4000, rng_seed: RngSeed::Fixed(5), failure_persistence: None, ..ProptestConfig::default()
    })]

    /// Whatever is sent, the answer is events or at least one mistake, and never a panic.
    #[test]
    fn any_bytes_are_events_or_mistakes(bytes in proptest::collection::vec(any::<u8>(), 0..200), lines in any::<bool>()) {
        let format = if lines { Format::Lines } else { Format::Json };
        match parse(&bytes, format, 10) {
            Ok(body) => prop_assert!(!body.events.is_empty()),
            Err(mistakes) => prop_assert!(!mistakes.is_empty()),
        }
    }

    /// JSON is accepted exactly if it is what a second, plain reading of the rules accepts.
    #[test]
    fn json_is_accepted_by_the_rules(value in nearly_an_event(), several in any::<bool>()) {
        let name = |value: &Value| value.as_str().is_some_and(|text| {
            !text.trim().is_empty() && text.len() <= 128 && !text.chars().any(char::is_control)
        });
        let is_event = |value: &Value| value.as_object().is_some_and(|fields| {
            fields.keys().all(|key| ["type", "data", "organizationId", "priority"].contains(&key.as_str()))
                && fields.get("type").is_some_and(name)
                && fields.contains_key("data")
                && fields.get("organizationId").is_none_or(|value| value.is_null() || name(value) || value.is_u64())
                && fields.get("priority").is_none_or(|value| value.is_null() || value.as_u64().is_some_and(|p| (1..=10).contains(&p)))
        });
        let value = if several { json!([value]) } else { value };
        let expected = match &value {
            Value::Array(items) => !items.is_empty() && items.iter().all(is_event),
            one => is_event(one),
        };
        let result = json_body(&value.to_string());
        prop_assert_eq!(result.is_ok(), expected, "{} {:?}", value, result);
    }
}
