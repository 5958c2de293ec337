//! The verdict in a word, for terminal and pages.

use crate::experiment::summary::Verdict;

/// `PASS`, `FAIL`, or `NO OBJECTIVES`.
pub(crate) fn word(has_objectives: bool, verdict: Verdict) -> &'static str {
    match (has_objectives, verdict) {
        (false, _) => "NO OBJECTIVES",
        (true, Verdict::Pass) => "PASS",
        (true, Verdict::Fail) => "FAIL",
    }
}
