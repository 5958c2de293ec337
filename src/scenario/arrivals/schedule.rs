//! Arrivals on a schedule, as cron jobs cause them.

use croner::Cron;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Zoned};

use super::{SPREADS, Source, only_phase};
use crate::engine::time::{SimDuration, SimTime};
use crate::model::config::{ArrivalBatch, ArrivalProcess};
use crate::scenario::diagnostic::Code;
use crate::scenario::log::Mistake;
use crate::scenario::reader::Section;
use crate::scenario::setting::MOST_COUNT;

const MOST_BATCHES: usize = 1_000_000;
const FORMATS: [&str; 4] = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];

pub(super) fn read(section: &mut Section<'_>, horizon: Option<SimDuration>) -> Option<Source> {
    let schedule = section
        .key(
            "schedule",
            "When a batch arrives: the five fields of cron, or six with seconds in front; in UTC.",
        )
        .text()
        .required();
    let jobs = section.key("jobs", "Jobs in each batch.").count(1, MOST_COUNT).required();
    let within = section.key("within", "Time over which the jobs of a batch arrive.").span().or("0s");
    let spread =
        section.key("spread", "How the arrivals spread over that time.").choice(SPREADS).or("uniform");
    let start = section
        .key("starts_at", "Date and time of day at time zero; the default is a Monday.")
        .text()
        .or("\"2026-01-05T00:00:00\"");
    let start = date_of(section, &start);
    let cron = schedule.and_then(|text| match text.parse::<Cron>() {
        Ok(cron) => Some(cron),
        Err(error) => {
            let label = "such as \"0 2 * * *\", every day at 2:00, or \"*/5 * * * *\", every five minutes";
            section.complain("schedule", Mistake::new(Code::OutOfRange, format!("`{text}`: {error}"), label));
            None
        }
    });
    let (cron, jobs, start, horizon) = (cron?, jobs?, start?, horizon?);
    let mut batches = Vec::new();
    let mut next = cron.find_next_occurrence(&start, true).ok();
    while let Some(time) = next {
        let nanos = time.timestamp().duration_since(start.timestamp()).as_nanos();
        let Some(at) = u64::try_from(nanos).ok().filter(|at| *at < horizon.0) else { break };
        batches.push(ArrivalBatch { at: SimTime(at), within, count: jobs, class: None });
        if batches.len() > MOST_BATCHES {
            let message = format!("it causes more than {MOST_BATCHES} batches, the most allowed");
            section.complain("schedule", Mistake::new(Code::OutOfRange, message, "make `duration` shorter"));
            return None;
        }
        let later = time.checked_add(SignedDuration::from_secs(1)).ok();
        next = later.and_then(|later| cron.find_next_occurrence(&later, true).ok());
    }
    if batches.is_empty() {
        section
            .log()
            .warn(format!("`{}` causes no arrivals before `duration` is over", section.path_of("schedule")));
    }
    let process = ArrivalProcess::Batches { batches: batches.into(), spread };
    Some(Source::new(process, vec![only_phase("schedule", 0.0)]))
}

fn date_of(section: &mut Section<'_>, text: &str) -> Option<Zoned> {
    let read = |format: &&str| DateTime::strptime(format, text).ok()?.to_zoned(TimeZone::UTC).ok();
    let date = FORMATS.iter().find_map(read);
    if date.is_none() {
        let message = format!("`{text}` is not a date and time of day");
        section
            .complain("starts_at", Mistake::new(Code::WrongType, message, "such as \"2026-01-05T08:30:00\""));
    }
    date
}
