//! A comparison that every variant of a grid must satisfy, as in `policy.recovery < 0.5 * policy.warning` or
//! `workers.processes * workers.concurrency <= 400`; more than one in a row reads as in mathematics:
//! `policy.recovery < policy.warning < policy.critical`.

use crate::scenario::slo::Relation;
use crate::scenario::{Diagnostic, DiagnosticCode as Code, Kind, Location, Setting, did_you_mean};

/// A comparison of settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    /// As written.
    pub text: String,
    terms: Vec<Product>,
    relations: Vec<Relation>,
}

/// Numbers and settings multiplied.
#[derive(Clone, Debug, PartialEq)]
struct Product(Vec<Factor>);

#[derive(Clone, Debug, PartialEq)]
enum Factor {
    Number(f64),
    Setting(String),
}

impl Constraint {
    /// Reads a constraint; `origin` says where it is written.
    pub fn parse(text: &str, origin: &str, settings: &[Setting]) -> Result<Constraint, Box<Diagnostic>> {
        let fault = |part: &str, code: Code, message: String, label: &str| {
            let start = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
            let at = Location::of(origin, text, None, start..start + part.len());
            Box::new(Diagnostic { code, message, at, label: label.to_string() })
        };
        let mut parts = Vec::new();
        let mut relations = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['<', '>', '=', '!']) {
            let (symbol, relation) = Relation::NAMES
                .iter()
                .find(|(symbol, _)| rest[at..].starts_with(symbol))
                .ok_or_else(|| {
                    fault(
                        &rest[at..=at],
                        Code::Syntax,
                        "this is not a comparison".into(),
                        "one of < <= > >= == !=",
                    )
                })?;
            parts.push(&rest[..at]);
            relations.push(*relation);
            rest = &rest[at + symbol.len()..];
        }
        parts.push(rest);
        if relations.is_empty() {
            let label = "written setting < setting, as in policy.warning < 0.5 * policy.critical";
            return Err(fault(text, Code::Syntax, "nothing is compared".into(), label));
        }
        let mut terms = Vec::new();
        let kinds: Vec<&Kind> = settings
            .iter()
            .filter(|setting| text.contains(setting.path.as_str()))
            .map(|setting| &setting.kind)
            .collect();
        for part in parts {
            let mut factors = Vec::new();
            for word in part.split('*') {
                let name = word.trim();
                let number = name.parse().ok().or_else(|| kinds.iter().find_map(|kind| kind.number_of(name)));
                if let Some(number) = number {
                    factors.push(Factor::Number(number));
                } else if settings.iter().any(|setting| setting.path == name) {
                    factors.push(Factor::Setting(name.to_string()));
                } else {
                    let near = did_you_mean(name, settings.iter().map(|setting| setting.path.as_str()));
                    let message =
                        format!("`{name}` is neither a number nor a setting of this scenario{near}");
                    return Err(fault(word, Code::UnknownName, message, ""));
                }
            }
            terms.push(Product(factors));
        }
        Ok(Constraint { text: text.trim().to_string(), terms, relations })
    }

    /// Whether it holds where `number` says what the settings are; a setting that is not a number fails it.
    pub fn holds(&self, number: impl Fn(&str) -> Option<f64>) -> bool {
        let value = |Product(factors): &Product| {
            let values = factors.iter().map(|factor| match factor {
                Factor::Number(number) => Some(*number),
                Factor::Setting(path) => number(path),
            });
            values.product::<Option<f64>>()
        };
        let values: Option<Vec<f64>> = self.terms.iter().map(value).collect();
        let pairs_hold = |values: Vec<f64>| {
            let mut pairs = values.windows(2).zip(&self.relations);
            pairs.all(|(pair, relation)| relation.holds(pair[0], pair[1]))
        };
        values.is_some_and(pairs_hold)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn settings() -> Vec<Setting> {
        let text = "duration = '1s'\n[arrivals]\nrate = '1/s'\n[workers]\nservice_time = '1ms'";
        crate::scenario::from_str(text, "x.toml", Path::new(""), &[]).expect("it is valid").settings
    }

    #[track_caller]
    fn check(text: &str, expected: bool) {
        let constraint =
            Constraint::parse(text, "--where", &settings()).map_err(|fault| fault.to_string()).unwrap();
        let holds = constraint.holds(|path| match path {
            "policy.recovery" => Some(5_000.0),
            "policy.warning" => Some(10_000.0),
            "policy.critical" => Some(50_000.0),
            _ => None,
        });
        assert_eq!(holds, expected, "{text}");
    }

    #[test]
    fn comparisons() {
        check("policy.recovery < policy.warning", true);
        check("policy.recovery < policy.warning < policy.critical", true);
        check("policy.recovery < policy.critical < policy.warning", false);
        check("policy.warning <= 0.2 * policy.critical", true);
        check("policy.warning < policy.critical * 0.2", false);
        check("policy.critical == 50k", true);
        check("workers.processes < 5", false);
    }

    #[test]
    fn mistakes_are_marked() {
        let refuse = |text: &str, expected: &str| {
            let fault = Constraint::parse(text, "--where", &settings()).expect_err("must be refused");
            assert!(fault.to_string().contains(expected), "{fault}");
        };
        refuse("policy.recovery", "nothing is compared");
        refuse("policy.recovery = 5", "not a comparison");
        refuse("policy.recovry < 5", "did you mean `policy.recovery`?");
        refuse("policy.recovery < ", "neither a number nor a setting");
    }
}
