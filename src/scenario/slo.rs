//! Service level objectives: `metric{class=NAME}.statistic op number`.

use std::ops::Range;

use super::diagnostic::{Code, did_you_mean};
use crate::model::metric::{Metric, Unit};
use crate::units::{self, UnitError};

/// One objective, as in `recovery_seconds.p95 < 120` or `lost_jobs{class=critical-alarm} == 0`.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    /// As written.
    pub expression: String,
    /// What is measured.
    pub metric: Metric,
    /// Index of the job class; `None` is the whole system.
    pub class: Option<usize>,
    /// Which figure over the replications.
    pub statistic: Statistic,
    /// How it is compared.
    pub relation: Relation,
    /// With what.
    pub limit: f64,
}

/// The statistic over the replications that an objective bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Statistic {
    /// Mean, when nothing else is written.
    #[default]
    Mean,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// 95th percentile: the smallest value that at least 95% of the replications do not exceed, so the largest one with
    /// fewer than 20 of them.
    P95,
}

/// How an objective compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

/// What is wrong with an expression: where, the message, and what is allowed.
#[derive(Debug)]
pub(super) struct SloFault {
    pub(super) span: Range<usize>,
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) label: String,
}

impl Statistic {
    const NAMES: [(&'static str, Statistic); 4] = [
        ("mean", Statistic::Mean),
        ("min", Statistic::Min),
        ("max", Statistic::Max),
        ("p95", Statistic::P95),
    ];
}

impl Relation {
    /// Whether it holds between what was observed and the limit.
    // Objectives compare counts for equality; a mean of zero jobs lost is exactly zero.
    #[allow(clippy::float_cmp)]
    pub fn holds(self, observed: f64, limit: f64) -> bool {
        match self {
            Self::Less => observed < limit,
            Self::LessOrEqual => observed <= limit,
            Self::Greater => observed > limit,
            Self::GreaterOrEqual => observed >= limit,
            Self::Equal => observed == limit,
            Self::NotEqual => observed != limit,
        }
    }

