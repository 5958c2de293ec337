//! Jobs of BullMQ as JSON, an array or one after another: `timestamp` is when a job was added, `finishedOn - processedOn` how
//! long a worker took, `name` its class, `opts.priority` its priority, and `data` its payload.

use serde_json::Value;

use super::input::Source;
use super::recording::Recording;
use super::{ImportError, Options, json, time};

pub(super) fn recognise(head: &str) -> bool {
    let is_json = head.starts_with(['[', '{']);
    let has = |key: &str| head.contains(&format!("\"{key}\""));
    is_json && has("timestamp") && (has("processedOn") || has("finishedOn") || (has("opts") && has("name")))
}

#[derive(Default)]
struct Found {
    jobs: u64,
    unfinished: u64,
    retried: u64,
    delayed: u64,
}

pub(super) fn read(
    sources: &mut [Source],
    options: &Options,
    recording: &mut Recording,
) -> Result<(), ImportError> {
    let by = options.way(&["name", "priority", "none"], "a job of BullMQ", sources)?;
    let mut found = Found::default();
    for source in sources.iter_mut() {
        let shown = source.shown.clone();
        let is_array = source.head.trim_start().starts_with('[');
        let mut each = |index: usize, job: Value| {
            found.jobs += 1;
            let place = |path: &str| {
                let root = if is_array { format!("[{index}]") } else { format!("job {}", index + 1) };
                format!("{shown}: {root}{path}")
            };
            match job_of(&job, by, &mut found) {
                Ok(job) => {
                    recording.good();
                    let class = recording.class(&job.name, job.priority);
                    recording.job(job.at, class, job.service, job.payload, || place(""))
                }
                Err((path, message, help)) => recording.bad(ImportError::new(message, place(path), help)),
            }
        };
        if is_array {
            json::elements(source, &mut each)?;
        } else {
            let shown = source.shown.clone();
            let (reader, record) = source.records();
            let jobs = serde_json::Deserializer::from_reader(reader).into_iter::<Value>();
            for (index, job) in jobs.enumerate() {
                record.ends();
                each(index, job.map_err(|error| json::syntax(&shown, &error))?)?;
            }
        }
    }
    recording.read = format!("{} jobs", found.jobs);
    recording.learnt.push("Service times are finishedOn - processedOn, of the last attempt.".to_owned());
    for (count, what, meaning) in [
        (found.unfinished, "are not finished", "their service times are drawn from those of the others"),
        (found.retried, "took more than one attempt", "each counts as one arrival"),
        (found.delayed, "were delayed", "they count when they were added, not when they were due"),
    ] {
        if count > 0 {
            recording.learnt.push(format!("Jobs that {what}: {count}; {meaning}."));
        }
    }
    Ok(())
}

/// Path in the job, what is wrong there, and what is allowed.
type Fault = (&'static str, String, String);

struct Job {
    at: i64,
    name: String,
    priority: Option<u32>,
    service: Option<u64>,
    payload: Option<u64>,
}

fn job_of(job: &Value, by: &str, found: &mut Found) -> Result<Job, Fault> {
    if !job.is_object() {
        return Err((
            "",
            format!("`{}` is not a job", json::brief(job)),
            "an object with `timestamp`".into(),
        ));
    }
    let added = milliseconds(job, "timestamp", ".timestamp")?.ok_or_else(|| {
        (".timestamp", "the job does not say when it was added".to_owned(), MILLISECONDS.to_owned())
    })?;
    let started = milliseconds(job, "processedOn", ".processedOn")?;
    let finished = milliseconds(job, "finishedOn", ".finishedOn")?;
    let service = match (started, finished) {
        (Some(started), Some(finished)) if finished < started => {
            let message = format!("`{finished}` is before processedOn, {started}");
            return Err((".finishedOn", message, "processedOn or later".to_owned()));
        }
        (Some(started), Some(finished)) => Some((finished - started) as u64 * 1_000_000),
        _ => None,
    };
    let priority = match job.pointer("/opts/priority").or_else(|| job.get("priority")) {
        None | Some(Value::Null) => 0,
        Some(value) => match value.as_u64().filter(|priority| *priority <= 2_097_151) {
            Some(priority) => priority as u32,
            None => {
                let message = format!("`{}` is not a priority", json::brief(value));
                return Err((".opts.priority", message, "a whole number from 0 to 2097151".to_owned()));
            }
        },
    };
    let attempts = job.get("attemptsMade").and_then(Value::as_u64).unwrap_or_default();
    let delay =
        job.get("delay").or_else(|| job.pointer("/opts/delay")).and_then(Value::as_u64).unwrap_or_default();
    let name = match by {
        "none" => "",
        "priority" => "jobs",
        _ => job.get("name").and_then(Value::as_str).unwrap_or("none"),
    };
    // As it lies in Redis: the text itself, or what JSON makes of the value.
    let payload = job.get("data").map(|data| match data {
        Value::String(text) => text.len() as u64,
        value => value.to_string().len() as u64,
    });
    found.unfinished += u64::from(service.is_none());
    found.retried += u64::from(attempts > 1);
    found.delayed += u64::from(delay > 0);
    let priority = (by != "none").then_some(priority);
    Ok(Job { at: added * 1_000_000, name: name.to_owned(), priority, service, payload })
}

const MILLISECONDS: &str = "whole milliseconds since 1970, before the year 2100";

/// A time in milliseconds since 1970. As Redis has it, numbers may stand in quotes.
fn milliseconds(job: &Value, key: &str, path: &'static str) -> Result<Option<i64>, Fault> {
    let number = match job.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_i64(),
    };
    match number.filter(|number| (0..time::LATEST / 1_000_000).contains(number)) {
        Some(number) => Ok(Some(number)),
        None => {
            let shown = json::brief(&job[key]);
            Err((path, format!("`{shown}` is not a time"), MILLISECONDS.to_owned()))
        }
    }
}
