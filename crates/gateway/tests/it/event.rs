//! Bodies of requests: what is an event, and everything that is not.

use std::time::Duration;

use backpressure_gateway::event::{Body, Format, Mistakes, parse};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

fn json_body(text: &str) -> Result<Body, Mistakes> {
    parse(text.as_bytes(), Format::Json, 100)
}

/// The mistakes of a body, as "place: found".
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let mistakes = json_body(text).map(|_| ()).unwrap_err();
    assert_eq!(mistakes.more, 0);
    let told: Vec<String> = mistakes.told.iter().map(|m| format!("{}: {}", m.place, m.found)).collect();
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
    let body = json_body(r#"{"type":"t","data":1,"priority":2.0,"organizationId":1.7e1}"#).unwrap();
    assert_eq!(body.events[0].priority.map(u8::from), Some(2));
    assert_eq!(body.events[0].organization.as_deref(), Some("17"));
}

#[test]
fn a_line_is_an_event_and_an_empty_one_is_none() {
    let text = "{\"type\":\"a\",\"data\":1}\n\n{\"type\":\"b\",\"data\":2}\r\n";
    let body = parse(text.as_bytes(), Format::Lines, 2).unwrap();
    assert_eq!(body.events.iter().map(|event| event.event_type.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let mistakes = parse(b"{}\n7\nx", Format::Lines, 9).unwrap_err();
    let places: Vec<&str> = mistakes.told.iter().map(|mistake| mistake.place.as_str()).collect();
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
    check(r#"{"type":"a","data":1,"priority":1.5}"#, &["priority: 1.5"]);
    check(
        r#"{"type":"a","data":1,"organizationId":9007199254740992}"#,
        &["organizationId: 9007199254740992"],
    );
    check(r#"{"type":"a","data":1,"organizationId":-1}"#, &["organizationId: -1"]);
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
    assert!(json_body("").unwrap_err().told[0].found.starts_with("no JSON"));
    assert!(json_body("{\"type\":\"a\",\"data\":1}x").unwrap_err().told[0].found.starts_with("no JSON"));
    assert_eq!(parse(b"{\"type\":\"\xff", Format::Json, 1).unwrap_err().told[0].found, "no UTF-8 at byte 9");
}

#[test]
fn long_bodies_are_told_of_briefly() {
    let events = vec![json!({ "type": "x".repeat(500) }); 80];
    let mistakes = json_body(&Value::from(events).to_string()).unwrap_err();
    assert_eq!((mistakes.told.len(), mistakes.more), (100, 60));
    assert!(mistakes.told.iter().all(|mistake| mistake.found.len() < 100));
    let too_many = parse(b"[{},{},{}]", Format::Json, 2).unwrap_err();
    assert_eq!(too_many.told[0].found, "3 events");
    let far_too_many = format!("[{}{{}}]", "7,".repeat(200));
    let mistakes = json_body(&far_too_many).unwrap_err();
    assert_eq!((mistakes.told.len(), mistakes.more, mistakes.told[0].found.as_str()), (100, 1, "201 events"));
}

#[test]
fn data_that_its_readers_could_not_take_is_refused_with_its_place() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let with = |data: &str| format!(r#"[{{"type":"a","data":{data}}}]"#);
    let digits = "7".repeat(128);
    for good in [nested(64), digits.clone(), format!("{:?}", "[".repeat(200)), format!(r#""\\\"{digits}0""#)]
    {
        let body = json_body(&with(&good)).unwrap();
        assert_eq!(body.events[0].data.get(), good);
    }
    check(&with(&nested(65)), &["[0].data: a value nested deeper than 64 at its byte 64"]);
    check(&with(&format!("[-{digits}]")), &["[0].data: a number of more than 128 characters at its byte 1"]);
    check(
        &with(&format!(r#"{{"a\\":1.{digits}}}"#)),
        &["[0].data: a number of more than 128 characters at its byte 7"],
    );
}

#[test]
fn a_key_comes_with_the_event_or_in_the_header() {
    let keyed = |header: &str, text: &str| {
        let mut body = json_body(text).unwrap();
        let taken = body.take_key(header.as_bytes());
        taken
            .map(|()| body.events[0].idempotency_key.clone().unwrap())
            .map_err(|mistakes| mistakes.told[0].found.clone())
    };
    let event = r#"{"type":"a","data":1}"#;
    let with_key = r#"{"type":"a","data":1,"idempotencyKey":"k-1"}"#;
    assert_eq!(json_body(with_key).unwrap().events[0].idempotency_key.as_deref(), Some("k-1"));
    assert_eq!(keyed("k 2", event).as_deref(), Ok("k 2"));
    assert_eq!(keyed(r#" "a \"b\\" "#, event).as_deref(), Ok(r#"a "b\"#), "a string as of RFC 9651");
    assert_eq!(keyed(r#""k-1""#, with_key).as_deref(), Ok("k-1"));
    assert_eq!(keyed("k-2", with_key), Err("k-2".to_owned()), "two keys for one event");
    assert_eq!(keyed("k", &format!("[{event}]")), Err("a list of events".to_owned()));
    for wrong in ["", r#""open"#, r#"a"b"#, r#""\n""#, r#""a"b""#, "\u{e9}", &"x".repeat(256)] {
        assert!(keyed(wrong, event).is_err(), "{wrong:?}");
    }
    check(r#"{"type":"a","data":1,"idempotencyKey":""}"#, &["idempotencyKey: \"\""]);
    check(r#"{"type":"a","data":1,"idempotencyKey":"\u00e9"}"#, &[r#"idempotencyKey: "\u00e9""#]);
    check(r#"{"type":"a","data":1,"idempotencyKey":7}"#, &["idempotencyKey: 7"]);
}

/// Sixteen times the bytes take some sixteen times as long, where a look back at what came before would take 256 times.
#[test]
fn the_time_to_read_a_body_grows_with_its_length_alone() {
    // Of this thread, since other tests run beside it.
    let processor_time = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    type Make = fn(usize) -> String;
    let bodies: [(&str, Make); 6] = [
        ("unknown and repeated fields", |bytes| {
            let unknown: String = (0..bytes / 24).map(|n| format!(r#""{n:x}":1,"#)).collect();
            format!("{{{unknown}{}\"data\":1}}", r#""type":1,"#.repeat(bytes / 18))
        }),
        ("a nest", |bytes| {
            format!(r#"{{"type":"a","data":{}{}}}"#, "[".repeat(bytes / 2), "]".repeat(bytes / 2))
        }),
        ("a number", |bytes| format!(r#"{{"type":"a","data":{}}}"#, "7".repeat(bytes))),
        ("a name", |bytes| format!(r#"{{"type":"{}","data":1}}"#, "\\u0041".repeat(bytes / 6))),
        ("items", |bytes| format!("[{}7]", "[],".repeat(bytes / 3))),
        ("open texts", |bytes| format!(r#"{{"type":"a","data":[{}"#, "\"\\\"".repeat(bytes / 3))),
    ];
    for (name, make) in bodies {
        for format in [Format::Json, Format::Lines] {
            let shortest = |body: &str| -> Duration {
                let once = || {
                    let begun = processor_time();
                    let mistakes = parse(body.as_bytes(), format, 1000).unwrap_err();
                    assert!(mistakes.told.len() <= 100, "{name}");
                    processor_time() - begun
                };
                (0..7).map(|_| once()).min().unwrap()
            };
            let (short, long) = (shortest(&make(1 << 16)), shortest(&make(1 << 20)));
            assert!(long < short * 64, "{name}: {short:?} for 64 KiB, {long:?} for 1 MiB");
        }
    }
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
        4 => prop_oneof![Just("type"), Just("data"), Just("organizationId"), Just("priority"), Just("idempotencyKey")].prop_map(str::to_owned),
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
            Err(mistakes) => prop_assert!(!mistakes.told.is_empty()),
        }
    }

    /// JSON is accepted exactly if it is what a second, plain reading of the rules accepts.
    #[test]
    fn json_is_accepted_by_the_rules(value in nearly_an_event(), several in any::<bool>()) {
        let name = |value: &Value| value.as_str().is_some_and(|text| {
            !text.trim().is_empty() && text.chars().count() <= 128 && !text.chars().any(char::is_control)
        });
        let is_key = |key: &str| !key.is_empty() && key.chars().all(|c| c == ' ' || c.is_ascii_graphic());
        let is_event = |value: &Value| value.as_object().is_some_and(|fields| {
            fields.keys().all(|key| ["type", "data", "organizationId", "priority", "idempotencyKey"].contains(&key.as_str()))
                && fields.get("type").is_some_and(name)
                && fields.contains_key("data")
                && fields.get("organizationId").is_none_or(|value| value.is_null() || name(value) || value.as_u64().is_some_and(|number| number < 1 << 53))
                && fields.get("idempotencyKey").is_none_or(|value| value.is_null() || value.as_str().is_some_and(is_key))
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
