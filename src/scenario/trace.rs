//! Recorded arrivals: a CSV file with a header, one arrival per line, ordered by time.
//!
//! Columns go by name: `time_s`, `time_ms`, `time_us` or `time_ns`; `class` (a name) or `priority` (one that
//! exactly one class has), which may be left out where there is one class only; and, if it was recorded, the
//! service demand as `service_s`, `_ms`, `_us` or `_ns`. Fields may be quoted, but hold no commas.

use std::ops::Range;

use super::diagnostic::{Code, did_you_mean};
use super::files::{DataFile, offset_in};
use super::log::Fault;
use super::reader::Section;
use crate::engine::time::{SimDuration, SimTime};
use crate::model::config::TracedArrival;
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
    name: &str,
    classes: &[Candidate],
) -> Option<Vec<TracedArrival>> {
    let mut file = DataFile::read(section, "file", name)?;
    let text = std::mem::take(&mut file.text);
    let mut mistakes = Vec::new();
    let arrivals = parse(&text, classes, &mut mistakes);
    file.text = text;
    for Mistake { line, span, fault } in mistakes {
        file.complain(section, line, (span.start, span.len()), fault);
    }
    if file.has_mistakes() {
        section.mark_bad("file");
        return None;
    }
    if arrivals.is_empty() {
        let message = format!("there are no arrivals in `{}`", file.shown);
        let label = "a header such as `time_us,class` and a line for each arrival";
        section.complain("file", Fault::new(Code::File, message, label));
        return None;
    }
    Some(arrivals)
}

struct Mistake {
    line: usize,
    span: Range<usize>,
    fault: Fault,
}

/// What a column holds; times with the nanoseconds of their unit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Time(u64),
    Service(u64),
    Class,
    Priority,
}

const COLUMNS: &[(&str, Column)] = &[
    ("time_s", Column::Time(1_000_000_000)),
    ("time_ms", Column::Time(1_000_000)),
    ("time_us", Column::Time(1_000)),
    ("time_ns", Column::Time(1)),
    ("class", Column::Class),
    ("priority", Column::Priority),
    ("service_s", Column::Service(1_000_000_000)),
    ("service_ms", Column::Service(1_000_000)),
    ("service_us", Column::Service(1_000)),
    ("service_ns", Column::Service(1)),
];

fn parse(text: &str, classes: &[Candidate], mistakes: &mut Vec<Mistake>) -> Vec<TracedArrival> {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = body.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let Some((header_index, header)) = lines.next() else { return Vec::new() };
    let Some(columns) = columns_of(text, header_index + 1, header, classes, mistakes) else {
        return Vec::new();
    };
    let mut arrivals: Vec<TracedArrival> = Vec::new();
    for (index, line) in lines {
        match arrival_of(text, line, &columns, classes, arrivals.last().map(|last| last.at)) {
            Ok(arrival) => arrivals.push(arrival),
            Err((span, fault)) => mistakes.push(Mistake { line: index + 1, span, fault }),
        }
        if mistakes.len() >= super::files::MOST_DATA_MISTAKES {
            break;
        }
    }
    arrivals
}

