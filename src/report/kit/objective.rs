//! What came of an objective, in words that fit after its expression.

use super::number::{self, bounded};
use super::traffic::Tone;
use crate::experiment::summary::SloResult;

/// The observed figure, or why there is none.
pub(crate) fn figure(result: &SloResult) -> String {
    let Some(observed) = result.observed else { return result.absent.to_owned() };
    bounded(&number::value(result.unit, observed), result.censored > 0)
}

/// What must be known of the figure: which of how many runs it is, and whether it is one at all.
pub(crate) fn remark(result: &SloResult) -> Option<String> {
    result.observed?;
    let expected = result.expected_miss.then(|| word(result).to_owned());
    let remarks: Vec<String> = remark_besides_result(result).into_iter().chain(expected).collect();
    (!remarks.is_empty()).then(|| remarks.join(", "))
}

/// The same where the result stands beside it in a word.
pub(crate) fn remark_besides_result(result: &SloResult) -> Option<String> {
    result.observed?;
    let largest = result.is_largest().then(|| format!("largest of {} runs", result.runs));
    let censored = (result.censored > 0).then(|| format!("{} not within the run", result.censored));
    let remarks: Vec<String> = largest.into_iter().chain(censored).collect();
    (!remarks.is_empty()).then(|| remarks.join(", "))
}

/// Figure and remark.
pub(crate) fn observed(result: &SloResult) -> String {
    match remark(result) {
        None => figure(result),
        Some(remark) => format!("{} ({remark})", figure(result)),
    }
}

/// One word for the result.
pub(crate) fn word(result: &SloResult) -> &'static str {
    match (result.pass, result.judged, result.expected_miss) {
        (true, _, false) => "met",
        (true, _, true) => "met, but meant to be missed",
        (false, true, false) => "missed",
        (false, true, true) => "missed, as expected",
        (false, false, _) => "not judged",
    }
}

/// How its line is marked: with which sign, and in which tone.
pub(crate) fn sign(result: &SloResult) -> (&'static str, Tone) {
    sign_of(result.is_as_meant(), result.expected_miss)
}

/// The same of an objective of which only this is known.
pub(crate) const fn sign_of(is_as_meant: bool, expected_miss: bool) -> (&'static str, Tone) {
    match (is_as_meant, expected_miss) {
        (true, false) => ("✓", Tone::Good),
        (true, true) => ("!", Tone::Caution),
        (false, _) => ("✗", Tone::Bad),
    }
}
