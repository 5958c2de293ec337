//! Recorded arrivals: a CSV file with a header, ordered by time, as it is or compressed by gzip.
//!
//! Each line is one arrival; with a column `count`, that many arrivals between its time and the next time in the
//! file. Columns go by name: `time_s`, `time_ms`, `time_us` or `time_ns`; `class` (a name) or `priority` (which
//! exactly one class must have), optional with a single class and for counts, which the shares of the classes then split;
//! `count`; and, for single arrivals, optionally the service demand as `service_s`, `_ms`, `_us` or `_ns`. Other columns
//! are left alone. The file is CSV as in RFC 4180: quoted fields may hold commas and doubled quotes, and lines may end
//! in CRLF; semicolons or tabs may separate the fields, and lines before the header may begin with `#`.
//!
//! Times may be dates (`import` has the formats) or seconds since 1970. What is no trace at all is named, with the command
//! that makes one of it.

mod foreign;

use std::collections::BTreeMap;
use std::ops::Range;

use super::{SPREADS, Source, only_phase};
use crate::engine::time::{SimDuration, SimTime};
use crate::import;
use crate::model::config::{ArrivalBatch, ArrivalProcess, TracedArrival};
use crate::scenario::diagnostic::{Code, did_you_mean, nearest};
use crate::scenario::files::{DataFile, MOST_DATA_MISTAKES};
use crate::scenario::log::Mistake;
use crate::scenario::reader::Section;
use crate::scenario::setting::{Kind, MOST_COUNT, shown};
use crate::scenario::tree::Value;
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
    let start = section
        .key(
            "start",
            "What is time zero: \"first\" is the first time of the file; a date or seconds since 1970 is that time.",
        )
        .typed(Kind::Text, |item, kind| start_of(&item.value, kind))
        .or_else(
            "0; where the times are dates, \"first\"",
            "\"0\"",
            Start::Usual,
        );
    let mut file = DataFile::read(section, "file", &name?)?;
    if section.is_bad("start") {
        return None;
    }
    if let Some(foreign) = foreign::recognise(&file.text, &file.shown) {
        section.complain("file", foreign);
        return None;
    }
    let text = std::mem::take(&mut file.text);
    let mut mistakes = Vec::new();
    let mut unused = Vec::new();
    let records = parse(&text, classes, &mut mistakes, &mut unused);
    file.text = text;
    for Found { line, span, mistake } in mistakes {
        file.complain(section, line, (span.start, span.len()), mistake);
    }
    if file.has_mistakes() {
        section.mark_bad("file");
        return None;
    }
    if !unused.is_empty() {
        let columns = unused.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        section.log().warn(format!("`{}`: not used of the file: {columns}", section.path_of("file")));
    }
    let Some((mut records, is_counted)) = records.filter(|(records, _)| !records.is_empty()) else {
        let message = format!("there are no arrivals in `{}`", file.shown);
        let label = "a header such as `time_us,class` and a line for each arrival";
        section.complain("file", Mistake::new(Code::File, message, label));
        return None;
    };
    begin_at(section, &mut records, start);
    if !is_any_within(section, &records, horizon) {
        return None;
    }
    let is_split = is_counted && records.iter().all(|record| record.class.is_none());
    let shares = shares_in(&records);
    if shares.is_empty() {
        section.log().warn(format!("`{}`: all counts are zero", section.path_of("file")));
        return None;
    }
    let process = if is_counted {
        ArrivalProcess::Batches { batches: batches_of(section, &records, interval)?.into(), spread }
    } else {
        let arrival = |record: &Record| TracedArrival {
            at: record.at,
            class: record.class.unwrap_or_default(),
            service: record.service,
        };
        for name in ["interval", "spread"] {
            if section.has(name) {
                let message = "there is no column `count` in the file";
                section.complain(name, Mistake::new(Code::Conflict, message, "remove it, or record counts"));
            }
        }
        ArrivalProcess::Trace(records.iter().map(arrival).collect())
    };
    let shares = if is_split { Vec::new() } else { shares };
    Some(Source { process, phases: vec![only_phase("trace", 0.0)], shares })
}

