//! Jobs of BullMQ as JSON, an array or one after another: `timestamp` is when a job was added, `finishedOn - processedOn` how
//! long a worker took, `name` its class, `opts.priority` its priority, and `data` its payload.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::Value;

use super::input::Source;
use super::recording::{LeftOut, Recording};
use super::{ImportError, Options, json, time};
use crate::text::plural;

pub(super) fn recognise(head: &str) -> bool {
    let is_json = head.starts_with(['[', '{']);
    let has = |key: &str| head.contains(&format!("\"{key}\""));
    is_json && has("timestamp") && (has("processedOn") || has("finishedOn") || (has("opts") && has("name")))
}

#[derive(Default)]
struct Found {
    /// When each job with an id was added, and a hash of its id and name: a queue has an id once.
    ids: BTreeSet<(i64, u64)>,
    twice: u64,
    first_twice: Option<String>,
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
                Ok(None) => {
                    recording.good();
                    found.twice += 1;
                    found.first_twice.get_or_insert_with(|| place(""));
                    Ok(())
                }
                Ok(Some(job)) => {
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
    recording.read = plural(found.jobs as usize, "job");
    if let Some(first) = found.first_twice {
        let what = format!(
            "jobs that are listed a second time with the same id, name and timestamp, the first at {first}"
        );
        recording.left_out.push(LeftOut { count: found.twice, what });
    }
    let is_any_finished = recording.knows_service();
    let meaning = if is_any_finished {
        recording.learnt.push("Service times are finishedOn - processedOn, of the last attempt.".to_owned());
        "their service times are drawn from those of the others"
    } else {
        "no service time is known"
    };
    for (count, what, meaning) in [
        (found.unfinished, "are not finished", meaning),
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

/// The job; `None` for one that was listed before.
fn job_of(job: &Value, by: &str, found: &mut Found) -> Result<Option<Job>, Fault> {
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
    if let Some(id) = job.get("id").filter(|id| !id.is_null()) {
        let mut hash = DefaultHasher::new();
        (id.to_string(), job.get("name").and_then(Value::as_str)).hash(&mut hash);
        if !found.ids.insert((added, hash.finish())) {
            return Ok(None);
        }
    }
    found.unfinished += u64::from(service.is_none());
    found.retried += u64::from(attempts > 1);
    found.delayed += u64::from(delay > 0);
    let priority = (by != "none").then_some(priority);
    Ok(Some(Job { at: added * 1_000_000, name: name.to_owned(), priority, service, payload }))
}

const MILLISECONDS: &str = "whole milliseconds since 1970, from 1973 on and before the year 2100";

/// A time in milliseconds since 1970. As Redis has it, numbers may stand in quotes.
fn milliseconds(job: &Value, key: &str, path: &'static str) -> Result<Option<i64>, Fault> {
    let number = match job.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_i64(),
    };
    match number.filter(|number| (time::LEAST_DATE / 1_000_000..time::LATEST / 1_000_000).contains(number)) {
        Some(number) => Ok(Some(number)),
        None => {
            let shown = json::brief(&job[key]);
            let seconds = time::LEAST_DATE / time::SECOND..time::LATEST / time::SECOND;
            let looks = if number.is_some_and(|number| seconds.contains(&number)) {
                ": it looks like seconds"
            } else {
                ""
            };
            Err((path, format!("`{shown}` is not a time{looks}"), MILLISECONDS.to_owned()))
        }
    }
}
