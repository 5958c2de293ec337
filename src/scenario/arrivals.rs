//! Arrivals and job classes: who comes, how often, in which phases.

use std::collections::BTreeMap;

use super::diagnostic::Code;
use super::distribution::{self, Of};
use super::log::Fault;
use super::reader::Section;
use super::trace::{self, Candidate};
use super::tree::{Place, Value};
use crate::engine::time::{SimDuration, SimTime};
use crate::model::config::{ArrivalProcess, ArrivalSource, Curve, JobClass, Phase};
use crate::model::distribution::Distribution;
use crate::units::{Quantity, fmt_duration};

/// What a class is called where a scenario has none.
const ONLY_CLASS: &str = "default";
/// Reports with more classes than this help nobody.
const MOST_CLASSES: usize = 1_000;
const MOST_PHASES: usize = 10_000;
/// Between the sum of the shares and 1.
const SHARE_TOLERANCE: f64 = 1e-9;

/// A class as it stands in the file; its service time may still come from the workers.
pub(super) struct ReadClass<'a> {
    pub(super) name: String,
    pub(super) priority: backpressure::Priority,
    /// BullMQ's own: 0 is none.
    pub(super) queue_priority: u32,
    pub(super) payload: Distribution,
    pub(super) service_time: Option<Distribution>,
    /// Whether its service time is there but wrong.
    pub(super) service_is_bad: bool,
    section: Option<Section<'a>>,
    own_arrivals: Option<Section<'a>>,
    share: Option<f64>,
}

impl ReadClass<'_> {
    /// The class, with the service time of the workers where it has none of its own.
    pub(super) fn resolve(&self, service_time: Option<&Distribution>) -> Option<JobClass> {
        Some(JobClass {
            name: self.name.clone(),
            priority: self.priority,
            queue_priority: self.queue_priority,
            payload: self.payload.clone(),
            service_time: self.service_time.as_ref().or(service_time)?.clone(),
        })
    }
}

/// Reads `[[class]]`; without any there is one.
pub(super) fn read_classes<'a>(
    top: &mut Section<'a>,
    default_priority: backpressure::Priority,
) -> Vec<ReadClass<'a>> {
    let mut sections = top.sections("class", "Job classes; without any there is one, named default.");
    if sections.len() > MOST_CLASSES {
        let message = format!("{} classes are more than the most allowed, {MOST_CLASSES}", sections.len());
        top.complain("class", Fault::new(Code::OutOfRange, message, "put similar ones together"));
        sections.truncate(MOST_CLASSES);
    }
    if sections.is_empty() {
        return vec![ReadClass {
            name: ONLY_CLASS.to_string(),
            priority: default_priority,
            queue_priority: default_priority.get().into(),
            payload: Distribution::Deterministic { mean: 256.0 },
            service_time: None,
            service_is_bad: false,
            section: None,
            own_arrivals: None,
            share: Some(1.0),
        }];
    }
    let mut first_of: BTreeMap<String, Place> = BTreeMap::new();
    let mut classes = Vec::with_capacity(sections.len());
    for section in sections {
        classes.push(read_class(section, default_priority, &mut first_of));
    }
    classes
}

