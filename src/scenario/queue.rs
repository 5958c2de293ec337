//! The waiting line: its discipline, its capacity, and the queues that jobs are spread over.

use std::collections::BTreeSet;

use super::classes::ReadClass;
use super::diagnostic::{Code, did_you_mean};
use super::log::Mistake;
use super::planning::read_texts;
use super::reader::Section;
use super::setting::MOST_COUNT;
use crate::model::MOST_LINES;
use crate::model::config::{Discipline, Lane, Queue};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Fifo,
    Priority,
    Lanes,
}

/// Reads `[queue]`.
pub(super) fn read(mut queue: Section<'_>, classes: &mut [ReadClass<'_>]) -> Queue {
    const DISCIPLINES: &[(&str, Order)] =
        &[("fifo", Order::Fifo), ("priority", Order::Priority), ("lanes", Order::Lanes)];
    let order = queue
        .key(
            "discipline",
            "Which job is served next: the first, the most urgent, or one from each lane in turn.",
        )
        .choice(DISCIPLINES)
        .or("fifo");
    let capacity = queue
        .key("capacity", "Most jobs waiting and in service; further arrivals are rejected.")
        .count(1, MOST_COUNT)
        .optional();
    let queues = queue
        .key("queues", "BullMQ queues that jobs go to in turn. Each queue lives on one shard of Redis.")
        .count(1, 10_000)
        .or("1");
    let lanes = read_lanes(&mut queue, order, classes);
    queue.close();
    let discipline = match order {
        Order::Fifo => Discipline::Fifo,
        Order::Priority => {
            let distinct: BTreeSet<u32> = classes.iter().map(|class| class.queue_priority).collect();
            if distinct.len() > MOST_LINES {
                let message = format!("{} queue priorities are more than the most allowed", distinct.len());
                queue.complain(
                    "discipline",
                    Mistake::new(Code::OutOfRange, message, format!("at most {MOST_LINES}")),
                );
            }
            Discipline::Priority
        }
        Order::Lanes => Discipline::Lanes(lanes),
    };
    Queue { discipline, capacity, queues: queues as u32 }
}

fn read_lanes(queue: &mut Section<'_>, order: Order, classes: &[ReadClass<'_>]) -> Vec<Lane> {
    let sections = queue.sections("lane", "The lanes of the discipline `lanes`, each with its classes.");
    if order != Order::Lanes {
        if !sections.is_empty() {
            let message = "lanes are there, but the discipline is another";
            queue.complain("lane", Mistake::new(Code::Conflict, message, "set discipline = \"lanes\""));
        }
        for mut section in sections {
            let _ = read_lane(&mut section, 0, classes, &mut BTreeSet::new());
        }
        return Vec::new();
    }
    if sections.is_empty() && !queue.is_bad("lane") {
        queue.miss("lane", "add [[queue.lane]] with `weight` and `classes` for each line");
        return Vec::new();
    }
    if sections.len() > MOST_LINES {
        let message = format!("{} lanes are more than the most allowed", sections.len());
        queue.complain("lane", Mistake::new(Code::OutOfRange, message, format!("at most {MOST_LINES}")));
    }
    let mut taken = BTreeSet::new();
    let mut lanes = Vec::new();
    for (index, mut section) in sections.into_iter().enumerate() {
        lanes.push(read_lane(&mut section, index, classes, &mut taken));
    }
    let missing: Vec<&str> = classes
        .iter()
        .enumerate()
        .filter(|(index, _)| !taken.contains(index))
        .map(|(_, class)| class.name.as_str())
        .collect();
    if !missing.is_empty() {
        let message = format!("no lane has the classes {}", missing.join(", "));
        queue.complain("lane", Mistake::new(Code::Missing, message, "every class waits in exactly one lane"));
    }
    lanes
}

fn read_lane(
    section: &mut Section<'_>,
    index: usize,
    classes: &[ReadClass<'_>],
    taken: &mut BTreeSet<usize>,
) -> Lane {
    let name = section.numbered_name("lane", "Name of the lane.", index);
    let weight = section
        .key("weight", "Jobs served from the lane in its turn; an empty lane is skipped.")
        .count(1, 1_000_000)
        .or("1");
    let names = read_texts(section, "classes", "Classes that wait in this lane.");
    let mut found = Vec::new();
    for name in names {
        match classes.iter().position(|class| class.name == name) {
            Some(class) if taken.insert(class) => found.push(class),
            Some(_) => {
                let message = format!("`{name}` waits in another lane already");
                section.complain("classes", Mistake::new(Code::Conflict, message, "remove one of them"));
            }
            None => {
                let near = did_you_mean(&name, classes.iter().map(|class| class.name.as_str()));
                let all: Vec<&str> = classes.iter().map(|class| class.name.as_str()).collect();
                section.complain(
                    "classes",
                    Mistake::new(
                        Code::UnknownName,
                        format!("there is no class `{name}`{near}"),
                        format!("classes: {}", all.join(", ")),
                    ),
                );
            }
        }
    }
    section.close();
    Lane { name, weight: weight as u32, classes: found }
}