    /// The longer ones first, so that `<=` is not read as `<`.
    pub(crate) const NAMES: [(&'static str, Relation); 6] = [
        ("<=", Relation::LessOrEqual),
        (">=", Relation::GreaterOrEqual),
        ("==", Relation::Equal),
        ("!=", Relation::NotEqual),
        ("<", Relation::Less),
        (">", Relation::Greater),
    ];
}

impl Slo {
    /// Reads an expression; `classes` are the names of the job classes in their order.
    pub(super) fn parse(expression: &str, classes: &[&str]) -> Result<Slo, SloFault> {
        let mut scanner = Scanner { text: expression, at: 0 };
        let (name, span) = scanner.word();
        if name.is_empty() {
            return Err(scanner.expected("the name of a metric"));
        }
        let metric = metric_named(name).map_err(|message| {
            let label = if message.contains("did you mean") { String::new() } else { all_metrics() };
            SloFault { span, code: Code::UnknownName, message, label }
        })?;
        let class = if scanner.eat("{") { Some(class_of(&mut scanner, metric, classes)?) } else { None };
        let statistic = if scanner.eat(".") { statistic_of(&mut scanner)? } else { Statistic::default() };
        let Some(&(_, relation)) = Relation::NAMES.iter().find(|(symbol, _)| scanner.eat(symbol)) else {
            let mut fault = scanner.expected("a comparison");
            fault.label = "one of < <= > >= == !=".to_string();
            return Err(fault);
        };
        let (limit, span) = scanner.rest();
        let limit = limit_of(limit, metric.unit()).map_err(|error| SloFault {
            span,
            code: if error.is_about_the_range() { Code::OutOfRange } else { Code::WrongUnit },
            message: format!("the limit of `{name}`: {error}"),
            label: match metric.unit() {
                Unit::Jobs | Unit::Count => "a number such as 0 or 50k".to_string(),
                Unit::Seconds => "seconds such as 120, or a duration such as 2min".to_string(),
                Unit::Bytes => "bytes such as 1000000, or a size such as 2GiB".to_string(),
                Unit::Fraction => "a number from 0 to 1, or a percentage such as 5%".to_string(),
                Unit::PerSecond => "a number per second such as 6000, or a rate such as 6k/s".to_string(),
            },
        })?;
        Ok(Slo { expression: expression.trim().to_string(), metric, class, statistic, relation, limit })
    }
}

/// The metric of that name.
///
/// # Errors
///
/// A sentence that says there is none, and which name may be meant.
pub fn metric_named(name: &str) -> Result<Metric, String> {
    Metric::from_name(name).ok_or_else(|| {
        let near = did_you_mean(name, Metric::ALL.iter().map(|metric| metric.name()));
        format!("`{name}` is not a metric{near}; `simulate metrics` describes all")
    })
}

/// The names of all metrics.
pub(super) fn all_metrics() -> String {
    let all: Vec<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    format!("metrics: {}", all.join(", "))
}

/// How an objective writes a metric: `lost_jobs{class=critical-alarm}`.
pub fn name_of(metric: Metric, class: Option<&str>) -> String {
    match class {
        None => metric.name().to_owned(),
        Some(class) => format!("{}{{class={class}}}", metric.name()),
    }
}

/// What stands after `{`: `class=NAME}`, with or without quotes around the name.
fn class_of(scanner: &mut Scanner<'_>, metric: Metric, classes: &[&str]) -> Result<usize, SloFault> {
    let (label, span) = scanner.word();
    if label != "class" || !scanner.eat("=") {
        let message = "only a class can stand in the braces".to_string();
        return Err(SloFault {
            span,
            code: Code::Syntax,
            message,
            label: "written {class=NAME}".to_string(),
        });
    }
    let (written, span) = scanner.until('}');
    let name = written.trim_matches(['"', '\'']);
    if !scanner.eat("}") {
        return Err(scanner.expected("`}`"));
    }
    if !metric.per_class() {
        let message = format!("`{}` is measured for the whole system only", metric.name());
        let per_class: Vec<_> = Metric::ALL.iter().filter(|m| m.per_class()).map(|m| m.name()).collect();
        let label = format!("for one class there are {}", per_class.join(", "));
        return Err(SloFault { span, code: Code::Conflict, message, label });
    }
    classes.iter().position(|class| *class == name).ok_or_else(|| {
        let near = did_you_mean(name, classes.iter().copied());
        let message = format!("there is no class `{name}`{near}");
        SloFault { span, code: Code::UnknownName, message, label: format!("classes: {}", classes.join(", ")) }
    })
}

fn statistic_of(scanner: &mut Scanner<'_>) -> Result<Statistic, SloFault> {
    let (name, span) = scanner.word();
    let found = Statistic::NAMES.iter().find(|(known, _)| *known == name);
    found.map(|(_, statistic)| *statistic).ok_or_else(|| {
        let near = did_you_mean(name, Statistic::NAMES.iter().map(|(known, _)| *known));
        let label = "over the replications: mean, min, max or p95".to_string();
        SloFault {
            span,
            code: Code::UnknownName,
            message: format!("`{name}` is not a statistic{near}"),
            label,
        }
    })
}

/// A plain number is in the unit of the metric.
fn limit_of(text: &str, unit: Unit) -> Result<f64, UnitError> {
    let plain = units::parse_number(text);
    match unit {
        Unit::Jobs | Unit::Count => plain,
        Unit::Fraction => units::parse_fraction(text),
        Unit::Seconds => plain.or_else(|_| units::parse_duration(text)),
        Unit::Bytes => plain.or_else(|_| units::parse_size(text)),
        Unit::PerSecond => plain.or_else(|_| units::parse_rate(text)),
    }
}

/// Scans an expression; spaces between its tokens do not matter.
struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    fn skip_spaces(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn word(&mut self) -> (&'t str, Range<usize>) {
        self.take(|c| !(c.is_alphanumeric() || c == '_'))
    }

    fn until(&mut self, end: char) -> (&'t str, Range<usize>) {
        let (text, span) = self.take(|c| c == end);
        let trimmed = text.trim_end();
        (trimmed, span.start..span.start + trimmed.len())
    }

    fn rest(&mut self) -> (&'t str, Range<usize>) {
        let (text, span) = self.take(|_| false);
        let trimmed = text.trim_end();
        (trimmed, span.start..span.start + trimmed.len())
    }

    fn take(&mut self, ends: impl Fn(char) -> bool) -> (&'t str, Range<usize>) {
        self.skip_spaces();
        let start = self.at;
        let rest = &self.text[start..];
        self.at += rest.find(ends).unwrap_or(rest.len());
        (&self.text[start..self.at], start..self.at)
    }

    fn eat(&mut self, symbol: &str) -> bool {
        self.skip_spaces();
        let found = self.text[self.at..].starts_with(symbol);
        self.at += if found { symbol.len() } else { 0 };
        found
    }

    fn expected(&mut self, what: &str) -> SloFault {
        self.skip_spaces();
        let found = self.text[self.at..].chars().next();
        let message = match found {
            Some(found) => format!("expected {what}, found `{found}`"),
            None => format!("expected {what} at the end"),
        };
        let end = self.at + found.map_or(0, char::len_utf8);
        let label = "written metric{class=NAME}.statistic < number".to_string();
        SloFault { span: self.at..end, code: Code::Syntax, message, label }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, expected: (Metric, Option<usize>, Statistic, Relation, f64)) {
        let slo =
            Slo::parse(expression, &["critical-alarm", "user.login"]).map_err(|fault| fault.message).unwrap();
        assert_eq!((slo.metric, slo.class, slo.statistic, slo.relation, slo.limit), expected);
    }

    #[track_caller]
    fn refuse(expression: &str, marked: &str, expected: &str) {
        let fault = Slo::parse(expression, &["critical-alarm"]).expect_err("must be refused");
        assert!(fault.message.contains(expected), "{}", fault.message);
        assert_eq!(&expression[fault.span], marked);
    }

    #[test]
    fn expressions() {
        use Relation::{Equal, GreaterOrEqual, Less, LessOrEqual};
        check("recovery_seconds.p95 < 120", (Metric::Recovery, None, Statistic::P95, Less, 120.0));
        check("recovery_seconds < 2min", (Metric::Recovery, None, Statistic::Mean, Less, 120.0));
        check("peak_depth_jobs<=51k", (Metric::PeakDepth, None, Statistic::Mean, LessOrEqual, 51_000.0));
        check("lost_jobs{class=critical-alarm} == 0", (Metric::Lost, Some(0), Statistic::Mean, Equal, 0.0));
        check(
            "lost_jobs { class = \"user.login\" } .max == 0",
            (Metric::Lost, Some(1), Statistic::Max, Equal, 0.0),
        );
        check(
            "worker_utilisation >= 80%",
            (Metric::WorkerUtilisation, None, Statistic::Mean, GreaterOrEqual, 0.8),
        );
        check("redis_peak_bytes < 2GiB", (Metric::RedisPeak, None, Statistic::Mean, Less, 2_147_483_648.0));
        check(
            "goodput_per_second >= 6k/s",
            (Metric::Goodput, None, Statistic::Mean, GreaterOrEqual, 6_000.0),
        );
        check("mean_depth_jobs < 12.5", (Metric::MeanDepth, None, Statistic::Mean, Less, 12.5));
    }

    #[test]
    fn mistakes_are_marked() {
        refuse("", "", "expected the name of a metric");
        refuse("peak_dept_jobs < 1", "peak_dept_jobs", "did you mean `peak_depth_jobs`?");
        refuse("peak_depth_jobs{class=critical-alarm} < 1", "critical-alarm", "whole system only");
        refuse("lost_jobs{class=critical-alrm} < 1", "critical-alrm", "did you mean `critical-alarm`?");
        refuse("lost_jobs{prio=1} < 1", "prio", "only a class");
        refuse("lost_jobs{class=critical-alarm < 1", "", "expected `}`");
        refuse("lost_jobs.p99 < 1", "p99", "not a statistic; did you mean `p95`?");
        refuse("lost_jobs = 1", "=", "expected a comparison");
        refuse("lost_jobs", "", "expected a comparison at the end");
        refuse("lost_jobs < 5s", "5s", "is a duration");
        refuse("lost_jobs < -1", "-1", "negative");
        refuse("lost_jobs < nan", "nan", "not a finite number");
        refuse("lost_jobs <", "", "empty");
        refuse("rejection_probability < 5", "5", "above the largest allowed");
        refuse("recovery_seconds < 5 parsecs", "5 parsecs", "not a unit of a duration");
    }
}