/// A line of the file: one arrival, or a count of them.
#[derive(Clone, Copy)]
struct Record {
    at: SimTime,
    /// `None` where the shares of the classes decide.
    class: Option<u16>,
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
        class: record.class,
    };
    Some(records.iter().zip(&lengths).map(batch).collect())
}

/// What is time zero.
#[derive(Clone, Copy)]
enum Start {
    /// Zero, or the first time where the times are dates.
    Usual,
    First,
    /// Nanoseconds since 1970, or on the clock of the file.
    At(u64),
}

/// A recording that begins later is not of a run: the times are seconds since 1970. It is 1973 there.
const LEAST_DATE: u64 = 100_000_000_000_000_000;

fn start_of(value: &Value, kind: &Kind) -> Result<Start, Mistake> {
    let text = match value {
        Value::Text(text) if text == "first" => return Ok(Start::First),
        Value::Text(text) => text.clone(),
        Value::Integer(_) | Value::Float(_) | Value::Datetime(_) => value.to_toml(),
        other => return Err(crate::scenario::reader::wrong_type(other, "a time", kind)),
    };
    let label = "\"first\", a date such as \"2026-01-05T08:30:00Z\", or seconds since 1970";
    let wrong = || Mistake::new(Code::WrongType, format!("`{text}` is not a time"), label);
    let nanos = match import::date(&text) {
        Some(nanos) => nanos,
        None => nanos_of(&text, None).map_err(|_| wrong())?,
    };
    Ok(Start::At(nanos))
}

/// Makes the times those of the run. What comes before its start is left out.
fn begin_at(section: &Section<'_>, records: &mut Vec<Record>, start: Start) {
    let Some(first) = records.first().map(|record| record.at.0) else { return };
    let zero = match start {
        Start::First => first,
        Start::At(time) => time,
        Start::Usual if first >= LEAST_DATE => {
            let path = section.path_of("file");
            let shown = foreign::shown(first);
            section.log().warn(format!(
                "`{path}`: its times are dates, so time zero is its first, {shown}; `start` can say another"
            ));
            first
        }
        Start::Usual => 0,
    };
    let count = |records: &[Record]| records.iter().map(|record| record.count).sum::<u64>();
    let all = count(records);
    let kept = records.split_off(records.partition_point(|record| record.at.0 < zero));
    let early = count(records);
    *records = kept;
    for record in records.iter_mut() {
        record.at.0 -= zero;
    }
    if early > 0 && early < all {
        let path = section.path_of("file");
        section
            .log()
            .warn(format!("`{path}`: {early} of the {all} arrivals come before `start` and are left out"));
    }
}

/// Whether any arrival falls into the run; a trace that says nothing of it is a mistake. Those that come too late are told.
fn is_any_within(section: &mut Section<'_>, records: &[Record], horizon: Option<SimDuration>) -> bool {
    let Some(horizon) = horizon else { return true };
    let count = |records: &[Record]| records.iter().map(|record| record.count).sum::<u64>();
    let end = records.partition_point(|record| record.at.0 < horizon.0);
    let (late, all) = (count(&records[end..]), count(records));
    let path = section.path_of("file");
    let duration = shown(horizon);
    match records.iter().find(|record| record.count > 0) {
        None if records.is_empty() => {
            let message = "all its arrivals come before `start`, so none falls into the run";
            let label = "start = \"first\" begins with the first one";
            section.complain("file", Mistake::new(Code::Conflict, message, label));
            return false;
        }
        Some(first) if late == all => {
            let at = shown(SimDuration(first.at.0));
            let message = format!(
                "none of its {all} arrivals falls into the run: the first comes at {at}, but `duration` is {duration}"
            );
            let label = "start = \"first\" begins with the first one; or make `duration` longer";
            section.complain("file", Mistake::new(Code::Conflict, message, label));
            return false;
        }
        _ => {}
    }
    if late > 0 {
        section
            .log()
            .warn(format!("`{path}`: {late} of the {all} arrivals come after `duration` and are left out"));
    }
    true
}

