//! The verdict in a word, as terminal and pages say it.

use crate::experiment::summary::Verdict;

/// `PASS`, `FAIL`, or that there was nothing to pass or fail.
pub(crate) fn word(has_objectives: bool, verdict: Verdict) -> &'static str {
    match (has_objectives, verdict) {
        (false, _) => "NO OBJECTIVES",
        (true, Verdict::Pass) => "PASS",
        (true, Verdict::Fail) => "FAIL",
    }
}
