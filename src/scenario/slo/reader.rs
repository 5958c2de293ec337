//! Reads the expressions of objectives.
//!
//! ```text
//! objective = subject [ "{" label { "," label } "}" ] [ "." statistic ] relation limit
//! subject   = metric | ("wait_p" | "sojourn_p") number "_seconds"
//!           | "share" "(" within ")" | "error_budget" "(" percentage [ "," within ] ")"
//! within    = ("wait_seconds" | "sojourn_seconds") ("<" | "<=") duration
//! label     = ("class" | "phase") "=" name | ("from" | "to") "=" duration
//! ```

use std::ops::Range;

use super::scanner::{Scanner, SloFault, fault};
use super::{Relation, Slo, Statistic, Subject, all_metrics, metric_named};
use crate::engine::time::{SimDuration, SimTime};
use crate::model::config::{ArrivalSource, ModelConfig, Part, Phase, Quantity, Question, Span, Within};
use crate::model::disturbance::Disturbance;
use crate::model::metric::{Metric, Unit};
use crate::scenario::diagnostic::{Code, did_you_mean};
use crate::units::{self, UnitError};

/// What stands in the braces.
#[derive(Default)]
struct Labels {
    class: Option<usize>,
    part: Option<Part>,
    /// As written, but for the class.
    written: Vec<String>,
}

/// Reads one, and enters what it asks beyond the metrics into the model.
pub(super) fn read(expression: &str, model: &mut ModelConfig) -> Result<Slo, SloFault> {
    let mut scanner = Scanner { text: expression, at: 0 };
    let (quantity, name, span) = read_subject(&mut scanner)?;
    let labels = if scanner.eat("{") { read_labels(&mut scanner, model)? } else { Labels::default() };
    must_fit(&quantity, &labels, model, &name, span)?;
    let statistic = if scanner.eat(".") { read_statistic(&mut scanner)? } else { Statistic::default() };
    let Some(&(_, relation)) = Relation::NAMES.iter().find(|(symbol, _)| scanner.eat(symbol)) else {
        let mut fault = scanner.expected("a comparison");
        fault.label = "one of < <= > >= == !=".to_string();
        return Err(fault);
    };
    let Labels { class, part, written } = labels;
    let subject = match (quantity, part) {
        (Quantity::Metric(metric), None) => Subject::Metric(metric),
        (quantity, part) => {
            let labels =
                if written.is_empty() { String::new() } else { format!("{{{}}}", written.join(", ")) };
            let question = Question { class, part, quantity };
            Subject::Question {
                index: enter(model, &question),
                name: name.clone() + &labels,
                question: question.into(),
            }
        }
    };
    let (limit, span) = scanner.rest();
    let limit = read_limit(limit, &subject).map_err(|error| {
        let code = if error.is_about_the_range() { Code::OutOfRange } else { Code::WrongUnit };
        fault(span, code, format!("the limit of `{name}`: {error}"), limit_label(subject.unit()))
    })?;
    Ok(Slo { expression: expression.trim().to_string(), subject, class, statistic, relation, limit })
}

/// The place of a question in the model, which also counts its part apart.
fn enter(model: &mut ModelConfig, question: &Question) -> usize {
    if let Some(part) = question.part.as_ref().filter(|part| !model.parts.contains(part)) {
        model.parts.push(part.clone());
    }
    model.questions.iter().position(|known| known == question).unwrap_or_else(|| {
        model.questions.push(question.clone());
        model.questions.len() - 1
    })
}

/// The left side without labels and statistic: what it is, as written, and where.
fn read_subject(scanner: &mut Scanner<'_>) -> Result<(Quantity, String, Range<usize>), SloFault> {
    let (name, span) = scanner.word();
    let start = span.start;
    let quantity = match name {
        "" => return Err(scanner.expected("the name of a metric")),
        "share" => {
            open(scanner, "share(wait_seconds < 2s)")?;
            let within = read_within(scanner)?;
            close(scanner)?;
            Quantity::Share(within)
        }
        "error_budget" => read_error_budget(scanner)?,
        _ => match read_percentile(scanner, name, &span)? {
            Some(quantity) => quantity,
            None => Quantity::Metric(metric_named(name).map_err(|message| {
                let label = if message.contains("did you mean") { String::new() } else { all_metrics() };
                fault(span.clone(), Code::UnknownName, message, label)
            })?),
        },
    };
    let span = start..scanner.at;
    Ok((quantity, evenly_spaced(&scanner.text[span.clone()]), span))
}