fn shares_in(records: &[Record]) -> Vec<(usize, f64)> {
    let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
    for record in records {
        *counts.entry(usize::from(record.class.unwrap_or_default())).or_default() += record.count;
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
    /// Length of the byte order mark and of the remarks before the header.
    mark: usize,
    /// Whether numbers may have a comma in place of the point, as where semicolons separate the fields.
    decimal_comma: bool,
    reader: csv::Reader<&'t [u8]>,
    fields: csv::StringRecord,
    line: usize,
    span: Range<usize>,
}

impl<'t> Rows<'t> {
    fn of(text: &'t str) -> Self {
        let mut body = text.strip_prefix('\u{feff}').unwrap_or(text);
        // Remarks and blank lines before the header.
        while let Some((line, rest)) = body.split_once('\n')
            && (line.trim().is_empty() || line.trim_start().starts_with('#'))
        {
            body = rest;
        }
        let header = body.lines().next().unwrap_or_default();
        let separator =
            [b',', b';', b'\t'].into_iter().find(|&c| header.contains(char::from(c))).unwrap_or(b',');
        let reader = csv::ReaderBuilder::new()
            .delimiter(separator)
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(body.as_bytes());
        let mark = text.len() - body.len();
        let decimal_comma = separator == b';';
        Self { text, mark, reader, decimal_comma, fields: csv::StringRecord::new(), line: 1, span: 0..0 }
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
    /// `None` where the size of the number tells.
    Time(Option<u64>),
    Service(u64),
    Class,
    Priority,
    Count,
    /// It is left alone.
    Unused,
}

const COLUMNS: &[(&str, Column)] = &[
    ("time_s", Column::Time(Some(1_000_000_000))),
    ("time_ms", Column::Time(Some(1_000_000))),
    ("time_us", Column::Time(Some(1_000))),
    ("time_ns", Column::Time(Some(1))),
    ("class", Column::Class),
    ("priority", Column::Priority),
    ("count", Column::Count),
    ("service_s", Column::Service(1_000_000_000)),
    ("service_ms", Column::Service(1_000_000)),
    ("service_us", Column::Service(1_000)),
    ("service_ns", Column::Service(1)),
];

/// The lines of the file, and whether they are counts.
fn parse(
    text: &str,
    classes: &[Candidate],
    mistakes: &mut Vec<Found>,
    unused: &mut Vec<String>,
) -> Option<(Vec<Record>, bool)> {
    let mut rows = Rows::of(text);
    if !rows.advance() {
        return None;
    }
    let columns = columns_of(&rows, classes, mistakes, unused)?;
    let mut records: Vec<Record> = Vec::new();
    while mistakes.len() < MOST_DATA_MISTAKES && rows.advance() {
        match record_of(&rows, &columns, classes, records.last().map(|last| last.at)) {
            Ok(record) => records.push(record),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    Some((records, columns.contains(&Column::Count)))
}

fn columns_of(
    header: &Rows<'_>,
    classes: &[Candidate],
    mistakes: &mut Vec<Found>,
    unused: &mut Vec<String>,
) -> Option<Vec<Column>> {
    let before = mistakes.len();
    let mut columns: Vec<Column> = Vec::new();
    let whole = || header.span.clone();
    let mut wrong = |span, message: String, label: String| mistakes.push(header.found(span, message, label));
    let names = || COLUMNS.iter().map(|(name, _)| *name);
    let is_time = |column: &Column| matches!(column, Column::Time(_));
    let is_service = |column: &Column| matches!(column, Column::Service(_));
    let is_class = |column: &Column| matches!(column, Column::Class | Column::Priority);
    let is_count = |column: &Column| matches!(column, Column::Count);
    if header.fields.iter().all(|field| field.parse::<f64>().is_ok() || import::date(field).is_some()) {
        let label = "put a line above it such as `time_s`, or `time_s,count`";
        wrong(
            whole(),
            "the first line holds values, where the names of the columns belong".into(),
            label.into(),
        );
        return None;
    }
    for (index, name) in header.fields.iter().enumerate() {
        let lower = name.to_ascii_lowercase();
        let named = COLUMNS.iter().find(|(known, _)| *known == lower).map(|(_, column)| *column);
        let column = named.or_else(|| import::TIMES.contains(&lower.as_str()).then_some(Column::Time(None)));
        let Some(column) = &column else {
            if lower == "rate" {
                let label = "write `count`: the rate times the seconds from this line to the next";
                wrong(header.span_of(index), "a trace holds counts of jobs, not rates".into(), label.into());
                continue;
            }
            if nearest(name, names()).is_none() {
                unused.push(name.to_owned());
                columns.push(Column::Unused);
                continue;
            }
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
        let label = "one of time_s, time_ms, time_us, time_ns, or `timestamp` for dates".to_string();
        unused.clear();
        wrong(whole(), "no column says when the jobs arrive".into(), label);
    }
    // The shares split counts that name no class.
    if !columns.iter().any(is_class) && !columns.iter().any(is_count) && classes.len() != 1 {
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
    let is_class = |column: &Column| matches!(column, Column::Class | Column::Priority);
    let is_known = classes.len() == 1 || columns.iter().any(is_class);
    let usual = classes.first().filter(|_| is_known);
    let (mut at, mut class, mut service, mut count) = (SimTime::ZERO, usual, None, 1);
    for (index, (field, column)) in row.fields.iter().zip(columns).enumerate() {
        let fail = |message: String, label: String| row.found(row.span_of(index), message, label);
        let plain = row.decimal_comma.then(|| field.replacen(',', ".", 1));
        let number = plain.as_deref().unwrap_or(field);
        let nanos = |unit: Option<u64>| {
            nanos_of(number, unit).map_err(|mistake| Found {
                mistake,
                line: row.line,
                span: row.span_of(index),
            })
        };
        match column {
            Column::Time(unit) => {
                at = SimTime(match import::date(field) {
                    Some(nanos) => nanos,
                    None => nanos(*unit)?,
                });
                if let Some(last) = last.filter(|last| *last > at) {
                    let message =
                        format!("`{field}` is earlier than the arrival before it, which is at {}", {
                            foreign::shown(last.0)
                        });
                    return Err(fail(message, "times must not decrease: sort the file by time".into()));
                }
            }
            Column::Unused => {}
            Column::Service(_) if field.is_empty() => {}
            Column::Service(unit) => service = Some(SimDuration(nanos(Some(*unit))?)),
            Column::Count => {
                let whole = count_of(field).filter(|count| *count <= MOST_COUNT);
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
    let class = class.map(|class| class.index as u16);
    Ok(Record { at, class, count, service })
}

/// A whole number, also as `1e3`, `1_000` or `1,000`.
fn count_of(field: &str) -> Option<u64> {
    if let Ok(count) = field.parse::<u64>() {
        return Some(count);
    }
    let mut groups = field.split(['_', ',']);
    let is_digits = |group: &str| !group.is_empty() && group.chars().all(|c| c.is_ascii_digit());
    if groups.clone().count() > 1 {
        let is_grouped = groups.next().is_some_and(|first| is_digits(first) && first.len() <= 3)
            && groups.all(|group| is_digits(group) && group.len() == 3);
        return is_grouped.then(|| field.replace(['_', ','], "").parse().ok()).flatten();
    }
    let number: f64 = field.parse().ok()?;
    (number.fract() == 0.0 && (0.0..=MOST_COUNT as f64).contains(&number)).then_some(number as u64)
}

/// A time in nanoseconds; whole numbers are exact. Without a unit it is that of a time since 1970 of this size: so many seconds
/// last until the year 5138, and so many milliseconds were over in 1973.
fn nanos_of(field: &str, unit: Option<u64>) -> Result<u64, Mistake> {
    let unit = unit.unwrap_or_else(|| match field.parse::<f64>() {
        Ok(number) if number >= 1e17 => 1,
        Ok(number) if number >= 1e14 => 1_000,
        Ok(number) if number >= 1e11 => 1_000_000,
        _ => 1_000_000_000,
    });
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