fn read_class<'a>(
    mut section: Section<'a>,
    default_priority: backpressure::Priority,
    first_of: &mut BTreeMap<String, Place>,
) -> ReadClass<'a> {
    let name = section.key("name", "Name of the class in reports, objectives and traces.").text().required();
    if let Some(name) = &name {
        let is_plain = |c: char| c.is_alphanumeric() || "-_.:/".contains(c);
        if name.is_empty() || name.len() > 100 || !name.chars().all(is_plain) {
            let label = "1 to 100 letters, digits or any of - _ . : /";
            section
                .complain("name", Fault::new(Code::OutOfRange, format!("`{name}` cannot be a name"), label));
        } else if let Some(first) = first_of.get(name) {
            let label = section.log().line_of(first).map(|line| format!("the first one is in line {line}"));
            let message = format!("there is already a class `{name}`");
            section.complain("name", Fault::new(Code::Conflict, message, label.unwrap_or_default()));
        } else {
            first_of.insert(name.clone(), section.place_of("name"));
        }
    }
    let priority = section
        .key("priority", "Priority of its jobs: 1 is the most urgent, 10 the least.")
        .count(1, 10)
        .or_else("policy.default_priority", default_priority.to_string(), default_priority.get().into());
    let queue_priority = section
        .key(
            "queue_priority",
            "BullMQ's priority of its jobs, which the discipline `priority` serves by; 0 goes first.",
        )
        .count(0, 2_097_151)
        .or_else("priority", priority.to_string(), priority);
    let share = section
        .key("share", "Share of the arrivals that are of this class.")
        .quantity(Quantity::Fraction)
        .optional();
    let payload = distribution::or(&mut section, "payload", "Size of a job's payload.", Of::SIZE, "256B");
    let doc = "Service time of its jobs, where it differs from that of the workers.";
    let service_time = distribution::optional(&mut section, "service_time", doc, Of::TIME);
    let has_own = section.has("arrivals");
    let own = section.section("arrivals", "Arrivals of this class alone, instead of a share.");
    if has_own && section.has("share") {
        let message = "a class with arrivals of its own has no share";
        section.complain("share", Fault::new(Code::Conflict, message, "remove `share` or `arrivals`"));
    }
    section.close();
    ReadClass {
        name: name.unwrap_or_default(),
        priority: u8::try_from(priority)
            .ok()
            .and_then(backpressure::Priority::new)
            .unwrap_or(default_priority),
        queue_priority: queue_priority as u32,
        payload,
        service_time,
        service_is_bad: section.is_bad("service_time"),
        own_arrivals: has_own.then_some(own),
        share,
        section: Some(section),
    }
}

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
        let message = "`arrivals`: nobody takes part, because every class has arrivals of its own";
        let label = "remove it, or give a class a `share` instead of `arrivals`";
        arrivals.log().report(&top.place_of("arrivals"), Code::Conflict, message, label);
    } else if !sharing.is_empty() && !arrivals.is_given() {
        top.miss("arrivals", "add [arrivals] with a line such as rate = \"6k/s\"");
    } else if !sharing.is_empty() {
        let source = read_source(&mut arrivals, &candidates, horizon);
        let is_trace = matches!(&source, Some(Source { process: ArrivalProcess::Trace(_), .. }));
        let shares = match &source {
            Some(Source { process: ArrivalProcess::Trace(trace), .. }) => shares_in(trace, classes.len()),
            _ if arrivals.is_bad("process") && !has_rates(&arrivals) => Vec::new(),
            _ if is_written(&arrivals, "process", "trace") => Vec::new(),
            _ => read_shares(classes, &sharing),
        };
        if let Some(Source { process, phases }) = source
            && (is_trace || !shares.is_empty())
        {
            sources.push(ArrivalSource { process, phases, classes: shares });
        }
    }
    for (class, candidate) in classes.iter_mut().zip(&candidates) {
        if let Some(own) = &mut class.own_arrivals
            && let Some(Source { process, phases }) =
                read_source(own, std::slice::from_ref(candidate), horizon)
        {
            sources.push(ArrivalSource { process, phases, classes: vec![(candidate.index, 1.0)] });
        }
    }
    sources
}

/// The shares of the classes that take part in the common arrivals, which must add up to 1.
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
            // Rounded, so that the sum reads as the one that was meant.
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

fn shares_in(trace: &[crate::model::config::TracedArrival], classes: usize) -> Vec<(usize, f64)> {
    let mut counts = vec![0_u64; classes];
    for arrival in trace {
        counts[usize::from(arrival.class)] += 1;
    }
    let total = trace.len() as f64;
    counts
        .into_iter()
        .enumerate()
        .filter(|(_, count)| *count > 0)
        .map(|(index, count)| (index, count as f64 / total))
        .collect()
}

