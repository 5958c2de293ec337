//! The schema and the reference page: current, complete, and of one mind with the reader.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use backpressure_sim::report;
use backpressure_sim::scenario::{Loaded, load, schema};
use backpressure_sim::units::{Quantity, UnitError};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::support::repository;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(&schema::json()).unwrap());
static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| jsonschema::validator_for(&SCHEMA).unwrap());

/// The scenarios of the repository.
fn scenarios() -> Vec<PathBuf> {
    let entries = fs::read_dir(repository("scenarios")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|it| it == "toml")).collect();
    paths.sort();
    assert!(paths.len() >= 8, "{paths:?}");
    paths
}

/// What the schema has against a file, one mistake a line.
fn mistakes(text: &str) -> String {
    let file: Value = toml::from_str(text).unwrap();
    let errors = VALIDATOR.iter_errors(&file);
    errors.map(|error| format!("{} {error}\n", error.instance_path())).collect()
}

/// The schema accepts what the reader accepts.
#[track_caller]
pub(crate) fn check_accepts(text: &str) {
    assert_eq!(mistakes(text), "", "the schema refuses what can be read:\n{text}");
}

/// The schema has every setting that the reader asked for.
#[track_caller]
pub(crate) fn knows(loaded: &Loaded) {
    for setting in &loaded.settings {
        let (pattern, doc) = (&setting.pattern, setting.doc);
        let found = properties(pattern);
        assert!(!found.is_empty(), "`{pattern}` is not in the schema");
        let is_described =
            |property: &&Value| property["description"].as_str().is_some_and(|it| it.starts_with(doc));
        assert!(found.iter().any(is_described), "`{pattern}` is described otherwise: {found:?}");
    }
}

/// All that the schema says about the setting of a pattern such as `class[].share`.
fn properties(pattern: &str) -> Vec<&'static Value> {
    let mut found = vec![&*SCHEMA];
    for segment in pattern.split('.') {
        let (name, is_list) = segment.strip_suffix("[]").map_or((segment, false), |name| (name, true));
        let tables = found.into_iter().flat_map(alternatives);
        found = tables.filter_map(|table| table["properties"].get(name)).collect();
        if is_list {
            found = found.into_iter().flat_map(alternatives).filter_map(|list| list.get("items")).collect();
        }
    }
    found
}

