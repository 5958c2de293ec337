//! What became of the traffic, in words: the first thing that every report says.

use super::number;
use super::text::{plural, printable};
use crate::experiment::summary::{LimitReached, Verdict};
use crate::experiment::traffic::{Fates, First, Harm, Load, Overload, Part, Traffic};
use crate::model::metric::Unit;

/// A share of all jobs to a tenth of a percent; only nothing is `none`, and only all is `100 %`.
pub(crate) fn share(part: Part) -> String {
    let percent = part.share * 100.0;
    match percent {
        _ if part.jobs <= 0.0 => "none".to_owned(),
        _ if percent < 0.05 => "<0.1 %".to_owned(),
        _ if (99.95..100.0 - 1e-9).contains(&percent) => ">99.9 %".to_owned(),
        _ if percent > 99.95 => "100 %".to_owned(),
        _ => format!("{percent:.1} %"),
    }
}

/// The parts in the order in which they are told. The first three are always told, the others where there are such jobs.
pub(crate) fn parts(fates: &Fates) -> Vec<(&'static str, Part)> {
    let has_clients = fates.requests.is_some();
    let mut parts = vec![
        (if has_clients { "done in time" } else { "done" }, fates.completed_in_time),
        ("refused", fates.refused),
        ("lost", fates.lost),
        ("done too late", fates.completed_too_late),
        ("failed", fates.failed),
        ("still waiting", fates.in_system),
    ];
    let mut index = 0;
    parts.retain(|(_, part)| {
        index += 1;
        index <= ALWAYS || part.jobs > 0.0
    });
    parts
}

/// What the shares of the traffic are shares of, as sentences without their full stops; of clients what they gave up.
pub(crate) fn offered(traffic: &Traffic) -> Vec<String> {
    let sentences = sentences(traffic);
    let last = sentences.len() - 1;
    let cut = |(place, sentence): (usize, String)| match sentence.split_once(": ") {
        Some((offered, _)) if place == last => offered.to_owned(),
        _ => sentence,
    };
    sentences.into_iter().enumerate().map(cut).collect()
}

/// What became of the traffic, as sentences without their full stops. The requests of clients come first: they are what people wanted.
pub(crate) fn sentences(traffic: &Traffic) -> Vec<String> {
    let total = &traffic.total;
    let count = |jobs: f64| number::grouped(jobs, 0);
    let mut sentences = Vec::new();
    let offered = match total.requests {
        Some(requests) => {
            let sent = plural_of(requests.sent, "request");
            sentences.push(format!("{sent}: {} given up by their clients", share(requests.given_up)));
            format!("{} for them", plural_of(total.offered, "attempt"))
        }
        None => format!("{} offered", plural_of(total.offered, "job")),
    };
    let start = match total.there_at_start {
        0.0 => String::new(),
        jobs => format!(" and {} there at the start", count(jobs)),
    };
    let told: Vec<String> =
        parts(total).into_iter().map(|(name, part)| format!("{} {name}", share(part))).collect();
    sentences.push(format!("{offered}{start}: {}", told.join(", ")));
    sentences
}

/// A sentence without its full stop that explains what became of the traffic: from the load and the capacity, and from the fault or limit
/// before the first refusal and the first loss.
pub(crate) fn why(traffic: &Traffic, limits: &[LimitReached]) -> String {
    let total = &traffic.total;
    let Load { capacity_per_second, peak_per_second: peak, overload, .. } = traffic.load;
    let harms = [("refused", traffic.first_refusal, total.refused), ("lost", traffic.first_loss, total.lost)];
    let mut told: Vec<String> = Vec::new();
    if let Some(requests) = total.requests.filter(|requests| requests.given_up.jobs > 0.0) {
        told.push(format!("{} of the requests given up", share(requests.given_up)));
    }
    let of = if total.requests.is_some() { " of the attempts" } else { "" };
    for (word, first, part) in harms {
        let Some(first) = first.filter(|_| part.jobs > 0.0) else { continue };
        let cause = cause(word, first.seconds, traffic, limits);
        let after = cause.map(|cause| format!(" after {cause}")).unwrap_or_default();
        told.push(format!("{}{of} {word}{after}", share(part)));
    }
    if told.is_empty() {
        told.push("nothing refused or lost".to_owned());
    }
    let told = told.join(", ");
    let Some(capacity) = capacity(&traffic.load) else { return format!("capacity without a bound: {told}") };
    match overload {
        Some(Overload { seconds: length, offered_per_second: offered, .. }) => {
            let times = total.requests.and_then(|requests| {
                let times = total.offered / requests.sent;
                (times >= 1.05).then(|| format!(", each sent {} times", number::trimmed(times, 1)))
            });
            let times = times.unwrap_or_default();
            format!("{capacity} against {} offered for {}{times}: {told}", rate(offered), seconds(length))
        }
        None if capacity_per_second.is_some_and(|capacity| peak > capacity) => {
            format!("{capacity} against bursts of up to {}: {told}", rate(peak))
        }
        None => format!("{capacity} against at most {} offered: {told}", rate(peak)),
    }
}

