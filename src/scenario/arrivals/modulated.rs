//! Arrivals whose rate depends on a state that changes at random.

use crate::engine::time::SimDuration;
use crate::model::config::{Modulation, ModulationState};
use crate::model::distribution::Distribution;
use crate::scenario::diagnostic::{Code, did_you_mean};
use crate::scenario::distribution::{self, Of};
use crate::scenario::interval::{MOST_TURNS, must_fit};
use crate::scenario::log::Mistake;
use crate::scenario::reader::Section;
use crate::units::Quantity;

const MOST_STATES: usize = 100;
/// How far the sum of the probabilities may be from 1.
const TOLERANCE: f64 = 1e-9;

/// Two alternating states.
pub(super) fn read_on_off(section: &mut Section<'_>) -> Option<Modulation> {
    let on_rate = section.key("rate", "Rate while on.").quantity(Quantity::Rate).required();
    let off_rate = section.key("off_rate", "Rate while off.").quantity(Quantity::Rate).or("0/s");
    let mut sojourn = |name, doc| {
        let sojourn = distribution::optional(section, name, doc, Of::TIME);
        if sojourn.is_none() && !section.is_bad(name) {
            section.miss(
                name,
                "add how long it lasts, such as { distribution = \"exponential\", mean = \"10s\" }",
            );
        }
        sojourn
    };
    let on = sojourn("on", "How long an on period lasts.");
    let off = sojourn("off", "How long an off period lasts.");
    let start = read_start(section, &["on", "off"]);
    let state = |name: &str, rate, sojourn, next: [f64; 2]| ModulationState {
        name: name.to_string(),
        rate,
        sojourn,
        next: next.to_vec(),
    };
    let states = vec![state("on", on_rate?, on?, [0.0, 1.0]), state("off", off_rate, off?, [1.0, 0.0])];
    (!section.is_bad("start")).then_some(Modulation { states, start })
}

/// Any number of states, each lasting an exponential time.
pub(super) fn read_states(section: &mut Section<'_>) -> Option<Modulation> {
    let mut sections = section.sections("states", "The states, each with its own rate.");
    if !section.has("states") {
        section.miss("states", "add [[arrivals.states]] with name, rate and mean, at least twice");
    } else if !section.is_bad("states") && !(2..=MOST_STATES).contains(&sections.len()) {
        let message = format!("{} states are not from 2 to {MOST_STATES}", sections.len());
        section.complain(
            "states",
            Mistake::new(Code::OutOfRange, message, "one rate alone is process = \"poisson\""),
        );
    }
    let mut names: Vec<String> = Vec::new();
    for (index, state) in sections.iter_mut().enumerate() {
        let name = state.numbered_name("state", "Name of the state.", index);
        if names.contains(&name) {
            let message = format!("there is already a state `{name}`");
            state
                .complain("name", Mistake::new(Code::Conflict, message, "give each state a name of its own"));
        }
        names.push(name);
    }
    let count = sections.len();
    let states: Vec<Option<ModulationState>> = sections
        .iter_mut()
        .enumerate()
        .map(|(index, state)| {
            let rate = state.key("rate", "Rate in this state.").quantity(Quantity::Rate).required();
            let mean =
                state.key("mean", "Mean of the exponential time in this state.").positive_span().required();
            let next = read_next(state, index, &names);
            state.close();
            (!state.is_bad("name")).then_some(())?;
            Some(ModulationState {
                name: names[index].clone(),
                rate: rate?,
                sojourn: Distribution::Exponential { mean: mean?.as_secs_f64() },
                next: next?,
            })
        })
        .collect();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let start = read_start(section, &known);
    if section.is_bad("states") || section.is_bad("start") {
        return None;
    }
    let states: Vec<ModulationState> = states.into_iter().collect::<Option<_>>()?;
    if let Some(lonely) = (0..count).find(|&state| !is_reached(&states, state)) {
        let message = format!("the state `{}` cannot be reached from every other state", names[lonely]);
        section.complain("states", Mistake::new(Code::Conflict, message, "add it to some `next`"));
        return None;
    }
    Some(Modulation { states, start })
}

/// Whether the states change not too often: without arrivals between them, nothing else happens in the run.
pub(super) fn changes_fit(
    section: &mut Section<'_>,
    name: &'static str,
    modulation: &Modulation,
    horizon: Option<SimDuration>,
) -> bool {
    let between = SimDuration::from_secs_f64(modulation.mean_sojourn()).max(SimDuration(1));
    must_fit(section, name, between, (horizon, "`duration`"), MOST_TURNS);
    !section.is_bad(name)
}

/// The states that may follow a state; default: all others, equally likely.
fn read_next(state: &mut Section<'_>, own: usize, names: &[String]) -> Option<Vec<f64>> {
    let list = state.sections("next", "States that may follow; default: all others, equally likely.");
    if !state.has("next") {
        let each = 1.0 / (names.len().max(2) - 1) as f64;
        return Some((0..names.len()).map(|index| if index == own { 0.0 } else { each }).collect());
    }
    let mut next = vec![0.0; names.len()];
    let mut all_good = !state.is_bad("next");
    for mut one in list {
        let target = one.key("state", "Name of the state that follows.").text().required();
        let probability =
            one.key("probability", "Probability that it follows.").quantity(Quantity::Fraction).required();
        one.close();
        let (Some(target), Some(probability)) = (target, probability) else {
            all_good = false;
            continue;
        };
        match names.iter().position(|name| *name == target) {
            Some(index) if index != own => next[index] += probability,
            Some(_) => {
                let message = format!("`{target}` follows itself");
                one.complain("state", Mistake::new(Code::Conflict, message, "a longer `mean` says the same"));
                all_good = false;
            }
            None => {
                let known = names.iter().map(String::as_str);
                let message = format!("there is no state `{target}`{}", did_you_mean(&target, known));
                one.complain(
                    "state",
                    Mistake::new(Code::UnknownName, message, format!("states: {}", names.join(", "))),
                );
                all_good = false;
            }
        }
    }
    let sum: f64 = next.iter().sum();
    if all_good && (sum - 1.0).abs() > TOLERANCE {
        let message = format!("the probabilities add up to {sum}, not 1");
        state.complain("next", Mistake::new(Code::OutOfRange, message, "one of the states must follow"));
        all_good = false;
    }
    all_good.then_some(next)
}

fn is_reached(states: &[ModulationState], target: usize) -> bool {
    let mut reaches = vec![false; states.len()];
    reaches[target] = true;
    for _ in 0..states.len() {
        for (index, state) in states.iter().enumerate() {
            reaches[index] |=
                state.next.iter().zip(&reaches).any(|(probability, reaches)| *probability > 0.0 && *reaches);
        }
    }
    reaches.into_iter().all(|reaches| reaches)
}

fn read_start(section: &mut Section<'_>, names: &[&str]) -> Option<usize> {
    let doc = "State at time zero; default: drawn by the share of time of each state.";
    let start = section.key("start", doc).text().optional()?;
    let found = names.iter().position(|name| *name == start);
    if found.is_none() {
        let message = format!("there is no state `{start}`{}", did_you_mean(&start, names.iter().copied()));
        section.complain(
            "start",
            Mistake::new(Code::UnknownName, message, format!("states: {}", names.join(", "))),
        );
    }
    found
}
