//! One axis of a grid: a setting and the values it takes, as in
//!
//! ```text
//! policy.critical=5k..100k:*2          from, to, factor
//! workers.processes=2..12              from, to, step 1
//! redis.maxmemory=1GiB..4GiB:512MiB    from, to, step
//! workers.concurrency=10,20,40         one by one
//! queue.discipline=fifo,priority       names
//! policy.warning=0.1,0.2 of policy.critical     fractions of another setting
//! ```

use std::ops::Range;

use crate::scenario::{Diagnostic, DiagnosticCode as Code, Kind, Location, Setting, did_you_mean};
use crate::units::Quantity;

/// A setting and the values it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The setting, as `--set` names it.
    pub path: String,
    /// What values it takes.
    pub kind: Kind,
    /// The setting that the values are fractions of.
    pub of: Option<String>,
    /// The values in their order.
    pub points: Vec<Point>,
}

/// A value of an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// As `--set` takes it; for an axis of fractions the fraction.
    pub written: String,
    /// The number: seconds, jobs per second, bytes, a fraction or a count; `None` of a name.
    pub number: Option<f64>,
}

/// More values of one axis are a mistake.
const MOST_POINTS: usize = 100_000;

impl Axis {
    /// Reads an axis; `origin` says where it is written.
    pub fn parse(text: &str, origin: &str, settings: &[Setting]) -> Result<Axis, Box<Diagnostic>> {
        Reading { text, origin, settings }.axis()
    }
}

/// A number as `--set` takes it for a setting of that kind.
pub(super) fn written(number: f64, kind: &Kind) -> String {
    match kind {
        Kind::Whole { .. } => format!("{}", number.round()),
        Kind::Quantity(quantity) | Kind::ChoiceOr(_, quantity) | Kind::Distribution(quantity) => {
            match quantity {
                Quantity::Count => format!("{}", number.round()),
                Quantity::Duration => format!("{number}s"),
                Quantity::Rate => format!("{number}/s"),
                Quantity::Size => format!("{}B", number.round()),
                Quantity::Fraction => format!("{number}"),
            }
        }
        _ => format!("{number}"),
    }
}

struct Reading<'t> {
    text: &'t str,
    origin: &'t str,
    settings: &'t [Setting],
}