struct Source {
    process: ArrivalProcess,
    phases: Vec<Phase>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Process {
    Constant,
    Poisson,
    Renewal,
    Trace,
}

const PROCESSES: &[(&str, Process)] = &[
    ("poisson", Process::Poisson),
    ("constant", Process::Constant),
    ("renewal", Process::Renewal),
    ("trace", Process::Trace),
];

fn read_source(
    section: &mut Section<'_>,
    classes: &[Candidate],
    horizon: Option<SimDuration>,
) -> Option<Source> {
    let process = section
        .key("process", "How the gaps between arrivals come about.")
        .choice_but(PROCESSES, &["mmpp", "schedule"])
        .or("poisson");
    if section.is_bad("process") {
        // Which other settings there may be is open, but those that are there can be checked.
        if has_rates(section) {
            read_phases(section, horizon);
        }
        return None;
    }
    section.varies_with("process");
    let source = match process {
        Process::Constant => read_phases(section, horizon).map(|phases| (ArrivalProcess::Constant, phases)),
        Process::Poisson => read_phases(section, horizon).map(|phases| (ArrivalProcess::Poisson, phases)),
        Process::Renewal => {
            let doc = "Distribution of the gap between arrivals; the rate is 1 / mean.";
            let gap = distribution::optional(section, "interarrival", doc, Of::TIME);
            if gap.is_none() && !section.is_bad("interarrival") {
                section.miss(
                    "interarrival",
                    "add a distribution such as `interarrival = { distribution = \"gamma\", shape = 0.5, mean = \"1ms\" }`",
                );
            }
            gap.and_then(|gap| {
                let rate = 1.0 / gap.mean();
                if rate > Quantity::Rate.most() {
                    let message = "gaps this short are more than the most arrivals allowed, 1e9 per second";
                    section
                        .complain("interarrival", Fault::new(Code::OutOfRange, message, "at least \"1ns\""));
                    return None;
                }
                Some((ArrivalProcess::Renewal(gap), vec![only_phase("all", rate)]))
            })
        }
        Process::Trace => {
            let file =
                section.key("file", "Recorded arrivals, a CSV file beside the scenario.").text().required();
            file.and_then(|name| trace::read(section, &name, classes)).map(|arrivals| {
                warn_of_late_arrivals(section, &arrivals, horizon);
                (ArrivalProcess::Trace(arrivals.into()), vec![only_phase("trace", 0.0)])
            })
        }
    };
    section.close();
    source.map(|(process, phases)| Source { process, phases })
}

fn warn_of_late_arrivals(
    section: &Section<'_>,
    arrivals: &[crate::model::config::TracedArrival],
    horizon: Option<SimDuration>,
) {
    let Some(horizon) = horizon else { return };
    let late = arrivals.len() - arrivals.partition_point(|arrival| arrival.at.0 < horizon.0);
    if late > 0 {
        let (of, all) = (section.path_of("file"), arrivals.len());
        section
            .log()
            .warn(format!("`{of}`: {late} of the {all} arrivals come after `duration` and are left out"));
    }
}

fn only_phase(name: &str, rate: f64) -> Phase {
    Phase { name: name.to_string(), end: SimTime::NEVER, rate, curve: Curve::Flat, spike: false }
}

/// Reads `rate` or `phases`.
fn read_phases(section: &mut Section<'_>, horizon: Option<SimDuration>) -> Option<Vec<Phase>> {
    let rate = section.key("rate", "Arrivals per time, all along.").quantity(Quantity::Rate).optional();
    let phases = section.sections("phases", "Rates one after the other; the last one lasts to the end.");
    match (section.has("rate"), section.has("phases")) {
        (true, true) => {
            let message = "there is a rate as well as phases";
            section.complain("phases", Fault::new(Code::Conflict, message, "remove one of them"));
            None
        }
        (false, false) => {
            section.miss("rate", "add `rate = \"6k/s\"`, or `phases` one after the other");
            None
        }
        (true, false) => rate.map(|rate| vec![only_phase("all", rate)]),
        (false, true) if section.is_bad("phases") => None,
        (false, true) if phases.is_empty() => {
            let label = "write [{ name = \"calm\", rate = \"6k/s\" }, ...]";
            section.complain("phases", Fault::new(Code::OutOfRange, "the list is empty", label));
            None
        }
        (false, true) => read_phase_list(section, phases, horizon),
    }
}

fn read_phase_list(
    section: &mut Section<'_>,
    sections: Vec<Section<'_>>,
    horizon: Option<SimDuration>,
) -> Option<Vec<Phase>> {
    let count = sections.len();
    if count > MOST_PHASES {
        let message = format!("{count} phases are more than the most allowed, {MOST_PHASES}");
        section.complain(
            "phases",
            Fault::new(Code::OutOfRange, message, "a trace can hold any number of arrivals"),
        );
        return None;
    }
    let mut phases: Vec<Phase> = Vec::with_capacity(count);
    let mut clock = SimTime::ZERO;
    // Once one length is unknown or too long, what follows says nothing about the horizon.
    let mut comparable = true;
    let mut all_good = true;
    for (index, mut section) in sections.into_iter().enumerate() {
        let is_last = index + 1 == count;
        let name = section.key("name", "Name of the phase in reports.").text().or_else(
            "its number",
            format!("\"phase-{}\"", index + 1),
            format!("phase-{}", index + 1),
        );
        let length = section
            .key("for", "How long it lasts; the last one lasts to the end.")
            .positive_span()
            .optional();
        let rate = section.key("rate", "Arrivals per time.").quantity(Quantity::Rate).required();
        let spike = section.key("spike", "Whether recovery is counted from its end.").boolean().or("false");
        section.close();
        all_good &= rate.is_some() && !section.is_bad("for") && !section.is_bad("name");
        if phases.iter().any(|other| other.name == name) {
            let message = format!("there is already a phase `{name}`");
            section
                .complain("name", Fault::new(Code::Conflict, message, "give each phase a name of its own"));
        }
        let begin = clock;
        let late = |section: &mut Section<'_>, horizon: SimDuration| {
            let (begin, horizon) = (fmt_duration(begin.as_secs_f64()), fmt_duration(horizon.as_secs_f64()));
            let message = format!("the phase `{name}` would begin at {begin}, but `duration` is {horizon}");
            let label = "make the phases shorter or `duration` longer";
            let place = section.place_of(if section.has("for") { "for" } else { "rate" });
            section.log().report(&place, Code::Conflict, message, label);
        };
        match (length, horizon) {
            (Some(length), _) => {
                clock += length;
                comparable &= horizon.is_some();
            }
            (None, _) if section.is_bad("for") => comparable = false,
            (None, _) if is_last => {}
            (None, _) => {
                section.miss("for", "only the last phase may go without `for`: say how long this one lasts");
                comparable = false;
            }
        }
        if let (true, Some(horizon)) = (comparable, horizon) {
            let (end, total) = (fmt_duration(clock.as_secs_f64()), fmt_duration(horizon.as_secs_f64()));
            let beyond = clock.0 > horizon.0;
            if begin.0 >= horizon.0 {
                late(&mut section, horizon);
                comparable = false;
            } else if beyond {
                let message = format!("the phases last until {end}, but `duration` is {total}");
                let label =
                    if is_last { "leave out the `for` of the last phase" } else { "make `duration` longer" };
                section.complain("for", Fault::new(Code::Conflict, message, label));
                comparable = false;
            } else if is_last && length.is_some() && clock.0 < horizon.0 {
                let message = format!("the phases end at {end}, but `duration` is {total}");
                let label = "leave out the `for` of the last phase, which then lasts to the end";
                section.complain("for", Fault::new(Code::Conflict, message, label));
            } else if is_last && spike {
                section.log().warn(format!(
                    "the phase `{name}` is a spike that lasts to the end: no recovery can be seen after it"
                ));
            }
        }
        let end = if is_last { SimTime::NEVER } else { clock };
        phases.push(Phase { name, end, rate: rate.unwrap_or_default(), curve: Curve::Flat, spike });
    }
    all_good.then_some(phases)
}
