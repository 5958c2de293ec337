//! Recorded arrivals: a CSV file with a header, ordered by time, as it is or compressed by gzip.
//!
//! Each line is one arrival; with a column `count`, that many arrivals between its time and the next time in the
//! file. Columns go by name: `time_s`, `time_ms`, `time_us` or `time_ns`; `class` (a name) or `priority` (which
//! exactly one class must have), optional with a single class; `count`; and, for single arrivals, optionally the
//! service demand as `service_s`, `_ms`, `_us` or `_ns`. The file is CSV as in RFC 4180: quoted fields may hold
//! commas and doubled quotes, and lines may end in CRLF.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{SPREADS, Source, only_phase};
use crate::engine::time::{SimDuration, SimTime};
use crate::model::config::{ArrivalBatch, ArrivalProcess, TracedArrival};
use crate::scenario::diagnostic::{Code, did_you_mean};
use crate::scenario::files::{DataFile, MOST_DATA_MISTAKES};
use crate::scenario::log::Mistake;
use crate::scenario::reader::Section;
use crate::scenario::setting::MOST_COUNT;
use crate::units::Quantity;

/// A class that a trace may name.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) priority: u8,
}

/// Reads the trace that the setting `file` of the section names. Mistakes are logged with their lines.
pub(super) fn read(
    section: &mut Section<'_>,
    classes: &[Candidate],
    horizon: Option<SimDuration>,
) -> Option<Source> {
    let doc = "CSV file of recorded arrivals, relative to the scenario; may be compressed by gzip.";
    let name = section.key("file", doc).text().required();
    let interval = section
        .key("interval", "Time that each count covers; default: up to the next time in the file.")
        .positive_span()
        .optional();
    let spread = section
        .key("spread", "How the arrivals of a count spread over its time.")
        .choice(SPREADS)
        .or("uniform");
    let mut file = DataFile::read(section, "file", &name?)?;
    let text = std::mem::take(&mut file.text);
    let mut mistakes = Vec::new();
    let records = parse(&text, classes, &mut mistakes);
    file.text = text;
    for Found { line, span, mistake } in mistakes {
        file.complain(section, line, (span.start, span.len()), mistake);
    }
    if file.has_mistakes() {
        section.mark_bad("file");
        return None;
    }
    let Some((records, is_counted)) = records.filter(|(records, _)| !records.is_empty()) else {
        let message = format!("there are no arrivals in `{}`", file.shown);
        let label = "a header such as `time_us,class` and a line for each arrival";
        section.complain("file", Mistake::new(Code::File, message, label));
        return None;
    };
    warn_of_late_arrivals(section, &records, horizon);
    let shares = shares_in(&records);
    if shares.is_empty() {
        section.log().warn(format!("`{}`: all counts are zero", section.path_of("file")));
        return None;
    }
    let process = if is_counted {
        ArrivalProcess::Batches { batches: batches_of(section, &records, interval)?.into(), spread }
    } else {
        let arrival =
            |record: &Record| TracedArrival { at: record.at, class: record.class, service: record.service };
        for name in ["interval", "spread"] {
            if section.has(name) {
                let message = "there is no column `count` in the file";
                section.complain(name, Mistake::new(Code::Conflict, message, "remove it, or record counts"));
            }
        }
        ArrivalProcess::Trace(records.iter().map(arrival).collect())
    };
    Some(Source { process, phases: vec![only_phase("trace", 0.0)], shares })
}

/// A line of the file: one arrival, or a count of them.
#[derive(Clone, Copy)]
struct Record {
    at: SimTime,
    class: u16,
    count: u64,
    service: Option<SimDuration>,
}

/// Each count with the time that it covers.
fn batches_of(
    section: &mut Section<'_>,
    records: &[Record],
    interval: Option<SimDuration>,
) -> Option<Vec<ArrivalBatch>> {
    let mut lengths: Vec<Option<SimDuration>> = vec![interval; records.len()];
    if interval.is_none() {
        // Lines with equal times, of different classes, cover the same interval. The last interval is as long as the one before.
        let mut later: Option<SimTime> = None;
        for index in (0..records.len()).rev() {
            let at = records[index].at;
            if let Some(next) = records.get(index + 1).filter(|next| next.at > at) {
                later = Some(next.at);
            }
            lengths[index] = later.map(|later| later.since(at));
        }
        let last = lengths.iter().rev().find_map(|length| *length);
        let Some(last) = last else {
            section.miss(
                "interval",
                "the file has a single time: say how long it covers, such as interval = \"1s\"",
            );
            return None;
        };
        lengths.iter_mut().for_each(|length| *length = length.or(Some(last)));
    }
    let batch = |(record, within): (&Record, &Option<SimDuration>)| ArrivalBatch {
        at: record.at,
        within: within.unwrap_or_default(),
        count: record.count,
        class: Some(record.class),
    };
    Some(records.iter().zip(&lengths).map(batch).collect())
}