/// What a schema refers to and chooses from, and it itself.
fn alternatives(schema: &'static Value) -> Vec<&'static Value> {
    let mut all = vec![schema];
    if let Some(reference) = schema["$ref"].as_str() {
        all.extend(alternatives(SCHEMA.pointer(reference.trim_start_matches('#')).expect(reference)));
    }
    for key in ["anyOf", "oneOf"] {
        all.extend(schema[key].as_array().into_iter().flatten().flat_map(alternatives));
    }
    all
}

#[track_caller]
fn check_current(path: &str, generated: &str, command: &str) {
    let committed = fs::read_to_string(repository(path)).unwrap_or_default();
    assert!(
        committed == generated,
        "{path} is not what the code says; renew it with\n    cargo run -- {command} > {path}"
    );
}

#[test]
fn schema_in_the_repository_is_current() {
    check_current("docs/scenario.schema.json", &schema::json(), "schema");
}

#[test]
fn reference_page_in_the_repository_is_current() {
    check_current("docs/scenario.md", &schema::markdown(), "schema --markdown");
    check_current("docs/metrics.md", &report::metrics::page(), "metrics");
}

#[test]
fn every_scenario_names_the_schema_and_keeps_to_it() {
    for path in scenarios() {
        let loaded = load(&path, &[]).unwrap_or_else(|error| panic!("{error}"));
        let text = &loaded.scenario.source;
        assert!(text.starts_with("#:schema ../docs/scenario.schema.json\n"), "{}", path.display());
        assert!(!loaded.scenario.question.contains("schema"), "{}", path.display());
        knows(&loaded);
        check_accepts(text);
    }
}

#[test]
fn every_setting_is_described_and_every_table_closed() {
    fn check(at: &str, schema: &Value) {
        if let Some(properties) = schema.get("properties") {
            assert_eq!(schema["type"], "object", "{at}");
            assert_eq!(schema["additionalProperties"], false, "{at}");
            for (name, property) in properties.as_object().unwrap() {
                assert!(property["description"].is_string(), "{at}.{name}");
                let has_type = ["type", "anyOf", "oneOf"].iter().any(|key| property.get(key).is_some());
                assert!(has_type, "{at}.{name}");
            }
        }
        match schema {
            Value::Object(pairs) => {
                pairs.iter().for_each(|(key, value)| check(&format!("{at}/{key}"), value));
            }
            Value::Array(items) => items.iter().for_each(|item| check(at, item)),
            _ => {}
        }
    }
    check("", &SCHEMA);
    assert!(jsonschema::meta::is_valid(&SCHEMA));
}

#[test]
fn every_choice_is_in_the_schema() {
    let choices = |pattern: &str| -> Vec<&str> {
        let enums = properties(pattern).into_iter().filter_map(|property| property["enum"].as_array());
        enums.flatten().filter_map(Value::as_str).collect()
    };
    assert_eq!(
        choices("arrivals.process"),
        ["poisson", "constant", "renewal", "mmpp", "on-off", "cron", "trace"]
    );
    assert_eq!(choices("class[].arrivals.process"), choices("arrivals.process"));
    let shapes =
        ["deterministic", "exponential", "erlang", "gamma", "lognormal", "hyperexponential", "empirical"];
    for of in ["workers.service_time", "class[].service_time", "class[].payload", "arrivals.interarrival"] {
        assert_eq!(choices(&format!("{of}.distribution")), shapes, "{of}");
    }
}

const GOOD: &str = r#"duration = "5m"
seed = 42
slo = ["lost_jobs == 0"]
[arrivals]
phases = [{ name = "calm", for = "60s", rate = "6k/s" }, { rate = "20k/s", spike = true }]
[[class]]
name = "alarm"
payload = "512B"
[policy]
enabled = true
critical = "50k"
shed_at = 0.8
observe = "1s"
[workers]
overhead = 0
service_time = { distribution = "lognormal", mean = "8ms", cv = 0.5 }
[redis]
maxmemory = "none"
payload_factor = 1
"#;

/// With a piece replaced it is refused, by the reader and by the schema; the latter says why.
#[track_caller]
fn check_refused(piece: &str, replacement: &str, reason: &str) {
    assert!(GOOD.contains(piece), "{piece}");
    let text = GOOD.replace(piece, replacement);
    let read = backpressure_sim::scenario::from_str(&text, "x.toml", Path::new(""), &[]);
    assert!(read.is_err(), "the reader accepts\n{text}");
    let mistakes = mistakes(&text);
    assert!(mistakes.contains(reason), "`{reason}` is not in `{mistakes}` about\n{text}");
}

#[test]
fn broken_files_are_refused_by_the_schema_too() {
    check_accepts(GOOD);
    check_refused("duration = \"5m\"", "", "\"duration\" is a required property");
    check_refused("duration", "durration", "'durration' was unexpected");
    check_refused("\"5m\"", "300", "/duration");
    check_refused("\"5m\"", "\"5 parsecs\"", "/duration");
    check_refused("seed = 42", "seed = -1", "/seed");
    check_refused("seed = 42", "seed = \"many\"", "/seed");
    check_refused("[\"lost_jobs == 0\"]", "7", "/slo");
    check_refused("\"6k/s\"", "\"6ms\"", "/arrivals");
    check_refused("\"6k/s\"", "6000", "/arrivals");
    check_refused("{ rate = \"20k/s\", ", "{ ", "/arrivals");
    check_refused("spike = true", "spik = true", "/arrivals");
    check_refused("[arrivals]", "[arrivals]\nprocess = \"poison\"", "/arrivals");
    check_refused("[arrivals]", "[arrivals]\nprocess = \"renewal\"", "/arrivals");
    check_refused("[[class]]", "[class]", "/class");
    check_refused("name = \"alarm\"", "", "\"name\" is a required property");
    check_refused("payload = \"512B\"", "payload = 512", "/class/0/payload");
    check_refused("payload = \"512B\"", "priority = 11", "/class/0/priority");
    check_refused("enabled = true", "enabled = \"yes\"", "/policy");
    check_refused("critical = \"50k\"", "critical = 0", "/policy");
    check_refused("critical = \"50k\"", "critical = \"5s\"", "/policy");
    check_refused("critical = ", "critcal = ", "/policy");
    check_refused("0.8", "80", "/policy");
    check_refused("observe = \"1s\"", "observe = \"arival\"", "/policy");
    check_refused("cv = 0.5", "", "/workers/service_time");
    check_refused("cv = 0.5", "cv = 0", "/workers/service_time");
    check_refused("cv = 0.5", "cv = 0.5, scv = 1", "/workers/service_time");
    check_refused("\"lognormal\"", "\"exponential\"", "/workers/service_time");
    check_refused("\"lognormal\"", "\"hyperexponential\"", "/workers/service_time");
    check_refused("mean = \"8ms\"", "mean = \"8KiB\"", "/workers/service_time");
    check_refused("overhead = 0", "overhead = 5", "/workers/overhead");
    check_refused("\"none\"", "\"nothing\"", "/redis/maxmemory");
    check_refused("payload_factor = 1", "payload_factor = 1e9", "/redis/payload_factor");
}

#[test]
fn patterns_agree_with_the_parser() {
    let texts = "|0|00.0|5|5.|.5|+5|-0|-5|1_000|1_s|1e3|1E-3|50k|1.5M|2 G|5 k k|k|80%|8%0|ten|1,000|0x10|\
                 7.5ms|7.5 ms|1m30s|1h 30min|5 parsecs|5S|3us|3µs|3μs|1d2h3m4s5ms| 5s |--5s|5s-|-0s|\
                 20k/s|133.5/s|12/min|12 / min|1M/ms|/s|20k/|20k|5/parsec|-0k/s|\
                 512B|2GiB|2 GiB|1kB|1KB|1gb|2GiB3|-0.0B";
    use Quantity::{Count, Duration, Fraction, Rate, Size};
    for quantity in [Count, Fraction, Duration, Rate, Size] {
        let pattern = jsonschema::validator_for(&json!({ "pattern": quantity.pattern() })).unwrap();
        for text in texts.split('|') {
            let parsed = quantity.parse(text);
            // A pattern knows no bounds, and lets an underscore stand where none should.
            let is_form = parsed.as_ref().map_or_else(UnitError::is_about_the_range, |_| true);
            let is_lenient = ["-5", "1_s"].contains(&text);
            assert!(
                pattern.is_valid(&json!(text)) == is_form || is_lenient,
                "`{text}` as {}: {parsed:?}, {}",
                quantity.noun(),
                quantity.pattern()
            );
        }
    }
}