/// `share(wait_seconds < 2s)`, however it was spaced.
fn evenly_spaced(text: &str) -> String {
    let packed: String = text.split_whitespace().collect();
    packed.replace("<=", "≤").replace('<', " < ").replace('≤', " <= ").replace(',', ", ")
}

fn open(scanner: &mut Scanner<'_>, example: &str) -> Result<(), SloFault> {
    if scanner.eat("(") {
        return Ok(());
    }
    let mut fault = scanner.expected("`(`");
    fault.label = format!("written {example}");
    Err(fault)
}

fn close(scanner: &mut Scanner<'_>) -> Result<(), SloFault> {
    if scanner.eat(")") { Ok(()) } else { Err(scanner.expected("`)`")) }
}

/// `wait_seconds < 2s`.
fn read_within(scanner: &mut Scanner<'_>) -> Result<Within, SloFault> {
    const SPANS: [(&str, Span); 2] = [("wait_seconds", Span::Wait), ("sojourn_seconds", Span::Sojourn)];
    let (name, at) = scanner.word();
    let Some(&(_, span)) = SPANS.iter().find(|(known, _)| *known == name) else {
        let near = did_you_mean(name, SPANS.iter().map(|(known, _)| *known));
        let message = format!("`{name}` is not a time of a job{near}");
        return Err(fault(at, Code::UnknownName, message, "wait_seconds or sojourn_seconds"));
    };
    let inclusive = scanner.eat("<=");
    if !inclusive && !scanner.eat("<") {
        let mut fault = scanner.expected("`<` or `<=`");
        fault.label = "such as wait_seconds < 2s".to_string();
        return Err(fault);
    }
    let (text, at) = scanner.until(&[')', ',']);
    let limit = units::parse_number(text).or_else(|_| units::parse_duration(text));
    let limit = limit.map_err(|error| {
        fault(at, Code::WrongUnit, format!("the limit of `{name}`: {error}"), limit_label(Unit::Seconds))
    })?;
    Ok(Within { span, limit, inclusive })
}

/// `(99.9%)` or `(99.9%, wait_seconds < 2s)`.
fn read_error_budget(scanner: &mut Scanner<'_>) -> Result<Quantity, SloFault> {
    open(scanner, "error_budget(99.9%)")?;
    let (text, at) = scanner.until(&[')', ',']);
    let target = units::parse_fraction(text).map_err(|error| {
        fault(at.clone(), Code::WrongUnit, format!("the target of `error_budget`: {error}"), "such as 99.9%")
    })?;
    if target >= 1.0 {
        let message = "`error_budget` of 100% leaves nothing to use up".to_string();
        return Err(fault(at, Code::OutOfRange, message, "such as 99.9%"));
    }
    let within = if scanner.eat(",") { Some(read_within(scanner)?) } else { None };
    close(scanner)?;
    Ok(Quantity::ErrorBudget { allowed: 1.0 - target, within })
}