fn warn_of_late_arrivals(section: &Section<'_>, records: &[Record], horizon: Option<SimDuration>) {
    let Some(horizon) = horizon else { return };
    let count = |records: &[Record]| records.iter().map(|record| record.count).sum::<u64>();
    let begin = records.partition_point(|record| record.at.0 < horizon.0);
    let (late, all) = (count(&records[begin..]), count(records));
    if late > 0 {
        let of = section.path_of("file");
        section
            .log()
            .warn(format!("`{of}`: {late} of the {all} arrivals come after `duration` and are left out"));
    }
}

fn shares_in(records: &[Record]) -> Vec<(usize, f64)> {
    let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
    for record in records {
        *counts.entry(usize::from(record.class)).or_default() += record.count;
    }
    let total: u64 = counts.values().sum();
    let shares = counts.into_iter().filter(|(_, count)| *count > 0);
    shares.map(|(index, count)| (index, count as f64 / total as f64)).collect()
}

/// A mistake and the bytes that it is about.
struct Found {
    line: usize,
    span: Range<usize>,
    mistake: Mistake,
}

/// Goes through the records of the file, each with its place.
struct Rows<'t> {
    text: &'t str,
    /// Length of the byte order mark.
    mark: usize,
    reader: csv::Reader<&'t [u8]>,
    fields: csv::StringRecord,
    line: usize,
    span: Range<usize>,
}

impl<'t> Rows<'t> {
    fn of(text: &'t str) -> Self {
        let body = text.strip_prefix('\u{feff}').unwrap_or(text);
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(body.as_bytes());
        let mark = text.len() - body.len();
        Self { text, mark, reader, fields: csv::StringRecord::new(), line: 1, span: 0..0 }
    }

    /// Reads the next record that is not blank; false at the end.
    fn advance(&mut self) -> bool {
        loop {
            let begin = self.at();
            if !self.reader.read_record(&mut self.fields).expect("any text is CSV") {
                return false;
            }
            // Blank lines before it are read with it.
            let read = &self.text[begin..self.at()];
            let written = read.trim_start();
            let start = begin + read.len() - written.len();
            self.line += self.text[self.span.start..start].matches('\n').count();
            self.span = start..start + written.trim_end().len();
            if self.fields.iter().any(|field| !field.is_empty()) || self.fields.len() > 1 {
                return true;
            }
        }
    }

    fn at(&self) -> usize {
        self.mark + self.reader.position().byte() as usize
    }

    /// Where a field stands; the whole record, if it is written with doubled quotes.
    fn span_of(&self, index: usize) -> Range<usize> {
        let mut at = self.span.start;
        let mut found = self.span.clone();
        for field in self.fields.iter().take(index + 1) {
            let Some(ahead) = self.text[at..self.span.end].find(field) else { return self.span.clone() };
            found = at + ahead..at + ahead + field.len();
            at = found.end;
        }
        found
    }

    fn found(&self, span: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Found {
        Found { line: self.line, span, mistake: Mistake::new(Code::File, message, label) }
    }
}

/// What a column holds; times with their unit in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Time(u64),
    Service(u64),
    Class,
    Priority,
    Count,
}

const COLUMNS: &[(&str, Column)] = &[
    ("time_s", Column::Time(1_000_000_000)),
    ("time_ms", Column::Time(1_000_000)),
    ("time_us", Column::Time(1_000)),
    ("time_ns", Column::Time(1)),
    ("class", Column::Class),
    ("priority", Column::Priority),
    ("count", Column::Count),
    ("service_s", Column::Service(1_000_000_000)),
    ("service_ms", Column::Service(1_000_000)),
    ("service_us", Column::Service(1_000)),
    ("service_ns", Column::Service(1)),
];

