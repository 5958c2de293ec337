//! Access logs: common and combined format with what may follow (nginx with `$request_time`), and a JSON object a line.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::input::Source;
use super::recording::{LeftOut, Recording};
use super::time;
use super::{ImportError, Options, no_way};
use crate::text::plural;

/// The names that fields of JSON logs have.
const TIMES: &[&str] = &[
    "time_iso8601",
    "@timestamp",
    "timestamp",
    "time_local",
    "msec",
    "time",
    "ts",
    "start_time",
    "StartUTC",
];
const METHODS: &[&str] = &["request_method", "method", "RequestMethod", "http_method"];
const PATHS: &[&str] = &["request_uri", "uri", "path", "url", "RequestPath"];
const STATUSES: &[&str] = &["status", "response_code", "status_code", "DownstreamStatus"];
const WAYS: &[&str] = &["method", "path", "status", "host", "none"];
const DURATION: &str = "request_time";
/// More kinds of answers are not told apart: in JSON logs a status may be any text.
const MOST_STATUSES: usize = 1_000;
/// So much of a status is kept.
const LONGEST_STATUS: usize = 40;

pub(super) fn recognise(head: &str) -> bool {
    let first = head.lines().next().unwrap_or_default();
    if first.starts_with('{') {
        let Ok(Value::Object(fields)) = serde_json::from_str(first) else { return false };
        let has = |names: &[&str]| names.iter().any(|name| fields.contains_key(*name));
        return has(TIMES) && (has(STATUSES) || has(METHODS) || has(PATHS) || fields.contains_key("request"));
    }
    date_of(first).is_some_and(|(date, _)| time::date(date).is_some())
}

/// What stands in the brackets, and what follows them.
fn date_of(line: &str) -> Option<(&str, &str)> {
    line.split_once('[').and_then(|(_, rest)| rest.split_once(']'))
}

struct Entry {
    at: i64,
    method: String,
    path: String,
    status: String,
    host: String,
    /// The request time in nanoseconds, or what stands in its place.
    took: Option<Result<i64, String>>,
    fields: Map<String, Value>,
}

pub(super) fn read(
    sources: &mut [Source],
    options: &Options,
    recording: &mut Recording,
) -> Result<(), ImportError> {
    let by = options.class_by.as_deref().unwrap_or("method");
    let mut statuses: BTreeMap<String, u64> = BTreeMap::new();
    let (mut lines, mut is_timed, mut others) = (0_u64, false, 0_u64);
    let (mut untimed, mut unread, mut first_unread) = (0_u64, 0_u64, None);
    for source in sources.iter_mut() {
        while let Some((number, line)) = source.next_record()? {
            lines += 1;
            let is_json = line.trim_start().starts_with('{');
            let entry = if is_json { of_json(&line) } else { of_text(&line) };
            let entry = entry.and_then(|entry| Ok((class_of(&entry, by, is_json)?, entry)));
            let (class, entry) = match entry {
                Ok(found) => found,
                Err(Fault::Bad(message, help)) => {
                    recording.bad(ImportError::new(message, source.place(number), help))?;
                    continue;
                }
                Err(Fault::Option(message, help)) => {
                    return Err(ImportError::new(message, source.place(number), help));
                }
            };
            let took = match entry.took {
                Some(Ok(nanos)) => Some(nanos as u64),
                Some(Err(text)) => {
                    unread += 1;
                    first_unread.get_or_insert_with(|| (text, source.place(number)));
                    None
                }
                None => {
                    untimed += 1;
                    None
                }
            };
            is_timed |= took.is_some();
            let status: String = entry.status.chars().take(LONGEST_STATUS).collect();
            if statuses.len() < MOST_STATUSES || statuses.contains_key(&status) {
                *statuses.entry(status).or_default() += 1;
            } else {
                others += 1;
            }
            recording.good();
            let class = recording.class(&class, None);
            recording.job(entry.at, class, took, None, || source.place(number))?;
        }
    }
    recording.read = plural(lines as usize, "line");
    if let Some((text, place)) = first_unread.filter(|_| is_timed) {
        let text: String = text.chars().take(40).collect();
        let what = format!(
            "request times that are no seconds as nginx writes them, such as 0.012; the first at {place}: `{text}`. \
             The service times of these lines are drawn from those of the others"
        );
        recording.left_out.push(LeftOut { count: unread, what });
    }
    if is_timed && untimed > 0 {
        recording.learnt.push(format!(
            "Lines without a request time: {untimed}; their service times are drawn from those of the others."
        ));
    }
    let mut list: Vec<String> =
        statuses.iter().take(20).map(|(status, count)| format!("{status} {count}")).collect();
    others += statuses.values().skip(20).sum::<u64>();
    if others > 0 {
        list.push(format!("others {others}"));
    }
    recording.learnt.push(format!("Answers by status: {}. All of them count as jobs.", list.join(", ")));
    if by != "none" {
        recording
            .learnt
            .push(format!("The classes are by {by}; `--class-by` takes method, path, status, host or none."));
    }
    if is_timed {
        recording.learnt.push(
            "Service times are the request times of the log: they include waiting, so they are an upper bound.".to_owned(),
        );
    }
    Ok(())
}

enum Fault {
    Bad(String, String),
    Option(String, String),
}

const FORMAT: &str = "HOST - USER [16/Nov/2023:18:17:03 +0000] \"GET /path HTTP/1.1\" 200 512, more after it, or a JSON object";