/// `wait_p99.9_seconds`, of which the scanner has read the name up to the point; `None` if it is no percentile.
fn read_percentile(
    scanner: &mut Scanner<'_>,
    name: &str,
    at: &Range<usize>,
) -> Result<Option<Quantity>, SloFault> {
    let spans = [("wait_p", Span::Wait), ("sojourn_p", Span::Sojourn)];
    let of_span = spans.iter().find_map(|(prefix, span)| Some((*span, name.strip_prefix(prefix)?)));
    let Some((span, rest)) = of_span.filter(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
    else {
        return Ok(None);
    };
    let mut digits = rest.to_string();
    let mut end = at.end;
    if digits.bytes().all(|byte| byte.is_ascii_digit()) && scanner.eat(".") {
        let (decimals, at) = scanner.word();
        digits = format!("{digits}.{decimals}");
        end = at.end;
    }
    let wrong = |label: &str| {
        let message = format!("`{}` is not a percentile", &scanner.text[at.start..end]);
        fault(at.start..end, Code::UnknownName, message, label)
    };
    let digits = digits.strip_suffix("_seconds").ok_or_else(|| wrong("such as wait_p99.9_seconds"))?;
    let percent: f64 = digits.parse().map_err(|_| wrong("such as wait_p99.9_seconds"))?;
    if !(percent > 0.0 && percent < 100.0) {
        return Err(wrong("above 0 and below 100"));
    }
    let metric = Metric::from_name(name).filter(|_| end == at.end);
    Ok(Some(metric.map_or(Quantity::Percentile(span, percent / 100.0), Quantity::Metric)))
}

/// What stands after `{`.
fn read_labels(scanner: &mut Scanner<'_>, model: &ModelConfig) -> Result<Labels, SloFault> {
    let mut labels = Labels::default();
    let (mut from, mut to) = (None, None);
    let start = scanner.at;
    loop {
        let (label, at) = scanner.word();
        let is_known = ["class", "phase", "from", "to"].contains(&label);
        if !is_known || !scanner.eat("=") {
            let message = "only a class and a part of the run can stand in the braces".to_string();
            let label = "written {class=NAME}, {phase=NAME} or {from=60s, to=150s}";
            return Err(fault(at, Code::Syntax, message, label));
        }
        let (written, value_at) = scanner.until(&[',', '}']);
        if scanner.is_at_end() {
            return Err(scanner.expected("`}`"));
        }
        let value = written.trim_matches(['"', '\'']);
        let is_twice = match label {
            "class" => labels.class.replace(class_named(value, value_at, model)?).is_some(),
            "phase" => labels.part.replace(part_named(value, value_at, model)?).is_some(),
            "from" => from.replace(moment(value, value_at)?).is_some(),
            _ => to.replace(moment(value, value_at)?).is_some(),
        };
        if is_twice {
            return Err(fault(at, Code::Conflict, format!("`{label}` stands twice"), ""));
        }
        if label != "class" {
            labels.written.push(format!("{label}={value}"));
        }
        if !scanner.eat(",") {
            break;
        }
    }
    let end = scanner.at;
    if !scanner.eat("}") {
        return Err(scanner.expected("`}`"));
    }
    if from.is_some() || to.is_some() {
        let span = (from.unwrap_or(SimTime::ZERO), to.unwrap_or(SimTime(model.horizon.0)));
        let part = Part { spans: vec![span] };
        let of_run = format!("within the run of {}s", model.horizon.as_secs_f64());
        if labels.part.is_some() {
            let message = "a part is either a phase or a time".to_string();
            return Err(fault(start..end, Code::Conflict, message, ""));
        }
        if span.0 >= span.1 || part.seconds(SimTime(model.horizon.0)) <= 0.0 {
            let message = "no time lies between `from` and `to`".to_string();
            return Err(fault(start..end, Code::OutOfRange, message, of_run));
        }
        labels.part = Some(part);
    }
    Ok(labels)
}

fn moment(text: &str, at: Range<usize>) -> Result<SimTime, SloFault> {
    let seconds = units::parse_number(text).or_else(|_| units::parse_duration(text)).map_err(|error| {
        fault(at, Code::WrongUnit, error.to_string(), "a time of the run such as 60s or 2min")
    })?;
    Ok(SimTime::ZERO + SimDuration::from_secs_f64(seconds))
}

fn class_named(name: &str, at: Range<usize>, model: &ModelConfig) -> Result<usize, SloFault> {
    let names: Vec<&str> = model.classes.iter().map(|class| class.name.as_str()).collect();
    names.iter().position(|class| *class == name).ok_or_else(|| {
        let near = did_you_mean(name, names.iter().copied());
        let message = format!("there is no class `{name}`{near}");
        fault(at, Code::UnknownName, message, format!("classes: {}", names.join(", ")))
    })
}

/// The phases of that name, or what comes before the first and after the last spike or fault.
fn part_named(name: &str, at: Range<usize>, model: &ModelConfig) -> Result<Part, SloFault> {
    let horizon = SimTime(model.horizon.0);
    let phases = || model.sources.iter().flat_map(ArrivalSource::phase_spans);
    let named = phases()
        .filter(|(_, phase)| phase.name == name)
        .map(|(begin, phase)| (begin, phase.end.min(horizon)));
    let mut spans: Vec<(SimTime, SimTime)> = named.filter(|(begin, end)| begin < end).collect();
    spans.sort_unstable();
    spans.dedup();
    if spans.is_empty()
        && let Some(Disturbance { begin, end }) = Disturbance::of(model)
    {
        match name {
            "before" => spans.push((SimTime::ZERO, begin)),
            "after" => spans.push((end, horizon)),
            _ => {}
        }
    }
    let part = Part { spans };
    if part.seconds(horizon) > 0.0 {
        return Ok(part);
    }
    let is_within = |(begin, _): &(SimTime, &Phase)| *begin < horizon;
    let mut names: Vec<&str> = phases().filter(is_within).map(|(_, phase)| phase.name.as_str()).collect();
    if let Some(Disturbance { begin, end }) = Disturbance::of(model) {
        names.extend((begin > SimTime::ZERO).then_some("before"));
        names.extend((end < horizon).then_some("after"));
    } else if ["before", "after"].contains(&name) {
        let message = format!("no spike and no fault disturbs the run, so nothing is `{name}` it");
        return Err(fault(at, Code::Conflict, message, format!("phases: {}", names.join(", "))));
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    let near = did_you_mean(name, names.iter().copied());
    let message = format!("no phase `{name}` lies within the run{near}");
    Err(fault(at, Code::UnknownName, message, format!("phases: {}", names.join(", "))))
}

/// Metrics of the system have neither a class nor a part.
fn must_fit(
    quantity: &Quantity,
    labels: &Labels,
    model: &ModelConfig,
    name: &str,
    span: Range<usize>,
) -> Result<(), SloFault> {
    match quantity {
        Quantity::Metric(metric)
            if !metric.per_class() && (labels.class.is_some() || labels.part.is_some()) =>
        {
            let message = format!("`{name}` is measured for the whole system and the whole run only");
            let of_jobs: Vec<_> = Metric::ALL
                .iter()
                .filter(|m| m.per_class() && (labels.part.is_none() || m.is_counted_in_parts()))
                .map(|m| m.name())
                .collect();
            let label = format!("for one class or one part there are {}", of_jobs.join(", "));
            Err(fault(span, Code::Conflict, message, label))
        }
        Quantity::Metric(metric) if labels.part.is_some() && !metric.is_counted_in_parts() => {
            let message = format!("`{name}` counts attempts, which outlast a part of the run");
            Err(fault(span, Code::Conflict, message, "of the whole run only"))
        }
        Quantity::ErrorBudget { within: Some(_), .. } if model.clients.is_some() => {
            let message = "with `[clients]`, an error budget is of requests, and the times are of jobs";
            Err(fault(span, Code::Conflict, message.to_string(), "written error_budget(99.9%)"))
        }
        Quantity::ErrorBudget { .. } if labels.part.is_some() && model.clients.is_some() => {
            let message = "with `[clients]`, an error budget is of requests, which outlast a part of the run";
            Err(fault(span, Code::Conflict, message.to_string(), "of the whole run only"))
        }
        _ => Ok(()),
    }
}

fn read_statistic(scanner: &mut Scanner<'_>) -> Result<Statistic, SloFault> {
    let (name, span) = scanner.word();
    let found = Statistic::NAMES.iter().find(|(known, _)| *known == name);
    found.map(|(_, statistic)| *statistic).ok_or_else(|| {
        let near = did_you_mean(name, Statistic::NAMES.iter().map(|(known, _)| *known));
        let label = "over the replications: mean, min, max or p95";
        fault(span, Code::UnknownName, format!("`{name}` is not a statistic{near}"), label)
    })
}

/// A plain number is in the unit of the subject.
fn read_limit(text: &str, subject: &Subject) -> Result<f64, UnitError> {
    let plain = units::parse_number(text);
    match subject.unit() {
        Unit::Jobs | Unit::Count => plain,
        Unit::Fraction => units::parse_fraction(text),
        Unit::Seconds => plain.or_else(|_| units::parse_duration(text)),
        Unit::Bytes => plain.or_else(|_| units::parse_size(text)),
        Unit::PerSecond => plain.or_else(|_| units::parse_rate(text)),
    }
}

fn limit_label(unit: Unit) -> &'static str {
    match unit {
        Unit::Jobs | Unit::Count => "a number such as 0 or 50k",
        Unit::Seconds => "seconds such as 120, or a duration such as 2min",
        Unit::Bytes => "bytes such as 1000000, or a size such as 2GiB",
        Unit::Fraction => "a number from 0 to 1, or a percentage such as 5%",
        Unit::PerSecond => "a number per second such as 6000, or a rate such as 6k/s",
    }
}