impl<'t> Reading<'t> {
    fn axis(&self) -> Result<Axis, Box<Diagnostic>> {
        let (setting, values_at) = self.setting()?;
        let (values, of) = self.split_of(values_at, setting)?;
        let mut points = Vec::new();
        for item in split_at_commas(&self.text[values.clone()]) {
            let span = values.start + item.start..values.start + item.end;
            self.points(span, setting, of.is_some(), &mut points)?;
        }
        let mut seen: Vec<&str> = points.iter().map(|point| point.written.as_str()).collect();
        seen.sort_unstable();
        if let Some(twice) = seen.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(self.fault(values, Code::Conflict, format!("`{}` is there twice", twice[0]), ""));
        }
        Ok(Axis { path: setting.path.clone(), kind: setting.kind.clone(), of, points })
    }

    /// The setting named, and where its values begin.
    fn setting(&self) -> Result<(&'t Setting, usize), Box<Diagnostic>> {
        let start = self.text.len() - self.text.trim_start().len();
        let named = self.settings.iter().find_map(|setting| {
            let rest =
                self.text[start..].strip_prefix(setting.path.as_str())?.trim_start().strip_prefix('=')?;
            Some((setting, self.text.len() - rest.len()))
        });
        let found = named.ok_or_else(|| {
            let name = self.text[start..].split('=').next().unwrap_or_default().trim_end();
            if !self.text.contains('=') {
                let label = "written setting=values, as in policy.critical=5k..100k:*2";
                return self.fault(0..self.text.len(), Code::Syntax, "there is no `=`", label);
            }
            let near = did_you_mean(name, self.settings.iter().map(|setting| setting.path.as_str()));
            let label = "`simulate config` lists the settings of a scenario";
            let message = format!("`{name}` is not a setting of this scenario{near}");
            self.fault(start..start + name.len(), Code::UnknownName, message, label)
        })?;
        let kind = &found.0.kind;
        if matches!(kind, Kind::Table | Kind::Tables | Kind::Texts) {
            let message = format!("`{}` is {kind}, which has no values to go through", found.0.path);
            return Err(self.fault(
                start..start + found.0.path.len(),
                Code::WrongType,
                message,
                "choose a setting in it",
            ));
        }
        Ok(found)
    }

    /// The values, and the setting they are fractions of.
    fn split_of(
        &self,
        start: usize,
        setting: &Setting,
    ) -> Result<(Range<usize>, Option<String>), Box<Diagnostic>> {
        let Some(at) = self.text[start..].find(" of ") else { return Ok((start..self.text.len(), None)) };
        let rest = self.text[start + at + 4..].trim();
        let span = start + at + 4..self.text.len();
        let Some(other) = self.settings.iter().find(|setting| setting.path == rest) else {
            let near = did_you_mean(rest, self.settings.iter().map(|setting| setting.path.as_str()));
            let message = format!("`{rest}` is not a setting of this scenario{near}");
            return Err(self.fault(span, Code::UnknownName, message, ""));
        };
        if other.path == setting.path {
            return Err(self.fault(span, Code::Conflict, "a setting cannot be a fraction of itself", ""));
        }
        let has_numbers = |kind: &Kind| !matches!(kind, Kind::Boolean | Kind::Text | Kind::Choice(_));
        if !has_numbers(&setting.kind) || !has_numbers(&other.kind) {
            return Err(self.fault(span, Code::WrongType, "only a number can be a fraction of another", ""));
        }
        Ok((start..start + at, Some(other.path.clone())))
    }

    /// The points of one item: a value, or a range of them.
    fn points(
        &self,
        span: Range<usize>,
        setting: &Setting,
        fractions: bool,
        points: &mut Vec<Point>,
    ) -> Result<(), Box<Diagnostic>> {
        let kind = if fractions { &Kind::Number { least: 0.0, most: f64::MAX } } else { &setting.kind };
        let item = self.text[span.clone()].trim();
        let refuse =
            |message: String, label: &str| Err(self.fault(span.clone(), Code::OutOfRange, message, label));
        if item.is_empty() {
            return refuse("a value is missing".into(), "written value,value or from..to:step");
        }
        let Some((from, rest)) = item.split_once("..") else {
            let number = kind.number_of(item);
            if number.is_none()
                && let Some((from, to)) = item.split_once(['-', '–', '…'])
                && kind.number_of(from).is_some()
                && kind.number_of(to).is_some()
            {
                let message =
                    format!("`{item}` is not a value; did you mean `{}..{}`?", from.trim(), to.trim());
                return refuse(message, "a range is written from..to, or from..to:step");
            }
            if fractions && number.is_none() {
                return refuse(format!("`{item}` is not a number"), "a fraction such as 0.5");
            }
            points.push(Point { written: item.to_string(), number });
            return Ok(());
        };
        let (to, step) = rest.split_once(':').unwrap_or((rest, "1"));
        let (step, is_factor) = step.trim().strip_prefix('*').map_or((step, false), |factor| (factor, true));
        let bound = |text: &str, kind: &Kind| {
            kind.number_of(text).ok_or_else(|| {
                let message = format!("`{}` is not {kind}", text.trim());
                self.fault(
                    span.clone(),
                    Code::WrongType,
                    message,
                    "written from..to:step or from..to:*factor",
                )
            })
        };
        let factor_kind = Kind::Number { least: 0.0, most: f64::MAX };
        let (first, last) = (bound(from, kind)?, bound(to, kind)?);
        let step = bound(step, if is_factor { &factor_kind } else { kind })?;
        if last < first {
            return refuse(format!("`{item}` ends before it begins"), "from the smaller to the larger");
        }
        if is_factor && (step <= 1.0 || first <= 0.0) {
            return refuse(format!("`{item}` never ends"), "a factor above 1 on a value above 0");
        }
        if !is_factor && step <= 0.0 {
            return refuse(format!("`{item}` never ends"), "a step above 0");
        }
        for index in 0.. {
            let number = if is_factor { first * step.powi(index) } else { first + step * f64::from(index) };
            let number = match kind {
                // A factor such as 1.5 leads past whole numbers; each is there once.
                Kind::Whole { .. } | Kind::ChoiceOr(_, Quantity::Count) => number.round(),
                _ => tidy(number),
            };
            if number > last * (1.0 + 1e-9) {
                break;
            }
            // Steps count as well: rounded to whole numbers, a factor near 1 stays where it is.
            if points.len() == MOST_POINTS || index as usize == MOST_POINTS {
                return refuse(format!("`{item}` has more than {MOST_POINTS} values"), "a larger step");
            }
            if index > 0 && points.last().is_some_and(|point| point.number == Some(number)) {
                continue;
            }
            points.push(Point { written: written(number, kind), number: Some(number) });
        }
        Ok(())
    }

    fn fault(
        &self,
        span: Range<usize>,
        code: Code,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Box<Diagnostic> {
        let at = Location::of(self.origin, self.text, None, span);
        Box::new(Diagnostic { code, message: message.into(), at, label: label.into() })
    }
}

