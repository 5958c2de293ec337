//! A comparison in words, shared by page and terminal.

use crate::compare::{Comparison, Difference, Effect, Side, Size};
use crate::experiment::earlier::Judged;
use crate::experiment::summary::Verdict;
use crate::report::kit::traffic::Tone;
use crate::report::kit::verdict;

/// The differences sorted into those that matter, those that may be chance, and equal figures.
pub(super) struct Sorted<'a> {
    pub(super) matters: Vec<&'a Difference>,
    pub(super) chance: Vec<&'a Difference>,
    pub(super) same: Vec<&'a Difference>,
}

impl<'a> Sorted<'a> {
    pub(super) fn of(differences: impl Iterator<Item = &'a Difference>) -> Self {
        let mut sorted = Self { matters: Vec::new(), chance: Vec::new(), same: Vec::new() };
        for difference in differences {
            let group = match difference {
                one if one.matters => &mut sorted.matters,
                one if one.is_same() => &mut sorted.same,
                _ => &mut sorted.chance,
            };
            group.push(difference);
        }
        sorted
    }
}

/// The result in a sentence or two.
pub(super) fn headline(comparison: &Comparison) -> String {
    let compared = comparison.differences.len();
    let differ = comparison.differences.iter().filter(|difference| !difference.is_same()).count();
    let figures = match (comparison.matter, differ) {
        (_, 0) => format!("Nothing differs: all {compared} figures are the same."),
        (0, differ) => {
            format!("{differ} of {compared} figures differ, but none by more than chance may explain.")
        }
        _ => {
            let count = |effect| comparison.differences.iter().filter(|one| one.effect == effect).count();
            let kinds = [
                (Effect::Worse, "worse"),
                (Effect::Improved, "improved"),
                (Effect::Changed, "changed otherwise"),
            ];
            let told: Vec<String> = kinds
                .iter()
                .map(|(effect, word)| (count(*effect), word))
                .filter(|(count, _)| *count > 0)
                .map(|(count, word)| format!("{count} {word}"))
                .collect();
            format!("B against A: of {compared} figures {}; the rest is within noise.", told.join(", "))
        }
    };
    format!("{figures} {}", verdicts(&comparison.a, &comparison.b))
}

/// Whether both sides meet their objectives.
fn verdicts(a: &Side, b: &Side) -> String {
    let of = |side: &Side| {
        let missed = side.objectives.iter().filter(|objective| !objective.is_as_meant()).count();
        match (side.objectives.len(), missed) {
            (0, _) => " has no objectives".to_owned(),
            (1, 0) => " meets its objective".to_owned(),
            (1, _) => " misses its objective".to_owned(),
            (all, 0) => format!(" meets all {all} objectives"),
            (all, missed) => format!(" misses {missed} of {all} objectives"),
        }
    };
    match (of(a), of(b)) {
        (of_a, of_b) if of_a != of_b => format!("A{of_a}; B{of_b}."),
        _ if a.objectives.is_empty() => "Neither has objectives.".to_owned(),
        (both, _) => format!("Each{both}."),
    }
}

/// The verdict of a side in one or two words.
pub(super) fn verdict_word(side: &Side) -> &'static str {
    verdict::word(!side.objectives.is_empty(), side.verdict)
}

/// What a verdict that passes does not judge.
pub(super) fn unjudged(side: &Side) -> Option<&'static str> {
    let passes = side.verdict == Verdict::Pass && !side.objectives.is_empty();
    (passes && side.has_unlimited).then_some("no objective limits all that was refused or lost")
}

/// The objectives of both: those of A in their order, then those that only B has.
pub(super) fn objectives<'a>(
    a: &'a Side,
    b: &'a Side,
) -> Vec<(&'a str, Option<&'a Judged>, Option<&'a Judged>)> {
    let find = |side: &'a Side, expression: &str| {
        side.objectives.iter().find(|objective| objective.expression == expression)
    };
    let of_a = a.objectives.iter().map(|one| (one.expression.as_str(), Some(one), find(b, &one.expression)));
    let of_b = b.objectives.iter().filter(|one| find(a, &one.expression).is_none());
    of_a.chain(of_b.map(|one| (one.expression.as_str(), None, Some(one)))).collect()
}

/// A setting's value, or that it is not set.
pub(super) fn setting(value: Option<&String>) -> &str {
    value.map_or("not set", String::as_str)
}

/// The sign before a figure: also without colours it says better or worse.
pub(super) fn sign(effect: Effect) -> &'static str {
    match effect {
        Effect::Worse => "✗",
        Effect::Improved => "✓",
        Effect::Changed => "◆",
        Effect::WithinNoise | Effect::Same => " ",
    }
}

/// Its tone.
pub(super) fn tone(effect: Effect) -> Tone {
    match effect {
        Effect::Worse => Tone::Bad,
        Effect::Improved => Tone::Good,
        Effect::Changed | Effect::WithinNoise | Effect::Same => Tone::Neutral,
    }
}

pub(super) fn size_word(size: Size) -> &'static str {
    match size {
        Size::Same => "same",
        Size::Slight => "slight",
        Size::Moderate => "moderate",
        Size::Large => "large",
    }
}
