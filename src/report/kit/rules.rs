//! A rule file of Prometheus.

use std::fmt::Write;

use super::text;
use crate::alerts::prometheus_duration;
use crate::engine::time::SimDuration;

/// One alert.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) expression: String,
    /// How long the expression must hold before the alert fires.
    pub(crate) wait: SimDuration,
    pub(crate) severity: &'static str,
    pub(crate) summary: String,
    /// Meaning and remedy.
    pub(crate) description: String,
    /// Why these numbers.
    pub(crate) evidence: String,
}

impl Rule {
    /// Its annotations as plain text, before they are escaped as templates.
    pub(crate) fn annotations(&self) -> [(&'static str, &str); 2] {
        [("summary", &self.summary), ("description", &self.description)]
    }
}

/// The file, with lines of comment at its head.
pub(crate) fn render(comments: &[String], rules: &[Rule]) -> String {
    let mut file = String::new();
    for line in comments {
        let _ = writeln!(file, "# {}", text::one_line(line));
    }
    file += "groups:\n- name: backpressure\n  rules:\n";
    for rule in rules {
        let _ = writeln!(file, "  # {}", text::one_line(&rule.evidence));
        let _ = writeln!(file, "  - alert: {}", rule.name);
        let _ = writeln!(file, "    expr: {}", rule.expression);
        if rule.wait > SimDuration::ZERO {
            let _ = writeln!(file, "    for: {}", prometheus_duration(rule.wait));
        }
        let _ = writeln!(file, "    labels:\n      severity: {}\n    annotations:", rule.severity);
        for (name, shown) in rule.annotations() {
            let _ = writeln!(file, "      {name}: {}", text::yaml(&text::prometheus(shown)));
        }
    }
    file
}