/// Rounds to twelve significant digits, which removes the noise of floating-point sums.
pub(super) fn tidy(number: f64) -> f64 {
    format!("{number:.11e}").parse().unwrap_or(number)
}

/// The parts between commas that are not within quotes or brackets.
fn split_at_commas(text: &str) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut depth, mut quote) = (0, 0_i32, None);
    for (at, c) in text.char_indices() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) => quote = Some(c),
            ('[' | '{', None) => depth += 1,
            (']' | '}', None) => depth -= 1,
            (',', None) if depth <= 0 => {
                parts.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(start..text.len());
    parts
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn settings() -> Vec<Setting> {
        let text = "duration = '1s'\n[arrivals]\nrate = '1/s'\n[workers]\nservice_time = '1ms'\n[redis]\nmaxmemory = '1GiB'";
        crate::scenario::from_str(text, "x.toml", Path::new(""), &[]).expect("it is valid").settings
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let axis = Axis::parse(text, "--grid", &settings()).map_err(|fault| fault.to_string()).unwrap();
        let written: Vec<&str> = axis.points.iter().map(|point| point.written.as_str()).collect();
        assert_eq!(written, expected);
    }

    #[track_caller]
    fn refuse(text: &str, expected: &str) {
        let fault = Axis::parse(text, "--grid", &settings()).expect_err("must be refused");
        assert!(fault.to_string().contains(expected), "{fault}");
    }

    #[test]
    fn ranges_and_lists() {
        check("policy.critical=5k..100k:*2", &["5000", "10000", "20000", "40000", "80000"]);
        check("workers.processes = 2..5", &["2", "3", "4", "5"]);
        check("workers.processes=1..10:*1.5", &["1", "2", "3", "5", "8"]);
        check("workers.concurrency=10,20,40", &["10", "20", "40"]);
        check("policy.shed_at=0.1..0.3:0.1,0.8", &["0.1", "0.2", "0.3", "0.8"]);
        check("gateway.check_latency=1ms..3ms:1ms", &["0.001s", "0.002s", "0.003s"]);
        check("redis.maxmemory=none,1GiB", &["none", "1GiB"]);
        check("queue.discipline=fifo,priority", &["fifo", "priority"]);
        check("policy.warning=0.1..0.3:0.1 of policy.critical", &["0.1", "0.2", "0.3"]);
    }

    #[test]
    fn mistakes_are_marked() {
        refuse("policy.critcal=5k", "did you mean `policy.critical`?");
        refuse("policy.critical", "there is no `=`");
        refuse("policy=5k", "a table");
        refuse("policy.critical=", "a value is missing");
        refuse("policy.critical=5k..1k", "ends before it begins");
        refuse("policy.critical=5k..10k:*1", "never ends");
        refuse("policy.critical=5k..10k:0", "never ends");
        refuse("policy.critical=5k..x", "`x` is not a whole number");
        refuse("workers.processes=1..4:0.5", "`0.5` is not a whole number");
        refuse("workers.processes=1..1000:*1.000000001", "more than 100000 values");
        refuse("workers.processes=4-8", "did you mean `4..8`?");
        refuse("policy.critical=5k-10k", "did you mean `5k..10k`?");
        refuse("policy.critical=5000,5000", "there twice");
        refuse("policy.critical=1..1M", "more than 100000 values");
        refuse("policy.warning=0.5 of policy.critcal", "did you mean");
        refuse("policy.warning=0.5 of policy.warning", "of itself");
    }
}