fn of_text(line: &str) -> Result<Entry, Fault> {
    let bad = |message: String| Fault::Bad(message, FORMAT.to_owned());
    let shown = || line.chars().filter(|c| !c.is_control()).take(60).collect::<String>();
    let (date, rest) =
        date_of(line).ok_or_else(|| bad(format!("`{}` is no line of an access log", shown())))?;
    let at = time::date(date).and_then(|at| i64::try_from(at).ok()).and_then(time::recorded);
    let at = at.ok_or_else(|| bad(format!("`{date}` is not a date")))?;
    let (request, rest) =
        quoted(rest).ok_or_else(|| bad(format!("the request of `{}` is not in quotes", shown())))?;
    let mut fields = rest.split_whitespace();
    let status = fields.next().unwrap_or_default();
    if status != "-" && (status.len() != 3 || !status.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(bad(format!("`{status}` is not a status")));
    }
    let (method, path) = request_of(request);
    let mut after = rest;
    // Referrer and agent of the combined format stand in quotes, and may hold anything.
    let mut tail = String::new();
    while let Some(begin) = after.find('"') {
        tail.push_str(&after[..begin]);
        match quoted(&after[begin..]) {
            Some((inside, rest)) => {
                if inside.parse::<f64>().is_ok() {
                    tail.push_str(inside);
                }
                after = rest;
            }
            None => break,
        }
    }
    tail.push_str(after);
    // An address such as that of the upstream has points as well, and is no number.
    let seconds = |text: &str| if text.contains('.') { time::decimal(text, 9) } else { None };
    let words = tail.split_whitespace().skip(2);
    let mut words = words.map(|word: &str| {
        word.strip_prefix("rt=").or_else(|| word.strip_prefix("request_time=")).unwrap_or(word)
    });
    // Or what stands in its place.
    let first = words.clone().next();
    let took = words.find_map(seconds).map(Ok).or_else(|| not_seconds(first?));
    let host = line.split_whitespace().next().unwrap_or_default().to_owned();
    Ok(Entry { at, method, path, status: status.to_owned(), host, took, fields: Map::new() })
}

/// What cannot be read as a time, unless it says that there is none, as where there was no upstream.
fn not_seconds(text: &str) -> Option<Result<i64, String>> {
    (!matches!(text, "" | "-" | "null")).then(|| Err(text.to_owned()))
}

/// The first text in quotes, where `\"` is no end, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let begin = text.find('"')? + 1;
    let mut is_escaped = false;
    for (at, c) in text[begin..].char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return Some((&text[begin..begin + at], &text[begin + at + 1..])),
            _ => {}
        }
    }
    None
}

/// Method and path; what is neither, as of a scanner that speaks another protocol, is `-`.
fn request_of(request: &str) -> (String, String) {
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or("-"));
    let is_method =
        !method.is_empty() && method.len() <= 20 && method.bytes().all(|b| b.is_ascii_uppercase());
    if is_method { (method.to_owned(), path.to_owned()) } else { ("-".to_owned(), "-".to_owned()) }
}

fn of_json(line: &str) -> Result<Entry, Fault> {
    let bad = |message: String, help: String| Fault::Bad(message, help);
    let fields = match serde_json::from_str(line) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => {
            return Err(bad("the line is not a JSON object".into(), "{\"time_iso8601\": ..., ...}".into()));
        }
        Err(error) => {
            return Err(bad(format!("the line is not JSON: {error}"), "a JSON object on each line".into()));
        }
    };
    let text = |names: &[&str]| {
        names.iter().find_map(|name| fields.get(*name)).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    };
    let Some(written) = text(TIMES) else {
        return Err(bad("the line has no time".into(), format!("one of the fields {}", TIMES.join(", "))));
    };
    let Some(at) = time::moment(&written).and_then(time::recorded) else {
        let help = "a date, or a number since 1970, before the year 2100";
        return Err(bad(format!("`{written}` is not a time"), help.into()));
    };
    // Caddy has an object there, others the line of the request.
    let inner =
        |name: &str| fields.get("request").and_then(|request| request.get(name)?.as_str()).map(str::to_owned);
    let request = fields.get("request").and_then(Value::as_str).map(request_of);
    let (first, second) = request.unzip();
    let entry = Entry {
        at,
        method: text(METHODS).or(first).or_else(|| inner("method")).unwrap_or_else(|| "-".into()),
        path: text(PATHS).or(second).or_else(|| inner("uri")).unwrap_or_else(|| "-".into()),
        status: text(STATUSES).unwrap_or_else(|| "-".into()),
        host: text(&["host", "server_name", "remote_addr"]).unwrap_or_else(|| "-".into()),
        took: text(&[DURATION]).and_then(|text| match time::decimal(&text, 9) {
            Some(nanos) => Some(Ok(nanos)),
            None => not_seconds(&text),
        }),
        fields,
    };
    Ok(entry)
}

fn class_of(entry: &Entry, by: &str, is_json: bool) -> Result<String, Fault> {
    Ok(match by {
        "none" => String::new(),
        "method" => entry.method.clone(),
        "status" => entry.status.clone(),
        "host" => entry.host.clone(),
        "path" => {
            let path = entry.path.split(['?', '#']).next().unwrap_or_default();
            let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
            format!("/{first}")
        }
        field => match entry.fields.get(field) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None if is_json && TIMES.iter().any(|name| entry.fields.contains_key(*name)) => {
                let message =
                    format!("the line has no field `{field}`, by which `--class-by` tells classes apart");
                let names: Vec<&str> = entry.fields.keys().map(String::as_str).take(20).collect();
                return Err(Fault::Bad(
                    message,
                    format!("allowed: {}, {}", WAYS.join(", "), names.join(", ")),
                ));
            }
            None => {
                let (message, help) = no_way(field, WAYS, "an access log");
                return Err(Fault::Option(message, help));
            }
        },
    })
}
