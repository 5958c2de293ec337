//! The contract as JSON, for programs in other languages: `cargo run -p backpressure-contract --example json`.

use contract::{endpoints, events, metrics, variables};

fn main() {
    let variables = list(variables::ALL, |variable| {
        object(&[
            ("name", text(variable.name)),
            ("default", text(variable.default)),
            ("allowed", text(&variable.allowed())),
            ("unit", text(variable.unit)),
            ("meaning", text(variable.meaning)),
        ])
    });
    let metrics = list(metrics::ALL, |metric| {
        object(&[
            ("name", text(metric.name)),
            ("type", text(metric.kind.as_str())),
            ("unit", text(metric.unit)),
            ("labels", list(metric.labels, |label| text(label))),
            ("scope", text(metric.scope.as_str())),
            ("help", text(metric.help)),
        ])
    });
    let events = list(events::ALL, |event| {
        object(&[("name", text(event.name)), ("priority", event.priority.to_string())])
    });
    let endpoints = list(endpoints::ALL, |endpoint| {
        object(&[
            ("method", text(endpoint.method)),
            ("path", text(endpoint.path)),
            ("meaning", text(endpoint.meaning)),
        ])
    });
    let all = [("variables", variables), ("metrics", metrics), ("events", events), ("endpoints", endpoints)];
    println!("{}", object(&all));
}

fn list<T>(rows: &[T], row: impl Fn(&T) -> String) -> String {
    format!("[{}]", rows.iter().map(row).collect::<Vec<_>>().join(","))
}

fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{}:{value}", text(name))).collect();
    format!("{{{}}}", fields.join(","))
}

/// The texts of the contract have no control characters.
fn text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