/// The last fault or limit before the first job came to harm, with its time; `None` where an overload explains the refusal.
fn cause(word: &str, first: f64, traffic: &Traffic, limits: &[LimitReached]) -> Option<String> {
    let is_before = |begins: f64| begins <= first + SOON;
    let fault = traffic.faults.iter().rev().find(|fault| is_before(fault.begins_seconds));
    let overload = traffic.load.overload.filter(|overload| is_before(overload.begins_seconds));
    let is_overload = overload.is_some_and(|overload| {
        word == "refused" && fault.is_none_or(|fault| fault.begins_seconds < overload.begins_seconds)
    });
    if is_overload {
        return None;
    }
    // The levels of the policy and busy workers are how jobs are refused, not why.
    let is_cause = |limit: &&LimitReached| {
        is_before(limit.seconds)
            && !["shed level", "circuit open", "workers saturated"].contains(&limit.limit)
    };
    let limit = limits.iter().rev().find(is_cause).map(|limit| (limit.limit, limit.seconds));
    let fault = fault.map(|fault| (fault.name.as_str(), fault.begins_seconds));
    let (name, at) = fault.or(limit)?;
    Some(format!("{} at {}", printable(name), seconds(at)))
}

/// `capacity 7.4k/s`, with what bounds it where that is not the workers, and what an autoscaler makes of it.
fn capacity(load: &Load) -> Option<String> {
    let capacity = load.capacity_per_second?;
    let mut text = format!("capacity {}", rate(capacity));
    if load.bound_by != "workers" {
        text += &format!(" (bound by {})", load.bound_by);
    }
    if let Some(most) = load.autoscaled_capacity_per_second.filter(|most| *most > capacity) {
        text += &format!(", {} once scaled to the maximum,", rate(most));
    }
    Some(text)
}

/// How a verdict is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Every objective holds, and what was refused or lost is limited by one.
    Good,
    /// Every objective holds, but none limits what was refused or lost.
    Caution,
    /// An objective is missed.
    Bad,
    /// There is nothing to hold.
    Neutral,
}

/// How many objectives are not met, or should not be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unmet {
    /// The runs tell that they are not.
    pub(crate) missed: usize,
    /// The runs do not tell.
    pub(crate) open: usize,
    /// They are met, but the scenario is meant to miss them.
    pub(crate) met: usize,
    /// They are missed as the scenario is meant to.
    pub(crate) expected: usize,
}