fn columns_of(
    text: &str,
    line: usize,
    header: &str,
    classes: &[Candidate],
    mistakes: &mut Vec<Mistake>,
) -> Option<Vec<Column>> {
    let before = mistakes.len();
    let mut columns: Vec<Column> = Vec::new();
    let whole = span_of(text, header);
    let mut wrong = |span, message: String, label: String| {
        mistakes.push(Mistake { line, span, fault: Fault::new(Code::File, message, label) });
    };
    let names = || COLUMNS.iter().map(|(name, _)| *name);
    let is_time = |column: &Column| matches!(column, Column::Time(_));
    let is_service = |column: &Column| matches!(column, Column::Service(_));
    let is_class = |column: &Column| matches!(column, Column::Class | Column::Priority);
    for field in header.split(',') {
        let name = unquoted(field);
        let Some((_, column)) = COLUMNS.iter().find(|(known, _)| *known == name) else {
            let message = format!("`{name}` is not a column of a trace{}", did_you_mean(name, names()));
            wrong(
                span_of(text, name),
                message,
                format!("allowed: {}", names().collect::<Vec<_>>().join(", ")),
            );
            continue;
        };
        for (same, what) in [
            (&is_time as &dyn Fn(&Column) -> bool, "the time"),
            (&is_service, "the service demand"),
            (&is_class, "the class"),
        ] {
            if same(column) && columns.iter().any(same) {
                wrong(span_of(text, name), format!("a second column says {what}"), "keep one of them".into());
            }
        }
        columns.push(*column);
    }
    if !columns.iter().any(is_time) {
        let label = "one of time_s, time_ms, time_us, time_ns".to_string();
        wrong(whole.clone(), "no column says when the jobs arrive".into(), label);
    }
    if !columns.iter().any(is_class) && classes.len() != 1 {
        let label = "a column `class` or `priority`".to_string();
        wrong(whole, format!("no column says which of the {} classes a job is of", classes.len()), label);
    }
    (mistakes.len() == before).then_some(columns)
}

type LineFault = (Range<usize>, Fault);

fn arrival_of(
    text: &str,
    line: &str,
    columns: &[Column],
    classes: &[Candidate],
    last: Option<SimTime>,
) -> Result<TracedArrival, LineFault> {
    let fields = line.split(',').count();
    if fields != columns.len() {
        let message = format!("the line has {fields} fields, but the header has {}", columns.len());
        return Err((span_of(text, line), Fault::new(Code::File, message, "")));
    }
    let (mut at, mut class, mut service) = (SimTime::ZERO, classes.first(), None);
    for (field, column) in line.split(',').zip(columns) {
        let field = unquoted(field);
        let fail =
            |message: String, label: String| (span_of(text, field), Fault::new(Code::File, message, label));
        let nanos = |unit: u64| nanos_of(field, unit).map_err(|fault| (span_of(text, field), fault));
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
            Column::Class => {
                class = classes.iter().find(|class| class.name == field);
                if class.is_none() {
                    let names = || classes.iter().map(|class| class.name.as_str());
                    let message = format!("there is no class `{field}`{}", did_you_mean(field, names()));
                    return Err(fail(
                        message,
                        format!("classes: {}", names().collect::<Vec<_>>().join(", ")),
                    ));
                }
            }
            Column::Priority => {
                let of_priority = || classes.iter().filter(|class| Ok(class.priority) == field.parse::<u8>());
                class = of_priority().next();
                let message = match of_priority().count() {
                    1 => continue,
                    0 => format!("no class has the priority `{field}`"),
                    many => format!(
                        "{many} classes have the priority `{field}`, so it does not tell which is meant"
                    ),
                };
                return Err(fail(message, "write a column `class` instead, or add the class".into()));
            }
        }
    }
    let class = class.map_or(0, |class| class.index) as u16;
    Ok(TracedArrival { at, class, service })
}

/// A time in nanoseconds; whole numbers are exact.
fn nanos_of(field: &str, unit: u64) -> Result<u64, Fault> {
    let most = Quantity::Duration.most() * 1e9;
    if let Some(nanos) = field.parse::<u64>().ok().and_then(|whole| whole.checked_mul(unit))
        && nanos as f64 <= most
    {
        return Ok(nanos);
    }
    let number: f64 = field.parse().map_err(|_| {
        Fault::new(Code::File, format!("`{field}` is not a number"), "the unit stands in the header")
    })?;
    let nanos = number * unit as f64;
    if number.is_finite() && (0.0..=most).contains(&nanos) {
        return Ok(nanos.round() as u64);
    }
    let message = format!("`{field}` is not a time from 0 to 100 years");
    Err(Fault::new(Code::File, message, "the unit stands in the header"))
}

fn unquoted(field: &str) -> &str {
    let field = field.trim();
    field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(field)
}

/// Bytes of `part`, a slice of `text`, in the file.
fn span_of(text: &str, part: &str) -> Range<usize> {
    let start = offset_in(text, part);
    start..start + part.len()
}