/// The lines of the file, and whether they are counts.
fn parse(text: &str, classes: &[Candidate], mistakes: &mut Vec<Found>) -> Option<(Vec<Record>, bool)> {
    let mut rows = Rows::of(text);
    if !rows.advance() {
        return None;
    }
    let columns = columns_of(&rows, classes, mistakes)?;
    let mut records: Vec<Record> = Vec::new();
    while mistakes.len() < MOST_DATA_MISTAKES && rows.advance() {
        match record_of(&rows, &columns, classes, records.last().map(|last| last.at)) {
            Ok(record) => records.push(record),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    Some((records, columns.contains(&Column::Count)))
}

fn columns_of(header: &Rows<'_>, classes: &[Candidate], mistakes: &mut Vec<Found>) -> Option<Vec<Column>> {
    let before = mistakes.len();
    let mut columns: Vec<Column> = Vec::new();
    let whole = || header.span.clone();
    let mut wrong = |span, message: String, label: String| mistakes.push(header.found(span, message, label));
    let names = || COLUMNS.iter().map(|(name, _)| *name);
    let is_time = |column: &Column| matches!(column, Column::Time(_));
    let is_service = |column: &Column| matches!(column, Column::Service(_));
    let is_class = |column: &Column| matches!(column, Column::Class | Column::Priority);
    let is_count = |column: &Column| matches!(column, Column::Count);
    for (index, name) in header.fields.iter().enumerate() {
        let Some((_, column)) = COLUMNS.iter().find(|(known, _)| *known == name) else {
            let message = format!("`{name}` is not a column of a trace{}", did_you_mean(name, names()));
            let label = format!("allowed: {}", names().collect::<Vec<_>>().join(", "));
            wrong(header.span_of(index), message, label);
            continue;
        };
        for (same, what) in [
            (&is_time as &dyn Fn(&Column) -> bool, "the time"),
            (&is_service, "the service demand"),
            (&is_class, "the class"),
            (&is_count, "the count"),
        ] {
            if same(column) && columns.iter().any(same) {
                let message = format!("two columns hold {what}");
                wrong(header.span_of(index), message, "keep one of them".into());
            }
        }
        columns.push(*column);
    }
    if !columns.iter().any(is_time) {
        let label = "one of time_s, time_ms, time_us, time_ns".to_string();
        wrong(whole(), "no column says when the jobs arrive".into(), label);
    }
    if !columns.iter().any(is_class) && classes.len() != 1 {
        let message = format!("no column says which of the {} classes a job belongs to", classes.len());
        wrong(whole(), message, "a column `class` or `priority`".to_string());
    }
    if columns.iter().any(is_count) && columns.iter().any(is_service) {
        let label = "record single arrivals, or leave out the service demand".to_string();
        wrong(whole(), "a count cannot have a service demand".into(), label);
    }
    (mistakes.len() == before).then_some(columns)
}

fn record_of(
    row: &Rows<'_>,
    columns: &[Column],
    classes: &[Candidate],
    last: Option<SimTime>,
) -> Result<Record, Found> {
    if row.fields.iter().any(|field| field.contains('\n')) {
        let label = "no field of a trace holds a line break";
        return Err(row.found(row.span.clone(), "a quote is not closed in this line", label));
    }
    if row.fields.len() != columns.len() {
        let (fields, expected) = (row.fields.len(), columns.len());
        let message = format!("the line has {fields} fields, but the header has {expected}");
        return Err(row.found(row.span.clone(), message, ""));
    }
    let (mut at, mut class, mut service, mut count) = (SimTime::ZERO, classes.first(), None, 1);
    for (index, (field, column)) in row.fields.iter().zip(columns).enumerate() {
        let fail = |message: String, label: String| row.found(row.span_of(index), message, label);
        let nanos = |unit: u64| {
            nanos_of(field, unit).map_err(|mistake| Found {
                mistake,
                line: row.line,
                span: row.span_of(index),
            })
        };
        match column {
            Column::Time(unit) => {
                at = SimTime(nanos(*unit)?);
                if let Some(last) = last.filter(|last| *last > at) {
                    let message =
                        format!("`{field}` is earlier than the arrival before it, which is at {}", {
                            SimDuration(last.0)
                        });
                    return Err(fail(message, "times must not decrease: sort the file by time".into()));
                }
            }
            Column::Service(_) if field.is_empty() => {}
            Column::Service(unit) => service = Some(SimDuration(nanos(*unit)?)),
            Column::Count => {
                let whole = field.parse::<u64>().ok().filter(|count| *count <= MOST_COUNT);
                count = whole.ok_or_else(|| {
                    let message = format!("`{field}` is not a count");
                    fail(message, format!("a whole number from 0 to {MOST_COUNT}"))
                })?;
            }
            Column::Class => {
                class = classes.iter().find(|class| class.name == field);
                if class.is_none() {
                    let names = || classes.iter().map(|class| class.name.as_str());
                    let message = format!("there is no class `{field}`{}", did_you_mean(field, names()));
                    let label = format!("classes: {}", names().collect::<Vec<_>>().join(", "));
                    return Err(fail(message, label));
                }
            }
            Column::Priority => {
                let of_priority = || classes.iter().filter(|class| Ok(class.priority) == field.parse::<u8>());
                class = of_priority().next();
                let message = match of_priority().count() {
                    1 => continue,
                    0 => format!("no class has the priority `{field}`"),
                    many => {
                        format!("{many} classes have the priority `{field}`, so it does not identify one")
                    }
                };
                return Err(fail(message, "use a column `class` instead, or add the class".into()));
            }
        }
    }
    let class = class.map_or(0, |class| class.index) as u16;
    Ok(Record { at, class, count, service })
}

/// A time in nanoseconds; whole numbers are exact.
fn nanos_of(field: &str, unit: u64) -> Result<u64, Mistake> {
    let most = Quantity::Duration.most() * 1e9;
    if let Some(nanos) = field.parse::<u64>().ok().and_then(|whole| whole.checked_mul(unit))
        && nanos as f64 <= most
    {
        return Ok(nanos);
    }
    let number: f64 = field.parse().map_err(|_| {
        Mistake::new(Code::File, format!("`{field}` is not a number"), "its unit is in the header")
    })?;
    let nanos = number * unit as f64;
    if number.is_finite() && (0.0..=most).contains(&nanos) {
        return Ok(nanos.round() as u64);
    }
    let message = format!("`{field}` is not a time from 0 to 100 years");
    Err(Mistake::new(Code::File, message, "its unit is in the header"))
}
