//! Public traces of Azure: invocations of functions by the minute (2019), one by one (2021), and LLM requests (2023, 2024).

use super::input::Source;
use super::recording::{MOST_JOBS, Recording};
use super::table::Table;
use super::time::{self, SECOND};
use super::{ImportError, Options};
use crate::text::plural;

fn header(head: &str) -> Vec<String> {
    let first = head.lines().next().unwrap_or_default();
    first.split(',').map(|name| name.trim().trim_matches('"').to_owned()).collect()
}

pub(super) fn recognise_minutes(head: &str) -> bool {
    let names = header(head);
    names.first().is_some_and(|name| name == "HashOwner") || names.iter().any(|name| name == "HashFunction")
}

pub(super) fn recognise_invocations(head: &str) -> bool {
    let names = header(head);
    let has = |name: &str| names.iter().any(|other| other == name);
    has("end_timestamp") && has("duration")
}

pub(super) fn recognise_llm(head: &str) -> bool {
    let names = header(head);
    let has = |name: &str| names.iter().any(|other| other.eq_ignore_ascii_case(name));
    has("timestamp") && has("ContextTokens")
}

pub(super) fn read_minutes(
    sources: &mut [Source],
    options: &Options,
    recording: &mut Recording,
) -> Result<(), ImportError> {
    const MINUTE: i64 = 60 * SECOND;
    const WAYS: &[(&str, &str)] =
        &[("trigger", "Trigger"), ("function", "HashFunction"), ("app", "HashApp"), ("owner", "HashOwner")];
    let asked =
        options.way(&["trigger", "function", "app", "owner", "none"], "a table of functions", sources)?;
    let by = WAYS.iter().find(|(name, _)| *name == asked).map(|(_, column)| *column);
    recording.counted(MINUTE, 0, &sources[0].shown)?;
    let (mut rows, mut minutes_before) = (0_u64, 0);
    for source in sources.iter_mut() {
        let mut table = Table::of(source)?;
        let minutes: Vec<(usize, i64)> = table
            .names
            .iter()
            .enumerate()
            .filter_map(|(column, name)| {
                Some((column, name.parse::<i64>().ok().filter(|&m| (1..=1440).contains(&m))?))
            })
            .collect();
        if minutes.is_empty() {
            let help = "the file of invocations: HashOwner,HashApp,HashFunction,Trigger,1,2,...,1440";
            let message = "the table has no columns for minutes: it is that of durations or memory";
            return Err(ImportError::new(message, format!("{}:1", table.shown), help));
        }
        let by = by.map(|column| table.column(column)).transpose()?;
        while table.advance(recording)? {
            let mut counts = Vec::with_capacity(minutes.len());
            let mut wrong = None;
            for &(column, minute) in &minutes {
                match table.row[column].parse::<u64>().ok().filter(|count| *count <= MOST_JOBS) {
                    Some(count) => counts.push((minute, count)),
                    None => wrong = wrong.or(Some((minute, table.row[column].to_owned()))),
                }
            }
            if let Some((minute, text)) = wrong {
                let message = format!("column {minute}: `{text}` is not a count");
                recording.bad(table.error(message, format!("a whole number from 0 to {MOST_JOBS}")))?;
                continue;
            }
            rows += 1;
            recording.good();
            let class = recording.class(by.map_or("", |column| &table.row[column]), None);
            for (minute, count) in counts {
                let begin = (minutes_before + minute - 1) * MINUTE;
                recording.count(begin, begin + MINUTE, class, count, || table.place())?;
            }
        }
        minutes_before += minutes.iter().map(|(_, minute)| *minute).max().unwrap_or_default();
    }
    recording.read =
        format!("{} over {}", plural(rows as usize, "function"), plural(minutes_before as usize, "minute"));
    if sources.len() > 1 {
        recording.learnt.push("The files follow one another in the order given.".to_owned());
    }
    recording.learnt.push(format!(
        "The classes are by {asked}; `--class-by` takes trigger, function, app, owner or none."
    ));
    Ok(())
}

pub(super) fn read_invocations(
    sources: &mut [Source],
    options: &Options,
    recording: &mut Recording,
) -> Result<(), ImportError> {
    let by = options.way(&["func", "app", "none"], "a table of invocations", sources)?;
    let mut rows = 0_u64;
    for source in sources.iter_mut() {
        let mut table = Table::of(source)?;
        let (end, length) = (table.column("end_timestamp")?, table.column("duration")?);
        let by = if by == "none" { None } else { Some(table.column(by)?) };
        while table.advance(recording)? {
            rows += 1;
            let number = |column: usize| time::decimal(&table.row[column], 9).and_then(time::recorded);
            let (Some(at), Some(service)) = (number(end), number(length)) else {
                let wrong = if number(end).is_none() { end } else { length };
                let message =
                    format!("{}: `{}` is not a number of seconds", table.names[wrong], &table.row[wrong]);
                recording.bad(table.error(message, "seconds, 0 or more, before the year 2100"))?;
                continue;
            };
            recording.good();
            let class = recording.class(by.map_or("", |column| &table.row[column]), None);
            // Below zero, if it began before the recording.
            recording.job(at - service, class, Some(service as u64), None, || table.place())?;
        }
    }
    recording.read = plural(rows as usize, "invocation");
    recording
        .learnt
        .push("An invocation came at end_timestamp - duration; the duration is its service time.".to_owned());
    Ok(())
}

pub(super) fn read_llm(
    sources: &mut [Source],
    options: &Options,
    recording: &mut Recording,
) -> Result<(), ImportError> {
    options.way(&["none"], "a trace of LLM requests, which have no classes", sources)?;
    let (mut rows, mut read, mut written) = (0_u64, 0_u64, 0_u64);
    for source in sources.iter_mut() {
        let mut table = Table::of(source)?;
        let at = table.column("TIMESTAMP")?;
        let tokens = [table.column("ContextTokens")?, table.column("GeneratedTokens")?];
        while table.advance(recording)? {
            let Some(time) = time::moment(&table.row[at]).and_then(time::recorded) else {
                let message = format!("TIMESTAMP: `{}` is not a date", &table.row[at]);
                recording.bad(table.error(message, "such as 2023-11-16 18:17:03.9799600"))?;
                continue;
            };
            let numbers = tokens.map(|column| table.row[column].parse::<u32>().map(u64::from));
            let [Ok(context), Ok(generated)] = numbers else {
                let wrong = tokens.into_iter().find(|&column| table.row[column].parse::<u32>().is_err());
                let wrong = wrong.unwrap_or(at);
                let message = format!("{}: `{}` is not a count", table.names[wrong], &table.row[wrong]);
                recording.bad(table.error(message, "a whole number of tokens"))?;
                continue;
            };
            rows += 1;
            read += context;
            written += generated;
            recording.good();
            let class = recording.class("", None);
            recording.job(time, class, None, None, || table.place())?;
        }
    }
    recording.read = plural(rows as usize, "request");
    if rows > 0 {
        recording.learnt.push(format!(
            "A request has {:.1} tokens of context and {:.1} generated tokens in the mean; the service time is what your \
             server takes for these.",
            read as f64 / rows as f64,
            written as f64 / rows as f64
        ));
    }
    Ok(())
}