/// The verdict as the sum of the objectives, and what it does not judge.
pub(crate) fn verdict(
    objectives: usize,
    unmet: Unmet,
    verdict: Verdict,
    traffic: &Traffic,
) -> (Tone, String) {
    let unjudged = unjudged(traffic);
    let (tone, mut text) = match (objectives, verdict) {
        (0, _) => (Tone::Neutral, "NO OBJECTIVES: nothing to pass or fail".to_owned()),
        (_, Verdict::Fail) => {
            let all = plural(objectives, "objective");
            let kinds = [
                (unmet.missed, "missed"),
                (unmet.open, "not judged"),
                (unmet.met, "met that the scenario is meant to miss"),
            ];
            let told: Vec<String> = kinds
                .iter()
                .filter(|(count, _)| *count > 0)
                .enumerate()
                .map(|(place, (count, what))| match place {
                    0 => format!("{count} of {all} {what}"),
                    _ => format!("{count} {what}"),
                })
                .collect();
            (Tone::Bad, format!("FAIL: {}", told.join(", ")))
        }
        (all, Verdict::Pass) if unmet.expected > 0 => {
            let told = format!("PASS of {}, {} missed as expected", plural(all, "objective"), unmet.expected);
            (Tone::Caution, told)
        }
        (all, Verdict::Pass) => (Tone::Good, format!("PASS of {}", plural(all, "objective"))),
    };
    let Some(unjudged) = unjudged else { return (tone, text) };
    text += &format!("; {unjudged}");
    (if tone == Tone::Bad { Tone::Bad } else { Tone::Caution }, text)
}

/// `24.7 % refused, no objective limits it`; `None` if an objective limits all that was refused and lost.
pub(crate) fn unjudged(traffic: &Traffic) -> Option<String> {
    let has_clients = traffic.total.requests.is_some();
    let of = |harm: Harm| match harm {
        Harm::GivenUp => " of requests",
        Harm::Refused | Harm::Lost if has_clients => " of attempts",
        Harm::Refused | Harm::Lost => "",
    };
    // What clients give up is what refusal comes to, so it stands first.
    let mut unlimited: Vec<_> = traffic.unlimited.iter().collect();
    unlimited.sort_by_key(|one| one.what != Harm::GivenUp);
    let told: Vec<String> = unlimited
        .iter()
        .map(|one| format!("{}{} {}", share(one.part), of(one.what), one.what.word()))
        .collect();
    if told.is_empty() {
        return None;
    }
    let it = if told.len() == 1 { "it" } else { "them" };
    Some(format!("{}, no objective limits {it}", told.join(" and ")))
}

/// The first refusal and the first loss: what, when, in how many replications, and the share in the end.
pub(crate) fn firsts(traffic: &Traffic) -> Vec<(&'static str, First, Part)> {
    let refusal = traffic.first_refusal.map(|first| ("first job refused", first, traffic.total.refused));
    let loss = traffic.first_loss.map(|first| ("first job lost", first, traffic.total.lost));
    let mut firsts: Vec<_> = refusal.into_iter().chain(loss).collect();
    firsts.sort_by(|a, b| a.1.seconds.total_cmp(&b.1.seconds));
    firsts
}

/// `7.4k/s`: rates that are compared need no more digits.
pub(crate) fn rate(rate: f64) -> String {
    match rate {
        rate if rate >= 99_950.0 => format!("{}k/s", number::grouped(rate / 1e3, 0)),
        rate if rate >= 1_000.0 => format!("{}k/s", number::trimmed(rate / 1e3, 1)),
        rate if rate >= 10.0 => format!("{}/s", number::grouped(rate, 0)),
        rate => format!("{}/s", number::trimmed(rate, 2)),
    }
}

fn seconds(seconds: f64) -> String {
    number::value(Unit::Seconds, seconds)
}

/// `1 job`, `1 234 jobs`.
fn plural_of(count: f64, noun: &str) -> String {
    let shown = number::grouped(count, 0);
    let ending = if shown == "1" { "" } else { "s" };
    format!("{shown} {noun}{ending}")
}

const ALWAYS: usize = 3;
/// A cause may be noticed in the step after its effect.
const SOON: f64 = 1.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_not_none_and_nearly_all_are_not_all() {
        let shown = |jobs: f64| share(Part { jobs, share: jobs / 1e6 });
        let cases =
            [(0.0, "none"), (1.0, "<0.1 %"), (247_000.0, "24.7 %"), (999_999.0, ">99.9 %"), (1e6, "100 %")];
        for (jobs, expected) in cases {
            assert_eq!(shown(jobs), expected);
        }
    }

    #[test]
    fn rates_have_two_or_three_digits() {
        let shown = [7_407.4, 15_000.0, 111_111.1, 80.0, 5.25].map(rate);
        assert_eq!(shown, ["7.4k/s", "15k/s", "111k/s", "80/s", "5.25/s"]);
    }
}
