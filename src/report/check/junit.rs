//! The check as JUnit XML, which every CI server shows: a suite for each scenario, a case for each objective and each
//! gated metric. It contains no times: they would differ from run to run.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::reading::{self, Row};
use crate::check::gate::{Judgement, MetricCheck};
use crate::check::{Check, Objective, OnInconclusive, ScenarioCheck};
use crate::report::kit::objective;

/// The document.
pub fn render(check: &Check) -> String {
    let mut report = Report::new("simulate check");
    for scenario in &check.scenarios {
        report.add_test_suite(suite(scenario, check.on_inconclusive));
    }
    report.to_string().expect("XML of names and numbers always goes into memory")
}

fn suite(scenario: &ScenarioCheck, on_inconclusive: OnInconclusive) -> TestSuite {
    let mut suite = TestSuite::new(scenario.name.as_str());
    for objective in &scenario.objectives {
        let name = format!("slo: {}", objective.current.expression);
        suite.add_test_case(case(&scenario.name, &name, status_of_objective(objective)));
    }
    for comparison in scenario.comparisons.iter().filter(|comparison| comparison.limit.is_some()) {
        let status = status_of_metric(comparison, on_inconclusive);
        suite.add_test_case(case(&scenario.name, &comparison.name(), status));
    }
    suite
}

fn case(scenario: &str, name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(scenario);
    case
}

fn status_of_objective(objective: &Objective) -> TestCaseStatus {
    if !objective.fails() {
        return TestCaseStatus::success();
    }
    let message = format!("{}: {}", objective::word(&objective.current), reading::observed(objective));
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type("objective").set_message(message);
    status
}

fn status_of_metric(comparison: &MetricCheck, on_inconclusive: OnInconclusive) -> TestCaseStatus {
    let mut status = match (comparison.judgement, on_inconclusive) {
        (Judgement::Regressed, _) | (Judgement::Inconclusive, OnInconclusive::Fail) => {
            TestCaseStatus::non_success(NonSuccessKind::Failure)
        }
        (Judgement::Inconclusive, OnInconclusive::Warn) => TestCaseStatus::skipped(),
        _ => return TestCaseStatus::success(),
    };
    let kind = if comparison.judgement == Judgement::Regressed { "regression" } else { "inconclusive" };
    status.set_type(kind).set_message(Row::of(comparison).sentence());
    status
}
