//! JSON lines of k6 (`--out json=FILE`) and its tables (`--out csv=FILE`): each point of `http_reqs` is a request. Its latency is that of a client, waiting
//! included, and is told but never taken for a service time. The summary of a run has no times.

use serde_json::Value;

use super::input::Source;
use super::json;
use super::recording::Recording;
use super::table::Table;
use super::time;
use super::{ImportError, Options};
use crate::text::plural;

pub(super) const RECORD: &str = "record the requests: k6 run --out json=k6.json SCRIPT";

pub(super) fn recognise(head: &str) -> bool {
    let first = head.lines().next().unwrap_or_default();
    let Ok(value) = serde_json::from_str::<Value>(first) else { return false };
    matches!(value.get("type").and_then(Value::as_str), Some("Metric" | "Point"))
        && value.get("metric").is_some()
}

pub(super) fn recognise_table(head: &str) -> bool {
    head.starts_with("metric_name,timestamp,metric_value")
}

pub(super) fn recognise_summary(head: &str) -> bool {
    head.starts_with('{') && head.contains("\"metrics\"") && head.contains("\"http_req")
}

pub(super) fn refuse_summary(
    sources: &mut [Source],
    _: &Options,
    _: &mut Recording,
) -> Result<(), ImportError> {
    let source = &mut sources[0];
    let document = json::document(source)?;
    let count =
        document.pointer("/metrics/http_reqs/count").or(document.pointer("/metrics/http_reqs/values/count"));
    let count = count.map(|count| format!(": {count} requests")).unwrap_or_default();
    let message = format!("this is the summary of a run of k6{count}, which does not say when they came");
    Err(ImportError::new(message, format!("{}: metrics", source.shown), RECORD))
}

pub(super) fn read(
    sources: &mut [Source],
    options: &Options,
    recording: &mut Recording,
) -> Result<(), ImportError> {
    let by = options.class_by.as_deref().unwrap_or("none");
    let (mut points, mut others, mut latency_sum, mut latencies) = (0_u64, 0_u64, 0.0, 0_u64);
    for source in sources.iter_mut() {
        while let Some((number, line)) = source.next_record()? {
            let point = match point_of(&line, by) {
                Ok(point) => point,
                Err((message, help)) => {
                    recording.bad(ImportError::new(message, source.place(number), help))?;
                    continue;
                }
            };
            recording.good();
            match point {
                Point::Request { at, count, class } => {
                    points += 1;
                    let class = recording.class(&class, None);
                    for _ in 0..count {
                        recording.job(at, class, None, None, || source.place(number))?;
                    }
                }
                Point::Latency(milliseconds) => {
                    latencies += 1;
                    latency_sum += milliseconds;
                }
                Point::Other => others += 1,
            }
        }
    }
    recording.read = format!("{} of http_reqs", plural(points as usize, "point"));
    if others > 0 {
        recording.learnt.push(format!("Lines of other metrics, which say nothing of arrivals: {others}."));
    }
    if by != "none" {
        recording.learnt.push(format!("The classes are the values of the tag `{by}`."));
    }
    if latencies > 0 {
        recording.learnt.push(format!(
            "http_req_duration is {:.2} ms in the mean. It is the latency that clients saw, waiting included, \
             and no service time: it is not used.",
            latency_sum / latencies as f64
        ));
    }
    if points == 0 {
        let message = "no line is a point of the metric http_reqs";
        return Err(ImportError::new(message, &*sources[0].shown, RECORD));
    }
    Ok(())
}

pub(super) fn read_table(
    sources: &mut [Source],
    options: &Options,
    recording: &mut Recording,
) -> Result<(), ImportError> {
    let by = options.class_by.as_deref().filter(|by| *by != "none");
    let (mut points, mut others) = (0_u64, 0_u64);
    for source in sources.iter_mut() {
        let mut table = Table::of(source)?;
        let [metric, at, value] =
            [table.column("metric_name")?, table.column("timestamp")?, table.column("metric_value")?];
        let by = by.map(|column| table.column(column)).transpose()?;
        while table.advance(recording)? {
            if &table.row[metric] != "http_reqs" {
                others += 1;
                recording.good();
                continue;
            }
            let Some(time) = time::moment(&table.row[at]).and_then(time::recorded) else {
                let message = format!("timestamp: `{}` is not a time", &table.row[at]);
                recording.bad(table.error(message, "seconds since 1970, or a date, before the year 2100"))?;
                continue;
            };
            let Some(count) = table.row[value].parse().ok().and_then(whole) else {
                let message = format!("metric_value: `{}` is not a count", &table.row[value]);
                recording.bad(table.error(message, COUNT))?;
                continue;
            };
            points += 1;
            recording.good();
            let class = recording.class(by.map_or("", |column| &table.row[column]), None);
            for _ in 0..count {
                recording.job(time, class, None, None, || table.place())?;
            }
        }
    }
    recording.read = format!("{} of http_reqs", plural(points as usize, "point"));
    if others > 0 {
        recording.learnt.push(format!(
            "Lines of other metrics, which say nothing of arrivals: {others}; http_req_duration is what clients saw, and no \
             service time."
        ));
    }
    Ok(())
}

const COUNT: &str = "a whole number of requests from 0 to 1000000";

fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..=1e6).contains(&number)).then_some(number as u64)
}

enum Point {
    Request { at: i64, count: u64, class: String },
    Latency(f64),
    Other,
}

fn point_of(line: &str, by: &str) -> Result<Point, (String, String)> {
    let value: Value = serde_json::from_str(line).map_err(|error| {
        (format!("the line is not JSON: {error}"), "a point of k6 on each line".to_owned())
    })?;
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let data = value.get("data");
    match (text("type"), text("metric")) {
        (Some("Point"), Some("http_reqs")) => {}
        (Some("Point"), Some("http_req_duration")) => {
            let number = data.and_then(|data| data.get("value")?.as_f64());
            return Ok(number.map_or(Point::Other, Point::Latency));
        }
        (Some("Point" | "Metric"), _) => return Ok(Point::Other),
        _ => {
            return Err((
                "the line is neither a Point nor a Metric of k6".into(),
                "\"type\":\"Point\"".into(),
            ));
        }
    }
    let null = Value::Null;
    let written = data.and_then(|data| data.get("time")).unwrap_or(&null);
    let at = written.as_str().and_then(time::moment).and_then(time::recorded).ok_or_else(|| {
        let message = format!("data.time: `{}` is not a time", json::brief(written));
        (message, "a date in RFC 3339, before the year 2100".to_owned())
    })?;
    let written = data.and_then(|data| data.get("value")).unwrap_or(&null);
    let count = written.as_f64().and_then(whole);
    let count = count.ok_or_else(|| {
        (format!("data.value: `{}` is not a count", json::brief(written)), COUNT.to_owned())
    })?;
    let class = match by {
        "none" => String::new(),
        tag => {
            let tags = data.and_then(|data| data.get("tags")?.as_object());
            match tags.and_then(|tags| tags.get(tag)?.as_str()) {
                Some(text) => text.to_owned(),
                None => {
                    let tags = tags.into_iter().flat_map(|tags| tags.keys()).map(String::as_str);
                    let names: Vec<&str> = ["none"].into_iter().chain(tags).collect();
                    let message =
                        format!("the point has no tag `{tag}`, by which `--class-by` tells classes apart");
                    return Err((message, format!("allowed: {}", names.join(", "))));
                }
            }
        }
    };
    Ok(Point::Request { at, count, class })
}
