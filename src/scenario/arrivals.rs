//! Arrivals: which jobs arrive, how often, and when.

mod modulated;
mod phases;
mod schedule;
mod trace;

use super::classes::ReadClass;
use super::diagnostic::Code;
use super::distribution::{self, Of};
use super::log::Mistake;
use super::reader::Section;
use super::tree::Value;
use crate::engine::time::{SimDuration, SimTime};
use crate::model::config::{ArrivalProcess, ArrivalSource, Curve, Phase, Spread};
use crate::units::Quantity;
use trace::Candidate;

/// How the arrivals of a batch spread over its time.
const SPREADS: &[(&str, Spread)] = &[("uniform", Spread::Uniform), ("even", Spread::Even)];
/// How far the sum of the shares may be from 1.
const SHARE_TOLERANCE: f64 = 1e-9;

/// Reads `[arrivals]` and the arrivals of single classes.
pub(super) fn read_sources(
    top: &mut Section<'_>,
    classes: &mut [ReadClass<'_>],
    horizon: Option<SimDuration>,
) -> Vec<ArrivalSource> {
    let mut arrivals = top.section("arrivals", "How jobs come in.");
    let candidates: Vec<Candidate> = classes
        .iter()
        .enumerate()
        .map(|(index, class)| Candidate { index, name: class.name.clone(), priority: class.priority.get() })
        .collect();
    let sharing: Vec<usize> =
        (0..classes.len()).filter(|&index| classes[index].own_arrivals.is_none()).collect();
    let mut sources = Vec::new();
    if sharing.is_empty() && arrivals.is_given() {
        let message = "`arrivals`: no class uses it, because every class has its own";
        let label = "remove it, or give a class a `share` instead of `arrivals`";
        arrivals.log().report(&top.place_of("arrivals"), Code::Conflict, message, label);
    } else if !sharing.is_empty() && !arrivals.is_given() {
        top.miss("arrivals", "add [arrivals] with a line such as rate = \"6k/s\"");
    } else if !sharing.is_empty() {
        let source = read_source(&mut arrivals, &candidates, horizon);
        let brings_classes = source.as_ref().is_some_and(|source| !source.shares.is_empty());
        let shares = match source.as_ref().map(|source| &source.shares) {
            Some(shares) if brings_classes => shares.clone(),
            _ if arrivals.is_bad("process") && !has_rates(&arrivals) => Vec::new(),
            _ if is_written(&arrivals, "process", "trace") && source.is_none() => Vec::new(),
            _ => read_shares(classes, &sharing),
        };
        if let Some(Source { process, phases, .. }) = source
            && !shares.is_empty()
        {
            sources.push(ArrivalSource { process, phases, classes: shares });
        }
    }
    for (class, candidate) in classes.iter_mut().zip(&candidates) {
        if let Some(own) = &mut class.own_arrivals
            && let Some(Source { process, phases, .. }) =
                read_source(own, std::slice::from_ref(candidate), horizon)
        {
            sources.push(ArrivalSource { process, phases, classes: vec![(candidate.index, 1.0)] });
        }
    }
    sources
}

/// The shares of the classes that use the common arrivals; they must add up to 1.
fn read_shares(classes: &mut [ReadClass<'_>], sharing: &[usize]) -> Vec<(usize, f64)> {
    let alone = sharing.len() == 1;
    let mut shares = Vec::new();
    let mut all_good = true;
    for &index in sharing {
        let class = &mut classes[index];
        let Some(section) = &mut class.section else {
            shares.push((index, 1.0));
            continue;
        };
        match class.share {
            Some(share) => shares.push((index, share)),
            None if section.is_bad("share") => all_good = false,
            None if alone => shares.push((index, 1.0)),
            None => {
                section.miss(
                    "share",
                    "add its share of the arrivals such as `share = 0.1`, or `arrivals` of its own",
                );
                all_good = false;
            }
        }
    }
    let sum: f64 = shares.iter().map(|(_, share)| share).sum();
    if all_good && (sum - 1.0).abs() > SHARE_TOLERANCE {
        let parts: Vec<_> = shares.iter().map(|(_, share)| share.to_string()).collect();
        let last = sharing
            .iter()
            .rev()
            .find_map(|&index| classes[index].section.as_ref().filter(|s| s.has("share")));
        if let Some(section) = last {
            // Rounded, to hide floating-point noise such as 0.30000000000000004.
            let sum = (sum * 1e12).round() / 1e12;
            let message = format!("the shares of the classes add up to {sum}, not 1");
            let label = shorten(&format!("{} = {sum}", parts.join(" + ")));
            section.log().report(&section.place_of("share"), Code::OutOfRange, message, label);
        }
    }
    shares
}

fn has_rates(section: &Section<'_>) -> bool {
    section.has("rate") || section.has("phases")
}

fn is_written(section: &Section<'_>, name: &str, text: &str) -> bool {
    section.item(name).is_some_and(|item| matches!(&item.value, Value::Text(written) if written == text))
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= 120 {
        text.to_string()
    } else {
        format!("{}...", text.chars().take(117).collect::<String>())
    }
}

/// An arrival source as read, for all classes or for one.
struct Source {
    process: ArrivalProcess,
    phases: Vec<Phase>,
    /// Class index and share, where the process itself knows them.
    shares: Vec<(usize, f64)>,
}

impl Source {
    fn new(process: ArrivalProcess, phases: Vec<Phase>) -> Self {
        Self { process, phases, shares: Vec::new() }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Process {
    Constant,
    Poisson,
    Renewal,
    Modulated,
    OnOff,
    Trace,
    Cron,
}

const PROCESSES: &[(&str, Process)] = &[
    ("poisson", Process::Poisson),
    ("constant", Process::Constant),
    ("renewal", Process::Renewal),
    ("mmpp", Process::Modulated),
    ("on-off", Process::OnOff),
    ("cron", Process::Cron),
    ("trace", Process::Trace),
];

fn read_source(
    section: &mut Section<'_>,
    classes: &[Candidate],
    horizon: Option<SimDuration>,
) -> Option<Source> {
    let process = section
        .key("process", "The arrival process: how the gaps between arrivals are drawn.")
        .choice(PROCESSES)
        .or("poisson");
    if section.is_bad("process") {
        // The process decides which settings exist, so check only those that are certain.
        if has_rates(section) {
            phases::read(section, horizon);
        }
        return None;
    }
    section.varies_with("process");
    let modulated = |modulation: crate::model::config::Modulation| {
        let rate = modulation.mean_rate();
        Source::new(ArrivalProcess::Modulated(modulation), vec![only_phase("all", rate)])
    };
    let source = match process {
        Process::Constant => {
            phases::read(section, horizon).map(|phases| Source::new(ArrivalProcess::Constant, phases))
        }
        Process::Poisson => {
            phases::read(section, horizon).map(|phases| Source::new(ArrivalProcess::Poisson, phases))
        }
        Process::Renewal => read_renewal(section),
        Process::Modulated => {
            let read = modulated::read_states(section);
            read.filter(|read| modulated::changes_fit(section, "states", read, horizon)).map(modulated)
        }
        Process::OnOff => {
            let read = modulated::read_on_off(section);
            read.filter(|read| modulated::changes_fit(section, "on", read, horizon)).map(modulated)
        }
        Process::Cron => schedule::read(section, horizon),
        Process::Trace => trace::read(section, classes, horizon),
    };
    section.close();
    source
}

fn read_renewal(section: &mut Section<'_>) -> Option<Source> {
    let doc = "Distribution of the gap between arrivals; the rate is 1 / mean.";
    let gap = distribution::optional(section, "interarrival", doc, Of::TIME);
    if gap.is_none() && !section.is_bad("interarrival") {
        section.miss(
            "interarrival",
            "add a distribution such as `interarrival = { distribution = \"gamma\", shape = 0.5, mean = \"1ms\" }`",
        );
    }
    let gap = gap?;
    let rate = 1.0 / gap.mean();
    if rate > Quantity::Rate.most() {
        let message = "gaps this short exceed the largest rate allowed, 1e9 per second";
        section.complain("interarrival", Mistake::new(Code::OutOfRange, message, "at least \"1ns\""));
        return None;
    }
    Some(Source::new(ArrivalProcess::Renewal(gap), vec![only_phase("all", rate)]))
}

fn only_phase(name: &str, rate: f64) -> Phase {
    Phase { name: name.to_string(), end: SimTime::NEVER, rate, curve: Curve::Flat, spike: false }
}
