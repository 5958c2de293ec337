//! Job classes.

use std::collections::BTreeMap;

use super::diagnostic::Code;
use super::distribution::{self, Of};
use super::log::Mistake;
use super::reader::Section;
use super::tree::Place;
use crate::model::config::JobClass;
use crate::model::distribution::Distribution;
use crate::units::Quantity;

/// Name of the only class of a scenario that defines none.
const ONLY_CLASS: &str = "default";
/// What reports call all classes together.
const TOTAL: &str = "total";
/// A report with more classes is unreadable.
const MOST_CLASSES: usize = 1_000;

/// A class as written; its service time may still come from `[workers]`.
pub(super) struct ReadClass<'a> {
    pub(super) name: String,
    pub(super) priority: backpressure::Priority,
    /// BullMQ's own: 0 is none.
    pub(super) queue_priority: u32,
    pub(super) payload: Distribution,
    pub(super) service_time: Option<Distribution>,
    /// Whether its service time is there but wrong.
    pub(super) service_is_bad: bool,
    pub(super) section: Option<Section<'a>>,
    pub(super) own_arrivals: Option<Section<'a>>,
    pub(super) share: Option<f64>,
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
    let mut sections = top.sections("class", "Job classes; default: one, named `default`.");
    if sections.len() > MOST_CLASSES {
        let message = format!("{} classes are more than the most allowed, {MOST_CLASSES}", sections.len());
        top.complain("class", Mistake::new(Code::OutOfRange, message, "put similar ones together"));
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
            section.complain(
                "name",
                Mistake::new(Code::OutOfRange, format!("`{name}` cannot be a name"), label),
            );
        } else if name == TOTAL {
            let message = format!("`{TOTAL}` is what reports call all classes together");
            section.complain("name", Mistake::new(Code::Conflict, message, "choose another name"));
        } else if let Some(first) = first_of.get(name) {
            let label = section.log().line_of(first).map(|line| format!("the first one is in line {line}"));
            let message = format!("there is already a class `{name}`");
            section.complain("name", Mistake::new(Code::Conflict, message, label.unwrap_or_default()));
        } else {
            first_of.insert(name.clone(), section.place_of("name"));
        }
    }
    let priority = section
        .key("priority", "Priority of its jobs: 1 is the most urgent, 10 the least.")
        .count(1, 10)
        .or_else("policy.default_priority", default_priority.to_string(), default_priority.get().into());
    let queue_priority = section
        .key("queue_priority", "BullMQ priority of its jobs, for the discipline `priority`; 0 goes first.")
        .count(0, 2_097_151)
        .or_else("priority", priority.to_string(), priority);
    let share = section
        .key("share", "Fraction of the arrivals that belong to this class.")
        .quantity(Quantity::Fraction)
        .optional();
    let payload = distribution::or(&mut section, "payload", "Size of a job's payload.", Of::SIZE, "256B");
    let doc = "Service time of its jobs; default: that of the workers.";
    let service_time = distribution::optional(&mut section, "service_time", doc, Of::TIME);
    let has_own = section.has("arrivals");
    let own = section.section("arrivals", "Arrivals of this class alone, in place of a share.");
    if has_own && section.has("share") {
        let message = "a class with arrivals of its own has no share";
        section.complain("share", Mistake::new(Code::Conflict, message, "remove `share` or `arrivals`"));
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
