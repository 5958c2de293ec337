//! A rule file of Prometheus.

use std::fmt::Write;

use crate::alerts::prometheus_duration;
use crate::engine::time::SimDuration;
use crate::report::text;

/// One alert.
#[derive(Clone, Debug)]
pub(in crate::report) struct Rule {
    pub(in crate::report) name: &'static str,
    pub(in crate::report) expression: String,
    /// How long it must be true before anybody is told.
    pub(in crate::report) wait: SimDuration,
    pub(in crate::report) severity: &'static str,
    pub(in crate::report) summary: String,
    /// What it means and what to do.
    pub(in crate::report) description: String,
    /// Why these numbers.
    pub(in crate::report) evidence: String,
}

impl Rule {
    /// Its annotations as the rule file has them, or as they come out of Prometheus, which takes them for templates.
    pub(in crate::report) fn annotations(&self) -> [(&'static str, &str); 2] {
        [("summary", &self.summary), ("description", &self.description)]
    }
}

/// The file, with lines of comment at its head.
pub(in crate::report) fn render(comments: &[String], rules: &[Rule]) -> String {
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
